//! How it is going, at one tick: what the watchdog tells the log.

use std::time::Duration;

use super::super::schedule::{DISARMED_MAX_AGE, SILENT_AFTER};
use super::control::is_idle;
use super::counts::CountsReport;
use crate::autopilot::companion::Companion;
use crate::autopilot::supervisor::{Health, Phase, Reason, Refusal, Tally};
use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, HeightAboveGround, VehicleMode};

/// What the control thread knew at a tick.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// The tick.
    pub at: MonoTime,
    /// What alight is doing.
    pub phase: Phase,
    /// Why the last landing ended or was stopped.
    pub reason: Option<Reason>,
    /// Whether a landing could be started, as of the last second.
    pub readiness: Result<(), Refusal>,
    /// Whether every stage keeps its deadline.
    pub health: Health,
    /// Whose behaviour the autopilot has.
    pub kind: Option<AutopilotKind>,
    /// A heartbeat that is fresh shows the motors off.
    pub is_disarmed: bool,
    /// Its last heartbeat.
    pub mode: Option<VehicleMode>,
    /// How long ago that came.
    pub silence: Duration,
    /// Where it is, NED, metres.
    pub position: Option<Vec3<Ned>>,
    /// How high over the ground, unless that is old.
    pub height: Option<HeightAboveGround>,
    /// Wanted messages that flow, and that are wanted.
    pub streams: (usize, usize),
    /// Frames that the link brought, and that were sent.
    pub frames: (u64, u64),
    /// What the supervisor counted.
    pub tally: Tally,
}

impl Status {
    /// Of a companion.
    pub(super) fn of(
        companion: &Companion,
        readiness: Result<(), Refusal>,
        (health, now): (Health, MonoTime),
    ) -> Self {
        let state = companion.state();
        Self {
            at: now,
            phase: companion.phase(),
            reason: companion.reason(),
            readiness,
            health,
            kind: state.kind,
            is_disarmed: state.mode.is_some_and(|m| {
                m.fresh(now, DISARMED_MAX_AGE)
                    .is_some_and(|mode| !mode.is_armed)
            }),
            mode: state.mode.map(|m| m.value),
            silence: state.mode.map_or(Duration::ZERO, |m| m.age(now)),
            position: state.kinematics.map(|k| k.value.position),
            height: state
                .height
                .and_then(|h| h.fresh(now, SILENT_AFTER).copied()),
            streams: companion.streams_flowing(now),
            frames: (companion.link_counts().frames, companion.sent_counts().0),
            tally: companion.tally(),
        }
    }

    /// Whether the settings may be read again now: only on the ground, and with nothing under way.
    ///
    /// # Errors
    /// Why not.
    pub(super) const fn may_reload(&self) -> Result<(), &'static str> {
        match self.mode {
            _ if !is_idle(self.phase) => Err("a landing is under way"),
            Some(mode) if mode.is_armed => Err("the vehicle is armed"),
            _ if !self.is_disarmed => Err("not known to be disarmed"),
            _ => Ok(()),
        }
    }

    /// One line for the log.
    #[must_use]
    pub fn line(&self, counts: &CountsReport) -> String {
        let autopilot = match (self.kind, self.mode) {
            (Some(kind), Some(_)) if self.silence > SILENT_AFTER => {
                format!("{kind:?} silent for {} s", self.silence.as_secs())
            }
            (Some(kind), Some(m)) => {
                let armed = if m.is_armed { "armed" } else { "disarmed" };
                format!("{kind:?} {:?} {armed}", m.mode)
            }
            _ => "no autopilot heard".to_owned(),
        };
        let height = self.height.map_or_else(
            || "height unknown".to_owned(),
            |h| format!("{:.1} m", h.metres),
        );
        let health = match self.health {
            Health::Good => String::new(),
            Health::Faulted(stage) => format!(" | {stage} brings nothing"),
        };
        let readiness = match self.readiness {
            _ if self.phase != Phase::Standby => String::new(),
            Ok(()) => " | ready".to_owned(),
            Err(refusal) => format!(" | not ready: {}", refusal.text()),
        };
        let (flowing, wanted) = self.streams;
        format!(
            "{} | {autopilot} | {height} | {flowing} of {wanted} streams | {} frames, {} dropped, {} sites in {} decisions, \
             {:.0} ms to a decision{health}{readiness}",
            self.phase.text(),
            counts.frames,
            counts.frames_dropped + counts.maps_dropped,
            counts.site_decisions,
            counts.decisions,
            counts.capture_to_decision.p50_ms,
        )
    }
}
