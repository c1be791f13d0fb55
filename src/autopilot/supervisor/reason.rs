//! Every reason that the supervisor can give, in plain words.

use std::fmt;

use crate::landing::{MonitorReason, MonitorReasons};
use crate::vehicle::Mode;

/// Why a landing is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Configured to advise or assist.
    NotAllowed,
    /// A landing runs already.
    Busy,
    /// No heartbeat, or an old one.
    NoHeartbeat,
    /// Neither `ArduPilot` nor PX4.
    UnknownAutopilot,
    /// The motors are off.
    NotArmed,
    /// On the ground, or not known to be in the air.
    NotInAir,
    /// The autopilot does not say that its position is good.
    EstimatorUnhealthy,
    /// Position or attitude missing or old.
    NoPose,
    /// No height that a command may rest on.
    NoHeight,
    /// Lens or mount were not measured.
    CameraNotCalibrated,
    /// PX4 has not said yet what it does when we fall silent.
    LossActionUnknown,
    /// PX4 would neither hold nor return when we fall silent.
    LossActionUnsafe,
    /// A stage is late or broken.
    PipelineFault,
    /// A stick is not at rest.
    SticksMoved,
    /// Too much wind.
    Wind,
    /// Outside the fence.
    OutsideFence,
    /// Home or origin, that the fence is measured from, are not known.
    FenceUnknown,
}

impl Refusal {
    /// What is wrong and what to do.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotAllowed => "mode is not \"command\"",
            Self::Busy => "a landing is already running",
            Self::NoHeartbeat => "no fresh heartbeat from the autopilot",
            Self::UnknownAutopilot => "the autopilot is neither ArduPilot nor PX4",
            Self::NotArmed => "the vehicle is not armed",
            Self::NotInAir => "the vehicle is not known to be in the air",
            Self::EstimatorUnhealthy => "the autopilot's position is not known to be good",
            Self::NoPose => "position or attitude are missing or old",
            Self::NoHeight => "no height to trust: range sensor? relative altitude?",
            Self::CameraNotCalibrated => "the camera is not calibrated",
            Self::LossActionUnknown => "PX4 has not told its COM_OBL_RC_ACT yet",
            Self::LossActionUnsafe => "set COM_OBL_RC_ACT to 5 (hold) or 3 (return)",
            Self::PipelineFault => "a stage of the pipeline is late or broken",
            Self::SticksMoved => "a stick is not at rest",
            Self::Wind => "too much wind",
            Self::OutsideFence => "outside the fence",
            Self::FenceUnknown => "home or origin for the fence are not known",
        }
    }
}

/// Why a landing was stopped, held or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Somebody else chose a mode.
    TakenOver(Mode),
    /// The pilot moved a stick.
    SticksMoved,
    /// The motors were stopped by somebody else.
    Disarmed,
    /// It stands on the ground, and not by our landing.
    OnGround,
    /// Somebody told us to stop.
    Requested,
    /// Position or attitude are missing or old.
    PoseLost,
    /// The autopilot no longer trusts its position.
    EstimatorUnhealthy,
    /// No height that a command may rest on.
    HeightLost,
    /// A stage is late or broken, and which.
    PipelineFault(&'static str),
    /// The autopilot is silent.
    HeartbeatLost,
    /// No frame says GO any more.
    GoLost,
    /// The monitor waits.
    MonitorWaits(Option<MonitorReason>),
    /// The monitor vetoes.
    MonitorVetoes(Option<MonitorReason>),
    /// The site is not clear any more.
    NotClear,
    /// Something moved around the site, again and again.
    NeverQuiet,
    /// Blown or pushed off the site.
    OffTheSite,
    /// Origin moved, position jumped or autopilot started again: no known place means anything.
    PlacesLost,
    /// Outside the fence, or the fence's home is gone.
    OutsideFence,
    /// Nothing found in time.
    NoSite,
    /// The whole landing takes too long.
    TooLong,
    /// The autopilot does not take the mode.
    ModeRefused(Mode),
    /// The hold could not be seen in the heartbeat.
    HoldNotShown,
    /// Another process of ours left the vehicle in our mode.
    Orphaned,
}

impl Reason {
    /// The monitor's own words, the first of them.
    pub(super) fn of_monitor(reasons: MonitorReasons, is_veto: bool) -> Self {
        let first = reasons.iter().last();
        if is_veto {
            Self::MonitorVetoes(first)
        } else {
            Self::MonitorWaits(first)
        }
    }

    /// Plain words, without the values.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TakenOver(_) => "pilot took over",
            Self::SticksMoved => "pilot moved a stick",
            Self::Disarmed => "disarmed by somebody else",
            Self::OnGround => "on the ground",
            Self::Requested => "told to stop",
            Self::PoseLost => "position or attitude lost",
            Self::EstimatorUnhealthy => "autopilot's position not good",
            Self::HeightLost => "height above ground lost",
            Self::PipelineFault(_) => "pipeline fault",
            Self::HeartbeatLost => "autopilot is silent",
            Self::GoLost => "site not seen clear for too long",
            Self::MonitorWaits(_) => "monitor waits",
            Self::MonitorVetoes(_) => "monitor vetoes",
            Self::NotClear => "site not clear any more",
            Self::NeverQuiet => "no quiet moment around the site",
            Self::OffTheSite => "blown off the site",
            Self::PlacesLost => "autopilot's origin or position jumped",
            Self::OutsideFence => "outside the fence",
            Self::NoSite => "no site found in time",
            Self::TooLong => "landing takes too long",
            Self::ModeRefused(_) => "autopilot does not take the mode",
            Self::HoldNotShown => "hold not confirmed by the autopilot",
            Self::Orphaned => "restarted in the air in our mode",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::TakenOver(mode) | Self::ModeRefused(mode) => write!(f, ": {mode:?}"),
            Self::PipelineFault(stage) => write!(f, ": {stage}"),
            Self::MonitorWaits(Some(why)) | Self::MonitorVetoes(Some(why)) => {
                write!(f, ": {}", why.key())
            }
            _ => Ok(()),
        }
    }
}
