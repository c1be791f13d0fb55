//! Oddities of the link that somebody should look at, each said once.

use crate::autopilot::framing::LinkCounts;

/// So many bytes of noise are more than the end of a frame whose beginning was missed.
const NOISE: u64 = 280;

/// How often it was counted, from how often on it is odd, and what to say.
type Kind = (fn(&LinkCounts) -> u64, u64, &'static str);

const KINDS: [Kind; 6] = [
    (
        |c| c.garbage_bytes,
        NOISE,
        "the link brings noise: check baud rate, wiring and protocol",
    ),
    (
        |c| c.crc_errors,
        1,
        "a frame with a wrong checksum: ignored; a bad line, or another dialect?",
    ),
    (
        |c| c.malformed,
        1,
        "a message with a value that does not exist: ignored",
    ),
    (
        |c| c.incompatible,
        1,
        "a frame with an unknown feature: ignored",
    ),
    (
        |c| c.unverifiable,
        1,
        "signed frames: ignored; set link.signing_key_file to read them",
    ),
    (
        |c| c.refused,
        1,
        "frames not signed with our key: ignored; same key and clock on both sides?",
    ),
];

/// Remembers what was said.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    has_said: [bool; KINDS.len()],
}

impl Complaints {
    /// The next thing to say, if any.
    pub(super) fn next(&mut self, counts: &LinkCounts) -> Option<&'static str> {
        let (_, said, text) = KINDS
            .iter()
            .zip(&mut self.has_said)
            .map(|((count, from, text), said)| (count(counts) >= *from, said, *text))
            .find(|(is_odd, said, _)| *is_odd && !**said)?;
        *said = true;
        Some(text)
    }
}
