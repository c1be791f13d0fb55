//! What a camera's or a video link's JPEG compression does to a picture.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, ImageResult};

use super::augment::Training;

/// Compresses the picture to JPEG of a `quality` (1 worst to 100 best) and back; the mask stays.
///
/// # Errors
/// What the codec says, which it has no reason to for a picture that fits into memory and is less than 65 536 pixels wide and high.
pub fn compress(t: &mut Training, quality: u8) -> ImageResult<()> {
    let plane = t.width * t.height;
    let mut pixels = vec![0_u8; 3 * plane];
    for (channel, values) in t.picture.chunks_exact(plane.max(1)).enumerate() {
        let places = pixels.iter_mut().skip(channel).step_by(3);
        for (place, value) in places.zip(values) {
            *place = value.round() as u8;
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode(
        &pixels,
        t.width as u32,
        t.height as u32,
        ExtendedColorType::Rgb8,
    )?;
    let back = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg)?.into_rgb8();
    for (channel, values) in t.picture.chunks_exact_mut(plane.max(1)).enumerate() {
        let places = back.as_raw().iter().skip(channel).step_by(3);
        for (value, place) in values.iter_mut().zip(places) {
            *value = f32::from(*place);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_the_quality_the_farther_from_the_picture() {
        let n = 48 * 32;
        let picture: Vec<f32> = (0..3 * n)
            .map(|i| (((i % 48) * 5 + (i / 48) * 3 + i / n * 40) % 256) as f32)
            .collect();
        let plain = Training {
            width: 48,
            height: 32,
            picture,
            mask: vec![3; n],
        };
        let error = |quality| {
            let mut t = plain.clone();
            compress(&mut t, quality).unwrap();
            assert_eq!(t.mask, plain.mask);
            let pairs = t.picture.iter().zip(&plain.picture);
            pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / (3 * n) as f32
        };
        let (bad, fair, good) = (error(10), error(50), error(100));
        assert!(
            good > 0.0 && good < fair && fair < bad,
            "{bad} {fair} {good}"
        );
        // Colours stay in their channels: swapped ones would be off by tens.
        assert!(good < 6.0, "{good}");
    }
}
