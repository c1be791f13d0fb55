//! Sun, camera and colour of one scene.

use super::canvas::{Area, Canvas, Point, Rgb, mix};
use super::dice::Dice;

/// The sun of a scene.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sun {
    /// Where shadows point, a unit vector.
    pub(super) away: Point,
    /// Shadow length for each metre of height.
    pub(super) slope: f32,
    /// How deep shadows are, `0.0..=1.0`.
    pub(super) depth: f32,
    /// Width of a shadow's edge for each metre of height.
    pub(super) soft: f32,
}

impl Sun {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let overcast = dice.chance(0.25);
        Self {
            away: dice.direction(),
            slope: dice.between(0.35, 1.5),
            depth: if overcast {
                dice.between(0.15, 0.35)
            } else {
                dice.between(0.6, 0.95)
            },
            soft: if overcast { 0.5 } else { 0.06 },
        }
    }

    /// Light from everywhere: no shadows.
    pub(super) const fn none() -> Self {
        Self {
            away: Point::new(1.0, 0.0),
            slope: 0.0,
            depth: 0.0,
            soft: 0.0,
        }
    }

    /// How strongly a slope that falls towards `down` (a unit vector) is lit, `0.0..=1.0` around 0.5.
    pub(super) fn on(self, down: Point) -> f32 {
        0.5 - 0.5 * down.dot(self.away)
    }
}

impl Canvas {
    /// Casts the shadow of something that stands between the heights `from` and `to` (metres) over the outline `sdf`; `thick`:
    /// its least thickness, which says in how small steps the outline is swept.
    pub(super) fn cast(
        &mut self,
        sun: Sun,
        area: Area,
        (from, to, thick): (f32, f32, f32),
        sdf: impl Fn(Point) -> f32,
    ) {
        let (near, far) = (from * sun.slope, to * sun.slope);
        let steps = (((far - near) / (0.7 * thick)).ceil().clamp(1.0, 40.0)) as i32;
        let end = sun.away.times(far);
        self.shade(
            area.stretched(end),
            (sun.soft * to).max(0.03),
            sun.depth,
            |p| {
                (0..=steps).fold(1e9_f32, |least, i| {
                    let t = near + (far - near) * i as f32 / steps as f32;
                    least.min(sdf(p.minus(sun.away.times(t))))
                })
            },
        );
    }

    /// Turns the painted canvas into RGB bytes as a camera would see it: sunlight and skylight, exposure, colour cast,
    /// a little blur, vignetting and grain.
    pub(super) fn develop(&self, sun: Sun, dice: &mut Dice) -> Vec<u8> {
        let exposure = dice.between(0.95, 1.35);
        let cast: Rgb = [
            dice.between(0.95, 1.06),
            dice.between(0.97, 1.03),
            dice.between(0.93, 1.06),
        ];
        let colourful = dice.between(0.7, 1.05);
        let contrast = dice.between(0.95, 1.2);
        let dim = 1.0 - 0.12 * (1.0 - sun.depth);
        let lit: Vec<Rgb> = self
            .dabs
            .iter()
            .map(|dab| {
                let shadow: Rgb = [
                    1.0 - 0.78 * dab.shade,
                    1.0 - 0.74 * dab.shade,
                    1.0 - 0.66 * dab.shade,
                ];
                let [r, g, b] = dab.rgb;
                let grey = 0.3 * r + 0.59 * g + 0.11 * b;
                let mut out = mix([grey; 3], dab.rgb, colourful);
                for ((o, s), c) in out.iter_mut().zip(shadow).zip(cast) {
                    *o = (*o * dim * exposure - 0.45) * contrast + 0.45;
                    *o = o.max(0.02) * s * c;
                }
                out
            })
            .collect();
        self.expose(&lit, dice)
    }

    fn expose(&self, lit: &[Rgb], dice: &mut Dice) -> Vec<u8> {
        let blur = dice.between(0.04, 0.16);
        let grain = dice.between(0.006, 0.022);
        let vignette = dice.between(0.0, 0.14);
        let noise = dice.noise();
        let (w, h) = (self.width, self.height);
        let reach = 4.0 / ((w * w + h * h).max(1) as f32);
        let pick = |x: usize, y: usize| lit.get(y * w + x).copied().unwrap_or_default();
        let mut bytes = Vec::with_capacity(w * h * 3);
        for y in 0..h {
            let (up, down) = (y.saturating_sub(1), (y + 1).min(h - 1));
            let dy = y as f32 - 0.5 * h as f32;
            for x in 0..w {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(w - 1));
                let dx = x as f32 - 0.5 * w as f32;
                let dark = 1.0 - vignette * (dx * dx + dy * dy) * reach;
                let speck = grain * noise.dot(x as i32, y as i32);
                let (c, n, s) = (pick(x, y), pick(x, up), pick(x, down));
                let (e, v) = (pick(right, y), pick(left, y));
                for (i, centre) in c.into_iter().enumerate() {
                    let at = |a: Rgb| a.get(i).copied().unwrap_or_default();
                    let around = at(n) + at(s) + at(e) + at(v);
                    let value = (centre * (1.0 - 4.0 * blur) + around * blur) * dark + speck;
                    bytes.push((value * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
                }
            }
        }
        bytes
    }
}
