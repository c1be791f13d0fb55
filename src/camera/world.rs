//! What a camera over a [`World`] sees: picture and truth through the same projection, movers on both.

use std::sync::Arc;

use image::{GrayImage, Luma, Rgb, RgbImage};
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

use crate::geometry::{Distortion, GroundPoint, Pixel, View};
use crate::sim::sprite::Sprite;
use crate::sim::world::{MoverKind, World};

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
    levels: Vec<RgbImage>,
    person: Sprite,
    vehicle: Sprite,
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
            levels,
            person: Sprite::of(MoverKind::Person),
            vehicle: Sprite::of(MoverKind::Vehicle),
        }
    }

    /// The world below.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
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
        match self.homography(view) {
            Some(h) => self.rows(&mut out, |px| {
                let p = h * Vector3::new(px.x, px.y, 1.0);
                Some([p.x / p.z, p.y / p.z])
            }),
            None => self.rows(&mut out, |px| self.through(view, px)),
        }
        self.movers(&mut out, view, t_s);
        out
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
        let mut a = SMatrix::<f64, 8, 8>::zeros();
        let mut b = SVector::<f64, 8>::zeros();
        for (i, (x, y)) in corners.into_iter().enumerate() {
            let [u, v] = self.through(view, Pixel { x, y })?;
            let rows = [
                [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y],
                [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y],
            ];
            for (k, (row, value)) in rows.into_iter().zip([u, v]).enumerate() {
                a.set_row(2 * i + k, &SMatrix::<f64, 1, 8>::from(row));
                b[2 * i + k] = value;
            }
        }
        let s = a.lu().solve(&b)?;
        Some(Matrix3::new(
            s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], 1.0,
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
            let level = match (map(at(middle)), map(at(middle + 1.0))) {
                (Some(a), Some(b)) => self.level((a[0] - b[0]).hypot(a[1] - b[1])),
                _ => 0,
            };
            for (x, (rgb, class)) in row.chunks_exact_mut(3).zip(truth).enumerate() {
                let sample = map(at(x as f64 + 0.5));
                let (colour, index) = sample.map_or(([128; 3], 0), |p| self.sample(p, level));
                rgb.copy_from_slice(&colour);
                *class = index;
            }
        }
    }

    /// The level whose pixels are about as large as a step of `stride` world pixels.
    fn level(&self, stride: f64) -> usize {
        let fitting = (0..)
            .take_while(|&i| stride > 1.5 * f64::from(1_u32 << i))
            .count();
        fitting.min(self.levels.len() - 1)
    }

    fn sample(&self, [x, y]: [f64; 2], level: usize) -> ([u8; 3], u8) {
        let (w, h) = self.world.truth.dimensions();
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(w) && y < f64::from(h);
        if !inside {
            return (outside(x, y, self.world.metres_per_pixel), 0);
        }
        let class = self.world.truth.get(y as usize * w as usize + x as usize..);
        let class = class
            .and_then(|rest| rest.first())
            .copied()
            .unwrap_or_default();
        let k = 1.0 / f64::from(1_u32 << level);
        let colour = self
            .levels
            .get(level)
            .map_or([128; 3], |l| bilinear(l, (x * k) as f32, (y * k) as f32));
        (colour, class)
    }

    fn movers(&self, out: &mut WorldView, view: &View, t_s: f64) {
        for mover in self.world.mover_positions(t_s) {
            let sprite = match mover.kind {
                MoverKind::Person => &self.person,
                MoverKind::Vehicle => &self.vehicle,
            };
            let shadow = self.world.shadow;
            let Some((low, high)) = bounds(view, mover.ground, sprite.reach_m(shadow)) else {
                continue;
            };
            let (sin, cos) = mover.heading_rad.sin_cos();
            let local = |px: Pixel| {
                let g = view.ground_from_pixel(px)?;
                let (n, e) = (
                    g.north_m - mover.ground.north_m,
                    g.east_m - mover.ground.east_m,
                );
                Some([n * cos + e * sin, e * cos - n * sin])
            };
            let cast = self.world.shadow_on_ground();
            let fall = [cast[0] * cos + cast[1] * sin, cast[1] * cos - cast[0] * sin];
            for y in low[1]..high[1] {
                for x in low[0]..high[0] {
                    let centre = Pixel {
                        x: f64::from(x) + 0.5,
                        y: f64::from(y) + 0.5,
                    };
                    let Some(below) = out.picture.get_pixel_mut_checked(x, y) else {
                        continue;
                    };
                    // Four looks a pixel soften the sprite's edge; the pixel's centre decides its class.
                    let looks = [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)].map(
                        |(dx, dy)| {
                            local(Pixel {
                                x: centre.x + dx,
                                y: centre.y + dy,
                            })
                        },
                    );
                    *below = Rgb(sprite.over(below.0, &looks, (fall, shadow.depth)));
                    if let Some(class) = local(centre).and_then(|p| sprite.class_at(p))
                        && let Some(truth) = out.truth.get_pixel_mut_checked(x, y)
                    {
                        *truth = Luma([class]);
                    }
                }
            }
        }
    }
}

/// Corners of the picture part that shows the ground within `reach` metres of a place.
fn bounds(view: &View, at: GroundPoint, reach: f64) -> Option<([u32; 2], [u32; 2])> {
    let camera = view.camera();
    let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
    for (n, e) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        let px = view.pixel_from_ground(GroundPoint {
            north_m: at.north_m + n * reach,
            east_m: at.east_m + e * reach,
        })?;
        low = [low[0].min(px.x), low[1].min(px.y)];
        high = [high[0].max(px.x), high[1].max(px.y)];
    }
    let clip = |v: f64, end: u32| v.clamp(0.0, f64::from(end)) as u32;
    let low = [
        clip(low[0].floor(), camera.width),
        clip(low[1].floor(), camera.height),
    ];
    let high = [
        clip(high[0].ceil(), camera.width),
        clip(high[1].ceil(), camera.height),
    ];
    (low[0] < high[0] && low[1] < high[1]).then_some((low, high))
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

/// Colour between the four nearest pixel centres; the border's colour goes on outside.
fn bilinear(of: &RgbImage, x: f32, y: f32) -> [u8; 3] {
    let (w, h) = (of.width() as usize, of.height() as usize);
    let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
    let (x0, y0) = ((x as usize).min(w - 1), (y as usize).min(h - 1));
    let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
    // 8-bit weights are finer than the result.
    let (fx, fy) = (
        ((x - x0 as f32) * 256.0) as u32,
        ((y - y0 as f32) * 256.0) as u32,
    );
    let at = |x: usize, y: usize| -> [u32; 3] {
        let start = 3 * (y * w + x);
        match of.get(start..start + 3) {
            Some(&[r, g, b]) => [u32::from(r), u32::from(g), u32::from(b)],
            _ => [0; 3],
        }
    };
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    std::array::from_fn(|i| {
        let top = a[i] * (256 - fx) + b[i] * fx;
        let bottom = c[i] * (256 - fx) + d[i] * fx;
        ((top * (256 - fy) + bottom * fy + 0x8000) >> 16) as u8
    })
}

/// Grey with a grain of about half a metre: something to see, nothing to land on.
fn outside(x: f64, y: f64, metres_per_pixel: f64) -> [u8; 3] {
    let k = metres_per_pixel * 2.0;
    let (x, y) = ((x * k).floor() as i64, (y * k).floor() as i64);
    let mix = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b))
        .wrapping_mul(0x2545_f491_4f6c_dd1d);
    [118 + ((mix as u64 >> 40) % 20) as u8; 3]
}
