//! Everything that a run needs to go on after a kill, in one file that is always whole.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Tensor, no_grad};

use super::network::{Network, parameter_of, tensor_of};
use super::optimizer::{AdamW, MeanWeights};
use crate::failure::Working;
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
    /// Best score on the held-out fold so far; minus infinity before the first look, which JSON writes as `null`.
    #[serde(deserialize_with = "number_or_none_yet")]
    pub(crate) best: f64,
    /// After which epoch that was.
    #[serde(default)]
    pub(crate) best_epoch: usize,
}

fn number_or_none_yet<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NEG_INFINITY))
}

const NETWORK: &str = "network/";

/// The state that is one long tensor each, with its name in the file.
fn long_ones<'a>(optimizer: &'a AdamW, mean: &'a MeanWeights) -> [(&'static str, &'a Tensor); 3] {
    [
        ("mean-weights", &mean.flat),
        ("adamw-mean", &optimizer.mean),
        ("adamw-square", &optimizer.square),
    ]
}

/// Saves the whole state; one that holds a value that is not finite is refused, and the file stays what it was.
pub(crate) fn save(
    path: &Path,
    network: &Network,
    optimizer: &AdamW,
    mean: &MeanWeights,
    progress: &Progress,
) -> Result<()> {
    let mut all = Parameters::new();
    for (name, t) in &network.tensors {
        all.insert(format!("{NETWORK}{name}"), parameter_of(t)?);
    }
    for (name, t) in long_ones(optimizer, mean) {
        all.insert(name.to_owned(), parameter_of(t)?);
    }
    let broken = all
        .iter()
        .find(|(_, p)| p.values.iter().any(|v| !v.is_finite()));
    if let Some((name, _)) = broken {
        let step = optimizer.step;
        return Err(Working(format!("`{name}` holds a value that is not finite after step {step}: the state is not saved, lower the rates")).into());
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
    network: &Network,
    optimizer: &mut AdamW,
    mean: &MeanWeights,
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
    let saved = |name: &str| -> Result<Tensor> {
        let saved = all.get(name);
        let saved = saved.with_context(|| format!("{} lacks {name}", path.display()))?;
        Ok(tensor_of(saved))
    };
    for (name, t) in &network.tensors {
        copy_into(t, &saved(&format!("{NETWORK}{name}"))?);
    }
    for (name, t) in long_ones(optimizer, mean) {
        let saved = saved(name)?;
        anyhow::ensure!(
            saved.numel() == t.numel(),
            "{}: {name} has {} values instead of {}: it is of another version, start the run anew",
            path.display(),
            saved.numel(),
            t.numel()
        );
        copy_into(t, &saved);
    }
    Ok(progress)
}

fn copy_into(target: &Tensor, source: &Tensor) {
    no_grad(|| target.shallow_clone().copy_(source));
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::graph::{Conv, Graph, Op, Shape};
    use crate::initial::initial;
    use crate::torch::network::Mode;
    use crate::torch::optimizer::Rates;

    const RATES: Rates = Rates {
        encoder: 1e-2,
        decoder: 2e-2,
        weight_decay: 0.02,
    };

    fn state(seed: u64) -> (Network, AdamW, MeanWeights) {
        let input = Shape {
            channels: 3,
            height: 16,
            width: 24,
        };
        let mut g = Graph::new("small", input);
        let conv = |out, groups, kernel, stride| {
            Op::Conv(Conv {
                stride,
                groups,
                ..Conv::new(out, kernel)
            })
        };
        let x = g.push("encoder.a", conv(8, 1, 3, 2), &[0]);
        let x = g.push("encoder.n", Op::BatchNorm(1e-3), &[x]);
        let x = g.push("encoder.r", Op::Relu6, &[x]);
        let x = g.push("b", conv(8, 8, 5, 1), &[x]);
        g.push("up", Op::UpsampleNearest(2), &[x]);
        let first = initial(&g, seed).unwrap();
        let network = Network::new(g, &first, Device::Cpu, Kind::Float).unwrap();
        let optimizer = AdamW::new(&network);
        let mean = MeanWeights::new(&network, 0.99);
        (network, optimizer, mean)
    }

    /// A step on a picture that depends on the step's number alone.
    fn step(state: &mut (Network, AdamW, MeanWeights)) {
        let (network, optimizer, mean) = state;
        let n = 3 * 16 * 24 * 2;
        let values: Vec<f32> = (0..n)
            .map(|i| ((i as i64 * 37 + optimizer.step * 101) % 97) as f32 / 97.0)
            .collect();
        let picture = Tensor::from_slice(&values).view([2, 3, 16, 24]);
        let loss = network
            .forward(&picture, Mode::Train)
            .unwrap()
            .square()
            .mean(Kind::Float);
        optimizer.step(network, &loss, RATES).unwrap();
        mean.update(network, optimizer.step);
    }

    fn numbers(state: &(Network, AdamW, MeanWeights)) -> Vec<Vec<f32>> {
        let (network, optimizer, mean) = state;
        let tensors = network.tensors.values();
        let long = long_ones(optimizer, mean).map(|(_, t)| t);
        let all = tensors.chain(long);
        all.map(|t| parameter_of(t).unwrap().values).collect()
    }

    #[test]
    fn a_resumed_run_ends_where_an_uninterrupted_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let progress = Progress {
            network: "small".into(),
            epoch: 3,
            seed: 7,
            best: 0.25,
            best_epoch: 2,
        };
        let mut through = state(7);
        (0..4).for_each(|_| step(&mut through));
        save(&path, &through.0, &through.1, &through.2, &progress).unwrap();
        // Other first values, so that what is not restored shows.
        let mut resumed = state(8);
        let (network, optimizer, mean) = &mut resumed;
        assert_eq!(load(&path, network, optimizer, mean).unwrap(), progress);
        assert_eq!(resumed.1.step, 4);
        for _ in 0..3 {
            step(&mut through);
            step(&mut resumed);
        }
        assert_eq!(numbers(&through), numbers(&resumed));
    }

    #[test]
    fn training_makes_the_loss_small_and_another_network_is_refused() {
        let mut trained = state(1);
        let first = numbers(&trained);
        (0..30).for_each(|_| step(&mut trained));
        let size = |all: &[Vec<f32>]| -> f32 { all[0].iter().map(|v| v * v).sum() };
        assert!(
            size(&numbers(&trained)) < size(&first),
            "the loss pulls outputs to zero"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let progress = Progress {
            network: "other".into(),
            epoch: 1,
            seed: 1,
            best: 0.0,
            best_epoch: 0,
        };
        save(&path, &trained.0, &trained.1, &trained.2, &progress).unwrap();
        let (network, optimizer, mean) = &mut trained;
        let text = load(&path, network, optimizer, mean)
            .unwrap_err()
            .to_string();
        assert!(text.contains("of the network other, not small"), "{text}");
    }

    #[test]
    fn a_run_that_has_not_looked_yet_goes_on() {
        let words = r#"{"network":"small","epoch":2,"seed":1,"best":-1.5}"#;
        let mut progress: Progress = serde_json::from_str(words).unwrap();
        assert!((progress.best + 1.5).abs() < 1e-12);
        progress.best = f64::NEG_INFINITY;
        let words = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&words).unwrap(), progress);
    }

    /// What a full disk or a broken state leaves is the older checkpoint, whole.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut trained = state(1);
        let progress = |epoch| {
            let words = format!(r#"{{"network":"small","epoch":{epoch},"seed":1,"best":0.5}}"#);
            serde_json::from_str::<Progress>(&words).unwrap()
        };
        step(&mut trained);
        save(&path, &trained.0, &trained.1, &trained.2, &progress(1)).unwrap();
        let good = numbers(&trained);
        step(&mut trained);
        let beside = folder.path().join("checkpoint.partial");
        std::os::unix::fs::symlink("/dev/full", &beside).unwrap();
        let error = save(&path, &trained.0, &trained.1, &trained.2, &progress(2)).unwrap_err();
        assert!(crate::failure::is_disk_full(&error), "{error:#}");
        let broken = trained.0.tensors.values().next().unwrap();
        let _ = no_grad(|| broken.shallow_clone().fill_(f64::NAN));
        let error = save(&path, &trained.0, &trained.1, &trained.2, &progress(2)).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("not finite after step 2"), "{text}");
        assert_eq!(crate::failure::exit_code(&error), 1);
        let (network, optimizer, mean) = &mut trained;
        assert_eq!(load(&path, network, optimizer, mean).unwrap().epoch, 1);
        assert_eq!(numbers(&trained), good);
    }
}
