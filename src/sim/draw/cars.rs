//! Cars, and the places where they stand.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, mix, shape, step};
use super::dice::Dice;
use super::light::Sun;

const PAINT: [Rgb; 9] = [
    [0.88, 0.88, 0.88],
    [0.12, 0.12, 0.13],
    [0.55, 0.56, 0.58],
    [0.36, 0.37, 0.39],
    [0.62, 0.12, 0.12],
    [0.14, 0.24, 0.46],
    [0.70, 0.68, 0.62],
    [0.20, 0.34, 0.28],
    [0.86, 0.70, 0.18],
];

/// A car (or van) at `at`, its nose towards `axis`.
pub(super) fn car(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let van = dice.chance(0.15);
    let half = Point::new(dice.between(1.95, 2.35), dice.between(0.84, 0.94)).times(if van {
        1.12
    } else {
        1.0
    });
    let height = if van { 2.1 } else { 1.45 };
    let paint = dice.pick(&PAINT);
    let paint = dice.near(paint, 0.12);
    let dust = dice.noise();
    let body = |q: Point| shape::slab(q, half, 0.42).max(shape::slab(q, half, 0.2));
    let sdf = |p: Point| {
        let q = p.seen_from(at, axis);
        let mirror = Point::new(q.x - 0.25 * half.x, q.y.abs() - half.y - 0.04);
        body(q).min(shape::slab(mirror, Point::new(0.10, 0.09), 0.04))
    };
    let area = Area::around(at, half.length() + 0.2);
    canvas.cast(sun, area, (0.0, height, 1.0), |p| sdf(p) + 0.12);
    let (front, rear) = if van { (0.62, -0.95) } else { (0.36, -0.78) };
    canvas.paint(area, class::CAR, sdf, |p, d| {
        let q = p.seen_from(at, axis);
        let (u, v) = (q.x / half.x, q.y / half.y);
        let dirt = dust.octaves(2.0 * p.x, 2.0 * p.y, 3);
        let shine = 1.0 + (sun.on(axis.across().times(v)) - 0.5) * 0.5 + 0.05 * dirt;
        glass(u, v, front, rear).map_or_else(
            || {
                let c = lit(paint, shine * (1.0 - 0.45 * step(-0.12, 0.0, d)));
                let lamp = (u > 0.90 && v.abs() > 0.5, u < -0.93 && v.abs() > 0.5);
                let seam = step(0.02, 0.006, (u - front - 0.17).abs()) * 0.3;
                match lamp {
                    (true, _) => mix(c, [0.85, 0.87, 0.88], 0.7),
                    (_, true) => mix(c, [0.60, 0.10, 0.10], 0.7),
                    _ => lit(c, 1.0 - seam),
                }
            },
            |bright| lit([0.13, 0.16, 0.19], bright * shine),
        )
    });
}

/// How bright the glass is at a place in the car's own measures (nose at `u = 1`, doors at `v = +-1`); `None` off it.
fn glass(u: f32, v: f32, front: f32, rear: f32) -> Option<f32> {
    let bow = 0.05 * v * v;
    let wind = u < front - bow + 0.13 && u > front - bow - 0.16;
    let back = u > rear + bow - 0.06 && u < rear + bow + 0.14;
    let cabin = u < front && u > rear;
    let inner = v.abs() < 0.80;
    if (wind || back) && inner {
        return Some(if wind { 1.5 } else { 1.1 });
    }
    let pillar = (u - 0.5 * (front + rear)).abs() < 0.03;
    (cabin && !pillar && v.abs() > 0.74 && v.abs() < 0.90).then_some(0.9)
}

/// Rows of bays with lines between them, some of them taken. `origin` is the first bay's corner, `axis` runs along the
/// row.
pub(super) fn parking(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sun: Sun,
    (origin, axis): (Point, Point),
    bays: u32,
) {
    let (pitch, depth) = (dice.between(2.4, 2.7), 5.0);
    let white = dice.near([0.80, 0.80, 0.78], 0.1);
    let worn = dice.noise();
    for i in 0..=bays {
        let a = Point::new(i as f32 * pitch, 0.0).placed(origin, axis);
        let b = a.plus(axis.across().times(depth));
        let area = Area::around(a, 0.2).stretched(b.minus(a));
        canvas.tint(
            area,
            |p| shape::capsule(p, a, b, 0.06),
            |below, p| mix(below, white, 0.55 + 0.4 * worn.at(4.0 * p.x, 4.0 * p.y)),
        );
    }
    for i in 0..bays {
        if dice.chance(0.45) {
            let x = (i as f32 + 0.5) * pitch + dice.between(-0.2, 0.2);
            let at = Point::new(x, 0.5 * depth + dice.between(-0.3, 0.3)).placed(origin, axis);
            let nose = axis
                .across()
                .times(if dice.chance(0.5) { 1.0 } else { -1.0 });
            let turn = axis.times(dice.between(-0.05, 0.05));
            let nose = nose.plus(turn);
            car(canvas, dice, sun, at, nose.times(1.0 / nose.length()));
        }
    }
}
