//! The words below the picture: outcome and reason, the site's figures, the monitor, the legend.

use super::tint::Shown;
use super::{INK, OverlayInput, status_height, type_size};
use crate::inference::classes::Surface;
use crate::landing::{LandingDecision, Outcome, Site, SiteState, Verdict};
use crate::view::canvas::{Area, Canvas, Typeface};
use crate::view::palette::{self, Rgb};
use crate::view::plain;

/// Height of the bar, in type sizes.
pub(super) const ROWS: f32 = 5.4;

const PAPER: Rgb = [17, 22, 31];
const QUIET: Rgb = [160, 170, 186];

/// Draws the bar under the picture, if the picture is wide enough to have one.
pub(super) fn draw(canvas: &mut Canvas, face: &Typeface, input: &OverlayInput, shown: &Shown) {
    let (w, h) = input.picture.dimensions();
    let bar = Area {
        x: 0.0,
        y: h as f32,
        w: w as f32,
        h: status_height(w) as f32,
    };
    if bar.h < 1.0 {
        return;
    }
    canvas.fill(bar, 0.0, PAPER, 1.0);
    let em = type_size(w);
    let row = |i: f32| Row {
        left: em * 0.8,
        right: bar.w - em * 0.8,
        y: bar.y + em * (1.15 + 1.6 * i),
        em,
    };
    draw_outcome(canvas, face, input.decision, row(0.0));
    draw_figures(canvas, face, input, row(1.0));
    draw_legend(canvas, face, shown, row(2.0));
}

/// One line of the bar, pixels.
#[derive(Clone, Copy)]
struct Row {
    left: f32,
    right: f32,
    y: f32,
    em: f32,
}

fn draw_outcome(canvas: &mut Canvas, face: &Typeface, decision: &LandingDecision, row: Row) {
    let Row { left, right, y, em } = row;
    let (badge, headline) = match decision.outcome {
        Outcome::Site => ("SITE", "safe patch found"),
        Outcome::Hold(why) => ("HOLD", why.text()),
    };
    let badge_w = face.width(badge, em) + em;
    let area = Area {
        x: left,
        y: y - em * 0.65,
        w: badge_w,
        h: em * 1.3,
    };
    canvas.fill(area, em * 0.3, palette::outcome(decision.outcome), 1.0);
    canvas.text(face, badge, [left + em * 0.5, y], (em, INK));

    let monitor = monitor_words(decision);
    let start = left + badge_w + em * 0.6;
    let headline = face.fitted(headline, em, right - start);
    let end = canvas.text(face, &headline, [start, y], (em, INK)) + em;
    let monitor = face.fitted(&monitor, em, right - end);
    let colour = match decision.monitor {
        Verdict::Go => palette::GO,
        Verdict::Wait => palette::WAIT,
        Verdict::Abort => palette::STOP,
    };
    let x = right - face.width(&monitor, em);
    canvas.text(face, &monitor, [x, y], (em, colour));
}

fn monitor_words(decision: &LandingDecision) -> String {
    let mut words = format!("monitor {}", decision.monitor.text());
    for (i, reason) in decision.monitor_reasons.iter().enumerate() {
        words += if i == 0 { ": " } else { ", " };
        words += &plain(reason.key());
    }
    words
}

fn draw_figures(canvas: &mut Canvas, face: &Typeface, input: &OverlayInput, row: Row) {
    let Row { left, right, y, em } = row;
    let em = em * 0.92;
    let decision = input.decision;
    let place = match input.view {
        Some(view) => format!(
            "frame {} · {:.1} m up",
            decision.seq,
            view.camera_height_m()
        ),
        None => format!("frame {}", decision.seq),
    };
    let place_w = face.width(&place, em);
    let figures = match &decision.site {
        Some(site) => site_words(site, decision.alternates.len()),
        None => main_rejects(decision),
    };
    let figures = face.fitted(&figures, em, right - left - place_w - em);
    canvas.text(face, &figures, [left, y], (em, INK));
    let place = face.fitted(&place, em, right - left);
    let x = right - face.width(&place, em);
    canvas.text(face, &place, [x, y], (em, QUIET));
}

fn site_words(site: &Site, alternates: usize) -> String {
    let state = match site.state {
        SiteState::Candidate => "candidate",
        SiteState::Confirmed => "confirmed",
    };
    let more = match alternates {
        0 => String::new(),
        n => format!(" · {n} more"),
    };
    format!(
        "site {} {state} ({}x) · belief {:.2} · clearance {:.1} m · {}{more}",
        site.id,
        site.confirmations,
        site.belief,
        site.clearance_m,
        palette::label(site.surface),
    )
}

/// The three commonest reasons why places were not offered.
fn main_rejects(decision: &LandingDecision) -> String {
    let mut counts: Vec<_> = decision.rejected.iter().collect();
    counts.sort_by_key(|&(_, cells)| std::cmp::Reverse(cells));
    let total: u64 = counts.iter().map(|&(_, cells)| u64::from(cells)).sum();
    let parts: Vec<String> = counts
        .iter()
        .take(3)
        .map(|(reason, cells)| {
            let share = 100.0 * f64::from(*cells) / total.max(1) as f64;
            format!("{} {share:.0} %", plain(reason.key()))
        })
        .collect();
    if parts.is_empty() {
        "no site".to_owned()
    } else {
        format!("rejected: {}", parts.join(", "))
    }
}

/// A swatch and a word for each surface that covers at least a thousandth of the picture; people and vehicles always.
fn draw_legend(canvas: &mut Canvas, face: &Typeface, shown: &Shown, row: Row) {
    let Row { left, right, y, em } = row;
    let em = em * 0.85;
    let total: u32 = shown.iter().sum();
    let mut x = left;
    for (surface, &cells) in Surface::ALL.into_iter().zip(shown) {
        let is_shown = cells * 1000 > total || (surface.moves() && cells > 0);
        let word = palette::label(surface);
        let w = em * 1.3 + face.width(word, em);
        if !is_shown || x + w > right {
            continue;
        }
        let swatch = Area {
            x,
            y: y - em * 0.45,
            w: em * 0.9,
            h: em * 0.9,
        };
        canvas.fill(swatch, em * 0.2, palette::surface(surface), 1.0);
        canvas.text(face, word, [x + em * 1.3, y], (em, QUIET));
        x += w + em * 1.2;
    }
}
