//! Who is alive: each stage leaves the time of its last result and of its last turn, and whoever wants to know looks at
//! their age. A stage without results may be waiting for the one before; a stage without turns hangs.
//!
//! The marks are single numbers written without a lock, so looking never waits for the one that is looked at.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use super::schedule;
use crate::autopilot::supervisor::Health;
use crate::time::MonoTime;

/// A thread of the live pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Brings frames.
    Camera = 0,
    /// Says what they show.
    Inference = 1,
    /// Decides on them.
    Landing = 2,
    /// Steps the supervisor.
    Control = 3,
    /// Reads from the link.
    LinkRead = 4,
    /// Writes to the link.
    LinkWrite = 5,
    /// Keeps the record.
    Record = 6,
}

impl Stage {
    /// All, in the order of the data.
    pub const ALL: [Self; 7] = [
        Self::Camera,
        Self::Inference,
        Self::Landing,
        Self::Control,
        Self::LinkRead,
        Self::LinkWrite,
        Self::Record,
    ];

    /// The thread's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Inference => "inference",
            Self::Landing => "landing",
            Self::Control => "control",
            Self::LinkRead => "link-read",
            Self::LinkWrite => "link-write",
            Self::Record => "record",
        }
    }

    /// How long it may bring nothing, and how long a turn may take; `None` where silence is no fault.
    const fn deadline(self) -> Option<Duration> {
        match self {
            Self::Camera => Some(schedule::CAMERA_DEADLINE),
            Self::Inference => Some(schedule::INFERENCE_DEADLINE),
            Self::Landing => Some(schedule::LANDING_DEADLINE),
            Self::LinkWrite => Some(schedule::WRITE_DEADLINE),
            // The supervisor judges the age of what comes; the watchdog judges the control thread itself, which cannot
            // report on itself; a record is no flight.
            Self::Control | Self::LinkRead | Self::Record => None,
        }
    }

    /// Whether a landing cannot go on without it.
    const fn is_vital(self) -> bool {
        !matches!(self, Self::Record)
    }
}

/// What the whole process is asked to do; only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Wish {
    /// Go on.
    Run = 0,
    /// Hand the vehicle back, then stop.
    HandBack = 1,
    /// Stop now.
    Stop = 2,
    /// Everybody else has stopped: what was told is all there is to record.
    Close = 3,
}

/// The marks of all stages, and the one stop flag.
#[derive(Debug)]
pub struct Watch {
    turns: [AtomicI64; Stage::ALL.len()],
    beats: [AtomicI64; Stage::ALL.len()],
    broken: [AtomicBool; Stage::ALL.len()],
    wish: AtomicU8,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            turns: [const { AtomicI64::new(i64::MIN) }; Stage::ALL.len()],
            beats: [const { AtomicI64::new(i64::MIN) }; Stage::ALL.len()],
            broken: [const { AtomicBool::new(false) }; Stage::ALL.len()],
            wish: AtomicU8::new(Wish::Run as u8),
        }
    }
}

impl Watch {
    /// The stage begins a turn: it looks for its next piece of work.
    pub fn turn(&self, stage: Stage, now: MonoTime) {
        set(&self.turns, stage, now);
    }

    /// The stage has just brought a result.
    pub fn beat(&self, stage: Stage, now: MonoTime) {
        set(&self.beats, stage, now);
        set(&self.turns, stage, now);
    }

    /// The stage has ended and will bring nothing more.
    pub fn broke(&self, stage: Stage) {
        if let Some(broken) = self.broken.get(stage as usize) {
            broken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it has.
    #[must_use]
    pub fn is_broken(&self, stage: Stage) -> bool {
        self.broken
            .get(stage as usize)
            .is_none_or(|b| b.load(Ordering::Relaxed))
    }

    /// Time since its last result; `None` before the first.
    #[must_use]
    pub fn age(&self, stage: Stage, now: MonoTime) -> Option<Duration> {
        age(&self.beats, stage, now)
    }

    /// The stage that has been in one turn for the longest time beyond its deadline, and that time.
    #[must_use]
    pub fn hanging(&self, now: MonoTime) -> Option<(Stage, Duration)> {
        Stage::ALL
            .into_iter()
            .filter_map(|stage| Some((stage, age(&self.turns, stage, now)?)))
            .filter(|(stage, age)| stage.deadline().is_some_and(|limit| *age > limit))
            .max_by_key(|(_, age)| *age)
    }

    /// The first stage that is broken, hangs, has brought nothing yet, or is late.
    #[must_use]
    pub fn health(&self, now: MonoTime) -> Health {
        let hanging = self.hanging(now).map(|(stage, _)| stage);
        let is_bad = |stage: &Stage| {
            let is_late = stage
                .deadline()
                .is_some_and(|limit| self.age(*stage, now).is_none_or(|age| age > limit));
            stage.is_vital() && (is_late || self.is_broken(*stage))
        };
        hanging
            .or_else(|| Stage::ALL.into_iter().find(is_bad))
            .map_or(Health::Good, |stage| Health::Faulted(stage.name()))
    }

    /// Asks the process for something; a smaller wish than the present one changes nothing.
    pub fn wish(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::Relaxed);
    }

    /// What is asked for.
    #[must_use]
    pub fn wished(&self) -> Wish {
        match self.wish.load(Ordering::Relaxed) {
            0 => Wish::Run,
            1 => Wish::HandBack,
            2 => Wish::Stop,
            _ => Wish::Close,
        }
    }

    /// Whether every thread should end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.wished() >= Wish::Stop
    }
}

fn set(marks: &[AtomicI64], stage: Stage, now: MonoTime) {
    if let Some(mark) = marks.get(stage as usize) {
        mark.store(now.as_nanos(), Ordering::Relaxed);
    }
}

fn age(marks: &[AtomicI64], stage: Stage, now: MonoTime) -> Option<Duration> {
    let nanos = marks.get(stage as usize)?.load(Ordering::Relaxed);
    (nanos != i64::MIN).then(|| now.since(MonoTime::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    fn well() -> Watch {
        let watch = Watch::default();
        for stage in Stage::ALL {
            watch.beat(stage, at(1.0));
        }
        watch
    }

    #[test]
    fn what_has_brought_nothing_yet_is_a_fault_by_its_name() {
        let watch = Watch::default();
        assert_eq!(watch.health(at(0.0)), Health::Faulted("camera"));
        watch.beat(Stage::Camera, at(0.0));
        assert_eq!(watch.health(at(0.0)), Health::Faulted("inference"));
        assert_eq!(well().health(at(1.5)), Health::Good);
    }

    #[test]
    fn silence_beyond_the_deadline_is_a_fault_and_a_new_result_ends_it() {
        let watch = well();
        for stage in [Stage::Inference, Stage::Landing, Stage::LinkWrite] {
            watch.beat(stage, at(4.1));
        }
        assert_eq!(watch.health(at(4.2)), Health::Faulted("camera"));
        watch.beat(Stage::Camera, at(4.2));
        assert_eq!(watch.health(at(4.2)), Health::Good);
    }

    #[test]
    fn who_hangs_is_named_and_not_who_waits_for_it() {
        let watch = well();
        // The network got a frame at 1 s; the others go round and wait.
        for s in [2.0, 3.0, 4.0, 4.6] {
            watch.beat(Stage::Camera, at(s));
            watch.turn(Stage::Landing, at(s));
            watch.turn(Stage::Control, at(s));
            watch.beat(Stage::LinkWrite, at(s));
        }
        assert_eq!(watch.health(at(3.9)), Health::Good);
        assert_eq!(watch.health(at(4.7)), Health::Faulted("inference"));
        let (stage, age) = watch.hanging(at(4.7)).unwrap();
        assert_eq!((stage, age.as_millis()), (Stage::Inference, 3700));
        // Late, and going round: nobody hangs.
        watch.turn(Stage::Inference, at(4.7));
        assert_eq!(watch.hanging(at(4.7)), None);
        assert_eq!(watch.health(at(4.7)), Health::Faulted("inference"));
        watch.beat(Stage::Inference, at(4.7));
        watch.beat(Stage::Landing, at(4.7));
        assert_eq!(watch.health(at(4.7)), Health::Good);
    }

    #[test]
    fn a_broken_stage_stays_broken_and_the_record_breaks_no_landing() {
        let watch = well();
        watch.broke(Stage::Record);
        assert_eq!(watch.health(at(1.0)), Health::Good);
        watch.broke(Stage::LinkRead);
        watch.beat(Stage::LinkRead, at(1.0));
        assert_eq!(watch.health(at(1.0)), Health::Faulted("link-read"));
    }

    #[test]
    fn wishes_only_rise() {
        let watch = Watch::default();
        assert_eq!(watch.wished(), Wish::Run);
        watch.wish(Wish::Stop);
        watch.wish(Wish::HandBack);
        assert_eq!(watch.wished(), Wish::Stop);
        assert!(watch.is_stopping());
        watch.wish(Wish::Close);
        watch.wish(Wish::Stop);
        assert_eq!(watch.wished(), Wish::Close);
    }

    #[test]
    fn stages_are_numbered_in_order() {
        for (i, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, i);
        }
    }
}
