//! What several networks are made of.

use crate::graph::{Conv, Graph, Op};

/// Batch norm's epsilon in what is not pretrained, and in torchvision's encoders.
pub(super) const EPS: f32 = 1e-5;

/// How a decoder mixes the enlarged features with the encoder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// One 3x3 convolution.
    Dense,
    /// A 3x3 convolution within each channel, then a 1x1 one across them (Howard et al. 2017, "`MobileNets`"): a seventh of the
    /// multiplications.
    Separable,
}

/// Convolution, batch norm, `ReLU`: `<name>.conv`, `<name>.bn`, `<name>.relu`.
pub(super) fn unit(g: &mut Graph, name: &str, conv: Conv, x: usize) -> usize {
    let x = g.push(format!("{name}.conv"), Op::Conv(conv), &[x]);
    let x = g.push(format!("{name}.bn"), Op::BatchNorm(EPS), &[x]);
    g.push(format!("{name}.relu"), Op::Relu, &[x])
}

/// A convolution within each of `channels` channels, then one across them, each with its batch norm and `ReLU`.
pub(super) fn separable(
    g: &mut Graph,
    name: &str,
    (channels, out): (usize, usize),
    within: Conv,
    x: usize,
) -> usize {
    let within = Conv {
        out: channels,
        groups: channels,
        ..within
    };
    let x = unit(g, &format!("{name}.within"), within, x);
    unit(g, &format!("{name}.across"), Conv::new(out, 1), x)
}

/// A light U-Net decoder: at each scale, repeat pixels, join the encoder's features, mix them. `skips` are the encoder's nodes
/// with their channels, finest first; `widths` the decoder's channels, coarsest first.
pub(super) fn decode(
    g: &mut Graph,
    (mut x, mut channels): (usize, usize),
    skips: &[(usize, usize)],
    widths: &[usize],
    join: Join,
) -> usize {
    for (i, (&(skip, more), &out)) in skips.iter().rev().zip(widths).enumerate() {
        let name = format!("decoder.{i}");
        let up = g.push(format!("{name}.up"), Op::UpsampleNearest(2), &[x]);
        let both = g.push(format!("{name}.join"), Op::Concat, &[up, skip]);
        x = match join {
            Join::Dense => unit(g, &name, Conv::new(out, 3), both),
            Join::Separable => separable(g, &name, (channels + more, out), Conv::new(0, 3), both),
        };
        channels = out;
    }
    x
}

/// The last layer: a constant and a weight of each feature for each class. Its name is what logit adjustment looks for.
pub(super) fn head(g: &mut Graph, x: usize, classes: usize) -> usize {
    let conv = Conv {
        has_bias: true,
        ..Conv::new(classes, 1)
    };
    g.push("decoder.head", Op::Conv(conv), &[x])
}
