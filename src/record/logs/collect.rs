//! From an autopilot's messages to the samples of a whole flight.

use std::time::Duration;

use mavlink::MavHeader;
use mavlink::dialects::ardupilotmega::{
    ALTITUDE_DATA, ATTITUDE_DATA, ATTITUDE_QUATERNION_DATA, DISTANCE_SENSOR_DATA,
    LOCAL_POSITION_NED_DATA, MavMessage, MavSensorOrientation,
};

use super::Missing;
use crate::autopilot::decode::{Problem, Telemetry, TelemetryConfig};
use crate::geometry::{Geodetic, LocalOrigin, Ned, Rotation, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{
    AttitudeSample, HeightAboveGround, HeightSample, HeightSource, HistoryLimits, Intake,
    PositionSample, VehicleHistory,
};

/// What logs are written at: slower than a link, and interpolated from both sides.
const LIMITS: HistoryLimits = HistoryLimits {
    attitude_max_age: Duration::from_millis(500),
    position_max_age: Duration::from_secs(1),
    height_max_age: Duration::from_millis(1500),
    max_extrapolation: Duration::from_millis(200),
};
/// The vehicle that readers of other formats speak as.
const VEHICLE: MavHeader = MavHeader {
    system_id: 1,
    component_id: 1,
    sequence: 0,
};
const POSITION_SD_M: f64 = 0.5;
const ATTITUDE_SD_RAD: f64 = 0.02;

/// Everything that a log said, each stream in the order of time.
#[derive(Debug, Default)]
pub(super) struct Collected {
    attitudes: Vec<AttitudeSample>,
    positions: Vec<PositionSample>,
    heights: Vec<HeightSample>,
    /// From here on places are around another origin.
    breaks: Vec<MonoTime>,
    pub(super) unix_start_s: Option<f64>,
    pub(super) focal_35mm_mm: Option<f64>,
    pub(super) notes: Vec<String>,
}

/// Feeds a log's messages to the decoder and keeps what it believes.
#[derive(Debug)]
pub(super) struct Collector {
    telemetry: Telemetry,
    origin: Option<LocalOrigin>,
    /// What the log said so far.
    pub(super) collected: Collected,
}

impl Collector {
    /// For a log of `MAVLink` messages: the first autopilot heard is the vehicle.
    pub(super) fn of_a_link() -> Self {
        Self::new(None)
    }

    /// For a reader that makes up the messages.
    pub(super) fn of_a_file() -> Self {
        Self::new(Some(1))
    }

    fn new(system_id: Option<u8>) -> Self {
        Self {
            telemetry: Telemetry::new(TelemetryConfig {
                system_id,
                limits: LIMITS,
                capacity: 4,
                position_sd_m: POSITION_SD_M,
                attitude_sd_rad: ATTITUDE_SD_RAD,
                places_by_global_position: true,
                flat_ground_sd_m: None,
            }),
            origin: None,
            collected: Collected::default(),
        }
    }

    /// Takes a message that came at `now`.
    pub(super) fn take(&mut self, header: MavHeader, message: &MavMessage, now: MonoTime) {
        let taken = self.telemetry.take(&header, message, now);
        let state = self.telemetry.state();
        let c = &mut self.collected;
        if let Some(attitude) = state.attitude
            && c.attitudes.last().is_none_or(|a| a.at < attitude.at)
        {
            c.attitudes.push(AttitudeSample {
                at: attitude.at,
                ned_from_frd: attitude.value,
                rate_rad_s: Vec3::zero(),
                sd_rad: ATTITUDE_SD_RAD,
            });
        }
        if let Some(k) = state.kinematics
            && c.positions.last().is_none_or(|p| p.at < k.at)
        {
            c.positions.push(PositionSample {
                at: k.at,
                position: k.value.position,
                velocity_m_s: k.value.velocity_m_s,
                sd_m: POSITION_SD_M,
            });
        }
        if let Some(height) = state.height
            && c.heights.last().is_none_or(|h| h.at < height.at)
        {
            c.heights.push(HeightSample {
                at: height.at,
                height: height.value,
            });
        }
        if taken.upheaval.is_some() {
            let at = state.kinematics.map_or(now, |k| k.at);
            c.breaks.push(at);
        }
    }

    /// Roll, pitch and yaw, radians.
    pub(super) fn attitude(&mut self, at: MonoTime, angles: [f64; 3]) {
        let [roll, pitch, yaw] = angles.map(|a| a as f32);
        let message = MavMessage::ATTITUDE(ATTITUDE_DATA {
            time_boot_ms: millis(at),
            roll,
            pitch,
            yaw,
            ..ATTITUDE_DATA::DEFAULT
        });
        self.take(VEHICLE, &message, at);
    }

    /// A quaternion (w, x, y, z) from the body to NED.
    pub(super) fn quaternion(&mut self, at: MonoTime, q: [f64; 4]) {
        let [q1, q2, q3, q4] = q.map(|c| c as f32);
        let message = MavMessage::ATTITUDE_QUATERNION(ATTITUDE_QUATERNION_DATA {
            time_boot_ms: millis(at),
            q1,
            q2,
            q3,
            q4,
            ..ATTITUDE_QUATERNION_DATA::DEFAULT
        });
        self.take(VEHICLE, &message, at);
    }

    /// North, east, down in metres, and their speeds.
    pub(super) fn position(&mut self, at: MonoTime, place: [f64; 3], velocity: [f64; 3]) {
        let ([x, y, z], [vx, vy, vz]) = (place.map(|v| v as f32), velocity.map(|v| v as f32));
        let message = MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA {
            time_boot_ms: millis(at),
            x,
            y,
            z,
            vx,
            vy,
            vz,
        });
        self.take(VEHICLE, &message, at);
    }

    /// A global position, placed around the first one.
    pub(super) fn global(&mut self, at: MonoTime, place: Geodetic, velocity: [f64; 3]) {
        let is_nowhere = place.latitude_deg == 0.0 && place.longitude_deg == 0.0;
        if self.origin.is_none() && !is_nowhere {
            self.origin = LocalOrigin::at(place).ok();
        }
        let ned: Option<Vec3<Ned>> = self
            .origin
            .filter(|_| !is_nowhere)
            .and_then(|o| o.ned_from_geodetic(&place).ok());
        if let Some(p) = ned {
            self.position(at, [p.north(), p.east(), p.down()], velocity);
        }
    }

    /// Height over the take-off point, metres.
    pub(super) fn relative_altitude(&mut self, at: MonoTime, metres: f64) {
        self.altitude(at, metres, f64::NAN);
    }

    /// The autopilot's own estimate of its height above the ground, metres.
    pub(super) fn clearance(&mut self, at: MonoTime, metres: f64) {
        self.altitude(at, f64::NAN, metres);
    }

    fn altitude(&mut self, at: MonoTime, relative: f64, clearance: f64) {
        let message = MavMessage::ALTITUDE(ALTITUDE_DATA {
            time_usec: u64::from(millis(at)) * 1000,
            altitude_relative: relative as f32,
            bottom_clearance: clearance as f32,
            ..ALTITUDE_DATA::DEFAULT
        });
        self.take(VEHICLE, &message, at);
    }

    /// A reading of a range sensor that looks down, metres.
    pub(super) fn range(&mut self, at: MonoTime, metres: f64) {
        let message = MavMessage::DISTANCE_SENSOR(DISTANCE_SENSOR_DATA {
            time_boot_ms: millis(at),
            min_distance: 5,
            max_distance: u16::MAX,
            current_distance: (metres * 100.0).round() as u16,
            orientation: MavSensorOrientation::MAV_SENSOR_ROTATION_PITCH_270,
            ..DISTANCE_SENSOR_DATA::DEFAULT
        });
        self.take(VEHICLE, &message, at);
    }

    /// Everything said, with what was not believed.
    pub(super) fn finish(mut self) -> Collected {
        let counts = self.telemetry.counts();
        for problem in [
            Problem::SecondAutopilot,
            Problem::NotFinite,
            Problem::OutOfRange,
            Problem::OddTime,
            Problem::TimeBackwards,
        ] {
            let n = counts.of(problem);
            if n > 0 {
                self.collected.notes.push(format!("{problem} ({n} times)"));
            }
        }
        self.collected
    }
}

impl Collected {
    /// Makes up the streams that are missing, at the moments of the others.
    pub(super) fn fill_missing(&mut self) -> Missing {
        let missing = Missing {
            attitude: self.attitudes.is_empty(),
            position: self.positions.is_empty(),
            height: self.heights.is_empty(),
        };
        let moments: Vec<MonoTime> = if missing.position {
            self.heights.iter().map(|h| h.at).collect()
        } else {
            self.positions.iter().map(|p| p.at).collect()
        };
        if missing.attitude {
            self.attitudes = moments.iter().map(|at| level(*at)).collect();
        }
        if missing.position {
            self.positions = moments.iter().map(|at| origin(*at)).collect();
        }
        if missing.height {
            self.heights = moments.iter().map(|at| no_height(*at)).collect();
        }
        missing
    }

    /// The moments of the first and the last position.
    pub(super) fn span(&self) -> Option<(MonoTime, MonoTime)> {
        Some((self.positions.first()?.at, self.positions.last()?.at))
    }

    /// A history for each origin. Where the position jumps, the history itself says so.
    pub(super) fn stretches(mut self) -> Vec<(MonoTime, VehicleHistory)> {
        self.breaks.sort_unstable();
        self.breaks.dedup();
        let mut from = MonoTime::from_nanos(i64::MIN);
        let mut all = Vec::new();
        for until in self
            .breaks
            .iter()
            .copied()
            .chain([MonoTime::from_nanos(i64::MAX)])
        {
            let range = from..until;
            let positions = self.positions.iter().filter(|p| range.contains(&p.at));
            let attitudes = self.attitudes.iter().filter(|a| range.contains(&a.at));
            let heights = self.heights.iter().filter(|h| range.contains(&h.at));
            let size = self
                .positions
                .len()
                .max(self.attitudes.len())
                .max(self.heights.len());
            let mut history = VehicleHistory::new(LIMITS, size);
            for p in positions {
                let intake = history.push_position(*p, p.at);
                debug_assert!(!matches!(intake, Intake::Refused(_)), "{intake:?}");
            }
            for a in attitudes {
                history.push_attitude(*a, a.at);
            }
            for h in heights {
                history.push_height(*h, h.at);
            }
            all.push((from, history));
            from = until;
        }
        all
    }
}

/// Level, nose to the north, of unknown heading.
fn level(at: MonoTime) -> AttitudeSample {
    AttitudeSample {
        at,
        ned_from_frd: Rotation::identity(),
        rate_rad_s: Vec3::zero(),
        sd_rad: 0.0,
    }
}

fn origin(at: MonoTime) -> PositionSample {
    PositionSample {
        at,
        position: Vec3::zero(),
        velocity_m_s: Vec3::zero(),
        sd_m: 0.0,
    }
}

fn no_height(at: MonoTime) -> HeightSample {
    HeightSample {
        at,
        height: HeightAboveGround {
            metres: 0.0,
            sd_m: 0.0,
            source: HeightSource::Given,
        },
    }
}

/// Milliseconds since the log's start.
fn millis(at: MonoTime) -> u32 {
    u32::try_from(at.as_nanos() / 1_000_000).unwrap_or(0)
}
