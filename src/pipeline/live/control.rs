//! The control thread: it owns the companion, steps it at every tick and at once when bytes come, and answers questions
//! for poses in between. It waits for nobody: what it sends goes into free buffers, and what has no buffer yet stays in
//! the companion's own memory.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::super::schedule::{CONTROL_TICK, HAND_BACK_LIMIT};
use super::super::watchdog::{Stage, Wish};
use super::ask::Question;
use super::counts::Turns;
use super::latest::{Put, Take};
use super::record::Note;
use super::tape::{Tape, TapeEntry};
use super::wire::FromLink;
use super::{Common, Status};
use crate::autopilot::commands::{Notice, Severity};
use crate::autopilot::companion::Companion;
use crate::autopilot::link::Listener;
use crate::autopilot::report::Computer;
use crate::autopilot::supervisor::{Brief, Phase, Refusal, Request};
use crate::time::{Clock as _, MonoTime};
use crate::vehicle::Mode;

/// The vehicle must have been at rest and ready for so long before a landing is started by itself.
const STEADY: Duration = Duration::from_secs(2);
/// At rest: slower than this, metres per second.
const REST_M_S: f64 = 1.0;
/// Not from lower than this above the ground, metres: it may still be taking off.
const ENGAGE_MIN_M: f64 = 5.0;
/// What is missing for a landing is looked at this often.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// To and from the threads of the link.
pub(super) struct LinkPorts {
    pub(super) from_link: (Sender<FromLink>, Receiver<FromLink>),
    pub(super) free_in: Sender<Vec<u8>>,
    pub(super) to_link: Sender<Vec<u8>>,
    pub(super) free_out: Receiver<Vec<u8>>,
}

/// Both ends of what ends here; the senders are kept so that a stage that broke leaves silence and no noise.
pub(super) struct Ports {
    pub(super) link: LinkPorts,
    pub(super) briefs: (Sender<Brief>, Receiver<Brief>),
    pub(super) questions: (Sender<Question>, Receiver<Question>),
    pub(super) status: Put<Status>,
    pub(super) computer: Take<Computer>,
    /// What other threads have to tell the ground.
    pub(super) remarks: Receiver<(Severity, Notice)>,
    pub(super) tape: Tape,
}

/// The control thread's memory.
pub(super) struct Control {
    companion: Companion,
    common: Common,
    ports: Ports,
    listener: Listener,
    turns: Turns,
    next_tick: MonoTime,
    next_look: MonoTime,
    out: Option<Vec<u8>>,
    /// Capture of the newest decision that no step has seen yet.
    unheard: Option<MonoTime>,
    phase: Phase,
    mark: Option<Mode>,
    readiness: Result<(), Refusal>,
    /// A start is to be asked for; since when the vehicle has been ready and at rest.
    engages: bool,
    steady_since: Option<MonoTime>,
    hand_back_since: Option<MonoTime>,
}

impl Control {
    pub(super) fn new(companion: Companion, common: Common, ports: Ports, engages: bool) -> Self {
        let now = common.clock.now();
        Self {
            mark: companion.engaged_mark(),
            companion,
            common,
            ports,
            listener: Listener::default(),
            turns: Turns::default(),
            next_tick: now,
            next_look: now,
            out: None,
            unheard: None,
            phase: Phase::Standby,
            readiness: Err(Refusal::NoHeartbeat),
            engages,
            steady_since: None,
            hand_back_since: None,
        }
    }

    /// Runs until the end, or until the vehicle is given back when that is wished.
    pub(super) fn run(&mut self) {
        loop {
            self.turns.next(&self.common.counts.control_allocations);
            let now = self.common.clock.now();
            if now >= self.next_tick {
                // Ticks that were missed are gone.
                self.next_tick = self.next_tick.after(CONTROL_TICK).max(now);
                self.tick(now);
            }
            self.flush();
            if self.is_over(now) {
                self.publish(now);
                return;
            }
            let wait = self.next_tick.since(self.common.clock.now());
            select! {
                recv(self.ports.link.from_link.1) -> message => if let Ok(m) = message { self.hear(m) },
                recv(self.ports.briefs.1) -> brief => if let Ok(b) = brief { self.learn(&b) },
                recv(self.ports.questions.1) -> question => if let Ok(q) = question { self.answer(&q) },
                default(wait) => {}
            }
        }
    }

    fn hear(&mut self, message: FromLink) {
        let now = self.common.clock.now();
        match message {
            FromLink::Bytes(buffer, len) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                self.ports
                    .tape
                    .put(|| TapeEntry::Received(bytes.to_vec(), now));
                self.companion.receive(bytes, now);
                // There is room for every buffer.
                let _ = self.ports.link.free_in.try_send(buffer);
                self.speak(now);
            }
            FromLink::Opened => self.listener.opened(self.companion.link_counts(), now),
        }
    }

    fn learn(&mut self, brief: &Brief) {
        let now = self.common.clock.now();
        self.ports
            .tape
            .put(|| TapeEntry::Took(Box::new(*brief), now));
        self.companion.decide(*brief, now);
        self.unheard = Some(brief.captured_at);
        // It is acted on at once: half a tick later it would be half a tick older.
        self.next_tick = self.next_tick.min(now);
    }

    fn answer(&mut self, question: &Question) {
        let now = self.common.clock.now();
        self.ports
            .tape
            .put(|| TapeEntry::Answered(question.at(), now));
        question.answer(&self.companion, now);
    }

    fn tick(&mut self, now: MonoTime) {
        self.common.watch.beat(Stage::Control, now);
        let health = self.common.watch.health(now);
        self.companion.set_health(health);
        if let Some(computer) = self.ports.computer.try_take() {
            self.ports.tape.put(|| TapeEntry::Gauged(computer));
            self.companion.set_computer(computer);
        }
        self.pass_on(now);
        if now >= self.next_look {
            self.next_look = now.after(LOOK_PERIOD);
            self.look_around(now);
        }
        self.engage(now);
        if self.common.watch.wished() >= Wish::HandBack && !is_idle(self.phase) {
            self.request(Request::Abort);
        }
        self.ports.tape.put(|| TapeEntry::Ticked(now, health));
        self.companion.tick(now);
        if let Some(captured_at) = self.unheard.take() {
            self.common.counts.to_command.add(now.since(captured_at));
        }
        self.speak(now);
        self.publish(now);
    }

    /// Tells the ground what other threads have to say; before there is a ground, that waits.
    fn pass_on(&mut self, now: MonoTime) {
        if self.companion.state().kind.is_none() {
            return;
        }
        while let Ok((severity, notice)) = self.ports.remarks.try_recv() {
            self.ports
                .tape
                .put(|| TapeEntry::Remarked(severity, notice, now));
            self.companion.tell(severity, notice, now);
        }
    }

    fn publish(&mut self, now: MonoTime) {
        let health = self.common.watch.health(now);
        let status = Status::of(&self.companion, self.readiness, (health, now));
        self.ports.status.put(status);
    }

    /// What is missing, and what is odd about the link, once a second.
    fn look_around(&mut self, now: MonoTime) {
        let has_autopilot = self.companion.state().kind.is_some();
        let counts = self.companion.link_counts();
        if let Some(complaint) = self.listener.check(counts, has_autopilot, now) {
            let text = complaint.to_string();
            self.common
                .notes
                .note(Note::Device(log::Level::Warn, text), now);
        }
        let readiness = self.companion.readiness(now);
        let is_news = is_idle(self.phase) && readiness != self.readiness;
        self.readiness = readiness;
        let says = match readiness {
            Err(Refusal::NotAllowed | Refusal::Busy) => return,
            Err(refusal) => format!("a landing cannot be started: {}", refusal.text()),
            Ok(()) if self.engages => format!(
                "a landing can be started, and is once the vehicle hovers {ENGAGE_MIN_M} m up or higher"
            ),
            Ok(()) => "a landing can be started".to_owned(),
        };
        if is_news {
            self.common
                .notes
                .note(Note::Device(log::Level::Info, says), now);
        }
    }

    /// Asks for a start by itself, once, when the vehicle is ready and at rest.
    fn engage(&mut self, now: MonoTime) {
        if !self.engages || self.common.watch.wished() != Wish::Run {
            return;
        }
        if self.phase != Phase::Standby {
            self.engages = false;
            return;
        }
        let state = self.companion.state();
        let is_at_rest = state
            .kinematics
            .is_some_and(|k| k.value.velocity_m_s.norm() < REST_M_S);
        let is_up = state.height.is_some_and(|h| h.value.metres >= ENGAGE_MIN_M);
        if !(is_at_rest && is_up) || self.companion.readiness(now).is_err() {
            self.steady_since = None;
            return;
        }
        let since = *self.steady_since.get_or_insert(now);
        if now.since(since) >= STEADY {
            self.steady_since = None;
            self.request(Request::Start);
        }
    }

    fn request(&mut self, request: Request) {
        self.ports.tape.put(|| TapeEntry::Asked(request));
        self.companion.request(request);
    }

    /// Hands on what the last steps said and changed.
    fn speak(&mut self, now: MonoTime) {
        for (severity, text) in self.companion.said() {
            self.common.notes.note(Note::Said(severity, text), now);
        }
        let phase = self.companion.phase();
        if phase != self.phase {
            self.phase = phase;
            let height_m = self.companion.state().height.map(|h| h.value.metres);
            self.common.notes.note(Note::Phase(phase, height_m), now);
        }
        let mark = self.companion.engaged_mark();
        if mark != self.mark && self.common.notes.note(Note::Mark(mark), now) {
            self.mark = mark;
        }
    }

    /// Sends what there is to send, as far as there are buffers.
    fn flush(&mut self) {
        let ports = &mut self.ports;
        loop {
            let Some(mut buffer) = self
                .out
                .take()
                .or_else(|| ports.link.free_out.try_recv().ok())
            else {
                return;
            };
            buffer.clear();
            self.companion.drain(&mut buffer);
            if buffer.is_empty() {
                self.out = Some(buffer);
                return;
            }
            ports.tape.put(|| TapeEntry::Sent(buffer.clone()));
            // There is room for every buffer.
            let _ = ports.link.to_link.try_send(buffer);
        }
    }

    fn is_over(&mut self, now: MonoTime) -> bool {
        match self.common.watch.wished() {
            Wish::Run => false,
            Wish::HandBack => {
                let since = *self.hand_back_since.get_or_insert(now);
                is_idle(self.phase) || now.since(since) > HAND_BACK_LIMIT
            }
            Wish::Stop | Wish::Close => true,
        }
    }
}

/// Nothing is under way.
pub(super) const fn is_idle(phase: Phase) -> bool {
    matches!(phase, Phase::Standby | Phase::Landed | Phase::HandedBack)
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::super::latest::latest;
    use super::super::start::Started;
    use super::*;
    use crate::autopilot::companion::CompanionConfig;
    use crate::time::SystemClock;

    #[test]
    fn what_finds_no_buffer_is_kept_and_sent_when_there_is_one() {
        let (started, _loose) = Started::empty(SystemClock::start());
        let (free_in, _free_in) = bounded(1);
        let (to_link, written) = bounded(2);
        let (give_back, free_out) = bounded(2);
        let ((put_status, _status), (_computer, computer)) = (latest(), latest());
        let ports = Ports {
            link: LinkPorts {
                from_link: bounded(1),
                free_in,
                to_link,
                free_out,
            },
            briefs: bounded(1),
            questions: bounded(1),
            status: put_status,
            computer,
            remarks: bounded(1).1,
            tape: Tape::default(),
        };
        let companion = Companion::new(CompanionConfig::default()).unwrap();
        let mut control = Control::new(companion, started.common.clone(), ports, false);
        for stage in Stage::ALL {
            started.common.watch.beat(stage, MonoTime::ZERO);
        }
        // The first tick sends a heartbeat and the state of the computer.
        control.tick(MonoTime::ZERO);
        control.flush();
        assert!(written.is_empty(), "there was no buffer");
        give_back.send(Vec::new()).unwrap();
        control.flush();
        let bytes = written.try_recv().unwrap();
        // A frame of each at least.
        assert!(bytes.split(|b| *b == 0xfd).count() > 2, "{bytes:?}");
        control.flush();
        assert!(written.is_empty(), "once is enough");
    }
}
