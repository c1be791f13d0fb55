//! What the landing stage says, once a frame. All of it is plain data that needs no allocation to be filled.

use crate::inference::classes::Surface;
use crate::time::MonoTime;

/// Whether there is a place to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A confirmed site, and the monitor says GO.
    Site,
    /// Stay where you are, and why.
    Hold(HoldReason),
}

/// Why no site is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// No place in view passes every check.
    NoCandidate,
    /// The best place has not been seen often enough.
    NotConfirmed,
    /// The monitor wants to wait.
    MonitorWait,
    /// The monitor vetoes.
    MonitorAbort,
    /// No pose or no height for this frame: no metric claim can be made.
    NoPose,
    /// The network failed on this frame.
    NoSegmentation,
}

impl HoldReason {
    /// Plain words for people and files.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoCandidate => "no safe patch in view",
            Self::NotConfirmed => "best patch not yet confirmed",
            Self::MonitorWait => "monitor waits",
            Self::MonitorAbort => "monitor vetoes",
            Self::NoPose => "no pose or height for the frame",
            Self::NoSegmentation => "the network failed on the frame",
        }
    }
}

/// How far we believe in a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// Seen, not yet often enough.
    Candidate,
    /// Confirmed over M of N looks.
    Confirmed,
}

/// A disc of ground where the drone could stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    /// Keeps its value while the site is the same place.
    pub id: u32,
    /// Candidate or confirmed.
    pub state: SiteState,
    /// Centre, metres north of the map's origin.
    pub north_m: f64,
    /// Centre, metres east of the map's origin.
    pub east_m: f64,
    /// Vehicle radius + margin, metres.
    pub radius_m: f64,
    /// Distance from the centre to the nearest hazard after its buffer is taken off, metres.
    pub clearance_m: f64,
    /// The commonest landable surface in the disc.
    pub surface: Surface,
    /// Mean probability, over the disc, that the ground is landable.
    pub belief: f64,
    /// Looks that confirmed it.
    pub confirmations: u32,
    /// What the selector ranked it by; larger is better.
    pub score: f64,
    /// Centre in the source picture, pixels; `None` when outside the picture.
    pub px: Option<[f64; 2]>,
    /// Radius in the source picture, pixels: covers `radius_m`.
    pub radius_px: f64,
}

/// Why a place was not offered. Each cell of ground that could hold the disc's centre is counted once, under the first
/// reason that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SiteReject {
    /// Not seen, or forgotten.
    Unknown = 0,
    /// A person or an animal is too near.
    NearPerson = 1,
    /// A vehicle is too near.
    NearVehicle = 2,
    /// Water is too near.
    NearWater = 3,
    /// A building or fence is too near.
    NearStructure = 4,
    /// Trees or bushes are too near.
    NearVegetation = 5,
    /// Another obstacle is too near.
    NearObstacle = 6,
    /// Unknown ground, or the edge of what was seen, is too near.
    NearUnknown = 7,
    /// The belief that it is landable is too low.
    LowBelief = 8,
    /// A better candidate is too near (non-maximum suppression).
    Suppressed = 9,
    /// The disc would not lie wholly inside the picture.
    OutsidePicture = 10,
}

impl SiteReject {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All, in index order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Unknown,
        Self::NearPerson,
        Self::NearVehicle,
        Self::NearWater,
        Self::NearStructure,
        Self::NearVegetation,
        Self::NearObstacle,
        Self::NearUnknown,
        Self::LowBelief,
        Self::Suppressed,
        Self::OutsidePicture,
    ];

    /// The key used in files.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NearPerson => "near_person",
            Self::NearVehicle => "near_vehicle",
            Self::NearWater => "near_water",
            Self::NearStructure => "near_structure",
            Self::NearVegetation => "near_vegetation",
            Self::NearObstacle => "near_obstacle",
            Self::NearUnknown => "near_unknown",
            Self::LowBelief => "low_belief",
            Self::Suppressed => "suppressed",
            Self::OutsidePicture => "outside_picture",
        }
    }
}

/// How many places were rejected for each reason (map cells).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectCounts([u32; SiteReject::COUNT]);

impl RejectCounts {
    /// Counts one more.
    pub fn add(&mut self, reason: SiteReject) {
        if let Some(n) = self.0.get_mut(reason as usize) {
            *n = n.saturating_add(1);
        }
    }

    /// Cells rejected for `reason`.
    #[must_use]
    pub fn get(&self, reason: SiteReject) -> u32 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (SiteReject, u32)> + '_ {
        SiteReject::ALL
            .into_iter()
            .map(|r| (r, self.get(r)))
            .filter(|&(_, n)| n > 0)
    }
}

/// The independent monitor's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against it.
    Go,
    /// Not now.
    Wait,
    /// Away from here.
    Abort,
}

impl Verdict {
    /// The word used in files.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Wait => "WAIT",
            Self::Abort => "ABORT",
        }
    }
}

/// Why the monitor did not say GO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MonitorReason {
    /// The picture is (nearly) black.
    BlackFrame = 0,
    /// The same picture again.
    FrozenFrame = 1,
    /// No sharp detail anywhere.
    BlurredFrame = 2,
    /// Burnt out.
    OverExposed = 3,
    /// Belief inside the patch is too low.
    LowBelief = 4,
    /// The network is undecided inside the patch.
    HighEntropy = 5,
    /// Edges inside the patch that flat ground does not have.
    RoughTexture = 6,
    /// Something moves in or near the patch.
    Motion = 7,
    /// Range sensor and map disagree about the ground.
    RangeDisagrees = 8,
    /// A person, animal or vehicle inside the disc.
    Occupied = 9,
    /// Something moves around the watched patch, further off: somebody who could walk into it.
    MotionAround = 10,
}

impl MonitorReason {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All, in index order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::BlackFrame,
        Self::FrozenFrame,
        Self::BlurredFrame,
        Self::OverExposed,
        Self::LowBelief,
        Self::HighEntropy,
        Self::RoughTexture,
        Self::Motion,
        Self::RangeDisagrees,
        Self::Occupied,
        Self::MotionAround,
    ];

    /// The key used in files.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::BlackFrame => "black_frame",
            Self::FrozenFrame => "frozen_frame",
            Self::BlurredFrame => "blurred_frame",
            Self::OverExposed => "over_exposed",
            Self::LowBelief => "low_belief",
            Self::HighEntropy => "high_entropy",
            Self::RoughTexture => "rough_texture",
            Self::Motion => "motion",
            Self::RangeDisagrees => "range_disagrees",
            Self::Occupied => "occupied",
            Self::MotionAround => "motion_around",
        }
    }
}

/// A set of [`MonitorReason`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorReasons(u16);

impl MonitorReasons {
    /// Adds a reason.
    pub fn insert(&mut self, r: MonitorReason) {
        self.0 |= 1 << (r as u8);
    }

    /// Whether it holds a reason.
    #[must_use]
    pub const fn contains(self, r: MonitorReason) -> bool {
        self.0 & (1 << (r as u8)) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons, in index order.
    pub fn iter(self) -> impl Iterator<Item = MonitorReason> {
        MonitorReason::ALL
            .into_iter()
            .filter(move |&r| self.contains(r))
    }
}

/// What a frame says of a place that somebody asked to watch: the site that the vehicle is on its way to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watched {
    /// The disc that was asked for, as the map and this frame see it.
    pub site: Site,
    /// Whether it still has the clearance and belief that a candidate needs.
    pub is_clear: bool,
    /// Whether the disc lies wholly inside the picture.
    pub in_picture: bool,
    /// The monitor's word on it.
    pub monitor: Verdict,
    /// Why it is not GO.
    pub monitor_reasons: MonitorReasons,
}

/// What the landing stage decided on one frame.
#[derive(Debug, Clone)]
pub struct LandingDecision {
    /// The frame's index.
    pub seq: u64,
    /// The frame's mid-exposure: how old the decision is.
    pub captured_at: MonoTime,
    /// Site or hold.
    pub outcome: Outcome,
    /// The best site: offered when `outcome` is `Site`, else what is being watched.
    pub site: Option<Site>,
    /// Next best, kept apart; at most the configured number.
    pub alternates: Vec<Site>,
    /// Cells rejected, by reason.
    pub rejected: RejectCounts,
    /// The monitor's word on `site`.
    pub monitor: Verdict,
    /// Why it is not GO.
    pub monitor_reasons: MonitorReasons,
    /// What the frame says of the watched place; `None` when none is watched or nothing could be said.
    pub watched: Option<Watched>,
}

/// A picture of the map for people: north up, one byte a cell.
#[derive(Debug, Clone, Default)]
pub struct MapSnapshot {
    /// North edge of row 0, metres.
    pub north_max_m: f64,
    /// West edge of column 0, metres.
    pub east_min_m: f64,
    /// Cell size, metres.
    pub cell_m: f64,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// [`Surface`] index of the most believed surface a cell, row-major.
    pub surface: Vec<u8>,
    /// Clearance in metres a cell (distance to the nearest buffered hazard; 0 inside one), row-major.
    pub clearance_m: Vec<f32>,
}
