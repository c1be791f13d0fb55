//! The trainer of the networks that alight flies.

fn main() {}
