//! What an autopilot reports, one sample at a time, and how each kind is read between two samples.

use std::fmt;

use nalgebra::{UnitQuaternion, Vector3};

use super::HeightAboveGround;
use crate::geometry::{Frd, Ned, Rotation, Vec3};
use crate::time::MonoTime;

/// The three kinds of samples that make a pose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// How the vehicle is turned.
    Attitude,
    /// Where it is and how it moves.
    Position,
    /// How high it is over the ground.
    Height,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attitude => "attitude",
            Self::Position => "position",
            Self::Height => "height",
        })
    }
}

/// Attitude at one moment.
#[derive(Debug, Clone, Copy)]
pub struct AttitudeSample {
    /// The moment that it describes, in our clock.
    pub at: MonoTime,
    /// Turns body vectors into NED.
    pub ned_from_frd: Rotation<Ned, Frd>,
    /// Turning speed about the body's axes, radians per second; zero when unknown.
    pub rate_rad_s: Vec3<Frd>,
    /// One standard deviation about each axis, radians.
    pub sd_rad: f64,
}

/// Position and velocity at one moment.
#[derive(Debug, Clone, Copy)]
pub struct PositionSample {
    /// The moment that it describes, in our clock.
    pub at: MonoTime,
    /// In NED, metres.
    pub position: Vec3<Ned>,
    /// In NED, metres per second; zero when unknown.
    pub velocity_m_s: Vec3<Ned>,
    /// Horizontal, one standard deviation along each axis, metres.
    pub sd_m: f64,
}

/// Height over the ground at one moment.
#[derive(Debug, Clone, Copy)]
pub struct HeightSample {
    /// The moment that it describes, in our clock.
    pub at: MonoTime,
    /// The height.
    pub height: HeightAboveGround,
}

/// A sample with its moment, and whether its numbers can be used at all.
pub(super) trait Sample: Copy {
    fn at(&self) -> MonoTime;
    /// Finite numbers, and a standard deviation that is not negative.
    fn is_usable(&self) -> bool;
}

impl Sample for AttitudeSample {
    fn at(&self) -> MonoTime {
        self.at
    }
    fn is_usable(&self) -> bool {
        self.ned_from_frd.is_finite() && self.rate_rad_s.is_finite() && is_sd(self.sd_rad)
    }
}

impl Sample for PositionSample {
    fn at(&self) -> MonoTime {
        self.at
    }
    fn is_usable(&self) -> bool {
        self.position.is_finite() && self.velocity_m_s.is_finite() && is_sd(self.sd_m)
    }
}

impl Sample for HeightSample {
    fn at(&self) -> MonoTime {
        self.at
    }
    fn is_usable(&self) -> bool {
        self.height.metres.is_finite() && is_sd(self.height.sd_m)
    }
}

fn is_sd(sd: f64) -> bool {
    sd >= 0.0 && sd.is_finite()
}

impl AttitudeSample {
    /// The attitude `dt` seconds from this sample at its own turning speed.
    pub(super) fn turned_on(&self, dt: f64) -> Rotation<Ned, Frd> {
        let r = self.rate_rad_s;
        let turn = UnitQuaternion::from_scaled_axis(Vector3::new(r.x(), r.y(), r.z()) * dt);
        self.ned_from_frd * Rotation::assume(turn)
    }
}
