//! Turns trained parameters into the pair that flies: `landing.onnx` and its manifest. Temperature and landable threshold
//! are fitted on the held-out fold, through the runtime's own inference.

use std::path::Path;

use alight::inference::classes::{Class, SEMANTIC_DRONE};
use alight::inference::manifest::{
    ColourOrder, FORMAT, Form, InputSpec, Manifest, ModelFiles, OutputSpec, Training, sha256_hex,
};
use alight::inference::tract::TractSegmenter;
use alight::inference::{SegmentationMap, Segmenter as _};
use anyhow::{Context as _, Result, ensure};
use image::{GrayImage, RgbImage};

use crate::data::cache::Cache;
use crate::eval::{Pair, Scores, frame, score};
use crate::graph::{Graph, Shape};
use crate::onnx::{WeightForm, write};
use crate::parameters::{self, Parameters};
use crate::prior;

/// The encoder's normalisation: `(channel - 127) / 128`.
const MEAN: f32 = 127.0;
const STD: f32 = 128.0;
/// The threshold is the lowest whose false-positive rate on the fold is at most this, and never below one half.
const FOLD_FALSE_POSITIVES: f64 = 0.03;
/// Search range of the temperature.
const TEMPERATURES: (f32, f32) = (0.25, 4.0);

/// A model that is not fitted yet: temperature 1, threshold one half.
///
/// # Errors
/// When the graph is wrong or parameters are missing.
pub fn model(graph: &Graph, parameters: &Parameters, training: &Training) -> Result<ModelFiles> {
    parameters::check("the parameters", parameters, &graph.parameters()?)?;
    let network = write(graph, parameters, WeightForm::Int8)?;
    let output = *graph.shapes()?.last().context("the graph is empty")?;
    let manifest = Manifest {
        format: FORMAT,
        name: graph.name.clone(),
        file: "landing.onnx".to_owned(),
        sha256: sha256_hex(&network),
        form: Form::WeightsInt8,
        gmac: (graph.macs()? as f64 / 1e6).round() / 1e3,
        input: input_spec(graph.input),
        output: OutputSpec {
            width: output.width,
            height: output.height,
            temperature: 1.0,
            landable_threshold: 0.5,
        },
        training: training.clone(),
        scores: toml::Table::new(),
        classes: classes(),
    };
    Ok(ModelFiles {
        manifest,
        network: network.into(),
        origin: "landing.onnx".into(),
    })
}

fn input_spec(input: Shape) -> InputSpec {
    InputSpec {
        width: input.width,
        height: input.height,
        colour: ColourOrder::Rgb,
        mean: [MEAN; 3],
        std: [STD; 3],
    }
}

fn classes() -> Vec<Class> {
    let all = SEMANTIC_DRONE.iter().enumerate();
    all.map(|(i, (name, _, surface))| Class {
        index: i as u8,
        name: (*name).to_owned(),
        surface: *surface,
    })
    .collect()
}

/// Some samples of a cache as pictures.
pub fn pairs<'a>(
    cache: &'a Cache,
    indices: &'a [usize],
) -> impl Iterator<Item = Result<Pair>> + 'a {
    indices.iter().map(|&i| {
        let sample = cache
            .sample(i)
            .context("the fold names a sample that is not there")?;
        let (w, h) = (cache.index.width, cache.index.height);
        let picture = RgbImage::from_raw(w, h, sample.picture.to_vec());
        let mask = GrayImage::from_raw(w, h, sample.mask.to_vec());
        picture
            .zip(mask)
            .context("the cache's samples do not have its size")
    })
}

/// Fits temperature and threshold on the held-out samples and writes them into the manifest, with the fold's scores.
///
/// # Errors
/// When the model does not run, or the fold is empty.
pub fn fit(files: &mut ModelFiles, cache: &Cache, held_out: &[usize]) -> Result<Scores> {
    ensure!(
        !held_out.is_empty(),
        "empty split: no held-out picture to fit on"
    );
    files.manifest.output.temperature = 1.0;
    let logits = truth_and_logits(files, cache, held_out)?;
    files.manifest.output.temperature = best_temperature(&logits);
    let threshold = threshold(files, cache, held_out)?;
    files.manifest.output.landable_threshold = threshold;
    log::info!(
        "temperature {:.3}, landable threshold {threshold:.3}",
        files.manifest.output.temperature
    );
    score(files, pairs(cache, held_out))
}

/// Takes back of the class weights what serves the held-out samples best; `trained_on` are the samples whose shares made the
/// weights. Gives the share taken back.
///
/// # Errors
/// As [`model`] and [`fit`].
pub fn adjust(
    (graph, training): (&Graph, &Training),
    parameters: &mut Parameters,
    cache: &Cache,
    (trained_on, held_out): (&[usize], &[usize]),
) -> Result<f32> {
    let unfitted = model(graph, parameters, training)?;
    let pixels = truth_and_logits(&unfitted, cache, held_out)?;
    let weights = prior::class_weights(cache, trained_on);
    let share = prior::best_share(&weights, &pixels.truths, &pixels.logits);
    prior::add_to_head(parameters, &prior::adjustment(&weights, share))?;
    log::info!("{share} of the class weights taken back after training");
    Ok(share)
}

/// Raw logits of the fold's map pixels, each with its true class.
struct TruthAndLogits {
    truths: Vec<u8>,
    logits: Vec<f32>,
    classes: usize,
}

/// Every so many pixels one is taken for the temperature: neighbours say the same.
const EVERY: usize = 3;

fn truth_and_logits(files: &ModelFiles, cache: &Cache, held: &[usize]) -> Result<TruthAndLogits> {
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    let mut all = TruthAndLogits {
        truths: Vec::new(),
        logits: Vec::new(),
        classes: files.manifest.classes.len(),
    };
    for (seq, pair) in pairs(cache, held).enumerate() {
        let (picture, truth) = pair?;
        segmenter.segment(&frame(picture, seq), &mut map)?;
        let plane = map.width * map.height;
        for pixel in (0..plane).step_by(EVERY) {
            let x = (pixel % map.width * 2 + 1) * truth.width() as usize / (map.width * 2);
            let y = (pixel / map.width * 2 + 1) * truth.height() as usize / (map.height * 2);
            let Some(class) = truth.get_pixel_checked(x as u32, y as u32) else {
                continue;
            };
            if usize::from(class.0[0]) < all.classes {
                all.truths.push(class.0[0]);
                let values = map.logits.iter().skip(pixel).step_by(plane);
                all.logits.extend(values.take(all.classes));
            }
        }
    }
    Ok(all)
}

/// The temperature of least negative log-likelihood (Guo et al. 2017), by golden-section search over its logarithm.
fn best_temperature(all: &TruthAndLogits) -> f32 {
    let golden = f32::midpoint(5.0_f32.sqrt(), -1.0);
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    for _ in 0..24 {
        let step = (high - low) * golden;
        if loss(all, (high - step).exp()) < loss(all, (low + step).exp()) {
            high = low + step;
        } else {
            low = high - step;
        }
    }
    f32::midpoint(low, high).exp()
}

fn loss(all: &TruthAndLogits, temperature: f32) -> f64 {
    let mut sum = 0.0;
    for (logits, &truth) in all.logits.chunks_exact(all.classes).zip(&all.truths) {
        let largest = logits.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
        let total: f32 = logits
            .iter()
            .map(|v| ((v - largest) / temperature).exp())
            .sum();
        let at_truth = logits.get(usize::from(truth)).copied().unwrap_or(largest);
        sum += f64::from(total.ln() - (at_truth - largest) / temperature);
    }
    sum / all.truths.len().max(1) as f64
}

fn threshold(files: &ModelFiles, cache: &Cache, held: &[usize]) -> Result<f32> {
    let mut landable = crate::scores::LandableScores::default();
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    for (seq, pair) in pairs(cache, held).enumerate() {
        let (picture, truth) = pair?;
        segmenter.segment(&frame(picture, seq), &mut map)?;
        let on = map.landable_at(truth.width() as usize, truth.height() as usize);
        for (&t, &p) in truth.as_raw().iter().zip(&on) {
            landable.add(t, p);
        }
    }
    let lowest = (50..99)
        .map(|percent| f64::from(percent) / 100.0)
        .find(|&t| landable.at(t).false_positive_rate <= FOLD_FALSE_POSITIVES);
    Ok(lowest.unwrap_or(0.99) as f32)
}

/// A score set as a table of the manifest.
#[must_use]
pub fn score_table(s: &Scores) -> toml::Table {
    let four = |v: f64| toml::Value::Float((v * 1e4).round() / 1e4);
    let mut t = toml::Table::new();
    t.insert("pictures".into(), toml::Value::Integer(s.pictures as i64));
    t.insert("pixel_accuracy".into(), four(s.pixel_accuracy));
    t.insert("mean_iou".into(), four(s.mean_iou));
    let p = s.landable_at_threshold;
    t.insert("landable_recall".into(), four(p.recall));
    t.insert(
        "landable_false_positive_rate".into(),
        four(p.false_positive_rate),
    );
    t.insert(
        "person_pixels_called_landable".into(),
        four(p.person_called_landable),
    );
    t
}

/// Writes the network and its manifest into a folder.
///
/// # Errors
/// When the disk refuses.
pub fn save(files: &ModelFiles, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let network = folder.join(&files.manifest.file);
    parameters::write_atomically(&network, &files.network)?;
    let text = toml::to_string(&files.manifest)?;
    parameters::write_atomically(&network.with_extension("toml"), text.as_bytes())?;
    Ok(())
}

/// A model of initial parameters, for tests.
#[cfg(test)]
pub(crate) fn untaught(graph: &Graph, seed: u64) -> ModelFiles {
    let training = Training {
        data: "drawn".into(),
        split: "none".into(),
        seed: 1,
        epochs: 0,
        licence: "Apache-2.0".into(),
    };
    let values = crate::initial::initial(graph, seed).unwrap();
    model(graph, &values, &training).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cache::CacheWriter;
    use crate::graph::{Conv, Op};
    use crate::parameters::Parameter;
    use image::{Luma, Rgb};

    /// A network that calls green ground grass (3) and red ground a person (15), at half resolution.
    fn colours() -> (Graph, Parameters) {
        let input = Shape {
            channels: 3,
            height: 32,
            width: 48,
        };
        let mut g = Graph::new("colours", input);
        let op = Op::Conv(Conv {
            stride: 2,
            has_bias: true,
            ..Conv::new(24, 1)
        });
        g.push("head", op, &[0]);
        let (mut weight, mut bias) = (vec![0.0; 24 * 3], vec![-20.0; 24]);
        weight[3 * 3..3 * 3 + 2].copy_from_slice(&[-8.0, 8.0]);
        weight[15 * 3..15 * 3 + 2].copy_from_slice(&[8.0, -8.0]);
        bias[3] = 0.0;
        bias[15] = 0.0;
        let parameter = |shape: &[usize], values| Parameter {
            shape: shape.to_vec(),
            values,
        };
        let parameters = Parameters::from([
            ("head.weight".to_owned(), parameter(&[24, 3, 1, 1], weight)),
            ("head.bias".to_owned(), parameter(&[24], bias)),
        ]);
        (g, parameters)
    }

    /// Left green grass, right a red person; in the second picture a tenth of the truth says otherwise.
    fn cache(folder: &Path) -> Cache {
        let picture = RgbImage::from_fn(96, 64, |x, _| {
            Rgb(if x < 48 { [20, 200, 30] } else { [200, 20, 30] })
        });
        let mut writer = CacheWriter::create(folder, (96, 64), 24, "test").unwrap();
        for wrong_rows in [0, 13] {
            let mask = GrayImage::from_fn(96, 64, |x, y| {
                Luma([if (x < 48) == (y >= wrong_rows) { 3 } else { 15 }])
            });
            writer.push("picture", &picture, &mask).unwrap();
        }
        writer.finish().unwrap();
        Cache::open(folder).unwrap()
    }

    fn training() -> Training {
        Training {
            data: "colours".into(),
            split: "none".into(),
            seed: 1,
            epochs: 0,
            licence: "Apache-2.0".into(),
        }
    }

    #[test]
    fn an_exported_model_flies_and_scores_what_it_is_worth() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder.path().join("cache"));
        let (graph, parameters) = colours();
        let mut files = model(&graph, &parameters, &training()).unwrap();
        let perfect = score(&files, pairs(&cache, &[0])).unwrap();
        assert!(perfect.pixel_accuracy > 0.99, "{}", perfect.text());
        assert_eq!(perfect.classes_present, 2);
        assert!(perfect.person_called_landable < 0.02);
        // A tenth of the fold is labelled against the colours: the sure network must be cooled down to that.
        let fitted = fit(&mut files, &cache, &[0, 1]).unwrap();
        assert!(
            (fitted.pixel_accuracy - 0.9).abs() < 0.02,
            "{}",
            fitted.text()
        );
        assert!(
            files.manifest.output.temperature > 1.5,
            "{}",
            files.manifest.output.temperature
        );
        save(&files, folder.path()).unwrap();
        let loaded = ModelFiles::load(&folder.path().join("landing.toml")).unwrap();
        assert_eq!(loaded.manifest, files.manifest);
        assert_eq!(score(&loaded, pairs(&cache, &[0, 1])).unwrap(), fitted);
    }

    #[test]
    fn parameters_of_another_network_are_refused() {
        let (graph, mut parameters) = colours();
        parameters.remove("head.bias");
        let text = model(&graph, &parameters, &training())
            .unwrap_err()
            .to_string();
        assert!(text.contains("`head.bias` is missing"), "{text}");
    }

    #[test]
    fn an_empty_fold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let (graph, parameters) = colours();
        let mut files = model(&graph, &parameters, &training()).unwrap();
        assert!(
            fit(&mut files, &cache, &[])
                .unwrap_err()
                .to_string()
                .contains("empty split")
        );
    }
}
