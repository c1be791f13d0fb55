//! `alight replay`: the whole pipeline over recorded or drawn pictures.

mod telemetry;
mod writer;

use std::path::PathBuf;

use anyhow::anyhow;

use super::progress::Progress;
use super::{Failure, model};
use crate::camera::{self, Frame, FrameSource, SourceEvent};
use crate::config::Settings;
use crate::geometry::CameraModel;
use crate::inference::Segmenter as _;
use crate::inference::manifest::sha256_hex;
use crate::inference::tract::TractSegmenter;
use crate::landing::Landing;
use crate::pipeline::pose::{PoseConfig, PoseProvider};
use crate::pipeline::{KnownPose, Stepped, Whereabouts};
use crate::record::Provenance;
use crate::sim::flight::{DrawnFlight, FlightSpec};
use crate::time::{Clock as _, SystemClock};
use telemetry::{Pictures, Telemetry};
use writer::Writer;

/// Writes `decisions.jsonl` (a line a frame), `summary.json`, `overlay/` pictures and `report.html`.
///
/// SOURCE is a folder of pictures (JPEG, PNG; read in byte order of the name), one picture, or a video. Without it, a drawn
/// flight is replayed. Pictures with position, height and direction in their tags (DJI) are placed by them; all others
/// need --height and --hfov, and are registered to the picture before.
///
/// With --telemetry, a flight log (.tlog, ArduPilot .BIN, PX4 .ulg, DJI .srt) says where each frame was taken; it wins over the
/// pictures' tags. alight's own recordings as SOURCE are not read yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight replay --out out/demo
  alight replay photos/ --height 25 --hfov 70 --out out/photos
  alight replay flight.mp4 --height 40 --hfov 84 --looks 3 --out out/flight
  alight replay flight.mp4 --telemetry flight.tlog --offset 12.5 --hfov 84 --out out/flight

Writes decisions.jsonl (a line a frame), summary.json, overlay/ pictures and report.html.
Without --offset the clocks are lined up by themselves and the log line, summary.json and the report say how: DJI subtitles
count from the start of the video; else by the time of recording, if video and log both know it; else start = start.
What a flight log does not say is assumed and named: without attitude, level and straight down; without height, give --height.
Not read yet: alight's own recordings as SOURCE.")]
pub(super) struct Args {
    /// Folder of pictures, picture, or video. Default: a drawn flight.
    source: Option<PathBuf>,
    /// Folder to write into; made if need be.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Height of the camera above the ground, metres: of every picture of a folder, of the first frame of a video. Wins
    /// over the pictures' tags.
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    height: Option<f64>,
    /// Horizontal field of view of the camera, degrees. Wins over the pictures' tags.
    #[arg(long, value_name = "DEG", allow_negative_numbers = true)]
    hfov: Option<f64>,
    /// Flight log that says where each frame was taken: .tlog, ArduPilot .BIN, PX4 .ulg or DJI .srt, told apart by content.
    #[arg(long, value_name = "FILE", requires = "source")]
    telemetry: Option<PathBuf>,
    /// Log time minus video time, seconds: where the video's start lies in the log.
    #[arg(
        long,
        value_name = "S",
        requires = "telemetry",
        allow_negative_numbers = true
    )]
    offset: Option<f64>,
    /// Pictures a second, where the source has no times.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    fps: f64,
    /// Looks that confirm a site. Default: 1 for a folder or a picture, else the configuration's.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    looks: Option<i64>,
    /// Seed of the drawn flight.
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "source")]
    seed: u64,
    /// Network: an ONNX file with its manifest (.toml) beside it. Default: the configuration's, the installed one, the
    /// one inside the program.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Configuration (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    check(args)?;
    let mut settings = model::settings(args.config.as_deref())?;
    let lens = lens(args, &settings)?;
    let mut source = Source::open(args)?;
    let telemetry = open_telemetry(args, &mut source)?;
    let segmenter = model::load(args.model.as_deref(), &settings)?;
    apply_looks(args, &mut settings);
    if !settings.sets_landable_threshold {
        settings.values.landing.hazard.landable_threshold =
            f64::from(segmenter.manifest().output.landable_threshold);
    }
    let provenance = provenance(args, &settings, &segmenter);
    let landing = Landing::new(settings.values.landing.clone()).map_err(Failure::input)?;
    let poses = PoseProvider::new(PoseConfig {
        height_m: args.height,
        hfov_deg: args.hfov.or(settings.values.camera.hfov_deg),
        camera: source.camera().or(lens),
        focal_35mm_mm: telemetry.as_ref().and_then(Telemetry::focal_35mm_mm),
        holds_height: args.source.as_deref().is_some_and(camera::is_pictures),
        ..PoseConfig::default()
    })
    .map_err(Failure::input)?;
    let mut replay = Replay {
        stages: Stepped::new(segmenter, poses, landing),
        writer: Writer::create(&args.out, provenance)?,
        clock: SystemClock::start(),
        telemetry,
    };
    replay.warn_of_the_log();
    let mut progress = Progress::new("frames", source.frames().len_hint());
    loop {
        match source.frames().next_event() {
            SourceEvent::Frame(frame) => {
                let known = source.known_pose(&frame);
                replay.decide(&frame, known)?;
            }
            SourceEvent::Skipped {
                seq,
                source,
                reason,
            } => replay.writer.skipped(seq, &source, reason),
            SourceEvent::End { warning } => {
                if let Some(w) = warning {
                    replay.writer.warned(w);
                }
                break;
            }
        }
        progress.step();
    }
    progress.finish();
    replay.finish(&settings)
}

fn open_telemetry(args: &Args, source: &mut Source) -> Result<Option<Telemetry>, Failure> {
    let (Some(file), Some(pictures)) = (&args.telemetry, &args.source) else {
        return Ok(None);
    };
    let pictures = Pictures {
        source: pictures,
        frames: source.frames().len_hint(),
        fps: args.fps,
        height_m: args.height,
    };
    Telemetry::open(file, args.offset, pictures).map(Some)
}

/// The flags' own ranges, before any work is done.
fn check(args: &Args) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::Input(anyhow!(message)));
    if let Some(h) = args.height
        && !(h.is_finite() && h > 0.0)
    {
        return refuse(format!(
            "--height {h}: must be above 0 metres and finite; give the camera's height above the ground"
        ));
    }
    if let Some(v) = args.hfov
        && !(v > 1.0 && v < 179.0)
    {
        return refuse(format!(
            "--hfov {v}: must lie between 1 and 179 degrees; give the camera's horizontal field of view"
        ));
    }
    if let Some(s) = args.offset
        && !s.is_finite()
    {
        return refuse(format!(
            "--offset {s}: must be finite; give log time minus video time in seconds"
        ));
    }
    if let Some(n) = args.looks
        && !(1..=100).contains(&n)
    {
        return refuse(format!(
            "--looks {n}: must lie in 1..=100; give the number of looks that confirm a site"
        ));
    }
    if !(args.fps.is_finite() && args.fps > 0.0) {
        return refuse(format!(
            "--fps {}: must be above 0 and finite; give the pictures a second",
            args.fps
        ));
    }
    Ok(())
}

fn apply_looks(args: &Args, settings: &mut Settings) {
    let is_pictures = args.source.as_deref().is_some_and(camera::is_pictures);
    let looks = args
        .looks
        .and_then(|n| u32::try_from(n).ok())
        .or(is_pictures.then_some(1));
    if let Some(looks) = looks {
        let track = &mut settings.values.landing.track;
        track.looks_to_confirm = looks;
        track.looks_window = track.looks_window.max(looks);
    }
}

/// The calibrated lens, unless `--hfov` says otherwise.
fn lens(args: &Args, settings: &Settings) -> Result<Option<CameraModel>, Failure> {
    match &settings.values.camera.calibration {
        Some(file) if args.hfov.is_none() => {
            CameraModel::load(file).map(Some).map_err(Failure::input)
        }
        _ => Ok(None),
    }
}

fn provenance(args: &Args, settings: &Settings, segmenter: &TractSegmenter) -> Provenance {
    let manifest = segmenter.manifest();
    let config = toml::to_string(&settings.values).unwrap_or_default();
    Provenance {
        alight: String::from(env!("CARGO_PKG_VERSION")),
        input: args.source.as_ref().map_or_else(
            || format!("drawn flight, seed {}", args.seed),
            |s| s.display().to_string(),
        ),
        model: manifest.name.clone(),
        model_sha256: manifest.sha256.clone(),
        config_sha256: sha256_hex(config.as_bytes()),
    }
}

/// Where frames come from, and the poses that only a drawn world knows.
enum Source {
    Files(Box<dyn FrameSource + Send>),
    Drawn(Box<DrawnFlight>),
}

impl Source {
    fn open(args: &Args) -> Result<Self, Failure> {
        match &args.source {
            Some(path) => camera::open(path, args.fps)
                .map(Self::Files)
                .map_err(Failure::input),
            None => DrawnFlight::new(FlightSpec {
                seed: args.seed,
                ..FlightSpec::default()
            })
            .map(|flight| Self::Drawn(Box::new(flight)))
            .map_err(Failure::working),
        }
    }

    fn frames(&mut self) -> &mut dyn FrameSource {
        match self {
            Self::Files(f) => f.as_mut(),
            Self::Drawn(d) => d.as_mut(),
        }
    }

    fn known_pose(&self, frame: &Frame) -> Option<KnownPose> {
        match self {
            Self::Files(_) => None,
            Self::Drawn(d) => Some(KnownPose {
                pose: d.pose(frame.seq),
                mount: *d.mount(),
            }),
        }
    }

    fn camera(&self) -> Option<CameraModel> {
        match self {
            Self::Files(_) => None,
            Self::Drawn(d) => Some(d.camera_model().clone()),
        }
    }
}

struct Replay {
    stages: Stepped<TractSegmenter>,
    writer: Writer,
    clock: SystemClock,
    telemetry: Option<Telemetry>,
}

impl Replay {
    fn warn_of_the_log(&mut self) {
        for warning in self.telemetry.iter().flat_map(Telemetry::warnings) {
            self.writer.warned(warning);
        }
    }

    fn decide(&mut self, frame: &Frame, known: Option<KnownPose>) -> Result<(), Failure> {
        let whereabouts = match (&mut self.telemetry, known) {
            (Some(telemetry), _) => telemetry.whereabouts(frame),
            (None, Some(known)) => Whereabouts::Pose {
                known,
                new_map: false,
            },
            (None, None) => Whereabouts::InPicture,
        };
        let arrived = self.clock.now();
        let step = self.stages.step(frame, &whereabouts);
        let latency = self.clock.now().since(arrived);
        self.writer.decided(frame, &step, latency)
    }

    fn finish(mut self, settings: &Settings) -> Result<(), Failure> {
        if let Some(telemetry) = &self.telemetry {
            self.writer.placed_by(telemetry.used());
        }
        let elapsed = self.clock.now().since(crate::time::MonoTime::ZERO);
        let config = toml::to_string(&settings.values).unwrap_or_default();
        self.writer
            .finish(self.stages.landing().snapshot(), &config, elapsed)
    }
}
