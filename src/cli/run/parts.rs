//! Settings -> everything that flies.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::super::{Failure, model};
use crate::autopilot::companion::CompanionConfig;
use crate::autopilot::decode::TelemetryConfig;
use crate::autopilot::supervisor::FieldOfView;
use crate::camera::live::{LiveCamera, LiveSpec, Opener};
use crate::camera::pipe::{Pipe, PipeSpec};
use crate::camera::raw::RawFormat;
use crate::camera::world::WorldSpec;
use crate::config::{CameraConfig, CameraSource, Settings};
use crate::geometry::{CameraModel, CameraMount, Vec3};
use crate::pipeline::live::{Camera, Parts};
use crate::pipeline::schedule;
use crate::sim::campaign as drawn;
use crate::sim::world::World;
use crate::time::{MonoTime, SystemClock};

/// Horizontal field of view of the world camera, degrees, unless the configuration says otherwise.
const HFOV_DEG: f64 = 70.0;
/// Error of the height over the world camera's ground, metres.
const PLANE_SD_M: f64 = 0.2;

/// Loads and opens everything but the link.
///
/// # Errors
/// Exit code 2: what is missing or wrong, with its key. A camera that is only absent is no error: it is tried again.
pub(super) fn of(settings: &Settings) -> Result<Parts, Failure> {
    let values = &settings.values;
    let link = values.link.address.clone();
    let link = link.ok_or_else(|| Failure::Input(anyhow!("link is not set")))?;
    let lens = lens(&values.camera)?;
    let clock = SystemClock::start();
    Ok(Parts {
        link,
        companion: companion(settings, &lens),
        landing: values.landing.clone(),
        segmenter: Box::new(model::load(None, settings)?),
        camera: camera(&values.camera, lens, &clock)?,
        clock,
    })
}

/// Opens the configured camera.
///
/// # Errors
/// Exit code 2, as [`of`].
pub(in crate::cli) fn camera(
    camera: &CameraConfig,
    lens: CameraModel,
    clock: &SystemClock,
) -> Result<Camera, Failure> {
    let mount = &camera.mount;
    let [forward, right, down] = mount.lever_arm_m;
    let mount = CameraMount::from_roll_pitch_yaw(
        mount.roll_deg.to_radians(),
        mount.pitch_deg.to_radians(),
        mount.yaw_deg.to_radians(),
        Vec3::new(forward, right, down),
    );
    let (name, opener) = match camera.source {
        None | Some(CameraSource::World) => {
            let world = match &camera.world {
                Some(file) => World::load(file).map_err(Failure::input)?,
                None => drawn::world(camera.world_seed),
            };
            return Ok(Camera::World(Box::new(WorldSpec {
                world: Arc::new(world),
                seed: camera.world_seed,
                lens,
                mount,
                interval: seconds(1.0 / camera.rate_hz),
                latency: seconds(camera.latency_ms / 1e3),
                pictures: schedule::PICTURES,
                sightings: None,
            })));
        }
        Some(CameraSource::V4l) => v4l(camera, clock)?,
        Some(CameraSource::Pipe) => pipe(camera),
    };
    let spec = LiveSpec {
        name: Arc::from(name),
        opener,
        size: (camera.width_px, camera.height_px),
        latency: seconds(camera.latency_ms / 1e3),
        pictures: schedule::PICTURES,
    };
    let source = LiveCamera::new(spec, clock.clone()).map_err(Failure::input)?;
    Ok(Camera::Source(Box::new(source), lens, mount))
}

fn pipe(camera: &CameraConfig) -> (String, Opener) {
    let spec = PipeSpec {
        command: camera.command.iter().map(Into::into).collect(),
        format: camera.format.unwrap_or(RawFormat::Mjpeg),
        size: (camera.width_px, camera.height_px),
    };
    let name = camera.command.first().cloned();
    let name = name.unwrap_or_else(|| "standard input".to_owned());
    (
        name,
        Box::new(move || Pipe::open(&spec).map(|pipe| Box::new(pipe) as Box<_>)),
    )
}

#[cfg(feature = "onboard")]
fn v4l(camera: &CameraConfig, clock: &SystemClock) -> Result<(String, Opener), Failure> {
    use crate::camera::v4l::{V4lCamera, V4lSpec};
    let spec = V4lSpec {
        device: camera.device.clone(),
        format: camera.format,
        size: (camera.width_px, camera.height_px),
        rate_hz: camera.rate_hz.round() as u32,
        controls: camera.controls.clone(),
    };
    let (name, clock) = (camera.device.display().to_string(), clock.clone());
    let open = move || V4lCamera::open(&spec, clock.clone()).map(|c| Box::new(c) as Box<_>);
    Ok((name, Box::new(open)))
}

#[cfg(not(feature = "onboard"))]
fn v4l(_: &CameraConfig, _: &SystemClock) -> Result<(String, Opener), Failure> {
    Err(Failure::Input(anyhow!(
        "camera.source = \"v4l\": this program was built without cameras of the board: install the package, or build with \
         --features onboard (needs libclang)"
    )))
}

fn seconds(s: f64) -> Duration {
    MonoTime::from_secs_f64(s).since(MonoTime::ZERO)
}

/// The configured lens, at the size of the camera's pictures.
///
/// # Errors
/// Exit code 2: file and reason.
pub(in crate::cli) fn lens(camera: &CameraConfig) -> Result<CameraModel, Failure> {
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

fn companion(settings: &Settings, lens: &CameraModel) -> CompanionConfig {
    let values = &settings.values;
    let is_world = values.camera.source == Some(CameraSource::World);
    let mut supervisor = values.supervisor.clone();
    // What is rendered is rendered through the configured lens.
    supervisor.camera_is_calibrated = is_world || values.camera.calibration.is_some();
    if !supervisor.camera_is_calibrated {
        log::warn!(
            "camera.hfov_deg without a calibration is a guess at the lens: alight advises, and commands nothing"
        );
    }
    let angle = |size: u32, focal: f64| 2.0 * (0.5 * f64::from(size) / focal).atan().to_degrees();
    let view = FieldOfView {
        horizontal_deg: angle(lens.width, lens.fx),
        vertical_deg: angle(lens.height, lens.fy),
    };
    let landing = &values.landing;
    supervisor.fit_to_camera(view, landing.disc_radius_m(), landing.hazard.people_floor_m);
    CompanionConfig {
        supervisor,
        telemetry: TelemetryConfig {
            system_id: values.link.system_id,
            flat_ground_sd_m: is_world.then_some(PLANE_SD_M),
            ..TelemetryConfig::default()
        },
        ..CompanionConfig::default()
    }
}
