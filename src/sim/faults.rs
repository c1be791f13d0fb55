//! What goes wrong in a flight, and when: a script (TOML), or drawn from the seed.
//!
//! ```toml
//! [[fault]]
//! kind = "camera-freeze"     # see Kind
//! after = "descending"       # the delay runs from the first moment of this stage; "engaged" if left out
//! at_s = [2.0, 6.0]          # seconds after it: a number, or two between which the flight's seed chooses
//! duration_s = 3.0           # where the fault ends by itself; each kind has its usual length
//! size = 10.0                # metres of a GPS jump, m/s of a gust, pixels of blur; each kind has its usual size
//! ```

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The camera gives the same picture again and again.
    CameraFreeze,
    /// Black pictures.
    BlackFrames,
    /// Pictures out of focus; `size` is the blur in pixels.
    Blur,
    /// No pictures.
    FrameLoss,
    /// Nothing from the autopilot arrives; what alight sends does.
    TelemetryLoss,
    /// Nothing passes in either direction.
    LinkCut,
    /// The autopilot starts again in the air.
    AutopilotReboot,
    /// The position jumps, `size` metres.
    GpsJump,
    /// The range sensor gives nothing.
    RangeFailure,
    /// The battery is low.
    BatteryLow,
    /// A gust, `size` metres a second.
    WindGust,
    /// Somebody walks onto the chosen site and stays.
    PersonWalksIn,
    /// The pilot takes over, by the mode switch or by the sticks.
    PilotTakeover,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::CameraFreeze,
        Self::BlackFrames,
        Self::Blur,
        Self::FrameLoss,
        Self::TelemetryLoss,
        Self::LinkCut,
        Self::AutopilotReboot,
        Self::GpsJump,
        Self::RangeFailure,
        Self::BatteryLow,
        Self::WindGust,
        Self::PersonWalksIn,
        Self::PilotTakeover,
    ];

    /// The name used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CameraFreeze => "camera-freeze",
            Self::BlackFrames => "black-frames",
            Self::Blur => "blur",
            Self::FrameLoss => "frame-loss",
            Self::TelemetryLoss => "telemetry-loss",
            Self::LinkCut => "link-cut",
            Self::AutopilotReboot => "autopilot-reboot",
            Self::GpsJump => "gps-jump",
            Self::RangeFailure => "range-failure",
            Self::BatteryLow => "battery-low",
            Self::WindGust => "wind-gust",
            Self::PersonWalksIn => "person-walks-in",
            Self::PilotTakeover => "pilot-takeover",
        }
    }

    /// Usual length, seconds, and size.
    const fn usual(self) -> (f64, f64) {
        match self {
            Self::CameraFreeze | Self::BlackFrames | Self::FrameLoss => (4.0, 0.0),
            Self::Blur => (4.0, 8.0),
            Self::TelemetryLoss | Self::LinkCut => (3.0, 0.0),
            Self::GpsJump => (0.0, 12.0),
            Self::RangeFailure => (15.0, 0.0),
            Self::WindGust => (4.0, 6.0),
            Self::AutopilotReboot
            | Self::BatteryLow
            | Self::PersonWalksIn
            | Self::PilotTakeover => (0.0, 0.0),
        }
    }
}

/// From which moment the delay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The landing was asked for.
    #[default]
    Engaged,
    /// It looks for a site.
    Searching,
    /// It flies over the site.
    Approaching,
    /// It goes down.
    Descending,
    /// It is below the commit height.
    Committed,
}

/// A moment, or a span in which the seed chooses one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Moment {
    At(f64),
    Between([f64; 2]),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: Kind,
    #[serde(default)]
    after: Stage,
    at_s: Moment,
    duration_s: Option<f64>,
    size: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Entry>,
}

/// A fault with everything drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// From when on the delay runs.
    pub after: Stage,
    /// The delay, seconds.
    pub delay_s: f64,
    /// How long, seconds; 0 where it does not end or has no length.
    pub duration_s: f64,
    /// Its size, in the kind's own unit.
    pub size: f64,
    /// Which of the kind's ways (sticks or switch, from which side), drawn from the seed.
    pub way: u32,
}

/// Which faults the flights of a campaign have.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultPlan {
    /// None.
    None,
    /// One or two of all kinds, at any moment.
    Random,
    /// One takeover by the pilot, at any moment.
    Takeover,
    /// What a file says.
    Script(Script),
}

/// A fault file.
#[derive(Debug, Clone, PartialEq)]
pub struct Script(Vec<Entry>);

/// Why a fault file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; give --faults a TOML file, `random` or `takeover`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key is wrong.
    #[error("{}: `{key}`: {reason}; `alight sim --help` shows a fault file", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl FaultPlan {
    /// `random`, `takeover`, or a file.
    ///
    /// # Errors
    /// When the file cannot be read, or a key is unknown or out of range.
    pub fn open(given: &Path) -> Result<Self, FaultError> {
        match given.to_str() {
            Some("random") => return Ok(Self::Random),
            Some("takeover") => return Ok(Self::Takeover),
            _ => {}
        }
        let text = std::fs::read_to_string(given).map_err(|source| FaultError::Read {
            path: given.to_owned(),
            source,
        })?;
        Self::parse(&text, given)
    }

    /// A fault file's text; `path` is only for messages.
    ///
    /// # Errors
    /// When a key is unknown or out of range.
    pub fn parse(text: &str, path: &Path) -> Result<Self, FaultError> {
        let refuse = |key: String, reason: String| FaultError::Key {
            path: path.to_owned(),
            key,
            reason: reason.trim_end().to_owned(),
        };
        let document = toml::Deserializer::parse(text)
            .map_err(|e| refuse("TOML".to_owned(), e.to_string()))?;
        let file: File = serde_path_to_error::deserialize(document)
            .map_err(|e| refuse(e.path().to_string(), e.inner().message().to_owned()))?;
        for (i, entry) in file.fault.iter().enumerate() {
            check(entry).map_err(|(key, reason)| refuse(format!("fault[{i}].{key}"), reason))?;
        }
        Ok(Self::Script(Script(file.fault)))
    }

    /// The faults of the flight with this seed.
    #[must_use]
    pub fn draw(&self, seed: u64) -> Vec<Fault> {
        let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0xfa17_0000_0000_0000);
        match self {
            Self::None => Vec::new(),
            Self::Script(Script(entries)) => entries.iter().map(|e| drawn(e, &mut dice)).collect(),
            Self::Takeover => vec![random(Kind::PilotTakeover, &mut dice)],
            Self::Random => {
                let count = 1 + below(&mut dice, 10) / 7;
                (0..count)
                    .filter_map(|_| {
                        let i = below(&mut dice, Kind::ALL.len() as u32) as usize;
                        Kind::ALL.get(i).map(|kind| random(*kind, &mut dice))
                    })
                    .collect()
            }
        }
    }
}

fn check(entry: &Entry) -> Result<(), (&'static str, String)> {
    let is_time = |v: f64| (0.0..=3600.0).contains(&v);
    let fits = match entry.at_s {
        Moment::At(at) => is_time(at),
        Moment::Between([low, high]) => is_time(low) && is_time(high) && low <= high,
    };
    if !fits {
        return Err((
            "at_s",
            "must be 0 to 3600 seconds, or two such numbers, the smaller first".to_owned(),
        ));
    }
    if let Some(d) = entry.duration_s
        && !is_time(d)
    {
        return Err(("duration_s", format!("{d} is outside 0..=3600 seconds")));
    }
    if let Some(s) = entry.size
        && !(0.0..=1000.0).contains(&s)
    {
        return Err(("size", format!("{s} is outside 0..=1000")));
    }
    Ok(())
}

fn drawn(entry: &Entry, dice: &mut ChaCha8Rng) -> Fault {
    let (duration_s, size) = entry.kind.usual();
    let delay_s = match entry.at_s {
        Moment::At(at) => at,
        Moment::Between([low, high]) => low + (high - low) * unit(dice),
    };
    Fault {
        kind: entry.kind,
        after: entry.after,
        delay_s,
        duration_s: entry.duration_s.unwrap_or(duration_s),
        size: entry.size.unwrap_or(size),
        way: below(dice, 1 << 16),
    }
}

/// A fault of this kind at any moment of a flight.
fn random(kind: Kind, dice: &mut ChaCha8Rng) -> Fault {
    let (after, longest_s) = match below(dice, 5) {
        0 => (Stage::Engaged, 40.0),
        1 => (Stage::Searching, 6.0),
        2 => (Stage::Approaching, 6.0),
        3 => (Stage::Descending, 20.0),
        _ => (Stage::Committed, 6.0),
    };
    let (duration_s, size) = kind.usual();
    Fault {
        kind,
        after,
        delay_s: longest_s * unit(dice),
        duration_s: duration_s * (0.5 + 1.5 * unit(dice)),
        size: size * (0.5 + unit(dice)),
        way: below(dice, 1 << 16),
    }
}

fn unit(dice: &mut ChaCha8Rng) -> f64 {
    f64::from(dice.next_u32()) / 4_294_967_296.0
}

fn below(dice: &mut ChaCha8Rng, n: u32) -> u32 {
    ((u64::from(dice.next_u32()) * u64::from(n)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[fault]]\nkind = \"gps-jump\"\nafter = \"descending\"\nat_s = [2.0, 6.0]\nsize = 20.0\n\
                        [[fault]]\nkind = \"link-cut\"\nat_s = 3.0\n";

    fn parse(text: &str) -> Result<FaultPlan, FaultError> {
        FaultPlan::parse(text, Path::new("f.toml"))
    }

    #[test]
    fn a_script_is_drawn_inside_its_spans_and_the_same_for_a_seed() {
        let plan = parse(GOOD).unwrap();
        let mut delays = Vec::new();
        for seed in 0..50 {
            let faults = plan.draw(seed);
            assert_eq!(faults, plan.draw(seed));
            let [jump, cut] = faults[..] else {
                panic!("{faults:?}");
            };
            assert_eq!((jump.kind, jump.after), (Kind::GpsJump, Stage::Descending));
            assert!((2.0..=6.0).contains(&jump.delay_s));
            assert_eq!((jump.size, cut.delay_s, cut.duration_s), (20.0, 3.0, 3.0));
            assert_eq!(cut.after, Stage::Engaged);
            delays.push(jump.delay_s);
        }
        delays.sort_by(f64::total_cmp);
        assert!(delays[49] - delays[0] > 2.0, "the seed chooses");
    }

    #[rstest::rstest]
    #[case("gps-jump", "gps-hop", "fault[0].kind")]
    #[case("descending", "falling", "fault[0].after")]
    #[case("[2.0, 6.0]", "[6.0, 2.0]", "fault[0].at_s")]
    #[case("at_s = 3.0", "at_s = -3.0", "fault[1].at_s")]
    #[case("at_s = 3.0", "", "at_s")]
    #[case("size = 20.0", "size = nan", "fault[0].size")]
    #[case("size = 20.0", "sice = 20.0", "sice")]
    #[case("[[fault]]\nkind = \"link", "[[fault\nkind = \"link", "TOML")]
    fn a_bad_script_is_refused_by_file_and_key(
        #[case] from: &str,
        #[case] to: &str,
        #[case] named: &str,
    ) {
        assert!(GOOD.contains(from));
        let message = parse(&GOOD.replace(from, to)).unwrap_err().to_string();
        assert!(
            message.contains(named) && message.contains("f.toml"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_file_is_named_with_the_built_in_plans() {
        let message = FaultPlan::open(Path::new("no/such.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("no/such.toml") && message.contains("random"),
            "{message}"
        );
        assert_eq!(
            FaultPlan::open(Path::new("random")).unwrap(),
            FaultPlan::Random
        );
    }

    #[test]
    fn random_faults_come_in_all_kinds_and_stages() {
        let all: Vec<Fault> = (0..400)
            .flat_map(|seed| FaultPlan::Random.draw(seed))
            .collect();
        assert!((400..=800).contains(&all.len()));
        for kind in Kind::ALL {
            let of_kind = all.iter().filter(|f| f.kind == kind).count();
            assert!(of_kind > 15, "{}: {of_kind}", kind.name());
        }
        for stage in [
            Stage::Engaged,
            Stage::Searching,
            Stage::Approaching,
            Stage::Descending,
            Stage::Committed,
        ] {
            assert!(
                all.iter().filter(|f| f.after == stage).count() > 50,
                "{stage:?}"
            );
        }
        assert!(FaultPlan::None.draw(1).is_empty());
        assert_eq!(FaultPlan::Takeover.draw(9)[0].kind, Kind::PilotTakeover);
    }

    #[test]
    fn names_in_files_and_in_code_agree() {
        for kind in Kind::ALL {
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("\"{}\"", kind.name())
            );
        }
    }
}
