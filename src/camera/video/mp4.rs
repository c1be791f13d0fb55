//! H.264 in MP4 or MOV as a frame source.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use image::{RgbImage, imageops};

use crate::camera::{Frame, FrameSource, OpenError, SourceEvent};
use crate::time::MonoTime;

use super::boxes::{IndexError, Sample, read_index};
use super::h264::{Decoded, H264Decoder, check_sps};
use super::{MAX_FRAME_BYTES, file_name};

/// An open MP4 file. One coded frame and the decoder's few pictures are in memory, whatever the file's length.
pub(super) struct Mp4Video {
    file: File,
    name: Arc<str>,
    samples: Vec<Sample>,
    /// Seconds of each frame in display order.
    times: Vec<f64>,
    decoder: H264Decoder,
    quarter_turns: u8,
    next: usize,
    is_finished: bool,
    warning: Option<String>,
    buffer: Vec<u8>,
}

/// Why [`Mp4Video::open`] failed.
pub(super) enum Mp4Error {
    /// For good.
    Open(OpenError),
    /// Something that ffmpeg may read.
    Other(String),
}

impl Mp4Video {
    pub(super) fn open(path: &Path, fps: f64) -> Result<Self, Mp4Error> {
        let owned = path.to_owned();
        let mut file = File::open(path).map_err(|source| {
            Mp4Error::Open(OpenError::Unreadable {
                path: owned,
                source,
            })
        })?;
        let track = read_index(&mut file).map_err(|error| mp4_error(path, error))?;
        for set in &track.config.parameter_sets {
            check_sps(set).map_err(|reason| mp4_error(path, IndexError::Broken(reason)))?;
        }
        let mut times = vec![0.0; track.samples.len()];
        for sample in &track.samples {
            if let Some(time) = times.get_mut(sample.rank as usize) {
                *time = sample.time_s.unwrap_or(sample.rank as f64 / fps);
            }
        }
        Ok(Self {
            file,
            name: file_name(path),
            samples: track.samples,
            times,
            decoder: H264Decoder::new(track.config),
            quarter_turns: track.quarter_turns,
            next: 0,
            is_finished: false,
            warning: None,
            buffer: Vec::new(),
        })
    }

    /// Feeds the next sample, or finishes.
    fn advance(&mut self) {
        let Some(sample) = self.samples.get(self.next).copied() else {
            self.finish(None);
            return;
        };
        self.next += 1;
        if u64::from(sample.size) > MAX_FRAME_BYTES {
            let reason = format!("{} bytes are too many for a frame", sample.size);
            return self.decoder.skip(sample.rank, reason);
        }
        match self.read(sample) {
            Ok(()) => self.decoder.feed(sample.rank, sample.is_key, &self.buffer),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let (at, count) = (self.next - 1, self.samples.len());
                self.finish(Some(format!(
                    "the video `{}` is cut: it ends within frame {at} of {count}",
                    self.name
                )));
            }
            Err(error) => self.finish(Some(format!("reading `{}` failed: {error}", self.name))),
        }
    }

    fn read(&mut self, sample: Sample) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(sample.offset))?;
        self.buffer.resize(sample.size as usize, 0);
        self.file.read_exact(&mut self.buffer)
    }

    fn finish(&mut self, warning: Option<String>) {
        self.decoder.finish();
        self.warning = warning;
        self.is_finished = true;
    }

    fn event(&self, seq: u64, decoded: Decoded) -> SourceEvent {
        let source = Arc::clone(&self.name);
        match decoded {
            Ok(image) => SourceEvent::Frame(Frame {
                seq,
                source,
                captured_at: MonoTime::from_secs_f64(
                    self.times.get(seq as usize).copied().unwrap_or(0.0),
                ),
                image: Arc::new(turned(image, self.quarter_turns)),
                tag: None,
            }),
            Err(reason) => SourceEvent::Skipped {
                seq,
                source,
                reason,
            },
        }
    }
}

fn mp4_error(path: &Path, error: IndexError) -> Mp4Error {
    let path = path.to_owned();
    Mp4Error::Open(match error {
        IndexError::Io(source) => OpenError::Unreadable { path, source },
        IndexError::NoIndex => OpenError::NoIndex { path },
        IndexError::Broken(reason) => OpenError::Broken {
            path,
            container: "MP4",
            reason,
        },
        IndexError::Other(what) => return Mp4Error::Other(what),
    })
}

/// The picture as players show it.
fn turned(image: RgbImage, quarter_turns: u8) -> RgbImage {
    match quarter_turns {
        1 => imageops::rotate90(&image),
        2 => imageops::rotate180(&image),
        3 => imageops::rotate270(&image),
        _ => image,
    }
}

impl FrameSource for Mp4Video {
    fn next_event(&mut self) -> SourceEvent {
        loop {
            if let Some((rank, decoded)) = self.decoder.pop() {
                return self.event(rank, decoded);
            }
            if self.is_finished {
                return SourceEvent::End {
                    warning: self.warning.clone(),
                };
            }
            self.advance();
        }
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.samples.len() as u64)
    }
}
