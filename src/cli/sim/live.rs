//! One flight, watched: on a terminal a live view, and afterwards its report with way, events and pictures.

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::super::{Failure, output};
use super::Plan;
use crate::pipeline::flight::{Look, Watcher, fly};
use crate::record::{CampaignSummary, DecisionLine, FlightWriter, TrackPoint};
use crate::sim::world::World;
use crate::time::{Clock as _, MonoTime, SystemClock};
use crate::view::overlay::{Overlay, OverlayInput};
use crate::view::report::FrameRow;
use crate::view::report::flights::{self, FlightInput, GroundPicture};
use crate::view::thumbnail;

/// Every so many frames keeps a picture, and each change of phase does.
const PICTURE_EVERY: u64 = 12;
/// Pictures kept.
const PICTURES: usize = 60;
/// Width of pictures in the report, pixels; of the ground below the way.
const THUMBNAIL: u32 = 320;
const GROUND: u32 = 900;
/// Columns and rows of the map on the terminal, and what a column shows, metres.
const MAP: (i32, i32) = (46, 14);
const COLUMN_M: f64 = 1.5;
/// Lines that the view takes.
const LINES: usize = MAP.1 as usize + 5;

/// Flies the plan's one flight.
pub(super) fn fly_one(plan: &Plan, out: &Path, json: bool) -> Result<(), Failure> {
    let clock = SystemClock::start();
    let mut network = plan.network()?;
    let spec = plan.flight(plan.first_seed);
    let eyes = plan.eyes(&spec, network.as_mut());
    let mut watcher = Live::new(&spec.world);
    let flown = fly(&spec, eyes, &mut watcher).map_err(Failure::input)?;
    let Some(record) = flown else {
        return Ok(());
    };
    let mut writer = FlightWriter::create(&out.join("flights.jsonl")).map_err(Failure::working)?;
    writer.write(&record.line).map_err(Failure::working)?;
    write_track(&record.track, &out.join("track.jsonl"))?;
    let elapsed = clock.now().since(MonoTime::ZERO).as_secs_f64();
    let lines = [record.line];
    let mut summary = CampaignSummary::of(plan.provenance.clone(), &lines);
    let [line] = &lines;
    summary.elapsed_s = (elapsed * 10.0).round() / 10.0;
    summary.real_time_factor_per_core = (line.time_s / elapsed.max(1e-9) * 10.0).round() / 10.0;
    summary.threads = 1;
    summary
        .write(&out.join("summary.json"))
        .map_err(Failure::working)?;
    let file = out.join("report.html");
    let date = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string();
    let ground = ground(&spec.world);
    let input = FlightInput {
        line,
        track: &record.track,
        events: &record.events,
        frames: &watcher.rows,
        ground: ground.as_ref(),
        summary: &summary,
        date: &date,
    };
    let made =
        std::fs::File::create(&file).and_then(|f| flights::single(&input, BufWriter::new(f)));
    output::written(made, &file)?;
    if json {
        output::print_line(&serde_json::to_string(&summary).map_err(Failure::working)?)?;
    }
    let end = line.reason.as_deref().unwrap_or("landed as it should");
    log::info!(
        "flight {} on {}: {end}, after {:.0} s -> {}",
        line.seed,
        line.autopilot,
        line.time_s,
        file.display()
    );
    Ok(())
}

/// The way, a line each quarter of a second.
fn write_track(track: &[TrackPoint], file: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    for point in track {
        text += &serde_json::to_string(point).map_err(Failure::working)?;
        text.push('\n');
    }
    output::written(std::fs::write(file, text), file)
}

/// Keeps pictures, and draws on the terminal if there is one.
struct Live {
    overlay: Overlay,
    canvas: RgbImage,
    rows: Vec<FrameRow>,
    last_phase: &'static str,
    is_terminal: bool,
    has_drawn: bool,
    world: Arc<World>,
    reason: String,
    site: String,
}

impl Live {
    fn new(world: &Arc<World>) -> Self {
        Self {
            overlay: Overlay::new(),
            canvas: RgbImage::default(),
            rows: Vec::new(),
            last_phase: "",
            is_terminal: std::io::stderr().is_terminal(),
            has_drawn: false,
            world: Arc::clone(world),
            reason: String::new(),
            site: String::new(),
        }
    }

    /// The ground around the vehicle in letters: the vehicle, the chosen site, people and cars, what is no landing ground.
    fn map(&self, p: &TrackPoint, into: &mut String) {
        let (columns, rows) = MAP;
        let movers = self.world.mover_positions(p.at_s);
        for row in 0..rows {
            for column in 0..columns {
                let east = p.east_m + f64::from(column - columns / 2) * COLUMN_M;
                // Letters are about twice as tall as wide.
                let north = p.north_m - f64::from(row - rows / 2) * 2.0 * COLUMN_M;
                let is_here = |n: f64, e: f64| {
                    (n - north).abs() <= COLUMN_M && (e - east).abs() <= 0.5 * COLUMN_M
                };
                let mover = movers
                    .iter()
                    .find(|m| is_here(m.ground.north_m, m.ground.east_m));
                let at = crate::geometry::GroundPoint {
                    north_m: north,
                    east_m: east,
                };
                into.push(match (mover, self.world.truth_at(at)) {
                    _ if is_here(p.north_m, p.east_m) => 'X',
                    _ if p.site_m.is_some_and(|[n, e]| is_here(n, e)) => 'O',
                    (Some(m), _) if m.kind == crate::sim::world::MoverKind::Person => 'p',
                    (Some(_), _) => 'c',
                    (None, Some(class)) if class.surface.is_landable() => ' ',
                    (None, Some(_)) => '.',
                    (None, None) => '~',
                });
            }
            into.push_str("\x1b[K\n");
        }
    }
}

impl Watcher for Live {
    fn look(&mut self, look: &Look<'_>) {
        let line = DecisionLine::new(look.decision, &look.frame.source, Duration::ZERO);
        self.reason = line.reason.clone().unwrap_or_default();
        self.site = line.site.as_ref().map_or_else(String::new, |s| {
            format!(
                "{} at {:.1} m north, {:.1} m east, {:.1} m clear",
                s.surface.name(),
                s.north_m,
                s.east_m,
                s.clearance_m
            )
        });
        let is_new = look.phase.text() != self.last_phase;
        self.last_phase = look.phase.text();
        let kept = self.rows.iter().filter(|r| r.thumbnail.is_some()).count();
        let keeps = kept < PICTURES && (is_new || look.frame.seq.is_multiple_of(PICTURE_EVERY));
        let picture = keeps.then(|| {
            let input = OverlayInput {
                picture: &look.frame.image,
                segmentation: look.segmentation,
                view: look.view,
                decision: look.decision,
            };
            self.overlay.draw(&input, &mut self.canvas);
            thumbnail(&self.canvas, look.frame.image.height(), THUMBNAIL).ok()
        });
        self.rows.push(FrameRow {
            line,
            thumbnail: picture.flatten(),
        });
    }

    fn track(&mut self, p: &TrackPoint, last_text: &str) {
        if !self.is_terminal {
            return;
        }
        let mut text = String::new();
        if std::mem::replace(&mut self.has_drawn, true) {
            text = format!("\x1b[{LINES}A");
        }
        let head = format!(
            "{:>6.1} s  {:<12} {:>5.1} m\x1b[K\n site   {}\x1b[K\n hold   {}\x1b[K\n said   {last_text}\x1b[K\n",
            p.at_s, p.phase, p.height_m, self.site, self.reason
        );
        text.push_str(&head);
        self.map(p, &mut text);
        text.push_str("X vehicle  O site  p person  c car  . not landable\x1b[K\n");
        // A terminal that is gone shows nothing; the flight goes on.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The world's picture for the report; only worlds whose picture stands north up can lie under the way.
fn ground(world: &World) -> Option<GroundPicture> {
    if world.north_deg.abs() > 0.01 {
        return None;
    }
    let (w, h) = world.picture.dimensions();
    let width = GROUND.min(w);
    let height = (f64::from(h) * f64::from(width) / f64::from(w))
        .round()
        .max(1.0) as u32;
    let small = image::imageops::thumbnail(&world.picture, width, height);
    let mut jpeg = Vec::new();
    small
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 80))
        .ok()?;
    let [x0, y0] = world.origin_px;
    let scale = world.metres_per_pixel;
    Some(GroundPicture {
        jpeg,
        box_m: [
            -x0 * scale,
            y0 * scale,
            f64::from(w) * scale,
            f64::from(h) * scale,
        ],
    })
}
