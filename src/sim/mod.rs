//! Closed worlds to fly in: picture, truth, movers.

mod draw;
pub mod flight;
mod load;
mod mover;
pub(crate) mod sprite;
pub mod world;
