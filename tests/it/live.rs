//! The live pipeline over a loopback link, in real time, against the simulated autopilot.

mod flown;
mod stepped;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alight::autopilot::framing::Parser;
use alight::autopilot::supervisor::{Health, Phase};
use alight::camera::{FrameSource, SourceEvent};
use alight::geometry::{CameraMount, GroundPoint, Vec3};
use alight::pipeline::live::{self, Camera, Ended, Options, TapeEntry};
use alight::pipeline::schedule;
use alight::sim::autopilot::{Dialect, Endpoint, SimAutopilot, SimConfig, serve};
use alight::time::{Clock as _, MonoTime, SystemClock};
use alight::vehicle::Mode;
use mavlink::dialects::ardupilotmega::MavMessage;

use flown::{Mood, SLOW, TAPE, descends, fly, lens, over_tcp, over_udp, plan};
use stepped::Stepped;

#[rstest::rstest]
#[case::ardupilot_over_udp(Dialect::ArduPilot, over_udp())]
#[case::px4_over_tcp(Dialect::Px4, over_tcp())]
fn it_lands_on_the_place_that_it_offered(
    #[case] dialect: Dialect,
    #[case] link: (String, Endpoint),
) {
    let plan = plan(dialect, link);
    let world = Arc::clone(&plan.world);
    let flown = fly(plan, false, |_, _| {});
    let truth = flown.truth;
    let touchdown = truth.touchdown.expect("it stands on the ground");
    assert!(touchdown.speed_m_s < 1.5, "{touchdown:?}");
    // The camera looks down from where the autopilot believes to be.
    let believed = truth.position + truth.estimate_error;
    let place = GroundPoint {
        north_m: believed.north(),
        east_m: believed.east(),
    };
    assert!(world.worst_surface(place, 0.5, 0.0).is_landable());
    let nearest = flown
        .decisions
        .iter()
        .filter_map(|d| d.site.as_ref())
        .map(|s| (s.north_m - place.north_m).hypot(s.east_m - place.east_m))
        .fold(f64::INFINITY, f64::min);
    assert!(
        nearest < 1.0,
        "{nearest:.2} m from the nearest site offered"
    );
    for phase in ["searching", "descending", "committed", "landed"] {
        assert!(flown.says(phase), "{phase}: {:?}", flown.events);
    }
    let report = flown.report;
    assert_eq!(
        (&report.ended, report.phase(), report.left_behind.len()),
        (&Ended::AsWished, Phase::Landed, 0)
    );
    let counts = report.counts;
    assert_eq!(counts.decisions as usize, flown.decisions.len());
    assert_eq!((counts.decisions_lost, counts.notes_lost), (0, 0));
    let dropped = counts.frames_dropped + counts.maps_dropped + counts.frames_unanswered;
    assert!(
        counts.frames - counts.decisions - dropped <= 3,
        "{counts:?}"
    );
    // Every frame, message and tick works in memory that is there already; what changes is told in texts, now and then.
    assert!(
        counts.landing_allocations <= 5 && counts.control_allocations <= 30,
        "{counts:?}"
    );
}

#[test]
fn a_stop_in_the_descent_hands_the_vehicle_back_in_a_hold() {
    let plan = plan(Dialect::ArduPilot, over_udp());
    let flown = fly(plan, false, |truth, stop| {
        if descends(truth) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let truth = flown.truth;
    assert!(truth.touchdown.is_none() && truth.is_armed);
    assert_eq!(truth.mode, Mode::Hold);
    assert!(
        flown.says("handed back: told to stop"),
        "{:?}",
        flown.events
    );
    assert_eq!(flown.report.ended, Ended::AsWished);
    assert_eq!(flown.report.phase(), Phase::HandedBack);
}

#[test]
fn both_drivers_decide_and_command_the_same_on_the_same_input() {
    let plan = plan(Dialect::Px4, over_udp());
    let flown = fly(plan, true, |truth, stop| {
        if descends(truth) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(flown.says("descending"), "{:?}", flown.events);
    assert!(flown.tape.len() < TAPE, "the tape is full");
    let mut stepped = Stepped::new();
    let sent: usize = flown.tape.iter().map(sent_len).sum();
    for entry in flown.tape {
        stepped.take(entry);
    }
    let counts = flown.report.counts;
    assert_eq!(stepped.decided as u64, counts.decisions);
    assert!(stepped.decided >= 20 && stepped.sites >= 5 && sent > 5000);
}

fn sent_len(entry: &TapeEntry) -> usize {
    match entry {
        TapeEntry::Sent(bytes) => bytes.len(),
        _ => 0,
    }
}

/// What went out after the stages were first known to be ill, and when that was.
struct Aftermath {
    ill_at: MonoTime,
    stage: &'static str,
    messages: Vec<MavMessage>,
}

fn aftermath(tape: &[TapeEntry]) -> Aftermath {
    let is_well = |entry: &TapeEntry| matches!(entry, TapeEntry::Ticked(_, Health::Good));
    let last_well = tape.iter().rposition(is_well).unwrap();
    let (ill_at, stage) = tape[last_well + 1..]
        .iter()
        .find_map(|entry| match entry {
            TapeEntry::Ticked(now, Health::Faulted(stage)) => Some((*now, *stage)),
            _ => None,
        })
        .expect("somebody noticed");
    let mut parser = Parser::new(None);
    let mut messages = Vec::new();
    let mut is_ill = false;
    for entry in &tape[last_well + 1..] {
        // The first tick that knows comes before the first bytes that count.
        is_ill |= matches!(entry, TapeEntry::Ticked(..));
        if let (TapeEntry::Sent(bytes), true) = (entry, is_ill) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                rest = parser.fill(rest);
                while let Some(frame) = parser.next_frame(ill_at) {
                    messages.push(frame.message);
                }
            }
        }
    }
    Aftermath {
        ill_at,
        stage,
        messages,
    }
}

#[rstest::rstest]
#[case::hangs_over_ardupilot(Mood::Hangs, Dialect::ArduPilot)]
#[case::hangs_over_px4(Mood::Hangs, Dialect::Px4)]
#[case::panics(Mood::Panics, Dialect::ArduPilot)]
fn a_network_that_fails_in_the_descent_costs_the_landing_and_not_the_vehicle(
    #[case] mood: Mood,
    #[case] dialect: Dialect,
) {
    let plan = plan(dialect, over_udp());
    let switch = Arc::clone(&plan.mood);
    let clock = plan.parts.clock.clone();
    let failed = std::sync::OnceLock::new();
    let (at, down) = (&failed, std::sync::Mutex::new(f64::MIN));
    let deepest = &down;
    let flown = fly(plan, true, move |truth, _| {
        if descends(truth) {
            at.get_or_init(|| (clock.now(), truth.position.down()));
            switch.store(mood as u8, Ordering::Relaxed);
        }
        let mut deepest = deepest.lock().unwrap();
        *deepest = deepest.max(truth.position.down());
    });
    let (failed_at, failed_down) = *failed.get().expect("it descended");

    // Noticed in time, by its name.
    let after = aftermath(&flown.tape);
    assert_eq!(after.stage, "inference");
    let noticed = after.ill_at.since(failed_at);
    // A frame was under way, and the next takes its time to come.
    let slack = Duration::from_millis(600);
    assert!(
        noticed < schedule::INFERENCE_DEADLINE + slack,
        "{noticed:?}"
    );

    // Nothing more that leads down, no sign of health.
    for message in &after.messages {
        assert!(
            !matches!(
                message,
                MavMessage::HEARTBEAT(_) | MavMessage::LANDING_TARGET(_)
            ),
            "{message:?}"
        );
    }
    let sank = *down.lock().unwrap() - failed_down;
    assert!(sank < 2.5, "it went on down {sank:.1} m");

    // Held, handed back with the reason, ended.
    let truth = flown.truth;
    assert!(truth.touchdown.is_none() && truth.is_armed);
    assert_eq!(truth.mode, Mode::Hold);
    assert!(
        flown.says("handed back: pipeline fault: inference"),
        "{:?}",
        flown.events
    );
    let (part, left): (_, &[&str]) = if mood == Mood::Hangs {
        ("hangs", &["inference"])
    } else {
        ("panicked: a broken network", &[])
    };
    let Ended::Broken { stage, why } = &flown.report.ended else {
        panic!("{:?}", flown.report)
    };
    assert_eq!(
        (*stage, flown.report.phase()),
        ("inference", Phase::HandedBack)
    );
    assert!(why.contains(part), "{why}");
    assert_eq!(flown.report.left_behind, left);
}

/// Nothing comes from it.
struct Nothing;

impl FrameSource for Nothing {
    fn next_event(&mut self) -> SourceEvent {
        SourceEvent::End { warning: None }
    }

    fn len_hint(&self) -> Option<u64> {
        Some(0)
    }
}

#[test]
fn a_source_of_pictures_that_ends_ends_the_flight_and_never_starts_one_by_itself() {
    for engages_when_ready in [false, true] {
        let mut plan = plan(Dialect::ArduPilot, over_udp());
        plan.parts.camera = Camera::Source(Box::new(Nothing), lens(), CameraMount::nadir());
        let options = Options {
            engages_when_ready,
            ..Options::default()
        };
        let ended = live::run(plan.parts, options, &AtomicBool::new(false));
        match (engages_when_ready, ended) {
            (false, Ok(report)) => assert_eq!(report.ended, Ended::AsWished),
            (true, Err(e)) => assert!(e.to_string().contains("world camera"), "{e}"),
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_slow_network_gets_the_newest_frame_and_the_others_are_counted() {
    let mut plan = plan(Dialect::ArduPilot, over_udp());
    plan.mood.store(Mood::Slow as u8, Ordering::Relaxed);
    plan.options.engages_when_ready = false;
    plan.options.longest = Some(Duration::from_secs(6));
    if let Camera::World(spec) = &mut plan.parts.camera {
        spec.interval = Duration::from_millis(50);
        spec.latency = Duration::ZERO;
    }
    let flown = fly(plan, false, |_, _| {});
    let counts = flown.report.counts;
    assert_eq!(flown.report.ended, Ended::AsWished);
    assert!((8..=17).contains(&counts.decisions), "{counts:?}");
    // One in seven; all are accounted for but the last few, which are under way at the end.
    assert!(counts.frames_dropped > 3 * counts.decisions, "{counts:?}");
    let known = counts.frames_dropped + counts.decisions + counts.maps_dropped;
    assert!(counts.frames - known <= 4, "{counts:?}");
    // A queue of old frames would be seconds behind.
    let fresh = SLOW.as_secs_f64() * 1e3 + 300.0;
    assert!(counts.capture_to_decision.p95_ms < fresh, "{counts:?}");
}

#[test]
fn the_service_starts_by_itself_and_hands_back_at_the_end_of_its_time() {
    let (link, endpoint) = over_tcp();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alight.toml");
    let text = format!(
        "mode = \"command\"\nlink = \"{link}\"\n[camera]\nsource = \"world\"\nwidth_px = 384\nheight_px = 256"
    );
    std::fs::write(&config, text).unwrap();
    let out = folder.path().join("out");
    let mut autopilot = SimAutopilot::new(SimConfig {
        start: Vec3::new(0.0, 0.0, -25.0),
        ..SimConfig::new(Dialect::ArduPilot, 3)
    });
    let (clock, ends) = (SystemClock::start(), AtomicBool::new(false));
    let status = std::thread::scope(|scope| {
        let (autopilot, ends, clock) = (&mut autopilot, &ends, &clock);
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn_scoped(scope, move || {
                serve(autopilot, &endpoint, clock, ends, |_| {}).unwrap();
            })
            .unwrap();
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_alight"))
            .args(["run", "--engage-when-ready", "--for", "10", "--config"])
            .arg(&config)
            .arg("--out")
            .arg(&out)
            .status();
        ends.store(true, Ordering::Relaxed);
        status.unwrap()
    });
    let events = std::fs::read_to_string(out.join("events.jsonl")).unwrap();
    assert_eq!(status.code(), Some(0), "{events}");
    for part in ["searching at", "handed back: told to stop"] {
        assert!(events.contains(part), "{part}: {events}");
    }
    let truth = autopilot.truth();
    assert!(truth.is_armed && truth.touchdown.is_none());
    assert_eq!(truth.mode, Mode::Hold);
    assert!(!out.join("engaged").exists(), "the vehicle is ours no more");
    let decisions = std::fs::read_to_string(out.join("decisions.jsonl")).unwrap();
    assert!(decisions.lines().count() >= 10, "{decisions}");
}
