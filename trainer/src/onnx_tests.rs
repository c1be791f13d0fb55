//! What tract makes of the written files, against a plain execution of the graph.

use super::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::{
    Framework as _, InferenceModelExt as _, IntoRunnable as _, Tensor, tvec,
};

use crate::graph::{Padding, ParameterKind};

/// A picture's values with their shape.
struct Plane {
    shape: Shape,
    values: Vec<f32>,
}

impl Plane {
    fn at(&self, c: usize, y: isize, x: isize) -> f32 {
        let Shape { height, width, .. } = self.shape;
        if y < 0 || x < 0 || y as usize >= height || x as usize >= width {
            return 0.0;
        }
        self.values[(c * height + y as usize) * width + x as usize]
    }
}

/// Executes a graph slowly and plainly.
#[expect(
    clippy::too_many_lines,
    clippy::excessive_nesting,
    reason = "the plainest executor there is, to compare with"
)]
fn execute(graph: &Graph, parameters: &Parameters, picture: &[f32]) -> Vec<f32> {
    let shapes = graph.shapes().unwrap();
    let mut planes: Vec<Plane> = Vec::new();
    for (node, &shape) in graph.nodes.iter().zip(&shapes) {
        let input = |i: usize| &planes[node.inputs[i]];
        let get = |part: &str| &parameters[&format!("{}.{part}", node.name)].values;
        let each = |f: &dyn Fn(usize, usize, usize) -> f32| -> Vec<f32> {
            let mut values = Vec::new();
            for c in 0..shape.channels {
                for y in 0..shape.height {
                    values.extend((0..shape.width).map(|x| f(c, y, x)));
                }
            }
            values
        };
        let values = match node.op {
            Op::Input => picture.to_vec(),
            Op::Conv(c) => {
                let Conv {
                    kernel,
                    stride,
                    groups,
                    has_bias,
                    dilation,
                    padding,
                    ..
                } = c;
                let x = input(0);
                let top = padding.of(x.shape.height, c.window(), stride).0 as isize;
                let left = padding.of(x.shape.width, c.window(), stride).0 as isize;
                let (per_in, per_out) = (x.shape.channels / groups, shape.channels / groups);
                let weight = get("weight");
                each(&|c, oy, ox| {
                    let mut sum = if has_bias { get("bias")[c] } else { 0.0 };
                    for i in 0..per_in {
                        for (ky, kx) in (0..kernel * kernel).map(|k| (k / kernel, k % kernel)) {
                            let y = (oy * stride + ky * dilation) as isize - top;
                            let x_ = (ox * stride + kx * dilation) as isize - left;
                            let w = weight[((c * per_in + i) * kernel + ky) * kernel + kx];
                            sum += w * x.at(c / per_out * per_in + i, y, x_);
                        }
                    }
                    sum
                })
            }
            Op::BatchNorm(eps) => {
                let x = input(0);
                each(&|c, y, col| {
                    let v = x.at(c, y as isize, col as isize) - get("running_mean")[c];
                    v / (get("running_var")[c] + eps).sqrt() * get("weight")[c] + get("bias")[c]
                })
            }
            Op::Relu => input(0).values.iter().map(|v| v.max(0.0)).collect(),
            Op::Relu6 => input(0).values.iter().map(|v| v.clamp(0.0, 6.0)).collect(),
            Op::Add => {
                let pairs = input(0).values.iter().zip(&input(1).values);
                pairs.map(|(a, b)| a + b).collect()
            }
            Op::Concat => node
                .inputs
                .iter()
                .flat_map(|&i| planes[i].values.clone())
                .collect(),
            Op::UpsampleNearest(f) => {
                let x = input(0);
                each(&|c, y, col| x.at(c, (y / f) as isize, (col / f) as isize))
            }
            Op::UpsampleBilinear(f) => {
                let x = input(0);
                let (h, w) = (x.shape.height, x.shape.width);
                let look = |at: usize, size: usize| {
                    let s = ((at as f32 + 0.5) / f as f32 - 0.5).clamp(0.0, (size - 1) as f32);
                    let low = s.floor();
                    (
                        low as isize,
                        (low as usize + 1).min(size - 1) as isize,
                        s - low,
                    )
                };
                each(&|c, y, col| {
                    let ((y0, y1, fy), (x0, x1, fx)) = (look(y, h), look(col, w));
                    let row = |y| x.at(c, y, x0) * (1.0 - fx) + x.at(c, y, x1) * fx;
                    row(y0) * (1.0 - fy) + row(y1) * fy
                })
            }
            Op::MaxPool(p) => {
                let x = input(0);
                let (h, w) = (x.shape.height, x.shape.width);
                let (top, left) = (
                    p.padding.of(h, p.kernel, p.stride).0,
                    p.padding.of(w, p.kernel, p.stride).0,
                );
                each(&|c, oy, ox| {
                    let mut most = f32::NEG_INFINITY;
                    for (ky, kx) in (0..p.kernel * p.kernel).map(|k| (k / p.kernel, k % p.kernel)) {
                        let (y, col) = (oy * p.stride + ky, ox * p.stride + kx);
                        if (top..top + h).contains(&y) && (left..left + w).contains(&col) {
                            most = most.max(x.at(c, (y - top) as isize, (col - left) as isize));
                        }
                    }
                    most
                })
            }
            Op::MaxUnpool => {
                let (x, before) = (input(0), input(1));
                each(&|c, y, col| {
                    let corner = (y / 2 * 2, col / 2 * 2);
                    let at = |k: usize| {
                        before.at(c, (corner.0 + k / 2) as isize, (corner.1 + k % 2) as isize)
                    };
                    // The first of the largest.
                    let place = (0..4).fold(0, |best, k| if at(k) > at(best) { k } else { best });
                    let is_here = place == (y % 2) * 2 + col % 2;
                    if is_here {
                        x.at(c, (y / 2) as isize, (col / 2) as isize)
                    } else {
                        0.0
                    }
                })
            }
            Op::DepthToSpace(f) => {
                let x = input(0);
                each(&|c, y, col| {
                    let channel = c * f * f + (y % f) * f + col % f;
                    x.at(channel, (y / f) as isize, (col / f) as isize)
                })
            }
            Op::GlobalMean => {
                let x = input(0);
                let plane = x.shape.height * x.shape.width;
                x.values
                    .chunks(plane)
                    .map(|v| v.iter().sum::<f32>() / plane as f32)
                    .collect()
            }
            Op::Spread => each(&|c, _, _| input(0).at(c, 0, 0)),
        };
        planes.push(Plane { shape, values });
    }
    planes.pop().unwrap().values
}

fn tract(file: &[u8], input: Shape, picture: &[f32]) -> Vec<f32> {
    let model = tract_onnx::onnx()
        .model_for_read(&mut std::io::Cursor::new(file))
        .unwrap();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let shape = [1, input.channels, input.height, input.width];
    let tensor = Tensor::from_shape(&shape, picture).unwrap();
    let out = model.run(tvec!(tensor.into())).unwrap();
    out[0]
        .try_as_plain_ram()
        .unwrap()
        .as_slice::<f32>()
        .unwrap()
        .to_vec()
}

fn conv(out: usize, kernel: usize, stride: usize, groups: usize, has_bias: bool) -> Op {
    Op::Conv(Conv {
        stride,
        groups,
        has_bias,
        ..Conv::new(out, kernel)
    })
}

/// A small network with every operation: odd and even sizes, both paddings, strides, a depthwise 5x5, a sum, both enlargements.
fn network() -> Graph {
    let input = Shape {
        channels: 3,
        height: 20,
        width: 28,
    };
    let mut g = Graph::new("small", input);
    let a = g.push("a", conv(8, 3, 2, 1, false), &[0]);
    let a = g.push("a.bn", Op::BatchNorm(1e-3), &[a]);
    let a = g.push("a.relu", Op::Relu6, &[a]);
    let b = g.push("b", conv(8, 5, 2, 8, false), &[a]);
    let b = g.push("b.bn", Op::BatchNorm(1e-5), &[b]);
    let c = g.push("c", conv(8, 1, 1, 1, true), &[b]);
    let sum = g.push("sum", Op::Add, &[c, b]);
    let up = g.push("up", Op::UpsampleNearest(2), &[sum]);
    let join = g.push("join", Op::Concat, &[up, a]);
    let d = g.push("d", conv(6, 3, 1, 1, true), &[join]);
    let d = g.push("d.bn", Op::BatchNorm(1e-5), &[d]);
    let d = g.push("d.relu", Op::Relu, &[d]);
    g.push("large", Op::UpsampleBilinear(2), &[d]);
    g
}

/// The operations of the classic networks: poolings and their undoing, dilation, torch's padding, squares out of channels, the
/// mean of the picture.
fn classic() -> Graph {
    let input = Shape {
        channels: 3,
        height: 20,
        width: 28,
    };
    let mut g = Graph::new("classic", input);
    let dilated = Conv {
        dilation: 2,
        ..Conv::new(8, 3)
    };
    let a = g.push("a", Op::Conv(dilated), &[0]);
    let a = g.push("a.relu", Op::Relu, &[a]);
    let pooled = g.push("pool", Op::MaxPool(Pool::HALF), &[a]);
    let half = Conv {
        stride: 2,
        padding: Padding::Half,
        ..Conv::new(8, 7)
    };
    let b = g.push("b", Op::Conv(half), &[pooled]);
    let wide = Pool {
        kernel: 3,
        stride: 2,
        padding: Padding::Half,
    };
    let c = g.push("c", Op::MaxPool(wide), &[b]);
    let mean = g.push("mean", Op::GlobalMean, &[c]);
    let mean = g.push("mean.conv", conv(4, 1, 1, 1, true), &[mean]);
    let spread = g.push("spread", Op::Spread, &[mean, b]);
    let join = g.push("join", Op::Concat, &[b, spread]);
    let join = g.push("mix", conv(32, 1, 1, 1, true), &[join]);
    let large = g.push("large", Op::DepthToSpace(2), &[join]);
    let back = g.push("unpool", Op::MaxUnpool, &[large, a, pooled]);
    g.push("last", conv(6, 3, 1, 1, true), &[back]);
    g
}

fn random(graph: &Graph, seed: u64) -> (Parameters, Vec<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = Parameters::new();
    for spec in graph.parameters().unwrap() {
        let range = match spec.kind {
            ParameterKind::Scale | ParameterKind::RunningVariance => 0.5..1.5,
            _ => -0.4..0.4,
        };
        let count: usize = spec.shape.iter().product();
        let values = (0..count)
            .map(|_| rng.random_range(range.clone()))
            .collect();
        parameters.insert(
            spec.name,
            Parameter {
                shape: spec.shape,
                values,
            },
        );
    }
    let picture = (0..graph.input.len())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    (parameters, picture)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn tract_computes_what_the_graph_says() {
    for (graph, seed) in [network(), classic()]
        .iter()
        .flat_map(|g| (0..4).map(move |s| (g, s)))
    {
        let (parameters, picture) = random(graph, seed);
        let wanted = execute(graph, &parameters, &picture);
        assert!(
            wanted.iter().any(|v| v.abs() > 0.1),
            "the case must say something"
        );
        let file = write(graph, &parameters, WeightForm::Float).unwrap();
        let got = tract(&file, graph.input, &picture);
        let difference = largest_difference(&wanted, &got);
        assert!(
            difference < 1e-4,
            "{}, seed {seed}: {difference}",
            graph.name
        );
    }
}

#[test]
fn int8_weights_stay_within_their_rounding() {
    let graph = network();
    let (parameters, picture) = random(&graph, 9);
    let wanted = execute(&graph, &parameters, &picture);
    let file = write(&graph, &parameters, WeightForm::Int8).unwrap();
    let got = tract(&file, graph.input, &picture);
    let largest = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let difference = largest_difference(&wanted, &got);
    assert!(
        difference > 0.0 && difference < 0.03 * largest,
        "{difference} of {largest}"
    );
    // What tract computes is the function of the rounded weights, not an approximation of it.
    let (folded, mut rounded) = fold_batch_norm(&graph, &parameters).unwrap();
    for (name, p) in &mut rounded {
        if name.ends_with(".weight") {
            let (integers, scales) = quantize(p);
            let filter = integers.len() / scales.len();
            let values = integers.iter().enumerate();
            p.values = values
                .map(|(i, &v)| f32::from(v) * scales[i / filter])
                .collect();
        }
    }
    let wanted = execute(&folded, &rounded, &picture);
    assert!(largest_difference(&wanted, &got) < 1e-4);
}

#[test]
fn folding_keeps_the_function() {
    let graph = network();
    let (parameters, picture) = random(&graph, 5);
    let (folded, kept) = fold_batch_norm(&graph, &parameters).unwrap();
    assert!(
        folded
            .nodes
            .iter()
            .all(|n| !matches!(n.op, Op::BatchNorm(_)))
    );
    let a = execute(&graph, &parameters, &picture);
    let b = execute(&folded, &kept, &picture);
    assert!(largest_difference(&a, &b) < 1e-4);
}

#[test]
fn a_batch_norm_that_cannot_be_folded_is_named() {
    let mut g = Graph::new(
        "t",
        Shape {
            channels: 2,
            height: 4,
            width: 4,
        },
    );
    let a = g.push("a", conv(2, 3, 1, 1, false), &[0]);
    let n = g.push("norm", Op::BatchNorm(1e-5), &[a]);
    g.push("sum", Op::Add, &[n, a]);
    let (parameters, _) = random(&g, 1);
    let error = write(&g, &parameters, WeightForm::Float).unwrap_err();
    assert_eq!(error, OnnxError::Unfoldable("norm".into()));
    let mut few = parameters.clone();
    few.remove("a.weight");
    let error = write(&network(), &few, WeightForm::Float).unwrap_err();
    assert_eq!(error, OnnxError::Missing("a.weight".into()));
}

#[test]
fn quantized_weights_are_off_by_half_a_step_at_most() {
    let weight = Parameter {
        shape: vec![3, 2],
        values: vec![0.5, -1.0, 0.0, 0.0, 100.0, 0.3],
    };
    let (integers, scales) = quantize(&weight);
    assert_eq!(integers[1], -127);
    assert_eq!(&integers[2..4], [0, 0], "a channel of zeros");
    for (i, v) in weight.values.iter().enumerate() {
        assert!((f32::from(integers[i]) * scales[i / 2] - v).abs() <= scales[i / 2] / 2.0 + 1e-6);
    }
}
