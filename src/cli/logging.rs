//! The log, on standard error: plain lines for people, and lines with a priority for the journal of a service.

use std::env::var_os;
use std::io::Write as _;

use env_logger::{Builder, Env};
use log::Level;

/// Starts the log. `RUST_LOG` chooses what is said; without it, our own news and everybody's warnings.
pub(super) fn init() {
    let mut builder = Builder::from_env(Env::default().default_filter_or("warn,alight=info"));
    if var_os("JOURNAL_STREAM").is_some() {
        // The journal stamps the lines itself, and reads the priority before them (`sd-daemon(3)`).
        builder.format(|out, record| {
            let text = record.args().to_string();
            let priority = priority(record.level());
            text.lines()
                .try_for_each(|line| writeln!(out, "<{priority}>{line}"))
        });
    } else {
        builder.format_timestamp(None).format_target(false);
    }
    builder.init();
}

/// The syslog priority.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
