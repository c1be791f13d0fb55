//! Where the vehicle is and how it is turned.

use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, ATTITUDE_QUATERNION_DATA, GLOBAL_POSITION_INT_DATA, GPS_GLOBAL_ORIGIN_DATA,
    HOME_POSITION_DATA, LOCAL_POSITION_NED_DATA,
};
use nalgebra::{Quaternion, UnitQuaternion};

use super::{FASTEST_M_S, PREFERRED_FOR, is_recent};
use crate::autopilot::decode::{Problem, Telemetry, Upheaval};
use crate::geometry::{Frd, Geodetic, LocalOrigin, Ned, Rotation, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{
    AttitudeSample, AutopilotKind, GlobalPlace, HeightAboveGround, HeightSample, HeightSource,
    Intake, Kinematics, PositionSample, Stamped,
};

/// Farthest local position that is believed, metres.
const FARTHEST_M: f64 = 100_000.0;
/// Fastest turning that is believed, radians per second.
const FASTEST_RAD_S: f64 = 50.0;
/// An origin that moves less has not moved, metres.
const ORIGIN_MOVE_M: f64 = 0.1;

impl Telemetry {
    pub(super) fn attitude(&mut self, m: &ATTITUDE_DATA, now: MonoTime) {
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

    pub(super) fn attitude_quaternion(&mut self, m: &ATTITUDE_QUATERNION_DATA, now: MonoTime) {
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

    pub(super) fn take_attitude(
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

    pub(super) fn local_position(&mut self, m: &LOCAL_POSITION_NED_DATA, now: MonoTime) {
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

    pub(super) fn take_position(
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

    pub(super) fn global_position(&mut self, m: &GLOBAL_POSITION_INT_DATA, now: MonoTime) {
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

    pub(super) fn home_position(&mut self, m: &HOME_POSITION_DATA, now: MonoTime) {
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

    pub(super) fn origin(&mut self, m: &GPS_GLOBAL_ORIGIN_DATA, now: MonoTime) {
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

    pub(super) fn place_home(&mut self) {
        let origin = self.state.origin.map(|o| geodetic(&o.value));
        if let (Some(origin), Some((home, at))) = (origin, self.home) {
            self.state.home = ned(&origin, &home).map(|p| Stamped::new(p, at));
        }
    }
}

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
