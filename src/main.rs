//! The `alight` program: arguments in, exit code out.

fn main() {}
