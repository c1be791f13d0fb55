//! `HEARTBEAT.custom_mode` and back, for both dialects.

use crate::vehicle::{AutopilotKind, Mode};

/// PX4's main modes.
const PX4_POSCTL: u32 = 3;
const PX4_AUTO: u32 = 4;
const PX4_OFFBOARD: u32 = 6;

/// The mode that an autopilot of this kind means by `custom_mode`.
#[must_use]
pub fn mode_from_custom(kind: AutopilotKind, custom_mode: u32) -> Mode {
    match kind {
        AutopilotKind::ArduPilot => match custom_mode {
            3 => Mode::Mission,
            4 => Mode::Guided,
            5 => Mode::Loiter,
            6 => Mode::Rtl,
            9 => Mode::Land,
            17 => Mode::Hold,
            other => Mode::Other(other),
        },
        AutopilotKind::Px4 => match ((custom_mode >> 16) & 0xff, custom_mode >> 24) {
            (PX4_POSCTL, 0) => Mode::Loiter,
            (PX4_AUTO, 3) => Mode::Hold,
            (PX4_AUTO, 4) => Mode::Mission,
            (PX4_AUTO, 5) => Mode::Rtl,
            (PX4_AUTO, 6) => Mode::Land,
            (PX4_AUTO, 9) => Mode::PrecLand,
            (PX4_OFFBOARD, _) => Mode::Guided,
            _ => Mode::Other(custom_mode),
        },
        AutopilotKind::Other(_) => Mode::Other(custom_mode),
    }
}

/// The `custom_mode` that an autopilot of this kind understands as `mode`; `None` where it has no such mode.
#[must_use]
pub fn custom_from_mode(kind: AutopilotKind, mode: Mode) -> Option<u32> {
    let px4 = |main: u32, sub: u32| Some((main << 16) | (sub << 24));
    match (kind, mode) {
        (AutopilotKind::Other(_), _) | (AutopilotKind::ArduPilot, Mode::PrecLand) => None,
        (_, Mode::Other(custom_mode)) => Some(custom_mode),
        (AutopilotKind::ArduPilot, Mode::Mission) => Some(3),
        (AutopilotKind::ArduPilot, Mode::Guided) => Some(4),
        (AutopilotKind::ArduPilot, Mode::Loiter) => Some(5),
        (AutopilotKind::ArduPilot, Mode::Rtl) => Some(6),
        (AutopilotKind::ArduPilot, Mode::Land) => Some(9),
        (AutopilotKind::ArduPilot, Mode::Hold) => Some(17),
        (AutopilotKind::Px4, Mode::Loiter) => px4(PX4_POSCTL, 0),
        (AutopilotKind::Px4, Mode::Hold) => px4(PX4_AUTO, 3),
        (AutopilotKind::Px4, Mode::Mission) => px4(PX4_AUTO, 4),
        (AutopilotKind::Px4, Mode::Rtl) => px4(PX4_AUTO, 5),
        (AutopilotKind::Px4, Mode::Land) => px4(PX4_AUTO, 6),
        (AutopilotKind::Px4, Mode::PrecLand) => px4(PX4_AUTO, 9),
        (AutopilotKind::Px4, Mode::Guided) => px4(PX4_OFFBOARD, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(AutopilotKind::ArduPilot, 4, Mode::Guided)]
    #[case(AutopilotKind::ArduPilot, 17, Mode::Hold)]
    #[case(AutopilotKind::ArduPilot, 5, Mode::Loiter)]
    #[case(AutopilotKind::ArduPilot, 9, Mode::Land)]
    #[case(AutopilotKind::ArduPilot, 6, Mode::Rtl)]
    #[case(AutopilotKind::ArduPilot, 3, Mode::Mission)]
    #[case(AutopilotKind::ArduPilot, 0, Mode::Other(0))]
    #[case(AutopilotKind::Px4, 6 << 16, Mode::Guided)]
    #[case(AutopilotKind::Px4, (4 << 16) | (3 << 24), Mode::Hold)]
    #[case(AutopilotKind::Px4, 3 << 16, Mode::Loiter)]
    #[case(AutopilotKind::Px4, (4 << 16) | (6 << 24), Mode::Land)]
    #[case(AutopilotKind::Px4, (4 << 16) | (9 << 24), Mode::PrecLand)]
    #[case(AutopilotKind::Px4, (4 << 16) | (5 << 24), Mode::Rtl)]
    #[case(AutopilotKind::Px4, (4 << 16) | (4 << 24), Mode::Mission)]
    #[case(AutopilotKind::Px4, (4 << 16) | (2 << 24), Mode::Other((4 << 16) | (2 << 24)))]
    fn the_modes_of_both_dialects_map_there_and_back(
        #[case] kind: AutopilotKind,
        #[case] custom: u32,
        #[case] mode: Mode,
    ) {
        assert_eq!(mode_from_custom(kind, custom), mode);
        assert_eq!(custom_from_mode(kind, mode), Some(custom));
    }

    #[test]
    fn a_stranger_has_no_modes_that_mean_anything() {
        let kind = AutopilotKind::Other(9);
        assert_eq!(mode_from_custom(kind, 4), Mode::Other(4));
        assert_eq!(custom_from_mode(kind, Mode::Guided), None);
        assert_eq!(
            custom_from_mode(AutopilotKind::ArduPilot, Mode::PrecLand),
            None
        );
    }
}
