//! What the ground sees of us: heartbeat, texts, named numbers, the computer's state, acknowledgements.

use mavlink::dialects::ardupilotmega::{
    COMMAND_ACK_DATA, ComputerStatusFlags, HEARTBEAT_DATA, MavAutopilot, MavCmd, MavMessage,
    MavModeFlag, MavResult, MavSeverity, MavState, MavType, NAMED_VALUE_FLOAT_DATA,
    ONBOARD_COMPUTER_STATUS_DATA, STATUSTEXT_DATA,
};
use mavlink::types::CharArray;

use super::commands::Severity;
use super::encode::boot_ms;
use crate::time::MonoTime;

/// Bytes of text in one STATUSTEXT.
const PIECE: usize = 50;

/// The computer that we run on; what is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Computer {
    /// Load over all cores, percent.
    pub cpu_percent: Option<u8>,
    /// Memory in use, mebibytes.
    pub memory_used_mib: Option<u32>,
    /// Memory in all, mebibytes.
    pub memory_total_mib: Option<u32>,
    /// Of the board, degrees Celsius.
    pub temperature_c: Option<i8>,
}

/// The heartbeat of an onboard controller.
#[must_use]
pub fn heartbeat(is_engaged: bool) -> MavMessage {
    MavMessage::HEARTBEAT(HEARTBEAT_DATA {
        custom_mode: 0,
        mavtype: MavType::MAV_TYPE_ONBOARD_CONTROLLER,
        autopilot: MavAutopilot::MAV_AUTOPILOT_INVALID,
        base_mode: MavModeFlag::empty(),
        system_status: if is_engaged {
            MavState::MAV_STATE_ACTIVE
        } else {
            MavState::MAV_STATE_STANDBY
        },
        ..HEARTBEAT_DATA::DEFAULT
    })
}

/// A text in pieces of 50 bytes. A short one is one message with `id` 0; the pieces of a long one share `id`, and a piece
/// that is not full ends it.
pub fn status_text(
    severity: Severity,
    text: &str,
    id: u16,
) -> impl Iterator<Item = MavMessage> + '_ {
    let bytes = text.as_bytes();
    let is_short = bytes.len() <= PIECE;
    let pieces = if is_short { 1 } else { bytes.len() / PIECE + 1 };
    (0..pieces).map(move |seq| {
        let mut piece = [0; PIECE];
        let rest = bytes.get(seq * PIECE..).unwrap_or(&[]);
        for (to, from) in piece.iter_mut().zip(rest) {
            *to = *from;
        }
        MavMessage::STATUSTEXT(STATUSTEXT_DATA {
            severity: match severity {
                Severity::Alert => MavSeverity::MAV_SEVERITY_ALERT,
                Severity::Error => MavSeverity::MAV_SEVERITY_ERROR,
                Severity::Warning => MavSeverity::MAV_SEVERITY_WARNING,
                Severity::Notice => MavSeverity::MAV_SEVERITY_NOTICE,
                Severity::Info => MavSeverity::MAV_SEVERITY_INFO,
            },
            text: CharArray::new(piece),
            id: if is_short { 0 } else { id.max(1) },
            chunk_seq: seq as u8,
        })
    })
}

/// A named number, ten characters at most; `None` when it is not finite.
#[must_use]
pub fn named_float(name: &str, value: f32, now: MonoTime) -> Option<MavMessage> {
    let mut chars = [0; 10];
    for (to, from) in chars.iter_mut().zip(name.as_bytes()) {
        *to = *from;
    }
    value
        .is_finite()
        .then_some(MavMessage::NAMED_VALUE_FLOAT(NAMED_VALUE_FLOAT_DATA {
            time_boot_ms: boot_ms(now),
            value,
            name: CharArray::new(chars),
        }))
}

/// `ONBOARD_COMPUTER_STATUS`; unknown fields carry the value that means so.
#[must_use]
pub fn computer_status(computer: &Computer, now: MonoTime) -> MavMessage {
    let mut cpu_combined = [u8::MAX; 10];
    if let (Some(first), Some(load)) = (cpu_combined.first_mut(), computer.cpu_percent) {
        *first = load.min(100);
    }
    MavMessage::ONBOARD_COMPUTER_STATUS(ONBOARD_COMPUTER_STATUS_DATA {
        time_usec: u64::try_from(now.as_nanos() / 1000).unwrap_or(0),
        uptime: boot_ms(now),
        ram_usage: computer.memory_used_mib.unwrap_or(u32::MAX),
        ram_total: computer.memory_total_mib.unwrap_or(u32::MAX),
        storage_type: [u32::MAX; 4],
        storage_usage: [u32::MAX; 4],
        storage_total: [u32::MAX; 4],
        link_type: [u32::MAX; 6],
        link_tx_rate: [u32::MAX; 6],
        link_rx_rate: [u32::MAX; 6],
        link_tx_max: [u32::MAX; 6],
        link_rx_max: [u32::MAX; 6],
        fan_speed: [i16::MAX; 4],
        mavtype: 0,
        cpu_cores: [u8::MAX; 8],
        cpu_combined,
        gpu_cores: [u8::MAX; 4],
        gpu_combined: [u8::MAX; 10],
        temperature_board: computer.temperature_c.unwrap_or(i8::MAX),
        temperature_core: [i8::MAX; 8],
        status_flags: ComputerStatusFlags::empty(),
    })
}

/// The answer to a command, to the one who sent it.
#[must_use]
pub fn acknowledge(command: MavCmd, result: MavResult, to: (u8, u8)) -> MavMessage {
    MavMessage::COMMAND_ACK(COMMAND_ACK_DATA {
        command,
        result,
        target_system: to.0,
        target_component: to.1,
        ..COMMAND_ACK_DATA::DEFAULT
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pieces(text: &str) -> Vec<(u16, u8, String)> {
        status_text(Severity::Warning, text, 7)
            .map(|m| match m {
                MavMessage::STATUSTEXT(d) => {
                    assert_eq!(d.severity, MavSeverity::MAV_SEVERITY_WARNING);
                    (d.id, d.chunk_seq, d.text.to_str().unwrap().to_owned())
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[rstest]
    #[case::empty(0, &[0])]
    #[case::short(12, &[12])]
    #[case::one_full(50, &[50])]
    #[case::two(51, &[50, 1])]
    #[case::a_full_last_piece_needs_an_end(100, &[50, 50, 0])]
    fn texts_are_cut_into_pieces(#[case] len: usize, #[case] lengths: &[usize]) {
        let text: String = ('a'..='z').cycle().take(len).collect();
        let got = pieces(&text);
        assert_eq!(
            got.iter().map(|p| p.2.len()).collect::<Vec<_>>(),
            lengths,
            "{got:?}"
        );
        assert_eq!(got.iter().map(|p| p.2.as_str()).collect::<String>(), text);
        let id = if lengths.len() == 1 { 0 } else { 7 };
        assert!(got.iter().all(|p| p.0 == id));
        assert!(got.iter().enumerate().all(|(i, p)| usize::from(p.1) == i));
    }

    #[test]
    fn names_are_cut_at_ten_characters_and_odd_numbers_are_not_sent() {
        let Some(MavMessage::NAMED_VALUE_FLOAT(d)) =
            named_float("clearance_metres", 2.5, MonoTime::from_secs_f64(1.5))
        else {
            panic!("no message")
        };
        assert_eq!(d.name.to_str().unwrap(), "clearance_");
        assert_eq!((d.value, d.time_boot_ms), (2.5, 1500));
        assert!(named_float("x", f32::NAN, MonoTime::ZERO).is_none());
    }

    #[test]
    fn the_heartbeat_is_an_onboard_controllers() {
        let MavMessage::HEARTBEAT(d) = heartbeat(true) else {
            panic!("no heartbeat")
        };
        assert_eq!(d.mavtype, MavType::MAV_TYPE_ONBOARD_CONTROLLER);
        assert_eq!(d.autopilot, MavAutopilot::MAV_AUTOPILOT_INVALID);
        assert_eq!(d.base_mode, MavModeFlag::empty());
        assert_eq!(d.system_status, MavState::MAV_STATE_ACTIVE);
    }

    #[test]
    fn what_is_not_known_of_the_computer_says_so() {
        let known = Computer {
            cpu_percent: Some(40),
            temperature_c: Some(61),
            ..Computer::default()
        };
        let MavMessage::ONBOARD_COMPUTER_STATUS(d) = computer_status(&known, MonoTime::ZERO) else {
            panic!("no status")
        };
        assert_eq!((d.cpu_combined[0], d.cpu_combined[1]), (40, u8::MAX));
        assert_eq!((d.temperature_board, d.ram_usage), (61, u32::MAX));
    }
}
