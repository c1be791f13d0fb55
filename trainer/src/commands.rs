//! The commands, one function each.

use std::path::Path;

use alight::inference::manifest::{ModelFiles, Training};
use anyhow::{Context as _, Result};

use crate::cli::{self, Command};
use crate::data;
use crate::data::cache::Cache;
use crate::data::fold::Fold;
use crate::data::labels::Labels;
use crate::data::prepare::{Pairs, prepare_drawn, prepare_pairs};
use crate::networks::Network;

/// Classes of the data that the flying network learns.
const CLASSES: u8 = alight::inference::classes::SEMANTIC_DRONE.len() as u8;

const NO_PAIRS: &str =
    "no pictures are named: give --data FOLDER, or --images, --masks and --table";

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
        Command::Networks(args) => networks(args),
        Command::Quantize(args) => crate::quantize::run(args),
        Command::Compare(args) => compare(args),
        #[cfg(feature = "libtorch")]
        Command::Train(args) => crate::torch::train::train(args),
        #[cfg(not(feature = "libtorch"))]
        Command::Train(_) => anyhow::bail!(
            "this build cannot train: build with `--features libtorch` and LIBTORCH set, see trainer/README.md"
        ),
    }
}

/// The pairs that the arguments name; `None` when they name none.
fn pairs_of(args: &cli::PairsArgs, purpose: Purpose) -> Result<Option<Pairs>> {
    if let Some(folder) = &args.data {
        let list = list_of(args, purpose);
        return Ok(Some(args.dataset.pairs(folder, list.as_deref())?));
    }
    let (Some(images), Some(masks), Some(table)) = (&args.images, &args.masks, &args.table) else {
        return Ok(None);
    };
    Ok(Some(Pairs {
        images: images.clone(),
        masks: masks.clone(),
        list: args.list.as_ref().map(Into::into),
        labels: Labels::read(table)?,
    }))
}

/// What pictures are wanted for, which decides the list where none is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Train,
    /// Never the pictures that were trained on, unless somebody asks for them.
    Score,
}

/// The list that is named, or to score `val.txt` where the data set has one.
fn list_of(args: &cli::PairsArgs, purpose: Purpose) -> Option<String> {
    let val = || {
        let folder = args.data.as_deref().filter(|_| purpose == Purpose::Score)?;
        folder
            .join("val.txt")
            .is_file()
            .then(|| "val.txt".to_owned())
    };
    args.list.clone().or_else(val)
}

fn prepare(args: &cli::PrepareArgs) -> Result<()> {
    let size = (args.width, args.height);
    let count = if let Some(count) = args.drawn {
        prepare_drawn(count, args.first_seed, &args.out, size, CLASSES)?
    } else {
        let pairs = pairs_of(&args.pairs, Purpose::Train)?.context(NO_PAIRS)?;
        prepare_pairs(&pairs, &args.out, size, CLASSES)?
    };
    log::info!("{count} samples in {}", args.out.display());
    Ok(())
}

fn split(args: &cli::SplitArgs) -> Result<()> {
    let cache = Cache::open(&args.cache)?;
    let hold_out = if args.random {
        data::fold::hold_out_at_random
    } else {
        data::fold::hold_out
    };
    let fold = hold_out(&cache, args.share, args.threshold, args.seed)?;
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
    put(&args.out, &(serde_json::to_string_pretty(&fold)? + "\n"))
}

fn export_model(args: &cli::ExportArgs) -> Result<()> {
    let (mut parameters, words) = crate::parameters::read(&args.parameters)?;
    let cache = Cache::open(&args.cache)?;
    let fold = Fold::read(&args.fold)?;
    let (trained_on, held_out) = fold.indices(&cache)?;
    let number = |key: &str| words.get(key).and_then(|w| w.parse().ok()).unwrap_or(0_u64);
    let training = Training {
        data: data_words(&cache.index.source, &words),
        split: format!(
            "{} of {} training pictures held out {} (fold.json, seed {}) for early stopping, logit adjustment, temperature and threshold; the val list is scored only",
            held_out.len(),
            cache.len(),
            if fold.is_random() {
                "at random"
            } else {
                "by scene"
            },
            fold.seed
        ),
        seed: number("seed"),
        epochs: number("epoch") as u32,
        licence: args.licence.clone(),
    };
    let network = Network::of_file(&args.parameters, &words)?;
    let graph = network.graph(args.height, args.width, usize::from(cache.index.classes))?;
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
    if let Some(pairs) = pairs_of(&args.pairs, Purpose::Score)? {
        let scores = score_list(&files, &pairs)?;
        let list = list_of(&args.pairs, Purpose::Score);
        let list = list.as_deref().unwrap_or("all");
        let name = list.trim_end_matches(".txt").to_owned();
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

/// Writes a file, whose folder is made where it is missing.
fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn compare(args: &cli::CompareArgs) -> Result<()> {
    let rows = crate::compare::read(&args.runs, args.mixed)?;
    log::info!("\n{}", crate::compare::text(&rows));
    for (path, text) in [
        (&args.out, crate::compare::page(&rows)),
        (&args.csv, crate::compare::csv(&rows)),
    ] {
        if let Some(path) = path {
            put(path, &text)?;
        }
    }
    Ok(())
}

fn networks(args: &cli::NetworksArgs) -> Result<()> {
    log::info!(
        "{}",
        crate::networks::table(args.height, args.width, usize::from(CLASSES))?
    );
    let Some(out) = &args.out else {
        return Ok(());
    };
    for network in Network::ALL {
        let graph = network.graph(args.height, args.width, usize::from(CLASSES))?;
        crate::agreement::write(&graph, args.seed, out)?;
    }
    Ok(())
}

/// What a network learned from, in words. Files of before these words were written are the flying network's.
fn data_words(cache: &str, words: &crate::parameters::Metadata) -> String {
    let start = words
        .get("start")
        .map_or("encoder pretrained on ImageNet", String::as_str);
    let drawn = if words.get("drawn").is_none_or(|d| d == "true") {
        " and drawn ground"
    } else {
        ""
    };
    format!("{cache}{drawn}; {start}")
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
    let pairs = pairs_of(&args.pairs, Purpose::Score)?.context(NO_PAIRS)?;
    let mut stems = pairs.stems()?;
    let mut origin = pairs.words();
    if let Some(path) = &args.fold {
        let fold = Fold::read(path)?;
        stems.retain(|s| fold.held_out.contains(s));
        origin = format!("the pictures of {origin} that the fold held out");
    }
    let mut scores = crate::eval::score(&files, read_all(&pairs, &stems))?;
    for (picture, name) in scores.by_picture.iter_mut().zip(&stems) {
        picture.name.clone_from(name);
    }
    scores.list.clone_from(&origin);
    scores.cost = Some(crate::cost::of(&files)?);
    scores.decisions = Some(crate::decisions::judge(&files, read_all(&pairs, &stems))?);
    log::info!("{}", scores.text());
    if let Some(folder) = &args.pictures {
        let pairs = read_all(&pairs, &stems);
        crate::worst::save(&files, &scores, pairs, folder)?;
    }
    if let Some(path) = &args.errors {
        let table = crate::errors::measure(&files, &origin, read_all(&pairs, &stems))?;
        put(path, &table.text())?;
    }
    if let Some(path) = &args.json {
        put(path, &(serde_json::to_string(&scores)? + "\n"))?;
    }
    Ok(())
}
