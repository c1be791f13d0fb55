//! What it says of itself.

use mavlink::dialects::ardupilotmega as m;
use nalgebra::Vector3;

use super::sensors::Reading;
use super::streams::id;
use super::{Dialect, SimAutopilot, modes, ned};
use crate::vehicle::Mode;

impl SimAutopilot {
    /// Sends everything that is due.
    pub(super) fn stream(&mut self) {
        while let Some(id) = self.streams.next(self.now) {
            self.report(id);
        }
    }

    /// Sends one message now.
    pub(super) fn report(&mut self, id: u32) {
        match id {
            id::HEARTBEAT => self.send_heartbeat(),
            id::SYS_STATUS => self.send_sys_status(),
            id::SYSTEM_TIME => self.send_time(),
            id::ALTITUDE => self.send_altitude(),
            id::ATTITUDE => self.send_attitude(),
            id::ATTITUDE_QUATERNION => self.send_quaternion(),
            id::LOCAL_POSITION_NED => self.send_local_position(),
            id::GLOBAL_POSITION_INT => self.send_global_position(),
            id::GPS_GLOBAL_ORIGIN => self.send_origin(),
            id::RC_CHANNELS => self.send_sticks(),
            id::TIMESYNC => self.ask_time(),
            id::DISTANCE_SENSOR => self.send_range(),
            id::BATTERY_STATUS => self.send_battery(),
            id::WIND => self.send_wind(),
            id::WIND_COV => self.send_wind_cov(),
            id::EKF_STATUS_REPORT => self.send_ekf(),
            id::ESTIMATOR_STATUS => self.send_estimator(),
            id::HOME_POSITION => self.send_home(),
            id::EXTENDED_SYS_STATE => self.send_landed(),
            _ => {}
        }
    }

    fn boot_ms(&self) -> u32 {
        self.now.since(self.boot_at).as_millis() as u32
    }

    /// The autopilot's own clock, nanoseconds since its boot.
    pub(super) fn boot_ns(&self) -> i64 {
        self.now.since(self.boot_at).as_nanos() as i64
    }

    fn send_heartbeat(&mut self) {
        use m::MavModeFlag as F;
        let dialect = self.config.dialect;
        let mut base_mode = F::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED;
        base_mode.set(F::MAV_MODE_FLAG_SAFETY_ARMED, self.flight.is_armed);
        let is_guided = matches!(self.flight.mode, Mode::Guided);
        base_mode.set(F::MAV_MODE_FLAG_GUIDED_ENABLED, is_guided);
        base_mode |= F::MAV_MODE_FLAG_STABILIZE_ENABLED;
        let system_status = if self.flight.is_failsafe {
            m::MavState::MAV_STATE_CRITICAL
        } else if self.flight.is_armed {
            m::MavState::MAV_STATE_ACTIVE
        } else {
            m::MavState::MAV_STATE_STANDBY
        };
        self.send(&m::HEARTBEAT_DATA {
            custom_mode: modes::number(dialect, self.flight.mode),
            mavtype: m::MavType::MAV_TYPE_QUADROTOR,
            autopilot: match dialect {
                Dialect::ArduPilot => m::MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
                Dialect::Px4 => m::MavAutopilot::MAV_AUTOPILOT_PX4,
            },
            base_mode,
            system_status,
            mavlink_version: 3,
        });
    }

    /// Volts of four cells.
    fn volts(&self) -> f64 {
        13.6 + 3.2 * self.battery
    }

    fn send_sys_status(&mut self) {
        use m::MavSysStatusSensor as S;
        let mut present = S::MAV_SYS_STATUS_SENSOR_3D_GYRO
            | S::MAV_SYS_STATUS_SENSOR_3D_ACCEL
            | S::MAV_SYS_STATUS_SENSOR_3D_MAG
            | S::MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
            | S::MAV_SYS_STATUS_SENSOR_GPS
            | S::MAV_SYS_STATUS_AHRS
            | S::MAV_SYS_STATUS_SENSOR_BATTERY;
        present.set(
            S::MAV_SYS_STATUS_SENSOR_LASER_POSITION,
            self.config.range.is_some(),
        );
        present.set(
            S::MAV_SYS_STATUS_SENSOR_RC_RECEIVER,
            self.config.sticks.is_some(),
        );
        let mut health = present;
        health.set(S::MAV_SYS_STATUS_SENSOR_RC_RECEIVER, self.sticks.is_some());
        let mut data = m::SYS_STATUS_DATA::DEFAULT;
        data.onboard_control_sensors_present = present;
        data.onboard_control_sensors_enabled = present;
        data.onboard_control_sensors_health = health;
        data.onboard_control_sensors_present_extended = m::MavSysStatusSensorExtended::empty();
        data.onboard_control_sensors_enabled_extended = m::MavSysStatusSensorExtended::empty();
        data.onboard_control_sensors_health_extended = m::MavSysStatusSensorExtended::empty();
        data.load = 300;
        data.voltage_battery = (self.volts() * 1000.0) as u16;
        data.current_battery = 1500;
        data.battery_remaining = (self.battery * 100.0).round() as i8;
        self.send(&data);
    }

    fn send_battery(&mut self) {
        let mut data = m::BATTERY_STATUS_DATA::DEFAULT;
        data.current_consumed = -1;
        data.energy_consumed = -1;
        data.temperature = i16::MAX;
        data.voltages = [u16::MAX; 10];
        if let Some(first) = data.voltages.first_mut() {
            *first = (self.volts() * 1000.0) as u16;
        }
        data.current_battery = 1500;
        data.battery_remaining = (self.battery * 100.0).round() as i8;
        data.fault_bitmask = m::MavBatteryFault::empty();
        self.send(&data);
    }

    fn send_attitude(&mut self) {
        let [roll, pitch, yaw] = self.estimate.roll_pitch_yaw.map(|a| a as f32);
        let rates = self.estimate.rates;
        self.send(&m::ATTITUDE_DATA {
            time_boot_ms: self.boot_ms(),
            roll,
            pitch,
            yaw,
            rollspeed: rates.x as f32,
            pitchspeed: rates.y as f32,
            yawspeed: rates.z as f32,
        });
    }

    fn send_quaternion(&mut self) {
        let q = self.estimate.ned_from_frd.quaternion();
        let rates = self.estimate.rates;
        let mut data = m::ATTITUDE_QUATERNION_DATA::DEFAULT;
        data.time_boot_ms = self.boot_ms();
        data.q1 = q.w as f32;
        data.q2 = q.i as f32;
        data.q3 = q.j as f32;
        data.q4 = q.k as f32;
        data.rollspeed = rates.x as f32;
        data.pitchspeed = rates.y as f32;
        data.yawspeed = rates.z as f32;
        self.send(&data);
    }

    fn send_local_position(&mut self) {
        let at = self.estimator.reported(&self.estimate, &mut self.chance);
        let v = self.estimate.belief.velocity;
        self.send(&m::LOCAL_POSITION_NED_DATA {
            time_boot_ms: self.boot_ms(),
            x: at.x as f32,
            y: at.y as f32,
            z: at.z as f32,
            vx: v.x as f32,
            vy: v.y as f32,
            vz: v.z as f32,
        });
    }

    fn send_global_position(&mut self) {
        let at = self.estimator.reported(&self.estimate, &mut self.chance);
        let Some([lat, lon, alt]) = self.global(&at) else {
            return;
        };
        let v = self.estimate.belief.velocity * 100.0;
        let heading = self.estimate.belief.yaw.to_degrees().rem_euclid(360.0);
        self.send(&m::GLOBAL_POSITION_INT_DATA {
            time_boot_ms: self.boot_ms(),
            lat,
            lon,
            alt,
            relative_alt: ((self.flight.home.z - at.z) * 1000.0) as i32,
            vx: v.x as i16,
            vy: v.y as i16,
            vz: v.z as i16,
            hdg: (heading * 100.0) as u16,
        });
    }

    /// Latitude and longitude times 1e7, altitude in millimetres, of a place in the estimator's frame.
    fn global(&self, at: &Vector3<f64>) -> Option<[i32; 3]> {
        let g = self.origin.as_ref()?.geodetic_from_ned(&ned(at))?;
        let degrees = |d: f64| (d * 1e7).round() as i32;
        let millimetres = (g.altitude_m * 1000.0).round() as i32;
        Some([
            degrees(g.latitude_deg),
            degrees(g.longitude_deg),
            millimetres,
        ])
    }

    pub(super) fn send_origin(&mut self) {
        let Some([latitude, longitude, altitude]) = self.global(&Vector3::zeros()) else {
            return;
        };
        let mut data = m::GPS_GLOBAL_ORIGIN_DATA::DEFAULT;
        data.latitude = latitude;
        data.longitude = longitude;
        data.altitude = altitude;
        self.send(&data);
    }

    fn send_home(&mut self) {
        let home = self.flight.home;
        let Some([latitude, longitude, altitude]) = self.global(&home) else {
            return;
        };
        let mut data = m::HOME_POSITION_DATA::DEFAULT;
        data.latitude = latitude;
        data.longitude = longitude;
        data.altitude = altitude;
        data.x = home.x as f32;
        data.y = home.y as f32;
        data.z = home.z as f32;
        data.q = [1.0, 0.0, 0.0, 0.0];
        self.send(&data);
    }

    fn send_sticks(&mut self) {
        let Some(sticks) = self.sticks else {
            // ArduPilot says that there are no channels; PX4 says nothing.
            if self.config.dialect == Dialect::ArduPilot {
                let mut data = m::RC_CHANNELS_DATA::DEFAULT;
                data.time_boot_ms = self.boot_ms();
                self.send(&data);
            }
            return;
        };
        let [roll, pitch, throttle, yaw] = sticks.axes_us;
        let [s5, s6, s7, s8] = sticks.switches_us;
        let none = u16::MAX;
        self.send(&m::RC_CHANNELS_DATA {
            time_boot_ms: self.boot_ms(),
            chan1_raw: roll,
            chan2_raw: pitch,
            chan3_raw: throttle,
            chan4_raw: yaw,
            chan5_raw: s5,
            chan6_raw: s6,
            chan7_raw: s7,
            chan8_raw: s8,
            chan9_raw: none,
            chan10_raw: none,
            chan11_raw: none,
            chan12_raw: none,
            chan13_raw: none,
            chan14_raw: none,
            chan15_raw: none,
            chan16_raw: none,
            chan17_raw: none,
            chan18_raw: none,
            chancount: 8,
            rssi: 200,
        });
    }

    /// PX4 asks for the companion's time.
    fn ask_time(&mut self) {
        let mut data = m::TIMESYNC_DATA::DEFAULT;
        data.ts1 = self.boot_ns();
        self.send(&data);
    }

    fn send_time(&mut self) {
        self.send(&m::SYSTEM_TIME_DATA {
            // Noon of a day in November 2025, plus what has passed since the boot.
            time_unix_usec: 1_764_072_000_000_000 + self.boot_ns() as u64 / 1000,
            time_boot_ms: self.boot_ms(),
        });
    }

    fn send_altitude(&mut self) {
        let height = self.flight.home.z - self.estimate.belief.position.z;
        let above_sea = self.config.origin.altitude_m + self.estimate.height_m();
        self.send(&m::ALTITUDE_DATA {
            time_usec: self.boot_ns() as u64 / 1000,
            altitude_monotonic: above_sea as f32,
            altitude_amsl: above_sea as f32,
            altitude_local: self.estimate.height_m() as f32,
            altitude_relative: height as f32,
            altitude_terrain: f32::NAN,
            bottom_clearance: self.range.metres().map_or(f32::NAN, |m| m as f32),
        });
    }

    fn send_range(&mut self) {
        let Some(range) = self.config.range else {
            return;
        };
        // A reading beyond the sensor's reach is reported as just beyond it; none at all is not reported.
        let metres = match self.range.last() {
            Reading::Nothing => return,
            Reading::TooFar => range.max_m + 1.0,
            Reading::Metres(m) => m,
        };
        let mut data = m::DISTANCE_SENSOR_DATA::DEFAULT;
        data.time_boot_ms = self.boot_ms();
        data.min_distance = (range.min_m * 100.0) as u16;
        data.max_distance = (range.max_m * 100.0) as u16;
        data.current_distance = (metres * 100.0).round() as u16;
        data.mavtype = m::MavDistanceSensor::MAV_DISTANCE_SENSOR_LASER;
        data.orientation = m::MavSensorOrientation::MAV_SENSOR_ROTATION_PITCH_270;
        data.covariance = u8::MAX;
        self.send(&data);
    }

    fn send_wind(&mut self) {
        let wind = self.weather.mean;
        self.send(&m::WIND_DATA {
            direction: wind.from_rad.to_degrees() as f32,
            speed: wind.speed_m_s as f32,
            speed_z: 0.0,
        });
    }

    fn send_wind_cov(&mut self) {
        let wind = self.weather.mean();
        let mut data = m::WIND_COV_DATA::DEFAULT;
        data.time_usec = self.boot_ns() as u64 / 1000;
        data.wind_x = wind.x as f32;
        data.wind_y = wind.y as f32;
        self.send(&data);
    }

    fn send_ekf(&mut self) {
        use m::EkfStatusFlags as F;
        let mut flags = F::EKF_ATTITUDE
            | F::EKF_VELOCITY_HORIZ
            | F::EKF_VELOCITY_VERT
            | F::EKF_POS_HORIZ_REL
            | F::EKF_POS_HORIZ_ABS
            | F::EKF_POS_VERT_ABS
            | F::EKF_PRED_POS_HORIZ_REL
            | F::EKF_PRED_POS_HORIZ_ABS;
        flags.set(F::EKF_POS_VERT_AGL, self.config.range.is_some());
        if self.faults.is_lost(self.now) {
            flags.remove(F::EKF_POS_HORIZ_REL | F::EKF_POS_HORIZ_ABS);
            flags.insert(F::EKF_CONST_POS_MODE);
        }
        let mut data = m::EKF_STATUS_REPORT_DATA::DEFAULT;
        data.velocity_variance = 0.05;
        data.pos_horiz_variance = 0.05;
        data.pos_vert_variance = 0.05;
        data.compass_variance = 0.05;
        data.flags = flags;
        self.send(&data);
    }

    fn send_estimator(&mut self) {
        use m::EstimatorStatusFlags as F;
        let mut data = m::ESTIMATOR_STATUS_DATA::DEFAULT;
        data.time_usec = self.boot_ns() as u64 / 1000;
        data.vel_ratio = 0.1;
        data.pos_horiz_ratio = 0.1;
        data.pos_vert_ratio = 0.1;
        data.mag_ratio = 0.1;
        data.pos_horiz_accuracy = 0.4;
        data.pos_vert_accuracy = 0.6;
        data.flags = F::ESTIMATOR_ATTITUDE
            | F::ESTIMATOR_VELOCITY_HORIZ
            | F::ESTIMATOR_VELOCITY_VERT
            | F::ESTIMATOR_POS_HORIZ_REL
            | F::ESTIMATOR_POS_HORIZ_ABS
            | F::ESTIMATOR_POS_VERT_ABS
            | F::ESTIMATOR_PRED_POS_HORIZ_REL
            | F::ESTIMATOR_PRED_POS_HORIZ_ABS;
        if self.faults.is_lost(self.now) {
            let gone = F::ESTIMATOR_POS_HORIZ_REL | F::ESTIMATOR_POS_HORIZ_ABS;
            data.flags.remove(gone);
            data.flags.insert(F::ESTIMATOR_CONST_POS_MODE);
        }
        self.send(&data);
    }

    fn send_landed(&mut self) {
        use m::MavLandedState as L;
        let landed_state = if self.flight.is_landed {
            L::MAV_LANDED_STATE_ON_GROUND
        } else if matches!(self.flight.mode, Mode::Land | Mode::PrecLand) {
            L::MAV_LANDED_STATE_LANDING
        } else {
            L::MAV_LANDED_STATE_IN_AIR
        };
        self.send(&m::EXTENDED_SYS_STATE_DATA {
            vtol_state: m::MavVtolState::MAV_VTOL_STATE_UNDEFINED,
            landed_state,
        });
    }

    pub(super) fn send_text(&mut self, text: &str) {
        let mut data = m::STATUSTEXT_DATA::DEFAULT;
        data.severity = m::MavSeverity::MAV_SEVERITY_CRITICAL;
        data.text = text.into();
        self.send(&data);
    }
}
