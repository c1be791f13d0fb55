//! What an autopilot is and how it is set, asked on the ground: the questions of `alight doctor`.
//!
//! Pure, like everything here but the link: bytes in, bytes out, and at the end what was learnt. It reads parameters and
//! sets none.

use std::collections::BTreeMap;
use std::time::Duration;

use mavlink::dialects::ardupilotmega as m;

use super::decode::{LOSS_ACTION, loss_action, parameter_value};
use super::encode::parameter_request;
use super::framing::{LinkCounts, Parser, Writer};
use super::signing::SigningConfig;
use crate::time::MonoTime;
use crate::vehicle::{AutopilotKind, LossAction};

/// Our component, as in flight.
const COMPONENT: u8 = m::MavComponent::MAV_COMP_ID_ONBOARD_COMPUTER as u8;
/// A question without an answer is asked again after this.
const AGAIN: Duration = Duration::from_millis(700);
/// So many times.
const TRIES: u32 = 5;

/// What is read from `ArduPilot`.
const ARDUPILOT: [&str; 8] = [
    "PLND_ENABLED",
    "PLND_TYPE",
    "PLND_STRICT",
    "PLND_XY_DIST_MAX",
    "RNGFND1_TYPE",
    "RNGFND1_ORIENT",
    "FS_EKF_ACTION",
    "FENCE_ENABLE",
];
/// What is read from PX4.
const PX4: [&str; 5] = [
    LOSS_ACTION,
    "COM_OF_LOSS_T",
    "NAV_RCL_ACT",
    "PLD_BTOUT",
    "EKF2_RNG_CTRL",
];

/// What was learnt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examination {
    /// Whose behaviour it has, and its system id.
    pub autopilot: Option<(AutopilotKind, u8)>,
    /// Whether the motors run: nobody is examined in the air.
    pub is_armed: bool,
    /// Major, minor and patch number of its software.
    pub version: Option<[u8; 3]>,
    /// The parameters that it answered for; one that it does not have is missing.
    pub parameters: BTreeMap<&'static str, f64>,
    /// What came over the link.
    pub counts: LinkCounts,
}

/// One question, and how often it was asked.
#[derive(Debug)]
struct Question {
    /// A parameter, or the version.
    parameter: Option<&'static str>,
    asked_at: Option<MonoTime>,
    tries: u32,
    is_answered: bool,
}

/// Asks one autopilot.
#[derive(Debug)]
pub struct Examiner {
    wanted: Option<u8>,
    parser: Parser,
    writer: Writer,
    questions: Vec<Question>,
    next_heartbeat: MonoTime,
    learnt: Examination,
}

impl Examiner {
    /// Asks the vehicle with this system id, or the first autopilot heard.
    #[must_use]
    pub fn new(system_id: Option<u8>, signing: Option<&SigningConfig>) -> Self {
        Self {
            wanted: system_id,
            parser: Parser::new(signing.cloned()),
            writer: Writer::new(COMPONENT, signing.cloned()),
            questions: Vec::new(),
            next_heartbeat: MonoTime::from_nanos(i64::MIN),
            learnt: Examination::default(),
        }
    }

    /// Takes what the link delivered.
    pub fn receive(&mut self, bytes: &[u8], now: MonoTime) {
        let mut rest = bytes;
        loop {
            rest = self.parser.fill(rest);
            while let Some(frame) = self.parser.next_frame(now) {
                self.take(frame.header, &frame.message);
            }
            if rest.is_empty() {
                break;
            }
        }
    }

    fn take(&mut self, header: mavlink::MavHeader, message: &m::MavMessage) {
        let Ok(system_id) = u8::try_from(header.system_id) else {
            return;
        };
        if let m::MavMessage::HEARTBEAT(beat) = message {
            self.meet(system_id, header.component_id, beat);
        }
        if self.learnt.autopilot.map(|(_, id)| id) != Some(system_id) || header.component_id != 1 {
            return;
        }
        match message {
            m::MavMessage::PARAM_VALUE(p) => self.parameter(p),
            m::MavMessage::AUTOPILOT_VERSION(v) => {
                let [_, patch, minor, major] = v.flight_sw_version.to_le_bytes();
                self.learnt.version = Some([major, minor, patch]);
                self.answered(None);
            }
            _ => {}
        }
    }

    /// An autopilot is whoever beats as component 1 and names its kind.
    fn meet(&mut self, system_id: u8, component_id: u8, beat: &m::HEARTBEAT_DATA) {
        let kind = match beat.autopilot {
            m::MavAutopilot::MAV_AUTOPILOT_INVALID => return,
            m::MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA => AutopilotKind::ArduPilot,
            m::MavAutopilot::MAV_AUTOPILOT_PX4 => AutopilotKind::Px4,
            other => AutopilotKind::Other(other as u8),
        };
        if component_id != 1 || self.wanted.is_some_and(|id| id != system_id) {
            return;
        }
        let known = self.learnt.autopilot;
        if known.is_some_and(|(_, id)| id != system_id) {
            return;
        }
        let armed = m::MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED;
        self.learnt.is_armed = beat.base_mode.contains(armed);
        self.learnt.autopilot = Some((kind, system_id));
        if known.is_none() {
            self.writer.set_system_id(system_id);
            let parameters: &[&str] = match kind {
                AutopilotKind::ArduPilot => &ARDUPILOT,
                AutopilotKind::Px4 => &PX4,
                AutopilotKind::Other(_) => &[],
            };
            let parameters = parameters.iter().copied().map(Some);
            self.questions = parameters
                .chain([None])
                .map(|parameter| Question {
                    parameter,
                    asked_at: None,
                    tries: 0,
                    is_answered: false,
                })
                .collect();
        }
    }

    fn parameter(&mut self, p: &m::PARAM_VALUE_DATA) {
        let Ok(id) = p.param_id.to_str() else {
            return;
        };
        let asked = self.questions.iter().filter_map(|q| q.parameter);
        let Some(name) = asked.into_iter().find(|name| *name == id) else {
            return;
        };
        let Some((kind, _)) = self.learnt.autopilot else {
            return;
        };
        let value = parameter_value(kind, p);
        self.learnt.parameters.insert(name, value);
        self.answered(Some(name));
    }

    fn answered(&mut self, parameter: Option<&str>) {
        for q in &mut self.questions {
            q.is_answered |= q.parameter == parameter;
        }
    }

    /// Asks what is due, and appends the bytes to `out`; call it every tenth of a second or so.
    pub fn ask(&mut self, now: MonoTime, out: &mut Vec<u8>) {
        if now >= self.next_heartbeat {
            self.next_heartbeat = now.after(Duration::from_secs(1));
            let beat = m::MavMessage::HEARTBEAT(m::HEARTBEAT_DATA {
                mavtype: m::MavType::MAV_TYPE_ONBOARD_CONTROLLER,
                autopilot: m::MavAutopilot::MAV_AUTOPILOT_INVALID,
                ..m::HEARTBEAT_DATA::DEFAULT
            });
            self.writer.write(&beat, now);
        }
        let Some((_, system_id)) = self.learnt.autopilot else {
            self.writer.drain(out);
            return;
        };
        let is_due = |q: &&mut Question| {
            !q.is_answered && q.tries < TRIES && q.asked_at.is_none_or(|at| now.since(at) >= AGAIN)
        };
        // Two at a time: a slow radio is not flooded.
        for q in self.questions.iter_mut().filter(is_due).take(2) {
            q.asked_at = Some(now);
            q.tries += 1;
            let message = match q.parameter {
                Some(name) => parameter_request(system_id, name),
                None => m::MavMessage::COMMAND_LONG(m::COMMAND_LONG_DATA {
                    command: m::MavCmd::MAV_CMD_REQUEST_MESSAGE,
                    param1: 148.0,
                    target_system: system_id,
                    target_component: 1,
                    ..m::COMMAND_LONG_DATA::DEFAULT
                }),
            };
            self.writer.write(&message, now);
        }
        self.writer.drain(out);
    }

    /// Whether every question is answered, or was asked often enough.
    #[must_use]
    pub fn is_done(&self, now: MonoTime) -> bool {
        let is_settled = |q: &Question| {
            let is_given_up =
                q.tries >= TRIES && q.asked_at.is_some_and(|at| now.since(at) >= AGAIN);
            q.is_answered || is_given_up
        };
        !self.questions.is_empty() && self.questions.iter().all(is_settled)
    }

    /// What was learnt so far.
    #[must_use]
    pub fn learnt(&self) -> Examination {
        Examination {
            counts: *self.parser.counts(),
            ..self.learnt.clone()
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It flies, and should be looked at.
    Warn,
    /// It must not fly like this.
    Fail,
}

/// One line of advice.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How grave it is.
    pub grade: Grade,
    /// What was looked at.
    pub subject: String,
    /// What was found, and what to set and why.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub fn new(grade: Grade, subject: &str, text: impl Into<String>) -> Self {
        Self {
            grade,
            subject: subject.to_owned(),
            text: text.into(),
        }
    }
}

/// What an operator should know and change before flying with this autopilot; `commands`: alight may take the vehicle.
#[must_use]
pub fn judge(learnt: &Examination, commands: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some((kind, system_id)) = learnt.autopilot else {
        let text = match (learnt.counts.bytes, learnt.counts.frames) {
            (0, _) => "nothing comes: is the autopilot on, RX and TX crossed, the port enabled?",
            (_, 0) => {
                "bytes but no MAVLink: the baud rate differs, or the port speaks something else (ArduPilot: SERIALn_PROTOCOL = 2, \
                 SERIALn_BAUD = 921; PX4: MAV_n_CONFIG, SER_TELn_BAUD = 921600)"
            }
            _ => {
                "MAVLink, but no heartbeat of an autopilot (component 1): is this the right link, and link.system_id right?"
            }
        };
        return vec![Finding::new(Grade::Fail, "autopilot", text)];
    };
    let version = learnt.version.map_or_else(
        || "version unknown".to_owned(),
        |[major, minor, patch]| format!("{major}.{minor}.{patch}"),
    );
    let armed = if learnt.is_armed { ", ARMED" } else { "" };
    let grade = match kind {
        AutopilotKind::Other(_) => Grade::Fail,
        _ => Grade::Ok,
    };
    let name = match kind {
        AutopilotKind::ArduPilot => "ArduPilot".to_owned(),
        AutopilotKind::Px4 => "PX4".to_owned(),
        AutopilotKind::Other(n) => {
            format!("kind {n}, which alight does not command: ArduPilot and PX4 only; here")
        }
    };
    found.push(Finding::new(
        grade,
        "autopilot",
        format!("{name} {version}, system {system_id}{armed}"),
    ));
    let rules: &[Rule] = match kind {
        AutopilotKind::ArduPilot => &ARDUPILOT_RULES,
        AutopilotKind::Px4 => &PX4_RULES,
        AutopilotKind::Other(_) => &[],
    };
    found.extend(rules.iter().map(|rule| rule.judge(learnt, commands)));
    let silence = match kind {
        AutopilotKind::ArduPilot => {
            "if alight falls silent: GUIDED stops and hovers (4 s after the last setpoint, measured); in LAND it goes on down to \
             the last target"
        }
        AutopilotKind::Px4 => {
            "if alight falls silent: OFFBOARD does what COM_OBL_RC_ACT says after COM_OF_LOSS_T; PRECLAND goes on down"
        }
        AutopilotKind::Other(_) => "what it does when alight falls silent is not known",
    };
    found.push(Finding::new(Grade::Ok, "silence", silence));
    found
}

/// What a parameter should be.
struct Rule {
    name: &'static str,
    is_right: fn(f64) -> bool,
    /// How grave it is when it is not.
    grade: Grade,
    /// The same when alight commands.
    in_command: Grade,
    /// What to set, and why.
    remedy: &'static str,
}

impl Rule {
    fn judge(&self, learnt: &Examination, commands: bool) -> Finding {
        let grade = if commands {
            self.in_command
        } else {
            self.grade
        };
        match learnt.parameters.get(self.name) {
            Some(value) if (self.is_right)(*value) => {
                Finding::new(Grade::Ok, self.name, format!("{value}"))
            }
            Some(value) => Finding::new(grade, self.name, format!("{value}: {}", self.remedy)),
            // Unknown is danger.
            None => Finding::new(
                grade,
                self.name,
                format!(
                    "not answered (not in this version, or the link is slow): {}",
                    self.remedy
                ),
            ),
        }
    }
}

const ARDUPILOT_RULES: [Rule; 6] = [
    Rule {
        name: "PLND_ENABLED",
        is_right: |v| v > 0.5,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 1, or LAND does not follow the target when it is entered high",
    },
    Rule {
        name: "PLND_TYPE",
        is_right: |v| (v - 1.0).abs() < 0.5,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 1 (MAVLink), and reboot: the target comes over the link",
    },
    Rule {
        name: "PLND_STRICT",
        is_right: |v| v < 1.5,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 1: with 2 the vehicle hovers until its battery is empty when the target is lost",
    },
    Rule {
        name: "PLND_XY_DIST_MAX",
        is_right: |v| (1.0..=5.0).contains(&v),
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 2.5: it descends only so near to the target",
    },
    Rule {
        name: "RNGFND1_TYPE",
        is_right: |v| v > 0.5,
        grade: Grade::Warn,
        in_command: Grade::Fail,
        remedy: "connect a range sensor and set its type: without one the height above ground is a guess on slopes, and alight \
                 commits from higher up",
    },
    Rule {
        name: "RNGFND1_ORIENT",
        is_right: |v| (v - 25.0).abs() < 0.5,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 25 (down)",
    },
];

const PX4_RULES: [Rule; 4] = [
    Rule {
        name: LOSS_ACTION,
        is_right: is_safe_loss_action,
        grade: Grade::Warn,
        in_command: Grade::Fail,
        remedy: "set 5 (hold) or 3 (return): it says what the vehicle does when alight falls silent, and mode = \"command\" is \
                 refused with another value",
    },
    Rule {
        name: "COM_OF_LOSS_T",
        is_right: |v| (0.1..=2.0).contains(&v),
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 1 s: so long a silent companion is waited for",
    },
    Rule {
        name: "PLD_BTOUT",
        is_right: |v| v >= 2.0,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "set 5 s: a target that is hidden for a moment is not lost",
    },
    Rule {
        name: "EKF2_RNG_CTRL",
        is_right: |v| v > 0.5,
        grade: Grade::Warn,
        in_command: Grade::Warn,
        remedy: "connect a range sensor and set 1: without one the height above ground is a guess on slopes",
    },
];

/// Whether PX4 holds (5) or returns (3) when OFFBOARD is lost.
#[must_use]
pub fn is_safe_loss_action(com_obl_rc_act: f64) -> bool {
    matches!(
        loss_action(com_obl_rc_act),
        LossAction::Hold | LossAction::Return
    )
}

#[cfg(test)]
mod tests;
