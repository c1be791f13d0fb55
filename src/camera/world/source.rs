//! The world camera as a source of frames in real time: what the configured camera would see from the pose that telemetry
//! reports. It works over any autopilot on the link, simulated or real.
//!
//! A frame is captured on the beat of the rate, and comes out `latency` later: then the telemetry around its capture
//! has arrived, and the pose is interpolated instead of guessed.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, never};
use image::RgbImage;

use super::{Sensor, SensorSpec, WorldCamera, WorldView, moved_px};
use crate::camera::{Frame, FrameSource, SourceEvent};
use crate::geometry::{CameraModel, CameraMount, Ned, Vec3, View};
use crate::sim::world::World;
use crate::time::{Clock as _, MonoTime, SystemClock};
use crate::vehicle::{HeightAboveGround, HeightSource, Pose};

/// Standing on the ground, the camera is this far above it, metres.
const STANDING_M: f64 = 0.1;
/// Positions further apart in time say nothing of the speed, seconds.
const SPEED_MAX_GAP_S: f64 = 1.0;

/// Who knows where the vehicle was.
pub trait PoseFeed: Send {
    /// The pose at a recent moment; answers within a tenth of a second. `None` while it is not known.
    fn pose_at(&mut self, at: MonoTime) -> Option<Pose>;
}

/// What was rendered, for who must know the truth of a frame.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The frame's index.
    pub seq: u64,
    /// How the picture looks at the ground.
    pub view: View,
    /// Seconds of the movers' time.
    pub t_s: f64,
}

/// What the camera is, and what it looks at.
#[derive(Debug)]
pub struct WorldSpec {
    /// The ground, and who moves on it.
    pub world: Arc<World>,
    /// Decides noise and exposure.
    pub seed: u64,
    /// The lens.
    pub lens: CameraModel,
    /// How the camera sits on the vehicle.
    pub mount: CameraMount,
    /// Time between two pictures.
    pub interval: Duration,
    /// From capture to arrival.
    pub latency: Duration,
    /// Pictures that may be in use at once; when all are, a frame is dropped.
    pub pictures: usize,
    /// Told of every frame before it comes out.
    pub sightings: Option<Sender<Sighting>>,
}

/// Renders frames in real time.
pub struct WorldSource {
    spec: WorldSpec,
    camera: WorldCamera,
    sensor: Sensor,
    feed: Box<dyn PoseFeed>,
    clock: SystemClock,
    name: Arc<str>,
    seq: u64,
    next: MonoTime,
    last: Option<(Vec3<Ned>, MonoTime)>,
    canvas: WorldView,
    pictures: Vec<Arc<RgbImage>>,
}

impl std::fmt::Debug for WorldSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorldSource")
            .field("spec", &self.spec)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

impl WorldSource {
    /// Takes all memory. `clock` is the one that the poses are stamped with.
    #[must_use]
    pub fn new(spec: WorldSpec, feed: Box<dyn PoseFeed>, clock: SystemClock) -> Self {
        let (width, height) = (spec.lens.width, spec.lens.height);
        Self {
            camera: WorldCamera::new(Arc::clone(&spec.world)),
            sensor: Sensor::new(SensorSpec::default(), spec.seed),
            feed,
            name: Arc::from("world camera"),
            seq: 0,
            next: clock.now(),
            clock,
            last: None,
            canvas: WorldView {
                picture: RgbImage::new(width, height),
                truth: image::GrayImage::new(width, height),
            },
            pictures: (0..spec.pictures)
                .map(|_| Arc::new(RgbImage::new(width, height)))
                .collect(),
            spec,
        }
    }

    /// Waits for the next beat and the picture's latency after it; the moment of capture.
    fn wait(&mut self) -> MonoTime {
        let now = self.clock.now();
        // Beats that were missed are gone.
        let captured_at = self.next.max(MonoTime::from_nanos(
            now.as_nanos() - self.spec.latency.as_nanos() as i64,
        ));
        self.next = captured_at.after(self.spec.interval);
        let ready = captured_at.after(self.spec.latency);
        // Nothing comes on this channel: it is the wait.
        let _ = never::<()>().recv_timeout(ready.since(now));
        captured_at
    }

    fn skip(&self, reason: &str) -> SourceEvent {
        SourceEvent::Skipped {
            seq: self.seq.saturating_sub(1),
            source: Arc::clone(&self.name),
            reason: reason.to_owned(),
        }
    }

    /// The picture of one moment, into memory that nobody uses any more.
    fn expose(&mut self, view: &View, captured_at: MonoTime) -> Option<Arc<RgbImage>> {
        let free = self
            .pictures
            .iter()
            .position(|p| Arc::strong_count(p) == 1)?;
        let t_s = captured_at.as_secs_f64();
        self.camera.render_into(view, t_s, &mut self.canvas);
        let here = view.pose().position;
        let speed = self.last.and_then(|(there, then)| {
            let gap_s = captured_at.secs_since(then);
            (gap_s > 0.0 && gap_s < SPEED_MAX_GAP_S).then(|| (here - there) * (1.0 / gap_s))
        });
        self.last = Some((here, captured_at));
        let way = speed.map_or_else(Vec3::zero, |v| v * self.sensor.exposure_s());
        let shift = moved_px(view, &self.spec.mount, way);
        self.sensor
            .expose(&mut self.canvas.picture, shift, 0.0, t_s);
        let picture = self.pictures.get_mut(free)?;
        Arc::get_mut(picture)?.copy_from_slice(&self.canvas.picture);
        Some(Arc::clone(picture))
    }
}

impl FrameSource for WorldSource {
    fn next_event(&mut self) -> SourceEvent {
        let captured_at = self.wait();
        let seq = self.seq;
        self.seq += 1;
        let Some(pose) = self.feed.pose_at(captured_at) else {
            return self
                .skip("no pose from telemetry yet: the world camera has nowhere to look from");
        };
        let view = View::new(self.spec.lens.clone(), &self.spec.mount, over_plane(pose));
        let Some(image) = self.expose(&view, captured_at) else {
            return self.skip("every picture is still in use");
        };
        if let Some(sightings) = &self.spec.sightings {
            // Whoever wants to know takes them in time.
            let _ = sightings.try_send(Sighting {
                seq,
                view,
                t_s: captured_at.as_secs_f64(),
            });
        }
        SourceEvent::Frame(Frame {
            seq,
            source: Arc::clone(&self.name),
            captured_at,
            image,
            tag: None,
        })
    }

    fn len_hint(&self) -> Option<u64> {
        None
    }
}

/// The pose over the plane z = 0, which is the world's ground, whatever height it believes in.
fn over_plane(pose: Pose) -> Pose {
    let p = pose.position;
    let down = p.down().min(-STANDING_M);
    Pose {
        position: Vec3::new(p.north(), p.east(), down),
        height_above_ground: HeightAboveGround {
            metres: -down,
            sd_m: 0.0,
            source: HeightSource::Simulated,
        },
        ..pose
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::DrawnSpec;

    struct Hover(Option<f64>);

    /// East at this speed, metres a second, 12 m up.
    struct Dash(f64);

    impl PoseFeed for Dash {
        fn pose_at(&mut self, at: MonoTime) -> Option<Pose> {
            let level = Pose::level_nadir(at, 12.0);
            let way = Vec3::new(0.0, self.0 * at.as_secs_f64(), 0.0);
            Some(Pose {
                position: level.position + way,
                ..level
            })
        }
    }

    impl PoseFeed for Hover {
        fn pose_at(&mut self, at: MonoTime) -> Option<Pose> {
            self.0.map(|height| Pose::level_nadir(at, height))
        }
    }

    fn source(height: Option<f64>, pictures: usize) -> WorldSource {
        fed(Box::new(Hover(height)), pictures)
    }

    fn fed(feed: Box<dyn PoseFeed>, pictures: usize) -> WorldSource {
        let world = World::drawn(&DrawnSpec {
            seed: 4,
            width: 300,
            height: 200,
            metres_per_pixel: 0.1,
        });
        let spec = WorldSpec {
            world: Arc::new(world),
            seed: 1,
            lens: CameraModel::from_hfov(96, 64, 70.0).unwrap(),
            mount: CameraMount::nadir(),
            interval: Duration::from_millis(20),
            latency: Duration::from_millis(10),
            pictures,
            sightings: None,
        };
        WorldSource::new(spec, feed, SystemClock::start())
    }

    #[test]
    fn frames_come_on_the_beat_with_the_time_of_their_capture() {
        let mut source = source(Some(12.0), 2);
        let clock = source.clock.clone();
        let mut last = None;
        for seq in 0..5 {
            let SourceEvent::Frame(frame) = source.next_event() else {
                panic!("no frame")
            };
            assert_eq!((frame.seq, frame.image.dimensions()), (seq, (96, 64)));
            let age = clock.now().since(frame.captured_at);
            assert!(age >= Duration::from_millis(10), "{age:?}");
            if let Some(last) = last {
                let gap = frame.captured_at.since(last);
                assert!(gap >= Duration::from_millis(20), "{gap:?}");
            }
            last = Some(frame.captured_at);
        }
    }

    #[test]
    fn without_a_pose_there_is_no_frame_and_a_reason() {
        let SourceEvent::Skipped { seq, reason, .. } = source(None, 2).next_event() else {
            panic!("a frame from nowhere")
        };
        assert_eq!(seq, 0);
        assert!(reason.contains("telemetry"), "{reason}");
    }

    #[test]
    fn pictures_in_use_are_never_written_and_a_frame_without_memory_is_dropped() {
        let mut source = source(Some(12.0), 2);
        let mut next = || source.next_event();
        let (SourceEvent::Frame(a), SourceEvent::Frame(b)) = (next(), next()) else {
            panic!("no frames")
        };
        let before = a.image.as_raw().clone();
        assert!(matches!(next(), SourceEvent::Skipped { .. }));
        assert_eq!(a.image.as_raw(), &before);
        drop(b);
        assert!(matches!(next(), SourceEvent::Frame(f) if f.seq == 3));
    }

    #[test]
    fn who_flies_fast_sees_the_ground_smeared() {
        /// Differences between neighbours in a row.
        fn edges(picture: &RgbImage) -> f64 {
            let row = picture.width() as usize * 3;
            let rows = picture.as_raw().chunks(row);
            rows.flat_map(|r| r.windows(4).map(|w| f64::from(w[0].abs_diff(w[3]))))
                .sum()
        }
        let (mut sensor, mut share) = (Sensor::new(SensorSpec::default(), 1), Vec::new());
        for speed_m_s in [0.0, 150.0] {
            let mut source = fed(Box::new(Dash(speed_m_s)), 4);
            // The first frame knows no speed.
            let mut last = None;
            for _ in 0..3 {
                let SourceEvent::Frame(frame) = source.next_event() else {
                    panic!("no frame")
                };
                last = Some(frame);
            }
            let frame = last.unwrap();
            let pose = Dash(speed_m_s).pose_at(frame.captured_at).unwrap();
            let view = View::new(source.spec.lens.clone(), &source.spec.mount, pose);
            let t_s = frame.captured_at.as_secs_f64();
            let mut sharp = source.camera.render(&view, t_s).picture;
            sensor.expose(&mut sharp, [0.0; 2], 0.0, t_s);
            share.push(edges(&frame.image) / edges(&sharp));
        }
        assert!((share[0] - 1.0).abs() < 1e-9, "{share:?}");
        assert!(share[1] < 0.8, "{share:?}");
    }
}
