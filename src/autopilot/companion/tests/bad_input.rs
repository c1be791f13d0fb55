//! What is wrong outside is counted, said once, and leads to nothing.

use mavlink::calculate_crc;
use mavlink::dialects::ardupilotmega::{ATTITUDE_QUATERNION_DATA, LOCAL_POSITION_NED_DATA};
use rstest::rstest;

use super::*;
use crate::autopilot::decode::Problem;
use crate::autopilot::link::{Complaint, Listener};
use crate::autopilot::signing::SigningKey;

/// Length of what stands before the payload.
pub(super) const HEAD: usize = 10;

fn frame(from: (u8, u8), message: &MavMessage) -> Vec<u8> {
    let mut raw = mavlink::MAVLinkV2MessageRaw::new();
    let header = MavHeader {
        system_id: from.0.into(),
        component_id: from.1,
        sequence: 0,
    };
    raw.serialize_message(header, message);
    raw.raw_bytes().to_vec()
}

/// Puts the checksum right.
pub(super) fn seal(frame: &mut [u8]) {
    let end = HEAD + usize::from(frame[1]);
    let id = u32::from_le_bytes([frame[7], frame[8], frame[9], 0]);
    let crc = calculate_crc(&frame[1..end], MavMessage::extra_crc(id));
    frame[end..end + 2].copy_from_slice(&crc.to_le_bytes());
}

fn good() -> Vec<u8> {
    frame((1, 1), &heartbeat(AutopilotKind::ArduPilot, Mode::Guided))
}

fn changed(at: usize, to: u8) -> Vec<u8> {
    let mut bytes = good();
    bytes[at] = to;
    bytes
}

fn resealed(at: usize, to: u8) -> Vec<u8> {
    let mut bytes = changed(at, to);
    seal(&mut bytes);
    bytes
}

fn noise() -> Vec<u8> {
    (0..400).map(|i| (i * 7 % 250) as u8).collect()
}

fn position(time_boot_ms: u32, x: f32) -> Vec<u8> {
    let data = LOCAL_POSITION_NED_DATA {
        time_boot_ms,
        x,
        z: -20.0,
        ..LOCAL_POSITION_NED_DATA::DEFAULT
    };
    frame((1, 1), &MavMessage::LOCAL_POSITION_NED(data))
}

fn no_rotation() -> Vec<u8> {
    let data = ATTITUDE_QUATERNION_DATA {
        q1: 5.0,
        ..ATTITUDE_QUATERNION_DATA::DEFAULT
    };
    frame((1, 1), &MavMessage::ATTITUDE_QUATERNION(data))
}

fn not_in_the_dialect() -> Vec<u8> {
    vec![0xfd, 3, 0, 0, 0, 1, 1, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5]
}

fn signed() -> Vec<u8> {
    let config = SigningConfig {
        key: SigningKey::from_pass_phrase("a long secret"),
        link_id: 0,
        started: 0,
        accepts_unsigned: false,
        newest: std::sync::Arc::default(),
    };
    let mut writer = Writer::new(1, Some(config));
    writer.write(&user_command((1, 191), 1.0), MonoTime::ZERO);
    let mut bytes = Vec::new();
    writer.drain(&mut bytes);
    bytes
}

fn others(system: u8, component: u8, kind: AutopilotKind, mode: Mode) -> Vec<u8> {
    frame((system, component), &heartbeat(kind, mode))
}

/// Where it is counted.
enum Counted {
    Link(fn(&LinkCounts) -> u64),
    Of(Problem),
}

impl Counted {
    fn by(&self, companion: &Companion) -> u64 {
        match self {
            Self::Link(count) => count(companion.link_counts()),
            Self::Of(problem) => companion.telemetry_counts().of(*problem),
        }
    }
}

#[rstest]
#[case::garbage(noise(), Counted::Link(|c| c.garbage_bytes), Some("noise"))]
#[case::wrong_checksum(changed(12, 0x77), Counted::Link(|c| c.crc_errors), Some("checksum"))]
#[case::another_dialect(changed(7, 30), Counted::Link(|c| c.crc_errors), Some("checksum"))]
#[case::enum_out_of_range(resealed(HEAD + 4, 250), Counted::Link(|c| c.malformed), Some("does not exist"))]
#[case::unknown_feature(changed(2, 4), Counted::Link(|c| c.incompatible), Some("unknown feature"))]
#[case::unknown_message(not_in_the_dialect(), Counted::Link(|c| c.unknown), None)]
#[case::signed_without_a_key(signed(), Counted::Link(|c| c.unverifiable), Some("signed frames"))]
#[case::not_a_number(
    position(8000, f32::NAN),
    Counted::Of(Problem::NotFinite),
    Some("not a number")
)]
#[case::endless(
    position(8000, f32::INFINITY),
    Counted::Of(Problem::NotFinite),
    Some("not a number")
)]
#[case::out_of_range(
    no_rotation(),
    Counted::Of(Problem::OutOfRange),
    Some("outside its range")
)]
#[case::from_the_future(
    position(900_000, 0.0),
    Counted::Of(Problem::OddTime),
    Some("time since boot")
)]
#[case::from_long_ago(
    position(2000, 0.0),
    Counted::Of(Problem::OddTime),
    Some("time since boot")
)]
#[case::another_system(
    others(9, 190, AutopilotKind::Other(8), Mode::Loiter),
    Counted::Of(Problem::OtherSystem),
    None
)]
#[case::another_component(
    others(1, 154, AutopilotKind::Other(8), Mode::Loiter),
    Counted::Of(Problem::OtherComponent),
    None
)]
#[case::a_second_autopilot(
    others(2, 1, AutopilotKind::ArduPilot, Mode::Loiter),
    Counted::Of(Problem::SecondAutopilot),
    Some("second autopilot")
)]
fn what_is_wrong_is_counted_and_said_once_and_leads_to_nothing(
    #[case] bytes: Vec<u8>,
    #[case] counted: Counted,
    #[case] text: Option<&str>,
) {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    bench.heard.clear();
    bench.site = true;
    let before = (counted.by(&bench.companion), bench.companion.state().epoch);
    for _ in 0..5 {
        // A good frame after it: what is wrong does not swallow it.
        let frames = bench.companion.link_counts().frames;
        bench.bytes(&[bytes.as_slice(), &good()].concat());
        assert!(bench.companion.link_counts().frames > frames);
        bench.run(0.1);
    }
    assert!(counted.by(&bench.companion) >= before.0 + 5);
    assert_eq!(bench.companion.state().epoch, before.1);
    assert_eq!(bench.companion.phase(), Phase::Standby);
    assert!(bench.commands().is_empty(), "{:?}", bench.commands());
    let texts = bench.texts();
    let said = |part: &str| texts.iter().filter(|t| t.contains(part)).count();
    match text {
        Some(part) => assert_eq!(said(part), 1, "{texts:?}"),
        None => assert_eq!(said("ignored"), 0, "{texts:?}"),
    }
}

#[test]
fn a_time_that_goes_back_is_counted_and_not_believed() {
    let mut bench = Bench::new(Authority::Command);
    bench.bytes(&good());
    bench.bytes(&position(10_000, 1.0));
    for time in [9_990, 9_900, 9_800, 9_600, 9_300] {
        bench.run(0.05);
        bench.bytes(&position(time, 50.0));
    }
    let counts = bench.companion.telemetry_counts();
    assert_eq!(counts.of(Problem::TimeBackwards), 5);
    let north = bench
        .companion
        .state()
        .kinematics
        .map(|k| k.value.position.north());
    assert_eq!(north, Some(1.0));
    assert_eq!(bench.companion.state().epoch, 0);
    // On many links that is ordinary.
    assert!(!bench.texts().iter().any(|t| t.contains("ignored")));
    assert!(bench.commands().is_empty());
}

#[rstest]
#[case(Dialect::ArduPilot)]
#[case(Dialect::Px4)]
fn a_second_autopilot_stops_no_landing(#[case] dialect: Dialect) {
    let mut bench = Bench::flying(Authority::Command, dialect);
    bench.say(255, &user_command((1, 191), 1.0));
    bench.site = true;
    bench.run(4.0);
    let kind = bench.companion.state().kind.unwrap();
    let before = bench.companion.state().mode.unwrap().value;
    for _ in 0..20 {
        bench.bytes(&others(2, 1, kind, Mode::Loiter));
        bench.run(0.1);
    }
    assert_eq!(bench.companion.state().mode.unwrap().value, before);
    assert!(!matches!(
        bench.companion.phase(),
        Phase::Standby | Phase::Aborted | Phase::HandedBack
    ));
}

#[test]
fn an_unknown_autopilot_is_listened_to_said_once_and_commanded_nothing() {
    let mut bench = Bench::new(Authority::Command);
    for _ in 0..40 {
        bench.say(1, &heartbeat(AutopilotKind::Other(0), Mode::Guided));
        bench.say(255, &user_command((1, 191), 1.0));
        bench.run(0.5);
    }
    assert!(bench.commands().is_empty(), "{:?}", bench.commands());
    let texts = bench.texts();
    assert!(texts.iter().any(|t| t.contains("not started")), "{texts:?}");
    let said = texts
        .iter()
        .filter(|t| t.contains("alight: neither ArduPilot nor PX4"));
    assert_eq!(said.count(), 1, "{texts:?}");
    let counts = bench.companion.telemetry_counts();
    assert_eq!(counts.of(Problem::UnknownAutopilot), 40);
}

#[test]
fn a_link_that_says_nothing_is_complained_of_once_and_asked_for_nothing() {
    let mut bench = Bench::new(Authority::Command);
    let mut listener = Listener::default();
    listener.opened(bench.companion.link_counts(), bench.now);
    let mut complaints = Vec::new();
    bench.site = true;
    for _ in 0..60 {
        bench.companion.request(Request::Start);
        bench.run(0.5);
        let has_autopilot = bench.companion.state().kind.is_some();
        complaints.extend(listener.check(bench.companion.link_counts(), has_autopilot, bench.now));
    }
    assert_eq!(complaints, [Complaint::Silent]);
    assert!(bench.commands().is_empty());
    let asked = |m: &MavMessage| matches!(m, MavMessage::COMMAND_LONG(_) | MavMessage::TIMESYNC(_));
    assert!(!bench.heard.iter().any(|(_, m)| asked(m)));
}
