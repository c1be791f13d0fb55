//! The other threads: camera, decisions, and the ear on the link.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::{Arrival, Common, LiveSpec, Note, Question, Shot};
use crate::autopilot::link::{LinkReader, Received};
use crate::autopilot::supervisor::Brief;
use crate::camera::Frame;
use crate::camera::world::{Sensor, SensorSpec, WorldCamera};
use crate::geometry::{CameraModel, CameraMount, Vec3, View};
use crate::inference::{SegmentationMap, Segmenter as _};
use crate::landing::Landing;
use crate::pipeline::decide::{Decider, Situation};
use crate::pipeline::flight::Eyes;
use crate::pipeline::schedule;
use crate::record::DecisionLine;
use crate::sim::noisy::Sight;
use crate::time::{Clock as _, MonoTime};
use crate::vehicle::Pose;

/// Asks the control thread.
#[derive(Debug)]
struct Asker {
    questions: Sender<Question>,
    answer: Sender<Situation>,
    answers: Receiver<Situation>,
}

impl Asker {
    fn new(questions: Sender<Question>) -> Self {
        let (answer, answers) = bounded(1);
        Self {
            questions,
            answer,
            answers,
        }
    }

    fn ask(&self, at: MonoTime) -> Option<Situation> {
        // An answer that came too late the last time.
        while self.answers.try_recv().is_ok() {}
        let question = Question {
            at,
            answer: self.answer.clone(),
        };
        self.questions
            .send_timeout(question, schedule::ANSWER)
            .ok()?;
        self.answers.recv_timeout(schedule::ANSWER).ok()
    }
}

/// Renders the world from the pose that telemetry reports.
#[derive(Debug)]
pub(super) struct Camera {
    renderer: WorldCamera,
    sensor: Sensor,
    lens: CameraModel,
    mount: CameraMount,
    interval: Duration,
    latency: Duration,
    asker: Asker,
}

impl Camera {
    pub(super) fn new(spec: &LiveSpec, questions: Sender<Question>) -> Self {
        Self {
            renderer: WorldCamera::new(Arc::clone(&spec.world)),
            sensor: Sensor::new(SensorSpec::default(), 1),
            lens: spec.camera.clone(),
            mount: spec.mount,
            interval: spec.frame_interval,
            latency: spec.latency,
            asker: Asker::new(questions),
        }
    }

    /// A picture is exposed on the beat and rendered `latency` later, when the telemetry around it is there.
    pub(super) fn run(mut self, common: &Common<'_>, shots: &Sender<Shot>) {
        let source: Arc<str> = Arc::from("world camera");
        let mut seq = 0;
        let mut next = common.clock.now();
        while !common.is_over() {
            let now = common.clock.now();
            let due = next.after(self.latency);
            if now < due {
                // Nothing comes on this channel: it is the wait.
                let _ = never::<()>().recv_timeout(due.since(now).min(schedule::BEAT));
                continue;
            }
            let captured_at = next;
            // Beats that were missed are gone.
            next = next.after(self.interval).max(before(now, self.latency));
            let Some(Ok(pose)) = self.asker.ask(captured_at).map(|s| s.pose) else {
                continue;
            };
            let truth = View::new(self.lens.clone(), &self.mount, over_plane(pose));
            let t_s = captured_at.as_secs_f64();
            let mut picture = self.renderer.render(&truth, t_s).picture;
            self.sensor.expose(&mut picture, [0.0; 2], 0.0, t_s);
            let frame = Frame {
                seq,
                source: Arc::clone(&source),
                captured_at,
                image: Arc::new(picture),
                tag: None,
            };
            seq += 1;
            if shots.try_send(Shot { frame, truth }).is_err() {
                common.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn before(now: MonoTime, d: Duration) -> MonoTime {
    MonoTime::from_nanos(now.as_nanos().saturating_sub(d.as_nanos() as i64))
}

/// The pose over the plane z = 0, which is the world's ground. A standing vehicle's camera is 0.1 m above it.
fn over_plane(pose: Pose) -> Pose {
    let p = pose.position;
    Pose {
        position: Vec3::new(p.north(), p.east(), p.down().min(-0.1)),
        ..pose
    }
}

/// From the newest frame to a decision.
#[derive(Debug)]
pub(super) struct Decide<'a> {
    eyes: Eyes<'a>,
    decider: Decider,
    segmentation: SegmentationMap,
    asker: Asker,
    briefs: Sender<Brief>,
}

impl<'a> Decide<'a> {
    pub(super) fn new(
        spec: &LiveSpec,
        landing: Landing,
        eyes: Eyes<'a>,
        (questions, briefs): (Sender<Question>, Sender<Brief>),
    ) -> Self {
        Self {
            eyes,
            decider: Decider::new(landing, spec.camera.clone(), spec.mount),
            segmentation: SegmentationMap::default(),
            asker: Asker::new(questions),
            briefs,
        }
    }

    pub(super) fn run(mut self, common: &Common<'_>, shown: &Receiver<Shot>) {
        while !common.is_over() {
            let Ok(mut shot) = shown.recv_timeout(schedule::BEAT) else {
                continue;
            };
            for newer in shown.try_iter() {
                shot = newer;
                common.dropped.fetch_add(1, Ordering::Relaxed);
            }
            self.decide(common, &shot);
        }
    }

    fn decide(&mut self, common: &Common<'_>, shot: &Shot) {
        let frame = &shot.frame;
        let segmented = match &mut self.eyes {
            Eyes::Network(network) => network.segment(frame, &mut self.segmentation),
            Eyes::Told(told) => {
                told.look(&shot.truth, frame.captured_at.as_secs_f64(), Sight::Clear);
                told.segment(frame, &mut self.segmentation)
            }
        };
        if let Err(e) = &segmented {
            log::warn!("frame {}: {e}", frame.seq);
        }
        let Some(situation) = self.asker.ask(frame.captured_at) else {
            common.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let segmentation = segmented.is_ok().then_some(&self.segmentation);
        let now = common.clock.now();
        let decided = self.decider.decide(frame, segmentation, &situation, now);
        let brief = Brief::of(decided.decision, situation.epoch);
        if self.briefs.send_timeout(brief, schedule::ANSWER).is_err() {
            common.dropped.fetch_add(1, Ordering::Relaxed);
        }
        common.decided.fetch_add(1, Ordering::Relaxed);
        let latency = common.clock.now().since(frame.captured_at);
        let line = DecisionLine::new(decided.decision, &frame.source, latency);
        common.note(Note::Decision(Box::new(line)));
    }
}

/// Hands on what the link brings.
pub(super) fn listen(common: &Common<'_>, mut reader: LinkReader, arrivals: &Sender<Arrival>) {
    let mut buffer = [0; schedule::CHUNK];
    while !common.is_over() {
        let arrival = match reader.read(&mut buffer, common.clock.now()) {
            Received::Bytes(len) => Arrival::Bytes(len, buffer),
            Received::Opened => {
                log::info!("{}: open", reader.address());
                Arrival::Opened
            }
            Received::Lost(why) => {
                log::warn!("{why}; it will be opened again");
                Arrival::Lost
            }
            Received::CannotOpen(e) => {
                log::warn!("{e}; trying again");
                continue;
            }
            Received::Silence | Received::Closed => continue,
        };
        if arrivals.send_timeout(arrival, schedule::BEAT).is_err() {
            log::warn!("the control thread takes no bytes");
        }
    }
}
