//! Named parameters as plain numbers, and the safetensors files that hold them.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

use crate::graph::ParameterSpec;

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// Parameters by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// Words beside the parameters in a file.
pub type Metadata = BTreeMap<String, String>;

/// What goes wrong with parameter files.
#[derive(Debug, Error)]
pub enum ParameterError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no safetensors file, or a cut one.
    #[error("{path} is no whole safetensors file: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// A tensor is no float of 32 or 16 bits.
    #[error("{path}: `{name}` has type {dtype:?}, only F32, F16 and BF16 are read")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
    /// Parameters do not match the network.
    #[error("{source_name} does not fit the network: {}", .problems.join("; "))]
    Mismatch {
        /// Where the parameters come from.
        source_name: String,
        /// One line a problem, a few at most.
        problems: Vec<String>,
    },
}

/// How many problems a message lists before it only counts.
const LISTED: usize = 5;

/// Reads a safetensors file of floats (32 or 16 bits), with its words.
///
/// # Errors
/// When the file is missing, cut, or holds another type.
pub fn read(path: &Path) -> Result<(Parameters, Metadata), ParameterError> {
    let bytes = fs::read(path).map_err(|source| ParameterError::Io {
        path: path.to_owned(),
        source,
    })?;
    let format = |source| ParameterError::Format {
        path: path.to_owned(),
        source,
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let words = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let mut parameters = Parameters::new();
    // torch counts the batches of each batch norm, in whole numbers: nothing that a network computes with.
    let wanted = file
        .iter()
        .filter(|(n, _)| !n.ends_with(".num_batches_tracked"));
    for (name, view) in wanted {
        let values = floats(view.dtype(), view.data()).ok_or_else(|| ParameterError::Type {
            path: path.to_owned(),
            name: name.to_owned(),
            dtype: view.dtype(),
        })?;
        let shape = view.shape().to_vec();
        parameters.insert(name.to_owned(), Parameter { shape, values });
    }
    Ok((parameters, words.into_iter().collect()))
}

/// The values of a tensor, or `None` where its type is no float that is read.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || {
        bytes
            .chunks_exact(2)
            .filter_map(|b| <[u8; 2]>::try_from(b).ok())
    };
    match dtype {
        Dtype::F32 => {
            let fours = bytes.chunks_exact(4).filter_map(|b| b.try_into().ok());
            Some(fours.map(f32::from_le_bytes).collect())
        }
        Dtype::F16 => Some(
            pairs()
                .map(|b| half::f16::from_le_bytes(b).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            pairs()
                .map(|b| half::bf16::from_le_bytes(b).to_f32())
                .collect(),
        ),
        _ => None,
    }
}

/// Writes a safetensors file so that a kill at any moment leaves the old or the new one whole: written beside, flushed to
/// the disk, renamed.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, parameters: &Parameters, words: &Metadata) -> Result<(), ParameterError> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = parameters
        .iter()
        .map(|(name, p)| {
            let bytes = p.values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.clone(), p.shape.clone(), bytes)
        })
        .collect();
    let format = |source| ParameterError::Format {
        path: path.to_owned(),
        source,
    };
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, shape.clone(), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(format)?;
    let words: HashMap<String, String> = words.clone().into_iter().collect();
    let file = safetensors::serialize(views, Some(words)).map_err(format)?;
    write_atomically(path, &file)
}

/// Writes a file beside its place, flushes it to the disk, then renames it into place.
///
/// # Errors
/// When the disk refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ParameterError> {
    let beside = path.with_extension("partial");
    let io = |source| ParameterError::Io {
        path: path.to_owned(),
        source,
    };
    let written = write_and_flush(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|e| {
        // On a full disk half a file would only take room; that it cannot be removed adds nothing to the error.
        let _ = fs::remove_file(&beside);
        io(e)
    })
}

fn write_and_flush(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Checks that every wanted parameter is there with its shape, and finite.
///
/// # Errors
/// [`ParameterError::Mismatch`] with the first few problems by name.
pub fn check(
    source_name: &str,
    parameters: &Parameters,
    wanted: &[ParameterSpec],
) -> Result<(), ParameterError> {
    let mut problems: Vec<String> = Vec::new();
    for spec in wanted {
        match parameters.get(&spec.name) {
            None => problems.push(format!("`{}` is missing", spec.name)),
            Some(p) if p.shape != spec.shape => problems.push(format!(
                "`{}` has shape {:?} instead of {:?}",
                spec.name, p.shape, spec.shape
            )),
            Some(p) if p.values.iter().any(|v| !v.is_finite()) => {
                problems.push(format!("`{}` holds a value that is not finite", spec.name));
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(LISTED);
    problems.truncate(LISTED);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(ParameterError::Mismatch {
        source_name: source_name.to_owned(),
        problems,
    })
}

/// Takes a pretrained encoder: every wanted parameter whose name starts with `prefix` must be in `file` without it. What
/// the file holds beyond that must start with one of `allowed_extra` (a classifier's head).
///
/// # Errors
/// [`ParameterError::Mismatch`] naming missing, misshapen and odd keys.
pub fn pretrained(
    path: &Path,
    wanted: &[ParameterSpec],
    prefix: &str,
    allowed_extra: &[&str],
) -> Result<Parameters, ParameterError> {
    let (file, _) = read(path)?;
    let mut found = Parameters::new();
    let mut odd = Vec::new();
    for (name, p) in file {
        let full = format!("{prefix}{name}");
        if wanted.iter().any(|s| s.name == full) {
            found.insert(full, p);
        } else if !allowed_extra.iter().any(|e| name.starts_with(e)) {
            odd.push(format!("`{name}` is not part of the encoder"));
        }
    }
    let source_name = path.display().to_string();
    let wanted: Vec<ParameterSpec> = wanted
        .iter()
        .filter(|s| s.name.starts_with(prefix))
        .cloned()
        .collect();
    let mut problems = match check(&source_name, &found, &wanted) {
        Err(ParameterError::Mismatch { problems, .. }) => problems,
        other => other.map(|()| Vec::new())?,
    };
    odd.truncate(LISTED);
    // Both sides of a key that only has another name.
    problems.append(&mut odd);
    if problems.is_empty() {
        return Ok(found);
    }
    Err(ParameterError::Mismatch {
        source_name,
        problems,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ParameterKind;

    fn spec(name: &str, shape: &[usize]) -> ParameterSpec {
        ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind: ParameterKind::Bias,
        }
    }

    fn parameter(shape: &[usize]) -> Parameter {
        Parameter {
            shape: shape.to_vec(),
            values: (0..shape.iter().product::<usize>())
                .map(|i| i as f32 * 0.5)
                .collect(),
        }
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.safetensors");
        let parameters = Parameters::from([
            ("a.weight".to_owned(), parameter(&[2, 3])),
            ("b".to_owned(), parameter(&[])),
        ]);
        let words = Metadata::from([("step".to_owned(), "7".to_owned())]);
        write(&path, &parameters, &words).unwrap();
        assert_eq!(read(&path).unwrap(), (parameters, words));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(matches!(read(&path), Err(ParameterError::Format { .. })));
    }

    /// `/dev/full` refuses every byte with the error of a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_the_older_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let words = Metadata::new();
        let older = Parameters::from([("a".to_owned(), parameter(&[2, 3]))]);
        write(&path, &older, &words).unwrap();
        let beside = folder.path().join("checkpoint.partial");
        std::os::unix::fs::symlink("/dev/full", &beside).unwrap();
        let newer = Parameters::from([("a".to_owned(), parameter(&[20, 30]))]);
        let error = anyhow::Error::from(write(&path, &newer, &words).unwrap_err());
        assert!(crate::failure::is_disk_full(&error), "{error:#}");
        assert!(format!("{error:#}").contains("checkpoint.safetensors"));
        assert_eq!(read(&path).unwrap().0, older);
        assert!(!beside.exists(), "what was half written is taken away");
    }

    #[test]
    fn floats_of_16_bits_are_read_and_whole_numbers_are_not() {
        let numbers = [1.5_f32, -0.25, 1024.0];
        let f16: Vec<u8> = numbers
            .iter()
            .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
            .collect();
        let bf16: Vec<u8> = numbers
            .iter()
            .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
            .collect();
        assert_eq!(floats(Dtype::F16, &f16).unwrap(), numbers);
        assert_eq!(floats(Dtype::BF16, &bf16).unwrap(), numbers);
        assert_eq!(floats(Dtype::I32, &f16), None);
    }

    #[test]
    fn a_pretrained_file_with_missing_or_odd_keys_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.safetensors");
        let file = Parameters::from([
            ("stem".to_owned(), parameter(&[4])),
            ("_fc.bias".to_owned(), parameter(&[9])),
        ]);
        write(&path, &file, &Metadata::new()).unwrap();
        let stem = [spec("e.stem", &[4])];
        let got = pretrained(&path, &stem, "e.", &["_fc."]).unwrap();
        assert!(got.contains_key("e.stem") && got.len() == 1);
        let odd = pretrained(&path, &stem, "e.", &[]).unwrap_err().to_string();
        assert!(odd.contains("`_fc.bias`"), "{odd}");
        let two = [spec("e.stem", &[5]), spec("e.gone", &[1])];
        let bad = pretrained(&path, &two, "e.", &["_fc."])
            .unwrap_err()
            .to_string();
        assert!(
            bad.contains("`e.gone` is missing") && bad.contains("[4] instead of [5]"),
            "{bad}"
        );
        let renamed = [spec("e.stam", &[4])];
        let bad = pretrained(&path, &renamed, "e.", &["_fc."]).unwrap_err();
        let bad = bad.to_string();
        assert!(
            bad.contains("`e.stam` is missing") && bad.contains("`stem` is not part"),
            "{bad}"
        );
    }

    #[test]
    fn a_parameter_that_is_not_finite_is_refused() {
        let mut bad = parameter(&[2]);
        bad.values[1] = f32::NAN;
        let all = Parameters::from([("x".to_owned(), bad)]);
        assert!(check("here", &all, &[spec("x", &[2])]).is_err());
    }
}
