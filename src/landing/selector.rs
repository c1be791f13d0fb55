//! Which place is best: a score for every place that nothing speaks against, the best ones kept apart.

use super::config::{LandingConfig, SelectConfig};
use super::decision::{RejectCounts, SiteReject};
use super::grid::CellId;
use super::people::People;
use super::survey::{DiscStats, Standpoint, Survey};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// The cheap score asks how far people are once for so many cells of a row.
const PEOPLE_RUN: usize = 8;

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
    people: People,
    /// Cheap score of each cell of the zone; 0 where no site can be.
    rough: Vec<f32>,
    /// The best of each row of the zone, and its column.
    row_best: Vec<(f32, usize)>,
    best: Vec<Place>,
}

impl Selector {
    pub(super) fn new(config: &LandingConfig, side: usize) -> Self {
        Self {
            config: config.select.clone(),
            needed_m: config.disc_radius_m(),
            people: People::new(&config.select),
            rough: vec![0.0; side * side],
            row_best: Vec::with_capacity(side),
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

    /// Forgets where people were seen.
    pub(super) fn clear(&mut self) {
        self.people.clear();
    }

    /// Searches the zone for the best places of this picture, captured at `at`.
    pub(super) fn search(&mut self, survey: &Survey, stand: &Standpoint, at: MonoTime) {
        self.people.see(survey.people(), at);
        self.rank_roughly(survey, stand);
        self.best.clear();
        let zone = survey.zone();
        for _ in 0..Self::shortlist(&self.config) {
            let Some((row, column)) = self.highest() else {
                break;
            };
            let id = zone.cell(row, column);
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
        let centre = id.centre(survey.cell_m());
        let way_m = stand.distance_m(centre);
        let score = self.rough_score(disc.clearance_m, way_m)
            * self.people.factor(centre)
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
        let cell_m = survey.cell_m();
        let mut rough = std::mem::take(&mut self.rough);
        self.row_best.clear();
        for (r, slots) in rough
            .chunks_exact_mut(zone.columns.max(1))
            .take(zone.rows)
            .enumerate()
        {
            let row = survey.zone_row(r);
            let first = zone.cell(r, 0).centre(cell_m);
            let north2 = (first.north_m - stand.below.north_m).powi(2);
            let east = first.east_m - stand.below.east_m;
            let fields = row.clearance.iter().zip(row.landable);
            let open = row.reject.iter().zip(row.is_inside);
            let mut people = 1.0;
            for (c, ((slot, (clearance, landable)), (reject, is_inside))) in
                slots.iter_mut().zip(fields).zip(open).enumerate()
            {
                if c % PEOPLE_RUN == 0 {
                    people = self.people.factor(GroundPoint {
                        east_m: first.east_m + (c + PEOPLE_RUN / 2) as f64 * cell_m,
                        ..first
                    });
                }
                let east = east + c as f64 * cell_m;
                let way_m = (north2 + east * east).sqrt();
                let score =
                    self.rough_score(f64::from(*clearance), way_m) * people * f64::from(*landable);
                let is_open = reject.is_none() && *is_inside;
                *slot = if is_open { score as f32 } else { 0.0 };
            }
            self.row_best.push(highest(slots));
        }
        self.rough = rough;
    }

    /// Clearance and way to fly, 0 to 1: clearance beyond the needed one counts until it is enough.
    fn rough_score(&self, clearance_m: f64, way_m: f64) -> f64 {
        let spare = (clearance_m - self.needed_m).max(0.0);
        let free = 0.4 + 0.6 * (spare / self.config.enough_clearance_m).min(1.0);
        free / (1.0 + way_m / self.config.far_m)
    }

    /// The best cell left; the southernmost, then the westernmost of equals.
    fn highest(&self) -> Option<(usize, usize)> {
        let mut best = (None, 0.0);
        for (row, &(score, column)) in self.row_best.iter().enumerate() {
            if score > best.1 {
                best = (Some((row, column)), score);
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
            let row = usize::try_from(north - zone.north).unwrap_or(usize::MAX);
            let start = row.saturating_mul(zone.columns);
            let cells = self.rough.get(start..start.saturating_add(zone.columns));
            if let (Some(best), Some(cells)) = (self.row_best.get_mut(row), cells) {
                *best = highest(cells);
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
        let zone = survey.zone();
        for r in 0..zone.rows {
            let row = survey.zone_row(r);
            for (c, (reject, is_inside)) in row.reject.iter().zip(row.is_inside).enumerate() {
                if let Some(reason) = reject {
                    counts.add(*reason);
                    continue;
                }
                let id = zone.cell(r, c);
                // Most cells are far from every site.
                let mut near = offered
                    .iter()
                    .filter(|o| is_near(**o, id, reach))
                    .peekable();
                match (near.peek().is_some(), near.any(|o| *o == id)) {
                    (true, true) => {}
                    (true, false) => counts.add(SiteReject::Suppressed),
                    (false, _) if *is_inside => {}
                    (false, _) => counts.add(SiteReject::OutsidePicture),
                }
            }
        }
    }
}

/// The highest of a row of scores and where it stands, the first of equals; 0 when there is none.
fn highest(scores: &[f32]) -> (f32, usize) {
    let most = scores.iter().fold(0.0_f32, |a, b| a.max(*b));
    let at = scores.iter().position(|s| *s >= most);
    (most, at.unwrap_or(0))
}

fn is_near(a: CellId, b: CellId, reach: i32) -> bool {
    let (n, e) = (i64::from(a.north - b.north), i64::from(a.east - b.east));
    n * n + e * e < i64::from(reach) * i64::from(reach)
}

/// Groups of people within a vehicle's disc of the straight way from the vehicle to a place.
fn people_crossed(survey: &Survey, stand: &Standpoint, to: CellId) -> u32 {
    /// Nobody wants a drone to pass nearer overhead, metres.
    const CORRIDOR_M: f64 = 1.0;
    if !survey.has_person() {
        return 0;
    }
    let goal = to.centre(survey.cell_m());
    let steps = (stand.distance_m(goal) / survey.cell_m()).min(2000.0) as u32;
    let (mut groups, mut was_near) = (0, false);
    for i in 0..=steps {
        let t = f64::from(i) / f64::from(steps.max(1));
        let at = GroundPoint {
            north_m: stand.below.north_m + t * (goal.north_m - stand.below.north_m),
            east_m: stand.below.east_m + t * (goal.east_m - stand.below.east_m),
        };
        let is_near = survey.is_person_within(CellId::of(at, survey.cell_m()), CORRIDOR_M);
        groups += u32::from(is_near && !was_near);
        was_near = is_near;
    }
    groups
}
