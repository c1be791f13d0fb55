//! What training makes small: weighted cross-entropy or focal loss, a Dice or Lovász term for rare classes, and a term for the one question that
//! kills people when answered wrongly: landable or not.

use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use tch::{Device, Kind, Reduction, Tensor};

use super::focal_lovasz::{focal, lovasz_softmax};
use crate::cli::LossKind;
use crate::data::cache::IGNORE;
use crate::scores::landable_classes;

/// Weight of the term that stands for the `IoU`: Dice or Lovász-softmax.
const OVERLAP: f64 = 0.5;
/// Weight of the landable term.
const LANDABLE: f64 = 0.5;
/// How much more a person's or vehicle's pixel counts in the landable term.
const MOVING: f64 = 4.0;

/// The loss with its tables on the device.
pub(crate) struct Loss {
    kind: LossKind,
    classes: i64,
    weights: Tensor,
    landable: Tensor,
    /// By class, 1 where landable.
    is_landable: Tensor,
    /// By class, weight in the landable term.
    danger: Tensor,
}

impl Loss {
    /// Of this kind, with these class weights.
    pub(crate) fn new(kind: LossKind, weights: &[f32], device: Device) -> Self {
        let landable: Vec<i64> = landable_classes().iter().map(|&c| c as i64).collect();
        let by_class = |f: &dyn Fn(usize, Surface) -> f32| {
            let all = SEMANTIC_DRONE.iter().enumerate();
            let values: Vec<f32> = all.map(|(i, (_, _, s))| f(i, *s)).collect();
            Tensor::from_slice(&values).to_device(device)
        };
        Self {
            kind,
            classes: weights.len() as i64,
            weights: Tensor::from_slice(weights).to_device(device),
            landable: Tensor::from_slice(&landable).to_device(device),
            is_landable: by_class(&|_, s| f32::from(u8::from(s.is_landable()))),
            danger: by_class(&|_, s| if s.moves() { MOVING as f32 } else { 1.0 }),
        }
    }

    /// Of logits `[n, classes, h, w]` against class indices `[n, h, w]`, and, where there is a teacher, against its probabilities (of the logits'
    /// shape), which take that share of the weight (distillation, Hinton et al. 2015, at temperature 1).
    pub(crate) fn of(
        &self,
        logits: &Tensor,
        masks: &Tensor,
        taught: Option<(&Tensor, f64)>,
    ) -> Tensor {
        let log_p = logits.log_softmax(1, Kind::Float);
        let ignore = i64::from(IGNORE);
        let valid = masks.not_equal(ignore);
        let known = masks.masked_fill(&valid.logical_not(), 0);
        let valid = valid.to_kind(Kind::Float);
        let p = log_p.exp();
        let by_pixel = match self.kind {
            LossKind::Focal => focal(&log_p, &known, &valid, &self.weights),
            LossKind::CrossEntropy | LossKind::Lovasz => {
                log_p.nll_loss2d(masks, Some(&self.weights), Reduction::Mean, ignore)
            }
        };
        let overlap = match self.kind {
            LossKind::Lovasz => lovasz_softmax(&p, &known, &valid),
            LossKind::CrossEntropy | LossKind::Focal => self.dice(&p, &known, &valid),
        };
        let landable = self.landable_term(&p, &known, &valid);
        let by_masks = by_pixel + overlap * OVERLAP + landable * LANDABLE;
        match taught {
            None => by_masks,
            Some((beliefs, share)) => {
                let pixels =
                    (log_p * beliefs).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
                by_masks * (1.0 - share) - pixels.mean(Kind::Float) * share
            }
        }
    }

    /// One minus the mean soft Dice coefficient of the classes in the batch.
    fn dice(&self, p: &Tensor, known: &Tensor, valid: &Tensor) -> Tensor {
        let at_truth = p.gather(1, &known.unsqueeze(1), false).squeeze_dim(1) * valid;
        let zeros = || Tensor::zeros([self.classes], (Kind::Float, p.device()));
        let flat = known.view(-1);
        let overlap = zeros().index_add(0, &flat, &at_truth.view(-1));
        let truths = zeros().index_add(0, &flat, &valid.contiguous().view(-1));
        let predicted =
            (p * valid.unsqueeze(1)).sum_dim_intlist([0_i64, 2, 3].as_slice(), false, Kind::Float);
        let present = truths.greater(0.0).to_kind(Kind::Float);
        let dice: Tensor = (overlap * 2.0 + 1.0) / (truths + predicted + 1.0);
        let mean = (dice * &present).sum(Kind::Float) / present.sum(Kind::Float).clamp_min(1.0);
        mean * -1.0 + 1.0
    }

    /// Binary cross-entropy of P(landable), heavier on what moves.
    fn landable_term(&self, p: &Tensor, known: &Tensor, valid: &Tensor) -> Tensor {
        let landable = p.index_select(1, &self.landable);
        let landable = landable.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
        // The binary cross-entropy ends the program where it meets what is no number; the other terms still tell of it.
        let landable = landable.clamp(1e-5, 1.0 - 1e-5).nan_to_num(0.5, None, None);
        let by_pixel = |table: &Tensor| table.index_select(0, &known.view(-1)).view_as(known);
        let truth = by_pixel(&self.is_landable);
        let weight = by_pixel(&self.danger) * valid;
        let entropy = landable.binary_cross_entropy(&truth, Some(&weight), Reduction::Sum);
        entropy / weight.sum(Kind::Float).clamp_min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The run looks at the loss, names the step and stops: so the loss must say it, not panic.
    #[test]
    fn logits_that_are_no_number_make_a_loss_that_is_none() {
        let masks = Tensor::from_slice(&[3_i64, 15]).view([1, 1, 2]);
        for kind in [LossKind::CrossEntropy, LossKind::Focal, LossKind::Lovasz] {
            let loss = Loss::new(kind, &[1.0; 24], Device::Cpu);
            let logits = Tensor::zeros([1, 24, 1, 2], (Kind::Float, Device::Cpu));
            let plain = f64::try_from(loss.of(&logits, &masks, None)).unwrap();
            assert!(plain.is_finite() && plain > 0.0, "{kind:?}: {plain}");
            let _ = logits.narrow(3, 1, 1).fill_(f64::NAN);
            let broken = f64::try_from(loss.of(&logits, &masks, None)).unwrap();
            assert!(broken.is_nan(), "{kind:?}: {broken}");
        }
    }
}
