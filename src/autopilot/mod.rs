//! From decisions to a landing: what the vehicle is told, and when it is told nothing.
//!
//! ```text
//!              bytes                                                        bytes
//! link ──────────────► decode ──► VehicleState ──► supervisor ──► encode ──────────► link
//! (serial, UDP, TCP)              VehicleHistory   (state machine)  (a form for each
//!                                                   ▲ Brief          autopilot)
//!                                                  landing
//! ```
//!
//! Only `link` does I/O, and only `decode`, `encode` and `link` know MAVLink; the supervisor speaks of modes and places.

pub mod commands;
pub mod companion;
pub mod decode;
pub mod encode;
pub mod examine;
pub mod framing;
pub mod link;
pub mod modes;
pub mod report;
pub mod signing;
pub mod streams;
pub mod supervisor;
