//! Listens in on the wire between alight and the autopilot, as a third party would: what was commanded when, what was
//! said, and which message first shows that the pilot has taken over.
//!
//! It reads frames by their header alone and trusts neither side's words about itself.

use crate::time::MonoTime;

/// The first byte of a MAVLink 2 frame, and of its parts.
const MAGIC: u8 = 0xfd;
const HEADER: usize = 10;
const CHECKSUM: usize = 2;
const SIGNATURE: usize = 13;

/// Numbers of messages.
const HEARTBEAT: u32 = 0;
const SET_MODE: u32 = 11;
const RC_CHANNELS: u32 = 65;
const COMMAND_INT: u32 = 75;
const COMMAND_LONG: u32 = 76;
const SET_POSITION_TARGET_LOCAL_NED: u32 = 84;
const SET_POSITION_TARGET_GLOBAL_INT: u32 = 86;
const LANDING_TARGET: u32 = 149;
const STATUSTEXT: u32 = 253;
/// `MAV_CMD_SET_MESSAGE_INTERVAL` and `MAV_CMD_REQUEST_MESSAGE` ask for data and move nothing.
const ASKS: [u16; 2] = [511, 512];
/// A stick this far from its middle is a pilot's, microseconds.
const DEFLECTION_US: i32 = 100;

/// One frame's number and payload; trailing zeros are cut off on the wire and come back here as nothing.
struct Wire<'a> {
    message: u32,
    component: u8,
    payload: &'a [u8],
}

impl Wire<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.payload.get(at).copied().unwrap_or(0)
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }
}

/// Calls `each` with every whole frame; what is no frame is passed over.
fn frames(bytes: &[u8], mut each: impl FnMut(&Wire<'_>)) {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|b| *b == MAGIC) {
        rest = rest.get(start..).unwrap_or(&[]);
        let &[_, length, incompatible, _, _, _, component, m0, m1, m2, ..] = rest else {
            return;
        };
        let end = HEADER + usize::from(length);
        let whole = end + CHECKSUM + SIGNATURE * usize::from(incompatible & 1);
        let (Some(payload), true) = (rest.get(HEADER..end), rest.len() >= whole) else {
            rest = rest.get(1..).unwrap_or(&[]);
            continue;
        };
        each(&Wire {
            message: u32::from_le_bytes([m0, m1, m2, 0]),
            component,
            payload,
        });
        rest = rest.get(whole..).unwrap_or(&[]);
    }
}

/// What was heard from alight.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// When something was last commanded.
    pub(super) last_command: Option<MonoTime>,
    /// When anything was commanded, since [`Ear::watch_for_silence`].
    pub(super) commands: Vec<MonoTime>,
    /// Texts, with their moments.
    pub(super) texts: Vec<(MonoTime, String)>,
    is_watching: bool,
    piece: String,
}

impl Ear {
    /// From now on every command is noted.
    pub(super) fn watch_for_silence(&mut self) {
        self.is_watching = true;
        self.commands.clear();
    }

    /// Takes what alight sent.
    pub(super) fn sent(&mut self, bytes: &[u8], now: MonoTime) {
        frames(bytes, |wire| self.take(wire, now));
    }

    fn take(&mut self, wire: &Wire<'_>, now: MonoTime) {
        let is_command = match wire.message {
            SET_MODE
            | SET_POSITION_TARGET_LOCAL_NED
            | SET_POSITION_TARGET_GLOBAL_INT
            | LANDING_TARGET => true,
            // The command's number stands behind its seven parameters.
            COMMAND_INT | COMMAND_LONG => !ASKS.contains(&wire.u16(28)),
            _ => false,
        };
        if is_command {
            self.last_command = Some(now);
            if self.is_watching {
                self.commands.push(now);
            }
        }
        if wire.message == STATUSTEXT {
            self.hear(wire, now);
        }
    }

    /// Joins the pieces of a text.
    fn hear(&mut self, wire: &Wire<'_>, now: MonoTime) {
        let text = wire
            .payload
            .get(1..wire.payload.len().min(51))
            .unwrap_or(&[]);
        let text = text.split(|b| *b == 0).next().unwrap_or(&[]);
        let (id, chunk) = (wire.u16(51), wire.byte(53));
        if chunk == 0 {
            self.piece.clear();
        }
        self.piece.push_str(&String::from_utf8_lossy(text));
        if id == 0 || text.len() < 50 {
            self.texts.push((now, std::mem::take(&mut self.piece)));
        }
    }
}

/// Whether these bytes of the autopilot show another mode than `mode`, or a stick out of its middle.
pub(super) fn shows_takeover(bytes: &[u8], custom_mode: u32) -> bool {
    let mut shows = false;
    frames(bytes, |wire| {
        if wire.component != 1 {
            return;
        }
        let mode = u32::from(wire.u16(0)) | u32::from(wire.u16(2)) << 16;
        shows |= wire.message == HEARTBEAT && mode != custom_mode;
        let is_off =
            |channel: usize| (i32::from(wire.u16(4 + 2 * channel)) - 1500).abs() > DEFLECTION_US;
        shows |= wire.message == RC_CHANNELS && (0..4).any(is_off);
    });
    shows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: u32, payload: &[u8]) -> Vec<u8> {
        let [m0, m1, m2, _] = message.to_le_bytes();
        let mut out = vec![MAGIC, payload.len() as u8, 0, 0, 0, 1, 1, m0, m1, m2];
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0, 0]);
        out
    }

    fn command_long(command: u16) -> Vec<u8> {
        let mut payload = vec![0; 28];
        payload.extend_from_slice(&command.to_le_bytes());
        payload.extend_from_slice(&[1, 1, 0]);
        frame(COMMAND_LONG, &payload)
    }

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    #[test]
    fn commands_are_told_from_questions() {
        let mut ear = Ear::default();
        ear.sent(&command_long(511), at(1.0));
        ear.sent(&frame(HEARTBEAT, &[0; 9]), at(1.0));
        assert_eq!(ear.last_command, None);
        ear.sent(&command_long(176), at(2.0));
        assert_eq!(ear.last_command, Some(at(2.0)));
        assert!(ear.commands.is_empty(), "not asked to watch");
        ear.watch_for_silence();
        let two = [
            frame(LANDING_TARGET, &[1; 60]),
            frame(SET_POSITION_TARGET_LOCAL_NED, &[1; 53]),
        ]
        .concat();
        ear.sent(&two, at(3.0));
        assert_eq!(ear.commands, [at(3.0), at(3.0)]);
    }

    #[test]
    fn texts_are_joined_from_their_pieces() {
        let mut ear = Ear::default();
        let piece = |text: &str, id: u16, seq: u8| {
            let mut payload = vec![0; 54];
            payload[0] = 4;
            payload[1..=text.len()].copy_from_slice(text.as_bytes());
            payload[51..53].copy_from_slice(&id.to_le_bytes());
            payload[53] = seq;
            frame(STATUSTEXT, &payload)
        };
        ear.sent(&piece("short", 0, 0), at(1.0));
        let long = "a".repeat(50);
        ear.sent(&piece(&long, 7, 0), at(2.0));
        ear.sent(&piece("end", 7, 1), at(2.0));
        let texts: Vec<&str> = ear.texts.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(texts, ["short", &format!("{long}end")]);
    }

    #[test]
    fn a_takeover_shows_in_the_mode_or_the_sticks() {
        let heartbeat = |mode: u32| frame(HEARTBEAT, &mode.to_le_bytes());
        assert!(!shows_takeover(&heartbeat(4), 4));
        assert!(shows_takeover(&[heartbeat(4), heartbeat(5)].concat(), 4));
        let sticks = |pitch: u16| {
            let mut payload = vec![0; 4];
            for us in [1500, pitch, 1500, 1500] {
                payload.extend_from_slice(&u16::to_le_bytes(us));
            }
            frame(RC_CHANNELS, &payload)
        };
        assert!(!shows_takeover(&sticks(1510), 4));
        assert!(shows_takeover(&sticks(1700), 4));
    }

    #[test]
    fn garbage_and_cut_frames_are_passed_over() {
        let mut ear = Ear::default();
        let mut bytes = vec![0xfd, 3, 1, MAGIC, 0xff];
        bytes.extend(command_long(176));
        bytes.extend(&command_long(176)[..20]);
        ear.sent(&bytes, at(1.0));
        ear.sent(&[MAGIC], at(1.0));
        assert!(!shows_takeover(&[MAGIC, 255, 1], 4));
    }
}
