//! A fixed number of samples of one stream, in the order of their moments.

use std::collections::VecDeque;
use std::time::Duration;

use super::samples::Sample;
use crate::time::MonoTime;

/// How far a stamp may lie after the present before it is refused: clocks that were matched over a serial link differ by
/// a few milliseconds. One wild stamp let through would make every later sample look out of order.
const FUTURE_TOLERANCE: Duration = Duration::from_millis(100);

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Intake {
    /// It is in the history.
    Accepted,
    /// It was dropped and counted.
    Refused(Refusal),
    /// It is in the history, and all positions before it were forgotten: the vehicle cannot have moved there. Maps and
    /// sites in the old coordinates must be dropped.
    Jump(Jump),
}

/// Why a sample was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A number is not finite, or a standard deviation is negative.
    NotUsable,
    /// The newest sample has the same stamp.
    Duplicate,
    /// The newest sample is newer.
    OutOfOrder,
    /// Its stamp lies in the future.
    InFuture,
}

/// A change of position that no movement explains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// Horizontal and vertical distance from the last position, metres.
    pub distance_m: f64,
    /// What 3 standard deviations and the speed would have allowed, metres.
    pub allowed_m: f64,
}

/// How many samples of one stream came, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamCounts {
    /// Taken into the history.
    pub accepted: u64,
    /// Dropped: not finite, or a negative standard deviation.
    pub not_usable: u64,
    /// Dropped: the same stamp as the newest.
    pub duplicate: u64,
    /// Dropped: older than the newest.
    pub out_of_order: u64,
    /// Dropped: stamped in the future.
    pub in_future: u64,
}

/// The samples around a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Around<S> {
    /// Before the oldest, after the newest, or exactly on one.
    Nearest(S),
    /// Between two.
    Between(S, S),
}

#[derive(Debug)]
pub(super) struct Timeline<S> {
    samples: VecDeque<S>,
    capacity: usize,
    counts: StreamCounts,
}

impl<S: Sample> Timeline<S> {
    /// All memory is taken here; at least two samples are kept, so that there is something to interpolate between.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(2);
        Self {
            samples: VecDeque::with_capacity(capacity),
            capacity,
            counts: StreamCounts::default(),
        }
    }

    /// Whether `sample` may enter; counts it either way.
    pub(super) fn admit(&mut self, sample: &S, now: MonoTime) -> Result<(), Refusal> {
        let newest = self.newest().map(Sample::at);
        let refusal = if !sample.is_usable() {
            Some((Refusal::NotUsable, &mut self.counts.not_usable))
        } else if sample.at().since(now) > FUTURE_TOLERANCE {
            Some((Refusal::InFuture, &mut self.counts.in_future))
        } else if newest == Some(sample.at()) {
            Some((Refusal::Duplicate, &mut self.counts.duplicate))
        } else if newest > Some(sample.at()) {
            Some((Refusal::OutOfOrder, &mut self.counts.out_of_order))
        } else {
            None
        };
        if let Some((refusal, count)) = refusal {
            *count += 1;
            return Err(refusal);
        }
        self.counts.accepted += 1;
        Ok(())
    }

    /// Adds a sample if it may enter.
    pub(super) fn take(&mut self, sample: S, now: MonoTime) -> Intake {
        if let Err(refusal) = self.admit(&sample, now) {
            return Intake::Refused(refusal);
        }
        self.push(sample);
        Intake::Accepted
    }

    /// Adds an admitted sample; the oldest leaves when it is full.
    pub(super) fn push(&mut self, sample: S) {
        if self.samples.len() == self.capacity {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Forgets the samples, not the counts.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
    }

    pub(super) fn newest(&self) -> Option<&S> {
        self.samples.back()
    }

    pub(super) fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// `None` when there are no samples.
    pub(super) fn around(&self, t: MonoTime) -> Option<Around<S>> {
        let after = self.samples.partition_point(|s| s.at() < t);
        let before = after.checked_sub(1).and_then(|i| self.samples.get(i));
        match (before, self.samples.get(after)) {
            (Some(a), Some(b)) if b.at() != t => Some(Around::Between(*a, *b)),
            (_, Some(b)) => Some(Around::Nearest(*b)),
            (Some(a), None) => Some(Around::Nearest(*a)),
            (None, None) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.samples.capacity()
    }
}
