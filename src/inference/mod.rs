//! From a picture to what every pixel is.

pub mod classes;
pub mod manifest;
pub mod preprocess;
mod softmax;
pub mod tract;
mod upsample;

use crate::camera::Frame;
use crate::time::MonoTime;
use classes::Surface;
use manifest::Manifest;
use upsample::{Plane, Upsampling};

/// Something that says what every pixel is.
pub trait Segmenter {
    /// The contract: classes, sizes, thresholds.
    fn manifest(&self) -> &Manifest;

    /// Fills `out` for one frame, reusing its memory.
    ///
    /// # Errors
    /// When there is no answer for this frame; `out` must then not be used.
    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError>;
}

/// Why a network was refused or gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The network cannot be read or planned.
    #[error("{file}: cannot be loaded: {reason}")]
    Load {
        /// The network.
        file: String,
        /// tract's reason.
        reason: String,
    },
    /// Network and manifest disagree about a shape.
    #[error(
        "{file}: the network's {key} is {network}, but the manifest's [{key}] says {manifest}; export both anew together"
    )]
    Shape {
        /// The network.
        file: String,
        /// `input` or `output`.
        key: &'static str,
        /// What the manifest says.
        manifest: String,
        /// What the network has.
        network: String,
    },
    /// The manifest promises integer arithmetic and the network would not keep it.
    #[error(
        "{file}: the manifest says form = \"int8\", but {count} convolutions would run in float, the first is `{first}`; say form = \"weights-int8\" or export integer convolutions"
    )]
    FloatConvolution {
        /// The network.
        file: String,
        /// How many.
        count: usize,
        /// Name of the first node.
        first: String,
    },
    /// The picture cannot be given to the network.
    #[error("the picture cannot be prepared for the network: {0}")]
    Picture(String),
    /// The network failed on this frame.
    #[error("the network failed: {0}")]
    Run(String),
}

/// What the network says of one frame. All grids are row-major, `height` rows of `width` columns, and span the whole
/// source picture: column `u` covers source x from `u / width * source_width`.
#[derive(Debug, Clone, Default)]
pub struct SegmentationMap {
    /// The frame's index.
    pub seq: u64,
    /// The frame's mid-exposure.
    pub captured_at: MonoTime,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The source picture's width, pixels.
    pub source_width: u32,
    /// The source picture's height, pixels.
    pub source_height: u32,
    /// Number of classes.
    pub class_count: usize,
    /// Calibrated log-probabilities up to a constant a pixel: `[class][row][column]`.
    pub logits: Vec<f32>,
    /// Probability of each surface, summing to 1 a pixel: `[row][column][surface]`, [`Surface::COUNT`] wide.
    pub surfaces: Vec<f32>,
}

impl SegmentationMap {
    /// The surface probabilities of one pixel of the map.
    #[must_use]
    pub fn surfaces_at(&self, column: usize, row: usize) -> Option<&[f32]> {
        let start = (row * self.width + column) * Surface::COUNT;
        (column < self.width).then(|| self.surfaces.get(start..start + Surface::COUNT))?
    }

    /// The most probable class of every pixel of a `width` x `height` picture, row-major: logits are interpolated
    /// bilinearly between the centres of the map's pixels, then the largest wins.
    #[must_use]
    pub fn classes_at(&self, width: usize, height: usize) -> Vec<u8> {
        let mut best = vec![f32::NEG_INFINITY; width * height];
        let mut class = vec![0_u8; width * height];
        let up = Upsampling::new((self.width, self.height), (width, height));
        for c in 0..self.class_count {
            up.run(
                Plane {
                    values: self.class_plane(c),
                    stride: 1,
                },
                |px, v| {
                    if let (Some(b), Some(k)) = (best.get_mut(px), class.get_mut(px))
                        && v > *b
                    {
                        *b = v;
                        *k = c as u8;
                    }
                },
            );
        }
        class
    }

    /// Probability that each pixel of a `width` x `height` picture is landable, row-major, `0.0..=1.0`.
    #[must_use]
    pub fn landable_at(&self, width: usize, height: usize) -> Vec<f32> {
        let mut sum = vec![0.0_f32; width * height];
        let up = Upsampling::new((self.width, self.height), (width, height));
        for surface in Surface::ALL.into_iter().filter(|s| s.is_landable()) {
            let values = self.surfaces.get(surface as usize..).unwrap_or(&[]);
            up.run(
                Plane {
                    values,
                    stride: Surface::COUNT,
                },
                |px, v| {
                    if let Some(s) = sum.get_mut(px) {
                        *s += v;
                    }
                },
            );
        }
        sum
    }

    fn class_plane(&self, class: usize) -> &[f32] {
        let plane = self.width * self.height;
        self.logits
            .get(class * plane..(class + 1) * plane)
            .unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: usize, height: usize, class_logits: &[&[f32]]) -> SegmentationMap {
        let mut surfaces = vec![0.0; width * height * Surface::COUNT];
        for (px, s) in surfaces.chunks_exact_mut(Surface::COUNT).enumerate() {
            s[Surface::Firm as usize] = if px % width < width / 2 { 0.75 } else { 0.0 };
            s[Surface::Soft as usize] = if px % width < width / 2 { 0.25 } else { 0.0 };
            s[Surface::Water as usize] = if px % width < width / 2 { 0.0 } else { 1.0 };
        }
        SegmentationMap {
            width,
            height,
            class_count: class_logits.len(),
            logits: class_logits.concat(),
            surfaces,
            ..SegmentationMap::default()
        }
    }

    #[test]
    fn classes_are_interpolated_before_the_choice() {
        // Class 1 wins by a lot on the left, class 0 by a little on the right: the border lies right of the middle.
        let m = map(2, 1, &[&[0.0, 1.0], &[3.0, 0.0]]);
        let classes = m.classes_at(100, 2);
        let ones = classes.iter().take(100).filter(|c| **c == 1).count();
        assert_eq!(
            ones, 62,
            "3 - 3t = t at t = 3/4, which is the centre of pixel 62: a tie goes to the first class"
        );
        assert_eq!(classes[..100], classes[100..], "rows agree");
    }

    #[test]
    fn the_same_size_gives_the_same_values() {
        let m = map(4, 2, &[&[0.0; 8]]);
        let l = m.landable_at(4, 2);
        assert!(
            l.iter()
                .enumerate()
                .all(|(i, v)| (v - if i % 4 < 2 { 1.0 } else { 0.0 }).abs() < 1e-6)
        );
    }

    #[test]
    fn landable_is_the_sum_of_firm_and_soft_and_stays_in_range() {
        let m = map(4, 2, &[&[0.0; 8]]);
        let l = m.landable_at(40, 20);
        assert_eq!(l.len(), 800);
        assert!(l.iter().all(|v| (0.0..=1.000_001).contains(v)));
        assert!(l[0] > 0.999 && l[39] < 0.001 && (l[19] + l[20] - 1.0).abs() < 1e-5);
    }

    #[test]
    fn an_empty_map_answers_nothing_and_does_not_panic() {
        let m = SegmentationMap::default();
        assert_eq!(m.classes_at(3, 2), [0; 6]);
        assert_eq!(m.landable_at(0, 0).len(), 0);
        assert!(m.surfaces_at(0, 0).is_none());
    }
}
