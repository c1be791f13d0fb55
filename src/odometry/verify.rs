//! Is a motion that many pairs follow really the picture's motion?
//!
//! Three questions, all of which must be answered well: do the followers stand all over the part that both pictures
//! show (a car is in one place), does no other motion have nearly as many (repeated texture, two layers), and do the
//! pictures look alike when one is laid over the other.

use super::similarity::{PointPair, Similarity};
use super::working::Level;
use crate::geometry::Pixel;

/// Cells along the longer and the shorter side in which followers are counted.
const CELLS: (usize, usize) = (8, 6);
/// Side of a block compared photometrically, level pixels.
const BLOCK: usize = 20;
/// Grey levels of standard deviation below which a block has nothing to compare.
const TEXTURE: f32 = 3.0;
/// Correlation from which a block agrees.
const AGREES: f32 = 0.5;

/// How the followers are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// Cells of the later picture that hold a follower.
    pub(super) cells: usize,
    /// Share of the overlap's cells that do.
    pub(super) share: f64,
}

/// Photometric agreement of the overlap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    /// Blocks with enough texture to tell.
    pub(super) blocks: usize,
    /// Share of them that agree.
    pub(super) share: f64,
}

/// Share of this picture that the previous one shows too, if `motion` is true; sampled on a grid.
pub(super) fn overlap(motion: &Similarity, width: f64, height: f64) -> f64 {
    let cells = overlap_cells(motion, width, height);
    cells.iter().filter(|cell| **cell).count() as f64 / cells.len() as f64
}

fn overlap_cells(motion: &Similarity, width: f64, height: f64) -> [bool; CELLS.0 * CELLS.1] {
    let mut shown = [false; CELLS.0 * CELLS.1];
    let Some(back) = motion.inverse() else {
        return shown;
    };
    for (i, cell) in shown.iter_mut().enumerate() {
        let p = back.apply(Pixel {
            x: ((i % CELLS.0) as f64 + 0.5) / CELLS.0 as f64 * width,
            y: ((i / CELLS.0) as f64 + 0.5) / CELLS.1 as f64 * height,
        });
        *cell = p.x >= 0.0 && p.y >= 0.0 && p.x < width && p.y < height;
    }
    shown
}

/// Longest period that is looked for, level pixels.
const LONGEST_PERIOD: usize = 64;
/// Every so many pixels of rows and columns are enough to see a period.
const PERIOD_STEP: usize = 5;
/// A picture laid over itself agrees less than this between two periods ...
const BETWEEN_PERIODS: f32 = 0.5;
/// ... and at least this much a whole period further.
const AT_PERIOD: f32 = 0.85;

/// The period, in level pixels, with which the picture repeats itself along its rows or columns: paving, tiles, rows of
/// plants. By any number of periods more, another motion would look the same. `None` for ground as it usually is.
pub(super) fn period(level: &Level) -> Option<usize> {
    [(1, 0), (0, 1)].into_iter().find_map(|(dx, dy)| {
        let mut has_parted = false;
        (4..=LONGEST_PERIOD).find(|&shift| {
            let likeness = self_correlation(level, shift * dx, shift * dy).unwrap_or(0.0);
            has_parted |= likeness < BETWEEN_PERIODS;
            has_parted && likeness >= AT_PERIOD
        })
    })
}

/// Correlation of the picture with itself, shifted.
fn self_correlation(level: &Level, dx: usize, dy: usize) -> Option<f32> {
    let mut sums = Sums::default();
    let rows = level.height.checked_sub(dy)?;
    for y in (0..rows).step_by(PERIOD_STEP) {
        let from = level.smooth.get(y * level.width..(y + 1) * level.width)?;
        let to = level
            .smooth
            .get((y + dy) * level.width + dx..(y + dy + 1) * level.width)?;
        for (a, b) in from.iter().zip(to).step_by(PERIOD_STEP) {
            sums.add(*a, *b);
        }
    }
    sums.correlation()
}

/// How well the followers cover the overlap.
pub(super) fn spread(
    motion: &Similarity,
    followers: &[PointPair],
    width: f64,
    height: f64,
) -> Spread {
    let shown = overlap_cells(motion, width, height);
    let mut held = [false; CELLS.0 * CELLS.1];
    for p in followers {
        let x = ((p.after.x / width * CELLS.0 as f64) as usize).min(CELLS.0 - 1);
        let y = ((p.after.y / height * CELLS.1 as f64) as usize).min(CELLS.1 - 1);
        if let Some(cell) = held.get_mut(y * CELLS.0 + x) {
            *cell = true;
        }
    }
    let cells = held.iter().filter(|cell| **cell).count();
    let all = shown.iter().filter(|cell| **cell).count().max(1);
    Spread {
        cells,
        share: cells as f64 / all as f64,
    }
}

/// Lays the previous picture over this one and correlates block by block (zero-mean normalized cross-correlation), so
/// that exposure and shading do not matter and one moving thing spoils one block.
pub(super) fn agreement(motion: &Similarity, before: &Level, after: &Level) -> Agreement {
    let Some(back) = motion.inverse() else {
        return Agreement {
            blocks: 0,
            share: 0.0,
        };
    };
    let (mut blocks, mut agree) = (0_usize, 0_usize);
    // The smoothing leaves two pixels at the edge without meaning.
    for top in (3..after.height.saturating_sub(BLOCK + 3)).step_by(BLOCK) {
        for left in (3..after.width.saturating_sub(BLOCK + 3)).step_by(BLOCK) {
            if let Some(correlation) = block_correlation(&back, before, after, (left, top)) {
                blocks += 1;
                agree += usize::from(correlation >= AGREES);
            }
        }
    }
    Agreement {
        blocks,
        share: agree as f64 / blocks.max(1) as f64,
    }
}

/// `None` where the previous picture does not show the whole block, or it has no texture.
fn block_correlation(
    back: &Similarity,
    before: &Level,
    after: &Level,
    corner: (usize, usize),
) -> Option<f32> {
    let mut sums = Sums::default();
    for y in (corner.1..corner.1 + BLOCK).step_by(2) {
        for x in (corner.0..corner.0 + BLOCK).step_by(2) {
            let b = after.smooth_at(x as i32, y as i32)?;
            let p = back.apply(Pixel {
                x: (x as f64 + 0.5) * after.source_px.0,
                y: (y as f64 + 0.5) * after.source_px.1,
            });
            let px = (p.x / before.source_px.0).floor() as i32;
            let py = (p.y / before.source_px.1).floor() as i32;
            let inside =
                px >= 2 && py >= 2 && px < before.width as i32 - 2 && py < before.height as i32 - 2;
            if !inside {
                return None;
            }
            sums.add(before.smooth_at(px, py)?, b);
        }
    }
    sums.correlation()
}

#[derive(Default)]
struct Sums {
    n: f32,
    a: f32,
    b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
}

impl Sums {
    fn add(&mut self, a: f32, b: f32) {
        self.n += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }

    /// `None` when both are flat; a flat block against a textured one correlates with 0.
    fn correlation(&self) -> Option<f32> {
        let n = self.n;
        let var_a = (self.aa / n - (self.a / n) * (self.a / n)).max(0.0);
        let var_b = (self.bb / n - (self.b / n) * (self.b / n)).max(0.0);
        let floor = TEXTURE * TEXTURE;
        if var_a < floor && var_b < floor {
            return None;
        }
        if var_a < 0.1 * floor || var_b < 0.1 * floor {
            return Some(0.0);
        }
        let cov = self.ab / n - (self.a / n) * (self.b / n);
        Some(cov / (var_a * var_b).sqrt())
    }
}
