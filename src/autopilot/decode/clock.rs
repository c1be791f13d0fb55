//! From the autopilot's time since boot to our clock.
//!
//! A message cannot arrive before it was sent, so the smallest of all (arrival - boot time) is the best guess of the
//! offset, late by the fastest journey of a message. It may creep up by the drift of two quartzes and no faster: a link
//! that falls behind makes samples old, as they are, and not the clock late. An answered `TIMESYNC` halves the journey and
//! is used instead, as long as it does not contradict the arrivals.
//!
//! Boot times that jump back (a reboot), or ahead of the present, are not believed once, but when
//! [`RESTART_AFTER`] in a row agree with each other the autopilot has another clock than before: it started again.

use crate::time::MonoTime;

/// Drift of two quartz clocks against each other, at most.
const DRIFT: f64 = 200e-6;
/// Boot times may be this much older than the newest one (messages overtake each other), nanoseconds.
const DISORDER_NS: i64 = 1_000_000_000;
/// A message may arrive this much faster than all before it, nanoseconds.
const HASTE_NS: i64 = 1_000_000_000;
/// Odd boot times in a row which agree, before they are believed.
const RESTART_AFTER: u8 = 3;
/// Answers to `TIMESYNC` that took longer say too little, nanoseconds.
const MAX_ROUND_TRIP_NS: i64 = 50_000_000;
/// Answers before the offset of `TIMESYNC` is used.
const CONVERGED_AFTER: u32 = 5;
/// How fast the best round trip is forgotten, so that drift is followed: share of the time passed.
const FORGET_ROUND_TRIP: f64 = 1e-4;

/// What a boot time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// This moment of our clock, never after `now`.
    At(MonoTime),
    /// Nothing, yet: it contradicts the ones before.
    Odd,
    /// The autopilot started again; the moment is of the new clock.
    Restarted(MonoTime),
}

/// The mapping, kept up to date with every message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BootClock {
    arrivals: Option<Arrivals>,
    odd: Option<Odd>,
    sync: Option<Sync>,
    asked_ns: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Arrivals {
    /// Our clock minus boot time.
    offset_ns: i64,
    at: MonoTime,
    newest_boot_ns: i64,
}

#[derive(Debug, Clone, Copy)]
struct Odd {
    offset_ns: i64,
    count: u8,
}

#[derive(Debug, Clone, Copy)]
struct Sync {
    offset_ns: i64,
    round_trip_ns: i64,
    at: MonoTime,
    answers: u32,
}

impl BootClock {
    /// The moment of a message that carries this time since boot and arrived `now`.
    pub(super) fn place(&mut self, boot_ns: i64, now: MonoTime) -> Placed {
        let implied = now.as_nanos().saturating_sub(boot_ns);
        let Some(arrivals) = &mut self.arrivals else {
            self.start(implied, boot_ns, now);
            return Placed::At(self.moment(boot_ns, now));
        };
        let crept = crept(arrivals.offset_ns, arrivals.at, now, DRIFT);
        let is_back = boot_ns < arrivals.newest_boot_ns.saturating_sub(DISORDER_NS);
        let is_ahead = implied < crept.saturating_sub(HASTE_NS);
        if is_back || is_ahead {
            return self.place_odd(implied, boot_ns, now);
        }
        // The same boot time again means the same moment again.
        if boot_ns > arrivals.newest_boot_ns {
            arrivals.offset_ns = crept.min(implied);
            arrivals.at = now;
            arrivals.newest_boot_ns = boot_ns;
        }
        self.odd = None;
        Placed::At(self.moment(boot_ns, now))
    }

    /// A question for the other side: its time stamp, which is never zero.
    pub(super) fn ask(&mut self, now: MonoTime) -> i64 {
        let stamp = now.as_nanos().max(1);
        self.asked_ns = Some(stamp);
        stamp
    }

    /// The answer to the last question: `theirs` is the boot time when it was answered, `ours` the question's stamp.
    /// Answers to others, and late ones, say nothing.
    pub(super) fn answered(&mut self, theirs_ns: i64, ours_ns: i64, now: MonoTime) {
        let round_trip_ns = now.as_nanos().saturating_sub(ours_ns);
        if self.asked_ns != Some(ours_ns) || !(0..=MAX_ROUND_TRIP_NS).contains(&round_trip_ns) {
            return;
        }
        self.asked_ns = None;
        let offset_ns = ours_ns
            .saturating_add(round_trip_ns / 2)
            .saturating_sub(theirs_ns);
        let answers = self.sync.map_or(0, |s| s.answers).saturating_add(1);
        let is_better = self
            .sync
            .is_none_or(|s| round_trip_ns <= crept(s.round_trip_ns, s.at, now, FORGET_ROUND_TRIP));
        if let (false, Some(sync)) = (is_better, &mut self.sync) {
            sync.answers = answers;
        } else {
            self.sync = Some(Sync {
                offset_ns,
                round_trip_ns,
                at: now,
                answers,
            });
        }
    }

    fn start(&mut self, offset_ns: i64, boot_ns: i64, now: MonoTime) {
        self.arrivals = Some(Arrivals {
            offset_ns,
            at: now,
            newest_boot_ns: boot_ns,
        });
        self.odd = None;
    }

    fn place_odd(&mut self, implied: i64, boot_ns: i64, now: MonoTime) -> Placed {
        let count = match self.odd {
            Some(odd) if odd.offset_ns.abs_diff(implied) < HASTE_NS.unsigned_abs() => odd.count + 1,
            _ => 1,
        };
        self.odd = Some(Odd {
            offset_ns: implied,
            count,
        });
        if count < RESTART_AFTER {
            return Placed::Odd;
        }
        self.start(implied, boot_ns, now);
        self.sync = None;
        Placed::Restarted(self.moment(boot_ns, now))
    }

    fn moment(&self, boot_ns: i64, now: MonoTime) -> MonoTime {
        let arrivals = self.arrivals.map_or(0, |a| a.offset_ns);
        let offset_ns = self
            .sync
            .filter(|s| s.answers >= CONVERGED_AFTER)
            .map(|s| s.offset_ns)
            .filter(|s| (arrivals.saturating_sub(HASTE_NS)..=arrivals).contains(s))
            .unwrap_or(arrivals);
        MonoTime::from_nanos(boot_ns.saturating_add(offset_ns)).min(now)
    }
}

/// A value that may have grown by a share of the time passed.
fn crept(value_ns: i64, at: MonoTime, now: MonoTime, share: f64) -> i64 {
    value_ns.saturating_add((now.since(at).as_nanos() as f64 * share) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn ms(ms: i64) -> MonoTime {
        MonoTime::from_nanos(ms * MS)
    }

    fn at(placed: Placed) -> i64 {
        match placed {
            Placed::At(t) | Placed::Restarted(t) => t.as_nanos() / MS,
            Placed::Odd => panic!("odd"),
        }
    }

    #[test]
    fn the_fastest_message_sets_the_clock_and_slow_ones_are_old() {
        let mut clock = BootClock::default();
        // True offset 1000 ms; the journey takes 30, 5, then 400 ms.
        assert_eq!(at(clock.place(100 * MS, ms(1130))), 1130);
        assert_eq!(at(clock.place(200 * MS, ms(1205))), 1205);
        assert_eq!(at(clock.place(300 * MS, ms(1700))), 1305);
    }

    #[test]
    fn a_link_that_falls_behind_does_not_make_the_clock_late() {
        let mut clock = BootClock::default();
        let mut last = 0;
        for i in 0..600 {
            let delay = 5 + i * 10;
            last = at(clock.place(i * 100 * MS, ms(1000 + i * 100 + delay)));
        }
        let truth = 1000 + 599 * 100;
        assert!((truth..truth + 25).contains(&last), "{last} {truth}");
    }

    #[test]
    fn a_reboot_is_believed_at_the_third_message() {
        let mut clock = BootClock::default();
        clock.place(500_000 * MS, ms(1000));
        assert_eq!(clock.place(100 * MS, ms(2000)), Placed::Odd);
        assert_eq!(clock.place(200 * MS, ms(2100)), Placed::Odd);
        assert_eq!(clock.place(300 * MS, ms(2200)), Placed::Restarted(ms(2200)));
        assert_eq!(at(clock.place(400 * MS, ms(2300))), 2300);
    }

    #[test]
    fn single_wild_times_change_nothing() {
        let mut clock = BootClock::default();
        for i in 0..100 {
            let wild = if i % 2 == 0 { 4_000_000_000 } else { i * 7 };
            clock.place((10_000 + i * 100) * MS, ms(20_000 + i * 100));
            assert_eq!(clock.place(wild * MS, ms(20_001 + i * 100)), Placed::Odd);
        }
        assert_eq!(at(clock.place(20_000 * MS, ms(30_000))), 30_000);
    }

    #[test]
    fn timesync_takes_half_the_journey_off() {
        let mut clock = BootClock::default();
        // Offset 1000 ms, 20 ms each way.
        clock.place(1000 * MS, ms(2020));
        for i in 0..5 {
            let asked = clock.ask(ms(3000 + i * 1000));
            let theirs = (3000 + i * 1000 + 20 - 1000) * MS;
            clock.answered(theirs, asked, ms(3040 + i * 1000));
        }
        assert_eq!(at(clock.place(8000 * MS, ms(9020))), 9000);
    }

    #[test]
    fn an_answer_that_contradicts_the_arrivals_is_not_used() {
        let mut clock = BootClock::default();
        for i in 0..8 {
            let asked = clock.ask(ms(3000 + i * 1000));
            clock.answered(17 * MS, asked, ms(3040 + i * 1000));
            // Answers to somebody else's questions.
            clock.answered(99 * MS, asked - 1, ms(3041 + i * 1000));
        }
        assert_eq!(at(clock.place(8000 * MS, ms(9020))), 9020);
    }
}
