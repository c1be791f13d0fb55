//! From the network's picture to looks at map cells.
//!
//! Each cell that lies wholly inside the picture looks up the part of the segmentation map that its square covers. What
//! the ground is made of is the mean over that part; people, posts, cars and obstacles may be smaller than a cell, so
//! for them the worst pixel counts.

use super::belief::{Beliefs, LANES, Lanes, Looks, UNKNOWN};
use super::grid::{CellId, CellRect};
use super::map::{SemanticMap, States};
use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// Points along each side of the picture whose ground positions bound the footprint.
const BORDER_POINTS: u32 = 16;

/// Surfaces that may be smaller than a cell (a fence's post is a structure): the worst pixel counts, not the mean.
const WORST_CASE: [Surface; 5] = [
    Surface::Structure,
    Surface::Vehicle,
    Surface::Person,
    Surface::Obstacle,
    Surface::Unknown,
];

/// What a pixel or a cell needs to be of a dangerous mover to be remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct MoverThresholds {
    /// Probability of a person or an animal.
    pub(super) person: f32,
    /// Probability of a vehicle.
    pub(super) vehicle: f32,
}

/// Projects pictures onto the map. Owns the memory for one row of cell corners.
#[derive(Debug)]
pub(super) struct Projector {
    /// Corners of the row of cells in work: south side, then north side; in segmentation pixels.
    south: Vec<Option<[f32; 2]>>,
    north: Vec<Option<[f32; 2]>>,
    movers: MoverThresholds,
    full_weight_cos2: f32,
    pools: Pools,
    looks: Looks,
    work: States,
}

impl Projector {
    pub(super) fn new(
        side: usize,
        movers: MoverThresholds,
        full_weight_off_nadir_deg: f64,
    ) -> Self {
        let cos = full_weight_off_nadir_deg.to_radians().cos();
        Self {
            south: vec![None; side + 1],
            north: vec![None; side + 1],
            movers,
            full_weight_cos2: (cos * cos) as f32,
            pools: Pools::new(),
            looks: Looks::new(),
            work: States::new(),
        }
    }

    /// Gives every cell in view one look; returns the rectangle that bounds the picture's ground inside the map.
    pub(super) fn project(
        &mut self,
        seg: &SegmentationMap,
        view: &View,
        map: &mut SemanticMap,
        at: MonoTime,
    ) -> CellRect {
        map.begin_look(at);
        let rect = footprint(view, map.cell_m()).intersection(&map.window());
        if rect.is_empty() {
            return rect;
        }
        let scale = [
            seg.width as f64 / f64::from(view.camera().width),
            seg.height as f64 / f64::from(view.camera().height),
        ];
        let cell_m = map.cell_m();
        let ahead = Ahead {
            view,
            homography: view.homography(),
            cell_m,
            scale,
        };
        self.corners(rect.cell(0, 0), rect.columns, &ahead);
        for row in 0..rect.rows {
            std::mem::swap(&mut self.south, &mut self.north);
            self.corners(rect.cell(row + 1, 0), rect.columns, &ahead);
            let mut column = 0;
            while column < rect.columns {
                let first = rect.cell(row, column);
                let ids = (column..rect.columns).map(|c| (c, rect.cell(row, c)));
                self.pool(seg, ids, &ahead);
                // A cell that is not in the picture is passed over.
                column += self.pools.len.max(1);
                if self.pools.len > 0 {
                    self.pools.settle(self.movers, &mut self.looks);
                    map.observe(first, &self.looks, at, &mut self.work);
                }
            }
        }
        map.mark_seen(&rect);
        rect
    }

    /// Pools the pixels of the next few cells of the row in work, up to the first that is out of view.
    fn pool(
        &mut self,
        seg: &SegmentationMap,
        ids: impl Iterator<Item = (usize, CellId)>,
        ahead: &Ahead<'_>,
    ) {
        self.pools.len = 0;
        for (column, id) in ids.take(LANES) {
            let Some(area) = self.area(column) else { break };
            let weight = self.weight(ahead.cos2_off_nadir(id.centre(ahead.cell_m)), &area);
            self.pools.add(seg, &area, weight);
        }
    }

    /// Fills the north side with the corners along a row, starting at the south-west corner of `first`.
    fn corners(&mut self, first: CellId, columns: usize, ahead: &Ahead<'_>) {
        let north_m = f64::from(first.north) * ahead.cell_m;
        for (i, corner) in self.north.iter_mut().take(columns + 1).enumerate() {
            let east_m = (f64::from(first.east) + i as f64) * ahead.cell_m;
            *corner = ahead.look(GroundPoint { north_m, east_m });
        }
    }

    /// The part of the segmentation map that bounds a cell of the row in work; `None` when a corner is out of view.
    fn area(&self, column: usize) -> Option<Area> {
        let mut area = Area::EMPTY;
        for side in [&self.south, &self.north] {
            for c in side.get(column..column + 2)? {
                area.take((*c)?);
            }
        }
        Some(area)
    }

    /// Oblique looks and pixels coarser than a cell tell less.
    fn weight(&self, cos2: f32, area: &Area) -> f32 {
        let angle = (cos2 / self.full_weight_cos2.max(1e-6)).min(1.0);
        let pixels = ((area.u1 - area.u0) * (area.v1 - area.v0)).max(0.0);
        angle * pixels.sqrt().min(1.0)
    }
}

/// The way from the ground to the segmentation map, for one frame.
struct Ahead<'a> {
    view: &'a View,
    /// The quick way, when the lens is straight.
    homography: Option<nalgebra::Matrix3<f64>>,
    cell_m: f64,
    scale: [f64; 2],
}

impl Ahead<'_> {
    /// Squared cosine of the angle between straight down and a place, as seen from the vehicle.
    fn cos2_off_nadir(&self, g: GroundPoint) -> f32 {
        let centre = self.view.optical_centre();
        let (n, e) = (g.north_m - centre.north(), g.east_m - centre.east());
        let h2 = self.view.camera_height_m().powi(2);
        (h2 / (h2 + n * n + e * e)) as f32
    }

    /// Where a ground point appears, in segmentation pixels; `None` outside the picture.
    fn look(&self, g: GroundPoint) -> Option<[f32; 2]> {
        let px = match &self.homography {
            Some(h) => {
                let p = h * nalgebra::Vector3::new(g.north_m, g.east_m, 1.0);
                (p.z > 0.0).then(|| Pixel {
                    x: p.x / p.z,
                    y: p.y / p.z,
                })
            }
            None => self.view.pixel_from_ground(g),
        };
        let px = px.filter(|px| self.view.camera().contains(*px))?;
        Some([(px.x * self.scale[0]) as f32, (px.y * self.scale[1]) as f32])
    }
}

/// A rectangle in the segmentation map, in its pixels.
#[derive(Debug, Clone, Copy)]
struct Area {
    u0: f32,
    v0: f32,
    u1: f32,
    v1: f32,
}

impl Area {
    const EMPTY: Self = Self {
        u0: f32::INFINITY,
        v0: f32::INFINITY,
        u1: f32::NEG_INFINITY,
        v1: f32::NEG_INFINITY,
    };

    fn take(&mut self, [u, v]: [f32; 2]) {
        self.u0 = self.u0.min(u);
        self.v0 = self.v0.min(v);
        self.u1 = self.u1.max(u);
        self.v1 = self.v1.max(v);
    }
}

/// The cells that bound the picture's ground; the whole map when a border ray misses the ground.
fn footprint(view: &View, cell_m: f64) -> CellRect {
    let (w, h) = (
        f64::from(view.camera().width),
        f64::from(view.camera().height),
    );
    let everything = CellRect::spanning(
        CellId {
            north: i32::MIN / 4,
            east: i32::MIN / 4,
        },
        CellId {
            north: i32::MAX / 4,
            east: i32::MAX / 4,
        },
    );
    let mut rect = CellRect::default();
    for i in 0..BORDER_POINTS {
        let t = f64::from(i) / f64::from(BORDER_POINTS - 1);
        for (x, y) in [(t * w, 0.0), (t * w, h), (0.0, t * h), (w, t * h)] {
            let Some(g) = view.ground_from_pixel(Pixel { x, y }) else {
                return everything;
            };
            let id = CellId::of(g, cell_m);
            rect = rect.union(&CellRect::spanning(id, id));
        }
    }
    // A bent border may bulge a little between two of the points.
    rect.grown(1)
}

/// What the network says of some neighbouring cells, before it is made a distribution.
#[derive(Debug)]
struct Pools {
    len: usize,
    /// Sum over the touched pixels, weighted by how much of each is covered.
    sums: Beliefs,
    /// Largest probability of each surface.
    worst: Beliefs,
    /// Sum of the weights.
    covered: Lanes,
    /// How much each look tells.
    weight: Lanes,
}

impl Pools {
    const fn new() -> Self {
        Self {
            len: 0,
            sums: [[0.0; LANES]; Surface::COUNT],
            worst: [[0.0; LANES]; Surface::COUNT],
            covered: [1.0; LANES],
            weight: [0.0; LANES],
        }
    }

    /// Adds a cell: the pixels that its area touches. Nothing is added beyond [`LANES`].
    fn add(&mut self, seg: &SegmentationMap, area: &Area, weight: f32) {
        let mut sums = [0.0_f32; Surface::COUNT];
        let mut worst = [0.0_f32; Surface::COUNT];
        let mut covered = 0.0_f32;
        let (first_u, last_u) = touched(area.u0, area.u1, seg.width);
        let (first_v, last_v) = touched(area.v0, area.v1, seg.height);
        for v in first_v..=last_v {
            let tall = overlap(v, area.v0, area.v1);
            let row = v * seg.width;
            let range = Surface::COUNT * (row + first_u)..Surface::COUNT * (row + last_u + 1);
            let pixels = seg.surfaces.get(range).unwrap_or_default();
            let (pixels, _) = pixels.as_chunks::<{ Surface::COUNT }>();
            for (u, pixel) in (first_u..=last_u).zip(pixels) {
                let share = tall * overlap(u, area.u0, area.u1);
                for ((m, w), &p) in sums.iter_mut().zip(&mut worst).zip(pixel) {
                    *m += share * p;
                    *w = greater(p, *w);
                }
                covered += share;
            }
        }
        let lane = self.len;
        let lanes = self.sums.iter_mut().zip(&mut self.worst);
        for ((s, w), (sum, worst)) in lanes.zip(sums.into_iter().zip(worst)) {
            if let (Some(s), Some(w)) = (s.get_mut(lane), w.get_mut(lane)) {
                (*s, *w) = (sum, worst);
            }
        }
        if let (Some(c), Some(w)) = (self.covered.get_mut(lane), self.weight.get_mut(lane)) {
            (*c, *w) = (covered, weight);
            self.len += 1;
        }
    }

    /// Makes the sums distributions; unknown where the segmentation map is not usable.
    fn settle(&mut self, movers: MoverThresholds, looks: &mut Looks) {
        let mut total = [0.0_f32; LANES];
        let mut least = [0.0_f32; LANES];
        let kinds = self.sums.iter().zip(&self.worst).zip(Surface::ALL);
        for (out, ((sums, worst), surface)) in looks.surfaces.iter_mut().zip(kinds) {
            let is_worst_case = WORST_CASE.contains(&surface);
            let given = sums.iter().zip(worst).zip(&self.covered);
            let own = out.iter_mut().zip(&mut total).zip(&mut least);
            for (((p, total), least), ((sum, worst), covered)) in own.zip(given) {
                let mean = sum / covered;
                let most = greater(*worst, mean);
                *p = if is_worst_case { most } else { mean };
                *total += *p;
                *least = if *p < *least { *p } else { *least };
            }
        }
        for (out, unknown) in looks.surfaces.iter_mut().zip(UNKNOWN) {
            for ((p, total), least) in out.iter_mut().zip(&total).zip(&least) {
                *p = if is_usable(*total, *least) {
                    *p / total
                } else {
                    unknown
                };
            }
        }
        looks.len = self.len;
        looks.weight = self.weight;
        let reach = |out: &mut [bool; LANES], surface: Surface, threshold: f32| {
            let worst = self.worst.get(surface as usize);
            let usable = total.iter().zip(&least);
            for ((out, p), (total, least)) in
                out.iter_mut().zip(worst.into_iter().flatten()).zip(usable)
            {
                *out = is_usable(*total, *least) && *p >= threshold;
            }
        };
        reach(&mut looks.has_person, Surface::Person, movers.person);
        reach(&mut looks.has_vehicle, Surface::Vehicle, movers.vehicle);
    }
}

/// Whether a sum of probabilities and the least of them can be those of a distribution.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch, it vectorises"
)]
fn is_usable(total: f32, least: f32) -> bool {
    (total > 0.5) & (total < f32::INFINITY) & (least >= 0.0)
}

/// The first one if it is greater; one instruction, and what is no number changes nothing, as with `max`.
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// First and last pixel that an interval touches, inside `0..count`.
fn touched(from: f32, to: f32, count: usize) -> (usize, usize) {
    // 32 bits are quicker to convert, and no map has more pixels along a side.
    let end = count.saturating_sub(1) as i32;
    let (first, whole) = (from as i32, to as i32);
    let last = whole + i32::from(to > whole as f32) - 1;
    let first = first.clamp(0, end);
    (first as usize, last.clamp(first, end) as usize)
}

/// Length of pixel `i` inside an interval; a hair for an interval without length.
fn overlap(i: usize, from: f32, to: f32) -> f32 {
    let start = i as i32 as f32;
    ((start + 1.0).min(to) - start.max(from)).max(1e-6)
}
