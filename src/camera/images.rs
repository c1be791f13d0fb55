//! A folder of pictures, or a single one, as a frame source.
//!
//! Files ending in `.jpg`, `.jpeg` or `.png` (in any case) are read in byte order of their names; hidden files, folders
//! and everything else are passed over without a word. A picture that cannot be read is [`SourceEvent::Skipped`] and
//! keeps its place in the count.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::time::MonoTime;

use super::open::check_fps;
use super::{Frame, FrameSource, OpenError, SourceEvent, picture};

/// A folder of pictures in byte order of their names, `1 / fps` seconds apart.
#[derive(Debug)]
pub struct ImageFolder {
    files: Vec<PathBuf>,
    next: usize,
    fps: f64,
}

impl ImageFolder {
    /// Lists the folder; no picture is opened yet.
    ///
    /// # Errors
    ///
    /// [`OpenError::BadFps`], [`OpenError::Unreadable`] (missing, no permission), [`OpenError::NotAFolder`], or
    /// [`OpenError::NoPicture`].
    pub fn open(path: &Path, fps: f64) -> Result<Self, OpenError> {
        check_fps(fps)?;
        let files = pictures_in(path)?;
        Ok(Self {
            files,
            next: 0,
            fps,
        })
    }

    /// One picture file as a source of one frame.
    ///
    /// # Errors
    ///
    /// [`OpenError::BadFps`].
    pub fn single(path: &Path, fps: f64) -> Result<Self, OpenError> {
        check_fps(fps)?;
        Ok(Self {
            files: vec![path.to_owned()],
            next: 0,
            fps,
        })
    }
}

/// The picture files of a folder, in byte order of their names.
///
/// # Errors
///
/// [`OpenError::Unreadable`], [`OpenError::NotAFolder`] or [`OpenError::NoPicture`].
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let unreadable = |source| OpenError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    if !std::fs::metadata(folder).map_err(unreadable)?.is_dir() {
        return Err(OpenError::NotAFolder {
            path: folder.to_owned(),
        });
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A link that leads nowhere stays in the list, to be reported as unreadable.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|meta| meta.is_dir());
        if is_picture_name(&entry.file_name()) && !is_folder {
            names.push(entry.file_name());
        }
    }
    if names.is_empty() {
        return Err(OpenError::NoPicture {
            path: folder.to_owned(),
        });
    }
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn is_picture_name(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let extension = Path::new(name).extension().unwrap_or_default();
    !hidden
        && ["jpg", "jpeg", "png"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
}

impl FrameSource for ImageFolder {
    fn next_event(&mut self) -> SourceEvent {
        let Some(path) = self.files.get(self.next) else {
            return SourceEvent::End { warning: None };
        };
        let seq = self.next as u64;
        self.next += 1;
        let source: Arc<str> = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into();
        match picture::read(path) {
            Ok(picture) => SourceEvent::Frame(Frame {
                seq,
                source,
                captured_at: MonoTime::from_secs_f64(seq as f64 / self.fps),
                image: Arc::new(picture.image),
                tag: picture.tag,
            }),
            Err(error) => SourceEvent::Skipped {
                seq,
                source,
                reason: error.to_string(),
            },
        }
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.files.len() as u64)
    }
}
