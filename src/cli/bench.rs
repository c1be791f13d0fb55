//! `alight bench`: the latency of every stage on this machine, through the code that flies.

mod live;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::{Failure, model};
use crate::alloc::allocations;
use crate::camera::{Frame, picture};
use crate::geometry::View;
use crate::inference::SegmentationMap;
use crate::inference::tract::TractSegmenter;
use crate::landing::{Landing, LandingInput};
use crate::sim::flight::{DrawnFlight, FlightSpec};
use crate::time::{Clock as _, MonoTime, SystemClock};
use crate::view::overlay::{Overlay, OverlayInput};

/// Frame size of the measurement, pixels.
const FRAME: (u32, u32) = (1280, 720);
/// Quality of the JPEG that is decoded.
const JPEG_QUALITY: u8 = 90;
/// Runs before measuring, so that caches and buffers are warm.
const WARM_UP: usize = 3;
/// Time between the drawn frames, seconds.
const FRAME_STEP_S: f64 = 0.1;

/// Measures, on a drawn 1280x720 frame: decode (JPEG -> RGB), preprocess (-> the network's input), network, project
/// (logits -> probabilities -> map), select (hazard, clearance, selection, tracks, monitor), view (overlay drawing), and the total.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight bench --json > bench.json
  alight bench --live --seconds 60
      all threads as in flight: from capture to command, allocations, memory")]
pub(super) struct Args {
    /// Network: an ONNX file with its manifest (.toml) beside it. Default: the configuration's, the installed one, the
    /// one inside the program.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Configuration (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads for the network; only 1 so far: tract is built without its thread pool.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Measured runs.
    #[arg(long, value_name = "N", default_value_t = 50)]
    runs: usize,
    /// The live pipeline instead: a camera of 30 pictures a second against an autopilot that hovers, in real time.
    #[arg(long)]
    live: bool,
    /// With --live: for so long, seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30.0,
        requires = "live"
    )]
    seconds: f64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    threads: usize,
    runs: usize,
    frame: [u32; 2],
    stages: Stages<Spread>,
    load_ms: f64,
    peak_rss_mb: Option<f64>,
    model: Model,
}

#[derive(Debug, Serialize)]
struct Model {
    file: String,
    sha256: String,
    form: &'static str,
    gmac: f64,
}

/// One value a stage.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Stages<T> {
    decode: T,
    preprocess: T,
    network: T,
    project: T,
    select: T,
    view: T,
    total: T,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Spread {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    cpu_p50_ms: f64,
    allocations: u64,
}

/// One measured run of one stage.
#[derive(Debug, Default, Clone, Copy)]
struct Sample {
    wall_ms: f64,
    cpu_ms: f64,
    allocations: u64,
}

impl std::ops::Add for Sample {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            wall_ms: self.wall_ms + o.wall_ms,
            cpu_ms: self.cpu_ms + o.cpu_ms,
            allocations: self.allocations + o.allocations,
        }
    }
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
#[expect(
    clippy::print_stdout,
    reason = "the result of this command goes to standard output"
)]
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.runs == 0 {
        return Err(Failure::Input(anyhow!("--runs 0: must be at least 1")));
    }
    if args.threads != 1 {
        let n = args.threads;
        return Err(Failure::Input(anyhow!(
            "--threads {n}: the network runs on 1 thread so far; leave the flag out"
        )));
    }
    if args.live {
        if !(1.0..=1e5).contains(&args.seconds) {
            return Err(Failure::Input(anyhow!(
                "--seconds {}: must lie in 1..=100000",
                args.seconds
            )));
        }
        return live::run(args, args.seconds);
    }
    let settings = model::settings(args.config.as_deref())?;
    let files = model::files(args.model.as_deref(), &settings)?;
    let clock = SystemClock::start();
    let segmenter = TractSegmenter::new(&files).map_err(Failure::input)?;
    let load_ms = ms(clock.now().secs_since(MonoTime::ZERO));
    let landing = Landing::new(settings.values.landing).map_err(Failure::input)?;
    let mut bench = Bench::new(segmenter, landing)?;
    let mut samples = Vec::with_capacity(args.runs);
    for run in 0..WARM_UP + args.runs {
        let sample = bench.run()?;
        if run >= WARM_UP {
            samples.push(sample);
        }
    }
    let report = Report {
        threads: args.threads,
        runs: args.runs,
        frame: [FRAME.0, FRAME.1],
        stages: spread_all(&samples),
        load_ms,
        peak_rss_mb: peak_rss_mb(),
        model: Model {
            file: files.origin.display().to_string(),
            sha256: files.manifest.sha256.clone(),
            form: files.manifest.form.name(),
            gmac: files.manifest.gmac,
        },
    };
    if args.json {
        println!(
            "{}",
            serde_json::to_string(&report).map_err(Failure::working)?
        );
    } else {
        print_table(&report);
    }
    Ok(())
}

/// The stages and one frame, which the drawn flight's camera saw.
struct Bench {
    clock: SystemClock,
    segmenter: TractSegmenter,
    landing: Landing,
    overlay: Overlay,
    canvas: RgbImage,
    segmentation: SegmentationMap,
    encoded: Vec<u8>,
    view: View,
    seq: u64,
}

impl Bench {
    fn new(segmenter: TractSegmenter, landing: Landing) -> Result<Self, Failure> {
        let spec = FlightSpec {
            width: FRAME.0,
            height: FRAME.1,
            ..FlightSpec::default()
        };
        let flight = DrawnFlight::new(spec).map_err(Failure::working)?;
        let mut encoded = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY);
        flight
            .render(0)
            .picture
            .write_with_encoder(encoder)
            .map_err(Failure::working)?;
        Ok(Self {
            clock: SystemClock::start(),
            encoded,
            view: View::new(
                flight.camera_model().clone(),
                flight.mount(),
                flight.pose(0),
            ),
            segmenter,
            landing,
            overlay: Overlay::new(),
            canvas: RgbImage::default(),
            segmentation: SegmentationMap::default(),
            seq: 0,
        })
    }

    fn run(&mut self) -> Result<Stages<Sample>, Failure> {
        let mut s = Stages::default();
        let clock = self.clock.clone();
        let picture;
        (s.decode, picture) = timed(&clock, || picture::decode(&self.encoded));
        let frame = Frame {
            seq: self.seq,
            source: Arc::from("bench"),
            captured_at: MonoTime::from_secs_f64(self.seq as f64 * FRAME_STEP_S),
            image: Arc::new(picture.map_err(Failure::working)?.image),
            tag: None,
        };
        self.seq += 1;
        let done;
        (s.preprocess, done) = timed(&clock, || self.segmenter.preprocess(&frame.image));
        done.map_err(Failure::working)?;
        let logits;
        (s.network, logits) = timed(&clock, || self.segmenter.infer());
        let logits = logits.map_err(Failure::working)?;
        let calibrated;
        (s.project, calibrated) = timed(&clock, || {
            self.segmenter
                .calibrate(&logits, &frame, &mut self.segmentation)
        });
        calibrated.map_err(Failure::working)?;
        let input = LandingInput {
            segmentation: &self.segmentation,
            view: &self.view,
            picture: &frame.image,
            range_m: None,
        };
        let (observing, seen) = timed(&clock, || self.landing.observe(&input, frame.captured_at));
        let seen = seen.map_err(|why| Failure::Working(anyhow!(why.text())))?;
        s.project = s.project + observing;
        let decision;
        (s.select, decision) = timed(&clock, || {
            self.landing.choose(&input, &seen, frame.captured_at)
        });
        let overlay = OverlayInput {
            picture: &frame.image,
            segmentation: Some(&self.segmentation),
            view: Some(&self.view),
            decision,
        };
        (s.view, ()) = timed(&clock, || self.overlay.draw(&overlay, &mut self.canvas));
        s.total = s.decode + s.preprocess + s.network + s.project + s.select + s.view;
        Ok(s)
    }
}

fn timed<T>(clock: &SystemClock, work: impl FnOnce() -> T) -> (Sample, T) {
    let (wall, cpu, counted) = (clock.now(), cpu_s(), allocations());
    let result = work();
    let sample = Sample {
        allocations: allocations() - counted,
        cpu_ms: ms(cpu_s() - cpu),
        wall_ms: ms(clock.now().secs_since(wall)),
    };
    (sample, result)
}

/// CPU time of the whole process, seconds.
fn cpu_s() -> f64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map_or(f64::NAN, |t| t.tv_sec() as f64 + t.tv_nsec() as f64 / 1e9)
}

fn ms(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

/// High-water mark of the resident memory, where the system tells (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kb / 102.4).round() / 10.0)
}

fn spread_all(samples: &[Stages<Sample>]) -> Stages<Spread> {
    let of =
        |pick: fn(&Stages<Sample>) -> Sample| spread(&samples.iter().map(pick).collect::<Vec<_>>());
    Stages {
        decode: of(|s| s.decode),
        preprocess: of(|s| s.preprocess),
        network: of(|s| s.network),
        project: of(|s| s.project),
        select: of(|s| s.select),
        view: of(|s| s.view),
        total: of(|s| s.total),
    }
}

fn spread(samples: &[Sample]) -> Spread {
    let sorted = |pick: fn(&Sample) -> f64| {
        let mut v: Vec<f64> = samples.iter().map(pick).collect();
        v.sort_by(f64::total_cmp);
        v
    };
    // Nearest rank: a percentile is a value that was measured.
    let at = |v: &[f64], share: f64| {
        let rank = (share * v.len() as f64).ceil().max(1.0) as usize;
        ms(v.get(rank - 1).copied().unwrap_or(f64::NAN) / 1e3)
    };
    let (wall, cpu, allocations) = (
        sorted(|s| s.wall_ms),
        sorted(|s| s.cpu_ms),
        sorted(|s| s.allocations as f64),
    );
    Spread {
        p50_ms: at(&wall, 0.5),
        p95_ms: at(&wall, 0.95),
        p99_ms: at(&wall, 0.99),
        max_ms: at(&wall, 1.0),
        cpu_p50_ms: at(&cpu, 0.5),
        allocations: allocations
            .get(allocations.len() / 2)
            .map_or(0, |n| *n as u64),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the result of this command goes to standard output"
)]
fn print_table(report: &Report) {
    let s = &report.stages;
    println!(
        "{} ({}, {} GMAC)",
        report.model.file, report.model.form, report.model.gmac
    );
    println!(
        "frame {}x{}, {} runs, {} thread(s); times in ms",
        report.frame[0], report.frame[1], report.runs, report.threads
    );
    println!(
        "{:<11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>13}",
        "stage", "p50", "p95", "p99", "max", "cpu p50", "allocations"
    );
    for (name, v) in [
        ("decode", s.decode),
        ("preprocess", s.preprocess),
        ("network", s.network),
        ("project", s.project),
        ("select", s.select),
        ("view", s.view),
        ("total", s.total),
    ] {
        println!(
            "{name:<11}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>13}",
            v.p50_ms, v.p95_ms, v.p99_ms, v.max_ms, v.cpu_p50_ms, v.allocations
        );
    }
    let rest = s.total.cpu_p50_ms - s.network.cpu_p50_ms;
    println!(
        "everything but the network: {:.0} % of the network's CPU time",
        100.0 * rest / s.network.cpu_p50_ms
    );
    println!(
        "load {:.0} ms, peak memory {:.0} MB",
        report.load_ms,
        report.peak_rss_mb.unwrap_or(f64::NAN)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let samples: Vec<Sample> = (1..=100)
            .map(|i| Sample {
                wall_ms: f64::from(i),
                cpu_ms: f64::from(i) / 2.0,
                allocations: i as u64,
            })
            .collect();
        let s = spread(&samples);
        assert_eq!(
            (s.p50_ms, s.p95_ms, s.p99_ms, s.max_ms),
            (50.0, 95.0, 99.0, 100.0)
        );
        assert_eq!((s.cpu_p50_ms, s.allocations), (25.0, 51));
    }

    #[test]
    fn timing_sees_work_and_allocations_are_counted_where_the_counter_is_installed() {
        let clock = SystemClock::start();
        let (sample, sum) = timed(&clock, || {
            (0..2_000_000_u64).fold(0_u64, |a, b| a ^ b.wrapping_mul(a | 1))
        });
        assert!(
            sample.wall_ms > 0.0 && sample.cpu_ms > 0.0,
            "{sample:?} {sum}"
        );
    }
}
