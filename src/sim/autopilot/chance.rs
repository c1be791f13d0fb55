//! Chance of one simulated flight, from its seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// A seeded stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ 0x5eed_a070_b170_7000))
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// Uniform between the two.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Near enough to a normal distribution (the sum of four), mean 0, standard deviation 1, never beyond 3.5.
    pub(super) fn normal(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum: u32 = [0, 16, 32, 48]
            .into_iter()
            .map(|shift| (bits >> shift) as u32 & 0xffff)
            .sum();
        // Four uniforms have the variance 4/12.
        (f64::from(sum) / 65_536.0 - 2.0) * 3.0_f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_has_mean_0_and_deviation_1() {
        let mut chance = Chance::new(3);
        let all: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        let mean = all.iter().sum::<f64>() / 20_000.0;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04,
            "{mean} {variance}"
        );
    }
}
