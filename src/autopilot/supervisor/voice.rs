//! What the ground hears: texts on change only, numbers once a second.

use std::fmt;

use crate::autopilot::commands::{Command, Notice, Severity};
use crate::geometry::GroundPoint;
use crate::landing::{HoldReason, Outcome};
use crate::time::MonoTime;

use super::facts::Facts;
use super::target::Target;
use super::{Commands, Health, Phase};

/// Least time between two texts of advice, seconds.
const ADVICE_PERIOD_S: f64 = 2.0;
/// Time between two rounds of numbers, seconds.
const NUMBERS_PERIOD_S: f64 = 1.0;

/// What a step orders: what moves the vehicle before what is only said.
#[derive(Debug, Default)]
pub(super) struct Orders {
    controls: Commands,
    words: Commands,
}

impl Orders {
    /// Something that moves the vehicle.
    pub(super) fn control(&mut self, command: Command) {
        self.controls.push(command);
    }

    /// A text for the ground.
    pub(super) fn say(&mut self, severity: Severity, text: fmt::Arguments<'_>) {
        self.words.push(Command::Say(severity, Notice::new(text)));
    }

    fn number(&mut self, name: &'static str, value: f64) {
        self.words.push(Command::Number(name, value as f32));
    }

    /// All of it, in the order to be sent.
    pub(super) fn finish(self) -> Commands {
        let mut all = self.controls;
        for word in self.words.iter() {
            all.push(*word);
        }
        all
    }
}

/// What the advice was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    Site(u32),
    Hold(HoldReason),
}

/// Remembers what was said.
#[derive(Debug, Default)]
pub(super) struct Voice {
    advice: Option<(Advice, MonoTime)>,
    /// Since all stages were well for the first time: what the ground knows of them.
    health: Option<Health>,
    numbers_at: Option<(MonoTime, Option<Phase>)>,
}

impl Voice {
    /// What the landing stage offers, while nothing is under way.
    pub(super) fn advise(&mut self, f: &Facts<'_>, orders: &mut Orders) {
        let Some(brief) = f.brief else {
            return;
        };
        let (advice, site) = match (brief.outcome, brief.site) {
            (Outcome::Site, Some(site)) => (Advice::Site(site.id), Some(site)),
            (Outcome::Site, None) => return,
            (Outcome::Hold(reason), _) => (Advice::Hold(reason), None),
        };
        let is_news = self
            .advice
            .is_none_or(|(last, at)| last != advice && f.now.secs_since(at) >= ADVICE_PERIOD_S);
        if !is_news {
            return;
        }
        self.advice = Some((advice, f.now));
        match (advice, site) {
            (_, Some(site)) => orders.say(
                Severity::Info,
                format_args!(
                    "alight: site N{:.1} E{:.1} m, {:.1} m clear, belief {:.2}",
                    site.north_m, site.east_m, site.clearance_m, site.belief
                ),
            ),
            (Advice::Hold(reason), None) => {
                orders.say(
                    Severity::Info,
                    format_args!("alight: no site: {}", reason.text()),
                );
            }
            (Advice::Site(_), None) => {}
        }
    }

    /// A stage that stops working, and that works again, while nothing is under way: else it is a reason to hold, and said as
    /// such. That one has not begun yet is no news.
    pub(super) fn report_health(&mut self, health: Health, orders: &mut Orders) {
        let known = match self.health {
            None if health == Health::Good => health,
            None => return,
            Some(known) => known,
        };
        match (known, health) {
            (Health::Good, Health::Faulted(stage)) => orders.say(
                Severity::Error,
                format_args!("alight: out of work: {stage} brings nothing"),
            ),
            (Health::Faulted(stage), Health::Good) => orders.say(
                Severity::Notice,
                format_args!("alight: works again: {stage} is back"),
            ),
            _ => {}
        }
        self.health = Some(health);
    }

    /// State, belief and clearance as named numbers.
    pub(super) fn count(
        &mut self,
        phase: Phase,
        target: Option<&Target>,
        f: &Facts<'_>,
        orders: &mut Orders,
    ) {
        let is_due = self.numbers_at.is_none_or(|(at, last)| {
            last != Some(phase) || f.now.secs_since(at) >= NUMBERS_PERIOD_S
        });
        if !is_due {
            return;
        }
        self.numbers_at = Some((f.now, Some(phase)));
        let offered = f.brief.and_then(|b| b.site);
        let (belief, clearance_m) = match (target, offered) {
            (Some(t), _) => (t.belief, t.clearance_m),
            (None, Some(s)) => (s.belief, s.clearance_m),
            (None, None) => (0.0, 0.0),
        };
        orders.number("al_state", f64::from(phase as u8));
        orders.number("al_belief", belief);
        orders.number("al_clear", clearance_m);
    }
}

/// "N12.3 E-4.5".
pub(super) struct At(pub(super) GroundPoint);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "N{:.1} E{:.1}", self.0.north_m, self.0.east_m)
    }
}
