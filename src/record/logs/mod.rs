//! Other people's flight logs: where the vehicle was while a video was taken.
//!
//! One type for all kinds, told apart by their content:
//!
//! - `.tlog` of ground stations: `MAVLink` frames with the time of arrival (`tlog`);
//! - `ArduPilot`'s dataflash `.BIN` (`dataflash`);
//! - PX4's `.ulg` (`ulog`);
//! - DJI's `.srt` subtitles (`srt`).
//!
//! Every reader turns what it finds into the messages of an autopilot, and the same decoder that flies believes them or not.
//! A log that is cut is used as far as it reads.

mod collect;
mod dataflash;
mod srt;
mod tlog;
mod ulog;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::time::MonoTime;
use crate::vehicle::{Pose, PoseUnavailable, VehicleHistory};
use collect::Collected;

/// The kinds of logs that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// A ground station's `MAVLink` log.
    Tlog,
    /// `ArduPilot`'s dataflash log.
    DataFlash,
    /// PX4's `ULog`.
    ULog,
    /// DJI's subtitles.
    Srt,
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tlog => "MAVLink log (.tlog)",
            Self::DataFlash => "ArduPilot log (.BIN)",
            Self::ULog => "PX4 log (.ulg)",
            Self::Srt => "DJI subtitles (.srt)",
        })
    }
}

/// What a log does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// How the vehicle was turned; [`TelemetryLog::pose_at`] gives level, nose to the north.
    pub attitude: bool,
    /// Where it was; [`TelemetryLog::pose_at`] gives the origin.
    pub position: bool,
    /// How high it was over the ground; [`TelemetryLog::pose_at`] gives zero.
    pub height: bool,
}

/// Why a log is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It could not be read.
    #[error("{path}: {source}; give --telemetry an existing .tlog, .BIN, .ulg or .srt file")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It holds nothing at all.
    #[error("{path}: is empty; give --telemetry a log of the flight itself")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// No kind that is read.
    #[error(
        "{path}: not a telemetry log that can be read; give --telemetry a .tlog, ArduPilot .BIN, PX4 .ulg or DJI .srt file"
    )]
    UnknownKind {
        /// Which file.
        path: PathBuf,
    },
    /// Of a known kind, but it says nothing of use.
    #[error("{path}: {kind} {reason}; give --telemetry a log of the flight itself")]
    Nothing {
        /// Which file.
        path: PathBuf,
        /// Its kind.
        kind: LogKind,
        /// What is wrong.
        reason: String,
    },
}

/// A pose out of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogPose {
    /// The pose.
    pub pose: Pose,
    /// Counts the origins: poses of different ones cannot be put in relation.
    pub epoch: usize,
}

/// A whole log, for any moment of it. Moments count from the log's start.
#[derive(Debug)]
pub struct TelemetryLog {
    kind: LogKind,
    /// Each with the moment from which on it holds.
    stretches: Vec<(MonoTime, VehicleHistory)>,
    span: (MonoTime, MonoTime),
    missing: Missing,
    unix_start_s: Option<f64>,
    focal_35mm_mm: Option<f64>,
    notes: Vec<String>,
}

impl TelemetryLog {
    /// Reads a log of any kind.
    ///
    /// # Errors
    /// When it cannot be read, is of no kind that is read, or says nothing of use.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let bytes = std::fs::read(path).map_err(|source| LogError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let (kind, read) = Self::read(path, &bytes)?;
        let nothing = |reason: String| LogError::Nothing {
            path: path.to_owned(),
            kind,
            reason,
        };
        read.and_then(|collected| Self::build(kind, collected))
            .map_err(nothing)
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<(LogKind, Result<Collected, String>), LogError> {
        if bytes.is_empty() {
            return Err(LogError::Empty {
                path: path.to_owned(),
            });
        }
        if dataflash::is_it(bytes) {
            Ok((LogKind::DataFlash, Ok(dataflash::read(bytes))))
        } else if ulog::is_it(bytes) {
            Ok((LogKind::ULog, ulog::read(path)))
        } else if srt::is_it(bytes) {
            Ok((LogKind::Srt, Ok(srt::read(bytes))))
        } else if tlog::is_it(bytes) {
            Ok((LogKind::Tlog, Ok(tlog::read(bytes))))
        } else {
            Err(LogError::UnknownKind {
                path: path.to_owned(),
            })
        }
    }

    fn build(kind: LogKind, mut collected: Collected) -> Result<Self, String> {
        let missing = collected.fill_missing();
        let span = collected
            .span()
            .filter(|_| !(missing.position && missing.height))
            .ok_or("holds neither a position nor a height")?;
        Ok(Self {
            kind,
            span,
            missing,
            unix_start_s: collected.unix_start_s,
            focal_35mm_mm: collected.focal_35mm_mm,
            notes: std::mem::take(&mut collected.notes),
            stretches: collected.stretches(),
        })
    }

    /// What kind of log it is.
    #[must_use]
    pub fn kind(&self) -> LogKind {
        self.kind
    }

    /// From the first pose to the last.
    #[must_use]
    pub fn span(&self) -> (MonoTime, MonoTime) {
        self.span
    }

    /// Seconds since 1970 (UTC) of the log's start, if it knows.
    #[must_use]
    pub fn unix_start_s(&self) -> Option<f64> {
        self.unix_start_s
    }

    /// The lens's 35 mm equivalent focal length, millimetres, if it is told.
    #[must_use]
    pub fn focal_35mm_mm(&self) -> Option<f64> {
        self.focal_35mm_mm
    }

    /// What it does not say.
    #[must_use]
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// What the user should know: where it was cut, what was not believed.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The pose at `t`, interpolated between the samples on both sides.
    ///
    /// # Errors
    /// Which stream has no sample near enough.
    pub fn pose_at(&self, t: MonoTime) -> Result<LogPose, PoseUnavailable> {
        let after = self.stretches.partition_point(|(from, _)| *from <= t);
        let epoch = after.saturating_sub(1);
        let (_, history) = self
            .stretches
            .get(epoch)
            .ok_or(PoseUnavailable::NeverReceived {
                stream: crate::vehicle::Stream::Position,
            })?;
        // Everything in the log is known: the present is whenever it is asked.
        Ok(LogPose {
            pose: history.pose_at(t, t)?,
            epoch,
        })
    }
}

#[cfg(test)]
mod tests;
