//! alight in flight: named threads, joined by bounded channels, in real time.
//!
//! ```text
//!  camera ──Shot──► decide ──Brief──► control ◄──bytes── link
//!    ▲ pose           ▲ situation       │  └──bytes──► device
//!    └────────────────┴─────────────────┘
//! ```
//!
//! The newest frame wins; what is dropped is counted. Commands are never queued: the control thread writes them itself.
//! Every wait has a deadline ([`schedule`]). A thread that panics or fails is a fault: the supervisor holds and
//! hands back, then everything ends. One flag stops and joins all.

mod control;
mod stages;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::decide::Situation;
use super::flight::Eyes;
use super::schedule;
use crate::autopilot::companion::{Companion, CompanionConfig};
use crate::autopilot::link::{self, LinkAddress};
use crate::autopilot::supervisor::{Brief, Phase, Reason, SupervisorConfigError};
use crate::camera::Frame;
use crate::geometry::{CameraModel, CameraMount, View};
use crate::landing::{Landing, LandingConfig};
use crate::record::DecisionLine;
use crate::sim::world::World;
use crate::time::{MonoTime, SystemClock};

/// Everything that a live flight is made of.
#[derive(Debug, Clone)]
pub struct LiveSpec {
    /// Where the autopilot is.
    pub link: LinkAddress,
    /// How the vehicle is commanded.
    pub companion: CompanionConfig,
    /// How a site is chosen.
    pub landing: LandingConfig,
    /// The ground that the camera renders.
    pub world: Arc<World>,
    /// The lens.
    pub camera: CameraModel,
    /// How the camera sits on the vehicle.
    pub mount: CameraMount,
    /// Time between two pictures.
    pub frame_interval: Duration,
    /// From a picture's exposure to its arrival.
    pub latency: Duration,
    /// Starts a landing as soon as one may be started; with a world camera only.
    pub engages_when_ready: bool,
}

/// What the caller is told.
#[derive(Debug, Clone)]
pub enum Note {
    /// A frame was decided on.
    Decision(Box<DecisionLine>),
    /// Something happened, at this moment.
    Event(MonoTime, String),
    /// How it is going.
    Status(Box<Status>),
}

/// How it is going.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// When.
    pub at: MonoTime,
    /// What alight is doing.
    pub phase: Phase,
    /// Why a landing could not be started now; `None` when it could.
    pub refusal: Option<&'static str>,
    /// Why the last landing ended or was stopped.
    pub reason: Option<Reason>,
    /// Height above ground, metres.
    pub height_m: Option<f64>,
    /// Bytes from the link.
    pub bytes: u64,
    /// Frames decided on, and dropped on the way.
    pub frames: (u64, u64),
}

/// Why the flight did not begin, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A setting of the landing stage.
    #[error(transparent)]
    Landing(#[from] crate::landing::ConfigError),
    /// A setting of the supervisor.
    #[error(transparent)]
    Supervisor(#[from] SupervisorConfigError),
    /// The system gave no thread.
    #[error("no thread {name}: {source}; are there too many?")]
    Thread {
        /// Which.
        name: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A stage ended before it was asked to.
    #[error("the {0} stage failed; the vehicle was handed back as far as the link allowed")]
    Stage(&'static str),
}

/// A picture, and how it was rendered.
#[derive(Debug)]
struct Shot {
    frame: Frame,
    /// How it looked at the world.
    truth: View,
}

/// What was the case at a frame's capture?
#[derive(Debug)]
struct Question {
    at: MonoTime,
    answer: Sender<Situation>,
}

/// From the link.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "bytes travel without allocation, in the channel's own memory"
)]
enum Arrival {
    Opened,
    Lost,
    Bytes(usize, [u8; schedule::CHUNK]),
}

/// Shared by all threads.
#[derive(Debug)]
struct Common<'a> {
    clock: &'a SystemClock,
    /// Everything ends.
    ends: AtomicBool,
    /// The caller wants the vehicle handed back, and then the end.
    stop: &'a AtomicBool,
    decided: AtomicU64,
    dropped: AtomicU64,
    faults: Sender<&'static str>,
    notes: Sender<Note>,
}

impl Common<'_> {
    fn is_over(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Tells the caller, if there is room.
    fn note(&self, note: Note) {
        // Whoever keeps the record is slow: the flight does not wait.
        let _ = self.notes.try_send(note);
    }

    /// Runs a stage; whatever ends it early is a fault.
    fn guard(&self, name: &'static str, stage: impl FnOnce()) {
        let result = catch_unwind(AssertUnwindSafe(stage));
        if result.is_err() || !self.is_over() {
            log::error!("the {name} stage ended");
            let _ = self.faults.try_send(name);
            if name == "control" {
                self.ends.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Flies until `stop` is set; then the vehicle is handed back, and every thread ends. `clock` stamps everything. `sink` is
/// told what happens, on this thread.
///
/// # Errors
/// A setting outside its range, or a stage that failed in flight.
pub fn run(
    spec: &LiveSpec,
    eyes: Eyes<'_>,
    clock: &SystemClock,
    stop: &AtomicBool,
    sink: &mut dyn FnMut(Note),
) -> Result<(), LiveError> {
    let companion = Companion::new(spec.companion.clone())?;
    let landing = Landing::new(spec.landing.clone())?;
    let (faults, broken) = bounded(8);
    let (notes, told) = bounded(schedule::NOTES);
    let common = Common {
        clock,
        ends: AtomicBool::new(false),
        stop,
        decided: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        faults,
        notes,
    };
    let (reader, writer) = link::open(spec.link.clone(), schedule::LINK_PATIENCE);
    let (shots, shown) = bounded(schedule::FRAMES);
    let (questions, asked) = bounded(schedule::QUESTIONS);
    let (briefs, decisions) = bounded::<Brief>(schedule::BRIEFS);
    let (arrivals, arrived) = bounded(schedule::CHUNKS);
    let camera = stages::Camera::new(spec, questions.clone());
    let decide = stages::Decide::new(spec, landing, eyes, (questions, briefs));
    let hub = control::Inbox {
        arrived,
        asked,
        decisions,
        broken,
    };
    let control = control::Control::new(companion, writer, spec.engages_when_ready);
    let common = &common;
    let fault = std::thread::scope(|scope| {
        let (failed, fault) = bounded(1);
        spawn(scope, common, "control", move || {
            // Whoever waits for it takes one.
            let _ = failed.try_send(control.run(common, &hub));
        })?;
        spawn(scope, common, "link", || {
            stages::listen(common, reader, &arrivals);
        })?;
        spawn(scope, common, "camera", || camera.run(common, &shots))?;
        spawn(scope, common, "decide", || decide.run(common, &shown))?;
        tell(common, &told, sink);
        Ok::<_, LiveError>(fault)
    })?;
    for note in told.try_iter() {
        sink(note);
    }
    // A control thread that says nothing has panicked.
    match fault.try_recv() {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(LiveError::Stage(name)),
        Err(_) => Err(LiveError::Stage("control")),
    }
}

/// A named thread; without it, everything ends.
fn spawn<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    common: &'s Common<'_>,
    name: &'static str,
    stage: impl FnOnce() + Send + 's,
) -> Result<(), LiveError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, move || common.guard(name, stage))
        .map(|_| ())
        .map_err(|source| {
            common.ends.store(true, Ordering::Relaxed);
            LiveError::Thread { name, source }
        })
}

/// Hands notes to the caller until the end.
fn tell(common: &Common<'_>, told: &Receiver<Note>, sink: &mut dyn FnMut(Note)) {
    while !common.is_over() {
        if let Ok(note) = told.recv_timeout(schedule::BEAT) {
            sink(note);
        }
    }
}
