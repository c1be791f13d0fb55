//! What the threads count: single numbers without a lock, read by whoever reports.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::alloc::allocations;

/// Width of a bin of latency, and how many there are: 2 s in all.
const BIN: Duration = Duration::from_millis(5);
const BINS: usize = 400;
/// Turns of a thread in which its memory may still grow.
const WARM_UP: u64 = 40;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, in bins.
#[derive(Debug)]
pub(super) struct Latency {
    bins: [Count; BINS],
    worst_us: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            bins: [const { Count(AtomicU64::new(0)) }; BINS],
            worst_us: AtomicU64::new(0),
        }
    }
}

impl Latency {
    pub(super) fn add(&self, took: Duration) {
        let bin = ((took.as_micros() / BIN.as_micros()) as usize).min(BINS - 1);
        if let Some(bin) = self.bins.get(bin) {
            bin.add(1);
        }
        self.worst_us
            .fetch_max(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// Upper edge of the bin below which this share lies; the worst for what is beyond all bins.
    fn share_ms(&self, share: f64) -> f64 {
        let all: u64 = self.bins.iter().map(Count::get).sum();
        let wanted = (share * all as f64).ceil() as u64;
        let mut seen = 0;
        let bin = self.bins.iter().position(|b| {
            seen += b.get();
            seen >= wanted
        });
        let worst_ms = self.worst_us.load(Ordering::Relaxed) as f64 / 1e3;
        match bin {
            Some(bin) if bin + 1 < BINS => {
                (BIN.as_secs_f64() * 1e3 * (bin + 1) as f64).min(worst_ms)
            }
            _ => worst_ms,
        }
    }

    fn read(&self) -> LatencyReport {
        LatencyReport {
            count: self.bins.iter().map(Count::get).sum(),
            p50_ms: self.share_ms(0.5),
            p95_ms: self.share_ms(0.95),
            p99_ms: self.share_ms(0.99),
            max_ms: self.worst_us.load(Ordering::Relaxed) as f64 / 1e3,
        }
    }
}

/// Allocations of one thread, turn by turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    count: u64,
    before: u64,
}

impl Turns {
    /// The next turn begins: what was allocated in the last one counts once the thread is warm.
    pub(super) fn next(&mut self, into: &Count) {
        let now = allocations();
        if self.count > WARM_UP {
            into.add(now - self.before);
        }
        self.count += 1;
        self.before = now;
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) frames: Count,
    pub(super) skipped: Count,
    pub(super) overtaken: Count,
    pub(super) failed: Count,
    pub(super) eased: Count,
    pub(super) maps_overtaken: Count,
    pub(super) unanswered: Count,
    pub(super) decisions: Count,
    pub(super) sites: Count,
    pub(super) briefs_lost: Count,
    pub(super) notes_lost: Count,
    pub(super) camera_allocations: Count,
    pub(super) landing_allocations: Count,
    pub(super) control_allocations: Count,
    pub(super) to_decision: Latency,
    pub(super) to_command: Latency,
}

/// What was counted from start to end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CountsReport {
    /// Frames that the camera brought.
    pub frames: u64,
    /// Frames that it could not bring.
    pub frames_skipped: u64,
    /// Frames dropped because a newer one came before the network was free.
    pub frames_dropped: u64,
    /// Frames passed over because the board is too hot or too busy.
    pub frames_eased: u64,
    /// Frames on which the network failed.
    pub frames_failed: u64,
    /// Segmented frames dropped because a newer one came before the landing stage was free.
    pub maps_dropped: u64,
    /// Segmented frames for which the control thread gave no pose in time.
    pub frames_unanswered: u64,
    /// Decisions.
    pub decisions: u64,
    /// Decisions with a site.
    pub site_decisions: u64,
    /// Decisions that did not reach the control thread in time.
    pub decisions_lost: u64,
    /// Notes that the record had no room for.
    pub notes_lost: u64,
    /// Allocations of the camera thread after its first turns; 0 unless they are counted in this process.
    pub camera_allocations: u64,
    /// The same of the landing thread.
    pub landing_allocations: u64,
    /// The same of the control thread.
    pub control_allocations: u64,
    /// From capture to decision.
    pub capture_to_decision: LatencyReport,
    /// From capture to the first step of the supervisor that knew of the decision, its commands included.
    pub capture_to_command: LatencyReport,
}

/// How long something took; the shares are good to 5 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LatencyReport {
    /// How often.
    pub count: u64,
    /// Half of them took no longer, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 took no longer, milliseconds.
    pub p95_ms: f64,
    /// 99 of 100 took no longer, milliseconds.
    pub p99_ms: f64,
    /// The longest, milliseconds.
    pub max_ms: f64,
}

impl Counts {
    pub(super) fn report(&self) -> CountsReport {
        CountsReport {
            frames: self.frames.get(),
            frames_skipped: self.skipped.get(),
            frames_dropped: self.overtaken.get(),
            frames_eased: self.eased.get(),
            frames_failed: self.failed.get(),
            maps_dropped: self.maps_overtaken.get(),
            frames_unanswered: self.unanswered.get(),
            decisions: self.decisions.get(),
            site_decisions: self.sites.get(),
            decisions_lost: self.briefs_lost.get(),
            notes_lost: self.notes_lost.get(),
            camera_allocations: self.camera_allocations.get(),
            landing_allocations: self.landing_allocations.get(),
            control_allocations: self.control_allocations.get(),
            capture_to_decision: self.to_decision.read(),
            capture_to_command: self.to_command.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_from_the_bins_and_the_worst_is_exact() {
        let latency = Latency::default();
        assert_eq!(latency.read().count, 0);
        for ms in 1..=100 {
            latency.add(Duration::from_millis(ms));
        }
        let read = latency.read();
        assert_eq!(read.count, 100);
        assert!((read.p50_ms - 55.0).abs() < 5.1, "{read:?}");
        assert!((read.p95_ms - 95.0).abs() < 5.1, "{read:?}");
        assert!((read.max_ms - 100.0).abs() < 1e-9);
        latency.add(Duration::from_secs(9));
        assert!((latency.read().max_ms - 9000.0).abs() < 1e-9);
    }
}
