//! Pictures drawn here, and files broken on purpose.

use image::{
    ExtendedColorType, ImageBuffer, ImageEncoder as _, Luma, LumaA, Rgb, Rgba,
    codecs::jpeg::JpegEncoder, codecs::png::PngEncoder,
};
use proptest::prelude::*;

use super::*;
use crate::camera::geotag::tests::exif_bytes;

/// Red above, green left below, blue right below.
pub(in crate::camera) fn drawn(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (y < height / 2, x < width / 2) {
            (true, _) => [220, 30, 30],
            (false, true) => [30, 200, 40],
            (false, false) => [20, 40, 210],
        })
    })
}

pub(in crate::camera) fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode_image(image)
        .unwrap();
    bytes
}

fn png<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>) -> Vec<u8>
where
    P: image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
{
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Puts EXIF and XMP behind the start marker.
pub(in crate::camera) fn with_tags(jpeg: &[u8], exif: &[u8], xmp: &str) -> Vec<u8> {
    let exif = [b"Exif\0\0", exif].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0", xmp.as_bytes()].concat();
    let mut out = jpeg[..2].to_vec();
    for body in [exif, xmp] {
        out.extend([0xFF, 0xE1]);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
    }
    out.extend(&jpeg[2..]);
    out
}

fn is_near(a: Rgb<u8>, b: [u8; 3]) -> bool {
    a.0.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 12)
}

#[test]
fn a_jpeg_keeps_its_colours() {
    let picture = decode(&jpeg(&drawn(64, 48))).unwrap();
    assert_eq!(picture.image.dimensions(), (64, 48));
    assert!(is_near(*picture.image.get_pixel(30, 5), [220, 30, 30]));
    assert!(is_near(*picture.image.get_pixel(5, 40), [30, 200, 40]));
    assert!(is_near(*picture.image.get_pixel(60, 40), [20, 40, 210]));
    assert_eq!(picture.tag, None);
}

#[test]
fn a_grey_jpeg_becomes_rgb() {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode(&[90; 33 * 17], 33, 17, ExtendedColorType::L8)
        .unwrap();
    let picture = decode(&bytes).unwrap();
    assert_eq!(picture.image.dimensions(), (33, 17));
    assert!(picture.image.pixels().all(|p| is_near(*p, [90, 90, 90])));
}

#[test]
fn every_kind_of_png_becomes_rgb8() {
    let one = |bytes: Vec<u8>| decode(&bytes).unwrap().image.get_pixel(1, 1).0;
    let grey = ImageBuffer::from_pixel(3, 2, Luma([77u8]));
    assert_eq!(one(png(&grey)), [77, 77, 77]);
    let deep_grey = ImageBuffer::from_pixel(3, 2, Luma([77u16 * 257]));
    assert_eq!(one(png(&deep_grey)), [77, 77, 77]);
    let grey_alpha = ImageBuffer::from_pixel(3, 2, LumaA([77u8, 10]));
    assert_eq!(one(png(&grey_alpha)), [77, 77, 77]);
    let rgb = ImageBuffer::from_pixel(3, 2, Rgb([1u8, 2, 3]));
    assert_eq!(one(png(&rgb)), [1, 2, 3]);
    let rgba = ImageBuffer::from_pixel(3, 2, Rgba([1u8, 2, 3, 0]));
    assert_eq!(one(png(&rgba)), [1, 2, 3]);
    let deep = ImageBuffer::from_pixel(3, 2, Rgb([257u16, 514, 65_535]));
    assert_eq!(one(png(&deep)), [1, 2, 255]);
}

#[test]
fn a_palette_png_becomes_rgb8() {
    // 2 x 2, one byte an index: 0 and 1 above, 1 and 0 below.
    let chunk = |name: &[u8], body: &[u8]| {
        let named = [name, body].concat();
        let mut crc = u32::MAX;
        for byte in &named {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ (0xEDB8_8320 * (crc & 1));
            }
        }
        let length = (body.len() as u32).to_be_bytes();
        [&length[..], &named, &(!crc).to_be_bytes()].concat()
    };
    // One stored deflate block of the two filtered rows, with its Adler-32.
    let rows = [0u8, 0, 1, 0, 1, 0];
    let (a, b) = rows.iter().fold((1u32, 0u32), |(a, b), byte| {
        (a + u32::from(*byte), b + a + u32::from(*byte))
    });
    let zlib = [
        &[0x78, 1, 1, 6, 0, 0xF9, 0xFF],
        &rows[..],
        &(b << 16 | a).to_be_bytes(),
    ]
    .concat();
    let bytes = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 2, 8, 3, 0, 0, 0]),
        chunk(b"PLTE", &[200, 100, 50, 5, 6, 7]),
        chunk(b"IDAT", &zlib),
        chunk(b"IEND", &[]),
    ]
    .concat();
    let image = decode(&bytes).unwrap().image;
    assert_eq!(
        image.as_raw()[..],
        [200, 100, 50, 5, 6, 7, 5, 6, 7, 200, 100, 50]
    );
}

#[test]
fn the_exif_orientation_turns_the_picture_upright() {
    // 6: the right side of the stored picture is the bottom; players turn it clockwise.
    let exif = exif_bytes(6, 20, &[(1, 1), (0, 1), (0, 1)], *b"NE");
    let bytes = with_tags(&jpeg(&drawn(64, 48)), &exif, "");
    let picture = decode(&bytes).unwrap();
    assert_eq!(picture.image.dimensions(), (48, 64));
    assert!(is_near(*picture.image.get_pixel(44, 30), [220, 30, 30]));
    assert!(is_near(*picture.image.get_pixel(4, 4), [30, 200, 40]));
    // The field of view is that of the upright picture's width.
    let hfov = picture.tag.unwrap().hfov_deg.unwrap();
    assert!((hfov - geotag::hfov_deg(20.0, 48, 64).unwrap()).abs() < 1e-9);
}

#[test]
fn the_tags_of_a_png_are_read_too() {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder
        .set_exif_metadata(exif_bytes(1, 24, &[(1, 1), (0, 1), (0, 1)], *b"NE"))
        .unwrap();
    encoder
        .write_image(&drawn(8, 6), 8, 6, ExtendedColorType::Rgb8)
        .unwrap();
    assert_eq!(
        decode(&bytes).unwrap().tag.unwrap().focal_35mm_mm,
        Some(24.0)
    );
}

#[test]
fn a_picture_cut_anywhere_is_an_error() {
    for whole in [jpeg(&drawn(64, 48)), png(&drawn(64, 48))] {
        for length in 0..whole.len() - 12 {
            assert!(
                decode(&whole[..length]).is_err(),
                "{length} of {}",
                whole.len()
            );
        }
        assert!(decode(&whole).is_ok());
    }
    let whole = jpeg(&drawn(64, 48));
    let half = &whole[..whole.len() * 3 / 4];
    assert!(matches!(decode(half), Err(PictureError::Truncated)));
}

#[test]
fn what_follows_the_end_marker_does_not_matter() {
    let mut bytes = jpeg(&drawn(64, 48));
    bytes.extend([0x55; 100]);
    assert!(decode(&bytes).is_ok());
}

#[test]
fn a_thumbnail_inside_does_not_count_as_the_end() {
    let thumbnail = jpeg(&drawn(16, 12));
    let whole = with_tags(&jpeg(&drawn(64, 48)), &thumbnail, "");
    assert!(decode(&whole).is_ok());
    let cut = &whole[..whole.len() - 40];
    assert!(matches!(decode(cut), Err(PictureError::Truncated)));
}

#[test]
fn a_bomb_is_refused_by_its_size() {
    let mut bytes = png(&drawn(8, 6));
    // 60000 x 60000, with a checksum that no longer fits: either way it must not be decoded.
    bytes[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    assert!(decode(&bytes).is_err());
    let mut bytes = jpeg(&drawn(8, 6));
    let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    let error = decode(&bytes).unwrap_err();
    assert!(
        matches!(error, PictureError::TooLarge { width: 60000, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("100 million"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_pictures_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        as_png: bool,
    ) {
        let mut bytes = if as_png { png(&drawn(24, 16)) } else { jpeg(&drawn(24, 16)) };
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(picture) = decode(&bytes) {
            prop_assert!(u64::from(picture.image.width()) * u64::from(picture.image.height()) <= MAX_PIXELS);
        }
    }
}
