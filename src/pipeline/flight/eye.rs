//! The simulated camera and the segmenter behind it: from the true pose to a frame, and from a frame to a map of surfaces.

use std::sync::Arc;

use image::RgbImage;

use crate::camera::Frame;
use crate::camera::world::{Sensor, SensorSpec, WorldCamera, moved_px};
use crate::geometry::{CameraModel, CameraMount, Vec3, View};
use crate::inference::tract::TractSegmenter;
use crate::inference::{InferenceError, SegmentationMap, Segmenter};
use crate::sim::autopilot::Truth;
use crate::sim::noisy::{Sight, TruthSegmenter};
use crate::sim::world::{Mover, World};
use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, HeightSource, Pose};

/// What says what the pictures show.
#[derive(Debug)]
pub enum Eyes<'a> {
    /// The network, on the rendered picture.
    Network(&'a mut TractSegmenter),
    /// The truth, with or without errors.
    Told(Box<TruthSegmenter>),
}

/// What is wrong with the camera.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum CameraFault {
    /// Nothing.
    #[default]
    None,
    /// The last picture again and again.
    Frozen,
    /// Black pictures.
    Black,
    /// Out of focus by so many pixels.
    Blurred(f64),
    /// No pictures.
    Lost,
}

/// A picture under way from the sensor to the decision.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) frame: Frame,
    /// How the picture truly looked at the ground, and when: of an older moment while the camera is frozen.
    view: View,
    t_s: f64,
    sight: Sight,
}

/// Camera and segmenter of one flight.
#[derive(Debug)]
pub(super) struct Eye<'a> {
    eyes: Eyes<'a>,
    camera: WorldCamera,
    sensor: Sensor,
    model: CameraModel,
    mount: CameraMount,
    source: Arc<str>,
    seq: u64,
    last: Option<(Arc<RgbImage>, View, f64)>,
}

impl<'a> Eye<'a> {
    pub(super) fn new(
        eyes: Eyes<'a>,
        world: Arc<World>,
        (model, mount): (CameraModel, CameraMount),
        seed: u64,
    ) -> Self {
        Self {
            eyes,
            camera: WorldCamera::new(world),
            sensor: Sensor::new(SensorSpec::default(), seed),
            model,
            mount,
            source: Arc::from("world camera"),
            seq: 0,
            last: None,
        }
    }

    pub(super) fn world(&self) -> &Arc<World> {
        self.camera.world()
    }

    /// Somebody comes into the world.
    pub(super) fn add_mover(&mut self, mover: Mover) {
        self.camera.add_mover(mover);
        if let Eyes::Told(told) = &mut self.eyes {
            told.set_world(Arc::clone(self.camera.world()));
        }
    }

    /// From pixels to the ground, for a pose.
    fn view(&self, pose: Pose) -> View {
        View::new(self.model.clone(), &self.mount, pose)
    }

    /// Takes a picture; `None` when the camera gives none.
    pub(super) fn capture(
        &mut self,
        truth: &Truth,
        now: MonoTime,
        fault: CameraFault,
    ) -> Option<Seen> {
        let seq = self.seq;
        self.seq += 1;
        let t_s = now.as_secs_f64();
        let (image, view, t_s, sight) = match (fault, &self.last) {
            (CameraFault::Lost, _) => return None,
            (CameraFault::Frozen, Some((image, view, t_s))) => {
                (Arc::clone(image), view.clone(), *t_s, Sight::Clear)
            }
            (CameraFault::Black, _) => {
                let black = RgbImage::new(self.model.width, self.model.height);
                (
                    Arc::new(black),
                    self.view(true_pose(truth)),
                    t_s,
                    Sight::Nothing,
                )
            }
            _ => {
                let view = self.view(true_pose(truth));
                let defocus = if let CameraFault::Blurred(px) = fault {
                    px
                } else {
                    0.0
                };
                (
                    self.expose(&view, truth, defocus, t_s),
                    view,
                    t_s,
                    Sight::Clear,
                )
            }
        };
        self.last = Some((Arc::clone(&image), view.clone(), t_s));
        let frame = Frame {
            seq,
            source: Arc::clone(&self.source),
            captured_at: now,
            image,
            tag: None,
        };
        Some(Seen {
            frame,
            view,
            t_s,
            sight,
        })
    }

    fn expose(&mut self, view: &View, truth: &Truth, defocus: f64, t_s: f64) -> Arc<RgbImage> {
        let mut picture = self.camera.render(view, t_s).picture;
        let way = truth.velocity_m_s * self.sensor.exposure_s();
        let shift = moved_px(view, &self.mount, way);
        self.sensor.expose(&mut picture, shift, defocus, t_s);
        Arc::new(picture)
    }

    /// Says what a picture shows.
    ///
    /// # Errors
    /// When the network fails on it.
    pub(super) fn segment(
        &mut self,
        seen: &Seen,
        out: &mut SegmentationMap,
    ) -> Result<(), InferenceError> {
        match &mut self.eyes {
            Eyes::Network(network) => network.segment(&seen.frame, out),
            Eyes::Told(told) => {
                told.look(&seen.view, seen.t_s, seen.sight);
                told.segment(&seen.frame, out)
            }
        }
    }
}

/// The vehicle as it truly is, over the plane z = 0. A standing vehicle's camera is 0.1 m above the ground.
fn true_pose(truth: &Truth) -> Pose {
    let p = truth.position;
    let down = p.down().min(-0.1);
    Pose {
        at: truth.at,
        position: Vec3::new(p.north(), p.east(), down),
        ned_from_frd: truth.ned_from_frd,
        height_above_ground: HeightAboveGround {
            metres: -down,
            sd_m: 0.0,
            source: HeightSource::Simulated,
        },
        position_sd_m: 0.0,
        attitude_sd_rad: 0.0,
    }
}
