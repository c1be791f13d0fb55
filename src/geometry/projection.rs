//! Pixel <-> ray <-> ground through lens, mount and attitude, on flat ground.

use super::camera::{CameraModel, Pixel};
use super::frames::{Cam, Frd, Ned, Rotation, Vec3};
use crate::vehicle::Pose;

/// How the camera sits on the vehicle.
#[derive(Debug, Clone, Copy)]
pub struct CameraMount {
    /// Turns camera vectors into body vectors.
    pub frd_from_camera: Rotation<Frd, Cam>,
    /// The optical centre in the body frame, metres.
    pub lever_arm: Vec3<Frd>,
}

impl CameraMount {
    /// Looking straight down, the top of the picture towards the nose: camera x = right, y = back, z = down.
    #[must_use]
    pub fn nadir() -> Self {
        let m = nalgebra::Rotation3::from_matrix_unchecked(nalgebra::Matrix3::new(
            0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0,
        ));
        Self {
            frd_from_camera: Rotation::assume(nalgebra::UnitQuaternion::from_rotation_matrix(&m)),
            lever_arm: Vec3::zero(),
        }
    }
}

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
        let ned_from_camera = pose.ned_from_frd * mount.frd_from_camera;
        let optical_centre = pose.position + pose.ned_from_frd * mount.lever_arm;
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

    /// Height of the optical centre above the ground plane, metres.
    #[must_use]
    pub fn camera_height_m(&self) -> f64 {
        self.ground_down_m - self.optical_centre.down()
    }

    /// Where the pixel's ray meets the ground; `None` when it does not point below the horizon.
    #[must_use]
    pub fn ground_from_pixel(&self, px: Pixel) -> Option<GroundPoint> {
        let ray = self.ned_from_camera * self.camera.unproject(px)?;
        // Rays within half a degree of the horizon meet the ground too far away to mean anything.
        if ray.down() < 0.009 {
            return None;
        }
        let s = self.camera_height_m() / ray.down();
        let p = self.optical_centre + ray * s;
        (s > 0.0).then_some(GroundPoint {
            north_m: p.north(),
            east_m: p.east(),
        })
    }

    /// The pixel where a ground point appears (possibly outside the picture); `None` behind the camera.
    #[must_use]
    pub fn pixel_from_ground(&self, g: GroundPoint) -> Option<Pixel> {
        let p = Vec3::<Ned>::new(g.north_m, g.east_m, self.ground_down_m) - self.optical_centre;
        self.camera.project(&(self.ned_from_camera.inverse() * p))
    }

    /// Ground sample distance at a pixel: metres of ground across one pixel, along the wider direction.
    #[must_use]
    pub fn gsd_m(&self, px: Pixel) -> Option<f64> {
        let at = |dx: f64, dy: f64| {
            self.ground_from_pixel(Pixel {
                x: px.x + dx,
                y: px.y + dy,
            })
        };
        let c = at(0.0, 0.0)?;
        let d = |g: GroundPoint| (g.north_m - c.north_m).hypot(g.east_m - c.east_m);
        Some(d(at(1.0, 0.0)?).max(d(at(0.0, 1.0)?)))
    }

    /// Angle between the ray through a ground point and straight down, radians.
    #[must_use]
    pub fn off_nadir_rad(&self, g: GroundPoint) -> f64 {
        let (n, e) = (
            g.north_m - self.optical_centre.north(),
            g.east_m - self.optical_centre.east(),
        );
        n.hypot(e).atan2(self.camera_height_m())
    }
}
