//! What a run was: `run.json` in its folder, beside what it made. It names everything that a number of that run depends on, and
//! how long it took over all its sittings.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use alight::inference::manifest::sha256_hex;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::parameters::write_atomically;

/// Name and version of the file's form; keys may be added to it, none renamed.
pub const SCHEMA: &str = "alight-run-1";

/// What a run is, before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Version of this program.
    pub trainer: String,
    /// Version of libtorch, as its folder says; none where that is not told.
    pub libtorch: Option<String>,
    /// Name of the architecture.
    pub network: String,
    /// Values that training changes; the exported file has less, because batch norm is folded into the convolutions.
    pub parameters: usize,
    /// Multiply-accumulates of one picture at the network's input size, in units of 10^9.
    pub gmac: f64,
    /// Every argument of `train`.
    pub arguments: serde_json::Value,
    /// Seed of first values, order and augmentation.
    pub seed: u64,
    /// What it is trained on, in words.
    pub device: String,
    /// Every file that it learns from.
    pub data: Vec<Input>,
}

/// A file, or a cache, that a run learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The argument that names it.
    pub argument: String,
    /// Where it lay.
    pub path: PathBuf,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

impl Input {
    /// Reads and hashes a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(argument: &str, path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("--{argument}: cannot read {}", path.display()))?;
        Ok(Self {
            argument: argument.to_owned(),
            path: path.to_owned(),
            sha256: sha256_hex(&bytes),
        })
    }
}

/// One start of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sitting {
    /// Seconds since 1970, UTC.
    pub began_unix_s: u64,
    /// Epochs that were done before it.
    pub after_epoch: usize,
    /// Epochs that are done and saved.
    pub epoch: usize,
    /// Seconds from its start to that.
    pub seconds: f64,
    /// What it was trained on, in words.
    pub device: String,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the run is.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// Its starts, in order.
    pub sittings: Vec<Sitting>,
}

/// A record that is kept while the run goes on.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    record: RunRecord,
    begun: Instant,
}

impl Recorder {
    /// Begins a sitting of the run in `folder`, which has `epoch` epochs behind it, and writes the file.
    ///
    /// # Errors
    /// When an older record cannot be read or the new one not written, and when a run that has begun would go on with other
    /// data: a score of it would mean nothing.
    pub fn begin(folder: &Path, facts: RunFacts, epoch: usize) -> Result<Self> {
        let path = folder.join("run.json");
        let mut sittings = Vec::new();
        if epoch > 0 && path.exists() {
            let old = read(&path)?;
            is_same_data(&old.facts.data, &facts.data)?;
            sittings = old.sittings;
        }
        sittings.push(Sitting {
            began_unix_s: unix_seconds() as u64,
            after_epoch: epoch,
            epoch,
            seconds: 0.0,
            device: facts.device.clone(),
        });
        let record = RunRecord {
            schema: SCHEMA.to_owned(),
            facts,
            sittings,
        };
        let recorder = Self {
            path,
            record,
            begun: clock(),
        };
        recorder.write()?;
        Ok(recorder)
    }

    /// Notes that this many epochs are done and saved.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn saved(&mut self, epoch: usize) -> Result<()> {
        if let Some(last) = self.record.sittings.last_mut() {
            last.epoch = epoch;
            last.seconds = (self.begun.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.record)? + "\n";
        Ok(write_atomically(&self.path, text.as_bytes())?)
    }
}

/// Reads a record.
///
/// # Errors
/// When the file cannot be read, or has another form.
pub fn read(path: &Path) -> Result<RunRecord> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let record: RunRecord =
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    ensure!(
        record.schema == SCHEMA,
        "{} has the form `{}`; this program knows `{SCHEMA}`",
        path.display(),
        record.schema
    );
    Ok(record)
}

/// The same files may lie elsewhere; other files must not take their place.
fn is_same_data(old: &[Input], new: &[Input]) -> Result<()> {
    for input in new {
        let before = old.iter().find(|o| o.argument == input.argument);
        ensure!(
            before.is_some_and(|o| o.sha256 == input.sha256),
            "--{} {} is not what this run began with: give it the old data, or begin a new --run",
            input.argument,
            input.path.display()
        );
    }
    Ok(())
}

/// The name of this machine's processor; `CPU` where the system does not tell.
#[must_use]
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("model name"));
    let name = line
        .and_then(|l| l.split_once(':'))
        .map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| "CPU".to_owned())
}

/// The version that the libtorch which this process has loaded says of itself, in the `version.py` of a Python wheel or the
/// `build-version` of a plain archive; none where neither lies beside it.
#[must_use]
pub fn libtorch() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let library = maps
        .lines()
        .filter_map(|l| l.split_whitespace().nth(5))
        .find(|p| p.ends_with("/libtorch_cpu.so"))?;
    let folder = Path::new(library).parent()?.parent()?;
    if let Ok(version) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(version.trim().to_owned());
    }
    let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
    let line = text.lines().find(|l| l.starts_with("__version__"))?;
    Some(line.split_once('=')?.1.trim().trim_matches('\'').to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: a record says when it was made"
)]
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: it measures real time"
)]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(folder: &Path, data: &str) -> RunFacts {
        let file = folder.join("fold.json");
        std::fs::write(&file, data).unwrap();
        RunFacts {
            trainer: "0".into(),
            libtorch: None,
            network: "n".into(),
            parameters: 3,
            gmac: 0.5,
            arguments: serde_json::json!({"epochs": 4}),
            seed: 1,
            device: "here".into(),
            data: vec![Input::file("fold", &file).unwrap()],
        }
    }

    #[test]
    fn every_start_of_a_run_is_in_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Recorder::begin(folder.path(), facts(folder.path(), "a"), 0).unwrap();
        first.saved(2).unwrap();
        drop(first);
        let mut second = Recorder::begin(folder.path(), facts(folder.path(), "a"), 2).unwrap();
        second.saved(4).unwrap();
        let record = read(&folder.path().join("run.json")).unwrap();
        let epochs: Vec<_> = record
            .sittings
            .iter()
            .map(|s| (s.after_epoch, s.epoch))
            .collect();
        assert_eq!(epochs, [(0, 2), (2, 4)]);
        assert_eq!(record.facts, facts(folder.path(), "a"));
        // Begun anew: what was before is gone from the folder, and from the record.
        Recorder::begin(folder.path(), facts(folder.path(), "b"), 0).unwrap();
        assert_eq!(
            read(&folder.path().join("run.json"))
                .unwrap()
                .sittings
                .len(),
            1
        );
    }

    #[test]
    fn a_run_does_not_go_on_with_other_data() {
        let folder = tempfile::tempdir().unwrap();
        Recorder::begin(folder.path(), facts(folder.path(), "a"), 0).unwrap();
        let other = facts(folder.path(), "b");
        let text = Recorder::begin(folder.path(), other, 1)
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("--fold ") && text.contains("is not what this run began with"),
            "{text}"
        );
    }

    #[test]
    fn a_record_of_another_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Recorder::begin(folder.path(), facts(folder.path(), "a"), 0).unwrap();
        let path = folder.path().join("run.json");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace(SCHEMA, "alight-run-9");
        std::fs::write(&path, text).unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("`alight-run-9`")
        );
    }
}
