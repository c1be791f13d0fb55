//! Several frames: what is remembered, forgotten, confirmed and kept.

use super::scene::{Scene, disc, distance_to, is_site, landing, one_look, pose};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::landing::{
    HoldReason, Landing, LandingConfig, LandingDecision, MonitorReason, Outcome, SiteReject,
};
use crate::time::MonoTime;

fn fly(
    stage: &mut Landing,
    at_s: f64,
    north_m: f64,
    ground: impl Fn(GroundPoint) -> Surface,
) -> LandingDecision {
    Scene::draw(pose(at_s, north_m, 0.0, 15.0), ground).step(stage)
}

/// A little way a frame, so that no picture equals the one before.
fn drift(i: u32) -> (f64, f64) {
    (f64::from(i), 0.3 * f64::from(i))
}

fn firm(_: GroundPoint) -> Surface {
    Surface::Firm
}

#[test]
fn three_good_looks_confirm_a_site_and_it_keeps_its_identity() {
    let mut stage = landing(LandingConfig::default());
    let mut ids = Vec::new();
    for i in 0..6 {
        let (at, north) = drift(i);
        let decision = fly(&mut stage, at, north, firm);
        ids.push(decision.site.unwrap().id);
        if i < 2 {
            assert_eq!(
                decision.outcome,
                Outcome::Hold(HoldReason::NotConfirmed),
                "{i}"
            );
        } else {
            assert!(is_site(&decision), "{i}: {decision:?}");
        }
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_person_on_the_site_ends_it_at_once() {
    let mut stage = landing(one_look());
    let first = fly(&mut stage, 0.0, 0.0, firm);
    let site = first.site.unwrap();
    let second = fly(
        &mut stage,
        1.0,
        0.3,
        disc(Surface::Person, site.north_m, site.east_m, 0.3),
    );
    assert_ne!(second.site.map(|s| s.id), Some(site.id));
    assert!(second.site.is_none() || distance_to(&second, site.north_m, site.east_m) >= 4.2);
}

#[test]
fn a_person_seen_once_is_remembered_and_then_forgotten() {
    let mut stage = landing(one_look());
    fly(&mut stage, 0.0, 0.0, disc(Surface::Person, 0.0, 0.0, 0.4));
    for i in 1..=9 {
        let (at, north) = drift(i);
        let decision = fly(&mut stage, at, north, firm);
        assert!(
            decision.rejected.get(SiteReject::NearPerson) > 0,
            "after {at} s"
        );
        assert!(distance_to(&decision, 0.0, 0.0) >= 4.3);
    }
    let decision = fly(&mut stage, 10.5, 2.8, firm);
    assert_eq!(decision.rejected.get(SiteReject::NearPerson), 0);
}

#[test]
fn ground_not_seen_for_long_is_unknown_again() {
    let mut stage = landing(one_look());
    fly(&mut stage, 0.0, 0.0, firm);
    let mut scene = Scene::draw(pose(120.0, 0.0, 0.0, 2.0), firm);
    // The network sees nothing usable, so nothing is refreshed but the middle.
    scene.segmentation.surfaces.fill(0.0);
    let decision = scene.step(&mut stage);
    assert!(decision.site.is_none());
    assert!(decision.rejected.get(SiteReject::Unknown) > 0);
    assert_eq!(decision.rejected.get(SiteReject::OutsidePicture), 0);
}

#[test]
fn remembered_ground_outside_the_picture_is_not_a_new_site() {
    let mut stage = landing(one_look());
    fly(&mut stage, 0.0, 0.0, firm);
    let decision = fly(&mut stage, 1.0, 6.0, firm);
    assert!(
        decision.rejected.get(SiteReject::OutsidePicture) > 0,
        "{decision:?}"
    );
}

#[test]
fn a_confirmed_site_out_of_the_picture_has_no_pixel() {
    let mut config = one_look();
    config.select.search_margin_m = 8.0;
    config.track.switch_looks = 1000;
    config.track.drift_per_metre = 0.0;
    let mut stage = landing(config);
    let first = fly(&mut stage, 0.0, 0.0, firm).site.unwrap();
    let second = fly(&mut stage, 1.0, first.north_m + 7.5, firm)
        .site
        .unwrap();
    assert_eq!(second.id, first.id);
    assert!(second.px.is_none() && first.px.is_some());
}

#[test]
fn a_little_better_place_does_not_make_it_switch() {
    let mut stage = landing(one_look());
    let first = fly(&mut stage, 0.0, 0.0, firm).site.unwrap();
    for i in 1..6 {
        let (at, north) = drift(i);
        assert_eq!(fly(&mut stage, at, north, firm).site.unwrap().id, first.id);
    }
}

#[test]
fn a_clearly_better_place_wins_after_some_looks() {
    let narrow = |g: GroundPoint| {
        if g.north_m > 1.6 || g.north_m < -1.6 {
            Surface::Vegetation
        } else {
            Surface::Soft
        }
    };
    let wide = |g: GroundPoint| {
        if g.north_m < -1.6 {
            Surface::Vegetation
        } else if g.north_m > 1.6 {
            Surface::Firm
        } else {
            Surface::Soft
        }
    };
    let mut stage = landing(one_look());
    let first = fly(&mut stage, 0.0, 0.0, narrow).site.unwrap();
    let ids: Vec<u32> = (1..12)
        .map(|i| {
            let (at, north) = drift(i);
            fly(&mut stage, at, north, wide).site.unwrap().id
        })
        .collect();
    assert_eq!(ids[0], first.id, "not at the first look");
    assert_ne!(ids[10], first.id, "{ids:?}");
    let changes = ids.windows(2).filter(|w| w[0] != w[1]).count();
    assert!(changes <= 2, "{ids:?}");
}

#[test]
fn a_new_map_forgets_sites_and_people() {
    let mut stage = landing(one_look());
    let first = fly(&mut stage, 0.0, 0.0, disc(Surface::Person, 0.0, 0.0, 0.4));
    stage.start_new_map();
    let second = fly(&mut stage, 1.0, 0.3, firm);
    assert_eq!(second.rejected.get(SiteReject::NearPerson), 0);
    assert!(
        second.site.unwrap().id > first.site.unwrap().id,
        "identities are not used again"
    );
}

#[test]
fn a_held_frame_says_why_and_keeps_the_sites() {
    let mut stage = landing(LandingConfig::default());
    for i in 0..3 {
        let (at, north) = drift(i);
        fly(&mut stage, at, north, firm);
    }
    let held = stage
        .hold(9, MonoTime::from_secs_f64(3.0), HoldReason::NoPose)
        .clone();
    assert_eq!(
        (held.seq, held.outcome),
        (9, Outcome::Hold(HoldReason::NoPose))
    );
    assert!(held.site.is_none());
    assert!(is_site(&fly(&mut stage, 4.0, 1.2, firm)));
}

#[test]
fn the_same_picture_again_is_frozen() {
    let mut stage = landing(one_look());
    assert!(is_site(&fly(&mut stage, 0.0, 0.0, firm)));
    let again = fly(&mut stage, 1.0, 0.0, firm);
    assert_eq!(again.outcome, Outcome::Hold(HoldReason::MonitorWait));
    assert!(again.monitor_reasons.contains(MonitorReason::FrozenFrame));
}

#[test]
fn the_same_frames_give_the_same_bytes() {
    let run = || {
        let mut stage = landing(LandingConfig::default());
        let decisions: Vec<String> = (0..6)
            .map(|i| {
                let (at, north) = drift(i);
                let ground = disc(Surface::Water, 1.0, 2.0, 1.5);
                format!("{:?}", fly(&mut stage, at, north, ground))
            })
            .collect();
        (decisions, stage.snapshot().clearance_m)
    };
    assert_eq!(run(), run());
}
