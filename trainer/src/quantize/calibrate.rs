//! Ranges of activations, from what a float network computes of training pictures.

use std::collections::BTreeMap;
use std::io::Cursor;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use tract_onnx::prelude::{
    Framework as _, InferenceModelExt as _, IntoRunnable as _, Tensor, TypedRunnableModel, tvec,
};

use super::{convolutions, name};
use crate::graph::{Graph, Shape};
use crate::onnx::{Rounding, Roundings};

/// How a range is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// From the smallest to the largest value seen.
    Minmax,
    /// Without a hundred-thousandth at either end.
    Percentile,
    /// The range of least squared error after rounding, of those between a third and all of the span.
    Mse,
}

/// Share of the values that `Percentile` leaves out at each end.
const LEFT_OUT: f64 = 1e-5;
/// Steps of a histogram.
const BINS: usize = 2048;
/// Ranges that `Mse` tries.
const TRIED: usize = 60;

/// What was seen of one tensor.
#[derive(Debug, Clone)]
pub struct Seen {
    low: f32,
    high: f32,
    counts: Vec<u64>,
    /// Mean of each channel.
    pub means: Vec<f64>,
    pixels: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
            counts: vec![0; BINS],
            means: Vec::new(),
            pixels: 0,
        }
    }
}

impl Seen {
    /// First round: the span, and the sum of each channel.
    fn span(&mut self, values: &[f32], channels: usize) {
        self.means.resize(channels, 0.0);
        let plane = (values.len() / channels.max(1)).max(1);
        for (channel, sum) in values.chunks(plane).zip(&mut self.means) {
            for v in channel {
                self.low = self.low.min(*v);
                self.high = self.high.max(*v);
            }
            *sum += channel.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
        self.pixels += plane as u64;
    }

    /// Second round: how often which value.
    fn count(&mut self, values: &[f32]) {
        let scale = BINS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for v in values {
            let bin = (((v - self.low) * scale) as usize).min(BINS - 1);
            if let Some(c) = self.counts.get_mut(bin) {
                *c += 1;
            }
        }
    }

    fn value(&self, bin: f64) -> f32 {
        (f64::from(self.low) + bin * f64::from(self.high - self.low) / BINS as f64) as f32
    }

    /// The rounding that `method` chooses.
    #[must_use]
    pub fn rounding(&self, method: Method) -> Rounding {
        let whole = (self.low, self.high);
        let (low, high) = match method {
            Method::Minmax => whole,
            Method::Percentile => {
                let all: u64 = self.counts.iter().sum();
                let left = (all as f64 * LEFT_OUT) as u64;
                let after = |counts: &mut dyn Iterator<Item = &u64>| {
                    let mut sum = 0;
                    counts
                        .take_while(|c| {
                            sum += **c;
                            sum <= left
                        })
                        .count()
                };
                let first = after(&mut self.counts.iter());
                let last = after(&mut self.counts.iter().rev());
                (self.value(first as f64), self.value((BINS - last) as f64))
            }
            Method::Mse => {
                let ranges = (0..=TRIED).map(|i| {
                    let share = 1.0 - i as f32 / TRIED as f32 * 2.0 / 3.0;
                    (whole.0 * share, whole.1 * share)
                });
                let errors = ranges.map(|r| (self.error(Rounding::of_range(r.0, r.1)), r));
                let best = errors.min_by(|a, b| a.0.total_cmp(&b.0));
                best.map_or(whole, |(_, r)| r)
            }
        };
        Rounding::of_range(low, high)
    }

    /// Sum of the squared errors of rounding.
    fn error(&self, rounding: Rounding) -> f64 {
        let bins = self.counts.iter().enumerate().filter(|(_, c)| **c > 0);
        bins.map(|(i, c)| {
            let v = self.value(i as f64 + 0.5);
            *c as f64 * f64::from(rounding.round(v) - v).powi(2)
        })
        .sum()
    }
}

/// A network in tract that shows inner values, too.
pub struct Shown {
    model: std::sync::Arc<TypedRunnableModel>,
    input: Shape,
    names: Vec<String>,
}

impl Shown {
    /// Loads a file that [`crate::onnx::write_as`] wrote with `names` shown.
    ///
    /// # Errors
    /// When tract does not read it.
    pub fn load(file: &[u8], input: Shape, names: Vec<String>) -> Result<Self> {
        let model = tract_onnx::onnx().model_for_read(&mut Cursor::new(file))?;
        Ok(Self {
            model: model.into_optimized()?.into_runnable()?,
            input,
            names,
        })
    }

    /// Runs a picture; gives each shown value to `see`, by name.
    ///
    /// # Errors
    /// When tract fails.
    pub fn run(&self, picture: &[f32], mut see: impl FnMut(&str, &[f32], usize)) -> Result<()> {
        let shape = [1, self.input.channels, self.input.height, self.input.width];
        let outputs = self
            .model
            .run(tvec!(Tensor::from_shape(&shape, picture)?.into()))?;
        for (name, value) in self.names.iter().zip(outputs.iter().skip(1)) {
            let channels = value.shape().get(1).copied().unwrap_or(1);
            see(name, value.try_as_plain_ram()?.as_slice::<f32>()?, channels);
        }
        Ok(())
    }
}

/// Names of the tensors that quantization rounds, in the graph's order: what convolutions read, and what they put out.
#[must_use]
pub fn watched(graph: &Graph) -> Vec<String> {
    let convolutions = convolutions(graph);
    let is_watched = |i: usize| {
        convolutions
            .iter()
            .any(|(_, source, out)| *source == i || *out == i)
    };
    // The picture's range is known, and it cannot be an output as well.
    (1..graph.nodes.len())
        .filter(|&i| is_watched(i) && i + 1 < graph.nodes.len())
        .map(|i| name(graph, i))
        .collect()
}

/// What the float network computes of the pictures, by name.
///
/// # Errors
/// When it does not run.
pub fn see(shown: &Shown, pictures: &[Vec<f32>]) -> Result<BTreeMap<String, Seen>> {
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    for picture in pictures {
        shown.run(picture, |name, values, channels| {
            all.entry(name.to_owned())
                .or_default()
                .span(values, channels);
        })?;
    }
    for seen in all.values_mut() {
        for m in &mut seen.means {
            *m /= seen.pixels.max(1) as f64;
        }
    }
    for picture in pictures {
        shown.run(picture, |name, values, _| {
            if let Some(seen) = all.get_mut(name) {
                seen.count(values);
            }
        })?;
    }
    Ok(all)
}

/// A rounding for each tensor that convolutions read or put out. The picture's is that of bytes.
///
/// # Errors
/// When a tensor was not seen.
pub fn roundings(
    graph: &Graph,
    seen: &BTreeMap<String, Seen>,
    method: Method,
    picture: (f32, f32),
) -> Result<Roundings> {
    let mut all = Roundings::new();
    for (conv, source, out) in convolutions(graph) {
        let mut rounding = |node: usize, under: usize| -> Result<()> {
            let r = if node == 0 {
                Rounding::of_range(picture.0, picture.1)
            } else if node + 1 == graph.nodes.len() {
                return Ok(());
            } else {
                let name = name(graph, node);
                seen.get(&name)
                    .with_context(|| format!("`{name}` was not seen"))?
                    .rounding(method)
            };
            all.insert(name(graph, under), r);
            Ok(())
        };
        rounding(source, source)?;
        rounding(out, conv)?;
    }
    Ok(all)
}
