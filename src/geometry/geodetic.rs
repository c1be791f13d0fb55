//! Latitude and longitude <-> metres in a local frame.
//!
//! Exact on the WGS84 ellipsoid, through earth-centred coordinates (ECEF): no flat-earth series, so distance from the
//! origin and latitude do not matter. The local frame is the tangent plane at the origin: its "down" is the origin's
//! everywhere, so ground that follows the curve of the earth sinks by `d^2 / 2R` below it, 2 cm at 500 m and 2 m at
//! 5 km. Heights above ground come from the vehicle, not from here.
//!
//! Sources: National Imagery and Mapping Agency TR8350.2 (constants and formulae); B. R. Bowring, "Transformation from
//! spatial to geographical coordinates", Survey Review 1976.

use nalgebra::{Matrix3, Vector3};

use super::frames::{Ned, Vec3};

/// Equatorial radius, metres.
const A: f64 = 6_378_137.0;
/// Flattening.
const F: f64 = 1.0 / 298.257_223_563;
/// Polar radius, metres.
const B: f64 = A * (1.0 - F);
/// First eccentricity, squared.
const E2: f64 = F * (2.0 - F);
/// Second eccentricity, squared.
const EP2: f64 = E2 / (1.0 - E2);

/// A place on or above the earth, WGS84.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geodetic {
    /// Degrees, north positive, `-90..=90`.
    pub latitude_deg: f64,
    /// Degrees, east positive; results lie in `-180..=180`.
    pub longitude_deg: f64,
    /// Metres above the ellipsoid. Above mean sea level is near enough where the same datum is used on both ways.
    pub altitude_m: f64,
}

/// Why a place cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GeodeticError {
    /// Outside `-90..=90`, or not a number.
    #[error("latitude {0} is outside -90..90 degrees")]
    Latitude(f64),
    /// Outside `-180..=360`, or not a number.
    #[error("longitude {0} is outside -180..360 degrees")]
    Longitude(f64),
    /// Not a number, or not near the earth.
    #[error("altitude {0} m is outside -20000..100000 m")]
    Altitude(f64),
}

/// The place where a local NED frame touches the earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalOrigin {
    geodetic: Geodetic,
    ecef: Vector3<f64>,
    /// Rows: north, east, down in ECEF.
    ned_from_ecef: Matrix3<f64>,
}

impl LocalOrigin {
    /// On the ellipsoid (altitude 0). Use [`LocalOrigin::at`] where the ground lies high: a kilometre of altitude
    /// stretches 5 km by 0.8 m.
    ///
    /// # Errors
    /// `Latitude` or `Longitude` when out of range or not a number.
    pub fn new(latitude_deg: f64, longitude_deg: f64) -> Result<Self, GeodeticError> {
        Self::at(Geodetic {
            latitude_deg,
            longitude_deg,
            altitude_m: 0.0,
        })
    }

    /// At a place with its altitude. At a pole, north is the direction of the meridian opposite to the given longitude,
    /// as everywhere else on that meridian.
    ///
    /// # Errors
    /// When a coordinate is out of range or not a number.
    pub fn at(place: Geodetic) -> Result<Self, GeodeticError> {
        let ecef = ecef_from_geodetic(&place)?;
        let (sin_lat, cos_lat) = place.latitude_deg.to_radians().sin_cos();
        let (sin_lon, cos_lon) = place.longitude_deg.to_radians().sin_cos();
        Ok(Self {
            geodetic: place,
            ecef,
            ned_from_ecef: Matrix3::new(
                -sin_lat * cos_lon,
                -sin_lat * sin_lon,
                cos_lat,
                -sin_lon,
                cos_lon,
                0.0,
                -cos_lat * cos_lon,
                -cos_lat * sin_lon,
                -sin_lat,
            ),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn geodetic(&self) -> Geodetic {
        self.geodetic
    }

    /// A place, in metres from the origin.
    ///
    /// # Errors
    /// When a coordinate is out of range or not a number.
    pub fn ned_from_geodetic(&self, place: &Geodetic) -> Result<Vec3<Ned>, GeodeticError> {
        let v = self.ned_from_ecef * (ecef_from_geodetic(place)? - self.ecef);
        Ok(Vec3::new(v.x, v.y, v.z))
    }

    /// The place of a point; `None` when it is not finite or nowhere near the earth's surface.
    #[must_use]
    pub fn geodetic_from_ned(&self, p: &Vec3<Ned>) -> Option<Geodetic> {
        let ned = Vector3::new(p.x(), p.y(), p.z());
        geodetic_from_ecef(&(self.ecef + self.ned_from_ecef.tr_mul(&ned)))
    }
}

fn ecef_from_geodetic(g: &Geodetic) -> Result<Vector3<f64>, GeodeticError> {
    if !(-90.0..=90.0).contains(&g.latitude_deg) {
        return Err(GeodeticError::Latitude(g.latitude_deg));
    }
    if !(-180.0..=360.0).contains(&g.longitude_deg) {
        return Err(GeodeticError::Longitude(g.longitude_deg));
    }
    if !(-20_000.0..=100_000.0).contains(&g.altitude_m) {
        return Err(GeodeticError::Altitude(g.altitude_m));
    }
    let (sin_lat, cos_lat) = g.latitude_deg.to_radians().sin_cos();
    let (sin_lon, cos_lon) = g.longitude_deg.to_radians().sin_cos();
    let n = A / (1.0 - E2 * sin_lat * sin_lat).sqrt();
    let across = (n + g.altitude_m) * cos_lat;
    Ok(Vector3::new(
        across * cos_lon,
        across * sin_lon,
        (n * (1.0 - E2) + g.altitude_m) * sin_lat,
    ))
}

fn geodetic_from_ecef(v: &Vector3<f64>) -> Option<Geodetic> {
    // Deep inside the earth the normal is not unique; no drone is there.
    if !(v.norm() > 0.9 * B && v.norm() < 1.1 * A) {
        return None;
    }
    let p = v.x.hypot(v.y);
    // Bowring's parametric latitude: one pass is exact to less than a micrometre near the ground, two are certain.
    let mut lat = 0.0;
    let mut beta = (v.z * A).atan2(p * B);
    for _ in 0..2 {
        let (sin, cos) = beta.sin_cos();
        lat = (v.z + EP2 * B * sin.powi(3)).atan2(p - E2 * A * cos.powi(3));
        beta = ((1.0 - F) * lat.sin()).atan2(lat.cos());
    }
    let (sin, cos) = lat.sin_cos();
    Some(Geodetic {
        latitude_deg: lat.to_degrees(),
        longitude_deg: v.y.atan2(v.x).to_degrees(),
        // Good at the poles too, unlike p / cos(lat) - n.
        altitude_m: p * cos + v.z * sin - A * (1.0 - E2 * sin * sin).sqrt(),
    })
}
