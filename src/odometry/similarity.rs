//! A similarity of the picture plane, its least-squares fit, and its search among wrong matches (RANSAC).

use crate::geometry::Pixel;

/// The same thing seen twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointPair {
    /// Where it is in the previous picture, source pixels.
    pub before: Pixel,
    /// Where it is in this picture, source pixels.
    pub after: Pixel,
}

/// Turns, scales and shifts the picture plane: maps points of the previous picture into this one.
///
/// `after = scale * R(rotation) * before + shift`, in source pixels; a positive rotation turns x towards y, which is
/// clockwise as seen on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// How much larger things became; 1 for the same height.
    pub scale: f64,
    /// Rotation of the picture's content, radians in `(-pi, pi]`, clockwise as seen.
    pub rotation_rad: f64,
    /// Where the previous picture's corner `(0, 0)` goes, x, source pixels.
    pub shift_x_px: f64,
    /// Where the previous picture's corner `(0, 0)` goes, y, source pixels.
    pub shift_y_px: f64,
}

impl Similarity {
    /// Nothing moved.
    pub const IDENTITY: Self = Self {
        scale: 1.0,
        rotation_rad: 0.0,
        shift_x_px: 0.0,
        shift_y_px: 0.0,
    };

    /// Where a point of the previous picture lies in this one.
    #[must_use]
    pub fn apply(&self, p: Pixel) -> Pixel {
        let (sin, cos) = self.rotation_rad.sin_cos();
        let (a, b) = (self.scale * cos, self.scale * sin);
        Pixel {
            x: a * p.x - b * p.y + self.shift_x_px,
            y: b * p.x + a * p.y + self.shift_y_px,
        }
    }

    /// The way back: maps points of this picture into the previous one; `None` for a scale that is not positive.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        if !(self.scale > 0.0 && self.scale.is_finite()) {
            return None;
        }
        let turn_back = Self {
            scale: 1.0 / self.scale,
            rotation_rad: -self.rotation_rad,
            shift_x_px: 0.0,
            shift_y_px: 0.0,
        };
        let shift = turn_back.apply(Pixel {
            x: self.shift_x_px,
            y: self.shift_y_px,
        });
        Some(Self {
            shift_x_px: -shift.x,
            shift_y_px: -shift.y,
            ..turn_back
        })
    }

    /// The least-squares similarity through pairs (Umeyama 1991, in its closed form for the plane); `None` for fewer
    /// than two distinct points.
    #[must_use]
    pub fn fit<'a>(pairs: impl Iterator<Item = &'a PointPair> + Clone) -> Option<Self> {
        let n = pairs.clone().count() as f64;
        let zero = Pixel { x: 0.0, y: 0.0 };
        let add = |sum: Pixel, p: Pixel| Pixel {
            x: sum.x + p.x / n,
            y: sum.y + p.y / n,
        };
        let before = pairs.clone().fold(zero, |sum, p| add(sum, p.before));
        let after = pairs.clone().fold(zero, |sum, p| add(sum, p.after));
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for p in pairs {
            let (ax, ay) = (p.before.x - before.x, p.before.y - before.y);
            let (bx, by) = (p.after.x - after.x, p.after.y - after.y);
            along += ax * bx + ay * by;
            across += ax * by - ay * bx;
            spread += ax * ax + ay * ay;
        }
        // Not-a-number (no pair at all) is not above zero either.
        (spread > 1e-6).then(|| {
            let (a, b) = (along / spread, across / spread);
            Self {
                scale: a.hypot(b),
                rotation_rad: b.atan2(a),
                shift_x_px: after.x - a * before.x + b * before.y,
                shift_y_px: after.y - b * before.x - a * before.y,
            }
        })
    }

    /// How far a pair is from obeying this motion, source pixels in the later picture.
    #[must_use]
    pub fn error_px(&self, pair: &PointPair) -> f64 {
        let p = self.apply(pair.before);
        (p.x - pair.after.x).hypot(p.y - pair.after.y)
    }
}

/// What a motion must obey to be considered at all, and how closely its pairs must follow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// A pair belongs to a motion within this distance, source pixels.
    pub(super) within_px: f64,
    /// Two pairs nearer than this do not determine a rotation, source pixels.
    pub(super) min_baseline_px: f64,
    /// Smallest and largest believable scale.
    pub(super) scale: (f64, f64),
    /// Samples tried at most.
    pub(super) max_samples: usize,
}

/// A motion and who follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consensus {
    pub(super) motion: Similarity,
    pub(super) followers: usize,
    /// Root mean square of the followers' errors, source pixels.
    pub(super) rms_px: f64,
}

/// The motion that most pairs follow (RANSAC, Fischler and Bolles 1981), refined on all that follow it.
///
/// The sampler starts from the same seed at every call: the same pairs give the same motion.
pub(super) fn search(pairs: &[PointPair], rule: &Search) -> Option<Consensus> {
    let mut dice = Dice(0x5eed_0001);
    let mut best: Option<(usize, Similarity)> = None;
    let mut needed = rule.max_samples;
    let mut tried = 0;
    while tried < needed {
        tried += 1;
        let Some(motion) = sample(pairs, rule, &mut dice) else {
            continue;
        };
        let followers = count(pairs, &motion, rule.within_px);
        if followers > best.map_or(1, |(n, _)| n) {
            best = Some((followers, motion));
            needed = needed.min(samples_needed(followers, pairs.len()));
        }
    }
    refine(pairs, best?.1, rule)
}

/// Samples after which a motion with this share of followers has been hit with 99.9 % probability, doubled because
/// samples with a short baseline are thrown away.
fn samples_needed(followers: usize, pairs: usize) -> usize {
    let share = followers as f64 / pairs.max(1) as f64;
    let miss = (1.0 - share * share).clamp(1e-9, 1.0 - 1e-9);
    (2.0 * 0.001_f64.ln() / miss.ln()).ceil() as usize
}

fn sample(pairs: &[PointPair], rule: &Search, dice: &mut Dice) -> Option<Similarity> {
    let a = pairs.get(dice.below(pairs.len()))?;
    let b = pairs.get(dice.below(pairs.len()))?;
    let baseline = (a.before.x - b.before.x).hypot(a.before.y - b.before.y);
    if baseline < rule.min_baseline_px {
        return None;
    }
    let motion = Similarity::fit([a, b].into_iter())?;
    (rule.scale.0..=rule.scale.1)
        .contains(&motion.scale)
        .then_some(motion)
}

fn count(pairs: &[PointPair], motion: &Similarity, within_px: f64) -> usize {
    let (sin, cos) = motion.rotation_rad.sin_cos();
    let (a, b) = (motion.scale * cos, motion.scale * sin);
    let limit = within_px * within_px;
    pairs
        .iter()
        .filter(|p| {
            let off_x = a * p.before.x - b * p.before.y + motion.shift_x_px - p.after.x;
            let off_y = b * p.before.x + a * p.before.y + motion.shift_y_px - p.after.y;
            off_x * off_x + off_y * off_y <= limit
        })
        .count()
}

fn refine(pairs: &[PointPair], start: Similarity, rule: &Search) -> Option<Consensus> {
    let mut motion = start;
    for _ in 0..4 {
        let follow = pairs
            .iter()
            .filter(|p| motion.error_px(p) <= rule.within_px);
        motion = Similarity::fit(follow)?;
    }
    let (mut followers, mut squares) = (0_usize, 0.0);
    for e in pairs.iter().map(|p| motion.error_px(p)) {
        if e <= rule.within_px {
            followers += 1;
            squares += e * e;
        }
    }
    (followers >= 2).then(|| Consensus {
        motion,
        followers,
        rms_px: (squares / followers as f64).sqrt(),
    })
}

/// A small, fixed random sequence (`SplitMix64`, Steele et al. 2014): samples need variety, not secrecy.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn motions() -> impl Strategy<Value = Similarity> {
        (0.5..2.0, -3.1..3.1, -500.0..500.0, -500.0..500.0).prop_map(|(scale, r, x, y)| {
            Similarity {
                scale,
                rotation_rad: r,
                shift_x_px: x,
                shift_y_px: y,
            }
        })
    }

    fn grid(motion: &Similarity) -> Vec<PointPair> {
        (0..60)
            .map(|i| {
                let before = Pixel {
                    x: f64::from(i % 10) * 120.0 + f64::from(i * 7 % 13),
                    y: f64::from(i / 10) * 110.0 + f64::from(i * 5 % 11),
                };
                PointPair {
                    before,
                    after: motion.apply(before),
                }
            })
            .collect()
    }

    const RULE: Search = Search {
        within_px: 4.0,
        min_baseline_px: 40.0,
        scale: (0.5, 2.0),
        max_samples: 800,
    };

    proptest! {
        #[test]
        fn the_inverse_brings_points_back(m in motions(), x in -999.0..999.0, y in -999.0..999.0) {
            let back = m.inverse().unwrap().apply(m.apply(Pixel { x, y }));
            prop_assert!((back.x - x).abs() < 1e-6 && (back.y - y).abs() < 1e-6);
        }

        #[test]
        fn a_fit_recovers_the_motion_that_made_the_pairs(m in motions()) {
            let fit = Similarity::fit(grid(&m).iter()).unwrap();
            let p = Pixel { x: 640.0, y: 360.0 };
            let (a, b) = (fit.apply(p), m.apply(p));
            prop_assert!((a.x - b.x).hypot(a.y - b.y) < 1e-6);
            prop_assert!((fit.scale - m.scale).abs() < 1e-9);
        }

        #[test]
        fn the_search_finds_a_motion_among_three_times_as_many_wrong_pairs(m in motions(), seed in 0_u64..1000) {
            let mut pairs = grid(&m);
            let mut dice = Dice(seed);
            for i in 0..180_usize {
                let mut any = || dice.below(100_000) as f64 / 100.0;
                let wrong = PointPair {
                    before: Pixel { x: any(), y: any() },
                    after: Pixel { x: any(), y: any() },
                };
                pairs.insert(i % pairs.len(), wrong);
            }
            let found = search(&pairs, &RULE).unwrap();
            prop_assert!(found.followers >= 60);
            prop_assert!(found.rms_px < 1.5);
            prop_assert!((found.motion.scale - m.scale).abs() < 0.01);
        }
    }

    #[test]
    fn too_few_points_determine_nothing() {
        let one = PointPair {
            before: Pixel { x: 1.0, y: 2.0 },
            after: Pixel { x: 1.0, y: 2.0 },
        };
        assert_eq!(Similarity::fit([].iter()), None);
        assert_eq!(Similarity::fit([one, one].iter()), None);
        assert!(search(&[], &RULE).is_none());
        assert!(search(&[one], &RULE).is_none());
    }

    #[test]
    fn the_same_pairs_give_the_same_motion() {
        let mut pairs = grid(&Similarity::IDENTITY);
        for p in pairs.iter_mut().step_by(3) {
            p.after.x += 300.0;
        }
        let (a, b) = (
            search(&pairs, &RULE).unwrap(),
            search(&pairs, &RULE).unwrap(),
        );
        assert_eq!(a.motion, b.motion);
        assert_eq!(a.followers, 40);
    }

    #[test]
    fn a_positive_rotation_turns_right_towards_down() {
        let m = Similarity {
            rotation_rad: std::f64::consts::FRAC_PI_2,
            ..Similarity::IDENTITY
        };
        let p = m.apply(Pixel { x: 1.0, y: 0.0 });
        assert!(p.x.abs() < 1e-12 && (p.y - 1.0).abs() < 1e-12);
    }
}
