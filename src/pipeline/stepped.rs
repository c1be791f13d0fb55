//! One thread, virtual time, every frame: what replay, simulation and tests use.

use super::decide::Seen;
use super::pose::{FramePose, PoseError, PoseProvider};
use crate::camera::Frame;
use crate::geometry::{CameraMount, View};
use crate::inference::{SegmentationMap, Segmenter};
use crate::landing::{Landing, LandingDecision};
use crate::vehicle::{HeightAboveGround, Pose};

/// The stages in their order, with the memory between them.
#[derive(Debug)]
pub struct Stepped<S> {
    segmenter: S,
    poses: PoseProvider,
    landing: Landing,
    segmentation: SegmentationMap,
}

/// The pose of a frame whose source knows it (a drawn flight).
#[derive(Debug, Clone, Copy)]
pub struct KnownPose {
    /// Of the vehicle.
    pub pose: Pose,
    /// Of the camera on it.
    pub mount: CameraMount,
}

/// What is known beside the frame of where it was taken.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// Nothing: its tags and the pictures must tell.
    InPicture,
    /// Everything. `new_map`: around another origin than the frame before.
    Pose {
        /// Of vehicle and camera.
        known: KnownPose,
        /// Whether what was mapped before cannot be put in relation to it.
        new_map: bool,
    },
    /// Only the height: the pictures tell the way over the ground.
    Height(HeightAboveGround),
    /// It should be known, and is not: why.
    Missing(String),
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
    /// Whether the map began anew with this frame.
    pub new_map: bool,
    /// Things that the user should know about this frame.
    pub notes: Vec<String>,
}

impl<S: Segmenter> Stepped<S> {
    /// From built stages.
    #[must_use]
    pub fn new(segmenter: S, poses: PoseProvider, landing: Landing) -> Self {
        Self {
            segmenter,
            poses,
            landing,
            segmentation: SegmentationMap::default(),
        }
    }

    /// The landing stage, for its map.
    #[must_use]
    pub fn landing(&self) -> &Landing {
        &self.landing
    }

    /// Decides on one frame.
    ///
    /// Virtual time stands at the frame's capture: the decision is as old as the frame, whatever this machine's speed.
    pub fn step(&mut self, frame: &Frame, whereabouts: &Whereabouts) -> Step<'_> {
        let now = frame.captured_at;
        let (mut notes, mut new_map) = (Vec::new(), false);
        let view = match self.place(frame, whereabouts) {
            Ok(placed) => {
                notes.extend(placed.notes.iter().map(ToString::to_string));
                new_map = placed.new_map;
                if new_map {
                    self.landing.start_new_map();
                }
                Some(placed.view)
            }
            Err(reason) => {
                notes.push(reason);
                None
            }
        };
        let segmented = self.segmenter.segment(frame, &mut self.segmentation);
        if let Err(e) = &segmented {
            notes.push(e.to_string());
        }
        let segmentation = segmented.is_ok().then_some(&self.segmentation);
        let seen = Seen {
            frame,
            segmentation,
            view: view.as_ref(),
            range_m: None,
        };
        let decision = seen.decide(&mut self.landing, now);
        Step {
            decision,
            segmentation,
            view,
            new_map,
            notes,
        }
    }

    fn place(&mut self, frame: &Frame, whereabouts: &Whereabouts) -> Result<FramePose, String> {
        let said = |e: PoseError| e.to_string();
        match whereabouts {
            Whereabouts::InPicture => self.poses.pose(frame).map_err(said),
            Whereabouts::Pose { known, new_map } => {
                let placed = self.poses.given(frame, known.pose, &known.mount);
                let placed = placed.map_err(said)?;
                Ok(FramePose {
                    new_map: placed.new_map || *new_map,
                    ..placed
                })
            }
            Whereabouts::Height(height) => self.poses.at_height(frame, *height).map_err(said),
            Whereabouts::Missing(why) => Err(why.clone()),
        }
    }
}
