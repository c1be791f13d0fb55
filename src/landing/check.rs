//! Whether a frame can be used at all, and where a disc of ground lies in its picture.

use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::SegmentationMap;
use crate::inference::classes::Surface;

/// Points on a site's circle that are looked up in the picture.
const CIRCLE: u32 = 32;

/// The disc's centre in the picture and the radius that covers it, pixels; `None` unless it lies wholly inside.
pub(super) fn disc_in_picture(
    view: &View,
    centre: GroundPoint,
    radius_m: f64,
) -> Option<(Pixel, f64)> {
    // The drawn circle is what people and checks see: all of it lies inside.
    disc_px(view, centre, radius_m).filter(|disc| is_inside(view, *disc))
}

/// The same wherever the disc lies; `None` when a part of it cannot be projected.
pub(super) fn disc_px(view: &View, centre: GroundPoint, radius_m: f64) -> Option<(Pixel, f64)> {
    let middle = view.pixel_from_ground(centre)?;
    let mut radius = 0.0_f64;
    for i in 0..CIRCLE {
        let a = std::f64::consts::TAU * f64::from(i) / f64::from(CIRCLE);
        let px = view.pixel_from_ground(GroundPoint {
            north_m: centre.north_m + radius_m * a.cos(),
            east_m: centre.east_m + radius_m * a.sin(),
        })?;
        radius = radius.max((px.x - middle.x).hypot(px.y - middle.y));
    }
    Some((middle, radius))
}

/// Whether a circle of pixels lies wholly inside the picture.
pub(super) fn is_inside(view: &View, (middle, radius): (Pixel, f64)) -> bool {
    let (w, h) = (
        f64::from(view.camera().width),
        f64::from(view.camera().height),
    );
    middle.x >= radius && middle.y >= radius && middle.x + radius <= w && middle.y + radius <= h
}

/// Whether lengths on the ground follow from the view: a finite pose above the ground that looks down.
pub(super) fn is_usable_view(view: &View) -> bool {
    let pose = view.pose();
    let height = pose.height_above_ground;
    let is_number = |x: f64| x.is_finite() && x >= 0.0;
    let corner = view.ground_from_pixel(Pixel {
        x: view.camera().cx,
        y: view.camera().cy,
    });
    view.camera_height_m().is_finite()
        && view.camera_height_m() > 0.0
        && height.metres > 0.0
        && pose.position.is_finite()
        && is_number(height.sd_m)
        && is_number(pose.position_sd_m)
        && is_number(pose.attitude_sd_rad)
        && corner.is_some_and(|g| g.north_m.is_finite() && g.east_m.is_finite())
}

/// Whether the segmentation map has the size that it claims.
pub(super) fn is_usable_map(seg: &SegmentationMap) -> bool {
    let cells = seg.width.checked_mul(seg.height);
    let floats = cells.and_then(|c| c.checked_mul(Surface::COUNT));
    floats.is_some_and(|n| n > 0 && n == seg.surfaces.len())
}
