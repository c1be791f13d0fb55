//! Closed worlds to fly in: picture, truth, movers.

mod draw;
pub mod world;
