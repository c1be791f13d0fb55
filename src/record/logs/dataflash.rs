//! `ArduPilot`'s dataflash log: rows whose formats are given in the log itself.
//!
//! A small reader of our own: `ardupilot-binlog` 0.2 computes `length - 3` on lengths from the file without a check, and
//! allocates every name and column of every row.

use std::collections::{BTreeMap, BTreeSet};

use super::collect::{Collected, Collector};
use crate::geometry::Geodetic;
use crate::time::MonoTime;

/// Before each row.
const MAGIC: [u8; 2] = [0xA3, 0x95];
/// The row that describes the others.
const FMT: u8 = 128;
/// Bytes of that row, header included.
const FMT_LENGTH: usize = 89;
/// Seconds from 1970 to the start of GPS time.
const GPS_EPOCH_S: f64 = 315_964_800.0;
/// GPS time runs ahead of UTC by so many seconds, from this GPS week on.
const LEAP_SECONDS: [(f64, f64); 4] = [(1930.0, 18.0), (1851.0, 17.0), (1695.0, 16.0), (0.0, 15.0)];
/// Estimates of the position, the best first.
const FILTERS: [&str; 3] = ["XKF1", "NKF1", "EKF1"];

/// Whether the log starts with a description of rows.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.starts_with(&[MAGIC[0], MAGIC[1], FMT])
}

struct Column {
    name: String,
    kind: u8,
    offset: usize,
}

struct Format {
    name: String,
    length: usize,
    columns: Vec<Column>,
}

struct Row<'a> {
    format: &'a Format,
    body: &'a [u8],
}

/// Which rows are read for what; decided by what there is.
struct Sources {
    position: Option<&'static str>,
    relative: Option<(&'static str, &'static str)>,
    has_range_rows: bool,
}

/// Reads the whole log, twice: what there is, and then what is best of it.
pub(super) fn read(bytes: &[u8]) -> Collected {
    let mut names = BTreeSet::new();
    let (mut has_fix, mut start_us) = (false, None);
    each_row(bytes, |row| {
        if !names.contains(&row.format.name) {
            names.insert(row.format.name.clone());
        }
        has_fix |= row.format.name == "GPS" && row.get("Status").is_some_and(|s| s >= 3.0);
        start_us = start_us.or(row.time_us());
    });
    let sources = Sources::choose(&names, has_fix);
    let mut collector = Collector::of_a_file();
    let mut unix_start_s = None;
    let start_us = start_us.unwrap_or(0.0);
    let lost = each_row(bytes, |row| {
        let Some(time_us) = row.time_us() else {
            return;
        };
        let at_s = (time_us - start_us) / 1e6;
        if row.format.name == "GPS" && unix_start_s.is_none() {
            unix_start_s = unix_s(row).map(|s| s - at_s);
        }
        row.tell(&sources, MonoTime::from_secs_f64(at_s), &mut collector);
    });
    let mut collected = collector.finish();
    collected.unix_start_s = unix_start_s;
    if lost > 0 {
        collected
            .notes
            .push(format!("{lost} bytes of the log could not be read"));
    }
    collected
}

impl Sources {
    fn choose(names: &BTreeSet<String>, has_fix: bool) -> Self {
        let has = |name: &&str| names.contains(*name);
        // Without a fix the filter's position stands still or drifts.
        let position = FILTERS
            .into_iter()
            .chain(["POS", "GPS"])
            .filter(|_| has_fix)
            .find(has);
        let relative = [
            ("POS", "RelHomeAlt"),
            ("CTUN", "Alt"),
            ("BARO", "Alt"),
            ("GPS", "RelAlt"),
        ]
        .into_iter()
        .find(|(name, _)| has(name));
        Self {
            position,
            relative,
            has_range_rows: names.contains("RFND"),
        }
    }
}

impl Row<'_> {
    fn get(&self, column: &str) -> Option<f64> {
        let c = self.format.columns.iter().find(|c| c.name == column)?;
        number(c.kind, self.body.get(c.offset..)?)
    }

    fn get3(&self, columns: [&str; 3]) -> Option<[f64; 3]> {
        let [a, b, c] = columns;
        Some([self.get(a)?, self.get(b)?, self.get(c)?])
    }

    /// Whether a column is not there, or holds this code.
    fn is_none_or(&self, column: &str, code: i64) -> bool {
        self.get(column).is_none_or(|v| v as i64 == code)
    }

    /// Microseconds since boot. Old GPS rows hold the time of the week first.
    fn time_us(&self) -> Option<f64> {
        if let Some(us) = self.get("TimeUS") {
            return Some(us);
        }
        let old = if self.format.name == "GPS" {
            "T"
        } else {
            "TimeMS"
        };
        self.get(old).map(|ms| ms * 1000.0)
    }

    fn tell(&self, sources: &Sources, at: MonoTime, to: &mut Collector) {
        let name = self.format.name.as_str();
        if name == "ATT"
            && let Some(degrees) = self.get3(["Roll", "Pitch", "Yaw"])
        {
            to.attitude(at, degrees.map(f64::to_radians));
        }
        if sources.position == Some(name) {
            self.tell_position(at, to);
        }
        if let Some((rows, column)) = sources.relative
            && rows == name
            && let Some(metres) = self.get(column)
        {
            to.relative_altitude(at, metres);
        }
        if let Some(metres) = self.range(sources).filter(|m| *m > 0.0) {
            to.range(at, metres);
        }
    }

    fn tell_position(&self, at: MonoTime, to: &mut Collector) {
        if FILTERS.contains(&self.format.name.as_str()) {
            // The first core of several.
            let is_first = self.is_none_or("C", 0);
            let place = self.get3(["PN", "PE", "PD"]).filter(|_| is_first);
            if let (Some(place), Some(velocity)) = (place, self.get3(["VN", "VE", "VD"])) {
                to.position(at, place, velocity);
            }
            return;
        }
        if self.get("Status").is_some_and(|s| s < 3.0) {
            return;
        }
        if let Some([latitude, longitude, altitude_m]) = self.get3(["Lat", "Lng", "Alt"]) {
            let place = Geodetic {
                latitude_deg: latitude / 1e7,
                longitude_deg: longitude / 1e7,
                altitude_m,
            };
            let course = self.get("GCrs").unwrap_or(0.0).to_radians();
            let speed = self.get("Spd").unwrap_or(0.0);
            let down = self.get("VZ").unwrap_or(0.0);
            to.global(
                at,
                place,
                [speed * course.cos(), speed * course.sin(), down],
            );
        }
    }

    /// A range sensor that looks down, metres.
    fn range(&self, sources: &Sources) -> Option<f64> {
        match self.format.name.as_str() {
            // Newer rows: orientation 25 is down, status 4 is good.
            "RFND" if self.get("Dist").is_some() => {
                let is_down = self.is_none_or("Orient", 25);
                let is_good = self.is_none_or("Stat", 4);
                self.get("Dist").filter(|_| is_down && is_good)
            }
            "RFND" => {
                let is_down = self.is_none_or("Orient1", 25);
                self.get("Dist1").filter(|_| is_down)
            }
            "CTUN" if !sources.has_range_rows => self.get("SAlt"),
            _ => None,
        }
    }
}

/// Seconds since 1970 by a GPS row with a fix.
fn unix_s(row: &Row<'_>) -> Option<f64> {
    row.get("Status").filter(|s| *s >= 3.0)?;
    let week = row.get("GWk").or(row.get("Week"))?;
    let ms = row.get("GMS").or(row.get("TimeMS"))?;
    let (_, leap_s) = LEAP_SECONDS.into_iter().find(|(from, _)| week >= *from)?;
    Some(GPS_EPOCH_S + week * 604_800.0 + ms / 1000.0 - leap_s)
}

/// Calls `f` with every row but descriptions; returns how many bytes belong to none.
fn each_row(bytes: &[u8], mut f: impl FnMut(&Row<'_>)) -> usize {
    let mut formats: BTreeMap<u8, Format> = BTreeMap::new();
    let (mut at, mut lost) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        let kind = rest.get(2).copied().filter(|_| rest.starts_with(&MAGIC));
        let length = match kind {
            Some(FMT) => Some(FMT_LENGTH),
            Some(kind) => formats.get(&kind).map(|format| format.length),
            None => None,
        };
        let Some(body) = length.and_then(|l| rest.get(3..l)) else {
            lost += 1;
            at += 1;
            continue;
        };
        at += 3 + body.len();
        match kind {
            Some(FMT) => formats.extend(format(body)),
            Some(kind) => {
                if let Some(format) = formats.get(&kind) {
                    f(&Row { format, body });
                }
            }
            None => {}
        }
    }
    lost
}

/// A row's description, with its number; `None` when it cannot be.
fn format(body: &[u8]) -> Option<(u8, Format)> {
    let text = |range| -> Option<String> {
        let part: &[u8] = body.get(range)?;
        let end = part.iter().position(|b| *b == 0).unwrap_or(part.len());
        Some(String::from_utf8_lossy(part.get(..end)?).trim().to_owned())
    };
    let (number, length) = (*body.first()?, usize::from(*body.get(1)?));
    let (name, kinds, names) = (text(2..6)?, text(6..22)?, text(22..86)?);
    let mut offset = 0;
    let mut columns = Vec::new();
    for (kind, name) in kinds.bytes().zip(names.split(',')) {
        columns.push(Column {
            name: name.trim().to_owned(),
            kind,
            offset,
        });
        offset += size(kind)?;
    }
    (length >= 3 + offset && number != FMT).then_some((
        number,
        Format {
            name,
            length,
            columns,
        },
    ))
}

fn size(kind: u8) -> Option<usize> {
    Some(match kind {
        b'b' | b'B' | b'M' => 1,
        b'h' | b'H' | b'c' | b'C' | b'g' => 2,
        b'i' | b'I' | b'e' | b'E' | b'f' | b'L' | b'n' => 4,
        b'q' | b'Q' | b'd' => 8,
        b'N' => 16,
        b'a' | b'Z' => 64,
        _ => return None,
    })
}

/// The number at the start of `bytes`; texts are none.
fn number(kind: u8, bytes: &[u8]) -> Option<f64> {
    let two = || bytes.first_chunk::<2>().copied();
    let four = || bytes.first_chunk::<4>().copied();
    let eight = || bytes.first_chunk::<8>().copied();
    Some(match kind {
        b'b' => f64::from(bytes.first()?.cast_signed()),
        b'B' | b'M' => f64::from(*bytes.first()?),
        b'h' => f64::from(i16::from_le_bytes(two()?)),
        b'H' => f64::from(u16::from_le_bytes(two()?)),
        b'c' => f64::from(i16::from_le_bytes(two()?)) / 100.0,
        b'C' => f64::from(u16::from_le_bytes(two()?)) / 100.0,
        b'i' | b'L' => f64::from(i32::from_le_bytes(four()?)),
        b'I' => f64::from(u32::from_le_bytes(four()?)),
        b'e' => f64::from(i32::from_le_bytes(four()?)) / 100.0,
        b'E' => f64::from(u32::from_le_bytes(four()?)) / 100.0,
        b'f' => f64::from(f32::from_le_bytes(four()?)),
        b'd' => f64::from_le_bytes(eight()?),
        b'q' => i64::from_le_bytes(eight()?) as f64,
        b'Q' => u64::from_le_bytes(eight()?) as f64,
        _ => return None,
    })
}
