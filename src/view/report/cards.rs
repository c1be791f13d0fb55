//! The key figures of a run.

use maud::{Markup, html};

use crate::record::{Spread, Summary};

/// The section.
pub(super) fn section(s: &Summary) -> Markup {
    let spread = |v: &Option<Spread>, pick: fn(&Spread) -> f64, decimals: usize| {
        v.as_ref().map(|v| format!("{:.decimals$}", pick(v)))
    };
    let range = |v: &Option<Spread>, decimals: usize, unit: &str| {
        v.as_ref().map_or_else(String::new, |v| {
            format!("{:.decimals$} to {:.decimals$}{unit}", v.min, v.max)
        })
    };
    html! {
        section.cards aria-label="Key figures" {
            (card("Frames decided", Some(s.frames.to_string()), "", &format!("{} skipped", s.skipped)))
            (card("Sites offered", Some(s.sites.to_string()), "", &format!("{} holds", s.holds)))
            (card("Mean belief", spread(&s.belief, |v| v.mean, 2), "", &range(&s.belief, 2, "")))
            (card("Mean clearance", spread(&s.clearance_m, |v| v.mean, 1), "m", &range(&s.clearance_m, 1, " m")))
            (card("Latency, median", spread(&s.latency_ms, |v| v.p50, 0), "ms",
                &spread(&s.latency_ms, |v| v.p95, 0).map_or_else(String::new, |v| format!("95 % within {v} ms"))))
        }
    }
}

pub(super) fn card(name: &str, value: Option<String>, unit: &str, note: &str) -> Markup {
    html! {
        div.card {
            div.name { (name) }
            div.value {
                @match value {
                    Some(v) => { (v) @if !unit.is_empty() { small { " " (unit) } } },
                    None => { span.quiet { "none" } },
                }
            }
            div.note { (note) }
        }
    }
}
