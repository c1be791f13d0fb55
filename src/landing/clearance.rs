//! Exact Euclidean distance, in metres, from every cell's centre to the nearest edge of a hazardous cell.
//!
//! Two passes of lower envelopes of parabolas, after P. Felzenszwalb and D. Huttenlocher, "Distance Transforms of
//! Sampled Functions", Theory of Computing 8 (2012). They measure to a cell's centre; here each hazardous cell stands
//! for its whole square: its distance is that to the nearer of its two ends along each axis, which are parabolas too.

/// No hazard anywhere.
pub(super) const FAR: f32 = f32::INFINITY;

/// Owns the memory of a distance transform over at most the planned number of cells.
#[derive(Debug)]
pub(super) struct DistanceTransform {
    /// Squared distance along the column, cells².
    column: Vec<f32>,
    /// The result, metres.
    distance: Vec<f32>,
    /// Lower envelope: where each parabola stands, its height, and from where on it is the lowest.
    envelope: Vec<Parabola>,
}

#[derive(Debug, Clone, Copy)]
struct Parabola {
    apex: f32,
    height: f32,
    from: f32,
}

impl DistanceTransform {
    /// For grids of at most `cells` cells and `columns` columns.
    pub(super) fn new(cells: usize, columns: usize) -> Self {
        Self {
            column: vec![FAR; cells],
            distance: vec![FAR; cells],
            envelope: Vec::with_capacity(2 * columns),
        }
    }

    /// Distance in metres from each cell's centre to the nearest hazardous cell's edge, 0 inside one, [`FAR`] when there
    /// is none. `is_hazard` is asked once a cell, row-major.
    pub(super) fn run(
        &mut self,
        columns: usize,
        cell_m: f32,
        is_hazard: impl Iterator<Item = bool>,
    ) -> &[f32] {
        let columns = columns.max(1);
        let mut cells = 0;
        for (slot, hazard) in self.column.iter_mut().zip(is_hazard) {
            *slot = if hazard { 0.0 } else { FAR };
            cells += 1;
        }
        let cells = cells - cells % columns;
        let (column, distance) = (
            self.column.get_mut(..cells).unwrap_or_default(),
            self.distance.get_mut(..cells).unwrap_or_default(),
        );
        along_columns(column, columns);
        for (heights, out) in column
            .chunks_exact(columns)
            .zip(distance.chunks_exact_mut(columns))
        {
            along_row(heights, out, &mut self.envelope);
            for d in out {
                *d = d.sqrt() * cell_m;
            }
        }
        distance
    }
}

/// Replaces 0 / [`FAR`] by the squared distance to the nearest hazard's edge in the same column.
fn along_columns(grid: &mut [f32], columns: usize) {
    // Downwards, then upwards, count cells since the last hazard, row by row.
    let step = |before: &[f32], here: &mut [f32]| {
        for (h, b) in here.iter_mut().zip(before) {
            *h = h.min(b + 1.0);
        }
    };
    let rows = grid.len() / columns;
    for r in 1..rows {
        let (above, below) = grid.split_at_mut(r * columns);
        step(
            above.get((r - 1) * columns..).unwrap_or_default(),
            below.get_mut(..columns).unwrap_or_default(),
        );
    }
    for r in (1..rows).rev() {
        let (above, below) = grid.split_at_mut(r * columns);
        step(
            below.get(..columns).unwrap_or_default(),
            above.get_mut((r - 1) * columns..).unwrap_or_default(),
        );
    }
    for g in grid {
        let d = (*g - 0.5).max(0.0);
        *g = d * d;
    }
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

    #[test]
    fn the_distance_is_to_the_hazard_cells_edge() {
        let mut t = DistanceTransform::new(25, 5);
        let hazard = (0..25).map(|i| i == 12);
        let d = t.run(5, 0.2, hazard);
        let near = |i: usize, m: f32| assert!((d[i] - m).abs() < 1e-6, "{i}: {}", d[i]);
        near(12, 0.0);
        near(13, 0.1); // the next cell's centre is half a cell from the edge
        near(14, 0.3);
        near(18, 0.1 * std::f32::consts::SQRT_2);
    }

    #[test]
    fn without_hazard_everything_is_far() {
        let mut t = DistanceTransform::new(6, 3);
        assert!(
            t.run(3, 0.2, [false; 6].into_iter())
                .iter()
                .all(|d| *d == FAR)
        );
    }

    #[test]
    fn memory_of_an_earlier_run_does_not_leak() {
        let mut t = DistanceTransform::new(9, 3);
        t.run(3, 1.0, [true; 9].into_iter());
        let d = t.run(3, 1.0, (0..9).map(|i| i == 0)).to_vec();
        assert_eq!(
            d,
            brute(
                3,
                1.0,
                &[true, false, false, false, false, false, false, false, false]
            )
        );
    }

    proptest! {
        #[test]
        fn equals_brute_force(columns in 1_usize..24, rows in 1_usize..24, seed in any::<u64>(), one_in in 2_u64..60) {
            let mut s = seed | 1;
            let hazard: Vec<bool> = (0..rows * columns).map(|_| {
                s ^= s << 13; s ^= s >> 7; s ^= s << 17;
                s.is_multiple_of(one_in)
            }).collect();
            let mut t = DistanceTransform::new(24 * 24, 24);
            let d = t.run(columns, 0.3, hazard.iter().copied()).to_vec();
            for (i, (a, b)) in d.iter().zip(brute(columns, 0.3, &hazard)).enumerate() {
                prop_assert!((a - b).abs() < 1e-5 || (a.is_infinite() && b.is_infinite()), "{i}: {a} {b}");
            }
        }
    }
}
