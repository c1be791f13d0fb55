//! Flights whose bytes are harmed on the way.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::bad_input::{HEAD, seal};
use super::*;

/// The tick after which a landing is started.
const START: usize = 160;

/// What a flight brought, a piece each tick, with a start or without one.
fn recording(starts: bool) -> Vec<Vec<u8>> {
    let mut bench = Bench::flying(Authority::Command, Dialect::ArduPilot);
    assert_eq!(bench.pieces.len(), START);
    bench.site = true;
    if starts {
        bench.companion.request(Request::Start);
    }
    bench.run(12.0);
    bench.pieces
}

static IDLE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| recording(false));
static FLOWN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| recording(true));

/// What may happen to bytes on the way.
#[derive(Debug, Clone)]
enum Harm {
    Flip(Index, u8),
    Cut(Index),
    Twice,
    Insert(Index, Vec<u8>),
    /// Changed, and the checksum is right all the same.
    Forge(Index, Index, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<Index>(), 1u8..).prop_map(|(at, by)| Harm::Flip(at, by)),
        any::<Index>().prop_map(Harm::Cut),
        Just(Harm::Twice),
        (
            any::<Index>(),
            proptest::collection::vec(any::<u8>(), 1..300)
        )
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (any::<Index>(), any::<Index>(), any::<u8>())
            .prop_map(|(which, at, to)| Harm::Forge(which, at, to)),
    ]
}

impl Harm {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, by) => {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Twice => bytes.extend_from_within(..),
            Self::Insert(at, what) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, what.iter().copied());
            }
            Self::Forge(which, at, to) => {
                let mut starts = vec![0];
                while let Some(len) = bytes.get(starts[starts.len() - 1] + 1) {
                    let next = starts[starts.len() - 1] + HEAD + usize::from(*len) + 2;
                    if bytes.get(next) != Some(&0xfd) {
                        break;
                    }
                    starts.push(next);
                }
                let start = starts[which.index(starts.len())];
                let end =
                    start + HEAD + usize::from(bytes.get(start + 1).copied().unwrap_or(0)) + 2;
                if let Some(frame) = bytes.get_mut(start..end)
                    && frame.len() > HEAD + 2
                {
                    let at = HEAD + at.index(frame.len() - HEAD - 2);
                    frame[at] = *to;
                    seal(frame);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_at_any_time_are_survived_and_start_nothing(
        pieces in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof![Just(0xfdu8), Just(0xfe), any::<u8>()], 0..300), -2.0..10.0f64),
            1..30,
        ),
    ) {
        let mut bench = Bench::new(Authority::Command);
        for (bytes, step_s) in pieces {
            // Time may go back: never believed, never a panic.
            bench.now = MonoTime::from_secs_f64(bench.now.as_secs_f64() + step_s);
            bench.bytes(&bytes);
            bench.companion.tick(bench.now);
            bench.fetch();
        }
        prop_assert!(bench.commands().is_empty());
    }

    #[test]
    fn harmed_flights_are_survived_and_nothing_moves_that_nobody_started(
        starts in any::<bool>(),
        harms in proptest::collection::vec((0usize..400, harm()), 1..60),
        steps_back in proptest::collection::vec(0usize..400, 0..3),
    ) {
        let mut bench = Bench::new(Authority::Command);
        let mut pieces = if starts { FLOWN.clone() } else { IDLE.clone() };
        for (tick, harm) in &harms {
            harm.apply(&mut pieces[*tick]);
        }
        for (tick, bytes) in pieces.iter().enumerate() {
            if starts && tick == START {
                bench.companion.request(Request::Start);
            }
            let back_s = if steps_back.contains(&tick) { 1.0 } else { 0.0 };
            bench.now = MonoTime::from_secs_f64((tick + 1) as f64 * 0.05 - back_s);
            bench.heard.clear();
            let brief = brief(bench.now, bench.companion.state().epoch);
            bench.companion.decide(brief, bench.now);
            bench.bytes(bytes);
            bench.companion.tick(bench.now);
            bench.fetch();
            let is_idle = matches!(
                bench.companion.phase(),
                Phase::Standby | Phase::Landed | Phase::HandedBack
            );
            let commands = bench.commands();
            prop_assert!(commands.is_empty() || starts, "{commands:?}");
            prop_assert!(commands.is_empty() || !is_idle || tick == START, "{commands:?}");
        }
    }
}

#[test]
fn the_recorded_flights_are_flights() {
    let mut bench = Bench::new(Authority::Command);
    for (tick, bytes) in FLOWN.iter().enumerate() {
        if tick == START {
            bench.companion.request(Request::Start);
        }
        bench.now = bench.now.after(TICK);
        let brief = brief(bench.now, bench.companion.state().epoch);
        bench.companion.decide(brief, bench.now);
        bench.bytes(bytes);
        bench.companion.tick(bench.now);
        bench.fetch();
    }
    let has_gone = [Phase::Descending, Phase::Committed].contains(&bench.companion.phase());
    assert!(has_gone, "{:?}", bench.companion.phase());
    assert!(bench.commands().len() > 20);
    assert!(IDLE.iter().map(Vec::len).sum::<usize>() > 10_000);
}
