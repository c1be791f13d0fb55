//! The allowed range of every setting.

use super::{HazardConfig, MapConfig, MonitorConfig, SelectConfig, TrackConfig};

/// One value with its name and its allowed range.
pub(super) type Check = (&'static str, f64, f64, f64);

impl MapConfig {
    pub(super) fn checks(&self) -> [Check; 9] {
        [
            ("map.cell_m", self.cell_m, 0.02, 2.0),
            // At most 1000 cells a side: memory and time are planned for that.
            (
                "map.side_m",
                self.side_m,
                10.0 * self.cell_m,
                1000.0 * self.cell_m,
            ),
            (
                "map.look_independence_s",
                self.look_independence_s,
                0.0,
                60.0,
            ),
            (
                "map.full_weight_off_nadir_deg",
                self.full_weight_off_nadir_deg,
                0.0,
                89.0,
            ),
            ("map.belief_floor", self.belief_floor, 1e-6, 0.02),
            ("map.static_memory_s", self.static_memory_s, 0.1, 3600.0),
            ("map.moving_memory_s", self.moving_memory_s, 0.1, 3600.0),
            ("map.person_memory_s", self.person_memory_s, 0.0, 3600.0),
            ("map.vehicle_memory_s", self.vehicle_memory_s, 0.0, 3600.0),
        ]
    }
}

impl HazardConfig {
    pub(super) fn checks(&self) -> [Check; 16] {
        [
            ("hazard.people_floor_m", self.people_floor_m, 0.0, 50.0),
            ("hazard.vehicle_buffer_m", self.vehicle_buffer_m, 0.0, 50.0),
            ("hazard.water_buffer_m", self.water_buffer_m, 0.0, 50.0),
            (
                "hazard.structure_buffer_m",
                self.structure_buffer_m,
                0.0,
                50.0,
            ),
            (
                "hazard.vegetation_buffer_m",
                self.vegetation_buffer_m,
                0.0,
                50.0,
            ),
            (
                "hazard.obstacle_buffer_m",
                self.obstacle_buffer_m,
                0.0,
                50.0,
            ),
            ("hazard.unknown_buffer_m", self.unknown_buffer_m, 0.0, 50.0),
            // Below one half, ground that is more likely dangerous would count as landable.
            (
                "hazard.landable_threshold",
                self.landable_threshold,
                0.5,
                1.0,
            ),
            ("hazard.person_threshold", self.person_threshold, 0.0, 0.5),
            ("hazard.person_least_m2", self.person_least_m2, 0.0, 0.5),
            ("hazard.vehicle_threshold", self.vehicle_threshold, 0.0, 0.5),
            ("hazard.water_threshold", self.water_threshold, 0.0, 0.5),
            (
                "hazard.structure_threshold",
                self.structure_threshold,
                0.0,
                0.5,
            ),
            (
                "hazard.vegetation_threshold",
                self.vegetation_threshold,
                0.0,
                0.5,
            ),
            (
                "hazard.obstacle_threshold",
                self.obstacle_threshold,
                0.0,
                0.5,
            ),
            ("hazard.unknown_threshold", self.unknown_threshold, 0.0, 0.5),
        ]
    }
}

impl SelectConfig {
    pub(super) fn checks(&self) -> [Check; 12] {
        let count = self.alternates as f64;
        [
            ("select.min_disc_belief", self.min_disc_belief, 0.5, 1.0),
            ("select.search_margin_m", self.search_margin_m, 0.0, 50.0),
            (
                "select.enough_clearance_m",
                self.enough_clearance_m,
                0.1,
                100.0,
            ),
            ("select.far_m", self.far_m, 1.0, 10_000.0),
            ("select.crossing_cost", self.crossing_cost, 0.0, 1.0),
            ("select.people_cost", self.people_cost, 0.0, 1.0),
            ("select.people_far_m", self.people_far_m, 0.1, 100.0),
            ("select.people_memory_s", self.people_memory_s, 0.0, 600.0),
            ("select.soft_cost", self.soft_cost, 0.0, 1.0),
            ("select.half_score_age_s", self.half_score_age_s, 0.1, 600.0),
            ("select.separation_m", self.separation_m, 0.1, 100.0),
            ("select.alternates", count, 0.0, 8.0),
        ]
    }
}

impl TrackConfig {
    pub(super) fn checks(&self) -> [Check; 6] {
        let window = f64::from(self.looks_window);
        [
            ("track.looks_window", window, 1.0, 32.0),
            (
                "track.looks_to_confirm",
                f64::from(self.looks_to_confirm),
                1.0,
                window,
            ),
            ("track.same_site_m", self.same_site_m, 0.0, 10.0),
            ("track.switch_factor", self.switch_factor, 1.0, 10.0),
            (
                "track.switch_looks",
                f64::from(self.switch_looks),
                1.0,
                1000.0,
            ),
            ("track.drift_per_metre", self.drift_per_metre, 0.0, 1.0),
        ]
    }
}

impl MonitorConfig {
    pub(super) fn checks(&self) -> [Check; 16] {
        [
            ("monitor.black_level", self.black_level, 0.0, 255.0),
            ("monitor.burnt_level", self.burnt_level, 1.0, 256.0),
            ("monitor.burnt_share", self.burnt_share, 0.0, 1.0),
            (
                "monitor.sharp_edge_level",
                self.sharp_edge_level,
                0.0,
                255.0,
            ),
            ("monitor.min_belief", self.min_belief, 0.5, 1.0),
            ("monitor.max_entropy", self.max_entropy, 0.0, 1.0),
            ("monitor.rough_level", self.rough_level, 0.0, 255.0),
            ("monitor.rough_factor", self.rough_factor, 0.0, 100.0),
            ("monitor.motion_level", self.motion_level, 0.0, 255.0),
            ("monitor.motion_share", self.motion_share, 0.0, 1.0),
            ("monitor.motion_area_m2", self.motion_area_m2, 0.01, 10.0),
            ("monitor.motion_around_m", self.motion_around_m, 0.0, 30.0),
            ("monitor.motion_max_age_s", self.motion_max_age_s, 0.0, 60.0),
            (
                "monitor.range_tolerance_m",
                self.range_tolerance_m,
                0.0,
                50.0,
            ),
            (
                "monitor.range_tolerance_share",
                self.range_tolerance_share,
                0.0,
                1.0,
            ),
            (
                "monitor.occupied_probability",
                self.occupied_probability,
                0.0,
                1.0,
            ),
        ]
    }
}
