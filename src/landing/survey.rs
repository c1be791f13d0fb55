//! The ground around the picture, cell by cell, ready to be searched: hazards, clearance, why a cell cannot hold a site.

use super::clearance::{DistanceTransform, FAR};
use super::config::LandingConfig;
use super::decision::SiteReject;
use super::grid::{CellId, CellRect};
use super::hazard::{HazardRule, Hazards, KINDS, firm, landable};
use super::map::SemanticMap;
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

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
    landable: f32,
    firm: f32,
    age_s: f32,
    hazards: Hazards,
    in_picture: bool,
}

const NOWHERE: Ground = Ground {
    landable: 0.0,
    firm: 0.0,
    age_s: f32::INFINITY,
    hazards: Hazards::UNKNOWN,
    in_picture: false,
};

/// Means over a disc.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DiscStats {
    /// Mean belief that the ground is landable.
    pub(super) mean: f32,
    /// The least believed cell.
    pub(super) worst: f32,
    /// Mean belief that it is hard.
    pub(super) firm: f32,
    /// Mean age of the last look, seconds.
    pub(super) age_s: f32,
    /// Time since any part of it was last looked at, seconds.
    pub(super) youngest_s: f32,
    /// No cell has a hazard.
    pub(super) is_clean: bool,
    /// Distance from its centre to the nearest hazard after its buffer, metres, at most 1000.
    pub(super) clearance_m: f64,
}

impl DiscStats {
    const EMPTY: Self = Self {
        mean: 0.0,
        worst: 1.0,
        firm: 0.0,
        age_s: 0.0,
        youngest_s: f32::INFINITY,
        is_clean: true,
        clearance_m: 0.0,
    };

    fn take(&mut self, g: &Ground) {
        self.mean += g.landable;
        self.firm += g.firm;
        self.age_s += g.age_s;
        self.worst = self.worst.min(g.landable);
        self.youngest_s = self.youngest_s.min(g.age_s);
        self.is_clean &= g.hazards.is_empty();
    }

    fn divide(&mut self, count: f32) {
        self.mean /= count;
        self.firm /= count;
        self.age_s /= count;
    }
}

/// Owns all memory for the search window.
#[derive(Debug)]
pub(super) struct Survey {
    rule: HazardRule,
    config: LandingConfig,
    cell_m: f64,
    rect: CellRect,
    zone: CellRect,
    ground: Vec<Ground>,
    /// Distance to the nearest hazard after its buffer, metres.
    clearance: Vec<f32>,
    /// Clearance that a site needs there, metres.
    need: Vec<f32>,
    /// Distance to the nearest person, metres.
    person: Vec<f32>,
    /// Distance to the nearest cell that is not in the picture, metres.
    inside: Vec<f32>,
    /// First reason against the cell.
    reject: Vec<Option<SiteReject>>,
    /// Sum of `landable` from the row's start up to and without the cell.
    prefix: Vec<f32>,
    /// Half width of the disc that must be free, in cells, by distance from its middle row.
    halves: Vec<usize>,
    transform: DistanceTransform,
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
            zone: CellRect::default(),
            ground: vec![NOWHERE; cells],
            clearance: vec![0.0; cells],
            need: vec![FAR; cells],
            person: vec![FAR; cells],
            inside: vec![0.0; cells],
            reject: vec![None; cells],
            prefix: vec![0.0; cells + side],
            halves: Vec::with_capacity(side + 1),
            transform: DistanceTransform::new(cells, side),
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
        let last = (
            self.rect.rows.wrapping_sub(1),
            self.rect.columns.wrapping_sub(1),
        );
        let mut slots = self.ground.iter_mut();
        for r in 0..self.rect.rows {
            for c in 0..self.rect.columns {
                // The ring stands for everything beyond: never trusted.
                let is_ring = r == 0 || c == 0 || r == last.0 || c == last.1;
                let state = (!is_ring)
                    .then(|| map.state(self.rect.cell(r, c), at))
                    .flatten();
                if let Some(slot) = slots.next() {
                    *slot = state.map_or(NOWHERE, |s| Ground {
                        landable: landable(&s),
                        firm: firm(&s),
                        age_s: s.age_s,
                        hazards: self.rule.of(&s),
                        in_picture: s.in_picture,
                    });
                }
            }
        }
        self.sum_rows();
        self.measure(stand);
        self.judge(stand);
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
        self.rect = self
            .zone
            .union(&watched.intersection(&map.seen()))
            .grown(cells(reach))
            .intersection(&map.seen())
            .grown(1);
    }

    fn sum_rows(&mut self) {
        let columns = self.rect.columns;
        if columns == 0 {
            return;
        }
        let rows = self.ground.chunks_exact(columns).take(self.rect.rows);
        for (row, sums) in rows.zip(self.prefix.chunks_exact_mut(columns + 1)) {
            let mut sum = 0.0;
            let mut sums = sums.iter_mut();
            for g in row {
                if let Some(s) = sums.next() {
                    *s = sum;
                }
                sum += g.landable;
            }
            if let Some(s) = sums.next() {
                *s = sum;
            }
        }
    }

    /// Clearance over all kinds, and the first kind that is too near.
    fn measure(&mut self, stand: &Standpoint) {
        let (count, columns) = (self.rect.len(), self.rect.columns);
        let cell_m = self.cell_m as f32;
        let ground = self.ground.get(..count).unwrap_or_default();
        let outside = ground.iter().map(|g| !g.in_picture);
        let inside = self.transform.run(columns, cell_m, outside);
        copy(&mut self.inside, inside);
        self.clearance.iter_mut().take(count).for_each(|c| *c = FAR);
        self.reject.iter_mut().take(count).for_each(|r| *r = None);
        self.person.iter_mut().take(count).for_each(|p| *p = FAR);
        let need = Need::new(&self.config, self.cell_m, stand);
        for (slot, id) in self.need.iter_mut().zip(self.rect.cells()) {
            *slot = need.at(id);
        }
        for kind in KINDS {
            if !ground.iter().any(|g| g.hazards.contains(kind)) {
                continue;
            }
            let buffer = self.config.hazard.buffer_m(kind, stand.height_m) as f32;
            let is_hazard = ground.iter().map(|g| g.hazards.contains(kind));
            let distance = self.transform.run(columns, cell_m, is_hazard);
            if kind == Surface::Person {
                copy(&mut self.person, distance);
            }
            let fields = self.clearance.iter_mut().zip(&mut self.reject);
            for ((d, need), (clear, reject)) in distance.iter().zip(&self.need).zip(fields) {
                let after = (d - buffer).max(0.0);
                *clear = clear.min(after);
                if reject.is_none() && after < *need {
                    *reject = Some(near(kind));
                }
            }
        }
    }

    /// The reasons that need more than a distance: not seen at all (first of all), and belief over the disc.
    fn judge(&mut self, stand: &Standpoint) {
        // A disc wider than the window has no clearance: its width no longer matters.
        let reach = self.reach(stand.error_m).min(self.rect.rows);
        self.halves.clear();
        self.halves
            .extend((0..=reach).map(|off| half_width(reach, off)));
        let min = self.config.select.min_disc_belief as f32;
        for i in 0..self.rect.len() {
            let Some(g) = self.ground.get(i) else { return };
            let reason = if g.hazards.contains(Surface::Unknown) {
                Some(SiteReject::Unknown)
            } else {
                match self.reject.get(i).copied().flatten() {
                    None if self.mean_belief(i) < min => Some(SiteReject::LowBelief),
                    other => other,
                }
            };
            if let Some(slot) = self.reject.get_mut(i) {
                *slot = reason;
            }
        }
    }

    /// Radius in cells of the disc that must be free, whatever touches it.
    fn reach(&self, error_m: f64) -> usize {
        ((self.config.disc_radius_m() + error_m) / self.cell_m)
            .ceil()
            .min(1e4) as usize
    }

    /// Mean belief over the disc around a cell; 0 where the disc leaves the window.
    fn mean_belief(&self, index: usize) -> f32 {
        let columns = self.rect.columns;
        let (row, column) = (index / columns, index % columns);
        let (mut sum, mut count) = (0.0, 0);
        for (off, &half) in self.halves.iter().enumerate() {
            let (from, to) = (
                column.saturating_sub(half),
                (column + half + 1).min(columns),
            );
            for r in [row.wrapping_sub(off), row + off] {
                if r >= self.rect.rows {
                    return 0.0;
                }
                let sums = self.prefix.get(r * (columns + 1)..(r + 1) * (columns + 1));
                let at = |c: usize| sums.and_then(|s| s.get(c)).copied();
                let (Some(a), Some(b)) = (at(from), at(to)) else {
                    return 0.0;
                };
                sum += b - a;
                count += to - from;
                if off == 0 {
                    break;
                }
            }
        }
        sum / count.max(1) as f32
    }

    /// Means and extremes over the disc of a site, one cell more than its radius on every side.
    pub(super) fn disc(&self, id: CellId) -> Option<DiscStats> {
        let reach = self.reach(0.0) as i32;
        let mut stats = DiscStats::EMPTY;
        let mut count = 0.0_f32;
        for dn in -reach..=reach {
            let half = half_width(reach as usize, dn.unsigned_abs() as usize) as i32;
            for de in -half..=half {
                stats.take(self.ground.get(self.rect.index(CellId {
                    north: id.north + dn,
                    east: id.east + de,
                })?)?);
                count += 1.0;
            }
        }
        stats.divide(count);
        stats.clearance_m = self.clearance_m(id);
        Some(stats)
    }

    /// The part of a disc that is in the picture, for a picture smaller than the disc; `None` when there is none. Outside
    /// the picture, ground seen before is danger for what it was seen to be, not for having been forgotten.
    pub(super) fn part_in_picture(&self, id: CellId, height_m: f64) -> Option<DiscStats> {
        let buffers = KINDS.map(|k| (k, self.config.hazard.buffer_m(k, height_m)));
        let radius_m = self.config.disc_radius_m();
        let mut stats = DiscStats::EMPTY;
        let (mut clearance_m, mut count) = (1000.0_f64, 0.0_f32);
        for (cell, g) in self.rect.cells().zip(&self.ground) {
            let (dn, de) = (
                f64::from(cell.north - id.north),
                f64::from(cell.east - id.east),
            );
            if g.in_picture && dn.hypot(de) * self.cell_m <= radius_m {
                stats.take(g);
                count += 1.0;
            }
            let is_forgotten = !g.in_picture && g.age_s.is_finite();
            if g.hazards.is_empty() {
                continue;
            }
            let to_edge = |d: f64| (d.abs() - 0.5).max(0.0);
            let away_m = to_edge(dn).hypot(to_edge(de)) * self.cell_m;
            for (kind, buffer_m) in buffers {
                let counts = kind != Surface::Unknown || !is_forgotten;
                if counts && g.hazards.contains(kind) {
                    clearance_m = clearance_m.min((away_m - buffer_m).max(0.0));
                }
            }
        }
        stats.divide(count);
        stats.clearance_m = clearance_m;
        (count > 0.0).then_some(stats)
    }

    /// First reason against a site centred there, or none; unknown outside the zone.
    pub(super) fn reason(&self, id: CellId) -> Option<SiteReject> {
        if !self.zone.contains(id) {
            return Some(SiteReject::Unknown);
        }
        self.reason_anywhere(id)
    }

    /// The same, also outside the zone; unknown outside the window.
    pub(super) fn reason_anywhere(&self, id: CellId) -> Option<SiteReject> {
        match self.rect.index(id).and_then(|i| self.reject.get(i)) {
            Some(reason) => *reason,
            None => Some(SiteReject::Unknown),
        }
    }

    /// Distance to the nearest hazard after its buffer, metres; 0 outside the window, at most 1000.
    pub(super) fn clearance_m(&self, id: CellId) -> f64 {
        f64::from(self.value(&self.clearance, id, 0.0)).min(1000.0)
    }

    /// Distance to the nearest person or animal, metres; far outside the window.
    pub(super) fn person_distance_m(&self, id: CellId) -> f64 {
        f64::from(self.value(&self.person, id, FAR))
    }

    /// Whether a site's disc lies wholly inside the last picture.
    pub(super) fn is_in_picture(&self, id: CellId) -> bool {
        f64::from(self.value(&self.inside, id, 0.0)) >= self.config.disc_radius_m()
    }

    /// Belief that a cell is landable; 0 outside the window.
    pub(super) fn landable(&self, id: CellId) -> f32 {
        let ground = self.rect.index(id).and_then(|i| self.ground.get(i));
        ground.map_or(0.0, |g| g.landable)
    }

    fn value(&self, field: &[f32], id: CellId, otherwise: f32) -> f32 {
        let found = self.rect.index(id).and_then(|i| field.get(i));
        found.copied().unwrap_or(otherwise)
    }
}

/// Clearance that a site needs at a place.
struct Need {
    base: f32,
    per_m: f32,
    below: [f32; 2],
    cell_m: f32,
}

impl Need {
    fn new(config: &LandingConfig, cell_m: f64, stand: &Standpoint) -> Self {
        Self {
            base: (config.disc_radius_m() + stand.error_m) as f32,
            per_m: stand.error_per_m as f32,
            below: [
                (stand.below.north_m / cell_m - 0.5) as f32,
                (stand.below.east_m / cell_m - 0.5) as f32,
            ],
            cell_m: cell_m as f32,
        }
    }

    fn at(&self, id: CellId) -> f32 {
        if self.per_m <= 0.0 {
            return self.base;
        }
        let (dn, de) = (
            id.north as f32 - self.below[0],
            id.east as f32 - self.below[1],
        );
        self.base + self.per_m * (dn * dn + de * de).sqrt() * self.cell_m
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

fn copy(to: &mut [f32], from: &[f32]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t = *f;
    }
}

/// Half the width of a disc of `reach` cells, `off` rows from its middle.
fn half_width(reach: usize, off: usize) -> usize {
    let (reach, off) = (reach as f32, off as f32);
    (reach * reach - off * off).max(0.0).sqrt() as usize
}
