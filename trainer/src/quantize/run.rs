//! The command `quantize`.

use std::fmt::Write as _;

use alight::inference::manifest::{Form as FileForm, ModelFiles, sha256_hex};
use alight::inference::preprocess::Preprocessor;
use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use serde::Serialize;
use tract_onnx::pb;

use super::calibrate::{Shown, roundings, see, watched};
use super::report::{Layer, Loss, layers, loss};
use super::{bias, convolutions, equalise, name};
use crate::cli::QuantizeArgs;
use crate::cost;
use crate::data::cache::Cache;
use crate::data::fold::Fold;
use crate::export::pairs;
use crate::graph::Graph;
use crate::networks::Network;
use crate::onnx::{Form, Operators, Roundings, WeightForm, fold_batch_norm, write_as};
use crate::parameters::{Parameter, Parameters, write_atomically};

/// Pictures for the report by layer.
const REPORTED: usize = 8;

/// What is written to `quantization.json`.
#[derive(Debug, Serialize)]
struct Report {
    network: String,
    calibration: String,
    pictures: usize,
    equalised_pairs: usize,
    largest_bias_correction: f64,
    loss: Loss,
    latency_ms: Latencies,
    layers: Vec<Layer>,
}

/// Medians of one run, on one thread of this machine, in the runtime that flies; none where it cannot load the form.
#[derive(Debug, Serialize)]
struct Latencies {
    given: f64,
    qdq: Option<f64>,
    qlinear: Option<f64>,
}

/// Quantizes a model and writes both forms, unless it loses too much.
///
/// # Errors
/// Bad input, a loss beyond the bound (with the figures), or a disk that refuses.
pub fn run(args: &QuantizeArgs) -> Result<()> {
    let files = ModelFiles::load(&args.model)?;
    let cache = Cache::open(&args.cache)?;
    let (trained_on, held_out) = Fold::read(&args.fold)?.indices(&cache)?;
    let (graph, parameters) = folded(&files)?;
    let pictures = inputs(&files, &cache, &spread(&trained_on, args.pictures))?;
    let made = make(args, &files, (graph, parameters), &pictures)?;
    let loss = loss((&files, &made.qdq), pairs(&cache, &held_out))?;
    let report = Report {
        network: made.graph.name.clone(),
        calibration: format!("{:?}", args.calibration).to_lowercase(),
        pictures: pictures.len(),
        equalised_pairs: made.equalised_pairs,
        largest_bias_correction: made.largest_bias_correction,
        loss,
        latency_ms: Latencies {
            given: cost::of(&files)?.latency_ms,
            qdq: cost::of(&made.qdq).ok().map(|c| c.latency_ms),
            qlinear: cost::of(&made.qlinear).ok().map(|c| c.latency_ms),
        },
        layers: made.layers(&pictures)?,
    };
    log::info!("{}", text(&report));
    ensure!(
        loss.mean_iou() <= args.max_loss && loss.agreement >= args.min_agreement,
        "not written: on the held-out fold the mIoU falls by {:.4} (--max-loss {}) and {:.2} % of the pixels agree (--min-agreement {}); try another --calibration, or fine-tune",
        loss.mean_iou(),
        args.max_loss,
        100.0 * loss.agreement,
        args.min_agreement
    );
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    for (name, model) in [("qdq.onnx", &made.qdq), ("qlinear.onnx", &made.qlinear)] {
        write_atomically(&args.out.join(name), &model.network)?;
    }
    let json = serde_json::to_string_pretty(&report)? + "\n";
    write_atomically(&args.out.join("quantization.json"), json.as_bytes())?;
    Ok(())
}

/// The quantized network and what it was made from.
struct Made {
    graph: Graph,
    /// Equalised, not rounded.
    float: Parameters,
    /// The same with corrected constants.
    corrected: Parameters,
    rounding: Roundings,
    qdq: ModelFiles,
    qlinear: ModelFiles,
    equalised_pairs: usize,
    largest_bias_correction: f64,
}

fn make(
    args: &QuantizeArgs,
    files: &ModelFiles,
    (graph, mut float): (Graph, Parameters),
    pictures: &[Vec<f32>],
) -> Result<Made> {
    let equalised_pairs = if args.no_equalisation {
        0
    } else {
        equalise::equalise(&graph, &mut float)
    };
    let names = watched(&graph);
    let file = write_as(&graph, &float, plain(&names))?;
    let seen = see(&Shown::load(&file, graph.input, names)?, pictures)?;
    let rounding = roundings(&graph, &seen, args.calibration, span_of_bytes(files))?;
    let mut corrected = float.clone();
    let largest_bias_correction = if args.no_bias_correction {
        0.0
    } else {
        bias::correct(&graph, &mut corrected, &seen)
    };
    let form = |operators| -> Result<ModelFiles> {
        let network = write_form(&graph, &corrected, (&rounding, operators), &[])?;
        Ok(with_network(files, network))
    };
    let (qdq, qlinear) = (form(Operators::Qdq)?, form(Operators::QLinear)?);
    Ok(Made {
        graph,
        float,
        corrected,
        rounding,
        qdq,
        qlinear,
        equalised_pairs,
        largest_bias_correction,
    })
}

impl Made {
    fn layers(&self, pictures: &[Vec<f32>]) -> Result<Vec<Layer>> {
        let names = conv_names(&self.graph);
        let show = |file: Vec<u8>| Shown::load(&file, self.graph.input, names.clone());
        let float = write_as(&self.graph, &self.float, plain(&names))?;
        let how = (&self.rounding, Operators::Qdq);
        let rounded = write_form(&self.graph, &self.corrected, how, &names)?;
        let few = pictures.get(..REPORTED.min(pictures.len()));
        layers(&show(float)?, &show(rounded)?, few.unwrap_or_default())
    }
}

/// A float network that shows these nodes.
const fn plain(shown: &[String]) -> Form<'_> {
    Form {
        weights: WeightForm::Float,
        activations: None,
        shown,
    }
}

/// What the darkest and the brightest byte become.
fn span_of_bytes(files: &ModelFiles) -> (f32, f32) {
    let input = &files.manifest.input;
    let ends = input.mean.iter().zip(&input.std);
    let low = ends.clone().map(|(m, s)| -m / s).fold(0.0, f32::min);
    (low, ends.map(|(m, s)| (255.0 - m) / s).fold(0.0, f32::max))
}

fn conv_names(graph: &Graph) -> Vec<String> {
    let all = convolutions(graph).into_iter();
    all.filter(|(i, ..)| i + 1 < graph.nodes.len())
        .map(|(i, ..)| name(graph, i))
        .collect()
}

fn write_form(
    graph: &Graph,
    parameters: &Parameters,
    activations: (&Roundings, Operators),
    shown: &[String],
) -> Result<Vec<u8>> {
    let form = Form {
        weights: WeightForm::Int8,
        activations: Some(activations),
        shown,
    };
    Ok(write_as(graph, parameters, form)?)
}

/// The same model with another network. Its form says only that loading need not refuse float convolutions: what runs in integers is
/// measured.
fn with_network(files: &ModelFiles, network: Vec<u8>) -> ModelFiles {
    let mut files = files.clone();
    files.manifest.sha256 = sha256_hex(&network);
    files.manifest.form = FileForm::WeightsInt8;
    files.network = network.into();
    files
}

/// The graph without batch norms, and the parameters that a model's file holds.
fn folded(files: &ModelFiles) -> Result<(Graph, Parameters)> {
    let m = &files.manifest;
    let network: Network = m.name.parse().map_err(anyhow::Error::msg)?;
    let graph = network.graph(m.input.height, m.input.width, m.classes.len())?;
    // The folded graph does not depend on the values.
    let specs = graph.parameters()?.into_iter().map(|s| {
        let values = vec![1.0; s.shape.iter().product()];
        (
            s.name,
            Parameter {
                shape: s.shape,
                values,
            },
        )
    });
    let (graph, _) = fold_batch_norm(&graph, &specs.collect())?;
    let parameters = stored(&files.network)?;
    crate::parameters::check(
        &files.origin.display().to_string(),
        &parameters,
        &graph.parameters()?,
    )?;
    Ok((graph, parameters))
}

/// Weights and constants of a file that this trainer wrote.
fn stored(network: &[u8]) -> Result<Parameters> {
    let model = pb::ModelProto::decode(network).context("the network is no ONNX file")?;
    let tensors = model.graph.context("the network is empty")?.initializer;
    let floats = |t: &pb::TensorProto| -> Vec<f32> {
        let (fours, _) = t.raw_data.as_chunks::<4>();
        fours.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let mut all = Parameters::new();
    for t in &tensors {
        let shape: Vec<usize> = t.dims.iter().map(|d| *d as usize).collect();
        let part = t.name.rsplit('.').next();
        if part.is_some_and(|p| ["weight", "bias"].contains(&p)) {
            let values = floats(t);
            all.insert(t.name.clone(), Parameter { shape, values });
        } else if let Some(name) = t.name.strip_suffix(".int8") {
            let scale = tensors.iter().find(|s| s.name == format!("{name}.scale"));
            let scales = floats(scale.with_context(|| format!("`{name}` has no scale"))?);
            let filter = (t.raw_data.len() / scales.len().max(1)).max(1);
            let values = t.raw_data.chunks(filter).zip(&scales);
            let values = values
                .flat_map(|(f, s)| f.iter().map(move |v| f32::from(v.cast_signed()) * s))
                .collect();
            all.insert(name.to_owned(), Parameter { shape, values });
        }
    }
    Ok(all)
}

/// So many of them, evenly spread.
fn spread(indices: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(indices.len());
    (0..count)
        .filter_map(|i| indices.get(i * indices.len() / count).copied())
        .collect()
}

/// Pictures as the network reads them.
fn inputs(files: &ModelFiles, cache: &Cache, indices: &[usize]) -> Result<Vec<Vec<f32>>> {
    let input = &files.manifest.input;
    let mut preprocessor = Preprocessor::new(input);
    pairs(cache, indices)
        .map(|pair| {
            let mut values = vec![0.0; 3 * input.width * input.height];
            preprocessor.run(&pair?.0, &mut values)?;
            Ok(values)
        })
        .collect()
}

fn text(r: &Report) -> String {
    let mut t = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        t,
        "{}: {} pictures, {} calibration, {} pairs equalised, largest correction of a constant {:.4}",
        r.network, r.pictures, r.calibration, r.equalised_pairs, r.largest_bias_correction
    );
    let mut layers: Vec<&Layer> = r.layers.iter().collect();
    layers.sort_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db));
    for l in layers.iter().take(8) {
        let _ = writeln!(
            t,
            "{:<40} {:>6.1} dB, mean off by {:+.4}",
            l.name, l.sqnr_db, l.bias
        );
    }
    let ms =
        |v: Option<f64>| v.map_or_else(|| "does not load".to_owned(), |v| format!("{v:.1} ms"));
    let _ = writeln!(
        t,
        "in the runtime that flies: as given {:.1} ms, QDQ {}, QLinearConv {}",
        r.latency_ms.given,
        ms(r.latency_ms.qdq),
        ms(r.latency_ms.qlinear)
    );
    let _ = writeln!(
        t,
        "held-out fold: mIoU {:.4} -> {:.4}, {:.2} % of the pixels keep their class",
        r.loss.float_mean_iou,
        r.loss.rounded_mean_iou,
        100.0 * r.loss.agreement
    );
    t
}
