//! No allocation in a warm step, and how long one takes on a core (printed, not asserted: `--ignored --nocapture`).

use super::scene::{Scene, disc, landing, one_look, pose, sure_of};
use crate::alloc::allocations;
use crate::geometry::{CameraModel, CameraMount, GroundPoint, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::landing::{LandingConfig, LandingInput};
use crate::time::MonoTime;

#[test]
fn a_warm_step_does_not_allocate() {
    let before = allocations();
    let mut landing = landing(LandingConfig::default());
    assert!(allocations() > before, "the counter counts");
    let frames: Vec<Scene> = (0..8)
        .map(|i| {
            let at = f64::from(i);
            Scene::draw(
                pose(at, 0.8 * at, -0.5 * at, 15.0),
                disc(Surface::Person, 2.0, 1.0, 0.4),
            )
        })
        .collect();
    for (i, frame) in frames.iter().enumerate() {
        if i == 4 {
            landing.watch(Some(GroundPoint {
                north_m: 5.0,
                east_m: -4.0,
            }));
        }
        let before = allocations();
        let outcome = landing
            .step(&frame.input(), frame.segmentation.captured_at)
            .outcome;
        let made = allocations() - before;
        assert!(
            i == 0 || made == 0,
            "frame {i}: {made} allocations, {outcome:?}"
        );
    }
}

/// Time that this thread has spent on a core, milliseconds: other programs do not count. 0 where Linux does not say.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|n| n.parse::<f64>().ok());
    nanos.unwrap_or(0.0) / 1e6
}

#[test]
#[ignore = "a measurement: prints times and asserts nothing"]
fn how_long_a_step_takes() {
    for (width, height, columns, rows, height_m) in [
        (1280, 720, 384, 256, 25.0),
        (1280, 720, 192, 128, 25.0),
        (768, 512, 384, 256, 15.0),
        (1280, 720, 384, 256, 60.0),
    ] {
        let camera = CameraModel::from_hfov(width, height, 70.0).unwrap();
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7 + y * 13) as u8, (x ^ y) as u8, 90])
        });
        let mut surfaces = Vec::new();
        for i in 0..columns * rows {
            let (u, v) = (i % columns, i / columns);
            let surface = match (u / 24 + v / 16) % 23 {
                3 => Surface::Vegetation,
                7 => Surface::Structure,
                11 => Surface::Vehicle,
                13 => Surface::Obstacle,
                17 if u % 24 < 4 => Surface::Person,
                _ => Surface::Soft,
            };
            surfaces.extend(sure_of(surface, 0.95));
        }
        let mut seg = SegmentationMap {
            width: columns,
            height: rows,
            source_width: width,
            source_height: height,
            surfaces,
            ..SegmentationMap::default()
        };
        let mut landing = landing(one_look());
        let mut times: Vec<f64> = (0..40)
            .map(|i| {
                let at = f64::from(i) * 0.2;
                seg.captured_at = MonoTime::from_secs_f64(at);
                let view = View::new(
                    camera.clone(),
                    &CameraMount::nadir(),
                    pose(at, at, 0.5 * at, height_m),
                );
                let input = LandingInput {
                    segmentation: &seg,
                    view: &view,
                    picture: &picture,
                    range_m: None,
                };
                let start = cpu_ms();
                landing.step(&input, seg.captured_at);
                cpu_ms() - start
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{width}x{height} at {height_m} m, map {columns}x{rows}: min {:.1}, p50 {:.1}, max {:.1} ms",
            times[0], times[20], times[39]
        );
    }
}
