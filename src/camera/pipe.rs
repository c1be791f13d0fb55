//! Pictures from a command's standard output, or from our own standard input.
//!
//! For cameras that have no plain V4L2 device: `rpicam-vid` on a Raspberry Pi, a `GStreamer` pipeline on a Jetson. Each
//! picture is a fixed number of bytes, or a JPEG of its own. The pipe carries no times: a picture is stamped with its
//! arrival less the configured latency.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use image::RgbImage;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::live::{Device, GrabError, Grabbed, OpenError, PATIENCE};
use super::raw::{RawFormat, decode_into};

/// Longer JPEG pictures are none.
const JPEG_MAX: usize = 16 << 20;
const START: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeSpec {
    /// Program and arguments; empty: our own standard input.
    pub command: Vec<OsString>,
    /// How the bytes are arranged.
    pub format: RawFormat,
    /// Width and height, pixels.
    pub size: (u32, u32),
}

/// An open pipe.
#[derive(Debug)]
pub struct Pipe {
    input: File,
    child: Option<Child>,
    format: RawFormat,
    /// What has come of the next picture: `filled` bytes.
    buffer: Vec<u8>,
    filled: usize,
}

impl Pipe {
    /// Starts the command.
    ///
    /// # Errors
    /// When there is no such program, or it may not be started.
    pub fn open(spec: &PipeSpec) -> Result<Self, OpenError> {
        let (input, child) = match spec.command.split_first() {
            None => (own_input(), None),
            Some((program, arguments)) => {
                let (input, child) = start(program, arguments)?;
                (Ok(input), Some(child))
            }
        };
        let input = input.map_err(|e| OpenError::Absent(format!("standard input: {e}")))?;
        let (width, height) = spec.size;
        Ok(Self {
            input: File::from(input),
            child,
            format: spec.format,
            buffer: vec![0; spec.format.bytes(width, height).unwrap_or(JPEG_MAX)],
            filled: 0,
        })
    }

    /// Reads what is there; waits until `until` at most. `false`: nothing came.
    fn read(&mut self, until: Instant) -> Result<bool, GrabError> {
        let left = until.saturating_duration_since(now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(e) => return Err(GrabError::Lost(e.to_string())),
        }
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.input.read(room) {
            Ok(0) => Err(GrabError::Lost(self.end())),
            Ok(n) => {
                self.filled += n;
                Ok(true)
            }
            Err(e) => Err(GrabError::Lost(e.to_string())),
        }
    }

    /// Why no more comes.
    fn end(&mut self) -> String {
        match &mut self.child {
            None => "standard input has ended".to_owned(),
            Some(child) => match child.try_wait() {
                Ok(Some(status)) => format!("the command ended ({status})"),
                _ => "the command closed its output".to_owned(),
            },
        }
    }

    /// Bytes of the picture at the front of the buffer, when it is there.
    fn whole(&self) -> Option<usize> {
        let got = self.buffer.get(..self.filled)?;
        if self.format != RawFormat::Mjpeg {
            return (got.len() == self.buffer.len()).then_some(got.len());
        }
        let next = [END, START].concat();
        // The last bytes that came may be the end of a picture; a thumbnail inside one does not end what came.
        memchr::memmem::find(got, &next)
            .map(|i| i + END.len())
            .or_else(|| got.ends_with(&END).then_some(got.len()))
    }

    fn take(&mut self, bytes: usize, into: &mut RgbImage) -> Result<(), GrabError> {
        let picture = self.buffer.get(..bytes).unwrap_or_default();
        let decoded = decode_into(self.format, picture, 0, into);
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
        decoded.map_err(|e| GrabError::Bad(e.to_string()))
    }
}

impl Device for Pipe {
    fn grab(&mut self, into: &mut RgbImage) -> Result<Grabbed, GrabError> {
        let until = now() + PATIENCE;
        loop {
            if let Some(bytes) = self.whole() {
                self.take(bytes, into)?;
                return Ok(Grabbed {
                    captured_at: None,
                    sequence: None,
                });
            }
            if self.filled == self.buffer.len() {
                self.filled = 0;
                return Err(GrabError::Bad("no JPEG in 16 MB: is it MJPEG?".to_owned()));
            }
            if !self.read(until)? && now() >= until {
                let why = format!("no picture for {} s", PATIENCE.as_secs());
                return Err(GrabError::Lost(why));
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn own_input() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

fn start(program: &OsString, arguments: &[OsString]) -> Result<(OwnedFd, Child), OpenError> {
    let name = program.to_string_lossy();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => OpenError::Settings(format!(
                "camera.command: there is no program {name}: install it, or write its whole path"
            )),
            _ => OpenError::Absent(format!("camera.command: {name}: {e}")),
        })?;
    let output = child.stdout.take();
    let output = output.ok_or_else(|| OpenError::Absent(format!("{name}: no output")))?;
    Ok((output.into(), child))
}

/// For deadlines of reads alone: frames are stamped by the pipeline's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a read's deadline; no stage sees it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(script: &str, format: RawFormat) -> Pipe {
        let command = ["sh", "-c", script].map(OsString::from).to_vec();
        let size = (4, 2);
        Pipe::open(&PipeSpec {
            command,
            format,
            size,
        })
        .unwrap()
    }

    #[test]
    fn pictures_come_in_order_and_in_pieces() {
        let mut pipe = open(
            "printf 'aaaaaa'; sleep 0.1; printf 'aabbbb'; sleep 0.1; printf bbbb; exit 3",
            RawFormat::Grey,
        );
        let mut picture = RgbImage::new(4, 2);
        for want in [b'a', b'b'] {
            pipe.grab(&mut picture).unwrap();
            assert!(picture.iter().all(|p| *p == want));
        }
        let GrabError::Lost(why) = pipe.grab(&mut picture).unwrap_err() else {
            panic!("must be lost");
        };
        assert!(why.contains("the command"), "{why}");
    }

    #[test]
    fn a_command_that_stalls_is_lost_and_killed() {
        let mut pipe = open("printf aaaa; sleep 100", RawFormat::Grey);
        let begun = now();
        let lost = pipe.grab(&mut RgbImage::new(4, 2)).unwrap_err();
        assert_eq!(lost, GrabError::Lost("no picture for 1 s".to_owned()));
        drop(pipe);
        // The command would have gone on for 100 s.
        assert!(now() - begun < std::time::Duration::from_secs(10));
    }

    #[test]
    fn jpegs_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("two.mjpeg");
        let mut bytes = Vec::new();
        for level in [40, 200] {
            let mut jpeg = io::Cursor::new(Vec::new());
            let drawn = RgbImage::from_pixel(4, 2, image::Rgb([level; 3]));
            drawn.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
            bytes.extend(jpeg.into_inner());
        }
        std::fs::write(&file, bytes).unwrap();
        let mut pipe = open(&format!("cat {}", file.display()), RawFormat::Mjpeg);
        let mut picture = RgbImage::new(4, 2);
        for level in [40, 200] {
            pipe.grab(&mut picture).unwrap();
            assert!(picture.iter().all(|p| p.abs_diff(level) < 4), "{level}");
        }
        assert!(matches!(pipe.grab(&mut picture), Err(GrabError::Lost(_))));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_wrong_setting() {
        let wrong = Pipe::open(&PipeSpec {
            command: vec!["no-such-program".into()],
            format: RawFormat::Yuyv,
            size: (4, 2),
        });
        let message = wrong.unwrap_err().to_string();
        assert!(message.contains("camera.command") && message.contains("no-such-program"));
    }
}
