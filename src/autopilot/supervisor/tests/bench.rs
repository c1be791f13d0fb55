//! A point that flies where it is told, frames that say what the test wants, and a record of every command.

use super::super::state::State;
use super::super::{
    Authority, Brief, Health, Input, Output, Phase, Request, Supervisor, SupervisorConfig,
};
use crate::autopilot::commands::{Command, Setpoint};
use crate::geometry::{GroundPoint, Ned, Rotation, Vec3};
use crate::inference::classes::Surface;
use crate::landing::{
    HoldReason, MonitorReason, MonitorReasons, Outcome, Site, SiteState, Verdict, Watched,
};
use crate::time::MonoTime;
use crate::vehicle::{
    AutopilotKind, EstimatorHealth, HeightAboveGround, HeightSource, Kinematics, LandedState,
    LossAction, Mode, Pose, RcChannels, Stamped, VehicleMode, VehicleState,
};

/// What the frames say of the watched place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Go,
    Wait,
    MotionAround,
    NotClear,
    Veto,
    OutOfPicture,
    Nothing,
}

/// Everything a test may turn.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test bench, each on its own"
)]
pub(super) struct Bench {
    pub(super) supervisor: Supervisor,
    pub(super) t: f64,
    pub(super) kind: AutopilotKind,
    pub(super) mode: Mode,
    /// Mode requests are followed.
    pub(super) obeys: bool,
    pub(super) is_armed: bool,
    pub(super) is_failsafe: bool,
    pub(super) position: [f64; 3],
    pub(super) height_source: HeightSource,
    pub(super) height_sd_m: f64,
    pub(super) has_heartbeat: bool,
    /// Time between two heartbeats, seconds; 0: one each tick.
    pub(super) heartbeat_period_s: f64,
    pub(super) has_pose: bool,
    pub(super) has_height: bool,
    pub(super) has_frames: bool,
    pub(super) estimator_is_good: bool,
    pub(super) wind_m_s: Option<f64>,
    /// What PX4 said, and how long ago, seconds.
    pub(super) loss_action: Option<(LossAction, f64)>,
    pub(super) rc: Option<[u16; 18]>,
    pub(super) epoch: u32,
    pub(super) health: Health,
    /// The offered site, north and east.
    pub(super) offer: Option<(f64, f64)>,
    pub(super) alternate: Option<(f64, f64)>,
    pub(super) said: Said,
    pub(super) requests: Vec<Request>,
    pub(super) vehicle: VehicleState,
    pub(super) last: Option<Output>,
    /// Every command with its time.
    pub(super) log: Vec<(f64, Command)>,
    setpoint: Option<Setpoint>,
    target: Option<Vec3<Ned>>,
    brief: Option<Brief>,
    frames: u64,
}

pub(super) fn at(s: f64) -> MonoTime {
    MonoTime::from_secs_f64(s)
}

pub(super) fn command_config() -> SupervisorConfig {
    SupervisorConfig {
        mode: Authority::Command,
        camera_is_calibrated: true,
        ..SupervisorConfig::default()
    }
}

pub(super) fn site(id: u32, (north_m, east_m): (f64, f64), state: SiteState) -> Site {
    Site {
        id,
        state,
        north_m,
        east_m,
        radius_m: 1.0,
        clearance_m: 3.0,
        surface: Surface::Firm,
        belief: 0.95,
        confirmations: 3,
        score: 1.0,
        px: None,
        radius_px: 10.0,
    }
}

impl Bench {
    pub(super) fn new(config: SupervisorConfig, kind: AutopilotKind) -> Self {
        Self {
            supervisor: Supervisor::new(config).unwrap(),
            t: 100.0,
            kind,
            mode: Mode::Loiter,
            obeys: true,
            is_armed: true,
            is_failsafe: false,
            position: [0.0, 0.0, -30.0],
            height_source: HeightSource::RangeSensor,
            height_sd_m: 0.1,
            has_heartbeat: true,
            heartbeat_period_s: 0.0,
            has_pose: true,
            has_height: true,
            has_frames: true,
            estimator_is_good: true,
            wind_m_s: None,
            loss_action: Some((LossAction::Hold, 0.0)),
            rc: None,
            epoch: 1,
            health: Health::Good,
            offer: None,
            alternate: None,
            said: Said::Go,
            requests: Vec::new(),
            vehicle: VehicleState::default(),
            last: None,
            log: Vec::new(),
            setpoint: None,
            target: None,
            brief: None,
            frames: 0,
        }
    }

    pub(super) fn command() -> Self {
        Self::new(command_config(), AutopilotKind::ArduPilot)
    }

    pub(super) fn phase(&self) -> Phase {
        self.supervisor.state.phase()
    }

    pub(super) fn state(&self) -> &State {
        &self.supervisor.state
    }

    pub(super) fn height_m(&self) -> f64 {
        -self.position[2]
    }

    /// The newest decision.
    pub(super) fn brief_for_test(&self) -> Option<&Brief> {
        self.brief.as_ref()
    }

    pub(super) fn watch(&self) -> Option<GroundPoint> {
        self.last.and_then(|o| o.watch)
    }

    /// One control tick: physics, telemetry, a frame now and then, a step; gives the commands back.
    pub(super) fn tick(&mut self) -> Vec<Command> {
        self.t += 0.05;
        self.fly();
        self.report();
        self.see();
        let pose = self.pose();
        let requests = std::mem::take(&mut self.requests);
        let input = Input {
            vehicle: &self.vehicle,
            pose: pose.as_ref(),
            decision: self.brief.as_ref(),
            requests: &requests,
            health: self.health,
        };
        let output = self.supervisor.step(&input, at(self.t));
        self.last = Some(output);
        let commands: Vec<Command> = output.commands.iter().copied().collect();
        for command in &commands {
            self.log.push((self.t, *command));
            self.obey(command);
        }
        commands
    }

    pub(super) fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds / 0.05).round() as usize {
            self.tick();
        }
    }

    /// Ticks until it holds.
    pub(super) fn until(&mut self, what: &str, seconds: f64, holds: impl Fn(&Self) -> bool) {
        for _ in 0..(seconds / 0.05).round() as usize {
            if holds(self) {
                return;
            }
            self.tick();
        }
        panic!(
            "{what}: not within {seconds} s; {:?}\n{}",
            self.state(),
            self.tail()
        );
    }

    pub(super) fn tail(&self) -> String {
        let from = self.log.len().saturating_sub(30);
        let lines = self.log[from..]
            .iter()
            .map(|(t, c)| format!("{t:.2} {c:?}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn texts(&self) -> String {
        let says = self.log.iter().filter_map(|(_, c)| match c {
            Command::Say(_, notice) => Some(notice.as_str().to_owned()),
            _ => None,
        });
        says.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn start(&mut self) {
        self.run(0.5);
        self.requests.push(Request::Start);
        self.tick();
    }

    fn obey(&mut self, command: &Command) {
        match command {
            Command::SetMode(mode) if self.obeys => {
                self.mode = *mode;
                self.setpoint = None;
            }
            Command::GoTo(setpoint) => self.setpoint = Some(*setpoint),
            Command::Target(sample) => self.target = Some(sample.position),
            _ => {}
        }
    }

    fn fly(&mut self) {
        let go = |from: &mut f64, to: f64, speed: f64| {
            *from += (to - *from).clamp(-speed * 0.05, speed * 0.05);
        };
        match (self.mode, self.setpoint) {
            (Mode::Guided, Some(s)) => {
                go(&mut self.position[0], s.position.north(), 4.0);
                go(&mut self.position[1], s.position.east(), 4.0);
                go(&mut self.position[2], s.position.down(), 1.5);
            }
            (Mode::Land | Mode::PrecLand, _) => {
                if let Some(target) = self.target {
                    go(&mut self.position[0], target.north(), 1.0);
                    go(&mut self.position[1], target.east(), 1.0);
                }
                go(&mut self.position[2], 0.0, 0.6);
                if self.height_m() < 0.01 {
                    self.is_armed = false;
                }
            }
            _ => {}
        }
    }

    fn report(&mut self) {
        let now = at(self.t);
        let v = &mut self.vehicle;
        v.kind = Some(self.kind);
        v.epoch = self.epoch;
        let heard_at = v.mode.map(|m| m.at);
        let is_due = heard_at.is_none_or(|at| now.secs_since(at) > self.heartbeat_period_s - 0.001);
        if self.has_heartbeat && is_due {
            let mode = VehicleMode {
                mode: self.mode,
                custom_mode: 0,
                is_armed: self.is_armed,
                is_failsafe: self.is_failsafe,
            };
            v.mode = Some(Stamped::new(mode, now));
            let landed = if self.position[2] > -0.01 {
                LandedState::OnGround
            } else {
                LandedState::InAir
            };
            v.landed = Some(Stamped::new(landed, now));
        }
        let estimator = EstimatorHealth {
            is_position_good: self.estimator_is_good,
            flags: 0,
        };
        v.estimator = Some(Stamped::new(estimator, now));
        v.wind_m_s = self.wind_m_s.map(|w| Stamped::new(w, now));
        v.loss_action = self
            .loss_action
            .map(|(action, age_s)| Stamped::new(action, at(self.t - age_s)));
        v.rc = self
            .rc
            .map(|us| Stamped::new(RcChannels { us: us.map(Some) }, now));
        if self.has_pose {
            let [n, e, d] = self.position;
            let kinematics = Kinematics {
                position: Vec3::new(n, e, d),
                velocity_m_s: Vec3::zero(),
            };
            v.kinematics = Some(Stamped::new(kinematics, now));
            v.attitude = Some(Stamped::new(Rotation::identity(), now));
        }
        if self.has_height {
            let height = HeightAboveGround {
                metres: -self.position[2],
                sd_m: self.height_sd_m,
                source: self.height_source,
            };
            v.height = Some(Stamped::new(height, now));
        }
    }

    fn pose(&self) -> Option<Pose> {
        let k = self.vehicle.kinematics?;
        let mut pose = Pose::level_nadir(k.at, 0.0);
        pose.position = k.value.position;
        Some(pose)
    }

    /// Frames at 5 Hz, 0.15 s old when they are decided.
    fn see(&mut self) {
        self.frames += 1;
        if !self.has_frames || !self.frames.is_multiple_of(4) {
            return;
        }
        let mut alternates = [None; 3];
        alternates[0] = self.alternate.map(|p| site(2, p, SiteState::Confirmed));
        self.brief = Some(Brief {
            seq: self.frames,
            captured_at: at(self.t - 0.15),
            outcome: match self.offer {
                Some(_) => Outcome::Site,
                None => Outcome::Hold(HoldReason::NoCandidate),
            },
            site: self.offer.map(|p| site(1, p, SiteState::Confirmed)),
            alternates,
            monitor: Verdict::Go,
            monitor_reasons: MonitorReasons::default(),
            watched: self.watched(),
            epoch: self.epoch,
        });
    }

    fn watched(&self) -> Option<Watched> {
        let place = self.watch()?;
        let mut monitor_reasons = MonitorReasons::default();
        if self.said == Said::Veto {
            monitor_reasons.insert(MonitorReason::Occupied);
        }
        if self.said == Said::MotionAround {
            monitor_reasons.insert(MonitorReason::MotionAround);
        }
        let monitor = match self.said {
            Said::Nothing => return None,
            Said::Wait | Said::MotionAround => Verdict::Wait,
            Said::Veto => Verdict::Abort,
            _ => Verdict::Go,
        };
        Some(Watched {
            site: site(1, (place.north_m, place.east_m), SiteState::Confirmed),
            is_clear: self.said != Said::NotClear,
            in_picture: self.said != Said::OutOfPicture,
            monitor,
            monitor_reasons,
        })
    }
}

/// Whether a command moves the vehicle.
pub(super) fn is_control(command: &Command) -> bool {
    matches!(
        command,
        Command::SetMode(_) | Command::GoTo(_) | Command::Target(_)
    )
}

/// Brings a fresh bench into a state, by name.
pub(super) fn reach(name: &str) -> Bench {
    let mut b = Bench::command();
    b.offer = Some((4.0, -3.0));
    match name {
        "engaging" => {
            b.obeys = false;
            b.start();
            b.run(0.3);
        }
        "searching" => {
            b.offer = None;
            b.start();
            b.until(name, 3.0, |b| matches!(b.state(), State::Searching(_)));
        }
        "approaching" => {
            b.start();
            b.until(name, 3.0, |b| matches!(b.state(), State::Approaching(_)));
        }
        "descending" => {
            b.start();
            b.until(name, 20.0, |b| matches!(b.state(), State::Descending(_)));
            b.run(2.0);
        }
        "holding" => {
            b = reach("descending");
            b.offer = None;
            b.said = Said::Wait;
            b.until(name, 3.0, |b| matches!(b.state(), State::Holding(_)));
        }
        _ => b = reach_late(name),
    }
    b
}

/// States from the commit height on, and those that follow a stop.
fn reach_late(name: &str) -> Bench {
    let mut config = command_config();
    // LAND from high up, where silence is still a reason to stop.
    config.descent.land_height_m = Some(8.5);
    let mut b = Bench::new(config, AutopilotKind::ArduPilot);
    b.offer = Some((4.0, -3.0));
    match name {
        "committing" => {
            b = reach("descending");
            b.obeys = false;
            b.until(name, 60.0, |b| matches!(b.state(), State::Committed(_)));
        }
        "committed" => {
            b.start();
            b.until(name, 60.0, |b| b.mode == Mode::Land);
            b.run(1.0);
        }
        "low" => {
            b = reach("committed");
            b.until(name, 60.0, |b| b.height_m() < 1.0);
        }
        "aborted" => {
            b = reach("descending");
            b.obeys = false;
            b.requests.push(Request::Abort);
            b.until(name, 1.0, |b| matches!(b.state(), State::Aborted(_)));
        }
        "waiting" => {
            b = reach("committed");
            b.said = Said::Veto;
            b.has_pose = false;
            b.until(name, 1.0, |b| b.mode == Mode::Hold);
            b.tick();
        }
        "climbing" => {
            b = reach("committed");
            b.said = Said::Veto;
            b.offer = None;
            b.until(name, 3.0, |b| matches!(b.state(), State::Searching(_)));
        }
        other => panic!("no way to {other}"),
    }
    b
}

/// Every state in which we own the vehicle, or are about to.
pub(super) const OWNED: [&str; 11] = [
    "engaging",
    "searching",
    "approaching",
    "descending",
    "holding",
    "committing",
    "committed",
    "low",
    "aborted",
    "waiting",
    "climbing",
];
