use sha2::{Digest as _, Sha256};

use super::*;

fn small(seed: u64) -> World {
    World::drawn(&DrawnSpec {
        seed,
        width: 240,
        height: 160,
        metres_per_pixel: 0.11,
    })
}

/// Grass, with one pixel of `index` at column 60, row 20; 0.1 m a pixel, 10 m by 8 m.
fn lawn_with(index: u8) -> World {
    let mut world = small(1);
    world.picture = RgbImage::new(100, 80);
    world.truth = GrayImage::from_pixel(100, 80, image::Luma([3]));
    world.truth.put_pixel(60, 20, image::Luma([index]));
    world.metres_per_pixel = 0.1;
    world.origin_px = [50.0, 40.0];
    world
}

#[test]
fn a_seed_gives_the_same_bytes_again_and_another_seed_others() {
    let hash = |seed| {
        let world = small(seed);
        let mut hasher = Sha256::new();
        hasher.update(world.picture.as_raw());
        hasher.update(world.truth.as_raw());
        hasher.finalize().to_vec()
    };
    let hashes: Vec<_> = (1..8).map(hash).collect();
    assert_eq!(hashes[0], hash(1));
    for (i, h) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(h), "seed {} repeats another", i + 1);
    }
}

#[test]
fn picture_and_truth_have_the_size_that_was_asked_for() {
    let world = small(5);
    assert_eq!(world.picture.dimensions(), (240, 160));
    assert_eq!(world.truth.dimensions(), (240, 160));
    assert!(world.truth.pixels().all(|p| world.class(p.0[0]).is_some()));
}

#[test]
fn forty_seeds_show_every_class_and_mostly_enough_ground_to_land_on() {
    let mut seen = [0_u64; 256];
    let mut shares = Vec::new();
    for seed in 0..40 {
        let world = small(1_000_000 + seed);
        let mut landable = 0_u64;
        for p in world.truth.pixels() {
            seen[usize::from(p.0[0])] += 1;
            landable += u64::from(world.class(p.0[0]).unwrap().surface.is_landable());
        }
        shares.push(landable as f64 / f64::from(240 * 160));
    }
    for (i, (name, _, _)) in SEMANTIC_DRONE.iter().enumerate() {
        let drawn = !["unlabeled", "conflicting"].contains(name);
        assert_eq!(seen[i] > 0, drawn, "{name}: {} pixels", seen[i]);
    }
    let mean = shares.iter().sum::<f64>() / 40.0;
    assert!((0.25..0.85).contains(&mean), "mean landable share {mean}");
    let usual = shares.iter().filter(|s| (0.25..0.97).contains(*s)).count();
    assert!(usual >= 36, "{shares:?}");
}

#[test]
fn a_scene_has_a_sun_and_is_neither_black_nor_white() {
    let world = small(3);
    assert!(world.shadow.depth > 0.0 && world.shadow.right.hypot(world.shadow.down) > 0.3);
    let mean = world
        .picture
        .as_raw()
        .iter()
        .map(|&b| f64::from(b))
        .sum::<f64>()
        / (240.0 * 160.0 * 3.0);
    assert!((40.0..200.0).contains(&mean), "mean brightness {mean}");
}

#[test]
fn the_centre_is_the_origin_and_up_is_north() {
    let world = lawn_with(15);
    let g = world.ground_from_pixel(Pixel { x: 60.5, y: 20.5 });
    assert!(
        (g.north_m - 1.95).abs() < 1e-9 && (g.east_m - 1.05).abs() < 1e-9,
        "{g:?}"
    );
    assert_eq!(world.truth_at(g).unwrap().name, "person");
}

#[test]
fn origin_and_north_of_a_file_move_and_turn_the_world() {
    let mut world = lawn_with(15);
    world.origin_px = [60.5, 20.5];
    // The top of the picture is east: a step to the picture's right goes south.
    world.north_deg = 90.0;
    let g = world.ground_from_pixel(Pixel { x: 70.5, y: 20.5 });
    assert!(
        (g.north_m + 1.0).abs() < 1e-9 && g.east_m.abs() < 1e-9,
        "{g:?}"
    );
    let g = world.ground_from_pixel(Pixel { x: 60.5, y: 10.5 });
    assert!(
        g.north_m.abs() < 1e-9 && (g.east_m - 1.0).abs() < 1e-9,
        "{g:?}"
    );
}

#[test]
fn looking_up_and_back_is_the_identity() {
    let mut world = lawn_with(3);
    for north_deg in [0.0, 33.0, 181.0, -90.0] {
        world.north_deg = north_deg;
        for (north_m, east_m) in [(0.0, 0.0), (3.0, -2.5), (-17.0, 40.0)] {
            let g = GroundPoint { north_m, east_m };
            let back = world.ground_from_pixel(world.pixel_from_ground(g));
            assert!((back.north_m - north_m).abs() < 1e-9 && (back.east_m - east_m).abs() < 1e-9);
        }
    }
}

#[test]
fn outside_the_picture_and_without_a_class_nothing_is_known() {
    let mut world = lawn_with(99);
    assert!(
        world
            .truth_at(world.ground_from_pixel(Pixel { x: -0.1, y: 5.0 }))
            .is_none()
    );
    assert!(
        world
            .truth_at(world.ground_from_pixel(Pixel { x: 5.0, y: 80.1 }))
            .is_none()
    );
    assert!(
        world
            .truth_at(world.ground_from_pixel(Pixel { x: 60.5, y: 20.5 }))
            .is_none()
    );
    world.classes.clear();
    assert!(!world.is_landable(
        GroundPoint {
            north_m: 0.0,
            east_m: 0.0
        },
        0.5
    ));
}

#[test]
fn one_bad_pixel_spoils_every_disc_that_touches_it() {
    let world = lawn_with(22);
    // The pixel spans 1.0..1.1 m east and 1.9..2.0 m north.
    let at = |north_m, east_m| GroundPoint { north_m, east_m };
    assert!(world.is_landable(at(0.0, 1.05), 1.89));
    assert!(!world.is_landable(at(0.0, 1.05), 1.91));
    assert!(world.is_landable(at(-1.0, -2.0), 1.0));
    assert!(
        !world.is_landable(at(3.5, 0.0), 0.6),
        "beyond the picture's upper edge"
    );
    assert!(!world.is_landable(at(f64::NAN, 0.0), 0.6));
}

#[test]
fn the_nearest_person_is_a_pixel_or_a_mover() {
    let mut world = lawn_with(15);
    let here = GroundPoint {
        north_m: 0.0,
        east_m: 1.05,
    };
    let drawn = world.person_distance_m(here, 0.0, 5.0).unwrap();
    assert!((drawn - 1.9).abs() < 1e-9, "{drawn}");
    assert_eq!(world.person_distance_m(here, 0.0, 1.8), None);
    world.movers.push(Mover {
        kind: MoverKind::Person,
        path_px: vec![[60.5, 90.0], [60.5, 0.0]],
        speed_mps: 1.0,
        start_s: 0.0,
    });
    // After 4 s the walker is at row 50: one metre south.
    let near = world.person_distance_m(here, 4.0, 5.0).unwrap();
    assert!((near - 1.0).abs() < 1e-9, "{near}");
    let walker = world.mover_positions(4.0)[0];
    assert!(
        walker.heading_rad.abs() < 1e-9,
        "walks north: {}",
        walker.heading_rad
    );
}

#[test]
fn the_worst_surface_under_a_disc_counts() {
    // A roof pixel 1 m east and 2 m north of the origin, on grass.
    let mut world = lawn_with(9);
    let at = |north_m: f64, east_m: f64| GroundPoint { north_m, east_m };
    assert_eq!(world.worst_surface(at(0.0, 0.0), 0.5, 0.0), Surface::Soft);
    assert_eq!(
        world.worst_surface(at(2.0, 0.6), 0.5, 0.0),
        Surface::Structure
    );
    assert_eq!(
        world.worst_surface(at(90.0, 0.0), 0.5, 0.0),
        Surface::Unknown
    );
    world.movers.push(Mover {
        kind: MoverKind::Vehicle,
        path_px: vec![[50.0, 40.0], [50.0, 20.0]],
        speed_mps: 1.0,
        start_s: 0.0,
    });
    // It faces north at the origin: 2.1 m ahead, 0.85 m to the side.
    assert!(world.is_on_vehicle(at(2.5, 0.0), 0.5, 0.0));
    assert!(!world.is_on_vehicle(at(0.0, 1.6), 0.5, 0.0));
    assert_eq!(
        world.worst_surface(at(0.0, 1.0), 0.5, 0.0),
        Surface::Vehicle
    );
    assert!(
        !world.is_on_vehicle(at(-2.5, 0.0), 0.5, 1.0),
        "it drives on"
    );
}

#[test]
fn a_vehicle_is_no_person() {
    let mut world = lawn_with(3);
    world.movers.push(Mover {
        kind: MoverKind::Vehicle,
        path_px: vec![[50.0, 40.0]],
        speed_mps: 0.0,
        start_s: 0.0,
    });
    assert_eq!(
        world.person_distance_m(
            GroundPoint {
                north_m: 0.0,
                east_m: 0.0
            },
            0.0,
            50.0
        ),
        None
    );
}
