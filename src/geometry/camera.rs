//! What the lens does: rays to pixels and back.

use super::frames::{Cam, Vec3};

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
        if width == 0 || height == 0 {
            return Err(CameraError::Size(width, height));
        }
        let (w, h) = (f64::from(width), f64::from(height));
        let f = 0.5 * w / (0.5 * hfov_deg.to_radians()).tan();
        Ok(Self {
            width,
            height,
            fx: f,
            fy: f,
            cx: 0.5 * w,
            cy: 0.5 * h,
            distortion: Distortion::None,
        })
    }

    /// The pixel where a point in front of the camera appears (possibly outside the picture); `None` when it lies
    /// behind the lens or outside the angles for which the lens model holds.
    #[must_use]
    pub fn project(&self, p: &Vec3<Cam>) -> Option<Pixel> {
        if p.z() <= 1e-9 {
            return None;
        }
        let (x, y) = (p.x() / p.z(), p.y() / p.z());
        Some(Pixel {
            x: self.cx + self.fx * x,
            y: self.cy + self.fy * y,
        })
    }

    /// The unit ray that a pixel looks along; `None` where the lens model has no inverse.
    #[must_use]
    pub fn unproject(&self, px: Pixel) -> Option<Vec3<Cam>> {
        Vec3::new((px.x - self.cx) / self.fx, (px.y - self.cy) / self.fy, 1.0).normalized()
    }

    /// Whether a pixel position lies inside the picture.
    #[must_use]
    pub fn contains(&self, px: Pixel) -> bool {
        px.x >= 0.0 && px.y >= 0.0 && px.x < f64::from(self.width) && px.y < f64::from(self.height)
    }
}
