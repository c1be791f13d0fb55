//! The pilot switches modes at the very moment at which alight asks for one: neither has seen the other yet.
//!
//! A request that arrives after the switch undoes it, and no heartbeat ever shows the switch. The time in which that can
//! happen is measured here, against the simulated autopilots, in steps of 10 ms.

use std::collections::VecDeque;

use rstest::rstest;

use super::*;

const STEP: Duration = Duration::from_millis(10);
const STEPS_A_SECOND: u32 = 100;
/// Steps until the wish is heard, at a control tick.
const HEARD: u32 = 5;
/// The pilot switches this many steps before or after the request.
const OFFSETS: std::ops::RangeInclusive<i32> = -30..=10;

/// A link that takes its time, and both ends of it.
struct Air {
    companion: Companion,
    sim: SimAutopilot,
    /// Steps from one end to the other.
    delay: usize,
    down: VecDeque<Vec<u8>>,
    up: VecDeque<Vec<u8>>,
    ears: Parser,
    step: u32,
    /// Steps at which a mode was asked for.
    requests: Vec<u32>,
    /// Steps at which the vehicle was commanded.
    commands: Vec<u32>,
}

impl Air {
    fn new(dialect: Dialect, delay: usize) -> Self {
        let config = SimConfig {
            mode: Mode::Hold,
            start: Vec3::new(0.0, 0.0, -12.0),
            ..SimConfig::new(dialect, 7)
        };
        Self {
            companion: Companion::new(super::config(Authority::Command)).unwrap(),
            sim: SimAutopilot::new(config),
            delay,
            down: VecDeque::new(),
            up: VecDeque::new(),
            ears: Parser::new(None),
            step: 0,
            requests: Vec::new(),
            commands: Vec::new(),
        }
    }

    fn now(&self) -> MonoTime {
        MonoTime::ZERO.after(STEP * self.step)
    }

    /// One step of both ends; the pilot comes last, between two of them.
    fn step(&mut self, switch: Option<Mode>) {
        self.step += 1;
        let now = self.now();
        self.sim.advance(now);
        let mut bytes = Vec::new();
        self.sim.transmit(&mut bytes);
        self.down.push_back(bytes);
        if self.down.len() > self.delay {
            let bytes = self.down.pop_front().unwrap_or_default();
            self.companion.receive(&bytes, now);
        }
        if self.step.is_multiple_of(5) {
            let epoch = self.companion.state().epoch;
            self.companion.decide(brief(now, epoch), now);
            self.companion.tick(now);
        }
        let mut bytes = Vec::new();
        self.companion.drain(&mut bytes);
        self.note(&bytes);
        self.up.push_back(bytes);
        if self.up.len() > self.delay {
            let bytes = self.up.pop_front().unwrap_or_default();
            self.sim.receive(&bytes, now);
        }
        if let Some(mode) = switch {
            self.sim.pilot_sets_mode(mode);
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        assert!(self.ears.fill(bytes).is_empty());
        while let Some(frame) = self.ears.next_frame(MonoTime::ZERO.after(STEP * self.step)) {
            let message = frame.message;
            if is_command(&message) {
                self.commands.push(self.step);
            }
            let is_mode = matches!(&message, MavMessage::COMMAND_LONG(c)
                if c.command == MavCmd::MAV_CMD_DO_SET_MODE);
            if is_mode {
                self.requests.push(self.step);
            }
        }
    }

    /// Flies to a step, asked to land on the way; the pilot switches to a mode at another step.
    fn fly(mut self, to: u32, pilot: Option<(u32, Mode)>) -> Self {
        while self.step < to {
            if self.step == start_of(self.delay) {
                self.companion.request(Request::Start);
            }
            let switch = pilot.filter(|(at, _)| *at == self.step + 1);
            self.step(switch.map(|(_, mode)| mode));
        }
        self
    }

    fn is_in(&self, mode: Mode) -> bool {
        self.companion
            .state()
            .mode
            .is_some_and(|m| m.value.mode == mode)
    }
}

/// A landing is asked for at this step: early between two heartbeats, so that a switch can come between it and the request.
fn start_of(delay: usize) -> u32 {
    8 * STEPS_A_SECOND + 8 + 2 * delay as u32
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot)]
#[case::px4(Dialect::Px4)]
fn a_switch_is_undone_only_if_it_crosses_the_request_on_the_link(
    #[case] dialect: Dialect,
    #[values(0, 3)] delay: usize,
) {
    const LONGEST: u32 = 60 * STEPS_A_SECOND;
    let alone = Air::new(dialect, delay).fly(LONGEST, None);
    let requests = alone.requests;
    let heard = start_of(delay) + HEARD;
    // GUIDED or OFFBOARD, and LAND or PRECLAND.
    assert_eq!(requests.len(), 2, "{requests:?}");
    for request in requests {
        assert!(
            request > heard + 5,
            "too few switches are tried before {request}"
        );
        let undone: Vec<i32> = OFFSETS
            // A start that comes after the switch is a new wish.
            .filter(|offset| request.saturating_add_signed(*offset) >= heard)
            .filter(|offset| {
                let at = request.saturating_add_signed(*offset);
                let end = at + 4 * STEPS_A_SECOND;
                let air = Air::new(dialect, delay).fly(end, Some((at, Mode::Loiter)));
                let is_obeyed = air.is_in(Mode::Loiter);
                let later = at + 2 * delay as u32 + 21;
                let is_silent = air.commands.iter().all(|s| *s <= later);
                assert!(!is_obeyed || is_silent, "{offset}: {:?}", air.commands);
                !is_obeyed
            })
            .collect();
        // The way of the heartbeat down and of the request up, and the step between.
        assert!(undone.len() <= 2 * delay, "{dialect:?}: {undone:?}");
    }
}
