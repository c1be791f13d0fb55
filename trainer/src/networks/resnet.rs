//! U-Nets on `ResNet`-18 and `ResNet`-34 (He et al. 2016).

use super::layers::{EPS, Join, decode, head};
use crate::graph::{Conv, Graph, Op, Padding, Pool, Shape};

/// Channels of the four stages.
const STAGES: [usize; 4] = [64, 128, 256, 512];
/// Decoder channels at strides 16, 8, 4 and 2.
const DECODER: [usize; 4] = [256, 128, 64, 48];

/// Which `ResNet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Two blocks a stage.
    Resnet18,
    /// Three, four, six and three.
    Resnet34,
}

impl Depth {
    const fn blocks(self) -> [usize; 4] {
        match self {
            Self::Resnet18 => [2, 2, 2, 2],
            Self::Resnet34 => [3, 4, 6, 3],
        }
    }
}

fn conv(
    g: &mut Graph,
    names: (&str, &str),
    (out, kernel, stride): (usize, usize, usize),
    x: usize,
) -> usize {
    let conv = Conv {
        stride,
        padding: Padding::Half,
        ..Conv::new(out, kernel)
    };
    let x = g.push(format!("encoder.{}", names.0), Op::Conv(conv), &[x]);
    g.push(format!("encoder.{}", names.1), Op::BatchNorm(EPS), &[x])
}

/// Builds it with torchvision's names and padding, so that its ImageNet weights fit. Sizes must be multiples of 32; logits come
/// at half the input's resolution.
#[must_use]
pub fn graph(name: &str, depth: Depth, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let x = conv(&mut g, ("conv1", "bn1"), (64, 7, 2), 0);
    let x = g.push("encoder.relu", Op::Relu, &[x]);
    let mut skips = vec![(x, 64)];
    let pool = Pool {
        kernel: 3,
        stride: 2,
        padding: Padding::Half,
    };
    let mut x = g.push("encoder.maxpool", Op::MaxPool(pool), &[x]);
    let mut channels = 64;
    for (i, (count, out)) in depth.blocks().into_iter().zip(STAGES).enumerate() {
        for k in 0..count {
            let stride = if i > 0 && k == 0 { 2 } else { 1 };
            x = block(
                &mut g,
                &format!("layer{}.{k}", i + 1),
                (channels, out, stride),
                x,
            );
            channels = out;
        }
        skips.push((x, channels));
    }
    skips.pop();
    let x = decode(&mut g, (x, channels), &skips, &DECODER, Join::Dense);
    head(&mut g, x, classes);
    g
}

/// Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where the shape changes.
fn block(
    g: &mut Graph,
    name: &str,
    (channels, out, stride): (usize, usize, usize),
    input: usize,
) -> usize {
    let part = |p: &str| format!("{name}.{p}");
    let y = conv(g, (&part("conv1"), &part("bn1")), (out, 3, stride), input);
    let y = g.push(format!("encoder.{}", part("relu1")), Op::Relu, &[y]);
    let y = conv(g, (&part("conv2"), &part("bn2")), (out, 3, 1), y);
    let beside = if stride == 1 && channels == out {
        input
    } else {
        let names = (&*part("downsample.0"), &*part("downsample.1"));
        conv(g, names, (out, 1, stride), input)
    };
    let sum = g.push(format!("encoder.{}", part("sum")), Op::Add, &[y, beside]);
    g.push(format!("encoder.{}", part("relu2")), Op::Relu, &[sum])
}
