//! Everything that a replay leaves on disk: decisions as they are made, overlays, and at the end summary and report.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::super::{Failure, output};
use crate::camera::Frame;
use crate::landing::MapSnapshot;
use crate::pipeline::Step;
use crate::record::{
    DecisionLine, DecisionWriter, OutcomeKind, Provenance, SkippedFrame, Tally, TelemetryUse,
};
use crate::view::overlay::{Overlay, OverlayInput};
use crate::view::report::{self, FrameRow, ReportInput, ReportMap};
use crate::view::thumbnail;

/// Width of the pictures in the report, pixels.
const THUMBNAIL_WIDTH: u32 = 320;
/// Thumbnails kept in memory; the report shows fewer. Longer runs keep every second, fourth, ... one.
const MAX_THUMBNAILS: usize = 240;
/// JPEG quality of overlay pictures.
const OVERLAY_QUALITY: u8 = 85;

/// Writes while the replay runs: what was decided before a crash is on disk.
pub(super) struct Writer {
    out: PathBuf,
    decisions: DecisionWriter,
    tally: Tally,
    rows: Vec<FrameRow>,
    thumbnails: Thinning,
    overlay: Overlay,
    canvas: RgbImage,
    encoded: Vec<u8>,
    last_note: Option<String>,
    /// Frames with a pose: without any, the input was of no use.
    placed: u64,
    /// The first frame on the present map.
    map_began: u64,
}

impl Writer {
    /// Makes the folders and proves that they can be written.
    pub(super) fn create(out: &Path, provenance: Provenance) -> Result<Self, Failure> {
        let out = output::folder(out)?;
        let overlays = out.join("overlay");
        output::written(std::fs::create_dir_all(&overlays), &overlays)?;
        Ok(Self {
            decisions: DecisionWriter::create(&out.join("decisions.jsonl"))
                .map_err(Failure::working)?,
            tally: Tally::new(provenance),
            rows: Vec::new(),
            thumbnails: Thinning::default(),
            overlay: Overlay::new(),
            canvas: RgbImage::default(),
            encoded: Vec::new(),
            last_note: None,
            placed: 0,
            map_began: 0,
            out,
        })
    }

    /// Counts a frame that could not be read.
    pub(super) fn skipped(&mut self, seq: u64, source: &str, reason: String) {
        log::warn!("{source}: {reason}; skipped");
        self.tally.skipped(SkippedFrame {
            seq,
            source: source.to_owned(),
            reason,
        });
    }

    /// Says and counts a warning.
    pub(super) fn warned(&mut self, warning: String) {
        log::warn!("{warning}");
        self.tally.warned(warning);
    }

    /// Notes the flight log that placed the frames.
    pub(super) fn placed_by(&mut self, used: TelemetryUse) {
        self.tally.telemetry(used);
    }

    /// Writes one frame's decision and overlay.
    pub(super) fn decided(
        &mut self,
        frame: &Frame,
        step: &Step<'_>,
        latency: Duration,
    ) -> Result<(), Failure> {
        for note in &step.notes {
            // The same note on every frame is said once.
            if self.last_note.as_ref() != Some(note) {
                self.warned(format!("{}: {note}", frame.source));
                self.last_note = Some(note.clone());
            }
        }
        self.placed += u64::from(step.view.is_some());
        if step.new_map {
            self.map_began = frame.seq;
        }
        let line = DecisionLine::new(step.decision, &frame.source, latency);
        self.decisions.append(&line).map_err(Failure::working)?;
        self.tally.decided(&line);
        self.draw(frame, step)?;
        let last = self.rows.last().map(|r| r.line.outcome);
        let thumbnail = if self.thumbnails.keeps(&line, last, &mut self.rows) {
            let made = thumbnail(&self.canvas, frame.image.height(), THUMBNAIL_WIDTH);
            made.inspect_err(|e| log::warn!("{}: {e}", frame.source))
                .ok()
        } else {
            None
        };
        self.rows.push(FrameRow { line, thumbnail });
        Ok(())
    }

    fn draw(&mut self, frame: &Frame, step: &Step<'_>) -> Result<(), Failure> {
        let input = OverlayInput {
            picture: &frame.image,
            segmentation: step.segmentation,
            view: step.view.as_ref(),
            decision: step.decision,
        };
        self.overlay.draw(&input, &mut self.canvas);
        let stem = Path::new(&*frame.source)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let file = self
            .out
            .join("overlay")
            .join(format!("{:06}_{stem}.jpg", frame.seq));
        self.encoded.clear();
        let encoder = JpegEncoder::new_with_quality(&mut self.encoded, OVERLAY_QUALITY);
        output::written(self.canvas.write_with_encoder(encoder), &file)?;
        output::written(std::fs::write(&file, &self.encoded), &file)
    }

    /// Writes summary and report, and says how it went.
    pub(super) fn finish(
        self,
        map: MapSnapshot,
        config: &str,
        elapsed: Duration,
    ) -> Result<(), Failure> {
        let summary = self.tally.finish(elapsed);
        summary
            .write(&self.out.join("summary.json"))
            .map_err(Failure::working)?;
        let file = self.out.join("report.html");
        let last = self.rows.last().map_or(0, |r| r.line.seq);
        let map = ReportMap {
            snapshot: map,
            frames: self.map_began..=last,
        };
        let input = ReportInput {
            events: &[],
            title: &summary.provenance.input,
            date: &jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string(),
            frames: &self.rows,
            summary: &summary,
            map: (map.snapshot.width > 0).then_some(&map),
            settings: config,
        };
        let made =
            std::fs::File::create(&file).and_then(|f| report::write(&input, BufWriter::new(f)));
        output::written(made, &file)?;
        let (input, skipped) = (&summary.provenance.input, summary.skipped);
        if summary.frames == 0 {
            return Err(Failure::Input(anyhow!(
                "{input}: no usable frame ({skipped} skipped)"
            )));
        }
        if self.placed == 0 {
            let why = self.last_note.unwrap_or_default();
            return Err(Failure::Input(anyhow!(
                "{input}: no frame could be placed over the ground: {why}"
            )));
        }
        let (frames, sites, holds) = (summary.frames, summary.sites, summary.holds);
        log::info!(
            "{frames} frames: {sites} with a site, {holds} on hold, {skipped} skipped -> {}",
            file.display()
        );
        Ok(())
    }
}

/// Which frames keep a thumbnail: all at first, every second, fourth, ... when there are too many; changes of outcome
/// as long as there is room.
#[derive(Debug)]
struct Thinning {
    every: u64,
    kept: usize,
}

impl Default for Thinning {
    fn default() -> Self {
        Self { every: 1, kept: 0 }
    }
}

impl Thinning {
    fn keeps(
        &mut self,
        line: &DecisionLine,
        last: Option<OutcomeKind>,
        rows: &mut [FrameRow],
    ) -> bool {
        if self.kept >= MAX_THUMBNAILS {
            self.every *= 2;
            for row in rows
                .iter_mut()
                .filter(|r| !r.line.seq.is_multiple_of(self.every))
            {
                row.thumbnail = None;
            }
            self.kept = rows.iter().filter(|r| r.thumbnail.is_some()).count();
        }
        let keeps = line.seq.is_multiple_of(self.every) || last != Some(line.outcome);
        self.kept += usize::from(keeps);
        keeps
    }
}
