//! How sure a score is: a bootstrap over scenes. Pictures of one scene err together, so they are drawn together.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Draws of the bootstrap, and its seed.
const DRAWS: usize = 2000;
const SEED: u64 = 1;

/// 95 % interval of `statistic`, which is given the indices of the drawn pictures (as many scenes as there are, with
/// replacement) and is `None` where it has no value. `scenes` names the scene of each picture.
pub fn interval(
    scenes: &[usize],
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<(f64, f64)> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (picture, scene) in scenes.iter().enumerate() {
        members.entry(*scene).or_default().push(picture);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut drawn = Vec::new();
    let mut values: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            drawn.clear();
            for _ in 0..members.len() {
                let scene = members.get(random.random_range(0..members.len()));
                drawn.extend(scene.into_iter().flatten());
            }
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let i = (q * values.len().saturating_sub(1) as f64).round() as usize;
        values.get(i).copied()
    };
    at(0.025).zip(at(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_one_scene_are_drawn_together() {
        let values = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let mean = |drawn: &[usize]| {
            let sum: f64 = drawn.iter().map(|&i| values[i]).sum();
            Some(sum / drawn.len() as f64)
        };
        let apart = interval(&[0, 1, 2, 3, 4, 5, 6, 7], mean).unwrap();
        assert!(
            apart.0 > 0.0 && apart.0 < 0.3 && apart.1 > 0.7 && apart.1 < 1.0,
            "{apart:?}"
        );
        assert_eq!(interval(&[0, 0, 0, 0, 1, 1, 1, 1], mean), Some((0.0, 1.0)));
        assert_eq!(interval(&[], |_| None), None);
        assert_eq!(interval(&[3], |_| None), None);
    }
}
