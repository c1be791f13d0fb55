//! Closed worlds to fly in: picture, truth, movers.

pub mod world;
