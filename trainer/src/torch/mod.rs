//! Training with libtorch; compiled with the feature `libtorch` only.

pub(crate) mod checkpoint;
pub(crate) mod loader;
pub(crate) mod loss;
pub(crate) mod network;
pub(crate) mod optimizer;
mod overlap;
mod samples;
mod setup;
mod teacher;
pub(crate) mod train;
