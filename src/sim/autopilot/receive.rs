//! What it does with what it is sent.

use mavlink::dialects::ardupilotmega as m;
use nalgebra::Vector3;

use super::flight::Wish;
use super::streams::id;
use super::wire::Received;
use super::{Dialect, SimAutopilot, modes};
use crate::geometry::Geodetic;
use crate::sim::quad::Heading;
use crate::time::MonoTime;
use crate::vehicle::Mode;

/// `param2` of `MAV_CMD_COMPONENT_ARM_DISARM` that stops the motors in the air.
const FORCE: f32 = 21_196.0;
/// `AUTOPILOT_VERSION`, which is sent only when it is asked for.
const VERSION: u32 = 148;
/// Frames of a setpoint.
const GLOBAL: [u8; 2] = [0, 5];
const GLOBAL_RELATIVE: [u8; 2] = [3, 6];
const GLOBAL_TERRAIN: [u8; 2] = [10, 11];

/// The fields of both setpoint messages, before their place is understood.
struct Setpoint {
    frame: u8,
    mask: u16,
    velocity: [f32; 3],
    yaw: f32,
    yaw_rate: f32,
}

impl SimAutopilot {
    #[expect(
        deprecated,
        reason = "SET_MODE is old, and both autopilots still obey it"
    )]
    pub(super) fn handle(&mut self, received: &Received) {
        use m::MavMessage as M;
        match &received.message {
            M::COMMAND_LONG(c) if self.is_for_us(c.target_system, c.target_component) => {
                let result = self.obey(c.command, [c.param1, c.param2, c.param3]);
                self.acknowledge(received, c.command, result);
            }
            M::COMMAND_INT(c) if self.is_for_us(c.target_system, c.target_component) => {
                let result = self.obey(c.command, [c.param1, c.param2, c.param3]);
                self.acknowledge(received, c.command, result);
            }
            M::SET_MODE(c) if self.is_for_us(c.target_system, 0) => {
                let mode = modes::from_number(self.config.dialect, c.custom_mode);
                self.change_mode(mode);
            }
            M::SET_POSITION_TARGET_LOCAL_NED(c)
                if self.is_for_us(c.target_system, c.target_component) =>
            {
                let wish = self.local_wish(c);
                self.flight.guide(wish, &self.estimate, self.now);
            }
            M::SET_POSITION_TARGET_GLOBAL_INT(c)
                if self.is_for_us(c.target_system, c.target_component) =>
            {
                let wish = self.global_wish(c);
                self.flight.guide(wish, &self.estimate, self.now);
            }
            M::PARAM_REQUEST_READ(c) if self.is_for_us(c.target_system, c.target_component) => {
                self.report_parameter(c);
            }
            M::LANDING_TARGET(c) => self.take_target(c),
            M::TIMESYNC(c) => self.take_time(received, c.tc1, c.ts1),
            _ => {}
        }
    }

    fn is_for_us(&self, system: u8, component: u8) -> bool {
        (system == 0 || system == self.config.system_id) && component <= 1
    }

    fn obey(&mut self, command: m::MavCmd, [p1, p2, p3]: [f32; 3]) -> m::MavResult {
        use m::MavCmd as C;
        use m::MavResult as R;
        let yes_or = |is_done: bool, otherwise: R| {
            if is_done {
                R::MAV_RESULT_ACCEPTED
            } else {
                otherwise
            }
        };
        match command {
            C::MAV_CMD_DO_SET_MODE => {
                let mode = modes::from_command(self.config.dialect, p2, p3);
                self.change_mode(mode);
                // The acknowledgement does not say whether the mode can be entered, nor what it will do.
                yes_or(mode.is_some(), R::MAV_RESULT_FAILED)
            }
            C::MAV_CMD_NAV_LAND => {
                self.change_mode(Some(Mode::Land));
                R::MAV_RESULT_ACCEPTED
            }
            C::MAV_CMD_NAV_RETURN_TO_LAUNCH => {
                self.change_mode(Some(Mode::Rtl));
                R::MAV_RESULT_ACCEPTED
            }
            C::MAV_CMD_COMPONENT_ARM_DISARM => {
                yes_or(self.arm_or_disarm(p1, p2), R::MAV_RESULT_DENIED)
            }
            C::MAV_CMD_SET_MESSAGE_INTERVAL => yes_or(
                self.streams.set(p1 as u32, p2, self.now),
                R::MAV_RESULT_DENIED,
            ),
            C::MAV_CMD_REQUEST_MESSAGE => {
                let id = p1 as u32;
                if id == VERSION {
                    self.report_version();
                    return R::MAV_RESULT_ACCEPTED;
                }
                let is_known = self.streams.has(id) && id != id::TIMESYNC;
                if is_known {
                    self.report(id);
                }
                yes_or(is_known, R::MAV_RESULT_UNSUPPORTED)
            }
            _ => R::MAV_RESULT_UNSUPPORTED,
        }
    }

    fn acknowledge(&mut self, to: &Received, command: m::MavCmd, result: m::MavResult) {
        self.send(&m::COMMAND_ACK_DATA {
            command,
            result,
            progress: 0,
            result_param2: 0,
            target_system: to.system_id,
            target_component: to.component_id,
        });
    }

    fn change_mode(&mut self, mode: Option<Mode>) {
        if let Some(mode) = mode {
            self.flight.enter(mode, &self.estimate, self.now);
        }
    }

    fn arm_or_disarm(&mut self, arm: f32, force: f32) -> bool {
        let may = self.flight.is_landed || force.to_bits() == FORCE.to_bits();
        if may {
            self.flight.is_armed = arm > 0.5;
        }
        may
    }

    fn take_target(&mut self, target: &m::LANDING_TARGET_DATA) {
        match self.config.dialect {
            Dialect::ArduPilot => {
                if self.config.has_precland {
                    self.flight
                        .precland
                        .measure(target, &self.estimate, self.now, &mut self.say);
                }
            }
            // Anything but a position in the local frame is rejected, and nothing says so.
            Dialect::Px4 => {
                let position = Vector3::from([target.x, target.y, target.z].map(f64::from));
                let is_sound = position.iter().all(|c| c.is_finite());
                let age = self.clocks.age_ns(target.time_usec, self.boot_ns());
                let is_valid = !target.position_valid.is_empty() && is_sound;
                if let (true, 1, Some(age)) = (is_valid, target.frame as u8, age) {
                    let at = MonoTime::from_nanos(self.now.as_nanos().saturating_sub(age));
                    self.flight.px4.see(position, at);
                }
            }
        }
    }

    /// A question has no first time; an answer carries ours as the second.
    fn take_time(&mut self, from: &Received, tc1: i64, ts1: i64) {
        let now_ns = self.boot_ns();
        if tc1 == 0 {
            self.send(&m::TIMESYNC_DATA {
                tc1: now_ns,
                ts1,
                target_system: from.system_id,
                target_component: from.component_id,
            });
        } else if self.config.dialect == Dialect::Px4 {
            self.clocks.answer(ts1, tc1, now_ns);
        }
    }

    fn local_wish(&self, c: &m::SET_POSITION_TARGET_LOCAL_NED_DATA) -> Option<Wish> {
        let given = Setpoint {
            frame: c.coordinate_frame as u8,
            mask: c.type_mask.bits(),
            velocity: [c.vx, c.vy, c.vz],
            yaw: c.yaw,
            yaw_rate: c.yaw_rate,
        };
        let raw = Vector3::from([c.x, c.y, c.z].map(f64::from));
        let here = self.estimate.belief.position;
        // ArduPilot takes offsets and body axes too; 12 and all others stop it. PX4 wants the local frame.
        let place = match (self.config.dialect, given.frame) {
            (_, 1) => raw,
            (Dialect::ArduPilot, 7) => here + raw,
            (Dialect::ArduPilot, 8 | 9) => here + self.turned(raw),
            _ => return None,
        };
        self.wish(&given, Some(place))
    }

    fn global_wish(&self, c: &m::SET_POSITION_TARGET_GLOBAL_INT_DATA) -> Option<Wish> {
        let given = Setpoint {
            frame: c.coordinate_frame as u8,
            mask: c.type_mask.bits(),
            velocity: [c.vx, c.vy, c.vz],
            yaw: c.yaw,
            yaw_rate: c.yaw_rate,
        };
        let origin = self.origin.as_ref()?;
        let alt = f64::from(c.alt);
        let down = if GLOBAL.contains(&given.frame) {
            origin.geodetic().altitude_m - alt
        } else if GLOBAL_RELATIVE.contains(&given.frame) || GLOBAL_TERRAIN.contains(&given.frame) {
            self.flight.home.z - alt
        } else {
            return None;
        };
        let flat = Geodetic {
            latitude_deg: f64::from(c.lat_int) * 1e-7,
            longitude_deg: f64::from(c.lon_int) * 1e-7,
            altitude_m: origin.geodetic().altitude_m,
        };
        let place = origin.ned_from_geodetic(&flat).ok();
        self.wish(&given, place.map(|p| Vector3::new(p.x(), p.y(), down)))
    }

    /// Applies the mask: a part counts only when none of its fields is ignored.
    fn wish(&self, given: &Setpoint, place: Option<Vector3<f64>>) -> Option<Wish> {
        let has = |bits: u16| given.mask & bits == 0;
        let velocity = Vector3::from(given.velocity.map(f64::from));
        let velocity = match given.frame {
            8 | 9 => self.turned(velocity),
            _ => velocity,
        };
        let wish = Wish {
            place: place.filter(|_| has(0b111)),
            velocity: has(0b11_1000).then_some(velocity),
            heading: if has(1 << 10) {
                Heading::To(f64::from(given.yaw))
            } else if has(1 << 11) {
                Heading::Rate(f64::from(given.yaw_rate))
            } else {
                Heading::Keep
            },
        };
        let is_sound = |v: &Vector3<f64>| v.iter().all(|c| c.is_finite());
        let turn = match wish.heading {
            Heading::To(a) | Heading::Rate(a) => a,
            Heading::Keep => 0.0,
        };
        let is_good = wish.place.as_ref().is_none_or(is_sound)
            && wish.velocity.as_ref().is_none_or(is_sound)
            && turn.is_finite();
        is_good.then_some(wish)
    }

    /// From forward-right-down of the heading to NED.
    fn turned(&self, v: Vector3<f64>) -> Vector3<f64> {
        let (sin, cos) = self.estimate.belief.yaw.sin_cos();
        Vector3::new(cos * v.x - sin * v.y, sin * v.x + cos * v.y, v.z)
    }
}
