//! Where the vehicle is, how it is turned, and how sure we are.

mod history;
mod samples;
mod state;
mod timeline;

pub use history::{HistoryLimits, PoseUnavailable, VehicleHistory};
pub use samples::{AttitudeSample, HeightSample, PositionSample, Stream};
pub use state::{
    AutopilotKind, Battery, EstimatorHealth, GlobalPlace, Kinematics, LandedState, LossAction,
    Mode, RcChannels, Stamped, VehicleMode, VehicleState,
};
pub use timeline::{Intake, Jump, Refusal, StreamCounts};

use crate::geometry::{Frd, Ned, Rotation, Vec3};
use crate::time::MonoTime;

/// Where a height above ground came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeightSource {
    /// A range sensor that looks down.
    RangeSensor,
    /// A terrain model under the position.
    Terrain,
    /// Height over the take-off point: ground may lie higher or lower there.
    RelativeAltitude,
    /// Typed in by the user for a replay.
    Given,
    /// The world of a simulation knows it.
    Simulated,
}

/// Height over the ground below, positive up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeightAboveGround {
    /// Metres, positive up.
    pub metres: f64,
    /// One standard deviation, metres.
    pub sd_m: f64,
    /// Who says so.
    pub source: HeightSource,
}

/// Position, attitude and height at one moment, with what is known of their errors.
#[derive(Debug, Clone, Copy)]
pub struct Pose {
    /// The moment that it describes.
    pub at: MonoTime,
    /// In NED, metres.
    pub position: Vec3<Ned>,
    /// Turns body vectors into NED.
    pub ned_from_frd: Rotation<Ned, Frd>,
    /// Over flat ground.
    pub height_above_ground: HeightAboveGround,
    /// Horizontal position, one standard deviation along each axis, metres.
    pub position_sd_m: f64,
    /// Attitude, one standard deviation about each axis, radians.
    pub attitude_sd_rad: f64,
}

impl Pose {
    /// Level, nose north, over the origin: what a picture without telemetry is given.
    #[must_use]
    pub fn level_nadir(at: MonoTime, height_m: f64) -> Self {
        Self {
            at,
            position: Vec3::new(0.0, 0.0, -height_m),
            ned_from_frd: Rotation::identity(),
            height_above_ground: HeightAboveGround {
                metres: height_m,
                sd_m: 0.0,
                source: HeightSource::Given,
            },
            position_sd_m: 0.0,
            attitude_sd_rad: 0.0,
        }
    }
}
