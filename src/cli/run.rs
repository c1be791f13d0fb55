//! `alight run`: the onboard service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;

use super::{Failure, model, output};
use crate::autopilot::companion::CompanionConfig;
use crate::autopilot::decode::TelemetryConfig;
use crate::autopilot::link::Keyring;
use crate::autopilot::supervisor::{Authority, FieldOfView};
use crate::config::{CameraConfig, CameraSource, Settings};
use crate::geometry::{CameraModel, CameraMount, Vec3};
use crate::pipeline::flight::Eyes;
use crate::pipeline::live::{self, LiveSpec, Note, Status};
use crate::record::{DecisionWriter, EventLine};
use crate::sim::campaign as drawn;
use crate::sim::world::World;
use crate::time::{Clock as _, MonoTime, SystemClock};

/// Horizontal field of view of the world camera, degrees, unless the configuration says otherwise.
const HFOV_DEG: f64 = 70.0;
/// Error of the height over the world camera's ground, metres.
const PLANE_SD_M: f64 = 0.2;
/// Time between two lines in the log that say how it is going.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// Runs in the foreground: listens to the autopilot, looks for places to land, and does what `mode` allows.
///
/// SIGINT or SIGTERM hands the vehicle back and ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight run --config alight.toml
  alight run --config sitl.toml --engage-when-ready --out out/sitl
      with camera.source = \"world\": lands a simulated vehicle by itself

With --out: decisions.jsonl (a line a frame) and events.jsonl. A landing is started and stopped by MAV_CMD_USER_1
(param1 = 1, 0), by the switch of supervisor.engage.switch_channel, or, over a world camera, by --engage-when-ready.")]
pub(super) struct Args {
    /// Configuration (TOML); systemd/alight.toml holds every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Start a landing as soon as one may be started; only with camera.source = "world".
    #[arg(long)]
    engage_when_ready: bool,
    /// Folder to write decisions.jsonl and events.jsonl into; made if need be.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// End, as by SIGTERM, after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let longest = longest(args)?;
    let mut settings = model::settings(Some(&args.config))?;
    check(args, &settings)?;
    let files = model::files(None, &settings)?;
    if !settings.sets_landable_threshold {
        settings.values.landing.hazard.landable_threshold =
            f64::from(files.manifest.output.landable_threshold);
    }
    let mut spec = spec(args, &settings)?;
    let mut keyring = settings.values.link.keyring().map_err(Failure::input)?;
    spec.companion.signing = keyring.as_ref().map(Keyring::signing);
    let mut record = Record::create(args.out.as_deref())?;
    let mut network = model::load(None, &settings)?;
    let stop = interrupted()?;
    let clock = SystemClock::start();
    let has_time = |now: MonoTime| longest.is_none_or(|l| now.since(MonoTime::ZERO) < l);
    log::info!(
        "{}: mode {:?}, {} x {} pixels, every {:.2} s",
        spec.link,
        settings.values.mode,
        spec.camera.width,
        spec.camera.height,
        spec.frame_interval.as_secs_f64()
    );
    let mut failed = None;
    let done = live::run(
        &spec,
        Eyes::Network(&mut network),
        &clock,
        &stop,
        &mut |note| {
            if let Some(keyring) = &mut keyring {
                keyring.keep(clock.now());
            }
            if !has_time(clock.now()) {
                stop.store(true, Ordering::Relaxed);
            }
            if let Err(e) = record.take(&note)
                && failed.is_none()
            {
                // A full disk is no reason to stop flying.
                log::error!("{e}");
                failed = Some(e);
            }
        },
    );
    done.map_err(Failure::working)?;
    failed.map_or(Ok(()), Err)
}

fn longest(args: &Args) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = args.seconds else {
        return Ok(None);
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero())
        .map(Some)
        .ok_or_else(|| {
            Failure::Input(anyhow!(
                "--for {seconds}: must be above 0 seconds; leave it out to run until SIGTERM"
            ))
        })
}

/// What cannot fly, before any work is done.
fn check(args: &Args, settings: &Settings) -> Result<(), Failure> {
    let file = args.config.display();
    let refuse = |message: String| Err(Failure::Input(anyhow!(message)));
    let values = &settings.values;
    match values.camera.source {
        Some(CameraSource::World) => {}
        Some(CameraSource::V4l) => {
            return refuse(format!(
                "{file}: camera.source = \"v4l\": cameras of the board come with the onboard package; set \"world\" to fly \
                 in simulation"
            ));
        }
        None => {
            return refuse(format!(
                "{file}: camera.source is not set: set it to \"world\" to fly in simulation"
            ));
        }
    }
    if values.link.address.is_none() {
        return refuse(format!(
            "{file}: link is not set: write where the autopilot is, link = \"tcp:127.0.0.1:5762\" or \
             \"udpin:127.0.0.1:14540\""
        ));
    }
    if args.engage_when_ready && values.mode != Authority::Command {
        return refuse(format!(
            "--engage-when-ready: {file} sets mode = \"{}\", which starts no landing: set mode = \"command\"",
            format!("{:?}", values.mode).to_lowercase()
        ));
    }
    Ok(())
}

fn spec(args: &Args, settings: &Settings) -> Result<LiveSpec, Failure> {
    let values = &settings.values;
    let link = values.link.address.clone();
    let link = link.ok_or_else(|| Failure::Input(anyhow!("link is not set")))?;
    let world = match &values.camera.world {
        Some(file) => World::load(file).map_err(Failure::input)?,
        None => drawn::world(values.camera.world_seed),
    };
    let camera = lens(&values.camera)?;
    let mount = &values.camera.mount;
    let [forward, right, down] = mount.lever_arm_m;
    Ok(LiveSpec {
        link,
        companion: companion(settings, &camera),
        landing: values.landing.clone(),
        world: Arc::new(world),
        camera,
        mount: CameraMount::from_roll_pitch_yaw(
            mount.roll_deg.to_radians(),
            mount.pitch_deg.to_radians(),
            mount.yaw_deg.to_radians(),
            Vec3::new(forward, right, down),
        ),
        frame_interval: MonoTime::from_secs_f64(1.0 / values.camera.rate_hz).since(MonoTime::ZERO),
        latency: MonoTime::from_secs_f64(values.camera.latency_ms / 1e3).since(MonoTime::ZERO),
        engages_when_ready: args.engage_when_ready,
    })
}

fn lens(camera: &CameraConfig) -> Result<CameraModel, Failure> {
    let (width, height) = (camera.width_px, camera.height_px);
    let Some(file) = &camera.calibration else {
        let hfov_deg = camera.hfov_deg.unwrap_or(HFOV_DEG);
        return CameraModel::from_hfov(width, height, hfov_deg).map_err(Failure::input);
    };
    CameraModel::load(file)
        .map_err(Failure::input)?
        .scaled_to(width, height)
        .map_err(|e| Failure::Input(anyhow!("{}: {e}", file.display())))
}

fn companion(settings: &Settings, camera: &CameraModel) -> CompanionConfig {
    let values = &settings.values;
    let mut supervisor = values.supervisor.clone();
    // What is rendered is rendered through the configured lens.
    supervisor.camera_is_calibrated = true;
    let angle = |size: u32, focal: f64| 2.0 * (0.5 * f64::from(size) / focal).atan().to_degrees();
    let lens = FieldOfView {
        horizontal_deg: angle(camera.width, camera.fx),
        vertical_deg: angle(camera.height, camera.fy),
    };
    let landing = &values.landing;
    supervisor.fit_to_camera(lens, landing.disc_radius_m(), landing.hazard.people_floor_m);
    CompanionConfig {
        supervisor,
        telemetry: TelemetryConfig {
            system_id: values.link.system_id,
            flat_ground_sd_m: Some(PLANE_SD_M),
            ..TelemetryConfig::default()
        },
        ..CompanionConfig::default()
    }
}

/// SIGINT or SIGTERM asks for the end; a second one does not ask.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(Failure::working)?;
    }
    Ok(stop)
}

/// What stays of the flight.
struct Record {
    /// When the log next says how it is going.
    next_line: MonoTime,
    files: Option<(DecisionWriter, std::fs::File, PathBuf)>,
}

impl Record {
    fn create(out: Option<&Path>) -> Result<Self, Failure> {
        let Some(out) = out else {
            return Ok(Self {
                next_line: MonoTime::ZERO,
                files: None,
            });
        };
        let out = output::folder(out)?;
        let decisions =
            DecisionWriter::create(&out.join("decisions.jsonl")).map_err(Failure::working)?;
        let file = out.join("events.jsonl");
        let events = output::written(std::fs::File::create(&file), &file)?;
        Ok(Self {
            next_line: MonoTime::ZERO,
            files: Some((decisions, events, file)),
        })
    }

    fn take(&mut self, note: &Note) -> Result<(), Failure> {
        match note {
            Note::Decision(line) => self
                .files
                .as_mut()
                .map_or(Ok(()), |(decisions, ..)| decisions.append(line))
                .map_err(Failure::working),
            Note::Event(at, text) => {
                log::info!("{text}");
                self.event(*at, text)
            }
            Note::Status(status) => {
                if status.at >= self.next_line {
                    self.next_line = status.at.after(LINE_PERIOD);
                    say(status);
                }
                Ok(())
            }
        }
    }

    fn event(&mut self, at: MonoTime, text: &str) -> Result<(), Failure> {
        use std::io::Write as _;
        let Some((_, events, file)) = &mut self.files else {
            return Ok(());
        };
        let line = EventLine {
            at_s: (at.as_secs_f64() * 1e3).round() / 1e3,
            text: text.to_owned(),
        };
        let line = serde_json::to_string(&line).map_err(Failure::working)?;
        output::written(writeln!(events, "{line}"), file)
    }
}

fn say(s: &Status) {
    let height = s
        .height_m
        .map_or_else(|| "height unknown".to_owned(), |h| format!("{h:.1} m"));
    let ready = s.refusal.unwrap_or("ready");
    let (frames, dropped) = s.frames;
    log::info!(
        "{}: {height}; {frames} frames decided, {dropped} dropped; {} bytes heard; {ready}",
        s.phase.text(),
        s.bytes
    );
}
