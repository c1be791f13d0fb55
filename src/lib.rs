//! `alight` finds the safest place to land a drone where nobody prepared one, and takes it there.
//!
//! Two sentences stand above everything:
//!
//! 1. **The pilot's takeover is obeyed within one control tick of the first message that shows it, from any state, and
//!    stays obeyed.**
//! 2. **alight never commands a descent on stale data, nor onto a site that it has not confirmed.**
//!
//! ```text
//!  camera ──Frame──► inference ──SegmentationMap──► landing ──LandingDecision──► record, view
//!  (video, images,   (preprocess,                   (project to ground,
//!   drawn world)      tract)                         semantic map, hazard,
//!                                                    clearance, selector,
//!                                                    tracker, monitor)
//!                                                      ▲ pose at the frame's capture time
//!                                                   vehicle::VehicleHistory, odometry
//! ```
//!
//! A stage is a struct that owns all its memory, with a `step` that takes its input and `now`. No stage spawns a
//! thread, reads a clock, opens a device or knows who calls it: the drivers in [`pipeline`] do.

pub mod alloc;
pub mod autopilot;
pub mod camera;
pub mod cli;
pub mod config;
pub mod geometry;
pub mod inference;
pub mod landing;
pub mod odometry;
pub mod pipeline;
pub mod record;
mod resize;
pub mod sim;
pub mod time;
pub mod units;
pub mod vehicle;
pub mod view;
