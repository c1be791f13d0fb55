//! The picture that people look at: what the ground was taken for, where the drone would land, and why or why not.
//!
//! The upper part has the picture's own size, so pixels of `decisions.jsonl` are pixels of the overlay; the status bar
//! is added below. Cost at 1280x720 is dominated by the tint, which is integer arithmetic only.

mod status;
mod tint;

use image::RgbImage;

use super::canvas::{Canvas, Dash, Pen, Point, Typeface};
use super::palette::{self, Rgb};
use crate::geometry::{Pixel, View};
use crate::inference::SegmentationMap;
use crate::landing::{LandingDecision, Outcome, Site, SiteState};
use tint::Tint;

const INK: Rgb = [255, 255, 255];
const SHADE: Rgb = [8, 12, 18];

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct OverlayInput<'a> {
    /// The source picture.
    pub picture: &'a RgbImage,
    /// What the network said; without it, the ground is not tinted.
    pub segmentation: Option<&'a SegmentationMap>,
    /// The frame's view to the ground; without it, there is no scale bar and no height.
    pub view: Option<&'a View>,
    /// What was decided on the frame.
    pub decision: &'a LandingDecision,
}

/// Draws overlays; keeps its typeface and its buffers from frame to frame.
#[derive(Debug)]
pub struct Overlay {
    face: Typeface,
    tint: Tint,
}

impl Default for Overlay {
    fn default() -> Self {
        Self::new()
    }
}

impl Overlay {
    /// Ready to draw.
    #[must_use]
    pub fn new() -> Self {
        Self {
            face: Typeface::embedded(),
            tint: Tint::default(),
        }
    }

    /// Draws into `out`, which is made `picture.width() x (picture.height() + status_height(picture.width()))` large.
    pub fn draw(&mut self, input: &OverlayInput, out: &mut RgbImage) {
        let (w, h) = input.picture.dimensions();
        let whole = (w, h + status_height(w));
        if out.dimensions() != whole {
            *out = RgbImage::new(whole.0, whole.1);
        }
        let shown = self.tint.blend(input.picture, input.segmentation, out);
        // Marks stay inside the picture: the status bar is drawn last, over whatever reaches into it.
        let mut canvas = Canvas::new(out);
        draw_sites(&mut canvas, &self.face, input.decision, type_size(w));
        if let Some(view) = input.view {
            draw_scale(&mut canvas, &self.face, view, (w, h));
        }
        status::draw(&mut canvas, &self.face, input, &shown);
    }
}

/// Height of the status bar below a picture of this width, pixels; 0 for pictures too narrow to write on.
#[must_use]
pub fn status_height(width: u32) -> u32 {
    if width < 160 {
        return 0;
    }
    (type_size(width) * status::ROWS).ceil() as u32
}

/// Type em for a picture of this width, pixels.
fn type_size(width: u32) -> f32 {
    (width as f32 / 62.0).max(14.0)
}

/// All marks on the ground, the chosen site last, on top.
fn draw_sites(canvas: &mut Canvas, face: &Typeface, decision: &LandingDecision, em: f32) {
    if let Some(site) = &decision.site {
        draw_clearance(canvas, face, site, em);
    }
    for (i, site) in decision.alternates.iter().enumerate() {
        let Some(at) = centre(site) else { continue };
        let r = site.radius_px as f32;
        outlined_ring(canvas, at, r, (INK, em * 0.1, dash(site, em)));
        canvas.tag(face, &(i + 1).to_string(), at, (em * 0.85, INK));
    }
    if let Some(site) = &decision.site {
        draw_chosen(canvas, face, (site, decision.outcome), em);
    }
}

/// The thin ring as far out as nothing dangerous is.
fn draw_clearance(canvas: &mut Canvas, face: &Typeface, site: &Site, em: f32) {
    let Some(at) = centre(site) else { return };
    let disc_px = site.radius_px as f32;
    let r = disc_px * (site.clearance_m / site.radius_m) as f32;
    if !r.is_finite() || (r - disc_px).abs() < em * 0.4 {
        return;
    }
    outlined_ring(canvas, at, r, (INK, em * 0.1, Dash::Dashed(em * 0.4)));
    let label = format!("{:.1} m clear", site.clearance_m);
    canvas.tag(face, &label, [at[0], at[1] + r], (em * 0.8, INK));
}

/// The bold ring, its cross and its name.
fn draw_chosen(canvas: &mut Canvas, face: &Typeface, (site, outcome): (&Site, Outcome), em: f32) {
    let Some(at) = centre(site) else { return };
    let r = site.radius_px as f32;
    let look = (palette::outcome(outcome), em * 0.28, dash(site, em));
    outlined_ring(canvas, at, r, look);
    let arm = (r * 0.35).min(em * 0.6);
    let thin = em * 0.1;
    for [dx, dy] in [[arm, 0.0], [0.0, arm]] {
        let (from, to) = ([at[0] - dx, at[1] - dy], [at[0] + dx, at[1] + dy]);
        canvas.line(from, to, pen(SHADE, thin + 2.0, Dash::Solid));
        canvas.line(from, to, pen(INK, thin, Dash::Solid));
    }
    let word = match outcome {
        Outcome::Site => "LAND HERE",
        Outcome::Hold(_) => "watched",
    };
    let label = format!("{word} · {}", site.id);
    let above = [at[0], at[1] - r - em * 0.95];
    canvas.tag(face, &label, above, (em * 0.85, INK));
}

fn dash(site: &Site, em: f32) -> Dash {
    match site.state {
        SiteState::Candidate => Dash::Dashed(em * 0.7),
        SiteState::Confirmed => Dash::Solid,
    }
}

fn centre(site: &Site) -> Option<Point> {
    site.px.map(|p| p.map(|v| v as f32))
}

fn pen(colour: Rgb, width: f32, dash: Dash) -> Pen {
    Pen {
        colour,
        width,
        opacity: 1.0,
        dash,
    }
}

/// A ring with a dark edge on both sides, so that it stands out on any ground.
fn outlined_ring(canvas: &mut Canvas, at: Point, r: f32, (colour, width, dash): (Rgb, f32, Dash)) {
    canvas.ring(at, r, pen(SHADE, width + 2.0, dash));
    canvas.ring(at, r, pen(colour, width, dash));
}

/// A bar of a round number of metres in the lower right corner, measured at the picture's centre.
fn draw_scale(canvas: &mut Canvas, face: &Typeface, view: &View, (w, h): (u32, u32)) {
    let middle = Pixel {
        x: f64::from(w) / 2.0,
        y: f64::from(h) / 2.0,
    };
    let Some(gsd_m) = view.gsd_m(middle).filter(|g| *g > 0.0) else {
        return;
    };
    let Some(metres) = super::round_length(gsd_m * f64::from(w) / 5.0) else {
        return;
    };
    if w < 160 {
        return;
    }
    let em = type_size(w);
    let length = (metres / gsd_m) as f32;
    let (right, y) = (w as f32 - em, h as f32 - em);
    let ends = [[right - length, y], [right, y]];
    let [from, to] = ends;
    canvas.line(from, to, pen(SHADE, em * 0.22 + 2.0, Dash::Solid));
    canvas.line(from, to, pen(INK, em * 0.22, Dash::Solid));
    let label = format!("{metres} m");
    let above = [right - length / 2.0, y - em];
    canvas.tag(face, &label, above, (em * 0.8, INK));
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::inference::classes::Surface;

    /// A segmentation that is sure of `surface` everywhere.
    pub(super) fn segmentation(
        (width, height): (usize, usize),
        surface: impl Fn(usize, usize) -> Surface,
    ) -> SegmentationMap {
        let mut surfaces = vec![0.0; width * height * Surface::COUNT];
        for v in 0..height {
            for u in 0..width {
                surfaces[(v * width + u) * Surface::COUNT + surface(u, v) as usize] = 1.0;
            }
        }
        SegmentationMap {
            width,
            height,
            surfaces,
            ..SegmentationMap::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::segmentation;
    use super::*;
    use crate::geometry::{CameraModel, CameraMount};
    use crate::inference::classes::Surface;
    use crate::landing::{HoldReason, MonitorReason, MonitorReasons, RejectCounts, Verdict};
    use crate::time::MonoTime;
    use crate::vehicle::Pose;
    use rstest::rstest;

    fn site(id: u32, px: Option<[f64; 2]>, radius_px: f64) -> Site {
        Site {
            id,
            state: SiteState::Confirmed,
            north_m: 0.0,
            east_m: 0.0,
            radius_m: 1.0,
            clearance_m: 2.0,
            surface: Surface::Soft,
            belief: 0.9,
            confirmations: 3,
            score: 1.0,
            px,
            radius_px,
        }
    }

    fn decision(site: Option<Site>, alternates: Vec<Site>) -> LandingDecision {
        let mut monitor_reasons = MonitorReasons::default();
        for reason in MonitorReason::ALL {
            monitor_reasons.insert(reason);
        }
        LandingDecision {
            seq: 3,
            captured_at: MonoTime::ZERO,
            outcome: if site.is_some() {
                Outcome::Site
            } else {
                Outcome::Hold(HoldReason::NoCandidate)
            },
            site,
            alternates,
            rejected: RejectCounts::default(),
            monitor: Verdict::Wait,
            monitor_reasons,
            watched: None,
        }
    }

    fn view(w: u32, h: u32) -> View {
        let camera = CameraModel::from_hfov(w, h, 70.0).unwrap();
        View::new(
            camera,
            &CameraMount::nadir(),
            Pose::level_nadir(MonoTime::ZERO, 25.0),
        )
    }

    fn drawn(picture: &RgbImage, decision: &LandingDecision) -> RgbImage {
        let view = view(picture.width(), picture.height());
        let segmentation = segmentation((8, 6), |_, _| Surface::Firm);
        let mut out = RgbImage::new(0, 0);
        let input = OverlayInput {
            picture,
            segmentation: Some(&segmentation),
            view: Some(&view),
            decision,
        };
        Overlay::new().draw(&input, &mut out);
        out
    }

    #[rstest]
    #[case(1, 1)]
    #[case(16, 16)]
    #[case(160, 2)]
    #[case(2, 400)]
    #[case(640, 360)]
    fn odd_discs_on_odd_pictures_are_survived(#[case] w: u32, #[case] h: u32) {
        let picture = RgbImage::from_pixel(w, h, image::Rgb([90, 90, 90]));
        let odd = [0.0, -1.0, 3.0, 1e4, 1e300, f64::NAN, f64::INFINITY];
        for x in odd {
            for r in odd {
                let mut other = site(2, Some([x, f64::from(h)]), r);
                other.state = SiteState::Candidate;
                other.clearance_m = f64::INFINITY;
                let out = drawn(
                    &picture,
                    &decision(Some(site(1, Some([f64::from(w), x]), r)), vec![other]),
                );
                assert_eq!(out.dimensions(), (w, h + status_height(w)));
            }
        }
    }

    #[test]
    fn a_site_outside_the_picture_is_not_drawn() {
        let picture = RgbImage::from_pixel(640, 360, image::Rgb([90, 90, 90]));
        let rows = 640 * 360 * 3;
        let none = drawn(&picture, &decision(None, Vec::new()));
        let outside = drawn(&picture, &decision(Some(site(1, None, 40.0)), Vec::new()));
        let inside = drawn(
            &picture,
            &decision(Some(site(1, Some([300.0, 150.0]), 40.0)), Vec::new()),
        );
        assert_eq!(none.as_raw()[..rows], outside.as_raw()[..rows]);
        assert_ne!(none.as_raw()[..rows], inside.as_raw()[..rows]);
    }

    #[test]
    fn the_disc_stands_where_the_decision_says() {
        let picture = RgbImage::from_pixel(640, 360, image::Rgb([90, 90, 90]));
        let out = drawn(
            &picture,
            &decision(Some(site(1, Some([300.0, 150.0]), 60.0)), Vec::new()),
        );
        for (x, y) in [(240, 150), (359, 150), (300, 209)] {
            assert_eq!(out.get_pixel(x, y).0, palette::GO, "{x} {y}");
        }
    }

    #[test]
    fn marks_do_not_reach_into_the_status_bar() {
        let picture = RgbImage::from_pixel(640, 360, image::Rgb([90, 90, 90]));
        let low = |px| decision(Some(site(1, px, 50.0)), Vec::new());
        let with = drawn(&picture, &low(Some([320.0, 358.0])));
        let without = drawn(&picture, &low(None));
        let bar = 640 * 360 * 3;
        assert_eq!(with.as_raw()[bar..], without.as_raw()[bar..]);
    }

    #[test]
    fn the_buffers_follow_a_change_of_size() {
        let mut overlay = Overlay::new();
        let mut out = RgbImage::new(3, 3);
        let s = segmentation((4, 4), |_, _| Surface::Water);
        for (w, h) in [(320, 200), (64, 64), (400, 100)] {
            let picture = RgbImage::new(w, h);
            let decision = decision(None, Vec::new());
            let input = OverlayInput {
                picture: &picture,
                segmentation: Some(&s),
                view: None,
                decision: &decision,
            };
            overlay.draw(&input, &mut out);
            assert_eq!(out.dimensions(), (w, h + status_height(w)));
            assert!(out.get_pixel(w - 1, h - 1).0[2] > 40);
        }
    }
}
