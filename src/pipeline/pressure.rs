//! A board that is too hot or too busy is asked for less before it breaks a deadline: fewer pictures are looked at.
//!
//! Stress that lasts takes one step down, calm that lasts one step up. The lowest pace still brings a decision often enough
//! for a GO to be fresh (1 s). What the board does not tell is neither stress nor calm.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::schedule::{
    BUSY_PERCENT, CALM_PERCENT, CALM_TIME, COOL_BY_C, EASED_INTERVAL, LEAST_INTERVAL, STRESS_TIME,
};
use crate::autopilot::report::Computer;
use crate::time::MonoTime;

/// How often a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Pace {
    /// As fast as camera and network can.
    #[default]
    Full = 0,
    /// No closer together than [`EASED_INTERVAL`].
    Eased = 1,
    /// No closer together than [`LEAST_INTERVAL`].
    Least = 2,
}

impl Pace {
    /// Shortest time between two pictures that are looked at.
    #[must_use]
    pub const fn interval(self) -> Duration {
        match self {
            Self::Full => Duration::ZERO,
            Self::Eased => EASED_INTERVAL,
            Self::Least => LEAST_INTERVAL,
        }
    }

    const fn down(self) -> Self {
        match self {
            Self::Full => Self::Eased,
            Self::Eased | Self::Least => Self::Least,
        }
    }

    const fn up(self) -> Self {
        match self {
            Self::Least => Self::Eased,
            Self::Eased | Self::Full => Self::Full,
        }
    }
}

/// The present pace, for the thread that looks at pictures.
#[derive(Debug, Default)]
pub struct PaceMark(AtomicU8);

impl PaceMark {
    /// Sets it.
    pub fn set(&self, pace: Pace) {
        self.0.store(pace as u8, Ordering::Relaxed);
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> Pace {
        match self.0.load(Ordering::Relaxed) {
            0 => Pace::Full,
            1 => Pace::Eased,
            _ => Pace::Least,
        }
    }
}

/// What is too much for the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stress {
    /// It is as hot as configured, or hotter, degrees Celsius.
    Hot(i8),
    /// Its own firmware slows it down.
    Throttled,
    /// Its cores are busy, percent.
    Busy(u8),
}

impl fmt::Display for Stress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hot(c) => write!(f, "board at {c} C"),
            Self::Throttled => f.write_str("board slows itself down"),
            Self::Busy(percent) => write!(f, "board {percent} % busy"),
        }
    }
}

/// A change of pace, to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The new pace.
    pub pace: Pace,
    /// Why it was lowered; `None`: the board is at ease again.
    pub why: Option<Stress>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hz = |d: Duration| 1.0 / d.as_secs_f64();
        match (self.pace, self.why) {
            (Pace::Full, _) => f.write_str("all pictures again"),
            (pace, Some(why)) => {
                write!(f, "{:.0} pictures/s only: {why}", hz(pace.interval()))
            }
            (pace, None) => write!(f, "{:.0} pictures/s again", hz(pace.interval())),
        }
    }
}

/// Judges the board, look by look.
#[derive(Debug)]
pub struct Pressure {
    hot_c: f64,
    pace: Pace,
    stressed_since: Option<MonoTime>,
    calm_since: Option<MonoTime>,
}

impl Pressure {
    /// Too hot from so many degrees Celsius on.
    #[must_use]
    pub const fn new(hot_c: f64) -> Self {
        Self {
            hot_c,
            pace: Pace::Full,
            stressed_since: None,
            calm_since: None,
        }
    }

    /// The present pace.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Takes a look at the board; a change of pace is to be told.
    pub fn look(&mut self, board: &Computer, is_throttled: bool, now: MonoTime) -> Option<Change> {
        let stress = self.stress(board, is_throttled);
        let (before, after) = (self.pace, self.pace.down());
        if stress.is_some() {
            self.calm_since = None;
            let since = *self.stressed_since.get_or_insert(now);
            if now.since(since) >= STRESS_TIME && after != before {
                // The next step needs as long again: heat is slow.
                self.stressed_since = Some(now);
                self.pace = after;
                return Some(Change {
                    pace: after,
                    why: stress,
                });
            }
            return None;
        }
        self.stressed_since = None;
        if !self.is_calm(board) {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        let after = self.pace.up();
        if now.since(since) < CALM_TIME || after == before {
            return None;
        }
        self.calm_since = Some(now);
        self.pace = after;
        Some(Change {
            pace: after,
            why: None,
        })
    }

    fn stress(&self, board: &Computer, is_throttled: bool) -> Option<Stress> {
        let hot = board
            .temperature_c
            .filter(|c| f64::from(*c) >= self.hot_c)
            .map(Stress::Hot);
        let busy = board
            .cpu_percent
            .filter(|p| *p >= BUSY_PERCENT)
            .map(Stress::Busy);
        hot.or(is_throttled.then_some(Stress::Throttled)).or(busy)
    }

    /// Well away from every limit. A board without a thermometer is calm when it is not busy.
    fn is_calm(&self, board: &Computer) -> bool {
        let is_cool = board
            .temperature_c
            .is_none_or(|c| f64::from(c) <= self.hot_c - COOL_BY_C);
        is_cool && board.cpu_percent.is_some_and(|p| p <= CALM_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(cpu_percent: u8, temperature_c: i8) -> Computer {
        Computer {
            cpu_percent: Some(cpu_percent),
            temperature_c: Some(temperature_c),
            ..Computer::default()
        }
    }

    /// A look a second; the changes with their times.
    fn looks(
        pressure: &mut Pressure,
        (from_s, to_s): (u32, u32),
        (board, is_throttled): (&Computer, bool),
    ) -> Vec<(u32, Change)> {
        (from_s..to_s)
            .filter_map(|s| {
                let now = MonoTime::from_secs_f64(f64::from(s));
                Some((s, pressure.look(board, is_throttled, now)?))
            })
            .collect()
    }

    #[test]
    fn heat_that_lasts_lowers_the_pace_step_by_step_and_says_why() {
        let mut p = Pressure::new(78.0);
        let changes = looks(&mut p, (0, 60), (&board(30, 79), false));
        let paces: Vec<_> = changes.iter().map(|(s, c)| (*s, c.pace)).collect();
        assert_eq!(paces, [(5, Pace::Eased), (10, Pace::Least)]);
        assert_eq!(changes[0].1.to_string(), "3 pictures/s only: board at 79 C");
        // Nearly cool is no calm.
        assert!(looks(&mut p, (60, 200), (&board(30, 75), false)).is_empty());
        let changes = looks(&mut p, (200, 260), (&board(30, 70), false));
        let paces: Vec<_> = changes.iter().map(|(s, c)| (*s, c.pace)).collect();
        assert_eq!(paces, [(215, Pace::Eased), (230, Pace::Full)]);
        assert_eq!(changes[1].1.to_string(), "all pictures again");
    }

    #[test]
    fn each_kind_of_stress_counts_and_a_short_one_does_not() {
        for (cpu, temperature, is_throttled, says) in [
            (99, 40, false, "board 99 % busy"),
            (10, 40, true, "board slows itself down"),
            (10, 90, false, "board at 90 C"),
        ] {
            let mut p = Pressure::new(78.0);
            let seen = board(cpu, temperature);
            assert!(looks(&mut p, (0, 4), (&seen, is_throttled)).is_empty());
            // A moment of calm, and the time begins anew.
            assert!(looks(&mut p, (4, 5), (&board(10, 40), false)).is_empty());
            assert!(looks(&mut p, (5, 9), (&seen, is_throttled)).is_empty());
            let changes = looks(&mut p, (9, 12), (&seen, is_throttled));
            assert!(changes[0].1.to_string().ends_with(says), "{changes:?}");
        }
    }

    #[test]
    fn what_the_board_does_not_tell_changes_nothing() {
        let mut p = Pressure::new(78.0);
        let nothing = Computer::default();
        assert!(looks(&mut p, (0, 100), (&nothing, false)).is_empty());
        looks(&mut p, (100, 106), (&board(99, 40), false));
        assert_eq!(p.pace(), Pace::Eased);
        assert!(looks(&mut p, (106, 300), (&nothing, false)).is_empty());
        assert_eq!(p.pace(), Pace::Eased);
    }

    #[test]
    fn the_lowest_pace_keeps_a_go_fresh() {
        use crate::autopilot::supervisor::SupervisorConfig;
        let limit_s = SupervisorConfig::default().freshness.go_max_age_s;
        assert!(Pace::Least.interval().as_secs_f64() <= limit_s / 2.0);
        let mark = PaceMark::default();
        for pace in [Pace::Least, Pace::Eased, Pace::Full] {
            mark.set(pace);
            assert_eq!(mark.get(), pace);
        }
    }
}
