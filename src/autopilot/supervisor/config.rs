//! What an operator may change about who may command what, and when. Every key carries its unit;
//! [`SupervisorConfig::validate`] checks them once, at start.

mod checks;

use serde::{Deserialize, Serialize};

/// A setting outside the range in which the supervisor is safe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("supervisor.{key} = {value} is outside {min}..={max}: set it inside that range")]
pub struct SupervisorConfigError {
    /// The key, with its section.
    pub key: &'static str,
    /// What was set.
    pub value: f64,
    /// Smallest allowed value.
    pub min: f64,
    /// Largest allowed value.
    pub max: f64,
}

/// How far alight may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// Says where to land; never a target, setpoint or mode.
    #[default]
    Advise,
    /// Helps a LAND or RTL that others started onto a confirmed site.
    Assist,
    /// May take the vehicle, when told to, and land it.
    Command,
}

/// What follows when no site was found in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSearch {
    /// Hold where it is and hand back.
    #[default]
    Hold,
    /// Hold, then return to launch, and hand back.
    Return,
    /// Fly above the best place seen and look once more from there; without a GO hold there, and hand back. It descends
    /// on nothing that it has not confirmed.
    LeastBad,
}

/// All settings of the supervisor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisorConfig {
    /// How far alight may go.
    pub mode: Authority,
    /// The camera's lens and mount were measured. Without it nothing is commanded.
    pub camera_is_calibrated: bool,
    /// How old what is known may be.
    pub freshness: FreshnessConfig,
    /// What starts a landing, and what must be true then.
    pub engage: EngageConfig,
    /// Where it may fly.
    pub fence: FenceConfig,
    /// How a site is looked for.
    pub search: SearchConfig,
    /// The way down.
    pub descent: DescentConfig,
    /// Help for a landing that others started.
    pub assist: AssistConfig,
    /// What a restart in the air does when the vehicle is still in our mode.
    pub orphan: OrphanConfig,
}

/// How old what is known may be. Older is unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreshnessConfig {
    /// Capture of the frame that said GO, seconds.
    pub go_max_age_s: f64,
    /// Position and attitude, seconds.
    pub pose_max_age_s: f64,
    /// How long the ground found by the last good height is believed, seconds.
    pub height_max_age_s: f64,
    /// Heartbeat, for mode commands, seconds.
    pub heartbeat_max_age_s: f64,
    /// Landed state and health of the estimator, seconds.
    pub status_max_age_s: f64,
    /// Sticks and switches, seconds.
    pub rc_max_age_s: f64,
}

impl Default for FreshnessConfig {
    fn default() -> Self {
        Self {
            go_max_age_s: 1.0,
            pose_max_age_s: 0.2,
            height_max_age_s: 2.0,
            heartbeat_max_age_s: 1.5,
            status_max_age_s: 3.0,
            rc_max_age_s: 1.0,
        }
    }
}

/// What starts a landing, and what must be true then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngageConfig {
    /// RC channel of the switch that starts a landing (off -> on) and stops it (on -> off), 5 to 18.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_channel: Option<u8>,
    /// Start by itself when the battery falls below this share, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_battery: Option<f64>,
    /// Start by itself when the receiver has been silent for this long after it was heard, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_rc_loss_s: Option<f64>,
    /// Command with no other height than the one over the take-off point: its error is 5 m or more.
    pub allow_relative_altitude: bool,
    /// No landing is started in more wind, metres per second, where the autopilot estimates it.
    pub wind_max_m_s: f64,
    /// RC channel of the throttle, 1 to 4; the other three of the first four steer.
    pub throttle_channel: u8,
    /// A stick further from its rest than this is a takeover, microseconds.
    pub stick_deadband_us: f64,
    /// PX4 only: setpoints are streamed for this long before OFFBOARD is asked for, seconds.
    pub stream_first_s: f64,
    /// A mode is asked for again after this, seconds.
    pub mode_retry_s: f64,
    /// A mode that has not shown after this never will, seconds.
    pub mode_deadline_s: f64,
}

impl Default for EngageConfig {
    fn default() -> Self {
        Self {
            switch_channel: None,
            below_battery: None,
            after_rc_loss_s: None,
            allow_relative_altitude: false,
            wind_max_m_s: 10.0,
            throttle_channel: 3,
            stick_deadband_us: 100.0,
            stream_first_s: 1.0,
            mode_retry_s: 0.5,
            mode_deadline_s: 8.0,
        }
    }
}

/// Where it may fly: both, if both are set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FenceConfig {
    /// Farthest from home, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    /// Corners, `[latitude, longitude]` in degrees; three or more.
    pub polygon_deg: Vec<[f64; 2]>,
}

/// How a site is looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Time to look from one place, seconds.
    pub look_s: f64,
    /// Longest time from the start of the landing in which a site is still looked for, seconds.
    pub longest_s: f64,
    /// What follows then.
    pub then: AfterSearch,
    /// Height above ground to climb to for another look, metres.
    pub climb_height_m: f64,
    /// Most climbs of one landing.
    pub climbs: u32,
    /// Side of the first square of the search pattern, metres.
    pub step_m: f64,
    /// Farthest from where the search began, metres.
    pub radius_m: f64,
    /// A site given up is not taken again for this long, seconds.
    pub avoid_s: f64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            look_s: 5.0,
            longest_s: 180.0,
            then: AfterSearch::Hold,
            climb_height_m: 20.0,
            climbs: 3,
            step_m: 15.0,
            radius_m: 60.0,
            avoid_s: 20.0,
        }
    }
}

/// The way down. Heights are above ground; where a height is unsure, three standard deviations are taken off first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescentConfig {
    /// Each gate's height is at least this share of the one above it.
    pub gate_share: f64,
    /// And at most this far below it, metres.
    pub gate_max_step_m: f64,
    /// The next gate may be earned from this far above a gate on, metres: so the descent does not stop at each.
    pub gate_lead_m: f64,
    /// Horizontal distance from the site's centre within which it may go down, metres.
    pub offset_max_m: f64,
    /// Speed below which it has arrived over the site, metres per second.
    pub arrival_speed_m_s: f64,
    /// A hold lasts at least this long, seconds.
    pub hold_min_s: f64,
    /// Without GO for this long, another site is taken, seconds.
    pub reroute_after_s: f64,
    /// Trouble with pose, height, link or pipeline that lasts longer ends the landing, seconds.
    pub patience_s: f64,
    /// So many aborts of one landing are followed by another attempt.
    pub attempts: u32,
    /// Longest time from start to touch-down, seconds.
    pub longest_s: f64,
    /// Height from which on the site is no longer switched, judged by a range sensor; see [`height_that_holds_m`].
    /// Without it: for a 70 x 50 degree camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_height_m: Option<f64>,
    /// The same, judged without a range sensor.
    pub commit_height_without_range_m: f64,
    /// So long it stays above the commit height before it goes below, while nothing moves around the site, seconds.
    pub last_look_s: f64,
    /// Without such a quiet time for this long, another site is taken, seconds.
    pub last_look_longest_s: f64,
    /// So far above the commit height, metres.
    pub last_look_above_m: f64,
    /// Height from which on LAND or PRECLAND take over, judged by a range sensor; earlier when the picture, from below the
    /// blind height, no longer holds the disc. Without it: the lowest at which a level camera holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub land_height_m: Option<f64>,
    /// Height below which the picture need not hold the disc any more. Without it: for a 70 x 50 degree camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blind_height_m: Option<f64>,
    /// Below that height a landing goes on for this long after the last GO, seconds.
    pub blind_longest_s: f64,
}

impl Default for DescentConfig {
    fn default() -> Self {
        Self {
            gate_share: 0.5,
            gate_max_step_m: 5.0,
            gate_lead_m: 1.5,
            offset_max_m: 1.5,
            arrival_speed_m_s: 1.0,
            hold_min_s: 1.0,
            reroute_after_s: 5.0,
            patience_s: 10.0,
            attempts: 4,
            longest_s: 300.0,
            commit_height_m: None,
            commit_height_without_range_m: 9.0,
            last_look_s: 10.0,
            last_look_longest_s: 30.0,
            last_look_above_m: 4.0,
            land_height_m: None,
            blind_height_m: None,
            blind_longest_s: 15.0,
        }
    }
}

/// Help for a landing that others started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssistConfig {
    /// `ArduPilot`: without GO, hold once for at most this long, then give the mode back, seconds; 0 never holds.
    pub hold_s: f64,
    /// No hold below this battery share, 0 to 1.
    pub low_battery: f64,
    /// Only sites this near to the vehicle are helped onto, metres.
    pub reach_m: f64,
    /// PX4: switch a running LAND to AUTO.PRECLAND once, with a GO.
    pub px4_precland: bool,
}

impl Default for AssistConfig {
    fn default() -> Self {
        Self {
            hold_s: 0.0,
            low_battery: 0.25,
            reach_m: 10.0,
            px4_precland: false,
        }
    }
}

/// What a restart in the air does when the vehicle is still in the mode that the last process commanded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrphanConfig {
    /// Hold, then return to launch after this, seconds; without it, it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_after_s: Option<f64>,
}

impl SupervisorConfig {
    /// Fills in the heights that depend on the lens, where they are not set: the commit height holds the disc and the
    /// people floor, the blind height the disc alone on a vehicle that leans against the wind.
    pub fn fit_to_camera(&mut self, lens: FieldOfView, disc_radius_m: f64, people_floor_m: f64) {
        /// Lean of a quadrotor in the wind that it may still land in, degrees.
        const LEAN_DEG: f64 = 12.0;
        let d = &mut self.descent;
        let commit = height_that_holds_m(lens, disc_radius_m + people_floor_m, 0.0);
        let blind = height_that_holds_m(lens, disc_radius_m, LEAN_DEG);
        let (lowest, highest) = checks::COMMIT_RANGE_M;
        let commit = *d
            .commit_height_m
            .get_or_insert(commit.clamp(lowest, highest));
        let blind = *d
            .blind_height_m
            .get_or_insert(blind.clamp(0.0, commit.min(checks::BLIND_MAX_M)));
        let land = height_that_holds_m(lens, disc_radius_m, 0.0);
        d.land_height_m.get_or_insert(land.clamp(0.0, blind));
    }

    /// The heights above ground at which the landing is committed to and given to LAND or PRECLAND, with a range sensor,
    /// and at which it may go on blind, metres.
    pub(super) fn heights_m(&self) -> [f64; 3] {
        let mut fitted = self.clone();
        fitted.fit_to_camera(FieldOfView::default(), 1.0, 3.0);
        let d = fitted.descent;
        let commit_m = d.commit_height_m.unwrap_or(checks::COMMIT_RANGE_M.1);
        [
            commit_m,
            d.land_height_m.unwrap_or(commit_m),
            d.blind_height_m.unwrap_or(0.0),
        ]
    }
}

/// What a camera sees, from edge to edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldOfView {
    /// Across, degrees.
    pub horizontal_deg: f64,
    /// Along, degrees.
    pub vertical_deg: f64,
}

impl Default for FieldOfView {
    /// A common wide lens with 3:2 pictures.
    fn default() -> Self {
        Self {
            horizontal_deg: 70.0,
            vertical_deg: 50.0,
        }
    }
}

/// The lowest height above ground from which the picture of a camera that looks down holds a disc below it, metres, when
/// it leans by `lean_deg`. Infinite when no height does.
///
/// ```
/// use alight::autopilot::supervisor::{FieldOfView, height_that_holds_m};
/// let lens = FieldOfView { horizontal_deg: 90.0, vertical_deg: 90.0 };
/// assert!((height_that_holds_m(lens, 4.0, 0.0) - 4.0).abs() < 1e-9);
/// ```
#[must_use]
pub fn height_that_holds_m(lens: FieldOfView, radius_m: f64, lean_deg: f64) -> f64 {
    let half_deg = lens.horizontal_deg.min(lens.vertical_deg) / 2.0 - lean_deg;
    if half_deg > 0.0 {
        radius_m / half_deg.to_radians().tan()
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_only_advise() {
        let config = SupervisorConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.mode, Authority::Advise);
    }

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        let config = SupervisorConfig::default();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<SupervisorConfig>(&text).unwrap(), config);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let read = |text| toml::from_str::<SupervisorConfig>(text);
        assert!(read("mod = \"assist\"").is_err());
        assert!(read("mode = \"fly\"").is_err());
        assert!(read("[search]\nlongest = 3.0").is_err());
        let config = read("mode = \"command\"\n[search]\nthen = \"least-bad\"").unwrap();
        assert_eq!(config.mode, Authority::Command);
        assert_eq!(config.search.then, AfterSearch::LeastBad);
    }

    #[test]
    fn a_bad_value_is_named_with_its_range() {
        let mut config = SupervisorConfig::default();
        config.freshness.go_max_age_s = f64::NAN;
        assert_eq!(config.validate().unwrap_err().key, "freshness.go_max_age_s");
        let mut config = SupervisorConfig::default();
        config.engage.switch_channel = Some(3);
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "supervisor.engage.switch_channel = 3 is outside 5..=18: set it inside that range"
        );
        let mut config = SupervisorConfig::default();
        config.fence.polygon_deg = vec![[47.0, 8.0], [47.0, 8.1]];
        assert_eq!(config.validate().unwrap_err().key, "fence.polygon_deg");
        config.fence.polygon_deg = vec![[47.0, 8.0], [47.0, 8.1], [97.0, 8.1]];
        assert!(config.validate().is_err());
    }

    #[test]
    fn the_commit_height_holds_disc_and_people_floor() {
        let mut config = SupervisorConfig::default();
        config.fit_to_camera(FieldOfView::default(), 1.0, 3.0);
        let commit = config.descent.commit_height_m.unwrap();
        let half_picture_m = commit * 25.0_f64.to_radians().tan();
        assert!((half_picture_m - 4.0).abs() < 1e-9);
        assert!(config.descent.blind_height_m.unwrap() < commit);
        assert_eq!(config.validate(), Ok(()));
        // A key that is set stays.
        config.descent.commit_height_m = Some(12.0);
        config.fit_to_camera(FieldOfView::default(), 2.0, 3.0);
        assert_eq!(config.descent.commit_height_m, Some(12.0));
    }

    #[test]
    fn a_lens_that_holds_nothing_gives_heights_in_range() {
        let mut config = SupervisorConfig::default();
        let lens = FieldOfView {
            horizontal_deg: 10.0,
            vertical_deg: 8.0,
        };
        config.fit_to_camera(lens, 1.0, 3.0);
        assert_eq!(config.validate(), Ok(()));
    }
}
