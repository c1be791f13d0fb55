//! Two losses that can be chosen in place of the usual ones: focal loss for the cross-entropy, Lovász-softmax for Dice.
//!
//! Both take `known`, class indices `[n, h, w]` of which those where `valid` (same shape) is 0 count for nothing.

use tch::{Kind, Tensor};

/// How much less a pixel counts that is right already (gamma of the paper).
const GAMMA: f64 = 2.0;

/// Focal loss (Lin et al., ICCV 2017): cross-entropy in which a pixel counts `(1 - p)^2`, `p` the probability of its true class, times its
/// class's weight; the mean by those weights. `log_p` is `[n, classes, h, w]`.
pub(super) fn focal(log_p: &Tensor, known: &Tensor, valid: &Tensor, weights: &Tensor) -> Tensor {
    let truth = log_p.gather(1, &known.unsqueeze(1), false).squeeze_dim(1);
    let weight = weights.index_select(0, &known.view(-1)).view_as(known) * valid;
    let unsure = (truth.exp() * -1.0 + 1.0).pow_tensor_scalar(GAMMA);
    let sum = (truth * unsure * &weight).sum(Kind::Float) * -1.0;
    sum / weight.sum(Kind::Float).clamp_min(1e-6)
}

/// Lovász-softmax (Berman et al., CVPR 2018): for each class in the batch the Lovász extension of `1 - IoU` at the errors of its pixels;
/// their mean. `p` is `[n, classes, h, w]`.
pub(super) fn lovasz_softmax(p: &Tensor, known: &Tensor, valid: &Tensor) -> Tensor {
    let classes = p.size().get(1).copied().unwrap_or(1);
    let kept = valid.reshape([-1]).nonzero().squeeze_dim(1);
    let pixels = p.permute([0, 2, 3, 1]).reshape([-1, classes]);
    let pixels = pixels.index_select(0, &kept);
    let truths = known.reshape([-1]).index_select(0, &kept);
    let truths = truths.one_hot(classes).to_kind(Kind::Float);
    let (errors, order) = (&truths - pixels).abs().sort(0, true);
    let hits = truths.gather(0, &order, false);
    let all = truths.sum_dim_intlist([0_i64].as_slice(), true, Kind::Float);
    let overlap = &all - hits.cumsum(0, Kind::Float);
    let union = &all + (&hits * -1.0 + 1.0).cumsum(0, Kind::Float);
    // 1 - IoU when the pixels up to here are wrong; what each adds is the slope of the extension.
    let lost = overlap / union * -1.0 + 1.0;
    let slope = lost.diff(1, 0, Some(Tensor::zeros_like(&all)), None::<Tensor>);
    let by_class = (errors * slope).sum_dim_intlist([0_i64].as_slice(), false, Kind::Float);
    let present = all.squeeze_dim(0).greater(0.0).to_kind(Kind::Float);
    (by_class * &present).sum(Kind::Float) / present.sum(Kind::Float).clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pixels of which the first two are class 0 and the third class 1, and a fourth that counts for nothing. Class 2 is nowhere.
    fn case() -> (Tensor, Tensor, Tensor) {
        let p: [f32; 12] = [0.9, 0.4, 0.3, 0.2, 0.1, 0.6, 0.7, 0.8, 0.0, 0.0, 0.0, 0.0];
        let p = Tensor::from_slice(&p).view([1, 3, 1, 4]);
        let known = Tensor::from_slice(&[0_i64, 0, 1, 0]).view([1, 1, 4]);
        let valid = Tensor::from_slice(&[1_f32, 1.0, 1.0, 0.0]).view([1, 1, 4]);
        (p, known, valid)
    }

    #[test]
    fn lovasz_softmax_is_what_a_hand_computes() {
        let (p, known, valid) = case();
        // Class 0: errors 0.6, 0.3, 0.1 (hit, miss, hit), slopes 1/2, 1/6, 1/3: 0.3 + 0.05 + 1/30.
        // Class 1: errors 0.6, 0.3, 0.1 (miss, hit, miss), slopes 1/2, 1/2, 0: 0.3 + 0.15.
        let expected = f64::midpoint(0.3 + 0.05 + 1.0 / 30.0, 0.45);
        let loss = f64::try_from(lovasz_softmax(&p, &known, &valid)).unwrap();
        assert!((loss - expected).abs() < 1e-6, "{loss}, not {expected}");
    }

    /// At corners (every pixel fully right or wrong) the extension is `1 - IoU` itself.
    #[test]
    fn lovasz_softmax_of_certain_pixels_is_one_minus_iou() {
        let p = Tensor::from_slice(&[1_f32, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]).view([1, 2, 2, 2]);
        let known = Tensor::from_slice(&[0_i64, 0, 1, 1]).view([1, 2, 2]);
        let valid = Tensor::ones([1, 2, 2], (Kind::Float, tch::Device::Cpu));
        // Of each class one pixel is right, one missed, one claimed wrongly: IoU 1/3.
        let loss = f64::try_from(lovasz_softmax(&p, &known, &valid)).unwrap();
        assert!((loss - 2.0 / 3.0).abs() < 1e-6, "{loss}");
        let nothing = f64::try_from(lovasz_softmax(&p, &known, &(valid * 0.0))).unwrap();
        assert!(nothing.abs() < 1e-6, "{nothing}");
    }

    #[test]
    fn focal_loss_is_what_a_hand_computes() {
        let (p, known, valid) = case();
        let weights = Tensor::from_slice(&[1_f32, 3.0, 9.0]);
        let log_p = p.clamp_min(1e-6).log();
        let loss = f64::try_from(focal(&log_p, &known, &valid, &weights)).unwrap();
        let pixel = |p: f64, weight: f64| -weight * (1.0 - p).powi(2) * p.ln();
        let expected = (pixel(0.9, 1.0) + pixel(0.4, 1.0) + pixel(0.7, 3.0)) / 5.0;
        assert!((loss - expected).abs() < 1e-6, "{loss}, not {expected}");
        // (0.01 * 0.10536 + 0.36 * 0.91629 + 3 * 0.09 * 0.35667) / 5
        assert!((expected - 0.085_444).abs() < 1e-5, "{expected}");
    }

    #[test]
    fn both_pull_the_true_class_up() {
        let (_, known, valid) = case();
        let weights = Tensor::from_slice(&[1_f32, 1.0, 1.0]);
        let logits = Tensor::zeros([1, 3, 1, 4], (Kind::Float, tch::Device::Cpu));
        let logits = logits.set_requires_grad(true);
        let log_p = logits.log_softmax(1, Kind::Float);
        for loss in [
            focal(&log_p, &known, &valid, &weights),
            lovasz_softmax(&log_p.exp(), &known, &valid),
        ] {
            let grad = &Tensor::run_backward(&[&loss], &[&logits], true, false)[0];
            let at = |class: i64, pixel: i64| grad.double_value(&[0, class, 0, pixel]);
            assert!(at(0, 0) < 0.0 && at(1, 0) > 0.0 && at(1, 2) < 0.0);
            assert!(
                at(0, 3).abs() < 1e-9,
                "what counts for nothing pulls at nothing"
            );
        }
    }
}
