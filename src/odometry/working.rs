//! The picture as the registration sees it: grey, small, smoothed, at a few scales.

use image::RgbImage;

use crate::resize::Resizer;

/// One scale of a working picture. Values are grey levels, `0.0..=255.0`.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Source pixels per pixel of this level, along x and y.
    pub(super) source_px: (f64, f64),
    /// Row by row.
    pub(super) grey: Vec<f32>,
    /// The same, averaged over 5x5 pixels: what descriptors and the photometric check read.
    pub(super) smooth: Vec<f32>,
}

impl Level {
    /// The smoothed grey at whole coordinates; `None` outside.
    pub(super) fn smooth_at(&self, x: i32, y: i32) -> Option<f32> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        if x >= self.width {
            return None;
        }
        self.smooth.get(y * self.width + x).copied()
    }
}

/// Makes levels out of pictures; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Reducer {
    resizer: Resizer<3>,
    /// Interleaved RGB at the level's size.
    colour: Vec<u8>,
    scratch: Vec<f32>,
}

impl Reducer {
    /// Fills `levels`: the first with the longer side at most `longest`, each next smaller by sqrt(2). Whether it worked:
    /// an empty picture has no levels.
    pub(super) fn reduce(
        &mut self,
        picture: &RgbImage,
        longest: u32,
        levels: &mut [Level],
    ) -> bool {
        let (w, h) = picture.dimensions();
        if w == 0 || h == 0 {
            return false;
        }
        let mut shrink = (f64::from(longest) / f64::from(w.max(h))).min(1.0);
        for level in levels {
            let to = |side: u32| ((f64::from(side) * shrink).round() as u32).max(1);
            if !self.reduce_to(picture, (to(w), to(h)), level) {
                return false;
            }
            shrink /= std::f64::consts::SQRT_2;
        }
        true
    }

    fn reduce_to(&mut self, picture: &RgbImage, size: (u32, u32), level: &mut Level) -> bool {
        let (w, h) = size;
        let from = (picture.width() as usize, picture.height() as usize);
        let to = (w as usize, h as usize);
        self.colour.resize(3 * to.0 * to.1, 0);
        let (source, target) = ((&**picture.as_raw(), from), (&mut *self.colour, to));
        if self.resizer.run(source, target).is_err() {
            return false;
        }
        (level.width, level.height) = to;
        level.source_px = (
            f64::from(picture.width()) / f64::from(w),
            f64::from(picture.height()) / f64::from(h),
        );
        level.grey.clear();
        level.grey.extend(
            self.colour
                .as_chunks::<3>()
                .0
                .iter()
                .map(|[red, green, blue]| {
                    // ITU-R BT.601 luma in 1/256.
                    (77 * u32::from(*red) + 150 * u32::from(*green) + 29 * u32::from(*blue)) as f32
                        / 256.0
                }),
        );
        box5(
            &level.grey,
            level.width,
            &mut self.scratch,
            &mut level.smooth,
        );
        for v in &mut level.smooth {
            *v /= 25.0;
        }
        true
    }
}

/// Sums over 5x5 pixels around each pixel. Within two pixels of the edge the result means nothing: it is zero, or mixes the
/// ends of two rows.
pub(super) fn box5(src: &[f32], width: usize, scratch: &mut Vec<f32>, out: &mut Vec<f32>) {
    let len = src.len();
    out.clear();
    out.resize(len, 0.0);
    scratch.clear();
    scratch.resize(len, 0.0);
    let from = |start: usize| src.get(start * width..).unwrap_or_default();
    let middle = scratch.get_mut(2 * width..).unwrap_or_default();
    let rows = from(0)
        .iter()
        .zip(from(1))
        .zip(from(2))
        .zip(from(3))
        .zip(from(4));
    for (sum, ((((r0, r1), r2), r3), r4)) in middle.iter_mut().zip(rows) {
        *sum = r0 + r1 + r2 + r3 + r4;
    }
    let from = |start: usize| scratch.get(start..).unwrap_or_default();
    let middle = out.get_mut(2..).unwrap_or_default();
    let columns = from(0)
        .iter()
        .zip(from(1))
        .zip(from(2))
        .zip(from(3))
        .zip(from(4));
    for (sum, ((((r0, r1), r2), r3), r4)) in middle.iter_mut().zip(columns) {
        *sum = r0 + r1 + r2 + r3 + r4;
    }
}
