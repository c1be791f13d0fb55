//! Where people were seen not long ago. Whoever stands may walk, and the last seconds of a landing see little of the
//! ground around the site: places away from people are better than places that are merely free.

use super::config::SelectConfig;
use crate::geometry::GroundPoint;
use crate::time::MonoTime;

/// Sightings nearer together than about this are one, metres.
const BLOCK_M: f64 = 2.0;
/// Most sightings kept; the oldest makes room.
const MOST: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Sighting {
    block: (i64, i64),
    at: MonoTime,
}

impl Sighting {
    fn centre(&self) -> GroundPoint {
        GroundPoint {
            north_m: (self.block.0 as f64 + 0.5) * BLOCK_M,
            east_m: (self.block.1 as f64 + 0.5) * BLOCK_M,
        }
    }
}

/// Remembers where people and animals were seen. Owns its memory.
#[derive(Debug)]
pub(super) struct People {
    far_m: f64,
    cost: f64,
    memory_s: f64,
    seen: Vec<Sighting>,
}

impl People {
    pub(super) fn new(config: &SelectConfig) -> Self {
        Self {
            far_m: config.people_far_m,
            cost: config.people_cost,
            memory_s: config.people_memory_s,
            seen: Vec::with_capacity(MOST),
        }
    }

    /// Takes in the people of a moment, and forgets those of too long ago.
    pub(super) fn see(&mut self, people: impl Iterator<Item = GroundPoint>, at: MonoTime) {
        let memory_s = self.memory_s;
        self.seen.retain(|s| at.secs_since(s.at) <= memory_s);
        for place in people {
            let block = |m: f64| (m / BLOCK_M).floor() as i64;
            let new = Sighting {
                block: (block(place.north_m), block(place.east_m)),
                at,
            };
            let known = self.seen.iter_mut().find(|s| s.block == new.block);
            if let Some(known) = known {
                known.at = at;
            } else if self.seen.len() < MOST {
                self.seen.push(new);
            } else if let Some(oldest) = self.seen.iter_mut().min_by_key(|s| s.at) {
                *oldest = new;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }

    /// What is left of a place's score, `1 - cost..=1`: all of it from `people_far_m` on.
    pub(super) fn factor(&self, place: GroundPoint) -> f64 {
        let away2 = |s: &Sighting| {
            let c = s.centre();
            (c.north_m - place.north_m).powi(2) + (c.east_m - place.east_m).powi(2)
        };
        let nearest2 = self.seen.iter().map(away2).fold(f64::INFINITY, f64::min);
        1.0 - self.cost * (1.0 - nearest2.sqrt() / self.far_m).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> MonoTime {
        MonoTime::from_secs_f64(s)
    }

    fn place(north_m: f64, east_m: f64) -> GroundPoint {
        GroundPoint { north_m, east_m }
    }

    /// What is left of the score there is this.
    fn is(p: &People, north_m: f64, east_m: f64, factor: f64) -> bool {
        (p.factor(place(north_m, east_m)) - factor).abs() < 1e-9
    }

    fn people() -> People {
        People::new(&SelectConfig {
            people_far_m: 10.0,
            people_cost: 0.5,
            people_memory_s: 30.0,
            ..SelectConfig::default()
        })
    }

    #[test]
    fn a_place_gets_better_with_the_distance_to_the_nearest() {
        let mut p = people();
        assert!(is(&p, 0.0, 0.0, 1.0));
        p.see([place(1.0, 1.0), place(-50.0, 1.0)].into_iter(), at(1.0));
        let factors = [0.0, 3.0, 6.0, 9.9, 20.0].map(|m| p.factor(place(1.0 + m, 1.0)));
        assert!(is(&p, 1.0, 1.0, 0.5));
        assert!(factors.windows(2).all(|w| w[0] < w[1]), "{factors:?}");
        assert!(is(&p, 21.0, 1.0, 1.0));
    }

    #[test]
    fn who_was_seen_long_ago_is_forgotten_and_who_is_seen_again_is_not() {
        let mut p = people();
        p.see([place(1.0, 1.0), place(21.0, 1.0)].into_iter(), at(0.0));
        p.see([place(1.5, 1.5)].into_iter(), at(20.0));
        p.see(std::iter::empty(), at(31.0));
        assert!(is(&p, 21.0, 1.0, 1.0));
        assert!(is(&p, 1.0, 1.0, 0.5));
        p.clear();
        assert!(is(&p, 1.0, 1.0, 1.0));
    }

    #[test]
    fn in_a_crowd_the_oldest_make_room_and_nothing_is_allocated() {
        let mut p = people();
        let room = p.seen.capacity();
        for i in 0..3 * MOST {
            p.see(
                [place(0.0, i as f64 * 2.0 * BLOCK_M)].into_iter(),
                at(i as f64 * 0.01),
            );
        }
        assert_eq!((p.seen.len(), p.seen.capacity()), (MOST, room));
        assert!(p.factor(place(1.0, (3 * MOST - 1) as f64 * 2.0 * BLOCK_M + 1.0)) < 0.51);
        assert!(is(&p, 0.0, 0.0, 1.0));
    }
}
