//! How high the vehicle is above the ground.

use std::time::Duration;

use mavlink::dialects::ardupilotmega::{
    ALTITUDE_DATA, DISTANCE_SENSOR_DATA, MavSensorOrientation, TERRAIN_REPORT_DATA,
};

use super::{PREFERRED_FOR, is_recent};
use crate::autopilot::decode::height::Range;
use crate::autopilot::decode::{Problem, Telemetry};
use crate::time::MonoTime;
use crate::vehicle::{HeightSample, Stamped};

/// An attitude this old says nothing of the tilt under a range reading.
const TILT_MAX_AGE: Duration = Duration::from_millis(300);
/// Longest range reading that is believed, metres.
const LONGEST_RANGE_M: f64 = 300.0;
/// Heights that are believed, metres.
const HEIGHTS_M: std::ops::RangeInclusive<f64> = -500.0..=20_000.0;

impl Telemetry {
    pub(super) fn distance_sensor(&mut self, m: &DISTANCE_SENSOR_DATA, now: MonoTime) {
        if m.orientation != MavSensorOrientation::MAV_SENSOR_ROTATION_PITCH_270 {
            return;
        }
        let Some(at) = self.at(m.time_boot_ms, now) else {
            return;
        };
        self.sources.distance_sensor = Some(now);
        // At its ends a sensor says "too near" or "nothing there"; quality 1 is "no valid signal".
        let is_inside = m.min_distance < m.current_distance && m.current_distance < m.max_distance;
        if is_inside && m.signal_quality != 1 {
            self.range(f64::from(m.current_distance) / 100.0, at, now);
        }
    }

    pub(super) fn rangefinder(&mut self, metres: f64, now: MonoTime) {
        if is_recent(self.sources.distance_sensor, now, PREFERRED_FOR) || metres == 0.0 {
            return;
        }
        self.range(metres, now, now);
    }

    pub(super) fn range(&mut self, metres: f64, at: MonoTime, now: MonoTime) {
        if self.config.flat_ground_sd_m.is_some() {
            return;
        }
        if !self.is_finite(&[metres]) || !self.is_within(metres, &(0.02..=LONGEST_RANGE_M)) {
            return;
        }
        let attitude = self.state.attitude.filter(|a| a.age(at) <= TILT_MAX_AGE);
        let Some(attitude) = attitude else {
            return self.problem(Problem::ImplausibleRange);
        };
        let place = self.place();
        let believed = self
            .heights
            .range(Range { metres, at }, attitude.value, place);
        match believed {
            Ok(height) => {
                self.state.range_m = Some(Stamped::new(metres, at));
                self.take_height(height, now);
            }
            Err(()) => self.problem(Problem::ImplausibleRange),
        }
    }

    pub(super) fn terrain(&mut self, m: &TERRAIN_REPORT_DATA, now: MonoTime) {
        let metres = f64::from(m.current_height);
        // No spacing: no terrain data here.
        if m.spacing == 0 || !self.is_finite(&[metres]) || !self.is_within(metres, &HEIGHTS_M) {
            return;
        }
        let height = self.heights.terrain(metres, now);
        self.take_height(height, now);
    }

    pub(super) fn altitude(&mut self, m: &ALTITUDE_DATA, now: MonoTime) {
        let boot_ns = i64::try_from(m.time_usec)
            .ok()
            .and_then(|us| us.checked_mul(1000));
        let Some(at) = boot_ns.and_then(|ns| self.place_in_time(ns, now)) else {
            return;
        };
        // PX4 gives no number where it has none.
        let clearance = f64::from(m.bottom_clearance);
        if clearance.is_finite() && clearance > 0.0 && self.is_within(clearance, &HEIGHTS_M) {
            let height = self.heights.clearance(clearance, at);
            self.take_height(height, now);
        }
        let relative = f64::from(m.altitude_relative);
        if relative.is_finite() {
            self.relative_altitude(relative, at, now);
        }
    }

    pub(super) fn relative_altitude(&mut self, metres: f64, at: MonoTime, now: MonoTime) {
        if self.is_within(metres, &HEIGHTS_M) {
            self.state.relative_altitude_m = Some(Stamped::new(metres, at));
            let place = self.place();
            let height = self.heights.relative(metres, at, place);
            self.take_height(height, now);
        }
    }

    pub(super) fn take_height(&mut self, height: Option<HeightSample>, now: MonoTime) {
        if let (Some(sample), None) = (height, self.config.flat_ground_sd_m) {
            self.keep_height(sample, now);
        }
    }

    pub(super) fn keep_height(&mut self, sample: HeightSample, now: MonoTime) {
        let intake = self.history.push_height(sample, now);
        if self.is_taken(intake) {
            self.state.height = Some(Stamped::new(sample.height, sample.at));
        }
    }
}
