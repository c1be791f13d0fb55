//! Runs one job: each of its steps is a process of its own that writes to a log of its own, so that a crash of one takes nothing
//! else down. A job that was interrupted goes on where it was; one that is finished is left alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::{Job, Step};
use crate::parameters::write_atomically;

/// What the job is: its name and calls.
const JOB: &str = "job.json";
/// Seconds that each finished step took, by step.
const FINISHED: &str = "finished.json";
/// Locked while the job runs.
const LOCK: &str = "lock";

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    New,
    /// Begun, and nobody is at it.
    Interrupted,
    /// Another process is at it.
    Busy,
    /// All steps are done.
    Finished,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Interrupted => "interrupted",
            Self::Busy => "running",
            Self::Finished => "finished",
        }
    }
}

/// Where a job stands, by its folder.
///
/// # Errors
/// When its files cannot be read, or it was begun with other arguments than it has now.
pub fn state(job: &Job) -> Result<State> {
    if !job.folder.join(JOB).exists() {
        return Ok(State::New);
    }
    is_same(job)?;
    let finished = finished(&job.folder)?;
    if job.steps.iter().all(|s| finished.contains_key(&s.name)) {
        return Ok(State::Finished);
    }
    let is_locked = lock(&job.folder)?.is_none();
    Ok(if is_locked {
        State::Busy
    } else {
        State::Interrupted
    })
}

/// Runs what is left of a job with `program`, and gives where it stood before: nothing is done for one that was busy or finished.
///
/// # Errors
/// When a step fails; the message names its log. The other steps are not begun.
pub fn run(job: &Job, program: &Path) -> Result<State> {
    let folder = &job.folder;
    let before = state(job)?;
    if matches!(before, State::Busy | State::Finished) {
        return Ok(before);
    }
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the job's folder {}", folder.display()))?;
    let Some(lock) = lock(folder)? else {
        return Ok(State::Busy);
    };
    write_atomically(
        &folder.join(JOB),
        serde_json::to_string_pretty(job)?.as_bytes(),
    )?;
    let mut finished = finished(folder)?;
    for step in &job.steps {
        if finished.contains_key(&step.name) {
            continue;
        }
        let begun = clock();
        call(step, folder, program, &lock)?;
        finished.insert(step.name.clone(), begun.elapsed().as_secs_f64().round());
        let text = serde_json::to_string_pretty(&finished)?;
        write_atomically(&folder.join(FINISHED), text.as_bytes())?;
    }
    Ok(before)
}

fn call(step: &Step, folder: &Path, program: &Path, lock: &File) -> Result<()> {
    let path = folder.join(format!("{}.log", step.name));
    let open = OpenOptions::new().create(true).append(true).open(&path);
    let log = open.with_context(|| format!("cannot write {}", path.display()))?;
    // The lock is handed on as standard input (the file is empty): if this process dies alone, the job stays locked
    // until the step has ended too.
    let status = Command::new(program)
        .args(&step.arguments)
        .stdin(Stdio::from(lock.try_clone()?))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(
        status.success(),
        "`{}` failed ({status}): see {}{}",
        step.name,
        path.display(),
        last_line(&path)
    );
    Ok(())
}

/// The last line of a log, as the end of a message.
fn last_line(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|l| !l.trim().is_empty());
    line.map_or_else(String::new, |l| format!("; its last line: {}", l.trim()))
}

/// Refuses a folder whose job was begun with other arguments.
fn is_same(job: &Job) -> Result<()> {
    let path = job.folder.join(JOB);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let begun: Job =
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let words =
        |j: &Job| -> Vec<String> { j.steps.iter().flat_map(|s| s.arguments.clone()).collect() };
    let (old, new) = (words(&begun), words(job));
    let only_in = |a: &[String], b: &[String]| -> String {
        let words: Vec<&str> = a
            .iter()
            .filter(|w| !b.contains(w))
            .map(String::as_str)
            .collect();
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(" ")
        }
    };
    ensure!(
        old == new,
        "{} was begun with other arguments: it has {}, the matrix has {}; take another `out`, or remove the folder",
        job.folder.display(),
        only_in(&old, &new),
        only_in(&new, &old)
    );
    Ok(())
}

fn finished(folder: &Path) -> Result<BTreeMap<String, f64>> {
    let path = folder.join(FINISHED);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// The job's lock, or `None` while another process holds it. The system lets go of it when its holders end, however they end.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path);
    let file = open.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| {
            format!(
                "cannot lock {}: does the file system know locks?",
                path.display()
            )
        }),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: it measures real time"
)]
fn clock() -> Instant {
    Instant::now()
}
