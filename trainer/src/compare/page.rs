//! The page: everything in one file, without scripts.

use alight::inference::classes::{SEMANTIC_DRONE, Surface};
use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Row;
use crate::eval::{PictureScore, Scores};
use crate::objects::Share;
use crate::scores::OperatingPoint;
use crate::worst::colour;

/// The look of alight's own reports.
const STYLE: &str = include_str!("../../../src/view/report/report.css");
const MORE_STYLE: &str = "
main{max-width:1320px}
.scroll{overflow-x:auto}
.scores{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.86rem}
.scores th,.scores td{padding:6px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
.scores th{color:var(--quiet);font-weight:600}
.scores th:first-child,.scores td:first-child{text-align:left}
.wide thead th{white-space:normal;vertical-align:bottom;min-width:72px}
.scores td.best{font-weight:700;color:var(--accent)}
.scores td small{display:block;font-size:.72rem}
.heat td{padding:2px 5px;font-size:.7rem;min-width:28px;background:color-mix(in srgb,var(--accent) var(--v),transparent)}
.heat th{padding:2px 5px;font-size:.7rem;font-weight:500}
.heat thead th{writing-mode:vertical-rl;text-align:left;vertical-align:bottom;height:96px}
.curves{width:100%;max-width:760px;display:block}
.curves path{fill:none;stroke:var(--c);stroke-width:2}
.curves line{stroke:var(--line)}
.curves text{font-size:11px;fill:var(--quiet)}
.legend+.worst{margin-top:12px}
.worst{display:grid;gap:12px}
.worst img{width:100%;max-width:972px;border-radius:6px;display:block}
";
/// Lines of the curves, told apart on light and on dark paper.
const COLOURS: [&str; 10] = [
    "#0f9d8a", "#e4572e", "#4a7fd4", "#c98b00", "#a64ac9", "#5a9e2f", "#d6457d", "#8a6d5b",
    "#2aa5c7", "#7a7f8a",
];
/// False-positive rates up to this are shown.
const FPR_SHOWN: f64 = 0.3;

/// The page as text.
#[must_use]
pub fn page(rows: &[Row]) -> String {
    let best = rows
        .iter()
        .max_by(|a, b| a.scores.mean_iou.total_cmp(&b.scores.mean_iou));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Networks compared · alight" }
                style { (PreEscaped(STYLE)) (PreEscaped(MORE_STYLE)) }
            }
            body { main {
                header {
                    h1 { (rows.len()) " networks compared" }
                    @if let Some(first) = rows.first() {
                        p.quiet {
                            (first.scores.pictures) " pictures of " (first.scores.list) " in " (first.scores.scenes)
                            " scenes; every score through the runtime that flies. Intervals hold 95 % of a bootstrap over scenes."
                        }
                    }
                }
                section { h2 { "Scores" } (table(rows)) }
                section { h2 { "Landable ground: found, and wrongly called so" } (curves(rows)) }
                section { h2 { "Intersection over union by class" } (by_class(rows)) }
                @if let Some(best) = best {
                    section { h2 { "What " (best.name) " takes for what" } (confusion(&best.scores)) }
                    @if !best.worst.is_empty() {
                        section { h2 { "The worst pictures of " (best.name) } (worst(best)) }
                    }
                }
                section { h2 { "How they were trained" } (training(rows)) }
            } }
        }
    }
    .into_string()
}

/// One column of the table of scores.
struct Column {
    name: &'static str,
    /// The number that is compared; less is better where `is_less` holds.
    value: fn(&Scores) -> Option<f64>,
    is_less: bool,
    shown: fn(&Scores) -> Option<String>,
    interval: fn(&Scores) -> Option<(f64, f64)>,
}

fn at_85(s: &Scores) -> Option<&OperatingPoint> {
    s.landable_at_recall.last()
}

const COLUMNS: [Column; 8] = [
    Column {
        name: "parameters",
        value: |s| Some(s.cost?.parameters as f64),
        is_less: true,
        shown: |s| Some(format!("{:.2} M", s.cost?.parameters as f64 / 1e6)),
        interval: |_| None,
    },
    Column {
        name: "GMAC",
        value: |s| Some(s.cost?.gmac),
        is_less: true,
        shown: |s| Some(format!("{:.2}", s.cost?.gmac)),
        interval: |_| None,
    },
    Column {
        name: "ms a picture",
        value: |s| Some(s.cost?.latency_ms),
        is_less: true,
        shown: |s| Some(format!("{:.1}", s.cost?.latency_ms)),
        interval: |_| None,
    },
    Column {
        name: "pixel accuracy",
        value: |s| Some(s.pixel_accuracy),
        is_less: false,
        shown: |s| Some(format!("{:.3}", s.pixel_accuracy)),
        interval: |s| s.intervals.pixel_accuracy,
    },
    Column {
        name: "mIoU",
        value: |s| Some(s.mean_iou),
        is_less: false,
        shown: |s| Some(format!("{:.3}", s.mean_iou)),
        interval: |s| s.intervals.mean_iou,
    },
    Column {
        name: "landable FPR at recall 0.85",
        value: |s| Some(at_85(s)?.false_positive_rate),
        is_less: true,
        shown: |s| Some(format!("{:.3}", at_85(s)?.false_positive_rate)),
        interval: |_| None,
    },
    Column {
        name: "person pixels called landable",
        value: |s| Some(s.person_called_landable),
        is_less: true,
        shown: |s| Some(format!("{:.1} %", 100.0 * s.person_called_landable)),
        interval: |_| None,
    },
    Column {
        name: "calibration error",
        value: |s| Some(s.landable_calibration_error),
        is_less: true,
        shown: |s| Some(format!("{:.3}", s.landable_calibration_error)),
        interval: |_| None,
    },
];

fn table(rows: &[Row]) -> Markup {
    let best: Vec<Option<f64>> = COLUMNS
        .iter()
        .map(|c| {
            let values = || rows.iter().filter_map(|r| (c.value)(&r.scores));
            let (least, most) = (
                values().min_by(f64::total_cmp),
                values().max_by(f64::total_cmp),
            );
            // What all share is nobody's merit.
            (least != most).then_some(if c.is_less { least } else { most })?
        })
        .collect();
    html! {
        div.scroll { table.scores.wide {
            thead { tr {
                th { "run" }
                @for c in &COLUMNS { th { (c.name) } }
                th { "people and animals found" } th { "false alarms" } th { "vehicles found" } th { "pictures with a site" }
            } }
            tbody { @for row in rows {
                tr {
                    td { (row.name) small.quiet { (row.scores.network) ", " (row.scores.input.0) "×" (row.scores.input.1) } }
                    @for (c, best) in COLUMNS.iter().zip(&best) {
                        td.best[best.is_some() && (c.value)(&row.scores) == *best] {
                            (((c.shown)(&row.scores)).unwrap_or_else(|| "–".to_owned()))
                            @if let Some((low, high)) = (c.interval)(&row.scores) {
                                small.quiet { (format!("{low:.3} to {high:.3}")) }
                            }
                        }
                    }
                    (objects(&row.scores))
                    @if let Some(d) = &row.scores.decisions {
                        td { (d.sites) " of " (d.pictures) small.quiet { (d.wrong.len()) " wrong" } }
                    } @else { td { "–" } }
                }
            } }
        } }
    }
}

fn objects(s: &Scores) -> Markup {
    html! {
        @if let [people, vehicles, ..] = s.objects.as_slice() {
            td { (found(&people.found)) }
            td { (format!("{:.2}", people.false_alarms)) }
            td { (found(&vehicles.found)) }
        } @else { td { "–" } td { "–" } td { "–" } }
    }
}

/// A share as count and total, its interval below.
fn found(s: &Share) -> Markup {
    html! {
        (s.count) " of " (s.of)
        @if let Some((low, high)) = s.interval {
            small.quiet { (format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)) }
        }
    }
}

/// Recall over false-positive rate, a line for each network.
fn curves(rows: &[Row]) -> Markup {
    let place = |p: &OperatingPoint| {
        let x = 40.0 + 640.0 * p.false_positive_rate.min(FPR_SHOWN) / FPR_SHOWN;
        (x, 10.0 + 260.0 * (1.0 - p.recall))
    };
    let line = |i: usize| COLOURS.get(i % COLOURS.len()).copied().unwrap_or("#888");
    html! {
        svg.curves viewBox="0 0 700 310" role="img" {
            @for i in 0..=5 {
                @let y = 10.0 + 52.0 * f64::from(i);
                line x1="40" x2="680" y1=(y) y2=(y) {}
                text x="34" y=(y + 4.0) text-anchor="end" { (format!("{:.1}", 1.0 - 0.2 * f64::from(i))) }
            }
            @for i in 0..=3 {
                @let x = 40.0 + 640.0 * f64::from(i) / 3.0;
                line x1=(x) x2=(x) y1="10" y2="270" {}
                text x=(x) y="286" text-anchor="middle" { (format!("{:.2}", 0.1 * f64::from(i))) }
            }
            text x="360" y="304" text-anchor="middle" { "share of other pixels called landable" }
            @for (i, row) in rows.iter().enumerate() {
                @let points: Vec<String> = row.scores.landable_curve.iter().filter(|p| p.false_positive_rate <= FPR_SHOWN)
                    .map(|p| { let (x, y) = place(p); format!("{x:.1} {y:.1}") }).collect();
                @if points.len() > 1 {
                    path style=(format!("--c:{}", line(i))) d=(format!("M{}", points.join("L"))) {}
                }
            }
        }
        div.legend { @for (i, row) in rows.iter().enumerate() {
            span.item { span.key style=(format!("--c:{}", line(i))) {} (row.name) }
        } }
        p.note { "Each line runs over thresholds of P(landable) from 0.95 (left) to 0.05; up is landable ground found." }
    }
}

fn by_class(rows: &[Row]) -> Markup {
    let shown: Vec<usize> = (0..SEMANTIC_DRONE.len())
        .filter(|&c| rows.iter().any(|r| class(r, c).is_some()))
        .collect();
    html! {
        div.scroll { table.scores.heat {
            thead { tr { th {} @for &c in &shown { th { (SEMANTIC_DRONE.get(c).map_or("", |(name, ..)| name)) } } } }
            tbody { @for row in rows { tr {
                th { (row.name) }
                @for &c in &shown { (cell(class(row, c))) }
            } } }
        } }
    }
}

fn class(row: &Row, index: usize) -> Option<f64> {
    row.scores.classes.iter().find(|c| c.index == index)?.iou
}

/// A share in percent on a ground of its strength.
fn cell(value: Option<f64>) -> Markup {
    html! {
        @if let Some(v) = value {
            td style=(format!("--v:{:.0}%", 85.0 * v)) { (format!("{:.0}", 100.0 * v)) }
        } @else { td {} }
    }
}

fn confusion(s: &Scores) -> Markup {
    let name = |c: usize| SEMANTIC_DRONE.get(c).map_or("", |(name, ..)| name);
    let present: Vec<(usize, &Vec<u64>, u64)> = s
        .confusion
        .iter()
        .enumerate()
        .map(|(i, row)| (i, row, row.iter().sum()))
        .filter(|(_, _, all)| *all > 0)
        .collect();
    html! {
        div.scroll { table.scores.heat {
            thead { tr { th { } @for (c, ..) in &present { th { (name(*c)) } } } }
            tbody { @for (c, row, all) in &present { tr {
                th { (name(*c)) }
                @for (p, ..) in &present {
                    @let share = row.get(*p).copied().unwrap_or(0) as f64 / *all as f64;
                    (cell((share >= 0.005).then_some(share)))
                }
            } } }
        } }
        p.note { "A row is a true class, a column what its pixels are taken for, percent of the row." }
    }
}

fn worst(row: &Row) -> Markup {
    let mut order: Vec<&PictureScore> = row.scores.by_picture.iter().collect();
    order.sort_by(|a, b| a.pixel_accuracy.total_cmp(&b.pixel_accuracy));
    html! {
        p.note { "Picture, truth, and what the network says, by surface." }
        div.legend { @for s in Surface::ALL {
            span.item { span.key style=(hex(colour(s))) {} (s.name()) }
        } }
        div.worst { @for (jpeg, score) in row.worst.iter().zip(order) {
            div {
                img alt=(score.name) src=(format!("data:image/jpeg;base64,{}", base64::engine::general_purpose::STANDARD.encode(jpeg)));
                p.note {
                    (score.name) ": " (format!("{:.1} % of the pixels right, {:.1} % wrongly called landable",
                        100.0 * score.pixel_accuracy, 100.0 * score.called_landable_wrongly))
                }
            }
        } }
    }
}

fn training(rows: &[Row]) -> Markup {
    const KEYS: [&str; 9] = [
        "epochs",
        "seed",
        "batch",
        "height",
        "width",
        "encoder_rate",
        "decoder_rate",
        "pretrained",
        "fold",
    ];
    html! {
        div.scroll { table.scores {
            thead { tr { th { "run" } @for k in KEYS { th { (k) } } th { "network's SHA-256" } } }
            tbody { @for row in rows { tr {
                td { (row.name) }
                @for k in KEYS { td { (file_name(&row.setting(k).unwrap_or_else(|| "–".to_owned()))) } }
                td { code { (row.scores.sha256.get(..12).unwrap_or_default()) } }
            } } }
        } }
    }
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("--c:#{r:02x}{g:02x}{b:02x}")
}

/// A path is shown by its last part.
fn file_name(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}
