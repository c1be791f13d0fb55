//! How a quadrotor moves: tilt makes acceleration, wind drags, limits hold.
//!
//! Two parts that know nothing of each other's truth: [`Controller`] is the flight controller's inner loop and sees an
//! estimate; [`Quad`] is the body and moves in the real world. North, east, down, metres and seconds throughout.
//!
//! The model is a point mass with a thrust vector: the controller asks for a specific force, the tilt follows it as a
//! damped second-order lag, drag is proportional to the air's speed past the body. That reproduces what a landing depends
//! on (stopping distances, tilt while moving, drift in gusts) at a cost of less than a microsecond a step.

use nalgebra::{Vector2, Vector3};

use crate::geometry::{Frd, Ned, Rotation};

/// Gravity, metres per second squared.
const GRAVITY: f64 = 9.80665;
/// Drag: acceleration for each metre per second of wind past the body, 1/s. Hovering in 8 m/s takes 11 degrees of tilt.
const DRAG: f64 = 0.2;
/// How fast the tilt follows, rad/s, and how damped.
const TILT_FREQUENCY: f64 = 9.0;
const TILT_DAMPING: f64 = 0.9;
/// How fast the thrust follows, seconds.
const THRUST_LAG_S: f64 = 0.1;
/// Position error to speed, 1/s; speed error to acceleration, 1/s; its integral, 1/s^2.
const KP_PLACE: f64 = 1.0;
const KP_SPEED: f64 = 2.2;
const KI_SPEED: f64 = 1.1;
/// How fast the asked speed follows the wanted one, 1/s, and how fast its acceleration may change, m/s^3.
const KP_SHAPE: f64 = 2.5;
const JERK: f64 = 6.0;
/// Longest acceleration that the integral may hold against the wind, m/s^2.
const INTEGRAL_MAX: f64 = 4.0;

/// What the vehicle may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Horizontal speed, m/s.
    pub speed_m_s: f64,
    /// Upwards, m/s.
    pub climb_m_s: f64,
    /// Downwards, m/s.
    pub sink_m_s: f64,
    /// Horizontal acceleration asked for, m/s^2.
    pub accel_m_s2: f64,
    /// Tilt, radians.
    pub tilt_rad: f64,
    /// Turning, rad/s.
    pub yaw_rate_rad_s: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            speed_m_s: 5.0,
            climb_m_s: 2.5,
            sink_m_s: 1.5,
            accel_m_s2: 2.5,
            tilt_rad: 0.52,
            yaw_rate_rad_s: 1.0,
        }
    }
}

/// What is wanted across the ground, in the estimator's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Horizontal {
    /// Be here.
    Place(Vector2<f64>),
    /// Move like this.
    Velocity(Vector2<f64>),
    /// Tilt for this acceleration and do not look at the position.
    Tilt(Vector2<f64>),
}

/// What is wanted up and down, in the estimator's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Vertical {
    /// Be at this down coordinate.
    Down(f64),
    /// Sink at this rate (negative climbs).
    Rate(f64),
    /// Motors off.
    Off,
}

/// Where the nose should point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heading {
    /// As it is.
    Keep,
    /// There, radians clockwise from north.
    To(f64),
    /// Turning, rad/s.
    Rate(f64),
}

/// What a mode wants of the vehicle now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Across the ground.
    pub horizontal: Horizontal,
    /// Up and down.
    pub vertical: Vertical,
    /// The nose.
    pub heading: Heading,
}

/// What the controller believes of the vehicle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Metres.
    pub position: Vector3<f64>,
    /// Metres per second.
    pub velocity: Vector3<f64>,
    /// Radians.
    pub yaw: f64,
}

/// What the controller asks of the motors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thrust {
    /// Force per mass without gravity, m/s^2: hovering is (0, 0, -9.8).
    pub force: Vector3<f64>,
    /// Turning, rad/s.
    pub yaw_rate: f64,
}

/// The flight controller's inner loop: places to speeds, speeds to forces.
#[derive(Debug, Clone, Default)]
pub struct Controller {
    /// Speed asked for, and its change: what is wanted, without jerks.
    speed: Vector3<f64>,
    accel: Vector2<f64>,
    integral: Vector3<f64>,
}

impl Controller {
    /// The force for `demand`, seen from `belief`, over the next `dt` seconds.
    pub fn step(&mut self, demand: &Demand, belief: &Belief, limits: &Limits, dt: f64) -> Thrust {
        let across = self.across(demand.horizontal, belief, limits, dt);
        let down = self.down(demand.vertical, belief, limits, dt);
        let yaw_rate = match demand.heading {
            Heading::Keep => 0.0,
            Heading::To(yaw) => 1.5 * wrapped(yaw - belief.yaw),
            Heading::Rate(rate) => rate,
        };
        Thrust {
            force: Vector3::new(across.x, across.y, down),
            yaw_rate: yaw_rate.clamp(-limits.yaw_rate_rad_s, limits.yaw_rate_rad_s),
        }
    }

    fn across(
        &mut self,
        wanted: Horizontal,
        belief: &Belief,
        limits: &Limits,
        dt: f64,
    ) -> Vector2<f64> {
        let speed = match wanted {
            Horizontal::Place(place) => {
                let way = place - belief.position.xy();
                let reach = approach(way.norm(), KP_PLACE, 0.6 * limits.accel_m_s2);
                way.try_normalize(1e-9).unwrap_or_default() * reach
            }
            Horizontal::Velocity(velocity) => velocity,
            Horizontal::Tilt(accel) => {
                self.speed
                    .fixed_rows_mut::<2>(0)
                    .copy_from(&belief.velocity.xy());
                self.integral.fixed_rows_mut::<2>(0).fill(0.0);
                self.accel = Vector2::zeros();
                return capped(accel, GRAVITY * limits.tilt_rad.tan());
            }
        };
        let lack = capped(speed, limits.speed_m_s) - self.speed.xy();
        let wish = capped(lack * KP_SHAPE, limits.accel_m_s2);
        self.accel += capped(wish - self.accel, JERK * dt);
        let shaped = self.speed.xy() + self.accel * dt;
        self.speed.fixed_rows_mut::<2>(0).copy_from(&shaped);
        let error = shaped - belief.velocity.xy();
        let integral = capped(self.integral.xy() + error * (KI_SPEED * dt), INTEGRAL_MAX);
        self.integral.fixed_rows_mut::<2>(0).copy_from(&integral);
        let wish = self.accel + error * KP_SPEED + integral;
        capped(wish, GRAVITY * limits.tilt_rad.tan())
    }

    fn down(&mut self, wanted: Vertical, belief: &Belief, limits: &Limits, dt: f64) -> f64 {
        let rate = match wanted {
            Vertical::Down(down) => {
                let way = down - belief.position.z;
                way.signum() * approach(way.abs(), KP_PLACE, 1.5)
            }
            Vertical::Rate(rate) => rate,
            Vertical::Off => {
                self.speed.z = belief.velocity.z;
                self.integral.z = 0.0;
                return 0.0;
            }
        };
        let change = (rate.clamp(-limits.climb_m_s, limits.sink_m_s) - self.speed.z)
            .clamp(-2.5 * dt, 2.5 * dt);
        self.speed.z += change;
        let error = self.speed.z - belief.velocity.z;
        self.integral.z = (self.integral.z + error * KI_SPEED * dt).clamp(-2.0, 2.0);
        // Neither free fall nor more than twice the weight.
        (change / dt + 3.0 * error + self.integral.z - GRAVITY)
            .clamp(-2.0 * GRAVITY, -0.3 * GRAVITY)
    }

    /// One that has hovered for a while in this wind, m/s.
    #[must_use]
    pub fn trimmed(wind: &Vector3<f64>) -> Self {
        let push = wind.xy() * -DRAG;
        Self {
            integral: Vector3::new(push.x, push.y, 0.0),
            ..Self::default()
        }
    }

    /// Forgets what it learned of the wind: on the ground.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The body in the real world.
#[derive(Debug, Clone)]
pub struct Quad {
    /// Metres; the ground is z = 0.
    pub position: Vector3<f64>,
    /// Metres per second.
    pub velocity: Vector3<f64>,
    /// Metres per second squared.
    pub acceleration: Vector3<f64>,
    /// Radians clockwise from north.
    pub yaw: f64,
    /// Turning, rad/s.
    pub yaw_rate: f64,
    /// Force per mass across the ground, as the tilt makes it now, and how it changes.
    tilt: Vector2<f64>,
    tilt_rate: Vector2<f64>,
    /// Force per mass along down.
    lift: f64,
}

impl Quad {
    /// At rest in the air (or on the ground, at z = 0), leaning into this wind, m/s.
    #[must_use]
    pub fn hovering(position: Vector3<f64>, yaw: f64, wind: &Vector3<f64>) -> Self {
        let mut quad = Self::at(position, yaw);
        if !quad.is_on_ground() {
            quad.tilt = wind.xy() * -DRAG;
        }
        quad
    }

    /// At rest in calm air (or on the ground, at z = 0).
    #[must_use]
    pub fn at(position: Vector3<f64>, yaw: f64) -> Self {
        Self {
            position,
            velocity: Vector3::zeros(),
            acceleration: Vector3::zeros(),
            yaw: wrapped(yaw),
            yaw_rate: 0.0,
            tilt: Vector2::zeros(),
            tilt_rate: Vector2::zeros(),
            lift: -GRAVITY,
        }
    }

    /// Moves on by `dt` seconds. Returns the speed of the impact, m/s, when it meets the ground in this step.
    pub fn step(&mut self, thrust: &Thrust, wind: &Vector3<f64>, dt: f64) -> Option<f64> {
        let pull = (thrust.force.xy() - self.tilt) * TILT_FREQUENCY.powi(2)
            - self.tilt_rate * (2.0 * TILT_DAMPING * TILT_FREQUENCY);
        self.tilt_rate += pull * dt;
        self.tilt += self.tilt_rate * dt;
        self.lift += (thrust.force.z - self.lift) * (dt / THRUST_LAG_S);
        self.yaw_rate += (thrust.yaw_rate - self.yaw_rate) * (dt / 0.2);
        self.yaw = wrapped(self.yaw + self.yaw_rate * dt);
        let was_in_air = self.position.z < 0.0;
        self.acceleration = Vector3::new(self.tilt.x, self.tilt.y, self.lift + GRAVITY)
            + (wind - self.velocity) * DRAG;
        self.velocity += self.acceleration * dt;
        self.position += self.velocity * dt;
        if self.position.z < 0.0 {
            return None;
        }
        let impact = self.velocity.z;
        self.rest();
        was_in_air.then_some(impact)
    }

    /// On the ground: it stands level, and friction holds it.
    fn rest(&mut self) {
        self.position.z = 0.0;
        self.velocity = Vector3::zeros();
        self.acceleration = Vector3::zeros();
        self.tilt = Vector2::zeros();
        self.tilt_rate = Vector2::zeros();
        self.yaw_rate = 0.0;
    }

    /// Whether it stands on the ground.
    #[must_use]
    pub fn is_on_ground(&self) -> bool {
        self.position.z >= 0.0
    }

    /// Roll, pitch and yaw, radians: the thrust points where the tilt says.
    #[must_use]
    pub fn roll_pitch_yaw(&self) -> (f64, f64, f64) {
        let (sin, cos) = self.yaw.sin_cos();
        let forward = cos * self.tilt.x + sin * self.tilt.y;
        let right = cos * self.tilt.y - sin * self.tilt.x;
        let up = (-self.lift).max(0.3 * GRAVITY);
        let pitch = (-forward).atan2(up);
        ((right * pitch.cos()).atan2(up), pitch, self.yaw)
    }

    /// Body rates about forward, right and down, rad/s, near enough for small tilts.
    #[must_use]
    pub fn body_rates(&self) -> Vector3<f64> {
        let (sin, cos) = self.yaw.sin_cos();
        let forward = cos * self.tilt_rate.x + sin * self.tilt_rate.y;
        let right = cos * self.tilt_rate.y - sin * self.tilt_rate.x;
        Vector3::new(right / GRAVITY, -forward / GRAVITY, self.yaw_rate)
    }

    /// How it is turned.
    #[must_use]
    pub fn ned_from_frd(&self) -> Rotation<Ned, Frd> {
        let (roll, pitch, yaw) = self.roll_pitch_yaw();
        Rotation::from_roll_pitch_yaw(roll, pitch, yaw)
    }
}

/// A speed towards something `distance` away that can still stop there: linear near it, a square root far from it.
fn approach(distance: f64, gain: f64, accel: f64) -> f64 {
    let near = accel / (gain * gain);
    if distance <= near {
        distance * gain
    } else {
        (2.0 * accel * (distance - 0.5 * near)).sqrt()
    }
}

/// The same direction, no longer than `most`; not-a-number becomes nothing.
fn capped(v: Vector2<f64>, most: f64) -> Vector2<f64> {
    let norm = v.norm();
    if norm.is_nan() {
        Vector2::zeros()
    } else if norm > most {
        v * (most / norm)
    } else {
        v
    }
}

/// An angle in `(-pi, pi]`.
pub(crate) fn wrapped(angle: f64) -> f64 {
    crate::units::Radians(angle).wrapped().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DT: f64 = 0.01;

    /// Flies `demand` with perfect knowledge for so many seconds.
    fn fly(quad: &mut Quad, demand: Demand, wind: Vector3<f64>, seconds: f64) {
        let mut controller = Controller::default();
        for _ in 0..(seconds / DT) as usize {
            let belief = Belief {
                position: quad.position,
                velocity: quad.velocity,
                yaw: quad.yaw,
            };
            let thrust = controller.step(&demand, &belief, &Limits::default(), DT);
            quad.step(&thrust, &wind, DT);
        }
    }

    fn go(north: f64, east: f64, down: f64) -> Demand {
        Demand {
            horizontal: Horizontal::Place(Vector2::new(north, east)),
            vertical: Vertical::Down(down),
            heading: Heading::Keep,
        }
    }

    #[rstest]
    #[case::calm(0.0)]
    #[case::wind(8.0)]
    fn it_flies_to_a_place_and_stays(#[case] wind: f64) {
        let mut quad = Quad::at(Vector3::new(0.0, 0.0, -20.0), 0.3);
        fly(
            &mut quad,
            go(12.0, -5.0, -10.0),
            Vector3::new(0.0, wind, 0.0),
            25.0,
        );
        let off = (quad.position - Vector3::new(12.0, -5.0, -10.0)).norm();
        assert!(off < 0.05, "{off} m off");
        assert!(quad.velocity.norm() < 0.05);
    }

    #[test]
    fn it_does_not_run_past_the_place() {
        let mut quad = Quad::at(Vector3::new(0.0, 0.0, -20.0), 0.0);
        let mut furthest = 0.0f64;
        let mut controller = Controller::default();
        for _ in 0..2000 {
            let belief = Belief {
                position: quad.position,
                velocity: quad.velocity,
                yaw: quad.yaw,
            };
            let thrust = controller.step(&go(10.0, 0.0, -20.0), &belief, &Limits::default(), DT);
            quad.step(&thrust, &Vector3::zeros(), DT);
            furthest = furthest.max(quad.position.x);
            assert!(quad.velocity.xy().norm() < 5.2);
            let (roll, pitch, _) = quad.roll_pitch_yaw();
            assert!(roll.abs() < 0.6 && pitch.abs() < 0.6);
        }
        assert!(furthest < 10.4, "overshoots to {furthest}");
    }

    #[test]
    fn the_nose_goes_down_to_move_forward_and_the_right_side_to_move_right() {
        for yaw in [0.0, 1.0, -2.5] {
            let mut quad = Quad::at(Vector3::new(0.0, 0.0, -20.0), yaw);
            let ahead = Vector2::new(yaw.cos(), yaw.sin());
            let right = Vector2::new(-yaw.sin(), yaw.cos());
            let demand = Demand {
                horizontal: Horizontal::Velocity((ahead + right) * 3.0),
                ..go(0.0, 0.0, -20.0)
            };
            fly(&mut quad, demand, Vector3::zeros(), 0.5);
            let (roll, pitch, _) = quad.roll_pitch_yaw();
            assert!(pitch < -0.05 && roll > 0.05, "{roll} {pitch}");
            // The force that the attitude makes is the one that moves it.
            let up = quad.ned_from_frd() * crate::geometry::Vec3::<Frd>::new(0.0, 0.0, -1.0);
            let push = Vector2::new(up.x(), up.y()).normalize();
            assert!((push - (ahead + right).normalize()).norm() < 0.05);
        }
    }

    #[test]
    fn it_does_not_jerk() {
        let mut quad = Quad::at(Vector3::new(0.0, 0.0, -20.0), 0.0);
        let mut controller = Controller::default();
        for step in 0..40 {
            let belief = Belief {
                position: quad.position,
                velocity: quad.velocity,
                yaw: quad.yaw,
            };
            let thrust = controller.step(&go(30.0, 0.0, -20.0), &belief, &Limits::default(), DT);
            // The asked acceleration grows by 6 m/s^3, and the lag of the body is made up for.
            let most = 0.2 + 0.13 * f64::from(step);
            assert!(thrust.force.x < most, "{} at step {step}", thrust.force.x);
            quad.step(&thrust, &Vector3::zeros(), DT);
        }
        assert!(quad.acceleration.x > 1.5);
    }

    #[test]
    fn hovering_in_wind_leans_into_it() {
        let mut quad = Quad::at(Vector3::new(0.0, 0.0, -20.0), 0.0);
        fly(
            &mut quad,
            go(0.0, 0.0, -20.0),
            Vector3::new(-8.0, 0.0, 0.0),
            20.0,
        );
        let (_, pitch, _) = quad.roll_pitch_yaw();
        assert!(
            (pitch.to_degrees() + 9.3).abs() < 1.5,
            "{}",
            pitch.to_degrees()
        );
    }

    #[test]
    fn it_meets_the_ground_once_and_stands() {
        let mut quad = Quad::at(Vector3::new(0.0, 0.0, -1.0), 0.0);
        let off = Thrust {
            force: Vector3::zeros(),
            yaw_rate: 0.0,
        };
        let impacts: Vec<f64> = (0..300)
            .filter_map(|_| quad.step(&off, &Vector3::zeros(), DT))
            .collect();
        assert_eq!(impacts.len(), 1);
        assert!(impacts[0] > 2.0 && quad.is_on_ground());
    }
}
