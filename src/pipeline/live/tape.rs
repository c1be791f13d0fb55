//! Everything that the control thread and the landing stage took in and gave out, in its order: enough to run the same
//! stages again on one thread and compare.

use crossbeam_channel::Sender;

use crate::autopilot::commands::{Notice, Severity};
use crate::autopilot::report::Computer;
use crate::autopilot::supervisor::{Brief, Health, Request};
use crate::camera::Frame;
use crate::inference::SegmentationMap;
use crate::landing::LandingDecision;
use crate::pipeline::decide::Situation;
use crate::time::MonoTime;

/// One thing that happened. Entries of the control thread are in their own order, and so are the decisions.
#[derive(Debug, Clone)]
pub enum TapeEntry {
    /// The control thread took bytes.
    Received(Vec<u8>, MonoTime),
    /// It took a decision.
    Took(Box<Brief>, MonoTime),
    /// It answered a question for the situation at the first moment, at the second.
    Answered(MonoTime, MonoTime),
    /// A wish was put to the supervisor.
    Asked(Request),
    /// It was told what the board is busy with.
    Gauged(Computer),
    /// It was given something to tell the ground.
    Remarked(Severity, Notice, MonoTime),
    /// It had its tick, with the stages this well.
    Ticked(MonoTime, Health),
    /// It sent bytes.
    Sent(Vec<u8>),
    /// The landing stage decided on a frame.
    Decided(Box<TapedDecision>),
}

/// A decision with all that it was made from.
#[derive(Debug, Clone)]
pub struct TapedDecision {
    /// The frame.
    pub frame: Frame,
    /// What the network said of it; `None` when it failed.
    pub map: Option<SegmentationMap>,
    /// Where the vehicle was then, as the control thread answered.
    pub situation: Situation,
    /// The moment that the decision was told to be made at.
    pub now: MonoTime,
    /// What was decided.
    pub decision: LandingDecision,
}

/// Where entries go, if anybody wants them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape(pub(super) Option<Sender<TapeEntry>>);

impl Tape {
    /// Puts an entry on it; makes none when nobody wants it. Whoever wants it keeps up.
    pub(super) fn put(&self, entry: impl FnOnce() -> TapeEntry) {
        if let Some(to) = &self.0 {
            let _ = to.try_send(entry());
        }
    }
}
