//! The second lock: what may leave, whatever the supervisor said.

use rstest::rstest;

use super::*;
use crate::autopilot::commands::{Notice, Setpoint, Severity, TargetSample};
use crate::autopilot::companion::outbox::permits;

fn place() -> Vec3<crate::geometry::Ned> {
    Vec3::new(1.0, 2.0, -3.0)
}

fn go_to() -> Command {
    Command::GoTo(Setpoint {
        position: place(),
        yaw_rad: None,
    })
}

fn target() -> Command {
    Command::Target(TargetSample { position: place() })
}

#[rstest]
#[case(Command::Say(Severity::Info, Notice::new(format_args!("x"))), [true, true, true])]
#[case(Command::Number("x", 1.0), [true, true, true])]
#[case(target(), [false, true, true])]
#[case(Command::SetMode(Mode::Hold), [false, true, true])]
#[case(Command::SetMode(Mode::Land), [false, true, true])]
#[case(Command::SetMode(Mode::PrecLand), [false, true, true])]
#[case(Command::SetMode(Mode::Rtl), [false, true, true])]
#[case(Command::SetMode(Mode::Guided), [false, false, true])]
#[case(Command::SetMode(Mode::Mission), [false, false, true])]
#[case(Command::SetMode(Mode::Other(0)), [false, false, true])]
#[case(go_to(), [false, false, true])]
fn each_mode_may_its_own_while_something_is_under_way(
    #[case] command: Command,
    #[case] allowed: [bool; 3],
) {
    let modes = [Authority::Advise, Authority::Assist, Authority::Command];
    let is_word = allowed[0];
    for phase in [
        Phase::Searching,
        Phase::Approaching,
        Phase::Descending,
        Phase::Committed,
        Phase::Aborted,
    ] {
        assert_eq!(modes.map(|m| permits(m, phase, &command)), allowed);
    }
    for phase in [Phase::Standby, Phase::Landed, Phase::HandedBack] {
        assert_eq!(modes.map(|m| permits(m, phase, &command)), [is_word; 3]);
    }
}

#[rstest]
#[case::advise(Authority::Advise, Phase::Descending, 0)]
#[case::assist(Authority::Assist, Phase::Descending, 2)]
#[case::command(Authority::Command, Phase::Descending, 4)]
#[case::handed_back(Authority::Command, Phase::HandedBack, 0)]
fn what_the_mode_or_the_phase_does_not_allow_is_kept_back(
    #[case] mode: Authority,
    #[case] phase: Phase,
    #[case] sent: usize,
) {
    let mut bench = Bench::flying(mode, Dialect::ArduPilot);
    bench.heard.clear();
    bench.companion.phase = phase;
    let pose = Pose::level_nadir(bench.now, 10.0);
    for command in [
        go_to(),
        target(),
        Command::SetMode(Mode::Guided),
        Command::SetMode(Mode::Land),
    ] {
        bench.companion.carry_out(&command, Some(&pose), bench.now);
    }
    bench.fetch();
    assert_eq!(bench.commands().len(), sent, "{:?}", bench.commands());
}

#[rstest]
#[case(Dialect::ArduPilot)]
#[case(Dialect::Px4)]
fn a_takeover_takes_back_what_was_not_fetched_yet(#[case] dialect: Dialect) {
    let mut taken_back = 0;
    for ticks in 0..40 {
        let mut bench = Bench::flying(Authority::Command, dialect);
        bench.say(255, &user_command((1, 191), 1.0));
        bench.site = true;
        bench.run(3.0 + f64::from(ticks) * 0.05);
        bench.heard.clear();
        // The tick's commands wait still when the message arrives.
        bench.now = bench.now.after(TICK);
        bench.companion.tick(bench.now);
        let kind = bench.companion.state().kind.unwrap();
        bench.say(1, &heartbeat(kind, Mode::Loiter));
        assert_eq!(bench.companion.phase(), Phase::HandedBack);
        assert!(bench.commands().is_empty(), "{:?}", bench.commands());
        // Words are not taken back.
        assert!(bench.texts().iter().any(|t| t.contains("handed back")));
        taken_back += bench.companion.taken_back();
    }
    assert!(taken_back > 10, "{taken_back}");
}
