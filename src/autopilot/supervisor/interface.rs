//! What goes into the supervisor and what comes out.

use crate::autopilot::commands::Command;
use crate::geometry::GroundPoint;
use crate::landing::{LandingDecision, MonitorReasons, Outcome, Site, Verdict, Watched};
use crate::time::MonoTime;
use crate::vehicle::{Pose, VehicleState};

/// Alternates that are handed on.
const ALTERNATES: usize = 3;

/// A landing decision without its memory: what is handed from thread to thread.
#[derive(Debug, Clone, Copy)]
pub struct Brief {
    /// The frame's index.
    pub seq: u64,
    /// The frame's mid-exposure.
    pub captured_at: MonoTime,
    /// Site or hold.
    pub outcome: Outcome,
    /// The best site.
    pub site: Option<Site>,
    /// The next best.
    pub alternates: [Option<Site>; ALTERNATES],
    /// The monitor's word on `site`.
    pub monitor: Verdict,
    /// Why it is not GO.
    pub monitor_reasons: MonitorReasons,
    /// What this frame says of the place that the supervisor asked to watch.
    pub watched: Option<Watched>,
    /// [`VehicleState::epoch`] under which the map was made: places of another epoch mean nothing.
    pub epoch: u32,
}

impl Brief {
    /// Of a decision, made under this epoch.
    #[must_use]
    pub fn of(decision: &LandingDecision, epoch: u32) -> Self {
        let mut alternates = [None; ALTERNATES];
        for (slot, site) in alternates.iter_mut().zip(&decision.alternates) {
            *slot = Some(*site);
        }
        Self {
            seq: decision.seq,
            captured_at: decision.captured_at,
            outcome: decision.outcome,
            site: decision.site,
            alternates,
            monitor: decision.monitor,
            monitor_reasons: decision.monitor_reasons,
            watched: decision.watched,
            epoch,
        }
    }
}

/// A wish that reached us since the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Start a landing (`MAV_CMD_USER_1`, param1 = 1, or `--engage-when-ready`).
    Start,
    /// Stop it (param1 = 0).
    Abort,
}

/// Whether the stages before are well. Anything but [`Health::Good`] ends in hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Every stage keeps its deadline.
    Good,
    /// A stage is late or broken, and which.
    Faulted(&'static str),
}

/// What is known at a step.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The last word of the autopilot on everything.
    pub vehicle: &'a VehicleState,
    /// The pose now, for the record; the supervisor judges position, attitude and height each by its own age, from
    /// `vehicle`: a height that comes less often does not make the position old.
    pub pose: Option<&'a Pose>,
    /// The newest decision, however old.
    pub decision: Option<&'a Brief>,
    /// Wishes since the last step.
    pub requests: &'a [Request],
    /// The stages before.
    pub health: Health,
}

/// The state by name, for the ground, the record and the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is asked of us.
    Standby,
    /// Engaged; looking for a site.
    Searching,
    /// Flying over the site, not descending.
    Approaching,
    /// Going down, gate by gate.
    Descending,
    /// Below the commit height: no other site any more.
    Committed,
    /// On the ground.
    Landed,
    /// Stopped by ourselves, for a reason; on the way to a verified hold.
    Aborted,
    /// Somebody else flies.
    HandedBack,
}

impl Phase {
    /// The name used in files and texts.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Searching => "searching",
            Self::Approaching => "approaching",
            Self::Descending => "descending",
            Self::Committed => "committed",
            Self::Landed => "landed",
            Self::Aborted => "aborted",
            Self::HandedBack => "handed-back",
        }
    }
}

/// Commands of one step, without allocation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Commands {
    all: [Option<Command>; Self::CAPACITY],
    len: usize,
}

impl Commands {
    /// Most commands of one step.
    pub const CAPACITY: usize = 8;

    /// Adds one. When it is full the command is dropped and `false` comes back: the caller sends what matters first.
    pub fn push(&mut self, command: Command) -> bool {
        let slot = self.all.get_mut(self.len);
        let has_room = slot.is_some();
        if let Some(slot) = slot {
            *slot = Some(command);
            self.len += 1;
        }
        has_room
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.all.iter().flatten()
    }
}

/// What a step leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Output {
    /// To be sent, in this order.
    pub commands: Commands,
    /// The state after the step.
    pub phase: Phase,
    /// The place that the landing stage should watch from the next frame on.
    pub watch: Option<GroundPoint>,
    /// Call again no later than this, even if nothing comes in.
    pub next: MonoTime,
}

/// What the supervisor did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Landings started.
    pub starts: u32,
    /// Stops by a mode change (BRAKE or AUTO.LOITER), for whatever reason.
    pub aborts: u32,
    /// Stops in place on the way to a site.
    pub holds: u32,
    /// Other sites taken after the first one.
    pub reroutes: u32,
    /// Climbs to look again.
    pub climbs: u32,
    /// Vehicles given back.
    pub hand_backs: u32,
    /// Touch-downs.
    pub landings: u32,
}
