//! Vectors and rotations that know their frame, on `nalgebra`.
//!
//! Only [`Rotation<To, From>`] crosses frames, and only `Rotation<A, B> * Rotation<B, C>` multiplies: a wrong sum does
//! not compile.
//!
//! ```compile_fail
//! use alight::geometry::{Frd, Ned, Vec3};
//! let a = Vec3::<Ned>::new(1.0, 0.0, 0.0);
//! let b = Vec3::<Frd>::new(1.0, 0.0, 0.0);
//! let _ = a + b; // north plus forward means nothing
//! ```

use std::marker::PhantomData;
use std::ops::{Add, Mul, Neg, Sub};

use nalgebra::{UnitQuaternion, Vector3};

/// World: x north, y east, z down, metres from the autopilot's local origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ned {}

/// Body: x forward, y right, z down, metres from the vehicle's centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frd {}

/// Camera: x right, y down, z forward out of the lens, metres from the optical centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cam {}

/// A vector (or a point seen from the frame's origin) in frame `F`.
#[derive(Debug)]
pub struct Vec3<F> {
    v: Vector3<f64>,
    frame: PhantomData<F>,
}

impl<F> Clone for Vec3<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for Vec3<F> {}
impl<F> PartialEq for Vec3<F> {
    fn eq(&self, other: &Self) -> bool {
        self.v == other.v
    }
}

impl<F> Vec3<F> {
    /// From the three components along the frame's axes.
    #[must_use]
    pub const fn new(x: f64, y: f64, z: f64) -> Self {
        Self {
            v: Vector3::new(x, y, z),
            frame: PhantomData,
        }
    }

    /// The origin, or no displacement.
    #[must_use]
    pub const fn zero() -> Self {
        Self::new(0.0, 0.0, 0.0)
    }

    /// First component.
    #[must_use]
    pub fn x(&self) -> f64 {
        self.v.x
    }

    /// Second component.
    #[must_use]
    pub fn y(&self) -> f64 {
        self.v.y
    }

    /// Third component.
    #[must_use]
    pub fn z(&self) -> f64 {
        self.v.z
    }

    /// Euclidean length.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.v.norm()
    }

    /// The same direction with length 1; `None` for (nearly) zero or non-finite vectors.
    #[must_use]
    pub fn normalized(&self) -> Option<Self> {
        let n = self.norm();
        (n > 1e-12 && n.is_finite()).then(|| *self * (1.0 / n))
    }

    /// Whether all components are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.v.iter().all(|c| c.is_finite())
    }
}

impl Vec3<Ned> {
    /// Metres to the north.
    #[must_use]
    pub fn north(&self) -> f64 {
        self.v.x
    }

    /// Metres to the east.
    #[must_use]
    pub fn east(&self) -> f64 {
        self.v.y
    }

    /// Metres downwards.
    #[must_use]
    pub fn down(&self) -> f64 {
        self.v.z
    }

    /// Distance in the horizontal plane, metres.
    #[must_use]
    pub fn horizontal_distance(&self, other: &Self) -> f64 {
        (self.v.x - other.v.x).hypot(self.v.y - other.v.y)
    }
}

impl<F> Add for Vec3<F> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            v: self.v + o.v,
            frame: PhantomData,
        }
    }
}
impl<F> Sub for Vec3<F> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            v: self.v - o.v,
            frame: PhantomData,
        }
    }
}
impl<F> Neg for Vec3<F> {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            v: -self.v,
            frame: PhantomData,
        }
    }
}
impl<F> Mul<f64> for Vec3<F> {
    type Output = Self;
    fn mul(self, k: f64) -> Self {
        Self {
            v: self.v * k,
            frame: PhantomData,
        }
    }
}

/// Turns vectors of frame `From` into frame `To`.
#[derive(Debug)]
pub struct Rotation<To, From> {
    q: UnitQuaternion<f64>,
    frames: PhantomData<(To, From)>,
}

impl<To, From> Clone for Rotation<To, From> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<To, From> Copy for Rotation<To, From> {}

impl<To, From> Rotation<To, From> {
    /// A human vouches that `q` turns `From` into `To`.
    #[must_use]
    pub fn assume(q: UnitQuaternion<f64>) -> Self {
        Self {
            q,
            frames: PhantomData,
        }
    }

    /// Frames whose axes coincide.
    #[must_use]
    pub fn identity() -> Self {
        Self::assume(UnitQuaternion::identity())
    }

    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Rotation<From, To> {
        Rotation::assume(self.q.inverse())
    }

    /// Spherical interpolation, `t` in `0.0..=1.0`.
    #[must_use]
    pub fn slerp(&self, other: &Self, t: f64) -> Self {
        Self::assume(self.q.try_slerp(&other.q, t, 1e-9).unwrap_or(if t < 0.5 {
            self.q
        } else {
            other.q
        }))
    }

    /// Angle between two rotations, radians, `0..=pi`.
    #[must_use]
    pub fn angle_to(&self, other: &Self) -> f64 {
        self.q.angle_to(&other.q)
    }

    /// Whether it is made of finite numbers: vouched-for quaternions may come from anywhere.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.q.coords.iter().all(|c| c.is_finite())
    }

    /// The quaternion itself.
    #[must_use]
    pub fn quaternion(&self) -> UnitQuaternion<f64> {
        self.q
    }
}

impl Rotation<Frd, Cam> {
    /// A camera turned in the body, angles in radians. At zero it looks forward with the picture upright: camera x =
    /// right, y = down, z = forward. Yaw turns it to the right, pitch up (-pi/2 looks straight down with the top of the
    /// picture towards the nose), roll clockwise about its own optical axis: the aerospace sequence Z-Y-X.
    #[must_use]
    pub fn from_mount_angles(roll: f64, pitch: f64, yaw: f64) -> Self {
        Self::assume(UnitQuaternion::from_euler_angles(roll, pitch, yaw) * forward_from_camera())
    }
}

impl Rotation<Ned, Cam> {
    /// What a gimbal reports of the camera in the world, angles in radians: at zero it looks north at the horizon with
    /// the picture upright; yaw, pitch and roll follow as in [`Rotation::from_mount_angles`]. DJI's `GimbalYawDegree`,
    /// `GimbalPitchDegree` and `GimbalRollDegree` are these angles in degrees: at pitch -90 the camera looks straight
    /// down and yaw is the compass direction of the top of the picture.
    #[must_use]
    pub fn from_gimbal_angles(roll: f64, pitch: f64, yaw: f64) -> Self {
        Self::assume(UnitQuaternion::from_euler_angles(roll, pitch, yaw) * forward_from_camera())
    }
}

/// Turns the axes of a camera that looks forward (x right, y down, z forward) into x forward, y right, z down.
fn forward_from_camera() -> UnitQuaternion<f64> {
    // A turn by 120 degrees about (1, 1, 1): x -> y, y -> z, z -> x.
    UnitQuaternion::new_unchecked(nalgebra::Quaternion::new(0.5, 0.5, 0.5, 0.5))
}

impl Rotation<Ned, Frd> {
    /// From the autopilot's angles in radians: yaw about down, then pitch (nose up positive), then roll (right side
    /// down positive): the aerospace sequence Z-Y-X.
    #[must_use]
    pub fn from_roll_pitch_yaw(roll: f64, pitch: f64, yaw: f64) -> Self {
        Self::assume(UnitQuaternion::from_euler_angles(roll, pitch, yaw))
    }

    /// Roll, pitch, yaw in radians.
    #[must_use]
    pub fn roll_pitch_yaw(&self) -> (f64, f64, f64) {
        self.q.euler_angles()
    }
}

impl<To, Mid, From> Mul<Rotation<Mid, From>> for Rotation<To, Mid> {
    type Output = Rotation<To, From>;
    fn mul(self, o: Rotation<Mid, From>) -> Rotation<To, From> {
        Rotation::assume(self.q * o.q)
    }
}
impl<To, From> Mul<Vec3<From>> for Rotation<To, From> {
    type Output = Vec3<To>;
    fn mul(self, v: Vec3<From>) -> Vec3<To> {
        Vec3 {
            v: self.q * v.v,
            frame: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const DEG: f64 = std::f64::consts::PI / 180.0;

    #[rstest]
    #[case::yaw_turns_the_nose_east((0.0, 0.0, 90.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))]
    #[case::pitch_lifts_the_nose((0.0, 90.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))]
    #[case::roll_lowers_the_right((90.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    #[case::yaw_comes_last((0.0, 90.0, 90.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))]
    fn autopilot_angles_turn_the_body(
        #[case] (roll, pitch, yaw): (f64, f64, f64),
        #[case] body: (f64, f64, f64),
        #[case] world: (f64, f64, f64),
    ) {
        let r = Rotation::from_roll_pitch_yaw(roll * DEG, pitch * DEG, yaw * DEG);
        let got = r * Vec3::<Frd>::new(body.0, body.1, body.2);
        assert!(
            (got - Vec3::new(world.0, world.1, world.2)).norm() < 1e-12,
            "{got:?}"
        );
    }

    #[rstest]
    #[case::north(0.0, (1.0, 0.0))]
    #[case::east(90.0, (0.0, 1.0))]
    #[case::south_west(-135.0, (-std::f64::consts::FRAC_1_SQRT_2, -std::f64::consts::FRAC_1_SQRT_2))]
    fn a_gimbal_that_looks_down_has_the_picture_top_at_its_yaw(
        #[case] yaw: f64,
        #[case] (north, east): (f64, f64),
    ) {
        let r = Rotation::from_gimbal_angles(0.0, -90.0 * DEG, yaw * DEG);
        let look = r * Vec3::<Cam>::new(0.0, 0.0, 1.0);
        let top = r * Vec3::<Cam>::new(0.0, -1.0, 0.0);
        assert!((look - Vec3::new(0.0, 0.0, 1.0)).norm() < 1e-12);
        assert!((top - Vec3::new(north, east, 0.0)).norm() < 1e-12);
    }

    #[test]
    fn a_gimbal_that_looks_ahead_sees_the_horizon_upright() {
        let r = Rotation::from_gimbal_angles(0.0, 0.0, 0.0);
        assert!((r * Vec3::<Cam>::new(0.0, 0.0, 1.0) - Vec3::new(1.0, 0.0, 0.0)).norm() < 1e-12);
        assert!((r * Vec3::<Cam>::new(0.0, 1.0, 0.0) - Vec3::new(0.0, 0.0, 1.0)).norm() < 1e-12);
    }

    #[test]
    fn directions_without_length_are_refused() {
        for v in [[0.0; 3], [f64::NAN, 0.0, 1.0], [f64::INFINITY, 0.0, 0.0]] {
            assert!(Vec3::<Ned>::new(v[0], v[1], v[2]).normalized().is_none());
        }
    }

    #[test]
    fn opposite_attitudes_are_interpolated_without_harm() {
        let a = Rotation::from_roll_pitch_yaw(0.0, 0.0, 0.0);
        let b = Rotation::from_roll_pitch_yaw(0.0, 0.0, std::f64::consts::PI);
        for i in 0..=10 {
            assert!(a.slerp(&b, f64::from(i) / 10.0).is_finite());
        }
    }

    fn any_rotation() -> impl Strategy<Value = Rotation<Ned, Frd>> {
        let c = -1.0..1.0f64;
        (c.clone(), c.clone(), c.clone(), c)
            .prop_filter("no direction", |(a, b, c, d)| {
                a * a + b * b + c * c + d * d > 0.01
            })
            .prop_map(|(a, b, c, d)| {
                Rotation::assume(UnitQuaternion::new_normalize(nalgebra::Quaternion::new(
                    a, b, c, d,
                )))
            })
    }

    fn any_vector() -> impl Strategy<Value = Vec3<Frd>> {
        let c = -100.0..100.0f64;
        (c.clone(), c.clone(), c).prop_map(|(x, y, z)| Vec3::new(x, y, z))
    }

    proptest! {
        #[test]
        fn a_rotation_and_its_inverse_cancel(r in any_rotation(), v in any_vector()) {
            prop_assert!((r.inverse() * (r * v) - v).norm() < 1e-9);
            prop_assert!(((r * v).norm() - v.norm()).abs() < 1e-9);
        }

        #[test]
        fn a_product_turns_as_its_factors_do(a in any_rotation(), b in any_rotation(), v in any_vector()) {
            let frd_from_ned = b.inverse();
            let w = a * v;
            prop_assert!(((a * frd_from_ned) * w - a * (frd_from_ned * w)).norm() < 1e-9);
        }

        #[test]
        fn roll_pitch_yaw_come_back(roll in -179.0..179.0f64, pitch in -89.0..89.0f64, yaw in -179.0..179.0f64) {
            let (r, p, y) = Rotation::from_roll_pitch_yaw(roll * DEG, pitch * DEG, yaw * DEG).roll_pitch_yaw();
            prop_assert!((r - roll * DEG).abs() < 1e-9);
            prop_assert!((p - pitch * DEG).abs() < 1e-9);
            prop_assert!((y - yaw * DEG).abs() < 1e-9);
        }

        #[test]
        fn any_attitude_survives_its_angles(a in any_rotation(), steep in -1e-4..1e-4f64, yaw in -3.0..3.0f64) {
            let upright = Rotation::from_roll_pitch_yaw(0.3, 90.0 * DEG + steep, yaw);
            for r in [a, upright] {
                let (roll, pitch, yaw) = r.roll_pitch_yaw();
                let back = Rotation::from_roll_pitch_yaw(roll, pitch, yaw);
                // Straight up, roll and yaw merge: some digits are lost, the attitude is not.
                prop_assert!(back.angle_to(&r) < 1e-3, "{}", back.angle_to(&r));
            }
        }

        #[test]
        fn interpolation_ends_at_its_ends_and_runs_evenly(a in any_rotation(), b in any_rotation(), t in 0.0..1.0f64) {
            prop_assume!(a.angle_to(&b) < 3.0);
            prop_assert!(a.slerp(&b, 0.0).angle_to(&a) < 1e-6);
            prop_assert!(a.slerp(&b, 1.0).angle_to(&b) < 1e-6);
            prop_assert!((a.slerp(&b, t).angle_to(&a) - t * a.angle_to(&b)).abs() < 1e-6);
        }
    }
}
