//! Chance that gives the same numbers on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use super::canvas::{Point, Rgb};
use super::noise::Noise;

/// A seeded stream of choices. Only integer draws, exact divisions and multiplications are used.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform between the two.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A whole number in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// How many of something that comes `mean` times on average: between 0 and twice the mean.
    pub(super) fn count(&mut self, mean: f32) -> u32 {
        self.between(0.0, 2.0 * mean + 0.5) as u32
    }

    /// One of them.
    pub(super) fn pick<T: Copy + Default>(&mut self, of: &[T]) -> T {
        let i = self.below(of.len() as u32) as usize;
        of.get(i).copied().unwrap_or_default()
    }

    /// A colour near this one: brighter or darker, and a little shifted in each channel.
    pub(super) fn near(&mut self, rgb: Rgb, amount: f32) -> Rgb {
        let light = 1.0 + self.between(-amount, amount);
        rgb.map(|c| (c * light * (1.0 + self.between(-0.3 * amount, 0.3 * amount))).clamp(0.0, 1.0))
    }

    /// A fresh noise field.
    pub(super) fn noise(&mut self) -> Noise {
        Noise::new(self.0.next_u32())
    }

    /// A unit vector in any direction.
    pub(super) fn direction(&mut self) -> Point {
        Point::towards(self.unit())
    }
}
