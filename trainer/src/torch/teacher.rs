//! Learning from a larger network: distillation.

use std::path::Path;

use anyhow::Result;
use tch::{Device, Kind, Tensor, no_grad};

use super::network::{Mode, Network};
use crate::cli::TrainArgs;
use crate::networks;
use crate::parameters;

/// A trained network that is learned from.
pub(super) struct Teacher {
    pub(super) network: Network,
    /// How many times as fine as the learner's input its own is.
    pub(super) scale: i64,
    /// How much its word weighs, 0 to 1.
    pub(super) share: f64,
}

impl Teacher {
    /// Reads it for a learner of the size that the arguments say.
    pub(super) fn load(
        file: &Path,
        args: &TrainArgs,
        (device, compute): (Device, Kind),
        classes: usize,
    ) -> Result<Self> {
        let (parameters, words) = parameters::read(file)?;
        let scale = usize::from(args.teacher_scale);
        let (height, width) = (args.height * scale, args.width * scale);
        let graph = networks::Network::of_file(file, &words)?.graph(height, width, classes)?;
        parameters::check(
            &file.display().to_string(),
            &parameters,
            &graph.parameters()?,
        )?;
        let network = Network::new(graph, &parameters, device, compute)?;
        Ok(Self {
            network,
            scale: scale as i64,
            share: args.teacher_share,
        })
    }

    /// What it believes of each pixel of the learner's logits.
    pub(super) fn beliefs(&self, fine: &Tensor) -> Result<Tensor> {
        no_grad(|| {
            let p = self
                .network
                .forward(fine, Mode::Eval)?
                .softmax(1, Kind::Float);
            Ok(coarser(&p, self.scale))
        })
    }
}

/// The mean of each `scale` x `scale` pixels.
pub(super) fn coarser(x: &Tensor, scale: i64) -> Tensor {
    if scale == 1 {
        x.shallow_clone()
    } else {
        x.avg_pool2d([scale; 2], [scale; 2], [0, 0], false, true, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initial::initial;
    use crate::parameters::Metadata;

    #[test]
    fn a_teacher_believes_in_shares_at_the_learners_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("best.safetensors");
        let lite1: networks::Network = "effnet-lite1-unet".parse().unwrap();
        let graph = lite1.graph(64, 128, 24).unwrap();
        let name = ("network".to_owned(), graph.name.clone());
        parameters::write(&file, &initial(&graph, 1).unwrap(), &Metadata::from([name])).unwrap();
        let flags =
            "t train --cache c --fold f --run r --pretrained p --height 32 --width 64 --teacher t";
        let cli = <crate::cli::Cli as clap::Parser>::parse_from(flags.split(' '));
        let crate::cli::Command::Train(args) = cli.command else {
            panic!("`train` was asked for");
        };
        let teacher = Teacher::load(&file, &args, (Device::Cpu, Kind::Float), 24).unwrap();
        let fine = Tensor::randn([2, 3, 64, 128], (Kind::Float, Device::Cpu));
        let beliefs = teacher.beliefs(&fine).unwrap();
        assert_eq!(beliefs.size(), [2, 24, 16, 32]);
        let sums = beliefs.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
        assert!(f64::try_from((sums - 1.0).abs().max()).unwrap() < 1e-5);
        assert_eq!(coarser(&fine, 2).size(), [2, 3, 32, 64]);
    }
}
