//! The map with the sites: the ground as an embedded PNG, marks as SVG in metres.

use std::collections::BTreeMap;

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use maud::{Markup, html};

use super::{FrameRow, ReportMap, data_uri, key};
use crate::inference::classes::Surface;
use crate::landing::MapSnapshot;
use crate::record::{OutcomeKind, SiteLine};
use crate::view::{palette, round_length};

/// Longest side of the picture, pixels; larger maps are thinned out.
const LONGEST: usize = 800;
/// Width of the drawing, in its own units.
const WIDTH: f64 = 640.0;
/// Clearance at which ground is drawn at its brightest, metres.
const BRIGHT_M: f32 = 4.0;
/// Most sites drawn.
const SITES: usize = 60;

/// The cells that were seen: first column, first row, columns, rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// The section.
pub(super) fn section(map: &ReportMap, frames: &[FrameRow]) -> Markup {
    html! {
        section {
            h2 { "Map" }
            @match seen(&map.snapshot).and_then(|area| drawing(map, area, frames)) {
                Some(drawing) => {
                    (drawing)
                    p.legend {
                        @for s in present(&map.snapshot) { (key(&format!("s-{}", s.name()), palette::label(s))) }
                    }
                    p.note { "North is up. Landable ground is brighter the farther it lies from hazards. Numbers are site ids." }
                },
                None => { p.quiet { "Nothing was mapped." } },
            }
        }
    }
}

/// Surfaces on the map, unknown left out.
fn present(map: &MapSnapshot) -> impl Iterator<Item = Surface> {
    let mut found = [false; Surface::COUNT];
    for cell in &map.surface {
        if let Some(f) = found.get_mut(usize::from(*cell)) {
            *f = true;
        }
    }
    Surface::ALL
        .into_iter()
        .zip(found)
        .filter_map(|(s, f)| (f && s != Surface::Unknown).then_some(s))
}

fn surface_at(map: &MapSnapshot, column: usize, row: usize) -> Surface {
    let cell = map.surface.get(row * map.width + column).copied();
    cell.and_then(|c| Surface::ALL.get(usize::from(c)).copied())
        .unwrap_or(Surface::Unknown)
}

/// The smallest box around what is known, with a little room; `None` when nothing is or the map does not fit its size.
fn seen(map: &MapSnapshot) -> Option<Seen> {
    let cells = map.width.checked_mul(map.height)?;
    if !(map.cell_m > 0.0 && map.cell_m.is_finite()) || map.surface.len() != cells {
        return None;
    }
    let (mut left, mut top, mut right, mut bottom) = (map.width, map.height, 0, 0);
    for row in 0..map.height {
        for column in 0..map.width {
            if surface_at(map, column, row) != Surface::Unknown {
                left = left.min(column);
                right = right.max(column + 1);
                top = top.min(row);
                bottom = bottom.max(row + 1);
            }
        }
    }
    let room = (right.max(bottom) / 40).min(5);
    let (left, top) = (left.saturating_sub(room), top.saturating_sub(room));
    let (right, bottom) = (
        (right + room).min(map.width),
        (bottom + room).min(map.height),
    );
    (right > left && bottom > top).then(|| Seen {
        left,
        top,
        width: right - left,
        height: bottom - top,
    })
}

/// The ground as PNG: colours of the surfaces, landable ground by clearance, unknown transparent.
fn png(map: &MapSnapshot, area: Seen) -> Option<Vec<u8>> {
    let stride = area.width.max(area.height).div_ceil(LONGEST).max(1);
    let (w, h) = (area.width.div_ceil(stride), area.height.div_ceil(stride));
    let mut pixels = Vec::with_capacity(w * h * 4);
    for row in (0..area.height).step_by(stride) {
        for column in (0..area.width).step_by(stride) {
            let (column, row) = (area.left + column, area.top + row);
            let surface = surface_at(map, column, row);
            let clearance = map.clearance_m.get(row * map.width + column);
            pixels.extend_from_slice(&cell_colour(surface, clearance.copied().unwrap_or(0.0)));
        }
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, w as u32, h as u32, ExtendedColorType::Rgba8)
        .ok()?;
    Some(bytes)
}

fn cell_colour(surface: Surface, clearance_m: f32) -> [u8; 4] {
    let [r, g, b] = palette::surface(surface);
    match surface {
        Surface::Unknown => [0; 4],
        Surface::Firm | Surface::Soft => {
            let light = 0.5 + 0.5 * (clearance_m / BRIGHT_M).clamp(0.0, 1.0);
            let [r, g, b] = [r, g, b].map(|c| (f32::from(c) * light) as u8);
            [r, g, b, 255]
        }
        _ => [r, g, b, 255],
    }
}

/// From metres to the drawing's units.
#[derive(Debug, Clone, Copy)]
struct Sheet {
    west_m: f64,
    north_m: f64,
    units_per_m: f64,
    height: f64,
}

impl Sheet {
    fn new(map: &MapSnapshot, area: Seen) -> Self {
        let units_per_m = WIDTH / (area.width as f64 * map.cell_m);
        Self {
            west_m: map.east_min_m + area.left as f64 * map.cell_m,
            north_m: map.north_max_m - area.top as f64 * map.cell_m,
            units_per_m,
            height: WIDTH * area.height as f64 / area.width as f64,
        }
    }

    fn place(&self, site: &SiteLine) -> Option<[f64; 2]> {
        let x = (site.east_m - self.west_m) * self.units_per_m;
        let y = (self.north_m - site.north_m) * self.units_per_m;
        ((0.0..=WIDTH).contains(&x) && (0.0..=self.height).contains(&y)).then_some([x, y])
    }
}

fn drawing(map: &ReportMap, area: Seen, frames: &[FrameRow]) -> Option<Markup> {
    let sheet = Sheet::new(&map.snapshot, area);
    let ground = data_uri("image/png", &png(&map.snapshot, area)?);
    let sites = sites(map, frames);
    let scale_m = round_length(WIDTH / 4.0 / sheet.units_per_m);
    Some(html! {
        svg.map viewBox={ "0 0 " (WIDTH) " " (round(sheet.height)) } role="img" aria-label="Map of the ground with the sites" {
            image href=(ground) x="0" y="0" width=(WIDTH) height=(round(sheet.height)) preserveAspectRatio="none" {}
            @for (site, offered) in sites {
                @if let Some([x, y]) = sheet.place(site) { (mark(site, offered, [x, y], sheet.units_per_m)) }
            }
            g.furniture transform={ "translate(" (WIDTH - 26.0) " 30)" } {
                circle r="19" {}
                path.needle d="M0 -13L6 9L0 5L-6 9Z" {}
            }
            @if let Some(m) = scale_m {
                @let length = round(m * sheet.units_per_m);
                g.furniture transform={ "translate(14 " (round(sheet.height - 14.0)) ")" } {
                    rect x="-7" y="-27" width=(length + 14.0) height="34" rx="6" {}
                    path.ruler d={ "M0 -5V0H" (length) "V-5" } {}
                    text x=(length / 2.0) y="-9" { (m) " m" }
                }
            }
        }
    })
}

fn mark(site: &SiteLine, outcome: OutcomeKind, [x, y]: [f64; 2], units_per_m: f64) -> Markup {
    let tone = match outcome {
        OutcomeKind::Site => "go",
        OutcomeKind::Hold => "wait",
    };
    let r = site.radius_m * units_per_m;
    let r = if r.is_finite() {
        r.clamp(3.0, WIDTH)
    } else {
        3.0
    };
    html! {
        g.site.(tone) {
            title {
                "site " (site.id) " (" (site.state.name()) ")\n"
                (format!("{:.1} m north, {:.1} m east\n{} · belief {:.2} · clearance {:.1} m",
                    site.north_m, site.east_m, site.surface.name(), site.belief, site.clearance_m))
            }
            circle.halo cx=(round(x)) cy=(round(y)) r=(round(r)) {}
            circle.disc cx=(round(x)) cy=(round(y)) r=(round(r)) {}
            text x=(round(x)) y=(round(y + 4.5)) { (site.id) }
        }
    }
}

/// Each site of the map's frames as last seen, and whether it was ever offered; the latest ids if there are too many.
fn sites<'a>(map: &ReportMap, frames: &'a [FrameRow]) -> Vec<(&'a SiteLine, OutcomeKind)> {
    let mut by_id: BTreeMap<u32, (&SiteLine, OutcomeKind)> = BTreeMap::new();
    for frame in frames {
        let line = &frame.line;
        if let Some(site) = line
            .site
            .as_ref()
            .filter(|_| map.frames.contains(&line.seq))
        {
            let before = by_id.get(&site.id).map_or(OutcomeKind::Hold, |b| b.1);
            let offered = match (before, line.outcome) {
                (OutcomeKind::Hold, OutcomeKind::Hold) => OutcomeKind::Hold,
                _ => OutcomeKind::Site,
            };
            by_id.insert(site.id, (site, offered));
        }
    }
    let skip = by_id.len().saturating_sub(SITES);
    by_id.into_values().skip(skip).collect()
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: usize, height: usize, known: &[(usize, usize, Surface)]) -> MapSnapshot {
        let mut surface = vec![Surface::Unknown as u8; width * height];
        for (column, row, s) in known {
            surface[row * width + column] = *s as u8;
        }
        MapSnapshot {
            north_max_m: 10.0,
            east_min_m: -4.0,
            cell_m: 0.5,
            width,
            height,
            surface,
            clearance_m: vec![1.0; width * height],
        }
    }

    #[test]
    fn the_drawing_is_cut_to_what_was_seen() {
        let m = map(
            100,
            80,
            &[(10, 20, Surface::Firm), (49, 39, Surface::Water)],
        );
        let room = 50 / 40;
        assert_eq!(
            seen(&m),
            Some(Seen {
                left: 10 - room,
                top: 20 - room,
                width: 40 + 2 * room,
                height: 20 + 2 * room
            })
        );
    }

    #[test]
    fn nothing_seen_or_a_torn_map_is_no_drawing() {
        assert_eq!(seen(&map(9, 9, &[])), None);
        assert_eq!(seen(&MapSnapshot::default()), None);
        let mut torn = map(9, 9, &[(1, 1, Surface::Firm)]);
        torn.surface.pop();
        assert_eq!(seen(&torn), None);
        let mut flat = map(9, 9, &[(1, 1, Surface::Firm)]);
        flat.cell_m = f64::NAN;
        assert_eq!(seen(&flat), None);
    }

    #[test]
    fn huge_maps_are_thinned_out() {
        let m = map(
            3000,
            20,
            &[(0, 0, Surface::Firm), (2999, 19, Surface::Firm)],
        );
        let bytes = png(&m, seen(&m).unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (750, 5));
    }

    #[test]
    fn unknown_is_transparent_and_clearance_brightens() {
        assert_eq!(cell_colour(Surface::Unknown, 9.0)[3], 0);
        let near = cell_colour(Surface::Soft, 0.0);
        let far = cell_colour(Surface::Soft, 9.0);
        assert!(near[1] < far[1] && far[..3] == palette::surface(Surface::Soft));
        assert_eq!(cell_colour(Surface::Soft, f32::NAN)[3], 255);
    }

    #[test]
    fn north_is_up_and_east_is_right() {
        let m = map(40, 40, &[(0, 0, Surface::Firm), (39, 39, Surface::Firm)]);
        let sheet = Sheet::new(&m, seen(&m).unwrap());
        let mut site = crate::view::report::tests::line(0, OutcomeKind::Site)
            .site
            .unwrap();
        (site.north_m, site.east_m) = (10.0, -4.0);
        assert_eq!(sheet.place(&site), Some([0.0, 0.0]));
        (site.north_m, site.east_m) = (-10.0, 16.0);
        assert_eq!(sheet.place(&site), Some([640.0, 640.0]));
        site.north_m = 11.0;
        assert_eq!(sheet.place(&site), None);
        site.north_m = f64::NAN;
        assert_eq!(sheet.place(&site), None);
    }
}
