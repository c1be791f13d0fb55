//! The folder that a command writes into.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::Failure;

/// Makes the folder and proves that it can be written, before any work is done.
///
/// # Errors
/// Exit code 2: the path and what to do.
pub(super) fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let refuse = |e: std::io::Error| {
        Failure::Input(anyhow!(
            "--out {}: {e}; give a folder that you may write to",
            path.display()
        ))
    };
    std::fs::create_dir_all(path).map_err(refuse)?;
    let probe = path.join(".alight-write-test");
    std::fs::write(&probe, b"").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)?;
    Ok(path.to_owned())
}

/// Names a file in the message of an error while writing it.
///
/// # Errors
/// Exit code 1: the file and the system's reason.
pub(super) fn written<T, E: std::fmt::Display>(
    result: Result<T, E>,
    file: &Path,
) -> Result<T, Failure> {
    result.map_err(|e| Failure::Working(anyhow!("{}: {e}; is the disk full?", file.display())))
}

/// Prints a line on standard output: what `--json` asks for.
///
/// # Errors
/// Exit code 1: whoever reads has gone.
pub(super) fn print_line(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{text}")
        .map_err(|e| Failure::Working(anyhow!("standard output: {e}")))
}
