//! Place and direction in a picture's own tags.

use super::PoseNote;
use crate::camera::GeoTag;
use crate::geometry::{Cam, Geodetic, Ned, Rotation};

/// What a complete set of tags says.
pub(super) struct Bearings {
    pub(super) place: Geodetic,
    pub(super) relative_altitude_m: Option<f64>,
    pub(super) heading_rad: f64,
    pub(super) ned_from_camera: Rotation<Ned, Cam>,
    pub(super) notes: Vec<PoseNote>,
}

impl Bearings {
    /// `None` unless the tags give place and direction.
    pub(super) fn read(tag: &GeoTag) -> Option<Self> {
        let place = Geodetic {
            latitude_deg: tag.latitude_deg?,
            longitude_deg: tag.longitude_deg?,
            altitude_m: 0.0,
        };
        let yaw_deg = tag.gimbal_yaw_deg.or(tag.flight_yaw_deg)?;
        let mut notes = Vec::new();
        if tag.gimbal_yaw_deg.is_none() {
            notes.push(PoseNote::VehicleHeading);
        }
        if tag.gimbal_pitch_deg.is_none() {
            notes.push(PoseNote::NadirAssumed);
        }
        Some(Self {
            place,
            relative_altitude_m: tag.relative_altitude_m,
            heading_rad: tag.flight_yaw_deg.unwrap_or(yaw_deg).to_radians(),
            ned_from_camera: Rotation::from_gimbal_angles(
                tag.gimbal_roll_deg.unwrap_or(0.0).to_radians(),
                tag.gimbal_pitch_deg.unwrap_or(-90.0).to_radians(),
                yaw_deg.to_radians(),
            ),
            notes,
        })
    }
}
