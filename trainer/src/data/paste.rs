//! Copy and paste (Ghiasi et al. 2021, "Simple copy-paste"): people, animals, cars and bicycles are rare and matter most, so
//! some are cut out of other training pictures and put on the ground of this one.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::augment::{Training, Warp, mirror};
use super::cache::{Cache, Sample};

/// Person, dog, car, bicycle.
const PASTED: [u8; 4] = [15, 16, 17, 18];
/// Where things are put: paved area, dirt, grass, gravel, marker.
const GROUND: [u8; 5] = [1, 2, 3, 4, 21];
/// Smaller pieces, in pixels of the cache, are mostly hidden things.
const MIN_PIXELS: usize = 80;
/// Things pasted into a picture at most.
const MOST: usize = 4;

/// A thing in a picture of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thing {
    /// The cache's sample.
    pub sample: usize,
    /// Its class.
    pub class: u8,
    /// Left, top, right, bottom (exclusive), pixels.
    pub bounds: [usize; 4],
}

/// Finds the things in these samples: connected pieces of the pasted classes.
#[must_use]
pub fn find(cache: &Cache, samples: &[usize]) -> Vec<Thing> {
    let mut things = Vec::new();
    for &index in samples {
        let Some(sample) = cache.sample(index) else {
            continue;
        };
        for (class, bounds, pixels) in pieces(&sample) {
            if pixels >= MIN_PIXELS {
                things.push(Thing {
                    sample: index,
                    class,
                    bounds,
                });
            }
        }
    }
    things
}

/// The connected pieces (4 neighbours) of the pasted classes: class, bounds, number of pixels.
fn pieces(sample: &Sample<'_>) -> Vec<(u8, [usize; 4], usize)> {
    let mut seen = vec![false; sample.mask.len()];
    let mut found = Vec::new();
    for (start, &class) in sample.mask.iter().enumerate() {
        if PASTED.contains(&class) && seen.get(start) == Some(&false) {
            let (bounds, pixels) = piece(sample, start, &mut seen);
            found.push((class, bounds, pixels));
        }
    }
    found
}

/// The piece that holds pixel `start`: bounds and number of pixels, which are marked as seen.
fn piece(sample: &Sample<'_>, start: usize, seen: &mut [bool]) -> ([usize; 4], usize) {
    let (width, height) = (sample.width, sample.height);
    let class = sample.mask.get(start);
    let mut bounds = [width, height, 0, 0];
    let mut pixels = 0;
    let mut stack = vec![start];
    while let Some(i) = stack.pop() {
        let Some(s) = seen
            .get_mut(i)
            .filter(|s| !**s && sample.mask.get(i) == class)
        else {
            continue;
        };
        *s = true;
        pixels += 1;
        let (x, y) = (i % width, i / width);
        let [left, top, right, bottom] = bounds;
        bounds = [left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)];
        stack.extend((x > 0).then(|| i - 1));
        stack.extend((x + 1 < width).then_some(i + 1));
        stack.extend((y > 0).then(|| i - width));
        stack.extend((y + 1 < height).then_some(i + width));
    }
    (bounds, pixels)
}

/// Puts a few things on the ground of a sample that was drawn with `warp`, at about the scale that things have there.
pub fn paste(t: &mut Training, warp: &Warp, cache: &Cache, things: &[Thing], rng: &mut ChaCha8Rng) {
    if things.is_empty() {
        return;
    }
    for _ in 0..rng.random_range(1..=MOST) {
        let Some(thing) = things.get(rng.random_range(0..things.len())) else {
            continue;
        };
        let Some(sample) = cache.sample(thing.sample) else {
            continue;
        };
        let Some(place) = ground(t, rng) else {
            continue;
        };
        let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
        let step = warp.step() * rng.random_range(-0.25_f32..0.25).exp();
        let [left, top, right, bottom] = thing.bounds.map(|v| v as f32);
        let placed = Warp {
            matrix: [cos * step, -sin * step, sin * step, cos * step],
            vanish: [0.0; 2],
            centre: [f32::midpoint(left, right), f32::midpoint(top, bottom)],
        };
        put(t, place, &placed, (&sample, thing));
    }
}

/// A random pixel of landable ground, if a few tries find one.
fn ground(t: &Training, rng: &mut ChaCha8Rng) -> Option<(usize, usize)> {
    (0..6)
        .map(|_| (rng.random_range(0..t.width), rng.random_range(0..t.height)))
        .find(|&(x, y)| {
            let class = t.mask.get(y * t.width + x);
            class.is_some_and(|c| GROUND.contains(c))
        })
}

fn put(t: &mut Training, place: (usize, usize), warp: &Warp, from: (&Sample<'_>, &Thing)) {
    let (sample, thing) = from;
    let [left, top, right, bottom] = thing.bounds.map(|v| v as f32);
    let reach = (right - left).hypot(bottom - top) / 2.0 / warp.step();
    let reach = reach.ceil() as isize;
    let side = 2 * reach + 1;
    for (down, across) in (0..side * side).map(|i| (i / side - reach, i % side - reach)) {
        let (x, y) = (place.0 as isize + across, place.1 as isize + down);
        if x < 0 || y < 0 || x >= t.width as isize || y >= t.height as isize {
            continue;
        }
        let [from_x, from_y] = warp.source([across as f32, down as f32]);
        if !(left..right).contains(&from_x) || !(top..bottom).contains(&from_y) {
            continue;
        }
        let at = mirror(from_y, sample.height) * sample.width + mirror(from_x, sample.width);
        if sample.mask.get(at) == Some(&thing.class) {
            let colour = sample.picture.get(at * 3..at * 3 + 3).unwrap_or(&[]);
            t.set(y as usize * t.width + x as usize, colour, thing.class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cache::CacheWriter;
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use rand::SeedableRng as _;

    /// A grey meadow (class 3) with a red person (15) of 12 x 10 pixels, and one too small.
    fn cache(folder: &std::path::Path) -> Cache {
        let is_person = |x: u32, y: u32| (20..32).contains(&x) && (30..40).contains(&y);
        let is_small = |x: u32, y: u32| x < 3 && y < 3;
        let picture = RgbImage::from_fn(96, 64, |x, y| {
            Rgb(if is_person(x, y) || is_small(x, y) {
                [250, 0, 0]
            } else {
                [90; 3]
            })
        });
        let mask = GrayImage::from_fn(96, 64, |x, y| {
            Luma([if is_person(x, y) || is_small(x, y) {
                15
            } else {
                3
            }])
        });
        let mut writer = CacheWriter::create(folder, (96, 64), 24, "test").unwrap();
        writer.push("a", &picture, &mask).unwrap();
        writer.finish().unwrap();
        Cache::open(folder).unwrap()
    }

    #[test]
    fn things_are_found_with_their_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let things = find(&cache(folder.path()), &[0]);
        assert_eq!(
            things,
            [Thing {
                sample: 0,
                class: 15,
                bounds: [20, 30, 32, 40]
            }]
        );
    }

    #[test]
    fn pasted_things_bring_their_pixels_and_their_class_together() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let things = find(&cache, &[0]);
        let mut t = Training {
            width: 48,
            height: 32,
            picture: vec![90.0; 3 * 48 * 32],
            mask: vec![3; 48 * 32],
        };
        let warp = Warp::whole((96, 64), (48, 32));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        paste(&mut t, &warp, &cache, &things, &mut rng);
        let people = t.mask.iter().map(|&m| usize::from(m == 15)).sum::<usize>();
        assert!((10..200).contains(&people), "{people}");
        for (red, m) in t.picture.iter().zip(&t.mask) {
            assert_eq!(*m == 15, *red > 200.0);
        }
    }
}
