//! The pictures that a network errs most on, to look at: picture, truth and what is said of it side by side.

use std::path::Path;

use alight::inference::SegmentationMap;
use alight::inference::Segmenter as _;
use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use anyhow::{Context as _, Result};
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

use crate::eval::{Pair, Scores, frame};

/// How many are kept.
const KEPT: usize = 6;
/// Columns of each of the three parts.
const WIDTH: u32 = 320;
/// Between the parts, pixels.
const GAP: u32 = 6;

/// Writes `0.jpg` (the worst by pixel accuracy) and so on into the folder. `pairs` are the pictures that were scored, in their order.
///
/// # Errors
/// When the model does not run, a picture cannot be read, or the disk refuses.
pub fn save(
    files: &ModelFiles,
    scores: &Scores,
    pairs: impl Iterator<Item = Result<Pair>>,
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut order: Vec<usize> = (0..scores.by_picture.len()).collect();
    let accuracy = |i: &usize| scores.by_picture.get(*i).map_or(1.0, |p| p.pixel_accuracy);
    order.sort_by(|a, b| accuracy(a).total_cmp(&accuracy(b)));
    order.truncate(KEPT);
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    for (i, pair) in pairs.enumerate() {
        let Some(rank) = order.iter().position(|o| *o == i) else {
            continue;
        };
        let (picture, truth) = pair?;
        let (w, h) = truth.dimensions();
        segmenter.segment(&frame(picture.clone(), i), &mut map)?;
        let said = map.classes_at(w as usize, h as usize);
        let parts = [
            picture,
            coloured((w, h), truth.as_raw()),
            coloured((w, h), &said),
        ];
        let height = (WIDTH * h / w.max(1)).max(1);
        let mut sheet = RgbImage::from_pixel(3 * WIDTH + 2 * GAP, height, Rgb([255; 3]));
        for (k, part) in parts.iter().enumerate() {
            let small = resize(part, WIDTH, height, FilterType::Triangle);
            replace(&mut sheet, &small, i64::from(k as u32 * (WIDTH + GAP)), 0);
        }
        let path = folder.join(format!("{rank}.jpg"));
        sheet
            .save(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The colour of a surface: that which the data set gives the first of its classes.
#[must_use]
pub fn colour(surface: Surface) -> [u8; 3] {
    let first = SEMANTIC_DRONE.iter().find(|(.., s)| *s == surface);
    first.map_or([0; 3], |(_, colour, _)| *colour)
}

/// Each class in its surface's colour.
fn coloured((w, h): (u32, u32), classes: &[u8]) -> RgbImage {
    let shown = |class: u8| {
        let class = SEMANTIC_DRONE.get(usize::from(class));
        class.map_or([0; 3], |(_, _, surface)| colour(*surface))
    };
    RgbImage::from_fn(w, h, |x, y| {
        let class = classes.get((y * w + x) as usize).copied().unwrap_or(255);
        Rgb(shown(class))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::untaught;
    use crate::networks::Network;
    use image::{GrayImage, Luma};

    #[test]
    fn the_worst_come_first_with_three_parts_each() {
        let graph = Network::Unet(4).graph(16, 32, 24).unwrap();
        let files = untaught(&graph, 1);
        let pairs = || {
            (0..8_u8).map(|i| {
                let picture = RgbImage::from_pixel(64, 32, Rgb([30 * i; 3]));
                Ok((picture, GrayImage::from_pixel(64, 32, Luma([i]))))
            })
        };
        let scores = crate::eval::score(&files, pairs()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        save(&files, &scores, pairs(), folder.path()).unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, KEPT);
        let sheet = image::open(folder.path().join("0.jpg")).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (3 * WIDTH + 2 * GAP, 160));
    }
}
