//! A pose that moves as the picture moves.

use nalgebra::UnitQuaternion;

use super::given_height;
use crate::geometry::{CameraModel, CameraMount, Frd, Ned, Pixel, Rotation, Vec3, View};
use crate::odometry::Similarity;
use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, Pose};

/// What the similarity itself leaves out (tilt, relief, lens), as a share of the distance moved.
const MODEL_ERROR: f64 = 0.02;
/// Distance of matched points from their middle, as a share of the picture's width: turns an error of position in the
/// picture into one of rotation and scale.
const LEVER: f64 = 0.3;

/// What the next frame without tags goes on from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) pose: Pose,
    /// Share of the height that is uncertain, one standard deviation.
    pub(super) height_sd: f64,
}

impl Track {
    /// The pose after the picture moved by `motion`; `None` when that leads nowhere.
    pub(super) fn moved(
        &self,
        camera: &CameraModel,
        motion: &Similarity,
        sd_px: f64,
        at: MonoTime,
    ) -> Option<Self> {
        let before = &self.pose;
        // What the camera now looks straight down on, as the previous picture showed it.
        let axis = Pixel {
            x: camera.cx,
            y: camera.cy,
        };
        let below = motion.inverse()?.apply(axis);
        let view = View::new(camera.clone(), &CameraMount::nadir(), *before);
        let ground = view.ground_from_pixel(below)?;
        let height_m = before.height_above_ground.metres / motion.scale;
        let place = Vec3::<Ned>::new(ground.north_m, ground.east_m, -height_m);
        // The picture turns clockwise when the camera turns the other way.
        let turn = Rotation::<Frd, Frd>::assume(UnitQuaternion::from_euler_angles(
            0.0,
            0.0,
            -motion.rotation_rad,
        ));
        let moved_px = (below.x - axis.x).hypot(below.y - axis.y);
        let step_px = sd_px.hypot(MODEL_ERROR * moved_px);
        let step = step_px / (LEVER * f64::from(camera.width));
        let height_sd = self.height_sd.hypot(step);
        let metres_a_pixel = height_m / camera.fx;
        Some(Self {
            pose: Pose {
                at,
                position: place,
                ned_from_frd: before.ned_from_frd * turn,
                height_above_ground: given_height(height_m, height_sd * height_m),
                position_sd_m: before.position_sd_m.hypot(step_px * metres_a_pixel),
                attitude_sd_rad: before.attitude_sd_rad.hypot(step),
            },
            height_sd,
        })
        .filter(|t| t.pose.position.is_finite())
    }

    pub(super) fn height_is_near(&self, given_m: f64, max_drift: f64) -> bool {
        let drift = self.pose.height_above_ground.metres / given_m;
        (1.0 / max_drift..=max_drift).contains(&drift)
    }

    /// The same place over the ground, at the height that is known.
    pub(super) fn at_height(mut self, height: HeightAboveGround) -> Self {
        let over = self.pose.position;
        let ground_down_m = over.down() + self.pose.height_above_ground.metres;
        self.pose.position = Vec3::new(over.north(), over.east(), ground_down_m - height.metres);
        self.pose.height_above_ground = height;
        self.height_sd = 0.0;
        self
    }
}
