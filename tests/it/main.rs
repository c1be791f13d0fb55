//! Tests that cross modules, in one binary.

mod geotagged;
mod odometry;
