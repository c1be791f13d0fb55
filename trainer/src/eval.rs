//! Scores a model on a list of pictures through the runtime's own inference: the same manifest, preprocessing, tract and
//! calibration as in flight.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use alight::camera::Frame;
use alight::inference::classes::SEMANTIC_DRONE;
use alight::inference::manifest::ModelFiles;
use alight::inference::tract::TractSegmenter;
use alight::inference::{SegmentationMap, Segmenter as _};
use alight::time::MonoTime;
use anyhow::{Result, ensure};
use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::cost::Cost;
use crate::data::cache::Sample;
use crate::data::fold::{SCENE_THRESHOLD, descriptor, groups};
use crate::decisions::Decisions;
use crate::objects::{Judged, LEAST_PX, ObjectScore, Objects, Share};
use crate::scores::{Confusion, LandableScores, OperatingPoint, PERSON, landable_classes};
use crate::uncertainty::interval;

/// Recalls of landable ground at which the false-positive rate is told.
const RECALLS: [f64; 2] = [0.83, 0.85];
/// So many of the worst pictures are named.
const WORST: usize = 3;
/// Unlabeled and conflicting: classes that say nothing about the ground.
const WITHOUT_MEANING: [usize; 2] = [0, 23];

/// What a model scores on a list of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Name of the network.
    #[serde(default)]
    pub network: String,
    /// Columns and rows of its input.
    #[serde(default)]
    pub input: (usize, usize),
    /// SHA-256 of the network.
    pub sha256: String,
    /// What a run costs; none where it was not measured.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Where the pictures come from, in words.
    #[serde(default)]
    pub list: String,
    /// Number of pictures.
    pub pictures: usize,
    /// Share of all pixels whose class is right; unlabeled and conflicting count as classes.
    pub pixel_accuracy: f64,
    /// The same without the pixels whose truth is unlabeled or conflicting.
    pub pixel_accuracy_labeled: f64,
    /// Mean intersection over union of the classes that the truth shows, unlabeled and conflicting included.
    pub mean_iou: f64,
    /// How many classes the truth shows.
    pub classes_present: usize,
    /// Share of person pixels whose likeliest class is landable.
    pub person_called_landable: f64,
    /// Landable or not, at the manifest's threshold.
    pub landable_at_threshold: OperatingPoint,
    /// Landable or not, at the highest thresholds that reach certain recalls.
    pub landable_at_recall: Vec<OperatingPoint>,
    /// Expected calibration error of P(landable): the mean distance between what is believed and what is true, in
    /// twentieths of the probability, weighted by pixels.
    #[serde(default)]
    pub landable_calibration_error: f64,
    /// How many scenes the pictures belong to, as the fold's method joins them.
    #[serde(default)]
    pub scenes: usize,
    /// By kind of object, at the manifest's threshold.
    #[serde(default)]
    pub objects: Vec<ObjectScore>,
    /// By class.
    pub classes: Vec<ClassScore>,
    /// 95 % intervals by scene.
    #[serde(default)]
    pub intervals: Intervals,
    /// Landable or not, over thresholds from 0.05 to 0.95.
    #[serde(default)]
    pub landable_curve: Vec<OperatingPoint>,
    /// Pixels, a row for each true class, a column for each predicted one.
    #[serde(default)]
    pub confusion: Vec<Vec<u64>>,
    /// By picture, in the list's order.
    #[serde(default)]
    pub by_picture: Vec<PictureScore>,
    /// What the landing code makes of it; none where it was not asked.
    #[serde(default)]
    pub decisions: Option<Decisions>,
}

/// 95 % intervals from a bootstrap over scenes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the pixel accuracy.
    pub pixel_accuracy: Option<(f64, f64)>,
    /// Of the mean intersection over union; classes that a draw does not show are left out of it.
    pub mean_iou: Option<(f64, f64)>,
    /// Of the recall of landable ground at the manifest's threshold.
    pub landable_recall: Option<(f64, f64)>,
    /// Of the false-positive rate of landable ground there.
    pub landable_false_positive_rate: Option<(f64, f64)>,
}

/// What a model scores on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureScore {
    /// Name; empty where the list has none.
    pub name: String,
    /// Number of its scene: pictures of one scene have the same.
    pub scene: usize,
    /// Share of its pixels whose class is right.
    pub pixel_accuracy: f64,
    /// Share of its pixels that are not landable but called so at the manifest's threshold.
    pub called_landable_wrongly: f64,
}

/// What a model scores on one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Index.
    pub index: usize,
    /// Name.
    pub name: String,
    /// Share of the truth's pixels.
    pub share: f64,
    /// Intersection over union; none where the truth never shows the class.
    pub iou: Option<f64>,
    /// Share of its pixels called one of the landable classes.
    pub called_landable: f64,
}

/// A picture with its truth.
pub type Pair = (RgbImage, GrayImage);

/// Runs the model over the pictures. Logits are enlarged bilinearly to the truth's size before the likeliest class is taken.
///
/// # Errors
/// When the model does not load or run, a picture cannot be read, or there is none.
pub fn score(files: &ModelFiles, pairs: impl Iterator<Item = Result<Pair>>) -> Result<Scores> {
    let mut segmenter = TractSegmenter::new(files)?;
    let mut map = SegmentationMap::default();
    let mut confusion = Confusion::new(SEMANTIC_DRONE.len());
    let mut landable = LandableScores::default();
    let mut objects = Objects::default();
    let mut descriptors = Vec::new();
    let threshold = files.manifest.output.landable_threshold;
    let mut by_picture: Vec<(Confusion, Counts)> = Vec::new();
    let mut pictures = 0;
    for pair in pairs {
        let (picture, truth) = pair?;
        let (w, h) = (truth.width() as usize, truth.height() as usize);
        let sample = Sample {
            width: w,
            height: h,
            picture: picture.as_raw(),
            mask: truth.as_raw(),
        };
        descriptors.push(descriptor(&sample, SEMANTIC_DRONE.len()));
        segmenter.segment(&frame(picture, pictures), &mut map)?;
        let classes = map.classes_at(w, h);
        let on = map.landable_at(w, h);
        let mut own = (Confusion::new(SEMANTIC_DRONE.len()), Counts::default());
        for ((&t, &c), &p) in truth.as_raw().iter().zip(&classes).zip(&on) {
            own.0.add(t, c);
            own.1.add(t, p >= threshold);
            landable.add(t, p);
        }
        confusion.join(&own.0);
        by_picture.push(own);
        let judged = Judged {
            size: (w, h),
            truth: truth.as_raw(),
            classes: &classes,
            landable: &on,
        };
        objects.add(&judged, threshold);
        pictures += 1;
    }
    ensure!(pictures > 0, "empty split: no picture to score");
    let scenes = groups(&descriptors, SCENE_THRESHOLD);
    let mut scores = summary(
        files,
        pictures,
        &confusion,
        (&landable, f64::from(threshold)),
    );
    scores.objects = objects.scores(&scenes);
    scores.scenes = scenes.iter().collect::<BTreeSet<_>>().len();
    scores.intervals = intervals(&scenes, &by_picture);
    let pairs = by_picture.iter().zip(&scenes);
    scores.by_picture = pairs
        .map(|((confusion, counts), scene)| PictureScore {
            name: String::new(),
            scene: *scene,
            pixel_accuracy: confusion.pixel_accuracy(&[]),
            called_landable_wrongly: counts.wrong as f64 / counts.pixels().max(1) as f64,
        })
        .collect();
    Ok(scores)
}

/// Pixels by truth and by what is believed of them at one threshold.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    landable: u64,
    found: u64,
    danger: u64,
    wrong: u64,
}

impl Counts {
    fn add(&mut self, truth: u8, is_on: bool) {
        let Some((_, _, surface)) = SEMANTIC_DRONE.get(usize::from(truth)) else {
            return;
        };
        let on = u64::from(is_on);
        if surface.is_landable() {
            self.landable += 1;
            self.found += on;
        } else {
            self.danger += 1;
            self.wrong += on;
        }
    }

    const fn pixels(&self) -> u64 {
        self.landable + self.danger
    }
}

fn intervals(scenes: &[usize], pictures: &[(Confusion, Counts)]) -> Intervals {
    let of = |drawn: &[usize]| -> Vec<&(Confusion, Counts)> {
        drawn.iter().filter_map(|&i| pictures.get(i)).collect()
    };
    let joined = |drawn: &[usize]| {
        let mut all = Confusion::new(SEMANTIC_DRONE.len());
        for (c, _) in of(drawn) {
            all.join(c);
        }
        all
    };
    let share = |drawn: &[usize], part: fn(&Counts) -> (u64, u64)| {
        let parts = of(drawn).into_iter().map(|(_, c)| part(c));
        let (some, all) = parts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        (all > 0).then(|| some as f64 / all as f64)
    };
    Intervals {
        pixel_accuracy: interval(scenes, |d| Some(joined(d).pixel_accuracy(&[]))),
        mean_iou: interval(scenes, |d| Some(joined(d).mean_iou())),
        landable_recall: interval(scenes, |d| share(d, |c| (c.found, c.landable))),
        landable_false_positive_rate: interval(scenes, |d| share(d, |c| (c.wrong, c.danger))),
    }
}

/// A still picture as a frame.
#[must_use]
pub fn frame(picture: RgbImage, seq: usize) -> Frame {
    Frame {
        seq: seq as u64,
        source: Arc::from("picture"),
        captured_at: MonoTime::default(),
        image: Arc::new(picture),
        tag: None,
    }
}

fn summary(
    files: &ModelFiles,
    pictures: usize,
    confusion: &Confusion,
    (landable, threshold): (&LandableScores, f64),
) -> Scores {
    let on = landable_classes();
    let all = SEMANTIC_DRONE.iter().enumerate();
    let classes: Vec<ClassScore> = all
        .map(|(index, (name, ..))| ClassScore {
            index,
            name: (*name).to_owned(),
            share: confusion.share(index),
            iou: confusion.iou(index),
            called_landable: confusion.called(index, &on),
        })
        .collect();
    let input = &files.manifest.input;
    Scores {
        network: files.manifest.name.clone(),
        input: (input.width, input.height),
        sha256: files.manifest.sha256.clone(),
        cost: None,
        list: String::new(),
        pictures,
        pixel_accuracy: confusion.pixel_accuracy(&[]),
        pixel_accuracy_labeled: confusion.pixel_accuracy(&WITHOUT_MEANING),
        mean_iou: confusion.mean_iou(),
        classes_present: classes.iter().filter(|c| c.iou.is_some()).count(),
        person_called_landable: confusion.called(usize::from(PERSON), &on),
        landable_at_threshold: landable.at(threshold),
        landable_at_recall: RECALLS.iter().map(|&r| landable.at_recall(r)).collect(),
        landable_calibration_error: landable.calibration_error(),
        scenes: 0,
        objects: Vec::new(),
        classes,
        intervals: Intervals::default(),
        landable_curve: (1..20).map(|i| landable.at(f64::from(i) / 20.0)).collect(),
        confusion: confusion.rows(),
        by_picture: Vec::new(),
        decisions: None,
    }
}

fn range(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(String::new, |(low, high)| format!(" [{low:.3}, {high:.3}]"))
}

fn object_line(o: &ObjectScore) -> String {
    let share = |s: &Share| format!("{} of {}", s.count, s.of);
    let sizes = o.by_size.iter().map(|(from, to, s)| {
        let to = if *to == usize::MAX {
            "on".to_owned()
        } else {
            to.to_string()
        };
        format!("{from} to {to}: {}", share(s))
    });
    let percent = 100.0 * o.found.count as f64 / o.found.of.max(1) as f64;
    let interval = o.found.interval.map_or_else(String::new, |(low, high)| {
        format!(
            " = {percent:.1} % (95 % by scene: {:.1} to {:.1})",
            100.0 * low,
            100.0 * high
        )
    });
    format!(
        "{}, {LEAST_PX} px across or more: {} found{interval}; {}; {:.2} false alarms a picture",
        o.kind,
        share(&o.found),
        sizes.collect::<Vec<_>>().join(", "),
        o.false_alarms
    )
}

impl Scores {
    /// The scores as text for a terminal or a card.
    #[must_use]
    pub fn text(&self) -> String {
        let mut t = String::new();
        self.pixels_into(&mut t);
        self.objects_into(&mut t);
        self.classes_into(&mut t);
        t
    }

    // Writing to a String cannot fail.

    fn pixels_into(&self, t: &mut String) {
        let _ = writeln!(
            t,
            "{} pictures, network {} {}x{}, {}",
            self.pictures, self.network, self.input.0, self.input.1, self.sha256
        );
        if let Some(c) = &self.cost {
            let _ = writeln!(
                t,
                "{:.2} million parameters, {:.3} GMAC, {:.1} ms a picture on one thread of this machine",
                c.parameters as f64 / 1e6,
                c.gmac,
                c.latency_ms
            );
        }
        let _ = writeln!(
            t,
            "pixel accuracy {:.4}{} (without unlabeled and conflicting truth {:.4}), mIoU {:.4}{} over {} classes present",
            self.pixel_accuracy,
            range(self.intervals.pixel_accuracy),
            self.pixel_accuracy_labeled,
            self.mean_iou,
            range(self.intervals.mean_iou),
            self.classes_present
        );
        let i = &self.intervals;
        let _ = writeln!(
            t,
            "95 % by scene, at the shipped threshold: landable recall{}, false-positive rate{}",
            range(i.landable_recall),
            range(i.landable_false_positive_rate)
        );
        let _ = writeln!(
            t,
            "person pixels whose likeliest class is landable: {:.4}",
            self.person_called_landable
        );
        let points = self.landable_at_recall.iter().map(|p| ("", p));
        for (note, p) in [("shipped, ", &self.landable_at_threshold)]
            .into_iter()
            .chain(points)
        {
            let _ = writeln!(
                t,
                "landable ({note}P >= {:.3}): recall {:.4}, false-positive rate {:.4}, person pixels called landable {:.4}",
                p.threshold, p.recall, p.false_positive_rate, p.person_called_landable
            );
        }
        let _ = writeln!(
            t,
            "P(landable): calibration error {:.4}; {} scenes",
            self.landable_calibration_error, self.scenes
        );
    }

    fn objects_into(&self, t: &mut String) {
        for o in &self.objects {
            let _ = writeln!(t, "{}", object_line(o));
        }
        if let Some(d) = &self.decisions {
            let _ = writeln!(
                t,
                "decisions from 15 m: {} of {} pictures with a site, {} of them wrong",
                d.sites,
                d.pictures,
                d.wrong.len()
            );
            for (picture, why) in &d.wrong {
                let named = self.by_picture.get(*picture).map_or("", |p| &p.name);
                let _ = writeln!(t, "  wrong: picture {picture} {named}: {why}");
            }
        }
        let mut worst: Vec<&PictureScore> = self.by_picture.iter().collect();
        worst.sort_by(|a, b| a.pixel_accuracy.total_cmp(&b.pixel_accuracy));
        for p in worst.iter().take(WORST).filter(|p| !p.name.is_empty()) {
            let _ = writeln!(
                t,
                "worst: {} accuracy {:.3}, {:.1} % of it wrongly called landable",
                p.name,
                p.pixel_accuracy,
                100.0 * p.called_landable_wrongly
            );
        }
    }

    fn classes_into(&self, t: &mut String) {
        let _ = writeln!(
            t,
            "{:<14} {:>7} {:>7} {:>16}",
            "class", "share", "IoU", "called landable"
        );
        for c in self.classes.iter().filter(|c| c.share > 0.0) {
            let iou = c.iou.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
            let _ = writeln!(
                t,
                "{:<14} {:>6.2}% {iou:>7} {:>15.2}%",
                c.name,
                c.share * 100.0,
                c.called_landable * 100.0
            );
        }
    }
}
