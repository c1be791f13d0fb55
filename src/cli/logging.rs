//! The log, on standard error: plain lines for people, and lines with a priority for the journal of a service.

use std::env::var_os;
use std::io::Write as _;

use env_logger::{Builder, Env};
use log::Level;
use nix::sys::stat::fstat;

/// Starts the log. `RUST_LOG` chooses what is said; without it, our own news and everybody's warnings.
pub(super) fn init() {
    let mut builder = Builder::from_env(Env::default().default_filter_or("warn,alight=info"));
    if is_journal() {
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

/// Whether standard error is the journal's own stream: what a child of a service writes elsewhere is not (`systemd.exec(5)`).
fn is_journal() -> bool {
    let named = var_os("JOURNAL_STREAM");
    let own = fstat(std::io::stderr()).map(|s| format!("{}:{}", s.st_dev, s.st_ino));
    own.is_ok_and(|own| named.is_some_and(|named| named.to_str() == Some(&own)))
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
