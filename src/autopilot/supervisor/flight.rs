//! The way to the site and down to the commit height, and the holds between.

use crate::autopilot::commands::{Command, Severity, TargetSample};
use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::AutopilotKind;

use super::altimeter::Height;
use super::facts::{Facts, Place};
use super::reason::Reason;
use super::search::{BUSY_PLACE_M, SAME_SITE_M};
use super::state::{After, Approaching, Descending, Gate, Holding, State};
use super::target::{Target, Word};
use super::voice::{At, Orders};
use super::{Health, SAMPLE_PERIOD_S, Supervisor};

/// Above the commit or the land height by less than this, it is reached, metres.
pub(super) const COMMIT_SLACK_M: f64 = 0.5;
/// Ground that lies deeper than it did a moment ago is believed when it has for this long, seconds.
const DEEPER_S: f64 = 1.0;
/// Held off so many times for what moves there, a site is given up.
const BUSY: u8 = 2;
/// A climb of less shows nothing new, metres.
const WORTH_A_CLIMB_M: f64 = 2.0;
/// Entered lower than this, out of GUIDED and over the site, `ArduPilot`'s LAND needs no target, metres: it comes down as near
/// to the site (0.05 m measured), and without one it neither slows down to 0.25 m/s below 2 m nor hovers for four seconds
/// over a target that it lost at the end.
const STRAIGHT_DOWN_M: f64 = 5.0;
/// Pushed off by more than so many times the allowed offset, it stops going down.
const FAR_OFF: f64 = 3.0;

/// What the frames must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// To go down: the whole disc seen, and GO.
    Go,
    /// To fly over to it: clear as far as seen and remembered. A vehicle that leans to speed up looks elsewhere.
    Clear,
}

impl Supervisor {
    /// Freshness, once for everything that needs it: a GO of these places, a pose, and stages that are well.
    pub(super) fn has_go(&self, target: &Target, f: &Facts<'_>) -> bool {
        target.epoch == f.vehicle.epoch
            && f.place.is_ok()
            && f.health == Health::Good
            && target.has_go(f.now, self.config.freshness.go_max_age_s)
    }

    /// In GUIDED: why it may not go on to the site now.
    fn stopped_by(&self, target: &Target, need: Need, f: &Facts<'_>) -> Option<Reason> {
        if target.epoch != f.vehicle.epoch {
            return Some(Reason::PlacesLost);
        }
        let is_enough = match need {
            Need::Go => self.has_go(target, f),
            Need::Clear => target.is_clear(f.now, self.config.freshness.go_max_age_s),
        };
        // A single frame that finds a hazard lets the last GO grow old; a veto stops at once.
        let may_go_on = is_enough && !matches!(target.word, Word::Veto(_));
        f.trouble()
            .or_else(|| (!may_go_on).then(|| target.objection()))
    }

    pub(super) fn approach(&mut self, mut s: Approaching, f: &Facts<'_>, orders: &mut Orders) {
        let Some((place, height)) = self.steady(&mut s.target, Need::Clear, f, orders) else {
            return;
        };
        let offset_m = s.target.distance_m(place.below());
        let has_arrived = offset_m <= self.config.descent.offset_max_m
            && place.speed_m_s <= self.config.descent.arrival_speed_m_s;
        if has_arrived && self.has_go(&s.target, f) {
            return self.transition_to_descending(s.target, &height, f, orders);
        }
        let over = Vec3::new(s.target.place.north_m, s.target.place.east_m, s.down_m);
        s.down_m = self.stay_at(over, place.position, f, orders).down();
        self.state = State::Approaching(s);
    }

    pub(super) fn descend(&mut self, mut s: Descending, f: &Facts<'_>, orders: &mut Orders) {
        let Some((place, height)) = self.steady(&mut s.target, Need::Go, f, orders) else {
            return;
        };
        let d = &self.config.descent;
        let offset_m = s.target.distance_m(place.below());
        if offset_m > FAR_OFF * d.offset_max_m {
            return self.transition_to_holding(s.target, Reason::OffTheSite, f, orders);
        }
        let is_over = offset_m <= d.offset_max_m;
        let commit_m = self.last_gate_m(&height);
        let look_m = commit_m + d.last_look_above_m;
        if is_over && height.low_m <= look_m + COMMIT_SLACK_M {
            s.waiting_since.get_or_insert(f.now);
            s.looking_since.get_or_insert(f.now);
        }
        if s.target.is_restless() {
            s.looking_since = None;
        }
        let lasted = |since: Option<MonoTime>, s| since.is_some_and(|at| f.now.secs_since(at) >= s);
        let has_looked = lasted(s.looking_since, d.last_look_s);
        if !has_looked && lasted(s.waiting_since, d.last_look_longest_s) {
            // People go to and fro here: another place is better.
            s.target.disturbed = BUSY;
            return self.transition_to_holding(s.target, Reason::NeverQuiet, f, orders);
        }
        if is_over && has_looked && height.low_m <= commit_m + COMMIT_SLACK_M {
            return self.transition_to_committed(&s, &place, f, orders);
        }
        // Until it has looked long enough it stays where it sees who is around; from below it climbs to there.
        let last_m = if has_looked { commit_m } else { look_m };
        s.gate = self.sink((&s.target, s.gate), last_m, f, orders);
        self.show_target(&s.target, &place, f, orders);
        self.state = State::Descending(s);
    }

    /// Goes down to the gate, and earns the next one, none below `last_m`, with a newer GO close above it. The caller has
    /// made sure of a GO.
    pub(super) fn sink(
        &mut self,
        (target, mut gate): (&Target, Gate),
        last_m: f64,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) -> Gate {
        let Some((place, height)) = f.place.ok().and_then(|p| Some((p, p.height?))) else {
            return gate;
        };
        let d = &self.config.descent;
        let here_m = place.position.down();
        let is_over = target.distance_m(place.below()) <= d.offset_max_m;
        let newer_s = target.go_at.map_or(0.0, |at| at.secs_since(gate.earned_by));
        let is_close = height.low_m <= gate.height_m + d.gate_lead_m;
        // It has come to where the gate was, and the ground lies deeper: a reading of a moment is not believed.
        let is_there = here_m >= gate.down_m - d.gate_lead_m && newer_s >= DEEPER_S;
        if is_over && newer_s > 0.0 && (is_close || is_there) {
            gate = self.earn(target, last_m, f).unwrap_or(gate);
        }
        // Another source of height may move the last gate up: the gate rises with it.
        gate.height_m = gate.height_m.max(last_m);
        let deepest_m = here_m + d.gate_max_step_m + d.gate_lead_m;
        let down_m = (here_m + height.low_m - gate.height_m)
            .min(gate.down_m)
            .min(deepest_m);
        let to = Vec3::new(target.place.north_m, target.place.east_m, down_m);
        self.fly_to(to, f, orders);
        gate
    }

    /// The gate below where the vehicle is, earned by the target's newest GO.
    fn earn(&self, target: &Target, last_m: f64, f: &Facts<'_>) -> Option<Gate> {
        let place = f.place.ok()?;
        let low_m = place.height?.low_m;
        let height_m = self.next_gate_m(low_m, last_m);
        Some(Gate {
            height_m,
            down_m: place.position.down() + low_m - height_m,
            earned_by: target.go_at?,
        })
    }

    pub(super) fn hold(&mut self, mut s: Holding, f: &Facts<'_>, orders: &mut Orders) {
        let place = match f.place {
            Ok(place) => place,
            Err(reason) => {
                let after = After::LookAgain { climbs: false };
                return self.transition_to_aborted(reason, after, f, orders);
            }
        };
        if s.target.epoch != f.vehicle.epoch {
            return self.transition_to_searching(false, &place, f, orders);
        }
        if self.is_out_of_patience(f.now) {
            let reason = f.trouble().unwrap_or(Reason::GoLost);
            return self.transition_to_aborted(reason, After::HandBack, f, orders);
        }
        if let Some(brief) = f.brief {
            s.target.hear(brief);
        }
        s.station = self.stay_at(s.station, place.position, f, orders);
        self.state = State::Holding(s);
        let held_s = f.now.secs_since(s.since);
        if f.trouble().is_some() || held_s < self.config.descent.hold_min_s {
            return;
        }
        // Where something comes by again and again, another place is better.
        let is_busy = s.target.disturbed >= BUSY;
        let is_new_go = s.target.go_at.is_some_and(|at| at > s.since);
        if is_new_go && !is_busy && self.stopped_by(&s.target, Need::Go, f).is_none() {
            return self.transition_to_approaching(s.target, &place, f, orders);
        }
        // A site that is spoken against is left at once for another; one that nobody speaks of is waited for.
        // Where people come by, they come by the next place, too.
        let apart_m = if is_busy { BUSY_PLACE_M } else { SAME_SITE_M };
        let other = f
            .brief
            .and_then(Target::offered)
            .filter(|t| s.target.distance_m(t.place) > apart_m && self.is_allowed(t.place, f));
        let is_over = held_s > self.config.descent.reroute_after_s;
        if let Some(other) = other.filter(|_| is_over || is_busy || s.target.is_objected_to()) {
            self.avoid(&s.target, f);
            self.transition_to_approaching(other, &place, f, orders);
        } else if is_over {
            self.avoid(&s.target, f);
            let climbs = self.may_climb(&place);
            self.transition_to_searching(climbs, &place, f, orders);
        }
    }

    /// Climbing shows more, and there is a climb left.
    fn may_climb(&self, place: &Place) -> bool {
        let search = &self.config.search;
        self.attempt.climbs < search.climbs
            && place
                .height
                .is_some_and(|h| h.metres < search.climb_height_m - WORTH_A_CLIMB_M)
    }

    /// What every step on the way to a site begins with: hears the frame, and stops without a GO. `None`: it stopped.
    fn steady(
        &mut self,
        target: &mut Target,
        need: Need,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) -> Option<(Place, Height)> {
        if let Some(brief) = f.brief {
            target.hear(brief);
        }
        let place = match f.place {
            Ok(place) => place,
            Err(reason) => {
                let after = After::LookAgain { climbs: false };
                self.transition_to_aborted(reason, after, f, orders);
                return None;
            }
        };
        match self.stopped_by(target, need, f) {
            Some(Reason::PlacesLost) => {
                orders.say(
                    Severity::Warning,
                    format_args!("alight: site dropped: {}", Reason::PlacesLost),
                );
                self.transition_to_searching(false, &place, f, orders);
                None
            }
            Some(reason) => {
                self.transition_to_holding(*target, reason, f, orders);
                None
            }
            None => Some((place, place.height?)),
        }
    }

    /// The lowest gate: where it commits.
    fn last_gate_m(&self, height: &Height) -> f64 {
        if height.is_measured {
            self.commit_m
        } else {
            self.config.descent.commit_height_without_range_m
        }
    }

    /// The gate below a low height.
    fn next_gate_m(&self, low_m: f64, last_m: f64) -> f64 {
        let d = &self.config.descent;
        (d.gate_share * low_m)
            .max(low_m - d.gate_max_step_m)
            .max(last_m)
    }

    /// The target stream of a landing of our own, for a landing mode that needs it.
    pub(super) fn show_target(
        &mut self,
        target: &Target,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let is_entered_low =
            place.height.is_some_and(|h| h.is_measured) && self.land_m <= STRAIGHT_DOWN_M;
        if f.kind != Some(AutopilotKind::ArduPilot) || !is_entered_low {
            self.stream(target, place, f, orders);
        }
    }

    /// One sample of the target stream, from the world-fixed site, when it is time. The caller has made sure of a GO.
    pub(super) fn stream(
        &mut self,
        target: &Target,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let Some(height) = place.height else {
            return;
        };
        let is_due = self
            .last_sample
            .is_none_or(|at| f.now.secs_since(at) >= SAMPLE_PERIOD_S);
        if is_due && self.has_go(target, f) {
            self.last_sample = Some(f.now);
            let ground_m = place.position.down() + height.metres;
            let position = Vec3::<Ned>::new(target.place.north_m, target.place.east_m, ground_m);
            orders.control(Command::Target(TargetSample { position }));
        }
    }

    pub(super) fn transition_to_approaching(
        &mut self,
        target: Target,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let is_same = |t: &Target| t.distance_m(target.place) < 1.0;
        let is_resumed = matches!(&self.state, State::Holding(h) if is_same(&h.target));
        if self.attempt.has_had_a_site && !is_resumed {
            self.tally.reroutes += 1;
        }
        self.attempt.has_had_a_site = true;
        orders.say(
            Severity::Notice,
            format_args!(
                "alight: going to site {}, {:.1} m clear",
                At(target.place),
                target.clearance_m
            ),
        );
        let down_m = match &self.state {
            // It was told to be there; the way to the site starts at that height.
            State::Searching(s) => s.station.down().min(place.position.down()),
            _ => place.position.down(),
        };
        let over = Vec3::new(target.place.north_m, target.place.east_m, down_m);
        self.fly_to(over, f, orders);
        self.state = State::Approaching(Approaching { target, down_m });
    }

    fn transition_to_descending(
        &mut self,
        target: Target,
        height: &Height,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let Some(gate) = self.earn(&target, self.last_gate_m(height), f) else {
            return;
        };
        orders.say(
            Severity::Notice,
            format_args!(
                "alight: descending from {:.0} m to {}",
                height.metres,
                At(target.place)
            ),
        );
        let s = Descending {
            target,
            gate,
            looking_since: None,
            waiting_since: None,
        };
        self.descend(s, f, orders);
    }

    /// Stops here at once; the target stream ends with it.
    fn transition_to_holding(
        &mut self,
        mut target: Target,
        why: Reason,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        target.disturbed = target
            .disturbed
            .saturating_add(u8::from(target.is_restless()));
        let station = match f.place {
            Ok(place) => place.position,
            Err(reason) => {
                let after = After::LookAgain { climbs: false };
                return self.transition_to_aborted(reason, after, f, orders);
            }
        };
        self.tally.holds += 1;
        orders.say(
            Severity::Warning,
            format_args!("alight: holding off site {}: {why}", At(target.place)),
        );
        self.last_setpoint = None;
        self.fly_to(station, f, orders);
        self.state = State::Holding(Holding {
            target,
            station,
            since: f.now,
        });
    }
}
