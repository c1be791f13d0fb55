//! The `ArduCopter` table: landing targets.

use rstest::rstest;

use super::*;
use crate::sim::autopilot::config::Range;
use crate::vehicle::Mode;

pub(super) const LAND: f32 = 9.0;

pub(super) fn copter(seed: u64) -> SimConfig {
    SimConfig::new(Dialect::ArduPilot, seed)
}

fn without_range() -> SimConfig {
    SimConfig {
        range: None,
        ..copter(1)
    }
}

fn turned(degrees: f64) -> SimConfig {
    SimConfig {
        yaw_rad: degrees.to_radians(),
        ..copter(1)
    }
}

fn windy() -> SimConfig {
    let mut config = copter(1);
    config.wind.speed_m_s = 6.0;
    config.wind.from_rad = 1.0;
    config
}

pub(super) fn at(north: f64, east: f64) -> Vec3<Ned> {
    Vec3::new(north, east, 0.0)
}

#[test]
fn nothing_sent_lands_where_it_is() {
    Stream::silent()
        .fly(&mut Bench::new(copter(1)), LAND, 0.0)
        .landed_off(4.9, 5.1);
}

#[rstest]
#[case::hz_3(copter(1), 3.0, at(5.0, 0.0))]
#[case::hz_5(copter(2), 5.0, at(5.0, 0.0))]
#[case::hz_10(copter(3), 10.0, at(5.0, 0.0))]
#[case::hz_25(copter(4), 25.0, at(5.0, 0.0))]
#[case::yaw_90(turned(90.0), 10.0, at(5.0, 0.0))]
#[case::far_12_m(copter(1), 10.0, at(12.0, 0.0))]
#[case::diagonal(copter(1), 10.0, at(-4.0, 4.0))]
#[case::wind_6(windy(), 10.0, at(5.0, 0.0))]
#[case::no_rangefinder(without_range(), 10.0, at(5.0, 0.0))]
fn position_valid_body_frd_distance_norm(
    #[case] config: SimConfig,
    #[case] hz: f64,
    #[case] target: Vec3<Ned>,
) {
    let mut bench = Bench::new(config);
    let stream = Stream {
        hz,
        target,
        ..Stream::new(POSITION)
    };
    stream.fly(&mut bench, LAND, 0.0).landed_off(0.0, 0.1);
    assert_eq!(
        bench.texts(),
        ["PrecLand: Target Found", "PrecLand: Init Complete"]
    );
}

#[rstest]
#[case::with_distance(copter(1), true)]
#[case::with_distance_yaw_90(turned(90.0), true)]
#[case::with_distance_wind(windy(), true)]
#[case::with_distance_no_rangefinder(without_range(), true)]
#[case::without_distance_rangefinder(copter(1), false)]
fn angles_body_frd(#[case] config: SimConfig, #[case] distance: bool) {
    let form = Form::Angles {
        frame: BODY_FRD,
        distance,
    };
    Stream::new(form)
        .fly(&mut Bench::new(config), LAND, 0.0)
        .landed_off(0.0, 0.1);
}

#[rstest]
#[case::angles_distance_0_no_rangefinder(without_range(), Form::Angles { frame: BODY_FRD, distance: false }, 0)]
#[case::position_distance_0(copter(1), Form::Position { frame: BODY_FRD, distance: false }, 0)]
#[case::local_ned(copter(1), LOCAL, 1)]
#[case::body_ned(copter(1), Form::Position { frame: BODY_NED, distance: true }, 1)]
#[case::angles_frame_0(copter(1), Form::Angles { frame: 0, distance: true }, 1)]
#[case::angles_frame_1(copter(1), Form::Angles { frame: LOCAL_NED, distance: true }, 1)]
#[case::angles_frame_8(copter(1), Form::Angles { frame: BODY_NED, distance: true }, 1)]
fn ignored_forms_land_where_it_is_and_are_acknowledged_all_the_same(
    #[case] config: SimConfig,
    #[case] form: Form,
    #[case] texts: usize,
) {
    let mut bench = Bench::new(config);
    Stream::new(form)
        .fly(&mut bench, LAND, 0.0)
        .landed_off(4.9, 5.1);
    // The frame is complained about once per boot; nothing else is said.
    assert_eq!(bench.texts(), vec!["Plnd: Frame not supported"; texts]);
    let accepted = m::MavResult::MAV_RESULT_ACCEPTED;
    assert_eq!(bench.last_ack().unwrap().1, accepted);
}

#[test]
fn local_frd_is_right_at_yaw_0() {
    let form = Form::Position {
        frame: LOCAL_FRD,
        distance: true,
    };
    Stream::new(form)
        .fly(&mut Bench::new(turned(0.0)), LAND, 0.0)
        .landed_off(0.0, 0.3);
}

#[rstest]
#[case::yaw_45(45.0)]
#[case::yaw_90(90.0)]
fn local_frd_flies_away_and_never_lands(#[case] yaw: f64) {
    let form = Form::Position {
        frame: LOCAL_FRD,
        distance: true,
    };
    let stream = Stream {
        longest_s: 240.0,
        ..Stream::new(form)
    };
    let mut bench = Bench::new(turned(yaw));
    let flown = stream.fly(&mut bench, LAND, 0.0);
    assert!(
        flown.touchdown.is_none() && bench.truth().is_armed,
        "landed"
    );
    assert!(flown.furthest_m > 20.0, "only {} m away", flown.furthest_m);
}

#[test]
fn hz_2_works_after_one_init_failed() {
    let mut bench = Bench::new(copter(1));
    let stream = Stream {
        hz: 2.0,
        late_s: 0.02,
        ..Stream::new(POSITION)
    };
    stream.fly(&mut bench, LAND, 0.0).landed_off(0.0, 0.15);
    let failures = bench
        .texts()
        .into_iter()
        .filter(|t| *t == "PrecLand: Init Failed");
    assert_eq!(failures.count(), 1);
    assert!(bench.has_said("PrecLand: Init Complete"));
}

#[test]
fn hz_1_never_initialises() {
    let mut bench = Bench::new(copter(1));
    let stream = Stream {
        hz: 1.0,
        ..Stream::new(POSITION)
    };
    stream.fly(&mut bench, LAND, 0.0).landed_off(4.9, 5.1);
    assert!(!bench.has_said("PrecLand: Init Complete"));
}

#[rstest]
#[case::boot_clock(|t| (t * 1e6) as u64)]
#[case::wall_clock(|t| 1_764_000_000_000_000 + (t * 1e6) as u64)]
fn any_time_usec_is_fine(#[case] stamp: fn(f64) -> u64) {
    let stream = Stream {
        stamp,
        ..Stream::new(POSITION)
    };
    stream
        .fly(&mut Bench::new(copter(1)), LAND, 0.0)
        .landed_off(0.0, 0.1);
}

#[rstest]
#[case::ms_200(20)]
#[case::ms_500(50)]
fn a_constant_delay_is_borne(#[case] delay: usize) {
    let stream = Stream {
        delay,
        ..Stream::new(POSITION)
    };
    stream
        .fly(&mut Bench::new(copter(1)), LAND, 0.0)
        .landed_off(0.0, 0.15);
}

#[test]
fn stream_stops_at_6_m_it_waits_retries_and_lands_anyway() {
    let mut bench = Bench::new(copter(1));
    let stream = Stream {
        stop_below_m: 6.0,
        ..Stream::new(POSITION)
    };
    stream.fly(&mut bench, LAND, 0.0).landed_off(0.0, 0.15);
    assert_eq!(
        bench.texts(),
        [
            "PrecLand: Target Found",
            "PrecLand: Init Complete",
            "PrecLand: Target Lost",
            "PrecLand: Retrying",
            "PrecLand: Retry Completed",
            "PrecLand: Failsafe Measures",
        ]
    );
    let waits = bench.seconds_between("PrecLand: Target Lost", "PrecLand: Retrying");
    assert!((3.9..4.2).contains(&waits), "waits {waits} s");
}

#[test]
fn stream_stops_at_1_m_it_lands() {
    let mut bench = Bench::new(copter(1));
    let stream = Stream {
        stop_below_m: 1.0,
        ..Stream::new(POSITION)
    };
    stream.fly(&mut bench, LAND, 0.0).landed_off(0.0, 0.15);
    assert!(!bench.has_said("PrecLand: Retrying"));
}

#[test]
fn no_descent_until_within_2_5_m() {
    let mut bench = Bench::new(copter(1));
    // The filter starts while it is far away; then LAND.
    let target = at(20.0, 0.0);
    for _ in 0..30 {
        let message = POSITION.message(&bench.truth(), target, 0);
        bench.send(&message);
        bench.run(0.1);
    }
    bench.set_mode(LAND, 0.0);
    let start = bench.height();
    while bench.truth().position.horizontal_distance(&target) > 3.0 {
        let message = POSITION.message(&bench.truth(), target, 0);
        bench.send(&message);
        bench.run(0.1);
        assert!((bench.height() - start).abs() < 0.4, "descends on the way");
        assert!(bench.now().as_secs_f64() < 40.0, "never gets there");
    }
}

/// Over the target in the air, with an acquired filter.
fn acquired() -> Bench {
    let mut bench = Bench::new(copter(1));
    for _ in 0..30 {
        let message = POSITION.message(&bench.truth(), at(2.0, 0.0), 0);
        bench.send(&message);
        bench.run(0.1);
    }
    assert_eq!(*bench.texts().last().unwrap(), "PrecLand: Init Complete");
    bench
}

#[test]
fn an_outlier_is_rejected_three_times_and_the_fourth_is_accepted_whatever_it_is() {
    let mut bench = acquired();
    let believed = |b: &Bench| {
        let target = b.autopilot.flight.precland.target(&b.autopilot.estimate);
        target.unwrap().y
    };
    for sample in 1..=4 {
        let message = POSITION.message(&bench.truth(), at(2.0, 15.0), 0);
        bench.send(&message);
        bench.run(0.1);
        if sample <= 3 {
            assert!(believed(&bench).abs() < 1.0, "sample {sample}");
        } else {
            assert!(believed(&bench) > 1.0, "{}", believed(&bench));
        }
    }
}

#[test]
fn a_target_is_lost_after_2_s() {
    let mut bench = acquired();
    bench.run(1.8);
    assert!(!bench.has_said("PrecLand: Target Lost"));
    bench.run(0.4);
    assert_eq!(*bench.texts().last().unwrap(), "PrecLand: Target Lost");
}

#[rstest]
#[case::below_alt_min(0.6)]
#[case::above_alt_max(12.0)]
fn outside_the_range_gates_a_lost_target_stops_nothing(#[case] stop_below_m: f64) {
    let mut bench = Bench::new(copter(1));
    let stream = Stream {
        stop_below_m,
        ..Stream::new(POSITION)
    };
    assert!(stream.fly(&mut bench, LAND, 0.0).touchdown.is_some());
    assert!(!bench.has_said("PrecLand: Retrying"));
}

#[test]
fn a_short_range_sensor_does_not_hinder_the_target_from_above() {
    let config = SimConfig {
        range: Some(Range {
            min_m: 0.2,
            max_m: 8.0,
        }),
        ..copter(1)
    };
    Stream::new(POSITION)
        .fly(&mut Bench::new(config), LAND, 0.0)
        .landed_off(0.0, 0.1);
}

#[test]
fn gusts_move_a_landing_by_decimetres() {
    let mut config = copter(1);
    config.wind.speed_m_s = 8.0;
    config.wind.turbulence = 0.25;
    for seed in 1..=6 {
        config.seed = seed;
        let mut bench = Bench::new(config.clone());
        Stream::new(POSITION)
            .fly(&mut bench, LAND, 0.0)
            .landed_off(0.0, 0.3);
        let mut bench = Bench::new(config.clone());
        Stream::silent()
            .fly(&mut bench, LAND, 0.0)
            .landed_off(4.4, 5.6);
    }
}

#[test]
fn without_plnd_enabled_a_target_means_nothing() {
    let config = SimConfig {
        has_precland: false,
        ..copter(1)
    };
    let mut bench = Bench::new(config);
    Stream::new(POSITION)
        .fly(&mut bench, LAND, 0.0)
        .landed_off(4.9, 5.1);
    assert!(bench.texts().is_empty());
}

#[test]
#[expect(deprecated, reason = "both autopilots still obey it")]
fn the_old_set_mode_works_too() {
    let mut bench = Bench::new(copter(1));
    bench.send(&m::SET_MODE_DATA {
        custom_mode: 17,
        target_system: 1,
        base_mode: m::MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED,
    });
    assert_eq!(bench.truth().mode, Mode::Hold);
}
