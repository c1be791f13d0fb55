//! `alight sim`: closed-loop landings in virtual time, one or thousands.

mod campaign;
mod live;
mod serve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::{Failure, model, output};
use crate::autopilot::companion::CompanionConfig;
use crate::autopilot::supervisor::{Authority, FieldOfView, SupervisorConfig};
use crate::config::Settings;
use crate::geometry::{CameraModel, CameraMount};
use crate::inference::manifest::{ModelFiles, sha256_hex};
use crate::inference::tract::TractSegmenter;
use crate::pipeline::flight::{Eyes, FlightSpec};
use crate::record::CampaignProvenance;
use crate::sim::autopilot::Dialect;
use crate::sim::campaign as drawn;
use crate::sim::errors::ErrorTable;
use crate::sim::faults::FaultPlan;
use crate::sim::noisy::TruthSegmenter;
use crate::sim::world::World;

/// The errors of the network inside the program.
const ERRORS: &str = include_str!("../../models/errors.json");
/// The camera of the simulation: pixels, and degrees unless the configuration says otherwise.
const CAMERA: (u32, u32, f64) = (384, 256, 70.0);
/// The network sees larger pictures: as large as those that it was trained on.
const NETWORK_CAMERA: (u32, u32) = (768, 512);
/// Time between two pictures, and from a picture to its decision.
const FRAME_INTERVAL: Duration = Duration::from_millis(250);
const LATENCY: Duration = Duration::from_millis(120);
/// Longest flight.
const LONGEST: Duration = Duration::from_mins(4);

/// Flies closed-loop landings against a simulated autopilot and writes `flights.jsonl`, `summary.json`, `report.html`.
///
/// Without --world every flight has drawn ground of its own, with people on foot and cars under way, starts 15 to 60 m
/// up and has up to 8 m/s of wind; --seed decides all of it. A flight is a success when it touches down with the whole
/// vehicle on landable ground, nobody nearer than 2 m at any moment below 10 m.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight sim --out out/one
      one landing, watched live on a terminal, with its report
  alight sim --flights 100 --segmenter noisy --out out/hundred
      a campaign over all cores; both autopilots in turn
  alight sim --flights 50 --segmenter noisy --faults random --out out/faults
  alight sim --world yard.toml --flights 4 --out out/yard
  alight sim --serve 127.0.0.1:5762 --seed 4 --out out/served
      a vehicle in real time, for alight run with link = \"tcp:127.0.0.1:5762\"

Segmenters: `network` runs the network on the rendered picture; `truth` is told the truth; `noisy` is the truth with the
network's own measured errors, in patches that stay, and people missed whole.

Faults: `random` (one or two a flight, any kind, any moment), `takeover` (the pilot, at any moment), or a file:
  [[fault]]
  kind = \"camera-freeze\"   # black-frames, blur, frame-loss, telemetry-loss, link-cut, autopilot-reboot, gps-jump,
                           # range-failure, battery-low, wind-gust, person-walks-in, pilot-takeover
  after = \"descending\"     # engaged, searching, approaching, descending, committed; default: engaged
  at_s = [2.0, 6.0]        # seconds after it: a number, or two between which the seed chooses
  duration_s = 3.0         # optional
  size = 10.0              # optional: metres of a jump, m/s of a gust, pixels of blur

Control-C ends a campaign early; what was flown is written.")]
pub(super) struct Args {
    /// World file (TOML). Default: drawn ground.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// How many flights; their seeds follow --seed.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    flights: i64,
    /// Seed of the first flight.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Whose behaviour the simulated autopilot has. Default: even seeds `ArduPilot`, odd seeds PX4.
    #[arg(long, value_enum)]
    autopilot: Option<AutopilotArg>,
    /// What says what the pictures show.
    #[arg(long, value_enum, default_value_t = SegmenterArg::Network)]
    segmenter: SegmenterArg,
    /// What goes wrong: a file, `random` or `takeover`.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Threads that fly. Default: as many as there are cores.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<i64>,
    /// Folder to write into; made if need be.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print `summary.json` on standard output.
    #[arg(long)]
    json: bool,
    /// Fly nothing: serve one simulated vehicle in real time at this address (TCP), until interrupted, and write what it does
    /// to `flown.jsonl`.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["flights", "faults", "threads", "json"])]
    serve: Option<SocketAddr>,
    /// With --serve: what its camera sees, four raw YUYV pictures a second, to whoever calls this address (TCP).
    #[arg(long, value_name = "HOST:PORT", requires = "serve")]
    serve_frames: Option<SocketAddr>,
    /// Network: an ONNX file with its manifest (.toml) beside it.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Configuration (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Whose behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AutopilotArg {
    /// `ArduCopter`.
    Ardupilot,
    /// PX4 multicopter.
    Px4,
}

/// What says what the pictures show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SegmenterArg {
    /// The network, on the rendered picture.
    Network,
    /// The truth with the network's measured errors.
    Noisy,
    /// The truth.
    Truth,
}

impl SegmenterArg {
    const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Noisy => "noisy",
            Self::Truth => "truth",
        }
    }
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let plan = Plan::of(args)?;
    let out = output::folder(&args.out)?;
    if let Some(link) = args.serve {
        return serve::serve_one(&plan, &out, link, args.serve_frames);
    }
    if plan.flights == 1 {
        live::fly_one(&plan, &out, args.json)
    } else {
        campaign::fly_all(&plan, &out, args.json)
    }
}

/// Everything that the flights share.
struct Plan {
    flights: u64,
    first_seed: u64,
    threads: usize,
    autopilot: Option<Dialect>,
    segmenter: SegmenterArg,
    faults: FaultPlan,
    /// The world of a file, and whether it has a place to land.
    world: Option<(Arc<World>, bool)>,
    files: ModelFiles,
    errors: ErrorTable,
    settings: Settings,
    companion: CompanionConfig,
    camera: CameraModel,
    provenance: CampaignProvenance,
}

impl Plan {
    fn of(args: &Args) -> Result<Self, Failure> {
        let (flights, threads) = counts(args)?;
        let faults = match &args.faults {
            Some(given) => FaultPlan::open(given).map_err(Failure::input)?,
            None => FaultPlan::None,
        };
        let mut settings = model::settings(args.config.as_deref())?;
        let files = model::files(args.model.as_deref(), &settings)?;
        let errors = ErrorTable::parse(ERRORS, "models/errors.json").map_err(Failure::working)?;
        if !settings.sets_landable_threshold {
            settings.values.landing.hazard.landable_threshold =
                f64::from(files.manifest.output.landable_threshold);
        }
        let world = match &args.world {
            Some(file) => {
                let world = World::load(file).map_err(Failure::input)?;
                let has_place = drawn::has_place(&world);
                Some((Arc::new(world), has_place))
            }
            None => None,
        };
        let camera = camera(&settings, args.segmenter)?;
        let companion = companion(&settings, &camera);
        Ok(Self {
            flights,
            first_seed: args.seed,
            threads,
            autopilot: args.autopilot.map(|a| match a {
                AutopilotArg::Ardupilot => Dialect::ArduPilot,
                AutopilotArg::Px4 => Dialect::Px4,
            }),
            segmenter: args.segmenter,
            faults,
            world,
            provenance: provenance(args, &files, &errors, &settings),
            files,
            errors,
            settings,
            companion,
            camera,
        })
    }

    /// The flight with this seed.
    fn flight(&self, seed: u64) -> FlightSpec {
        let of_file = self.world.clone();
        let (world, has_place) = of_file.unwrap_or_else(|| {
            let world = drawn::world(seed);
            let has_place = drawn::has_place(&world);
            (Arc::new(world), has_place)
        });
        let alternating = if seed.is_multiple_of(2) {
            Dialect::ArduPilot
        } else {
            Dialect::Px4
        };
        FlightSpec {
            seed,
            dialect: self.autopilot.unwrap_or(alternating),
            start: drawn::start(&world, seed),
            world,
            has_place,
            faults: self.faults.draw(seed),
            landing: self.settings.values.landing.clone(),
            companion: self.companion.clone(),
            camera: self.camera.clone(),
            mount: CameraMount::nadir(),
            frame_interval: FRAME_INTERVAL,
            latency: LATENCY,
            longest: LONGEST,
        }
    }

    /// The network, if it is to fly.
    fn network(&self) -> Result<Option<TractSegmenter>, Failure> {
        let is_flown = self.segmenter == SegmenterArg::Network;
        is_flown
            .then(|| TractSegmenter::new(&self.files).map_err(Failure::input))
            .transpose()
    }

    /// What says what this flight's pictures show.
    fn eyes<'a>(&self, flight: &FlightSpec, network: Option<&'a mut TractSegmenter>) -> Eyes<'a> {
        let world = Arc::clone(&flight.world);
        let manifest = &self.files.manifest;
        match (network, self.segmenter) {
            (Some(network), _) => Eyes::Network(network),
            (None, SegmenterArg::Truth) => {
                Eyes::Told(Box::new(TruthSegmenter::new(manifest, world)))
            }
            (None, _) => Eyes::Told(Box::new(TruthSegmenter::noisy(
                manifest,
                world,
                &self.errors,
                flight.seed,
            ))),
        }
    }
}

/// The flags' own ranges.
fn counts(args: &Args) -> Result<(u64, usize), Failure> {
    let refuse = |message: String| Failure::Input(anyhow!(message));
    let flights = u64::try_from(args.flights)
        .ok()
        .filter(|n| (1..=1_000_000).contains(n));
    let flights = flights.ok_or_else(|| {
        refuse(format!(
            "--flights {}: must lie in 1..=1000000; give the number of flights",
            args.flights
        ))
    })?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match args.threads {
        None => cores,
        Some(n) => usize::try_from(n)
            .ok()
            .filter(|n| (1..=1024).contains(n))
            .ok_or_else(|| {
                refuse(format!(
                    "--threads {n}: must lie in 1..=1024; leave it out for one a core"
                ))
            })?,
    };
    Ok((flights, threads))
}

fn camera(settings: &Settings, segmenter: SegmenterArg) -> Result<CameraModel, Failure> {
    let (width, height, hfov_deg) = CAMERA;
    let (width, height) = match segmenter {
        SegmenterArg::Network => NETWORK_CAMERA,
        SegmenterArg::Noisy | SegmenterArg::Truth => (width, height),
    };
    let camera = &settings.values.camera;
    let Some(file) = &camera.calibration else {
        let hfov = camera.hfov_deg.unwrap_or(hfov_deg);
        return CameraModel::from_hfov(width, height, hfov).map_err(Failure::input);
    };
    CameraModel::load(file)
        .map_err(Failure::input)?
        .scaled_to(width, height)
        .map_err(|e| Failure::Input(anyhow!("{}: {e}", file.display())))
}

/// As configured, but in command of the vehicle: there is nothing to see in advise mode.
fn companion(settings: &Settings, camera: &CameraModel) -> CompanionConfig {
    let mut supervisor = SupervisorConfig {
        mode: Authority::Command,
        camera_is_calibrated: true,
        ..settings.values.supervisor.clone()
    };
    let angle = |size: u32, focal: f64| 2.0 * (0.5 * f64::from(size) / focal).atan().to_degrees();
    let lens = FieldOfView {
        horizontal_deg: angle(camera.width, camera.fx),
        vertical_deg: angle(camera.height, camera.fy),
    };
    let landing = &settings.values.landing;
    supervisor.fit_to_camera(lens, landing.disc_radius_m(), landing.hazard.people_floor_m);
    CompanionConfig {
        supervisor,
        ..CompanionConfig::default()
    }
}

fn provenance(
    args: &Args,
    files: &ModelFiles,
    errors: &ErrorTable,
    settings: &Settings,
) -> CampaignProvenance {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    let config = toml::to_string(&settings.values).unwrap_or_default();
    CampaignProvenance {
        alight: String::from(env!("CARGO_PKG_VERSION")),
        segmenter: args.segmenter.name().to_owned(),
        model: files.manifest.name.clone(),
        model_sha256: match args.segmenter {
            SegmenterArg::Noisy => errors.network_sha256.clone(),
            SegmenterArg::Network | SegmenterArg::Truth => files.manifest.sha256.clone(),
        },
        config_sha256: sha256_hex(config.as_bytes()),
        world: args
            .world
            .as_deref()
            .map_or_else(|| "drawn".to_owned(), name),
        seed: args.seed,
        faults: args
            .faults
            .as_deref()
            .map_or_else(|| "none".to_owned(), name),
    }
}
