//! The pieces of a file: tensors, attributes, shapes.

use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

use crate::graph::{Conv, Padding, Pool, Shape};

pub(super) fn bilinear_attributes() -> Vec<pb::AttributeProto> {
    vec![
        text("mode", "linear"),
        text("coordinate_transformation_mode", "half_pixel"),
    ]
}

pub(super) fn nearest_attributes() -> Vec<pb::AttributeProto> {
    vec![
        text("mode", "nearest"),
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ]
}

pub(super) fn conv_attributes(c: &Conv, input: Shape) -> Vec<pb::AttributeProto> {
    let mut attributes = window_attributes((c.kernel, c.window()), c.stride, c.padding, input);
    attributes.push(int("group", c.groups));
    if c.dilation != 1 {
        attributes.push(ints("dilations", &[c.dilation, c.dilation]));
    }
    attributes
}

pub(super) fn pool_attributes(p: &Pool, input: Shape) -> Vec<pb::AttributeProto> {
    window_attributes((p.kernel, p.kernel), p.stride, p.padding, input)
}

/// Kernel, step and padding of a window on a tensor of shape `input`.
fn window_attributes(
    (kernel, window): (usize, usize),
    stride: usize,
    padding: Padding,
    input: Shape,
) -> Vec<pb::AttributeProto> {
    let (top, bottom) = padding.of(input.height, window, stride);
    let (left, right) = padding.of(input.width, window, stride);
    vec![
        ints("kernel_shape", &[kernel, kernel]),
        ints("strides", &[stride, stride]),
        ints("pads", &[top, left, bottom, right]),
    ]
}

pub(super) fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub(super) fn tensor(
    name: &str,
    shape: &[usize],
    kind: DataType,
    raw_data: Vec<u8>,
) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: kind as i32,
        raw_data,
        ..Default::default()
    }
}

pub(super) fn int(name: &str, value: usize) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value as i64,
        ..Default::default()
    }
}

fn ints(name: &str, values: &[usize]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.iter().map(|&v| v as i64).collect(),
        ..Default::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..Default::default()
    }
}

pub(super) fn value_info(name: &str, shape: Shape) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension};
    let dims = [1, shape.channels, shape.height, shape.width];
    let dim = dims.map(|d| Dimension {
        value: Some(dimension::Value::DimValue(d as i64)),
        ..Default::default()
    });
    let kind = pb::type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(pb::TensorShapeProto { dim: dim.to_vec() }),
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(kind)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
