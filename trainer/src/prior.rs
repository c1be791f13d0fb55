//! What training is told of rare classes, and what is taken back of it afterwards.
//!
//! Class weights teach rare classes, and make the network see them too often. Logit adjustment (Menon et al. 2021, "Long-tail
//! learning via logit adjustment") takes a share of that back after training: `share * log(weight)` is subtracted from a class's
//! logit. Classes that move (people, animals, vehicles) keep theirs: a false one costs a place, a missed one a life.

use alight::inference::classes::SEMANTIC_DRONE;
use anyhow::{Context as _, Result};

use crate::data::cache::Cache;
use crate::parameters::Parameters;
use crate::scores::Confusion;

/// Bounds of a class weight.
const WEIGHTS: (f64, f64) = (0.5, 4.0);
/// Shares that are tried.
const SHARES: [f32; 6] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25];
/// The parameter that holds a constant for each class.
const HEAD_BIAS: &str = "decoder.head.bias";

/// Class weights: one over the square root of the share of pixels, bounded, with a mean of 1 over the pixels.
#[must_use]
pub fn class_weights(cache: &Cache, indices: &[usize]) -> Vec<f32> {
    let classes = usize::from(cache.index.classes);
    let mut counts = vec![0_u64; classes];
    for &i in indices {
        for m in cache.sample(i).map_or(&[][..], |s| s.mask) {
            if let Some(c) = counts.get_mut(usize::from(*m)) {
                *c += 1;
            }
        }
    }
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let shares: Vec<f64> = counts.iter().map(|&c| c as f64 / total).collect();
    let raw = |s: f64| 1.0 / s.max(1e-6).sqrt();
    let mean: f64 = shares.iter().map(|&s| s * raw(s)).sum();
    let bounded = |s: f64| (raw(s) / mean).clamp(WEIGHTS.0, WEIGHTS.1);
    shares.iter().map(|&s| bounded(s) as f32).collect()
}

/// What is added to each class's logit when `share` of the weights is taken back; 0 for what moves.
#[must_use]
pub fn adjustment(weights: &[f32], share: f32) -> Vec<f32> {
    let moves = |i: usize| SEMANTIC_DRONE.get(i).is_some_and(|(_, _, s)| s.moves());
    let all = weights.iter().enumerate();
    all.map(|(i, w)| if moves(i) { 0.0 } else { -share * w.ln() })
        .collect()
}

/// The share of highest pixel accuracy + mIoU. `logits` holds the values of each pixel's classes, one pixel after another.
#[must_use]
pub fn best_share(weights: &[f32], truths: &[u8], logits: &[f32]) -> f32 {
    let total = |share: f32| {
        let add = adjustment(weights, share);
        let mut confusion = Confusion::new(weights.len());
        for (pixel, &truth) in logits.chunks_exact(weights.len().max(1)).zip(truths) {
            let adjusted = pixel.iter().zip(&add).map(|(l, a)| l + a).enumerate();
            let best = adjusted.max_by(|(_, a), (_, b)| a.total_cmp(b));
            confusion.add(truth, best.map_or(0, |(i, _)| i as u8));
        }
        confusion.pixel_accuracy(&[]) + confusion.mean_iou()
    };
    let scored = SHARES.map(|share| (share, total(share)));
    let best = scored.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0.0, |(share, _)| share)
}

/// Adds to the constants of the network's last layer.
///
/// # Errors
/// When that layer has none, or of another number of classes.
pub fn add_to_head(parameters: &mut Parameters, add: &[f32]) -> Result<()> {
    let bias = parameters
        .get_mut(HEAD_BIAS)
        .filter(|p| p.values.len() == add.len())
        .with_context(|| format!("no parameter `{HEAD_BIAS}` of {} values", add.len()))?;
    for (b, a) in bias.values.iter_mut().zip(add) {
        *b += a;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameter;

    #[test]
    fn what_moves_keeps_its_weight() {
        let add = adjustment(&[4.0; 24], 0.5);
        for (i, (name, _, surface)) in SEMANTIC_DRONE.iter().enumerate() {
            assert_eq!(add[i] == 0.0, surface.moves(), "{name}");
        }
        assert!((add[1] + 0.5 * 4.0_f32.ln()).abs() < 1e-6);
    }

    /// Two classes; the second has four times the weight, so that the network is unsure where it should not be.
    #[test]
    fn the_share_that_scores_best_is_found() {
        // log 4 = 1.386: the first pixel needs a share above 0.51 to turn right, the second turns wrong above 0.94.
        let logits = [0.0, 0.7, 0.0, 1.3, 3.0, 0.0, 0.0, 9.0];
        assert!((best_share(&[1.0, 4.0], &[0, 1, 0, 1], &logits) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn the_head_must_fit() {
        let head = Parameter {
            shape: vec![2],
            values: vec![1.0, 2.0],
        };
        let mut p = Parameters::from([(HEAD_BIAS.to_owned(), head)]);
        add_to_head(&mut p, &[0.5, -1.0]).unwrap();
        assert_eq!(p[HEAD_BIAS].values, [1.5, 1.0]);
        assert!(add_to_head(&mut p, &[0.0]).is_err());
    }
}
