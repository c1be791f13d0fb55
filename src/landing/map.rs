//! What is believed of the ground: a world-fixed square of cells that rolls with the vehicle.
//!
//! A cell holds a categorical belief over [`Surface`]. Never seen is unknown. A look multiplies the belief by the look's
//! likelihood (Bayes); looks that share their errors (close together in time, oblique, coarse) are tempered by mixing
//! their likelihood with the uniform one. Between looks belief flows to unknown, faster for what moves. People and
//! vehicles seen once are remembered as danger for a set time, whatever later looks say.

use std::ops::Range;

use super::belief::{Belief, Beliefs, LANES, Looks, Times, UNKNOWN, fade, take_in};
use super::config::MapConfig;
use super::grid::{CellId, CellRect};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// What is believed of one cell at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellState {
    pub(super) belief: Belief,
    /// It lies wholly inside the last picture.
    pub(super) in_picture: bool,
}

/// What is believed of some neighbouring cells of a row at a moment, west to east.
#[derive(Debug)]
pub(super) struct States {
    pub(super) beliefs: Beliefs,
    /// What is remembered of each.
    pub(super) memory: [Memory; LANES],
    /// Time since each was last looked at, seconds; without meaning where it was never seen.
    pub(super) times: Times,
}

/// What is remembered of a cell beside the belief.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not depend on each other"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// It was seen at all.
    pub(super) is_seen: bool,
    /// A person or an animal, seen now or not long ago.
    pub(super) person: bool,
    /// A vehicle, seen now or not long ago.
    pub(super) vehicle: bool,
    /// It lies wholly inside the last picture.
    pub(super) in_picture: bool,
}

impl States {
    pub(super) const fn new() -> Self {
        Self {
            beliefs: [[0.0; LANES]; Surface::COUNT],
            memory: [Memory::NONE; LANES],
            times: Times::new(),
        }
    }

    /// One of the cells; `None` when it was never seen.
    pub(super) fn cell(&self, lane: usize) -> Option<CellState> {
        let memory = self.memory.get(lane).filter(|m| m.is_seen)?;
        let belief = self
            .beliefs
            .each_ref()
            .map(|lanes| lanes.get(lane).copied().unwrap_or(0.0));
        Some(CellState {
            belief,
            in_picture: memory.in_picture,
        })
    }
}

impl Memory {
    pub(super) const NONE: Self = Self {
        is_seen: false,
        person: false,
        vehicle: false,
        in_picture: false,
    };
}

/// When a cell was looked at, and what must not be forgotten.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Milliseconds since the map's start.
    seen_ms: u32,
    person_until_ms: u32,
    vehicle_until_ms: u32,
    /// The look that saw it last; 0 = never, and its belief has no meaning.
    look: u32,
}

const NEVER: Mark = Mark {
    seen_ms: 0,
    person_until_ms: 0,
    vehicle_until_ms: 0,
    look: 0,
};

/// The rolling map. Cells outside the square are unknown.
#[derive(Debug)]
pub(super) struct SemanticMap {
    config: MapConfig,
    marks: Vec<Mark>,
    /// `[row][surface][column]`; rows and columns are rings.
    beliefs: Vec<f32>,
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
            marks: vec![NEVER; side * side],
            beliefs: vec![0.0; side * side * Surface::COUNT],
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
        self.marks.fill(NEVER);
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
                if let Some(mark) = self.marks.get_mut(slot) {
                    *mark = NEVER;
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

    /// Takes in one look at each of some neighbouring cells of a row; cells outside the square are left out. `work` is
    /// memory to work in.
    pub(super) fn observe(
        &mut self,
        first: CellId,
        looks: &Looks,
        at: MonoTime,
        work: &mut States,
    ) {
        let now = self.millis(at);
        let part = self.part(first, looks.len.min(LANES));
        self.load(&part, now, work);
        fade(&mut work.beliefs, &work.times);
        for (fresh, memory) in work.times.fresh.iter_mut().zip(&work.memory) {
            *fresh = if memory.is_seen { *fresh } else { 1.0 };
        }
        let floor = self.config.belief_floor as f32;
        take_in(&mut work.beliefs, looks, &work.times.fresh, floor);
        self.store(&part, &work.beliefs);
        let until = |memory_s: f64| {
            let end = now.saturating_add((memory_s * 1e3) as u32);
            end.saturating_add(1)
        };
        let person_until = until(self.config.person_memory_s);
        let vehicle_until = until(self.config.vehicle_memory_s);
        for run in part {
            let marks = self.marks.get_mut(run.slots.clone()).unwrap_or_default();
            let movers = looks.has_person.iter().zip(&looks.has_vehicle);
            for (mark, (person, vehicle)) in marks.iter_mut().zip(movers.skip(run.lane)) {
                mark.seen_ms = mark.seen_ms.max(now);
                mark.look = self.look;
                if *person {
                    mark.person_until_ms = mark.person_until_ms.max(person_until);
                }
                if *vehicle {
                    mark.vehicle_until_ms = mark.vehicle_until_ms.max(vehicle_until);
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
        let mut one = States::new();
        self.states(id, 1, at, &mut one);
        one.cell(0)
    }

    /// What is believed of some neighbouring cells of a row at a moment, at most [`LANES`].
    pub(super) fn states(&self, first: CellId, count: usize, at: MonoTime, out: &mut States) {
        let part = self.part(first, count.min(LANES));
        self.load(&part, self.millis(at), out);
        fade(&mut out.beliefs, &out.times);
    }

    /// Reads what was believed of a part of a row when it was last looked at; unknown where it never was.
    fn load(&self, part: &[Run; 2], now_ms: u32, out: &mut States) {
        out.memory = [Memory::NONE; LANES];
        let mut ages = [0.0; LANES];
        for run in part {
            let lanes = run.lane..run.lane + run.slots.len();
            for (surface, row) in out.beliefs.iter_mut().enumerate() {
                let from = self.beliefs.get(self.places(run, surface));
                if let (Some(to), Some(from)) = (row.get_mut(lanes.clone()), from) {
                    to.copy_from_slice(from);
                }
            }
            let marks = self.marks.get(run.slots.clone()).unwrap_or_default();
            let memory = out.memory.iter_mut().zip(&mut ages).skip(run.lane);
            for ((memory, age_s), mark) in memory.zip(marks) {
                *age_s = seconds_between(mark.seen_ms, now_ms);
                *memory = Memory {
                    is_seen: mark.look > 0,
                    person: now_ms < mark.person_until_ms,
                    vehicle: now_ms < mark.vehicle_until_ms,
                    in_picture: mark.look > 0 && mark.look == self.look,
                };
            }
        }
        out.times.fill(ages.into_iter(), &self.config);
        for (row, unknown) in out.beliefs.iter_mut().zip(UNKNOWN) {
            for (p, memory) in row.iter_mut().zip(&out.memory) {
                *p = if memory.is_seen { *p } else { unknown };
            }
        }
    }

    fn store(&mut self, part: &[Run; 2], beliefs: &Beliefs) {
        for run in part {
            let lanes = run.lane..run.lane + run.slots.len();
            for (surface, row) in beliefs.iter().enumerate() {
                let places = self.places(run, surface);
                let to = self.beliefs.get_mut(places);
                if let (Some(to), Some(from)) = (to, row.get(lanes.clone())) {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Where the beliefs of a run of cells in one surface lie.
    fn places(&self, run: &Run, surface: usize) -> Range<usize> {
        let (row, column) = (run.slots.start / self.side, run.slots.start % self.side);
        let start = (row * Surface::COUNT + surface) * self.side + column;
        start..start + run.slots.len()
    }

    /// Where the cells of a part of a row lie in memory: the square's rows are rings.
    fn part(&self, first: CellId, columns: usize) -> [Run; 2] {
        let row = CellRect {
            north: first.north,
            east: first.east,
            rows: 1,
            columns,
        };
        let inside = row.intersection(&self.window);
        if inside.is_empty() {
            return [Run::default(), Run::default()];
        }
        let lane = (inside.east - first.east) as usize;
        let start = self.slot(inside.first());
        let row_start = start - start % self.side;
        let end = (start + inside.columns).min(row_start + self.side);
        let rest = start + inside.columns - end;
        [
            Run {
                lane,
                slots: start..end,
            },
            Run {
                lane: lane + end - start,
                slots: row_start..row_start + rest,
            },
        ]
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

/// Neighbouring cells of a row, as they lie in memory.
#[derive(Debug, Default)]
struct Run {
    /// The lane of the first one.
    lane: usize,
    /// Their marks.
    slots: Range<usize>,
}

fn seconds_between(earlier_ms: u32, later_ms: u32) -> f32 {
    later_ms.saturating_sub(earlier_ms) as f32 / 1e3
}

#[cfg(test)]
mod tests;
