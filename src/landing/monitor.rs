//! An independent veto. It shares no code with the network and proposes nothing: it can only say GO, WAIT or ABORT.
//!
//! | looks at | objects with | verdict |
//! |---|---|---|
//! | the whole picture | black, frozen, blurred, over-exposed | WAIT: this picture proves nothing |
//! | belief inside the disc | low belief, high entropy | WAIT |
//! | the picture inside the disc | edges that flat ground does not have | ABORT: this is the wrong place |
//! | the picture before, moved by the known ego-motion | something else moved in or beside the disc | ABORT |
//! | the same, on open ground around a watched disc | something moved | WAIT: it may walk into it |
//! | the range sensor against the map's ground | they disagree | ABORT |
//! | the network's own pixels inside the disc | a person, animal or vehicle | ABORT |

mod motion;

use image::RgbImage;

use super::config::MonitorConfig;
use super::decision::{MonitorReason, MonitorReasons, Verdict};
use super::luma::Luma;
use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// A site as the monitor sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patch {
    pub(super) centre: GroundPoint,
    pub(super) radius_m: f64,
    /// Mean belief that the disc is landable.
    pub(super) belief: f64,
    /// Mean normalised entropy of the cells in the disc, 0 to 1.
    pub(super) entropy: f64,
    /// Centre in the source picture, and the radius that covers the disc, pixels; `None` when it is not to be looked at.
    /// Of a disc that sticks out of the picture, the part inside is judged.
    pub(super) disc_px: Option<(Pixel, f64)>,
    /// The vehicle is on its way there: what moves around it, further off, counts too.
    pub(super) is_watched: bool,
}

/// Owns the small pictures of this frame and the one before.
#[derive(Debug)]
pub(super) struct Monitor {
    config: MonitorConfig,
    now: Luma,
    before: Luma,
    /// Both smoothed: what motion is looked for in.
    smooth: Luma,
    smooth_before: Luma,
    /// How the frame before looked at the ground, and when.
    view_before: Option<(View, MonoTime)>,
    /// What speaks against the whole frame.
    frame: MonitorReasons,
    mean_gradient: f32,
    can_compare: bool,
}

impl Monitor {
    pub(super) fn new(config: &MonitorConfig) -> Self {
        Self {
            config: config.clone(),
            now: Luma::new(),
            before: Luma::new(),
            smooth: Luma::new(),
            smooth_before: Luma::new(),
            view_before: None,
            frame: MonitorReasons::default(),
            mean_gradient: 0.0,
            can_compare: false,
        }
    }

    /// Forgets the frame before: it cannot be compared with the next one's ground.
    pub(super) fn forget_motion(&mut self) {
        self.view_before = None;
    }

    /// Takes in a picture and judges it as a whole. [`Self::finish_frame`] ends the frame.
    pub(super) fn begin_frame(&mut self, picture: &RgbImage, at: MonoTime) {
        std::mem::swap(&mut self.now, &mut self.before);
        std::mem::swap(&mut self.smooth, &mut self.smooth_before);
        self.now.fill_from(picture);
        self.smooth.smooth_from(&self.now);
        self.frame = self.health();
        let age = self
            .view_before
            .as_ref()
            .map(|(_, then)| at.secs_since(*then));
        self.can_compare = age.is_some_and(|s| s > 0.0 && s <= self.config.motion_max_age_s);
    }

    /// Remembers how this frame looked at the ground.
    pub(super) fn finish_frame(&mut self, view: &View, at: MonoTime) {
        self.view_before = Some((view.clone(), at));
    }

    fn health(&mut self) -> MonitorReasons {
        let mut found = MonitorReasons::default();
        let levels = self.now.levels();
        let count = levels.len().max(1) as f32;
        let mean = levels.iter().sum::<f32>() / count;
        if f64::from(mean) < self.config.black_level {
            found.insert(MonitorReason::BlackFrame);
        }
        let burnt = self.config.burnt_level as f32;
        let share = levels.iter().filter(|l| **l >= burnt).count() as f32 / count;
        if f64::from(share) > self.config.burnt_share {
            found.insert(MonitorReason::OverExposed);
        }
        // Sensors are noisy: not one level changed only if the picture is the same one.
        if !levels.is_empty() && levels == self.before.levels() {
            found.insert(MonitorReason::FrozenFrame);
        }
        let (mut sum, mut edges) = (0.0, 0_u32);
        let limit = self.config.sharp_edge_level as f32;
        for y in 1..self.now.height.saturating_sub(1) {
            for x in 1..self.now.width.saturating_sub(1) {
                let g = self.now.gradient(x, y);
                sum += g;
                edges += u32::from(g >= limit);
            }
        }
        self.mean_gradient = sum / count;
        if (edges as f32) < 0.001 * count {
            found.insert(MonitorReason::BlurredFrame);
        }
        found
    }

    /// What speaks against a site, in this frame.
    pub(super) fn judge(
        &self,
        patch: &Patch,
        seg: &SegmentationMap,
        view: &View,
        range_m: Option<f64>,
    ) -> MonitorReasons {
        let mut found = self.frame;
        // Asked this way round, a number that is none speaks against the site.
        let is_believed = patch.belief >= self.config.min_belief;
        let is_decided = patch.entropy <= self.config.max_entropy;
        if !is_believed {
            found.insert(MonitorReason::LowBelief);
        }
        if !is_decided {
            found.insert(MonitorReason::HighEntropy);
        }
        if self.range_disagrees(view, range_m) {
            found.insert(MonitorReason::RangeDisagrees);
        }
        if let Some((centre, radius)) = patch.disc_px {
            if self.is_rough(centre, radius) {
                found.insert(MonitorReason::RoughTexture);
            }
            if let Some(motion) = self.motion(patch, (centre, radius), seg, view) {
                found.insert(motion);
            }
            if self.is_occupied(patch, seg, view) {
                found.insert(MonitorReason::Occupied);
            }
        }
        found
    }

    /// The sensor looks along the body's down axis; without a usable reading nothing is claimed.
    fn range_disagrees(&self, view: &View, range_m: Option<f64>) -> bool {
        let Some(range) = range_m.filter(|r| r.is_finite() && *r > 0.0) else {
            return false;
        };
        let height = view.pose().height_above_ground;
        let down = view.pose().ned_from_frd * crate::geometry::Vec3::new(0.0, 0.0, 1.0);
        let expected = height.metres / down.down().max(0.1);
        let tolerance = self.config.range_tolerance_m
            + self.config.range_tolerance_share * expected
            + 2.0 * height.sd_m;
        (range - expected).abs() > tolerance
    }

    fn is_rough(&self, centre: Pixel, radius: f64) -> bool {
        let (mut sum, mut count) = (0.0, 0_u32);
        self.in_disc(centre, radius, |x, y| {
            sum += self.now.gradient(x, y);
            count += 1;
        });
        let mean = f64::from(sum) / f64::from(count.max(1));
        let picture = f64::from(self.mean_gradient);
        mean > self.config.rough_level && mean > self.config.rough_factor * picture
    }

    /// Asks the network's pixels under the disc directly, not through the map.
    fn is_occupied(&self, patch: &Patch, seg: &SegmentationMap, view: &View) -> bool {
        let limit = self.config.occupied_probability as f32;
        let (sx, sy) = (
            seg.width as f64 / f64::from(view.camera().width),
            seg.height as f64 / f64::from(view.camera().height),
        );
        let steps = 12_i32;
        for i in -steps..=steps {
            for j in -steps..=steps {
                let (n, e) = (
                    f64::from(i) / f64::from(steps),
                    f64::from(j) / f64::from(steps),
                );
                if n * n + e * e > 1.0 {
                    continue;
                }
                let pixel = view
                    .pixel_from_ground(GroundPoint {
                        north_m: patch.centre.north_m + n * patch.radius_m,
                        east_m: patch.centre.east_m + e * patch.radius_m,
                    })
                    .filter(|px| view.camera().contains(*px))
                    .and_then(|px| seg.surfaces_at((px.x * sx) as usize, (px.y * sy) as usize));
                let of = |s: Surface| pixel.and_then(|p| p.get(s as usize)).copied();
                let is_mover = |s| of(s).is_some_and(|p| p >= limit);
                if is_mover(Surface::Person) || is_mover(Surface::Vehicle) {
                    return true;
                }
            }
        }
        false
    }

    /// Visits the pixels of the small picture inside a disc given in the source picture's pixels.
    fn in_disc(&self, centre: Pixel, radius: f64, visit: impl FnMut(usize, usize)) {
        self.in_disc_by(1, (centre, radius), visit);
    }

    /// The same, one pixel of so many in each row, and one row of as many.
    fn in_disc_by(
        &self,
        step: usize,
        (centre, radius): (Pixel, f64),
        mut visit: impl FnMut(usize, usize),
    ) {
        let (cx, cy) = (centre.x / self.now.scale, centre.y / self.now.scale);
        let r = (radius / self.now.scale).max(1.0);
        let span = |c: f64, n: usize| {
            let from = (c - r).max(0.0) as usize;
            (from..((c + r).max(0.0).ceil() as usize).min(n)).step_by(step.max(1))
        };
        for y in span(cy, self.now.height) {
            for x in span(cx, self.now.width) {
                let (dx, dy) = (x as f64 + 0.5 - cx, y as f64 + 0.5 - cy);
                if dx * dx + dy * dy <= r * r {
                    visit(x, y);
                }
            }
        }
    }

    /// The source picture's pixel under a pixel of a small picture.
    fn source(luma: &Luma, x: usize, y: usize) -> Pixel {
        Pixel {
            x: (x as f64 + 0.5) * luma.scale,
            y: (y as f64 + 0.5) * luma.scale,
        }
    }
}

/// The worst of what was found.
pub(super) fn verdict(reasons: MonitorReasons) -> Verdict {
    let weight = |r| match r {
        MonitorReason::BlackFrame
        | MonitorReason::FrozenFrame
        | MonitorReason::BlurredFrame
        | MonitorReason::OverExposed
        | MonitorReason::LowBelief
        | MonitorReason::HighEntropy
        | MonitorReason::MotionAround => Verdict::Wait,
        MonitorReason::RoughTexture
        | MonitorReason::Motion
        | MonitorReason::RangeDisagrees
        | MonitorReason::Occupied => Verdict::Abort,
    };
    reasons.iter().map(weight).max().unwrap_or(Verdict::Go)
}

#[cfg(test)]
mod tests;
