//! Pictures and masks of one size, reduced once and mapped into memory, so that an epoch opens no file.
//!
//! A cache is a folder: `index.json`, `pictures.u8` (RGB, row-major) and `masks.u8` (class index a pixel; [`IGNORE`] counts
//! for nothing). Both hold the samples one after the other.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use alight::inference::manifest::sha256_hex;
use anyhow::{Context as _, Result, bail, ensure};
use image::{GrayImage, RgbImage};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

/// The mask value of pixels that are neither learned from nor scored.
pub const IGNORE: u8 = 255;

/// What a cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Columns of every picture.
    pub width: u32,
    /// Rows of every picture.
    pub height: u32,
    /// Number of classes; masks hold less, or [`IGNORE`].
    pub classes: u8,
    /// Where the samples come from, in words.
    pub source: String,
    /// A name a sample, in order.
    pub names: Vec<String>,
}

/// A cache being written, beside the one that may be there: only [`CacheWriter::finish`] replaces that one. Whatever is given up before,
/// by an error or by dropping the writer, leaves it as it was.
pub struct CacheWriter {
    folder: PathBuf,
    index: Index,
    pictures: NewFile,
    masks: NewFile,
}

/// A file that gets its name when it is whole.
struct NewFile {
    beside: PathBuf,
    path: PathBuf,
    file: BufWriter<fs::File>,
}

impl NewFile {
    fn create(path: PathBuf) -> Result<Self> {
        let beside = path.with_extension("partial");
        let file = fs::File::create(&beside)
            .with_context(|| format!("cannot write {}", beside.display()))?;
        Ok(Self {
            beside,
            path,
            file: BufWriter::new(file),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// All of it to the disk.
    fn flush(&mut self) -> Result<()> {
        let flushed = self.file.flush();
        let flushed = flushed.and_then(|()| self.file.get_ref().sync_all());
        flushed.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn put_in_place(&self) -> Result<()> {
        let renamed = fs::rename(&self.beside, &self.path);
        renamed.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // It is gone when it has been put in place; else half a cache would only take room.
        let _ = fs::remove_file(&self.beside);
    }
}

impl CacheWriter {
    /// Starts a cache in `folder`, which is made; an older cache there stays until this one is whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(folder: &Path, size: (u32, u32), classes: u8, source: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            index: Index {
                width: size.0,
                height: size.1,
                classes,
                source: source.to_owned(),
                names: Vec::new(),
            },
            pictures: NewFile::create(folder.join("pictures.u8"))?,
            masks: NewFile::create(folder.join("masks.u8"))?,
        })
    }

    /// Appends a sample. The picture is scaled to the cache's size, the mask must have the picture's size.
    ///
    /// # Errors
    /// When the sizes differ or the mask holds an unknown index (the message says how many pixels), or the disk refuses.
    pub fn push(&mut self, name: &str, picture: &RgbImage, mask: &GrayImage) -> Result<()> {
        check_mask(picture, mask, self.index.classes)?;
        let (w, h) = (self.index.width, self.index.height);
        if picture.dimensions() == (w, h) {
            self.pictures.append(picture.as_raw())?;
            self.masks.append(mask.as_raw())?;
        } else {
            use image::imageops::{FilterType, resize};
            let small = resize(picture, w, h, FilterType::Triangle);
            self.pictures.append(small.as_raw())?;
            let small = resize(mask, w, h, FilterType::Nearest);
            self.masks.append(small.as_raw())?;
        }
        self.index.names.push(name.to_owned());
        Ok(())
    }

    /// Writes the index, which makes the cache readable, and returns how many samples it holds.
    ///
    /// # Errors
    /// When it holds none, or the disk refuses.
    pub fn finish(mut self) -> Result<usize> {
        ensure!(
            !self.index.names.is_empty(),
            "no usable sample for the cache {}: check the list and the folders",
            self.folder.display()
        );
        self.pictures.flush()?;
        self.masks.flush()?;
        let text = serde_json::to_string_pretty(&self.index)?;
        let index = self.folder.join("index.json");
        // Without an index there is no cache: a kill between here and the end leaves none, never a mixed one.
        if index.exists() {
            fs::remove_file(&index)
                .with_context(|| format!("cannot replace {}", index.display()))?;
        }
        self.pictures.put_in_place()?;
        self.masks.put_in_place()?;
        crate::parameters::write_atomically(&index, text.as_bytes())?;
        Ok(self.index.names.len())
    }
}

/// Checks that a mask belongs to its picture.
///
/// # Errors
/// When the sizes differ or the mask holds an index that is no class; the message counts the pixels.
pub fn check_mask(picture: &RgbImage, mask: &GrayImage, classes: u8) -> Result<()> {
    ensure!(
        picture.dimensions() == mask.dimensions(),
        "the mask is {:?} pixels but the picture {:?}",
        mask.dimensions(),
        picture.dimensions()
    );
    let odd: Vec<u8> = mask
        .as_raw()
        .iter()
        .copied()
        .filter(|&v| v >= classes && v != IGNORE)
        .collect();
    if let Some(first) = odd.first() {
        bail!(
            "{} mask pixels hold an unknown class, the first is {first}; known are 0..={} and {IGNORE}",
            odd.len(),
            classes - 1
        );
    }
    Ok(())
}

/// A cache, mapped.
#[derive(Debug)]
pub struct Cache {
    /// What it holds.
    pub index: Index,
    pictures: Mmap,
    masks: Mmap,
}

impl Cache {
    /// Opens a cache.
    ///
    /// # Errors
    /// When it is missing or its files do not have the size that the index says.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "no cache: cannot read {}; make it with `alight-trainer prepare`",
                path.display()
            )
        })?;
        let index: Index =
            serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        let pixels = index.width as usize * index.height as usize * index.names.len();
        let pictures = map(&folder.join("pictures.u8"), pixels * 3)?;
        let masks = map(&folder.join("masks.u8"), pixels)?;
        Ok(Self {
            index,
            pictures,
            masks,
        })
    }

    /// SHA-256 over the SHA-256s of pictures and masks, hexadecimal: says whether two caches hold the same pixels. Reads everything.
    #[must_use]
    pub fn sha256(&self) -> String {
        let parts = [&self.pictures, &self.masks].map(|m| sha256_hex(m));
        sha256_hex(parts.concat().as_bytes())
    }

    /// How many samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.names.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One sample, or `None` beyond the last.
    #[must_use]
    pub fn sample(&self, i: usize) -> Option<Sample<'_>> {
        let (width, height) = (self.index.width as usize, self.index.height as usize);
        let n = width * height;
        Some(Sample {
            width,
            height,
            picture: self.pictures.get(i * n * 3..(i + 1) * n * 3)?,
            mask: self.masks.get(i * n..(i + 1) * n)?,
        })
    }
}

/// A picture and its mask.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// RGB, row-major.
    pub picture: &'a [u8],
    /// Class index, row-major.
    pub mask: &'a [u8],
}

#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe because another program may change it; caches are written once, before"
)]
fn map(path: &Path, bytes: usize) -> Result<Mmap> {
    let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: the file is this program's own cache; nothing writes it while it is trained on.
    let map = unsafe { Mmap::map(&file) };
    let map = map.with_context(|| format!("cannot map {}", path.display()))?;
    ensure!(
        map.len() == bytes,
        "{} has {} bytes instead of {bytes}: prepare the cache again",
        path.display(),
        map.len()
    );
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb};

    fn pair(w: u32, h: u32) -> (RgbImage, GrayImage) {
        (
            RgbImage::from_fn(w, h, |x, y| Rgb([x as u8, y as u8, 7])),
            GrayImage::from_fn(w, h, |x, y| Luma([((x + y) % 4) as u8])),
        )
    }

    #[test]
    fn a_cache_gives_back_its_samples() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, mask) = pair(12, 8);
        let mut writer = CacheWriter::create(folder.path(), (12, 8), 4, "test").unwrap();
        writer.push("a", &picture, &mask).unwrap();
        let (large, large_mask) = pair(24, 16);
        writer.push("b", &large, &large_mask).unwrap();
        assert_eq!(writer.finish().unwrap(), 2);
        let cache = Cache::open(folder.path()).unwrap();
        let a = cache.sample(0).unwrap();
        assert_eq!(
            (a.picture, a.mask),
            (picture.as_raw().as_slice(), mask.as_raw().as_slice())
        );
        assert_eq!(cache.sample(1).unwrap().mask.len(), 96);
        assert!(cache.sample(2).is_none());
    }

    #[test]
    fn a_cache_that_is_given_up_leaves_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, mask) = pair(12, 8);
        put_first(folder.path(), &picture, &mask);
        let mut writer = CacheWriter::create(folder.path(), (12, 8), 4, "second").unwrap();
        writer.push("b", &mirrored(&picture), &mask).unwrap();
        drop(writer);
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(cache.index.source, "first");
        assert_eq!(
            cache.sample(0).unwrap().picture,
            picture.as_raw().as_slice()
        );
        // While it is mapped, another takes its place: the mapped one keeps its pixels.
        let mut writer = CacheWriter::create(folder.path(), (12, 8), 4, "third").unwrap();
        writer.push("c", &mirrored(&picture), &mask).unwrap();
        writer.finish().unwrap();
        assert_eq!(
            cache.sample(0).unwrap().picture,
            picture.as_raw().as_slice()
        );
        let third = Cache::open(folder.path()).unwrap();
        assert_eq!(third.index.names, ["c"]);
        assert_ne!(
            third.sample(0).unwrap().picture,
            picture.as_raw().as_slice()
        );
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 3, "nothing beside the cache");
    }

    /// A cache of one sample, as large as it is.
    fn put_first(folder: &Path, picture: &RgbImage, mask: &GrayImage) {
        let mut writer = CacheWriter::create(folder, picture.dimensions(), 4, "first").unwrap();
        writer.push("a", picture, mask).unwrap();
        writer.finish().unwrap();
    }

    fn mirrored(picture: &RgbImage) -> RgbImage {
        image::imageops::flip_horizontal(picture)
    }

    /// `/dev/full` refuses every byte with the error of a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named_and_the_older_cache_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, mask) = pair(120, 80);
        put_first(folder.path(), &picture, &mask);
        let full = folder.path().join("pictures.partial");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let mut writer = CacheWriter::create(folder.path(), (120, 80), 4, "second").unwrap();
        let error = writer.push("b", &picture, &mask).unwrap_err();
        assert!(crate::failure::is_disk_full(&error), "{error:#}");
        assert!(format!("{error:#}").contains("pictures.u8"), "{error:#}");
        drop(writer);
        assert_eq!(Cache::open(folder.path()).unwrap().index.source, "first");
        assert!(!full.exists(), "what was half written is taken away");
    }

    #[test]
    fn bad_masks_are_refused_with_the_count() {
        let (picture, mut mask) = pair(12, 8);
        mask.put_pixel(3, 3, Luma([4]));
        mask.put_pixel(4, 3, Luma([200]));
        mask.put_pixel(5, 3, Luma([IGNORE]));
        let text = check_mask(&picture, &mask, 4).unwrap_err().to_string();
        assert!(
            text.starts_with("2 mask pixels") && text.contains("first is 4"),
            "{text}"
        );
        let (_, other) = pair(8, 12);
        assert!(check_mask(&picture, &other, 4).is_err());
    }

    #[test]
    fn a_cut_cache_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, mask) = pair(12, 8);
        let mut writer = CacheWriter::create(folder.path(), (12, 8), 4, "test").unwrap();
        assert!(Cache::open(folder.path()).is_err(), "unfinished");
        writer.push("a", &picture, &mask).unwrap();
        writer.finish().unwrap();
        fs::write(folder.path().join("masks.u8"), [0; 5]).unwrap();
        let text = Cache::open(folder.path()).unwrap_err().to_string();
        assert!(text.contains("5 bytes instead of 96"), "{text}");
    }
}
