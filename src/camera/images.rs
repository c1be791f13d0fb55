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

/// Whether `path` is a folder of pictures or one picture (by its name), and not a video.
#[must_use]
pub fn is_pictures(path: &Path) -> bool {
    path.is_dir() || path.file_name().is_some_and(is_picture_name)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;
    use tempfile::tempdir;

    use super::super::open;
    use super::super::picture::tests::{drawn, jpeg};
    use super::*;

    /// Everything that a source says, a word each.
    fn story(source: &mut dyn FrameSource) -> Vec<String> {
        let mut story = Vec::new();
        loop {
            match source.next_event() {
                SourceEvent::Frame(f) => {
                    let time = f.captured_at.as_secs_f64();
                    story.push(format!("{} {} at {time:.2}", f.seq, f.source));
                }
                SourceEvent::Skipped { seq, source, .. } => {
                    story.push(format!("{seq} {source} skipped"));
                }
                SourceEvent::End { warning } => {
                    assert_eq!(warning, None);
                    assert!(matches!(source.next_event(), SourceEvent::End { .. }));
                    return story;
                }
            }
        }
    }

    #[test]
    fn pictures_come_in_byte_order_and_the_unreadable_keep_their_number() {
        let folder = tempdir().unwrap();
        let picture = jpeg(&drawn(16, 12));
        for name in ["b.jpg", "B.JPEG", "a10.jpg", "a9.jpg", ".hidden.jpg"] {
            fs::write(folder.path().join(name), &picture).unwrap();
        }
        drawn(16, 12).save(folder.path().join("c.PNG")).unwrap();
        fs::write(folder.path().join("a8.jpg"), &picture[..picture.len() / 2]).unwrap();
        fs::write(folder.path().join("d.jpg"), "").unwrap();
        fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
        fs::create_dir(folder.path().join("e.jpg")).unwrap();
        let expected = [
            "0 B.JPEG at 0.00",
            "1 a10.jpg at 0.50",
            "2 a8.jpg skipped",
            "3 a9.jpg at 1.50",
            "4 b.jpg at 2.00",
            "5 c.PNG at 2.50",
            "6 d.jpg skipped",
        ];
        let mut source = ImageFolder::open(folder.path(), 2.0).unwrap();
        assert_eq!(source.len_hint(), Some(7));
        assert_eq!(story(&mut source), expected);
        assert_eq!(story(open(folder.path(), 2.0).unwrap().as_mut()), expected);
    }

    #[test]
    fn a_single_picture_is_a_source_of_one_frame() {
        let folder = tempdir().unwrap();
        // By its content: the name does not matter.
        let path = folder.path().join("picture.dat");
        fs::write(&path, jpeg(&drawn(16, 12))).unwrap();
        let mut source = open(&path, 1.0).unwrap();
        assert_eq!(story(source.as_mut()), ["0 picture.dat at 0.00"]);
    }

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    fn an_impossible_rate_names_the_flag(#[case] fps: f64) {
        let folder = tempdir().unwrap();
        let error = open(folder.path(), fps).err().unwrap();
        assert!(error.to_string().contains("--fps"), "{error}");
        assert!(ImageFolder::open(folder.path(), fps).is_err());
    }

    #[test]
    fn unusable_paths_say_what_to_do() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let message = |path: &Path| open(path, 1.0).err().unwrap().to_string();
        assert!(message(&at("missing")).contains("check the path"));
        assert!(message(folder.path()).contains("no .jpg"));
        fs::write(at("notes.txt"), "x").unwrap();
        assert!(message(folder.path()).contains("no .jpg"));
        assert!(message(&at("notes.txt")).contains("accepted are"));
        let error = ImageFolder::open(&at("notes.txt"), 1.0).unwrap_err();
        assert!(error.to_string().contains("not a folder"));
        fs::write(at("a.jpg"), &jpeg(&drawn(16, 12))[..200]).unwrap();
        fs::write(at("b.jpg"), "").unwrap();
        let said = message(folder.path());
        assert!(
            said.contains("none of the 2") && said.contains("a.jpg"),
            "{said}"
        );
    }

    #[test]
    fn real_photos_of_a_drone_carry_their_tags() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/geotagged");
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        let mut source = ImageFolder::open(&folder, 1.0).unwrap();
        assert_eq!(source.len_hint(), Some(18));
        while let SourceEvent::Frame(frame) = source.next_event() {
            let tag = frame.tag.unwrap();
            assert_eq!(frame.image.dimensions(), (1000, 562));
            assert!((tag.relative_altitude_m.unwrap() - 40.0).abs() < 0.5);
            assert!((tag.gimbal_pitch_deg.unwrap() + 90.0).abs() < 0.2);
            assert!(tag.gimbal_yaw_deg.is_some() && tag.flight_yaw_deg.is_some());
            assert!((tag.latitude_deg.unwrap() - 46.8425).abs() < 0.01);
            assert!((tag.longitude_deg.unwrap() + 91.9945).abs() < 0.01);
            assert_eq!(tag.focal_35mm_mm, Some(20.0));
        }
        assert_eq!(source.next, 18, "a photo was not readable");
    }
}
