//! The three threads of the pictures: camera, inference, landing.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::super::decide::{Decided, Decider, Situation};
use super::super::pressure::Pace;
use super::super::schedule::{ANSWER, BEAT};
use super::super::watchdog::{Stage, Wish};
use super::Common;
use super::ask::{Answer, Asker};
use super::counts::Turns;
use super::latest::{Put, Take};
use super::record::Note;
use super::tape::{Tape, TapeEntry, TapedDecision};
use crate::autopilot::supervisor::Brief;
use crate::camera::{Frame, FrameSource, SourceEvent};
use crate::inference::{SegmentationMap, Segmenter};
use crate::landing::Outcome;
use crate::time::{Clock as _, MonoTime};

/// A frame with what the network says of it.
#[derive(Debug)]
pub(super) struct Segmented {
    frame: Frame,
    map: SegmentationMap,
    is_good: bool,
}

/// Brings frames until the end; the end of the source is a wish to stop.
pub(super) fn camera(mut source: Box<dyn FrameSource + Send>, common: &Common, to: &Put<Frame>) {
    let counts = &common.counts;
    let mut last_reason = String::new();
    let mut turns = Turns::default();
    while !common.watch.is_stopping() {
        turns.next(&counts.camera_allocations);
        common.watch.turn(Stage::Camera, common.clock.now());
        let event = source.next_event();
        let now = common.clock.now();
        match event {
            SourceEvent::Frame(frame) => {
                common.watch.beat(Stage::Camera, now);
                counts.frames.add(1);
                counts.overtaken.add(to.put(frame));
            }
            SourceEvent::Skipped { reason, .. } => {
                counts.skipped.add(1);
                if reason != last_reason {
                    let text = format!("camera: {reason}");
                    common.notes.note(Note::Device(log::Level::Warn, text), now);
                    last_reason = reason;
                }
            }
            SourceEvent::End { warning } => {
                let why = warning.map_or_else(String::new, |w| format!(": {w}"));
                let text = format!("camera: no more pictures{why}");
                common.notes.note(Note::Device(log::Level::Info, text), now);
                common.watch.wish(Wish::HandBack);
                return;
            }
        }
    }
}

/// Which frames are looked at under pressure: those nearest to the pace. One that comes half a frame early is taken, or a
/// slow camera would be looked at so seldom that no GO is fresh.
#[derive(Debug, Default)]
struct Pacer {
    looked_at: Option<MonoTime>,
    came_at: Option<MonoTime>,
}

impl Pacer {
    fn takes(&mut self, captured_at: MonoTime, pace: Pace) -> bool {
        let gap = self
            .came_at
            .map_or(Duration::ZERO, |at| captured_at.since(at));
        self.came_at = Some(captured_at);
        let least = pace.interval().saturating_sub(gap / 2);
        let takes = self
            .looked_at
            .is_none_or(|at| captured_at.since(at) >= least);
        if takes {
            self.looked_at = Some(captured_at);
        }
        takes
    }
}

/// Says what the newest frame shows, whenever it is free, and the pace of the board allows.
pub(super) fn inference(
    mut segmenter: Box<dyn Segmenter + Send>,
    common: &Common,
    frames: &Take<Frame>,
    (to, free): (&Sender<Segmented>, &Receiver<SegmentationMap>),
) {
    let mut spare = None;
    let mut pacer = Pacer::default();
    let mut last_reason = String::new();
    while !common.watch.is_stopping() {
        common.watch.turn(Stage::Inference, common.clock.now());
        let Some(mut map) = spare.take().or_else(|| free.recv_timeout(BEAT).ok()) else {
            continue;
        };
        let Some(frame) = frames.take(BEAT) else {
            spare = Some(map);
            continue;
        };
        if !pacer.takes(frame.captured_at, common.pace.get()) {
            common.counts.eased.add(1);
            spare = Some(map);
            continue;
        }
        common.watch.turn(Stage::Inference, common.clock.now());
        let segmented = segmenter.segment(&frame, &mut map);
        let now = common.clock.now();
        common.watch.beat(Stage::Inference, now);
        let is_good = segmented.is_ok();
        if let Err(e) = segmented {
            common.counts.failed.add(1);
            let reason = e.to_string();
            if reason != last_reason {
                common
                    .notes
                    .note(Note::Device(log::Level::Error, reason.clone()), now);
                last_reason = reason;
            }
        }
        // There is room for every map.
        let _ = to.try_send(Segmented {
            frame,
            map,
            is_good,
        });
    }
}

/// Where the landing stage's input comes from and its output goes.
pub(super) struct Ports {
    pub(super) segmented: Receiver<Segmented>,
    pub(super) free: Sender<SegmentationMap>,
    pub(super) asker: Asker,
    pub(super) briefs: Sender<Brief>,
    pub(super) tape: Tape,
}

/// Decides on the newest frame.
pub(super) fn landing(mut decider: Decider, common: &Common, ports: &Ports) {
    let mut turns = Turns::default();
    while !common.watch.is_stopping() {
        turns.next(&common.counts.landing_allocations);
        common.watch.turn(Stage::Landing, common.clock.now());
        let Ok(mut newest) = ports.segmented.recv_timeout(BEAT) else {
            continue;
        };
        while let Ok(newer) = ports.segmented.try_recv() {
            common.counts.maps_overtaken.add(1);
            let older = std::mem::replace(&mut newest, newer);
            // There is room for every map.
            let _ = ports.free.try_send(older.map);
        }
        match ports.asker.ask(newest.frame.captured_at) {
            Some(answer) => decide(&mut decider, &newest, &answer, (common, ports)),
            None => common.counts.unanswered.add(1),
        }
        let _ = ports.free.try_send(newest.map);
    }
}

fn decide(
    decider: &mut Decider,
    seen: &Segmented,
    answer: &Answer,
    (common, ports): (&Common, &Ports),
) {
    let Situation { epoch, .. } = answer.situation;
    let map = seen.is_good.then_some(&seen.map);
    // The moment of the answer is the moment of the decision: pose and age belong together.
    let Decided { decision, .. } = decider.decide(&seen.frame, map, &answer.situation, answer.now);
    let decided_at = common.clock.now();
    common.watch.beat(Stage::Landing, decided_at);
    let latency = decided_at.since(seen.frame.captured_at);
    let counts = &common.counts;
    counts.decisions.add(1);
    counts
        .sites
        .add(u64::from(decision.outcome == Outcome::Site));
    counts.to_decision.add(latency);
    let brief = Brief::of(decision, epoch);
    ports.tape.put(|| {
        TapeEntry::Decided(Box::new(TapedDecision {
            frame: Frame {
                image: Arc::new((*seen.frame.image).clone()),
                ..seen.frame.clone()
            },
            map: map.cloned(),
            situation: answer.situation,
            now: answer.now,
            decision: decision.clone(),
        }))
    });
    let is_lost = ports.briefs.send_timeout(brief, ANSWER).is_err();
    counts.briefs_lost.add(u64::from(is_lost));
    let note = Note::of(decision, &brief, &seen.frame.source, latency);
    common.notes.note(note, decided_at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_pressure_no_camera_is_looked_at_so_seldom_that_a_go_is_stale() {
        use crate::autopilot::supervisor::SupervisorConfig;
        let limit_s = SupervisorConfig::default().freshness.go_max_age_s;
        for pace in [Pace::Eased, Pace::Least] {
            for hz in [2.0, 2.5, 3.0, 4.0, 5.0, 10.0, 30.0] {
                let mut pacer = Pacer::default();
                let times = (0..200).map(|i| MonoTime::from_secs_f64(f64::from(i) / hz));
                let looked: Vec<_> = times.filter(|t| pacer.takes(*t, pace)).collect();
                let gaps = looked.windows(2).map(|w| w[1].secs_since(w[0]));
                let worst_s = gaps.fold(0.0, f64::max);
                // What is left is for the network and the decision.
                assert!(worst_s <= limit_s - 0.3, "{worst_s} s at {hz} Hz, {pace:?}");
                let mean_hz = looked.len() as f64 / (200.0 / hz);
                let allowed_hz = 1.5 / pace.interval().as_secs_f64();
                assert!(mean_hz < allowed_hz, "{mean_hz} of {hz} Hz, {pace:?}");
            }
        }
    }
}
