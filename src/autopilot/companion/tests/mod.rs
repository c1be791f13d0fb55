//! The companion beside the simulated autopilot, and alone.

mod bad_input;
mod commands;
mod harm;
mod lock;
mod race;
mod signing;

use mavlink::dialects::ardupilotmega::{HEARTBEAT_DATA, MavAutopilot, MavModeFlag, TIMESYNC_DATA};
use rstest::rstest;

use super::*;
use crate::autopilot::modes::custom_mode_of;
use crate::autopilot::supervisor::Authority;
use crate::geometry::Vec3;
use crate::inference::classes::Surface;
use crate::landing::{MonitorReasons, Outcome, Site, SiteState, Verdict};
use crate::sim::autopilot::{Dialect, SimAutopilot, SimConfig};
use crate::vehicle::AutopilotKind;

const TICK: Duration = Duration::from_millis(50);

fn config(mode: Authority) -> CompanionConfig {
    CompanionConfig {
        supervisor: SupervisorConfig {
            mode,
            camera_is_calibrated: true,
            ..SupervisorConfig::default()
        },
        ..CompanionConfig::default()
    }
}

/// A companion, and whatever it says.
struct Bench {
    companion: Companion,
    now: MonoTime,
    /// Of the other side, for what the test itself sends.
    writer: Writer,
    ears: Parser,
    sim: Option<SimAutopilot>,
    heard: Vec<(MonoTime, MavMessage)>,
    /// What the simulated autopilot said, a piece each tick.
    pieces: Vec<Vec<u8>>,
    site: bool,
}

impl Bench {
    fn new(mode: Authority) -> Self {
        let companion = Companion::new(config(mode)).unwrap();
        Self {
            companion,
            now: MonoTime::ZERO,
            writer: Writer::new(1, None),
            ears: Parser::new(None),
            sim: None,
            heard: Vec::new(),
            pieces: Vec::new(),
            site: false,
        }
    }

    fn flying(mode: Authority, dialect: Dialect) -> Self {
        let mut bench = Self::new(mode);
        bench.sim = Some(SimAutopilot::new(SimConfig::new(dialect, 7)));
        bench.run(8.0);
        bench
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 20.0).round() as u32 {
            self.now = self.now.after(TICK);
            let mut bytes = Vec::new();
            if let Some(sim) = &mut self.sim {
                sim.advance(self.now);
                sim.transmit(&mut bytes);
            }
            self.companion.receive(&bytes, self.now);
            if self.site {
                self.companion
                    .decide(brief(self.now, self.companion.state().epoch), self.now);
            }
            self.companion.tick(self.now);
            self.fetch();
            self.pieces.push(bytes);
        }
    }

    fn fetch(&mut self) {
        let mut bytes = Vec::new();
        self.companion.drain(&mut bytes);
        if let Some(sim) = &mut self.sim {
            sim.receive(&bytes, self.now);
        }
        assert!(self.ears.fill(&bytes).is_empty());
        while let Some(frame) = self.ears.next_frame(self.now) {
            assert_eq!(frame.header.component_id, COMPONENT);
            self.heard.push((self.now, frame.message));
        }
    }

    /// Something said by component 1 of a system.
    fn say(&mut self, system: u8, message: &MavMessage) {
        let mut bytes = Vec::new();
        self.writer.set_system_id(system);
        self.writer.write(message, self.now);
        self.writer.drain(&mut bytes);
        self.bytes(&bytes);
    }

    /// Bytes from the link.
    fn bytes(&mut self, bytes: &[u8]) {
        self.companion.receive(bytes, self.now);
        self.fetch();
    }

    fn commands(&self) -> Vec<&MavMessage> {
        let all = self.heard.iter().map(|(_, m)| m);
        all.filter(|m| is_command(m)).collect()
    }

    fn texts(&self) -> Vec<String> {
        let texts = self.heard.iter().filter_map(|(_, m)| match m {
            MavMessage::STATUSTEXT(d) => Some(d.text.to_str().unwrap_or("?").to_owned()),
            _ => None,
        });
        texts.collect()
    }
}

/// Whether it moves the vehicle.
fn is_command(message: &MavMessage) -> bool {
    match message {
        MavMessage::COMMAND_LONG(c) => c.command != MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL,
        MavMessage::LANDING_TARGET(_) | MavMessage::SET_POSITION_TARGET_LOCAL_NED(_) => true,
        _ => false,
    }
}

fn heartbeat(kind: AutopilotKind, mode: Mode) -> MavMessage {
    MavMessage::HEARTBEAT(HEARTBEAT_DATA {
        custom_mode: custom_mode_of(kind, mode).unwrap_or(0),
        autopilot: match kind {
            AutopilotKind::ArduPilot => MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
            AutopilotKind::Px4 => MavAutopilot::MAV_AUTOPILOT_PX4,
            AutopilotKind::Other(_) => MavAutopilot::MAV_AUTOPILOT_GENERIC,
        },
        base_mode: MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED
            | MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED,
        ..HEARTBEAT_DATA::DEFAULT
    })
}

fn user_command(target: (u8, u8), param1: f32) -> MavMessage {
    MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
        param1,
        command: MavCmd::MAV_CMD_USER_1,
        target_system: target.0,
        target_component: target.1,
        ..COMMAND_LONG_DATA::DEFAULT
    })
}

/// A confirmed site with the monitor's GO, straight below the start.
fn brief(now: MonoTime, epoch: u32) -> Brief {
    Brief {
        seq: 0,
        captured_at: now,
        outcome: Outcome::Site,
        site: Some(Site {
            id: 1,
            state: SiteState::Confirmed,
            north_m: 0.0,
            east_m: 0.0,
            radius_m: 1.0,
            clearance_m: 5.0,
            surface: Surface::Firm,
            belief: 0.97,
            confirmations: 9,
            score: 1.0,
            px: None,
            radius_px: 10.0,
        }),
        alternates: [None; 3],
        monitor: Verdict::Go,
        monitor_reasons: MonitorReasons::default(),
        watched: None,
        epoch,
    }
}

#[rstest]
#[case(Dialect::ArduPilot)]
#[case(Dialect::Px4)]
fn advising_it_tells_of_the_site_and_commands_nothing(#[case] dialect: Dialect) {
    let mut bench = Bench::flying(Authority::Advise, dialect);
    bench.site = true;
    bench.say(255, &user_command((1, 191), 1.0));
    bench.run(20.0);
    assert!(bench.commands().is_empty(), "{:?}", bench.commands());
    let texts = bench.texts();
    assert!(texts.iter().any(|t| t.contains("site")), "{texts:?}");
    let names: Vec<_> = bench
        .heard
        .iter()
        .filter_map(|(_, m)| match m {
            MavMessage::NAMED_VALUE_FLOAT(d) => d.name.to_str().ok(),
            _ => None,
        })
        .collect();
    for name in ["al_state", "al_belief", "al_clear"] {
        assert!(names.contains(&name), "{name}");
    }
}

#[rstest]
#[case(Dialect::ArduPilot)]
#[case(Dialect::Px4)]
fn a_takeover_is_obeyed_before_receive_returns_and_stays_obeyed(#[case] dialect: Dialect) {
    let mut bench = Bench::flying(Authority::Command, dialect);
    bench.say(255, &user_command((1, 191), 1.0));
    bench.site = true;
    bench.run(6.0);
    assert_ne!(bench.companion.phase(), Phase::Standby);
    assert!(!bench.commands().is_empty());
    // The pilot flies on by hand; the simulated autopilot is not asked any more.
    bench.sim = None;
    bench.heard.clear();
    let kind = bench.companion.state().kind.unwrap();
    bench.say(1, &heartbeat(kind, Mode::Loiter));
    assert_eq!(bench.companion.phase(), Phase::HandedBack);
    for _ in 0..50 {
        bench.say(1, &heartbeat(kind, Mode::Loiter));
        bench.run(0.1);
    }
    assert!(bench.commands().is_empty(), "{:?}", bench.commands());
}

#[test]
fn the_heartbeat_comes_every_second_and_stops_with_a_fault() {
    let mut bench = Bench::new(Authority::Advise);
    let beats = |bench: &mut Bench| {
        bench.heard.clear();
        bench.run(10.0);
        let beats = bench
            .heard
            .iter()
            .filter(|(_, m)| matches!(m, MavMessage::HEARTBEAT(_)));
        beats.count()
    };
    assert_eq!(beats(&mut bench), 10);
    bench.companion.set_health(Health::Faulted("camera"));
    assert_eq!(beats(&mut bench), 0);
    bench.companion.set_health(Health::Good);
    assert_eq!(beats(&mut bench), 10);
}

#[rstest]
#[case(Dialect::ArduPilot)]
#[case(Dialect::Px4)]
fn the_streams_are_asked_for_until_they_flow(#[case] dialect: Dialect) {
    let mut bench = Bench::flying(Authority::Advise, dialect);
    bench.run(12.0);
    let (flowing, wanted) = bench.companion.streams_flowing(bench.now);
    // Not every simulated autopilot has a terrain model, or a wind estimate.
    assert!(flowing + 4 >= wanted, "{flowing} of {wanted}");
    bench.heard.clear();
    bench.run(10.0);
    let asked = bench.heard.iter().filter(|(_, m)| {
        matches!(m, MavMessage::COMMAND_LONG(c) if c.command == MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL)
    });
    assert!(asked.count() <= 8);
    let pose = bench.companion.history().pose_at(bench.now, bench.now);
    assert!(pose.is_ok(), "{pose:?}");
}

#[test]
fn the_clock_is_asked_for_every_second_and_told_when_asked() {
    let mut bench = Bench::new(Authority::Advise);
    bench.run(1.0);
    let questions = |bench: &Bench| {
        let all = bench.heard.iter();
        all.filter(|(_, m)| matches!(m, MavMessage::TIMESYNC(d) if d.tc1 == 0))
            .count()
    };
    // To whom?
    assert_eq!(questions(&bench), 0);
    bench.say(1, &heartbeat(AutopilotKind::ArduPilot, Mode::Guided));
    bench.run(10.0);
    assert_eq!(questions(&bench), 10);
    let question = TIMESYNC_DATA {
        ts1: 77,
        ..TIMESYNC_DATA::DEFAULT
    };
    bench.heard.clear();
    bench.say(1, &MavMessage::TIMESYNC(question));
    let answers: Vec<_> = bench
        .heard
        .iter()
        .filter_map(|(_, m)| match m {
            MavMessage::TIMESYNC(d) => Some((d.tc1, d.ts1)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(bench.now.as_nanos(), 77)]);
}

#[test]
fn a_tick_allocates_nothing() {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    bench.say(255, &user_command((1, 191), 1.0));
    bench.site = true;
    bench.run(10.0);
    let mut sim = bench.sim.take().unwrap();
    let mut out = Vec::with_capacity(1 << 16);
    for _ in 0..100 {
        bench.now = bench.now.after(TICK);
        let mut bytes = Vec::new();
        sim.advance(bench.now);
        sim.transmit(&mut bytes);
        let said = brief(bench.now, bench.companion.state().epoch);
        out.clear();
        let before = crate::alloc::allocations();
        bench.companion.receive(&bytes, bench.now);
        bench.companion.decide(said, bench.now);
        bench.companion.tick(bench.now);
        bench.companion.drain(&mut out);
        assert_eq!(crate::alloc::allocations(), before);
        sim.receive(&out, bench.now);
    }
    assert!(bench.companion.sent_counts().0 > 100);
}
