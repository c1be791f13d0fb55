//! A scene-disjoint fold: part of the training pictures is held out for early stopping, temperature and thresholds, and no
//! scene of it may be in the rest, or the numbers flatter.
//!
//! Two pictures belong to one scene when their descriptors are near. A descriptor is the picture's joint colour histogram (4 levels a
//! channel) beside the mask's class histogram, square roots taken: their Euclidean distance is then
//! proportional to Hellinger's. Groups are what single linkage under a threshold joins (every chain of near pairs is one
//! scene). Whole groups, drawn by the seed, are held out.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Sample};

/// A fold and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// In words.
    pub method: String,
    /// Seed of the draw.
    pub seed: u64,
    /// Descriptor distance below which two pictures are one scene.
    pub threshold: f32,
    /// Smallest descriptor distance between a held-out picture and one of the rest.
    pub nearest_across: f32,
    /// Names held out.
    pub held_out: Vec<String>,
    /// Every scene of more than one picture.
    pub scenes: Vec<Vec<String>>,
}

/// Pictures nearer than this are one scene, unless somebody says otherwise.
pub const SCENE_THRESHOLD: f32 = 0.35;

const COLOUR_BINS: usize = 64;

/// The square roots of the colour and class shares of a picture.
#[must_use]
pub fn descriptor(sample: &Sample<'_>, classes: usize) -> Vec<f32> {
    let mut colours = vec![0.0_f32; COLOUR_BINS];
    for pixel in sample.picture.chunks_exact(3) {
        let bin = pixel.iter().fold(0, |bin, v| bin * 4 + usize::from(v >> 6));
        if let Some(c) = colours.get_mut(bin) {
            *c += 1.0;
        }
    }
    let mut shares = vec![0.0_f32; classes];
    for m in sample.mask {
        if let Some(c) = shares.get_mut(usize::from(*m)) {
            *c += 1.0;
        }
    }
    colours.extend(shares);
    let n = sample.mask.len().max(1) as f32;
    colours.into_iter().map(|c| (c / n).sqrt()).collect()
}

/// Euclidean distance of two descriptors, 0 to 2.
#[must_use]
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y) * (x - y))
        .sum::<f32>()
        .sqrt()
}

/// Joins pictures nearer than `threshold` into groups (single linkage); gives the group of each.
#[must_use]
pub fn groups(descriptors: &[Vec<f32>], threshold: f32) -> Vec<usize> {
    let mut group: Vec<usize> = (0..descriptors.len()).collect();
    for (i, a) in descriptors.iter().enumerate() {
        for (j, b) in descriptors.iter().enumerate().take(i) {
            if distance(a, b) < threshold {
                join(&mut group, i, j);
            }
        }
    }
    group
}

/// Makes the group of `i` part of the group of `j`.
fn join(group: &mut [usize], i: usize, j: usize) {
    if let (Some(&from), Some(&to)) = (group.get(i), group.get(j)) {
        for g in group.iter_mut().filter(|g| **g == from) {
            *g = to;
        }
    }
}

/// Draws whole groups until at least `share` of the pictures is held out; groups larger than half of what is wanted stay in the
/// rest, so that the fold holds several scenes.
///
/// # Errors
/// When `share` is not inside (0, 1) or either side would be empty.
pub fn hold_out(cache: &Cache, share: f32, threshold: f32, seed: u64) -> Result<Fold> {
    check_share(share)?;
    let descriptors = descriptors(cache);
    let group = groups(&descriptors, threshold);
    let members = |g: usize| -> Vec<usize> {
        (0..group.len())
            .filter(|&i| group.get(i) == Some(&g))
            .collect()
    };
    let mut ids: Vec<usize> = group.clone();
    ids.sort_unstable();
    ids.dedup();
    ids.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let wanted = (share * cache.len() as f32).ceil() as usize;
    let mut held: Vec<usize> = Vec::new();
    for &g in &ids {
        let scene = members(g);
        if held.len() < wanted && scene.len() * 2 <= wanted.max(2) {
            held.extend(scene);
        }
    }
    ensure!(
        !held.is_empty() && held.len() < cache.len(),
        "{} of {} pictures would be held out: the threshold {threshold} joins too much or too little",
        held.len(),
        cache.len()
    );
    Ok(fold_of(
        cache,
        (&descriptors, &group),
        held,
        (SCENES, seed, threshold),
    ))
}

/// Holds out pictures at random, as textbooks do, so that it can be seen what that flatters: scenes stand on both sides.
///
/// # Errors
/// As [`hold_out`].
pub fn hold_out_at_random(cache: &Cache, share: f32, threshold: f32, seed: u64) -> Result<Fold> {
    check_share(share)?;
    let descriptors = descriptors(cache);
    let group = groups(&descriptors, threshold);
    let mut order: Vec<usize> = (0..cache.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.truncate((share * cache.len() as f32).ceil() as usize);
    Ok(fold_of(
        cache,
        (&descriptors, &group),
        order,
        (RANDOM, seed, threshold),
    ))
}

const SCENES: &str = "joint colour histogram (4 levels a channel) and class histogram, Hellinger distance, single linkage, whole groups drawn";
const RANDOM: &str = "pictures drawn at random: the same scenes stand on both sides";

fn check_share(share: f32) -> Result<()> {
    ensure!(
        share > 0.0 && share < 1.0,
        "the held-out share must lie between 0 and 1, not {share}"
    );
    Ok(())
}

fn descriptors(cache: &Cache) -> Vec<Vec<f32>> {
    let classes = usize::from(cache.index.classes);
    (0..cache.len())
        .filter_map(|i| Some(descriptor(&cache.sample(i)?, classes)))
        .collect()
}

fn fold_of(
    cache: &Cache,
    (descriptors, group): (&[Vec<f32>], &[usize]),
    mut held: Vec<usize>,
    (method, seed, threshold): (&str, u64, f32),
) -> Fold {
    held.sort_unstable();
    let name = |i: &usize| cache.index.names.get(*i).cloned().unwrap_or_default();
    let mut scenes: std::collections::BTreeMap<usize, Vec<String>> =
        std::collections::BTreeMap::new();
    for (i, g) in group.iter().enumerate() {
        scenes.entry(*g).or_default().push(name(&i));
    }
    let mut scenes: Vec<Vec<String>> = scenes.into_values().filter(|s| s.len() > 1).collect();
    scenes.sort();
    Fold {
        method: method.to_owned(),
        seed,
        threshold,
        nearest_across: nearest_across(descriptors, &held),
        held_out: held.iter().map(name).collect(),
        scenes,
    }
}

/// What a random split of the same size would leak: the share of its held-out pictures with a picture of the same scene in the
/// rest, as the mean of a hundred draws. A network is then asked about ground that it was trained on.
///
/// # Errors
/// As [`hold_out`].
pub fn random_leak(cache: &Cache, share: f32, threshold: f32, seed: u64) -> Result<f64> {
    const DRAWS: usize = 100;
    check_share(share)?;
    Ok(leak(
        &groups(&descriptors(cache), threshold),
        share,
        seed,
        DRAWS,
    ))
}

fn leak(group: &[usize], share: f32, seed: u64, draws: usize) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = group.to_vec();
    let held = ((share * group.len() as f32).ceil() as usize).clamp(1, group.len().max(1));
    let (mut leaked, mut all) = (0, 0);
    for _ in 0..draws {
        order.shuffle(&mut random);
        let (held, rest) = order.split_at(held.min(order.len()));
        leaked += held.iter().filter(|g| rest.contains(g)).count();
        all += held.len();
    }
    leaked as f64 / all.max(1) as f64
}

fn nearest_across(descriptors: &[Vec<f32>], held: &[usize]) -> f32 {
    let mut nearest = f32::INFINITY;
    for (i, a) in descriptors.iter().enumerate() {
        for (j, b) in descriptors.iter().enumerate() {
            if held.contains(&i) && !held.contains(&j) {
                nearest = nearest.min(distance(a, b));
            }
        }
    }
    nearest
}

impl Fold {
    /// Whether pictures were drawn, not whole scenes.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.method == RANDOM
    }

    /// Reads a fold's file.
    ///
    /// # Errors
    /// When it is missing or is no fold.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read the fold {}; make it with `alight-trainer split`",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Indices into the cache of what is trained on and of what is held out.
    ///
    /// # Errors
    /// When a held-out name is not in the cache, or a side is empty.
    pub fn indices(&self, cache: &Cache) -> Result<(Vec<usize>, Vec<usize>)> {
        for name in &self.held_out {
            ensure!(
                cache.index.names.contains(name),
                "the fold holds out `{name}`, which is not in the cache: split again"
            );
        }
        let names = cache.index.names.iter().enumerate();
        let (held, rest): (Vec<_>, Vec<_>) = names.partition(|(_, n)| self.held_out.contains(n));
        let indices = |v: Vec<(usize, &String)>| v.into_iter().map(|(i, _)| i).collect::<Vec<_>>();
        let (rest, held) = (indices(rest), indices(held));
        ensure!(
            !rest.is_empty() && !held.is_empty(),
            "empty split: {} pictures to train on, {} held out",
            rest.len(),
            held.len()
        );
        Ok((rest, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cache::CacheWriter;
    use image::{GrayImage, Luma, Rgb, RgbImage};

    #[test]
    fn a_random_split_leaks_scenes_of_several_pictures() {
        let alone: Vec<usize> = (0..40).collect();
        assert!(leak(&alone, 0.1, 1, 50).abs() < 1e-12);
        let pairs: Vec<usize> = (0..40).map(|i| i / 2).collect();
        // The other one of a pair is in the rest with nine tenths.
        assert!((leak(&pairs, 0.1, 1, 200) - 36.0 / 39.0).abs() < 0.05);
        assert!((leak(&[7; 40], 0.1, 1, 5) - 1.0).abs() < 1e-12);
    }

    /// Twelve scenes of three pictures each: a scene has a colour of its own, its pictures differ a little.
    fn cache(folder: &std::path::Path) -> Cache {
        let mut writer = CacheWriter::create(folder, (32, 32), 24, "test").unwrap();
        for scene in 0..12_u8 {
            for look in 0..3_u8 {
                let colour = [scene % 4 * 64 + 10, scene / 4 * 64 + 10, 40];
                let mut picture = RgbImage::from_pixel(32, 32, Rgb(colour));
                for y in 0..32 {
                    (0..u32::from(look)).for_each(|x| picture.put_pixel(x, y, Rgb([200; 3])));
                }
                let mask = GrayImage::from_pixel(32, 32, Luma([scene]));
                writer
                    .push(&format!("{scene}-{look}"), &picture, &mask)
                    .unwrap();
            }
        }
        writer.finish().unwrap();
        Cache::open(folder).unwrap()
    }

    #[test]
    fn the_fold_shares_no_scene_with_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        for seed in 0..8 {
            let fold = hold_out(&cache, 0.2, 0.5, seed).unwrap();
            assert!(fold.nearest_across >= 0.5, "{}", fold.nearest_across);
            assert_eq!(fold.scenes.len(), 12);
            let (rest, held) = fold.indices(&cache).unwrap();
            assert!(held.len() >= 8 && rest.len() + held.len() == 36);
            let scene = |i: usize| cache.index.names[i].split('-').next().unwrap().to_owned();
            let held: Vec<String> = held.into_iter().map(scene).collect();
            assert!(rest.into_iter().all(|i| !held.contains(&scene(i))));
        }
    }

    #[test]
    fn a_random_split_holds_out_as_many_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let fold = hold_out_at_random(&cache, 0.25, 0.5, 3).unwrap();
        assert_eq!((fold.held_out.len(), fold.scenes.len()), (9, 12));
        assert!(fold.nearest_across < 0.5 && fold.is_random());
        assert!(!hold_out(&cache, 0.25, 0.5, 3).unwrap().is_random());
        assert_ne!(hold_out_at_random(&cache, 0.25, 0.5, 4).unwrap(), fold);
    }

    #[test]
    fn a_threshold_that_joins_everything_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        assert!(hold_out(&cache, 0.2, 3.0, 1).is_err());
        assert!(hold_out(&cache, 1.5, 0.5, 1).is_err());
        let mut fold = hold_out(&cache, 0.2, 0.5, 1).unwrap();
        fold.held_out.push("gone".into());
        assert!(
            fold.indices(&cache)
                .unwrap_err()
                .to_string()
                .contains("`gone`")
        );
    }
}
