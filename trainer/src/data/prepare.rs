//! Makes caches: from a list of pictures and masks, or from drawn ground.

use std::path::{Path, PathBuf};

use alight::sim::world::{DrawnSpec, World};
use anyhow::{Context as _, Result, bail, ensure};
use image::{GrayImage, RgbImage};

use super::cache::{CacheWriter, check_mask};

/// A folder pair and the list of stems to take.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Folder of `<stem>.jpg` or `<stem>.png`.
    pub images: PathBuf,
    /// Folder of `<stem>.png`: 8-bit class index.
    pub masks: PathBuf,
    /// Text file, one stem a line.
    pub list: PathBuf,
}

/// How many bad samples a message names before it only counts.
const LISTED: usize = 8;

impl Pairs {
    /// The stems in the list.
    ///
    /// # Errors
    /// When the list cannot be read or is empty.
    pub fn stems(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.list)
            .with_context(|| format!("cannot read the list {}", self.list.display()))?;
        let stems: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        ensure!(
            !stems.is_empty(),
            "empty split: {} names no picture",
            self.list.display()
        );
        Ok(stems)
    }

    /// Path of a stem's picture, if there is one.
    #[must_use]
    pub fn image(&self, stem: &str) -> Option<PathBuf> {
        ["jpg", "jpeg", "png", "JPG", "PNG"]
            .iter()
            .map(|e| self.images.join(format!("{stem}.{e}")))
            .find(|p| p.is_file())
    }

    /// Reads a stem's picture and mask and checks that they belong together.
    ///
    /// # Errors
    /// When a partner is missing or unreadable, or the mask does not fit.
    pub fn read(&self, stem: &str, classes: u8) -> Result<(RgbImage, GrayImage)> {
        let Some(image) = self.image(stem) else {
            bail!("no picture in {}", self.images.display());
        };
        let mask = self.masks.join(format!("{stem}.png"));
        ensure!(mask.is_file(), "no mask {}", mask.display());
        let open = |path: &Path| {
            image::open(path).with_context(|| format!("cannot decode {}", path.display()))
        };
        let mask = match open(&mask)? {
            image::DynamicImage::ImageLuma8(mask) => mask,
            other => bail!(
                "{} is {:?}, not an 8-bit index mask",
                mask.display(),
                other.color()
            ),
        };
        let picture = open(&image)?.to_rgb8();
        check_mask(&picture, &mask, classes)?;
        Ok((picture, mask))
    }
}

/// Reduces the listed pairs into a cache. All are read before anything is refused, so that one run names every bad sample.
///
/// # Errors
/// When any sample is bad: the log names each, the message counts them and names the first few. When the disk refuses. An older cache stays.
pub fn prepare_pairs(pairs: &Pairs, folder: &Path, size: (u32, u32), classes: u8) -> Result<usize> {
    let stems = pairs.stems()?;
    let source = format!("{} pairs of {}", stems.len(), file_name(&pairs.list));
    let mut writer = CacheWriter::create(folder, size, classes, &source)?;
    let mut bad = Vec::new();
    for stem in &stems {
        match pairs.read(stem, classes) {
            // What the disk refuses is no fault of the sample.
            Ok((picture, mask)) if bad.is_empty() => writer.push(stem, &picture, &mask)?,
            Ok(_) => {}
            Err(e) => {
                let problem = format!("{stem}: {e:#}");
                log::error!("{problem}");
                bad.push(problem);
            }
        }
    }
    if bad.is_empty() {
        return writer.finish();
    }
    let count = bad.len();
    bad.truncate(LISTED);
    bail!(
        "{count} of {} samples are bad; mend them or take them off the list:\n  {}",
        stems.len(),
        bad.join("\n  ")
    )
}

/// Scales of drawn ground, metres a pixel at 768 columns: from about 10 to 40 m above it with a usual lens.
const DRAWN_SCALES: (f64, f64) = (0.018, 0.075);

/// Draws ground into a cache: one seed a piece, from `first_seed` on, scales spread evenly over the usual ones.
///
/// # Errors
/// When the disk refuses or `count` is 0.
pub fn prepare_drawn(
    count: usize,
    first_seed: u64,
    folder: &Path,
    size: (u32, u32),
    classes: u8,
) -> Result<usize> {
    let source = format!("{count} pieces of drawn ground, seeds from {first_seed}");
    let mut writer = CacheWriter::create(folder, size, classes, &source)?;
    for i in 0..count {
        let seed = first_seed + i as u64;
        // Steps of the golden ratio spread any number of values evenly.
        let share = (i as f64 * 0.618_033_988_75).fract();
        let (low, high) = DRAWN_SCALES;
        let world = World::drawn(&DrawnSpec {
            seed,
            width: size.0,
            height: size.1,
            metres_per_pixel: low * (high / low).powf(share),
        });
        writer.push(&format!("drawn-{seed}"), &world.picture, &world.truth)?;
    }
    writer.finish()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    fn pairs(folder: &Path) -> Pairs {
        let pairs = Pairs {
            images: folder.join("images"),
            masks: folder.join("masks"),
            list: folder.join("list.txt"),
        };
        std::fs::create_dir_all(&pairs.images).unwrap();
        std::fs::create_dir_all(&pairs.masks).unwrap();
        for stem in ["a", "b", "c"] {
            let image = pairs.images.join(format!("{stem}.png"));
            RgbImage::new(24, 16).save(image).unwrap();
            let mask = pairs.masks.join(format!("{stem}.png"));
            GrayImage::from_pixel(24, 16, Luma([2])).save(mask).unwrap();
        }
        std::fs::write(&pairs.list, "a\nb\nc\n").unwrap();
        pairs
    }

    #[test]
    fn good_pairs_become_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = pairs(folder.path());
        let cache = folder.path().join("cache");
        assert_eq!(prepare_pairs(&pairs, &cache, (12, 8), 24).unwrap(), 3);
    }

    #[test]
    fn every_bad_sample_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = pairs(folder.path());
        let bad = GrayImage::from_pixel(24, 16, Luma([30]));
        bad.save(pairs.masks.join("a.png")).unwrap();
        GrayImage::new(8, 8)
            .save(pairs.masks.join("b.png"))
            .unwrap();
        std::fs::write(&pairs.list, "a b c lost").unwrap();
        let cache = folder.path().join("cache");
        let text = prepare_pairs(&pairs, &cache, (12, 8), 24)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("3 of 4 samples"), "{text}");
        assert!(text.contains("a: 384 mask pixels") && text.contains("b: the mask is (8, 8)"));
        assert!(text.contains("lost: no picture"), "{text}");
    }

    #[test]
    fn an_empty_list_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = pairs(folder.path());
        std::fs::write(&pairs.list, "\n").unwrap();
        let text = pairs.stems().unwrap_err().to_string();
        assert!(text.contains("empty split"), "{text}");
    }
}
