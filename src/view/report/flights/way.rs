//! The way of one flight as drawings: from above, and its height over time.

use maud::{Markup, html};

use super::super::data_uri;
use super::GroundPicture;
use crate::record::{TouchdownLine, TrackPoint};

/// Width of the drawings, in their own units.
const WIDTH: f64 = 640.0;
/// Height of the chart.
const CHART: f64 = 220.0;
/// Room around the way, metres.
const ROOM_M: f64 = 12.0;
/// Points drawn at most.
const POINTS: usize = 1500;

/// The colour of a phase.
pub(super) fn colour(phase: &str) -> &'static str {
    match phase {
        "searching" => "#f59e0b",
        "approaching" => "#0ea5e9",
        "descending" => "#22c55e",
        "committed" | "landed" => "#15803d",
        "aborted" => "#e11d48",
        "handed-back" => "#a855f7",
        _ => "#94a3b8",
    }
}

/// What is drawn.
pub(super) struct Drawing<'a> {
    track: Vec<TrackPoint>,
    touchdown: Option<&'a TouchdownLine>,
    ground: Option<&'a GroundPicture>,
    /// West, north, east and south edges, metres.
    edges: [f64; 4],
}

impl<'a> Drawing<'a> {
    pub(super) fn of(
        track: &[TrackPoint],
        touchdown: Option<&'a TouchdownLine>,
        ground: Option<&'a GroundPicture>,
    ) -> Self {
        let stride = track.len().div_ceil(POINTS).max(1);
        let track: Vec<TrackPoint> = track.iter().copied().step_by(stride).collect();
        let mut edges = [f64::MAX, f64::MIN, f64::MIN, f64::MAX];
        let sites = track.iter().filter_map(|p| p.site_m);
        for [north, east] in track.iter().map(|p| [p.north_m, p.east_m]).chain(sites) {
            let [west, top, right, south] = &mut edges;
            (*west, *right) = (west.min(east), right.max(east));
            (*top, *south) = (top.max(north), south.min(north));
        }
        let [west, north, east, south] = edges;
        Self {
            track,
            touchdown,
            ground,
            edges: [west - ROOM_M, north + ROOM_M, east + ROOM_M, south - ROOM_M],
        }
    }

    /// Runs of points of one phase; each begins where the one before ended.
    fn runs(&self) -> Vec<&[TrackPoint]> {
        let mut runs = Vec::new();
        let mut start = 0;
        for (i, pair) in self.track.windows(2).enumerate() {
            if let [a, b] = pair
                && a.phase != b.phase
            {
                runs.extend(self.track.get(start..i + 2));
                start = i + 1;
            }
        }
        runs.extend(self.track.get(start..).filter(|r| !r.is_empty()));
        runs
    }

    /// From above.
    pub(super) fn map(&self) -> Markup {
        let [west, north, east, south] = self.edges;
        if self.track.is_empty() {
            return html! { p.quiet { "Nothing was flown." } };
        }
        let scale = WIDTH / (east - west);
        let x = |e: f64| round((e - west) * scale);
        let y = |n: f64| round((north - n) * scale);
        let height = round((north - south) * scale);
        let site = self.track.iter().rev().find_map(|p| p.site_m);
        html! {
            svg.map viewBox={ "0 0 " (WIDTH) " " (height) } {
                @if let Some(g) = self.ground {
                    @let [left, top, width, tall] = g.box_m;
                    image x=(x(left)) y=(y(top)) width=(round(width * scale)) height=(round(tall * scale))
                        preserveAspectRatio="none" href=(data_uri("image/jpeg", &g.jpeg)) {}
                }
                @for run in self.runs() {
                    @let d = path(run.iter().map(|p| [x(p.east_m), y(p.north_m)]));
                    path d=(d) fill="none" stroke="#0b0f16" stroke-width="5" stroke-linejoin="round" opacity="0.6" {}
                    path d=(d) fill="none" stroke=(run.first().map_or("#fff", |p| colour(p.phase))) stroke-width="3" stroke-linejoin="round" {}
                }
                @if let Some([n, e]) = site {
                    @let (u, v) = (x(e), y(n));
                    path d={ "M" (u - 8.0) " " (v) "H" (u + 8.0) "M" (u) " " (v - 8.0) "V" (v + 8.0) } stroke="#fff" stroke-width="2.5" {}
                }
                @if let Some(t) = self.touchdown {
                    circle cx=(x(t.east_m)) cy=(y(t.north_m)) r=(round((0.5 * scale).max(5.0))) fill="#22c55e" fill-opacity="0.5" stroke="#fff" stroke-width="2" {
                        title { (t.surface.name()) }
                    }
                }
            }
        }
    }

    /// Height over time.
    pub(super) fn heights(&self) -> Markup {
        let (Some(last), Some(top)) = (
            self.track.last().map(|p| p.at_s.max(1.0)),
            self.track.iter().map(|p| p.height_m).max_by(f64::total_cmp),
        ) else {
            return html! { p.quiet { "Nothing was flown." } };
        };
        let top = top.max(1.0) * 1.05;
        let x = |t: f64| round(t / last * WIDTH);
        let y = |h: f64| round(CHART * (1.0 - h / top));
        html! {
            svg.curve viewBox={ "0 0 " (WIDTH) " " (CHART) } style="height:auto;width:100%" {
                @for i in 1..4 { @let at = CHART * f64::from(i) / 4.0; line.grid x1="0" x2=(WIDTH) y1=(at) y2=(at) {} }
                @for run in self.runs() {
                    path d=(path(run.iter().map(|p| [x(p.at_s), y(p.height_m)]))) fill="none" stroke-width="3"
                        stroke=(run.first().map_or("#fff", |p| colour(p.phase))) {}
                }
            }
            div.ticks { span { "0 s" } span { "top " (format!("{top:.0} m")) } span { (format!("{last:.0} s")) } }
        }
    }
}

fn path(points: impl Iterator<Item = [f64; 2]>) -> String {
    use std::fmt::Write as _;
    let mut d = String::new();
    for (i, [x, y]) in points.enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(d, "{}{x} {y}", if i == 0 { 'M' } else { 'L' });
    }
    d
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}
