//! The program as a service manager sees it, and `doctor` before it.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alight::sim::autopilot::{Dialect, Endpoint, OffboardLoss, SimAutopilot, SimConfig, serve};
use alight::time::{Clock as _, SystemClock};

/// Longer than anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);

fn alight() -> Command {
    Command::new(env!("CARGO_BIN_EXE_alight"))
}

/// A simulated autopilot at a free port of its own, until dropped.
struct Served {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Served {
    fn new(config: SimConfig) -> Self {
        let endpoint = Endpoint::tcp_at(([127, 0, 0, 1], 0).into()).unwrap();
        let at = endpoint.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn(move || {
                let mut sim = SimAutopilot::new(config);
                serve(&mut sim, &endpoint, &SystemClock::start(), &flag, |_| {}).unwrap();
            })
            .unwrap();
        Self { at, stop }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn doctor(folder: &Path, at: SocketAddr) -> Output {
    let config = folder.join("alight.toml");
    let text = format!(
        "mode = \"command\"\nlink = \"tcp:{at}\"\n[camera]\nsource = \"world\"\n[record]\nfolder = \"flights\"\nquota_mb = 1\n"
    );
    std::fs::write(&config, text).unwrap();
    alight()
        .arg("doctor")
        .arg("--config")
        .arg(config)
        .output()
        .unwrap()
}

#[test]
fn doctor_finds_an_autopilot_fit_and_one_that_lands_when_we_fall_silent_not() {
    let folder = tempfile::tempdir().unwrap();
    for (loss, is_fit) in [(OffboardLoss::Return, true), (OffboardLoss::Land, false)] {
        let served = Served::new(SimConfig {
            offboard_loss: loss,
            ..SimConfig::new(Dialect::Px4, 5)
        });
        let output = doctor(folder.path(), served.at);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(i32::from(!is_fit)), "{text}");
        assert!(text.contains("PX4 1.17.0, system 1"), "{text}");
        let line = text
            .lines()
            .find(|l| l.contains("COM_OBL_RC_ACT "))
            .unwrap();
        assert_eq!(line.starts_with("ok"), is_fit, "{line}");
    }
}

#[test]
fn doctor_says_that_nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let gone = Endpoint::tcp_at(([127, 0, 0, 1], 0).into()).unwrap();
    let at = gone.local_addr().unwrap();
    drop(gone);
    let output = doctor(folder.path(), at);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  link"), "{text}");
}

/// Kills what is left of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_service_says_that_it_is_ready_alive_and_stopping_and_keeps_its_flights() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::new(SimConfig::new(Dialect::ArduPilot, 5));
    let config = folder.path().join("alight.toml");
    // A camera of noise: what is decided on it does not matter here.
    let text = format!(
        "link = \"tcp:{}\"\n[camera]\nsource = \"pipe\"\nformat = \"grey\"\nhfov_deg = 70.0\nwidth_px = 64\nheight_px = 64\n\
         command = [\"sh\", \"-c\", \"while :; do head -c 4096 /dev/urandom; sleep 0.1; done\"]\n[record]\nfolder = \"flights\"\n",
        served.at
    );
    std::fs::write(&config, text).unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let clock = SystemClock::start();
    let mut running = Running(
        alight()
            .args(["run", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", &socket)
            .env("RUNTIME_DIRECTORY", folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut heard = String::new();
    let mut hear_until = |what: &str| {
        let mut bytes = [0; 4096];
        while !heard.contains(what) {
            assert!(
                clock.now().as_secs_f64() < LIMIT.as_secs_f64(),
                "no {what} in: {heard}"
            );
            let len = manager.recv(&mut bytes).unwrap();
            heard.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
        }
    };
    hear_until("READY=1");
    hear_until("WATCHDOG=1");
    hear_until("STATUS=standby | ArduPilot");
    let id = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    hear_until("STOPPING=1");
    let status = running.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let run = folder.path().join("flights/000001");
    assert!(run.join("events.jsonl").exists());
    let decisions = std::fs::read_to_string(run.join("decisions.jsonl")).unwrap();
    assert!(decisions.lines().count() > 3, "{decisions}");
    assert!(!folder.path().join("engaged").exists());
}
