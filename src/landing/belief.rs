//! Belief over surfaces: what time and looks do to it, many cells at a time.
//!
//! Numbers lie surface by surface, a lane a cell, so that the machine works on several cells at once; every cell's
//! arithmetic is the same as if it were alone.

use super::config::MapConfig;
use crate::inference::classes::Surface;

/// Probability of each surface, by [`Surface`] index.
pub(super) type Belief = [f32; Surface::COUNT];

/// Nothing known.
pub(super) const UNKNOWN: Belief = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];

/// Cells worked on at a time.
pub(super) const LANES: usize = 64;

/// A number for each of them.
pub(super) type Lanes = [f32; LANES];

/// A belief for each of them: a row of lanes a surface.
pub(super) type Beliefs = [Lanes; Surface::COUNT];

/// One look at each of some neighbouring cells of a row, west to east.
#[derive(Debug)]
pub(super) struct Looks {
    /// How many cells.
    pub(super) len: usize,
    /// Probability of each surface, summing to 1 a cell.
    pub(super) surfaces: Beliefs,
    /// How much each look tells, 0 to 1.
    pub(super) weight: Lanes,
    /// A person or an animal stands there, or may.
    pub(super) has_person: [bool; LANES],
    /// A vehicle stands there, or may.
    pub(super) has_vehicle: [bool; LANES],
}

impl Looks {
    pub(super) const fn new() -> Self {
        Self {
            len: 0,
            surfaces: [[0.0; LANES]; Surface::COUNT],
            weight: [0.0; LANES],
            has_person: [false; LANES],
            has_vehicle: [false; LANES],
        }
    }
}

/// What the time since the last look does to each of some cells.
#[derive(Debug)]
pub(super) struct Times {
    /// Time since the last look, seconds.
    pub(super) age_s: Lanes,
    /// How far a look now is one of its own, 0 to 1.
    pub(super) fresh: Lanes,
    /// Share that is kept of what stands still.
    still: Lanes,
    /// Share that is kept of what moves.
    moving: Lanes,
}

impl Times {
    pub(super) const fn new() -> Self {
        Self {
            age_s: [0.0; LANES],
            fresh: [1.0; LANES],
            still: [1.0; LANES],
            moving: [1.0; LANES],
        }
    }

    /// Takes in the ages of cells, one a lane.
    pub(super) fn fill(&mut self, ages_s: impl Iterator<Item = f32>, config: &MapConfig) {
        let independence = config.look_independence_s as f32;
        let (static_s, moving_s) = (config.static_memory_s as f32, config.moving_memory_s as f32);
        let kept = self.still.iter_mut().zip(&mut self.moving);
        let lanes = self.age_s.iter_mut().zip(&mut self.fresh).zip(kept);
        // Neighbours were mostly seen at the same time.
        let mut last = [f32::NAN, 1.0, 1.0, 1.0];
        for (((age, fresh), (still, moving)), age_s) in lanes.zip(ages_s) {
            if age_s.to_bits() != last[0].to_bits() {
                let fresh = if independence > 0.0 {
                    (age_s / independence).min(1.0)
                } else {
                    1.0
                };
                last = [
                    age_s,
                    fresh,
                    (-age_s / static_s).exp(),
                    (-age_s / moving_s).exp(),
                ];
            }
            [*age, *fresh, *still, *moving] = last;
        }
    }
}

/// The belief after some time without a look: each surface keeps `exp(-age / memory)`, the rest is unknown.
pub(super) fn fade(beliefs: &mut Beliefs, times: &Times) {
    let [known @ .., unknown] = beliefs;
    let mut sum = [0.0; LANES];
    for (lanes, surface) in known.iter_mut().zip(Surface::ALL) {
        let kept = if surface.moves() {
            &times.moving
        } else {
            &times.still
        };
        for ((p, kept), sum) in lanes.iter_mut().zip(kept).zip(&mut sum) {
            *p *= kept;
            *sum += *p;
        }
    }
    for ((p, sum), age_s) in unknown.iter_mut().zip(&sum).zip(&times.age_s) {
        let rest = (1.0 - sum).clamp(0.0, 1.0);
        *p = if *age_s > 0.0 { rest } else { *p };
    }
}

/// Bayes: unknown ground may be any surface, so its share of the prior is spread evenly before the look is taken in; only
/// as far as the look is `fresh` (0 to 1), else a hundred equal pictures would explain unknown ground away. No
/// probability falls below `floor`.
pub(super) fn take_in(beliefs: &mut Beliefs, looks: &Looks, fresh: &Lanes, floor: f32) {
    let mut terms = Terms::new();
    terms.fill(beliefs, &looks.weight, fresh);
    let mut sum = [0.0; LANES];
    for (lanes, looks) in beliefs.iter_mut().zip(&looks.surfaces) {
        let terms = terms.weight.iter().zip(&terms.blind).zip(&terms.spread);
        let pairs = lanes.iter_mut().zip(looks).zip(&mut sum);
        for (((p, look), sum), ((weight, blind), spread)) in pairs.zip(terms) {
            let product = (*p + spread) * (weight * look + blind);
            *p = if product > 0.0 { product } else { 0.0 };
            *sum += *p;
        }
    }
    let whole = sum.map(|s| 1.0 / s);
    let mut total = [0.0; LANES];
    for lanes in beliefs.iter_mut() {
        for ((p, whole), total) in lanes.iter_mut().zip(&whole).zip(&mut total) {
            let share = *p * whole;
            *p = if share > floor { share } else { floor };
            *total += *p;
        }
    }
    let whole = total.map(|t| 1.0 / t);
    for (lanes, unknown) in beliefs.iter_mut().zip(UNKNOWN) {
        for ((p, whole), sum) in lanes.iter_mut().zip(&whole).zip(&sum) {
            let is_usable = (1e-30..f32::INFINITY).contains(sum);
            *p = if is_usable { *p * whole } else { unknown };
        }
    }
}

/// What is the same for all surfaces of a cell while a look is taken in.
struct Terms {
    weight: Lanes,
    blind: Lanes,
    spread: Lanes,
}

impl Terms {
    const fn new() -> Self {
        Self {
            weight: [0.0; LANES],
            blind: [0.0; LANES],
            spread: [0.0; LANES],
        }
    }

    /// Takes the fresh part of the unknown share out of the prior, to be spread.
    fn fill(&mut self, beliefs: &mut Beliefs, weights: &Lanes, fresh: &Lanes) {
        let even = 1.0 / Surface::COUNT as f32;
        let [.., unknown] = beliefs;
        let own = self
            .weight
            .iter_mut()
            .zip(&mut self.blind)
            .zip(&mut self.spread);
        let given = unknown.iter_mut().zip(weights).zip(fresh);
        for (((weight, blind), spread), ((unknown, given), fresh)) in own.zip(given) {
            *spread = *unknown * even * fresh;
            *weight = (given * fresh).clamp(0.0, 1.0);
            *blind = (1.0 - *weight) * even;
            *unknown *= 1.0 - fresh;
        }
    }
}
