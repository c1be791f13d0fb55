//! Whose vehicle it is: the mode that we asked for against the mode that the heartbeat shows.
//!
//! We own the vehicle only while the heartbeat shows the mode that we commanded. Until it does, the modes that may still
//! show are the one before our request, and an earlier request of ours that may take effect late. Any other mode is a
//! takeover.

use crate::time::MonoTime;
use crate::vehicle::Mode;

/// What is said of a mode command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    pub(super) retry_s: f64,
    pub(super) deadline_s: f64,
}

/// Our claim on the vehicle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grip {
    commanded: Mode,
    /// What may show until `commanded` does.
    before: [Mode; 2],
    is_shown: bool,
    /// First and last sending of the request.
    sent: Option<(MonoTime, MonoTime)>,
}

impl Grip {
    /// Over a vehicle in the mode `shown`, without asking for anything yet.
    pub(super) const fn over(shown: Mode) -> Self {
        Self {
            commanded: shown,
            before: [shown; 2],
            is_shown: true,
            sent: None,
        }
    }

    /// The mode that we last asked for (or found, before that).
    pub(super) const fn commanded(&self) -> Mode {
        self.commanded
    }

    /// Whether the heartbeat has shown it since.
    pub(super) fn is_shown(&self, mode: Mode) -> bool {
        self.is_shown && self.commanded == mode
    }

    /// Whether anything was asked for at all.
    pub(super) const fn has_asked(&self) -> bool {
        self.sent.is_some()
    }

    /// Takes a heartbeat in; `Err` is a takeover.
    pub(super) fn observe(&mut self, shown: Mode, heard_at: MonoTime) -> Result<(), Mode> {
        if shown == self.commanded {
            // A heartbeat from before the request proves nothing.
            let is_proof = self.sent.is_none_or(|(first, _)| heard_at > first);
            self.is_shown |= is_proof;
            return Ok(());
        }
        if !self.is_shown && self.before.contains(&shown) {
            return Ok(());
        }
        Err(shown)
    }

    /// Wants a mode. `true` when the request is to be sent now; the caller has made sure of a fresh heartbeat.
    pub(super) fn ask(&mut self, mode: Mode, shown: Mode, times: &Times, now: MonoTime) -> bool {
        if mode != self.commanded || (self.sent.is_none() && self.is_shown) {
            *self = Self {
                commanded: mode,
                before: [shown, self.commanded],
                is_shown: false,
                sent: Some((now, now)),
            };
            return true;
        }
        if self.is_shown {
            return false;
        }
        let is_due = self
            .sent
            .is_none_or(|(_, last)| now.secs_since(last) >= times.retry_s);
        if is_due {
            let first = self.sent.map_or(now, |(first, _)| first);
            self.sent = Some((first, now));
        }
        is_due
    }

    /// Whether the request for a mode has been sent for longer than it may take.
    pub(super) fn is_overdue(&self, mode: Mode, times: &Times, now: MonoTime) -> bool {
        let is_late = |(first, _)| now.secs_since(first) > times.deadline_s;
        self.commanded == mode && !self.is_shown && self.sent.is_some_and(is_late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        retry_s: 0.5,
        deadline_s: 5.0,
    };

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    #[test]
    fn a_mode_is_asked_for_until_a_later_heartbeat_shows_it() {
        let mut grip = Grip::over(Mode::Loiter);
        assert!(grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(0.0)));
        assert!(!grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(0.1)));
        assert!(grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(0.6)));
        assert_eq!(grip.observe(Mode::Loiter, at(0.7)), Ok(()));
        assert!(!grip.is_shown(Mode::Guided));
        assert_eq!(grip.observe(Mode::Guided, at(0.8)), Ok(()));
        assert!(grip.is_shown(Mode::Guided));
        assert!(!grip.ask(Mode::Guided, Mode::Guided, &TIMES, at(2.0)));
    }

    #[test]
    fn any_other_mode_is_a_takeover_at_once() {
        let mut grip = Grip::over(Mode::Loiter);
        grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(0.0));
        assert_eq!(grip.observe(Mode::Rtl, at(0.1)), Err(Mode::Rtl));
        assert_eq!(grip.observe(Mode::Guided, at(0.2)), Ok(()));
        // Once ours has shown, the mode before it is somebody else's choice.
        assert_eq!(grip.observe(Mode::Loiter, at(0.3)), Err(Mode::Loiter));
    }

    #[test]
    fn an_earlier_request_that_takes_effect_late_is_not_a_takeover() {
        let mut grip = Grip::over(Mode::Guided);
        grip.ask(Mode::Land, Mode::Guided, &TIMES, at(0.0));
        grip.ask(Mode::Hold, Mode::Guided, &TIMES, at(0.1));
        assert_eq!(grip.observe(Mode::Land, at(0.2)), Ok(()));
        assert_eq!(grip.observe(Mode::Guided, at(0.3)), Ok(()));
        assert_eq!(grip.observe(Mode::Hold, at(0.4)), Ok(()));
        assert_eq!(grip.observe(Mode::Land, at(0.5)), Err(Mode::Land));
    }

    #[test]
    fn a_heartbeat_from_before_the_request_proves_nothing() {
        let mut grip = Grip::over(Mode::Hold);
        grip.ask(Mode::Guided, Mode::Hold, &TIMES, at(0.0));
        grip.ask(Mode::Hold, Mode::Hold, &TIMES, at(0.1));
        assert_eq!(grip.observe(Mode::Hold, at(0.05)), Ok(()));
        assert!(!grip.is_shown(Mode::Hold));
        assert_eq!(grip.observe(Mode::Hold, at(0.2)), Ok(()));
        assert!(grip.is_shown(Mode::Hold));
    }

    #[test]
    fn a_request_that_never_shows_is_overdue() {
        let mut grip = Grip::over(Mode::Loiter);
        grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(0.0));
        assert!(!grip.is_overdue(Mode::Guided, &TIMES, at(5.0)));
        grip.ask(Mode::Guided, Mode::Loiter, &TIMES, at(5.0));
        assert!(grip.is_overdue(Mode::Guided, &TIMES, at(5.1)));
    }
}
