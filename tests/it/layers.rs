//! Imports point one way. The table says which of the crate's modules each module may name; the code is read as text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What everybody may name.
const FOUNDATION: [&str; 4] = ["units", "time", "geometry", "vehicle"];

/// Module, and what it may name beside the foundation and itself.
const TABLE: [(&str, &[&str]); 19] = [
    ("alloc", &[]),
    ("autopilot", &["landing"]),
    ("units", &[]),
    ("time", &[]),
    ("geometry", &[]),
    ("vehicle", &[]),
    // The world camera renders a simulated world.
    ("camera", &["sim", "inference"]),
    ("inference", &["camera", "resize"]),
    ("odometry", &["resize"]),
    ("resize", &[]),
    ("landing", &["inference"]),
    // The drawn flight is a frame source; truth speaks the surfaces' language.
    ("sim", &["camera", "inference"]),
    // Logs of ground stations speak MAVLink.
    ("record", &["autopilot", "landing", "inference"]),
    ("view", &["landing", "inference", "record", "resize"]),
    // The closed loop flies a simulated autopilot, and says what came of it; the live threads count what they allocate.
    (
        "pipeline",
        &[
            "alloc",
            "autopilot",
            "camera",
            "inference",
            "landing",
            "odometry",
            "record",
            "sim",
        ],
    ),
    // Settings are made of the stages' own.
    ("config", &["autopilot", "camera", "landing", "pipeline"]),
    (
        "cli",
        &[
            "alloc",
            "autopilot",
            "camera",
            "config",
            "inference",
            "landing",
            "pipeline",
            "record",
            "sim",
            "view",
        ],
    ),
    ("main", &["alloc", "cli"]),
    ("lib", &[]),
];

/// The crate's modules named in a text: after `crate::` or `alight::`, comments and tests left out.
fn named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .flat_map(|l| {
            ["crate::", "alight::"]
                .map(|root| l.split(root).skip(1).map(str::to_owned).collect::<Vec<_>>())
        })
        .flatten()
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect::<String>()
        })
        .filter(|m| !m.is_empty())
        .collect()
}

fn read(path: &Path, into: &mut BTreeMap<String, BTreeSet<String>>, module: Option<&str>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = module.unwrap_or(&name).to_owned();
        if path.is_dir() && name != "tests" {
            read(&path, into, Some(&module));
        } else if path.is_file() && path.extension().is_some_and(|e| e == "rs") && name != "tests" {
            let found = named(&std::fs::read_to_string(&path).unwrap());
            into.entry(module).or_default().extend(found);
        }
    }
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let mut found = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
        None,
    );
    let table: BTreeMap<_, _> = TABLE.into_iter().collect();
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        table.keys().copied().collect::<Vec<_>>()
    );
    for (module, names) in &found {
        for name in names {
            let is_allowed = FOUNDATION.contains(&name.as_str())
                || name == module
                || table[module.as_str()].contains(&name.as_str());
            assert!(
                is_allowed,
                "src/{module} names {name}: the table in tests/it/layers.rs does not allow it"
            );
        }
    }
}

#[test]
fn the_reader_sees_imports_and_skips_comments_and_tests() {
    let text = "use crate::landing::X;\n// crate::sim\nlet a = crate::view::y();\n#[cfg(test)]\nuse crate::cli;";
    assert_eq!(
        named(text).into_iter().collect::<Vec<_>>(),
        ["landing", "view"]
    );
}

#[test]
fn nothing_names_the_trainer_and_the_trainer_names_only_what_it_may() {
    let mut found = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("trainer/src"),
        &mut found,
        Some("trainer"),
    );
    let own: BTreeSet<String> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("trainer/src"))
            .unwrap()
            .map(|e| {
                e.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
    for name in &found["trainer"] {
        let is_allowed = [
            "units",
            "time",
            "geometry",
            "vehicle",
            "inference",
            "landing",
            "sim",
            "camera",
        ]
        .contains(&name.as_str());
        assert!(is_allowed || own.contains(name), "the trainer names {name}");
    }
}
