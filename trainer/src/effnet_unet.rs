//! The flying network and its larger sisters: a U-Net whose encoder is an EfficientNet-Lite (Tan and Le 2019, "EfficientNet"; the Lite
//! variants have `ReLU6` and no squeeze-and-excitation) and whose decoder is light: at each scale, repeat pixels, join the
//! encoder's features, one 3x3 convolution. Logits come out at half the input's resolution; who uses them enlarges them.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::graph::{Graph, Op, Shape};
use crate::parameters::Metadata;

/// Which EfficientNet-Lite is the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoder {
    /// The smallest: the one that flies.
    Lite0,
    /// Deeper.
    Lite1,
    /// Deeper and wider.
    Lite2,
}

impl Encoder {
    /// The name of the network built on it.
    #[must_use]
    pub const fn network(self) -> &'static str {
        match self {
            Self::Lite0 => "effnet-lite0-unet",
            Self::Lite1 => "effnet-lite1-unet",
            Self::Lite2 => "effnet-lite2-unet",
        }
    }

    /// The one whose network is called `name`.
    #[must_use]
    pub fn of_network(name: &str) -> Option<Self> {
        let all = Self::value_variants().iter().copied();
        all.into_iter().find(|e| e.network() == name)
    }

    /// Factors of the published scaling: channels, blocks.
    const fn scaling(self) -> (f64, f64) {
        match self {
            Self::Lite0 => (1.0, 1.0),
            Self::Lite1 => (1.0, 1.1),
            Self::Lite2 => (1.1, 1.2),
        }
    }

    /// The stages, scaled: channels to the nearest multiple of 8 that loses no tenth, blocks upwards. The Lite variants
    /// leave the number of blocks of the first and the last stage as it is.
    fn stages(self) -> [Stage; 7] {
        let (width, depth) = self.scaling();
        let mut stages = STAGES;
        for (i, s) in stages.iter_mut().enumerate() {
            let wanted = s.out as f64 * width;
            let near = ((wanted + 4.0) as usize / 8 * 8).max(8);
            s.out = if (near as f64) < 0.9 * wanted {
                near + 8
            } else {
                near
            };
            if i > 0 && i + 1 < STAGES.len() {
                s.repeat = (s.repeat as f64 * depth).ceil() as usize;
            }
        }
        stages
    }
}

/// The encoder of the network that a file of trained parameters says it is.
///
/// # Errors
/// When the file's words name no network, or one that is not known.
pub fn encoder_of(file: &Path, words: &Metadata) -> Result<Encoder> {
    let name = words.get("network");
    let name = name.with_context(|| {
        format!(
            "{} does not say of which network it is: was it written by `train`?",
            file.display()
        )
    })?;
    Encoder::of_network(name)
        .with_context(|| format!("{}: unknown network `{name}`", file.display()))
}

/// One group of equal blocks of the encoder.
#[derive(Debug, Clone, Copy)]
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
pub fn effnet_lite_unet(encoder: Encoder, height: usize, width: usize, classes: usize) -> Graph {
    let input = Shape {
        channels: 3,
        height,
        width,
    };
    let mut g = Graph::new(encoder.network(), input);
    let x = g.push("encoder._conv_stem", conv(32, 3, 2, 1), &[0]);
    let x = g.push("encoder._bn0", Op::BatchNorm(ENCODER_EPS), &[x]);
    let mut x = g.push("encoder._relu0", Op::Relu6, &[x]);
    let mut channels = 32;
    let mut index = 0;
    let mut skips = Vec::new();
    for s in &encoder.stages() {
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
        let g = effnet_lite_unet(Encoder::Lite0, 256, 384, 24);
        let out = *g.shapes().unwrap().last().unwrap();
        assert_eq!((out.channels, out.height, out.width), (24, 128, 192));
    }

    #[test]
    fn larger_encoders_have_the_published_stages() {
        let outs = |e: Encoder| e.stages().map(|s| (s.repeat, s.out));
        assert_eq!(
            outs(Encoder::Lite1),
            [
                (1, 16),
                (3, 24),
                (3, 40),
                (4, 80),
                (4, 112),
                (5, 192),
                (1, 320)
            ]
        );
        assert_eq!(
            outs(Encoder::Lite2),
            [
                (1, 16),
                (3, 24),
                (3, 48),
                (4, 88),
                (4, 120),
                (5, 208),
                (1, 352)
            ]
        );
        for e in Encoder::value_variants() {
            assert_eq!(Encoder::of_network(e.network()), Some(*e));
            assert!(effnet_lite_unet(*e, 64, 96, 24).shapes().is_ok());
        }
        assert_eq!(Encoder::of_network("other"), None);
    }

    #[test]
    fn the_encoder_has_the_published_size() {
        let g = effnet_lite_unet(Encoder::Lite0, 256, 384, 24);
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
