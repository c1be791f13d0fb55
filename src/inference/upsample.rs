//! Bilinear enlargement of one plane of a map to a picture's size.

/// One plane of a map, possibly interleaved with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane<'a> {
    /// Row-major; value `i` stands at `i * stride`.
    pub(super) values: &'a [f32],
    /// 1 when planar.
    pub(super) stride: usize,
}

impl Plane<'_> {
    fn at(&self, i: usize) -> f32 {
        self.values.get(i * self.stride).copied().unwrap_or(0.0)
    }
}

/// Where each of the target's samples lies between the source's, pixel centres aligned by area.
#[derive(Debug)]
pub(super) struct Upsampling {
    width: usize,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
}

#[derive(Debug)]
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let last = from.saturating_sub(1);
    let scale = from as f64 / to.max(1) as f64;
    let tap = |i: usize| {
        let x = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, last as f64);
        let low = x.floor() as usize;
        Tap {
            low,
            high: (low + 1).min(last),
            weight: (x - low as f64) as f32,
        }
    };
    (0..to).map(tap).collect()
}

impl Upsampling {
    /// From and to (width, height).
    pub(super) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self {
            width: from.0,
            columns: taps(from.0, to.0),
            rows: taps(from.1, to.1),
        }
    }

    /// Calls `visit(pixel index, value)` for every pixel of the target, row by row.
    pub(super) fn run(&self, plane: Plane<'_>, mut visit: impl FnMut(usize, f32)) {
        let mut mixed = vec![0.0_f32; self.width];
        let mut px = 0;
        for row in &self.rows {
            for (u, m) in mixed.iter_mut().enumerate() {
                let (a, b) = (
                    plane.at(row.low * self.width + u),
                    plane.at(row.high * self.width + u),
                );
                *m = a + (b - a) * row.weight;
            }
            for t in &self.columns {
                let (a, b) = (
                    mixed.get(t.low).copied().unwrap_or(0.0),
                    mixed.get(t.high).copied().unwrap_or(0.0),
                );
                visit(px, a + (b - a) * t.weight);
                px += 1;
            }
        }
    }
}
