//! Rectangles of world-fixed cells.
//!
//! A cell is named by two whole numbers: cell `(n, e)` spans `n * cell_m..(n + 1) * cell_m` to the north and the same to
//! the east, whatever the map's window is. Row 0 of a rectangle is its southernmost.

use crate::geometry::GroundPoint;

/// A world-fixed cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CellId {
    /// Cells north of the origin.
    pub(super) north: i32,
    /// Cells east of the origin.
    pub(super) east: i32,
}

impl CellId {
    /// The cell that holds a point; far points saturate.
    pub(super) fn of(g: GroundPoint, cell_m: f64) -> Self {
        // The cast saturates; a quarter of the range leaves room for sums.
        let limit = |x: f64| (x.floor() as i32).clamp(i32::MIN / 4, i32::MAX / 4);
        Self {
            north: limit(g.north_m / cell_m),
            east: limit(g.east_m / cell_m),
        }
    }

    /// Its centre.
    pub(super) fn centre(self, cell_m: f64) -> GroundPoint {
        GroundPoint {
            north_m: (f64::from(self.north) + 0.5) * cell_m,
            east_m: (f64::from(self.east) + 0.5) * cell_m,
        }
    }
}

/// A rectangle of cells, possibly empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CellRect {
    /// Southernmost row.
    pub(super) north: i32,
    /// Westernmost column.
    pub(super) east: i32,
    /// Number of rows.
    pub(super) rows: usize,
    /// Number of columns.
    pub(super) columns: usize,
}

impl CellRect {
    /// From the first to the last cell, both included; empty when they are out of order.
    pub(super) fn spanning(first: CellId, last: CellId) -> Self {
        let length = |a: i32, b: i32| (i64::from(b) - i64::from(a) + 1).max(0) as usize;
        let (rows, columns) = (
            length(first.north, last.north),
            length(first.east, last.east),
        );
        if rows == 0 || columns == 0 {
            return Self::default();
        }
        Self {
            north: first.north,
            east: first.east,
            rows,
            columns,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0 || self.columns == 0
    }

    pub(super) fn len(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn first(&self) -> CellId {
        CellId {
            north: self.north,
            east: self.east,
        }
    }

    pub(super) fn last(&self) -> CellId {
        CellId {
            north: self.north + self.rows as i32 - 1,
            east: self.east + self.columns as i32 - 1,
        }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return Self::default();
        }
        let (a, b, c, d) = (self.first(), other.first(), self.last(), other.last());
        Self::spanning(
            CellId {
                north: a.north.max(b.north),
                east: a.east.max(b.east),
            },
            CellId {
                north: c.north.min(d.north),
                east: c.east.min(d.east),
            },
        )
    }

    /// The smallest rectangle that holds both.
    pub(super) fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let (a, b, c, d) = (self.first(), other.first(), self.last(), other.last());
        Self::spanning(
            CellId {
                north: a.north.min(b.north),
                east: a.east.min(b.east),
            },
            CellId {
                north: c.north.max(d.north),
                east: c.east.max(d.east),
            },
        )
    }

    /// With `cells` more on every side; an empty one stays empty.
    pub(super) fn grown(&self, cells: usize) -> Self {
        if self.is_empty() {
            return *self;
        }
        Self {
            north: self.north - cells as i32,
            east: self.east - cells as i32,
            rows: self.rows + 2 * cells,
            columns: self.columns + 2 * cells,
        }
    }

    /// Row-major position of a cell inside the rectangle.
    pub(super) fn index(&self, id: CellId) -> Option<usize> {
        let row = id.north.checked_sub(self.north)?;
        let column = id.east.checked_sub(self.east)?;
        let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
        (row < self.rows && column < self.columns).then_some(row * self.columns + column)
    }

    pub(super) fn contains(&self, id: CellId) -> bool {
        self.index(id).is_some()
    }

    /// The cell at a row and a column.
    pub(super) fn cell(&self, row: usize, column: usize) -> CellId {
        CellId {
            north: self.north + row as i32,
            east: self.east + column as i32,
        }
    }

    /// All cells, row by row.
    pub(super) fn cells(self) -> impl Iterator<Item = CellId> {
        (0..self.rows).flat_map(move |r| (0..self.columns).map(move |c| self.cell(r, c)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(north: i32, east: i32, rows: usize, columns: usize) -> CellRect {
        CellRect {
            north,
            east,
            rows,
            columns,
        }
    }

    #[test]
    fn a_point_lies_in_the_cell_whose_centre_is_nearest() {
        for (north_m, east_m, n, e) in [
            (0.05, 0.05, 0, 0),
            (-0.05, 0.25, -1, 1),
            (-1.99, -2.01, -10, -11),
        ] {
            let id = CellId::of(GroundPoint { north_m, east_m }, 0.2);
            assert_eq!((id.north, id.east), (n, e));
            let c = id.centre(0.2);
            assert!((c.north_m - north_m).abs() <= 0.1 && (c.east_m - east_m).abs() <= 0.1);
        }
    }

    #[test]
    fn far_and_odd_points_saturate() {
        let id = CellId::of(
            GroundPoint {
                north_m: f64::INFINITY,
                east_m: f64::NAN,
            },
            0.2,
        );
        assert_eq!((id.north, id.east), (i32::MAX / 4, 0));
    }

    #[test]
    fn rectangles_meet_and_join() {
        let (a, b) = (rect(0, 0, 4, 4), rect(2, -1, 4, 3));
        assert_eq!(a.intersection(&b), rect(2, 0, 2, 2));
        assert_eq!(a.union(&b), rect(0, -1, 6, 5));
        assert!(a.intersection(&rect(9, 9, 1, 1)).is_empty());
        assert_eq!(a.union(&CellRect::default()), a);
        assert_eq!(rect(0, 0, 1, 1).grown(2), rect(-2, -2, 5, 5));
    }

    #[test]
    fn index_and_cell_are_inverse() {
        let r = rect(-3, 5, 4, 6);
        for (i, id) in r.cells().enumerate() {
            assert_eq!(r.index(id), Some(i));
        }
        assert!(!r.contains(CellId { north: 1, east: 5 }));
        assert!(!r.contains(CellId { north: -3, east: 4 }));
    }
}
