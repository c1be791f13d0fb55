//! The report of a run: one HTML file that stands alone.
//!
//! Pictures are embedded, nothing is fetched, no script runs; it follows the reader's light or dark scheme and prints.
//! Its size is bounded whatever the length of the run: thumbnails, table rows and points of the charts are capped, and
//! the report says where it leaves something out.

mod cards;
mod charts;
mod events;
pub mod flights;
mod frames;
mod map;
mod reasons;

use std::io::Write;
use std::ops::RangeInclusive;

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::palette;
use crate::inference::classes::Surface;
use crate::landing::MapSnapshot;
use crate::record::{DecisionLine, EventLine, OutcomeKind, Summary};

static STYLE: &str = include_str!("report/report.css");

/// One decided frame.
#[derive(Debug, Clone)]
pub struct FrameRow {
    /// Its decision.
    pub line: DecisionLine,
    /// Its overlay as a small JPEG (see [`super::thumbnail()`]), if one was kept.
    pub thumbnail: Option<Vec<u8>>,
}

/// The map to show, and the frames that were decided on it: only their sites are drawn.
#[derive(Debug, Clone)]
pub struct ReportMap {
    /// The picture of it.
    pub snapshot: MapSnapshot,
    /// `seq` of the frames whose sites have their coordinates on this map.
    pub frames: RangeInclusive<u64>,
}

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct ReportInput<'a> {
    /// What happened in flight; empty where nothing flew.
    pub events: &'a [EventLine],
    /// What stands on top, for instance the name of the flight.
    pub title: &'a str,
    /// When it was made, as it shall be read; may be empty.
    pub date: &'a str,
    /// Frames in order.
    pub frames: &'a [FrameRow],
    /// The run in figures.
    pub summary: &'a Summary,
    /// The last map, or the biggest.
    pub map: Option<&'a ReportMap>,
    /// The settings in force as text (TOML); may be empty.
    pub settings: &'a str,
}

/// Writes the report.
///
/// # Errors
/// What `out` says.
pub fn write(input: &ReportInput, mut out: impl Write) -> std::io::Result<()> {
    out.write_all(page(input).into_string().as_bytes())
}

fn page(input: &ReportInput) -> Markup {
    let s = input.summary;
    let body = html! {
        (header(input))
        (cards::section(s))
        (charts::timeline(input.frames))
        div.pair {
            @if let Some(map) = input.map { (map::section(map, input.frames)) }
            (reasons::section(s))
        }
        (events::section(input.events))
        (frames::gallery(input.frames))
        (frames::table(input.frames))
        (troubles(s))
        (provenance(input))
    };
    document(input.title, &s.provenance.alight, &body)
}

/// A page that stands alone.
fn document(title: &str, version: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "alight " (version) };
                title { (title) " · alight" }
                style { (PreEscaped(STYLE)) (PreEscaped(surface_classes())) }
            }
            body { main { (body) } }
        }
    }
}

/// The palette as style rules: the tones, and `.s-firm{--c:#...}` for each surface.
fn surface_classes() -> String {
    let tones = [
        ("go", palette::GO),
        ("wait", palette::WAIT),
        ("stop", palette::STOP),
    ]
    .map(|(name, colour)| format!("--{name}:{};", palette::hex(colour)));
    let surfaces = Surface::ALL.map(|s| {
        format!(
            ".s-{}{{--c:{}}}",
            s.name(),
            palette::hex(palette::surface(s))
        )
    });
    format!(":root{{{}}}{}", tones.concat(), surfaces.concat())
}

fn header(input: &ReportInput) -> Markup {
    let s = input.summary;
    html! {
        header {
            div.brand { (mark()) span { "alight" } span.quiet { "landing site report" } }
            h1 { (input.title) }
            p.quiet {
                span { "Source " b { (s.provenance.input) } }
                @if !input.date.is_empty() { span { (input.date) } }
                span { "alight " (s.provenance.alight) }
            }
            p.verdict { (verdict(s)) }
        }
    }
}

/// The disc between two brackets: somewhere to come down.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" {
            circle cx="16" cy="16" r="13" fill="none" stroke="currentColor" stroke-width="2.5" stroke-dasharray="14 6.42" {}
            circle cx="16" cy="16" r="5" fill="var(--go)" {}
        }
    }
}

fn verdict(s: &Summary) -> Markup {
    let share = if s.frames == 0 {
        0.0
    } else {
        100.0 * s.sites as f64 / s.frames as f64
    };
    html! {
        @if s.frames == 0 {
            span.badge.stop { "no frames" } " Nothing was decided: no frame of the source could be used."
        } @else if s.sites == 0 {
            span.badge.wait { "hold" } " No safe landing site in any of "
            b { (counted(s.frames, "frame")) } "; the vehicle would have held its place throughout."
        } @else {
            span.badge.go { "site" } " A confirmed landing site in " b { (s.sites) " of " (counted(s.frames, "frame")) }
            " (" (format!("{share:.0}")) " %); hold, with a reason, in " b { (s.holds) } "."
        }
        @if s.skipped > 0 { " " (counted(s.skipped, "frame")) " could not be read." }
    }
}

fn troubles(s: &Summary) -> Markup {
    let is_quiet = s.skipped == 0 && s.warning_count == 0;
    html! {
        @if !is_quiet {
            section {
                h2 { "Skipped frames and warnings" }
                ul.plain {
                    @for f in &s.skipped_frames {
                        li { b { "frame " (f.seq) } " " code { (f.source) } " " (f.reason) }
                    }
                    @for w in &s.warnings { li { (w) } }
                }
                @let left_out = (s.skipped + s.warning_count)
                    .saturating_sub((s.skipped_frames.len() + s.warnings.len()) as u64);
                @if left_out > 0 { p.quiet { "and " (left_out) " more." } }
            }
        }
    }
}

fn provenance(input: &ReportInput) -> Markup {
    let p = &input.summary.provenance;
    html! {
        section {
            h2 { "How it was made" }
            dl {
                dt { "alight" } dd { (p.alight) }
                dt { "Network" } dd { (p.model) " " code { (p.model_sha256) } }
                dt { "Settings" } dd { code { (p.config_sha256) } }
                @if let Some(t) = &input.summary.telemetry {
                    dt { "Flight log" } dd {
                        (t.file) ", " (t.kind) ": placed " (counted(t.placed, "frame")) ", not " (t.not_placed)
                    }
                    dt { "Clocks" } dd { (t.clocks) }
                    @for assumed in &t.assumed {
                        dt { "Assumed" } dd { (assumed) }
                    }
                }
                dt { "Run time" } dd { (format!("{:.1} s", input.summary.elapsed_s)) }
            }
            @if !input.settings.is_empty() {
                details { summary { "All settings" } pre { (input.settings) } }
            }
        }
        footer.quiet {
            "Proposals of a machine, to be judged by a pilot. Belief is the network's own estimate, calibrated on its \
             validation data; it is not a guarantee."
        }
    }
}

/// `1 frame`, `2 frames`.
fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A colour with its word, for a legend.
fn key(class: &str, word: &str) -> Markup {
    html! { span.item { span.key.(class) {} (word) } }
}

/// A picture inside the page.
fn data_uri(mime: &str, bytes: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("data:{mime};base64,{text}")
}

/// The tone of a decision: `go`, `wait` or `stop`.
fn tone(line: &DecisionLine) -> &'static str {
    match (line.outcome, line.monitor.as_str()) {
        (OutcomeKind::Site, _) => "go",
        (OutcomeKind::Hold, "ABORT") => "stop",
        (OutcomeKind::Hold, _) => "wait",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::{Provenance, SiteLine, SiteStateKind, SkippedFrame, Tally};
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// A decision with a site on every frame; a hold watches it.
    pub(crate) fn line(seq: u64, outcome: OutcomeKind) -> DecisionLine {
        DecisionLine {
            seq,
            source: format!("frame_{seq:04}.jpg"),
            captured_at_s: seq as f64 * 0.5,
            latency_ms: 40.0 + (seq % 7) as f64,
            outcome,
            reason: (outcome == OutcomeKind::Hold).then(|| "monitor waits".into()),
            site: Some(SiteLine {
                id: 3,
                state: SiteStateKind::Confirmed,
                px: Some([10.0, 20.0]),
                radius_px: 30.0,
                north_m: 1.0,
                east_m: 2.0,
                radius_m: 1.0,
                clearance_m: 2.5,
                surface: Surface::Soft,
                belief: 0.93,
                confirmations: 4,
            }),
            alternates: Vec::new(),
            rejected: BTreeMap::from([("near_person".into(), 10)]),
            monitor: "GO".into(),
            monitor_reasons: Vec::new(),
        }
    }

    fn rows(lines: impl Iterator<Item = DecisionLine>, thumbnail_bytes: usize) -> Vec<FrameRow> {
        lines
            .map(|line| FrameRow {
                line,
                thumbnail: (thumbnail_bytes > 0).then(|| vec![7; thumbnail_bytes]),
            })
            .collect()
    }

    fn summary(rows: &[FrameRow]) -> Summary {
        let mut tally = Tally::new(Provenance {
            alight: "0.1.0".into(),
            input: "a/folder".into(),
            model: "landing.onnx".into(),
            model_sha256: "abc123".into(),
            config_sha256: "def456".into(),
        });
        for row in rows {
            tally.decided(&row.line);
        }
        tally.finish(Duration::from_secs(3))
    }

    fn written(rows: &[FrameRow], summary: &Summary, map: Option<&ReportMap>) -> String {
        let input = ReportInput {
            events: &[],
            title: "Test flight",
            date: "2026-01-02",
            frames: rows,
            summary,
            map,
            settings: "a = 1",
        };
        let mut out = Vec::new();
        write(&input, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Tags are closed in the order in which they were opened.
    fn assert_well_formed(html: &str) {
        let body = html
            .trim_start_matches("<!DOCTYPE html>")
            .replace("<meta charset=\"utf-8\">", "");
        let mut open: Vec<&str> = Vec::new();
        for part in body.split('<').skip(1) {
            let tag = part.split('>').next().unwrap();
            let name = tag.split([' ', '/']).find(|s| !s.is_empty()).unwrap();
            match name {
                "meta" | "img" => {}
                name if tag.starts_with('/') => assert_eq!(open.pop(), Some(name)),
                name => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn what_comes_from_files_is_escaped() {
        let evil = "<script>alert('1')</script>\"&";
        let mut l = line(0, OutcomeKind::Hold);
        l.source = evil.into();
        l.reason = Some(evil.into());
        l.monitor_reasons = vec![evil.into()];
        l.rejected = BTreeMap::from([(evil.into(), 1)]);
        let rows = rows([l].into_iter(), 10);
        let mut s = summary(&rows);
        s.provenance.input = evil.into();
        s.provenance.alight = evil.into();
        s.warnings = vec![evil.into()];
        s.warning_count = 1;
        s.skipped = 1;
        s.skipped_frames = vec![SkippedFrame {
            seq: 1,
            source: evil.into(),
            reason: evil.into(),
        }];
        let input = ReportInput {
            events: &[EventLine {
                at_s: 1.0,
                text: evil.into(),
            }],
            title: evil,
            date: evil,
            frames: &rows,
            summary: &s,
            map: None,
            settings: evil,
        };
        let mut out = Vec::new();
        write(&input, &mut out).unwrap();
        let html = String::from_utf8(out).unwrap();
        assert!(!html.contains("<script") && !html.contains("'1')</script>"));
        assert!(html.matches("&lt;script&gt;").count() >= 12);
        assert!(!html.contains("</script>\""));
        assert_well_formed(&html);
    }

    #[test]
    fn nothing_is_fetched_and_no_script_runs() {
        let rows = rows((0..4).map(|i| line(i, OutcomeKind::Site)), 10);
        let html = written(&rows, &summary(&rows), None);
        for outside in [
            "http:", "https:", "<script", "<link", "url(", "@import", "src=\"/",
        ] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert_eq!(html.matches("data:image/jpeg;base64,").count(), 4);
    }

    #[test]
    fn a_run_without_frames_says_so() {
        let html = written(&[], &summary(&[]), None);
        assert!(html.contains("Nothing was decided"));
        assert!(!html.contains("NaN") && !html.contains("Timeline"));
        assert_well_formed(&html);
    }

    #[test]
    fn a_run_of_holds_says_so() {
        let rows = rows(
            (0..5).map(|i| DecisionLine {
                site: None,
                captured_at_s: f64::NAN,
                latency_ms: f64::NAN,
                ..line(i, OutcomeKind::Hold)
            }),
            0,
        );
        let html = written(&rows, &summary(&rows), None);
        assert!(html.contains("No safe landing site in any of"));
        assert!(html.contains("5 frames") && !html.contains("NaN"));
        assert_well_formed(&html);
    }

    #[test]
    fn the_verdict_counts_sites_and_holds() {
        let outcome = |i| {
            if i < 3 {
                OutcomeKind::Site
            } else {
                OutcomeKind::Hold
            }
        };
        let rows = rows((0..4).map(|i| line(i, outcome(i))), 0);
        let html = written(&rows, &summary(&rows), None);
        assert!(html.contains("3 of 4 frames</b> (75 %); hold, with a reason, in <b>1</b>"));
    }

    #[test]
    fn long_runs_stay_small_and_show_every_change() {
        let changes = [123, 200, 377];
        let outcome = |i| {
            if changes.contains(&i) {
                OutcomeKind::Hold
            } else {
                OutcomeKind::Site
            }
        };
        let few = rows((0..500).map(|i| line(i, outcome(i))), 15_000);
        let html = written(&few, &summary(&few), None);
        let thumbnails = html.matches("<figure>").count();
        assert!((60..=66).contains(&thumbnails), "{thumbnails}");
        for i in changes {
            assert!(
                html.contains(&format!("alt=\"Overlay of frame {i}\"")),
                "{i}"
            );
        }
        assert!(html.contains(&format!("Shown: {thumbnails} of 500 frames")));
        assert!(html.len() < 2_000_000, "{}", html.len());
        assert_well_formed(&html);

        let flicker = |i| {
            if i % 2 == 0 {
                OutcomeKind::Hold
            } else {
                OutcomeKind::Site
            }
        };
        let many = rows((0..20_000).map(|i| line(i, flicker(i))), 500);
        let html = written(&many, &summary(&many), None);
        assert!(html.matches("<figure>").count() <= 120);
        assert!(html.contains("One in 20 of 20000 decisions"));
        assert!(html.len() < 1_500_000, "{}", html.len());
    }

    #[test]
    fn only_sites_of_the_maps_frames_are_drawn() {
        let mut lines = [line(0, OutcomeKind::Site), line(1, OutcomeKind::Site)];
        lines[1].site.as_mut().unwrap().id = 77;
        let rows = rows(lines.into_iter(), 0);
        let map = ReportMap {
            snapshot: MapSnapshot {
                north_max_m: 5.0,
                east_min_m: -5.0,
                cell_m: 1.0,
                width: 10,
                height: 10,
                surface: vec![Surface::Soft as u8; 100],
                clearance_m: vec![2.0; 100],
            },
            frames: 1..=1,
        };
        let html = written(&rows, &summary(&rows), Some(&map));
        assert!(html.contains("data:image/png;base64,"));
        assert!(html.contains("site 77 (confirmed)") && !html.contains("site 3 (confirmed)"));
        assert_well_formed(&html);
    }
}
