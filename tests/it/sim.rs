//! Closed-loop flights as a user starts them: a small campaign of what the large ones measure.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;
use serde_json::Value;

fn sim(out: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alight"))
        .args(["sim", "--segmenter", "noisy", "--out"])
        .arg(out)
        .args(args)
        .env("RUST_LOG", "error")
        .output()
        .unwrap()
}

/// The lines of `flights.jsonl`, in the order of their seeds.
fn flown(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("flights.jsonl")).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    lines.sort_by_key(|l| l["seed"].as_u64());
    lines
}

fn fly(args: &[&str]) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let output = sim(dir.path(), args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(dir.path().join("report.html").exists());
    assert!(dir.path().join("summary.json").exists());
    flown(dir.path())
}

#[test]
fn a_dozen_flights_land_well_and_never_on_water_roofs_or_vehicles() {
    let flights = fly(&["--flights", "12", "--seed", "200000"]);
    assert_eq!(flights.len(), 12);
    let autopilots: BTreeSet<_> = flights.iter().map(|f| f["autopilot"].to_string()).collect();
    assert_eq!(autopilots.len(), 2, "both autopilots fly");
    let good = flights.iter().filter(|f| f["success"] == true).count();
    assert!(good >= 11, "{good} of 12: {flights:#?}");
    for f in &flights {
        let surface = f["touchdown"]["surface"].as_str();
        let is_bad = |s| ["water", "structure", "vehicle", "person"].contains(&s);
        assert!(!surface.is_some_and(is_bad), "{f:#}");
        let is_told = f["success"] == true || f["reason"].is_string();
        assert!(is_told, "a failure without a reason: {f:#}");
    }
}

#[test]
fn a_seed_decides_a_flight_whatever_the_number_of_threads() {
    let args = |threads| ["--flights", "3", "--seed", "200020", "--threads", threads];
    assert_eq!(fly(&args("1")), fly(&args("3")));
}

#[test]
fn after_the_pilots_takeover_nothing_is_commanded() {
    let flights = fly(&[
        "--flights",
        "10",
        "--seed",
        "200040",
        "--faults",
        "takeover",
    ]);
    let taken: Vec<&Value> = flights
        .iter()
        .map(|f| &f["takeover"])
        .filter(|t| t.is_object())
        .collect();
    assert!(taken.len() >= 5, "{} takeovers", taken.len());
    for t in taken {
        assert_eq!(t["commands_after"], 0, "{t:#}");
    }
}

#[test]
fn faults_at_random_end_on_good_ground_or_with_a_reason() {
    for f in fly(&["--flights", "10", "--seed", "200060", "--faults", "random"]) {
        assert!(!f["faults"].as_array().unwrap().is_empty());
        assert_ne!(f["result"], "crashed", "{f:#}");
        assert!(f["success"] == true || f["reason"].is_string(), "{f:#}");
    }
}

#[rstest]
#[case::no_flights(&["--flights", "0"], "--flights")]
#[case::negative_flights(&["--flights", "-4"], "--flights")]
#[case::no_threads(&["--threads", "0"], "--threads")]
#[case::no_world(&["--world", "/nowhere/w.toml"], "/nowhere/w.toml")]
#[case::no_faults(&["--faults", "/nowhere/f.toml"], "/nowhere/f.toml")]
#[case::no_config(&["--config", "/nowhere/c.toml"], "/nowhere/c.toml")]
fn wrong_flags_end_with_2_and_are_named(#[case] args: &[&str], #[case] part: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = sim(dir.path(), args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn an_unknown_fault_is_refused_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.toml");
    std::fs::write(&file, "[[fault]]\nkind = \"camera-freze\"\nat_s = 2.0\n").unwrap();
    let output = sim(dir.path(), &["--faults", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("camera-freze") && said.contains("f.toml"),
        "{said}"
    );
}
