//! Logits -> calibrated probabilities of surfaces (temperature scaling: Guo et al. 2017, "On Calibration of Modern
//! Neural Networks").

use super::classes::Surface;
use super::manifest::Manifest;
use super::{InferenceError, SegmentationMap};

/// Divides by the temperature, takes the softmax over classes, adds up the classes of each surface.
#[derive(Debug)]
pub(super) struct Calibration {
    width: usize,
    height: usize,
    surfaces: Vec<Surface>,
    inverse_temperature: f32,
    /// One row of work space.
    row_max: Vec<f32>,
    /// One row of sums a surface, and their total.
    row_sums: Vec<f32>,
}

impl Calibration {
    /// For one network.
    #[must_use]
    pub(super) fn new(manifest: &Manifest) -> Self {
        let width = manifest.output.width;
        Self {
            width,
            height: manifest.output.height,
            surfaces: manifest.classes.iter().map(|c| c.surface).collect(),
            inverse_temperature: 1.0 / manifest.output.temperature,
            row_max: vec![0.0; width],
            row_sums: vec![0.0; width * (Surface::COUNT + 1)],
        }
    }

    /// Fills `out.logits` (divided by the temperature) and `out.surfaces` from raw logits `[class][row][column]`.
    ///
    /// # Errors
    /// `Run` when there are not as many logits as the manifest says, or one of them is not finite: a network that
    /// answers NaN has answered nothing.
    pub(super) fn run(
        &mut self,
        raw: &[f32],
        out: &mut SegmentationMap,
    ) -> Result<(), InferenceError> {
        let (w, h, classes) = (self.width, self.height, self.surfaces.len());
        if raw.len() != w * h * classes {
            return Err(InferenceError::Run(format!(
                "{} logits, not {classes} x {h} x {w}",
                raw.len()
            )));
        }
        if !are_finite(raw) {
            return Err(InferenceError::Run(String::from(
                "a logit is not a finite number",
            )));
        }
        (out.width, out.height, out.class_count) = (w, h, classes);
        out.logits.clear();
        out.logits
            .extend(raw.iter().map(|v| v * self.inverse_temperature));
        out.surfaces.resize(w * h * Surface::COUNT, 0.0);
        for (row, out_row) in out
            .surfaces
            .chunks_exact_mut(w * Surface::COUNT)
            .enumerate()
        {
            self.row(&out.logits, row, out_row);
        }
        Ok(())
    }

    fn row(&mut self, logits: &[f32], row: usize, out_row: &mut [f32]) {
        let (w, plane) = (self.width, self.width * self.height);
        let class_row = |class: usize| {
            logits
                .get(class * plane + row * w..)
                .and_then(|s| s.get(..w))
                .unwrap_or(&[])
        };
        self.row_max.fill(f32::NEG_INFINITY);
        for class in 0..self.surfaces.len() {
            for (m, v) in self.row_max.iter_mut().zip(class_row(class)) {
                *m = m.max(*v);
            }
        }
        self.row_sums.fill(0.0);
        let (sums, total) = self.row_sums.split_at_mut(w * Surface::COUNT);
        for (class, surface) in self.surfaces.iter().enumerate() {
            let Some(sum) = sums.chunks_exact_mut(w).nth(*surface as usize) else {
                continue;
            };
            for (((s, t), v), m) in sum
                .iter_mut()
                .zip(total.iter_mut())
                .zip(class_row(class))
                .zip(&self.row_max)
            {
                let e = exp_of_negative(v - m);
                *s += e;
                *t += e;
            }
        }
        for t in total.iter_mut() {
            *t = 1.0 / *t;
        }
        for (surface, sum) in sums.chunks_exact(w).enumerate() {
            for ((pixel, s), t) in out_row
                .chunks_exact_mut(Surface::COUNT)
                .zip(sum)
                .zip(total.iter())
            {
                if let Some(p) = pixel.get_mut(surface) {
                    *p = s * t;
                }
            }
        }
    }
}

/// Whether every value is a finite number. Whole numbers without a way out, so that it vectorises.
fn are_finite(values: &[f32]) -> bool {
    let magnitude = |v: &f32| v.abs().to_bits() as i32;
    values.iter().map(magnitude).fold(0, i32::max) < f32::INFINITY.to_bits() as i32
}

/// `exp(x)` for `x <= 0` with a relative error below 5e-6: 2^f by a polynomial, 2^i by the exponent bits. Plain
/// arithmetic, so it vectorises and gives the same bits on every machine, which the system's `expf` does not.
fn exp_of_negative(x: f32) -> f32 {
    /// 1.5 * 2^23: what is added to it is rounded to a whole number, which is left in the lowest bits of the sum.
    const ROUNDING: f32 = 12_582_912.0;
    let t = (x * std::f32::consts::LOG2_E).max(-126.0);
    let sum = t + ROUNDING;
    let f = t - (sum - ROUNDING);
    // Taylor series of exp(f ln 2) to degree 6; |f| <= 1/2, so that what is cut off is below 2e-7.
    let p = 1.0
        + f * (std::f32::consts::LN_2
            + f * (0.240_226_5
                + f * (0.055_504_11
                    + f * (0.009_618_129 + f * (0.001_333_356 + f * 0.000_154_035_3)))));
    p * f32::from_bits(sum.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::manifest::tests::example;
    use super::*;

    #[test]
    fn the_fast_exponential_is_close() {
        for i in 0..10_000 {
            let x = -(i as f32) * 0.008;
            let (fast, exact) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!(
                (fast - exact).abs() <= 5e-6 * exact,
                "exp({x}) = {exact}, not {fast}"
            );
        }
        assert!(exp_of_negative(f32::MIN) >= 0.0 && exp_of_negative(f32::MIN) < 1e-37);
    }

    #[test]
    fn the_temperature_flattens() {
        let mut hot = example((4, 4), (1, 1), &[Surface::Firm, Surface::Water]);
        let run = |m: &Manifest| {
            let mut out = SegmentationMap::default();
            Calibration::new(m).run(&[2.0, 0.0], &mut out).unwrap();
            out.surfaces[Surface::Firm as usize]
        };
        let sharp = run(&hot);
        hot.output.temperature = 4.0;
        assert!((sharp - 0.880_797).abs() < 1e-5 && (run(&hot) - 0.622_459_3).abs() < 1e-5);
    }

    #[test]
    fn answers_that_are_no_numbers_are_refused() {
        let m = example((4, 4), (1, 1), &[Surface::Firm, Surface::Water]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(
                Calibration::new(&m)
                    .run(&[0.0, bad], &mut SegmentationMap::default())
                    .is_err(),
                "{bad}"
            );
        }
        assert!(
            Calibration::new(&m)
                .run(&[0.0], &mut SegmentationMap::default())
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn surfaces_sum_to_one_and_match_the_softmax(raw in prop::collection::vec(-30.0_f32..30.0, 5 * 6)) {
            let classes = [Surface::Firm, Surface::Soft, Surface::Firm, Surface::Person, Surface::Unknown];
            let m = example((4, 4), (3, 2), &classes);
            let mut out = SegmentationMap::default();
            Calibration::new(&m).run(&raw, &mut out).unwrap();
            for px in 0..6 {
                let exps: Vec<f64> = (0..5).map(|c| f64::from(raw[c * 6 + px]).exp()).collect();
                let total: f64 = exps.iter().sum();
                let got = out.surfaces_at(px % 3, px / 3).unwrap();
                prop_assert!((got.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                prop_assert!((f64::from(got[0]) - (exps[0] + exps[2]) / total).abs() < 1e-5);
                prop_assert!((f64::from(got[Surface::Person as usize]) - exps[3] / total).abs() < 1e-5);
            }
        }
    }
}
