//! Which cell is dangerous, and as what.

use super::belief::{Beliefs, LANES, Lanes, UNKNOWN};
use super::config::HazardConfig;
use super::map::{CellState, States};
use crate::inference::classes::Surface;

/// The kinds of hazard, in the order in which they explain a rejection.
pub(super) const KINDS: [Surface; 7] = [
    Surface::Person,
    Surface::Vehicle,
    Surface::Water,
    Surface::Structure,
    Surface::Vegetation,
    Surface::Obstacle,
    Surface::Unknown,
];

/// A set of hazard kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hazards(u16);

impl Hazards {
    /// Unknown ground.
    pub(super) const UNKNOWN: Self = Self(1 << Surface::Unknown as u16);

    pub(super) fn insert(&mut self, kind: Surface) {
        self.0 |= 1 << kind as u16;
    }

    pub(super) const fn contains(self, kind: Surface) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// All of both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Says which cells are dangerous; thresholds are read once.
#[derive(Debug)]
pub(super) struct HazardRule {
    /// No belief reaches a landable surface's.
    thresholds: [f32; Surface::COUNT],
    landable: f32,
}

impl HazardRule {
    pub(super) fn new(config: &HazardConfig) -> Self {
        Self {
            thresholds: Surface::ALL.map(|s| config.threshold(s) as f32),
            landable: config.landable_threshold as f32,
        }
    }

    /// A cell is every kind whose belief reaches that kind's threshold, a remembered person or vehicle, and, when it is
    /// not believed landable enough, its most believed hazard. Never seen is unknown.
    pub(super) fn of(&self, states: &States, out: &mut [Hazards; LANES]) {
        let mut bits = [0_u32; LANES];
        for (i, (lanes, threshold)) in states.beliefs.iter().zip(self.thresholds).enumerate() {
            for (bits, p) in bits.iter_mut().zip(lanes) {
                *bits |= if *p >= threshold { 1 << i } else { 0 };
            }
        }
        let landable = landable_lanes(&states.beliefs);
        let cells = states.memory.iter().zip(landable).zip(bits).enumerate();
        for (out, (lane, ((memory, landable), bits))) in out.iter_mut().zip(cells) {
            let mut found = Hazards(bits as u16);
            if memory.person {
                found.insert(Surface::Person);
            }
            if memory.vehicle {
                found.insert(Surface::Vehicle);
            }
            // Negated, so that a belief that is not a number is a hazard.
            let is_landable = landable >= self.landable;
            if !is_landable && found.is_empty() {
                found.insert(worst(&states.beliefs, lane));
            }
            *out = found;
        }
    }
}

/// The most believed surface of a cell that is not landable.
fn worst(beliefs: &Beliefs, lane: usize) -> Surface {
    let mut worst = (Surface::Unknown, 0.0_f32);
    for (surface, lanes) in Surface::ALL.into_iter().zip(beliefs) {
        let p = lanes.get(lane).copied().unwrap_or(0.0);
        if !surface.is_landable() && p > worst.1 {
            worst = (surface, p);
        }
    }
    worst.0
}

/// Belief that a drone may stand on each cell.
pub(super) fn landable_lanes(beliefs: &Beliefs) -> Lanes {
    let [firm, soft, ..] = beliefs;
    let mut sum = *firm;
    for (sum, soft) in sum.iter_mut().zip(soft) {
        *sum += soft;
    }
    sum
}

/// Belief that a drone may stand on the cell.
pub(super) fn landable(cell: &CellState) -> f32 {
    let [firm, soft, ..] = cell.belief;
    firm + soft
}

/// Entropy of {landable, each hazard}, as a share of the largest possible one.
pub(super) fn entropy(cell: &CellState) -> f64 {
    let hazards = Surface::ALL
        .into_iter()
        .zip(cell.belief)
        .filter(|(s, _)| !s.is_landable())
        .map(|(_, p)| p);
    let kinds = (Surface::COUNT - 1) as f64;
    let sum: f64 = hazards
        .chain([landable(cell)])
        .map(f64::from)
        .filter(|p| *p > 0.0)
        .map(|p| -p * p.ln())
        .sum();
    sum / kinds.ln()
}

/// The most believed surface; unknown for a cell never seen.
pub(super) fn most_believed(state: Option<CellState>) -> Surface {
    let mut best = (Surface::Unknown, 0.0);
    for (surface, p) in Surface::ALL
        .into_iter()
        .zip(state.map_or(UNKNOWN, |s| s.belief))
    {
        if p > best.1 {
            best = (surface, p);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::map::Memory;
    use rstest::rstest;

    /// Hazards of a cell that was seen, with people and vehicles remembered or not.
    fn kinds(parts: &[(Surface, f32)], movers: bool) -> Vec<Surface> {
        let mut states = States::new();
        for &(s, p) in parts {
            states.beliefs[s as usize][3] = p;
        }
        states.memory[3] = Memory {
            is_seen: true,
            person: movers,
            vehicle: movers,
            in_picture: true,
        };
        let mut found = [Hazards::default(); LANES];
        HazardRule::new(&HazardConfig::default()).of(&states, &mut found);
        let is_found = |k: &Surface| found[3].contains(*k);
        KINDS.into_iter().filter(is_found).collect()
    }

    #[rstest]
    #[case::firm(&[(Surface::Firm, 0.99)], &[])]
    #[case::firm_and_soft_add_up(&[(Surface::Firm, 0.5), (Surface::Soft, 0.45)], &[])]
    #[case::perhaps_a_person(&[(Surface::Firm, 0.64), (Surface::Person, 0.36)], &[Surface::Person])]
    #[case::a_little_water(&[(Surface::Firm, 0.89), (Surface::Water, 0.11)], &[])]
    #[case::two_kinds(&[(Surface::Vehicle, 0.5), (Surface::Structure, 0.4)], &[Surface::Vehicle, Surface::Structure])]
    #[case::many_small_doubts(
        &[(Surface::Firm, 0.7), (Surface::Water, 0.14), (Surface::Structure, 0.16)],
        &[Surface::Structure]
    )]
    #[case::nothing_known(&[(Surface::Unknown, 1.0)], &[Surface::Unknown])]
    #[case::not_a_number(&[(Surface::Firm, f32::NAN)], &[Surface::Unknown])]
    fn a_cell_is_what_it_is_believed_to_be(
        #[case] parts: &[(Surface, f32)],
        #[case] expected: &[Surface],
    ) {
        assert_eq!(kinds(parts, false), expected);
    }

    #[test]
    fn a_remembered_person_is_danger_on_firm_ground() {
        let found = kinds(&[(Surface::Firm, 1.0)], true);
        assert_eq!(found, [Surface::Person, Surface::Vehicle]);
    }
}
