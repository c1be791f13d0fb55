//! From what every pixel is to where the drone may land.

mod decision;

pub use decision::{
    HoldReason, LandingDecision, MapSnapshot, MonitorReason, MonitorReasons, Outcome, RejectCounts,
    Site, SiteReject, SiteState, Verdict,
};
