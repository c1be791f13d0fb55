//! Arguments and exit codes of `alight-trainer`.

use std::process::ExitCode;

use alight_trainer::cli::Cli;
use alight_trainer::commands::run;
use alight_trainer::failure;
use clap::Parser as _;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{}", failure::words(&e));
            ExitCode::from(failure::exit_code(&e))
        }
    }
}
