//! The watchdog over threads that do what a test tells them.

use std::time::Duration;

use crossbeam_channel::{bounded, never};
use image::RgbImage;

use super::super::schedule::{BEAT, CONTROL_DEADLINE, HAND_BACK_LIMIT, HANG_LIMIT};
use super::latest::latest;
use super::start::Loose;
use super::*;
use crate::autopilot::companion::Companion;
use crate::autopilot::supervisor::Refusal;
use crate::camera::Frame;
use crate::inference::manifest::{Manifest, ModelFiles};
use crate::inference::{InferenceError, SegmentationMap};
use crate::vehicle::{AutopilotKind, Mode, VehicleMode};

/// Longer than any test lasts.
const FOR_EVER: Duration = Duration::from_mins(10);

fn watchdog() -> (Watchdog, Loose) {
    let (started, loose) = Started::empty(SystemClock::start());
    (Watchdog::new(started, None), loose)
}

fn rest(d: Duration) {
    let _ = never::<()>().recv_timeout(d);
}

/// A control thread that ticks until it is told to hand back.
fn ticking(watchdog: &mut Watchdog) {
    let work = |common: &Common| {
        while common.watch.wished() == Wish::Run {
            common.watch.beat(Stage::Control, common.clock.now());
            rest(BEAT / 4);
        }
    };
    watchdog.started.spawn(Stage::Control, work).unwrap();
}

fn status(watchdog: &Watchdog, phase: Phase, at: MonoTime) -> Status {
    let companion = Companion::new(CompanionConfig::default()).unwrap();
    let health = watchdog.started.common.watch.health(at);
    Status {
        phase,
        ..Status::of(&companion, Err(Refusal::NoHeartbeat), (health, at))
    }
}

#[test]
fn a_control_thread_that_hangs_ends_everything_at_once() {
    let (mut watchdog, _loose) = watchdog();
    let clock = watchdog.started.common.clock.clone();
    let work = |common: &Common| {
        common.watch.beat(Stage::Control, common.clock.now());
        rest(FOR_EVER);
    };
    watchdog.started.spawn(Stage::Control, work).unwrap();
    let begun = clock.now();
    let is_hung = watchdog.watch(&AtomicBool::new(false));
    let report = watchdog.finish(is_hung);
    let took = clock.now().since(begun);
    assert_eq!(report.ended, Ended::Hung);
    assert_eq!(report.left_behind, ["control"]);
    let limit = CONTROL_DEADLINE + Duration::from_secs(1);
    assert!(took > CONTROL_DEADLINE && took < limit, "{took:?}");
}

#[test]
fn a_stop_ends_well_and_a_broken_record_does_not_end_the_flight() {
    let (mut watchdog, _loose) = watchdog();
    ticking(&mut watchdog);
    watchdog
        .started
        .spawn(Stage::Record, |_| panic!("a broken disk"))
        .unwrap();
    let stop = AtomicBool::new(false);
    let is_hung = std::thread::scope(|scope| {
        let flag = &stop;
        std::thread::Builder::new()
            .name("user".to_owned())
            .spawn_scoped(scope, move || {
                rest(BEAT * 4);
                flag.store(true, Ordering::Relaxed);
            })
            .unwrap();
        watchdog.watch(flag)
    });
    let report = watchdog.finish(is_hung);
    assert_eq!(report.ended, Ended::AsWished);
    assert!(report.left_behind.is_empty());
}

#[test]
fn a_panic_ends_it_once_the_vehicle_is_given_back_with_its_words() {
    let (mut watchdog, loose) = watchdog();
    ticking(&mut watchdog);
    let broken = |_: &Common| panic!("no such {}", "thing");
    watchdog.started.spawn(Stage::Landing, broken).unwrap();
    let given_back = status(&watchdog, Phase::HandedBack, MonoTime::from_secs_f64(60.0));
    loose.put_status.put(given_back);
    let is_hung = watchdog.watch(&AtomicBool::new(false));
    let report = watchdog.finish(is_hung);
    let ended = Ended::Broken {
        stage: "landing",
        why: "panicked: no such thing".to_owned(),
    };
    assert_eq!(report.ended, ended);
    assert_eq!(report.phase(), Phase::HandedBack);
}

#[test]
fn a_failed_stage_ends_it_when_the_vehicle_is_given_back_or_the_grace_is_over() {
    let (mut watchdog, _loose) = watchdog();
    let at = MonoTime::from_secs_f64;
    assert!(!watchdog.is_lost(at(100.0)));
    watchdog.failed_at = Some(at(10.0));
    watchdog.status = Some(status(&watchdog, Phase::Descending, at(10.5)));
    assert!(!watchdog.is_lost(at(11.0)));
    // A status of before the failure knows nothing of it.
    watchdog.status = Some(status(&watchdog, Phase::Standby, at(9.9)));
    assert!(!watchdog.is_lost(at(11.0)));
    watchdog.status = Some(status(&watchdog, Phase::HandedBack, at(10.1)));
    assert!(watchdog.is_lost(at(11.0)));
    watchdog.status = Some(status(&watchdog, Phase::Aborted, at(10.1)));
    assert!(!watchdog.is_lost(at(10.0).after(FAULT_GRACE)));
    assert!(watchdog.is_lost(at(10.1).after(FAULT_GRACE)));
}

#[test]
fn only_a_stage_that_hangs_beyond_the_limit_is_given_up() {
    let (watchdog, _loose) = watchdog();
    let watch = Arc::clone(&watchdog.started.common.watch);
    let at = |d: Duration| MonoTime::ZERO.after(d);
    watch.turn(Stage::Camera, MonoTime::ZERO);
    assert!(watchdog.hanging(at(HANG_LIMIT)).is_none());
    let failure = watchdog.hanging(at(HANG_LIMIT + BEAT)).unwrap();
    assert_eq!(failure.stage, Stage::Camera);
    assert!(failure.why.starts_with("hangs for 15 s"), "{}", failure.why);
    // It waits, and brings nothing: that is for the supervisor to judge.
    watch.turn(Stage::Camera, at(HANG_LIMIT));
    assert!(watchdog.hanging(at(HANG_LIMIT + BEAT)).is_none());
}

#[test]
fn a_hand_back_that_does_not_come_to_an_end_is_a_hang() {
    let (mut watchdog, _loose) = watchdog();
    let at = MonoTime::from_secs_f64;
    watchdog.asked_at = Some(at(5.0));
    let limit = HAND_BACK_LIMIT + CONTROL_DEADLINE;
    assert!(!watchdog.is_overdue(at(5.0).after(limit)));
    assert!(watchdog.is_overdue(at(5.1).after(limit)));
}

/// Asks for the settings to be read again in this status; why it is refused, or how it ends.
fn asked_to_reload(armed: Option<bool>, is_fresh: bool, phase: Phase) -> Result<Ended, String> {
    let (mut watchdog, loose) = watchdog();
    ticking(&mut watchdog);
    let flag = Arc::new(AtomicBool::new(true));
    watchdog.reload = Some(Arc::clone(&flag));
    let mode = |is_armed| VehicleMode {
        mode: Mode::Hold,
        custom_mode: 0,
        is_armed,
        is_failsafe: false,
    };
    watchdog.status = Some(Status {
        mode: armed.map(mode),
        is_disarmed: armed == Some(false) && is_fresh,
        ..status(&watchdog, phase, MonoTime::ZERO)
    });
    let stop = AtomicBool::new(false);
    watchdog.heed_reload();
    assert!(!flag.load(Ordering::Relaxed), "heard once");
    if let Ok((_, notice)) = loose.remarks.try_recv() {
        assert_eq!(watchdog.started.common.watch.wished(), Wish::Run);
        return Err(notice.to_string());
    }
    let is_hung = watchdog.watch(&stop);
    Ok(watchdog.finish(is_hung).ended)
}

#[test]
fn settings_are_read_again_only_where_the_motors_are_known_to_be_off() {
    use Phase::{Descending, HandedBack, Standby};
    for phase in [Standby, HandedBack] {
        let ended = asked_to_reload(Some(false), true, phase);
        assert_eq!(ended, Ok(Ended::Reload));
    }
    for (armed, is_fresh, phase, why) in [
        (Some(true), true, Standby, "the vehicle is armed"),
        (Some(true), false, Standby, "the vehicle is armed"),
        (Some(false), false, Standby, "not known to be disarmed"),
        (None, false, Standby, "not known to be disarmed"),
        (Some(false), true, Descending, "a landing is under way"),
    ] {
        let refused = asked_to_reload(armed, is_fresh, phase).unwrap_err();
        assert!(refused.ends_with(why), "{refused}");
    }
}

#[test]
fn a_stop_is_no_reload() {
    let (mut watchdog, _loose) = watchdog();
    ticking(&mut watchdog);
    watchdog.is_reloading = true;
    let is_hung = watchdog.watch(&AtomicBool::new(true));
    assert_eq!(watchdog.finish(is_hung).ended, Ended::AsWished);
}

/// Says nothing of any frame, and at once.
struct Mute(Manifest);

impl Segmenter for Mute {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn segment(&mut self, _: &Frame, _: &mut SegmentationMap) -> Result<(), InferenceError> {
        Ok(())
    }
}

#[test]
fn under_pressure_pictures_that_are_looked_at_are_apart_and_the_others_are_counted() {
    for (pace, looks) in [(Pace::Full, 20), (Pace::Eased, 7), (Pace::Least, 4)] {
        let (started, _loose) = Started::empty(SystemClock::start());
        let common = started.common.clone();
        common.pace.set(pace);
        let (put, take) = latest();
        let (to, segmented) = bounded(32);
        let (free, maps) = bounded(32);
        for _ in 0..32 {
            free.send(SegmentationMap::default()).unwrap();
        }
        let manifest = include_str!("../../../models/landing.toml");
        let files = ModelFiles::embedded(manifest, include_bytes!("../../../models/landing.onnx"));
        let mute = Box::new(Mute(files.unwrap().manifest));
        let image = Arc::new(RgbImage::new(8, 8));
        std::thread::scope(|scope| {
            let common = &common;
            std::thread::Builder::new()
                .name("inference".to_owned())
                .spawn_scoped(scope, move || {
                    stages::inference(mute, common, &take, (&to, &maps));
                })
                .unwrap();
            // Ten a second, each taken before the next comes.
            for seq in 0..20_u64 {
                put.put(Frame {
                    seq,
                    source: "test".into(),
                    captured_at: MonoTime::from_secs_f64(0.1 * seq as f64),
                    image: Arc::clone(&image),
                    tag: None,
                });
                while segmented.len() as u64 + common.counts.eased.get() <= seq {
                    rest(BEAT / 50);
                }
            }
            common.watch.wish(Wish::Stop);
        });
        assert_eq!(segmented.len(), looks, "{pace:?}");
        assert_eq!(common.counts.eased.get(), 20 - looks as u64);
    }
}

#[test]
fn the_log_says_how_long_the_autopilot_has_been_silent() {
    let (watchdog, _loose) = watchdog();
    let heard = Status {
        kind: Some(AutopilotKind::ArduPilot),
        mode: Some(VehicleMode {
            mode: Mode::Guided,
            custom_mode: 4,
            is_armed: true,
            is_failsafe: false,
        }),
        ..status(&watchdog, Phase::Standby, MonoTime::ZERO)
    };
    let line = |s: u64| {
        let silence = Duration::from_secs(s);
        Status { silence, ..heard }.line(&watchdog.started.common.counts.report())
    };
    assert!(line(1).contains("ArduPilot Guided armed"), "{}", line(1));
    assert!(
        line(12).contains("ArduPilot silent for 12 s"),
        "{}",
        line(12)
    );
    let never = status(&watchdog, Phase::Standby, MonoTime::ZERO);
    let never = never.line(&watchdog.started.common.counts.report());
    assert!(never.contains("no autopilot heard"), "{never}");
}
