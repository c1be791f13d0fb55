//! A picture under the brush: colour, class and shade of every pixel, painted by signed distances in metres.

/// Red, green, blue, each about `0.0..=1.0`.
pub(super) type Rgb = [f32; 3];

/// A place on the canvas, metres: x to the right, y down, from the top-left corner.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// Class indices of the Semantic Drone Dataset that are drawn.
pub(super) mod class {
    pub(in crate::sim::draw) const PAVED: u8 = 1;
    pub(in crate::sim::draw) const DIRT: u8 = 2;
    pub(in crate::sim::draw) const GRASS: u8 = 3;
    pub(in crate::sim::draw) const GRAVEL: u8 = 4;
    pub(in crate::sim::draw) const WATER: u8 = 5;
    pub(in crate::sim::draw) const ROCKS: u8 = 6;
    pub(in crate::sim::draw) const POOL: u8 = 7;
    pub(in crate::sim::draw) const VEGETATION: u8 = 8;
    pub(in crate::sim::draw) const ROOF: u8 = 9;
    pub(in crate::sim::draw) const WALL: u8 = 10;
    pub(in crate::sim::draw) const WINDOW: u8 = 11;
    pub(in crate::sim::draw) const DOOR: u8 = 12;
    pub(in crate::sim::draw) const FENCE: u8 = 13;
    pub(in crate::sim::draw) const FENCE_POLE: u8 = 14;
    pub(in crate::sim::draw) const PERSON: u8 = 15;
    pub(in crate::sim::draw) const DOG: u8 = 16;
    pub(in crate::sim::draw) const CAR: u8 = 17;
    pub(in crate::sim::draw) const BICYCLE: u8 = 18;
    pub(in crate::sim::draw) const TREE: u8 = 19;
    pub(in crate::sim::draw) const BALD_TREE: u8 = 20;
    pub(in crate::sim::draw) const AR_MARKER: u8 = 21;
    pub(in crate::sim::draw) const OBSTACLE: u8 = 22;
}

impl Point {
    pub(super) const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The unit vector at this part of a full turn, clockwise from right. Own polynomial (Taylor, error below 2e-6): the
    /// machine's sine may differ in the last bit from another machine's.
    pub(super) fn towards(turn: f32) -> Self {
        let turn = turn - turn.floor();
        let quarter = (turn * 4.0 + 0.5).floor();
        let a = (turn - quarter * 0.25) * std::f32::consts::TAU;
        let s = a * a;
        let sin = a * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0)));
        let cos = 1.0 - s / 2.0 * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0)));
        match quarter as i32 {
            1 => Self::new(-sin, cos),
            2 => Self::new(-cos, -sin),
            3 => Self::new(sin, -cos),
            _ => Self::new(cos, sin),
        }
    }

    pub(super) fn plus(self, o: Self) -> Self {
        Self::new(self.x + o.x, self.y + o.y)
    }

    pub(super) fn minus(self, o: Self) -> Self {
        Self::new(self.x - o.x, self.y - o.y)
    }

    pub(super) fn times(self, k: f32) -> Self {
        Self::new(self.x * k, self.y * k)
    }

    pub(super) fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// A quarter turn clockwise.
    pub(super) fn across(self) -> Self {
        Self::new(-self.y, self.x)
    }

    /// Along and across an axis (a unit vector), seen from `origin`.
    pub(super) fn seen_from(self, origin: Self, axis: Self) -> Self {
        let d = self.minus(origin);
        Self::new(d.dot(axis), d.dot(axis.across()))
    }

    /// The way back from [`Self::seen_from`].
    pub(super) fn placed(self, origin: Self, axis: Self) -> Self {
        origin
            .plus(axis.times(self.x))
            .plus(axis.across().times(self.y))
    }
}

/// An upright rectangle that holds a shape, metres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) low: Point,
    pub(super) high: Point,
}

impl Area {
    pub(super) fn around(c: Point, reach: f32) -> Self {
        let r = Point::new(reach, reach);
        Self {
            low: c.minus(r),
            high: c.plus(r),
        }
    }

    /// Holds both this and the same area moved by `by`.
    pub(super) fn stretched(self, by: Point) -> Self {
        Self {
            low: Point::new(self.low.x + by.x.min(0.0), self.low.y + by.y.min(0.0)),
            high: Point::new(self.high.x + by.x.max(0.0), self.high.y + by.y.max(0.0)),
        }
    }
}

/// Signed distances in metres, negative inside.
pub(super) mod shape {
    use super::Point;

    /// A box with half sides `h`, corners rounded by `r`; `p` seen from its middle along its axis.
    pub(in crate::sim::draw) fn slab(p: Point, h: Point, r: f32) -> f32 {
        let q = Point::new(p.x.abs() - h.x + r, p.y.abs() - h.y + r);
        Point::new(q.x.max(0.0), q.y.max(0.0)).length() + q.x.max(q.y).min(0.0) - r
    }

    /// A thick line from `a` to `b`.
    pub(in crate::sim::draw) fn capsule(p: Point, a: Point, b: Point, r: f32) -> f32 {
        let (pa, ba) = (p.minus(a), b.minus(a));
        let t = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
        pa.minus(ba.times(t)).length() - r
    }

    /// An ellipse with half axes `h`, near enough.
    pub(in crate::sim::draw) fn ellipse(p: Point, h: Point) -> f32 {
        let k = Point::new(p.x / h.x, p.y / h.y).length();
        (k - 1.0) * h.x.min(h.y)
    }

    /// A bent thick line.
    pub(in crate::sim::draw) fn line(p: Point, points: &[Point], r: f32) -> f32 {
        points
            .windows(2)
            .filter_map(|w| Some(capsule(p, *w.first()?, *w.last()?, r)))
            .fold(1e9, f32::min)
    }
}

/// `a` to `b`, `t` in `0.0..=1.0`.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    let [r, g, bl] = a;
    let [r2, g2, b2] = b;
    [r + (r2 - r) * t, g + (g2 - g) * t, bl + (b2 - bl) * t]
}

/// Brighter or darker.
pub(super) fn lit(a: Rgb, k: f32) -> Rgb {
    a.map(|c| c * k)
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn step(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// One pixel under the brush.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dab {
    pub(super) rgb: Rgb,
    /// How deep in shadow, `0.0..=1.0`.
    pub(super) shade: f32,
    pub(super) class: u8,
}

/// Pixels in rows, and their scale.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) metres_per_pixel: f32,
    pub(super) dabs: Vec<Dab>,
}

const TILE: usize = 16;

impl Canvas {
    pub(super) fn new(width: u32, height: u32, metres_per_pixel: f64) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            metres_per_pixel: metres_per_pixel as f32,
            dabs: vec![Dab::default(); width * height],
        }
    }

    /// Width and height in metres.
    pub(super) fn size(&self) -> Point {
        Point::new(self.width as f32, self.height as f32).times(self.metres_per_pixel)
    }

    /// The whole canvas.
    pub(super) fn everywhere(&self) -> Area {
        Area {
            low: Point::default(),
            high: self.size(),
        }
    }

    /// The middle of the canvas.
    pub(super) fn centre(&self) -> Point {
        self.size().times(0.5)
    }

    /// The class at a place; `None` outside.
    pub(super) fn class_at(&self, p: Point) -> Option<u8> {
        let (x, y) = (p.x / self.metres_per_pixel, p.y / self.metres_per_pixel);
        if x < 0.0 || y < 0.0 || x >= self.width as f32 {
            return None;
        }
        self.dabs
            .get(y as usize * self.width + x as usize)
            .map(|d| d.class)
    }

    /// Whether a disc touches only these classes (13 points are tried; those outside the canvas do not count).
    pub(super) fn lies_on(&self, p: Point, r: f32, classes: &[u8]) -> bool {
        let ring = (0..12).map(|i| {
            let k = if i % 2 == 0 { r } else { 0.55 * r };
            p.plus(Point::towards(i as f32 / 12.0).times(k))
        });
        ring.chain([p])
            .all(|q| self.class_at(q).is_none_or(|c| classes.contains(&c)))
    }

    /// Calls `brush` for each pixel of the area that may lie within `margin` metres of the shape. Whole tiles that are
    /// far from it are skipped, so distances must not change much faster than the way walked.
    fn near(
        &mut self,
        area: Area,
        margin: f32,
        sdf: &impl Fn(Point) -> f32,
        mut brush: impl FnMut(&mut Dab, Point, f32),
    ) {
        let mpp = self.metres_per_pixel;
        let column = |m: f32| ((m / mpp).max(0.0) as usize).min(self.width);
        let row = |m: f32| ((m / mpp).max(0.0) as usize).min(self.height);
        let (x0, x1) = (
            column(area.low.x - margin),
            column(area.high.x + margin + mpp),
        );
        let (y0, y1) = (row(area.low.y - margin), row(area.high.y + margin + mpp));
        let reach = margin + 1.7 * 0.71 * TILE as f32 * mpp;
        let centre =
            |x: usize, y: usize| Point::new((x as f32 + 0.5) * mpp, (y as f32 + 0.5) * mpp);
        let tiles = (y0..y1)
            .step_by(TILE)
            .flat_map(|y| (x0..x1).step_by(TILE).map(move |x| (x, y)));
        for (tx, ty) in tiles {
            if sdf(centre(tx + TILE / 2, ty + TILE / 2)) > reach {
                continue;
            }
            for y in ty..(ty + TILE).min(y1) {
                let start = y * self.width;
                let row = self.dabs.get_mut(start + tx..start + (tx + TILE).min(x1));
                for (i, dab) in row.into_iter().flatten().enumerate() {
                    let p = centre(tx + i, y);
                    brush(dab, p, sdf(p));
                }
            }
        }
    }

    /// Paints a shape: anti-aliased colour, exact class, out of any shadow that fell there before.
    pub(super) fn paint(
        &mut self,
        area: Area,
        class: u8,
        sdf: impl Fn(Point) -> f32,
        ink: impl Fn(Point, f32) -> Rgb,
    ) {
        let mpp = self.metres_per_pixel;
        self.near(area, mpp, &sdf, |dab, p, d| {
            let cover = (0.5 - d / mpp).clamp(0.0, 1.0);
            if cover > 0.0 {
                dab.rgb = mix(dab.rgb, ink(p, d), cover);
                dab.shade *= 1.0 - cover;
            }
            if d < 0.0 {
                dab.class = class;
            }
        });
    }

    /// Changes colours inside a shape without changing what is there: stains, markings, folds. `ink` gets the colour
    /// below.
    pub(super) fn tint(
        &mut self,
        area: Area,
        sdf: impl Fn(Point) -> f32,
        ink: impl Fn(Rgb, Point) -> Rgb,
    ) {
        let mpp = self.metres_per_pixel;
        self.near(area, mpp, &sdf, |dab, p, d| {
            let cover = (0.5 - d / mpp).clamp(0.0, 1.0);
            if cover > 0.0 {
                dab.rgb = mix(dab.rgb, ink(dab.rgb, p), cover);
            }
        });
    }

    /// Changes the class inside a shape and nothing else.
    pub(super) fn relabel(&mut self, area: Area, class: u8, sdf: impl Fn(Point) -> f32) {
        self.near(area, 0.0, &sdf, |dab, _, d| {
            if d < 0.0 {
                dab.class = class;
            }
        });
    }

    /// Lets a shadow fall: `dark` at its deepest, its edge `soft` metres wide. Shadows do not add up.
    pub(super) fn shade(&mut self, area: Area, soft: f32, dark: f32, sdf: impl Fn(Point) -> f32) {
        let soft = soft.max(self.metres_per_pixel);
        self.near(area, soft, &sdf, |dab, _, d| {
            let s = dark * step(0.5, -0.5, d / soft);
            dab.shade = dab.shade.max(s);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_sine_is_a_sine() {
        for i in -50..150 {
            let t = i as f32 / 100.0;
            let p = Point::towards(t);
            let (s, c) = (t * std::f32::consts::TAU).sin_cos();
            assert!(
                (p.x - c).abs() < 5e-6 && (p.y - s).abs() < 5e-6,
                "{t}: {p:?}"
            );
        }
    }

    #[test]
    fn placing_undoes_looking() {
        let (o, axis) = (Point::new(3.0, -2.0), Point::towards(0.13));
        let p = Point::new(-1.0, 7.5);
        let q = p.seen_from(o, axis).placed(o, axis);
        assert!(q.minus(p).length() < 1e-5);
    }

    #[test]
    fn a_painted_box_has_its_area_and_its_class() {
        let mut canvas = Canvas::new(200, 100, 0.05);
        let middle = canvas.centre();
        canvas.paint(
            Area::around(middle, 3.0),
            class::ROOF,
            |p| shape::slab(p.minus(middle), Point::new(2.0, 1.0), 0.0),
            |_, _| [1.0, 0.0, 0.0],
        );
        let n = canvas
            .dabs
            .iter()
            .filter(|d| d.class == class::ROOF)
            .count();
        assert_eq!(n, 80 * 40);
        assert_eq!(canvas.class_at(middle), Some(class::ROOF));
        assert_eq!(canvas.class_at(Point::new(-0.1, 1.0)), None);
        assert!(canvas.lies_on(middle, 0.9, &[class::ROOF]));
        assert!(!canvas.lies_on(middle, 1.2, &[class::ROOF]));
    }
}
