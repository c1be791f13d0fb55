use super::*;
use crate::geometry::{BrownConrady, Frd, KannalaBrandt};
use crate::time::MonoTime;
use proptest::prelude::*;
use rstest::rstest;

const DEG: f64 = std::f64::consts::PI / 180.0;

fn square() -> CameraModel {
    CameraModel::from_hfov(1000, 1000, 90.0).unwrap()
}

fn pose(height: f64, roll_deg: f64, pitch_deg: f64, yaw_deg: f64) -> Pose {
    let mut p = Pose::level_nadir(MonoTime::ZERO, height);
    p.ned_from_frd = Rotation::from_roll_pitch_yaw(roll_deg * DEG, pitch_deg * DEG, yaw_deg * DEG);
    p
}

fn nadir(height: f64, roll_deg: f64, pitch_deg: f64, yaw_deg: f64) -> View {
    let pose = pose(height, roll_deg, pitch_deg, yaw_deg);
    View::new(square(), &CameraMount::nadir(), pose)
}

// At 30 m with 90 degrees across 1000 pixels, the picture is 60 m wide: 6 cm a pixel.
#[rstest]
#[case::centre_is_below(0.0, (500.0, 500.0), (0.0, 0.0))]
#[case::left_edge_is_west(0.0, (0.0, 500.0), (0.0, -30.0))]
#[case::top_edge_is_north(0.0, (500.0, 0.0), (30.0, 0.0))]
#[case::top_is_east_at_yaw_90(90.0, (500.0, 0.0), (0.0, 30.0))]
#[case::left_is_north_at_yaw_90(90.0, (0.0, 500.0), (30.0, 0.0))]
#[case::top_is_west_at_yaw_270(270.0, (500.0, 0.0), (0.0, -30.0))]
#[case::corner_at_yaw_180(180.0, (1000.0, 1000.0), (30.0, -30.0))]
fn a_level_picture_lies_on_the_ground_by_hand(
    #[case] yaw: f64,
    #[case] (x, y): (f64, f64),
    #[case] (north, east): (f64, f64),
) {
    let v = nadir(30.0, 0.0, 0.0, yaw);
    let g = v.ground_from_pixel(Pixel { x, y }).unwrap();
    assert!(
        (g.north_m - north).abs() < 1e-9 && (g.east_m - east).abs() < 1e-9,
        "{g:?}"
    );
    let px = v
        .pixel_from_ground(GroundPoint {
            north_m: north,
            east_m: east,
        })
        .unwrap();
    assert!((px.x - x).abs() < 1e-9 && (px.y - y).abs() < 1e-9, "{px:?}");
}

#[rstest]
#[case::nose_up_looks_ahead(0.0, 45.0, (20.0, 0.0))]
#[case::nose_down_looks_back(0.0, -45.0, (-20.0, 0.0))]
#[case::right_down_looks_left(45.0, 0.0, (0.0, -20.0))]
fn a_tilted_camera_looks_where_it_should(
    #[case] roll: f64,
    #[case] pitch: f64,
    #[case] (north, east): (f64, f64),
) {
    let g = nadir(20.0, roll, pitch, 0.0)
        .ground_from_pixel(Pixel { x: 500.0, y: 500.0 })
        .unwrap();
    assert!(
        (g.north_m - north).abs() < 1e-9 && (g.east_m - east).abs() < 1e-9,
        "{g:?}"
    );
}

#[test]
fn the_lever_arm_turns_with_the_body() {
    let mut mount = CameraMount::nadir();
    mount.lever_arm = Vec3::<Frd>::new(0.5, 0.0, 0.25);
    let v = View::new(square(), &mount, pose(10.0, 0.0, 0.0, 90.0));
    assert!((v.camera_height_m() - 9.75).abs() < 1e-12);
    let g = v.ground_from_pixel(Pixel { x: 500.0, y: 500.0 }).unwrap();
    assert!(g.north_m.abs() < 1e-9 && (g.east_m - 0.5).abs() < 1e-9);
}

#[test]
fn a_gimbal_view_is_the_view_of_a_mount_at_the_same_angles() {
    let pose = pose(25.0, 0.0, 0.0, 0.0);
    let (roll, pitch, yaw) = (0.05, -1.2, 0.7);
    let gimbal = View::from_camera_attitude(
        square(),
        Rotation::from_gimbal_angles(roll, pitch, yaw),
        pose,
    );
    let mount = CameraMount::from_roll_pitch_yaw(roll, pitch, yaw, Vec3::zero());
    let mounted = View::new(square(), &mount, pose);
    let px = Pixel { x: 300.0, y: 800.0 };
    let (a, b) = (
        gimbal.ground_from_pixel(px).unwrap(),
        mounted.ground_from_pixel(px).unwrap(),
    );
    assert!((a.north_m - b.north_m).abs() < 1e-9 && (a.east_m - b.east_m).abs() < 1e-9);
}

#[test]
fn the_ground_plane_lies_a_height_below_the_vehicle_wherever_the_origin_is() {
    let mut p = pose(12.0, 0.0, 0.0, 0.0);
    p.position = Vec3::new(100.0, -50.0, -300.0);
    let v = View::new(square(), &CameraMount::nadir(), p);
    let g = v
        .ground_from_pixel(Pixel {
            x: 1000.0,
            y: 500.0,
        })
        .unwrap();
    assert!((g.north_m - 100.0).abs() < 1e-9 && (g.east_m + 38.0).abs() < 1e-9);
}

#[test]
fn the_sky_is_not_ground() {
    let v = nadir(20.0, 0.0, 90.0, 0.0);
    assert!(v.ground_from_pixel(Pixel { x: 500.0, y: 500.0 }).is_none());
    assert!(v.ground_from_pixel(Pixel { x: 500.0, y: 100.0 }).is_none());
    assert!(v.ground_from_pixel(Pixel { x: 500.0, y: 900.0 }).is_some());
    let behind = GroundPoint {
        north_m: -20.0,
        east_m: 0.0,
    };
    assert!(v.pixel_from_ground(behind).is_none());
}

#[rstest]
#[case::on_the_ground(0.0)]
#[case::below_the_ground(-3.0)]
#[case::unknown(f64::NAN)]
#[case::endless(f64::INFINITY)]
fn without_a_height_nothing_is_claimed(#[case] height: f64) {
    let mut p = pose(10.0, 0.0, 0.0, 0.0);
    p.height_above_ground.metres = height;
    let v = View::new(square(), &CameraMount::nadir(), p);
    let px = Pixel { x: 400.0, y: 400.0 };
    assert!(v.ground_from_pixel(px).is_none());
    assert!(v.gsd_m(px).is_none());
    assert!(v.position_sd_m(px).is_none());
    assert!(v.homography().is_none());
    let g = GroundPoint {
        north_m: 1.0,
        east_m: 1.0,
    };
    assert!(v.pixel_from_ground(g).is_none());
}

#[test]
fn numbers_that_are_none_give_nothing() {
    let v = nadir(10.0, 5.0, 5.0, 5.0);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(v.ground_from_pixel(Pixel { x: bad, y: 1.0 }).is_none());
        assert!(v.gsd_m(Pixel { x: 1.0, y: bad }).is_none());
        assert!(
            v.pixel_from_ground(GroundPoint {
                north_m: bad,
                east_m: 0.0
            })
            .is_none()
        );
        let mut p = pose(10.0, 0.0, 0.0, 0.0);
        p.position = Vec3::new(bad, 0.0, -10.0);
        let lost = View::new(square(), &CameraMount::nadir(), p);
        assert!(lost.ground_from_pixel(Pixel { x: 1.0, y: 1.0 }).is_none());
        assert!(lost.homography().is_none());
        let turned = nadir(10.0, bad, 0.0, 0.0);
        assert!(turned.ground_from_pixel(Pixel { x: 1.0, y: 1.0 }).is_none());
        assert!(turned.homography().is_none());
    }
}

#[test]
fn the_homography_is_for_perfect_lenses_only() {
    let mut camera = square();
    camera.distortion =
        Distortion::BrownConrady(BrownConrady::new([-0.1, 0.0, 0.0, 0.0, 0.0]).unwrap());
    let v = View::new(camera, &CameraMount::nadir(), pose(10.0, 0.0, 0.0, 0.0));
    assert!(v.homography().is_none());
}

#[test]
fn a_level_pixel_covers_what_it_should() {
    let v = nadir(30.0, 0.0, 0.0, 33.0);
    assert!((v.gsd_m(Pixel { x: 500.0, y: 500.0 }).unwrap() - 0.06).abs() < 1e-9);
    let g = GroundPoint {
        north_m: 30.0,
        east_m: 0.0,
    };
    assert!((v.off_nadir_rad(g) - 45.0 * DEG).abs() < 1e-12);
}

// By hand at 30 m: below, a height error moves nothing and 0.01 rad move 0.3 m; at 45 degrees a height error moves
// the point by itself, and 0.01 rad move it 30 * 2 * 0.01 = 0.6 m.
#[rstest]
#[case::position_counts_fully(500.0, (0.4, 0.0, 0.0), 0.4)]
#[case::height_below_is_free(500.0, (0.0, 2.0, 0.0), 0.0)]
#[case::height_at_45_degrees(0.0, (0.0, 2.0, 0.0), 2.0)]
#[case::attitude_below(500.0, (0.0, 0.0, 0.01), 0.3)]
#[case::attitude_at_45_degrees(0.0, (0.0, 0.0, 0.01), 0.6)]
#[case::all_add_in_squares(0.0, (0.3, 0.2, 0.01), 0.7)]
fn the_error_on_the_ground_follows_the_pose(
    #[case] x: f64,
    #[case] (position, height, attitude): (f64, f64, f64),
    #[case] expected: f64,
) {
    let mut p = pose(30.0, 0.0, 0.0, 0.0);
    p.position_sd_m = position;
    p.height_above_ground.sd_m = height;
    p.attitude_sd_rad = attitude;
    let v = View::new(square(), &CameraMount::nadir(), p);
    let sd = v.position_sd_m(Pixel { x, y: 500.0 }).unwrap();
    assert!((sd - expected).abs() < 1e-9, "{sd}");
    p.position_sd_m = f64::NAN;
    let unsure = View::new(square(), &CameraMount::nadir(), p);
    assert!(unsure.position_sd_m(Pixel { x, y: 500.0 }).is_none());
}

fn any_lens() -> impl Strategy<Value = Distortion> {
    prop_oneof![
        Just(Distortion::None),
        (-0.25..0.1f64, 0.0..0.1f64).prop_map(|(k1, k2)| Distortion::BrownConrady(
            BrownConrady::new([k1, k2, 0.001, -0.001, 0.0]).unwrap()
        )),
        (-0.05..0.05f64).prop_map(|k1| Distortion::KannalaBrandt(
            KannalaBrandt::new([k1, 0.0, 0.0, 0.0]).unwrap()
        )),
    ]
}

proptest! {
    #[test]
    fn pixel_to_ground_to_pixel_is_the_identity(
        lens in any_lens(),
        height in 1.0..120.0f64,
        tilt in 0.0..60.0f64, towards in 0.0..360.0f64, yaw in -180.0..180.0f64,
        north in -500.0..500.0f64, east in -500.0..500.0f64,
        x in 0.0..1000.0f64, y in 0.0..1000.0f64,
    ) {
        let camera = CameraModel { distortion: lens, ..square() };
        let mut p = pose(height, 0.0, 0.0, yaw);
        let tilted = Rotation::<Frd, Frd>::assume(nalgebra::UnitQuaternion::from_scaled_axis(
            Vector3::new((towards * DEG).cos(), (towards * DEG).sin(), 0.0) * tilt * DEG,
        ));
        p.ned_from_frd = p.ned_from_frd * tilted;
        p.position = Vec3::new(north, east, -7.0);
        let mut mount = CameraMount::nadir();
        mount.lever_arm = Vec3::new(0.1, -0.05, 0.1);
        let v = View::new(camera, &mount, p);
        if let Some(g) = v.ground_from_pixel(Pixel { x, y }) {
            let back = v.pixel_from_ground(g).unwrap();
            prop_assert!((back.x - x).hypot(back.y - y) < 1e-5, "{back:?}");
            let far = (g.north_m - v.optical_centre().north()).hypot(g.east_m - v.optical_centre().east());
            prop_assert!((v.off_nadir_rad(g).tan() - far / v.camera_height_m()).abs() < 1e-6 * (1.0 + far));
        } else {
            // Only a ray near or above the horizon has no ground: with 90 degrees of picture (127 across the
            // corners; wider for a fisheye), tilts below 25 degrees never see it.
            prop_assert!(tilt > 25.0 || lens != Distortion::None);
        }
    }

    #[test]
    fn the_homography_is_the_projection(
        height in 1.0..120.0f64,
        roll in -40.0..40.0f64, pitch in -40.0..40.0f64, yaw in -180.0..180.0f64,
        north in -100.0..100.0f64, east in -100.0..100.0f64,
    ) {
        let v = nadir(height, roll, pitch, yaw);
        let p = v.homography().unwrap() * Vector3::new(north, east, 1.0);
        match v.pixel_from_ground(GroundPoint { north_m: north, east_m: east }) {
            Some(px) => {
                prop_assert!(p.z > 0.0);
                prop_assert!((p.x / p.z - px.x).hypot(p.y / p.z - px.y) < 1e-6 * (1.0 + px.x.hypot(px.y)));
            }
            None => prop_assert!(p.z <= 1e-8),
        }
    }

    #[test]
    fn the_error_formula_bounds_a_real_disturbance(
        x in 0.0..1000.0f64, y in 0.0..1000.0f64,
        ax in -1.0..1.0f64, ay in -1.0..1.0f64, az in -1.0..1.0f64,
    ) {
        let mut p = pose(30.0, 10.0, -5.0, 40.0);
        let angle = 1e-5;
        p.attitude_sd_rad = angle;
        let px = Pixel { x, y };
        let v = View::new(square(), &CameraMount::nadir(), p);
        let axis = Vector3::new(ax, ay, az);
        prop_assume!(axis.norm() > 0.1);
        let turn = nalgebra::UnitQuaternion::from_scaled_axis(axis.normalize() * angle);
        p.ned_from_frd = Rotation::<Ned, Ned>::assume(turn) * p.ned_from_frd;
        let w = View::new(square(), &CameraMount::nadir(), p);
        let (a, b) = (v.ground_from_pixel(px).unwrap(), w.ground_from_pixel(px).unwrap());
        let moved = (a.north_m - b.north_m).hypot(a.east_m - b.east_m);
        prop_assert!(moved <= v.position_sd_m(px).unwrap() * 1.001);
    }
}
