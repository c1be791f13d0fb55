//! Closed worlds to fly in: picture, truth, movers; and segmenters that know the truth.

pub mod campaign;
mod draw;
pub mod errors;
pub mod faults;
pub mod flight;
mod load;
mod mover;
pub mod noisy;
pub(crate) mod sprite;
pub mod world;
