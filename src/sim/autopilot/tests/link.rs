//! Bytes, streams, acknowledgements, clocks; the served link.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::sim::autopilot::{Endpoint, serve};
use crate::time::SystemClock;

#[test]
fn ardupilot_sends_nothing_unasked_but_the_heartbeat() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.run(10.0);
    let heartbeats = bench.count(|m| matches!(m, m::MavMessage::HEARTBEAT(_)));
    assert!((9..=11).contains(&heartbeats), "{heartbeats}");
    assert_eq!(bench.received.len(), heartbeats);
}

#[test]
fn px4_streams_its_set_unasked() {
    use m::MavMessage as M;
    let mut bench = Bench::new(SimConfig::new(Dialect::Px4, 1));
    bench.run(5.0);
    assert!(bench.count(|m| matches!(m, M::ATTITUDE_QUATERNION(_))) > 200);
    assert!(bench.count(|m| matches!(m, M::LOCAL_POSITION_NED(_))) > 100);
    assert!(bench.count(|m| matches!(m, M::DISTANCE_SENSOR(_))) > 40);
    assert!(bench.count(|m| matches!(m, M::EXTENDED_SYS_STATE(_))) > 20);
    assert!(bench.count(|m| matches!(m, M::ESTIMATOR_STATUS(_))) > 3);
}

#[rstest]
#[case::sys_status(1)]
#[case::system_time(2)]
#[case::attitude(30)]
#[case::quaternion(31)]
#[case::local_position(32)]
#[case::global_position(33)]
#[case::origin(49)]
#[case::rc_channels(65)]
#[case::range(132)]
#[case::battery(147)]
#[case::wind(168)]
#[case::ekf(193)]
#[case::home(242)]
#[case::landed(245)]
fn a_message_that_is_asked_for_comes_at_its_rate_and_is_acknowledged(#[case] id: u32) {
    use mavlink::Message as _;
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.run(0.1);
    bench.ask_for(id as f32, 20.0);
    let interval = m::MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL;
    assert_eq!(
        bench.last_ack(),
        Some((interval, m::MavResult::MAV_RESULT_ACCEPTED))
    );
    bench.run(2.0);
    let count = bench.count(|m| m.message_id() == id);
    assert!((38..=42).contains(&count), "{count}");
    bench.command(interval, [id as f32, -1.0, 0.0]);
    bench.received.clear();
    bench.run(1.0);
    assert_eq!(bench.count(|m| m.message_id() == id), 0);
    bench.command(m::MavCmd::MAV_CMD_REQUEST_MESSAGE, [id as f32, 0.0, 0.0]);
    assert_eq!(bench.count(|m| m.message_id() == id), 1);
}

#[test]
fn a_message_that_does_not_exist_is_denied() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    for id in [9999.0, -4.0, f32::NAN] {
        bench.ask_for(id, 1.0);
        let (_, result) = bench.last_ack().unwrap();
        // Not-a-number reads as 0, the heartbeat.
        let expected = if id.is_nan() || id < 0.0 {
            m::MavResult::MAV_RESULT_ACCEPTED
        } else {
            m::MavResult::MAV_RESULT_DENIED
        };
        assert_eq!(result, expected);
    }
}

#[test]
fn the_estimator_says_whether_it_knows_where_it_is() {
    let flags = |config: SimConfig, doubts: bool| {
        let mut bench = Bench::new(config);
        bench.ask_for(193.0, 10.0);
        if doubts {
            bench.autopilot.doubt_position(Duration::from_secs(3));
        }
        bench.run(2.0);
        let told = bench.received.iter().rev().find_map(|m| match m {
            m::MavMessage::EKF_STATUS_REPORT(e) => Some(e.flags.bits()),
            m::MavMessage::ESTIMATOR_STATUS(e) => Some(e.flags.bits()),
            _ => None,
        });
        told.unwrap()
    };
    for dialect in [Dialect::ArduPilot, Dialect::Px4] {
        let config = SimConfig::new(dialect, 1);
        assert_eq!(flags(config.clone(), false) & 0x90, 0x10);
        assert_eq!(flags(config, true) & 0x90, 0x80);
    }
}

#[test]
fn commands_for_others_are_not_ours() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    for (target_system, target_component) in [(2, 1), (1, 191)] {
        bench.send(&m::COMMAND_LONG_DATA {
            command: m::MavCmd::MAV_CMD_NAV_LAND,
            target_system,
            target_component,
            ..m::COMMAND_LONG_DATA::DEFAULT
        });
        assert!(bench.last_ack().is_none());
        assert_eq!(bench.truth().mode, crate::vehicle::Mode::Guided);
    }
}

#[test]
fn timesync_is_answered_with_the_boot_clock() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    bench.run(1.0);
    bench.send(&m::TIMESYNC_DATA {
        tc1: 0,
        ts1: 77,
        ..m::TIMESYNC_DATA::DEFAULT
    });
    let own = bench.autopilot.boot_ns();
    assert_eq!(
        bench.count(|m| matches!(m, m::MavMessage::TIMESYNC(t) if t.ts1 == 77 && t.tc1 == own)),
        1
    );
}

#[test]
fn the_report_agrees_with_the_truth() {
    let mut config = SimConfig::new(Dialect::ArduPilot, 3);
    config.yaw_rad = 1.0;
    let mut bench = Bench::new(config);
    for id in [31.0, 32.0, 132.0] {
        bench.ask_for(id, 50.0);
    }
    bench.send(&local(LOCAL_NED, PLACE_ONLY, [20.0, 8.0, -15.0], [0.0; 3]));
    for _ in 0..80 {
        bench.run(0.1);
        let truth = bench.truth();
        for message in std::mem::take(&mut bench.received) {
            match message {
                m::MavMessage::LOCAL_POSITION_NED(p) => {
                    let told = Vec3::new(f64::from(p.x), f64::from(p.y), f64::from(p.z));
                    assert!((told - truth.position).norm() < 1.2);
                    assert!((f64::from(p.vx) - truth.velocity_m_s.x()).abs() < 0.6);
                }
                m::MavMessage::ATTITUDE_QUATERNION(q) => {
                    let q = nalgebra::Quaternion::new(q.q1, q.q2, q.q3, q.q4).cast::<f64>();
                    let told = crate::geometry::Rotation::assume(
                        nalgebra::UnitQuaternion::new_normalize(q),
                    );
                    assert!(truth.ned_from_frd.angle_to(&told) < 0.25);
                }
                m::MavMessage::DISTANCE_SENSOR(d) => {
                    let told = f64::from(d.current_distance) / 100.0;
                    let down = truth.ned_from_frd * Vec3::new(0.0, 0.0, 1.0);
                    let along = -truth.position.down() / down.z();
                    assert!((told - along).abs() < 1.0, "{told} {along}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_signed_frame_is_passed_over() {
    let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
    let mut raw = mavlink::MAVLinkV2MessageRaw::new();
    raw.serialize_message_data(
        MavHeader::default(),
        &m::COMMAND_LONG_DATA {
            command: m::MavCmd::MAV_CMD_NAV_LAND,
            target_system: 1,
            target_component: 1,
            ..m::COMMAND_LONG_DATA::DEFAULT
        },
    );
    let mut frame = raw.raw_bytes().to_vec();
    frame[2] = 1;
    let body = 10 + usize::from(frame[1]);
    let extra = <m::COMMAND_LONG_DATA as MessageData>::EXTRA_CRC;
    let sum = mavlink::calculate_crc(&frame[1..body], extra).to_le_bytes();
    frame[body..body + 2].copy_from_slice(&sum);
    frame.extend([0; 13]);
    bench.autopilot.receive(&frame, bench.autopilot.now());
    assert_eq!(bench.truth().mode, crate::vehicle::Mode::Guided);
    // The next frame is found.
    bench.command(m::MavCmd::MAV_CMD_NAV_LAND, [0.0; 3]);
    assert_eq!(bench.truth().mode, crate::vehicle::Mode::Land);
}

#[test]
fn it_flies_hundreds_of_times_faster_than_real_time() {
    let mut bench = Bench::new(SimConfig::new(Dialect::Px4, 1));
    #[expect(clippy::disallowed_methods, reason = "a test of speed")]
    let start = std::time::Instant::now();
    bench.run(600.0);
    let speed = 600.0 / start.elapsed().as_secs_f64();
    println!("{speed:.0} times real time, all streams on");
    assert!(speed > 300.0, "only {speed:.0} times real time");
}

proptest! {
    #[test]
    fn garbage_is_passed_over_and_the_frame_behind_it_is_found(
        garbage in prop::collection::vec(any::<u8>(), 0..600),
        cut in 1usize..40,
    ) {
        let mut bench = Bench::new(SimConfig::new(Dialect::ArduPilot, 1));
        for piece in garbage.chunks(cut) {
            bench.autopilot.receive(piece, bench.autopilot.now());
        }
        // Enough to end any frame that the garbage began.
        bench.autopilot.receive(&[0; 300], bench.autopilot.now());
        bench.command(m::MavCmd::MAV_CMD_NAV_LAND, [0.0; 3]);
        prop_assert_eq!(bench.truth().mode, crate::vehicle::Mode::Land);
    }

    #[test]
    fn hostile_numbers_do_no_harm(
        values in prop::array::uniform11(prop_oneof![
            any::<f32>(), Just(f32::NAN), Just(f32::INFINITY), Just(-1e30f32)
        ]),
        mask in any::<u16>(),
        px4 in any::<bool>(),
    ) {
        let dialect = if px4 { Dialect::Px4 } else { Dialect::ArduPilot };
        let mut bench = Bench::new(SimConfig::new(dialect, 1));
        let [x, y, z, vx, vy, vz, yaw, a, b, c, d] = values;
        for _ in 0..12 {
            let mut setpoint = local(LOCAL_NED, mask, [x, y, z], [vx, vy, vz]);
            setpoint.yaw = yaw;
            bench.send(&setpoint);
            bench.send(&m::LANDING_TARGET_DATA {
                angle_x: a, angle_y: b, distance: c, x, y, z,
                frame: num_frame(BODY_FRD),
                position_valid: if mask & 1 == 0 { m::MavBool::MAV_BOOL_TRUE } else { m::MavBool::empty() },
                ..m::LANDING_TARGET_DATA::DEFAULT
            });
            bench.command(m::MavCmd::MAV_CMD_DO_SET_MODE, [1.0, c, d]);
            bench.run(0.25);
        }
        bench.set_mode(if px4 { 4.0 } else { 9.0 }, if px4 { 6.0 } else { 0.0 });
        bench.run(20.0);
        let truth = bench.truth();
        prop_assert!(truth.position.is_finite() && truth.velocity_m_s.is_finite());
        prop_assert!(truth.velocity_m_s.norm() < 12.0);
    }
}

/// Serves over TCP in a thread, and talks to it.
#[test]
fn it_is_served_over_tcp_and_waits_for_the_next_peer() {
    let endpoint = Endpoint::tcp_at(([127, 0, 0, 1], 0).into()).unwrap();
    let at = endpoint.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = std::thread::Builder::new()
        .name("served autopilot".to_owned())
        .spawn(move || {
            let mut autopilot = SimAutopilot::new(SimConfig::new(Dialect::Px4, 1));
            serve(
                &mut autopilot,
                &endpoint,
                &SystemClock::start(),
                &stopped,
                |_| (),
            )
            .unwrap();
            *autopilot.truth()
        })
        .unwrap();
    for _ in 0..2 {
        let mut peer = std::net::TcpStream::connect(at).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.write_all(b"no frame").unwrap();
        let mut first = [0];
        peer.read_exact(&mut first).unwrap();
        assert_eq!(first, [0xfd]);
    }
    stop.store(true, Ordering::Relaxed);
    let truth = server.join().unwrap();
    assert!(truth.at > MonoTime::ZERO && truth.position.is_finite());
}

#[test]
fn it_is_served_over_udp_to_whoever_listens() {
    let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    listener
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let endpoint = Endpoint::udp_to(listener.local_addr().unwrap()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = std::thread::Builder::new()
        .name("served autopilot".to_owned())
        .spawn(move || {
            let mut autopilot = SimAutopilot::new(SimConfig::new(Dialect::ArduPilot, 1));
            serve(
                &mut autopilot,
                &endpoint,
                &SystemClock::start(),
                &stopped,
                |_| (),
            )
            .unwrap();
        })
        .unwrap();
    let mut bytes = [0; 2048];
    let (got, _) = listener.recv_from(&mut bytes).unwrap();
    let mut parser = Parser::default();
    parser.push(&bytes[..got]);
    assert!(matches!(
        parser.next().unwrap().message,
        m::MavMessage::HEARTBEAT(_)
    ));
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap();
}
