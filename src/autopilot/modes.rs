//! Flight modes by their numbers: one table for reading `HEARTBEAT.custom_mode` and for `MAV_CMD_DO_SET_MODE`.

use crate::vehicle::{AutopilotKind, Mode};

/// `ArduCopter`'s mode numbers.
const ARDUPILOT: [(Mode, u32); 6] = [
    (Mode::Mission, 3),
    (Mode::Guided, 4),
    (Mode::Loiter, 5),
    (Mode::Rtl, 6),
    (Mode::Land, 9),
    (Mode::Hold, 17),
];

/// PX4's main and sub modes.
const PX4: [(Mode, u32); 7] = [
    (Mode::Loiter, px4(3, 0)),
    (Mode::Hold, px4(4, 3)),
    (Mode::Mission, px4(4, 4)),
    (Mode::Rtl, px4(4, 5)),
    (Mode::Land, px4(4, 6)),
    (Mode::PrecLand, px4(4, 9)),
    (Mode::Guided, px4(6, 0)),
];

/// PX4's `custom_mode`: the main mode in the third byte, the sub mode in the fourth.
const fn px4(main: u8, sub: u8) -> u32 {
    (main as u32) << 16 | (sub as u32) << 24
}

/// PX4's main and sub mode in a `custom_mode`.
#[must_use]
pub const fn px4_main_sub(custom_mode: u32) -> (u8, u8) {
    ((custom_mode >> 16) as u8, (custom_mode >> 24) as u8)
}

fn table(kind: AutopilotKind) -> &'static [(Mode, u32)] {
    match kind {
        AutopilotKind::ArduPilot => &ARDUPILOT,
        AutopilotKind::Px4 => &PX4,
        AutopilotKind::Other(_) => &[],
    }
}

/// The mode that a heartbeat's `custom_mode` means.
#[must_use]
pub fn mode_of(kind: AutopilotKind, custom_mode: u32) -> Mode {
    table(kind)
        .iter()
        .find(|(_, number)| *number == custom_mode)
        .map_or(Mode::Other(custom_mode), |(mode, _)| *mode)
}

/// The `custom_mode` that asks for a mode; `None` when this autopilot has no such mode, or is one that we do not
/// command.
#[must_use]
pub fn custom_mode_of(kind: AutopilotKind, mode: Mode) -> Option<u32> {
    if let (Mode::Other(number), AutopilotKind::ArduPilot | AutopilotKind::Px4) = (mode, kind) {
        return Some(number);
    }
    table(kind)
        .iter()
        .find(|(known, _)| *known == mode)
        .map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(AutopilotKind::ArduPilot, 3, Mode::Mission)]
    #[case(AutopilotKind::ArduPilot, 4, Mode::Guided)]
    #[case(AutopilotKind::ArduPilot, 5, Mode::Loiter)]
    #[case(AutopilotKind::ArduPilot, 6, Mode::Rtl)]
    #[case(AutopilotKind::ArduPilot, 9, Mode::Land)]
    #[case(AutopilotKind::ArduPilot, 17, Mode::Hold)]
    #[case::stabilize(AutopilotKind::ArduPilot, 0, Mode::Other(0))]
    #[case(AutopilotKind::Px4, 0x0003_0000, Mode::Loiter)]
    #[case(AutopilotKind::Px4, 0x0304_0000, Mode::Hold)]
    #[case(AutopilotKind::Px4, 0x0404_0000, Mode::Mission)]
    #[case(AutopilotKind::Px4, 0x0504_0000, Mode::Rtl)]
    #[case(AutopilotKind::Px4, 0x0604_0000, Mode::Land)]
    #[case(AutopilotKind::Px4, 0x0904_0000, Mode::PrecLand)]
    #[case(AutopilotKind::Px4, 0x0006_0000, Mode::Guided)]
    #[case::orbit(AutopilotKind::Px4, 0x0103_0000, Mode::Other(0x0103_0000))]
    fn numbers_and_modes_agree_both_ways(
        #[case] kind: AutopilotKind,
        #[case] number: u32,
        #[case] mode: Mode,
    ) {
        assert_eq!(mode_of(kind, number), mode);
        assert_eq!(custom_mode_of(kind, mode), Some(number));
    }

    #[test]
    fn an_unknown_autopilot_has_no_mode_to_ask_for() {
        let other = AutopilotKind::Other(8);
        assert_eq!(mode_of(other, 4), Mode::Other(4));
        for mode in [Mode::Guided, Mode::Hold, Mode::Land, Mode::Other(4)] {
            assert_eq!(custom_mode_of(other, mode), None);
        }
        assert_eq!(
            custom_mode_of(AutopilotKind::ArduPilot, Mode::PrecLand),
            None
        );
    }

    #[test]
    fn px4_keeps_main_and_sub_in_the_upper_bytes() {
        assert_eq!(px4_main_sub(0x0904_0000), (4, 9));
        assert_eq!(px4_main_sub(0x0006_0000), (6, 0));
    }
}
