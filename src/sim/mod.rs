//! Closed worlds to fly in: picture, truth, movers; segmenters that know the truth; a flight controller to fly with.

pub mod autopilot;
pub mod campaign;
mod draw;
pub mod errors;
pub mod faults;
pub mod flight;
mod load;
mod mover;
pub mod noisy;
pub mod quad;
pub(crate) mod sprite;
pub mod world;
