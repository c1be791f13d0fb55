//! The PX4 table.

use rstest::rstest;

use super::*;
use crate::sim::autopilot::OffboardLoss;
use crate::vehicle::Mode;

const AUTO: f32 = 4.0;
const PRECLAND: f32 = 9.0;
const LAND: f32 = 6.0;

fn px4(seed: u64) -> SimConfig {
    SimConfig::new(Dialect::Px4, seed)
}

#[rstest]
#[case::hz_10(10.0)]
#[case::hz_25(25.0)]
#[case::hz_2(2.0)]
fn precland_local_ned_lands_within_the_estimators_error(#[case] hz: f64) {
    let mut all = Vec::new();
    for seed in 1..=7 {
        let stream = Stream {
            hz,
            ..Stream::new(LOCAL)
        };
        let flown = stream.fly(&mut Bench::new(px4(seed)), AUTO, PRECLAND);
        flown.landed_off(0.05, 0.7);
        all.push(flown.off_m);
    }
    let mean = all.iter().sum::<f64>() / 7.0;
    assert!((0.2..0.5).contains(&mean), "{all:?}");
}

#[test]
fn the_estimate_is_decimetres_from_the_truth() {
    for seed in 1..=20 {
        let bench = Bench::new(px4(seed));
        let error = bench.truth().estimate_error;
        let across = error.x().hypot(error.y());
        assert!((0.1..0.7).contains(&across), "{across}");
    }
}

#[rstest]
#[case::auto_land(LOCAL, LAND)]
#[case::body_frd(POSITION, PRECLAND)]
#[case::angles_only(Form::Angles { frame: BODY_FRD, distance: true }, PRECLAND)]
#[case::angles_local(Form::Angles { frame: LOCAL_NED, distance: true }, PRECLAND)]
fn ignored_targets_land_where_it_is_and_are_acknowledged_all_the_same(
    #[case] form: Form,
    #[case] sub: f32,
) {
    let mut bench = Bench::new(px4(1));
    Stream::new(form)
        .fly(&mut bench, AUTO, sub)
        .landed_off(4.4, 5.6);
    let accepted = m::MavResult::MAV_RESULT_ACCEPTED;
    assert_eq!(bench.last_ack().unwrap().1, accepted);
    assert!(bench.texts().is_empty(), "no text reaches the companion");
}

#[test]
fn stream_stops_at_6_m_it_lands() {
    let stream = Stream {
        stop_below_m: 6.0,
        ..Stream::new(LOCAL)
    };
    stream
        .fly(&mut Bench::new(px4(2)), AUTO, PRECLAND)
        .landed_off(0.05, 0.75);
}

#[rstest]
#[case::from_20_m(20.0)]
#[case::from_6_m(6.0)]
fn precland_without_a_target_climbs_to_search_times_out_and_lands_near(#[case] height: f64) {
    let config = SimConfig {
        start: Vec3::new(0.0, 0.0, -height),
        ..px4(1)
    };
    let flown = Stream::silent().fly(&mut Bench::new(config), AUTO, PRECLAND);
    assert!(flown.highest_m > height + 1.0, "{}", flown.highest_m);
    let ordinary = Stream::silent().fly(
        &mut Bench::new(SimConfig {
            start: Vec3::new(0.0, 0.0, -height),
            ..px4(1)
        }),
        AUTO,
        LAND,
    );
    assert!(flown.seconds > ordinary.seconds + 9.0, "it does not search");
    flown.landed_off(4.8, 5.2);
}

/// In OFFBOARD, going to a place at 20 Hz.
fn offboard(config: SimConfig, place: [f32; 3]) -> Bench {
    let mut bench = Bench::new(config);
    stream(&mut bench, place, 1.0);
    bench.set_mode(6.0, 0.0);
    bench
}

fn stream(bench: &mut Bench, place: [f32; 3], seconds: f64) {
    for _ in 0..(seconds * 20.0) as usize {
        bench.send(&local(LOCAL_NED, PLACE_ONLY, place, [0.0; 3]));
        bench.run(0.05);
    }
}

#[rstest]
#[case::none(0.0, false)]
#[case::hz_20(20.0, true)]
#[case::hz_2(2.0, true)]
#[case::hz_1(1.0, false)]
fn offboard_needs_a_stream_of_setpoints_first(#[case] hz: f64, #[case] enters: bool) {
    let mut bench = Bench::new(px4(1));
    for _ in 0..(3.0 * hz) as usize {
        bench.send(&local(LOCAL_NED, PLACE_ONLY, [0.0, 0.0, -20.0], [0.0; 3]));
        bench.run(1.0 / hz);
    }
    bench.set_mode(6.0, 0.0);
    assert_eq!(bench.truth().mode == Mode::Guided, enters);
    // The acknowledgement says yes in any case.
    assert_eq!(
        bench.last_ack().unwrap().1,
        m::MavResult::MAV_RESULT_ACCEPTED
    );
}

#[test]
fn offboard_shift_then_nav_land() {
    for seed in 1..=5 {
        let mut bench = offboard(px4(seed), [5.0, 0.0, -20.0]);
        stream(&mut bench, [5.0, 0.0, -20.0], 12.0);
        bench.command(m::MavCmd::MAV_CMD_NAV_LAND, [0.0; 3]);
        bench.run(50.0);
        assert!(!bench.truth().is_armed);
        let target = Vec3::new(5.0, 0.0, 0.0);
        let off = bench.truth().position.horizontal_distance(&target);
        assert!((0.05..0.75).contains(&off), "{off} m off");
    }
}

#[test]
fn offboard_global_shift_then_land() {
    let mut bench = offboard(px4(3), [0.0, 0.0, -20.0]);
    let target = Vec3::new(5.0, 0.0, 0.0);
    for _ in 0..240 {
        bench.send_global_place(target, 20.0);
        bench.run(0.05);
    }
    bench.set_mode(AUTO, LAND);
    bench.run(50.0);
    let off = bench.truth().position.horizontal_distance(&target);
    assert!(!bench.truth().is_armed && off < 0.75, "{off} m off");
}

#[rstest]
#[case::nav_rcl_act_2_returns(OffboardLoss::Return, 1.7, Mode::Rtl)]
#[case::com_obl_rc_act_4_lands(OffboardLoss::Land, 2.0, Mode::Land)]
fn the_end_of_the_stream_is_no_abort(
    #[case] offboard_loss: OffboardLoss,
    #[case] after_s: f64,
    #[case] then: Mode,
) {
    let config = SimConfig {
        offboard_loss,
        ..px4(1)
    };
    let mut bench = offboard(config, [0.0, 0.0, -20.0]);
    stream(&mut bench, [0.0, 0.0, -20.0], 2.0);
    bench.run(after_s - 0.2);
    assert_eq!(bench.truth().mode, Mode::Guided);
    bench.run(0.3);
    assert_eq!(bench.truth().mode, then);
    bench.run(60.0);
    assert!(bench.truth().touchdown.is_some());
}

#[test]
fn nav_rcl_act_0_without_rc_hovers() {
    let config = SimConfig {
        offboard_loss: OffboardLoss::Hover,
        sticks: None,
        ..px4(1)
    };
    let mut bench = offboard(config, [0.0, 0.0, -20.0]);
    stream(&mut bench, [0.0, 0.0, -20.0], 2.0);
    bench.run(20.0);
    assert!((bench.height() - 20.0).abs() < 0.5);
}

#[test]
fn body_frame_setpoints_are_no_stream() {
    let mut bench = Bench::new(px4(1));
    for _ in 0..40 {
        bench.send(&local(BODY_FRD, PLACE_ONLY, [0.0, 0.0, 0.0], [0.0; 3]));
        bench.run(0.05);
    }
    bench.set_mode(6.0, 0.0);
    assert_eq!(bench.truth().mode, Mode::Hold);
}

#[test]
fn it_shows_on_ground_then_disarms() {
    let mut bench = Bench::new(px4(1));
    bench.set_mode(AUTO, LAND);
    while !bench.truth().is_landed {
        bench.tick();
        assert!(bench.now().as_secs_f64() < 60.0);
    }
    assert!(bench.truth().is_armed);
    bench.received.clear();
    bench.run(1.0);
    let on_ground = m::MavLandedState::MAV_LANDED_STATE_ON_GROUND;
    assert!(
        bench.count(
            |m| matches!(m, m::MavMessage::EXTENDED_SYS_STATE(e) if e.landed_state == on_ground)
        ) > 2
    );
    assert!(bench.truth().is_armed);
    bench.run(2.0);
    assert!(!bench.truth().is_armed);
}

/// Answers each TIMESYNC for so many seconds with a clock that is ahead by an hour.
fn synchronise(bench: &mut Bench, seconds: f64) -> i64 {
    let ahead = 3_600_000_000_000;
    for _ in 0..(seconds * 100.0) as usize {
        bench.tick();
        let asked: Vec<i64> = bench
            .received
            .drain(..)
            .filter_map(|m| match m {
                m::MavMessage::TIMESYNC(t) if t.tc1 == 0 => Some(t.ts1),
                _ => None,
            })
            .collect();
        for ts1 in asked {
            let tc1 = bench.autopilot.boot_ns() + ahead;
            bench.send(&m::TIMESYNC_DATA {
                tc1,
                ts1,
                ..m::TIMESYNC_DATA::DEFAULT
            });
        }
    }
    ahead
}

#[rstest]
#[case::companions_clock(true)]
#[case::zero(false)]
fn once_timesync_has_converged_the_target_must_carry_the_companions_clock(#[case] is_right: bool) {
    let mut bench = Bench::new(px4(1));
    let ahead = synchronise(&mut bench, 55.0);
    bench.set_mode(AUTO, PRECLAND);
    for _ in 0..1200 {
        let stamp = (bench.autopilot.boot_ns() + ahead) / 1000;
        let stamp = if is_right { stamp as u64 } else { 0 };
        let message = LOCAL.message(&bench.truth(), Vec3::new(5.0, 0.0, 0.0), stamp);
        bench.send(&message);
        bench.run(0.1);
    }
    let off = bench
        .truth()
        .position
        .horizontal_distance(&Vec3::new(5.0, 0.0, 0.0));
    assert_eq!(off < 1.0, is_right, "{off} m off");
}
