//! Scalars with a unit or a bound that the type keeps.
//!
//! Only quantities that cross a module's edge and could be mixed up are wrapped; inside a function plain `f64`s carry
//! their unit in the name (`height_m`, `hfov_rad`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A length in metres; may be negative where a coordinate is meant.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metres(pub f64);

/// An angle in radians.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Radians(pub f64);

/// An angle in degrees, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Degrees(pub f64);

impl Degrees {
    /// The same angle in radians.
    #[must_use]
    pub fn to_radians(self) -> Radians {
        Radians(self.0.to_radians())
    }
}

impl Radians {
    /// The same angle in degrees.
    #[must_use]
    pub fn to_degrees(self) -> Degrees {
        Degrees(self.0.to_degrees())
    }

    /// The same direction in `(-pi, pi]`.
    #[must_use]
    pub fn wrapped(self) -> Self {
        let turn = std::f64::consts::TAU;
        let r = self.0.rem_euclid(turn);
        Self(if r > std::f64::consts::PI {
            r - turn
        } else {
            r
        })
    }
}

impl fmt::Display for Metres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} m", self.0)
    }
}

impl fmt::Display for Degrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}°", self.0)
    }
}

/// A probability, always in `0.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize)]
#[serde(transparent)]
pub struct Probability(f64);

impl Probability {
    /// `None` unless `p` lies in `0.0..=1.0` (NaN does not).
    #[must_use]
    pub fn new(p: f64) -> Option<Self> {
        (0.0..=1.0).contains(&p).then_some(Self(p))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_bounded_and_refuses_nan() {
        assert!(Probability::new(0.0).is_some() && Probability::new(1.0).is_some());
        for bad in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Probability::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn wrapping_keeps_the_direction() {
        for turns in -3..=3 {
            let a = Radians(0.5 + f64::from(turns) * std::f64::consts::TAU).wrapped();
            assert!((a.0 - 0.5).abs() < 1e-9);
        }
        assert!((Radians(-std::f64::consts::PI).wrapped().0 - std::f64::consts::PI).abs() < 1e-12);
    }

    #[test]
    fn degrees_and_radians_agree() {
        assert!((Degrees(180.0).to_radians().0 - std::f64::consts::PI).abs() < 1e-12);
        assert!((Radians(1.0).to_degrees().to_radians().0 - 1.0).abs() < 1e-12);
    }
}
