//! The second lock before bytes leave; it shares no code with the supervisor.
//!
//! A command passes it twice. When it is given: what the configured mode does not allow, or the present phase, is no
//! command of ours, whatever the supervisor says ([`permits`]). And when the bytes are fetched: what moves the vehicle
//! leaves only while the phase in which it was wanted is still the present one. So a takeover that is heard after a command
//! was given, and before it was fetched, takes it back.

use mavlink::dialects::ardupilotmega::MavMessage;

use crate::autopilot::commands::Command;
use crate::autopilot::framing::Writer;
use crate::autopilot::supervisor::{Authority, Phase};
use crate::time::MonoTime;
use crate::vehicle::Mode;

/// Messages that wait to be fetched at most; more are dropped, and counted.
const CAPACITY: usize = 128;

/// Whether the command moves the vehicle; the others only say something.
pub(super) const fn moves(command: &Command) -> bool {
    match command {
        Command::Say(..) | Command::Number(..) => false,
        Command::SetMode(_) | Command::GoTo(_) | Command::Target(_) => true,
    }
}

/// Whether this may be sent at all in a mode of `alight` and a phase.
pub(super) const fn permits(authority: Authority, phase: Phase, command: &Command) -> bool {
    if !moves(command) {
        return true;
    }
    if matches!(phase, Phase::Standby | Phase::Landed | Phase::HandedBack) {
        return false;
    }
    match authority {
        Authority::Advise => false,
        // Helping, it shows the place, may hold a landing that others started, and gives their mode back.
        Authority::Assist => matches!(
            command,
            Command::Target(_)
                | Command::SetMode(Mode::Hold | Mode::Land | Mode::PrecLand | Mode::Rtl)
        ),
        Authority::Command => true,
    }
}

/// A message that waits.
#[derive(Debug)]
struct Waiting {
    message: MavMessage,
    /// The phase in which it was wanted, if it moves the vehicle.
    only_in: Option<Phase>,
    since: MonoTime,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Vec<Waiting>,
    writer: Writer,
    dropped: u64,
    taken_back: u64,
}

impl Outbox {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            waiting: Vec::with_capacity(CAPACITY),
            writer,
            dropped: 0,
            taken_back: 0,
        }
    }

    /// We belong to this system.
    pub(super) fn set_system_id(&mut self, system_id: u8) {
        self.writer.set_system_id(system_id);
    }

    /// A message for the way; one that moves the vehicle leaves only in its phase.
    pub(super) fn put(&mut self, message: &MavMessage, only_in: Option<Phase>, now: MonoTime) {
        if self.waiting.len() == CAPACITY {
            self.dropped += 1;
            return;
        }
        self.waiting.push(Waiting {
            message: message.clone(),
            only_in,
            since: now,
        });
    }

    /// Moves what may leave in this phase to the end of `out`; the other side's signatures carry the time `newest`.
    pub(super) fn drain(&mut self, phase: Phase, newest: u64, out: &mut Vec<u8>) {
        self.writer.not_before(newest);
        for w in self.waiting.drain(..) {
            if w.only_in.is_none_or(|wanted| wanted == phase) {
                self.writer.write(&w.message, w.since);
            } else {
                self.taken_back += 1;
            }
        }
        self.writer.drain(out);
    }

    /// Frames written, and messages dropped because nobody fetched them.
    pub(super) const fn counts(&self) -> (u64, u64) {
        let (sent, dropped) = self.writer.counts();
        (sent, dropped + self.dropped)
    }

    /// Commands that did not leave because the phase changed before they were fetched.
    pub(super) const fn taken_back(&self) -> u64 {
        self.taken_back
    }
}
