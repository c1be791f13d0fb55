//! Bytes <-> frames: finds `MAVLink` in whatever a link delivers, and writes ours.
//!
//! Bytes come in pieces of any size. What is no frame is skipped and counted by kind, and the next frame is found again:
//!
//! - *In step* (the last thing read was a frame with a right checksum) a beginning is trusted, and its rest awaited.
//! - *Out of step* a beginning may be noise that looks like one: while its rest is awaited, a whole frame with a right
//!   checksum further on is taken at once, so that noise never delays a heartbeat.
//! - *Unsure* it is at first, and after a frame that cannot be checked, as its message is not in the dialect: another such
//!   frame is passed over, but nothing is awaited while a frame with a right checksum is there, or passed over with one in it.
//!
//! `MAVLink` 2 is spoken; version 1 is only read.

use mavlink::dialects::ardupilotmega::{MavMessage, RADIO_STATUS_DATA};
use mavlink::{
    MAV_STX, MAV_STX_V2, MAVLinkV2MessageRaw, MavHeader, MavlinkVersion, Message as _,
    MessageData as _, calculate_crc, consts,
};

use super::signing::{Signer, SigningConfig, Verifier};
use crate::time::MonoTime;

/// Bytes that wait to be read at most.
const CAPACITY: usize = 4096;
/// Bytes that wait to be sent at most; more are dropped, and counted.
const OUT_CAPACITY: usize = 8192;
/// Senders whose frames are counted apart.
const SENDERS: usize = 16;
/// Length of a checksum.
const CHECKSUM: usize = 2;

/// What came over the link, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounts {
    /// Bytes, all told.
    pub bytes: u64,
    /// Frames that were read.
    pub frames: u64,
    /// Bytes that belong to no frame.
    pub garbage_bytes: u64,
    /// Frames with a wrong checksum.
    pub crc_errors: u64,
    /// Frames of messages that are not in the dialect.
    pub unknown: u64,
    /// Frames whose content cannot be (an enum value that does not exist).
    pub malformed: u64,
    /// Frames with a feature that we do not know.
    pub incompatible: u64,
    /// Signed frames without a key to check them: dropped.
    pub unverifiable: u64,
    /// Frames with a wrong, old or missing signature: dropped.
    pub refused: u64,
    /// Frames lost on the way, by gaps in the sequence.
    pub lost: u64,
}

/// What came from one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderCounts {
    /// System id.
    pub system_id: u32,
    /// Component id.
    pub component_id: u8,
    /// Frames received.
    pub received: u64,
    /// Frames lost, by gaps in the sequence.
    pub lost: u64,
    sequence: u8,
}

/// A message with its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// System, component and sequence number.
    pub header: MavHeader,
    /// The content.
    pub message: MavMessage,
}

/// The outside of a frame.
#[derive(Debug, Clone, Copy)]
struct Envelope {
    version: MavlinkVersion,
    header: MavHeader,
    message_id: u32,
    is_signed: bool,
    /// Where the payload starts and ends, from the marker on.
    payload: (usize, usize),
    /// Whole length.
    len: usize,
}

/// What the bytes at one place are.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// No beginning of a frame.
    Noise,
    /// A beginning with features that nobody knows.
    Incompatible,
    /// A beginning.
    Part,
    /// A frame with a right checksum.
    Whole(Envelope),
    /// A frame whose checksum cannot be checked: its message is not in the dialect.
    Unknown(Envelope),
    /// A frame with a wrong checksum.
    Broken,
}

/// How much a beginning is trusted: see the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    In,
    Unsure,
    Out,
}

/// Finds frames in bytes.
#[derive(Debug)]
pub struct Parser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    start: usize,
    step: Step,
    counts: LinkCounts,
    senders: Vec<SenderCounts>,
    verifier: Option<Verifier>,
}

impl Parser {
    /// Takes all memory. With a key, only frames with a valid signature are read, unless unsigned ones are accepted;
    /// without one, only unsigned frames.
    #[must_use]
    pub fn new(signing: Option<SigningConfig>) -> Self {
        Self {
            buffer: Vec::with_capacity(CAPACITY),
            start: 0,
            step: Step::Unsure,
            counts: LinkCounts::default(),
            senders: Vec::with_capacity(SENDERS),
            verifier: signing.map(Verifier::new),
        }
    }

    /// Takes as many bytes as there is room for, and returns the rest: call [`Parser::next_frame`] until it has none, and
    /// come again.
    #[must_use]
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.buffer.drain(..self.start);
        self.start = 0;
        let room = CAPACITY - self.buffer.len().min(CAPACITY);
        let (now, rest) = bytes.split_at(room.min(bytes.len()));
        self.buffer.extend_from_slice(now);
        self.counts.bytes += now.len() as u64;
        rest
    }

    /// The next message.
    pub fn next_frame(&mut self, now: MonoTime) -> Option<Frame> {
        while let Some(envelope) = self.next_envelope() {
            let frame = self.open(&envelope, now);
            self.start += envelope.len;
            if frame.is_some() {
                self.counts.frames += 1;
                return frame;
            }
        }
        None
    }

    /// What came, by kind.
    #[must_use]
    pub const fn counts(&self) -> &LinkCounts {
        &self.counts
    }

    /// What came, by sender; the first 16 are counted apart.
    #[must_use]
    pub fn senders(&self) -> &[SenderCounts] {
        &self.senders
    }

    /// The newest time of a valid signature.
    pub(super) fn newest_signature(&self) -> u64 {
        self.verifier.as_ref().map_or(0, Verifier::newest)
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or(&[])
    }

    /// Goes on to the next frame with a right checksum; it begins at `start`, and is not passed yet.
    fn next_envelope(&mut self) -> Option<Envelope> {
        loop {
            let pending = self.pending();
            if pending.is_empty() {
                return None;
            }
            match look(pending) {
                Found::Whole(envelope) => {
                    self.step = Step::In;
                    self.note_sender(envelope.header);
                    return Some(envelope);
                }
                Found::Part if self.step == Step::In => return None,
                Found::Part => self.skip(later_frame(pending)?),
                Found::Unknown(envelope) if self.is_believed(&envelope) => {
                    // Whether another frame follows is known with its first byte.
                    let is_followed = is_marker(*pending.get(envelope.len)?);
                    if is_followed {
                        self.pass(&envelope);
                    } else {
                        self.skip(1);
                    }
                }
                Found::Broken if self.step != Step::Out => {
                    self.counts.crc_errors += 1;
                    self.skip(1);
                }
                Found::Incompatible if self.step != Step::Out => {
                    self.counts.incompatible += 1;
                    self.skip(1);
                }
                _ => self.skip(1),
            }
        }
    }

    /// Whether the beginning of a frame that cannot be checked is taken for one.
    fn is_believed(&self, envelope: &Envelope) -> bool {
        match self.step {
            Step::In => true,
            Step::Unsure => {
                let inside = self.pending().get(..envelope.len);
                inside.is_some_and(|bytes| later_frame(bytes).is_none())
            }
            Step::Out => false,
        }
    }

    /// Passes over a frame that cannot be checked.
    fn pass(&mut self, envelope: &Envelope) {
        self.counts.unknown += 1;
        self.note_sender(envelope.header);
        self.start += envelope.len;
        self.step = Step::Unsure;
    }

    fn skip(&mut self, bytes: usize) {
        self.start += bytes;
        self.counts.garbage_bytes += bytes as u64;
        self.step = Step::Out;
    }

    /// The content of the frame at `start`, if it may be read.
    fn open(&mut self, envelope: &Envelope, now: MonoTime) -> Option<Frame> {
        let (bytes, verifier) = (
            self.buffer.get(self.start..self.start + envelope.len)?,
            &mut self.verifier,
        );
        let is_welcome = match (verifier, envelope.is_signed) {
            (None, false) => true,
            (None, true) => {
                self.counts.unverifiable += 1;
                false
            }
            (Some(verifier), false) if verifier.accepts_unsigned() => true,
            // A radio cannot sign what it says of itself, and nobody reads it here.
            (Some(_), false) if envelope.message_id == RADIO_STATUS_DATA::ID => true,
            (Some(verifier), is_signed) => {
                let is_valid = is_signed && verifier.is_valid(&raw(bytes), now);
                self.counts.refused += u64::from(!is_valid);
                is_valid
            }
        };
        let payload = bytes.get(envelope.payload.0..envelope.payload.1)?;
        if !is_welcome {
            return None;
        }
        let message = MavMessage::parse(envelope.version, envelope.message_id, payload);
        if message.is_err() {
            self.counts.malformed += 1;
        }
        Some(Frame {
            header: envelope.header,
            message: message.ok()?,
        })
    }

    fn note_sender(&mut self, header: MavHeader) {
        let known = self
            .senders
            .iter_mut()
            .find(|s| s.system_id == header.system_id && s.component_id == header.component_id);
        if let Some(sender) = known {
            let gap = header
                .sequence
                .wrapping_sub(sender.sequence)
                .wrapping_sub(1);
            // A step back is a repetition or an overtaken frame, not 250 lost ones.
            let lost = if gap < 128 { u64::from(gap) } else { 0 };
            sender.received += 1;
            sender.lost += lost;
            sender.sequence = header.sequence;
            self.counts.lost += lost;
        } else if self.senders.len() < SENDERS {
            self.senders.push(SenderCounts {
                system_id: header.system_id,
                component_id: header.component_id,
                received: 1,
                lost: 0,
                sequence: header.sequence,
            });
        }
    }
}

/// What stands at the first byte.
fn look(bytes: &[u8]) -> Found {
    let envelope = match bytes {
        [MAV_STX_V2, _, flags, ..] if flags & !consts::v2::IFLAG_SIGNED != 0 => {
            return Found::Incompatible;
        }
        [MAV_STX_V2, ..] => envelope_v2(bytes),
        [MAV_STX, ..] => envelope_v1(bytes),
        _ => return Found::Noise,
    };
    let Some(envelope) = envelope.filter(|e| e.len <= bytes.len()) else {
        return Found::Part;
    };
    if MavMessage::default_message_from_id(envelope.message_id).is_none() {
        return Found::Unknown(envelope);
    }
    let (_, end) = envelope.payload;
    let (Some(content), Some([low, high])) = (bytes.get(1..end), bytes.get(end..end + CHECKSUM))
    else {
        return Found::Part;
    };
    let crc = calculate_crc(content, MavMessage::extra_crc(envelope.message_id));
    if crc == u16::from_le_bytes([*low, *high]) {
        Found::Whole(envelope)
    } else {
        Found::Broken
    }
}

fn envelope_v2(bytes: &[u8]) -> Option<Envelope> {
    let [
        _,
        len,
        flags,
        _,
        sequence,
        system,
        component,
        id0,
        id1,
        id2,
        ..,
    ] = bytes
    else {
        return None;
    };
    let is_signed = flags & consts::v2::IFLAG_SIGNED != 0;
    let start = 1 + consts::v2::MIN_HEADER_SIZE;
    let end = start + usize::from(*len);
    let signature = if is_signed {
        consts::v2::SIGNATURE_SIZE
    } else {
        0
    };
    Some(Envelope {
        version: MavlinkVersion::V2,
        header: header(*system, *component, *sequence),
        message_id: u32::from_le_bytes([*id0, *id1, *id2, 0]),
        is_signed,
        payload: (start, end),
        len: end + CHECKSUM + signature,
    })
}

fn envelope_v1(bytes: &[u8]) -> Option<Envelope> {
    let [_, len, sequence, system, component, id, ..] = bytes else {
        return None;
    };
    let start = 1 + consts::v1::HEADER_SIZE;
    let end = start + usize::from(*len);
    Some(Envelope {
        version: MavlinkVersion::V1,
        header: header(*system, *component, *sequence),
        message_id: u32::from(*id),
        is_signed: false,
        payload: (start, end),
        len: end + CHECKSUM,
    })
}

fn header(system: u8, component: u8, sequence: u8) -> MavHeader {
    MavHeader {
        system_id: u32::from(system),
        component_id: component,
        sequence,
    }
}

/// Whether a frame may begin with this.
const fn is_marker(byte: u8) -> bool {
    matches!(byte, MAV_STX | MAV_STX_V2)
}

/// Where the next whole frame begins, after the first byte.
fn later_frame(bytes: &[u8]) -> Option<usize> {
    (1..bytes.len()).find(|i| {
        bytes
            .get(*i..)
            .is_some_and(|rest| matches!(look(rest), Found::Whole(_)))
    })
}

fn raw(bytes: &[u8]) -> MAVLinkV2MessageRaw {
    let mut raw = MAVLinkV2MessageRaw::new();
    for (to, from) in raw.as_mut_slice().iter_mut().zip(bytes) {
        *to = *from;
    }
    raw
}

/// Writes our frames.
#[derive(Debug)]
pub struct Writer {
    header: MavHeader,
    out: Vec<u8>,
    signer: Option<Signer>,
    sent: u64,
    dropped: u64,
}

impl Writer {
    /// Takes all memory.
    #[must_use]
    pub fn new(component_id: u8, signing: Option<SigningConfig>) -> Self {
        Self {
            header: header(1, component_id, 0),
            out: Vec::with_capacity(OUT_CAPACITY),
            signer: signing.map(Signer::new),
            sent: 0,
            dropped: 0,
        }
    }

    /// We belong to this system.
    pub fn set_system_id(&mut self, system_id: u8) {
        self.header.system_id = u32::from(system_id);
    }

    /// Appends a frame.
    pub fn write(&mut self, message: &MavMessage, now: MonoTime) {
        let mut raw = MAVLinkV2MessageRaw::new();
        if let Some(signer) = &mut self.signer {
            raw.serialize_message_for_signing(self.header, message);
            signer.sign(&mut raw, now);
        } else {
            raw.serialize_message(self.header, message);
        }
        let bytes = raw.raw_bytes();
        if self.out.len() + bytes.len() > OUT_CAPACITY {
            self.dropped += 1;
            return;
        }
        self.out.extend_from_slice(bytes);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.sent += 1;
    }

    /// The other side's signatures carry this time: ours must not look old to it.
    pub(super) fn not_before(&mut self, time: u64) {
        if let Some(signer) = &mut self.signer {
            signer.not_before(time);
        }
    }

    /// Moves what is to be sent to the end of `out`.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    /// Frames written, and frames dropped because nobody drained.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.sent, self.dropped)
    }
}

#[cfg(test)]
mod tests;
