//! From what every pixel is to where the drone may land.
//!
//! Each frame passes through seven small stages, all of them owned by [`Landing`]:
//!
//! ```text
//! project ──► map ──► hazard ──► clearance ──► selector ──► tracker ──► monitor ──► LandingDecision
//! (looks at   (belief (what is   (distance     (score, kept  (M of N     (GO, WAIT
//!  cells)      a cell) dangerous) in metres)    apart)        looks)      or ABORT)
//! ```
//!
//! Invariants: unknown is danger; a site is offered only when confirmed and with the monitor's GO; all lengths are
//! metres on a world-fixed map; a step reads no clock and does not allocate once it is warm.

mod belief;
mod check;
mod clearance;
mod config;
mod decision;
mod grid;
mod hazard;
mod luma;
mod map;
mod monitor;
mod people;
mod project;
mod selector;
mod specks;
mod stage;
mod survey;
mod tracker;

#[cfg(test)]
mod tests;

pub use config::{
    ConfigError, HazardConfig, LandingConfig, MapConfig, MonitorConfig, SelectConfig, TrackConfig,
};
pub use decision::{
    HoldReason, LandingDecision, MapSnapshot, MonitorReason, MonitorReasons, Outcome, RejectCounts,
    Site, SiteReject, SiteState, Verdict, Watched,
};
pub use stage::{Landing, LandingInput, Observation};
