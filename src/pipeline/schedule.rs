//! One table of rates, deadlines and queue lengths of the live pipeline.
//!
//! | thread | runs | waits at most | hands on through | when that is full |
//! |---|---|---|---|---|
//! | `camera` | at the camera's own rate | [`BEAT`] | the newest frame, one place | the older frame goes, counted |
//! | `inference` | a frame, at the pace that the board can keep | [`BEAT`] | [`MAPS`] maps | waits for a map: the newest frame stays in front of it |
//! | `landing` | a map | [`BEAT`], [`ANSWER`] for the pose | [`BRIEFS`] briefs | waits [`ANSWER`], then the brief goes, counted |
//! | `control` | [`CONTROL_TICK`], and at once when bytes come | [`CONTROL_TICK`] | [`OUT_BUFFERS`] buffers of bytes | they stay in the companion, which takes back what is overtaken |
//! | `link-read` | bytes | [`LINK_PATIENCE`] | [`BUFFERS`] buffers of bytes | waits: the bytes stay in the system's buffer |
//! | `link-write` | a buffer | [`BEAT`] | the device | the link's own deadline |
//! | `record` | a note | [`BEAT`] | the disk | notes are dropped, counted; nobody waits for it |
//!
//! A stage that has brought nothing, or has been busy with one thing, for longer than its deadline ([`CAMERA_DEADLINE`],
//! [`INFERENCE_DEADLINE`], [`LANDING_DEADLINE`], [`WRITE_DEADLINE`]) is a fault: the heartbeat falls silent, the supervisor
//! holds and, when its patience ends, hands back. These are longer than the age at which a GO is stale (1 s), which stops
//! a descent by itself. A stage that has been busy with one thing for [`HANG_LIMIT`] is given up: the process ends.

use std::time::Duration;

/// Real-time priorities (`SCHED_FIFO`, 1 to 99), where the system grants them: who speaks with the autopilot comes before
/// who looks, and nothing that computes for long is among them, or a full network would starve the board.
pub const CONTROL_PRIORITY: u8 = 40;
/// Of both threads of the link.
pub const LINK_PRIORITY: u8 = 35;
/// Of the camera: it only takes and stamps.
pub const CAMERA_PRIORITY: u8 = 30;
/// With so many cores the network has the last one for itself.
pub const NETWORK_CORE_FROM: usize = 4;

/// The supervisor is stepped at least this often.
pub const CONTROL_TICK: Duration = Duration::from_millis(50);
/// Every wait of a thread for its next piece of work ends after this, so that a stop is seen.
pub const BEAT: Duration = Duration::from_millis(100);
/// The reader of the link looks up this often.
pub const LINK_PATIENCE: Duration = Duration::from_millis(20);
/// How long a stage waits for the control thread's answer: two ticks.
pub const ANSWER: Duration = Duration::from_millis(100);

/// Segmentation maps: one being filled, one being read, one under way.
pub const MAPS: usize = 3;
/// Pictures of the world camera: one being rendered, one waiting, one in the network, one in the landing stage.
pub const PICTURES: usize = 4;
/// Decisions on their way to the control thread.
pub const BRIEFS: usize = 4;
/// Questions for a pose on their way to the control thread: two stages ask, one at a time.
pub const QUESTIONS: usize = 4;
/// Buffers of bytes from the link.
pub const BUFFERS: usize = 16;
/// Buffers of bytes to the link: one being written, one waiting. What waits longer stays where a takeover takes it back.
pub const OUT_BUFFERS: usize = 2;
/// Size of one, bytes: a datagram.
pub const BUFFER: usize = 2048;
/// Notes on their way to the record.
pub const NOTES: usize = 256;

/// A camera that brings nothing for longer is broken; the slowest that may be configured brings a picture in 2 s.
pub const CAMERA_DEADLINE: Duration = Duration::from_secs(3);
/// A network that brings nothing for longer is broken.
pub const INFERENCE_DEADLINE: Duration = Duration::from_secs(3);
/// A landing stage that decides nothing for longer is broken.
pub const LANDING_DEADLINE: Duration = Duration::from_millis(3500);
/// A link that takes no bytes for longer is broken.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(1);
/// A control thread that is silent for longer hangs: the process ends.
pub const CONTROL_DEADLINE: Duration = Duration::from_secs(2);

/// A stage that hangs for longer will not come back. The supervisor has handed back by then, unless its patience is
/// configured to be longer.
pub const HANG_LIMIT: Duration = Duration::from_secs(15);
/// A stage that broke may keep the vehicle for so long: the supervisor holds, and hands back when its patience ends.
pub const FAULT_GRACE: Duration = Duration::from_secs(30);
/// A hand-back that we were asked for ends after this at the latest.
pub const HAND_BACK_LIMIT: Duration = Duration::from_secs(10);
/// Threads that do not end by themselves after this are left behind.
pub const JOIN_LIMIT: Duration = Duration::from_secs(5);
/// The same when the control thread hangs: there is no time to lose.
pub const HUNG_JOIN_LIMIT: Duration = Duration::from_millis(300);
/// Time between two looks at load, memory and temperature of the board.
pub const GAUGE_PERIOD: Duration = Duration::from_secs(1);
/// All cores together busier than this is too much, percent.
pub const BUSY_PERCENT: u8 = 95;
/// Less busy than this is calm, percent.
pub const CALM_PERCENT: u8 = 80;
/// Calm is cooler than hot by this, degrees Celsius.
pub const COOL_BY_C: f64 = 5.0;
/// Stress that lasts so long lowers the pace by one step.
pub const STRESS_TIME: Duration = Duration::from_secs(5);
/// Calm that lasts so long raises it by one.
pub const CALM_TIME: Duration = Duration::from_secs(15);
/// Under pressure pictures that are looked at are at least this far apart.
pub const EASED_INTERVAL: Duration = Duration::from_millis(330);
/// Under pressure that stays; half of the age at which a GO is stale.
pub const LEAST_INTERVAL: Duration = Duration::from_millis(500);
/// Words of other threads for the ground, on their way to the control thread.
pub const REMARKS: usize = 4;
/// Settings are read again only while the newest heartbeat is no older than this, and shows the motors off.
pub const DISARMED_MAX_AGE: Duration = Duration::from_secs(3);
/// A heartbeat comes every second: after three that did not come the log says that there is silence, and no height that is older.
pub const SILENT_AFTER: Duration = Duration::from_secs(4);
/// Time between two lines in the log that say how it is going.
pub const STATUS_PERIOD: Duration = Duration::from_secs(5);
