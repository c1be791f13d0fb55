//! Scores by object: is each person, animal and vehicle seen, and how often is one seen where none is?
//!
//! An object is a connected region (8 neighbours) of the truth. It is *found* when at least a quarter of its pixels are not
//! believed landable: enough to keep a vehicle's disc away. A *false alarm* is a region whose likeliest class is that kind and
//! that touches no truth of it; smaller regions than [`LEAST_PX`] across count as neither. Intervals come from a bootstrap over
//! scenes: pictures of one scene err together, so they are drawn together.

use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use serde::{Deserialize, Serialize};

use crate::uncertainty::interval;

/// Objects from this size on are judged: the longer side of their box, pixels of a 768 x 512 picture (42 cm at 15 m).
pub const LEAST_PX: usize = 13;
/// Sizes that are told apart, pixels across.
const SIZES: [(usize, usize); 3] = [(LEAST_PX, 26), (26, 52), (52, usize::MAX)];
/// Share of an object's pixels that must not be believed landable.
const FOUND_SHARE: f64 = 0.25;
/// What is looked for, by the surface that its classes belong to.
const KINDS: [(&str, Surface); 2] = [
    ("people and animals", Surface::Person),
    ("vehicles", Surface::Vehicle),
];

/// One picture with its truth and what was said of it, all of one size, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Pixels across and down.
    pub size: (usize, usize),
    /// Class index of the truth.
    pub truth: &'a [u8],
    /// Likeliest class.
    pub classes: &'a [u8],
    /// Probability of being landable.
    pub landable: &'a [f32],
}

/// What one picture holds of one kind.
#[derive(Debug, Clone, Default)]
struct Tally {
    /// Each object: pixels across, and whether it was found.
    objects: Vec<(usize, bool)>,
    false_alarms: usize,
}

/// Counts over pictures.
#[derive(Debug, Default)]
pub struct Objects {
    /// By picture, in the order of [`KINDS`].
    pictures: Vec<[Tally; KINDS.len()]>,
}

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// 2.5 and 97.5 % quantiles of the bootstrap over scenes; none without objects.
    pub interval: Option<(f64, f64)>,
}

/// What is said of one kind of object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectScore {
    /// Which kind.
    pub kind: String,
    /// Objects at least [`LEAST_PX`] across that were found.
    pub found: Share,
    /// The same by size, pixels across: from, to (excluded).
    pub by_size: Vec<(usize, usize, Share)>,
    /// False alarms a picture.
    pub false_alarms: f64,
}

impl Objects {
    /// Counts a picture; `threshold` is the probability from which on ground is believed landable.
    pub fn add(&mut self, picture: &Judged<'_>, threshold: f32) {
        self.pictures.push(KINDS.map(|(_, surface)| {
            let is_kind = |class: u8| surface_of(class) == Some(surface);
            let objects = regions(picture.size, |i| {
                picture.truth.get(i).is_some_and(|c| is_kind(*c))
            });
            let objects = objects.iter().filter(|r| r.across() >= LEAST_PX).map(|r| {
                let seen = r
                    .pixels
                    .iter()
                    .filter(|i| picture.landable.get(**i).is_some_and(|p| *p < threshold));
                let share = seen.count() as f64 / r.pixels.len().max(1) as f64;
                (r.across(), share >= FOUND_SHARE)
            });
            let alarms = regions(picture.size, |i| {
                picture.classes.get(i).is_some_and(|c| is_kind(*c))
            });
            let is_false = |r: &&Region| {
                let is_true = |i: &usize| picture.truth.get(*i).is_some_and(|c| is_kind(*c));
                r.across() >= LEAST_PX && !r.pixels.iter().any(is_true)
            };
            Tally {
                objects: objects.collect(),
                false_alarms: alarms.iter().filter(is_false).count(),
            }
        }));
    }

    /// The scores; `scenes` names the scene of each picture, in the order in which they were added.
    #[must_use]
    pub fn scores(&self, scenes: &[usize]) -> Vec<ObjectScore> {
        let kinds = KINDS.iter().enumerate();
        kinds
            .map(|(k, (kind, _))| {
                let share =
                    |from: usize, to: usize| self.share(k, scenes, |px| (from..to).contains(&px));
                let alarms = self.of(k).map(|t| t.false_alarms).sum::<usize>();
                ObjectScore {
                    kind: (*kind).to_owned(),
                    found: share(LEAST_PX, usize::MAX),
                    by_size: SIZES.map(|(from, to)| (from, to, share(from, to))).to_vec(),
                    false_alarms: alarms as f64 / self.pictures.len().max(1) as f64,
                }
            })
            .collect()
    }

    fn of(&self, kind: usize) -> impl Iterator<Item = &Tally> {
        self.pictures.iter().filter_map(move |p| p.get(kind))
    }

    fn share(&self, kind: usize, scenes: &[usize], is_size: impl Fn(usize) -> bool) -> Share {
        // Found and all, by picture.
        let counts: Vec<(usize, usize)> = self
            .of(kind)
            .map(|tally| {
                let objects = tally.objects.iter().filter(|(px, _)| is_size(*px));
                objects.fold((0, 0), |a, (_, found)| (a.0 + usize::from(*found), a.1 + 1))
            })
            .collect();
        let sum = |pictures: &mut dyn Iterator<Item = usize>| {
            let counts = pictures.filter_map(|i| counts.get(i));
            counts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        };
        let (count, of) = sum(&mut (0..counts.len()));
        Share {
            count,
            of,
            interval: interval(scenes, |drawn| {
                let (found, all) = sum(&mut drawn.iter().copied());
                (all > 0).then(|| found as f64 / all as f64)
            }),
        }
    }
}

fn surface_of(class: u8) -> Option<Surface> {
    SEMANTIC_DRONE.get(usize::from(class)).map(|(_, _, s)| *s)
}

/// Pixels that hang together.
#[derive(Debug)]
struct Region {
    pixels: Vec<usize>,
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Region {
    /// The longer side of its box, pixels.
    const fn across(&self) -> usize {
        let (w, h) = (self.right - self.left + 1, self.bottom - self.top + 1);
        if w > h { w } else { h }
    }
}

/// The connected regions (8 neighbours) of the pixels for which `is_in` holds.
fn regions((width, height): (usize, usize), is_in: impl Fn(usize) -> bool) -> Vec<Region> {
    let mut left: Vec<bool> = (0..width * height).map(is_in).collect();
    let mut found = Vec::new();
    for first in 0..left.len() {
        if !left.get(first).copied().unwrap_or(false) {
            continue;
        }
        let (x, y) = (first % width, first / width);
        let mut region = Region {
            pixels: vec![first],
            left: x,
            right: x,
            top: y,
            bottom: y,
        };
        if let Some(l) = left.get_mut(first) {
            *l = false;
        }
        let mut next = 0;
        while let Some(&at) = region.pixels.get(next) {
            next += 1;
            let (x, y) = (at % width, at / width);
            region.left = region.left.min(x);
            region.right = region.right.max(x);
            region.top = region.top.min(y);
            region.bottom = region.bottom.max(y);
            for neighbour in around((x, y), (width, height)) {
                if let Some(l) = left.get_mut(neighbour)
                    && std::mem::take(l)
                {
                    region.pixels.push(neighbour);
                }
            }
        }
        found.push(region);
    }
    found
}

/// A pixel and its eight neighbours inside the picture.
fn around((x, y): (usize, usize), (width, height): (usize, usize)) -> impl Iterator<Item = usize> {
    let rows = y.saturating_sub(1)..(y + 2).min(height);
    let columns = x.saturating_sub(1)..(x + 2).min(width);
    rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: u8 = 15;
    const GRASS: u8 = 3;
    const SIZE: (usize, usize) = (64, 32);

    /// Fills a box.
    fn put<T: Copy>(into: &mut [T], (x, y): (usize, usize), (w, h): (usize, usize), value: T) {
        for row in y..y + h {
            for column in x..x + w {
                into[row * SIZE.0 + column] = value;
            }
        }
    }

    fn picture(found_columns: usize) -> ([Vec<u8>; 2], Vec<f32>) {
        let mut truth = vec![GRASS; SIZE.0 * SIZE.1];
        let mut classes = truth.clone();
        let mut landable = vec![0.9; truth.len()];
        // One that is judged, and one that is too small.
        put(&mut truth, (4, 4), (16, 8), PERSON);
        put(&mut truth, (40, 4), (5, 5), PERSON);
        put(&mut landable, (4, 4), (found_columns, 8), 0.1);
        // A false alarm, and one that touches a person.
        put(&mut classes, (30, 20), (14, 3), PERSON);
        put(&mut classes, (10, 4), (20, 3), PERSON);
        ([truth, classes], landable)
    }

    fn objects(columns: &[usize]) -> Objects {
        let mut objects = Objects::default();
        for &found_columns in columns {
            let ([truth, classes], landable) = picture(found_columns);
            let judged = Judged {
                size: SIZE,
                truth: &truth,
                classes: &classes,
                landable: &landable,
            };
            objects.add(&judged, 0.5);
        }
        objects
    }

    #[test]
    fn a_quarter_of_an_object_is_enough_and_small_ones_do_not_count() {
        let scores = objects(&[3, 4, 16]).scores(&[0, 1, 2]);
        let people = &scores[0];
        assert_eq!((people.found.count, people.found.of), (2, 3));
        assert_eq!((people.by_size[0].2.count, people.by_size[1].2.of), (2, 0));
        assert!((people.false_alarms - 1.0).abs() < 1e-12);
        assert_eq!(scores[1].found.of, 0, "no vehicle");
        assert_eq!(scores[1].found.interval, None);
    }

    #[test]
    fn pictures_of_one_scene_are_drawn_together() {
        let columns = [3, 3, 3, 3, 16, 16, 16, 16];
        let apart = objects(&columns).scores(&[0, 1, 2, 3, 4, 5, 6, 7])[0].found;
        let together = objects(&columns).scores(&[0, 0, 0, 0, 1, 1, 1, 1])[0].found;
        assert_eq!((apart.count, apart.of), (4, 8));
        let width = |s: Share| s.interval.map(|(low, high)| high - low).unwrap();
        assert!(width(together) > width(apart), "{together:?} {apart:?}");
        assert_eq!(together.interval, Some((0.0, 1.0)));
    }

    #[test]
    fn regions_hang_together_over_corners() {
        let on = [0, 9, 18, 5];
        let found = regions((8, 4), |i| on.contains(&i));
        let sizes: Vec<_> = found.iter().map(|r| (r.pixels.len(), r.across())).collect();
        assert_eq!(sizes, [(3, 3), (1, 1)]);
    }
}
