//! Scores over a whole set of pictures: one confusion matrix, and how well landable ground is told from the rest.

use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use serde::{Deserialize, Serialize};

/// Pixel counts by truth and prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No pixel yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts one pixel; truths beyond the classes (ignored ones) count for nothing.
    pub fn add(&mut self, truth: u8, predicted: u8) {
        let (t, p) = (usize::from(truth), usize::from(predicted));
        if t < self.classes
            && p < self.classes
            && let Some(c) = self.counts.get_mut(t * self.classes + p)
        {
            *c += 1;
        }
    }

    /// Counts another matrix's pixels too.
    pub fn join(&mut self, other: &Self) {
        for (c, o) in self.counts.iter_mut().zip(&other.counts) {
            *c += o;
        }
    }

    /// The counts, a row for each truth.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u64>> {
        let rows = self.counts.chunks(self.classes.max(1));
        rows.map(<[u64]>::to_vec).collect()
    }

    /// Pixels of class `truth` that were called `predicted`.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts
            .get(truth * self.classes + predicted)
            .copied()
            .unwrap_or(0)
    }

    fn truths(&self, class: usize) -> u64 {
        (0..self.classes).map(|p| self.count(class, p)).sum()
    }

    fn predictions(&self, class: usize) -> u64 {
        (0..self.classes).map(|t| self.count(t, class)).sum()
    }

    /// Share of all counted pixels whose truth is this class.
    #[must_use]
    pub fn share(&self, class: usize) -> f64 {
        self.truths(class) as f64 / self.counts.iter().sum::<u64>().max(1) as f64
    }

    /// Share of pixels called right, among those whose truth is not in `skipped`.
    #[must_use]
    pub fn pixel_accuracy(&self, skipped: &[usize]) -> f64 {
        let counted: Vec<usize> = (0..self.classes).filter(|c| !skipped.contains(c)).collect();
        let right: u64 = counted.iter().map(|&c| self.count(c, c)).sum();
        let all: u64 = counted.iter().map(|&c| self.truths(c)).sum();
        right as f64 / all.max(1) as f64
    }

    /// Intersection over union of a class; `None` where the truth never shows it.
    #[must_use]
    pub fn iou(&self, class: usize) -> Option<f64> {
        let truths = self.truths(class);
        let union = truths + self.predictions(class) - self.count(class, class);
        (truths > 0).then(|| self.count(class, class) as f64 / union as f64)
    }

    /// Mean of the intersections over unions of the classes that the truth shows.
    #[must_use]
    pub fn mean_iou(&self) -> f64 {
        let present: Vec<f64> = (0..self.classes).filter_map(|c| self.iou(c)).collect();
        present.iter().sum::<f64>() / present.len().max(1) as f64
    }

    /// Share of the pixels of class `truth` that were called one of `predicted`.
    #[must_use]
    pub fn called(&self, truth: usize, predicted: &[usize]) -> f64 {
        let called: u64 = predicted.iter().map(|&p| self.count(truth, p)).sum();
        called as f64 / self.truths(truth).max(1) as f64
    }
}

/// The classes on which one may land.
#[must_use]
pub fn landable_classes() -> Vec<usize> {
    let all = SEMANTIC_DRONE.iter().enumerate();
    all.filter(|(_, (_, _, s))| s.is_landable())
        .map(|(i, _)| i)
        .collect()
}

/// The class of people.
pub const PERSON: u8 = 15;
/// Steps of the probability of landable ground that are told apart.
const BINS: usize = 1000;

/// Histograms of P(landable) by truth, from which any threshold can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandableScores {
    landable: Vec<u64>,
    danger: Vec<u64>,
    person: Vec<u64>,
}

/// What a threshold on P(landable) brings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// A pixel counts as landable from this probability on.
    pub threshold: f64,
    /// Share of landable pixels found.
    pub recall: f64,
    /// Share of other pixels (unlabeled and conflicting ones included) called landable.
    pub false_positive_rate: f64,
    /// Share of person pixels called landable.
    pub person_called_landable: f64,
}

impl Default for LandableScores {
    fn default() -> Self {
        Self {
            landable: vec![0; BINS + 1],
            danger: vec![0; BINS + 1],
            person: vec![0; BINS + 1],
        }
    }
}

impl LandableScores {
    /// Counts a pixel of class `truth` whose probability of being landable is `p`.
    pub fn add(&mut self, truth: u8, p: f32) {
        let bin = (p.clamp(0.0, 1.0) * BINS as f32) as usize;
        let Some((_, _, surface)) = SEMANTIC_DRONE.get(usize::from(truth)) else {
            return;
        };
        let histogram = if surface.is_landable() {
            &mut self.landable
        } else {
            &mut self.danger
        };
        if let Some(c) = histogram.get_mut(bin) {
            *c += 1;
        }
        if truth == PERSON
            && *surface == Surface::Person
            && let Some(c) = self.person.get_mut(bin)
        {
            *c += 1;
        }
    }

    /// Expected calibration error: the mean distance, weighted by pixels, between the probability and the share that is
    /// landable in truth, in twenty equal steps (Naeini et al., AAAI 2015).
    #[must_use]
    pub fn calibration_error(&self) -> f64 {
        const STEPS: usize = 20;
        let mut steps = [(0.0, 0.0, 0.0); STEPS];
        for (bin, (on, off)) in self.landable.iter().zip(&self.danger).enumerate() {
            let step = (bin * STEPS / BINS).min(STEPS - 1);
            if let Some((pixels, believed, landable)) = steps.get_mut(step) {
                let n = (on + off) as f64;
                *pixels += n;
                *believed += n * (bin as f64 + 0.5).min(BINS as f64) / BINS as f64;
                *landable += *on as f64;
            }
        }
        let all: f64 = steps.iter().map(|(pixels, ..)| pixels).sum();
        let off: f64 = steps
            .iter()
            .map(|(_, believed, landable)| (believed - landable).abs())
            .sum();
        // To what it means: a millionth.
        (1e6 * off / all.max(1.0)).round() / 1e6
    }

    /// The rates at a threshold (rounded down to a whole step).
    #[must_use]
    pub fn at(&self, threshold: f64) -> OperatingPoint {
        let first = (threshold * BINS as f64 + 1e-6) as usize;
        let share = |h: &[u64]| {
            let above: u64 = h.iter().skip(first).sum();
            above as f64 / h.iter().sum::<u64>().max(1) as f64
        };
        OperatingPoint {
            threshold: first as f64 / BINS as f64,
            recall: share(&self.landable),
            false_positive_rate: share(&self.danger),
            person_called_landable: share(&self.person),
        }
    }

    /// The highest threshold that still finds this share of the landable pixels.
    #[must_use]
    pub fn at_recall(&self, recall: f64) -> OperatingPoint {
        (0..=BINS)
            .rev()
            .map(|bin| self.at(bin as f64 / BINS as f64))
            .find(|p| p.recall >= recall)
            .unwrap_or_else(|| self.at(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_and_iou_of_a_small_case() {
        let mut c = Confusion::new(3);
        for (t, p, n) in [(0, 0, 6), (0, 1, 2), (1, 1, 3), (1, 0, 1), (255, 0, 50)] {
            for _ in 0..n {
                c.add(t, p);
            }
        }
        assert!((c.pixel_accuracy(&[]) - 9.0 / 12.0).abs() < 1e-12);
        assert!((c.pixel_accuracy(&[0]) - 3.0 / 4.0).abs() < 1e-12);
        assert!((c.iou(0).unwrap() - 6.0 / 9.0).abs() < 1e-12);
        assert_eq!(c.iou(2), None, "never there");
        assert!((c.mean_iou() - f64::midpoint(6.0 / 9.0, 3.0 / 6.0)).abs() < 1e-12);
        assert!((c.called(0, &[1, 2]) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn thresholds_trade_recall_for_false_positives() {
        let mut s = LandableScores::default();
        for i in 0..100 {
            s.add(3, 0.5 + 0.005 * i as f32);
            s.add(9, 0.006 * i as f32);
            s.add(PERSON, 0.003 * i as f32);
        }
        let p = s.at_recall(0.8);
        assert!(
            p.recall >= 0.8 && p.recall < 0.83 && p.threshold > 0.55,
            "{p:?}"
        );
        assert!(
            p.false_positive_rate < 0.05 && p.person_called_landable == 0.0,
            "{p:?}"
        );
        let all = s.at(0.0);
        assert_eq!((all.recall, all.false_positive_rate), (1.0, 1.0));
        assert!(s.at(0.2).person_called_landable > 0.3);
    }

    #[test]
    fn what_is_believed_at_seventy_percent_and_true_at_forty_is_off_by_thirty() {
        let mut s = LandableScores::default();
        for i in 0..10 {
            s.add(if i < 4 { 3 } else { 9 }, 0.7);
        }
        assert!((s.calibration_error() - 0.3).abs() < 0.01);
        let mut right = LandableScores::default();
        for i in 0..10 {
            right.add(if i < 7 { 3 } else { 9 }, 0.7);
        }
        assert!(right.calibration_error() < 0.01);
    }

    #[test]
    fn the_landable_classes_are_those_of_the_issue() {
        assert_eq!(landable_classes(), [1, 2, 3, 4, 21]);
    }
}
