//! What is wrong outside is counted, said once, and leads to nothing.

use super::*;

#[test]
fn an_unknown_autopilot_is_listened_to_and_commanded_nothing() {
    let mut bench = Bench::new(Authority::Command);
    for _ in 0..40 {
        bench.say(1, &heartbeat(AutopilotKind::Other(0), Mode::Guided));
        bench.say(255, &user_command((1, 191), 1.0));
        bench.run(0.5);
    }
    assert!(bench.commands().is_empty(), "{:?}", bench.commands());
    assert!(bench.texts().iter().any(|t| t.contains("not started")));
}
