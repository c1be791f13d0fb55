//! What a campaign's flight is made of, all of it from the flight's seed: the ground, who moves on it, where the vehicle
//! starts, the weather.
//!
//! Ground of a campaign comes from seeds of its own ([`FIRST_WORLD_SEED`] on): the networks were trained on drawn ground
//! of the seeds from 1 000 000 on, and the demo flies over seed 1.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use super::world::{DrawnSpec, Mover, MoverKind, World};
use crate::geometry::{GroundPoint, Pixel};
use crate::inference::classes::Surface;

/// The ground of the flight with seed `s` is drawn from this plus `s`.
pub const FIRST_WORLD_SEED: u64 = 5_000_000_000;
/// Width and height, pixels, and scale, metres a pixel: 130 m by 100 m.
const WORLD: (u32, u32, f64) = (1300, 1000, 0.1);
/// Starts lie within this distance of the middle, metres along each axis.
const START_SPREAD_M: f64 = 12.0;
/// Heights of starts over drawn ground, metres.
const START_HEIGHT_M: [f64; 2] = [15.0, 60.0];
/// Strongest mean wind, metres a second.
const WIND_MAX_M_S: f64 = 8.0;
/// A world has a place to land if it has a disc of this radius of landable ground, metres: vehicle and margin.
const DISC_M: f64 = 1.0;
/// And nobody stands nearer to its middle than this, metres.
const PEOPLE_M: f64 = 3.0;

/// Where and in what weather a flight starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Metres north of the world's origin.
    pub north_m: f64,
    /// Metres east of it.
    pub east_m: f64,
    /// Height above ground, metres.
    pub height_m: f64,
    /// Where the nose points, radians clockwise from north.
    pub yaw_rad: f64,
    /// Mean wind, metres a second.
    pub wind_m_s: f64,
    /// Where the wind comes from, radians clockwise from north.
    pub wind_from_rad: f64,
    /// Standard deviation of the gusts over the mean wind.
    pub turbulence: f64,
}

/// A seeded stream of numbers.
#[derive(Debug)]
struct Chance(ChaCha8Rng);

impl Chance {
    fn of(seed: u64, what: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ what))
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

/// The drawn ground of a flight, with people on foot and cars under way.
#[must_use]
pub fn world(seed: u64) -> World {
    let (width, height, metres_per_pixel) = WORLD;
    let mut world = World::drawn(&DrawnSpec {
        seed: FIRST_WORLD_SEED.wrapping_add(seed),
        width,
        height,
        metres_per_pixel,
    });
    world.movers = movers(&world, seed);
    world
}

/// Where the flight of this seed starts over this world.
#[must_use]
pub fn start(world: &World, seed: u64) -> Start {
    let mut chance = Chance::of(seed, 0x57a2_7000_0000_0000);
    let ([low, high], ground) = match &world.start {
        Some(start) => {
            let [left, top, right, bottom] = start.area_px;
            let px = Pixel {
                x: chance.between(left, right),
                y: chance.between(top, bottom),
            };
            (start.height_m, world.ground_from_pixel(px))
        }
        None => (
            START_HEIGHT_M,
            GroundPoint {
                north_m: chance.between(-START_SPREAD_M, START_SPREAD_M),
                east_m: chance.between(-START_SPREAD_M, START_SPREAD_M),
            },
        ),
    };
    Start {
        north_m: ground.north_m,
        east_m: ground.east_m,
        height_m: chance.between(low, high),
        yaw_rad: chance.between(-std::f64::consts::PI, std::f64::consts::PI),
        wind_m_s: chance.between(0.0, WIND_MAX_M_S),
        wind_from_rad: chance.between(-std::f64::consts::PI, std::f64::consts::PI),
        turbulence: chance.between(0.05, 0.2),
    }
}

/// Whether there is any place to land at all: without one, holding is right.
#[must_use]
pub fn has_place(world: &World) -> bool {
    // People under way move on.
    let mut still = world.clone();
    still.movers.clear();
    let step = 0.5 / world.metres_per_pixel;
    let (columns, rows) = (
        (f64::from(world.truth.width()) / step) as u32,
        (f64::from(world.truth.height()) / step) as u32,
    );
    (0..rows).any(|row| {
        (0..columns).any(|column| {
            let at = world.ground_from_pixel(Pixel {
                x: f64::from(column) * step,
                y: f64::from(row) * step,
            });
            world.is_landable(at, DISC_M) && still.person_distance_m(at, 0.0, PEOPLE_M).is_none()
        })
    })
}

fn movers(world: &World, seed: u64) -> Vec<Mover> {
    let mut chance = Chance::of(seed, 0x3a1e_2000_0000_0000);
    let walkers = 2 + (chance.unit() * 4.0) as u32;
    let cars = (chance.unit() * 3.0) as u32;
    let mut movers: Vec<Mover> = (0..walkers)
        .filter_map(|_| walker(world, &mut chance))
        .collect();
    movers.extend((0..cars).filter_map(|_| car(world, &mut chance)));
    movers
}

/// Somebody on foot, from place to place over ground that can be walked on.
fn walker(world: &World, chance: &mut Chance) -> Option<Mover> {
    let mut here = (0..60)
        .find_map(|_| Some(anywhere(world, chance)).filter(|g| world.is_landable(*g, 0.4)))?;
    let mut path = vec![here];
    for _ in 0..8 {
        let next = (0..12).find_map(|_| {
            let (angle, way) = (
                chance.between(0.0, std::f64::consts::TAU),
                chance.between(6.0, 25.0),
            );
            let (sin, cos) = angle.sin_cos();
            let at = |s: f64| GroundPoint {
                north_m: here.north_m + s * cos,
                east_m: here.east_m + s * sin,
            };
            let is_free = (0..=way as u32).all(|s| world.is_landable(at(f64::from(s)), 0.3));
            is_free.then(|| at(way.floor()))
        });
        let Some(next) = next else {
            break;
        };
        path.push(next);
        here = next;
    }
    Some(Mover {
        kind: MoverKind::Person,
        path_px: pixels(world, &path),
        speed_mps: chance.between(0.7, 1.7),
        start_s: chance.between(0.0, 40.0),
    })
}

/// A car that drives along hard ground.
fn car(world: &World, chance: &mut Chance) -> Option<Mover> {
    let path = (0..150).find_map(|_| {
        let from = anywhere(world, chance);
        let (sin, cos) = chance.between(0.0, std::f64::consts::TAU).sin_cos();
        let at = |s: f64| GroundPoint {
            north_m: from.north_m + s * cos,
            east_m: from.east_m + s * sin,
        };
        let is_firm = |g: GroundPoint| {
            world
                .truth_at(g)
                .is_some_and(|c| c.surface == Surface::Firm)
        };
        let is_free = (0..=25).all(|s| {
            let g = at(f64::from(s));
            is_firm(g) && world.is_landable(g, 1.2)
        });
        is_free.then(|| vec![from, at(25.0)])
    })?;
    Some(Mover {
        kind: MoverKind::Vehicle,
        path_px: pixels(world, &path),
        speed_mps: chance.between(2.0, 6.0),
        start_s: chance.between(0.0, 60.0),
    })
}

fn anywhere(world: &World, chance: &mut Chance) -> GroundPoint {
    world.ground_from_pixel(Pixel {
        x: chance.between(0.0, f64::from(world.truth.width())),
        y: chance.between(0.0, f64::from(world.truth.height())),
    })
}

fn pixels(world: &World, path: &[GroundPoint]) -> Vec<[f64; 2]> {
    path.iter()
        .map(|g| {
            let px = world.pixel_from_ground(*g);
            [px.x, px.y]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_flight_again() {
        let (a, b) = (world(3), world(3));
        assert_eq!(a.movers, b.movers);
        assert_eq!(a.picture, b.picture);
        assert_eq!(start(&a, 3), start(&b, 3));
        assert_ne!(start(&a, 3), start(&a, 4));
    }

    #[test]
    fn starts_lie_inside_their_ranges() {
        let world = lawn();
        for seed in 0..200 {
            let s = start(&world, seed);
            assert!(s.north_m.abs() <= 12.0 && s.east_m.abs() <= 12.0);
            assert!((15.0..=60.0).contains(&s.height_m) && (0.0..=8.0).contains(&s.wind_m_s));
        }
    }

    #[test]
    fn people_walk_on_ground_and_cars_drive_on_hard_ground() {
        let mut kinds = [0, 0];
        for seed in 0..6 {
            let world = world(seed);
            for mover in &world.movers {
                let is_car = mover.kind == MoverKind::Vehicle;
                kinds[usize::from(is_car)] += 1;
                for t in 0..30 {
                    let (px, _) = mover
                        .at(f64::from(t) * 3.0, world.metres_per_pixel)
                        .unwrap();
                    let ground = world.ground_from_pixel(px);
                    let surface = world.truth_at(ground).unwrap().surface;
                    assert!(
                        surface.is_landable(),
                        "seed {seed}: {surface:?} at {ground:?}"
                    );
                    assert!(!is_car || surface == Surface::Firm, "seed {seed}");
                }
            }
        }
        assert!(kinds[0] >= 10 && kinds[1] >= 1, "{kinds:?}");
    }

    fn lawn() -> World {
        let mut world = World::drawn(&DrawnSpec {
            seed: 1,
            width: 60,
            height: 40,
            metres_per_pixel: 0.1,
        });
        world.truth = image::GrayImage::from_pixel(60, 40, image::Luma([3]));
        world
    }

    #[test]
    fn a_world_without_a_free_disc_is_told_apart() {
        assert!(has_place(&lawn()));
        let mut water = lawn();
        water.truth = image::GrayImage::from_pixel(60, 40, image::Luma([5]));
        assert!(!has_place(&water));
        // A person in the middle of 6 m by 4 m leaves no place 3 m away.
        let mut crowded = lawn();
        crowded.truth.put_pixel(30, 20, image::Luma([15]));
        assert!(!has_place(&crowded));
    }
}
