//! Camera motion between frames without telemetry, from the pictures alone.
//!
//! Each picture is registered to the one before: corners are found and described (`features`), paired
//! (`matching`), and the similarity (rotation, scale, shift) that most pairs follow is searched and refined
//! (`similarity`). It is believed only when it passes every check of `verify`: **a false registration is worse than
//! none**, since it would smear one place's map over another's. Without registration the caller starts a new map.
//!
//! A similarity is exact for a level camera over flat ground, whatever it does in height and heading. Tilt, relief and
//! lens distortion show up as residual, up to which they are tolerated.
//!
//! What this does not do: it knows no metres (the caller has the height), closes no loops (errors add up from frame to
//! frame) and looks only at neighbours in the sequence.

mod features;
mod matching;
mod similarity;
#[cfg(test)]
mod tests;
mod verify;
mod working;

use image::RgbImage;

use crate::time::MonoTime;
use features::{Detector, Feature};
use matching::Matcher;
use similarity::{Consensus, Search};
pub use similarity::{PointPair, Similarity};
use working::{Level, Reducer};

/// Scales at which features are sought: each smaller than the one before by sqrt(2).
const LEVELS: usize = 3;

/// What makes a registration believable. The defaults were set on real aerial sequences and on pairs of unrelated
/// pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OdometryConfig {
    /// Longer side of the picture that features are sought in, pixels.
    pub working_px: u32,
    /// Pairs that must follow one motion.
    pub min_inliers: usize,
    /// Share of the pairs that must follow it, `0.0..=1.0`.
    pub min_inlier_share: f64,
    /// A pair follows a motion within this share of the longer side.
    pub tolerance: f64,
    /// Smallest believable scale between neighbours.
    pub min_scale: f64,
    /// Largest believable scale between neighbours.
    pub max_scale: f64,
    /// Share of this picture that the previous one must show, `0.0..=1.0`.
    pub min_overlap: f64,
    /// Share of the overlap's cells that must hold followers, `0.0..=1.0`.
    pub min_spread: f64,
    /// The next best motion may have at most this share of the best one's followers, `0.0..=1.0`.
    pub max_rival: f64,
    /// Share of the textured blocks of the overlap that must look alike, `0.0..=1.0`.
    pub min_agreement: f64,
}

impl Default for OdometryConfig {
    fn default() -> Self {
        Self {
            working_px: 480,
            min_inliers: 14,
            min_inlier_share: 0.2,
            tolerance: 0.008,
            min_scale: 0.7,
            max_scale: 1.4,
            min_overlap: 0.2,
            min_spread: 0.15,
            max_rival: 0.5,
            min_agreement: 0.4,
        }
    }
}

/// How a picture relates to the one before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Registration {
    /// There was none before it.
    First,
    /// It shows the same ground, moved.
    Tracked {
        /// Maps points of the previous picture into this one, source pixels.
        motion: Similarity,
        /// Pairs that follow it.
        inliers: usize,
        /// Root mean square distance by which they miss it, source pixels.
        residual_px: f64,
        /// One standard deviation of where `motion` puts the middle of the picture, source pixels.
        sd_px: f64,
    },
    /// No motion could be believed.
    Lost {
        /// Why not.
        reason: LostReason,
    },
}

/// Why two pictures could not be registered.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum LostReason {
    /// The picture has another size than the one before.
    #[error("the picture's size changed")]
    SizeChanged,
    /// The picture was taken before the one before it.
    #[error("its time lies before the previous picture's")]
    TimeWentBack,
    /// Flat, blurred, dark, or tiny.
    #[error("too little texture: {0} corners")]
    Texture(usize),
    /// Nothing in common with the picture before, or too little.
    #[error("{inliers} of {pairs} matched points agree on a motion")]
    Inliers {
        /// Pairs that follow the best motion.
        inliers: usize,
        /// All pairs.
        pairs: usize,
    },
    /// More zoom or climb than believable between neighbours.
    #[error("scale changed by {0:.2}")]
    Scale(f64),
    /// The pictures share too small a part.
    #[error("only {:.0} % of the picture was in view before", .0 * 100.0)]
    Overlap(f64),
    /// The followers stand in one place: one thing moved, not the camera.
    #[error("matched points cover {:.0} % of the overlap", .0 * 100.0)]
    Spread(f64),
    /// Paving, tiles: a motion by any number of periods more would look the same.
    #[error("the ground repeats itself every {0} pixels of the working picture")]
    Repeats(usize),
    /// Another motion explains nearly as much: repeated texture or two layers.
    #[error("two motions are possible: {best} and {rival} matched points")]
    Ambiguous {
        /// Followers of the best motion.
        best: usize,
        /// Followers of the next best.
        rival: usize,
    },
    /// Laid over each other, the pictures do not look alike.
    #[error("laid over each other, {:.0} % of the picture looks alike", .0 * 100.0)]
    Appearance(f64),
}

/// A picture as remembered for the next.
#[derive(Debug, Default)]
struct Remembered {
    size: (u32, u32),
    at: MonoTime,
    levels: [Level; LEVELS],
    features: Vec<Feature>,
}

/// Registers every picture to the one before it; owns all its memory.
#[derive(Debug)]
pub struct Odometry {
    config: OdometryConfig,
    reducer: Reducer,
    detector: Detector,
    matcher: Matcher,
    previous: Option<Remembered>,
    /// Buffers for the picture in hand; they change places with `previous`.
    current: Remembered,
    pairs: Vec<PointPair>,
    rivals: Vec<PointPair>,
}

impl Odometry {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(config: OdometryConfig) -> Self {
        Self {
            config,
            reducer: Reducer::default(),
            detector: Detector::new(),
            matcher: Matcher::default(),
            previous: None,
            current: Remembered::default(),
            pairs: Vec::new(),
            rivals: Vec::new(),
        }
    }

    /// Registers a picture to the one before, and remembers it for the next.
    pub fn step(&mut self, picture: &RgbImage, captured_at: MonoTime) -> Registration {
        self.look(picture, captured_at);
        self.pairs.clear();
        let registration = match self.previous.take() {
            None => {
                self.previous = Some(Remembered::default());
                Registration::First
            }
            Some(previous) => {
                let outcome = self.register(&previous);
                self.previous = Some(previous);
                outcome.unwrap_or_else(|reason| {
                    self.pairs.clear();
                    Registration::Lost { reason }
                })
            }
        };
        if let Some(previous) = &mut self.previous {
            std::mem::swap(previous, &mut self.current);
        }
        registration
    }

    /// The next picture will be `First` again.
    pub fn forget(&mut self) {
        self.previous = None;
        self.pairs.clear();
    }

    /// The pairs of points that follow the last step's motion; none unless it was `Tracked`.
    #[must_use]
    pub fn inliers(&self) -> &[PointPair] {
        &self.pairs
    }

    fn look(&mut self, picture: &RgbImage, captured_at: MonoTime) {
        let now = &mut self.current;
        now.size = picture.dimensions();
        now.at = captured_at;
        now.features.clear();
        if self
            .reducer
            .reduce(picture, self.config.working_px, &mut now.levels)
        {
            for level in &now.levels {
                self.detector.detect(level, &mut now.features);
            }
        }
    }

    fn register(&mut self, previous: &Remembered) -> Result<Registration, LostReason> {
        let now = &self.current;
        if previous.size != now.size {
            return Err(LostReason::SizeChanged);
        }
        if now.at < previous.at {
            return Err(LostReason::TimeWentBack);
        }
        let corners = previous.features.len().min(now.features.len());
        if corners < self.config.min_inliers {
            return Err(LostReason::Texture(corners));
        }
        let (width, height) = (f64::from(now.size.0), f64::from(now.size.1));
        let longer = width.max(height);
        self.matcher
            .pair(&previous.features, &now.features, longer, &mut self.pairs);
        let search = Search {
            within_px: self.config.tolerance * longer,
            min_baseline_px: 0.08 * longer,
            // Beyond the believable, so that a climb is named as such.
            scale: (0.5 * self.config.min_scale, 2.0 * self.config.max_scale),
            max_samples: 600,
        };
        let all = self.pairs.len();
        let found = similarity::search(&self.pairs, &search);
        let best = self.enough(found, all)?;
        self.split(&best, search.within_px);
        let spread = verify::spread(&best.motion, &self.pairs, width, height);
        self.believable(&best, previous, &search, spread)?;
        // Errors of neighbouring points are alike: count places, not points.
        let independent = spread.cells.clamp(1, best.followers) as f64;
        Ok(Registration::Tracked {
            motion: best.motion,
            inliers: best.followers,
            residual_px: best.rms_px,
            sd_px: best.rms_px / independent.sqrt(),
        })
    }

    fn enough(&self, found: Option<Consensus>, pairs: usize) -> Result<Consensus, LostReason> {
        let inliers = found.map_or(0, |c| c.followers);
        let share = inliers as f64 / pairs.max(1) as f64;
        found
            .filter(|_| inliers >= self.config.min_inliers && share >= self.config.min_inlier_share)
            .ok_or(LostReason::Inliers { inliers, pairs })
    }

    /// Leaves the followers in `pairs` and puts all others into `rivals`.
    fn split(&mut self, best: &Consensus, within_px: f64) {
        self.rivals.clear();
        let rivals = &mut self.rivals;
        self.pairs.retain(|p| {
            let follows = best.motion.error_px(p) <= within_px;
            if !follows {
                rivals.push(*p);
            }
            follows
        });
    }

    fn believable(
        &self,
        best: &Consensus,
        previous: &Remembered,
        search: &Search,
        spread: verify::Spread,
    ) -> Result<(), LostReason> {
        let config = &self.config;
        let (width, height) = (
            f64::from(self.current.size.0),
            f64::from(self.current.size.1),
        );
        let motion = &best.motion;
        if !(config.min_scale..=config.max_scale).contains(&motion.scale) {
            return Err(LostReason::Scale(motion.scale));
        }
        let overlap = verify::overlap(motion, width, height);
        if overlap < config.min_overlap {
            return Err(LostReason::Overlap(overlap));
        }
        if spread.share < config.min_spread {
            return Err(LostReason::Spread(spread.share));
        }
        let rival = similarity::search(&self.rivals, search).map_or(0, |c| c.followers);
        if rival as f64 > config.max_rival * best.followers as f64 {
            return Err(LostReason::Ambiguous {
                best: best.followers,
                rival,
            });
        }
        // The smallest level: it forgives the few pixels by which relief and tilt depart from a similarity.
        let [.., before] = &previous.levels;
        let [.., after] = &self.current.levels;
        let [fine, ..] = &self.current.levels;
        if let Some(period) = verify::period(fine) {
            return Err(LostReason::Repeats(period));
        }
        let agreement = verify::agreement(motion, before, after);
        if agreement.blocks == 0 || agreement.share < config.min_agreement {
            return Err(LostReason::Appearance(agreement.share));
        }
        Ok(())
    }
}
