//! AdamW (Loshchilov and Hutter 2019) over named tensors whose state can be saved, and the running mean of the weights.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use tch::{Tensor, no_grad};

use super::network::Network;
use crate::effnet_unet::ENCODER_PREFIX;

/// Decay of the gradient's running mean and running square.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPS: f64 = 1e-8;
/// Gradients longer than this are scaled down to it.
const CLIP_NORM: f64 = 5.0;

/// How fast to learn, and how much to forget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) encoder: f64,
    pub(crate) decoder: f64,
    pub(crate) weight_decay: f64,
}

/// Optimizer state: two moments a trained parameter, and the number of steps.
pub(crate) struct AdamW {
    pub(crate) step: i64,
    pub(crate) mean: BTreeMap<String, Tensor>,
    pub(crate) square: BTreeMap<String, Tensor>,
}

impl AdamW {
    /// Fresh state for what the network trains.
    pub(crate) fn new(network: &Network) -> Self {
        let zeros = || -> BTreeMap<String, Tensor> {
            let trained = network.tensors.iter().filter(|(_, t)| t.requires_grad());
            trained
                .map(|(n, t)| (n.clone(), t.detach().zeros_like()))
                .collect()
        };
        Self {
            step: 0,
            mean: zeros(),
            square: zeros(),
        }
    }

    /// One step with the gradients that `backward` left, which are cleared. Returns the gradient's norm.
    pub(crate) fn step(&mut self, network: &Network, rates: Rates) -> Result<f64> {
        no_grad(|| self.step_without_grad(network, rates))
    }

    fn step_without_grad(&mut self, network: &Network, rates: Rates) -> Result<f64> {
        let trained = || network.tensors.iter().filter(|(_, t)| t.requires_grad());
        let mut squares = 0.0;
        for (name, t) in trained() {
            let grad = t.grad();
            ensure!(
                grad.defined(),
                "`{name}` got no gradient: the graph does not use it"
            );
            squares += f64::try_from(grad.dot_self())?;
        }
        let norm = squares.sqrt();
        ensure!(norm.is_finite(), "the gradient is not finite");
        let scale = (CLIP_NORM / norm.max(1e-12)).min(1.0);
        self.step += 1;
        let unbias = |beta: f64| 1.0 - beta.powi(i32::try_from(self.step).unwrap_or(i32::MAX));
        let (unbias_mean, unbias_square) = (unbias(BETAS.0), unbias(BETAS.1));
        for (name, t) in trained() {
            let rate = if name.starts_with(ENCODER_PREFIX) {
                rates.encoder
            } else {
                rates.decoder
            };
            let mut grad = t.grad() * scale;
            let mean = self
                .mean
                .get_mut(name)
                .context("optimizer state lacks a tensor")?;
            let square = self
                .square
                .get_mut(name)
                .context("optimizer state lacks a tensor")?;
            let _ = mean.lerp_(&grad, 1.0 - BETAS.0);
            let grad2 = grad.square_();
            let _ = square.lerp_(&grad2, 1.0 - BETAS.1);
            let mut weight = t.shallow_clone();
            // Decay is for convolution weights; scales and biases stay free.
            if t.dim() > 1 {
                let _ = weight.g_mul_scalar_(1.0 - rate * rates.weight_decay);
            }
            let spread = (&*square / unbias_square).sqrt() + EPS;
            let _ = weight.g_sub_(&(&*mean / unbias_mean / spread * rate));
            t.grad().zero_();
        }
        Ok(norm)
    }
}

trait DotSelf {
    fn dot_self(&self) -> Tensor;
}

impl DotSelf for Tensor {
    /// Sum of squares in f64, so that many small parts do not vanish.
    fn dot_self(&self) -> Tensor {
        self.square().sum(tch::Kind::Double)
    }
}

/// Exponential running mean of every tensor, statistics included: what is evaluated and shipped.
pub(crate) struct MeanWeights {
    pub(crate) tensors: BTreeMap<String, Tensor>,
    decay: f64,
}

impl MeanWeights {
    /// Starts at the network's present weights.
    pub(crate) fn new(network: &Network, decay: f64) -> Self {
        let copy = |(n, t): (&String, &Tensor)| (n.clone(), t.detach().copy());
        Self {
            tensors: network.tensors.iter().map(copy).collect(),
            decay,
        }
    }

    /// Takes in the network's weights after `step` steps. Early the mean is short, so that it does not remember the first values.
    pub(crate) fn update(&mut self, network: &Network, step: i64) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        no_grad(|| {
            for (name, t) in &network.tensors {
                if let Some(mean) = self.tensors.get_mut(name) {
                    let _ = mean.lerp_(&t.detach(), 1.0 - decay);
                }
            }
        });
    }
}
