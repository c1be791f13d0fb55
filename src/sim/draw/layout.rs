//! What lies where: street, park, garden, field, car park.

use super::buildings::House;
use super::canvas::{Area, Point, class, mix, shape};
use super::ground::Kind;
use super::scene::{Scene, bent};
use super::{cars, plants, things, water};

const GREEN: [Kind; 4] = [Kind::Lawn, Kind::Mown, Kind::Meadow, Kind::DryGrass];
const HARD: [Kind; 5] = [
    Kind::Asphalt,
    Kind::Concrete,
    Kind::Slabs,
    Kind::Pavers,
    Kind::Grit,
];
/// Where plants grow.
pub(super) const SOIL: [u8; 2] = [class::GRASS, class::DIRT];

/// A road through the canvas with pavements and kerbs, houses and gardens on both sides.
pub(super) fn street(s: &mut Scene) {
    let lawn = s.ground(&GREEN);
    s.canvas.cover(&lawn);
    s.wear();
    let axis = s.dice.direction();
    let (side, reach) = (axis.across(), s.canvas.size().length());
    let middle = s
        .canvas
        .centre()
        .plus(side.times(s.dice.between(-0.35, 0.35) * s.canvas.size().y));
    let half = s.dice.between(2.4, 3.6);
    let bow = side.times(s.dice.between(-0.08, 0.08) * reach);
    let way = bent(
        middle.minus(axis.times(reach)),
        middle.plus(bow),
        middle.plus(axis.times(reach)),
    );
    plots(s, middle, axis, half);
    road(s, &way, half, axis);
    if s.dice.chance(0.3)
        && let Some(at) = s.place(6.0, &SOIL)
    {
        let r = s.dice.between(2.0, 5.0);
        water::pond(&mut s.canvas, &mut s.dice, s.sun, at, r);
    }
    s.grove(0.004);
    s.bushes(0.006);
    let lane = half - 1.1;
    for i in -6..6 {
        let at = middle.plus(axis.times(i as f32 * 7.0 + s.dice.between(-1.5, 1.5)));
        let at = at.plus(side.times(if s.dice.chance(0.5) { lane } else { -lane }));
        if s.dice.chance(0.30) && s.canvas.lies_on(at, 1.5, &[class::PAVED]) {
            s.car(at, axis);
        }
    }
}

fn road(s: &mut Scene, way: &[Point], half: f32, axis: Point) {
    let area = s.canvas.everywhere();
    let walk = s
        .ground(&[Kind::Slabs, Kind::Pavers, Kind::Asphalt, Kind::Concrete])
        .along(axis);
    let width = s.dice.between(1.0, 2.0);
    let kerb = s.ground(&[Kind::Concrete]).along(axis);
    let tar = s.ground(&[Kind::Asphalt]);
    s.canvas
        .lay(area, &walk, |p| shape::line(p, way, half + 0.15 + width));
    s.canvas
        .lay(area, &kerb, |p| shape::line(p, way, half + 0.15));
    s.canvas.lay(area, &tar, |p| shape::line(p, way, half));
    if s.dice.chance(0.5) {
        let worn = s.dice.noise();
        s.canvas.tint(
            area,
            |p| {
                shape::line(p, way, 0.07).max(if p.dot(axis).rem_euclid(4.0) < 2.2 {
                    -1.0
                } else {
                    0.1
                })
            },
            |below, p| {
                mix(
                    below,
                    [0.85, 0.85, 0.82],
                    0.6 + 0.35 * worn.at(3.0 * p.x, 3.0 * p.y),
                )
            },
        );
    }
}

/// Houses with drives and gardens on both sides of a road.
fn plots(s: &mut Scene, middle: Point, axis: Point, half: f32) {
    let pitch = s.dice.between(15.0, 20.0);
    let start = s.dice.between(-0.5, 0.5) * pitch;
    for (sign, i) in [-1.0, 1.0]
        .into_iter()
        .flat_map(|k| (-6..=6).map(move |i| (k, i)))
    {
        let side = axis.across().times(sign);
        let size = Point::new(s.dice.between(4.2, 6.0), s.dice.between(3.2, 4.4));
        let back = half + 3.0 + s.dice.between(2.0, 5.0) + size.y;
        let along = start + i as f32 * pitch;
        let centre = middle.plus(axis.times(along)).plus(side.times(back));
        if !s.near_canvas(centre, 16.0) || s.dice.chance(0.12) {
            continue;
        }
        let drive = s.ground(&HARD).along(axis);
        let gate = middle
            .plus(axis.times(along + size.x + 1.8))
            .plus(side.times(half));
        let end = gate.plus(side.times(back - half + 1.0));
        s.canvas.lay(s.canvas.everywhere(), &drive, |p| {
            shape::capsule(p, gate, end, 1.6)
        });
        let terrace = s.ground(&HARD).along(axis);
        let behind = centre.plus(side.times(size.y + 1.5));
        let patio = Point::new(size.x * s.dice.between(0.4, 0.9), 2.2);
        s.canvas.lay(Area::around(behind, 8.0), &terrace, |p| {
            shape::slab(p.seen_from(behind, axis), patio, 0.1)
        });
        let house = House::new(&mut s.dice, centre, axis, size);
        s.houses.push(house);
        garden_edges(s, (centre, axis, side), pitch, (back, half));
        if s.dice.chance(0.35) {
            let at = end.minus(side.times(2.8));
            s.late_cars.push((at, side));
        }
        if s.dice.chance(0.25) {
            let at = behind.plus(side.times(5.0));
            let half = Point::new(s.dice.between(1.8, 3.6), s.dice.between(1.2, 1.9));
            water::pool(&mut s.canvas, &mut s.dice, at, axis, half);
        }
    }
}

/// Hedge or fence between a plot and the next, and along the street.
fn garden_edges(
    s: &mut Scene,
    (centre, axis, side): (Point, Point, Point),
    pitch: f32,
    (back, half): (f32, f32),
) {
    let x = axis.times(0.5 * pitch);
    let front = centre.plus(side.times(half + 3.0 - back));
    let rear = centre.plus(side.times(12.0));
    let line = match s.dice.below(4) {
        0 => vec![front.minus(x), rear.minus(x)],
        1 => vec![front.minus(x), rear.minus(x), rear.plus(x)],
        2 => vec![front.plus(x.times(0.3)), front.minus(x), rear.minus(x)],
        _ => return,
    };
    if s.dice.chance(0.5) {
        s.hedges.push(line);
    } else {
        s.fences.push(line);
    }
}

/// Grass with winding paths, groups of trees, now and then a pond.
pub(super) fn park(s: &mut Scene) {
    let lawn = s.ground(&GREEN);
    s.canvas.cover(&lawn);
    s.wear();
    if s.dice.chance(0.45) {
        let r = s.dice.between(0.10, 0.22) * s.canvas.size().y.min(50.0);
        let at = s.anywhere();
        water::pond(&mut s.canvas, &mut s.dice, s.sun, at, r);
    }
    let gravel = s.ground(&[
        Kind::Grit,
        Kind::Asphalt,
        Kind::Pebbles,
        Kind::Dirt,
        Kind::Pavers,
    ]);
    for _ in 0..=s.dice.below(3) {
        let way = s.crossing();
        let width = s.dice.between(0.6, 1.7);
        s.canvas.lay(s.canvas.everywhere(), &gravel, |p| {
            shape::line(p, &way, width)
        });
    }
    if s.dice.chance(0.5) {
        square(s);
    }
    s.grove(0.012);
    s.bushes(0.010);
}

/// A paved place.
fn square(s: &mut Scene) {
    let at = s.anywhere();
    let floor = s.ground(&HARD);
    let axis = s.dice.direction();
    let half = Point::new(s.dice.between(2.0, 8.0), s.dice.between(2.0, 6.0));
    let corner = s.dice.between(0.05, 1.0) * half.y.min(half.x);
    let area = Area::around(at, half.length());
    s.canvas.lay(area, &floor.along(axis), |p| {
        shape::slab(p.seen_from(at, axis), half, corner)
    });
}

/// The near side of a house: terrace, lawn, beds, gravel strips, perhaps a pool.
pub(super) fn garden(s: &mut Scene) {
    let lawn = s.ground(&[
        Kind::Lawn,
        Kind::Mown,
        Kind::DryGrass,
        Kind::Grit,
        Kind::Meadow,
    ]);
    s.canvas.cover(&lawn);
    s.wear();
    let axis = s.dice.direction();
    let size = s.canvas.size();
    let edge = s.dice.between(-0.3, 0.25) * size.y;
    let origin = s.canvas.centre().plus(axis.across().times(edge));
    let floor = s
        .ground(&[
            Kind::Slabs,
            Kind::Boards,
            Kind::Pavers,
            Kind::Asphalt,
            Kind::Asphalt,
            Kind::Concrete,
        ])
        .along(axis);
    let strip = s.ground(&[Kind::Pebbles, Kind::Pebbles, Kind::Grit, Kind::Dirt]);
    let wave = s.dice.noise();
    let bow = if s.dice.chance(0.5) { 1.6 } else { 0.0 };
    let border = |p: Point| {
        let q = p.seen_from(origin, axis);
        q.y + bow * wave.at(0.12 * q.x, 0.5)
    };
    let width = s.dice.between(0.3, 1.2);
    let all = s.canvas.everywhere();
    s.canvas.lay(all, &strip, |p| border(p) - width);
    s.canvas.lay(all, &floor, border);
    let behind = s.dice.between(4.0, 7.0);
    if size.y > 12.0 || s.dice.chance(0.5) {
        let half = Point::new(s.dice.between(5.0, 9.0), s.dice.between(3.5, 5.0));
        let x = s.dice.between(-0.3, 0.3) * size.x;
        let centre = Point::new(x, -behind - half.y).placed(origin, axis);
        let house = House::new(&mut s.dice, centre, axis, half);
        s.houses.push(house);
    }
    if s.dice.chance(0.35) {
        let at = Point::new(s.dice.between(-0.3, 0.3) * size.x, -2.6).placed(origin, axis);
        let half = Point::new(s.dice.between(1.6, 3.2), s.dice.between(1.0, 1.7));
        water::pool(&mut s.canvas, &mut s.dice, at, axis, half);
    }
    beds(s, origin, axis);
    s.grove(0.006);
    s.bushes(0.03);
}

/// Planted beds and stone walls along the border of a garden, and a fence at its end.
fn beds(s: &mut Scene, origin: Point, axis: Point) {
    for _ in 0..=s.dice.below(3) {
        let y = if s.dice.chance(0.5) {
            1.2
        } else {
            s.dice.between(3.0, 9.0)
        };
        let at = Point::new(s.dice.between(-0.5, 0.5) * s.canvas.size().x, y).placed(origin, axis);
        let half = Point::new(s.dice.between(1.0, 5.0), s.dice.between(0.4, 1.0));
        let rough = s.dice.noise();
        let sdf = |p: Point| {
            shape::slab(p.seen_from(at, axis), half, 0.3)
                + 0.15 * rough.octaves(1.5 * p.x, 1.5 * p.y, 3)
        };
        plants::bed(
            &mut s.canvas,
            &mut s.dice,
            s.sun,
            Area::around(at, half.length()),
            sdf,
        );
    }
    if s.dice.chance(0.6) {
        let y = s.dice.between(4.0, 10.0);
        let reach = s.canvas.size().x;
        s.fences.push(vec![
            Point::new(-reach, y).placed(origin, axis),
            Point::new(reach, y).placed(origin, axis),
        ]);
    }
}

/// Open land: meadow, furrows, a track, bushes, a brook.
pub(super) fn field(s: &mut Scene) {
    let axis = s.dice.direction();
    let land = s.ground(&[
        Kind::Meadow,
        Kind::DryGrass,
        Kind::DryGrass,
        Kind::Lawn,
        Kind::Dirt,
    ]);
    s.canvas.cover(&land);
    s.wear();
    let all = s.canvas.everywhere();
    if s.dice.chance(0.5) {
        let crop = s
            .ground(&[Kind::Furrows, Kind::Meadow, Kind::Dirt, Kind::Mown])
            .along(axis.across());
        let origin = s.anywhere();
        let rough = s.dice.noise();
        s.canvas.lay(all, &crop, |p| {
            p.minus(origin).dot(axis.across()) + 0.5 * rough.octaves(0.7 * p.x, 0.7 * p.y, 3)
        });
    }
    if s.dice.chance(0.7) {
        let way = s.crossing();
        let track = s.ground(&[Kind::Dirt, Kind::Grit, Kind::Asphalt, Kind::Dirt]);
        let rough = s.dice.noise();
        let half = s.dice.between(0.5, 1.6);
        s.canvas.lay(all, &track, |p| {
            shape::line(p, &way, half) + 0.35 * rough.octaves(1.1 * p.x, 1.1 * p.y, 4)
        });
    }
    if s.dice.chance(0.3) {
        let way = s.crossing();
        let half = s.dice.between(0.5, 1.6);
        water::brook(&mut s.canvas, &mut s.dice, s.sun, &way, half);
    }
    if s.dice.chance(0.5) {
        let way = s.crossing();
        s.fences.push(way);
    }
    s.grove(0.004);
    s.bushes(0.012);
}

/// A paved yard with bays, islands of green, a hall at its side.
pub(super) fn car_park(s: &mut Scene) {
    let tar = s.ground(&[
        Kind::Asphalt,
        Kind::Asphalt,
        Kind::Concrete,
        Kind::Grit,
        Kind::Pavers,
    ]);
    s.canvas.cover(&tar);
    let axis = s.dice.direction();
    let green = s.ground(&GREEN);
    let corner = s.dice.noise();
    let edge = s.dice.between(0.1, 0.4) * s.canvas.size().y;
    let centre = s.canvas.centre();
    s.canvas.lay(s.canvas.everywhere(), &green, |p| {
        let q = p.seen_from(centre, axis);
        edge + 0.4 * corner.at(0.3 * q.x, 0.0) - q.y
    });
    s.wear();
    let rows = 1 + s.dice.below(3);
    for i in 0..rows {
        let y = edge - 6.0 - i as f32 * 11.5 + s.dice.between(-0.8, 0.8);
        let from = Point::new(-0.5 * s.canvas.size().x, y).placed(centre, axis);
        let bays = (s.canvas.size().x / 2.6) as u32;
        cars::parking(&mut s.canvas, &mut s.dice, s.sun, (from, axis), bays);
    }
    if s.dice.chance(0.5) {
        let half = Point::new(s.dice.between(6.0, 12.0), s.dice.between(4.0, 7.0));
        let at = Point::new(0.0, edge + 4.0 + half.y).placed(centre, axis);
        let hall = House::new(&mut s.dice, at, axis, half);
        s.houses.push(hall);
    }
    s.grove(0.006);
    s.bushes(0.01);
}

/// What may lie about anywhere: stones, things, people, dogs, bicycles, markers.
pub(super) fn sprinkle(s: &mut Scene) {
    let open = [class::PAVED, class::DIRT, class::GRASS, class::GRAVEL];
    let area = s.canvas.size().x * s.canvas.size().y;
    let people = (0.006 * area).clamp(1.0, 7.0);
    let axis = s.dice.direction();
    if s.dice.chance(0.35)
        && let Some(at) = s.place(1.2, &[class::GRASS, class::DIRT, class::GRAVEL])
    {
        let reach = s.dice.between(0.3, 1.4);
        things::rocks(&mut s.canvas, &mut s.dice, s.sun, at, reach);
    }
    if s.dice.chance(0.15)
        && let Some(at) = s.place(0.9, &open)
    {
        things::marker(&mut s.canvas, &mut s.dice, at, axis);
    }
    for _ in 0..s.dice.count(0.5 * people) {
        if let Some(at) = s.place(1.3, &open) {
            things::obstacle(&mut s.canvas, &mut s.dice, s.sun, at, axis);
        }
    }
    for _ in 0..s.dice.count(0.5) {
        s.bicycle(&open);
    }
    for _ in 0..s.dice.count(0.4) {
        s.dog(&open);
    }
    for _ in 0..s.dice.count(people) {
        s.person(&open);
    }
}
