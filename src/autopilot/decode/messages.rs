//! One function for each message that says something of the vehicle.

use std::time::Duration;

use mavlink::MavHeader;
use mavlink::dialects::ardupilotmega::{
    ALTITUDE_DATA, ATTITUDE_DATA, ATTITUDE_QUATERNION_DATA, BATTERY_STATUS_DATA,
    DISTANCE_SENSOR_DATA, GLOBAL_POSITION_INT_DATA, GPS_GLOBAL_ORIGIN_DATA, HEARTBEAT_DATA,
    HOME_POSITION_DATA, LOCAL_POSITION_NED_DATA, MavAutopilot, MavLandedState, MavMessage,
    MavModeFlag, MavSensorOrientation, MavState, RC_CHANNELS_DATA, SYS_STATUS_DATA,
    SYSTEM_TIME_DATA, TERRAIN_REPORT_DATA,
};
use nalgebra::{Quaternion, UnitQuaternion};

use super::clock::Placed;
use super::height::Range;
use super::{AUTOPILOT, Problem, Telemetry, Upheaval};
use crate::autopilot::modes::mode_of;
use crate::geometry::{Frd, Geodetic, LocalOrigin, Ned, Rotation, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{
    AttitudeSample, AutopilotKind, Battery, EstimatorHealth, GlobalPlace, HeightAboveGround,
    HeightSample, HeightSource, Intake, Kinematics, LandedState, PositionSample, RcChannels,
    Refusal, Stamped, VehicleMode,
};

/// The better of two messages that say the same silences the other this long.
const PREFERRED_FOR: Duration = Duration::from_secs(2);
/// The same for the battery, which is reported seldom.
const BATTERY_PREFERRED_FOR: Duration = Duration::from_secs(10);
/// An attitude this old says nothing of the tilt under a range reading.
const TILT_MAX_AGE: Duration = Duration::from_millis(300);
/// A channel that moves less has not moved, microseconds.
const STICK_MOVE_US: u16 = 10;
/// Pulses outside are no channel, microseconds.
const PULSES_US: std::ops::RangeInclusive<u16> = 700..=2300;
/// `UINT16_MAX`: not there.
const NO_U16: u16 = u16::MAX;
/// Farthest local position that is believed, metres.
const FARTHEST_M: f64 = 100_000.0;
/// Fastest velocity that is believed, metres per second.
const FASTEST_M_S: f64 = 200.0;
/// Fastest turning that is believed, radians per second.
const FASTEST_RAD_S: f64 = 50.0;
/// Longest range reading that is believed, metres.
const LONGEST_RANGE_M: f64 = 300.0;
/// Heights that are believed, metres.
const HEIGHTS_M: std::ops::RangeInclusive<f64> = -500.0..=20_000.0;
/// An origin that moves less has not moved, metres.
const ORIGIN_MOVE_M: f64 = 0.1;
/// Horizontal position is good: `EKF_POS_HORIZ_ABS` is set and `EKF_CONST_POS_MODE` is not, on both autopilots.
const POSITION_ABSOLUTE: u16 = 0x10;
const POSITION_CONSTANT: u16 = 0x80;

/// Over the plane z = 0.
fn above_plane(position: Vec3<Ned>, sd_m: f64, at: MonoTime) -> HeightSample {
    HeightSample {
        at,
        height: HeightAboveGround {
            metres: (-position.down()).max(0.0),
            sd_m,
            source: HeightSource::Simulated,
        },
    }
}

/// A heartbeat of an autopilot, whosever.
pub(super) fn is_autopilot_heartbeat(header: MavHeader, message: &MavMessage) -> bool {
    header.component_id == AUTOPILOT
        && matches!(message, MavMessage::HEARTBEAT(h) if h.autopilot != MavAutopilot::MAV_AUTOPILOT_INVALID)
}

impl Telemetry {
    /// Reads one message of our autopilot.
    pub(super) fn read(&mut self, message: &MavMessage, now: MonoTime) {
        match message {
            MavMessage::HEARTBEAT(m) => self.heartbeat(m, now),
            MavMessage::ATTITUDE(m) => self.attitude(m, now),
            MavMessage::ATTITUDE_QUATERNION(m) => self.attitude_quaternion(m, now),
            MavMessage::LOCAL_POSITION_NED(m) => self.local_position(m, now),
            MavMessage::GLOBAL_POSITION_INT(m) => self.global_position(m, now),
            MavMessage::DISTANCE_SENSOR(m) => self.distance_sensor(m, now),
            MavMessage::RANGEFINDER(m) => self.rangefinder(f64::from(m.distance), now),
            MavMessage::TERRAIN_REPORT(m) => self.terrain(m, now),
            MavMessage::ALTITUDE(m) => self.altitude(m, now),
            MavMessage::EXTENDED_SYS_STATE(m) => self.landed(m.landed_state, now),
            MavMessage::BATTERY_STATUS(m) => self.battery_status(m, now),
            MavMessage::SYS_STATUS(m) => self.sys_status(m, now),
            MavMessage::EKF_STATUS_REPORT(m) => self.estimator(m.flags.bits(), now),
            MavMessage::ESTIMATOR_STATUS(m) => self.estimator(m.flags.bits(), now),
            MavMessage::RC_CHANNELS(m) => self.rc(m, now),
            MavMessage::HOME_POSITION(m) => self.home_position(m, now),
            MavMessage::GPS_GLOBAL_ORIGIN(m) => self.origin(m, now),
            MavMessage::WIND(m) => self.wind(f64::from(m.speed), now),
            MavMessage::WIND_COV(m) => {
                self.wind(f64::from(m.wind_x).hypot(f64::from(m.wind_y)), now);
            }
            MavMessage::SYSTEM_TIME(m) => self.system_time(m, now),
            _ => {}
        }
    }

    fn heartbeat(&mut self, m: &HEARTBEAT_DATA, now: MonoTime) {
        let kind = match m.autopilot {
            MavAutopilot::MAV_AUTOPILOT_INVALID => return self.problem(Problem::OutOfRange),
            MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA => AutopilotKind::ArduPilot,
            MavAutopilot::MAV_AUTOPILOT_PX4 => AutopilotKind::Px4,
            other => {
                self.problem(Problem::UnknownAutopilot);
                AutopilotKind::Other(other as u8)
            }
        };
        let mode = VehicleMode {
            mode: mode_of(kind, m.custom_mode),
            custom_mode: m.custom_mode,
            is_armed: m
                .base_mode
                .contains(MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED),
            is_failsafe: matches!(
                m.system_status,
                MavState::MAV_STATE_CRITICAL
                    | MavState::MAV_STATE_EMERGENCY
                    | MavState::MAV_STATE_FLIGHT_TERMINATION
            ),
        };
        let is_news = self.state.mode.is_none_or(|before| before.value != mode);
        self.taken.mode_or_sticks_changed |= is_news || self.state.kind != Some(kind);
        self.state.kind = Some(kind);
        self.state.mode = Some(Stamped::new(mode, now));
    }

    fn attitude(&mut self, m: &ATTITUDE_DATA, now: MonoTime) {
        if is_recent(self.sources.quaternion, now, PREFERRED_FOR) {
            return;
        }
        let [roll, pitch, yaw] = [m.roll, m.pitch, m.yaw].map(f64::from);
        if !self.is_finite(&[roll, pitch, yaw])
            || !self.is_within(roll, &(-7.0..=7.0))
            || !self.is_within(pitch, &(-1.58..=1.58))
            || !self.is_within(yaw, &(-7.0..=7.0))
        {
            return;
        }
        let ned_from_frd = Rotation::from_roll_pitch_yaw(roll, pitch, yaw);
        let rates = [m.rollspeed, m.pitchspeed, m.yawspeed];
        self.take_attitude(ned_from_frd, rates, m.time_boot_ms, now);
    }

    fn attitude_quaternion(&mut self, m: &ATTITUDE_QUATERNION_DATA, now: MonoTime) {
        let [w, x, y, z] = [m.q1, m.q2, m.q3, m.q4].map(f64::from);
        let q = Quaternion::new(w, x, y, z);
        if !self.is_finite(&[w, x, y, z]) || !self.is_within(q.norm(), &(0.9..=1.1)) {
            return;
        }
        let ned_from_frd = Rotation::assume(UnitQuaternion::from_quaternion(q));
        let rates = [m.rollspeed, m.pitchspeed, m.yawspeed];
        if self.take_attitude(ned_from_frd, rates, m.time_boot_ms, now) {
            self.sources.quaternion = Some(now);
        }
    }

    fn take_attitude(
        &mut self,
        ned_from_frd: Rotation<Ned, Frd>,
        rates: [f32; 3],
        boot_ms: u32,
        now: MonoTime,
    ) -> bool {
        let rate = Vec3::new(rates[0].into(), rates[1].into(), rates[2].into());
        if !self.is_finite(&rates.map(f64::from))
            || !self.is_within(rate.norm(), &(0.0..=FASTEST_RAD_S))
        {
            return false;
        }
        let Some(at) = self.at(boot_ms, now) else {
            return false;
        };
        let sample = AttitudeSample {
            at,
            ned_from_frd,
            rate_rad_s: rate,
            sd_rad: self.config.attitude_sd_rad,
        };
        let intake = self.history.push_attitude(sample, now);
        let is_taken = self.is_taken(intake);
        if is_taken {
            self.state.attitude = Some(Stamped::new(ned_from_frd, at));
        }
        is_taken
    }

    fn local_position(&mut self, m: &LOCAL_POSITION_NED_DATA, now: MonoTime) {
        let [x, y, z] = [m.x, m.y, m.z].map(f64::from);
        let [vx, vy, vz] = [m.vx, m.vy, m.vz].map(f64::from);
        if !self.is_finite(&[x, y, z, vx, vy, vz]) {
            return;
        }
        let Some(at) = self.at(m.time_boot_ms, now) else {
            return;
        };
        self.sources.local_position = true;
        self.take_position(Vec3::new(x, y, z), Vec3::new(vx, vy, vz), at, now);
    }

    fn take_position(
        &mut self,
        position: Vec3<Ned>,
        velocity_m_s: Vec3<Ned>,
        at: MonoTime,
        now: MonoTime,
    ) {
        if !self.is_within(position.norm(), &(0.0..=FARTHEST_M))
            || !self.is_within(velocity_m_s.norm(), &(0.0..=FASTEST_M_S))
        {
            return;
        }
        let sample = PositionSample {
            at,
            position,
            velocity_m_s,
            sd_m: self.config.position_sd_m,
        };
        let intake = self.history.push_position(sample, now);
        if let Intake::Jump(jump) = intake {
            self.upheaval(Upheaval::Jumped(jump.distance_m));
        }
        if self.is_taken(intake) {
            let kinematics = Kinematics {
                position,
                velocity_m_s,
            };
            self.state.kinematics = Some(Stamped::new(kinematics, at));
            if let Some(sd_m) = self.config.flat_ground_sd_m {
                self.keep_height(above_plane(position, sd_m, at), now);
            }
        }
    }

    fn global_position(&mut self, m: &GLOBAL_POSITION_INT_DATA, now: MonoTime) {
        let Some(at) = self.at(m.time_boot_ms, now) else {
            return;
        };
        self.relative_altitude(f64::from(m.relative_alt) / 1e3, at, now);
        let place = Geodetic {
            latitude_deg: f64::from(m.lat) / 1e7,
            longitude_deg: f64::from(m.lon) / 1e7,
            altitude_m: f64::from(m.alt) / 1e3,
        };
        // Zero, zero: no fix yet.
        if (m.lat, m.lon) == (0, 0) || !is_on_earth(&place) {
            return;
        }
        self.state.place = Some(Stamped::new(global(&place), at));
        if !self.config.places_by_global_position || self.sources.local_position {
            return;
        }
        let origin = self.state.origin.map_or(place, |o| geodetic(&o.value));
        if self.state.origin.is_none() {
            self.state.origin = Some(Stamped::new(global(&origin), at));
        }
        if let Some(position) = ned(&origin, &place) {
            let [vx, vy, vz] = [m.vx, m.vy, m.vz].map(|v| f64::from(v) / 100.0);
            self.take_position(position, Vec3::new(vx, vy, vz), at, now);
        }
    }

    fn distance_sensor(&mut self, m: &DISTANCE_SENSOR_DATA, now: MonoTime) {
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

    fn rangefinder(&mut self, metres: f64, now: MonoTime) {
        if is_recent(self.sources.distance_sensor, now, PREFERRED_FOR) || metres == 0.0 {
            return;
        }
        self.range(metres, now, now);
    }

    fn range(&mut self, metres: f64, at: MonoTime, now: MonoTime) {
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

    fn terrain(&mut self, m: &TERRAIN_REPORT_DATA, now: MonoTime) {
        let metres = f64::from(m.current_height);
        // No spacing: no terrain data here.
        if m.spacing == 0 || !self.is_finite(&[metres]) || !self.is_within(metres, &HEIGHTS_M) {
            return;
        }
        let height = self.heights.terrain(metres, now);
        self.take_height(height, now);
    }

    fn altitude(&mut self, m: &ALTITUDE_DATA, now: MonoTime) {
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

    fn relative_altitude(&mut self, metres: f64, at: MonoTime, now: MonoTime) {
        if self.is_within(metres, &HEIGHTS_M) {
            self.state.relative_altitude_m = Some(Stamped::new(metres, at));
            let place = self.place();
            let height = self.heights.relative(metres, at, place);
            self.take_height(height, now);
        }
    }

    fn take_height(&mut self, height: Option<HeightSample>, now: MonoTime) {
        if let (Some(sample), None) = (height, self.config.flat_ground_sd_m) {
            self.keep_height(sample, now);
        }
    }

    fn keep_height(&mut self, sample: HeightSample, now: MonoTime) {
        let intake = self.history.push_height(sample, now);
        if self.is_taken(intake) {
            self.state.height = Some(Stamped::new(sample.height, sample.at));
        }
    }

    fn landed(&mut self, state: MavLandedState, now: MonoTime) {
        let landed = match state {
            MavLandedState::MAV_LANDED_STATE_UNDEFINED => LandedState::Undefined,
            MavLandedState::MAV_LANDED_STATE_ON_GROUND => LandedState::OnGround,
            MavLandedState::MAV_LANDED_STATE_IN_AIR => LandedState::InAir,
            MavLandedState::MAV_LANDED_STATE_TAKEOFF => LandedState::TakingOff,
            MavLandedState::MAV_LANDED_STATE_LANDING => LandedState::Landing,
        };
        self.taken.mode_or_sticks_changed |= self
            .state
            .landed
            .is_none_or(|before| before.value != landed);
        self.state.landed = Some(Stamped::new(landed, now));
    }

    fn battery_status(&mut self, m: &BATTERY_STATUS_DATA, now: MonoTime) {
        if m.id != 0 {
            return;
        }
        let cells = m.voltages.iter().filter(|mv| **mv != NO_U16);
        let millivolts: u32 = cells.map(|mv| u32::from(*mv)).sum();
        self.sources.battery_status = Some(now);
        self.battery(millivolts, m.battery_remaining, now);
    }

    fn sys_status(&mut self, m: &SYS_STATUS_DATA, now: MonoTime) {
        if is_recent(self.sources.battery_status, now, BATTERY_PREFERRED_FOR) {
            return;
        }
        let millivolts = if m.voltage_battery == NO_U16 {
            0
        } else {
            u32::from(m.voltage_battery)
        };
        self.battery(millivolts, m.battery_remaining, now);
    }

    /// No millivolts and a negative share mean unknown.
    fn battery(&mut self, millivolts: u32, percent: i8, now: MonoTime) {
        if !(-1..=100).contains(&percent) {
            self.problem(Problem::OutOfRange);
        }
        let battery = Battery {
            remaining: (0..=100)
                .contains(&percent)
                .then(|| f64::from(percent) / 100.0),
            volts: (millivolts > 0).then(|| f64::from(millivolts) / 1e3),
        };
        self.state.battery = Some(Stamped::new(battery, now));
    }

    fn estimator(&mut self, flags: u16, now: MonoTime) {
        let health = EstimatorHealth {
            is_position_good: flags & POSITION_ABSOLUTE != 0 && flags & POSITION_CONSTANT == 0,
            flags,
        };
        self.state.estimator = Some(Stamped::new(health, now));
    }

    fn rc(&mut self, m: &RC_CHANNELS_DATA, now: MonoTime) {
        let raw = [
            m.chan1_raw,
            m.chan2_raw,
            m.chan3_raw,
            m.chan4_raw,
            m.chan5_raw,
            m.chan6_raw,
            m.chan7_raw,
            m.chan8_raw,
            m.chan9_raw,
            m.chan10_raw,
            m.chan11_raw,
            m.chan12_raw,
            m.chan13_raw,
            m.chan14_raw,
            m.chan15_raw,
            m.chan16_raw,
            m.chan17_raw,
            m.chan18_raw,
        ];
        let mut us = [None; 18];
        for (i, (slot, pulse)) in us.iter_mut().zip(raw).enumerate() {
            let is_there = i < usize::from(m.chancount) && pulse != 0 && pulse != NO_U16;
            if is_there && PULSES_US.contains(&pulse) {
                *slot = Some(pulse);
            } else if is_there {
                self.problem(Problem::OutOfRange);
            }
        }
        let now_us = us.map(|c| c.unwrap_or(0));
        let has_moved = self
            .sources
            .sticks
            .iter()
            .zip(now_us)
            .any(|(before, after)| before.abs_diff(after) >= STICK_MOVE_US);
        if has_moved {
            self.sources.sticks = now_us;
            self.taken.mode_or_sticks_changed = true;
        }
        self.state.rc = Some(Stamped::new(RcChannels { us }, now));
    }

    fn home_position(&mut self, m: &HOME_POSITION_DATA, now: MonoTime) {
        let home = place_e7(m.latitude, m.longitude, m.altitude);
        if !is_on_earth(&home) {
            return self.problem(Problem::OutOfRange);
        }
        self.home = Some((home, now));
        self.place_home();
        let [x, y, z] = [m.x, m.y, m.z].map(f64::from);
        let local = Vec3::new(x, y, z);
        // ArduPilot leaves these at zero.
        if self.state.kind == Some(AutopilotKind::Px4) && local.norm() <= FARTHEST_M {
            self.state.home = Some(Stamped::new(local, now));
        }
    }

    fn origin(&mut self, m: &GPS_GLOBAL_ORIGIN_DATA, now: MonoTime) {
        let origin = place_e7(m.latitude, m.longitude, m.altitude);
        if !is_on_earth(&origin) {
            return self.problem(Problem::OutOfRange);
        }
        let before = self.state.origin.map(|o| geodetic(&o.value));
        let has_moved = before.is_some_and(|before| {
            ned(&before, &origin).is_none_or(|way| way.norm() > ORIGIN_MOVE_M)
        });
        self.state.origin = Some(Stamped::new(global(&origin), now));
        if has_moved {
            self.history.reset();
            self.state.kinematics = None;
            self.upheaval(Upheaval::OriginMoved);
        }
        self.place_home();
    }

    fn place_home(&mut self) {
        let origin = self.state.origin.map(|o| geodetic(&o.value));
        if let (Some(origin), Some((home, at))) = (origin, self.home) {
            self.state.home = ned(&origin, &home).map(|p| Stamped::new(p, at));
        }
    }

    fn wind(&mut self, speed_m_s: f64, now: MonoTime) {
        if self.is_finite(&[speed_m_s]) && self.is_within(speed_m_s, &(0.0..=FASTEST_M_S)) {
            self.state.wind_m_s = Some(Stamped::new(speed_m_s, now));
        }
    }

    fn system_time(&mut self, m: &SYSTEM_TIME_DATA, now: MonoTime) {
        // Before the year 2000: the autopilot does not know.
        const YEAR_2000_US: u64 = 946_684_800_000_000;
        if let Some(at) = self.at(m.time_boot_ms, now)
            && m.time_unix_usec > YEAR_2000_US
        {
            self.state.unix_time = Some(Stamped::new(Duration::from_micros(m.time_unix_usec), at));
        }
    }

    /// Our moment of a time since boot; notices when the autopilot started again.
    fn at(&mut self, boot_ms: u32, now: MonoTime) -> Option<MonoTime> {
        self.place_in_time(i64::from(boot_ms) * 1_000_000, now)
    }

    fn place_in_time(&mut self, boot_ns: i64, now: MonoTime) -> Option<MonoTime> {
        match self.clock.place(boot_ns, now) {
            Placed::At(at) => Some(at),
            Placed::Odd => {
                self.problem(Problem::OddTime);
                None
            }
            Placed::Restarted(at) => {
                self.restarted();
                Some(at)
            }
        }
    }

    /// What it said before is void, except the mode: heartbeats carry no boot time, so the last may be newer than the start.
    fn restarted(&mut self) {
        self.history.reset();
        self.state = crate::vehicle::VehicleState {
            kind: self.state.kind,
            mode: self.state.mode,
            epoch: self.state.epoch,
            ..Default::default()
        };
        self.home = None;
        self.sources = super::Sources::default();
        self.upheaval(Upheaval::Restarted);
    }

    fn place(&self) -> Option<Vec3<Ned>> {
        self.state.kinematics.map(|k| k.value.position)
    }

    fn is_finite(&mut self, values: &[f64]) -> bool {
        let is_finite = values.iter().all(|v| v.is_finite());
        if !is_finite {
            self.problem(Problem::NotFinite);
        }
        is_finite
    }

    fn is_within(&mut self, value: f64, range: &std::ops::RangeInclusive<f64>) -> bool {
        let is_within = range.contains(&value);
        if !is_within {
            self.problem(Problem::OutOfRange);
        }
        is_within
    }

    fn is_taken(&mut self, intake: Intake) -> bool {
        let problem = match intake {
            Intake::Accepted | Intake::Jump(_) => return true,
            Intake::Refused(Refusal::NotUsable) => Problem::NotFinite,
            Intake::Refused(Refusal::Duplicate) => Problem::Duplicate,
            Intake::Refused(Refusal::OutOfOrder) => Problem::TimeBackwards,
            Intake::Refused(Refusal::InFuture) => Problem::OddTime,
        };
        self.problem(problem);
        false
    }
}

fn is_recent(at: Option<MonoTime>, now: MonoTime, limit: Duration) -> bool {
    at.is_some_and(|at| now.since(at) <= limit)
}

fn place_e7(latitude: i32, longitude: i32, altitude_mm: i32) -> Geodetic {
    Geodetic {
        latitude_deg: f64::from(latitude) / 1e7,
        longitude_deg: f64::from(longitude) / 1e7,
        altitude_m: f64::from(altitude_mm) / 1e3,
    }
}

fn is_on_earth(place: &Geodetic) -> bool {
    LocalOrigin::at(*place).is_ok()
}

fn ned(origin: &Geodetic, place: &Geodetic) -> Option<Vec3<Ned>> {
    LocalOrigin::at(*origin).ok()?.ned_from_geodetic(place).ok()
}

fn global(place: &Geodetic) -> GlobalPlace {
    GlobalPlace {
        latitude_deg: place.latitude_deg,
        longitude_deg: place.longitude_deg,
        altitude_m: place.altitude_m,
    }
}

fn geodetic(place: &GlobalPlace) -> Geodetic {
    Geodetic {
        latitude_deg: place.latitude_deg,
        longitude_deg: place.longitude_deg,
        altitude_m: place.altitude_m,
    }
}
