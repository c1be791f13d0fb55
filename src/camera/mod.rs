//! Where pictures come from: one trait, several sources.
//!
//! [`open()`] looks at what stands at a path (by content, not by extension) and hands out its [`FrameSource`]: a folder of
//! pictures or a single one ([`images`]), or a video ([`video`]). In flight pictures come from a [`live`] camera: a device of
//! the board (`v4l`, with the cargo feature `onboard`) or a [`pipe`]; in simulation from a [`world`].

pub mod geotag;
pub mod images;
pub mod live;
mod open;
pub mod picture;
pub mod pipe;
pub mod raw;
mod recorded;
#[cfg(feature = "onboard")]
pub mod v4l;
pub mod video;

pub use images::is_pictures;
pub use open::{OpenError, open};
pub use recorded::{Recorded, recorded};

pub mod world;

use std::sync::Arc;

use image::RgbImage;

use crate::time::MonoTime;

/// A decoded picture with the moment of its mid-exposure.
#[derive(Debug, Clone)]
pub struct Frame {
    /// 0-based index in the source; skipped frames count too.
    pub seq: u64,
    /// File name (folder), or the source's own name (video).
    pub source: Arc<str>,
    /// Mid-exposure on the monotonic clock.
    pub captured_at: MonoTime,
    /// RGB, 8 bits a channel.
    pub image: Arc<RgbImage>,
    /// What the file itself says of place, height, direction and lens.
    pub tag: Option<GeoTag>,
}

/// Place and direction as written into a picture's EXIF and XMP. Every part may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GeoTag {
    /// WGS84 latitude, degrees, north positive.
    pub latitude_deg: Option<f64>,
    /// WGS84 longitude, degrees, east positive.
    pub longitude_deg: Option<f64>,
    /// Height over the take-off point, metres.
    pub relative_altitude_m: Option<f64>,
    /// Vehicle heading, degrees clockwise from north.
    pub flight_yaw_deg: Option<f64>,
    /// Gimbal yaw in the world, degrees clockwise from north.
    pub gimbal_yaw_deg: Option<f64>,
    /// Gimbal pitch, degrees; -90 looks straight down.
    pub gimbal_pitch_deg: Option<f64>,
    /// Gimbal roll, degrees.
    pub gimbal_roll_deg: Option<f64>,
    /// Horizontal field of view from the 35 mm equivalent focal length, degrees; [`geotag::hfov_deg`] says how.
    pub hfov_deg: Option<f64>,
    /// The 35 mm equivalent focal length itself, millimetres, for whoever knows the camera better.
    pub focal_35mm_mm: Option<f64>,
}

/// What a source hands out.
#[derive(Debug)]
pub enum SourceEvent {
    /// The next picture.
    Frame(Frame),
    /// A picture that could not be read: counted, reported, passed over.
    Skipped {
        /// Its index.
        seq: u64,
        /// Its file name, or the source's.
        source: Arc<str>,
        /// Why, in plain words.
        reason: String,
    },
    /// Nothing more will come; `warning` says if it ended early (a video cut in the middle).
    End {
        /// Why it ended early, in plain words.
        warning: Option<String>,
    },
}

/// A source of frames, in order. Errors of single frames are [`SourceEvent::Skipped`].
pub trait FrameSource {
    /// The next event; after `End`, `End` again.
    fn next_event(&mut self) -> SourceEvent;

    /// How many frames will come, if known (for progress bars).
    fn len_hint(&self) -> Option<u64>;
}
