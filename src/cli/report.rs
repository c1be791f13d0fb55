//! `alight report`: the page of a flight that the service recorded.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use serde::de::DeserializeOwned;

use super::{Failure, output};
use crate::record::{DecisionLine, EventLine, Provenance, Tally};
use crate::view::report::{self, FrameRow, ReportInput};

/// Writes the HTML report of a flight: its events, decisions, reasons and latencies, in one file that stands alone.
///
/// RECORDING is a folder that `alight run` wrote: that of --out, or a numbered one in record.folder. A line that was torn
/// when the power went is passed over and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight report /var/lib/alight/flights/000012
  alight report out/sitl --out sitl.html")]
pub(super) struct Args {
    /// Folder with decisions.jsonl and events.jsonl.
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,
    /// File to write; report.html in the folder unless set.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Exit code 2: nothing usable in the folder; 1: the report cannot be written.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = &args.recording;
    let (lines, torn) = read::<DecisionLine>(&folder.join("decisions.jsonl"))
        .map_err(|e| Failure::Input(anyhow!("{e}{}", runs_in(folder))))?;
    let (events, torn_events) = match read::<EventLine>(&folder.join("events.jsonl")) {
        Ok(read) => read,
        Err(e) => {
            log::warn!("{e}; the report has no events");
            (Vec::new(), 0)
        }
    };
    if lines.is_empty() && events.is_empty() {
        return Err(Failure::Input(anyhow!(
            "{}: holds no decision and no event: the flight ended before anything happened",
            folder.display()
        )));
    }
    let mut tally = Tally::new(provenance(folder));
    for _ in 0..torn + torn_events {
        tally.warned("a line of the record is torn, and was passed over".to_owned());
    }
    let rows: Vec<_> = lines
        .into_iter()
        .map(|line| {
            tally.decided(&line);
            FrameRow {
                line,
                thumbnail: None,
            }
        })
        .collect();
    let summary = tally.finish(lasted(&rows, &events));
    let file = args.out.clone();
    let file = file.unwrap_or_else(|| folder.join("report.html"));
    let input = ReportInput {
        events: &events,
        title: &folder.display().to_string(),
        date: "",
        frames: &rows,
        summary: &summary,
        map: None,
        settings: "",
    };
    let made = File::create(&file).and_then(|f| report::write(&input, BufWriter::new(f)));
    output::written(made, &file)?;
    log::info!(
        "{} frames, {} events, {} torn lines -> {}",
        rows.len(),
        events.len(),
        torn + torn_events,
        file.display()
    );
    Ok(())
}

/// The lines of a file that can be read, and how many cannot.
fn read<T: DeserializeOwned>(file: &Path) -> Result<(Vec<T>, u64), anyhow::Error> {
    let opened = File::open(file).map_err(|e| anyhow!("{}: {e}", file.display()))?;
    let (mut lines, mut torn) = (Vec::new(), 0);
    for line in BufReader::new(opened).split(b'\n') {
        let line = line.map_err(|e| anyhow!("{}: {e}", file.display()))?;
        match serde_json::from_slice(&line) {
            Ok(read) => lines.push(read),
            Err(e) => {
                log::warn!("{}: {e}; a line is passed over", file.display());
                torn += 1;
            }
        }
    }
    Ok((lines, torn))
}

/// What to do when the folder is an archive of runs, or something else.
fn runs_in(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let newest = entries
        .map(|e| e.path())
        .filter(|p| p.join("decisions.jsonl").exists())
        .max();
    newest.map_or_else(
        || "; name a folder that `alight run` wrote".to_owned(),
        |run| {
            format!(
                "; name one run of the archive, for instance {}",
                run.display()
            )
        },
    )
}

/// Of `run.json`; what is not there is said to be unknown.
fn provenance(folder: &Path) -> Provenance {
    let text = std::fs::read(folder.join("run.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_else(|_| Provenance {
        alight: "of unknown version".to_owned(),
        input: folder.display().to_string(),
        model: "unknown".to_owned(),
        ..Provenance::default()
    })
}

/// From the first to the last thing that was written.
fn lasted(rows: &[FrameRow], events: &[EventLine]) -> Duration {
    let times = || {
        let frames = rows.iter().map(|r| r.line.captured_at_s);
        frames
            .chain(events.iter().map(|e| e.at_s))
            .filter(|t| t.is_finite())
    };
    let span_s = times().fold(0.0, f64::max) - times().fold(f64::INFINITY, f64::min);
    Duration::try_from_secs_f64(span_s).unwrap_or_default()
}
