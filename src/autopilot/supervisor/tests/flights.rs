//! Whole landings.

use super::super::Phase;
use super::bench::{Bench, Said, command_config};
use crate::autopilot::commands::Command;
use crate::vehicle::{AutopilotKind, HeightSource, Mode};
use rstest::rstest;

#[rstest]
#[case::ardupilot(AutopilotKind::ArduPilot, 30.0)]
#[case::px4(AutopilotKind::Px4, 30.0)]
#[case::high(AutopilotKind::ArduPilot, 60.0)]
#[case::below_the_commit_height(AutopilotKind::Px4, 7.0)]
fn a_confirmed_site_is_landed_on(#[case] kind: AutopilotKind, #[case] height_m: f64) {
    let mut b = Bench::new(command_config(), kind);
    b.position[2] = -height_m;
    b.offer = Some((10.0, -5.0));
    b.start();
    b.until("landed", 120.0, |b| b.phase() == Phase::Landed);
    let miss_m = (b.position[0] - 10.0).hypot(b.position[1] + 5.0);
    assert!(miss_m < 0.1, "{miss_m}");
    let tally = b.supervisor.tally();
    assert_eq!((tally.aborts, tally.holds, tally.reroutes), (0, 0, 0));
    assert_eq!((tally.starts, tally.landings), (1, 1));
    assert!(b.t - 100.0 < 90.0, "{}", b.t);
    let expected = match kind {
        AutopilotKind::Px4 => Mode::PrecLand,
        _ => Mode::Land,
    };
    let modes: Vec<_> = b
        .log
        .iter()
        .filter_map(|(_, c)| match c {
            Command::SetMode(mode) => Some(*mode),
            _ => None,
        })
        .collect();
    assert_eq!(modes, [Mode::Guided, expected]);
    assert!(b.texts().contains("landed at N10.0 E-5.0"), "{}", b.texts());
    assert_eq!(b.supervisor.engaged_mark(), None);
}

#[test]
fn px4_is_given_a_stream_of_setpoints_before_the_mode() {
    let mut b = Bench::new(command_config(), AutopilotKind::Px4);
    b.start();
    b.until("offboard", 5.0, |b| b.mode == Mode::Guided);
    let setpoints = b
        .log
        .iter()
        .filter(|(_, c)| matches!(c, Command::GoTo(_)))
        .count();
    assert!(setpoints >= 8, "{setpoints}");
}

#[test]
fn the_target_stream_runs_at_10_to_20_hertz() {
    let mut b = super::bench::reach("committed");
    let from = b.log.len();
    b.run(4.0);
    let samples = b.log[from..]
        .iter()
        .filter(|(_, c)| matches!(c, Command::Target(_)))
        .count();
    assert!((40..=80).contains(&samples), "{samples}");
}

#[test]
fn without_a_range_sensor_it_commits_higher() {
    let mut config = command_config();
    config.engage.allow_relative_altitude = true;
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.height_source = HeightSource::RelativeAltitude;
    b.height_sd_m = 3.0;
    b.offer = Some((2.0, 2.0));
    b.start();
    b.until("land", 60.0, |b| b.mode == Mode::Land);
    assert!((17.5..=19.0).contains(&b.height_m()), "{}", b.height_m());
    b.until("landed", 60.0, |b| b.phase() == Phase::Landed);
}

#[test]
fn the_last_metres_go_on_without_a_picture_of_the_whole_disc() {
    let mut b = super::bench::reach("committed");
    let [_, _, blind_m] = b.supervisor.heights_m();
    b.until("low", 60.0, |b| b.height_m() < blind_m);
    b.said = Said::OutOfPicture;
    b.run(1.3);
    let from = b.log.len();
    b.until("landed", 60.0, |b| b.phase() == Phase::Landed);
    let is_sample = |(_, c): &(f64, Command)| matches!(c, Command::Target(_));
    assert!(!b.log[from..].iter().any(is_sample));
    assert_eq!(b.supervisor.tally().aborts, 0);
}

#[rstest::rstest]
#[case::low(AutopilotKind::ArduPilot, None, true, false)]
#[case::high(AutopilotKind::ArduPilot, Some(8.5), true, true)]
#[case::without_range(AutopilotKind::ArduPilot, None, false, true)]
#[case::px4(AutopilotKind::Px4, None, true, true)]
fn a_landing_mode_is_shown_the_target_where_it_needs_it(
    #[case] kind: AutopilotKind,
    #[case] land_height_m: Option<f64>,
    #[case] has_range: bool,
    #[case] is_shown: bool,
) {
    let mut config = command_config();
    config.descent.land_height_m = land_height_m;
    config.engage.allow_relative_altitude = true;
    let mut b = Bench::new(config, kind);
    if !has_range {
        b.height_source = HeightSource::RelativeAltitude;
        b.height_sd_m = 2.0;
    }
    b.offer = Some((2.0, 2.0));
    b.start();
    b.until("landed", 90.0, |b| b.phase() == Phase::Landed);
    let is_sample = |(_, c): &(f64, Command)| matches!(c, Command::Target(_));
    assert_eq!(b.log.iter().any(is_sample), is_shown);
}
