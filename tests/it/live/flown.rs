//! A flight of the live pipeline against the simulated autopilot on a loopback link.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use alight::autopilot::companion::CompanionConfig;
use alight::autopilot::decode::TelemetryConfig;
use alight::autopilot::supervisor::{Authority, FieldOfView, SupervisorConfig};
use alight::camera::Frame;
use alight::camera::world::{Sighting, WorldSpec};
use alight::geometry::{CameraModel, CameraMount, Vec3};
use alight::inference::manifest::Manifest;
use alight::inference::{InferenceError, SegmentationMap, Segmenter};
use alight::landing::LandingConfig;
use alight::pipeline::live::{self, Camera, LiveReport, Options, Parts, TapeEntry};
use alight::pipeline::schedule;
use alight::record::{DecisionLine, EventLine};
use alight::sim::autopilot::{Dialect, Endpoint, SimAutopilot, SimConfig, Truth, serve};
use alight::sim::campaign;
use alight::sim::noisy::{Sight, TruthSegmenter};
use alight::sim::world::World;
use alight::time::{Clock as _, MonoTime, SystemClock};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::de::DeserializeOwned;

const MANIFEST: &str = include_str!("../../../models/landing.toml");
/// The flight is over after this, whatever happens.
const LONGEST: Duration = Duration::from_secs(80);
/// A vehicle that stands is watched for so long.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Height of the start, metres.
const START_M: f64 = 13.0;
/// Patience of the supervisor with a fault, seconds.
const PATIENCE_S: f64 = 4.0;
/// Time a frame of a slow network.
pub(super) const SLOW: Duration = Duration::from_millis(350);
/// Entries of a tape: more than a flight of this file has.
pub(super) const TAPE: usize = 100_000;

/// What the segmenter does with its next frame.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u8)]
pub(super) enum Mood {
    Well = 0,
    Hangs = 1,
    Panics = 2,
    /// Takes [`SLOW`] a frame.
    Slow = 3,
}

/// Tells the truth of each frame, until its mood changes.
struct Told {
    truth: TruthSegmenter,
    sightings: Receiver<Sighting>,
    mood: Arc<AtomicU8>,
    /// Whoever hangs is let go at the end of the test.
    let_go: Receiver<()>,
}

impl Segmenter for Told {
    fn manifest(&self) -> &Manifest {
        self.truth.manifest()
    }

    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError> {
        match self.mood.load(Ordering::Relaxed) {
            m if m == Mood::Hangs as u8 => {
                let _ = self.let_go.recv();
            }
            m if m == Mood::Panics as u8 => panic!("a broken network"),
            m if m == Mood::Slow as u8 => {
                let _ = self.let_go.recv_timeout(SLOW);
            }
            _ => {}
        }
        let seen = self.sightings.try_iter().find(|s| s.seq == frame.seq);
        let seen = seen.ok_or_else(|| InferenceError::Run("nobody saw this frame".to_owned()))?;
        self.truth.look(&seen.view, seen.t_s, Sight::Clear);
        self.truth.segment(frame, out)
    }
}

/// A flight to be flown.
pub(super) struct Plan {
    pub(super) parts: Parts,
    pub(super) options: Options,
    sim: SimConfig,
    pub(super) world: Arc<World>,
    endpoint: Endpoint,
    pub(super) mood: Arc<AtomicU8>,
    let_go: Sender<()>,
}

/// What came of it.
pub(super) struct Flown {
    pub(super) truth: Truth,
    pub(super) report: LiveReport,
    pub(super) events: Vec<String>,
    pub(super) decisions: Vec<DecisionLine>,
    pub(super) tape: Vec<TapeEntry>,
}

pub(super) fn companion_config() -> CompanionConfig {
    let landing = LandingConfig::default();
    let mut supervisor = SupervisorConfig {
        mode: Authority::Command,
        camera_is_calibrated: true,
        ..SupervisorConfig::default()
    };
    supervisor.descent.patience_s = PATIENCE_S;
    supervisor.fit_to_camera(
        FieldOfView {
            horizontal_deg: 70.0,
            vertical_deg: 50.0,
        },
        landing.disc_radius_m(),
        landing.hazard.people_floor_m,
    );
    CompanionConfig {
        supervisor,
        telemetry: TelemetryConfig {
            flat_ground_sd_m: Some(0.2),
            ..TelemetryConfig::default()
        },
        ..CompanionConfig::default()
    }
}

pub(super) fn lens() -> CameraModel {
    CameraModel::from_hfov(384, 256, 70.0).unwrap()
}

pub(super) fn plan(dialect: Dialect, (link, endpoint): (String, Endpoint)) -> Plan {
    let world = Arc::new(campaign::world(2));
    let start = campaign::start(&world, 2);
    let manifest = Manifest::parse(MANIFEST, Path::new("landing.toml")).unwrap();
    let (to_told, sightings) = bounded(64);
    let (let_go, hangs) = bounded(0);
    let mood = Arc::new(AtomicU8::new(Mood::Well as u8));
    let told = Told {
        truth: TruthSegmenter::new(&manifest, Arc::clone(&world)),
        sightings,
        mood: Arc::clone(&mood),
        let_go: hangs,
    };
    let camera = WorldSpec {
        world: Arc::clone(&world),
        seed: 1,
        lens: lens(),
        mount: CameraMount::nadir(),
        interval: Duration::from_millis(250),
        latency: Duration::from_millis(60),
        pictures: schedule::PICTURES,
        sightings: Some(to_told),
    };
    Plan {
        parts: Parts {
            camera: Camera::World(Box::new(camera)),
            segmenter: Box::new(told),
            landing: LandingConfig::default(),
            companion: companion_config(),
            link: link.parse().unwrap(),
            clock: SystemClock::start(),
        },
        options: Options {
            engages_when_ready: true,
            ..Options::default()
        },
        sim: SimConfig {
            start: Vec3::new(start.north_m, start.east_m, -START_M),
            ..SimConfig::new(dialect, 2)
        },
        world,
        endpoint,
        mood,
        let_go,
    }
}

/// Flies until the vehicle stands or `watch` sets the flag it is given.
pub(super) fn fly(plan: Plan, taped: bool, watch: impl Fn(&Truth, &AtomicBool) + Send) -> Flown {
    let folder = tempfile::tempdir().unwrap();
    let (to_tape, from_tape) = bounded(TAPE);
    let options = Options {
        out: Some(folder.path().to_owned()),
        tape: taped.then_some(to_tape),
        ..plan.options
    };
    let Plan {
        parts,
        sim,
        endpoint,
        let_go,
        ..
    } = plan;
    let clock = parts.clock.clone();
    let (stop, ends) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut autopilot = SimAutopilot::new(sim);
    let report = std::thread::scope(|scope| {
        let (autopilot, stop, ends) = (&mut autopilot, &stop, &ends);
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn_scoped(scope, move || {
                let mut down_at = None;
                serve(autopilot, &endpoint, &clock, ends, |a| {
                    let (truth, now) = (a.truth(), clock.now());
                    if truth.touchdown.is_some() && !truth.is_armed {
                        down_at.get_or_insert(now);
                    }
                    // The other side has to hear of it first.
                    let is_over = down_at.is_some_and(|at| now.since(at) > AFTERMATH);
                    if is_over || now.since(MonoTime::ZERO) > LONGEST {
                        stop.store(true, Ordering::Relaxed);
                    }
                    watch(truth, stop);
                })
                .unwrap();
            })
            .unwrap();
        let report = live::run(parts, options, stop);
        ends.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    drop(let_go);
    eprintln!("{report:#?}");
    Flown {
        truth: *autopilot.truth(),
        events: lines::<EventLine>(folder.path(), "events.jsonl")
            .inspect(|e| eprintln!("{:7.2} {}", e.at_s, e.text))
            .map(|e| e.text)
            .collect(),
        decisions: lines(folder.path(), "decisions.jsonl").collect(),
        tape: from_tape.try_iter().collect(),
        report,
    }
}

fn lines<T: DeserializeOwned>(folder: &Path, name: &str) -> impl Iterator<Item = T> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let lines: Vec<T> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.into_iter()
}

impl Flown {
    pub(super) fn says(&self, part: &str) -> bool {
        self.events.iter().any(|e| e.contains(part))
    }
}

/// On the way down by more than a gust.
pub(super) fn descends(truth: &Truth) -> bool {
    truth.position.down() > 2.0 - START_M
}

/// `udpin:` at a free port, and the simulated autopilot that sends there.
pub(super) fn over_udp() -> (String, Endpoint) {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    (format!("udpin:{at}"), Endpoint::udp_to(at).unwrap())
}

pub(super) fn over_tcp() -> (String, Endpoint) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::tcp_at(any).unwrap();
    let at = endpoint.local_addr().unwrap();
    (format!("tcp:{at}"), endpoint)
}
