//! What an operator may change: a TOML file -> checked settings.
//!
//! `systemd/alight.toml` holds every key.
//!
//! ```toml
//! mode = "command"
//! link = "udpin:127.0.0.1:14540"
//!
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

mod sections;

use std::path::{Path, PathBuf};

use crate::autopilot::supervisor::SupervisorConfigError;
use crate::landing;
pub use crate::landing::LandingConfig;
pub use sections::{
    CameraConfig, CameraSource, LinkConfig, ModelConfig, MountConfig, RawConfig, RecordConfig,
    SystemConfig, VehicleConfig,
};

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
    /// A value of the supervisor lies outside its range.
    #[error("{file}: {source}")]
    Supervisor {
        /// Which file.
        file: PathBuf,
        /// Key, value and range.
        source: SupervisorConfigError,
    },
    /// Another value lies outside its range.
    #[error("{file}: {key} = {value} is outside {min}..={max}: set {remedy}")]
    Range {
        /// Which file.
        file: PathBuf,
        /// The key, with its section.
        key: &'static str,
        /// Its value.
        value: f64,
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
        /// What to set.
        remedy: &'static str,
    },
    /// One thing said twice, differently.
    #[error("{file}: {short} and {long} are both set, and differ: keep {short}")]
    Twice {
        /// Which file.
        file: PathBuf,
        /// The key to keep.
        short: &'static str,
        /// The other one.
        long: &'static str,
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
        let mut table: toml::Table = toml::from_str(text).map_err(|e| {
            parse(
                String::from("."),
                e.to_string().trim().replace('\n', " "),
                String::new(),
            )
        })?;
        spread_short_forms(&mut table)
            .map_err(|(key, message)| parse(key.to_owned(), message, String::new()))?;
        let mut values: RawConfig =
            serde_path_to_error::deserialize(table.clone()).map_err(|e| {
                let message = e.inner().message().to_owned();
                let hint = nearest_known(&message);
                parse(e.path().to_string(), message, hint)
            })?;
        unite(&mut values, &table).map_err(|(short, long)| ConfigError::Twice {
            file: file.to_owned(),
            short,
            long,
        })?;
        check(&values, file)?;
        let base = file.parent().unwrap_or(Path::new(""));
        for path in [
            &mut values.model.file,
            &mut values.camera.calibration,
            &mut values.camera.world,
            &mut values.link.signing_key_file,
            &mut values.link.signing_time_file,
            &mut values.record.folder,
        ]
        .into_iter()
        .flatten()
        {
            *path = base.join(&*path);
        }
        Ok(Self {
            sets_landable_threshold: has(&table, &["landing", "hazard", "landable_threshold"]),
            values,
        })
    }
}

/// `link = "..."` is `[link] address`, and `[mode] level` is `mode`.
fn spread_short_forms(table: &mut toml::Table) -> Result<(), (&'static str, String)> {
    if let Some(link) = table.get_mut("link")
        && link.is_str()
    {
        let address = std::mem::replace(link, toml::Table::new().into());
        if let Some(link) = link.as_table_mut() {
            link.insert("address".to_owned(), address);
        }
    }
    let Some(mode) = table.get_mut("mode") else {
        return Ok(());
    };
    if let Some(section) = mode.as_table_mut() {
        let level = section.remove("level");
        if let Some(key) = section.keys().next() {
            let message = format!("unknown field `{key}`; did you mean `level`?");
            return Err(("mode", message));
        }
        *mode = level.unwrap_or_else(|| "advise".into());
    }
    Ok(())
}

/// What two keys say is brought into one.
fn unite(values: &mut RawConfig, table: &toml::Table) -> Result<(), (&'static str, &'static str)> {
    let says = |path: &[&str]| has(table, path);
    match (says(&["mode"]), says(&["supervisor", "mode"])) {
        (true, true) if values.mode != values.supervisor.mode => {
            return Err(("mode", "supervisor.mode"));
        }
        (false, true) => values.mode = values.supervisor.mode,
        _ => values.supervisor.mode = values.mode,
    }
    let (vehicle, landing) = (&values.vehicle, &mut values.landing);
    for (short, long, given, path, value) in [
        (
            "vehicle.radius_m",
            "landing.vehicle_radius_m",
            vehicle.radius_m,
            "vehicle_radius_m",
            &mut landing.vehicle_radius_m,
        ),
        (
            "vehicle.margin_m",
            "landing.margin_m",
            vehicle.margin_m,
            "margin_m",
            &mut landing.margin_m,
        ),
    ] {
        let Some(given) = given else { continue };
        if says(&["landing", path]) && (given - *value).abs() > 0.0 {
            return Err((short, long));
        }
        *value = given;
    }
    Ok(())
}

fn has(table: &toml::Table, path: &[&str]) -> bool {
    let Some((last, sections)) = path.split_last() else {
        return false;
    };
    let section = sections
        .iter()
        .try_fold(table, |t, name| t.get(*name)?.as_table());
    section.is_some_and(|t| t.contains_key(*last))
}

/// The ranges.
fn check(values: &RawConfig, file: &Path) -> Result<(), ConfigError> {
    let outside = values
        .checks()
        .find(|(_, value, min, max, _)| !(min..=max).contains(&value));
    if let Some((key, value, min, max, remedy)) = outside {
        return Err(ConfigError::Range {
            file: file.to_owned(),
            key,
            value,
            min,
            max,
            remedy,
        });
    }
    values
        .landing
        .validate()
        .map_err(|source| ConfigError::Value {
            file: file.to_owned(),
            source,
        })?;
    values
        .supervisor
        .validate()
        .map_err(|source| ConfigError::Supervisor {
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
    Ok(())
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": says which of the expected was probably meant.
fn nearest_known(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(typed)) = (message.starts_with("unknown "), quoted.next()) else {
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
mod tests;
