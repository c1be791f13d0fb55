//! What a camera over a [`World`] sees: picture and truth through the same projection, movers on both; what a sensor makes
//! of it ([`Sensor`]); and a source of frames from the pose that telemetry reports ([`WorldSource`]).

mod sensor;
mod source;

pub use sensor::{Sensor, SensorSpec, moved_px};
pub use source::{PoseFeed, Sighting, WorldSource, WorldSpec};

use std::sync::Arc;

use image::{GrayImage, Luma, Pixel as _, Rgb, RgbImage};
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

use crate::geometry::{Distortion, GroundPoint, Pixel, View, floor};
use crate::sim::sprite::Sprite;
use crate::sim::world::{Mover, MoverKind, World};

/// A rendered frame and its truth, pixel by pixel.
#[derive(Debug, Clone)]
pub struct WorldView {
    /// What the camera sees.
    pub picture: RgbImage,
    /// Class index of each pixel; 0 outside the world.
    pub truth: GrayImage,
}

/// Renders a world; built once, holds the world's picture in halved sizes for views from high up.
#[derive(Debug, Clone)]
pub struct WorldCamera {
    world: Arc<World>,
    /// The picture, and each time halved, so that a far view averages instead of skipping pixels.
    levels: Vec<Level>,
    person: Sprite,
    vehicle: Sprite,
}

/// The world's picture in one size.
#[derive(Debug, Clone)]
struct Level {
    width: usize,
    height: usize,
    /// Red, green, blue and nothing: one load a pixel.
    pixels: Vec<[u8; 4]>,
}

impl Level {
    fn of(picture: &RgbImage) -> Self {
        Self {
            width: picture.width() as usize,
            height: picture.height() as usize,
            pixels: picture.pixels().map(|p| p.to_rgba().0).collect(),
        }
    }

    /// Colour between the four nearest pixel centres; the border's colour goes on outside.
    fn bilinear(&self, x: f32, y: f32) -> [u8; 3] {
        let (right, bottom) = (self.width - 1, self.height - 1);
        // Whole pixels and 8-bit weights, which are finer than the result.
        let split = |v: f32, last: usize| {
            let v = ((v - 0.5).clamp(0.0, last as f32) * 256.0) as i32;
            ((v >> 8) as usize, (v & 0xff) as u16)
        };
        let ((x, fx), (y, fy)) = (split(x, right), split(y, bottom));
        let here = y * self.width + x;
        let east = usize::from(x < right);
        let south = if y < bottom { self.width } else { 0 };
        let at = |i: usize| self.pixels.get(i).copied().unwrap_or_default();
        let across = |a: [u8; 4], b: [u8; 4]| {
            let mut mixed = [0_u16; 4];
            for (m, (a, b)) in mixed.iter_mut().zip(a.into_iter().zip(b)) {
                *m = u16::from(a) * (256 - fx) + u16::from(b) * fx;
            }
            mixed
        };
        let above = across(at(here), at(here + east));
        let below = across(at(here + south), at(here + south + east));
        let fy = u32::from(fy);
        let mut colour = [0; 3];
        for (c, (a, b)) in colour.iter_mut().zip(above.into_iter().zip(below)) {
            let mixed = u32::from(a) * (256 - fy) + u32::from(b) * fy;
            *c = ((mixed + 0x8000) >> 16) as u8;
        }
        colour
    }
}

impl WorldCamera {
    /// A camera over this world.
    #[must_use]
    pub fn new(world: Arc<World>) -> Self {
        let mut levels = vec![world.picture.clone()];
        while let Some(last) = levels.last()
            && last.width().min(last.height()) >= 16
            && levels.len() < 7
        {
            levels.push(halved(last));
        }
        Self {
            world,
            levels: levels.iter().map(Level::of).collect(),
            person: Sprite::of(MoverKind::Person),
            vehicle: Sprite::of(MoverKind::Vehicle),
        }
    }

    /// The world below.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Somebody comes into the world. Other owners of the world do not see it: give them [`Self::world`] anew.
    pub fn add_mover(&mut self, mover: Mover) {
        Arc::make_mut(&mut self.world).movers.push(mover);
    }

    /// What the camera of `view` sees at `t_s` seconds of the movers' time. The ground is the plane z = 0, whatever
    /// height the pose believes to have: give the true pose.
    #[must_use]
    pub fn render(&self, view: &View, t_s: f64) -> WorldView {
        let camera = view.camera();
        let mut out = WorldView {
            picture: RgbImage::new(camera.width, camera.height),
            truth: GrayImage::new(camera.width, camera.height),
        };
        self.render_into(view, t_s, &mut out);
        out
    }

    /// The same into memory that is there already; `out` must have the camera's size.
    pub fn render_into(&self, view: &View, t_s: f64, out: &mut WorldView) {
        match self.homography(view) {
            Some(h) => self.rows(out, |px| {
                let p = h * Vector3::new(px.x, px.y, 1.0);
                Some([p.x / p.z, p.y / p.z])
            }),
            None => self.rows(out, |px| self.through(view, px)),
        }
        self.movers(out, view, t_s);
    }

    /// World pixel under a camera pixel, by the full model of lens and pose.
    fn through(&self, view: &View, px: Pixel) -> Option<[f64; 2]> {
        let w = self.world.pixel_from_ground(view.ground_from_pixel(px)?);
        Some([w.x, w.y])
    }

    /// Camera pixels to world pixels in one matrix, from the picture's four corners; `None` when the lens bends, or
    /// the horizon is in the picture.
    fn homography(&self, view: &View) -> Option<Matrix3<f64>> {
        let camera = view.camera();
        if camera.distortion != Distortion::None {
            return None;
        }
        let (w, h) = (f64::from(camera.width), f64::from(camera.height));
        let corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)];
        let mut equations = SMatrix::<f64, 8, 8>::zeros();
        let mut targets = SVector::<f64, 8>::zeros();
        let mut rows = equations.row_iter_mut().zip(targets.iter_mut());
        for (x, y) in corners {
            let [u, v] = self.through(view, Pixel { x, y })?;
            for (values, value) in [
                ([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y], u),
                ([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y], v),
            ] {
                let (mut row, target) = rows.next()?;
                row.copy_from_slice(&values);
                *target = value;
            }
        }
        let solved = equations.lu().solve(&targets)?;
        Some(Matrix3::from_row_iterator(
            solved.iter().copied().chain([1.0]),
        ))
    }

    /// Fills picture and truth; `map` gives the world pixel of a camera pixel.
    fn rows(&self, out: &mut WorldView, map: impl Fn(Pixel) -> Option<[f64; 2]>) {
        let width = out.picture.width();
        let line = width as usize;
        let pictures = out.picture.chunks_exact_mut(3 * line);
        for (y, (row, truth)) in pictures.zip(out.truth.chunks_exact_mut(line)).enumerate() {
            let at = |x: f64| Pixel {
                x,
                y: y as f64 + 0.5,
            };
            let middle = 0.5 * f64::from(width);
            let stride = match (map(at(middle)), map(at(middle + 1.0))) {
                (Some([x0, y0]), Some([x1, y1])) => (x0 - x1).hypot(y0 - y1),
                _ => 1.0,
            };
            let (level, is_close) = (self.level(stride), stride < 0.5);
            let (rgb, _) = row.as_chunks_mut::<3>();
            for (x, (rgb, class)) in rgb.iter_mut().zip(truth).enumerate() {
                let sample = map(at(x as f64 + 0.5));
                (*rgb, *class) = sample.map_or(([128; 3], 0), |p| self.sample(p, level));
                if let Some(place) = sample.filter(|_| is_close) {
                    add(rgb, self.grain(place));
                }
            }
        }
    }

    /// The level whose pixels are about as large as a step of `stride` world pixels.
    fn level(&self, stride: f64) -> usize {
        (1..self.levels.len())
            .take_while(|&i| stride > 0.75 * f64::from(1_u32 << i))
            .count()
    }

    fn sample(&self, [x, y]: [f64; 2], level: usize) -> ([u8; 3], u8) {
        let (width, height) = self.world.truth.dimensions();
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(width) && y < f64::from(height);
        if !inside {
            return (outside(x, y, self.world.metres_per_pixel), 0);
        }
        let class = self
            .world
            .truth
            .as_raw()
            .get(y as usize * width as usize + x as usize)
            .copied()
            .unwrap_or_default();
        let k = 1.0 / f64::from(1_u32 << level);
        let colour = self
            .levels
            .get(level)
            .map_or([128; 3], |l| l.bilinear((x * k) as f32, (y * k) as f32));
        (colour, class)
    }

    /// The world's picture ends at its pixels, ground does not: close up a grain of 2 and 7 cm stands for what is finer.
    fn grain(&self, [x, y]: [f64; 2]) -> i8 {
        let scale = self.world.metres_per_pixel;
        let of = |cell_m: f64| {
            let k = scale / cell_m;
            (hashed(floor(x * k), floor(y * k)) % 13) as i32 - 6
        };
        (of(0.02) + of(0.07)) as i8
    }

    fn movers(&self, out: &mut WorldView, view: &View, t_s: f64) {
        let shadow = self.world.shadow;
        let [cast_north, cast_east] = self.world.shadow_on_ground();
        for mover in self.world.mover_positions(t_s) {
            let sprite = match mover.kind {
                MoverKind::Person => &self.person,
                MoverKind::Vehicle => &self.vehicle,
            };
            let Some((low, high)) = bounds(view, mover.ground, sprite.reach_m(shadow)) else {
                continue;
            };
            let (sin, cos) = mover.heading_rad.sin_cos();
            // From north and east to ahead and right of the mover.
            let turn = |north: f64, east: f64| [north * cos + east * sin, east * cos - north * sin];
            let local = |px: Pixel| {
                let g = view.ground_from_pixel(px)?;
                Some(turn(
                    g.north_m - mover.ground.north_m,
                    g.east_m - mover.ground.east_m,
                ))
            };
            let fall = (turn(cast_north, cast_east), shadow.depth);
            let [left, top] = low;
            let [right, bottom] = high;
            for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
                lay(out, (x, y), sprite, local, fall);
            }
        }
    }
}

/// Lays a sprite over one pixel of picture and truth; `local` looks from a pixel to the sprite's own metres.
fn lay(
    out: &mut WorldView,
    (x, y): (u32, u32),
    sprite: &Sprite,
    local: impl Fn(Pixel) -> Option<[f64; 2]>,
    fall: ([f64; 2], f64),
) {
    let at = |dx: f64, dy: f64| {
        local(Pixel {
            x: f64::from(x) + dx,
            y: f64::from(y) + dy,
        })
    };
    // Four looks a pixel soften the sprite's edge; the pixel's centre decides its class.
    let looks = [
        at(0.25, 0.25),
        at(0.75, 0.25),
        at(0.25, 0.75),
        at(0.75, 0.75),
    ];
    if let Some(below) = out.picture.get_pixel_mut_checked(x, y) {
        *below = Rgb(sprite.over(below.0, &looks, fall));
    }
    if let Some(class) = at(0.5, 0.5).and_then(|p| sprite.class_at(p))
        && let Some(truth) = out.truth.get_pixel_mut_checked(x, y)
    {
        *truth = Luma([class]);
    }
}

/// Corners of the picture part that shows the ground within `reach` metres of a place.
fn bounds(view: &View, at: GroundPoint, reach: f64) -> Option<([u32; 2], [u32; 2])> {
    let camera = view.camera();
    let (mut left, mut top, mut right, mut bottom) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
    for (n, e) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        let px = view.pixel_from_ground(GroundPoint {
            north_m: at.north_m + n * reach,
            east_m: at.east_m + e * reach,
        })?;
        (left, top) = (left.min(px.x), top.min(px.y));
        (right, bottom) = (right.max(px.x), bottom.max(px.y));
    }
    let clip = |v: f64, end: u32| v.clamp(0.0, f64::from(end)) as u32;
    let low = [
        clip(left.floor(), camera.width),
        clip(top.floor(), camera.height),
    ];
    let high = [
        clip(right.ceil(), camera.width),
        clip(bottom.ceil(), camera.height),
    ];
    Some((low, high))
}

/// Mean of each two by two pixels.
fn halved(of: &RgbImage) -> RgbImage {
    RgbImage::from_fn(of.width() / 2, of.height() / 2, |x, y| {
        let mut sum = [2_u16; 3];
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            for (s, v) in sum.iter_mut().zip(of.get_pixel(2 * x + dx, 2 * y + dy).0) {
                *s += u16::from(v);
            }
        }
        Rgb(sum.map(|s| (s / 4) as u8))
    })
}

/// Makes a colour brighter by so much. A loop, because `map` over an array became a call a pixel.
fn add(colour: &mut [u8; 3], grain: i8) {
    for value in colour {
        *value = value.saturating_add_signed(grain);
    }
}

/// Grey with a grain of about half a metre: something to see, nothing to land on.
fn outside(x: f64, y: f64, metres_per_pixel: f64) -> [u8; 3] {
    let k = metres_per_pixel * 2.0;
    [118 + (hashed(floor(x * k), floor(y * k)) % 20) as u8; 3]
}

/// A number that the cell alone decides.
fn hashed(x: i64, y: i64) -> u32 {
    let mix = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b))
        .wrapping_mul(0x2545_f491_4f6c_dd1d);
    (mix as u64 >> 40) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{CameraModel, CameraMount, Rotation};
    use crate::sim::world::{DrawnSpec, Mover};
    use crate::time::MonoTime;
    use crate::vehicle::Pose;

    /// 30 m by 20 m of a drawn world, as a mover's stage.
    fn camera(movers: Vec<Mover>) -> WorldCamera {
        let mut world = World::drawn(&DrawnSpec {
            seed: 4,
            width: 600,
            height: 400,
            metres_per_pixel: 0.05,
        });
        world.movers = movers;
        WorldCamera::new(Arc::new(world))
    }

    fn view(height_m: f64, turned: [f64; 3]) -> View {
        let mut pose = Pose::level_nadir(MonoTime::ZERO, height_m);
        pose.ned_from_frd = Rotation::from_roll_pitch_yaw(turned[0], turned[1], turned[2]);
        let model = CameraModel::from_hfov(320, 240, 60.0).unwrap();
        View::new(model, &CameraMount::nadir(), pose)
    }

    #[test]
    fn a_known_place_appears_at_its_pixel() {
        let mut world = (**camera(Vec::new()).world()).clone();
        // A red square metre 3 m north and 2 m east of the centre, on black.
        world.picture = RgbImage::new(600, 400);
        world.truth = GrayImage::from_pixel(600, 400, Luma([3]));
        for (x, y) in (330..350).flat_map(|x| (130..150).map(move |y| (x, y))) {
            world.picture.put_pixel(x, y, Rgb([255, 0, 0]));
            world.truth.put_pixel(x, y, Luma([15]));
        }
        let camera = WorldCamera::new(Arc::new(world));
        let view = view(10.0, [0.0; 3]);
        let seen = camera.render(&view, 0.0);
        let px = view
            .pixel_from_ground(GroundPoint {
                north_m: 3.0,
                east_m: 2.0,
            })
            .unwrap();
        // Focal length 277.1 pixels at 10 m: 27.7 pixels a metre, north is up.
        assert!(
            (px.x - (160.0 + 55.4)).abs() < 0.1 && (px.y - (120.0 - 83.1)).abs() < 0.1,
            "{px:?}"
        );
        let mut centre = [0.0; 3];
        for (x, y, p) in seen.truth.enumerate_pixels() {
            let red = seen.picture.get_pixel(x, y).0[0];
            if p.0 == [15] {
                centre = [
                    centre[0] + f64::from(x) + 0.5,
                    centre[1] + f64::from(y) + 0.5,
                    centre[2] + 1.0,
                ];
                assert!(red > 100, "truth and picture disagree at {x}, {y}");
            } else {
                assert!(red < 150, "truth and picture disagree at {x}, {y}");
            }
        }
        let [x, y, n] = centre;
        assert!((x / n - px.x).abs() < 0.6 && (y / n - px.y).abs() < 0.6);
        assert!((n - 27.7 * 27.7).abs() < 60.0, "{n} pixels of person");
    }

    #[test]
    fn the_quick_way_agrees_with_the_full_model() {
        let camera = camera(Vec::new());
        for turned in [[0.0; 3], [0.1, -0.05, 0.7], [-0.2, 0.25, 3.0]] {
            let view = view(12.0, turned);
            let h = camera.homography(&view).unwrap();
            for (x, y) in [
                (0.5, 0.5),
                (319.5, 0.5),
                (17.5, 201.5),
                (160.0, 120.0),
                (300.5, 239.5),
            ] {
                let p = h * Vector3::new(x, y, 1.0);
                let [u, v] = camera.through(&view, Pixel { x, y }).unwrap();
                assert!(
                    (p.x / p.z - u).abs() < 1e-6 && (p.y / p.z - v).abs() < 1e-6,
                    "{turned:?} {x} {y}"
                );
            }
        }
    }

    #[test]
    fn with_the_horizon_in_the_picture_the_sky_is_unlabeled() {
        let camera = camera(Vec::new());
        let view = view(10.0, [0.0, 1.3, 0.0]);
        assert!(camera.homography(&view).is_none());
        let seen = camera.render(&view, 0.0);
        assert_eq!(seen.truth.get_pixel(160, 0).0, [0]);
    }

    #[test]
    fn outside_the_world_is_textured_grey_without_a_label() {
        let seen = camera(Vec::new()).render(&view(100.0, [0.0; 3]), 0.0);
        assert_eq!(seen.truth.get_pixel(2, 2).0, [0]);
        let edge: Vec<u8> = (0..320)
            .map(|x| seen.picture.get_pixel(x, 2).0[0])
            .collect();
        assert!(edge.iter().all(|g| (100..150).contains(g)));
        assert!(edge.iter().any(|g| *g != edge[0]), "flat grey");
        assert_ne!(seen.truth.get_pixel(160, 120).0, [0]);
    }

    #[test]
    fn from_high_up_the_picture_is_averaged_and_not_sampled() {
        let mut world = (**camera(Vec::new()).world()).clone();
        // A chessboard of single pixels is grey from afar.
        world.picture = RgbImage::from_fn(600, 400, |x, y| {
            Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3])
        });
        let seen = WorldCamera::new(Arc::new(world)).render(&view(60.0, [0.0; 3]), 0.0);
        for (x, y) in [(160, 120), (150, 118), (171, 125)] {
            let grey = seen.picture.get_pixel(x, y).0[0];
            assert!((110..145).contains(&grey), "{grey}");
        }
    }

    #[test]
    fn a_walker_shows_in_picture_and_truth_and_moves_at_its_speed() {
        let walker = Mover {
            kind: MoverKind::Person,
            path_px: vec![[240.0, 200.0], [360.0, 200.0]],
            speed_mps: 1.0,
            start_s: 0.0,
        };
        let (with, without) = (camera(vec![walker]), camera(Vec::new()));
        let view = view(10.0, [0.0; 3]);
        let place = |t: f64| {
            let (a, b) = (with.render(&view, t), without.render(&view, t));
            let changed: Vec<f64> = a
                .truth
                .enumerate_pixels()
                .filter(|(x, y, p)| p.0 == [15] && b.truth.get_pixel(*x, *y) != *p)
                .map(|(x, _, _)| f64::from(x) + 0.5)
                .collect();
            assert!(changed.len() > 60, "{} pixels of person", changed.len());
            assert_ne!(a.picture, b.picture);
            changed.iter().sum::<f64>() / changed.len() as f64
        };
        // 27.7 pixels a metre, 1 m/s to the right.
        let way = place(4.0) - place(1.0);
        assert!((way - 83.1).abs() < 2.5, "{way}");
    }
}
