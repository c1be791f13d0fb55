//! What was decided, on disk: `decisions.jsonl`, a line a frame, and `summary.json`, a run in one object.
//!
//! This module turns decisions into the form that other programs rely on and writes it; it decides nothing. Every line
//! is handed to the operating system before the next frame is looked at, so a process that dies loses nothing that it
//! had decided. Numbers are rounded to what they mean (millimetres, hundredths of pixels, four decimals of a belief);
//! a number that is not finite is written as `null`.

mod archive;
mod campaign;
mod decisions;
mod flights;
pub mod logs;
mod summary;

use std::path::{Path, PathBuf};

pub use archive::begin_run;
pub use campaign::{CampaignProvenance, CampaignSummary, DialectSummary, Failed, Rate};
pub use decisions::{DecisionLine, DecisionWriter, OutcomeKind, SiteLine, SiteStateKind};
pub use flights::{
    EventLine, FaultLine, FlightLine, FlightResult, FlightWriter, StartLine, TakeoverLine,
    TouchdownLine, TrackPoint,
};
pub use summary::{Provenance, SkippedFrame, Spread, Summary, Tally, TelemetryUse};

/// Why something could not be put on disk.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be made, written or replaced.
    #[error("cannot write {}: {source}; check that the folder exists, may be written and has space left", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RecordError {
    /// Whether the disk is full: no fault of the settings, and no reason not to fly.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let Self::Write { source, .. } = self;
        matches!(source.kind(), StorageFull | QuotaExceeded)
    }

    fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// `value` to `decimals` places; not-a-number and infinities stay what they are.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    let scaled = value * scale;
    // Beyond 2^53 there are no decimals left to round, and the product may overflow.
    if scaled.abs() < 9e15 {
        // Adding zero turns the -0 of tiny negative numbers into 0.
        scaled.round() / scale + 0.0
    } else {
        value
    }
}

/// Reads a number that was written as `null` because it was not finite.
fn number_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    use serde::Deserialize as _;
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}
