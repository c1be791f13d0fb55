//! `alight doctor`: is everything ready to fly?

mod board;
mod devices;

use std::path::PathBuf;

use anyhow::anyhow;

use super::{Failure, model};
use crate::autopilot::examine::{Finding, Grade};
use crate::autopilot::supervisor::Authority;

/// Checks everything before a flight, a line each: the network, the camera and its lens, the link and the autopilot behind
/// it with its parameters, and the board. It commands nothing, and sets nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight doctor --config /etc/alight/alight.toml

ok: as it should be. warn: it flies, and should be looked at. fail: it must not fly like this. The worst line decides the
exit code: 0 without a fail, 1 with one, 2 when the configuration itself is refused. The service must not run meanwhile:
two programs at one serial port take each other's bytes (systemctl stop alight).")]
pub(super) struct Args {
    /// Configuration (TOML); systemd/alight.toml holds every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How long the autopilot is listened for, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0)]
    listen: f64,
}

/// Runs it.
///
/// # Errors
/// Exit code 2: the configuration is wrong; 1: a check failed.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !(1.0..=120.0).contains(&args.listen) {
        return Err(Failure::Input(anyhow!(
            "--listen {}: must lie in 1..=120 seconds",
            args.listen
        )));
    }
    let settings = model::settings(Some(&args.config))?;
    let commands = settings.values.mode != Authority::Advise;
    let mut fails = 0;
    let mut tell = |found: Vec<Finding>| {
        for finding in found {
            fails += u32::from(finding.grade == Grade::Fail);
            line(&finding);
        }
    };
    tell(vec![Finding::new(
        Grade::Ok,
        "config",
        format!(
            "{}, mode {}",
            args.config.display(),
            format!("{:?}", settings.values.mode).to_lowercase()
        ),
    )]);
    tell(devices::network(&settings));
    tell(devices::lens(&settings.values.camera, commands));
    tell(devices::camera(&settings.values.camera));
    tell(devices::autopilot(&settings, args.listen, commands));
    tell(board::check(&settings));
    match fails {
        0 => Ok(()),
        1 => Err(Failure::Working(anyhow!("1 check failed"))),
        n => Err(Failure::Working(anyhow!("{n} checks failed"))),
    }
}

#[expect(clippy::print_stdout, reason = "the lines are what was asked for")]
fn line(finding: &Finding) {
    let grade = match finding.grade {
        Grade::Ok => "ok  ",
        Grade::Warn => "warn",
        Grade::Fail => "FAIL",
    };
    println!("{grade}  {:<18} {}", finding.subject, finding.text);
}
