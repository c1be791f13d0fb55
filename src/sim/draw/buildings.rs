//! Houses seen from above: roof, the walls that perspective shows, windows, doors, chimneys.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, mix, shape, step};
use super::dice::Dice;
use super::light::Sun;
use super::noise::Noise;

/// What lies on top of a house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Cover {
    #[default]
    Tiles,
    Slate,
    Seams,
    FlatGravel,
    FlatBitumen,
}

/// A house: a box on the ground with a roof.
#[derive(Debug, Clone, Copy)]
pub(super) struct House {
    pub(super) centre: Point,
    pub(super) axis: Point,
    /// Half length (along the ridge) and half width, metres.
    pub(super) half: Point,
    height: f32,
    cover: Cover,
    hipped: bool,
    roof: Rgb,
    wall: Rgb,
    noise: Noise,
}

/// A distance for a yes or no: well inside, or just outside.
fn flag(inside: bool) -> f32 {
    if inside { -1.0 } else { 0.15 }
}

impl House {
    pub(super) fn new(dice: &mut Dice, centre: Point, axis: Point, half: Point) -> Self {
        let cover = dice.pick(&[
            Cover::Tiles,
            Cover::Tiles,
            Cover::Tiles,
            Cover::Slate,
            Cover::Seams,
            Cover::FlatGravel,
            Cover::FlatBitumen,
        ]);
        let roof = match cover {
            Cover::Tiles => dice.pick(&[
                [0.56, 0.36, 0.30],
                [0.50, 0.28, 0.23],
                [0.42, 0.30, 0.26],
                [0.60, 0.42, 0.32],
            ]),
            Cover::Slate => {
                dice.pick(&[[0.30, 0.31, 0.34], [0.36, 0.35, 0.35], [0.25, 0.26, 0.28]])
            }
            Cover::Seams => dice.pick(&[
                [0.62, 0.64, 0.66],
                [0.40, 0.44, 0.48],
                [0.35, 0.42, 0.38],
                [0.55, 0.34, 0.30],
            ]),
            Cover::FlatGravel => [0.60, 0.58, 0.55],
            Cover::FlatBitumen => [0.36, 0.36, 0.37],
        };
        Self {
            centre,
            axis,
            half,
            height: dice.between(2.8, 6.5),
            cover,
            hipped: dice.chance(0.35),
            roof: dice.near(roof, 0.15),
            wall: dice.pick(&[
                [0.82, 0.80, 0.74],
                [0.74, 0.66, 0.54],
                [0.62, 0.60, 0.58],
                [0.55, 0.38, 0.30],
            ]),
            noise: dice.noise(),
        }
    }

    /// Distance to the footprint.
    pub(super) fn outline(&self, p: Point) -> f32 {
        shape::slab(p.seen_from(self.centre, self.axis), self.half, 0.0)
    }

    /// How far the roof's edge is moved against the foot of the walls by perspective.
    fn lean(&self, canvas: &Canvas) -> Point {
        let from = self.centre.minus(canvas.centre());
        let camera_height = (0.8 * canvas.size().x).max(14.0);
        from.times(self.height / (camera_height - 0.5 * self.height).max(8.0))
    }

    fn is_flat(&self) -> bool {
        matches!(self.cover, Cover::FlatGravel | Cover::FlatBitumen)
    }

    fn area(&self, lean: Point) -> Area {
        Area::around(self.centre, self.half.length() + 0.6).stretched(lean)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, dice: &mut Dice, sun: Sun) {
        let lean = self.lean(canvas);
        let area = self.area(lean);
        canvas.cast(sun, area, (0.0, self.height, self.half.y), |p| {
            self.outline(p)
        });
        self.draw_walls(canvas, lean);
        let top = Self {
            centre: self.centre.plus(lean),
            half: self.half.plus(Point::new(0.35, 0.35)),
            ..*self
        };
        canvas.paint(
            area,
            class::ROOF,
            |p| top.outline(p),
            |p, d| top.roof_colour(sun, p, d),
        );
        top.furnish(canvas, dice, sun);
    }

    /// The walls sweep from the footprint to the roof; doors and windows stand on them.
    fn draw_walls(&self, canvas: &mut Canvas, lean: Point) {
        let area = self.area(lean);
        let steps = 8;
        let sdf = |p: Point| {
            (0..=steps).fold(1e9_f32, |d, i| {
                d.min(self.outline(p.minus(lean.times(i as f32 / steps as f32))))
            })
        };
        let noise = self.noise;
        canvas.paint(area, class::WALL, sdf, |p, _| {
            lit(
                self.wall,
                0.82 + 0.06 * noise.octaves(3.0 * p.x, 3.0 * p.y, 3),
            )
        });
        // Along a wall, and how far up it: seen from the foot of the wall that faces away from the lean's direction.
        let up = lean.dot(self.axis.across()).abs().max(0.3);
        let on_wall = |p: Point| {
            let q = p.seen_from(self.centre, self.axis);
            let t = (self.half.y - q.y.abs()) / up;
            let u = (q.x / 2.6).rem_euclid(1.0);
            (
                u,
                t,
                (q.x / 2.6).floor() as i32,
                q.x.abs() < self.half.x - 0.5,
            )
        };
        let door = noise.dot(5, 5) * self.half.x / 2.6;
        canvas.paint(
            area,
            class::WINDOW,
            |p| {
                let (u, t, _, here) = on_wall(p);
                flag(here && sdf(p) < 0.0 && (0.30..0.72).contains(&u) && (0.35..0.70).contains(&t))
            },
            |p, _| {
                lit(
                    [0.30, 0.35, 0.42],
                    1.0 + 0.4 * noise.other(2).at(3.0 * p.x, 3.0 * p.y),
                )
            },
        );
        canvas.paint(
            area,
            class::DOOR,
            |p| {
                let (u, t, i, here) = on_wall(p);
                flag(
                    here && i == door as i32
                        && sdf(p) < 0.0
                        && (0.28..0.74).contains(&u)
                        && (0.0..0.7).contains(&t),
                )
            },
            |_, _| [0.36, 0.26, 0.19],
        );
    }

    fn roof_colour(&self, sun: Sun, p: Point, d: f32) -> Rgb {
        let q = p.seen_from(self.centre, self.axis);
        let n = self.noise;
        let weather = n.octaves(0.5 * p.x, 0.5 * p.y, 4);
        let spots = n.other(3).octaves(7.0 * p.x, 7.0 * p.y, 3);
        let moss = step(0.25, 0.7, n.other(4).octaves(0.9 * p.x, 0.9 * p.y, 4));
        if self.is_flat() {
            let pebble = if self.cover == Cover::FlatGravel {
                0.16
            } else {
                0.05
            };
            let c = lit(
                self.roof,
                1.0 + 0.12 * weather + pebble * n.other(5).at(18.0 * p.x, 18.0 * p.y),
            );
            return if d > -0.25 {
                lit(mix(c, [0.72; 3], 0.5), 1.0 + 0.05 * spots)
            } else {
                c
            };
        }
        let (dx, dy) = (self.half.x - q.x.abs(), self.half.y - q.y.abs());
        let hip = self.hipped && dx < dy;
        let (down, along, across) = if hip {
            (self.axis.times(q.x.signum()), q.y, dx)
        } else {
            (self.axis.across().times(q.y.signum()), q.x, dy)
        };
        let light = 1.0 + (sun.on(down) - 0.5) * 0.75 * sun.depth;
        let row = across / 0.33;
        let tooth = match self.cover {
            Cover::Seams => step(0.80, 0.95, (along / 0.5).rem_euclid(1.0)) * 0.16,
            _ => {
                0.14 * (row.rem_euclid(1.0) - 0.5)
                    + 0.07 * step(0.7, 0.9, (along / 0.25).rem_euclid(1.0))
            }
        };
        let tile = 0.09
            * n.other(6)
                .dot((along / 0.25).floor() as i32, row.floor() as i32);
        let ridge = step(
            0.16,
            0.08,
            if self.hipped {
                (dx - dy).abs().min(q.y.abs())
            } else {
                q.y.abs()
            },
        );
        let c = mix(self.roof, [0.33, 0.34, 0.24], 0.35 * moss);
        let k = light * (1.0 + tile - tooth + 0.10 * weather + 0.06 * spots) * (1.0 + 0.12 * ridge);
        lit(c, k * (1.0 - 0.35 * step(-0.14, -0.05, d)))
    }

    /// Chimneys, roof windows, solar panels, vents.
    fn furnish(&self, canvas: &mut Canvas, dice: &mut Dice, sun: Sun) {
        for _ in 0..dice.below(3) {
            let at = self.spot(dice, 0.5);
            let h = Point::new(dice.between(0.25, 0.5), dice.between(0.2, 0.35));
            let brick = dice.near([0.48, 0.36, 0.31], 0.3);
            self.block(canvas, (sun, class::ROOF, 0.9), (at, h), |q| {
                if shape::slab(q, h.times(0.55), 0.0) < 0.0 {
                    [0.10, 0.09, 0.09]
                } else {
                    brick
                }
            });
        }
        for _ in 0..dice.below(4) {
            let at = self.spot(dice, 0.75);
            let frame = Point::new(0.4, 0.6);
            self.block(canvas, (sun, class::WINDOW, 0.08), (at, frame), |q| {
                if shape::slab(q, Point::new(0.32, 0.52), 0.0) < 0.0 {
                    [0.42, 0.50, 0.58]
                } else {
                    [0.75; 3]
                }
            });
        }
        if dice.chance(0.25) && self.half.y > 2.2 {
            let half = Point::new((self.half.x - 1.0).min(2.5), 0.38 * self.half.y);
            let at = Point::new(0.0, 0.5 * self.half.y).placed(self.centre, self.axis);
            self.block(canvas, (sun, class::ROOF, 0.1), (at, half), |q| {
                let (u, v) = ((q.x / 1.0).rem_euclid(1.0), (q.y / 1.65).rem_euclid(1.0));
                let frame = u < 0.04 || v < 0.03;
                if frame {
                    [0.62, 0.64, 0.66]
                } else {
                    lit([0.13, 0.17, 0.28], 1.0 + 0.3 * v)
                }
            });
        }
    }

    /// A place on the roof, away from its edges.
    fn spot(&self, dice: &mut Dice, inner: f32) -> Point {
        let x = dice.between(-inner, inner) * self.half.x;
        let y = dice.between(-0.75, 0.75) * self.half.y;
        Point::new(x, y).placed(self.centre, self.axis)
    }

    /// A small upright box on the roof; `ink` sees places from its middle along the house's axis.
    fn block(
        &self,
        canvas: &mut Canvas,
        (sun, class, height): (Sun, u8, f32),
        (at, half): (Point, Point),
        ink: impl Fn(Point) -> Rgb,
    ) {
        let sdf = |p: Point| shape::slab(p.seen_from(at, self.axis), half, 0.0);
        let area = Area::around(at, half.length());
        canvas.cast(sun, area, (0.0, height, half.y), sdf);
        canvas.paint(area, class, sdf, |p, _| ink(p.seen_from(at, self.axis)));
    }
}
