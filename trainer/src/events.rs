//! `TensorBoard`'s event files: a record for each number, so that runs can be watched side by side.
//!
//! A file is a sequence of `TFRecord`s (length, its checksum, bytes, their checksum; checksums are masked CRC-32C) that hold `Event`
//! protocol buffers.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write as _};
use std::path::Path;

use prost::Message;

/// What a record holds: a time, a step, and either the version of the file or numbers.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An open event file.
#[derive(Debug)]
pub struct Events {
    file: File,
}

impl Events {
    /// Opens a new file in the run's folder, named after the second it begins (seconds since 1970): a run that goes on has several, and
    /// `TensorBoard` joins them.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(folder: &Path, wall_time: f64) -> Result<Self> {
        let name = format!("events.out.tfevents.{}.alight", wall_time as u64);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(name))?;
        let mut events = Self { file };
        events.write(&Event {
            wall_time,
            file_version: Some("brain.Event:2".to_owned()),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Writes numbers of a step, by name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn numbers(&mut self, wall_time: f64, step: i64, numbers: &[(&str, f64)]) -> Result<()> {
        let value = numbers.iter().map(|(tag, number)| Value {
            tag: (*tag).to_owned(),
            simple_value: *number as f32,
        });
        self.write(&Event {
            wall_time,
            step,
            summary: Some(Summary {
                value: value.collect(),
            }),
            ..Event::default()
        })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let bytes = event.encode_to_vec();
        let length = (bytes.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(checksum(&length).to_le_bytes());
        record.extend(&bytes);
        record.extend(checksum(&bytes).to_le_bytes());
        self.file.write_all(&record)?;
        self.file.flush()
    }
}

/// The masked CRC-32C of a `TFRecord`.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            // The Castagnoli polynomial, bits reversed.
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis_masked() {
        // CRC-32C of "123456789" is e3069283 (RFC 3720).
        let unmasked = checksum(b"123456789")
            .wrapping_sub(0xa282_ead8)
            .rotate_left(15);
        assert_eq!(unmasked, 0xe306_9283);
    }

    #[test]
    fn records_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 1_000.5).unwrap();
        events
            .numbers(1_001.0, 7, &[("loss", 0.5), ("fold/miou", 0.25)])
            .unwrap();
        let path = folder.path().join("events.out.tfevents.1000.alight");
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], checksum(&rest[..8]).to_le_bytes());
            let body = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], checksum(body).to_le_bytes());
            found.push(Event::decode(body).unwrap());
            rest = &rest[16 + length..];
        }
        assert_eq!(found[0].file_version.as_deref(), Some("brain.Event:2"));
        let numbers = &found[1].summary.as_ref().unwrap().value;
        assert_eq!((found[1].step, numbers[1].tag.as_str()), (7, "fold/miou"));
        assert!((numbers[1].simple_value - 0.25).abs() < 1e-9);
    }
}
