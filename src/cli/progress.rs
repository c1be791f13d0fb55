//! Progress of long work: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::time::{Clock as _, MonoTime, SystemClock};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts steps towards a total that may be unknown. Writes to standard error.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    clock: SystemClock,
    last_line: MonoTime,
    plain: bool,
}

impl Progress {
    /// `what` is the plural noun of what is counted.
    #[must_use]
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() {
            "{bar:32} {pos}/{len} {msg} ({per_sec}, {eta} left)"
        } else {
            "{spinner} {pos} {msg} ({per_sec})"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let clock = SystemClock::start();
        Self {
            bar,
            what,
            last_line: clock.now(),
            clock,
            plain,
        }
    }

    /// One step done.
    pub(super) fn step(&mut self) {
        self.bar.inc(1);
        let now = self.clock.now();
        if self.plain && now.since(self.last_line) >= LINE_EVERY {
            self.last_line = now;
            let total = self
                .bar
                .length()
                .map_or_else(String::new, |n| format!(" of {n}"));
            log::info!("{}{total} {}", self.bar.position(), self.what);
        }
    }

    /// Clears the bar, so that results follow on a clean line.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
