//! Whether a place is still believed: looks, identity, resistance to switching.
//!
//! A track is a place fixed in the world. Each picture that holds its whole disc is a look, good or bad; M good ones of
//! the last N confirm it. When ground under the disc becomes hazardous the track is dropped at once, whatever it was.
//! A watched place keeps its track and the track's identity, and is held on to while nothing speaks against it; a hazard
//! under its disc takes all its looks away.

use super::config::TrackConfig;
use super::grid::CellId;
use super::selector::{Place, Selector};
use super::survey::{Standpoint, Survey};
use crate::time::MonoTime;

/// Most places watched at the same time.
const CAPACITY: usize = 24;

/// A place that is being watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) id: u32,
    /// As last seen.
    pub(super) place: Place,
    /// Last looks, the newest in bit 0; 1 = good.
    looks: u32,
    /// Nothing speaks against it now.
    pub(super) is_valid: bool,
    /// When its disc was last wholly in a picture.
    seen_at: MonoTime,
}

/// What the tracker needs to know of this frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) survey: &'a Survey,
    pub(super) selector: &'a Selector,
    pub(super) stand: &'a Standpoint,
    /// When the frame was captured.
    pub(super) captured_at: MonoTime,
    /// Speed of the vehicle, metres a second.
    pub(super) speed_mps: f64,
    /// The place that somebody asked to watch.
    pub(super) watched: Option<WatchLook>,
}

/// What a frame and the map say of the watched place.
#[derive(Debug, Clone, Copy)]
pub(super) struct WatchLook {
    pub(super) place: Place,
    /// It has the clearance and the belief that a candidate needs.
    pub(super) is_clear: bool,
    /// No hazard under its disc.
    pub(super) is_clean: bool,
}

/// Keeps the tracks and the site that is held on to.
#[derive(Debug)]
pub(super) struct Tracker {
    config: TrackConfig,
    needed_m: f64,
    cell_m: f64,
    tracks: Vec<Track>,
    next_id: u32,
    target: Option<u32>,
    /// The track of the watched place.
    watched: Option<u32>,
    /// The rival that beats the target, and for how many frames in a row.
    rival: Option<(u32, u32)>,
}

impl Tracker {
    pub(super) fn new(config: &TrackConfig, needed_m: f64, cell_m: f64) -> Self {
        Self {
            config: config.clone(),
            needed_m,
            cell_m,
            tracks: Vec::with_capacity(CAPACITY),
            next_id: 1,
            target: None,
            watched: None,
            rival: None,
        }
    }

    /// Forgets all sites; identities are not used again.
    pub(super) fn clear(&mut self) {
        self.tracks.clear();
        self.target = None;
        self.watched = None;
        self.rival = None;
    }

    /// Good looks among the last N.
    pub(super) fn confirmations(&self, track: &Track) -> u32 {
        let window = u32::MAX >> (32 - self.config.looks_window.clamp(1, 32));
        (track.looks & window).count_ones()
    }

    /// Whether M of the last N looks were good.
    pub(super) fn is_confirmed(&self, track: &Track) -> bool {
        self.confirmations(track) >= self.config.looks_to_confirm
    }

    /// The site held on to.
    pub(super) fn target(&self) -> Option<u32> {
        self.target
    }

    /// The track of the watched place.
    pub(super) fn watched(&self) -> Option<&Track> {
        self.tracks.iter().find(|t| Some(t.id) == self.watched)
    }

    /// All tracks, best score first.
    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Takes in one frame: looks again at each track, then at the best places of the picture.
    pub(super) fn update(&mut self, moment: &Moment<'_>) {
        self.follow(moment);
        self.look_again(moment);
        for place in moment.selector.best() {
            self.take(place, moment);
        }
        let keep = self.config.looks_window.clamp(1, 32);
        // A track without one good look left is gone.
        self.tracks.retain(|t| {
            t.is_valid || t.looks & (u32::MAX >> (32 - keep)) != 0 || Some(t.id) == self.watched
        });
        self.tracks.sort_unstable_by(|a, b| {
            b.is_valid
                .cmp(&a.is_valid)
                .then(b.place.score.total_cmp(&a.place.score))
                .then(a.id.cmp(&b.id))
        });
        self.choose();
    }

    /// Finds or starts the track of the watched place, and looks at it again.
    fn follow(&mut self, m: &Moment<'_>) {
        let before = self.watched.take();
        let Some(look) = m.watched else { return };
        let (gate, cell_m) = (self.config.same_site_m, self.cell_m);
        let near = |t: &Track| distance_m(t.place.id, look.place.id, cell_m);
        let found = self
            .tracks
            .iter()
            .filter(|t| near(t) <= gate)
            .min_by(|a, b| {
                let rank = |t: &Track| (Some(t.id) != before, near(t));
                let ((oa, da), (ob, db)) = (rank(a), rank(b));
                oa.cmp(&ob).then(da.total_cmp(&db))
            })
            .map(|t| t.id);
        let id = match found {
            Some(id) => id,
            None if self.tracks.len() < CAPACITY || self.make_room() => {
                self.start(look.place, 0, m.captured_at)
            }
            None => return,
        };
        self.watched = Some(id);
        let Some(track) = self.tracks.iter_mut().find(|t| t.id == id) else {
            return;
        };
        track.place = look.place;
        track.is_valid = look.is_clear;
        if look.place.in_picture {
            track.seen_at = track.seen_at.max(m.captured_at);
            track.looks = track.looks << 1 | u32::from(look.is_clear);
        }
        if !look.is_clean {
            track.looks = 0;
        }
    }

    /// Starts a track with its first looks; gives its identity.
    fn start(&mut self, place: Place, looks: u32, seen_at: MonoTime) -> u32 {
        let id = self.next_id;
        self.tracks.push(Track {
            id,
            place,
            looks,
            is_valid: true,
            seen_at,
        });
        self.next_id = id.wrapping_add(1).max(1);
        id
    }

    fn look_again(&mut self, m: &Moment<'_>) {
        let (needed_m, drift) = (self.needed_m, self.config.drift_per_metre);
        let watched = self.watched;
        self.tracks.retain_mut(|track| {
            if Some(track.id) == watched {
                return true;
            }
            let id = track.place.id;
            let is_clean = m.survey.disc(id).is_some_and(|d| d.is_clean);
            if !is_clean || !m.survey.zone().contains(id) {
                return false;
            }
            let is_look = m.survey.is_in_picture(id);
            if is_look {
                track.seen_at = track.seen_at.max(m.captured_at);
            }
            // The frame's own age is part of the standpoint's error already.
            let age_s = m.captured_at.since(track.seen_at).as_secs_f64();
            let error_m = m.stand.error_at_m(id.centre(m.survey.cell_m()));
            let needed_m = needed_m + error_m + drift * age_s * m.speed_mps;
            let place = m
                .selector
                .place(m.survey, m.stand, id)
                .filter(|p| p.clearance_m >= needed_m);
            track.is_valid = place.is_some();
            track.place = place.unwrap_or(track.place);
            track.place.in_picture = is_look;
            if is_look {
                track.looks = track.looks << 1 | u32::from(track.is_valid);
            }
            true
        });
    }

    /// A place seen in this picture: a track known already, one that moved a little, or a new one.
    fn take(&mut self, place: &Place, m: &Moment<'_>) {
        let gate = self.config.same_site_m;
        let (cell_m, watched) = (self.cell_m, self.watched);
        let nearest = self
            .tracks
            .iter_mut()
            .map(|t| (distance_m(t.place.id, place.id, cell_m), t))
            .filter(|(d, _)| *d <= gate)
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, track)) = nearest {
            if !track.is_valid && Some(track.id) != watched {
                track.place = *place;
                track.is_valid = true;
                track.looks |= 1;
                track.seen_at = m.captured_at;
            }
            return;
        }
        if self.tracks.len() >= CAPACITY && !self.make_room() {
            return;
        }
        self.start(*place, 1, m.captured_at);
    }

    /// Drops the worst track that is not held on to.
    fn make_room(&mut self) -> bool {
        let worst = self
            .tracks
            .iter()
            .enumerate()
            .filter(|(_, t)| Some(t.id) != self.target && Some(t.id) != self.watched)
            .min_by(|(_, a), (_, b)| {
                a.is_valid
                    .cmp(&b.is_valid)
                    .then(a.place.score.total_cmp(&b.place.score))
            });
        let Some((index, _)) = worst else {
            return false;
        };
        self.tracks.swap_remove(index);
        true
    }

    /// Keeps the target unless it is gone, or a rival was clearly better for long enough. A watched place has no rival.
    fn choose(&mut self) {
        if let Some(id) = self.watched().filter(|t| t.is_valid).map(|t| t.id) {
            self.target = Some(id);
            self.rival = None;
            return;
        }
        let rank = |t: &Track| (self.is_confirmed(t), t.place.score);
        let best = self
            .tracks
            .iter()
            .filter(|t| t.is_valid)
            .max_by(|a, b| {
                let ((ca, sa), (cb, sb)) = (rank(a), rank(b));
                ca.cmp(&cb).then(sa.total_cmp(&sb)).then(b.id.cmp(&a.id))
            })
            .copied();
        let held = self
            .tracks
            .iter()
            .find(|t| Some(t.id) == self.target && t.is_valid)
            .copied();
        let (Some(best), Some(held)) = (best, held) else {
            self.rival = None;
            self.target = best.map(|t| t.id);
            return;
        };
        let is_better = best.place.score > held.place.score * self.config.switch_factor;
        let only_one_confirmed = self.is_confirmed(&best) && !self.is_confirmed(&held);
        if best.id == held.id || !(is_better || only_one_confirmed) {
            self.rival = None;
            return;
        }
        let looks = match self.rival {
            Some((id, looks)) if id == best.id => looks + 1,
            _ => 1,
        };
        self.rival = Some((best.id, looks));
        if looks >= self.config.switch_looks {
            self.target = Some(best.id);
            self.rival = None;
        }
    }

    /// Makes the tracker hold on to another site: the monitor objects to the one held so far.
    pub(super) fn hold_on_to(&mut self, id: u32) {
        if self.target != Some(id) {
            self.target = Some(id);
            self.rival = None;
        }
    }
}

/// Distance between two cells' centres, metres.
pub(super) fn distance_m(a: CellId, b: CellId, cell_m: f64) -> f64 {
    f64::from(a.north - b.north).hypot(f64::from(a.east - b.east)) * cell_m
}
