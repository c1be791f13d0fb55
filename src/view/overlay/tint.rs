//! The ground's colours, blended into the picture.

use image::RgbImage;

use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::resize::Resizer;
use crate::view::palette::{self, Rgb};

/// Share of the surface's colour, of 256, over ground.
const GROUND: u16 = 80;
/// The same over people and vehicles.
const DANGER: u16 = 150;
/// The line around people and vehicles.
const CONTOUR: Rgb = [255, 214, 220];
/// Pixels that are blended at once.
const RUN: usize = 64;

/// How many cells show each surface.
pub(super) type Shown = [u32; Surface::COUNT];

/// Buffers that are kept from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Tint {
    cells: Layers,
    pixels: Layers,
    rgb: Resizer<3>,
    grey: Resizer<1>,
}

/// A picture of colours, and one of danger: 255 for people and vehicles.
#[derive(Debug, Default)]
struct Layers {
    colour: Vec<u8>,
    danger: Vec<u8>,
}

impl Tint {
    /// Writes the tinted picture into the upper part of `out`, which is as wide and at least as high. A segmentation
    /// whose size does not fit its numbers is left out.
    pub(super) fn blend(
        &mut self,
        picture: &RgbImage,
        segmentation: Option<&SegmentationMap>,
        out: &mut RgbImage,
    ) -> Shown {
        let shown = segmentation.and_then(|s| {
            let shown = self.paint_cells(s)?;
            self.stretch((s.width, s.height), picture.dimensions())?;
            Some(shown)
        });
        let target: &mut [u8] = out;
        if shown.is_none() {
            for (o, p) in target.iter_mut().zip(picture.iter()) {
                *o = *p;
            }
            return Shown::default();
        }
        let looks = looks();
        let tints = self.pixels.colour.chunks(3 * RUN);
        let runs = tints.zip(self.pixels.danger.chunks(RUN));
        let pictures = picture.chunks(3 * RUN).zip(target.chunks_mut(3 * RUN));
        for ((tint, danger), (source, out)) in runs.zip(pictures) {
            if danger.iter().all(|d| *d == 0) {
                for ((o, p), t) in out.iter_mut().zip(source).zip(tint) {
                    *o = mixed(*p, *t, GROUND);
                }
                continue;
            }
            let pixels = source.chunks_exact(3).zip(tint.chunks_exact(3));
            for ((o, (p, t)), d) in out.chunks_exact_mut(3).zip(pixels).zip(danger) {
                let (share, line) = looks.get(usize::from(*d)).copied().unwrap_or((0, 0));
                for (((o, p), t), c) in o.iter_mut().zip(p).zip(t).zip(CONTOUR) {
                    *o = mixed(mixed(*p, *t, share), c, line);
                }
            }
        }
        shown.unwrap_or_default()
    }

    /// The colour of each cell of the network's output.
    fn paint_cells(&mut self, s: &SegmentationMap) -> Option<Shown> {
        let cells = s.width.checked_mul(s.height)?;
        if cells == 0 || s.surfaces.len() != cells.checked_mul(Surface::COUNT)? {
            return None;
        }
        let mut shown = Shown::default();
        self.cells.colour.clear();
        self.cells.danger.clear();
        for probabilities in s.surfaces.chunks_exact(Surface::COUNT) {
            let surface = likeliest(probabilities);
            let danger = if surface.moves() { 255 } else { 0 };
            self.cells
                .colour
                .extend_from_slice(&palette::surface(surface));
            self.cells.danger.push(danger);
            if let Some(n) = shown.get_mut(surface as usize) {
                *n += 1;
            }
        }
        Some(shown)
    }

    /// Cells to pixels, blended at the borders so that they do not look like stairs.
    fn stretch(&mut self, from: (usize, usize), to: (u32, u32)) -> Option<()> {
        let pixels = to.0 as usize * to.1 as usize;
        self.pixels.colour.resize(3 * pixels, 0);
        self.pixels.danger.clear();
        self.pixels.danger.resize(pixels, 0);
        let to = (to.0 as usize, to.1 as usize);
        let (cells, pixels) = (&self.cells, &mut self.pixels);
        let colour = (&*cells.colour, from);
        self.rgb.run(colour, (&mut pixels.colour, to)).ok()?;
        if cells.danger.iter().any(|d| *d > 0) {
            let danger = (&*cells.danger, from);
            self.grey.run(danger, (&mut pixels.danger, to)).ok()?;
        }
        Some(())
    }
}

/// A byte with a share, of 256, of another.
fn mixed(below: u8, above: u8, share: u16) -> u8 {
    ((u16::from(below) * (256 - share) + u16::from(above) * share) >> 8) as u8
}

/// The surface with the greatest probability; unknown when no number is greater than another, as with NaN.
fn likeliest(probabilities: &[f32]) -> Surface {
    let mut best = (Surface::Unknown, 0.0);
    for (surface, &p) in Surface::ALL.into_iter().zip(probabilities) {
        if p > best.1 {
            best = (surface, p);
        }
    }
    best.0
}

/// For each value of the danger channel: the tint's share and the contour's, of 256. The contour lies where the
/// channel passes one half.
fn looks() -> [(u16, u16); 256] {
    std::array::from_fn(|v| {
        let v = v as u16;
        let share = GROUND + (DANGER - GROUND) * v / 255;
        let off_middle = v.abs_diff(128);
        (share, 230u16.saturating_sub(off_middle * 230 / 80))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::overlay::testing::segmentation;

    #[test]
    fn each_surface_pulls_the_picture_towards_its_colour() {
        let picture = RgbImage::from_pixel(64, 32, image::Rgb([128, 128, 128]));
        for surface in Surface::ALL {
            let s = segmentation((8, 4), |_, _| surface);
            let mut out = RgbImage::new(64, 32);
            let shown = Tint::default().blend(&picture, Some(&s), &mut out);
            assert_eq!(shown[surface as usize], 32);
            let pull = |v: u8, c: u8| (i16::from(v) - 128) * (i16::from(c) - 128).signum();
            for pixel in out.pixels() {
                for (v, c) in pixel.0.into_iter().zip(palette::surface(surface)) {
                    assert!(pull(v, c) >= 0, "{surface:?}: {pixel:?}");
                }
            }
            assert_ne!(out.get_pixel(3, 3).0, [128; 3]);
        }
    }

    #[test]
    fn a_person_is_redder_than_its_ground_and_has_a_contour() {
        let picture = RgbImage::from_pixel(120, 120, image::Rgb([128, 128, 128]));
        let s = segmentation((12, 12), |u, v| {
            if (4..8).contains(&u) && (4..8).contains(&v) {
                Surface::Person
            } else {
                Surface::Firm
            }
        });
        let mut out = RgbImage::new(120, 120);
        Tint::default().blend(&picture, Some(&s), &mut out);
        let (inside, edge, ground) = (
            out.get_pixel(60, 60).0,
            out.get_pixel(40, 60).0,
            out.get_pixel(10, 10).0,
        );
        assert!(inside[0] > 180 && inside[1] < 80, "{inside:?}");
        assert!(edge[0] > 220 && edge[1] > 150, "{edge:?}");
        assert!(ground[1] > ground[0], "{ground:?}");
    }

    #[test]
    fn without_a_usable_segmentation_the_picture_stays_as_it_is() {
        let picture = RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let mut torn = segmentation((8, 4), |_, _| Surface::Soft);
        torn.surfaces.pop();
        let empty = SegmentationMap::default();
        for s in [None, Some(&torn), Some(&empty)] {
            let mut out = RgbImage::new(9, 9);
            Tint::default().blend(&picture, s, &mut out);
            assert_eq!(out.get_pixel(8, 6).0, [8, 6, 9]);
            assert_eq!(out.get_pixel(8, 8).0, [0, 0, 0]);
        }
    }

    #[test]
    fn not_a_number_is_unknown_ground() {
        assert_eq!(likeliest(&[f32::NAN; Surface::COUNT]), Surface::Unknown);
        assert_eq!(likeliest(&[0.1, 0.9]), Surface::Soft);
    }
}
