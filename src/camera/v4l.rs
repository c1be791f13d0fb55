//! A camera of the board: `Video4Linux`, pictures from the driver's own memory (mmap).

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use image::RgbImage;
use nix::time::{ClockId, clock_gettime};
use v4l::buffer::{Flags, Metadata, Type};
use v4l::capability::Flags as Can;
use v4l::control::{Control, Value};
use v4l::format::FourCC;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;
use v4l::{Device as Handle, Format};

use super::live::{Device, GrabError, Grabbed, OpenError, PATIENCE};
use super::raw::{RawFormat, decode_into};
use crate::time::{Clock as _, MonoTime, SystemClock};

/// Buffers of the driver: one being filled, one being read, two that wait.
const BUFFERS: u32 = 4;

/// What is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4lSpec {
    /// The device, `/dev/video0`.
    pub device: PathBuf,
    /// How its bytes are arranged; `None`: the first of [`RawFormat::ALL`] that it offers in this size.
    pub format: Option<RawFormat>,
    /// Width and height, pixels.
    pub size: (u32, u32),
    /// Pictures a second that it is asked for, rounded; the driver takes its nearest.
    pub rate_hz: u32,
    /// Controls that are set, by the names that `v4l2-ctl --list-ctrls` shows: exposure, gain, focus.
    pub controls: BTreeMap<String, i64>,
}

/// An open camera.
pub struct V4lCamera {
    /// `None` only while it is dropped.
    stream: Option<Stream<'static>>,
    format: RawFormat,
    stride: usize,
    clock: SystemClock,
}

impl V4lCamera {
    /// Opens and sets up the device.
    ///
    /// # Errors
    /// [`OpenError::Absent`] when it is not there, busy, or not ours; [`OpenError::Settings`] when it is no camera, or does not
    /// offer the size, the format or a control, with what it does offer.
    pub fn open(spec: &V4lSpec, clock: SystemClock) -> Result<Self, OpenError> {
        let name = spec.device.display();
        let handle = Handle::with_path(&spec.device).map_err(|e| absent(spec, &e))?;
        let caps = handle.query_caps().map_err(|e| {
            OpenError::Settings(format!("camera.device = \"{name}\" is no camera ({e})"))
        })?;
        if !caps.capabilities.contains(Can::VIDEO_CAPTURE) {
            return Err(OpenError::Settings(format!(
                "camera.device = \"{name}\" ({}) captures no pictures: v4l2-ctl --list-devices shows which one does",
                caps.card
            )));
        }
        let (format, stride) = negotiate(&handle, spec)?;
        // A camera without a rate keeps its own.
        if let Err(e) = handle.set_params(&Parameters::with_fps(spec.rate_hz.max(1))) {
            log::warn!("{name}: keeps its own rate ({e})");
        }
        for (control, value) in &spec.controls {
            set_control(&handle, spec, control, *value)?;
        }
        let mut stream = Stream::with_buffers(&handle, Type::VideoCapture, BUFFERS)
            .map_err(|e| absent(spec, &e))?;
        stream.set_timeout(PATIENCE);
        let (width, height) = spec.size;
        log::info!("{name}: {}, {width} x {height} {format}", caps.card);
        Ok(Self {
            stream: Some(stream),
            format,
            stride,
            clock,
        })
    }

    /// The driver's stamp on our clock; `None` when it stamps by another one.
    fn stamp(&self, meta: &Metadata) -> Option<MonoTime> {
        let kind = meta.flags & Flags::TIMESTAMP_MASK;
        if kind != Flags::TIMESTAMP_MONOTONIC {
            return None;
        }
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
        let nanos = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        let stamp = nanos(meta.timestamp.sec, meta.timestamp.usec.saturating_mul(1000));
        let age = nanos(now.tv_sec(), now.tv_nsec()).saturating_sub(stamp);
        Some(MonoTime::from_nanos(self.clock.now().as_nanos() - age))
    }
}

impl std::fmt::Debug for V4lCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("V4lCamera")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Device for V4lCamera {
    fn grab(&mut self, into: &mut RgbImage) -> Result<Grabbed, GrabError> {
        let (format, stride) = (self.format, self.stride);
        let Some(stream) = &mut self.stream else {
            return Err(GrabError::Lost("closed".to_owned()));
        };
        // After an error the driver's queue is in doubt: it is opened anew.
        let (bytes, meta) = stream.next().map_err(|e| {
            GrabError::Lost(match e.kind() {
                io::ErrorKind::TimedOut => format!("no picture for {} s", PATIENCE.as_secs()),
                _ if e.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32) => {
                    "unplugged".to_owned()
                }
                _ => e.to_string(),
            })
        })?;
        let meta = *meta;
        if meta.flags.contains(Flags::ERROR) {
            return Err(GrabError::Bad(
                "the driver marks a picture as damaged".to_owned(),
            ));
        }
        let used = bytes.get(..meta.bytesused as usize).unwrap_or(bytes);
        decode_into(format, used, stride, into).map_err(|e| GrabError::Bad(e.to_string()))?;
        Ok(Grabbed {
            captured_at: self.stamp(&meta),
            sequence: Some(meta.sequence),
        })
    }
}

impl Drop for V4lCamera {
    fn drop(&mut self) {
        // The library panics when a camera that is half gone cannot be stopped.
        let stream = self.stream.take();
        if catch_unwind(AssertUnwindSafe(|| drop(stream))).is_err() {
            log::warn!("the camera could not be stopped in an orderly way");
        }
    }
}

fn absent(spec: &V4lSpec, e: &io::Error) -> OpenError {
    let name = spec.device.display();
    let text = match e.kind() {
        io::ErrorKind::NotFound => format!(
            "camera.device = \"{name}\": there is no such camera: plug it in, or see v4l2-ctl --list-devices"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "camera.device = \"{name}\": no permission: add the user to the group video (usermod -aG video USER)"
        ),
        io::ErrorKind::ResourceBusy => format!(
            "camera.device = \"{name}\" is busy: another program has it (fuser {name} shows which)"
        ),
        _ => format!("camera.device = \"{name}\": {e}"),
    };
    OpenError::Absent(text)
}

/// Format and row length that the driver agreed to.
fn negotiate(handle: &Handle, spec: &V4lSpec) -> Result<(RawFormat, usize), OpenError> {
    let (width, height) = spec.size;
    let wanted = match &spec.format {
        Some(format) => vec![*format],
        None => RawFormat::ALL.to_vec(),
    };
    for format in wanted {
        let asked = Format::new(width, height, FourCC::new(&format.fourcc()));
        let got = match handle.set_format(&asked) {
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => return Err(absent(spec, &e)),
            Err(_) => continue,
        };
        if got.fourcc == asked.fourcc && (got.width, got.height) == spec.size {
            return Ok((format, got.stride as usize));
        }
    }
    let format = spec.format.map_or("auto", RawFormat::name);
    Err(OpenError::Settings(format!(
        "camera: {} offers no {format} picture of {width} x {height} (camera.width_px, height_px, format). It offers: {}",
        spec.device.display(),
        offers(handle)
    )))
}

fn offers(handle: &Handle) -> String {
    let mut lines = Vec::new();
    for format in handle.enum_formats().unwrap_or_default() {
        let sizes = handle.enum_framesizes(format.fourcc).unwrap_or_default();
        let sizes: Vec<_> = sizes.iter().map(|s| s.size.to_string()).collect();
        lines.push(format!("{} {}", format.fourcc, sizes.join(" ")));
    }
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines.join("; ")
}

/// `Exposure Time, Absolute` -> `exposure_time_absolute`, as `v4l2-ctl` has it.
fn control_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|w| !w.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

fn set_control(handle: &Handle, spec: &V4lSpec, name: &str, value: i64) -> Result<(), OpenError> {
    let key = format!("camera.controls.{name} = {value}");
    // The library panics on kinds of controls that it does not know.
    let known = catch_unwind(AssertUnwindSafe(|| handle.query_controls()));
    let known = known.ok().and_then(Result::ok).unwrap_or_default();
    let Some(control) = known.iter().find(|c| control_name(&c.name) == name) else {
        let names: Vec<_> = known.iter().map(|c| control_name(&c.name)).collect();
        return Err(OpenError::Settings(format!(
            "{key}: {} has no such control; it has {}",
            spec.device.display(),
            names.join(", ")
        )));
    };
    if !(control.minimum..=control.maximum).contains(&value) {
        return Err(OpenError::Settings(format!(
            "{key} is outside {}..={}: set it inside that range",
            control.minimum, control.maximum
        )));
    }
    let value = match control.typ {
        v4l::control::Type::Boolean => Value::Boolean(value != 0),
        _ => Value::Integer(value),
    };
    let id = control.id;
    handle
        .set_control(Control { id, value })
        .map_err(|e| OpenError::Settings(format!("{key}: the camera refuses it ({e})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(device: &str) -> V4lSpec {
        V4lSpec {
            device: device.into(),
            format: None,
            size: (640, 480),
            rate_hz: 10,
            controls: BTreeMap::new(),
        }
    }

    #[test]
    fn a_camera_that_is_not_there_or_is_none_says_so() {
        let open = |device| V4lCamera::open(&spec(device), SystemClock::start()).unwrap_err();
        let OpenError::Absent(text) = open("/dev/video-none") else {
            panic!("it may come");
        };
        assert!(
            text.contains("/dev/video-none") && text.contains("plug it in"),
            "{text}"
        );
        let OpenError::Settings(text) = open("/dev/null") else {
            panic!("it will never be one");
        };
        assert!(text.contains("no camera"), "{text}");
    }

    #[test]
    fn controls_are_named_as_the_tools_name_them() {
        assert_eq!(
            control_name("Exposure Time, Absolute"),
            "exposure_time_absolute"
        );
        assert_eq!(
            control_name("White Balance Temperature, Auto"),
            "white_balance_temperature_auto"
        );
    }
}
