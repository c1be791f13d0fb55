//! `alight segment`: what every pixel of pictures is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use image::{GrayImage, ImageBuffer, Luma};

use super::progress::Progress;
use super::{Failure, model, output};
use crate::camera::{self, Frame, SourceEvent};
use crate::inference::{SegmentationMap, Segmenter as _};

/// Writes, for every picture, `<stem>.png` (8-bit class index at the picture's own size) and `<stem>.landable.png`
/// (probability of landable ground, 0-255).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  alight segment photos/ --out out/masks")]
pub(super) struct Args {
    /// Pictures (JPEG, PNG), or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Folder to write into; made if need be.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Network: an ONNX file with its manifest (.toml) beside it. Default: the configuration's, the installed one, the
    /// one inside the program.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Configuration (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = model::settings(args.config.as_deref())?;
    let mut sources = Vec::new();
    for path in &args.paths {
        sources.push(camera::open(path, 1.0).map_err(Failure::input)?);
    }
    let mut segmenter = model::load(args.model.as_deref(), &settings)?;
    let out = output::folder(&args.out)?;
    check_overwrite(&args.paths, &out)?;
    let mut stems = HashSet::new();
    let total = sources.iter().map(|s| s.len_hint()).sum::<Option<u64>>();
    let mut progress = Progress::new("pictures", total);
    let mut map = SegmentationMap::default();
    let (mut done, mut skipped) = (0_u64, 0_u64);
    for source in &mut sources {
        loop {
            match source.next_event() {
                SourceEvent::Frame(frame) => match segmenter.segment(&frame, &mut map) {
                    Ok(()) => {
                        write_masks(&frame, &map, &out.join(stem(&frame, &mut stems)))?;
                        done += 1;
                    }
                    Err(e) => {
                        log::warn!("{}: {e}; skipped", frame.source);
                        skipped += 1;
                    }
                },
                SourceEvent::Skipped { source, reason, .. } => {
                    log::warn!("{source}: {reason}; skipped");
                    skipped += 1;
                }
                SourceEvent::End { warning } => {
                    if let Some(w) = warning {
                        log::warn!("{w}");
                    }
                    break;
                }
            }
            progress.step();
        }
    }
    progress.finish();
    if done == 0 {
        return Err(Failure::Input(anyhow!(
            "no readable picture in the input: {skipped} skipped, reasons above"
        )));
    }
    log::info!(
        "{done} pictures segmented, {skipped} skipped -> {}",
        out.display()
    );
    Ok(())
}

/// Masks are PNGs named like their pictures: beside them they could replace them.
fn check_overwrite(paths: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let folder = |p: &Path| p.canonicalize().ok();
    for path in paths {
        let of_pictures = if path.is_dir() {
            Some(path.as_path())
        } else {
            path.parent()
        };
        let of_pictures = of_pictures.map(|p| {
            if p.as_os_str().is_empty() {
                Path::new(".")
            } else {
                p
            }
        });
        if of_pictures.and_then(folder) == folder(out) {
            return Err(Failure::Input(anyhow!(
                "--out {}: is the folder of the pictures, which masks could overwrite; give another folder",
                out.display()
            )));
        }
    }
    Ok(())
}

/// The picture's name without its extension; with it, where another picture of the same stem came before.
fn stem(frame: &Frame, taken: &mut HashSet<String>) -> String {
    let name = Path::new(&*frame.source);
    let stem = name
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if taken.insert(stem.clone()) {
        return stem;
    }
    log::warn!(
        "{}: another picture is called `{stem}`; its masks keep the extension",
        frame.source
    );
    frame.source.to_string()
}

fn write_masks(frame: &Frame, map: &SegmentationMap, target: &Path) -> Result<(), Failure> {
    let (w, h) = frame.image.dimensions();
    let file = |end: &str| PathBuf::from(format!("{}{end}", target.display()));
    save(w, h, map.classes_at(w as usize, h as usize), &file(".png"))?;
    let landable = map
        .landable_at(w as usize, h as usize)
        .iter()
        .map(|p| (p * 255.0).round() as u8)
        .collect();
    save(w, h, landable, &file(".landable.png"))
}

fn save(width: u32, height: u32, pixels: Vec<u8>, file: &Path) -> Result<(), Failure> {
    let picture: GrayImage = ImageBuffer::<Luma<u8>, _>::from_raw(width, height, pixels)
        .ok_or_else(|| {
            Failure::Working(anyhow!(
                "{}: mask of another size than the picture",
                file.display()
            ))
        })?;
    output::written(picture.save(file), file)
}
