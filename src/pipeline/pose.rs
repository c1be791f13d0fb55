//! Which pose belongs to which frame.
//!
//! In this order:
//!
//! 1. **Tags.** A frame that says where it was taken, how high and which way is placed by that, in NED around the first such
//!    frame.
//! 2. **Odometry.** Any other frame is registered to the one before. The first is put over the origin, level, top of the
//!    picture to the north, at the height that the user gave; each next one moves as the picture moved. A frame
//!    that cannot be registered starts a new map at the origin.
//! 3. **Given.** Who knows the pose (a drawn flight, a flight log) passes it in. Who knows only the height (a log without
//!    attitude) passes that in: the way over the ground comes from the pictures.
//!
//! Metres come from the height and the field of view alone: a given height is taken as true, and every distance on the map
//! is as wrong as it is. Without a height or a field of view there is no pose, and the reason names the flag to give.

mod bearings;
mod track;

use std::fmt;

use crate::camera::geotag::hfov_deg;
use crate::camera::{Frame, GeoTag};
use crate::geometry::{
    CameraError, CameraModel, CameraMount, GeodeticError, LocalOrigin, Rotation, Vec3, View,
};
use crate::odometry::{LostReason, Odometry, OdometryConfig, Registration};
use crate::vehicle::{HeightAboveGround, HeightSource, Pose};
use bearings::Bearings;
use track::Track;

/// Horizontal error of a satellite position in the open without corrections, one standard deviation, metres.
const GPS_SD_M: f64 = 2.0;
/// Error of a relative altitude taken as height above ground, one standard deviation, metres: the ground may
/// lie higher or lower than the take-off point, and pressure drifts.
const RELATIVE_ALTITUDE_SD_M: f64 = 5.0;
/// Error of a gimbal's reported attitude, mostly of its heading, one standard deviation, radians.
const GIMBAL_SD_RAD: f64 = 0.02;
/// Relative altitudes below this are no height to measure the ground from, metres.
const MIN_HEIGHT_M: f64 = 0.5;
/// When the height carried from picture to picture leaves the given one by more than this factor, a new map starts.
const MAX_HEIGHT_DRIFT: f64 = 2.0;
/// The same where every picture was taken at the given height.
const MAX_HELD_HEIGHT_DRIFT: f64 = 1.1;

/// What the user says of height and lens.
#[derive(Debug, Clone, Default)]
pub struct PoseConfig {
    /// Height above ground, metres (`--height`): wins over the tags.
    pub height_m: Option<f64>,
    /// Horizontal field of view, degrees (`--hfov`): wins over calibration and tags.
    pub hfov_deg: Option<f64>,
    /// Calibrated camera, scaled to each picture's size.
    pub camera: Option<CameraModel>,
    /// 35 mm equivalent focal length by a flight log, millimetres: where nothing else tells the lens.
    pub focal_35mm_mm: Option<f64>,
    /// Every picture was taken at `height_m` (a folder of photos), so that a change of scale is another place or a wrong
    /// registration; else (a video) `height_m` is the first frame's, and the height follows the scale.
    pub holds_height: bool,
    /// When a registration is believed.
    pub odometry: OdometryConfig,
}

/// Where a pose came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoseSource {
    /// Position, height and direction in the picture's own tags.
    Tags,
    /// Nothing is known but height and lens: level, over the origin.
    Assumed,
    /// Moved from the previous picture's pose as the picture moved.
    Odometry,
    /// Passed in by who knows it.
    Given,
}

/// Something about a pose that whoever reads the result should know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PoseNote {
    /// The given height replaced the tag's.
    HeightOverridesTag {
        /// Metres, given.
        given_m: f64,
        /// Metres, in the tag.
        tag_m: f64,
    },
    /// The tags do not say where the camera looks.
    NadirAssumed,
    /// The tags give no gimbal heading; the vehicle's is used.
    VehicleHeading,
    /// The picture could not be registered to the one before.
    NotRegistered(LostReason),
    /// The frame before had no pose from pictures to go on from (a tagged or a given one).
    SourceChanged,
    /// The height carried along drifted too far from the given one, metres.
    HeightDrifted(f64),
}

impl fmt::Display for PoseNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeightOverridesTag { given_m, tag_m } => {
                write!(
                    f,
                    "--height {given_m} m is used instead of the tag's relative altitude {tag_m} m"
                )
            }
            Self::NadirAssumed => f.write_str(
                "no gimbal pitch in the tags: the camera is taken to look straight down",
            ),
            Self::VehicleHeading => {
                f.write_str("no gimbal yaw in the tags: the vehicle's heading is used")
            }
            Self::NotRegistered(reason) => write!(
                f,
                "not registered to the picture before ({reason}): new map"
            ),
            Self::SourceChanged => f.write_str("pose from another source than before: new map"),
            Self::HeightDrifted(m) => {
                write!(f, "the height carried along reached {m:.1} m: new map")
            }
        }
    }
}

/// A frame's place in the world.
#[derive(Debug, Clone)]
pub struct FramePose {
    /// From its pixels to the ground and back.
    pub view: View,
    /// Whether the world starts anew with this frame: what was mapped before cannot be put in relation to it.
    pub new_map: bool,
    /// Where the pose came from.
    pub source: PoseSource,
    /// What should be known about it.
    pub notes: Vec<PoseNote>,
}

/// Why a frame has no pose.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PoseError {
    /// Nothing says how high the camera was.
    #[error("no height above ground in the picture's tags: give --height METRES")]
    NoHeight,
    /// The tag's height is not above the ground.
    #[error("the tag's relative altitude {0} m is no height above ground: give --height METRES")]
    TagHeight(f64),
    /// The log's height is not above the ground.
    #[error("the log's height {0:.1} m is no height above ground")]
    LogHeight(f64),
    /// Nothing says how wide the lens looks.
    #[error(
        "no field of view in the picture's tags: give --hfov DEGREES, or a calibration in the configuration"
    )]
    NoFieldOfView,
    /// A given height that cannot be.
    #[error("--height {0} is not a positive number of metres")]
    Height(f64),
    /// The lens cannot be.
    #[error("{0}")]
    Camera(#[from] CameraError),
    /// A tagged position that cannot be.
    #[error("position in the picture's tags: {0}")]
    Position(#[from] GeodeticError),
}

/// Gives every frame its pose.
#[derive(Debug)]
pub struct PoseProvider {
    config: PoseConfig,
    odometry: Odometry,
    origin: Option<LocalOrigin>,
    track: Option<Track>,
    last: Option<PoseSource>,
}

impl PoseProvider {
    /// Checks what the user gave.
    ///
    /// # Errors
    /// `Height` unless finite and positive; `Camera` for a field of view outside (1, 179) degrees.
    pub fn new(config: PoseConfig) -> Result<Self, PoseError> {
        if let Some(h) = config.height_m
            && !(h > 0.0 && h.is_finite())
        {
            return Err(PoseError::Height(h));
        }
        if let Some(hfov) = config.hfov_deg {
            CameraModel::from_hfov(1, 1, hfov)?;
        }
        Ok(Self {
            odometry: Odometry::new(config.odometry),
            config,
            origin: None,
            track: None,
            last: None,
        })
    }

    /// The pose of the next frame.
    ///
    /// # Errors
    /// What is missing or impossible, with the flag to give.
    pub fn pose(&mut self, frame: &Frame) -> Result<FramePose, PoseError> {
        let tag = frame.tag.unwrap_or_default();
        let camera = self.camera(frame, &tag)?;
        match Bearings::read(&tag) {
            Some(bearings)
                if self.config.height_m.is_some() || tag.relative_altitude_m.is_some() =>
            {
                self.place_by_tags(frame, camera, &bearings)
            }
            _ => {
                let metres = self.config.height_m.ok_or(PoseError::NoHeight)?;
                let height = given_height(metres, 0.0);
                Ok(self.place_by_odometry(frame, camera, height, self.config.holds_height))
            }
        }
    }

    /// The pose of the next frame where only its height is known: level, looking straight down, moved over the ground as
    /// the picture moved.
    ///
    /// # Errors
    /// `LogHeight` for a height that is none; `NoFieldOfView` or `Camera`.
    pub fn at_height(
        &mut self,
        frame: &Frame,
        height: HeightAboveGround,
    ) -> Result<FramePose, PoseError> {
        if height.metres.is_nan() || height.metres < MIN_HEIGHT_M {
            return Err(PoseError::LogHeight(height.metres));
        }
        let camera = self.camera(frame, &frame.tag.unwrap_or_default())?;
        Ok(self.place_by_odometry(frame, camera, height, true))
    }

    /// The pose of the next frame as the caller knows it.
    ///
    /// # Errors
    /// `NoFieldOfView` or `Camera`: the lens must still be known.
    pub fn given(
        &mut self,
        frame: &Frame,
        pose: Pose,
        mount: &CameraMount,
    ) -> Result<FramePose, PoseError> {
        let camera = self.camera(frame, &frame.tag.unwrap_or_default())?;
        self.leave_odometry();
        Ok(self.finish(
            View::new(camera, mount, pose),
            PoseSource::Given,
            false,
            Vec::new(),
        ))
    }

    fn max_drift(&self) -> f64 {
        if self.config.holds_height {
            MAX_HELD_HEIGHT_DRIFT
        } else {
            MAX_HEIGHT_DRIFT
        }
    }

    fn camera(&self, frame: &Frame, tag: &GeoTag) -> Result<CameraModel, PoseError> {
        let (w, h) = frame.image.dimensions();
        match (self.config.hfov_deg, &self.config.camera, tag.hfov_deg) {
            (Some(hfov), ..) | (None, None, Some(hfov)) => Ok(CameraModel::from_hfov(w, h, hfov)?),
            (None, Some(camera), _) => Ok(camera.scaled_to(w, h)?),
            (None, None, None) => self
                .config
                .focal_35mm_mm
                .and_then(|focal| hfov_deg(focal, w, h))
                .map_or(Err(PoseError::NoFieldOfView), |hfov| {
                    Ok(CameraModel::from_hfov(w, h, hfov)?)
                }),
        }
    }

    fn place_by_tags(
        &mut self,
        frame: &Frame,
        camera: CameraModel,
        bearings: &Bearings,
    ) -> Result<FramePose, PoseError> {
        let mut notes = bearings.notes.clone();
        let height = self.tagged_height(bearings.relative_altitude_m, &mut notes)?;
        let origin = match self.origin {
            Some(origin) => origin,
            None => LocalOrigin::at(bearings.place)?,
        };
        let place = origin.ned_from_geodetic(&bearings.place)?;
        self.origin = Some(origin);
        let pose = Pose {
            at: frame.captured_at,
            position: Vec3::new(place.north(), place.east(), -height.metres),
            ned_from_frd: Rotation::from_roll_pitch_yaw(0.0, 0.0, bearings.heading_rad),
            height_above_ground: height,
            position_sd_m: GPS_SD_M,
            attitude_sd_rad: GIMBAL_SD_RAD,
        };
        self.leave_odometry();
        let view = View::from_camera_attitude(camera, bearings.ned_from_camera, pose);
        Ok(self.finish(view, PoseSource::Tags, false, notes))
    }

    fn tagged_height(
        &self,
        relative_altitude_m: Option<f64>,
        notes: &mut Vec<PoseNote>,
    ) -> Result<HeightAboveGround, PoseError> {
        if let Some(given_m) = self.config.height_m {
            notes.extend(
                relative_altitude_m.map(|tag_m| PoseNote::HeightOverridesTag { given_m, tag_m }),
            );
            return Ok(given_height(given_m, 0.0));
        }
        let metres = relative_altitude_m.ok_or(PoseError::NoHeight)?;
        if metres < MIN_HEIGHT_M {
            return Err(PoseError::TagHeight(metres));
        }
        Ok(HeightAboveGround {
            metres,
            sd_m: RELATIVE_ALTITUDE_SD_M,
            source: HeightSource::RelativeAltitude,
        })
    }

    fn place_by_odometry(
        &mut self,
        frame: &Frame,
        camera: CameraModel,
        height: HeightAboveGround,
        holds: bool,
    ) -> FramePose {
        let height_m = height.metres;
        let registration = self.odometry.step(&frame.image, frame.captured_at);
        let (track, note) = match (self.track, registration) {
            (Some(track), Registration::Tracked { motion, sd_px, .. }) => {
                match track.moved(&camera, &motion, sd_px, frame.captured_at) {
                    Some(track) if track.height_is_near(height_m, self.max_drift()) => (
                        Some(if holds {
                            track.at_height(height)
                        } else {
                            track
                        }),
                        None,
                    ),
                    Some(track) => (
                        None,
                        Some(PoseNote::HeightDrifted(
                            track.pose.height_above_ground.metres,
                        )),
                    ),
                    None => (
                        None,
                        Some(PoseNote::NotRegistered(LostReason::Scale(motion.scale))),
                    ),
                }
            }
            (_, Registration::Lost { reason }) => (None, Some(PoseNote::NotRegistered(reason))),
            _ => (None, None),
        };
        let new_map = track.is_none();
        let track = track.unwrap_or(Track {
            pose: Pose {
                height_above_ground: height,
                ..Pose::level_nadir(frame.captured_at, height_m)
            },
            height_sd: 0.0,
        });
        self.track = Some(track);
        let source = if new_map {
            PoseSource::Assumed
        } else {
            PoseSource::Odometry
        };
        let view = View::new(camera, &CameraMount::nadir(), track.pose);
        self.finish(view, source, new_map, note.into_iter().collect())
    }

    fn leave_odometry(&mut self) {
        self.track = None;
        self.odometry.forget();
    }

    /// Poses of different kinds live in different worlds: a change of kind starts a new map.
    fn finish(
        &mut self,
        view: View,
        source: PoseSource,
        new_map: bool,
        mut notes: Vec<PoseNote>,
    ) -> FramePose {
        let world = |s: PoseSource| {
            if s == PoseSource::Assumed {
                PoseSource::Odometry
            } else {
                s
            }
        };
        let changed = self.last.is_some_and(|last| world(last) != world(source));
        if changed {
            notes.push(PoseNote::SourceChanged);
        }
        let new_map = new_map || changed || self.last.is_none();
        self.last = Some(source);
        FramePose {
            view,
            new_map,
            source,
            notes,
        }
    }
}

fn given_height(metres: f64, sd_m: f64) -> HeightAboveGround {
    HeightAboveGround {
        metres,
        sd_m,
        source: HeightSource::Given,
    }
}

#[cfg(test)]
mod tests;
