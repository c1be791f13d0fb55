//! Trees, bare trees, bushes, hedges, flower beds.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, mix, shape, step};
use super::dice::Dice;
use super::light::Sun;
use super::noise::Noise;

/// Leaves seen from above: a bumpy surface lit by the sun.
#[derive(Debug, Clone, Copy)]
struct Foliage {
    dark: Rgb,
    light: Rgb,
    noise: Noise,
    /// Size of a lump of leaves, metres.
    lump: f32,
    sun: Sun,
}

impl Foliage {
    fn new(dice: &mut Dice, sun: Sun, lump: f32) -> Self {
        let base = dice.pick(&[
            [0.24, 0.34, 0.13],
            [0.20, 0.30, 0.14],
            [0.32, 0.40, 0.16],
            [0.36, 0.38, 0.18],
            [0.25, 0.30, 0.20],
            [0.40, 0.34, 0.20],
        ]);
        let base = dice.near(base, 0.2);
        Self {
            dark: lit(base, 0.42),
            light: mix(lit(base, 1.55), [0.75, 0.78, 0.45], 0.12),
            noise: dice.noise(),
            lump,
            sun,
        }
    }

    fn height(&self, p: Point) -> f32 {
        let (x, y) = (p.x / self.lump, p.y / self.lump);
        let cell = self.noise.cell(x, y);
        0.55 * (1.0 - cell.nearest) + 0.35 * self.noise.octaves(2.1 * x, 2.1 * y, 3)
    }

    /// `bulge`: how much the whole crown falls off here towards the sun's far side, about `-1.0..=1.0`.
    fn colour(&self, p: Point, bulge: f32) -> Rgb {
        let e = 0.16 * self.lump;
        let here = self.height(p);
        let slope = (here - self.height(p.minus(self.sun.away.times(e)))) * 1.6;
        let leaf = self.noise.other(5).octaves(15.0 * p.x, 15.0 * p.y, 2);
        let light = 0.42
            + 0.45 * slope * self.sun.depth
            + 0.30 * (here - 0.25)
            + 0.20 * bulge
            + 0.32 * leaf;
        mix(self.dark, self.light, light.clamp(0.0, 1.0))
    }
}

/// A round outline with lobes: distance of `p` to a crown at `c` of radius `r`.
fn crown(noise: Noise, p: Point, c: Point, r: f32) -> f32 {
    let d = p.minus(c);
    let k = 2.4 / r;
    let lobes = noise.octaves(k * d.x, k * d.y, 3);
    d.length() - r * (0.86 + 0.40 * lobes) - 0.05 * noise.other(9).at(9.0 * p.x, 9.0 * p.y)
}

/// A tree in leaf with crown radius `r`.
pub(super) fn tree(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, c: Point, r: f32) {
    let lump = (0.32 * r).clamp(0.25, 0.9);
    let foliage = Foliage::new(dice, sun, lump);
    let outline = dice.noise();
    let conifer = dice.chance(0.2);
    let height = r * dice.between(1.5, 2.4);
    let sdf = |p: Point| crown(outline, p, c, r);
    // A disc lifted over a range of heights throws a capsule.
    let (low, high) = (0.35 * height * sun.slope, 0.85 * height * sun.slope);
    let (from, to) = (c.plus(sun.away.times(low)), c.plus(sun.away.times(high)));
    canvas.shade(
        Area::around(c, 1.4 * r).stretched(to.minus(c)),
        (sun.soft * height).max(0.08),
        sun.depth,
        |p| {
            shape::capsule(p, from, to, 0.82 * r)
                - 0.22 * r * outline.octaves(2.6 * p.x / r, 2.6 * p.y / r, 4)
        },
    );
    canvas.paint(Area::around(c, 1.4 * r), class::TREE, sdf, |p, d| {
        let from = p.minus(c);
        let out = from.length() / r;
        let bulge = -from.dot(sun.away) / r;
        let spokes = if conifer {
            0.4 - 0.8 * out.min(1.0)
        } else {
            0.0
        };
        let rim = step(-0.25 * r, 0.0, d);
        lit(foliage.colour(p, bulge + spokes), 1.0 - 0.25 * rim)
    });
}

/// A tree without leaves: limbs, and twigs through which the ground shows.
pub(super) fn bald_tree(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, c: Point, r: f32) {
    let bark = dice.near([0.38, 0.33, 0.30], 0.2);
    let twigs = dice.noise();
    let area = Area::around(c, 1.3 * r);
    let limbs: Vec<[Point; 3]> = (0..9)
        .map(|i| {
            let turn = (i as f32 + dice.between(-0.35, 0.35)) / 9.0;
            let knee = c.plus(Point::towards(turn).times(r * dice.between(0.3, 0.5)));
            let bend = turn + dice.between(-0.08, 0.08);
            [
                c,
                knee,
                knee.plus(Point::towards(bend).times(r * dice.between(0.35, 0.6))),
            ]
        })
        .collect();
    let width = (0.025 * r).max(0.04);
    let limb = |p: Point| {
        limbs
            .iter()
            .fold(1e9_f32, |d, l| d.min(shape::line(p, l, width)))
    };
    let height = 1.8 * r;
    canvas.cast(sun, area, (0.5 * height, 0.5 * height, 1.0), |p| {
        limb(p) + 0.3 * width
    });
    // The twigs' fine web is one body to whoever lands: all of it is truth, though the ground shines through.
    let web = |p: Point| crown(twigs, p, c, 0.9 * r);
    let thin = |p: Point| {
        let (x, y) = (p.x * 7.0, p.y * 7.0);
        let fine = twigs
            .octaves(x, y, 2)
            .abs()
            .min(twigs.other(3).octaves(x, y, 2).abs());
        step(0.16, 0.02, fine)
    };
    canvas.tint(area, web, |below, p| {
        mix(lit(below, 0.86), bark, 0.75 * thin(p))
    });
    canvas.relabel(area, class::BALD_TREE, web);
    canvas.paint(area, class::BALD_TREE, limb, |p, _| {
        lit(bark, 1.0 + 0.2 * twigs.other(4).at(12.0 * p.x, 12.0 * p.y))
    });
}

/// A bush or a bed plant.
pub(super) fn bush(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, c: Point, r: f32) {
    let foliage = Foliage::new(dice, sun, (0.4 * r).clamp(0.12, 0.4));
    let outline = dice.noise();
    let flowers = dice.pick(&[
        [0.0; 3],
        [0.0; 3],
        [0.82, 0.30, 0.42],
        [0.85, 0.80, 0.85],
        [0.85, 0.72, 0.2],
    ]);
    let petal = dice.noise();
    let sdf = |p: Point| crown(outline, p, c, r);
    let area = Area::around(c, 1.4 * r);
    let fall = sun.away.times(1.1 * r * sun.slope);
    canvas.shade(
        area.stretched(fall),
        (sun.soft * r).max(0.04),
        sun.depth,
        |p| {
            shape::capsule(p, c, c.plus(fall), 0.85 * r)
                - 0.2 * r * outline.octaves(3.0 * p.x / r, 3.0 * p.y / r, 3)
        },
    );
    canvas.paint(area, class::VEGETATION, sdf, |p, _| {
        let green = foliage.colour(p, -p.minus(c).dot(sun.away) / r);
        let [red, ..] = flowers;
        if red > 0.0 && petal.at(11.0 * p.x, 11.0 * p.y) > 0.45 {
            flowers
        } else {
            green
        }
    });
}

/// A clipped hedge along a line.
pub(super) fn hedge(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sun: Sun,
    points: &[Point],
    half_width: f32,
) {
    let foliage = Foliage::new(dice, sun, 0.35);
    let rough = dice.noise();
    let sdf = |p: Point| {
        shape::line(p, points, half_width) + 0.10 * rough.octaves(3.0 * p.x, 3.0 * p.y, 3)
    };
    let area = around_line(points, half_width + 0.3);
    let height = dice.between(0.8, 2.0);
    canvas.cast(sun, area, (0.0, height, half_width), sdf);
    canvas.paint(area, class::VEGETATION, sdf, |p, d| {
        foliage.colour(p, 0.5 + d / half_width)
    });
}

/// A bed of low plants of several kinds with mulch between them.
pub(super) fn bed(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sun: Sun,
    area: Area,
    sdf: impl Fn(Point) -> f32,
) {
    let (a, b) = (Foliage::new(dice, sun, 0.25), Foliage::new(dice, sun, 0.18));
    let which = dice.noise();
    canvas.cast(sun, area, (0.0, 0.35, 0.4), &sdf);
    canvas.paint(area, class::VEGETATION, &sdf, |p, _| {
        let t = step(-0.1, 0.1, which.octaves(1.3 * p.x, 1.3 * p.y, 3));
        let green = mix(a.colour(p, 0.0), b.colour(p, 0.0), t);
        let mulch = step(0.30, 0.5, which.other(1).octaves(3.2 * p.x, 3.2 * p.y, 3));
        let petal = which.other(2).at(10.0 * p.x, 10.0 * p.y);
        let c = mix(green, [0.30, 0.23, 0.18], mulch);
        if petal > 0.62 {
            mix(c, [0.82, 0.45, 0.55], 0.7 * t)
        } else {
            c
        }
    });
}

/// The area of a line and what lies within `reach` metres of it.
pub(super) fn around_line(points: &[Point], reach: f32) -> Area {
    let mut area = Area {
        low: Point::new(1e9, 1e9),
        high: Point::new(-1e9, -1e9),
    };
    for p in points {
        area.low = Point::new(area.low.x.min(p.x - reach), area.low.y.min(p.y - reach));
        area.high = Point::new(area.high.x.max(p.x + reach), area.high.y.max(p.y + reach));
    }
    area
}
