//! Which feature of one picture is which of the other.

use super::features::{Description, Feature};
use super::similarity::PointPair;

/// Differing bits beyond which two descriptions are not of the same thing.
const MAX_DISTANCE: u32 = 72;
/// The best candidate must differ by less than this share of what the best *other place* differs by (Lowe 2004):
/// paving and grass look alike everywhere, and are left out.
const RATIO: f64 = 0.85;
/// Candidates nearer than this to the best are the same place seen at another scale, source pixels as a share of the
/// picture's longer side.
const SAME_PLACE: f64 = 0.015;

/// Pairs features; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    distances: Vec<u32>,
    best_before: Vec<(u32, usize)>,
    forward: Vec<(usize, usize)>,
}

impl Matcher {
    /// Fills `pairs` with features that chose each other and nothing else. `longer_side_px` is that of the pictures.
    pub(super) fn pair(
        &mut self,
        before: &[Feature],
        after: &[Feature],
        longer_side_px: f64,
        pairs: &mut Vec<PointPair>,
    ) {
        let same_place_px = SAME_PLACE * longer_side_px;
        self.best_before.clear();
        self.best_before.resize(after.len(), (u32::MAX, 0));
        self.forward.clear();
        for (i, f) in before.iter().enumerate() {
            self.distances.clear();
            self.distances.extend(
                after
                    .iter()
                    .map(|g| distance(&f.description, &g.description)),
            );
            for (best, &d) in self.best_before.iter_mut().zip(&self.distances) {
                if d < best.0 {
                    *best = (d, i);
                }
            }
            if let Some(j) = clear_winner(&self.distances, after, same_place_px) {
                self.forward.push((i, j));
            }
        }
        pairs.clear();
        for &(i, j) in &self.forward {
            let mutual = self.best_before.get(j).is_some_and(|best| best.1 == i);
            if let (true, Some(a), Some(b)) = (mutual, before.get(i), after.get(j)) {
                pairs.push(PointPair {
                    before: a.at,
                    after: b.at,
                });
            }
        }
    }
}

fn clear_winner(distances: &[u32], after: &[Feature], same_place_px: f64) -> Option<usize> {
    let (j, &best) = distances.iter().enumerate().min_by_key(|(_, d)| **d)?;
    if best > MAX_DISTANCE {
        return None;
    }
    let at = after.get(j)?.at;
    let too_close = f64::from(best) / RATIO;
    let rivalled = distances.iter().zip(after).any(|(&d, g)| {
        f64::from(d) <= too_close && (g.at.x - at.x).hypot(g.at.y - at.y) > same_place_px
    });
    (!rivalled).then_some(j)
}

/// Bits that differ.
fn distance(a: &Description, b: &Description) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}
