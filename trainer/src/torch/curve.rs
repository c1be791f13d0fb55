//! `curve.csv` of a run that goes on.

use std::fs::read_to_string;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::parameters::write_atomically;

/// Before a run goes on after `epoch`: takes away the lines of later epochs, which will be trained again, and a line that a kill cut.
pub(super) fn go_on_after(folder: &Path, epoch: usize) -> Result<()> {
    let path = folder.join("curve.csv");
    if !path.exists() {
        return Ok(());
    }
    let text = read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_done = |line: &&str| {
        let number = line.split(',').next().and_then(|n| n.parse::<usize>().ok());
        line.ends_with('\n') && number.is_none_or(|n| n <= epoch)
    };
    let kept: String = text.split_inclusive('\n').filter(is_done).collect();
    Ok(write_atomically(&path, kept.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_has_each_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        go_on_after(folder, 3).unwrap();
        let path = folder.join("curve.csv");
        // Epochs 11 and 12 were trained after the checkpoint; a kill cut the line of the 13th.
        let lines = (1..=12).map(|epoch| format!("{epoch},0.5,1.0,,,,\n"));
        let text = format!("epoch,loss\n{}1", lines.collect::<String>());
        std::fs::write(&path, &text).unwrap();
        go_on_after(folder, 10).unwrap();
        let kept = read_to_string(&path).unwrap();
        assert!(
            text.starts_with(&kept) && kept.ends_with("\n10,0.5,1.0,,,,\n"),
            "{kept}"
        );
    }
}
