//! What the lens does: rays to pixels and back.
//!
//! A model is only used where it can be inverted. Lens polynomials are fitted to the picture and may fold back outside
//! it; a point beyond the fold would land on a pixel that belongs to another direction. So each model knows the
//! largest angle up to which it is one-to-one ([`CameraModel::project`] and [`CameraModel::unproject`] refuse the rest).

mod brown_conrady;
mod fisheye;

pub use brown_conrady::BrownConrady;
pub use fisheye::KannalaBrandt;

use super::frames::{Cam, Vec3};

/// Smallest local scale (change of the distorted per change of the ideal coordinate) at which a lens model still counts
/// as invertible. At the fold itself it is 0; near it a tenth of a pixel already moves the ray by degrees.
const MIN_STRETCH: f64 = 0.01;

/// A position in a picture, in pixels; the top-left pixel's centre is `(0.5, 0.5)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixel {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}

/// How the lens bends rays away from the pinhole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Distortion {
    /// A perfect pinhole.
    #[default]
    None,
    /// Radial and tangential terms on the pinhole's plane.
    BrownConrady(BrownConrady),
    /// A wide lens whose radius is a polynomial of the angle.
    KannalaBrandt(KannalaBrandt),
}

/// Why a camera model could not be made.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CameraError {
    /// The horizontal field of view is not usable.
    #[error("horizontal field of view {0}° is outside (1, 179) degrees")]
    FieldOfView(f64),
    /// The picture has no area.
    #[error("picture size {0}x{1} has no area")]
    Size(u32, u32),
    /// A focal length is not a positive number.
    #[error("focal length fx = {fx}, fy = {fy} pixels: both must be positive numbers")]
    FocalLength {
        /// Focal length in x, pixels.
        fx: f64,
        /// Focal length in y, pixels.
        fy: f64,
    },
    /// The principal point is not inside the picture.
    #[error(
        "principal point ({cx}, {cy}) lies outside the picture of {width}x{height} pixels: do the intrinsics belong to \
         another picture size?"
    )]
    PrincipalPoint {
        /// Principal point x, pixels.
        cx: f64,
        /// Principal point y, pixels.
        cy: f64,
        /// Picture width, pixels.
        width: u32,
        /// Picture height, pixels.
        height: u32,
    },
    /// A distortion coefficient is not a number.
    #[error("distortion coefficients must be finite numbers")]
    Coefficients,
    /// The wanted size shows another part of the scene.
    #[error(
        "the calibration is for {from_width}x{from_height} pixels and cannot be scaled to {to_width}x{to_height}: the \
         aspect ratios differ by more than 1 %, so the picture was cropped; calibrate at the size that is used"
    )]
    AspectRatio {
        /// Calibrated width, pixels.
        from_width: u32,
        /// Calibrated height, pixels.
        from_height: u32,
        /// Wanted width, pixels.
        to_width: u32,
        /// Wanted height, pixels.
        to_height: u32,
    },
}

/// Intrinsics of a calibrated camera, for one picture size.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraModel {
    /// Picture width, pixels.
    pub width: u32,
    /// Picture height, pixels.
    pub height: u32,
    /// Focal length in x, pixels.
    pub fx: f64,
    /// Focal length in y, pixels.
    pub fy: f64,
    /// Principal point x, pixels.
    pub cx: f64,
    /// Principal point y, pixels.
    pub cy: f64,
    /// Lens distortion.
    pub distortion: Distortion,
}

impl CameraModel {
    /// The quick mode: square pixels, centred principal point, no distortion, from the horizontal field of view.
    ///
    /// # Errors
    /// `FieldOfView` outside the open interval (1, 179) degrees, or not finite; `Size` when the picture is empty.
    pub fn from_hfov(width: u32, height: u32, hfov_deg: f64) -> Result<Self, CameraError> {
        if !(hfov_deg > 1.0 && hfov_deg < 179.0) {
            return Err(CameraError::FieldOfView(hfov_deg));
        }
        let (w, h) = (f64::from(width), f64::from(height));
        let f = 0.5 * w / (0.5 * hfov_deg.to_radians()).tan();
        Self {
            width,
            height,
            fx: f,
            fy: f,
            cx: 0.5 * w,
            cy: 0.5 * h,
            distortion: Distortion::None,
        }
        .checked()
    }

    /// The same model once its numbers are known to make sense: call it on intrinsics that come from outside.
    ///
    /// # Errors
    /// `Size` for an empty picture, `FocalLength` and `PrincipalPoint` for intrinsics that no camera has.
    pub fn checked(self) -> Result<Self, CameraError> {
        let Self {
            width,
            height,
            fx,
            fy,
            cx,
            cy,
            ..
        } = self;
        if width == 0 || height == 0 {
            return Err(CameraError::Size(width, height));
        }
        if !(fx.is_finite() && fy.is_finite() && fx > 0.0 && fy > 0.0) {
            return Err(CameraError::FocalLength { fx, fy });
        }
        if !((0.0..=f64::from(width)).contains(&cx) && (0.0..=f64::from(height)).contains(&cy)) {
            return Err(CameraError::PrincipalPoint {
                cx,
                cy,
                width,
                height,
            });
        }
        Ok(self)
    }

    /// The same camera for its pictures at another resolution, with the same field of view (resized, not cropped).
    ///
    /// # Errors
    /// `Size` for an empty picture; `AspectRatio` when the shapes differ by more than 1 %.
    pub fn scaled_to(&self, width: u32, height: u32) -> Result<Self, CameraError> {
        if width == 0 || height == 0 {
            return Err(CameraError::Size(width, height));
        }
        let sx = f64::from(width) / f64::from(self.width);
        let sy = f64::from(height) / f64::from(self.height);
        if (sx / sy - 1.0).abs() > 0.01 {
            return Err(CameraError::AspectRatio {
                from_width: self.width,
                from_height: self.height,
                to_width: width,
                to_height: height,
            });
        }
        Ok(Self {
            width,
            height,
            fx: self.fx * sx,
            fy: self.fy * sy,
            cx: self.cx * sx,
            cy: self.cy * sy,
            distortion: self.distortion,
        })
    }

    /// The pixel where a point in front of the camera appears (possibly outside the picture); `None` when it lies
    /// behind the lens or outside the angles for which the lens model holds.
    #[must_use]
    pub fn project(&self, p: &Vec3<Cam>) -> Option<Pixel> {
        let (x, y) = match &self.distortion {
            Distortion::None => on_plane(p)?,
            Distortion::BrownConrady(lens) => {
                let (x, y) = on_plane(p)?;
                lens.distort(x, y)?
            }
            Distortion::KannalaBrandt(lens) => lens.distort(p)?,
        };
        let px = Pixel {
            x: self.cx + self.fx * x,
            y: self.cy + self.fy * y,
        };
        (px.x.is_finite() && px.y.is_finite()).then_some(px)
    }

    /// The unit ray that a pixel looks along; `None` where the lens model has no inverse.
    #[must_use]
    pub fn unproject(&self, px: Pixel) -> Option<Vec3<Cam>> {
        let (x, y) = ((px.x - self.cx) / self.fx, (px.y - self.cy) / self.fy);
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        match &self.distortion {
            Distortion::None => Vec3::new(x, y, 1.0).normalized(),
            Distortion::BrownConrady(lens) => {
                let (x, y) = lens.undistort(x, y)?;
                Vec3::new(x, y, 1.0).normalized()
            }
            Distortion::KannalaBrandt(lens) => lens.undistort(x, y),
        }
    }

    /// Whether a pixel position lies inside the picture.
    #[must_use]
    pub fn contains(&self, px: Pixel) -> bool {
        px.x >= 0.0 && px.y >= 0.0 && px.x < f64::from(self.width) && px.y < f64::from(self.height)
    }
}

/// Where the ray through `p` meets the plane one focal length before the lens; `None` behind it.
fn on_plane(p: &Vec3<Cam>) -> Option<(f64, f64)> {
    (p.z() > 1e-9).then(|| (p.x() / p.z(), p.y() / p.z()))
}

/// The first place in `0..=end` where `is_good` turns false, or `end`: scanned in steps, then bisected, so that
/// `is_good` holds at the returned place.
fn end_of_good(end: f64, is_good: impl Fn(f64) -> bool) -> f64 {
    const STEPS: u32 = 720;
    let mut good = 0.0;
    for i in 1..=STEPS {
        let mut next = end * f64::from(i) / f64::from(STEPS);
        if !is_good(next) {
            for _ in 0..40 {
                let mid = 0.5 * (good + next);
                if is_good(mid) {
                    good = mid;
                } else {
                    next = mid;
                }
            }
            return good;
        }
        good = next;
    }
    end
}

/// Solves `f(x) = target` for an `f` that rises on `0..=end` with `f(0) = 0`; `f` returns its value and slope.
/// `None` when the target lies beyond `f(end)` or is not a number.
fn solve_rising(end: f64, target: f64, f: impl Fn(f64) -> (f64, f64)) -> Option<f64> {
    if !(target >= 0.0 && target <= f(end).0) {
        return None;
    }
    let (mut lo, mut hi) = (0.0, end);
    let mut x = target.min(end);
    let mut last_step = end;
    // Newton's step, replaced by bisection where it would leave the bracket or is not half as long as the one before:
    // so it can neither diverge nor circle, and usually needs 4.
    for _ in 0..200 {
        let (value, slope) = f(x);
        let error = value - target;
        if error.abs() <= 1e-13 * (1.0 + target) {
            return Some(x);
        }
        if error > 0.0 {
            hi = x;
        } else {
            lo = x;
        }
        let newton = x - error / slope;
        let next = if newton > lo && newton < hi && (newton - x).abs() < 0.5 * last_step {
            newton
        } else {
            0.5 * (lo + hi)
        };
        last_step = (next - x).abs();
        x = next;
    }
    None
}

#[cfg(test)]
mod tests;
