//! PX4's log: topics, each with its fields by name.

use std::path::Path;

use px4_ulog::stream_parser::model::{Completeness, DataMessage, FlattenedFieldType};
use px4_ulog::stream_parser::{Message, SimpleCallbackResult, read_file_with_simple_callback};

use super::collect::{Collected, Collector};
use crate::time::MonoTime;

/// Whether the file starts as such a log does.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ULog\x01\x12\x35")
}

#[derive(Default)]
struct Reader {
    collector: Option<Collector>,
    start_us: Option<f64>,
    unix_start_s: Option<f64>,
    /// Down of the home position: the local origin is where the estimator started.
    home_down_m: f64,
}

/// Reads the whole log.
pub(super) fn read(path: &Path) -> Result<Collected, String> {
    let name = path.to_str().ok_or("has a name that is not UTF-8")?;
    let mut reader = Reader {
        collector: Some(Collector::of_a_file()),
        ..Reader::default()
    };
    let end = read_file_with_simple_callback(name, &mut |message| {
        if let Message::Data(data) = message
            && data.multi_id.value() == 0
        {
            reader.take(data);
        }
        SimpleCallbackResult::KeepReading
    })
    .map_err(|e| format!("cannot be read ({e})"))?;
    let mut collected = reader.collector.map(Collector::finish).unwrap_or_default();
    collected.unix_start_s = reader.unix_start_s;
    match end {
        Completeness::Complete => {}
        Completeness::Truncated => collected.notes.push("the log is cut at its end".to_owned()),
        Completeness::MalformedRecord(what) => {
            collected
                .notes
                .push(format!("the log is broken and read up to there ({what})"));
        }
    }
    Ok(collected)
}

impl Reader {
    fn take(&mut self, data: &DataMessage<'_>) {
        let topic = data.flattened_format.message_name();
        let wanted = [
            "vehicle_attitude",
            "vehicle_local_position",
            "distance_sensor",
            "home_position",
            "vehicle_gps_position",
        ];
        if !wanted.contains(&topic) {
            return;
        }
        let Some(time_us) = get(data, "timestamp") else {
            return;
        };
        let at_s = (time_us - *self.start_us.get_or_insert(time_us)) / 1e6;
        let at = MonoTime::from_secs_f64(at_s);
        let Some(to) = &mut self.collector else {
            return;
        };
        match topic {
            "vehicle_attitude" => attitude(data, at, to),
            "vehicle_local_position" => local_position(data, at, self.home_down_m, to),
            "distance_sensor" => range(data, at, to),
            "home_position" => {
                self.home_down_m = get(data, "z").filter(|z| z.is_finite()).unwrap_or(0.0);
            }
            _ => {
                let utc_us = get(data, "time_utc_usec").filter(|us| *us > 1e15);
                if let (None, Some(us)) = (self.unix_start_s, utc_us) {
                    self.unix_start_s = Some(us / 1e6 - at_s);
                }
            }
        }
    }
}

fn attitude(data: &DataMessage<'_>, at: MonoTime, to: &mut Collector) {
    let q = ["q[0]", "q[1]", "q[2]", "q[3]"].map(|f| get(data, f));
    if let [Some(w), Some(x), Some(y), Some(z)] = q {
        to.quaternion(at, [w, x, y, z]);
    }
}

fn local_position(data: &DataMessage<'_>, at: MonoTime, home_down_m: f64, to: &mut Collector) {
    let is_valid = |field| get(data, field).is_none_or(|v| v != 0.0);
    let place = get3(data, ["x", "y", "z"]);
    let velocity = get3(data, ["vx", "vy", "vz"]).unwrap_or_default();
    if let Some(place) = place.filter(|_| is_valid("xy_valid") && is_valid("z_valid")) {
        to.position(at, place, velocity);
    }
    if let Some([_, _, down]) = place.filter(|_| is_valid("z_valid")) {
        to.relative_altitude(at, home_down_m - down);
    }
    let has_clearance = get(data, "dist_bottom_valid").is_some_and(|v| v != 0.0);
    if let Some(metres) = get(data, "dist_bottom").filter(|m| has_clearance && *m > 0.0) {
        to.clearance(at, metres);
    }
}

fn range(data: &DataMessage<'_>, at: MonoTime, to: &mut Collector) {
    let [metres, least, most] = ["current_distance", "min_distance", "max_distance"]
        .map(|f| get(data, f).unwrap_or(f64::NAN));
    let is_down = get(data, "orientation").is_none_or(|o| o as i64 == 25);
    if is_down && least < metres && metres < most {
        to.range(at, metres);
    }
}

fn get3(data: &DataMessage<'_>, fields: [&str; 3]) -> Option<[f64; 3]> {
    let [a, b, c] = fields;
    Some([get(data, a)?, get(data, b)?, get(data, c)?])
}

/// A field as a number; `None` when it is not there.
fn get(data: &DataMessage<'_>, field: &str) -> Option<f64> {
    let field = data
        .flattened_format
        .field_iter()
        .find(|f| f.flattened_field_name == field)?;
    let bytes = data.data.get(usize::from(field.offset)..)?;
    let four = || bytes.first_chunk::<4>().copied();
    let eight = || bytes.first_chunk::<8>().copied();
    Some(match field.field_type {
        FlattenedFieldType::Float => f64::from(f32::from_le_bytes(four()?)),
        FlattenedFieldType::Double => f64::from_le_bytes(eight()?),
        FlattenedFieldType::UInt64 => u64::from_le_bytes(eight()?) as f64,
        FlattenedFieldType::UInt8 | FlattenedFieldType::Bool => f64::from(*bytes.first()?),
        _ => return None,
    })
}
