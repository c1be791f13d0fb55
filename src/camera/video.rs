//! Video files as frame sources.
//!
//! - H.264 in MP4 or MOV, decoded by openh264 (built with the crate): `video/mp4.rs`.
//! - Motion JPEG in AVI: `video/avi.rs`.
//! - Everything else through `ffmpeg` as a child process, if it is installed: `video/ffmpeg.rs`. So are H.264 streams that
//!   openh264 does not know (interlaced, 10 bits, 4:2:2).
//!
//! Videos are streamed: one coded frame and the few pictures that the decoder keeps are in memory. Frame times are the
//! container's, counted from the first frame shown; rotation marks are applied. A frame that cannot be decoded is skipped
//! and keeps its number; a file that is cut ends there with a warning.

mod avi;
mod boxes;
mod ffmpeg;
mod h264;
mod mp4;
mod yuv;

use std::path::Path;
use std::sync::Arc;

use self::avi::{AviError, AviVideo};
use self::ffmpeg::FfmpegVideo;
use self::mp4::{Mp4Error, Mp4Video};
use super::FrameSource;
use super::open::{OpenError, prime};
use super::recorded::Recorded;

/// The largest coded frame that is read.
const MAX_FRAME_BYTES: u64 = 64 << 20;

/// A source that can be handed to another thread.
type Source = Box<dyn FrameSource + Send>;

/// Opens an MP4 or MOV file.
///
/// # Errors
///
/// See [`OpenError`].
pub(super) fn open_mp4(path: &Path, fps: f64) -> Result<Source, OpenError> {
    let video = match Mp4Video::open(path, fps) {
        Ok(video) => video,
        Err(Mp4Error::Open(error)) => return Err(error),
        Err(Mp4Error::Other(what)) => return open_with_ffmpeg(path, fps, &what),
    };
    match prime(video, path) {
        Ok(source) => Ok(Box::new(source)),
        // Perhaps a kind of H.264 that openh264 does not know; without ffmpeg the first reason says more.
        Err(error) => open_with_ffmpeg(path, fps, "H.264 of an uncommon kind").map_err(|_| error),
    }
}

/// Opens an AVI file.
///
/// # Errors
///
/// See [`OpenError`].
pub(super) fn open_avi(path: &Path, fps: f64) -> Result<Source, OpenError> {
    let owned = path.to_owned();
    match AviVideo::open(path, fps) {
        Ok(video) => Ok(Box::new(prime(video, path)?)),
        Err(AviError::Other(what)) => open_with_ffmpeg(path, fps, &what),
        Err(AviError::Io(source)) => Err(OpenError::Unreadable {
            path: owned,
            source,
        }),
        Err(AviError::Broken(reason)) => Err(OpenError::Broken {
            path: owned,
            container: "AVI",
            reason,
        }),
    }
}

/// Opens any other video with ffmpeg; `what` names it in messages.
///
/// # Errors
///
/// See [`OpenError`].
pub(super) fn open_with_ffmpeg(path: &Path, fps: f64, what: &str) -> Result<Source, OpenError> {
    let video = FfmpegVideo::open(path, fps, what, &ffmpeg::ON_PATH)?;
    Ok(Box::new(prime(video, path)?))
}

/// When an MP4 or MOV file began and how long it is; `None` for anything else.
pub(super) fn recorded(path: &Path) -> Option<Recorded> {
    let mut file = std::fs::File::open(path).ok()?;
    boxes::read_recorded(&mut file)
}

/// The name under which a video's frames go.
fn file_name(path: &Path) -> Arc<str> {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into()
}

#[cfg(test)]
mod tests;
