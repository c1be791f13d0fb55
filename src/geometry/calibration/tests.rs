use super::*;
use rstest::rstest;

const ROS: &str = "\
image_width: 640
image_height: 480
camera_name: down
camera_matrix:
  rows: 3
  cols: 3
  data: [525.5, 0, 319.5, 0, 526, 239.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.28, 0.09, 0.0007, -0.0011, 0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [525, 0, 319, 0, 0, 525, 239, 0, 0, 0, 1, 0]
";

const OPENCV: &str = "\
%YAML:1.0
---
calibration_time: \"Sun 22 Nov 2026 10:00:00\"
image_width: 1280
image_height: 720
flags: 0
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 6.0000000000000000e+02, 0., 640., 0., 610., 360., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -2.8000000000000003e-01, 8.9999999999999997e-02,
       6.9999999999999999e-04, -1.1000000000000001e-03, -.015 ]
avg_reprojection_error: 2.3e-01
";

const KALIBR: &str = "\
cam0:
  cam_overlaps: []
  camera_model: pinhole
  distortion_coeffs: [-0.02, 0.006, -0.004, 0.0009]
  distortion_model: equidistant
  intrinsics: [460.1, 459.9, 366.5, 247.5]
  resolution: [752, 480]
  rostopic: /cam0/image_raw
  T_cam_imu:
  - [0.0, 1.0, 0.0, 0.1]
  - [1.0, 0.0, 0.0, 0.2]
  - [0.0, 0.0, 1.0, 0.3]
  - [0.0, 0.0, 0.0, 1.0]
";

fn brown(d: [f64; 5]) -> Distortion {
    Distortion::BrownConrady(BrownConrady::new(d).unwrap())
}

fn assert_intrinsics(c: &CameraModel, expected: [f64; 4]) {
    for (got, want) in [c.fx, c.fy, c.cx, c.cy].into_iter().zip(expected) {
        assert!((got - want).abs() < 1e-9, "{c:?}");
    }
}

#[test]
fn a_ros_camera_info_is_read() {
    let c = CameraModel::from_yaml(ROS).unwrap();
    assert_eq!((c.width, c.height), (640, 480));
    // Half a pixel more than in the file: our pixels count from the corner.
    assert_intrinsics(&c, [525.5, 526.0, 320.0, 240.0]);
    assert_eq!(c.distortion, brown([-0.28, 0.09, 0.0007, -0.0011, 0.0]));
}

#[test]
fn an_opencv_file_is_read_with_its_directive_and_tags() {
    let c = CameraModel::from_yaml(OPENCV).unwrap();
    assert_eq!((c.width, c.height), (1280, 720));
    assert_intrinsics(&c, [600.0, 610.0, 640.5, 360.5]);
    assert_eq!(c.distortion, brown([-0.28, 0.09, 0.0007, -0.0011, -0.015]));
    let newer = OPENCV.replace("%YAML:1.0", "%YAML 1.2");
    assert_eq!(CameraModel::from_yaml(&newer).unwrap(), c);
}

#[test]
fn a_kalibr_chain_is_read() {
    let c = CameraModel::from_yaml(KALIBR).unwrap();
    assert_eq!((c.width, c.height), (752, 480));
    assert_intrinsics(&c, [460.1, 459.9, 367.0, 248.0]);
    let lens = KannalaBrandt::new([-0.02, 0.006, -0.004, 0.0009]).unwrap();
    assert_eq!(c.distortion, Distortion::KannalaBrandt(lens));
}

#[test]
fn lens_models_are_told_apart() {
    let lens = |text: &str| CameraModel::from_yaml(text).unwrap().distortion;
    let radtan = KALIBR.replace("equidistant", "radtan");
    assert_eq!(lens(&radtan), brown([-0.02, 0.006, -0.004, 0.0009, 0.0]));
    let none = KALIBR.replace("distortion_model: equidistant", "distortion_model: none");
    assert_eq!(lens(&none), Distortion::None);
    let rational = ROS
        .replace("plumb_bob", "rational_polynomial")
        .replace("-0.0011, 0]", "-0.0011, 0.02, 0.3, 0.1, 0.05]");
    let d = [-0.28, 0.09, 0.0007, -0.0011, 0.02, 0.3, 0.1, 0.05];
    assert_eq!(
        lens(&rational),
        Distortion::BrownConrady(BrownConrady::rational(d).unwrap())
    );
    let ros_fisheye = ROS
        .replace("plumb_bob", "equidistant")
        .replace("-0.0011, 0]", "-0.0011]");
    let k = KannalaBrandt::new([-0.28, 0.09, 0.0007, -0.0011]).unwrap();
    assert_eq!(lens(&ros_fisheye), Distortion::KannalaBrandt(k));
    let opencv_fisheye = OPENCV
        .replace("flags: 0", "fisheye_model: 1")
        .replace(", -.015 ]", " ]");
    let k = KannalaBrandt::new([-0.28, 0.09, 0.0007, -0.0011]).unwrap();
    assert_eq!(lens(&opencv_fisheye), Distortion::KannalaBrandt(k));
    let perfect = ROS.replace("[-0.28, 0.09, 0.0007, -0.0011, 0]", "[0, 0, 0, 0, 0]");
    assert_eq!(lens(&perfect), Distortion::None);
}

#[rstest]
#[case::missing_size(ROS, "image_width: 640\n", "", &["image_width", "missing"])]
#[case::odd_size(ROS, "image_width: 640", "image_width: wide", &["image_width", "wide", "pixels"])]
#[case::negative_size(ROS, "640", "-640", &["image_width", "-640"])]
#[case::short_matrix(ROS, "239.5, 0, 0, 1]", "239.5]", &["camera_matrix.data", "9 numbers"])]
#[case::skewed(ROS, "525.5, 0, ", "525.5, 3, ", &["camera_matrix.data", "skew"])]
#[case::words_for_numbers(ROS, "525.5", "large", &["camera_matrix.data", "large"])]
#[case::not_a_number(ROS, "525.5", ".nan", &[".nan", "line 7"])]
#[case::no_focal_length(ROS, "525.5", "0", &["focal length", "positive"])]
#[case::wrong_size(ROS, "image_width: 640", "image_width: 160", &["principal point", "another picture size"])]
#[case::unknown_lens(ROS, "plumb_bob", "thin_prism", &["distortion_model", "thin_prism", "plumb_bob"])]
#[case::odd_coefficients(ROS, "-0.0011, 0]", "0, 0, 0, 0]", &["distortion_coefficients.data", "4, 5 or 8"])]
#[case::no_coefficients(ROS, "distortion_coefficients", "other", &["distortion_coefficients", "missing"])]
#[case::no_matrix_data(OPENCV, "   data: [ 6.", "   date: [ 6.", &["camera_matrix.data", "missing"])]
#[case::omni(KALIBR, "pinhole", "omni", &["cam0.camera_model", "omni", "pinhole"])]
#[case::kalibr_lens(KALIBR, "equidistant", "fov", &["cam0.distortion_model", "fov", "radtan"])]
#[case::kalibr_size(KALIBR, "[752, 480]", "[752]", &["cam0.resolution", "[752]"])]
#[case::kalibr_intrinsics(KALIBR, "366.5, ", "", &["cam0.intrinsics", "fx, fy, cx, cy"])]
#[case::two_cameras(KALIBR, "cam0:", "cam1: {}\ncam0:", &["cam1", "keep only the camera"])]
#[case::unknown_file(KALIBR, "cam0:", "camera:", &["camera_matrix", "cam0", "camera"])]
#[case::broken_yaml(ROS, "data: [525.5", "data: [[525.5", &["YAML", "line"])]
fn what_is_wrong_is_named(
    #[case] text: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] words: &[&str],
) {
    assert!(text.contains(from));
    let message = CameraModel::from_yaml(&text.replacen(from, to, 1))
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(message.contains(word), "{message}");
    }
}

#[rstest]
#[case("")]
#[case("42")]
#[case("- 1\n- 2\n")]
#[case("\u{0}\u{1}")]
#[case("camera_matrix: 3")]
#[case("cam0: []")]
fn other_texts_are_refused_without_harm(#[case] text: &str) {
    assert!(CameraModel::from_yaml(text).is_err());
}

#[test]
fn a_file_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camera.yaml");
    let message = CameraModel::load(&path).unwrap_err().to_string();
    assert!(
        message.contains("camera.yaml") && message.contains("check the path"),
        "{message}"
    );
    std::fs::write(&path, ROS.replace("plumb_bob", "sideways")).unwrap();
    let message = CameraModel::load(&path).unwrap_err().to_string();
    assert!(
        message.contains("camera.yaml") && message.contains("distortion_model"),
        "{message}"
    );
    std::fs::write(&path, ROS).unwrap();
    assert_eq!(
        CameraModel::load(&path).unwrap(),
        CameraModel::from_yaml(ROS).unwrap()
    );
}
