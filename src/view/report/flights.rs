//! Reports of simulated flights: a campaign in figures, or one flight with its way, what happened, and pictures.

mod way;

use std::io::Write;

use maud::{Markup, html};

use super::cards::card;
use super::{FrameRow, document, frames, mark};
use crate::record::{CampaignSummary, EventLine, Failed, FlightLine, Rate, TrackPoint};
use way::Drawing;

/// Rows of a table at most.
const ROWS: usize = 400;
/// Bars of a histogram.
const BARS: usize = 12;

/// The ground under a flight, as it truly is.
#[derive(Debug, Clone)]
pub struct GroundPicture {
    /// A JPEG, north up.
    pub jpeg: Vec<u8>,
    /// Metres: its west and north edges, width and height.
    pub box_m: [f64; 4],
}

/// One flight and all that is shown of it.
#[derive(Debug, Clone, Copy)]
pub struct FlightInput<'a> {
    /// What it came to.
    pub line: &'a FlightLine,
    /// The way.
    pub track: &'a [TrackPoint],
    /// What happened.
    pub events: &'a [EventLine],
    /// Decided frames, some with pictures.
    pub frames: &'a [FrameRow],
    /// The ground, if it can be shown.
    pub ground: Option<&'a GroundPicture>,
    /// The campaign of this one flight: what flew.
    pub summary: &'a CampaignSummary,
    /// When the report was made, as it shall be read.
    pub date: &'a str,
}

/// Writes the report of a campaign.
///
/// # Errors
/// What `out` says.
pub fn campaign(
    s: &CampaignSummary,
    lines: &[FlightLine],
    date: &str,
    mut out: impl Write,
) -> std::io::Result<()> {
    let body = html! {
        (header("campaign report", &format!("{} flights, {}", s.flights, s.provenance.segmenter), s, date))
        p.verdict { (verdict(s)) }
        (cards(s))
        (autopilots(s))
        div.pair {
            (counts("How flights ended", s.results.iter()))
            (counts("Ground under the touch-downs", s.touchdown_surfaces.iter()))
        }
        (spreads(lines))
        @if !s.faults_happened.is_empty() { (counts("Faults that happened", s.faults_happened.iter())) }
        (list("Flights that were no success", &s.failed))
        (list("Given to the pilot, who took over", &s.given_to_the_pilot))
        (made_of(s))
    };
    let page = document("Simulated flights", &s.provenance.alight, &body);
    out.write_all(page.into_string().as_bytes())
}

/// Writes the report of one flight.
///
/// # Errors
/// What `out` says.
pub fn single(input: &FlightInput<'_>, mut out: impl Write) -> std::io::Result<()> {
    let (l, s) = (input.line, input.summary);
    let title = format!("Flight {} on {}", l.seed, l.autopilot);
    let drawing = Drawing::of(input.track, l.touchdown.as_ref(), input.ground);
    let body = html! {
        (header("flight report", &title, s, input.date))
        p.verdict {
            @if l.success { span.badge.go { "landed" } " It came down as it should." }
            @else { span.badge.stop { (l.result.name()) } " " (l.reason.as_deref().unwrap_or("no reason given")) }
        }
        (flight_cards(l))
        div.pair {
            section { h2 { "Way" } (drawing.map()) p.legend { (phases(input.track)) } p.note { "North is up. The disc is where it came down, the cross the chosen point." } }
            section { h2 { "Height" } (drawing.heights()) (events(input.events)) }
        }
        (frames::gallery(input.frames))
        (made_of(s))
    };
    let page = document(&title, &s.provenance.alight, &body);
    out.write_all(page.into_string().as_bytes())
}

fn header(what: &str, title: &str, s: &CampaignSummary, date: &str) -> Markup {
    html! {
        header {
            div.brand { (mark()) span { "alight" } span.quiet { (what) } }
            h1 { (title) }
            p.quiet {
                span { "World " b { (s.provenance.world) } }
                span { "seed " b { (s.provenance.seed) } }
                span { "segmenter " b { (s.provenance.segmenter) } }
                span { "faults " b { (s.provenance.faults) } }
                @if !date.is_empty() { span { (date) } }
            }
        }
    }
}

fn verdict(s: &CampaignSummary) -> Markup {
    let is_clean = s.touchdown_on_danger.count == 0 && s.touchdown_near_person.count == 0;
    html! {
        @if is_clean { span.badge.go { "no harm" } " No touch-down on water, roofs or vehicles, none within 2 m of a person. " }
        @else { span.badge.stop { "harm" } " Touch-downs on water, roofs or vehicles: " b { (s.touchdown_on_danger.count) }
            ", within 2 m of a person: " b { (s.touchdown_near_person.count) } ". " }
        b { (s.success.count) " of " (s.success.of) } " landed as they should (" (percent(&s.success)) ")."
        @if !s.given_to_the_pilot.is_empty() { " Given to the pilot, who took over: " b { (s.given_to_the_pilot.len()) } "." }
        @if s.without_place > 0 { " Worlds without any place to land: " (s.without_place) ", of which " (s.without_place_held) " were not landed on." }
        @if s.stopped { " The campaign was stopped before its end." }
    }
}

/// `97.3 %, 95 % interval 96.1 to 98.2`.
fn percent(r: &Rate) -> String {
    format!(
        "{:.1} %, 95 % interval {:.1} to {:.1}",
        100.0 * r.share,
        100.0 * r.low,
        100.0 * r.high
    )
}

fn rate_card(name: &str, r: &Rate) -> Markup {
    let note = format!(
        "{} of {}; {:.1} to {:.1} %",
        r.count,
        r.of,
        100.0 * r.low,
        100.0 * r.high
    );
    card(
        name,
        (r.of > 0).then(|| format!("{:.1}", 100.0 * r.share)),
        "%",
        &note,
    )
}

fn cards(s: &CampaignSummary) -> Markup {
    let person = s.person_min_distance_m.map(|d| format!("{:.1}", d.min));
    html! {
        section.cards aria-label="Key figures" {
            (rate_card("Success", &s.success))
            (rate_card("On water, roofs, vehicles", &s.touchdown_on_danger))
            (rate_card("Person within 2 m", &s.person_within_2m))
            (rate_card("False-safe sites offered", &s.false_safe_decisions))
            (card("Nearest person below 10 m", person, "m", "over all flights"))
            (card("Speed", Some(format!("{:.0}", s.real_time_factor_per_core)), "x", "real time, a core"))
            @if let Some(r) = &s.commanded_after_takeover { (rate_card("Commanded after takeover", r)) }
        }
    }
}

fn autopilots(s: &CampaignSummary) -> Markup {
    let median = |v: Option<crate::record::Spread>, unit: &str, decimals: usize| {
        v.map_or_else(
            || "-".to_owned(),
            |v| {
                format!(
                    "{:.decimals$} (95 %: {:.decimals$}, worst {:.decimals$}) {unit}",
                    v.p50, v.p95, v.max
                )
            },
        )
    };
    html! {
        section {
            h2 { "By autopilot" }
            div.scroll { table {
                tr { th { "Autopilot" } th { "Success" } th { "Touch-down from the chosen point, median" } th { "Takeover shown" } th { "Takeover to silence" } }
                @for (name, d) in &s.by_autopilot {
                    tr { td { (name) } td { (d.success.count) " of " (d.success.of) " (" (percent(&d.success)) ")" }
                        td { (median(d.miss_m, "m", 2)) } td { (median(d.shown_ms, "ms", 0)) } td { (median(d.silent_ms, "ms", 0)) } }
                }
            } }
        }
    }
}

fn counts<'a>(title: &str, all: impl Iterator<Item = (&'a String, &'a u64)> + Clone) -> Markup {
    let most = all.clone().map(|(_, n)| *n).max().unwrap_or(1).max(1);
    html! {
        section {
            h2 { (title) }
            ul.bars {
                @for (name, n) in all {
                    li { span { (name) } span.track { span.fill.plain style={ "width:" (100 * n / most) "%" } {} } span.number { (n) } }
                }
            }
        }
    }
}

/// Histograms of what each flight has one of.
fn spreads(lines: &[FlightLine]) -> Markup {
    let miss = lines
        .iter()
        .filter_map(|l| l.touchdown?.miss_m)
        .collect::<Vec<_>>();
    let person = lines
        .iter()
        .filter_map(|l| l.person_min_distance_m)
        .collect::<Vec<_>>();
    let time = lines.iter().map(|l| l.time_s).collect::<Vec<_>>();
    html! {
        div.pair {
            (histogram("Touch-down from the chosen point, m", &miss, 1.2))
            (histogram("Nearest person below 10 m, m", &person, 18.0))
            (histogram("Time to the end, s", &time, 240.0))
        }
    }
}

fn histogram(title: &str, values: &[f64], top: f64) -> Markup {
    let step = top / BARS as f64;
    let mut bars = [0_u64; BARS];
    for v in values {
        let i = ((v / step).max(0.0) as usize).min(BARS - 1);
        if let Some(bar) = bars.get_mut(i) {
            *bar += 1;
        }
    }
    let most = bars.iter().copied().max().unwrap_or(1).max(1);
    html! {
        section {
            h2 { (title) }
            ul.bars {
                @for (i, n) in bars.iter().enumerate() {
                    @let low = i as f64 * step;
                    @let label = if i + 1 == BARS { format!("from {low:.1}") } else { format!("{low:.1} to {:.1}", low + step) };
                    li { span { (label) } span.track { span.fill.plain style={ "width:" (100 * n / most) "%" } {} } span.number { (n) } }
                }
            }
        }
    }
}

fn list(title: &str, flights: &[Failed]) -> Markup {
    html! {
        @if !flights.is_empty() {
            section {
                h2 { (title) }
                div.scroll { table {
                    tr { th { "Seed" } th { "Autopilot" } th { "End" } th { "Why" } }
                    @for f in flights.iter().take(ROWS) {
                        tr { td.n { (f.seed) } td { (f.autopilot) } td { (f.result.name()) } td { (f.reason) } }
                    }
                } }
                @if flights.len() > ROWS { p.quiet { "and " (flights.len() - ROWS) " more." } }
            }
        }
    }
}

fn flight_cards(l: &FlightLine) -> Markup {
    let t = l.touchdown.as_ref();
    html! {
        section.cards aria-label="Key figures" {
            (card("Start height", Some(format!("{:.0}", l.start.height_m)), "m", &format!("wind {:.1} m/s", l.start.wind_m_s)))
            (card("Time", Some(format!("{:.0}", l.time_s)), "s", &format!("{} aborts, {} other sites", l.aborts, l.reroutes)))
            (card("Ground", t.map(|t| t.surface.name().to_owned()), "", &t.map_or_else(String::new, |t| format!("{:.1} m free around", t.clear_radius_m))))
            (card("From the chosen point", t.and_then(|t| t.miss_m).map(|m| format!("{m:.2}")), "m", ""))
            (card("Nearest person below 10 m", l.person_min_distance_m.map(|d| format!("{d:.1}")), "m", ""))
            (card("False-safe sites", Some(l.false_safe_decisions.to_string()), "", &format!("of {} offered", l.site_decisions)))
        }
    }
}

/// The phases of the way, with their colours.
fn phases(track: &[TrackPoint]) -> Markup {
    let mut seen: Vec<&str> = Vec::new();
    for p in track {
        if !seen.contains(&p.phase) {
            seen.push(p.phase);
        }
    }
    html! {
        @for phase in seen {
            span.item { span.key style={ "--c:" (way::colour(phase)) } {} (phase) }
        }
    }
}

fn events(all: &[EventLine]) -> Markup {
    html! {
        h3 { "What happened" }
        div.scroll { table {
            @for e in all.iter().take(ROWS) { tr { td.n { (format!("{:.1} s", e.at_s)) } td { (e.text) } } }
        } }
    }
}

fn made_of(s: &CampaignSummary) -> Markup {
    let p = &s.provenance;
    html! {
        section {
            h2 { "How it was made" }
            dl {
                dt { "alight" } dd { (p.alight) }
                dt { "Segmenter" } dd { (p.segmenter) ", " (p.model) " " code { (p.model_sha256) } }
                dt { "Settings" } dd { code { (p.config_sha256) } }
                dt { "Run time" } dd { (format!("{:.1} s on {} threads", s.elapsed_s, s.threads)) }
            }
        }
        footer.quiet { "Simulated flights: drawn or photographed ground, a simulated autopilot, virtual time." }
    }
}

#[cfg(test)]
mod tests;
