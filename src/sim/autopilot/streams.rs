//! Which messages go out how often.

use std::time::Duration;

use super::config::Dialect;
use crate::time::MonoTime;

/// Numbers of the messages that it can send.
pub(super) mod id {
    pub(in super::super) const HEARTBEAT: u32 = 0;
    pub(in super::super) const SYS_STATUS: u32 = 1;
    pub(in super::super) const SYSTEM_TIME: u32 = 2;
    pub(in super::super) const ATTITUDE: u32 = 30;
    pub(in super::super) const ATTITUDE_QUATERNION: u32 = 31;
    pub(in super::super) const LOCAL_POSITION_NED: u32 = 32;
    pub(in super::super) const GLOBAL_POSITION_INT: u32 = 33;
    pub(in super::super) const GPS_GLOBAL_ORIGIN: u32 = 49;
    pub(in super::super) const RC_CHANNELS: u32 = 65;
    pub(in super::super) const TIMESYNC: u32 = 111;
    pub(in super::super) const DISTANCE_SENSOR: u32 = 132;
    pub(in super::super) const ALTITUDE: u32 = 141;
    pub(in super::super) const BATTERY_STATUS: u32 = 147;
    pub(in super::super) const WIND: u32 = 168;
    pub(in super::super) const EKF_STATUS_REPORT: u32 = 193;
    pub(in super::super) const ESTIMATOR_STATUS: u32 = 230;
    pub(in super::super) const WIND_COV: u32 = 231;
    pub(in super::super) const HOME_POSITION: u32 = 242;
    pub(in super::super) const EXTENDED_SYS_STATE: u32 = 245;
}

/// How many messages each autopilot has.
const KINDS: usize = 17;
/// `ArduPilot`: only the heartbeat comes unasked. The number 0 means on request only.
const ARDUPILOT: [(u32, u32); KINDS] = [
    (id::HEARTBEAT, 1000),
    (id::SYS_STATUS, 0),
    (id::SYSTEM_TIME, 0),
    (id::ATTITUDE, 0),
    (id::ATTITUDE_QUATERNION, 0),
    (id::LOCAL_POSITION_NED, 0),
    (id::GLOBAL_POSITION_INT, 0),
    (id::GPS_GLOBAL_ORIGIN, 0),
    (id::RC_CHANNELS, 0),
    (id::DISTANCE_SENSOR, 0),
    (id::BATTERY_STATUS, 0),
    (id::WIND, 0),
    (id::EKF_STATUS_REPORT, 0),
    (id::HOME_POSITION, 0),
    (id::EXTENDED_SYS_STATE, 0),
    (id::TIMESYNC, 0),
    (id::ALTITUDE, 0),
];
/// PX4's set on an onboard link, milliseconds.
const PX4: [(u32, u32); KINDS] = [
    (id::HEARTBEAT, 1000),
    (id::SYS_STATUS, 200),
    (id::SYSTEM_TIME, 1000),
    (id::ALTITUDE, 100),
    (id::ATTITUDE, 20),
    (id::ATTITUDE_QUATERNION, 20),
    (id::LOCAL_POSITION_NED, 30),
    (id::GLOBAL_POSITION_INT, 20),
    (id::GPS_GLOBAL_ORIGIN, 1000),
    (id::RC_CHANNELS, 50),
    (id::DISTANCE_SENSOR, 100),
    (id::BATTERY_STATUS, 2000),
    (id::WIND_COV, 100),
    (id::ESTIMATOR_STATUS, 1000),
    (id::HOME_POSITION, 2000),
    (id::EXTENDED_SYS_STATE, 200),
    (id::TIMESYNC, 100),
];
/// The fastest that is granted.
const FASTEST: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy)]
struct Stream {
    id: u32,
    standard: Option<Duration>,
    interval: Option<Duration>,
    due: MonoTime,
}

/// The timetable.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    all: [Stream; KINDS],
}

impl Streams {
    pub(super) fn new(dialect: Dialect, now: MonoTime) -> Self {
        let table = match dialect {
            Dialect::ArduPilot => ARDUPILOT,
            Dialect::Px4 => PX4,
        };
        Self {
            all: table.map(|(id, ms)| {
                let standard = (ms > 0).then(|| Duration::from_millis(u64::from(ms)));
                Stream {
                    id,
                    standard,
                    interval: standard,
                    due: now,
                }
            }),
        }
    }

    /// Whether this message exists here.
    pub(super) fn has(&self, id: u32) -> bool {
        self.all.iter().any(|s| s.id == id)
    }

    /// `MAV_CMD_SET_MESSAGE_INTERVAL`: microseconds, 0 for the standard rate, -1 for never. Says whether it is granted.
    pub(super) fn set(&mut self, id: u32, interval_us: f32, now: MonoTime) -> bool {
        let Some(stream) = self.all.iter_mut().find(|s| s.id == id) else {
            return false;
        };
        stream.interval = match interval_us {
            us if us > 0.0 => Some(Duration::from_micros(us as u64).max(FASTEST)),
            us if us < 0.0 => None,
            _ => stream.standard,
        };
        stream.due = now;
        true
    }

    /// The next message that is due, at `now`.
    pub(super) fn next(&mut self, now: MonoTime) -> Option<u32> {
        let stream = self
            .all
            .iter_mut()
            .find(|s| s.interval.is_some() && s.due <= now)?;
        let interval = stream.interval.unwrap_or(FASTEST);
        stream.due = stream.due.after(interval);
        if stream.due <= now {
            stream.due = now.after(interval);
        }
        Some(stream.id)
    }
}
