//! What a flight came to, as it is written down.

use super::ear::Ear;
use super::{Flight, STEP, TICK_STEPS, Takeover, judge};
use crate::autopilot::supervisor::Reason;
use crate::landing::HoldReason;
use crate::record::{EventLine, FlightLine, FlightResult, StartLine, TakeoverLine, TrackPoint};
use crate::sim::autopilot::{Dialect, Truth};
use crate::sim::campaign::Start;
use crate::time::MonoTime;

/// A flight that is over.
#[derive(Debug, Clone)]
pub struct FlightRecord {
    /// What it came to.
    pub line: FlightLine,
    /// The way.
    pub track: Vec<TrackPoint>,
    /// What happened.
    pub events: Vec<EventLine>,
}

impl Flight<'_> {
    pub(super) fn result(&self, is_down: bool) -> FlightResult {
        let is_taken = self.takeover.is_some()
            || matches!(
                self.companion.reason(),
                Some(Reason::TakenOver(_) | Reason::SticksMoved)
            );
        if is_down {
            FlightResult::Landed
        } else if is_taken {
            FlightResult::HandedBack
        } else {
            FlightResult::Held
        }
    }

    pub(super) fn track_point(&self) -> TrackPoint {
        let p = self.autopilot.truth().position;
        TrackPoint {
            at_s: self.now.as_secs_f64(),
            north_m: p.north(),
            east_m: p.east(),
            height_m: -p.down(),
            phase: self.phase.text(),
            site_m: self.judge.chosen.map(|g| [g.north_m, g.east_m]),
            person_m: self.judge.person_m(p, self.now.as_secs_f64()),
        }
    }

    pub(super) fn record(self, result: FlightResult) -> FlightRecord {
        let truth: &Truth = self.autopilot.truth();
        let touchdown = truth.touchdown.map(|t| self.judge.touchdown(&t));
        let person = self.judge.person_min_m.map(hundredths);
        let mut line = FlightLine {
            seed: self.spec.seed,
            autopilot: dialect_name(self.spec.dialect).to_owned(),
            start: start_line(&self.spec.start),
            result,
            success: false,
            reason: None,
            has_place: self.spec.has_place,
            touchdown,
            person_min_distance_m: person,
            decisions: self.judge.decisions,
            site_decisions: self.judge.sites,
            false_safe_decisions: self.judge.false_safe,
            time_s: hundredths(self.now.as_secs_f64()),
            aborts: self.companion.tally().aborts,
            reroutes: self.companion.tally().reroutes,
            faults: self.trouble.lines(),
            takeover: self.takeover.as_ref().map(|t| takeover_line(t, &self.ear)),
            events: Vec::new(),
        };
        line.reason = self.failure(&line);
        line.success = line.reason.is_none();
        if !line.success {
            line.events.clone_from(&self.events);
        }
        FlightRecord {
            line,
            track: self.track,
            events: self.events,
        }
    }

    /// Why it is no success.
    fn failure(&self, line: &FlightLine) -> Option<String> {
        if let Some(t) = &line.touchdown {
            if line.result == FlightResult::Crashed {
                return Some(format!("hit the ground at {:.1} m/s", t.sink_m_s));
            }
            if !t.surface.is_landable() {
                return Some(format!("came down on {}", t.surface.name()));
            }
        }
        if let Some(d) = line.person_min_distance_m.filter(|d| *d < judge::PEOPLE_M) {
            return Some(format!("a person at {d:.2} m while below 10 m"));
        }
        if line.result == FlightResult::Landed {
            return None;
        }
        let gave_up = self.companion.reason().map_or("out of time", Reason::text);
        let hold = self.last_hold.map_or("", HoldReason::text);
        Some(format!(
            "{} ({gave_up}; last frame without a site: {hold})",
            line.result.name()
        ))
    }
}

/// The name used in files.
#[must_use]
pub const fn dialect_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ArduPilot => "ardupilot",
        Dialect::Px4 => "px4",
    }
}

fn takeover_line(t: &Takeover, ear: &Ear) -> TakeoverLine {
    let ms = |to: MonoTime| (to.secs_since(t.at) * 1e3).round();
    let tick = STEP * TICK_STEPS as u32;
    let after = t.shown_at.map_or(0, |shown| {
        ear.commands
            .iter()
            .filter(|at| at.since(shown) > tick)
            .count()
    });
    TakeoverLine {
        at_s: hundredths(t.at.as_secs_f64()),
        phase: t.phase.text().to_owned(),
        way: t.way.to_owned(),
        shown_ms: t.shown_at.map(ms),
        silent_ms: ear.commands.last().map_or(0.0, |last| ms(*last)),
        commands_after: after as u32,
    }
}

fn start_line(s: &Start) -> StartLine {
    StartLine {
        north_m: hundredths(s.north_m),
        east_m: hundredths(s.east_m),
        height_m: hundredths(s.height_m),
        yaw_deg: hundredths(s.yaw_rad.to_degrees()),
        wind_m_s: hundredths(s.wind_m_s),
        wind_from_deg: hundredths(s.wind_from_rad.to_degrees()),
    }
}

pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
