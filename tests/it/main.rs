//! Tests that cross modules, in one binary.

fn main() {}
