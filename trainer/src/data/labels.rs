//! What the masks of a data set mean: its labels -> the classes that the flying network knows.
//!
//! Every data set is read as those classes, so that networks learn from several and scores mean the same. A label that has no
//! counterpart is ignored: neither learned from nor scored.

use std::collections::BTreeMap;
use std::path::Path;

use alight::inference::classes::SEMANTIC_DRONE;
use anyhow::{Context as _, Result, bail, ensure};
use image::{DynamicImage, GrayImage};

use super::cache::IGNORE;

/// The word for a label that has no counterpart.
const IGNORED: &str = "ignore";
/// How many unknown labels a message names.
const LISTED: usize = 5;

/// Labels of `AeroScapes` (Nigam et al. 2018) in their order. Its background is any ground, its vegetation grass and trees: the
/// first says nothing, the second counts as what one does not land on.
const AEROSCAPES: [&str; 12] = [
    IGNORED,
    "person",
    "bicycle",
    "car",
    "obstacle",
    "obstacle",
    "dog",
    "obstacle",
    "roof",
    "vegetation",
    "paved-area",
    IGNORED,
];
/// Trimaps of the Oxford-IIIT Pet data set (Parkhi et al. 2012): 1 pet, 2 background, 3 border.
const PET: [&str; 4] = [IGNORED, "dog", "unlabeled", IGNORED];

/// A label of a mask: an index, or a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Index(u8),
    Colour([u8; 3]),
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(i) => write!(f, "{i}"),
            Self::Colour([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

/// Labels and the classes that they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    classes: BTreeMap<Label, u8>,
}

impl Labels {
    /// The Semantic Drone Dataset's, as indices and as the published colours.
    #[must_use]
    pub fn semantic_drone() -> Self {
        let all = SEMANTIC_DRONE.iter().enumerate();
        let both = all.flat_map(|(i, (_, colour, _))| {
            let class = i as u8;
            [
                (Label::Index(class), class),
                (Label::Colour(*colour), class),
            ]
        });
        let mut classes: BTreeMap<Label, u8> = both.collect();
        classes.insert(Label::Index(IGNORE), IGNORE);
        Self { classes }
    }

    /// `AeroScapes`' indices.
    #[must_use]
    pub fn aeroscapes() -> Self {
        Self::indices(&AEROSCAPES)
    }

    /// The Oxford-IIIT Pet trimaps.
    #[must_use]
    pub fn pet() -> Self {
        Self::indices(&PET)
    }

    fn indices(names: &[&str]) -> Self {
        let all = names.iter().enumerate();
        let classes = all.filter_map(|(i, n)| Some((Label::Index(i as u8), class_of(n)?)));
        Self {
            classes: classes.collect(),
        }
    }

    /// Reads a table: a line for each label, `LABEL,CLASS`; LABEL is an index (`7`) or a colour (`#70674f`, or `112,103,87`), CLASS
    /// one of the flying network's or `ignore`. Lines that start with `#` and a blank are comments.
    ///
    /// # Errors
    /// When the file cannot be read or a line is wrong: file, line and what is known.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the table {}", file.display()))?;
        let mut classes = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line == "#" || line.starts_with("# ") {
                continue;
            }
            let at = || format!("{}, line {}", file.display(), number + 1);
            let (label, class) = line
                .rsplit_once(',')
                .with_context(|| format!("{}: `{line}` is not LABEL,CLASS", at()))?;
            let class = class.trim();
            let class = class_of(class).with_context(|| {
                let names = SEMANTIC_DRONE.map(|(name, ..)| name);
                format!(
                    "{}: no class `{class}`; there are {} and {IGNORED}",
                    at(),
                    names.join(", ")
                )
            })?;
            let label = parse(label)
                .with_context(|| format!("{}: `{label}` is neither 0..=255 nor a colour", at()))?;
            let before = classes.insert(label, class);
            ensure!(before.is_none(), "{}: label {label} a second time", at());
        }
        ensure!(!classes.is_empty(), "{}: no label in it", file.display());
        Ok(Self { classes })
    }

    /// A mask as class indices.
    ///
    /// # Errors
    /// When it is neither an 8-bit index nor a colour mask, or holds labels that the table does not name: they are listed with
    /// their numbers of pixels.
    pub fn translate(&self, mask: DynamicImage) -> Result<GrayImage> {
        let (width, height) = (mask.width(), mask.height());
        let mut unknown: BTreeMap<Label, usize> = BTreeMap::new();
        let mut class = |label: Label| {
            self.classes.get(&label).copied().unwrap_or_else(|| {
                *unknown.entry(label).or_default() += 1;
                IGNORE
            })
        };
        let values: Vec<u8> = match mask {
            DynamicImage::ImageLuma8(m) => m.iter().map(|v| class(Label::Index(*v))).collect(),
            DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => {
                let m = mask.to_rgb8();
                m.pixels().map(|p| class(Label::Colour(p.0))).collect()
            }
            other => bail!(
                "the mask is {:?}, not 8-bit indices or colours",
                other.color()
            ),
        };
        if !unknown.is_empty() {
            let count: usize = unknown.values().sum();
            let mut most: Vec<_> = unknown.into_iter().collect();
            most.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
            let kinds = most.len();
            most.truncate(LISTED);
            let named = most.iter().map(|(l, n)| format!("{l} ({n})"));
            bail!(
                "{count} mask pixels hold {kinds} unknown labels: {}; name them in a --table",
                named.collect::<Vec<_>>().join(", ")
            );
        }
        GrayImage::from_raw(width, height, values).context("the mask has no pixels")
    }
}

fn class_of(name: &str) -> Option<u8> {
    if name == IGNORED {
        return Some(IGNORE);
    }
    let i = SEMANTIC_DRONE.iter().position(|(n, ..)| *n == name)?;
    Some(i as u8)
}

fn parse(label: &str) -> Option<Label> {
    let label = label.trim();
    if let Some(hex) = label.strip_prefix('#') {
        let value = u32::from_str_radix(hex, 16)
            .ok()
            .filter(|_| hex.len() == 6)?;
        let [_, r, g, b] = value.to_be_bytes();
        return Some(Label::Colour([r, g, b]));
    }
    let parts: Vec<u8> = label
        .split(',')
        .map(|p| p.trim().parse().ok())
        .collect::<Option<_>>()?;
    match parts.as_slice() {
        [i] => Some(Label::Index(*i)),
        [r, g, b] => Some(Label::Colour([*r, *g, *b])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb, RgbImage};

    fn table(text: &str) -> Result<Labels> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        std::fs::write(&file, text).unwrap();
        Labels::read(&file)
    }

    #[test]
    fn indices_and_published_colours_are_the_same_classes() {
        let labels = Labels::semantic_drone();
        let index = GrayImage::from_pixel(2, 1, Luma([15]));
        let colour = RgbImage::from_pixel(2, 1, Rgb([255, 22, 96]));
        for mask in [DynamicImage::from(index), DynamicImage::from(colour)] {
            assert_eq!(labels.translate(mask).unwrap().as_raw(), &[15, 15]);
        }
        let ignored = GrayImage::from_pixel(1, 1, Luma([255]));
        assert_eq!(labels.translate(ignored.into()).unwrap().as_raw(), &[255]);
    }

    #[test]
    fn other_data_sets_become_our_classes() {
        let mask = GrayImage::from_raw(4, 1, vec![0, 1, 10, 9]).unwrap();
        let got = Labels::aeroscapes().translate(mask.into()).unwrap();
        assert_eq!(got.as_raw(), &[255, 15, 1, 8]);
        let trimap = GrayImage::from_raw(3, 1, vec![1, 2, 3]).unwrap();
        let got = Labels::pet().translate(trimap.into()).unwrap();
        assert_eq!(got.as_raw(), &[16, 0, 255]);
    }

    #[test]
    fn unknown_labels_are_named_with_their_numbers() {
        let mut mask = GrayImage::from_pixel(4, 2, Luma([30]));
        mask.put_pixel(0, 0, Luma([40]));
        mask.put_pixel(1, 0, Luma([3]));
        let text = Labels::semantic_drone()
            .translate(mask.into())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("7 mask pixels hold 2 unknown labels: 30 (6), 40 (1)"),
            "{text}"
        );
        let colour = RgbImage::from_pixel(1, 1, Rgb([1, 2, 3]));
        let text = Labels::semantic_drone()
            .translate(colour.into())
            .unwrap_err()
            .to_string();
        assert!(text.contains("#010203 (1)"), "{text}");
        let text = Labels::pet()
            .translate(DynamicImage::new_luma16(2, 2))
            .unwrap_err();
        assert!(text.to_string().contains("not 8-bit"), "{text}");
    }

    #[test]
    fn tables_are_read_and_wrong_lines_named() {
        let labels = table("# ours\n0,ignore\n#70674f,gravel\n1,2,3,person\n").unwrap();
        let mask = RgbImage::from_fn(2, 1, |x, _| Rgb([[112, 103, 79], [1, 2, 3]][x as usize]));
        assert_eq!(labels.translate(mask.into()).unwrap().as_raw(), &[4, 15]);
        for (text, wanted) in [
            ("0;grass", "line 1: `0;grass` is not LABEL,CLASS"),
            ("0,grass\n1,gras", "line 2: no class `gras`"),
            ("x,grass", "`x` is neither"),
            ("300,grass", "`300` is neither"),
            ("0,grass\n0,dirt", "label 0 a second time"),
            ("", "no label"),
        ] {
            let error = table(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
