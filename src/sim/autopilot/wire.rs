//! MAVLink 2 bytes in and out.

use mavlink::dialects::ardupilotmega::MavMessage;
use mavlink::{MAVLinkV2MessageRaw, MavHeader, MavlinkVersion, Message as _, MessageData};

/// First byte of a MAVLink 2 frame, bytes before its payload, and of its checksum and signature.
const STX: u8 = 0xfd;
const HEADER: usize = 10;
const CHECKSUM: usize = 2;
const SIGNATURE: usize = 13;
/// A message, and who sent it.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) system_id: u8,
    pub(super) component_id: u8,
    pub(super) message: MavMessage,
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
            if !has_right_checksum(frame, body) {
                self.start += 1;
                continue;
            }
            let received = read(frame, body);
            self.start += whole;
            // A signature that cannot be checked is not trusted.
            if received.is_some() && !is_signed {
                return received;
            }
        }
    }
}

fn number(frame: &[u8]) -> u32 {
    match frame.get(7..10) {
        Some(&[a, b, c]) => u32::from_le_bytes([a, b, c, 0]),
        _ => 0,
    }
}

fn has_right_checksum(frame: &[u8], body: usize) -> bool {
    let extra = MavMessage::extra_crc(number(frame));
    let sum = frame
        .get(1..body)
        .map(|b| mavlink::calculate_crc(b, extra).to_le_bytes());
    sum.is_some_and(|sum| frame.get(body..body + CHECKSUM) == Some(sum.as_slice()))
}

/// `None` when the content is not understood.
fn read(frame: &[u8], body: usize) -> Option<Received> {
    let payload = frame.get(HEADER..body)?;
    Some(Received {
        system_id: *frame.get(5)?,
        component_id: *frame.get(6)?,
        message: MavMessage::parse(MavlinkVersion::V2, number(frame), payload).ok()?,
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
