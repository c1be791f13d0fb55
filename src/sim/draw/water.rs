//! Ponds, brooks and pools.

use super::canvas::{Area, Canvas, Point, class, lit, mix, shape, step};
use super::dice::Dice;
use super::ground::{Ground, Kind};
use super::light::Sun;
use super::plants;

/// A pond of about radius `r`, with its shore and a few reeds.
pub(super) fn pond(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, c: Point, r: f32) {
    let edge = dice.noise();
    let stretch = dice.direction();
    let sdf = |p: Point| {
        let q = p.seen_from(c, stretch);
        let q = Point::new(q.x * 0.75, q.y);
        q.length() - r * (0.85 + 0.3 * edge.octaves(2.0 * q.x / r, 2.0 * q.y / r, 3))
    };
    let area = Area::around(c, 1.8 * r);
    let kind = dice.pick(&[Kind::Dirt, Kind::Grit, Kind::Pebbles, Kind::Meadow]);
    let shore = Ground::new(kind, dice);
    let width = dice.between(0.3, 0.9);
    canvas.lay(area, &shore, |p| {
        sdf(p) - width * (1.0 + 0.6 * edge.other(1).at(1.5 * p.x, 1.5 * p.y))
    });
    fill(canvas, dice, sun, area, &sdf);
    for _ in 0..dice.count(5.0) {
        let at = c.plus(dice.direction().times(r * dice.between(0.8, 1.3)));
        if sdf(at).abs() < 0.8 {
            let size = dice.between(0.3, 0.8);
            plants::bush(canvas, dice, sun, at, size);
        }
    }
}

/// A brook along a line.
pub(super) fn brook(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sun: Sun,
    points: &[Point],
    half_width: f32,
) {
    let edge = dice.noise();
    let sdf = |p: Point| {
        shape::line(p, points, half_width) + 0.35 * edge.octaves(0.9 * p.x, 0.9 * p.y, 3)
    };
    let area = plants::around_line(points, half_width + 1.5);
    let shore = Ground::new(Kind::Pebbles, dice);
    canvas.lay(area, &shore, |p| {
        sdf(p) - 0.5 - 0.4 * edge.other(1).at(p.x, p.y)
    });
    fill(canvas, dice, sun, area, &sdf);
}

fn fill(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, area: Area, sdf: &impl Fn(Point) -> f32) {
    let deep = dice.pick(&[
        [0.16, 0.20, 0.17],
        [0.20, 0.26, 0.28],
        [0.26, 0.25, 0.18],
        [0.14, 0.18, 0.22],
    ]);
    let deep = dice.near(deep, 0.2);
    let (wave, weed) = (dice.noise(), dice.noise());
    let sky = [0.62, 0.68, 0.74];
    canvas.paint(area, class::WATER, sdf, |p, d| {
        let shallow = step(-0.9, 0.0, d + 0.2 * wave.at(p.x, p.y));
        let q = p.seen_from(Point::default(), sun.away);
        let ripple = wave.octaves(
            1.2 * q.x + 0.7 * wave.at(0.4 * p.x, 0.4 * p.y),
            5.0 * q.y,
            3,
        );
        let gleam = 0.16 + 0.14 * wave.other(2).octaves(0.15 * p.x, 0.15 * p.y, 2);
        let bed = mix(deep, [0.42, 0.38, 0.28], 0.6 * shallow);
        let bed = mix(
            bed,
            [0.28, 0.34, 0.14],
            0.6 * step(0.3, 0.6, weed.octaves(0.8 * p.x, 0.8 * p.y, 4)),
        );
        lit(mix(bed, sky, gleam), 1.0 + 0.12 * ripple)
    });
}

/// A swimming pool with a pale rim.
pub(super) fn pool(canvas: &mut Canvas, dice: &mut Dice, c: Point, axis: Point, half: Point) {
    let corner = if dice.chance(0.4) {
        half.y * 0.95
    } else {
        0.15
    };
    let rim = Ground::new(Kind::Concrete, dice);
    let blue = dice.pick(&[
        [0.36, 0.66, 0.74],
        [0.30, 0.56, 0.74],
        [0.55, 0.74, 0.78],
        [0.26, 0.46, 0.52],
    ]);
    let blue = dice.near(blue, 0.12);
    let (light, slope) = (dice.noise(), dice.between(-0.12, 0.12));
    let sdf = |p: Point| shape::slab(p.seen_from(c, axis), half, corner);
    let area = Area::around(c, half.length() + 0.6);
    canvas.lay(area, &rim, |p| sdf(p) - 0.35);
    canvas.paint(area, class::POOL, sdf, |p, d| {
        let q = p.seen_from(c, axis);
        let warp = light.at(1.3 * p.x, 1.3 * p.y);
        let net = light.other(1).at(2.6 * p.x + warp, 2.6 * p.y - warp).abs();
        let caustic = step(0.16, 0.0, net);
        let wall = step(-0.22, -0.05, d);
        lit(
            mix(blue, [0.86, 0.93, 0.94], 0.30 * caustic),
            (1.0 - 0.22 * wall) * (1.0 + slope * q.x / half.x),
        )
    });
}
