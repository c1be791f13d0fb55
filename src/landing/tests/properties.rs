//! What holds for any segmentation.

use proptest::prelude::*;

use super::scene::{SEGMENTATION, Scene, is_site, landing, one_look, sure_of};
use crate::geometry::GroundPoint;
use crate::inference::classes::Surface;
use crate::landing::{SiteState, Verdict};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_site_has_danger_under_its_disc_nor_lacks_the_monitors_word(
        blocks in prop::collection::vec((0_usize..9, 0.3_f32..1.0), 96),
        odd in prop::option::of(0_usize..(192 * 128 * 9)),
    ) {
        let mut scene = Scene::plain(Surface::Firm);
        let (w, h) = SEGMENTATION;
        let mut surfaces = Vec::with_capacity(w * h * Surface::COUNT);
        for i in 0..w * h {
            let (kind, p) = blocks[(i % w) / 16 + 12 * ((i / w) / 16)];
            // Most blocks are firm, else there is never a site.
            let kind = if p > 0.55 { Surface::Firm } else { Surface::ALL[kind] };
            surfaces.extend(sure_of(kind, p.max(0.5)));
        }
        for (i, s) in surfaces.iter_mut().enumerate() {
            let block = blocks[((i / 9) % w) / 16 + 12 * (((i / 9) / w) / 16)];
            if block.1 > 0.55 {
                *s = sure_of(Surface::Firm, 0.97)[i % 9];
            }
        }
        if let Some(i) = odd {
            surfaces[i] = f32::NAN;
        }
        scene.segmentation.surfaces = surfaces;
        let decision = scene.step(&mut landing(one_look()));
        if is_site(&decision) {
            prop_assert_eq!(decision.monitor, Verdict::Go);
            let site = decision.site.unwrap();
            prop_assert_eq!(site.state, SiteState::Confirmed);
            for i in 0..400 {
                let (a, r) = (f64::from(i) * 2.4, site.radius_m * (f64::from(i) / 400.0).sqrt());
                let g = GroundPoint { north_m: site.north_m + r * a.cos(), east_m: site.east_m + r * a.sin() };
                let px = scene.view.pixel_from_ground(g).unwrap();
                let p = scene.segmentation.surfaces_at((px.x / 2.0) as usize, (px.y / 2.0) as usize).unwrap();
                prop_assert!(p[0] + p[1] > 0.7, "{:?} under {:?}", p, site);
            }
        }
    }
}
