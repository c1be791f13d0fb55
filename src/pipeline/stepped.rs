//! One thread, virtual time, every frame: what replay, simulation and tests use.

use super::pose::{FramePose, PoseProvider};
use crate::camera::Frame;
use crate::geometry::View;
use crate::inference::{SegmentationMap, Segmenter};
use crate::landing::{HoldReason, Landing, LandingDecision, LandingInput};

/// The stages in their order, with the memory between them.
#[derive(Debug)]
pub struct Stepped<S> {
    segmenter: S,
    poses: PoseProvider,
    landing: Landing,
    segmentation: SegmentationMap,
}

/// What one frame led to.
#[derive(Debug)]
pub struct Step<'a> {
    /// Site or hold.
    pub decision: &'a LandingDecision,
    /// What the network said; `None` when it failed on this frame.
    pub segmentation: Option<&'a SegmentationMap>,
    /// From pixels to the ground; `None` without a pose.
    pub view: Option<View>,
    /// Things that the user should know about this frame.
    pub notes: Vec<String>,
}

impl<S: Segmenter> Stepped<S> {
    /// From built stages.
    #[must_use]
    pub fn new(segmenter: S, poses: PoseProvider, landing: Landing) -> Self {
        Self { segmenter, poses, landing, segmentation: SegmentationMap::default() }
    }

    /// The landing stage, for its map.
    #[must_use]
    pub fn landing(&self) -> &Landing {
        &self.landing
    }

    /// Decides on one frame. `known` is its pose where the source itself knows it (a drawn flight).
    ///
    /// Virtual time stands at the frame's capture: the decision is as old as the frame, whatever this machine's speed.
    pub fn step(&mut self, frame: &Frame, known: Option<View>) -> Step<'_> {
        let now = frame.captured_at;
        let mut notes = Vec::new();
        let view = match self.poses.pose(frame, known) {
            Ok(FramePose { view, new_map, notes: said, .. }) => {
                notes.extend(said);
                if new_map {
                    self.landing.start_new_map();
                }
                Some(view)
            }
            Err(e) => {
                notes.push(e.to_string());
                None
            }
        };
        let segmented = self.segmenter.segment(frame, &mut self.segmentation);
        if let Err(e) = &segmented {
            notes.push(e.to_string());
        }
        let segmentation = segmented.is_ok().then_some(&self.segmentation);
        let decision = match (segmentation, &view) {
            (Some(segmentation), Some(view)) => {
                let input = LandingInput { segmentation, view, picture: &frame.image, range_m: None };
                self.landing.step(&input, now)
            }
            (None, _) => self.landing.hold(frame.seq, now, HoldReason::NoSegmentation),
            (_, None) => self.landing.hold(frame.seq, now, HoldReason::NoPose),
        };
        Step { decision, segmentation, view, notes }
    }
}
