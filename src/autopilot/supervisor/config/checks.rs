//! The allowed range of every setting.

use super::{
    AssistConfig, DescentConfig, EngageConfig, FenceConfig, FreshnessConfig, SearchConfig,
    SupervisorConfig, SupervisorConfigError,
};

/// One value with its name and its allowed range.
type Check = (&'static str, f64, f64, f64);

/// Lowest and highest commit height, metres.
pub(super) const COMMIT_RANGE_M: (f64, f64) = (3.0, 40.0);
/// No landing goes on blind from higher than this, metres.
pub(super) const BLIND_MAX_M: f64 = 6.0;

impl SupervisorConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value outside its range (or not a number), with its key and the range.
    pub fn validate(&self) -> Result<(), SupervisorConfigError> {
        let orphan = self.orphan.return_after_s.unwrap_or(0.0);
        [("orphan.return_after_s", orphan, 0.0, 3600.0)]
            .into_iter()
            .chain(self.freshness.checks())
            .chain(self.engage.checks())
            .chain(self.fence.checks())
            .chain(self.search.checks())
            .chain(self.descent.checks())
            .chain(self.assist.checks())
            .try_for_each(check)?;
        self.fence.polygon_deg.iter().try_for_each(|[lat, lon]| {
            check(("fence.polygon_deg", *lat, -90.0, 90.0))?;
            check(("fence.polygon_deg", *lon, -180.0, 360.0))
        })
    }
}

fn check((key, value, min, max): Check) -> Result<(), SupervisorConfigError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(SupervisorConfigError {
            key,
            value,
            min,
            max,
        })
    }
}

impl FreshnessConfig {
    fn checks(&self) -> [Check; 6] {
        [
            ("freshness.go_max_age_s", self.go_max_age_s, 0.1, 2.0),
            ("freshness.pose_max_age_s", self.pose_max_age_s, 0.05, 0.5),
            (
                "freshness.height_max_age_s",
                self.height_max_age_s,
                0.05,
                5.0,
            ),
            (
                "freshness.heartbeat_max_age_s",
                self.heartbeat_max_age_s,
                0.2,
                3.0,
            ),
            (
                "freshness.status_max_age_s",
                self.status_max_age_s,
                0.2,
                10.0,
            ),
            ("freshness.rc_max_age_s", self.rc_max_age_s, 0.1, 5.0),
        ]
    }
}

impl EngageConfig {
    fn checks(&self) -> [Check; 9] {
        [
            (
                "engage.switch_channel",
                f64::from(self.switch_channel.unwrap_or(5)),
                5.0,
                18.0,
            ),
            (
                "engage.below_battery",
                self.below_battery.unwrap_or(0.0),
                0.0,
                1.0,
            ),
            (
                "engage.after_rc_loss_s",
                self.after_rc_loss_s.unwrap_or(1.0),
                1.0,
                600.0,
            ),
            ("engage.wind_max_m_s", self.wind_max_m_s, 0.0, 50.0),
            (
                "engage.throttle_channel",
                f64::from(self.throttle_channel),
                1.0,
                4.0,
            ),
            (
                "engage.stick_deadband_us",
                self.stick_deadband_us,
                20.0,
                300.0,
            ),
            ("engage.stream_first_s", self.stream_first_s, 0.3, 10.0),
            ("engage.mode_retry_s", self.mode_retry_s, 0.1, 5.0),
            ("engage.mode_deadline_s", self.mode_deadline_s, 2.0, 60.0),
        ]
    }
}

impl FenceConfig {
    fn checks(&self) -> [Check; 2] {
        let corners = self.polygon_deg.len() as f64;
        let least = if self.polygon_deg.is_empty() {
            0.0
        } else {
            3.0
        };
        [
            (
                "fence.radius_m",
                self.radius_m.unwrap_or(1.0),
                1.0,
                100_000.0,
            ),
            ("fence.polygon_deg", corners, least, 256.0),
        ]
    }
}

impl SearchConfig {
    fn checks(&self) -> [Check; 7] {
        [
            ("search.look_s", self.look_s, 1.0, 60.0),
            ("search.longest_s", self.longest_s, 1.0, 3600.0),
            ("search.climb_height_m", self.climb_height_m, 3.0, 120.0),
            ("search.climbs", f64::from(self.climbs), 0.0, 20.0),
            ("search.step_m", self.step_m, 1.0, 100.0),
            ("search.radius_m", self.radius_m, 0.0, 1000.0),
            ("search.avoid_s", self.avoid_s, 0.0, 600.0),
        ]
    }
}

impl DescentConfig {
    fn checks(&self) -> [Check; 18] {
        let (lowest, highest) = COMMIT_RANGE_M;
        let commit = self.commit_height_m.unwrap_or(lowest);
        let highest_land = self.commit_height_m.unwrap_or(highest);
        let highest_blind = highest_land.min(BLIND_MAX_M);
        [
            ("descent.gate_share", self.gate_share, 0.3, 0.95),
            ("descent.gate_max_step_m", self.gate_max_step_m, 0.5, 10.0),
            ("descent.gate_lead_m", self.gate_lead_m, 0.2, 3.0),
            ("descent.offset_max_m", self.offset_max_m, 0.2, 5.0),
            (
                "descent.arrival_speed_m_s",
                self.arrival_speed_m_s,
                0.1,
                5.0,
            ),
            ("descent.hold_min_s", self.hold_min_s, 0.0, 10.0),
            ("descent.reroute_after_s", self.reroute_after_s, 0.5, 120.0),
            ("descent.patience_s", self.patience_s, 1.0, 120.0),
            ("descent.attempts", f64::from(self.attempts), 0.0, 20.0),
            ("descent.longest_s", self.longest_s, 10.0, 3600.0),
            ("descent.commit_height_m", commit, lowest, highest),
            (
                "descent.commit_height_without_range_m",
                self.commit_height_without_range_m,
                lowest,
                highest,
            ),
            (
                "descent.blind_height_m",
                self.blind_height_m.unwrap_or(0.0),
                0.0,
                highest_blind,
            ),
            (
                "descent.land_height_m",
                self.land_height_m.unwrap_or(0.0),
                0.0,
                highest_land,
            ),
            ("descent.last_look_s", self.last_look_s, 0.0, 60.0),
            (
                "descent.last_look_longest_s",
                self.last_look_longest_s,
                self.last_look_s,
                300.0,
            ),
            (
                "descent.last_look_above_m",
                self.last_look_above_m,
                0.0,
                20.0,
            ),
            ("descent.blind_longest_s", self.blind_longest_s, 0.0, 30.0),
        ]
    }
}

impl AssistConfig {
    fn checks(&self) -> [Check; 3] {
        [
            ("assist.hold_s", self.hold_s, 0.0, 30.0),
            ("assist.low_battery", self.low_battery, 0.0, 1.0),
            ("assist.reach_m", self.reach_m, 1.0, 100.0),
        ]
    }
}
