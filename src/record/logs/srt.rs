//! DJI's subtitles: a line of text for every frame or second of a video.
//!
//! Three generations are read: `[latitude: 41.4] [rel_alt: 12.3 abs_alt: 90.1] [gb_yaw: 10]`, `GPS(2.1,41.4,19)
//! BAROMETER:20.1`, and `GPS (2.1, 41.4, 15), D 224.64m, H 9.10m`. Longitude stands first in the brackets. A bare
//! `altitude` does not say over what, and is not used.
//!
//! A small reader of our own: `srtparse` 0.3 gives up the whole file at one broken subtitle.

use std::f64::consts::FRAC_PI_2;

use super::collect::{Collected, Collector};
use crate::geometry::Geodetic;
use crate::time::MonoTime;

/// Bytes that are searched for a first time line.
const SEARCHED: usize = 4 << 10;

/// Whether a line with two times stands near the start of a text.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    let head = bytes.get(..SEARCHED).unwrap_or(bytes);
    !head.contains(&0)
        && String::from_utf8_lossy(head)
            .lines()
            .any(|l| start_of(l).is_some())
}

/// What one subtitle says.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Words {
    place: Option<(f64, f64)>,
    relative_m: Option<f64>,
    unclear_altitude_m: Option<f64>,
    focal_35mm_mm: Option<f64>,
    /// Of the gimbal, degrees: roll, pitch, yaw.
    gimbal: Option<[f64; 3]>,
}

impl Words {
    fn says_less_than(&self, other: &Self) -> bool {
        (self.place.is_none() && other.place.is_some())
            || (self.relative_m.is_none() && other.relative_m.is_some())
            || (self.gimbal.is_none() && other.gimbal.is_some())
    }
}

/// Reads all subtitles.
pub(super) fn read(bytes: &[u8]) -> Collected {
    let text = String::from_utf8_lossy(bytes);
    let mut collector = Collector::of_a_file();
    let mut said = Words::default();
    let mut unclear = None;
    let (mut number, mut is_cut) = (0, false);
    let mut before = Words::default();
    for (at_s, words) in subtitles(&text) {
        let at = MonoTime::from_secs_f64(at_s);
        let words = words_of(&words);
        if let Some(metres) = words.relative_m {
            collector.relative_altitude(at, metres);
        }
        if let Some((latitude_deg, longitude_deg)) = words.place {
            let place = Geodetic {
                latitude_deg,
                longitude_deg,
                altitude_m: words.relative_m.unwrap_or(0.0),
            };
            collector.global(at, place, [0.0; 3]);
        }
        if let Some([roll, pitch, yaw]) = words.gimbal.map(|g| g.map(f64::to_radians)) {
            // As if a camera that looks down were turned with the vehicle.
            collector.attitude(at, [roll, pitch + FRAC_PI_2, yaw]);
        }
        said.focal_35mm_mm = said.focal_35mm_mm.or(words.focal_35mm_mm);
        unclear = unclear.or(words.unclear_altitude_m);
        number += 1;
        is_cut = words.says_less_than(&before);
        before = words;
    }
    let mut collected = collector.finish();
    collected.focal_35mm_mm = said.focal_35mm_mm;
    if is_cut {
        collected
            .notes
            .push(format!("the log is cut within subtitle {number}"));
    }
    if let Some(metres) = unclear {
        collected.notes.push(format!(
            "`altitude: {metres}` does not say over what: it is not taken for a height"
        ));
    }
    collected
}

/// Start in seconds and text of each subtitle.
fn subtitles(text: &str) -> Vec<(f64, String)> {
    let mut all: Vec<(f64, String)> = Vec::new();
    for line in text.lines() {
        if let Some(start) = start_of(line) {
            all.push((start, String::new()));
        } else if let Some((_, words)) = all.last_mut() {
            words.push_str(line);
            words.push('\n');
        }
    }
    all
}

/// `00:01:02,345 --> ...`, in seconds.
fn start_of(line: &str) -> Option<f64> {
    let (start, end) = line.split_once("-->")?;
    clock(end)?;
    clock(start)
}

fn clock(text: &str) -> Option<f64> {
    let mut parts = text.trim().split(':');
    let mut next = || parts.next()?.trim().replace(',', ".").parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    let s = hours * 3600.0 + minutes * 60.0 + seconds;
    (0.0..1e6).contains(&s).then_some(s)
}

fn words_of(text: &str) -> Words {
    let by_name =
        after(text, "latitude").zip(after(text, "longitude").or(after(text, "longtitude")));
    let relative_m = after(text, "rel_alt")
        .or(after(text, "BAROMETER"))
        .or(after(text, " H "));
    Words {
        place: by_name
            .or_else(|| in_brackets(text))
            .filter(|p| *p != (0.0, 0.0)),
        relative_m,
        unclear_altitude_m: after(text, "altitude").filter(|_| relative_m.is_none()),
        // Written in millimetres, or in tenths of them.
        focal_35mm_mm: after(text, "focal_len")
            .map(|f| if f >= 100.0 { f / 10.0 } else { f })
            .filter(|f| (5.0..=1000.0).contains(f)),
        gimbal: after(text, "gb_yaw")
            .zip(after(text, "gb_pitch"))
            .map(|(yaw, pitch)| [after(text, "gb_roll").unwrap_or(0.0), pitch, yaw]),
    }
}

/// The number after a name, a colon and blanks.
fn after(text: &str, name: &str) -> Option<f64> {
    let (_, rest) = text.split_once(name)?;
    number(rest.trim_start_matches([' ', ':', '\t']))
}

/// `GPS(longitude,latitude,...)`.
fn in_brackets(text: &str) -> Option<(f64, f64)> {
    let (_, rest) = text.split_once("GPS")?;
    let rest = rest.trim_start().strip_prefix('(')?;
    let mut parts = rest.split(',').map(|p| number(p.trim()));
    let (longitude, latitude) = (parts.next()??, parts.next()??);
    Some((latitude, longitude))
}

/// The number at the start of a text.
fn number(text: &str) -> Option<f64> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(text.len());
    text.get(..end)?
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
}
