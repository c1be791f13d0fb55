//! What a network costs: parameters, and time in the runtime that flies.

use std::time::{Duration, Instant};

use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use alight::inference::{SegmentationMap, Segmenter as _};
use anyhow::{Context as _, Result};
use image::RgbImage;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tract_onnx::pb;

use crate::eval::frame;

/// Measured runs, after a few that are not.
const RUNS: usize = 21;
const WARM_UP: usize = 3;

/// What one run of a network costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Weights and biases in the file.
    pub parameters: usize,
    /// Billions of multiply-accumulates.
    pub gmac: f64,
    /// Median of 21 runs from picture to probabilities, on one thread of this machine, milliseconds.
    pub latency_ms: f64,
}

/// Counts and measures.
///
/// # Errors
/// When the model does not load or run.
#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: it measures real time"
)]
pub fn of(files: &ModelFiles) -> Result<Cost> {
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    let input = &files.manifest.input;
    let picture = frame(RgbImage::new(input.width as u32, input.height as u32), 0);
    let mut times = Vec::new();
    for run in 0..WARM_UP + RUNS {
        let begun = Instant::now();
        segmenter.segment(&picture, &mut map)?;
        if run >= WARM_UP {
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    let median = times.get(RUNS / 2).copied().unwrap_or(Duration::ZERO);
    Ok(Cost {
        parameters: parameters(&files.network)?,
        gmac: files.manifest.gmac,
        latency_ms: (median.as_secs_f64() * 1e5).round() / 1e2,
    })
}

/// Weights and biases; scales of 8-bit weights and constants are no parameters.
fn parameters(network: &[u8]) -> Result<usize> {
    let model = pb::ModelProto::decode(network).context("the network is no ONNX file")?;
    let graph = model.graph.context("the network is empty")?;
    let is_one = |name: &str| {
        let part = name.trim_end_matches(".int8").rsplit('.').next();
        part.is_some_and(|p| ["weight", "bias"].contains(&p))
    };
    let ours = graph.initializer.iter().filter(|t| is_one(&t.name));
    Ok(ours.map(|t| t.dims.iter().product::<i64>() as usize).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initial::initial;
    use crate::networks::Network;
    use crate::onnx::{WeightForm, fold_batch_norm, write};

    #[test]
    fn parameters_are_those_of_the_folded_network_in_either_form() {
        let graph = Network::Unet(4).graph(16, 32, 24).unwrap();
        let values = initial(&graph, 1).unwrap();
        let (folded, _) = fold_batch_norm(&graph, &values).unwrap();
        for form in [WeightForm::Float, WeightForm::Int8] {
            let file = write(&graph, &values, form).unwrap();
            assert_eq!(parameters(&file).unwrap(), folded.size().unwrap());
        }
        assert!(parameters(b"no network").is_err());
    }
}
