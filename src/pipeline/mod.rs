//! The drivers that call the stages: stepped (one thread, virtual time), closed loop against a simulated autopilot; which
//! pose belongs to which frame.

pub mod flight;
pub mod pose;
mod stepped;

pub use stepped::{KnownPose, Step, Stepped, Whereabouts};
