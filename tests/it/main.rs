//! Tests that cross modules, in one binary.

/// What a user types and gets.
mod command_line;
/// Points of neighbouring tagged photos on the ground: the same place in metres.
mod geotagged;
/// Which module may name which: the table of the design against the code.
mod layers;
/// Registration of real and drawn pictures.
mod odometry;
