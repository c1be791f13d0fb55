//! What is believed of the ground: a world-fixed square of cells that rolls with the vehicle.
//!
//! A cell holds a categorical belief over [`Surface`]. Never seen is unknown. A look multiplies the belief by the look's
//! likelihood (Bayes); looks that share their errors (close together in time, oblique, coarse) are tempered by mixing
//! their likelihood with the uniform one. Between looks belief flows to unknown, faster for what moves. People and
//! vehicles seen once are remembered as danger for a set time, whatever later looks say.

use super::config::MapConfig;
use super::grid::{CellId, CellRect};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// Probability of each surface, by [`Surface`] index.
pub(super) type Belief = [f32; Surface::COUNT];

/// Nothing known.
pub(super) const UNKNOWN: Belief = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];

/// One look at one cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Probability of each surface, summing to 1.
    pub(super) surfaces: Belief,
    /// How much the look tells, 0 to 1.
    pub(super) weight: f32,
    /// A person or an animal stands there, or may.
    pub(super) has_person: bool,
    /// A vehicle stands there, or may.
    pub(super) has_vehicle: bool,
}

/// What is believed of one cell at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellState {
    pub(super) belief: Belief,
    /// Remembered from an earlier look, or seen now.
    pub(super) person: bool,
    /// Remembered from an earlier look, or seen now.
    pub(super) vehicle: bool,
    /// Time since it was last looked at, seconds.
    pub(super) age_s: f32,
    /// It lies wholly inside the last picture.
    pub(super) in_picture: bool,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    belief: Belief,
    /// Milliseconds since the map's start.
    seen_ms: u32,
    person_until_ms: u32,
    vehicle_until_ms: u32,
    /// The look that saw it last; 0 = never.
    look: u32,
}

const NEVER: Cell = Cell {
    belief: UNKNOWN,
    seen_ms: 0,
    person_until_ms: 0,
    vehicle_until_ms: 0,
    look: 0,
};

/// The rolling map. Cells outside the square are unknown.
#[derive(Debug)]
pub(super) struct SemanticMap {
    config: MapConfig,
    cells: Vec<Cell>,
    side: usize,
    window: CellRect,
    seen: CellRect,
    start: Option<MonoTime>,
    look: u32,
}

impl SemanticMap {
    pub(super) fn new(config: MapConfig) -> Self {
        let side = (config.side_m / config.cell_m).round().clamp(1.0, 1000.0) as usize;
        let half = side as i32 / 2;
        Self {
            config,
            cells: vec![NEVER; side * side],
            side,
            window: CellRect {
                north: -half,
                east: -half,
                rows: side,
                columns: side,
            },
            seen: CellRect::default(),
            start: None,
            look: 0,
        }
    }

    pub(super) fn cell_m(&self) -> f64 {
        self.config.cell_m
    }

    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// The square that it covers now.
    pub(super) fn window(&self) -> CellRect {
        self.window
    }

    /// A rectangle that holds every cell seen and not rolled out.
    pub(super) fn seen(&self) -> CellRect {
        self.seen
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.cells.fill(NEVER);
        self.seen = CellRect::default();
        self.start = None;
        self.look = 0;
    }

    /// Rolls the square so that its middle is the cell below `at`; what leaves it is forgotten.
    pub(super) fn recentre(&mut self, at: GroundPoint) {
        let centre = CellId::of(at, self.config.cell_m);
        let half = self.side as i32 / 2;
        let moved = CellRect {
            north: centre.north - half,
            east: centre.east - half,
            ..self.window
        };
        if moved == self.window {
            return;
        }
        let kept = self.seen.intersection(&moved);
        for row in 0..self.seen.rows {
            let whole = self.seen.cell(row, 0);
            let stays = whole.north >= kept.north && whole.north < kept.north + kept.rows as i32;
            let mut column = 0;
            while column < self.seen.columns {
                let id = self.seen.cell(row, column);
                if stays && id.east == kept.east {
                    column += kept.columns.max(1);
                    continue;
                }
                let slot = self.slot(id);
                if let Some(cell) = self.cells.get_mut(slot) {
                    *cell = NEVER;
                }
                column += 1;
            }
        }
        self.seen = kept;
        self.window = moved;
    }

    /// Opens a new look; cells observed after it belong to it.
    pub(super) fn begin_look(&mut self, at: MonoTime) {
        self.start.get_or_insert(at);
        self.look = self.look.saturating_add(1);
    }

    /// Takes in the looks at a part of a row, west to east: `look` is asked for each cell by its place in the part. Cells
    /// outside the square are left out.
    pub(super) fn observe_row(
        &mut self,
        first: CellId,
        columns: usize,
        at: MonoTime,
        mut look: impl FnMut(usize) -> Option<Look>,
    ) {
        let now = self.millis(at);
        let (number, part) = (self.look, self.part(first, columns));
        let config = &self.config;
        let until = |memory_s: f64| {
            let end = now.saturating_add((memory_s * 1e3) as u32);
            end.saturating_add(1)
        };
        let (person_until, vehicle_until) = (
            until(config.person_memory_s),
            until(config.vehicle_memory_s),
        );
        let floor = config.belief_floor as f32;
        let mut fade = Fade::none();
        let mut column = part.skipped;
        for run in part.runs {
            for cell in self.cells.get_mut(run).unwrap_or_default() {
                let look = look(column);
                column += 1;
                let Some(look) = look else { continue };
                fade.after(seconds_between(cell.seen_ms, now), config);
                let fresh = if cell.look > 0 { fade.fresh } else { 1.0 };
                cell.belief = posterior(&fade.of(&cell.belief), &look, fresh, floor);
                cell.seen_ms = cell.seen_ms.max(now);
                cell.look = number;
                if look.has_person {
                    cell.person_until_ms = cell.person_until_ms.max(person_until);
                }
                if look.has_vehicle {
                    cell.vehicle_until_ms = cell.vehicle_until_ms.max(vehicle_until);
                }
            }
        }
    }

    /// Notes that a rectangle of cells was looked at.
    pub(super) fn mark_seen(&mut self, rect: &CellRect) {
        self.seen = self.seen.union(&rect.intersection(&self.window));
    }

    /// What is believed of a cell at a moment; `None` when it was never seen.
    pub(super) fn state(&self, id: CellId, at: MonoTime) -> Option<CellState> {
        if !self.window.contains(id) {
            return None;
        }
        let cell = self.cells.get(self.slot(id)).filter(|c| c.look > 0)?;
        let now = self.millis(at);
        let mut fade = Fade::none();
        fade.after(seconds_between(cell.seen_ms, now), &self.config);
        Some(self.state_of(cell, now, &fade))
    }

    /// What is believed of the cells of a part of a row, west to east: `visit` is called for each one that was seen, with
    /// its place in the part.
    pub(super) fn states_of_row(
        &self,
        first: CellId,
        columns: usize,
        at: MonoTime,
        mut visit: impl FnMut(usize, &CellState),
    ) {
        let now = self.millis(at);
        let part = self.part(first, columns);
        let mut fade = Fade::none();
        let mut column = part.skipped;
        for run in part.runs {
            for cell in self.cells.get(run).unwrap_or_default() {
                if cell.look > 0 {
                    fade.after(seconds_between(cell.seen_ms, now), &self.config);
                    visit(column, &self.state_of(cell, now, &fade));
                }
                column += 1;
            }
        }
    }

    fn state_of(&self, cell: &Cell, now_ms: u32, fade: &Fade) -> CellState {
        CellState {
            belief: fade.of(&cell.belief),
            person: now_ms < cell.person_until_ms,
            vehicle: now_ms < cell.vehicle_until_ms,
            age_s: fade.age_s,
            in_picture: cell.look == self.look,
        }
    }

    /// Where the cells of a part of a row lie in memory: the square's rows are rings.
    fn part(&self, first: CellId, columns: usize) -> Part {
        let row = CellRect {
            north: first.north,
            east: first.east,
            rows: 1,
            columns,
        };
        let inside = row.intersection(&self.window);
        if inside.is_empty() {
            return Part::default();
        }
        let start = self.slot(inside.first());
        let end_of_row = start - start % self.side + self.side;
        let end = (start + inside.columns).min(end_of_row);
        let rest = start + inside.columns - end;
        let start_of_row = end_of_row - self.side;
        Part {
            skipped: (inside.east - first.east) as usize,
            runs: [start..end, start_of_row..start_of_row + rest],
        }
    }

    fn slot(&self, id: CellId) -> usize {
        let side = self.side as i32;
        let wrap = |x: i32| x.rem_euclid(side) as usize;
        wrap(id.north) * self.side + wrap(id.east)
    }

    fn millis(&self, at: MonoTime) -> u32 {
        let start = self.start.unwrap_or(at);
        u32::try_from(at.since(start).as_millis()).unwrap_or(u32::MAX)
    }
}

fn seconds_between(earlier_ms: u32, later_ms: u32) -> f32 {
    later_ms.saturating_sub(earlier_ms) as f32 / 1e3
}

/// A part of a row in memory.
#[derive(Debug, Default)]
struct Part {
    /// Cells of the part west of the square.
    skipped: usize,
    /// The cells inside the square, west to east.
    runs: [std::ops::Range<usize>; 2],
}

/// What time does to belief: each surface keeps `exp(-age / memory)`, the rest is unknown. Neighbours were mostly seen at
/// the same time, so it is kept from cell to cell.
#[derive(Debug)]
struct Fade {
    age_s: f32,
    /// How far a look after this time is one of its own, 0 to 1.
    fresh: f32,
    kept: Belief,
}

impl Fade {
    /// Of no age yet.
    const fn none() -> Self {
        Self {
            age_s: f32::NAN,
            fresh: 1.0,
            kept: [1.0; Surface::COUNT],
        }
    }

    /// Makes it that of an age.
    fn after(&mut self, age_s: f32, config: &MapConfig) {
        if self.age_s.to_bits() == age_s.to_bits() {
            return;
        }
        self.age_s = age_s;
        self.fresh = if config.look_independence_s > 0.0 {
            (age_s / config.look_independence_s as f32).min(1.0)
        } else {
            1.0
        };
        let still = (-age_s / config.static_memory_s as f32).exp();
        let moving = (-age_s / config.moving_memory_s as f32).exp();
        self.kept = Surface::ALL.map(|s| if s.moves() { moving } else { still });
    }

    fn of(&self, belief: &Belief) -> Belief {
        if self.age_s <= 0.0 {
            return *belief;
        }
        let mut faded = *belief;
        for (p, kept) in faded.iter_mut().zip(&self.kept) {
            *p *= kept;
        }
        let [known @ .., unknown] = &mut faded;
        *unknown = (1.0 - known.iter().sum::<f32>()).clamp(0.0, 1.0);
        faded
    }
}

/// Bayes: unknown ground may be any surface, so its share of the prior is spread evenly before the look is taken in; only
/// as far as the look is `fresh` (0 to 1), else a hundred equal pictures would explain unknown ground away.
fn posterior(prior: &Belief, look: &Look, fresh: f32, floor: f32) -> Belief {
    let even = 1.0 / Surface::COUNT as f32;
    let unknown = prior.last().copied().unwrap_or(1.0);
    let spread = unknown * even * fresh;
    let weight = (look.weight * fresh).clamp(0.0, 1.0);
    let blind = (1.0 - weight) * even;
    let mut out = *prior;
    if let Some(unknown) = out.last_mut() {
        *unknown *= 1.0 - fresh;
    }
    for (o, l) in out.iter_mut().zip(&look.surfaces) {
        let p = (*o + spread) * (weight * l + blind);
        *o = if p > 0.0 { p } else { 0.0 };
    }
    let sum: f32 = out.iter().sum();
    if !(sum > 1e-30 && sum.is_finite()) {
        return UNKNOWN;
    }
    let whole = 1.0 / sum;
    for o in &mut out {
        let p = *o * whole;
        *o = if p > floor { p } else { floor };
    }
    let whole = 1.0 / out.iter().sum::<f32>();
    out.map(|o| o * whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> SemanticMap {
        SemanticMap::new(MapConfig {
            cell_m: 1.0,
            side_m: 10.0,
            ..MapConfig::default()
        })
    }

    fn secs(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    fn look(surface: Surface, p: f32) -> Look {
        let mut surfaces = [(1.0 - p) / 8.0; Surface::COUNT];
        surfaces[surface as usize] = p;
        Look {
            surfaces,
            weight: 1.0,
            has_person: false,
            has_vehicle: false,
        }
    }

    const HERE: CellId = CellId { north: 1, east: -2 };

    fn observe(map: &mut SemanticMap, id: CellId, look: &Look, at_s: f64) {
        map.begin_look(secs(at_s));
        map.observe_row(id, 1, secs(at_s), |_| Some(*look));
        map.mark_seen(&CellRect::spanning(id, id));
    }

    fn belief(map: &SemanticMap, surface: Surface, at_s: f64) -> f32 {
        map.state(HERE, secs(at_s)).unwrap().belief[surface as usize]
    }

    #[test]
    fn nothing_known_is_unknown() {
        assert!((UNKNOWN[Surface::Unknown as usize] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_first_look_is_taken_as_it_is() {
        let mut map = map();
        assert!(map.state(HERE, secs(0.0)).is_none(), "never seen");
        observe(&mut map, HERE, &look(Surface::Soft, 0.9), 0.0);
        assert!((belief(&map, Surface::Soft, 0.0) - 0.9).abs() < 1e-4);
    }

    #[test]
    fn independent_looks_strengthen_and_correlated_ones_hardly_do() {
        let grow = |step_s: f64| {
            let mut map = map();
            for i in 0..3 {
                observe(
                    &mut map,
                    HERE,
                    &look(Surface::Soft, 0.7),
                    f64::from(i) * step_s,
                );
            }
            belief(&map, Surface::Soft, 2.0 * step_s)
        };
        assert!(grow(1.0) > 0.95);
        assert!(grow(0.02) < 0.78);
        assert!(
            (grow(0.0) - 0.7).abs() < 1e-4,
            "the same moment tells nothing new"
        );
    }

    #[test]
    fn many_equal_looks_in_a_moment_do_not_explain_unknown_ground_away() {
        let mut map = map();
        for i in 0..30 {
            observe(
                &mut map,
                HERE,
                &look(Surface::Unknown, 0.5),
                f64::from(i) / 30.0,
            );
        }
        assert!(belief(&map, Surface::Unknown, 1.0) > 0.5);
    }

    #[test]
    fn looks_can_overturn_what_was_believed_for_long() {
        let mut map = map();
        for i in 0..50 {
            observe(&mut map, HERE, &look(Surface::Soft, 0.99), f64::from(i));
        }
        for i in 50..53 {
            observe(&mut map, HERE, &look(Surface::Water, 0.9), f64::from(i));
        }
        assert!(belief(&map, Surface::Water, 52.0) > 0.5);
    }

    #[test]
    fn belief_flows_to_unknown_and_faster_for_what_moves() {
        let mut map = map();
        observe(&mut map, HERE, &look(Surface::Soft, 0.95), 0.0);
        assert!(belief(&map, Surface::Soft, 60.0) < 0.36);
        assert!(belief(&map, Surface::Unknown, 60.0) > 0.6);
        let mut moving = self::map();
        observe(&mut moving, HERE, &look(Surface::Vehicle, 0.95), 0.0);
        assert!(belief(&moving, Surface::Vehicle, 5.0) < 0.36);
        let sum: f32 = moving.state(HERE, secs(5.0)).unwrap().belief.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_person_is_remembered_for_the_set_time_whatever_is_seen_later() {
        let mut map = map();
        let mut first = look(Surface::Firm, 0.9);
        first.has_person = true;
        observe(&mut map, HERE, &first, 0.0);
        for i in 1..10 {
            observe(&mut map, HERE, &look(Surface::Firm, 0.99), f64::from(i));
        }
        let person = |at_s| map.state(HERE, secs(at_s)).unwrap().person;
        assert!(person(9.99) && person(10.0) && !person(10.01));
    }

    #[test]
    fn rolling_keeps_what_stays_inside_and_forgets_the_rest() {
        let mut map = map();
        let all = map.window();
        map.begin_look(secs(0.0));
        for id in all.cells() {
            map.observe_row(id, 1, secs(0.0), |_| Some(look(Surface::Firm, 0.9)));
        }
        map.mark_seen(&all);
        map.recentre(GroundPoint {
            north_m: 3.5,
            east_m: -2.5,
        });
        let moved = map.window();
        assert_eq!((moved.north - all.north, moved.east - all.east), (3, -3));
        for id in moved.cells() {
            let known = map.state(id, secs(0.0)).is_some();
            assert_eq!(known, all.contains(id), "{id:?}");
        }
        map.recentre(GroundPoint {
            north_m: 0.0,
            east_m: 0.0,
        });
        let kept = all.intersection(&moved);
        for id in all.cells() {
            let known = map.state(id, secs(0.0)).is_some();
            assert_eq!(
                known,
                kept.contains(id),
                "what left does not come back: {id:?}"
            );
        }
    }

    #[test]
    fn far_jumps_and_clearing_forget_everything() {
        let mut map = map();
        observe(&mut map, HERE, &look(Surface::Firm, 0.9), 0.0);
        map.recentre(GroundPoint {
            north_m: 1e12,
            east_m: f64::NAN,
        });
        map.recentre(GroundPoint {
            north_m: 0.0,
            east_m: 0.0,
        });
        assert!(map.state(HERE, secs(0.0)).is_none() && map.seen().is_empty());
        observe(&mut map, HERE, &look(Surface::Firm, 0.9), 1.0);
        map.clear();
        assert!(map.state(HERE, secs(1.0)).is_none());
    }
}
