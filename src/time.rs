//! One clock for everything: nanoseconds since an arbitrary start, never the wall clock.
//!
//! Stages receive `now: MonoTime`; only a driver owns a [`Clock`].

use std::time::{Duration, Instant};

/// A moment on the monotonic clock, in nanoseconds since the clock's start (process start, or a recording's first
/// frame). Recordings may hold moments before their start, so it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoTime(i64);

impl MonoTime {
    /// The clock's start.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds since the start.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From seconds since the start; not-a-number becomes the start, out-of-range saturates.
    #[must_use]
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1e9).round() as i64)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the start.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time passed since `earlier`; zero when `earlier` lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// Signed seconds from `earlier` to `self`.
    #[must_use]
    pub fn secs_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }

    /// The moment `d` later, saturating.
    #[must_use]
    pub fn after(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// Where a driver reads the time.
pub trait Clock {
    /// The present moment; never goes back.
    fn now(&self) -> MonoTime;
}

/// The machine's monotonic clock, counted from its creation.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock enters"
    )]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock enters"
    )]
    fn now(&self) -> MonoTime {
        let passed = Instant::now().duration_since(self.start);
        MonoTime::ZERO.after(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_never_goes_negative() {
        let a = MonoTime::from_secs_f64(1.0);
        let b = MonoTime::from_secs_f64(2.5);
        assert_eq!(b.since(a), Duration::from_millis(1500));
        assert_eq!(a.since(b), Duration::ZERO);
        assert!((a.secs_since(b) + 1.5).abs() < 1e-12);
    }

    #[test]
    fn odd_seconds_do_not_panic() {
        assert_eq!(MonoTime::from_secs_f64(f64::NAN), MonoTime::ZERO);
        assert_eq!(MonoTime::from_secs_f64(f64::INFINITY).as_nanos(), i64::MAX);
        assert_eq!(
            MonoTime::from_secs_f64(1.0).after(Duration::MAX).as_nanos(),
            i64::MAX
        );
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = SystemClock::start();
        let a = clock.now();
        assert!(clock.now() >= a);
    }
}
