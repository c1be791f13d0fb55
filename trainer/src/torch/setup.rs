//! What a run is made of, from its arguments.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tch::{Device, Kind};

use super::checkpoint::Progress;
use super::loader::TrainingSet;
use super::loss::Loss;
use super::network::Network;
use super::optimizer::{AdamW, MeanWeights};
use super::teacher::Teacher;
use crate::cli::{DeviceChoice, TrainArgs};
use crate::data::cache::Cache;
use crate::data::fold::Fold;
use crate::data::paste;
use crate::graph::Graph;
use crate::initial::initial;
use crate::networks::ENCODER_PREFIX;
use crate::parameters::{self, Parameters};
use crate::prior::class_weights;

/// The mean of the weights over about the last thousand steps.
const MEAN_DECAY: f64 = 0.998;
/// A run and its state.
pub(super) struct Run {
    pub(super) network: Network,
    pub(super) optimizer: AdamW,
    pub(super) mean: MeanWeights,
    pub(super) loss: Loss,
    pub(super) teacher: Option<Teacher>,
    pub(super) set: Arc<TrainingSet>,
    pub(super) held_out: Vec<usize>,
    /// The network's input, columns and rows.
    pub(super) size: (usize, usize),
    pub(super) progress: Progress,
    pub(super) device: Device,
}

/// Refuses numbers out of their range.
pub(super) fn check(args: &TrainArgs) -> Result<()> {
    ensure!(
        args.zoom_least > 0.0 && args.zoom_least <= args.zoom_most && args.zoom_most.is_finite(),
        "--zoom-least {} and --zoom-most {}: the first must be above 0 and no greater than the second",
        args.zoom_least,
        args.zoom_most
    );
    ensure!(
        (0.0..=1.0).contains(&args.paste_share),
        "--paste-share {}: must lie between 0 and 1",
        args.paste_share
    );
    let most = crate::data::tilt::MOST_DEGREES;
    ensure!(
        (0.0..=most).contains(&args.tilt),
        "--tilt {}: must lie between 0 and {most} degrees",
        args.tilt
    );
    ensure!(args.batch > 0, "--batch 0: a step needs a picture");
    ensure!(
        args.samples_every != Some(0),
        "--samples-every 0: must be at least 1 epoch"
    );
    ensure!(
        args.look_every > 0,
        "--look-every 0: must be at least 1 epoch"
    );
    for (flag, value) in [
        ("jpeg-share", args.jpeg_share),
        ("teacher-share", args.teacher_share),
        ("cut-share", args.cut_share),
        ("drop-branches", args.drop_branches),
    ] {
        ensure!(
            (0.0..=1.0).contains(&value),
            "--{flag} {value}: must lie between 0 and 1"
        );
    }
    Ok(())
}

fn device_of(choice: DeviceChoice) -> Result<Device> {
    Ok(match choice {
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Auto => Device::cuda_if_available(),
        DeviceChoice::Cuda if tch::Cuda::is_available() => Device::Cuda(0),
        DeviceChoice::Cuda => bail!(
            "--device cuda: libtorch sees no GPU; is libtorch_cuda.so loaded (LD_PRELOAD), and the driver?"
        ),
    })
}

/// What the network knows before it is trained.
fn first_values(graph: &Graph, args: &TrainArgs) -> Result<Parameters> {
    let wanted = graph.parameters()?;
    if let Some(file) = &args.start_from {
        let (parameters, _) = parameters::read(file)?;
        parameters::check(&file.display().to_string(), &parameters, &wanted)?;
        return Ok(parameters);
    }
    let mut first = initial(graph, args.seed)?;
    if let Some(file) = &args.pretrained {
        let classifier = args.network.classifier().with_context(|| {
            format!(
                "--pretrained: no pretrained weights fit {}, leave it out",
                args.network
            )
        })?;
        let encoder = parameters::pretrained(file, &wanted, ENCODER_PREFIX, classifier)?;
        first.extend(encoder);
    }
    Ok(first)
}

/// Whether the device has instructions for bfloat16. Processors without compute it in software: 7 times slower than 32 bits.
fn has_bfloat16(device: Device) -> bool {
    if device.is_cuda() {
        return true;
    }
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

/// The network to train and, where one is asked for, its teacher.
fn networks(
    args: &TrainArgs,
    device: Device,
    classes: usize,
) -> Result<(Network, Option<Teacher>)> {
    let graph = args.network.graph(args.height, args.width, classes)?;
    let first = first_values(&graph, args)?;
    let compute = if args.full_precision || !has_bfloat16(device) {
        Kind::Float
    } else {
        Kind::BFloat16
    };
    log::info!("activations: {compute:?}");
    let mut network = Network::new(graph, &first, device, compute)?;
    network.drop_branches = args.drop_branches;
    let load = |file| Teacher::load(file, args, (device, compute), classes);
    let teacher = args.teacher.as_deref().map(load).transpose()?;
    Ok((network, teacher))
}

/// Everything made ready, before the first step.
pub(super) fn set_up(args: &TrainArgs) -> Result<Run> {
    let device = device_of(args.device)?;
    let real = Cache::open(&args.cache)?;
    let fold = Fold::read(&args.fold)?;
    let (indices, held_out) = fold.indices(&real)?;
    let drawn = args.drawn.as_deref().map(Cache::open).transpose()?;
    let classes = usize::from(real.index.classes);
    let (network, teacher) = networks(args, device, classes)?;
    let scale = teacher.as_ref().map_or(1, |t| t.scale as usize);
    let fine = |(w, h): (usize, usize)| (w * scale, h * scale);
    let crop = (
        args.crop_width.unwrap_or(args.width),
        args.crop_height.unwrap_or(args.height),
    );
    let weights = class_weights(&real, &indices);
    let things = paste::find(&real, &indices);
    log::info!(
        "{} pictures, {} held out, {} things to paste, {} drawn, on {device:?}",
        indices.len(),
        held_out.len(),
        things.len(),
        drawn.as_ref().map_or(0, Cache::len)
    );
    let set = TrainingSet {
        real,
        indices,
        things,
        drawn,
        drawn_ratio: args.drawn_ratio,
        size: fine((args.width, args.height)),
        crop: fine(crop),
        zoom: (args.zoom_least, args.zoom_most),
        paste_share: args.paste_share,
        colour: args.colour,
        tilt: args.tilt,
        jpeg_share: args.jpeg_share,
        seed: args.seed,
    };
    Ok(Run {
        optimizer: AdamW::new(&network),
        mean: MeanWeights::new(&network, MEAN_DECAY),
        loss: Loss::new(args.loss, &weights, device),
        progress: Progress {
            network: network.graph.name.clone(),
            epoch: 0,
            seed: args.seed,
            best: f64::NEG_INFINITY,
            best_epoch: 0,
        },
        network,
        teacher,
        set: Arc::new(set),
        held_out,
        size: (args.width, args.height),
        device,
    })
}
