//! Which exit code a failure ends with, as in `alight`: 2 for what the caller can mend (flags, files, data), 1 for what failed while
//! working on good input.

use std::io::ErrorKind;

/// Work on good input failed: a loss that is no number, a device that is full.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Working(pub String);

/// What the system says when there is no room left.
const FULL: [ErrorKind; 3] = [
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::FileTooLarge,
];

/// Whether the disk had no room left.
#[must_use]
pub fn is_disk_full(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|c| {
        c.downcast_ref::<std::io::Error>()
            .is_some_and(|e| FULL.contains(&e.kind()))
    })
}

/// Whether the memory, a GPU's or the machine's, was too small.
fn is_memory_full(error: &anyhow::Error) -> bool {
    format!("{error:#}")
        .to_lowercase()
        .contains("out of memory")
}

/// 1 where work failed ([`Working`], a full disk or memory), else 2.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if is_disk_full(error) || is_memory_full(error) || error.downcast_ref::<Working>().is_some() {
        1
    } else {
        2
    }
}

/// The failure in words, with what to do where the disk is full.
#[must_use]
pub fn words(error: &anyhow::Error) -> String {
    let advice = if is_disk_full(error) {
        "; what was written before is whole: free some space and start the same command again"
    } else {
        ""
    };
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some errors say their cause themselves.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text + advice
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, Error, anyhow};

    use super::*;

    #[test]
    fn bad_input_is_told_from_work_that_failed() {
        let missing = Error::from(std::io::Error::from(ErrorKind::NotFound)).context("a list");
        assert_eq!(exit_code(&missing), 2);
        assert_eq!(exit_code(&anyhow!("--batch 0")), 2);
        let memory = anyhow!("CUDA out of memory. Tried to allocate 2.00 GiB");
        assert_eq!(exit_code(&memory), 1);
        let loss = Err::<(), _>(Working("the loss is NaN".into())).context("run a");
        assert_eq!(exit_code(&loss.unwrap_err()), 1);
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let full = crate::parameters::ParameterError::Io {
            path: "checkpoint".into(),
            source: full,
        };
        let full = Error::from(full).context("epoch 3");
        assert_eq!(exit_code(&full), 1);
        let text = words(&full);
        assert!(text.starts_with("epoch 3: checkpoint: ") && text.contains("free some space"));
        assert_eq!(text.matches("storage").count(), 1, "{text}");
        assert!(!words(&missing).contains("free some space"));
    }
}
