//! A closed-loop flight in virtual time: a world, a simulated autopilot, and alight between its camera and its link.
//!
//! ```text
//!  world camera ──Frame──► segmenter ──► landing ──Brief──► Companion ──bytes──► SimAutopilot
//!    ▲  true pose                          ▲ pose at capture   │ ◄──bytes──           │
//!    └─────────────────────────────────────┴───────────────────┴──────────────────────┘
//! ```
//!
//! Nothing here decides: it moves bytes and pictures at their moments, lets faults happen, and judges by the truth. The same
//! seed gives the same flight on every machine and with any number of threads.

mod ear;
mod eye;
mod judge;
mod record;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use crate::autopilot::companion::{Companion, CompanionConfig};
use crate::autopilot::supervisor::{Brief, Phase, Request};
use crate::camera::Frame;
use crate::geometry::{CameraModel, CameraMount, Vec3, View};
use crate::inference::SegmentationMap;
use crate::landing::{HoldReason, Landing, LandingConfig, LandingDecision, Outcome};
use crate::record::{EventLine, FlightResult, TrackPoint};
use crate::sim::autopilot::{Dialect, Noise, Range, SimAutopilot, SimConfig, Wind};
use crate::sim::campaign::Start;
use crate::sim::faults::Fault;
use crate::sim::world::World;
use crate::time::MonoTime;

use super::decide::{Decided, Decider, Situation};
use ear::Ear;
pub use eye::Eyes;
use eye::{Eye, Seen};
use judge::Judge;
use record::hundredths;
pub use record::{FlightRecord, dialect_name};
use trouble::{Scene, Trouble};

/// The link is looked at this often.
const STEP: Duration = Duration::from_millis(10);
/// The control tick, in steps.
const TICK_STEPS: u64 = 5;
/// A track point is kept every so many steps.
const TRACK_STEPS: u64 = 25;
/// The landing is asked for this long after the start: telemetry flows by then.
const ENGAGE_AT: Duration = Duration::from_secs(4);
/// Once more after this, until it is taken.
const ENGAGE_AGAIN: Duration = Duration::from_secs(2);
/// After an end (on the ground, handed back) the flight is watched this long.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Touching down faster than this is a crash, metres a second.
const CRASH_M_S: f64 = 2.0;
/// Events kept of a flight.
const EVENTS: usize = 200;

/// Everything that a flight is made of.
#[derive(Debug, Clone)]
pub struct FlightSpec {
    /// Decides the noise of all sensors.
    pub seed: u64,
    /// Whose behaviour the autopilot has.
    pub dialect: Dialect,
    /// The ground, and who moves on it.
    pub world: Arc<World>,
    /// Whether the world has a place to land at all.
    pub has_place: bool,
    /// Where it starts, and the weather.
    pub start: Start,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How a site is chosen.
    pub landing: LandingConfig,
    /// How the vehicle is commanded.
    pub companion: CompanionConfig,
    /// The lens.
    pub camera: CameraModel,
    /// How the camera sits on the vehicle.
    pub mount: CameraMount,
    /// Time between two pictures.
    pub frame_interval: Duration,
    /// From a picture's capture to the decision on it.
    pub latency: Duration,
    /// Time after which the flight is over, whatever happens.
    pub longest: Duration,
}

/// A decided frame, for whoever watches.
#[derive(Debug)]
pub struct Look<'a> {
    /// The picture.
    pub frame: &'a Frame,
    /// How it was believed to look at the ground.
    pub view: Option<&'a View>,
    /// What was seen on it.
    pub segmentation: Option<&'a SegmentationMap>,
    /// What was decided.
    pub decision: &'a LandingDecision,
    /// What alight is doing.
    pub phase: Phase,
}

/// Watches a flight; whatever it does changes nothing.
pub trait Watcher {
    /// A frame was decided on.
    fn look(&mut self, _look: &Look<'_>) {}
    /// The vehicle is here.
    fn track(&mut self, _point: &TrackPoint, _last_text: &str) {}
    /// Whether to stop before the end.
    fn is_over(&mut self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Debug)]
pub struct Unwatched;

impl Watcher for Unwatched {}

/// Flies it. `None` when the watcher stopped it.
///
/// # Errors
/// A setting outside its range.
pub fn fly(
    spec: &FlightSpec,
    eyes: Eyes<'_>,
    watcher: &mut dyn Watcher,
) -> Result<Option<FlightRecord>, FlightError> {
    let mut flight = Flight::new(spec, eyes)?;
    loop {
        if flight.steps.is_multiple_of(TRACK_STEPS) && watcher.is_over() {
            return Ok(None);
        }
        flight.step(watcher);
        if let Some(result) = flight.ending() {
            return Ok(Some(flight.record(result)));
        }
    }
}

/// Why a flight cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum FlightError {
    /// A setting of the landing stage.
    #[error(transparent)]
    Landing(#[from] crate::landing::ConfigError),
    /// A setting of the supervisor.
    #[error(transparent)]
    Supervisor(#[from] crate::autopilot::supervisor::SupervisorConfigError),
}

/// A takeover under way.
#[derive(Debug)]
struct Takeover {
    at: MonoTime,
    phase: Phase,
    way: &'static str,
    custom_mode: u32,
    shown_at: Option<MonoTime>,
}

struct Flight<'a> {
    spec: &'a FlightSpec,
    now: MonoTime,
    steps: u64,
    autopilot: SimAutopilot,
    companion: Companion,
    decider: Decider,
    segmentation: SegmentationMap,
    eye: Eye<'a>,
    next_frame: MonoTime,
    /// The picture under way, the error of the estimate when it was taken, and when the decision on it is there.
    under_way: Option<(Seen, Vec3<crate::geometry::Ned>, MonoTime)>,
    judge: Judge,
    ear: Ear,
    trouble: Trouble,
    takeover: Option<Takeover>,
    engage_at: MonoTime,
    phase: Phase,
    ended_at: Option<MonoTime>,
    last_hold: Option<HoldReason>,
    track: Vec<TrackPoint>,
    events: Vec<EventLine>,
    heard_texts: usize,
    bytes: Vec<u8>,
}

impl<'a> Flight<'a> {
    fn new(spec: &'a FlightSpec, eyes: Eyes<'a>) -> Result<Self, FlightError> {
        let lens = (spec.camera.clone(), spec.mount);
        Ok(Self {
            now: MonoTime::ZERO,
            steps: 0,
            autopilot: SimAutopilot::new(sim_config(spec)),
            companion: Companion::new(spec.companion.clone())?,
            decider: Decider::new(
                Landing::new(spec.landing.clone())?,
                spec.camera.clone(),
                spec.mount,
            ),
            segmentation: SegmentationMap::default(),
            eye: Eye::new(eyes, Arc::clone(&spec.world), lens, spec.seed),
            next_frame: MonoTime::ZERO,
            under_way: None,
            judge: Judge::new(Arc::clone(&spec.world), spec.landing.vehicle_radius_m),
            ear: Ear::default(),
            trouble: Trouble::new(&spec.faults),
            takeover: None,
            engage_at: MonoTime::ZERO.after(ENGAGE_AT),
            phase: Phase::Standby,
            ended_at: None,
            last_hold: None,
            track: Vec::new(),
            events: Vec::new(),
            heard_texts: 0,
            bytes: Vec::new(),
            spec,
        })
    }

    /// One step of the link; the camera and the control tick have their own beats in it.
    fn step(&mut self, watcher: &mut dyn Watcher) {
        self.steps += 1;
        self.now = self.now.after(STEP);
        self.autopilot.advance(self.now);
        self.downlink();
        self.look(watcher);
        if self.now >= self.engage_at && self.phase == Phase::Standby {
            self.companion.request(Request::Start);
            self.engage_at = self.now.after(ENGAGE_AGAIN);
        }
        if self.steps.is_multiple_of(TICK_STEPS) {
            self.companion.tick(self.now);
            let truth = self.autopilot.truth();
            // Whoever walks up to a vehicle that stands with its motors off is no flight's matter.
            let is_over = truth.touchdown.is_some() && !truth.is_armed;
            if !is_over {
                self.judge.be_at(truth.position, self.now.as_secs_f64());
            }
        }
        self.uplink();
        self.follow();
        self.break_things();
        if self.steps.is_multiple_of(TRACK_STEPS) {
            let point = self.track_point();
            self.track.push(point);
            watcher.track(&point, self.events.last().map_or("", |e| e.text.as_str()));
        }
    }

    /// What the autopilot says reaches alight.
    fn downlink(&mut self) {
        self.bytes.clear();
        self.autopilot.transmit(&mut self.bytes);
        if let Some(takeover) = &mut self.takeover
            && takeover.shown_at.is_none()
            && ear::shows_takeover(&self.bytes, takeover.custom_mode)
        {
            takeover.shown_at = Some(self.now);
        }
        if !self.bytes.is_empty() {
            self.companion.receive(&self.bytes, self.now);
            self.uplink();
        }
    }

    /// What alight says reaches the autopilot.
    fn uplink(&mut self) {
        self.bytes.clear();
        self.companion.drain(&mut self.bytes);
        if self.bytes.is_empty() {
            return;
        }
        self.ear.sent(&self.bytes, self.now);
        self.autopilot.receive(&self.bytes, self.now);
        for (at, text) in self.ear.texts.iter().skip(self.heard_texts) {
            if self.events.len() < EVENTS {
                self.events.push(EventLine {
                    at_s: hundredths(at.as_secs_f64()),
                    text: text.clone(),
                });
            }
        }
        self.heard_texts = self.ear.texts.len();
    }

    /// Takes pictures, and decides on them when their time has come.
    fn look(&mut self, watcher: &mut dyn Watcher) {
        if self
            .under_way
            .as_ref()
            .is_some_and(|(_, _, ready)| self.now >= *ready)
            && let Some((seen, error, _)) = self.under_way.take()
        {
            self.decide(&seen, error, watcher);
        }
        // A slow segmenter gets the next picture late, as in flight.
        if self.now < self.next_frame || self.under_way.is_some() {
            return;
        }
        self.next_frame = self.now.after(self.spec.frame_interval);
        let truth = *self.autopilot.truth();
        let fault = self.trouble.camera(self.now);
        if let Some(seen) = self.eye.capture(&truth, self.now, fault) {
            self.under_way = Some((
                seen,
                truth.estimate_error,
                self.now.after(self.spec.latency),
            ));
        }
    }

    fn decide(
        &mut self,
        seen: &Seen,
        error: Vec3<crate::geometry::Ned>,
        watcher: &mut dyn Watcher,
    ) {
        let frame = &seen.frame;
        let situation = Situation::of(&self.companion, frame.captured_at, self.now);
        let segmented = self.eye.segment(seen, &mut self.segmentation).is_ok();
        let segmentation = segmented.then_some(&self.segmentation);
        let Decided { decision, view } =
            self.decider
                .decide(frame, segmentation, &situation, self.now);
        self.judge.decisions += 1;
        match (decision.outcome, &decision.site) {
            (Outcome::Site, Some(site)) => {
                self.judge
                    .offered(site, error, frame.captured_at.as_secs_f64());
            }
            (Outcome::Hold(reason), _) => self.last_hold = Some(reason),
            (Outcome::Site, None) => {}
        }
        self.companion
            .decide(Brief::of(decision, situation.epoch), self.now);
        watcher.look(&Look {
            frame,
            view: view.as_ref(),
            segmentation,
            decision,
            phase: self.phase,
        });
        self.choose(error);
    }

    /// Notes where the chosen site truly lies.
    fn choose(&mut self, error: Vec3<crate::geometry::Ned>) {
        let flies = matches!(
            self.phase,
            Phase::Approaching | Phase::Descending | Phase::Committed
        );
        let Some(watch) = self.companion.watch().filter(|_| flies) else {
            return;
        };
        self.judge.chosen = Some(judge::true_place(watch, error));
    }

    /// Follows the phase.
    fn follow(&mut self) {
        let phase = self.companion.phase();
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        self.trouble.enters(phase, self.now);
        if self.events.len() < EVENTS {
            let height = -self.autopilot.truth().position.down();
            self.events.push(EventLine {
                at_s: hundredths(self.now.as_secs_f64()),
                text: format!("{} at {height:.1} m", phase.text()),
            });
        }
    }

    fn break_things(&mut self) {
        let custom_mode = self
            .companion
            .state()
            .mode
            .map_or(0, |m| m.value.custom_mode);
        let mut scene = Scene {
            autopilot: &mut self.autopilot,
            eye: &mut self.eye,
            chosen: self.judge.chosen,
            phase: self.phase,
        };
        let before = Arc::as_ptr(scene.eye.world());
        let takeover = self.trouble.step(&mut scene, self.now);
        if Arc::as_ptr(self.eye.world()) != before {
            self.judge.set_world(Arc::clone(self.eye.world()));
        }
        if let Some(way) = takeover {
            self.ear.watch_for_silence();
            self.takeover = Some(Takeover {
                at: self.now,
                phase: self.phase,
                way,
                custom_mode,
                shown_at: None,
            });
        }
    }

    /// How it ended, once it has.
    fn ending(&mut self) -> Option<FlightResult> {
        let truth = self.autopilot.truth();
        let crashed = truth.touchdown.is_some_and(|t| t.speed_m_s > CRASH_M_S);
        if crashed {
            return Some(FlightResult::Crashed);
        }
        let is_down = truth.touchdown.is_some() && (truth.is_landed || !truth.is_armed);
        let is_given_back = matches!(self.phase, Phase::HandedBack | Phase::Landed);
        let is_taken = self.takeover.is_some();
        if is_down || is_given_back || is_taken {
            let since = *self.ended_at.get_or_insert(self.now);
            if self.now.since(since) >= AFTERMATH {
                return Some(self.result(truth.touchdown.is_some()));
            }
        } else {
            self.ended_at = None;
        }
        let is_late = self.now.since(MonoTime::ZERO) >= self.spec.longest;
        is_late.then(|| {
            if self.phase == Phase::Aborted {
                FlightResult::Held
            } else {
                FlightResult::Timeout
            }
        })
    }
}

/// The vehicle of a flight, at its start.
#[must_use]
pub fn sim_config(spec: &FlightSpec) -> SimConfig {
    let s = &spec.start;
    SimConfig {
        start: Vec3::new(s.north_m, s.east_m, -s.height_m),
        yaw_rad: s.yaw_rad,
        wind: Wind {
            speed_m_s: s.wind_m_s,
            from_rad: s.wind_from_rad,
            turbulence: s.turbulence,
        },
        noise: Noise::outdoors(spec.dialect),
        range: Some(Range {
            min_m: 0.1,
            max_m: 100.0,
        }),
        ..SimConfig::new(spec.dialect, spec.seed)
    }
}
