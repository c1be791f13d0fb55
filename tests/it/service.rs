//! The program as a service manager sees it, and `doctor` before it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alight::geometry::Vec3;
use alight::sim::autopilot::{Dialect, Endpoint, OffboardLoss, SimAutopilot, SimConfig, serve};
use alight::time::{Clock as _, SystemClock};
use alight::vehicle::Mode;
use crossbeam_channel::{Receiver, bounded, never};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rstest::rstest;

/// Longer than anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);

fn alight() -> Command {
    Command::new(env!("CARGO_BIN_EXE_alight"))
}

/// A simulated autopilot at a free port of its own, until dropped.
struct Served {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Modes as they came, the first one first.
    modes: Receiver<Mode>,
}

impl Served {
    fn new(config: SimConfig) -> Self {
        let endpoint = Endpoint::tcp_at(([127, 0, 0, 1], 0).into()).unwrap();
        let at = endpoint.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let (to_modes, modes) = bounded(64);
        let mut last = None;
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn(move || {
                let mut sim = SimAutopilot::new(config);
                serve(&mut sim, &endpoint, &SystemClock::start(), &flag, |sim| {
                    let mode = sim.truth().mode;
                    if last.replace(mode) != Some(mode) {
                        to_modes.send(mode).unwrap();
                    }
                })
                .unwrap();
            })
            .unwrap();
        Self { at, stop, modes }
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

/// The service, started, and what it tells its manager.
struct Service {
    folder: tempfile::TempDir,
    running: Running,
    manager: UnixDatagram,
    clock: SystemClock,
    /// Everything that was told; what was waited for is behind `seen`.
    heard: String,
    seen: usize,
}

impl Service {
    /// A camera of noise: what is decided on it does not matter here.
    fn settings(at: SocketAddr, mode: &str) -> String {
        format!(
            "mode = \"{mode}\"\nlink = \"tcp:{at}\"\n[camera]\nsource = \"pipe\"\nformat = \"grey\"\nhfov_deg = 70.0\n\
             width_px = 64\nheight_px = 64\n\
             command = [\"sh\", \"-c\", \"while :; do head -c 4096 /dev/urandom; sleep 0.1; done\"]\n\
             [record]\nfolder = \"flights\"\n"
        )
    }

    fn start(served: &Served, mode: &str, mark: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(mark) = mark {
            std::fs::write(folder.path().join("engaged"), mark).unwrap();
        }
        let config = folder.path().join("alight.toml");
        std::fs::write(&config, Self::settings(served.at, mode)).unwrap();
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(LIMIT)).unwrap();
        let child = alight()
            .args(["run", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", &socket)
            .env("RUNTIME_DIRECTORY", folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            folder,
            running: Running(child),
            manager,
            clock: SystemClock::start(),
            heard: String::new(),
            seen: 0,
        }
    }

    /// Waits until the manager is told this, after what was waited for before.
    fn hear(&mut self, what: &str) {
        let mut bytes = [0; 4096];
        loop {
            let news = &self.heard[self.seen..];
            if let Some(at) = news.find(what) {
                self.seen += at + what.len();
                return;
            }
            assert!(
                self.clock.now().as_secs_f64() < LIMIT.as_secs_f64(),
                "no {what} in: {}",
                self.heard
            );
            let len = self.manager.recv(&mut bytes).unwrap();
            self.heard
                .push_str(std::str::from_utf8(&bytes[..len]).unwrap());
            self.heard.push('\n');
        }
    }

    fn signal(&self, name: &str) {
        let id = self.running.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until a file in its folder says this.
    fn read(&self, file: &str, what: &str) -> String {
        self.wait_for(file, what, |text| text.contains(what))
    }

    /// Waits until a file in its folder has so many lines.
    fn wait_for_lines(&self, file: &str, count: usize) {
        let what = format!("{count} lines");
        self.wait_for(file, &what, |text| text.lines().count() >= count);
    }

    fn wait_for(&self, file: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        loop {
            let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
            if holds(&text) {
                return text;
            }
            assert!(
                self.clock.now().as_secs_f64() < LIMIT.as_secs_f64(),
                "no {what} in {file}: {text}"
            );
            let _ = never::<()>().recv_timeout(Duration::from_millis(50));
        }
    }

    /// Ends it as its manager does; it ends well.
    fn end(&mut self) {
        self.signal("-TERM");
        self.hear("STOPPING=1");
        assert_eq!(self.running.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_service_says_that_it_is_ready_alive_and_stopping_and_keeps_its_flights() {
    let served = Served::new(SimConfig::new(Dialect::ArduPilot, 5));
    let mut service = Service::start(&served, "advise", None);
    service.hear("READY=1");
    service.hear("WATCHDOG=1");
    service.hear("STATUS=standby | ArduPilot");
    // A busy machine decides slowly.
    service.wait_for_lines("flights/000001/decisions.jsonl", 4);
    service.end();
    let run = service.folder.path().join("flights/000001");
    assert!(run.join("events.jsonl").exists());
    let decisions = std::fs::read_to_string(run.join("decisions.jsonl")).unwrap();
    assert!(decisions.lines().count() > 3, "{decisions}");
    assert!(!service.folder.path().join("engaged").exists());
}

#[test]
fn in_the_air_no_settings_are_read_again_and_the_flight_goes_on() {
    let served = Served::new(SimConfig::new(Dialect::ArduPilot, 6));
    let mut service = Service::start(&served, "advise", None);
    service.hear("STATUS=standby | ArduPilot Guided armed");
    service.signal("-HUP");
    let text = "settings not reloaded: the vehicle is armed";
    service.read("flights/000001/events.jsonl", text);
    service.hear("STATUS=standby");
    assert!(!service.heard.contains("RELOADING=1"), "{}", service.heard);
    service.end();
    assert!(!service.folder.path().join("flights/000002").exists());
    report_of(&service.folder.path().join("flights/000001"), text);
}

#[test]
fn on_the_ground_good_settings_are_taken_and_bad_ones_leave_the_old() {
    // It touches down at once, and stops its motors.
    let served = Served::new(SimConfig {
        start: Vec3::new(0.0, 0.0, -0.3),
        mode: Mode::Land,
        ..SimConfig::new(Dialect::ArduPilot, 7)
    });
    let mut service = Service::start(&served, "advise", None);
    let config = service.folder.path().join("alight.toml");
    service.hear("READY=1");
    service.hear("ArduPilot Land disarmed");
    std::fs::write(&config, "mode = \"loud\"").unwrap();
    service.signal("-HUP");
    service.hear("RELOADING=1");
    service.hear("READY=1");
    service.read("flights/000002/events.jsonl", "new settings refused");
    service.hear("ArduPilot Land disarmed");
    std::fs::write(&config, Service::settings(served.at, "command")).unwrap();
    service.signal("-HUP");
    service.hear("RELOADING=1");
    service.hear("READY=1");
    // Commanding, it says what is missing for a landing.
    let text = "a landing cannot be started: the vehicle is not armed";
    let events = service.read("flights/000003/events.jsonl", text);
    assert!(events.contains("settings reloaded"), "{events}");
    service.end();
}

#[test]
fn restarted_in_the_air_it_holds_the_vehicle_that_was_ours_and_does_nothing_more() {
    let served = Served::new(SimConfig::new(Dialect::ArduPilot, 8));
    assert_eq!(served.modes.recv_timeout(LIMIT), Ok(Mode::Guided));
    let mut service = Service::start(&served, "command", Some("guided"));
    assert_eq!(served.modes.recv_timeout(LIMIT), Ok(Mode::Hold));
    let events = service.read("flights/000001/events.jsonl", "handed back");
    assert!(events.contains("restarted in the air"), "{events}");
    service.hear("STATUS=handed-back | ArduPilot Hold armed");
    let quiet = Duration::from_secs(3);
    assert!(served.modes.recv_timeout(quiet).is_err(), "another mode");
    service.end();
    assert!(!service.folder.path().join("engaged").exists());
}

/// One thread of a process, stopped from outside as a debugger does it.
struct Frozen(Pid);

impl Frozen {
    /// `None` where the system does not let a parent trace its child.
    fn new(process: u32, name: &str) -> Option<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let task = tasks.map(|t| t.unwrap().path()).find(|task| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|n| n.trim_end() == name)
        });
        let id = task.unwrap().file_name().unwrap().to_str().unwrap().parse();
        let id = Pid::from_raw(id.unwrap());
        match ptrace::seize(id, ptrace::Options::empty()) {
            Err(Errno::EPERM) => return None,
            other => other.unwrap(),
        }
        ptrace::interrupt(id).unwrap();
        waitpid(id, Some(WaitPidFlag::__WALL)).unwrap();
        Some(Self(id))
    }

    /// Waits until it is gone with its process: that waits for it, too.
    fn end(&self) {
        let flag = Some(WaitPidFlag::__WALL);
        while waitpid(self.0, flag)
            .is_ok_and(|s| matches!(s, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)))
        {
        }
    }
}

impl Drop for Frozen {
    /// A test that failed lets it go on, so that the process can be killed.
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}

#[rstest]
#[case::a_stage("inference", true)]
#[case::the_one_that_speaks_with_the_autopilot("control", false)]
fn a_thread_that_hangs_ends_the_process_with_3(#[case] thread: &str, #[case] is_told: bool) {
    let served = Served::new(SimConfig::new(Dialect::ArduPilot, 9));
    let mut service = Service::start(&served, "advise", None);
    service.hear("STATUS=standby | ArduPilot Guided armed");
    service.wait_for_lines("flights/000001/decisions.jsonl", 1);
    let Some(frozen) = Frozen::new(service.running.0.id(), thread) else {
        eprintln!("left out: this system does not let a parent trace its child");
        return;
    };
    if is_told {
        service.hear("inference brings nothing");
        service.hear("ending: inference: hangs for");
        let text = "alight: out of work: inference brings nothing";
        service.read("flights/000001/events.jsonl", text);
    }
    frozen.end();
    assert_eq!(service.running.0.wait().unwrap().code(), Some(3));
    assert!(!service.folder.path().join("engaged").exists());
}

/// The report of this run, of which the power took half of the last line, and in which this happened.
fn report_of(run: &Path, event: &str) {
    let report = |folder: &Path| alight().arg("report").arg(folder).output().unwrap();
    let decisions = std::fs::read_to_string(run.join("decisions.jsonl")).unwrap();
    let decisions = decisions.lines().count();
    let mut record = OpenOptions::new()
        .append(true)
        .open(run.join("decisions.jsonl"))
        .unwrap();
    record.write_all(b"{\"seq\": 99, \"sou").unwrap();
    let output = report(run);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let summary = format!("{decisions} frames, ");
    assert!(
        errors.contains(&summary) && errors.contains("1 torn lines"),
        "{errors}"
    );
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    for part in ["What happened", event] {
        assert!(page.contains(part), "{part}");
    }
    assert!(std::fs::metadata(run.join("run.json")).unwrap().len() > 100);
    // The archive is no run: one of it is named.
    let output = report(run.parent().unwrap());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("000001"), "{errors}");
}
