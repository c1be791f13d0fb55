//! The training run: warm-up and cosine, a look at the held-out fold now and then, checkpoints that survive a kill.

use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::checkpoint;
use super::loader::{Batch, Batches, batches};
use super::network::{Mode, Network};
use super::optimizer::Rates;
use super::setup::{Run, check, set_up};
use super::teacher::coarser;
use crate::cli::TrainArgs;
use crate::data::augment::Warp;
use crate::events::Events;
use crate::failure::Working;
use crate::parameters::{self, Metadata};
use crate::run_record::unix_seconds;
use crate::scores::{Confusion, LandableScores, landable_classes};

/// Epochs over which the learning rate rises.
const WARM_UP_EPOCHS: f64 = 2.0;
/// Time between checkpoints: on a GPU an epoch takes about as long as writing one.
const SAVE_EVERY: Duration = Duration::from_secs(20);

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

/// Trains as the arguments say; everything lands in `args.run`.
pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    // libtorch's errors come as panics from its operators: a device that is full is no fault of the program.
    let outcome = catch_unwind(AssertUnwindSafe(|| train_run(args)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map_or("a panic", String::as_str);
        Err(Working(text.to_owned()).into())
    });
    outcome.map_err(|e| advised(e, args.batch))
}

/// Adds what to do to the error of a full device.
fn advised(error: anyhow::Error, batch: usize) -> anyhow::Error {
    let is_full = format!("{error:#}")
        .to_lowercase()
        .contains("out of memory");
    if !is_full {
        return error;
    }
    let half = (batch / 2).max(1);
    error.context(format!(
        "the device's memory does not hold a batch of {batch}: try --batch {half}, or a smaller --height and --width; the last checkpoint stays"
    ))
}

/// What `TensorBoard` is shown of an epoch.
fn numbers(loss: f64, norm: f64, scores: Option<FoldScores>) -> Vec<(&'static str, f64)> {
    let mut all = vec![("train/loss", loss), ("train/gradient_norm", norm)];
    if let Some(s) = scores {
        all.extend([
            ("fold/pixel_accuracy", s.pixel_accuracy),
            ("fold/mean_iou", s.mean_iou),
            ("fold/landable_fpr_at_recall_085", s.landable_fpr),
            ("fold/person_called_landable", s.person_called_landable),
        ]);
    }
    all
}

fn train_run(args: &TrainArgs) -> Result<()> {
    fs::create_dir_all(&args.run)
        .with_context(|| format!("cannot make the run's folder {}", args.run.display()))?;
    check(args)?;
    if let Some(threads) = args.threads {
        tch::set_num_threads(threads);
    }
    tch::manual_seed(args.seed as i64);
    let mut run = set_up(args)?;
    let newest = args.run.join("checkpoint.safetensors");
    if newest.exists() {
        let progress = checkpoint::load(&newest, &run.network, &mut run.optimizer, &run.mean)?;
        log::info!("going on after epoch {} of {}", progress.epoch, args.epochs);
        super::curve::go_on_after(&args.run, progress.epoch)?;
        run.progress = progress;
    }
    let settings = serde_json::to_string_pretty(args)?;
    parameters::write_atomically(&args.run.join("settings.json"), settings.as_bytes())?;
    let mut recorder = super::record::begin(args, &run)?;
    let mut events = Events::create(&args.run, unix_seconds())?;
    let started = clock();
    let mut saved_at = clock();
    let first = run.progress.epoch;
    let mut made = Batches::start(&run.set, first..args.epochs, args.batch, args.workers)?;
    for epoch in first..args.epochs {
        let (loss, norm) = train_epoch(&mut run, epoch, args, &mut made)?;
        run.progress.epoch = epoch + 1;
        let is_last = epoch + 1 == args.epochs;
        let scores = if is_last || (epoch + 1) % args.look_every == 0 {
            Some(look(&mut run, args)?)
        } else {
            None
        };
        let idle = run.progress.epoch - run.progress.best_epoch;
        let is_idle = scores.is_some() && args.patience.is_some_and(|p| idle >= p);
        let done = is_last || is_idle || args.stop_after.is_some_and(|s| epoch + 1 >= s);
        if done || saved_at.elapsed() > SAVE_EVERY {
            save(&run, &newest)?;
            recorder.saved(run.progress.epoch)?;
            saved_at = clock();
        }
        super::sheet::write_if_due(&run, args)?;
        let seconds = started.elapsed().as_secs_f64() / (epoch + 1 - first) as f64;
        let left = seconds * (args.epochs - epoch - 1) as f64;
        report(&args.run, epoch + 1, (loss, norm), scores, (seconds, left))?;
        events.numbers(
            unix_seconds(),
            run.optimizer.step,
            &numbers(loss, norm, scores),
        )?;
        if is_idle {
            log::info!("stopped: no better for {idle} epochs");
            break;
        }
        if done && !is_last {
            log::info!("stopped after epoch {} as asked", epoch + 1);
            break;
        }
    }
    Ok(())
}

fn save(run: &Run, path: &Path) -> Result<()> {
    checkpoint::save(path, &run.network, &run.optimizer, &run.mean, &run.progress)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trainer is a program, not a stage: its progress line measures real time"
)]
fn clock() -> Instant {
    Instant::now()
}

/// A batch's pictures, normalised, and masks.
pub(super) fn tensors(batch: &Batch, size: (usize, usize), device: Device) -> (Tensor, Tensor) {
    let (n, w, h) = (batch.len as i64, size.0 as i64, size.1 as i64);
    let pictures = Tensor::from_slice(&batch.pictures)
        .view([n, 3, h, w])
        .to_device(device)
        .to_kind(Kind::Float);
    let masks = Tensor::from_slice(&batch.masks)
        .view([n, h, w])
        .to_device(device);
    ((pictures - 127.0) / 128.0, masks.to_kind(Kind::Int64))
}

/// `CutMix` (Yun et al. 2019), for whole batches: a rectangle of each sample is its neighbour's, picture and mask. Where it lies
/// depends on the seed and the step alone.
fn cut_in(pictures: &Tensor, masks: &Tensor, rng: &mut ChaCha8Rng) {
    let size = pictures.size();
    let (Some(&rows), Some(&columns)) = (size.get(2), size.get(3)) else {
        return;
    };
    let mut span = |whole: i64| {
        let length = (whole as f64 * rng.random_range(0.3..0.7)) as i64;
        (rng.random_range(0..=whole - length), length)
    };
    let ((top, height), (left, width)) = (span(rows), span(columns));
    for (t, row) in [(pictures, 2), (masks, 1)] {
        let mut window = t.narrow(row, top, height).narrow(row + 1, left, width);
        let others = window.roll([1], [0]);
        window.copy_(&others);
    }
}

/// The masks at the logits' size: of each block of pixels one, another each time.
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

/// After a loss that is no number: what can be gone on from.
fn what_is_left(folder: &Path) -> String {
    let checkpoint = folder.join("checkpoint.safetensors");
    if checkpoint.exists() {
        format!(
            "the last good state stays in {}: start again with a lower --encoder-rate and --decoder-rate",
            checkpoint.display()
        )
    } else {
        "no checkpoint had been written yet: start again with a lower --encoder-rate and --decoder-rate".to_owned()
    }
}

/// The share of the full learning rate at a point of the run: linear warm-up, then half a cosine down to a hundredth.
fn schedule(epoch: f64, epochs: f64) -> f64 {
    let warm = (epoch / WARM_UP_EPOCHS).min(1.0);
    let way = ((epoch - WARM_UP_EPOCHS) / (epochs - WARM_UP_EPOCHS).max(1.0)).clamp(0.0, 1.0);
    warm * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * way).cos()))
}

/// An encoder that knows nothing yet learns as fast as the decoder.
const fn encoder_rate(args: &TrainArgs) -> f64 {
    if args.pretrained.is_none() && args.start_from.is_none() {
        args.decoder_rate
    } else {
        args.encoder_rate
    }
}

/// One epoch; gives the mean loss and the mean gradient norm.
fn train_epoch(
    run: &mut Run,
    epoch: usize,
    args: &TrainArgs,
    made: &mut Batches,
) -> Result<(f64, f64)> {
    let samples = run.set.epoch(epoch).len();
    let count = batches(samples, args.batch);
    let (mut losses, mut norms, mut steps) = (0.0, 0.0, 0);
    for (b, batch) in made.take(count).enumerate() {
        let at = epoch as f64 + (b as f64 + 1.0) / count as f64;
        let share = schedule(at, args.epochs as f64);
        let rates = Rates {
            encoder: encoder_rate(args) * share,
            decoder: args.decoder_rate * share,
            weight_decay: args.weight_decay,
        };
        let (pictures, masks) = tensors(&batch, run.set.crop, run.device);
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        rng.set_stream((epoch * count + b) as u64);
        if rng.random_bool(args.cut_share) {
            cut_in(&pictures, &masks, &mut rng);
        }
        let teacher = run.teacher.as_ref();
        let taught: Option<Result<(Tensor, f64)>> =
            teacher.map(|t| Ok((t.beliefs(&pictures)?, t.share)));
        let taught = taught.transpose()?;
        let scale = run.teacher.as_ref().map_or(1, |t| t.scale);
        let logits = run
            .network
            .forward(&coarser(&pictures, scale), Mode::Train)?;
        let masks = thinned(&masks, &logits, (epoch + b) as i64);
        let loss = run
            .loss
            .of(&logits, &masks, taught.as_ref().map(|(p, s)| (p, *s)));
        let value = f64::try_from(&loss)?;
        let step = run.optimizer.step;
        ensure!(
            value.is_finite(),
            Working(format!(
                "the loss is {value} at step {step} (epoch {}); {}",
                epoch + 1,
                what_is_left(&args.run)
            ))
        );
        let norm = run.optimizer.step(&run.network, &loss, rates);
        norms += norm.with_context(|| {
            let left = what_is_left(&args.run);
            format!("at step {step} (epoch {}); {left}", epoch + 1)
        })?;
        run.mean.update(&run.network, run.optimizer.step);
        losses += value;
        steps += 1;
    }
    ensure!(
        steps == count,
        "the threads that make batches stopped after {steps} of {count}"
    );
    Ok((
        losses / f64::from(steps as u32),
        norms / f64::from(steps as u32),
    ))
}

/// What the network knew before, in words.
fn start(args: &TrainArgs) -> String {
    let file = |p: &Path| {
        p.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    match (&args.start_from, &args.pretrained) {
        (Some(from), _) => format!("started from {}", file(from)),
        (None, Some(from)) => format!("encoder from {}", file(from)),
        (None, None) => "learned from nothing".to_owned(),
    }
}

/// Scores the mean weights on the held-out fold and keeps them if they are the best so far.
fn look(run: &mut Run, args: &TrainArgs) -> Result<FoldScores> {
    let folder = &args.run;
    let parameters = run.mean.parameters(&run.network)?;
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
        ("start".to_owned(), start(args)),
        ("drawn".to_owned(), args.drawn.is_some().to_string()),
        ("fold".to_owned(), serde_json::to_string(&scores)?),
    ]);
    parameters::write(&folder.join("last.safetensors"), &parameters, &words)?;
    if scores.total() > run.progress.best {
        run.progress.best = scores.total();
        run.progress.best_epoch = run.progress.epoch;
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
        let whole = Warp::whole((sample.width, sample.height), run.size);
        let mut batch = Batch::default();
        batch.push(&whole.draw(&sample, run.size));
        let (pictures, _) = tensors(&batch, run.size, run.device);
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
    let head = if path.exists() {
        ""
    } else {
        "epoch,loss,gradient_norm,fold_pixel_accuracy,fold_mean_iou,fold_landable_fpr,fold_person_called_landable\n"
    };
    let fold = scores.map_or_else(
        || ",,,".to_owned(),
        |s| {
            format!(
                "{:.4},{:.4},{:.4},{:.4}",
                s.pixel_accuracy, s.mean_iou, s.landable_fpr, s.person_called_landable
            )
        },
    );
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut f| writeln!(f, "{head}{epoch},{loss:.4},{norm:.3},{fold}"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    log::info!(
        "epoch {epoch}: loss {loss:.4}, {seconds:.1} s an epoch, {:.0} min left{}",
        left / 60.0,
        scores.map_or_else(String::new, |s| format!(
            "; fold: accuracy {:.4}, mIoU {:.4}, landable FPR {:.4} at recall 0.85, person pixels called landable {:.4}",
            s.pixel_accuracy, s.mean_iou, s.landable_fpr, s.person_called_landable
        ))
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_is_answered_with_a_batch_that_may_fit() {
        let full = anyhow::anyhow!("CUDA out of memory. Tried to allocate 2.00 GiB");
        let text = format!("{:#}", advised(full, 32));
        assert!(
            text.contains("--batch 16") && text.contains("2.00 GiB"),
            "{text}"
        );
        let other = anyhow::anyhow!("the loss is NaN at step 3");
        assert_eq!(
            format!("{:#}", advised(other, 32)),
            "the loss is NaN at step 3"
        );
    }
}
