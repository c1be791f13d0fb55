//! Decodes one JPEG or PNG into RGB, upright, with its geotag.
//!
//! - **A truncated picture is an error**, never a half grey one: the missing part would look like flat, safe ground. A JPEG
//!   must reach its end marker and decode without a fault in its compressed data.
//! - **The EXIF orientation is applied**, so that pixel coordinates mean what people see in any viewer. Drones write 1
//!   (upright) for their downward pictures, which changes nothing.
//! - A picture of more than [`MAX_PIXELS`] is refused before any memory is taken for it.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, RgbImage};
use thiserror::Error;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::GeoTag;
use super::geotag::{self, GeoTagSource};

/// The most pixels that a picture may have: beyond it a file is taken for a decompression bomb.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The largest file that is read: no compressed picture below [`MAX_PIXELS`] comes near.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A decoded picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// RGB, 8 bits a channel, upright.
    pub image: RgbImage,
    /// What its EXIF and XMP say, if they say anything of use.
    pub tag: Option<GeoTag>,
}

/// Why a picture could not be read.
#[derive(Debug, Error)]
pub enum PictureError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Neither JPEG nor PNG by its content.
    #[error("is neither a JPEG nor a PNG picture by its content")]
    Unknown,
    /// The file ends before the picture does.
    #[error("is truncated: the file ends before the picture does")]
    Truncated,
    /// Too large to be a photo.
    #[error("has {width} x {height} pixels, more than the limit of 100 million")]
    TooLarge {
        /// Pixels across.
        width: u64,
        /// Pixels down.
        height: u64,
    },
    /// Damaged data.
    #[error("is damaged: {0}")]
    Damaged(String),
}

/// Reads and decodes the picture file at `path`.
///
/// # Errors
///
/// See [`PictureError`].
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(PictureError::Damaged(format!(
            "{size} bytes are too many for a picture"
        )));
    }
    decode(&std::fs::read(path)?)
}

/// Decodes a JPEG or PNG file's bytes.
///
/// # Errors
///
/// See [`PictureError`].
pub fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        if !jpeg_reaches_its_end(bytes) {
            return Err(PictureError::Truncated);
        }
        let (image, tags) = decode_jpeg(bytes)?;
        Ok(finish(DynamicImage::ImageRgb8(image), &tags))
    } else if bytes.starts_with(b"\x89PNG") {
        decode_png(bytes)
    } else {
        Err(PictureError::Unknown)
    }
}

/// Turns the picture upright and reads its tags.
fn finish(mut image: DynamicImage, tags: &GeoTagSource) -> Picture {
    let orientation = geotag::orientation(tags).and_then(Orientation::from_exif);
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    let image = image.into_rgb8();
    let tag = geotag::read(tags, image.width(), image.height());
    Picture { image, tag }
}

/// Refuses pictures without pixels and those beyond [`MAX_PIXELS`].
pub(super) fn check_size(width: u64, height: u64) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::Damaged("it has no pixels".to_owned()));
    }
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(PictureError::TooLarge { width, height });
    }
    Ok(())
}

/// Decodes a JPEG's pixels and hands out its metadata unread. Faults in the compressed data are errors (strict mode);
/// a missing end marker alone is not, because frames of Motion JPEG often lack it. Motion JPEG (`AVI1`) without Huffman
/// tables gets the standard ones.
pub(super) fn decode_jpeg(bytes: &[u8]) -> Result<(RgbImage, GeoTagSource), PictureError> {
    let damaged = |e: zune_jpeg::errors::DecodeErrors| PictureError::Damaged(format!("{e:?}"));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| PictureError::Damaged("it has no size".to_owned()))?;
    check_size(width as u64, height as u64)?;
    let pixels = decoder.decode().map_err(damaged)?;
    let image = RgbImage::from_raw(width as u32, height as u32, pixels)
        .ok_or_else(|| PictureError::Damaged("its colours cannot be read as RGB".to_owned()))?;
    let tags = GeoTagSource {
        exif: decoder.exif().cloned(),
        xmp: decoder.xmp().cloned(),
    };
    Ok((image, tags))
}

fn decode_png(bytes: &[u8]) -> Result<Picture, PictureError> {
    let damaged = |e: image::ImageError| match e {
        image::ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated
        }
        e => PictureError::Damaged(e.to_string()),
    };
    let mut limits = image::Limits::default();
    // 16-bit RGBA takes eight bytes a pixel.
    limits.max_alloc = Some(MAX_PIXELS * 8);
    let mut decoder =
        image::codecs::png::PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height))?;
    let tags = GeoTagSource {
        exif: decoder.exif_metadata().ok().flatten(),
        xmp: decoder.xmp_metadata().ok().flatten(),
    };
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(finish(image, &tags))
}

/// Whether the JPEG's end marker follows its first scan: walks the segments by their lengths, and through the compressed
/// data, where `FF` is followed by 0 or a restart number.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut seen_scan = false;
    while let Some(&[marker, kind]) = bytes.get(at..at + 2).and_then(|b| b.first_chunk()) {
        match (marker, kind) {
            (0xFF, 0xD9) if seen_scan => return true,
            // A fill byte: the second FF may start the marker.
            (0xFF, 0xFF) => at += 1,
            // Stuffed zero, restart markers, and markers without a length.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD9) => at += 2,
            (0xFF, _) => {
                seen_scan |= kind == 0xDA;
                let length = bytes.get(at + 2..at + 4).and_then(|b| b.first_chunk());
                let length = length.map_or(2, |b| u16::from_be_bytes(*b));
                at += 2 + usize::from(length);
            }
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
pub(super) mod tests;
