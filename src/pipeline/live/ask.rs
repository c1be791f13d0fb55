//! How a stage learns where the vehicle was: the control thread owns all telemetry and answers questions between two
//! messages. Nobody holds a lock, and nobody waits longer than two ticks.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::decide::Situation;
use super::super::schedule::ANSWER;
use crate::autopilot::companion::Companion;
use crate::camera::world::PoseFeed;
use crate::time::MonoTime;
use crate::vehicle::Pose;

/// Asks for the situation at a moment.
#[derive(Debug)]
pub(super) struct Question {
    at: MonoTime,
    reply: Sender<Answer>,
}

/// The situation at the moment that was asked for, as it was known `now`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) at: MonoTime,
    pub(super) now: MonoTime,
    pub(super) situation: Situation,
}

impl Question {
    pub(super) const fn at(&self) -> MonoTime {
        self.at
    }

    /// Answers; who does not listen any more gets nothing.
    pub(super) fn answer(&self, companion: &Companion, now: MonoTime) {
        let _ = self.reply.try_send(Answer {
            at: self.at,
            now,
            situation: Situation::of(companion, self.at, now),
        });
    }
}

/// One who asks.
#[derive(Debug)]
pub(super) struct Asker {
    questions: Sender<Question>,
    reply: Sender<Answer>,
    answers: Receiver<Answer>,
}

impl Asker {
    pub(super) fn new(questions: Sender<Question>) -> Self {
        let (reply, answers) = bounded(1);
        Self {
            questions,
            reply,
            answers,
        }
    }

    /// `None` when the control thread does not answer in time.
    pub(super) fn ask(&self, at: MonoTime) -> Option<Answer> {
        // An answer that came too late is in the way of the next.
        while self.answers.try_recv().is_ok() {}
        let question = Question {
            at,
            reply: self.reply.clone(),
        };
        self.questions.send_timeout(question, ANSWER).ok()?;
        let answer = self.answers.recv_timeout(ANSWER).ok()?;
        if answer.at == at {
            return Some(answer);
        }
        // The late one slipped in after all.
        self.answers
            .recv_timeout(ANSWER)
            .ok()
            .filter(|a| a.at == at)
    }
}

impl PoseFeed for Asker {
    fn pose_at(&mut self, at: MonoTime) -> Option<Pose> {
        self.ask(at)?.situation.pose.ok()
    }
}
