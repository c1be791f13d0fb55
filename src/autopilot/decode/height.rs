//! Height above ground from whatever the autopilot has: the surest word counts.
//!
//! - A range sensor looks along the body's down axis, so its reading times the cosine of the tilt is the height. A reading
//!   which the one before does not support is dropped; a real edge (a roof, a wall) is believed at its second reading.
//! - A terrain model is good to a few metres.
//! - Height over the take-off point says nothing of the ground here: 5 m. After a range sensor has spoken, the
//!   difference between the two is carried along, and what the drift of pressure and the slope of the ground may have
//!   done to it since is added.

use std::time::Duration;

use crate::geometry::{Frd, Ned, Rotation, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, HeightSample, HeightSource, Stamped};

/// Largest tilt at which a range reading is a height: beyond, the beam leaves the ground that matters.
const MIN_COS_TILT: f64 = 0.866;
/// Readings further apart in time do not support each other.
const SUPPORT_WITHIN: Duration = Duration::from_millis(1500);
/// Difference of two readings that support each other: fixed, by height, and by time, metres, share, metres per second.
const SUPPORT: (f64, f64, f64) = (0.5, 0.1, 5.0);
/// Error of a range reading: fixed and by distance.
const RANGE_SD: (f64, f64) = (0.05, 0.02);
/// Error of a terrain model, metres.
const TERRAIN_SD_M: f64 = 3.0;
/// Error of the autopilot's own estimate of its clearance, metres.
pub(super) const CLEARANCE_SD_M: f64 = 1.0;
/// Error of a height over the take-off point, metres.
const RELATIVE_SD_M: f64 = 5.0;
/// How fast a carried difference gets worse: by time (pressure) and by distance (slope), metres per second and per metre.
const CARRIED_SD: (f64, f64) = (0.05, 0.1);
/// The autopilot may be below its take-off point by this much before its height is no height any more, metres.
const BELOW_M: f64 = 5.0;
/// A surer word counts this long against a less sure one.
const HOLD: Duration = Duration::from_secs(1);

/// A reading of the range sensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) metres: f64,
    pub(super) at: MonoTime,
}

/// Picks the surest height.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heights {
    last_range: Option<Range>,
    relative: Option<Stamped<f64>>,
    carried: Option<Carried>,
    best: Option<HeightSample>,
}

/// Range height minus relative altitude, where a range sensor last agreed.
#[derive(Debug, Clone, Copy)]
struct Carried {
    difference_m: f64,
    sd_m: f64,
    at: MonoTime,
    place: Option<Vec3<Ned>>,
}

impl Heights {
    /// Forgets everything: another origin, another place.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The height by a range reading; `Err` when the reading is not to be believed.
    pub(super) fn range(
        &mut self,
        reading: Range,
        attitude: Rotation<Ned, Frd>,
        place: Option<Vec3<Ned>>,
    ) -> Result<Option<HeightSample>, ()> {
        let before = self.last_range.replace(reading);
        let cos_tilt = (attitude * Vec3::new(0.0, 0.0, 1.0)).down();
        if !before.is_some_and(|b| supports(b, reading)) || cos_tilt < MIN_COS_TILT {
            return Err(());
        }
        let metres = reading.metres * cos_tilt;
        let sd_m = RANGE_SD.0.hypot(RANGE_SD.1 * reading.metres);
        if let Some(relative) = self.relative.filter(|r| r.age(reading.at) <= HOLD) {
            self.carried = Some(Carried {
                difference_m: metres - relative.value,
                sd_m,
                at: reading.at,
                place,
            });
        }
        Ok(self.offer(metres, sd_m, HeightSource::RangeSensor, reading.at))
    }

    /// The height by a terrain model.
    pub(super) fn terrain(&mut self, metres: f64, at: MonoTime) -> Option<HeightSample> {
        self.offer(metres, TERRAIN_SD_M, HeightSource::Terrain, at)
    }

    /// The height that the autopilot itself estimates over the ground.
    pub(super) fn clearance(&mut self, metres: f64, at: MonoTime) -> Option<HeightSample> {
        self.offer(metres, CLEARANCE_SD_M, HeightSource::Terrain, at)
    }

    /// The height by the altitude over the take-off point.
    pub(super) fn relative(
        &mut self,
        metres: f64,
        at: MonoTime,
        place: Option<Vec3<Ned>>,
    ) -> Option<HeightSample> {
        self.relative = Some(Stamped::new(metres, at));
        let carried = self
            .carried
            .and_then(|c| Some((metres + c.difference_m, c.sd_at(at, place)?)));
        let (metres, sd_m) = carried.unwrap_or((metres, RELATIVE_SD_M));
        self.offer(metres, sd_m, HeightSource::RelativeAltitude, at)
    }

    fn offer(
        &mut self,
        metres: f64,
        sd_m: f64,
        source: HeightSource,
        at: MonoTime,
    ) -> Option<HeightSample> {
        let is_outdone = self.best.is_some_and(|b| {
            at.since(b.at) <= HOLD && b.height.sd_m < sd_m && b.height.source != source
        });
        if metres < -BELOW_M || is_outdone {
            return None;
        }
        let sample = HeightSample {
            at,
            height: HeightAboveGround {
                metres: metres.max(0.0),
                sd_m,
                source,
            },
        };
        self.best = Some(sample);
        Some(sample)
    }
}

impl Carried {
    /// Its standard deviation here and now; `None` when it is no better than nothing.
    fn sd_at(&self, at: MonoTime, place: Option<Vec3<Ned>>) -> Option<f64> {
        let flown = match (self.place, place) {
            (Some(a), Some(b)) => a.horizontal_distance(&b),
            _ => return None,
        };
        let grown = CARRIED_SD.0 * at.since(self.at).as_secs_f64() + CARRIED_SD.1 * flown;
        Some(self.sd_m.hypot(grown)).filter(|sd| *sd < RELATIVE_SD_M)
    }
}

fn supports(before: Range, now: Range) -> bool {
    let dt = now.at.since(before.at);
    let allowed =
        SUPPORT.0 + SUPPORT.1 * before.metres.max(now.metres) + SUPPORT.2 * dt.as_secs_f64();
    dt <= SUPPORT_WITHIN && (now.metres - before.metres).abs() <= allowed
}
