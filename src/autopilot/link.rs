//! The bytes themselves: serial ports and sockets, with a read handle and a write handle that never wait for each other.
//!
//! [`open`] makes both. The reader opens the device, and opens it again when it is lost: after 0.2 s, then doubling up to
//! 5 s. With each opening it hands the writer a handle of its own. Nothing is kept to be sent later: a command
//! that could not be sent in its time would be wrong when it could.

mod address;
mod keyring;
mod pipe;

pub use address::{AddressError, HostPort, LinkAddress};
pub use keyring::{Keyring, KeyringError};

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::framing::LinkCounts;
use crate::time::MonoTime;
use pipe::{ReadPipe, WritePipe};

/// Shortest and longest wait before the next try to open.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A sender of datagrams that was silent for this long gives way to another.
const PEER_SILENCE: Duration = Duration::from_secs(1);
/// Longest frame.
const FRAME: usize = 280;

/// Why the device or socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The serial device may not be opened by this user.
    #[error(
        "{address}: permission denied for {device}: add the user to the group that owns it, usually dialout (sudo usermod \
         -aG dialout USER), and log in again"
    )]
    Permission {
        /// Which link.
        address: LinkAddress,
        /// The device.
        device: String,
    },
    /// There is no such serial device.
    #[error("{address}: there is no serial port {device}; {found}")]
    NoDevice {
        /// Which link.
        address: LinkAddress,
        /// The device.
        device: String,
        /// Those that there are.
        found: String,
    },
    /// Anything else.
    #[error("{address}: {source}; {remedy}")]
    Open {
        /// Which link.
        address: LinkAddress,
        /// The system's reason.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
}

/// What a read brought.
#[derive(Debug)]
pub enum Received {
    /// So many bytes, at the start of the buffer.
    Bytes(usize),
    /// Nothing, in the time given.
    Silence,
    /// The link was opened just now.
    Opened,
    /// The link is lost; it will be opened again.
    Lost(String),
    /// It cannot be opened, for a reason that was not given before.
    CannotOpen(LinkError),
    /// It is still closed.
    Closed,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// They are on their way.
    All,
    /// Nobody has called yet: there is no one to send to.
    NoPeer,
    /// The link is closed.
    Closed,
    /// Some or all were not taken.
    Failed,
}

/// Counted by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCounts {
    /// Bytes received.
    pub bytes: u64,
    /// Times that the link was opened.
    pub opened: u64,
    /// Times that it was lost.
    pub lost: u64,
    /// Tries to open it that failed.
    pub refused: u64,
}

/// Counted by the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteCounts {
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes dropped: nobody had called yet.
    pub without_peer: u64,
    /// Bytes dropped: the link was closed.
    pub while_closed: u64,
    /// Bytes dropped: not taken in time, or refused.
    pub failed: u64,
}

/// From the reader to the writer: its new handle, or none while the link is closed. Only the newest counts.
type Outlet = Option<WritePipe>;

/// Both ends of a link. Nothing is opened before the first [`LinkReader::open`] or [`LinkReader::read`], which waits for
/// bytes no longer than `patience`.
#[must_use]
pub fn open(address: LinkAddress, patience: Duration) -> (LinkReader, LinkWriter) {
    let (to_writer, from_reader) = bounded(1);
    let reader = LinkReader {
        address,
        patience,
        pipe: None,
        peer: None,
        back_off: BACK_OFF.0,
        next_try: None,
        last_refusal: String::new(),
        to_writer,
        untaken: from_reader.clone(),
        counts: ReadCounts::default(),
    };
    let writer = LinkWriter {
        pipe: None,
        from_reader,
        counts: WriteCounts::default(),
    };
    (reader, writer)
}

/// The end that bytes come out of; it keeps the link open.
#[derive(Debug)]
pub struct LinkReader {
    address: LinkAddress,
    patience: Duration,
    pipe: Option<ReadPipe>,
    /// Whom datagrams are answered to, and when it was last heard.
    peer: Option<(SocketAddr, MonoTime)>,
    back_off: Duration,
    next_try: Option<MonoTime>,
    last_refusal: String,
    to_writer: Sender<Outlet>,
    /// What the writer has not taken yet, to make room for what is newer.
    untaken: Receiver<Outlet>,
    counts: ReadCounts,
}

impl LinkReader {
    /// Opens the link, for a start that fails loudly.
    ///
    /// # Errors
    /// Why it cannot be opened, and what to do.
    pub fn open(&mut self) -> Result<(), LinkError> {
        let read = pipe::open(&self.address, self.patience)?;
        let write = read
            .writer(None)
            .map_err(|e| pipe::failed(&self.address, e))?;
        self.pipe = Some(read);
        self.peer = None;
        self.counts.opened += 1;
        self.back_off = BACK_OFF.0;
        self.next_try = None;
        self.last_refusal.clear();
        self.tell(Some(write));
        Ok(())
    }

    /// Waits for bytes; the buffer should hold a datagram (2048 bytes). A closed link is opened again when its time has
    /// come.
    pub fn read(&mut self, buffer: &mut [u8], now: MonoTime) -> Received {
        let Some(pipe) = &mut self.pipe else {
            return self.reopen(now);
        };
        match pipe.read(buffer) {
            Ok((0, _)) if pipe.is_stream() => self.lose("the other side closed it", now),
            Ok((len, from)) => {
                self.counts.bytes += len as u64;
                if let Some(from) = from {
                    self.note_peer(from, now);
                }
                Received::Bytes(len)
            }
            Err(e) if is_silence(&e) => Received::Silence,
            // Nobody listens there yet.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused && !pipe.is_stream() => {
                Received::Silence
            }
            Err(e) => self.lose(&e.to_string(), now),
        }
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counts(&self) -> &ReadCounts {
        &self.counts
    }

    /// Which link this is.
    #[must_use]
    pub const fn address(&self) -> &LinkAddress {
        &self.address
    }

    fn reopen(&mut self, now: MonoTime) -> Received {
        let wait = self.next_try.map_or(Duration::ZERO, |at| at.since(now));
        if !wait.is_zero() {
            // Nothing comes on this channel: it is the wait.
            let _ = never::<()>().recv_timeout(wait.min(self.patience));
            return Received::Closed;
        }
        match self.open() {
            Ok(()) => Received::Opened,
            Err(e) => {
                self.counts.refused += 1;
                self.next_try = Some(now.after(self.back_off));
                self.back_off = (self.back_off * 2).min(BACK_OFF.1);
                let text = e.to_string();
                if text == self.last_refusal {
                    return Received::Closed;
                }
                self.last_refusal = text;
                Received::CannotOpen(e)
            }
        }
    }

    fn lose(&mut self, why: &str, now: MonoTime) -> Received {
        self.pipe = None;
        self.counts.lost += 1;
        self.next_try = Some(now.after(self.back_off));
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        self.tell(None);
        Received::Lost(format!("{}: {why}", self.address))
    }

    /// The first sender of datagrams is answered; another one only when the first has fallen silent (it started again
    /// with another port).
    fn note_peer(&mut self, from: SocketAddr, now: MonoTime) {
        match &mut self.peer {
            Some((peer, heard_at)) if *peer == from => *heard_at = now,
            Some((_, heard_at)) if now.since(*heard_at) < PEER_SILENCE => {}
            _ => {
                let write = self.pipe.as_ref().map(|p| p.writer(Some(from)));
                if let Some(Ok(write)) = write {
                    self.peer = Some((from, now));
                    self.tell(Some(write));
                }
            }
        }
    }

    fn tell(&self, outlet: Outlet) {
        // One place, and only this end fills it: once emptied, it is free.
        let _ = self.untaken.try_recv();
        let _ = self.to_writer.try_send(outlet);
    }
}

/// The end that bytes go into.
#[derive(Debug)]
pub struct LinkWriter {
    pipe: Outlet,
    from_reader: Receiver<Outlet>,
    counts: WriteCounts,
}

impl LinkWriter {
    /// Sends whole frames, now or never.
    pub fn write(&mut self, frames: &[u8]) -> Sent {
        if let Ok(pipe) = self.from_reader.try_recv() {
            self.pipe = pipe;
        }
        let len = frames.len() as u64;
        if frames.is_empty() {
            return Sent::All;
        }
        let Some(pipe) = &mut self.pipe else {
            self.counts.while_closed += len;
            return Sent::Closed;
        };
        if pipe.lacks_peer() {
            self.counts.without_peer += len;
            return Sent::NoPeer;
        }
        let taken = pipe.write(frames);
        self.counts.bytes += taken;
        self.counts.failed += len - taken;
        if taken == len {
            Sent::All
        } else {
            Sent::Failed
        }
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counts(&self) -> &WriteCounts {
        &self.counts
    }
}

fn is_silence(e: &std::io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Something odd about what a link delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// It is open, and nothing comes.
    #[error(
        "the link is open, but nothing comes: is the autopilot on, the wiring crossed, the port enabled?"
    )]
    Silent,
    /// Bytes come, and none of them is a frame.
    #[error(
        "bytes but no MAVLink: baud rate? Or the port speaks another protocol (SERIALn_PROTOCOL = 2)"
    )]
    NoMavlink,
    /// Frames come, and no autopilot's heartbeat.
    #[error("MAVLink, but no heartbeat of an autopilot (component 1): is this the right link?")]
    NoAutopilot,
}

/// Notices, once each, that a link delivers nothing of use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listener {
    since: Option<(MonoTime, u64, u64)>,
    has_said: [bool; 3],
}

impl Listener {
    /// How long a link may be silent or senseless after it was opened.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// Bytes that are enough to contain a frame.
    const ENOUGH: u64 = 2 * FRAME as u64;

    /// The link was opened.
    pub fn opened(&mut self, counts: &LinkCounts, now: MonoTime) {
        *self = Self {
            since: Some((now, counts.bytes, counts.frames)),
            has_said: [false; 3],
        };
    }

    /// Looks at what has come since; `has_autopilot` when an autopilot's heartbeat ever came.
    pub fn check(
        &mut self,
        counts: &LinkCounts,
        has_autopilot: bool,
        now: MonoTime,
    ) -> Option<Complaint> {
        let (since, bytes, frames) = self.since?;
        if now.since(since) < Self::PATIENCE {
            return None;
        }
        let complaint = if counts.bytes == bytes {
            Complaint::Silent
        } else if counts.frames == frames && counts.bytes - bytes >= Self::ENOUGH {
            Complaint::NoMavlink
        } else if counts.frames > frames && !has_autopilot {
            Complaint::NoAutopilot
        } else {
            return None;
        };
        let said = self.has_said.get_mut(complaint as usize)?;
        (!std::mem::replace(said, true)).then_some(complaint)
    }
}

#[cfg(test)]
mod tests;
