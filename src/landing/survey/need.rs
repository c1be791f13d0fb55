//! How far from hazards a site must be.

use super::Standpoint;
use crate::landing::config::LandingConfig;
use crate::landing::grid::CellId;

/// Clearance that a site needs at a place.
pub(super) struct Need {
    base: f32,
    per_m: f32,
    below: [f32; 2],
    cell_m: f32,
}

impl Need {
    pub(super) fn new(config: &LandingConfig, cell_m: f64, stand: &Standpoint) -> Self {
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

    pub(super) fn at(&self, id: CellId) -> f32 {
        if self.per_m <= 0.0 {
            return self.base;
        }
        let (dn, de) = (
            id.north as f32 - self.below[0],
            id.east as f32 - self.below[1],
        );
        self.base + self.per_m * (dn * dn + de * de).sqrt() * self.cell_m
    }

    /// The same for a row of cells.
    pub(super) fn along(&self, first: CellId, out: &mut [f32]) {
        for (i, need) in out.iter_mut().enumerate() {
            *need = self.at(CellId {
                east: first.east + i as i32,
                ..first
            });
        }
    }
}
