//! Pictures at another size.

use std::fmt;
use std::sync::Arc;

use pic_scale::{
    ImageSize, ImageStore, ImageStoreMut, PicScaleError, Resampling, ResamplingFunction, Scaler,
};

/// Width and height, pixels.
pub(crate) type Size = (usize, usize);
type Plan<const N: usize> = Arc<Resampling<u8, N>>;

/// Resizes pictures of `N` interleaved bytes a pixel, 3 or 1, with an area-aware filter: a larger picture is averaged, not
/// sampled. Keeps the weights for the last pair of sizes, so that a stream of pictures allocates nothing.
pub(crate) struct Resizer<const N: usize> {
    make: fn(&Scaler, ImageSize, ImageSize) -> Result<Plan<N>, PicScaleError>,
    plan: Option<Plan<N>>,
    scratch: Vec<u8>,
}

impl Default for Resizer<3> {
    fn default() -> Self {
        Self::new(Scaler::plan_rgb_resampling)
    }
}

impl Default for Resizer<1> {
    fn default() -> Self {
        Self::new(Scaler::plan_planar_resampling)
    }
}

impl<const N: usize> Resizer<N> {
    const fn new(
        make: fn(&Scaler, ImageSize, ImageSize) -> Result<Plan<N>, PicScaleError>,
    ) -> Self {
        Self {
            make,
            plan: None,
            scratch: Vec::new(),
        }
    }

    /// Fills `into`, `to.0 * to.1 * N` bytes row by row, from the first `from.0 * from.1 * N` bytes of `picture`.
    ///
    /// # Errors
    /// In words, when a size has no area or a buffer is too short.
    pub(crate) fn run(
        &mut self,
        (picture, from): (&[u8], Size),
        (into, to): (&mut [u8], Size),
    ) -> Result<(), String> {
        self.try_run((picture, from), (into, to))
            .map_err(|e| e.to_string())
    }

    fn try_run(
        &mut self,
        (picture, from): (&[u8], Size),
        (into, to): (&mut [u8], Size),
    ) -> Result<(), PicScaleError> {
        let (from, to) = (ImageSize::new(from.0, from.1), ImageSize::new(to.0, to.1));
        let source = ImageStore::<u8, N>::borrow(picture, from.width, from.height)?;
        let mut target = ImageStoreMut::<u8, N>::borrow(into, to.width, to.height)?;
        let known = self.plan.take();
        let fits = |p: &Plan<N>| p.source_size() == from && p.target_size() == to;
        let plan = if let Some(plan) = known.filter(fits) {
            plan
        } else {
            let plan = (self.make)(&Scaler::new(filter(from, to)), from, to)?;
            self.scratch = plan.alloc_scratch();
            plan
        };
        let plan = self.plan.insert(plan);
        plan.resample_with_scratch(&source, &mut target, &mut self.scratch)
    }
}

impl<const N: usize> fmt::Debug for Resizer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resizer").finish_non_exhaustive()
    }
}

/// Bilinear from half the size down. The library leaves out the last weight of a window that lies unevenly: a hundredth
/// there, but most of the picture where one is enlarged. There a cubic filter (Mitchell and Netravali, "Reconstruction
/// Filters in Computer Graphics", 1988), whose window ends in nothing, comes closest to the bilinear one.
fn filter(from: ImageSize, to: ImageSize) -> ResamplingFunction {
    if from.width >= 2 * to.width && from.height >= 2 * to.height {
        ResamplingFunction::Bilinear
    } else {
        ResamplingFunction::MitchellNetravalli
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The weights of an area-aware bilinear filter, exactly: for each place of the result, which places count how much.
    fn weights(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let row = |o: usize| {
            let centre = (o as f64 + 0.5) * scale;
            let weight = |i: usize| 1.0 - (i as f64 + 0.5 - centre).abs() / support;
            let near = (0..from).map(|i| (i, weight(i))).filter(|w| w.1 > 0.0);
            let near: Vec<_> = near.collect();
            let sum: f64 = near.iter().map(|w| w.1).sum();
            near.into_iter().map(|(i, w)| (i, w / sum)).collect()
        };
        (0..to).map(row).collect()
    }

    /// A slope with a noise of 64 levels on it: far rougher than any photo.
    fn rough((w, h): Size) -> Vec<u8> {
        let mut state = 77_u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % 64
        };
        let at = |i| (i % w * 100 / w + i / w * 80 / h + noise()) as u8;
        (0..w * h).map(at).collect()
    }

    #[rstest]
    #[case((320, 180), (96, 64), 0.35, 2.0)]
    #[case((192, 128), (96, 64), 0.35, 1.01)]
    #[case((160, 120), (96, 64), 0.8, 5.0)]
    #[case((96, 64), (320, 180), 1.2, 12.0)]
    fn it_is_the_exact_filter_within_so_many_grey_levels(
        #[case] from: Size,
        #[case] to: Size,
        #[case] mean: f64,
        #[case] most: f64,
    ) {
        let picture = rough(from);
        let mut out = vec![0; to.0 * to.1];
        Resizer::<1>::default()
            .run((&picture, from), (&mut out, to))
            .unwrap();
        let (across, along) = (weights(from.0, to.0), weights(from.1, to.1));
        let exact = |x: usize, y: usize| -> f64 {
            let row = |r: usize| -> f64 {
                let pixels = across[x].iter();
                pixels
                    .map(|(i, w)| w * f64::from(picture[r * from.0 + i]))
                    .sum()
            };
            along[y].iter().map(|(r, w)| w * row(*r)).sum()
        };
        let off = |i: usize| (f64::from(out[i]) - exact(i % to.0, i / to.0)).abs();
        let offs: Vec<f64> = (0..out.len()).map(off).collect();
        let (sum, worst) = offs
            .iter()
            .fold((0.0, 0.0_f64), |a, o| (a.0 + o, a.1.max(*o)));
        let average = sum / offs.len() as f64;
        assert!(
            average <= mean && worst <= most,
            "mean {average}, most {worst}"
        );
    }

    #[test]
    fn a_large_picture_is_averaged_not_sampled() {
        // Every eighth column is white.
        let stripes: Vec<u8> = (0..64 * 32)
            .map(|i| if i % 8 == 0 { 240 } else { 0 })
            .collect();
        let mut small = [0; 8 * 4];
        Resizer::<1>::default()
            .run((&stripes, (64, 32)), (&mut small, (8, 4)))
            .unwrap();
        assert!(small.iter().all(|v| (15..=40).contains(v)), "{small:?}");
    }

    #[test]
    fn another_size_is_planned_anew_and_the_same_one_is_not() {
        let mut resizer = Resizer::<3>::default();
        let flat = vec![7; 3 * 40 * 30];
        let mut out = vec![0; 3 * 20 * 20];
        for (from, to) in [((40, 30), (20, 10)), ((30, 40), (20, 20)), ((1, 1), (9, 9))] {
            out.fill(0);
            resizer.run((&flat, from), (&mut out, to)).unwrap();
            let filled = 3 * to.0 * to.1;
            assert!(out[..filled].iter().all(|v| *v == 7), "{from:?} {to:?}");
            assert!(out[filled..].iter().all(|v| *v == 0));
        }
        let before = resizer.plan.clone().unwrap();
        resizer.run((&flat, (1, 1)), (&mut out, (9, 9))).unwrap();
        assert!(Arc::ptr_eq(&before, &resizer.plan.clone().unwrap()));
    }

    #[test]
    fn sizes_without_area_and_short_buffers_are_refused() {
        let mut resizer = Resizer::<1>::default();
        let (picture, mut out) = ([1; 16], [0; 4]);
        for (from, to) in [
            ((0, 4), (2, 2)),
            ((4, 4), (2, 0)),
            ((5, 4), (2, 2)),
            ((4, 4), (3, 2)),
        ] {
            let error = resizer.run((&picture, from), (&mut out, to));
            assert!(error.is_err(), "{from:?} {to:?}");
        }
        resizer.run((&picture, (4, 4)), (&mut out, (2, 2))).unwrap();
        assert_eq!(out, [1; 4]);
    }
}
