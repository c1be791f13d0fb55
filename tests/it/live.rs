//! The live pipeline over a loopback link, in real time, against the simulated autopilot.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use alight::autopilot::companion::{Companion, CompanionConfig};
use alight::autopilot::decode::TelemetryConfig;
use alight::autopilot::framing::Parser;
use alight::autopilot::supervisor::{
    Authority, Brief, FieldOfView, Health, Phase, SupervisorConfig,
};
use alight::camera::world::{Sighting, WorldSpec};
use alight::camera::{Frame, FrameSource, SourceEvent};
use alight::geometry::{CameraModel, CameraMount, GroundPoint, Vec3};
use alight::inference::manifest::Manifest;
use alight::inference::{InferenceError, SegmentationMap, Segmenter};
use alight::landing::{Landing, LandingConfig};
use alight::pipeline::decide::{Decider, Situation};
use alight::pipeline::live::{
    self, Camera, Ended, LiveReport, Options, Parts, TapeEntry, TapedDecision,
};
use alight::pipeline::schedule;
use alight::record::{DecisionLine, EventLine};
use alight::sim::autopilot::{Dialect, Endpoint, SimAutopilot, SimConfig, Truth, serve};
use alight::sim::campaign;
use alight::sim::noisy::{Sight, TruthSegmenter};
use alight::sim::world::World;
use alight::time::{Clock as _, MonoTime, SystemClock};
use alight::vehicle::Mode;
use crossbeam_channel::{Receiver, Sender, bounded};
use mavlink::dialects::ardupilotmega::MavMessage;

const MANIFEST: &str = include_str!("../../models/landing.toml");
/// The flight is over after this, whatever happens.
const LONGEST: Duration = Duration::from_secs(80);
/// Height of the start, metres.
const START_M: f64 = 13.0;
/// Patience of the supervisor with a fault, seconds.
const PATIENCE_S: f64 = 4.0;
/// Entries of a tape: more than a flight of this file has.
const TAPE: usize = 100_000;

/// What the segmenter does with its next frame.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u8)]
enum Mood {
    Well = 0,
    Hangs = 1,
    Panics = 2,
}

/// Tells the truth of each frame, until its mood changes.
struct Told {
    truth: TruthSegmenter,
    sightings: Receiver<Sighting>,
    mood: Arc<AtomicU8>,
    /// Whoever hangs is let go at the end of the test.
    let_go: Receiver<()>,
}

impl Segmenter for Told {
    fn manifest(&self) -> &Manifest {
        self.truth.manifest()
    }

    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError> {
        match self.mood.load(Ordering::Relaxed) {
            m if m == Mood::Hangs as u8 => {
                let _ = self.let_go.recv();
            }
            m if m == Mood::Panics as u8 => panic!("a broken network"),
            _ => {}
        }
        let seen = self.sightings.try_iter().find(|s| s.seq == frame.seq);
        let seen = seen.ok_or_else(|| InferenceError::Run("nobody saw this frame".to_owned()))?;
        self.truth.look(&seen.view, seen.t_s, Sight::Clear);
        self.truth.segment(frame, out)
    }
}

/// A flight to be flown.
struct Plan {
    parts: Parts,
    sim: SimConfig,
    world: Arc<World>,
    endpoint: Endpoint,
    mood: Arc<AtomicU8>,
    let_go: Sender<()>,
}

/// What came of it.
struct Flown {
    truth: Truth,
    report: LiveReport,
    events: Vec<String>,
    decisions: Vec<DecisionLine>,
    tape: Vec<TapeEntry>,
}

fn companion_config() -> CompanionConfig {
    let landing = LandingConfig::default();
    let mut supervisor = SupervisorConfig {
        mode: Authority::Command,
        camera_is_calibrated: true,
        ..SupervisorConfig::default()
    };
    supervisor.descent.patience_s = PATIENCE_S;
    supervisor.fit_to_camera(
        FieldOfView {
            horizontal_deg: 70.0,
            vertical_deg: 50.0,
        },
        landing.disc_radius_m(),
        landing.hazard.people_floor_m,
    );
    CompanionConfig {
        supervisor,
        telemetry: TelemetryConfig {
            flat_ground_sd_m: Some(0.2),
            ..TelemetryConfig::default()
        },
        ..CompanionConfig::default()
    }
}

fn lens() -> CameraModel {
    CameraModel::from_hfov(384, 256, 70.0).unwrap()
}

fn plan(dialect: Dialect, (link, endpoint): (String, Endpoint)) -> Plan {
    let world = Arc::new(campaign::world(2));
    let start = campaign::start(&world, 2);
    let manifest = Manifest::parse(MANIFEST, Path::new("landing.toml")).unwrap();
    let (to_told, sightings) = bounded(64);
    let (let_go, hangs) = bounded(0);
    let mood = Arc::new(AtomicU8::new(Mood::Well as u8));
    let told = Told {
        truth: TruthSegmenter::new(&manifest, Arc::clone(&world)),
        sightings,
        mood: Arc::clone(&mood),
        let_go: hangs,
    };
    let camera = WorldSpec {
        world: Arc::clone(&world),
        seed: 1,
        lens: lens(),
        mount: CameraMount::nadir(),
        interval: Duration::from_millis(250),
        latency: Duration::from_millis(60),
        pictures: schedule::PICTURES,
        sightings: Some(to_told),
    };
    Plan {
        parts: Parts {
            camera: Camera::World(Box::new(camera)),
            segmenter: Box::new(told),
            landing: LandingConfig::default(),
            companion: companion_config(),
            link: link.parse().unwrap(),
            clock: SystemClock::start(),
        },
        sim: SimConfig {
            start: Vec3::new(start.north_m, start.east_m, -START_M),
            ..SimConfig::new(dialect, 2)
        },
        world,
        endpoint,
        mood,
        let_go,
    }
}

/// Flies until the vehicle stands or `watch` sets the flag it is given.
fn fly(plan: Plan, taped: bool, watch: impl Fn(&Truth, &AtomicBool) + Send) -> Flown {
    let folder = tempfile::tempdir().unwrap();
    let (to_tape, from_tape) = bounded(TAPE);
    let options = Options {
        engages_when_ready: true,
        out: Some(folder.path().to_owned()),
        tape: taped.then_some(to_tape),
        ..Options::default()
    };
    let Plan {
        parts,
        sim,
        endpoint,
        let_go,
        ..
    } = plan;
    let clock = parts.clock.clone();
    let (stop, ends) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut autopilot = SimAutopilot::new(sim);
    let report = std::thread::scope(|scope| {
        let (autopilot, stop, ends) = (&mut autopilot, &stop, &ends);
        std::thread::Builder::new()
            .name("autopilot".to_owned())
            .spawn_scoped(scope, move || {
                serve(autopilot, &endpoint, &clock, ends, |a| {
                    let truth = a.truth();
                    let is_down = truth.touchdown.is_some() && !truth.is_armed;
                    if is_down || clock.now().since(MonoTime::ZERO) > LONGEST {
                        stop.store(true, Ordering::Relaxed);
                    }
                    watch(truth, stop);
                })
                .unwrap();
            })
            .unwrap();
        let report = live::run(parts, options, stop);
        ends.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    drop(let_go);
    let lines = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let events = lines("events.jsonl").into_iter().map(|line| {
        let event: EventLine = serde_json::from_str(&line).unwrap();
        eprintln!("{:7.2} {}", event.at_s, event.text);
        event.text
    });
    let events = events.collect();
    eprintln!("{report:#?}");
    Flown {
        truth: *autopilot.truth(),
        events,
        decisions: lines("decisions.jsonl")
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        tape: from_tape.try_iter().collect(),
        report,
    }
}

impl Flown {
    fn says(&self, part: &str) -> bool {
        self.events.iter().any(|e| e.contains(part))
    }
}

/// On the way down by more than a gust.
fn descends(truth: &Truth) -> bool {
    truth.position.down() > 2.0 - START_M
}

/// `udpin:` at a free port, and the simulated autopilot that sends there.
fn over_udp() -> (String, Endpoint) {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    (format!("udpin:{at}"), Endpoint::udp_to(at).unwrap())
}

fn over_tcp() -> (String, Endpoint) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::tcp_at(any).unwrap();
    let at = endpoint.local_addr().unwrap();
    (format!("tcp:{at}"), endpoint)
}

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

/// One thread, in the order of the tape: what the closed loop in virtual time does, with what came in real time.
struct Stepped {
    companion: Companion,
    decider: Decider,
    /// What the companion said of a moment, asked at another.
    situations: Vec<(MonoTime, MonoTime, Situation)>,
    briefs: Vec<String>,
    bytes: Vec<u8>,
    decided: usize,
    sites: usize,
}

impl Stepped {
    fn new() -> Self {
        let landing = Landing::new(LandingConfig::default()).unwrap();
        Self {
            companion: Companion::new(companion_config()).unwrap(),
            decider: Decider::new(landing, lens(), CameraMount::nadir()),
            situations: Vec::new(),
            briefs: Vec::new(),
            bytes: Vec::new(),
            decided: 0,
            sites: 0,
        }
    }

    fn take(&mut self, entry: TapeEntry) {
        match entry {
            TapeEntry::Received(bytes, now) => self.companion.receive(&bytes, now),
            TapeEntry::Gauged(computer) => self.companion.set_computer(computer),
            TapeEntry::Asked(request) => self.companion.request(request),
            TapeEntry::Answered(at, now) => {
                let situation = Situation::of(&self.companion, at, now);
                self.situations.push((at, now, situation));
            }
            TapeEntry::Decided(taped) => self.decide(&taped),
            TapeEntry::Took(brief, now) => {
                let ours = self.briefs.remove(0);
                assert_eq!(format!("{brief:?}"), ours);
                self.companion.decide(*brief, now);
            }
            TapeEntry::Ticked(now, health) => {
                self.companion.set_health(health);
                self.companion.tick(now);
            }
            TapeEntry::Sent(bytes) => {
                self.bytes.clear();
                self.companion.drain(&mut self.bytes);
                assert!(self.bytes == bytes, "other bytes to the autopilot");
            }
        }
    }

    fn decide(&mut self, taped: &TapedDecision) {
        let frame = &taped.frame;
        let (.., situation) = self
            .situations
            .iter()
            .rfind(|(at, now, _)| (*at, *now) == (frame.captured_at, taped.now))
            .expect("it was asked for");
        // Every digit stands in the text.
        assert_eq!(format!("{situation:?}"), format!("{:?}", taped.situation));
        let decided = self
            .decider
            .decide(frame, taped.map.as_ref(), situation, taped.now);
        assert_eq!(
            format!("{:?}", decided.decision),
            format!("{:?}", taped.decision)
        );
        let brief = Brief::of(decided.decision, situation.epoch);
        self.briefs.push(format!("{brief:?}"));
        self.decided += 1;
        self.sites += usize::from(brief.site.is_some());
    }
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
