//! What the vehicle is doing, and how it is.

use std::time::Duration;

use mavlink::dialects::ardupilotmega::{
    BATTERY_STATUS_DATA, HEARTBEAT_DATA, MavAutopilot, MavLandedState, MavModeFlag, MavState,
    RC_CHANNELS_DATA, SYS_STATUS_DATA, SYSTEM_TIME_DATA,
};

use super::{FASTEST_M_S, is_recent};
use crate::autopilot::decode::{Problem, Telemetry};
use crate::autopilot::modes::mode_of;
use crate::time::MonoTime;
use crate::vehicle::{
    AutopilotKind, Battery, EstimatorHealth, LandedState, RcChannels, Stamped, VehicleMode,
};

/// The same for the battery, which is reported seldom.
const BATTERY_PREFERRED_FOR: Duration = Duration::from_secs(10);
/// A channel that moves less has not moved, microseconds.
const STICK_MOVE_US: u16 = 10;
/// Pulses outside are no channel, microseconds.
const PULSES_US: std::ops::RangeInclusive<u16> = 700..=2300;
/// `UINT16_MAX`: not there.
const NO_U16: u16 = u16::MAX;
/// Horizontal position is good: `EKF_POS_HORIZ_ABS` is set and `EKF_CONST_POS_MODE` is not, on both autopilots.
const POSITION_ABSOLUTE: u16 = 0x10;
const POSITION_CONSTANT: u16 = 0x80;

impl Telemetry {
    pub(super) fn heartbeat(&mut self, m: &HEARTBEAT_DATA, now: MonoTime) {
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

    pub(super) fn landed(&mut self, state: MavLandedState, now: MonoTime) {
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

    pub(super) fn battery_status(&mut self, m: &BATTERY_STATUS_DATA, now: MonoTime) {
        if m.id != 0 {
            return;
        }
        let cells = m.voltages.iter().filter(|mv| **mv != NO_U16);
        let millivolts: u32 = cells.map(|mv| u32::from(*mv)).sum();
        self.sources.battery_status = Some(now);
        self.battery(millivolts, m.battery_remaining, now);
    }

    pub(super) fn sys_status(&mut self, m: &SYS_STATUS_DATA, now: MonoTime) {
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
    pub(super) fn battery(&mut self, millivolts: u32, percent: i8, now: MonoTime) {
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

    pub(super) fn estimator(&mut self, flags: u16, now: MonoTime) {
        let health = EstimatorHealth {
            is_position_good: flags & POSITION_ABSOLUTE != 0 && flags & POSITION_CONSTANT == 0,
            flags,
        };
        self.state.estimator = Some(Stamped::new(health, now));
    }

    pub(super) fn rc(&mut self, m: &RC_CHANNELS_DATA, now: MonoTime) {
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

    pub(super) fn wind(&mut self, speed_m_s: f64, now: MonoTime) {
        if self.is_finite(&[speed_m_s]) && self.is_within(speed_m_s, &(0.0..=FASTEST_M_S)) {
            self.state.wind_m_s = Some(Stamped::new(speed_m_s, now));
        }
    }

    pub(super) fn system_time(&mut self, m: &SYSTEM_TIME_DATA, now: MonoTime) {
        // Before the year 2000: the autopilot does not know.
        const YEAR_2000_US: u64 = 946_684_800_000_000;
        if let Some(at) = self.at(m.time_boot_ms, now)
            && m.time_unix_usec > YEAR_2000_US
        {
            self.state.unix_time = Some(Stamped::new(Duration::from_micros(m.time_unix_usec), at));
        }
    }
}
