//! Augmentation that fits a camera that looks straight down: the ground may be seen from any direction and height, in any
//! light. A warp picks where each output pixel comes from, for picture and mask alike; what lies outside the picture is
//! mirrored in, mask included, so that no pixel is wasted; then colours change.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::cache::Sample;

/// A training sample at the network's size.
#[derive(Debug, Clone)]
pub struct Training {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// RGB 0..=255, `[channel][row][column]`.
    pub picture: Vec<f32>,
    /// Class index, row-major.
    pub mask: Vec<u8>,
}

impl Training {
    /// Overwrites one pixel and its class.
    pub fn set(&mut self, pixel: usize, colour: &[u8], class: u8) {
        let plane = self.width * self.height;
        for (channel, value) in colour.iter().enumerate() {
            if let Some(v) = self.picture.get_mut(channel * plane + pixel) {
                *v = f32::from(*value);
            }
        }
        if let Some(c) = self.mask.get_mut(pixel) {
            *c = class;
        }
    }
}

/// A homography from output pixels to source pixels, both with centres at half integers; a similarity (with mirroring) where the camera looks
/// straight down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// `source = matrix * p / (1 - vanish * p) + centre` with `p = output - output centre`, row-major.
    pub matrix: [f32; 4],
    /// How fast the ground shrinks rightwards and downwards, 1 / output pixels; 0 without tilt.
    pub vanish: [f32; 2],
    /// Where the output's centre lies in the source, pixels.
    pub centre: [f32; 2],
}

/// How much nearer (above 1) or farther than the plain mapping of the whole picture the ground may be seen: least, greatest.
pub type ZoomRange = (f32, f32);

/// Where an output pixel looks, from its centre. For a source twice as large, these four bilinear looks are exactly the
/// bilinear filter of the runtime's preprocessing.
const LOOKS: [[f32; 2]; 4] = [
    [-0.375, -0.375],
    [0.375, -0.375],
    [-0.375, 0.375],
    [0.375, 0.375],
];

/// Source pixels an output pixel below which one look is enough.
const FINE: f32 = 1.3;

impl Warp {
    /// The plain mapping of the whole source onto the output.
    #[must_use]
    pub fn whole(source: (usize, usize), output: (usize, usize)) -> Self {
        Self {
            matrix: [
                source.0 as f32 / output.0 as f32,
                0.0,
                0.0,
                source.1 as f32 / output.1 as f32,
            ],
            vanish: [0.0; 2],
            centre: [source.0 as f32 / 2.0, source.1 as f32 / 2.0],
        }
    }

    /// Any turn, mirroring, zoom (log-uniform in `zoom`) and place. `whole` is the plain mapping, which fixes the scale;
    /// `output` is the size that will be drawn, the whole network's input or a window of it.
    pub fn random(
        whole: &Self,
        source: (usize, usize),
        output: (usize, usize),
        zoom: ZoomRange,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let zoom = (rng.random_range(zoom.0.ln()..=zoom.1.ln())).exp();
        // Half of the pictures keep the camera's own directions, which most pictures to come will have too.
        let turn = if rng.random_bool(0.5) {
            let half = if rng.random_bool(0.5) {
                std::f32::consts::PI
            } else {
                0.0
            };
            half + rng.random_range(-0.26..0.26)
        } else {
            rng.random_range(0.0..std::f32::consts::TAU)
        };
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        // A little unequal stretch stands for tilt.
        let stretch = rng.random_range(-0.08_f32..0.08).exp();
        let (sin, cos) = turn.sin_cos();
        let [mx, _, _, my] = whole.matrix;
        let (sx, sy) = (mx / zoom * side * stretch, my / zoom / stretch);
        // The centre moves so far that the view stays in the picture, if it were not turned, and a little beyond.
        let mut place = |size: usize, view: f32| {
            let room = (size as f32 - view).max(0.0) * 0.5 + size as f32 * 0.08;
            size as f32 * 0.5 + rng.random_range(-room..room)
        };
        let centre = [
            place(source.0, output.0 as f32 * mx / zoom),
            place(source.1, output.1 as f32 * my / zoom),
        ];
        Self {
            matrix: [cos * sx, -sin * sy, sin * sx, cos * sy],
            vanish: [0.0; 2],
            centre,
        }
    }

    /// The source point of an output point given from the output's centre.
    #[must_use]
    pub fn source(&self, from_centre: [f32; 2]) -> [f32; 2] {
        let [xx, xy, yx, yy] = self.matrix;
        let [right, down] = from_centre;
        let shrink = 1.0 - self.vanish[0] * right - self.vanish[1] * down;
        let (right, down) = (right / shrink, down / shrink);
        let [cx, cy] = self.centre;
        [xx * right + xy * down + cx, yx * right + yy * down + cy]
    }

    /// Source pixels an output pixel at the output's centre, the mean of both directions.
    #[must_use]
    pub fn step(&self) -> f32 {
        let [xx, xy, yx, yy] = self.matrix;
        (xx * yy - xy * yx).abs().sqrt().max(1e-3)
    }

    /// Draws the sample through the warp: each output pixel is the mean of 2 x 2 bilinear looks (of one, where the output is about
    /// as fine as the source), the mask its nearest pixel.
    #[must_use]
    pub fn draw(&self, sample: &Sample<'_>, output: (usize, usize)) -> Training {
        let (width, height) = output;
        let n = width * height;
        let mut picture = vec![0.0; 3 * n];
        let mut mask = vec![0; n];
        let looks: &[[f32; 2]] = if self.step() < FINE {
            &[[0.0; 2]]
        } else {
            &LOOKS
        };
        let (red, rest) = picture.split_at_mut(n);
        let (green, blue) = rest.split_at_mut(n);
        let pixels = red.iter_mut().zip(green).zip(blue).zip(&mut mask);
        for (i, (((red, green), blue), class)) in pixels.enumerate() {
            let from_centre = [
                (i % width) as f32 + 0.5 - width as f32 / 2.0,
                (i / width) as f32 + 0.5 - height as f32 / 2.0,
            ];
            let mut sum = [0.0; 3];
            for [dx, dy] in looks {
                let [x, y] = from_centre;
                bilinear(sample, self.source([x + dx, y + dy]), &mut sum);
            }
            [*red, *green, *blue] = sum.map(|v| v / looks.len() as f32);
            let [x, y] = self.source(from_centre);
            let nearest = mirror(y, sample.height) * sample.width + mirror(x, sample.width);
            *class = sample
                .mask
                .get(nearest)
                .copied()
                .unwrap_or(super::cache::IGNORE);
        }
        Training {
            width,
            height,
            picture,
            mask,
        }
    }
}

/// The pixel under a coordinate, mirrored in from outside as often as needed.
#[must_use]
pub fn mirror(at: f32, size: usize) -> usize {
    mirror_index(at.floor() as isize, size)
}

fn mirror_index(i: isize, size: usize) -> usize {
    let period = 2 * size as isize;
    let i = i.rem_euclid(period) as usize;
    if i < size { i } else { 2 * size - 1 - i }
}

/// Adds the bilinear look at a source point (pixel centres at half integers).
fn bilinear(sample: &Sample<'_>, at: [f32; 2], sum: &mut [f32; 3]) {
    let [x, y] = [at[0] - 0.5, at[1] - 0.5];
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let columns = [
        mirror_index(left as isize, sample.width),
        mirror_index(left as isize + 1, sample.width),
    ];
    let rows = [
        mirror_index(top as isize, sample.height),
        mirror_index(top as isize + 1, sample.height),
    ];
    for (row, wy) in rows.into_iter().zip([1.0 - fy, fy]) {
        for (column, wx) in columns.into_iter().zip([1.0 - fx, fx]) {
            let start = (row * sample.width + column) * 3;
            if let Some([r, g, b]) = sample.picture.get(start..start + 3) {
                let w = wx * wy;
                sum[0] += w * f32::from(*r);
                sum[1] += w * f32::from(*g);
                sum[2] += w * f32::from(*b);
            }
        }
    }
}

/// Light, contrast, colour, shadow, blur and noise, in place; the mask stays. `strength` widens (above 1) or narrows every range.
pub fn change_colours(t: &mut Training, strength: f32, rng: &mut ChaCha8Rng) {
    let n = t.width * t.height;
    if rng.random_bool(0.2) {
        blur(t);
    }
    if rng.random_bool(0.3) {
        shadow(t, strength, rng);
    }
    let mut factor = |least: f32, most: f32| (strength * rng.random_range(least..most)).exp();
    let brightness = factor(-0.35, 0.35);
    let contrast = factor(-0.3, 0.3);
    let saturation = factor(-0.5, 0.4);
    let gamma = factor(-0.25, 0.25);
    let gains: [f32; 3] = std::array::from_fn(|_| factor(-0.12, 0.12));
    let noise: f32 = if rng.random_bool(0.3) {
        strength * rng.random_range(0.0..14.0)
    } else {
        0.0
    };
    let curve: Vec<f32> = (0..=255)
        .map(|v| 255.0 * (v as f32 / 255.0).powf(gamma))
        .collect();
    let mean = t.picture.iter().sum::<f32>() / t.picture.len().max(1) as f32;
    let (red, rest) = t.picture.split_at_mut(n);
    let (green, blue) = rest.split_at_mut(n);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let grey = 0.299 * *r + 0.587 * *g + 0.114 * *b;
        let grain = if noise > 0.0 {
            rng.random_range(-noise..noise)
        } else {
            0.0
        };
        for (v, gain) in [r, g, b].into_iter().zip(gains) {
            let coloured = (grey + (*v - grey) * saturation) * gain;
            let lit = ((coloured - mean) * contrast + mean) * brightness;
            let level = lit.clamp(0.0, 255.0) as usize;
            *v = (curve.get(level).copied().unwrap_or(lit) + grain).clamp(0.0, 255.0);
        }
    }
}

/// Darkens what lies on one side of a line, as a house or a cloud does.
fn shadow(t: &mut Training, strength: f32, rng: &mut ChaCha8Rng) {
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
    let (x0, y0) = (
        rng.random_range(0.0..t.width as f32),
        rng.random_range(0.0..t.height as f32),
    );
    let dark = (-strength * rng.random_range(0.2_f32..0.8)).exp();
    let edge = rng.random_range(1.0..20.0);
    let width = t.width;
    for plane in t.picture.chunks_exact_mut(t.width * t.height) {
        for (i, v) in plane.iter_mut().enumerate() {
            let inside = ((i % width) as f32 - x0) * cos + ((i / width) as f32 - y0) * sin;
            let share = (inside / edge + 0.5).clamp(0.0, 1.0);
            *v *= 1.0 + share * (dark - 1.0);
        }
    }
}

/// A 3 x 3 mean, as of a lens slightly out of focus.
fn blur(t: &mut Training) {
    let (width, height) = (t.width, t.height);
    for plane in t.picture.chunks_exact_mut(width * height) {
        let source = plane.to_vec();
        let at = |x: usize, y: usize| source.get(y * width + x).copied().unwrap_or(0.0);
        for (i, v) in plane.iter_mut().enumerate() {
            let (x, y) = (i % width, i / width);
            let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
            let (up, down) = (y.saturating_sub(1), (y + 1).min(height - 1));
            let mut sum = 0.0;
            for yy in [up, y, down] {
                sum += at(left, yy) + at(x, yy) + at(right, yy);
            }
            *v = sum / 9.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    /// A picture whose red says its column and green its row, with the mask 1 where red > 100.
    fn picture() -> (Vec<u8>, Vec<u8>) {
        let mut picture = Vec::new();
        let mut mask = Vec::new();
        for y in 0..128_usize {
            for x in 0..192_usize {
                picture.extend([x as u8, y as u8, 0]);
                mask.push(u8::from(x > 100));
            }
        }
        (picture, mask)
    }

    #[test]
    fn any_warp_keeps_picture_and_mask_aligned() {
        let (picture, mask) = picture();
        let sample = Sample {
            width: 192,
            height: 128,
            picture: &picture,
            mask: &mask,
        };
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let whole = Warp::whole((192, 128), (96, 64));
            let warp = Warp::random(&whole, (192, 128), (48, 32), (0.77, 2.4), &mut rng);
            let t = warp.draw(&sample, (48, 32));
            for (r, m) in t.picture.iter().zip(&t.mask) {
                // Within the looks' reach of the edge either side may win.
                if (r - 100.5).abs() > 3.0 {
                    assert_eq!(*m == 1, *r > 100.5, "seed {seed}: red {r}, mask {m}");
                }
            }
        }
    }

    #[test]
    fn the_whole_picture_maps_corner_to_corner() {
        let (picture, mask) = picture();
        let sample = Sample {
            width: 192,
            height: 128,
            picture: &picture,
            mask: &mask,
        };
        let t = Warp::whole((192, 128), (96, 64)).draw(&sample, (96, 64));
        assert!((t.picture[0] - 0.5).abs() < 0.2 && (t.picture[95] - 190.5).abs() < 0.2);
        assert!((t.picture[96 * 64 + 63 * 96] - 126.5).abs() < 0.2);
        assert!((t.picture[48] - 96.5).abs() < 1e-3);
    }

    #[test]
    fn mirroring_folds_at_both_edges() {
        let at: Vec<usize> = (-3..7).map(|i| mirror_index(i, 3)).collect();
        assert_eq!(at, [2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
    }

    #[test]
    fn colours_change_within_bounds_and_repeat_by_seed() {
        let (picture, mask) = picture();
        let sample = Sample {
            width: 192,
            height: 128,
            picture: &picture,
            mask: &mask,
        };
        let plain = Warp::whole((192, 128), (96, 64)).draw(&sample, (96, 64));
        let changed = |seed| {
            let mut t = plain.clone();
            change_colours(&mut t, 1.0, &mut ChaCha8Rng::seed_from_u64(seed));
            t
        };
        assert_eq!(changed(3).picture, changed(3).picture);
        assert_ne!(changed(3).picture, changed(4).picture);
        for seed in 0..20 {
            let t = changed(seed);
            assert!(t.picture.iter().all(|v| (0.0..=255.0).contains(v)));
            assert_eq!(t.mask, plain.mask);
        }
    }
}
