//! Whether the drone may go down: here, and only here.
//!
//! The supervisor hears what the autopilot says and what the landing stage sees, and says what to command. It does no
//! I/O, reads no clock and allocates nothing: [`Supervisor::step`] is called at every control tick and at once after each
//! message that may show a takeover.
//!
//! Two sentences stand above everything. *The pilot's takeover is obeyed within the step that first shows it, from any
//! state, and stays obeyed*: after it nothing but texts and numbers leaves here until a new start is seen. *No descent is
//! commanded on stale data, nor onto a site that was not confirmed*: every setpoint on the way down, every LAND or
//! PRECLAND and every sample of the target stream needs a frame that said GO, captured within the last second, and a
//! pose no older than 0.2 s.
//!
//! How it goes down:
//! - Approach and descent are position setpoints, each no lower than the next *gate*. When everything falls silent the
//!   vehicle stops at the last one. A gate is earned by a GO that is newer than the one that earned the gate before.
//! - Above the commit height it stops for the *last look*: it goes on when GO has lasted for some seconds and nothing has
//!   moved around the site. From there the picture still shows who walks there; further down it shows less and less.
//! - From the *commit height* on, the lowest at which the picture still holds the disc and the people floor, the site is
//!   not switched any more, but a takeover, a person, animal or vehicle in the disc, a veto of the monitor, or GO growing
//!   stale still stop and climb. The gates go on down to the *land height*: only from there LAND or PRECLAND, which sink
//!   slowly (half a metre a second on ArduPilot), take over. So the time near the ground is short, and silence stops the
//!   vehicle for longer. Without a range sensor they take over at the commit height.
//! - Below the *blind height* the picture cannot hold the disc of a vehicle that leans against the wind. Silence is then
//!   no reason to stop: hovering or climbing blind over a place seen clear seconds ago is no safer than the last metres
//!   of the landing. So it goes on, for a limited time after the last GO; no sample of the target stream is sent without
//!   a fresh GO there either; and a veto is still obeyed until touch-down.
//! - Over to the site it flies level on what is known clear; a vehicle that leans to speed up need not see all of it. Down it
//!   goes only on what is seen. A single frame that finds a hazard lets the last GO grow old; a veto stops at once.
//! - When GO is lost higher up, the vehicle holds where it is, and goes on when the same site has a fresh GO; else the
//!   site is dropped: another one starts with an approach, never through the running stream. With nothing on offer it
//!   climbs to look again, then flies an expanding square.
//!
//! What it hands back is a hold mode that needs no sticks, asked for until the heartbeat shows it.
//!
//! Terms: *GO*: the newest word of a frame on our site is clear, wholly in the picture and the monitor agrees. *Silent*:
//! no frame says anything sure of it. *Objection*: the map shows a hazard, or the monitor vetoes. *Low height*: the
//! height less three standard deviations. *Station*: where it is told to stay.

mod altimeter;
mod assist;
mod config;
mod engage;
mod facts;
mod fence;
mod flight;
mod grip;
mod interface;
mod landing;
mod pattern;
mod pilot;
mod reason;
mod search;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod voice;

pub use config::{
    AfterSearch, AssistConfig, Authority, DescentConfig, EngageConfig, FenceConfig, FieldOfView,
    FreshnessConfig, OrphanConfig, SearchConfig, SupervisorConfig, SupervisorConfigError,
    height_that_holds_m,
};
pub use interface::{Brief, Commands, Health, Input, Output, Phase, Request, Tally};
pub use reason::{Reason, Refusal};

use std::time::Duration;

use crate::autopilot::commands::{Command, Setpoint, Severity};
use crate::geometry::{GroundPoint, Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{LandedState, Mode};

use altimeter::{Altimeter, Reading};
use facts::Facts;
use grip::{Grip, Times};
use pilot::{Pilot, Switched};
use state::{After, State};
use voice::{At, Orders, Voice};

/// Control tick: [`Supervisor::step`] wants to be called again after this.
const TICK: Duration = Duration::from_millis(50);
/// Least time between two setpoints that say the same, seconds (10 Hz).
const SETPOINT_PERIOD_S: f64 = 0.095;
/// Least time between two samples of the target stream, seconds (20 Hz).
const SAMPLE_PERIOD_S: f64 = 0.045;
/// A setpoint that moved by more is sent at once, metres.
const SETPOINT_NEWS_M: f64 = 0.3;
/// A station is never this far below the vehicle: wind or a correction of the estimate may have lifted it, and silence
/// never descends. Metres.
const STATION_SLACK_M: f64 = 0.5;
/// Sites given up that are remembered.
const AVOIDED: usize = 4;

/// What belongs to one landing, from start to hand-back.
#[derive(Debug, Clone, Copy, Default)]
struct Attempt {
    since: MonoTime,
    climbs: u32,
    aborts: u32,
    has_had_a_site: bool,
    avoided: [Option<Avoided>; AVOIDED],
    next_avoided: usize,
    trouble_since: Option<MonoTime>,
}

/// A site that was given up.
#[derive(Debug, Clone, Copy)]
struct Avoided {
    place: GroundPoint,
    /// Sites nearer to it are not taken either, metres.
    radius_m: f64,
    since: MonoTime,
}

/// Decides whether the drone may go down, and how.
///
/// ```
/// use alight::autopilot::supervisor::{Health, Input, Phase, Supervisor, SupervisorConfig};
/// use alight::{time::MonoTime, vehicle::VehicleState};
/// let mut supervisor = Supervisor::new(SupervisorConfig::default())?;
/// let vehicle = VehicleState::default();
/// let input = Input { vehicle: &vehicle, pose: None, decision: None, requests: &[], health: Health::Good };
/// let output = supervisor.step(&input, MonoTime::ZERO);
/// assert_eq!(output.phase, Phase::Standby);
/// # Ok::<(), alight::autopilot::supervisor::SupervisorConfigError>(())
/// ```
#[derive(Debug)]
pub struct Supervisor {
    config: SupervisorConfig,
    commit_m: f64,
    land_m: f64,
    blind_m: f64,
    state: State,
    grip: Option<Grip>,
    attempt: Attempt,
    altimeter: Altimeter,
    pilot: Pilot,
    voice: Voice,
    tally: Tally,
    /// Why the last landing ended or was stopped.
    reason: Option<Reason>,
    /// The mode in which the last process left the vehicle.
    orphan: Option<Mode>,
    battery_is_low: Option<bool>,
    /// The mode of the step before, and the epoch.
    last_mode: Option<Mode>,
    last_epoch: Option<u32>,
    /// The newest heartbeat that a step has seen.
    last_heartbeat: Option<MonoTime>,
    last_setpoint: Option<(Setpoint, MonoTime)>,
    last_sample: Option<MonoTime>,
    now: MonoTime,
}

impl Supervisor {
    /// Checks the settings.
    ///
    /// # Errors
    /// A setting outside its range, with its key.
    pub fn new(config: SupervisorConfig) -> Result<Self, SupervisorConfigError> {
        config.validate()?;
        let [commit_m, land_m, blind_m] = config.heights_m();
        Ok(Self {
            config,
            commit_m,
            land_m,
            blind_m,
            state: State::Standby,
            grip: None,
            attempt: Attempt::default(),
            altimeter: Altimeter::default(),
            pilot: Pilot::default(),
            voice: Voice::default(),
            tally: Tally::default(),
            reason: None,
            orphan: None,
            battery_is_low: None,
            last_mode: None,
            last_epoch: None,
            last_heartbeat: None,
            last_setpoint: None,
            last_sample: None,
            now: MonoTime::from_nanos(i64::MIN),
        })
    }

    /// Told once at start: the mark of the last process says that it owned the vehicle, in this mode. If the vehicle is
    /// still in it, armed and in the air, the orphan action follows and nothing more.
    pub fn adopt_orphan(&mut self, mode: Mode) {
        self.orphan = Some(mode);
    }

    /// The mode in which we own the vehicle: what the mark on disk should say; `None`: no mark.
    #[must_use]
    pub fn engaged_mark(&self) -> Option<Mode> {
        self.grip.map(|g| g.commanded())
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn config(&self) -> &SupervisorConfig {
        &self.config
    }

    /// Why the last landing ended or was stopped.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What was counted since the start.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Heights above ground, metres, from which on it is committed, is given to LAND or PRECLAND, and may go on blind.
    #[must_use]
    pub fn heights_m(&self) -> [f64; 3] {
        [self.commit_m, self.land_m, self.blind_m]
    }

    /// One step. Analyses first, then acts; what others did comes before what we want.
    pub fn step(&mut self, input: &Input<'_>, now: MonoTime) -> Output {
        let now = now.max(self.now);
        self.now = now;
        if self.state.is_idle() {
            self.pilot.rest_anew();
        }
        let facts = self.analyse(input, now);
        // Analysis is complete. What others did ends the step.
        let mut orders = Orders::default();
        if !self.ended_by_others(&facts, &mut orders) {
            self.adopt_if_orphan(&facts, &mut orders);
            if !self.ended_by_ourselves(&facts, input, &mut orders) {
                self.heed_requests(&facts, input, &mut orders);
                self.act(&facts, &mut orders);
            }
        }
        self.report(&facts, &mut orders);
        self.last_mode = facts.shown();
        self.last_epoch = Some(input.vehicle.epoch);
        self.last_heartbeat = facts.heartbeat.map(|(_, heard_at)| heard_at);
        Output {
            commands: orders.finish(),
            phase: self.state.phase(),
            watch: self.state.target().map(|t| t.place),
            next: now.after(TICK),
        }
    }

    /// What is true now. Only memories of the outside world change here.
    fn analyse<'a>(&mut self, input: &Input<'a>, now: MonoTime) -> Facts<'a> {
        let limits = &self.config.freshness;
        let v = input.vehicle;
        let mut place = facts::place(input, limits, now);
        if let Ok(place) = &mut place {
            let reading = Reading {
                here_down_m: place.position.down(),
                epoch: v.epoch,
                allow_relative: self.config.engage.allow_relative_altitude,
                max_age_s: limits.height_max_age_s,
            };
            place.height = self.altimeter.read(v.height.as_ref(), &reading, now);
        }
        let is_inside_fence = place
            .ok()
            .and_then(|p| fence::contains(&self.config.fence, p.below(), v));
        let hands = self
            .pilot
            .read(v.rc.as_ref(), &self.config.engage, limits.rc_max_age_s, now);
        Facts {
            now,
            vehicle: v,
            kind: v.kind,
            heartbeat: v.mode.map(|m| (m.value, m.at)),
            is_heard: v
                .mode
                .is_some_and(|m| facts::is_fresh(m.at, now, limits.heartbeat_max_age_s)),
            is_heard_anew: v
                .mode
                .is_some_and(|m| facts::is_news(m.at, self.last_heartbeat, now)),
            landed: v
                .landed
                .filter(|l| facts::is_fresh(l.at, now, limits.status_max_age_s))
                .map(|l| l.value),
            place,
            brief: facts::brief(input, limits, now),
            health: input.health,
            hands,
            is_inside_fence,
        }
    }

    /// Touch-down, takeover, disarming: whatever the state, and before everything else. `true`: the step is over.
    fn ended_by_others(&mut self, f: &Facts<'_>, orders: &mut Orders) -> bool {
        if self.state.is_idle() {
            return false;
        }
        let Some((heartbeat, heard_at)) = f.heartbeat else {
            return false;
        };
        let is_down = f.landed == Some(LandedState::OnGround);
        if self.is_landing() && (is_down || !heartbeat.is_armed) {
            self.transition_to_landed(f, orders);
            return true;
        }
        let seen = self
            .grip
            .as_mut()
            .map_or(Ok(()), |g| g.observe(heartbeat.mode, heard_at));
        let ended = match seen {
            Err(mode) => Some(Reason::TakenOver(mode)),
            Ok(()) if f.hands.moved_a_stick => Some(Reason::SticksMoved),
            Ok(()) if !heartbeat.is_armed => Some(Reason::Disarmed),
            Ok(()) if is_down => Some(Reason::OnGround),
            Ok(()) => None,
        };
        if let Some(reason) = ended {
            self.transition_to_handed_back(reason, orders);
        }
        ended.is_some()
    }

    /// Whether touching the ground is what we want.
    fn is_landing(&self) -> bool {
        match &self.state {
            State::Committed(c) => self
                .grip
                .is_some_and(|g| g.commanded() != Mode::Guided && self.now > c.since),
            State::Assisting(_) => true,
            _ => false,
        }
    }

    /// Our own reasons to end a landing from any state in which we own the vehicle. `true`: the step is over.
    fn ended_by_ourselves(
        &mut self,
        f: &Facts<'_>,
        input: &Input<'_>,
        orders: &mut Orders,
    ) -> bool {
        let is_ours = self.grip.is_some() && !matches!(self.state, State::Aborted(_));
        let is_told =
            f.hands.switched == Some(Switched::Off) || input.requests.contains(&Request::Abort);
        if let (State::Aborted(s), true) = (&mut self.state, is_told) {
            s.after = After::HandBack;
        }
        if let (State::Assisting(_), true) = (&self.state, is_told) {
            self.stop_assisting(f, orders);
            return true;
        }
        if !is_ours || matches!(self.state, State::Assisting(_)) {
            return false;
        }
        let trouble = f.trouble();
        let since = self.attempt.trouble_since;
        self.attempt.trouble_since = trouble.and(since.or(Some(f.now)));
        let is_too_long = f.now.secs_since(self.attempt.since) > self.config.descent.longest_s;
        let is_outside = f.place.is_ok() && f.is_inside_fence != Some(true);
        let reason = if is_told {
            Reason::Requested
        } else if is_outside {
            Reason::OutsideFence
        } else if is_too_long && !self.is_nearly_down() {
            Reason::TooLong
        } else {
            return false;
        };
        self.transition_to_aborted(reason, After::HandBack, f, orders);
        true
    }

    /// Trouble has lasted longer than it may.
    fn is_out_of_patience(&self, now: MonoTime) -> bool {
        let since = self.attempt.trouble_since;
        since.is_some_and(|at| now.secs_since(at) > self.config.descent.patience_s)
    }

    /// Below the blind height nothing but a takeover and a veto stops a landing.
    fn is_nearly_down(&self) -> bool {
        matches!(&self.state, State::Committed(c) if c.is_low)
    }

    fn act(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        match self.state {
            State::Standby | State::Landed | State::HandedBack => self.idle(f, orders),
            State::Engaging(s) => self.engage(s, f, orders),
            State::Searching(s) => self.search(s, f, orders),
            State::Approaching(s) => self.approach(s, f, orders),
            State::Holding(s) => self.hold(s, f, orders),
            State::Descending(s) => self.descend(s, f, orders),
            State::Committed(s) => self.land(s, f, orders),
            State::Aborted(s) => self.abort(s, f, orders),
            State::Assisting(s) => self.assist(s, f, orders),
        }
    }

    fn report(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        if matches!(self.state, State::Standby) {
            self.voice.advise(f, orders);
        }
        let phase = self.state.phase();
        if matches!(phase, Phase::Standby | Phase::HandedBack) {
            self.voice.report_health(f.health, orders);
        }
        self.voice.count(phase, self.state.target(), f, orders);
    }

    // What moves the vehicle leaves through these three, and only through them.

    /// Asks for a mode, until it shows (`true`). Nothing is sent without a fresh heartbeat, and what takes the vehicle only
    /// when one has just come; a hold waits for nothing more.
    fn ask_mode(&mut self, mode: Mode, f: &Facts<'_>, orders: &mut Orders) -> bool {
        let Some(shown) = f.shown() else {
            return false;
        };
        let times = self.times();
        let grip = self.grip.get_or_insert(Grip::over(shown));
        let may_send = f.is_heard && (f.is_heard_anew || mode == Mode::Hold);
        if may_send && grip.ask(mode, shown, &times, f.now) {
            orders.control(Command::SetMode(mode));
        }
        // A mode that others chose is not ours before we have asked for it.
        grip.has_asked() && grip.is_shown(mode)
    }

    /// Flies to a place; what says nothing new is left out between two periods.
    fn fly_to(&mut self, position: Vec3<Ned>, f: &Facts<'_>, orders: &mut Orders) {
        let is_due = self.last_setpoint.is_none_or(|(last, at)| {
            f.now.secs_since(at) >= SETPOINT_PERIOD_S
                || (last.position - position).norm() > SETPOINT_NEWS_M
        });
        if position.is_finite() && is_due {
            let setpoint = Setpoint {
                position,
                yaw_rad: None,
            };
            self.last_setpoint = Some((setpoint, f.now));
            orders.control(Command::GoTo(setpoint));
        }
    }

    /// Stays at a station, and never sinks to it: a vehicle that was lifted stays up. Gives the station back.
    fn stay_at(
        &mut self,
        station: Vec3<Ned>,
        here: Vec3<Ned>,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) -> Vec3<Ned> {
        let station = if station.down() > here.down() + STATION_SLACK_M {
            Vec3::new(station.north(), station.east(), here.down())
        } else {
            station
        };
        self.fly_to(station, f, orders);
        station
    }

    /// A mode that was asked for has not shown in time.
    fn is_overdue(&self, mode: Mode, f: &Facts<'_>) -> bool {
        let times = self.times();
        self.grip.is_some_and(|g| g.is_overdue(mode, &times, f.now))
    }

    fn times(&self) -> Times {
        Times {
            retry_s: self.config.engage.mode_retry_s,
            deadline_s: self.config.engage.mode_deadline_s,
        }
    }

    fn transition_to_handed_back(&mut self, reason: Reason, orders: &mut Orders) {
        self.grip = None;
        self.reason = Some(reason);
        self.state = State::HandedBack;
        self.tally.hand_backs += 1;
        orders.say(
            Severity::Warning,
            format_args!("alight: handed back: {reason}"),
        );
    }

    fn transition_to_landed(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        let place = f.place.ok().map(|p| p.below());
        let target = self.state.target().map(|t| t.place);
        self.grip = None;
        self.state = State::Landed;
        self.tally.landings += 1;
        match place.or(target) {
            Some(at) => orders.say(
                Severity::Notice,
                format_args!("alight: landed at {}", At(at)),
            ),
            None => orders.say(Severity::Notice, format_args!("alight: landed")),
        }
    }
}
