//! A network as plain data: a list of operations that the trainer executes and the ONNX writer walks.
//!
//! Terms: a *node* is one operation with a name; its parameters are named after it (`<name>.weight`, `<name>.bias`,
//! `<name>.running_mean`, `<name>.running_var`). Invariants: nodes stand in the order in which they can be executed (inputs
//! before users), node 0 is the input picture, the last node is the output.

use std::collections::BTreeMap;

use thiserror::Error;

/// Channels, rows, columns of one picture's tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether it holds no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The picture.
    Input,
    /// Convolution with TensorFlow's SAME padding: `ceil(size / stride)` rows and columns come out, and an odd padding puts
    /// its extra pixel at the bottom and right. For stride 1 and odd kernels this is the usual symmetric padding.
    Conv {
        /// Output channels.
        out: usize,
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Step in both directions.
        stride: usize,
        /// Groups; equal to the input channels for a depthwise convolution.
        groups: usize,
        /// Whether it adds a bias.
        has_bias: bool,
    },
    /// Batch normalisation with this epsilon.
    BatchNorm(f32),
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// Sum of two tensors of one shape.
    Add,
    /// Joins along channels.
    Concat,
    /// Enlarges by a whole factor, each pixel repeated.
    UpsampleNearest(usize),
    /// Enlarges by a whole factor, bilinear between pixel centres (half-pixel convention).
    UpsampleBilinear(usize),
}

/// A named operation and the nodes that it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, unique in the graph.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Indices of the nodes it reads.
    pub inputs: Vec<usize>,
}

/// What a parameter is, which decides its first value and whether training changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Convolution weights `[out, in / groups, kernel, kernel]`.
    ConvWeight,
    /// A bias, starts at 0.
    Bias,
    /// Batch norm's scale, starts at 1.
    Scale,
    /// Batch norm's running mean, starts at 0; a statistic, not trained.
    RunningMean,
    /// Batch norm's running variance, starts at 1; a statistic, not trained.
    RunningVariance,
}

impl ParameterKind {
    /// Whether the optimizer changes it.
    #[must_use]
    pub const fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// A parameter that the graph needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Full name, `<node>.<part>`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: ParameterKind,
}

/// What is wrong with a graph.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GraphError {
    /// A node reads one that does not come before it.
    #[error("node `{0}` reads a node that does not come before it")]
    Order(String),
    /// Two nodes share a name.
    #[error("two nodes are named `{0}`")]
    Name(String),
    /// A node's inputs do not fit its operation.
    #[error("node `{node}`: {what}")]
    Inputs {
        /// The node.
        node: String,
        /// What does not fit.
        what: String,
    },
}

/// A network.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Name of the architecture, written to checkpoints and the manifest.
    pub name: String,
    /// Shape of the input.
    pub input: Shape,
    /// The operations.
    pub nodes: Vec<Node>,
}

/// Padding (before, after) along one axis, so that `ceil(size / stride)` values come out.
#[must_use]
pub const fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let out = size.div_ceil(stride);
    let total = ((out - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

impl Graph {
    /// An empty network on this input.
    #[must_use]
    pub fn new(name: &str, input: Shape) -> Self {
        let nodes = vec![Node {
            name: "picture".to_owned(),
            op: Op::Input,
            inputs: Vec::new(),
        }];
        Self {
            name: name.to_owned(),
            input,
            nodes,
        }
    }

    /// Appends a node and returns its index.
    pub fn push(&mut self, name: impl Into<String>, op: Op, inputs: &[usize]) -> usize {
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
        });
        self.nodes.len() - 1
    }

    /// The shape that each node puts out.
    ///
    /// # Errors
    /// When nodes are out of order, share a name, or do not fit together; the message names the node.
    pub fn shapes(&self) -> Result<Vec<Shape>, GraphError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        let mut names = std::collections::BTreeSet::new();
        for node in &self.nodes {
            if !names.insert(&node.name) {
                return Err(GraphError::Name(node.name.clone()));
            }
            let inputs = node
                .inputs
                .iter()
                .map(|&i| shapes.get(i).copied())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| GraphError::Order(node.name.clone()))?;
            let shape = self.shape_of(node, &inputs);
            shapes.push(shape.map_err(|what| GraphError::Inputs {
                node: node.name.clone(),
                what,
            })?);
        }
        Ok(shapes)
    }

    fn shape_of(&self, node: &Node, inputs: &[Shape]) -> Result<Shape, String> {
        match (&node.op, inputs) {
            (Op::Input, []) => Ok(self.input),
            (
                &Op::Conv {
                    out,
                    kernel,
                    stride,
                    groups,
                    ..
                },
                [s],
            ) => {
                if [kernel, stride, groups, out].contains(&0)
                    || s.channels % groups != 0
                    || out % groups != 0
                {
                    return Err(format!(
                        "a convolution of {} to {out} channels cannot have {groups} groups, kernel {kernel}, stride {stride}",
                        s.channels
                    ));
                }
                Ok(Shape {
                    channels: out,
                    height: s.height.div_ceil(stride),
                    width: s.width.div_ceil(stride),
                })
            }
            (Op::BatchNorm(_) | Op::Relu | Op::Relu6, [s]) => Ok(*s),
            (Op::Add, [a, b]) if a == b => Ok(*a),
            (Op::Concat, [first, rest @ ..])
                if rest
                    .iter()
                    .all(|s| (s.height, s.width) == (first.height, first.width)) =>
            {
                Ok(Shape {
                    channels: inputs.iter().map(|s| s.channels).sum(),
                    ..*first
                })
            }
            (&(Op::UpsampleNearest(f) | Op::UpsampleBilinear(f)), [s]) if f > 0 => Ok(Shape {
                channels: s.channels,
                height: s.height * f,
                width: s.width * f,
            }),
            _ => Err(format!("{:?} cannot read inputs of {inputs:?}", node.op)),
        }
    }

    /// Every parameter that the graph needs, in the order of the nodes.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn parameters(&self) -> Result<Vec<ParameterSpec>, GraphError> {
        use ParameterKind as K;
        let shapes = self.shapes()?;
        let mut specs = Vec::new();
        for (node, out) in self.nodes.iter().zip(&shapes) {
            let channels_in = node
                .inputs
                .first()
                .and_then(|&i| shapes.get(i))
                .map_or(0, |s| s.channels);
            let mut push = |part: &str, shape: Vec<usize>, kind| {
                specs.push(ParameterSpec {
                    name: format!("{}.{part}", node.name),
                    shape,
                    kind,
                });
            };
            match node.op {
                Op::Conv {
                    out,
                    kernel,
                    groups,
                    has_bias,
                    ..
                } => {
                    let shape = vec![out, channels_in / groups, kernel, kernel];
                    push("weight", shape, K::ConvWeight);
                    if has_bias {
                        push("bias", vec![out], K::Bias);
                    }
                }
                Op::BatchNorm(_) => {
                    push("weight", vec![out.channels], K::Scale);
                    push("bias", vec![out.channels], K::Bias);
                    push("running_mean", vec![out.channels], K::RunningMean);
                    push("running_var", vec![out.channels], K::RunningVariance);
                }
                _ => {}
            }
        }
        Ok(specs)
    }

    /// Multiply-accumulates of one run, in units of one.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn macs(&self) -> Result<u64, GraphError> {
        let shapes = self.shapes()?;
        let mut outputs: BTreeMap<&str, u64> = BTreeMap::new();
        for (node, s) in self.nodes.iter().zip(&shapes) {
            outputs.insert(&node.name, (s.height * s.width) as u64);
        }
        let specs = self.parameters()?;
        let convolutions = specs.iter().filter(|p| p.kind == ParameterKind::ConvWeight);
        Ok(convolutions
            .map(|p| {
                let node = p.name.trim_end_matches(".weight");
                let weights: usize = p.shape.iter().product();
                weights as u64 * outputs.get(node).copied().unwrap_or(0)
            })
            .sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Shape = Shape {
        channels: 3,
        height: 256,
        width: 384,
    };

    fn conv(out: usize, kernel: usize, stride: usize, groups: usize) -> Op {
        Op::Conv {
            out,
            kernel,
            stride,
            groups,
            has_bias: true,
        }
    }

    #[test]
    fn same_padding_puts_the_odd_pixel_behind() {
        assert_eq!(same_padding(256, 3, 2), (0, 1));
        assert_eq!(same_padding(257, 3, 2), (1, 1));
        assert_eq!(same_padding(256, 5, 2), (1, 2));
        assert_eq!(same_padding(256, 3, 1), (1, 1));
        assert_eq!(same_padding(256, 1, 2), (0, 0));
    }

    #[test]
    fn shapes_follow_strides_joins_and_enlargement() {
        let mut g = Graph::new("t", INPUT);
        let a = g.push("a", conv(8, 3, 2, 1), &[0]);
        let b = g.push("b", conv(8, 5, 2, 8), &[a]);
        let up = g.push("up", Op::UpsampleNearest(2), &[b]);
        g.push("join", Op::Concat, &[up, a]);
        let last = *g.shapes().unwrap().last().unwrap();
        assert_eq!((last.channels, last.height, last.width), (16, 128, 192));
        let names: Vec<String> = g
            .parameters()
            .unwrap()
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, ["a.weight", "a.bias", "b.weight", "b.bias"]);
        assert_eq!(g.macs().unwrap(), 8 * 27 * 128 * 192 + 8 * 25 * 64 * 96);
    }

    #[test]
    fn a_graph_that_does_not_fit_names_the_node() {
        let mut g = Graph::new("t", INPUT);
        let a = g.push("a", conv(8, 3, 2, 1), &[0]);
        g.push("sum", Op::Add, &[a, 0]);
        assert!(matches!(g.shapes(), Err(GraphError::Inputs { node, .. }) if node == "sum"));
        let mut g = Graph::new("t", INPUT);
        g.push("early", Op::Relu, &[2]);
        assert_eq!(g.shapes(), Err(GraphError::Order("early".into())));
        let mut g = Graph::new("t", INPUT);
        g.push("odd", conv(8, 3, 1, 2), &[0]);
        assert!(g.shapes().is_err());
    }
}
