//! What the ground is made of: grass, dirt, gravel, asphalt, slabs, boards.

use super::canvas::{Area, Canvas, Point, Rgb, class, lit, mix, step};
use super::dice::Dice;
use super::noise::Noise;

/// A kind of ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Lawn,
    Mown,
    Meadow,
    DryGrass,
    Dirt,
    Furrows,
    Pebbles,
    Grit,
    Asphalt,
    Concrete,
    Slabs,
    Pavers,
    Boards,
}

/// A piece of ground: its kind with the colours and directions that this scene's dice gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    kind: Kind,
    base: Rgb,
    other: Rgb,
    noise: Noise,
    axis: Point,
    /// Size of slabs, stripes, pebbles, metres.
    pitch: f32,
}

impl Ground {
    pub(super) fn new(kind: Kind, dice: &mut Dice) -> Self {
        let (base, other, low, high): (Rgb, Rgb, f32, f32) = match kind {
            Kind::Lawn => ([0.30, 0.38, 0.16], [0.44, 0.45, 0.24], 0.8, 1.6),
            Kind::Mown => ([0.29, 0.40, 0.15], [0.37, 0.47, 0.20], 0.5, 2.0),
            Kind::Meadow => ([0.34, 0.38, 0.20], [0.54, 0.50, 0.32], 1.0, 3.0),
            Kind::DryGrass => ([0.47, 0.42, 0.31], [0.41, 0.41, 0.26], 1.0, 3.0),
            Kind::Dirt => ([0.43, 0.35, 0.27], [0.56, 0.48, 0.38], 0.6, 1.5),
            Kind::Furrows => ([0.38, 0.30, 0.23], [0.50, 0.41, 0.31], 0.35, 0.8),
            Kind::Pebbles => ([0.74, 0.73, 0.70], [0.58, 0.56, 0.53], 0.05, 0.13),
            Kind::Grit => ([0.56, 0.54, 0.50], [0.64, 0.60, 0.54], 0.03, 0.06),
            Kind::Asphalt => ([0.50, 0.50, 0.50], [0.43, 0.43, 0.44], 3.0, 8.0),
            Kind::Concrete => ([0.64, 0.63, 0.60], [0.57, 0.56, 0.53], 2.0, 4.0),
            Kind::Slabs => ([0.56, 0.55, 0.54], [0.62, 0.57, 0.51], 0.4, 0.9),
            Kind::Pavers => ([0.58, 0.50, 0.45], [0.52, 0.47, 0.45], 0.16, 0.25),
            Kind::Boards => ([0.47, 0.42, 0.38], [0.56, 0.51, 0.46], 0.12, 0.18),
        };
        Self {
            kind,
            base: dice.near(base, 0.18),
            other: dice.near(other, 0.18),
            noise: dice.noise(),
            axis: dice.direction(),
            pitch: dice.between(low, high),
        }
    }

    /// The same, with joints, stripes and furrows along this direction.
    pub(super) const fn along(mut self, axis: Point) -> Self {
        self.axis = axis;
        self
    }

    /// The class of this ground.
    pub(super) const fn class(&self) -> u8 {
        match self.kind {
            Kind::Lawn | Kind::Mown | Kind::Meadow | Kind::DryGrass => class::GRASS,
            Kind::Dirt | Kind::Furrows => class::DIRT,
            Kind::Pebbles | Kind::Grit => class::GRAVEL,
            Kind::Asphalt | Kind::Concrete | Kind::Slabs | Kind::Pavers | Kind::Boards => {
                class::PAVED
            }
        }
    }

    /// The colour at a place.
    pub(super) fn colour(&self, p: Point) -> Rgb {
        match self.kind {
            Kind::Lawn => self.blades(p, 0.0, 0.45),
            Kind::Mown => {
                let stripe = (p.dot(self.axis) / self.pitch + 0.15 * self.noise.at(p.x, p.y))
                    .rem_euclid(2.0);
                let edge = step(0.0, 0.15, stripe) - step(1.0, 1.15, stripe);
                self.blades(p, 0.35 * edge, 0.25)
            }
            Kind::Meadow => self.blades(p, 0.1, 0.8),
            Kind::DryGrass => self.blades(p, 0.0, 0.7),
            Kind::Dirt => self.soil(p),
            Kind::Furrows => {
                let wave = (p.dot(self.axis) / self.pitch).rem_euclid(1.0);
                let k = 0.80 + 0.4 * step(0.0, 0.4, wave) * step(1.0, 0.6, wave);
                lit(self.soil(p), k)
            }
            Kind::Pebbles => self.stones(p, 0.30),
            Kind::Grit => self.stones(p, 0.18),
            Kind::Asphalt => self.asphalt(p),
            Kind::Concrete => self.slabs(p, 1.0, 0.010),
            Kind::Slabs => self.slabs(p, 1.0, 0.012),
            Kind::Pavers => self.slabs(p, 2.0, 0.008),
            Kind::Boards => self.boards(p),
        }
    }

    /// Grass of two tones: patches of metres, clumps of decimetres, blades of centimetres, bare or yellow spots.
    fn blades(&self, p: Point, lean: f32, variety: f32) -> Rgb {
        let n = self.noise;
        let patch = n.octaves(0.35 * p.x, 0.35 * p.y, 3);
        let clump = n.other(11).octaves(4.5 * p.x, 4.5 * p.y, 3);
        let blade = n.other(12).octaves(22.0 * p.x, 22.0 * p.y, 2);
        let t = (0.5 + lean + variety * (0.9 * patch + 0.5 * clump)).clamp(0.0, 1.0);
        let c = mix(self.base, self.other, t);
        let worn = step(
            0.35,
            0.75,
            n.other(13).octaves(0.8 * p.x, 0.8 * p.y, 3) + 0.25 * clump,
        );
        let c = mix(c, [0.50, 0.44, 0.33], 0.55 * variety * worn);
        let [r, g, b] = lit(c, 1.0 + 0.16 * clump + 0.24 * blade);
        [r * (1.0 + 0.08 * blade), g, b * (1.0 - 0.10 * clump)]
    }

    fn soil(&self, p: Point) -> Rgb {
        let n = self.noise;
        let large = n.octaves(0.6 * p.x, 0.6 * p.y, 3);
        let small = n.other(21).octaves(9.0 * p.x, 9.0 * p.y, 3);
        let litter = n.other(22).at(16.0 * p.x, 16.0 * p.y);
        let c = mix(
            self.base,
            self.other,
            (0.5 + 0.8 * large + 0.3 * small).clamp(0.0, 1.0),
        );
        let c = lit(c, 1.0 + 0.22 * small);
        if litter > 0.72 {
            return mix(c, [0.60, 0.50, 0.36], 0.5);
        }
        mix(
            c,
            [0.36, 0.38, 0.20],
            0.5 * step(0.25, 0.6, n.other(23).octaves(1.7 * p.x, 1.7 * p.y, 3)),
        )
    }

    fn stones(&self, p: Point, contrast: f32) -> Rgb {
        let n = self.noise;
        let cell = n.cell(p.x / self.pitch, p.y / self.pitch);
        let gap = step(0.0, 0.35, cell.second - cell.nearest);
        let patch = n.other(31).octaves(0.9 * p.x, 0.9 * p.y, 3);
        let c = mix(
            self.base,
            self.other,
            (0.5 + 0.5 * cell.id + 0.3 * patch).clamp(0.0, 1.0),
        );
        lit(
            c,
            (1.0 - contrast) + contrast * (1.4 * gap - 0.4 * cell.nearest) + 0.06 * patch,
        )
    }

    fn asphalt(&self, p: Point) -> Rgb {
        let n = self.noise;
        let large = n.octaves(0.25 * p.x, 0.25 * p.y, 4);
        let grain = n.other(41).octaves(24.0 * p.x, 24.0 * p.y, 2);
        let stain = step(0.35, 0.6, n.other(42).octaves(0.7 * p.x, 0.7 * p.y, 3));
        let c = mix(self.base, self.other, (0.5 + 0.8 * large).clamp(0.0, 1.0));
        let c = lit(c, 1.0 + 0.13 * grain - 0.10 * stain);
        // Cracks run where a slow field crosses zero.
        let crack = n.other(43).octaves(0.30 * p.x, 0.30 * p.y, 4).abs();
        lit(c, 1.0 - 0.28 * step(0.007, 0.002, crack))
    }

    /// Slabs in running bond, `ratio` times longer than wide, with a joint of `joint` metres.
    fn slabs(&self, p: Point, ratio: f32, joint: f32) -> Rgb {
        let q = p.seen_from(Point::default(), self.axis);
        let row = (q.y / self.pitch).floor();
        let width = self.pitch * ratio;
        let along = q.x / width + 0.5 * row;
        let column = along.floor();
        let (u, v) = ((along - column) * width, q.y - row * self.pitch);
        let edge = u.min(width - u).min(v).min(self.pitch - v);
        let tone = self.noise.dot(column as i32, row as i32);
        let grain = self.noise.other(51).octaves(14.0 * p.x, 14.0 * p.y, 3);
        let dirty = self.noise.other(52).octaves(0.5 * p.x, 0.5 * p.y, 3);
        let c = mix(self.base, self.other, (0.5 + 0.5 * tone).clamp(0.0, 1.0));
        let c = lit(c, 1.0 + 0.05 * tone + 0.09 * grain + 0.10 * dirty);
        lit(c, 1.0 - 0.35 * step(2.0 * joint, joint, edge))
    }

    fn boards(&self, p: Point) -> Rgb {
        let q = p.seen_from(Point::default(), self.axis);
        let row = (q.y / self.pitch).floor();
        let v = q.y - row * self.pitch;
        let tone = self
            .noise
            .dot((q.x / 3.0 + 0.37 * row).floor() as i32, row as i32);
        let fibre = self.noise.other(61).octaves(1.2 * q.x, 40.0 * q.y, 2);
        let c = mix(self.base, self.other, (0.5 + 0.5 * tone).clamp(0.0, 1.0));
        let gap = step(0.022, 0.008, v.min(self.pitch - v));
        lit(c, (1.0 + 0.10 * fibre) * (1.0 - 0.5 * gap))
    }
}

impl Canvas {
    /// Lays this ground inside the shape.
    pub(super) fn lay(&mut self, area: Area, ground: &Ground, sdf: impl Fn(Point) -> f32) {
        self.paint(area, ground.class(), sdf, |p, _| ground.colour(p));
    }

    /// Lays this ground everywhere.
    pub(super) fn cover(&mut self, ground: &Ground) {
        self.lay(self.everywhere(), ground, |_| -1.0);
    }

    /// Lays patches of this ground where a noise field is high; `share` is about the part of the canvas covered.
    pub(super) fn patches(&mut self, ground: &Ground, noise: Noise, size_m: f32, share: f32) {
        let level = 0.5 - share;
        self.lay(self.everywhere(), ground, |p| {
            let (x, y) = (p.x / size_m, p.y / size_m);
            (level - noise.octaves(x, y, 4)) * 0.4 * size_m
        });
    }
}
