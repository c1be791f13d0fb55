//! Frames, cameras and the way between a pixel and a point on the ground.
//!
//! | frame | axes | origin |
//! |---|---|---|
//! | [`Ned`] | x north, y east, z down | the autopilot's local origin (or a replay's first frame) |
//! | [`Frd`] | x forward, y right, z down | the vehicle's centre |
//! | [`Cam`] | x right, y down, z forward (out of the lens) | the camera's optical centre |
//!
//! Pixels: `x` to the right, `y` down, the centre of the top-left pixel is `(0.5, 0.5)`, so a picture spans
//! `0..width` by `0..height`. Rotations are named `to_from_from`: `ned_from_frd` turns a body vector into a world one.
//!
//! What the types do not catch: whether a pose belongs to the moment of the frame, and whether the mount is right.

mod calibration;
mod camera;
mod frames;
mod geodetic;
mod mount;
mod projection;

pub use calibration::{CalibrationError, CalibrationFileError};
pub use camera::{BrownConrady, CameraError, CameraModel, Distortion, KannalaBrandt, Pixel};
pub use frames::{Cam, Frd, Ned, Rotation, Vec3};
pub use geodetic::{Geodetic, GeodeticError, LocalOrigin};
pub use mount::CameraMount;
pub use projection::{GroundPoint, View};

/// The whole number at or below: the processor's own conversion, where `f64::floor` is a call into a library.
pub(crate) fn floor(v: f64) -> i64 {
    let whole = v as i64;
    whole - i64::from(v < whole as f64)
}
