//! Camera motion between frames without telemetry, from the pictures alone.
