//! What is flown: dialect, place, weather, errors of the sensors, and the parameters that change the behaviour.

use crate::geometry::Vec3;
use crate::geometry::{Geodetic, Ned};
use crate::vehicle::Mode;

/// Whose behaviour is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `ArduCopter`.
    ArduPilot,
    /// PX4 multicopter.
    Px4,
}

/// What PX4 does when the offboard stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffboardLoss {
    /// `NAV_RCL_ACT` = 2, the default: RTL after 1.7 s.
    Return,
    /// `COM_OBL_RC_ACT` = 4: LAND after 2 s.
    Land,
    /// `NAV_RCL_ACT` = 0 and no receiver: it stays.
    Hover,
}

/// What the autopilot does by itself when the battery is low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatteryAction {
    /// Says so, and nothing more.
    Warn,
    /// Returns.
    Return,
    /// Lands where it is.
    Land,
}

/// Errors of what the autopilot believes, and of its sensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Constant distance between the estimator's frame and the truth, metres, drawn between the two.
    pub offset_m: [f64; 2],
    /// Slow wandering of the horizontal position, one standard deviation, metres.
    pub wander_m: f64,
    /// Slow wandering of the height (barometer), one standard deviation, metres.
    pub height_wander_m: f64,
    /// Noise of each reported position, one standard deviation, metres.
    pub position_m: f64,
    /// Noise of each reported angle, one standard deviation, radians.
    pub attitude_rad: f64,
    /// Noise of the range sensor: metres, and the share of the reading.
    pub range_m: [f64; 2],
    /// How often a reading of the range sensor fails, for about half a second; a second.
    pub range_dropouts_per_s: f64,
}

impl Noise {
    /// As in the measured simulations: the simulators' own noise.
    #[must_use]
    pub fn bench(dialect: Dialect) -> Self {
        let (offset_m, wander_m) = match dialect {
            Dialect::ArduPilot => ([0.0, 0.02], 0.01),
            Dialect::Px4 => ([0.2, 0.5], 0.05),
        };
        Self {
            offset_m,
            wander_m,
            height_wander_m: 0.1,
            position_m: 0.01,
            attitude_rad: 0.001,
            range_m: [0.01, 0.002],
            range_dropouts_per_s: 0.0,
        }
    }

    /// As outdoors with an ordinary GPS receiver: the frame wanders by decimetres within minutes.
    #[must_use]
    pub fn outdoors(dialect: Dialect) -> Self {
        Self {
            wander_m: 0.25,
            height_wander_m: 0.6,
            position_m: 0.02,
            attitude_rad: 0.004,
            range_m: [0.02, 0.005],
            range_dropouts_per_s: 0.02,
            ..Self::bench(dialect)
        }
    }
}

/// The weather.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wind {
    /// Mean speed, m/s.
    pub speed_m_s: f64,
    /// Where it comes from, radians clockwise from north.
    pub from_rad: f64,
    /// Standard deviation of the gusts over the mean speed.
    pub turbulence: f64,
}

/// The range sensor below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Shortest reading, metres.
    pub min_m: f64,
    /// Longest reading, metres.
    pub max_m: f64,
}

/// The sticks and switches of the pilot, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sticks {
    /// Roll, pitch, throttle, yaw (channels 1 to 4): 1000 to 2000, the middle is 1500. Pitch below 1500 flies forward.
    pub axes_us: [u16; 4],
    /// Switches (channels 5 to 8).
    pub switches_us: [u16; 4],
}

impl Default for Sticks {
    /// All in the middle, all switches low.
    fn default() -> Self {
        Self {
            axes_us: [1500; 4],
            switches_us: [1000; 4],
        }
    }
}

/// A simulated flight controller and its vehicle.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Whose behaviour.
    pub dialect: Dialect,
    /// Decides gusts, noise, offsets and dropouts.
    pub seed: u64,
    /// Where it is at the beginning, true NED, metres; z = 0 is the ground.
    pub start: Vec3<Ned>,
    /// Where the nose points at the beginning, radians.
    pub yaw_rad: f64,
    /// The mode at the beginning.
    pub mode: Mode,
    /// The weather.
    pub wind: Wind,
    /// Errors.
    pub noise: Noise,
    /// The range sensor, if there is one.
    pub range: Option<Range>,
    /// The sticks, if there is a receiver.
    pub sticks: Option<Sticks>,
    /// Where NED (0, 0, 0) is.
    pub origin: Geodetic,
    /// Charge at the beginning, 0 to 1.
    pub battery: f64,
    /// How long a full battery lasts, seconds.
    pub endurance_s: f64,
    /// Below this charge the battery is low.
    pub battery_low: f64,
    /// What happens then.
    pub battery_action: BatteryAction,
    /// What PX4 does without setpoints.
    pub offboard_loss: OffboardLoss,
    /// `ArduPilot`'s `PLND_ENABLED`.
    pub has_precland: bool,
    /// The vehicle's system id.
    pub system_id: u8,
}

impl SimConfig {
    /// As in the measured runs: 20 m above the origin, calm, noise of the bench, a range sensor of 40 m, the sticks in
    /// the middle, waiting in a mode that holds.
    #[must_use]
    pub fn new(dialect: Dialect, seed: u64) -> Self {
        Self {
            dialect,
            seed,
            start: Vec3::new(0.0, 0.0, -20.0),
            yaw_rad: 0.0,
            mode: match dialect {
                Dialect::ArduPilot => Mode::Guided,
                Dialect::Px4 => Mode::Hold,
            },
            wind: Wind::default(),
            noise: Noise::bench(dialect),
            range: Some(Range {
                min_m: 0.1,
                max_m: 40.0,
            }),
            sticks: Some(Sticks::default()),
            origin: Geodetic {
                latitude_deg: 47.397_742,
                longitude_deg: 8.545_594,
                altitude_m: 488.0,
            },
            battery: 0.9,
            endurance_s: 1500.0,
            battery_low: 0.2,
            battery_action: BatteryAction::Warn,
            offboard_loss: OffboardLoss::Return,
            has_precland: true,
            system_id: 1,
        }
    }
}
