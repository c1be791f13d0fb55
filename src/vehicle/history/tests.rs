use super::*;
use crate::vehicle::{HeightSource, Refusal};
use proptest::prelude::*;
use rstest::rstest;

fn at(secs: f64) -> MonoTime {
    MonoTime::from_secs_f64(secs)
}

fn attitude(secs: f64, yaw: f64) -> AttitudeSample {
    AttitudeSample {
        at: at(secs),
        ned_from_frd: Rotation::from_roll_pitch_yaw(0.0, 0.0, yaw),
        rate_rad_s: Vec3::zero(),
        sd_rad: 0.01,
    }
}

fn position(secs: f64, north: f64, speed: f64) -> PositionSample {
    PositionSample {
        at: at(secs),
        position: Vec3::new(north, 0.0, -20.0),
        velocity_m_s: Vec3::new(speed, 0.0, 0.0),
        sd_m: 0.5,
    }
}

fn height(secs: f64, metres: f64) -> HeightSample {
    HeightSample {
        at: at(secs),
        height: HeightAboveGround {
            metres,
            sd_m: 0.1,
            source: HeightSource::RangeSensor,
        },
    }
}

/// Half a second of flight north at 4 m/s, turning at 1 rad/s, sinking at 2 m/s, sampled at 10 Hz.
fn flight() -> VehicleHistory {
    let mut h = VehicleHistory::new(HistoryLimits::default(), 32);
    for i in 0..=5 {
        let t = f64::from(i) * 0.1;
        let mut a = attitude(t, t);
        a.rate_rad_s = Vec3::new(0.0, 0.0, 1.0);
        let mut p = position(t, 4.0 * t, 4.0);
        p.velocity_m_s = Vec3::new(4.0, 0.0, 2.0);
        p.position = Vec3::new(4.0 * t, 0.0, -20.0 + 2.0 * t);
        assert_eq!(h.push_attitude(a, at(t)), Intake::Accepted);
        assert_eq!(h.push_position(p, at(t)), Intake::Accepted);
        assert_eq!(
            h.push_height(height(t, 20.0 - 2.0 * t), at(t)),
            Intake::Accepted
        );
    }
    h
}

#[rstest]
#[case::on_a_sample(0.2)]
#[case::between_samples(0.23)]
#[case::half_way(0.25)]
#[case::after_the_newest(0.6)]
fn the_pose_follows_the_flight(#[case] t: f64) {
    let pose = flight().pose_at(at(t), at(0.6)).unwrap();
    assert_eq!(pose.at, at(t));
    assert!((pose.position - Vec3::new(4.0 * t, 0.0, -20.0 + 2.0 * t)).norm() < 1e-9);
    let (_, _, yaw) = pose.ned_from_frd.roll_pitch_yaw();
    assert!((yaw - t).abs() < 1e-9);
    assert!((pose.height_above_ground.metres - (20.0 - 2.0 * t)).abs() < 1e-9);
    assert_eq!(pose.height_above_ground.source, HeightSource::RangeSensor);
}

#[test]
fn doubt_grows_with_the_gap_times_the_speed() {
    let h = flight();
    let on = h.pose_at(at(0.2), at(0.6)).unwrap();
    assert!((on.position_sd_m - 0.5).abs() < 1e-12 && (on.attitude_sd_rad - 0.01).abs() < 1e-12);
    assert!((on.height_above_ground.sd_m - 0.1).abs() < 1e-12);
    // 0.1 s after the newest, by hand: 0.1 s x sqrt(20) m/s, 0.1 s x 1 rad/s, 0.1 s x 2 m/s.
    let after = h.pose_at(at(0.6), at(0.6)).unwrap();
    assert!((after.position_sd_m - (0.25 + 0.01 * 20.0_f64).sqrt()).abs() < 1e-9);
    assert!((after.attitude_sd_rad - (0.0001 + 0.01_f64).sqrt()).abs() < 1e-9);
    assert!((after.height_above_ground.sd_m - (0.01 + 0.04_f64).sqrt()).abs() < 1e-9);
    let middle = h.pose_at(at(0.25), at(0.6)).unwrap();
    assert!(on.position_sd_m < middle.position_sd_m && middle.position_sd_m < after.position_sd_m);
}

#[test]
fn a_silent_stream_is_named_with_its_age_and_limit() {
    let mut h = VehicleHistory::new(HistoryLimits::default(), 8);
    let missing = |h: &VehicleHistory| h.pose_at(at(1.0), at(1.0)).unwrap_err();
    let never = |stream| PoseUnavailable::NeverReceived { stream };
    assert_eq!(missing(&h), never(Stream::Attitude));
    h.push_attitude(attitude(1.0, 0.0), at(1.0));
    assert_eq!(missing(&h), never(Stream::Position));
    h.push_position(position(1.0, 0.0, 0.0), at(1.0));
    assert_eq!(missing(&h), never(Stream::Height));
    h.push_height(height(1.0, 10.0), at(1.0));
    assert!(h.pose_at(at(1.0), at(1.0)).is_ok());
}

#[rstest]
#[case::attitude_first(1.0, Stream::Attitude, 0.3)]
#[case::then_position(1.2, Stream::Position, 0.6)]
#[case::then_height(2.2, Stream::Height, 1.5)]
fn each_stream_has_its_own_age_limit(
    #[case] now: f64,
    #[case] expected: Stream,
    #[case] limit: f64,
) {
    let mut h = flight();
    // Keep alive what comes before the expected stream.
    if expected != Stream::Attitude {
        h.push_attitude(attitude(now, 0.0), at(now));
    }
    if expected == Stream::Height {
        h.push_position(position(now, 0.0, 4.0), at(now));
    }
    match h.pose_at(at(now), at(now)).unwrap_err() {
        PoseUnavailable::Stale {
            stream,
            age_s,
            limit_s,
        } => {
            assert_eq!(stream, expected);
            assert!((age_s - (now - 0.5)).abs() < 1e-6);
            assert!((limit_s - limit).abs() < 1e-9);
        }
        other => panic!("{other}"),
    }
    let text = h.pose_at(at(now), at(now)).unwrap_err().to_string();
    assert!(text.contains(&expected.to_string()) && text.contains(&format!("{limit:.2} s")));
}

#[test]
fn an_old_frame_of_a_live_vehicle_still_has_its_pose() {
    // The frame waited in a queue: its age does not matter here, only that samples surround its moment.
    let h = flight();
    assert!(h.pose_at(at(0.05), at(0.6)).is_ok());
}

#[test]
fn a_moment_far_from_every_sample_is_refused() {
    let mut h = flight();
    let before = h.pose_at(at(-1.0), at(0.6)).unwrap_err();
    assert!(
        matches!(
            before,
            PoseUnavailable::Gap {
                stream: Stream::Attitude,
                ..
            }
        ),
        "{before}"
    );
    // Extrapolation ends at 0.2 s though an attitude may be 0.3 s old.
    let after = h.pose_at(at(0.75), at(0.75)).unwrap_err();
    assert!(
        matches!(
            after,
            PoseUnavailable::Gap {
                stream: Stream::Attitude,
                ..
            }
        ),
        "{after}"
    );
    // A hole of two seconds is not bridged, though the stream is alive again.
    h.push_attitude(attitude(2.5, 0.0), at(2.5));
    h.push_position(position(2.5, 8.0, 4.0), at(2.5));
    h.push_height(height(2.5, 15.0), at(2.5));
    match h.pose_at(at(1.5), at(2.5)).unwrap_err() {
        PoseUnavailable::Gap {
            stream,
            gap_s,
            limit_s,
        } => {
            assert_eq!(stream, Stream::Attitude);
            assert!((gap_s - 1.0).abs() < 1e-9 && (limit_s - 0.3).abs() < 1e-9);
        }
        other => panic!("{other}"),
    }
    assert!(h.pose_at(at(2.5), at(2.5)).is_ok());
}

#[test]
fn a_frame_from_the_future_has_no_pose() {
    let error = flight().pose_at(at(0.6), at(0.55)).unwrap_err();
    assert!(
        matches!(error, PoseUnavailable::InFuture { ahead_s } if (ahead_s - 0.05).abs() < 1e-9)
    );
}

#[test]
fn late_double_and_wild_stamps_are_dropped_and_counted() {
    let mut h = flight();
    let now = at(0.6);
    let late = h.push_height(height(0.35, 1.0), now);
    assert_eq!(late, Intake::Refused(Refusal::OutOfOrder));
    let double = h.push_height(height(0.5, 1.0), now);
    assert_eq!(double, Intake::Refused(Refusal::Duplicate));
    let wild = h.push_height(height(1e6, 1.0), now);
    assert_eq!(wild, Intake::Refused(Refusal::InFuture));
    // A wild stamp must not shut out the good ones after it.
    assert_eq!(h.push_height(height(0.6, 18.8), now), Intake::Accepted);
    let c = h.counts(Stream::Height);
    assert_eq!(
        (c.accepted, c.out_of_order, c.duplicate, c.in_future),
        (7, 1, 1, 1)
    );
    let metres = h.pose_at(at(0.4), now).unwrap().height_above_ground.metres;
    assert!((metres - 19.2).abs() < 1e-9);
}

#[test]
fn numbers_that_are_none_are_refused_and_counted() {
    let mut h = flight();
    let now = at(0.6);
    for bad in [f64::NAN, f64::INFINITY] {
        let mut a = attitude(0.6, bad);
        assert_eq!(h.push_attitude(a, now), Intake::Refused(Refusal::NotUsable));
        a = attitude(0.6, 0.0);
        a.sd_rad = bad;
        assert_eq!(h.push_attitude(a, now), Intake::Refused(Refusal::NotUsable));
        let p = position(0.6, bad, 0.0);
        assert_eq!(h.push_position(p, now), Intake::Refused(Refusal::NotUsable));
        let p = position(0.6, 0.0, bad);
        assert_eq!(h.push_position(p, now), Intake::Refused(Refusal::NotUsable));
        let s = height(0.6, bad);
        assert_eq!(h.push_height(s, now), Intake::Refused(Refusal::NotUsable));
    }
    let mut s = height(0.6, 5.0);
    s.height.sd_m = -0.1;
    assert_eq!(h.push_height(s, now), Intake::Refused(Refusal::NotUsable));
    assert_eq!(h.counts(Stream::Attitude).not_usable, 4);
    assert_eq!(h.counts(Stream::Position).not_usable, 4);
    assert_eq!(h.counts(Stream::Height).not_usable, 3);
    assert!(h.pose_at(at(0.55), now).unwrap().position.is_finite());
}

#[test]
fn a_jump_is_reported_and_never_interpolated_across() {
    let mut h = flight();
    // By hand: 3 sqrt(0.25 + 0.25) + 0.1 s x sqrt(20) m/s = 2.57 m are allowed.
    let intake = h.push_position(position(0.6, 50.0, 4.0), at(0.6));
    let Intake::Jump(jump) = intake else {
        panic!("{intake:?}")
    };
    assert!((jump.allowed_m - 2.5685).abs() < 1e-3, "{jump:?}");
    assert!((jump.distance_m - 48.01).abs() < 0.05, "{jump:?}");
    let now = at(0.6);
    let on = h.pose_at(now, now).unwrap();
    assert!((on.position.north() - 50.0).abs() < 1e-9);
    // Just before the jump the new position is carried back at its own speed; farther back there is none.
    let before = h.pose_at(at(0.55), now).unwrap();
    assert!((before.position.north() - 49.8).abs() < 1e-9);
    let long_before = h.pose_at(at(0.35), now).unwrap_err();
    assert!(matches!(
        long_before,
        PoseUnavailable::Gap {
            stream: Stream::Position,
            ..
        }
    ));
}

#[rstest]
#[case::steady(0.2, 4.0, false)]
#[case::gust(2.4, 4.0, false)]
#[case::reset(5.0, 4.0, true)]
#[case::fast_enough(5.0, 40.0, false)]
fn only_unexplained_moves_are_jumps(#[case] step: f64, #[case] speed: f64, #[case] jumps: bool) {
    let mut h = VehicleHistory::new(HistoryLimits::default(), 8);
    h.push_position(position(0.0, 0.0, speed), at(0.0));
    let intake = h.push_position(position(0.1, step, speed), at(0.1));
    assert_eq!(matches!(intake, Intake::Jump(_)), jumps, "{intake:?}");
}

#[test]
fn a_jump_in_height_over_the_origin_is_a_jump_too() {
    let mut h = flight();
    let mut p = position(0.6, 2.4, 4.0);
    p.position = Vec3::new(2.4, 0.0, 30.0);
    assert!(matches!(h.push_position(p, at(0.6)), Intake::Jump(_)));
}

#[test]
fn a_reset_forgets_all_samples_and_takes_older_stamps_again() {
    let mut h = flight();
    h.reset();
    let error = h.pose_at(at(0.5), at(0.6)).unwrap_err();
    assert_eq!(
        error,
        PoseUnavailable::NeverReceived {
            stream: Stream::Attitude
        }
    );
    assert_eq!(h.push_height(height(0.1, 3.0), at(0.6)), Intake::Accepted);
    assert_eq!(h.counts(Stream::Height).accepted, 7);
}

#[test]
fn heights_of_two_sources_are_not_mixed() {
    let mut h = flight();
    let mut barometer = height(0.6, 40.0);
    barometer.height.source = HeightSource::RelativeAltitude;
    h.push_height(barometer, at(0.6));
    h.push_attitude(attitude(0.6, 0.6), at(0.6));
    let near_old = h.pose_at(at(0.54), at(0.6)).unwrap().height_above_ground;
    assert_eq!(near_old.source, HeightSource::RangeSensor);
    assert!((near_old.metres - 18.92).abs() < 1e-9, "{near_old:?}");
    let near_new = h.pose_at(at(0.56), at(0.6)).unwrap().height_above_ground;
    assert_eq!(near_new.source, HeightSource::RelativeAltitude);
    assert!((near_new.metres - 40.08).abs() < 1e-9, "{near_new:?}");
}

#[test]
fn memory_is_taken_once() {
    let mut h = VehicleHistory::new(HistoryLimits::default(), 16);
    let before = (
        h.attitude.allocated(),
        h.position.allocated(),
        h.height.allocated(),
    );
    for i in 0..1000 {
        let t = f64::from(i) * 0.1;
        h.push_attitude(attitude(t, 0.0), at(t));
        h.push_position(position(t, 0.0, 0.0), at(t));
        h.push_height(height(t, 10.0), at(t));
    }
    assert_eq!(
        before,
        (
            h.attitude.allocated(),
            h.position.allocated(),
            h.height.allocated()
        )
    );
    // 16 samples, 1.5 s back from the newest: that far the past is known.
    assert!(h.pose_at(at(98.5), at(99.9)).is_ok());
    assert!(h.pose_at(at(98.0), at(99.9)).is_err());
}

proptest! {
    #[test]
    fn every_answer_is_finite_and_every_doubt_at_least_that_of_its_samples(
        steps in prop::collection::vec((1u32..400, -3.0..3.0f64, -10.0..10.0f64), 2..40),
        ask in -0.5..10.0f64,
    ) {
        let mut h = VehicleHistory::new(HistoryLimits::default(), 8);
        let mut t = 0.0;
        for (ms, yaw, north) in steps {
            t += f64::from(ms) / 1000.0;
            h.push_attitude(attitude(t, yaw), at(t));
            h.push_position(position(t, north, 3.0), at(t));
            h.push_height(height(t, 10.0 + north), at(t));
        }
        if let Ok(p) = h.pose_at(at(ask), at(t)) {
            prop_assert!(p.position.is_finite() && p.ned_from_frd.is_finite());
            prop_assert!(p.position_sd_m >= 0.5 && p.attitude_sd_rad >= 0.01);
            prop_assert!(p.height_above_ground.sd_m >= 0.1);
            prop_assert!(ask <= t);
        }
    }

    #[test]
    fn a_pose_between_two_samples_lies_between_them(f in 0.0..1.0f64, yaw in -1.5..1.5f64, north in 0.0..2.0f64) {
        let mut h = VehicleHistory::new(HistoryLimits::default(), 8);
        for (t, k) in [(0.0, 0.0), (0.2, 1.0)] {
            h.push_attitude(attitude(t, k * yaw), at(t));
            h.push_position(position(t, k * north, 1.0), at(t));
            h.push_height(height(t, 10.0 + k), at(t));
        }
        let p = h.pose_at(at(0.2 * f), at(0.2)).unwrap();
        let (_, _, got) = p.ned_from_frd.roll_pitch_yaw();
        prop_assert!((got - f * yaw).abs() < 1e-6);
        prop_assert!((p.position.north() - f * north).abs() < 1e-6);
        prop_assert!((p.height_above_ground.metres - 10.0 - f).abs() < 1e-6);
    }
}
