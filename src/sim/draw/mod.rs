//! Draws a piece of ground as a drone's camera would see it from straight above, with its exact truth.
//!
//! A scene is painted in order of height: ground, markings, low things, people and cars, houses, trees. What stands
//! casts a shadow on what was painted before it; shadows darken the picture and leave the truth alone. All of it is
//! arithmetic that IEEE 754 fixes to the last bit (no sine, power or fused product of the machine's own).
#![expect(
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "geometry and colour read best in the letters of the formulas"
)]

mod buildings;
mod canvas;
mod cars;
mod dice;
mod ground;
mod layout;
mod light;
mod noise;
mod people;
mod plants;
mod scene;
mod things;
mod water;

use canvas::{Canvas, Point};
use dice::Dice;
use light::Sun;

use crate::sim::mover::MoverKind;
use crate::sim::world::{DrawnSpec, Shadow};

/// A finished drawing, rows of pixels.
pub(super) struct Drawing {
    /// RGB bytes.
    pub(super) picture: Vec<u8>,
    /// A class index a pixel.
    pub(super) truth: Vec<u8>,
    /// The scene's sun.
    pub(super) shadow: Shadow,
}

/// A mover seen from above, ahead towards the right, without its shadow.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// Pixels of each side.
    pub(super) side: usize,
    /// Colour of each pixel.
    pub(super) colours: Vec<[u8; 3]>,
    /// Class of each pixel, 0 where nothing is.
    pub(super) classes: Vec<u8>,
}

/// The drawing of this seed at this size.
pub(super) fn scene(spec: &DrawnSpec) -> Drawing {
    let mut scene = scene::Scene::new(spec);
    scene.draw();
    let sun = scene.sun;
    Drawing {
        shadow: Shadow {
            right: f64::from(sun.away.x * sun.slope),
            down: f64::from(sun.away.y * sun.slope),
            depth: f64::from(sun.depth),
        },
        picture: scene.canvas.develop(scene.sun, &mut scene.dice),
        truth: scene.canvas.dabs.iter().map(|d| d.class).collect(),
    }
}

/// What a mover looks like.
pub(super) fn figure(kind: MoverKind, side: u32, metres_per_pixel: f64) -> Figure {
    let mut canvas = Canvas::new(side, side, metres_per_pixel);
    let (mut dice, ahead) = (Dice::new(7), Point::new(1.0, 0.0));
    let (sun, at) = (Sun::none(), canvas.centre());
    match kind {
        MoverKind::Person => people::walker(&mut canvas, &mut dice, sun, at, ahead),
        MoverKind::Vehicle => cars::car(&mut canvas, &mut dice, sun, at, ahead),
    }
    Figure {
        side: canvas.width,
        colours: canvas
            .dabs
            .iter()
            .map(|d| d.rgb.map(|c| (c * 255.0) as u8))
            .collect(),
        classes: canvas.dabs.iter().map(|d| d.class).collect(),
    }
}
