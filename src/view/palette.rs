//! The colours of surfaces and outcomes, one table for overlay, map and report.

use crate::inference::classes::Surface;
use crate::landing::{HoldReason, Outcome};

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The colour of a surface. Landable ground is green; people and vehicles are red and orange; the rest keeps away from
/// those.
#[must_use]
pub const fn surface(s: Surface) -> Rgb {
    match s {
        Surface::Firm => [45, 212, 167],
        Surface::Soft => [132, 204, 22],
        Surface::Vegetation => [20, 96, 50],
        Surface::Structure => [139, 92, 246],
        Surface::Water => [37, 99, 235],
        Surface::Vehicle => [249, 115, 22],
        Surface::Person => [239, 20, 60],
        Surface::Obstacle => [234, 190, 8],
        Surface::Unknown => [110, 114, 124],
    }
}

/// An offered site.
pub const GO: Rgb = [34, 197, 94];
/// Waiting: not confirmed, or the monitor waits.
pub const WAIT: Rgb = [245, 158, 11];
/// Vetoed, or nothing can be said.
pub const STOP: Rgb = [225, 29, 72];

/// The colour of an outcome.
#[must_use]
pub const fn outcome(outcome: Outcome) -> Rgb {
    match outcome {
        Outcome::Site => GO,
        Outcome::Hold(
            HoldReason::MonitorAbort | HoldReason::NoPose | HoldReason::NoSegmentation,
        ) => STOP,
        Outcome::Hold(_) => WAIT,
    }
}

/// As HTML writes it.
#[must_use]
pub fn hex(c: Rgb) -> String {
    let [r, g, b] = c;
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The word that people read for a surface.
#[must_use]
pub const fn label(s: Surface) -> &'static str {
    match s {
        Surface::Firm => "firm ground",
        Surface::Soft => "soft ground",
        Surface::Vegetation => "vegetation",
        Surface::Structure => "structure",
        Surface::Water => "water",
        Surface::Vehicle => "vehicle",
        Surface::Person => "person",
        Surface::Obstacle => "obstacle",
        Surface::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_are_told_apart_by_colour_and_word() {
        for (i, a) in Surface::ALL.into_iter().enumerate() {
            for b in Surface::ALL.into_iter().skip(i + 1) {
                let apart: i32 = surface(a)
                    .iter()
                    .zip(surface(b))
                    .map(|(x, y)| (i32::from(*x) - i32::from(y)).pow(2))
                    .sum();
                assert!(apart > 60 * 60, "{} and {}: {apart}", a.name(), b.name());
                assert_ne!(label(a), label(b));
            }
        }
    }

    #[test]
    fn hex_has_two_digits_a_channel() {
        assert_eq!(hex([1, 20, 255]), "#0114ff");
    }
}
