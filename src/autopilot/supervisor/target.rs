//! The site that we fly to, and what the frames say of it.

use crate::geometry::GroundPoint;
use crate::landing::{MonitorReason, Outcome, Site, SiteState, Verdict};
use crate::time::MonoTime;

use super::Brief;
use super::facts::is_fresh;
use super::reason::Reason;

/// The landing stage answers for the place asked for; an answer farther from it is one for an older question, metres.
const SAME_PLACE_M: f64 = 0.5;

/// What a frame says of the site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word {
    /// Clear, wholly in the picture, and the monitor says GO.
    Go,
    /// The same, but the picture does not hold all of it: remembered, not seen.
    Unseen,
    /// Nothing, or nothing sure.
    Silent(Reason),
    /// The map shows a hazard.
    NotClear,
    /// The monitor vetoes.
    Veto(Reason),
}

/// A site that was confirmed, under the epoch in which its coordinates mean something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Target {
    pub(super) place: GroundPoint,
    pub(super) clearance_m: f64,
    pub(super) belief: f64,
    pub(super) epoch: u32,
    /// The newest frame that was asked, and its word.
    pub(super) word: Word,
    pub(super) heard_at: MonoTime,
    /// Capture of the newest frame that said GO.
    pub(super) go_at: Option<MonoTime>,
    /// Times that it was held off for what moved on it or around it.
    pub(super) disturbed: u8,
    /// Capture of the newest frame that said GO, or would have, had it seen the whole disc: enough to fly over to it, not
    /// to go down on it.
    clear_at: Option<MonoTime>,
}

impl Target {
    /// A site that this decision offers: confirmed, with the monitor's GO.
    pub(super) fn offered(brief: &Brief) -> Option<Self> {
        let site = brief.site.as_ref()?;
        let is_offered = brief.outcome == Outcome::Site
            && brief.monitor == Verdict::Go
            && site.state == SiteState::Confirmed;
        is_offered.then_some(())?;
        let mut target = Self::of(site, brief)?;
        target.word = Word::Go;
        target.go_at = Some(brief.captured_at);
        target.clear_at = target.go_at;
        Some(target)
    }

    /// A confirmed site on which the monitor has not been asked yet.
    pub(super) fn of(site: &Site, brief: &Brief) -> Option<Self> {
        let is_usable = site.state == SiteState::Confirmed
            && site.north_m.is_finite()
            && site.east_m.is_finite();
        is_usable.then_some(Self {
            place: GroundPoint {
                north_m: site.north_m,
                east_m: site.east_m,
            },
            clearance_m: site.clearance_m,
            belief: site.belief,
            epoch: brief.epoch,
            word: Word::Silent(Reason::GoLost),
            heard_at: brief.captured_at,
            go_at: None,
            disturbed: 0,
            clear_at: None,
        })
    }

    /// Takes a frame's word in.
    pub(super) fn hear(&mut self, brief: &Brief) {
        if brief.epoch != self.epoch || brief.captured_at <= self.heard_at {
            return;
        }
        self.heard_at = brief.captured_at;
        let said = brief.watched.filter(|w| {
            let place = GroundPoint {
                north_m: w.site.north_m,
                east_m: w.site.east_m,
            };
            self.distance_m(place) <= SAME_PLACE_M
        });
        self.word = match said {
            None => self.offer_as_word(brief),
            Some(w) => match w.monitor {
                Verdict::Abort => Word::Veto(Reason::of_monitor(w.monitor_reasons, true)),
                _ if !w.is_clear => Word::NotClear,
                Verdict::Wait => Word::Silent(Reason::of_monitor(w.monitor_reasons, false)),
                Verdict::Go if !w.in_picture => Word::Unseen,
                Verdict::Go => Word::Go,
            },
        };
        if matches!(self.word, Word::Go | Word::Unseen) {
            self.clear_at = Some(brief.captured_at);
        }
        if self.word == Word::Go {
            self.go_at = Some(brief.captured_at);
            if let Some(w) = said {
                self.clearance_m = w.site.clearance_m;
                self.belief = w.site.belief;
            }
        }
    }

    /// Before the landing stage watches it, the offer itself is the word.
    fn offer_as_word(&self, brief: &Brief) -> Word {
        let is_offered =
            Self::offered(brief).is_some_and(|other| self.distance_m(other.place) <= SAME_PLACE_M);
        if is_offered {
            Word::Go
        } else {
            Word::Silent(Reason::GoLost)
        }
    }

    /// A GO young enough to command on.
    pub(super) fn has_go(&self, now: MonoTime, max_age_s: f64) -> bool {
        self.go_at.is_some_and(|at| is_fresh(at, now, max_age_s))
    }

    /// Known to be clear, seen or not.
    pub(super) fn is_clear(&self, now: MonoTime, max_age_s: f64) -> bool {
        self.clear_at.is_some_and(|at| is_fresh(at, now, max_age_s))
    }

    /// The newest frame speaks against it, not merely of nothing.
    pub(super) fn is_objected_to(&self) -> bool {
        matches!(self.word, Word::NotClear | Word::Veto(_))
    }

    /// Something moves on the site or around it.
    pub(super) fn is_restless(&self) -> bool {
        matches!(
            self.word,
            Word::Silent(Reason::MonitorWaits(Some(MonitorReason::MotionAround)))
                | Word::Veto(Reason::MonitorVetoes(Some(
                    MonitorReason::Motion | MonitorReason::MotionAround
                )))
        )
    }

    /// Why it is not GO.
    pub(super) fn objection(&self) -> Reason {
        match self.word {
            Word::Go | Word::Unseen => Reason::GoLost,
            Word::NotClear => Reason::NotClear,
            Word::Silent(reason) | Word::Veto(reason) => reason,
        }
    }

    /// From the site's centre, metres.
    pub(super) fn distance_m(&self, place: GroundPoint) -> f64 {
        (self.place.north_m - place.north_m).hypot(self.place.east_m - place.east_m)
    }
}
