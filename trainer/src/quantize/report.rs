//! What rounding costs: by layer, and by pixel.

use std::collections::BTreeMap;

use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use alight::inference::{SegmentationMap, Segmenter as _};
use anyhow::Result;
use serde::Serialize;

use super::calibrate::Shown;
use crate::eval::{Pair, frame};
use crate::scores::Confusion;

/// How much of one convolution's output is rounding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// The convolution.
    pub name: String,
    /// Signal to noise: the float output's power over that of the difference, decibels.
    pub sqnr_db: f64,
    /// Mean difference, in units of the output's root mean square.
    pub bias: f64,
}

/// Compares what two forms of a network compute inside.
///
/// # Errors
/// When one does not run.
pub fn layers(float: &Shown, rounded: &Shown, pictures: &[Vec<f32>]) -> Result<Vec<Layer>> {
    // Power of the signal, power of the difference, sum of the difference, values.
    let mut sums: BTreeMap<String, [f64; 4]> = BTreeMap::new();
    let mut order = Vec::new();
    for picture in pictures {
        let mut wanted: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        float.run(picture, |name, values, _| {
            if !order.iter().any(|o| o == name) {
                order.push(name.to_owned());
            }
            wanted.insert(name.to_owned(), values.to_vec());
        })?;
        rounded.run(picture, |name, values, _| {
            let sum = sums.entry(name.to_owned()).or_default();
            for (w, v) in wanted.get(name).into_iter().flatten().zip(values) {
                let (w, d) = (f64::from(*w), f64::from(*v) - f64::from(*w));
                for (s, add) in sum.iter_mut().zip([w * w, d * d, d, 1.0]) {
                    *s += add;
                }
            }
        })?;
    }
    Ok(order
        .into_iter()
        .map(|name| {
            let [signal, noise, off, n] = sums.get(&name).copied().unwrap_or_default();
            let rms = (signal / n.max(1.0)).sqrt().max(1e-12);
            Layer {
                name,
                sqnr_db: 10.0 * (signal.max(1e-30) / noise.max(1e-30)).log10(),
                bias: off / n.max(1.0) / rms,
            }
        })
        .collect())
}

/// What rounding costs on labelled pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loss {
    /// Mean intersection over union of the float network.
    pub float_mean_iou: f64,
    /// Of the rounded one.
    pub rounded_mean_iou: f64,
    /// Share of the map's pixels whose likeliest class is the same.
    pub agreement: f64,
}

impl Loss {
    /// How much of the mean intersection over union is lost.
    #[must_use]
    pub fn mean_iou(&self) -> f64 {
        self.float_mean_iou - self.rounded_mean_iou
    }
}

/// Runs both over the pictures.
///
/// # Errors
/// When one does not run.
pub fn loss(
    (float, rounded): (&ModelFiles, &ModelFiles),
    pairs: impl Iterator<Item = Result<Pair>>,
) -> Result<Loss> {
    let mut segmenters = [TractSegmenter::new(float)?, TractSegmenter::new(rounded)?];
    let classes = float.manifest.classes.len();
    let mut confusions = [Confusion::new(classes), Confusion::new(classes)];
    let mut map = SegmentationMap::default();
    let (mut same, mut all) = (0_u64, 0_u64);
    for (seq, pair) in pairs.enumerate() {
        let (picture, truth) = pair?;
        let frame = frame(picture, seq);
        let (w, h) = (truth.width() as usize, truth.height() as usize);
        let mut said = [Vec::new(), Vec::new()];
        for ((segmenter, confusion), said) in
            segmenters.iter_mut().zip(&mut confusions).zip(&mut said)
        {
            segmenter.segment(&frame, &mut map)?;
            for (t, c) in truth.as_raw().iter().zip(map.classes_at(w, h)) {
                confusion.add(*t, c);
            }
            *said = map.classes_at(map.width, map.height);
        }
        let [a, b] = &said;
        same += a.iter().zip(b).filter(|(a, b)| a == b).count() as u64;
        all += a.len() as u64;
    }
    let [float, rounded] = confusions.map(|c| c.mean_iou());
    Ok(Loss {
        float_mean_iou: float,
        rounded_mean_iou: rounded,
        agreement: same as f64 / all.max(1) as f64,
    })
}
