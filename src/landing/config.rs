//! What an operator may change about choosing a site. Every key carries its unit; [`LandingConfig::validate`] checks
//! them once, at start.

mod checks;

use serde::{Deserialize, Serialize};

use crate::inference::classes::Surface;
use checks::Check;

/// A setting outside the range in which the stage is safe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("landing.{key} = {value} is outside {min}..={max}: set it inside that range")]
pub struct ConfigError {
    /// The key, with its section.
    pub key: &'static str,
    /// What was set.
    pub value: f64,
    /// Smallest allowed value.
    pub min: f64,
    /// Largest allowed value.
    pub max: f64,
}

/// All settings of the landing stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LandingConfig {
    /// The vehicle's radius with its propellers, metres.
    pub vehicle_radius_m: f64,
    /// Ground kept free around the vehicle, metres.
    pub margin_m: f64,
    /// The world-fixed map.
    pub map: MapConfig,
    /// Which surfaces are dangerous, and how far around them.
    pub hazard: HazardConfig,
    /// How places are ranked.
    pub select: SelectConfig,
    /// How a place becomes a confirmed site.
    pub track: TrackConfig,
    /// The independent veto.
    pub monitor: MonitorConfig,
}

impl Default for LandingConfig {
    fn default() -> Self {
        Self {
            vehicle_radius_m: 0.5,
            margin_m: 0.5,
            map: MapConfig::default(),
            hazard: HazardConfig::default(),
            select: SelectConfig::default(),
            track: TrackConfig::default(),
            monitor: MonitorConfig::default(),
        }
    }
}

/// The semantic map's size and memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapConfig {
    /// Side of a cell, metres.
    pub cell_m: f64,
    /// Side of the square that rolls with the vehicle, metres.
    pub side_m: f64,
    /// Looks closer together in time than this share their errors and count as a part of a look, seconds.
    pub look_independence_s: f64,
    /// Up to this angle from straight down a look has full weight; beyond, it falls with the squared cosine, degrees.
    pub full_weight_off_nadir_deg: f64,
    /// No surface's probability falls below this, so that later looks can still overturn it.
    pub belief_floor: f64,
    /// Time in which belief in what stands still falls to 37 %, seconds.
    pub static_memory_s: f64,
    /// Time in which belief in what moves (people, vehicles) falls to 37 %, seconds.
    pub moving_memory_s: f64,
    /// A person or an animal seen once is danger for this long, seconds.
    pub person_memory_s: f64,
    /// A vehicle seen once is danger for this long, seconds.
    pub vehicle_memory_s: f64,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self {
            cell_m: 0.2,
            side_m: 100.0,
            look_independence_s: 4.0,
            full_weight_off_nadir_deg: 40.0,
            belief_floor: 0.002,
            static_memory_s: 60.0,
            moving_memory_s: 5.0,
            person_memory_s: 10.0,
            vehicle_memory_s: 10.0,
        }
    }
}

/// Which surface is dangerous, from which belief on, and how far around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HazardConfig {
    /// Least distance to a person or an animal, metres.
    pub people_floor_m: f64,
    /// EASA's 1:1 rule: the distance to people is also at least the height above ground.
    pub people_one_to_one: bool,
    /// Distance to vehicles, metres.
    pub vehicle_buffer_m: f64,
    /// Distance to water, metres.
    pub water_buffer_m: f64,
    /// Distance to buildings, walls and fences, metres.
    pub structure_buffer_m: f64,
    /// Distance to trees and bushes, metres.
    pub vegetation_buffer_m: f64,
    /// Distance to other obstacles, metres.
    pub obstacle_buffer_m: f64,
    /// Distance to unknown ground and to the edge of what was seen, metres.
    pub unknown_buffer_m: f64,
    /// Ground less believed to be landable than this is a hazard (probability).
    pub landable_threshold: f64,
    /// From this belief on a cell holds a person or an animal (probability).
    pub person_threshold: f64,
    /// What looks like a person but covers less ground than this is an obstacle, square metres.
    pub person_least_m2: f64,
    /// From this belief on a cell holds a vehicle (probability).
    pub vehicle_threshold: f64,
    /// From this belief on a cell is water (probability).
    pub water_threshold: f64,
    /// From this belief on a cell is a building, wall or fence (probability).
    pub structure_threshold: f64,
    /// From this belief on a cell is a tree or bush (probability).
    pub vegetation_threshold: f64,
    /// From this belief on a cell holds another obstacle (probability).
    pub obstacle_threshold: f64,
    /// From this belief on a cell is unknown (probability).
    pub unknown_threshold: f64,
}

impl Default for HazardConfig {
    /// `person_threshold`, `person_least_m2` and the buffers were chosen on the 27 training pictures that the network was not trained on
    /// (`models/fold.json`), never on the val list.
    fn default() -> Self {
        Self {
            people_floor_m: 3.0,
            people_one_to_one: false,
            vehicle_buffer_m: 0.5,
            water_buffer_m: 0.5,
            structure_buffer_m: 0.5,
            vegetation_buffer_m: 0.3,
            obstacle_buffer_m: 0.3,
            unknown_buffer_m: 0.0,
            landable_threshold: 0.75,
            person_threshold: 0.35,
            person_least_m2: 0.1,
            vehicle_threshold: 0.2,
            water_threshold: 0.2,
            structure_threshold: 0.2,
            vegetation_threshold: 0.25,
            obstacle_threshold: 0.2,
            unknown_threshold: 0.25,
        }
    }
}

impl HazardConfig {
    /// The distance kept from a surface, metres, at a height above ground; landable surfaces have none.
    #[must_use]
    pub fn buffer_m(&self, surface: Surface, height_m: f64) -> f64 {
        match surface {
            Surface::Firm | Surface::Soft => 0.0,
            Surface::Person if self.people_one_to_one => self.people_floor_m.max(height_m),
            Surface::Person => self.people_floor_m,
            Surface::Vehicle => self.vehicle_buffer_m,
            Surface::Water => self.water_buffer_m,
            Surface::Structure => self.structure_buffer_m,
            Surface::Vegetation => self.vegetation_buffer_m,
            Surface::Obstacle => self.obstacle_buffer_m,
            Surface::Unknown => self.unknown_buffer_m,
        }
    }

    /// The belief from which on a cell counts as that surface; landable surfaces are never a hazard.
    #[must_use]
    pub fn threshold(&self, surface: Surface) -> f64 {
        match surface {
            Surface::Firm | Surface::Soft => f64::INFINITY,
            Surface::Person => self.person_threshold,
            Surface::Vehicle => self.vehicle_threshold,
            Surface::Water => self.water_threshold,
            Surface::Structure => self.structure_threshold,
            Surface::Vegetation => self.vegetation_threshold,
            Surface::Obstacle => self.obstacle_threshold,
            Surface::Unknown => self.unknown_threshold,
        }
    }
}

/// How places are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectConfig {
    /// Mean belief over the disc below which a place is refused (probability).
    pub min_disc_belief: f64,
    /// How far outside the picture remembered ground is still searched, metres.
    pub search_margin_m: f64,
    /// Clearance beyond the needed one that no longer makes a place better, metres.
    pub enough_clearance_m: f64,
    /// Flight that costs a whole unit of score, metres.
    pub far_m: f64,
    /// Share of the score lost for each group of people on the straight way.
    pub crossing_cost: f64,
    /// Share of the score lost where somebody was seen; less with distance.
    pub people_cost: f64,
    /// Distance to people from which on none is lost, metres.
    pub people_far_m: f64,
    /// So long people count where they were seen, seconds.
    pub people_memory_s: f64,
    /// Share of the score lost on yielding ground (grass, dirt).
    pub soft_cost: f64,
    /// Age of the last look at which half of the score is lost, seconds.
    pub half_score_age_s: f64,
    /// Least distance between offered sites, metres.
    pub separation_m: f64,
    /// Alternates offered beside the best site.
    pub alternates: usize,
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self {
            min_disc_belief: 0.85,
            search_margin_m: 3.0,
            enough_clearance_m: 3.0,
            far_m: 60.0,
            crossing_cost: 0.3,
            people_cost: 0.5,
            people_far_m: 15.0,
            people_memory_s: 30.0,
            soft_cost: 0.1,
            half_score_age_s: 10.0,
            separation_m: 3.0,
            alternates: 3,
        }
    }
}

/// How a place becomes a confirmed site, and stays one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackConfig {
    /// Good looks that confirm a site (M).
    pub looks_to_confirm: u32,
    /// Out of so many of the last looks (N).
    pub looks_window: u32,
    /// A place nearer than this to a site is the same site, metres.
    pub same_site_m: f64,
    /// A rival must score better by this factor.
    pub switch_factor: f64,
    /// For so many frames in a row.
    pub switch_looks: u32,
    /// Growth of a site's position error for each metre that the vehicle may have flown since it was last seen, metres.
    pub drift_per_metre: f64,
}

impl Default for TrackConfig {
    fn default() -> Self {
        Self {
            looks_to_confirm: 3,
            looks_window: 5,
            same_site_m: 1.0,
            switch_factor: 1.25,
            switch_looks: 3,
            drift_per_metre: 0.2,
        }
    }
}

/// When the monitor objects. Grey levels run from 0 to 255 on a picture scaled to 320 columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// A mean grey level below this is a black picture.
    pub black_level: f64,
    /// A grey level from this on is burnt out.
    pub burnt_level: f64,
    /// A larger burnt-out share of the picture is over-exposed.
    pub burnt_share: f64,
    /// A picture whose sharpest 0.1 % of the edges are weaker than this is blurred, grey levels a pixel.
    pub sharp_edge_level: f64,
    /// Mean belief inside the disc below which to wait (probability).
    pub min_belief: f64,
    /// Mean normalised entropy inside the disc above which to wait, 0 to 1.
    pub max_entropy: f64,
    /// Mean edge strength inside the disc that flat ground may have in any picture, grey levels a pixel.
    pub rough_level: f64,
    /// Above `rough_level`, it may still be this many times the picture's mean edge strength.
    pub rough_factor: f64,
    /// A grey level change, beyond what a shift by a pixel explains, that is motion.
    pub motion_level: f64,
    /// Larger moving share of the disc and its surroundings is motion.
    pub motion_share: f64,
    /// Ground that must have changed for somebody to have moved around the disc, square metres.
    pub motion_area_m2: f64,
    /// Whoever moves on open ground nearer than this to the place on which the vehicle comes down makes it wait, metres.
    pub motion_around_m: f64,
    /// Older pictures are not compared, seconds.
    pub motion_max_age_s: f64,
    /// Range sensor and map may differ by this, metres.
    pub range_tolerance_m: f64,
    /// And by this share of the height.
    pub range_tolerance_share: f64,
    /// Probability of a person, animal or vehicle at any place of the disc, in this picture, from which on it is
    /// occupied.
    pub occupied_probability: f64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            black_level: 12.0,
            burnt_level: 250.0,
            burnt_share: 0.5,
            sharp_edge_level: 6.0,
            min_belief: 0.85,
            max_entropy: 0.5,
            rough_level: 20.0,
            rough_factor: 2.0,
            motion_level: 30.0,
            motion_share: 0.01,
            motion_area_m2: 0.1,
            motion_around_m: 8.0,
            motion_max_age_s: 2.0,
            range_tolerance_m: 1.0,
            range_tolerance_share: 0.15,
            occupied_probability: 0.1,
        }
    }
}

impl LandingConfig {
    /// Radius of the disc that must be free: vehicle and margin, metres.
    #[must_use]
    pub fn disc_radius_m(&self) -> f64 {
        self.vehicle_radius_m + self.margin_m
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first value outside its range (or not a number), with its key and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let own = [
            ("vehicle_radius_m", self.vehicle_radius_m, 0.05, 10.0),
            ("margin_m", self.margin_m, 0.0, 10.0),
        ];
        own.into_iter()
            .chain(self.map.checks())
            .chain(self.hazard.checks())
            .chain(self.select.checks())
            .chain(self.track.checks())
            .chain(self.monitor.checks())
            .try_for_each(check)
    }
}

fn check((key, value, min, max): Check) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError {
            key,
            value,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(LandingConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_bad_value_is_named_with_its_range() {
        let mut config = LandingConfig::default();
        config.map.cell_m = f64::NAN;
        let error = config.validate().unwrap_err();
        assert_eq!(error.key, "map.cell_m");
        let mut config = LandingConfig::default();
        config.hazard.people_floor_m = -1.0;
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "landing.hazard.people_floor_m = -1 is outside 0..=50: set it inside that range"
        );
    }

    #[test]
    fn more_looks_to_confirm_than_looks_are_refused() {
        let mut config = LandingConfig::default();
        config.track.looks_to_confirm = 6;
        assert_eq!(config.validate().unwrap_err().key, "track.looks_to_confirm");
    }

    #[test]
    fn a_misspelt_key_is_refused_and_missing_keys_keep_their_default() {
        let read = |text| toml::from_str::<LandingConfig>(text);
        assert!(read("vehicle_radius = 1.0").is_err());
        assert!(read("[map]\ncell = 1.0").is_err());
        let config = read("margin_m = 1.0\n[hazard]\npeople_floor_m = 5.0").unwrap();
        assert!((config.disc_radius_m() - 1.5).abs() < 1e-12);
        assert!((config.hazard.buffer_m(Surface::Person, 20.0) - 5.0).abs() < 1e-12);
        assert!((config.map.cell_m - 0.2).abs() < 1e-12);
    }

    #[test]
    fn one_to_one_keeps_the_height_from_people_only() {
        let hazard = HazardConfig {
            people_one_to_one: true,
            ..HazardConfig::default()
        };
        assert!((hazard.buffer_m(Surface::Person, 20.0) - 20.0).abs() < 1e-12);
        assert!((hazard.buffer_m(Surface::Person, 1.0) - 3.0).abs() < 1e-12);
        assert!((hazard.buffer_m(Surface::Vehicle, 20.0) - hazard.vehicle_buffer_m).abs() < 1e-12);
    }
}
