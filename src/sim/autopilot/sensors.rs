//! Weather, and what the autopilot believes instead of the truth.

use nalgebra::{Vector2, Vector3};

use super::chance::Chance;
use super::config::{Noise, Range, Wind};
use crate::geometry::{Frd, Ned, Rotation};
use crate::sim::quad::{Belief, Quad, wrapped};

/// A length over which a gust changes, metres: with the mean wind it gives the time.
const GUST_LENGTH_M: f64 = 25.0;

/// Mean wind and gusts: one first-order (Dryden-like) process for each axis.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    pub(super) mean: Wind,
    gust: Vector3<f64>,
    /// A gust from a fault script, on top.
    pub(super) extra: Vector3<f64>,
}

impl Weather {
    pub(super) fn new(mean: Wind) -> Self {
        Self {
            mean,
            gust: Vector3::zeros(),
            extra: Vector3::zeros(),
        }
    }

    pub(super) fn step(&mut self, dt: f64, chance: &mut Chance) -> Vector3<f64> {
        let sd = self.mean.speed_m_s * self.mean.turbulence;
        if sd > 0.0 {
            let time = GUST_LENGTH_M / self.mean.speed_m_s.max(1.0);
            let kick = sd * (2.0 * dt / time).sqrt();
            let draw = Vector3::new(chance.normal(), chance.normal(), 0.5 * chance.normal());
            self.gust += draw * kick - self.gust * (dt / time);
        }
        self.mean() + self.gust + self.extra
    }

    /// Without gusts, m/s.
    pub(super) fn mean(&self) -> Vector3<f64> {
        let (sin, cos) = self.mean.from_rad.sin_cos();
        // Wind is named after where it comes from.
        Vector3::new(-cos, -sin, 0.0) * self.mean.speed_m_s
    }
}

/// One slow error: a damped spring that noise pushes about, so that its speed is smooth too.
#[derive(Debug, Clone, Copy, Default)]
struct Wander {
    value: f64,
    rate: f64,
}

impl Wander {
    /// Damping 1/s, and stiffness 1/s^2: changes take about two minutes.
    const DAMPING: f64 = 0.12;
    const STIFFNESS: f64 = 0.003;

    fn at_rest(sd: f64, chance: &mut Chance) -> Self {
        Self {
            value: sd * chance.normal(),
            rate: sd * Self::STIFFNESS.sqrt() * chance.normal(),
        }
    }

    fn step(&mut self, sd: f64, dt: f64, chance: &mut Chance) {
        let kick = sd * (2.0 * Self::DAMPING * Self::STIFFNESS * dt).sqrt();
        self.rate += kick * chance.normal()
            - (Self::DAMPING * self.rate + Self::STIFFNESS * self.value) * dt;
        self.value += self.rate * dt;
    }
}

/// Everything that the autopilot believes at a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) belief: Belief,
    pub(super) ned_from_frd: Rotation<Ned, Frd>,
    pub(super) roll_pitch_yaw: [f64; 3],
    pub(super) rates: Vector3<f64>,
    /// Change of velocity in the last step: what the accelerometers saw.
    pub(super) delta_velocity: Vector3<f64>,
    /// The range sensor's reading while it is good, metres.
    pub(super) range_m: Option<f64>,
}

impl Estimate {
    /// Height over the origin, metres.
    pub(super) fn height_m(&self) -> f64 {
        -self.belief.position.z
    }

    pub(super) fn place(&self) -> Vector2<f64> {
        self.belief.position.xy()
    }
}

/// Truth in, belief out.
#[derive(Debug, Clone)]
pub(super) struct Estimator {
    noise: Noise,
    offset: Vector3<f64>,
    wander: [Wander; 3],
    /// Jumps so far: a GPS jump or another origin.
    pub(super) jumped: Vector3<f64>,
}

impl Estimator {
    pub(super) fn new(noise: Noise, chance: &mut Chance) -> Self {
        let [low, high] = noise.offset_m;
        let size = chance.between(low, high);
        let (sin, cos) = chance.between(0.0, std::f64::consts::TAU).sin_cos();
        Self {
            noise,
            offset: Vector3::new(size * cos, size * sin, 0.0),
            wander: [noise.wander_m, noise.wander_m, noise.height_wander_m]
                .map(|sd| Wander::at_rest(sd, chance)),
            jumped: Vector3::zeros(),
        }
    }

    /// Belief minus truth, metres.
    pub(super) fn error(&self) -> Vector3<f64> {
        let [north, east, down] = self.wander;
        self.offset + self.jumped + Vector3::new(north.value, east.value, down.value)
    }

    pub(super) fn step(
        &mut self,
        quad: &Quad,
        range_m: Option<f64>,
        dt: f64,
        chance: &mut Chance,
    ) -> Estimate {
        let sds = [
            self.noise.wander_m,
            self.noise.wander_m,
            self.noise.height_wander_m,
        ];
        for (wander, sd) in self.wander.iter_mut().zip(sds) {
            wander.step(sd, dt, chance);
        }
        let [north, east, down] = self.wander;
        let drift = Vector3::new(north.rate, east.rate, down.rate);
        let (roll, pitch, yaw) = quad.roll_pitch_yaw();
        let angles = [roll, pitch, yaw].map(|a| a + self.noise.attitude_rad * chance.normal());
        let [roll, pitch, yaw] = angles;
        let yaw = wrapped(yaw);
        Estimate {
            belief: Belief {
                position: quad.position + self.error(),
                velocity: quad.velocity + drift,
                yaw,
            },
            ned_from_frd: Rotation::from_roll_pitch_yaw(roll, pitch, yaw),
            roll_pitch_yaw: [roll, pitch, yaw],
            rates: quad.body_rates(),
            delta_velocity: quad.acceleration * dt,
            range_m,
        }
    }

    /// The position as it is reported, with noise.
    pub(super) fn reported(&self, estimate: &Estimate, chance: &mut Chance) -> Vector3<f64> {
        let sd = self.noise.position_m;
        let draw = Vector3::new(chance.normal(), chance.normal(), chance.normal());
        estimate.belief.position + draw * sd
    }
}

/// What is wrong with the range sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeFault {
    /// It says nothing.
    Silent,
    /// It repeats its last reading for ever.
    Stuck,
}

/// A reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reading {
    /// No reading at all.
    Nothing,
    /// Further than the sensor sees.
    TooFar,
    /// Metres along the body's down axis.
    Metres(f64),
}

/// Looks down along the body's axis.
#[derive(Debug, Clone)]
pub(super) struct RangeSensor {
    pub(super) range: Option<Range>,
    pub(super) fault: Option<RangeFault>,
    /// Still failing for so many seconds.
    dropout_s: f64,
    last: Reading,
    since_read_s: f64,
}

/// How often it measures, seconds.
const RANGE_PERIOD_S: f64 = 0.05;

impl RangeSensor {
    pub(super) fn new(range: Option<Range>) -> Self {
        Self {
            range,
            fault: None,
            dropout_s: 0.0,
            last: Reading::Nothing,
            since_read_s: RANGE_PERIOD_S,
        }
    }

    pub(super) fn step(&mut self, quad: &Quad, noise: &Noise, dt: f64, chance: &mut Chance) {
        self.since_read_s += dt;
        if self.since_read_s < RANGE_PERIOD_S {
            return;
        }
        self.dropout_s = (self.dropout_s - self.since_read_s).max(0.0);
        if chance.unit() < noise.range_dropouts_per_s * self.since_read_s {
            self.dropout_s = chance.between(0.2, 0.8);
        }
        self.since_read_s = 0.0;
        let reading = self.measure(quad, noise, chance);
        match self.fault {
            Some(RangeFault::Stuck) if self.last != Reading::Nothing => {}
            Some(RangeFault::Silent) => self.last = Reading::Nothing,
            _ => self.last = reading,
        }
    }

    fn measure(&self, quad: &Quad, noise: &Noise, chance: &mut Chance) -> Reading {
        let (Some(range), true) = (self.range, self.dropout_s <= 0.0) else {
            return Reading::Nothing;
        };
        let (roll, pitch, _) = quad.roll_pitch_yaw();
        let along = -quad.position.z / (roll.cos() * pitch.cos()).max(0.3);
        let [fixed, share] = noise.range_m;
        let metres = along + (fixed + share * along) * chance.normal();
        if metres > range.max_m {
            Reading::TooFar
        } else {
            Reading::Metres(metres.max(range.min_m))
        }
    }

    pub(super) fn last(&self) -> Reading {
        self.last
    }

    /// The reading while it is a length, metres.
    pub(super) fn metres(&self) -> Option<f64> {
        match self.last {
            Reading::Metres(m) => Some(m),
            Reading::Nothing | Reading::TooFar => None,
        }
    }
}
