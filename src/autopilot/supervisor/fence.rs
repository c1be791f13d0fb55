//! Where the vehicle may fly.

use crate::geometry::{Geodetic, GroundPoint, LocalOrigin, Ned, Vec3};
use crate::vehicle::{GlobalPlace, VehicleState};

use super::config::FenceConfig;

/// Whether a place lies inside; `None` when home or origin, that the fence is measured from, are not known.
pub(super) fn contains(
    fence: &FenceConfig,
    place: GroundPoint,
    vehicle: &VehicleState,
) -> Option<bool> {
    let home = vehicle.home.map(|h| h.value);
    let origin = vehicle.origin.map(|o| o.value);
    let mut is_inside = true;
    if let Some(radius_m) = fence.radius_m {
        is_inside &= is_within(radius_m, place, &home?);
    }
    if !fence.polygon_deg.is_empty() {
        is_inside &= is_in_polygon(&fence.polygon_deg, place, &origin?)?;
    }
    Some(is_inside)
}

fn is_within(radius_m: f64, place: GroundPoint, home: &Vec3<Ned>) -> bool {
    (place.north_m - home.north()).hypot(place.east_m - home.east()) <= radius_m
}

/// A ray to the east crosses the edges an odd number of times.
fn is_in_polygon(corners: &[[f64; 2]], place: GroundPoint, origin: &GlobalPlace) -> Option<bool> {
    let at = |[latitude_deg, longitude_deg]: [f64; 2]| Geodetic {
        latitude_deg,
        longitude_deg,
        altitude_m: origin.altitude_m,
    };
    let local = LocalOrigin::at(at([origin.latitude_deg, origin.longitude_deg])).ok()?;
    let corner = |c: &[f64; 2]| local.ned_from_geodetic(&at(*c)).ok();
    let mut is_inside = false;
    let mut from = corner(corners.last()?)?;
    for c in corners {
        let to = corner(c)?;
        let crosses = (from.north() > place.north_m) != (to.north() > place.north_m);
        let share = (place.north_m - from.north()) / (to.north() - from.north());
        if crosses && place.east_m < from.east() + share * (to.east() - from.east()) {
            is_inside = !is_inside;
        }
        from = to;
    }
    Some(is_inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MonoTime;
    use crate::vehicle::Stamped;

    fn place(north_m: f64, east_m: f64) -> GroundPoint {
        GroundPoint { north_m, east_m }
    }

    fn vehicle() -> VehicleState {
        let origin = GlobalPlace {
            latitude_deg: 47.0,
            longitude_deg: 8.0,
            altitude_m: 400.0,
        };
        VehicleState {
            home: Some(Stamped::new(Vec3::new(10.0, 0.0, 0.0), MonoTime::ZERO)),
            origin: Some(Stamped::new(origin, MonoTime::ZERO)),
            ..VehicleState::default()
        }
    }

    #[test]
    fn without_a_fence_everywhere_is_inside() {
        let nothing = VehicleState::default();
        let inside = contains(&FenceConfig::default(), place(1e6, 0.0), &nothing);
        assert_eq!(inside, Some(true));
    }

    #[test]
    fn the_radius_is_measured_from_home() {
        let fence = FenceConfig {
            radius_m: Some(50.0),
            ..FenceConfig::default()
        };
        let v = vehicle();
        assert_eq!(contains(&fence, place(59.0, 0.0), &v), Some(true));
        assert_eq!(contains(&fence, place(-41.0, 0.0), &v), Some(false));
        assert_eq!(contains(&fence, place(f64::NAN, 0.0), &v), Some(false));
        let nothing = VehicleState::default();
        assert_eq!(contains(&fence, place(0.0, 0.0), &nothing), None);
    }

    #[test]
    fn a_polygon_with_a_notch() {
        // 0.001 degrees are 111.2 m north and 76.0 m east here. The notch is cut from the north.
        let fence = FenceConfig {
            radius_m: None,
            polygon_deg: vec![
                [47.001, 7.999],
                [47.0, 8.0],
                [47.001, 8.001],
                [46.999, 8.001],
                [46.999, 7.999],
            ],
        };
        let v = vehicle();
        for (n, e, expected) in [
            (-10.0, 0.0, true),
            (10.0, 0.0, false),
            (10.0, 70.0, true),
            (-112.0, 0.0, false),
            (-50.0, 77.0, false),
            (-50.0, -75.0, true),
        ] {
            assert_eq!(contains(&fence, place(n, e), &v), Some(expected), "{n} {e}");
        }
        assert_eq!(
            contains(&fence, place(0.0, 0.0), &VehicleState::default()),
            None
        );
    }
}
