//! People, dogs and bicycles.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, shape};
use super::dice::Dice;
use super::light::Sun;

const SKIN: [Rgb; 4] = [
    [0.80, 0.62, 0.52],
    [0.68, 0.50, 0.40],
    [0.48, 0.34, 0.26],
    [0.86, 0.70, 0.60],
];
const HAIR: [Rgb; 6] = [
    [0.14, 0.11, 0.10],
    [0.30, 0.22, 0.16],
    [0.55, 0.44, 0.30],
    [0.62, 0.60, 0.58],
    [0.80, 0.78, 0.74],
    [0.75, 0.25, 0.20],
];
const CLOTH: [Rgb; 16] = [
    [0.16, 0.17, 0.20],
    [0.80, 0.80, 0.80],
    [0.16, 0.30, 0.62],
    [0.72, 0.16, 0.16],
    [0.92, 0.42, 0.12],
    [0.20, 0.48, 0.32],
    [0.88, 0.78, 0.25],
    [0.50, 0.24, 0.52],
    [0.86, 0.52, 0.60],
    [0.34, 0.60, 0.82],
    [0.45, 0.40, 0.34],
    [0.26, 0.28, 0.40],
    [0.56, 0.56, 0.58],
    [0.10, 0.10, 0.12],
    [0.93, 0.92, 0.88],
    [0.62, 0.80, 0.30],
];

/// What a person wears.
#[derive(Debug, Clone, Copy)]
struct Looks {
    skin: Rgb,
    hair: Rgb,
    top: Rgb,
    legs: Rgb,
}

impl Looks {
    fn new(dice: &mut Dice) -> Self {
        let (skin, hair, top, legs) = (
            dice.pick(&SKIN),
            dice.pick(&HAIR),
            dice.pick(&CLOTH),
            dice.pick(&CLOTH),
        );
        Self {
            skin,
            hair: dice.near(hair, 0.2),
            top: dice.near(top, 0.2),
            legs: dice.near(lit(legs, 0.8), 0.2),
        }
    }
}

/// Somebody at `feet`, who looks along `facing`.
pub(super) fn person(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, feet: Point, facing: Point) {
    let looks = Looks::new(dice);
    let size = dice.between(0.82, 1.12);
    if dice.chance(0.12) {
        lying(canvas, sun, &looks, feet, (facing, size));
    } else {
        upright(canvas, dice, sun, &looks, (feet, facing, size));
    }
}

/// Somebody upright at `feet`, who walks along `facing`.
pub(super) fn walker(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, feet: Point, facing: Point) {
    let looks = Looks::new(dice);
    upright(canvas, dice, sun, &looks, (feet, facing, 1.0));
}

fn part(canvas: &mut Canvas, a: Point, b: Point, r: f32, rgb: Rgb) {
    let area = Area::around(a, r + b.minus(a).length());
    // Limbs are round: lighter along their middle.
    canvas.paint(
        area,
        class::PERSON,
        |p| shape::capsule(p, a, b, r),
        |_, d| lit(rgb, 0.80 - 0.35 * (d / r).max(-1.0)),
    );
}

fn upright(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sun: Sun,
    looks: &Looks,
    (feet, facing, size): (Point, Point, f32),
) {
    // Perspective lays a standing body outwards from the picture's middle.
    let from = feet.minus(canvas.centre());
    let lean = from.times(1.7 * size / (0.8 * canvas.size().x).max(14.0));
    let lean = lean.plus(facing.times(dice.between(-0.05, 0.12)));
    let side = facing.across();
    let (shoulder, head) = (
        feet.plus(lean.times(0.80)),
        feet.plus(lean).plus(facing.times(0.06)),
    );
    for (low, high, width) in [(0.1, 1.45, 0.19), (1.45, 1.75, 0.11)] {
        let heights = (low * size, high * size, 1.6 * width);
        canvas.cast(sun, Area::around(feet, 0.4), heights, |p| {
            p.minus(feet).length() - width * size
        });
    }
    legs(
        canvas,
        looks,
        (feet, feet.plus(lean.times(0.5))),
        (facing, size, dice.between(-0.28, 0.28)),
    );
    arms(
        canvas,
        looks,
        (shoulder, lean),
        (facing, size, dice.between(-0.25, 0.35)),
    );
    let (hip, wide) = (feet.plus(lean.times(0.5)), side.times(0.17 * size));
    part(canvas, hip, shoulder, 0.16 * size, looks.top);
    part(
        canvas,
        shoulder.minus(wide),
        shoulder.plus(wide),
        0.11 * size,
        looks.top,
    );
    if dice.chance(0.2) {
        let (pack, behind) = (dice.pick(&CLOTH), facing.times(0.17));
        part(
            canvas,
            shoulder.minus(behind),
            hip.minus(behind),
            0.13,
            pack,
        );
    }
    part(
        canvas,
        head,
        head.plus(facing.times(0.05)),
        0.105 * size,
        looks.skin,
    );
    part(
        canvas,
        head.minus(facing.times(0.02)),
        head,
        0.11 * size,
        looks.hair,
    );
}

fn legs(
    canvas: &mut Canvas,
    looks: &Looks,
    (feet, hip): (Point, Point),
    (facing, size, stride): (Point, f32, f32),
) {
    let side = facing.across();
    for k in [-1.0, 1.0] {
        let foot = feet
            .plus(side.times(0.10 * k))
            .plus(facing.times(stride * k));
        let thigh = hip.plus(side.times(0.08 * k));
        part(canvas, foot, thigh, 0.085 * size, looks.legs);
        part(
            canvas,
            foot,
            foot.plus(facing.times(0.14)),
            0.05,
            [0.13, 0.12, 0.12],
        );
    }
}

fn arms(
    canvas: &mut Canvas,
    looks: &Looks,
    (shoulder, lean): (Point, Point),
    (facing, size, swing): (Point, f32, f32),
) {
    let side = facing.across();
    for k in [-1.0, 1.0] {
        let joint = shoulder.plus(side.times(0.22 * size * k));
        let hand = joint
            .plus(facing.times(swing * k))
            .minus(lean.times(0.3))
            .plus(side.times(0.06 * k));
        part(canvas, joint, hand, 0.05 * size, looks.skin);
        let elbow = joint.plus(hand.minus(joint).times(0.5));
        part(canvas, joint, elbow, 0.062 * size, looks.top);
    }
}

fn lying(canvas: &mut Canvas, sun: Sun, looks: &Looks, at: Point, (axis, size): (Point, f32)) {
    let place = |x: f32, y: f32| Point::new(x * size, y * size).placed(at, axis);
    canvas.cast(sun, Area::around(at, 1.1), (0.0, 0.25, 0.3), |p| {
        shape::capsule(p, place(-0.8, 0.0), place(0.7, 0.0), 0.2)
    });
    for k in [-1.0, 1.0] {
        part(
            canvas,
            place(-0.85, 0.16 * k),
            place(-0.05, 0.10 * k),
            0.08,
            looks.legs,
        );
        part(
            canvas,
            place(-0.88, 0.17 * k),
            place(-0.86, 0.24 * k),
            0.05,
            [0.15, 0.14, 0.14],
        );
        part(
            canvas,
            place(0.42, 0.20 * k),
            place(0.05, 0.36 * k),
            0.05,
            looks.skin,
        );
    }
    part(canvas, place(0.0, 0.0), place(0.40, 0.0), 0.19, looks.top);
    part(canvas, place(0.68, 0.0), place(0.70, 0.0), 0.11, looks.skin);
    part(canvas, place(0.74, 0.0), place(0.75, 0.0), 0.10, looks.hair);
}

/// A dog, nose towards `facing`.
pub(super) fn dog(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, facing: Point) {
    let coat = dice.pick(&[
        [0.16, 0.13, 0.12],
        [0.46, 0.33, 0.20],
        [0.78, 0.72, 0.62],
        [0.58, 0.42, 0.26],
        [0.35, 0.33, 0.32],
    ]);
    let coat = dice.near(coat, 0.2);
    let k = dice.between(0.7, 1.25);
    let place = |x: f32, y: f32| Point::new(x * k, y * k).placed(at, facing);
    let wag = dice.between(-0.12, 0.12);
    let body = [
        (place(-0.28, 0.0), place(0.22, 0.0), 0.12),
        (place(0.22, 0.0), place(0.42, 0.0), 0.075),
        (place(0.40, 0.0), place(0.52, 0.0), 0.045),
        (place(-0.30, 0.0), place(-0.58, wag), 0.025),
        (place(0.12, -0.1), place(0.18, -0.16), 0.04),
        (place(0.12, 0.1), place(0.08, 0.16), 0.04),
        (place(-0.22, -0.1), place(-0.26, -0.16), 0.04),
        (place(-0.22, 0.1), place(-0.18, 0.16), 0.04),
    ];
    let sdf = |p: Point| {
        body.iter().fold(1e9_f32, |d, &(a, b, r)| {
            d.min(shape::capsule(p, a, b, r * k))
        })
    };
    let patches = dice.noise();
    let area = Area::around(at, 0.8);
    canvas.cast(sun, area, (0.05, 0.5, 0.15), sdf);
    canvas.paint(area, class::DOG, sdf, |p, d| {
        let patch = if patches.at(5.0 * p.x, 5.0 * p.y) > 0.4 {
            0.6
        } else {
            1.0
        };
        lit(coat, patch * (0.8 - 3.0 * d))
    });
}

/// A bicycle along `axis`, leaning or lying, so that its wheels show as narrow rings.
pub(super) fn bicycle(canvas: &mut Canvas, dice: &mut Dice, sun: Sun, at: Point, axis: Point) {
    let paint = dice.pick(&CLOTH);
    let tilt = dice.between(0.06, 0.30);
    let place = |x: f32, y: f32| Point::new(x, y * tilt * 3.0).placed(at, axis);
    let wheel = |p: Point, c: f32| {
        let q = p.seen_from(at, axis).minus(Point::new(c, 0.0));
        shape::ellipse(q, Point::new(0.34, tilt)).abs() - 0.028
    };
    let (rear, front) = (place(-0.52, 0.0), place(0.52, 0.0));
    let (pedal, seat, bar) = (place(-0.08, 0.04), place(-0.20, 0.55), place(0.36, 0.6));
    let frame = [rear, pedal, bar, seat, pedal, seat, rear];
    let side = axis.across();
    let handle = [bar.minus(side.times(0.28)), bar.plus(side.times(0.28))];
    let sdf = |p: Point| {
        let tubes = shape::line(p, &frame, 0.026).min(shape::capsule(p, bar, front, 0.026));
        wheel(p, -0.52)
            .min(wheel(p, 0.52))
            .min(tubes)
            .min(shape::line(p, &handle, 0.022))
    };
    let saddle = |p: Point| shape::capsule(p, seat, seat.plus(axis.times(-0.16)), 0.06);
    let area = Area::around(at, 1.1);
    canvas.cast(sun, area, (0.1, 0.7, 0.08), sdf);
    canvas.paint(
        area,
        class::BICYCLE,
        |p| sdf(p).min(saddle(p)),
        |p, _| {
            let tube = shape::line(p, &frame, 0.03);
            if tube < 0.01 && saddle(p) > 0.0 {
                paint
            } else {
                [0.12, 0.12, 0.12]
            }
        },
    );
}
