//! The fisheye model of Kannala and Brandt, as OpenCV's `fisheye` module and Kalibr's `equidistant` write it.

use super::{CameraError, MIN_STRETCH, end_of_good, solve_rising};
use crate::geometry::frames::{Cam, Vec3};

/// No lens of a drone looks further backwards: 120 degrees from the axis, a field of view of 240.
const MAX_THETA_RAD: f64 = 120.0 / 180.0 * std::f64::consts::PI;

/// Radius in the picture as an odd polynomial of the angle `theta` to the optical axis:
/// `r = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)`, in focal lengths.
///
/// J. Kannala, S. Brandt, "A Generic Camera Model and Calibration Method for Conventional, Wide-Angle, and Fish-Eye
/// Lenses", PAMI 2006 (radially symmetric part).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KannalaBrandt {
    k: [f64; 4],
    max_theta_rad: f64,
}

impl KannalaBrandt {
    /// From `[k1, k2, k3, k4]`.
    ///
    /// # Errors
    /// `Coefficients` when one is not finite.
    pub fn new(k: [f64; 4]) -> Result<Self, CameraError> {
        if k.iter().any(|c| !c.is_finite()) {
            return Err(CameraError::Coefficients);
        }
        Ok(Self {
            k,
            max_theta_rad: end_of_good(MAX_THETA_RAD, |t| radius(&k, t).1 >= MIN_STRETCH),
        })
    }

    /// `[k1, k2, k3, k4]`.
    #[must_use]
    pub const fn coefficients(&self) -> [f64; 4] {
        self.k
    }

    /// The largest angle to the optical axis, radians, up to which the model is one-to-one and used.
    #[must_use]
    pub const fn max_angle_rad(&self) -> f64 {
        self.max_theta_rad
    }

    /// Where a point appears, in focal lengths from the principal point; `None` beyond the largest angle.
    pub(super) fn distort(&self, p: &Vec3<Cam>) -> Option<(f64, f64)> {
        let u = p.normalized()?;
        let sin = u.x().hypot(u.y());
        let theta = sin.atan2(u.z());
        if theta > self.max_theta_rad {
            return None;
        }
        if sin < 1e-12 {
            return Some((0.0, 0.0));
        }
        let scale = radius(&self.k, theta).0 / sin;
        Some((u.x() * scale, u.y() * scale))
    }

    /// The unit ray of a place in focal lengths from the principal point; `None` where nothing appears.
    pub(super) fn undistort(&self, x: f64, y: f64) -> Option<Vec3<Cam>> {
        let r = x.hypot(y);
        let theta = solve_rising(self.max_theta_rad, r, |t| radius(&self.k, t))?;
        if r < 1e-12 {
            return Some(Vec3::new(0.0, 0.0, 1.0));
        }
        let (sin, cos) = theta.sin_cos();
        Vec3::new(sin * x / r, sin * y / r, cos).normalized()
    }
}

/// The polynomial and its slope at `theta`.
fn radius(k: &[f64; 4], theta: f64) -> (f64, f64) {
    let [k1, k2, k3, k4] = *k;
    let u = theta * theta;
    (
        theta * (1.0 + u * (k1 + u * (k2 + u * (k3 + u * k4)))),
        1.0 + u * (3.0 * k1 + u * (5.0 * k2 + u * (7.0 * k3 + u * 9.0 * k4))),
    )
}
