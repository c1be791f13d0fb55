//! Tests that cross modules, in one binary.

/// What a user types and gets.
mod command_line;
/// Which module may name which: the table of the design against the code.
mod layers;
