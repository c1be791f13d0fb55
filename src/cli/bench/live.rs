//! `alight bench --live`: the live pipeline on this machine, with a camera of 30 pictures a second and an autopilot that hovers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use crossbeam_channel::never;
use image::RgbImage;
use serde::Serialize;

use super::super::{Failure, interrupted, model};
use crate::autopilot::companion::CompanionConfig;
use crate::autopilot::link::LinkAddress;
use crate::camera::Frame;
use crate::camera::live::{Device, GrabError, Grabbed, LiveCamera, LiveSpec};
use crate::camera::raw::{RawFormat, decode_into, yuyv_from_rgb};
use crate::config::Settings;
use crate::inference::manifest::Manifest;
use crate::inference::{InferenceError, SegmentationMap, Segmenter};
use crate::pipeline::live::{self, Camera, CountsReport, LatencyReport, Options, Parts};
use crate::pipeline::schedule;
use crate::sim::autopilot::{Dialect, Endpoint, SimAutopilot, SimConfig, serve};
use crate::sim::flight::{DrawnFlight, FlightSpec};
use crate::time::{Clock as _, MonoTime, SystemClock};

/// Pictures a second.
const RATE_HZ: f64 = 30.0;
/// Drawn pictures, which come round and round; few, for they count as memory.
const DRAWN: u64 = 4;
/// Memory is looked at this often, and first after so long.
const LOOK: Duration = Duration::from_secs(5);
/// One wait.
const BEAT: Duration = Duration::from_millis(100);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    seconds: f64,
    frame: [u32; 2],
    rate_hz: f64,
    frames: u64,
    frames_dropped: u64,
    decisions: u64,
    network: Times,
    capture_to_command: Times,
    /// 1.5 times the network's median, plus 15 ms.
    goal_ms: f64,
    /// After the first turns of each thread, network not counted.
    allocations: Allocations,
    /// Resident memory at the first look and at the last, and the most.
    rss_mb: Memory,
}

#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the unit stands in every name that others read"
)]
struct Times {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[derive(Debug, Serialize)]
struct Allocations {
    camera: u64,
    landing: u64,
    control: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Memory {
    first: f64,
    last: f64,
    most: f64,
}

impl From<LatencyReport> for Times {
    fn from(l: LatencyReport) -> Self {
        Self {
            p50_ms: l.p50_ms,
            p95_ms: l.p95_ms,
            p99_ms: l.p99_ms,
            max_ms: l.max_ms,
        }
    }
}

fn duration(seconds: f64) -> Duration {
    MonoTime::from_secs_f64(seconds).since(MonoTime::ZERO)
}

/// Raw YUYV pictures from memory, at their times, decoded as a camera's are.
struct Synthetic {
    pictures: Arc<Vec<Vec<u8>>>,
    clock: SystemClock,
    next: MonoTime,
    sequence: u32,
}

impl Device for Synthetic {
    fn grab(&mut self, into: &mut RgbImage) -> Result<Grabbed, GrabError> {
        let now = self.clock.now();
        // What was missed is gone, as with a camera.
        let interval = duration(1.0 / RATE_HZ);
        while self.next.after(interval) < now {
            self.next = self.next.after(interval);
            self.sequence = self.sequence.wrapping_add(1);
        }
        let _ = never::<()>().recv_timeout(self.next.since(now));
        let count = self.pictures.len().max(1);
        let picture = self.pictures.get(self.sequence as usize % count);
        let bytes = picture.map_or(&[][..], Vec::as_slice);
        decode_into(RawFormat::Yuyv, bytes, 0, into).map_err(|e| GrabError::Bad(e.to_string()))?;
        let grabbed = Grabbed {
            captured_at: Some(self.next),
            sequence: Some(self.sequence),
        };
        self.next = self.next.after(interval);
        self.sequence = self.sequence.wrapping_add(1);
        Ok(grabbed)
    }
}

/// The network, timed.
struct Timed<S> {
    inner: S,
    clock: SystemClock,
    /// Milliseconds of each picture; the room is taken at the start.
    took_ms: Arc<Mutex<Vec<f32>>>,
}

impl<S: Segmenter> Segmenter for Timed<S> {
    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
    }

    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError> {
        let begun = self.clock.now();
        let done = self.inner.segment(frame, out);
        let ms = 1e3 * self.clock.now().secs_since(begun);
        if let Ok(mut took) = self.took_ms.lock()
            && took.len() < took.capacity()
        {
            took.push(ms as f32);
        }
        done
    }
}

/// Runs it for so many seconds.
///
/// # Errors
/// Exit code 2: the network or the settings; 1: a stage broke, or there is no room.
pub(super) fn run(args: &super::Args, seconds: f64) -> Result<(), Failure> {
    let mut settings = model::settings(args.config.as_deref())?;
    let files = model::files(args.model.as_deref(), &settings)?;
    if !settings.sets_landable_threshold {
        settings.values.landing.hazard.landable_threshold =
            f64::from(files.manifest.output.landable_threshold);
    }
    let network = model::load(args.model.as_deref(), &settings)?;
    let stop = interrupted()?;
    let clock = SystemClock::start();
    let endpoint = Endpoint::tcp_at(([127, 0, 0, 1], 0).into()).map_err(Failure::working)?;
    let at = endpoint.local_addr().map_err(Failure::working)?;
    let address = format!("tcp:{at}").parse::<LinkAddress>();
    let address = address.map_err(|e| Failure::Working(anyhow!("{e}")))?;
    let took_ms = Arc::new(Mutex::new(Vec::with_capacity(
        (seconds * RATE_HZ) as usize + 64,
    )));
    let parts = parts(
        &settings,
        &clock,
        address,
        Timed {
            inner: network,
            clock: clock.clone(),
            took_ms: Arc::clone(&took_ms),
        },
    )?;
    let is_over = Arc::new(AtomicBool::new(false));
    let memory = Arc::new([const { AtomicU64::new(0) }; 3]);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sim = SimAutopilot::new(SimConfig::new(Dialect::ArduPilot, 1));
            serve(&mut sim, &endpoint, &clock, &is_over, |_| {})
        });
        scope.spawn(|| watch_memory(&memory, &is_over));
        let options = Options {
            longest: Some(duration(seconds)),
            ..Options::default()
        };
        let report = live::run(parts, options, &stop);
        is_over.store(true, Ordering::Relaxed);
        report
    })
    .map_err(Failure::working)?;
    if report.ended != live::Ended::AsWished {
        return Err(Failure::Working(anyhow!(
            "it ended early: {:?}",
            report.ended
        )));
    }
    let took = took_ms.lock().map(|t| t.clone()).unwrap_or_default();
    tell(args.json, &summary(&report.counts, took, &memory, seconds))
}

fn parts(
    settings: &Settings,
    clock: &SystemClock,
    link: LinkAddress,
    segmenter: impl Segmenter + Send + 'static,
) -> Result<Parts, Failure> {
    let (width, height) = super::FRAME;
    let flight = DrawnFlight::new(FlightSpec {
        frames: DRAWN,
        width,
        height,
        ..FlightSpec::default()
    })
    .map_err(Failure::working)?;
    let pictures: Vec<Vec<u8>> = (0..DRAWN)
        .map(|seq| {
            let mut bytes = Vec::new();
            yuyv_from_rgb(&flight.render(seq).picture, &mut bytes);
            bytes
        })
        .collect();
    let pictures = Arc::new(pictures);
    let (lens, mount) = (flight.camera_model().clone(), *flight.mount());
    let shutter = clock.clone();
    let spec = LiveSpec {
        name: Arc::from("synthetic camera"),
        opener: Box::new(move || {
            Ok(Box::new(Synthetic {
                pictures: Arc::clone(&pictures),
                clock: shutter.clone(),
                next: shutter.now(),
                sequence: 0,
            }) as Box<dyn Device>)
        }),
        size: super::FRAME,
        latency: Duration::ZERO,
        pictures: schedule::PICTURES,
    };
    let camera = LiveCamera::new(spec, clock.clone()).map_err(Failure::input)?;
    Ok(Parts {
        camera: Camera::Source(Box::new(camera), lens, mount),
        segmenter: Box::new(segmenter),
        landing: settings.values.landing.clone(),
        companion: CompanionConfig::default(),
        link,
        clock: clock.clone(),
    })
}

/// First, last and most, kilobytes.
fn watch_memory(memory: &[AtomicU64; 3], is_over: &AtomicBool) {
    let [first, last, most] = memory;
    let mut left = LOOK;
    while !is_over.load(Ordering::Relaxed) {
        let _ = never::<()>().recv_timeout(BEAT);
        left = left.saturating_sub(BEAT);
        if !left.is_zero() {
            continue;
        }
        left = LOOK;
        let Some(kb) = resident_kb() else { continue };
        let _ = first.compare_exchange(0, kb, Ordering::Relaxed, Ordering::Relaxed);
        last.store(kb, Ordering::Relaxed);
        most.fetch_max(kb, Ordering::Relaxed);
    }
}

fn resident_kb() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn summary(
    counts: &CountsReport,
    mut took: Vec<f32>,
    memory: &[AtomicU64; 3],
    seconds: f64,
) -> Report {
    took.sort_by(f32::total_cmp);
    let at = |q: f64| {
        let i = (q * took.len().saturating_sub(1) as f64).round() as usize;
        took.get(i).copied().map_or(f64::NAN, f64::from)
    };
    let network = Times {
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        max_ms: at(1.0),
    };
    let [first, last, most] = memory;
    let mb = |kb: &AtomicU64| (kb.load(Ordering::Relaxed) as f64 / 1024.0 * 10.0).round() / 10.0;
    Report {
        seconds,
        frame: [super::FRAME.0, super::FRAME.1],
        rate_hz: RATE_HZ,
        frames: counts.frames,
        frames_dropped: counts.frames_dropped + counts.maps_dropped,
        decisions: counts.decisions,
        goal_ms: 1.5 * network.p50_ms + 15.0,
        network,
        capture_to_command: counts.capture_to_command.into(),
        allocations: Allocations {
            camera: counts.camera_allocations,
            landing: counts.landing_allocations,
            control: counts.control_allocations,
        },
        rss_mb: Memory {
            first: mb(first),
            last: mb(last),
            most: mb(most),
        },
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what was asked for")]
fn tell(json: bool, report: &Report) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report).map_err(Failure::working)?;
        println!("{text}");
        return Ok(());
    }
    let Report {
        network,
        capture_to_command: all,
        allocations: a,
        rss_mb: m,
        ..
    } = report;
    println!(
        "{:.0} s, {} x {} YUYV at {} a second: {} frames, {} dropped, {} decisions",
        report.seconds,
        report.frame[0],
        report.frame[1],
        report.rate_hz,
        report.frames,
        report.frames_dropped,
        report.decisions
    );
    println!("                      p50      p95      p99    worst");
    for (name, t) in [("network", network), ("capture to command", all)] {
        println!(
            "{name:<18} {:>7.1}  {:>7.1}  {:>7.1}  {:>7.1} ms",
            t.p50_ms, t.p95_ms, t.p99_ms, t.max_ms
        );
    }
    println!(
        "goal for p99: {:.1} ms (1.5 times the network's median, plus 15 ms)",
        report.goal_ms
    );
    println!(
        "allocations after warm-up: camera {}, landing {}, control {}",
        a.camera, a.landing, a.control
    );
    println!(
        "resident memory: {:.1} MB at first, {:.1} MB at last, {:.1} MB at most",
        m.first, m.last, m.most
    );
    Ok(())
}
