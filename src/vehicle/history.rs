//! The pose at any moment that a camera may have chosen, from samples that came at other moments.

use std::time::Duration;

use super::samples::{AttitudeSample, HeightSample, PositionSample, Sample, Stream};
use super::timeline::{Around, Intake, Jump, StreamCounts, Timeline};
use super::{HeightAboveGround, Pose};
use crate::geometry::{Frd, Ned, Rotation, Vec3};
use crate::time::MonoTime;

/// Speed that a vehicle at rest may pick up unseen between samples, metres per second.
const SPEED_FLOOR_M_S: f64 = 0.5;
/// Turning speed that a vehicle at rest may pick up unseen between samples, radians per second.
const RATE_FLOOR_RAD_S: f64 = 0.1;

/// How old each stream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Oldest newest attitude at `now`, and longest gap from an attitude to the asked moment.
    pub attitude_max_age: Duration,
    /// The same for positions.
    pub position_max_age: Duration,
    /// The same for heights.
    pub height_max_age: Duration,
    /// How far before the oldest and after the newest sample a pose is still computed, if the age limit allows it.
    pub max_extrapolation: Duration,
}

impl Default for HistoryLimits {
    /// For attitude at 10 Hz or more, position at 5 Hz and height at 2 Hz: two lost samples are forgiven.
    fn default() -> Self {
        Self {
            attitude_max_age: Duration::from_millis(300),
            position_max_age: Duration::from_millis(600),
            height_max_age: Duration::from_millis(1500),
            max_extrapolation: Duration::from_millis(200),
        }
    }
}

impl HistoryLimits {
    fn max_age(&self, stream: Stream) -> Duration {
        match stream {
            Stream::Attitude => self.attitude_max_age,
            Stream::Position => self.position_max_age,
            Stream::Height => self.height_max_age,
        }
    }
}

/// Why there is no pose for a moment.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PoseUnavailable {
    /// Nothing came since the start or the last reset.
    #[error("no {stream} has been received")]
    NeverReceived {
        /// The stream that is silent.
        stream: Stream,
    },
    /// The stream has gone silent.
    #[error("the newest {stream} is {age_s:.2} s old, more than {limit_s:.2} s")]
    Stale {
        /// The stream that is too old.
        stream: Stream,
        /// Its age at `now`, seconds.
        age_s: f64,
        /// Its limit, seconds.
        limit_s: f64,
    },
    /// The stream is alive, but has nothing near the asked moment.
    #[error("the {stream} nearest to the frame is {gap_s:.2} s away, more than {limit_s:.2} s")]
    Gap {
        /// The stream with the hole.
        stream: Stream,
        /// From the asked moment to its nearest sample, seconds.
        gap_s: f64,
        /// The limit that applied, seconds.
        limit_s: f64,
    },
    /// The asked moment lies after `now`.
    #[error("the frame is stamped {ahead_s:.3} s in the future")]
    InFuture {
        /// By how much, seconds.
        ahead_s: f64,
    },
}

/// The last samples of attitude, position and height: three streams, each with its own age.
///
/// Attitude is interpolated along the shortest turn (slerp), position and height linearly; before the oldest and after
/// the newest sample each goes on at its own speed for a short while. Every standard deviation grows with the distance
/// in time to the nearest sample times the speed, since between samples anything may have happened.
///
/// All memory is taken when it is made.
#[derive(Debug)]
pub struct VehicleHistory {
    limits: HistoryLimits,
    attitude: Timeline<AttitudeSample>,
    position: Timeline<PositionSample>,
    height: Timeline<HeightSample>,
}

impl VehicleHistory {
    /// Keeps the last `capacity` samples of each stream (at least 2).
    #[must_use]
    pub fn new(limits: HistoryLimits, capacity: usize) -> Self {
        Self {
            limits,
            attitude: Timeline::new(capacity),
            position: Timeline::new(capacity),
            height: Timeline::new(capacity),
        }
    }

    /// Takes an attitude.
    pub fn push_attitude(&mut self, sample: AttitudeSample, now: MonoTime) -> Intake {
        self.attitude.take(sample, now)
    }

    /// Takes a position. When it lies farther from the last one than 3 standard deviations of both plus speed x time,
    /// the positions before are forgotten, so that no pose is interpolated across the jump.
    pub fn push_position(&mut self, sample: PositionSample, now: MonoTime) -> Intake {
        if let Err(refusal) = self.position.admit(&sample, now) {
            return Intake::Refused(refusal);
        }
        let jump = self
            .position
            .newest()
            .and_then(|last| jump_between(last, &sample));
        if jump.is_some() {
            self.position.clear();
        }
        self.position.push(sample);
        jump.map_or(Intake::Accepted, Intake::Jump)
    }

    /// Takes a height above ground.
    pub fn push_height(&mut self, sample: HeightSample, now: MonoTime) -> Intake {
        self.height.take(sample, now)
    }

    /// Forgets all samples (not the counts): the autopilot's origin changed, or it started again.
    pub fn reset(&mut self) {
        self.attitude.clear();
        self.position.clear();
        self.height.clear();
    }

    /// What became of a stream's samples since the start.
    #[must_use]
    pub fn counts(&self, stream: Stream) -> StreamCounts {
        match stream {
            Stream::Attitude => self.attitude.counts(),
            Stream::Position => self.position.counts(),
            Stream::Height => self.height.counts(),
        }
    }

    /// The pose at `t` (a frame's mid-exposure), as known at `now`.
    ///
    /// # Errors
    /// [`PoseUnavailable`] names the first stream that fails, in the order attitude, position, height: silent since the
    /// start, silent for too long at `now`, or without a sample near enough to `t`; or `t` lies after `now`.
    pub fn pose_at(&self, t: MonoTime, now: MonoTime) -> Result<Pose, PoseUnavailable> {
        if t > now {
            return Err(PoseUnavailable::InFuture {
                ahead_s: t.secs_since(now),
            });
        }
        let (ned_from_frd, attitude_sd_rad) =
            attitude_at(&self.around(Stream::Attitude, &self.attitude, t, now)?, t);
        let around_position = self.around(Stream::Position, &self.position, t, now)?;
        let (position, position_sd_m) = position_at(&around_position, t);
        let climb_m_s = climb(&around_position, t);
        let around_height = self.around(Stream::Height, &self.height, t, now)?;
        Ok(Pose {
            at: t,
            position,
            ned_from_frd,
            height_above_ground: height_at(&around_height, t, climb_m_s),
            position_sd_m,
            attitude_sd_rad,
        })
    }

    /// The samples of one stream around `t`, if it is alive at `now` and they are near enough.
    fn around<S: Sample>(
        &self,
        stream: Stream,
        timeline: &Timeline<S>,
        t: MonoTime,
        now: MonoTime,
    ) -> Result<Around<S>, PoseUnavailable> {
        let (Some(newest), Some(around)) = (timeline.newest(), timeline.around(t)) else {
            return Err(PoseUnavailable::NeverReceived { stream });
        };
        let max_age = self.limits.max_age(stream);
        let age = now.since(newest.at());
        if age > max_age {
            return Err(PoseUnavailable::Stale {
                stream,
                age_s: age.as_secs_f64(),
                limit_s: max_age.as_secs_f64(),
            });
        }
        let (gap, limit) = match &around {
            Around::Nearest(s) => (apart(s.at(), t), max_age.min(self.limits.max_extrapolation)),
            Around::Between(a, b) => (apart(a.at(), t).min(apart(b.at(), t)), max_age),
        };
        if gap > limit {
            return Err(PoseUnavailable::Gap {
                stream,
                gap_s: gap.as_secs_f64(),
                limit_s: limit.as_secs_f64(),
            });
        }
        Ok(around)
    }
}

/// Time between two moments, whichever is first.
fn apart(a: MonoTime, b: MonoTime) -> Duration {
    a.since(b).max(b.since(a))
}

/// Where `t` lies from `a` (0) to `b` (1), and seconds to the nearer of them and between them.
fn between(a: MonoTime, b: MonoTime, t: MonoTime) -> (f64, f64, f64) {
    let (from_a, to_b) = (t.secs_since(a), b.secs_since(t));
    let whole = b.secs_since(a);
    (from_a / whole, from_a.min(to_b), whole)
}

/// `3 sigma + speed x dt`, with the larger speed of the two samples and of a vehicle that starts from rest.
fn jump_between(last: &PositionSample, next: &PositionSample) -> Option<Jump> {
    let distance_m = (next.position - last.position).norm();
    let speed = last
        .velocity_m_s
        .norm()
        .max(next.velocity_m_s.norm())
        .max(SPEED_FLOOR_M_S);
    let allowed_m = 3.0 * last.sd_m.hypot(next.sd_m) + speed * next.at.secs_since(last.at);
    (distance_m > allowed_m).then_some(Jump {
        distance_m,
        allowed_m,
    })
}

fn attitude_at(around: &Around<AttitudeSample>, t: MonoTime) -> (Rotation<Ned, Frd>, f64) {
    match around {
        Around::Nearest(s) => {
            let dt = t.secs_since(s.at);
            let rate = s.rate_rad_s.norm().max(RATE_FLOOR_RAD_S);
            (s.turned_on(dt), s.sd_rad.hypot(rate * dt.abs()))
        }
        Around::Between(a, b) => {
            let (f, gap, whole) = between(a.at, b.at, t);
            let seen = a.ned_from_frd.angle_to(&b.ned_from_frd) / whole;
            let rate = [a.rate_rad_s.norm(), b.rate_rad_s.norm(), RATE_FLOOR_RAD_S]
                .into_iter()
                .fold(seen, f64::max);
            (
                a.ned_from_frd.slerp(&b.ned_from_frd, f),
                a.sd_rad.max(b.sd_rad).hypot(rate * gap),
            )
        }
    }
}

fn position_at(around: &Around<PositionSample>, t: MonoTime) -> (Vec3<Ned>, f64) {
    match around {
        Around::Nearest(s) => {
            let dt = t.secs_since(s.at);
            let speed = s.velocity_m_s.norm().max(SPEED_FLOOR_M_S);
            (
                s.position + s.velocity_m_s * dt,
                s.sd_m.hypot(speed * dt.abs()),
            )
        }
        Around::Between(a, b) => {
            let (f, gap, whole) = between(a.at, b.at, t);
            let way = b.position - a.position;
            let speed = [
                a.velocity_m_s.norm(),
                b.velocity_m_s.norm(),
                SPEED_FLOOR_M_S,
            ]
            .into_iter()
            .fold(way.norm() / whole, f64::max);
            (a.position + way * f, a.sd_m.max(b.sd_m).hypot(speed * gap))
        }
    }
}

/// Upward speed around `t`, metres per second.
fn climb(around: &Around<PositionSample>, t: MonoTime) -> f64 {
    match around {
        Around::Nearest(s) => -s.velocity_m_s.down(),
        Around::Between(a, b) => {
            let (f, _, _) = between(a.at, b.at, t);
            -(a.velocity_m_s.down() * (1.0 - f) + b.velocity_m_s.down() * f)
        }
    }
}

/// Samples of different sources are not mixed: a range sensor and a barometer mean different grounds.
fn height_at(around: &Around<HeightSample>, t: MonoTime, climb_m_s: f64) -> HeightAboveGround {
    let nearest = match around {
        Around::Between(a, b) if a.height.source == b.height.source => {
            let (f, gap, whole) = between(a.at, b.at, t);
            let way = b.height.metres - a.height.metres;
            let speed = (way / whole)
                .abs()
                .max(climb_m_s.abs())
                .max(SPEED_FLOOR_M_S);
            return HeightAboveGround {
                metres: a.height.metres + way * f,
                sd_m: a.height.sd_m.max(b.height.sd_m).hypot(speed * gap),
                source: a.height.source,
            };
        }
        Around::Between(a, b) if apart(a.at, t) <= apart(b.at, t) => a,
        Around::Between(_, s) | Around::Nearest(s) => s,
    };
    let dt = t.secs_since(nearest.at);
    let speed = climb_m_s.abs().max(SPEED_FLOOR_M_S);
    HeightAboveGround {
        metres: nearest.height.metres + climb_m_s * dt,
        sd_m: nearest.height.sd_m.hypot(speed * dt.abs()),
        source: nearest.height.source,
    }
}

#[cfg(test)]
mod tests;
