//! The network's contract: `landing.toml` beside `landing.onnx`, written by the trainer, checked at start.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::classes::{Class, Surface};

/// Version of the manifest's form that this program reads and writes.
pub const FORMAT: u32 = 1;

/// How the network's numbers are stored and computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Float weights, float arithmetic.
    Float,
    /// Weights stored as per-channel int8 and folded to float when loaded; the arithmetic is float.
    WeightsInt8,
    /// Integer convolutions: loading fails if one of them would run in float.
    Int8,
}

impl Form {
    /// The word used in manifests and in `alight bench --json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::WeightsInt8 => "weights-int8",
            Self::Int8 => "int8",
        }
    }
}

/// What the network wants to see: the whole picture stretched to `width` x `height`, `(channel - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Order of the channels; only `"rgb"` exists.
    pub colour: ColourOrder,
    /// Subtracted from each channel (0-255 scale).
    pub mean: [f32; 3],
    /// Divides each channel (0-255 scale).
    pub std: [f32; 3],
}

/// Order of the colour channels at the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// What the network answers: logits, `[1, classes, height, width]`, spanning the whole picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Columns of the logits.
    pub width: usize,
    /// Rows of the logits.
    pub height: usize,
    /// Logits are divided by it before the softmax; fitted on a held-out fold.
    pub temperature: f32,
    /// P(landable) at or above which a pixel counts as landable; fitted on a held-out fold.
    pub landable_threshold: f32,
}

/// Where the network comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Data sets, in words.
    pub data: String,
    /// How training, fold and val lists were made.
    pub split: String,
    /// Seed of the run.
    pub seed: u64,
    /// Epochs run.
    pub epochs: u32,
    /// Licence under which the network may be passed on, and of the data.
    pub licence: String,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Architecture, in words.
    pub name: String,
    /// The ONNX file, relative to the manifest.
    pub file: String,
    /// SHA-256 of the ONNX file, hexadecimal.
    pub sha256: String,
    /// Quantization form.
    pub form: Form,
    /// Multiply-accumulates a picture, in units of 10^9.
    pub gmac: f64,
    /// Input.
    pub input: InputSpec,
    /// Output.
    pub output: OutputSpec,
    /// Provenance.
    pub training: Training,
    /// Scores, by name; free.
    #[serde(default)]
    pub scores: toml::Table,
    /// Classes in index order, without gaps.
    #[serde(rename = "class")]
    pub classes: Vec<Class>,
}

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file could not be read.
    #[error("{file}: {source}; give --model a landing.onnx with its landing.toml beside it")]
    Read {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The TOML is not a manifest.
    #[error("{file}: key `{key}`: {message}; write the manifest anew with `alight-trainer export`")]
    Parse {
        /// Which file.
        file: PathBuf,
        /// Dotted path of the key.
        key: String,
        /// What is wrong, with the line.
        message: String,
    },
    /// A key has a value that cannot be right.
    #[error(
        "{file}: key `{key}` is {value}, but {rule}; write the manifest anew with `alight-trainer export`"
    )]
    Value {
        /// Which file.
        file: PathBuf,
        /// Dotted path of the key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        rule: String,
    },
    /// The network is not the one that the manifest speaks of.
    #[error(
        "{file}: SHA-256 is {found}, but the manifest says {wanted}; the network and its manifest do not belong together: copy both from the same export"
    )]
    Hash {
        /// The network.
        file: PathBuf,
        /// Hash of the file.
        found: String,
        /// Hash in the manifest.
        wanted: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest from text; `file` is only for messages.
    ///
    /// # Errors
    /// `Parse` with the key, `Value` with key, value and rule.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ManifestError> {
        let parse = |key: String, message: String| ManifestError::Parse {
            file: file.to_owned(),
            key,
            message,
        };
        let de = toml::Deserializer::parse(text)
            .map_err(|e| parse(String::from("."), e.to_string().trim().replace('\n', " ")))?;
        let manifest: Self = serde_path_to_error::deserialize(de)
            .map_err(|e| parse(e.path().to_string(), e.inner().message().to_owned()))?;
        manifest.check(file)?;
        Ok(manifest)
    }

    fn check(&self, file: &Path) -> Result<(), ManifestError> {
        let bad = |key, value: String, rule: &str| {
            Err(ManifestError::Value {
                file: file.to_owned(),
                key,
                value,
                rule: rule.to_owned(),
            })
        };
        if self.format != FORMAT {
            return bad(
                "format",
                self.format.to_string(),
                "this program reads format 1",
            );
        }
        for (key, n) in [
            ("input.width", self.input.width),
            ("input.height", self.input.height),
            ("output.width", self.output.width),
            ("output.height", self.output.height),
        ] {
            if !(1..=8192).contains(&n) {
                return bad(key, n.to_string(), "a size lies in 1..=8192 pixels");
            }
        }
        if !self.input.mean.iter().all(|m| m.is_finite()) {
            return bad(
                "input.mean",
                format!("{:?}", self.input.mean),
                "all must be finite",
            );
        }
        if !self.input.std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return bad(
                "input.std",
                format!("{:?}", self.input.std),
                "all must be above 0",
            );
        }
        let t = self.output.temperature;
        if !(t.is_finite() && t > 0.0) {
            return bad("output.temperature", t.to_string(), "it must be above 0");
        }
        let l = self.output.landable_threshold;
        if !(l > 0.0 && l < 1.0) {
            return bad(
                "output.landable_threshold",
                l.to_string(),
                "it must lie between 0 and 1",
            );
        }
        self.check_classes(file)
    }

    fn check_classes(&self, file: &Path) -> Result<(), ManifestError> {
        let bad = |key, value: String, rule: &str| {
            Err(ManifestError::Value {
                file: file.to_owned(),
                key,
                value,
                rule: rule.to_owned(),
            })
        };
        if self.classes.len() < 2 {
            return bad(
                "class",
                format!("a list of {}", self.classes.len()),
                "a network has at least two classes",
            );
        }
        for (i, c) in self.classes.iter().enumerate() {
            if usize::from(c.index) != i {
                return bad(
                    "class.index",
                    c.index.to_string(),
                    "classes stand in index order, from 0, without gaps",
                );
            }
        }
        if !self.classes.iter().any(|c| c.surface.is_landable()) {
            return bad(
                "class.surface",
                String::from("never firm or soft"),
                "something must be landable",
            );
        }
        Ok(())
    }

    /// Refuses a network that is not the one the manifest was written for.
    ///
    /// # Errors
    /// `Hash` with both hashes.
    pub fn check_hash(&self, network: &[u8], file: &Path) -> Result<(), ManifestError> {
        let found = sha256_hex(network);
        if found.eq_ignore_ascii_case(&self.sha256) {
            return Ok(());
        }
        Err(ManifestError::Hash {
            file: file.to_owned(),
            found,
            wanted: self.sha256.clone(),
        })
    }

    /// The surface of a class index; `Unknown` for indices without a class.
    #[must_use]
    pub fn surface_of(&self, index: usize) -> Surface {
        self.classes
            .get(index)
            .map_or(Surface::Unknown, |c| c.surface)
    }
}

/// SHA-256 as lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut s, b| {
            // Writing to a String cannot fail.
            let _ = write!(s, "{b:02x}");
            s
        })
}

/// Manifest and network as bytes, from wherever they came.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The checked manifest.
    pub manifest: Manifest,
    /// The network, hash checked.
    pub network: std::borrow::Cow<'static, [u8]>,
    /// For messages and reports.
    pub origin: PathBuf,
}

impl ModelFiles {
    /// Reads `landing.onnx` (or `landing.toml`) and the other one beside it.
    ///
    /// # Errors
    /// As [`Manifest::parse`] and [`Manifest::check_hash`], or `Read`.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let manifest_path = path.with_extension("toml");
        let read = |file: &Path| {
            std::fs::read(file).map_err(|source| ManifestError::Read {
                file: file.to_owned(),
                source,
            })
        };
        if !path.exists() {
            read(path)?;
        }
        let text = String::from_utf8_lossy(&read(&manifest_path)?).into_owned();
        let manifest = Manifest::parse(&text, &manifest_path)?;
        let network_path = manifest_path.with_file_name(&manifest.file);
        let network = read(&network_path)?;
        manifest.check_hash(&network, &network_path)?;
        Ok(Self {
            manifest,
            network: network.into(),
            origin: network_path,
        })
    }

    /// From bytes that are part of the program.
    ///
    /// # Errors
    /// As [`Manifest::parse`] and [`Manifest::check_hash`].
    pub fn embedded(manifest: &str, network: &'static [u8]) -> Result<Self, ManifestError> {
        let origin = PathBuf::from("(embedded) landing.onnx");
        let manifest = Manifest::parse(manifest, Path::new("(embedded) landing.toml"))?;
        manifest.check_hash(network, &origin)?;
        Ok(Self {
            manifest,
            network: network.into(),
            origin,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest for tests: `classes` with alternating surfaces, sizes as given.
    pub(crate) fn example(
        input: (usize, usize),
        output: (usize, usize),
        surfaces: &[Surface],
    ) -> Manifest {
        Manifest {
            format: FORMAT,
            name: "test".into(),
            file: "landing.onnx".into(),
            sha256: sha256_hex(b""),
            form: Form::Float,
            gmac: 0.0,
            input: InputSpec {
                width: input.0,
                height: input.1,
                colour: ColourOrder::Rgb,
                mean: [127.0; 3],
                std: [128.0; 3],
            },
            output: OutputSpec {
                width: output.0,
                height: output.1,
                temperature: 1.0,
                landable_threshold: 0.5,
            },
            training: Training {
                data: "none".into(),
                split: "none".into(),
                seed: 0,
                epochs: 0,
                licence: "Apache-2.0".into(),
            },
            scores: toml::Table::new(),
            classes: surfaces
                .iter()
                .enumerate()
                .map(|(i, &surface)| Class {
                    index: i as u8,
                    name: format!("c{i}"),
                    surface,
                })
                .collect(),
        }
    }

    fn text() -> String {
        toml::to_string(&example(
            (64, 32),
            (32, 16),
            &[Surface::Unknown, Surface::Firm, Surface::Person],
        ))
        .unwrap()
    }

    fn parse(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(text, Path::new("models/landing.toml"))
    }

    #[test]
    fn a_written_manifest_reads_back_the_same() {
        let m = parse(&text()).unwrap();
        assert_eq!(toml::to_string(&m).unwrap(), text());
        assert_eq!(m.surface_of(2), Surface::Person);
        assert_eq!(m.surface_of(200), Surface::Unknown);
    }

    #[test]
    fn every_key_is_needed_and_named_when_missing() {
        for key in [
            "format",
            "sha256",
            "form",
            "gmac",
            "width",
            "mean",
            "temperature",
            "seed",
            "licence",
            "surface",
        ] {
            let cut: String = text()
                .lines()
                .filter(|l| l.split('=').next().unwrap().trim() != key)
                .fold(String::new(), |s, l| s + l + "\n");
            let message = parse(&cut).unwrap_err().to_string();
            assert!(message.contains(key), "{key}: {message}");
            assert!(message.contains("models/landing.toml"), "{message}");
        }
    }

    #[test]
    fn wrong_values_name_key_value_and_rule() {
        for (from, to, key, value) in [
            ("format = 1", "format = 7", "format", "7"),
            (
                "temperature = 1.0",
                "temperature = -1.0",
                "output.temperature",
                "-1",
            ),
            (
                "landable_threshold = 0.5",
                "landable_threshold = 1.5",
                "output.landable_threshold",
                "1.5",
            ),
            ("width = 64", "width = 0", "input.width", "0"),
            ("index = 1", "index = 5", "class.index", "5"),
            (
                "surface = \"firm\"",
                "surface = \"water\"",
                "class.surface",
                "never",
            ),
            ("form = \"float\"", "form = \"int9\"", "form", "int9"),
            (
                "surface = \"firm\"",
                "surface = \"lava\"",
                "surface",
                "lava",
            ),
        ] {
            let changed = text().replacen(from, to, 1);
            assert_ne!(changed, text(), "{from} must occur");
            let message = parse(&changed).unwrap_err().to_string();
            assert!(
                message.contains(key) && message.contains(value),
                "{from} -> {to}: {message}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let message = parse(&(String::from("colour_blind = true\n") + &text()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("colour_blind"), "{message}");
    }

    #[test]
    fn another_network_is_refused_with_both_hashes() {
        let m = parse(&text()).unwrap();
        assert!(m.check_hash(b"", Path::new("x.onnx")).is_ok());
        let message = m
            .check_hash(b"other", Path::new("x.onnx"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&sha256_hex(b"other")) && message.contains(&m.sha256),
            "{message}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = ModelFiles::load(&dir.path().join("no.onnx"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("no.onnx"), "{message}");
        std::fs::write(dir.path().join("a.onnx"), b"").unwrap();
        let message = ModelFiles::load(&dir.path().join("a.onnx"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("a.toml"), "{message}");
    }
}
