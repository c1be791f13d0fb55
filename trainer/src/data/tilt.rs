//! What a tilt of the camera does to a picture of flat ground: lines that go away from the camera draw together.

use super::augment::Warp;

/// The focal length of a usual lens as a share of the picture's width: 71 degrees across.
const FOCAL: f32 = 0.7;
/// Tilts above this bring the horizon near the picture.
pub const MOST_DEGREES: f32 = 30.0;

impl Warp {
    /// The same view from a camera that is tilted by `angle` (radians, at most [`MOST_DEGREES`]) towards `direction` (radians from
    /// the picture's right, clockwise as rows count downwards). `width` is the whole picture's at the output's scale, pixels. The scale at
    /// the output's centre stays, but for the stretch along the tilt.
    ///
    /// From the pinhole camera: with `x` along the tilt, ground stretches by `1 / cos(angle)` along it, and everything by
    /// `1 / (1 - x / focal length * tan(angle))`.
    #[must_use]
    pub fn tilted(mut self, angle: f32, direction: f32, width: usize) -> Self {
        let (sin, cos) = direction.sin_cos();
        let slope = angle.tan() / (FOCAL * width as f32);
        self.vanish = [slope * cos, slope * sin];
        let more = 1.0 / angle.cos() - 1.0;
        let stretch = [
            1.0 + more * cos * cos,
            more * sin * cos,
            more * sin * cos,
            1.0 + more * sin * sin,
        ];
        self.matrix = product(self.matrix, stretch);
        self
    }
}

/// Of two matrices of two rows, row-major.
fn product(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: [f32; 2], b: [f32; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-2 && (a[1] - b[1]).abs() < 1e-2
    }

    /// A camera 100 units above the ground, focal length 70, tilted by 20 degrees to the right: rays computed one by one.
    #[test]
    fn a_tilt_is_what_rays_through_a_pinhole_say() {
        let angle = 20_f32.to_radians();
        let warp = Warp::whole((100, 60), (100, 60)).tilted(angle, 0.0, 100);
        let (sin, cos) = angle.sin_cos();
        for (x, y) in [(0.0, 0.0), (30.0, 10.0), (-50.0, 30.0), (50.0, -30.0)] {
            // The ray turned, where it meets the ground, from where the centre's ray does, at the centre's scale.
            let (right, down, away) = (x * cos + 70.0 * sin, y, 70.0 * cos - x * sin);
            let ground = [right / away - sin / cos, down / away];
            let expected = ground.map(|v| v * 70.0 * cos);
            let got = warp.source([x, y]);
            let got = [got[0] - 50.0, got[1] - 30.0];
            assert!(near(got, expected), "{x} {y}: {got:?}, not {expected:?}");
        }
    }

    #[test]
    fn no_tilt_changes_nothing_and_the_greatest_keeps_the_order_of_points() {
        let whole = Warp::whole((100, 60), (100, 60));
        assert_eq!(whole.tilted(0.0, 1.0, 100), whole);
        let most = whole.tilted(MOST_DEGREES.to_radians(), 0.6, 100);
        let mut last = most.source([-50.0, -30.0]);
        for i in 1..=100 {
            let next = most.source([-50.0 + i as f32, -30.0 + 0.6 * i as f32]);
            assert!(next[0] > last[0] && next[1] > last[1], "step {i}");
            last = next;
        }
    }
}
