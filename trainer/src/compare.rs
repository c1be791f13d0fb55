//! Several networks side by side: a table for the terminal, one for spreadsheets, and a page that holds everything.

mod page;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::eval::Scores;

pub use page::page;

/// One scored network.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The run's folder or file, without its path.
    pub name: String,
    /// What it scored.
    pub scores: Scores,
    /// How it was trained: `settings.json` of the run, where there is one.
    pub settings: Option<serde_json::Value>,
    /// The worst pictures, JPEG.
    pub worst: Vec<Vec<u8>>,
}

impl Row {
    /// A setting of its training, in words.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<String> {
        let value = self.settings.as_ref()?.get(key)?;
        Some(match value {
            serde_json::Value::Null => return None,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// Reads each run: a folder with `scores.json` (and `settings.json`, `worst/*.jpg`), or such a file of scores.
///
/// # Errors
/// When one cannot be read, or they were scored on different pictures and `is_mixed_allowed` does not hold: then they are named.
pub fn read(runs: &[PathBuf], is_mixed_allowed: bool) -> Result<Vec<Row>> {
    let rows: Vec<Row> = runs.iter().map(|r| read_one(r)).collect::<Result<_>>()?;
    let Some(first) = rows.first() else {
        bail!("no run is given: name folders that hold a scores.json");
    };
    let ground = |r: &Row| (r.scores.list.clone(), r.scores.pictures);
    for other in &rows {
        ensure!(
            is_mixed_allowed || ground(other) == ground(first),
            "`{}` was scored on {} pictures of {}, `{}` on {} of {}: not to be compared (--mixed does it all the same)",
            first.name,
            first.scores.pictures,
            first.scores.list,
            other.name,
            other.scores.pictures,
            other.scores.list
        );
    }
    Ok(rows)
}

fn read_one(run: &Path) -> Result<Row> {
    let (folder, file) = if run.is_dir() {
        (Some(run), run.join("scores.json"))
    } else {
        (None, run.to_owned())
    };
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read {}; write it with `alight-trainer eval --json`",
            file.display()
        )
    })?;
    let scores = serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    let settings = folder
        .map(|f| f.join("settings.json"))
        .filter(|f| f.exists());
    let settings = settings.map(|f| -> Result<serde_json::Value> {
        let text = std::fs::read_to_string(&f)?;
        serde_json::from_str(&text).with_context(|| format!("in {}", f.display()))
    });
    let worst = folder.map(|f| f.join("worst")).into_iter().flat_map(|f| {
        let files = (0..).map(move |i| f.join(format!("{i}.jpg")));
        files.map_while(|f| std::fs::read(f).ok())
    });
    let name = run.file_stem().unwrap_or(run.as_os_str());
    Ok(Row {
        name: name.to_string_lossy().into_owned(),
        scores,
        settings: settings.transpose()?,
        worst: worst.collect(),
    })
}

/// Names of the columns.
pub const COLUMNS: [&str; 15] = [
    "run",
    "network",
    "input",
    "epochs",
    "seed",
    "parameters_m",
    "gmac",
    "latency_ms",
    "pixel_accuracy",
    "mean_iou",
    "landable_fpr_at_recall_085",
    "person_pixels_called_landable",
    "people_found",
    "people_of",
    "sites_wrong_of_pictures",
];

/// A row's cells, in the order of [`COLUMNS`].
#[must_use]
pub fn cells(row: &Row) -> [String; 15] {
    let s = &row.scores;
    let cost = s.cost.unwrap_or_default();
    let at_85 = s.landable_at_recall.last();
    let people = s.objects.first().map(|o| o.found);
    let known = |v: f64, digits: usize| {
        if s.cost.is_some() {
            format!("{v:.digits$}")
        } else {
            String::new()
        }
    };
    [
        row.name.clone(),
        s.network.clone(),
        format!("{}x{}", s.input.0, s.input.1),
        row.setting("epochs").unwrap_or_default(),
        row.setting("seed").unwrap_or_default(),
        known(cost.parameters as f64 / 1e6, 2),
        known(cost.gmac, 3),
        known(cost.latency_ms, 1),
        format!("{:.4}", s.pixel_accuracy),
        format!("{:.4}", s.mean_iou),
        at_85.map_or_else(String::new, |p| format!("{:.4}", p.false_positive_rate)),
        format!("{:.4}", s.person_called_landable),
        people.map_or_else(String::new, |p| p.count.to_string()),
        people.map_or_else(String::new, |p| p.of.to_string()),
        s.decisions.as_ref().map_or_else(String::new, |d| {
            format!("{}/{}/{}", d.sites, d.wrong.len(), d.pictures)
        }),
    ]
}

/// The table as comma-separated values.
#[must_use]
pub fn csv(rows: &[Row]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for row in rows {
        let quoted = cells(row).map(|c| {
            if c.contains([',', '"', '\n']) {
                format!("\"{}\"", c.replace('"', "\"\""))
            } else {
                c
            }
        });
        text += &(quoted.join(",") + "\n");
    }
    text
}

/// The table for a terminal.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<26} {:>9} {:>7} {:>8} {:>9} {:>7} {:>8} {:>8} {:>12} {:>12}",
        "run",
        "param. M",
        "GMAC",
        "ms",
        "accuracy",
        "mIoU",
        "FPR@.85",
        "persons",
        "people found",
        "sites/wrong"
    );
    for row in rows {
        let c = cells(row);
        let [
            name,
            _,
            _,
            _,
            _,
            parameters,
            gmac,
            ms,
            accuracy,
            iou,
            fpr,
            person,
            found,
            of,
            sites,
        ] = &c;
        let _ = writeln!(
            text,
            "{name:<26} {parameters:>9} {gmac:>7} {ms:>8} {accuracy:>9} {iou:>7} {fpr:>8} {person:>8} {:>12} {sites:>12}",
            format!("{found}/{of}")
        );
    }
    text
}

#[cfg(test)]
mod tests;
