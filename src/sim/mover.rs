//! People and vehicles that follow a path through a world.

use serde::{Deserialize, Serialize};

use crate::geometry::{GroundPoint, Pixel};

/// What a mover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoverKind {
    /// On foot.
    Person,
    /// On wheels.
    Vehicle,
}

/// What walks or drives through a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mover {
    /// Person or vehicle.
    pub kind: MoverKind,
    /// The way as corner points in the picture's pixels, walked once from first to last.
    pub path_px: Vec<[f64; 2]>,
    /// Metres a second along the way.
    pub speed_mps: f64,
    /// When it starts to move, seconds; it stands at the first point before, and at the last point after its way.
    #[serde(default)]
    pub start_s: f64,
}

/// A mover at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MoverPosition {
    /// Person or vehicle.
    pub kind: MoverKind,
    /// Where its middle is.
    pub ground: GroundPoint,
    /// Where it faces, radians clockwise from north.
    pub heading_rad: f64,
}

impl Mover {
    /// Pixel position, and the unit vector (x, y of the picture) that it faces, at `t_s` seconds; `None` without a path.
    #[must_use]
    pub fn at(&self, t_s: f64, metres_per_pixel: f64) -> Option<(Pixel, [f64; 2])> {
        let mut left = (t_s - self.start_s).max(0.0) * self.speed_mps / metres_per_pixel;
        let mut here = *self.path_px.first()?;
        let mut ahead = [0.0, -1.0];
        for &next in self.path_px.get(1..)? {
            let (dx, dy) = (next[0] - here[0], next[1] - here[1]);
            let length = dx.hypot(dy);
            if length <= 0.0 {
                continue;
            }
            ahead = [dx / length, dy / length];
            if left < length {
                here = [here[0] + left * ahead[0], here[1] + left * ahead[1]];
                break;
            }
            left -= length;
            here = next;
        }
        let [x, y] = here;
        Some((Pixel { x, y }, ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walker() -> Mover {
        Mover {
            kind: MoverKind::Person,
            path_px: vec![[10.0, 10.0], [30.0, 10.0], [30.0, 50.0]],
            speed_mps: 1.5,
            start_s: 2.0,
        }
    }

    #[test]
    fn a_mover_covers_its_speed_in_metres_a_second() {
        // 0.1 m a pixel: 15 pixels a second.
        for (t, x, y) in [
            (0.0, 10.0, 10.0),
            (2.0, 10.0, 10.0),
            (3.0, 25.0, 10.0),
            (4.0, 30.0, 20.0),
        ] {
            let (px, _) = walker().at(t, 0.1).unwrap();
            assert!(
                (px.x - x).abs() < 1e-9 && (px.y - y).abs() < 1e-9,
                "{t}: {px:?}"
            );
        }
    }

    #[test]
    fn a_mover_faces_its_way_and_stays_at_the_end() {
        let (_, ahead) = walker().at(4.0, 0.1).unwrap();
        assert_eq!((ahead[0], ahead[1]), (0.0, 1.0));
        let (px, ahead) = walker().at(1e6, 0.1).unwrap();
        assert_eq!((px.x, px.y, ahead[0], ahead[1]), (30.0, 50.0, 0.0, 1.0));
    }

    #[test]
    fn a_mover_that_turns_on_the_spot_does_not_divide_by_zero() {
        let still = Mover {
            path_px: vec![[5.0, 6.0], [5.0, 6.0]],
            ..walker()
        };
        let (px, ahead) = still.at(9.0, 0.1).unwrap();
        assert_eq!((px.x, px.y, ahead), (5.0, 6.0, [0.0, -1.0]));
    }
}
