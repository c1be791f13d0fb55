//! Whether something in or near a disc moved by itself between two pictures.
//!
//! The picture before is laid under this one by the two poses. Poses jitter by centimetres: close to the ground that is
//! several pixels, and every edge would seem to move. So the remaining shift is searched first, no farther than the
//! jitter explains, and what still does not fit has moved. Real ground has detail as fine as the small picture's pixels, which
//! changes with every part of a pixel that the camera moves: the pictures are smoothed before.

use super::{Monitor, Patch};
use crate::geometry::{Pixel, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::landing::decision::MonitorReason;

/// Also what moves close to the disc counts: so many radii.
const NEAR: f64 = 1.5;
/// And whoever moves so far around it that one could step into it before the next looks: so many radii.
const BESIDE: f64 = 3.0;
/// Ground is compared at places so far apart, metres: several on a person.
const APART_M: f64 = 0.12;
/// Coarser pictures show nobody on foot, metres a pixel.
const COARSEST_M: f64 = 0.14;
/// From this probability on the ground is open: what stands on it is seen where it is. Trees and houses seem to move by
/// their height.
const OPEN: f32 = 0.5;
/// How far the poses of two pictures may be wrong against each other, metres on the ground.
const JITTER_M: f64 = 0.08;
/// Farthest shift that is searched, pixels; where jitter is more, nothing is claimed.
const FARTHEST: i32 = 7;
/// Places on which a shift is tried.
const PLACES: usize = 256;
/// How much better a shift must fit, as the variance of the differences.
const BETTER: f32 = 0.9;

/// A place in this picture and where it lay in the one before.
#[derive(Clone, Copy, Default)]
struct Pair {
    level: f32,
    x: f64,
    y: f64,
}

/// How the picture before is laid under this one: what the poses leave over.
#[derive(Clone, Copy)]
struct Fit {
    /// Pixels of the small picture before.
    shift: (f64, f64),
    /// Change of exposure, grey levels.
    offset: f32,
}

impl Monitor {
    /// What of the picture before, seen from here, fits nowhere within one and a half pixels has moved: in or beside the
    /// disc, or around it.
    pub(super) fn motion(
        &self,
        patch: &Patch,
        (centre, radius): (Pixel, f64),
        seg: &SegmentationMap,
        view: &View,
    ) -> Option<MonitorReason> {
        let (before, _) = self.view_before.as_ref().filter(|_| self.can_compare)?;
        let farthest = farthest_shift(view, self.now.scale)?;
        let pair = |x: usize, y: usize| {
            let ground = view.ground_from_pixel(Self::source(&self.now, x, y))?;
            let then = before.pixel_from_ground(ground)?;
            Some(Pair {
                level: self.smooth.at(x, y)?,
                x: then.x / self.before.scale,
                y: then.y / self.before.scale,
            })
        };
        let fit = self.fit((centre, NEAR * radius), farthest, &pair)?;
        // A turn that the poses do not tell of shifts the picture further off: what has not moved fits nearby.
        let moved = |x: usize, y: usize| {
            let (p, slack) = (pair(x, y)?, 1.5 * self.smooth.gradient(x, y));
            let differs = self.differs((p, (0.0, 0.0)), &fit, slack)?;
            Some(differs && !self.fits_nearby(p, &fit))
        };
        if self.moved_share((centre, NEAR * radius), &moved) > self.config.motion_share {
            return Some(MonitorReason::Motion);
        }
        let metres = view.camera_height_m() / view.camera().fx * self.now.scale;
        if metres > COARSEST_M {
            return None;
        }
        let step = ((APART_M / metres) as usize).max(1);
        let place_m2 = (metres * step as f64).powi(2);
        let open = Open::new(seg, view);
        let most_m2 = self.config.motion_area_m2;
        let around = self.config.motion_around_m * radius / patch.radius_m;
        let beside = BESIDE * radius;
        let reach = beside.max(if patch.is_watched { around } else { 0.0 });
        let (mut beside_m2, mut all_m2) = (0.0, 0.0);
        self.in_disc_by(step, (centre, reach), |x, y| {
            let px = Self::source(&self.now, x, y);
            let (right, down) = (px.x - centre.x, px.y - centre.y);
            let is_beside = right * right + down * down <= beside * beside;
            if moved(x, y) == Some(true) && (is_beside || open.is_at(px)) {
                all_m2 += place_m2;
                beside_m2 += if is_beside { place_m2 } else { 0.0 };
            }
        });
        match (beside_m2 > most_m2, all_m2 > most_m2) {
            (true, _) => Some(MonitorReason::Motion),
            (_, true) => Some(MonitorReason::MotionAround),
            _ => None,
        }
    }

    /// Whether a place differs from the picture before, so far off, by more than the slack explains; `None` out of it.
    fn differs(&self, (p, (dx, dy)): (Pair, (f64, f64)), fit: &Fit, slack: f32) -> Option<bool> {
        let (x, y) = (p.x + fit.shift.0 + dx, p.y + fit.shift.1 + dy);
        let old = self.smooth_before.sample(x, y)?;
        let beyond = (p.level - old - fit.offset).abs() - slack;
        Some(f64::from(beyond) > self.config.motion_level)
    }

    /// Whether the picture before looks like it no more than one and a half pixels off: half a degree of yaw at the rim of what is looked
    /// at.
    fn fits_nearby(&self, p: Pair, fit: &Fit) -> bool {
        shifts((0.0, 0.0), 3, 0.5).any(|off| self.differs((p, off), fit, 0.0) == Some(false))
    }

    /// Share of a disc's pixels that moved; 0 when less than half of them can be compared.
    fn moved_share(
        &self,
        (centre, radius): (Pixel, f64),
        moved: &impl Fn(usize, usize) -> Option<bool>,
    ) -> f64 {
        let (mut hits, mut count, mut all) = (0_u32, 0_u32, 0_u32);
        self.in_disc(centre, radius, |x, y| {
            all += 1;
            if let Some(is_moved) = moved(x, y) {
                hits += u32::from(is_moved);
                count += 1;
            }
        });
        if 2 * count < all || count == 0 {
            return 0.0;
        }
        f64::from(hits) / f64::from(count)
    }

    /// The shift of the picture before that fits best around the disc; `None` when too little can be compared.
    fn fit(
        &self,
        (centre, radius): (Pixel, f64),
        farthest: i32,
        pair: &impl Fn(usize, usize) -> Option<Pair>,
    ) -> Option<Fit> {
        let mut pairs = [Pair::default(); PLACES];
        let area = std::f64::consts::PI * (radius / self.now.scale).powi(2);
        let step = (area / PLACES as f64).sqrt().ceil().max(1.0) as usize;
        let mut len = 0;
        self.in_disc(centre, radius, |x, y| {
            let is_chosen = x.is_multiple_of(step) && y.is_multiple_of(step);
            if let (true, Some(slot)) = (is_chosen, pairs.get_mut(len))
                && let Some(p) = pair(x, y)
            {
                *slot = p;
                len += 1;
            }
        });
        let pairs = pairs.get(..len).unwrap_or(&[]);
        let still = (0.0, 0.0);
        let (variance, mut offset) = self.misfit(pairs, still)?;
        let (mut best, mut shift) = (BETTER * variance, still);
        for (reach, step) in [(farthest, 1.0), (1, 0.5)] {
            for tried in shifts(shift, reach, step) {
                if let Some((misfit, mean)) = self.misfit(pairs, tried)
                    && misfit < best
                {
                    (best, shift, offset) = (misfit, tried, mean);
                }
            }
        }
        Some(Fit { shift, offset })
    }

    /// Variance and mean of the differences between both pictures under a shift; `None` when too little is left to compare.
    fn misfit(&self, pairs: &[Pair], (dx, dy): (f64, f64)) -> Option<(f32, f32)> {
        let (mut sum, mut squares, mut count) = (0.0_f32, 0.0_f32, 0_usize);
        for p in pairs {
            if let Some(old) = self.smooth_before.sample(p.x + dx, p.y + dy) {
                let d = p.level - old;
                sum += d;
                squares += d * d;
                count += 1;
            }
        }
        if 2 * count < pairs.len() || count == 0 {
            return None;
        }
        let mean = sum / count as f32;
        Some((squares / count as f32 - mean * mean, mean))
    }
}

/// Where the network sees open ground, or somebody on it.
struct Open<'a> {
    seg: &'a SegmentationMap,
    /// Its pixels a pixel of the source picture.
    scale: (f64, f64),
}

impl<'a> Open<'a> {
    fn new(seg: &'a SegmentationMap, view: &View) -> Self {
        let camera = view.camera();
        Self {
            seg,
            scale: (
                seg.width as f64 / f64::from(camera.width),
                seg.height as f64 / f64::from(camera.height),
            ),
        }
    }

    fn is_at(&self, px: Pixel) -> bool {
        /// What stands no higher than somebody on foot.
        const LOW: [Surface; 4] = [
            Surface::Firm,
            Surface::Soft,
            Surface::Person,
            Surface::Vehicle,
        ];
        let (x, y) = (px.x * self.scale.0, px.y * self.scale.1);
        self.seg
            .surfaces_at(x as usize, y as usize)
            .is_some_and(|p| LOW.iter().filter_map(|s| p.get(*s as usize)).sum::<f32>() >= OPEN)
    }
}

/// Shifts around one, so many steps to each side, row by row of a square.
fn shifts(around: (f64, f64), reach: i32, step: f64) -> impl Iterator<Item = (f64, f64)> {
    let along = move |at: f64, i: i32| at + step * f64::from(i);
    (-reach..=reach).flat_map(move |dx| {
        (-reach..=reach).map(move |dy| (along(around.0, dx), along(around.1, dy)))
    })
}

/// How many pixels of the small picture the poses' jitter explains; `None` when it is more than can be searched.
fn farthest_shift(view: &View, scale: f64) -> Option<i32> {
    let pixels = JITTER_M * view.camera().fx / scale / view.camera_height_m();
    (pixels <= f64::from(FARTHEST)).then(|| (pixels.ceil() as i32).max(1))
}
