//! The analysis: what is true at a step, without a thought of what to do about it.

use crate::geometry::{GroundPoint, Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, LandedState, Mode, VehicleMode, VehicleState};

use super::altimeter::Height;
use super::config::FreshnessConfig;
use super::pilot::Hands;
use super::reason::Reason;
use super::{Brief, Health, Input};

/// A mode that takes the vehicle is asked for in the first step after a heartbeat, at most this long after it, seconds. A
/// pilot's switch between the two cannot be seen, and the request would undo it: that time is to be short.
const JUST_HEARD_S: f64 = 0.06;
/// Clocks of two machines differ by a little: a stamp this far in the future is the present.
const FUTURE_S: f64 = 0.05;

/// Whether something from `at` may be believed `now`: not too old, and not from the future.
pub(super) fn is_fresh(at: MonoTime, now: MonoTime, limit_s: f64) -> bool {
    (-FUTURE_S..=limit_s).contains(&now.secs_since(at))
}

/// Whether a heartbeat from `at` has just come, and the steps before have seen none newer than `last`.
pub(super) fn is_news(at: MonoTime, last: Option<MonoTime>, now: MonoTime) -> bool {
    last.is_none_or(|last| at > last) && is_fresh(at, now, JUST_HEARD_S)
}

/// Where the vehicle is, fresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: Vec3<Ned>,
    /// Horizontal, metres per second.
    pub(super) speed_m_s: f64,
    pub(super) height: Option<Height>,
}

impl Place {
    /// The ground straight below.
    pub(super) fn below(&self) -> GroundPoint {
        GroundPoint {
            north_m: self.position.north(),
            east_m: self.position.east(),
        }
    }
}

/// What is true now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) now: MonoTime,
    pub(super) vehicle: &'a VehicleState,
    /// Flies what we can command.
    pub(super) kind: Option<AutopilotKind>,
    /// The last heartbeat, and when.
    pub(super) heartbeat: Option<(VehicleMode, MonoTime)>,
    /// It is fresh enough for a mode command.
    pub(super) is_heard: bool,
    /// It came just now, and no step before has seen it: nothing newer can be known of the mode.
    pub(super) is_heard_anew: bool,
    pub(super) landed: Option<LandedState>,
    /// Fresh pose of a healthy estimator.
    pub(super) place: Result<Place, Reason>,
    /// The newest decision, fresh and of these places.
    pub(super) brief: Option<&'a Brief>,
    pub(super) health: Health,
    pub(super) hands: Hands,
    pub(super) is_inside_fence: Option<bool>,
}

impl Facts<'_> {
    /// The mode in the last heartbeat.
    pub(super) fn shown(&self) -> Option<Mode> {
        self.heartbeat.map(|(h, _)| h.mode)
    }

    /// What keeps a landing from going on now, worst first.
    pub(super) fn trouble(&self) -> Option<Reason> {
        if !self.is_heard {
            return Some(Reason::HeartbeatLost);
        }
        if let Health::Faulted(stage) = self.health {
            return Some(Reason::PipelineFault(stage));
        }
        match &self.place {
            Err(reason) => Some(*reason),
            Ok(place) if place.height.is_none() => Some(Reason::HeightLost),
            Ok(_) => None,
        }
    }
}

/// Fresh position of a healthy estimator; the height comes later. The parts of the pose are judged one by one, each by its
/// own age: a height that comes less often does not make the position old.
pub(super) fn place(
    input: &Input<'_>,
    limits: &FreshnessConfig,
    now: MonoTime,
) -> Result<Place, Reason> {
    let v = input.vehicle;
    let kinematics = v
        .kinematics
        .filter(|k| is_fresh(k.at, now, limits.pose_max_age_s))
        .filter(|k| k.value.position.is_finite() && k.value.velocity_m_s.is_finite());
    let has_attitude = v
        .attitude
        .is_some_and(|a| is_fresh(a.at, now, limits.pose_max_age_s) && a.value.is_finite());
    let (Some(kinematics), true) = (kinematics, has_attitude) else {
        return Err(Reason::PoseLost);
    };
    let is_good = v
        .estimator
        .is_some_and(|e| is_fresh(e.at, now, limits.status_max_age_s) && e.value.is_position_good);
    if !is_good {
        return Err(Reason::EstimatorUnhealthy);
    }
    let velocity = kinematics.value.velocity_m_s;
    Ok(Place {
        position: kinematics.value.position + velocity * now.secs_since(kinematics.at).max(0.0),
        speed_m_s: velocity.north().hypot(velocity.east()),
        height: None,
    })
}

/// The newest decision while it is fresh and speaks of the present places.
pub(super) fn brief<'a>(
    input: &Input<'a>,
    limits: &FreshnessConfig,
    now: MonoTime,
) -> Option<&'a Brief> {
    input
        .decision
        .filter(|b| b.epoch == input.vehicle.epoch)
        .filter(|b| is_fresh(b.captured_at, now, limits.go_max_age_s))
}
