//! Mean belief over discs, by sums along rows.

use std::ops::Range;

use super::Survey;

impl Survey {
    /// Mean belief over the disc around each cell of a part of a row; 0 where the disc leaves the window's rows.
    pub(super) fn mean_beliefs(&mut self, row: usize, part: &Range<usize>) {
        let columns = self.rect.columns;
        let Some(sums) = self.work.belief.get_mut(..part.len()) else {
            return;
        };
        sums.fill(0.0);
        let reach = self.halves.len().saturating_sub(1);
        if row < reach || row + reach >= self.rect.rows {
            return;
        }
        // Cells whose disc leaves the window's columns count only what is inside.
        let whole = part.start.max(reach)..part.end.min(columns.saturating_sub(reach));
        let mut cells = 0;
        for (off, &half) in self.halves.iter().enumerate() {
            let rows = [row - off, row + off];
            for r in rows.into_iter().take(if off == 0 { 1 } else { 2 }) {
                cells += 2 * half + 1;
                let prefix = self.prefix.get(r * (columns + 1)..(r + 1) * (columns + 1));
                let from = |c: usize| prefix.and_then(|p| p.get(c..)).unwrap_or_default();
                if whole.is_empty() {
                    continue;
                }
                let ends = from(whole.start + half + 1)
                    .iter()
                    .zip(from(whole.start - half));
                let slots = sums
                    .iter_mut()
                    .skip(whole.start - part.start)
                    .take(whole.len());
                for (sum, (b, a)) in slots.zip(ends) {
                    *sum += b - a;
                }
            }
        }
        for sum in sums.iter_mut() {
            *sum /= cells as f32;
        }
        for c in part.clone().filter(|c| !whole.contains(c)) {
            let mean = cut_mean(&self.prefix, &self.halves, columns, (row, c));
            if let Some(slot) = sums.get_mut(c - part.start) {
                *slot = mean;
            }
        }
    }
}

/// Mean belief over the disc around a cell, as far as it lies inside the window's columns.
fn cut_mean(
    prefix: &[f32],
    halves: &[usize],
    columns: usize,
    (row, column): (usize, usize),
) -> f32 {
    let (mut sum, mut count) = (0.0, 0);
    for (off, &half) in halves.iter().enumerate() {
        let (from, to) = (
            column.saturating_sub(half),
            (column + half + 1).min(columns),
        );
        let rows = [row.wrapping_sub(off), row + off];
        for r in rows.into_iter().take(if off == 0 { 1 } else { 2 }) {
            let at = |c: usize| prefix.get(r * (columns + 1) + c).copied().unwrap_or(0.0);
            sum += at(to) - at(from);
            count += to - from;
        }
    }
    sum / count.max(1) as f32
}
