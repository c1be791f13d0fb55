use std::sync::Arc;

use super::*;
use crate::geometry::{GroundPoint, Pixel};
use crate::time::MonoTime;
use image::{Rgb, RgbImage};
use rstest::rstest;

/// A picture of drawn blobs as a camera over them sees it: `centre` is what its middle shows, in pixels of the ground
/// picture, `scale` how many of those make one of its own, `turn` how far the camera is turned clockwise.
fn look(centre: (f64, f64), scale: f64, turn_deg: f64) -> RgbImage {
    let (sin, cos) = turn_deg.to_radians().sin_cos();
    RgbImage::from_fn(640, 360, |x, y| {
        let right = scale * (f64::from(x) + 0.5 - 320.0);
        let down = scale * (f64::from(y) + 0.5 - 180.0);
        let gx = centre.0 + cos * right - sin * down;
        let gy = centre.1 + sin * right + cos * down;
        let level: f64 = [(41.0, 110.0), (17.0, 70.0), (7.0, 50.0)]
            .iter()
            .map(|(size, contrast)| contrast * blob(gx / size, gy / size))
            .sum();
        Rgb([level as u8; 3])
    })
}

/// Smooth noise in `0.0..1.0`.
fn blob(x: f64, y: f64) -> f64 {
    let at = |x: f64, y: f64| {
        let h = (x as i64).wrapping_mul(0x2545_f491_4f6c_dd1d)
            ^ (y as i64).wrapping_mul(0x1b87_3593_cc9e_2d51);
        let h = (h ^ (h >> 29)).wrapping_mul(0x3c79_ac49_2ba7_b653);
        ((h ^ (h >> 32)) & 0xffff) as f64 / 65536.0
    };
    let (ix, iy) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let (right, down) = (ease(x - ix), ease(y - iy));
    let top = at(ix, iy) * (1.0 - right) + at(ix + 1.0, iy) * right;
    let bottom = at(ix, iy + 1.0) * (1.0 - right) + at(ix + 1.0, iy + 1.0) * right;
    top * (1.0 - down) + bottom * down
}

fn frame(seq: u64, image: RgbImage, tag: Option<GeoTag>) -> Frame {
    Frame {
        seq,
        source: Arc::from("drawn"),
        captured_at: MonoTime::from_secs_f64(seq as f64),
        image: Arc::new(image),
        tag,
    }
}

fn flags(height_m: f64) -> PoseConfig {
    PoseConfig {
        height_m: Some(height_m),
        hfov_deg: Some(90.0),
        ..PoseConfig::default()
    }
}

fn tags() -> GeoTag {
    GeoTag {
        latitude_deg: Some(47.0),
        longitude_deg: Some(15.0),
        relative_altitude_m: Some(40.0),
        flight_yaw_deg: Some(80.0),
        gimbal_yaw_deg: Some(90.0),
        gimbal_pitch_deg: Some(-90.0),
        gimbal_roll_deg: Some(0.0),
        hfov_deg: Some(90.0),
        ..GeoTag::default()
    }
}

fn yaw(pose: &Pose) -> f64 {
    pose.ned_from_frd.roll_pitch_yaw().2
}

#[test]
fn a_picture_without_tags_starts_level_over_the_origin_at_the_given_height() {
    let mut poses = PoseProvider::new(flags(25.0)).unwrap();
    let got = poses
        .pose(&frame(0, look((0.0, 0.0), 1.0, 0.0), None))
        .unwrap();
    assert!(got.new_map);
    assert_eq!(got.source, PoseSource::Assumed);
    let pose = got.view.pose();
    assert_eq!((pose.position.north(), pose.position.east()), (0.0, 0.0));
    assert_eq!(pose.height_above_ground.source, HeightSource::Given);
    assert!((got.view.camera_height_m() - 25.0).abs() < 1e-9);
    assert!(got.notes.is_empty());
}

#[test]
fn metres_follow_the_picture_north_east_and_clockwise() {
    // 90 degrees over 640 pixels at 32 m: 0.1 m a pixel.
    let mut poses = PoseProvider::new(flags(32.0)).unwrap();
    poses
        .pose(&frame(0, look((0.0, 0.0), 1.0, 0.0), None))
        .unwrap();
    // 60 px to the right is 6 m east, 40 px up is 4 m north.
    let got = poses
        .pose(&frame(1, look((60.0, -40.0), 1.0, 15.0), None))
        .unwrap();
    assert_eq!((got.source, got.new_map), (PoseSource::Odometry, false));
    let pose = got.view.pose();
    assert!((pose.position.east() - 6.0).abs() < 0.1, "{pose:?}");
    assert!((pose.position.north() - 4.0).abs() < 0.1, "{pose:?}");
    assert!((yaw(pose).to_degrees() - 15.0).abs() < 0.3, "{pose:?}");
    // Then from the turned picture: a third place, and 10 % higher.
    let got = poses
        .pose(&frame(2, look((120.0, -30.0), 1.1, 30.0), None))
        .unwrap();
    let pose = got.view.pose();
    assert!((pose.position.east() - 12.0).abs() < 0.2, "{pose:?}");
    assert!((pose.position.north() - 3.0).abs() < 0.2, "{pose:?}");
    assert!(
        (pose.height_above_ground.metres - 35.2).abs() < 0.2,
        "{pose:?}"
    );
    assert!((yaw(pose).to_degrees() - 30.0).abs() < 0.5, "{pose:?}");
    assert_eq!(pose.height_above_ground.source, HeightSource::Given);
    assert!(
        (pose.position.down() + pose.height_above_ground.metres).abs() < 1e-9,
        "the ground stays at 0"
    );
}

#[test]
fn a_point_on_the_ground_keeps_its_place_while_the_camera_moves() {
    let mut poses = PoseProvider::new(flags(32.0)).unwrap();
    let first = poses
        .pose(&frame(0, look((0.0, 0.0), 1.0, 0.0), None))
        .unwrap();
    let place = first
        .view
        .ground_from_pixel(Pixel { x: 400.0, y: 200.0 })
        .unwrap();
    // The same ground point, 80.0 right and 20.0 down of the first middle, in a camera turned by 20 degrees.
    let second = poses
        .pose(&frame(1, look((30.0, 10.0), 1.0, 20.0), None))
        .unwrap();
    let (sin, cos) = 20_f64.to_radians().sin_cos();
    let (dx, dy) = (80.0 - 30.0, 20.0 - 10.0);
    let px = Pixel {
        x: 320.0 + cos * dx + sin * dy,
        y: 180.0 - sin * dx + cos * dy,
    };
    let again = second.view.ground_from_pixel(px).unwrap();
    let off = (again.north_m - place.north_m).hypot(again.east_m - place.east_m);
    assert!(off < 0.1, "{off} m: {place:?} {again:?}");
}

#[test]
fn uncertainty_grows_with_every_step_and_a_loss_starts_a_new_map_at_the_origin() {
    let mut poses = PoseProvider::new(flags(32.0)).unwrap();
    let mut before = -1.0;
    for i in 0..4 {
        let picture = look((f64::from(i) * 40.0, 0.0), 1.0, 0.0);
        let got = poses.pose(&frame(i as u64, picture, None)).unwrap();
        let pose = *got.view.pose();
        assert!(pose.position_sd_m > before, "step {i}: {pose:?}");
        before = pose.position_sd_m;
    }
    let elsewhere = frame(4, look((90_000.0, 5_000.0), 1.0, 0.0), None);
    let got = poses.pose(&elsewhere).unwrap();
    assert!(got.new_map);
    assert_eq!(got.source, PoseSource::Assumed);
    assert!(
        matches!(got.notes.as_slice(), [PoseNote::NotRegistered(_)]),
        "{:?}",
        got.notes
    );
    assert!(got.view.pose().position_sd_m.abs() < 1e-12);
    assert!(got.view.pose().position.east().abs() < 1e-12);
}

#[test]
fn a_picture_of_another_size_starts_a_new_map_with_the_same_field_of_view() {
    let mut poses = PoseProvider::new(flags(32.0)).unwrap();
    poses
        .pose(&frame(0, look((0.0, 0.0), 1.0, 0.0), None))
        .unwrap();
    let half = image::imageops::thumbnail(&look((0.0, 0.0), 1.0, 0.0), 320, 180);
    let got = poses.pose(&frame(1, half, None)).unwrap();
    assert!(got.new_map);
    assert_eq!(
        got.notes,
        [PoseNote::NotRegistered(LostReason::SizeChanged)]
    );
    assert!((got.view.camera().fx - 160.0).abs() < 1e-9);
}

#[test]
fn a_height_that_drifts_away_starts_a_new_map() {
    let mut poses = PoseProvider::new(flags(20.0)).unwrap();
    let mut scale = 1.0;
    let mut drifted = false;
    for i in 0..5 {
        let got = poses
            .pose(&frame(i, look((0.0, 0.0), scale, 0.0), None))
            .unwrap();
        let metres = got.view.camera_height_m();
        assert!(metres <= 40.0, "{metres}");
        drifted |= matches!(got.notes.as_slice(), [PoseNote::HeightDrifted(_)]) && got.new_map;
        scale *= 1.25;
    }
    assert!(drifted);
}

#[test]
fn photos_keep_the_given_height_and_another_scale_is_another_map() {
    let mut poses = PoseProvider::new(PoseConfig {
        holds_height: true,
        ..flags(20.0)
    })
    .unwrap();
    let mut give = |seq, centre, scale| poses.pose(&frame(seq, look(centre, scale, 0.0), None));
    give(0, (0.0, 0.0), 1.0).unwrap();
    let near = give(1, (30.0, 0.0), 1.05).unwrap();
    assert!(!near.new_map && near.view.pose().position.east() > 1.0);
    assert!((near.view.camera_height_m() - 20.0).abs() < 1e-9);
    let far = give(2, (30.0, 0.0), 1.3).unwrap();
    assert!(far.new_map && matches!(far.notes.as_slice(), [PoseNote::HeightDrifted(_)]));
    assert!((far.view.camera_height_m() - 20.0).abs() < 1e-9);
}

#[test]
fn tags_place_the_frame_around_the_first_tagged_one() {
    let mut poses = PoseProvider::new(PoseConfig::default()).unwrap();
    let first = poses
        .pose(&frame(0, RgbImage::new(64, 36), Some(tags())))
        .unwrap();
    assert_eq!((first.source, first.new_map), (PoseSource::Tags, true));
    let pose = first.view.pose();
    assert!(pose.position.horizontal_distance(&Vec3::zero()) < 1e-6);
    assert_eq!(
        pose.height_above_ground.source,
        HeightSource::RelativeAltitude
    );
    assert!((pose.height_above_ground.sd_m - 5.0).abs() < 1e-12);
    assert!((yaw(pose).to_degrees() - 80.0).abs() < 1e-9);
    // The gimbal looks east: the top of the picture is east of the middle, its right side south.
    let top = first
        .view
        .ground_from_pixel(Pixel { x: 32.0, y: 0.0 })
        .unwrap();
    assert!(top.east_m > 20.0 && top.north_m.abs() < 1e-6, "{top:?}");
    let right = first
        .view
        .ground_from_pixel(Pixel { x: 64.0, y: 18.0 })
        .unwrap();
    assert!(
        (right.north_m + 40.0).abs() < 1e-6 && right.east_m.abs() < 1e-6,
        "{right:?}"
    );

    let north = GeoTag {
        latitude_deg: Some(47.0001),
        ..tags()
    };
    let second = poses
        .pose(&frame(1, RgbImage::new(32, 18), Some(north)))
        .unwrap();
    assert!(!second.new_map, "another size does not matter to tags");
    let place = second.view.pose().position;
    assert!(
        (place.north() - 11.12).abs() < 0.02 && place.east().abs() < 1e-3,
        "{place:?}"
    );
    let below = second.view.pixel_from_ground(GroundPoint {
        north_m: place.north(),
        east_m: 0.0,
    });
    assert!((below.unwrap().x - 16.0).abs() < 1e-3);
}

#[test]
fn a_given_height_and_field_of_view_win_over_the_tags_and_the_height_is_said() {
    let mut poses = PoseProvider::new(PoseConfig {
        hfov_deg: Some(60.0),
        ..flags(30.0)
    })
    .unwrap();
    let got = poses
        .pose(&frame(0, RgbImage::new(64, 36), Some(tags())))
        .unwrap();
    assert_eq!(got.source, PoseSource::Tags);
    assert!((got.view.camera_height_m() - 30.0).abs() < 1e-9);
    assert_eq!(
        got.view.pose().height_above_ground.source,
        HeightSource::Given
    );
    let said = PoseNote::HeightOverridesTag {
        given_m: 30.0,
        tag_m: 40.0,
    };
    assert_eq!(got.notes, [said]);
    assert!(said.to_string().contains("--height"));
    assert_eq!(
        *got.view.camera(),
        CameraModel::from_hfov(64, 36, 60.0).unwrap()
    );
}

#[test]
fn missing_gimbal_tags_are_assumed_and_said() {
    let mut poses = PoseProvider::new(PoseConfig::default()).unwrap();
    let bare = GeoTag {
        gimbal_pitch_deg: None,
        gimbal_yaw_deg: None,
        ..tags()
    };
    let got = poses
        .pose(&frame(0, RgbImage::new(64, 36), Some(bare)))
        .unwrap();
    assert_eq!(
        got.notes,
        [PoseNote::VehicleHeading, PoseNote::NadirAssumed]
    );
    let middle = got
        .view
        .ground_from_pixel(Pixel { x: 32.0, y: 18.0 })
        .unwrap();
    assert!(middle.north_m.hypot(middle.east_m) < 1e-6);
}

#[rstest]
#[case::nothing(None, PoseConfig::default(), PoseError::NoFieldOfView, "--hfov")]
#[case::no_height(None, PoseConfig { hfov_deg: Some(70.0), ..PoseConfig::default() }, PoseError::NoHeight, "--height")]
#[case::no_lens_in_the_tags(
    Some(GeoTag { hfov_deg: None, ..tags() }), PoseConfig::default(), PoseError::NoFieldOfView, "--hfov"
)]
#[case::no_height_in_the_tags(
    Some(GeoTag { relative_altitude_m: None, ..tags() }), PoseConfig::default(), PoseError::NoHeight, "--height"
)]
#[case::on_the_ground(
    Some(GeoTag { relative_altitude_m: Some(-1.2), ..tags() }), PoseConfig::default(), PoseError::TagHeight(-1.2), "--height"
)]
fn what_is_missing_is_named_with_its_flag(
    #[case] tag: Option<GeoTag>,
    #[case] config: PoseConfig,
    #[case] error: PoseError,
    #[case] flag: &str,
) {
    let mut poses = PoseProvider::new(config).unwrap();
    let got = poses
        .pose(&frame(0, RgbImage::new(64, 36), tag))
        .unwrap_err();
    assert!(got.to_string().contains(flag), "{got}");
    assert_eq!(got, error);
}

#[rstest]
#[case::zero(0.0)]
#[case::negative(-3.0)]
#[case::not_a_number(f64::NAN)]
#[case::infinite(f64::INFINITY)]
fn a_height_that_cannot_be_is_refused_at_once(#[case] height_m: f64) {
    let got = PoseProvider::new(flags(height_m)).unwrap_err();
    assert!(matches!(got, PoseError::Height(_)) && got.to_string().contains("--height"));
}

#[test]
fn a_field_of_view_that_cannot_be_is_refused_at_once() {
    for hfov in [1.0, 179.0, f64::NAN] {
        let config = PoseConfig {
            hfov_deg: Some(hfov),
            ..PoseConfig::default()
        };
        assert!(matches!(
            PoseProvider::new(config).unwrap_err(),
            PoseError::Camera(_)
        ));
    }
}

#[test]
fn a_given_pose_is_passed_on_and_a_change_of_kind_starts_a_new_map() {
    let mut poses = PoseProvider::new(flags(20.0)).unwrap();
    let pose = Pose {
        position: Vec3::new(5.0, -7.0, -12.0),
        ..Pose::level_nadir(MonoTime::ZERO, 12.0)
    };
    let picture = look((0.0, 0.0), 1.0, 0.0);
    let give = |seq, poses: &mut PoseProvider| {
        poses
            .given(
                &frame(seq, picture.clone(), None),
                pose,
                &CameraMount::nadir(),
            )
            .unwrap()
    };
    let first = give(0, &mut poses);
    assert_eq!((first.source, first.new_map), (PoseSource::Given, true));
    assert_eq!(first.view.pose().position, pose.position);
    assert!(!give(1, &mut poses).new_map);
    let other = poses
        .pose(&frame(2, look((0.0, 0.0), 1.0, 0.0), None))
        .unwrap();
    assert!(other.new_map);
    assert_eq!(other.notes, [PoseNote::SourceChanged]);
    assert!(give(3, &mut poses).new_map);
}
