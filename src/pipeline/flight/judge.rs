//! Judges a flight by the truth: where it came down, who was near, which decisions offered ground that is none.

use std::sync::Arc;

use crate::geometry::{GroundPoint, Ned, Vec3};
use crate::inference::classes::Surface;
use crate::landing::Site;
use crate::record::TouchdownLine;
use crate::sim::autopilot::Touchdown;
use crate::sim::world::{MoverKind, World};

/// Below this height people count, metres.
const PEOPLE_BELOW_M: f64 = 10.0;
/// Nobody may be nearer, metres.
pub(super) const PEOPLE_M: f64 = 2.0;
/// People farther away than this are not told apart, metres.
const PEOPLE_WITHIN_M: f64 = 20.0;
/// Free ground is measured up to this, metres.
const CLEAR_WITHIN_M: f64 = 10.0;
/// Half of a person's width, metres.
const PERSON_M: f64 = 0.25;

/// What is true of one flight so far.
#[derive(Debug)]
pub(super) struct Judge {
    world: Arc<World>,
    vehicle_radius_m: f64,
    /// Where people stand that do not move, so that they are not searched for in the picture every time.
    standing: Vec<GroundPoint>,
    pub(super) person_min_m: Option<f64>,
    pub(super) decisions: u32,
    pub(super) sites: u32,
    pub(super) false_safe: u32,
    /// The true place of the point that was chosen last.
    pub(super) chosen: Option<GroundPoint>,
}

impl Judge {
    pub(super) fn new(world: Arc<World>, vehicle_radius_m: f64) -> Self {
        Self {
            standing: standing(&world),
            world,
            vehicle_radius_m,
            person_min_m: None,
            decisions: 0,
            sites: 0,
            false_safe: 0,
            chosen: None,
        }
    }

    /// Somebody came into the world.
    pub(super) fn set_world(&mut self, world: Arc<World>) {
        self.world = world;
    }

    /// The vehicle is truly here at `t_s` seconds.
    pub(super) fn be_at(&mut self, position: Vec3<Ned>, t_s: f64) {
        if -position.down() >= PEOPLE_BELOW_M {
            return;
        }
        let nearest = self.person_m(position, t_s);
        let distances = self.person_min_m.into_iter().chain(nearest);
        self.person_min_m = distances.min_by(f64::total_cmp);
    }

    /// Distance across the ground to the nearest person, metres.
    pub(super) fn person_m(&self, position: Vec3<Ned>, t_s: f64) -> Option<f64> {
        let distance =
            |g: &GroundPoint| (g.north_m - position.north()).hypot(g.east_m - position.east());
        let movers = self.world.mover_positions(t_s);
        let people = movers.iter().filter(|m| m.kind == MoverKind::Person);
        let near = self.standing.iter().chain(people.map(|m| &m.ground));
        near.map(distance)
            .filter(|d| *d <= PEOPLE_WITHIN_M)
            .min_by(f64::total_cmp)
    }

    /// A decision offered this site; `error` is what the autopilot believed of its position minus the truth, when the
    /// frame was captured at `t_s` seconds.
    pub(super) fn offered(&mut self, site: &Site, error: Vec3<Ned>, t_s: f64) {
        self.sites += 1;
        let at = true_place(
            GroundPoint {
                north_m: site.north_m,
                east_m: site.east_m,
            },
            error,
        );
        let is_free = self.world.is_landable(at, site.radius_m)
            && !self.world.is_on_vehicle(at, site.radius_m, t_s)
            && !self.world.mover_positions(t_s).iter().any(|m| {
                let d = (m.ground.north_m - at.north_m).hypot(m.ground.east_m - at.east_m);
                m.kind == MoverKind::Person && d < site.radius_m + PERSON_M
            });
        self.false_safe += u32::from(!is_free);
    }

    /// The vehicle met the ground.
    pub(super) fn touchdown(&self, touchdown: &Touchdown) -> TouchdownLine {
        let at = GroundPoint {
            north_m: touchdown.position.north(),
            east_m: touchdown.position.east(),
        };
        let t_s = touchdown.at.as_secs_f64();
        let miss = |g: GroundPoint| (g.north_m - at.north_m).hypot(g.east_m - at.east_m);
        TouchdownLine {
            north_m: rounded(at.north_m),
            east_m: rounded(at.east_m),
            surface: self.world.worst_surface(at, self.vehicle_radius_m, t_s),
            clear_radius_m: self.clear_radius_m(at),
            miss_m: self.chosen.map(|g| rounded(miss(g))),
            sink_m_s: rounded(touchdown.speed_m_s),
            person_m: self.person_m(touchdown.position, t_s).map(rounded),
        }
    }

    /// Radius of the largest free disc around a place, to 5 cm.
    fn clear_radius_m(&self, at: GroundPoint) -> f64 {
        let steps = (CLEAR_WITHIN_M / 0.05) as u32;
        let (mut free, mut blocked) = (0, steps + 1);
        while blocked - free > 1 {
            let middle = free.midpoint(blocked);
            if self.world.is_landable(at, 0.05 * f64::from(middle)) {
                free = middle;
            } else {
                blocked = middle;
            }
        }
        rounded(0.05 * f64::from(free))
    }
}

/// Where a place of the autopilot's frame truly lies, while the frame is off by `error`.
pub(super) fn true_place(believed: GroundPoint, error: Vec3<Ned>) -> GroundPoint {
    GroundPoint {
        north_m: believed.north_m - error.north(),
        east_m: believed.east_m - error.east(),
    }
}

fn rounded(metres: f64) -> f64 {
    (metres * 1000.0).round() / 1000.0
}

/// The middle of each pixel of the truth that shows a person.
fn standing(world: &World) -> Vec<GroundPoint> {
    let is_person: Vec<bool> = (0..=u8::MAX)
        .map(|i| world.class(i).is_some_and(|c| c.surface == Surface::Person))
        .collect();
    let marked = world.truth.enumerate_pixels().filter(|(_, _, p)| {
        let [class] = p.0;
        is_person.get(usize::from(class)).copied().unwrap_or(false)
    });
    marked
        .map(|(x, y, _)| {
            world.ground_from_pixel(crate::geometry::Pixel {
                x: f64::from(x) + 0.5,
                y: f64::from(y) + 0.5,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::SiteState;
    use crate::sim::world::{DrawnSpec, Mover};
    use crate::time::MonoTime;

    /// 40 m by 30 m of grass; a person stands at 5 m north, a pool begins 4 m east.
    fn world() -> World {
        let mut world = World::drawn(&DrawnSpec {
            seed: 1,
            width: 40,
            height: 30,
            metres_per_pixel: 0.1,
        });
        world.truth = image::GrayImage::from_fn(400, 300, |x, y| {
            image::Luma([match (x, y) {
                (200, 100) => 15,
                (240.., _) => 7,
                _ => 3,
            }])
        });
        world.picture = image::RgbImage::new(400, 300);
        world.origin_px = [200.0, 150.0];
        world
    }

    fn site(north_m: f64, east_m: f64) -> Site {
        Site {
            id: 1,
            state: SiteState::Confirmed,
            north_m,
            east_m,
            radius_m: 1.0,
            clearance_m: 2.0,
            surface: Surface::Soft,
            belief: 0.9,
            confirmations: 3,
            score: 1.0,
            px: None,
            radius_px: 0.0,
        }
    }

    fn judge() -> Judge {
        Judge::new(Arc::new(world()), 0.5)
    }

    #[test]
    fn people_count_below_ten_metres_only() {
        let mut judge = judge();
        judge.be_at(Vec3::new(5.0, 0.0, -10.5), 0.0);
        assert_eq!(judge.person_min_m, None);
        judge.be_at(Vec3::new(1.95, 0.05, -9.0), 0.0);
        judge.be_at(Vec3::new(-2.0, 0.0, -3.0), 0.0);
        assert!(
            (judge.person_min_m.unwrap() - 3.0).abs() < 1e-6,
            "{:?}",
            judge.person_min_m
        );
    }

    #[test]
    fn a_walker_counts_where_it_is_at_the_moment() {
        let mut walking = world();
        walking.truth.put_pixel(200, 100, image::Luma([3]));
        walking.movers.push(Mover {
            kind: MoverKind::Person,
            path_px: vec![[100.0, 150.0], [300.0, 150.0]],
            speed_mps: 1.0,
            start_s: 0.0,
        });
        let mut judge = Judge::new(Arc::new(walking), 0.5);
        judge.be_at(Vec3::new(0.0, 0.0, -5.0), 0.0);
        assert!((judge.person_min_m.unwrap() - 10.0).abs() < 1e-6);
        judge.be_at(Vec3::new(0.0, 0.0, -5.0), 9.0);
        assert!((judge.person_min_m.unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_site_is_judged_at_its_true_place() {
        let mut judge = judge();
        judge.offered(&site(0.0, 2.9), Vec3::zero(), 0.0);
        assert_eq!((judge.sites, judge.false_safe), (1, 0));
        judge.offered(&site(0.0, 3.1), Vec3::zero(), 0.0);
        assert_eq!(
            (judge.sites, judge.false_safe),
            (2, 1),
            "over the pool's edge"
        );
        // The autopilot believes to be 0.5 m east of where it is: the site truly lies 0.5 m west.
        judge.offered(&site(0.0, 3.1), Vec3::new(0.0, 0.5, 0.0), 0.0);
        assert_eq!((judge.sites, judge.false_safe), (3, 1));
    }

    #[test]
    fn a_touchdown_tells_surface_free_ground_and_miss() {
        let mut judge = judge();
        judge.chosen = Some(GroundPoint {
            north_m: 0.0,
            east_m: 0.0,
        });
        let at = |north: f64, east: f64| Touchdown {
            at: MonoTime::ZERO,
            position: Vec3::new(north, east, 0.0),
            speed_m_s: 0.4,
        };
        let line = judge.touchdown(&at(0.3, 0.4));
        assert_eq!(line.surface, Surface::Soft);
        assert!((line.miss_m.unwrap() - 0.5).abs() < 1e-6);
        assert!(
            (line.clear_radius_m - 3.6).abs() < 0.11,
            "{}",
            line.clear_radius_m
        );
        assert_eq!(judge.touchdown(&at(0.0, 3.8)).surface, Surface::Water);
        assert_eq!(judge.touchdown(&at(5.0, 0.0)).surface, Surface::Person);
    }
}
