//! Reads a world file: TOML that names a picture, its truth, their scale and what moves.

use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageReader};
use serde::Deserialize;

use super::mover::Mover;
use super::world::{Shadow, StartArea, World};
use crate::inference::classes::Class;

/// Why a world file cannot be used. Each message names the file, the key, the value and what to do.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file itself cannot be read.
    #[error("{}: cannot be read: {source}; check the path given to --world", path.display())]
    Read {
        /// The world file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, a missing or unknown key, or a value of another kind.
    #[error("{}: `{key}`: {reason}; see \"World file\" in the documentation", path.display())]
    Key {
        /// The world file.
        path: PathBuf,
        /// The key's path in the file.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture named in the file cannot be read.
    #[error("{}: `{key}` = \"{}\": {reason}; paths are relative to the world file", path.display(), picture.display())]
    Picture {
        /// The world file.
        path: PathBuf,
        /// `picture` or `truth`.
        key: &'static str,
        /// The picture.
        picture: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A value outside its range.
    #[error("{}: `{key}` = {value}: must be {must}", path.display())]
    Value {
        /// The world file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it must be.
        must: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldFile {
    picture: PathBuf,
    truth: PathBuf,
    metres_per_pixel: f64,
    class: Vec<Class>,
    #[serde(default)]
    mover: Vec<Mover>,
    start: Option<Start>,
    origin_px: Option<[f64; 2]>,
    #[serde(default)]
    north_deg: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    area_px: [f64; 4],
    height_m: [f64; 2],
}

impl World {
    /// Reads a world file and the pictures that it names.
    ///
    /// # Errors
    /// `Read` when the file is missing; `Key` when it is no TOML, lacks a key or has one too many; `Picture` when a
    /// picture is missing or unreadable, the truth is no 8-bit index picture or not of the picture's size; `Value` when
    /// a number is out of range.
    pub fn load(path: &Path) -> Result<Self, WorldError> {
        let text = std::fs::read_to_string(path).map_err(|source| WorldError::Read {
            path: path.to_owned(),
            source,
        })?;
        let file = parse(path, &text)?;
        check(&file).map_err(|(key, value, must)| WorldError::Value {
            path: path.to_owned(),
            key,
            value,
            must,
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let picture = open(path, "picture", &folder.join(&file.picture))?.to_rgb8();
        let truth_at = folder.join(&file.truth);
        let refuse = |reason: String| WorldError::Picture {
            path: path.to_owned(),
            key: "truth",
            picture: truth_at.clone(),
            reason,
        };
        let truth = indices(&truth_at).map_err(refuse)?;
        let (size, of) = (truth.dimensions(), picture.dimensions());
        if size != of {
            return Err(refuse(format!(
                "is {}x{}, the picture {}x{}: both must have the same size",
                size.0, size.1, of.0, of.1
            )));
        }
        let middle = [0.5 * f64::from(of.0), 0.5 * f64::from(of.1)];
        Ok(Self {
            picture,
            truth,
            metres_per_pixel: file.metres_per_pixel,
            classes: file.class,
            movers: file.mover,
            start: file.start.map(|s| StartArea {
                area_px: s.area_px,
                height_m: s.height_m,
            }),
            origin_px: file.origin_px.unwrap_or(middle),
            north_deg: file.north_deg,
            shadow: Shadow::default(),
        })
    }
}

fn parse(path: &Path, text: &str) -> Result<WorldFile, WorldError> {
    let refuse = |key: String, reason: &str| WorldError::Key {
        path: path.to_owned(),
        key,
        reason: reason.trim_end().to_owned(),
    };
    // A text that is no TOML at all has no key: the message then shows the line.
    let document =
        toml::Deserializer::parse(text).map_err(|e| refuse("TOML".to_owned(), &e.to_string()))?;
    serde_path_to_error::deserialize(document)
        .map_err(|e| refuse(e.path().to_string(), e.inner().message()))
}

/// A value out of range: key, value, what it must be.
type OutOfRange = (String, String, &'static str);

/// Ranges, which the types of the file do not hold.
fn check(file: &WorldFile) -> Result<(), OutOfRange> {
    let scale = file.metres_per_pixel;
    require(scale > 0.0 && scale.is_finite(), || {
        (
            "metres_per_pixel".to_owned(),
            scale.to_string(),
            "greater than 0",
        )
    })?;
    require(file.north_deg.is_finite(), || {
        (
            "north_deg".to_owned(),
            file.north_deg.to_string(),
            "a finite number of degrees",
        )
    })?;
    if let Some(at) = file.origin_px {
        require(at.iter().all(|v| v.is_finite()), || {
            (
                "origin_px".to_owned(),
                format!("{at:?}"),
                "two finite numbers",
            )
        })?;
    }
    for (i, class) in file.class.iter().enumerate() {
        let new = file.class.iter().take(i).all(|c| c.index != class.index);
        require(new, || {
            (
                format!("class[{i}].index"),
                class.index.to_string(),
                "different from the other classes'",
            )
        })?;
    }
    for (i, mover) in file.mover.iter().enumerate() {
        check_mover(i, mover)?;
    }
    let Some(start) = &file.start else {
        return Ok(());
    };
    let [low, high] = start.height_m;
    require(low > 0.0 && high >= low && high.is_finite(), || {
        let value = format!("{:?}", start.height_m);
        (
            "start.height_m".to_owned(),
            value,
            "[least, greatest] with 0 < least <= greatest",
        )
    })?;
    let [left, top, right, bottom] = start.area_px;
    require(right >= left && bottom >= top, || {
        let value = format!("{:?}", start.area_px);
        (
            "start.area_px".to_owned(),
            value,
            "[left, top, right, bottom]",
        )
    })
}

fn check_mover(i: usize, mover: &Mover) -> Result<(), OutOfRange> {
    let path = &mover.path_px;
    require(
        !path.is_empty() && path.iter().flatten().all(|v| v.is_finite()),
        || {
            (
                format!("mover[{i}].path_px"),
                format!("{path:?}"),
                "at least one [x, y] of finite numbers",
            )
        },
    )?;
    let speed = mover.speed_mps;
    require(speed >= 0.0 && speed.is_finite(), || {
        (
            format!("mover[{i}].speed_mps"),
            speed.to_string(),
            "0 or greater, and finite",
        )
    })?;
    require(mover.start_s.is_finite(), || {
        (
            format!("mover[{i}].start_s"),
            mover.start_s.to_string(),
            "a finite number of seconds",
        )
    })
}

fn require(holds: bool, otherwise: impl FnOnce() -> OutOfRange) -> Result<(), OutOfRange> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn open(path: &Path, key: &'static str, picture: &Path) -> Result<DynamicImage, WorldError> {
    let refuse = |reason: String| WorldError::Picture {
        path: path.to_owned(),
        key,
        picture: picture.to_owned(),
        reason,
    };
    ImageReader::open(picture)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|e| refuse(e.to_string()))?
        .decode()
        .map_err(|e| refuse(e.to_string()))
}

/// The class indices of a PNG: the grey values, or, with a palette, the palette's indices (and not its colours).
fn indices(picture: &Path) -> Result<GrayImage, String> {
    let file = std::fs::File::open(picture).map_err(|e| e.to_string())?;
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder
        .read_info()
        .map_err(|e| format!("is no readable PNG: {e}"))?;
    let (colour, depth) = reader.output_color_type();
    let is_index = matches!(colour, png::ColorType::Grayscale | png::ColorType::Indexed);
    if !is_index || depth != png::BitDepth::Eight {
        return Err(format!(
            "is {colour:?} with {depth:?} bits: must be an 8-bit grey or palette PNG whose values are class indices"
        ));
    }
    let size = reader.output_buffer_size().ok_or("is too large")?;
    let mut bytes = vec![0; size];
    let done = reader
        .next_frame(&mut bytes)
        .map_err(|e| format!("is no readable PNG: {e}"))?;
    bytes.truncate(done.buffer_size());
    GrayImage::from_raw(done.width, done.height, bytes).ok_or_else(|| "is cut short".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        picture = "p.png"
        truth = "t.png"
        metres_per_pixel = 0.1
        north_deg = 90.0
        [[class]]
        index = 0
        name = "nothing"
        surface = "unknown"
        [[class]]
        index = 3
        name = "grass"
        surface = "soft"
        [[mover]]
        kind = "person"
        path_px = [[1.0, 2.0], [30.0, 2.0]]
        speed_mps = 1.4
        start_s = 0.5
        [start]
        area_px = [0, 0, 40, 20]
        height_m = [20, 30]
    "#;

    /// A folder with a world file of this text and 40x20 pictures.
    fn folder(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("world.toml"), text).unwrap();
        image::RgbImage::new(40, 20)
            .save(dir.path().join("p.png"))
            .unwrap();
        GrayImage::from_pixel(40, 20, image::Luma([3]))
            .save(dir.path().join("t.png"))
            .unwrap();
        dir
    }

    fn refusal(text: &str) -> String {
        let dir = folder(text);
        World::load(&dir.path().join("world.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_good_file_gives_its_world() {
        let dir = folder(GOOD);
        let world = World::load(&dir.path().join("world.toml")).unwrap();
        assert_eq!(world.truth.dimensions(), (40, 20));
        let [x, y] = world.origin_px;
        assert_eq!((x, y, world.north_deg), (20.0, 10.0, 90.0));
        assert_eq!(world.class(3).unwrap().name, "grass");
        assert!(
            world.class(1).is_none(),
            "an index without a class has none"
        );
        assert_eq!(world.movers.len(), 1);
        let [low, high] = world.start.unwrap().height_m;
        assert_eq!((low, high), (20.0, 30.0));
    }

    #[rstest::rstest]
    #[case::missing_key("metres_per_pixel = 0.1", "", "metres_per_pixel")]
    #[case::unknown_key("north_deg", "nord_deg", "nord_deg")]
    #[case::unknown_surface("\"soft\"", "\"lawn\"", "class[1].surface")]
    #[case::unknown_mover("\"person\"", "\"horse\"", "mover[0].kind")]
    #[case::wrong_kind(
        "metres_per_pixel = 0.1",
        "metres_per_pixel = \"a\"",
        "metres_per_pixel"
    )]
    #[case::scale_zero("metres_per_pixel = 0.1", "metres_per_pixel = 0.0", "metres_per_pixel")]
    #[case::scale_nan("metres_per_pixel = 0.1", "metres_per_pixel = nan", "metres_per_pixel")]
    #[case::twice("index = 3", "index = 0", "class[1].index")]
    #[case::no_path("[[1.0, 2.0], [30.0, 2.0]]", "[]", "mover[0].path_px")]
    #[case::backwards("speed_mps = 1.4", "speed_mps = -1.4", "mover[0].speed_mps")]
    #[case::heights("[20, 30]", "[30, 20]", "start.height_m")]
    #[case::area("[0, 0, 40, 20]", "[41, 0, 40, 20]", "start.area_px")]
    #[case::picture_missing("p.png", "q.png", "q.png")]
    #[case::truth_missing("t.png", "u.png", "u.png")]
    #[case::truth_in_colours("t.png", "p.png", "`truth`")]
    #[case::no_toml("[start]", "[start", "TOML")]
    fn a_bad_file_is_refused_by_file_and_key(
        #[case] from: &str,
        #[case] to: &str,
        #[case] named: &str,
    ) {
        assert!(GOOD.contains(from));
        let message = refusal(&GOOD.replace(from, to));
        assert!(message.contains(named), "{message}");
        assert!(message.contains("world.toml"), "{message}");
    }

    #[test]
    fn a_truth_of_another_size_is_refused_with_both_sizes() {
        let dir = folder(GOOD);
        GrayImage::new(41, 20)
            .save(dir.path().join("t.png"))
            .unwrap();
        let message = World::load(&dir.path().join("world.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("41x20") && message.contains("40x20") && message.contains("t.png"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_world_file_is_named() {
        let message = World::load(Path::new("no/such/world.toml"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("no/such/world.toml"), "{message}");
    }

    #[test]
    fn a_palette_truth_keeps_its_indices() {
        let dir = folder(GOOD);
        let file = std::fs::File::create(dir.path().join("t.png")).unwrap();
        let mut encoder = png::Encoder::new(file, 40, 20);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette([9, 9, 9, 8, 8, 8, 7, 7, 7, 200, 0, 0].as_slice());
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&[3; 800])
            .unwrap();
        let world = World::load(&dir.path().join("world.toml")).unwrap();
        assert!(world.truth.pixels().all(|p| p.0 == [3]));
    }
}
