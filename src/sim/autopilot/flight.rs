//! What each mode wants of the vehicle.

use std::time::Duration;

use nalgebra::{Vector2, Vector3};

use super::config::{Dialect, OffboardLoss, Sticks};
use super::precland::{Approach, PrecLand};
use super::px4::{PrecisionLanding, SetpointStream};
use super::sensors::Estimate;
use crate::sim::quad::{Demand, Heading, Horizontal, Vertical};
use crate::time::MonoTime;
use crate::vehicle::Mode;

/// Without a new velocity for so long, `ArduPilot` stops.
const VELOCITY_TIMEOUT: Duration = Duration::from_secs(3);
/// At rest on the ground for so long, it has landed; PX4 disarms so much later.
const LANDED_AFTER: Duration = Duration::from_secs(1);
const PX4_DISARM_AFTER: Duration = Duration::from_secs(2);
/// Height of a return, metres over home.
const RETURN_HEIGHT_M: f64 = 15.0;
/// Share of full stick that means nothing, and what full stick means, m/s.
const DEADBAND: f64 = 0.1;
const STICK_SPEED: f64 = 5.0;
const STICK_CLIMB: f64 = 2.5;
/// PX4's `COM_RC_STICK_OV`: share of full stick that takes over from an automatic mode.
const OVERRIDE: f64 = 0.3;

/// A wish that came over the link while the mode follows wishes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wish {
    pub(super) place: Option<Vector3<f64>>,
    pub(super) velocity: Option<Vector3<f64>>,
    pub(super) heading: Heading,
}

/// Followed in GUIDED or OFFBOARD.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Guidance {
    /// Nothing (any more): stops and stays.
    Stay,
    Place(Vector3<f64>),
    Velocity {
        velocity: Vector3<f64>,
        at: MonoTime,
    },
}

/// Stops, and stays where it stopped.
#[derive(Debug, Clone, Copy, Default)]
struct Stay {
    place: Option<Vector2<f64>>,
    down: Option<f64>,
}

impl Stay {
    fn across(&mut self, estimate: &Estimate) -> Horizontal {
        let is_slow = estimate.belief.velocity.xy().norm() < 0.3;
        if self.place.is_none() && is_slow {
            self.place = Some(estimate.place());
        }
        self.place
            .map_or(Horizontal::Velocity(Vector2::zeros()), Horizontal::Place)
    }

    fn height(&mut self, estimate: &Estimate) -> Vertical {
        let is_slow = estimate.belief.velocity.z.abs() < 0.2;
        if self.down.is_none() && is_slow {
            self.down = Some(estimate.belief.position.z);
        }
        self.down.map_or(Vertical::Rate(0.0), Vertical::Down)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Return {
    Climb { down: f64 },
    Home { down: f64 },
    Land,
}

/// What the flight is told by the rest of the autopilot at a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) estimate: &'a Estimate,
    pub(super) sticks: Option<&'a Sticks>,
    pub(super) is_on_ground: bool,
    pub(super) now: MonoTime,
}

/// The flight modes of both dialects.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) dialect: Dialect,
    offboard_loss: OffboardLoss,
    pub(super) mode: Mode,
    pub(super) is_armed: bool,
    pub(super) is_landed: bool,
    /// The autopilot chose the mode against somebody's will.
    pub(super) is_failsafe: bool,
    /// Home, in the estimator's frame.
    pub(super) home: Vector3<f64>,
    stay: Stay,
    guidance: Guidance,
    heading: Heading,
    going_home: Return,
    pub(super) precland: PrecLand,
    pub(super) px4: PrecisionLanding,
    pub(super) stream: SetpointStream,
    at_rest_since: Option<MonoTime>,
}

impl Flight {
    pub(super) fn new(
        dialect: Dialect,
        offboard_loss: OffboardLoss,
        mode: Mode,
        home: Vector3<f64>,
    ) -> Self {
        Self {
            dialect,
            offboard_loss,
            mode,
            is_armed: true,
            is_landed: false,
            is_failsafe: false,
            home,
            stay: Stay::default(),
            guidance: Guidance::Stay,
            heading: Heading::Keep,
            going_home: Return::Land,
            precland: PrecLand::new(),
            px4: PrecisionLanding::new(),
            stream: SetpointStream::default(),
            at_rest_since: None,
        }
    }

    /// What a reboot forgets: everything but home and that the motors run.
    pub(super) fn reboot(&mut self, mode: Mode) {
        let fresh = Self::new(self.dialect, self.offboard_loss, mode, self.home);
        *self = Self {
            is_armed: self.is_armed,
            is_landed: self.is_landed,
            ..fresh
        };
    }

    /// Changes the mode; PX4 does not enter OFFBOARD without a stream of setpoints. Says whether the mode is now so.
    pub(super) fn enter(&mut self, mode: Mode, estimate: &Estimate, now: MonoTime) -> bool {
        let is_offboard = self.dialect == Dialect::Px4 && mode == Mode::Guided;
        if is_offboard && !self.stream.is_running(now) {
            return false;
        }
        self.is_failsafe = false;
        if mode == self.mode {
            return true;
        }
        self.mode = mode;
        self.stay = Stay::default();
        self.heading = Heading::Keep;
        if !is_offboard {
            self.guidance = Guidance::Stay;
        }
        self.precland.begin();
        self.px4.begin();
        let down = estimate
            .belief
            .position
            .z
            .min(self.home.z - RETURN_HEIGHT_M);
        self.going_home = Return::Climb { down };
        true
    }

    /// The autopilot itself changes the mode.
    pub(super) fn fail_safe(&mut self, mode: Mode, estimate: &Estimate, now: MonoTime) {
        self.enter(mode, estimate, now);
        self.is_failsafe = true;
    }

    /// A setpoint came, or one that is not understood.
    pub(super) fn guide(&mut self, wish: Option<Wish>, estimate: &Estimate, now: MonoTime) {
        let follows = self.mode == Mode::Guided;
        let Some(wish) = wish else {
            // ArduPilot stops and says nothing; PX4 does not count it.
            if follows && self.dialect == Dialect::ArduPilot {
                self.hold();
            }
            return;
        };
        self.stream.note(now);
        if !follows && self.dialect == Dialect::ArduPilot {
            return;
        }
        self.heading = wish.heading;
        self.guidance = match (wish.place, wish.velocity) {
            (Some(place), _) => {
                self.heading = self.face(place, wish.heading, estimate);
                Guidance::Place(place)
            }
            (None, Some(velocity)) => Guidance::Velocity { velocity, at: now },
            (None, None) => Guidance::Stay,
        };
    }

    /// Without a wish for the nose, `ArduPilot` turns it towards a place that is further than 2 m away.
    fn face(&self, place: Vector3<f64>, wish: Heading, estimate: &Estimate) -> Heading {
        let way = place.xy() - estimate.place();
        if wish == Heading::Keep && self.dialect == Dialect::ArduPilot && way.norm() > 2.0 {
            Heading::To(way.y.atan2(way.x))
        } else {
            wish
        }
    }

    fn hold(&mut self) {
        self.stay = Stay::default();
        self.guidance = Guidance::Stay;
        self.heading = Heading::Keep;
    }

    /// The estimate jumped by this much: what is held is held where it is.
    pub(super) fn shift(&mut self, jump: &Vector3<f64>) {
        if let Some(place) = &mut self.stay.place {
            *place += jump.xy();
        }
        if let Some(down) = &mut self.stay.down {
            *down += jump.z;
        }
    }

    /// What is wanted at this step.
    pub(super) fn demand(&mut self, at: &Situation<'_>, say: &mut Vec<&'static str>) -> Demand {
        self.look_after_landing(at);
        self.look_after_stream(at);
        self.look_after_sticks(at);
        if !self.is_armed || (self.is_landed && !self.may_take_off()) {
            return Demand {
                horizontal: Horizontal::Tilt(Vector2::zeros()),
                vertical: Vertical::Off,
                heading: Heading::Keep,
            };
        }
        let (horizontal, vertical, heading) = match self.mode {
            // Down is down: what the target seems to do from the ground means nothing.
            Mode::Land | Mode::PrecLand if at.is_on_ground => (
                Horizontal::Tilt(Vector2::zeros()),
                Vertical::Rate(0.5),
                Heading::Keep,
            ),
            Mode::Guided => self.guided(at),
            Mode::Land => {
                let (across, down) = self.land(at, say);
                (across, down, Heading::Keep)
            }
            Mode::PrecLand => {
                let (across, down) = self.px4.step(at.estimate, self.sink(at), at.now);
                (across, down, Heading::Keep)
            }
            Mode::Rtl => self.come_home(at, say),
            Mode::Loiter | Mode::Other(_) => self.by_hand(at),
            Mode::Hold | Mode::Mission => (
                self.stay.across(at.estimate),
                self.stay.height(at.estimate),
                Heading::Keep,
            ),
        };
        Demand {
            horizontal,
            vertical,
            heading,
        }
    }

    /// From the ground only PX4 goes up by a setpoint; `ArduPilot` needs a take-off command.
    fn may_take_off(&self) -> bool {
        let goes_up = match self.guidance {
            Guidance::Place(place) => place.z < self.home.z - 0.5,
            Guidance::Velocity { velocity, .. } => velocity.z < 0.0,
            Guidance::Stay => false,
        };
        self.dialect == Dialect::Px4 && self.mode == Mode::Guided && goes_up
    }

    fn look_after_landing(&mut self, at: &Situation<'_>) {
        if !at.is_on_ground {
            self.at_rest_since = None;
            self.is_landed = false;
            return;
        }
        let since = *self.at_rest_since.get_or_insert(at.now);
        let rest = at.now.since(since);
        self.is_landed = self.is_landed || rest >= LANDED_AFTER;
        let more = match self.dialect {
            Dialect::ArduPilot => Duration::ZERO,
            Dialect::Px4 => PX4_DISARM_AFTER,
        };
        let lands = matches!(self.mode, Mode::Land | Mode::PrecLand | Mode::Rtl);
        if self.is_landed && lands && rest >= LANDED_AFTER + more {
            self.is_armed = false;
        }
    }

    /// PX4 without setpoints.
    fn look_after_stream(&mut self, at: &Situation<'_>) {
        if self.dialect != Dialect::Px4 || self.mode != Mode::Guided || self.is_landed {
            return;
        }
        let (after, mode) = match self.offboard_loss {
            OffboardLoss::Return => (1700, Mode::Rtl),
            OffboardLoss::Land => (2000, Mode::Land),
            OffboardLoss::Hover => (1700, Mode::Hold),
        };
        if self.stream.silence(at.now) >= Duration::from_millis(after) {
            self.fail_safe(mode, at.estimate, at.now);
        }
    }

    /// On PX4, moving roll or pitch ends an automatic mode.
    fn look_after_sticks(&mut self, at: &Situation<'_>) {
        let is_automatic = matches!(
            self.mode,
            Mode::Hold | Mode::Land | Mode::PrecLand | Mode::Rtl | Mode::Mission
        );
        let Some(sticks) = at.sticks.filter(|_| self.dialect == Dialect::Px4) else {
            return;
        };
        if is_automatic && !self.is_landed && tilt_stick(sticks).amax() > OVERRIDE {
            self.enter(Mode::Loiter, at.estimate, at.now);
        }
    }

    fn guided(&mut self, at: &Situation<'_>) -> (Horizontal, Vertical, Heading) {
        if let Guidance::Velocity { at: since, .. } = self.guidance
            && self.dialect == Dialect::ArduPilot
            && at.now.since(since) > VELOCITY_TIMEOUT
        {
            self.hold();
        }
        let heading = self.heading;
        match self.guidance {
            Guidance::Stay => (
                self.stay.across(at.estimate),
                self.stay.height(at.estimate),
                heading,
            ),
            Guidance::Place(place) => (
                Horizontal::Place(place.xy()),
                Vertical::Down(place.z),
                heading,
            ),
            Guidance::Velocity { velocity, .. } => (
                Horizontal::Velocity(velocity.xy()),
                Vertical::Rate(velocity.z),
                heading,
            ),
        }
    }

    /// How fast an ordinary landing sinks here, m/s.
    fn sink(&self, at: &Situation<'_>) -> f64 {
        let over_home = at.estimate.height_m() + self.home.z;
        let height = at.estimate.range_m.unwrap_or(over_home);
        match self.dialect {
            Dialect::ArduPilot => (0.5 + 0.4 * (height - 10.0)).clamp(0.5, 1.5),
            Dialect::Px4 => (0.7 + 0.16 * (height - 5.0)).clamp(0.7, 1.5),
        }
    }

    fn land(&mut self, at: &Situation<'_>, say: &mut Vec<&'static str>) -> (Horizontal, Vertical) {
        let rate = self.sink(at);
        if self.dialect == Dialect::Px4 {
            return (self.stay.across(at.estimate), Vertical::Rate(rate));
        }
        if let Some(push) = at.sticks.map(tilt_stick).filter(|s| s.amax() > DEADBAND) {
            // The pilot moves the landing: the target is out of it.
            self.stay = Stay::default();
            let velocity = along(push * 2.0, at.estimate.belief.yaw);
            return (Horizontal::Velocity(velocity), Vertical::Rate(rate));
        }
        match self.precland.approach(at.estimate, at.now, say) {
            Approach::Tracking => {
                let target = self.precland.target(at.estimate);
                let place = target.unwrap_or_else(|| at.estimate.place());
                self.stay.place = Some(place);
                (
                    Horizontal::Place(place),
                    Vertical::Rate(self.precland.sink(rate)),
                )
            }
            Approach::Waiting { .. } => (self.stay.across(at.estimate), Vertical::Rate(0.0)),
            Approach::Retrying { to } => (Horizontal::Place(to.xy()), Vertical::Down(to.z)),
            Approach::Vertical | Approach::GaveUp => {
                (self.stay.across(at.estimate), Vertical::Rate(rate))
            }
        }
    }

    fn come_home(
        &mut self,
        at: &Situation<'_>,
        say: &mut Vec<&'static str>,
    ) -> (Horizontal, Vertical, Heading) {
        let home = self.home.xy();
        let here = at.estimate.belief.position;
        self.going_home = match self.going_home {
            Return::Climb { down } if here.z < down + 0.5 => Return::Home { down },
            Return::Home { .. } if (here.xy() - home).norm() < 0.5 => {
                self.stay.place = Some(home);
                Return::Land
            }
            as_before => as_before,
        };
        match self.going_home {
            Return::Climb { down } => (
                self.stay.across(at.estimate),
                Vertical::Down(down),
                Heading::Keep,
            ),
            Return::Home { down } => (Horizontal::Place(home), Vertical::Down(down), Heading::Keep),
            Return::Land => {
                let (across, down) = self.land(at, say);
                (across, down, Heading::Keep)
            }
        }
    }

    /// The pilot's modes: LOITER and POSCTL hold the place when the sticks are in the middle, STABILIZE and the others
    /// only the height.
    fn by_hand(&mut self, at: &Situation<'_>) -> (Horizontal, Vertical, Heading) {
        let [_, _, throttle, yaw] = at.sticks.map_or([0.0; 4], shares);
        let push = at.sticks.map(tilt_stick).unwrap_or_default();
        let holds_place = self.mode == Mode::Loiter;
        let ahead = along(push, at.estimate.belief.yaw);
        let across = if !holds_place {
            Horizontal::Tilt(ahead * 4.0)
        } else if push.amax() > DEADBAND {
            self.stay.place = None;
            Horizontal::Velocity(ahead * STICK_SPEED)
        } else {
            self.stay.across(at.estimate)
        };
        let down = if throttle.abs() > DEADBAND {
            self.stay.down = None;
            Vertical::Rate(-throttle * STICK_CLIMB)
        } else {
            self.stay.height(at.estimate)
        };
        let turn = if yaw.abs() > DEADBAND { yaw } else { 0.0 };
        (across, down, Heading::Rate(turn))
    }
}

/// Roll, pitch, throttle and yaw, each -1 to 1.
fn shares(sticks: &Sticks) -> [f64; 4] {
    sticks
        .axes_us
        .map(|us| ((f64::from(us) - 1500.0) / 500.0).clamp(-1.0, 1.0))
}

/// Forward and right, each -1 to 1.
fn tilt_stick(sticks: &Sticks) -> Vector2<f64> {
    let [roll, pitch, _, _] = shares(sticks);
    Vector2::new(-pitch, roll)
}

/// Forward and right, turned into north and east.
fn along(body: Vector2<f64>, yaw: f64) -> Vector2<f64> {
    let (sin, cos) = yaw.sin_cos();
    Vector2::new(cos * body.x - sin * body.y, sin * body.x + cos * body.y)
}
