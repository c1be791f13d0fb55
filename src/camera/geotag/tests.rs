//! EXIF and XMP assembled by bytes.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// An EXIF entry: tag, type (2 ASCII, 3 short, 5 rational), count, value bytes.
type Entry = (u16, u16, u32, Vec<u8>);

/// A little-endian directory at `start`; returns it with the values that do not fit behind it.
fn directory(start: usize, entries: &[Entry]) -> Vec<u8> {
    let mut at = start + 2 + entries.len() * 12 + 4;
    let mut head = (entries.len() as u16).to_le_bytes().to_vec();
    let mut values = Vec::<u8>::new();
    for (tag, kind, count, value) in entries {
        head.extend(tag.to_le_bytes());
        head.extend(kind.to_le_bytes());
        head.extend(count.to_le_bytes());
        if value.len() <= 4 {
            let mut value = value.clone();
            value.resize(4, 0);
            head.extend(value);
        } else {
            head.extend((at as u32).to_le_bytes());
            at += value.len();
            values.extend(value);
        }
    }
    head.extend([0; 4]);
    head.extend(values);
    head
}

fn rationals(parts: &[(u32, u32)]) -> Vec<u8> {
    let words = parts.iter().flat_map(|(n, d)| [*n, *d]);
    words.flat_map(u32::to_le_bytes).collect()
}

/// EXIF with orientation, focal length and position.
pub(in crate::camera) fn exif_bytes(
    orientation: u16,
    focal: u16,
    latitude: &[(u32, u32)],
    hemispheres: [u8; 2],
) -> Vec<u8> {
    let long = |at: usize| (at as u32).to_le_bytes().to_vec();
    let main_size = 2 + 3 * 12 + 4;
    let photo = directory(
        8 + main_size,
        &[(0xA405, 3, 1, focal.to_le_bytes().to_vec())],
    );
    let gps_at = 8 + main_size + photo.len();
    let longitude = rationals(&[(91, 1), (59, 1), (4042, 100)]);
    let gps = directory(
        gps_at,
        &[
            (1, 2, 2, vec![hemispheres[0], 0]),
            (2, 5, latitude.len() as u32, rationals(latitude)),
            (3, 2, 2, vec![hemispheres[1], 0]),
            (4, 5, 3, longitude),
        ],
    );
    let main = directory(
        8,
        &[
            (0x0112, 3, 1, orientation.to_le_bytes().to_vec()),
            (0x8769, 4, 1, long(8 + main_size)),
            (0x8825, 4, 1, long(gps_at)),
        ],
    );
    [b"II*\0\x08\0\0\0".to_vec(), main, photo, gps].concat()
}

const LATITUDE: [(u32, u32); 3] = [(46, 1), (50, 1), (3339, 100)];

fn with_exif(exif: Vec<u8>) -> GeoTagSource {
    GeoTagSource {
        exif: Some(exif),
        xmp: None,
    }
}

fn with_xmp(xmp: &str) -> GeoTagSource {
    GeoTagSource {
        exif: None,
        xmp: Some(xmp.as_bytes().to_vec()),
    }
}

/// XMP with the given attributes and elements of DJI's.
fn xmp(attributes: &str, elements: &str) -> String {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description \
         xmlns:drone-dji=\"{DJI}\" {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end=\"w\"?>"
    )
}

#[test]
fn exif_gives_position_lens_and_orientation() {
    let source = with_exif(exif_bytes(6, 20, &LATITUDE, *b"NW"));
    let tag = read(&source, 1000, 562).unwrap();
    assert!((tag.latitude_deg.unwrap() - 46.842_608).abs() < 1e-6);
    assert!((tag.longitude_deg.unwrap() + 91.994_561).abs() < 1e-6);
    assert_eq!(tag.focal_35mm_mm, Some(20.0));
    assert!((tag.hfov_deg.unwrap() - 83.974).abs() < 1e-3);
    assert_eq!(orientation(&source), Some(6));
}

#[rstest]
#[case::south(*b"SE", -1.0, 1.0)]
#[case::lower_case(*b"nw", 1.0, -1.0)]
fn the_hemisphere_gives_the_sign(
    #[case] hemispheres: [u8; 2],
    #[case] latitude: f64,
    #[case] longitude: f64,
) {
    let tag = read(&with_exif(exif_bytes(1, 20, &LATITUDE, hemispheres)), 4, 3).unwrap();
    assert!((tag.latitude_deg.unwrap().signum() - latitude).abs() < 1e-9);
    assert!((tag.longitude_deg.unwrap().signum() - longitude).abs() < 1e-9);
}

#[rstest]
#[case::zero_denominator(&[(46, 0), (50, 1), (0, 1)], *b"NW")]
#[case::nothing_over_nothing(&[(0, 0), (0, 0), (0, 0)], *b"NW")]
#[case::beyond_the_pole(&[(91, 1), (0, 1), (0, 1)], *b"NW")]
#[case::no_parts(&[], *b"NW")]
#[case::no_such_hemisphere(&LATITUDE, *b"XW")]
fn half_a_position_is_none(#[case] latitude: &[(u32, u32)], #[case] hemispheres: [u8; 2]) {
    let tag = read(&with_exif(exif_bytes(1, 20, latitude, hemispheres)), 4, 3).unwrap();
    assert_eq!((tag.latitude_deg, tag.longitude_deg), (None, None));
}

#[rstest]
#[case::unknown_lens(1, 0)]
#[case::no_such_orientation(9, 0)]
fn zeros_for_unknown_are_none(#[case] turn: u16, #[case] focal: u16) {
    let source = with_exif(exif_bytes(turn, focal, &[(0, 0)], *b"NW"));
    assert_eq!(read(&source, 4, 3), None);
    assert_eq!(orientation(&source), Some(1).filter(|_| turn == 1));
}

#[test]
fn dji_numbers_are_read_from_attributes_and_elements() {
    let attributes = r#"drone-dji:RelativeAltitude="+40.00" drone-dji:GimbalYawDegree="-132.10"
        drone-dji:GimbalPitchDegree="-89.90" drone-dji:GpsLatitude="46.8426" drone-dji:GpsLongtitude="-91.9946""#;
    let elements = "<drone-dji:GimbalRollDegree>+0.00</drone-dji:GimbalRollDegree>\
        <drone-dji:FlightYawDegree> 46.5\n</drone-dji:FlightYawDegree>";
    let mut padded = xmp(attributes, elements);
    padded.push_str("\0\0\0");
    let tag = read(&with_xmp(&padded), 4, 3).unwrap();
    let expected = GeoTag {
        latitude_deg: Some(46.8426),
        longitude_deg: Some(-91.9946),
        relative_altitude_m: Some(40.0),
        flight_yaw_deg: Some(46.5),
        gimbal_yaw_deg: Some(-132.1),
        gimbal_pitch_deg: Some(-89.9),
        gimbal_roll_deg: Some(0.0),
        ..GeoTag::default()
    };
    assert_eq!(tag, expected);
}

#[test]
fn a_position_of_zeros_in_xmp_leaves_the_one_of_exif() {
    let mut source = with_exif(exif_bytes(1, 20, &LATITUDE, *b"NW"));
    let zeros = xmp(
        r#"drone-dji:GpsLatitude="0" drone-dji:GpsLongitude="0""#,
        "",
    );
    source.xmp = Some(zeros.into_bytes());
    assert!(read(&source, 4, 3).unwrap().latitude_deg.unwrap() > 46.0);
}

#[rstest]
#[case::not_a_number(xmp(r#"drone-dji:RelativeAltitude="NaN""#, ""))]
#[case::infinite(xmp(r#"drone-dji:GimbalYawDegree="inf""#, ""))]
#[case::words(xmp(r#"drone-dji:RelativeAltitude="forty""#, ""))]
#[case::empty_element(xmp("", "<drone-dji:RelativeAltitude/>"))]
#[case::absurd(xmp(r#"drone-dji:GimbalYawDegree="1e9""#, ""))]
#[case::unclosed("<x:xmpmeta xmlns:x='adobe:ns:meta/'><a>".to_owned())]
#[case::entity_bomb("<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>".to_owned())]
#[case::too_many_nodes(xmp("", &"<a/>".repeat(20_000)))]
#[case::too_deep("<a>".repeat(20_000))]
#[case::empty(String::new())]
fn useless_xmp_is_none(#[case] text: String) {
    assert_eq!(read(&with_xmp(&text), 4, 3), None);
}

#[rstest]
#[case::film(36.0, 3, 2, 53.130)]
#[case::wide(20.0, 1000, 562, 83.974)]
#[case::upright(20.0, 562, 1000, 53.66)]
fn the_long_side_spans_the_film(#[case] f: f64, #[case] w: u32, #[case] h: u32, #[case] deg: f64) {
    assert!((hfov_deg(f, w, h).unwrap() - deg).abs() < 0.01);
}

#[rstest]
#[case(0.0)]
#[case(-20.0)]
#[case(f64::NAN)]
#[case(1e9)]
fn an_impossible_lens_has_no_field_of_view(#[case] focal: f64) {
    assert_eq!(hfov_deg(focal, 4, 3), None);
}

#[test]
fn exif_cut_anywhere_never_panics() {
    let whole = exif_bytes(1, 20, &LATITUDE, *b"NW");
    for length in 0..whole.len() {
        let source = with_exif(whole[..length].to_vec());
        let _ = (read(&source, 4, 3), orientation(&source));
    }
}

proptest! {
    #[test]
    fn damaged_metadata_never_panic(flips in prop::collection::vec((0usize..400, any::<u8>()), 1..8)) {
        let mut exif = exif_bytes(1, 20, &LATITUDE, *b"NW");
        let mut packet = xmp(r#"drone-dji:RelativeAltitude="+40.00""#, "").into_bytes();
        for (at, byte) in flips {
            for bytes in [&mut exif, &mut packet] {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
        let tag = read(&GeoTagSource { exif: Some(exif), xmp: Some(packet) }, 4, 3);
        if let Some(tag) = tag {
            prop_assert!(tag.latitude_deg.is_none_or(|d| d.abs() <= 90.0));
            prop_assert!(tag.relative_altitude_m.is_none_or(f64::is_finite));
        }
    }
}
