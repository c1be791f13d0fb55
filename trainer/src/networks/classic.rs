//! The networks that the field began with: U-Net, FCN-8s and `SegNet`.

use super::layers::{EPS, head, unit};
use crate::graph::{Conv, Graph, Op, Pool, Shape};

/// Convolutions of each stage of VGG-16 (Simonyan and Zisserman 2014): how many, and their channels.
const VGG16: [(usize, usize); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
/// Channels of the two layers that FCN puts in place of the classifier. The paper's 4096 are 119 million parameters for a thousand
/// classes; `DeepLab`'s reduced 1024 (Chen et al. 2015) lose nothing on segmentation.
const FULLY: usize = 1024;

/// U-Net (Ronneberger et al. 2015): two 3x3 convolutions a scale, four scales down and up, `base` channels at the finest; 64 is the
/// original. Convolutions are padded, so that logits come at the input's resolution, and each has a batch norm. A transposed
/// convolution of 2x2 and stride 2 is a 1x1 convolution whose channels make squares.
#[must_use]
pub fn unet(name: &str, base: usize, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let pair = |g: &mut Graph, name: &str, out: usize, x: usize| {
        let x = unit(g, &format!("{name}.0"), Conv::new(out, 3), x);
        unit(g, &format!("{name}.1"), Conv::new(out, 3), x)
    };
    let mut x = 0;
    let mut skips = Vec::new();
    for i in 0..4 {
        let y = pair(&mut g, &format!("down.{i}"), base << i, x);
        skips.push((y, base << i));
        x = g.push(format!("down.{i}.pool"), Op::MaxPool(Pool::HALF), &[y]);
    }
    x = pair(&mut g, "bottom", base << 4, x);
    for (i, (skip, out)) in skips.into_iter().rev().enumerate() {
        let spread = Conv {
            has_bias: true,
            ..Conv::new(4 * out, 1)
        };
        let y = g.push(format!("up.{i}.spread"), Op::Conv(spread), &[x]);
        let y = g.push(format!("up.{i}.large"), Op::DepthToSpace(2), &[y]);
        let y = g.push(format!("up.{i}.join"), Op::Concat, &[skip, y]);
        x = pair(&mut g, &format!("up.{i}"), out, y);
    }
    head(&mut g, x, classes);
    g
}

/// One stage of VGG-16 with batch norm, in torchvision's numbering (`vgg16_bn`); `index` is the next layer's number.
fn vgg_stage(g: &mut Graph, (count, out): (usize, usize), index: &mut usize, x: usize) -> usize {
    let mut x = x;
    for _ in 0..count {
        let conv = Conv {
            has_bias: true,
            ..Conv::new(out, 3)
        };
        let name = |i: usize| format!("encoder.features.{i}");
        x = g.push(name(*index), Op::Conv(conv), &[x]);
        x = g.push(name(*index + 1), Op::BatchNorm(EPS), &[x]);
        x = g.push(name(*index + 2), Op::Relu, &[x]);
        *index += 3;
    }
    x
}

/// FCN-8s (Long et al. 2015) on VGG-16 with batch norm: the scores of strides 32, 16 and 8 are added, each enlarged to the next, and
/// the sum enlarged to the picture. Sizes must be multiples of 32. Enlarging is bilinear, which is what the paper's transposed
/// convolutions start from.
#[must_use]
pub fn fcn8s(name: &str, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let (mut x, mut index) = (0, 0);
    let mut pools = Vec::new();
    for stage in VGG16 {
        let y = vgg_stage(&mut g, stage, &mut index, x);
        x = g.push(format!("pool.{index}"), Op::MaxPool(Pool::HALF), &[y]);
        index += 1;
        pools.push(x);
    }
    let x = unit(&mut g, "decoder.fc6", Conv::new(FULLY, 7), x);
    let x = unit(&mut g, "decoder.fc7", Conv::new(FULLY, 1), x);
    let plain = Op::Conv(Conv::new(classes, 1));
    let mut scores = g.push("decoder.score32", plain.clone(), &[x]);
    for (name, at) in [("16", 3), ("8", 2)] {
        let up = format!("decoder.up{name}");
        let up = g.push(up, Op::UpsampleBilinear(2), &[scores]);
        let pool = pools.get(at).copied().unwrap_or_default();
        let finer = if at == 2 {
            // The one with a constant for each class: enlarging leaves constants as they are.
            head(&mut g, pool, classes)
        } else {
            g.push(format!("decoder.score{name}"), plain.clone(), &[pool])
        };
        scores = g.push(format!("decoder.sum{name}"), Op::Add, &[up, finer]);
    }
    g.push("decoder.large", Op::UpsampleBilinear(8), &[scores]);
    g
}

/// `SegNet` (Badrinarayanan et al. 2017): VGG-16's convolutions, and the same in reverse, each max-pooling undone at the places
/// that it took its values from. Sizes must be multiples of 32.
#[must_use]
pub fn segnet(name: &str, input: Shape, classes: usize) -> Graph {
    let mut g = Graph::new(name, input);
    let (mut x, mut index) = (0, 0);
    let mut pools = Vec::new();
    for stage in VGG16 {
        let y = vgg_stage(&mut g, stage, &mut index, x);
        x = g.push(format!("pool.{index}"), Op::MaxPool(Pool::HALF), &[y]);
        index += 1;
        pools.push((y, x));
    }
    for (i, (count, width)) in VGG16.into_iter().enumerate().rev() {
        let (before, after) = pools.get(i).copied().unwrap_or_default();
        let name = format!("decoder.{i}");
        x = g.push(format!("{name}.unpool"), Op::MaxUnpool, &[x, before, after]);
        // The last convolution of a stage has the channels of the next finer one; the finest has one fewer, and then the head.
        let next = i.checked_sub(1).and_then(|n| VGG16.get(n)).map(|s| s.1);
        let units = if next.is_some() { count } else { count - 1 };
        for k in 0..units {
            let is_last = k + 1 == units;
            let out = next.filter(|_| is_last).unwrap_or(width);
            x = unit(&mut g, &format!("{name}.{k}"), Conv::new(out, 3), x);
        }
    }
    head(&mut g, x, classes);
    g
}
