//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::data::prepare::Dataset;
use crate::networks::Network;

/// Trains, scores and exports the networks that alight flies.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  alight-trainer prepare --data ../shared/data/semantic_drone --list train.txt --out cache/train
  alight-trainer prepare --drawn 60 --out cache/drawn
  alight-trainer split --cache cache/train --out models/fold.json
  alight-trainer train --cache cache/train --drawn cache/drawn --fold models/fold.json --pretrained encoder.safetensors --run runs/a
  alight-trainer export --parameters runs/a/best.safetensors --cache cache/train --fold models/fold.json --out models
  alight-trainer eval --model models/landing.toml --data ../shared/data/semantic_drone --list val.txt
  alight-trainer eval --model models/landing.toml --data ../shared/data/semantic_drone --list train.txt --fold models/fold.json \\
      --errors models/errors.json
  alight-trainer matrix trainer/jobs/example.toml --shard 1/4";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reduce pictures and masks once into a cache that training maps into memory.
    Prepare(PrepareArgs),
    /// Hold out a scene-disjoint fold of a cache.
    Split(SplitArgs),
    /// Train the flying network (needs the cargo feature `libtorch`).
    Train(Box<TrainArgs>),
    /// Write `landing.onnx` and `landing.toml`; temperature and threshold are fitted on the held-out fold.
    Export(ExportArgs),
    /// Round activations to 8 bits as well, for runtimes with integer kernels; refuses what loses too much.
    Quantize(QuantizeArgs),
    /// Put scored runs side by side: a table, and a page with everything.
    Compare(CompareArgs),
    /// List the networks that can be trained: parameters, multiplications, where each comes from.
    Networks(NetworksArgs),
    /// Score a model on a list of pictures, through the runtime's own inference.
    Eval(EvalArgs),
    /// Train, export and score every combination of a matrix of arguments, or one shard of them.
    Matrix(MatrixArgs),
}

/// Arguments of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// The matrix (TOML), see the module `matrix` and `trainer/jobs/`.
    pub file: PathBuf,
    /// Which part of the jobs to run, as in 2/4. Default: the task of the Slurm array or of the indexed Kubernetes job that this
    /// is; everything elsewhere.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<crate::matrix::shard::Shard>,
    /// How many parts there are, where the environment only tells which one this is, counting from 0.
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    pub shards: Option<usize>,
    /// Only list the jobs, and where each stands.
    #[arg(long)]
    pub list: bool,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Trained parameters: `best.safetensors` or `last.safetensors` of a run.
    #[arg(long)]
    pub parameters: PathBuf,
    /// Cache of the training list.
    #[arg(long)]
    pub cache: PathBuf,
    /// The fold that was held out.
    #[arg(long)]
    pub fold: PathBuf,
    /// Data set whose list is scored into the manifest.
    #[command(flatten)]
    pub pairs: PairsArgs,
    /// Rows of the network's input.
    #[arg(long, default_value_t = 256)]
    pub height: usize,
    /// Columns of the network's input.
    #[arg(long, default_value_t = 384)]
    pub width: usize,
    /// Under what the network may be passed on: what the data and the weights that it started from allow.
    #[arg(long, default_value = LICENCE)]
    pub licence: String,
    /// Folder to write into.
    #[arg(long)]
    pub out: PathBuf,
}

/// What the Semantic Drone Dataset and the ImageNet weights allow.
const LICENCE: &str = "research and non-commercial use with citation of the Semantic Drone Dataset (TU Graz); encoder initialised from Apache-2.0 weights";

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The model: `landing.toml` or `landing.onnx`, the other beside it.
    #[arg(long)]
    pub model: PathBuf,
    /// The data set.
    #[command(flatten)]
    pub pairs: PairsArgs,
    /// Also write the scores as JSON to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Only the stems that this fold held out.
    #[arg(long)]
    pub fold: Option<PathBuf>,
    /// Also write the worst pictures to this folder: picture, truth, what the network says.
    #[arg(long)]
    pub pictures: Option<PathBuf>,
    /// Also write how the network errs to this file: what `alight sim --segmenter noisy` flies with.
    #[arg(long)]
    pub errors: Option<PathBuf>,
}

/// Arguments of `quantize`.
#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// The model: `landing.toml` or `landing.onnx`, as `export` writes them.
    #[arg(long)]
    pub model: PathBuf,
    /// Cache of the training list; its pictures calibrate, but those that are held out judge.
    #[arg(long)]
    pub cache: PathBuf,
    /// The fold that was held out.
    #[arg(long)]
    pub fold: PathBuf,
    /// How the range of an activation is chosen.
    #[arg(long, value_enum, default_value_t = crate::quantize::calibrate::Method::Percentile)]
    pub calibration: crate::quantize::calibrate::Method,
    /// Pictures to calibrate with.
    #[arg(long, default_value_t = 64)]
    pub pictures: usize,
    /// Leave channels as uneven as they are.
    #[arg(long)]
    pub no_equalisation: bool,
    /// Leave constants as they are.
    #[arg(long)]
    pub no_bias_correction: bool,
    /// Most mIoU that may be lost on the held-out fold.
    #[arg(long, default_value_t = 0.005)]
    pub max_loss: f64,
    /// Least share of the pixels that must keep their class there.
    #[arg(long, default_value_t = 0.96)]
    pub min_agreement: f64,
    /// Folder for `qdq.onnx`, `qlinear.onnx` and `quantization.json`.
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of runs that hold a `scores.json` (`eval --json RUN/scores.json --pictures RUN/worst`), or such files.
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Write the page to this file.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write the table as comma-separated values to this file.
    #[arg(long)]
    pub csv: Option<PathBuf>,
    /// Compare runs that were scored on different pictures all the same.
    #[arg(long)]
    pub mixed: bool,
}

/// Arguments of `networks`.
#[derive(Debug, Args)]
pub struct NetworksArgs {
    /// Rows of the network's input.
    #[arg(long, default_value_t = 256)]
    pub height: usize,
    /// Columns of the network's input.
    #[arg(long, default_value_t = 384)]
    pub width: usize,
    /// Write each with random values to this folder, beside a picture and what tract makes of it, for `tests/onnxruntime.py`.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Seed of the random values.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Which pictures, with which masks.
#[derive(Debug, Args)]
pub struct PairsArgs {
    /// Folder of a published data set.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Which one it is.
    #[arg(long, value_enum, default_value_t = Dataset::SemanticDrone)]
    pub dataset: Dataset,
    /// Folder of any other's pictures.
    #[arg(long, requires_all = ["masks", "table"], conflicts_with = "data")]
    pub images: Option<PathBuf>,
    /// Folder of their masks, `<stem>.png`.
    #[arg(long)]
    pub masks: Option<PathBuf>,
    /// What those masks mean: a line for each label, `LABEL,CLASS`; LABEL is an index or a colour (`#70674f`), CLASS one of the
    /// flying network's, or `ignore`.
    #[arg(long)]
    pub table: Option<PathBuf>,
    /// File that names the stems, one a line; with --data in that folder. Default: train.txt to train, val.txt to
    /// score, where there is one; else all pictures.
    #[arg(long)]
    pub list: Option<String>,
}

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// The data set.
    #[command(flatten)]
    pub pairs: PairsArgs,
    /// Draw this many pieces of ground instead.
    #[arg(long, conflicts_with_all = ["data", "images"])]
    pub drawn: Option<usize>,
    /// First seed of drawn ground; the demo flies over seed 1, so training stays far from it.
    #[arg(long, default_value_t = 1_000_000)]
    pub first_seed: u64,
    /// Columns of every picture in the cache.
    #[arg(long, default_value_t = 768)]
    pub width: u32,
    /// Rows of every picture in the cache.
    #[arg(long, default_value_t = 512)]
    pub height: u32,
    /// Folder of the cache.
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Cache of the training list.
    #[arg(long)]
    pub cache: PathBuf,
    /// Share of the pictures to hold out.
    #[arg(long, default_value_t = 0.1)]
    pub share: f32,
    /// Descriptor distance (0 to 2) below which two pictures are one scene.
    #[arg(long, default_value_t = crate::data::fold::SCENE_THRESHOLD)]
    pub threshold: f32,
    /// Seed of the draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Hold out pictures at random, not whole scenes: shows what such a split flatters.
    #[arg(long)]
    pub random: bool,
    /// File to write.
    #[arg(long)]
    pub out: PathBuf,
}

/// Where to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// On the GPU when libtorch finds one, else on the CPU.
    Auto,
    /// On the CPU.
    Cpu,
    /// On the first GPU.
    Cuda,
}

/// What training makes small, beside the term that tells landable ground from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Cross-entropy weighted by class, and a Dice term.
    CrossEntropy,
    /// Focal loss (Lin et al. 2017, gamma 2) weighted by class, and a Dice term: pixels that are right already count less.
    Focal,
    /// Cross-entropy weighted by class, and the Lovász-softmax (Berman et al. 2018): a surrogate of the mean `IoU`.
    Lovasz,
}

/// Arguments of `train`.
#[derive(Debug, Args, Serialize)]
pub struct TrainArgs {
    /// Cache of the training list.
    #[arg(long)]
    pub cache: PathBuf,
    /// The scene-disjoint fold that is held out for early stopping.
    #[arg(long)]
    pub fold: PathBuf,
    /// Cache of drawn ground to mix in.
    #[arg(long)]
    pub drawn: Option<PathBuf>,
    /// Drawn pictures for each real one.
    #[arg(long, default_value_t = 0.2)]
    pub drawn_ratio: f32,
    /// The network: `alight-trainer networks` lists them.
    #[arg(long, default_value = "effnet-lite0-unet")]
    pub network: Network,
    /// ImageNet weights of the encoder, safetensors; without, everything is learned from nothing, at the decoder's rate.
    #[arg(long)]
    pub pretrained: Option<PathBuf>,
    /// A trained network of the same kind to start from (its `best.safetensors`), instead.
    #[arg(long, conflicts_with = "pretrained")]
    pub start_from: Option<PathBuf>,
    /// Folder of the run; if it holds a checkpoint, the run goes on.
    #[arg(long)]
    pub run: PathBuf,
    /// Epochs of the schedule.
    #[arg(long, default_value_t = 60)]
    pub epochs: usize,
    /// Stop early after this epoch, the schedule unchanged.
    #[arg(long)]
    pub stop_after: Option<usize>,
    /// Stop when the held-out fold has scored no better for so many epochs.
    #[arg(long)]
    pub patience: Option<usize>,
    /// Pictures a step.
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// Rows of the network's input.
    #[arg(long, default_value_t = 256)]
    pub height: usize,
    /// Columns of the network's input.
    #[arg(long, default_value_t = 384)]
    pub width: usize,
    /// Rows of the windows that are trained on; the whole input when left out.
    #[arg(long)]
    pub crop_height: Option<usize>,
    /// Columns of the windows that are trained on; the whole input when left out.
    #[arg(long)]
    pub crop_width: Option<usize>,
    /// A trained network of this kind to learn from (its `best.safetensors`), beside the masks.
    #[arg(long)]
    pub teacher: Option<PathBuf>,
    /// How many times as fine as the network's input the teacher's is: 1 or 2.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub teacher_scale: u8,
    /// How much the teacher's word weighs; the masks have the rest.
    #[arg(long, default_value_t = 0.6)]
    pub teacher_share: f64,
    /// Share of the batches in which a rectangle of each picture is another's.
    #[arg(long, default_value_t = 0.0)]
    pub cut_share: f64,
    /// Stochastic depth: share of the samples in which the encoder's last branch is left out.
    #[arg(long, default_value_t = 0.0)]
    pub drop_branches: f64,
    /// How strongly light and colour change: 1 is the usual range, 0 leaves them.
    #[arg(long, default_value_t = 1.0)]
    pub colour: f32,
    /// Greatest tilt of the camera that the augmentation stands for, degrees.
    #[arg(long, default_value_t = 0.0)]
    pub tilt: f32,
    /// Share of the pictures that are compressed to JPEG and back.
    #[arg(long, default_value_t = 0.0)]
    pub jpeg_share: f64,
    /// What training makes small.
    #[arg(long, value_enum, default_value_t = LossKind::CrossEntropy)]
    pub loss: LossKind,
    /// Epochs between pictures of what the network says of a few held-out ones (`samples/` in the run's folder); none when left out.
    #[arg(long)]
    pub samples_every: Option<usize>,
    /// Least zoom of the augmentation: below 1 the ground is seen from farther away than in the picture.
    #[arg(long, default_value_t = 0.8)]
    pub zoom_least: f32,
    /// Greatest zoom of the augmentation.
    #[arg(long, default_value_t = 1.7)]
    pub zoom_most: f32,
    /// Share of the pictures into which people, dogs, cars and bicycles are pasted.
    #[arg(long, default_value_t = 0.4)]
    pub paste_share: f64,
    /// Learning rate of the pretrained encoder.
    #[arg(long, default_value_t = 4e-4)]
    pub encoder_rate: f64,
    /// Learning rate of the decoder.
    #[arg(long, default_value_t = 2e-3)]
    pub decoder_rate: f64,
    /// Weight decay of convolution weights.
    #[arg(long, default_value_t = 0.02)]
    pub weight_decay: f64,
    /// Epochs between looks at the held-out fold.
    #[arg(long, default_value_t = 3)]
    pub look_every: usize,
    /// Where to train.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Compute in 32 bits also where the device has instructions for bfloat16.
    #[arg(long)]
    pub full_precision: bool,
    /// Threads that make batches; with a GPU, about as many as there are cores.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Threads of libtorch.
    #[arg(long)]
    pub threads: Option<i32>,
    /// Seed of first values, order and augmentation.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
