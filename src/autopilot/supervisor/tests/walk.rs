//! Every state, and every edge between them.

use super::super::state::State;
use super::super::{Phase, Reason, Request};
use super::bench::{Bench, OWNED, Said, is_control, reach};
use crate::autopilot::commands::Command;
use crate::vehicle::Mode;
use rstest::rstest;

/// After a takeover: nothing but words, whatever the frames say, until another start.
fn assert_silent(b: &mut Bench, name: &str) {
    assert_eq!(b.phase(), Phase::HandedBack, "{name}");
    b.has_pose = true;
    b.said = Said::Go;
    b.offer = Some((1.0, 1.0));
    for _ in 0..200 {
        let commands = b.tick();
        assert!(!commands.iter().any(is_control), "{name}: {commands:?}");
    }
    assert_eq!(b.phase(), Phase::HandedBack, "{name}");
}

#[test]
fn a_takeover_by_any_mode_is_obeyed_in_the_same_step_from_every_state() {
    for name in OWNED {
        for mode in [
            Mode::Rtl,
            Mode::Mission,
            Mode::Other(0),
            // Of the two dialects, the landing mode of the other.
            Mode::PrecLand,
        ] {
            let mut b = reach(name);
            b.mode = mode;
            let commands = b.tick();
            assert!(!commands.iter().any(is_control), "{name}: {commands:?}");
            assert_eq!(b.supervisor.reason(), Some(Reason::TakenOver(mode)));
            assert_silent(&mut b, name);
        }
    }
}

#[test]
fn a_land_by_others_is_a_takeover_while_we_fly() {
    for name in ["searching", "approaching", "descending", "holding"] {
        let mut b = reach(name);
        b.mode = Mode::Land;
        assert!(!b.tick().iter().any(is_control));
        assert_silent(&mut b, name);
    }
}

#[test]
fn a_stick_is_obeyed_in_the_same_step_from_every_state() {
    for name in OWNED {
        let mut b = reach(name);
        let mut sticks = [1500; 18];
        b.rc = Some(sticks);
        b.tick();
        sticks[1] = 1650;
        b.rc = Some(sticks);
        let commands = b.tick();
        assert!(!commands.iter().any(is_control), "{name}: {commands:?}");
        assert_eq!(b.supervisor.reason(), Some(Reason::SticksMoved), "{name}");
        assert_silent(&mut b, name);
    }
}

#[test]
fn disarming_ends_everything_in_the_same_step() {
    for name in OWNED {
        let mut b = reach(name);
        b.is_armed = false;
        let commands = b.tick();
        assert!(!commands.iter().any(is_control), "{name}: {commands:?}");
        let is_over = matches!(b.phase(), Phase::HandedBack | Phase::Landed);
        assert!(is_over, "{name}: {:?}", b.phase());
    }
}

#[test]
fn told_to_stop_it_holds_and_hands_back_from_every_state() {
    for name in OWNED.into_iter().filter(|n| *n != "aborted") {
        let mut b = reach(name);
        b.obeys = true;
        b.requests.push(Request::Abort);
        b.tick();
        b.until(name, 3.0, |b| b.phase() == Phase::HandedBack);
        assert_eq!(b.mode, Mode::Hold, "{name}");
        assert_silent(&mut b, name);
    }
}

#[test]
fn after_a_takeover_a_start_engages_again() {
    let mut b = reach("descending");
    b.mode = Mode::Loiter;
    // A start in the very step of the takeover is no new edge.
    b.requests.push(Request::Start);
    b.tick();
    assert_silent(&mut b, "descending");
    b.requests.push(Request::Start);
    b.tick();
    b.until("guided", 3.0, |b| b.mode == Mode::Guided);
}

#[test]
fn a_mode_that_is_refused_is_asked_for_until_the_deadline_and_then_handed_back() {
    let mut b = Bench::command();
    b.obeys = false;
    b.start();
    b.until("handed back", 40.0, |b| b.phase() == Phase::HandedBack);
    let asked = |mode| {
        b.log
            .iter()
            .filter(|(_, c)| *c == Command::SetMode(mode))
            .count()
    };
    assert!(asked(Mode::Guided) >= 10, "{}", asked(Mode::Guided));
    assert!(asked(Mode::Hold) >= 10);
    assert_eq!(b.supervisor.reason(), Some(Reason::HoldNotShown));
}

#[rstest]
#[case::searching("searching")]
#[case::approaching("approaching")]
#[case::descending("descending")]
#[case::holding("holding")]
#[case::committed("committed")]
fn a_lost_pose_stops_by_a_mode_and_looks_again_when_it_is_back(#[case] name: &str) {
    let mut b = reach(name);
    b.has_pose = false;
    b.until(name, 0.6, |b| b.mode == Mode::Hold);
    b.has_pose = true;
    b.said = Said::Go;
    b.until(name, 3.0, |b| b.mode == Mode::Guided);
    assert_eq!(b.phase(), Phase::Searching);
}

#[test]
fn a_pose_that_stays_lost_is_handed_back_in_a_hold() {
    let mut b = reach("descending");
    b.has_pose = false;
    b.until("handed back", 15.0, |b| b.phase() == Phase::HandedBack);
    assert_eq!(b.mode, Mode::Hold);
    assert_eq!(b.supervisor.reason(), Some(Reason::PoseLost));
}

#[test]
fn a_veto_stops_and_climbs_until_touch_down() {
    for name in ["committed", "low"] {
        let mut b = reach(name);
        let from_m = b.height_m();
        b.said = Said::Veto;
        b.until("hold", 0.4, |b| b.mode == Mode::Hold);
        b.offer = None;
        b.until("up", 30.0, |b| b.height_m() > 19.0);
        assert!(from_m < 9.5);
        assert!(matches!(b.state(), State::Searching(_)), "{name}");
        assert_eq!(b.supervisor.tally().climbs, 1);
    }
}

#[test]
fn a_hold_goes_on_with_the_same_site_when_it_is_clear_again() {
    let mut b = reach("holding");
    let height_m = b.height_m();
    b.run(1.5);
    assert!((b.height_m() - height_m).abs() < 0.2);
    b.said = Said::Go;
    b.until("descending", 4.0, |b| b.phase() == Phase::Descending);
    assert_eq!(b.supervisor.tally().reroutes, 0);
}

#[test]
fn a_site_that_stays_bad_is_left_for_an_alternate() {
    let mut b = reach("holding");
    b.offer = Some((-12.0, 8.0));
    b.said = Said::NotClear;
    b.until("other", 4.0, |b| {
        b.phase() == Phase::Approaching && b.watch().is_some_and(|w| w.north_m < -11.0)
    });
    b.said = Said::Go;
    b.until("landed", 90.0, |b| b.phase() == Phase::Landed);
    assert_eq!(b.supervisor.tally().reroutes, 1);
    assert!((b.position[0] + 12.0).abs() < 0.1);
}

#[test]
fn an_alternate_is_watched_before_it_is_taken() {
    let mut b = reach("searching");
    b.alternate = Some((6.0, 6.0));
    b.said = Said::Wait;
    b.run(1.0);
    assert!(b.watch().is_some_and(|w| w.north_m > 5.0));
    assert_eq!(b.phase(), Phase::Searching);
    b.said = Said::Go;
    b.until("approach", 4.0, |b| b.phase() == Phase::Approaching);
}

#[test]
fn another_epoch_drops_the_site() {
    for name in ["approaching", "descending", "holding", "searching"] {
        let mut b = reach(name);
        b.offer = None;
        b.epoch = 2;
        b.tick();
        assert!(matches!(b.state(), State::Searching(_)), "{name}");
        let there = b.position;
        b.run(2.0);
        assert!((there[2] - b.position[2]).abs() < 0.2, "{name}");
    }
    let mut b = reach("committed");
    b.epoch = 2;
    b.tick();
    assert_eq!(b.mode, Mode::Hold);
    assert_eq!(b.supervisor.reason(), Some(Reason::PlacesLost));
}
