//! MAVLink 2 bytes in and out.
//!
//! LANDING_TARGET is read from its bytes: its position is an extension field, which the library leaves out.

use mavlink::ardupilotmega::MavMessage;
use mavlink::{MAVLinkV2MessageRaw, MavHeader, MavlinkVersion, Message as _, MessageData};

/// First byte of a MAVLink 2 frame, bytes before its payload, and of its checksum and signature.
const STX: u8 = 0xfd;
const HEADER: usize = 10;
const CHECKSUM: usize = 2;
const SIGNATURE: usize = 13;
/// LANDING_TARGET's number and full length.
const LANDING_TARGET: u32 = 149;
const LANDING_TARGET_LEN: usize = 60;

/// A LANDING_TARGET with its extension fields.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct LandingTarget {
    pub(super) time_usec: u64,
    pub(super) angle_x: f32,
    pub(super) angle_y: f32,
    pub(super) distance: f32,
    pub(super) frame: u8,
    pub(super) position: [f32; 3],
    pub(super) is_position_valid: bool,
}

/// What came in.
#[derive(Debug, Clone)]
pub(super) enum Received {
    Target(LandingTarget),
    Other(Box<MavMessage>),
}

/// Finds frames in a stream of bytes that may hold anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    start: usize,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole, unsigned frame with a right checksum whose content can be understood.
    pub(super) fn next(&mut self) -> Option<Received> {
        loop {
            let rest = self.bytes.get(self.start..)?;
            self.start += rest.iter().position(|b| *b == STX).unwrap_or(rest.len());
            let frame = self.bytes.get(self.start..)?;
            let (&[_, len, incompatible], _) = frame.split_first_chunk::<3>()?;
            let body = HEADER + usize::from(len);
            let is_signed = incompatible & 1 != 0;
            let whole = body + CHECKSUM + if is_signed { SIGNATURE } else { 0 };
            if incompatible & !1 != 0 {
                self.start += 1;
                continue;
            }
            let frame = frame.get(..whole)?;
            match read(frame, body) {
                // A signature that cannot be checked is not trusted.
                Some(received) => {
                    self.start += whole;
                    if let (Some(received), false) = (received, is_signed) {
                        return Some(received);
                    }
                }
                None => self.start += 1,
            }
        }
    }
}

/// `None` when the checksum is wrong; `Some(None)` when it is right and the content is not understood.
fn read(frame: &[u8], body: usize) -> Option<Option<Received>> {
    let id = u32::from_le_bytes([*frame.get(7)?, *frame.get(8)?, *frame.get(9)?, 0]);
    let sum = mavlink::calculate_crc(frame.get(1..body)?, MavMessage::extra_crc(id));
    if frame.get(body..body + CHECKSUM)? != sum.to_le_bytes() {
        return None;
    }
    let payload = frame.get(HEADER..body)?;
    if id == LANDING_TARGET {
        return Some(landing_target(payload).map(Received::Target));
    }
    let message = MavMessage::parse(MavlinkVersion::V2, id, payload).ok();
    Some(message.map(|m| Received::Other(Box::new(m))))
}

fn landing_target(payload: &[u8]) -> Option<LandingTarget> {
    // Zeros at the end are cut off by the sender.
    let mut full = [0; LANDING_TARGET_LEN];
    full.get_mut(..payload.len())?.copy_from_slice(payload);
    let float = |at: usize| {
        let four = full.get(at..at + 4).and_then(|b| b.try_into().ok());
        four.map_or(f32::NAN, f32::from_le_bytes)
    };
    let (time, _) = full.split_first_chunk::<8>()?;
    Some(LandingTarget {
        time_usec: u64::from_le_bytes(*time),
        angle_x: float(8),
        angle_y: float(12),
        distance: float(16),
        frame: *full.get(29)?,
        position: [float(30), float(34), float(38)],
        is_position_valid: *full.get(59)? == 1,
    })
}

/// Puts messages into bytes under one identity.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    system_id: u8,
    sequence: u8,
    raw: MAVLinkV2MessageRaw,
}

impl Writer {
    pub(super) fn new(system_id: u8) -> Self {
        Self {
            system_id,
            sequence: 0,
            raw: MAVLinkV2MessageRaw::new(),
        }
    }

    pub(super) fn write<D: MessageData>(&mut self, data: &D, out: &mut Vec<u8>) {
        let header = MavHeader {
            system_id: u32::from(self.system_id),
            component_id: 1,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.raw.serialize_message_data(header, data);
        out.extend_from_slice(self.raw.raw_bytes());
    }
}
