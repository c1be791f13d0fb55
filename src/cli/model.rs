//! Which network: `--model`, else the configuration, else the installed one, else the one inside the program.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::Settings;
use crate::inference::manifest::ModelFiles;
use crate::inference::tract::TractSegmenter;

/// Where packages put the network.
const INSTALLED: &str = "/usr/share/alight/landing.onnx";

static NETWORK: &[u8] = include_bytes!("../../models/landing.onnx");
const MANIFEST: &str = include_str!("../../models/landing.toml");

/// Reads, checks and loads the network.
///
/// # Errors
/// Exit code 2: the network or its manifest is missing or wrong.
pub(super) fn load(flag: Option<&Path>, settings: &Settings) -> Result<TractSegmenter, Failure> {
    let files = files(flag, settings)?;
    log::info!(
        "network: {} ({})",
        files.origin.display(),
        files.manifest.name
    );
    TractSegmenter::new(&files).map_err(Failure::input)
}

/// Finds and checks the files, without loading them into tract.
///
/// # Errors
/// Exit code 2, as [`load`].
pub(super) fn files(flag: Option<&Path>, settings: &Settings) -> Result<ModelFiles, Failure> {
    let chosen: Option<PathBuf> = flag
        .map(Path::to_owned)
        .or_else(|| settings.values.model.file.clone())
        .or_else(|| Some(PathBuf::from(INSTALLED)).filter(|p| p.exists()));
    match chosen {
        Some(path) => ModelFiles::load(&path),
        None => ModelFiles::embedded(MANIFEST, NETWORK),
    }
    .map_err(Failure::input)
}

/// Reads the configuration, or takes the defaults.
///
/// # Errors
/// Exit code 2: file, key, value, remedy.
pub(super) fn settings(flag: Option<&Path>) -> Result<Settings, Failure> {
    flag.map_or_else(
        || Ok(Settings::default()),
        |file| Settings::load(file).map_err(Failure::input),
    )
}
