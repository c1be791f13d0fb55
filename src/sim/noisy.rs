//! Segmenters that know the truth: `--segmenter truth` tells it, `--segmenter noisy` tells it with a network's own errors.
//!
//! The errors are the network's measured ones ([`ErrorTable`]), drawn so that they persist: world-fixed blobs, about as
//! large as the network's errors are, that change over seconds; people are seen or missed whole, more often missed the
//! smaller they appear; and people are seen where nobody is. What is measured is how often which answer comes, and how
//! large its patches are; that errors change with time and scale as they do here is an assumption.

mod field;

use std::collections::HashMap;
use std::sync::Arc;

use nalgebra::{Matrix3, Vector3};

use super::errors::{ErrorTable, LEVELS, SHADES};
use super::sprite::Sprite;
use super::world::{MoverKind, World};
use crate::camera::Frame;
use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::classes::Surface;
use crate::inference::manifest::Manifest;
use crate::inference::{InferenceError, SegmentationMap, Segmenter};
use field::{Field, Still, wandering};

/// Columns and rows of the answer, as the network's.
const GRID: (usize, usize) = (192, 128);
/// Time after which a blob of errors is another one, seconds.
const BLOB_MEMORY_S: f64 = 20.0;
/// Time after which a missed person may be seen, at the same size, seconds.
const PERSON_MEMORY_S: f64 = 25.0;
/// How long a person that is none stays, seconds.
const GHOST_MEMORY_S: f64 = 15.0;
/// Ground for which at most one ghost is drawn at a time, metres a side.
const GHOST_TILE_M: f64 = 8.0;
/// Radius of a ghost, metres.
const GHOST_RADIUS_M: f64 = 0.35;
/// What a person covers on the ground, square metres, where the truth does not say.
const PERSON_M2: f64 = 0.22;
/// Size of the network's input that sizes of people are measured in, columns.
const INPUT_COLUMNS: f64 = 384.0;
/// Ground a grid pixel covered where the errors were measured, metres.
const MEASURED_GSD_M: f64 = 25.0 / 192.0;

type Answer = [f32; Surface::COUNT];

/// What lies in front of the segmenter's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The world.
    Clear,
    /// Nothing that could be told apart: a black picture.
    Nothing,
}

/// Tells the truth of the view that it was given, as it is or with a network's errors.
#[derive(Debug)]
pub struct TruthSegmenter {
    manifest: Manifest,
    world: Arc<World>,
    /// `None` tells the truth.
    errors: Option<Box<Errors>>,
    /// People of the truth picture: which one covers a pixel.
    people: HashMap<u32, u32>,
    /// Their areas, square metres.
    areas_m2: Vec<f64>,
    person: Sprite,
    vehicle: Sprite,
    next: Option<(View, f64, Sight)>,
    /// Class and person (0 = none) of each grid pixel.
    classes: Vec<(u8, u32)>,
}

/// The table made ready, and the seeded fields.
#[derive(Debug)]
struct Errors {
    table: ErrorTable,
    rows: Vec<Vec<Answer>>,
    /// Whether one may land on a class.
    open: Vec<bool>,
    seen: Vec<Answer>,
    missed: Vec<Answer>,
    field: Field,
    seed: u64,
}

/// An id beyond those of the truth's people.
const FIRST_MOVER: u32 = 1 << 20;
/// Stands for nobody, where the world's picture has ended.
const OUTSIDE: u32 = u32::MAX;

impl TruthSegmenter {
    /// Tells the truth of a world, in the words of this manifest.
    #[must_use]
    pub fn new(manifest: &Manifest, world: Arc<World>) -> Self {
        let (people, areas_m2) = people_of(&world);
        Self {
            manifest: Manifest {
                name: "truth".to_owned(),
                ..manifest.clone()
            },
            world,
            errors: None,
            people,
            areas_m2,
            person: Sprite::of(MoverKind::Person),
            vehicle: Sprite::of(MoverKind::Vehicle),
            next: None,
            classes: Vec::new(),
        }
    }

    /// The same with a network's errors, drawn by a seed.
    #[must_use]
    pub fn noisy(manifest: &Manifest, world: Arc<World>, table: &ErrorTable, seed: u64) -> Self {
        let mut told = Self::new(manifest, world);
        told.manifest.name = format!("truth with the errors of {}", manifest.name);
        let rows = (0..=u8::MAX)
            .map(|i| match told.world.class(i) {
                Some(c) => answers(table.of_class(i, c.surface)),
                None => Vec::new(),
            })
            .collect();
        let is_landable = |i| told.world.class(i).is_some_and(|c| c.surface.is_landable());
        let open = (0..=u8::MAX).map(is_landable).collect();
        told.errors = Some(Box::new(Errors {
            rows,
            open,
            seen: answers(&table.seen.rows),
            missed: answers(&table.missed.rows),
            field: Field::new(seed, table.blob_m, BLOB_MEMORY_S),
            seed,
            table: table.clone(),
        }));
        told
    }

    /// Another state of the same world: somebody came.
    pub fn set_world(&mut self, world: Arc<World>) {
        self.world = world;
    }

    /// What the next frame shows: the true view, at `t_s` seconds of the movers' time.
    pub fn look(&mut self, view: &View, t_s: f64, sight: Sight) {
        self.next = Some((view.clone(), t_s, sight));
    }

    /// Fills `classes` with the truth under each grid pixel.
    fn see(&mut self, view: &View, t_s: f64) {
        let ((w, h), scale) = (GRID, grid_scale(view));
        let ground = Below::of(view);
        let place = self.world.pixels_from_ground();
        let mut classes = std::mem::take(&mut self.classes);
        classes.clear();
        classes.extend((0..w * h).map(|i| {
            let at = ground.at(view, grid_pixel(i % w, i / w, scale));
            at.map_or((0, 0), |g| self.truth_at(place(g)))
        }));
        for (k, mover) in (0..).zip(self.world.mover_positions(t_s)) {
            let (sprite, reach, who) = match mover.kind {
                MoverKind::Person => (&self.person, 1.0, FIRST_MOVER + k),
                MoverKind::Vehicle => (&self.vehicle, 3.0, 0),
            };
            let Some([left, top, right, bottom]) = bounds(view, mover.ground, reach, scale) else {
                continue;
            };
            let (sin, cos) = mover.heading_rad.sin_cos();
            for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
                let class = ground.at(view, grid_pixel(x, y, scale)).and_then(|g| {
                    let (n, e) = (
                        g.north_m - mover.ground.north_m,
                        g.east_m - mover.ground.east_m,
                    );
                    sprite.class_at([n * cos + e * sin, e * cos - n * sin])
                });
                if let (Some(class), Some(cell)) = (class, classes.get_mut(y * w + x)) {
                    *cell = (class, who);
                }
            }
        }
        self.classes = classes;
    }

    /// Class and person at a pixel of the world, movers aside.
    fn truth_at(&self, px: Pixel) -> (u8, u32) {
        let (width, height) = self.world.truth.dimensions();
        if !(px.x >= 0.0 && px.y >= 0.0 && px.x < f64::from(width) && px.y < f64::from(height)) {
            return (0, OUTSIDE);
        }
        let index = px.y as u32 * width + px.x as u32;
        let truth = self.world.truth.as_raw();
        let class = truth.get(index as usize).copied().unwrap_or(0);
        let is_person = self
            .world
            .class(class)
            .is_some_and(|c| c.surface == Surface::Person);
        let who = if is_person {
            self.people.get(&index).copied().unwrap_or(0)
        } else {
            0
        };
        (class, who)
    }

    fn surface(&self, class: u8) -> Surface {
        self.world
            .class(class)
            .map_or(Surface::Unknown, |c| c.surface)
    }

    /// Writes the true surfaces, nearly certain.
    fn tell(&self, surfaces: &mut Vec<f32>) {
        for (class, _) in &self.classes {
            let surface = self.surface(*class) as usize;
            let rest = 0.03 / (Surface::COUNT - 1) as f32;
            surfaces.extend((0..Surface::COUNT).map(|s| if s == surface { 0.97 } else { rest }));
        }
    }
}

/// What a frame shows, as the errors need it.
struct Scene<'a> {
    view: &'a View,
    t_s: f64,
    /// Class and person of each grid pixel.
    classes: &'a [(u8, u32)],
    areas_m2: &'a [f64],
}

impl Errors {
    /// Writes what the network might have said.
    fn speak(&mut self, scene: &Scene<'_>, surfaces: &mut Vec<f32>) {
        let Scene { view, t_s, .. } = *scene;
        let (w, scale) = (GRID.0, grid_scale(view));
        let ground = Below::of(view);
        let gsd_m = view.camera_height_m() / view.camera().fx * scale.0;
        let ghosts = self.ghosts(view, t_s);
        let reach_m = GHOST_RADIUS_M.max(0.6 * gsd_m);
        let mut people = HashMap::new();
        let Self {
            rows,
            open,
            seen,
            missed,
            field,
            seed,
            table,
        } = self;
        let (seen, missed, still) = (&*seen, &*missed, field.at(t_s, gsd_m / MEASURED_GSD_M));
        for (i, &(class, who)) in scene.classes.iter().enumerate() {
            // The answers on class 0 were measured on slits between labelled things, most of them easy ground. Beyond the
            // world nothing was measured: nobody can say what it is.
            if who == OUTSIDE {
                surfaces.extend_from_slice(&NOTHING);
                continue;
            }
            let at = ground.at(view, grid_pixel(i % w, i / w, scale));
            // Squares: asked for every pixel.
            let is_near = |q: &GroundPoint, g: &GroundPoint| {
                let (north, east) = (q.north_m - g.north_m, q.east_m - g.east_m);
                north * north + east * east < reach_m * reach_m
            };
            let list = if who > 0 {
                let is_seen = *people.entry(who).or_insert_with(|| {
                    let area = scene
                        .areas_m2
                        .get(who as usize)
                        .copied()
                        .unwrap_or(PERSON_M2);
                    let px = area.sqrt() / (gsd_m * w as f64 / INPUT_COLUMNS);
                    wandering(*seed, u64::from(who), t_s, PERSON_MEMORY_S) < table.recall_at(px)
                });
                if is_seen { seen } else { missed }
            } else if open.get(usize::from(class)) == Some(&true)
                && at.is_some_and(|g| ghosts.iter().any(|q| is_near(q, &g)))
            {
                seen
            } else {
                rows.get(usize::from(class)).unwrap_or(missed)
            };
            let answer = at.and_then(|g| pick(list, &still, g)).unwrap_or(NOTHING);
            surfaces.extend_from_slice(&answer);
        }
    }

    /// Where people are seen that are none: at most one in each tile of ground at a time.
    fn ghosts(&self, view: &View, t_s: f64) -> Vec<GroundPoint> {
        let centre = view.optical_centre();
        let reach = view.camera_height_m() * 1.5;
        let tile = |v: f64| (v / GHOST_TILE_M).floor() as i64;
        let (north, east) = (centre.north(), centre.east());
        let chance = self.table.false_people_per_m2 * GHOST_TILE_M * GHOST_TILE_M;
        let mut found = Vec::new();
        for n in tile(north - reach)..=tile(north + reach) {
            for e in tile(east - reach)..=tile(east + reach) {
                let id = (n as u64).wrapping_mul(0x1_0001)
                    ^ (e as u64).wrapping_mul(0x2545_f491)
                    ^ 0xabcd;
                let draw = |k: u64| wandering(self.seed ^ k, id, t_s, GHOST_MEMORY_S);
                if draw(1) < chance {
                    // The place is drawn once: a ghost comes and goes, it does not walk.
                    let place = |k: u64| wandering(self.seed ^ k, id, 0.0, GHOST_MEMORY_S);
                    found.push(GroundPoint {
                        north_m: (n as f64 + place(2)) * GHOST_TILE_M,
                        east_m: (e as f64 + place(3)) * GHOST_TILE_M,
                    });
                }
            }
        }
        found
    }
}

impl Segmenter for TruthSegmenter {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError> {
        let Some((view, t_s, sight)) = self.next.take() else {
            return Err(InferenceError::Run(
                "no view was given for the frame".to_owned(),
            ));
        };
        out.seq = frame.seq;
        out.captured_at = frame.captured_at;
        (out.width, out.height) = GRID;
        (out.source_width, out.source_height) = frame.image.dimensions();
        out.class_count = 0;
        out.logits.clear();
        out.surfaces.clear();
        if sight == Sight::Nothing {
            for _ in 0..GRID.0 * GRID.1 {
                out.surfaces.extend_from_slice(&NOTHING);
            }
            return Ok(());
        }
        self.see(&view, t_s);
        let Some(errors) = &mut self.errors else {
            self.tell(&mut out.surfaces);
            return Ok(());
        };
        let scene = Scene {
            view: &view,
            t_s,
            classes: &self.classes,
            areas_m2: &self.areas_m2,
        };
        errors.speak(&scene, &mut out.surfaces);
        Ok(())
    }
}

/// Picture pixels a grid pixel, along x and y.
fn grid_scale(view: &View) -> (f64, f64) {
    let (w, h) = GRID;
    (
        f64::from(view.camera().width) / w as f64,
        f64::from(view.camera().height) / h as f64,
    )
}

/// The middle of a grid pixel in the picture.
fn grid_pixel(column: usize, row: usize, (sx, sy): (f64, f64)) -> Pixel {
    Pixel {
        x: (column as f64 + 0.5) * sx,
        y: (row as f64 + 0.5) * sy,
    }
}

/// No idea at all.
const NOTHING: Answer = [1.0 / Surface::COUNT as f32; Surface::COUNT];

/// From picture to ground in one matrix, where the lens allows it.
struct Below(Option<Matrix3<f64>>);

impl Below {
    fn of(view: &View) -> Self {
        Self(view.homography().and_then(nalgebra::Matrix::try_inverse))
    }

    fn at(&self, view: &View, px: Pixel) -> Option<GroundPoint> {
        let Some(ground_from_pixel) = &self.0 else {
            return view.ground_from_pixel(px);
        };
        let g = ground_from_pixel * Vector3::new(px.x, px.y, 1.0);
        // Rays above the horizon come out behind the camera.
        (g.z > 0.0).then(|| GroundPoint {
            north_m: g.x / g.z,
            east_m: g.y / g.z,
        })
    }
}

/// An answer as often as the network gave it, the same over a blob.
fn pick(list: &[Answer], still: &Still<'_>, at: GroundPoint) -> Option<Answer> {
    let part = |share: f32, n: usize| ((share * n as f32) as usize).min(n - 1);
    let index = part(still.sample(at, 0), LEVELS) * SHADES + part(still.sample(at, 1), SHADES);
    list.get(index).copied()
}

fn answers(rows: &[[u16; Surface::COUNT]]) -> Vec<Answer> {
    rows.iter()
        .map(|row| {
            let sum = row.iter().map(|p| f32::from(*p)).sum::<f32>().max(1.0);
            row.map(|p| f32::from(p) / sum)
        })
        .collect()
}

/// Grid columns and rows that may show the ground within `reach` metres of a place.
fn bounds(view: &View, at: GroundPoint, reach: f64, (sx, sy): (f64, f64)) -> Option<[usize; 4]> {
    let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
    for (n, e) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        let px = view.pixel_from_ground(GroundPoint {
            north_m: at.north_m + n * reach,
            east_m: at.east_m + e * reach,
        })?;
        for ((l, h), v) in low.iter_mut().zip(&mut high).zip([px.x / sx, px.y / sy]) {
            (*l, *h) = (l.min(v), h.max(v));
        }
    }
    let clip = |v: f64, end: usize| v.clamp(0.0, end as f64) as usize;
    let [left, top] = low.map(f64::floor);
    let [right, bottom] = high.map(f64::ceil);
    Some([
        clip(left, GRID.0),
        clip(top, GRID.1),
        clip(right, GRID.0),
        clip(bottom, GRID.1),
    ])
}

/// Which person covers each person pixel of the truth (numbers from 1), and the area of each.
fn people_of(world: &World) -> (HashMap<u32, u32>, Vec<f64>) {
    let (width, height) = world.truth.dimensions();
    let is_person: Vec<bool> = (0..=u8::MAX)
        .map(|i| world.class(i).is_some_and(|c| c.surface == Surface::Person))
        .collect();
    let pixels = world.truth.as_raw();
    let marked = |i: u32| {
        let class = pixels.get(i as usize).copied().unwrap_or(0);
        is_person.get(usize::from(class)).copied().unwrap_or(false)
    };
    let (mut people, mut areas) = (HashMap::new(), vec![0.0]);
    let mut stack = Vec::new();
    for start in (0..width * height).filter(|i| marked(*i)) {
        if people.contains_key(&start) {
            continue;
        }
        let id = areas.len() as u32;
        let mut count = 0_u32;
        people.insert(start, id);
        stack.push(start);
        while let Some(i) = stack.pop() {
            count += 1;
            let (x, y) = (i % width, i / width);
            for (u, v) in (x.saturating_sub(1)..=x + 1)
                .flat_map(|u| (y.saturating_sub(1)..=y + 1).map(move |v| (u, v)))
            {
                let j = v * width + u;
                if u < width && v < height && marked(j) && !people.contains_key(&j) {
                    people.insert(j, id);
                    stack.push(j);
                }
            }
        }
        areas.push(f64::from(count) * world.metres_per_pixel * world.metres_per_pixel);
    }
    (people, areas)
}

#[cfg(test)]
mod tests;
