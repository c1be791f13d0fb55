//! What starts a landing, what must be true then, and the way into GUIDED.

use crate::autopilot::commands::Severity;
use crate::vehicle::{AutopilotKind, LandedState, LossAction, Mode};

use super::config::Authority;
use super::facts::{Facts, is_fresh};
use super::pilot::Switched;
use super::reason::{Reason, Refusal};
use super::state::{After, Engaging, State};
use super::voice::Orders;
use super::{Attempt, Health, Input, Request, Supervisor};

/// What the autopilot does when our setpoints stop. `ArduPilot` stops and hovers (measured); PX4 does what it is set to, and
/// is asked again and again: an old answer is none.
fn loss_action(f: &Facts<'_>) -> Option<LossAction> {
    /// Parameters change on the ground, and are asked for several times within this, seconds.
    const MAX_AGE_S: f64 = 60.0;
    if f.kind != Some(AutopilotKind::Px4) {
        return Some(LossAction::Hold);
    }
    f.vehicle
        .loss_action
        .filter(|a| is_fresh(a.at, f.now, MAX_AGE_S))
        .map(|a| a.value)
}

impl Supervisor {
    /// Whether a landing could be started now.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn readiness(
        &mut self,
        input: &Input<'_>,
        now: crate::time::MonoTime,
    ) -> Result<(), Refusal> {
        let (pilot, altimeter) = (self.pilot, self.altimeter);
        if self.state.is_idle() {
            self.pilot.rest_anew();
        }
        let facts = self.analyse(input, now.max(self.now));
        // Only asked: an edge of the switch is still to be seen by the next step.
        (self.pilot, self.altimeter) = (pilot, altimeter);
        self.may_start(&facts)
    }

    fn may_start(&self, f: &Facts<'_>) -> Result<(), Refusal> {
        let heartbeat = f.heartbeat.filter(|_| f.is_heard);
        let is_commandable = matches!(f.kind, Some(AutopilotKind::ArduPilot | AutopilotKind::Px4));
        let is_in_air = matches!(f.landed, Some(LandedState::InAir | LandedState::Landing));
        let loss_action = loss_action(f);
        let checks = [
            (self.config.mode == Authority::Command, Refusal::NotAllowed),
            (self.state.is_idle(), Refusal::Busy),
            (heartbeat.is_some(), Refusal::NoHeartbeat),
            (is_commandable, Refusal::UnknownAutopilot),
            (
                heartbeat.is_some_and(|(h, _)| h.is_armed),
                Refusal::NotArmed,
            ),
            (is_in_air, Refusal::NotInAir),
            (
                f.place.err() != Some(Reason::EstimatorUnhealthy),
                Refusal::EstimatorUnhealthy,
            ),
            (f.place.is_ok(), Refusal::NoPose),
            (f.place.is_ok_and(|p| p.height.is_some()), Refusal::NoHeight),
            (
                self.config.camera_is_calibrated,
                Refusal::CameraNotCalibrated,
            ),
            (loss_action.is_some(), Refusal::LossActionUnknown),
            (
                loss_action.is_some_and(|a| !matches!(a, LossAction::Other(_))),
                Refusal::LossActionUnsafe,
            ),
            (f.health == Health::Good, Refusal::PipelineFault),
            (!f.hands.moved_a_stick, Refusal::SticksMoved),
            (!self.is_windy(f), Refusal::Wind),
            (f.is_inside_fence.is_some(), Refusal::FenceUnknown),
            (f.is_inside_fence == Some(true), Refusal::OutsideFence),
        ];
        checks
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// More wind than allowed, where the autopilot estimates it.
    fn is_windy(&self, f: &Facts<'_>) -> bool {
        /// An estimate of wind holds for a while, seconds.
        const MAX_AGE_S: f64 = 10.0;
        f.vehicle
            .wind_m_s
            .filter(|w| is_fresh(w.at, f.now, MAX_AGE_S))
            .is_some_and(|w| w.value.is_nan() || w.value > self.config.engage.wind_max_m_s)
    }

    /// A start is an edge that this process has seen; refused, it needs another.
    pub(super) fn heed_requests(&mut self, f: &Facts<'_>, input: &Input<'_>, orders: &mut Orders) {
        let is_battery_news = self.battery_fell(f);
        let trigger = if input.requests.contains(&Request::Abort) {
            // Whoever says both means stop.
            None
        } else if input.requests.contains(&Request::Start) {
            Some("on command")
        } else if f.hands.switched == Some(Switched::On) {
            Some("by switch")
        } else if is_battery_news {
            Some("battery low")
        } else if f.hands.lost_receiver {
            Some("receiver lost")
        } else {
            None
        };
        let Some(trigger) = trigger else {
            return;
        };
        match self.may_start(f) {
            Ok(()) => self.transition_to_engaging_anew(trigger, f, orders),
            Err(refusal) => orders.say(
                Severity::Warning,
                format_args!("alight: not started ({trigger}): {}", refusal.text()),
            ),
        }
    }

    /// The battery fell below the configured share just now.
    fn battery_fell(&mut self, f: &Facts<'_>) -> bool {
        let limit = self.config.engage.below_battery;
        let max_age_s = self.config.freshness.status_max_age_s;
        let remaining = f
            .vehicle
            .battery
            .filter(|b| is_fresh(b.at, f.now, max_age_s))
            .and_then(|b| b.value.remaining);
        let (Some(limit), Some(remaining)) = (limit, remaining) else {
            return false;
        };
        let is_low = remaining < limit;
        let was_low = self.battery_is_low.replace(is_low);
        is_low && was_low == Some(false)
    }

    /// In Standby of assist, a LAND or RTL by others is a trigger.
    pub(super) fn idle(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        if self.config.mode != Authority::Assist || !f.is_heard {
            return;
        }
        let is_descent = |mode| matches!(mode, Mode::Land | Mode::Rtl);
        let Some(shown) = f.shown() else {
            return;
        };
        let was_other = self.last_mode.is_some_and(|mode| !is_descent(mode));
        match self.state {
            State::Standby if is_descent(shown) && was_other => {
                self.transition_to_assisting(shown, f, orders);
            }
            // The landing is over: the next LAND is another one.
            State::HandedBack | State::Landed if !is_descent(shown) => {
                self.state = State::Standby;
            }
            _ => {}
        }
    }

    /// A restart in the air never starts a landing: it only stops what the last process began.
    pub(super) fn adopt_if_orphan(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        let (Some(mode), Some((heartbeat, _)), true) = (self.orphan, f.heartbeat, f.is_heard)
        else {
            return;
        };
        self.orphan = None;
        let is_ours = heartbeat.mode == mode && heartbeat.is_armed;
        let is_on_ground = f.landed == Some(LandedState::OnGround);
        if !is_ours || is_on_ground || self.config.mode == Authority::Advise {
            return;
        }
        self.begin_attempt(f);
        self.grip = Some(super::Grip::over(mode));
        let after = match self.config.orphan.return_after_s {
            Some(delay_s) => After::Return(delay_s),
            None => After::HandBack,
        };
        self.transition_to_aborted(Reason::Orphaned, after, f, orders);
    }

    fn begin_attempt(&mut self, f: &Facts<'_>) {
        self.attempt = Attempt {
            since: f.now,
            ..Attempt::default()
        };
        self.reason = None;
        self.last_setpoint = None;
    }

    fn transition_to_engaging_anew(
        &mut self,
        trigger: &'static str,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        self.begin_attempt(f);
        self.tally.starts += 1;
        orders.say(
            Severity::Notice,
            format_args!("alight: starting a landing ({trigger})"),
        );
        self.transition_to_engaging(false, f);
    }

    /// From our own verified hold, or at the start.
    pub(super) fn transition_to_engaging(&mut self, climbs: bool, f: &Facts<'_>) {
        if let (None, Some(shown)) = (self.grip, f.shown()) {
            self.grip = Some(super::Grip::over(shown));
        }
        self.state = State::Engaging(Engaging {
            since: f.now,
            streaming_since: None,
            climbs,
        });
    }

    /// Asks for GUIDED until it shows; PX4 wants a stream of setpoints first.
    pub(super) fn engage(&mut self, mut s: Engaging, f: &Facts<'_>, orders: &mut Orders) {
        let times = self.times();
        let is_overdue =
            self.is_overdue(Mode::Guided, f) || f.now.secs_since(s.since) > 2.0 * times.deadline_s;
        if is_overdue {
            let reason = f.trouble().unwrap_or(Reason::ModeRefused(Mode::Guided));
            return self.transition_to_aborted(reason, After::HandBack, f, orders);
        }
        let Ok(place) = f.place else {
            return;
        };
        if f.kind == Some(AutopilotKind::Px4) {
            self.fly_to(place.position, f, orders);
            let since = *s.streaming_since.get_or_insert(f.now);
            self.state = State::Engaging(s);
            if f.now.secs_since(since) < self.config.engage.stream_first_s {
                return;
            }
        }
        if self.ask_mode(Mode::Guided, f, orders) {
            self.transition_to_searching(s.climbs, &place, f, orders);
        }
    }
}
