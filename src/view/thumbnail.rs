//! Small JPEGs for the report.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use crate::resize::Resizer;

/// JPEG quality, 1 to 100.
const QUALITY: u8 = 72;

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// The picture, or the wanted size, has no area.
    #[error("a thumbnail of a picture of {0}x{1} pixels has no area")]
    Empty(u32, u32),
    /// It could not be scaled.
    #[error("cannot scale a picture for a thumbnail: {0}")]
    Scale(String),
    /// It could not be encoded.
    #[error("cannot encode a thumbnail as JPEG: {0}")]
    Encode(#[from] image::ImageError),
}

/// The upper `rows` rows of `picture` (an overlay without its status bar, which would not be legible), scaled to
/// `width` pixels across, as JPEG. Pictures that are narrower keep their size.
///
/// # Errors
/// `Empty` without pixels; `Scale` and `Encode` as the libraries say.
pub fn thumbnail(picture: &RgbImage, rows: u32, width: u32) -> Result<Vec<u8>, ThumbnailError> {
    let (w, h) = (picture.width(), rows.min(picture.height()));
    let width = width.min(w);
    if w == 0 || h == 0 || width == 0 {
        return Err(ThumbnailError::Empty(w, h));
    }
    let height = (f64::from(h) * f64::from(width) / f64::from(w)).round();
    let height = (height as u32).clamp(1, 4 * width.max(16));
    let (from, to) = ((w as usize, h as usize), (width as usize, height as usize));
    let mut small = vec![0; 3 * to.0 * to.1];
    Resizer::<3>::default()
        .run((picture.as_raw(), from), (&mut small, to))
        .map_err(ThumbnailError::Scale)?;
    let mut jpeg = Vec::with_capacity(32 << 10);
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
        &small,
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case((1280, 720), 720, 320, (320, 180))]
    #[case((1280, 800), 720, 320, (320, 180))]
    #[case((100, 50), 50, 320, (100, 50))]
    #[case((1, 1), 1, 320, (1, 1))]
    #[case((4000, 1), 9, 320, (320, 1))]
    fn thumbnails_keep_the_shape_and_never_grow(
        #[case] (w, h): (u32, u32),
        #[case] rows: u32,
        #[case] width: u32,
        #[case] want: (u32, u32),
    ) {
        let picture = RgbImage::from_pixel(w, h, image::Rgb([200, 30, 30]));
        let jpeg = thumbnail(&picture, rows, width).unwrap();
        let back = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg)
            .unwrap()
            .to_rgb8();
        assert_eq!(back.dimensions(), want);
        assert!(back.get_pixel(0, 0).0[0].abs_diff(200) < 8);
    }

    #[test]
    fn the_rows_below_are_left_out() {
        let picture =
            RgbImage::from_fn(64, 64, |_, y| image::Rgb([if y < 32 { 250 } else { 0 }; 3]));
        let jpeg = thumbnail(&picture, 32, 16).unwrap();
        let back = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!(back.dimensions(), (16, 8));
        assert!(back.pixels().all(|p| p.0[0] > 235));
    }

    #[test]
    fn nothing_cannot_be_shown() {
        let none = RgbImage::new(0, 0);
        assert!(matches!(
            thumbnail(&none, 5, 320),
            Err(ThumbnailError::Empty(0, 0))
        ));
        let some = RgbImage::new(4, 4);
        assert!(thumbnail(&some, 0, 320).is_err() && thumbnail(&some, 4, 0).is_err());
    }
}
