//! `DeepLabv3+` (Chen et al. 2018) on Xception (Chollet 2017): separable convolutions, and context from an atrous spatial pyramid.

use super::layers::{EPS, head, separable, unit};
use crate::graph::{Conv, Graph, Op, Shape};

/// Blocks of the middle flow.
const MIDDLE: usize = 8;
/// Channels of pyramid and decoder.
const WIDTH: usize = 256;
/// Channels that the fine features are reduced to.
const FINE: usize = 48;
/// Distances of the pyramid's kernels, in pixels of stride 16: the paper's for this stride.
const RATES: [usize; 3] = [6, 12, 18];

/// Builds it at an output stride of 16, as the paper modifies Xception: strided separable convolutions in place of max-pooling, the
/// last block dilated. Sizes must be multiples of 16; logits come at the input's resolution.
#[must_use]
pub fn graph(name: &str, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let stem = Conv {
        stride: 2,
        ..Conv::new(32, 3)
    };
    let x = unit(&mut g, "encoder.stem.0", stem, 0);
    let x = unit(&mut g, "encoder.stem.1", Conv::new(64, 3), x);
    let x = block(&mut g, "encoder.entry.0", (64, [128; 3]), (2, 1), x);
    let fine = x;
    let x = block(&mut g, "encoder.entry.1", (128, [256; 3]), (2, 1), x);
    let mut x = block(&mut g, "encoder.entry.2", (256, [728; 3]), (2, 1), x);
    for i in 0..MIDDLE {
        x = block(
            &mut g,
            &format!("encoder.middle.{i}"),
            (728, [728; 3]),
            (1, 1),
            x,
        );
    }
    let x = block(
        &mut g,
        "encoder.exit.0",
        (728, [728, 1024, 1024]),
        (1, 1),
        x,
    );
    let mut x = x;
    for (i, (from, to)) in [(1024, 1536), (1536, 1536), (1536, 2048)]
        .into_iter()
        .enumerate()
    {
        let within = Conv {
            dilation: 2,
            ..Conv::new(0, 3)
        };
        x = separable(
            &mut g,
            &format!("encoder.exit.{}", i + 1),
            (from, to),
            within,
            x,
        );
    }
    let x = pyramid(&mut g, x);
    let x = g.push("decoder.up", Op::UpsampleBilinear(4), &[x]);
    let fine = unit(&mut g, "decoder.fine", Conv::new(FINE, 1), fine);
    let x = g.push("decoder.join", Op::Concat, &[x, fine]);
    let x = separable(
        &mut g,
        "decoder.0",
        (WIDTH + FINE, WIDTH),
        Conv::new(0, 3),
        x,
    );
    let x = separable(&mut g, "decoder.1", (WIDTH, WIDTH), Conv::new(0, 3), x);
    let x = head(&mut g, x, classes);
    g.push("decoder.large", Op::UpsampleBilinear(4), &[x]);
    g
}

/// Three separable convolutions beside the identity, or beside a 1x1 convolution where the shape changes. The stride is the last one's.
fn block(
    g: &mut Graph,
    name: &str,
    (channels, outs): (usize, [usize; 3]),
    (stride, dilation): (usize, usize),
    input: usize,
) -> usize {
    let (mut x, mut from) = (input, channels);
    for (i, out) in outs.into_iter().enumerate() {
        let within = Conv {
            stride: if i + 1 == outs.len() { stride } else { 1 },
            dilation,
            ..Conv::new(0, 3)
        };
        x = separable(g, &format!("{name}.{i}"), (from, out), within, x);
        from = out;
    }
    let beside = if stride == 1 && channels == from {
        input
    } else {
        let conv = Conv {
            stride,
            ..Conv::new(from, 1)
        };
        let y = g.push(format!("{name}.beside.conv"), Op::Conv(conv), &[input]);
        g.push(format!("{name}.beside.bn"), Op::BatchNorm(EPS), &[y])
    };
    g.push(format!("{name}.sum"), Op::Add, &[x, beside])
}

/// The atrous spatial pyramid: a 1x1 convolution, three dilated ones, and the mean of the whole picture.
fn pyramid(g: &mut Graph, x: usize) -> usize {
    let mut parts = vec![unit(g, "decoder.pyramid.0", Conv::new(WIDTH, 1), x)];
    for (i, dilation) in RATES.into_iter().enumerate() {
        let within = Conv {
            dilation,
            ..Conv::new(0, 3)
        };
        let name = format!("decoder.pyramid.{}", i + 1);
        parts.push(separable(g, &name, (2048, WIDTH), within, x));
    }
    // No batch norm here: a batch of one picture has a single value a channel to take statistics of.
    let mean = g.push("decoder.pyramid.mean", Op::GlobalMean, &[x]);
    let conv = Conv {
        has_bias: true,
        ..Conv::new(WIDTH, 1)
    };
    let mean = g.push("decoder.pyramid.mean.conv", Op::Conv(conv), &[mean]);
    let mean = g.push("decoder.pyramid.mean.relu", Op::Relu, &[mean]);
    parts.push(g.push("decoder.pyramid.spread", Op::Spread, &[mean, x]));
    let all = g.push("decoder.pyramid.join", Op::Concat, &parts);
    unit(g, "decoder.pyramid", Conv::new(WIDTH, 1), all)
}
