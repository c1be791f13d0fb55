//! The flying network: a U-Net whose encoder is EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet"; the Lite variant has
//! `ReLU6` and no squeeze-and-excitation) and whose decoder is light: at each scale, repeat pixels, join the encoder's
//! features, one 3x3 convolution. Logits come out at half the input's resolution; who uses them enlarges them.

use crate::graph::{Graph, Op, Shape};

/// One group of equal blocks of the encoder.
struct Stage {
    repeat: usize,
    kernel: usize,
    stride: usize,
    expand: usize,
    out: usize,
}

const fn stage(repeat: usize, kernel: usize, stride: usize, expand: usize, out: usize) -> Stage {
    Stage {
        repeat,
        kernel,
        stride,
        expand,
        out,
    }
}

const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Parameters whose names start so come from the pretrained file, where they stand without it.
pub const ENCODER_PREFIX: &str = "encoder.";
/// Batch norm's epsilon in the pretrained encoder.
const ENCODER_EPS: f32 = 1e-3;
const DECODER_EPS: f32 = 1e-5;
/// Decoder channels at strides 16, 8, 4 and 2.
const DECODER: [usize; 4] = [128, 64, 48, 32];

fn conv(out: usize, kernel: usize, stride: usize, groups: usize) -> Op {
    Op::Conv {
        out,
        kernel,
        stride,
        groups,
        has_bias: false,
    }
}

/// Builds the network for pictures of `height` x `width` (multiples of 32) and `classes` classes.
#[must_use]
pub fn effnet_lite0_unet(height: usize, width: usize, classes: usize) -> Graph {
    let input = Shape {
        channels: 3,
        height,
        width,
    };
    let mut g = Graph::new("effnet-lite0-unet", input);
    let x = g.push("encoder._conv_stem", conv(32, 3, 2, 1), &[0]);
    let x = g.push("encoder._bn0", Op::BatchNorm(ENCODER_EPS), &[x]);
    let mut x = g.push("encoder._relu0", Op::Relu6, &[x]);
    let mut channels = 32;
    let mut index = 0;
    let mut skips = Vec::new();
    for s in &STAGES {
        if s.stride == 2 {
            skips.push(x);
        }
        for i in 0..s.repeat {
            let stride = if i == 0 { s.stride } else { 1 };
            x = block(&mut g, x, (index, channels), &Stage { stride, ..*s });
            channels = s.out;
            index += 1;
        }
    }
    for (i, (skip, out)) in skips.into_iter().rev().zip(DECODER).enumerate() {
        let up = g.push(format!("decoder.{i}.up"), Op::UpsampleNearest(2), &[x]);
        let join = g.push(format!("decoder.{i}.join"), Op::Concat, &[up, skip]);
        let y = g.push(format!("decoder.{i}.conv"), conv(out, 3, 1, 1), &[join]);
        let y = g.push(format!("decoder.{i}.bn"), Op::BatchNorm(DECODER_EPS), &[y]);
        x = g.push(format!("decoder.{i}.relu"), Op::Relu, &[y]);
    }
    let head = Op::Conv {
        out: classes,
        kernel: 1,
        stride: 1,
        groups: 1,
        has_bias: true,
    };
    g.push("decoder.head", head, &[x]);
    g
}

/// One inverted-residual block; `place` is its index and its input channels.
fn block(g: &mut Graph, input: usize, place: (usize, usize), s: &Stage) -> usize {
    let (index, channels) = place;
    let name = |part: &str| format!("encoder._blocks.{index}.{part}");
    let wide = channels * s.expand;
    let mut x = input;
    if s.expand != 1 {
        x = g.push(name("_expand_conv"), conv(wide, 1, 1, 1), &[x]);
        x = g.push(name("_bn0"), Op::BatchNorm(ENCODER_EPS), &[x]);
        x = g.push(name("_relu0"), Op::Relu6, &[x]);
    }
    let depthwise = conv(wide, s.kernel, s.stride, wide);
    x = g.push(name("_depthwise_conv"), depthwise, &[x]);
    x = g.push(name("_bn1"), Op::BatchNorm(ENCODER_EPS), &[x]);
    x = g.push(name("_relu1"), Op::Relu6, &[x]);
    x = g.push(name("_project_conv"), conv(s.out, 1, 1, 1), &[x]);
    x = g.push(name("_bn2"), Op::BatchNorm(ENCODER_EPS), &[x]);
    if s.stride == 1 && channels == s.out {
        x = g.push(name("_add"), Op::Add, &[x, input]);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_come_at_half_resolution() {
        let g = effnet_lite0_unet(256, 384, 24);
        let out = *g.shapes().unwrap().last().unwrap();
        assert_eq!((out.channels, out.height, out.width), (24, 128, 192));
    }

    #[test]
    fn the_encoder_has_the_published_size() {
        let g = effnet_lite0_unet(256, 384, 24);
        let specs = g.parameters().unwrap();
        let encoder: usize = specs
            .iter()
            .filter(|p| p.name.starts_with(ENCODER_PREFIX) && p.kind.is_trained())
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        // 4 652 008 published, less the head (320 x 1280 + 2 x 1280) and the classifier (1280 x 1000 + 1000).
        assert_eq!(encoder, 4_652_008 - 412_160 - 1_281_000);
        assert!(g.macs().unwrap() < 2_200_000_000);
    }
}
