//! Corners that can be found again, and descriptions by which they are recognised at any rotation.
//!
//! Corners are the Shi-Tomasi maxima (Shi and Tomasi 1994), the best few of each cell of a grid, so that one busy corner
//! of the picture cannot speak for all of it. Descriptions are binary (BRIEF, Calonder et al. 2010), turned with the
//! patch's own direction (intensity centroid, as in ORB, Rublee et al. 2011).

use super::working::{Level, box5};
use crate::geometry::Pixel;

/// Patch radius, level pixels: direction and description look this far.
const PATCH: i32 = 15;
/// Corners keep this distance from the edge of a level: patch, plus smoothing.
const BORDER: usize = PATCH as usize + 4;
/// Side of a grid cell, level pixels.
const CELL: usize = 28;
/// Corners kept in a cell.
const PER_CELL: usize = 3;
/// Directions for which the pattern is prepared: steps of 5.6 degrees.
const DIRECTIONS: usize = 64;
/// Smaller eigenvalue of the summed gradient matrix below which a place is no corner: about 4 grey levels a pixel in
/// the weaker direction, above what sensor noise and compression leave.
const MIN_RESPONSE: f32 = 25.0 * 16.0;

/// 256 brightness comparisons.
pub(super) type Description = [u64; 4];

/// A corner that can be recognised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Feature {
    /// Source pixels.
    pub(super) at: Pixel,
    pub(super) description: Description,
}

/// One comparison: is the first point darker than the second? Offsets from the corner in level pixels.
type Comparison = [(i8, i8); 2];

/// Finds features; keeps its buffers.
#[derive(Debug)]
pub(super) struct Detector {
    /// For each direction, the same 256 comparisons turned into it.
    patterns: Vec<Vec<Comparison>>,
    /// Where the direction is measured.
    disc: Vec<(i32, i32)>,
    products: [Vec<f32>; 3],
    sums: [Vec<f32>; 3],
    scratch: Vec<f32>,
    response: Vec<f32>,
}

/// A corner in a level, before it is described.
#[derive(Debug, Clone, Copy, Default)]
struct Corner {
    x: usize,
    y: usize,
    response: f32,
}

impl Detector {
    pub(super) fn new() -> Self {
        let base = base_pattern();
        let patterns = (0..DIRECTIONS)
            .map(|d| turned(&base, d as f64 * std::f64::consts::TAU / DIRECTIONS as f64))
            .collect();
        // Every second pixel is enough on smoothed grey.
        let disc = (-PATCH..=PATCH)
            .step_by(2)
            .flat_map(|y| (-PATCH..=PATCH).step_by(2).map(move |x| (x, y)))
            .filter(|(x, y)| x * x + y * y <= PATCH * PATCH)
            .collect();
        Self {
            patterns,
            disc,
            products: Default::default(),
            sums: Default::default(),
            scratch: Vec::new(),
            response: Vec::new(),
        }
    }

    /// Adds the features of a level.
    pub(super) fn detect(&mut self, level: &Level, features: &mut Vec<Feature>) {
        if level.width <= 2 * BORDER || level.height <= 2 * BORDER {
            return;
        }
        self.respond(level);
        for top in (BORDER..level.height - BORDER).step_by(CELL) {
            for left in (BORDER..level.width - BORDER).step_by(CELL) {
                let best = self.best_of_cell(level, left, top);
                for corner in best.iter().filter(|c| c.response > MIN_RESPONSE) {
                    features.extend(self.describe(level, corner));
                }
            }
        }
    }

    /// Fills `response` with the smaller eigenvalue of the gradient matrix summed over 5x5 pixels.
    fn respond(&mut self, level: &Level) {
        gradient_products(level, &mut self.products);
        for (products, sums) in self.products.iter().zip(&mut self.sums) {
            box5(products, level.width, &mut self.scratch, sums);
        }
        let [xx, yy, xy] = &self.sums;
        self.response.clear();
        self.response
            .extend(xx.iter().zip(yy).zip(xy).map(|((xx, yy), xy)| {
                let half_difference = 0.5 * (xx - yy);
                0.5 * (xx + yy) - (half_difference * half_difference + xy * xy).sqrt()
            }));
    }

    fn response_at(&self, width: usize, x: usize, y: usize) -> f32 {
        self.response.get(y * width + x).copied().unwrap_or(0.0)
    }

    fn best_of_cell(&self, level: &Level, left: usize, top: usize) -> [Corner; PER_CELL] {
        let mut best = [Corner::default(); PER_CELL];
        let right = (left + CELL).min(level.width - BORDER);
        for y in top..(top + CELL).min(level.height - BORDER) {
            let start = y * level.width + left;
            let row = self
                .response
                .get(start..start + (right - left))
                .unwrap_or_default();
            for (x, &response) in (left..).zip(row) {
                let least = best.last().map_or(0.0, |c| c.response).max(MIN_RESPONSE);
                if response > least && self.is_peak(level.width, x, y) {
                    insert(&mut best, Corner { x, y, response });
                }
            }
        }
        best
    }

    /// Largest of its 3x3 neighbours; of equal ones the first in reading order.
    fn is_peak(&self, width: usize, x: usize, y: usize) -> bool {
        let own = self.response_at(width, x, y);
        let before = [(x - 1, y - 1), (x, y - 1), (x + 1, y - 1), (x - 1, y)];
        let after = [(x + 1, y), (x - 1, y + 1), (x, y + 1), (x + 1, y + 1)];
        before
            .iter()
            .all(|&(x, y)| self.response_at(width, x, y) < own)
            && after
                .iter()
                .all(|&(x, y)| self.response_at(width, x, y) <= own)
    }

    fn describe(&self, level: &Level, corner: &Corner) -> Option<Feature> {
        let (width, x, y) = (level.width, corner.x, corner.y);
        let own = corner.response;
        let dx = peak_offset(
            self.response_at(width, x - 1, y),
            own,
            self.response_at(width, x + 1, y),
        );
        let dy = peak_offset(
            self.response_at(width, x, y - 1),
            own,
            self.response_at(width, x, y + 1),
        );
        let direction = self.direction(level, x as i32, y as i32);
        let pattern = self.patterns.get(direction % DIRECTIONS)?;
        let centre = (y * width + x) as isize;
        let at = |(ox, oy): (i8, i8)| {
            let index = centre + isize::from(oy) * width as isize + isize::from(ox);
            level.smooth.get(index as usize).copied().unwrap_or(0.0)
        };
        let mut description = [0_u64; 4];
        for (word, comparisons) in description.iter_mut().zip(pattern.chunks(64)) {
            for &[first, second] in comparisons {
                *word = (*word << 1) | u64::from(at(first) < at(second));
            }
        }
        Some(Feature {
            at: Pixel {
                x: (x as f64 + 0.5 + dx) * level.source_px.0,
                y: (y as f64 + 0.5 + dy) * level.source_px.1,
            },
            description,
        })
    }

    /// From the corner towards the patch's centre of brightness, in steps of a turn / [`DIRECTIONS`].
    fn direction(&self, level: &Level, x: i32, y: i32) -> usize {
        let (mut mx, mut my) = (0.0_f32, 0.0_f32);
        for &(ox, oy) in &self.disc {
            let v = level.smooth_at(x + ox, y + oy).unwrap_or(0.0);
            mx += ox as f32 * v;
            my += oy as f32 * v;
        }
        let turns = f64::from(my)
            .atan2(f64::from(mx))
            .rem_euclid(std::f64::consts::TAU)
            / std::f64::consts::TAU;
        (turns * DIRECTIONS as f64).round() as usize
    }
}

fn insert(best: &mut [Corner], corner: Corner) {
    let mut held = corner;
    for place in best {
        if held.response > place.response {
            std::mem::swap(place, &mut held);
        }
    }
}

/// Where between the neighbours a parabola through three values has its peak, in pixels, at most half a pixel away.
fn peak_offset(before: f32, peak: f32, after: f32) -> f64 {
    let bend = f64::from(before + after - 2.0 * peak);
    if bend >= 0.0 {
        return 0.0;
    }
    (0.5 * f64::from(before - after) / bend).clamp(-0.5, 0.5)
}

/// Products `xx`, `yy`, `xy` of the Sobel gradient / 8 (grey levels a pixel); zero in the outer row and column.
fn gradient_products(level: &Level, products: &mut [Vec<f32>; 3]) {
    let len = level.grey.len();
    for p in products.iter_mut() {
        p.clear();
        p.resize(len, 0.0);
    }
    let width = level.width;
    let from = |start: usize| level.grey.get(start..).unwrap_or_default();
    // The eight neighbours, by the compass.
    let above = from(0).iter().zip(from(1)).zip(from(2));
    let beside = from(width).iter().zip(from(width + 2));
    let below = from(2 * width)
        .iter()
        .zip(from(2 * width + 1))
        .zip(from(2 * width + 2));
    let [xx, yy, xy] = products;
    let out = xx
        .get_mut(width + 1..)
        .unwrap_or_default()
        .iter_mut()
        .zip(yy.get_mut(width + 1..).unwrap_or_default())
        .zip(xy.get_mut(width + 1..).unwrap_or_default());
    for (((xx, yy), xy), ((((nw, no), ne), (we, ea)), ((sw, so), se))) in
        out.zip(above.zip(beside).zip(below))
    {
        let gx = (ne - nw + 2.0 * (ea - we) + se - sw) * 0.125;
        let gy = (sw - nw + 2.0 * (so - no) + se - ne) * 0.125;
        *xx = gx * gx;
        *yy = gy * gy;
        *xy = gx * gy;
    }
}

/// Comparisons between points drawn from a round Gaussian (BRIEF's second and best sampling), from a fixed seed.
fn base_pattern() -> Vec<[(f64, f64); 2]> {
    let mut state = 0x00b1_1ef5_u64;
    let mut unit = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let reach = f64::from(PATCH) - 1.0;
    // Sum of four uniform numbers: close to Gaussian, bounded.
    let mut bell = move || (unit() + unit() + unit() + unit() - 2.0) * reach * 0.75;
    let mut point = move || loop {
        let (x, y) = (bell(), bell());
        if x.hypot(y) <= reach {
            return (x, y);
        }
    };
    let mut pairs = Vec::with_capacity(256);
    while pairs.len() < 256 {
        let (a, b) = (point(), point());
        // Nearer points share most of their smoothing window.
        if (a.0 - b.0).hypot(a.1 - b.1) >= 4.0 {
            pairs.push([a, b]);
        }
    }
    pairs
}

fn turned(base: &[[(f64, f64); 2]], angle: f64) -> Vec<Comparison> {
    let (sin, cos) = angle.sin_cos();
    let turn = |(x, y): (f64, f64)| {
        (
            (cos * x - sin * y).round() as i8,
            (sin * x + cos * y).round() as i8,
        )
    };
    base.iter().map(|[a, b]| [turn(*a), turn(*b)]).collect()
}
