//! The rules that keep people alive, one by one.

use super::super::config::AfterSearch;
use super::super::state::State;
use super::super::{Authority, Health, Phase, Reason, Refusal, Request, SupervisorConfig};
use super::bench::{Bench, Said, at, command_config, is_control, reach};
use crate::autopilot::commands::Command;
use crate::vehicle::{AutopilotKind, HeightSource, LossAction, Mode};
use rstest::rstest;

type Spoil = fn(&mut Bench);

#[rstest]
#[case::heartbeat(|b: &mut Bench| b.has_heartbeat = false, Refusal::NoHeartbeat)]
#[case::kind(|b: &mut Bench| b.kind = AutopilotKind::Other(9), Refusal::UnknownAutopilot)]
#[case::armed(|b: &mut Bench| b.is_armed = false, Refusal::NotArmed)]
#[case::ground(|b: &mut Bench| b.position[2] = 0.0, Refusal::NotInAir)]
#[case::estimator(|b: &mut Bench| b.estimator_is_good = false, Refusal::EstimatorUnhealthy)]
#[case::pose(|b: &mut Bench| b.has_pose = false, Refusal::NoPose)]
#[case::height(|b: &mut Bench| b.has_height = false, Refusal::NoHeight)]
#[case::health(|b: &mut Bench| b.health = Health::Faulted("camera"), Refusal::PipelineFault)]
#[case::wind(|b: &mut Bench| b.wind_m_s = Some(12.0), Refusal::Wind)]
#[case::no_number(|b: &mut Bench| b.wind_m_s = Some(f64::NAN), Refusal::Wind)]
#[case::stick(|b: &mut Bench| { let mut us = [1500; 18]; us[0] = 1900; b.rc = Some(us) }, Refusal::SticksMoved)]
fn a_start_is_refused_with_the_reason(#[case] spoil: Spoil, #[case] refusal: Refusal) {
    let mut b = Bench::command();
    b.run(0.5);
    spoil(&mut b);
    b.run(4.0);
    b.requests.push(Request::Start);
    let commands = b.tick();
    assert!(!commands.iter().any(is_control));
    assert_eq!(b.phase(), Phase::Standby);
    assert!(b.texts().contains(refusal.text()), "{}", b.texts());
    // Refused is refused: it does not start when the reason goes away.
    let mut fresh = Bench::command();
    fresh.supervisor = b.supervisor;
    fresh.t = b.t;
    fresh.run(2.0);
    assert_eq!(fresh.phase(), Phase::Standby);
}

#[test]
fn relative_altitude_alone_is_refused_unless_configured_or_checked() {
    for (sd_m, allow, starts) in [(5.0, false, false), (5.0, true, true), (0.5, false, true)] {
        let mut config = command_config();
        config.engage.allow_relative_altitude = allow;
        let mut b = Bench::new(config, AutopilotKind::ArduPilot);
        b.height_source = HeightSource::RelativeAltitude;
        b.height_sd_m = sd_m;
        b.start();
        assert_eq!(b.phase() != Phase::Standby, starts, "{sd_m} {allow}");
    }
}

#[rstest]
#[case::calibration(|c: &mut SupervisorConfig| c.camera_is_calibrated = false, Refusal::CameraNotCalibrated)]
#[case::fence(|c: &mut SupervisorConfig| c.fence.radius_m = Some(100.0), Refusal::FenceUnknown)]
#[case::mode(|c: &mut SupervisorConfig| c.mode = Authority::Advise, Refusal::NotAllowed)]
fn a_configuration_refuses(#[case] change: fn(&mut SupervisorConfig), #[case] refusal: Refusal) {
    let mut config = command_config();
    change(&mut config);
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.start();
    assert_eq!(b.phase(), Phase::Standby);
    assert!(b.texts().contains(refusal.text()), "{}", b.texts());
}

#[rstest]
#[case::hold(Some((LossAction::Hold, 0.0)), None)]
#[case::back(Some((LossAction::Return, 50.0)), None)]
#[case::land(Some((LossAction::Other(4), 0.0)), Some(Refusal::LossActionUnsafe))]
#[case::sticks(Some((LossAction::Other(0), 0.0)), Some(Refusal::LossActionUnsafe))]
#[case::silent(None, Some(Refusal::LossActionUnknown))]
#[case::long_ago(Some((LossAction::Hold, 61.0)), Some(Refusal::LossActionUnknown))]
fn px4_is_commanded_only_when_it_holds_or_returns_should_we_fall_silent(
    #[case] said: Option<(LossAction, f64)>,
    #[case] refusal: Option<Refusal>,
) {
    for kind in [AutopilotKind::Px4, AutopilotKind::ArduPilot] {
        let mut b = Bench::new(command_config(), kind);
        b.loss_action = said;
        b.start();
        let expected = refusal.filter(|_| kind == AutopilotKind::Px4);
        assert_eq!(b.phase() == Phase::Standby, expected.is_some(), "{kind:?}");
        if let Some(refusal) = expected {
            assert!(b.texts().contains(refusal.text()), "{}", b.texts());
        }
    }
}

#[test]
fn a_switch_starts_and_stops_a_landing() {
    let mut config = command_config();
    config.engage.switch_channel = Some(7);
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    let with = |us: u16| {
        let mut all = [1500; 18];
        all[6] = us;
        Some(all)
    };
    b.rc = with(1900);
    b.run(1.0);
    assert_eq!(b.phase(), Phase::Standby, "a switch that was on is no edge");
    b.rc = with(1100);
    b.run(0.2);
    b.rc = with(1900);
    b.run(1.0);
    assert_eq!(b.phase(), Phase::Searching);
    b.rc = with(1100);
    b.run(1.0);
    assert_eq!(b.phase(), Phase::HandedBack);
    assert_eq!(b.mode, Mode::Hold);
}

#[test]
fn silence_never_descends() {
    for name in ["approaching", "descending", "committing"] {
        let mut b = reach(name);
        b.obeys = true;
        b.has_frames = false;
        b.offer = None;
        b.run(1.2);
        let height_m = b.height_m();
        b.run(8.0);
        assert!(b.height_m() > height_m - 0.2, "{name}");
        assert_ne!(b.mode, Mode::Land, "{name}");
    }
}

#[test]
fn the_stream_of_a_committed_landing_ends_with_an_explicit_abort() {
    let mut b = reach("committed");
    b.has_frames = false;
    b.until("hold", 1.3, |b| b.mode == Mode::Hold);
    let aborted_at = b.t;
    let last_sample = b
        .log
        .iter()
        .rfind(|(_, c)| matches!(c, Command::Target(_)))
        .unwrap()
        .0;
    assert!(last_sample <= aborted_at && aborted_at - last_sample < 0.11);
}

#[test]
fn it_goes_below_the_commit_height_after_a_look_at_who_moves_around() {
    let mut b = reach("descending");
    let [commit_m, ..] = b.supervisor.heights_m();
    b.until("the last look", 60.0, |b| b.height_m() < commit_m + 4.6);
    let from = b.t;
    b.run(4.0);
    // Somebody in a single frame: the ten seconds begin again, and nothing is given up.
    b.said = Said::MotionAround;
    b.run(0.3);
    b.said = Said::Go;
    b.until("committed", 20.0, |b| b.phase() == Phase::Committed);
    assert!(b.t - from > 4.3 + 10.0, "{}", b.t - from);
    assert_eq!(b.supervisor.tally().holds, 0);
}

#[test]
fn a_site_where_somebody_comes_by_again_and_again_is_given_up() {
    let mut b = reach("descending");
    for _ in 0..2 {
        b.said = Said::MotionAround;
        b.until("held", 5.0, |b| matches!(b.state(), State::Holding(_)));
        b.said = Said::Go;
        b.run(1.5);
    }
    b.until("given up", 10.0, |b| b.phase() == Phase::Searching);
}

#[test]
fn a_site_with_no_quiet_moment_is_given_up() {
    let mut b = reach("descending");
    let [commit_m, ..] = b.supervisor.heights_m();
    b.until("the last look", 60.0, |b| b.height_m() < commit_m + 4.6);
    let from = b.t;
    // Too short to hold it off, and each begins the ten quiet seconds again.
    while matches!(b.state(), State::Descending(_)) && b.t - from < 60.0 {
        b.said = Said::MotionAround;
        b.run(0.3);
        b.said = Said::Go;
        b.run(5.0);
    }
    assert!((30.0..36.0).contains(&(b.t - from)), "{}", b.t - from);
    assert!(b.height_m() > commit_m + 3.0);
    b.until("given up", 10.0, |b| b.phase() == Phase::Searching);
}

#[test]
fn from_too_low_it_climbs_for_the_last_look() {
    let mut b = Bench::command();
    b.offer = Some((4.0, -3.0));
    b.position[2] = -6.0;
    b.start();
    let [commit_m, ..] = b.supervisor.heights_m();
    b.until("up", 30.0, |b| b.height_m() > commit_m + 1.5);
    b.until("landed", 60.0, |b| b.phase() == Phase::Landed);
}

#[test]
fn below_the_commit_height_silence_stops_it_in_guided() {
    let mut b = reach("descending");
    b.until("committed", 60.0, |b| b.phase() == Phase::Committed);
    assert_eq!(b.mode, Mode::Guided);
    b.has_frames = false;
    let height_m = b.height_m();
    // The last GO may be half a second old already.
    b.until("hold", 1.9, |b| b.mode == Mode::Hold);
    assert!(b.height_m() > height_m - 2.0, "{}", b.height_m());
}

#[test]
fn each_gate_needs_a_newer_go() {
    let mut b = reach("descending");
    let mut gates = Vec::new();
    while b.phase() == Phase::Descending {
        if let super::super::state::State::Descending(d) = b.state() {
            let gate = (d.gate.height_m, d.gate.earned_by);
            if gates.last() != Some(&gate) {
                gates.push(gate);
            }
        }
        b.tick();
    }
    assert!(gates.len() >= 4, "{gates:?}");
    for pair in gates.windows(2) {
        // At the last gate a newer GO only renews it.
        assert!(pair[1].0 <= pair[0].0 && pair[1].1 > pair[0].1, "{gates:?}");
        assert!(pair[0].0 - pair[1].0 <= 6.6, "{gates:?}");
    }
}

#[test]
fn no_mode_is_commanded_without_a_heartbeat() {
    for name in ["descending", "committed", "aborted"] {
        let mut b = reach(name);
        b.has_heartbeat = false;
        b.run(1.55);
        b.said = Said::Veto;
        let from = b.log.len();
        b.run(5.0);
        let is_mode = |(_, c): &(f64, Command)| matches!(c, Command::SetMode(_));
        assert!(!b.log[from..].iter().any(is_mode), "{name}");
    }
}

#[test]
fn a_faulted_pipeline_holds_and_is_handed_back_when_it_stays_so() {
    let mut b = reach("descending");
    b.health = Health::Faulted("network");
    let height_m = b.height_m();
    b.run(5.0);
    assert!((b.height_m() - height_m).abs() < 0.3);
    b.until("handed back", 10.0, |b| b.phase() == Phase::HandedBack);
    assert_eq!(b.mode, Mode::Hold);
    assert!(b.texts().contains("pipeline fault: network"));
}

#[rstest]
#[case::hold(AfterSearch::Hold, Mode::Hold)]
#[case::back(AfterSearch::Return, Mode::Rtl)]
#[case::least_bad(AfterSearch::LeastBad, Mode::Hold)]
fn a_search_without_a_site_ends(#[case] then: AfterSearch, #[case] mode: Mode) {
    let mut config = command_config();
    config.search.longest_s = 40.0;
    config.search.then = then;
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.position[2] = -12.0;
    b.start();
    b.until("handed back", 80.0, |b| b.phase() == Phase::HandedBack);
    assert_eq!(b.mode, mode);
    assert_eq!(b.supervisor.reason(), Some(Reason::NoSite));
    assert!(b.height_m() > 11.9, "it never sank");
    assert_eq!(b.supervisor.tally().climbs, 1);
    assert!(
        b.position[0].hypot(b.position[1]) > 5.0,
        "it flew the pattern"
    );
}

#[test]
fn with_a_veto_that_comes_back_the_attempts_are_counted() {
    let mut b = reach("committed");
    for _ in 0..6 {
        b.said = Said::Veto;
        b.until("stopped", 120.0, |b| matches!(b.mode, Mode::Hold));
        b.said = Said::Go;
        if b.phase() == Phase::HandedBack {
            break;
        }
        b.until("again", 120.0, |b| {
            b.mode == Mode::Land || b.phase() == Phase::HandedBack
        });
    }
    assert_eq!(b.phase(), Phase::HandedBack);
    assert_eq!(b.mode, Mode::Hold);
}

#[test]
fn outside_the_fence_it_holds() {
    let mut config = command_config();
    config.fence.radius_m = Some(50.0);
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.vehicle.home = Some(crate::vehicle::Stamped::new(
        crate::geometry::Vec3::zero(),
        crate::time::MonoTime::ZERO,
    ));
    b.offer = Some((60.0, 0.0));
    b.start();
    b.run(3.0);
    assert_eq!(b.phase(), Phase::Searching, "a site outside is not taken");
    b.position[0] = 51.0;
    b.run(0.5);
    assert_eq!(b.phase(), Phase::HandedBack);
    assert_eq!(b.supervisor.reason(), Some(Reason::OutsideFence));
    assert_eq!(b.mode, Mode::Hold);
}

#[test]
fn advice_is_given_and_nothing_else() {
    let mut b = Bench::new(SupervisorConfig::default(), AutopilotKind::ArduPilot);
    b.offer = Some((1.0, 2.0));
    b.run(5.0);
    b.mode = Mode::Land;
    b.requests.push(Request::Start);
    b.run(5.0);
    assert!(!b.log.iter().any(|(_, c)| is_control(c)));
    let said = b.texts().matches("site N1.0 E2.0").count();
    assert_eq!(said, 1, "on change only");
    let numbers = b
        .log
        .iter()
        .filter(|(_, c)| matches!(c, Command::Number("al_state", _)));
    assert!((9..=11).contains(&numbers.count()));
}

#[test]
fn a_stage_that_stops_is_told_to_the_ground_once_and_that_it_is_back() {
    let mut b = Bench::new(SupervisorConfig::default(), AutopilotKind::ArduPilot);
    b.health = Health::Faulted("camera");
    b.run(2.0);
    assert!(!b.texts().contains("camera"), "it has not begun yet");
    for health in [Health::Good, Health::Faulted("inference"), Health::Good] {
        b.health = health;
        b.run(5.0);
    }
    let texts = b.texts();
    for text in ["inference brings nothing", "inference is back"] {
        assert_eq!(texts.matches(text).count(), 1, "{texts}");
    }
}

#[rstest]
#[case::ours(Mode::Guided, Mode::Guided, None, Some(Mode::Hold))]
#[case::ours_then_home(Mode::Guided, Mode::Guided, Some(2.0), Some(Mode::Rtl))]
#[case::of_the_pilot(Mode::Guided, Mode::Loiter, None, None)]
fn an_orphan_is_held_and_nothing_more(
    #[case] mark: Mode,
    #[case] shown: Mode,
    #[case] return_after_s: Option<f64>,
    #[case] expected: Option<Mode>,
) {
    let mut config = command_config();
    config.orphan.return_after_s = return_after_s;
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.supervisor.adopt_orphan(mark);
    b.mode = shown;
    b.offer = Some((1.0, 1.0));
    b.run(10.0);
    assert_eq!(b.mode, expected.unwrap_or(shown));
    let phase = expected.map_or(Phase::Standby, |_| Phase::HandedBack);
    assert_eq!(b.phase(), phase);
    let is_target = |(_, c): &(f64, Command)| matches!(c, Command::Target(_));
    assert!(!b.log.iter().any(is_target));
}

#[test]
fn a_named_failsafe_starts_a_landing_only_when_configured_and_only_on_its_edge() {
    let run = |below: Option<f64>| {
        let mut config = command_config();
        config.engage.below_battery = below;
        let mut b = Bench::new(config, AutopilotKind::ArduPilot);
        let set = |b: &mut Bench, remaining| {
            let battery = crate::vehicle::Battery {
                remaining: Some(remaining),
                volts: None,
            };
            b.vehicle.battery = Some(crate::vehicle::Stamped::new(battery, super::bench::at(b.t)));
            b.run(1.0);
            b.phase()
        };
        [set(&mut b, 0.15), set(&mut b, 0.5), set(&mut b, 0.15)]
    };
    assert_eq!(run(None), [Phase::Standby; 3]);
    let with = run(Some(0.2));
    assert_eq!(with, [Phase::Standby, Phase::Standby, Phase::Searching]);
}

#[test]
fn a_lost_receiver_starts_a_landing_when_configured() {
    let mut config = command_config();
    config.engage.after_rc_loss_s = Some(3.0);
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.rc = Some([1500; 18]);
    b.run(1.0);
    b.rc = None;
    b.run(2.5);
    assert_eq!(b.phase(), Phase::Standby);
    b.run(1.0);
    assert_eq!(b.phase(), Phase::Searching);
}

#[test]
fn one_frame_that_finds_a_hazard_does_not_stop_a_descent_but_a_second_of_them_does() {
    let mut b = reach("descending");
    b.said = Said::NotClear;
    b.run(0.4);
    b.said = Said::Go;
    b.run(2.0);
    assert_eq!(b.supervisor.tally().holds, 0);
    b.said = Said::NotClear;
    b.run(1.2);
    assert_eq!(b.supervisor.tally().holds, 1);
}

#[test]
fn a_veto_stops_a_descent_at_the_frame_that_says_it() {
    let mut b = reach("descending");
    b.said = Said::Veto;
    b.run(0.3);
    assert_eq!(b.supervisor.tally().holds, 1);
    let height_m = b.height_m();
    b.run(0.8);
    assert!((b.height_m() - height_m).abs() < 0.1);
}

#[test]
fn a_site_out_of_the_picture_is_flown_to_and_not_descended_on() {
    let mut b = Bench::command();
    b.offer = Some((20.0, 0.0));
    b.start();
    b.run(1.0);
    b.said = Said::OutOfPicture;
    b.offer = None;
    b.until("over it", 8.0, |b| (b.position[0] - 20.0).abs() < 0.1);
    let height_m = b.height_m();
    b.run(5.0);
    assert_eq!(b.phase(), Phase::Approaching);
    assert!((b.height_m() - height_m).abs() < 0.1);
    assert_eq!(b.supervisor.tally().holds, 0);
}

/// How old the newest heartbeat was when each mode was asked for, seconds.
fn ages_of_requests(b: &mut Bench, seconds: f64) -> Vec<(Mode, f64)> {
    let mut ages = Vec::new();
    for _ in 0..(seconds / 0.05).round() as usize {
        for command in b.tick() {
            if let (Command::SetMode(mode), Some(heard)) = (command, b.vehicle.mode) {
                ages.push((mode, at(b.t).secs_since(heard.at)));
            }
        }
    }
    ages
}

#[rstest]
#[case(AutopilotKind::ArduPilot, Mode::Land)]
#[case(AutopilotKind::Px4, Mode::PrecLand)]
fn what_takes_the_vehicle_is_asked_for_when_a_heartbeat_has_just_come(
    #[case] kind: AutopilotKind,
    #[case] landing: Mode,
    #[values(0.2, 0.35, 1.0)] heartbeat_period_s: f64,
) {
    let mut b = Bench::new(command_config(), kind);
    b.heartbeat_period_s = heartbeat_period_s;
    b.offer = Some((4.0, -3.0));
    b.run(2.1);
    b.requests.push(Request::Start);
    let ages = ages_of_requests(&mut b, 140.0);
    for mode in [Mode::Guided, landing] {
        assert!(
            ages.iter().any(|(m, _)| *m == mode),
            "{mode:?}: {ages:?}\n{}",
            b.tail()
        );
    }
    assert!(ages.iter().all(|(_, age_s)| *age_s < 0.06), "{ages:?}");
    assert_eq!(b.phase(), Phase::Landed, "{}", b.tail());
}

#[test]
fn a_vehicle_that_is_in_guided_already_is_not_flown_before_it_was_asked_for() {
    let mut b = Bench::command();
    b.mode = Mode::Guided;
    b.heartbeat_period_s = 1.0;
    b.run(2.3);
    b.requests.push(Request::Start);
    b.until("searching", 3.0, |b| {
        matches!(b.state(), State::Searching(_))
    });
    let first = b.log.iter().map(|(_, c)| c).find(|c| is_control(c));
    assert_eq!(first, Some(&Command::SetMode(Mode::Guided)));
}

#[test]
fn a_hold_waits_for_no_heartbeat() {
    let mut b = Bench::command();
    b.heartbeat_period_s = 1.0;
    b.offer = Some((4.0, -3.0));
    b.run(2.0);
    b.requests.push(Request::Start);
    b.until("descending", 20.0, |b| {
        matches!(b.state(), State::Descending(_))
    });
    let age_s = |b: &Bench| at(b.t).secs_since(b.vehicle.mode.unwrap().at);
    b.until("between two heartbeats", 2.0, |b| age_s(b) > 0.45);
    b.requests.push(Request::Abort);
    let commands = b.tick();
    assert!(age_s(&b) > 0.45);
    assert!(
        commands.contains(&Command::SetMode(Mode::Hold)),
        "{commands:?}"
    );
}

#[test]
fn heartbeats_that_stop_before_the_landing_mode_are_not_waited_for_without_end() {
    let mut b = reach("committing");
    b.has_heartbeat = false;
    b.run(8.0);
    assert_eq!(b.phase(), Phase::Committed);
    b.until("aborted", 8.0, |b| b.phase() == Phase::Aborted);
    assert!(b.texts().contains(&Reason::HeartbeatLost.to_string()));
}
