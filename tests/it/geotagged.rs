//! Real survey photos: does one place on the ground, seen in two photos, come out at one place in NED?
//!
//! The photos' own tags (position, relative altitude, gimbal, lens) go through the geometry as they are; nothing is
//! fitted. Which points belong together is found in the pictures alone: no tag is used for it, so an error of the geometry
//! cannot hide. Needs `../shared/data/geotagged`; says so and passes without it.

use std::path::PathBuf;

use alight::camera::images::ImageFolder;
use alight::camera::{Frame, FrameSource, SourceEvent};
use alight::odometry::{Odometry, OdometryConfig, PointPair, Registration};
use alight::pipeline::pose::{PoseConfig, PoseProvider, PoseSource};
use alight::time::MonoTime;

/// The publisher turned the pixels of these against their yaw.
const TURNED: std::ops::RangeInclusive<u32> = 24..=29;

fn photos() -> Option<Vec<Frame>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/geotagged");
    if !folder.is_dir() {
        println!("note: ../shared/data/geotagged is not here: nothing was checked");
        return None;
    }
    let mut source = ImageFolder::open(&folder, 1.0).unwrap();
    let mut frames = Vec::new();
    loop {
        match source.next_event() {
            SourceEvent::Frame(frame) => frames.push(frame),
            SourceEvent::Skipped { source, reason, .. } => panic!("{source}: {reason}"),
            SourceEvent::End { .. } => break,
        }
    }
    frames.retain(|f| {
        let number = f
            .source
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>();
        !TURNED.contains(&number.parse::<u32>().unwrap())
    });
    Some(frames)
}

/// Two photos and the points that they share.
struct Overlap<'a> {
    a: &'a Frame,
    b: &'a Frame,
    pairs: Vec<PointPair>,
}

/// All pairs of photos that can be matched.
fn overlaps(frames: &[Frame]) -> Vec<Overlap<'_>> {
    // Photos of tree tops taken 14 m apart do not look alike when laid over each other as if they were flat.
    let mut odometry = Odometry::new(OdometryConfig {
        min_agreement: 0.15,
        ..OdometryConfig::default()
    });
    let mut found = Vec::new();
    for (i, a) in frames.iter().enumerate() {
        for b in frames.iter().skip(i + 1) {
            odometry.forget();
            odometry.step(&a.image, MonoTime::ZERO);
            if let Registration::Tracked { .. } = odometry.step(&b.image, MonoTime::ZERO) {
                let pairs = odometry.inliers().to_vec();
                found.push(Overlap { a, b, pairs });
            }
        }
    }
    found
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Median distance in metres between the two places that each shared point comes out at.
fn disagreement_m(overlap: &Overlap<'_>, hfov_deg: Option<f64>) -> f64 {
    let config = PoseConfig {
        hfov_deg,
        ..PoseConfig::default()
    };
    let mut poses = PoseProvider::new(config).unwrap();
    let a = poses.pose(overlap.a).unwrap();
    let b = poses.pose(overlap.b).unwrap();
    assert_eq!((a.source, b.source), (PoseSource::Tags, PoseSource::Tags));
    let distances = overlap.pairs.iter().map(|pair| {
        let at_a = a.view.ground_from_pixel(pair.before).unwrap();
        let at_b = b.view.ground_from_pixel(pair.after).unwrap();
        (at_a.north_m - at_b.north_m).hypot(at_a.east_m - at_b.east_m)
    });
    median(distances.collect())
}

/// Field of view if the 35 mm equivalent speaks of `film_mm` on film and `share` of the picture's width corresponds to it.
fn hfov_deg(focal_mm: f64, film_mm: f64, width_share: f64) -> f64 {
    2.0 * (0.5 * film_mm * width_share / focal_mm).atan().to_degrees()
}

#[test]
fn matched_points_of_neighbouring_photos_map_to_the_same_place() {
    let Some(frames) = photos() else {
        return;
    };
    assert_eq!(frames.len(), 12);
    let overlaps = overlaps(&frames);
    let mut medians = Vec::new();
    for o in &overlaps {
        let m = disagreement_m(o, None);
        println!(
            "{} {}: {} points, {m:.2} m",
            o.a.source,
            o.b.source,
            o.pairs.len()
        );
        medians.push(m);
    }
    let neighbours = overlaps.iter().filter(|o| o.b.seq == o.a.seq + 1).count();
    println!("{} pairs, {neighbours} of them consecutive", overlaps.len());
    let overall = median(medians);
    println!("median over the pairs: {overall:.2} m");

    let focal = frames[0].tag.unwrap().focal_35mm_mm.unwrap();
    let diagonal_mm = 36_f64.hypot(24.0);
    let conventions = [
        ("width is 36 mm", hfov_deg(focal, 36.0, 1.0)),
        (
            "diagonal of this 16:9 picture",
            hfov_deg(focal, diagonal_mm, 16.0 / 16_f64.hypot(9.0)),
        ),
        (
            "diagonal of the 4:3 sensor, full width",
            hfov_deg(focal, diagonal_mm, 0.8),
        ),
    ];
    for (name, hfov) in conventions {
        let medians = overlaps
            .iter()
            .map(|o| disagreement_m(o, Some(hfov)))
            .collect();
        println!("{name}: {hfov:.1} degrees, median {:.2} m", median(medians));
    }
    assert!(
        neighbours >= 8,
        "only {neighbours} of 10 consecutive pairs matched"
    );
    assert!(overall <= 2.0, "{overall:.2} m");
}
