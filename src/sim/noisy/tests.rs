use std::path::Path;

use image::{GrayImage, Luma, RgbImage};

use super::*;
use crate::geometry::{CameraModel, CameraMount};
use crate::sim::world::{DrawnSpec, Mover};
use crate::time::MonoTime;
use crate::vehicle::Pose;

fn manifest() -> Manifest {
    Manifest::parse(
        include_str!("../../../models/landing.toml"),
        Path::new("landing.toml"),
    )
    .unwrap()
}

fn table() -> ErrorTable {
    ErrorTable::parse(include_str!("../../../models/errors.json"), "errors.json").unwrap()
}

/// 80 m by 60 m of one class, with a square of `index` of 0.5 m at the centre.
fn lawn(class: u8, index: u8) -> World {
    let mut world = World::drawn(&DrawnSpec {
        seed: 1,
        width: 80,
        height: 60,
        metres_per_pixel: 0.1,
    });
    world.picture = RgbImage::new(800, 600);
    world.truth = GrayImage::from_pixel(800, 600, Luma([class]));
    for (x, y) in (398..403).flat_map(|x| (298..303).map(move |y| (x, y))) {
        world.truth.put_pixel(x, y, Luma([index]));
    }
    world.origin_px = [400.0, 300.0];
    world
}

fn view(height_m: f64) -> View {
    let camera = CameraModel::from_hfov(384, 256, 70.0).unwrap();
    View::new(
        camera,
        &CameraMount::nadir(),
        Pose::level_nadir(MonoTime::ZERO, height_m),
    )
}

fn frame() -> Frame {
    Frame {
        seq: 1,
        source: Arc::from("test"),
        captured_at: MonoTime::ZERO,
        image: Arc::new(RgbImage::new(384, 256)),
        tag: None,
    }
}

fn ask(segmenter: &mut TruthSegmenter, height_m: f64, t_s: f64) -> SegmentationMap {
    let mut out = SegmentationMap::default();
    segmenter.look(&view(height_m), t_s, Sight::Clear);
    segmenter.segment(&frame(), &mut out).unwrap();
    assert_eq!(out.surfaces.len(), 192 * 128 * Surface::COUNT);
    for pixel in out.surfaces.chunks_exact(Surface::COUNT) {
        assert!((pixel.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{pixel:?}");
    }
    out
}

fn mean(map: &SegmentationMap, of: impl Fn(&[f32]) -> f32) -> f32 {
    let pixels = map.surfaces.chunks_exact(Surface::COUNT);
    pixels.map(of).sum::<f32>() / (map.width * map.height) as f32
}

fn landable(p: &[f32]) -> f32 {
    p[Surface::Firm as usize] + p[Surface::Soft as usize]
}

#[test]
fn the_truth_is_told_where_it_is() {
    let mut segmenter = TruthSegmenter::new(&manifest(), Arc::new(lawn(3, 15)));
    let map = ask(&mut segmenter, 10.0, 0.0);
    let centre = map.surfaces_at(96, 64).unwrap();
    assert!(centre[Surface::Person as usize] > 0.9);
    assert!(map.surfaces_at(20, 20).unwrap()[Surface::Soft as usize] > 0.9);
    // 0.5 m at 10 m, 137 grid pixels of focal length: a square of 6.9 pixels.
    let people = mean(&map, |p| {
        f32::from(u8::from(p[Surface::Person as usize] > 0.9))
    });
    let pixels = people * 192.0 * 128.0;
    assert!((36.0..64.0).contains(&pixels), "{pixels}");
}

#[test]
fn movers_are_seen_where_they_are() {
    let mut world = lawn(3, 3);
    world.movers.push(Mover {
        kind: MoverKind::Vehicle,
        path_px: vec![[400.0, 300.0], [500.0, 300.0]],
        speed_mps: 1.0,
        start_s: 0.0,
    });
    let mut segmenter = TruthSegmenter::new(&manifest(), Arc::new(world));
    // After 5 s the car is 5 m east: at 20 m height, 34 grid pixels to the right.
    let map = ask(&mut segmenter, 20.0, 5.0);
    assert!(map.surfaces_at(96 + 34, 64).unwrap()[Surface::Vehicle as usize] > 0.9);
    assert!(map.surfaces_at(60, 64).unwrap()[Surface::Soft as usize] > 0.9);
}

#[test]
fn the_noise_errs_as_often_as_the_table_says() {
    for (class, surface) in [
        (3, Surface::Soft),
        (9, Surface::Structure),
        (5, Surface::Water),
    ] {
        let rows = answers(table().of_class(class, surface));
        let wanted = rows.iter().map(|r| landable(r)).sum::<f32>() / rows.len() as f32;
        let mut shares = Vec::new();
        for seed in 0..12 {
            let world = Arc::new(lawn(class, class));
            let mut noisy = TruthSegmenter::noisy(&manifest(), world, &table(), seed);
            shares.push(mean(&ask(&mut noisy, 20.0, 40.0 * seed as f64), landable));
        }
        let got = shares.iter().sum::<f32>() / shares.len() as f32;
        assert!(
            (got - wanted).abs() < 0.06,
            "class {class}: {got} instead of {wanted}"
        );
    }
}

#[test]
fn a_seed_gives_the_same_noise_and_another_seed_another() {
    let ask_with = |seed| {
        let world = Arc::new(lawn(3, 15));
        ask(
            &mut TruthSegmenter::noisy(&manifest(), world, &table(), seed),
            20.0,
            3.0,
        )
        .surfaces
    };
    assert_eq!(ask_with(1), ask_with(1));
    assert_ne!(ask_with(1), ask_with(2));
}

#[test]
fn small_people_are_missed_more_often_than_large_ones_and_whole() {
    let seen = |height_m: f64| {
        (0..60)
            .filter(|seed| {
                let world = Arc::new(lawn(3, 15));
                let mut noisy = TruthSegmenter::noisy(&manifest(), world, &table(), 1000 + seed);
                let map = ask(&mut noisy, height_m, 0.0);
                map.surfaces_at(96, 64).unwrap()[Surface::Person as usize] > 0.35
            })
            .count()
    };
    let (near, far) = (seen(6.0), seen(55.0));
    assert!(
        near > far + 10,
        "{near} of 60 from 6 m, {far} of 60 from 55 m"
    );
}

#[test]
fn a_missed_person_stays_missed_for_a_while() {
    let (mut changes, mut looks) = (0, 0);
    for seed in 0..40 {
        let mut noisy = TruthSegmenter::noisy(&manifest(), Arc::new(lawn(3, 15)), &table(), seed);
        let mut last = None;
        for step in 0..8 {
            let map = ask(&mut noisy, 15.0, f64::from(step) * 0.5);
            let sees = map.surfaces_at(96, 64).unwrap()[Surface::Person as usize] > 0.35;
            changes += usize::from(last.is_some_and(|l| l != sees));
            looks += usize::from(last.is_some());
            last = Some(sees);
        }
    }
    assert!(
        changes * 10 < looks,
        "{changes} changes in {looks} half seconds"
    );
}

#[test]
fn without_a_view_or_light_nothing_is_claimed() {
    let mut segmenter = TruthSegmenter::new(&manifest(), Arc::new(lawn(3, 15)));
    let mut out = SegmentationMap::default();
    assert!(segmenter.segment(&frame(), &mut out).is_err());
    segmenter.look(&view(10.0), 0.0, Sight::Nothing);
    segmenter.segment(&frame(), &mut out).unwrap();
    assert!(mean(&out, landable) < 0.3);
}

#[test]
fn the_people_of_the_truth_are_told_apart() {
    let mut world = lawn(3, 15);
    world.truth.put_pixel(10, 10, Luma([16]));
    let (people, areas) = people_of(&world);
    assert_eq!((people.len(), areas.len()), (26, 3));
    assert_ne!(people[&(10 * 800 + 10)], people[&(300 * 800 + 400)]);
    assert!((areas[people[&(300 * 800 + 400)] as usize] - 0.25).abs() < 1e-9);
}

#[test]
fn beyond_the_world_nobody_knows_what_is_there() {
    // From 80 m the picture holds 112 m by 75 m.
    let mut noisy = TruthSegmenter::noisy(&manifest(), Arc::new(lawn(3, 3)), &table(), 5);
    let map = ask(&mut noisy, 80.0, 3.0);
    let at = |x: usize, y: usize| map.surfaces_at(x, y).unwrap();
    for (x, y) in [(2, 2), (189, 2), (96, 2), (2, 64)] {
        assert!(landable(at(x, y)) < 0.3, "{:?}", at(x, y));
    }
    let inside = (60..130).map(|x| landable(at(x, 64))).sum::<f32>() / 70.0;
    assert!(inside > 0.6, "{inside}");
}
