//! Commands -> MAVLink messages, in the one form that each autopilot obeys.
//!
//! There is no common form of a landing target: `ArduPilot` takes a body-fixed vector (`BODY_FRD`) and ignores a local
//! one, PX4 takes a local one and rejects the other, and both acknowledge everything. The forms here are the ones that were
//! seen to work. For another autopilot nothing is encoded, and nothing that is not finite leaves this module.

use mavlink::dialects::ardupilotmega::{
    COMMAND_LONG_DATA, LANDING_TARGET_DATA, LandingTargetType, MavBool, MavCmd, MavFrame,
    MavMessage, MavModeFlag, PARAM_REQUEST_READ_DATA, PositionTargetTypemask,
    SET_POSITION_TARGET_LOCAL_NED_DATA,
};
use mavlink::types::CharArray;

use super::commands::{Command, Setpoint, TargetSample};
use super::modes::{custom_mode_of, px4_main_sub};
use super::report::{named_float, status_text};
use crate::geometry::Vec3;
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, Mode, Pose};

/// The component id of every autopilot.
const AUTOPILOT: u8 = 1;

/// What a command's form depends on.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Whose form; `None` before the first heartbeat.
    pub kind: Option<AutopilotKind>,
    /// The vehicle's system id.
    pub system_id: u8,
    /// Where the vehicle is and how it is turned now, if known.
    pub pose: Option<&'a Pose>,
    /// Our clock, which is also the one that we answer `TIMESYNC` with.
    pub now: MonoTime,
    /// Tells the pieces of one long text from those of another; not zero.
    pub text_id: u16,
}

/// Hands the messages of a command to `send`, in order; `false` when it has no form here: another autopilot, a mode that
/// this one lacks, no pose where one is needed, or numbers that are not finite.
#[must_use]
pub fn encode(command: &Command, scene: &Scene<'_>, mut send: impl FnMut(&MavMessage)) -> bool {
    let message = match command {
        Command::SetMode(mode) => set_mode(*mode, scene),
        Command::GoTo(setpoint) => position_setpoint(setpoint, scene),
        Command::Target(sample) => landing_target(sample, scene),
        Command::Number(name, value) => named_float(name, *value, scene.now),
        Command::Say(severity, notice) => {
            status_text(*severity, notice.as_str(), scene.text_id).for_each(|m| send(&m));
            return true;
        }
    };
    if let Some(message) = &message {
        send(message);
    }
    message.is_some()
}

/// `MAV_CMD_DO_SET_MODE` with the autopilot's own mode numbers.
fn set_mode(mode: Mode, scene: &Scene<'_>) -> Option<MavMessage> {
    let kind = scene.kind?;
    let custom_mode = custom_mode_of(kind, mode)?;
    let (param2, param3) = match kind {
        AutopilotKind::ArduPilot => (custom_mode as f32, 0.0),
        AutopilotKind::Px4 => {
            let (main, sub) = px4_main_sub(custom_mode);
            (f32::from(main), f32::from(sub))
        }
        AutopilotKind::Other(_) => return None,
    };
    Some(MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
        param1: f32::from(MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED.bits()),
        param2,
        param3,
        command: MavCmd::MAV_CMD_DO_SET_MODE,
        target_system: scene.system_id,
        target_component: AUTOPILOT,
        ..COMMAND_LONG_DATA::DEFAULT
    }))
}

/// A position in the local frame, and a heading if asked for; everything else is left to the autopilot.
fn position_setpoint(setpoint: &Setpoint, scene: &Scene<'_>) -> Option<MavMessage> {
    is_commanded(scene.kind?).then_some(())?;
    let [x, y, z] = finite(setpoint.position)?;
    let yaw = setpoint.yaw_rad.map(finite_f32);
    if yaw == Some(None) {
        return None;
    }
    let mut ignored = PositionTargetTypemask::POSITION_TARGET_TYPEMASK_VX_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_VY_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_VZ_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_AX_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_AY_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_AZ_IGNORE
        | PositionTargetTypemask::POSITION_TARGET_TYPEMASK_YAW_RATE_IGNORE;
    if yaw.is_none() {
        ignored |= PositionTargetTypemask::POSITION_TARGET_TYPEMASK_YAW_IGNORE;
    }
    Some(MavMessage::SET_POSITION_TARGET_LOCAL_NED(
        SET_POSITION_TARGET_LOCAL_NED_DATA {
            time_boot_ms: boot_ms(scene.now),
            x,
            y,
            z,
            yaw: yaw.flatten().unwrap_or(0.0),
            type_mask: ignored,
            target_system: scene.system_id,
            target_component: AUTOPILOT,
            coordinate_frame: MavFrame::MAV_FRAME_LOCAL_NED,
            ..SET_POSITION_TARGET_LOCAL_NED_DATA::DEFAULT
        },
    ))
}

/// The landing target, `position_valid`, with its distance: seen from the body on `ArduPilot`, in the local frame on PX4.
fn landing_target(sample: &TargetSample, scene: &Scene<'_>) -> Option<MavMessage> {
    let kind = scene.kind?;
    let pose = scene.pose?;
    let from_vehicle = sample.position - pose.position;
    let (frame, [x, y, z]) = match kind {
        AutopilotKind::ArduPilot => (
            MavFrame::MAV_FRAME_BODY_FRD,
            finite(pose.ned_from_frd.inverse() * from_vehicle)?,
        ),
        AutopilotKind::Px4 => (MavFrame::MAV_FRAME_LOCAL_NED, finite(sample.position)?),
        AutopilotKind::Other(_) => return None,
    };
    // A distance of zero is ignored by ArduPilot.
    let distance = finite_f32(from_vehicle.norm()).filter(|d| *d > 0.0)?;
    Some(MavMessage::LANDING_TARGET(LANDING_TARGET_DATA {
        time_usec: clock_us(scene.now),
        distance,
        frame,
        x,
        y,
        z,
        q: [1.0, 0.0, 0.0, 0.0],
        mavtype: LandingTargetType::LANDING_TARGET_TYPE_VISION_OTHER,
        position_valid: MavBool::from_bits_retain(1),
        ..LANDING_TARGET_DATA::DEFAULT
    }))
}

/// Asks the autopilot for a message at so many hertz.
#[must_use]
pub fn message_interval(system_id: u8, message_id: u32, hz: f32) -> MavMessage {
    MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
        param1: message_id as f32,
        param2: if hz > 0.0 { (1e6 / hz).round() } else { 0.0 },
        command: MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL,
        target_system: system_id,
        target_component: AUTOPILOT,
        ..COMMAND_LONG_DATA::DEFAULT
    })
}

/// Asks the autopilot for one parameter, by a name of at most 16 bytes.
#[must_use]
pub fn parameter_request(system_id: u8, name: &str) -> MavMessage {
    MavMessage::PARAM_REQUEST_READ(PARAM_REQUEST_READ_DATA {
        param_index: -1,
        target_system: system_id,
        target_component: AUTOPILOT,
        param_id: CharArray::from(name),
    })
}

/// Microseconds of our clock: the one that PX4 knows from `TIMESYNC`.
fn clock_us(now: MonoTime) -> u64 {
    u64::try_from(now.as_nanos() / 1000).unwrap_or(0)
}

/// Milliseconds since our start; wraps after 49 days as the field does.
pub(super) fn boot_ms(now: MonoTime) -> u32 {
    (now.as_nanos().max(0) / 1_000_000) as u32
}

const fn is_commanded(kind: AutopilotKind) -> bool {
    matches!(kind, AutopilotKind::ArduPilot | AutopilotKind::Px4)
}

fn finite<F>(v: Vec3<F>) -> Option<[f32; 3]> {
    Some([finite_f32(v.x())?, finite_f32(v.y())?, finite_f32(v.z())?])
}

/// The number as the message holds it; `None` when it is not finite there.
pub(super) fn finite_f32(value: f64) -> Option<f32> {
    Some(value as f32).filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests;
