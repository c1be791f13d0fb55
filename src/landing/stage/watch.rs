//! The watched place: the site that the vehicle is on its way to, judged on every frame, in view or not.
//!
//! | the picture holds | the disc is judged by |
//! |---|---|
//! | the whole disc, or could from this height | the map around it, as a candidate is; what is out of view is remembered |
//! | less than the disc (the vehicle is low) | the part in the picture; ground outside it is danger for what it was seen to be, not for having been forgotten |
//! | nothing of the disc | the map's memory alone, which fades |
//!
//! The map is fixed in the world, and a look at any part of the disc shows where it lies: its position error grows from
//! the last such look on, with the way that the vehicle may have flown since.

use super::{Landing, LandingInput, Observation};
use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::classes::Surface;
use crate::landing::check::{disc_px, is_inside};
use crate::landing::decision::{Site, SiteState, Watched};
use crate::landing::grid::CellId;
use crate::landing::map::CellState;
use crate::landing::monitor::{Patch, verdict};
use crate::landing::selector::Place;
use crate::landing::tracker::WatchLook;
use crate::time::MonoTime;

/// The disc at the watched place, as the map and the picture's outline show it.
#[derive(Debug, Clone, Copy)]
pub(super) struct WatchedDisc {
    pub(super) look: WatchLook,
    centre: GroundPoint,
    /// Where it appears, in the picture or not.
    px: Option<(Pixel, f64)>,
    /// It lies wholly inside the picture.
    in_picture: bool,
    /// The picture is smaller than the disc, and only the part inside is judged.
    is_part: bool,
}

impl Landing {
    /// Watches a place from the next frame on, until told otherwise or a new map is begun: [`LandingDecision::watched`]
    /// says on each frame what has become of it, and the site there keeps its identity and is held on to. `None`, or a
    /// place that is not finite, ends it.
    ///
    /// [`LandingDecision::watched`]: crate::landing::LandingDecision::watched
    pub fn watch(&mut self, place: Option<GroundPoint>) {
        self.watch = place.filter(|g| g.north_m.is_finite() && g.east_m.is_finite());
    }

    /// What the map and the picture's outline say of the watched disc, on a frame that is `frame_age_s` old.
    pub(super) fn watched_disc(
        &self,
        centre: GroundPoint,
        view: &View,
        seen: &Observation,
        frame_age_s: f64,
    ) -> WatchedDisc {
        let id = CellId::of(centre, self.config.map.cell_m);
        let px = disc_px(view, centre, self.config.disc_radius_m());
        let side = f64::from(view.camera().width.min(view.camera().height));
        let part = px
            .filter(|(_, radius)| 2.0 * radius > side)
            .and_then(|_| self.survey.part_in_picture(id, seen.stand.height_m));
        let is_part = part.is_some();
        let disc = part.or_else(|| self.survey.disc(id));
        let is_believed = if is_part {
            disc.is_some_and(|d| f64::from(d.mean) >= self.config.select.min_disc_belief)
        } else {
            self.survey.reason_anywhere(id).is_none()
        };
        // The frame's own age is part of the standpoint's error already.
        let age_s = disc.map_or(f64::INFINITY, |d| f64::from(d.youngest_s) - frame_age_s);
        let drift_m = self.config.track.drift_per_metre * age_s.max(0.0) * seen.speed_mps;
        let needed_m = self.config.disc_radius_m()
            + seen.stand.error_at_m(id.centre(self.config.map.cell_m))
            + drift_m;
        let is_clean = disc.is_some_and(|d| d.is_clean);
        let is_clear = is_believed && is_clean && disc.is_some_and(|d| d.clearance_m >= needed_m);
        let nothing = Place {
            id,
            clearance_m: 0.0,
            score: 0.0,
            belief: 0.0,
            surface: Surface::Unknown,
            in_picture: false,
        };
        let place = disc.map_or(nothing, |d| {
            self.selector.rate(&self.survey, &seen.stand, id, &d)
        });
        WatchedDisc {
            look: WatchLook {
                place,
                is_clear,
                is_clean,
            },
            centre,
            px,
            in_picture: px.is_some_and(|disc| is_inside(view, disc)),
            is_part,
        }
    }

    /// The monitor's word on the watched disc, and the disc as others see it.
    pub(super) fn judge_watched(
        &self,
        disc: &WatchedDisc,
        input: &LandingInput<'_>,
        at: MonoTime,
    ) -> Watched {
        let place = &disc.look.place;
        let track = self.tracker.watched();
        let is_confirmed = track.is_some_and(|t| self.tracker.is_confirmed(t));
        let shown = disc.px.filter(|_| disc.in_picture);
        let site = Site {
            id: track.map_or(0, |t| t.id),
            state: if is_confirmed {
                SiteState::Confirmed
            } else {
                SiteState::Candidate
            },
            north_m: disc.centre.north_m,
            east_m: disc.centre.east_m,
            radius_m: self.config.disc_radius_m(),
            clearance_m: place.clearance_m,
            surface: place.surface,
            belief: place.belief,
            confirmations: track.map_or(0, |t| self.tracker.confirmations(t)),
            score: place.score,
            px: shown.map(|(px, _)| [px.x, px.y]),
            radius_px: shown.map_or(0.0, |(_, r)| r),
        };
        let in_view = |state: Option<&CellState>| state.is_some_and(|s| s.in_picture);
        let (belief, entropy) = self.disc_belief(&site, at, |s| !disc.is_part || in_view(s));
        let patch = Patch {
            centre: disc.centre,
            radius_m: site.radius_m,
            belief,
            entropy,
            disc_px: disc.px,
            is_watched: true,
        };
        let reasons = self
            .monitor
            .judge(&patch, input.segmentation, input.view, input.range_m);
        Watched {
            site,
            is_clear: disc.look.is_clear,
            in_picture: disc.in_picture,
            monitor: verdict(reasons),
            monitor_reasons: reasons,
        }
    }
}
