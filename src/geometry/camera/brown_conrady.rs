//! Radial and tangential distortion on the pinhole's plane, as OpenCV and ROS write it.

use super::{CameraError, MIN_STRETCH, end_of_good, solve_rising};

/// Part of the one-to-one disc that is used: the rest is room for the iteration of the inverse to overshoot.
const USED: f64 = 0.98;

/// A model on a plane ends before 90 degrees: 85 is more than any lens sold without a fisheye calibration.
const MAX_ANGLE_RAD: f64 = 85.0 / 180.0 * std::f64::consts::PI;

/// `x' = x c(r) + 2 p1 x y + p2 (r^2 + 2 x^2)`, `y' = y c(r) + p1 (r^2 + 2 y^2) + 2 p2 x y` with
/// `c(r) = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)`: Brown's model with the rational extension
/// of OpenCV (`plumb_bob`, `rational_polynomial` and `radtan` of ROS and Kalibr).
///
/// D. C. Brown, "Decentering Distortion of Lenses", Photogrammetric Engineering 1966; OpenCV `calib3d`.
///
/// The Jacobian of this map is symmetric. Where its smaller eigenvalue is positive on a whole disc the map is the
/// gradient of a strictly convex function there, hence one-to-one: that disc is found once, when the model is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrownConrady {
    /// `k1 k2 p1 p2 k3 k4 k5 k6`, OpenCV's order.
    d: [f64; 8],
    /// Of the disc on which the map is one-to-one, in ideal plane coordinates.
    one_to_one_radius: f64,
}

impl BrownConrady {
    /// From `[k1, k2, p1, p2, k3]`.
    ///
    /// # Errors
    /// `Coefficients` when one is not finite.
    pub fn new([k1, k2, p1, p2, k3]: [f64; 5]) -> Result<Self, CameraError> {
        Self::rational([k1, k2, p1, p2, k3, 0.0, 0.0, 0.0])
    }

    /// From `[k1, k2, p1, p2, k3, k4, k5, k6]`, with `k4..k6` in the denominator.
    ///
    /// # Errors
    /// `Coefficients` when one is not finite.
    pub fn rational(d: [f64; 8]) -> Result<Self, CameraError> {
        if d.iter().any(|c| !c.is_finite()) {
            return Err(CameraError::Coefficients);
        }
        let mut lens = Self {
            d,
            one_to_one_radius: 0.0,
        };
        let max_angle = end_of_good(MAX_ANGLE_RAD, |angle| lens.is_one_to_one_at(angle.tan()));
        lens.one_to_one_radius = max_angle.tan();
        Ok(lens)
    }

    /// `[k1, k2, p1, p2, k3, k4, k5, k6]`.
    #[must_use]
    pub const fn coefficients(&self) -> [f64; 8] {
        self.d
    }

    /// The largest angle to the optical axis, radians, up to which the model is one-to-one and used.
    #[must_use]
    pub fn max_angle_rad(&self) -> f64 {
        self.max_radius().atan()
    }

    fn max_radius(&self) -> f64 {
        USED * self.one_to_one_radius
    }

    /// From ideal to distorted plane coordinates; `None` beyond the largest angle.
    pub(super) fn distort(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        (x.hypot(y) <= self.max_radius()).then(|| self.map(x, y))
    }

    /// From distorted to ideal plane coordinates; `None` where no ideal point within the largest angle appears.
    pub(super) fn undistort(&self, xd: f64, yd: f64) -> Option<(f64, f64)> {
        let rd = xd.hypot(yd);
        // Start from the radial part alone, which is all of it but a little.
        let (radial_end, _) = self.radial(self.one_to_one_radius);
        let r = solve_rising(self.one_to_one_radius, rd.min(radial_end), |r| {
            self.radial(r)
        })?;
        let scale = if rd > 1e-12 { r / rd } else { 0.0 };
        let (mut x, mut y) = (xd * scale, yd * scale);
        for _ in 0..50 {
            let (mx, my) = self.map(x, y);
            let (ex, ey) = (mx - xd, my - yd);
            let error = ex.hypot(ey);
            if error <= 1e-12 * (1.0 + rd) {
                return (x.hypot(y) <= self.max_radius() * (1.0 + 1e-9)).then_some((x, y));
            }
            let (xx, xy, yy) = self.jacobian(x, y);
            let det = xx * yy - xy * xy;
            let (dx, dy) = ((yy * ex - xy * ey) / det, (xx * ey - xy * ex) / det);
            (x, y) = self.best_step((x, y), (dx, dy), (xd, yd), error)?;
        }
        None
    }

    /// `from - step`, halved until it brings the mapped point nearer to the target without leaving the disc by more
    /// than rounding; `None` when no step does: then nothing in the disc maps to the target.
    fn best_step(
        &self,
        from: (f64, f64),
        step: (f64, f64),
        target: (f64, f64),
        error: f64,
    ) -> Option<(f64, f64)> {
        let mut k = 1.0;
        for _ in 0..30 {
            let (mut x, mut y) = (from.0 - k * step.0, from.1 - k * step.1);
            let r = x.hypot(y);
            let rim = self.one_to_one_radius;
            if r > rim {
                (x, y) = (x * rim / r, y * rim / r);
            }
            let (mx, my) = self.map(x, y);
            if (mx - target.0).hypot(my - target.1) < error {
                return Some((x, y));
            }
            k *= 0.5;
        }
        None
    }

    fn map(&self, x: f64, y: f64) -> (f64, f64) {
        let [_, _, p1, p2, ..] = self.d;
        let u = x * x + y * y;
        let (c, _) = self.factor(u);
        (
            x * c + 2.0 * p1 * x * y + p2 * (u + 2.0 * x * x),
            y * c + p1 * (u + 2.0 * y * y) + 2.0 * p2 * x * y,
        )
    }

    /// The radial factor and its slope over `u = r^2`; not finite or negative beyond a pole.
    fn factor(&self, u: f64) -> (f64, f64) {
        let [k1, k2, _, _, k3, k4, k5, k6] = self.d;
        let n = 1.0 + u * (k1 + u * (k2 + u * k3));
        let d = 1.0 + u * (k4 + u * (k5 + u * k6));
        let dn = k1 + u * (2.0 * k2 + u * 3.0 * k3);
        let dd = k4 + u * (2.0 * k5 + u * 3.0 * k6);
        if d <= 1e-9 {
            return (f64::NAN, f64::NAN);
        }
        (n / d, (dn * d - n * dd) / (d * d))
    }

    /// The distorted radius without tangential terms, and its slope.
    fn radial(&self, r: f64) -> (f64, f64) {
        let u = r * r;
        let (c, dc) = self.factor(u);
        (r * c, c + 2.0 * u * dc)
    }

    /// `(dx'/dx, dx'/dy = dy'/dx, dy'/dy)`.
    fn jacobian(&self, x: f64, y: f64) -> (f64, f64, f64) {
        let [_, _, p1, p2, ..] = self.d;
        let (c, dc) = self.factor(x * x + y * y);
        (
            c + 2.0 * x * x * dc + 2.0 * p1 * y + 6.0 * p2 * x,
            2.0 * x * y * dc + 2.0 * p1 * x + 2.0 * p2 * y,
            c + 2.0 * y * y * dc + 6.0 * p1 * y + 2.0 * p2 * x,
        )
    }

    /// Whether the smaller eigenvalue of the Jacobian stays above [`MIN_STRETCH`] all around the circle of radius `r`.
    fn is_one_to_one_at(&self, r: f64) -> bool {
        // On a circle the radial part has the eigenvalues c + 2 u c' and c in every direction; the tangential part
        // changes them by at most 6 |p| r (its own eigenvalues along the direction of p are 6 |p| r and 2 |p| r).
        let (c, dc) = self.factor(r * r);
        let [_, _, p1, p2, ..] = self.d;
        let tangential = 6.0 * p1.hypot(p2) * r;
        c.min(c + 2.0 * r * r * dc) - tangential >= MIN_STRETCH
    }
}
