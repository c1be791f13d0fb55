//! Thousands of steps of stale, fresh and contradicting words, and what must hold after each of them.

use super::super::{Authority, Health, Phase, Request};
use super::bench::{Bench, Said, command_config, is_control};
use crate::autopilot::commands::Command;
use crate::landing::{Outcome, Verdict};
use crate::vehicle::{AutopilotKind, HeightSource, Mode};
use proptest::prelude::*;

/// Something that happens to the bench.
#[derive(Debug, Clone)]
enum Event {
    Run(u8),
    Heartbeat(bool),
    Pose(bool),
    Height(bool),
    HeightSource(HeightSource, f64),
    Frames(bool),
    Estimator(bool),
    Health(bool),
    Offer(Option<(f64, f64)>),
    Alternate(Option<(f64, f64)>),
    Said(Said),
    Mode(Mode),
    Obeys(bool),
    Armed(bool),
    Stick(Option<u16>),
    Request(Request),
    Epoch,
    Move([f64; 3]),
    ClockBack(f64),
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Loiter),
        Just(Mode::Guided),
        Just(Mode::Hold),
        Just(Mode::Land),
        Just(Mode::PrecLand),
        Just(Mode::Rtl),
        any::<u32>().prop_map(Mode::Other),
    ]
}

fn any_metres() -> impl Strategy<Value = f64> {
    prop_oneof![20 => -60.0..60.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)]
}

fn any_place() -> impl Strategy<Value = Option<(f64, f64)>> {
    proptest::option::weighted(0.8, (any_metres(), any_metres()))
}

fn any_source() -> impl Strategy<Value = HeightSource> {
    prop_oneof![
        3 => Just(HeightSource::RangeSensor),
        1 => Just(HeightSource::Terrain),
        1 => Just(HeightSource::RelativeAltitude),
        1 => Just(HeightSource::Given),
    ]
}

fn any_said() -> impl Strategy<Value = Said> {
    prop_oneof![
        6 => Just(Said::Go),
        1 => Just(Said::Wait),
        1 => Just(Said::MotionAround),
        1 => Just(Said::NotClear),
        1 => Just(Said::Veto),
        1 => Just(Said::OutOfPicture),
        1 => Just(Said::Nothing),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => any::<u8>().prop_map(Event::Run),
        1 => any::<bool>().prop_map(Event::Heartbeat),
        1 => any::<bool>().prop_map(Event::Pose),
        1 => any::<bool>().prop_map(Event::Height),
        1 => (any_source(), any_metres()).prop_map(|(s, sd)| Event::HeightSource(s, sd.abs() / 20.0)),
        1 => any::<bool>().prop_map(Event::Frames),
        1 => prop::bool::weighted(0.8).prop_map(Event::Estimator),
        1 => prop::bool::weighted(0.8).prop_map(Event::Health),
        3 => any_place().prop_map(Event::Offer),
        1 => any_place().prop_map(Event::Alternate),
        4 => any_said().prop_map(Event::Said),
        1 => any_mode().prop_map(Event::Mode),
        1 => prop::bool::weighted(0.8).prop_map(Event::Obeys),
        1 => prop::bool::weighted(0.9).prop_map(Event::Armed),
        1 => proptest::option::of(1000_u16..2000).prop_map(Event::Stick),
        5 => prop_oneof![6 => Just(Request::Start), 1 => Just(Request::Abort)].prop_map(Event::Request),
        1 => Just(Event::Epoch),
        1 => (any_metres(), any_metres(), -60.0..0.0).prop_map(|(n, e, d)| Event::Move([n, e, d])),
        1 => (0.0..3.0).prop_map(Event::ClockBack),
    ]
}

fn apply(b: &mut Bench, event: &Event) {
    match *event {
        Event::Run(_) => {}
        Event::Heartbeat(x) => b.has_heartbeat = x,
        Event::Pose(x) => b.has_pose = x,
        Event::Height(x) => b.has_height = x,
        Event::HeightSource(s, sd) => (b.height_source, b.height_sd_m) = (s, sd),
        Event::Frames(x) => b.has_frames = x,
        Event::Estimator(x) => b.estimator_is_good = x,
        Event::Health(true) => b.health = Health::Good,
        Event::Health(false) => b.health = Health::Faulted("test"),
        Event::Offer(x) => b.offer = x,
        Event::Alternate(x) => b.alternate = x,
        Event::Said(x) => b.said = x,
        Event::Mode(x) => b.mode = x,
        Event::Obeys(x) => b.obeys = x,
        Event::Armed(x) => b.is_armed = x,
        Event::Stick(x) => {
            b.rc = x.map(|us| {
                let mut all = [1500; 18];
                all[0] = us;
                all
            });
        }
        Event::Request(x) => b.requests.push(x),
        Event::Epoch => b.epoch += 1,
        Event::Move(x) => b.position = x,
        Event::ClockBack(s) => b.t -= s,
    }
}

/// What an outsider knows of the last words, without looking into the supervisor.
#[derive(Debug, Default)]
struct Witness {
    /// Frames that said GO: capture, place, epoch.
    gos: Vec<(f64, (f64, f64), u32)>,
    was_taken_over: bool,
    /// Modes that may show: the one before the start, and those that were commanded since.
    ours: Vec<Mode>,
    newest: f64,
}

impl Witness {
    /// Keeps count of whose mode it is; `false` when somebody else's shows.
    fn is_ours(&mut self, before: Phase, shown: Option<Mode>, commands: &[Command]) -> bool {
        let was_idle = matches!(before, Phase::Standby | Phase::HandedBack | Phase::Landed);
        if was_idle {
            self.ours.clear();
            self.ours.extend(shown);
        }
        let is_ours = shown.is_none_or(|mode| self.ours.contains(&mode));
        self.ours.extend(commands.iter().filter_map(|c| match c {
            Command::SetMode(mode) => Some(*mode),
            _ => None,
        }));
        is_ours
    }

    fn see(&mut self, b: &Bench) {
        // The clock that counts never goes back.
        self.newest = self.newest.max(b.t);
        let Some(brief) = b.brief_for_test() else {
            return;
        };
        let at = brief.captured_at.as_secs_f64();
        if let (Outcome::Site, Some(s)) = (brief.outcome, brief.site) {
            self.gos.push((at, (s.north_m, s.east_m), brief.epoch));
        }
        if let Some(w) = brief.watched
            && w.is_clear
            && w.in_picture
            && w.monitor == Verdict::Go
        {
            let place = (w.site.north_m, w.site.east_m);
            self.gos.push((at, place, brief.epoch));
        }
        let newest = self.newest;
        self.gos.retain(|(at, ..)| newest - at <= 1.0 + 1e-6);
    }

    fn has_go(&self, epoch: u32, near: Option<(f64, f64)>) -> bool {
        self.gos.iter().any(|(_, place, e)| {
            let is_near = near.is_none_or(|n| (n.0 - place.0).hypot(n.1 - place.1) < 0.51);
            *e == epoch && is_near
        })
    }
}

fn pose_age_s(b: &Bench, now: f64) -> f64 {
    let at = b
        .vehicle
        .kinematics
        .map_or(f64::NEG_INFINITY, |k| k.at.as_secs_f64());
    now - at
}

fn check(b: &Bench, w: &Witness, commands: &[Command]) -> Result<(), TestCaseError> {
    let [commit_m, land_m, _] = b.supervisor.heights_m();
    let last_gate_m = match b.phase() {
        Phase::Committed => land_m - 0.5,
        _ => commit_m.min(9.0),
    };
    for command in commands {
        let is_pose_fresh = pose_age_s(b, w.newest) <= 0.2 + 1e-6;
        match command {
            Command::SetMode(Mode::Land | Mode::PrecLand) => {
                let is_committed = b.phase() == Phase::Committed;
                prop_assert!(is_committed && is_pose_fresh && w.has_go(b.epoch, None));
            }
            Command::Target(t) => {
                let near = Some((t.position.north(), t.position.east()));
                prop_assert!(is_pose_fresh && w.has_go(b.epoch, near), "{:?}", b.state());
            }
            Command::GoTo(s) => {
                let p = b.vehicle.kinematics.unwrap().value.position;
                prop_assert!(is_pose_fresh && s.position.is_finite());
                let sinks_m = s.position.down() - p.down();
                if sinks_m > 0.5 + 1e-6 {
                    prop_assert!(w.has_go(b.epoch, None), "{sinks_m} {:?}", b.state());
                    let near = (s.position.north(), s.position.east());
                    prop_assert!(w.has_go(b.epoch, Some(near)), "{:?}", b.state());
                    prop_assert!(
                        sinks_m <= 5.0 + 1.5 + 1e-6,
                        "further than a gate: {sinks_m}"
                    );
                    prop_assert!(
                        -p.down() - sinks_m >= last_gate_m - 1e-6,
                        "below the last gate"
                    );
                }
            }
            _ => {}
        }
        if let Command::SetMode(_) = command {
            let heard = b.vehicle.mode.unwrap().at.as_secs_f64();
            prop_assert!(w.newest - heard <= 1.5 + 1e-6);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_descent_without_a_fresh_go_and_no_command_after_a_takeover(
        px4 in any::<bool>(),
        height_m in 5.0..60.0_f64,
        events in proptest::collection::vec(any_event(), 10..120),
    ) {
        let kind = if px4 { AutopilotKind::Px4 } else { AutopilotKind::ArduPilot };
        let mut config = command_config();
        config.engage.allow_relative_altitude = px4;
        let mut b = Bench::new(config, kind);
        let mut w = Witness::default();
        b.position[2] = -height_m;
        b.offer = Some((3.0, 3.0));
        b.start();
        w.see(&b);
        w.ours.extend([Mode::Loiter, Mode::Guided]);
        for event in &events {
            apply(&mut b, event);
            let ticks = match event { Event::Run(n) => usize::from(*n), _ => 1 };
            for _ in 0..ticks {
                let has_start = b.requests.contains(&Request::Start);
                let before = b.phase();
                let commands = b.tick();
                w.see(&b);
                check(&b, &w, &commands)?;
                let shown = b.vehicle.mode.map(|m| m.value.mode);
                if !w.is_ours(before, shown, &commands) {
                    prop_assert!(!commands.iter().any(is_control), "{commands:?}");
                }
                let is_new = b.phase() == Phase::HandedBack && before != Phase::HandedBack;
                w.was_taken_over = is_new || w.was_taken_over && !has_start;
                if w.was_taken_over {
                    prop_assert!(!commands.iter().any(is_control), "{commands:?}");
                }
            }
        }
    }

    #[test]
    fn assist_and_advise_command_nothing_of_their_own(
        assists in any::<bool>(),
        events in proptest::collection::vec(any_event(), 10..80),
    ) {
        let mut config = command_config();
        config.mode = if assists { Authority::Assist } else { Authority::Advise };
        let mut b = Bench::new(config, AutopilotKind::ArduPilot);
        let mut w = Witness::default();
        for event in &events {
            apply(&mut b, event);
            let ticks = match event { Event::Run(n) => usize::from(*n), _ => 1 };
            for _ in 0..ticks {
                let commands = b.tick();
                w.see(&b);
                check(&b, &w, &commands)?;
                let is_foreign = |c: &Command| is_control(c) && !(assists && matches!(c, Command::Target(_)));
                prop_assert!(!commands.iter().any(is_foreign), "{commands:?}");
            }
        }
    }
}
