//! Batches for training, made ahead by named threads. A batch depends on seed, epoch and place alone, so that a resumed run sees the
//! batches that an uninterrupted one would have seen, however many threads make them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context as _, Result};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::data::augment::{Training, Warp, ZoomRange, change_colours};
use crate::data::cache::Cache;
use crate::data::compression::compress;
use crate::data::paste::{Thing, paste};

/// Batches that each thread makes ahead.
const AHEAD: usize = 1;
/// Qualities of JPEG: from a bad video link to a good camera.
const JPEG_QUALITY: std::ops::RangeInclusive<u8> = 25..=90;

/// What is trained on.
pub(crate) struct TrainingSet {
    /// Real pictures.
    pub(crate) real: Cache,
    /// Which of them.
    pub(crate) indices: Vec<usize>,
    /// Things cut out of them.
    pub(crate) things: Vec<Thing>,
    /// Drawn ground, if any.
    pub(crate) drawn: Option<Cache>,
    /// Drawn pictures for each real one.
    pub(crate) drawn_ratio: f32,
    /// Columns and rows at which the whole picture is drawn: the network's input, or the teacher's if it is finer.
    pub(crate) size: (usize, usize),
    /// The window of it that is trained on.
    pub(crate) crop: (usize, usize),
    /// How near or far the ground is seen.
    pub(crate) zoom: ZoomRange,
    /// Share of pictures into which things are pasted.
    pub(crate) paste_share: f64,
    /// How strongly light and colour change.
    pub(crate) colour: f32,
    /// Greatest tilt of the camera, degrees.
    pub(crate) tilt: f32,
    /// Share of pictures that are compressed to JPEG and back.
    pub(crate) jpeg_share: f64,
    pub(crate) seed: u64,
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Real(usize),
    Drawn(usize),
}

/// Samples drawn through augmentation, ready for the network.
#[derive(Default)]
pub(crate) struct Batch {
    /// RGB, `[sample][channel][row][column]`.
    pub(crate) pictures: Vec<u8>,
    /// Class index, `[sample][row][column]`.
    pub(crate) masks: Vec<u8>,
    /// Number of samples.
    pub(crate) len: usize,
}

impl Batch {
    /// Appends a sample.
    pub(crate) fn push(&mut self, t: &Training) {
        self.pictures
            .extend(t.picture.iter().map(|v| v.round() as u8));
        self.masks.extend_from_slice(&t.mask);
        self.len += 1;
    }
}

impl TrainingSet {
    /// The samples of an epoch, shuffled: every real one once, and some drawn.
    pub(crate) fn epoch(&self, epoch: usize) -> Vec<Source> {
        let mut rng = self.rng(epoch, usize::MAX);
        let mut all: Vec<Source> = self.indices.iter().map(|&i| Source::Real(i)).collect();
        if let Some(drawn) = self.drawn.as_ref().filter(|d| !d.is_empty()) {
            let count = (self.drawn_ratio * self.indices.len() as f32).round() as usize;
            all.extend((0..count).map(|_| Source::Drawn(rng.random_range(0..drawn.len()))));
        }
        all.shuffle(&mut rng);
        all
    }

    fn rng(&self, epoch: usize, place: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((epoch as u64) << 24 | (place as u64 & 0xFF_FFFF));
        rng
    }

    fn draw(&self, source: Source, epoch: usize, place: usize) -> Option<Training> {
        let mut rng = self.rng(epoch, place);
        let (cache, index) = match source {
            Source::Real(i) => (&self.real, i),
            Source::Drawn(i) => (self.drawn.as_ref()?, i),
        };
        let sample = cache.sample(index)?;
        let source = (sample.width, sample.height);
        let whole = Warp::whole(source, self.size);
        let mut warp = Warp::random(&whole, source, self.crop, self.zoom, &mut rng);
        // Drawn only where it is wanted, so that runs without see what they always saw.
        if self.tilt > 0.0 {
            let angle = rng.random_range(0.0..self.tilt.to_radians());
            let direction = rng.random_range(0.0..std::f32::consts::TAU);
            warp = warp.tilted(angle, direction, self.size.0);
        }
        let mut t = warp.draw(&sample, self.crop);
        if rng.random_bool(self.paste_share) {
            paste(&mut t, &warp, &self.real, &self.things, &mut rng);
        }
        change_colours(&mut t, self.colour, &mut rng);
        if self.jpeg_share > 0.0 && rng.random_bool(self.jpeg_share) {
            compress(&mut t, rng.random_range(JPEG_QUALITY)).ok()?;
        }
        Some(t)
    }

    /// Batch `b` of an epoch.
    fn batch(&self, sources: &[Source], epoch: usize, b: usize, size: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        for place in b * size..((b + 1) * size).min(sources.len()) {
            let t = self.draw(*sources.get(place)?, epoch, place)?;
            batch.push(&t);
        }
        Some(batch)
    }
}

/// Batches in an epoch; a last one too small for batch statistics is left out.
pub(crate) fn batches(samples: usize, size: usize) -> usize {
    (samples / size).max(1)
}

/// The batches of the epochs to come, in order.
pub(crate) struct Batches {
    workers: Vec<Receiver<Batch>>,
    next: usize,
}

impl Batches {
    /// Starts the threads that make the batches of `epochs`: of `n` threads each makes every `n`th.
    pub(crate) fn start(
        set: &Arc<TrainingSet>,
        epochs: Range<usize>,
        size: usize,
        workers: usize,
    ) -> Result<Self> {
        let receivers = (0..workers.max(1)).map(|worker| {
            let (sender, receiver) = sync_channel(AHEAD);
            let (set, epochs) = (Arc::clone(set), epochs.clone());
            let work = move || {
                let share = (worker, workers.max(1));
                send_share(&set, epochs, size, share, &sender);
            };
            let thread = thread::Builder::new().name(format!("batches-{worker}"));
            thread
                .spawn(work)
                .context("cannot start a thread that makes batches")?;
            Ok(receiver)
        });
        Ok(Self {
            workers: receivers.collect::<Result<_>>()?,
            next: 0,
        })
    }
}

/// Makes and sends every `n`th batch of the epochs, until they are over or nobody takes them any more.
fn send_share(
    set: &TrainingSet,
    epochs: Range<usize>,
    size: usize,
    (worker, n): (usize, usize),
    sender: &SyncSender<Batch>,
) {
    let mut number = 0;
    for epoch in epochs {
        let sources = set.epoch(epoch);
        let count = batches(sources.len(), size);
        for b in (0..count).filter(|b| (number + b) % n == worker) {
            let batch = set.batch(&sources, epoch, b, size);
            if batch.is_none_or(|batch| sender.send(batch).is_err()) {
                return;
            }
        }
        number += count;
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let worker = self.workers.get(self.next % self.workers.len())?;
        self.next += 1;
        worker.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;
    use crate::data::cache::CacheWriter;

    #[test]
    fn however_many_threads_make_them_the_batches_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = CacheWriter::create(folder.path(), (24, 16), 24, "test").unwrap();
        for i in 0..7_u8 {
            let picture = RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 9, y as u8 * 9, i * 30]));
            let mask = GrayImage::from_pixel(24, 16, Luma([i]));
            writer.push(&format!("{i}"), &picture, &mask).unwrap();
        }
        writer.finish().unwrap();
        let set = Arc::new(TrainingSet {
            real: Cache::open(folder.path()).unwrap(),
            indices: (0..7).collect(),
            things: Vec::new(),
            drawn: None,
            drawn_ratio: 0.0,
            size: (12, 8),
            crop: (12, 8),
            zoom: (0.8, 1.7),
            paste_share: 0.4,
            colour: 1.0,
            tilt: 12.0,
            jpeg_share: 0.5,
            seed: 3,
        });
        let all = |epochs, workers| -> Vec<(Vec<u8>, Vec<u8>)> {
            let made = Batches::start(&set, epochs, 2, workers).unwrap();
            made.map(|b| (b.pictures, b.masks)).collect()
        };
        let one = all(0..3, 1);
        assert_eq!(one.len(), 9, "three of two in each of three epochs");
        assert_eq!(one, all(0..3, 4));
        assert_eq!(one[3..], all(1..3, 2), "resumed after the first");
        assert_ne!(one[0], one[3]);
    }
}
