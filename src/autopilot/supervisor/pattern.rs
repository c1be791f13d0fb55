//! An expanding square: the classic search around a point.

/// Corners of the longest search.
pub(super) const CORNERS: u8 = 24;

/// The `k`-th corner, in steps north and east of where the search began: legs of 1, 1, 2, 2, 3, 3 .. steps, turning right.
pub(super) fn corner(k: u8) -> (f64, f64) {
    let (mut north, mut east) = (0_i32, 0_i32);
    for leg in 0..i32::from(k) {
        let length = leg / 2 + 1;
        match leg % 4 {
            0 => north += length,
            1 => east += length,
            2 => north -= length,
            _ => east -= length,
        }
    }
    (f64::from(north), f64::from(east))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_expands_around_its_start() {
        let corners: Vec<_> = (0..7).map(corner).collect();
        assert_eq!(
            corners,
            [
                (0.0, 0.0),
                (1.0, 0.0),
                (1.0, 1.0),
                (-1.0, 1.0),
                (-1.0, -1.0),
                (2.0, -1.0),
                (2.0, 2.0)
            ]
        );
    }
}
