//! The flying network and its sisters: a U-Net whose encoder is an EfficientNet-Lite (Tan and Le 2019, "EfficientNet"; the Lite
//! variants have `ReLU6` and no squeeze-and-excitation) and whose decoder is light. Logits come out at half the input's
//! resolution; who uses them enlarges them.

use super::layers::{self, Join};
use crate::graph::{Conv, Graph, Op, Shape};

/// Which EfficientNet-Lite is the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lite {
    /// The smallest: the one that flies.
    Lite0,
    /// Deeper.
    Lite1,
    /// Deeper and wider.
    Lite2,
}

impl Lite {
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

/// Batch norm's epsilon in the pretrained encoder.
const ENCODER_EPS: f32 = 1e-3;
/// Decoder channels at strides 16, 8, 4 and 2.
const DECODER: [usize; 4] = [128, 64, 48, 32];

fn conv(out: usize, kernel: usize, stride: usize, groups: usize) -> Op {
    Op::Conv(Conv {
        stride,
        groups,
        ..Conv::new(out, kernel)
    })
}

/// Builds the network called `name` for pictures of `height` x `width` (multiples of 32) and `classes` classes.
#[must_use]
pub fn graph(name: &str, lite: Lite, join: Join, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let x = g.push("encoder._conv_stem", conv(32, 3, 2, 1), &[0]);
    let x = g.push("encoder._bn0", Op::BatchNorm(ENCODER_EPS), &[x]);
    let mut x = g.push("encoder._relu0", Op::Relu6, &[x]);
    let mut channels = 32;
    let mut index = 0;
    let mut skips = Vec::new();
    for s in &lite.stages() {
        if s.stride == 2 {
            skips.push((x, channels));
        }
        for i in 0..s.repeat {
            let stride = if i == 0 { s.stride } else { 1 };
            x = block(&mut g, x, (index, channels), &Stage { stride, ..*s });
            channels = s.out;
            index += 1;
        }
    }
    let x = layers::decode(&mut g, (x, channels), &skips, &DECODER, join);
    layers::head(&mut g, x, classes);
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
    fn larger_encoders_have_the_published_stages() {
        let outs = |e: Lite| e.stages().map(|s| (s.repeat, s.out));
        assert_eq!(
            outs(Lite::Lite1),
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
            outs(Lite::Lite2),
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
    }
}
