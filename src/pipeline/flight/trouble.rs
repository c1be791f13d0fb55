//! Makes things go wrong at their moments.

use std::time::Duration;

use super::eye::{CameraFault, Eye};
use crate::autopilot::supervisor::Phase;
use crate::geometry::{GroundPoint, Vec3};
use crate::record::FaultLine;
use crate::sim::autopilot::{RangeFault, SimAutopilot, Sticks};
use crate::sim::faults::{Fault, Kind, Stage};
use crate::sim::world::{Mover, MoverKind};
use crate::time::MonoTime;
use crate::vehicle::Mode;

/// Somebody who walks onto the site comes from this far, metres, at this speed, metres a second.
const WALK_FROM_M: f64 = 8.0;
const WALK_SPEED_M_S: f64 = 1.4;
/// A battery that is low holds this much.
const LOW_BATTERY: f64 = 0.12;

/// The faults of one flight.
#[derive(Debug)]
pub(super) struct Trouble {
    planned: Vec<Planned>,
    camera: Option<(CameraFault, MonoTime)>,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    due: Option<MonoTime>,
    line: FaultLine,
}

/// What the faults work on.
pub(super) struct Scene<'f, 'e> {
    pub(super) autopilot: &'f mut SimAutopilot,
    pub(super) eye: &'f mut Eye<'e>,
    /// The true place of the chosen site.
    pub(super) chosen: Option<GroundPoint>,
    pub(super) phase: Phase,
}

impl Trouble {
    pub(super) fn new(faults: &[Fault]) -> Self {
        let planned = faults.iter().map(|fault| Planned {
            fault: *fault,
            due: None,
            line: FaultLine {
                kind: fault.kind.name().to_owned(),
                at_s: None,
                phase: None,
            },
        });
        Self {
            planned: planned.collect(),
            camera: None,
        }
    }

    /// What is wrong with the camera now.
    pub(super) fn camera(&self, now: MonoTime) -> CameraFault {
        self.camera
            .filter(|(_, until)| now < *until)
            .map_or(CameraFault::None, |(fault, _)| fault)
    }

    /// The record of what happened.
    pub(super) fn lines(&self) -> Vec<FaultLine> {
        self.planned.iter().map(|p| p.line.clone()).collect()
    }

    /// The flight has come to this phase: delays begin to run.
    pub(super) fn enters(&mut self, phase: Phase, now: MonoTime) {
        for p in &mut self.planned {
            let begins = match p.fault.after {
                Stage::Engaged => phase != Phase::Standby,
                Stage::Searching => phase == Phase::Searching,
                Stage::Approaching => phase == Phase::Approaching,
                Stage::Descending => phase == Phase::Descending,
                Stage::Committed => phase == Phase::Committed,
            };
            if begins && p.due.is_none() {
                p.due = Some(now.after(Duration::from_millis((p.fault.delay_s * 1e3) as u64)));
            }
        }
    }

    /// Lets happen what is due; gives the pilot's way of taking over, when that is among it.
    pub(super) fn step(&mut self, on: &mut Scene<'_, '_>, now: MonoTime) -> Option<&'static str> {
        let mut takeover = None;
        for p in &mut self.planned {
            if p.line.at_s.is_some() || p.due.is_none_or(|due| now < due) {
                continue;
            }
            p.line.at_s = Some((now.as_secs_f64() * 100.0).round() / 100.0);
            p.line.phase = Some(on.phase.text().to_owned());
            let time = Duration::from_millis((p.fault.duration_s * 1e3) as u64);
            match p.fault.kind {
                Kind::CameraFreeze => self.camera = Some((CameraFault::Frozen, now.after(time))),
                Kind::BlackFrames => self.camera = Some((CameraFault::Black, now.after(time))),
                Kind::Blur => {
                    self.camera = Some((CameraFault::Blurred(p.fault.size), now.after(time)));
                }
                Kind::FrameLoss => self.camera = Some((CameraFault::Lost, now.after(time))),
                Kind::PilotTakeover => takeover = Some(take_over(on.autopilot, p.fault.way)),
                _ => happen(&p.fault, time, on, now),
            }
        }
        takeover
    }
}

/// What happens to the autopilot or the world.
fn happen(fault: &Fault, time: Duration, on: &mut Scene<'_, '_>, now: MonoTime) {
    let (sin, cos) = (f64::from(fault.way) / 65_536.0 * std::f64::consts::TAU).sin_cos();
    let push = Vec3::new(fault.size * cos, fault.size * sin, 0.0);
    match fault.kind {
        Kind::TelemetryLoss => on.autopilot.silence(time),
        Kind::LinkCut => on.autopilot.cut_link(time),
        Kind::AutopilotReboot => on.autopilot.reboot(),
        Kind::GpsJump => on.autopilot.jump_gps(push),
        Kind::RangeFailure => {
            let how = if fault.way.is_multiple_of(2) {
                RangeFault::Silent
            } else {
                RangeFault::Stuck
            };
            on.autopilot.fail_range(how, time);
        }
        Kind::BatteryLow => on.autopilot.set_battery(LOW_BATTERY),
        Kind::WindGust => on.autopilot.gust(push, time),
        Kind::PersonWalksIn => {
            let below = on.autopilot.truth().position;
            let to = on.chosen.unwrap_or(GroundPoint {
                north_m: below.north(),
                east_m: below.east(),
            });
            let from = GroundPoint {
                north_m: to.north_m + WALK_FROM_M * cos,
                east_m: to.east_m + WALK_FROM_M * sin,
            };
            let world = on.eye.world();
            let path_px = [from, to].map(|g| {
                let px = world.pixel_from_ground(g);
                [px.x, px.y]
            });
            on.eye.add_mover(Mover {
                kind: MoverKind::Person,
                path_px: path_px.to_vec(),
                speed_mps: WALK_SPEED_M_S,
                start_s: now.as_secs_f64(),
            });
        }
        Kind::CameraFreeze
        | Kind::BlackFrames
        | Kind::Blur
        | Kind::FrameLoss
        | Kind::PilotTakeover => {}
    }
}

/// The pilot takes over, by the sticks or by the mode switch.
fn take_over(autopilot: &mut SimAutopilot, way: u32) -> &'static str {
    if way.is_multiple_of(2) {
        let mut sticks = Sticks::default();
        let [roll, pitch, ..] = &mut sticks.axes_us;
        if way.is_multiple_of(4) {
            *roll = 1750;
        } else {
            *pitch = 1250;
        }
        autopilot.set_sticks(Some(sticks));
        return "sticks";
    }
    let mode = match (way / 2) % 3 {
        0 => Mode::Rtl,
        1 => Mode::Land,
        _ => Mode::Loiter,
    };
    autopilot.pilot_sets_mode(mode);
    "switch"
}
