//! From a picture to what every pixel is.

pub mod classes;

use crate::time::MonoTime;
use classes::Surface;

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
}
