//! `MAV_CMD_USER_1`: who is heard, and what is answered.

use rstest::rstest;

use super::*;
use crate::sim::autopilot::OffboardLoss;

impl Bench {
    /// What was answered, and to whom.
    fn answers(&self) -> Vec<(MavResult, (u8, u8))> {
        let all = self.heard.iter().filter_map(|(_, m)| match m {
            MavMessage::COMMAND_ACK(d) => Some((d.result, (d.target_system, d.target_component))),
            _ => None,
        });
        all.collect()
    }
}

#[rstest]
#[case::start((1, 191), 1.0, Some(MavResult::MAV_RESULT_ACCEPTED), Phase::Searching)]
#[case::abort((1, 191), 0.0, Some(MavResult::MAV_RESULT_ACCEPTED), Phase::Standby)]
#[case::neither((1, 191), 2.0, Some(MavResult::MAV_RESULT_DENIED), Phase::Standby)]
#[case::no_number((1, 191), f32::NAN, Some(MavResult::MAV_RESULT_DENIED), Phase::Standby)]
#[case::everybody((1, 0), 1.0, None, Phase::Standby)]
#[case::every_system((0, 191), 1.0, None, Phase::Standby)]
#[case::another_component((1, 1), 1.0, None, Phase::Standby)]
#[case::another_system((2, 191), 1.0, None, Phase::Standby)]
fn only_what_is_addressed_to_us_is_heard_and_answered(
    #[case] to: (u8, u8),
    #[case] param1: f32,
    #[case] answer: Option<MavResult>,
    #[case] phase: Phase,
) {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    bench.heard.clear();
    bench.say(255, &user_command(to, param1));
    assert_eq!(
        bench.answers(),
        Vec::from_iter(answer.map(|a| (a, (255, 1))))
    );
    assert_eq!(bench.companion.phase(), phase);
}

#[rstest]
#[case(OffboardLoss::Return, true)]
#[case(OffboardLoss::Hover, true)]
#[case(OffboardLoss::Land, false)]
fn px4_that_lands_when_we_fall_silent_is_not_commanded_and_the_ground_hears_why(
    #[case] offboard_loss: OffboardLoss,
    #[case] starts: bool,
) {
    let mut bench = Bench::new(Authority::Command);
    bench.sim = Some(SimAutopilot::new(SimConfig {
        offboard_loss,
        ..SimConfig::new(Dialect::Px4, 7)
    }));
    bench.run(8.0);
    bench.say(255, &user_command((1, 191), 1.0));
    assert_eq!(bench.companion.phase() != Phase::Standby, starts);
    let told = bench.texts().concat();
    assert_eq!(told.contains("set COM_OBL_RC_ACT to 5"), !starts, "{told}");
}

#[test]
fn px4_is_asked_again_and_again_what_it_does_when_we_fall_silent_where_it_may_be_commanded() {
    for (mode, expected) in [(Authority::Command, 5..=7), (Authority::Advise, 0..=0)] {
        let mut bench = Bench::flying(mode, Dialect::Px4);
        bench.run(52.0);
        let asked = bench.heard.iter().filter(|(_, m)| {
            matches!(m, MavMessage::PARAM_REQUEST_READ(p) if p.param_id.to_str() == Ok("COM_OBL_RC_ACT"))
        });
        let count = asked.count();
        assert!(expected.contains(&count), "{count} in {mode:?}");
    }
}

#[test]
fn an_abort_over_the_link_asks_for_a_hold_at_once() {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    bench.say(255, &user_command((1, 191), 1.0));
    bench.site = true;
    bench.run(4.0);
    bench.heard.clear();
    bench.say(255, &user_command((1, 191), 0.0));
    assert_eq!(bench.companion.phase(), Phase::Aborted);
    let hold = custom_mode_of(AutopilotKind::ArduPilot, Mode::Hold).unwrap() as f32;
    let asked = bench.commands();
    assert!(
        asked
            .iter()
            .any(|m| matches!(m, MavMessage::COMMAND_LONG(c) if (c.param2 - hold).abs() < 0.5)),
        "{asked:?}"
    );
}

#[rstest]
#[case::advise(Authority::Advise, Dialect::ArduPilot, MavResult::MAV_RESULT_DENIED)]
#[case::assist(Authority::Assist, Dialect::Px4, MavResult::MAV_RESULT_DENIED)]
#[case::faulted(
    Authority::Command,
    Dialect::Px4,
    MavResult::MAV_RESULT_TEMPORARILY_REJECTED
)]
fn a_start_that_cannot_be_is_refused_with_the_reason(
    #[case] mode: Authority,
    #[case] dialect: Dialect,
    #[case] answer: MavResult,
) {
    let mut bench = Bench::flying(mode, dialect);
    bench.companion.set_health(Health::Faulted("camera"));
    bench.heard.clear();
    bench.say(255, &user_command((1, 191), 1.0));
    assert_eq!(bench.companion.phase(), Phase::Standby);
    assert_eq!(bench.answers(), [(answer, (255, 1))]);
    assert!(
        bench.texts().iter().any(|t| t.contains("not started")),
        "{:?}",
        bench.texts()
    );
}

#[test]
fn a_start_that_is_sent_again_does_not_start_what_was_stopped() {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    bench.say(255, &user_command((1, 191), 1.0));
    bench.run(0.5);
    assert_ne!(bench.companion.phase(), Phase::Standby);
    bench.sim = None;
    bench.say(1, &heartbeat(AutopilotKind::ArduPilot, Mode::Loiter));
    assert_eq!(bench.companion.phase(), Phase::HandedBack);
    bench.heard.clear();
    bench.say(255, &user_command((1, 191), 1.0));
    assert_eq!(bench.companion.phase(), Phase::HandedBack);
    assert_eq!(
        bench.answers(),
        [(MavResult::MAV_RESULT_ACCEPTED, (255, 1))]
    );
    // Later it is another wish.
    bench.run(4.0);
    bench.say(255, &user_command((1, 191), 1.0));
    assert_eq!(bench.answers().len(), 2);
}

#[test]
fn another_command_to_us_is_not_supported() {
    let mut bench = Bench::new(Authority::Command);
    let MavMessage::COMMAND_LONG(mut command) = user_command((1, 191), 0.0) else {
        unreachable!()
    };
    command.command = MavCmd::MAV_CMD_COMPONENT_ARM_DISARM;
    bench.say(255, &MavMessage::COMMAND_LONG(command));
    assert_eq!(
        bench.answers(),
        [(MavResult::MAV_RESULT_UNSUPPORTED, (255, 1))]
    );
}
