//! `alight sim --serve`: one simulated vehicle in real time, for `alight run` or a ground station at the other end.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use serde::Serialize;

use super::super::{Failure, interrupted};
use super::Plan;
use crate::camera::raw::yuyv_from_rgb;
use crate::camera::world::WorldCamera;
use crate::geometry::{CameraMount, GroundPoint, View};
use crate::pipeline::flight::sim_config;
use crate::sim::autopilot::{Endpoint, SimAutopilot, Truth, serve};
use crate::time::{MonoTime, SystemClock};
use crate::vehicle::{HeightAboveGround, HeightSource, Mode, Pose};

/// Between two pictures.
const INTERVAL: Duration = Duration::from_millis(250);
/// People farther off are not looked for, metres.
const PEOPLE_M: f64 = 20.0;
/// Radius of the vehicle, metres, for the ground that it stands on.
const VEHICLE_M: f64 = 0.5;

/// What changed, and where the vehicle was.
#[derive(Debug, Serialize)]
struct Line {
    at_s: f64,
    mode: String,
    armed: bool,
    landed: bool,
    height_m: f64,
    north_m: f64,
    east_m: f64,
    /// The worst ground below the vehicle.
    surface: &'static str,
    /// To the nearest person within 20 m.
    person_m: Option<f64>,
}

/// Serves until interrupted. `flown.jsonl` in `out` gets a line for each change of mode, arming or landing.
pub(super) fn serve_one(
    plan: &Plan,
    out: &Path,
    link: SocketAddr,
    frames: Option<SocketAddr>,
) -> Result<(), Failure> {
    let cannot =
        |at: SocketAddr| move |e| Failure::Input(anyhow!("{at}: {e}; is another program there?"));
    let endpoint = Endpoint::tcp_at(link).map_err(cannot(link))?;
    let spec = plan.flight(plan.first_seed);
    let mut sim = SimAutopilot::new(sim_config(&spec));
    let stop = interrupted()?;
    let (to_camera, poses) = bounded::<Truth>(1);
    let camera = match frames {
        None => None,
        Some(at) => {
            let listener = TcpListener::bind(at).map_err(cannot(at))?;
            listener.set_nonblocking(true).map_err(Failure::working)?;
            let camera = WorldCamera::new(Arc::clone(&spec.world));
            let (lens, flag) = (spec.camera.clone(), Arc::clone(&stop));
            let film = move |truth: &Truth| {
                let view = View::new(lens.clone(), &CameraMount::nadir(), pose(truth));
                camera.render(&view, truth.at.as_secs_f64()).picture
            };
            let work = move || project(&listener, &poses, &flag, film);
            let thread = std::thread::Builder::new().name("frames".to_owned());
            Some(thread.spawn(work).map_err(Failure::working)?)
        }
    };
    log::info!(
        "{:?} at tcp:{link}, {:.0} m over drawn ground {}",
        spec.dialect,
        spec.start.height_m,
        plan.first_seed
    );
    let path = out.join("flown.jsonl");
    let mut file = std::fs::File::create(&path).map_err(Failure::working)?;
    let mut last = None;
    let mut unwritten = None;
    serve(&mut sim, &endpoint, &SystemClock::start(), &stop, |sim| {
        let truth = sim.truth();
        // The camera takes the newest when it is ready.
        let _ = to_camera.try_send(*truth);
        let now = (truth.mode, truth.is_armed, truth.is_landed);
        if last.replace(now) != Some(now) {
            let text = serde_json::to_string(&line(truth, &spec.world)).unwrap_or_default();
            log::info!("{text}");
            unwritten = writeln!(file, "{text}").err();
        }
    })
    .map_err(Failure::working)?;
    drop(to_camera);
    if let Some(camera) = camera {
        let _ = camera.join();
    }
    unwritten.map_or(Ok(()), |e| {
        Err(Failure::Working(anyhow!("{}: {e}", path.display())))
    })
}

fn line(truth: &Truth, world: &crate::sim::world::World) -> Line {
    let p = truth.position;
    let here = GroundPoint {
        north_m: p.north(),
        east_m: p.east(),
    };
    let t_s = truth.at.as_secs_f64();
    let round = |x: f64| (x * 100.0).round() / 100.0;
    let mode = match truth.mode {
        Mode::Other(n) => n.to_string(),
        mode => format!("{mode:?}"),
    };
    Line {
        at_s: round(t_s),
        mode,
        armed: truth.is_armed,
        landed: truth.is_landed,
        height_m: round(-p.down()),
        north_m: round(p.north()),
        east_m: round(p.east()),
        surface: world.worst_surface(here, VEHICLE_M, t_s).name(),
        person_m: world.person_distance_m(here, t_s, PEOPLE_M).map(round),
    }
}

fn pose(truth: &Truth) -> Pose {
    Pose {
        at: truth.at,
        position: truth.position,
        ned_from_frd: truth.ned_from_frd,
        height_above_ground: HeightAboveGround {
            metres: -truth.position.down(),
            sd_m: 0.0,
            source: HeightSource::Simulated,
        },
        position_sd_m: 0.0,
        attitude_sd_rad: 0.0,
    }
}

/// Sends raw YUYV pictures to whoever calls, one at a time, until the vehicle is gone.
fn project(
    listener: &TcpListener,
    poses: &Receiver<Truth>,
    stop: &AtomicBool,
    film: impl Fn(&Truth) -> image::RgbImage,
) {
    let mut viewer: Option<TcpStream> = None;
    let mut bytes = Vec::new();
    let mut next = MonoTime::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let truth = match poses.recv_timeout(INTERVAL) {
            Ok(truth) => truth,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if viewer.is_none() {
            viewer = listener.accept().ok().map(|(stream, _)| stream);
        }
        let Some(stream) = &mut viewer else { continue };
        if truth.at < next {
            continue;
        }
        next = truth.at.after(INTERVAL);
        yuyv_from_rgb(&film(&truth), &mut bytes);
        let is_sent = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_write_timeout(Some(4 * INTERVAL)))
            .and_then(|()| stream.write_all(&bytes));
        if is_sent.is_err() {
            viewer = None;
        }
    }
}
