//! The trainer of the networks that alight flies.

mod cli;
mod data;
mod effnet_unet;
mod graph;
mod parameters;
mod scores;
#[cfg(feature = "libtorch")]
mod torch;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use cli::{Cli, Command};
use data::cache::Cache;
use data::prepare::{Pairs, prepare_pairs};

/// Classes of the data that the flying network learns.
const CLASSES: u8 = alight::inference::classes::SEMANTIC_DRONE.len() as u8;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Prepare(args) => prepare(args),
        Command::Split(args) => split(args),
        #[cfg(feature = "libtorch")]
        Command::Train(args) => torch::train::train(args),
        #[cfg(not(feature = "libtorch"))]
        Command::Train(_) => anyhow::bail!(
            "this build cannot train: build with `--features libtorch` and LIBTORCH set, see trainer/README.md"
        ),
    }
}

fn prepare(args: &cli::PrepareArgs) -> Result<()> {
    let size = (args.width, args.height);
    let data = args.data.as_ref().context("--data is missing")?;
    let pairs = Pairs {
        images: data.join("images"),
        masks: data.join("masks"),
        list: data.join(&args.list),
    };
    let count = prepare_pairs(&pairs, &args.out, size, CLASSES)?;
    log::info!("{count} samples in {}", args.out.display());
    Ok(())
}

fn split(args: &cli::SplitArgs) -> Result<()> {
    let cache = Cache::open(&args.cache)?;
    let fold = data::fold::hold_out(&cache, args.share, args.threshold, args.seed)?;
    log::info!(
        "{} of {} pictures held out, {} scenes of more than one picture, nearest pair across at {:.3}",
        fold.held_out.len(),
        cache.len(),
        fold.scenes.len(),
        fold.nearest_across
    );
    std::fs::write(&args.out, serde_json::to_string_pretty(&fold)? + "\n")
        .with_context(|| format!("cannot write {}", args.out.display()))
}
