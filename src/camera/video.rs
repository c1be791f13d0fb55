//! Video files as frame sources.
use super::{FrameSource, OpenError};
use std::path::Path;
pub(super) fn open_mp4(path: &Path, _fps: f64) -> Result<Box<dyn FrameSource + Send>, OpenError> {
    Err(OpenError::Unknown {
        path: path.to_owned(),
    })
}
pub(super) fn open_avi(path: &Path, _fps: f64) -> Result<Box<dyn FrameSource + Send>, OpenError> {
    Err(OpenError::Unknown {
        path: path.to_owned(),
    })
}
pub(super) fn open_with_ffmpeg(
    path: &Path,
    _fps: f64,
    _what: &str,
) -> Result<Box<dyn FrameSource + Send>, OpenError> {
    Err(OpenError::Unknown {
        path: path.to_owned(),
    })
}
