//! Post-training quantization: weights and activations of convolutions as 8-bit integers.
//!
//! A trained network is folded, made even between channels ([`equalise`]), watched on training pictures ([`calibrate`]), rounded, and
//! its constants are corrected for what the rounding of weights adds on average ([`bias`]). What that costs is measured on the
//! held-out fold, by pixel and by layer ([`report`]), and a network that loses too much is not written.

pub mod bias;
pub mod calibrate;
pub mod equalise;
pub mod report;
mod run;

pub use run::run;

use crate::graph::{Graph, Op};

/// The convolutions of a folded graph with the nodes that they read and the ones whose range their output has: a clamp that alone
/// reads them is part of their rounding.
pub(crate) fn convolutions(graph: &Graph) -> Vec<(usize, usize, usize)> {
    let all = graph.nodes.iter().enumerate();
    all.filter(|(_, n)| matches!(n.op, Op::Conv(_)))
        .filter_map(|(i, n)| {
            let source = *n.inputs.first()?;
            let mut readers = (0..graph.nodes.len()).filter(|&k| {
                let node = graph.nodes.get(k);
                node.is_some_and(|n| n.inputs.contains(&i))
            });
            let (first, second) = (readers.next(), readers.next());
            let clamp = first.filter(|&k| {
                let node = graph.nodes.get(k);
                second.is_none() && node.is_some_and(|n| matches!(n.op, Op::Relu | Op::Relu6))
            });
            Some((i, source, clamp.unwrap_or(i)))
        })
        .collect()
}

pub(crate) fn name(graph: &Graph, node: usize) -> String {
    graph
        .nodes
        .get(node)
        .map_or_else(String::new, |n| n.name.clone())
}

#[cfg(test)]
mod tests;
