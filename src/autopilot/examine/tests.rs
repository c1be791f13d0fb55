use rstest::rstest;

use super::*;
use crate::sim::autopilot::{Dialect, OffboardLoss, SimAutopilot, SimConfig};

/// Both talk over a perfect link for so many seconds at most.
fn examine(config: SimConfig, system_id: Option<u8>) -> Examination {
    let mut sim = SimAutopilot::new(config);
    let mut examiner = Examiner::new(system_id, None);
    let mut bytes = Vec::new();
    for step in 1..200_u32 {
        let now = MonoTime::ZERO.after(Duration::from_millis(50) * step);
        sim.advance(now);
        bytes.clear();
        sim.transmit(&mut bytes);
        examiner.receive(&bytes, now);
        bytes.clear();
        examiner.ask(now, &mut bytes);
        sim.receive(&bytes, now);
        if examiner.is_done(now) {
            break;
        }
    }
    examiner.learnt()
}

fn worst(found: &[Finding]) -> Grade {
    found.iter().map(|f| f.grade).max().unwrap()
}

#[rstest]
#[case(Dialect::ArduPilot, AutopilotKind::ArduPilot, [4, 7, 0], ARDUPILOT.len())]
#[case(Dialect::Px4, AutopilotKind::Px4, [1, 17, 0], PX4.len())]
fn an_autopilot_that_is_set_up_well_passes(
    #[case] dialect: Dialect,
    #[case] kind: AutopilotKind,
    #[case] version: [u8; 3],
    #[case] parameters: usize,
) {
    let learnt = examine(SimConfig::new(dialect, 3), None);
    assert_eq!(learnt.autopilot.unwrap().0, kind);
    assert_eq!(learnt.version, Some(version));
    assert_eq!(learnt.parameters.len(), parameters, "{learnt:?}");
    let found = judge(&learnt, true);
    assert_eq!(worst(&found), Grade::Ok, "{found:#?}");
}

#[test]
fn px4_that_lands_when_we_fall_silent_is_refused_in_command_mode_alone() {
    let config = SimConfig {
        offboard_loss: OffboardLoss::Land,
        ..SimConfig::new(Dialect::Px4, 3)
    };
    let learnt = examine(config, None);
    let found = judge(&learnt, true);
    let line = found
        .iter()
        .find(|f| f.subject == "COM_OBL_RC_ACT")
        .unwrap();
    assert_eq!(line.grade, Grade::Fail);
    assert!(
        line.text.starts_with("4: set 5 (hold) or 3"),
        "{}",
        line.text
    );
    assert_eq!(worst(&judge(&learnt, false)), Grade::Warn);
    assert!([3.0, 5.0].into_iter().all(is_safe_loss_action));
    assert!(
        ![0.0, 1.0, 2.0, 4.0, 6.0, 7.0, f64::NAN]
            .into_iter()
            .any(is_safe_loss_action)
    );
}

#[test]
fn without_a_range_sensor_nothing_is_commanded() {
    let config = SimConfig {
        range: None,
        ..SimConfig::new(Dialect::ArduPilot, 3)
    };
    let learnt = examine(config, None);
    assert_eq!(worst(&judge(&learnt, true)), Grade::Fail);
    assert_eq!(worst(&judge(&learnt, false)), Grade::Warn);
}

#[test]
fn another_vehicle_is_not_asked() {
    let learnt = examine(SimConfig::new(Dialect::Px4, 3), Some(77));
    assert_eq!(learnt.autopilot, None);
    let found = judge(&learnt, false);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].text.contains("link.system_id"),
        "{}",
        found[0].text
    );
}

#[test]
fn a_link_without_an_autopilot_says_what_it_brings() {
    let text = |bytes: &[u8]| {
        let mut examiner = Examiner::new(None, None);
        examiner.receive(bytes, MonoTime::ZERO);
        let found = judge(&examiner.learnt(), false);
        assert_eq!(found[0].grade, Grade::Fail);
        found[0].text.clone()
    };
    assert!(text(&[]).contains("nothing comes"));
    assert!(text(&[0x55; 400]).contains("the baud rate differs"));
}

#[test]
fn who_does_not_answer_is_asked_five_times_and_given_up() {
    let mut examiner = Examiner::new(None, None);
    let mut beat = Writer::new(1, None);
    beat.write(
        &m::MavMessage::HEARTBEAT(m::HEARTBEAT_DATA {
            autopilot: m::MavAutopilot::MAV_AUTOPILOT_PX4,
            ..m::HEARTBEAT_DATA::DEFAULT
        }),
        MonoTime::ZERO,
    );
    let mut bytes = Vec::new();
    beat.drain(&mut bytes);
    examiner.receive(&bytes, MonoTime::ZERO);
    let mut steps = 0;
    let mut out = Vec::new();
    while !examiner.is_done(MonoTime::ZERO.after(Duration::from_millis(100) * steps)) {
        examiner.ask(
            MonoTime::ZERO.after(Duration::from_millis(100) * steps),
            &mut out,
        );
        steps += 1;
        assert!(steps < 300);
    }
    let learnt = examiner.learnt();
    assert_eq!(learnt.parameters.len(), 0);
    let found = judge(&learnt, true);
    assert_eq!(worst(&found), Grade::Fail);
    assert_eq!(worst(&judge(&learnt, false)), Grade::Warn);
    assert!(found.iter().any(|f| f.text.contains("not answered")));
}
