//! What can go wrong, and the pilot.

use rstest::rstest;

use super::*;
use crate::sim::autopilot::{BatteryAction, RangeFault, Sticks};
use crate::vehicle::Mode;

fn both(seed: u64) -> [SimConfig; 2] {
    [Dialect::ArduPilot, Dialect::Px4].map(|d| SimConfig::new(d, seed))
}

fn is_heartbeat(m: &m::MavMessage) -> bool {
    matches!(m, m::MavMessage::HEARTBEAT(_))
}

#[test]
fn a_pilots_mode_shows_in_the_heartbeat() {
    for config in both(1) {
        let mut bench = Bench::new(config);
        bench.ask_for(0.0, 10.0);
        bench.autopilot.pilot_sets_mode(Mode::Loiter);
        bench.received.clear();
        bench.run(0.1);
        let shown = bench.received.iter().find_map(|m| match m {
            m::MavMessage::HEARTBEAT(h) => Some(h.custom_mode),
            _ => None,
        });
        assert!(matches!(shown, Some(5 | 0x3_0000)), "{shown:?}");
    }
}

#[test]
fn px4_hands_over_when_a_stick_moves_in_an_automatic_mode() {
    let mut bench = Bench::new(SimConfig::new(Dialect::Px4, 1));
    let mut sticks = Sticks::default();
    sticks.axes_us[0] = 1800;
    bench.autopilot.set_sticks(Some(sticks));
    bench.run(2.0);
    assert_eq!(bench.truth().mode, Mode::Loiter);
    assert!(bench.truth().position.east() > 1.0, "the stick moves it");
}

#[test]
fn a_disarmed_vehicle_falls() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.autopilot.pilot_disarms();
    bench.run(4.0);
    assert!(bench.truth().touchdown.unwrap().speed_m_s > 5.0);
}

#[test]
fn while_silent_it_hears_and_while_cut_it_does_not() {
    for (is_cut, obeys) in [(false, true), (true, false)] {
        let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
        bench.run(0.1);
        bench.received.clear();
        let time = Duration::from_secs(3);
        if is_cut {
            bench.autopilot.cut_link(time);
        } else {
            bench.autopilot.silence(time);
        }
        bench.set_mode(17.0, 0.0);
        bench.run(2.9);
        assert!(bench.received.is_empty());
        assert_eq!(bench.truth().mode == Mode::Hold, obeys);
        bench.run(2.0);
        assert!(bench.count(is_heartbeat) >= 1);
    }
}

#[test]
fn a_reboot_leaves_a_gap_another_boot_time_and_no_streams() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.ask_for(32.0, 20.0);
    bench.run(2.0);
    let boot_ms = |b: &Bench| {
        b.received.iter().rev().find_map(|m| match m {
            m::MavMessage::LOCAL_POSITION_NED(p) => Some(p.time_boot_ms),
            _ => None,
        })
    };
    let before = boot_ms(&bench).unwrap();
    bench.autopilot.reboot();
    bench.received.clear();
    bench.run(1.9);
    assert!(bench.received.is_empty());
    bench.run(2.0);
    assert!(bench.count(is_heartbeat) >= 1 && boot_ms(&bench).is_none());
    assert_eq!(bench.truth().mode, Mode::Other(0));
    bench.ask_for(32.0, 20.0);
    bench.run(0.5);
    assert!(boot_ms(&bench).unwrap() < before);
    assert!(bench.truth().is_armed && bench.height() > 15.0);
}

#[test]
fn a_gps_jump_moves_the_estimate_and_not_the_vehicle() {
    for config in both(2) {
        let mut bench = Bench::new(config);
        bench.run(3.0);
        let (place, error) = (bench.truth().position, bench.truth().estimate_error);
        bench.autopilot.jump_gps(Vec3::new(8.0, 0.0, 0.0));
        bench.run(5.0);
        assert!(bench.truth().position.horizontal_distance(&place) < 0.5);
        let jumped = bench.truth().estimate_error - error;
        assert!((jumped.x() - 8.0).abs() < 0.3);
    }
}

#[test]
fn another_origin_is_announced_and_moves_the_estimate() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 2));
    bench.run(1.0);
    bench.received.clear();
    bench.autopilot.move_origin(Vec3::new(100.0, 0.0, 0.0));
    bench.run(0.1);
    let said = bench.received.iter().find_map(|m| match m {
        m::MavMessage::GPS_GLOBAL_ORIGIN(o) => Some(f64::from(o.latitude) * 1e-7),
        _ => None,
    });
    let before = bench.autopilot.config().origin.latitude_deg;
    assert!(said.unwrap() > before + 0.0008);
    assert!((bench.truth().estimate_error.x() + 100.0).abs() < 0.2);
}

#[rstest]
#[case::silent(RangeFault::Silent)]
#[case::stuck(RangeFault::Stuck)]
fn a_range_sensor_fails_for_a_while(#[case] fault: RangeFault) {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.ask_for(132.0, 20.0);
    bench.run(1.0);
    bench.autopilot.fail_range(fault, Duration::from_secs(5));
    bench.set_mode(9.0, 0.0);
    bench.run(0.2);
    bench.received.clear();
    bench.run(4.0);
    let all: Vec<u16> = bench
        .received
        .iter()
        .filter_map(|m| match m {
            m::MavMessage::DISTANCE_SENSOR(d) => Some(d.current_distance),
            _ => None,
        })
        .collect();
    match fault {
        RangeFault::Silent => assert!(all.is_empty()),
        RangeFault::Stuck => assert!(all.len() > 50 && all.iter().all(|d| *d == all[0])),
    }
    bench.received.clear();
    bench.run(2.0);
    assert!(bench.count(|m| matches!(m, m::MavMessage::DISTANCE_SENSOR(_))) > 10);
}

#[rstest]
#[case::warn(BatteryAction::Warn, Mode::Guided)]
#[case::land(BatteryAction::Land, Mode::Land)]
#[case::go_home(BatteryAction::Return, Mode::Rtl)]
fn a_low_battery_acts_as_configured(#[case] battery_action: BatteryAction, #[case] then: Mode) {
    let mut bench = Bench::new(SimConfig {
        battery_action,
        ..SimConfig::new(Dialect::ArduPilot, 1)
    });
    bench.ask_for(0.0, 10.0);
    bench.ask_for(1.0, 10.0);
    bench.run(1.0);
    bench.autopilot.set_battery(0.15);
    bench.received.clear();
    bench.run(0.5);
    assert_eq!(bench.truth().mode, then);
    let critical = m::MavState::MAV_STATE_CRITICAL;
    let shows =
        bench.count(|m| matches!(m, m::MavMessage::HEARTBEAT(h) if h.system_status == critical));
    assert_eq!(shows > 0, then != Mode::Guided);
    assert!(
        bench.count(|m| matches!(m, m::MavMessage::SYS_STATUS(s) if s.battery_remaining == 15)) > 0
    );
}

#[test]
fn only_ardupilots_texts_reach_the_companion() {
    for (config, texts) in both(1).into_iter().zip([1, 0]) {
        let mut bench = Bench::new(config);
        bench.autopilot.set_battery(0.1);
        bench.run(1.0);
        assert_eq!(bench.texts().len(), texts);
    }
}

#[test]
fn a_gust_pushes_it_and_it_comes_back() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.run(3.0);
    bench
        .autopilot
        .gust(Vec3::new(0.0, 10.0, 0.0), Duration::from_secs(3));
    let mut pushed = 0.0f64;
    for _ in 0..300 {
        bench.tick();
        pushed = pushed.max(bench.truth().position.east());
    }
    assert!((0.1..4.0).contains(&pushed), "{pushed} m");
    bench.run(12.0);
    assert!(bench.truth().position.norm() < 20.3);
    assert!(bench.truth().position.east().abs() < 0.2);
}

#[test]
fn outdoors_the_estimate_wanders_slowly() {
    use crate::sim::autopilot::Noise;
    let mut all = Vec::new();
    for seed in 1..=30 {
        let mut config = SimConfig::new(Dialect::ArduPilot, seed);
        config.noise = Noise::outdoors(Dialect::ArduPilot);
        let mut bench = Bench::new(config);
        bench.run(0.1);
        let first = bench.truth().estimate_error;
        bench.run(1.0);
        let step = (bench.truth().estimate_error - first).norm();
        assert!(step < 0.12, "{step} m in a second");
        bench.run(40.0);
        all.push((bench.truth().estimate_error - first).x());
    }
    let sd = (all.iter().map(|x| x * x).sum::<f64>() / 30.0).sqrt();
    assert!((0.1..0.6).contains(&sd), "{sd}");
}
