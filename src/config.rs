//! What an operator may change: a TOML file -> checked settings.
//!
//! ```toml
//! [model]
//! file = "models/landing.onnx"
//!
//! [camera]
//! hfov_deg = 70.0          # or calibration = "camera.yaml"
//!
//! [landing]
//! vehicle_radius_m = 0.5
//! [landing.hazard]
//! people_floor_m = 3.0
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::landing;
pub use crate::landing::LandingConfig;

/// As it stands in the file; every key is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// Which network.
    pub model: ModelConfig,
    /// Which lens.
    pub camera: CameraConfig,
    /// How a site is chosen.
    pub landing: LandingConfig,
}

/// Which network flies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// An ONNX file with its manifest beside it; relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// What is known of the lens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraConfig {
    /// Horizontal field of view, degrees, of a lens without distortion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hfov_deg: Option<f64>,
    /// Calibration file (ROS, `OpenCV` or Kalibr YAML); relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{file}: {source}; give --config an existing TOML file")]
    Read {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The TOML is wrong, or a key is unknown or has another type.
    #[error("{file}: key `{key}`: {message}{hint}")]
    Parse {
        /// Which file.
        file: PathBuf,
        /// Dotted path of the key.
        key: String,
        /// What is wrong.
        message: String,
        /// The nearest known key, or nothing.
        hint: String,
    },
    /// A value lies outside its range.
    #[error("{file}: {source}")]
    Value {
        /// Which file.
        file: PathBuf,
        /// Key, value and range.
        source: landing::ConfigError,
    },
    /// A lens setting that cannot be.
    #[error(
        "{file}: camera.hfov_deg = {value} is outside (1, 179) degrees: set the horizontal field of view of the camera"
    )]
    FieldOfView {
        /// Which file.
        file: PathBuf,
        /// Its value.
        value: f64,
    },
    /// Two lens models at once.
    #[error(
        "{file}: camera.hfov_deg and camera.calibration are both set: keep the calibration, or only the field of view"
    )]
    TwoLenses {
        /// Which file.
        file: PathBuf,
    },
}

/// Checked settings, and where they came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// All values, defaults filled in, paths made relative to the caller.
    pub values: RawConfig,
    /// Whether the file itself sets `landing.hazard.landable_threshold`; else the network's manifest does.
    pub sets_landable_threshold: bool,
}

impl Settings {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// File, key, value and remedy.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Checks the text of a file; `file` is for messages and as the base of relative paths.
    ///
    /// # Errors
    /// File, key, value and remedy.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let parse = |key: String, message: String, hint| ConfigError::Parse {
            file: file.to_owned(),
            key,
            message,
            hint,
        };
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            parse(
                String::from("."),
                e.to_string().trim().replace('\n', " "),
                String::new(),
            )
        })?;
        let mut values: RawConfig =
            serde_path_to_error::deserialize(table.clone()).map_err(|e| {
                let message = e.inner().message().to_owned();
                let hint = nearest_known(&message);
                parse(e.path().to_string(), message, hint)
            })?;
        values
            .landing
            .validate()
            .map_err(|source| ConfigError::Value {
                file: file.to_owned(),
                source,
            })?;
        if let Some(value) = values.camera.hfov_deg
            && !(value > 1.0 && value < 179.0)
        {
            return Err(ConfigError::FieldOfView {
                file: file.to_owned(),
                value,
            });
        }
        if values.camera.hfov_deg.is_some() && values.camera.calibration.is_some() {
            return Err(ConfigError::TwoLenses {
                file: file.to_owned(),
            });
        }
        let base = file.parent().unwrap_or(Path::new(""));
        for path in [&mut values.model.file, &mut values.camera.calibration]
            .into_iter()
            .flatten()
        {
            *path = base.join(&*path);
        }
        let sets_landable_threshold = table
            .get("landing")
            .and_then(|t| t.get("hazard"))
            .is_some_and(|t| t.get("landable_threshold").is_some());
        Ok(Self {
            values,
            sets_landable_threshold,
        })
    }
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": says which of the expected was probably meant.
fn nearest_known(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(typed)) = (message.starts_with("unknown field"), quoted.next()) else {
        return String::new();
    };
    quoted
        .map(|known| (strsim::damerau_levenshtein(typed, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
        .map_or_else(String::new, |(_, known)| {
            format!("; did you mean `{known}`?")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        Settings::parse(text, Path::new("/etc/alight/alight.toml"))
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").unwrap(), Settings::default());
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let s =
            parse("[model]\nfile = \"m.onnx\"\n[camera]\ncalibration = \"/abs/c.yaml\"").unwrap();
        assert_eq!(
            s.values.model.file.as_deref(),
            Some(Path::new("/etc/alight/m.onnx"))
        );
        assert_eq!(
            s.values.camera.calibration.as_deref(),
            Some(Path::new("/abs/c.yaml"))
        );
    }

    #[test]
    fn only_an_explicit_threshold_overrides_the_manifest() {
        assert!(
            !parse("[landing.hazard]\npeople_floor_m = 4.0")
                .unwrap()
                .sets_landable_threshold
        );
        assert!(
            parse("[landing.hazard]\nlandable_threshold = 0.9")
                .unwrap()
                .sets_landable_threshold
        );
    }

    #[test]
    fn errors_name_file_key_and_remedy() {
        for (text, parts) in [
            (
                "[landing]\nvehicle_radius = 1.0",
                [
                    "landing",
                    "vehicle_radius",
                    "did you mean `vehicle_radius_m`",
                ],
            ),
            (
                "[landing.hazard]\npeople_floor_m = \"far\"",
                ["landing.hazard.people_floor_m", "string", "f64"],
            ),
            (
                "[landing]\nmargin_m = -1.0",
                ["landing.margin_m", "-1", "0..=10"],
            ),
            (
                "[camera]\nhfov_deg = 180.0",
                ["camera.hfov_deg", "180", "(1, 179)"],
            ),
            (
                "[camera]\nhfov_deg = 80.0\ncalibration = \"c.yaml\"",
                ["hfov_deg", "calibration", "both"],
            ),
            (
                "[modell]\n",
                ["modell", "unknown field", "did you mean `model`"],
            ),
            ("a = = 3", ["alight.toml", "TOML", "line 1"]),
        ] {
            let message = parse(text).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{part} in: {message}");
            }
            assert!(message.starts_with("/etc/alight/alight.toml"), "{message}");
        }
    }

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        let text = toml::to_string(&RawConfig::default()).unwrap();
        assert_eq!(parse(&text).unwrap().values, RawConfig::default());
    }
}
