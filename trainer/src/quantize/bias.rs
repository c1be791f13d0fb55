//! Bias correction (Nagel et al. 2019): rounding weights changes the mean of what a convolution puts out by the weights' rounding
//! errors times the mean of what it reads; that is taken off its constants.

use std::collections::BTreeMap;

use super::calibrate::Seen;
use super::{convolutions, name};
use crate::graph::{Graph, Op};
use crate::onnx::quantize;
use crate::parameters::Parameters;

/// Corrects the constants of a folded network in place. `seen` are the float network's activations. Gives the largest correction.
///
/// Means at the picture's border, where windows reach beyond it, are taken to be those of the middle.
pub fn correct(graph: &Graph, parameters: &mut Parameters, seen: &BTreeMap<String, Seen>) -> f64 {
    let mut largest = 0.0_f64;
    for (conv, source, _) in convolutions(graph) {
        let node = name(graph, conv);
        let op = graph.nodes.get(conv).map(|n| &n.op);
        let (Some(Op::Conv(op)), Some(seen), Some(weight)) = (
            op,
            seen.get(&name(graph, source)),
            parameters.get(&format!("{node}.weight")),
        ) else {
            continue;
        };
        let (integers, scales) = quantize(weight);
        let size = weight.values.len() / op.out.max(1);
        let window = op.kernel * op.kernel;
        let per_group = op.out / op.groups.max(1);
        let per_in = size / window.max(1);
        let shifts: Vec<f64> = (0..op.out)
            .map(|o| {
                let first = o / per_group.max(1) * per_in;
                let scale = scales.get(o).copied().unwrap_or(0.0);
                (0..size)
                    .map(|k| {
                        let at = o * size + k;
                        let rounded = f32::from(integers.get(at).copied().unwrap_or(0)) * scale;
                        let error = rounded - weight.values.get(at).copied().unwrap_or(0.0);
                        let mean = seen.means.get(first + k / window).copied().unwrap_or(0.0);
                        f64::from(error) * mean
                    })
                    .sum()
            })
            .collect();
        if let Some(bias) = parameters.get_mut(&format!("{node}.bias")) {
            for (b, shift) in bias.values.iter_mut().zip(&shifts) {
                *b -= *shift as f32;
                largest = largest.max(shift.abs());
            }
        }
    }
    largest
}
