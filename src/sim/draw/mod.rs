//! Draws a piece of ground as a drone's camera would see it from straight above, with its exact truth.
//!
//! A scene is painted in order of height: ground, markings, low things, people and cars, houses, trees. What stands
//! casts a shadow on what was painted before it; shadows darken the picture and leave the truth alone. All of it is
//! arithmetic that IEEE 754 fixes to the last bit (no sine, power or fused product of the machine's own).

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
    let mut scene = scene::Scene::new(spec);
    scene.draw();
    Drawing {
        picture: scene.canvas.develop(scene.sun, &mut scene.dice),
        truth: scene.canvas.dabs.iter().map(|d| d.class).collect(),
    }
}
