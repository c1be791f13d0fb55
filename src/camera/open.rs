//! Chooses the source for a path, and makes sure that it holds at least one picture.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::images::ImageFolder;
use super::video;
use super::{FrameSource, SourceEvent};

/// What is read without any other program, for messages.
const ACCEPTED: &str = "a folder of JPEG or PNG pictures, one such picture, H.264 video in MP4 or MOV, \
     Motion JPEG in AVI, or, with ffmpeg installed, other video (MKV, WebM, MPEG-TS, HEVC, ...)";

/// How ffmpeg is had, for messages.
const GET_FFMPEG: &str = "`sudo apt install ffmpeg` (Debian, Ubuntu, Raspberry Pi OS), `brew install ffmpeg` (macOS), \
     `winget install ffmpeg` (Windows)";

/// Why a source could not be opened. Every message names the path or flag and what to do; all of them are the caller's
/// input (exit code 2).
#[derive(Debug, Error)]
pub enum OpenError {
    /// The frame rate is not a number above 0.
    #[error("--fps must be a finite number above 0, not {0}")]
    BadFps(f64),
    /// Nothing there, or not allowed to look.
    #[error("cannot read `{}`: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder was asked for.
    #[error("`{}` is not a folder; give the folder that holds the pictures", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder holds no JPEG or PNG file.
    #[error("the folder `{}` holds no .jpg, .jpeg or .png file; give the folder that holds the pictures", path.display())]
    NoPicture {
        /// The path as given.
        path: PathBuf,
    },
    /// There are pictures or frames, but none can be decoded.
    #[error("none of the {tried} pictures in `{}` can be read (the first: {reason}); copy the recording again", path.display())]
    NothingReadable {
        /// The path as given.
        path: PathBuf,
        /// How many were tried.
        tried: u64,
        /// Why the first one failed, or why the source ended.
        reason: String,
    },
    /// An MP4 whose index (`moov`) was never written or was cut off.
    #[error(
        "`{}` has no index (no moov box): the recording was cut before the camera closed the file; \
         copy it again from the camera, or repair it with a tool such as `untrunc`", path.display()
    )]
    NoIndex {
        /// The path as given.
        path: PathBuf,
    },
    /// A container whose structure is broken beyond use.
    #[error("`{}` is a broken {container} file: {reason}; copy it again from the camera", path.display())]
    Broken {
        /// The path as given.
        path: PathBuf,
        /// `MP4` or `AVI`.
        container: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Only ffmpeg can read it, and there is none.
    #[error(
        "`{}` holds {what}, which alight reads only with the help of ffmpeg, and ffmpeg is not on the PATH; \
         install it ({GET_FFMPEG}), or convert the video to H.264 in MP4, which needs no help", path.display()
    )]
    NeedsFfmpeg {
        /// The path as given.
        path: PathBuf,
        /// What was found in it.
        what: String,
    },
    /// ffmpeg is there, but finds no video in it either.
    #[error("ffmpeg cannot read `{}`: {reason}; accepted are {ACCEPTED}", path.display())]
    FfmpegFailed {
        /// The path as given.
        path: PathBuf,
        /// What ffmpeg says.
        reason: String,
    },
    /// Not a known kind of file.
    #[error("`{}` is no picture or video that alight knows; accepted are {ACCEPTED}", path.display())]
    Unknown {
        /// The path as given.
        path: PathBuf,
    },
}

/// Opens whatever stands at `path`: a folder of pictures, one picture, or a video, told apart by their content. Frames
/// of pictures are `1 / fps` seconds apart; videos bring their own times and use `fps` only where they have none.
///
/// The first readable frame is already decoded when this returns, so a source without any is refused here.
///
/// # Errors
///
/// See [`OpenError`].
///
/// ```no_run
/// use alight::camera::{SourceEvent, open};
///
/// let mut source = open("flight.mp4".as_ref(), 1.0)?;
/// while let SourceEvent::Frame(frame) = source.next_event() {
///     println!("{} at {:.2} s", frame.seq, frame.captured_at.as_secs_f64());
/// }
/// # Ok::<(), alight::camera::OpenError>(())
/// ```
pub fn open(path: &Path, fps: f64) -> Result<Box<dyn FrameSource + Send>, OpenError> {
    check_fps(fps)?;
    let unreadable = |source| OpenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if meta.is_dir() {
        return Ok(Box::new(prime(ImageFolder::open(path, fps)?, path)?));
    }
    match Kind::of(&file_head(path).map_err(unreadable)?) {
        Some(Kind::Picture) => Ok(Box::new(prime(ImageFolder::single(path, fps)?, path)?)),
        Some(Kind::Mp4) => video::open_mp4(path, fps),
        Some(Kind::Avi) => video::open_avi(path, fps),
        Some(Kind::OtherVideo(what)) => video::open_with_ffmpeg(path, fps, what),
        None => Err(OpenError::Unknown {
            path: path.to_owned(),
        }),
    }
}

/// # Errors
///
/// [`OpenError::BadFps`] unless `fps` is finite and above 0.
pub(super) fn check_fps(fps: f64) -> Result<(), OpenError> {
    if fps.is_finite() && fps > 0.0 {
        Ok(())
    } else {
        Err(OpenError::BadFps(fps))
    }
}

/// The first bytes of the file, as many as telling its kind needs.
fn file_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?
        .take(512)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture,
    Mp4,
    Avi,
    /// Named for the message.
    OtherVideo(&'static str),
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        let at = |offset: usize, bytes: &[u8]| {
            head.get(offset..)
                .is_some_and(|rest| rest.starts_with(bytes))
        };
        let still = [b"heic", b"heix", b"mif1", b"avif"];
        if at(0, &[0xFF, 0xD8, 0xFF]) || at(0, b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Picture);
        }
        if at(0, b"RIFF") && at(8, b"AVI ") {
            return Some(Self::Avi);
        }
        if at(4, b"ftyp") && still.iter().any(|brand| at(8, *brand)) {
            return None;
        }
        if [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"]
            .iter()
            .any(|name| at(4, *name))
        {
            return Some(Self::Mp4);
        }
        let others: [(bool, &'static str); 8] = [
            (at(0, &[0x1A, 0x45, 0xDF, 0xA3]), "Matroska or WebM video"),
            (
                at(0, &[0x47]) && at(188, &[0x47]),
                "an MPEG transport stream",
            ),
            (at(0, &[0, 0, 1, 0xBA]), "an MPEG program stream"),
            (at(0, b"FLV\x01"), "Flash video"),
            (at(0, b"OggS"), "Ogg video"),
            (at(0, &[0x30, 0x26, 0xB2, 0x75]), "Windows Media video"),
            (
                at(0, &[0, 0, 0, 1]) || at(0, &[0, 0, 1]),
                "a raw H.264 or HEVC stream",
            ),
            (at(0, b"DKIF"), "IVF video"),
        ];
        others
            .iter()
            .find(|(is, _)| *is)
            .map(|(_, name)| Self::OtherVideo(name))
    }
}

/// A source with its events up to the first frame already drawn.
pub(super) struct Primed<S> {
    ready: VecDeque<SourceEvent>,
    source: S,
}

/// Draws events until the first frame.
///
/// # Errors
///
/// [`OpenError::NothingReadable`] if the source ends before.
pub(super) fn prime<S: FrameSource>(mut source: S, path: &Path) -> Result<Primed<S>, OpenError> {
    let mut ready = VecDeque::new();
    let mut first_reason = None;
    loop {
        let event = source.next_event();
        match &event {
            SourceEvent::Frame(_) => {
                ready.push_back(event);
                return Ok(Primed { ready, source });
            }
            SourceEvent::Skipped { source, reason, .. } => {
                first_reason.get_or_insert_with(|| format!("{source}: {reason}"));
                ready.push_back(event);
            }
            SourceEvent::End { warning } => {
                let reason = first_reason.or_else(|| warning.clone());
                return Err(OpenError::NothingReadable {
                    path: path.to_owned(),
                    tried: ready.len() as u64,
                    reason: reason.unwrap_or_else(|| "it holds no frame at all".to_owned()),
                });
            }
        }
    }
}

impl<S: FrameSource> FrameSource for Primed<S> {
    fn next_event(&mut self) -> SourceEvent {
        match self.ready.pop_front() {
            Some(event) => event,
            None => self.source.next_event(),
        }
    }

    fn len_hint(&self) -> Option<u64> {
        self.source.len_hint()
    }
}
