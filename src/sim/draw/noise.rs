//! Value noise and cell noise on a hashed lattice: additions, multiplications and square roots only, so that every
//! machine computes the same bits.

/// A field of smooth pseudo-random values over the plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise(u32);

/// What cell noise (Worley 1996) knows at a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Distance to the nearest seed point, in cells.
    pub(super) nearest: f32,
    /// Distance to the second nearest, in cells.
    pub(super) second: f32,
    /// A number in `-1.0..1.0` that belongs to the nearest cell.
    pub(super) id: f32,
}

fn floor(x: f32) -> i32 {
    let i = x as i32;
    i - i32::from(x < i as f32)
}

impl Noise {
    pub(super) const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// An independent field made from this one.
    pub(super) const fn other(self, n: u32) -> Self {
        Self(self.0 ^ n.wrapping_mul(0x9e37_79b9).wrapping_add(0x85eb_ca6b))
    }

    fn hash(self, x: i32, y: i32) -> u32 {
        let mut h =
            self.0 ^ (x as u32).wrapping_mul(0x27d4_eb2f) ^ (y as u32).wrapping_mul(0x1656_67b1);
        h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
        h = (h ^ (h >> 13)).wrapping_mul(0x297a_2d39);
        h ^ (h >> 15)
    }

    /// The raw value of a lattice point, in `-1.0..1.0`.
    pub(super) fn dot(self, x: i32, y: i32) -> f32 {
        (self.hash(x, y) >> 8) as f32 / 8_388_608.0 - 1.0
    }

    /// Smooth value in `-1.0..1.0`; features are about one unit wide.
    pub(super) fn at(self, x: f32, y: f32) -> f32 {
        let (ix, iy) = (floor(x), floor(y));
        let (fx, fy) = (x - ix as f32, y - iy as f32);
        let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
        let (a, b) = (self.dot(ix, iy), self.dot(ix + 1, iy));
        let (c, d) = (self.dot(ix, iy + 1), self.dot(ix + 1, iy + 1));
        let top = a + (b - a) * sx;
        let bottom = c + (d - c) * sx;
        top + (bottom - top) * sy
    }

    /// Several octaves, each half as large and half as strong; about `-1.0..1.0`.
    pub(super) fn octaves(self, x: f32, y: f32, count: u32) -> f32 {
        let (mut sum, mut weight, mut total, mut k) = (0.0, 1.0, 0.0, 1.0);
        for n in 0..count {
            // Each octave is turned against the last, so that the lattice does not show.
            let (u, v) = (k * (0.8 * x + 0.6 * y), k * (0.8 * y - 0.6 * x));
            let (u, v) = if n % 2 == 0 { (k * x, k * y) } else { (u, v) };
            sum += weight * self.other(n).at(u, v);
            total += weight;
            weight *= 0.55;
            k *= 2.03;
        }
        sum / total
    }

    /// Cell noise: pebbles, stones, leaves.
    pub(super) fn cell(self, x: f32, y: f32) -> Cell {
        let (ix, iy) = (floor(x), floor(y));
        let mut best = Cell {
            nearest: 9.0,
            second: 9.0,
            id: 0.0,
        };
        for jy in iy - 1..=iy + 1 {
            for jx in ix - 1..=ix + 1 {
                let h = self.hash(jx, jy);
                let px = jx as f32 + (h & 0xff) as f32 / 256.0 - x;
                let py = jy as f32 + ((h >> 8) & 0xff) as f32 / 256.0 - y;
                let d = px * px + py * py;
                if d < best.nearest {
                    best.second = best.nearest;
                    best.nearest = d;
                    best.id = (h >> 16) as f32 / 32_768.0 - 1.0;
                } else if d < best.second {
                    best.second = d;
                }
            }
        }
        best.nearest = best.nearest.sqrt();
        best.second = best.second.sqrt();
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_bounded_continuous_and_not_constant() {
        let n = Noise::new(7);
        let (mut low, mut high) = (1.0_f32, -1.0_f32);
        for i in -500..500 {
            let x = i as f32 * 0.01;
            let v = n.at(x, 3.3 - x);
            low = low.min(v);
            high = high.max(v);
            assert!(v.abs() <= 1.0);
            assert!((v - n.at(x + 1e-3, 3.3 - x)).abs() < 0.01);
        }
        assert!(high - low > 0.8, "{low} {high}");
    }

    #[test]
    fn the_second_cell_is_never_nearer_than_the_first() {
        let n = Noise::new(3);
        for i in 0..400 {
            let c = n.cell(i as f32 * 0.37 - 40.0, i as f32 * 0.11);
            assert!(c.nearest <= c.second && c.nearest < 1.5);
        }
    }
}
