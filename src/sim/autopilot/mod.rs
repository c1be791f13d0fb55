//! A simulated flight controller: MAVLink bytes in, MAVLink bytes out, in virtual time.
//!
//! It behaves like the two real autopilots were measured to behave, also where that differs from their documentation:
//! which forms of a landing target and of a setpoint count, what an acknowledgement proves (nothing), what happens when
//! the companion falls silent (a landing). The same seed and the same bytes at the same times give the same flight.
//!
//! ```
//! use alight::sim::autopilot::{Dialect, SimAutopilot, SimConfig};
//! use alight::time::MonoTime;
//!
//! let mut autopilot = SimAutopilot::new(SimConfig::new(Dialect::ArduPilot, 1));
//! let mut bytes = Vec::new();
//! autopilot.advance(MonoTime::from_secs_f64(3.5));
//! autopilot.transmit(&mut bytes); // heartbeats: nothing else comes unasked
//! assert!(!bytes.is_empty() && !autopilot.truth().is_landed);
//! ```
//!
//! What it is not: a model of motors, of the estimator's inner life or of parameters that can be set over the link. The frame of its
//! estimate and the truth differ by an error that [`Noise`] describes; what it reports is the estimate, [`Truth`] is what
//! the world sees.

mod chance;
mod config;
mod faults;
mod flight;
mod modes;
mod parameters;
mod precland;
mod px4;
mod receive;
mod sensors;
mod serve;
mod streams;
mod telemetry;
#[cfg(test)]
mod tests;
mod wire;

pub use config::{BatteryAction, Dialect, Noise, OffboardLoss, Range, SimConfig, Sticks, Wind};
pub use sensors::RangeFault;
pub use serve::{Endpoint, serve};

use std::time::Duration;

use mavlink::MessageData;
use nalgebra::Vector3;

use crate::geometry::{Frd, LocalOrigin, Ned, Rotation, Vec3};
use crate::sim::quad::{Controller, Demand, Heading, Horizontal, Limits, Quad, Vertical};
use crate::time::MonoTime;
use crate::vehicle::Mode;

use chance::Chance;
use faults::Faults;
use flight::{Flight, Situation};
use px4::ClockSync;
use sensors::{Estimate, Estimator, RangeSensor, Weather};
use streams::Streams;
use wire::{Parser, Writer};

/// The inner step, and in seconds.
const STEP: Duration = Duration::from_millis(10);
const DT: f64 = 0.01;
/// Most bytes kept for somebody who never calls [`SimAutopilot::transmit`].
const OUT_MAX: usize = 1 << 20;

/// How it met the ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Touchdown {
    /// When.
    pub at: MonoTime,
    /// Where, true NED, metres.
    pub position: Vec3<Ned>,
    /// How fast it came down, m/s. More than 2 m/s is a crash.
    pub speed_m_s: f64,
}

/// What is really the case.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// The moment.
    pub at: MonoTime,
    /// Metres; the ground is z = 0.
    pub position: Vec3<Ned>,
    /// Metres per second.
    pub velocity_m_s: Vec3<Ned>,
    /// How it is turned.
    pub ned_from_frd: Rotation<Ned, Frd>,
    /// The autopilot has noticed that it stands on the ground.
    pub is_landed: bool,
    /// The motors run.
    pub is_armed: bool,
    /// The flight mode.
    pub mode: Mode,
    /// The last time it met the ground, unless it has left it again.
    pub touchdown: Option<Touchdown>,
    /// What the autopilot believes of its position minus the truth, metres.
    pub estimate_error: Vec3<Ned>,
    /// Charge, 0 to 1.
    pub battery: f64,
}

/// A flight controller with its vehicle. See the module's description.
#[derive(Debug, Clone)]
pub struct SimAutopilot {
    config: SimConfig,
    now: MonoTime,
    boot_at: MonoTime,
    chance: Chance,
    weather: Weather,
    quad: Quad,
    controller: Controller,
    estimator: Estimator,
    estimate: Estimate,
    range: RangeSensor,
    flight: Flight,
    sticks: Option<Sticks>,
    battery: f64,
    battery_acted: bool,
    /// Where NED (0, 0, 0) of the estimate is; none when the configured place is not on the earth.
    origin: Option<LocalOrigin>,
    clocks: ClockSync,
    streams: Streams,
    faults: Faults,
    parser: Parser,
    writer: Writer,
    out: Vec<u8>,
    say: Vec<&'static str>,
    touchdown: Option<Touchdown>,
    truth: Truth,
}

impl SimAutopilot {
    /// In the air (or on the ground) at [`MonoTime::ZERO`], armed, booted a while ago.
    #[must_use]
    pub fn new(config: SimConfig) -> Self {
        let mut chance = Chance::new(config.seed);
        let start = Vector3::new(
            config.start.x(),
            config.start.y(),
            config.start.z().min(0.0),
        );
        let weather = Weather::new(config.wind);
        let quad = Quad::hovering(start, config.yaw_rad, &weather.mean());
        let mut estimator = Estimator::new(config.noise, &mut chance);
        let estimate = estimator.step(&quad, None, DT, &mut chance);
        let mut home = estimator.error() + start;
        home.z -= start.z;
        let flight = Flight::new(config.dialect, config.offboard_loss, config.mode, home);
        // The autopilot's clock counts from another moment than ours.
        let uptime = Duration::from_millis((chance.between(20.0, 120.0) * 1000.0) as u64);
        let boot_at = MonoTime::from_nanos(-(uptime.as_nanos() as i64));
        Self {
            now: MonoTime::ZERO,
            boot_at,
            controller: Controller::trimmed(&weather.mean()),
            weather,
            estimate,
            range: RangeSensor::new(config.range),
            truth: Truth {
                at: MonoTime::ZERO,
                position: config.start,
                velocity_m_s: Vec3::zero(),
                ned_from_frd: quad.ned_from_frd(),
                is_landed: false,
                is_armed: true,
                mode: config.mode,
                touchdown: None,
                estimate_error: ned(&estimator.error()),
                battery: config.battery,
            },
            flight,
            quad,
            estimator,
            chance,
            sticks: config.sticks,
            battery: config.battery,
            battery_acted: false,
            origin: LocalOrigin::at(config.origin).ok(),
            clocks: ClockSync::default(),
            streams: Streams::new(config.dialect, MonoTime::ZERO),
            faults: Faults::default(),
            parser: Parser::default(),
            writer: Writer::new(config.system_id),
            out: Vec::new(),
            say: Vec::new(),
            touchdown: None,
            config,
        }
    }

    /// Flies on until `to`, in steps of 10 ms. A moment in the past changes nothing.
    pub fn advance(&mut self, to: MonoTime) {
        while self.now.after(STEP) <= to {
            self.now = self.now.after(STEP);
            self.step();
        }
        self.look();
    }

    /// Takes bytes from the link that arrive at `now`; whatever is no frame for this vehicle is passed over.
    pub fn receive(&mut self, bytes: &[u8], now: MonoTime) {
        self.advance(now);
        if self.faults.is_link_cut(self.now) || self.faults.is_booting(self.now) {
            return;
        }
        self.parser.push(bytes);
        while let Some(received) = self.parser.next() {
            self.handle(&received);
        }
        self.look();
    }

    /// Adds the bytes that it has sent since the last call.
    pub fn transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    /// What is really the case, at the last step.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Where it stands in time.
    #[must_use]
    pub fn now(&self) -> MonoTime {
        self.now
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    fn step(&mut self) {
        self.faults
            .expire(self.now, &mut self.weather, &mut self.range);
        let wind = self.weather.step(DT, &mut self.chance);
        self.range
            .step(&self.quad, &self.config.noise, DT, &mut self.chance);
        let range_m = self.range.metres();
        self.estimate = self
            .estimator
            .step(&self.quad, range_m, DT, &mut self.chance);
        self.drain_battery();
        let demand = if self.faults.has_booted(self.now) {
            self.start_again();
            self.wanted()
        } else if self.faults.is_booting(self.now) {
            adrift()
        } else {
            self.wanted()
        };
        if self.quad.is_on_ground() {
            self.controller.reset();
        }
        let limits = Limits::default();
        let thrust = self
            .controller
            .step(&demand, &self.estimate.belief, &limits, DT);
        let impact = self.quad.step(&thrust, &wind, DT);
        self.note_touchdown(impact);
        self.say_all();
        self.stream();
    }

    fn wanted(&mut self) -> Demand {
        if self.config.dialect == Dialect::ArduPilot {
            self.flight
                .precland
                .step(&self.estimate, DT, self.now, &mut self.say);
        }
        let at = Situation {
            estimate: &self.estimate,
            sticks: self.sticks.as_ref(),
            is_on_ground: self.quad.is_on_ground(),
            now: self.now,
        };
        self.flight.demand(&at, &mut self.say)
    }

    fn note_touchdown(&mut self, impact: Option<f64>) {
        if let Some(speed_m_s) = impact {
            self.touchdown = Some(Touchdown {
                at: self.now,
                position: ned(&self.quad.position),
                speed_m_s,
            });
        } else if self.quad.position.z < -0.3 {
            self.touchdown = None;
        }
    }

    fn drain_battery(&mut self) {
        if self.flight.is_armed {
            self.battery = (self.battery - DT / self.config.endurance_s.max(1.0)).max(0.0);
        }
        let is_low = self.battery < self.config.battery_low;
        if !is_low || std::mem::replace(&mut self.battery_acted, true) {
            return;
        }
        self.say.push("Battery 1 is low");
        let mode = match self.config.battery_action {
            BatteryAction::Warn => return,
            BatteryAction::Return => Mode::Rtl,
            BatteryAction::Land => Mode::Land,
        };
        self.flight.fail_safe(mode, &self.estimate, self.now);
    }

    /// Comes up after a reboot: streams, clocks and modes are as after switching on; the motors keep running.
    fn start_again(&mut self) {
        self.boot_at = self.now;
        self.streams = Streams::new(self.config.dialect, self.now);
        self.clocks = ClockSync::default();
        self.parser = Parser::default();
        self.writer = Writer::new(self.config.system_id);
        let mode = match self.config.dialect {
            Dialect::ArduPilot => modes::STABILIZE,
            Dialect::Px4 => modes::STABILIZED,
        };
        self.flight.reboot(mode);
    }

    /// `ArduPilot`'s texts go out; PX4's never reach a companion.
    fn say_all(&mut self) {
        let mut say = std::mem::take(&mut self.say);
        if self.config.dialect == Dialect::ArduPilot {
            for text in &say {
                self.send_text(text);
            }
        }
        say.clear();
        self.say = say;
    }

    fn send<D: MessageData>(&mut self, data: &D) {
        let is_mute = self.faults.is_link_cut(self.now)
            || self.faults.is_silent(self.now)
            || self.faults.is_booting(self.now);
        if is_mute || self.out.len() > OUT_MAX {
            return;
        }
        self.writer.write(data, &mut self.out);
    }

    fn look(&mut self) {
        self.truth = Truth {
            at: self.now,
            position: ned(&self.quad.position),
            velocity_m_s: ned(&self.quad.velocity),
            ned_from_frd: self.quad.ned_from_frd(),
            is_landed: self.flight.is_landed,
            is_armed: self.flight.is_armed,
            mode: self.flight.mode,
            touchdown: self.touchdown,
            estimate_error: ned(&self.estimator.error()),
            battery: self.battery,
        };
    }
}

/// Level, at this height: what is left while the autopilot boots.
fn adrift() -> Demand {
    Demand {
        horizontal: Horizontal::Tilt(nalgebra::Vector2::zeros()),
        vertical: Vertical::Rate(0.0),
        heading: Heading::Keep,
    }
}

fn ned(v: &Vector3<f64>) -> Vec3<Ned> {
    Vec3::new(v.x, v.y, v.z)
}
