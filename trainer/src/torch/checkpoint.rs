//! Everything that a run needs to go on after a kill, in one file that is always whole.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use super::network::{Network, parameter_of, tensor_of};
use super::optimizer::{AdamW, MeanWeights};
use crate::parameters::{self, Metadata, Parameters};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Architecture.
    pub(crate) network: String,
    /// Epochs done.
    pub(crate) epoch: usize,
    /// Seed of the run.
    pub(crate) seed: u64,
    /// Best score on the held-out fold so far.
    pub(crate) best: f64,
}

const NETWORK: &str = "network/";
const MEAN_WEIGHTS: &str = "mean-weights/";
const FIRST_MOMENT: &str = "adamw-mean/";
const SECOND_MOMENT: &str = "adamw-square/";

/// Saves the whole state.
pub(crate) fn save(
    path: &Path,
    network: &Network,
    optimizer: &AdamW,
    mean: &MeanWeights,
    progress: &Progress,
) -> Result<()> {
    let mut all = Parameters::new();
    let groups = [
        (NETWORK, &network.tensors),
        (MEAN_WEIGHTS, &mean.tensors),
        (FIRST_MOMENT, &optimizer.mean),
        (SECOND_MOMENT, &optimizer.square),
    ];
    for (prefix, tensors) in groups {
        for (name, t) in tensors {
            all.insert(format!("{prefix}{name}"), parameter_of(t)?);
        }
    }
    let words = Metadata::from([
        ("progress".to_owned(), serde_json::to_string(progress)?),
        ("step".to_owned(), optimizer.step.to_string()),
    ]);
    Ok(parameters::write(path, &all, &words)?)
}

/// Puts a saved state back; the network must be the same architecture.
pub(crate) fn load(
    path: &Path,
    network: &mut Network,
    optimizer: &mut AdamW,
    mean: &mut MeanWeights,
) -> Result<Progress> {
    let (all, words) = parameters::read(path)?;
    let word = |key: &str| {
        let word = words.get(key);
        word.with_context(|| format!("{} is no checkpoint: `{key}` is missing", path.display()))
    };
    let progress: Progress = serde_json::from_str(word("progress")?)?;
    anyhow::ensure!(
        progress.network == network.graph.name,
        "{} is of the network {}, not {}",
        path.display(),
        progress.network,
        network.graph.name
    );
    optimizer.step = word("step")?.parse()?;
    let groups = [
        (NETWORK, &mut network.tensors),
        (MEAN_WEIGHTS, &mut mean.tensors),
        (FIRST_MOMENT, &mut optimizer.mean),
        (SECOND_MOMENT, &mut optimizer.square),
    ];
    for (prefix, tensors) in groups {
        for (name, t) in tensors.iter_mut() {
            let saved = all.get(&format!("{prefix}{name}"));
            let saved =
                saved.with_context(|| format!("{} lacks {prefix}{name}", path.display()))?;
            copy_into(t, &tensor_of(saved));
        }
    }
    Ok(progress)
}

fn copy_into(target: &Tensor, source: &Tensor) {
    no_grad(|| target.shallow_clone().copy_(source));
}
