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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn place(latitude_deg: f64, longitude_deg: f64, altitude_m: f64) -> Geodetic {
        Geodetic {
            latitude_deg,
            longitude_deg,
            altitude_m,
        }
    }

    // Expected values from pymap3d 3 (`geodetic2ned`, WGS84).
    #[rstest]
    #[case::alps((47.0, 8.0, 500.0), (47.02, 8.03, 520.0), (2224.0389, 2281.0139, -19.2046))]
    #[case::sydney((-33.9, 151.2, 0.0), (-33.91, 151.19, 30.0), (-1109.2570, -924.8254, -29.8362))]
    #[case::antimeridian((0.0, 179.99, 0.0), (0.01, -179.99, 0.0), (1105.7428, 2226.3897, 0.4851))]
    #[case::over_the_pole((89.99, 10.0, 0.0), (89.99, -170.0, 0.0), (2233.8795, 0.0, 0.3899))]
    fn local_metres_agree_with_another_implementation(
        #[case] origin: (f64, f64, f64),
        #[case] to: (f64, f64, f64),
        #[case] (north, east, down): (f64, f64, f64),
    ) {
        let o = LocalOrigin::at(place(origin.0, origin.1, origin.2)).unwrap();
        let p = o.ned_from_geodetic(&place(to.0, to.1, to.2)).unwrap();
        assert!((p - Vec3::new(north, east, down)).norm() < 1e-3, "{p:?}");
    }

    #[test]
    fn the_origin_is_zero_and_up_is_up() {
        let o = LocalOrigin::new(51.5, -0.1).unwrap();
        assert!(o.ned_from_geodetic(&o.geodetic()).unwrap().norm() < 1e-9);
        let above = o.ned_from_geodetic(&place(51.5, -0.1, 100.0)).unwrap();
        assert!((above - Vec3::new(0.0, 0.0, -100.0)).norm() < 1e-8);
    }

    #[test]
    fn longitudes_may_count_eastwards_to_360() {
        let o = LocalOrigin::new(10.0, -170.0).unwrap();
        let a = o.ned_from_geodetic(&place(10.0, -169.99, 0.0)).unwrap();
        let b = o.ned_from_geodetic(&place(10.0, 190.01, 0.0)).unwrap();
        assert!((a - b).norm() < 1e-6);
    }

    #[rstest]
    #[case(90.001, 0.0, 0.0)]
    #[case(-91.0, 0.0, 0.0)]
    #[case(f64::NAN, 0.0, 0.0)]
    #[case(0.0, 361.0, 0.0)]
    #[case(0.0, -181.0, 0.0)]
    #[case(0.0, f64::INFINITY, 0.0)]
    #[case(0.0, 0.0, f64::NAN)]
    #[case(0.0, 0.0, 1e9)]
    fn places_off_the_earth_are_refused(#[case] lat: f64, #[case] lon: f64, #[case] alt: f64) {
        let bad = place(lat, lon, alt);
        assert!(LocalOrigin::at(bad).is_err());
        assert!(
            LocalOrigin::new(0.0, 0.0)
                .unwrap()
                .ned_from_geodetic(&bad)
                .is_err()
        );
    }

    #[test]
    fn points_off_the_earth_have_no_place() {
        let o = LocalOrigin::new(45.0, 7.0).unwrap();
        for d in [f64::NAN, f64::INFINITY, 6.4e6, -1e8] {
            assert!(
                o.geodetic_from_ned(&Vec3::new(0.0, 0.0, d)).is_none(),
                "{d}"
            );
        }
    }

    proptest! {
        #[test]
        fn metres_become_a_place_and_metres_again(
            lat in prop_oneof![-90.0..90.0f64, 89.9..90.0f64, -90.0..-89.9f64, Just(90.0), Just(-90.0), Just(0.0)],
            lon in prop_oneof![-180.0..180.0f64, 179.99..180.0f64, -180.0..-179.99f64],
            alt in -400.0..5000.0f64,
            north in -5000.0..5000.0f64, east in -5000.0..5000.0f64, down in -1000.0..100.0f64,
        ) {
            let o = LocalOrigin::at(place(lat, lon, alt)).unwrap();
            let p = Vec3::new(north, east, down);
            let g = o.geodetic_from_ned(&p).unwrap();
            prop_assert!((-90.0..=90.0).contains(&g.latitude_deg) && (-180.0..=180.0).contains(&g.longitude_deg));
            prop_assert!((o.ned_from_geodetic(&g).unwrap() - p).norm() < 1e-5);
        }

        #[test]
        fn a_place_becomes_metres_and_the_place_again(
            lat in -89.9..89.9f64, lon in -179.0..179.0f64,
            dlat in -0.04..0.04f64, dlon in -0.04..0.04f64, alt in 0.0..3000.0f64,
        ) {
            let o = LocalOrigin::new(lat, lon).unwrap();
            let g = place((lat + dlat).clamp(-90.0, 90.0), lon + dlon, alt);
            let back = o.geodetic_from_ned(&o.ned_from_geodetic(&g).unwrap()).unwrap();
            // 1e-9 degrees of latitude are 0.1 mm.
            prop_assert!((back.latitude_deg - g.latitude_deg).abs() < 1e-9);
            prop_assert!((back.longitude_deg - g.longitude_deg).abs() * g.latitude_deg.to_radians().cos() < 1e-9);
            prop_assert!((back.altitude_m - g.altitude_m).abs() < 1e-5);
        }
    }
}
