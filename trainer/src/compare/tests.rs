use super::*;
use crate::eval::{ClassScore, PictureScore};
use crate::scores::OperatingPoint;

fn scores(list: &str, accuracy: f64) -> Scores {
    let point = |threshold: f64| OperatingPoint {
        threshold,
        recall: 1.0 - threshold / 2.0,
        false_positive_rate: 0.1 * (1.0 - threshold),
        person_called_landable: 0.02,
    };
    let text = serde_json::json!({
        "network": "unet-16", "input": [192, 128], "sha256": "abcdef0123456789", "list": list, "pictures": 2,
        "pixel_accuracy": accuracy, "pixel_accuracy_labeled": accuracy, "mean_iou": 0.3, "classes_present": 1,
        "person_called_landable": 0.05, "landable_at_threshold": point(0.5), "landable_at_recall": [point(0.5), point(0.6)],
        "cost": {"parameters": 1_950_000, "gmac": 1.25, "latency_ms": 12.3},
        "classes": [], "landable_curve": [point(0.2), point(0.8)], "confusion": [[3, 1], [0, 0]],
        "decisions": {"pictures": 2, "sites": 1, "wrong": [[1, "a person <in> it"]]},
    });
    let mut scores: Scores = serde_json::from_value(text).unwrap();
    scores.classes.push(ClassScore {
        index: 3,
        name: "grass".into(),
        share: 1.0,
        iou: Some(0.5),
        called_landable: 0.9,
    });
    scores.by_picture.push(PictureScore {
        name: "<044>".into(),
        scene: 0,
        pixel_accuracy: accuracy,
        called_landable_wrongly: 0.01,
    });
    scores
}

fn run(folder: &Path, name: &str, scores: &Scores) -> PathBuf {
    let run = folder.join(name);
    std::fs::create_dir_all(run.join("worst")).unwrap();
    std::fs::write(
        run.join("scores.json"),
        serde_json::to_string(scores).unwrap(),
    )
    .unwrap();
    std::fs::write(
        run.join("settings.json"),
        r#"{"epochs": 10, "seed": 7, "fold": "/a/b/fold.json"}"#,
    )
    .unwrap();
    std::fs::write(run.join("worst/0.jpg"), b"jpeg").unwrap();
    run
}

#[test]
fn runs_become_a_table_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let a = run(folder.path(), "a", &scores("val.txt", 0.7));
    let b = run(folder.path(), "b,c", &scores("val.txt", 0.8));
    let rows = read(&[a, b], false).unwrap();
    assert_eq!(rows[0].setting("epochs").as_deref(), Some("10"));
    let csv = csv(&rows);
    assert!(
        csv.contains(
            "a,unet-16,192x128,10,7,1.95,1.250,12.3,0.7000,0.3000,0.0400,0.0500,,,1/1/2\n"
        ),
        "{csv}"
    );
    assert!(csv.contains("\"b,c\",unet-16"), "{csv}");
    assert_eq!(text(&rows).lines().count(), 3);
    let page = page(&rows);
    for part in [
        "2 networks compared",
        "data:image/jpeg;base64,anBlZw==",
        "&lt;044&gt;",
        "fold.json",
        "1.95 M",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("/a/b/") && !page.contains("<script"));
}

#[test]
fn different_ground_is_not_compared_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let a = run(folder.path(), "a", &scores("val.txt", 0.7));
    let b = run(folder.path(), "b", &scores("train.txt", 0.8));
    let text = read(&[a.clone(), b.clone()], false)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("`a`") && text.contains("train.txt") && text.contains("--mixed"),
        "{text}"
    );
    assert_eq!(read(&[a, b], true).unwrap().len(), 2);
    assert!(read(&[], false).is_err());
    let gone = read(&[folder.path().join("gone")], false).unwrap_err();
    assert!(format!("{gone:#}").contains("eval --json"), "{gone:#}");
}
