//! A graph executed by libtorch.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tch::{Device, Kind, Tensor};

use crate::graph::{Conv, Graph, Op, Pool};
use crate::parameters::{Parameter, Parameters};

/// How much of the old running statistics a training step keeps away: torch's "momentum".
const STATISTICS_MOMENTUM: f64 = 0.05;

/// Whether batch norm uses the batch's own statistics (and learns from them) or the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The batch's own.
    Train,
    /// The stored ones.
    Eval,
}

/// A graph with its parameters as torch tensors.
pub(crate) struct Network {
    pub(crate) graph: Graph,
    /// Every parameter and statistic, f32.
    pub(crate) tensors: BTreeMap<String, Tensor>,
    /// The trained ones of them, one after another in the order of their names: `tensors` are views of it.
    pub(crate) flat: Tensor,
    /// The type in which activations are computed.
    pub(crate) compute: Kind,
    /// Stochastic depth (Huang et al. 2016): the share of samples whose last residual branch is left out in training; it falls
    /// linearly to 0 at the first branch.
    pub(crate) drop_branches: f64,
}

impl Network {
    /// Puts `parameters` on the device; all that the graph needs must be there.
    pub(crate) fn new(
        graph: Graph,
        parameters: &Parameters,
        device: Device,
        compute: Kind,
    ) -> Result<Self> {
        let specs = graph.parameters()?;
        let of = |name: &String| {
            parameters
                .get(name)
                .with_context(|| format!("no parameter `{name}`"))
        };
        let mut trained: Vec<_> = specs.iter().filter(|s| s.kind.is_trained()).collect();
        trained.sort_by(|a, b| a.name.cmp(&b.name));
        let mut values = Vec::new();
        for spec in &trained {
            values.extend_from_slice(&of(&spec.name)?.values);
        }
        let flat = Tensor::from_slice(&values).to_device(device);
        let mut tensors = BTreeMap::new();
        let mut start = 0;
        for spec in trained {
            let shape: Vec<i64> = spec.shape.iter().map(|&v| v as i64).collect();
            let length: i64 = shape.iter().product();
            let view = flat
                .narrow(0, start, length)
                .view(shape.as_slice())
                .detach();
            tensors.insert(spec.name.clone(), view.set_requires_grad(true));
            start += length;
        }
        for spec in specs.iter().filter(|s| !s.kind.is_trained()) {
            let statistic = tensor_of(of(&spec.name)?).to_device(device);
            tensors.insert(spec.name.clone(), statistic);
        }
        Ok(Self {
            graph,
            tensors,
            flat,
            compute,
            drop_branches: 0.0,
        })
    }

    /// What training changes, in the order of `flat`.
    pub(crate) fn trained(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.tensors.iter().filter(|(_, t)| t.requires_grad())
    }

    /// Runs a batch of pictures `[n, 3, h, w]` (f32, normalised); gives logits in f32.
    pub(crate) fn forward(&self, pictures: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut values: Vec<Tensor> = Vec::with_capacity(self.graph.nodes.len());
        let branches = self.graph.nodes.iter().filter(|n| n.op == Op::Add).count();
        let mut branch = 0;
        for node in &self.graph.nodes {
            let input = |i: usize| -> Result<&Tensor> {
                let index = node.inputs.get(i).copied();
                index
                    .and_then(|i| values.get(i))
                    .with_context(|| format!("node `{}` lacks an input", node.name))
            };
            let value = match &node.op {
                Op::Input => pictures.to_kind(self.compute),
                Op::Conv(conv) => self.convolve(&node.name, conv, input(0)?)?,
                Op::BatchNorm(eps) => self.normalise(&node.name, *eps, input(0)?, mode)?,
                Op::Relu => input(0)?.relu(),
                Op::Relu6 => input(0)?.relu6(),
                Op::Add => {
                    branch += 1;
                    let dropped = self.drop_branches * f64::from(branch) / branches as f64;
                    if mode == Mode::Train && dropped > 0.0 {
                        thinned_out(input(0)?, dropped) + input(1)?
                    } else {
                        input(0)? + input(1)?
                    }
                }
                Op::Concat => {
                    let all = (0..node.inputs.len()).map(input);
                    Tensor::cat(&all.collect::<Result<Vec<_>>>()?, 1)
                }
                Op::UpsampleNearest(f) => {
                    let x = input(0)?;
                    x.upsample_nearest2d(enlarged(x, *f), None, None)
                }
                Op::UpsampleBilinear(f) => {
                    let x = input(0)?;
                    x.upsample_bilinear2d(enlarged(x, *f), false, None, None)
                }
                Op::MaxPool(pool) => max_pool(input(0)?, pool)?,
                Op::MaxUnpool => max_unpool(input(0)?, input(1)?),
                Op::DepthToSpace(f) => input(0)?.pixel_shuffle(*f as i64),
                Op::GlobalMean => input(0)?.mean_dim([2_i64, 3].as_slice(), true, None::<Kind>),
                Op::Spread => {
                    let (one, like) = (input(0)?, input(1)?);
                    let size = like.size();
                    one.expand([-1, -1, extent(&size, 2), extent(&size, 3)], false)
                }
            };
            values.push(value);
        }
        let logits = values.pop().context("the graph is empty")?;
        Ok(logits.to_kind(Kind::Float))
    }

    fn tensor(&self, node: &str, part: &str) -> Result<&Tensor> {
        self.tensors
            .get(&format!("{node}.{part}"))
            .with_context(|| format!("no parameter `{node}.{part}`"))
    }

    fn convolve(&self, name: &str, op: &Conv, x: &Tensor) -> Result<Tensor> {
        let Conv {
            kernel,
            stride,
            groups,
            has_bias,
            dilation,
            ..
        } = *op;
        let size = x.size();
        let (Some(&h), Some(&w)) = (size.get(2), size.get(3)) else {
            anyhow::bail!("`{name}` reads a tensor that is no picture");
        };
        let (top, bottom) = op.padding.of(h as usize, op.window(), stride);
        let (left, right) = op.padding.of(w as usize, op.window(), stride);
        let is_depthwise = groups > 1;
        let is_on_cpu = x.device() == Device::Cpu;
        // oneDNN has no bfloat16 kernel for the data gradient of a depthwise convolution with a stride, and falls back to one
        // that takes longer than the rest of the network; its 32-bit one is fast.
        let kind = if is_on_cpu && is_depthwise && stride > 1 {
            Kind::Float
        } else {
            self.compute
        };
        let weight = self.tensor(name, "weight")?.to_kind(kind);
        let sides = [left, right, top, bottom].map(|v| v as i64);
        if is_on_cpu && is_depthwise && kernel == 5 && dilation == 1 {
            let y = depthwise_5x5(&x.to_kind(kind), &weight, sides, stride as i64);
            return Ok(y.to_kind(self.compute));
        }
        // Only a symmetric padding can be left to the convolution itself.
        let (x, padding) = if (top, left) == (bottom, right) {
            (x.to_kind(kind), [top as i64, left as i64])
        } else {
            (x.to_kind(kind).constant_pad_nd(sides), [0, 0])
        };
        let bias = if has_bias {
            Some(self.tensor(name, "bias")?.to_kind(kind))
        } else {
            None
        };
        let y = x.conv2d(
            &weight,
            bias,
            [stride as i64; 2],
            padding,
            [dilation as i64; 2],
            groups as i64,
        );
        Ok(y.to_kind(self.compute))
    }

    fn normalise(&self, name: &str, eps: f32, x: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(x.batch_norm(
            Some(self.tensor(name, "weight")?),
            Some(self.tensor(name, "bias")?),
            Some(self.tensor(name, "running_mean")?),
            Some(self.tensor(name, "running_var")?),
            mode == Mode::Train,
            STATISTICS_MOMENTUM,
            f64::from(eps),
            true,
        ))
    }
}

/// Sets a branch to 0 in a share of the samples, and makes it larger in the others, so that its mean stays.
fn thinned_out(branch: &Tensor, share: f64) -> Tensor {
    let samples = branch.size().first().copied().unwrap_or(1);
    let chance = Tensor::full(
        [samples, 1, 1, 1],
        1.0 - share,
        (branch.kind(), branch.device()),
    );
    branch * chance.bernoulli() / (1.0 - share)
}

fn max_pool(x: &Tensor, p: &Pool) -> Result<Tensor> {
    let size = x.size();
    let sides = |axis| {
        let (before, after) = p
            .padding
            .of(extent(&size, axis) as usize, p.kernel, p.stride);
        [before as i64, after as i64]
    };
    let ([top, bottom], [left, right]) = (sides(2), sides(3));
    let outside = Some(f64::NEG_INFINITY);
    let padded = if [top, bottom, left, right] == [0; 4] {
        x.shallow_clone()
    } else {
        x.f_pad([left, right, top, bottom], "constant", outside)?
    };
    Ok(padded.max_pool2d(
        [p.kernel as i64; 2],
        [p.stride as i64; 2],
        [0, 0],
        [1, 1],
        false,
    ))
}

/// Each value to where its window of `before` has its largest value. In 32 bits: the sorting of values by place has no other form.
fn max_unpool(values: &Tensor, before: &Tensor) -> Tensor {
    let size = before.size();
    let (_, places) = before
        .detach()
        .to_kind(Kind::Float)
        .max_pool2d_with_indices([2, 2], [2, 2], [0, 0], [1, 1], false);
    values
        .to_kind(Kind::Float)
        .max_unpool2d(&places, [extent(&size, 2), extent(&size, 3)])
        .to_kind(values.kind())
}

fn extent(size: &[i64], axis: usize) -> i64 {
    size.get(axis).copied().unwrap_or(0)
}

/// Rows and columns of a picture enlarged by a whole factor.
fn enlarged(x: &Tensor, factor: usize) -> [i64; 2] {
    let size = x.size();
    [2, 3].map(|axis| extent(&size, axis) * factor as i64)
}

/// A depthwise 5x5 convolution as the sum of four 3x3 ones, of a kernel with a sixth row and column of zeros. oneDNN has no
/// fast weight gradient for 5x5 (its fallback takes a fifth of a training step), and a very fast one for 3x3.
fn depthwise_5x5(x: &Tensor, weight: &Tensor, sides: [i64; 4], stride: i64) -> Tensor {
    let size = x.size();
    let extent = |axis: usize, padding: i64| size.get(axis).copied().unwrap_or(0) + padding;
    let [left, right, top, bottom] = sides;
    let (rows, columns) = (extent(2, top + bottom), extent(3, left + right));
    let x = x.constant_pad_nd([left, right + 1, top, bottom + 1]);
    let weight = weight.constant_pad_nd([0, 1, 0, 1]);
    let groups = extent(1, 0);
    let part = |i: i64, j: i64| {
        // Rows and columns that the 3x3 kernel at this corner of the 6x6 one looks at.
        let x = x.narrow(2, i, rows - 2).narrow(3, j, columns - 2);
        let weight = weight.narrow(2, i, 3).narrow(3, j, 3);
        x.conv2d(&weight, None::<Tensor>, [stride; 2], [0, 0], [1, 1], groups)
    };
    part(0, 0) + part(0, 3) + part(3, 0) + part(3, 3)
}

/// A parameter as a torch tensor on the CPU.
pub(crate) fn tensor_of(p: &Parameter) -> Tensor {
    let shape: Vec<i64> = p.shape.iter().map(|&v| v as i64).collect();
    Tensor::from_slice(&p.values).reshape(shape)
}

/// A torch tensor as plain numbers.
pub(crate) fn parameter_of(t: &Tensor) -> Result<Parameter> {
    let flat = t.detach().to_device(Device::Cpu).to_kind(Kind::Float);
    let flat = flat.contiguous().view(-1);
    let values = Vec::<f32>::try_from(&flat)?;
    let shape = t.size().iter().map(|&v| v as usize).collect();
    Ok(Parameter { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{random_picture, through_tract};
    use crate::graph::Padding;
    use crate::initial::initial;
    use crate::networks;
    use crate::onnx::{WeightForm, write};

    /// The four 3x3 parts must give what one 5x5 convolution gives, for both strides and odd sizes.
    #[test]
    fn a_depthwise_5x5_is_the_sum_of_its_parts() {
        for (h, w, stride) in [(16_i64, 24_i64, 1), (16, 24, 2), (15, 9, 2), (7, 11, 1)] {
            let x = Tensor::randn([2, 6, h, w], (Kind::Float, Device::Cpu));
            let weight = Tensor::randn([6, 1, 5, 5], (Kind::Float, Device::Cpu));
            let (top, bottom) = Padding::Same.of(h as usize, 5, stride);
            let (left, right) = Padding::Same.of(w as usize, 5, stride);
            let sides = [left, right, top, bottom].map(|v| v as i64);
            let stride = stride as i64;
            let parts = depthwise_5x5(&x, &weight, sides, stride);
            let padded = x.constant_pad_nd(sides);
            let whole = padded.conv2d(&weight, None::<Tensor>, [stride; 2], [0, 0], [1, 1], 6);
            assert_eq!(parts.size(), whole.size());
            let difference = f64::try_from((parts - whole).abs().max()).unwrap();
            assert!(difference < 1e-4, "{h}x{w} stride {stride}: {difference}");
        }
    }

    /// What is trained must be what flies: the same logits from libtorch's executor and from tract on the exported file.
    #[test]
    fn every_network_says_the_same_in_libtorch_and_in_tract() {
        for network in networks::Network::ALL {
            let network = match network {
                networks::Network::Unet(_) => networks::Network::Unet(16),
                other => other,
            };
            let graph = network.graph(64, 96, 24).unwrap();
            let parameters = initial(&graph, 3).unwrap();
            let picture = random_picture(&graph, 3);
            let file = write(&graph, &parameters, WeightForm::Float).unwrap();
            let flown = through_tract(&file, graph.input, &picture).unwrap();
            let input = Tensor::from_slice(&picture).view([1, 3, 64, 96]);
            let trained = Network::new(graph, &parameters, Device::Cpu, Kind::Float).unwrap();
            let logits = tch::no_grad(|| trained.forward(&input, Mode::Eval)).unwrap();
            let logits = parameter_of(&logits).unwrap().values;
            assert_eq!(logits.len(), flown.len(), "{network}");
            let largest = logits.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            let apart = logits.iter().zip(&flown).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0_f32, f32::max) / largest;
            assert!(
                largest > 1e-3 && apart < 1e-4,
                "{network}: {apart} of {largest}"
            );
        }
    }
}
