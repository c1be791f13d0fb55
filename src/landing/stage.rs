//! The landing stage: one step a frame, from segmentation and pose to a decision.

mod watch;

use image::RgbImage;

use super::belief::LANES;
use super::check::{disc_in_picture, is_usable_map, is_usable_view};
use super::config::{ConfigError, LandingConfig};
use super::decision::{
    HoldReason, LandingDecision, MapSnapshot, MonitorReasons, Outcome, RejectCounts, Site,
    SiteState, Verdict,
};
use super::grid::{CellId, CellRect};
use super::hazard::{entropy as entropy_of, landable, most_believed};
use super::map::{CellState, SemanticMap, States};
use super::monitor::{Monitor, Patch, verdict};
use super::project::{MoverThresholds, Projector};
use super::selector::Selector;
use super::specks::Specks;
use super::survey::{Standpoint, Survey};
use super::tracker::{Moment, Track, Tracker, distance_m};
use crate::geometry::{GroundPoint, Pixel, View};
use crate::inference::SegmentationMap;
use crate::time::MonoTime;

/// Poses further apart in time say nothing of the present speed, seconds.
const SPEED_MAX_GAP_S: f64 = 5.0;

/// One frame.
#[derive(Debug, Clone, Copy)]
pub struct LandingInput<'a> {
    /// What the network says.
    pub segmentation: &'a SegmentationMap,
    /// How the picture looks at the ground: camera, mount and pose at the capture time.
    pub view: &'a View,
    /// The picture itself, for the monitor.
    pub picture: &'a RgbImage,
    /// Reading of a range sensor that looks down the body's z axis, metres, if there is one.
    pub range_m: Option<f64>,
}

/// What [`Landing::observe`] found out about a frame.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    stand: Standpoint,
    speed_mps: f64,
    footprint: CellRect,
}

/// Chooses where to land. Owns all its memory; [`Landing::step`] does not allocate once it has run for one frame.
///
/// ```
/// use alight::landing::{Landing, LandingConfig};
/// let mut landing = Landing::new(LandingConfig::default())?;
/// landing.start_new_map();
/// # Ok::<(), alight::landing::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Landing {
    config: LandingConfig,
    specks: Specks,
    projector: Projector,
    map: SemanticMap,
    survey: Survey,
    selector: Selector,
    tracker: Tracker,
    monitor: Monitor,
    /// Where the vehicle was, and when.
    last: Option<(GroundPoint, MonoTime)>,
    decision: LandingDecision,
    /// Cells of the sites in the decision.
    offered: Vec<CellId>,
    /// The place that somebody asked to watch.
    watch: Option<GroundPoint>,
}

impl Landing {
    /// Plans all memory.
    ///
    /// # Errors
    /// A setting outside its range, with its key.
    pub fn new(config: LandingConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let map = SemanticMap::new(config.map.clone());
        let side = map.side();
        let movers = MoverThresholds {
            person: config.hazard.person_threshold as f32,
            vehicle: config.hazard.vehicle_threshold as f32,
        };
        Ok(Self {
            specks: Specks::new(movers.person, config.hazard.person_least_m2),
            projector: Projector::new(side, movers, config.map.full_weight_off_nadir_deg),
            survey: Survey::new(&config, side),
            selector: Selector::new(&config, side),
            tracker: Tracker::new(&config.track, config.disc_radius_m(), config.map.cell_m),
            monitor: Monitor::new(&config.monitor),
            last: None,
            decision: empty_decision(config.select.alternates),
            offered: Vec::with_capacity(1 + config.select.alternates),
            watch: None,
            map,
            config,
        })
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn config(&self) -> &LandingConfig {
        &self.config
    }

    /// Decides on one frame. `now` is when it is decided; the frame was captured at the segmentation's time.
    pub fn step(&mut self, input: &LandingInput<'_>, now: MonoTime) -> &LandingDecision {
        match self.observe(input, now) {
            Ok(seen) => self.choose(input, &seen, now),
            Err(reason) => self.hold(
                input.segmentation.seq,
                input.segmentation.captured_at,
                reason,
            ),
        }
    }

    /// First half of [`Landing::step`]: puts what the frame shows on the map.
    ///
    /// # Errors
    /// Why nothing can be decided on this frame; the map is then as it was.
    pub fn observe(
        &mut self,
        input: &LandingInput<'_>,
        now: MonoTime,
    ) -> Result<Observation, HoldReason> {
        let seg = input.segmentation;
        if !is_usable_view(input.view) {
            return Err(HoldReason::NoPose);
        }
        if !is_usable_map(seg) {
            return Err(HoldReason::NoSegmentation);
        }
        let (stand, speed_mps) = self.standpoint(input.view, seg.captured_at, now);
        self.map.recentre(stand.below);
        let cleared = self.specks.clear(seg, input.view);
        let footprint = self
            .projector
            .project(cleared, input.view, &mut self.map, seg.captured_at);
        Ok(Observation {
            stand,
            speed_mps,
            footprint,
        })
    }

    /// Second half of [`Landing::step`]: searches the map, follows the sites, asks the monitor.
    pub fn choose(
        &mut self,
        input: &LandingInput<'_>,
        seen: &Observation,
        now: MonoTime,
    ) -> &LandingDecision {
        let seg = input.segmentation;
        let captured_at = seg.captured_at;
        let at = now.max(captured_at);
        let watched = self.watch.map(|g| CellId::of(g, self.config.map.cell_m));
        self.survey
            .look(&self.map, (seen.footprint, watched), &seen.stand, at);
        self.selector.search(&self.survey, &seen.stand, captured_at);
        let disc = self
            .watch
            .map(|g| self.watched_disc(g, input.view, seen, at.secs_since(captured_at)));
        let moment = Moment {
            survey: &self.survey,
            selector: &self.selector,
            stand: &seen.stand,
            captured_at,
            speed_mps: seen.speed_mps,
            watched: disc.map(|d| d.look),
        };
        self.tracker.update(&moment);
        self.monitor.begin_frame(input.picture, captured_at);
        self.begin_decision(seg.seq, captured_at);
        self.decision.watched = disc.map(|d| self.judge_watched(&d, input, at));
        self.offer(input, at);
        self.monitor.finish_frame(input.view, captured_at);
        &self.decision
    }

    /// A frame on which nothing can be decided: says why, and keeps map and sites as they are.
    pub fn hold(
        &mut self,
        seq: u64,
        captured_at: MonoTime,
        reason: HoldReason,
    ) -> &LandingDecision {
        self.begin_decision(seq, captured_at);
        self.decision.outcome = Outcome::Hold(reason);
        self.decision.monitor = Verdict::Wait;
        &self.decision
    }

    /// Forgets map, people, sites, the watched place and the frame before: the origin moved, or this frame cannot be joined to the last.
    pub fn start_new_map(&mut self) {
        self.map.clear();
        self.selector.clear();
        self.tracker.clear();
        self.monitor.forget_motion();
        self.last = None;
        self.watch = None;
    }

    /// The last frame's surroundings as a picture for people. Allocates.
    #[must_use]
    pub fn snapshot(&self) -> MapSnapshot {
        let rect = self.survey.zone();
        let at = self.decision.captured_at;
        let cell_m = self.config.map.cell_m;
        let mut surface = Vec::with_capacity(rect.len());
        let mut clearance_m = Vec::with_capacity(rect.len());
        for row in (0..rect.rows).rev() {
            for column in 0..rect.columns {
                let id = rect.cell(row, column);
                surface.push(most_believed(self.map.state(id, at)) as u8);
                clearance_m.push(self.survey.clearance_m(id) as f32);
            }
        }
        MapSnapshot {
            north_max_m: (f64::from(rect.north) + rect.rows as f64) * cell_m,
            east_min_m: f64::from(rect.east) * cell_m,
            cell_m,
            width: rect.columns,
            height: rect.rows,
            surface,
            clearance_m,
        }
    }

    /// Where the vehicle stands and how sure that is, and its speed in metres a second.
    fn standpoint(
        &mut self,
        view: &View,
        captured_at: MonoTime,
        now: MonoTime,
    ) -> (Standpoint, f64) {
        let pose = view.pose();
        let below = GroundPoint {
            north_m: pose.position.north(),
            east_m: pose.position.east(),
        };
        let speed_mps = self.last.map_or(0.0, |(from, then)| {
            let gap_s = captured_at.secs_since(then);
            let way = (below.north_m - from.north_m).hypot(below.east_m - from.east_m);
            if gap_s > 0.0 && gap_s <= SPEED_MAX_GAP_S {
                way / gap_s
            } else {
                0.0
            }
        });
        self.last = Some((below, captured_at));
        let height_m = view.camera_height_m();
        let age_s = now.since(captured_at).as_secs_f64();
        let error_m = pose.position_sd_m.hypot(pose.attitude_sd_rad * height_m)
            + self.config.track.drift_per_metre * age_s * speed_mps;
        let stand = Standpoint {
            below,
            height_m,
            error_m,
            error_per_m: pose.height_above_ground.sd_m / height_m,
        };
        (stand, speed_mps)
    }

    fn begin_decision(&mut self, seq: u64, captured_at: MonoTime) {
        let d = &mut self.decision;
        d.seq = seq;
        d.captured_at = captured_at;
        d.outcome = Outcome::Hold(HoldReason::NoCandidate);
        d.site = None;
        d.alternates.clear();
        d.rejected = RejectCounts::default();
        d.monitor = Verdict::Wait;
        d.monitor_reasons = MonitorReasons::default();
        d.watched = None;
    }

    /// Offers the site held on to, or, when the monitor objects to it, the next confirmed one with GO.
    fn offer(&mut self, input: &LandingInput<'_>, at: MonoTime) {
        let held = self
            .tracker
            .tracks()
            .iter()
            .find(|t| t.is_valid && Some(t.id) == self.tracker.target())
            .copied();
        if let Some(held) = held {
            let mut choice = (held, self.object(&held, input, at));
            let is_good =
                |(t, r): &(Track, MonitorReasons)| r.is_empty() && self.tracker.is_confirmed(t);
            if !is_good(&choice) {
                let others = self.tracker.tracks().iter();
                let other = others
                    .filter(|t| t.is_valid && t.id != held.id && self.tracker.is_confirmed(t))
                    .map(|t| (*t, self.object(t, input, at)))
                    .find(is_good);
                choice = other.unwrap_or(choice);
            }
            self.decide(choice, input.view);
        }
        let mut counts = RejectCounts::default();
        self.offered.clear();
        let offered = self.decision.site.iter().chain(&self.decision.alternates);
        self.offered
            .extend(offered.map(|s| cell_of(s, self.config.map.cell_m)));
        self.selector
            .count_rejects(&self.survey, &self.offered, &mut counts);
        self.decision.rejected = counts;
    }

    /// What the monitor has against a track.
    fn object(&self, track: &Track, input: &LandingInput<'_>, at: MonoTime) -> MonitorReasons {
        if let Some(watched) = self.decision.watched.filter(|w| w.site.id == track.id) {
            return watched.monitor_reasons;
        }
        let site = self.site(track, input.view);
        let (belief, entropy) = self.disc_belief(&site, at, |_| true);
        let patch = Patch {
            centre: GroundPoint {
                north_m: site.north_m,
                east_m: site.east_m,
            },
            radius_m: site.radius_m,
            belief,
            entropy,
            disc_px: site.px.map(|[x, y]| (Pixel { x, y }, site.radius_px)),
            is_watched: false,
        };
        self.monitor
            .judge(&patch, input.segmentation, input.view, input.range_m)
    }

    fn decide(&mut self, (chosen, reasons): (Track, MonitorReasons), view: &View) {
        let word = verdict(reasons);
        let is_confirmed = self.tracker.is_confirmed(&chosen);
        self.decision.outcome = match word {
            _ if !is_confirmed => Outcome::Hold(HoldReason::NotConfirmed),
            Verdict::Go => Outcome::Site,
            Verdict::Wait => Outcome::Hold(HoldReason::MonitorWait),
            Verdict::Abort => Outcome::Hold(HoldReason::MonitorAbort),
        };
        if self.decision.outcome == Outcome::Site {
            self.tracker.hold_on_to(chosen.id);
        }
        self.decision.monitor = word;
        self.decision.monitor_reasons = reasons;
        self.decision.site = Some(self.site(&chosen, view));
        let cell_m = self.config.map.cell_m;
        let apart = self.config.select.separation_m;
        for track in self.tracker.tracks() {
            if self.decision.alternates.len() >= self.config.select.alternates {
                break;
            }
            let is_apart =
                |s: &Site| distance_m(cell_of(s, cell_m), track.place.id, cell_m) >= apart;
            let is_new = self.decision.site.iter().all(is_apart)
                && self.decision.alternates.iter().all(is_apart);
            if track.is_valid && is_new {
                let site = self.site(track, view);
                self.decision.alternates.push(site);
            }
        }
    }

    /// A track as others see it.
    fn site(&self, track: &Track, view: &View) -> Site {
        let centre = track.place.id.centre(self.config.map.cell_m);
        let radius_m = self.config.disc_radius_m();
        let disc = disc_in_picture(view, centre, radius_m).filter(|_| track.place.in_picture);
        Site {
            id: track.id,
            state: if self.tracker.is_confirmed(track) {
                SiteState::Confirmed
            } else {
                SiteState::Candidate
            },
            north_m: centre.north_m,
            east_m: centre.east_m,
            radius_m,
            clearance_m: track.place.clearance_m,
            surface: track.place.surface,
            belief: track.place.belief,
            confirmations: self.tracker.confirmations(track),
            score: track.place.score,
            px: disc.map(|(px, _)| [px.x, px.y]),
            radius_px: disc.map_or(0.0, |(_, r)| r),
        }
    }

    /// Mean belief and mean normalised entropy of those of the map's cells in a disc that count.
    fn disc_belief(
        &self,
        site: &Site,
        at: MonoTime,
        counts: impl Fn(Option<&CellState>) -> bool,
    ) -> (f64, f64) {
        let cell_m = self.config.map.cell_m;
        let corner = |s: f64| {
            CellId::of(
                GroundPoint {
                    north_m: site.north_m + s * site.radius_m,
                    east_m: site.east_m + s * site.radius_m,
                },
                cell_m,
            )
        };
        let (mut belief, mut entropy, mut count) = (0.0, 0.0, 0.0);
        let rect = CellRect::spanning(corner(-1.0), corner(1.0));
        let mut states = States::new();
        for id in rect.cells() {
            let lane = (id.east - rect.east) as usize % LANES;
            if lane == 0 {
                self.map.states(id, LANES, at, &mut states);
            }
            let c = id.centre(cell_m);
            if (c.north_m - site.north_m).hypot(c.east_m - site.east_m) > site.radius_m {
                continue;
            }
            let state = states.cell(lane);
            if !counts(state.as_ref()) {
                continue;
            }
            count += 1.0;
            if let Some(state) = state {
                belief += f64::from(landable(&state));
                entropy += entropy_of(&state);
            } else {
                entropy += 1.0;
            }
        }
        (
            belief / f64::max(count, 1.0),
            entropy / f64::max(count, 1.0),
        )
    }
}

/// The cell at a site's centre.
fn cell_of(site: &Site, cell_m: f64) -> CellId {
    let (north_m, east_m) = (site.north_m, site.east_m);
    CellId::of(GroundPoint { north_m, east_m }, cell_m)
}

fn empty_decision(alternates: usize) -> LandingDecision {
    LandingDecision {
        seq: 0,
        captured_at: MonoTime::ZERO,
        outcome: Outcome::Hold(HoldReason::NoCandidate),
        site: None,
        alternates: Vec::with_capacity(alternates),
        rejected: RejectCounts::default(),
        monitor: Verdict::Wait,
        monitor_reasons: MonitorReasons::default(),
        watched: None,
    }
}
