//! Keeps the ground's screen readable: a text is not repeated within seconds, and no more than a few come at a time.

use crate::autopilot::commands::{Notice, Severity};
use crate::time::MonoTime;

/// The same text is not said again before this, seconds.
const REPEAT_S: f64 = 5.0;
/// Texts that are remembered.
const REMEMBERED: usize = 8;
/// So many may be said at once, and then so many a second.
const BURST: f64 = 6.0;
const A_SECOND: f64 = 1.0;

/// Remembers what was said.
#[derive(Debug)]
pub(super) struct Speech {
    recent: [Option<(Notice, MonoTime)>; REMEMBERED],
    next: usize,
    allowance: f64,
    at: Option<MonoTime>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            recent: [None; REMEMBERED],
            next: 0,
            allowance: BURST,
            at: None,
        }
    }
}

impl Speech {
    /// Whether this may be said now; warnings and worse are only kept from being repeated.
    pub(super) fn may_say(&mut self, severity: Severity, notice: &Notice, now: MonoTime) -> bool {
        let passed = self.at.map_or(0.0, |at| now.secs_since(at).max(0.0));
        self.at = Some(now);
        self.allowance = (self.allowance + passed * A_SECOND).min(BURST);
        let is_repeated = self
            .recent
            .iter()
            .flatten()
            .any(|(said, at)| said == notice && now.secs_since(*at).abs() < REPEAT_S);
        let is_allowed = severity <= Severity::Warning || self.allowance >= 1.0;
        if is_repeated || !is_allowed {
            return false;
        }
        self.allowance = (self.allowance - 1.0).max(0.0);
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = Some((*notice, now));
        }
        self.next = (self.next + 1) % REMEMBERED;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    #[test]
    fn a_text_is_said_again_only_after_seconds() {
        let mut speech = Speech::default();
        let text = Notice::new(format_args!("no site"));
        let said: Vec<f64> = (0..240)
            .map(|i| f64::from(i) * 0.05)
            .filter(|s| speech.may_say(Severity::Info, &text, at(*s)))
            .collect();
        assert_eq!(said, [0.0, 5.0, 10.0]);
    }

    #[test]
    fn texts_that_always_differ_do_not_flood() {
        let mut speech = Speech::default();
        let said = (0..1200)
            .filter(|i| {
                let text = Notice::new(format_args!("site {i}"));
                speech.may_say(Severity::Info, &text, at(f64::from(*i) * 0.05))
            })
            .count();
        assert!((60..=67).contains(&said), "{said} in a minute");
        let warning = Notice::new(format_args!("handed back"));
        assert!(speech.may_say(Severity::Warning, &warning, at(60.0)));
        assert!(!speech.may_say(Severity::Warning, &warning, at(60.1)));
    }

    #[test]
    fn time_that_goes_back_gives_no_allowance() {
        let mut speech = Speech::default();
        let said = (0..200)
            .filter(|i| {
                let text = Notice::new(format_args!("site {i}"));
                speech.may_say(Severity::Info, &text, at(100.0 - f64::from(*i)))
            })
            .count();
        assert_eq!(said, 6);
    }
}
