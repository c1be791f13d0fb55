//! Whether something in or near a disc moved by itself between two pictures.
//!
//! The picture before is laid under this one by the two poses. Poses jitter by centimetres: close to the ground that is
//! several pixels, and every edge would seem to move. So the remaining shift is searched first, no farther than the
//! jitter explains, and what still does not fit has moved.

use super::Monitor;
use crate::geometry::{Pixel, View};

/// Also what moves close to the disc counts: so many radii.
const AROUND: f64 = 1.5;
/// And what moves so far around it that somebody on foot could step into it before the next looks: so many radii.
const FAR_AROUND: f64 = 3.0;
/// There, this share of what [`AROUND`] asks for is motion: the same person is a smaller part of a larger disc.
const FAR_SHARE: f64 = 0.5;
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

impl Monitor {
    /// The picture before, seen from here: what does not fit by more than a shift of a pixel has moved.
    pub(super) fn moves(&self, centre: Pixel, radius: f64, view: &View) -> bool {
        let Some((before, _)) = self.view_before.as_ref().filter(|_| self.can_compare) else {
            return false;
        };
        let Some(farthest) = farthest_shift(view, self.now.scale) else {
            return false;
        };
        let pair = |x: usize, y: usize| {
            let ground = view.ground_from_pixel(Self::source(&self.now, x, y))?;
            let then = before.pixel_from_ground(ground)?;
            Some(Pair {
                level: self.now.at(x, y)?,
                x: then.x / self.before.scale,
                y: then.y / self.before.scale,
            })
        };
        let shift = self.remaining_shift((centre, AROUND * radius), farthest, &pair);
        let levels = |x: usize, y: usize| {
            let p = pair(x, y)?;
            Some((p.level, self.before.sample(p.x + shift.0, p.y + shift.1)?))
        };
        let share = self.config.motion_share;
        [(AROUND, share), (FAR_AROUND, FAR_SHARE * share)]
            .into_iter()
            .any(|(radii, share)| self.moved_share((centre, radii * radius), &levels) > share)
    }

    /// Share of a disc's pixels that differ by more than a shift of a pixel explains; 0 when less than half of them can be compared.
    fn moved_share(
        &self,
        (centre, radius): (Pixel, f64),
        levels: &impl Fn(usize, usize) -> Option<(f32, f32)>,
    ) -> f64 {
        // The exposure may have changed: the mean difference is no motion.
        let (mut offset, mut count, mut all) = (0.0, 0_u32, 0_u32);
        self.in_disc(centre, radius, |x, y| {
            all += 1;
            if let Some((new, old)) = levels(x, y) {
                offset += new - old;
                count += 1;
            }
        });
        if 2 * count < all || count == 0 {
            return 0.0;
        }
        let offset = offset / count as f32;
        let mut moved = 0_u32;
        self.in_disc(centre, radius, |x, y| {
            if let Some((new, old)) = levels(x, y) {
                let beyond = (new - old - offset).abs() - 1.5 * self.now.gradient(x, y);
                moved += u32::from(f64::from(beyond) > self.config.motion_level);
            }
        });
        f64::from(moved) / f64::from(count)
    }

    /// The shift of the picture before that fits best around the disc.
    fn remaining_shift(
        &self,
        (centre, radius): (Pixel, f64),
        farthest: i32,
        pair: &impl Fn(usize, usize) -> Option<Pair>,
    ) -> (f64, f64) {
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
        let (mut best, mut shift) = (BETTER * self.misfit(pairs, (0.0, 0.0)), (0.0, 0.0));
        for dx in -farthest..=farthest {
            for dy in -farthest..=farthest {
                let tried = (f64::from(dx), f64::from(dy));
                let misfit = self.misfit(pairs, tried);
                if misfit < best {
                    (best, shift) = (misfit, tried);
                }
            }
        }
        shift
    }

    /// Variance of the differences between both pictures under a shift; infinite when too little is left to compare.
    fn misfit(&self, pairs: &[Pair], (dx, dy): (f64, f64)) -> f32 {
        let (mut sum, mut squares, mut count) = (0.0_f32, 0.0_f32, 0_usize);
        for p in pairs {
            if let Some(old) = self.before.sample(p.x + dx, p.y + dy) {
                let d = p.level - old;
                sum += d;
                squares += d * d;
                count += 1;
            }
        }
        if 2 * count < pairs.len() || count == 0 {
            return f32::INFINITY;
        }
        let mean = sum / count as f32;
        squares / count as f32 - mean * mean
    }
}

/// How many pixels of the small picture the poses' jitter explains; `None` when it is more than can be searched.
fn farthest_shift(view: &View, scale: f64) -> Option<i32> {
    let pixels = JITTER_M * view.camera().fx / scale / view.camera_height_m();
    (pixels <= f64::from(FARTHEST)).then(|| (pixels.ceil() as i32).max(1))
}
