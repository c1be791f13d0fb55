//! What the surroundings say of one cell, of a disc, of a row of cells.

use super::{Ground, Survey, half_width};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::landing::decision::SiteReject;
use crate::landing::grid::CellId;
use crate::landing::hazard::KINDS;

/// Means over a disc.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::landing) struct DiscStats {
    /// Mean belief that the ground is landable.
    pub(in crate::landing) mean: f32,
    /// The least believed cell.
    pub(in crate::landing) worst: f32,
    /// Mean belief that it is hard.
    pub(in crate::landing) firm: f32,
    /// Mean age of the last look, seconds.
    pub(in crate::landing) age_s: f32,
    /// Time since any part of it was last looked at, seconds.
    pub(in crate::landing) youngest_s: f32,
    /// No cell has a hazard.
    pub(in crate::landing) is_clean: bool,
    /// Distance from its centre to the nearest hazard after its buffer, metres, at most 1000.
    pub(in crate::landing) clearance_m: f64,
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

    fn take(&mut self, g: &Ground, landable: f32) {
        self.mean += landable;
        self.firm += g.firm;
        self.age_s += g.age_s;
        self.worst = self.worst.min(landable);
        self.youngest_s = self.youngest_s.min(g.age_s);
        self.is_clean &= g.hazards.is_empty();
    }

    fn divide(&mut self, count: f32) {
        self.mean /= count;
        self.firm /= count;
        self.age_s /= count;
    }
}

/// What speaks for and against a site, for a part of a row of cells.
#[derive(Debug, Clone, Copy)]
pub(in crate::landing) struct RowOfCells<'a> {
    /// First reason against the cell.
    pub(in crate::landing) reject: &'a [Option<SiteReject>],
    /// Distance to the nearest hazard after its buffer, metres, as far as it counts for a score.
    pub(in crate::landing) clearance: &'a [f32],
    /// The disc lies wholly inside the picture.
    pub(in crate::landing) is_inside: &'a [bool],
    /// Belief that the cell is landable.
    pub(in crate::landing) landable: &'a [f32],
}

impl Survey {
    /// Means and extremes over the disc of a site, one cell more than its radius on every side.
    pub(in crate::landing) fn disc(&self, id: CellId) -> Option<DiscStats> {
        let reach = self.reach(0.0) as i32;
        let mut stats = DiscStats::EMPTY;
        let mut count = 0.0_f32;
        for dn in -reach..=reach {
            let half = half_width(reach as usize, dn.unsigned_abs() as usize) as i32;
            for de in -half..=half {
                let index = self.rect.index(CellId {
                    north: id.north + dn,
                    east: id.east + de,
                })?;
                stats.take(self.ground.get(index)?, *self.landable.get(index)?);
                count += 1.0;
            }
        }
        stats.divide(count);
        stats.clearance_m = self.clearance_m(id);
        Some(stats)
    }

    /// The part of a disc that is in the picture, for a picture smaller than the disc; `None` when there is none. Outside
    /// the picture, ground seen before is danger for what it was seen to be, not for having been forgotten.
    pub(in crate::landing) fn part_in_picture(
        &self,
        id: CellId,
        height_m: f64,
    ) -> Option<DiscStats> {
        let buffers = KINDS.map(|k| (k, self.config.hazard.buffer_m(k, height_m)));
        let radius_m = self.config.disc_radius_m();
        let mut stats = DiscStats::EMPTY;
        let (mut clearance_m, mut count) = (1000.0_f64, 0.0_f32);
        let cells = self.rect.cells().zip(&self.ground).zip(&self.landable);
        for ((cell, g), &landable) in cells {
            let (dn, de) = (
                f64::from(cell.north - id.north),
                f64::from(cell.east - id.east),
            );
            let away2 = dn * dn + de * de;
            if g.in_picture && away2 * self.cell_m * self.cell_m <= radius_m * radius_m {
                stats.take(g, landable);
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
    pub(in crate::landing) fn reason(&self, id: CellId) -> Option<SiteReject> {
        if !self.zone.contains(id) {
            return Some(SiteReject::Unknown);
        }
        self.reason_anywhere(id)
    }

    /// The same, also outside the zone; unknown outside the window.
    pub(in crate::landing) fn reason_anywhere(&self, id: CellId) -> Option<SiteReject> {
        let is_judged = self.judged.contains(id);
        let index = self.rect.index(id).filter(|_| is_judged);
        match index.and_then(|i| self.reject.get(i)) {
            Some(reason) => *reason,
            None => Some(SiteReject::Unknown),
        }
    }

    /// Distance to the nearest hazard after its buffer, metres; 0 outside the window, at most 1000.
    pub(in crate::landing) fn clearance_m(&self, id: CellId) -> f64 {
        let Some(index) = self.rect.index(id) else {
            return 0.0;
        };
        let (row, column) = (index / self.rect.columns, index % self.rect.columns);
        let cell_m = self.cell_m as f32;
        let mut clearance = 1000.0_f32;
        for ((kind, distances), buffer) in KINDS.into_iter().zip(&self.kinds).zip(self.buffers) {
            if self.present.contains(kind) {
                // Half a cell more than what would still be less.
                let within = (clearance + buffer) / cell_m + 0.5;
                let d = distances.cells2(row, column, within).sqrt() * cell_m;
                clearance = clearance.min((d - buffer).max(0.0));
            }
        }
        f64::from(clearance)
    }

    /// Whether a person or an animal is nearer than a distance in metres; not so outside the window.
    pub(in crate::landing) fn is_person_within(&self, id: CellId, metres: f64) -> bool {
        let distances = self
            .kinds
            .first()
            .filter(|_| self.present.contains(Surface::Person));
        let (Some(distances), Some(index)) = (distances, self.rect.index(id)) else {
            return false;
        };
        let (row, column) = (index / self.rect.columns, index % self.rect.columns);
        let cell_m = self.cell_m as f32;
        let within = metres as f32 / cell_m + 0.5;
        f64::from(distances.cells2(row, column, within).sqrt() * cell_m) < metres
    }

    /// Where there is a person or an animal in the window.
    pub(in crate::landing) fn people(&self) -> impl Iterator<Item = GroundPoint> {
        let ground = if self.has_person() {
            self.ground.as_slice()
        } else {
            &[]
        };
        let cells = self.rect.cells().zip(ground);
        cells
            .filter(|(_, g)| g.hazards.contains(Surface::Person))
            .map(|(cell, _)| cell.centre(self.cell_m))
    }

    /// Whether there is a person or an animal anywhere in the window.
    pub(in crate::landing) fn has_person(&self) -> bool {
        self.present.contains(Surface::Person)
    }

    /// Whether a site's disc lies wholly inside the last picture.
    pub(in crate::landing) fn is_in_picture(&self, id: CellId) -> bool {
        let is_judged = self.judged.contains(id);
        let index = self.rect.index(id).filter(|_| is_judged);
        index
            .and_then(|i| self.is_inside.get(i))
            .copied()
            .unwrap_or(false)
    }

    /// The cells of a row of the zone.
    pub(in crate::landing) fn zone_row(&self, row: usize) -> RowOfCells<'_> {
        let first = self.zone.cell(row, 0);
        let start = self.rect.index(first).unwrap_or(usize::MAX);
        let span = start..start.saturating_add(self.zone.columns);
        RowOfCells {
            reject: self.reject.get(span.clone()).unwrap_or_default(),
            clearance: self.clearance.get(span.clone()).unwrap_or_default(),
            is_inside: self.is_inside.get(span.clone()).unwrap_or_default(),
            landable: self.landable.get(span).unwrap_or_default(),
        }
    }
}
