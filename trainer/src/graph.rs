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

/// Where a window stands when its size and step do not divide the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's SAME: as few pixels as are needed, an odd one at the bottom and right.
    Same,
    /// torch's habit: half the window on every side. Not the same function as `Same` where the step is above 1, so that weights
    /// trained with one do not fit the other well.
    Half,
}

impl Padding {
    /// Pixels (before, after) along an axis of `size`, so that `ceil(size / stride)` windows of `window` pixels fit.
    #[must_use]
    pub const fn of(self, size: usize, window: usize, stride: usize) -> (usize, usize) {
        let (least, rest) = same_padding(size, window, stride);
        match self {
            Self::Same => (least, rest),
            Self::Half => {
                let before = window.saturating_sub(1) / 2;
                // What no window reaches need not be there: a half padding at the end is often too much.
                (before, (least + rest).saturating_sub(before))
            }
        }
    }
}

/// A convolution. `ceil(size / stride)` rows and columns come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Groups; equal to the input channels for a depthwise convolution.
    pub groups: usize,
    /// Distance between the kernel's pixels: 1 where they touch.
    pub dilation: usize,
    /// Where the windows stand.
    pub padding: Padding,
    /// Whether it adds a bias.
    pub has_bias: bool,
}

impl Conv {
    /// A plain one: step 1, one group, no bias.
    #[must_use]
    pub const fn new(out: usize, kernel: usize) -> Self {
        Self {
            out,
            kernel,
            stride: 1,
            groups: 1,
            dilation: 1,
            padding: Padding::Same,
            has_bias: false,
        }
    }

    /// Rows and columns that one output pixel looks at.
    #[must_use]
    pub const fn window(&self) -> usize {
        (self.kernel.saturating_sub(1)) * self.dilation + 1
    }
}

/// A largest value of each window. `ceil(size / stride)` rows and columns come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Rows and columns of a window.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Where the windows stand; what lies outside the picture is never the largest.
    pub padding: Padding,
}

impl Pool {
    /// Two by two without overlap, the classic one.
    pub const HALF: Self = Self {
        kernel: 2,
        stride: 2,
        padding: Padding::Same,
    };
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The picture.
    Input,
    /// Convolution.
    Conv(Conv),
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
    /// Largest values of windows.
    MaxPool(Pool),
    /// Undoes [`Pool::HALF`]: reads values, the tensor before the pooling and the one after it; each value goes to where its window had
    /// its largest value (the first of equals, row by row), all else is 0. Sizes must be even.
    MaxUnpool,
    /// Enlarges by a whole factor `f`: of `f * f` neighbouring channels each pixel makes a square. A 1x1 convolution before it is
    /// a transposed convolution whose kernel and stride are `f`.
    DepthToSpace(usize),
    /// The mean of each channel: one pixel comes out.
    GlobalMean,
    /// Repeats a tensor of one pixel over the size of the second tensor.
    Spread,
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
            (Op::Conv(conv), [s]) => conv_shape(conv, *s),
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
            (Op::MaxPool(p), [s]) if p.kernel >= p.stride && p.stride > 0 => Ok(Shape {
                channels: s.channels,
                height: s.height.div_ceil(p.stride),
                width: s.width.div_ceil(p.stride),
            }),
            (Op::MaxUnpool, [values, before, after])
                if values == after
                    && (after.height * 2, after.width * 2) == (before.height, before.width)
                    && after.channels == before.channels =>
            {
                Ok(*before)
            }
            (&Op::DepthToSpace(f), [s]) if f > 0 && s.channels % (f * f) == 0 => Ok(Shape {
                channels: s.channels / (f * f),
                height: s.height * f,
                width: s.width * f,
            }),
            (Op::GlobalMean, [s]) => Ok(Shape {
                channels: s.channels,
                height: 1,
                width: 1,
            }),
            (Op::Spread, [one, like]) if (one.height, one.width) == (1, 1) => Ok(Shape {
                channels: one.channels,
                ..*like
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
                Op::Conv(c) => {
                    let shape = vec![c.out, channels_in / c.groups, c.kernel, c.kernel];
                    push("weight", shape, K::ConvWeight);
                    if c.has_bias {
                        push("bias", vec![c.out], K::Bias);
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

    /// Number of trained values.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn size(&self) -> Result<usize, GraphError> {
        let trained = self
            .parameters()?
            .into_iter()
            .filter(|p| p.kind.is_trained());
        Ok(trained.map(|p| p.shape.iter().product::<usize>()).sum())
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

fn conv_shape(c: &Conv, s: Shape) -> Result<Shape, String> {
    if [c.kernel, c.stride, c.groups, c.out, c.dilation].contains(&0)
        || !s.channels.is_multiple_of(c.groups)
        || !c.out.is_multiple_of(c.groups)
    {
        return Err(format!(
            "a convolution of {} to {} channels cannot have {} groups, kernel {}, stride {}, dilation {}",
            s.channels, c.out, c.groups, c.kernel, c.stride, c.dilation
        ));
    }
    Ok(Shape {
        channels: c.out,
        height: s.height.div_ceil(c.stride),
        width: s.width.div_ceil(c.stride),
    })
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
        Op::Conv(Conv {
            stride,
            groups,
            has_bias: true,
            ..Conv::new(out, kernel)
        })
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
    fn half_padding_reads_nothing_that_no_window_needs() {
        assert_eq!(
            Padding::Half.of(256, 7, 2),
            (3, 2),
            "torch pads (3, 3) and never reads the last"
        );
        assert_eq!(Padding::Half.of(256, 3, 1), (1, 1));
        assert_eq!(Padding::Half.of(255, 3, 2), (1, 1));
        assert_eq!(Padding::Half.of(256, 1, 2), (0, 0));
        assert_eq!(Padding::Same.of(256, 7, 2), (2, 3));
    }

    #[test]
    fn pooling_and_its_undoing_keep_the_shape() {
        let mut g = Graph::new("t", INPUT);
        let pooled = g.push("pool", Op::MaxPool(Pool::HALF), &[0]);
        let back = g.push("unpool", Op::MaxUnpool, &[pooled, 0, pooled]);
        let mean = g.push("mean", Op::GlobalMean, &[pooled]);
        let spread = g.push("spread", Op::Spread, &[mean, back]);
        let wide = g.push("wide", conv(8, 1, 1, 1), &[spread]);
        g.push("large", Op::DepthToSpace(2), &[wide]);
        let shapes = g.shapes().unwrap();
        assert_eq!(shapes[back], INPUT);
        assert_eq!(shapes[spread], INPUT);
        let last = shapes.last().unwrap();
        assert_eq!((last.channels, last.height, last.width), (2, 512, 768));
        let mut g = Graph::new("t", INPUT);
        let pooled = g.push("pool", Op::MaxPool(Pool::HALF), &[0]);
        g.push("unpool", Op::MaxUnpool, &[pooled, pooled, pooled]);
        assert!(matches!(g.shapes(), Err(GraphError::Inputs { node, .. }) if node == "unpool"));
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
