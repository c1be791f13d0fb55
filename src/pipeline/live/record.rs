//! What happened, in the log and on disk. Nobody waits for it: a note that finds no room is dropped and counted.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::super::schedule::BEAT;
use super::super::watchdog::Wish;
use super::Common;
use super::counts::Counts;
use crate::autopilot::commands::{Notice, Severity};
use crate::autopilot::link::Keyring;
use crate::autopilot::supervisor::{Brief, Phase};
use crate::landing::{LandingDecision, RejectCounts, Site};
use crate::record::{DecisionLine, DecisionWriter, EventLine, RecordError};
use crate::time::{Clock as _, MonoTime};
use crate::vehicle::Mode;

/// The most alternates that may be configured.
const ALTERNATES: usize = 8;

/// One thing worth keeping.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a decision is copied into the queue's own memory: a box would be an allocation a frame"
)]
pub(super) enum Note {
    /// The ground was told something.
    Said(Severity, Notice),
    /// The phase is another one; height above ground, metres.
    Phase(Phase, Option<f64>),
    /// Something about a device, in plain words.
    Device(log::Level, String),
    /// A frame was decided on.
    Decided {
        brief: Brief,
        alternates: [Option<Site>; ALTERNATES],
        rejected: RejectCounts,
        source: Arc<str>,
        latency: Duration,
    },
    /// The mode in which we own the vehicle is another one.
    Mark(Option<Mode>),
}

impl Note {
    /// Of a decision, without allocation.
    pub(super) fn of(
        decision: &LandingDecision,
        brief: &Brief,
        source: &Arc<str>,
        latency: Duration,
    ) -> Self {
        let mut alternates = [None; ALTERNATES];
        for (slot, site) in alternates.iter_mut().zip(&decision.alternates) {
            *slot = Some(*site);
        }
        Self::Decided {
            brief: *brief,
            alternates,
            rejected: decision.rejected,
            source: Arc::clone(source),
            latency,
        }
    }
}

/// Where notes are handed in.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    to: Sender<(MonoTime, Note)>,
    counts: Arc<Counts>,
}

impl Notes {
    pub(super) const fn new(to: Sender<(MonoTime, Note)>, counts: Arc<Counts>) -> Self {
        Self { to, counts }
    }

    /// Hands one in; `false` when there was no room.
    pub(super) fn note(&self, note: Note, now: MonoTime) -> bool {
        let is_taken = self.to.try_send((now, note)).is_ok();
        self.counts.notes_lost.add(u64::from(!is_taken));
        is_taken
    }
}

/// The files.
#[derive(Debug)]
pub(super) struct Record {
    decisions: Option<DecisionWriter>,
    events: Option<(File, PathBuf)>,
    mark: Option<PathBuf>,
    /// The time of signatures is kept here, too.
    pub(super) keyring: Option<Keyring>,
    /// Bytes that may still be written.
    left: u64,
    /// Why a file is not complete: the first reason.
    trouble: Option<RecordError>,
}

impl Record {
    /// Starts the files in `out`, if there is such a folder.
    ///
    /// # Errors
    /// When they cannot be made, unless the disk is full: that is said, and nothing is kept.
    pub(super) fn create(out: Option<&Path>, mark: Option<PathBuf>) -> Result<Self, RecordError> {
        let mut record = Self {
            decisions: None,
            events: None,
            mark,
            keyring: None,
            left: u64::MAX,
            trouble: None,
        };
        let Some(out) = out else {
            return Ok(record);
        };
        match Self::files(out) {
            Ok((events, decisions)) => {
                (record.events, record.decisions) = (Some(events), Some(decisions));
            }
            Err(e) if e.is_full() => record.fails(e),
            Err(e) => return Err(e),
        }
        Ok(record)
    }

    fn files(out: &Path) -> Result<((File, PathBuf), DecisionWriter), RecordError> {
        let path = out.join("events.jsonl");
        match File::create(&path) {
            Ok(file) => Ok((
                (file, path),
                DecisionWriter::create(&out.join("decisions.jsonl"))?,
            )),
            Err(source) => Err(RecordError::Write { path, source }),
        }
    }

    /// The files end when they hold so many bytes together; 0: never.
    pub(super) fn limit(&mut self, bytes: u64) {
        self.left = if bytes == 0 { u64::MAX } else { bytes };
    }

    /// Takes notes until all others have stopped and all is written. The first trouble goes to `unwritten`.
    pub(super) fn run(
        &mut self,
        notes: &Receiver<(MonoTime, Note)>,
        common: &Common,
        unwritten: &Sender<RecordError>,
    ) {
        loop {
            if let Some(keyring) = &mut self.keyring {
                keyring.keep(common.clock.now());
            }
            match notes.recv_timeout(BEAT) {
                Ok((at, note)) => self.take(at, note),
                Err(RecvTimeoutError::Timeout) if common.watch.wished() < Wish::Close => {}
                Err(_) => break,
            }
        }
        if let Some(trouble) = self.trouble.take() {
            let _ = unwritten.try_send(trouble);
        }
    }

    fn fails(&mut self, e: RecordError) {
        // A full disk is no reason to stop flying.
        log::error!("{e}; the file ends here");
        self.trouble.get_or_insert(e);
    }

    fn take(&mut self, at: MonoTime, note: Note) {
        match note {
            Note::Said(severity, text) => {
                let level = match severity {
                    Severity::Alert | Severity::Error => log::Level::Error,
                    Severity::Warning => log::Level::Warn,
                    Severity::Notice | Severity::Info => log::Level::Info,
                };
                log::log!(level, "to the ground: {text}");
                self.event(at, text.to_string());
            }
            Note::Phase(phase, height_m) => {
                let height = height_m.map_or_else(String::new, |m| format!(" at {m:.1} m"));
                let text = format!("{}{height}", phase.text());
                log::info!("{text}");
                self.event(at, text);
            }
            Note::Device(level, text) => {
                log::log!(level, "{text}");
                self.event(at, text);
            }
            Note::Decided {
                brief,
                alternates,
                rejected,
                source,
                latency,
            } => {
                let decision = LandingDecision {
                    seq: brief.seq,
                    captured_at: brief.captured_at,
                    outcome: brief.outcome,
                    site: brief.site,
                    alternates: alternates.into_iter().flatten().collect(),
                    rejected,
                    monitor: brief.monitor,
                    monitor_reasons: brief.monitor_reasons,
                    watched: brief.watched,
                };
                self.decided(&decision, &source, latency);
            }
            Note::Mark(mode) => self.mark(mode),
        }
    }

    fn decided(&mut self, decision: &LandingDecision, source: &str, latency: Duration) {
        let Some(writer) = &mut self.decisions else {
            return;
        };
        match writer.append(&DecisionLine::new(decision, source, latency)) {
            Ok(bytes) => self.spend(bytes),
            Err(e) => {
                self.decisions = None;
                self.fails(e);
            }
        }
    }

    /// So much is written. The quota ends the files: a disk that is full of decisions has no room for the next flight.
    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        if self.left == 0 && self.events.take().is_some() | self.decisions.take().is_some() {
            log::warn!("record.quota_mb: this run alone has filled it; its record ends here");
        }
    }

    fn event(&mut self, at: MonoTime, text: String) {
        let Some((file, path)) = &mut self.events else {
            return;
        };
        let line = EventLine {
            at_s: (at.as_secs_f64() * 1e3).round() / 1e3,
            text,
        };
        let written = serde_json::to_string(&line)
            .map_err(std::io::Error::from)
            .and_then(|text| writeln!(file, "{text}").map(|()| text.len() + 1));
        match written {
            Ok(bytes) => self.spend(bytes),
            Err(source) => {
                let path = std::mem::take(path);
                self.events = None;
                self.fails(RecordError::Write { path, source });
            }
        }
    }

    fn mark(&mut self, mode: Option<Mode>) {
        let Some(path) = &self.mark else {
            return;
        };
        let written = match mode {
            Some(mode) => std::fs::write(path, mark_text(mode)),
            None => match std::fs::remove_file(path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        if let Err(e) = written {
            log::warn!(
                "{}: {e}; after a restart in the air the vehicle would not be known as ours",
                path.display()
            );
        }
    }
}

/// Modes that a mark may name.
const MARKS: [(Mode, &str); 5] = [
    (Mode::Guided, "guided"),
    (Mode::Hold, "hold"),
    (Mode::Land, "land"),
    (Mode::PrecLand, "precision-land"),
    (Mode::Rtl, "return"),
];

fn mark_text(mode: Mode) -> &'static str {
    MARKS
        .iter()
        .find(|(m, _)| *m == mode)
        .map_or("other", |(_, text)| text)
}

/// What the mark of the last process says; `None` without a mark that makes sense.
pub(super) fn read_mark(path: &Path) -> Option<Mode> {
    let text = std::fs::read_to_string(path).ok()?;
    MARKS
        .iter()
        .find(|(_, t)| *t == text.trim())
        .map(|(mode, _)| *mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_written_read_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engaged");
        let mut record = Record::create(None, Some(path.clone())).unwrap();
        assert_eq!(read_mark(&path), None);
        for (mode, _) in MARKS {
            record.take(MonoTime::ZERO, Note::Mark(Some(mode)));
            assert_eq!(read_mark(&path), Some(mode));
        }
        record.take(MonoTime::ZERO, Note::Mark(None));
        record.take(MonoTime::ZERO, Note::Mark(None));
        assert!(!path.exists());
        std::fs::write(&path, b"\xff\xfe what").unwrap();
        assert_eq!(read_mark(&path), None);
    }

    #[test]
    fn only_a_full_disk_is_no_reason_not_to_start() {
        let full = |kind| RecordError::Write {
            path: "events.jsonl".into(),
            source: std::io::Error::from(kind),
        };
        assert!(full(std::io::ErrorKind::StorageFull).is_full());
        assert!(!full(std::io::ErrorKind::ReadOnlyFilesystem).is_full());
        // What is written to it finds no room: said, the file ends, and nothing else happens.
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("events.jsonl")).unwrap();
        let mut record = Record::create(Some(folder.path()), None).unwrap();
        for _ in 0..3 {
            let note = Note::Device(log::Level::Info, "a cable".to_owned());
            record.take(MonoTime::ZERO, note);
        }
        assert!(record.events.is_none() && record.decisions.is_some());
        assert!(record.trouble.take().unwrap().is_full());
        // A folder that is not there is a mistake.
        let gone = folder.path().join("gone");
        assert!(Record::create(Some(&gone), None).is_err());
    }

    #[test]
    fn a_record_ends_at_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::create(Some(folder.path()), None).unwrap();
        record.limit(100);
        for _ in 0..50 {
            let note = Note::Device(log::Level::Info, "a cable".to_owned());
            record.take(MonoTime::ZERO, note);
        }
        let written = std::fs::metadata(folder.path().join("events.jsonl")).unwrap();
        assert!((100..150).contains(&written.len()), "{}", written.len());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let message = Record::create(Some(Path::new("/nowhere/out")), None).unwrap_err();
        assert!(message.to_string().contains("/nowhere/out/events.jsonl"));
    }
}
