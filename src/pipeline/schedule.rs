//! One table of rates, deadlines and queue lengths of the live pipeline.
//!
//! | thread | works | waits at most | hands on through | when that is full |
//! |---|---|---|---|---|
//! | `camera` | at the camera's rate | [`BEAT`] | [`FRAMES`] frames | the new frame goes, counted |
//! | `decide` | a frame, the newest | [`BEAT`], [`ANSWER`] for the pose | [`BRIEFS`] decisions | waits [`ANSWER`], then it goes, counted |
//! | `control` | [`CONTROL_TICK`], and at once when bytes come | [`CONTROL_TICK`] | the device | the link's own deadline |
//! | `link` | bytes | [`LINK_PATIENCE`] | [`CHUNKS`] pieces | waits [`BEAT`], then they go, counted |
//! | caller | notes | [`BEAT`] | the disk | notes go, counted; nobody waits for it |

use std::time::Duration;

/// The supervisor is stepped at least this often.
pub const CONTROL_TICK: Duration = Duration::from_millis(50);
/// Every wait ends after this, so that a stop is seen.
pub const BEAT: Duration = Duration::from_millis(100);
/// The reader of the link looks up this often.
pub const LINK_PATIENCE: Duration = Duration::from_millis(50);
/// How long a stage waits for the control thread.
pub const ANSWER: Duration = Duration::from_millis(100);
/// Frames on their way; the newest is taken.
pub const FRAMES: usize = 2;
/// Decisions on their way to the control thread.
pub const BRIEFS: usize = 4;
/// Questions on their way to the control thread.
pub const QUESTIONS: usize = 4;
/// Pieces of what the link brought.
pub const CHUNKS: usize = 64;
/// Longest piece, bytes: a datagram.
pub const CHUNK: usize = 2048;
/// Notes on their way to the record.
pub const NOTES: usize = 256;
/// A hand-back that was asked for ends after this at the latest.
pub const HAND_BACK_LIMIT: Duration = Duration::from_secs(10);
/// Time between two notes that say how it is going.
pub const STATUS_PERIOD: Duration = Duration::from_secs(1);
