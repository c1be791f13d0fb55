//! The frames one by one: a gallery of thumbnails and a table.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{FrameRow, data_uri, tone};
use crate::record::SiteLine;
use crate::view::plain;

/// Thumbnails spread evenly over the run.
const SPREAD: usize = 60;
/// Thumbnails of frames whose outcome or reason differs from the frame before.
const CHANGES: usize = 60;
/// Rows of the table.
const ROWS: usize = 1000;

/// Which frames to show: those with a thumbnail, all if few, else evenly spread ones and the changes. In order.
fn shown(frames: &[FrameRow]) -> BTreeSet<usize> {
    let pictured: Vec<usize> = (0..frames.len())
        .filter(|&i| frames.get(i).is_some_and(|f| f.thumbnail.is_some()))
        .collect();
    if pictured.len() <= SPREAD {
        return pictured.into_iter().collect();
    }
    let last = pictured.len() - 1;
    let spread = (0..SPREAD).filter_map(|i| pictured.get(i * last / (SPREAD - 1)).copied());
    let changed: Vec<usize> = frames
        .windows(2)
        .enumerate()
        .filter_map(|(i, pair)| match pair {
            [a, b] if tone(&a.line) != tone(&b.line) || a.line.reason != b.line.reason => {
                Some(i + 1)
            }
            _ => None,
        })
        .filter(|i| pictured.binary_search(i).is_ok())
        .collect();
    let stride = changed.len().div_ceil(CHANGES).max(1);
    spread.chain(changed.into_iter().step_by(stride)).collect()
}

/// The thumbnails with their outcomes.
pub(super) fn gallery(frames: &[FrameRow]) -> Markup {
    let shown = shown(frames);
    html! {
        @if !shown.is_empty() {
            section {
                h2 { "Frames" }
                @if shown.len() < frames.len() {
                    p.quiet { "Shown: " (shown.len()) " of " (frames.len()) " frames, spread evenly, and those where the decision changed." }
                }
                div.gallery {
                    @for frame in shown.iter().filter_map(|&i| frames.get(i)) { (figure(frame)) }
                }
            }
        }
    }
}

fn figure(frame: &FrameRow) -> Markup {
    let l = &frame.line;
    html! {
        figure {
            @if let Some(jpeg) = &frame.thumbnail {
                img src=(data_uri("image/jpeg", jpeg)) loading="lazy" alt={ "Overlay of frame " (l.seq) };
            }
            figcaption {
                div.row { span.badge.(tone(l)) { (l.outcome.name()) } b { "frame " (l.seq) } span.file title=(l.source) { (l.source) } }
                @match (&l.reason, &l.site) {
                    (Some(why), _) => { div.quiet { (why) (objections(&l.monitor_reasons)) } },
                    (None, Some(site)) => { div.quiet { (figures(site)) } },
                    (None, None) => {},
                }
            }
        }
    }
}

fn figures(site: &SiteLine) -> String {
    format!(
        "{} · belief {} · {} m clear",
        site.surface.name(),
        number(site.belief, 2),
        number(site.clearance_m, 1)
    )
}

fn objections(reasons: &[String]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let words: Vec<String> = reasons.iter().map(|r| plain(r)).collect();
    format!(": {}", words.join(", "))
}

/// A number, or a dash where there is none.
fn number(v: f64, decimals: usize) -> String {
    if v.is_finite() {
        format!("{v:.decimals$}")
    } else {
        "–".to_owned()
    }
}

/// Every decision as a row, folded away.
pub(super) fn table(frames: &[FrameRow]) -> Markup {
    let stride = frames.len().div_ceil(ROWS).max(1);
    html! {
        @if !frames.is_empty() {
            section {
                h2 { "Decisions" }
                details {
                    summary {
                        @if stride == 1 { "All " (frames.len()) " decisions" }
                        @else { "One in " (stride) " of " (frames.len()) " decisions; all stand in decisions.jsonl" }
                    }
                    div.scroll {
                        table {
                            thead { tr {
                                th { "Frame" } th { "Source" } th.n { "Time, s" } th { "Outcome" } th { "Reason" }
                                th.n { "Site" } th { "Surface" } th.n { "Belief" } th.n { "Clearance, m" }
                                th.n { "North, m" } th.n { "East, m" } th { "Monitor" } th.n { "Latency, ms" }
                            } }
                            tbody { @for frame in frames.iter().step_by(stride) { (row(frame)) } }
                        }
                    }
                }
            }
        }
    }
}

fn row(frame: &FrameRow) -> Markup {
    let l = &frame.line;
    let site = l.site.as_ref();
    let figure = |pick: fn(&SiteLine) -> f64, decimals: usize| {
        site.map_or_else(String::new, |s| number(pick(s), decimals))
    };
    html! {
        tr {
            td { (l.seq) }
            td.file { (l.source) }
            td.n { (number(l.captured_at_s, 2)) }
            td { span.badge.(tone(l)) { (l.outcome.name()) } }
            td { (l.reason.as_deref().unwrap_or("")) }
            td.n { @if let Some(s) = site { (s.id) } }
            td { @if let Some(s) = site { (s.surface.name()) } }
            td.n { (figure(|s| s.belief, 3)) }
            td.n { (figure(|s| s.clearance_m, 2)) }
            td.n { (figure(|s| s.north_m, 2)) }
            td.n { (figure(|s| s.east_m, 2)) }
            td { (l.monitor) (objections(&l.monitor_reasons)) }
            td.n { (number(l.latency_ms, 1)) }
        }
    }
}
