//! The control thread: the companion between the link and the stages.

use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, select};

use super::{Arrival, Common, Note, Question, Status};
use crate::autopilot::companion::Companion;
use crate::autopilot::link::{LinkWriter, Listener};
use crate::autopilot::supervisor::{Brief, Health, Phase, Refusal, Request};
use crate::pipeline::decide::Situation;
use crate::pipeline::schedule;
use crate::time::{Clock as _, MonoTime};

/// Between two tries to start by itself: a start that was refused says so to the ground.
const ENGAGE_AGAIN_S: f64 = 2.0;

/// What comes to the control thread.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) arrived: Receiver<Arrival>,
    pub(super) asked: Receiver<Question>,
    pub(super) decisions: Receiver<Brief>,
    pub(super) broken: Receiver<&'static str>,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Control {
    companion: Companion,
    writer: LinkWriter,
    listener: Listener,
    outward: Vec<u8>,
    phase: Phase,
    next_tick: MonoTime,
    next_status: MonoTime,
    /// Starts by itself, not before this.
    engage_at: Option<MonoTime>,
    /// The end was asked for, at this moment.
    ends_since: Option<MonoTime>,
    fault: Option<&'static str>,
}

impl Control {
    pub(super) fn new(companion: Companion, writer: LinkWriter, engages: bool) -> Self {
        Self {
            companion,
            writer,
            listener: Listener::default(),
            outward: Vec::with_capacity(16 * 1024),
            phase: Phase::Standby,
            next_tick: MonoTime::ZERO,
            next_status: MonoTime::ZERO,
            engage_at: engages.then_some(MonoTime::ZERO),
            ends_since: None,
            fault: None,
        }
    }

    /// Until the end; the stage that failed, if one did.
    pub(super) fn run(mut self, common: &Common<'_>, inbox: &Inbox) -> Option<&'static str> {
        while !common.is_over() {
            self.take(common, inbox);
            let now = common.clock.now();
            if now >= self.next_tick {
                self.next_tick = now.after(schedule::CONTROL_TICK);
                self.tick(common, now);
            }
            self.send();
            self.follow(common, now);
            if self.is_done(now) {
                common.ends.store(true, Ordering::Relaxed);
            }
        }
        self.fault
    }

    /// Waits for the next piece of work, no longer than to the next tick.
    fn take(&mut self, common: &Common<'_>, inbox: &Inbox) {
        let wait = self.next_tick.since(common.clock.now());
        select! {
            recv(inbox.arrived) -> arrival => if let Ok(arrival) = arrival {
                self.arrive(&arrival, common.clock.now());
            },
            recv(inbox.asked) -> question => if let Ok(question) = question {
                let situation = Situation::of(&self.companion, question.at, common.clock.now());
                // Whoever asked has waited too long and is gone.
                let _ = question.answer.try_send(situation);
            },
            recv(inbox.decisions) -> brief => if let Ok(brief) = brief {
                self.companion.decide(brief, common.clock.now());
            },
            recv(inbox.broken) -> stage => if let Ok(stage) = stage {
                self.fault = Some(stage);
                self.companion.set_health(Health::Faulted(stage));
            },
            default(wait) => {}
        }
    }

    fn arrive(&mut self, arrival: &Arrival, now: MonoTime) {
        match arrival {
            Arrival::Opened => self.listener.opened(self.companion.link_counts(), now),
            Arrival::Lost => {}
            Arrival::Bytes(len, bytes) => {
                let bytes = bytes.get(..*len).unwrap_or_default();
                self.companion.receive(bytes, now);
                self.send();
            }
        }
    }

    fn tick(&mut self, common: &Common<'_>, now: MonoTime) {
        self.engage(now);
        if self.asks_for_end(common) && self.ends_since.is_none() {
            self.ends_since = Some(now);
            self.engage_at = None;
            self.companion.request(Request::Abort);
        }
        self.companion.tick(now);
        let has_autopilot = self.companion.state().kind.is_some();
        let counts = self.companion.link_counts();
        if let Some(complaint) = self.listener.check(counts, has_autopilot, now) {
            log::warn!("{complaint}");
        }
        if now >= self.next_status {
            self.next_status = now.after(schedule::STATUS_PERIOD);
            let status = self.status(common, now);
            common.note(Note::Status(Box::new(status)));
        }
    }

    fn engage(&mut self, now: MonoTime) {
        if self.engage_at.is_none_or(|at| now < at) || self.phase != Phase::Standby {
            return;
        }
        if self.companion.readiness(now).is_ok() {
            self.companion.request(Request::Start);
            self.engage_at = Some(MonoTime::from_secs_f64(now.as_secs_f64() + ENGAGE_AGAIN_S));
        }
    }

    fn asks_for_end(&self, common: &Common<'_>) -> bool {
        common.stop.load(Ordering::Relaxed) || self.fault.is_some()
    }

    fn send(&mut self) {
        self.companion.drain(&mut self.outward);
        // What the link does not take in time is lost: it would be wrong later.
        let _ = self.writer.write(&self.outward);
        self.outward.clear();
    }

    /// Says what changed.
    fn follow(&mut self, common: &Common<'_>, now: MonoTime) {
        for (severity, notice) in self.companion.said() {
            common.note(Note::Event(now, format!("{severity:?}: {notice}")));
        }
        let phase = self.companion.phase();
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        if phase != Phase::Standby {
            // Once: whoever takes the vehicle keeps it.
            self.engage_at = None;
        }
        let height = self
            .height_m()
            .map_or_else(String::new, |h| format!(" at {h:.1} m"));
        common.note(Note::Event(now, format!("{}{height}", phase.text())));
    }

    fn is_done(&self, now: MonoTime) -> bool {
        let Some(since) = self.ends_since else {
            return false;
        };
        let has_let_go = matches!(
            self.phase,
            Phase::Standby | Phase::Landed | Phase::HandedBack
        );
        let waited = now.since(since);
        has_let_go && waited >= schedule::CONTROL_TICK * 2 || waited >= schedule::HAND_BACK_LIMIT
    }

    fn height_m(&self) -> Option<f64> {
        self.companion.state().height.map(|h| h.value.metres)
    }

    fn status(&mut self, common: &Common<'_>, now: MonoTime) -> Status {
        Status {
            at: now,
            phase: self.phase,
            refusal: self.companion.readiness(now).err().map(Refusal::text),
            reason: self.companion.reason(),
            height_m: self.height_m(),
            bytes: self.companion.link_counts().bytes,
            frames: (
                common.decided.load(Ordering::Relaxed),
                common.dropped.load(Ordering::Relaxed),
            ),
        }
    }
}
