//! Closed-loop flights: `flights.jsonl`, a line a flight.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::inference::classes::Surface;

/// How a flight ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlightResult {
    /// On the ground.
    Landed,
    /// It stays where it is, and said why.
    Held,
    /// Somebody else flies: the pilot, or the autopilot's own hold.
    HandedBack,
    /// It hit the ground too hard.
    Crashed,
    /// The time was over before it came to an end.
    Timeout,
}

impl FlightResult {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::Landed,
        Self::Held,
        Self::HandedBack,
        Self::Crashed,
        Self::Timeout,
    ];

    /// The word used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Held => "held",
            Self::HandedBack => "handed-back",
            Self::Crashed => "crashed",
            Self::Timeout => "timeout",
        }
    }
}

/// Where and in what weather it started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StartLine {
    /// Metres north of the world's origin.
    pub north_m: f64,
    /// Metres east of it.
    pub east_m: f64,
    /// Height above ground, metres.
    pub height_m: f64,
    /// Where the nose points, degrees clockwise from north.
    pub yaw_deg: f64,
    /// Mean wind, metres a second.
    pub wind_m_s: f64,
    /// Where the wind comes from, degrees clockwise from north.
    pub wind_from_deg: f64,
}

/// Where it came down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TouchdownLine {
    /// True place, metres north of the world's origin.
    pub north_m: f64,
    /// Metres east of it.
    pub east_m: f64,
    /// What the ground truly is there; the worst surface under the vehicle's disc.
    pub surface: Surface,
    /// Distance to the nearest ground that is not landable, or the world's edge, metres; at most 10.
    pub clear_radius_m: f64,
    /// Distance from the point that was chosen last, metres; `None` when none was chosen.
    pub miss_m: Option<f64>,
    /// Sinking speed at the ground, metres a second.
    pub sink_m_s: f64,
    /// Distance to the nearest person at that moment, metres; `None` when nobody was within 20 m.
    pub person_m: Option<f64>,
}

/// A fault as it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultLine {
    /// Its name.
    pub kind: String,
    /// When it began, seconds after the start; `None` when the flight ended before.
    pub at_s: Option<f64>,
    /// The phase in which it began.
    pub phase: Option<String>,
}

/// A takeover by the pilot, and how it was obeyed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakeoverLine {
    /// When the pilot acted, seconds after the start.
    pub at_s: f64,
    /// The phase at that moment.
    pub phase: String,
    /// `switch` or `sticks`.
    pub way: String,
    /// From the pilot's act to the arrival of the first message that shows it, milliseconds; `None` when none came.
    pub shown_ms: Option<f64>,
    /// From the pilot's act to the last thing that was commanded, milliseconds; 0 when nothing was.
    pub silent_ms: f64,
    /// Commands sent later than one control tick after that message: none is right.
    pub commands_after: u32,
}

/// Something that happened in a flight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Seconds after the start.
    pub at_s: f64,
    /// In plain words.
    pub text: String,
}

/// Where the vehicle was, for maps and charts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrackPoint {
    /// Seconds after the start.
    pub at_s: f64,
    /// True place, metres north of the world's origin.
    pub north_m: f64,
    /// Metres east of it.
    pub east_m: f64,
    /// Metres over the ground.
    pub height_m: f64,
    /// What alight was doing.
    pub phase: &'static str,
    /// The true place of the chosen site, metres north and east.
    pub site_m: Option<[f64; 2]>,
    /// Distance to the nearest person, metres across the ground; `None` when nobody is within 20 m.
    pub person_m: Option<f64>,
}

/// A flight: a line of `flights.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlightLine {
    /// Decides everything in it.
    pub seed: u64,
    /// `ardupilot` or `px4`.
    pub autopilot: String,
    /// Where it started.
    pub start: StartLine,
    /// How it ended.
    pub result: FlightResult,
    /// Whether it came down as it should; see the documentation of `alight sim`.
    pub success: bool,
    /// Why not, in plain words; `None` for a success.
    pub reason: Option<String>,
    /// Whether the world has a place to land at all: without one, holding is right.
    pub has_place: bool,
    /// Where it came down.
    pub touchdown: Option<TouchdownLine>,
    /// Shortest distance between the vehicle's middle and a person while it was below 10 m, metres; `None` when nobody
    /// was within 20 m.
    pub person_min_distance_m: Option<f64>,
    /// Frames that were decided on.
    pub decisions: u32,
    /// Of them: those that offered a site.
    pub site_decisions: u32,
    /// Of these: those whose disc covered ground that is not landable.
    pub false_safe_decisions: u32,
    /// Seconds from the start to the end.
    pub time_s: f64,
    /// Approaches and descents given up.
    pub aborts: u32,
    /// Changes to another site after an approach had begun.
    pub reroutes: u32,
    /// What went wrong on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultLine>,
    /// The pilot's takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<TakeoverLine>,
    /// What happened, for flights that were no success.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventLine>,
}

/// Writes `flights.jsonl`, a line as soon as a flight is over.
#[derive(Debug)]
pub struct FlightWriter {
    path: PathBuf,
    file: File,
}

impl FlightWriter {
    /// Starts a new file.
    ///
    /// # Errors
    /// `Write` when it cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(|e| RecordError::write(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Adds a flight.
    ///
    /// # Errors
    /// `Write` when the disk refuses.
    pub fn write(&mut self, line: &FlightLine) -> Result<(), RecordError> {
        serde_json::to_string(line)
            .map_err(std::io::Error::from)
            .and_then(|text| self.file.write_all((text + "\n").as_bytes()))
            .map_err(|e| RecordError::write(&self.path, e))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A flight that landed as it should.
    pub(crate) fn line(seed: u64) -> FlightLine {
        FlightLine {
            seed,
            autopilot: if seed.is_multiple_of(2) {
                "ardupilot"
            } else {
                "px4"
            }
            .to_owned(),
            start: StartLine::default(),
            result: FlightResult::Landed,
            success: true,
            reason: None,
            has_place: true,
            touchdown: Some(TouchdownLine {
                north_m: 1.0,
                east_m: 2.0,
                surface: Surface::Soft,
                clear_radius_m: 3.0,
                miss_m: Some(0.2),
                sink_m_s: 0.4,
                person_m: Some(9.0),
            }),
            person_min_distance_m: Some(8.0),
            decisions: 100,
            site_decisions: 60,
            false_safe_decisions: 1,
            time_s: 50.0,
            aborts: 0,
            reroutes: 0,
            faults: Vec::new(),
            takeover: None,
            events: Vec::new(),
        }
    }

    #[test]
    fn a_line_holds_the_contracts_keys_and_reads_back() {
        let text = serde_json::to_string(&line(4)).unwrap();
        for key in [
            "\"seed\":4",
            "\"autopilot\":\"ardupilot\"",
            "\"start\":{",
            "\"result\":\"landed\"",
            "\"success\":true",
            "\"touchdown\":{\"north_m\":1.0,\"east_m\":2.0,\"surface\":\"soft\",\"clear_radius_m\":3.0",
            "\"person_min_distance_m\":8.0",
            "\"false_safe_decisions\":1",
            "\"time_s\":50.0",
            "\"aborts\":0",
            "\"reroutes\":0",
        ] {
            assert!(text.contains(key), "{key} in {text}");
        }
        assert_eq!(serde_json::from_str::<FlightLine>(&text).unwrap(), line(4));
    }

    #[test]
    fn results_have_their_names() {
        for r in FlightResult::ALL {
            assert_eq!(
                serde_json::to_string(&r).unwrap(),
                format!("\"{}\"", r.name())
            );
        }
    }

    #[test]
    fn lines_are_on_disk_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flights.jsonl");
        let mut writer = FlightWriter::create(&path).unwrap();
        for seed in 0..3 {
            writer.write(&line(seed)).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count() as u64, seed + 1);
        }
        assert!(FlightWriter::create(&dir.path().join("no/such/flights.jsonl")).is_err());
    }
}
