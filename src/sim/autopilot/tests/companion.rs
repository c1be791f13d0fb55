//! What the companion's own decoder makes of the simulated autopilot: both sides must agree on every field.

use rstest::rstest;

use super::*;
use crate::autopilot::decode::{Problem, Telemetry, TelemetryConfig, Upheaval};
use crate::sim::autopilot::Noise;
use crate::vehicle::{HeightSource, LandedState, Mode};

/// The bench with the companion's decoder beside it, at a tick of 50 ms.
struct Pair {
    bench: Bench,
    telemetry: Telemetry,
    upheavals: Vec<Upheaval>,
}

impl Pair {
    fn new(config: SimConfig) -> Self {
        let mut bench = Bench::new(config);
        for id in [31, 32, 33, 65, 132, 147, 49, 168, 193, 242, 245, 0] {
            bench.ask_for(id as f32, 10.0);
        }
        bench.received.clear();
        Self {
            bench,
            telemetry: Telemetry::new(TelemetryConfig::default()),
            upheavals: Vec::new(),
        }
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 20.0) as usize {
            self.bench.run(0.05);
            let now = self.bench.now();
            let question = self.telemetry.timesync_request(now);
            self.bench.send(&question);
            for message in std::mem::take(&mut self.bench.received) {
                let taken = self.telemetry.take(&FROM_AUTOPILOT, &message, now);
                self.upheavals.extend(taken.upheaval);
                if let Some(reply) = taken.reply {
                    self.bench.send(&reply);
                }
            }
        }
    }
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot)]
#[case::px4(Dialect::Px4)]
fn the_decoder_reads_what_is_the_case(#[case] dialect: Dialect) {
    let mut config = SimConfig::new(dialect, 3);
    config.noise = Noise::outdoors(dialect);
    config.wind.speed_m_s = 6.0;
    config.wind.turbulence = 0.2;
    config.yaw_rad = 2.0;
    config.start = Vec3::new(10.0, -6.0, -25.0);
    let mut pair = Pair::new(config);
    pair.run(10.0);
    let truth = pair.bench.truth();
    let now = pair.bench.now();
    let state = pair.telemetry.state();
    let pose = pair.telemetry.history().pose_at(now, now).unwrap();
    let believed = truth.position + truth.estimate_error;
    assert!(
        (pose.position - believed).norm() < 0.3,
        "{pose:?} {believed:?}"
    );
    assert!(pose.ned_from_frd.angle_to(&truth.ned_from_frd) < 0.03);
    let height = pose.height_above_ground;
    assert_eq!(height.source, HeightSource::RangeSensor);
    assert!(
        (height.metres + truth.position.down()).abs() < 0.6,
        "{height:?}"
    );
    let mode = state.mode.unwrap().value;
    assert_eq!(
        (mode.mode, mode.is_armed, mode.is_failsafe),
        (truth.mode, true, false)
    );
    assert_eq!(state.landed.unwrap().value, LandedState::InAir);
    let charge = state.battery.unwrap().value.remaining.unwrap();
    assert!((charge - truth.battery).abs() < 0.01);
    assert!(state.estimator.unwrap().value.is_position_good);
    assert_eq!(state.rc.unwrap().value.us[..4], [Some(1500); 4]);
    assert!((state.wind_m_s.unwrap().value - 6.0).abs() < 1e-3);
    let home = state.home.unwrap().value;
    assert!(home.horizontal_distance(&Vec3::new(10.0, -6.0, 0.0)) < 1.5);
    let origin = pair.bench.autopilot.config().origin;
    assert!((state.origin.unwrap().value.latitude_deg - origin.latitude_deg).abs() < 1e-6);
    for problem in Problem::ALL {
        let most = match problem {
            // The first reading has no neighbour that speaks for it.
            Problem::ImplausibleRange => 1,
            // Two heights of one moment, by the range sensor and by the altitude.
            Problem::Duplicate => 200,
            _ => 0,
        };
        let count = pair.telemetry.counts().of(problem);
        assert!(count <= most, "{count}: {problem}");
    }
    assert!(pair.upheavals.is_empty());
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot)]
#[case::px4(Dialect::Px4)]
fn a_landing_is_seen_to_the_end_and_no_reading_is_doubted(#[case] dialect: Dialect) {
    let mut pair = Pair::new(SimConfig::new(dialect, 4));
    pair.run(2.0);
    pair.bench.command(m::MavCmd::MAV_CMD_NAV_LAND, [0.0; 3]);
    pair.run(45.0);
    let state = pair.telemetry.state();
    assert_eq!(state.mode.unwrap().value.mode, Mode::Land);
    assert!(!state.mode.unwrap().value.is_armed);
    assert_eq!(state.landed.unwrap().value, LandedState::OnGround);
    assert!(pair.telemetry.counts().of(Problem::ImplausibleRange) <= 1);
    assert!(pair.upheavals.is_empty());
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot)]
#[case::px4(Dialect::Px4)]
fn jumps_other_origins_and_reboots_are_upheavals(#[case] dialect: Dialect) {
    let mut pair = Pair::new(SimConfig::new(dialect, 5));
    pair.run(5.0);
    pair.bench.autopilot.jump_gps(Vec3::new(0.0, 12.0, 0.0));
    pair.run(2.0);
    assert!(
        matches!(pair.upheavals[..], [Upheaval::Jumped(_)]),
        "{:?}",
        pair.upheavals
    );
    pair.upheavals.clear();
    pair.bench.autopilot.move_origin(Vec3::new(30.0, 0.0, 0.0));
    pair.run(2.0);
    assert!(
        pair.upheavals.contains(&Upheaval::OriginMoved),
        "{:?}",
        pair.upheavals
    );
    pair.upheavals.clear();
    pair.bench.autopilot.reboot();
    pair.run(3.0);
    pair.bench
        .ask_for(m::LOCAL_POSITION_NED_DATA::ID as f32, 10.0);
    pair.run(2.0);
    assert!(
        pair.upheavals.contains(&Upheaval::Restarted),
        "{:?}",
        pair.upheavals
    );
    assert_eq!(pair.telemetry.state().epoch, 3);
}
