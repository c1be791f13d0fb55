//! The last word of the autopilot on everything, each with the moment when it was said.

use std::time::Duration;

use crate::geometry::{Frd, Ned, Rotation, Vec3};
use crate::time::MonoTime;

use super::HeightAboveGround;

/// A value with the moment that it describes, in our clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stamped<T> {
    /// What was said.
    pub value: T,
    /// When.
    pub at: MonoTime,
}

impl<T> Stamped<T> {
    /// With its moment.
    pub const fn new(value: T, at: MonoTime) -> Self {
        Self { value, at }
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: MonoTime) -> Duration {
        now.since(self.at)
    }

    /// The value while it is no older than `limit`; stale is unknown.
    #[must_use]
    pub fn fresh(&self, now: MonoTime, limit: Duration) -> Option<&T> {
        (self.age(now) <= limit).then_some(&self.value)
    }
}

/// Which dialect of behaviour the flight controller has, from `HEARTBEAT.autopilot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AutopilotKind {
    /// `ArduPilot` (3).
    ArduPilot,
    /// PX4 (12).
    Px4,
    /// Another one, by its number: alight advises, and commands nothing.
    Other(u8),
}

/// The flight mode, in words that mean the same on both autopilots. [`Mode::Other`] keeps the raw number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Follows position setpoints: `ArduPilot` GUIDED (4), PX4 OFFBOARD (main 6).
    Guided,
    /// Stops and stays without sticks: `ArduPilot` BRAKE (17), PX4 AUTO.LOITER (main 4, sub 3).
    Hold,
    /// `ArduPilot` LOITER (5), PX4 POSCTL (main 3): the sticks move it.
    Loiter,
    /// Lands where it is: `ArduPilot` LAND (9), PX4 AUTO.LAND (4, 6).
    Land,
    /// PX4 AUTO.PRECLAND (4, 9); `ArduPilot` has none: its LAND follows a target.
    PrecLand,
    /// Returns: `ArduPilot` RTL (6), PX4 AUTO.RTL (4, 5).
    Rtl,
    /// Flies a mission: `ArduPilot` AUTO (3), PX4 AUTO.MISSION (4, 4).
    Mission,
    /// Any other, as its `custom_mode`.
    Other(u32),
}

/// What a heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VehicleMode {
    /// The mode.
    pub mode: Mode,
    /// `HEARTBEAT.custom_mode` as received.
    pub custom_mode: u32,
    /// Whether the motors are armed.
    pub is_armed: bool,
    /// Whether the autopilot itself says that it is in a failsafe (`MAV_STATE` critical or emergency).
    pub is_failsafe: bool,
}

/// What the autopilot does by itself when our setpoints stop (PX4: `COM_OBL_RC_ACT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossAction {
    /// It stops and stays.
    Hold,
    /// It returns to launch.
    Return,
    /// Anything else, by its number: a landing where it is, or a mode that needs sticks.
    Other(i32),
}

/// Whether it stands on the ground (`EXTENDED_SYS_STATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LandedState {
    /// The autopilot does not know.
    Undefined,
    /// On the ground.
    OnGround,
    /// In the air.
    InAir,
    /// Taking off.
    TakingOff,
    /// Landing.
    Landing,
}

/// Where it is and how it moves, in NED around the autopilot's origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kinematics {
    /// Metres.
    pub position: Vec3<Ned>,
    /// Metres per second.
    pub velocity_m_s: Vec3<Ned>,
}

/// The battery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    /// 0 to 1, if known.
    pub remaining: Option<f64>,
    /// Volts, if known.
    pub volts: Option<f64>,
}

/// Whether the autopilot's own position estimate can be trusted (`EKF_STATUS_REPORT`, `ESTIMATOR_STATUS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstimatorHealth {
    /// Horizontal position is good.
    pub is_position_good: bool,
    /// Raw flags, for the record.
    pub flags: u16,
}

/// The pilot's sticks and switches (`RC_CHANNELS`), microseconds; `None` for a channel that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RcChannels {
    /// Channels 1 to 18.
    pub us: [Option<u16>; 18],
}

/// A global position, degrees and metres above mean sea level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GlobalPlace {
    /// North positive.
    pub latitude_deg: f64,
    /// East positive.
    pub longitude_deg: f64,
    /// Metres.
    pub altitude_m: f64,
}

/// Everything that the autopilot has said last. `None` until it was said; [`Stamped::fresh`] turns old into unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct VehicleState {
    /// From the first heartbeat on.
    pub kind: Option<AutopilotKind>,
    /// From `HEARTBEAT`.
    pub mode: Option<Stamped<VehicleMode>>,
    /// From `EXTENDED_SYS_STATE`.
    pub landed: Option<Stamped<LandedState>>,
    /// From `LOCAL_POSITION_NED`.
    pub kinematics: Option<Stamped<Kinematics>>,
    /// From `ATTITUDE_QUATERNION` or `ATTITUDE`.
    pub attitude: Option<Stamped<Rotation<Ned, Frd>>>,
    /// The best height above ground: range sensor, else terrain, else relative altitude.
    pub height: Option<Stamped<HeightAboveGround>>,
    /// Height over the take-off point, metres (`GLOBAL_POSITION_INT`, `ALTITUDE`): the ground here may lie elsewhere.
    pub relative_altitude_m: Option<Stamped<f64>>,
    /// The range sensor's own reading along the body's down axis, metres.
    pub range_m: Option<Stamped<f64>>,
    /// From `BATTERY_STATUS` or `SYS_STATUS`.
    pub battery: Option<Stamped<Battery>>,
    /// From `EKF_STATUS_REPORT` or `ESTIMATOR_STATUS`.
    pub estimator: Option<Stamped<EstimatorHealth>>,
    /// From `RC_CHANNELS`; absent without a receiver.
    pub rc: Option<Stamped<RcChannels>>,
    /// Wind speed, metres per second, where the autopilot estimates it.
    pub wind_m_s: Option<Stamped<f64>>,
    /// From `HOME_POSITION`, in NED around the origin.
    pub home: Option<Stamped<Vec3<Ned>>>,
    /// From `GLOBAL_POSITION_INT`.
    pub place: Option<Stamped<GlobalPlace>>,
    /// What PX4 does when our setpoints stop; `None` until it was asked and answered, and always on other autopilots.
    pub loss_action: Option<Stamped<LossAction>>,
    /// Time since 1970 at that moment, from `SYSTEM_TIME`.
    pub unix_time: Option<Stamped<Duration>>,
    /// From `GPS_GLOBAL_ORIGIN`.
    pub origin: Option<Stamped<GlobalPlace>>,
    /// Counts changes that make every known place meaningless: the origin moved, the autopilot started again, the position jumped.
    pub epoch: u32,
}
