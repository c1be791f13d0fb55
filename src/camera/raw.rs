//! What cameras deliver -> RGB, into memory that is there already.
//!
//! Video cameras code colour as BT.601 with 16 to 235 for black to white; that is what is undone here, in integers (the
//! errors are below two levels). JPEG pictures come decoded in full range.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// How the bytes of a picture are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawFormat {
    /// Y0 U Y1 V: two pixels in four bytes.
    Yuyv,
    /// All Y, then rows of U V pairs, one for four pixels.
    Nv12,
    /// One byte a pixel.
    Grey,
    /// Each picture a JPEG of its own.
    Mjpeg,
}

impl RawFormat {
    /// All, in the order in which they are asked for: the cheapest to decode with colour first.
    pub const ALL: [Self; 4] = [Self::Yuyv, Self::Nv12, Self::Mjpeg, Self::Grey];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yuyv => "yuyv",
            Self::Nv12 => "nv12",
            Self::Grey => "grey",
            Self::Mjpeg => "mjpeg",
        }
    }

    /// The code that drivers know it by.
    #[must_use]
    pub const fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Yuyv => *b"YUYV",
            Self::Nv12 => *b"NV12",
            Self::Grey => *b"GREY",
            Self::Mjpeg => *b"MJPG",
        }
    }

    /// Bytes of a picture without padding; `None` where each picture has its own length.
    #[must_use]
    pub const fn bytes(self, width: u32, height: u32) -> Option<usize> {
        let pixels = width as usize * height as usize;
        match self {
            Self::Yuyv => Some(2 * pixels),
            Self::Nv12 => {
                Some(pixels + 2 * (width as usize).div_ceil(2) * (height as usize).div_ceil(2))
            }
            Self::Grey => Some(pixels),
            Self::Mjpeg => None,
        }
    }
}

impl fmt::Display for RawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RawFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|f| f.name() == text)
            .ok_or_else(|| format!("{text:?} is no format: write yuyv, nv12, mjpeg or grey"))
    }
}

/// Why a picture cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Torn: bytes are missing.
    #[error("a torn picture: {got} bytes of {needed}")]
    Short {
        /// What came.
        got: usize,
        /// What a whole one has.
        needed: usize,
    },
    /// The JPEG is damaged, or of another size.
    #[error("a damaged picture: {0}")]
    Damaged(String),
}

/// Decodes one picture of the size of `out`. `stride` is the distance of two rows in bytes (of the Y plane for NV12).
///
/// # Errors
/// A picture that is not whole; `out` then holds nothing of use.
pub fn decode_into(
    format: RawFormat,
    bytes: &[u8],
    stride: usize,
    out: &mut RgbImage,
) -> Result<(), RawError> {
    let (width, height) = (out.width() as usize, out.height() as usize);
    let rows = |line: usize, rows: usize| {
        let needed = stride.max(line) * rows.saturating_sub(1) + line;
        let got = bytes.len();
        (got >= needed)
            .then_some(stride.max(line))
            .ok_or(RawError::Short { got, needed })
    };
    match format {
        RawFormat::Yuyv => {
            let stride = rows(4 * width.div_ceil(2), height)?;
            yuyv(bytes, stride, width, out);
        }
        RawFormat::Grey => {
            let stride = rows(width, height)?;
            for (row, out) in bytes.chunks(stride).zip(out.chunks_exact_mut(3 * width)) {
                for (y, rgb) in row.iter().zip(out.chunks_exact_mut(3)) {
                    rgb.fill(*y);
                }
            }
        }
        RawFormat::Nv12 => {
            let chroma = 2 * width.div_ceil(2);
            let stride = rows(width.max(chroma), height + height.div_ceil(2))?;
            nv12(bytes, stride, height, out);
        }
        RawFormat::Mjpeg => mjpeg(bytes, out)?,
    }
    Ok(())
}

/// The other way round: what a camera would deliver of a picture, for simulated ones. `out` is written over. The width
/// must be even.
pub fn yuyv_from_rgb(picture: &RgbImage, out: &mut Vec<u8>) {
    out.clear();
    for pair in picture.as_raw().chunks_exact(6) {
        let &[r0, g0, b0, r1, g1, b1] = pair else {
            continue;
        };
        let luma = |r: u8, g: u8, b: u8| {
            16 + ((66 * i32::from(r) + 129 * i32::from(g) + 25 * i32::from(b) + 128) >> 8)
        };
        let half = |a: u8, b: u8| i32::midpoint(i32::from(a), i32::from(b));
        let (r, g, b) = (half(r0, r1), half(g0, g1), half(b0, b1));
        let u = 128 + ((-38 * r - 74 * g + 112 * b + 128) >> 8);
        let v = 128 + ((112 * r - 94 * g - 18 * b + 128) >> 8);
        let four = [luma(r0, g0, b0), u, luma(r1, g1, b1), v];
        out.extend(four.map(|x| x.clamp(0, 255) as u8));
    }
}

fn yuyv(bytes: &[u8], stride: usize, width: usize, out: &mut RgbImage) {
    for (row, out) in bytes.chunks(stride).zip(out.chunks_exact_mut(3 * width)) {
        for (four, out) in row.chunks_exact(4).zip(out.chunks_mut(6)) {
            let &[y0, u, y1, v] = four else { continue };
            let colour = Colour::of(u, v);
            for (y, rgb) in [y0, y1].into_iter().zip(out.chunks_exact_mut(3)) {
                rgb.copy_from_slice(&colour.with(y));
            }
        }
    }
}

fn nv12(bytes: &[u8], stride: usize, height: usize, out: &mut RgbImage) {
    let width = out.width() as usize;
    let (luma, chroma) = bytes.split_at(stride * height);
    let lines = luma.chunks(stride).zip(out.chunks_exact_mut(3 * width));
    for (y, (row, out)) in lines.enumerate() {
        let Some(uv) = chroma.get(stride * (y / 2)..) else {
            continue;
        };
        for ((ys, uv), out) in row.chunks(2).zip(uv.chunks_exact(2)).zip(out.chunks_mut(6)) {
            let &[u, v] = uv else { continue };
            let colour = Colour::of(u, v);
            for (y, rgb) in ys.iter().zip(out.chunks_exact_mut(3)) {
                rgb.copy_from_slice(&colour.with(*y));
            }
        }
    }
}

fn mjpeg(bytes: &[u8], out: &mut RgbImage) -> Result<(), RawError> {
    // A JPEG that ends early decodes with grey for the rest: flat, safe ground.
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    let whole = bytes.get(..end).unwrap_or_default();
    if !whole.ends_with(&[0xff, 0xd9]) {
        return Err(RawError::Damaged("the JPEG has no end".to_owned()));
    }
    let damaged = |e: &dyn fmt::Debug| RawError::Damaged(format!("{e:?}"));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(whole), options);
    decoder.decode_headers().map_err(|e| damaged(&e))?;
    let size = decoder.dimensions().unwrap_or_default();
    if size != (out.width() as usize, out.height() as usize) {
        let (width, height) = size;
        return Err(RawError::Damaged(format!(
            "it is {width} x {height} instead of {} x {}",
            out.width(),
            out.height()
        )));
    }
    decoder.decode_into(out).map_err(|e| damaged(&e))
}

/// What two pixels share: the parts of red, green and blue that the colour gives, times 256.
#[derive(Clone, Copy)]
struct Colour {
    red: i32,
    green: i32,
    blue: i32,
}

impl Colour {
    fn of(u: u8, v: u8) -> Self {
        let (d, e) = (i32::from(u) - 128, i32::from(v) - 128);
        Self {
            red: 409 * e + 128,
            green: -100 * d - 208 * e + 128,
            blue: 516 * d + 128,
        }
    }

    fn with(self, y: u8) -> [u8; 3] {
        let c = 298 * (i32::from(y) - 16);
        [self.red, self.green, self.blue].map(|part| ((c + part) >> 8).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT.601, 16 to 235, in real numbers.
    fn reference(y: u8, u: u8, v: u8) -> [f64; 3] {
        let (c, d, e) = (
            f64::from(y) - 16.0,
            f64::from(u) - 128.0,
            f64::from(v) - 128.0,
        );
        let k = 255.0 / 219.0;
        let m = 255.0 / 112.0;
        [
            k * c + m * 0.701 * e,
            k * c - m * 0.886 * 0.114 / 0.587 * d - m * 0.701 * 0.299 / 0.587 * e,
            k * c + m * 0.886 * d,
        ]
        .map(|x| x.clamp(0.0, 255.0))
    }

    fn assert_close(rgb: [u8; 3], (y, u, v): (u8, u8, u8)) {
        for (got, want) in rgb.into_iter().zip(reference(y, u, v)) {
            assert!(
                (f64::from(got) - want).abs() < 2.0,
                "{y} {u} {v}: {rgb:?} {want}"
            );
        }
    }

    #[test]
    fn colours_are_those_of_bt601() {
        for y in (0..=255).step_by(15) {
            for u in (0..=255).step_by(51) {
                for v in (0..=255).step_by(51) {
                    assert_close(Colour::of(u, v).with(y), (y, u, v));
                }
            }
        }
    }

    /// A picture of 6 x 4 with another value at each place, in rows of 16 bytes.
    fn drawn(format: RawFormat) -> (Vec<u8>, usize) {
        let stride = 16;
        let rows = if format == RawFormat::Nv12 { 6 } else { 4 };
        (
            (0..rows * stride).map(|i| (37 * i % 251) as u8).collect(),
            stride,
        )
    }

    #[test]
    fn every_pixel_takes_its_own_bytes() {
        for format in [RawFormat::Yuyv, RawFormat::Nv12, RawFormat::Grey] {
            let (bytes, stride) = drawn(format);
            let mut out = RgbImage::new(6, 4);
            decode_into(format, &bytes, stride, &mut out).unwrap();
            for (x, y, rgb) in out.enumerate_pixels() {
                let (x, y) = (x as usize, y as usize);
                let at = |row: usize, column: usize| bytes[row * stride + column];
                match format {
                    RawFormat::Grey => assert_eq!(rgb.0, [at(y, x); 3]),
                    RawFormat::Yuyv => {
                        let pair = 4 * (x / 2);
                        assert_close(rgb.0, (at(y, 2 * x), at(y, pair + 1), at(y, pair + 3)));
                    }
                    _ => {
                        let pair = 2 * (x / 2);
                        let (u, v) = (at(4 + y / 2, pair), at(4 + y / 2, pair + 1));
                        assert_close(rgb.0, (at(y, x), u, v));
                    }
                }
            }
        }
    }

    #[test]
    fn a_simulated_camera_delivers_what_is_decoded() {
        let drawn = RgbImage::from_fn(64, 8, |x, y| {
            image::Rgb([(4 * (x / 2)) as u8, (30 * y) as u8, (255 - 3 * x) as u8])
        });
        let (mut bytes, mut out) = (Vec::new(), RgbImage::new(64, 8));
        yuyv_from_rgb(&drawn, &mut bytes);
        decode_into(RawFormat::Yuyv, &bytes, 0, &mut out).unwrap();
        let error = drawn
            .iter()
            .zip(out.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        // Two pixels share their colour.
        assert!(error <= Some(8), "{error:?}");
    }

    #[test]
    fn what_is_torn_is_refused() {
        for format in [RawFormat::Yuyv, RawFormat::Nv12, RawFormat::Grey] {
            let needed = format.bytes(6, 4).unwrap();
            let mut out = RgbImage::new(6, 4);
            decode_into(format, &vec![7; needed], 0, &mut out).unwrap();
            let got = needed - 1;
            assert_eq!(
                decode_into(format, &vec![7; got], 0, &mut out),
                Err(RawError::Short { got, needed })
            );
        }
    }

    #[test]
    fn a_jpeg_is_whole_and_of_the_right_size_or_refused() {
        let drawn = RgbImage::from_fn(32, 16, |x, y| {
            image::Rgb([(8 * x) as u8, (16 * y) as u8, 90])
        });
        let mut jpeg = std::io::Cursor::new(Vec::new());
        drawn.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        let mut out = RgbImage::new(32, 16);
        // Drivers pad with zeros.
        let padded = [jpeg.as_slice(), &[0; 9]].concat();
        decode_into(RawFormat::Mjpeg, &padded, 0, &mut out).unwrap();
        let error = drawn
            .iter()
            .zip(out.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(error < Some(40), "{error:?}");
        let cut = &jpeg[..jpeg.len() / 2];
        assert!(decode_into(RawFormat::Mjpeg, cut, 0, &mut out).is_err());
        let message = decode_into(RawFormat::Mjpeg, &jpeg, 0, &mut RgbImage::new(16, 16));
        assert!(
            message
                .unwrap_err()
                .to_string()
                .contains("32 x 16 instead of 16 x 16")
        );
    }

    #[test]
    fn formats_have_names() {
        for format in RawFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!(
            "rgb"
                .parse::<RawFormat>()
                .unwrap_err()
                .contains("yuyv, nv12")
        );
    }
}
