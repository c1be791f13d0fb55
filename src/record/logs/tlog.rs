//! A ground station's log: each `MAVLink` frame after the moment of its arrival, microseconds since 1970 in eight bytes, the
//! largest first.

use mavlink::dialects::ardupilotmega::MavMessage;
use mavlink::{MavHeader, MavlinkReader};

use super::collect::{Collected, Collector};
use crate::time::MonoTime;

/// Bytes of a stamp.
const STAMP: usize = 8;
/// Bytes that are searched for a first frame before the file is taken for something else.
const SEARCHED: usize = 64 << 10;
/// Stamps lie between 2000 and 2100, microseconds.
const STAMPS_US: std::ops::Range<u64> = 946_684_800_000_000..4_102_444_800_000_000;
/// A log does not pause for longer; a stamp beyond is broken, microseconds.
const MAX_PAUSE_US: u64 = 86_400_000_000;

/// One record.
struct Record<'a> {
    stamp_us: u64,
    frame: &'a [u8],
}

/// Whether a readable record stands near the start.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    let head = bytes.get(..SEARCHED).unwrap_or(bytes);
    (0..head.len())
        .filter_map(|at| record(head.get(at..)?))
        .take(64)
        .any(|r| decode(r.frame).is_some())
}

/// Reads the whole log.
pub(super) fn read(bytes: &[u8]) -> Collected {
    let mut collector = Collector::of_a_link();
    let mut rest = bytes;
    let (mut start_us, mut newest_us) = (None, 0);
    let mut lost = 0_usize;
    while let Some((_, further)) = rest.split_first() {
        let Some(record) = record(rest) else {
            lost += 1;
            rest = further;
            continue;
        };
        let start = *start_us.get_or_insert(record.stamp_us);
        newest_us = newest_us.max(start);
        let message = decode(record.frame);
        let next = rest.get(STAMP + record.frame.len()..).unwrap_or(&[]);
        if record.stamp_us > newest_us.saturating_add(MAX_PAUSE_US)
            || (message.is_none() && !next.is_empty() && self::record(next).is_none())
        {
            lost += 1;
            rest = further;
            continue;
        }
        // The ground station's clock may be set back while it writes.
        newest_us = newest_us.max(record.stamp_us);
        let now = MonoTime::from_nanos((newest_us - start).saturating_mul(1000) as i64);
        if let Some((header, message)) = message {
            collector.take(header, &message, now);
        }
        rest = next;
    }
    let mut collected = collector.finish();
    collected.unix_start_s = start_us.map(|us| us as f64 / 1e6);
    if lost > 0 {
        collected
            .notes
            .push(format!("{lost} bytes of the log could not be read"));
    }
    collected
}

/// The record at the start of `bytes`, if a whole one may stand there.
fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let (stamp, after) = bytes.split_first_chunk::<STAMP>()?;
    let stamp_us = u64::from_be_bytes(*stamp);
    let payload = usize::from(*after.get(1)?);
    let length = match after.first()? {
        0xFE => 8 + payload,
        0xFD if after.get(2)? & 1 == 1 => 12 + payload + 13,
        0xFD => 12 + payload,
        _ => return None,
    };
    let frame = after.get(..length)?;
    STAMPS_US
        .contains(&stamp_us)
        .then_some(Record { stamp_us, frame })
}

fn decode(frame: &[u8]) -> Option<(MavHeader, MavMessage)> {
    MavlinkReader::with_capacity(frame.len(), frame)
        .read_any_message::<MavMessage>()
        .ok()
}
