//! Looking for a site: from here, from higher up, then along an expanding square.

use crate::autopilot::commands::Severity;
use crate::geometry::{GroundPoint, Ned, Vec3};
use crate::landing::SiteState;

use super::config::AfterSearch;
use super::facts::{Facts, Place};
use super::reason::Reason;
use super::state::{After, Searching, State};
use super::target::{Target, Word};
use super::voice::Orders;
use super::{AVOIDED, Avoided, Supervisor, fence, pattern};

/// Near enough to a station to look from it, metres.
const ARRIVED_M: f64 = 2.0;
/// Sites nearer to one that was given up are the same, metres.
pub(super) const SAME_SITE_M: f64 = 1.5;
/// Where something moved, sites nearer than this to the one given up are no better, metres.
pub(super) const BUSY_PLACE_M: f64 = 6.0;
/// So long the monitor is asked about an alternate, seconds.
const ASK_S: f64 = 2.0;
/// Climb where the height is not known, metres.
const BLIND_CLIMB_M: f64 = 5.0;

impl Supervisor {
    pub(super) fn search(&mut self, mut s: Searching, f: &Facts<'_>, orders: &mut Orders) {
        let place = match f.place {
            Ok(place) => place,
            Err(reason) => {
                let after = After::LookAgain { climbs: false };
                return self.transition_to_aborted(reason, after, f, orders);
            }
        };
        if self.last_epoch != Some(f.vehicle.epoch) {
            // The station's coordinates mean nothing any more.
            return self.transition_to_searching(false, &place, f, orders);
        }
        if self.is_out_of_patience(f.now) {
            let reason = f.trouble().unwrap_or(Reason::GoLost);
            return self.transition_to_aborted(reason, After::HandBack, f, orders);
        }
        if f.trouble().is_none() {
            let is_high_enough = self.is_high_enough(&s, &place);
            if let Some(target) = self.find(&mut s, f).filter(|_| is_high_enough) {
                return self.transition_to_approaching(target, &place, f, orders);
            }
            let is_over = f.now.secs_since(self.attempt.since) > self.config.search.longest_s;
            if is_over && self.finish_search(&mut s, &place, f, orders) {
                return;
            }
            self.move_on(&mut s, &place, f, orders);
        }
        s.station = self.stay_at(s.station, place.position, f, orders);
        self.state = State::Searching(s);
    }

    /// On the way up from a landing that was stopped, low sites are not taken at once: too little is seen from there.
    fn is_high_enough(&self, s: &Searching, place: &Place) -> bool {
        let is_climbing = s.station.down() < place.position.down() - ARRIVED_M;
        let look_m = self.commit_m + self.config.descent.last_look_above_m;
        !is_climbing || place.height.is_none_or(|h| h.metres >= look_m)
    }

    /// A site to fly to: the one offered, else an alternate on which the monitor says GO when asked.
    fn find(&self, s: &mut Searching, f: &Facts<'_>) -> Option<Target> {
        let brief = f.brief?;
        if let Some(target) = Target::offered(brief).filter(|t| self.is_allowed(t.place, f)) {
            return Some(target);
        }
        if let Some((target, since)) = &mut s.candidate {
            target.hear(brief);
            let has_go = target.word == Word::Go && target.go_at == Some(brief.captured_at);
            if has_go && target.epoch == brief.epoch && self.is_allowed(target.place, f) {
                return Some(*target);
            }
            if target.is_objected_to() || f.now.secs_since(*since) > ASK_S {
                s.candidate = None;
            }
            return None;
        }
        s.candidate = brief
            .alternates
            .iter()
            .flatten()
            .filter_map(|site| Target::of(site, brief))
            .find(|t| self.is_allowed(t.place, f))
            .map(|t| (t, f.now));
        None
    }

    /// Inside the fence, and not given up a moment ago.
    pub(super) fn is_allowed(&self, place: GroundPoint, f: &Facts<'_>) -> bool {
        let is_avoided = |a: &Avoided| {
            let (north, east) = (
                a.place.north_m - place.north_m,
                a.place.east_m - place.east_m,
            );
            north.hypot(east) < a.radius_m && f.now.secs_since(a.since) < self.config.search.avoid_s
        };
        let is_avoided = self.attempt.avoided.iter().flatten().any(is_avoided);
        !is_avoided && fence::contains(&self.config.fence, place, f.vehicle) == Some(true)
    }

    /// Remembers a site that was given up.
    pub(super) fn avoid(&mut self, target: &Target, f: &Facts<'_>) {
        let a = &mut self.attempt;
        if let Some(slot) = a.avoided.get_mut(a.next_avoided % AVOIDED) {
            let is_busy = target.disturbed > 0 || target.is_restless();
            *slot = Some(Avoided {
                place: target.place,
                radius_m: if is_busy { BUSY_PLACE_M } else { SAME_SITE_M },
                since: f.now,
            });
        }
        a.next_avoided = (a.next_avoided + 1) % AVOIDED;
    }

    /// Nothing was found in time. `true`: the search is over.
    fn finish_search(
        &mut self,
        s: &mut Searching,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) -> bool {
        let after = match self.config.search.then {
            AfterSearch::Hold => After::HandBack,
            AfterSearch::Return => After::Return(0.0),
            AfterSearch::LeastBad if s.is_last_look => {
                let has_looked = s
                    .arrived_at
                    .is_some_and(|at| f.now.secs_since(at) > self.config.search.look_s);
                if !has_looked {
                    return false;
                }
                After::HandBack
            }
            AfterSearch::LeastBad => match self.least_bad(f) {
                None => After::HandBack,
                Some(best) => {
                    s.is_last_look = true;
                    s.arrived_at = None;
                    s.station = Vec3::new(best.north_m, best.east_m, place.position.down());
                    return false;
                }
            },
        };
        self.transition_to_aborted(Reason::NoSite, after, f, orders);
        true
    }

    /// The best place seen, confirmed or not: only to hold above it.
    fn least_bad(&self, f: &Facts<'_>) -> Option<GroundPoint> {
        let brief = f.brief?;
        let sites = brief.site.iter().chain(brief.alternates.iter().flatten());
        sites
            .filter(|s| s.north_m.is_finite() && s.east_m.is_finite())
            .map(|s| {
                let at = GroundPoint {
                    north_m: s.north_m,
                    east_m: s.east_m,
                };
                (s.state == SiteState::Confirmed, s.belief, at)
            })
            .filter(|(_, _, at)| fence::contains(&self.config.fence, *at, f.vehicle) == Some(true))
            .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
            .map(|(_, _, at)| at)
    }

    /// Looks for a while from each station, then goes to the next.
    fn move_on(&mut self, s: &mut Searching, place: &Place, f: &Facts<'_>, orders: &mut Orders) {
        let has_arrived = (s.station - place.position).norm() < ARRIVED_M;
        if has_arrived {
            s.arrived_at.get_or_insert(f.now);
        }
        let has_looked = s
            .arrived_at
            .is_some_and(|at| f.now.secs_since(at) > self.config.search.look_s);
        if !has_looked || s.is_last_look {
            return;
        }
        s.arrived_at = None;
        let is_low = place
            .height
            .is_some_and(|h| h.metres < self.config.search.climb_height_m - ARRIVED_M);
        if is_low && self.attempt.climbs < self.config.search.climbs {
            s.station = self.climbed(place, orders);
            return;
        }
        if let Some((leg, corner)) = self.next_corner(s, f) {
            s.leg = leg;
            let down_m = s.station.down();
            s.station = Vec3::new(corner.north_m, corner.east_m, down_m);
        }
    }

    /// The next corner of the pattern that lies inside fence and search radius.
    fn next_corner(&self, s: &Searching, f: &Facts<'_>) -> Option<(u8, GroundPoint)> {
        (s.leg.saturating_add(1)..=pattern::CORNERS).find_map(|leg| {
            let (north, east) = pattern::corner(leg);
            let (dn, de) = (
                north * self.config.search.step_m,
                east * self.config.search.step_m,
            );
            let corner = GroundPoint {
                north_m: s.centre.north() + dn,
                east_m: s.centre.east() + de,
            };
            let is_near = dn.hypot(de) <= self.config.search.radius_m;
            let is_inside = fence::contains(&self.config.fence, corner, f.vehicle) == Some(true);
            (is_near && is_inside).then_some((leg, corner))
        })
    }

    /// Straight up from here to where the next look is taken.
    fn climbed(&mut self, place: &Place, orders: &mut Orders) -> Vec3<Ned> {
        let up_m = place.height.map_or(BLIND_CLIMB_M, |h| {
            (self.config.search.climb_height_m - h.metres).max(0.0)
        });
        self.attempt.climbs += 1;
        self.tally.climbs += 1;
        orders.say(
            Severity::Notice,
            format_args!("alight: climbing {up_m:.0} m to look again"),
        );
        let p = place.position;
        Vec3::new(p.north(), p.east(), p.down() - up_m)
    }

    /// Stops here and looks, from higher up where wanted.
    pub(super) fn transition_to_searching(
        &mut self,
        climbs: bool,
        place: &Place,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        orders.say(Severity::Info, format_args!("alight: looking for a site"));
        let station = if climbs {
            self.climbed(place, orders)
        } else {
            place.position
        };
        self.fly_to(station, f, orders);
        self.state = State::Searching(Searching {
            station,
            centre: place.position,
            arrived_at: None,
            leg: 0,
            candidate: None,
            is_last_look: false,
        });
    }
}
