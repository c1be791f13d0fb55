//! What the companion's own encoder sends is what each autopilot obeys: a whole landing with its messages alone.

use rstest::rstest;

use super::*;
use crate::autopilot::commands::{Command, Setpoint, TargetSample};
use crate::autopilot::decode::{Telemetry, TelemetryConfig};
use crate::autopilot::encode::{Scene, encode};
use crate::vehicle::Mode;

/// The bench, decoder and encoder, at a tick of 50 ms.
struct Loop {
    bench: Bench,
    telemetry: Telemetry,
}

impl Loop {
    fn new(config: SimConfig) -> Self {
        let mut bench = Bench::new(config);
        for id in [31, 32, 33, 132, 0] {
            bench.ask_for(id as f32, 20.0);
        }
        Self {
            bench,
            telemetry: Telemetry::new(TelemetryConfig::default()),
        }
    }

    /// Sends each command at each tick for a while, or until the motors stop.
    fn run(&mut self, commands: &[Command], seconds: f64) {
        for _ in 0..(seconds * 20.0) as usize {
            self.bench.run(0.05);
            let now = self.bench.now();
            for message in std::mem::take(&mut self.bench.received) {
                let reply = self.telemetry.take(&FROM_AUTOPILOT, &message, now).reply;
                if let Some(reply) = reply {
                    self.bench.send(&reply);
                }
            }
            let pose = self.telemetry.history().pose_at(now, now).ok();
            let scene = Scene {
                kind: self.telemetry.state().kind,
                system_id: 1,
                pose: pose.as_ref(),
                now,
                text_id: 1,
            };
            let mut bytes = Vec::new();
            for command in commands {
                let _ = encode(command, &scene, |message| {
                    mavlink::write_v2_msg(&mut bytes, FROM_AUTOPILOT, message).unwrap();
                });
            }
            self.bench.autopilot.receive(&bytes, now);
            self.bench.collect();
            if !self.bench.truth().is_armed {
                break;
            }
        }
    }
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot, Mode::Land, 0.15)]
#[case::px4(Dialect::Px4, Mode::PrecLand, 0.7)]
fn guided_over_the_site_then_a_landing_on_the_target(
    #[case] dialect: Dialect,
    #[case] landing: Mode,
    #[case] most_m: f64,
) {
    for seed in 1..=5 {
        let mut config = SimConfig::new(dialect, seed);
        config.yaw_rad = 0.8;
        config.wind.speed_m_s = 5.0;
        config.wind.turbulence = 0.1;
        let mut all = Loop::new(config);
        let go = Command::GoTo(Setpoint {
            position: Vec3::new(8.0, -5.0, -10.0),
            yaw_rad: Some(1.0),
        });
        let target = Command::Target(TargetSample {
            position: Vec3::new(8.0, -5.0, 0.0),
        });
        all.run(&[go], 2.0);
        all.run(&[Command::SetMode(Mode::Guided), go], 15.0);
        let truth = all.bench.truth();
        assert_eq!(truth.mode, Mode::Guided);
        assert!((truth.position.down() + 10.0).abs() < 0.6);
        let (_, _, yaw) = truth.ned_from_frd.roll_pitch_yaw();
        assert!((yaw - 1.0).abs() < 0.1, "{yaw}");
        all.run(&[go, target], 3.0);
        all.run(&[Command::SetMode(landing), target], 60.0);
        let truth = all.bench.truth();
        let off = truth
            .position
            .horizontal_distance(&Vec3::new(8.0, -5.0, 0.0));
        assert!(!truth.is_armed && off < most_m, "seed {seed}: {off} m off");
    }
}

#[rstest]
#[case::ardupilot(Dialect::ArduPilot)]
#[case::px4(Dialect::Px4)]
fn the_hold_mode_stops_a_landing(#[case] dialect: Dialect) {
    let mut all = Loop::new(SimConfig::new(dialect, 1));
    all.run(&[Command::SetMode(Mode::Land)], 6.0);
    assert!(all.bench.height() < 16.0);
    all.run(&[Command::SetMode(Mode::Hold)], 3.0);
    let height = all.bench.height();
    all.run(&[], 10.0);
    assert_eq!(all.bench.truth().mode, Mode::Hold);
    assert!((all.bench.height() - height).abs() < 0.4);
}
