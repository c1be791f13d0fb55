use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn camera(distortion: Distortion) -> CameraModel {
    CameraModel {
        width: 1280,
        height: 720,
        fx: 600.0,
        fy: 610.0,
        cx: 640.5,
        cy: 360.5,
        distortion,
    }
}

fn brown(d: [f64; 5]) -> Distortion {
    Distortion::BrownConrady(BrownConrady::new(d).unwrap())
}

fn rational(d: [f64; 8]) -> Distortion {
    Distortion::BrownConrady(BrownConrady::rational(d).unwrap())
}

fn fisheye(k: [f64; 4]) -> Distortion {
    Distortion::KannalaBrandt(KannalaBrandt::new(k).unwrap())
}

const PLUMB_BOB: [f64; 5] = [-0.28, 0.09, 0.0007, -0.0011, -0.015];
const RATIONAL: [f64; 8] = [0.4, 0.12, 0.0007, -0.0011, 0.02, 0.75, 0.2, 0.03];
const FISHEYE: [f64; 4] = [-0.02, 0.006, -0.004, 0.0009];

// Pixels computed with `cv2.projectPoints` and `cv2.fisheye.projectPoints` (OpenCV 5.0) with the camera matrix
// [600 0 640; 0 610 360; 0 0 1]; half a pixel is added since OpenCV counts from the centre of the first pixel.
#[rstest]
#[case(brown(PLUMB_BOB), [0.3, -0.2, 1.0], [813.460_848_100, 242.429_448_510])]
#[case(brown(PLUMB_BOB), [-2.0, 1.5, 4.0], [368.215_535_355, 567.205_869_136])]
#[case(rational(RATIONAL), [0.3, -0.2, 1.0], [812.081_304_151, 243.364_472_742])]
#[case(rational(RATIONAL), [-2.0, 1.5, 4.0], [373.101_674_981, 563.480_187_671])]
#[case(fisheye(FISHEYE), [0.3, -0.2, 1.0], [812.357_031_567, 243.180_234_160])]
#[case(fisheye(FISHEYE), [3.0, 1.5, 1.0], [1_308.359_376_891, 699.749_349_920])]
#[case(Distortion::None, [0.3, -0.2, 1.0], [820.0, 238.0])]
fn projection_agrees_with_opencv(
    #[case] lens: Distortion,
    #[case] point: [f64; 3],
    #[case] pixel: [f64; 2],
) {
    let [x, y, z] = point;
    let got = camera(lens).project(&Vec3::new(x, y, z)).unwrap();
    let [px, py] = pixel;
    assert!((got.x - px - 0.5).abs() < 1e-6, "{got:?}");
    assert!((got.y - py - 0.5).abs() < 1e-6, "{got:?}");
}

#[test]
fn a_barrel_lens_is_refused_beyond_its_fold() {
    // r (1 - 0.3 r^2) turns back at r = sqrt(1 / 0.9) = 1.054, 46.5 degrees.
    let lens = BrownConrady::new([-0.3, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let used = lens.max_angle_rad().to_degrees();
    assert!(used < 46.5 && used > 45.5, "{used}");
    let c = camera(Distortion::BrownConrady(lens));
    assert!(c.project(&Vec3::new(1.0, 0.0, 1.0)).is_some());
    // Without the check, this point would fold back to 640.5 + 600 * 0.325, well inside the picture.
    assert!(c.project(&Vec3::new(1.5, 0.0, 1.0)).is_none());
    // The largest distorted radius is 1.054 (1 - 1/3) = 0.7027: nothing appears farther out.
    let at = |r: f64| {
        c.unproject(Pixel {
            x: 640.5 + 600.0 * r,
            y: 360.5,
        })
    };
    assert!(at(0.70).is_some());
    assert!(at(0.71).is_none());
}

#[test]
fn a_fisheye_is_refused_beyond_its_fold() {
    // theta (1 - 0.1 theta^2) turns back at sqrt(1 / 0.3) = 1.826 rad, where it is 1.217.
    let lens = KannalaBrandt::new([-0.1, 0.0, 0.0, 0.0]).unwrap();
    assert!((lens.max_angle_rad() - 1.826).abs() < 0.02);
    let c = camera(Distortion::KannalaBrandt(lens));
    let ray = |deg: f64| Vec3::new(deg.to_radians().sin(), 0.0, deg.to_radians().cos());
    assert!(c.project(&ray(100.0)).is_some());
    assert!(c.project(&ray(110.0)).is_none());
    let at = |r: f64| {
        c.unproject(Pixel {
            x: 640.5,
            y: 360.5 - 610.0 * r,
        })
    };
    assert!(at(1.21).is_some());
    assert!(at(1.22).is_none());
}

#[test]
fn a_rational_lens_is_refused_before_its_pole() {
    // The denominator 1 - 0.5 r^2 vanishes at r = 1.41; beyond, the picture would come back mirrored.
    let c = camera(rational([0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0]));
    assert!(c.project(&Vec3::new(1.3, 0.0, 1.0)).is_some());
    assert!(c.project(&Vec3::new(1.5, 0.0, 1.0)).is_none());
}

#[rstest]
#[case::pinhole(Distortion::None)]
#[case::brown(brown(PLUMB_BOB))]
#[case::fisheye(fisheye(FISHEYE))]
fn odd_numbers_are_no_direction(#[case] lens: Distortion) {
    let c = camera(lens);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(c.unproject(Pixel { x: bad, y: 1.0 }).is_none());
        assert!(c.unproject(Pixel { x: 1.0, y: bad }).is_none());
        for p in [[bad, 0.0, 1.0], [0.0, bad, 1.0], [0.0, 0.0, bad]] {
            let got = c.project(&Vec3::new(p[0], p[1], p[2]));
            // Infinitely far ahead is the optical axis for a pinhole; everything else has no pixel.
            assert!(got.is_none() || p[2] == f64::INFINITY, "{p:?} -> {got:?}");
        }
    }
    assert!(c.project(&Vec3::zero()).is_none());
    assert!(c.project(&Vec3::new(0.1, 0.1, -1.0)).is_none());
}

#[rstest]
#[case(0.0)]
#[case(1.0)]
#[case(179.0)]
#[case(-60.0)]
#[case(f64::NAN)]
#[case(f64::INFINITY)]
fn an_impossible_field_of_view_is_refused(#[case] hfov: f64) {
    assert!(matches!(
        CameraModel::from_hfov(640, 480, hfov),
        Err(CameraError::FieldOfView(_))
    ));
}

#[test]
fn the_field_of_view_spans_the_picture() {
    let c = CameraModel::from_hfov(1000, 500, 90.0).unwrap();
    assert!((c.fx - 500.0).abs() < 1e-9);
    let left = c.unproject(Pixel { x: 0.0, y: 250.0 }).unwrap();
    assert!((left.x() / left.z() + 1.0).abs() < 1e-12);
    assert_eq!(
        CameraModel::from_hfov(0, 5, 60.0),
        Err(CameraError::Size(0, 5))
    );
}

#[test]
fn intrinsics_that_no_camera_has_are_refused() {
    let good = camera(Distortion::None);
    assert!(good.clone().checked().is_ok());
    for f in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let bad = CameraModel {
            fx: f,
            ..good.clone()
        };
        assert!(matches!(
            bad.checked(),
            Err(CameraError::FocalLength { .. })
        ));
    }
    for c in [-1.0, 1281.0, f64::NAN] {
        let bad = CameraModel {
            cx: c,
            ..good.clone()
        };
        assert!(matches!(
            bad.checked(),
            Err(CameraError::PrincipalPoint { .. })
        ));
    }
    let nan = [f64::NAN, 0.0, 0.0, 0.0];
    assert_eq!(KannalaBrandt::new(nan), Err(CameraError::Coefficients));
    assert!(BrownConrady::new([0.0, f64::INFINITY, 0.0, 0.0, 0.0]).is_err());
}

#[test]
fn a_resized_picture_sees_the_same_rays() {
    let c = camera(brown(PLUMB_BOB));
    let half = c.scaled_to(640, 360).unwrap();
    let a = c.unproject(Pixel { x: 100.0, y: 600.0 }).unwrap();
    let b = half.unproject(Pixel { x: 50.0, y: 300.0 }).unwrap();
    assert!((a - b).norm() < 1e-12);
}

#[test]
fn a_cropped_picture_is_refused_with_the_remedy() {
    let e = camera(Distortion::None).scaled_to(640, 480).unwrap_err();
    let text = e.to_string();
    assert!(text.contains("1280x720") && text.contains("640x480") && text.contains("calibrate"));
    assert!(camera(Distortion::None).scaled_to(640, 0).is_err());
    // Odd sizes are rounded by the program that resizes: within 1 % it is the same field of view.
    assert!(camera(Distortion::None).scaled_to(321, 180).is_ok());
}

/// Coefficients as calibrations have them, from pincushion to strong barrel.
fn any_lens() -> impl Strategy<Value = Distortion> {
    let tangential = -0.005..0.005;
    prop_oneof![
        Just(Distortion::None),
        (
            -0.4..0.3,
            -0.2..0.2,
            tangential.clone(),
            tangential.clone(),
            -0.1..0.1
        )
            .prop_map(|(k1, k2, p1, p2, k3)| brown([k1, k2, p1, p2, k3])),
        (
            (
                -0.4..1.0,
                -0.2..0.4,
                tangential.clone(),
                tangential,
                -0.1..0.1
            ),
            (-0.2..1.0, -0.2..0.4, -0.05..0.1)
        )
            .prop_map(|((k1, k2, p1, p2, k3), (k4, k5, k6))| rational([
                k1, k2, p1, p2, k3, k4, k5, k6
            ])),
        (-0.1..0.1, -0.05..0.05, -0.02..0.02, -0.005..0.005)
            .prop_map(|(k1, k2, k3, k4)| fisheye([k1, k2, k3, k4])),
    ]
}

/// Unit rays up to `max_deg` from the optical axis.
fn any_ray(max_deg: f64) -> impl Strategy<Value = Vec3<Cam>> {
    (0.0..max_deg.to_radians(), 0.0..std::f64::consts::TAU).prop_map(|(off, around)| {
        let (s, c) = off.sin_cos();
        Vec3::new(s * around.cos(), s * around.sin(), c)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_lens_projects_it_finds_again(lens in any_lens(), ray in any_ray(130.0)) {
        let c = camera(lens);
        if let Some(px) = c.project(&ray) {
            let back = c.unproject(px);
            prop_assert!(back.is_some(), "{px:?} has no ray back");
            // Where the lens squeezes most (MIN_STRETCH), rounding grows a hundred times on the plane, and the
            // plane itself stretches towards 90 degrees.
            prop_assert!((back.unwrap() - ray).norm() < 1e-7);
        }
    }

    #[test]
    fn a_pixel_either_comes_back_or_has_no_ray(
        lens in any_lens(),
        x in -2000.0..4000.0f64,
        y in -2000.0..4000.0f64,
    ) {
        let c = camera(lens);
        let px = Pixel { x, y };
        if let Some(ray) = c.unproject(px) {
            prop_assert!((ray.norm() - 1.0).abs() < 1e-12);
            let back = c.project(&ray);
            // On the rim itself rounding may decide either way, never for a wrong pixel.
            if let Some(back) = back {
                prop_assert!((back.x - x).hypot(back.y - y) < 1e-5);
            } else {
                let inwards = c.unproject(Pixel { x: x + 1e-6 * (c.cx - x), y: y + 1e-6 * (c.cy - y) });
                prop_assert!(inwards.and_then(|r| c.project(&r)).is_some());
            }
        }
    }

    #[test]
    fn usual_lenses_hold_over_their_whole_picture(
        k1 in -0.25..0.1f64, p1 in -0.002..0.002f64, p2 in -0.002..0.002f64,
        x in 0.0..1280.0f64, y in 0.0..720.0f64,
    ) {
        // k2 as fitted to a lens whose radius follows its angle less than twice as strongly as k1 says.
        let c = camera(brown([k1, 0.3 * k1.abs(), p1, p2, 0.0]));
        let ray = c.unproject(Pixel { x, y });
        prop_assert!(ray.is_some());
    }

    #[test]
    fn scaling_there_and_back_changes_nothing(w in 100u32..4000) {
        let c = camera(Distortion::None).scaled_to(w * 16, w * 9).unwrap();
        let back = c.scaled_to(1280, 720).unwrap();
        prop_assert!((back.fx - 600.0).abs() < 1e-9 && (back.cy - 360.5).abs() < 1e-9);
    }
}
