//! Planar YUV 4:2:0 to RGB.
//!
//! Fixed point, 16 fractional bits, chroma taken from the nearest sample. The conversion is that of ITU-T H.273 equations
//! (38)-(60) with the constants of the stream's `matrix_coefficients`.

use image::RgbImage;

/// How a stream's YUV is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    /// Weight of red in luma.
    pub(super) kr: f64,
    /// Weight of blue in luma.
    pub(super) kb: f64,
    /// 0..=255 for all three instead of 16..=235 and 16..=240.
    pub(super) is_full_range: bool,
}

impl Colour {
    /// Standard definition, `matrix_coefficients` 5 and 6.
    pub(super) const BT601: Self = Self::limited(0.299, 0.114);
    /// High definition, `matrix_coefficients` 1.
    pub(super) const BT709: Self = Self::limited(0.2126, 0.0722);
    /// Ultra high definition, `matrix_coefficients` 9.
    pub(super) const BT2020: Self = Self::limited(0.2627, 0.0593);

    const fn limited(kr: f64, kb: f64) -> Self {
        Self {
            kr,
            kb,
            is_full_range: false,
        }
    }

    /// By the stream's own words where it has them; else high definition from 720 lines on, as players do.
    pub(super) fn of(matrix: Option<u8>, is_full_range: bool, lines: usize) -> Self {
        let colour = match matrix {
            Some(1) => Self::BT709,
            Some(5 | 6) => Self::BT601,
            Some(9) => Self::BT2020,
            _ if lines >= 720 => Self::BT709,
            _ => Self::BT601,
        };
        Self {
            is_full_range,
            ..colour
        }
    }
}

/// Three planes; the chroma planes have half the size, rounded up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes<'a> {
    /// Luma.
    pub(super) y: &'a [u8],
    /// Blue difference.
    pub(super) u: &'a [u8],
    /// Red difference.
    pub(super) v: &'a [u8],
    /// Pixels across and down.
    pub(super) size: (usize, usize),
    /// Bytes from one row to the next, of luma and of chroma.
    pub(super) strides: (usize, usize),
}

/// Fixed-point factors.
struct Factors {
    y: i32,
    y_offset: i32,
    rv: i32,
    gu: i32,
    gv: i32,
    bu: i32,
}

impl Factors {
    fn of(colour: Colour) -> Self {
        let (y_range, c_range, y_offset) = if colour.is_full_range {
            (255.0, 255.0, 0)
        } else {
            (219.0, 224.0, 16)
        };
        let Colour { kr, kb, .. } = colour;
        let kg = 1.0 - kr - kb;
        let fixed = |factor: f64| (factor * 65536.0).round() as i32;
        let chroma = 255.0 / c_range * 2.0;
        Self {
            y: fixed(255.0 / y_range),
            y_offset,
            rv: fixed(chroma * (1.0 - kr)),
            gu: fixed(-chroma * (1.0 - kb) * kb / kg),
            gv: fixed(-chroma * (1.0 - kr) * kr / kg),
            bu: fixed(chroma * (1.0 - kb)),
        }
    }
}

/// The picture as RGB; `None` if the planes are smaller than their size says.
pub(super) fn to_rgb(planes: Planes<'_>, colour: Colour) -> Option<RgbImage> {
    let (width, height) = planes.size;
    let factors = Factors::of(colour);
    let mut rgb = vec![0u8; width.checked_mul(height)?.checked_mul(3)?];
    if rgb.is_empty() {
        return None;
    }
    let chroma_width = width.div_ceil(2);
    for (row, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let start = row * planes.strides.0;
        let chroma_start = row / 2 * planes.strides.1;
        let y = planes.y.get(start..start + width)?;
        let u = planes.u.get(chroma_start..chroma_start + chroma_width)?;
        let v = planes.v.get(chroma_start..chroma_start + chroma_width)?;
        convert_row((y, u, v), &factors, out);
    }
    RgbImage::from_raw(width as u32, height as u32, rgb)
}

fn convert_row((y, u, v): (&[u8], &[u8], &[u8]), f: &Factors, out: &mut [u8]) {
    let pairs = out.chunks_mut(6).zip(y.chunks(2)).zip(u.iter().zip(v));
    for ((out, lumas), (&u, &v)) in pairs {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let (red, green, blue) = (f.rv * v, f.gu * u + f.gv * v, f.bu * u);
        for (pixel, &luma) in out.as_chunks_mut::<3>().0.iter_mut().zip(lumas) {
            let luma = (i32::from(luma) - f.y_offset) * f.y + (1 << 15);
            *pixel = [red, green, blue].map(|c| ((luma + c) >> 16).clamp(0, 255) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn one_colour(yuv: [u8; 3], colour: Colour) -> [u8; 3] {
        let (y, u, v) = ([yuv[0]; 15], [yuv[1]; 6], [yuv[2]; 6]);
        let planes = Planes {
            y: &y,
            u: &u,
            v: &v,
            size: (5, 3),
            strides: (5, 3),
        };
        let image = to_rgb(planes, colour).unwrap();
        assert!(image.pixels().all(|p| p == image.get_pixel(0, 0)));
        image.get_pixel(0, 0).0
    }

    // Reference values: full-intensity bars in 8-bit limited range (SMPTE RP 219 and RP 177 derivations).
    #[rstest]
    #[case::white_601([235, 128, 128], Colour::BT601, [255, 255, 255])]
    #[case::black_601([16, 128, 128], Colour::BT601, [0, 0, 0])]
    #[case::red_601([81, 90, 240], Colour::BT601, [255, 0, 0])]
    #[case::green_601([145, 54, 34], Colour::BT601, [0, 255, 0])]
    #[case::blue_601([41, 240, 110], Colour::BT601, [0, 0, 255])]
    #[case::red_709([63, 102, 240], Colour::BT709, [255, 0, 0])]
    #[case::green_709([173, 42, 26], Colour::BT709, [0, 255, 0])]
    #[case::blue_709([32, 240, 118], Colour::BT709, [0, 0, 255])]
    #[case::grey_full([77, 128, 128], Colour { is_full_range: true, ..Colour::BT709 }, [77, 77, 77])]
    fn pure_colours_come_out_pure(
        #[case] yuv: [u8; 3],
        #[case] colour: Colour,
        #[case] rgb: [u8; 3],
    ) {
        let got = one_colour(yuv, colour);
        for (a, b) in got.iter().zip(rgb) {
            assert!(a.abs_diff(b) <= 2, "{yuv:?} gave {got:?}, not {rgb:?}");
        }
    }

    #[test]
    fn the_matrix_follows_the_stream_and_else_the_size() {
        assert_eq!(Colour::of(Some(6), false, 1080), Colour::BT601);
        assert_eq!(Colour::of(Some(1), false, 480), Colour::BT709);
        assert_eq!(Colour::of(None, false, 720), Colour::BT709);
        assert_eq!(Colour::of(Some(2), false, 719), Colour::BT601);
        assert!(Colour::of(None, true, 480).is_full_range);
    }

    #[test]
    fn planes_that_are_too_small_are_refused() {
        let planes = Planes {
            y: &[0; 16],
            u: &[0; 4],
            v: &[0; 3],
            size: (4, 4),
            strides: (4, 2),
        };
        assert!(to_rgb(planes, Colour::BT601).is_none());
    }
}
