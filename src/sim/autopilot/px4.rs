//! PX4's own: AUTO.PRECLAND, and the stream that OFFBOARD lives on.

use std::time::Duration;

use nalgebra::{Vector2, Vector3};

use super::sensors::Estimate;
use crate::sim::quad::{Horizontal, Vertical};
use crate::time::MonoTime;

/// `PLD_BTOUT`: how old a target may be.
const TARGET_TIMEOUT: Duration = Duration::from_secs(5);
/// `PLD_HACC_RAD`: how near over the target the descent begins, metres.
const NEAR_M: f64 = 0.2;
/// `PLD_SRCH_ALT`: how high the search is at least, metres; and how far it climbs anyway.
const SEARCH_HEIGHT_M: f64 = 10.0;
const SEARCH_CLIMB_M: f64 = 2.0;
/// `PLD_SRCH_TOUT`, and how often it searches (`PLD_MAX_SRCH`).
const SEARCH_TIME: Duration = Duration::from_secs(10);
const SEARCHES_MAX: u8 = 3;
/// Longest gap in the stream that lets OFFBOARD in, and how long it must have run.
const STREAM_GAP: Duration = Duration::from_millis(600);
const STREAM_RUN: Duration = Duration::from_millis(450);

/// Setpoints as they come in, whatever the mode.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SetpointStream {
    since: Option<MonoTime>,
    last: MonoTime,
}

impl SetpointStream {
    pub(super) fn note(&mut self, now: MonoTime) {
        if self.since.is_none() || now.since(self.last) > STREAM_GAP {
            self.since = Some(now);
        }
        self.last = now;
    }

    /// Whether OFFBOARD may be entered.
    pub(super) fn is_running(&self, now: MonoTime) -> bool {
        self.since.is_some_and(|since| {
            now.since(self.last) <= STREAM_GAP && self.last.since(since) >= STREAM_RUN
        })
    }

    /// How long nothing came.
    pub(super) fn silence(&self, now: MonoTime) -> Duration {
        now.since(self.last)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Start,
    /// Flies over the target at its height; near it since then.
    Over {
        down: f64,
        near_since: Option<MonoTime>,
    },
    Descend,
    Search {
        place: Vector2<f64>,
        down: f64,
        since: MonoTime,
    },
    /// An ordinary landing.
    Fallback {
        place: Vector2<f64>,
    },
}

/// The landing on a target.
#[derive(Debug, Clone)]
pub(super) struct PrecisionLanding {
    target: Option<(Vector3<f64>, MonoTime)>,
    stage: Stage,
    searches: u8,
}

impl PrecisionLanding {
    pub(super) fn new() -> Self {
        Self {
            target: None,
            stage: Stage::Start,
            searches: 0,
        }
    }

    /// A target in the estimator's frame, true at `at`.
    pub(super) fn see(&mut self, target: Vector3<f64>, at: MonoTime) {
        self.target = Some((target, at));
    }

    pub(super) fn begin(&mut self) {
        self.stage = Stage::Start;
        self.searches = 0;
    }

    /// Where to be and how to sink, when an ordinary landing would sink at `rate`.
    pub(super) fn step(
        &mut self,
        estimate: &Estimate,
        rate: f64,
        now: MonoTime,
    ) -> (Horizontal, Vertical) {
        let target = self
            .target
            .filter(|(_, at)| now.since(*at) <= TARGET_TIMEOUT)
            .map(|(target, _)| target.xy());
        self.stage = self.next(target, estimate, now);
        match (self.stage, target) {
            (Stage::Over { down, .. }, Some(target)) => {
                (Horizontal::Place(target), Vertical::Down(down))
            }
            (Stage::Descend, Some(target)) => (Horizontal::Place(target), Vertical::Rate(rate)),
            (Stage::Search { place, down, .. }, _) => {
                (Horizontal::Place(place), Vertical::Down(down))
            }
            (Stage::Fallback { place }, _) => (Horizontal::Place(place), Vertical::Rate(rate)),
            _ => (Horizontal::Velocity(Vector2::zeros()), Vertical::Rate(0.0)),
        }
    }

    fn next(&mut self, target: Option<Vector2<f64>>, estimate: &Estimate, now: MonoTime) -> Stage {
        let here = estimate.place();
        let down = estimate.belief.position.z;
        match (self.stage, target) {
            (Stage::Start, Some(_)) => Stage::Over {
                down,
                near_since: None,
            },
            (Stage::Start | Stage::Over { .. } | Stage::Descend, None) => {
                self.lost(here, down, now)
            }
            (Stage::Over { down, near_since }, Some(target)) => {
                let is_near = (target - here).norm() < NEAR_M;
                match near_since {
                    Some(since) if is_near && now.since(since) >= Duration::from_millis(500) => {
                        Stage::Descend
                    }
                    _ => Stage::Over {
                        down,
                        near_since: is_near.then(|| near_since.unwrap_or(now)),
                    },
                }
            }
            (Stage::Search { .. }, Some(_)) => Stage::Start,
            (Stage::Search { place, down, since }, None) => {
                // The clock runs from the top of the climb.
                let is_climbing = estimate.belief.position.z - down > 0.5;
                let since = if is_climbing { now } else { since };
                if now.since(since) >= SEARCH_TIME {
                    Stage::Fallback { place }
                } else {
                    Stage::Search { place, down, since }
                }
            }
            (as_before, _) => as_before,
        }
    }

    fn lost(&mut self, place: Vector2<f64>, down: f64, now: MonoTime) -> Stage {
        self.searches = self.searches.saturating_add(1);
        if self.searches > SEARCHES_MAX {
            return Stage::Fallback { place };
        }
        Stage::Search {
            place,
            down: (down - SEARCH_CLIMB_M).min(-SEARCH_HEIGHT_M),
            since: now,
        }
    }
}

/// The companion's clock against the autopilot's, from the answers to the autopilot's TIMESYNC.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClockSync {
    exchanges: u32,
    /// Companion minus autopilot, nanoseconds.
    offset_ns: i64,
}

impl ClockSync {
    /// Exchanges until the offset is believed, and the longest round trip that counts.
    const CONVERGED: u32 = 500;
    const ROUND_TRIP_NS: i64 = 10_000_000;
    /// How far a target's stamp may lie from now before the target counts as stale.
    const STALE_NS: i64 = 5_000_000_000;

    /// An answer: our question left at `asked_ns`, theirs says `their_ns`, now it is `now_ns`.
    pub(super) fn answer(&mut self, asked_ns: i64, their_ns: i64, now_ns: i64) {
        let round_trip = now_ns.saturating_sub(asked_ns);
        if (0..Self::ROUND_TRIP_NS).contains(&round_trip) {
            self.exchanges = self.exchanges.saturating_add(1);
            self.offset_ns = their_ns.saturating_sub(asked_ns.saturating_add(round_trip / 2));
        }
    }

    /// How long ago a stamp of the companion was; `None` when it is stale. Before the clocks are known, it is now.
    pub(super) fn age_ns(&self, stamp_usec: u64, now_ns: i64) -> Option<i64> {
        if self.exchanges < Self::CONVERGED {
            return Some(0);
        }
        let stamp_ns = i64::try_from(stamp_usec).ok()?.checked_mul(1000)?;
        let age = now_ns
            .saturating_add(self.offset_ns)
            .saturating_sub(stamp_ns);
        (-Self::STALE_NS..=Self::STALE_NS)
            .contains(&age)
            .then_some(age.max(0))
    }
}
