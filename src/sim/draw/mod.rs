//! Draws a piece of ground as a drone's camera would see it from straight above, with its exact truth.
//!
//! A scene is painted in order of height: ground, markings, low things, people and cars, houses, trees. What stands
//! casts a shadow on what was painted before it; shadows darken the picture and leave the truth alone.

mod canvas;
mod dice;
mod ground;
mod light;
mod noise;
mod plants;

use canvas::{Canvas, Point, class};
use dice::Dice;
use ground::{Ground, Kind};
use light::Sun;

use crate::sim::world::DrawnSpec;

/// A finished drawing, rows of pixels.
pub(super) struct Drawing {
    /// RGB bytes.
    pub(super) picture: Vec<u8>,
    /// A class index a pixel.
    pub(super) truth: Vec<u8>,
}

/// The drawing of this seed at this size.
pub(super) fn scene(spec: &DrawnSpec) -> Drawing {
    let mut dice = Dice::new(spec.seed);
    let sun = Sun::new(&mut dice);
    let mut canvas = Canvas::new(spec.width, spec.height, spec.metres_per_pixel);
    let base = dice.pick(&[
        Kind::Lawn,
        Kind::Meadow,
        Kind::DryGrass,
        Kind::Asphalt,
        Kind::Dirt,
    ]);
    canvas.cover(&Ground::new(base, &mut dice));
    for kind in [Kind::Asphalt, Kind::Pebbles, Kind::Meadow, Kind::Boards] {
        let noise = dice.noise();
        canvas.patches(&Ground::new(kind, &mut dice), noise, 9.0, 0.2);
    }
    let size = canvas.size();
    for _ in 0..dice.count(8.0) {
        let p = Point::new(dice.between(0.0, size.x), dice.between(0.0, size.y));
        let r = dice.between(0.8, 3.5);
        if canvas.lies_on(p, 0.3, &[class::GRASS, class::DIRT]) {
            match dice.below(4) {
                0 => plants::bush(&mut canvas, &mut dice, sun, p, 0.4 * r),
                1 => plants::bald_tree(&mut canvas, &mut dice, sun, p, r),
                _ => plants::tree(&mut canvas, &mut dice, sun, p, r),
            }
        }
    }
    Drawing {
        picture: canvas.develop(sun, &mut dice),
        truth: canvas.dabs.iter().map(|d| d.class).collect(),
    }
}
