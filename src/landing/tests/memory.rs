//! Several frames.
