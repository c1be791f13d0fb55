//! A mover seen from above, drawn once and laid over every frame.

use super::draw::{self, Figure};
use super::mover::MoverKind;
use super::world::Shadow;

/// A small picture in metres: x ahead, y to the right, origin in the middle.
#[derive(Debug, Clone)]
pub(crate) struct Sprite {
    figure: Figure,
    half_m: f64,
    /// Half length and half width of the body that casts the shadow, and its height, metres.
    body: [f64; 3],
}

const METRES_PER_PIXEL: f64 = 0.02;

impl Sprite {
    /// What a mover of this kind looks like.
    pub(crate) fn of(kind: MoverKind) -> Self {
        let (half_m, body) = match kind {
            MoverKind::Person => (1.0, [0.16, 0.22, 1.7]),
            MoverKind::Vehicle => (3.0, [2.1, 0.85, 1.4]),
        };
        let side = (2.0 * half_m / METRES_PER_PIXEL) as u32;
        Self {
            figure: draw::figure(kind, side, METRES_PER_PIXEL),
            half_m,
            body,
        }
    }

    /// How far body and shadow reach from the middle, metres.
    pub(crate) fn reach_m(&self, shadow: Shadow) -> f64 {
        self.half_m + self.body[2] * shadow.right.hypot(shadow.down)
    }

    fn index(&self, [ahead, right]: [f64; 2]) -> Option<usize> {
        let column = (ahead + self.half_m) / METRES_PER_PIXEL;
        let row = (right + self.half_m) / METRES_PER_PIXEL;
        let side = self.figure.side;
        let inside = column >= 0.0 && row >= 0.0 && column < side as f64 && row < side as f64;
        inside.then(|| row as usize * side + column as usize)
    }

    /// The class there, if the body covers the place.
    pub(crate) fn class_at(&self, p: [f64; 2]) -> Option<u8> {
        let class = *self.figure.classes.get(self.index(p)?)?;
        (class != 0).then_some(class)
    }

    /// The colour of a pixel after body and shadow are laid over it; `looks` are places inside the pixel, `fall` is how
    /// far (ahead, right) the shadow falls for each metre of height, and how deep it is.
    pub(crate) fn over(
        &self,
        below: [u8; 3],
        looks: &[Option<[f64; 2]>],
        (fall, depth): ([f64; 2], f64),
    ) -> [u8; 3] {
        let mut sum = [0.0; 3];
        for look in looks {
            let painted = look.and_then(|p| {
                self.class_at(p)?;
                self.figure.colours.get(self.index(p)?).copied()
            });
            let dark = 1.0 - 0.74 * depth * look.map_or(0.0, |p| self.shade(p, fall));
            let colour = painted.map_or(below.map(|b| f64::from(b) * dark), |c| c.map(f64::from));
            for (total, value) in sum.iter_mut().zip(colour) {
                *total += value;
            }
        }
        sum.map(|s| (s / looks.len().max(1) as f64 + 0.5) as u8)
    }

    /// 1 in the shadow, 0 in the light.
    fn shade(&self, [ahead, right]: [f64; 2], fall: [f64; 2]) -> f64 {
        let [length, width, height] = self.body;
        let [fall_ahead, fall_right] = fall;
        let steps = 12;
        let hit = (0..=steps).any(|i| {
            let h = height * f64::from(i) / f64::from(steps);
            // Narrower towards the top, as heads and roofs are.
            let k = 1.0 - 0.35 * h / height;
            let (x, y) = (
                (ahead - fall_ahead * h) / (length * k),
                (right - fall_right * h) / (width * k),
            );
            x * x + y * y < 1.0
        });
        f64::from(u8::from(hit))
    }
}
