//! Reads place, height, direction and lens from a picture's EXIF and DJI XMP.
//!
//! EXIF gives the position and the focal length; DJI's XMP (`drone-dji:` as attributes or elements) gives the height over the
//! take-off point and the angles of vehicle and gimbal, and a finer position where it has one. Whatever is missing, broken,
//! out of range or not a number is `None`: a wrong tag is worse than none.

use exif::{Exif, In, Tag, Value};
use roxmltree::{Document, ParsingOptions};

use super::GeoTag;

/// The namespace of DJI's tags.
const DJI: &str = "http://www.dji.com/drone-dji/1.0/";

/// The nodes that a picture's XMP may have; DJI's has about 50.
const MAX_XML_NODES: u32 = 10_000;

/// A picture's metadata, unread.
#[derive(Debug, Clone, Default)]
pub struct GeoTagSource {
    /// EXIF from its TIFF header on.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet (XML).
    pub xmp: Option<Vec<u8>>,
}

/// What the metadata say; `None` if they say nothing. `width` and `height` are those of the upright picture, in pixels.
#[must_use]
pub fn read(source: &GeoTagSource, width: u32, height: u32) -> Option<GeoTag> {
    let exif = source.exif.as_ref().and_then(|bytes| parse_exif(bytes));
    let mut tag = GeoTag::default();
    if let Some(exif) = &exif {
        tag.latitude_deg = coordinate(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, 90.0);
        tag.longitude_deg = coordinate(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, 180.0);
        tag.focal_35mm_mm = focal_35mm(exif);
    }
    if let Some(xmp) = source
        .xmp
        .as_ref()
        .and_then(|b| std::str::from_utf8(b).ok())
    {
        add_dji(&mut tag, xmp);
    }
    // Half a position is none, and (0, 0) is what receivers write without a fix.
    let place = tag.latitude_deg.zip(tag.longitude_deg);
    let place = place.filter(|(lat, lon)| lat.abs() > 1e-9 || lon.abs() > 1e-9);
    (tag.latitude_deg, tag.longitude_deg) = place.unzip();
    tag.hfov_deg = tag
        .focal_35mm_mm
        .and_then(|focal| hfov_deg(focal, width, height));
    (tag != GeoTag::default()).then_some(tag)
}

/// The EXIF orientation (1-8), if it is there.
#[must_use]
pub fn orientation(source: &GeoTagSource) -> Option<u8> {
    let exif = source.exif.as_ref().and_then(|bytes| parse_exif(bytes))?;
    let value = exif
        .get_field(Tag::Orientation, In::PRIMARY)?
        .value
        .get_uint(0)?;
    u8::try_from(value).ok().filter(|v| (1..=8).contains(v))
}

/// Horizontal field of view in degrees of a picture of `width` x `height` pixels whose lens is equivalent to
/// `focal_35mm_mm` on 35 mm film, which is 36 mm wide: the picture's long side spans those 36 mm.
///
/// CIPA DCG-001 defines the equivalence by the diagonal (43.27 mm) of the sensor, but a camera writes the same number for
/// each crop of it, so the diagonal of a 16:9 crop is not that diagonal. `None` unless the result lies in (1, 179).
#[must_use]
pub fn hfov_deg(focal_35mm_mm: f64, width: u32, height: u32) -> Option<f64> {
    let long_side = f64::from(width.max(height));
    let focal_px = focal_35mm_mm / 36.0 * long_side;
    let hfov = 2.0 * (f64::from(width) / 2.0 / focal_px).atan().to_degrees();
    (hfov > 1.0 && hfov < 179.0).then_some(hfov)
}

/// What can be read of the EXIF; broken entries do not spoil the others.
fn parse_exif(bytes: &[u8]) -> Option<Exif> {
    exif::Reader::new()
        .continue_on_error(true)
        .read_raw(bytes.to_vec())
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()
}

/// Degrees, minutes and seconds with their hemisphere.
fn coordinate(exif: &Exif, tag: Tag, reference: Tag, limit: f64) -> Option<f64> {
    let field = exif.get_field(tag, In::PRIMARY)?;
    let Value::Rational(parts) = &field.value else {
        return None;
    };
    let mut degrees = 0.0;
    for (part, unit) in parts.iter().zip([1.0, 60.0, 3600.0]) {
        // A zero denominator gives infinity or NaN, which the range below refuses.
        degrees += part.to_f64() / unit;
    }
    let Value::Ascii(hemisphere) = &exif.get_field(reference, In::PRIMARY)?.value else {
        return None;
    };
    let sign = match hemisphere.first()?.first()?.to_ascii_uppercase() {
        b'N' | b'E' => 1.0,
        b'S' | b'W' => -1.0,
        _ => return None,
    };
    (!parts.is_empty() && degrees <= limit).then_some(sign * degrees)
}

fn focal_35mm(exif: &Exif) -> Option<f64> {
    let field = exif.get_field(Tag::FocalLengthIn35mmFilm, In::PRIMARY)?;
    // 0 means unknown (EXIF 2.32, tag 41989).
    field.value.get_uint(0).filter(|mm| *mm > 0).map(f64::from)
}

/// Adds what DJI's XMP says.
fn add_dji(tag: &mut GeoTag, xmp: &str) {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_XML_NODES,
        ..ParsingOptions::default()
    };
    // Some writers pad the packet with zeros, which are not XML.
    let Ok(document) = Document::parse_with_options(xmp.trim_end_matches('\0'), options) else {
        return;
    };
    let number = |names: &[&str], limit: f64| {
        names
            .iter()
            .find_map(|name| dji_number(&document, name))
            .filter(|value| value.abs() <= limit)
    };
    // DJI's own firmware has written `Longtitude` for years.
    let latitude = number(&["GpsLatitude", "Latitude"], 90.0);
    let longitude = number(&["GpsLongitude", "GpsLongtitude", "Longitude"], 180.0);
    if let (Some(latitude), Some(longitude)) = (latitude, longitude)
        && (latitude, longitude) != (0.0, 0.0)
    {
        tag.latitude_deg = Some(latitude);
        tag.longitude_deg = Some(longitude);
    }
    tag.relative_altitude_m = number(&["RelativeAltitude"], 100_000.0);
    tag.flight_yaw_deg = number(&["FlightYawDegree"], 360.0);
    tag.gimbal_yaw_deg = number(&["GimbalYawDegree"], 360.0);
    tag.gimbal_pitch_deg = number(&["GimbalPitchDegree"], 360.0);
    tag.gimbal_roll_deg = number(&["GimbalRollDegree"], 360.0);
}

/// A DJI tag written as an attribute (`drone-dji:Name="+1.0"`) or an element (`<drone-dji:Name>+1.0</...>`).
fn dji_number(document: &Document<'_>, name: &str) -> Option<f64> {
    let text = document.descendants().find_map(|node| {
        let element = node.has_tag_name((DJI, name)).then(|| node.text());
        node.attribute((DJI, name)).or(element.flatten())
    })?;
    let value: f64 = text.trim().parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
pub(super) mod tests;
