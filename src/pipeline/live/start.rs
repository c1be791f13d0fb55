//! Channels, pools and threads: made, started, joined.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::super::decide::Decider;
use super::super::pressure::PaceMark;
use super::super::schedule::{
    BRIEFS, BUFFER, BUFFERS, LINK_PATIENCE, MAPS, NOTES, OUT_BUFFERS, QUESTIONS, REMARKS,
};
use super::super::watchdog::{Stage, Watch, Wish};
use super::ask::{Asker, Question};
use super::control::{self, Control};
use super::counts::Counts;
use super::latest::{Put, Take, latest};
use super::record::{Note, Notes, Record, read_mark};
use super::stages::{self, Segmented};
use super::status::Status;
use super::tape::Tape;
use super::{Camera, Common, Failure, LiveError, Options, Parts, realtime, wire};
use crate::autopilot::commands::{Notice, Severity};
use crate::autopilot::companion::Companion;
use crate::autopilot::link;
use crate::autopilot::report::Computer;
use crate::autopilot::supervisor::Brief;
use crate::camera::FrameSource;
use crate::camera::world::WorldSource;
use crate::geometry::{CameraModel, CameraMount};
use crate::inference::{SegmentationMap, Segmenter};
use crate::landing::Landing;
use crate::record::RecordError;
use crate::time::{Clock as _, MonoTime, SystemClock};

/// Looks at a thread that is to end are this far apart.
const JOIN_STEP: Duration = Duration::from_millis(20);

/// The threads, and what the watchdog sees of them.
pub(super) struct Started {
    pub(super) common: Common,
    pub(super) failures: Receiver<Failure>,
    pub(super) status: Take<Status>,
    /// What the board is busy with, for the ground.
    pub(super) computer: Put<Computer>,
    /// What the watchdog has to tell the ground.
    pub(super) remarks: Sender<(Severity, Notice)>,
    /// Why the record is not complete.
    pub(super) unwritten: Receiver<RecordError>,
    threads: Vec<(Stage, JoinHandle<()>)>,
    to_failures: Sender<Failure>,
    /// Stages take the priorities of the schedule.
    is_real_time: bool,
}

/// The ends that the threads take.
pub(super) struct Loose {
    notes: Receiver<(MonoTime, Note)>,
    pub(super) put_status: Put<Status>,
    computer: Take<Computer>,
    pub(super) remarks: Receiver<(Severity, Notice)>,
    to_unwritten: Sender<RecordError>,
}

impl Started {
    /// Makes everything and starts it.
    pub(super) fn start(parts: Parts, options: Options) -> Result<Self, LiveError> {
        if options.engages_when_ready && !matches!(parts.camera, Camera::World(_)) {
            return Err(LiveError::EngagesWithRealCamera);
        }
        let mut companion = Companion::new(parts.companion)?;
        if let Some(mode) = options.mark.as_deref().and_then(read_mark) {
            log::warn!("the last process left the vehicle in {mode:?}");
            companion.adopt_orphan(mode);
        }
        let mut record = Record::create(options.out.as_deref(), options.mark)?;
        record.keyring = options.keyring;
        record.limit(options.record_limit);
        let is_real_time = realtime::prepare(options.real_time)?;
        let (mut started, loose) = Self::empty(parts.clock);
        started.is_real_time = is_real_time;
        let questions = bounded(QUESTIONS);
        let (source, lens, mount) = started.source(parts.camera, &questions.0);
        let decider = Decider::new(Landing::new(parts.landing)?, lens, mount);
        let tape = Tape(options.tape);
        let briefs = bounded(BRIEFS);

        let (notes, to_unwritten) = (loose.notes, loose.to_unwritten);
        started.spawn(Stage::Record, move |common| {
            record.run(&notes, common, &to_unwritten);
        })?;
        let ports = control::Ports {
            link: started.link(parts.link)?,
            briefs: briefs.clone(),
            questions: questions.clone(),
            status: loose.put_status,
            computer: loose.computer,
            remarks: loose.remarks,
            tape: tape.clone(),
        };
        started.control(companion, ports, options.engages_when_ready)?;
        let asker = Asker::new(questions.0);
        let (briefs, _) = briefs;
        let thinking = Thinking {
            segmenter: parts.segmenter,
            decider,
            asker,
            briefs,
            tape,
        };
        started.pictures(source, thinking)?;
        Ok(started)
    }

    /// Without any thread.
    pub(super) fn empty(clock: SystemClock) -> (Self, Loose) {
        let counts = Arc::new(Counts::default());
        let (to_notes, notes) = bounded(NOTES);
        let common = Common {
            watch: Arc::new(Watch::default()),
            notes: Notes::new(to_notes, Arc::clone(&counts)),
            counts,
            clock,
            pace: Arc::new(PaceMark::default()),
        };
        let (to_failures, failures) = bounded(Stage::ALL.len());
        let (put_status, status) = latest();
        let (to_unwritten, unwritten) = bounded(1);
        let (put_computer, computer) = latest();
        let (to_remarks, remarks) = bounded(REMARKS);
        let started = Self {
            common,
            failures,
            status,
            computer: put_computer,
            remarks: to_remarks,
            unwritten,
            threads: Vec::with_capacity(Stage::ALL.len()),
            to_failures,
            is_real_time: false,
        };
        let loose = Loose {
            notes,
            put_status,
            computer,
            remarks,
            to_unwritten,
        };
        (started, loose)
    }

    fn source(
        &self,
        camera: Camera,
        questions: &Sender<Question>,
    ) -> (Box<dyn FrameSource + Send>, CameraModel, CameraMount) {
        match camera {
            Camera::World(spec) => {
                let (lens, mount) = (spec.lens.clone(), spec.mount);
                let feed = Box::new(Asker::new(questions.clone()));
                let source = WorldSource::new(*spec, feed, self.common.clock.clone());
                (Box::new(source), lens, mount)
            }
            Camera::Source(source, lens, mount) => (source, lens, mount),
        }
    }

    /// Opens nothing yet: the reader does, and again when it is lost.
    fn link(&mut self, address: link::LinkAddress) -> Result<control::LinkPorts, LiveError> {
        let (reader, writer) = link::open(address, LINK_PATIENCE);
        // Room for every buffer, and for the news that the link was opened.
        let (to_control, from_link) = bounded(BUFFERS + BRIEFS);
        let (free_in, take_in) = pool(BUFFERS, || vec![0; BUFFER]);
        let (free_out, take_out) = pool(OUT_BUFFERS, || Vec::with_capacity(BUFFER));
        let (to_link, to_write) = bounded::<Vec<u8>>(OUT_BUFFERS);
        let to_reader = to_control.clone();
        self.spawn(Stage::LinkRead, move |common| {
            wire::read(reader, common, (&to_reader, &take_in));
        })?;
        self.spawn(Stage::LinkWrite, move |common| {
            wire::write(writer, common, (&to_write, &free_out));
        })?;
        Ok(control::LinkPorts {
            from_link: (to_control, from_link),
            free_in,
            to_link,
            free_out: take_out,
        })
    }

    /// A control thread that panics hands back with what is left of it before it ends.
    fn control(
        &mut self,
        companion: Companion,
        ports: control::Ports,
        engages: bool,
    ) -> Result<(), LiveError> {
        let mut control = Control::new(companion, self.common.clone(), ports, engages);
        // The watchdog counts from here.
        let now = self.common.clock.now();
        self.common.watch.beat(Stage::Control, now);
        self.spawn(Stage::Control, move |common| {
            let first = catch_unwind(AssertUnwindSafe(|| control.run()));
            if let Err(panic) = first {
                common.watch.wish(Wish::HandBack);
                // It may panic again; then the other side's failsafe is all there is.
                let _ = catch_unwind(AssertUnwindSafe(|| control.run()));
                std::panic::resume_unwind(panic);
            }
        })
    }

    fn pictures(
        &mut self,
        source: Box<dyn FrameSource + Send>,
        thinking: Thinking,
    ) -> Result<(), LiveError> {
        let (put, take) = latest();
        let (to_landing, segmented) = bounded::<Segmented>(MAPS);
        let (free, free_maps) = pool(MAPS, SegmentationMap::default);
        let Thinking {
            segmenter, decider, ..
        } = thinking;
        let ports = stages::Ports {
            segmented,
            free,
            asker: thinking.asker,
            briefs: thinking.briefs,
            tape: thinking.tape,
        };
        self.spawn(Stage::Landing, move |common| {
            stages::landing(decider, common, &ports);
        })?;
        self.spawn(Stage::Inference, move |common| {
            stages::inference(segmenter, common, &take, (&to_landing, &free_maps));
        })?;
        self.spawn(Stage::Camera, move |common| {
            stages::camera(source, common, &put);
        })
    }

    /// Starts a named thread. One that ends before the end is wished, or panics, is broken.
    pub(super) fn spawn(
        &mut self,
        stage: Stage,
        work: impl FnOnce(&Common) + Send + 'static,
    ) -> Result<(), LiveError> {
        let (common, failures) = (self.common.clone(), self.to_failures.clone());
        common.watch.turn(stage, common.clock.now());
        let is_real_time = self.is_real_time;
        let thread = Builder::new()
            .name(stage.name().to_owned())
            .spawn(move || {
                if is_real_time {
                    realtime::enter(stage);
                }
                let done = catch_unwind(AssertUnwindSafe(|| work(&common)));
                let why = match done {
                    Err(panic) => format!("panicked: {}", words(panic.as_ref())),
                    Ok(()) if common.watch.wished() == Wish::Run => "ended by itself".to_owned(),
                    Ok(()) => return,
                };
                common.watch.broke(stage);
                // There is room for one of each stage.
                let _ = failures.try_send(Failure { stage, why });
            })
            .map_err(|source| LiveError::Thread {
                name: stage.name(),
                source,
            })?;
        self.threads.push((stage, thread));
        Ok(())
    }

    /// Whether a thread has ended.
    pub(super) fn is_finished(&self, stage: Stage) -> bool {
        self.threads
            .iter()
            .any(|(s, thread)| *s == stage && thread.is_finished())
    }

    /// Stops and joins every thread that ends within `limit`, the record last; the names of those that do not.
    pub(super) fn join(&mut self, limit: Duration) -> Vec<&'static str> {
        let until = self.common.clock.now().after(limit);
        self.common.watch.wish(Wish::Stop);
        self.wait(until, |stage| stage != Stage::Record);
        self.common.watch.wish(Wish::Close);
        self.wait(until.after(JOIN_STEP * 10), |_| true);
        let mut left = Vec::new();
        for (stage, thread) in self.threads.drain(..) {
            if thread.is_finished() {
                // Its panic, if it had one, is among the failures.
                let _ = thread.join();
            } else {
                left.push(stage.name());
            }
        }
        left
    }

    fn wait(&self, until: MonoTime, who: impl Fn(Stage) -> bool) {
        let runs = |(stage, thread): &(Stage, JoinHandle<()>)| who(*stage) && !thread.is_finished();
        while self.common.clock.now() < until && self.threads.iter().any(runs) {
            // Nothing comes on this channel: it is the wait.
            let _ = never::<()>().recv_timeout(JOIN_STEP);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.common.watch.wish(Wish::Close);
    }
}

/// What the pictures go through.
struct Thinking {
    segmenter: Box<dyn Segmenter + Send>,
    decider: Decider,
    asker: Asker,
    briefs: Sender<Brief>,
    tape: Tape,
}

/// Things that go round: where they come back to, and where they are taken from.
fn pool<T>(count: usize, make: impl Fn() -> T) -> (Sender<T>, Receiver<T>) {
    let (back, free) = bounded(count);
    for _ in 0..count {
        // There is room for each.
        let _ = back.try_send(make());
    }
    (back, free)
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no words".to_owned())
}
