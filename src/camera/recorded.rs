//! When a recording began, by its own header: what lines it up with a flight log.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use exif::{Exif, In, Tag, Value};
use jiff::civil::DateTime;

use super::images::{is_pictures, pictures_in};
use super::video;

/// When a recording began and how long it is, as far as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recorded {
    /// Seconds since 1970 (UTC). Cameras whose clock is not set, or set to local time, are wrong here.
    pub start_unix_s: Option<f64>,
    /// Seconds.
    pub length_s: Option<f64>,
}

/// What the header of a video (MP4, MOV) or of the first picture of a folder says.
#[must_use]
pub fn recorded(path: &Path) -> Recorded {
    if !is_pictures(path) {
        return video::recorded(path).unwrap_or_default();
    }
    let first = if path.is_dir() {
        pictures_in(path)
            .ok()
            .and_then(|files| files.into_iter().next())
    } else {
        Some(path.to_owned())
    };
    Recorded {
        start_unix_s: first.and_then(|file| taken_unix_s(&file)),
        length_s: None,
    }
}

/// When a picture was taken: by the satellites, else by a clock that knows its time zone.
fn taken_unix_s(file: &Path) -> Option<f64> {
    let mut reader = BufReader::new(File::open(file).ok()?);
    let exif = exif::Reader::new().read_from_container(&mut reader).ok()?;
    by_satellites(&exif).or_else(|| by_clock(&exif))
}

fn by_satellites(exif: &Exif) -> Option<f64> {
    let day = text(exif, Tag::GPSDateStamp)?;
    let Value::Rational(parts) = &exif.get_field(Tag::GPSTimeStamp, In::PRIMARY)?.value else {
        return None;
    };
    let [hours, minutes, seconds] = <[_; 3]>::try_from(parts.as_slice()).ok()?;
    let in_day = hours.to_f64() * 3600.0 + minutes.to_f64() * 60.0 + seconds.to_f64();
    let start = unix_s(&format!("{day} 00:00:00"))?;
    (0.0..86_401.0).contains(&in_day).then_some(start + in_day)
}

fn by_clock(exif: &Exif) -> Option<f64> {
    let local = unix_s(&text(exif, Tag::DateTimeOriginal)?)?;
    let zone = text(exif, Tag::OffsetTimeOriginal)?;
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1.0, clock),
        ("-", clock) => (-1.0, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let ahead_min = hours.parse::<f64>().ok()? * 60.0 + minutes.parse::<f64>().ok()?;
    Some(local - sign * ahead_min * 60.0)
}

/// Of `2024:05:06 07:08:09`, as if it were UTC.
fn unix_s(text: &str) -> Option<f64> {
    let at = DateTime::strptime("%Y:%m:%d %H:%M:%S", text).ok()?;
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second() as f64)
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(lines) = &exif.get_field(tag, In::PRIMARY)?.value else {
        return None;
    };
    let line = String::from_utf8_lossy(lines.first()?);
    Some(line.trim_matches(['\0', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exif_times_are_read() {
        assert_eq!(unix_s("2024:05:06 07:08:09"), Some(1_714_979_289.0));
        assert_eq!(unix_s("0000:00:00 00:00:00"), None);
        assert_eq!(unix_s("yesterday"), None);
    }

    #[test]
    fn the_header_of_an_mp4_is_read() {
        let boxed = |name: &[u8; 4], body: &[u8]| {
            let size = (body.len() as u32 + 8).to_be_bytes();
            [&size[..], name, body].concat()
        };
        for version in [0_u8, 1] {
            // 2024-05-06 07:08:09 UTC since 1904, and 90 s in milliseconds.
            let (created, ticks) = (3_797_824_089_u64, 90_000_u64);
            let number = |n: u64| {
                let bytes = n.to_be_bytes();
                bytes[if version == 0 { 4 } else { 0 }..].to_vec()
            };
            let mut header = vec![version, 0, 0, 0];
            header.extend(number(created));
            header.extend(number(created));
            header.extend(1000_u32.to_be_bytes());
            header.extend(number(ticks));
            header.extend([0; 80]);
            let moov = boxed(b"moov", &boxed(b"mvhd", &header));
            let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
            std::fs::write(file.path(), [boxed(b"ftyp", b"isom"), moov].concat()).unwrap();
            let found = recorded(file.path());
            assert_eq!(found.start_unix_s, Some(1_714_979_289.0));
            assert_eq!(found.length_s, Some(90.0));
        }
    }

    #[test]
    fn what_says_nothing_says_nothing() {
        assert_eq!(recorded(Path::new("/nowhere/a.mp4")), Recorded::default());
        assert_eq!(recorded(Path::new("/nowhere/a.jpg")), Recorded::default());
    }
}
