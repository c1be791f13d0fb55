//! The drivers that call the stages: live (threads), stepped (one thread, virtual time), closed loop against a simulated
//! autopilot; which pose belongs to which frame; who watches that every stage keeps its time.

pub mod decide;
pub mod flight;
pub mod live;
pub mod pose;
pub mod pressure;
pub mod schedule;
mod stepped;
pub mod watchdog;

pub use stepped::{KnownPose, Step, Stepped, Whereabouts};
