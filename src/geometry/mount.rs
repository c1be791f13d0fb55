//! How the camera sits on the vehicle.

use std::f64::consts::FRAC_PI_2;

use super::frames::{Cam, Frd, Rotation, Vec3};

/// How the camera sits on the vehicle.
#[derive(Debug, Clone, Copy)]
pub struct CameraMount {
    /// Turns camera vectors into body vectors.
    pub frd_from_camera: Rotation<Frd, Cam>,
    /// The optical centre in the body frame, metres.
    pub lever_arm: Vec3<Frd>,
}

impl CameraMount {
    /// From the camera's angles in the body, in radians, and its optical centre in the body frame, in metres.
    ///
    /// At zero angles the camera looks forward with the picture upright (camera x = right, y = down, z = forward).
    /// Yaw turns it to the right, pitch up, roll clockwise about the optical axis, in the aerospace sequence Z-Y-X:
    /// [`Rotation::from_mount_angles`]. Pitch -pi/2 is [`CameraMount::nadir`].
    #[must_use]
    pub fn from_roll_pitch_yaw(roll: f64, pitch: f64, yaw: f64, lever_arm: Vec3<Frd>) -> Self {
        Self {
            frd_from_camera: Rotation::from_mount_angles(roll, pitch, yaw),
            lever_arm,
        }
    }

    /// Looking straight down, the top of the picture towards the nose: camera x = right, y = back, z = down.
    #[must_use]
    pub fn nadir() -> Self {
        Self::from_roll_pitch_yaw(0.0, -FRAC_PI_2, 0.0, Vec3::zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Each camera axis of a mount, in the body.
    fn axes(m: &CameraMount) -> [[f64; 3]; 3] {
        [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)].map(|(x, y, z)| {
            let v = m.frd_from_camera * Vec3::<Cam>::new(x, y, z);
            [v.x(), v.y(), v.z()]
        })
    }

    const FORWARD: [f64; 3] = [1.0, 0.0, 0.0];
    const BACK: [f64; 3] = [-1.0, 0.0, 0.0];
    const RIGHT: [f64; 3] = [0.0, 1.0, 0.0];
    const LEFT: [f64; 3] = [0.0, -1.0, 0.0];
    const DOWN: [f64; 3] = [0.0, 0.0, 1.0];
    const UP: [f64; 3] = [0.0, 0.0, -1.0];

    #[rstest]
    #[case::looks_forward(0.0, 0.0, 0.0, [RIGHT, DOWN, FORWARD])]
    #[case::nadir_has_its_top_at_the_nose(0.0, -90.0, 0.0, [RIGHT, BACK, DOWN])]
    #[case::looks_up(0.0, 90.0, 0.0, [RIGHT, FORWARD, UP])]
    #[case::looks_right(0.0, 0.0, 90.0, [BACK, DOWN, RIGHT])]
    #[case::looks_back(0.0, 0.0, 180.0, [LEFT, DOWN, BACK])]
    #[case::nadir_with_its_top_to_the_right(0.0, -90.0, 90.0, [BACK, LEFT, DOWN])]
    #[case::rolled_clockwise(90.0, 0.0, 0.0, [DOWN, LEFT, FORWARD])]
    fn angles_turn_the_camera_as_documented(
        #[case] roll: f64,
        #[case] pitch: f64,
        #[case] yaw: f64,
        #[case] expected: [[f64; 3]; 3],
    ) {
        let m = CameraMount::from_roll_pitch_yaw(
            roll.to_radians(),
            pitch.to_radians(),
            yaw.to_radians(),
            Vec3::zero(),
        );
        for (got, want) in axes(&m).iter().flatten().zip(expected.iter().flatten()) {
            assert!((got - want).abs() < 1e-12, "{:?}", axes(&m));
        }
    }

    #[test]
    fn nadir_is_pitch_minus_ninety() {
        let m = CameraMount::from_roll_pitch_yaw(0.0, -FRAC_PI_2, 0.0, Vec3::zero());
        let apart = m
            .frd_from_camera
            .angle_to(&CameraMount::nadir().frd_from_camera);
        assert!(apart < 1e-9);
        for (got, want) in axes(&CameraMount::nadir())
            .iter()
            .flatten()
            .zip([RIGHT, BACK, DOWN].iter().flatten())
        {
            assert!((got - want).abs() < 1e-12);
        }
    }
}
