//! What the pilot's hands do: sticks, the engage switch, and a receiver that falls silent.

use crate::time::MonoTime;
use crate::vehicle::{RcChannels, Stamped};

use super::config::EngageConfig;
use super::facts::is_fresh;

/// Rest of a stick that springs back, microseconds.
const CENTRE_US: f64 = 1500.0;
/// A switch above this is on, below [`SWITCH_OFF_US`] off; between, it keeps its word.
const SWITCH_ON_US: u16 = 1700;
const SWITCH_OFF_US: u16 = 1300;

/// What the hands did since the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hands {
    /// A stick is further from its rest than the deadband.
    pub(super) moved_a_stick: bool,
    /// The switch was thrown, before our eyes.
    pub(super) switched: Option<Switched>,
    /// The receiver has just been silent for long enough.
    pub(super) lost_receiver: bool,
}

/// Which way the switch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switched {
    On,
    Off,
}

/// Watches the receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pilot {
    /// The throttle does not spring back: its rest is where it was first seen, microseconds.
    throttle_rest_us: Option<f64>,
    /// The switch's last word; forgotten while the receiver is silent.
    switch: Option<bool>,
    heard_at: Option<MonoTime>,
    has_reported_loss: bool,
}

impl Pilot {
    /// The throttle stick rests where it is next seen: a landing starts.
    pub(super) fn rest_anew(&mut self) {
        self.throttle_rest_us = None;
    }

    /// Reads sticks and switch.
    pub(super) fn read(
        &mut self,
        rc: Option<&Stamped<RcChannels>>,
        c: &EngageConfig,
        max_age_s: f64,
        now: MonoTime,
    ) -> Hands {
        let Some(rc) = rc.filter(|rc| is_fresh(rc.at, now, max_age_s)) else {
            self.switch = None;
            return Hands {
                lost_receiver: self.is_newly_lost(c, now),
                ..Hands::default()
            };
        };
        self.heard_at = Some(rc.at);
        self.has_reported_loss = false;
        Hands {
            moved_a_stick: self.is_stick_moved(&rc.value, c),
            switched: self.read_switch(&rc.value, c),
            lost_receiver: false,
        }
    }

    fn is_newly_lost(&mut self, c: &EngageConfig, now: MonoTime) -> bool {
        let silence_s = self.heard_at.map(|at| now.secs_since(at));
        let is_lost = c
            .after_rc_loss_s
            .zip(silence_s)
            .is_some_and(|(limit, s)| s >= limit);
        let is_news = is_lost && !self.has_reported_loss;
        self.has_reported_loss |= is_lost;
        is_news
    }

    fn is_stick_moved(&mut self, rc: &RcChannels, c: &EngageConfig) -> bool {
        let throttle = usize::from(c.throttle_channel.saturating_sub(1));
        let mut is_moved = false;
        for (channel, us) in rc.us.iter().enumerate().take(4) {
            let Some(us) = us.map(f64::from) else {
                continue;
            };
            let rest = if channel == throttle {
                *self.throttle_rest_us.get_or_insert(us)
            } else {
                CENTRE_US
            };
            is_moved |= (us - rest).abs() > c.stick_deadband_us;
        }
        is_moved
    }

    fn read_switch(&mut self, rc: &RcChannels, c: &EngageConfig) -> Option<Switched> {
        let us = c
            .switch_channel
            .and_then(|n| *rc.us.get(usize::from(n).checked_sub(1)?)?);
        let word = match us {
            Some(us) if us >= SWITCH_ON_US => Some(true),
            Some(us) if us <= SWITCH_OFF_US => Some(false),
            Some(_) => self.switch,
            None => None,
        };
        let was = std::mem::replace(&mut self.switch, word);
        match (was, word) {
            (Some(false), Some(true)) => Some(Switched::On),
            (Some(true), Some(false)) => Some(Switched::Off),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    fn rc(sticks: [u16; 4], switch: u16, s: f64) -> Stamped<RcChannels> {
        let mut us = [None; 18];
        for (slot, value) in us.iter_mut().zip(sticks) {
            *slot = Some(value);
        }
        us[6] = Some(switch);
        Stamped::new(RcChannels { us }, at(s))
    }

    fn config() -> EngageConfig {
        EngageConfig {
            switch_channel: Some(7),
            after_rc_loss_s: Some(3.0),
            ..EngageConfig::default()
        }
    }

    #[test]
    fn a_switch_starts_only_when_it_was_seen_off() {
        let (mut pilot, c) = (Pilot::default(), config());
        let mut read = |us, s| {
            let rc = rc([1500; 4], us, s);
            pilot.read(Some(&rc), &c, 1.0, at(s)).switched
        };
        assert_eq!(read(1900, 0.0), None);
        assert_eq!(read(1500, 0.1), None);
        assert_eq!(read(1900, 0.2), None);
        assert_eq!(read(1100, 0.3), Some(Switched::Off));
        assert_eq!(read(1500, 0.4), None);
        assert_eq!(read(1900, 0.5), Some(Switched::On));
        assert_eq!(read(1900, 0.6), None);
    }

    #[test]
    fn an_edge_across_a_silence_is_not_seen() {
        let (mut pilot, c) = (Pilot::default(), config());
        pilot.read(Some(&rc([1500; 4], 1100, 0.0)), &c, 1.0, at(0.0));
        pilot.read(Some(&rc([1500; 4], 1100, 0.0)), &c, 1.0, at(2.0));
        let h = pilot.read(Some(&rc([1500; 4], 1900, 2.1)), &c, 1.0, at(2.1));
        assert_eq!(h.switched, None);
    }

    #[test]
    fn the_throttle_rests_where_it_was_and_the_others_in_the_middle() {
        let (mut pilot, c) = (Pilot::default(), config());
        let mut moved = |sticks| {
            pilot
                .read(Some(&rc(sticks, 1100, 0.0)), &c, 1.0, at(0.0))
                .moved_a_stick
        };
        assert!(!moved([1500, 1520, 1100, 1480]));
        assert!(!moved([1500, 1500, 1180, 1500]));
        assert!(moved([1500, 1500, 1250, 1500]));
        assert!(moved([1650, 1500, 1100, 1500]));
        assert!(moved([1500, 1500, 1100, 1350]));
    }

    #[test]
    fn a_lost_receiver_is_said_once() {
        let (mut pilot, c) = (Pilot::default(), config());
        assert!(!pilot.read(None, &c, 1.0, at(100.0)).lost_receiver);
        pilot.read(Some(&rc([1500; 4], 1100, 100.0)), &c, 1.0, at(100.0));
        assert!(!pilot.read(None, &c, 1.0, at(102.0)).lost_receiver);
        assert!(pilot.read(None, &c, 1.0, at(103.0)).lost_receiver);
        assert!(!pilot.read(None, &c, 1.0, at(104.0)).lost_receiver);
    }
}
