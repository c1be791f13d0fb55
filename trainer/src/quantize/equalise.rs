//! Cross-layer equalisation (Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction"): between two
//! convolutions with a plain `ReLU` between them, a channel can be made smaller in the first and larger in the second without changing
//! the function; it is, until both have the same range in it. A `ReLU6` clamps at a fixed value, so that nothing may be moved across it.

use crate::graph::{Graph, Op};
use crate::parameters::{Parameter, Parameters};

/// Factors beyond this are cut off: a channel that is all but dead needs none.
const LARGEST: f32 = 64.0;

/// Equalises a folded network in place; gives the number of pairs.
pub fn equalise(graph: &Graph, parameters: &mut Parameters) -> usize {
    let pairs = pairs(graph);
    // Chains of pairs settle in a few rounds.
    for _ in 0..4 {
        for (first, second) in &pairs {
            even_out(parameters, first, second);
        }
    }
    pairs.len()
}

/// Names of convolutions that read each other through nothing but a `ReLU` that nobody else reads.
fn pairs(graph: &Graph) -> Vec<(String, String)> {
    let only_reader = |i: usize| {
        let mut readers = graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, n)| n.inputs.contains(&i));
        let first = readers.next();
        first.filter(|_| readers.next().is_none())
    };
    let convs = graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, n)| matches!(n.op, Op::Conv(_)));
    convs
        .filter_map(|(i, first)| {
            let (mut at, mut reader) = only_reader(i)?;
            if reader.op == Op::Relu {
                (at, reader) = only_reader(at)?;
            }
            let _ = at;
            let Op::Conv(conv) = &reader.op else {
                return None;
            };
            // Plain, or each channel by itself; between those a channel is read by a part of the second's filters.
            let is_plain = conv.groups == 1;
            (is_plain || conv.groups == conv.out).then(|| (first.name.clone(), reader.name.clone()))
        })
        .collect()
}

fn even_out(parameters: &mut Parameters, first: &str, second: &str) {
    let (w1, w2) = (format!("{first}.weight"), format!("{second}.weight"));
    let Some((Some(a), Some(b))) = Some((parameters.get(&w1), parameters.get(&w2))) else {
        return;
    };
    let channels = a.shape.first().copied().unwrap_or(0);
    let is_depthwise = b.shape.get(1) == Some(&1) && b.shape.first() == Some(&channels);
    let factors: Vec<f32> = (0..channels)
        .map(|c| {
            let (r1, r2) = (largest(&a.values, filter(a, c)), across(b, c, is_depthwise));
            if r1 > 0.0 && r2 > 0.0 {
                (r1 / r2).sqrt().clamp(1.0 / LARGEST, LARGEST)
            } else {
                1.0
            }
        })
        .collect();
    for (c, factor) in factors.into_iter().enumerate() {
        if let Some(p) = parameters.get_mut(&w1) {
            let range = filter(p, c);
            scale(p, range, 1.0 / factor);
        }
        if let Some(p) = parameters.get_mut(&format!("{first}.bias")) {
            scale(p, c..c + 1, 1.0 / factor);
        }
        if let Some(p) = parameters.get_mut(&w2) {
            for range in reads(p, c, is_depthwise) {
                scale(p, range, factor);
            }
        }
    }
}

/// The values of the filter that makes channel `c`.
fn filter(p: &Parameter, c: usize) -> std::ops::Range<usize> {
    let size: usize = p.shape.iter().skip(1).product();
    c * size..(c + 1) * size
}

/// The values that read channel `c`.
fn reads(p: &Parameter, c: usize, is_depthwise: bool) -> Vec<std::ops::Range<usize>> {
    if is_depthwise {
        return vec![filter(p, c)];
    }
    let size: usize = p.shape.iter().skip(2).product();
    let inputs = p.shape.get(1).copied().unwrap_or(0);
    let outputs = p.shape.first().copied().unwrap_or(0);
    (0..outputs)
        .map(|o| (o * inputs + c) * size..(o * inputs + c + 1) * size)
        .collect()
}

fn across(p: &Parameter, c: usize, is_depthwise: bool) -> f32 {
    let all = reads(p, c, is_depthwise);
    all.into_iter()
        .map(|r| largest(&p.values, r))
        .fold(0.0, f32::max)
}

fn largest(values: &[f32], range: std::ops::Range<usize>) -> f32 {
    let values = values.get(range).unwrap_or_default();
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn scale(p: &mut Parameter, range: std::ops::Range<usize>, factor: f32) {
    for v in p.values.get_mut(range).unwrap_or_default() {
        *v *= factor;
    }
}
