//! Any other video through `ffmpeg` as a child process, if it is installed.
//!
//! `ffprobe` tells size and rate; `ffmpeg` writes raw RGB pictures into a pipe at that constant rate, so that frame `k` is the
//! picture shown at `k / rate` seconds, also where the video's own rate varies. Frames that ffmpeg cannot decode are
//! repaired or left out by it, unseen by us. Rotation marks are applied by ffmpeg.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use image::RgbImage;
use serde::Deserialize;

use crate::camera::picture::check_size;
use crate::camera::{Frame, FrameSource, OpenError, SourceEvent};
use crate::time::MonoTime;

use super::file_name;

/// The two programs; tests name others.
pub(super) struct Programs {
    pub(super) ffprobe: &'static str,
    pub(super) ffmpeg: &'static str,
}

/// As they are called on the PATH.
pub(super) const ON_PATH: Programs = Programs {
    ffprobe: "ffprobe",
    ffmpeg: "ffmpeg",
};

/// A video that ffmpeg decodes for us.
#[derive(Debug)]
pub(super) struct FfmpegVideo {
    child: Child,
    pipe: ChildStdout,
    name: Arc<str>,
    stream: Stream,
    seq: u64,
    is_finished: bool,
    warning: Option<String>,
}

/// What ffprobe says.
#[derive(Debug, Clone, PartialEq)]
struct Stream {
    width: u32,
    height: u32,
    /// Frames a second, as a fraction for ffmpeg.
    rate: String,
    fps: f64,
    frames: Option<u64>,
}

#[derive(Deserialize)]
struct Probe {
    streams: Vec<ProbeStream>,
}

#[derive(Deserialize)]
struct ProbeStream {
    width: u32,
    height: u32,
    avg_frame_rate: String,
    nb_frames: Option<String>,
    #[serde(default)]
    side_data_list: Vec<ProbeSideData>,
}

#[derive(Deserialize)]
struct ProbeSideData {
    rotation: Option<f64>,
}

impl FfmpegVideo {
    pub(super) fn open(
        path: &Path,
        fps: f64,
        what: &str,
        programs: &Programs,
    ) -> Result<Self, OpenError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::NeedsFfmpeg {
                path: path.to_owned(),
                what: what.to_owned(),
            },
            _ => ffmpeg_failed(path, error.to_string()),
        };
        let stream = probe(path, fps, programs.ffprobe, &failed)?;
        let mut child = Command::new(programs.ffmpeg)
            .args(["-nostdin", "-v", "quiet", "-i"])
            .arg(as_file(path))
            .args(["-map", "0:v:0", "-r", &stream.rate])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pipe = child.stdout.take();
        let pipe = pipe.ok_or_else(|| ffmpeg_failed(path, "it gave no pipe".to_owned()))?;
        Ok(Self {
            child,
            pipe,
            name: file_name(path),
            stream,
            seq: 0,
            is_finished: false,
            warning: None,
        })
    }

    /// What to say at the end; `is_cut` if a last frame came in part.
    fn end_warning(&mut self, is_cut: bool) -> Option<String> {
        let status = self.child.wait();
        match status {
            Ok(status) if status.success() && !is_cut => None,
            Ok(status) => Some(format!(
                "ffmpeg stopped early on `{}` after {} frames ({status})",
                self.name, self.seq
            )),
            Err(error) => Some(format!("ffmpeg on `{}` failed: {error}", self.name)),
        }
    }
}

impl Drop for FfmpegVideo {
    fn drop(&mut self) {
        // It may have ended already; nothing is left to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps ffmpeg from taking a name such as `-y` or `http:x` for something else than a file.
fn as_file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

fn ffmpeg_failed(path: &Path, reason: String) -> OpenError {
    OpenError::FfmpegFailed {
        path: path.to_owned(),
        reason,
    }
}

fn probe(
    path: &Path,
    fps: f64,
    program: &str,
    failed: &dyn Fn(io::Error) -> OpenError,
) -> Result<Stream, OpenError> {
    let output = Command::new(program)
        .args(["-v", "error", "-select_streams", "v:0", "-of", "json"])
        .args([
            "-show_entries",
            "stream=width,height,avg_frame_rate,nb_frames",
        ])
        .args(["-show_entries", "stream_side_data=rotation", "-i"])
        .arg(as_file(path))
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().last().unwrap_or("ffprobe failed").to_owned();
        return Err(ffmpeg_failed(path, reason));
    }
    let stream = parse_probe(&output.stdout, fps)
        .ok_or_else(|| ffmpeg_failed(path, "it finds no video in it".to_owned()))?;
    check_size(stream.width.into(), stream.height.into())
        .map_err(|error| ffmpeg_failed(path, format!("the picture {error}")))?;
    Ok(stream)
}

fn parse_probe(json: &[u8], fps: f64) -> Option<Stream> {
    let probe: Probe = serde_json::from_slice(json).ok()?;
    let stream = probe.streams.into_iter().next()?;
    let (over, under) = stream.avg_frame_rate.split_once('/')?;
    let rate = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    let (rate, fps) = if rate.is_finite() && rate > 0.0 {
        (stream.avg_frame_rate, rate)
    } else {
        (fps.to_string(), fps)
    };
    let turned = stream
        .side_data_list
        .iter()
        .find_map(|data| data.rotation)
        .is_some_and(|degrees| (degrees.abs() % 180.0 - 90.0).abs() < 1.0);
    let (width, height) = if turned {
        (stream.height, stream.width)
    } else {
        (stream.width, stream.height)
    };
    Some(Stream {
        width,
        height,
        rate,
        fps,
        frames: stream.nb_frames.and_then(|n| n.parse().ok()),
    })
}

impl FrameSource for FfmpegVideo {
    fn next_event(&mut self) -> SourceEvent {
        if self.is_finished {
            let warning = self.warning.clone();
            return SourceEvent::End { warning };
        }
        let mut image = RgbImage::new(self.stream.width, self.stream.height);
        let wanted = image.len();
        match fill(&mut self.pipe, &mut image) {
            Ok(got) if got == wanted => {
                let seq = self.seq;
                self.seq += 1;
                SourceEvent::Frame(Frame {
                    seq,
                    source: Arc::clone(&self.name),
                    captured_at: MonoTime::from_secs_f64(seq as f64 / self.stream.fps),
                    image: Arc::new(image),
                    tag: None,
                })
            }
            other => {
                let warning = self.end_warning(!matches!(other, Ok(0)));
                self.is_finished = true;
                self.warning.clone_from(&warning);
                SourceEvent::End { warning }
            }
        }
    }

    fn len_hint(&self) -> Option<u64> {
        self.stream.frames
    }
}

/// Reads until the buffer is full or the pipe ends; returns the bytes read.
fn fill(pipe: &mut ChildStdout, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match pipe.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
