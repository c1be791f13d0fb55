//! Flight modes as numbers in `HEARTBEAT.custom_mode`.

use super::config::Dialect;
use crate::vehicle::Mode;

/// `ArduCopter` STABILIZE.
pub(super) const STABILIZE: Mode = Mode::Other(0);
/// PX4 STABILIZED (main 7).
pub(super) const STABILIZED: Mode = Mode::Other(7 << 16);

/// PX4's number of a main mode and a sub mode.
const fn px4(main: u32, sub: u32) -> u32 {
    (sub << 24) | (main << 16)
}

/// Both ways of the same table; `ArduPilot` has no PRECLAND.
const ARDUPILOT: [(Mode, u32); 6] = [
    (Mode::Mission, 3),
    (Mode::Guided, 4),
    (Mode::Loiter, 5),
    (Mode::Rtl, 6),
    (Mode::Land, 9),
    (Mode::Hold, 17),
];
const PX4: [(Mode, u32); 7] = [
    (Mode::Loiter, px4(3, 0)),
    (Mode::Hold, px4(4, 3)),
    (Mode::Mission, px4(4, 4)),
    (Mode::Rtl, px4(4, 5)),
    (Mode::Land, px4(4, 6)),
    (Mode::PrecLand, px4(4, 9)),
    (Mode::Guided, px4(6, 0)),
];
/// Other numbers that exist, and behave like a pilot's mode here.
const ARDUPILOT_OTHER: [u32; 4] = [0, 2, 16, 21];
const PX4_OTHER: [u32; 3] = [px4(1, 0), px4(2, 0), px4(7, 0)];

const fn table(dialect: Dialect) -> (&'static [(Mode, u32)], &'static [u32]) {
    match dialect {
        Dialect::ArduPilot => (&ARDUPILOT, &ARDUPILOT_OTHER),
        Dialect::Px4 => (&PX4, &PX4_OTHER),
    }
}

/// The number that the heartbeat shows.
pub(super) fn number(dialect: Dialect, mode: Mode) -> u32 {
    let (known, _) = table(dialect);
    match mode {
        Mode::Other(raw) => raw,
        mode => known
            .iter()
            .find(|(m, _)| *m == mode)
            .map_or(0, |(_, raw)| *raw),
    }
}

/// The mode of a number; `None` when this autopilot has no such mode.
pub(super) fn from_number(dialect: Dialect, raw: u32) -> Option<Mode> {
    let (known, other) = table(dialect);
    known
        .iter()
        .find(|(_, r)| *r == raw)
        .map(|(m, _)| *m)
        .or_else(|| other.contains(&raw).then_some(Mode::Other(raw)))
}

/// The mode that `MAV_CMD_DO_SET_MODE` asks for with these parameters 2 and 3.
pub(super) fn from_command(dialect: Dialect, main: f32, sub: f32) -> Option<Mode> {
    // Saturates, and not-a-number becomes 0: a number that no mode has.
    let (main, sub) = (main as u32, sub as u32);
    match dialect {
        Dialect::ArduPilot => from_number(dialect, main),
        Dialect::Px4 => from_number(dialect, px4(main.min(255), sub.min(255))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Dialect::ArduPilot, Mode::Guided, 4)]
    #[case(Dialect::ArduPilot, Mode::Hold, 17)]
    #[case(Dialect::ArduPilot, Mode::Land, 9)]
    #[case(Dialect::Px4, Mode::Guided, 6 << 16)]
    #[case(Dialect::Px4, Mode::PrecLand, (9 << 24) | (4 << 16))]
    #[case(Dialect::Px4, Mode::Loiter, 3 << 16)]
    fn numbers_go_both_ways(#[case] dialect: Dialect, #[case] mode: Mode, #[case] raw: u32) {
        assert_eq!(number(dialect, mode), raw);
        assert_eq!(from_number(dialect, raw), Some(mode));
    }

    #[rstest]
    #[case(Dialect::ArduPilot, 99.0, 0.0)]
    #[case(Dialect::ArduPilot, -1e9, 0.0)]
    #[case(Dialect::Px4, 4.0, 200.0)]
    #[case(Dialect::Px4, 0.0, f32::NAN)]
    fn numbers_without_a_mode_are_none(
        #[case] dialect: Dialect,
        #[case] main: f32,
        #[case] sub: f32,
    ) {
        let known = from_command(dialect, main, sub);
        assert!(known.is_none() || known == Some(STABILIZE), "{known:?}");
    }
}
