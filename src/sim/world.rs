//! A piece of ground with known truth, drawn from a seed or loaded from files.
