//! How high the ground lies below, remembered across the gaps of a range sensor.
//!
//! A height is turned at once into where the ground is (NED down). A range sensor that drops out for a moment is then
//! not replaced by a worse source, and the height goes on to follow the vehicle between samples.

use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, HeightSource, Stamped};

use super::facts::is_fresh;

/// Height above the ground below the vehicle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Height {
    /// The best guess, metres.
    pub(super) metres: f64,
    /// Three standard deviations less, metres: what gates and the commit height are judged by.
    pub(super) low_m: f64,
    /// Measured by a range sensor.
    pub(super) is_measured: bool,
}

#[derive(Debug, Clone, Copy)]
struct Ground {
    down_m: f64,
    sd_m: f64,
    rank: u8,
    at: MonoTime,
    epoch: u32,
}

/// Remembers the ground.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Altimeter {
    ground: Option<Ground>,
    /// The newest sample ever used: under another epoch it proves nothing again.
    used_at: Option<MonoTime>,
}

/// An altitude over the take-off point that is surer than this was checked against a range sensor, metres.
const CHECKED_SD_M: f64 = 2.0;

/// An older sample is not joined with where the vehicle is now, seconds: it has moved since.
const FIRST_USE_S: f64 = 0.5;

/// A source's worth; `None` for one that no command may rest on.
fn rank(height: &HeightAboveGround, allow_relative: bool) -> Option<u8> {
    let is_trusted = allow_relative || height.sd_m <= CHECKED_SD_M;
    match height.source {
        HeightSource::RangeSensor | HeightSource::Simulated => Some(2),
        HeightSource::Terrain => Some(1),
        HeightSource::RelativeAltitude if is_trusted => Some(0),
        HeightSource::RelativeAltitude | HeightSource::Given => None,
    }
}

/// What is read besides the height itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Where the vehicle is, NED down, metres.
    pub(super) here_down_m: f64,
    pub(super) epoch: u32,
    pub(super) allow_relative: bool,
    pub(super) max_age_s: f64,
}

impl Altimeter {
    /// Takes the newest height in and says how high the vehicle is.
    pub(super) fn read(
        &mut self,
        newest: Option<&Stamped<HeightAboveGround>>,
        r: &Reading,
        now: MonoTime,
    ) -> Option<Height> {
        self.ground = self
            .ground
            .filter(|g| g.epoch == r.epoch && is_fresh(g.at, now, r.max_age_s));
        if let Some(new) = newest.and_then(|h| Self::ground(h, r, now))
            && self.used_at.is_none_or(|at| new.at > at)
            && self
                .ground
                .is_none_or(|g| new.at > g.at && new.rank >= g.rank)
        {
            self.ground = Some(new);
            self.used_at = Some(new.at);
        }
        let ground = self.ground?;
        let metres = ground.down_m - r.here_down_m;
        Some(Height {
            metres,
            low_m: metres - 3.0 * ground.sd_m,
            is_measured: ground.rank == 2,
        })
    }

    fn ground(h: &Stamped<HeightAboveGround>, r: &Reading, now: MonoTime) -> Option<Ground> {
        let is_usable = h.value.metres.is_finite() && h.value.sd_m.is_finite();
        let is_usable = is_usable && h.value.sd_m >= 0.0 && is_fresh(h.at, now, FIRST_USE_S);
        Some(Ground {
            down_m: r.here_down_m + h.value.metres,
            sd_m: h.value.sd_m,
            rank: rank(&h.value, r.allow_relative)?,
            at: h.at,
            epoch: r.epoch,
        })
        .filter(|_| is_usable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    fn height(metres: f64, sd_m: f64, source: HeightSource, s: f64) -> Stamped<HeightAboveGround> {
        Stamped::new(
            HeightAboveGround {
                metres,
                sd_m,
                source,
            },
            at(s),
        )
    }

    fn reading(here_down_m: f64) -> Reading {
        Reading {
            here_down_m,
            epoch: 1,
            allow_relative: true,
            max_age_s: 2.0,
        }
    }

    #[test]
    fn a_dropout_of_the_range_sensor_is_bridged_by_the_way_down() {
        let mut a = Altimeter::default();
        let range = height(10.0, 0.1, HeightSource::RangeSensor, 0.0);
        assert!(a.read(Some(&range), &reading(-12.0), at(0.0)).is_some());
        let relative = height(13.0, 5.0, HeightSource::RelativeAltitude, 1.0);
        let h = a.read(Some(&relative), &reading(-11.0), at(1.0)).unwrap();
        assert!((h.metres - 9.0).abs() < 1e-9 && h.is_measured);
        // Not for ever.
        let relative = height(13.0, 5.0, HeightSource::RelativeAltitude, 2.5);
        let h = a.read(Some(&relative), &reading(-11.0), at(2.5)).unwrap();
        assert!((h.low_m - -2.0).abs() < 1e-9 && !h.is_measured);
    }

    #[test]
    fn what_no_command_may_rest_on_is_no_height() {
        let mut a = Altimeter::default();
        let mut r = reading(-10.0);
        r.allow_relative = false;
        for (source, metres, sd) in [
            (HeightSource::RelativeAltitude, 10.0, 5.0),
            (HeightSource::Given, 10.0, 0.0),
            (HeightSource::RangeSensor, f64::NAN, 0.1),
            (HeightSource::RangeSensor, 10.0, f64::NAN),
            (HeightSource::RangeSensor, 10.0, -1.0),
        ] {
            let h = height(metres, sd, source, 0.0);
            assert_eq!(a.read(Some(&h), &r, at(0.0)), None, "{h:?}");
        }
        let old = height(10.0, 0.1, HeightSource::RangeSensor, 0.0);
        assert_eq!(a.read(Some(&old), &r, at(3.0)), None);
        let future = height(10.0, 0.1, HeightSource::RangeSensor, 9.0);
        assert_eq!(a.read(Some(&future), &r, at(3.0)), None);
    }

    #[test]
    fn another_epoch_is_another_ground() {
        let mut a = Altimeter::default();
        let h = height(10.0, 0.1, HeightSource::RangeSensor, 0.0);
        assert!(a.read(Some(&h), &reading(-10.0), at(0.0)).is_some());
        let mut r = reading(-10.0);
        r.epoch = 2;
        assert_eq!(a.read(Some(&h), &r, at(0.3)), None);
    }
}
