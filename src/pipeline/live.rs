//! The live driver: the same stages as in the stepped one, each on a thread of its own, in real time.
//!
//! ```text
//!            newest frame            maps (a pool)            briefs
//!  camera ───────────────► inference ─────────────► landing ──────────► control ──buffers──► link-write ──► device
//!    │                                                │ ▲                 ▲ │ ▲                               │
//!    └────────────── where was the vehicle? ──────────┴─┼─────────────────┘ │ └──buffers──── link-read ◄──────┘
//!                    (questions, answered at once) ◄────┘                   └──notes──► record
//! ```
//!
//! - The *newest frame* wins: an older one that the network did not get to is dropped and counted.
//! - Commands and bytes are never dropped here: who has no room is waited for, with a deadline, or they are kept.
//! - No lock is held across stages. The control thread owns all that is known of the vehicle, and answers questions.
//! - Every wait has a deadline; all of them stand in [`schedule`](super::schedule).
//! - A stage that breaks (a panic, an end before its time), hangs or is late is a fault of the pipeline: the heartbeat
//!   falls silent, and the supervisor holds and hands back when its patience ends. One that recovers is welcome; when
//!   one is broken or hangs for good, everything ends after the hand-back.
//! - One wish ends everything: first the vehicle is handed back, then every thread ends and is joined.
//!
//! The thread that calls [`run`] is the watchdog. It never waits for what it watches.

mod ask;
mod computer;
mod control;
mod counts;
mod latest;
mod realtime;
mod record;
mod service;
mod stages;
mod start;
mod status;
mod tape;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

pub use computer::THROTTLED;
pub use counts::{CountsReport, LatencyReport};
pub use realtime::RealTime;
pub use status::Status;
pub use tape::{TapeEntry, TapedDecision};

use super::pressure::{Pace, PaceMark, Pressure};
use super::schedule::{
    BEAT, CONTROL_DEADLINE, FAULT_GRACE, GAUGE_PERIOD, HAND_BACK_LIMIT, HANG_LIMIT,
    HUNG_JOIN_LIMIT, JOIN_LIMIT, STATUS_PERIOD,
};
use super::watchdog::{Stage, Watch, Wish};
use crate::autopilot::commands::{Notice, Severity};
use crate::autopilot::companion::CompanionConfig;
use crate::autopilot::link::{Keyring, LinkAddress};
use crate::autopilot::supervisor::{Phase, SupervisorConfigError};
use crate::camera::FrameSource;
use crate::camera::world::WorldSpec;
use crate::geometry::{CameraModel, CameraMount};
use crate::inference::Segmenter;
use crate::landing::{ConfigError, LandingConfig};
use crate::record::RecordError;
use crate::time::{Clock as _, MonoTime, SystemClock};
use computer::{Gauge, is_throttled};
use control::is_idle;
use counts::Counts;
use record::Notes;
use service::Service;
use start::Started;

/// Where frames come from.
pub enum Camera {
    /// A world camera: it renders what the vehicle would see.
    World(Box<WorldSpec>),
    /// Any other source, in real time, with its lens and mount.
    Source(Box<dyn FrameSource + Send>, CameraModel, CameraMount),
}

/// Everything that flies.
pub struct Parts {
    /// Where frames come from.
    pub camera: Camera,
    /// Says what they show.
    pub segmenter: Box<dyn Segmenter + Send>,
    /// How a site is chosen.
    pub landing: LandingConfig,
    /// How the vehicle is commanded.
    pub companion: CompanionConfig,
    /// Where the autopilot is.
    pub link: LinkAddress,
    /// Stamps everything.
    pub clock: SystemClock,
}

/// How it is run.
#[derive(Debug, Default)]
pub struct Options {
    /// Start a landing, once, as soon as everything is ready: with a world camera only.
    pub engages_when_ready: bool,
    /// Hand back and stop after this.
    pub longest: Option<Duration>,
    /// Folder for `decisions.jsonl` and `events.jsonl`; it must exist.
    pub out: Option<PathBuf>,
    /// The files there end when they hold so many bytes; 0: never.
    pub record_limit: u64,
    /// The file that says, after a restart in the air, that the vehicle was ours.
    pub mark: Option<PathBuf>,
    /// Gets everything that went in and came out.
    pub tape: Option<Sender<TapeEntry>>,
    /// Keeps the time of signatures over a restart.
    pub keyring: Option<Keyring>,
    /// Whether threads that speak with the autopilot come first, and memory is locked.
    pub real_time: RealTime,
    /// Fewer pictures are looked at from this temperature on, degrees Celsius, and when the board is too busy; `None`: never.
    pub hot_c: Option<f64>,
    /// Once set, it ends with [`Ended::Reload`], where that is safe; else it is unset, and the ground hears why.
    pub reload: Option<Arc<AtomicBool>>,
    /// Told to the ground as soon as an autopilot is heard.
    pub remark: Option<Notice>,
}

/// Why it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, or its time was up, or there were no more pictures.
    AsWished,
    /// It was asked to read its settings again, and is on the ground.
    Reload,
    /// A stage broke or hung, and why; the vehicle was given back before, as far as the link allowed.
    Broken {
        /// Which.
        stage: &'static str,
        /// Its last words.
        why: String,
    },
    /// The control thread hung: nothing could be given back.
    Hung,
}

/// How it went.
#[derive(Debug)]
pub struct LiveReport {
    /// Why it ended.
    pub ended: Ended,
    /// The last that the control thread said.
    pub status: Option<Status>,
    /// What was counted.
    pub counts: CountsReport,
    /// Why the record is not complete.
    pub unwritten: Option<RecordError>,
    /// Threads that did not end in time, by name.
    pub left_behind: Vec<&'static str>,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A setting of the landing stage.
    #[error(transparent)]
    Landing(#[from] ConfigError),
    /// A setting of the supervisor.
    #[error(transparent)]
    Supervisor(#[from] SupervisorConfigError),
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives no thread.
    #[error("the thread {name} cannot be started: {source}; are there too many processes?")]
    Thread {
        /// Its name.
        name: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Real time is required, and the system refuses it.
    #[error("system.realtime = \"required\": {0}; or set \"auto\" to run without on the bench")]
    RealTime(String),
    /// Nothing but a simulated camera may start by itself.
    #[error("only a world camera may start a landing by itself")]
    EngagesWithRealCamera,
}

/// What every thread has.
#[derive(Debug, Clone)]
struct Common {
    watch: Arc<Watch>,
    counts: Arc<Counts>,
    clock: SystemClock,
    notes: Notes,
    pace: Arc<PaceMark>,
}

/// A thread that broke, with its last words.
#[derive(Debug)]
struct Failure {
    stage: Stage,
    why: String,
}

/// Runs until `stop` is set, the time is up, the pictures end or a stage fails for good; the vehicle is given back first.
///
/// # Errors
/// Why it cannot start; once it runs, what happens is in the report.
pub fn run(parts: Parts, mut options: Options, stop: &AtomicBool) -> Result<LiveReport, LiveError> {
    let (longest, reload) = (options.longest, options.reload.take());
    let (pressure, remark) = (options.hot_c.map(Pressure::new), options.remark);
    let started = Started::start(parts, options)?;
    let mut watchdog = Watchdog::new(started, longest);
    (watchdog.pressure, watchdog.reload) = (pressure, reload);
    if let Some(notice) = remark {
        watchdog.remark(Severity::Warning, notice);
    }
    let is_hung = watchdog.watch(stop);
    Ok(watchdog.finish(is_hung))
}

/// The thread that looks after the others.
struct Watchdog {
    started: Started,
    begun: MonoTime,
    longest: Option<Duration>,
    failure: Option<Failure>,
    failed_at: Option<MonoTime>,
    asked_at: Option<MonoTime>,
    status: Option<Status>,
    gauge: Gauge,
    service: Service,
    pressure: Option<Pressure>,
    reload: Option<Arc<AtomicBool>>,
    is_reloading: bool,
    next_gauge: MonoTime,
    next_line: MonoTime,
}

impl Watchdog {
    fn new(started: Started, longest: Option<Duration>) -> Self {
        let begun = started.common.clock.now();
        Self {
            begun,
            longest,
            failure: None,
            failed_at: None,
            asked_at: None,
            status: None,
            gauge: Gauge::default(),
            service: Service::from_env(),
            pressure: None,
            reload: None,
            is_reloading: false,
            next_gauge: begun,
            // The first tells what is missing.
            next_line: begun.after(Duration::from_secs(1)),
            started,
        }
    }

    /// Looks until the control thread has ended; `true` when it hangs.
    fn watch(&mut self, stop: &AtomicBool) -> bool {
        loop {
            // Waiting for bad news is the wait.
            let failure = self.started.failures.recv_timeout(BEAT).ok();
            let now = self.started.common.clock.now();
            self.status = self.started.status.try_take().or(self.status);
            self.note(failure.or_else(|| self.hanging(now)), now);
            let is_due = self.longest.is_some_and(|l| now.since(self.begun) >= l);
            let watch = Arc::clone(&self.started.common.watch);
            if is_due || stop.load(Ordering::Relaxed) || self.is_lost(now) {
                self.is_reloading = false;
                watch.wish(Wish::HandBack);
            }
            self.heed_reload();
            if watch.wished() != Wish::Run {
                self.asked_at.get_or_insert(now);
            }
            if self.started.is_finished(Stage::Control) {
                return false;
            }
            let is_silent = watch
                .age(Stage::Control, now)
                .is_some_and(|age| age > CONTROL_DEADLINE);
            if is_silent || self.is_overdue(now) {
                log::error!("the control thread hangs: everything ends");
                return true;
            }
            if self.status.is_some() {
                self.service.ready();
            }
            if now >= self.next_gauge {
                self.next_gauge = now.after(GAUGE_PERIOD);
                self.service.alive();
                self.gauge(now);
            }
            if now >= self.next_line {
                self.next_line = now.after(STATUS_PERIOD);
                self.tell();
            }
        }
    }

    /// Looks at the board, tells of it, and lowers or raises the pace.
    fn gauge(&mut self, now: MonoTime) {
        let board = self.gauge.read();
        self.started.computer.put(board);
        let Some(pressure) = &mut self.pressure else {
            return;
        };
        let Some(change) = pressure.look(&board, is_throttled(), now) else {
            return;
        };
        self.started.common.pace.set(change.pace);
        let severity = match change.why {
            Some(_) => Severity::Warning,
            None => Severity::Info,
        };
        self.remark(severity, Notice::new(format_args!("alight: {change}")));
    }

    /// Something for the ground; the log hears it from there.
    fn remark(&self, severity: Severity, notice: Notice) {
        if self.started.remarks.try_send((severity, notice)).is_err() {
            log::warn!("not told to the ground, which nobody hears: {notice}");
        }
    }

    /// Somebody asked for the settings to be read again.
    fn heed_reload(&mut self) {
        let is_asked = |flag: &Arc<AtomicBool>| flag.swap(false, Ordering::Relaxed);
        if !self.reload.as_ref().is_some_and(is_asked)
            || self.started.common.watch.wished() != Wish::Run
        {
            return;
        }
        let may = self
            .status
            .map_or(Err("not known to be disarmed"), |s| s.may_reload());
        match may {
            Ok(()) => {
                self.is_reloading = true;
                self.service.reloading();
                self.started.common.watch.wish(Wish::HandBack);
            }
            Err(why) => {
                log::warn!("the settings are not read again: {why}");
                let text = format_args!("alight: settings not reloaded: {why}");
                self.remark(Severity::Warning, Notice::new(text));
            }
        }
    }

    /// Somebody who hangs and will not come back.
    fn hanging(&self, now: MonoTime) -> Option<Failure> {
        let (stage, age) = self.started.common.watch.hanging(now)?;
        (age > HANG_LIMIT && self.failure.is_none()).then(|| Failure {
            stage,
            why: format!("hangs for {:.0} s", age.as_secs_f64()),
        })
    }

    fn note(&mut self, failure: Option<Failure>, now: MonoTime) {
        let Some(failure) = failure else {
            return;
        };
        log::error!("{}: {}", failure.stage.name(), failure.why);
        if failure.stage == Stage::Record {
            // The landing goes on without it.
            return;
        }
        self.failed_at.get_or_insert(now);
        self.failure.get_or_insert(failure);
    }

    /// A stage failed for good, and the vehicle is ours no more or has been for too long.
    fn is_lost(&self, now: MonoTime) -> bool {
        let Some(failed_at) = self.failed_at else {
            return false;
        };
        // The status is of the tick before: let one pass that knows of the fault.
        let is_given_back = self
            .status
            .is_some_and(|s| is_idle(s.phase) && s.at > failed_at);
        is_given_back || now.since(failed_at) > FAULT_GRACE
    }

    fn is_overdue(&self, now: MonoTime) -> bool {
        self.asked_at
            .is_some_and(|at| now.since(at) > HAND_BACK_LIMIT + CONTROL_DEADLINE)
    }

    fn tell(&mut self) {
        let counts = self.started.common.counts.report();
        let mut line = self
            .status
            .map_or_else(|| "starting".to_owned(), |s| s.line(&counts));
        let pace = self.started.common.pace.get();
        if pace != Pace::Full {
            let ms = pace.interval().as_millis();
            let _ = write!(line, " | eased: a picture every {ms} ms");
        }
        log::info!("{line}");
        self.service.goes(&line);
    }

    /// Ends and joins everything.
    fn finish(mut self, is_hung: bool) -> LiveReport {
        let common = self.started.common.clone();
        match &self.failure {
            Some(f) => {
                let why = format!("ending: {}: {}", f.stage.name(), f.why);
                self.service.stopping(&why);
            }
            None if self.is_reloading => {}
            None => self.service.stopping("ending as asked"),
        }
        let patience = if is_hung { HUNG_JOIN_LIMIT } else { JOIN_LIMIT };
        let left_behind = self.started.join(patience);
        // Bad news may have come meanwhile.
        let mut late = self.started.failures.try_iter();
        let late = late.find(|f| f.stage != Stage::Record);
        let ended = match self.failure.or(late) {
            _ if is_hung => Ended::Hung,
            Some(f) => Ended::Broken {
                stage: f.stage.name(),
                why: f.why,
            },
            None if self.is_reloading => Ended::Reload,
            None => Ended::AsWished,
        };
        LiveReport {
            ended,
            status: self.started.status.try_take().or(self.status),
            counts: common.counts.report(),
            unwritten: self.started.unwritten.try_recv().ok(),
            left_behind,
        }
    }
}

impl LiveReport {
    /// The phase at the end.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.map_or(Phase::Standby, |s| s.phase)
    }
}
