//! One function for each message that says something of the vehicle.

mod heights;
mod motion;
mod status;

use std::time::Duration;

use mavlink::MavHeader;
use mavlink::dialects::ardupilotmega::{MavAutopilot, MavMessage};

use super::clock::Placed;
use super::{AUTOPILOT, Problem, Telemetry, Upheaval};
use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{Intake, Refusal};

/// The better of two messages that say the same silences the other this long.
const PREFERRED_FOR: Duration = Duration::from_secs(2);
/// Fastest velocity that is believed, metres per second.
const FASTEST_M_S: f64 = 200.0;

/// A heartbeat of an autopilot, whosever.
pub(super) fn is_autopilot_heartbeat(header: MavHeader, message: &MavMessage) -> bool {
    header.component_id == AUTOPILOT
        && matches!(message, MavMessage::HEARTBEAT(h) if h.autopilot != MavAutopilot::MAV_AUTOPILOT_INVALID)
}

impl Telemetry {
    /// Reads one message of our autopilot.
    pub(super) fn read(&mut self, message: &MavMessage, now: MonoTime) {
        match message {
            MavMessage::HEARTBEAT(m) => self.heartbeat(m, now),
            MavMessage::ATTITUDE(m) => self.attitude(m, now),
            MavMessage::ATTITUDE_QUATERNION(m) => self.attitude_quaternion(m, now),
            MavMessage::LOCAL_POSITION_NED(m) => self.local_position(m, now),
            MavMessage::GLOBAL_POSITION_INT(m) => self.global_position(m, now),
            MavMessage::DISTANCE_SENSOR(m) => self.distance_sensor(m, now),
            MavMessage::RANGEFINDER(m) => self.rangefinder(f64::from(m.distance), now),
            MavMessage::TERRAIN_REPORT(m) => self.terrain(m, now),
            MavMessage::ALTITUDE(m) => self.altitude(m, now),
            MavMessage::EXTENDED_SYS_STATE(m) => self.landed(m.landed_state, now),
            MavMessage::BATTERY_STATUS(m) => self.battery_status(m, now),
            MavMessage::SYS_STATUS(m) => self.sys_status(m, now),
            MavMessage::EKF_STATUS_REPORT(m) => self.estimator(m.flags.bits(), now),
            MavMessage::ESTIMATOR_STATUS(m) => self.estimator(m.flags.bits(), now),
            MavMessage::RC_CHANNELS(m) => self.rc(m, now),
            MavMessage::HOME_POSITION(m) => self.home_position(m, now),
            MavMessage::GPS_GLOBAL_ORIGIN(m) => self.origin(m, now),
            MavMessage::WIND(m) => self.wind(f64::from(m.speed), now),
            MavMessage::WIND_COV(m) => {
                self.wind(f64::from(m.wind_x).hypot(f64::from(m.wind_y)), now);
            }
            MavMessage::SYSTEM_TIME(m) => self.system_time(m, now),
            MavMessage::PARAM_VALUE(m) => self.parameter(m, now),
            _ => {}
        }
    }

    /// Our moment of a time since boot; notices when the autopilot started again.
    fn at(&mut self, boot_ms: u32, now: MonoTime) -> Option<MonoTime> {
        self.place_in_time(i64::from(boot_ms) * 1_000_000, now)
    }

    fn place_in_time(&mut self, boot_ns: i64, now: MonoTime) -> Option<MonoTime> {
        match self.clock.place(boot_ns, now) {
            Placed::At(at) => Some(at),
            Placed::Odd => {
                self.problem(Problem::OddTime);
                None
            }
            Placed::Restarted(at) => {
                self.restarted();
                Some(at)
            }
        }
    }

    /// What it said before is void, except the mode: heartbeats carry no boot time, so the last may be newer than the start.
    fn restarted(&mut self) {
        self.history.reset();
        self.state = crate::vehicle::VehicleState {
            kind: self.state.kind,
            mode: self.state.mode,
            epoch: self.state.epoch,
            ..Default::default()
        };
        self.home = None;
        self.sources = super::Sources::default();
        self.upheaval(Upheaval::Restarted);
    }

    fn place(&self) -> Option<Vec3<Ned>> {
        self.state.kinematics.map(|k| k.value.position)
    }

    fn is_finite(&mut self, values: &[f64]) -> bool {
        let is_finite = values.iter().all(|v| v.is_finite());
        if !is_finite {
            self.problem(Problem::NotFinite);
        }
        is_finite
    }

    fn is_within(&mut self, value: f64, range: &std::ops::RangeInclusive<f64>) -> bool {
        let is_within = range.contains(&value);
        if !is_within {
            self.problem(Problem::OutOfRange);
        }
        is_within
    }

    fn is_taken(&mut self, intake: Intake) -> bool {
        let problem = match intake {
            Intake::Accepted | Intake::Jump(_) => return true,
            Intake::Refused(Refusal::NotUsable) => Problem::NotFinite,
            Intake::Refused(Refusal::Duplicate) => Problem::Duplicate,
            Intake::Refused(Refusal::OutOfOrder) => Problem::TimeBackwards,
            Intake::Refused(Refusal::InFuture) => Problem::OddTime,
        };
        self.problem(problem);
        false
    }
}

fn is_recent(at: Option<MonoTime>, now: MonoTime, limit: Duration) -> bool {
    at.is_some_and(|at| now.since(at) <= limit)
}
