//! Convolutions whose inputs are rounded to 8 bits.

use super::{
    DataType, OnnxError, Operators, Rounding, Roundings, Writer, conv_attributes, get, le_bytes,
    quantize, tensor,
};
use crate::graph::{Conv, Node, Shape};
use tract_onnx::pb;

impl Writer<'_> {
    /// Rounds the tensor `source` for a convolution, once: `<source>.int8`, and `<source>.rounded` where the convolution itself is a
    /// float one. `true` when the convolution was written, too.
    pub(super) fn rounded(
        &mut self,
        (roundings, operators): (&Roundings, Operators),
        (node, conv, shape): (&Node, &Conv, Shape),
        source: &str,
        output: &str,
    ) -> Result<bool, OnnxError> {
        let Some(input) = roundings.get(source).copied() else {
            return Ok(false);
        };
        let integers = format!("{source}.int8");
        if !self.nodes.iter().any(|n| n.output.contains(&integers)) {
            let names = self.rounding(source, input);
            let inputs = [source, &names[0], &names[1]];
            self.linear("QuantizeLinear", &inputs, &integers);
        }
        let out = roundings.get(&node.name).copied();
        if let (Operators::QLinear, Some(out)) = (operators, out) {
            self.integer_convolution((node, conv, shape), (source, input), out, output)?;
            return Ok(true);
        }
        let rounded = format!("{source}.rounded");
        if !self.nodes.iter().any(|n| n.output.contains(&rounded)) {
            let names = self.rounding(source, input);
            self.linear(
                "DequantizeLinear",
                &[&integers, &names[0], &names[1]],
                &rounded,
            );
        }
        Ok(false)
    }

    fn integer_convolution(
        &mut self,
        (node, conv, shape): (&Node, &Conv, Shape),
        (source, input): (&str, Rounding),
        out: Rounding,
        output: &str,
    ) -> Result<(), OnnxError> {
        let name = format!("{}.weight", node.name);
        let weight = get(self.parameters, &name)?;
        let (integers, scales) = quantize(weight);
        let shape_of = weight.shape.clone();
        let bytes = integers.iter().map(|v| v.cast_unsigned()).collect();
        let [w, w_scale, w_zero] = ["int8", "scale", "zero"].map(|part| format!("{name}.{part}"));
        let channels = scales.len();
        self.initializers
            .push(tensor(&w, &shape_of, DataType::Int8, bytes));
        let scale_bytes = le_bytes(&scales);
        self.initializers
            .push(tensor(&w_scale, &[channels], DataType::Float, scale_bytes));
        self.initializers.push(tensor(
            &w_zero,
            &[channels],
            DataType::Int8,
            vec![0; channels],
        ));
        let [x_scale, x_zero] = self.rounding(source, input);
        let [y_scale, y_zero] = self.rounding(&node.name, out);
        let mut inputs = vec![
            format!("{source}.int8"),
            x_scale,
            x_zero,
            w,
            w_scale,
            w_zero,
            y_scale.clone(),
            y_zero.clone(),
        ];
        if conv.has_bias {
            let bias = get(self.parameters, &format!("{}.bias", node.name))?;
            // The sum of products counts in steps of input times weight.
            let steps = bias.values.iter().zip(&scales);
            let bytes = steps
                .flat_map(|(b, s)| ((b / (s * input.scale)).round() as i32).to_le_bytes())
                .collect();
            let name = format!("{}.bias.int32", node.name);
            self.initializers
                .push(tensor(&name, &[channels], DataType::Int32, bytes));
            inputs.push(name);
        }
        let made = format!("{}.made.int8", node.name);
        self.nodes.push(pb::NodeProto {
            input: inputs,
            output: vec![made.clone()],
            name: format!("{}.integer", node.name),
            op_type: "QLinearConv".to_owned(),
            attribute: conv_attributes(conv, shape),
            ..Default::default()
        });
        self.linear("DequantizeLinear", &[&made, &y_scale, &y_zero], output);
        Ok(())
    }

    /// Scale and zero of a rounding as initializers; gives their names.
    fn rounding(&mut self, node: &str, r: Rounding) -> [String; 2] {
        let names = ["step", "none"].map(|part| format!("{node}.{part}"));
        let [scale, zero] = &names;
        if !self.initializers.iter().any(|t| t.name == *scale) {
            let bytes = le_bytes(&[r.scale]);
            self.initializers
                .push(tensor(scale, &[], DataType::Float, bytes));
            let bytes = vec![r.zero.cast_unsigned()];
            self.initializers
                .push(tensor(zero, &[], DataType::Int8, bytes));
        }
        names
    }

    fn linear(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.nodes.push(pb::NodeProto {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{output}.{op}"),
            op_type: op.to_owned(),
            ..Default::default()
        });
    }
}
