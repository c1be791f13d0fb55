//! What a parameter's message says: the autopilots put integers into its float in different ways.

use mavlink::dialects::ardupilotmega::{MavParamType, PARAM_VALUE_DATA};

use super::Telemetry;
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, LossAction, Stamped};

/// PX4's parameter for what it does when OFFBOARD setpoints stop.
pub const LOSS_ACTION: &str = "COM_OBL_RC_ACT";

/// The value: PX4 sends the bytes of an integer in the float, `ArduPilot` its value.
#[must_use]
pub fn parameter_value(kind: AutopilotKind, p: &PARAM_VALUE_DATA) -> f64 {
    match (kind, p.param_type) {
        (AutopilotKind::Px4, MavParamType::MAV_PARAM_TYPE_INT32) => {
            f64::from(p.param_value.to_bits().cast_signed())
        }
        (AutopilotKind::Px4, MavParamType::MAV_PARAM_TYPE_UINT32) => {
            f64::from(p.param_value.to_bits())
        }
        _ => f64::from(p.param_value),
    }
}

/// What a value of [`LOSS_ACTION`] means.
#[must_use]
pub fn loss_action(value: f64) -> LossAction {
    match value.round() as i32 {
        3 => LossAction::Return,
        5 => LossAction::Hold,
        // What is no number rounds to 0, a mode that needs sticks.
        other => LossAction::Other(other),
    }
}

impl Telemetry {
    /// Only what a decision rests on is kept.
    pub(super) fn parameter(&mut self, p: &PARAM_VALUE_DATA, now: MonoTime) {
        if self.state.kind == Some(AutopilotKind::Px4) && p.param_id.to_str() == Ok(LOSS_ACTION) {
            let action = loss_action(parameter_value(AutopilotKind::Px4, p));
            self.state.loss_action = Some(Stamped::new(action, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hold_and_return_are_themselves() {
        assert_eq!(loss_action(5.0), LossAction::Hold);
        assert_eq!(loss_action(3.0), LossAction::Return);
        for v in [0.0, 1.0, 2.0, 4.0, 6.0, 7.0, -3.0] {
            assert_eq!(loss_action(v), LossAction::Other(v as i32));
        }
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(loss_action(v), LossAction::Other(_)));
        }
    }

    #[test]
    fn an_integer_lies_in_the_float_by_its_bytes_on_px4_and_by_its_value_on_ardupilot() {
        let sent = |param_value| PARAM_VALUE_DATA {
            param_value,
            param_type: MavParamType::MAV_PARAM_TYPE_INT32,
            ..PARAM_VALUE_DATA::DEFAULT
        };
        let bytewise = sent(f32::from_bits(5));
        assert!((parameter_value(AutopilotKind::Px4, &bytewise) - 5.0).abs() < 1e-9);
        assert!((parameter_value(AutopilotKind::ArduPilot, &sent(5.0)) - 5.0).abs() < 1e-9);
        // Read the wrong way round it would be no action at all.
        assert!(parameter_value(AutopilotKind::ArduPilot, &bytewise) < 1e-9);
    }
}
