//! How a command fails, and which exit code says so.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Bad arguments, or nothing usable in the input: exit code 2.
    Input(anyhow::Error),
    /// It failed while working: exit code 1.
    Working(anyhow::Error),
    /// A stage broke or hung in flight and the watchdog ended it: exit code 3.
    Watchdog(anyhow::Error),
}

impl Failure {
    /// For `map_err`: the request or its input is wrong.
    pub(super) fn input(e: impl Into<anyhow::Error>) -> Self {
        Self::Input(e.into())
    }

    /// For `map_err`: the work went wrong.
    pub(super) fn working(e: impl Into<anyhow::Error>) -> Self {
        Self::Working(e.into())
    }

    /// The contract's exit code.
    #[must_use]
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(2),
            Self::Working(_) => ExitCode::from(1),
            Self::Watchdog(_) => ExitCode::from(3),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(e) | Self::Working(e) | Self::Watchdog(e) => write!(f, "{e:#}"),
        }
    }
}
