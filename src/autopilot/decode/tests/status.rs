//! Mode, sticks, estimator, battery.

use rstest::rstest;

use super::*;

#[test]
fn a_changed_mode_arming_or_failsafe_shows_at_once_and_only_once() {
    let mut t = heard();
    let same = heartbeat(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA, 4);
    assert!(!take(&mut t, &same, 1000).mode_or_sticks_changed);
    let loiter = heartbeat(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA, 5);
    assert!(take(&mut t, &loiter, 2000).mode_or_sticks_changed);
    let MavMessage::HEARTBEAT(mut h) = loiter else {
        unreachable!()
    };
    h.system_status = MavState::MAV_STATE_CRITICAL;
    assert!(take(&mut t, &MavMessage::HEARTBEAT(h.clone()), 3000).mode_or_sticks_changed);
    h.base_mode = MavModeFlag::empty();
    assert!(take(&mut t, &MavMessage::HEARTBEAT(h), 4000).mode_or_sticks_changed);
    let mode = t.state().mode.unwrap();
    assert!(mode.value.is_failsafe && !mode.value.is_armed);
    assert_eq!((mode.value.mode, mode.at), (Mode::Loiter, ms(4000)));
}

#[test]
fn sticks_that_move_show_at_once_slow_ones_too() {
    let mut t = heard();
    let rc = |chan1_raw, chan5_raw| {
        MavMessage::RC_CHANNELS(RC_CHANNELS_DATA {
            chan1_raw,
            chan2_raw: 0,
            chan3_raw: u16::MAX,
            chan4_raw: 5000,
            chan5_raw,
            chancount: 5,
            chan6_raw: 1500,
            ..RC_CHANNELS_DATA::DEFAULT
        })
    };
    assert!(take(&mut t, &rc(1500, 1000), 0).mode_or_sticks_changed);
    let us = t.state().rc.unwrap().value.us;
    assert_eq!(us[..6], [Some(1500), None, None, None, Some(1000), None]);
    assert_eq!(t.counts().of(Problem::OutOfRange), 1);
    assert!(!take(&mut t, &rc(1504, 1000), 100).mode_or_sticks_changed);
    assert!(!take(&mut t, &rc(1508, 1000), 200).mode_or_sticks_changed);
    assert!(take(&mut t, &rc(1512, 1000), 300).mode_or_sticks_changed);
    assert!(take(&mut t, &rc(1512, 2000), 400).mode_or_sticks_changed);
}

#[rstest]
#[case(0x10, true)]
#[case(0x1f, true)]
#[case(0x90, false)]
#[case(0x08, false)]
#[case(0x00, false)]
fn the_estimator_is_good_with_absolute_position_and_without_constant_position(
    #[case] flags: u16,
    #[case] is_good: bool,
) {
    let mut t = heard();
    let m = MavMessage::EKF_STATUS_REPORT(EKF_STATUS_REPORT_DATA {
        flags: EkfStatusFlags::from_bits_retain(flags),
        ..EKF_STATUS_REPORT_DATA::DEFAULT
    });
    take(&mut t, &m, 10);
    let e = t.state().estimator.unwrap();
    assert_eq!((e.value.is_position_good, e.value.flags), (is_good, flags));
}

#[test]
fn the_battery_and_the_ground_are_told() {
    let mut t = heard();
    let sys = MavMessage::SYS_STATUS(SYS_STATUS_DATA {
        voltage_battery: 15_200,
        battery_remaining: 61,
        ..SYS_STATUS_DATA::DEFAULT
    });
    take(&mut t, &sys, 0);
    let b = t.state().battery.unwrap().value;
    assert_eq!((b.remaining, b.volts), (Some(0.61), Some(15.2)));
    let mut voltages = [u16::MAX; 10];
    voltages[..2].copy_from_slice(&[4000, 3900]);
    let status = MavMessage::BATTERY_STATUS(BATTERY_STATUS_DATA {
        voltages,
        battery_remaining: -1,
        ..BATTERY_STATUS_DATA::DEFAULT
    });
    take(&mut t, &status, 10);
    take(&mut t, &sys, 20);
    let b = t.state().battery.unwrap().value;
    assert_eq!((b.remaining, b.volts), (None, Some(7.9)));
    let landed = MavMessage::EXTENDED_SYS_STATE(EXTENDED_SYS_STATE_DATA {
        landed_state: MavLandedState::MAV_LANDED_STATE_ON_GROUND,
        ..EXTENDED_SYS_STATE_DATA::DEFAULT
    });
    assert!(take(&mut t, &landed, 30).mode_or_sticks_changed);
    assert!(!take(&mut t, &landed, 40).mode_or_sticks_changed);
    assert_eq!(t.state().landed.unwrap().value, LandedState::OnGround);
}
