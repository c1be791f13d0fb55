//! What the supervisor wants of the vehicle and tells the ground, in words that know no protocol.

use std::fmt;

use crate::geometry::{Ned, Vec3};
use crate::vehicle::Mode;

/// One thing to send. The encoder of the autopilot gives it its form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Ask for a flight mode. Sent again by the supervisor until the heartbeat shows it.
    SetMode(Mode),
    /// A position setpoint, while the mode is [`Mode::Guided`].
    GoTo(Setpoint),
    /// One sample of the landing target's stream.
    Target(TargetSample),
    /// A text for the ground.
    Say(Severity, Notice),
    /// A named number for the ground (ten characters at most).
    Number(&'static str, f32),
}

/// A place to fly to and stay at, NED around the autopilot's origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setpoint {
    /// Metres.
    pub position: Vec3<Ned>,
    /// Heading to hold, radians clockwise from north; `None` leaves it to the autopilot.
    pub yaw_rad: Option<f64>,
}

/// Where the confirmed site is. The encoder turns it into the form that the autopilot accepts, with the present pose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetSample {
    /// The site's centre on the ground, NED around the autopilot's origin, metres.
    pub position: Vec3<Ned>,
}

/// How loud a text is (`MAV_SEVERITY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// 1: act at once.
    Alert,
    /// 3.
    Error,
    /// 4.
    Warning,
    /// 5.
    Notice,
    /// 6.
    Info,
}

/// A text for the ground, kept short: it is cut into 50-byte pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Notice {
    /// Longest text, bytes (two STATUSTEXT pieces).
    pub const CAPACITY: usize = 100;

    /// Formats without allocating; what does not fit is cut at a character's edge.
    #[must_use]
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        let mut notice = Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        };
        // Writing never fails: what does not fit is left out.
        let _ = fmt::Write::write_fmt(&mut notice, text);
        notice
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }
}

impl fmt::Write for Notice {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            let start = usize::from(self.len);
            let end = start + c.len_utf8();
            let Some(room) = self.bytes.get_mut(start..end) else {
                break;
            };
            c.encode_utf8(room);
            self.len = end as u8;
        }
        Ok(())
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_cut_at_a_characters_edge() {
        let long = "ä".repeat(80);
        let notice = Notice::new(format_args!("x{long}"));
        assert_eq!(notice.as_str().len(), 99);
        assert_eq!(Notice::new(format_args!("{} m", 3)).as_str(), "3 m");
    }
}
