//! The folder of flights: one folder a run, numbered, and never more than a quota of them.
//!
//! Numbers, not dates: a board without a clock of its own starts each time in the same year. The oldest runs go when a new
//! one begins, and a run ends its files when it alone has filled the quota.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RecordError;

/// One run in the archive.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    number: u64,
    path: PathBuf,
    bytes: u64,
}

/// Makes the folder of a new run in `archive`, which is made if need be. Before that, the oldest runs are deleted until the
/// rest holds less than `quota` bytes. Only folders whose name is a number are runs; nothing else is touched.
///
/// # Errors
/// [`RecordError::Write`] with the path when the folder cannot be made; a run that cannot be deleted is only logged.
pub fn begin_run(archive: &Path, quota: u64) -> Result<PathBuf, RecordError> {
    let fails = |path: &Path| {
        let path = path.to_owned();
        move |source| RecordError::Write { path, source }
    };
    fs::create_dir_all(archive).map_err(fails(archive))?;
    let mut runs = runs(archive).map_err(fails(archive))?;
    runs.sort_by_key(|run| run.number);
    let next = runs
        .last()
        .map_or(0, |run| run.number.saturating_add(1))
        .max(1);
    let mut held: u64 = runs.iter().map(|run| run.bytes).sum();
    for run in &runs {
        if held < quota {
            break;
        }
        held -= run.bytes;
        match fs::remove_dir_all(&run.path) {
            Ok(()) => log::info!(
                "{}: deleted, the archive holds its quota",
                run.path.display()
            ),
            Err(e) => log::warn!("{}: cannot be deleted: {e}", run.path.display()),
        }
    }
    let path = archive.join(format!("{next:06}"));
    fs::create_dir(&path).map_err(fails(&path))?;
    Ok(path)
}

fn runs(archive: &Path) -> io::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(archive)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let Some(number) = number.and_then(|n| n.parse().ok()) else {
            continue;
        };
        if entry.file_type()?.is_dir() {
            let path = entry.path();
            runs.push(Run {
                number,
                bytes: size(&path),
                path,
            });
        }
    }
    Ok(runs)
}

/// Bytes in the files of a folder; what cannot be read counts as nothing.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|f| f.metadata().ok())
        .map(|m| m.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_numbered_and_the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("flights");
        for n in 1..=3 {
            let run = begin_run(&archive, 1000).unwrap();
            assert_eq!(run, archive.join(format!("00000{n}")));
            fs::write(run.join("decisions.jsonl"), vec![b'x'; 400]).unwrap();
        }
        fs::write(archive.join("notes.txt"), vec![b'x'; 5000]).unwrap();
        // 1200 bytes: the first goes.
        let run = begin_run(&archive, 1000).unwrap();
        assert_eq!(run, archive.join("000004"));
        let mut left: Vec<_> = fs::read_dir(&archive)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["000002", "000003", "000004", "notes.txt"]);
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let message = begin_run(&file.join("flights"), 1).unwrap_err().to_string();
        assert!(message.contains("file/flights"), "{message}");
    }
}
