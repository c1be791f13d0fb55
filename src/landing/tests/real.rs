//! Truth masks of real pictures, turned into doubtful and partly wrong probabilities. Uses the training list of
//! `../shared/data/semantic_drone` where it is there (never the val list, which is for scores only); says so and passes
//! without it.

use std::path::{Path, PathBuf};

use image::GrayImage;

use super::scene::{HFOV_DEG, landing, one_look};
use crate::geometry::{CameraModel, CameraMount, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::{SEMANTIC_DRONE, Surface};
use crate::landing::{LandingConfig, LandingDecision, LandingInput, Outcome};
use crate::time::MonoTime;
use crate::vehicle::Pose;

const HEIGHT_M: f64 = 15.0;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/semantic_drone")
}

/// Every `step`-th picture of the training list: name, picture, mask.
fn pictures(step: usize) -> Option<Vec<(String, image::RgbImage, GrayImage)>> {
    let list = std::fs::read_to_string(data().join("train.txt")).ok()?;
    let read = |name: &str| {
        let picture = image::open(data().join(format!("images/{name}.jpg"))).ok()?;
        let mask = image::open(data().join(format!("masks/{name}.png"))).ok()?;
        Some((name.to_owned(), picture.to_rgb8(), mask.to_luma8()))
    };
    Some(
        list.split_whitespace()
            .step_by(step)
            .filter_map(read)
            .collect(),
    )
}

fn surface(class: u8) -> Surface {
    SEMANTIC_DRONE
        .get(usize::from(class))
        .map_or(Surface::Unknown, |c| c.2)
}

/// The truth at the network's size, softened by a blur and with soft doubt in blobs, as a network would say it.
fn softened(mask: &GrayImage, columns: usize, rows: usize, seed: u64) -> SegmentationMap {
    let (w, h) = mask.dimensions();
    let mut surfaces = Vec::with_capacity(columns * rows * Surface::COUNT);
    for v in 0..rows {
        for u in 0..columns {
            let mut votes = [0.004_f32; Surface::COUNT];
            let (sx, sy) = (w as usize / columns, h as usize / rows);
            // A window of three map pixels, as blurred as a light decoder's output.
            for y in (v.saturating_sub(1) * sy)..((v + 2) * sy).min(h as usize) {
                for x in (u.saturating_sub(1) * sx)..((u + 2) * sx).min(w as usize) {
                    votes[surface(mask.get_pixel(x as u32, y as u32)[0]) as usize] +=
                        1.0 / (9 * sx * sy) as f32;
                }
            }
            let doubt = blob(u / 12, v / 12, seed);
            if doubt > 0.9 {
                // A blob in which the network is unsure what hazard it sees.
                votes[Surface::Vegetation as usize] += 0.6;
            }
            let sum: f32 = votes.iter().sum();
            surfaces.extend(votes.map(|p| p / sum));
        }
    }
    SegmentationMap {
        width: columns,
        height: rows,
        source_width: w,
        source_height: h,
        surfaces,
        ..SegmentationMap::default()
    }
}

fn blob(u: usize, v: usize, seed: u64) -> f64 {
    let mut s =
        seed ^ (u as u64).wrapping_mul(0x9E37_79B9) ^ (v as u64).wrapping_mul(0x85EB_CA6B_0000);
    for _ in 0..3 {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
    }
    (s >> 11) as f64 / (1_u64 << 53) as f64
}

fn view_of(width: u32, height: u32) -> View {
    let camera = CameraModel::from_hfov(width, height, HFOV_DEG).unwrap();
    View::new(
        camera,
        &CameraMount::nadir(),
        Pose::level_nadir(MonoTime::ZERO, HEIGHT_M),
    )
}

/// Share of the disc's pixels that are not landable, and whether one of them is a person.
fn truth_under(decision: &LandingDecision, mask: &GrayImage) -> (f64, bool) {
    let site = decision.site.unwrap();
    let [cx, cy] = site.px.expect("chosen in this picture");
    let r = site.radius_px;
    assert!(r >= 36.0, "{r}");
    assert!(cx >= r && cy >= r && cx + r <= 768.0 && cy + r <= 512.0);
    let (mut all, mut bad, mut person) = (0.0, 0.0, false);
    for (x, y, p) in mask.enumerate_pixels() {
        if (f64::from(x) + 0.5 - cx).hypot(f64::from(y) + 0.5 - cy) <= r {
            let s = surface(p[0]);
            all += 1.0;
            bad += f64::from(u8::from(!s.is_landable()));
            person |= s == Surface::Person;
        }
    }
    (bad / all, person)
}

fn decide(
    config: LandingConfig,
    picture: &image::RgbImage,
    seg: &SegmentationMap,
) -> LandingDecision {
    let view = view_of(picture.width(), picture.height());
    let input = LandingInput {
        segmentation: seg,
        view: &view,
        picture,
        range_m: None,
    };
    landing(config).step(&input, MonoTime::ZERO).clone()
}

#[test]
fn no_disc_on_real_truth_covers_danger_and_most_pictures_get_a_site() {
    let Some(pictures) = pictures(9) else {
        println!("no ../shared/data: nothing to check");
        return;
    };
    for (columns, rows) in [(192, 128), (384, 256)] {
        let (mut sites, mut holds) = (0, Vec::new());
        for (i, (name, picture, mask)) in pictures.iter().enumerate() {
            let seg = softened(mask, columns, rows, i as u64);
            let decision = decide(one_look(), picture, &seg);
            if decision.outcome == Outcome::Site {
                let (bad, person) = truth_under(&decision, mask);
                assert!(
                    bad <= 0.01 && !person,
                    "{name}: {bad:.3} {person} {decision:?}"
                );
                sites += 1;
            } else {
                let rejected: Vec<_> = decision.rejected.iter().collect();
                let reasons: Vec<_> = decision.monitor_reasons.iter().collect();
                holds.push(format!(
                    "{name}: {:?} {reasons:?} {rejected:?}",
                    decision.outcome
                ));
            }
        }
        println!("{columns}x{rows}: {sites} sites of {}", pictures.len());
        for hold in &holds {
            println!("  {hold}");
        }
        assert!(4 * sites >= 3 * pictures.len(), "{holds:#?}");
    }
}
