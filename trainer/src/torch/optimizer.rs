//! `AdamW` (Loshchilov and Hutter 2019) whose state can be saved, and the running mean of the weights.

use anyhow::{Result, ensure};
use tch::{Kind, Tensor, no_grad};

use super::network::{Network, parameter_of};
use crate::networks::ENCODER_PREFIX;
use crate::parameters::Parameters;

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

/// Optimizer state: the two moments of all trained parameters, one after another as [`Network`] stores them, and the number of
/// steps. One long tensor each, so that a step is a handful of operations: hundreds of small ones cost a GPU more time in
/// starting them than in computing.
pub(crate) struct AdamW {
    pub(crate) step: i64,
    pub(crate) mean: Tensor,
    pub(crate) square: Tensor,
    /// 1 where the encoder's rate counts, 0 where the decoder's does.
    is_encoder: Tensor,
    /// 1 where weights decay: in convolution weights; scales and biases stay free.
    decays: Tensor,
}

impl AdamW {
    /// Fresh state for what the network trains.
    pub(crate) fn new(network: &Network) -> Self {
        let device = network.flat.device();
        let of_each = |f: &dyn Fn(&str, &Tensor) -> bool| {
            let parts = network.trained().map(|(name, t)| {
                let value = f64::from(u8::from(f(name, t)));
                Tensor::full([t.numel() as i64], value, (Kind::Float, device))
            });
            Tensor::cat(&parts.collect::<Vec<_>>(), 0)
        };
        Self {
            step: 0,
            mean: network.flat.zeros_like(),
            square: network.flat.zeros_like(),
            is_encoder: of_each(&|name, _| name.starts_with(ENCODER_PREFIX)),
            decays: of_each(&|_, t| t.dim() > 1),
        }
    }

    /// One step down the gradient of `loss`. Returns the gradient's norm.
    pub(crate) fn step(&mut self, network: &Network, loss: &Tensor, rates: Rates) -> Result<f64> {
        let (names, weights): (Vec<&String>, Vec<&Tensor>) = network.trained().unzip();
        let grads = Tensor::run_backward(&[loss], &weights, false, false);
        if let Some((name, _)) = names.iter().zip(&grads).find(|(_, g)| !g.defined()) {
            anyhow::bail!("`{name}` got no gradient: the graph does not use it");
        }
        let grads: Vec<Tensor> = grads.iter().map(|g| g.reshape([-1])).collect();
        no_grad(|| self.step_along(network, &Tensor::cat(&grads, 0), rates))
    }

    fn step_along(&mut self, network: &Network, grad: &Tensor, rates: Rates) -> Result<f64> {
        // In 64 bits, so that many small parts do not vanish.
        let norm = f64::try_from(grad.square().sum(Kind::Double))?.sqrt();
        ensure!(
            norm.is_finite(),
            crate::failure::Working("the gradient is not finite".to_owned())
        );
        let grad = grad * (CLIP_NORM / norm.max(1e-12)).min(1.0);
        self.step += 1;
        let unbias = |beta: f64| 1.0 - beta.powi(i32::try_from(self.step).unwrap_or(i32::MAX));
        let (unbias_mean, unbias_square) = (unbias(BETAS.0), unbias(BETAS.1));
        let _ = self.mean.lerp_(&grad, 1.0 - BETAS.0);
        let _ = self.square.lerp_(&grad.square(), 1.0 - BETAS.1);
        let rate = &self.is_encoder * (rates.encoder - rates.decoder) + rates.decoder;
        let spread = (&self.square / unbias_square).sqrt() + EPS;
        let change = &self.mean / unbias_mean / spread;
        let mut weights = network.flat.shallow_clone();
        let _ = weights.g_mul_(&(&rate * &self.decays * -rates.weight_decay + 1.0));
        let _ = weights.g_sub_(&(change * rate));
        Ok(norm)
    }
}

/// Exponential running mean of every tensor, statistics included: what is evaluated and shipped. One long tensor, as in [`AdamW`].
pub(crate) struct MeanWeights {
    pub(crate) flat: Tensor,
    decay: f64,
}

impl MeanWeights {
    /// Starts at the network's present weights.
    pub(crate) fn new(network: &Network, decay: f64) -> Self {
        Self {
            flat: no_grad(|| joined(network)),
            decay,
        }
    }

    /// Takes in the network's weights after `step` steps. Early the mean is short, so that it does not remember the first values.
    pub(crate) fn update(&mut self, network: &Network, step: i64) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        no_grad(|| {
            let _ = self.flat.lerp_(&joined(network), 1.0 - decay);
        });
    }

    /// By name, in the network's shapes.
    pub(crate) fn parameters(&self, network: &Network) -> Result<Parameters> {
        let sizes: Vec<i64> = network.tensors.values().map(|t| t.numel() as i64).collect();
        let parts = self.flat.split_with_sizes(&sizes, 0);
        let named = network.tensors.iter().zip(&parts);
        named
            .map(|((name, t), part)| Ok((name.clone(), parameter_of(&part.view_as(t))?)))
            .collect()
    }
}

/// Every tensor of the network, one after another.
fn joined(network: &Network) -> Tensor {
    let all: Vec<Tensor> = network
        .tensors
        .values()
        .map(|t| t.detach().reshape([-1]))
        .collect();
    Tensor::cat(&all, 0)
}
