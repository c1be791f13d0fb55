//! What can go wrong, and what a pilot can do: hooks for tests and campaigns.

use std::time::Duration;

use nalgebra::Vector3;

use super::sensors::{RangeFault, RangeSensor, Weather};
use super::{SimAutopilot, Sticks};
use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::Mode;

/// How long nothing runs while it boots.
const BOOT_TIME: Duration = Duration::from_secs(2);

/// Until when what is wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    silent: Option<MonoTime>,
    cut: Option<MonoTime>,
    booting: Option<MonoTime>,
    lost: Option<MonoTime>,
    gust: Option<MonoTime>,
    range: Option<MonoTime>,
}

fn lasts(until: Option<MonoTime>, now: MonoTime) -> bool {
    until.is_some_and(|until| now < until)
}

impl Faults {
    pub(super) fn is_silent(&self, now: MonoTime) -> bool {
        lasts(self.silent, now)
    }

    pub(super) fn is_link_cut(&self, now: MonoTime) -> bool {
        lasts(self.cut, now)
    }

    /// The estimator says that it does not know where it is.
    pub(super) fn is_lost(&self, now: MonoTime) -> bool {
        lasts(self.lost, now)
    }

    pub(super) fn is_booting(&self, now: MonoTime) -> bool {
        lasts(self.booting, now)
    }

    /// True once, at the end of a boot.
    pub(super) fn has_booted(&mut self, now: MonoTime) -> bool {
        let is_over = self.booting.is_some_and(|until| now >= until);
        if is_over {
            self.booting = None;
        }
        is_over
    }

    pub(super) fn expire(&mut self, now: MonoTime, weather: &mut Weather, range: &mut RangeSensor) {
        if self.gust.is_some_and(|until| now >= until) {
            self.gust = None;
            weather.extra = Vector3::zeros();
        }
        if self.range.is_some_and(|until| now >= until) {
            self.range = None;
            range.fault = None;
        }
    }
}

impl SimAutopilot {
    /// The pilot turns the mode switch.
    pub fn pilot_sets_mode(&mut self, mode: Mode) {
        self.flight.enter(mode, &self.estimate, self.now);
        self.look();
    }

    /// The pilot moves the sticks; `None` switches the transmitter off.
    pub fn set_sticks(&mut self, sticks: Option<Sticks>) {
        self.sticks = sticks;
    }

    /// The pilot stops the motors, wherever it is.
    pub fn pilot_disarms(&mut self) {
        self.flight.is_armed = false;
        self.look();
    }

    /// Sends nothing for a while, but hears.
    pub fn silence(&mut self, time: Duration) {
        self.faults.silent = Some(self.now.after(time));
    }

    /// Neither sends nor hears for a while.
    pub fn cut_link(&mut self, time: Duration) {
        self.faults.cut = Some(self.now.after(time));
    }

    /// Starts again in the air: 2 s without heartbeats and control, then another boot time, the first mode, no streams.
    pub fn reboot(&mut self) {
        self.faults.booting = Some(self.now.after(BOOT_TIME));
    }

    /// The estimated position jumps by this much, metres; the origin stays.
    pub fn jump_gps(&mut self, by: Vec3<Ned>) {
        self.jump(Vector3::new(by.x(), by.y(), by.z()));
    }

    /// The origin of the local frame moves by this much, metres, and is announced; the vehicle is where it was.
    pub fn move_origin(&mut self, by: Vec3<Ned>) {
        let moved = self.origin.as_ref().and_then(|o| o.geodetic_from_ned(&by));
        self.origin = moved.and_then(|g| crate::geometry::LocalOrigin::at(g).ok());
        let by = Vector3::new(by.x(), by.y(), by.z());
        self.flight.home -= by;
        self.jump(-by);
        self.send_origin();
    }

    fn jump(&mut self, by: Vector3<f64>) {
        self.estimator.jumped += by;
        self.estimate.belief.position += by;
        self.flight.shift(&by);
        self.look();
    }

    /// The estimator reports for a while that its position is not good; it flies on as before.
    pub fn doubt_position(&mut self, time: Duration) {
        self.faults.lost = Some(self.now.after(time));
    }

    /// The range sensor fails for a while.
    pub fn fail_range(&mut self, fault: RangeFault, time: Duration) {
        self.range.fault = Some(fault);
        self.faults.range = Some(self.now.after(time));
    }

    /// The battery holds this much, 0 to 1.
    pub fn set_battery(&mut self, charge: f64) {
        self.battery = charge.clamp(0.0, 1.0);
        self.battery_acted = false;
    }

    /// A gust: so much more wind, m/s, for a while.
    pub fn gust(&mut self, wind: Vec3<Ned>, time: Duration) {
        self.weather.extra = Vector3::new(wind.x(), wind.y(), wind.z());
        self.faults.gust = Some(self.now.after(time));
    }
}
