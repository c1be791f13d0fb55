//! What was not believed, by kind.

use std::fmt;

/// Why a message, or a part of it, was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// From another system.
    OtherSystem,
    /// From our system, but not from its autopilot.
    OtherComponent,
    /// Another autopilot is on the link.
    SecondAutopilot,
    /// Neither `ArduPilot` nor PX4: listened to, and never commanded.
    UnknownAutopilot,
    /// Not a number, or endless.
    NotFinite,
    /// Outside of what the quantity can be.
    OutOfRange,
    /// A time since boot that contradicts the ones before.
    OddTime,
    /// Older than the newest of its kind.
    TimeBackwards,
    /// A second message with the same time.
    Duplicate,
    /// A range reading that its neighbours, the tilt or a missing attitude speak against.
    ImplausibleRange,
}

impl Problem {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::OtherSystem,
        Self::OtherComponent,
        Self::SecondAutopilot,
        Self::UnknownAutopilot,
        Self::NotFinite,
        Self::OutOfRange,
        Self::OddTime,
        Self::TimeBackwards,
        Self::Duplicate,
        Self::ImplausibleRange,
    ];

    /// Whether it comes on any link now and then; the others are worth a word to the ground.
    #[must_use]
    pub const fn is_ordinary(self) -> bool {
        matches!(
            self,
            Self::OtherSystem
                | Self::OtherComponent
                | Self::TimeBackwards
                | Self::Duplicate
                | Self::ImplausibleRange
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherSystem => "a message of another system: ignored",
            Self::OtherComponent => "a message of another component of our vehicle: ignored",
            Self::SecondAutopilot => "a second autopilot is on the link: ignored, never obeyed",
            Self::UnknownAutopilot => "neither ArduPilot nor PX4: listened to, never commanded",
            Self::NotFinite => "a value that is not a number: ignored",
            Self::OutOfRange => "a value outside its range: ignored",
            Self::OddTime => "a time since boot that contradicts the ones before: ignored",
            Self::TimeBackwards => "a message older than the newest of its kind: ignored",
            Self::Duplicate => "a message came twice: ignored",
            Self::ImplausibleRange => "a range reading that nothing supports: ignored",
        })
    }
}

/// How many messages came, and what was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of our autopilot.
    pub messages: u64,
    problems: [u64; Problem::ALL.len()],
}

impl Counts {
    /// How often this kind of problem came.
    #[must_use]
    pub fn of(&self, problem: Problem) -> u64 {
        self.problems.get(problem as usize).copied().unwrap_or(0)
    }

    /// Counts one; true for the first of its kind.
    pub(super) fn add(&mut self, problem: Problem) -> bool {
        self.problems.get_mut(problem as usize).is_some_and(|n| {
            *n = n.saturating_add(1);
            *n == 1
        })
    }
}
