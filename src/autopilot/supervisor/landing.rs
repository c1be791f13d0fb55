//! LAND and PRECLAND, and the way out of anything into a verified hold.

use crate::autopilot::commands::Severity;
use crate::geometry::Vec3;
use crate::vehicle::{AutopilotKind, Mode};

use super::Supervisor;
use super::altimeter::Height;
use super::facts::{Facts, Place};
use super::flight::COMMIT_SLACK_M;
use super::reason::Reason;
use super::state::{Aborted, After, Committed, Descending, State};
use super::target::{Target, Word};
use super::voice::{At, Orders};

/// A vehicle that has come to the land height is above it again from here on, metres.
const CLEARLY_HIGHER_M: f64 = 1.0;
/// Without a heartbeat no hold can be asked for; so long it is waited for, seconds.
const SILENCE_S: f64 = 60.0;

/// The mode that ends in a landing on a target.
fn landing_mode(kind: Option<AutopilotKind>) -> Mode {
    match kind {
        Some(AutopilotKind::Px4) => Mode::PrecLand,
        _ => Mode::Land,
    }
}

fn why_stopped(target: &Target, f: &Facts<'_>) -> Reason {
    match target.word {
        Word::Veto(reason) => reason,
        _ if target.epoch != f.vehicle.epoch => Reason::PlacesLost,
        _ => f.trouble().unwrap_or(target.objection()),
    }
}

impl Supervisor {
    pub(super) fn land(&mut self, mut s: Committed, f: &Facts<'_>, orders: &mut Orders) {
        if let Some(brief) = f.brief {
            s.target.hear(brief);
        }
        let mode = landing_mode(f.kind);
        let is_shown = self.grip.is_some_and(|g| g.is_shown(mode));
        let height = f.place.ok().and_then(|p| p.height);
        s.is_low |= is_shown && height.is_some_and(|h| h.metres <= self.blind_m);
        let is_go = self.has_go(&s.target, f);
        let may_go_on = is_go || self.may_go_on_blind(&s, f);
        if !may_go_on || matches!(s.target.word, Word::Veto(_)) {
            let reason = why_stopped(&s.target, f);
            let after = After::LookAgain { climbs: true };
            return self.transition_to_aborted(reason, after, f, orders);
        }
        if self.is_overdue(mode, f) {
            let reason = Reason::ModeRefused(mode);
            return self.transition_to_aborted(reason, After::HandBack, f, orders);
        }
        s.is_down = self.is_down(s.is_down, height);
        self.state = State::Committed(s);
        if let (true, true, Ok(place)) = (is_go, self.may_glide(&s, height), f.place) {
            // Aimed a little lower, it comes to the land height without slowing down.
            let last_m = self.land_m - COMMIT_SLACK_M;
            s.gate = self.sink((&s.target, s.gate), last_m, f, orders);
            s.down_m = place.position.down();
            self.show_target(&s.target, &place, f, orders);
            self.state = State::Committed(s);
            return;
        }
        let is_asking = !is_shown && is_go;
        if is_asking && self.is_out_of_patience(f.now) {
            // Without heartbeats the mode is never asked for.
            let reason = f.trouble().unwrap_or(Reason::ModeRefused(mode));
            return self.transition_to_aborted(reason, After::HandBack, f, orders);
        }
        if is_asking {
            let stay = Vec3::new(s.target.place.north_m, s.target.place.east_m, s.down_m);
            self.ask_mode(mode, f, orders);
            if let Ok(place) = f.place {
                self.stay_at(stay, place.position, f, orders);
            }
        }
        if let (true, Ok(place)) = (is_go, f.place) {
            self.show_target(&s.target, &place, f, orders);
        }
    }

    /// Whether it has come to the land height, by a measured one; once there it has, until it is clearly higher: a vehicle that
    /// bobs about this height would else be told to go down and to wait for LAND in turn, and the heartbeat that LAND waits
    /// for might always come in the wrong one.
    fn is_down(&self, was_down: bool, height: Option<Height>) -> bool {
        let limit_m = self.land_m + if was_down { CLEARLY_HIGHER_M } else { 0.0 };
        !height.is_some_and(|h| h.is_measured && h.low_m > limit_m)
    }

    /// Above the land height it still goes down by gates: where they are the last word silence stops the vehicle, and it comes
    /// down faster than LAND does.
    fn may_glide(&self, s: &Committed, height: Option<Height>) -> bool {
        let is_guided = self.grip.is_some_and(|g| g.is_shown(Mode::Guided));
        // So low that the picture does not hold the disc whenever the vehicle leans: the last GO is for LAND.
        let is_blinded =
            s.target.word == Word::Unseen && height.is_some_and(|h| h.metres <= self.blind_m);
        is_guided && !s.is_down && !is_blinded && !s.is_low
    }

    /// Below the blind height silence is no reason to stop, for a while after the last GO.
    fn may_go_on_blind(&self, s: &Committed, f: &Facts<'_>) -> bool {
        let since_go_s = s.target.go_at.map(|at| f.now.secs_since(at));
        s.is_low && since_go_s.is_some_and(|s| s <= self.config.descent.blind_longest_s)
    }

    pub(super) fn transition_to_committed(
        &mut self,
        s: &Descending,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let target = s.target;
        let height_m = place.height.map_or(0.0, |h| h.metres);
        orders.say(
            Severity::Notice,
            format_args!(
                "alight: landing at {} from {height_m:.1} m",
                At(target.place)
            ),
        );
        self.land(
            Committed {
                target,
                since: f.now,
                gate: s.gate,
                down_m: place.position.down(),
                is_low: false,
                is_down: false,
            },
            f,
            orders,
        );
    }

    /// Stops by a mode that needs no sticks. Until it shows, the last setpoint is to stay here.
    pub(super) fn transition_to_aborted(
        &mut self,
        reason: Reason,
        after: After,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        if self.grip.is_none_or(|g| !g.has_asked()) && reason != Reason::Orphaned {
            // Nothing was asked of the vehicle yet: it is still theirs.
            return self.transition_to_handed_back(reason, orders);
        }
        self.tally.aborts += 1;
        self.reason = Some(reason);
        let mut after = after;
        if let After::LookAgain { .. } = after {
            self.attempt.aborts += 1;
            if let Some(target) = self.state.target().copied() {
                self.avoid(&target, f);
            }
            if self.attempt.aborts > self.config.descent.attempts {
                after = After::HandBack;
            }
        }
        orders.say(Severity::Error, format_args!("alight: stopping: {reason}"));
        let s = Aborted {
            reason,
            since: f.now,
            after,
            station: f.place.ok().map(|p| p.position),
            held_at: None,
        };
        self.last_setpoint = None;
        self.abort(s, f, orders);
    }

    pub(super) fn abort(&mut self, mut s: Aborted, f: &Facts<'_>, orders: &mut Orders) {
        self.state = State::Aborted(s);
        if let (After::Return(delay_s), Some(held_at)) = (s.after, s.held_at)
            && f.now.secs_since(held_at) >= delay_s
        {
            if self.is_overdue(Mode::Rtl, f) || self.ask_mode(Mode::Rtl, f, orders) {
                self.transition_to_handed_back(s.reason, orders);
            }
            return;
        }
        if self.is_overdue(Mode::Hold, f)
            || f.now.secs_since(s.since) > SILENCE_S && s.held_at.is_none()
        {
            return self.transition_to_handed_back(Reason::HoldNotShown, orders);
        }
        if self.ask_mode(Mode::Hold, f, orders) {
            s.held_at.get_or_insert(f.now);
            self.state = State::Aborted(s);
            return self.after_hold(&s, f, orders);
        }
        if let (Some(Mode::Guided), Some(station), Ok(place)) = (f.shown(), s.station, f.place)
            && self.last_epoch == Some(f.vehicle.epoch)
        {
            s.station = Some(self.stay_at(station, place.position, f, orders));
            self.state = State::Aborted(s);
        }
    }

    fn after_hold(&mut self, s: &Aborted, f: &Facts<'_>, orders: &mut Orders) {
        match s.after {
            After::HandBack => self.transition_to_handed_back(s.reason, orders),
            After::Return(_) => {}
            After::LookAgain { climbs } => {
                let waited_s = f.now.secs_since(s.held_at.unwrap_or(s.since));
                if f.trouble().is_none() {
                    self.transition_to_engaging(climbs, f);
                } else if waited_s > self.config.descent.patience_s {
                    self.transition_to_handed_back(s.reason, orders);
                }
            }
        }
    }
}
