//! Fences, rocks, markers and all that stands about in gardens: tables, boxes, umbrellas, loungers, pots.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, mix, shape, step};
use super::dice::Dice;
use super::light::Sun;
use super::plants;

/// A fence along a line: boards or wire between poles.
pub(super) fn fence(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, points: &[Point]) {
    let wire = dice.chance(0.35);
    let width = if wire { 0.05 } else { dice.between(0.05, 0.14) };
    let paint = dice.pick(&[
        [0.52, 0.40, 0.30],
        [0.62, 0.60, 0.57],
        [0.35, 0.45, 0.58],
        [0.30, 0.38, 0.32],
        [0.82, 0.81, 0.78],
    ]);
    let paint = dice.near(paint, 0.15);
    let height = dice.between(0.9, 1.8);
    let area = plants::around_line(points, width + 0.1);
    let sdf = |p: Point| shape::line(p, points, width);
    canvas.cast(sun, area, (0.0, height, 2.0 * width), sdf);
    let grain = dice.noise();
    canvas.paint(area, class::FENCE, sdf, |p, d| {
        let slat = step(0.1, 0.25, ((p.x + p.y) / 0.16).rem_euclid(1.0));
        lit(
            paint,
            (0.72 + 0.3 * slat) * (1.0 - 1.5 * (d + width)) + 0.1 * grain.at(8.0 * p.x, 8.0 * p.y),
        )
    });
    let mut walked = 0.0;
    for w in points.windows(2) {
        let (Some(&a), Some(&b)) = (w.first(), w.last()) else {
            continue;
        };
        let way = b.minus(a);
        let length = way.length();
        let mut next = -walked;
        while next < length {
            if next >= 0.0 {
                pole(canvas, a.plus(way.times(next / length)), paint);
            }
            next += 2.2;
        }
        walked = 2.2 - (next - length);
    }
}

fn pole(canvas: &mut Canvas, at: Point, paint: Rgb) {
    let sdf = |p: Point| shape::slab(p.minus(at), Point::new(0.10, 0.10), 0.03);
    canvas.paint(Area::around(at, 0.2), class::FENCE_POLE, sdf, |_, d| {
        lit(mix(paint, [0.7; 3], 0.3), 1.0 - 3.0 * (d + 0.1))
    });
}

/// A group of stones within `reach` of a place.
pub(super) fn rocks(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, c: Point, reach: f32) {
    let tone = dice.near([0.52, 0.50, 0.47], 0.2);
    for _ in 0..3 + dice.below(8) {
        let at = c.plus(dice.direction().times(dice.between(0.0, reach)));
        let r = dice.between(0.12, 0.3 + 0.25 * reach);
        let n = dice.noise();
        let paint = dice.near(tone, 0.2);
        let sdf = |p: Point| {
            let d = p.minus(at);
            let facet = n.cell(1.1 * d.x / r + 8.0, 1.1 * d.y / r);
            d.length() - r * (0.85 + 0.35 * n.octaves(d.x / r, d.y / r, 2))
                + 0.12 * r * facet.nearest
        };
        let area = Area::around(at, 1.5 * r);
        canvas.cast(sun, area, (0.0, 0.7 * r, r), sdf);
        canvas.paint(area, class::ROCKS, sdf, |p, _| {
            let bump = |q: Point| n.other(1).octaves(1.6 * q.x / r, 1.6 * q.y / r, 4);
            let slope = bump(p) - bump(p.minus(sun.away.times(0.12 * r)));
            let bulge = -p.minus(at).dot(sun.away) / r;
            lit(
                paint,
                0.95 + 1.2 * slope * sun.depth
                    + 0.28 * bulge * sun.depth
                    + 0.12 * bump(p.times(4.0)),
            )
        });
    }
}

/// A landing marker: a pale plate with a black ring and two black quarters.
pub(super) fn marker(canvas: &mut Canvas, dice: &mut Dice, at: Point, axis: Point) {
    let half = dice.between(0.4, 0.6);
    let plate = dice.near([0.70, 0.80, 0.86], 0.1);
    let sdf = |p: Point| shape::slab(p.seen_from(at, axis), Point::new(half, half), 0.02);
    canvas.paint(
        Area::around(at, 1.5 * half),
        class::AR_MARKER,
        sdf,
        |p, _| {
            let q = p.seen_from(at, axis).times(1.0 / half);
            let r = q.length();
            let dark = (0.62..0.78).contains(&r) || (r < 0.5 && (q.x > 0.0) == (q.y > 0.0));
            match (dark, r < 0.8) {
                (true, _) => [0.12, 0.13, 0.15],
                (false, true) => [0.92, 0.93, 0.94],
                _ => plate,
            }
        },
    );
}

/// One solid thing that is in the way: outline, height above ground, ink.
fn solid(
    canvas: &mut Canvas,
    (sun, low, high): (Sun, f32, f32),
    area: Area,
    sdf: impl Fn(Point) -> f32,
    ink: impl Fn(Point, f32) -> Rgb,
) {
    canvas.cast(sun, area, (low, high, 0.35), &sdf);
    canvas.paint(area, class::OBSTACLE, &sdf, ink);
}

/// Something that is in the way.
pub(super) fn obstacle(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    match dice.below(9) {
        0 => table(canvas, dice, sun, at, axis),
        1 => umbrella(canvas, dice, sun, at),
        2 | 3 => crate_or_bin(canvas, dice, sun, at, axis),
        4 => lounger(canvas, dice, sun, at, axis),
        5 => pot(canvas, dice, sun, at),
        6 if dice.chance(0.3) => trampoline(canvas, dice, sun, at),
        _ => bench(canvas, dice, sun, at, axis),
    }
}

fn wood(dice: &mut Dice) -> Rgb {
    let tone = dice.pick(&[
        [0.52, 0.40, 0.28],
        [0.62, 0.56, 0.48],
        [0.36, 0.28, 0.22],
        [0.78, 0.76, 0.72],
        [0.24, 0.24, 0.26],
    ]);
    dice.near(tone, 0.15)
}

fn table(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let half = Point::new(dice.between(0.6, 1.0), dice.between(0.38, 0.5));
    let (paint, seat, grain) = (wood(dice), wood(dice), dice.noise());
    let round = if dice.chance(0.3) { half.y } else { 0.04 };
    for (x, y) in [(-0.4, -1.0), (0.4, -1.0), (-0.4, 1.0), (0.4, 1.0)] {
        if dice.chance(0.8) {
            let c = Point::new(x * half.x * 1.2, y * (half.y + dice.between(0.15, 0.45)))
                .placed(at, axis);
            let sdf = |p: Point| shape::slab(p.seen_from(c, axis), Point::new(0.23, 0.23), 0.06);
            solid(
                canvas,
                (sun, 0.3, 0.9),
                Area::around(c, 0.4),
                sdf,
                |_, d| lit(seat, 0.7 - 1.6 * d),
            );
        }
    }
    let sdf = |p: Point| shape::slab(p.seen_from(at, axis), half, round);
    solid(
        canvas,
        (sun, 0.6, 0.75),
        Area::around(at, 1.3),
        sdf,
        |p, _| {
            let q = p.seen_from(at, axis);
            let gap = step(0.10, 0.02, (q.y / 0.14).rem_euclid(1.0));
            lit(
                paint,
                (1.0 - 0.35 * gap) * (1.0 + 0.1 * grain.octaves(2.0 * q.x, 20.0 * q.y, 2)),
            )
        },
    );
}

fn umbrella(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point) {
    let r = dice.between(1.0, 1.7);
    let cloth = dice.pick(&[
        [0.90, 0.88, 0.82],
        [0.72, 0.24, 0.20],
        [0.22, 0.34, 0.50],
        [0.86, 0.68, 0.30],
        [0.30, 0.44, 0.34],
    ]);
    let cloth = dice.near(cloth, 0.12);
    let turn = dice.direction();
    // An octagon: the largest of four slab distances.
    let sdf = |p: Point| {
        let q = p.seen_from(at, turn);
        let k = std::f32::consts::FRAC_1_SQRT_2;
        q.x.abs()
            .max(q.y.abs())
            .max((q.x + q.y).abs() * k)
            .max((q.x - q.y).abs() * k)
            - r
    };
    solid(
        canvas,
        (sun, 2.1, 2.4),
        Area::around(at, 1.2 * r),
        sdf,
        |p, _| {
            let q = p.minus(at);
            let tilt = q.times(1.0 / q.length().max(0.01));
            let mid = step(0.08, 0.02, q.length());
            lit(
                cloth,
                (0.85 + 0.35 * (sun.on(tilt) - 0.2) * sun.depth) * (1.0 - 0.4 * mid),
            )
        },
    );
}

fn crate_or_bin(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let half = Point::new(dice.between(0.25, 0.7), dice.between(0.2, 0.5));
    let paint = if dice.chance(0.4) {
        dice.pick(&[[0.30, 0.32, 0.30], [0.25, 0.40, 0.55], [0.75, 0.62, 0.25]])
    } else {
        wood(dice)
    };
    let sdf = |p: Point| shape::slab(p.seen_from(at, axis), half, 0.05);
    let height = dice.between(0.3, 1.1);
    solid(
        canvas,
        (sun, 0.0, height),
        Area::around(at, 1.0),
        sdf,
        |p, d| {
            let q = p.seen_from(at, axis);
            let plank = step(0.08, 0.03, (q.x / 0.18).rem_euclid(1.0)) * 0.25;
            lit(paint, (1.0 - plank) * (1.0 - 0.4 * step(-0.07, -0.03, d)))
        },
    );
}

fn lounger(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let (frame, cloth) = (
        wood(dice),
        dice.pick(&[
            [0.24, 0.27, 0.36],
            [0.80, 0.80, 0.78],
            [0.36, 0.34, 0.32],
            [0.30, 0.50, 0.62],
        ]),
    );
    let half = Point::new(0.98, 0.34);
    let sdf = |p: Point| shape::slab(p.seen_from(at, axis), half, 0.06);
    solid(
        canvas,
        (sun, 0.2, 0.4),
        Area::around(at, 1.1),
        sdf,
        |p, d| {
            let q = p.seen_from(at, axis);
            let head = if q.x > 0.45 { 1.15 } else { 1.0 };
            let fold = 0.2 * step(0.04, 0.01, (q.x / 0.48).rem_euclid(1.0));
            if d > -0.06 {
                frame
            } else {
                lit(cloth, head - fold)
            }
        },
    );
}

fn pot(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point) {
    let r = dice.between(0.22, 0.5);
    let clay = dice.near([0.56, 0.46, 0.40], 0.25);
    let sdf = |p: Point| p.minus(at).length() - r;
    solid(canvas, (sun, 0.0, r), Area::around(at, r), sdf, |_, d| {
        lit(clay, if d > -0.05 { 1.1 } else { 0.5 })
    });
    plants::bush(canvas, dice, sun, at, 0.8 * r);
}

fn trampoline(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point) {
    let r = dice.between(1.2, 2.0);
    let rim = dice.pick(&[[0.16, 0.34, 0.62], [0.30, 0.56, 0.30], [0.34, 0.34, 0.36]]);
    let sdf = |p: Point| p.minus(at).length() - r;
    solid(canvas, (sun, 0.5, 0.8), Area::around(at, r), sdf, |_, d| {
        if d > -0.28 {
            lit(rim, 1.1)
        } else {
            [0.12, 0.12, 0.13]
        }
    });
}

fn bench(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let paint = wood(dice);
    let sdf = |p: Point| shape::slab(p.seen_from(at, axis), Point::new(0.85, 0.25), 0.03);
    solid(
        canvas,
        (sun, 0.3, 0.8),
        Area::around(at, 1.0),
        sdf,
        |p, _| {
            let q = p.seen_from(at, axis);
            lit(
                paint,
                1.0 - 0.45 * step(0.25, 0.1, (q.y / 0.11).rem_euclid(1.0)),
            )
        },
    );
}
