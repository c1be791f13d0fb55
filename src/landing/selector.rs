//! Which place is best: a score for every place that nothing speaks against, the best ones kept apart.

use super::config::{LandingConfig, SelectConfig};
use super::decision::{RejectCounts, SiteReject};
use super::grid::CellId;
use super::survey::{DiscStats, Standpoint, Survey};
use crate::inference::classes::Surface;

/// A place where the drone could stand, as this frame and the map show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) id: CellId,
    pub(super) clearance_m: f64,
    pub(super) score: f64,
    pub(super) belief: f64,
    pub(super) surface: Surface,
    pub(super) in_picture: bool,
}

/// Ranks places. Owns the memory for the search.
#[derive(Debug)]
pub(super) struct Selector {
    config: SelectConfig,
    needed_m: f64,
    /// Cheap score of each cell of the zone; 0 where no site can be.
    rough: Vec<f32>,
    best: Vec<Place>,
}

impl Selector {
    pub(super) fn new(config: &LandingConfig, side: usize) -> Self {
        Self {
            config: config.select.clone(),
            needed_m: config.disc_radius_m(),
            rough: vec![0.0; side * side],
            best: Vec::with_capacity(Self::shortlist(&config.select)),
        }
    }

    /// Places looked at closely: twice as many as are offered, since the cheap score is only near the full one.
    fn shortlist(config: &SelectConfig) -> usize {
        2 * (1 + config.alternates)
    }

    /// The best places found by the last search, best first, kept apart; at most one more than the alternates.
    pub(super) fn best(&self) -> &[Place] {
        &self.best
    }

    /// Searches the zone for the best places of this picture.
    pub(super) fn search(&mut self, survey: &Survey, stand: &Standpoint) {
        self.rank_roughly(survey, stand);
        self.best.clear();
        let zone = survey.zone();
        for _ in 0..Self::shortlist(&self.config) {
            let Some(index) = self.highest(zone.len()) else {
                break;
            };
            let id = zone.cell(index / zone.columns, index % zone.columns);
            if let Some(place) = self.place(survey, stand, id) {
                self.best.push(place);
            }
            self.suppress(survey, id);
        }
        self.best
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        self.best.truncate(1 + self.config.alternates);
    }

    /// What a place offers; `None` when something speaks against it.
    pub(super) fn place(&self, survey: &Survey, stand: &Standpoint, id: CellId) -> Option<Place> {
        if survey.reason(id).is_some() {
            return None;
        }
        let disc = survey.disc(id).filter(|d| d.is_clean)?;
        Some(self.rate(survey, stand, id, &disc))
    }

    /// What a place offers, whatever speaks against it.
    pub(super) fn rate(
        &self,
        survey: &Survey,
        stand: &Standpoint,
        id: CellId,
        disc: &DiscStats,
    ) -> Place {
        let firm = f64::from(disc.firm) > 0.5 * f64::from(disc.mean);
        let age = 1.0 / (1.0 + f64::from(disc.age_s) / self.config.half_score_age_s);
        let surface = if firm {
            1.0
        } else {
            1.0 - self.config.soft_cost
        };
        let crossed = f64::from(people_crossed(survey, stand, id));
        let way_m = stand.distance_m(id.centre(survey.cell_m()));
        let score = self.rough_score(disc.clearance_m, way_m)
            * 0.5
            * f64::from(disc.mean + disc.worst)
            * age
            * surface
            * (1.0 - self.config.crossing_cost).powf(crossed);
        Place {
            id,
            clearance_m: disc.clearance_m,
            score,
            belief: f64::from(disc.mean),
            surface: if firm { Surface::Firm } else { Surface::Soft },
            in_picture: survey.is_in_picture(id),
        }
    }

    fn rank_roughly(&mut self, survey: &Survey, stand: &Standpoint) {
        let zone = survey.zone();
        let mut rough = std::mem::take(&mut self.rough);
        for (slot, id) in rough.iter_mut().zip(zone.cells()) {
            let is_open = survey.reason(id).is_none() && survey.is_in_picture(id);
            *slot = 0.0;
            if is_open {
                let way_m = stand.distance_m(id.centre(survey.cell_m()));
                let score = self.rough_score(survey.clearance_m(id), way_m);
                *slot = (score * f64::from(survey.landable(id))) as f32;
            }
        }
        self.rough = rough;
    }

    /// Clearance and way to fly, 0 to 1: clearance beyond the needed one counts until it is enough.
    fn rough_score(&self, clearance_m: f64, way_m: f64) -> f64 {
        let spare = (clearance_m - self.needed_m).max(0.0);
        let free = 0.4 + 0.6 * (spare / self.config.enough_clearance_m).min(1.0);
        free / (1.0 + way_m / self.config.far_m)
    }

    fn highest(&self, cells: usize) -> Option<usize> {
        let mut best = (None, 0.0);
        for (i, &s) in self.rough.iter().take(cells).enumerate() {
            if s > best.1 {
                best = (Some(i), s);
            }
        }
        best.0
    }

    /// Non-maximum suppression: nothing nearer than the separation competes any longer.
    fn suppress(&mut self, survey: &Survey, around: CellId) {
        let zone = survey.zone();
        let reach = (self.config.separation_m / survey.cell_m()).ceil() as i32;
        for north in around.north - reach..=around.north + reach {
            for east in around.east - reach..=around.east + reach {
                let id = CellId { north, east };
                if !is_near(around, id, reach) {
                    continue;
                }
                if let Some(slot) = zone.index(id).and_then(|i| self.rough.get_mut(i)) {
                    *slot = 0.0;
                }
            }
        }
    }

    /// Counts every cell of the zone that is not offered, under the first reason that applies.
    pub(super) fn count_rejects(
        &self,
        survey: &Survey,
        offered: &[CellId],
        counts: &mut RejectCounts,
    ) {
        let reach = (self.config.separation_m / survey.cell_m()).ceil() as i32;
        for id in survey.zone().cells() {
            if let Some(reason) = survey.reason(id) {
                counts.add(reason);
            } else if offered.contains(&id) {
                // It is offered.
            } else if offered.iter().any(|o| is_near(*o, id, reach)) {
                counts.add(SiteReject::Suppressed);
            } else if !survey.is_in_picture(id) {
                counts.add(SiteReject::OutsidePicture);
            }
        }
    }
}

fn is_near(a: CellId, b: CellId, reach: i32) -> bool {
    let (n, e) = (i64::from(a.north - b.north), i64::from(a.east - b.east));
    n * n + e * e < i64::from(reach) * i64::from(reach)
}

/// Groups of people within a vehicle's disc of the straight way from the vehicle to a place.
fn people_crossed(survey: &Survey, stand: &Standpoint, to: CellId) -> u32 {
    /// Nobody wants a drone to pass nearer overhead, metres.
    const CORRIDOR_M: f64 = 1.0;
    let goal = to.centre(survey.cell_m());
    let steps = (stand.distance_m(goal) / survey.cell_m()).min(2000.0) as u32;
    let (mut groups, mut was_near) = (0, false);
    for i in 0..=steps {
        let t = f64::from(i) / f64::from(steps.max(1));
        let at = crate::geometry::GroundPoint {
            north_m: stand.below.north_m + t * (goal.north_m - stand.below.north_m),
            east_m: stand.below.east_m + t * (goal.east_m - stand.below.east_m),
        };
        let is_near = survey.person_distance_m(CellId::of(at, survey.cell_m())) < CORRIDOR_M;
        groups += u32::from(is_near && !was_near);
        was_near = is_near;
    }
    groups
}
