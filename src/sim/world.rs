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
        self.pixels_from_ground()(ground)
    }

    /// The same for many places.
    pub fn pixels_from_ground(&self) -> impl Fn(GroundPoint) -> Pixel + use<> {
        let (sin, cos) = self.north_deg.to_radians().sin_cos();
        let ([x0, y0], metres_per_pixel) = (self.origin_px, self.metres_per_pixel);
        move |ground| {
            let up = ground.north_m * cos + ground.east_m * sin;
            let right = ground.east_m * cos - ground.north_m * sin;
            Pixel {
                x: x0 + right / metres_per_pixel,
                y: y0 - up / metres_per_pixel,
            }
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
        let at_centre = self
            .truth_at(centre)
            .map_or(Surface::Unknown, |k| k.surface);
        worst.unwrap_or(at_centre)
    }

    /// Whether a disc on the ground touches a vehicle under way.
    #[must_use]
    pub fn is_on_vehicle(&self, centre: GroundPoint, radius_m: f64, t_s: f64) -> bool {
        /// Half length and half width of a car, metres.
        const BODY: [f64; 2] = [2.1, 0.85];
        self.mover_positions(t_s).iter().any(|m| {
            let (n, e) = (
                centre.north_m - m.ground.north_m,
                centre.east_m - m.ground.east_m,
            );
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
mod tests;
