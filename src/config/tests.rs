use super::*;
use crate::autopilot::supervisor::Authority;
use crate::camera::raw::RawFormat;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(text, Path::new("/etc/alight/alight.toml"))
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse("").unwrap(), Settings::default());
}

#[test]
fn the_installed_file_names_every_key_and_sets_the_defaults() {
    let text = include_str!("../../systemd/alight.toml");
    assert_eq!(parse(text).unwrap(), Settings::default());
    let mut full = RawConfig::default();
    full.model.file = Some("m".into());
    full.link.address = Some("tcp:a:1".parse().unwrap());
    full.link.system_id = Some(1);
    full.link.signing_key_file = Some("k".into());
    full.link.signing_time_file = Some("t".into());
    full.camera.source = Some(CameraSource::World);
    full.camera.format = Some(RawFormat::Nv12);
    full.camera.world = Some("w".into());
    full.camera.hfov_deg = Some(70.0);
    full.camera.calibration = Some("c".into());
    full.record.folder = Some("r".into());
    full.vehicle = VehicleConfig {
        radius_m: Some(0.5),
        margin_m: Some(0.5),
    };
    let written = toml::to_string(&full).unwrap();
    let keys: Vec<_> = written
        .lines()
        .map(|l| l.split(" = ").next().unwrap())
        .filter(|l| !l.is_empty())
        .collect();
    assert!(keys.len() > 80, "{}", keys.len());
    for key in keys {
        let is_named = text
            .lines()
            .any(|l| l == key || l.trim_start_matches("# ").starts_with(&format!("{key} = ")));
        assert!(is_named, "{key}");
    }
}

#[test]
fn short_and_long_forms_mean_the_same() {
    let short = parse(
        "mode = \"command\"\nlink = \"tcp:127.0.0.1:5762\"\n[vehicle]\nradius_m = 0.8\nmargin_m = 0.2",
    )
    .unwrap();
    let long = parse(
        "[mode]\nlevel = \"command\"\n[link]\naddress = \"tcp:127.0.0.1:5762\"\n[landing]\nvehicle_radius_m = 0.8\n\
         margin_m = 0.2",
    )
    .unwrap();
    assert_eq!(short.values.mode, Authority::Command);
    assert_eq!(short.values.supervisor, long.values.supervisor);
    assert_eq!(short.values.supervisor.mode, Authority::Command);
    assert_eq!(short.values.link, long.values.link);
    assert_eq!(short.values.landing, long.values.landing);
}

#[test]
fn paths_are_relative_to_the_file() {
    let s = parse("[model]\nfile = \"m.onnx\"\n[camera]\ncalibration = \"/abs/c.yaml\"").unwrap();
    assert_eq!(
        s.values.model.file.as_deref(),
        Some(Path::new("/etc/alight/m.onnx"))
    );
    assert_eq!(
        s.values.camera.calibration.as_deref(),
        Some(Path::new("/abs/c.yaml"))
    );
}

#[test]
fn only_an_explicit_threshold_overrides_the_manifest() {
    assert!(
        !parse("[landing.hazard]\npeople_floor_m = 4.0")
            .unwrap()
            .sets_landable_threshold
    );
    assert!(
        parse("[landing.hazard]\nlandable_threshold = 0.9")
            .unwrap()
            .sets_landable_threshold
    );
}

#[test]
fn errors_name_file_key_and_remedy() {
    for (text, parts) in [
        (
            "[landing]\nvehicle_radius = 1.0",
            [
                "landing",
                "vehicle_radius",
                "did you mean `vehicle_radius_m`",
            ],
        ),
        (
            "[landing.hazard]\npeople_floor_m = \"far\"",
            ["landing.hazard.people_floor_m", "string", "f64"],
        ),
        (
            "[landing]\nmargin_m = -1.0",
            ["landing.margin_m", "-1", "0..=10"],
        ),
        (
            "[camera]\nhfov_deg = 180.0",
            ["camera.hfov_deg", "180", "(1, 179)"],
        ),
        (
            "[camera]\nhfov_deg = 80.0\ncalibration = \"c.yaml\"",
            ["hfov_deg", "calibration", "both"],
        ),
        (
            "[modell]\n",
            ["modell", "unknown field", "did you mean `model`"],
        ),
        ("a = = 3", ["alight.toml", "TOML", "line 1"]),
    ] {
        assert_refused(text, parts);
    }
}

/// The message names the file and all of these.
fn assert_refused(text: &str, parts: [&str; 3]) {
    let message = parse(text).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part} in: {message}");
    }
    assert!(message.starts_with("/etc/alight/alight.toml"), "{message}");
}

#[test]
fn errors_of_the_service_name_file_key_and_remedy() {
    for (text, parts) in [
        (
            "link = \"tcp:127.0.0.1\"",
            ["link.address", "tcp:127.0.0.1", "write serial:DEVICE:BAUD"],
        ),
        (
            "mode = \"comand\"",
            ["`mode`", "comand", "did you mean `command`"],
        ),
        ("[mode]\nlvl = 1", ["`mode`", "lvl", "did you mean `level`"]),
        (
            "mode = \"assist\"\n[supervisor]\nmode = \"command\"",
            ["mode", "supervisor.mode", "differ"],
        ),
        (
            "[vehicle]\nradius_m = 1.0\n[landing]\nvehicle_radius_m = 2.0",
            ["vehicle.radius_m", "landing.vehicle_radius_m", "differ"],
        ),
        (
            "[camera]\nrate_hz = 0.0",
            ["camera.rate_hz", "0.5..=60", "the pictures a second"],
        ),
        (
            "[camera.mount]\nlever_arm_m = [0.0, nan, 0.0]",
            ["camera.mount.lever_arm_m", "NaN", "forward, right, down"],
        ),
        (
            "[supervisor.search]\nlook_s = 0.0",
            ["supervisor.search.look_s", "0", "1..=60"],
        ),
    ] {
        assert_refused(text, parts);
    }
}

#[test]
fn a_written_configuration_reads_back_the_same() {
    let text = toml::to_string(&RawConfig::default()).unwrap();
    assert_eq!(parse(&text).unwrap().values, RawConfig::default());
}
