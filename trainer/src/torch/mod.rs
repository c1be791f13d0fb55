//! Training with libtorch; compiled with the feature `libtorch` only.

pub(crate) mod checkpoint;
mod curve;
mod focal_lovasz;
pub(crate) mod loader;
pub(crate) mod loss;
pub(crate) mod network;
pub(crate) mod optimizer;
mod record;
mod setup;
mod sheet;
mod teacher;
pub(crate) mod train;
