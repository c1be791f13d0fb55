//! Which messages are needed, how often, and how they are asked for until they flow.
//!
//! A second link gets nothing unasked. Each message is asked for by its interval, one request at a time, again after 1 s
//! and then ever more seldom up to 30 s while it does not come, or comes too seldom; not every autopilot has every
//! message, and not every vehicle every sensor. One that flowed and stops is asked for at once.

use std::time::Duration;

use mavlink::MessageData as _;
use mavlink::dialects::ardupilotmega as dialect;

use crate::time::MonoTime;
use crate::vehicle::AutopilotKind;

/// Shortest and longest wait before the same is asked again.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A stream may be late by this and three of its intervals.
const GRACE: Duration = Duration::from_secs(1);
/// Weight of the newest interval in the mean.
const NEWEST: f64 = 0.3;

/// A message and how often it is wanted, hertz.
type Wanted = (u32, f32);

/// From both autopilots. Together some 4 kB/s: two thirds of a line at 57600 bits per second.
const COMMON: [Wanted; 14] = [
    // The mode of the vehicle: a takeover shows here.
    (dialect::HEARTBEAT_DATA::ID, 5.0),
    (dialect::ATTITUDE_QUATERNION_DATA::ID, 20.0),
    (dialect::LOCAL_POSITION_NED_DATA::ID, 20.0),
    // The sticks: a takeover shows here, too.
    (dialect::RC_CHANNELS_DATA::ID, 10.0),
    (dialect::DISTANCE_SENSOR_DATA::ID, 10.0),
    (dialect::EXTENDED_SYS_STATE_DATA::ID, 5.0),
    (dialect::GLOBAL_POSITION_INT_DATA::ID, 5.0),
    (dialect::SYS_STATUS_DATA::ID, 1.0),
    (dialect::BATTERY_STATUS_DATA::ID, 1.0),
    (dialect::SYSTEM_TIME_DATA::ID, 1.0),
    (dialect::HOME_POSITION_DATA::ID, 0.5),
    (dialect::GPS_GLOBAL_ORIGIN_DATA::ID, 0.5),
    // Where ATTITUDE_QUATERNION does not come; the decoder prefers that one.
    (dialect::ATTITUDE_DATA::ID, 4.0),
    (dialect::TERRAIN_REPORT_DATA::ID, 1.0),
];

const ARDUPILOT: [Wanted; 2] = [
    (dialect::EKF_STATUS_REPORT_DATA::ID, 2.0),
    (dialect::WIND_DATA::ID, 1.0),
];

const PX4: [Wanted; 3] = [
    (dialect::ESTIMATOR_STATUS_DATA::ID, 2.0),
    (dialect::WIND_COV_DATA::ID, 1.0),
    (dialect::ALTITUDE_DATA::ID, 5.0),
];

/// One message that is wanted.
#[derive(Debug, Clone, Copy)]
struct Stream {
    id: u32,
    hz: f32,
    heard_at: Option<MonoTime>,
    mean_s: Option<f64>,
    back_off: Duration,
    ask_at: Option<MonoTime>,
}

impl Stream {
    const fn new((id, hz): Wanted) -> Self {
        Self {
            id,
            hz,
            heard_at: None,
            mean_s: None,
            back_off: BACK_OFF.0,
            ask_at: None,
        }
    }

    fn interval_s(&self) -> f64 {
        1.0 / f64::from(self.hz)
    }

    /// It comes, and at least half as often as wanted.
    fn is_flowing(&self, now: MonoTime) -> bool {
        let late_s = 3.0 * self.interval_s() + GRACE.as_secs_f64();
        self.heard_at.is_some_and(|at| now.secs_since(at) <= late_s)
            && self.mean_s.is_some_and(|s| s <= 2.0 * self.interval_s())
    }
}

/// All messages that are wanted of one autopilot.
#[derive(Debug)]
pub struct Streams {
    kind: Option<AutopilotKind>,
    all: Vec<Stream>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            kind: None,
            all: Vec::with_capacity(COMMON.len() + PX4.len().max(ARDUPILOT.len())),
        }
    }
}

impl Streams {
    /// A message came.
    pub fn heard(&mut self, id: u32, now: MonoTime) {
        let Some(stream) = self.all.iter_mut().find(|s| s.id == id) else {
            return;
        };
        if let Some(before) = stream.heard_at {
            let gap = now.secs_since(before).max(0.0);
            let mean = stream.mean_s.unwrap_or(gap);
            stream.mean_s = Some(mean + NEWEST * (gap - mean));
        }
        stream.heard_at = Some(now);
    }

    /// The message to ask for now, with its rate; one at a time, the most urgent first.
    pub fn ask(&mut self, kind: AutopilotKind, now: MonoTime) -> Option<(u32, f32)> {
        if self.kind != Some(kind) {
            self.start(kind);
        }
        for stream in &mut self.all {
            if stream.is_flowing(now) {
                stream.back_off = BACK_OFF.0;
                continue;
            }
            if stream.ask_at.is_none_or(|at| now >= at) {
                stream.ask_at = Some(now.after(stream.back_off));
                stream.back_off = (stream.back_off * 2).min(BACK_OFF.1);
                return Some((stream.id, stream.hz));
            }
        }
        None
    }

    /// The autopilot started again, and knows nothing of what was asked.
    pub fn restart(&mut self) {
        self.kind = None;
    }

    /// How many of the wanted messages flow, and how many are wanted.
    #[must_use]
    pub fn flowing(&self, now: MonoTime) -> (usize, usize) {
        let flowing = self.all.iter().filter(|s| s.is_flowing(now)).count();
        (flowing, self.all.len())
    }

    /// The wanted messages that do not flow, by id.
    pub fn missing(&self, now: MonoTime) -> impl Iterator<Item = u32> + '_ {
        let missing = self.all.iter().filter(move |s| !s.is_flowing(now));
        missing.map(|s| s.id)
    }

    fn start(&mut self, kind: AutopilotKind) {
        let own: &[Wanted] = match kind {
            AutopilotKind::Px4 => &PX4,
            AutopilotKind::ArduPilot | AutopilotKind::Other(_) => &ARDUPILOT,
        };
        self.kind = Some(kind);
        self.all.clear();
        let wanted = COMMON.iter().chain(own);
        self.all.extend(wanted.map(|w| Stream::new(*w)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);
    const KIND: AutopilotKind = AutopilotKind::ArduPilot;

    /// Runs the ticks of some seconds; an autopilot that grants what `grants` says. Returns the requests.
    fn run(
        streams: &mut Streams,
        from: MonoTime,
        seconds: u32,
        grants: impl Fn(u32) -> bool,
    ) -> Vec<(MonoTime, u32)> {
        let mut asked = Vec::new();
        let mut now = from;
        for _ in 0..seconds * 20 {
            for i in 0..streams.all.len() {
                let s = streams.all[i];
                let is_due = s
                    .heard_at
                    .is_none_or(|at| now.secs_since(at) >= s.interval_s() - 1e-6);
                let is_asked = s.ask_at.is_some();
                if is_asked && is_due && grants(s.id) {
                    streams.heard(s.id, now);
                }
            }
            asked.extend(streams.ask(KIND, now).map(|(id, _)| (now, id)));
            now = now.after(TICK);
        }
        asked
    }

    #[test]
    fn granted_messages_are_asked_for_until_they_flow_and_then_no_more() {
        let mut streams = Streams::default();
        let asked = run(&mut streams, MonoTime::ZERO, 12, |_| true);
        assert!(asked.len() <= 3 * streams.all.len(), "{}", asked.len());
        let now = MonoTime::from_secs_f64(12.0);
        let (flowing, wanted) = streams.flowing(now);
        assert_eq!(
            flowing,
            wanted,
            "{:?}",
            streams.missing(now).collect::<Vec<_>>()
        );
        assert!(run(&mut streams, now, 60, |_| true).is_empty());
    }

    #[test]
    fn a_message_that_does_not_come_is_asked_for_ever_more_seldom() {
        let mut streams = Streams::default();
        let never = dialect::DISTANCE_SENSOR_DATA::ID;
        let asked = run(&mut streams, MonoTime::ZERO, 600, |id| id != never);
        let times: Vec<f64> = asked
            .iter()
            .filter(|(_, id)| *id == never)
            .map(|(at, _)| at.as_secs_f64())
            .collect();
        assert!((20..=28).contains(&times.len()), "{times:?}");
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        assert!((gaps[0] - 1.0).abs() < 0.2 && (gaps[2] - 4.0).abs() < 0.2);
        assert!(gaps.iter().all(|g| *g < 30.2));
    }

    #[test]
    fn one_that_stops_is_asked_for_at_once() {
        let mut streams = Streams::default();
        run(&mut streams, MonoTime::ZERO, 20, |_| true);
        let from = MonoTime::from_secs_f64(20.0);
        let heartbeat = dialect::HEARTBEAT_DATA::ID;
        let asked = run(&mut streams, from, 10, |id| id != heartbeat);
        let (at, id) = asked[0];
        assert_eq!(id, heartbeat);
        assert!(at.secs_since(from) < 2.0, "{asked:?}");
    }

    #[test]
    fn one_that_comes_too_seldom_is_asked_for() {
        let mut streams = Streams::default();
        streams.ask(KIND, MonoTime::ZERO);
        let heartbeat = dialect::HEARTBEAT_DATA::ID;
        for s in 0..10 {
            streams.heard(heartbeat, MonoTime::from_secs_f64(f64::from(s)));
        }
        let now = MonoTime::from_secs_f64(9.5);
        assert!(streams.missing(now).any(|id| id == heartbeat));
    }

    #[test]
    fn a_restart_asks_for_everything_again_and_each_autopilot_for_its_own() {
        let mut streams = Streams::default();
        run(&mut streams, MonoTime::ZERO, 20, |_| true);
        streams.restart();
        let asked = run(&mut streams, MonoTime::from_secs_f64(20.0), 1, |_| false);
        assert_eq!(asked.len(), streams.all.len());
        streams.ask(AutopilotKind::Px4, MonoTime::from_secs_f64(30.0));
        let has = |id| streams.all.iter().any(|s| s.id == id);
        assert!(has(dialect::ESTIMATOR_STATUS_DATA::ID));
        assert!(!has(dialect::EKF_STATUS_REPORT_DATA::ID));
    }
}
