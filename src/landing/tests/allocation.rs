//! No allocation in a warm step. `alight bench` says how long one takes.

use super::scene::{Scene, disc, landing, pose};
use crate::alloc::allocations;
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::landing::LandingConfig;

#[test]
fn a_warm_step_does_not_allocate() {
    let before = allocations();
    let mut landing = landing(LandingConfig::default());
    assert!(allocations() > before, "the counter counts");
    let frames: Vec<Scene> = (0..8)
        .map(|i| {
            let at = f64::from(i);
            Scene::draw(
                pose(at, 0.8 * at, -0.5 * at, 15.0),
                disc(Surface::Person, 2.0, 1.0, 0.4),
            )
        })
        .collect();
    for (i, frame) in frames.iter().enumerate() {
        if i == 4 {
            landing.watch(Some(GroundPoint {
                north_m: 5.0,
                east_m: -4.0,
            }));
        }
        let before = allocations();
        let outcome = landing
            .step(&frame.input(), frame.segmentation.captured_at)
            .outcome;
        let made = allocations() - before;
        assert!(
            i == 0 || made == 0,
            "frame {i}: {made} allocations, {outcome:?}"
        );
    }
}
