//! What the autopilot says -> [`VehicleState`] and [`VehicleHistory`].
//!
//! One vehicle is listened to: its system id is configured, or that of the first autopilot heard. Whatever is not finite,
//! out of range, out of order or from somebody else is counted by kind and reported once; it is never believed. Times
//! since boot are turned into our clock. When the autopilot starts again, its origin moves or its position jumps, every place
//! known so far means nothing any more: [`VehicleState::epoch`] grows.

mod clock;
mod counts;
mod height;
mod messages;
mod parameters;

pub use counts::{Counts, Problem};
pub use parameters::{LOSS_ACTION, loss_action, parameter_value};

use mavlink::MavHeader;
use mavlink::dialects::ardupilotmega::{MavMessage, TIMESYNC_DATA};

use crate::geometry::Geodetic;
use crate::time::MonoTime;
use crate::vehicle::{HistoryLimits, VehicleHistory, VehicleState};
use clock::BootClock;
use height::Heights;

/// The autopilot's component id.
const AUTOPILOT: u8 = 1;

/// Whom to listen to, and how much to remember.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TelemetryConfig {
    /// The vehicle's system id; `None` takes the first autopilot heard.
    pub system_id: Option<u8>,
    /// How old samples may be.
    pub limits: HistoryLimits,
    /// Samples of each kind that are kept.
    pub capacity: usize,
    /// What the local position may drift while a map lives, one standard deviation, metres.
    pub position_sd_m: f64,
    /// The ground is the plane z = 0 of the local frame, and the height over it is as sure as this, metres: so it is
    /// below a world camera, which draws that plane. No other height counts then: sensors of the vehicle see another ground.
    pub flat_ground_sd_m: Option<f64>,
    /// Error of the attitude, one standard deviation, radians.
    pub attitude_sd_rad: f64,
    /// Takes `GLOBAL_POSITION_INT` for the position until a `LOCAL_POSITION_NED` comes (logs of ground stations): around
    /// the origin, or the first such position. Never in flight: setpoints would mean another place.
    pub places_by_global_position: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            system_id: None,
            limits: HistoryLimits::default(),
            capacity: 512,
            position_sd_m: 0.5,
            flat_ground_sd_m: None,
            attitude_sd_rad: 0.02,
            places_by_global_position: false,
        }
    }
}

/// Why every place known so far means nothing any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Upheaval {
    /// The autopilot started again.
    Restarted,
    /// Its origin moved.
    OriginMoved,
    /// Its position jumped by so many metres.
    Jumped(f64),
}

/// What a message led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taken {
    /// It came from our vehicle's autopilot.
    pub is_ours: bool,
    /// Mode, arming, failsafe, landed state or sticks are not what they were: the supervisor must look at once.
    pub mode_or_sticks_changed: bool,
    /// The epoch grew, and why.
    pub upheaval: Option<Upheaval>,
    /// The first problem of its kind, to be reported.
    pub problem: Option<Problem>,
    /// The answer that a `TIMESYNC` asks for.
    pub reply: Option<TIMESYNC_DATA>,
}

/// Listens to one vehicle.
#[derive(Debug)]
pub struct Telemetry {
    config: TelemetryConfig,
    system_id: Option<u8>,
    state: VehicleState,
    history: VehicleHistory,
    clock: BootClock,
    heights: Heights,
    counts: Counts,
    /// What the message in hand led to.
    taken: Taken,
    home: Option<(Geodetic, MonoTime)>,
    sources: Sources,
}

/// When the better of two messages that say the same was last heard.
#[derive(Debug, Clone, Copy, Default)]
struct Sources {
    quaternion: Option<MonoTime>,
    distance_sensor: Option<MonoTime>,
    battery_status: Option<MonoTime>,
    local_position: bool,
    /// The sticks that were last reported as changed.
    sticks: [u16; 18],
}

impl Telemetry {
    /// Takes all memory.
    #[must_use]
    pub fn new(config: TelemetryConfig) -> Self {
        Self {
            system_id: config.system_id,
            state: VehicleState::default(),
            history: VehicleHistory::new(config.limits, config.capacity),
            clock: BootClock::default(),
            heights: Heights::default(),
            counts: Counts::default(),
            taken: Taken::default(),
            home: None,
            sources: Sources::default(),
            config,
        }
    }

    /// Takes one message that arrived `now`.
    pub fn take(&mut self, header: &MavHeader, message: &MavMessage, now: MonoTime) -> Taken {
        self.taken = Taken::default();
        if self.is_ours(*header, message) {
            self.taken.is_ours = true;
            self.counts.messages += 1;
            if let MavMessage::TIMESYNC(m) = message {
                self.timesync(m, *header, now);
            } else {
                self.read(message, now);
            }
        }
        std::mem::take(&mut self.taken)
    }

    /// The last word on everything.
    #[must_use]
    pub fn state(&self) -> &VehicleState {
        &self.state
    }

    /// The pose at any recent moment.
    #[must_use]
    pub fn history(&self) -> &VehicleHistory {
        &self.history
    }

    /// What came and what was not believed.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The vehicle's system id, as soon as it is known.
    #[must_use]
    pub fn system_id(&self) -> Option<u8> {
        self.system_id
    }

    /// The question to send now and then (once a second), so that the clocks can be compared. Only the answer to the last
    /// one counts.
    pub fn timesync_request(&mut self, now: MonoTime) -> TIMESYNC_DATA {
        TIMESYNC_DATA {
            tc1: 0,
            ts1: self.clock.ask(now),
            target_system: self.system_id.unwrap_or(0),
            target_component: AUTOPILOT,
        }
    }

    /// Whether the message is our autopilot's; the first heartbeat of an autopilot decides whose we are.
    fn is_ours(&mut self, header: MavHeader, message: &MavMessage) -> bool {
        let is_heartbeat = messages::is_autopilot_heartbeat(header, message);
        if self.system_id.is_none() && is_heartbeat {
            self.system_id = u8::try_from(header.system_id).ok();
        }
        let is_system = self
            .system_id
            .is_some_and(|id| u32::from(id) == header.system_id);
        if is_system && header.component_id == AUTOPILOT {
            return true;
        }
        if is_heartbeat && !is_system {
            self.problem(Problem::SecondAutopilot);
        } else if is_system {
            self.problem(Problem::OtherComponent);
        } else {
            self.problem(Problem::OtherSystem);
        }
        false
    }

    fn timesync(&mut self, m: &TIMESYNC_DATA, from: MavHeader, now: MonoTime) {
        self.taken.reply = timesync_reply(m, from, now);
        if self.taken.reply.is_none() {
            self.clock.answered(m.tc1, m.ts1, now);
        }
    }

    fn problem(&mut self, problem: Problem) {
        if self.counts.add(problem) {
            self.taken.problem = Some(problem);
        }
    }

    /// Every place known so far means nothing any more.
    fn upheaval(&mut self, why: Upheaval) {
        self.state.epoch = self.state.epoch.wrapping_add(1);
        self.heights.reset();
        self.taken.upheaval = Some(why);
    }
}

/// The answer to a `TIMESYNC`, if it is a question; `now` is our clock, in nanoseconds, as in our own questions.
#[must_use]
pub fn timesync_reply(
    request: &TIMESYNC_DATA,
    from: MavHeader,
    now: MonoTime,
) -> Option<TIMESYNC_DATA> {
    (request.tc1 == 0).then(|| TIMESYNC_DATA {
        tc1: now.as_nanos().max(1),
        ts1: request.ts1,
        target_system: u8::try_from(from.system_id).unwrap_or(0),
        target_component: from.component_id,
    })
}

#[cfg(test)]
mod tests;
