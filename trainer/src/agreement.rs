//! Do the runtimes agree on an exported file? A network with random values, a random picture, and what tract makes of them, in files
//! that another runtime can read (`tests/onnxruntime.py`).

use std::path::Path;

use anyhow::{Context as _, Result};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::{
    Framework as _, InferenceModelExt as _, IntoRunnable as _, Tensor, tvec,
};

use crate::graph::{Graph, Shape};
use crate::initial::{initial, normal};
use crate::onnx::{WeightForm, write as write_onnx};
use crate::parameters::write_atomically;

/// Normal deviates in the shape of the graph's input.
#[must_use]
pub fn random_picture(graph: &Graph, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    (0..graph.input.len()).map(|_| normal(&mut rng)).collect()
}

/// The logits that tract computes from an ONNX file and one picture.
///
/// # Errors
/// When tract cannot read or run it.
pub fn through_tract(file: &[u8], input: Shape, picture: &[f32]) -> Result<Vec<f32>> {
    let model = tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(file))?;
    let model = model.into_optimized()?.into_runnable()?;
    let shape = [1, input.channels, input.height, input.width];
    let outputs = model.run(tvec!(Tensor::from_shape(&shape, picture)?.into()))?;
    let logits = outputs.first().context("the network has no output")?;
    let logits = logits.try_as_plain_ram()?;
    Ok(logits.as_slice::<f32>()?.to_vec())
}

/// Writes `<network>.onnx` (8-bit weights, as it flies), `<network>.picture.npy` and `<network>.logits.npy`.
///
/// # Errors
/// When the network does not run or the disk refuses.
pub fn write(graph: &Graph, seed: u64, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let parameters = initial(graph, seed)?;
    let picture = random_picture(graph, seed);
    let file = write_onnx(graph, &parameters, WeightForm::Int8)?;
    let logits = through_tract(&file, graph.input, &picture)
        .with_context(|| format!("tract and {}", graph.name))?;
    let out = graph.shapes()?.last().copied().unwrap_or(graph.input);
    let path = |end: &str| folder.join(format!("{}.{end}", graph.name));
    write_atomically(&path("onnx"), &file)?;
    write_atomically(&path("picture.npy"), &npy(graph.input, &picture))?;
    write_atomically(&path("logits.npy"), &npy(out, &logits))?;
    Ok(())
}

/// `NumPy`'s file of floats `[1, channels, height, width]` (format 1.0: magic, length, a header padded to a multiple of 64).
fn npy(shape: Shape, values: &[f32]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {}, {}, {}), }}",
        shape.channels, shape.height, shape.width
    );
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_with_what_tract_makes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let network = crate::networks::Network::Unet(4);
        let graph = network.graph(16, 32, 24).unwrap();
        write(&graph, 1, folder.path()).unwrap();
        let read = |end: &str| std::fs::read(folder.path().join(format!("unet-4.{end}"))).unwrap();
        let logits = read("logits.npy");
        assert_eq!(logits.len(), 128 + 24 * 16 * 32 * 4);
        assert!(logits.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4'"));
        assert!(
            logits[128..]
                .as_chunks::<4>()
                .0
                .iter()
                .any(|b| f32::from_le_bytes(*b).abs() > 1e-3)
        );
        assert!(!read("onnx").is_empty() && read("picture.npy").len() == 128 + 3 * 16 * 32 * 4);
    }
}
