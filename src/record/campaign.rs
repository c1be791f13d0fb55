//! Many flights in one object: `summary.json` of `alight sim`, with 95 % intervals.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::flights::{FlightLine, FlightResult};
use super::{RecordError, Spread, rounded};
use crate::inference::classes::Surface;

/// Nobody may be nearer to the vehicle below 10 m, metres.
const NEAR_M: f64 = 2.0;

/// How many of how many, with the interval in which the true share lies with 95 % (Wilson).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// Their share.
    pub share: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Rate {
    /// Counts and interval; all shares are 0 of nothing, and the interval is then 0 to 1.
    #[must_use]
    pub fn new(count: u64, of: u64) -> Self {
        /// 97.5th percentile of the normal distribution.
        const Z: f64 = 1.959_964;
        if of == 0 {
            return Self {
                high: 1.0,
                ..Self::default()
            };
        }
        let (k, n) = (count as f64, of as f64);
        let p = k / n;
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        Self {
            count,
            of,
            share: rounded(p, 5),
            low: rounded(((middle - half) / whole).max(0.0), 5),
            high: rounded(((middle + half) / whole).min(1.0), 5),
        }
    }
}

/// What flew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CampaignProvenance {
    /// alight's version.
    pub alight: String,
    /// `network`, `noisy` or `truth`.
    pub segmenter: String,
    /// The network's name.
    pub model: String,
    /// SHA-256 of the network: the one that flew, or the one whose errors flew.
    pub model_sha256: String,
    /// SHA-256 of the settings in force.
    pub config_sha256: String,
    /// `drawn` or the world file.
    pub world: String,
    /// Seed of the first flight; the others follow.
    pub seed: u64,
    /// What went wrong on purpose: `none`, `random`, `takeover` or the fault file.
    pub faults: String,
}

/// The flights of one autopilot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DialectSummary {
    /// Flights over worlds with a place to land.
    pub success: Rate,
    /// Distance of the touch-downs from the chosen point, metres.
    pub miss_m: Option<Spread>,
    /// From the pilot's takeover to the last command, milliseconds.
    pub silent_ms: Option<Spread>,
    /// From the pilot's takeover to the first message that shows it, milliseconds.
    pub shown_ms: Option<Spread>,
}

/// A flight that was no success, by its seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Flies it again: `alight sim --flights 1 --seed S --autopilot A`.
    pub seed: u64,
    /// `ardupilot` or `px4`.
    pub autopilot: String,
    /// How it ended.
    pub result: FlightResult,
    /// Why.
    pub reason: String,
}

/// A campaign in one object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CampaignSummary {
    /// What flew.
    #[serde(flatten)]
    pub provenance: CampaignProvenance,
    /// Flights flown.
    pub flights: u64,
    /// Whether the campaign was stopped before its last flight.
    pub stopped: bool,
    /// Flights over worlds without any place to land: counted apart, holding is right there.
    pub without_place: u64,
    /// Of these: those that did not come down.
    pub without_place_held: u64,
    /// Successes among the flights over worlds with a place.
    pub success: Rate,
    /// How flights ended.
    pub results: BTreeMap<String, u64>,
    /// Touch-downs by the true surface under the vehicle.
    pub touchdown_surfaces: BTreeMap<String, u64>,
    /// Touch-downs on water, structures or vehicles.
    pub touchdown_on_danger: Rate,
    /// Touch-downs within 2 m of a person.
    pub touchdown_near_person: Rate,
    /// Flights during which a person was nearer than 2 m at any moment below 10 m.
    pub person_within_2m: Rate,
    /// Shortest distances to a person below 10 m, metres.
    pub person_min_distance_m: Option<Spread>,
    /// Decisions with outcome `site` whose disc covered ground that is not landable.
    pub false_safe_decisions: Rate,
    /// Time from start to end, seconds.
    pub time_s: Option<Spread>,
    /// Approaches and descents given up, over all flights.
    pub aborts: u64,
    /// Changes of the site after an approach had begun, over all flights.
    pub reroutes: u64,
    /// By autopilot.
    pub by_autopilot: BTreeMap<String, DialectSummary>,
    /// Faults that happened, by kind.
    pub faults_happened: BTreeMap<String, u64>,
    /// Flights in which a takeover happened and something was commanded later than one control tick after the first
    /// message that showed it.
    pub commanded_after_takeover: Option<Rate>,
    /// The flights that were no success (over worlds with a place), with their reasons; but for those that were given to the
    /// pilot as they should.
    pub failed: Vec<Failed>,
    /// The flights that ended because the pilot took over: handed back with nothing commanded after it, and nobody was near.
    /// No landing, and no failure.
    #[serde(default)]
    pub given_to_the_pilot: Vec<Failed>,
    /// Flight time over computing time of one core.
    pub real_time_factor_per_core: f64,
    /// Seconds that the campaign took.
    pub elapsed_s: f64,
    /// Threads that flew.
    pub threads: u64,
}

impl CampaignSummary {
    /// Sums flights up; the order of the lines does not matter.
    #[must_use]
    pub fn of(provenance: CampaignProvenance, lines: &[FlightLine]) -> Self {
        let mut s = Self {
            provenance,
            flights: lines.len() as u64,
            ..Self::default()
        };
        let with_place: Vec<&FlightLine> = lines.iter().filter(|l| l.has_place).collect();
        s.without_place = (lines.len() - with_place.len()) as u64;
        s.without_place_held = count(lines, |l| !l.has_place && l.touchdown.is_none());
        s.success = rate(&with_place, |l| l.success);
        for line in lines {
            *s.results.entry(line.result.name().to_owned()).or_default() += 1;
            if let Some(t) = &line.touchdown {
                *s.touchdown_surfaces
                    .entry(t.surface.name().to_owned())
                    .or_default() += 1;
            }
            for fault in line.faults.iter().filter(|f| f.at_s.is_some()) {
                *s.faults_happened.entry(fault.kind.clone()).or_default() += 1;
            }
            s.aborts += u64::from(line.aborts);
            s.reroutes += u64::from(line.reroutes);
        }
        s.touchdowns(lines);
        s.person_min_distance_m =
            Spread::of(lines.iter().filter_map(|l| l.person_min_distance_m), 2);
        s.person_within_2m = Rate::new(
            count(lines, |l| {
                l.person_min_distance_m.is_some_and(|d| d < NEAR_M)
            }),
            s.flights,
        );
        let total = |of: fn(&FlightLine) -> u32| lines.iter().map(|l| u64::from(of(l))).sum();
        s.false_safe_decisions = Rate::new(
            total(|l| l.false_safe_decisions),
            total(|l| l.site_decisions),
        );
        s.time_s = Spread::of(lines.iter().map(|l| l.time_s), 2);
        let taken = count(lines, |l| l.takeover.is_some());
        s.commanded_after_takeover = (taken > 0).then(|| {
            Rate::new(
                count(lines, |l| {
                    l.takeover.as_ref().is_some_and(|t| t.commands_after > 0)
                }),
                taken,
            )
        });
        s.by_dialect(&with_place);
        let ended = with_place.iter().filter(|l| !l.success);
        let (given, failures): (Vec<&FlightLine>, Vec<_>) = ended.partition(|l| is_given(l));
        s.failed = listed(&failures);
        s.given_to_the_pilot = listed(&given);
        s
    }

    fn by_dialect(&mut self, with_place: &[&FlightLine]) {
        for line in with_place {
            self.by_autopilot.entry(line.autopilot.clone()).or_default();
        }
        for (name, dialect) in &mut self.by_autopilot {
            let own = with_place.iter().copied().filter(|l| l.autopilot == *name);
            *dialect = of_dialect(&own.collect::<Vec<_>>());
        }
    }

    fn touchdowns(&mut self, lines: &[FlightLine]) {
        let landed: Vec<&FlightLine> = lines.iter().filter(|l| l.touchdown.is_some()).collect();
        let on_danger = |l: &FlightLine| {
            l.touchdown.is_some_and(|t| {
                matches!(
                    t.surface,
                    Surface::Water | Surface::Structure | Surface::Vehicle
                )
            })
        };
        self.touchdown_on_danger = rate(&landed, on_danger);
        self.touchdown_near_person = rate(&landed, |l| {
            let person_m = l.touchdown.and_then(|t| t.person_m);
            person_m.is_some_and(|d| d < NEAR_M)
        });
    }

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

fn of_dialect(own: &[&FlightLine]) -> DialectSummary {
    let takeovers = || own.iter().filter_map(|l| l.takeover.as_ref());
    DialectSummary {
        success: rate(own, |l| l.success),
        miss_m: Spread::of(own.iter().filter_map(|l| l.touchdown?.miss_m), 3),
        silent_ms: Spread::of(takeovers().map(|t| t.silent_ms), 0),
        shown_ms: Spread::of(takeovers().filter_map(|t| t.shown_ms), 0),
    }
}

/// Taken over and let go of, as it should be.
fn is_given(line: &FlightLine) -> bool {
    let is_near = line.person_min_distance_m.is_some_and(|d| d < NEAR_M);
    let is_silent = line
        .takeover
        .as_ref()
        .is_some_and(|t| t.commands_after == 0);
    line.result == FlightResult::HandedBack && is_silent && !is_near
}

/// In the order of their seeds.
fn listed(lines: &[&FlightLine]) -> Vec<Failed> {
    let mut list: Vec<Failed> = lines.iter().map(|l| failed(l)).collect();
    list.sort_by_key(|f| f.seed);
    list
}

fn failed(line: &FlightLine) -> Failed {
    Failed {
        seed: line.seed,
        autopilot: line.autopilot.clone(),
        result: line.result,
        reason: line
            .reason
            .clone()
            .unwrap_or_else(|| "no reason given".to_owned()),
    }
}

fn count(lines: &[FlightLine], passes: impl Fn(&FlightLine) -> bool) -> u64 {
    lines.iter().filter(|l| passes(l)).count() as u64
}

fn rate(lines: &[&FlightLine], passes: impl Fn(&FlightLine) -> bool) -> Rate {
    Rate::new(
        lines.iter().filter(|l| passes(l)).count() as u64,
        lines.len() as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::flights::tests::line;
    use crate::record::flights::{FaultLine, TakeoverLine};

    #[rstest::rstest]
    // Newcombe 1998, table I (81 of 263), and the closed form at the ends.
    #[case(81, 263, 0.2553, 0.3662)]
    #[case(15, 148, 0.0624, 0.1605)]
    #[case(0, 20, 0.0, 0.1611)]
    #[case(1, 29, 0.0061, 0.1718)]
    #[case(20, 20, 0.8389, 1.0)]
    fn the_interval_is_wilsons(
        #[case] k: u64,
        #[case] n: u64,
        #[case] low: f64,
        #[case] high: f64,
    ) {
        let rate = Rate::new(k, n);
        assert!(
            (rate.low - low).abs() < 1e-4 && (rate.high - high).abs() < 1e-4,
            "{rate:?}"
        );
    }

    #[test]
    fn nothing_of_nothing_says_nothing() {
        let rate = Rate::new(0, 0);
        assert_eq!((rate.low, rate.high), (0.0, 1.0));
    }

    #[test]
    fn worlds_without_a_place_count_apart() {
        let mut lines: Vec<FlightLine> = (0..10).map(line).collect();
        lines[0].success = false;
        lines[0].reason = Some("no safe patch in view".into());
        lines[0].result = FlightResult::Held;
        lines[0].touchdown = None;
        lines[1].has_place = false;
        lines[1].success = false;
        lines[1].touchdown = None;
        lines[1].result = FlightResult::Held;
        let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
        assert_eq!(
            (s.flights, s.without_place, s.without_place_held),
            (10, 1, 1)
        );
        assert_eq!((s.success.count, s.success.of), (8, 9));
        assert_eq!(s.results["held"], 2);
        assert_eq!(s.failed.len(), 1);
        assert_eq!(s.failed[0].reason, "no safe patch in view");
        assert_eq!(
            (s.false_safe_decisions.count, s.false_safe_decisions.of),
            (10, 600)
        );
    }

    #[test]
    fn the_dangers_are_counted() {
        let mut lines: Vec<FlightLine> = (0..4).map(line).collect();
        if let Some(t) = &mut lines[0].touchdown {
            t.surface = Surface::Water;
        }
        lines[1].person_min_distance_m = Some(1.9);
        lines[2].person_min_distance_m = Some(0.8);
        if let Some(t) = &mut lines[2].touchdown {
            t.person_m = Some(1.5);
        }
        lines[2].takeover = Some(TakeoverLine {
            at_s: 3.0,
            phase: "descending".into(),
            way: "switch".into(),
            shown_ms: Some(120.0),
            silent_ms: 90.0,
            commands_after: 1,
        });
        lines[3].faults = vec![FaultLine {
            kind: "blur".into(),
            at_s: Some(2.0),
            phase: None,
        }];
        let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
        assert_eq!(s.touchdown_on_danger.count, 1);
        assert_eq!(
            (s.touchdown_near_person.count, s.person_within_2m.count),
            (1, 2)
        );
        assert_eq!(s.commanded_after_takeover.unwrap().count, 1);
        assert_eq!(s.faults_happened["blur"], 1);
        assert_eq!(
            s.by_autopilot["ardupilot"]
                .silent_ms
                .unwrap()
                .max
                .to_string(),
            "90"
        );
        assert!(s.by_autopilot["px4"].silent_ms.is_none());
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        let lines: Vec<FlightLine> = (0..20).map(line).collect();
        let mut turned = lines.clone();
        turned.reverse();
        let p = CampaignProvenance::default;
        assert_eq!(
            CampaignSummary::of(p(), &lines),
            CampaignSummary::of(p(), &turned)
        );
    }

    #[test]
    fn what_was_given_to_the_pilot_is_no_failure_unless_something_went_wrong() {
        let taken = |seed: u64, commands_after: u32| FlightLine {
            success: false,
            result: FlightResult::HandedBack,
            reason: Some("handed-back (pilot took over)".into()),
            touchdown: None,
            takeover: Some(TakeoverLine {
                at_s: 3.0,
                phase: "descending".into(),
                way: "switch".into(),
                shown_ms: Some(120.0),
                silent_ms: 90.0,
                commands_after,
            }),
            ..line(seed)
        };
        let mut lines = vec![
            taken(7, 0),
            taken(3, 0),
            taken(4, 1),
            taken(5, 0),
            taken(6, 0),
        ];
        lines[3].person_min_distance_m = Some(1.5);
        lines[4].result = FlightResult::Crashed;
        lines.push(FlightLine {
            takeover: None,
            ..taken(8, 0)
        });
        let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
        let seeds = |list: &[Failed]| list.iter().map(|f| f.seed).collect::<Vec<_>>();
        assert_eq!(seeds(&s.given_to_the_pilot), [3, 7]);
        assert_eq!(seeds(&s.failed), [4, 5, 6, 8]);
    }
}
