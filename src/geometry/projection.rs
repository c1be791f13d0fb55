//! Pixel <-> ray <-> ground through lens, mount and attitude, on flat ground.

use nalgebra::{Matrix3, Vector3};

use super::camera::{CameraModel, Distortion, Pixel};
use super::frames::{Cam, Ned, Rotation, Vec3};
use super::mount::CameraMount;
use crate::vehicle::Pose;

/// Downward part of a unit ray below which it counts as looking at the horizon: half a degree. Such rays meet the ground
/// more than a hundred heights away, which means nothing.
const MIN_RAY_DOWN: f64 = 0.009;

/// A place on the ground, metres in NED.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroundPoint {
    /// Metres north of the origin.
    pub north_m: f64,
    /// Metres east of the origin.
    pub east_m: f64,
}

/// Everything needed to look from one picture to the ground and back: built once a frame.
#[derive(Debug, Clone)]
pub struct View {
    camera: CameraModel,
    pose: Pose,
    ned_from_camera: Rotation<Ned, Cam>,
    optical_centre: Vec3<Ned>,
    ground_down_m: f64,
}

impl View {
    /// From the camera, its mount and the vehicle's pose at the frame's capture time.
    #[must_use]
    pub fn new(camera: CameraModel, mount: &CameraMount, pose: Pose) -> Self {
        let optical_centre = pose.position + pose.ned_from_frd * mount.lever_arm;
        let ned_from_camera = pose.ned_from_frd * mount.frd_from_camera;
        Self::assemble(camera, ned_from_camera, optical_centre, pose)
    }

    /// From the camera's own attitude in the world, as a gimbal reports it
    /// ([`Rotation::from_gimbal_angles`]). `pose.position` is taken as the optical centre; the attitude
    /// of the vehicle in `pose` does not matter, but `attitude_sd_rad` must be that of `ned_from_camera`.
    #[must_use]
    pub fn from_camera_attitude(
        camera: CameraModel,
        ned_from_camera: Rotation<Ned, Cam>,
        pose: Pose,
    ) -> Self {
        Self::assemble(camera, ned_from_camera, pose.position, pose)
    }

    fn assemble(
        camera: CameraModel,
        ned_from_camera: Rotation<Ned, Cam>,
        optical_centre: Vec3<Ned>,
        pose: Pose,
    ) -> Self {
        let ground_down_m = pose.position.down() + pose.height_above_ground.metres;
        Self {
            camera,
            pose,
            ned_from_camera,
            optical_centre,
            ground_down_m,
        }
    }

    /// The camera model.
    #[must_use]
    pub fn camera(&self) -> &CameraModel {
        &self.camera
    }

    /// The pose that it was built from.
    #[must_use]
    pub fn pose(&self) -> &Pose {
        &self.pose
    }

    /// Turns camera vectors into world vectors.
    #[must_use]
    pub fn ned_from_camera(&self) -> Rotation<Ned, Cam> {
        self.ned_from_camera
    }

    /// Where the camera is, metres.
    #[must_use]
    pub fn optical_centre(&self) -> Vec3<Ned> {
        self.optical_centre
    }

    /// Height of the optical centre above the ground plane, metres.
    #[must_use]
    pub fn camera_height_m(&self) -> f64 {
        self.ground_down_m - self.optical_centre.down()
    }

    /// Where the pixel's ray meets the ground plane (`down = position.down + height_above_ground`); `None` when it does
    /// not point clearly below the horizon, the lens model has no ray for it, or a number is not finite.
    #[must_use]
    pub fn ground_from_pixel(&self, px: Pixel) -> Option<GroundPoint> {
        let ray = self.ned_from_camera * self.camera.unproject(px)?;
        if ray.down() < MIN_RAY_DOWN {
            return None;
        }
        let s = self.camera_height_m() / ray.down();
        let p = self.optical_centre + ray * s;
        (s > 0.0 && p.is_finite()).then_some(GroundPoint {
            north_m: p.north(),
            east_m: p.east(),
        })
    }

    /// The pixel where a ground point appears (possibly outside the picture); `None` behind the camera, beyond the lens
    /// model's angle, or when the camera is not above the ground.
    #[must_use]
    pub fn pixel_from_ground(&self, g: GroundPoint) -> Option<Pixel> {
        let p = Vec3::<Ned>::new(g.north_m, g.east_m, self.ground_down_m) - self.optical_centre;
        if p.down() > 0.0 {
            self.camera.project(&(self.ned_from_camera.inverse() * p))
        } else {
            None
        }
    }

    /// The matrix that takes a ground point `(north, east, 1)` to `(x w, y w, w)` in pixels, where `w` is the depth
    /// along the optical axis in metres: points with `w <= 0` lie behind the camera. `None` when the lens distorts (use
    /// [`View::pixel_from_ground`]), when the camera is not above the ground, or when a number is not finite.
    #[must_use]
    pub fn homography(&self) -> Option<Matrix3<f64>> {
        if self.camera.distortion != Distortion::None {
            return None;
        }
        let height = self.camera_height_m();
        let CameraModel { fx, fy, cx, cy, .. } = self.camera;
        let k = Matrix3::new(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0);
        let camera_from_ned = self.ned_from_camera.inverse().quaternion();
        let to_centre = Vector3::new(
            -self.optical_centre.north(),
            -self.optical_centre.east(),
            height,
        );
        let plane = Matrix3::from_columns(&[
            camera_from_ned * Vector3::x(),
            camera_from_ned * Vector3::y(),
            camera_from_ned * to_centre,
        ]);
        let h = k * plane;
        (height > 0.0 && h.iter().all(|c| c.is_finite())).then_some(h)
    }

    /// Ground sample distance at a pixel: metres of ground across one pixel, along the wider of the picture's two axes.
    #[must_use]
    pub fn gsd_m(&self, px: Pixel) -> Option<f64> {
        let across = |dx: f64, dy: f64| {
            let at = |s: f64| {
                self.ground_from_pixel(Pixel {
                    x: px.x + s * dx,
                    y: px.y + s * dy,
                })
            };
            let (a, b) = (at(-0.5)?, at(0.5)?);
            Some((a.north_m - b.north_m).hypot(a.east_m - b.east_m))
        };
        Some(across(1.0, 0.0)?.max(across(0.0, 1.0)?))
    }

    /// Angle between the ray through a ground point and straight down, radians.
    #[must_use]
    pub fn off_nadir_rad(&self, g: GroundPoint) -> f64 {
        self.horizontal_m(g).atan2(self.camera_height_m())
    }

    /// One standard deviation of where a pixel's ground point lies, metres, in the direction where it is largest (along
    /// the line of sight). With `h` the camera's height, `t = tan(angle off nadir)` and first-order error propagation:
    ///
    /// `sd^2 = position_sd^2 + (t height_sd)^2 + (h (1 + t^2) attitude_sd)^2`
    ///
    /// A height error moves the point along the line of sight by `t` for each metre; a tilt by `h d(tan a)/da`. Across
    /// the line of sight the attitude counts less (`h sqrt(1 + t^2)`), so the value bounds every direction. The error
    /// of the lens and of the flat ground are not in it. `None` where [`View::ground_from_pixel`] is, or when a
    /// standard deviation is negative or not finite.
    #[must_use]
    pub fn position_sd_m(&self, px: Pixel) -> Option<f64> {
        let g = self.ground_from_pixel(px)?;
        let h = self.camera_height_m();
        let t = self.horizontal_m(g) / h;
        let Pose {
            position_sd_m,
            attitude_sd_rad,
            height_above_ground,
            ..
        } = self.pose;
        let sds = [position_sd_m, attitude_sd_rad, height_above_ground.sd_m];
        if !sds.iter().all(|sd| *sd >= 0.0 && sd.is_finite()) {
            return None;
        }
        let along = (t * height_above_ground.sd_m).hypot(h * (1.0 + t * t) * attitude_sd_rad);
        Some(position_sd_m.hypot(along))
    }

    fn horizontal_m(&self, g: GroundPoint) -> f64 {
        let (n, e) = (
            g.north_m - self.optical_centre.north(),
            g.east_m - self.optical_centre.east(),
        );
        n.hypot(e)
    }
}

#[cfg(test)]
mod tests;
