//! The commands, one function each.

use std::path::Path;

use alight::inference::manifest::{ModelFiles, Training};
use anyhow::{Context as _, Result};

use crate::cli::{self, Command};
use crate::data;
use crate::data::cache::Cache;
use crate::data::fold::Fold;
use crate::data::prepare::{Pairs, prepare_drawn, prepare_pairs};

/// Classes of the data that the flying network learns.
const CLASSES: u8 = alight::inference::classes::SEMANTIC_DRONE.len() as u8;
/// Under what the network may be passed on.
const LICENCE: &str = "research and non-commercial use with citation of the Semantic Drone Dataset (TU Graz); encoder initialised from Apache-2.0 weights";

/// Does what the command line asks.
///
/// # Errors
/// Whatever went wrong, in words that name the file, key or flag.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Prepare(args) => prepare(args),
        Command::Split(args) => split(args),
        Command::Matrix(args) => crate::matrix::driver::run(args),
        Command::Export(args) => export_model(args),
        Command::Eval(args) => eval_model(args),
        #[cfg(feature = "libtorch")]
        Command::Train(args) => crate::torch::train::train(args),
        #[cfg(not(feature = "libtorch"))]
        Command::Train(_) => anyhow::bail!(
            "this build cannot train: build with `--features libtorch` and LIBTORCH set, see trainer/README.md"
        ),
    }
}

fn pairs_of(data: &Path, list: &str) -> Pairs {
    Pairs {
        images: data.join("images"),
        masks: data.join("masks"),
        list: data.join(list),
    }
}

fn prepare(args: &cli::PrepareArgs) -> Result<()> {
    let size = (args.width, args.height);
    let count = if let Some(count) = args.drawn {
        prepare_drawn(count, args.first_seed, &args.out, size, CLASSES)?
    } else {
        let data = args.data.as_ref().context("--data is missing")?;
        prepare_pairs(&pairs_of(data, &args.list), &args.out, size, CLASSES)?
    };
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
    let leak = data::fold::random_leak(&cache, args.share, args.threshold, args.seed)?;
    log::info!(
        "a random split of this size would leak: {:.0} % of its held-out pictures have a picture of the same scene in the rest",
        100.0 * leak
    );
    std::fs::write(&args.out, serde_json::to_string_pretty(&fold)? + "\n")
        .with_context(|| format!("cannot write {}", args.out.display()))
}

fn export_model(args: &cli::ExportArgs) -> Result<()> {
    let (mut parameters, words) = crate::parameters::read(&args.parameters)?;
    let cache = Cache::open(&args.cache)?;
    let fold = Fold::read(&args.fold)?;
    let (trained_on, held_out) = fold.indices(&cache)?;
    let number = |key: &str| words.get(key).and_then(|w| w.parse().ok()).unwrap_or(0_u64);
    let training = Training {
        data: format!(
            "Semantic Drone Dataset ({}) and drawn ground; encoder pretrained on ImageNet",
            cache.index.source
        ),
        split: format!(
            "{} of {} training pictures held out by scene (fold.json, seed {}) for early stopping, logit adjustment, temperature and threshold; the val list is scored only",
            held_out.len(),
            cache.len(),
            fold.seed
        ),
        seed: number("seed"),
        epochs: number("epoch") as u32,
        licence: LICENCE.to_owned(),
    };
    let encoder = crate::effnet_unet::encoder_of(&args.parameters, &words)?;
    let graph = crate::effnet_unet::effnet_lite_unet(
        encoder,
        args.height,
        args.width,
        usize::from(cache.index.classes),
    );
    crate::export::adjust(
        (&graph, &training),
        &mut parameters,
        &cache,
        (&trained_on, &held_out),
    )?;
    let mut files = crate::export::model(&graph, &parameters, &training)?;
    let fold_scores = crate::export::fit(&mut files, &cache, &held_out)?;
    let mut tables = toml::Table::new();
    tables.insert(
        "fold".to_owned(),
        crate::export::score_table(&fold_scores).into(),
    );
    if let Some(data) = &args.data {
        let scores = score_list(&files, &pairs_of(data, &args.list))?;
        let name = args.list.trim_end_matches(".txt").to_owned();
        tables.insert(name, crate::export::score_table(&scores).into());
        log::info!("{}", scores.text());
    }
    files.manifest.scores = tables;
    crate::export::save(&files, &args.out)?;
    log::info!(
        "{} bytes of network in {}",
        files.network.len(),
        args.out.display()
    );
    Ok(())
}

fn score_list(files: &ModelFiles, pairs: &Pairs) -> Result<crate::eval::Scores> {
    crate::eval::score(files, read_all(pairs, &pairs.stems()?))
}

fn read_all<'a>(
    pairs: &'a Pairs,
    stems: &'a [String],
) -> impl Iterator<Item = Result<crate::eval::Pair>> + 'a {
    stems
        .iter()
        .map(|s| pairs.read(s, CLASSES).context(s.clone()))
}

fn eval_model(args: &cli::EvalArgs) -> Result<()> {
    let files = ModelFiles::load(&args.model)?;
    let pairs = pairs_of(&args.data, &args.list);
    let mut stems = pairs.stems()?;
    let mut origin = args.list.clone();
    if let Some(path) = &args.fold {
        let fold = Fold::read(path)?;
        stems.retain(|s| fold.held_out.contains(s));
        origin = format!("the pictures of {origin} that the fold held out");
    }
    let scores = crate::eval::score(&files, read_all(&pairs, &stems))?;
    log::info!("{}", scores.text());
    if let Some(path) = &args.errors {
        let table = crate::errors::measure(&files, &origin, read_all(&pairs, &stems))?;
        std::fs::write(path, table.text())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&scores)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
