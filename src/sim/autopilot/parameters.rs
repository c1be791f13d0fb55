//! The few parameters that it answers for, as its configuration has them, and its version.

use mavlink::dialects::ardupilotmega as m;

use super::{Dialect, OffboardLoss, SimAutopilot, SimConfig};

/// What a parameter holds: PX4 sends the bytes of an integer in the float, `ArduPilot` its value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Int(i32),
    Real(f32),
}

impl SimAutopilot {
    /// An unknown name is not answered, as the real ones do not.
    pub(super) fn report_parameter(&mut self, asked: &m::PARAM_REQUEST_READ_DATA) {
        let Some(value) = asked
            .param_id
            .to_str()
            .ok()
            .and_then(|id| value(&self.config, id))
        else {
            return;
        };
        let (param_type, param_value) = match (value, self.config.dialect) {
            (Value::Real(v), _) => (m::MavParamType::MAV_PARAM_TYPE_REAL32, v),
            (Value::Int(v), Dialect::ArduPilot) => (m::MavParamType::MAV_PARAM_TYPE_INT8, v as f32),
            (Value::Int(v), Dialect::Px4) => (
                m::MavParamType::MAV_PARAM_TYPE_INT32,
                f32::from_bits(v.cast_unsigned()),
            ),
        };
        self.send(&m::PARAM_VALUE_DATA {
            param_value,
            param_count: 1,
            param_index: 0,
            param_id: asked.param_id,
            param_type,
        });
    }

    pub(super) fn report_version(&mut self) {
        // As measured: ArduCopter 4.7, PX4 1.17.
        let (major, minor) = match self.config.dialect {
            Dialect::ArduPilot => (4, 7),
            Dialect::Px4 => (1, 17),
        };
        self.send(&m::AUTOPILOT_VERSION_DATA {
            flight_sw_version: u32::from_le_bytes([0, 0, minor, major]),
            ..m::AUTOPILOT_VERSION_DATA::DEFAULT
        });
    }
}

fn value(config: &SimConfig, id: &str) -> Option<Value> {
    let is = |yes: bool, value: i32| Value::Int(if yes { value } else { 0 });
    let value = match (config.dialect, id) {
        (Dialect::ArduPilot, "PLND_ENABLED") => is(config.has_precland, 1),
        (Dialect::ArduPilot, "PLND_TYPE" | "PLND_STRICT" | "FS_EKF_ACTION") => Value::Int(1),
        (Dialect::ArduPilot, "PLND_XY_DIST_MAX") => Value::Real(2.5),
        (Dialect::ArduPilot, "RNGFND1_TYPE") => is(config.range.is_some(), 10),
        (Dialect::ArduPilot, "RNGFND1_ORIENT") => Value::Int(25),
        (Dialect::ArduPilot, "FENCE_ENABLE") => Value::Int(0),
        (Dialect::Px4, "COM_OBL_RC_ACT") => Value::Int(match config.offboard_loss {
            OffboardLoss::Return => 3,
            OffboardLoss::Land => 4,
            OffboardLoss::Hover => 5,
        }),
        (Dialect::Px4, "COM_OF_LOSS_T") => Value::Real(1.0),
        (Dialect::Px4, "NAV_RCL_ACT") => Value::Int(2),
        (Dialect::Px4, "PLD_BTOUT") => Value::Real(5.0),
        (Dialect::Px4, "EKF2_RNG_CTRL") => is(config.range.is_some(), 1),
        _ => return None,
    };
    Some(value)
}
