//! The two threads of the link: bytes in, bytes out, through buffers that go round.

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

use super::super::schedule::BEAT;
use super::super::watchdog::Stage;
use super::Common;
use super::record::Note;
use crate::autopilot::link::{LinkReader, LinkWriter, Received};
use crate::time::Clock as _;

/// What the reader hands on.
#[derive(Debug)]
pub(super) enum FromLink {
    /// So many bytes at the start of the buffer.
    Bytes(Vec<u8>, usize),
    /// It was opened just now.
    Opened,
}

/// Reads until the end.
pub(super) fn read(
    mut reader: LinkReader,
    common: &Common,
    (to, free): (&Sender<FromLink>, &Receiver<Vec<u8>>),
) {
    let mut spare = None;
    while !common.watch.is_stopping() {
        common.watch.beat(Stage::LinkRead, common.clock.now());
        let Some(mut buffer) = spare.take().or_else(|| free.recv_timeout(BEAT).ok()) else {
            continue;
        };
        let now = common.clock.now();
        let (level, text) = match reader.read(&mut buffer, now) {
            Received::Bytes(len) => {
                hand_on(FromLink::Bytes(buffer, len), to, common);
                continue;
            }
            Received::Silence | Received::Closed => {
                spare = Some(buffer);
                continue;
            }
            Received::Opened => {
                hand_on(FromLink::Opened, to, common);
                (log::Level::Info, format!("{}: open", reader.address()))
            }
            Received::Lost(why) => (log::Level::Warn, format!("{why}; it will be opened again")),
            Received::CannotOpen(e) => (log::Level::Warn, format!("{e}; it will be tried again")),
        };
        spare = Some(buffer);
        common.notes.note(Note::Device(level, text), now);
    }
}

/// Waits until the control thread has room; nothing that came is dropped.
fn hand_on(what: FromLink, to: &Sender<FromLink>, common: &Common) {
    let mut what = what;
    while let Err(SendTimeoutError::Timeout(back)) = to.send_timeout(what, BEAT) {
        if common.watch.is_stopping() {
            return;
        }
        what = back;
    }
}

/// Writes until the end, and what is left then.
pub(super) fn write(
    mut writer: LinkWriter,
    common: &Common,
    (from, free): (&Receiver<Vec<u8>>, &Sender<Vec<u8>>),
) {
    loop {
        match from.recv_timeout(BEAT) {
            Ok(buffer) => {
                // What could not be sent in its time would be wrong when it could; the link counts it.
                writer.write(&buffer);
                // There is room for every buffer.
                let _ = free.try_send(buffer);
            }
            Err(RecvTimeoutError::Timeout) if !common.watch.is_stopping() => {}
            Err(_) => return,
        }
        common.watch.beat(Stage::LinkWrite, common.clock.now());
    }
}
