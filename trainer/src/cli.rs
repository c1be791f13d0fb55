//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::effnet_unet::Encoder;

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
      --errors models/errors.json";

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
    /// Score a model on a list of pictures, through the runtime's own inference.
    Eval(EvalArgs),
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
    /// Data set whose list is scored into the manifest: folder with `images/`, `masks/` and the list.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// File in that folder that names the stems to score.
    #[arg(long, default_value = "val.txt")]
    pub list: String,
    /// Rows of the network's input.
    #[arg(long, default_value_t = 256)]
    pub height: usize,
    /// Columns of the network's input.
    #[arg(long, default_value_t = 384)]
    pub width: usize,
    /// Folder to write into.
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The model: `landing.toml` or `landing.onnx`, the other beside it.
    #[arg(long)]
    pub model: PathBuf,
    /// Folder with `images/`, `masks/` and the list.
    #[arg(long)]
    pub data: PathBuf,
    /// File in that folder that names the stems.
    #[arg(long, default_value = "val.txt")]
    pub list: String,
    /// Also write the scores as JSON to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Only the stems that this fold held out.
    #[arg(long)]
    pub fold: Option<PathBuf>,
    /// Also write how the network errs to this file: what `alight sim --segmenter noisy` flies with.
    #[arg(long)]
    pub errors: Option<PathBuf>,
}

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Folder with `images/`, `masks/` and the list.
    #[arg(long, required_unless_present = "drawn")]
    pub data: Option<PathBuf>,
    /// File in that folder that names the stems, one a line.
    #[arg(long, default_value = "train.txt")]
    pub list: String,
    /// Draw this many pieces of ground instead.
    #[arg(long, conflicts_with = "data")]
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
    /// The encoder.
    #[arg(long, value_enum, default_value_t = Encoder::Lite0)]
    pub encoder: Encoder,
    /// ImageNet weights of the encoder, safetensors.
    #[arg(long, required_unless_present = "start_from")]
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
    /// Compute in 32 bits instead of bfloat16.
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
