//! A piece of ground with known truth, drawn from a seed or loaded from files.

use image::{GrayImage, RgbImage};

use super::draw;
use crate::inference::classes::{Class, SEMANTIC_DRONE, Surface};

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnSpec {
    /// Decides everything in the scene.
    pub seed: u64,
    /// Picture width, pixels.
    pub width: u32,
    /// Picture height, pixels.
    pub height: u32,
    /// Scale, metres on the ground for each pixel.
    pub metres_per_pixel: f64,
}

/// What walks or drives through a world.
#[derive(Debug, Clone, PartialEq)]
pub struct Mover {
    /// Person or vehicle.
    pub kind: MoverKind,
    /// The way as corner points in the picture's pixels.
    pub path_px: Vec<[f64; 2]>,
    /// Metres a second along the way.
    pub speed_mps: f64,
    /// When it starts to move, seconds.
    pub start_s: f64,
}

/// What a mover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoverKind {
    /// On foot.
    Person,
    /// On wheels.
    Vehicle,
}

/// A picture of the ground from straight above, and what every pixel of it truly is.
#[derive(Debug, Clone)]
pub struct World {
    /// What the ground looks like.
    pub picture: RgbImage,
    /// Class index of each pixel of the picture, see `classes`.
    pub truth: GrayImage,
    /// Scale, metres on the ground for each pixel.
    pub metres_per_pixel: f64,
    /// What the indices in `truth` mean.
    pub classes: Vec<Class>,
    /// People and vehicles under way.
    pub movers: Vec<Mover>,
}

impl World {
    /// The world of this seed: the same picture, bit for bit, wherever it is drawn.
    #[must_use]
    pub fn drawn(spec: &DrawnSpec) -> Self {
        let drawing = draw::scene(spec);
        let (w, h) = (spec.width, spec.height);
        Self {
            picture: RgbImage::from_raw(w, h, drawing.picture).unwrap_or_default(),
            truth: GrayImage::from_raw(w, h, drawing.truth).unwrap_or_default(),
            metres_per_pixel: spec.metres_per_pixel,
            classes: semantic_drone_classes(),
            movers: Vec::new(),
        }
    }
}

fn semantic_drone_classes() -> Vec<Class> {
    (0..)
        .zip(SEMANTIC_DRONE)
        .map(
            |(index, (name, _, surface)): (u8, (&str, [u8; 3], Surface))| Class {
                index,
                name: name.to_owned(),
                surface,
            },
        )
        .collect()
}
