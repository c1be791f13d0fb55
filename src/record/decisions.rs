//! One line of `decisions.jsonl`, and its writer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RecordError, number_or_null, rounded};
use crate::inference::classes::Surface;
use crate::landing::{LandingDecision, Outcome, Site, SiteState};

/// `"site"` or `"hold"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// A confirmed site with the monitor's GO.
    Site,
    /// Anything else.
    Hold,
}

impl OutcomeKind {
    /// The word used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Hold => "hold",
        }
    }
}

/// `"candidate"` or `"confirmed"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteStateKind {
    /// Not yet seen often enough.
    Candidate,
    /// Seen M times in N looks.
    Confirmed,
}

impl SiteStateKind {
    /// The word used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A site, as written in a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteLine {
    /// The same as long as it is the same place.
    pub id: u32,
    /// Candidate or confirmed.
    pub state: SiteStateKind,
    /// Centre in the source picture, pixels; `null` outside the picture.
    pub px: Option<[f64; 2]>,
    /// Radius in the source picture, pixels: covers vehicle radius + margin.
    #[serde(deserialize_with = "number_or_null")]
    pub radius_px: f64,
    /// Centre, metres north of the map's origin.
    #[serde(deserialize_with = "number_or_null")]
    pub north_m: f64,
    /// Centre, metres east of the map's origin.
    #[serde(deserialize_with = "number_or_null")]
    pub east_m: f64,
    /// Vehicle radius + margin, metres.
    #[serde(deserialize_with = "number_or_null")]
    pub radius_m: f64,
    /// From the centre to the nearest buffered hazard, metres; `null` when there is none at all.
    #[serde(deserialize_with = "number_or_null")]
    pub clearance_m: f64,
    /// The commonest landable surface in the disc.
    pub surface: Surface,
    /// Mean probability that the disc is landable, 0 to 1.
    #[serde(deserialize_with = "number_or_null")]
    pub belief: f64,
    /// Looks that confirmed it.
    pub confirmations: u32,
}

impl From<&Site> for SiteLine {
    fn from(site: &Site) -> Self {
        Self {
            id: site.id,
            state: match site.state {
                SiteState::Candidate => SiteStateKind::Candidate,
                SiteState::Confirmed => SiteStateKind::Confirmed,
            },
            px: site
                .px
                .filter(|p| p.iter().all(|v| v.is_finite()))
                .map(|p| p.map(|v| rounded(v, 2))),
            radius_px: rounded(site.radius_px, 2),
            north_m: rounded(site.north_m, 3),
            east_m: rounded(site.east_m, 3),
            radius_m: rounded(site.radius_m, 3),
            clearance_m: rounded(site.clearance_m, 3),
            surface: site.surface,
            belief: rounded(site.belief, 4),
            confirmations: site.confirmations,
        }
    }
}

/// One frame's decision: a line of `decisions.jsonl`. The keys are a contract; they may be added to, never renamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionLine {
    /// 0-based index in the source; skipped frames count too.
    pub seq: u64,
    /// File name (folder), or the source's own name (video).
    pub source: String,
    /// Mid-exposure, seconds on the run's clock.
    #[serde(deserialize_with = "number_or_null")]
    pub captured_at_s: f64,
    /// From the frame's arrival to its decision, milliseconds.
    #[serde(deserialize_with = "number_or_null")]
    pub latency_ms: f64,
    /// Site or hold.
    pub outcome: OutcomeKind,
    /// Why hold; `null` for a site.
    pub reason: Option<String>,
    /// The site that is offered or watched.
    pub site: Option<SiteLine>,
    /// Next best places, kept apart.
    pub alternates: Vec<SiteLine>,
    /// Map cells rejected, by reason.
    pub rejected: BTreeMap<String, u32>,
    /// `"GO"`, `"WAIT"` or `"ABORT"`.
    pub monitor: String,
    /// Why the monitor did not say GO.
    pub monitor_reasons: Vec<String>,
}

impl DecisionLine {
    /// The line for `decision` on the frame called `source`, which took `latency` from arrival to decision.
    #[must_use]
    pub fn new(decision: &LandingDecision, source: &str, latency: Duration) -> Self {
        let (outcome, reason) = match decision.outcome {
            Outcome::Site => (OutcomeKind::Site, None),
            Outcome::Hold(why) => (OutcomeKind::Hold, Some(why.text().to_owned())),
        };
        Self {
            seq: decision.seq,
            source: source.to_owned(),
            captured_at_s: rounded(decision.captured_at.as_secs_f64(), 6),
            latency_ms: rounded(latency.as_secs_f64() * 1e3, 3),
            outcome,
            reason,
            site: decision.site.as_ref().map(SiteLine::from),
            alternates: decision.alternates.iter().map(SiteLine::from).collect(),
            rejected: decision
                .rejected
                .iter()
                .map(|(reason, cells)| (reason.key().to_owned(), cells))
                .collect(),
            monitor: decision.monitor.text().to_owned(),
            monitor_reasons: decision
                .monitor_reasons
                .iter()
                .map(|reason| reason.key().to_owned())
                .collect(),
        }
    }
}

/// Appends decisions to a file, each handed to the operating system as one whole line before `append` returns: if the
/// process dies, everything decided so far can be read.
#[derive(Debug)]
pub struct DecisionWriter {
    file: File,
    path: PathBuf,
    line: Vec<u8>,
}

impl DecisionWriter {
    /// Starts an empty file at `path`; what stood there before is gone.
    ///
    /// # Errors
    /// `Write` when the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        Ok(Self {
            file: File::create(path).map_err(|e| RecordError::write(path, e))?,
            path: path.to_owned(),
            line: Vec::with_capacity(4096),
        })
    }

    /// Writes one line; its length in bytes.
    ///
    /// # Errors
    /// `Write` when the disk refuses it.
    pub fn append(&mut self, decision: &DecisionLine) -> Result<usize, RecordError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, decision)
            .map_err(std::io::Error::from)
            .and_then(|()| {
                self.line.push(b'\n');
                self.file.write_all(&self.line)
            })
            .map_err(|e| RecordError::write(&self.path, e))?;
        Ok(self.line.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::{
        HoldReason, MonitorReason, MonitorReasons, RejectCounts, SiteReject, Verdict,
    };
    use crate::time::MonoTime;

    fn site() -> Site {
        Site {
            id: 7,
            state: SiteState::Confirmed,
            north_m: -3.161_592_65,
            east_m: 2.728_281_83,
            radius_m: 1.0,
            clearance_m: 2.345_67,
            surface: Surface::Soft,
            belief: 0.953_712_3,
            confirmations: 3,
            score: 1.25,
            px: Some([640.126, 359.874]),
            radius_px: 41.237_9,
        }
    }

    fn offered() -> LandingDecision {
        let mut rejected = RejectCounts::default();
        for reason in [
            SiteReject::NearPerson,
            SiteReject::NearPerson,
            SiteReject::Unknown,
        ] {
            rejected.add(reason);
        }
        LandingDecision {
            seq: 12,
            captured_at: MonoTime::from_secs_f64(0.4),
            outcome: Outcome::Site,
            site: Some(site()),
            alternates: vec![Site {
                id: 9,
                state: SiteState::Candidate,
                px: None,
                ..site()
            }],
            watched: None,
            rejected,
            monitor: Verdict::Go,
            monitor_reasons: MonitorReasons::default(),
        }
    }

    fn held() -> LandingDecision {
        let mut monitor_reasons = MonitorReasons::default();
        monitor_reasons.insert(MonitorReason::Motion);
        monitor_reasons.insert(MonitorReason::BlurredFrame);
        LandingDecision {
            outcome: Outcome::Hold(HoldReason::MonitorWait),
            site: None,
            alternates: Vec::new(),
            rejected: RejectCounts::default(),
            monitor: Verdict::Wait,
            monitor_reasons,
            ..offered()
        }
    }

    #[test]
    fn a_site_is_written_as_the_contract_says() {
        let line = DecisionLine::new(&offered(), "frame_012.jpg", Duration::from_micros(48_251));
        let golden = concat!(
            r#"{"seq":12,"source":"frame_012.jpg","captured_at_s":0.4,"latency_ms":48.251,"outcome":"site","reason":null,"#,
            r#""site":{"id":7,"state":"confirmed","px":[640.13,359.87],"radius_px":41.24,"north_m":-3.162,"east_m":2.728,"#,
            r#""radius_m":1.0,"clearance_m":2.346,"surface":"soft","belief":0.9537,"confirmations":3},"#,
            r#""alternates":[{"id":9,"state":"candidate","px":null,"radius_px":41.24,"north_m":-3.162,"east_m":2.728,"#,
            r#""radius_m":1.0,"clearance_m":2.346,"surface":"soft","belief":0.9537,"confirmations":3}],"#,
            r#""rejected":{"near_person":2,"unknown":1},"monitor":"GO","monitor_reasons":[]}"#,
        );
        assert_eq!(serde_json::to_string(&line).unwrap(), golden);
    }

    #[test]
    fn a_hold_is_written_as_the_contract_says() {
        let line = DecisionLine::new(&held(), "a.mp4", Duration::from_millis(30));
        let golden = concat!(
            r#"{"seq":12,"source":"a.mp4","captured_at_s":0.4,"latency_ms":30.0,"outcome":"hold","reason":"monitor waits","#,
            r#""site":null,"alternates":[],"rejected":{},"monitor":"WAIT","monitor_reasons":["blurred_frame","motion"]}"#,
        );
        assert_eq!(serde_json::to_string(&line).unwrap(), golden);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("decisions.jsonl");
        let lines = [offered(), held()]
            .map(|d| DecisionLine::new(&d, "odd \"name\"\n.png", Duration::from_millis(9)));
        let mut writer = DecisionWriter::create(&path).unwrap();
        for line in &lines {
            writer.append(line).unwrap();
        }
        // The writer still lives: each line must already be there.
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Vec<DecisionLine> = text
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(read, lines);
    }

    #[test]
    fn numbers_that_are_not_finite_become_null_and_come_back_as_not_a_number() {
        let mut decision = offered();
        decision.site = Some(Site {
            clearance_m: f64::INFINITY,
            belief: f64::NAN,
            px: Some([f64::NAN, 2.0]),
            ..site()
        });
        let text =
            serde_json::to_string(&DecisionLine::new(&decision, "x", Duration::ZERO)).unwrap();
        assert!(text.contains(r#""px":null"#) && text.contains(r#""clearance_m":null"#));
        assert!(!text.contains("NaN") && !text.contains("inf"));
        let back: DecisionLine = serde_json::from_str(&text).unwrap();
        let back = back.site.unwrap();
        assert!(back.clearance_m.is_nan() && back.belief.is_nan() && back.px.is_none());
    }

    #[test]
    fn a_missing_folder_is_named_with_a_remedy() {
        let path = Path::new("/nonexistent-folder/decisions.jsonl");
        let message = DecisionWriter::create(path).unwrap_err().to_string();
        assert!(message.contains("/nonexistent-folder/decisions.jsonl"));
        assert!(message.contains("check that the folder exists"));
    }

    #[test]
    fn rounding_leaves_huge_and_odd_numbers_alone() {
        assert_eq!(rounded(1.234_56, 3).to_string(), "1.235");
        assert_eq!(rounded(-0.000_4, 3).to_string(), "0");
        assert!(rounded(f64::NAN, 3).is_nan());
        assert!(rounded(f64::INFINITY, 3).is_infinite());
        assert!((rounded(1e300, 4) - 1e300).abs() < 1e290);
    }
}
