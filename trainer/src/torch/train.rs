//! The training run: warm-up and cosine, a look at the held-out fold now and then, checkpoints that survive a kill.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::checkpoint::{self, Progress};
use super::loader::{Batch, TrainingSet, batches, start};
use super::loss::Loss;
use super::network::{Mode, Network, initial, parameter_of};
use super::optimizer::{AdamW, MeanWeights, Rates};
use crate::cli::{DeviceChoice, TrainArgs};
use crate::data::augment::Warp;
use crate::data::cache::Cache;
use crate::data::fold::Fold;
use crate::data::paste;
use crate::effnet_unet::{ENCODER_PREFIX, effnet_lite0_unet};
use crate::parameters::{self, Metadata, Parameters};
use crate::prior::class_weights;
use crate::scores::{Confusion, LandableScores, landable_classes};

/// Keys of the pretrained file that a segmentation network does not use.
const CLASSIFIER: [&str; 3] = ["_conv_head.", "_bn1.", "_fc."];
/// The mean of the weights over about the last thousand steps.
const MEAN_DECAY: f64 = 0.998;
/// Epochs over which the learning rate rises.
const WARM_UP_EPOCHS: f64 = 2.0;

/// What the held-out fold says.
#[derive(Debug, Clone, Copy, Serialize)]
struct FoldScores {
    pixel_accuracy: f64,
    mean_iou: f64,
    /// False-positive rate of landable ground at recall 0.85.
    landable_fpr: f64,
    /// Share of person pixels whose likeliest class is landable.
    person_called_landable: f64,
}

impl FoldScores {
    /// What early stopping compares: both kinds of right, less the dangerous kind of wrong.
    fn total(&self) -> f64 {
        f64::midpoint(self.pixel_accuracy, self.mean_iou)
            - f64::midpoint(self.landable_fpr, self.person_called_landable)
    }
}

struct Run {
    network: Network,
    optimizer: AdamW,
    mean: MeanWeights,
    loss: Loss,
    set: Arc<TrainingSet>,
    held_out: Vec<usize>,
    progress: Progress,
    device: Device,
}

/// Trains as the arguments say; everything lands in `args.run`.
pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    fs::create_dir_all(&args.run)
        .with_context(|| format!("cannot make the run's folder {}", args.run.display()))?;
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
    if let Some(threads) = args.threads {
        tch::set_num_threads(threads);
    }
    tch::manual_seed(args.seed as i64);
    let mut run = set_up(args)?;
    let newest = args.run.join("checkpoint.safetensors");
    if newest.exists() {
        let progress =
            checkpoint::load(&newest, &mut run.network, &mut run.optimizer, &mut run.mean)?;
        log::info!("going on after epoch {} of {}", progress.epoch, args.epochs);
        run.progress = progress;
    }
    let settings = serde_json::to_string_pretty(args)?;
    parameters::write_atomically(&args.run.join("settings.json"), settings.as_bytes())?;
    let clock = clock();
    let first = run.progress.epoch;
    for epoch in first..args.epochs {
        let (loss, norm) = train_epoch(&mut run, epoch, args)?;
        run.progress.epoch = epoch + 1;
        let is_last = epoch + 1 == args.epochs;
        let scores = if is_last || (epoch + 1) % args.look_every == 0 {
            Some(look(&mut run, &args.run)?)
        } else {
            None
        };
        checkpoint::save(
            &newest,
            &run.network,
            &run.optimizer,
            &run.mean,
            &run.progress,
        )?;
        let seconds = clock.elapsed().as_secs_f64() / (epoch + 1 - first) as f64;
        let left = seconds * (args.epochs - epoch - 1) as f64;
        report(&args.run, epoch + 1, (loss, norm), scores, (seconds, left))?;
        let done = args.stop_after.is_some_and(|s| epoch + 1 >= s);
        if done {
            log::info!("stopped after epoch {} as asked", epoch + 1);
            break;
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: its progress line measures real time"
)]
fn clock() -> Instant {
    Instant::now()
}

fn set_up(args: &TrainArgs) -> Result<Run> {
    let device = match args.device {
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Auto => Device::cuda_if_available(),
        DeviceChoice::Cuda if tch::Cuda::is_available() => Device::Cuda(0),
        DeviceChoice::Cuda => bail!(
            "--device cuda: libtorch sees no GPU; is libtorch_cuda.so on LD_LIBRARY_PATH, and the driver loaded?"
        ),
    };
    let real = Cache::open(&args.cache)?;
    let fold = Fold::read(&args.fold)?;
    let (indices, held_out) = fold.indices(&real)?;
    let drawn = args.drawn.as_deref().map(Cache::open).transpose()?;
    let graph = effnet_lite0_unet(args.height, args.width, usize::from(real.index.classes));
    let mut first = initial(&graph, args.seed)?;
    let wanted = graph.parameters()?;
    first.extend(parameters::pretrained(
        &args.pretrained,
        &wanted,
        ENCODER_PREFIX,
        &CLASSIFIER,
    )?);
    let compute = if args.full_precision {
        Kind::Float
    } else {
        Kind::BFloat16
    };
    let network = Network::new(graph, &first, device, compute)?;
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
        size: (args.width, args.height),
        crop: (args.crop_width, args.crop_height),
        zoom: (args.zoom_least, args.zoom_most),
        paste_share: args.paste_share,
        seed: args.seed,
    };
    Ok(Run {
        optimizer: AdamW::new(&network),
        mean: MeanWeights::new(&network, MEAN_DECAY),
        loss: Loss::new(&weights, device),
        progress: Progress {
            network: network.graph.name.clone(),
            epoch: 0,
            seed: args.seed,
            best: f64::NEG_INFINITY,
        },
        network,
        set: Arc::new(set),
        held_out,
        device,
    })
}

/// A batch's pictures, normalised, and masks.
fn tensors(batch: &Batch, size: (usize, usize), device: Device) -> (Tensor, Tensor) {
    let (n, w, h) = (batch.len as i64, size.0 as i64, size.1 as i64);
    let pictures = Tensor::from_slice(&batch.pictures)
        .view([n, 3, h, w])
        .to_device(device);
    let masks = Tensor::from_slice(&batch.masks)
        .view([n, h, w])
        .to_device(device);
    ((pictures - 127.0) / 128.0, masks.to_kind(Kind::Int64))
}

/// The masks at the logits' size: of each 2 x 2 pixels one, another each time.
fn thinned(masks: &Tensor, logits: &Tensor, turn: i64) -> Tensor {
    let (masks_size, logits_size) = (masks.size(), logits.size());
    let factor = |m: usize, l: usize| match (masks_size.get(m), logits_size.get(l)) {
        (Some(m), Some(l)) if *l > 0 => (m / l).max(1),
        _ => 1,
    };
    let (rows, columns) = (factor(1, 2), factor(2, 3));
    let (row, column) = (turn % rows, turn / rows % columns);
    masks
        .slice(1, row, None, rows)
        .slice(2, column, None, columns)
        .contiguous()
}

/// The share of the full learning rate at a point of the run: linear warm-up, then half a cosine down to a hundredth.
fn schedule(epoch: f64, epochs: f64) -> f64 {
    let warm = (epoch / WARM_UP_EPOCHS).min(1.0);
    let way = ((epoch - WARM_UP_EPOCHS) / (epochs - WARM_UP_EPOCHS).max(1.0)).clamp(0.0, 1.0);
    warm * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * way).cos()))
}

/// One epoch; gives the mean loss and the mean gradient norm.
fn train_epoch(run: &mut Run, epoch: usize, args: &TrainArgs) -> Result<(f64, f64)> {
    let samples = run.set.epoch(epoch).len();
    let count = batches(samples, args.batch);
    let received = start(&run.set, epoch, args.batch)?;
    let (mut losses, mut norms, mut steps) = (0.0, 0.0, 0);
    for (b, batch) in received.into_iter().enumerate() {
        let at = epoch as f64 + (b as f64 + 1.0) / count as f64;
        let share = schedule(at, args.epochs as f64);
        let rates = Rates {
            encoder: args.encoder_rate * share,
            decoder: args.decoder_rate * share,
            weight_decay: args.weight_decay,
        };
        let (pictures, masks) = tensors(&batch, run.set.crop, run.device);
        let logits = run.network.forward(&pictures, Mode::Train)?;
        let masks = thinned(&masks, &logits, (epoch + b) as i64);
        let loss = run.loss.of(&logits, &masks)?;
        let value = f64::try_from(&loss)?;
        let step = run.optimizer.step;
        ensure!(
            value.is_finite(),
            "the loss is {value} at step {step} (epoch {}); the last good state is in {}: lower the rates and start again",
            epoch + 1,
            args.run.join("checkpoint.safetensors").display()
        );
        loss.backward();
        let norm = run.optimizer.step(&run.network, rates);
        norms += norm.with_context(|| format!("at step {step}, epoch {}", epoch + 1))?;
        run.mean.update(&run.network, run.optimizer.step);
        losses += value;
        steps += 1;
    }
    ensure!(
        steps == count,
        "the thread that makes batches stopped after {steps} of {count}"
    );
    Ok((
        losses / f64::from(steps as u32),
        norms / f64::from(steps as u32),
    ))
}

/// Scores the mean weights on the held-out fold and keeps them if they are the best so far.
fn look(run: &mut Run, folder: &Path) -> Result<FoldScores> {
    let parameters: Parameters = run
        .mean
        .tensors
        .iter()
        .map(|(n, t)| Ok((n.clone(), parameter_of(t)?)))
        .collect::<Result<_>>()?;
    let network = Network::new(
        run.network.graph.clone(),
        &parameters,
        run.device,
        run.network.compute,
    )?;
    let scores = no_grad(|| score(&network, run))?;
    let words = Metadata::from([
        ("network".to_owned(), network.graph.name.clone()),
        ("epoch".to_owned(), run.progress.epoch.to_string()),
        ("seed".to_owned(), run.progress.seed.to_string()),
        ("fold".to_owned(), serde_json::to_string(&scores)?),
    ]);
    parameters::write(&folder.join("last.safetensors"), &parameters, &words)?;
    if scores.total() > run.progress.best {
        run.progress.best = scores.total();
        parameters::write(&folder.join("best.safetensors"), &parameters, &words)?;
    }
    Ok(scores)
}

fn score(network: &Network, run: &Run) -> Result<FoldScores> {
    let cache = &run.set.real;
    let mut confusion = Confusion::new(usize::from(cache.index.classes));
    let mut landable = LandableScores::default();
    let landable_index: Vec<i64> = landable_classes().iter().map(|&c| c as i64).collect();
    let landable_index = Tensor::from_slice(&landable_index).to_device(run.device);
    for &i in &run.held_out {
        let sample = cache
            .sample(i)
            .context("the fold names a sample that is not there")?;
        let whole = Warp::whole((sample.width, sample.height), run.set.size);
        let t = whole.draw(&sample, run.set.size);
        let batch = Batch {
            pictures: t.picture,
            masks: t.mask,
            len: 1,
        };
        let (pictures, _) = tensors(&batch, run.set.size, run.device);
        let logits = network.forward(&pictures, Mode::Eval)?;
        let size = [sample.height as i64, sample.width as i64];
        let p = logits
            .upsample_bilinear2d(size, false, None, None)
            .softmax(1, Kind::Float);
        let on = p.index_select(1, &landable_index);
        let on = on.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
        let on = Vec::<f32>::try_from(on.to_device(Device::Cpu).contiguous().view(-1))?;
        let called = p
            .argmax(1, false)
            .to_kind(Kind::Uint8)
            .to_device(Device::Cpu);
        let called = Vec::<u8>::try_from(called.contiguous().view(-1))?;
        for ((&truth, &predicted), &on) in sample.mask.iter().zip(&called).zip(&on) {
            confusion.add(truth, predicted);
            landable.add(truth, on);
        }
    }
    Ok(FoldScores {
        pixel_accuracy: confusion.pixel_accuracy(&[]),
        mean_iou: confusion.mean_iou(),
        landable_fpr: landable.at_recall(0.85).false_positive_rate,
        person_called_landable: confusion
            .called(usize::from(crate::scores::PERSON), &landable_classes()),
    })
}

/// Says how it goes, and appends a line to `curve.csv`.
fn report(
    folder: &Path,
    epoch: usize,
    (loss, norm): (f64, f64),
    scores: Option<FoldScores>,
    (seconds, left): (f64, f64),
) -> Result<()> {
    let path: PathBuf = folder.join("curve.csv");
    let is_new = !path.exists();
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)?;
    if is_new {
        writeln!(
            file,
            "epoch,loss,gradient_norm,fold_pixel_accuracy,fold_mean_iou,fold_landable_fpr,fold_person_called_landable"
        )?;
    }
    let fold = scores.map_or_else(
        || ",,,".to_owned(),
        |s| {
            format!(
                "{:.4},{:.4},{:.4},{:.4}",
                s.pixel_accuracy, s.mean_iou, s.landable_fpr, s.person_called_landable
            )
        },
    );
    writeln!(file, "{epoch},{loss:.4},{norm:.3},{fold}")?;
    log::info!(
        "epoch {epoch}: loss {loss:.4}, {seconds:.0} s an epoch, {:.0} min left{}",
        left / 60.0,
        scores.map_or_else(String::new, |s| format!(
            "; fold: accuracy {:.4}, mIoU {:.4}, landable FPR {:.4} at recall 0.85, person pixels called landable {:.4}",
            s.pixel_accuracy, s.mean_iou, s.landable_fpr, s.person_called_landable
        ))
    );
    Ok(())
}
