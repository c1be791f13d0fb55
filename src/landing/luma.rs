//! A small grey picture, made without allocation, for the checks that share nothing with the network.

use image::RgbImage;

/// Columns of the small picture, and most rows; pictures are never enlarged.
const SIDE: u32 = 320;

/// Sample points along each side of a pixel of the small picture: enough against aliasing, few enough to be quick.
const TAPS: f64 = 2.0;

/// Grey levels from 0 to 255, row-major.
#[derive(Debug, Clone)]
pub(super) struct Luma {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Source pixels across one pixel.
    pub(super) scale: f64,
    levels: Vec<f32>,
    /// The two source columns that each column samples, as offsets of bytes in a row.
    columns: Vec<[usize; 2]>,
}

impl Luma {
    pub(super) fn new() -> Self {
        Self {
            width: 0,
            height: 0,
            scale: 1.0,
            levels: Vec::with_capacity((SIDE * SIDE) as usize),
            columns: Vec::with_capacity(SIDE as usize),
        }
    }

    /// Makes it the small version of a picture.
    pub(super) fn fill_from(&mut self, picture: &RgbImage) {
        self.levels.clear();
        let (w, h) = picture.dimensions();
        self.scale = (f64::from(w.max(h)) / f64::from(SIDE)).max(1.0);
        let small = |n: u32| ((f64::from(n) / self.scale).floor() as u32).clamp(1, SIDE);
        if w == 0 || h == 0 {
            (self.width, self.height) = (0, 0);
            return;
        }
        let (width, height) = (small(w), small(h));
        (self.width, self.height) = (width as usize, height as usize);
        let tap = |i: u32, t: u32, size: u32| {
            let at = (f64::from(i) + (f64::from(t) + 0.5) / TAPS) * self.scale;
            (at as usize).min(size as usize - 1)
        };
        self.columns.clear();
        self.columns
            .extend((0..width).map(|x| [3 * tap(x, 0, w), 3 * tap(x, 1, w)]));
        let (bytes, stride) = (picture.as_raw(), 3 * w as usize);
        for y in 0..height {
            let rows = [tap(y, 0, h), tap(y, 1, h)].map(|r| bytes.get(r * stride..).unwrap_or(&[]));
            let [upper, lower] = rows;
            let level = |row: &[u8], at: usize| row.get(at..at + 3).map_or(0.0, grey);
            self.levels
                .extend(self.columns.iter().map(|&[left, right]| {
                    let above = level(upper, left) + level(upper, right);
                    0.25 * (above + level(lower, left) + level(lower, right))
                }));
        }
    }

    /// Makes it the smoothed version of another, by 1 2 1 along both sides: what is finer than its pixels does not flicker in it when the
    /// camera moves by a part of one.
    pub(super) fn smooth_from(&mut self, sharp: &Self) {
        self.levels.clear();
        (self.width, self.height, self.scale) = (sharp.width, sharp.height, sharp.scale);
        let row = |y: usize| {
            let first = y.min(self.height.saturating_sub(1)) * self.width;
            sharp.levels.get(first..first + self.width).unwrap_or(&[])
        };
        for y in 0..self.height {
            let rows = row(y.saturating_sub(1)).iter().zip(row(y)).zip(row(y + 1));
            let mut columns = rows.map(|((a, b), c)| a + 2.0 * b + c);
            let Some(first) = columns.next() else {
                continue;
            };
            let (mut left, mut middle) = (first, first);
            for right in columns {
                self.levels.push((left + 2.0 * middle + right) / 16.0);
                (left, middle) = (middle, right);
            }
            self.levels.push((left + 3.0 * middle) / 16.0);
        }
    }

    pub(super) fn levels(&self) -> &[f32] {
        &self.levels
    }

    pub(super) fn at(&self, x: usize, y: usize) -> Option<f32> {
        (x < self.width).then(|| self.levels.get(y * self.width + x).copied())?
    }

    /// Bilinear level at a position in its own pixels (centre of the first one at 0.5); `None` outside.
    pub(super) fn sample(&self, x: f64, y: f64) -> Option<f32> {
        let (x, y) = (x - 0.5, y - 0.5);
        if !(x >= 0.0 && y >= 0.0) {
            return None;
        }
        let (x0, y0) = (x as usize, y as usize);
        let (fx, fy) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let top = mix(self.at(x0, y0)?, self.at(x0 + 1, y0)?, fx);
        let below = mix(self.at(x0, y0 + 1)?, self.at(x0 + 1, y0 + 1)?, fx);
        Some(mix(top, below, fy))
    }

    /// Edge strength at a pixel, grey levels a pixel; 0 at the border.
    pub(super) fn gradient(&self, x: usize, y: usize) -> f32 {
        let around = || {
            let dx = self.at(x + 1, y)? - self.at(x.checked_sub(1)?, y)?;
            let dy = self.at(x, y + 1)? - self.at(x, y.checked_sub(1)?)?;
            Some(0.5 * (dx * dx + dy * dy).sqrt())
        };
        around().unwrap_or(0.0)
    }
}

fn grey(rgb: &[u8]) -> f32 {
    match rgb {
        &[r, g, b] => 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn smoothing_spreads_a_point_and_keeps_what_is_flat() {
        let mut sharp = Luma::new();
        sharp.fill_from(&RgbImage::from_fn(5, 4, |x, y| {
            Rgb([if (x, y) == (2, 1) { 160 } else { 0 }; 3])
        }));
        let mut smooth = Luma::new();
        smooth.smooth_from(&sharp);
        assert_eq!((smooth.width, smooth.height), (5, 4));
        let at = |x, y| smooth.at(x, y).unwrap().round();
        assert_eq!(
            (at(2, 1), at(1, 1), at(3, 0), at(4, 1)),
            (40.0, 20.0, 10.0, 0.0)
        );
        for (w, h) in [(1, 1), (1, 3), (3, 1), (7, 5)] {
            sharp.fill_from(&RgbImage::from_pixel(w, h, Rgb([100; 3])));
            smooth.smooth_from(&sharp);
            assert_eq!(smooth.levels().len(), (w * h) as usize);
            assert!(smooth.levels().iter().all(|v| (v - 100.0).abs() < 0.01));
        }
        sharp.fill_from(&RgbImage::new(0, 0));
        smooth.smooth_from(&sharp);
        assert!(smooth.levels().is_empty());
    }

    fn ramp(w: u32, h: u32) -> RgbImage {
        RgbImage::from_fn(w, h, |x, _| {
            let v = (x * 255 / w) as u8;
            Rgb([v, v, v])
        })
    }

    #[test]
    fn a_large_picture_shrinks_and_a_small_one_keeps_its_size() {
        for ((w, h), (sw, sh)) in [
            ((1280, 720), (320, 180)),
            ((720, 1280), (180, 320)),
            ((40, 30), (40, 30)),
            ((1, 1), (1, 1)),
            ((5000, 3), (320, 1)),
        ] {
            let mut luma = Luma::new();
            luma.fill_from(&ramp(w, h));
            assert_eq!((luma.width, luma.height), (sw, sh));
            assert_eq!(luma.levels().len(), sw * sh);
        }
    }

    #[test]
    fn a_ramp_has_its_slope_everywhere() {
        let mut luma = Luma::new();
        luma.fill_from(&ramp(640, 480));
        for x in [10, 100, 300] {
            assert!((luma.gradient(x, 50) - 255.0 / 320.0).abs() < 0.3);
        }
        assert!(luma.gradient(0, 50).abs() < 1e-6, "the border has none");
    }

    #[test]
    fn sampling_interpolates_and_stops_at_the_border() {
        let mut luma = Luma::new();
        luma.fill_from(&RgbImage::from_fn(4, 4, |x, _| Rgb([(x * 10) as u8; 3])));
        assert!((luma.sample(1.0, 1.0).unwrap() - 5.0).abs() < 1e-3);
        assert!(luma.sample(0.4, 1.0).is_none());
        assert!(luma.sample(3.6, 1.0).is_none());
        assert!(luma.sample(f64::NAN, 1.0).is_none());
    }
}
