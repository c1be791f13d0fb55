//! `alight replay --telemetry`: what is read, how the clocks are lined up, what is said of what is missing, what is refused.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, GLOBAL_POSITION_INT_DATA, HEARTBEAT_DATA, LOCAL_POSITION_NED_DATA, MavAutopilot,
    MavMessage,
};
use mavlink::{MavHeader, MavlinkVersion};
use rstest::rstest;
use serde_json::Value;

use super::command_line::{Folder, alight, assert_exit, summary};

/// 10 s of a flight 20 m high.
fn tlog() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |t_ms: u32, message: MavMessage| {
        bytes.extend((1_700_000_000_000_000 + u64::from(t_ms) * 1000).to_be_bytes());
        let header = MavHeader {
            system_id: 1,
            component_id: 1,
            sequence: 0,
        };
        mavlink::write_versioned_msg(&mut bytes, MavlinkVersion::V2, header, &message).unwrap();
    };
    let heartbeat = HEARTBEAT_DATA {
        autopilot: MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
        ..HEARTBEAT_DATA::DEFAULT
    };
    add(0, MavMessage::HEARTBEAT(heartbeat));
    for t_ms in (0..=10_000).step_by(200) {
        let time_boot_ms = 60_000 + t_ms;
        let attitude = ATTITUDE_DATA {
            time_boot_ms,
            ..ATTITUDE_DATA::DEFAULT
        };
        let place = LOCAL_POSITION_NED_DATA {
            time_boot_ms,
            z: -20.0,
            ..LOCAL_POSITION_NED_DATA::DEFAULT
        };
        let height = GLOBAL_POSITION_INT_DATA {
            time_boot_ms,
            relative_alt: 20_000,
            ..GLOBAL_POSITION_INT_DATA::DEFAULT
        };
        add(t_ms, MavMessage::ATTITUDE(attitude));
        add(t_ms, MavMessage::LOCAL_POSITION_NED(place));
        add(t_ms, MavMessage::GLOBAL_POSITION_INT(height));
    }
    bytes
}

/// 10 s of subtitles.
fn srt(words: &str) -> Vec<u8> {
    let mut text = String::new();
    for i in 0..10 {
        let next = i + 1;
        writeln!(
            text,
            "{next}\n00:00:{i:02},000 --> 00:00:{next:02},000\n{words}\n"
        )
        .unwrap();
    }
    text.into_bytes()
}

/// Three pictures, a second apart, and a log beside them, under a name that says nothing.
struct Flight {
    pictures: Folder,
    log: String,
}

impl Flight {
    fn with(log: &[u8]) -> Self {
        let pictures = Folder::with_pictures(&["a.png", "b.png", "c.png"]);
        let file = pictures.dir.path().join("flight.dat");
        std::fs::write(&file, log).unwrap();
        Self {
            log: file.display().to_string(),
            pictures,
        }
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        let all = ["--telemetry", &self.log, "--hfov", "70", "--fps", "1"];
        self.pictures.run(&[&all[..], args].concat())
    }

    fn telemetry(&self) -> Value {
        summary(&self.pictures.out())["telemetry"].clone()
    }

    fn report(&self) -> String {
        std::fs::read_to_string(self.pictures.out().join("report.html")).unwrap()
    }
}

#[test]
fn a_log_places_the_frames_and_needs_no_height() {
    let f = Flight::with(&tlog());
    assert_exit(
        &f.run(&[]),
        0,
        &["start of the log = start of the pictures", "--offset"],
    );
    let t = f.telemetry();
    assert_eq!(t["kind"], "MAVLink log (.tlog)");
    assert_eq!((&t["placed"], &t["not_placed"]), (&3.into(), &0.into()));
    assert_eq!(
        (&t["offset_s"], &t["covers_s"]),
        (&0.0.into(), &serde_json::json!([0.0, 10.0]))
    );
    assert!(t["clocks"].as_str().unwrap().contains("a guess"), "{t}");
    assert!(
        f.report()
            .contains("start of the log = start of the pictures")
    );
}

#[test]
fn an_offset_moves_the_pictures_in_the_log_and_what_lies_outside_is_counted() {
    let f = Flight::with(&tlog());
    assert_exit(
        &f.run(&["--offset", "9.5"]),
        0,
        &["no pose in the flight log"],
    );
    let t = f.telemetry();
    assert_eq!((&t["placed"], &t["not_placed"]), (&1.into(), &2.into()));
    assert!(t["clocks"].as_str().unwrap().contains("--offset"), "{t}");
}

#[rstest]
#[case::after("100")]
#[case::before("-50")]
fn a_log_of_another_time_is_refused(#[case] offset: &str) {
    assert_exit(
        &Flight::with(&tlog()).run(&["--offset", offset]),
        2,
        &["flight.dat", "do not overlap", "--offset"],
    );
}

#[test]
fn subtitles_count_from_the_start_of_the_video_and_missing_attitude_is_said() {
    let f = Flight::with(&srt("GPS(2.1,41.4,19) BAROMETER:20.0"));
    assert_exit(&f.run(&[]), 0, &["level and straight down"]);
    let t = f.telemetry();
    assert_eq!(
        t["clocks"],
        "the subtitles count from the start of the video"
    );
    assert_eq!(t["placed"], 3);
    assert!(t["assumed"].to_string().contains("no attitude"), "{t}");
}

#[test]
fn without_a_height_in_the_log_one_must_be_given() {
    let f = Flight::with(&srt("[latitude: 41.4] [longitude: 2.1] [altitude: 117.0]"));
    assert_exit(
        &f.run(&[]),
        2,
        &["flight.dat", "no height", "--height METRES"],
    );
    assert_exit(
        &f.run(&["--height", "12"]),
        0,
        &["the height is 12 m, by --height"],
    );
    assert_eq!(f.telemetry()["placed"], 3);
}

#[test]
fn a_cut_log_is_used_with_a_warning() {
    let whole = tlog();
    let f = Flight::with(&whole[..whole.len() / 2 + 7]);
    assert_exit(&f.run(&[]), 0, &["could not be read"]);
    assert_eq!(f.telemetry()["placed"], 3);
    let warnings = summary(&f.pictures.out())["warnings"].to_string();
    assert!(warnings.contains("could not be read"), "{warnings}");
}

#[rstest]
#[case::empty(b"", "is empty")]
#[case::text(b"hello, this is no log at all\n", "not a telemetry log")]
#[case::picture(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a telemetry log")]
fn what_is_no_log_is_refused(#[case] bytes: &[u8], #[case] why: &str) {
    assert_exit(
        &Flight::with(bytes).run(&[]),
        2,
        &["flight.dat", why, "--telemetry"],
    );
}

#[test]
fn wrong_use_of_the_flags_is_refused() {
    let f = Flight::with(&tlog());
    assert_exit(&f.run(&["--offset", "inf"]), 2, &["--offset inf", "finite"]);
    let out = f.pictures.out().display().to_string();
    let without_pictures = ["replay", "--out", &out, "--telemetry", &f.log];
    assert_exit(&alight(&without_pictures), 2, &["SOURCE"]);
    let args = ["replay", &f.pictures.input(), "--out", &out];
    let nowhere = ["--telemetry", "/nowhere/x.tlog"];
    assert_exit(
        &alight(&[&args[..], &nowhere].concat()),
        2,
        &["/nowhere/x.tlog", "--telemetry"],
    );
}

fn real(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/logs")
        .join(name);
    if file.is_file() {
        return Some(file);
    }
    println!("note: ../shared/data/logs/{name} is not here: nothing was checked");
    None
}

#[rstest]
#[case("copter_guided_60m.tlog", ".tlog", &["--offset", "60"])]
#[case("copter_guided_auto_land.BIN", ".BIN", &["--offset", "100", "--height", "10"])]
#[case("copter_land_no_gps.BIN", ".BIN", &["--offset", "60", "--height", "10"])]
#[case("px4_small.ulg", ".ulg", &["--offset", "1", "--height", "10"])]
#[case("dji_mavic_air2.srt", ".srt", &["--fps", "10", "--height", "10"])]
#[case("dji_air2s.srt", ".srt", &["--fps", "10", "--height", "10"])]
#[case("dji_broken_incomplete.srt", ".srt", &["--offset", "5"])]
fn real_logs_place_pictures(#[case] name: &str, #[case] kind: &str, #[case] args: &[&str]) {
    let Some(log) = real(name) else {
        return;
    };
    let pictures = Folder::with_pictures(&["a.png", "b.png"]);
    let log = log.display().to_string();
    let output = pictures.run(&[&["--telemetry", &log, "--hfov", "70"], args].concat());
    assert_exit(&output, 0, &[name, "clocks"]);
    let t = summary(&pictures.out())["telemetry"].clone();
    println!("{t}");
    assert!(t["kind"].as_str().unwrap().contains(kind), "{t}");
    assert_eq!((&t["placed"], &t["not_placed"]), (&2.into(), &0.into()));
}
