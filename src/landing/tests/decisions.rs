//! One frame, one decision.
