//! `alight replay --telemetry`: flight logs beside pictures, as a user gives them. Runs the program itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, GLOBAL_POSITION_INT_DATA, HEARTBEAT_DATA, LOCAL_POSITION_NED_DATA, MavAutopilot,
    MavMessage,
};
use mavlink::{MavHeader, MavlinkVersion};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

/// 30 s of hovering 20 m over the take-off point, heading east.
fn tlog() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |t_ms: u64, message: MavMessage| {
        bytes.extend((1_700_000_000_000_000 + t_ms * 1000).to_be_bytes());
        let header = MavHeader {
            system_id: 1,
            component_id: 1,
            sequence: 0,
        };
        mavlink::write_versioned_msg(&mut bytes, MavlinkVersion::V2, header, &message).unwrap();
    };
    add(
        0,
        MavMessage::HEARTBEAT(HEARTBEAT_DATA {
            autopilot: MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
            ..HEARTBEAT_DATA::DEFAULT
        }),
    );
    for t_ms in (0..=30_000).step_by(250) {
        let time_boot_ms = 5000 + t_ms as u32;
        add(
            t_ms,
            MavMessage::ATTITUDE(ATTITUDE_DATA {
                time_boot_ms,
                yaw: std::f32::consts::FRAC_PI_2,
                ..ATTITUDE_DATA::DEFAULT
            }),
        );
        add(
            t_ms,
            MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA {
                time_boot_ms,
                x: 300.0,
                y: 40.0,
                z: -20.0,
                ..LOCAL_POSITION_NED_DATA::DEFAULT
            }),
        );
        add(
            t_ms,
            MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA {
                time_boot_ms,
                relative_alt: 20_000,
                ..GLOBAL_POSITION_INT_DATA::DEFAULT
            }),
        );
    }
    bytes
}

/// Subtitles of 20 s that say where, but not how high.
fn subtitles() -> Vec<u8> {
    (0..20)
        .map(|s| {
            let next = s + 1;
            format!(
                "{next}\n00:00:{s:02},000 --> 00:00:{next:02},000\n[focal_len : 240] [latitude: 41.42] [longitude: 2.23] [altitude: 117.0]\n\n"
            )
        })
        .collect::<Vec<_>>()
        .concat()
        .into_bytes()
}

/// Three pictures of a meadow, and a log.
struct Flight {
    dir: TempDir,
}

impl Flight {
    fn with_log(log: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        for i in 0..3_u32 {
            let meadow = RgbImage::from_fn(300, 200, |x, y| {
                let n = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ i)
                    .wrapping_mul(2_246_822_519)
                    >> 27;
                Rgb([60 + n as u8, 110 + n as u8, 50])
            });
            meadow.save(dir.path().join(format!("in/{i}.png"))).unwrap();
        }
        std::fs::write(dir.path().join("log"), log).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn replay(&self, args: &[&str]) -> Output {
        let (input, out, log) = (self.path("in"), self.path("out"), self.path("log"));
        let mut all = vec!["replay", &input, "--out", &out, "--telemetry", &log];
        all.extend(args);
        alight(&all)
    }

    fn summary(&self) -> Value {
        let text = std::fs::read_to_string(self.dir.path().join("out/summary.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn decisions(&self) -> Vec<Value> {
        std::fs::read_to_string(self.dir.path().join("out/decisions.jsonl"))
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }
}

fn alight(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alight"))
        .args(args)
        .env("RUST_LOG", "info")
        .output()
        .unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_tlog_places_every_picture_and_its_clock_is_told() {
    let flight = Flight::with_log(&tlog());
    let said = [
        "log time = video time +2.000 s, as given by --offset",
        "straight down",
    ];
    assert_exit(&flight.replay(&["--offset", "2", "--hfov", "70"]), 0, &said);
    let t = &flight.summary()["telemetry"];
    assert_eq!((&t["placed"], &t["not_placed"]), (&3.into(), &0.into()));
    assert_eq!(
        (&t["offset_s"], &t["covers_s"]),
        (&2.0.into(), &serde_json::json!([0.0, 30.0]))
    );
    assert!(t["clocks"].as_str().unwrap().contains("--offset"));
    assert!(t["assumed"][0].as_str().unwrap().contains("straight down"));
    let report = std::fs::read_to_string(flight.dir.path().join("out/report.html")).unwrap();
    assert!(report.contains("Flight log") && report.contains("as given by --offset"));
    // A site, if the network sees one, lies where the log says the vehicle was: 300 m north of the origin.
    for site in flight
        .decisions()
        .iter()
        .filter_map(|d| d["site"].as_object().cloned())
    {
        let (north, east) = (
            site["north_m"].as_f64().unwrap(),
            site["east_m"].as_f64().unwrap(),
        );
        assert!(
            (north - 300.0).abs() < 20.0 && (east - 40.0).abs() < 20.0,
            "{north} {east}"
        );
    }
}

#[test]
fn without_offset_and_time_of_day_start_is_start_and_called_a_guess() {
    let flight = Flight::with_log(&tlog());
    let said = [
        "start of the log = start of the pictures, a guess",
        "--offset",
    ];
    assert_exit(&flight.replay(&["--hfov", "70"]), 0, &said);
    let clocks = flight.summary()["telemetry"]["clocks"].clone();
    assert!(clocks.as_str().unwrap().contains("guess"));
}

#[test]
fn pictures_beyond_the_log_are_on_hold_and_counted() {
    let flight = Flight::with_log(&tlog());
    assert_exit(
        &flight.replay(&["--offset", "29", "--hfov", "70"]),
        0,
        &["no pose in the flight log"],
    );
    let t = &flight.summary()["telemetry"];
    assert_eq!((&t["placed"], &t["not_placed"]), (&2.into(), &1.into()));
    assert_eq!(flight.decisions()[2]["outcome"], "hold");
}

#[test]
fn a_log_without_height_asks_for_it_and_the_lens_comes_from_the_log() {
    let flight = Flight::with_log(&subtitles());
    assert_exit(
        &flight.replay(&[]),
        2,
        &["log", "no height above ground", "--height"],
    );
    let said = [
        "subtitles count from the start of the video",
        "no attitude in the log: level",
        "by --height",
    ];
    assert_exit(&flight.replay(&["--height", "25"]), 0, &said);
    let t = flight.summary()["telemetry"].clone();
    assert_eq!(t["placed"], 3);
    assert_eq!(t["offset_s"], 0.0);
}

#[test]
fn a_cut_log_is_used_with_a_warning() {
    let whole = tlog();
    let flight = Flight::with_log(&whole[..whole.len() - 10]);
    assert_exit(&flight.replay(&["--hfov", "70"]), 0, &["could not be read"]);
    assert!(flight.summary()["warning_count"].as_u64().unwrap() >= 1);
}

#[rstest]
#[case::empty(b"", &[], &["log", "is empty", "--telemetry"])]
#[case::text(b"no log at all", &[], &["log", "not a telemetry log", "--telemetry"])]
#[case::another_time(&tlog(), &["--offset", "1000"], &["do not overlap", "0.0 to 30.0", "1000.0 to 1002.0", "--offset"])]
#[case::before_the_log(&tlog(), &["--offset", "-50"], &["do not overlap", "--offset"])]
#[case::endless_offset(&tlog(), &["--offset", "inf"], &["--offset inf", "finite"])]
fn what_does_not_fit_ends_with_2_and_says_what_to_do(
    #[case] log: &[u8],
    #[case] args: &[&str],
    #[case] parts: &[&str],
) {
    let args = [&["--hfov", "70"], args].concat();
    assert_exit(&Flight::with_log(log).replay(&args), 2, parts);
}

#[test]
fn flags_that_need_each_other_say_so() {
    let flight = Flight::with_log(&[]);
    let (input, out, log) = (flight.path("in"), flight.path("out"), flight.path("log"));
    let no_log = alight(&["replay", &input, "--out", &out, "--offset", "1"]);
    assert_exit(&no_log, 2, &["--telemetry"]);
    let no_source = alight(&["replay", "--out", &out, "--telemetry", &log]);
    assert_exit(&no_source, 2, &["SOURCE"]);
    let missing = alight(&[
        "replay",
        &input,
        "--out",
        &out,
        "--telemetry",
        "/nowhere/a.tlog",
    ]);
    assert_exit(&missing, 2, &["/nowhere/a.tlog", "--telemetry"]);
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(path);
    if !path.exists() {
        println!("note: {} is not here: nothing was checked", path.display());
        return None;
    }
    Some(path)
}

#[rstest]
#[case("copter_guided_60m.tlog", &["--offset", "100"], "straight down")]
#[case("copter_guided_auto_land.BIN", &["--offset", "150"], "straight down")]
#[case("copter_land_no_gps.BIN", &["--offset", "60"], "no position in the log")]
#[case("px4_small.ulg", &["--height", "10"], "no position in the log")]
#[case("dji_mavic_air2.srt", &["--height", "10", "--fps", "10"], "no attitude in the log")]
#[case("dji_air2s.srt", &["--height", "10", "--fps", "10"], "no attitude in the log")]
#[case("dji_broken_incomplete.srt", &["--offset", "3"], "no attitude in the log")]
fn real_logs_place_pictures(#[case] name: &str, #[case] args: &[&str], #[case] assumed: &str) {
    let Some(log) = shared(&format!("logs/{name}")) else {
        return;
    };
    let flight = Flight::with_log(&std::fs::read(log).unwrap());
    let args = [args, &["--hfov", "70"]].concat();
    assert_exit(&flight.replay(&args), 0, &[assumed]);
    let t = &flight.summary()["telemetry"];
    assert_eq!((&t["placed"], &t["not_placed"]), (&3.into(), &0.into()));
}
