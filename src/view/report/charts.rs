//! The timeline: outcome, belief, clearance and latency over the frames, as SVG that stretches with the page. Words
//! stand outside the drawings, so that they keep their size on narrow pages.

use maud::{Markup, html};

use super::{FrameRow, key};
use crate::record::{DecisionLine, OutcomeKind};

/// Most columns of a chart: longer runs share columns.
const COLUMNS: usize = 240;
/// Width of a drawing, in its own units.
const WIDTH: f64 = 1000.0;
/// Height of a curve's drawing.
const HEIGHT: f64 = 100.0;

/// One curve's name, unit and value a frame.
struct Curve {
    name: &'static str,
    unit: &'static str,
    decimals: usize,
    /// Fixed upper end of the axis, if it has one.
    top: Option<f64>,
    value: fn(&DecisionLine) -> f64,
}

const CURVES: [Curve; 3] = [
    Curve {
        name: "Belief",
        unit: "",
        decimals: 2,
        top: Some(1.0),
        value: |l| l.site.as_ref().map_or(f64::NAN, |s| s.belief),
    },
    Curve {
        name: "Clearance",
        unit: " m",
        decimals: 1,
        top: None,
        value: |l| l.site.as_ref().map_or(f64::NAN, |s| s.clearance_m),
    },
    Curve {
        name: "Latency",
        unit: " ms",
        decimals: 0,
        top: None,
        value: |l| l.latency_ms,
    },
];

/// The section; empty without frames.
pub(super) fn timeline(frames: &[FrameRow]) -> Markup {
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
        return html! {};
    };
    let columns = columns(frames);
    html! {
        section {
            h2 { "Timeline" }
            div.timeline {
                div.axis { b { "Outcome" } }
                (strip(&columns))
                @for curve in &CURVES { (chart(curve, &columns)) }
                div.axis {}
                div.ticks {
                    span { "frame " (first.line.seq) (moment(&first.line)) }
                    span { "frame " (last.line.seq) (moment(&last.line)) }
                }
            }
            p.legend {
                (key("go", "site offered"))
                (key("wait", "hold"))
                (key("stop", "hold, monitor veto"))
                @if columns.len() < frames.len() {
                    span.quiet { "Each column stands for up to " (frames.len().div_ceil(COLUMNS)) " frames: the line is their mean, the band their range." }
                }
            }
        }
    }
}

fn moment(line: &DecisionLine) -> String {
    if line.captured_at_s.is_finite() {
        format!(" · {:.1} s", line.captured_at_s)
    } else {
        String::new()
    }
}

/// Frames that share a column, in order.
fn columns(frames: &[FrameRow]) -> Vec<&[FrameRow]> {
    frames
        .chunks(frames.len().div_ceil(COLUMNS).max(1))
        .collect()
}

/// Where a column starts.
fn x(column: usize, columns: usize) -> f64 {
    WIDTH * column as f64 / columns.max(1) as f64
}

fn strip(columns: &[&[FrameRow]]) -> Markup {
    let n = columns.len();
    html! {
        svg.strip viewBox={ "0 0 " (WIDTH) " 20" } preserveAspectRatio="none" role="img" aria-label="Outcome over time" {
            @for (i, frames) in columns.iter().enumerate() {
                @let left = x(i, n);
                @let width = x(i + 1, n) - left;
                @for (tone, from, part) in parts(frames) {
                    rect.(tone) x=(round(left)) width=(round(width)) y=(round(20.0 * from)) height=(round(20.0 * part)) {}
                }
                rect.hover x=(round(left)) width=(round(width)) y="0" height="20" { title { (outcome_title(frames)) } }
            }
        }
    }
}

/// The tones of a column with where each starts and its share, so that a hold among sites stays visible.
fn parts(frames: &[FrameRow]) -> Vec<(&'static str, f64, f64)> {
    let mut from = 0.0;
    let mut parts = Vec::new();
    for tone in ["go", "wait", "stop"] {
        let n = frames
            .iter()
            .filter(|f| super::tone(&f.line) == tone)
            .count();
        let part = n as f64 / frames.len().max(1) as f64;
        if n > 0 {
            parts.push((tone, from, part));
        }
        from += part;
    }
    parts
}

fn outcome_title(frames: &[FrameRow]) -> String {
    match frames {
        [one] => {
            let why = one
                .line
                .reason
                .as_deref()
                .unwrap_or("confirmed, monitor GO");
            format!(
                "frame {} · {}\n{}: {why}",
                one.line.seq,
                one.line.source,
                one.line.outcome.name()
            )
        }
        many => {
            let sites = many
                .iter()
                .filter(|f| f.line.outcome == OutcomeKind::Site)
                .count();
            format!("{}\n{sites} of {} with a site", span(many), many.len())
        }
    }
}

fn span(frames: &[FrameRow]) -> String {
    match frames {
        [] => String::new(),
        [one] => format!("frame {}", one.line.seq),
        [first, .., last] => format!("frames {} to {}", first.line.seq, last.line.seq),
    }
}

/// Smallest, mean and largest of a curve's finite values in a column.
fn range(curve: &Curve, frames: &[FrameRow]) -> Option<[f64; 3]> {
    let values: Vec<f64> = frames
        .iter()
        .map(|f| (curve.value)(&f.line))
        .filter(|v| v.is_finite())
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some([low, mean, high])
}

fn chart(curve: &Curve, columns: &[&[FrameRow]]) -> Markup {
    let ranges: Vec<Option<[f64; 3]>> = columns.iter().map(|f| range(curve, f)).collect();
    let largest = ranges.iter().flatten().map(|r| r[2]).fold(0.0, f64::max);
    let top = curve.top.unwrap_or_else(|| nice_top(largest));
    let y = |v: f64| HEIGHT * (1.0 - (v / top).clamp(0.0, 1.0));
    let n = columns.len();
    html! {
        div.axis {
            b { (curve.name) }
            span { (number(top, curve)) }
            span { "0" }
        }
        svg.curve viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ (curve.name) " over time" } {
            @for quarter in 1..4 {
                @let level = HEIGHT * f64::from(quarter) / 4.0;
                line.grid x1="0" x2=(WIDTH) y1=(level) y2=(level) {}
            }
            @if columns.iter().any(|f| f.len() > 1) { path.band d=(band(&ranges, &y)) {} }
            path.area d=(area(&ranges, &y)) {}
            path.line d=(line(&ranges, &y)) {}
            @for (i, (frames, r)) in columns.iter().zip(&ranges).enumerate() {
                rect.hover x=(round(x(i, n))) width=(round(x(i + 1, n) - x(i, n))) y="0" height=(HEIGHT) {
                    title { (span(frames)) "\n" (curve.name) " " (title(r.as_ref(), curve)) }
                }
            }
        }
    }
}

fn title(range: Option<&[f64; 3]>, curve: &Curve) -> String {
    match range {
        None => "none".to_owned(),
        Some([low, mean, high]) if high > low => format!(
            "{} ({} to {})",
            number(*mean, curve),
            number(*low, curve),
            number(*high, curve)
        ),
        Some([_, mean, _]) => number(*mean, curve),
    }
}

fn number(v: f64, curve: &Curve) -> String {
    format!("{v:.*}{}", curve.decimals, curve.unit)
}

/// A round number at or above `largest`, positive.
fn nice_top(largest: f64) -> f64 {
    if !(1e-6..1e12).contains(&largest) {
        return 1.0;
    }
    let power = 10f64.powi(largest.log10().floor() as i32);
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|top| *top >= largest)
        .unwrap_or(10.0 * power)
}

/// Runs of neighbouring columns that have a value, as `(column, range)`.
fn runs(ranges: &[Option<[f64; 3]>]) -> Vec<Vec<(usize, [f64; 3])>> {
    let with_index: Vec<_> = ranges.iter().copied().enumerate().collect();
    with_index
        .split(|(_, r)| r.is_none())
        .map(|run| run.iter().filter_map(|(i, r)| Some((*i, (*r)?))).collect())
        .filter(|run: &Vec<_>| !run.is_empty())
        .collect()
}

/// A run as steps of a path: each column is as wide as its frames, so that single frames show.
fn steps(run: &[(usize, [f64; 3])], n: usize, y: impl Fn(&[f64; 3]) -> f64) -> Vec<[f64; 2]> {
    run.iter()
        .flat_map(|(i, r)| [[x(*i, n), y(r)], [x(i + 1, n), y(r)]])
        .collect()
}

fn path(points: &[[f64; 2]]) -> String {
    let words: Vec<String> = points
        .iter()
        .map(|[x, y]| format!("{} {}", round(*x), round(*y)))
        .collect();
    format!("M{}", words.join("L"))
}

fn line(ranges: &[Option<[f64; 3]>], y: &impl Fn(f64) -> f64) -> String {
    runs(ranges)
        .iter()
        .map(|run| path(&steps(run, ranges.len(), |r| y(r[1]))))
        .collect()
}

fn area(ranges: &[Option<[f64; 3]>], y: &impl Fn(f64) -> f64) -> String {
    between(ranges, &|r| y(r[1]), &|_| HEIGHT)
}

fn band(ranges: &[Option<[f64; 3]>], y: &impl Fn(f64) -> f64) -> String {
    between(ranges, &|r| y(r[2]), &|r| y(r[0]))
}

/// The closed shapes between two curves.
fn between(
    ranges: &[Option<[f64; 3]>],
    upper: &impl Fn(&[f64; 3]) -> f64,
    lower: &impl Fn(&[f64; 3]) -> f64,
) -> String {
    runs(ranges)
        .iter()
        .map(|run| {
            let mut points = steps(run, ranges.len(), upper);
            points.extend(steps(run, ranges.len(), lower).into_iter().rev());
            path(&points) + "Z"
        })
        .collect()
}

/// One decimal is a tenth of a pixel.
fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, 1.0)]
    #[case(f64::NAN, 1.0)]
    #[case(0.9, 1.0)]
    #[case(10.0, 10.0)]
    #[case(10.1, 15.0)]
    #[case(73.0, 80.0)]
    #[case(99.0, 100.0)]
    fn axes_end_at_round_numbers(#[case] largest: f64, #[case] want: f64) {
        assert!((nice_top(largest) - want).abs() < 1e-9);
    }

    #[test]
    fn a_gap_splits_the_line() {
        let some = |v: f64| Some([v; 3]);
        let d = line(&[some(1.0), None, some(0.0), some(0.0)], &|v| {
            100.0 * (1.0 - v)
        });
        assert_eq!(d, "M0 0L250 0M500 100L750 100L750 100L1000 100");
        assert_eq!(line(&[None, None], &|v| v), "");
    }

    #[test]
    fn a_band_closes_around_its_range() {
        let d = band(&[Some([0.0, 0.5, 1.0])], &|v| 100.0 * (1.0 - v));
        assert_eq!(d, "M0 0L1000 0L1000 100L0 100Z");
    }
}
