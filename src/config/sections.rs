//! The sections of the file, and the ranges of their values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::autopilot::link::{Keyring, KeyringError, LinkAddress};
use crate::autopilot::supervisor::{Authority, SupervisorConfig};
use crate::camera::raw::RawFormat;
use crate::landing::LandingConfig;
use crate::pipeline::live::RealTime;

/// As it stands in the file; every key is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// How far alight may go: "advise" says where to land, "assist" helps a landing that others started, "command" may
    /// take the vehicle and land it. Also `[mode] level`.
    pub mode: Authority,
    /// Which network.
    pub model: ModelConfig,
    /// Where the autopilot is.
    pub link: LinkConfig,
    /// Which camera, and its lens.
    pub camera: CameraConfig,
    /// How large the vehicle is.
    pub vehicle: VehicleConfig,
    /// How a site is chosen.
    pub landing: LandingConfig,
    /// Who may command what, and when.
    pub supervisor: SupervisorConfig,
    /// What is kept on disk.
    pub record: RecordConfig,
    /// What is asked of the board.
    pub system: SystemConfig,
}

/// What is asked of the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemConfig {
    /// Real-time priorities and locked memory.
    pub realtime: RealTime,
    /// From this temperature of the board on fewer pictures are looked at, degrees Celsius.
    pub hot_c: f64,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            realtime: RealTime::default(),
            // A Raspberry Pi slows itself down at 80.
            hot_c: 78.0,
        }
    }
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordConfig {
    /// The archive: each run writes decisions.jsonl and events.jsonl into a folder of its own in it. Relative to the
    /// configuration file; without it, and without --out, nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The most that the archive holds, megabytes: the oldest runs go when a new one begins.
    pub quota_mb: u32,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            folder: None,
            quota_mb: 500,
        }
    }
}

impl RecordConfig {
    /// The quota, bytes.
    #[must_use]
    pub fn quota_bytes(&self) -> u64 {
        u64::from(self.quota_mb) * 1_000_000
    }
}

/// Which network flies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// An ONNX file with its manifest beside it; relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// Where the autopilot is. `link = "tcp:127.0.0.1:5762"` is short for its address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Device or socket: "serial:DEVICE:BAUD", "udpin:HOST:PORT", "udpout:HOST:PORT" or "tcp:HOST:PORT".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<LinkAddress>,
    /// The vehicle's system id, 1 to 255; without it the first autopilot heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_id: Option<u8>,
    /// The key that both sides sign with, as 32 bytes or a pass phrase, relative to the configuration file; with it, what
    /// is sent is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key_file: Option<PathBuf>,
    /// Where the newest time of a signature is kept over a restart; beside the key unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_time_file: Option<PathBuf>,
    /// With a key: whether frames without a signature are read all the same.
    pub accept_unsigned: bool,
}

impl LinkConfig {
    /// Opens the files of signing, where a key is set.
    ///
    /// # Errors
    /// File, key and remedy.
    pub fn keyring(&self) -> Result<Option<Keyring>, KeyringError> {
        let time_file = self.signing_time_file.as_deref();
        self.signing_key_file
            .as_ref()
            .map(|key| Keyring::open(key, time_file, self.accept_unsigned))
            .transpose()
    }
}

/// Where pictures come from in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraSource {
    /// A world is rendered from the pose that telemetry reports: for flights in simulation.
    World,
    /// A camera of the board (`Video4Linux`).
    V4l,
    /// What a command writes, or standard input.
    Pipe,
}

/// Which camera, its lens, and how it sits on the vehicle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraConfig {
    /// Where pictures come from in flight: "v4l" (a device of the board), "pipe" (a command's output), "world" (simulation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<CameraSource>,
    /// v4l: the device.
    pub device: PathBuf,
    /// v4l and pipe: how the bytes of a picture are arranged: "yuyv", "nv12", "mjpeg", "grey"; v4l finds one out without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<RawFormat>,
    /// pipe: program and arguments that write pictures to their standard output; empty: our own standard input.
    pub command: Vec<String>,
    /// World file that is rendered, relative to the configuration file; without it, drawn ground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<PathBuf>,
    /// Which ground is drawn.
    pub world_seed: u64,
    /// Pictures a second.
    pub rate_hz: f64,
    /// Width of the pictures, pixels.
    pub width_px: u32,
    /// Height of the pictures, pixels.
    pub height_px: u32,
    /// Horizontal field of view, degrees, of a lens without distortion (world camera: 70 without this and calibration).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hfov_deg: Option<f64>,
    /// Calibration file (ROS, `OpenCV` or Kalibr YAML); relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
    /// From a picture's exposure to its arrival, milliseconds: of the world camera, and where a driver stamps nothing.
    pub latency_ms: f64,
    /// v4l: controls that are set when the camera is opened, by the names of `v4l2-ctl --list-ctrls`.
    pub controls: BTreeMap<String, i64>,
    /// How the camera sits on the vehicle.
    pub mount: MountConfig,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            source: None,
            device: PathBuf::from("/dev/video0"),
            format: None,
            command: Vec::new(),
            world: None,
            world_seed: 1,
            rate_hz: 4.0,
            width_px: 768,
            height_px: 512,
            hfov_deg: None,
            calibration: None,
            latency_ms: 60.0,
            controls: BTreeMap::new(),
            mount: MountConfig::default(),
        }
    }
}

/// How the camera sits on the vehicle. At zero angles it looks forward, the picture upright.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountConfig {
    /// Clockwise about the optical axis, degrees.
    pub roll_deg: f64,
    /// Up, degrees; -90 looks straight down, the top of the picture towards the nose.
    pub pitch_deg: f64,
    /// To the right, degrees.
    pub yaw_deg: f64,
    /// The optical centre in the body: forward, right, down, metres.
    pub lever_arm_m: [f64; 3],
}

impl Default for MountConfig {
    fn default() -> Self {
        Self {
            roll_deg: 0.0,
            pitch_deg: -90.0,
            yaw_deg: 0.0,
            lever_arm_m: [0.0; 3],
        }
    }
}

/// How large the vehicle is: short for `landing.vehicle_radius_m` and `landing.margin_m`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VehicleConfig {
    /// The vehicle's radius with its propellers, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    /// Ground kept free around the vehicle, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_m: Option<f64>,
}

/// One value with its name, its allowed range, and what to set.
pub(super) type Check = (&'static str, f64, f64, f64, &'static str);

impl RawConfig {
    /// The ranges of what the stages do not check themselves.
    pub(super) fn checks(&self) -> impl Iterator<Item = Check> {
        let system_id = f64::from(self.link.system_id.unwrap_or(1));
        let (radius_m, margin_m) = (self.vehicle.radius_m, self.vehicle.margin_m);
        let own = [
            (
                "link.system_id",
                system_id,
                1.0,
                255.0,
                "the vehicle's MAVLink system id",
            ),
            (
                "vehicle.radius_m",
                radius_m.unwrap_or(0.5),
                0.05,
                10.0,
                "the radius with propellers",
            ),
            (
                "vehicle.margin_m",
                margin_m.unwrap_or(0.5),
                0.0,
                10.0,
                "the ground kept free around it",
            ),
            (
                "record.quota_mb",
                f64::from(self.record.quota_mb),
                1.0,
                1e6,
                "the megabytes that the disk can spare",
            ),
            (
                "system.hot_c",
                self.system.hot_c,
                40.0,
                120.0,
                "a little less than where the board slows itself down",
            ),
        ];
        own.into_iter()
            .chain(self.camera.checks())
            .chain(self.camera.mount.checks())
    }
}

impl CameraConfig {
    fn checks(&self) -> [Check; 4] {
        let (width, height) = (f64::from(self.width_px), f64::from(self.height_px));
        [
            (
                "camera.rate_hz",
                self.rate_hz,
                0.5,
                60.0,
                "the pictures a second",
            ),
            (
                "camera.width_px",
                width,
                64.0,
                4096.0,
                "the width of the pictures",
            ),
            (
                "camera.height_px",
                height,
                64.0,
                4096.0,
                "the height of the pictures",
            ),
            (
                "camera.latency_ms",
                self.latency_ms,
                0.0,
                500.0,
                "the time from exposure to arrival",
            ),
        ]
    }
}

impl MountConfig {
    fn checks(&self) -> [Check; 4] {
        let angle = |key, value, remedy| (key, value, -360.0, 360.0, remedy);
        let lever_arm_m = self.lever_arm_m.into_iter().fold(0.0, farther);
        [
            angle("camera.mount.roll_deg", self.roll_deg, "the camera's roll"),
            angle(
                "camera.mount.pitch_deg",
                self.pitch_deg,
                "the camera's pitch; -90 looks down",
            ),
            angle("camera.mount.yaw_deg", self.yaw_deg, "the camera's yaw"),
            (
                "camera.mount.lever_arm_m",
                lever_arm_m,
                -10.0,
                10.0,
                "forward, right, down from the vehicle's middle to the lens",
            ),
        ]
    }
}

/// The one further from zero; not-a-number wins.
fn farther(a: f64, b: f64) -> f64 {
    if a.is_nan() || a.abs() > b.abs() {
        a
    } else {
        b
    }
}
