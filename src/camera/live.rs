//! A camera in real time: opened, read, and opened again when it is lost.
//!
//! Pictures go into memory that goes round. What cannot be used is passed over with its reason; nobody downstream ever sees
//! a torn picture, and silence is for the watchdog to judge.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::never;
use image::RgbImage;

use super::{Frame, FrameSource, SourceEvent};
use crate::time::{Clock as _, MonoTime, SystemClock};

/// A device brings a picture within this, or is opened anew.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The first wait before a lost device is opened again; each further one is twice as long.
const RETRY: Duration = Duration::from_millis(500);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(4);
/// One wait at most, so that a stop is seen.
const BEAT: Duration = Duration::from_millis(100);
/// A stamp from the driver that is older than this, or lies in the future, is none.
const STAMP_MAX_AGE_S: f64 = 2.0;

/// What came with a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grabbed {
    /// Mid-exposure, as the driver says.
    pub captured_at: Option<MonoTime>,
    /// The driver's own count of pictures; gaps are pictures that were lost before us.
    pub sequence: Option<u32>,
}

/// Why no picture came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrabError {
    /// This one cannot be used; the next may.
    Bad(String),
    /// The device must be opened again.
    Lost(String),
}

/// An open camera.
pub trait Device: Send {
    /// Waits for the next picture, at most [`PATIENCE`], and writes it into `into`, which has the configured size.
    ///
    /// # Errors
    /// [`GrabError`].
    fn grab(&mut self, into: &mut RgbImage) -> Result<Grabbed, GrabError>;
}

/// Why a camera cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The settings are wrong: it will never open.
    #[error("{0}")]
    Settings(String),
    /// It is not there, busy, or not ours: it may open later.
    #[error("{0}")]
    Absent(String),
}

/// Opens the configured camera.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Device>, OpenError> + Send>;

/// How a live camera is run.
pub struct LiveSpec {
    /// Its name for people.
    pub name: Arc<str>,
    /// Opens it.
    pub opener: Opener,
    /// Width and height of its pictures, pixels.
    pub size: (u32, u32),
    /// From exposure to arrival, where the driver stamps nothing.
    pub latency: Duration,
    /// Pictures that go round.
    pub pictures: usize,
}

/// A camera as a source of frames that never ends.
pub struct LiveCamera {
    spec: LiveSpec,
    clock: SystemClock,
    device: Option<Box<dyn Device>>,
    pictures: Vec<Arc<RgbImage>>,
    /// Index of the next frame.
    seq: u64,
    /// The driver's count of the last one.
    last: Option<u32>,
    retry_at: MonoTime,
    retry: Duration,
    /// Why it is not open.
    trouble: String,
}

impl std::fmt::Debug for LiveCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCamera")
            .field("name", &self.spec.name)
            .field("seq", &self.seq)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl LiveCamera {
    /// Takes all memory and tries to open the camera. One that is absent is tried again later.
    ///
    /// # Errors
    /// [`OpenError::Settings`] when it will never open.
    pub fn new(spec: LiveSpec, clock: SystemClock) -> Result<Self, OpenError> {
        let (width, height) = spec.size;
        let mut camera = Self {
            device: None,
            pictures: (0..spec.pictures)
                .map(|_| Arc::new(RgbImage::new(width, height)))
                .collect(),
            seq: 0,
            last: None,
            retry_at: clock.now(),
            retry: RETRY,
            trouble: String::new(),
            clock,
            spec,
        };
        match (camera.spec.opener)() {
            Ok(device) => camera.device = Some(device),
            Err(OpenError::Absent(why)) => {
                log::error!("{why}; trying again until it is there");
                camera.trouble = why;
            }
            Err(wrong) => return Err(wrong),
        }
        Ok(camera)
    }

    fn skip(&self, reason: &str) -> SourceEvent {
        SourceEvent::Skipped {
            seq: self.seq.saturating_sub(1),
            source: Arc::clone(&self.spec.name),
            reason: reason.to_owned(),
        }
    }

    fn open(&mut self) {
        let now = self.clock.now();
        if now < self.retry_at {
            // Nothing comes on this channel: it is the wait.
            let _ = never::<()>().recv_timeout(self.retry_at.since(now).min(BEAT));
            return;
        }
        match (self.spec.opener)() {
            Ok(device) => {
                log::info!("{}: opened again", self.spec.name);
                (self.device, self.last, self.retry) = (Some(device), None, RETRY);
            }
            Err(e) => {
                self.trouble = e.to_string();
                self.retry_at = self.clock.now().after(self.retry);
                self.retry = (2 * self.retry).min(RETRY_MAX);
            }
        }
    }

    fn grab(&mut self) -> Result<(Arc<RgbImage>, Grabbed), GrabError> {
        let free = self.pictures.iter().position(|p| Arc::strong_count(p) == 1);
        let slot = free.and_then(|i| self.pictures.get_mut(i));
        let (Some(slot), Some(device)) = (slot, &mut self.device) else {
            let _ = never::<()>().recv_timeout(BEAT);
            return Err(GrabError::Bad("every picture is still in use".to_owned()));
        };
        let Some(picture) = Arc::get_mut(slot) else {
            return Err(GrabError::Bad("every picture is still in use".to_owned()));
        };
        let grabbed = device.grab(picture)?;
        Ok((Arc::clone(slot), grabbed))
    }

    /// The driver's stamp where it makes sense, else the arrival less the latency.
    fn stamp(&self, grabbed: Grabbed) -> MonoTime {
        let now = self.clock.now();
        let makes_sense = |at: &MonoTime| (0.0..=STAMP_MAX_AGE_S).contains(&now.secs_since(*at));
        let latency = MonoTime::from_nanos(now.as_nanos() - self.spec.latency.as_nanos() as i64);
        grabbed.captured_at.filter(makes_sense).unwrap_or(latency)
    }

    /// Counts on, over what the driver lost.
    fn count(&mut self, sequence: Option<u32>) -> u64 {
        let lost = match (self.last, sequence) {
            (Some(last), Some(now)) => now.wrapping_sub(last).saturating_sub(1),
            _ => 0,
        };
        self.last = sequence;
        // A driver that counts anew has lost nothing.
        let lost = if lost < 1000 { lost } else { 0 };
        let seq = self.seq + u64::from(lost);
        self.seq = seq + 1;
        seq
    }
}

impl FrameSource for LiveCamera {
    fn next_event(&mut self) -> SourceEvent {
        if self.device.is_none() {
            self.open();
            if self.device.is_none() {
                return self.skip(&self.trouble);
            }
        }
        match self.grab() {
            Ok((image, grabbed)) => SourceEvent::Frame(Frame {
                captured_at: self.stamp(grabbed),
                seq: self.count(grabbed.sequence),
                source: Arc::clone(&self.spec.name),
                image,
                tag: None,
            }),
            Err(GrabError::Bad(why)) => self.skip(&why),
            Err(GrabError::Lost(why)) => {
                self.device = None;
                self.retry_at = self.clock.now().after(self.retry);
                self.trouble = format!("{}: {why}", self.spec.name);
                self.skip(&self.trouble)
            }
        }
    }

    fn len_hint(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Plays what it is given.
    struct Script(VecDeque<Result<Grabbed, GrabError>>);

    impl Device for Script {
        fn grab(&mut self, into: &mut RgbImage) -> Result<Grabbed, GrabError> {
            into.fill(9);
            self.0
                .pop_front()
                .unwrap_or_else(|| Err(GrabError::Lost("unplugged".to_owned())))
        }
    }

    /// Pictures with these numbers, one after the other.
    fn pictures(numbers: &[u32]) -> Vec<Result<Grabbed, GrabError>> {
        let numbered = numbers.iter().map(|n| Grabbed {
            captured_at: None,
            sequence: Some(*n),
        });
        numbered.map(Ok).collect()
    }

    type Opening = Result<Vec<Result<Grabbed, GrabError>>, OpenError>;

    fn camera(openings: Vec<Opening>) -> Result<LiveCamera, OpenError> {
        let mut openings = VecDeque::from(openings);
        let gone = || Err(OpenError::Absent("no camera".to_owned()));
        let spec = LiveSpec {
            name: Arc::from("cam"),
            opener: Box::new(move || {
                let script = openings.pop_front().unwrap_or_else(gone)?;
                Ok(Box::new(Script(script.into())) as Box<dyn Device>)
            }),
            size: (4, 2),
            latency: Duration::from_millis(30),
            pictures: 2,
        };
        LiveCamera::new(spec, SystemClock::start())
    }

    fn text(event: &SourceEvent) -> String {
        match event {
            SourceEvent::Frame(f) => format!("frame {}", f.seq),
            SourceEvent::Skipped { reason, .. } => reason.clone(),
            SourceEvent::End { .. } => "end".to_owned(),
        }
    }

    #[test]
    fn lost_pictures_are_counted_and_bad_ones_passed_over() {
        let bad = Err(GrabError::Bad("torn".to_owned()));
        let script = [pictures(&[7, 8]), vec![bad], pictures(&[11, 3])].concat();
        let mut camera = camera(vec![Ok(script)]).unwrap();
        let said: Vec<_> = (0..5).map(|_| text(&camera.next_event())).collect();
        // 9 and 10 never came; a driver that counts anew lost nothing.
        assert_eq!(said, ["frame 0", "frame 1", "torn", "frame 4", "frame 5"]);
    }

    #[test]
    fn what_is_unplugged_comes_back() {
        let absent = Err(OpenError::Absent("no such device".to_owned()));
        let mut camera = camera(vec![Ok(pictures(&[1])), absent, Ok(pictures(&[1]))]).unwrap();
        assert_eq!(text(&camera.next_event()), "frame 0");
        assert_eq!(text(&camera.next_event()), "cam: unplugged");
        let until = camera.clock.now().after(Duration::from_secs(5));
        let mut said = Vec::new();
        while said.last().is_none_or(|s| s != "frame 1") && camera.clock.now() < until {
            said.push(text(&camera.next_event()));
        }
        assert!(said.contains(&"no such device".to_owned()), "{said:?}");
        assert_eq!(said.last().unwrap(), "frame 1");
    }

    #[test]
    fn pictures_in_use_are_not_written_over() {
        let mut camera = camera(vec![Ok(pictures(&[1, 2, 3]))]).unwrap();
        let held = [camera.next_event(), camera.next_event()];
        assert_eq!(text(&camera.next_event()), "every picture is still in use");
        drop(held);
        assert_eq!(text(&camera.next_event()), "frame 2");
    }

    #[test]
    fn wrong_settings_never_open_and_an_absent_camera_may() {
        let wrong = OpenError::Settings("no such format".to_owned());
        assert_eq!(camera(vec![Err(wrong.clone())]).unwrap_err(), wrong);
        let absent = OpenError::Absent("no camera".to_owned());
        let mut camera = camera(vec![Err(absent), Ok(pictures(&[1]))]).unwrap();
        assert_eq!(text(&camera.next_event()), "frame 0");
    }

    #[test]
    fn a_stamp_that_makes_no_sense_is_not_believed() {
        let camera = camera(vec![Ok(vec![])]).unwrap();
        let now = camera.clock.now();
        let stamp = |captured_at| {
            let grabbed = Grabbed {
                captured_at,
                sequence: None,
            };
            camera.clock.now().secs_since(camera.stamp(grabbed))
        };
        let near = |age: f64, want: f64| assert!((age - want).abs() < 0.02, "{age}");
        let before = |s: f64| Some(MonoTime::from_secs_f64(now.as_secs_f64() - s));
        near(stamp(before(0.5)), 0.5);
        near(stamp(before(-1.0)), 0.03);
        near(stamp(before(60.0)), 0.03);
        near(stamp(None), 0.03);
    }
}
