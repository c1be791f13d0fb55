//! What happened in flight: phases, texts to the ground, troubles of devices.

use maud::{Markup, html};

use crate::record::EventLine;

/// Rows of the table.
const ROWS: usize = 500;

/// A table of the events, the first ones when there are too many.
pub(super) fn section(events: &[EventLine]) -> Markup {
    html! {
        @if !events.is_empty() {
            section {
                h2 { "What happened" }
                table {
                    thead { tr { th { "s" } th { "event" } } }
                    tbody {
                        @for e in events.iter().take(ROWS) {
                            tr { td { (format!("{:.1}", e.at_s)) } td { (e.text) } }
                        }
                    }
                }
                @if events.len() > ROWS { p.quiet { "and " (events.len() - ROWS) " more." } }
            }
        }
    }
}
