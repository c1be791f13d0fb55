//! From a frame, what the network says of it and where the vehicle was, to a decision: the one way, for both drivers.

use std::time::Duration;

use crate::autopilot::companion::Companion;
use crate::camera::Frame;
use crate::geometry::{CameraModel, CameraMount, GroundPoint, View};
use crate::inference::SegmentationMap;
use crate::landing::{HoldReason, Landing, LandingDecision, LandingInput};
use crate::time::MonoTime;
use crate::vehicle::{Pose, PoseUnavailable};

/// A reading of the range sensor is the ground's for so long.
const RANGE_MAX_AGE: Duration = Duration::from_millis(500);

/// What the autopilot side knows about the moment of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// The vehicle when the frame was captured.
    pub pose: Result<Pose, PoseUnavailable>,
    /// Under which places mean what they say; see [`crate::vehicle::VehicleState::epoch`].
    pub epoch: u32,
    /// The place that the supervisor wants watched.
    pub watch: Option<GroundPoint>,
    /// The range sensor's newest reading, metres.
    pub range_m: Option<f64>,
}

impl Situation {
    /// For a frame captured at `at`, as it is known `now`.
    #[must_use]
    pub fn of(companion: &Companion, at: MonoTime, now: MonoTime) -> Self {
        let state = companion.state();
        Self {
            pose: companion.history().pose_at(at, now),
            epoch: state.epoch,
            watch: companion.watch(),
            range_m: state
                .range_m
                .and_then(|r| r.fresh(now, RANGE_MAX_AGE).copied()),
        }
    }
}

/// What came of a frame.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Site or hold.
    pub decision: &'a LandingDecision,
    /// From pixels to the ground; `None` without a pose.
    pub view: Option<View>,
}

/// The landing stage behind its lens.
#[derive(Debug)]
pub struct Decider {
    landing: Landing,
    lens: CameraModel,
    mount: CameraMount,
    epoch: u32,
}

impl Decider {
    /// A camera with this lens, mounted so.
    #[must_use]
    pub const fn new(landing: Landing, lens: CameraModel, mount: CameraMount) -> Self {
        Self {
            landing,
            lens,
            mount,
            epoch: 0,
        }
    }

    /// Decides on one frame; `segmentation` is `None` when the network failed on it.
    pub fn decide(
        &mut self,
        frame: &Frame,
        segmentation: Option<&SegmentationMap>,
        situation: &Situation,
        now: MonoTime,
    ) -> Decided<'_> {
        if situation.epoch != self.epoch {
            self.epoch = situation.epoch;
            self.landing.start_new_map();
        }
        self.landing.watch(situation.watch);
        let view = situation
            .pose
            .ok()
            .map(|pose| View::new(self.lens.clone(), &self.mount, pose));
        let seen = Seen {
            frame,
            segmentation,
            view: view.as_ref(),
            range_m: situation.range_m,
        };
        let decision = seen.decide(&mut self.landing, now);
        Decided { decision, view }
    }
}

/// A frame with all that is known of it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) frame: &'a Frame,
    /// `None` when the network failed on it.
    pub(super) segmentation: Option<&'a SegmentationMap>,
    /// `None` without a pose.
    pub(super) view: Option<&'a View>,
    pub(super) range_m: Option<f64>,
}

impl Seen<'_> {
    /// What the landing stage says of it.
    pub(super) fn decide<'l>(
        &self,
        landing: &'l mut Landing,
        now: MonoTime,
    ) -> &'l LandingDecision {
        let frame = self.frame;
        let reason = match (self.segmentation, self.view) {
            (Some(segmentation), Some(view)) => {
                let input = LandingInput {
                    segmentation,
                    view,
                    picture: &frame.image,
                    range_m: self.range_m,
                };
                return landing.step(&input, now);
            }
            (None, _) => HoldReason::NoSegmentation,
            (_, None) => HoldReason::NoPose,
        };
        landing.hold(frame.seq, frame.captured_at, reason)
    }
}
