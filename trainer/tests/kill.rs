//! A run that is killed again and again ends where an undisturbed one does.
//!
//! Needs the feature `libtorch` and the ImageNet weights in `../shared/data/weights`; says so and passes without them.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use alight_trainer::parameters;

/// When the run is killed, milliseconds after its start: while it starts, and while it trains.
const KILLS: [u64; 6] = [150, 400, 700, 1000, 1400, 2000];

fn trainer(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alight-trainer"));
    command
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end, which must be a good one; what it said.
fn run(folder: &Path, arguments: &str) -> String {
    let output = trainer(folder, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    said
}

fn kill_after(mut child: Child, milliseconds: u64) {
    let (_keep, nobody) = sync_channel::<()>(0);
    let waited = nobody.recv_timeout(Duration::from_millis(milliseconds));
    assert!(waited.is_err(), "nobody sends");
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_where_an_undisturbed_one_does() {
    let weights = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/weights/efficientnet_lite0_imagenet.safetensors");
    let Ok(weights) = weights.canonicalize() else {
        println!("no ../shared/data/weights: nothing to check");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(
        folder,
        "prepare --drawn 16 --width 96 --height 64 --out cache",
    );
    run(
        folder,
        "split --cache cache --share 0.25 --threshold 0.05 --out fold.json",
    );
    let train = |to: &str, more: &str| {
        format!(
            "train --cache cache --fold fold.json --pretrained {} --run {to} --height 64 --width 96 --batch 4 --epochs 4 \
             --look-every 2 --device cpu --threads 1 --full-precision {more}",
            weights.display()
        )
    };
    run(folder, &train("whole", ""));
    run(folder, &train("killed", "--stop-after 1"));
    let checkpoint = folder.join("killed/checkpoint.safetensors");
    for milliseconds in KILLS {
        let child = trainer(folder, &train("killed", "")).spawn().unwrap();
        kill_after(child, milliseconds);
        parameters::read(&checkpoint).unwrap();
    }
    let said = run(folder, &train("killed", ""));
    assert!(said.contains("going on after epoch"), "{said}");
    let ends = ["whole", "killed"].map(|run| {
        let last = folder.join(run).join("last.safetensors");
        parameters::read(&last).unwrap()
    });
    assert!(ends[0] == ends[1], "other parameters, or other scores");
}
