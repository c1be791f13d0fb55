//! Camera calibrations as other programs write them.
//!
//! Three kinds of YAML are known by their keys:
//!
//! | written by | recognised by | lens models |
//! |---|---|---|
//! | ROS `camera_info` | `camera_matrix`, `distortion_model` | `plumb_bob`, `rational_polynomial`, `equidistant` |
//! | OpenCV `FileStorage` | `camera_matrix`, no `distortion_model` | 0, 4, 5 or 8 coefficients; `fisheye_model: 1` |
//! | Kalibr camchain | `cam0` | `pinhole` with `radtan`, `equidistant` or `none` |
//!
//! All three count pixels from the *centre* of the top-left one; here they count from its corner, so the principal
//! point moves by half a pixel on the way in.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::camera::{BrownConrady, CameraError, CameraModel, Distortion, KannalaBrandt};

/// What is wrong with the text of a calibration.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CalibrationError {
    /// Not YAML at all.
    #[error("not readable as YAML: {0}")]
    Yaml(String),
    /// None of the known kinds.
    #[error(
        "neither `camera_matrix` (ROS, OpenCV) nor `cam0` (Kalibr) found at the top level, which has: {found}; export \
         the calibration as ROS camera_info, OpenCV FileStorage or Kalibr camchain"
    )]
    Unrecognised {
        /// The keys that are there.
        found: String,
    },
    /// A key is not there.
    #[error("key `{key}` is missing: {remedy}")]
    Missing {
        /// Its path, as `camera_matrix.data`.
        key: String,
        /// What it should hold.
        remedy: &'static str,
    },
    /// A key has a value that cannot be used.
    #[error("`{key}` is {value}, but must be {expected}")]
    Value {
        /// Its path, as `camera_matrix.data`.
        key: String,
        /// What is there, shortened.
        value: String,
        /// What can be used.
        expected: &'static str,
    },
    /// Read, but no camera has such numbers.
    #[error(transparent)]
    Camera(#[from] CameraError),
}

/// A calibration file that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationFileError {
    /// It could not be read.
    #[error("camera calibration {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It could be read, but not understood.
    #[error("camera calibration {}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CalibrationError,
    },
}

impl CameraModel {
    /// Reads a calibration file of ROS, OpenCV or Kalibr.
    ///
    /// # Errors
    /// When it cannot be read, or [`CameraModel::from_yaml`] refuses its text.
    pub fn load(path: &Path) -> Result<Self, CalibrationFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| CalibrationFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_yaml(&text).map_err(|source| CalibrationFileError::Content {
            path: path.to_owned(),
            source,
        })
    }

    /// From the text of a calibration file of ROS, OpenCV or Kalibr.
    ///
    /// # Errors
    /// [`CalibrationError`] names the key, its value and what can be used instead.
    pub fn from_yaml(text: &str) -> Result<Self, CalibrationError> {
        let root = match parse(text)? {
            Value::Object(map) => Node {
                path: String::new(),
                map,
            },
            other => {
                return Err(CalibrationError::Unrecognised {
                    found: shortened(&other),
                });
            }
        };
        if root.map.contains_key("camera_matrix") {
            from_matrices(&root)
        } else if root.map.contains_key("cam0") {
            from_kalibr(&root)
        } else {
            let keys: Vec<&str> = root.map.keys().map(String::as_str).collect();
            Err(CalibrationError::Unrecognised {
                found: if keys.is_empty() {
                    "nothing".to_owned()
                } else {
                    keys.join(", ")
                },
            })
        }
    }
}

fn parse(text: &str) -> Result<Value, CalibrationError> {
    // OpenCV's first line, `%YAML:1.0`, is no directive that YAML knows, and its matrices carry a tag of its own. The
    // directive's line stays, empty, so that messages count lines as an editor does.
    let plain: String = text
        .lines()
        .map(|line| if line.starts_with('%') { "" } else { line })
        .flat_map(|line| [line, "\n"])
        .collect::<String>()
        .replace("!!opencv-matrix", "");
    serde_saphyr::from_str(&plain)
        .map_err(|e| CalibrationError::Yaml(e.without_snippet().to_string()))
}

/// ROS and OpenCV: the same keys, but ROS names the lens model.
fn from_matrices(root: &Node) -> Result<CameraModel, CalibrationError> {
    let size = (root.pixels("image_width")?, root.pixels("image_height")?);
    let matrix = root.child("camera_matrix")?;
    let k = matrix.numbers("data", "the 9 numbers fx 0 cx 0 fy cy 0 0 1")?;
    let [fx, skew, cx, zero_a, fy, cy, zero_b, zero_c, one] = k[..] else {
        return Err(matrix.refuse("data", "the 9 numbers fx 0 cx 0 fy cy 0 0 1"));
    };
    if [skew, zero_a, zero_b, zero_c, one - 1.0]
        .iter()
        .any(|c| c.abs() > 1e-9)
    {
        return Err(matrix.refuse("data", "fx 0 cx 0 fy cy 0 0 1, without skew"));
    }
    let coefficients = if root.map.contains_key("distortion_coefficients") {
        let node = root.child("distortion_coefficients")?;
        node.numbers("data", "the list of distortion coefficients")?
    } else {
        return Err(root.missing(
            "distortion_coefficients",
            "give zeros if the lens is perfect",
        ));
    };
    let model = if root.map.contains_key("distortion_model") {
        ros_lens(root, &coefficients)
    } else if root.flag("fisheye_model") {
        kannala_brandt(&coefficients)
    } else {
        brown_conrady(&coefficients)
    };
    let distortion = model?.ok_or_else(|| {
        CalibrationError::Value {
            key: "distortion_coefficients.data".to_owned(),
            value: format!("{coefficients:?}"),
            expected: "4, 5 or 8 numbers (plumb_bob, rational_polynomial), or 4 (equidistant, fisheye); thin-prism and \
                       tilt terms are not known: calibrate without them",
        }
    })?;
    camera(size, [fx, fy, cx, cy], distortion)
}

fn ros_lens(root: &Node, coefficients: &[f64]) -> Result<Option<Distortion>, CalibrationError> {
    const KNOWN: &str = "`plumb_bob`, `rational_polynomial` or `equidistant`";
    match root.map.get("distortion_model").and_then(Value::as_str) {
        Some("plumb_bob" | "rational_polynomial") => brown_conrady(coefficients),
        Some("equidistant" | "fisheye") => kannala_brandt(coefficients),
        _ => Err(root.refuse("distortion_model", KNOWN)),
    }
}

fn from_kalibr(root: &Node) -> Result<CameraModel, CalibrationError> {
    const RESOLUTION: &str = "[width, height] in whole pixels";
    const INTRINSICS: &str = "[fx, fy, cx, cy] in pixels";
    if root.map.contains_key("cam1") {
        return Err(root.refuse(
            "cam1",
            "absent: keep only the camera that alight uses, as cam0",
        ));
    }
    let cam = root.child("cam0")?;
    if !matches!(
        cam.map.get("camera_model").and_then(Value::as_str),
        None | Some("pinhole")
    ) {
        return Err(cam.refuse(
            "camera_model",
            "`pinhole` (omni, eucm and ds are not known)",
        ));
    }
    let [width, height] = cam.numbers("resolution", RESOLUTION)?[..] else {
        return Err(cam.refuse("resolution", RESOLUTION));
    };
    let (Some(width), Some(height)) = (whole(width), whole(height)) else {
        return Err(cam.refuse("resolution", RESOLUTION));
    };
    let [fx, fy, cx, cy] = cam.numbers("intrinsics", INTRINSICS)?[..] else {
        return Err(cam.refuse("intrinsics", INTRINSICS));
    };
    let name = cam.map.get("distortion_model").and_then(Value::as_str);
    if name == Some("none") {
        return camera((width, height), [fx, fy, cx, cy], Distortion::None);
    }
    let coefficients = cam.numbers("distortion_coeffs", "the 4 distortion coefficients")?;
    let distortion = match name {
        Some("radtan") if coefficients.len() == 4 => brown_conrady(&coefficients),
        Some("equidistant") => kannala_brandt(&coefficients),
        Some("radtan") => Ok(None),
        _ if cam.map.contains_key("distortion_model") => {
            Err(cam.refuse("distortion_model", "`radtan`, `equidistant` or `none`"))
        }
        _ => Err(cam.missing("distortion_model", "`radtan`, `equidistant` or `none`")),
    }?
    .ok_or_else(|| cam.refuse("distortion_coeffs", "4 numbers"))?;
    camera((width, height), [fx, fy, cx, cy], distortion)
}

fn camera(
    (width, height): (u32, u32),
    [fx, fy, cx, cy]: [f64; 4],
    distortion: Distortion,
) -> Result<CameraModel, CalibrationError> {
    let model = CameraModel {
        width,
        height,
        fx,
        fy,
        cx: cx + 0.5,
        cy: cy + 0.5,
        distortion,
    };
    Ok(model.checked()?)
}

/// `None` when the number of coefficients does not fit.
fn brown_conrady(coefficients: &[f64]) -> Result<Option<Distortion>, CalibrationError> {
    let lens = match *coefficients {
        [] => return Ok(Some(Distortion::None)),
        _ if coefficients.iter().all(|c| *c == 0.0) => return Ok(Some(Distortion::None)),
        [k1, k2, p1, p2] => BrownConrady::new([k1, k2, p1, p2, 0.0]),
        [k1, k2, p1, p2, k3] => BrownConrady::new([k1, k2, p1, p2, k3]),
        // OpenCV pads the rational model with zeros for the thin-prism (12) and tilt (14) terms when they are off.
        [k1, k2, p1, p2, k3, k4, k5, k6, ref rest @ ..]
            if matches!(rest.len(), 0 | 4 | 6) && rest.iter().all(|c| *c == 0.0) =>
        {
            BrownConrady::rational([k1, k2, p1, p2, k3, k4, k5, k6])
        }
        _ => return Ok(None),
    };
    Ok(Some(Distortion::BrownConrady(lens?)))
}

/// `None` when the number of coefficients does not fit.
fn kannala_brandt(coefficients: &[f64]) -> Result<Option<Distortion>, CalibrationError> {
    match *coefficients {
        [k1, k2, k3, k4] => Ok(Some(Distortion::KannalaBrandt(KannalaBrandt::new([
            k1, k2, k3, k4,
        ])?))),
        _ => Ok(None),
    }
}

/// A mapping with the path that leads to it, so that messages can name every key in full.
struct Node {
    path: String,
    map: Map<String, Value>,
}

impl Node {
    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn missing(&self, key: &str, remedy: &'static str) -> CalibrationError {
        CalibrationError::Missing {
            key: self.key(key),
            remedy,
        }
    }

    fn refuse(&self, key: &str, expected: &'static str) -> CalibrationError {
        CalibrationError::Value {
            key: self.key(key),
            value: shortened(self.map.get(key).unwrap_or(&Value::Null)),
            expected,
        }
    }

    fn child(&self, key: &str) -> Result<Self, CalibrationError> {
        match self.map.get(key) {
            Some(Value::Object(map)) => Ok(Self {
                path: self.key(key),
                map: map.clone(),
            }),
            Some(_) => Err(self.refuse(key, "a mapping, as the calibration program writes it")),
            None => Err(self.missing(key, "a mapping, as the calibration program writes it")),
        }
    }

    fn numbers(&self, key: &str, expected: &'static str) -> Result<Vec<f64>, CalibrationError> {
        let list = match self.map.get(key) {
            Some(Value::Array(list)) => list,
            Some(_) => return Err(self.refuse(key, expected)),
            None => return Err(self.missing(key, expected)),
        };
        list.iter()
            .map(|v| v.as_f64().filter(|n| n.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| self.refuse(key, expected))
    }

    fn pixels(&self, key: &str) -> Result<u32, CalibrationError> {
        const EXPECTED: &str = "the picture's size in whole pixels";
        match self.map.get(key) {
            Some(v) => v
                .as_f64()
                .and_then(whole)
                .ok_or_else(|| self.refuse(key, EXPECTED)),
            None => Err(self.missing(key, EXPECTED)),
        }
    }

    /// Whether an optional switch is on, written as 1 or true.
    fn flag(&self, key: &str) -> bool {
        match self.map.get(key) {
            Some(Value::Bool(b)) => *b,
            Some(v) => v.as_i64().is_some_and(|n| n != 0),
            None => false,
        }
    }
}

fn whole(n: f64) -> Option<u32> {
    (n.fract() == 0.0 && n > 0.0 && n <= f64::from(u32::MAX)).then_some(n as u32)
}

/// A value for a message: one line, not too long.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let head: String = text.chars().take(57).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests;
