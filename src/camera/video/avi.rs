//! Motion JPEG in AVI (and `OpenDML` AVI) as a frame source.
//!
//! A small RIFF reader: it walks the chunks one by one from the header on and needs no index, so that a recording whose camera
//! lost power is read up to its last whole frame. Each frame is a JPEG by itself; those without Huffman tables get the
//! standard ones.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use crate::camera::picture::{PictureError, decode_jpeg};
use crate::camera::{Frame, FrameSource, SourceEvent};
use crate::time::MonoTime;

use super::{MAX_FRAME_BYTES, file_name};

/// The largest header list that is read.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// An empty `AVI1` segment: it tells the decoder to use the standard Huffman tables.
const AVI1_SEGMENT: [u8; 18] = *b"\xFF\xE0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// An open AVI file. One coded frame is in memory at a time.
#[derive(Debug)]
pub(super) struct AviVideo {
    file: BufReader<File>,
    length: u64,
    name: Arc<str>,
    header: Header,
    /// Seconds from frame to frame.
    period_s: f64,
    at: u64,
    seq: u64,
    is_finished: bool,
    warning: Option<String>,
}

/// What the header says of the video stream.
#[derive(Debug, Clone, PartialEq)]
struct Header {
    /// Two digits that start the names of the stream's chunks.
    stream: [u8; 2],
    codec: [u8; 4],
    period_s: Option<f64>,
    frames: Option<u64>,
}

/// Why a file is no usable Motion JPEG.
#[derive(Debug)]
pub(super) enum AviError {
    Io(io::Error),
    Broken(String),
    /// Another codec, named.
    Other(String),
}

impl From<io::Error> for AviError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl AviVideo {
    pub(super) fn open(path: &Path, fps: f64) -> Result<Self, AviError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let (header, at) = read_header(&mut file, length)?;
        if !matches!(
            header.codec.to_ascii_uppercase().as_slice(),
            b"MJPG" | b"JPEG" | b"AVRN" | b"DMB1"
        ) {
            let codec = header.codec.escape_ascii();
            return Err(AviError::Other(format!("`{codec}` video in AVI")));
        }
        Ok(Self {
            file,
            length,
            name: file_name(path),
            period_s: header.period_s.unwrap_or(1.0 / fps),
            header,
            at,
            seq: 0,
            is_finished: false,
            warning: None,
        })
    }

    /// The next frame's bytes, or the end with its warning.
    fn next_chunk(&mut self) -> Result<Vec<u8>, Option<String>> {
        let failed = |error: io::Error| Some(format!("reading failed: {error}"));
        loop {
            let at = self.at;
            if at >= self.length {
                return Err(self.end_warning().map_err(failed)?);
            }
            let Some((name, size)) =
                chunk_header(&mut self.file, at, self.length).map_err(failed)?
            else {
                return Err(Some(self.cut()));
            };
            if matches!(&name, b"RIFF" | b"LIST") {
                self.at = self.after_list_header(at, size).map_err(failed)?;
                continue;
            }
            if !name.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
                return Err(Some(format!(
                    "the video `{}` is broken at byte {at}: the rest cannot be read",
                    self.name
                )));
            }
            let end = at + 8 + size;
            if end > self.length {
                return Err(Some(self.cut()));
            }
            self.at = end + size % 2;
            let [s0, s1, kind @ ..] = name;
            if [s0, s1] == self.header.stream && matches!(&kind, b"dc" | b"db") {
                if size > MAX_FRAME_BYTES {
                    return Ok(Vec::new());
                }
                let mut bytes = vec![0; size as usize];
                self.file.read_exact(&mut bytes).map_err(failed)?;
                return Ok(bytes);
            }
        }
    }

    /// Lists of frames are entered, others passed over.
    fn after_list_header(&mut self, at: u64, size: u64) -> io::Result<u64> {
        let mut kind = [0; 4];
        match self.file.read_exact(&mut kind) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(self.length),
            other => other?,
        }
        let enter = matches!(&kind, b"AVIX" | b"movi" | b"rec ");
        Ok(if enter {
            at + 12
        } else {
            at + 8 + size + size % 2
        })
    }

    fn cut(&self) -> String {
        format!(
            "the video `{}` is cut: it ends within frame {}",
            self.name, self.seq
        )
    }

    /// A file that ends between two chunks is whole only if its header promised no more.
    fn end_warning(&mut self) -> io::Result<Option<String>> {
        let size = chunk_header(&mut self.file, 0, self.length)?.map_or(0, |(_, size)| size);
        let is_whole = size > 0 && size + 8 <= self.length + 1;
        Ok((!is_whole).then(|| {
            format!(
                "the video `{}` is cut or was not closed by the camera: it ends after {} frames",
                self.name, self.seq
            )
        }))
    }
}

impl FrameSource for AviVideo {
    fn next_event(&mut self) -> SourceEvent {
        let chunk = if self.is_finished {
            Err(self.warning.clone())
        } else {
            self.next_chunk()
        };
        let bytes = match chunk {
            Ok(bytes) => bytes,
            Err(warning) => {
                self.is_finished = true;
                self.warning.clone_from(&warning);
                return SourceEvent::End { warning };
            }
        };
        let seq = self.seq;
        self.seq += 1;
        let source = Arc::clone(&self.name);
        match decode_frame(&bytes) {
            Ok(image) => SourceEvent::Frame(Frame {
                seq,
                source,
                captured_at: MonoTime::from_secs_f64(seq as f64 * self.period_s),
                image: Arc::new(image),
                tag: None,
            }),
            Err(reason) => SourceEvent::Skipped {
                seq,
                source,
                reason,
            },
        }
    }

    fn len_hint(&self) -> Option<u64> {
        self.header.frames
    }
}

fn decode_frame(jpeg: &[u8]) -> Result<image::RgbImage, String> {
    if jpeg.is_empty() {
        return Err("it is empty: the recorder dropped it".to_owned());
    }
    let jpeg = with_huffman_tables(jpeg);
    let decoded = decode_jpeg(&jpeg).map_err(|error: PictureError| error.to_string())?;
    Ok(decoded.0)
}

/// Adds the mark for the standard Huffman tables if the JPEG has none.
fn with_huffman_tables(jpeg: &[u8]) -> Cow<'_, [u8]> {
    let mut at = 2;
    while let Some([0xFF, kind, high, low]) = jpeg.get(at..at + 4) {
        match kind {
            0xC4 => return Cow::Borrowed(jpeg),
            0xDA => break,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    Cow::Owned([start, &AVI1_SEGMENT, rest].concat())
}

/// Name and size of the chunk at `at`; `None` if the file ends within.
fn chunk_header(
    file: &mut BufReader<File>,
    at: u64,
    length: u64,
) -> io::Result<Option<([u8; 4], u64)>> {
    if at + 8 > length {
        return Ok(None);
    }
    // Relative, so that the buffer is kept.
    let here = file.stream_position()?;
    file.seek_relative(at as i64 - here as i64)?;
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let [n0, n1, n2, n3, size @ ..] = header;
    let size = u64::from(u32::from_le_bytes(size));
    Ok(Some(([n0, n1, n2, n3], size)))
}

/// Reads up to the first `movi` list; returns where it starts, too.
fn read_header(file: &mut BufReader<File>, length: u64) -> Result<(Header, u64), AviError> {
    let mut header = None;
    let mut at = 12;
    while let Some((name, size)) = chunk_header(file, at, length)? {
        let mut kind = [0; 4];
        if &name == b"LIST" && at + 12 <= length {
            file.read_exact(&mut kind)?;
        }
        match &kind {
            b"movi" => {
                let missing = || AviError::Broken("it has no video stream".to_owned());
                return Ok((header.ok_or_else(missing)?, at));
            }
            b"hdrl" if (4..MAX_HEADER_BYTES).contains(&size) && at + 8 + size <= length => {
                let mut list = vec![0; size as usize - 4];
                file.read_exact(&mut list)?;
                header = parse_header(&list);
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    Err(AviError::Broken(
        "it ends before its first frame (no movi list)".to_owned(),
    ))
}

/// The chunks directly inside `data`, as far as they are whole.
fn chunks(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (header, rest) = data.split_first_chunk::<8>()?;
        let [n0, n1, n2, n3, size @ ..] = *header;
        let size = u32::from_le_bytes(size) as usize;
        let body = rest.get(..size)?;
        data = rest.get(size + size % 2..).unwrap_or_default();
        Some(([n0, n1, n2, n3], body))
    })
}

/// The first video stream of the header list.
fn parse_header(list: &[u8]) -> Option<Header> {
    let streams = chunks(list).filter(|(name, body)| name == b"LIST" && body.starts_with(b"strl"));
    streams.enumerate().find_map(|(index, (_, body))| {
        let part = |wanted: &[u8; 4]| {
            chunks(body.get(4..)?)
                .find(|(name, _)| name == wanted)
                .map(|(_, body)| body)
        };
        let (stream, format) = (part(b"strh")?, part(b"strf")?);
        if !stream.starts_with(b"vids") {
            return None;
        }
        let number = |at: usize| Some(u32::from_le_bytes(*stream.get(at..)?.first_chunk()?));
        let (scale, rate) = (number(20)?, number(24)?);
        let digit = |n: usize| u8::try_from(n).ok().map(|n| b'0' + n);
        Some(Header {
            stream: [digit(index / 10)?, digit(index % 10)?],
            codec: *format.get(16..)?.first_chunk()?,
            period_s: (scale > 0 && rate > 0).then(|| f64::from(scale) / f64::from(rate)),
            frames: number(32).filter(|n| *n > 0).map(u64::from),
        })
    })
}
