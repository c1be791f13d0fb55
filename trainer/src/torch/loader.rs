//! Batches for training, made ahead by one named thread. A batch depends on seed, epoch and place alone, so that a resumed run sees the
//! batches that an uninterrupted one would have seen.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context as _, Result};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::data::augment::{Training, Warp, ZoomRange, change_colours};
use crate::data::cache::Cache;
use crate::data::paste::{Thing, paste};

/// Batches made ahead: two keep the loop busy, more only hold memory (about 10 MB each).
const AHEAD: usize = 2;

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
    /// The network's input, columns and rows: the whole picture is seen at this scale.
    pub(crate) size: (usize, usize),
    /// The window of it that is trained on.
    pub(crate) crop: (usize, usize),
    /// How near or far the ground is seen.
    pub(crate) zoom: ZoomRange,
    /// Share of pictures into which things are pasted.
    pub(crate) paste_share: f64,
    pub(crate) seed: u64,
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Real(usize),
    Drawn(usize),
}

/// Samples drawn through augmentation, ready for the network.
pub(crate) struct Batch {
    /// RGB 0..=255, `[sample][channel][row][column]`.
    pub(crate) pictures: Vec<f32>,
    /// Class index, `[sample][row][column]`.
    pub(crate) masks: Vec<u8>,
    /// Number of samples.
    pub(crate) len: usize,
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
        let warp = Warp::random(&whole, source, self.crop, self.zoom, &mut rng);
        let mut t = warp.draw(&sample, self.crop);
        if rng.random_bool(self.paste_share) {
            paste(&mut t, &warp, &self.real, &self.things, &mut rng);
        }
        change_colours(&mut t, &mut rng);
        Some(t)
    }

    /// Batch `b` of an epoch.
    fn batch(&self, sources: &[Source], epoch: usize, b: usize, size: usize) -> Option<Batch> {
        let mut batch = Batch {
            pictures: Vec::new(),
            masks: Vec::new(),
            len: 0,
        };
        for place in b * size..((b + 1) * size).min(sources.len()) {
            let t = self.draw(*sources.get(place)?, epoch, place)?;
            batch.pictures.extend(t.picture);
            batch.masks.extend(t.mask);
            batch.len += 1;
        }
        Some(batch)
    }
}

/// Batches in an epoch; a last one too small for batch statistics is left out.
pub(crate) fn batches(samples: usize, size: usize) -> usize {
    (samples / size).max(1)
}

/// Starts the thread that makes the batches of one epoch.
pub(crate) fn start(set: &Arc<TrainingSet>, epoch: usize, size: usize) -> Result<Receiver<Batch>> {
    let (sender, receiver) = sync_channel(AHEAD);
    let set = Arc::clone(set);
    thread::Builder::new()
        .name("batches".to_owned())
        .spawn(move || {
            let sources = set.epoch(epoch);
            for b in 0..batches(sources.len(), size) {
                let Some(batch) = set.batch(&sources, epoch, b, size) else {
                    return;
                };
                if sender.send(batch).is_err() {
                    return;
                }
            }
        })
        .context("cannot start the thread that makes batches")?;
    Ok(receiver)
}
