//! Heights above ground.

use rstest::rstest;

use super::*;

#[test]
fn a_tilted_range_is_a_smaller_height_and_a_lone_spike_is_dropped() {
    let mut t = heard();
    take(&mut t, &attitude(100, 0.4), 100);
    take(&mut t, &range(110, 1000), 110);
    assert!(t.state().height.is_none(), "nothing supports the first");
    take(&mut t, &range(160, 1000), 160);
    let (metres, sd, source) = height(&t);
    assert!((metres - 10.0 * 0.4_f64.cos()).abs() < 1e-6 && sd < 0.3);
    assert_eq!(source, HeightSource::RangeSensor);
    let spike = take(&mut t, &range(210, 100), 210);
    assert!((height(&t).0 - metres).abs() < 1e-9);
    assert_eq!(spike.problem, None);
    assert_eq!(t.counts().of(Problem::ImplausibleRange), 2);
    // A roof: two readings agree.
    take(&mut t, &range(260, 600), 260);
    take(&mut t, &range(310, 600), 310);
    assert!((height(&t).0 - 6.0 * 0.4_f64.cos()).abs() < 1e-6);
}

#[rstest]
#[case::too_near(20, 0.0)]
#[case::nothing_there(4000, 0.0)]
#[case::too_tilted(1000, 0.6)]
fn readings_that_say_nothing_give_no_height(#[case] cm: u16, #[case] roll: f32) {
    let mut t = heard();
    for i in 0..4 {
        take(&mut t, &attitude(100 + i * 50, roll), 100 + i * 50);
        take(&mut t, &range(100 + i * 50, cm), 100 + i * 50);
    }
    assert!(t.state().height.is_none() && t.state().range_m.is_none());
}

#[test]
fn a_range_without_a_fresh_attitude_gives_no_height() {
    let mut t = heard();
    take(&mut t, &attitude(0, 0.0), 0);
    for i in 0..4 {
        take(&mut t, &range(500 + i * 50, 1000), 500 + i * 50);
    }
    assert!(t.state().height.is_none());
}

#[test]
fn the_surest_height_counts_and_relative_altitude_keeps_what_a_range_sensor_taught() {
    let mut t = heard();
    take(&mut t, &position(0, 0.0, -30.0), 0);
    take(&mut t, &relative(10, 30.0), 10);
    assert_eq!(height(&t), (30.0, 5.0, HeightSource::RelativeAltitude));
    let terrain = MavMessage::TERRAIN_REPORT(TERRAIN_REPORT_DATA {
        spacing: 100,
        current_height: 27.0,
        ..TERRAIN_REPORT_DATA::DEFAULT
    });
    take(&mut t, &terrain, 20);
    assert_eq!(height(&t).2, HeightSource::Terrain);
    take(&mut t, &relative(30, 30.0), 30);
    assert_eq!(height(&t).2, HeightSource::Terrain);
    // The ground is 5 m higher than the take-off point.
    for i in 0..3 {
        take(&mut t, &attitude(40 + i * 20, 0.0), 40 + i * 20);
        take(&mut t, &range(40 + i * 20, 2500), 40 + i * 20);
    }
    take(&mut t, &relative(110, 30.0), 110);
    assert_eq!(height(&t).2, HeightSource::RangeSensor);
    // Out of the sensor's reach: the difference is carried along, ever less sure.
    take(&mut t, &relative(1500, 35.0), 1500);
    let (metres, sd, source) = height(&t);
    assert_eq!(source, HeightSource::RelativeAltitude);
    assert!(
        (metres - 30.0).abs() < 0.01 && (0.3..1.0).contains(&sd),
        "{metres} {sd}"
    );
    take(&mut t, &position(20_000, 0.0, -30.0), 20_000);
    take(&mut t, &relative(21_000, 35.0), 21_000);
    let later = height(&t).1;
    assert!(later > sd && later < 5.0);
    take(&mut t, &relative(300_000, 35.0), 300_000);
    assert_eq!(height(&t), (35.0, 5.0, HeightSource::RelativeAltitude));
}

#[test]
fn a_rangefinder_message_counts_when_no_distance_sensor_speaks() {
    let mut t = heard();
    let rangefinder = MavMessage::RANGEFINDER(RANGEFINDER_DATA {
        distance: 8.0,
        ..RANGEFINDER_DATA::DEFAULT
    });
    for i in 0..3 {
        take(&mut t, &attitude(i * 100, 0.0), i * 100);
        take(&mut t, &rangefinder, i * 100);
    }
    assert!((height(&t).0 - 8.0).abs() < 1e-9);
    take(&mut t, &attitude(300, 0.0), 300);
    take(&mut t, &range(300, 4000), 300);
    take(&mut t, &rangefinder, 310);
    assert_eq!(t.state().range_m.unwrap().at, ms(200));
}

#[test]
fn over_a_drawn_plane_only_the_plane_counts() {
    let mut t = Telemetry::new(TelemetryConfig {
        flat_ground_sd_m: Some(0.2),
        ..TelemetryConfig::default()
    });
    t.take(
        &from(1, 1),
        &heartbeat(MavAutopilot::MAV_AUTOPILOT_PX4, 0),
        ms(0),
    );
    for now_ms in (0..1000).step_by(100) {
        for message in [
            attitude(now_ms, 0.0),
            position(now_ms, 3.0, -12.5),
            range(now_ms, 700),
            relative(now_ms, 14.0),
        ] {
            t.take(&from(1, 1), &message, ms(now_ms));
        }
    }
    let height = t.state().height.unwrap().value;
    assert_eq!(height.source, HeightSource::Simulated);
    assert!((height.metres - 12.5).abs() < 1e-6 && (height.sd_m - 0.2).abs() < 1e-12);
    assert!(
        t.state().range_m.is_none(),
        "the sensor sees another ground"
    );
    let pose = t.history().pose_at(ms(850), ms(900)).unwrap();
    assert!((pose.height_above_ground.metres - 12.5).abs() < 1e-6);
}

fn height(t: &Telemetry) -> (f64, f64, HeightSource) {
    let h = t.state().height.unwrap().value;
    (h.metres, h.sd_m, h.source)
}
