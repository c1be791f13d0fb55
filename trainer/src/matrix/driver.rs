//! The command `matrix`: runs the jobs of one shard one after the other. A job that fails stops none of the others.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::job::{self, State};
use super::shard::{Shard, chosen};
use super::{Job, read};
use crate::cli::MatrixArgs;
use crate::failure::Working;

/// Does what the command line asks.
///
/// # Errors
/// When the matrix is wrong, the shard cannot be told, or a job failed: then all that failed are named.
pub fn run(args: &MatrixArgs) -> Result<()> {
    let jobs = read(&args.file)?;
    let shard = chosen(args.shard, args.shards, |name| std::env::var(name).ok())?;
    if args.list {
        for line in list(&jobs, shard, args)? {
            log::info!("{line}");
        }
        return Ok(());
    }
    ensure!(
        cfg!(feature = "libtorch"),
        "this build cannot train: build with `--features libtorch` and LIBTORCH set, see trainer/README.md; `--list` works all the same"
    );
    let program = std::env::current_exe().context("where this program lies cannot be told")?;
    let mine: Vec<&Job> = jobs
        .iter()
        .enumerate()
        .filter(|(i, _)| shard.holds(*i))
        .map(|(_, j)| j)
        .collect();
    log::info!("shard {shard}: {} of {} jobs", mine.len(), jobs.len());
    run_all(&mine, &program)
}

/// Runs jobs, and says of each what came of it.
fn run_all(jobs: &[&Job], program: &Path) -> Result<()> {
    let (mut failed, mut busy) = (Vec::new(), Vec::new());
    let attempt = |job: &Job, failed: &mut Vec<String>| -> bool {
        let name = &job.name;
        log::info!("{name}: begins, logs in {}", job.folder.display());
        match job::run(job, program) {
            Ok(State::Busy) => return true,
            Ok(State::Finished) => log::info!("{name}: finished before"),
            Ok(State::New | State::Interrupted) => log::info!("{name}: finished"),
            Err(e) => {
                log::error!("{name}: {e:#}");
                failed.push(name.clone());
            }
        }
        false
    };
    for job in jobs {
        if attempt(job, &mut failed) {
            busy.push(*job);
        }
    }
    // Another process may have looked at the lock for an instant only (`--list` does): ask once more.
    for job in busy {
        if attempt(job, &mut failed) {
            log::warn!("{}: another process is at it, left to that", job.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} of {} jobs failed: {}; start the same command again once the cause is mended, finished ones are skipped",
        failed.len(),
        jobs.len(),
        failed.join(", ")
    );
    Err(Working(text).into())
}

/// What would be done: the calls of the first job in full, then a line a job: its number, where it stands, its name.
fn list(jobs: &[Job], shard: Shard, args: &MatrixArgs) -> Result<Vec<String>> {
    let mine: Vec<(usize, &Job)> = jobs
        .iter()
        .enumerate()
        .filter(|(i, _)| shard.holds(*i))
        .collect();
    let mut lines = vec![format!(
        "shard {shard} of {}: {} of {} jobs; what is called for the first of them:",
        args.file.display(),
        mine.len(),
        jobs.len()
    )];
    let first = mine.first().map_or(&[][..], |(_, job)| &job.steps);
    lines.extend(first.iter().map(|s| format!("  {}", s.arguments.join(" "))));
    for (i, job) in mine {
        let state = job::state(job)?.text();
        lines.push(format!("{:>4}  {state:<11}  {}", i + 1, job.name));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Step;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    /// Writes a program that notes its words, and fails when one is `--encoder=lite2`, or a file `stop` lies beside it.
    fn program(folder: &Path) -> PathBuf {
        let path = folder.join("program");
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\necho working\ncase \"$*\" in *lite2*) echo no such encoder >&2; exit 3;; esac\n[ ! -e {0}/stop ]\n",
            folder.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn job(folder: &Path, name: &str, encoder: &str) -> Job {
        let step = |command: &str| Step {
            name: command.to_owned(),
            arguments: vec![command.to_owned(), format!("--encoder={encoder}")],
        };
        Job {
            name: name.to_owned(),
            folder: folder.join("out").join(name),
            steps: vec![step("train"), step("export")],
        }
    }

    fn calls(folder: &Path) -> Vec<String> {
        let text = fs::read_to_string(folder.join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_failed_job_stops_no_other_and_is_named_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        let jobs = [
            job(folder.path(), "a", "lite2"),
            job(folder.path(), "b", "lite0"),
        ];
        let text = run_all(&[&jobs[0], &jobs[1]], &program)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("1 of 2 jobs failed: a;"), "{text}");
        let text = format!("{:#}", job::run(&jobs[0], &program).unwrap_err());
        assert!(
            text.contains("out/a/train.log") && text.ends_with("its last line: no such encoder"),
            "{text}"
        );
        assert_eq!(job::state(&jobs[0]).unwrap(), State::Interrupted);
        assert_eq!(job::state(&jobs[1]).unwrap(), State::Finished);
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        let job = job(folder.path(), "a", "lite0");
        assert_eq!(job::state(&job).unwrap(), State::New);
        fs::write(folder.path().join("stop"), "").unwrap();
        assert!(job::run(&job, &program).is_err());
        assert_eq!(
            calls(folder.path()).len(),
            1,
            "the step after a failed one is not begun"
        );
        fs::remove_file(folder.path().join("stop")).unwrap();
        assert_eq!(job::run(&job, &program).unwrap(), State::Interrupted);
        let both = ["train", "train", "export"].map(|c| format!("{c} --encoder=lite0"));
        assert_eq!(calls(folder.path()), both);
        assert_eq!(job::run(&job, &program).unwrap(), State::Finished);
        assert_eq!(calls(folder.path()).len(), 3);
    }

    #[test]
    fn the_list_says_where_each_job_of_the_shard_stands() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        let jobs = ["a", "b", "c"].map(|name| job(folder.path(), name, "lite0"));
        run_all(&[&jobs[0]], &program).unwrap();
        let args = MatrixArgs {
            file: "m.toml".into(),
            shard: None,
            shards: None,
            list: true,
        };
        let lines = list(&jobs, "1/2".parse().unwrap(), &args).unwrap();
        assert_eq!(
            lines,
            [
                "shard 1/2 of m.toml: 2 of 3 jobs; what is called for the first of them:",
                "  train --encoder=lite0",
                "  export --encoder=lite0",
                "   1  finished     a",
                "   3  new          c",
            ]
        );
    }

    #[test]
    fn a_job_that_somebody_is_at_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        let job = job(folder.path(), "a", "lite0");
        fs::write(folder.path().join("stop"), "").unwrap();
        assert!(job::run(&job, &program).is_err());
        let held = fs::File::open(job.folder.join("lock")).unwrap();
        held.lock().unwrap();
        assert_eq!(job::state(&job).unwrap(), State::Busy);
        assert!(run_all(&[&job], &program).is_ok());
        assert_eq!(calls(folder.path()).len(), 1);
        drop(held);
        assert_eq!(job::state(&job).unwrap(), State::Interrupted);
    }

    #[test]
    fn a_folder_of_other_arguments_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        run_all(&[&job(folder.path(), "a", "lite0")], &program).unwrap();
        let text = job::run(&job(folder.path(), "a", "lite1"), &program)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("it has --encoder=lite0 --encoder=lite0, the matrix has --encoder=lite1"),
            "{text}"
        );
    }
}
