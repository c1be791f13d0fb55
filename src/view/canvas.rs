//! Drawing on a picture: blended pixels, boxes, strokes and words. Everything is clipped to the picture; nothing here
//! can fail or panic, whatever the coordinates.

use ab_glyph::{Font as _, FontRef, ScaleFont as _};
use image::RgbImage;

use super::palette::Rgb;

/// Inter semi-bold, basic Latin; its licence lies beside it.
static FONT: &[u8] = include_bytes!("font/inter-semibold-subset.otf");

/// A place in the picture, pixels; the top-left pixel's centre is `(0.5, 0.5)`.
pub(super) type Point = [f32; 2];

/// A box in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// A line's look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    /// Colour.
    pub colour: Rgb,
    /// Width, pixels.
    pub width: f32,
    /// 0 is invisible, 1 covers.
    pub opacity: f32,
    /// Whether a ring has gaps.
    pub dash: Dash,
}

/// Solid or dashed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Dash {
    /// One piece.
    Solid,
    /// Stretches and gaps of this many pixels each.
    Dashed(f32),
}

/// The typeface, parsed once. Without it (it is embedded, so never) words are left out.
#[derive(Debug)]
pub(super) struct Typeface(Option<FontRef<'static>>);

impl Typeface {
    pub(super) fn embedded() -> Self {
        Self(FontRef::try_from_slice(FONT).ok())
    }

    /// Width of `text`, pixels, at a size in pixels.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let Some(font) = &self.0 else { return 0.0 };
        let font = font.as_scaled(size);
        text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
    }

    /// `text`, or as much of it as fits into `room` pixels with an ellipsis.
    pub(super) fn fitted(&self, text: &str, size: f32, room: f32) -> String {
        if self.width(text, size) <= room {
            return text.to_owned();
        }
        let mut kept = text.to_owned();
        while kept.pop().is_some() {
            let short = format!("{}…", kept.trim_end());
            if self.width(&short, size) <= room {
                return short;
            }
        }
        String::new()
    }
}

/// A picture being drawn on.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    image: &'a mut RgbImage,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(image: &'a mut RgbImage) -> Self {
        Self { image }
    }

    /// Mixes `colour` into one pixel; `opacity` 0 to 1.
    fn mix(&mut self, x: i64, y: i64, colour: Rgb, opacity: f32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        let Some(pixel) = self.image.get_pixel_mut_checked(x, y) else {
            return;
        };
        blend(&mut pixel.0, colour, opacity);
    }

    /// The pixels `xs` of row `y`, three bytes each; none outside the picture.
    fn row(&mut self, y: i64, xs: (i64, i64)) -> &mut [u8] {
        let width = i64::from(self.image.width());
        let byte = |x: i64| usize::try_from(3 * (y * width + x)).unwrap_or(usize::MAX);
        let bytes: &mut [u8] = self.image;
        bytes.get_mut(byte(xs.0)..byte(xs.1)).unwrap_or_default()
    }

    /// The whole pixels that a box from `low` to `high` touches, inside the picture; empty for coordinates that are
    /// not finite.
    fn clip(&self, low: Point, high: Point) -> Option<[(i64, i64); 2]> {
        let size = [self.image.width(), self.image.height()];
        let mut out = [(0, 0); 2];
        for (((o, l), h), n) in out.iter_mut().zip(low).zip(high).zip(size) {
            if !(l.is_finite() && h.is_finite()) {
                return None;
            }
            *o = (
                (l.floor() as i64).max(0),
                (h.ceil() as i64).min(i64::from(n)),
            );
            if o.0 >= o.1 {
                return None;
            }
        }
        Some(out)
    }

    /// Fills a box with rounded corners.
    pub(super) fn fill(&mut self, area: Area, corner: f32, colour: Rgb, opacity: f32) {
        let Area { x, y, w, h } = area;
        let Some([xs, ys]) = self.clip([x, y], [x + w, y + h]) else {
            return;
        };
        let (half_w, half_h) = (w / 2.0, h / 2.0);
        let corner = corner.min(half_w).min(half_h);
        for py in ys.0..ys.1 {
            let dy = (py as f32 + 0.5 - y - half_h).abs() - half_h + corner;
            for (pixel, px) in self.row(py, xs).chunks_exact_mut(3).zip(xs.0..) {
                // Signed distance to the rounded box, from its centre.
                let dx = (px as f32 + 0.5 - x - half_w).abs() - half_w + corner;
                let outside = if dx > 0.0 && dy > 0.0 {
                    (dx * dx + dy * dy).sqrt()
                } else {
                    dx.max(dy)
                } - corner;
                blend(pixel, colour, opacity * (0.5 - outside).clamp(0.0, 1.0));
            }
        }
    }

    /// A ring of radius `r` pixels; with [`Dash::Dashed`], of separate arcs.
    pub(super) fn ring(&mut self, centre: Point, r: f32, pen: Pen) {
        // A ring far larger than the picture shows nothing and would cost much.
        let reach = 2.0 * (self.image.width().max(self.image.height()) as f32);
        if !(r > 0.0 && r < reach) {
            return;
        }
        let (piece, step) = match pen.dash {
            Dash::Solid => (4.0, 1),
            Dash::Dashed(length) => (length.max(4.0), 2),
        };
        // An even number of pieces, so that the last gap is one.
        let n = 2 * ((std::f32::consts::PI * r / piece).clamp(8.0, 1024.0) as u32);
        let at = |i: u32| {
            let angle = std::f32::consts::TAU * i as f32 / n as f32;
            [centre[0] + r * angle.cos(), centre[1] + r * angle.sin()]
        };
        for i in (0..n).step_by(step) {
            self.line(at(i), at(i + 1), pen);
        }
    }

    /// A straight stroke with round ends.
    pub(super) fn line(&mut self, from: Point, to: Point, pen: Pen) {
        let half = pen.width / 2.0;
        let reach = half + 1.0;
        let low = [from[0].min(to[0]) - reach, from[1].min(to[1]) - reach];
        let high = [from[0].max(to[0]) + reach, from[1].max(to[1]) + reach];
        let Some([xs, ys]) = self.clip(low, high) else {
            return;
        };
        let along = [to[0] - from[0], to[1] - from[1]];
        let length2 = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
        for py in ys.0..ys.1 {
            for (pixel, px) in self.row(py, xs).chunks_exact_mut(3).zip(xs.0..) {
                let d = [px as f32 + 0.5 - from[0], py as f32 + 0.5 - from[1]];
                let t = ((d[0] * along[0] + d[1] * along[1]) / length2).clamp(0.0, 1.0);
                let off = [d[0] - t * along[0], d[1] - t * along[1]];
                let distance = (off[0] * off[0] + off[1] * off[1]).sqrt();
                let cover = (half + 0.5 - distance).clamp(0.0, 1.0);
                if cover > 0.0 {
                    blend(pixel, pen.colour, pen.opacity * cover);
                }
            }
        }
    }

    /// Writes `text` with its left edge at `x` and its middle line at `y`; returns the right edge.
    pub(super) fn text(
        &mut self,
        face: &Typeface,
        text: &str,
        [x, y]: Point,
        (size, colour): (f32, Rgb),
    ) -> f32 {
        let Some(font) = &face.0 else { return x };
        // What cannot be seen is not rasterised, and the rasteriser never meets numbers without end.
        let is_near = |v: f32, n: u32| v > -4096.0 && v < n as f32 + size;
        if !(is_near(x, self.image.width()) && is_near(y, self.image.height())) {
            return x;
        }
        let scaled = font.as_scaled(size);
        // Capitals are about 0.73 of the type size high in Inter; ab_glyph's size counts ascent + descent.
        let baseline = y + 0.30 * size;
        let mut pen = x;
        for c in text.chars() {
            let id = scaled.glyph_id(c);
            let glyph = id.with_scale_and_position(size, ab_glyph::point(pen, baseline));
            pen += scaled.h_advance(id);
            if let Some(outline) = font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                let (left, top) = (bounds.min.x as i64, bounds.min.y as i64);
                outline.draw(|gx, gy, cover| {
                    self.mix(left + i64::from(gx), top + i64::from(gy), colour, cover);
                });
            }
        }
        pen
    }

    /// Words on a dark plate, centred at `at`, kept inside the picture's width.
    pub(super) fn tag(&mut self, face: &Typeface, text: &str, at: Point, (size, ink): (f32, Rgb)) {
        let w = face.width(text, size) + size * 0.7;
        let h = size * 1.25;
        let most = (self.image.width() as f32 - w).max(0.0);
        let area = Area {
            x: (at[0] - w / 2.0).clamp(0.0, most),
            y: at[1] - h / 2.0,
            w,
            h,
        };
        self.fill(area, size * 0.3, [12, 16, 24], 0.78);
        self.text(face, text, [area.x + size * 0.35, at[1]], (size, ink));
    }
}

/// Mixes `colour` into a pixel; `opacity` 0 to 1.
fn blend(pixel: &mut [u8], colour: Rgb, opacity: f32) {
    let a = (opacity.clamp(0.0, 1.0) * 256.0) as u32;
    for (old, new) in pixel.iter_mut().zip(colour) {
        *old = ((u32::from(*old) * (256 - a) + u32::from(new) * a) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb as Pixel;
    use rstest::rstest;

    const PEN: Pen = Pen {
        colour: [255, 0, 0],
        width: 3.0,
        opacity: 1.0,
        dash: Dash::Solid,
    };

    fn red(image: &RgbImage) -> usize {
        image.pixels().filter(|p| p.0[0] > 128).count()
    }

    #[test]
    fn the_embedded_font_has_every_sign_that_is_written() {
        let face = Typeface::embedded();
        let font = face.0.as_ref().unwrap();
        for c in "ABCXYZabcxyz0123456789 .,:%()/+-°±·×…<>".chars() {
            assert_ne!(font.glyph_id(c).0, 0, "{c:?}");
        }
    }

    #[test]
    fn a_ring_has_the_length_of_its_circle() {
        let mut image = RgbImage::new(200, 200);
        Canvas::new(&mut image).ring([100.0, 100.0], 60.0, PEN);
        let want = std::f64::consts::TAU * 60.0 * 3.0;
        assert!((red(&image) as f64 / want - 1.0).abs() < 0.06);
        let dashed = Pen {
            dash: Dash::Dashed(12.0),
            ..PEN
        };
        let mut gaps = RgbImage::new(200, 200);
        Canvas::new(&mut gaps).ring([100.0, 100.0], 60.0, dashed);
        assert!(red(&gaps) < red(&image) * 9 / 10 && red(&gaps) > red(&image) / 3);
        assert_eq!(image.get_pixel(160, 100), &Pixel([255, 0, 0]));
        assert_eq!(image.get_pixel(100, 100), &Pixel([0, 0, 0]));
    }

    #[rstest]
    #[case([-500.0, 20.0], 30.0)]
    #[case([5.0, 5.0], 1e9)]
    #[case([5.0, 5.0], f32::NAN)]
    #[case([f32::NAN, 5.0], 3.0)]
    #[case([f32::INFINITY, 5.0], 3.0)]
    #[case([5.0, 5.0], -3.0)]
    fn odd_rings_leave_the_picture_alone(#[case] centre: Point, #[case] r: f32) {
        for (w, h) in [(1, 1), (16, 16), (1, 300)] {
            let mut image = RgbImage::new(w, h);
            Canvas::new(&mut image).ring(centre, r, PEN);
            assert_eq!(red(&image), 0);
        }
    }

    #[test]
    fn half_a_ring_off_the_edge_draws_the_other_half() {
        let mut image = RgbImage::new(100, 100);
        Canvas::new(&mut image).ring([0.0, 50.0], 30.0, PEN);
        assert_eq!(image.get_pixel(29, 50).0, [255, 0, 0]);
        assert!(red(&image) > 250 && red(&image) < 320);
    }

    #[test]
    fn a_full_box_covers_its_pixels_and_no_others() {
        let mut image = RgbImage::new(20, 20);
        let area = Area {
            x: 4.0,
            y: 6.0,
            w: 8.0,
            h: 3.0,
        };
        Canvas::new(&mut image).fill(area, 0.0, [200, 0, 0], 1.0);
        assert_eq!(red(&image), 24);
        assert_eq!(image.get_pixel(4, 6).0, [200, 0, 0]);
        assert_eq!(image.get_pixel(12, 6).0, [0, 0, 0]);
    }

    #[test]
    fn long_words_are_cut_to_fit() {
        let face = Typeface::embedded();
        let long = "no safe patch in view".repeat(4);
        let short = face.fitted(&long, 14.0, 100.0);
        assert!(short.ends_with('…') && face.width(&short, 14.0) <= 100.0);
        assert!(face.width(&short, 14.0) > 80.0);
        assert_eq!(face.fitted("GO", 14.0, 100.0), "GO");
        assert_eq!(face.fitted("GO", 14.0, 0.0), "");
    }

    #[test]
    fn words_leave_ink_between_their_edges() {
        let face = Typeface::embedded();
        let mut image = RgbImage::new(120, 40);
        let end = Canvas::new(&mut image).text(&face, "HOLD", [10.0, 20.0], (20.0, [255, 0, 0]));
        assert!(red(&image) > 100);
        let outside = image
            .enumerate_pixels()
            .filter(|(x, y, p)| {
                p.0[0] > 0 && ((*x as f32) < 9.0 || *x as f32 > end || *y < 8 || *y > 32)
            })
            .count();
        assert_eq!(outside, 0);
    }
}
