//! Specks: what looks like a person but is smaller than one.
//!
//! Networks see people in table legs, markers and leaves, a few pixels at a time. Such a speck is an obstacle, and
//! nobody to keep metres away from. What touches the picture's border may be a part of somebody, and stays.

use crate::geometry::View;
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;

/// Finds specks and takes them for obstacles. Owns its memory.
#[derive(Debug)]
pub(super) struct Specks {
    /// Probability from which on a pixel shows a person.
    threshold: f32,
    /// Smaller blobs are no person, square metres on the ground.
    least_m2: f64,
    is_visited: Vec<bool>,
    /// Pixels of the blob at hand; those from `next` on still have neighbours to be looked at.
    blob: Vec<usize>,
    cleared: SegmentationMap,
}

impl Specks {
    pub(super) fn new(threshold: f32, least_m2: f64) -> Self {
        Self {
            threshold,
            least_m2,
            is_visited: Vec::new(),
            blob: Vec::new(),
            cleared: SegmentationMap::default(),
        }
    }

    /// The same picture with every speck an obstacle; the picture itself where there is none.
    pub(super) fn clear<'a>(
        &'a mut self,
        seg: &'a SegmentationMap,
        view: &View,
    ) -> &'a SegmentationMap {
        let side_m = view.camera_height_m() / view.camera().fx;
        let across = f64::from(view.camera().width) / seg.width.max(1) as f64;
        let along = f64::from(view.camera().height) / seg.height.max(1) as f64;
        let pixel_m2 = side_m * side_m * across * along;
        // Asked this way round, a number that is none clears nothing.
        let has_specks = self.least_m2 / pixel_m2 > 1.0;
        if !has_specks {
            return seg;
        }
        let pixels = seg.width * seg.height;
        self.is_visited.clear();
        self.is_visited.resize(pixels, false);
        self.blob.reserve(pixels);
        let mut has_copy = false;
        for first in 0..pixels {
            self.blob.clear();
            self.visit(seg, first);
            if self.blob.is_empty() {
                continue;
            }
            let touches_border = self.follow(seg);
            if touches_border || self.blob.len() as f64 * pixel_m2 >= self.least_m2 {
                continue;
            }
            if !has_copy {
                has_copy = true;
                self.copy(seg);
            }
            self.turn_into_obstacle();
        }
        if has_copy { &self.cleared } else { seg }
    }

    fn is_person(&self, seg: &SegmentationMap, pixel: usize) -> bool {
        let at = pixel * Surface::COUNT + Surface::Person as usize;
        seg.surfaces.get(at).is_some_and(|p| *p >= self.threshold)
    }

    /// Adds to the blob whatever hangs together with its first pixel; `true` when it touches the border.
    fn follow(&mut self, seg: &SegmentationMap) -> bool {
        let (mut next, mut touches_border) = (0, false);
        while let Some(&pixel) = self.blob.get(next) {
            next += 1;
            let (x, y) = (pixel % seg.width, pixel / seg.width);
            touches_border |= x == 0 || y == 0 || x + 1 == seg.width || y + 1 == seg.height;
            for v in y.saturating_sub(1)..=(y + 1).min(seg.height - 1) {
                for u in x.saturating_sub(1)..=(x + 1).min(seg.width - 1) {
                    self.visit(seg, v * seg.width + u);
                }
            }
        }
        touches_border
    }

    /// Adds a pixel that shows a person and belongs to no blob yet.
    fn visit(&mut self, seg: &SegmentationMap, pixel: usize) {
        if !self.is_person(seg, pixel) {
            return;
        }
        if let Some(is_visited) = self.is_visited.get_mut(pixel).filter(|v| !**v) {
            *is_visited = true;
            self.blob.push(pixel);
        }
    }

    /// Without the logits: nobody asks for classes here.
    fn copy(&mut self, seg: &SegmentationMap) {
        let c = &mut self.cleared;
        (c.seq, c.captured_at) = (seg.seq, seg.captured_at);
        (c.width, c.height) = (seg.width, seg.height);
        (c.source_width, c.source_height) = (seg.source_width, seg.source_height);
        c.surfaces.clone_from(&seg.surfaces);
    }

    fn turn_into_obstacle(&mut self) {
        for pixel in &self.blob {
            let start = pixel * Surface::COUNT;
            let surfaces = self.cleared.surfaces.get_mut(start..start + Surface::COUNT);
            let Some(surfaces) = surfaces else { continue };
            let person = surfaces.get_mut(Surface::Person as usize);
            let p = person.map_or(0.0, std::mem::take);
            if let Some(obstacle) = surfaces.get_mut(Surface::Obstacle as usize) {
                *obstacle += p;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{CameraModel, CameraMount};
    use crate::time::MonoTime;
    use crate::vehicle::Pose;
    use rstest::rstest;

    const SIZE: (usize, usize) = (160, 100);

    fn view(height_m: f64) -> View {
        let camera = CameraModel::from_hfov(320, 200, 70.0).unwrap();
        let pose = Pose::level_nadir(MonoTime::ZERO, height_m);
        View::new(camera, &CameraMount::nadir(), pose)
    }

    /// People, as squares of so many pixels a side at these corners.
    fn people(squares: &[(usize, usize, usize)]) -> SegmentationMap {
        let mut surfaces = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(SIZE.0 * SIZE.1);
        for &(x, y, side) in squares {
            for (u, v) in (0..side).flat_map(|v| (0..side).map(move |u| (x + u, y + v))) {
                let pixel = (v * SIZE.0 + u) * Surface::COUNT;
                surfaces[pixel] = 0.3;
                surfaces[pixel + Surface::Person as usize] = 0.6;
                surfaces[pixel + Surface::Obstacle as usize] = 0.1;
            }
        }
        SegmentationMap {
            width: SIZE.0,
            height: SIZE.1,
            surfaces,
            ..SegmentationMap::default()
        }
    }

    /// What a pixel is after clearing, if it is anything but ground.
    fn at(cleared: &SegmentationMap, x: usize, y: usize) -> Option<Surface> {
        let p = cleared.surfaces_at(x, y).unwrap();
        [Surface::Person, Surface::Obstacle]
            .into_iter()
            .find(|s| p[*s as usize] > 0.5)
    }

    #[rstest]
    // At 15 m a pixel of the map is 13 cm: 0.0172 m2.
    #[case::a_speck(15.0, (80, 50, 2), Surface::Obstacle)]
    #[case::a_person(15.0, (80, 50, 3), Surface::Person)]
    #[case::a_foot_at_the_border(15.0, (0, 50, 2), Surface::Person)]
    #[case::a_corner(15.0, (158, 98, 2), Surface::Person)]
    #[case::the_same_pixels_from_higher_up(40.0, (80, 50, 2), Surface::Person)]
    #[case::a_large_blob_close_to_the_ground(5.0, (80, 50, 7), Surface::Obstacle)]
    fn what_is_smaller_than_a_person_is_an_obstacle(
        #[case] height_m: f64,
        #[case] square: (usize, usize, usize),
        #[case] expected: Surface,
    ) {
        let seg = people(&[square]);
        let mut specks = Specks::new(0.35, 0.12);
        let cleared = specks.clear(&seg, &view(height_m));
        assert_eq!(at(cleared, square.0, square.1), Some(expected));
        let sum: f32 = cleared
            .surfaces_at(square.0, square.1)
            .unwrap()
            .iter()
            .sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn specks_go_and_people_stay_in_the_same_picture() {
        let seg = people(&[(20, 20, 2), (60, 60, 5), (100, 30, 1)]);
        let mut specks = Specks::new(0.35, 0.12);
        let cleared = specks.clear(&seg, &view(15.0));
        assert_eq!(at(cleared, 20, 20), Some(Surface::Obstacle));
        assert_eq!(at(cleared, 62, 62), Some(Surface::Person));
        assert_eq!(at(cleared, 100, 30), Some(Surface::Obstacle));
        assert_eq!(at(cleared, 5, 5), None);
        // The next picture has nothing of this one.
        let other = people(&[(30, 30, 5)]);
        let cleared = specks.clear(&other, &view(15.0));
        assert_eq!(at(cleared, 20, 20), None);
        assert_eq!(at(cleared, 32, 32), Some(Surface::Person));
    }

    #[test]
    fn pixels_that_touch_at_a_corner_hang_together() {
        let seg = people(&[(50, 50, 2), (52, 52, 2)]);
        let mut specks = Specks::new(0.35, 0.12);
        let cleared = specks.clear(&seg, &view(15.0));
        assert_eq!(at(cleared, 50, 50), Some(Surface::Person));
    }

    #[test]
    fn without_a_least_size_nothing_is_touched() {
        let seg = people(&[(80, 50, 1)]);
        let mut specks = Specks::new(0.35, 0.0);
        let cleared = specks.clear(&seg, &view(15.0));
        assert_eq!(at(cleared, 80, 50), Some(Surface::Person));
    }
}
