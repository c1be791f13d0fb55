//! A flight over a drawn world: the demo without a drone, with its exact poses and truth.

use std::sync::Arc;

use image::GrayImage;

use super::world::{DrawnSpec, Mover, MoverKind, World};
use crate::camera::world::{WorldCamera, WorldView};
use crate::camera::{Frame, FrameSource, SourceEvent};
use crate::geometry::{CameraError, CameraModel, CameraMount, GroundPoint, Rotation, Vec3, View};
use crate::inference::classes::Surface;
use crate::time::MonoTime;
use crate::vehicle::{HeightAboveGround, HeightSource, Pose};

/// What to fly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlightSpec {
    /// Decides the world, what moves in it, and the way over it.
    pub seed: u64,
    /// How many frames.
    pub frames: u64,
    /// Frames a second.
    pub rate_hz: f64,
    /// Picture width, pixels.
    pub width: u32,
    /// Picture height, pixels.
    pub height: u32,
    /// Horizontal field of view, degrees.
    pub hfov_deg: f64,
}

impl Default for FlightSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            frames: 24,
            rate_hz: 2.0,
            width: 960,
            height: 640,
            hfov_deg: 70.0,
        }
    }
}

/// Width, height and scale of the world flown over: 120 m by 90 m.
const WORLD: (u32, u32, f64) = (2400, 1800, 0.05);

/// A survey at 30 m that sinks to 20 m, over a world with people walking and a car driving.
#[derive(Debug, Clone)]
pub struct DrawnFlight {
    spec: FlightSpec,
    camera: WorldCamera,
    model: CameraModel,
    mount: CameraMount,
    source: Arc<str>,
    next: u64,
}

impl DrawnFlight {
    /// Draws the world (seconds) and gets ready to fly.
    ///
    /// # Errors
    /// When the field of view or the picture size is not usable.
    pub fn new(spec: FlightSpec) -> Result<Self, CameraError> {
        let model = CameraModel::from_hfov(spec.width, spec.height, spec.hfov_deg)?;
        let (width, height, metres_per_pixel) = WORLD;
        let mut world = World::drawn(&DrawnSpec {
            seed: spec.seed,
            width,
            height,
            metres_per_pixel,
        });
        world.movers = movers(&world, spec.seed);
        Ok(Self {
            spec,
            camera: WorldCamera::new(Arc::new(world)),
            model,
            mount: CameraMount::nadir(),
            source: Arc::from(format!("drawn flight, seed {}", spec.seed)),
            next: 0,
        })
    }

    /// The world below.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        self.camera.world()
    }

    /// The lens.
    #[must_use]
    pub fn camera_model(&self) -> &CameraModel {
        &self.model
    }

    /// How the camera sits on the vehicle: straight down.
    #[must_use]
    pub fn mount(&self) -> &CameraMount {
        &self.mount
    }

    /// Seconds from the start to frame `seq`.
    fn seconds(&self, seq: u64) -> f64 {
        seq as f64 / self.spec.rate_hz
    }

    /// The exact pose at frame `seq`.
    #[must_use]
    pub fn pose(&self, seq: u64) -> Pose {
        let t = self.seconds(seq);
        let share = seq as f64 / (self.spec.frames.max(2) - 1) as f64;
        let height = 30.0 - 10.0 * ease((share - 0.45) / 0.55);
        // Out along one line, a turn, and half-way back along the next; mirrored by the seed.
        let mirror = if self.spec.seed.is_multiple_of(2) {
            -1.0
        } else {
            1.0
        };
        let turn = ease((share - 0.35) / 0.3);
        let east = mirror * (-22.0 + 34.0 * ease(share / 0.5) - 20.0 * ease((share - 0.5) / 0.5));
        let north = -12.0 + 20.0 * turn;
        let roll = 0.035 * (0.9 * t).sin() + 0.012 * (2.3 * t).sin();
        let pitch = 0.030 * (0.7 * t + 1.0).sin() - 0.015;
        let yaw = 0.20 * mirror + 0.45 * turn + 0.05 * (0.5 * t).sin();
        Pose {
            at: MonoTime::from_secs_f64(t),
            position: Vec3::new(north, east, -height),
            ned_from_frd: Rotation::from_roll_pitch_yaw(roll, pitch, yaw),
            height_above_ground: HeightAboveGround {
                metres: height,
                sd_m: 0.0,
                source: HeightSource::Simulated,
            },
            position_sd_m: 0.0,
            attitude_sd_rad: 0.0,
        }
    }

    /// Picture and truth of frame `seq`.
    #[must_use]
    pub fn render(&self, seq: u64) -> WorldView {
        let view = View::new(self.model.clone(), &self.mount, self.pose(seq));
        self.camera.render(&view, self.seconds(seq))
    }

    /// The true class of every pixel of frame `seq`.
    #[must_use]
    pub fn truth(&self, seq: u64) -> GrayImage {
        self.render(seq).truth
    }
}

impl FrameSource for DrawnFlight {
    fn next_event(&mut self) -> SourceEvent {
        let seq = self.next;
        if seq >= self.spec.frames {
            return SourceEvent::End { warning: None };
        }
        self.next += 1;
        SourceEvent::Frame(Frame {
            seq,
            source: Arc::clone(&self.source),
            captured_at: self.pose(seq).at,
            image: Arc::new(self.render(seq).picture),
            tag: None,
        })
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.spec.frames)
    }
}

/// 0 to 1 with a gentle start and end.
fn ease(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// Two people on foot and a car under way, on ground that they can use.
fn movers(world: &World, seed: u64) -> Vec<Mover> {
    let mut movers = Vec::new();
    let people = 1 + usize::from(seed.is_multiple_of(3)) + usize::from(seed % 3 == 1);
    for i in 0..people {
        let pace = 1.2 + 0.3 * i as f64;
        movers.extend(free_way(
            world,
            (MoverKind::Person, 0.4),
            (i as f64 * 7.0, 14.0),
            pace,
        ));
    }
    movers.extend(free_way(world, (MoverKind::Vehicle, 1.3), (0.0, 30.0), 4.0));
    movers
}

/// A straight way of `length` metres, `radius` metres wide on either side, on landable truth, near the flown line.
fn free_way(
    world: &World,
    (kind, radius): (MoverKind, f64),
    (shift, length): (f64, f64),
    speed: f64,
) -> Option<Mover> {
    let spots = (0..200).map(|i| {
        // A low-discrepancy walk over the flown part (the plastic number's additive sequence).
        let (a, b) = (
            (f64::from(i) * 0.754_877_67).fract(),
            (f64::from(i) * 0.569_840_29).fract(),
        );
        (
            70.0 * (a - 0.5) + shift,
            40.0 * (b - 0.5),
            f64::from(i) * 0.7,
        )
    });
    let steps = (length / 1.0) as u32;
    let (way, _) = spots
        .map(|(east, north, angle)| {
            let (sin, cos) = angle.sin_cos();
            let at = |s: f64| GroundPoint {
                north_m: north + s * cos,
                east_m: east + s * sin,
            };
            let points = (0..=steps).map(move |k| at(f64::from(k)));
            let firm = points
                .clone()
                .filter(|g| {
                    world
                        .truth_at(*g)
                        .is_some_and(|c| c.surface == Surface::Firm)
                })
                .count();
            let free = points.clone().all(|g| world.is_landable(g, radius));
            (points.collect::<Vec<_>>(), if free { 1 + firm } else { 0 })
        })
        // Cars keep to hard ground where there is some; people go anywhere.
        .filter(|(_, score)| *score > 0)
        .reduce(|best, next| {
            let better = kind == MoverKind::Vehicle && next.1 > best.1;
            if better { next } else { best }
        })?;
    let ends = [way.first()?, way.last()?].map(|g| {
        let px = world.pixel_from_ground(*g);
        [px.x, px.y]
    });
    Some(Mover {
        kind,
        path_px: ends.to_vec(),
        speed_mps: speed,
        start_s: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight() -> DrawnFlight {
        DrawnFlight::new(FlightSpec {
            frames: 6,
            width: 240,
            height: 160,
            ..FlightSpec::default()
        })
        .unwrap()
    }

    #[test]
    fn the_flight_sinks_from_thirty_to_twenty_metres_and_stays_over_its_world() {
        let mut flight = flight();
        let mut heights = Vec::new();
        while let SourceEvent::Frame(frame) = flight.next_event() {
            let pose = flight.pose(frame.seq);
            assert_eq!(frame.captured_at, pose.at);
            assert_eq!(frame.image.dimensions(), (240, 160));
            let (roll, pitch, _) = pose.ned_from_frd.roll_pitch_yaw();
            assert!(roll.abs() < 0.1 && pitch.abs() < 0.1);
            heights.push(pose.height_above_ground.metres);
            let truth = flight.truth(frame.seq);
            assert!(
                truth.pixels().all(|p| p.0 != [0]),
                "frame {} looks past the world's edge",
                frame.seq
            );
        }
        assert_eq!(heights.len(), 6);
        assert!((heights[0] - 30.0).abs() < 1e-9 && (heights[5] - 20.0).abs() < 1e-9);
        assert!(heights.windows(2).all(|w| w[1] <= w[0]));
        assert!(matches!(
            flight.next_event(),
            SourceEvent::End { warning: None }
        ));
        assert_eq!(flight.len_hint(), Some(6));
        assert!(!flight.world().movers.is_empty(), "nothing moves");
    }

    #[test]
    fn a_lens_that_cannot_be_is_refused() {
        let spec = FlightSpec {
            hfov_deg: 0.0,
            ..FlightSpec::default()
        };
        assert!(DrawnFlight::new(spec).is_err());
    }
}
