//! What a user types and gets: exit codes, messages, files. Runs the program itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

fn alight(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alight"))
        .args(args)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "exit {:?}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn assert_exit(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    for part in parts {
        assert!(
            text(output).contains(part),
            "no `{part}` in {}",
            text(output)
        );
    }
    assert!(!text(output).contains("panicked"), "{}", text(output));
}

/// Green with a texture, so that it is neither black nor blurred.
fn meadow(seed: u32) -> RgbImage {
    RgbImage::from_fn(300, 200, |x, y| {
        let n = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ seed)
            .wrapping_mul(2_246_822_519)
            >> 27;
        Rgb([60 + n as u8, 110 + n as u8, 50])
    })
}

struct Folder {
    dir: TempDir,
}

impl Folder {
    fn with_pictures(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        for (i, name) in names.iter().enumerate() {
            meadow(i as u32)
                .save(dir.path().join("in").join(name))
                .unwrap();
        }
        Self { dir }
    }

    fn input(&self) -> String {
        self.dir.path().join("in").display().to_string()
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn run(&self, args: &[&str]) -> Output {
        let (input, out) = (self.input(), self.out().display().to_string());
        let mut all = vec!["replay", input.as_str(), "--out", out.as_str()];
        all.extend(args);
        alight(&all)
    }
}

fn lines(out: &Path) -> Vec<Value> {
    std::fs::read_to_string(out.join("decisions.jsonl"))
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn summary(out: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap()
}

#[rstest]
#[case::negative_height(&["--height", "-3", "--hfov", "70"], &["--height -3", "above 0"])]
#[case::zero_height(&["--height", "0", "--hfov", "70"], &["--height 0", "above 0"])]
#[case::endless_height(&["--height", "inf", "--hfov", "70"], &["--height inf", "finite"])]
#[case::nan_height(&["--height", "NaN", "--hfov", "70"], &["--height NaN", "above 0"])]
#[case::negative_hfov(&["--height", "10", "--hfov", "-70"], &["--hfov -70", "between 1 and 179"])]
#[case::wide_hfov(&["--height", "10", "--hfov", "179"], &["--hfov 179", "between 1 and 179"])]
#[case::nan_hfov(&["--height", "10", "--hfov", "nan"], &["--hfov NaN", "between 1 and 179"])]
#[case::no_looks(&["--height", "10", "--hfov", "70", "--looks", "0"], &["--looks 0", "1..=100"])]
#[case::negative_looks(&["--height", "10", "--hfov", "70", "--looks", "-2"], &["--looks -2", "1..=100"])]
#[case::no_rate(&["--height", "10", "--hfov", "70", "--fps", "0"], &["--fps 0", "above 0"])]
#[case::no_height(&["--hfov", "70"], &["--height"])]
#[case::no_hfov(&["--height", "10"], &["--hfov"])]
#[case::no_config(&["--config", "/nowhere/c.toml"], &["/nowhere/c.toml", "--config"])]
#[case::no_model(&["--height", "10", "--hfov", "70", "--model", "/nowhere/m.onnx"], &["/nowhere/m.onnx", "--model"])]
#[case::unknown_flag(&["--hight", "10"], &["--hight", "--height"])]
fn wrong_flags_end_with_2_and_say_what_to_do(#[case] args: &[&str], #[case] parts: &[&str]) {
    assert_exit(&Folder::with_pictures(&["a.png"]).run(args), 2, parts);
}

#[test]
fn a_folder_without_a_picture_is_refused() {
    let f = Folder::with_pictures(&[]);
    assert_exit(
        &f.run(&["--height", "10", "--hfov", "70"]),
        2,
        &[&f.input(), "picture"],
    );
    std::fs::write(Path::new(&f.input()).join("a.jpg"), b"not a picture").unwrap();
    assert_exit(&f.run(&["--height", "10", "--hfov", "70"]), 2, &["a"]);
}

#[test]
fn a_missing_source_is_named() {
    let out = tempfile::tempdir().unwrap();
    let output = alight(&[
        "replay",
        "/nowhere/pictures",
        "--out",
        &out.path().display().to_string(),
    ]);
    assert_exit(&output, 2, &["/nowhere/pictures"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work() {
    let f = Folder::with_pictures(&["a.png"]);
    std::fs::write(f.out(), b"a file stands where the folder should be").unwrap();
    assert_exit(
        &f.run(&["--height", "10", "--hfov", "70"]),
        2,
        &["--out", &f.out().display().to_string()],
    );
}

#[test]
fn a_truncated_picture_is_counted_and_the_rest_is_used() {
    let f = Folder::with_pictures(&["a.jpg", "b.jpg", "c.png"]);
    let broken = Path::new(&f.input()).join("b.jpg");
    let bytes = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &bytes[..bytes.len() / 3]).unwrap();
    assert_exit(&f.run(&["--height", "10", "--hfov", "70"]), 0, &["b.jpg"]);
    let seqs: Vec<u64> = lines(&f.out())
        .iter()
        .map(|l| l["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [0, 2], "skipped frames keep their number");
    let s = summary(&f.out());
    assert_eq!(
        (&s["frames"], &s["skipped"]),
        (&Value::from(2), &Value::from(1))
    );
    assert_eq!(s["skipped_frames"][0]["source"], "b.jpg");
    for file in [
        "report.html",
        "overlay/000000_a.jpg",
        "overlay/000002_c.jpg",
    ] {
        assert!(f.out().join(file).metadata().unwrap().len() > 500, "{file}");
    }
}

#[test]
fn decisions_keep_the_contract() {
    let f = Folder::with_pictures(&["a.png", "b.png"]);
    assert_exit(
        &f.run(&["--height", "10", "--hfov", "70", "--fps", "4"]),
        0,
        &[],
    );
    let all = lines(&f.out());
    assert_eq!(all[1]["captured_at_s"], 0.25);
    for line in &all {
        for key in [
            "seq",
            "source",
            "captured_at_s",
            "latency_ms",
            "outcome",
            "reason",
            "site",
            "alternates",
            "rejected",
            "monitor",
            "monitor_reasons",
        ] {
            assert!(line.get(key).is_some(), "{key} in {line}");
        }
        match line["outcome"].as_str().unwrap() {
            "site" => assert!(
                line["reason"].is_null()
                    && line["site"]["state"] == "confirmed"
                    && line["monitor"] == "GO"
            ),
            "hold" => assert!(line["reason"].is_string()),
            other => panic!("outcome {other}"),
        }
    }
}

#[test]
fn the_same_input_gives_the_same_decisions() {
    let runs: Vec<Vec<Value>> = (0..2)
        .map(|_| {
            let f = Folder::with_pictures(&["a.png", "b.png", "c.png"]);
            assert_exit(&f.run(&["--height", "12", "--hfov", "80"]), 0, &[]);
            let mut all = lines(&f.out());
            // Time on the machine's clock is the one thing that may differ.
            for line in &mut all {
                line["latency_ms"] = Value::Null;
            }
            all
        })
        .collect();
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn segment_writes_masks_of_the_pictures_own_size() {
    let f = Folder::with_pictures(&["a.png"]);
    let out = f.out().display().to_string();
    assert_exit(&alight(&["segment", &f.input(), "--out", &out]), 0, &[]);
    for name in ["a.png", "a.landable.png"] {
        let mask = image::open(f.out().join(name)).unwrap();
        assert_eq!(
            (mask.width(), mask.height(), mask.color()),
            (300, 200, image::ColorType::L8),
            "{name}"
        );
    }
    let classes = image::open(f.out().join("a.png")).unwrap().to_luma8();
    assert!(classes.pixels().all(|p| p.0[0] < 24));
}

#[test]
fn a_network_without_its_manifest_or_with_anothers_is_refused() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let dir = tempfile::tempdir().unwrap();
    let onnx = dir.path().join("landing.onnx");
    std::fs::copy(models.join("landing.onnx"), &onnx).unwrap();
    let f = Folder::with_pictures(&["a.png"]);
    let model = onnx.display().to_string();
    let args = ["--height", "10", "--hfov", "70", "--model", &model];
    assert_exit(&f.run(&args), 2, &["landing.toml"]);
    let manifest = std::fs::read_to_string(models.join("landing.toml")).unwrap();
    for (from, to, said) in [
        ("sha256 = \"", "sha256 = \"00", "SHA-256"),
        ("temperature", "temprature", "temprature"),
        ("[input]\nwidth = ", "[input]\nwidth = 1", "input"),
        (
            "form = \"weights-int8\"",
            "form = \"int8\"",
            "would run in float",
        ),
    ] {
        let changed = manifest.replacen(from, to, 1);
        assert_ne!(changed, manifest, "{from} must occur");
        std::fs::write(dir.path().join("landing.toml"), changed).unwrap();
        assert_exit(&f.run(&args), 2, &[said, "landing"]);
    }
}

#[test]
fn a_video_cut_in_the_middle_ends_there_with_a_warning() {
    let video = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bframes.mp4");
    let whole = std::fs::read(video).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cut, out) = (dir.path().join("cut.mp4"), dir.path().join("out"));
    std::fs::write(&cut, &whole[..whole.len() * 2 / 3]).unwrap();
    let (input, to) = (cut.display().to_string(), out.display().to_string());
    let args = ["replay", &input, "--height", "10", "--hfov", "70", "--out"];
    let output = alight(&[&args[..], &[&to]].concat());
    assert_exit(&output, 0, &["cut.mp4"]);
    let decided = lines(&out).len();
    assert!((1..24).contains(&decided), "{decided} of 24 frames");
    let warnings = summary(&out)["warnings"].to_string();
    assert!(warnings.len() > 4, "no warning: {}", summary(&out));
}

#[test]
fn a_calibrated_lens_takes_the_place_of_the_field_of_view() {
    let f = Folder::with_pictures(&["a.png"]);
    let config = f.dir.path().join("c.toml");
    let lens = f.dir.path().join("lens.yaml");
    std::fs::write(&config, "[camera]\ncalibration = \"lens.yaml\"\n").unwrap();
    let yaml = "image_width: 300\nimage_height: 200\ndistortion_model: plumb_bob\n\
        camera_matrix: {rows: 3, cols: 3, data: [214.2, 0, 150, 0, 214.2, 100, 0, 0, 1]}\n\
        distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0.02, 0, 0, 0]}\n";
    std::fs::write(&lens, yaml).unwrap();
    let config = config.display().to_string();
    let args = ["--height", "10", "--config", &config];
    assert_exit(&f.run(&args), 0, &[]);
    let reason = lines(&f.out())[0]["reason"].to_string();
    assert!(!reason.contains("pose"), "{reason}");
    std::fs::write(&lens, yaml.replace("plumb_bob", "cylinder")).unwrap();
    assert_exit(&f.run(&args), 2, &["lens.yaml", "cylinder"]);
}

#[test]
fn bench_prints_the_contract() {
    let output = alight(&["bench", "--runs", "2", "--json"]);
    assert_exit(&output, 0, &[]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for stage in [
        "decode",
        "preprocess",
        "network",
        "project",
        "select",
        "view",
        "total",
    ] {
        for key in [
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "max_ms",
            "cpu_p50_ms",
            "allocations",
        ] {
            assert!(
                report["stages"][stage][key]
                    .as_f64()
                    .is_some_and(|v| v >= 0.0),
                "{stage}.{key} in {report}"
            );
        }
    }
    assert!(report["stages"]["network"]["p50_ms"].as_f64().unwrap() > 0.1);
    for stage in ["project", "select"] {
        assert_eq!(
            report["stages"][stage]["allocations"], 0,
            "{stage} must not allocate"
        );
    }
    assert_eq!(report["frame"], serde_json::json!([1280, 720]));
    assert_eq!(report["model"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn help_says_what_is_not_there_yet_and_completions_are_printed() {
    assert_exit(
        &alight(&["replay", "--help"]),
        0,
        &[
            "--telemetry",
            "--offset",
            "Not read yet",
            "Examples",
            "drawn flight",
        ],
    );
    for shell in ["bash", "zsh", "fish"] {
        assert_exit(&alight(&["completions", shell]), 0, &["replay", "segment"]);
    }
    assert_exit(&alight(&[]), 2, &["Usage"]);
}

#[test]
fn segment_never_overwrites_the_pictures_nor_other_masks() {
    let f = Folder::with_pictures(&["a.png", "a.jpg"]);
    let before = std::fs::read(Path::new(&f.input()).join("a.png")).unwrap();
    assert_exit(
        &alight(&["segment", &f.input(), "--out", &f.input()]),
        2,
        &["--out", "overwrite"],
    );
    assert_eq!(
        std::fs::read(Path::new(&f.input()).join("a.png")).unwrap(),
        before
    );
    let out = f.out().display().to_string();
    assert_exit(
        &alight(&["segment", &f.input(), "--out", &out]),
        0,
        &["another picture"],
    );
    for name in ["a.png", "a.landable.png", "a.png.png", "a.png.landable.png"] {
        assert!(f.out().join(name).exists(), "{name}");
    }
}

#[rstest]
#[case::no_source("", &[], &["camera.source", "world"])]
#[case::without_a_lens("[camera]\nsource = \"v4l\"", &[], &["camera.calibration", "hfov_deg"])]
#[case::no_such_program(
    "link = \"tcp:127.0.0.1:9\"\n[camera]\nsource = \"pipe\"\nhfov_deg = 70.0\ncommand = [\"no-such-program\"]",
    &[],
    &["camera.command", "no-such-program"]
)]
#[case::a_record_that_cannot_be(
    "link = \"tcp:127.0.0.1:9\"\n[camera]\nsource = \"world\"\n[record]\nfolder = \"/proc/flights\"",
    &[],
    &["record.folder", "/proc/flights"]
)]
#[case::no_link("[camera]\nsource = \"world\"", &[], &["link is not set", "tcp:127.0.0.1:5762"])]
#[case::advises_only(
    "link = \"tcp:127.0.0.1:9\"\n[camera]\nsource = \"world\"",
    &["--engage-when-ready"],
    &["--engage-when-ready", "advise", "command"]
)]
#[case::starts_by_itself_over_no_world(
    "mode = \"command\"\nlink = \"tcp:127.0.0.1:9\"\n[camera]\nsource = \"v4l\"",
    &["--engage-when-ready"],
    &["another camera", "world"]
)]
fn a_service_that_cannot_fly_ends_with_2(
    #[case] config: &str,
    #[case] more: &[&str],
    #[case] parts: &[&str],
) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alight.toml");
    std::fs::write(&file, config).unwrap();
    let mut args = vec!["run", "--config", file.to_str().unwrap(), "--for", "1"];
    args.extend_from_slice(more);
    assert_exit(&alight(&args), 2, parts);
}

#[test]
fn a_service_without_an_autopilot_waits_says_so_and_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alight.toml");
    let config =
        "link = \"tcp:127.0.0.1:9\"\n[camera]\nsource = \"world\"\nwidth_px = 192\nheight_px = 128";
    std::fs::write(&file, config).unwrap();
    let out = dir.path().join("out");
    let args = [
        "run",
        "--config",
        file.to_str().unwrap(),
        "--for",
        "2",
        "--out",
    ];
    let output = alight(&[&args[..], &[out.to_str().unwrap()]].concat());
    assert_exit(
        &output,
        0,
        &["tcp:127.0.0.1:9", "standby", "height unknown"],
    );
    assert!(out.join("decisions.jsonl").exists() && out.join("events.jsonl").exists());
}
