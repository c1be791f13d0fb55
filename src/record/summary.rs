//! A whole run in one object: `summary.json`, and the counting that leads to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DecisionLine, OutcomeKind, RecordError, rounded};

/// How many skipped frames are named one by one; all are counted.
const NAMED_SKIPS: usize = 50;
/// How many warnings are kept word by word; all are counted.
const KEPT_WARNINGS: usize = 50;

/// What was run, on what, with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// alight's version.
    pub alight: String,
    /// The input, as the user named it.
    pub input: String,
    /// The network's name or file.
    pub model: String,
    /// SHA-256 of the network's file, hexadecimal.
    pub model_sha256: String,
    /// SHA-256 of the settings in force, hexadecimal.
    pub config_sha256: String,
}

impl Provenance {
    /// Writes it as `run.json` into a run's folder.
    ///
    /// # Errors
    /// `Write` when the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        let path = folder.join("run.json");
        serde_json::to_string_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&path, text + "\n"))
            .map_err(|e| RecordError::write(&path, e))
    }
}

/// A frame that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFrame {
    /// 0-based index in the source.
    pub seq: u64,
    /// File name, or the source's own name.
    pub source: String,
    /// Why, in plain words.
    pub reason: String,
}

/// The flight log that placed the frames.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TelemetryUse {
    /// The log, as the user named it.
    pub file: String,
    /// Its kind, in words.
    pub kind: String,
    /// What it covers, seconds from its start: first and last.
    pub covers_s: [f64; 2],
    /// Log time minus video time, seconds.
    pub offset_s: f64,
    /// How the two clocks were lined up.
    pub clocks: String,
    /// What the log does not say, and what was taken instead.
    pub assumed: Vec<String>,
    /// Frames that the log placed.
    pub placed: u64,
    /// Frames for which it holds nothing.
    pub not_placed: u64,
}

/// How a quantity was distributed over the frames that had it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Half of the values are at most this.
    pub p50: f64,
    /// 95 % of the values are at most this.
    pub p95: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Over the finite values of `values`, rounded to `decimals` places; `None` when there is none. Percentiles are by
    /// nearest rank.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>, decimals: i32) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
            sorted.get(rank - 1).map(|v| rounded(*v, decimals))
        };
        Some(Self {
            min: at(0.0)?,
            mean: rounded(sorted.iter().sum::<f64>() / sorted.len() as f64, decimals),
            p50: at(0.5)?,
            p95: at(0.95)?,
            max: at(1.0)?,
        })
    }
}

/// A run in one object: `summary.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// What was run, on what, with what.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The flight log, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetryUse>,
    /// Frames that got a decision.
    pub frames: u64,
    /// Frames that could not be used.
    pub skipped: u64,
    /// The first of the skipped frames, with their reasons.
    pub skipped_frames: Vec<SkippedFrame>,
    /// Decisions with outcome `site`.
    pub sites: u64,
    /// Decisions with outcome `hold`.
    pub holds: u64,
    /// Holds by reason.
    pub holds_by_reason: BTreeMap<String, u64>,
    /// Map cells rejected, by reason, over all frames.
    pub rejected: BTreeMap<String, u64>,
    /// How often the monitor gave each reason.
    pub monitor_reasons: BTreeMap<String, u64>,
    /// Milliseconds from a frame's arrival to its decision.
    pub latency_ms: Option<Spread>,
    /// Belief of the offered sites.
    pub belief: Option<Spread>,
    /// Clearance of the offered sites, metres.
    pub clearance_m: Option<Spread>,
    /// Seconds that the run took.
    pub elapsed_s: f64,
    /// How many warnings there were.
    pub warning_count: u64,
    /// The first of them.
    pub warnings: Vec<String>,
}

impl Summary {
    /// Writes it as indented JSON.
    ///
    /// # Errors
    /// `Write` when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        serde_json::to_string_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(path, text + "\n"))
            .map_err(|e| RecordError::write(path, e))
    }
}

/// Counts while a run goes on. Its memory grows by 24 bytes a frame, for the percentiles.
#[derive(Debug, Default)]
pub struct Tally {
    summary: Summary,
    latencies_ms: Vec<f64>,
    beliefs: Vec<f64>,
    clearances_m: Vec<f64>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(provenance: Provenance) -> Self {
        Self {
            summary: Summary {
                provenance,
                ..Summary::default()
            },
            ..Self::default()
        }
    }

    /// Counts a decided frame.
    pub fn decided(&mut self, line: &DecisionLine) {
        let s = &mut self.summary;
        s.frames += 1;
        self.latencies_ms.push(line.latency_ms);
        match line.outcome {
            OutcomeKind::Site => {
                s.sites += 1;
                if let Some(site) = &line.site {
                    self.beliefs.push(site.belief);
                    self.clearances_m.push(site.clearance_m);
                }
            }
            OutcomeKind::Hold => {
                s.holds += 1;
                let why = line.reason.as_deref().unwrap_or("no reason given");
                *s.holds_by_reason.entry(why.to_owned()).or_default() += 1;
            }
        }
        for (reason, cells) in &line.rejected {
            *s.rejected.entry(reason.clone()).or_default() += u64::from(*cells);
        }
        for reason in &line.monitor_reasons {
            *s.monitor_reasons.entry(reason.clone()).or_default() += 1;
        }
    }

    /// Counts a frame that could not be used.
    pub fn skipped(&mut self, frame: SkippedFrame) {
        self.summary.skipped += 1;
        if self.summary.skipped_frames.len() < NAMED_SKIPS {
            self.summary.skipped_frames.push(frame);
        }
    }

    /// Counts a warning.
    pub fn warned(&mut self, warning: String) {
        self.summary.warning_count += 1;
        if self.summary.warnings.len() < KEPT_WARNINGS {
            self.summary.warnings.push(warning);
        }
    }

    /// Notes the flight log that placed the frames.
    pub fn telemetry(&mut self, used: TelemetryUse) {
        self.summary.telemetry = Some(used);
    }

    /// Frames that got a decision so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.summary.frames
    }

    /// The summary of everything counted, for a run that took `elapsed`.
    #[must_use]
    pub fn finish(self, elapsed: Duration) -> Summary {
        Summary {
            latency_ms: Spread::of(self.latencies_ms, 3),
            belief: Spread::of(self.beliefs, 4),
            clearance_m: Spread::of(self.clearances_m, 3),
            elapsed_s: rounded(elapsed.as_secs_f64(), 3),
            ..self.summary
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::classes::Surface;
    use crate::record::{SiteLine, SiteStateKind};
    use rstest::rstest;

    fn line(outcome: OutcomeKind, latency_ms: f64, belief: f64) -> DecisionLine {
        DecisionLine {
            seq: 0,
            source: "a.png".into(),
            captured_at_s: 0.0,
            latency_ms,
            outcome,
            reason: (outcome == OutcomeKind::Hold).then(|| "monitor waits".into()),
            site: Some(SiteLine {
                id: 1,
                state: SiteStateKind::Confirmed,
                px: None,
                radius_px: 1.0,
                north_m: 0.0,
                east_m: 0.0,
                radius_m: 1.0,
                clearance_m: 2.0,
                surface: Surface::Firm,
                belief,
                confirmations: 1,
            }),
            alternates: Vec::new(),
            rejected: BTreeMap::from([("unknown".into(), 3)]),
            monitor: "WAIT".into(),
            monitor_reasons: vec!["motion".into()],
        }
    }

    #[rstest]
    #[case(&[5.0], [5.0, 5.0, 5.0, 5.0, 5.0])]
    #[case(&[4.0, 1.0, 3.0, 2.0], [1.0, 2.5, 2.0, 4.0, 4.0])]
    #[case(&[f64::NAN, 1.0, f64::INFINITY, 3.0], [1.0, 2.0, 1.0, 3.0, 3.0])]
    fn a_spread_takes_finite_values_by_nearest_rank(
        #[case] values: &[f64],
        #[case] want: [f64; 5],
    ) {
        let s = Spread::of(values.iter().copied(), 3).unwrap();
        assert_eq!(
            format!("{:?}", [s.min, s.mean, s.p50, s.p95, s.max]),
            format!("{want:?}")
        );
    }

    #[test]
    fn the_95th_of_a_hundred_leaves_five_above() {
        let s = Spread::of((1..=100).map(f64::from), 3).unwrap();
        assert_eq!(format!("{} {} {}", s.p50, s.p95, s.max), "50 95 100");
        assert!(Spread::of([f64::NAN], 3).is_none());
    }

    #[test]
    fn the_tally_counts_sites_holds_and_reasons() {
        let mut tally = Tally::new(Provenance::default());
        tally.decided(&line(OutcomeKind::Site, 10.0, 0.9));
        tally.decided(&line(OutcomeKind::Site, 20.0, 0.7));
        tally.decided(&line(OutcomeKind::Hold, 30.0, 0.1));
        let s = tally.finish(Duration::from_millis(1500));
        assert_eq!((s.frames, s.sites, s.holds), (3, 2, 1));
        assert_eq!(
            s.holds_by_reason,
            BTreeMap::from([("monitor waits".into(), 1)])
        );
        assert_eq!(s.rejected, BTreeMap::from([("unknown".into(), 9)]));
        assert_eq!(s.monitor_reasons, BTreeMap::from([("motion".into(), 3)]));
        // A watched site of a hold says nothing about what was offered.
        assert_eq!(s.belief.unwrap().mean.to_string(), "0.8");
        assert_eq!(s.latency_ms.unwrap().max.to_string(), "30");
        assert_eq!(s.elapsed_s.to_string(), "1.5");
    }

    #[test]
    fn a_flood_of_skips_and_warnings_is_counted_but_not_kept() {
        let mut tally = Tally::new(Provenance::default());
        for seq in 0..1000 {
            tally.skipped(SkippedFrame {
                seq,
                source: "a".into(),
                reason: "truncated".into(),
            });
            tally.warned(format!("warning {seq}"));
        }
        let s = tally.finish(Duration::ZERO);
        assert_eq!((s.skipped, s.warning_count), (1000, 1000));
        assert_eq!((s.skipped_frames.len(), s.warnings.len()), (50, 50));
    }

    #[test]
    fn a_summary_is_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let mut tally = Tally::new(Provenance {
            input: "in <put>".into(),
            ..Provenance::default()
        });
        tally.decided(&line(OutcomeKind::Hold, f64::NAN, f64::NAN));
        let summary = tally.finish(Duration::from_secs(2));
        summary.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"input\": \"in <put>\"") && text.contains("\"latency_ms\": null"));
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    }
}
