//! The whole autopilot side without I/O: bytes in, bytes out, time as an argument.
//!
//! ```text
//!  receive(bytes) ─► Parser ─► Telemetry ─► state, history ─► Supervisor ─► encode ─► Writer ─► drain(bytes)
//!                                     decide(brief) ──────────────▲
//! ```
//!
//! The control tick steps the supervisor; a message that may show a takeover steps it at once. The live and the stepped
//! driver use it alike. What leaves passes a second lock, which shares no code with the supervisor: only what the
//! configured mode allows, and no command that a takeover has overtaken on the way out.

mod complaints;
mod outbox;
mod speech;

use std::fmt;
use std::time::Duration;

use mavlink::MavHeader;
use mavlink::Message as _;
use mavlink::dialects::ardupilotmega::{COMMAND_LONG_DATA, MavCmd, MavMessage, MavResult};

use super::commands::{Command, Notice, Severity};
use super::decode::{self, Counts, Telemetry, TelemetryConfig, Upheaval};
use super::encode::{self, Scene};
use super::framing::{LinkCounts, Parser, Writer};
use super::report::{self, Computer};
use super::signing::SigningConfig;
use super::streams::Streams;
use super::supervisor::{
    Authority, Brief, Health, Input, Phase, Reason, Refusal, Request, Supervisor, SupervisorConfig,
    SupervisorConfigError, Tally,
};
use crate::geometry::GroundPoint;
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, Mode, Pose, VehicleHistory, VehicleState};
use complaints::Complaints;
use outbox::Outbox;
use speech::Speech;

/// Our component id: `MAV_COMP_ID_ONBOARD_COMPUTER`.
const COMPONENT: u8 = 191;
/// Heartbeat, clock question, and state of the computer.
const SECOND: Duration = Duration::from_secs(1);
/// The same wish from the same sender within this is a repetition of one that was lost on the way, or whose answer was.
const REPETITION: Duration = Duration::from_secs(3);
/// A parameter that was told longer ago is asked for again.
const PARAMETER_PERIOD: Duration = Duration::from_secs(10);
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
    outbox: Outbox,
    telemetry: Telemetry,
    streams: Streams,
    supervisor: Supervisor,
    decision: Option<Brief>,
    wishes: Wishes,
    last_wish: Option<Wish>,
    health: Health,
    phase: Phase,
    watch: Option<GroundPoint>,
    next_second: MonoTime,
    text_id: u16,
    speech: Speech,
    complaints: Complaints,
    /// What the ground was told and nobody here has heard yet.
    said: Vec<(Severity, Notice)>,
    computer: Computer,
}

/// What was wished for since the last step.
#[derive(Debug, Clone, Copy, Default)]
struct Wishes {
    start: bool,
    abort: bool,
}

impl Wishes {
    fn add(&mut self, request: Request) {
        match request {
            Request::Start => self.start = true,
            Request::Abort => self.abort = true,
        }
    }

    const fn all(self) -> &'static [Request] {
        match (self.start, self.abort) {
            (false, false) => &[],
            (true, false) => &[Request::Start],
            (false, true) => &[Request::Abort],
            (true, true) => &[Request::Start, Request::Abort],
        }
    }
}

/// A wish that came over the link, and our answer.
#[derive(Debug, Clone, Copy)]
struct Wish {
    request: Request,
    by: (u8, u8),
    at: MonoTime,
    result: MavResult,
}

impl Companion {
    /// Takes all memory.
    ///
    /// # Errors
    /// A setting of the supervisor outside its range.
    pub fn new(config: CompanionConfig) -> Result<Self, SupervisorConfigError> {
        Ok(Self {
            parser: Parser::new(config.signing.clone()),
            outbox: Outbox::new(Writer::new(COMPONENT, config.signing)),
            telemetry: Telemetry::new(config.telemetry),
            streams: Streams::default(),
            supervisor: Supervisor::new(config.supervisor)?,
            decision: None,
            wishes: Wishes::default(),
            last_wish: None,
            health: Health::Good,
            phase: Phase::Standby,
            watch: None,
            next_second: MonoTime::from_nanos(i64::MIN),
            text_id: 0,
            speech: Speech::default(),
            complaints: Complaints::default(),
            said: Vec::with_capacity(SAID),
            computer: Computer::default(),
        })
    }

    /// Takes what the link delivered. A message that may show a takeover is acted on before this returns; so is a
    /// heartbeat, for a mode is asked for at once after one or not at all.
    pub fn receive(&mut self, bytes: &[u8], now: MonoTime) {
        let mut rest = bytes;
        let mut has_heartbeat = false;
        loop {
            rest = self.parser.fill(rest);
            while let Some(frame) = self.parser.next_frame(now) {
                has_heartbeat |= self.take(frame.header, &frame.message, now);
            }
            if rest.is_empty() {
                break;
            }
        }
        // After all of it: what waited behind the heartbeat may show a takeover.
        if has_heartbeat {
            self.step(now);
        }
        while let Some(text) = self.complaints.next(self.parser.counts()) {
            self.complain(&text, now);
        }
    }

    /// `true`: it was the autopilot's heartbeat.
    fn take(&mut self, header: MavHeader, message: &MavMessage, now: MonoTime) -> bool {
        if let MavMessage::COMMAND_LONG(command) = message {
            self.command(header, command, now);
            return false;
        }
        let taken = self.telemetry.take(&header, message, now);
        if let Some(id) = self.telemetry.system_id() {
            self.outbox.set_system_id(id);
        }
        if let Some(reply) = taken.reply {
            self.send(&MavMessage::TIMESYNC(reply), now);
        }
        if taken.is_ours {
            self.streams.heard(message.message_id(), now);
        }
        match taken.problem {
            Some(problem) if problem.is_ordinary() => log::info!("{problem}"),
            Some(problem) => self.complain(&problem, now),
            None => {}
        }
        if taken.upheaval == Some(Upheaval::Restarted) {
            self.streams.restart();
        }
        if taken.mode_or_sticks_changed || taken.upheaval.is_some() {
            self.step(now);
        }
        taken.is_ours && matches!(message, MavMessage::HEARTBEAT(_))
    }

    /// `MAV_CMD_USER_1` to our component starts (param1 = 1) or stops (0) a landing. What is addressed to everybody is not
    /// meant for us.
    fn command(&mut self, from: MavHeader, command: &COMMAND_LONG_DATA, now: MonoTime) {
        let our_system = self.telemetry.system_id().unwrap_or(1);
        if (command.target_system, command.target_component) != (our_system, COMPONENT) {
            return;
        }
        let by = (from.system_id as u8, from.component_id);
        let result = if command.command != MavCmd::MAV_CMD_USER_1 {
            MavResult::MAV_RESULT_UNSUPPORTED
        } else if (command.param1 - 1.0).abs() < f32::EPSILON {
            self.wish(Request::Start, by, now)
        } else if command.param1.abs() < f32::EPSILON {
            self.wish(Request::Abort, by, now)
        } else {
            MavResult::MAV_RESULT_DENIED
        };
        self.send(&report::acknowledge(command.command, result, by), now);
    }

    /// Takes a wish that came over the link, and acts on it at once; a start that cannot be is refused by the supervisor,
    /// which says why.
    fn wish(&mut self, request: Request, by: (u8, u8), now: MonoTime) -> MavResult {
        let before = self
            .last_wish
            .filter(|w| (w.request, w.by) == (request, by) && now.since(w.at) < REPETITION);
        // A start that is sent again must not start again what has ended meanwhile. A stop may be obeyed twice.
        if let (Some(wish), Request::Start) = (before, request) {
            return wish.result;
        }
        let result = match request {
            Request::Abort => MavResult::MAV_RESULT_ACCEPTED,
            Request::Start => match self.readiness(now) {
                Ok(()) => MavResult::MAV_RESULT_ACCEPTED,
                Err(Refusal::NotAllowed) => MavResult::MAV_RESULT_DENIED,
                Err(_) => MavResult::MAV_RESULT_TEMPORARILY_REJECTED,
            },
        };
        self.last_wish = Some(Wish {
            request,
            by,
            at: now,
            result,
        });
        self.wishes.add(request);
        self.step(now);
        result
    }

    /// A wish of this computer, heard at the next step.
    pub fn request(&mut self, request: Request) {
        self.wishes.add(request);
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
            self.send(&encode::message_interval(id, message, hz), now);
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
            self.send(&report::heartbeat(is_engaged), now);
        }
        let status = report::computer_status(&self.computer, now);
        self.send(&status, now);
        if self.telemetry.system_id().is_some() {
            let question = self.telemetry.timesync_request(now);
            self.send(&MavMessage::TIMESYNC(question), now);
        }
        self.ask_for_loss_action(now);
    }

    /// PX4 is asked what it does when we fall silent, where we may command it: no landing is started before it has said so.
    fn ask_for_loss_action(&mut self, now: MonoTime) {
        let state = self.telemetry.state();
        let is_known = state
            .loss_action
            .is_some_and(|a| a.fresh(now, PARAMETER_PERIOD).is_some());
        let commands = self.supervisor.config().mode == Authority::Command;
        if let (Some(AutopilotKind::Px4), Some(id), true, false) =
            (state.kind, self.telemetry.system_id(), commands, is_known)
        {
            let question = encode::parameter_request(id, decode::LOSS_ACTION);
            self.send(&question, now);
        }
    }

    /// Steps the supervisor and sends what it wants.
    fn step(&mut self, now: MonoTime) {
        let pose: Option<Pose> = self.telemetry.history().pose_at(now, now).ok();
        let input = Input {
            vehicle: self.telemetry.state(),
            pose: pose.as_ref(),
            decision: self.decision.as_ref(),
            requests: self.wishes.all(),
            health: self.health,
        };
        let output = self.supervisor.step(&input, now);
        self.wishes = Wishes::default();
        self.phase = output.phase;
        self.watch = output.watch;
        for command in output.commands.iter() {
            self.carry_out(command, pose.as_ref(), now);
        }
    }

    fn carry_out(&mut self, command: &Command, pose: Option<&Pose>, now: MonoTime) {
        if !outbox::permits(self.supervisor.config().mode, self.phase, command) {
            log::error!("kept back, for neither mode nor phase allow it: {command:?}");
            return;
        }
        if let Command::Say(severity, notice) = command {
            if !self.speech.may_say(*severity, notice, now) {
                return;
            }
            self.text_id = self.text_id.wrapping_add(1).max(1);
            if self.said.len() < SAID {
                self.said.push((*severity, *notice));
            }
        }
        let scene = Scene {
            kind: self.telemetry.state().kind,
            system_id: self.telemetry.system_id().unwrap_or(0),
            pose,
            now,
            text_id: self.text_id,
        };
        let only_in = outbox::moves(command).then_some(self.phase);
        let outbox = &mut self.outbox;
        let has_form = encode::encode(command, &scene, |m| outbox.put(m, only_in, now));
        if !has_form {
            log::debug!("no form for {command:?}");
        }
    }

    fn send(&mut self, message: &MavMessage, now: MonoTime) {
        self.outbox.put(message, None, now);
    }

    /// Tells the ground something that others on this computer have to say.
    pub fn tell(&mut self, severity: Severity, notice: Notice, now: MonoTime) {
        self.carry_out(&Command::Say(severity, notice), None, now);
    }

    /// Tells log and ground of something that is wrong outside.
    fn complain(&mut self, what: &dyn fmt::Display, now: MonoTime) {
        log::warn!("{what}");
        let notice = Notice::new(format_args!("alight: {what}"));
        self.carry_out(&Command::Say(Severity::Warning, notice), None, now);
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

    /// Moves what is to be sent to the end of `out`; a command that was overtaken by another phase is not sent any more.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        let newest = self.parser.newest_signature();
        self.outbox.drain(self.phase, newest, out);
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
        self.outbox.counts()
    }

    /// Commands that a change of phase (a takeover, an abort) took back before they were fetched.
    #[must_use]
    pub fn taken_back(&self) -> u64 {
        self.outbox.taken_back()
    }
}

#[cfg(test)]
mod tests;
