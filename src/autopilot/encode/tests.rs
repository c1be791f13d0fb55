use mavlink::dialects::ardupilotmega::{MavCmd, MavFrame, MavMessage};
use mavlink::{MavHeader, MavlinkReader, Message as _};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::autopilot::commands::{Notice, Severity};
use crate::geometry::Rotation;

const DEG: f64 = std::f64::consts::PI / 180.0;

fn pose(roll: f64, pitch: f64, yaw: f64) -> Pose {
    Pose {
        position: Vec3::new(10.0, 20.0, -30.0),
        ned_from_frd: Rotation::from_roll_pitch_yaw(roll * DEG, pitch * DEG, yaw * DEG),
        ..Pose::level_nadir(MonoTime::ZERO, 30.0)
    }
}

fn scene(kind: AutopilotKind, pose: Option<&Pose>) -> Scene<'_> {
    Scene {
        kind: Some(kind),
        system_id: 3,
        pose,
        now: MonoTime::from_secs_f64(12.5),
        text_id: 9,
    }
}

fn sent(command: &Command, scene: &Scene<'_>) -> Vec<MavMessage> {
    let mut all = Vec::new();
    let is_sent = encode(command, scene, |m| all.push(m.clone()));
    assert_eq!(is_sent, !all.is_empty());
    all
}

fn one(command: &Command, scene: &Scene<'_>) -> MavMessage {
    let mut all = sent(command, scene);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn target(north: f64, east: f64, down: f64) -> Command {
    Command::Target(TargetSample {
        position: Vec3::new(north, east, down),
    })
}

// The vehicle is 30 m above (10, 20); the target 4 m north and 3 m east of it, on the ground.
#[rstest]
#[case::level_north((0.0, 0.0, 0.0), (4.0, 3.0, 30.0))]
#[case::nose_east((0.0, 0.0, 90.0), (3.0, -4.0, 30.0))]
#[case::nose_north_east((0.0, 0.0, 45.0), (7.0 / std::f64::consts::SQRT_2, -1.0 / std::f64::consts::SQRT_2, 30.0))]
#[case::nose_south((0.0, 0.0, 180.0), (-4.0, -3.0, 30.0))]
// Nose up by 10 degrees: what lies straight below is then behind the body's down axis.
#[case::nose_up((0.0, 10.0, 0.0), (4.0 * 0.984_807_753 - 30.0 * 0.173_648_178, 3.0, 30.0 * 0.984_807_753 + 4.0 * 0.173_648_178))]
// Right side down by 10 degrees: what lies straight below is then to the right of the body's down axis.
#[case::right_down((10.0, 0.0, 0.0), (4.0, 3.0 * 0.984_807_753 + 30.0 * 0.173_648_178, 30.0 * 0.984_807_753 - 3.0 * 0.173_648_178))]
fn ardupilot_gets_the_target_seen_from_the_body(
    #[case] (roll, pitch, yaw): (f64, f64, f64),
    #[case] body: (f64, f64, f64),
) {
    let pose = pose(roll, pitch, yaw);
    let MavMessage::LANDING_TARGET(d) = one(
        &target(14.0, 23.0, 0.0),
        &scene(AutopilotKind::ArduPilot, Some(&pose)),
    ) else {
        panic!("no landing target")
    };
    assert_eq!(d.frame, MavFrame::MAV_FRAME_BODY_FRD);
    assert_eq!(d.position_valid.bits(), 1);
    for (got, want) in [(d.x, body.0), (d.y, body.1), (d.z, body.2)] {
        assert!((f64::from(got) - want).abs() < 1e-4, "{d:?}");
    }
    let norm = (d.x * d.x + d.y * d.y + d.z * d.z).sqrt();
    assert!((d.distance - norm).abs() < 1e-4, "{d:?}");
    assert_eq!((d.angle_x, d.angle_y), (0.0, 0.0));
}

#[test]
fn px4_gets_the_target_in_the_local_frame_whatever_the_attitude() {
    for pose in [pose(0.0, 0.0, 0.0), pose(8.0, -5.0, 133.0)] {
        let MavMessage::LANDING_TARGET(d) = one(
            &target(14.0, 23.0, -0.5),
            &scene(AutopilotKind::Px4, Some(&pose)),
        ) else {
            panic!("no landing target")
        };
        assert_eq!(d.frame, MavFrame::MAV_FRAME_LOCAL_NED);
        assert_eq!((d.x, d.y, d.z), (14.0, 23.0, -0.5));
        assert_eq!(d.position_valid.bits(), 1);
        assert_eq!(d.time_usec, 12_500_000);
    }
}

#[test]
fn a_target_needs_a_pose_and_a_distance() {
    for kind in [AutopilotKind::ArduPilot, AutopilotKind::Px4] {
        assert!(sent(&target(1.0, 2.0, 0.0), &scene(kind, None)).is_empty());
        let pose = pose(0.0, 0.0, 0.0);
        assert!(sent(&target(10.0, 20.0, -30.0), &scene(kind, Some(&pose))).is_empty());
        assert!(sent(&target(f64::NAN, 2.0, 0.0), &scene(kind, Some(&pose))).is_empty());
    }
}

#[rstest]
#[case(AutopilotKind::ArduPilot, Mode::Guided, 4.0, 0.0)]
#[case(AutopilotKind::ArduPilot, Mode::Hold, 17.0, 0.0)]
#[case(AutopilotKind::ArduPilot, Mode::Loiter, 5.0, 0.0)]
#[case(AutopilotKind::ArduPilot, Mode::Land, 9.0, 0.0)]
#[case(AutopilotKind::ArduPilot, Mode::Rtl, 6.0, 0.0)]
#[case(AutopilotKind::Px4, Mode::Guided, 6.0, 0.0)]
#[case(AutopilotKind::Px4, Mode::Hold, 4.0, 3.0)]
#[case(AutopilotKind::Px4, Mode::Rtl, 4.0, 5.0)]
#[case(AutopilotKind::Px4, Mode::Land, 4.0, 6.0)]
#[case(AutopilotKind::Px4, Mode::PrecLand, 4.0, 9.0)]
fn modes_are_asked_for_by_the_autopilots_own_numbers(
    #[case] kind: AutopilotKind,
    #[case] mode: Mode,
    #[case] param2: f32,
    #[case] param3: f32,
) {
    let MavMessage::COMMAND_LONG(d) = one(&Command::SetMode(mode), &scene(kind, None)) else {
        panic!("no command")
    };
    assert_eq!(d.command, MavCmd::MAV_CMD_DO_SET_MODE);
    assert_eq!((d.param1, d.param2, d.param3), (1.0, param2, param3));
    assert_eq!((d.target_system, d.target_component), (3, 1));
}

#[test]
fn ardupilot_has_no_precland() {
    let scene = scene(AutopilotKind::ArduPilot, None);
    assert!(sent(&Command::SetMode(Mode::PrecLand), &scene).is_empty());
}

#[rstest]
#[case::free_yaw(None, 0b1101_1111_1000, 0.0)]
#[case::with_yaw(Some(1.5), 0b1001_1111_1000, 1.5)]
fn a_setpoint_is_a_position_and_nothing_else(
    #[case] yaw_rad: Option<f64>,
    #[case] mask: u16,
    #[case] yaw: f32,
) {
    for kind in [AutopilotKind::ArduPilot, AutopilotKind::Px4] {
        let setpoint = Command::GoTo(Setpoint {
            position: Vec3::new(1.0, -2.0, -12.0),
            yaw_rad,
        });
        let MavMessage::SET_POSITION_TARGET_LOCAL_NED(d) = one(&setpoint, &scene(kind, None))
        else {
            panic!("no setpoint")
        };
        assert_eq!(d.coordinate_frame, MavFrame::MAV_FRAME_LOCAL_NED);
        assert_eq!((d.x, d.y, d.z, d.yaw), (1.0, -2.0, -12.0, yaw));
        assert_eq!(d.type_mask.bits(), mask);
        assert_eq!((d.target_system, d.target_component), (3, 1));
        assert_eq!(d.time_boot_ms, 12_500);
    }
}

#[test]
fn a_message_is_asked_for_by_its_interval() {
    let MavMessage::COMMAND_LONG(d) = message_interval(3, 32, 20.0) else {
        panic!("no command")
    };
    assert_eq!(d.command, MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL);
    assert_eq!((d.param1, d.param2), (32.0, 50_000.0));
}

fn commands() -> impl Strategy<Value = Command> {
    let number = prop_oneof![
        any::<f64>(),
        -1e3..1e3,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(1e39)
    ];
    let place = (number.clone(), number.clone(), number.clone());
    let modes = prop_oneof![
        Just(Mode::Guided),
        Just(Mode::Hold),
        Just(Mode::Land),
        Just(Mode::PrecLand),
        Just(Mode::Rtl),
        any::<u32>().prop_map(Mode::Other),
    ];
    prop_oneof![
        modes.prop_map(Command::SetMode),
        (place.clone(), proptest::option::of(number)).prop_map(|((x, y, z), yaw_rad)| {
            Command::GoTo(Setpoint {
                position: Vec3::new(x, y, z),
                yaw_rad,
            })
        }),
        place.prop_map(|(x, y, z)| target(x, y, z)),
        any::<f32>().prop_map(|v| Command::Number("belief", v)),
        ".{0,120}".prop_map(|s| Command::Say(Severity::Notice, Notice::new(format_args!("{s}")))),
    ]
}

fn numbers(message: &MavMessage) -> Vec<f32> {
    match message {
        MavMessage::LANDING_TARGET(d) => vec![d.x, d.y, d.z, d.distance, d.angle_x, d.angle_y],
        MavMessage::SET_POSITION_TARGET_LOCAL_NED(d) => vec![d.x, d.y, d.z, d.yaw],
        MavMessage::COMMAND_LONG(d) => vec![d.param1, d.param2, d.param3, d.param4],
        MavMessage::NAMED_VALUE_FLOAT(d) => vec![d.value],
        MavMessage::STATUSTEXT(_) => vec![],
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn nothing_that_is_not_finite_is_sent_and_a_stranger_gets_no_command(
        command in commands(),
        angles in (-3.2..3.2f64, -1.5..1.5f64, -3.2..3.2f64),
        kind in prop_oneof![
            Just(AutopilotKind::ArduPilot),
            Just(AutopilotKind::Px4),
            any::<u8>().prop_map(AutopilotKind::Other),
        ],
    ) {
        let pose = pose(angles.0 / DEG, angles.1 / DEG, angles.2 / DEG);
        for message in sent(&command, &scene(kind, Some(&pose))) {
            prop_assert!(numbers(&message).iter().all(|v| v.is_finite()), "{message:?}");
            let is_told = matches!(
                message,
                MavMessage::STATUSTEXT(_) | MavMessage::NAMED_VALUE_FLOAT(_)
            );
            prop_assert!(is_told || !matches!(kind, AutopilotKind::Other(_)), "{message:?}");
        }
        let unknown = Scene { kind: None, ..scene(kind, Some(&pose)) };
        for message in sent(&command, &unknown) {
            prop_assert!(matches!(
                message,
                MavMessage::STATUSTEXT(_) | MavMessage::NAMED_VALUE_FLOAT(_)
            ));
        }
    }

    #[test]
    fn what_is_sent_reads_back_the_same(command in commands()) {
        let pose = pose(3.0, -4.0, 70.0);
        for message in sent(&command, &scene(AutopilotKind::Px4, Some(&pose))) {
            let header = MavHeader { system_id: 3, component_id: 191, sequence: 5 };
            let mut bytes = Vec::new();
            mavlink::write_v2_msg(&mut bytes, header, &message).unwrap();
            let (got, back) = MavlinkReader::new(bytes.as_slice())
                .read_any_message::<MavMessage>()
                .unwrap();
            prop_assert_eq!(got, header);
            prop_assert_eq!(back.message_id(), message.message_id());
            // Padding texts ends at the first zero, so compare what a reader would send on.
            let mut again = Vec::new();
            mavlink::write_v2_msg(&mut again, header, &back).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }
}
