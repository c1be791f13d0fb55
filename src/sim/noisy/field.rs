//! Random fields that stay where they are and change slowly: a number between 0 and 1 for each place, moment and scale.

use nalgebra::Vector2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::geometry::{GroundPoint, floor};

/// Cells along a side of the texture, which repeats itself.
const SIDE: usize = 256;
/// Cells that one blob spans.
const BLOB_CELLS: f64 = 10.0;
/// Steps of the table from a normal number to a uniform one, over -4..4.
const STEPS: usize = 512;

/// A world-fixed field of blobs. Its marginal is uniform; at two moments [`Self::memory_s`] apart, or at two scales a
/// factor of two apart, it is another field, and between them it passes smoothly from one to the other.
#[derive(Debug, Clone)]
pub(super) struct Field {
    seed: u64,
    blob_m: f64,
    memory_s: f64,
    /// Textures of normal numbers, with the slice of time that each stands for.
    slices: [(i64, Vec<f32>); 2],
    uniform: Vec<f32>,
}

/// The field at one moment and scale.
#[derive(Debug)]
pub(super) struct Still<'a> {
    field: &'a Field,
    /// Shares of the two slices of time.
    time: [f32; 2],
    /// Metres a cell at the two scales, with their shares.
    scales: [(f64, f32); 2],
}

impl Field {
    /// Blobs of this size at scale 1, another field after this time.
    pub(super) fn new(seed: u64, blob_m: f64, memory_s: f64) -> Self {
        let uniform = (0..=STEPS)
            .map(|i| uniform_of_normal(i as f64 / STEPS as f64 * 8.0 - 4.0) as f32)
            .collect();
        Self {
            seed,
            blob_m,
            memory_s,
            slices: [(i64::MIN, Vec::new()), (i64::MIN, Vec::new())],
            uniform,
        }
    }

    /// The field at `t_s` seconds, with blobs `scale` times as large as at scale 1 (never smaller).
    pub(super) fn at(&mut self, t_s: f64, scale: f64) -> Still<'_> {
        let time = t_s / self.memory_s;
        let slice = time.floor() as i64;
        for k in 0..2 {
            let wanted = slice + k as i64;
            // Even slices live in the first place, odd ones in the second.
            let place = wanted.rem_euclid(2) as usize;
            let held = self.slices.get(place).is_some_and(|(s, _)| *s == wanted);
            if !held {
                let texture =
                    texture(self.seed ^ (wanted as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                if let Some(s) = self.slices.get_mut(place) {
                    *s = (wanted, texture);
                }
            }
        }
        let [now, next] = shares(time - time.floor());
        let is_even = slice.rem_euclid(2) == 0;
        let octave = scale.max(1.0).log2();
        let cell = self.blob_m / BLOB_CELLS * octave.floor().exp2();
        let [fine, coarse] = shares(octave - octave.floor());
        Still {
            time: if is_even { [now, next] } else { [next, now] },
            scales: [(cell, fine), (2.0 * cell, coarse)],
            field: self,
        }
    }
}

impl Still<'_> {
    /// The number there, 0 to 1. `which` tells independent fields apart.
    pub(super) fn sample(&self, at: GroundPoint, which: usize) -> f32 {
        let mut sum = 0.0;
        for (cell, share) in self.scales {
            if share == 0.0 {
                continue;
            }
            // Another part of the texture for each field and octave.
            let shift = Vector2::new(
                71.0 * which as f64 + 29.0 * cell,
                113.0 * which as f64 + 47.0 * cell,
            );
            let wrap = |v: f64| floor(v).rem_euclid(SIDE as i64) as usize;
            let index = wrap(at.north_m / cell + shift.x) * SIDE + wrap(at.east_m / cell + shift.y);
            for ((_, texture), part) in self.field.slices.iter().zip(self.time) {
                sum += share * part * texture.get(index).copied().unwrap_or(0.0);
            }
        }
        let step = ((sum + 4.0) / 8.0 * STEPS as f32).clamp(0.0, STEPS as f32) as usize;
        self.field.uniform.get(step).copied().unwrap_or(0.5)
    }
}

/// A number of its own for each `id`, uniform in 0 to 1, that wanders over `memory_s` seconds.
pub(super) fn wandering(seed: u64, id: u64, t_s: f64, memory_s: f64) -> f64 {
    let time = t_s / memory_s;
    let normal = |slice: i64| {
        let key = seed
            ^ id.wrapping_mul(0xd134_2543_de82_ef95)
            ^ (slice as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        normal_of(&mut ChaCha8Rng::seed_from_u64(key))
    };
    let slice = time.floor() as i64;
    let [now, next] = shares(time - time.floor());
    uniform_of_normal(f64::from(now) * normal(slice) + f64::from(next) * normal(slice + 1))
}

/// Cosine and sine of the way from one field to the next: the variance stays the same.
fn shares(part: f64) -> [f32; 2] {
    let (sin, cos) = (part * std::f64::consts::FRAC_PI_2).sin_cos();
    [cos as f32, sin as f32]
}

/// A normal number, from twelve uniform ones.
fn normal_of(dice: &mut ChaCha8Rng) -> f64 {
    (0..12)
        .map(|_| f64::from(dice.next_u32()) / f64::from(u32::MAX))
        .sum::<f64>()
        - 6.0
}

/// The normal distribution function (Zelen and Severo's approximation, to 7e-8).
fn uniform_of_normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let tail = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
        * t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Blurred noise on a torus, mean 0, variance 1.
fn texture(seed: u64) -> Vec<f32> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut noise: Vec<f32> = (0..SIDE * SIDE)
        .map(|_| (dice.next_u32() >> 8) as f32 / 16_777_216.0 - 0.5)
        .collect();
    let mut line = Vec::new();
    // Three box filters are nearly a Gaussian; the blob is about twice the box.
    let half = (BLOB_CELLS / 4.0) as usize;
    for _ in 0..3 {
        for row in 0..SIDE {
            smooth(&mut noise, (row * SIDE, 1), half, &mut line);
        }
        for column in 0..SIDE {
            smooth(&mut noise, (column, SIDE), half, &mut line);
        }
    }
    let n = noise.len() as f32;
    let mean = noise.iter().sum::<f32>() / n;
    let variance = noise.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
    let scale = 1.0 / variance.sqrt();
    for v in &mut noise {
        *v = (*v - mean) * scale;
    }
    noise
}

/// A running mean over `2 half + 1` cells of a row or column that closes on itself.
fn smooth(noise: &mut [f32], (start, stride): (usize, usize), half: usize, line: &mut Vec<f32>) {
    line.clear();
    line.extend(noise.iter().skip(start).step_by(stride).take(SIDE));
    let at = |i: usize| line.get(i % SIDE).copied().unwrap_or(0.0);
    let mut sum: f32 = (0..=2 * half).map(|i| at(SIDE - half + i)).sum();
    for (i, v) in noise
        .iter_mut()
        .skip(start)
        .step_by(stride)
        .take(SIDE)
        .enumerate()
    {
        *v = sum;
        sum += at(i + half + 1) - at(SIDE + i - half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(field: &mut Field, t_s: f64, scale: f64, step_m: f64) -> Vec<f32> {
        let still = field.at(t_s, scale);
        (0..100 * 100)
            .map(|i| {
                let at = GroundPoint {
                    north_m: step_m * f64::from(i / 100),
                    east_m: step_m * f64::from(i % 100),
                };
                still.sample(at, 0)
            })
            .collect()
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let mean = |v: &[f32]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / v.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for (x, y) in a.iter().zip(b) {
            let (x, y) = (f64::from(*x) - ma, f64::from(*y) - mb);
            (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
        }
        ab / (aa * bb).sqrt()
    }

    #[test]
    fn every_tenth_of_the_range_is_as_frequent_as_another_at_any_moment_and_scale() {
        let mut field = Field::new(7, 1.0, 12.0);
        for (t, scale) in [(0.0, 1.0), (5.0, 1.0), (6.0, 1.4), (31.0, 3.0)] {
            let values = grid(&mut field, t, scale, 0.5 * scale);
            for tenth in 0..10 {
                let low = tenth as f32 / 10.0;
                let share = values
                    .iter()
                    .filter(|v| **v >= low && **v < low + 0.1)
                    .count();
                assert!((600..1500).contains(&share), "{t} {scale} {tenth}: {share}");
            }
        }
    }

    #[test]
    fn it_stays_for_seconds_and_is_another_after_its_memory() {
        let mut field = Field::new(7, 1.0, 12.0);
        let now = grid(&mut field, 10.0, 1.0, 0.5);
        assert!(correlation(&now, &grid(&mut field, 11.0, 1.0, 0.5)) > 0.95);
        assert!(correlation(&now, &grid(&mut field, 23.9, 1.0, 0.5)).abs() < 0.3);
        assert_eq!(
            now,
            grid(&mut field, 10.0, 1.0, 0.5),
            "the same moment again"
        );
    }

    #[test]
    fn a_blob_is_about_as_large_as_it_was_asked_for() {
        let mut field = Field::new(3, 2.0, 12.0);
        let near = grid(&mut field, 0.0, 1.0, 0.2);
        let shifted = |cells: usize| -> (Vec<f32>, Vec<f32>) {
            let pairs = near
                .iter()
                .enumerate()
                .filter(|(i, _)| i % 100 + cells < 100);
            pairs.map(|(i, v)| (*v, near[i + cells])).unzip()
        };
        let (a, b) = shifted(2);
        assert!(correlation(&a, &b) > 0.6, "0.4 m apart");
        let (a, b) = shifted(15);
        assert!(correlation(&a, &b) < 0.3, "3 m apart");
    }

    #[test]
    fn a_wandering_number_is_uniform_over_ids_and_slow() {
        let values: Vec<f64> = (0..2000).map(|id| wandering(1, id, 3.0, 20.0)).collect();
        let low = values.iter().filter(|v| **v < 0.25).count();
        assert!((420..580).contains(&low), "{low}");
        let later = wandering(1, 5, 3.2, 20.0);
        assert!((values[5] - later).abs() < 0.1);
    }
}
