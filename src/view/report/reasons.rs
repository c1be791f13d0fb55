//! Why places and frames were turned down, as bars.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::record::Summary;
use crate::view::plain;

/// The section.
pub(super) fn section(s: &Summary) -> Markup {
    let words = |m: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
        let mut rows: Vec<_> = m.iter().map(|(k, n)| (plain(k), *n)).collect();
        rows.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        rows
    };
    html! {
        section {
            h2 { "Why not" }
            h3 { "Frames held" }
            (bars(&words(&s.holds_by_reason), Measure::Count, "wait"))
            h3 { "Ground turned down, share of map cells" }
            (bars(&words(&s.rejected), Measure::Share, "plain"))
            h3 { "Monitor objections, frames" }
            (bars(&words(&s.monitor_reasons), Measure::Count, "stop"))
        }
    }
}

#[derive(Clone, Copy)]
enum Measure {
    Count,
    Share,
}

fn bars(rows: &[(String, u64)], measure: Measure, tone: &str) -> Markup {
    let most = rows.iter().map(|&(_, n)| n).max().unwrap_or(0).max(1) as f64;
    let total = rows.iter().map(|&(_, n)| n).sum::<u64>().max(1) as f64;
    html! {
        @if rows.is_empty() {
            p.quiet { "None." }
        } @else {
            ul.bars {
                @for (name, n) in rows {
                    li {
                        span.name { (name) }
                        span.track { span.fill.(tone) style={ "width:" (format!("{:.1}", 100.0 * *n as f64 / most)) "%" } {} }
                        span.number {
                            @match measure {
                                Measure::Count => { (n) },
                                Measure::Share => { (format!("{:.1} %", 100.0 * *n as f64 / total)) },
                            }
                        }
                    }
                }
            }
        }
    }
}
