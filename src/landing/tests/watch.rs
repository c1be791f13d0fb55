//! The watched place: judged on every frame, near and far, high and low.

use rstest::rstest;

use super::scene::{Scene, disc, is_site, landing, one_look, pose};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::landing::{
    HoldReason, Landing, LandingConfig, LandingDecision, MonitorReason, Verdict, Watched,
};
use crate::time::MonoTime;

const HERE: GroundPoint = GroundPoint {
    north_m: 0.5,
    east_m: -0.3,
};

fn firm(_: GroundPoint) -> Surface {
    Surface::Firm
}

/// A frame from nearly above [`HERE`]: a little way off each time, so that no picture equals the one before.
fn frame(
    stage: &mut Landing,
    at_s: f64,
    height_m: f64,
    ground: impl Fn(GroundPoint) -> Surface,
) -> LandingDecision {
    let off = 0.02 * height_m * (at_s * 1.3).sin();
    let pose = pose(at_s, HERE.north_m + off, HERE.east_m - off, height_m);
    Scene::draw(pose, ground).step(stage)
}

fn watched(decision: &LandingDecision) -> Watched {
    decision.watched.expect("a place is watched")
}

/// A stage that has seen and confirmed open ground from 15 m, and watches [`HERE`]; and when the last frame was.
fn watching(config: LandingConfig) -> (Landing, f64) {
    let mut stage = landing(config);
    stage.watch(Some(HERE));
    for i in 0..4 {
        frame(&mut stage, f64::from(i) * 0.5, 15.0, firm);
    }
    (stage, 1.5)
}

#[test]
fn nothing_is_said_when_nothing_is_watched() {
    let mut stage = landing(one_look());
    assert!(frame(&mut stage, 0.0, 15.0, firm).watched.is_none());
    stage.watch(Some(GroundPoint {
        north_m: f64::NAN,
        east_m: 0.0,
    }));
    assert!(frame(&mut stage, 1.0, 15.0, firm).watched.is_none());
    stage.watch(Some(HERE));
    assert!(frame(&mut stage, 2.0, 15.0, firm).watched.is_some());
    let held = stage.hold(3, MonoTime::from_secs_f64(2.5), HoldReason::NoPose);
    assert!(held.watched.is_none(), "nothing can be said of this frame");
    assert!(frame(&mut stage, 3.0, 15.0, firm).watched.is_some());
    stage.watch(None);
    assert!(frame(&mut stage, 4.0, 15.0, firm).watched.is_none());
    stage.watch(Some(HERE));
    stage.start_new_map();
    assert!(frame(&mut stage, 5.0, 15.0, firm).watched.is_none());
}

#[test]
fn open_ground_is_clear_in_the_picture_and_go() {
    let (mut stage, at) = watching(LandingConfig::default());
    let decision = frame(&mut stage, at + 0.5, 15.0, firm);
    let w = watched(&decision);
    assert!(w.is_clear && w.in_picture, "{w:?}");
    assert_eq!(w.monitor, Verdict::Go);
    assert_eq!(
        (w.site.north_m, w.site.east_m),
        (HERE.north_m, HERE.east_m),
        "the place that was asked for"
    );
    assert!(w.site.confirmations >= 3 && w.site.clearance_m > 3.0 && w.site.px.is_some());
    assert!(is_site(&decision));
    assert_eq!(decision.site.map(|s| s.id), Some(w.site.id));
}

#[test]
fn the_watched_site_is_held_on_to_though_another_is_better() {
    // Grass beside trees where it is watched; wide and firm elsewhere.
    let ground = |g: GroundPoint| {
        if g.north_m < HERE.north_m - 1.6 {
            Surface::Vegetation
        } else if g.north_m > 2.5 {
            Surface::Firm
        } else {
            Surface::Soft
        }
    };
    let run = |watch: bool| {
        let mut stage = landing(one_look());
        stage.watch(Some(HERE));
        let first = frame(&mut stage, 0.0, 15.0, ground).site.unwrap().id;
        stage.watch(watch.then_some(HERE));
        let ids: Vec<u32> = (1..9)
            .map(|i| {
                frame(&mut stage, f64::from(i), 15.0, ground)
                    .site
                    .unwrap()
                    .id
            })
            .collect();
        ids.iter().filter(|id| **id == first).count()
    };
    assert_eq!(run(true), 8);
    assert!(run(false) < 8, "else the better place wins");
}

#[test]
fn a_person_who_walks_into_the_disc_is_seen_at_once_and_the_site_keeps_its_identity() {
    let (mut stage, at) = watching(LandingConfig::default());
    let before = watched(&frame(&mut stage, at + 0.5, 15.0, firm));
    let person = disc(Surface::Person, HERE.north_m + 0.6, HERE.east_m, 0.3);
    let decision = frame(&mut stage, at + 1.0, 15.0, person);
    let during = watched(&decision);
    assert!(!during.is_clear);
    assert_eq!(during.monitor, Verdict::Abort);
    assert!(during.monitor_reasons.contains(MonitorReason::Occupied));
    assert_eq!(during.site.id, before.site.id);
    assert_eq!(during.site.confirmations, 0);
    assert_ne!(decision.site.map(|s| s.id), Some(before.site.id));
    // Remembered for ten seconds, then clear again, and confirmed anew.
    let later = |stage: &mut Landing, s: f64| watched(&frame(stage, at + s, 15.0, firm));
    assert!(!later(&mut stage, 8.0).is_clear);
    assert_eq!(
        later(&mut stage, 8.5).monitor,
        Verdict::Go,
        "the monitor does not remember"
    );
    let after = later(&mut stage, 11.5);
    assert!(after.is_clear);
    assert_eq!(
        (after.site.id, after.site.confirmations),
        (before.site.id, 1)
    );
    assert_eq!(later(&mut stage, 12.0).site.confirmations, 2);
}

#[rstest]
#[case::people_floor(3.7, false)]
#[case::beyond_it(4.6, true)]
fn a_person_near_the_disc_takes_its_clearance(#[case] away_m: f64, #[case] is_clear: bool) {
    let (mut stage, at) = watching(one_look());
    let person = disc(Surface::Person, HERE.north_m, HERE.east_m + away_m, 0.2);
    let w = watched(&frame(&mut stage, at + 0.5, 15.0, person));
    assert_eq!(w.is_clear, is_clear, "{w:?}");
    assert!(!w.monitor_reasons.contains(MonitorReason::Occupied));
}

#[test]
fn the_whole_way_down_it_stays_clear_with_one_identity() {
    let (mut stage, start) = watching(LandingConfig::default());
    let first = watched(&frame(&mut stage, start + 0.5, 15.0, firm));
    let mut left_picture = false;
    for i in 0..=70 {
        // 15 m to 0.5 m in 17.5 s.
        let height_m = 15.0 - 14.5 * f64::from(i) / 70.0;
        let at = start + 1.0 + 0.25 * f64::from(i);
        let decision = frame(&mut stage, at, height_m, firm);
        let w = watched(&decision);
        assert!(w.is_clear, "{height_m}: {w:?}");
        assert_eq!(w.monitor, Verdict::Go, "{height_m}: {w:?}");
        assert_eq!(w.site.id, first.site.id);
        assert!(is_site(&decision), "{height_m}: {decision:?}");
        left_picture |= !w.in_picture;
    }
    assert!(left_picture);
}

#[rstest]
#[case(0.5)]
#[case(1.0)]
#[case(1.6)]
fn lower_than_the_disc_is_wide_what_is_in_the_picture_is_judged_for_as_long_as_it_takes(
    #[case] height_m: f64,
) {
    let (mut stage, start) = watching(one_look());
    for i in 1..60 {
        let at = start + 2.0 * f64::from(i);
        let w = watched(&frame(&mut stage, at, height_m, firm));
        assert!(w.is_clear && !w.in_picture, "{at}: {w:?}");
        assert_eq!(w.monitor, Verdict::Go, "{at}: {w:?}");
    }
    let person = disc(Surface::Person, HERE.north_m, HERE.east_m, 0.2);
    let w = watched(&frame(&mut stage, start + 121.0, height_m, person));
    assert!(!w.is_clear);
    assert!(w.monitor_reasons.contains(MonitorReason::Occupied));
}

#[test]
fn low_over_the_ground_a_person_is_remembered_outside_the_picture() {
    let (mut stage, start) = watching(one_look());
    let person = disc(Surface::Person, HERE.north_m + 3.0, HERE.east_m, 0.3);
    frame(&mut stage, start + 0.5, 15.0, person);
    for (after_s, is_clear) in [(1.0, false), (5.0, false), (10.0, false), (11.0, true)] {
        let w = watched(&frame(&mut stage, start + after_s, 1.0, firm));
        assert_eq!(w.is_clear, is_clear, "after {after_s} s: {w:?}");
    }
}

#[test]
fn low_over_ground_never_seen_before_it_is_not_clear() {
    let mut stage = landing(one_look());
    stage.watch(Some(HERE));
    for i in 0..4 {
        let w = watched(&frame(&mut stage, f64::from(i), 1.0, firm));
        assert!(!w.is_clear, "{w:?}");
    }
}

#[test]
fn a_disc_out_of_the_picture_is_remembered_and_then_forgotten() {
    let (mut stage, start) = watching(one_look());
    let mut away = |after_s: f64| {
        let pose = pose(start + after_s, HERE.north_m + 12.0, HERE.east_m, 15.0);
        watched(&Scene::draw(pose, firm).step(&mut stage))
    };
    away(5.0);
    let w = away(5.5);
    assert!(!w.in_picture && w.site.px.is_none());
    assert!(w.is_clear, "{w:?}");
    let w = away(40.0);
    assert!(!w.is_clear && w.monitor_reasons.contains(MonitorReason::LowBelief));
}

#[test]
fn part_of_a_disc_at_the_pictures_edge_is_looked_at() {
    let (mut stage, start) = watching(one_look());
    // From 15 m the picture reaches 7 m to the south of the vehicle.
    let pose = pose(start + 0.5, HERE.north_m + 6.8, HERE.east_m, 15.0);
    let person = disc(Surface::Person, HERE.north_m + 0.5, HERE.east_m, 0.2);
    let w = watched(&Scene::draw(pose, person).step(&mut stage));
    assert!(!w.in_picture && !w.is_clear);
    assert!(w.monitor_reasons.contains(MonitorReason::Occupied), "{w:?}");
}

#[test]
fn a_black_frame_is_a_wait() {
    let (mut stage, start) = watching(one_look());
    let mut scene = Scene::draw(pose(start + 0.5, HERE.north_m, HERE.east_m, 15.0), firm);
    scene.picture.fill(0);
    let decision = scene.step(&mut stage);
    let w = watched(&decision);
    assert!(w.monitor >= Verdict::Wait);
    assert!(w.monitor_reasons.contains(MonitorReason::BlackFrame));
    assert!(!is_site(&decision));
}

#[rstest]
#[case::far(1e9)]
#[case::huge(1e300)]
#[case::beside_the_map(80.0)]
fn a_place_off_the_map_is_not_clear(#[case] north_m: f64) {
    let mut stage = landing(one_look());
    stage.watch(Some(GroundPoint {
        north_m,
        east_m: 0.0,
    }));
    let w = watched(&frame(&mut stage, 0.0, 15.0, firm));
    assert!(
        !w.is_clear && !w.in_picture && w.monitor > Verdict::Go,
        "{w:?}"
    );
}
