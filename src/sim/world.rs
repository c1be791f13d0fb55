//! A piece of ground with known truth, drawn from a seed or loaded from files.
//!
//! The ground is flat at NED z = 0. Pixel positions are continuous: the top-left pixel's centre is `(0.5, 0.5)`.

use image::{GrayImage, RgbImage};

use super::draw;
use crate::geometry::{GroundPoint, Pixel};
use crate::inference::classes::{Class, SEMANTIC_DRONE, Surface};

pub use super::load::WorldError;
pub use super::mover::{Mover, MoverKind, MoverPosition};

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnSpec {
    /// Decides everything in the scene.
    pub seed: u64,
    /// Picture width, pixels.
    pub width: u32,
    /// Picture height, pixels.
    pub height: u32,
    /// Scale, metres on the ground for each pixel.
    pub metres_per_pixel: f64,
}

/// Where flights over a world begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartArea {
    /// Left, top, right, bottom in the picture's pixels.
    pub area_px: [f64; 4],
    /// Least and greatest height above ground, metres.
    pub height_m: [f64; 2],
}

/// The shadow of one metre of height.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shadow {
    /// To the picture's right, metres.
    pub right: f64,
    /// Down the picture, metres.
    pub down: f64,
    /// How dark, `0.0..=1.0`.
    pub depth: f64,
}

/// A picture of the ground from straight above, and what every pixel of it truly is.
#[derive(Debug, Clone)]
pub struct World {
    /// What the ground looks like.
    pub picture: RgbImage,
    /// Class index of each pixel of the picture, see `classes`.
    pub truth: GrayImage,
    /// Scale, metres on the ground for each pixel.
    pub metres_per_pixel: f64,
    /// What the indices in `truth` mean.
    pub classes: Vec<Class>,
    /// People and vehicles under way.
    pub movers: Vec<Mover>,
    /// Where flights begin, if the world says so.
    pub start: Option<StartArea>,
    /// The pixel position that is NED (0, 0).
    pub origin_px: [f64; 2],
    /// Where the top of the picture points, degrees clockwise from north.
    pub north_deg: f64,
    /// How movers cast shadows.
    pub shadow: Shadow,
}

impl World {
    /// The world of this seed: the same picture, bit for bit, wherever it is drawn. Nothing moves in it.
    #[must_use]
    pub fn drawn(spec: &DrawnSpec) -> Self {
        let drawing = draw::scene(spec);
        let (w, h) = (spec.width, spec.height);
        Self {
            picture: RgbImage::from_raw(w, h, drawing.picture).unwrap_or_default(),
            truth: GrayImage::from_raw(w, h, drawing.truth).unwrap_or_default(),
            metres_per_pixel: spec.metres_per_pixel,
            classes: semantic_drone_classes(),
            movers: Vec::new(),
            start: None,
            origin_px: [0.5 * f64::from(w), 0.5 * f64::from(h)],
            north_deg: 0.0,
            shadow: drawing.shadow,
        }
    }

    /// How far north and east the shadow of one metre of height falls, metres.
    pub(crate) fn shadow_on_ground(&self) -> [f64; 2] {
        let (sin, cos) = self.north_deg.to_radians().sin_cos();
        let Shadow { right, down, .. } = self.shadow;
        [-down * cos - right * sin, right * cos - down * sin]
    }

    /// The picture's pixel position of a place on the ground (possibly outside the picture).
    #[must_use]
    pub fn pixel_from_ground(&self, ground: GroundPoint) -> Pixel {
        let (sin, cos) = self.north_deg.to_radians().sin_cos();
        let [x0, y0] = self.origin_px;
        let up = ground.north_m * cos + ground.east_m * sin;
        let right = ground.east_m * cos - ground.north_m * sin;
        Pixel {
            x: x0 + right / self.metres_per_pixel,
            y: y0 - up / self.metres_per_pixel,
        }
    }

    /// The place on the ground of a pixel position.
    #[must_use]
    pub fn ground_from_pixel(&self, px: Pixel) -> GroundPoint {
        let (sin, cos) = self.north_deg.to_radians().sin_cos();
        let [x0, y0] = self.origin_px;
        let right = (px.x - x0) * self.metres_per_pixel;
        let up = (y0 - px.y) * self.metres_per_pixel;
        GroundPoint {
            north_m: up * cos - right * sin,
            east_m: up * sin + right * cos,
        }
    }

    /// What the ground truly is at a place, movers aside; `None` outside the picture and for indices without a class.
    #[must_use]
    pub fn truth_at(&self, ground: GroundPoint) -> Option<&Class> {
        let px = self.pixel_from_ground(ground);
        if px.x < 0.0 || px.y < 0.0 {
            return None;
        }
        let index = self.truth.get_pixel_checked(px.x as u32, px.y as u32)?.0[0];
        self.class(index)
    }

    /// The class with this index.
    #[must_use]
    pub fn class(&self, index: u8) -> Option<&Class> {
        // Indices are nearly always positions; a file may order them otherwise.
        self.classes
            .get(usize::from(index))
            .filter(|c| c.index == index)
            .or_else(|| self.classes.iter().find(|c| c.index == index))
    }

    /// Where the movers are at `t_s` seconds.
    #[must_use]
    pub fn mover_positions(&self, t_s: f64) -> Vec<MoverPosition> {
        self.movers
            .iter()
            .filter_map(|m| {
                let (px, ahead) = m.at(t_s, self.metres_per_pixel)?;
                let tip = Pixel {
                    x: px.x + ahead[0],
                    y: px.y + ahead[1],
                };
                let (ground, tip) = (self.ground_from_pixel(px), self.ground_from_pixel(tip));
                Some(MoverPosition {
                    kind: m.kind,
                    ground,
                    heading_rad: (tip.east_m - ground.east_m).atan2(tip.north_m - ground.north_m),
                })
            })
            .collect()
    }

    /// Whether a disc on the ground lies wholly inside the picture and on landable truth, movers aside. Every pixel
    /// that the disc touches counts.
    #[must_use]
    pub fn is_landable(&self, centre: GroundPoint, radius_m: f64) -> bool {
        let (c, r) = (
            self.pixel_from_ground(centre),
            radius_m / self.metres_per_pixel,
        );
        let (w, h) = (
            f64::from(self.truth.width()),
            f64::from(self.truth.height()),
        );
        if !(c.x - r >= 0.0 && c.y - r >= 0.0 && c.x + r <= w && c.y + r <= h) {
            return false;
        }
        self.in_disc(c, r)
            .all(|(_, index)| self.class(index).is_some_and(|k| k.surface.is_landable()))
    }

    /// The most dangerous surface that a disc on the ground touches (people before vehicles, water, structures and the
    /// rest); where all of it is landable, the one at its centre. Vehicles under way at `t_s` seconds count.
    #[must_use]
    pub fn worst_surface(&self, centre: GroundPoint, radius_m: f64, t_s: f64) -> Surface {
        const ORDER: [Surface; 7] = [
            Surface::Person,
            Surface::Vehicle,
            Surface::Water,
            Surface::Structure,
            Surface::Obstacle,
            Surface::Vegetation,
            Surface::Unknown,
        ];
        if self.is_on_vehicle(centre, radius_m, t_s) {
            return Surface::Vehicle;
        }
        let surface = |index| self.class(index).map_or(Surface::Unknown, |c| c.surface);
        let c = self.pixel_from_ground(centre);
        let touched: Vec<Surface> = self
            .in_disc(c, radius_m / self.metres_per_pixel)
            .map(|(_, index)| surface(index))
            .collect();
        let worst = ORDER.into_iter().find(|s| touched.contains(s));
        let at_centre = self.truth_at(centre).map_or(Surface::Unknown, |k| k.surface);
        worst.unwrap_or(at_centre)
    }

    /// Whether a disc on the ground touches a vehicle under way.
    #[must_use]
    pub fn is_on_vehicle(&self, centre: GroundPoint, radius_m: f64, t_s: f64) -> bool {
        /// Half length and half width of a car, metres.
        const BODY: [f64; 2] = [2.1, 0.85];
        self.mover_positions(t_s).iter().any(|m| {
            let (n, e) = (centre.north_m - m.ground.north_m, centre.east_m - m.ground.east_m);
            let (sin, cos) = m.heading_rad.sin_cos();
            let gaps = [n * cos + e * sin, e * cos - n * sin]
                .into_iter()
                .zip(BODY)
                .map(|(d, half)| (d.abs() - half).max(0.0));
            let gap = gaps.fold(0.0, f64::hypot);
            m.kind == MoverKind::Vehicle && gap <= radius_m
        })
    }

    /// Horizontal distance from a place to the nearest person or animal (movers, and pixels of the truth) at `t_s`
    /// seconds, metres; `None` if there is none within `within_m`.
    #[must_use]
    pub fn person_distance_m(&self, from: GroundPoint, t_s: f64, within_m: f64) -> Option<f64> {
        let c = self.pixel_from_ground(from);
        let drawn = self
            .in_disc(c, within_m / self.metres_per_pixel)
            .filter(|&(_, index)| {
                self.class(index)
                    .is_some_and(|k| k.surface == Surface::Person)
            })
            .map(|(d, _)| d * self.metres_per_pixel);
        let moving = self
            .mover_positions(t_s)
            .into_iter()
            .filter(|m| m.kind == MoverKind::Person)
            .map(|m| (m.ground.north_m - from.north_m).hypot(m.ground.east_m - from.east_m));
        drawn
            .chain(moving)
            .filter(|d| *d <= within_m)
            .min_by(f64::total_cmp)
    }

    /// Distance (pixels, from `c` to the nearest point of the pixel) and class index of each pixel that a disc touches.
    fn in_disc(&self, c: Pixel, r: f64) -> impl Iterator<Item = (f64, u8)> + '_ {
        let (width, height) = self.truth.dimensions();
        let low = |v: f64| v.floor().max(0.0) as u32;
        let high = |v: f64, end: u32| (v.floor() + 1.0).clamp(0.0, f64::from(end)) as u32;
        let columns = low(c.x - r)..high(c.x + r, width);
        (low(c.y - r)..high(c.y + r, height))
            .flat_map(move |y| columns.clone().map(move |x| (x, y)))
            .filter_map(move |(x, y)| {
                let gap = |v: f64, i: u32| (f64::from(i) - v).max(v - f64::from(i) - 1.0).max(0.0);
                let d = gap(c.x, x).hypot(gap(c.y, y));
                (d <= r).then_some((d, self.truth.get_pixel_checked(x, y)?.0[0]))
            })
    }
}

/// The classes of the Semantic Drone Dataset, which drawn worlds speak.
pub(super) fn semantic_drone_classes() -> Vec<Class> {
    (0..)
        .zip(SEMANTIC_DRONE)
        .map(
            |(index, (name, _, surface)): (u8, (&str, [u8; 3], Surface))| Class {
                index,
                name: name.to_owned(),
                surface,
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn small(seed: u64) -> World {
        World::drawn(&DrawnSpec {
            seed,
            width: 240,
            height: 160,
            metres_per_pixel: 0.11,
        })
    }

    /// Grass, with one pixel of `index` at column 60, row 20; 0.1 m a pixel, 10 m by 8 m.
    fn lawn_with(index: u8) -> World {
        let mut world = small(1);
        world.picture = RgbImage::new(100, 80);
        world.truth = GrayImage::from_pixel(100, 80, image::Luma([3]));
        world.truth.put_pixel(60, 20, image::Luma([index]));
        world.metres_per_pixel = 0.1;
        world.origin_px = [50.0, 40.0];
        world
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_another_seed_others() {
        let hash = |seed| {
            let world = small(seed);
            let mut hasher = Sha256::new();
            hasher.update(world.picture.as_raw());
            hasher.update(world.truth.as_raw());
            hasher.finalize().to_vec()
        };
        let hashes: Vec<_> = (1..8).map(hash).collect();
        assert_eq!(hashes[0], hash(1));
        for (i, h) in hashes.iter().enumerate() {
            assert!(!hashes[..i].contains(h), "seed {} repeats another", i + 1);
        }
    }

    #[test]
    fn picture_and_truth_have_the_size_that_was_asked_for() {
        let world = small(5);
        assert_eq!(world.picture.dimensions(), (240, 160));
        assert_eq!(world.truth.dimensions(), (240, 160));
        assert!(world.truth.pixels().all(|p| world.class(p.0[0]).is_some()));
    }

    #[test]
    fn forty_seeds_show_every_class_and_mostly_enough_ground_to_land_on() {
        let mut seen = [0_u64; 256];
        let mut shares = Vec::new();
        for seed in 0..40 {
            let world = small(1_000_000 + seed);
            let mut landable = 0_u64;
            for p in world.truth.pixels() {
                seen[usize::from(p.0[0])] += 1;
                landable += u64::from(world.class(p.0[0]).unwrap().surface.is_landable());
            }
            shares.push(landable as f64 / f64::from(240 * 160));
        }
        for (i, (name, _, _)) in SEMANTIC_DRONE.iter().enumerate() {
            let drawn = !["unlabeled", "conflicting"].contains(name);
            assert_eq!(seen[i] > 0, drawn, "{name}: {} pixels", seen[i]);
        }
        let mean = shares.iter().sum::<f64>() / 40.0;
        assert!((0.25..0.85).contains(&mean), "mean landable share {mean}");
        let usual = shares.iter().filter(|s| (0.25..0.97).contains(*s)).count();
        assert!(usual >= 36, "{shares:?}");
    }

    #[test]
    fn a_scene_has_a_sun_and_is_neither_black_nor_white() {
        let world = small(3);
        assert!(world.shadow.depth > 0.0 && world.shadow.right.hypot(world.shadow.down) > 0.3);
        let mean = world
            .picture
            .as_raw()
            .iter()
            .map(|&b| f64::from(b))
            .sum::<f64>()
            / (240.0 * 160.0 * 3.0);
        assert!((40.0..200.0).contains(&mean), "mean brightness {mean}");
    }

    #[test]
    fn the_centre_is_the_origin_and_up_is_north() {
        let world = lawn_with(15);
        let g = world.ground_from_pixel(Pixel { x: 60.5, y: 20.5 });
        assert!(
            (g.north_m - 1.95).abs() < 1e-9 && (g.east_m - 1.05).abs() < 1e-9,
            "{g:?}"
        );
        assert_eq!(world.truth_at(g).unwrap().name, "person");
    }

    #[test]
    fn origin_and_north_of_a_file_move_and_turn_the_world() {
        let mut world = lawn_with(15);
        world.origin_px = [60.5, 20.5];
        // The top of the picture is east: a step to the picture's right goes south.
        world.north_deg = 90.0;
        let g = world.ground_from_pixel(Pixel { x: 70.5, y: 20.5 });
        assert!(
            (g.north_m + 1.0).abs() < 1e-9 && g.east_m.abs() < 1e-9,
            "{g:?}"
        );
        let g = world.ground_from_pixel(Pixel { x: 60.5, y: 10.5 });
        assert!(
            g.north_m.abs() < 1e-9 && (g.east_m - 1.0).abs() < 1e-9,
            "{g:?}"
        );
    }

    #[test]
    fn looking_up_and_back_is_the_identity() {
        let mut world = lawn_with(3);
        for north_deg in [0.0, 33.0, 181.0, -90.0] {
            world.north_deg = north_deg;
            for (north_m, east_m) in [(0.0, 0.0), (3.0, -2.5), (-17.0, 40.0)] {
                let g = GroundPoint { north_m, east_m };
                let back = world.ground_from_pixel(world.pixel_from_ground(g));
                assert!(
                    (back.north_m - north_m).abs() < 1e-9 && (back.east_m - east_m).abs() < 1e-9
                );
            }
        }
    }

    #[test]
    fn outside_the_picture_and_without_a_class_nothing_is_known() {
        let mut world = lawn_with(99);
        assert!(
            world
                .truth_at(world.ground_from_pixel(Pixel { x: -0.1, y: 5.0 }))
                .is_none()
        );
        assert!(
            world
                .truth_at(world.ground_from_pixel(Pixel { x: 5.0, y: 80.1 }))
                .is_none()
        );
        assert!(
            world
                .truth_at(world.ground_from_pixel(Pixel { x: 60.5, y: 20.5 }))
                .is_none()
        );
        world.classes.clear();
        assert!(!world.is_landable(
            GroundPoint {
                north_m: 0.0,
                east_m: 0.0
            },
            0.5
        ));
    }

    #[test]
    fn one_bad_pixel_spoils_every_disc_that_touches_it() {
        let world = lawn_with(22);
        // The pixel spans 1.0..1.1 m east and 1.9..2.0 m north.
        let at = |north_m, east_m| GroundPoint { north_m, east_m };
        assert!(world.is_landable(at(0.0, 1.05), 1.89));
        assert!(!world.is_landable(at(0.0, 1.05), 1.91));
        assert!(world.is_landable(at(-1.0, -2.0), 1.0));
        assert!(
            !world.is_landable(at(3.5, 0.0), 0.6),
            "beyond the picture's upper edge"
        );
        assert!(!world.is_landable(at(f64::NAN, 0.0), 0.6));
    }

    #[test]
    fn the_nearest_person_is_a_pixel_or_a_mover() {
        let mut world = lawn_with(15);
        let here = GroundPoint {
            north_m: 0.0,
            east_m: 1.05,
        };
        let drawn = world.person_distance_m(here, 0.0, 5.0).unwrap();
        assert!((drawn - 1.9).abs() < 1e-9, "{drawn}");
        assert_eq!(world.person_distance_m(here, 0.0, 1.8), None);
        world.movers.push(Mover {
            kind: MoverKind::Person,
            path_px: vec![[60.5, 90.0], [60.5, 0.0]],
            speed_mps: 1.0,
            start_s: 0.0,
        });
        // After 4 s the walker is at row 50: one metre south.
        let near = world.person_distance_m(here, 4.0, 5.0).unwrap();
        assert!((near - 1.0).abs() < 1e-9, "{near}");
        let walker = world.mover_positions(4.0)[0];
        assert!(
            walker.heading_rad.abs() < 1e-9,
            "walks north: {}",
            walker.heading_rad
        );
    }

    #[test]
    fn the_worst_surface_under_a_disc_counts() {
        // A roof pixel 1 m east and 2 m north of the origin, on grass.
        let mut world = lawn_with(9);
        let at = |north_m: f64, east_m: f64| GroundPoint { north_m, east_m };
        assert_eq!(world.worst_surface(at(0.0, 0.0), 0.5, 0.0), Surface::Soft);
        assert_eq!(world.worst_surface(at(2.0, 0.6), 0.5, 0.0), Surface::Structure);
        assert_eq!(world.worst_surface(at(90.0, 0.0), 0.5, 0.0), Surface::Unknown);
        world.movers.push(Mover {
            kind: MoverKind::Vehicle,
            path_px: vec![[50.0, 40.0], [50.0, 20.0]],
            speed_mps: 1.0,
            start_s: 0.0,
        });
        // It faces north at the origin: 2.1 m ahead, 0.85 m to the side.
        assert!(world.is_on_vehicle(at(2.5, 0.0), 0.5, 0.0));
        assert!(!world.is_on_vehicle(at(0.0, 1.6), 0.5, 0.0));
        assert_eq!(world.worst_surface(at(0.0, 1.0), 0.5, 0.0), Surface::Vehicle);
        assert!(!world.is_on_vehicle(at(-2.5, 0.0), 0.5, 1.0), "it drives on");
    }

    #[test]
    fn a_vehicle_is_no_person() {
        let mut world = lawn_with(3);
        world.movers.push(Mover {
            kind: MoverKind::Vehicle,
            path_px: vec![[50.0, 40.0]],
            speed_mps: 0.0,
            start_s: 0.0,
        });
        assert_eq!(
            world.person_distance_m(
                GroundPoint {
                    north_m: 0.0,
                    east_m: 0.0
                },
                0.0,
                50.0
            ),
            None
        );
    }
}
