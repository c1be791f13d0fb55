//! Writes a network as ONNX: batch norm folded into the convolutions before it, weights stored as 8-bit integers with one
//! scale an output channel (`DequantizeLinear`, which runtimes fold when they load), biases as floats.

use prost::Message as _;
use thiserror::Error;
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

mod pieces;
mod rounded;

use self::pieces::{
    bilinear_attributes, conv_attributes, int, le_bytes, nearest_attributes, pool_attributes,
    tensor, text, value_info,
};
use crate::graph::{Conv, Graph, GraphError, Node, Op, Pool, Shape};
use crate::parameters::{Parameter, Parameters};

/// The ONNX operator set: 13 is the first with per-axis `DequantizeLinear`.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;
/// Largest magnitude of a stored weight.
const INT8_MAX: f32 = 127.0;

/// How convolution weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightForm {
    /// 32-bit floats.
    Float,
    /// 8-bit integers with a scale an output channel.
    Int8,
}

/// How an activation is rounded: `real = scale * (integer - zero)`, integers of -128..=127.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounding {
    /// Size of a step.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero: i8,
}

impl Rounding {
    /// The one whose integers span a range, which is widened to hold 0.
    #[must_use]
    pub fn of_range(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / 255.0).max(f32::MIN_POSITIVE * 1e6);
        let zero = (-128.0 - low / scale).round().clamp(-128.0, 127.0);
        Self {
            scale,
            zero: zero as i8,
        }
    }

    /// A value after rounding.
    #[must_use]
    pub fn round(&self, value: f32) -> f32 {
        let zero = f32::from(self.zero);
        let integer = ((value / self.scale).round() + zero).clamp(-128.0, 127.0);
        (integer - zero) * self.scale
    }
}

/// Roundings by the name of the node whose output is rounded.
pub type Roundings = std::collections::BTreeMap<String, Rounding>;

/// Which operators compute with rounded activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operators {
    /// `QuantizeLinear` and `DequantizeLinear` around float convolutions: runtimes that can, fuse them into integer ones.
    Qdq,
    /// `QLinearConv`: integers are multiplied as the file says.
    QLinear,
}

/// What a file holds beside the plain network.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// How weights are stored.
    pub weights: WeightForm,
    /// How the inputs of convolutions are rounded, and by which operators; `None`: not at all.
    pub activations: Option<(&'a Roundings, Operators)>,
    /// Nodes whose values come out as well, after the logits.
    pub shown: &'a [String],
}

/// Why a network cannot be written.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OnnxError {
    /// The graph itself is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A parameter is missing.
    #[error("no parameter `{0}`")]
    Missing(String),
    /// A batch norm that cannot be folded.
    #[error(
        "batch norm `{0}` does not directly follow a convolution that nothing else reads, so it cannot be folded"
    )]
    Unfoldable(String),
}

/// Folds every batch norm into the convolution before it: the same function with fewer operations.
///
/// # Errors
/// When a batch norm does not follow a convolution of its own, or a parameter is missing.
pub fn fold_batch_norm(
    graph: &Graph,
    parameters: &Parameters,
) -> Result<(Graph, Parameters), OnnxError> {
    let mut folded = Graph {
        name: graph.name.clone(),
        input: graph.input,
        nodes: Vec::new(),
    };
    let mut kept = Parameters::new();
    // Where each node of the old graph is found in the new one.
    let mut place: Vec<usize> = Vec::new();
    for node in &graph.nodes {
        let inputs: Vec<usize> = node
            .inputs
            .iter()
            .filter_map(|&i| place.get(i).copied())
            .collect();
        if let Op::BatchNorm(eps) = node.op {
            let unfoldable = || OnnxError::Unfoldable(node.name.clone());
            let (Some(&from), [input]) = (inputs.first(), node.inputs.as_slice()) else {
                return Err(unfoldable());
            };
            let readers = graph
                .nodes
                .iter()
                .filter(|n| n.inputs.contains(input))
                .count();
            let conv = folded.nodes.get_mut(from).filter(|_| readers == 1);
            let conv = conv.ok_or_else(unfoldable)?;
            let Op::Conv(convolution) = &mut conv.op else {
                return Err(unfoldable());
            };
            convolution.has_bias = true;
            absorb(&conv.name, &node.name, eps, parameters, &mut kept)?;
            place.push(from);
            continue;
        }
        if let Op::Conv(conv) = node.op {
            let parts = if conv.has_bias {
                &["weight", "bias"][..]
            } else {
                &["weight"]
            };
            for part in parts {
                let name = format!("{}.{part}", node.name);
                kept.insert(name.clone(), get(parameters, &name)?.clone());
            }
        }
        place.push(folded.nodes.len());
        folded.nodes.push(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
        });
    }
    Ok((folded, kept))
}

fn get<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a Parameter, OnnxError> {
    parameters
        .get(name)
        .ok_or_else(|| OnnxError::Missing(name.to_owned()))
}

/// `scale * (conv(x) - mean) / sqrt(variance + eps) + shift` as one convolution.
fn absorb(
    conv: &str,
    norm: &str,
    eps: f32,
    from: &Parameters,
    into: &mut Parameters,
) -> Result<(), OnnxError> {
    let part = |part: &str| get(from, &format!("{norm}.{part}"));
    let (scale, shift) = (&part("weight")?.values, &part("bias")?.values);
    let (mean, variance) = (&part("running_mean")?.values, &part("running_var")?.values);
    let factors: Vec<f32> = scale
        .iter()
        .zip(variance)
        .map(|(s, v)| (f64::from(*s) / (f64::from(*v) + f64::from(eps)).sqrt()) as f32)
        .collect();
    let weight_name = format!("{conv}.weight");
    let weight = into
        .get_mut(&weight_name)
        .ok_or_else(|| OnnxError::Missing(weight_name.clone()))?;
    let filter = weight.values.len() / factors.len().max(1);
    for (filter, factor) in weight.values.chunks_mut(filter.max(1)).zip(&factors) {
        for w in filter {
            *w *= factor;
        }
    }
    let bias_name = format!("{conv}.bias");
    let old = into.get(&bias_name).map(|b| b.values.clone());
    let old = old.unwrap_or_else(|| vec![0.0; factors.len()]);
    let values: Vec<f32> = old
        .iter()
        .zip(mean)
        .zip(shift.iter().zip(&factors))
        .map(|((b, m), (s, f))| (b - m) * f + s)
        .collect();
    let shape = vec![values.len()];
    into.insert(bias_name, Parameter { shape, values });
    Ok(())
}

/// Rounds weights to 8 bits: the integers and one scale for each entry of the first axis.
#[must_use]
pub fn quantize(weight: &Parameter) -> (Vec<i8>, Vec<f32>) {
    let channels = weight.shape.first().copied().unwrap_or(1).max(1);
    let filter = (weight.values.len() / channels).max(1);
    let mut integers = Vec::with_capacity(weight.values.len());
    let mut scales = Vec::with_capacity(channels);
    for values in weight.values.chunks(filter) {
        let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let scale = if largest > 0.0 {
            largest / INT8_MAX
        } else {
            1.0
        };
        integers.extend(
            values
                .iter()
                .map(|v| (v / scale).round().clamp(-INT8_MAX, INT8_MAX) as i8),
        );
        scales.push(scale);
    }
    (integers, scales)
}

/// The network as the bytes of an ONNX file. The input is `picture` `[1, channels, height, width]`, the output `logits`.
///
/// # Errors
/// When the graph is wrong, a parameter is missing, or a batch norm cannot be folded.
pub fn write(
    graph: &Graph,
    parameters: &Parameters,
    weights: WeightForm,
) -> Result<Vec<u8>, OnnxError> {
    let form = Form {
        weights,
        activations: None,
        shown: &[],
    };
    write_as(graph, parameters, form)
}

/// The same in any form.
///
/// # Errors
/// As [`write()`].
pub fn write_as(
    graph: &Graph,
    parameters: &Parameters,
    form: Form<'_>,
) -> Result<Vec<u8>, OnnxError> {
    let (graph, parameters) = fold_batch_norm(graph, parameters)?;
    let shapes = graph.shapes()?;
    let mut writer = Writer {
        parameters: &parameters,
        form: form.weights,
        activations: form.activations,
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    for (index, node) in graph.nodes.iter().enumerate() {
        let is_last = index + 1 == graph.nodes.len();
        let inputs: Vec<&Node> = node
            .inputs
            .iter()
            .filter_map(|&i| graph.nodes.get(i))
            .collect();
        let shape = node.inputs.first().and_then(|&i| shapes.get(i)).copied();
        let read = shape.unwrap_or(graph.input);
        let made = shapes.get(index).copied().unwrap_or(read);
        let output = if is_last { "logits" } else { &node.name };
        writer.node(node, &inputs, (read, made), output)?;
    }
    let last = shapes.last().copied().unwrap_or(graph.input);
    let mut outputs = vec![value_info("logits", last)];
    for (node, shape) in graph.nodes.iter().zip(&shapes) {
        if form.shown.contains(&node.name) {
            outputs.push(value_info(&node.name, *shape));
        }
    }
    let model = pb::ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![pb::OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        producer_name: "alight-trainer".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(pb::GraphProto {
            name: graph.name.clone(),
            node: writer.nodes,
            initializer: writer.initializers,
            input: vec![value_info("picture", graph.input)],
            output: outputs,
            ..Default::default()
        }),
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

struct Writer<'a> {
    parameters: &'a Parameters,
    form: WeightForm,
    activations: Option<(&'a Roundings, Operators)>,
    nodes: Vec<pb::NodeProto>,
    initializers: Vec<pb::TensorProto>,
}

impl Writer<'_> {
    fn node(
        &mut self,
        node: &Node,
        inputs: &[&Node],
        (shape, made): (Shape, Shape),
        output: &str,
    ) -> Result<(), OnnxError> {
        let mut names: Vec<String> = inputs.iter().map(|n| n.name.clone()).collect();
        let (op_type, attributes) = match &node.op {
            Op::Input => return Ok(()),
            Op::BatchNorm(_) => return Err(OnnxError::Unfoldable(node.name.clone())),
            Op::Conv(conv) => {
                let source = names.first().cloned().unwrap_or_default();
                let Some(read) = self.convolution((node, conv, shape), source, output)? else {
                    return Ok(());
                };
                names = read;
                ("Conv", conv_attributes(conv, shape))
            }
            Op::MaxPool(pool) => ("MaxPool", pool_attributes(pool, shape)),
            Op::MaxUnpool => {
                names = self.unpool(&node.name, &names, shape);
                ("Mul", vec![])
            }
            Op::DepthToSpace(f) => (
                "DepthToSpace",
                vec![int("blocksize", *f), text("mode", "CRD")],
            ),
            Op::GlobalMean => ("GlobalAveragePool", vec![]),
            Op::Spread => {
                // Not `Expand`: tract 0.23 fails on one that is joined with others and read by a 1x1 convolution.
                let one = names.first().cloned().unwrap_or_default();
                names = vec![one, String::new(), self.scales((made.height, made.width))];
                ("Resize", nearest_attributes())
            }
            Op::Relu => ("Relu", vec![]),
            Op::Relu6 => {
                names.push(self.constant("zero", 0.0));
                names.push(self.constant("six", 6.0));
                ("Clip", vec![])
            }
            Op::Add => ("Add", vec![]),
            Op::Concat => ("Concat", vec![int("axis", 1)]),
            Op::UpsampleNearest(f) => {
                names.extend([String::new(), self.scales((*f, *f))]);
                ("Resize", nearest_attributes())
            }
            Op::UpsampleBilinear(f) => {
                names.extend([String::new(), self.scales((*f, *f))]);
                ("Resize", bilinear_attributes())
            }
        };
        self.nodes.push(pb::NodeProto {
            input: names,
            output: vec![output.to_owned()],
            name: node.name.clone(),
            op_type: op_type.to_owned(),
            attribute: attributes,
            ..Default::default()
        });
        Ok(())
    }

    /// The names that a float convolution reads; `None` where it was written as an integer one.
    fn convolution(
        &mut self,
        (node, conv, shape): (&Node, &Conv, Shape),
        source: String,
        output: &str,
    ) -> Result<Option<Vec<String>>, OnnxError> {
        let mut names = vec![source];
        if let (Some(form), [source]) = (self.activations, names.as_mut_slice()) {
            if self.rounded(form, (node, conv, shape), source, output)? {
                return Ok(None);
            }
            if form.0.contains_key(source) {
                *source = format!("{source}.rounded");
            }
        }
        names.push(self.weight(&node.name)?);
        if conv.has_bias {
            names.push(self.float(&format!("{}.bias", node.name))?);
        }
        Ok(Some(names))
    }

    /// Stores a convolution's weights and gives the name under which the convolution reads them.
    fn weight(&mut self, node: &str) -> Result<String, OnnxError> {
        let name = format!("{node}.weight");
        if self.form == WeightForm::Float {
            return self.float(&name);
        }
        let weight = get(self.parameters, &name)?;
        let (integers, scales) = quantize(weight);
        let bytes: Vec<u8> = integers.iter().map(|v| v.cast_unsigned()).collect();
        let inputs = [
            format!("{name}.int8"),
            format!("{name}.scale"),
            format!("{name}.zero"),
        ];
        let [int8, scale, zero] = &inputs;
        let channels = scales.len();
        self.initializers
            .push(tensor(int8, &weight.shape, DataType::Int8, bytes));
        self.initializers.push(tensor(
            scale,
            &[channels],
            DataType::Float,
            le_bytes(&scales),
        ));
        self.initializers
            .push(tensor(zero, &[channels], DataType::Int8, vec![0; channels]));
        self.nodes.push(pb::NodeProto {
            input: inputs.to_vec(),
            output: vec![name.clone()],
            name: format!("{name}.dequantize"),
            op_type: "DequantizeLinear".to_owned(),
            attribute: vec![int("axis", 0)],
            ..Default::default()
        });
        Ok(name)
    }

    fn float(&mut self, name: &str) -> Result<String, OnnxError> {
        let p = get(self.parameters, name)?;
        self.initializers
            .push(tensor(name, &p.shape, DataType::Float, le_bytes(&p.values)));
        Ok(name.to_owned())
    }

    fn constant(&mut self, name: &str, value: f32) -> String {
        if !self.initializers.iter().any(|t| t.name == name) {
            self.initializers
                .push(tensor(name, &[], DataType::Float, le_bytes(&[value])));
        }
        name.to_owned()
    }

    /// ONNX has `MaxUnpool`, tract has not: the same function of operators that both have. Gives the two factors whose product it is.
    ///
    /// Where the tensor before pooling equals the pooled one repeated, the window has a largest value; of several equal ones the
    /// first counts. So the places of a window are ranked 4, 3, 2, 1, and what equals the highest rank of its window is the place.
    /// `shape` is that of the values.
    fn unpool(&mut self, node: &str, inputs: &[String], shape: Shape) -> Vec<String> {
        let [values, before, after] = inputs else {
            return inputs.to_vec();
        };
        let ranks = format!("{node}.ranks");
        let (height, width) = (shape.height * 2, shape.width * 2);
        let places = (0..height).flat_map(|y| (0..width).map(move |x| 4 - (y % 2) * 2 - x % 2));
        let table: Vec<f32> = places.map(|rank| rank as f32).collect();
        self.initializers.push(tensor(
            &ranks,
            &[1, 1, height, width],
            DataType::Float,
            le_bytes(&table),
        ));
        let largest = self.repeated(node, "largest", after);
        let is_largest = self.equal(node, "is-largest", [before.as_str(), &largest]);
        let ranked = self.step((node, "ranked"), "Mul", &[&is_largest, &ranks], vec![]);
        let pool = pool_attributes(
            &Pool::HALF,
            Shape {
                height,
                width,
                ..shape
            },
        );
        let highest = self.step((node, "highest"), "MaxPool", &[&ranked], pool);
        let highest = self.repeated(node, "highest-repeated", &highest);
        let place = self.equal(node, "place", [ranked.as_str(), &highest]);
        let spread = self.repeated(node, "values", values);
        vec![spread, place]
    }

    /// One operator of several that make up a node; gives the name of its output.
    fn step(
        &mut self,
        (node, part): (&str, &str),
        op_type: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
    ) -> String {
        let name = format!("{node}.{part}");
        self.nodes.push(pb::NodeProto {
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op_type.to_owned(),
            attribute,
            ..Default::default()
        });
        name
    }

    fn repeated(&mut self, node: &str, part: &str, input: &str) -> String {
        let scales = self.scales((2, 2));
        let attributes = nearest_attributes();
        self.step((node, part), "Resize", &[input, "", &scales], attributes)
    }

    /// 1 where both are equal, else 0.
    fn equal(&mut self, node: &str, part: &str, both: [&str; 2]) -> String {
        let [a, b] = both;
        let yes = self.step((node, &format!("{part}.yes")), "Equal", &[a, b], vec![]);
        let to = vec![int("to", DataType::Float as usize)];
        self.step((node, part), "Cast", &[&yes], to)
    }

    /// Factors of rows and columns, for `Resize`.
    fn scales(&mut self, (rows, columns): (usize, usize)) -> String {
        let name = format!("enlarge-{rows}x{columns}");
        if !self.initializers.iter().any(|t| t.name == name) {
            let bytes = le_bytes(&[1.0, 1.0, rows as f32, columns as f32]);
            self.initializers
                .push(tensor(&name, &[4], DataType::Float, bytes));
        }
        name
    }
}

#[cfg(test)]
#[path = "onnx_tests.rs"]
mod tests;
