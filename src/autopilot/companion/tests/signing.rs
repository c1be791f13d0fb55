//! Signed links: what leaves is signed, and what is not is not obeyed.

use std::sync::Arc;

use super::*;
use crate::autopilot::signing::SigningKey;

fn signing(phrase: &str, accepts_unsigned: bool) -> SigningConfig {
    SigningConfig {
        key: SigningKey::from_pass_phrase(phrase),
        link_id: 0,
        started: 1_000_000,
        accepts_unsigned,
        newest: Arc::default(),
    }
}

/// Both sides have the key.
fn signed_bench(accepts_unsigned: bool) -> Bench {
    let config = CompanionConfig {
        signing: Some(signing("a long secret", accepts_unsigned)),
        ..config(Authority::Command)
    };
    Bench {
        companion: Companion::new(config).unwrap(),
        writer: Writer::new(1, Some(signing("a long secret", false))),
        // Reads only what is signed with the key.
        ears: Parser::new(Some(signing("a long secret", false))),
        ..Bench::new(Authority::Command)
    }
}

/// A start from system 255, signed with this or not at all.
fn start(signing: Option<SigningConfig>) -> Vec<u8> {
    let mut writer = Writer::new(1, signing);
    writer.set_system_id(255);
    writer.write(&user_command((1, 191), 1.0), MonoTime::ZERO);
    let mut bytes = Vec::new();
    writer.drain(&mut bytes);
    bytes
}

impl Bench {
    fn is_answered(&self) -> bool {
        let mut all = self.heard.iter();
        all.any(|(_, m)| matches!(m, MavMessage::COMMAND_ACK(_)))
    }
}

#[test]
fn a_signed_wish_is_heard_once_and_everything_that_leaves_is_signed() {
    let mut bench = signed_bench(false);
    bench.say(1, &heartbeat(AutopilotKind::ArduPilot, Mode::Guided));
    assert!(bench.companion.state().kind.is_some());
    let bytes = start(Some(signing("a long secret", false)));
    bench.bytes(&bytes);
    assert!(bench.is_answered());
    bench.run(2.0);
    let read = bench.ears.counts();
    assert!(read.frames > 10 && read.refused == 0, "{read:?}");
    assert_eq!(bench.companion.link_counts().refused, 0);
    // Recorded and sent again, it is refused.
    bench.heard.clear();
    bench.bytes(&bytes);
    assert!(!bench.is_answered());
    assert_eq!(bench.companion.link_counts().refused, 1);
}

#[test]
fn unsigned_and_forged_wishes_are_refused_and_the_ground_is_told_once() {
    let mut bench = signed_bench(false);
    for _ in 0..3 {
        bench.bytes(&start(None));
        bench.bytes(&start(Some(signing("another secret", false))));
        let mut changed = start(Some(signing("a long secret", false)));
        // The link id is part of what is signed.
        let at = changed.len() - 13;
        changed[at] ^= 1;
        bench.bytes(&changed);
    }
    assert!(!bench.is_answered());
    assert_eq!(bench.companion.link_counts().refused, 9);
    let texts = bench.texts();
    let told = texts.iter().filter(|t| t.contains("not signed")).count();
    assert_eq!(told, 1, "{texts:?}");
}

#[test]
fn unsigned_wishes_are_heard_where_the_configuration_says_so() {
    let mut bench = signed_bench(true);
    bench.bytes(&start(Some(signing("another secret", false))));
    assert!(!bench.is_answered());
    bench.bytes(&start(None));
    assert!(bench.is_answered());
}
