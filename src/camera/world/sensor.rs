//! What a real sensor adds to a rendered picture: motion blur, exposure that wanders, noise, a lens out of focus.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::geometry::{CameraMount, Ned, Pixel, Vec3, View};
use crate::vehicle::Pose;

/// How good the camera is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SensorSpec {
    /// How long the shutter is open, seconds.
    pub exposure_s: f64,
    /// Noise of each channel, one standard deviation, grey levels.
    pub noise_levels: f64,
    /// How far the exposure wanders from right, share of the brightness.
    pub exposure_error: f64,
}

impl Default for SensorSpec {
    /// A small camera by day.
    fn default() -> Self {
        Self {
            exposure_s: 0.004,
            noise_levels: 1.5,
            exposure_error: 0.08,
        }
    }
}

/// How far the middle of the picture moves, pixels right and down, while the vehicle moves by `way`; turning is slow
/// beside it.
#[must_use]
pub fn moved_px(view: &View, mount: &CameraMount, way: Vec3<Ned>) -> [f64; 2] {
    let camera = view.camera();
    let there = Pose {
        position: view.pose().position + way,
        ..*view.pose()
    };
    let there = View::new(camera.clone(), mount, there);
    let middle = Pixel {
        x: camera.cx,
        y: camera.cy,
    };
    let moved = view
        .ground_from_pixel(middle)
        .and_then(|g| there.pixel_from_ground(g));
    moved.map_or([0.0; 2], |px| [px.x - middle.x, px.y - middle.y])
}

/// Numbers in the tile of noise.
const TILE: usize = 1 << 16;
/// Seconds in which the exposure wanders from one value to another.
const WANDER_S: f64 = 6.0;

/// Exposes rendered pictures, the same for the same seed.
#[derive(Debug, Clone)]
pub struct Sensor {
    spec: SensorSpec,
    seed: u64,
    /// Normal numbers in grey levels.
    noise: Vec<i8>,
    line: Vec<u8>,
}

impl Sensor {
    /// A camera of this quality.
    #[must_use]
    pub fn new(spec: SensorSpec, seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let noise = (0..TILE)
            .map(|_| {
                // The sum of four uniform bytes: deviation 147.8.
                let sum: u32 = dice.next_u32().to_le_bytes().map(u32::from).iter().sum();
                ((f64::from(sum) - 510.0) / 147.8 * spec.noise_levels).round() as i8
            })
            .collect();
        Self {
            spec,
            seed,
            noise,
            line: Vec::new(),
        }
    }

    /// How long the shutter is open, seconds.
    #[must_use]
    pub fn exposure_s(&self) -> f64 {
        self.spec.exposure_s
    }

    /// Turns the rendered picture into what the sensor gives at `t_s` seconds. `shift_px` is how far the picture moves
    /// (right, down) while the shutter is open; `defocus_px` is the radius of a point out of focus.
    pub fn expose(
        &mut self,
        picture: &mut RgbImage,
        shift_px: [f64; 2],
        defocus_px: f64,
        t_s: f64,
    ) {
        let [right, down] = shift_px;
        if right.hypot(down) > 0.75 {
            smear(picture, shift_px);
        }
        if defocus_px >= 1.0 {
            self.defocus(picture, defocus_px as usize);
        }
        let gain = (256.0 * (1.0 + self.spec.exposure_error * self.wander(t_s))) as i32;
        let start = self.draw((t_s * 1e6) as u64) as usize % TILE;
        let (end, begin) = self.noise.split_at(start);
        // The tile again and again, from somewhere in it on.
        let mut rest: &mut [u8] = picture;
        for tile in [begin, end].into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at_mut(tile.len().min(rest.len()));
            for (value, noise) in now.iter_mut().zip(tile) {
                let exposed = (i32::from(*value) * gain) >> 8;
                *value = (exposed + i32::from(*noise)).clamp(0, 255) as u8;
            }
            rest = later;
        }
    }

    /// Between -1 and 1, slowly.
    fn wander(&self, t_s: f64) -> f64 {
        let time = t_s / WANDER_S;
        let at = |slice: f64| {
            f64::from(self.draw(slice as i64 as u64)) / f64::from(u32::MAX) * 2.0 - 1.0
        };
        let part = time - time.floor();
        at(time.floor()) * (1.0 - part) + at(time.floor() + 1.0) * part
    }

    fn draw(&self, key: u64) -> u32 {
        let mixed = (self.seed ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
    }

    /// Two box filters in each direction.
    fn defocus(&mut self, picture: &mut RgbImage, radius: usize) {
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        for _ in 0..2 {
            for channel in 0..3 {
                for y in 0..h {
                    mean_along(picture, (3 * y * w + channel, 3, w), radius, &mut self.line);
                }
                for x in 0..w {
                    mean_along(picture, (3 * x + channel, 3 * w, h), radius, &mut self.line);
                }
            }
        }
    }
}

/// A running mean over `2 radius + 1` values of one line of the picture; the border's value goes on outside.
fn mean_along(
    picture: &mut [u8],
    (start, stride, count): (usize, usize, usize),
    radius: usize,
    line: &mut Vec<u8>,
) {
    line.clear();
    line.extend(picture.iter().skip(start).step_by(stride).take(count));
    let at = |i: i64| {
        line.get(i.clamp(0, count as i64 - 1) as usize)
            .map_or(0, |v| u32::from(*v))
    };
    let reach = radius as i64;
    let mut sum: u32 = (-reach..=reach).map(at).sum();
    let n = 2 * radius as u32 + 1;
    for (i, value) in (0_i64..).zip(picture.iter_mut().skip(start).step_by(stride).take(count)) {
        *value = (sum / n) as u8;
        sum = sum + at(i + reach + 1) - at(i - reach);
    }
}

/// The mean of pictures shifted along the way that the picture moves.
fn smear(picture: &mut RgbImage, [right, down]: [f64; 2]) {
    let (w, h) = (i64::from(picture.width()), i64::from(picture.height()));
    let taps = (right.hypot(down).ceil() as i64 + 1).clamp(2, 24);
    let shifts: Vec<(i64, i64)> = (0..taps)
        .map(|i| {
            let part = i as f64 / (taps - 1) as f64 - 0.5;
            ((part * right).round() as i64, (part * down).round() as i64)
        })
        .collect();
    let before = picture.as_raw().clone();
    for (i, pixel) in (0_i64..).zip(picture.chunks_exact_mut(3)) {
        let (x, y) = (i % w, i / w);
        let mut sum = [0_u32; 3];
        for (dx, dy) in &shifts {
            let at = 3 * ((y + dy).clamp(0, h - 1) * w + (x + dx).clamp(0, w - 1)) as usize;
            for (s, v) in sum
                .iter_mut()
                .zip(before.get(at..at + 3).unwrap_or(&[0; 3]))
            {
                *s += u32::from(*v);
            }
        }
        for (value, s) in pixel.iter_mut().zip(sum) {
            *value = (s / taps as u32) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn sensor() -> Sensor {
        Sensor::new(SensorSpec::default(), 5)
    }

    fn still() -> SensorSpec {
        SensorSpec {
            noise_levels: 0.0,
            exposure_error: 0.0,
            ..SensorSpec::default()
        }
    }

    #[test]
    fn two_pictures_of_the_same_view_differ_and_the_same_moment_gives_the_same() {
        let grey = RgbImage::from_pixel(64, 48, Rgb([100; 3]));
        let at = |t: f64| {
            let mut picture = grey.clone();
            sensor().expose(&mut picture, [0.0; 2], 0.0, t);
            picture
        };
        assert_eq!(at(1.0), at(1.0));
        assert_ne!(at(1.0), at(1.25));
        let values: Vec<f64> = at(1.0).iter().map(|v| f64::from(*v)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let sd =
            (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        assert!((90.0..110.0).contains(&mean), "{mean}");
        assert!((1.2..1.9).contains(&sd), "{sd}");
    }

    /// A white column on black, 3 pixels wide.
    fn line() -> RgbImage {
        RgbImage::from_fn(60, 20, |x, _| {
            Rgb([if (30..33).contains(&x) { 240 } else { 0 }; 3])
        })
    }

    #[test]
    fn a_shift_smears_along_itself_only() {
        let (mut across, mut along) = (line(), line());
        Sensor::new(still(), 1).expose(&mut across, [9.0, 0.0], 0.0, 0.0);
        Sensor::new(still(), 1).expose(&mut along, [0.0, 9.0], 0.0, 0.0);
        assert_eq!(along, line());
        let bright = across.get_pixel(31, 10).0[0];
        assert!((50..110).contains(&bright), "{bright}");
        assert!(across.get_pixel(27, 10).0[0] > 10 && across.get_pixel(15, 10).0[0] == 0);
    }

    #[test]
    fn out_of_focus_means_no_sharp_edge_and_the_same_light() {
        let mut picture = line();
        Sensor::new(still(), 1).expose(&mut picture, [0.0; 2], 6.0, 0.0);
        let row: Vec<i32> = (0..60)
            .map(|x| i32::from(picture.get_pixel(x, 10).0[0]))
            .collect();
        assert!(row.windows(2).all(|p| (p[0] - p[1]).abs() < 12), "{row:?}");
        let light: i32 = row.iter().sum();
        assert!((600..=720).contains(&light), "{light}");
    }

    #[test]
    fn odd_sizes_do_not_panic() {
        for (w, h) in [(0, 0), (1, 1), (2, 1), (1, 5)] {
            let mut picture = RgbImage::new(w, h);
            sensor().expose(&mut picture, [30.0, -40.0], 9.0, 2.0);
        }
    }

    #[test]
    fn a_camera_that_flies_north_sees_the_ground_move_down_the_picture() {
        let camera = crate::geometry::CameraModel::from_hfov(320, 240, 60.0).unwrap();
        let mount = CameraMount::nadir();
        let pose = Pose::level_nadir(crate::time::MonoTime::ZERO, 10.0);
        let view = View::new(camera, &mount, pose);
        // 27.7 pixels a metre.
        let [right, down] = moved_px(&view, &mount, Vec3::new(0.1, 0.0, 0.0));
        assert!(right.abs() < 1e-6 && (down - 2.77).abs() < 0.01, "{down}");
        let [right, down] = moved_px(&view, &mount, Vec3::new(0.0, 0.1, 0.0));
        assert!((right + 2.77).abs() < 0.01 && down.abs() < 1e-6, "{right}");
    }
}
