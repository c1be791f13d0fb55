//! The rows of the measured tables, one case each: what was sent, and what must come of it.

mod ardupilot;
mod ardupilot_modes;
mod companion;
mod encoded;
mod faults;
mod link;
mod px4;

use std::time::Duration;

use mavlink::dialects::ardupilotmega as m;
use mavlink::{MavHeader, MessageData};

use super::wire::Parser;
use super::{Dialect, SimAutopilot, SimConfig, Touchdown, Truth};
use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;

/// How the autopilot's messages are headed.
const FROM_AUTOPILOT: MavHeader = MavHeader {
    system_id: 1,
    component_id: 1,
    sequence: 0,
};

/// Frames.
const GLOBAL_RELATIVE: u8 = 6;
const LOCAL_NED: u8 = 1;
const BODY_NED: u8 = 8;
const BODY_FRD: u8 = 12;
const LOCAL_FRD: u8 = 20;

/// A companion beside the autopilot: it sends what a test wants and keeps what comes.
struct Bench {
    autopilot: SimAutopilot,
    parser: Parser,
    received: Vec<m::MavMessage>,
    /// Texts, with the second when they came.
    heard: Vec<(f64, String)>,
    sequence: u8,
}

impl Bench {
    fn new(config: SimConfig) -> Self {
        Self {
            autopilot: SimAutopilot::new(config),
            parser: Parser::default(),
            received: Vec::new(),
            heard: Vec::new(),
            sequence: 0,
        }
    }

    fn truth(&self) -> Truth {
        *self.autopilot.truth()
    }

    fn now(&self) -> MonoTime {
        self.autopilot.now()
    }

    fn height(&self) -> f64 {
        -self.truth().position.down()
    }

    fn send<D: MessageData>(&mut self, data: &D) {
        let mut raw = mavlink::MAVLinkV2MessageRaw::new();
        let header = MavHeader {
            system_id: 1,
            component_id: 191,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        raw.serialize_message_data(header, data);
        self.autopilot
            .receive(raw.raw_bytes(), self.autopilot.now());
        self.collect();
    }

    fn collect(&mut self) {
        let mut bytes = Vec::new();
        self.autopilot.transmit(&mut bytes);
        self.parser.push(&bytes);
        while let Some(received) = self.parser.next() {
            if let m::MavMessage::STATUSTEXT(text) = &received.message {
                let at = self.now().as_secs_f64();
                self.heard
                    .push((at, text.text.to_str().unwrap().to_owned()));
            }
            self.received.push(received.message);
        }
    }

    /// One inner step.
    fn tick(&mut self) {
        let next = self.now().after(Duration::from_millis(10));
        self.autopilot.advance(next);
        self.collect();
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 100.0).round() as usize {
            self.tick();
        }
    }

    fn command(&mut self, command: m::MavCmd, params: [f32; 3]) {
        self.send(&m::COMMAND_LONG_DATA {
            command,
            target_system: 1,
            target_component: 1,
            param1: params[0],
            param2: params[1],
            param3: params[2],
            ..m::COMMAND_LONG_DATA::DEFAULT
        });
    }

    /// A global place to fly to, so far from the origin, metres north, east and up.
    fn send_global_place(&mut self, place: Vec3<Ned>, up_m: f32) {
        let origin = crate::geometry::LocalOrigin::at(self.autopilot.config().origin).unwrap();
        let g = origin.geodetic_from_ned(&place).unwrap();
        self.send(&m::SET_POSITION_TARGET_GLOBAL_INT_DATA {
            coordinate_frame: num_frame(GLOBAL_RELATIVE),
            type_mask: m::PositionTargetTypemask::from_bits_retain(PLACE_ONLY),
            target_system: 1,
            lat_int: (g.latitude_deg * 1e7).round() as i32,
            lon_int: (g.longitude_deg * 1e7).round() as i32,
            alt: up_m,
            ..m::SET_POSITION_TARGET_GLOBAL_INT_DATA::DEFAULT
        });
    }

    fn set_mode(&mut self, main: f32, sub: f32) {
        self.command(m::MavCmd::MAV_CMD_DO_SET_MODE, [1.0, main, sub]);
    }

    fn ask_for(&mut self, id: f32, hz: f32) {
        let command = m::MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL;
        self.command(command, [id, 1e6 / hz, 0.0]);
    }

    fn texts(&self) -> Vec<&str> {
        self.heard.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn has_said(&self, text: &str) -> bool {
        self.texts().contains(&text)
    }

    /// Seconds from one text to another.
    fn seconds_between(&self, first: &str, second: &str) -> f64 {
        let at = |text| self.heard.iter().find(|(_, t)| t == text).unwrap().0;
        at(second) - at(first)
    }

    fn last_ack(&self) -> Option<(m::MavCmd, m::MavResult)> {
        self.received.iter().rev().find_map(|m| match m {
            m::MavMessage::COMMAND_ACK(a) => Some((a.command, a.result)),
            _ => None,
        })
    }

    fn count(&self, matches: impl Fn(&m::MavMessage) -> bool) -> usize {
        self.received.iter().filter(|m| matches(m)).count()
    }
}

/// A setpoint: what is zero in `mask` counts.
fn local(
    frame: u8,
    mask: u16,
    place: [f32; 3],
    velocity: [f32; 3],
) -> m::SET_POSITION_TARGET_LOCAL_NED_DATA {
    use num_frame as frame_of;
    m::SET_POSITION_TARGET_LOCAL_NED_DATA {
        coordinate_frame: frame_of(frame),
        type_mask: m::PositionTargetTypemask::from_bits_retain(mask),
        target_system: 1,
        target_component: 1,
        x: place[0],
        y: place[1],
        z: place[2],
        vx: velocity[0],
        vy: velocity[1],
        vz: velocity[2],
        ..m::SET_POSITION_TARGET_LOCAL_NED_DATA::DEFAULT
    }
}

/// Masks: only a place, only a velocity; the nose is left alone.
const PLACE_ONLY: u16 = 0b1101_1111_1000;
const VELOCITY_ONLY: u16 = 0b1101_1100_0111;

#[expect(deprecated, reason = "old frames are still sent")]
fn num_frame(frame: u8) -> m::MavFrame {
    use m::MavFrame as F;
    match frame {
        0 => F::MAV_FRAME_GLOBAL,
        1 => F::MAV_FRAME_LOCAL_NED,
        6 => F::MAV_FRAME_GLOBAL_RELATIVE_ALT_INT,
        7 => F::MAV_FRAME_LOCAL_OFFSET_NED,
        8 => F::MAV_FRAME_BODY_NED,
        9 => F::MAV_FRAME_BODY_OFFSET_NED,
        12 => F::MAV_FRAME_BODY_FRD,
        20 => F::MAV_FRAME_LOCAL_FRD,
        _ => panic!("no frame {frame}"),
    }
}

/// How a target is put into a message.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `position_valid` = 1 in this frame, and whether the distance is filled.
    Position { frame: u8, distance: bool },
    /// Angles in this frame, and whether the distance is filled.
    Angles { frame: u8, distance: bool },
}

const POSITION: Form = Form::Position {
    frame: BODY_FRD,
    distance: true,
};
const LOCAL: Form = Form::Position {
    frame: LOCAL_NED,
    distance: true,
};

impl Form {
    fn message(self, truth: &Truth, target: Vec3<Ned>, time_usec: u64) -> m::LANDING_TARGET_DATA {
        let way = target - truth.position;
        let body = truth.ned_from_frd.inverse() * way;
        let mut data = m::LANDING_TARGET_DATA {
            time_usec,
            ..m::LANDING_TARGET_DATA::DEFAULT
        };
        data.position_valid = m::MavBool::empty();
        let with_distance = match self {
            Self::Position { frame, distance } => {
                let (_, _, yaw) = truth.ned_from_frd.roll_pitch_yaw();
                let (sin, cos) = yaw.sin_cos();
                let (x, y, z) = match frame {
                    LOCAL_NED => (target.north(), target.east(), target.down()),
                    LOCAL_FRD => (
                        cos * way.x() + sin * way.y(),
                        cos * way.y() - sin * way.x(),
                        way.z(),
                    ),
                    _ => (body.x(), body.y(), body.z()),
                };
                (data.x, data.y, data.z) = (x as f32, y as f32, z as f32);
                data.position_valid = m::MavBool::MAV_BOOL_TRUE;
                data.frame = num_frame(frame);
                distance
            }
            Self::Angles { frame, distance } => {
                data.angle_x = (body.y() / body.z()).atan() as f32;
                data.angle_y = (-body.x() / body.z()).atan() as f32;
                data.frame = num_frame(frame);
                distance
            }
        };
        data.distance = if with_distance {
            way.norm() as f32
        } else {
            0.0
        };
        data
    }
}

/// A stream of targets beside a landing.
#[derive(Debug, Clone, Copy)]
struct Stream {
    form: Option<Form>,
    hz: f64,
    target: Vec3<Ned>,
    /// How old each sample is, steps of 10 ms.
    delay: usize,
    /// It ends below this height, metres.
    stop_below_m: f64,
    /// How much too late the second sample comes, seconds.
    late_s: f64,
    /// `time_usec` of a sample sent so many seconds after the start.
    stamp: fn(f64) -> u64,
    longest_s: f64,
}

impl Stream {
    fn new(form: Form) -> Self {
        Self {
            form: Some(form),
            hz: 10.0,
            target: Vec3::new(5.0, 0.0, 0.0),
            delay: 0,
            stop_below_m: -1.0,
            late_s: 0.0,
            stamp: |_| 0,
            longest_s: 150.0,
        }
    }

    fn silent() -> Self {
        Self {
            form: None,
            ..Self::new(POSITION)
        }
    }

    /// Sets the mode, streams, and flies until the motors stop or time is up.
    fn fly(&self, bench: &mut Bench, main: f32, sub: f32) -> Flown {
        bench.run(0.5);
        bench.set_mode(main, sub);
        let begin = bench.now();
        let mut past = vec![bench.truth(); self.delay + 1];
        let mut sent = 0u32;
        let mut highest = bench.height();
        let mut furthest = 0.0f64;
        let mut is_streaming = self.form.is_some();
        while bench.truth().is_armed && bench.now().secs_since(begin) < self.longest_s {
            bench.tick();
            past.rotate_left(1);
            *past.last_mut().unwrap() = bench.truth();
            highest = highest.max(bench.height());
            furthest = furthest.max(bench.truth().position.horizontal_distance(&self.target));
            is_streaming &= bench.height() >= self.stop_below_m;
            let t = bench.now().secs_since(begin);
            let shift = if sent == 1 { self.late_s } else { 0.0 };
            if let (Some(form), true) = (self.form, is_streaming)
                && t >= f64::from(sent) / self.hz + shift
            {
                sent += 1;
                let message = form.message(&past[0], self.target, (self.stamp)(t));
                bench.send(&message);
            }
        }
        Flown {
            touchdown: bench.truth().touchdown,
            off_m: bench.truth().position.horizontal_distance(&self.target),
            seconds: bench.now().secs_since(begin),
            highest_m: highest,
            furthest_m: furthest,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
struct Flown {
    touchdown: Option<Touchdown>,
    /// Horizontal distance to the target at the end, metres.
    off_m: f64,
    seconds: f64,
    highest_m: f64,
    furthest_m: f64,
}

impl Flown {
    #[track_caller]
    fn landed_off(&self, low: f64, high: f64) {
        let touchdown = self.touchdown.expect("not landed");
        assert!(touchdown.speed_m_s < 1.2, "hits the ground: {touchdown:?}");
        assert!(
            (low..=high).contains(&self.off_m),
            "{} m off, not {low} to {high}",
            self.off_m
        );
    }
}

#[test]
fn the_same_seed_and_bytes_give_the_same_flight_and_another_seed_another() {
    let fly = |seed| {
        let mut config = SimConfig::new(Dialect::ArduPilot, seed);
        config.wind.speed_m_s = 6.0;
        config.wind.turbulence = 0.2;
        let mut bench = Bench::new(config);
        Stream::new(POSITION).fly(&mut bench, 9.0, 0.0);
        bench.truth().position
    };
    assert_eq!(fly(4), fly(4));
    assert_ne!(fly(4), fly(5));
}
