//! The subcommands: what was typed -> what it means -> the library. The only room that prints.

mod bench;
mod doctor;
mod failure;
mod logging;
mod model;
mod output;
mod progress;
mod replay;
mod report;
mod run;
mod segment;
mod sim;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory as _, Parser, Subcommand};

use failure::Failure;

/// Finds the safest place to land a drone.
#[derive(Debug, Parser)]
#[command(name = "alight", version, about, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  alight replay --out out/demo
      replay a drawn flight: no camera, no drone, no set-up
  alight replay photos/ --height 25 --hfov 70 --out out/photos
      decide on every picture of a folder, taken 25 m above the ground
  alight segment picture.jpg --out out/masks
      what every pixel is
  alight sim --flights 20 --segmenter noisy --out out/flights
      land twenty times in simulation
  alight doctor --config /etc/alight/alight.toml
      is everything ready to fly?
  alight bench
      how fast this machine is

Exit codes: 0 done, 1 failed while working, 2 bad arguments or nothing usable in the input, 3 stopped by the watchdog.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Fly: the onboard service.
    Run(run::Args),
    /// Run the whole pipeline over a video, a folder of pictures, or a drawn flight.
    Replay(replay::Args),
    /// Say what every pixel of pictures is, as 8-bit masks.
    Segment(segment::Args),
    /// Fly closed-loop landings against a simulated autopilot.
    Sim(sim::Args),
    /// Write the HTML report of a flight that the service recorded.
    Report(report::Args),
    /// Check everything before a flight: network, camera, link, autopilot, board.
    Doctor(doctor::Args),
    /// Measure the latency of every stage on this machine.
    Bench(bench::Args),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Starts the log, parses the arguments, runs the command, reports a failure once, and chooses the exit code.
#[must_use]
pub fn main() -> ExitCode {
    logging::init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; if the terminal is gone there is nobody to tell.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Segment(args) => segment::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "alight", &mut std::io::stdout());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("alight: {failure}");
            failure.exit_code()
        }
    }
}

/// SIGINT or SIGTERM asks for the end; a second one does not ask.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(Failure::working)?;
    }
    Ok(stop)
}

/// SIGHUP asks for the settings to be read again. Where it means that the terminal is gone, it asks for the end.
fn hung_up(stop: &Arc<AtomicBool>) -> Result<Arc<AtomicBool>, Failure> {
    let flag = if std::io::stdin().is_terminal() {
        Arc::clone(stop)
    } else {
        Arc::default()
    };
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&flag))
        .map_err(Failure::working)?;
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
