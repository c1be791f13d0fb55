//! How a network errs, as a small table: what `alight sim --segmenter noisy` corrupts the truth with.
//!
//! For each true class the table holds answers that the network really gave on pictures that it was not trained on: its
//! calibrated surface probabilities, sorted by how landable it took the place to be. People are counted one by one, by
//! their size in the picture, since a network misses people whole and not pixel by pixel.

use alight::inference::SegmentationMap;
use alight::inference::Segmenter as _;
use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use alight::sim::errors::{Answers, ErrorTable, LEVELS, Recall, SHADES, SIZES_PX};
use anyhow::{Result, ensure};
use image::GrayImage;

use crate::eval::{Pair, frame};
use crate::scores::{PERSON, landable_classes};

/// From this probability on a place counts as a person (the landing stage's own threshold).
const PERSON_FROM: f32 = 0.35;
/// Share of a person's pixels that the network must see for the person to be seen.
const SEEN_SHARE: f64 = 0.1;
/// Smaller patches of person pixels are slips of whoever drew the mask, pixels of the network's grid.
const LEAST_PIXELS: usize = 2;

/// Ground under a pixel of the network's grid in the data set, metres (768 pixels are about 25 m).
const GRID_M: f64 = 25.0 / 192.0;
/// Longest distance over which answers are compared, pixels of the grid.
const LAGS: usize = 60;

/// Answers by the network, with the truth they belong to.
#[derive(Debug)]
struct Collector {
    by_class: Vec<Vec<[f32; Surface::COUNT]>>,
    seen: Vec<[f32; Surface::COUNT]>,
    missed: Vec<[f32; Surface::COUNT]>,
    people: Vec<(f64, bool)>,
    false_people: usize,
    /// The classes on which one may land, and how many places were of them.
    landable: Vec<usize>,
    landable_places: usize,
    pictures: usize,
    /// Half the squared differences of P(landable) between places of one class, by distance: sum and count.
    differences: Vec<(f64, u64)>,
}

/// Measures the table over pictures.
///
/// # Errors
/// When the model does not load or run, a picture cannot be read, or there is none.
pub fn measure(
    files: &ModelFiles,
    origin: &str,
    pairs: impl Iterator<Item = Result<Pair>>,
) -> Result<ErrorTable> {
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    let mut all = Collector {
        by_class: vec![Vec::new(); SEMANTIC_DRONE.len()],
        seen: Vec::new(),
        missed: Vec::new(),
        people: Vec::new(),
        false_people: 0,
        landable: landable_classes(),
        landable_places: 0,
        pictures: 0,
        differences: vec![(0.0, 0); LAGS],
    };
    for pair in pairs {
        let (picture, truth) = pair?;
        segmenter.segment(&frame(picture, all.pictures), &mut map)?;
        all.take(&map, &truth);
    }
    ensure!(all.pictures > 0, "empty split: no picture to measure on");
    Ok(all.table(files, origin))
}

impl Collector {
    fn take(&mut self, map: &SegmentationMap, truth: &GrayImage) {
        self.pictures += 1;
        let (w, h) = (map.width, map.height);
        let small: Vec<u8> = (0..w * h)
            .map(|i| {
                let at = |k: usize, n: usize, size: u32| (2 * k as u32 + 1) * size / (2 * n as u32);
                let (x, y) = (at(i % w, w, truth.width()), at(i / w, h, truth.height()));
                truth.get_pixel(x, y).0[0]
            })
            .collect();
        let answers: Vec<[f32; Surface::COUNT]> = (0..w * h)
            .map(|i| {
                let at = map.surfaces_at(i % w, i / w).unwrap_or(&[]);
                std::array::from_fn(|s| at.get(s).copied().unwrap_or(0.0))
            })
            .collect();
        for (class, answer) in small.iter().zip(&answers) {
            if let Some(list) = self.by_class.get_mut(usize::from(*class)) {
                list.push(*answer);
            }
        }
        self.compare(w, &small, &answers);
        let is_person = |i: usize| {
            answers
                .get(i)
                .is_some_and(|a| of(a, Surface::Person) >= PERSON_FROM)
        };
        for patch in patches((w, h), |i| small.get(i) == Some(&PERSON)) {
            let found = patch.iter().filter(|i| is_person(**i)).count();
            let is_seen = found as f64 >= SEEN_SHARE * patch.len() as f64 && found > 0;
            // The grid has half of the input's columns.
            self.people
                .push((2.0 * (patch.len() as f64).sqrt(), is_seen));
            let list = if is_seen {
                &mut self.seen
            } else {
                &mut self.missed
            };
            list.extend(patch.iter().filter_map(|i| answers.get(*i)));
        }
        // On other ground a person more changes nothing, and the answers on that ground hold it already.
        let is_open = |i: &usize| {
            small
                .get(*i)
                .is_some_and(|c| self.landable.contains(&usize::from(*c)))
        };
        self.landable_places += (0..w * h).filter(is_open).count();
        self.false_people += patches((w, h), is_person)
            .iter()
            .filter(|patch| 2 * patch.iter().copied().filter(is_open).count() > patch.len())
            .filter(|patch| !patch.iter().any(|i| is_near_life(&small, (w, h), *i)))
            .count();
    }

    /// Compares places of one class along the rows.
    fn compare(&mut self, w: usize, small: &[u8], answers: &[[f32; Surface::COUNT]]) {
        for (classes, row) in small.chunks_exact(w).zip(answers.chunks_exact(w)) {
            for (lag, (sum, count)) in self.differences.iter_mut().enumerate() {
                let pairs = classes
                    .iter()
                    .zip(row)
                    .zip(classes.iter().zip(row).skip(lag + 1));
                for ((_, x), (_, y)) in pairs.filter(|((a, _), (b, _))| a == b) {
                    *sum += 0.5 * f64::from(landable(x) - landable(y)).powi(2);
                    *count += 1;
                }
            }
        }
    }

    /// Twice the distance at which the correlation of answers on one class falls to 1/e, metres.
    fn blob_m(&self) -> f64 {
        let (mut squares, mut places) = (0.0, 0.0);
        for list in self.by_class.iter().filter(|l| !l.is_empty()) {
            let n = list.len() as f64;
            let mean = list.iter().map(|a| f64::from(landable(a))).sum::<f64>() / n;
            squares += list
                .iter()
                .map(|a| (f64::from(landable(a)) - mean).powi(2))
                .sum::<f64>();
            places += n;
        }
        let variance = squares / places.max(1.0);
        let falls = |(sum, count): &(f64, u64)| {
            1.0 - sum / (*count).max(1) as f64 / variance < (-1.0_f64).exp()
        };
        let lag = self.differences.iter().position(falls).unwrap_or(LAGS - 1);
        2.0 * (lag + 1) as f64 * GRID_M
    }

    fn table(self, files: &ModelFiles, origin: &str) -> ErrorTable {
        let blob_m = (self.blob_m() * 100.0).round() / 100.0;
        let classes = SEMANTIC_DRONE
            .iter()
            .zip(self.by_class)
            .enumerate()
            .map(|(i, ((name, _, surface), list))| reduced(name, i as u8, *surface, list))
            .collect();
        let recall = SIZES_PX
            .iter()
            .enumerate()
            .map(|(i, &up_to_px)| {
                let from_px = i
                    .checked_sub(1)
                    .and_then(|i| SIZES_PX.get(i))
                    .copied()
                    .unwrap_or(0.0);
                let of_size = self
                    .people
                    .iter()
                    .filter(|(px, _)| *px > from_px && *px <= up_to_px);
                Recall {
                    up_to_px,
                    people: of_size.clone().count() as u32,
                    seen: of_size.filter(|(_, seen)| *seen).count() as u32,
                }
            })
            .collect();
        ErrorTable {
            network_sha256: files.manifest.sha256.clone(),
            origin: origin.to_owned(),
            pictures: self.pictures as u32,
            blob_m,
            false_people_per_m2: self.false_people as f64
                / (self.landable_places.max(1) as f64 * GRID_M * GRID_M),
            recall,
            seen: reduced("person, seen", PERSON, Surface::Person, self.seen),
            missed: reduced("person, missed", PERSON, Surface::Person, self.missed),
            classes,
        }
    }
}

/// Means of equally many answers: by how landable the network took the place to be, then by how much of the truth it saw.
fn reduced(
    name: &str,
    index: u8,
    surface: Surface,
    mut list: Vec<[f32; Surface::COUNT]>,
) -> Answers {
    list.sort_by(|a, b| landable(b).total_cmp(&landable(a)));
    let places = list.len() as u32;
    let mut rows = Vec::new();
    // Fewer answers than cells say too little: such a class is left to the table's reader.
    if list.len() >= LEVELS * SHADES {
        for level in 0..LEVELS {
            let mut part = share(&list, level, LEVELS).to_vec();
            part.sort_by(|a, b| of(b, surface).total_cmp(&of(a, surface)));
            rows.extend((0..SHADES).map(|s| mean(share(&part, s, SHADES))));
        }
    }
    Answers {
        index,
        name: name.to_owned(),
        places,
        rows,
    }
}

fn landable(a: &[f32; Surface::COUNT]) -> f32 {
    of(a, Surface::Firm) + of(a, Surface::Soft)
}

fn of(a: &[f32; Surface::COUNT], surface: Surface) -> f32 {
    a.get(surface as usize).copied().unwrap_or(0.0)
}

/// The `i`th of `n` equal parts.
fn share<T>(list: &[T], i: usize, n: usize) -> &[T] {
    list.get(i * list.len() / n..(i + 1) * list.len() / n)
        .unwrap_or(&[])
}

/// Mean answer in thousandths.
fn mean(list: &[[f32; Surface::COUNT]]) -> [u16; Surface::COUNT] {
    std::array::from_fn(|s| {
        let sum: f64 = list
            .iter()
            .filter_map(|a| a.get(s))
            .map(|v| f64::from(*v))
            .sum();
        (1000.0 * sum / list.len().max(1) as f64).round() as u16
    })
}

/// Whether a person or an animal truly is within three cells.
fn is_near_life(truth: &[u8], (w, h): (usize, usize), i: usize) -> bool {
    let (x, y) = ((i % w) as i64, (i / w) as i64);
    let around = (-3..=3).flat_map(|dy| (-3..=3).map(move |dx| (x + dx, y + dy)));
    around
        .filter(|(u, v)| (0..w as i64).contains(u) && (0..h as i64).contains(v))
        .filter_map(|(u, v)| truth.get(v as usize * w + u as usize))
        .any(|c| [15, 16].contains(c))
}

/// Connected patches (8 neighbours) of the cells that pass.
fn patches((w, h): (usize, usize), passes: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let mut taken = vec![false; w * h];
    // Takes a cell that passes, once.
    let mut take = |i: usize| match taken.get_mut(i) {
        Some(t) if !*t && passes(i) => {
            *t = true;
            true
        }
        _ => false,
    };
    let mut found = Vec::new();
    for start in 0..w * h {
        if !take(start) {
            continue;
        }
        let (mut patch, mut next) = (vec![start], 0);
        while let Some(&i) = patch.get(next) {
            next += 1;
            let (x, y) = ((i % w) as i64, (i / w) as i64);
            for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                let (u, v) = (x + dx, y + dy);
                if u < 0 || v < 0 || u >= w as i64 || v >= h as i64 {
                    continue;
                }
                let j = v as usize * w + u as usize;
                if take(j) {
                    patch.push(j);
                }
            }
        }
        if patch.len() >= LEAST_PIXELS {
            found.push(patch);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_joined_over_corners_and_specks_are_left_out() {
        // 5x3: a diagonal of three, and one alone.
        let on = [0, 6, 12, 4];
        let found = patches((5, 3), |i| on.contains(&i));
        assert_eq!(found, [vec![0, 6, 12]]);
    }

    #[test]
    fn answers_are_sorted_from_landable_to_not() {
        let mut list = Vec::new();
        for i in 0..LEVELS * SHADES * 2 {
            let p = i as f32 / (LEVELS * SHADES * 2) as f32;
            let mut a = [0.0; Surface::COUNT];
            a[Surface::Soft as usize] = p;
            a[Surface::Water as usize] = 1.0 - p;
            list.push(a);
        }
        let table = reduced("grass", 3, Surface::Soft, list);
        assert_eq!(table.rows.len(), LEVELS * SHADES);
        let first = table.rows[0][Surface::Soft as usize];
        let last = table.rows[LEVELS * SHADES - 1][Surface::Soft as usize];
        assert!(first > 970 && last < 30, "{first} {last}");
        assert!(
            reduced("few", 1, Surface::Firm, vec![[0.1; Surface::COUNT]])
                .rows
                .is_empty()
        );
    }
}
