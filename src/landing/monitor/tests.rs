//! Each reason, triggered and not.

use super::*;
use crate::geometry::{CameraModel, CameraMount, Vec3};
use crate::vehicle::Pose;
use image::Rgb;
use rstest::rstest;

/// Reasons that a picture gives, after another one a second before.
fn frame(before: &RgbImage, now: &RgbImage) -> MonitorReasons {
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(before, MonoTime::ZERO);
    monitor.begin_frame(now, MonoTime::from_secs_f64(1.0));
    monitor.frame
}

fn noise(level: u8, spread: u8, salt: u32) -> RgbImage {
    RgbImage::from_fn(320, 200, |x, y| {
        let mut h = (x / 4 * 7919) ^ (y / 4 * 104_729) ^ salt.wrapping_mul(0x9E37_79B9);
        h ^= h >> 13;
        h = h.wrapping_mul(0x5BD1_E995);
        let v = u32::from(level) + (h >> 16) % u32::from(spread.max(1));
        Rgb([v.min(255) as u8; 3])
    })
}

fn only(reason: MonitorReason) -> MonitorReasons {
    let mut set = MonitorReasons::default();
    set.insert(reason);
    set
}

#[test]
fn a_healthy_picture_has_nothing_against_it() {
    assert!(frame(&noise(90, 60, 1), &noise(90, 60, 2)).is_empty());
}

#[test]
fn a_black_picture_is_seen() {
    let found = frame(&noise(90, 60, 1), &noise(0, 8, 2));
    assert!(found.contains(MonitorReason::BlackFrame));
}

#[test]
fn the_same_picture_again_is_frozen() {
    let found = frame(&noise(90, 60, 1), &noise(90, 60, 1));
    assert_eq!(found, only(MonitorReason::FrozenFrame));
}

#[test]
fn a_picture_without_edges_is_blurred() {
    let smooth = RgbImage::from_fn(320, 200, |x, y| Rgb([(80 + x / 4 + y / 4) as u8; 3]));
    assert_eq!(
        frame(&noise(90, 60, 1), &smooth),
        only(MonitorReason::BlurredFrame)
    );
}

#[test]
fn a_picture_that_is_mostly_white_is_over_exposed() {
    let half = |share: u32| {
        let mut picture = noise(90, 60, 3);
        for (_, y, p) in picture.enumerate_pixels_mut() {
            if y < share * 2 {
                *p = Rgb([255; 3]);
            }
        }
        frame(&noise(90, 60, 1), &picture)
    };
    assert_eq!(half(60), only(MonitorReason::OverExposed));
    assert!(half(30).is_empty());
}

fn view(north_m: f64) -> View {
    let mut pose = Pose::level_nadir(MonoTime::ZERO, 15.0);
    pose.position = Vec3::new(north_m, 0.0, -15.0);
    let camera = CameraModel::from_hfov(320, 200, 70.0).unwrap();
    View::new(camera, &CameraMount::nadir(), pose)
}

fn ground(person: Option<usize>) -> SegmentationMap {
    let mut surfaces = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(160 * 100);
    if let Some(pixel) = person {
        surfaces[pixel * 9] = 0.5;
        surfaces[pixel * 9 + Surface::Person as usize] = 0.5;
    }
    SegmentationMap {
        width: 160,
        height: 100,
        surfaces,
        ..SegmentationMap::default()
    }
}

fn patch() -> Patch {
    Patch {
        centre: GroundPoint {
            north_m: 0.0,
            east_m: 0.0,
        },
        radius_m: 1.0,
        belief: 0.95,
        entropy: 0.1,
        disc_px: Some((Pixel { x: 160.0, y: 100.0 }, 15.3)),
        is_watched: false,
    }
}

/// Judges the middle of a picture, a second after another one taken from a place further south.
fn judge(before: &RgbImage, now: &RgbImage, way_m: f64, patch: &Patch) -> MonitorReasons {
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(before, MonoTime::ZERO);
    monitor.finish_frame(&view(-way_m), MonoTime::ZERO);
    monitor.begin_frame(now, MonoTime::from_secs_f64(1.0));
    monitor.judge(patch, &ground(None), &view(0.0), None)
}

#[rstest]
#[case::good(0.95, 0.1, &[])]
#[case::low_belief(0.7, 0.1, &[MonitorReason::LowBelief])]
#[case::undecided(0.95, 0.6, &[MonitorReason::HighEntropy])]
#[case::not_numbers(f64::NAN, f64::NAN, &[MonitorReason::LowBelief, MonitorReason::HighEntropy])]
fn doubt_inside_the_disc_waits(
    #[case] belief: f64,
    #[case] entropy: f64,
    #[case] expected: &[MonitorReason],
) {
    let patch = Patch {
        belief,
        entropy,
        ..patch()
    };
    let found = judge(&noise(90, 30, 1), &noise(90, 30, 1), 0.0, &patch);
    let mut found: Vec<_> = found.iter().collect();
    found.retain(|r| *r != MonitorReason::FrozenFrame);
    assert_eq!(found, expected);
}

/// Noise everywhere, and in the middle something drawn by a rule.
fn with_middle(salt: u32, radius: f64, draw: impl Fn(u32, u32) -> u8) -> RgbImage {
    let mut picture = noise(90, 20, salt);
    for (x, y, p) in picture.enumerate_pixels_mut() {
        if (f64::from(x) - 160.0).hypot(f64::from(y) - 100.0) < radius {
            *p = Rgb([draw(x, y); 3]);
        }
    }
    picture
}

#[test]
fn strong_edges_inside_the_disc_are_rough_and_grass_is_not() {
    let blocks = with_middle(
        1,
        20.0,
        |x, y| if (x / 4 + y / 4) % 2 == 0 { 20 } else { 230 },
    );
    let found = judge(&noise(90, 20, 9), &blocks, 40.0, &patch());
    assert_eq!(found, only(MonitorReason::RoughTexture));
    let grass = judge(&noise(60, 80, 9), &noise(60, 80, 2), 40.0, &patch());
    assert!(grass.is_empty(), "the whole picture is like that");
}

#[test]
fn what_moves_on_still_ground_is_motion() {
    let before = noise(90, 20, 1);
    let mut now = with_middle(1, 6.0, |_, _| 220);
    now.put_pixel(0, 0, Rgb([0; 3]));
    assert_eq!(
        judge(&before, &now, 0.0, &patch()),
        only(MonitorReason::Motion)
    );
}

/// Somebody, so many pixels east of the disc's middle.
fn with_walker(east_px: u32) -> RgbImage {
    let mut picture = noise(90, 20, 1);
    for (x, y, p) in picture.enumerate_pixels_mut() {
        if x.abs_diff(160 + east_px) < 5 && y.abs_diff(100) < 4 {
            *p = Rgb([220; 3]);
        }
    }
    picture
}

#[rstest]
#[case::watched(76, true, &[MonitorReason::MotionAround])]
#[case::not_on_the_way_there(76, false, &[])]
#[case::beside_it(38, false, &[MonitorReason::Motion])]
#[case::too_far(135, true, &[])]
fn whoever_walks_around_the_disc_is_seen(
    #[case] east_px: u32,
    #[case] is_watched: bool,
    #[case] expected: &[MonitorReason],
) {
    let patch = Patch {
        is_watched,
        ..patch()
    };
    let found = judge(&noise(90, 20, 1), &with_walker(east_px), 0.0, &patch);
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_tree_that_seems_to_move_around_the_disc_is_none() {
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(&noise(90, 20, 1), MonoTime::ZERO);
    monitor.finish_frame(&view(0.0), MonoTime::ZERO);
    monitor.begin_frame(&with_walker(76), MonoTime::from_secs_f64(1.0));
    let mut trees = ground(None);
    for px in trees.surfaces.chunks_exact_mut(9) {
        px.copy_from_slice(&[0.2, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
    let watched = Patch {
        is_watched: true,
        ..patch()
    };
    assert!(monitor.judge(&watched, &trees, &view(0.0), None).is_empty());
}

#[test]
fn ego_motion_and_exposure_are_no_motion() {
    // 10 rows further north at 15 m: the ground moves down by 10 rows.
    let gsd_m = view(0.0).gsd_m(Pixel { x: 160.0, y: 100.0 }).unwrap();
    let before = noise(90, 60, 1);
    let now = RgbImage::from_fn(320, 200, |x, y| {
        let p = before.get_pixel(x, y.saturating_sub(10))[0];
        Rgb([p + 25; 3])
    });
    assert!(judge(&before, &now, 10.0 * gsd_m, &patch()).is_empty());
    let unmoved = judge(&before, &now, 0.0, &patch());
    assert_eq!(
        unmoved,
        only(MonitorReason::Motion),
        "without the pose it moves"
    );
}

#[test]
fn centimetres_of_jitter_between_the_poses_are_no_motion() {
    // Two rows at 15 m are 13 cm: at the edge of what jitter explains; strong edges everywhere.
    let before = noise(60, 150, 1);
    let shifted = |rows: u32| {
        RgbImage::from_fn(320, 200, |x, y| {
            *before.get_pixel(x, y.saturating_sub(rows))
        })
    };
    assert!(judge(&before, &shifted(2), 0.0, &patch()).is_empty());
    let far = judge(&before, &shifted(6), 0.0, &patch());
    assert_eq!(far, only(MonitorReason::Motion));
}

/// Detail as fine as the pixels, moved by half a pixel east; with somebody in it or not.
#[rstest]
#[case::still(None, &[])]
#[case::walker(Some(38), &[MonitorReason::Motion])]
fn fine_detail_that_moves_by_half_a_pixel_is_no_motion(
    #[case] walker_px: Option<u32>,
    #[case] expected: &[MonitorReason],
) {
    let detail = |x: u32, y: u32| {
        let h =
            (x.wrapping_mul(0x9E37_79B9) ^ y.wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35);
        40 + (h >> 25) as u8
    };
    let before = RgbImage::from_fn(320, 200, |x, y| Rgb([detail(x, y); 3]));
    let now = RgbImage::from_fn(320, 200, |x, y| {
        if walker_px.is_some_and(|east| x.abs_diff(160 + east) < 5 && y.abs_diff(100) < 4) {
            return Rgb([240; 3]);
        }
        Rgb([detail(x, y).midpoint(detail(x + 1, y)); 3])
    });
    let found = judge(&before, &now, 0.0, &patch());
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn an_old_picture_or_one_without_overlap_is_not_compared() {
    let (before, now) = (noise(90, 20, 1), with_middle(1, 6.0, |_, _| 220));
    assert!(judge(&before, &now, 40.0, &patch()).is_empty());
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(&before, MonoTime::ZERO);
    monitor.finish_frame(&view(0.0), MonoTime::ZERO);
    monitor.begin_frame(&now, MonoTime::from_secs_f64(2.5));
    let found = monitor.judge(&patch(), &ground(None), &view(0.0), None);
    assert!(found.is_empty());
}

#[rstest]
#[case::agrees(Some(15.0), false)]
#[case::within_tolerance(Some(17.5), false)]
#[case::a_hole(Some(25.0), true)]
#[case::something_high(Some(6.0), true)]
#[case::no_sensor(None, false)]
#[case::no_reading(Some(f64::NAN), false)]
fn the_range_sensor_must_agree(#[case] range_m: Option<f64>, #[case] expected: bool) {
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(&noise(90, 30, 1), MonoTime::ZERO);
    let found = monitor.judge(&patch(), &ground(None), &view(0.0), range_m);
    assert_eq!(found.contains(MonitorReason::RangeDisagrees), expected);
}

#[rstest]
#[case::in_the_middle(50 * 160 + 80, true)]
#[case::at_the_rim(50 * 160 + 87, true)]
#[case::beside_it(50 * 160 + 92, false)]
fn a_person_pixel_inside_the_disc_occupies_it(#[case] pixel: usize, #[case] expected: bool) {
    let mut monitor = Monitor::new(&MonitorConfig::default());
    monitor.begin_frame(&noise(90, 30, 1), MonoTime::ZERO);
    let found = monitor.judge(&patch(), &ground(Some(pixel)), &view(0.0), None);
    assert_eq!(found.contains(MonitorReason::Occupied), expected);
}

#[test]
fn the_worst_reason_decides() {
    let mut reasons = MonitorReasons::default();
    assert_eq!(verdict(reasons), Verdict::Go);
    reasons.insert(MonitorReason::FrozenFrame);
    assert_eq!(verdict(reasons), Verdict::Wait);
    reasons.insert(MonitorReason::Motion);
    assert_eq!(verdict(reasons), Verdict::Abort);
}
