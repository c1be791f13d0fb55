//! Help for a landing that others started.

use super::super::{Authority, Phase, SupervisorConfig};
use super::bench::{Bench, Said, command_config, is_control};
use crate::autopilot::commands::Command;
use crate::vehicle::{AutopilotKind, Battery, Mode, Stamped};

fn assisting(hold_s: f64, kind: AutopilotKind) -> Bench {
    let mut config = SupervisorConfig {
        mode: Authority::Assist,
        ..command_config()
    };
    config.assist.hold_s = hold_s;
    let mut b = Bench::new(config, kind);
    b.position[2] = -15.0;
    b.run(0.5);
    b
}

fn has(b: &Bench, what: impl Fn(&Command) -> bool) -> bool {
    b.log.iter().any(|(_, c)| what(c))
}

#[test]
fn a_land_by_the_pilot_is_shown_the_site_and_never_a_second_one() {
    let mut b = assisting(0.0, AutopilotKind::ArduPilot);
    b.offer = Some((2.0, 1.0));
    b.mode = Mode::Land;
    b.run(3.0);
    assert!(has(&b, |c| matches!(c, Command::Target(_))));
    b.offer = Some((-3.0, 1.0));
    b.until("landed", 60.0, |b| b.phase() == Phase::Landed);
    let is_other = |c: &Command| matches!(c, Command::Target(t) if t.position.north() < 1.9);
    assert!(!has(&b, is_other));
    assert!(!has(&b, |c| matches!(
        c,
        Command::SetMode(_) | Command::GoTo(_)
    )));
}

#[test]
fn a_land_that_ran_before_us_is_no_trigger() {
    let config = SupervisorConfig {
        mode: Authority::Assist,
        ..command_config()
    };
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.mode = Mode::Land;
    b.offer = Some((2.0, 1.0));
    b.run(3.0);
    assert_eq!(b.phase(), Phase::Standby);
}

#[test]
fn a_site_that_loses_its_go_is_no_longer_shown_and_the_pilot_is_told() {
    let mut b = assisting(0.0, AutopilotKind::ArduPilot);
    b.offer = Some((2.0, 1.0));
    b.mode = Mode::Land;
    b.run(3.0);
    b.said = Said::Wait;
    b.run(1.2);
    let from = b.log.len();
    b.said = Said::Go;
    b.run(5.0);
    assert!(!b.log[from..].iter().any(|(_, c)| is_control(c)));
    assert!(b.texts().contains("landing unassisted"), "{}", b.texts());
}

#[test]
fn a_mode_of_the_pilot_ends_the_help_and_the_next_land_is_a_new_one() {
    let mut b = assisting(0.0, AutopilotKind::ArduPilot);
    b.offer = Some((2.0, 1.0));
    b.mode = Mode::Land;
    b.run(2.0);
    b.mode = Mode::Loiter;
    let commands = b.tick();
    assert!(!commands.iter().any(is_control));
    assert_eq!(b.phase(), Phase::HandedBack);
    b.run(1.0);
    assert_eq!(b.phase(), Phase::Standby);
    b.mode = Mode::Land;
    b.run(1.0);
    assert_eq!(b.phase(), Phase::Descending);
}

#[test]
fn it_holds_once_and_gives_the_order_back() {
    let mut b = assisting(4.0, AutopilotKind::ArduPilot);
    let battery = Battery {
        remaining: Some(0.8),
        volts: None,
    };
    b.vehicle.battery = Some(Stamped::new(battery, super::bench::at(b.t)));
    b.mode = Mode::Land;
    b.tick();
    b.tick();
    assert_eq!(b.mode, Mode::Hold);
    b.until("back", 4.5, |b| b.mode == Mode::Land);
    b.run(10.0);
    let holds = b
        .log
        .iter()
        .filter(|(_, c)| *c == Command::SetMode(Mode::Hold));
    assert_eq!(holds.count(), 1);
    assert!(b.texts().contains("landing unassisted"));
}

#[test]
fn it_never_holds_against_a_failsafe_or_an_unknown_or_low_battery() {
    for (is_failsafe, remaining) in [(true, Some(0.8)), (false, Some(0.1)), (false, None)] {
        let mut b = assisting(4.0, AutopilotKind::ArduPilot);
        let battery = Battery {
            remaining,
            volts: None,
        };
        b.vehicle.battery = Some(Stamped::new(battery, super::bench::at(b.t)));
        b.is_failsafe = is_failsafe;
        b.mode = Mode::Land;
        b.run(8.0);
        assert!(!has(&b, |c| matches!(c, Command::SetMode(_))));
        assert!(b.texts().contains("landing unassisted"));
    }
}

#[test]
fn px4_is_only_advised_unless_configured() {
    let mut b = assisting(4.0, AutopilotKind::Px4);
    b.offer = Some((2.0, 1.0));
    b.mode = Mode::Land;
    b.run(5.0);
    assert!(!has(&b, is_control));
    let mut config = SupervisorConfig {
        mode: Authority::Assist,
        ..command_config()
    };
    config.assist.px4_precland = true;
    let mut b = Bench::new(config, AutopilotKind::Px4);
    b.run(0.5);
    b.offer = Some((2.0, 1.0));
    b.mode = Mode::Land;
    b.until("precland", 2.0, |b| b.mode == Mode::PrecLand);
    b.run(1.0);
    assert!(has(&b, |c| matches!(c, Command::Target(_))));
    b.said = Said::Veto;
    b.until("back", 2.0, |b| b.mode == Mode::Land);
}
