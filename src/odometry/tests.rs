use super::*;
use crate::geometry::Pixel;
use image::Rgb;
use proptest::prelude::*;
use rstest::rstest;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

/// A number in `0.0..1.0` that belongs to a lattice point.
fn lattice(seed: u64, x: i64, y: i64) -> f64 {
    let mut z = seed
        ^ (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn value_noise(seed: u64, x: f64, y: f64) -> f64 {
    let (ix, iy) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let (right, down) = (ease(x - ix), ease(y - iy));
    let at = |dx: i64, dy: i64| lattice(seed, ix as i64 + dx, iy as i64 + dy);
    let top = at(0, 0) * (1.0 - right) + at(1, 0) * right;
    let bottom = at(0, 1) * (1.0 - right) + at(1, 1) * right;
    top * (1.0 - down) + bottom * down
}

/// Ground that can be drawn at any position: patches, and grain of several sizes. Grey level.
fn ground(seed: u64, p: Pixel) -> f64 {
    let patches = if value_noise(seed, p.x / 47.0, p.y / 47.0) > 0.5 {
        60.0
    } else {
        0.0
    };
    let grain: f64 = [(31.0, 60.0), (13.0, 50.0), (6.0, 40.0)]
        .iter()
        .zip(1..)
        .map(|((size, contrast), k)| contrast * value_noise(seed + k, p.x / size, p.y / size))
        .sum();
    20.0 + patches + grain
}

/// Draws what a function of the position shows; `view` maps picture positions to it.
fn draw(view: &Similarity, paint: impl Fn(Pixel) -> f64) -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let p = view.apply(Pixel {
            x: f64::from(x) + 0.5,
            y: f64::from(y) + 0.5,
        });
        Rgb([paint(p).clamp(0.0, 255.0) as u8; 3])
    })
}

fn register(before: &RgbImage, after: &RgbImage) -> Registration {
    let mut odometry = Odometry::new(OdometryConfig::default());
    assert_eq!(odometry.step(before, MonoTime::ZERO), Registration::First);
    odometry.step(after, MonoTime::from_secs_f64(1.0))
}

/// A motion about the middle of the picture.
fn about_middle(scale: f64, degrees: f64, shift_x: f64, shift_y: f64) -> Similarity {
    let middle = Pixel {
        x: f64::from(WIDTH) / 2.0,
        y: f64::from(HEIGHT) / 2.0,
    };
    let turn = Similarity {
        scale,
        rotation_rad: degrees.to_radians(),
        ..Similarity::IDENTITY
    };
    let moved = turn.apply(middle);
    Similarity {
        shift_x_px: middle.x - moved.x + shift_x,
        shift_y_px: middle.y - moved.y + shift_y,
        ..turn
    }
}

fn assert_is(registration: &Registration, truth: &Similarity) {
    let Registration::Tracked { motion, .. } = registration else {
        panic!("{registration:?} instead of {truth:?}");
    };
    let middle = Pixel {
        x: f64::from(WIDTH) / 2.0,
        y: f64::from(HEIGHT) / 2.0,
    };
    let (a, b) = (motion.apply(middle), truth.apply(middle));
    let off_px = (a.x - b.x).hypot(a.y - b.y);
    let off_deg = (motion.rotation_rad - truth.rotation_rad)
        .to_degrees()
        .abs();
    assert!(
        off_px <= 0.5 && off_deg <= 0.1,
        "{off_px:.2} px, {off_deg:.3} degrees off: {motion:?} {truth:?}"
    );
    assert!(
        (motion.scale / truth.scale - 1.0).abs() < 0.003,
        "{motion:?} {truth:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The shifts leave at least 40 % of the picture in view at scale 1 and no rotation.
    #[test]
    fn a_drawn_motion_is_recovered(
        seed in 0_u64..1000,
        scale in 0.85..1.18,
        degrees in -30.0..30.0,
        x in -150.0..150.0,
        y in -70.0..70.0,
    ) {
        let truth = about_middle(scale, degrees, x, y);
        let before = draw(&Similarity::IDENTITY, |p| ground(seed, p));
        let after = draw(&truth.inverse().unwrap(), |p| ground(seed, p));
        assert_is(&register(&before, &after), &truth);
    }
}

#[rstest]
#[case::half_a_turn(1.0, 180.0, 10.0, 5.0)]
#[case::forty_percent_in_view(1.0, 0.0, 384.0, 0.0)]
#[case::climbing(0.75, 5.0, 0.0, 0.0)]
#[case::sinking(1.33, -5.0, 0.0, 0.0)]
fn a_hard_motion_is_recovered(
    #[case] scale: f64,
    #[case] degrees: f64,
    #[case] x: f64,
    #[case] y: f64,
) {
    let truth = about_middle(scale, degrees, x, y);
    let before = draw(&Similarity::IDENTITY, |p| ground(7, p));
    let after = draw(&truth.inverse().unwrap(), |p| ground(7, p));
    let registration = register(&before, &after);
    let Registration::Tracked { motion, .. } = registration else {
        panic!("{registration:?}");
    };
    let far = Pixel { x: 100.0, y: 300.0 };
    let (a, b) = (motion.apply(far), truth.apply(far));
    assert!((a.x - b.x).hypot(a.y - b.y) < 1.5, "{motion:?} {truth:?}");
}

#[test]
fn exposure_does_not_matter() {
    let truth = about_middle(1.02, 3.0, 20.0, -15.0);
    let before = draw(&Similarity::IDENTITY, |p| ground(3, p));
    let after = draw(&truth.inverse().unwrap(), |p| 30.0 + 0.6 * ground(3, p));
    assert_is(&register(&before, &after), &truth);
}

#[rstest]
fn unrelated_ground_is_lost(#[values(1, 2, 3, 4, 5, 6)] seed: u64) {
    let before = draw(&Similarity::IDENTITY, |p| ground(seed * 100, p));
    let after = draw(&Similarity::IDENTITY, |p| ground(seed * 100 + 50, p));
    assert!(matches!(
        register(&before, &after),
        Registration::Lost { .. }
    ));
}

#[test]
fn flat_and_tiny_pictures_are_lost_for_lack_of_texture() {
    let flat = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([90, 120, 60]));
    for picture in [
        flat,
        RgbImage::new(1, 1),
        RgbImage::new(0, 0),
        RgbImage::new(3000, 2),
    ] {
        let got = register(&picture, &picture);
        let lost = Registration::Lost {
            reason: LostReason::Texture(0),
        };
        assert_eq!(got, lost, "{:?}", picture.dimensions());
    }
}

/// A car: 110 by 80 pixels of its own texture.
fn car(p: Pixel, left: f64) -> Option<f64> {
    let (x, y) = (p.x - left, p.y - 150.0);
    ((0.0..110.0).contains(&x) && (0.0..80.0).contains(&y))
        .then(|| 40.0 + ground(77, Pixel { x, y }))
}

#[test]
fn a_moving_car_does_not_capture_the_motion() {
    let paint = |left: f64| move |p: Pixel| car(p, left).unwrap_or_else(|| ground(5, p));
    let before = draw(&Similarity::IDENTITY, paint(100.0));
    let after = draw(&Similarity::IDENTITY, paint(190.0));
    assert_is(&register(&before, &after), &Similarity::IDENTITY);
}

#[test]
fn a_car_over_flat_ground_is_no_motion_of_the_camera() {
    let paint = |left: f64| move |p: Pixel| car(p, left).unwrap_or(90.0);
    let before = draw(&Similarity::IDENTITY, paint(100.0));
    let after = draw(&Similarity::IDENTITY, paint(190.0));
    assert!(matches!(
        register(&before, &after),
        Registration::Lost { .. }
    ));
}

#[rstest]
#[case::a_third_of_a_stone(8.0, 0.0)]
#[case::one_and_a_half_stones(36.0, 12.0)]
fn paving_that_looks_alike_everywhere_gives_no_lock(#[case] x: f64, #[case] y: f64) {
    // One pattern of 24 pixels repeated without end: the true shift cannot be told from others.
    let stone = |p: Pixel| {
        ground(
            9,
            Pixel {
                x: p.x.rem_euclid(24.0),
                y: p.y.rem_euclid(24.0),
            },
        )
    };
    let before = draw(&Similarity::IDENTITY, stone);
    let after = draw(&about_middle(1.0, 0.0, x, y), stone);
    assert!(matches!(
        register(&before, &after),
        Registration::Lost { .. }
    ));
}

#[test]
fn after_a_loss_the_next_picture_goes_on_from_the_lost_one() {
    let here = draw(&Similarity::IDENTITY, |p| ground(1, p));
    let there = draw(&Similarity::IDENTITY, |p| ground(500, p));
    let mut odometry = Odometry::new(OdometryConfig::default());
    let mut step = |picture: &RgbImage, s: f64| odometry.step(picture, MonoTime::from_secs_f64(s));
    assert_eq!(step(&here, 0.0), Registration::First);
    assert!(matches!(step(&there, 1.0), Registration::Lost { .. }));
    assert_is(&step(&there, 2.0), &Similarity::IDENTITY);
}

#[test]
fn another_size_and_an_earlier_time_are_lost_and_named() {
    let picture = draw(&Similarity::IDENTITY, |p| ground(1, p));
    let smaller = image::imageops::crop_imm(&picture, 0, 0, 600, 360).to_image();
    let lost = |reason| Registration::Lost { reason };
    assert_eq!(register(&picture, &smaller), lost(LostReason::SizeChanged));
    let mut odometry = Odometry::new(OdometryConfig::default());
    odometry.step(&picture, MonoTime::from_secs_f64(2.0));
    let got = odometry.step(&picture, MonoTime::from_secs_f64(1.0));
    assert_eq!(got, lost(LostReason::TimeWentBack));
    odometry.forget();
    assert_eq!(odometry.step(&picture, MonoTime::ZERO), Registration::First);
}

#[test]
fn the_same_pictures_give_the_same_answer_and_its_pairs_follow_it() {
    let before = draw(&Similarity::IDENTITY, |p| ground(4, p));
    let after = draw(&about_middle(1.0, -4.0, 30.0, 9.0), |p| ground(4, p));
    let run = || {
        let mut odometry = Odometry::new(OdometryConfig::default());
        odometry.step(&before, MonoTime::ZERO);
        let got = odometry.step(&after, MonoTime::ZERO);
        (got, odometry.inliers().to_vec())
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    let Registration::Tracked {
        motion, inliers, ..
    } = first.0
    else {
        panic!("{:?}", first.0);
    };
    assert_eq!(first.1.len(), inliers);
    let allowed = OdometryConfig::default().tolerance * f64::from(WIDTH);
    assert!(first.1.iter().all(|p| motion.error_px(p) <= allowed));
}
