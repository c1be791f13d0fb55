//! Makes caches: from a list of pictures and masks, or from drawn ground.

use std::path::{Path, PathBuf};

use alight::sim::world::{DrawnSpec, World};
use anyhow::{Context as _, Result, bail, ensure};
use image::{GrayImage, RgbImage};

use clap::ValueEnum;

use super::cache::{CacheWriter, check_mask};
use super::labels::Labels;

/// Pictures with masks, as a data set keeps them.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Folder of `<stem>.jpg` or `<stem>.png`.
    pub images: PathBuf,
    /// Folder of `<stem>.png`: 8-bit indices or colours.
    pub masks: PathBuf,
    /// Text file, one stem a line (what follows it on the line counts for nothing); all pictures without.
    pub list: Option<PathBuf>,
    /// What the masks mean.
    pub labels: Labels,
}

/// A published data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dataset {
    /// The Semantic Drone Dataset (TU Graz), as published (index or colour masks) or as `images/` and `masks/`.
    SemanticDrone,
    /// `AeroScapes`, as published or as `images/` and `masks/`.
    Aeroscapes,
    /// The Oxford-IIIT Pet data set with its trimaps.
    Pet,
}

impl Dataset {
    /// Its pairs in `folder`; `list` is a file in it, or a path. Without, the Semantic Drone Dataset's `train.txt` where it is, else
    /// all pictures.
    ///
    /// # Errors
    /// When the folder holds none of the layouts that the data set is published in.
    pub fn pairs(self, folder: &Path, list: Option<&str>) -> Result<Pairs> {
        let (layouts, labels): (&[(&str, &str)], Labels) = match self {
            Self::SemanticDrone => (
                &[
                    ("images", "masks"),
                    ("original_images", "label_images_semantic"),
                    ("original_images", "RGB_color_image_masks"),
                    (
                        "training_set/images",
                        "training_set/gt/semantic/label_images",
                    ),
                ],
                Labels::semantic_drone(),
            ),
            Self::Aeroscapes => (
                &[("JPEGImages", "SegmentationClass"), ("images", "masks")],
                Labels::aeroscapes(),
            ),
            Self::Pet => (&[("images", "annotations/trimaps")], Labels::pet()),
        };
        let is_there = |(i, m): &&(&str, &str)| folder.join(i).is_dir() && folder.join(m).is_dir();
        let Some((images, masks)) = layouts.iter().find(is_there) else {
            let known = layouts.iter().map(|(i, m)| format!("{i} with {m}"));
            bail!(
                "{} holds no such data set: looked for {}; --images, --masks and --table name any other",
                folder.display(),
                known.collect::<Vec<_>>().join(", ")
            );
        };
        let usual = folder.join("train.txt");
        Ok(Pairs {
            images: folder.join(images),
            masks: folder.join(masks),
            list: list
                .map(|l| folder.join(l))
                .or_else(|| usual.is_file().then_some(usual)),
            labels,
        })
    }
}

/// Ends of the names of pictures.
const PICTURES: [&str; 5] = ["jpg", "jpeg", "png", "JPG", "PNG"];

/// How many bad samples a message names before it only counts.
const LISTED: usize = 8;

impl Pairs {
    /// The stems in the list.
    ///
    /// # Errors
    /// When the list cannot be read or is empty.
    pub fn stems(&self) -> Result<Vec<String>> {
        let Some(list) = &self.list else {
            return self.all();
        };
        let text = std::fs::read_to_string(list)
            .with_context(|| format!("cannot read the list {}", list.display()))?;
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        let first = lines.filter_map(|l| l.split_whitespace().next());
        let stems: Vec<String> = first.map(str::to_owned).collect();
        ensure!(
            !stems.is_empty(),
            "empty split: {} names no picture",
            list.display()
        );
        Ok(stems)
    }

    /// The stems of all pictures, sorted.
    fn all(&self) -> Result<Vec<String>> {
        let stems = stems_in(&self.images, &PICTURES)?;
        ensure!(
            !stems.is_empty(),
            "empty split: no picture in {}",
            self.images.display()
        );
        Ok(stems)
    }

    /// Masks without a picture, sorted; none where a list says what is wanted.
    fn masks_alone(&self) -> Result<Vec<String>> {
        if self.list.is_some() {
            return Ok(Vec::new());
        }
        let mut stems = stems_in(&self.masks, &["png"])?;
        stems.retain(|s| self.image(s).is_none());
        Ok(stems)
    }

    /// Where the pictures come from, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let named = self.list.as_deref().unwrap_or(&self.images);
        let folder = named.parent().map_or_else(String::new, file_name);
        format!("{folder}/{}", file_name(named))
    }

    /// Path of a stem's picture, if there is one.
    #[must_use]
    pub fn image(&self, stem: &str) -> Option<PathBuf> {
        PICTURES
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
        let mask = self.labels.translate(open(&mask)?)?;
        let picture = open(&image)?.to_rgb8();
        check_mask(&picture, &mask, classes)?;
        Ok((picture, mask))
    }
}

/// The stems of the files in a folder that end so, sorted; hidden ones are none.
fn stems_in(folder: &Path, ends: &[&str]) -> Result<Vec<String>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let files = entries.filter_map(|f| Some(f.ok()?.path()));
    let wanted = files.filter(|f| {
        let end = f.extension().and_then(std::ffi::OsStr::to_str);
        end.is_some_and(|e| ends.contains(&e))
    });
    let mut stems: Vec<String> = wanted
        .filter_map(|f| Some(f.file_stem()?.to_str()?.to_owned()))
        .filter(|s| !s.starts_with('.'))
        .collect();
    stems.sort();
    Ok(stems)
}

/// The first few, and how many more.
fn first_few(names: &[String]) -> String {
    let named = names.iter().take(LISTED).cloned().collect::<Vec<_>>();
    match names.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Reduces the listed pairs into a cache. Masks without a picture are named and left out. All are read before anything is refused, so that
/// one run names every bad sample.
///
/// # Errors
/// When any sample is bad: the log names each, the message counts them and names the first few. When the disk refuses. An older cache stays.
pub fn prepare_pairs(pairs: &Pairs, folder: &Path, size: (u32, u32), classes: u8) -> Result<usize> {
    let stems = pairs.stems()?;
    let alone = pairs.masks_alone()?;
    if !alone.is_empty() {
        let names = first_few(&alone);
        log::warn!(
            "{} masks have no picture and are left out: {names}",
            alone.len()
        );
    }
    let source = format!("{} pairs of {}", stems.len(), pairs.words());
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
            list: Some(folder.join("list.txt")),
            labels: Labels::semantic_drone(),
        };
        std::fs::create_dir_all(&pairs.images).unwrap();
        std::fs::create_dir_all(&pairs.masks).unwrap();
        for stem in ["a", "b", "c"] {
            let image = pairs.images.join(format!("{stem}.png"));
            RgbImage::new(24, 16).save(image).unwrap();
            let mask = pairs.masks.join(format!("{stem}.png"));
            GrayImage::from_pixel(24, 16, Luma([2])).save(mask).unwrap();
        }
        std::fs::write(folder.join("list.txt"), "a\nb\nc\n").unwrap();
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
        std::fs::write(folder.path().join("list.txt"), "a\nb 1 2\n# no\nc\nlost").unwrap();
        let cache = folder.path().join("cache");
        let text = prepare_pairs(&pairs, &cache, (12, 8), 24)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("3 of 4 samples"), "{text}");
        assert!(
            text.contains("a: 384 mask pixels hold 1 unknown labels: 30 (384)")
                && text.contains("b: the mask is (8, 8)")
        );
        assert!(text.contains("lost: no picture"), "{text}");
    }

    #[test]
    fn masks_without_a_picture_are_named_unless_a_list_says_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let mut pairs = pairs(folder.path());
        for stem in ["._a", "x", "d"] {
            let mask = pairs.masks.join(format!("{stem}.png"));
            GrayImage::new(24, 16).save(mask).unwrap();
        }
        assert!(pairs.masks_alone().unwrap().is_empty());
        pairs.list = None;
        assert_eq!(pairs.masks_alone().unwrap(), ["d", "x"]);
        assert_eq!(pairs.stems().unwrap(), ["a", "b", "c"]);
        let names: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert_eq!(first_few(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(first_few(&names[..2]), "0, 1");
    }

    #[test]
    fn an_empty_list_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = pairs(folder.path());
        std::fs::write(folder.path().join("list.txt"), "\n").unwrap();
        let text = pairs.stems().unwrap_err().to_string();
        assert!(text.contains("empty split"), "{text}");
    }

    #[test]
    fn published_layouts_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let put = |path: &str, image: image::DynamicImage| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image.save(path).unwrap();
        };
        let picture = || image::DynamicImage::from(RgbImage::new(6, 4));
        let index = |v: u8| image::DynamicImage::from(GrayImage::from_pixel(6, 4, Luma([v])));
        let nothing = Dataset::Pet.pairs(root, None).unwrap_err().to_string();
        assert!(
            nothing.contains("annotations/trimaps") && nothing.contains("--table"),
            "{nothing}"
        );
        put("drone/original_images/000.jpg", picture());
        let red = RgbImage::from_pixel(6, 4, image::Rgb([255, 22, 96]));
        put("drone/RGB_color_image_masks/000.png", red.into());
        put("aero/JPEGImages/1.jpg", picture());
        put("aero/SegmentationClass/1.png", index(10));
        put("aero/JPEGImages/2.jpg", picture());
        put("pet/images/cat.jpg", picture());
        put("pet/annotations/trimaps/cat.png", index(1));
        let list = root.join("pet/annotations/trainval.txt");
        std::fs::write(list, "#Image CLASS-ID\ncat 1 1 1\n").unwrap();
        for (kind, at, list, stem, class) in [
            (Dataset::SemanticDrone, "drone", None, "000", 15),
            (Dataset::Aeroscapes, "aero", None, "1", 1),
            (
                Dataset::Pet,
                "pet",
                Some("annotations/trainval.txt"),
                "cat",
                16,
            ),
        ] {
            let pairs = kind.pairs(&root.join(at), list).unwrap();
            assert_eq!(pairs.stems().unwrap()[0], stem, "{kind:?}");
            let (_, mask) = pairs.read(stem, 24).unwrap();
            assert!(mask.iter().all(|c| *c == class), "{kind:?}");
        }
        let aero = Dataset::Aeroscapes.pairs(&root.join("aero"), None).unwrap();
        let text = prepare_pairs(&aero, &root.join("cache"), (6, 4), 24).unwrap_err();
        assert!(
            text.to_string().contains("1 of 2 samples") && text.to_string().contains("2: no mask")
        );
    }
}
