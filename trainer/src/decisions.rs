//! Scores by decision: what the landing code that flies makes of the network's word. Each picture is one look from 15 m, level,
//! through a lens of 70 degrees, at ground of its own, and one look confirms. `alight replay` on the same pictures joins those that it can
//! register to the one before into one map, and decides on that.

use alight::geometry::{CameraModel, CameraMount, View};
use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use alight::inference::{SegmentationMap, Segmenter as _};
use alight::landing::{Landing, LandingConfig, LandingInput, Outcome, Site};
use alight::time::MonoTime;
use alight::vehicle::Pose;
use anyhow::Result;
use image::GrayImage;
use serde::{Deserialize, Serialize};

use crate::eval::{Pair, frame};
use crate::scores::landable_classes;
use alight::inference::classes::{SEMANTIC_DRONE, Surface};

const HEIGHT_M: f64 = 15.0;
const HFOV_DEG: f64 = 70.0;
/// Share of a disc that may be not landable: the masks' own edges are no better.
const TOLERANCE: f64 = 0.01;

/// What came of a list of pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// Number of pictures.
    pub pictures: usize,
    /// Pictures with a site.
    pub sites: usize,
    /// Sites that are wrong: the picture's number in the list, and why.
    pub wrong: Vec<(usize, String)>,
}

/// Decides on each picture, and judges the chosen discs by the masks.
///
/// # Errors
/// When the model does not load, or a picture cannot be read.
pub fn judge(files: &ModelFiles, pairs: impl Iterator<Item = Result<Pair>>) -> Result<Decisions> {
    let mut config = LandingConfig::default();
    config.hazard.landable_threshold = f64::from(files.manifest.output.landable_threshold);
    config.track.looks_to_confirm = 1;
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    let mut landing = Landing::new(config)?;
    let mut all = Decisions::default();
    for pair in pairs {
        let (picture, truth) = pair?;
        // A second apart, and each on ground of its own.
        let at = MonoTime::from_secs_f64(all.pictures as f64);
        let lens = CameraModel::from_hfov(picture.width(), picture.height(), HFOV_DEG)?;
        let view = View::new(lens, &CameraMount::nadir(), Pose::level_nadir(at, HEIGHT_M));
        let mut frame = frame(picture, all.pictures);
        frame.captured_at = at;
        segmenter.segment(&frame, &mut map)?;
        landing.start_new_map();
        let input = LandingInput {
            segmentation: &map,
            view: &view,
            picture: &frame.image,
            range_m: None,
        };
        let decision = landing.step(&input, at);
        let chosen = decision.site.as_ref();
        if let Some(site) = chosen.filter(|_| decision.outcome == Outcome::Site) {
            all.sites += 1;
            if let Some(why) = fault(site, &truth) {
                all.wrong.push((all.pictures, why));
            }
        }
        all.pictures += 1;
    }
    Ok(all)
}

/// Why a chosen disc is wrong.
fn fault(site: &Site, truth: &GrayImage) -> Option<String> {
    let Some([x, y]) = site.px else {
        return Some("the disc lies outside the picture".to_owned());
    };
    let r = site.radius_px;
    let (w, h) = (f64::from(truth.width()), f64::from(truth.height()));
    if x - r < -0.5 || y - r < -0.5 || x + r > w + 0.5 || y + r > h + 0.5 {
        return Some("the disc reaches outside the picture".to_owned());
    }
    let landable = landable_classes();
    let (mut area, mut bad, mut living) = (0_u32, 0_u32, 0_u32);
    for (column, row, class) in truth.enumerate_pixels() {
        let (dx, dy) = (f64::from(column) + 0.5 - x, f64::from(row) + 0.5 - y);
        if dx * dx + dy * dy <= r * r {
            let class = usize::from(class.0[0]);
            area += 1;
            bad += u32::from(!landable.contains(&class));
            let surface = SEMANTIC_DRONE.get(class).map(|(_, _, s)| *s);
            living += u32::from(surface == Some(Surface::Person));
        }
    }
    let share = f64::from(bad) / f64::from(area.max(1));
    if living > 0 {
        Some(format!(
            "{living} pixels of a person or an animal in the disc"
        ))
    } else {
        (share > TOLERANCE).then(|| format!("{:.1} % of the disc is not landable", 100.0 * share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alight::landing::SiteState;
    use image::Luma;

    fn site(px: Option<[f64; 2]>, radius_px: f64) -> Site {
        Site {
            id: 1,
            state: SiteState::Confirmed,
            north_m: 0.0,
            east_m: 0.0,
            radius_m: 1.0,
            clearance_m: 1.0,
            surface: Surface::Firm,
            belief: 0.9,
            confirmations: 1,
            score: 1.0,
            px,
            radius_px,
        }
    }

    /// Grass with a strip of roof at the left and a person in the middle.
    fn truth() -> GrayImage {
        GrayImage::from_fn(100, 60, |x, y| {
            let is_person = (50..53).contains(&x) && (30..33).contains(&y);
            Luma([if x < 10 {
                9
            } else if is_person {
                15
            } else {
                3
            }])
        })
    }

    #[test]
    fn a_disc_on_grass_is_right_and_others_say_why_not() {
        let truth = truth();
        assert_eq!(fault(&site(Some([75.0, 30.0]), 20.0), &truth), None);
        let person = fault(&site(Some([60.0, 30.0]), 12.0), &truth).unwrap();
        assert!(person.contains("pixels of a person"), "{person}");
        let roof = fault(&site(Some([20.0, 30.0]), 14.0), &truth).unwrap();
        assert!(roof.contains("% of the disc is not landable"), "{roof}");
        // One pixel in a hundred may be wrong: masks are drawn by hand.
        assert_eq!(fault(&site(Some([25.0, 30.0]), 15.1), &truth), None);
        let edge = fault(&site(Some([90.0, 30.0]), 15.0), &truth).unwrap();
        assert!(edge.contains("reaches outside"), "{edge}");
        assert!(fault(&site(None, 5.0), &truth).unwrap().contains("outside"));
    }
}
