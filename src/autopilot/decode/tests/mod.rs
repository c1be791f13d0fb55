//! What the decoder believes, and what not.

mod heights;
mod status;

use std::time::Duration;

use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, ATTITUDE_QUATERNION_DATA, BATTERY_STATUS_DATA, DISTANCE_SENSOR_DATA,
    EKF_STATUS_REPORT_DATA, EXTENDED_SYS_STATE_DATA, EkfStatusFlags, GLOBAL_POSITION_INT_DATA,
    GPS_GLOBAL_ORIGIN_DATA, HEARTBEAT_DATA, HOME_POSITION_DATA, LOCAL_POSITION_NED_DATA,
    MavAutopilot, MavLandedState, MavModeFlag, MavSensorOrientation, MavState, RANGEFINDER_DATA,
    RC_CHANNELS_DATA, SYS_STATUS_DATA, TERRAIN_REPORT_DATA,
};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::vehicle::{AutopilotKind, HeightSource, LandedState, Mode};

const BOOT_MS: i64 = 50_000;

fn ms(ms: i64) -> MonoTime {
    MonoTime::from_nanos(ms * 1_000_000)
}

fn from(system_id: u32, component_id: u8) -> MavHeader {
    MavHeader {
        system_id,
        component_id,
        sequence: 0,
    }
}

fn heartbeat(autopilot: MavAutopilot, custom_mode: u32) -> MavMessage {
    MavMessage::HEARTBEAT(HEARTBEAT_DATA {
        custom_mode,
        autopilot,
        base_mode: MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED,
        system_status: MavState::MAV_STATE_ACTIVE,
        ..HEARTBEAT_DATA::DEFAULT
    })
}

fn boot(now_ms: i64) -> u32 {
    u32::try_from(now_ms + BOOT_MS).unwrap()
}

fn position(now_ms: i64, north: f32, down: f32) -> MavMessage {
    MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA {
        time_boot_ms: boot(now_ms),
        x: north,
        z: down,
        ..LOCAL_POSITION_NED_DATA::DEFAULT
    })
}

fn attitude(now_ms: i64, roll: f32) -> MavMessage {
    MavMessage::ATTITUDE(ATTITUDE_DATA {
        time_boot_ms: boot(now_ms),
        roll,
        ..ATTITUDE_DATA::DEFAULT
    })
}

fn range(now_ms: i64, cm: u16) -> MavMessage {
    MavMessage::DISTANCE_SENSOR(DISTANCE_SENSOR_DATA {
        time_boot_ms: boot(now_ms),
        min_distance: 20,
        max_distance: 4000,
        current_distance: cm,
        orientation: MavSensorOrientation::MAV_SENSOR_ROTATION_PITCH_270,
        ..DISTANCE_SENSOR_DATA::DEFAULT
    })
}

fn relative(now_ms: i64, metres: f64) -> MavMessage {
    MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA {
        time_boot_ms: boot(now_ms),
        relative_alt: (metres * 1e3) as i32,
        ..GLOBAL_POSITION_INT_DATA::DEFAULT
    })
}

/// A telemetry that has heard an `ArduPilot` in GUIDED as system 7.
fn heard() -> Telemetry {
    let mut t = Telemetry::new(TelemetryConfig::default());
    let taken = take(
        &mut t,
        &heartbeat(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA, 4),
        0,
    );
    assert!(taken.is_ours && taken.mode_or_sticks_changed);
    t
}

fn take(t: &mut Telemetry, m: &MavMessage, now_ms: i64) -> Taken {
    t.take(&from(7, 1), m, ms(now_ms))
}

#[test]
fn the_first_autopilot_is_ours_and_no_other_is_obeyed() {
    let mut t = Telemetry::new(TelemetryConfig::default());
    // A ground station, a camera of our vehicle, and telemetry before any heartbeat.
    let gcs = heartbeat(MavAutopilot::MAV_AUTOPILOT_INVALID, 0);
    assert!(!t.take(&from(255, 190), &gcs, ms(0)).is_ours);
    assert!(!t.take(&from(7, 1), &position(1, 0.0, 0.0), ms(1)).is_ours);
    assert!(t.state().kind.is_none());
    let ours = heartbeat(MavAutopilot::MAV_AUTOPILOT_PX4, 6 << 16);
    assert!(t.take(&from(7, 1), &ours, ms(2)).is_ours);
    assert_eq!(t.system_id(), Some(7));
    let other = heartbeat(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA, 9);
    let first = t.take(&from(8, 1), &other, ms(3));
    assert_eq!(first.problem, Some(Problem::SecondAutopilot));
    assert!(!first.is_ours && !first.mode_or_sticks_changed);
    assert_eq!(t.take(&from(8, 1), &other, ms(4)).problem, None);
    assert_eq!(t.counts().of(Problem::SecondAutopilot), 2);
    assert!(!t.take(&from(7, 191), &other, ms(5)).is_ours);
    assert_eq!(t.counts().of(Problem::OtherComponent), 1);
    let state = t.state();
    assert_eq!(state.kind, Some(AutopilotKind::Px4));
    assert_eq!(state.mode.unwrap().value.mode, Mode::Guided);
    assert_eq!(t.counts().messages, 1);
}

#[test]
fn a_configured_system_waits_for_its_own() {
    let mut t = Telemetry::new(TelemetryConfig {
        system_id: Some(9),
        ..TelemetryConfig::default()
    });
    let m = heartbeat(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA, 4);
    assert!(!t.take(&from(7, 1), &m, ms(0)).is_ours);
    assert!(t.take(&from(9, 1), &m, ms(1)).is_ours);
}

#[test]
fn the_quaternion_is_preferred_while_it_comes() {
    let mut t = heard();
    let q = |now_ms, q1, q2| {
        MavMessage::ATTITUDE_QUATERNION(ATTITUDE_QUATERNION_DATA {
            time_boot_ms: boot(now_ms),
            q1,
            q2,
            ..ATTITUDE_QUATERNION_DATA::DEFAULT
        })
    };
    take(&mut t, &attitude(100, 0.1), 100);
    take(&mut t, &q(200, 0.995_004_2, 0.099_833_4), 200);
    take(&mut t, &attitude(300, 0.1), 300);
    let a = t.state().attitude.unwrap();
    assert_eq!(a.at, ms(200));
    assert!((a.value.roll_pitch_yaw().0 - 0.2).abs() < 1e-6);
    take(&mut t, &q(400, 2.0, 0.0), 400);
    assert_eq!(t.counts().of(Problem::OutOfRange), 1);
    take(&mut t, &attitude(2300, 0.1), 2300);
    assert_eq!(t.state().attitude.unwrap().at, ms(2300));
}

#[test]
fn samples_stand_at_the_time_of_the_autopilot_not_of_their_arrival() {
    let mut t = heard();
    take(&mut t, &position(100, 1.0, -10.0), 100);
    take(&mut t, &position(200, 2.0, -10.0), 380);
    let at = t.state().kinematics.unwrap().at;
    assert!(
        at.since(ms(200)) < Duration::from_micros(100) && at >= ms(200),
        "{at:?}"
    );
}

#[rstest]
#[case::nan(position(200, f32::NAN, 0.0), Problem::NotFinite)]
#[case::far(position(200, 1e6, 0.0), Problem::OutOfRange)]
#[case::again(position(100, 3.0, 0.0), Problem::Duplicate)]
#[case::older(position(50, 3.0, 0.0), Problem::TimeBackwards)]
#[case::reboot_perhaps(position(-40_000, 3.0, 0.0), Problem::OddTime)]
#[case::from_the_future(position(900_000, 3.0, 0.0), Problem::OddTime)]
fn what_cannot_be_is_counted_and_not_believed(#[case] m: MavMessage, #[case] problem: Problem) {
    let mut t = heard();
    take(&mut t, &position(100, 0.5, -10.0), 100);
    let before = t.state().kinematics;
    assert_eq!(take(&mut t, &m, 210).problem, Some(problem));
    assert_eq!(take(&mut t, &m, 220).problem, None);
    assert_eq!(t.counts().of(problem), 2);
    assert_eq!(t.state().kinematics, before);
    assert_eq!(t.state().epoch, 0);
}

#[test]
fn a_reboot_voids_what_was_said() {
    let mut t = heard();
    take(&mut t, &position(100, 0.5, -10.0), 100);
    take(&mut t, &relative(110, 10.0), 110);
    let taken: Vec<_> = (0..3)
        .map(|i| {
            take(
                &mut t,
                &position(i * 100 - 49_000, 40.0, 0.0),
                5000 + i * 100,
            )
        })
        .collect();
    assert_eq!(taken[1].upheaval, None);
    assert_eq!(taken[2].upheaval, Some(Upheaval::Restarted));
    let state = t.state();
    assert_eq!(state.epoch, 1);
    assert!(state.height.is_none() && state.mode.is_some());
    assert_eq!(state.kinematics.unwrap().at, ms(5200));
}

#[test]
fn a_jump_and_a_moved_origin_start_a_new_epoch() {
    let mut t = heard();
    let origin = |latitude| {
        MavMessage::GPS_GLOBAL_ORIGIN(GPS_GLOBAL_ORIGIN_DATA {
            latitude,
            longitude: 85_000_000,
            altitude: 400_000,
            ..GPS_GLOBAL_ORIGIN_DATA::DEFAULT
        })
    };
    take(&mut t, &origin(470_000_000), 50);
    take(&mut t, &position(100, 0.0, -10.0), 100);
    take(&mut t, &position(200, 1.0, -10.0), 200);
    assert_eq!(t.state().epoch, 0);
    let jump = take(&mut t, &position(300, 30.0, -10.0), 300);
    assert!(matches!(jump.upheaval, Some(Upheaval::Jumped(m)) if (m - 29.0).abs() < 0.01));
    take(&mut t, &origin(470_000_000), 400);
    assert_eq!(t.state().epoch, 1);
    // 1e-4 degrees are 11 m.
    let moved = take(&mut t, &origin(470_001_000), 500);
    assert_eq!(moved.upheaval, Some(Upheaval::OriginMoved));
    assert_eq!(t.state().epoch, 2);
    assert!(t.state().kinematics.is_none());
}

#[test]
fn home_is_placed_around_the_origin_whichever_comes_first() {
    let home = MavMessage::HOME_POSITION(HOME_POSITION_DATA {
        latitude: 470_001_000,
        longitude: 85_000_000,
        altitude: 403_000,
        ..HOME_POSITION_DATA::DEFAULT
    });
    let origin = MavMessage::GPS_GLOBAL_ORIGIN(GPS_GLOBAL_ORIGIN_DATA {
        latitude: 470_000_000,
        longitude: 85_000_000,
        altitude: 400_000,
        ..GPS_GLOBAL_ORIGIN_DATA::DEFAULT
    });
    for order in [[&home, &origin], [&origin, &home]] {
        let mut t = heard();
        for m in order {
            take(&mut t, m, 100);
        }
        let p = t.state().home.unwrap().value;
        assert!(
            (p.north() - 11.12).abs() < 0.02 && (p.down() + 3.0).abs() < 0.01,
            "{p:?}"
        );
    }
}

#[test]
fn a_question_for_the_time_is_answered_and_an_answer_is_not() {
    let mut t = heard();
    let question = TIMESYNC_DATA {
        tc1: 0,
        ts1: 77,
        ..TIMESYNC_DATA::DEFAULT
    };
    let reply = take(&mut t, &MavMessage::TIMESYNC(question), 1000)
        .reply
        .unwrap();
    assert_eq!(
        (reply.tc1, reply.ts1, reply.target_system),
        (1_000_000_000, 77, 7)
    );
    let answer = TIMESYNC_DATA {
        tc1: 5,
        ts1: 77,
        ..TIMESYNC_DATA::DEFAULT
    };
    assert_eq!(
        take(&mut t, &MavMessage::TIMESYNC(answer), 1100).reply,
        None
    );
    assert_ne!(t.timesync_request(MonoTime::ZERO).ts1, 0);
}

#[test]
fn a_global_position_places_only_where_that_is_allowed() {
    let global = |now_ms, lat| {
        MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA {
            time_boot_ms: boot(now_ms),
            lat,
            lon: 85_000_000,
            alt: 420_000,
            relative_alt: 20_000,
            vx: 100,
            ..GLOBAL_POSITION_INT_DATA::DEFAULT
        })
    };
    for allowed in [false, true] {
        let mut t = Telemetry::new(TelemetryConfig {
            system_id: Some(7),
            places_by_global_position: allowed,
            ..TelemetryConfig::default()
        });
        take(&mut t, &global(0, 470_000_000), 0);
        take(&mut t, &global(200, 470_000_020), 200);
        let north = t.state().kinematics.map(|k| k.value.position.north());
        assert_eq!(north.is_some(), allowed);
        assert!(north.is_none_or(|n| (n - 0.222).abs() < 0.01));
    }
}

#[test]
fn pose_and_state_agree_and_go_stale_together() {
    let mut t = heard();
    for i in 0..10 {
        take(&mut t, &attitude(i * 50, 0.0), i * 50);
        take(&mut t, &position(i * 50, 0.0, -12.0), i * 50);
        take(&mut t, &relative(i * 50, 12.0), i * 50);
    }
    let pose = t.history().pose_at(ms(425), ms(460)).unwrap();
    assert!((pose.height_above_ground.metres - 12.0).abs() < 1e-6);
    assert!(t.history().pose_at(ms(2000), ms(2000)).is_err());
    let limit = Duration::from_millis(500);
    assert!(
        t.state()
            .kinematics
            .unwrap()
            .fresh(ms(2000), limit)
            .is_none()
    );
}

fn bits() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

proptest! {
    #[test]
    fn no_message_makes_it_panic_or_say_something_endless(
        steps in prop::collection::vec((any::<u8>(), any::<u32>(), [bits(), bits(), bits(), bits()], any::<[i32; 4]>(), any::<u16>()), 1..60)
    ) {
        let mut t = heard();
        let mut now = 0_i64;
        for (kind, time, f, n, u) in steps {
            now += i64::from(u) % 400;
            let time_boot_ms = if kind & 0x80 == 0 { boot(now) } else { time };
            let m = match kind % 11 {
                0 => MavMessage::ATTITUDE(ATTITUDE_DATA { time_boot_ms, roll: f[0], pitch: f[1], yaw: f[2], rollspeed: f[3], pitchspeed: 0.0, yawspeed: 0.0 }),
                1 => MavMessage::ATTITUDE_QUATERNION(ATTITUDE_QUATERNION_DATA { time_boot_ms, q1: f[0], q2: f[1], q3: f[2], q4: f[3], ..ATTITUDE_QUATERNION_DATA::DEFAULT }),
                2 => MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA { time_boot_ms, x: f[0], y: f[1], z: f[2], vx: f[3], vy: 0.0, vz: 0.0 }),
                3 => MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA { time_boot_ms, lat: n[0], lon: n[1], alt: n[2], relative_alt: n[3], ..GLOBAL_POSITION_INT_DATA::DEFAULT }),
                4 => range(now, u),
                5 => attitude(now, 0.01),
                6 => MavMessage::GPS_GLOBAL_ORIGIN(GPS_GLOBAL_ORIGIN_DATA { latitude: n[0], longitude: n[1], altitude: n[2], ..GPS_GLOBAL_ORIGIN_DATA::DEFAULT }),
                7 => MavMessage::HOME_POSITION(HOME_POSITION_DATA { latitude: n[0], longitude: n[1], altitude: n[2], x: f[0], y: f[1], z: f[2], ..HOME_POSITION_DATA::DEFAULT }),
                8 => MavMessage::TERRAIN_REPORT(TERRAIN_REPORT_DATA { current_height: f[0], spacing: u, ..TERRAIN_REPORT_DATA::DEFAULT }),
                9 => MavMessage::TIMESYNC(TIMESYNC_DATA { tc1: i64::from(n[0]) << 31, ts1: i64::from(n[1]) << 31, ..TIMESYNC_DATA::DEFAULT }),
                _ => MavMessage::RANGEFINDER(RANGEFINDER_DATA { distance: f[0], voltage: 0.0 }),
            };
            take(&mut t, &m, now);
            let s = t.state();
            prop_assert!(s.kinematics.is_none_or(|k| k.value.position.is_finite() && k.at <= ms(now)));
            prop_assert!(s.attitude.is_none_or(|a| a.value.is_finite() && a.at <= ms(now)));
            prop_assert!(s.height.is_none_or(|h| h.value.metres.is_finite() && h.value.metres >= 0.0 && h.at <= ms(now)));
            prop_assert!(s.home.is_none_or(|h| h.value.is_finite()));
        }
    }
}
