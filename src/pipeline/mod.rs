//! The drivers that call the stages: stepped (one thread, virtual time); which pose belongs to which frame.

pub mod pose;
mod stepped;

pub use stepped::{KnownPose, Step, Stepped};
