//! One frame, one decision.

use rstest::rstest;

use super::scene::{Scene, disc, distance_to, is_site, landing, one_look, pose, view_of};
use crate::geometry::{CameraModel, CameraMount, GroundPoint, Rotation, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::landing::{HoldReason, MonitorReason, Outcome, SiteReject, SiteState, Verdict};

#[test]
fn open_ground_gives_a_confirmed_site_below_the_vehicle() {
    let decision = Scene::plain(Surface::Firm).step(&mut landing(one_look()));
    assert!(is_site(&decision), "{decision:?}");
    let site = decision.site.unwrap();
    assert_eq!(
        (site.state, site.surface),
        (SiteState::Confirmed, Surface::Firm)
    );
    assert!(distance_to(&decision, 0.0, 0.0) < 3.0, "{site:?}");
    assert!(site.belief > 0.95 && site.clearance_m > 3.0);
    assert_eq!(decision.monitor, Verdict::Go);
    assert!(decision.monitor_reasons.is_empty());
}

#[rstest]
#[case(Surface::Vegetation)]
#[case(Surface::Structure)]
#[case(Surface::Water)]
#[case(Surface::Vehicle)]
#[case(Surface::Person)]
#[case(Surface::Obstacle)]
#[case(Surface::Unknown)]
fn dangerous_ground_everywhere_is_a_hold(#[case] surface: Surface) {
    let decision = Scene::plain(surface).step(&mut landing(one_look()));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoCandidate));
    assert!(decision.site.is_none() && decision.alternates.is_empty());
}

#[rstest]
#[case(Surface::Person, 3.0, SiteReject::NearPerson)]
#[case(Surface::Vehicle, 1.0, SiteReject::NearVehicle)]
#[case(Surface::Water, 1.0, SiteReject::NearWater)]
#[case(Surface::Structure, 1.0, SiteReject::NearStructure)]
#[case(Surface::Vegetation, 0.5, SiteReject::NearVegetation)]
#[case(Surface::Obstacle, 0.5, SiteReject::NearObstacle)]
fn every_offered_place_keeps_the_buffer_and_the_disc_off_the_hazard(
    #[case] kind: Surface,
    #[case] buffer_m: f64,
    #[case] reason: SiteReject,
) {
    let decision = Scene::with_disc(kind, 0.0, 0.0, 0.5).step(&mut landing(one_look()));
    assert!(is_site(&decision));
    assert!(decision.rejected.get(reason) > 0);
    for site in decision.site.iter().chain(&decision.alternates) {
        let gap = site.north_m.hypot(site.east_m) - 0.5;
        // Half a cell: the hazard's border runs through cells.
        assert!(gap >= 1.0 + buffer_m - 0.1, "{kind:?} {gap}: {site:?}");
    }
}

#[rstest]
#[case(3.0)]
#[case(4.0)]
fn the_buffer_is_honoured_to_the_cell(#[case] buffer_m: f64) {
    // A strip of people in the west: rejected cells reach exactly buffer + disc from its edge.
    let mut config = one_look();
    config.hazard.people_floor_m = buffer_m;
    let scene = Scene::draw(pose(0.0, 0.0, 0.0, 15.0), |g| {
        if g.east_m < -6.0 {
            Surface::Person
        } else {
            Surface::Firm
        }
    });
    let mut stage = landing(config);
    scene.step(&mut stage);
    let map = stage.snapshot();
    let row = map.height / 2;
    for c in 0..map.width {
        let i = row * map.width + c;
        let east = map.east_min_m + (c as f64 + 0.5) * map.cell_m;
        if map.surface[i] == Surface::Firm as u8 {
            let expected = (east + 6.0 - buffer_m).max(0.0);
            let edge = 10.5 - east;
            let clear = f64::from(map.clearance_m[i]);
            // One cell for the strip's border, and the picture's edge may be nearer.
            assert!(clear <= expected + 1e-3, "{east}: {clear} > {expected}");
            assert!(
                clear >= expected.min(edge).min(7.0) - 0.41 || edge < 0.5,
                "{east}: {clear} < {expected}"
            );
        }
    }
}

#[test]
fn a_person_smaller_than_a_cell_is_not_averaged_away() {
    // 9 cm: less than a segmentation pixel or two, a fifth of a cell.
    let scene = Scene::with_disc(Surface::Person, 0.03, 0.03, 0.09);
    let mut config = one_look();
    config.hazard.person_least_m2 = 0.0;
    let decision = scene.step(&mut landing(config));
    assert!(
        decision.rejected.get(SiteReject::NearPerson) > 500,
        "{decision:?}"
    );
    assert!(distance_to(&decision, 0.0, 0.0) >= 3.9);
    // Nobody is that small: by default it is an obstacle.
    let decision = scene.step(&mut landing(one_look()));
    assert_eq!(decision.rejected.get(SiteReject::NearPerson), 0);
    assert!(decision.rejected.get(SiteReject::NearObstacle) > 50);
}

#[test]
fn alternates_are_kept_apart_and_inside_the_picture() {
    let decision = Scene::plain(Surface::Soft).step(&mut landing(one_look()));
    assert_eq!(decision.alternates.len(), 3);
    let sites: Vec<_> = decision.site.iter().chain(&decision.alternates).collect();
    for (i, a) in sites.iter().enumerate() {
        let [x, y] = a.px.unwrap();
        let r = a.radius_px;
        assert!(x >= r && y >= r && x + r <= 384.0 && y + r <= 256.0);
        for b in &sites[..i] {
            assert!((a.north_m - b.north_m).hypot(a.east_m - b.east_m) >= 2.99);
        }
    }
}

#[test]
fn places_away_from_people_are_preferred_also_when_they_are_out_of_view() {
    let person = |height_m, at_s| {
        Scene::draw(pose(at_s, 0.0, 0.0, height_m), |g| {
            if g.north_m.hypot(g.east_m - 12.0) < 0.6 {
                Surface::Person
            } else {
                Surface::Firm
            }
        })
    };
    let chosen = |people_cost| {
        let mut config = one_look();
        config.select.people_cost = people_cost;
        let mut stage = landing(config);
        let seen = person(30.0, 0.0).step(&mut stage);
        // From here the picture ends 1.5 m before the person, whom the map has forgotten.
        let unseen = person(15.0, 20.0).step(&mut stage);
        [seen, unseen].map(|d| 12.0 - d.site.unwrap().east_m)
    };
    let (near, far) = (chosen(0.0), chosen(0.5));
    for (near_m, far_m) in near.into_iter().zip(far) {
        assert!(near_m < 13.0 && far_m > near_m + 2.0, "{near:?} {far:?}");
    }
}

#[test]
fn firm_ground_is_preferred_to_soft() {
    let scene = Scene::draw(pose(0.0, 0.0, 0.0, 15.0), |g| {
        if g.east_m > 0.0 {
            Surface::Firm
        } else {
            Surface::Soft
        }
    });
    let decision = scene.step(&mut landing(one_look()));
    assert_eq!(decision.site.unwrap().surface, Surface::Firm);
}

#[test]
fn one_to_one_rule_keeps_the_height_from_people() {
    let mut config = one_look();
    config.hazard.people_one_to_one = true;
    let scene = Scene::with_disc(Surface::Person, 0.0, 0.0, 0.4);
    let decision = scene.step(&mut landing(config));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoCandidate));
}

#[rstest]
#[case::no_height(0.0)]
#[case::below_ground(-5.0)]
#[case::not_a_number(f64::NAN)]
#[case::infinite(f64::INFINITY)]
fn without_a_height_no_claim_is_made(#[case] height_m: f64) {
    let mut scene = Scene::plain(Surface::Firm);
    scene.view = view_of(pose(0.0, 0.0, 0.0, height_m));
    let decision = scene.step(&mut landing(one_look()));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoPose));
}

#[rstest]
#[case::a_hand(0.3)]
#[case::low(2.0)]
#[case::high(60.0)]
#[case::very_high(3000.0)]
fn odd_heights_do_not_panic(#[case] height_m: f64) {
    let scene = Scene::draw(pose(0.0, 0.0, 0.0, height_m), |_| Surface::Firm);
    let decision = scene.step(&mut landing(one_look()));
    if !(1.0..=1000.0).contains(&height_m) {
        assert!(!is_site(&decision), "{decision:?}");
    }
}

#[test]
fn empty_and_broken_segmentation_is_a_hold() {
    let whole = Scene::plain(Surface::Firm);
    let mut empty = Scene::plain(Surface::Firm);
    empty.segmentation = SegmentationMap::default();
    let mut short = Scene::plain(Surface::Firm);
    short.segmentation.surfaces.truncate(100);
    for scene in [empty, short] {
        let decision = scene.step(&mut landing(one_look()));
        assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoSegmentation));
    }
    for bad in [f32::NAN, f32::INFINITY, -1.0, 0.0] {
        let mut scene = Scene::plain(Surface::Firm);
        scene.segmentation.surfaces.fill(bad);
        assert!(!is_site(&scene.step(&mut landing(one_look()))), "{bad}");
    }
    assert!(is_site(&whole.step(&mut landing(one_look()))));
}

#[test]
fn a_tilted_camera_still_puts_the_hazard_where_it_is() {
    let mut tilted = pose(0.0, 0.0, 0.0, 15.0);
    tilted.ned_from_frd = Rotation::from_roll_pitch_yaw(0.15, -0.2, 0.8);
    let view = view_of(tilted);
    let centre = view
        .ground_from_pixel(crate::geometry::Pixel { x: 192.0, y: 128.0 })
        .unwrap();
    let scene = Scene::draw(
        tilted,
        disc(Surface::Person, centre.north_m, centre.east_m, 0.4),
    );
    let decision = scene.step(&mut landing(one_look()));
    assert!(is_site(&decision), "{decision:?}");
    assert!(distance_to(&decision, centre.north_m, centre.east_m) >= 4.3);
}

#[test]
fn a_view_to_the_horizon_is_no_pose() {
    let mut scene = Scene::plain(Surface::Firm);
    let mut up = pose(0.0, 0.0, 0.0, 15.0);
    up.ned_from_frd = Rotation::from_roll_pitch_yaw(0.0, std::f64::consts::FRAC_PI_2, 0.0);
    let camera = CameraModel::from_hfov(384, 256, 70.0).unwrap();
    scene.view = View::new(camera, &CameraMount::nadir(), up);
    let decision = scene.step(&mut landing(one_look()));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoPose));
}

#[test]
fn an_unsure_position_needs_more_room() {
    let lane = |g: GroundPoint| {
        if g.east_m.abs() < 2.1 {
            Surface::Firm
        } else {
            Surface::Structure
        }
    };
    let sure = Scene::draw(pose(0.0, 0.0, 0.0, 15.0), lane);
    assert!(is_site(&sure.step(&mut landing(one_look()))));
    let mut unsure = pose(0.0, 0.0, 0.0, 15.0);
    unsure.position_sd_m = 1.0;
    let decision = Scene::draw(unsure, lane).step(&mut landing(one_look()));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::NoCandidate));
}

#[test]
fn the_monitor_objects_to_a_wrong_range_and_says_so() {
    let mut scene = Scene::plain(Surface::Firm);
    scene.range_m = Some(15.5);
    assert!(is_site(&scene.step(&mut landing(one_look()))));
    scene.range_m = Some(8.0);
    let decision = scene.step(&mut landing(one_look()));
    assert_eq!(decision.outcome, Outcome::Hold(HoldReason::MonitorAbort));
    assert!(
        decision
            .monitor_reasons
            .contains(MonitorReason::RangeDisagrees)
    );
    assert!(
        decision.site.is_some(),
        "it is still shown what is being watched"
    );
}

#[test]
fn every_reason_for_a_rejection_is_reached() {
    let kinds = [
        Surface::Person,
        Surface::Vehicle,
        Surface::Water,
        Surface::Structure,
        Surface::Vegetation,
        Surface::Obstacle,
        Surface::Unknown,
    ];
    let mut seen = Vec::new();
    for kind in kinds {
        let decision = Scene::with_disc(kind, 1.0, 1.0, 0.5).step(&mut landing(one_look()));
        seen.extend(decision.rejected.iter().map(|(r, _)| r));
    }
    // Doubtful ground, no cell of which is a hazard by itself.
    let mut doubt = Scene::plain(Surface::Firm);
    for pixel in doubt.segmentation.surfaces.chunks_exact_mut(Surface::COUNT) {
        pixel.copy_from_slice(&super::scene::sure_of(Surface::Firm, 0.72));
    }
    let decision = doubt.step(&mut landing(one_look()));
    assert!(!is_site(&decision));
    seen.extend(decision.rejected.iter().map(|(r, _)| r));
    // Remembered ground beside the picture.
    let mut stage = landing(one_look());
    Scene::plain(Surface::Firm).step(&mut stage);
    let beside = Scene::draw(pose(1.0, 6.0, 0.0, 15.0), |_| Surface::Firm).step(&mut stage);
    seen.extend(beside.rejected.iter().map(|(r, _)| r));
    for reason in SiteReject::ALL {
        assert!(seen.contains(&reason), "{reason:?}");
    }
}

#[test]
fn every_cell_searched_is_counted_at_most_once() {
    let mut stage = landing(one_look());
    let decision = Scene::with_disc(Surface::Water, 1.0, 1.0, 2.0).step(&mut stage);
    let map = stage.snapshot();
    let counted: u32 = decision.rejected.iter().map(|(_, n)| n).sum();
    assert!(counted > 1000 && counted as usize <= map.width * map.height);
    assert_eq!(map.surface.len(), map.clearance_m.len());
}

#[test]
fn the_snapshot_has_north_up() {
    let mut stage = landing(one_look());
    let scene = Scene::draw(pose(0.0, 0.0, 0.0, 15.0), |g| {
        if g.north_m > 2.0 {
            Surface::Water
        } else {
            Surface::Firm
        }
    });
    scene.step(&mut stage);
    let map = stage.snapshot();
    let at = |north: f64, east: f64| {
        let row = ((map.north_max_m - north) / map.cell_m) as usize;
        let column = ((east - map.east_min_m) / map.cell_m) as usize;
        row * map.width + column
    };
    assert_eq!(map.surface[at(4.0, 0.0)], Surface::Water as u8);
    assert_eq!(map.surface[at(-1.0, 0.0)], Surface::Firm as u8);
    assert!(map.clearance_m[at(4.0, 0.0)].abs() < 1e-6);
    // Three metres to the water, less its buffer of half a metre.
    assert!((map.clearance_m[at(-1.0, 0.0)] - 2.5).abs() < 0.25);
}
