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
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use crate::autopilot::companion::{Companion, CompanionConfig};
use crate::autopilot::supervisor::{Brief, Phase, Reason, Request};
use crate::camera::Frame;
use crate::geometry::{CameraModel, CameraMount, Vec3, View};
use crate::inference::SegmentationMap;
use crate::landing::{HoldReason, Landing, LandingConfig, LandingDecision, LandingInput, Outcome};
use crate::record::{EventLine, FlightLine, FlightResult, StartLine, TakeoverLine, TrackPoint};
use crate::sim::autopilot::{Dialect, Noise, Range, SimAutopilot, SimConfig, Truth, Wind};
use crate::sim::campaign::Start;
use crate::sim::faults::Fault;
use crate::sim::world::World;
use crate::time::MonoTime;

use ear::Ear;
pub use eye::Eyes;
use eye::{Eye, Seen};
use judge::Judge;
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

/// A flight that is over.
#[derive(Debug, Clone)]
pub struct FlightRecord {
    /// What it came to.
    pub line: FlightLine,
    /// The way.
    pub track: Vec<TrackPoint>,
    /// What happened.
    pub events: Vec<EventLine>,
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
    landing: Landing,
    segmentation: SegmentationMap,
    eye: Eye<'a>,
    next_frame: MonoTime,
    /// The picture under way, the error of the estimate when it was taken, and when the decision on it is there.
    under_way: Option<(Seen, Vec3<crate::geometry::Ned>, MonoTime)>,
    epoch: u32,
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
            landing: Landing::new(spec.landing.clone())?,
            segmentation: SegmentationMap::default(),
            eye: Eye::new(eyes, Arc::clone(&spec.world), lens, spec.seed),
            next_frame: MonoTime::ZERO,
            under_way: None,
            epoch: 0,
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
            self.judge
                .be_at(self.autopilot.truth().position, self.now.as_secs_f64());
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
        let epoch = self.companion.state().epoch;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.landing.start_new_map();
        }
        self.landing.watch(self.companion.watch());
        let pose = self
            .companion
            .history()
            .pose_at(frame.captured_at, self.now);
        let view = pose.ok().map(|p| self.eye.view(p));
        let segmented = self.eye.segment(seen, &mut self.segmentation).is_ok();
        let range = self.companion.state().range_m;
        let range_m = range.and_then(|r| r.fresh(self.now, Duration::from_millis(500)).copied());
        let decision = match (&view, segmented) {
            (Some(view), true) => {
                let input = LandingInput {
                    segmentation: &self.segmentation,
                    view,
                    picture: &frame.image,
                    range_m,
                };
                self.landing.step(&input, self.now)
            }
            (_, false) => {
                self.landing
                    .hold(frame.seq, frame.captured_at, HoldReason::NoSegmentation)
            }
            (None, _) => self
                .landing
                .hold(frame.seq, frame.captured_at, HoldReason::NoPose),
        };
        self.judge.decisions += 1;
        match (decision.outcome, &decision.site) {
            (Outcome::Site, Some(site)) => {
                self.judge
                    .offered(site, error, frame.captured_at.as_secs_f64());
            }
            (Outcome::Hold(reason), _) => self.last_hold = Some(reason),
            (Outcome::Site, None) => {}
        }
        self.companion.decide(Brief::of(decision, epoch), self.now);
        watcher.look(&Look {
            frame,
            view: view.as_ref(),
            segmentation: segmented.then_some(&self.segmentation),
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

    fn result(&self, is_down: bool) -> FlightResult {
        let is_taken = self.takeover.is_some()
            || matches!(
                self.companion.reason(),
                Some(Reason::TakenOver(_) | Reason::SticksMoved)
            );
        if is_down {
            FlightResult::Landed
        } else if is_taken {
            FlightResult::HandedBack
        } else {
            FlightResult::Held
        }
    }

    fn track_point(&self) -> TrackPoint {
        let p = self.autopilot.truth().position;
        TrackPoint {
            at_s: self.now.as_secs_f64(),
            north_m: p.north(),
            east_m: p.east(),
            height_m: -p.down(),
            phase: self.phase.text(),
            site_m: self.judge.chosen.map(|g| [g.north_m, g.east_m]),
            person_m: self.judge.person_m(p, self.now.as_secs_f64()),
        }
    }

    fn record(self, result: FlightResult) -> FlightRecord {
        let truth: &Truth = self.autopilot.truth();
        let touchdown = truth.touchdown.map(|t| self.judge.touchdown(&t));
        let person = self.judge.person_min_m.map(hundredths);
        let mut line = FlightLine {
            seed: self.spec.seed,
            autopilot: dialect_name(self.spec.dialect).to_owned(),
            start: start_line(&self.spec.start),
            result,
            success: false,
            reason: None,
            has_place: self.spec.has_place,
            touchdown,
            person_min_distance_m: person,
            decisions: self.judge.decisions,
            site_decisions: self.judge.sites,
            false_safe_decisions: self.judge.false_safe,
            time_s: hundredths(self.now.as_secs_f64()),
            aborts: self.companion.tally().aborts,
            reroutes: self.companion.tally().reroutes,
            faults: self.trouble.lines(),
            takeover: self.takeover.as_ref().map(|t| takeover_line(t, &self.ear)),
            events: Vec::new(),
        };
        line.reason = self.failure(&line);
        line.success = line.reason.is_none();
        if !line.success {
            line.events.clone_from(&self.events);
        }
        FlightRecord {
            line,
            track: self.track,
            events: self.events,
        }
    }

    /// Why it is no success.
    fn failure(&self, line: &FlightLine) -> Option<String> {
        if let Some(t) = &line.touchdown {
            if line.result == FlightResult::Crashed {
                return Some(format!("hit the ground at {:.1} m/s", t.sink_m_s));
            }
            if !t.surface.is_landable() {
                return Some(format!("came down on {}", t.surface.name()));
            }
        }
        if let Some(d) = line.person_min_distance_m.filter(|d| *d < judge::PEOPLE_M) {
            return Some(format!("a person at {d:.2} m while below 10 m"));
        }
        if line.result == FlightResult::Landed {
            return None;
        }
        let gave_up = self.companion.reason().map_or("out of time", Reason::text);
        let hold = self.last_hold.map_or("", HoldReason::text);
        Some(format!(
            "{} ({gave_up}; last hold: {hold})",
            line.result.name()
        ))
    }
}

/// The name used in files.
#[must_use]
pub const fn dialect_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ArduPilot => "ardupilot",
        Dialect::Px4 => "px4",
    }
}

fn takeover_line(t: &Takeover, ear: &Ear) -> TakeoverLine {
    let ms = |to: MonoTime| (to.secs_since(t.at) * 1e3).round();
    let tick = STEP * TICK_STEPS as u32;
    let after = t.shown_at.map_or(0, |shown| {
        ear.commands
            .iter()
            .filter(|at| at.since(shown) > tick)
            .count()
    });
    TakeoverLine {
        at_s: hundredths(t.at.as_secs_f64()),
        phase: t.phase.text().to_owned(),
        way: t.way.to_owned(),
        shown_ms: t.shown_at.map(ms),
        silent_ms: ear.commands.last().map_or(0.0, |last| ms(*last)),
        commands_after: after as u32,
    }
}

fn start_line(s: &Start) -> StartLine {
    StartLine {
        north_m: hundredths(s.north_m),
        east_m: hundredths(s.east_m),
        height_m: hundredths(s.height_m),
        yaw_deg: hundredths(s.yaw_rad.to_degrees()),
        wind_m_s: hundredths(s.wind_m_s),
        wind_from_deg: hundredths(s.wind_from_rad.to_degrees()),
    }
}

fn sim_config(spec: &FlightSpec) -> SimConfig {
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

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
