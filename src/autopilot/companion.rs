//! The whole autopilot side without I/O: bytes in, bytes out, time as an argument.
//!
//! ```text
//!  receive(bytes) ─► Parser ─► Telemetry ─► state, history ─► Supervisor ─► encode ─► Writer ─► drain(bytes)
//!                                     decide(brief) ──────────────▲
//! ```
//!
//! The control tick steps the supervisor; a message that may show a takeover steps it at once. The live and the stepped
//! driver use it alike.

use std::time::Duration;

use mavlink::MavHeader;
use mavlink::Message as _;
use mavlink::dialects::ardupilotmega::{COMMAND_LONG_DATA, MavCmd, MavMessage, MavResult};

use super::commands::{Command, Notice, Severity};
use super::decode::{Counts, Telemetry, TelemetryConfig, Upheaval};
use super::encode::{self, Scene};
use super::framing::{LinkCounts, Parser, Writer};
use super::report::{self, Computer};
use super::signing::SigningConfig;
use super::streams::Streams;
use super::supervisor::{
    Brief, Health, Input, Phase, Reason, Refusal, Request, Supervisor, SupervisorConfig,
    SupervisorConfigError, Tally,
};
use crate::geometry::GroundPoint;
use crate::time::MonoTime;
use crate::vehicle::{Mode, Pose, VehicleHistory, VehicleState};

/// Our component id: `MAV_COMP_ID_ONBOARD_COMPUTER`.
const COMPONENT: u8 = 191;
/// Heartbeat, clock question, and state of the computer.
const SECOND: Duration = Duration::from_secs(1);
/// Wishes kept between two steps.
const REQUESTS: usize = 4;
/// Texts kept until somebody takes them.
const SAID: usize = 16;

/// What it is made from.
#[derive(Debug, Clone, Default)]
pub struct CompanionConfig {
    /// Who may command what.
    pub supervisor: SupervisorConfig,
    /// Whom to listen to.
    pub telemetry: TelemetryConfig,
    /// Signs what is sent and checks what comes.
    pub signing: Option<SigningConfig>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Companion {
    parser: Parser,
    writer: Writer,
    telemetry: Telemetry,
    streams: Streams,
    supervisor: Supervisor,
    decision: Option<Brief>,
    requests: Vec<Request>,
    health: Health,
    phase: Phase,
    watch: Option<GroundPoint>,
    next_second: MonoTime,
    text_id: u16,
    /// What the ground was told and nobody here has heard yet.
    said: Vec<(Severity, Notice)>,
    computer: Computer,
}

impl Companion {
    /// Takes all memory.
    ///
    /// # Errors
    /// A setting of the supervisor outside its range.
    pub fn new(config: CompanionConfig) -> Result<Self, SupervisorConfigError> {
        Ok(Self {
            parser: Parser::new(config.signing.clone()),
            writer: Writer::new(COMPONENT, config.signing),
            telemetry: Telemetry::new(config.telemetry),
            streams: Streams::default(),
            supervisor: Supervisor::new(config.supervisor)?,
            decision: None,
            requests: Vec::with_capacity(REQUESTS),
            health: Health::Good,
            phase: Phase::Standby,
            watch: None,
            next_second: MonoTime::from_nanos(i64::MIN),
            text_id: 0,
            said: Vec::with_capacity(SAID),
            computer: Computer::default(),
        })
    }

    /// Takes what the link delivered. A message that may show a takeover is acted on before this returns.
    pub fn receive(&mut self, bytes: &[u8], now: MonoTime) {
        let mut rest = bytes;
        loop {
            rest = self.parser.fill(rest);
            while let Some(frame) = self.parser.next_frame(now) {
                self.take(frame.header, &frame.message, now);
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self, header: MavHeader, message: &MavMessage, now: MonoTime) {
        if let MavMessage::COMMAND_LONG(command) = message {
            self.command(header, command, now);
            return;
        }
        let taken = self.telemetry.take(&header, message, now);
        if let Some(reply) = taken.reply {
            self.writer.write(&MavMessage::TIMESYNC(reply), now);
        }
        if taken.is_ours {
            self.streams.heard(message.message_id(), now);
        }
        if let Some(problem) = taken.problem {
            log::warn!("{problem}");
        }
        if taken.upheaval == Some(Upheaval::Restarted) {
            self.streams.restart();
        }
        if let Some(id) = self.telemetry.system_id() {
            self.writer.set_system_id(id);
        }
        if taken.mode_or_sticks_changed || taken.upheaval.is_some() {
            self.step(now);
        }
    }

    /// `MAV_CMD_USER_1` to our component starts (param1 = 1) or stops (0) a landing.
    fn command(&mut self, from: MavHeader, command: &COMMAND_LONG_DATA, now: MonoTime) {
        let is_to_us = command.target_component == COMPONENT
            && self
                .telemetry
                .system_id()
                .is_none_or(|id| id == command.target_system);
        if !is_to_us || command.command != MavCmd::MAV_CMD_USER_1 {
            return;
        }
        let request = match command.param1 {
            1.0 => Some(Request::Start),
            0.0 => Some(Request::Abort),
            _ => None,
        };
        let result = if let Some(request) = request {
            self.request(request);
            MavResult::MAV_RESULT_ACCEPTED
        } else {
            MavResult::MAV_RESULT_DENIED
        };
        let to = (from.system_id as u8, from.component_id);
        self.writer
            .write(&report::acknowledge(command.command, result, to), now);
        self.step(now);
    }

    /// A wish, heard at the next step.
    pub fn request(&mut self, request: Request) {
        if self.requests.len() < REQUESTS {
            self.requests.push(request);
        }
    }

    /// The newest landing decision.
    pub fn decide(&mut self, brief: Brief, _now: MonoTime) {
        self.decision = Some(brief);
    }

    /// How the stages before are; anything but good silences the heartbeat.
    pub fn set_health(&mut self, health: Health) {
        self.health = health;
    }

    /// What is known of the computer, for the ground.
    pub fn set_computer(&mut self, computer: Computer) {
        self.computer = computer;
    }

    /// The control tick.
    pub fn tick(&mut self, now: MonoTime) {
        let state = self.telemetry.state();
        if let (Some(kind), Some(id)) = (state.kind, self.telemetry.system_id())
            && let Some((message, hz)) = self.streams.ask(kind, now)
        {
            self.writer
                .write(&encode::message_interval(id, message, hz), now);
        }
        if now >= self.next_second {
            self.next_second = now.after(SECOND);
            self.every_second(now);
        }
        self.step(now);
    }

    fn every_second(&mut self, now: MonoTime) {
        let is_engaged = !matches!(
            self.phase,
            Phase::Standby | Phase::Landed | Phase::HandedBack
        );
        if self.health == Health::Good {
            self.writer.write(&report::heartbeat(is_engaged), now);
        }
        self.writer
            .write(&report::computer_status(&self.computer, now), now);
        if self.telemetry.system_id().is_some() {
            let question = self.telemetry.timesync_request(now);
            self.writer.write(&MavMessage::TIMESYNC(question), now);
        }
    }

    /// Steps the supervisor and sends what it wants.
    fn step(&mut self, now: MonoTime) {
        let pose: Option<Pose> = self.telemetry.history().pose_at(now, now).ok();
        let input = Input {
            vehicle: self.telemetry.state(),
            pose: pose.as_ref(),
            decision: self.decision.as_ref(),
            requests: &self.requests,
            health: self.health,
        };
        let output = self.supervisor.step(&input, now);
        self.requests.clear();
        // Before anything is written: ours must not look old to the other side.
        self.writer.not_before(self.parser.newest_signature());
        self.phase = output.phase;
        self.watch = output.watch;
        let system_id = self.telemetry.system_id().unwrap_or(0);
        for command in output.commands.iter() {
            if let Command::Say(severity, notice) = command {
                self.text_id = self.text_id.wrapping_add(1).max(1);
                if self.said.len() < SAID {
                    self.said.push((*severity, *notice));
                }
            }
            let scene = Scene {
                kind: self.telemetry.state().kind,
                system_id,
                pose: pose.as_ref(),
                now,
                text_id: self.text_id,
            };
            let writer = &mut self.writer;
            let is_sent = encode::encode(command, &scene, |message| writer.write(message, now));
            if !is_sent {
                log::debug!("no form for {command:?}");
            }
        }
    }

    /// Whether a landing could be started now.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn readiness(&mut self, now: MonoTime) -> Result<(), Refusal> {
        let pose: Option<Pose> = self.telemetry.history().pose_at(now, now).ok();
        let input = Input {
            vehicle: self.telemetry.state(),
            pose: pose.as_ref(),
            decision: self.decision.as_ref(),
            requests: &[],
            health: self.health,
        };
        self.supervisor.readiness(&input, now)
    }

    /// The texts for the ground since the last call; at most 16 are kept.
    pub fn said(&mut self) -> impl Iterator<Item = (Severity, Notice)> + '_ {
        self.said.drain(..)
    }

    /// How many of the wanted messages flow, and how many are wanted.
    #[must_use]
    pub fn streams_flowing(&self, now: MonoTime) -> (usize, usize) {
        self.streams.flowing(now)
    }

    /// Moves what is to be sent to the end of `out`.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        self.writer.drain(out);
    }

    /// The autopilot's last word on everything.
    #[must_use]
    pub fn state(&self) -> &VehicleState {
        self.telemetry.state()
    }

    /// The pose at any recent moment.
    #[must_use]
    pub fn history(&self) -> &VehicleHistory {
        self.telemetry.history()
    }

    /// The place that the landing stage should watch from the next frame on.
    #[must_use]
    pub fn watch(&self) -> Option<GroundPoint> {
        self.watch
    }

    /// What alight is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why the last landing ended or was stopped.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.supervisor.reason()
    }

    /// What the supervisor counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.supervisor.tally()
    }

    /// The mode in which we own the vehicle; see [`Supervisor::engaged_mark`].
    #[must_use]
    pub fn engaged_mark(&self) -> Option<Mode> {
        self.supervisor.engaged_mark()
    }

    /// See [`Supervisor::adopt_orphan`].
    pub fn adopt_orphan(&mut self, mode: Mode) {
        self.supervisor.adopt_orphan(mode);
    }

    /// What came over the link, by kind.
    #[must_use]
    pub fn link_counts(&self) -> &LinkCounts {
        self.parser.counts()
    }

    /// What came from the autopilot, and what was not believed.
    #[must_use]
    pub fn telemetry_counts(&self) -> &Counts {
        self.telemetry.counts()
    }

    /// Frames written, and frames dropped because nobody drained.
    #[must_use]
    pub fn sent_counts(&self) -> (u64, u64) {
        self.writer.counts()
    }
}
