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
