//! What was decided, on disk.
