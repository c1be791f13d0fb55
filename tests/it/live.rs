//! The live pipeline over a loopback link, in real time, against the simulated autopilot.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alight::autopilot::companion::CompanionConfig;
use alight::autopilot::decode::TelemetryConfig;
use alight::autopilot::supervisor::{Authority, FieldOfView, SupervisorConfig};
use alight::geometry::{CameraModel, CameraMount, GroundPoint, Vec3};
use alight::inference::manifest::Manifest;
use alight::landing::LandingConfig;
use alight::pipeline::flight::Eyes;
use alight::pipeline::live::{self, LiveSpec, Note};
use alight::sim::autopilot::{Dialect, SimAutopilot, SimConfig, Truth};
use alight::sim::autopilot::{Endpoint, serve};
use alight::sim::campaign;
use alight::sim::noisy::TruthSegmenter;
use alight::time::{Clock as _, MonoTime, SystemClock};
use alight::vehicle::Mode;

const MANIFEST: &str = include_str!("../../models/landing.toml");
/// The flight is over after this, whatever happens.
const LONGEST: Duration = Duration::from_secs(80);

/// What came of a live flight.
#[derive(Debug, Default)]
struct Flown {
    truth: Option<Truth>,
    events: Vec<String>,
    /// Sites offered, north and east.
    sites: Vec<[f64; 2]>,
}

fn spec(link: &str, dialect: Dialect) -> (LiveSpec, SimConfig) {
    let world = campaign::world(2);
    let start = campaign::start(&world, 2);
    let camera = CameraModel::from_hfov(384, 256, 70.0).unwrap();
    let landing = LandingConfig::default();
    let mut supervisor = SupervisorConfig {
        mode: Authority::Command,
        camera_is_calibrated: true,
        ..SupervisorConfig::default()
    };
    supervisor.fit_to_camera(
        FieldOfView {
            horizontal_deg: 70.0,
            vertical_deg: 50.0,
        },
        landing.disc_radius_m(),
        landing.hazard.people_floor_m,
    );
    let spec = LiveSpec {
        link: link.parse().unwrap(),
        companion: CompanionConfig {
            supervisor,
            telemetry: TelemetryConfig {
                flat_ground_sd_m: Some(0.2),
                ..TelemetryConfig::default()
            },
            ..CompanionConfig::default()
        },
        landing,
        world: Arc::new(world),
        camera,
        mount: CameraMount::nadir(),
        frame_interval: Duration::from_millis(250),
        latency: Duration::from_millis(60),
        engages_when_ready: true,
    };
    let sim = SimConfig {
        start: Vec3::new(start.north_m, start.east_m, -13.0),
        ..SimConfig::new(dialect, 2)
    };
    (spec, sim)
}

/// Flies until the vehicle stands, or `until` says that it is enough.
fn fly(
    (spec, sim): (LiveSpec, SimConfig),
    endpoint: &Endpoint,
    until: impl Fn(&[String]) -> bool,
) -> Flown {
    let manifest = Manifest::parse(MANIFEST, Path::new("landing.toml")).unwrap();
    let told = TruthSegmenter::new(&manifest, Arc::clone(&spec.world));
    let (clock, stop, ends) = (
        SystemClock::start(),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    let mut flown = Flown::default();
    let mut autopilot = SimAutopilot::new(sim);
    std::thread::scope(|scope| {
        let (clock, stop, ends) = (&clock, &stop, &ends);
        let autopilot = &mut autopilot;
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn_scoped(scope, move || {
                serve(autopilot, endpoint, clock, ends, |a| {
                    let is_down = a.truth().touchdown.is_some() && !a.truth().is_armed;
                    if is_down || clock.now().since(MonoTime::ZERO) > LONGEST {
                        stop.store(true, Ordering::Relaxed);
                    }
                })
                .unwrap();
            })
            .unwrap();
        let eyes = Eyes::Told(Box::new(told));
        live::run(&spec, eyes, clock, stop, &mut |note| match note {
            Note::Decision(line) => {
                flown.sites.extend(line.site.map(|s| [s.north_m, s.east_m]));
            }
            Note::Event(at, text) => {
                eprintln!("{:7.2} {text}", at.as_secs_f64());
                flown.events.push(text);
                if until(&flown.events) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            Note::Status(status) => eprintln!("{status:?}"),
        })
        .unwrap();
        ends.store(true, Ordering::Relaxed);
    });
    flown.truth = Some(*autopilot.truth());
    flown
}

/// `udpin:` at a free port, and the simulated autopilot that sends there.
fn over_udp() -> (String, Endpoint) {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    (format!("udpin:{at}"), Endpoint::udp_to(at).unwrap())
}

fn over_tcp() -> (String, Endpoint) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::tcp_at(any).unwrap();
    let at = endpoint.local_addr().unwrap();
    (format!("tcp:{at}"), endpoint)
}

#[rstest::rstest]
#[case::ardupilot_over_udp(Dialect::ArduPilot, over_udp())]
#[case::px4_over_tcp(Dialect::Px4, over_tcp())]
fn it_lands_on_the_place_that_it_offered(
    #[case] dialect: Dialect,
    #[case] (link, endpoint): (String, Endpoint),
) {
    let (spec, sim) = spec(&link, dialect);
    let world = Arc::clone(&spec.world);
    let flown = fly((spec, sim), &endpoint, |_| false);
    let truth = flown.truth.unwrap();
    let touchdown = truth.touchdown.expect("it stands on the ground");
    assert!(touchdown.speed_m_s < 1.5, "{touchdown:?}");
    // The camera looks down from where the autopilot believes to be.
    let believed = truth.position + truth.estimate_error;
    let place = GroundPoint {
        north_m: believed.north(),
        east_m: believed.east(),
    };
    assert!(world.worst_surface(place, 0.5, 0.0).is_landable());
    let nearest = flown
        .sites
        .iter()
        .map(|[n, e]| (n - place.north_m).hypot(e - place.east_m))
        .fold(f64::INFINITY, f64::min);
    assert!(
        nearest < 1.0,
        "{nearest:.2} m from the nearest site offered"
    );
    for phase in ["searching", "descending", "committed"] {
        assert!(
            flown.events.iter().any(|e| e.starts_with(phase)),
            "{phase}: {:?}",
            flown.events
        );
    }
}

#[test]
fn a_stop_in_the_descent_hands_the_vehicle_back_in_a_hold() {
    let (link, endpoint) = over_udp();
    let flown = fly(spec(&link, Dialect::ArduPilot), &endpoint, |events| {
        events.iter().any(|e| e.starts_with("descending"))
    });
    let truth = flown.truth.unwrap();
    assert!(truth.touchdown.is_none() && truth.is_armed);
    assert_eq!(truth.mode, Mode::Hold);
    let last = flown.events.iter().rfind(|e| !e.contains(':')).unwrap();
    assert!(last.starts_with("handed-back"), "{:?}", flown.events);
}
