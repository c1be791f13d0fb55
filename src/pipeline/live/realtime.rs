//! Real time: threads that come first, and memory that is never swapped out.

use nix::sys::mman::{MlockAllFlags, mlockall};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::super::schedule::{CAMERA_PRIORITY, CONTROL_PRIORITY, LINK_PRIORITY};
use super::super::watchdog::Stage;
use super::LiveError;

/// Whether real time is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RealTime {
    /// Asked for; a refusal is a warning (on the bench).
    #[default]
    Auto,
    /// Not asked for.
    Off,
    /// Asked for; a refusal ends the start (in flight).
    Required,
}

/// A stage's priority; `None`: it takes its turn.
const fn priority(stage: Stage) -> Option<u8> {
    match stage {
        Stage::Control => Some(CONTROL_PRIORITY),
        Stage::LinkRead | Stage::LinkWrite => Some(LINK_PRIORITY),
        Stage::Camera => Some(CAMERA_PRIORITY),
        Stage::Inference | Stage::Landing | Stage::Record => None,
    }
}

/// Locks the memory and tries what priorities the system grants; `true`: stages may take theirs.
///
/// # Errors
/// [`LiveError::RealTime`] when it is required and refused.
pub(super) fn prepare(wish: RealTime) -> Result<bool, LiveError> {
    if wish == RealTime::Off {
        return Ok(false);
    }
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
        .map_err(|e| format!("memory is not locked ({e}): LimitMEMLOCK=infinity in the unit"));
    // On a thread of its own: this one keeps its turn.
    let tried = std::thread::Builder::new()
        .name("priority".to_owned())
        .spawn(|| set(CONTROL_PRIORITY))
        .map_err(|e| e.to_string())
        .and_then(|t| {
            t.join()
                .unwrap_or_else(|_| Err("the try panicked".to_owned()))
        });
    let tried =
        tried.map_err(|e| format!("no real-time priority ({e}): LimitRTPRIO=50 in the unit"));
    let is_granted = tried.is_ok();
    let refused: Vec<_> = [locked, tried]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    match (refused.is_empty(), wish) {
        (true, _) => log::info!("real time: memory locked, priorities granted"),
        (false, RealTime::Required) => return Err(LiveError::RealTime(refused.join("; "))),
        (false, _) => log::warn!("real time: {}", refused.join("; ")),
    }
    Ok(is_granted)
}

/// The calling thread takes its stage's priority. That it may was tried before; a refusal now is logged.
pub(super) fn enter(stage: Stage) {
    if let Some(Err(e)) = priority(stage).map(set) {
        log::warn!("{}: no real-time priority: {e}", stage.name());
    }
}

fn set(priority: u8) -> Result<(), String> {
    let value = ThreadPriority::try_from(priority)?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), value, policy).map_err(|e| format!("{e:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_asks_for_nothing_and_what_computes_for_long_has_no_priority() {
        assert!(!prepare(RealTime::Off).unwrap());
        for stage in [Stage::Inference, Stage::Landing, Stage::Record] {
            assert_eq!(priority(stage), None);
        }
        let talkers = [Stage::Control, Stage::LinkRead, Stage::LinkWrite];
        assert!(
            talkers
                .into_iter()
                .all(|s| priority(s) > priority(Stage::Camera))
        );
        // Within what the unit allows.
        assert!(Stage::ALL.into_iter().filter_map(priority).all(|p| p <= 50));
    }
}
