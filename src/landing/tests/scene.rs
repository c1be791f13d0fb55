//! Drawn ground for the tests: a segmentation map, a picture and a view that belong together.

use image::{Rgb, RgbImage};

use crate::geometry::{CameraModel, CameraMount, GroundPoint, Vec3, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::landing::{Landing, LandingConfig, LandingDecision, LandingInput, Outcome, TrackConfig};
use crate::time::MonoTime;
use crate::vehicle::Pose;

/// Probability of the drawn surface; the rest is spread over the others.
const SURE: f32 = 0.97;

pub(super) const PICTURE: (u32, u32) = (384, 256);
pub(super) const SEGMENTATION: (usize, usize) = (192, 128);
pub(super) const HFOV_DEG: f64 = 70.0;

/// One frame, ready to be stepped.
pub(super) struct Scene {
    pub(super) segmentation: SegmentationMap,
    pub(super) picture: RgbImage,
    pub(super) view: View,
    pub(super) range_m: Option<f64>,
}

/// A probability for each surface with one that stands out.
pub(super) fn sure_of(surface: Surface, p: f32) -> [f32; Surface::COUNT] {
    let rest = (1.0 - p) / (Surface::COUNT - 1) as f32;
    let mut out = [rest; Surface::COUNT];
    out[surface as usize] = p;
    out
}

pub(super) fn pose(at_s: f64, north_m: f64, east_m: f64, height_m: f64) -> Pose {
    let mut pose = Pose::level_nadir(MonoTime::from_secs_f64(at_s), height_m);
    pose.position = Vec3::new(north_m, east_m, -height_m);
    pose
}

pub(super) fn view_of(pose: Pose) -> View {
    let camera = CameraModel::from_hfov(PICTURE.0, PICTURE.1, HFOV_DEG).unwrap();
    View::new(camera, &CameraMount::nadir(), pose)
}

/// Noise that depends on the place on the ground (in 5 cm squares), 0 to 255: texture that moves with the ground.
fn texture(g: GroundPoint, salt: u64) -> u8 {
    let q = |x: f64| ((x / 0.3).floor() as i64 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut h = q(g.north_m) ^ q(g.east_m).rotate_left(17) ^ salt;
    h ^= h >> 31;
    h = h.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (h >> 56) as u8
}

impl Scene {
    /// Draws what `ground` says of every place, as seen from a pose.
    pub(super) fn draw(pose: Pose, ground: impl Fn(GroundPoint) -> Surface) -> Self {
        let view = view_of(pose);
        let (w, h) = SEGMENTATION;
        let mut segmentation = SegmentationMap {
            seq: 0,
            captured_at: pose.at,
            width: w,
            height: h,
            source_width: PICTURE.0,
            source_height: PICTURE.1,
            class_count: 0,
            logits: Vec::new(),
            surfaces: Vec::with_capacity(w * h * Surface::COUNT),
        };
        let at = |x: f64, y: f64| view.ground_from_pixel(crate::geometry::Pixel { x, y });
        for v in 0..h {
            for u in 0..w {
                let x = (u as f64 + 0.5) * f64::from(PICTURE.0) / w as f64;
                let y = (v as f64 + 0.5) * f64::from(PICTURE.1) / h as f64;
                let surface = at(x, y).map_or(Surface::Unknown, &ground);
                segmentation.surfaces.extend(sure_of(surface, SURE));
            }
        }
        let picture = RgbImage::from_fn(PICTURE.0, PICTURE.1, |x, y| {
            let g = at(f64::from(x) + 0.5, f64::from(y) + 0.5);
            let level = g.map_or(0, |g| 90 + texture(g, 0) / 8 + 10 * ground(g) as u8);
            Rgb([level; 3])
        });
        Self {
            segmentation,
            picture,
            view,
            range_m: None,
        }
    }

    /// The same ground everywhere.
    pub(super) fn plain(surface: Surface) -> Self {
        Self::draw(pose(0.0, 0.0, 0.0, 15.0), |_| surface)
    }

    /// Firm ground with a disc of something at a place.
    pub(super) fn with_disc(kind: Surface, north_m: f64, east_m: f64, radius_m: f64) -> Self {
        Self::draw(
            pose(0.0, 0.0, 0.0, 15.0),
            disc(kind, north_m, east_m, radius_m),
        )
    }

    pub(super) fn step(&self, landing: &mut Landing) -> LandingDecision {
        landing
            .step(&self.input(), self.segmentation.captured_at)
            .clone()
    }

    pub(super) fn input(&self) -> LandingInput<'_> {
        LandingInput {
            segmentation: &self.segmentation,
            view: &self.view,
            picture: &self.picture,
            range_m: self.range_m,
        }
    }
}

/// Firm ground with a disc of something else.
pub(super) fn disc(
    kind: Surface,
    north_m: f64,
    east_m: f64,
    radius_m: f64,
) -> impl Fn(GroundPoint) -> Surface {
    move |g| {
        if (g.north_m - north_m).hypot(g.east_m - east_m) <= radius_m {
            kind
        } else {
            Surface::Firm
        }
    }
}

/// Defaults, with one look enough.
pub(super) fn one_look() -> LandingConfig {
    LandingConfig {
        track: TrackConfig {
            looks_to_confirm: 1,
            looks_window: 1,
            ..TrackConfig::default()
        },
        ..LandingConfig::default()
    }
}

pub(super) fn landing(config: LandingConfig) -> Landing {
    Landing::new(config).unwrap()
}

/// Distance from the offered site to a place, metres.
pub(super) fn distance_to(decision: &LandingDecision, north_m: f64, east_m: f64) -> f64 {
    let site = decision.site.expect("a site");
    (site.north_m - north_m).hypot(site.east_m - east_m)
}

pub(super) fn is_site(decision: &LandingDecision) -> bool {
    decision.outcome == Outcome::Site
}
