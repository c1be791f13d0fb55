//! Exact Euclidean distance from a cell's centre to the nearest edge of a hazardous cell.
//!
//! The way along the column is found for every cell ([`Distances::fill`]); the way along the row only where it is asked
//! for: for one cell ([`Distances::cells2`]), or for a part of a row as far as distances matter ([`Band::row`]). Within a
//! reach of 90 cells that is the least of a few sums of whole numbers, many cells at a time; beyond, it is a lower
//! envelope of parabolas, after P. Felzenszwalb and D. Huttenlocher, "Distance Transforms of Sampled Functions", Theory
//! of Computing 8 (2012). Each hazardous cell stands for its whole square.

use std::ops::Range;

/// No hazard anywhere, or none near enough to matter.
pub(super) const FAR: f32 = f32::INFINITY;

/// No hazard in the column.
const NONE: u16 = u16::MAX;

/// Largest reach, in cells, whose squared half cells fit 16 bits: `(2 * 90 - 1)^2 < 2^15 - 1`.
const SHORT_REACH: usize = 90;

/// Squared half cells that are out of reach.
const OUT: i16 = i16::MAX;

/// Cells worked on at a time.
const LANES: usize = 64;

/// How far each cell of a grid is from the nearest hazardous one of its column, for one kind of hazard.
#[derive(Debug)]
pub(super) struct Distances {
    columns: usize,
    /// Cells along the column, row-major; [`NONE`] without hazard.
    steps: Vec<u16>,
    used: usize,
}

impl Distances {
    /// For grids of at most `cells` cells.
    pub(super) fn new(cells: usize) -> Self {
        Self {
            columns: 1,
            steps: vec![NONE; cells],
            used: 0,
        }
    }

    /// Takes in which cells are hazardous, row-major. Cells beyond the planned number are left out.
    pub(super) fn fill(&mut self, columns: usize, is_hazard: impl Iterator<Item = bool>) {
        self.columns = columns.max(1);
        let mut cells = 0;
        for (slot, hazard) in self.steps.iter_mut().zip(is_hazard) {
            *slot = if hazard { 0 } else { NONE };
            cells += 1;
        }
        self.used = cells - cells % self.columns;
        let grid = self.steps.get_mut(..self.used).unwrap_or_default();
        // Downwards, then upwards, count cells since the last hazard, row by row.
        let mut before: &mut [u16] = &mut [];
        for row in grid.chunks_exact_mut(self.columns) {
            step(before, row);
            before = row;
        }
        let mut before: &mut [u16] = &mut [];
        for row in grid.chunks_exact_mut(self.columns).rev() {
            step(before, row);
            before = row;
        }
    }

    fn row(&self, row: usize) -> &[u16] {
        let grid = self.steps.get(..self.used).unwrap_or_default();
        let start = row.saturating_mul(self.columns);
        let rest = grid.get(start..).unwrap_or_default();
        rest.get(..self.columns).unwrap_or_default()
    }

    /// Squared distance of a cell, in cells; [`FAR`] without hazard, or when none is nearer than `within` cells.
    pub(super) fn cells2(&self, row: usize, column: usize, within: f32) -> f32 {
        let steps = self.row(row);
        let mut least = within * within;
        let mut found = FAR;
        for away in 0..self.columns {
            let along = squared_edge(away as f32);
            if along >= least {
                break;
            }
            let sides = [column.wrapping_sub(away), column + away].map(|x| steps.get(x));
            for s in sides.into_iter().flatten().filter(|s| **s != NONE) {
                let d = along + squared_edge(f32::from(*s));
                if d < least {
                    (least, found) = (d, d);
                }
            }
        }
        found
    }
}

/// A cell's way along its column is one more than its neighbour's, if that is shorter.
fn step(before: &[u16], row: &mut [u16]) {
    for (h, b) in row.iter_mut().zip(before) {
        *h = (*h).min(b.saturating_add(1));
    }
}

/// Squared distance, along one axis, from a cell's centre to the edge of one that many cells away.
fn squared_edge(cells: f32) -> f32 {
    let d = (cells - 0.5).max(0.0);
    d * d
}

/// Finds distances along parts of rows. Owns the memory for one row.
#[derive(Debug)]
pub(super) struct Band {
    /// Squared half cells along the column, with a margin of the reach on both sides.
    heights: Vec<i16>,
    /// The same as squared cells, for far reaches.
    tall: Vec<f32>,
    /// The result.
    squared: Vec<f32>,
    /// Lower envelope: where each parabola stands, its height, and from where on it is the lowest.
    envelope: Vec<Parabola>,
}

#[derive(Debug, Clone, Copy)]
struct Parabola {
    apex: f32,
    height: f32,
    from: f32,
}

impl Band {
    /// For rows of at most `columns` columns.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            heights: Vec::with_capacity(columns + 2 * SHORT_REACH + LANES),
            tall: vec![FAR; columns],
            squared: vec![FAR; columns + LANES],
            envelope: Vec::with_capacity(2 * columns),
        }
    }

    /// Squared distance, in cells, of each cell of a part of a row; [`FAR`] (or more than the reach) where no hazard is
    /// nearer than `reach` cells. `None` when that is so all along the part.
    pub(super) fn row(
        &mut self,
        distances: &Distances,
        row: usize,
        part: Range<usize>,
        reach: usize,
    ) -> Option<&[f32]> {
        let steps = distances.row(row);
        let part = part.start..part.end.min(steps.len());
        let near = steps.get(
            part.start.saturating_sub(reach)..part.end.saturating_add(reach).min(steps.len()),
        )?;
        if !near.iter().any(|s| usize::from(*s) <= reach) {
            return None;
        }
        if reach > SHORT_REACH {
            return self.far_row(steps, part);
        }
        self.rise(steps, &part, reach);
        let (chunks, _) = self.squared.as_chunks_mut::<LANES>();
        for (i, out) in chunks
            .iter_mut()
            .take(part.len().div_ceil(LANES))
            .enumerate()
        {
            let window = self.heights.get(i * LANES..(i + 1) * LANES + 2 * reach)?;
            *out = if window.iter().any(|h| *h < OUT) {
                least(window, reach).map(|h| if h < OUT { 0.25 * f32::from(h) } else { FAR })
            } else {
                [FAR; LANES]
            };
        }
        self.squared.get(..part.len())
    }

    /// The heights of a part of a row and around it.
    fn rise(&mut self, steps: &[u16], part: &Range<usize>, reach: usize) {
        let from = part.start.saturating_sub(reach);
        let to = (part.end + reach).min(steps.len());
        let height = |s: &u16| {
            let half = (2 * i32::from((*s).min(SHORT_REACH as u16 + 1)) - 1).max(0);
            if usize::from(*s) <= reach {
                (half * half) as i16
            } else {
                OUT
            }
        };
        self.heights.clear();
        self.heights.resize(from + reach - part.start, OUT);
        self.heights
            .extend(steps.get(from..to).unwrap_or_default().iter().map(height));
        let whole = part.len().div_ceil(LANES) * LANES + 2 * reach;
        self.heights.resize(whole, OUT);
    }

    fn far_row(&mut self, steps: &[u16], part: Range<usize>) -> Option<&[f32]> {
        let tall = self.tall.get_mut(..steps.len())?;
        for (t, &s) in tall.iter_mut().zip(steps) {
            *t = if s == NONE {
                FAR
            } else {
                squared_edge(f32::from(s))
            };
        }
        let out = self.squared.get_mut(..steps.len())?;
        along_row(tall, out, &mut self.envelope);
        out.get(part)
    }
}

/// Least sum of a height within reach and the squared way to it, in half cells, for the middle of a window.
fn least(window: &[i16], reach: usize) -> [i16; LANES] {
    let mut least = [OUT; LANES];
    for away in 0..=reach {
        let way = (2 * away as i16 - 1).max(0);
        let way = way.saturating_mul(way);
        // From here on every way is longer than what was found.
        if away % 4 == 3 && least.iter().all(|l| *l <= way) {
            break;
        }
        let side = |at: usize| window.get(at..).and_then(|w| w.first_chunk::<LANES>());
        let (Some(left), Some(right)) = (side(reach - away), side(reach + away)) else {
            continue;
        };
        for ((o, l), r) in least.iter_mut().zip(left).zip(right) {
            *o = (*o).min((*l.min(r)).saturating_add(way));
        }
    }
    least
}

/// Lower envelope over a row: `out[x] = min over x' of (distance from x to cell x')² + heights[x']`.
fn along_row(heights: &[f32], out: &mut [f32], envelope: &mut Vec<Parabola>) {
    envelope.clear();
    for (x, &height) in heights.iter().enumerate() {
        if height.is_finite() {
            add(envelope, x as f32 - 0.5, height);
            add(envelope, x as f32 + 0.5, height);
        }
    }
    let mut rest = envelope.as_slice();
    for (x, (o, &height)) in out.iter_mut().zip(heights).enumerate() {
        let x = x as f32;
        while rest.get(1).is_some_and(|next| next.from <= x) {
            rest = rest.get(1..).unwrap_or_default();
        }
        // Inside the cell itself there is no way to go along the row.
        *o = rest.first().map_or(FAR, |p| {
            let d = x - p.apex;
            (d * d + p.height).min(height)
        });
    }
}

/// Adds a parabola to the right of all others.
fn add(envelope: &mut Vec<Parabola>, apex: f32, height: f32) {
    let mut from = f32::NEG_INFINITY;
    while let Some(last) = envelope.last() {
        if apex - last.apex < 0.25 {
            // Two neighbours share an edge: the lower one counts.
            if last.height <= height {
                return;
            }
            envelope.pop();
            continue;
        }
        from = 0.5 * (apex + last.apex) + 0.5 * (height - last.height) / (apex - last.apex);
        if from > last.from {
            break;
        }
        envelope.pop();
        from = f32::NEG_INFINITY;
    }
    envelope.push(Parabola { apex, height, from });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(columns: usize, cell_m: f32, hazard: &[bool]) -> Vec<f32> {
        let at = |i: usize| ((i / columns) as f32, (i % columns) as f32);
        (0..hazard.len())
            .map(|i| {
                let (r, c) = at(i);
                hazard
                    .iter()
                    .enumerate()
                    .filter(|&(_, &h)| h)
                    .map(|(j, _)| {
                        let (y, x) = at(j);
                        let dy = ((r - y).abs() - 0.5).max(0.0);
                        let dx = ((c - x).abs() - 0.5).max(0.0);
                        dx.hypot(dy) * cell_m
                    })
                    .fold(FAR, f32::min)
            })
            .collect()
    }

    /// All distances, found in each of the three ways; beyond the reach, none of the first two matters.
    fn found(columns: usize, cell_m: f32, hazard: &[bool], reach: usize) -> [Vec<f32>; 3] {
        let mut distances = Distances::new(hazard.len());
        distances.fill(columns, hazard.iter().copied());
        let mut band = Band::new(columns);
        let rows = 0..hazard.len() / columns;
        let mut by_row = |reach: usize| {
            let row = |r| {
                let row = band.row(&distances, r, 0..columns, reach);
                row.map_or_else(|| vec![FAR; columns], <[f32]>::to_vec)
            };
            let squared: Vec<f32> = rows.clone().flat_map(row).collect();
            squared.iter().map(|d| d.sqrt() * cell_m).collect()
        };
        let (near, far) = (by_row(reach), by_row(SHORT_REACH + 1));
        let one = (0..hazard.len())
            .map(|i| distances.cells2(i / columns, i % columns, FAR).sqrt() * cell_m)
            .collect();
        [near, far, one]
    }

    #[test]
    fn the_distance_is_to_the_hazard_cells_edge() {
        let hazard: Vec<bool> = (0..25).map(|i| i == 12).collect();
        for d in found(5, 0.2, &hazard, 8) {
            let near = |i: usize, m: f32| assert!((d[i] - m).abs() < 1e-6, "{i}: {}", d[i]);
            near(12, 0.0);
            near(13, 0.1); // the next cell's centre is half a cell from the edge
            near(14, 0.3);
            near(18, 0.1 * std::f32::consts::SQRT_2);
        }
    }

    #[test]
    fn without_hazard_everything_is_far() {
        for d in found(3, 0.2, &[false; 6], 5) {
            assert!(d.iter().all(|d| *d == FAR));
        }
    }

    #[test]
    fn memory_of_an_earlier_filling_does_not_leak() {
        let mut distances = Distances::new(9);
        distances.fill(3, [true; 9].into_iter());
        distances.fill(3, (0..9).map(|i| i == 0));
        assert!((distances.cells2(2, 0, FAR) - 2.25).abs() < 1e-6);
        distances.fill(2, [false; 4].into_iter());
        assert!(distances.cells2(0, 0, FAR).is_infinite());
        assert!(
            distances.cells2(2, 0, FAR).is_infinite(),
            "outside the grid"
        );
    }

    #[test]
    fn a_part_of_a_row_is_that_part_of_the_whole_row() {
        let hazard: Vec<bool> = (0..600).map(|i| i % 37 == 5).collect();
        let mut distances = Distances::new(600);
        distances.fill(200, hazard.into_iter());
        let mut band = Band::new(200);
        let whole = band.row(&distances, 1, 0..200, 9).unwrap().to_vec();
        for part in [0..1, 3..120, 50..200, 199..200, 150..400] {
            let end = part.end.min(200);
            let found = band.row(&distances, 1, part.clone(), 9).unwrap();
            assert_eq!(found, &whole[part.start..end], "{part:?}");
        }
    }

    #[test]
    fn the_way_is_not_searched_further_than_asked() {
        let mut distances = Distances::new(20);
        distances.fill(20, (0..20).map(|i| i == 0));
        assert!(distances.cells2(0, 7, 6.0).is_infinite());
        assert!((distances.cells2(0, 6, 6.0) - 5.5 * 5.5).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn equals_brute_force(
            columns in 1_usize..100, rows in 1_usize..12, reach in 1_usize..40,
            seed in any::<u64>(), one_in in 2_u64..300
        ) {
            let mut s = seed | 1;
            let hazard: Vec<bool> = (0..rows * columns).map(|_| {
                s ^= s << 13; s ^= s >> 7; s ^= s << 17;
                s.is_multiple_of(one_in)
            }).collect();
            let expected = brute(columns, 0.3, &hazard);
            let [near, far, one] = found(columns, 0.3, &hazard, reach);
            for (i, want) in expected.into_iter().enumerate() {
                let is_same = |d: f32| (d - want).abs() < 1e-5 || (d.is_infinite() && want.is_infinite());
                prop_assert!(is_same(far[i]) && is_same(one[i]), "{i}: {want} {} {}", far[i], one[i]);
                // Cells whose centres are within reach of each other.
                let is_near = want <= 0.3 * (reach as f32 - 0.5);
                prop_assert!(is_same(near[i]) || (!is_near && near[i] > 0.3 * (reach as f32 - 0.5)), "{i}: {want} {}", near[i]);
            }
        }
    }
}
