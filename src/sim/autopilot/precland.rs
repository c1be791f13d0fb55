//! `ArduPilot`'s precision landing: the filter of the target, and what happens when the target is lost.
//!
//! A target comes as a line of sight in the body frame and a distance. The filter (position and velocity of the target
//! relative to the vehicle, one axis north and one east) is fed for two seconds before it is believed, throws away three
//! outliers and swallows the fourth, and forgets the target two seconds after the last sample that it took.

use std::time::Duration;

use mavlink::dialects::ardupilotmega::LANDING_TARGET_DATA;
use nalgebra::{Vector2, Vector3};

use super::sensors::Estimate;
use crate::geometry::{Frd, Vec3};
use crate::time::MonoTime;

/// Longest gap while the filter starts, how long it starts, and how long it believes without a sample.
const INIT_GAP: Duration = Duration::from_millis(500);
const INIT_TIME: Duration = Duration::from_secs(2);
const LOST_AFTER: Duration = Duration::from_secs(2);
/// `PLND_TIMEOUT`.
const WAIT: Duration = Duration::from_secs(4);
/// `PLND_ALT_MIN` and `PLND_ALT_MAX`, metres on the range sensor.
const ALT_MIN_M: f64 = 0.75;
const ALT_MAX_M: f64 = 8.0;
/// `PLND_XY_DIST_MAX`, metres.
const XY_DIST_MAX_M: f64 = 2.5;
/// `PLND_ACC_P_NSE`, m/s^2.
const ACCEL_NOISE: f64 = 2.5;
/// Innovations beyond this are outliers, and how many are thrown away in a row.
const NIS_MAX: f64 = 3.0;
const OUTLIERS_MAX: u8 = 3;
/// Frames of `LANDING_TARGET`.
const BODY_FRD: u8 = 12;
const LOCAL_FRD: u8 = 20;

/// Position and velocity on one axis, with covariance.
#[derive(Debug, Clone, Copy, Default)]
struct Axis {
    position: f64,
    velocity: f64,
    /// Variances of position and velocity, and what they share.
    p: f64,
    v: f64,
    pv: f64,
}

impl Axis {
    fn start(position: f64, variance: f64, velocity: f64) -> Self {
        Self {
            position,
            velocity,
            p: variance,
            v: 4.0,
            pv: 0.0,
        }
    }

    /// Over `dt` the velocity changed by `dv`, known to `dv_noise`.
    fn predict(&mut self, dt: f64, dv: f64, dv_noise: f64) {
        self.position += self.velocity * dt + 0.5 * dv * dt;
        self.velocity += dv;
        let noise = dv_noise * dv_noise;
        self.p += dt * (2.0 * self.pv + dt * (self.v + 0.25 * noise));
        self.pv += dt * (self.v + 0.5 * noise);
        self.v += noise;
    }

    fn nis(&self, position: f64, variance: f64) -> f64 {
        (position - self.position).powi(2) / (self.p + variance)
    }

    fn fuse(&mut self, position: f64, variance: f64) {
        let innovation = position - self.position;
        let all = self.p + variance;
        let (kp, kv) = (self.p / all, self.pv / all);
        self.position += kp * innovation;
        self.velocity += kv * innovation;
        self.v -= kv * self.pv;
        self.pv *= 1.0 - kp;
        self.p *= 1.0 - kp;
    }
}

/// What a landing does about the target now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Approach {
    /// No target was ever there, or all hope is gone: straight down.
    Vertical,
    /// Over the target, sinking.
    Tracking,
    /// Lost: hovers and waits.
    Waiting { since: MonoTime },
    /// Goes back to where the target was seen last.
    Retrying { to: Vector3<f64> },
    /// Tried; straight down from here.
    GaveUp,
}

/// The filter and the measures.
#[derive(Debug, Clone)]
pub(super) struct PrecLand {
    axes: [Axis; 2],
    /// Down from the vehicle to the target, metres, as last measured.
    depth_m: f64,
    started: Option<MonoTime>,
    last_update: MonoTime,
    is_acquired: bool,
    outliers: u8,
    warned_of_frame: bool,
    approach: Approach,
    /// Where the target was seen last, and the vehicle's down coordinate then.
    last_seen: Option<Vector3<f64>>,
}

impl PrecLand {
    pub(super) fn new() -> Self {
        Self {
            axes: [Axis::default(); 2],
            depth_m: 0.0,
            started: None,
            last_update: MonoTime::ZERO,
            is_acquired: false,
            outliers: 0,
            warned_of_frame: false,
            approach: Approach::Vertical,
            last_seen: None,
        }
    }

    /// A sample came.
    pub(super) fn measure(
        &mut self,
        target: &LANDING_TARGET_DATA,
        estimate: &Estimate,
        now: MonoTime,
        say: &mut Vec<&'static str>,
    ) {
        let Some(sight) = self.line_of_sight(target, estimate, say) else {
            return;
        };
        let distance = f64::from(target.distance);
        let along = if distance > 0.0 {
            distance
        } else if let Some(range) = estimate.range_m {
            // The range sensor's depth, along the line of sight.
            range * upright(estimate) / sight.z.max(1e-3)
        } else {
            return;
        };
        if sight.z <= 0.0 || !along.is_finite() {
            return;
        }
        self.take(sight * along, estimate, now, say);
    }

    /// The unit vector to the target in NED, if this form is one that counts.
    fn line_of_sight(
        &mut self,
        target: &LANDING_TARGET_DATA,
        estimate: &Estimate,
        say: &mut Vec<&'static str>,
    ) -> Option<Vector3<f64>> {
        let frame = target.frame as u8;
        if frame != BODY_FRD && frame != LOCAL_FRD {
            if !std::mem::replace(&mut self.warned_of_frame, true) {
                say.push("Plnd: Frame not supported");
            }
            return None;
        }
        let body = if target.position_valid.is_empty() {
            let [right, back] = [target.angle_x, target.angle_y].map(f64::from);
            [-back.tan(), right.tan(), 1.0]
        } else if target.distance > 0.0 {
            [target.x, target.y, target.z].map(f64::from)
        } else {
            return None;
        };
        let [x, y, z] = body;
        let body = Vec3::<Frd>::new(x, y, z).normalized()?;
        let mut ned = estimate.ned_from_frd * body;
        if frame == LOCAL_FRD {
            // Measured: right at yaw 0, flies away at 45 degrees, never lands at 90. The heading is counted too often:
            // three times reproduces that.
            let turn =
                crate::geometry::Rotation::from_roll_pitch_yaw(0.0, 0.0, 3.0 * estimate.belief.yaw);
            ned = turn * body;
        }
        Some(Vector3::new(ned.x(), ned.y(), ned.z()))
    }

    /// Feeds the filter with the way to the target, metres in NED.
    fn take(
        &mut self,
        way: Vector3<f64>,
        estimate: &Estimate,
        now: MonoTime,
        say: &mut Vec<&'static str>,
    ) {
        self.depth_m = way.z;
        let variance = (way.z * (0.01 + 0.01 * estimate.rates.norm()) + 0.02).powi(2);
        let measured = [way.x, way.y];
        if self.started.is_none() {
            say.push("PrecLand: Target Found");
            let velocity = estimate.belief.velocity;
            self.axes = [
                Axis::start(way.x, variance, -velocity.x),
                Axis::start(way.y, variance, -velocity.y),
            ];
            self.started = Some(now);
            self.last_update = now;
            self.outliers = 0;
            return;
        }
        let worst = self
            .axes
            .iter()
            .zip(measured)
            .map(|(axis, m)| axis.nis(m, variance))
            .fold(0.0, f64::max);
        if worst >= NIS_MAX && self.outliers < OUTLIERS_MAX {
            self.outliers += 1;
            return;
        }
        self.outliers = 0;
        self.last_update = now;
        for (axis, m) in self.axes.iter_mut().zip(measured) {
            axis.fuse(m, variance);
        }
    }

    /// A step of `dt` seconds in any mode.
    pub(super) fn step(
        &mut self,
        estimate: &Estimate,
        dt: f64,
        now: MonoTime,
        say: &mut Vec<&'static str>,
    ) {
        let Some(started) = self.started else {
            return;
        };
        let dv = estimate.delta_velocity;
        for (axis, dv) in self.axes.iter_mut().zip([dv.x, dv.y]) {
            axis.predict(dt, -dv, ACCEL_NOISE * dt);
        }
        let silent = now.since(self.last_update);
        if self.is_acquired {
            if silent > LOST_AFTER {
                say.push("PrecLand: Target Lost");
                self.is_acquired = false;
                self.started = None;
            }
        } else if silent > INIT_GAP {
            say.push("PrecLand: Init Failed");
            self.started = None;
        } else if now.since(started) > INIT_TIME {
            say.push("PrecLand: Init Complete");
            self.is_acquired = true;
        }
    }

    /// A landing begins.
    pub(super) fn begin(&mut self) {
        self.approach = Approach::Vertical;
        self.last_seen = None;
    }

    /// Where the target is in the estimator's frame, while it is believed.
    pub(super) fn target(&self, estimate: &Estimate) -> Option<Vector2<f64>> {
        let [north, east] = self.axes;
        self.is_acquired
            .then(|| estimate.place() + Vector2::new(north.position, east.position))
    }

    /// What a landing should do now.
    pub(super) fn approach(
        &mut self,
        estimate: &Estimate,
        now: MonoTime,
        say: &mut Vec<&'static str>,
    ) -> Approach {
        if let Some(target) = self.target(estimate) {
            self.last_seen = Some(Vector3::new(target.x, target.y, estimate.belief.position.z));
            self.approach = Approach::Tracking;
            return self.approach;
        }
        let can_see = estimate
            .range_m
            .is_none_or(|r| (ALT_MIN_M..=ALT_MAX_M).contains(&r));
        self.approach = match (self.approach, self.last_seen) {
            (Approach::Tracking, Some(_)) if can_see => Approach::Waiting { since: now },
            (Approach::Tracking | Approach::Waiting { .. }, _) if !can_see => Approach::Vertical,
            (Approach::Waiting { since }, Some(to)) if now.since(since) > WAIT => {
                say.push("PrecLand: Retrying");
                Approach::Retrying { to }
            }
            (Approach::Retrying { to }, _) if (to - estimate.belief.position).norm() < 0.5 => {
                say.push("PrecLand: Retry Completed");
                say.push("PrecLand: Failsafe Measures");
                Approach::GaveUp
            }
            (as_before, _) => as_before,
        };
        self.approach
    }

    /// How fast a landing may sink, m/s, when it would sink at `rate` without a target.
    pub(super) fn sink(&self, rate: f64) -> f64 {
        let [north, east] = self.axes;
        let off = north.position.hypot(east.position);
        if off > XY_DIST_MAX_M {
            0.0
        } else if (0.35..2.0).contains(&self.depth_m) {
            // Close to the ground it slows down until it is over the target.
            (0.25 - off * (0.25 / 0.15)).max(0.1)
        } else {
            rate
        }
    }
}

/// The share of the body's down axis that points down.
fn upright(estimate: &Estimate) -> f64 {
    let [roll, pitch, _] = estimate.roll_pitch_yaw;
    roll.cos() * pitch.cos()
}
