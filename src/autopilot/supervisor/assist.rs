//! Help for a landing that others started: the autopilot is shown where, and lands by itself.
//!
//! Nothing is commanded but the target stream, for one site and never a second one: the autopilot's filter would take the
//! jump. By configuration there may be one detour: on `ArduPilot` a hold while no site has a GO, on PX4 PRECLAND instead
//! of LAND. Each ends in giving back the mode that was ordered: that is the order of whoever flies, not a descent of
//! ours. Any other mode, and any stick, ends the help.

use crate::autopilot::commands::Severity;
use crate::vehicle::{AutopilotKind, Mode};

use super::facts::{Facts, Place, is_fresh};
use super::reason::Reason;
use super::state::{Assisting, Detour, State};
use super::target::{Target, Word};
use super::voice::{At, Orders};
use super::{Grip, Supervisor};

/// During RTL a site is chosen only once the vehicle has come to rest, metres per second.
const AT_REST_M_S: f64 = 1.0;
/// Time for the landing stage to offer a site before the pilot is warned, seconds.
const WARN_AFTER_S: f64 = 3.0;

impl Supervisor {
    pub(super) fn transition_to_assisting(
        &mut self,
        ordered: Mode,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        self.pilot.rest_anew();
        self.tally.starts += 1;
        self.reason = None;
        orders.say(
            Severity::Notice,
            format_args!("alight: {ordered:?} seen, helping it onto a site"),
        );
        self.state = State::Assisting(Assisting {
            ordered,
            since: f.now,
            target: None,
            is_spent: false,
            detour: Detour::Unused,
            has_warned: false,
        });
    }

    pub(super) fn assist(&mut self, mut s: Assisting, f: &Facts<'_>, orders: &mut Orders) {
        if let (None, Some(shown)) = (self.grip, f.shown())
            && shown != s.ordered
        {
            if !matches!(shown, Mode::Land | Mode::Rtl) {
                return self.transition_to_handed_back(Reason::TakenOver(shown), orders);
            }
            s.ordered = shown;
        }
        self.follow_site(&mut s, f, orders);
        match s.detour {
            Detour::Unused => self.consider_detour(&mut s, f, orders),
            Detour::Out(mode, since) => self.go_on_detour(&mut s, (mode, since), f, orders),
            Detour::Back => {
                let is_late = self.is_overdue(s.ordered, f);
                if self.ask_mode(s.ordered, f, orders) || is_late {
                    self.grip = None;
                    s.detour = Detour::Used;
                }
            }
            Detour::Used => {}
        }
        if let (Some(target), Ok(place)) = (s.target, f.place)
            && f.is_heard
            && may_stream(&s, f)
        {
            self.stream(&target, &place, f, orders);
        }
        warn_if_unassisted(&mut s, f, orders);
        self.state = State::Assisting(s);
    }

    /// One site near the vehicle, once; dropped for good when it loses its GO.
    fn follow_site(&mut self, s: &mut Assisting, f: &Facts<'_>, orders: &mut Orders) {
        if let Some(target) = &mut s.target {
            if let Some(brief) = f.brief {
                target.hear(brief);
            }
            let target = *target;
            if !self.has_go(&target, f) || matches!(target.word, Word::Veto(_)) {
                s.target = None;
                orders.say(
                    Severity::Alert,
                    format_args!("alight: landing unassisted: {}", target.objection()),
                );
                s.has_warned = true;
            }
            return;
        }
        let (false, Ok(place), Some(brief)) = (s.is_spent, f.place, f.brief) else {
            return;
        };
        let has_height = place.height.is_some();
        let is_near_rest = s.ordered == Mode::Land || place.speed_m_s <= AT_REST_M_S;
        let target = Target::offered(brief).filter(|t| {
            has_height
                && is_near_rest
                && self.is_within_reach(t, &place)
                && self.is_allowed(t.place, f)
        });
        if let Some(target) = target {
            s.target = Some(target);
            s.is_spent = true;
            orders.say(
                Severity::Notice,
                format_args!("alight: showing site {}", At(target.place)),
            );
        }
    }

    fn is_within_reach(&self, target: &Target, place: &Place) -> bool {
        target.distance_m(place.below()) <= self.config.assist.reach_m
    }

    fn consider_detour(&mut self, s: &mut Assisting, f: &Facts<'_>, orders: &mut Orders) {
        let Some((heartbeat, _)) = f.heartbeat.filter(|_| f.is_heard && f.trouble().is_none())
        else {
            return;
        };
        let c = &self.config.assist;
        let detour = match f.kind {
            Some(AutopilotKind::ArduPilot) => {
                let is_needed = s.target.is_none() && !s.is_spent && self.is_above_blind(f);
                let is_allowed = c.hold_s > 0.0 && !heartbeat.is_failsafe && self.has_battery(f);
                (is_needed && is_allowed).then_some(Mode::Hold)
            }
            Some(AutopilotKind::Px4) => {
                let has_site = s.target.is_some();
                (has_site && c.px4_precland && s.ordered == Mode::Land).then_some(Mode::PrecLand)
            }
            _ => None,
        };
        if let Some(mode) = detour {
            self.grip = Some(Grip::over(s.ordered));
            s.detour = Detour::Out(mode, f.now);
            self.ask_mode(mode, f, orders);
            orders.say(
                Severity::Warning,
                format_args!("alight: {mode:?} instead of {:?} for now", s.ordered),
            );
        }
    }

    fn go_on_detour(
        &mut self,
        s: &mut Assisting,
        (mode, since): (Mode, crate::time::MonoTime),
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let is_over = match mode {
            Mode::Hold => {
                s.target.is_some() || f.now.secs_since(since) >= self.config.assist.hold_s
            }
            _ => s.target.is_none(),
        };
        if is_over || self.is_overdue(mode, f) {
            s.detour = Detour::Back;
            self.ask_mode(s.ordered, f, orders);
        } else {
            self.ask_mode(mode, f, orders);
        }
    }

    fn is_above_blind(&self, f: &Facts<'_>) -> bool {
        f.place
            .ok()
            .and_then(|p| p.height)
            .is_some_and(|h| h.low_m > self.blind_m)
    }

    fn has_battery(&self, f: &Facts<'_>) -> bool {
        let max_age_s = self.config.freshness.status_max_age_s;
        f.vehicle
            .battery
            .filter(|b| is_fresh(b.at, f.now, max_age_s))
            .and_then(|b| b.value.remaining)
            .is_some_and(|share| share >= self.config.assist.low_battery)
    }

    /// Told to stop helping: what was ordered goes on.
    pub(super) fn stop_assisting(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        let State::Assisting(mut s) = self.state else {
            return;
        };
        s.target = None;
        s.is_spent = true;
        s.has_warned = true;
        if matches!(s.detour, Detour::Out(..)) {
            s.detour = Detour::Back;
            self.ask_mode(s.ordered, f, orders);
        } else if s.detour == Detour::Unused {
            s.detour = Detour::Used;
        }
        self.state = State::Assisting(s);
        orders.say(
            Severity::Alert,
            format_args!("alight: landing unassisted: {}", Reason::Requested),
        );
    }
}

/// PX4 takes the target only in PRECLAND.
fn may_stream(s: &Assisting, f: &Facts<'_>) -> bool {
    f.kind == Some(AutopilotKind::ArduPilot) || matches!(s.detour, Detour::Out(Mode::PrecLand, _))
}

fn warn_if_unassisted(s: &mut Assisting, f: &Facts<'_>, orders: &mut Orders) {
    let is_late = f.now.secs_since(s.since) > WARN_AFTER_S;
    let is_holding = matches!(s.detour, Detour::Out(..));
    if s.target.is_none() && is_late && !is_holding && !s.has_warned {
        s.has_warned = true;
        orders.say(
            Severity::Alert,
            format_args!("alight: landing unassisted: no confirmed site in reach"),
        );
    }
}
