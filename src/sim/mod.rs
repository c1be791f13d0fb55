//! Closed worlds to fly in: picture, truth, movers; and a flight controller to fly in them.

pub mod autopilot;
mod draw;
pub mod flight;
mod load;
mod mover;
pub mod quad;
pub(crate) mod sprite;
pub mod world;
