//! `--telemetry`: a flight log beside the pictures, and how its clock is lined up with theirs.

use std::path::Path;

use anyhow::anyhow;

use super::super::Failure;
use crate::camera::{self, Frame};
use crate::geometry::CameraMount;
use crate::pipeline::{KnownPose, Whereabouts};
use crate::record::TelemetryUse;
use crate::record::logs::{LogKind, Missing, TelemetryLog};
use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, HeightSource};

/// Heights below this are none to measure the ground from, metres.
const MIN_HEIGHT_M: f64 = 0.5;

/// What the user and the source say of the pictures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pictures<'a> {
    /// The source.
    pub(super) source: &'a Path,
    /// Frames that will come, if known.
    pub(super) frames: Option<u64>,
    /// `--fps`: for folders.
    pub(super) fps: f64,
    /// `--height`.
    pub(super) height_m: Option<f64>,
}

/// An open log, lined up.
pub(super) struct Telemetry {
    log: TelemetryLog,
    height_m: Option<f64>,
    epoch: Option<usize>,
    used: TelemetryUse,
}

impl Telemetry {
    /// Reads the log, lines the clocks up, and says how.
    ///
    /// # Errors
    /// `Input`: not readable, without a height that `--height` would give, or without overlap with the pictures.
    pub(super) fn open(
        file: &Path,
        offset_s: Option<f64>,
        pictures: Pictures<'_>,
    ) -> Result<Self, Failure> {
        let log = TelemetryLog::open(file).map_err(Failure::input)?;
        if log.missing().height && pictures.height_m.is_none() {
            return Err(Failure::Input(anyhow!(
                "{}: {} holds no height above ground: give --height METRES",
                file.display(),
                log.kind()
            )));
        }
        let (clocks, offset_s) = line_up(&log, offset_s, pictures.source);
        let (from, to) = log.span();
        let used = TelemetryUse {
            file: file.display().to_string(),
            kind: log.kind().to_string(),
            covers_s: [from, to].map(|t| round(t.as_secs_f64())),
            offset_s: round(offset_s),
            clocks,
            assumed: assumed(&log, pictures.height_m),
            placed: 0,
            not_placed: 0,
        };
        overlap(&used, pictures)?;
        say(&log, &used);
        Ok(Self {
            log,
            height_m: pictures.height_m,
            epoch: None,
            used,
        })
    }

    /// The lens by the log, millimetres of 35 mm film.
    pub(super) fn focal_35mm_mm(&self) -> Option<f64> {
        self.log.focal_35mm_mm()
    }

    /// What the log itself warns of.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let file = &self.used.file;
        self.log.notes().iter().map(move |n| format!("{file}: {n}"))
    }

    /// Where a frame was taken.
    pub(super) fn whereabouts(&mut self, frame: &Frame) -> Whereabouts {
        let at_s = frame.captured_at.as_secs_f64() + self.used.offset_s;
        let found = match self.log.pose_at(MonoTime::from_secs_f64(at_s)) {
            Ok(found) => found,
            Err(why) => {
                self.used.not_placed += 1;
                return Whereabouts::Missing(format!("no pose in the flight log: {why}"));
            }
        };
        let mut pose = found.pose;
        if let Some(metres) = self.height_m {
            pose.height_above_ground = HeightAboveGround {
                metres,
                sd_m: 0.0,
                source: HeightSource::Given,
            };
        }
        let metres = pose.height_above_ground.metres;
        if metres.is_nan() || metres < MIN_HEIGHT_M {
            self.used.not_placed += 1;
            return Whereabouts::Missing(format!(
                "the flight log's height {metres:.1} m is no height above ground"
            ));
        }
        self.used.placed += 1;
        if by_pictures(self.log.missing()) {
            return Whereabouts::Height(pose.height_above_ground);
        }
        // The pose describes the frame, in the frame's own time.
        pose.at = frame.captured_at;
        let new_map = self.epoch.replace(found.epoch) != Some(found.epoch);
        Whereabouts::Pose {
            known: KnownPose {
                pose,
                mount: CameraMount::nadir(),
            },
            new_map,
        }
    }

    /// What became of it.
    pub(super) fn used(&self) -> TelemetryUse {
        self.used.clone()
    }
}

/// Without attitude or position, where the log says the vehicle was does not fit what the picture shows.
fn by_pictures(missing: Missing) -> bool {
    missing.attitude || missing.position
}

/// How the clocks are lined up, in words, and log time minus video time.
fn line_up(log: &TelemetryLog, offset_s: Option<f64>, source: &Path) -> (String, f64) {
    if let Some(s) = offset_s {
        return (
            format!("log time = video time {s:+.3} s, as given by --offset"),
            s,
        );
    }
    if log.kind() == LogKind::Srt {
        let words = "the subtitles count from the start of the video";
        return (words.to_owned(), 0.0);
    }
    let start = camera::recorded(source).start_unix_s;
    if let (Some(video_s), Some(log_s)) = (start, log.unix_start_s()) {
        let s = video_s - log_s;
        let words = format!(
            "log time = video time {s:+.3} s, by the time of recording in the video's or picture's header, good to the \
             second and only if the camera's clock was right; --offset S says better"
        );
        return (words, s);
    }
    let who = match (start, log.unix_start_s()) {
        (None, None) => "neither the pictures nor the log know",
        (None, _) => "the pictures do not know",
        _ => "the log does not know",
    };
    let words = format!(
        "start of the log = start of the pictures, a guess, as {who} the time of day; --offset S says better"
    );
    (words, 0.0)
}

/// What is taken for what the log does not say.
fn assumed(log: &TelemetryLog, height_m: Option<f64>) -> Vec<String> {
    let missing = log.missing();
    let mut all = Vec::new();
    if missing.attitude {
        all.push(
            "no attitude in the log: level and straight down, the way over the ground from the pictures",
        );
    } else if missing.position {
        all.push(
            "no position in the log: level and straight down, the way over the ground from the pictures",
        );
    } else if log.kind() == LogKind::Srt {
        all.push("the camera is turned as the gimbal says");
    } else {
        all.push("the camera is fixed to the vehicle, straight down, the top of the picture towards the nose");
    }
    let height = height_m.map(|m| format!("the height is {m} m, by --height"));
    all.into_iter().map(str::to_owned).chain(height).collect()
}

/// Refuses a log of another time than the pictures'.
fn overlap(used: &TelemetryUse, pictures: Pictures<'_>) -> Result<(), Failure> {
    let length_s = if camera::is_pictures(pictures.source) {
        pictures
            .frames
            .map(|n| n.saturating_sub(1) as f64 / pictures.fps)
    } else {
        camera::recorded(pictures.source).length_s
    };
    let [from, to] = used.covers_s;
    let start = used.offset_s;
    let end = length_s.map_or(f64::INFINITY, |l| start + l);
    if start <= to && end >= from {
        return Ok(());
    }
    let end = length_s.map_or_else(String::new, |l| format!(" to {:.1}", start + l));
    Err(Failure::Input(anyhow!(
        "{}: the log covers {from:.1} to {to:.1} s of its own time, the pictures lie at {start:.1}{end} s of it: they do \
         not overlap ({}); give --offset SECONDS (log time minus video time), or the log of this flight",
        used.file,
        used.clocks
    )))
}

fn say(log: &TelemetryLog, used: &TelemetryUse) {
    let [from, to] = used.covers_s;
    log::info!(
        "{}: {}, {from:.1} to {to:.1} s; clocks: {}",
        used.file,
        log.kind(),
        used.clocks
    );
    for assumed in &used.assumed {
        log::info!("{}: {assumed}", used.file);
    }
}

/// To the millisecond.
fn round(s: f64) -> f64 {
    (s * 1e3).round() / 1e3
}
