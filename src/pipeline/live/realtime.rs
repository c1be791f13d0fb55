//! Real time: threads that come first, a core for the network alone, and memory that is never swapped out.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::Pid;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::super::schedule::{CAMERA_PRIORITY, CONTROL_PRIORITY, LINK_PRIORITY, NETWORK_CORE_FROM};
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

/// The cores of a stage among those that the process may use: where there are enough, the network computes on the last one alone, so
/// that it neither waits for the others nor keeps them waiting. `None`: wherever the system likes.
fn cores(stage: Stage, usable: &[usize]) -> Option<&[usize]> {
    let (last, others) = usable.split_last()?;
    if usable.len() < NETWORK_CORE_FROM {
        return None;
    }
    Some(if stage == Stage::Inference {
        std::slice::from_ref(last)
    } else {
        others
    })
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
        .spawn(|| set(CONTROL_PRIORITY).and_then(|()| pin(Stage::Control)))
        .map_err(|e| e.to_string())
        .and_then(|t| {
            t.join()
                .unwrap_or_else(|_| Err("the try panicked".to_owned()))
        });
    let tried = tried
        .map_err(|e| format!("no real-time priority or core ({e}): LimitRTPRIO=50 in the unit"));
    let is_granted = tried.is_ok();
    let refused: Vec<_> = [locked, tried]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    match (refused.is_empty(), wish) {
        (true, _) => log::info!(
            "real time: memory locked, priorities granted{}",
            usable()
                .ok()
                .and_then(|all| cores(Stage::Inference, &all)
                    .map(|own| format!(", the network on core {own:?}")))
                .unwrap_or_default()
        ),
        (false, RealTime::Required) => return Err(LiveError::RealTime(refused.join("; "))),
        (false, _) => log::warn!("real time: {}", refused.join("; ")),
    }
    Ok(is_granted)
}

/// The calling thread takes its stage's priority and cores. That it may was tried before; a refusal now is logged.
pub(super) fn enter(stage: Stage) {
    if let Err(e) = priority(stage).map_or(Ok(()), set) {
        log::warn!("{}: no real-time priority: {e}", stage.name());
    }
    if let Err(e) = pin(stage) {
        log::warn!("{}: no core of its own: {e}", stage.name());
    }
}

/// The calling thread keeps to its stage's cores.
fn pin(stage: Stage) -> Result<(), String> {
    match cores(stage, &usable()?) {
        Some(own) => keep_to(own),
        None => Ok(()),
    }
}

/// The cores that the calling thread may use, in order.
fn usable() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(|e| e.to_string())?;
    let is_in = |core: &usize| set.is_set(*core).unwrap_or(false);
    Ok((0..CpuSet::count()).filter(is_in).collect())
}

fn keep_to(cores: &[usize]) -> Result<(), String> {
    let mut set = CpuSet::new();
    cores
        .iter()
        .try_for_each(|core| set.set(*core))
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|e| e.to_string())
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

    #[test]
    fn the_network_has_a_core_of_its_own_where_there_are_four() {
        let board = [0, 1, 2, 3];
        assert_eq!(cores(Stage::Inference, &board), Some(&[3][..]));
        for stage in Stage::ALL.into_iter().filter(|s| *s != Stage::Inference) {
            assert_eq!(cores(stage, &board), Some(&[0, 1, 2][..]));
        }
        // Those that a control group leaves, not those of the board.
        let left = [2, 3, 4, 5, 7];
        assert_eq!(cores(Stage::Inference, &left), Some(&[7][..]));
        for few in [&[][..], &[0], &[0, 1], &[0, 1, 2]] {
            assert_eq!(cores(Stage::Inference, few), None);
        }
    }

    #[test]
    fn a_thread_keeps_to_the_cores_that_it_is_given() {
        let pinned = || {
            let last = usable()?.split_off(usable()?.len() - 1);
            keep_to(&last)?;
            Ok::<_, String>((usable()?, last))
        };
        // On a thread of its own: the others of this process keep theirs.
        let thread = std::thread::Builder::new().name("pinned".to_owned());
        let (kept, last) = thread.spawn(pinned).unwrap().join().unwrap().unwrap();
        assert_eq!(kept, last);
        assert!(keep_to(&[CpuSet::count()]).is_err());
        assert!(keep_to(&[]).is_err(), "the system refuses no core at all");
    }
}
