//! A drawing under way: canvas, dice, sun, and what is still to be drawn because it stands higher.

use super::buildings::House;
use super::canvas::{Canvas, Point, class};
use super::dice::Dice;
use super::ground::{Ground, Kind};
use super::layout::{self, SOIL};
use super::light::Sun;
use super::{cars, people, plants, things};
use crate::sim::world::DrawnSpec;

/// Everything that the layouts work on.
pub(super) struct Scene {
    pub(super) canvas: Canvas,
    pub(super) dice: Dice,
    pub(super) sun: Sun,
    pub(super) houses: Vec<House>,
    pub(super) hedges: Vec<Vec<Point>>,
    pub(super) fences: Vec<Vec<Point>>,
    /// Cars that wait for the ground to be finished.
    pub(super) late_cars: Vec<(Point, Point)>,
    trees: Vec<(Point, f32)>,
    bushes: Vec<(Point, f32)>,
    /// Discs in which something stands already.
    taken: Vec<(Point, f32)>,
}

/// A curve from `a` past `b` to `c` (a quadratic Bezier), as corner points.
pub(super) fn bent(a: Point, b: Point, c: Point) -> Vec<Point> {
    (0..=16)
        .map(|i| {
            let t = i as f32 / 16.0;
            let (u, v) = (
                a.times(1.0 - t).plus(b.times(t)),
                b.times(1.0 - t).plus(c.times(t)),
            );
            u.times(1.0 - t).plus(v.times(t))
        })
        .collect()
}

impl Scene {
    pub(super) fn new(spec: &DrawnSpec) -> Self {
        let mut dice = Dice::new(spec.seed);
        let sun = Sun::new(&mut dice);
        Self {
            canvas: Canvas::new(spec.width, spec.height, spec.metres_per_pixel),
            dice,
            sun,
            houses: Vec::new(),
            hedges: Vec::new(),
            fences: Vec::new(),
            late_cars: Vec::new(),
            trees: Vec::new(),
            bushes: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// Draws everything, from the ground up.
    pub(super) fn draw(&mut self) {
        // A large scene is a quarter of a town; a small one shows one thing.
        let large = self.canvas.size().x > 60.0;
        match self.dice.below(if large { 4 } else { 10 }) {
            0 | 1 => layout::street(self),
            2 | 3 => layout::park(self),
            4..=6 => layout::garden(self),
            7 | 8 => layout::field(self),
            _ => layout::car_park(self),
        }
        for (at, axis) in std::mem::take(&mut self.late_cars) {
            self.car(at, axis);
        }
        layout::sprinkle(self);
        self.stand();
    }

    /// What stands up: hedges, fences, houses, bushes, trees.
    fn stand(&mut self) {
        let (canvas, dice, sun) = (&mut self.canvas, &mut self.dice, self.sun);
        for (p, r) in &self.bushes {
            plants::bush(canvas, dice, sun, *p, *r);
        }
        for line in &self.hedges {
            plants::hedge(canvas, dice, sun, line, 0.45);
        }
        for line in &self.fences {
            things::fence(canvas, dice, sun, line);
        }
        for house in &self.houses {
            house.draw(canvas, dice, sun);
        }
        for (p, r) in &self.trees {
            if dice.chance(0.12) {
                plants::bald_tree(canvas, dice, sun, *p, *r);
            } else {
                plants::tree(canvas, dice, sun, *p, *r);
            }
        }
    }

    /// Ground of one of these kinds.
    pub(super) fn ground(&mut self, kinds: &[Kind]) -> Ground {
        let kind = self.dice.pick(kinds);
        Ground::new(kind, &mut self.dice)
    }

    /// Bare and dry patches in the grass.
    pub(super) fn wear(&mut self) {
        for (kind, chance) in [
            (Kind::DryGrass, 0.5),
            (Kind::Dirt, 0.35),
            (Kind::Meadow, 0.3),
        ] {
            if self.dice.chance(chance) {
                let (ground, noise) = (Ground::new(kind, &mut self.dice), self.dice.noise());
                let (size, share) = (self.dice.between(3.0, 12.0), self.dice.between(0.05, 0.25));
                self.canvas.patches(&ground, noise, size, share);
            }
        }
    }

    /// A place on the canvas.
    pub(super) fn anywhere(&mut self) -> Point {
        let size = self.canvas.size();
        Point::new(
            self.dice.between(0.0, size.x),
            self.dice.between(0.0, size.y),
        )
    }

    /// Whether a place lies on the canvas or within `reach` of it.
    pub(super) fn near_canvas(&self, p: Point, reach: f32) -> bool {
        let size = self.canvas.size();
        p.x > -reach && p.y > -reach && p.x < size.x + reach && p.y < size.y + reach
    }

    /// A bent line right across the canvas.
    pub(super) fn crossing(&mut self) -> Vec<Point> {
        let axis = self.dice.direction();
        let reach = 0.75 * self.canvas.size().length();
        let middle = self.anywhere();
        let bow = axis.across().times(self.dice.between(-0.35, 0.35) * reach);
        bent(
            middle.minus(axis.times(reach)).plus(bow),
            middle.minus(bow),
            middle.plus(axis.times(reach)).plus(bow),
        )
    }

    /// A free place whose surroundings (`r` metres) are of these classes; it is taken from now on.
    pub(super) fn place(&mut self, r: f32, classes: &[u8]) -> Option<Point> {
        for _ in 0..30 {
            let p = self.anywhere();
            let free = self.taken.iter().all(|(q, s)| p.minus(*q).length() > r + s);
            if free
                && self.houses.iter().all(|h| h.outline(p) > r + 0.3)
                && self.canvas.lies_on(p, r, classes)
            {
                self.taken.push((p, r));
                return Some(p);
            }
        }
        None
    }

    /// Trees, `density` for each square metre.
    pub(super) fn grove(&mut self, density: f32) {
        let size = self.canvas.size();
        for _ in 0..self.dice.count(density * size.x * size.y) {
            let r = self.dice.between(0.9, 3.4);
            if let Some(p) = self.place(0.6 * r, &SOIL) {
                self.trees.push((p, r));
            }
        }
    }

    /// Bushes, `density` for each square metre.
    pub(super) fn bushes(&mut self, density: f32) {
        let size = self.canvas.size();
        for _ in 0..self.dice.count(density * size.x * size.y) {
            let r = self.dice.between(0.25, 1.1);
            if let Some(p) = self.place(r, &[class::GRASS, class::DIRT, class::GRAVEL]) {
                self.bushes.push((p, r));
            }
        }
    }

    pub(super) fn car(&mut self, at: Point, axis: Point) {
        self.taken.push((at, 2.4));
        cars::car(&mut self.canvas, &mut self.dice, self.sun, at, axis);
    }

    pub(super) fn person(&mut self, classes: &[u8]) {
        if let Some(at) = self.place(0.35, classes) {
            let facing = self.dice.direction();
            people::person(&mut self.canvas, &mut self.dice, self.sun, at, facing);
        }
    }

    pub(super) fn dog(&mut self, classes: &[u8]) {
        if let Some(at) = self.place(0.5, classes) {
            let facing = self.dice.direction();
            people::dog(&mut self.canvas, &mut self.dice, self.sun, at, facing);
        }
    }

    pub(super) fn bicycle(&mut self, classes: &[u8]) {
        if let Some(at) = self.place(1.0, classes) {
            let axis = self.dice.direction();
            people::bicycle(&mut self.canvas, &mut self.dice, self.sun, at, axis);
        }
    }
}
