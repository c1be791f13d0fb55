//! The ground around the picture, cell by cell, ready to be searched: hazards, clearance, why a cell cannot hold a site.

mod answers;
mod means;
mod need;

use std::ops::Range;

use super::belief::LANES;
use super::clearance::{Band, Distances, FAR};
use super::config::LandingConfig;
use super::decision::SiteReject;
use super::grid::{CellId, CellRect};
use super::hazard::{HazardRule, Hazards, KINDS, landable_lanes};
use super::map::{SemanticMap, States};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::time::MonoTime;
pub(super) use answers::DiscStats;
use need::Need;

/// Where the vehicle is and how sure it is of that, at the frame's capture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standpoint {
    /// The ground below it.
    pub(super) below: GroundPoint,
    /// Its height above ground, metres.
    pub(super) height_m: f64,
    /// Position error of any ground point, one standard deviation, metres.
    pub(super) error_m: f64,
    /// Further error for each metre of distance from `below` (a wrong height scales the ground).
    pub(super) error_per_m: f64,
}

impl Standpoint {
    /// Horizontal distance to a point, metres.
    pub(super) fn distance_m(&self, g: GroundPoint) -> f64 {
        (g.north_m - self.below.north_m).hypot(g.east_m - self.below.east_m)
    }

    /// Position error at a point, metres.
    pub(super) fn error_at_m(&self, g: GroundPoint) -> f64 {
        self.error_m + self.error_per_m * self.distance_m(g)
    }
}

/// What one cell offers.
#[derive(Debug, Clone, Copy)]
struct Ground {
    firm: f32,
    age_s: f32,
    hazards: Hazards,
    in_picture: bool,
}

const NOWHERE: Ground = Ground {
    firm: 0.0,
    age_s: f32::INFINITY,
    hazards: Hazards::UNKNOWN,
    in_picture: false,
};

/// Owns all memory for the search window.
#[derive(Debug)]
pub(super) struct Survey {
    rule: HazardRule,
    config: LandingConfig,
    cell_m: f64,
    /// The window: everything that bears on a site.
    rect: CellRect,
    /// The part of it that is judged: the zone and the watched cell.
    judged: CellRect,
    zone: CellRect,
    ground: Vec<Ground>,
    landable: Vec<f32>,
    /// Distances to each kind of hazard that is there, in the order of [`KINDS`]; and to cells out of the picture.
    kinds: [Distances; KINDS.len()],
    outside: Distances,
    present: Hazards,
    /// Distance kept from each kind, metres.
    buffers: [f32; KINDS.len()],
    /// Distance to the nearest hazard after its buffer, metres; no more than [`FAR`] where it no longer matters.
    clearance: Vec<f32>,
    /// The disc lies wholly inside the picture.
    is_inside: Vec<bool>,
    /// First reason against the cell.
    reject: Vec<Option<SiteReject>>,
    /// Sum of `landable` from the row's start up to and without the cell.
    prefix: Vec<f32>,
    /// Half width of the disc that must be free, in cells, by distance from its middle row.
    halves: Vec<usize>,
    band: Band,
    work: Work,
}

/// One row in work.
#[derive(Debug)]
struct Work {
    /// Clearance that a site needs there, metres.
    need: Vec<f32>,
    clearance: Vec<f32>,
    /// First kind that is too near, as its place in [`KINDS`]; else their number.
    first: Vec<u32>,
    /// Sum of belief over the disc.
    belief: Vec<f32>,
    states: States,
}

impl Survey {
    pub(super) fn new(config: &LandingConfig, side: usize) -> Self {
        // The window may stick out of the map by its ring of unknown cells.
        let side = side + 2;
        let cells = side * side;
        Self {
            rule: HazardRule::new(&config.hazard),
            config: config.clone(),
            cell_m: config.map.cell_m,
            rect: CellRect::default(),
            judged: CellRect::default(),
            zone: CellRect::default(),
            ground: vec![NOWHERE; cells],
            landable: vec![0.0; cells],
            kinds: KINDS.map(|_| Distances::new(cells)),
            outside: Distances::new(cells),
            present: Hazards::default(),
            buffers: [0.0; KINDS.len()],
            clearance: vec![0.0; cells],
            is_inside: vec![false; cells],
            reject: vec![None; cells],
            prefix: vec![0.0; cells + side],
            halves: Vec::with_capacity(side + 1),
            band: Band::new(side),
            work: Work {
                need: vec![FAR; side],
                clearance: vec![FAR; side],
                first: vec![0; side],
                belief: vec![0.0; side],
                states: States::new(),
            },
        }
    }

    /// The cells that may hold a site's centre.
    pub(super) fn zone(&self) -> CellRect {
        self.zone
    }

    pub(super) fn cell_m(&self) -> f64 {
        self.cell_m
    }

    /// Looks at the map around the picture's footprint and around a watched cell, at a moment.
    pub(super) fn look(
        &mut self,
        map: &SemanticMap,
        (footprint, watched): (CellRect, Option<CellId>),
        stand: &Standpoint,
        at: MonoTime,
    ) {
        self.place(map, (footprint, watched), stand);
        self.take_in(map, at);
        self.sum_rows();
        self.measure(stand);
        self.judge(stand);
    }

    /// Reads the window's cells off the map. The ring around it stands for everything beyond: never trusted.
    fn take_in(&mut self, map: &SemanticMap, at: MonoTime) {
        let (rows, columns) = (self.rect.rows, self.rect.columns);
        if columns == 0 {
            return;
        }
        self.present = Hazards::UNKNOWN;
        for r in 0..rows {
            let span = r * columns..(r + 1) * columns;
            if let (Some(ground), Some(landable)) = (
                self.ground.get_mut(span.clone()),
                self.landable.get_mut(span.clone()),
            ) {
                ground.fill(NOWHERE);
                landable.fill(0.0);
            }
            if r > 0 && r + 1 < rows {
                self.take_in_row(map, r, (span.start + 1..span.end - 1, at));
            }
        }
    }

    /// Reads the cells of a row at these places.
    fn take_in_row(&mut self, map: &SemanticMap, row: usize, (span, at): (Range<usize>, MonoTime)) {
        let (Some(ground), Some(beliefs)) = (
            self.ground.get_mut(span.clone()),
            self.landable.get_mut(span),
        ) else {
            return;
        };
        let chunks = ground.chunks_mut(LANES).zip(beliefs.chunks_mut(LANES));
        for (chunk, (ground, beliefs)) in chunks.enumerate() {
            let first = self.rect.cell(row, 1 + chunk * LANES);
            let states = &mut self.work.states;
            map.states(first, ground.len(), at, states);
            if !states.memory.iter().any(|m| m.is_seen) {
                continue;
            }
            let mut hazards = [Hazards::UNKNOWN; LANES];
            self.rule.of(states, &mut hazards);
            let [firm, ..] = &states.beliefs;
            let landable = landable_lanes(&states.beliefs);
            let numbers = landable.iter().zip(firm).zip(&states.times.age_s);
            let cells = states.memory.iter().zip(hazards).zip(numbers);
            for ((slot, belief), ((memory, hazards), ((landable, firm), age_s))) in
                ground.iter_mut().zip(beliefs).zip(cells)
            {
                if !memory.is_seen {
                    continue;
                }
                self.present = self.present.and(hazards);
                *belief = *landable;
                *slot = Ground {
                    firm: *firm,
                    age_s: *age_s,
                    hazards,
                    in_picture: memory.in_picture,
                };
            }
        }
    }

    /// Chooses the rectangles: sites are searched in the zone, hazards as far around it and around the watched cell as a
    /// buffer reaches.
    fn place(
        &mut self,
        map: &SemanticMap,
        (footprint, watched): (CellRect, Option<CellId>),
        stand: &Standpoint,
    ) {
        let cells = |m: f64| (m / self.cell_m).ceil().clamp(0.0, 2000.0) as usize;
        let hazard = &self.config.hazard;
        let reach = KINDS
            .into_iter()
            .map(|k| hazard.buffer_m(k, stand.height_m))
            .fold(0.0, f64::max)
            + self.config.disc_radius_m();
        let margin = cells(self.config.select.search_margin_m);
        self.zone = footprint.grown(margin).intersection(&map.seen());
        let watched = watched.map_or(CellRect::default(), |id| CellRect::spanning(id, id));
        self.judged = self.zone.union(&watched.intersection(&map.seen()));
        self.rect = self
            .judged
            .grown(cells(reach))
            .intersection(&map.seen())
            .grown(1);
    }

    fn sum_rows(&mut self) {
        let columns = self.rect.columns;
        if columns == 0 {
            return;
        }
        let rows = self.landable.chunks_exact(columns).take(self.rect.rows);
        for (row, sums) in rows.zip(self.prefix.chunks_exact_mut(columns + 1)) {
            let mut sum = 0.0;
            let mut sums = sums.iter_mut();
            for p in row {
                if let Some(s) = sums.next() {
                    *s = sum;
                }
                sum += p;
            }
            if let Some(s) = sums.next() {
                *s = sum;
            }
        }
    }

    /// Clearance over all kinds, the first kind that is too near, and whether the disc lies inside the picture.
    fn measure(&mut self, stand: &Standpoint) {
        let columns = self.rect.columns;
        let ground = self.ground.get(..self.rect.len()).unwrap_or_default();
        self.outside
            .fill(columns, ground.iter().map(|g| !g.in_picture));
        self.buffers = KINDS.map(|k| self.config.hazard.buffer_m(k, stand.height_m) as f32);
        for (kind, distances) in KINDS.into_iter().zip(&mut self.kinds) {
            if self.present.contains(kind) {
                distances.fill(columns, ground.iter().map(|g| g.hazards.contains(kind)));
            }
        }
        let need = Need::new(&self.config, self.cell_m, stand);
        let corners = [self.judged.first(), self.judged.last()];
        let corners = corners.map(|a| {
            corners.map(|b| {
                need.at(CellId {
                    north: a.north,
                    east: b.east,
                })
            })
        });
        // Clearance beyond this no longer matters to anything.
        let enough = self.config.disc_radius_m() + self.config.select.enough_clearance_m;
        let most = corners
            .as_flattened()
            .iter()
            .fold(enough as f32, |a, b| a.max(*b));
        for row in 0..self.judged.rows {
            self.measure_row(self.judged.cell(row, 0), &need, most);
        }
    }

    fn measure_row(&mut self, first: CellId, need: &Need, most_m: f32) {
        let (row, part, span) = self.known_part(first);
        let first = CellId {
            east: self.rect.east + part.start as i32,
            ..first
        };
        let cell_m = self.cell_m as f32;
        let reach = |m: f32| (m / cell_m + 0.5).ceil().min(1e4) as usize;
        let n = part.len();
        let (Some(needs), Some(clears), Some(firsts)) = (
            self.work.need.get_mut(..n),
            self.work.clearance.get_mut(..n),
            self.work.first.get_mut(..n),
        ) else {
            return;
        };
        need.along(first, needs);
        clears.fill(FAR);
        firsts.fill(KINDS.len() as u32);
        let kinds = self.kinds.iter().zip(self.buffers).zip(KINDS).enumerate();
        for (index, ((distances, buffer), kind)) in kinds {
            if !self.present.contains(kind) {
                continue;
            }
            let squared = self
                .band
                .row(distances, row, part.clone(), reach(most_m + buffer));
            let Some(squared) = squared else { continue };
            let fields = clears.iter_mut().zip(firsts.iter_mut()).zip(needs.iter());
            for (d, ((clear, first), need)) in squared.iter().zip(fields) {
                let after = (d.sqrt() * cell_m - buffer).max(0.0);
                *clear = clear.min(after);
                *first = (*first).min(if after < *need {
                    index as u32
                } else {
                    u32::MAX
                });
            }
        }
        let radius_m = self.config.disc_radius_m();
        let inside = self
            .band
            .row(&self.outside, row, part, reach(radius_m as f32));
        let (Some(is_inside), Some(clearance), Some(reject)) = (
            self.is_inside.get_mut(span.clone()),
            self.clearance.get_mut(span.clone()),
            self.reject.get_mut(span),
        ) else {
            return;
        };
        is_inside.fill(true);
        for (is_inside, d) in is_inside.iter_mut().zip(inside.unwrap_or_default()) {
            *is_inside = f64::from(d.sqrt() * cell_m) >= radius_m;
        }
        clearance.copy_from_slice(clears);
        for (slot, first) in reject.iter_mut().zip(firsts) {
            *slot = KINDS.get(*first as usize).map(|k| near(*k));
        }
    }

    /// Of a row of the judged cells, the part that is not unknown ground at both ends, as [`Self::part`] has it. The ends
    /// are turned away: nothing else about them matters.
    fn known_part(&mut self, first: CellId) -> (usize, Range<usize>, Range<usize>) {
        let (row, part, span) = self.part(first);
        if let (Some(is_inside), Some(clearance), Some(reject)) = (
            self.is_inside.get_mut(span.clone()),
            self.clearance.get_mut(span.clone()),
            self.reject.get_mut(span.clone()),
        ) {
            is_inside.fill(false);
            clearance.fill(0.0);
            reject.fill(Some(SiteReject::Unknown));
        }
        let ground = self.ground.get(span.clone()).unwrap_or_default();
        let is_known = |g: &Ground| !g.hazards.contains(Surface::Unknown);
        let west = ground.iter().position(is_known).unwrap_or(ground.len());
        let end = ground.iter().rposition(is_known).map_or(west, |i| i + 1);
        (
            row,
            part.start + west..part.start + end,
            span.start + west..span.start + end,
        )
    }

    /// A row of the judged cells: its number in the window, its columns there, and their places in the window's memory.
    fn part(&self, first: CellId) -> (usize, Range<usize>, Range<usize>) {
        let row = (first.north - self.rect.north) as usize;
        let column = (first.east - self.rect.east) as usize;
        let part = column..column + self.judged.columns;
        let start = row * self.rect.columns;
        (row, part.clone(), start + part.start..start + part.end)
    }

    /// The reasons that need more than a distance: not seen at all (first of all), and belief over the disc.
    fn judge(&mut self, stand: &Standpoint) {
        // A disc wider than the window has no clearance: its width no longer matters.
        let reach = self.reach(stand.error_m).min(self.rect.rows);
        self.halves.clear();
        self.halves
            .extend((0..=reach).map(|off| half_width(reach, off)));
        let min = self.config.select.min_disc_belief as f32;
        for r in 0..self.judged.rows {
            let (row, part, span) = self.part(self.judged.cell(r, 0));
            let is_open = |s: &[Option<SiteReject>]| s.iter().any(Option::is_none);
            if self.reject.get(span.clone()).is_some_and(is_open) {
                self.mean_beliefs(row, &part);
            }
            let (Some(reject), Some(ground)) =
                (self.reject.get_mut(span.clone()), self.ground.get(span))
            else {
                return;
            };
            for ((slot, g), belief) in reject.iter_mut().zip(ground).zip(&self.work.belief) {
                if g.hazards.contains(Surface::Unknown) {
                    *slot = Some(SiteReject::Unknown);
                } else if slot.is_none() && *belief < min {
                    *slot = Some(SiteReject::LowBelief);
                }
            }
        }
    }

    /// Radius in cells of the disc that must be free, whatever touches it.
    fn reach(&self, error_m: f64) -> usize {
        ((self.config.disc_radius_m() + error_m) / self.cell_m)
            .ceil()
            .min(1e4) as usize
    }
}

fn near(kind: Surface) -> SiteReject {
    match kind {
        Surface::Person => SiteReject::NearPerson,
        Surface::Vehicle => SiteReject::NearVehicle,
        Surface::Water => SiteReject::NearWater,
        Surface::Structure => SiteReject::NearStructure,
        Surface::Vegetation => SiteReject::NearVegetation,
        Surface::Obstacle => SiteReject::NearObstacle,
        Surface::Firm | Surface::Soft | Surface::Unknown => SiteReject::NearUnknown,
    }
}

/// Half the width of a disc of `reach` cells, `off` rows from its middle.
fn half_width(reach: usize, off: usize) -> usize {
    let (reach, off) = (reach as f32, off as f32);
    (reach * reach - off * off).max(0.0).sqrt() as usize
}
