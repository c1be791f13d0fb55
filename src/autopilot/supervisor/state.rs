//! The states, each with what belongs to it.

use crate::geometry::{Ned, Vec3};
use crate::time::MonoTime;
use crate::vehicle::Mode;

use super::Phase;
use super::reason::Reason;
use super::target::Target;

/// Where the landing stands.
///
/// ```text
///                         start, refused: stays
///   Standby ──────────────────────┐
///      │ LAND or RTL by others    │ start, all preconditions met
///      ▼ (assist)                 ▼
///   Assisting                  Engaging ◄─────────────── hold shown, try again ──┐
///                                 │ GUIDED / OFFBOARD shown                      │
///                                 ▼                                              │
///      ┌──────────────────── Searching ◄──────── no GO for long, climb ──┐       │
///      │ nothing found in time    │ a confirmed site with GO             │       │
///      │                          ▼                                      │       │
///      │                     Approaching ── GO stale, site not clear ─► Holding  │
///      │                          │  ▲                                   │ ▲     │
///      │        over it, fresh GO │  └──── GO again; another site ───────┘ │     │
///      │                          ▼                                        │     │
///      │                     Descending ── GO stale, site not clear ───────┘     │
///      │                          │ commit height, fresh GO                      │
///      │                          ▼                                              │
///      │                      Committed ── person, veto, GO stale ──► Aborted ───┤
///      │                          │ on the ground                        │       │
///      │                          ▼                                      │ pose lost (from any
///      └──────► Aborted         Landed                                   │ state in GUIDED)
///                  │ hold shown, or deadline                             │
///                  ▼                                                     │
///             HandedBack ◄───────────────────────────────────────────────┘
///                  ▲
///                  └── takeover: from every state in which we own the vehicle, in the same step
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// Nothing is asked of us.
    Standby,
    /// On the way into GUIDED.
    Engaging(Engaging),
    /// In GUIDED, looking for a site.
    Searching(Searching),
    /// Flying over to the site, not descending.
    Approaching(Approaching),
    /// Stopped on the way to a site that lost its GO.
    Holding(Holding),
    /// Going down, gate by gate.
    Descending(Descending),
    /// LAND or PRECLAND.
    Committed(Committed),
    /// Stopped by ourselves; on the way to a verified hold.
    Aborted(Aborted),
    /// On the ground.
    Landed,
    /// Somebody else flies.
    HandedBack,
    /// Others land it; we show the autopilot where.
    Assisting(Assisting),
}

/// On the way into GUIDED.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Engaging {
    pub(super) since: MonoTime,
    /// When the first setpoint was streamed (PX4 wants them before the mode).
    pub(super) streaming_since: Option<MonoTime>,
    /// Climb once there.
    pub(super) climbs: bool,
}

/// In GUIDED, looking for a site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Searching {
    /// Where to be.
    pub(super) station: Vec3<Ned>,
    /// Where the search began.
    pub(super) centre: Vec3<Ned>,
    /// Looking from the station since then.
    pub(super) arrived_at: Option<MonoTime>,
    /// Corners of the pattern that are behind us.
    pub(super) leg: u8,
    /// An alternate on which the monitor is being asked, since then.
    pub(super) candidate: Option<(Target, MonoTime)>,
    /// The last look, from above the best place seen.
    pub(super) is_last_look: bool,
}

/// Flying over to the site, not descending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Approaching {
    pub(super) target: Target,
    /// Height to fly at, NED down, metres.
    pub(super) down_m: f64,
}

/// Stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Holding {
    pub(super) target: Target,
    pub(super) station: Vec3<Ned>,
    pub(super) since: MonoTime,
}

/// Going down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Descending {
    pub(super) target: Target,
    pub(super) gate: Gate,
    /// Above the commit height, looking at a site around which nothing has moved since then.
    pub(super) looking_since: Option<MonoTime>,
    /// There since then, quiet or not.
    pub(super) waiting_since: Option<MonoTime>,
}

/// A height above ground that silence does not go below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gate {
    /// Metres.
    pub(super) height_m: f64,
    /// Where it lay when it was earned, NED down, metres: whatever the height says later, no setpoint goes below.
    pub(super) down_m: f64,
    /// Capture of the frame whose GO earned it.
    pub(super) earned_by: MonoTime,
}

/// The site is not switched any more: down by gates as before, from the land height on by LAND or PRECLAND.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Committed {
    pub(super) target: Target,
    pub(super) since: MonoTime,
    pub(super) gate: Gate,
    /// Height to stay at until the mode shows, NED down, metres.
    pub(super) down_m: f64,
    /// Has been below the blind height.
    pub(super) is_low: bool,
    /// Has come down to the land height: the landing mode is asked for.
    pub(super) is_down: bool,
}

/// On the way to a verified hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Aborted {
    pub(super) reason: Reason,
    pub(super) since: MonoTime,
    pub(super) after: After,
    /// Where to stay while the mode does not show yet.
    pub(super) station: Option<Vec3<Ned>>,
    /// When the hold was first seen.
    pub(super) held_at: Option<MonoTime>,
}

/// What follows a verified hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum After {
    /// Hand back.
    HandBack,
    /// Return to launch after this many seconds, then hand back.
    Return(f64),
    /// Look again, after a climb or from the same height.
    LookAgain {
        /// Climb first.
        climbs: bool,
    },
}

/// Others land it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Assisting {
    /// What they ordered.
    pub(super) ordered: Mode,
    pub(super) since: MonoTime,
    /// The one site that is shown.
    pub(super) target: Option<Target>,
    /// It was shown once: never another in this landing.
    pub(super) is_spent: bool,
    pub(super) detour: Detour,
    pub(super) has_warned: bool,
}

/// The one mode change that assist may make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Detour {
    /// Not yet.
    Unused,
    /// In our mode since.
    Out(Mode, MonoTime),
    /// Giving back the mode that was ordered.
    Back,
    /// Done.
    Used,
}

impl State {
    /// By name.
    pub(super) const fn phase(&self) -> Phase {
        match self {
            Self::Standby => Phase::Standby,
            Self::Engaging(_) | Self::Searching(_) => Phase::Searching,
            Self::Approaching(_) | Self::Holding(_) => Phase::Approaching,
            Self::Descending(_) => Phase::Descending,
            Self::Committed(_) => Phase::Committed,
            Self::Aborted(_) => Phase::Aborted,
            Self::Landed => Phase::Landed,
            Self::HandedBack => Phase::HandedBack,
            Self::Assisting(a) => match a.target {
                Some(_) => Phase::Descending,
                None => Phase::Searching,
            },
        }
    }

    /// The site, where there is one.
    pub(super) fn target(&self) -> Option<&Target> {
        match self {
            Self::Approaching(s) => Some(&s.target),
            Self::Holding(s) => Some(&s.target),
            Self::Descending(s) => Some(&s.target),
            Self::Committed(s) => Some(&s.target),
            Self::Searching(s) => s.candidate.as_ref().map(|(t, _)| t),
            Self::Assisting(s) => s.target.as_ref(),
            _ => None,
        }
    }

    /// Nothing is under way: a landing may be started.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Standby | Self::Landed | Self::HandedBack)
    }
}
