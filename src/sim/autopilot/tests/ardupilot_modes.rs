//! The `ArduCopter` table: setpoints in GUIDED, and the other modes.

use rstest::rstest;

use super::ardupilot::{LAND, at, copter};
use super::*;
use crate::sim::autopilot::Sticks;
use crate::vehicle::Mode;

#[rstest]
#[case::frame_1(LOCAL_NED, [5.0, 0.0, -20.0])]
#[case::frame_7(7, [5.0, 0.0, 0.0])]
#[case::frame_9(9, [5.0, 0.0, 0.0])]
fn a_place_in_guided_then_land(#[case] frame: u8, #[case] place: [f32; 3]) {
    let mut bench = Bench::new(copter(1));
    bench.run(1.0);
    bench.send(&local(frame, PLACE_ONLY, place, [0.0; 3]));
    bench.run(12.0);
    bench.command(m::MavCmd::MAV_CMD_NAV_LAND, [0.0; 3]);
    bench.run(50.0);
    assert!(!bench.truth().is_armed);
    let off = bench.truth().position.horizontal_distance(&at(5.0, 0.0));
    assert!(off < 0.12, "{off} m off");
}

#[test]
fn a_global_place_in_guided_then_land() {
    let mut bench = Bench::new(copter(1));
    bench.run(1.0);
    bench.send_global_place(at(5.0, 0.0), 15.0);
    bench.run(12.0);
    assert!((bench.height() - 15.0).abs() < 0.5, "{}", bench.height());
    bench.set_mode(LAND, 0.0);
    bench.run(50.0);
    let off = bench.truth().position.horizontal_distance(&at(5.0, 0.0));
    assert!(!bench.truth().is_armed && off < 0.12, "{off} m off");
}

#[test]
fn a_setpoint_in_frame_12_is_rejected_silently_the_vehicle_stops_and_stays() {
    let mut bench = Bench::new(copter(1));
    bench.run(1.0);
    bench.send(&local(LOCAL_NED, PLACE_ONLY, [40.0, 0.0, -20.0], [0.0; 3]));
    bench.run(4.0);
    assert!(bench.truth().velocity_m_s.north() > 2.0);
    bench.received.clear();
    bench.send(&local(BODY_FRD, PLACE_ONLY, [60.0, 0.0, 0.0], [0.0; 3]));
    bench.run(5.0);
    let stopped = bench.truth().position;
    assert!(stopped.north() < 30.0 && bench.truth().velocity_m_s.norm() < 0.1);
    bench.run(10.0);
    assert!(bench.truth().position.horizontal_distance(&stopped) < 0.2);
    assert!(bench.texts().is_empty() && bench.last_ack().is_none());
}

#[test]
fn velocity_setpoints_time_out_and_it_has_stopped_4_2_s_after_the_last() {
    let mut bench = Bench::new(copter(1));
    for _ in 0..20 {
        bench.send(&local(LOCAL_NED, VELOCITY_ONLY, [0.0; 3], [2.0, 0.0, 0.0]));
        bench.run(0.1);
    }
    bench.run(2.8);
    assert!(bench.truth().velocity_m_s.north() > 1.8, "stops too early");
    bench.run(1.4);
    assert!(bench.truth().velocity_m_s.norm() < 0.4, "has not stopped");
}

#[test]
fn velocity_setpoints_down_to_touch_down_then_land() {
    let mut bench = Bench::new(copter(1));
    let target = at(5.0, 0.0);
    while !bench.truth().is_landed && bench.now().as_secs_f64() < 90.0 {
        let way = target - bench.truth().position;
        let v = [way.x() * 0.5, way.y() * 0.5, 0.6].map(|v| v as f32);
        bench.send(&local(LOCAL_NED, VELOCITY_ONLY, [0.0; 3], v));
        bench.run(0.1);
    }
    assert!(bench.truth().is_armed, "GUIDED does not disarm");
    bench.set_mode(LAND, 0.0);
    bench.run(2.0);
    assert!(!bench.truth().is_armed);
    let off = bench.truth().position.horizontal_distance(&target);
    assert!(off < 0.1, "{off} m off");
}

#[rstest]
#[case::middle(1500, 0.3)]
#[case::low(1000, 25.0)]
fn loiter_throttle_low_descends_and_middle_stays(#[case] throttle: u16, #[case] sinks: f64) {
    let mut bench = Bench::new(copter(1));
    bench.run(1.0);
    let mut sticks = Sticks::default();
    sticks.axes_us[2] = throttle;
    bench.autopilot.set_sticks(Some(sticks));
    bench.set_mode(5.0, 0.0);
    bench.run(20.0);
    assert_eq!(bench.truth().mode, Mode::Loiter);
    let sunk = 20.0 - bench.height();
    if sinks > 1.0 {
        assert!(sunk > 15.0, "sank {sunk} m");
    } else {
        assert!(sunk.abs() < sinks, "sank {sunk} m");
    }
}

#[test]
fn brake_stops_and_stays_whatever_the_sticks_say() {
    let mut bench = Bench::new(copter(1));
    bench.send(&local(LOCAL_NED, PLACE_ONLY, [40.0, 0.0, -20.0], [0.0; 3]));
    bench.run(4.0);
    let sticks = Sticks {
        axes_us: [1000; 4],
        ..Sticks::default()
    };
    bench.autopilot.set_sticks(Some(sticks));
    bench.set_mode(17.0, 0.0);
    bench.run(4.0);
    let stopped = bench.truth().position;
    bench.run(10.0);
    assert!((bench.truth().position - stopped).norm() < 0.3);
}

#[test]
fn twelve_seconds_without_a_companion_heartbeat_have_no_effect() {
    let mut bench = Bench::new(copter(1));
    bench.run(12.0);
    assert_eq!(bench.truth().mode, Mode::Guided);
    assert!((bench.height() - 20.0).abs() < 0.5);
}

#[test]
fn an_unknown_mode_is_refused() {
    let mut bench = Bench::new(copter(1));
    bench.set_mode(99.0, 0.0);
    assert_eq!(bench.last_ack().unwrap().1, m::MavResult::MAV_RESULT_FAILED);
    assert_eq!(bench.truth().mode, Mode::Guided);
}

#[test]
fn rtl_flies_home_and_lands() {
    let mut bench = Bench::new(copter(1));
    bench.send(&local(LOCAL_NED, PLACE_ONLY, [20.0, 10.0, -8.0], [0.0; 3]));
    bench.run(15.0);
    bench.set_mode(6.0, 0.0);
    bench.run(100.0);
    assert!(!bench.truth().is_armed);
    assert!(bench.truth().position.norm() < 0.2);
}
