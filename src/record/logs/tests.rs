use std::fmt::Write as _;
use std::io::Write as _;

use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, GLOBAL_POSITION_INT_DATA, HEARTBEAT_DATA, LOCAL_POSITION_NED_DATA, MavAutopilot,
    MavMessage,
};
use mavlink::{MavHeader, MavlinkVersion};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::vehicle::HeightSource;

const UNIX_US: u64 = 1_700_000_000_000_000;

fn open(bytes: &[u8]) -> Result<TelemetryLog, LogError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    TelemetryLog::open(file.path())
}

fn s(seconds: f64) -> MonoTime {
    MonoTime::from_secs_f64(seconds)
}

/// Flies north at 2 m/s, 20 m high, rolled by 0.1, for 10 s; `jump_at` puts it 100 m further.
fn tlog(version: MavlinkVersion, jump_at: Option<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |t_ms: u64, message: MavMessage| {
        bytes.extend((UNIX_US + t_ms * 1000).to_be_bytes());
        let header = MavHeader {
            system_id: 3,
            component_id: 1,
            sequence: 0,
        };
        mavlink::write_versioned_msg(&mut bytes, version, header, &message).unwrap();
    };
    add(
        0,
        MavMessage::HEARTBEAT(HEARTBEAT_DATA {
            autopilot: MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
            ..HEARTBEAT_DATA::DEFAULT
        }),
    );
    for t_ms in (0..=10_000).step_by(200) {
        let time_boot_ms = 60_000 + t_ms as u32;
        let jump = jump_at.map_or(0.0, |at| if t_ms >= at { 100.0 } else { 0.0 });
        add(
            t_ms,
            MavMessage::ATTITUDE(ATTITUDE_DATA {
                time_boot_ms,
                roll: 0.1,
                ..ATTITUDE_DATA::DEFAULT
            }),
        );
        add(
            t_ms,
            MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA {
                time_boot_ms,
                x: jump + t_ms as f32 * 0.002,
                z: -20.0,
                vx: 2.0,
                ..LOCAL_POSITION_NED_DATA::DEFAULT
            }),
        );
        add(
            t_ms,
            MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA {
                time_boot_ms,
                relative_alt: 20_000,
                ..GLOBAL_POSITION_INT_DATA::DEFAULT
            }),
        );
    }
    bytes
}

#[rstest]
#[case(MavlinkVersion::V1)]
#[case(MavlinkVersion::V2)]
fn a_tlog_gives_the_pose_between_its_samples(#[case] version: MavlinkVersion) {
    let log = open(&tlog(version, None)).unwrap();
    assert_eq!(log.kind(), LogKind::Tlog);
    assert_eq!(log.missing(), Missing::default());
    assert_eq!(log.unix_start_s(), Some(1.7e9));
    assert!(log.notes().is_empty(), "{:?}", log.notes());
    assert_eq!(log.span(), (s(0.0), s(10.0)));
    let LogPose { pose, epoch } = log.pose_at(s(5.1)).unwrap();
    assert_eq!(epoch, 0);
    assert!((pose.position.north() - 10.2).abs() < 0.01, "{pose:?}");
    assert!((pose.ned_from_frd.roll_pitch_yaw().0 - 0.1).abs() < 1e-3);
    let height = pose.height_above_ground;
    assert!((height.metres - 20.0).abs() < 0.01 && height.sd_m >= 5.0);
    assert_eq!(height.source, HeightSource::RelativeAltitude);
    assert!(log.pose_at(s(11.0)).is_err() && log.pose_at(s(-1.0)).is_err());
}

#[test]
fn a_jump_starts_another_epoch_and_what_was_before_stays() {
    let log = open(&tlog(MavlinkVersion::V2, Some(6000))).unwrap();
    let before = log.pose_at(s(5.0)).unwrap();
    let after = log.pose_at(s(7.0)).unwrap();
    assert_eq!((before.epoch, after.epoch), (0, 1));
    assert!((before.pose.position.north() - 10.0).abs() < 0.01);
    assert!((after.pose.position.north() - 114.0).abs() < 0.01);
}

#[test]
fn a_tlog_with_rubbish_in_it_is_read_around_it_and_says_so() {
    let whole = tlog(MavlinkVersion::V2, None);
    let mut bytes = whole.clone();
    let at = bytes.len() / 2;
    bytes.splice(at..at, [0xFD; 40]);
    bytes.truncate(bytes.len() - 5);
    let log = open(&bytes).unwrap();
    assert!(log.notes().iter().any(|n| n.contains("could not be read")));
    assert!(log.pose_at(s(2.0)).is_ok() && log.pose_at(s(8.0)).is_ok());
}

/// Descriptions of rows, and the rows: each a kind, and its packed columns.
fn dataflash(rows: &[(u8, &str, &str, &str)], data: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let fmt = (128, "FMT", "BBnNZ", "Type,Length,Name,Format,Columns");
    let mut bytes = Vec::new();
    for (kind, name, format, columns) in [fmt].iter().chain(rows) {
        let length: usize = format
            .bytes()
            .map(|c| match c {
                b'Q' => 8,
                b'I' | b'f' | b'L' | b'n' => 4,
                b'c' | b'C' | b'H' => 2,
                b'B' => 1,
                b'N' => 16,
                _ => 64,
            })
            .sum();
        bytes.extend([0xA3, 0x95, 128, *kind, (length + 3) as u8]);
        for (text, size) in [(name, 4), (format, 16), (columns, 64)] {
            let mut field = text.as_bytes().to_vec();
            field.resize(size, 0);
            bytes.extend(field);
        }
    }
    for (kind, body) in data {
        bytes.extend([0xA3, 0x95, *kind]);
        bytes.extend(body);
    }
    bytes
}

fn packed(time_us: u64, numbers: &[f32]) -> Vec<u8> {
    let mut body = time_us.to_le_bytes().to_vec();
    body.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    body
}

/// 10 s of a flight with attitude, filter, range sensor and relative altitude; a fix from GPS if asked.
fn copter(has_fix: bool) -> Vec<u8> {
    let rows = [
        (1, "ATT", "Qfff", "TimeUS,Roll,Pitch,Yaw"),
        (2, "XKF1", "QBffffff", "TimeUS,C,VN,VE,VD,PN,PE,PD"),
        (3, "POS", "Qf", "TimeUS,RelHomeAlt"),
        (4, "GPS", "QBIH", "TimeUS,Status,GMS,GWk"),
        (5, "RFND", "QfBB", "TimeUS,Dist,Stat,Orient"),
    ];
    let mut data = Vec::new();
    for i in 0..=100_u64 {
        let t = 7_000_000 + i * 100_000;
        data.push((1, packed(t, &[10.0, 0.0, 90.0])));
        for core in [0_u8, 1] {
            let mut body = t.to_le_bytes().to_vec();
            body.push(core);
            let north = i as f32 * 0.2 + 50.0 * f32::from(core);
            body.extend(
                [2.0, 0.0, 0.0, north, 0.0, -20.0]
                    .iter()
                    .flat_map(|n: &f32| n.to_le_bytes()),
            );
            data.push((2, body));
        }
        data.push((3, packed(t, &[20.0])));
        let mut gps = t.to_le_bytes().to_vec();
        gps.push(if has_fix { 3 } else { 1 });
        gps.extend((100_000 + i as u32 * 100).to_le_bytes());
        gps.extend(2300_u16.to_le_bytes());
        data.push((4, gps));
        let mut range = packed(t, &[18.0]);
        range.extend([4, 25]);
        data.push((5, range));
    }
    dataflash(&rows, &data)
}

#[test]
fn a_dataflash_log_gives_attitude_filter_and_range() {
    let log = open(&copter(true)).unwrap();
    assert_eq!(log.kind(), LogKind::DataFlash);
    assert_eq!(log.missing(), Missing::default());
    // 100 s into week 2300, less 18 leap seconds.
    let unix = log.unix_start_s().unwrap();
    assert!((unix - (315_964_800.0 + 2300.0 * 604_800.0 + 100.0 - 18.0)).abs() < 1e-3);
    let pose = log.pose_at(s(5.05)).unwrap().pose;
    assert!((pose.position.north() - 10.1).abs() < 0.01, "{pose:?}");
    let (roll, _, yaw) = pose.ned_from_frd.roll_pitch_yaw();
    assert!((roll.to_degrees() - 10.0).abs() < 0.01 && (yaw.to_degrees() - 90.0).abs() < 0.01);
    let height = pose.height_above_ground;
    assert_eq!(height.source, HeightSource::RangeSensor);
    assert!((height.metres - 18.0 * 10_f64.to_radians().cos()).abs() < 0.01);
}

#[test]
fn without_a_fix_a_dataflash_log_has_no_position() {
    let log = open(&copter(false)).unwrap();
    assert!(log.missing().position && !log.missing().attitude && !log.missing().height);
    assert_eq!(log.unix_start_s(), None);
    assert!(log.pose_at(s(5.0)).is_ok());
}

#[test]
fn a_cut_dataflash_log_is_used_as_far_as_it_goes() {
    let whole = copter(true);
    let log = open(&whole[..whole.len() / 2 + 7]).unwrap();
    assert!(log.pose_at(s(2.0)).is_ok() && log.pose_at(s(8.0)).is_err());
}

/// A PX4 log: formats, subscriptions and 10 s of data.
fn ulog() -> Vec<u8> {
    let mut bytes = b"ULog\x01\x12\x35\x01".to_vec();
    bytes.extend(1_000_000_u64.to_le_bytes());
    let mut add = |kind: u8, body: &[u8]| {
        bytes.extend((body.len() as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend(body);
    };
    add(b'B', &[0; 40]);
    add(b'F', b"vehicle_attitude:uint64_t timestamp;float[4] q;");
    add(
        b'F',
        b"vehicle_local_position:uint64_t timestamp;float x;float y;float z;float vx;float vy;float vz;bool xy_valid;bool z_valid;",
    );
    for (id, name) in [(0_u8, "vehicle_attitude"), (1, "vehicle_local_position")] {
        let mut body = vec![0, id, 0];
        body.extend(name.as_bytes());
        add(b'A', &body);
    }
    for i in 0..=100_u64 {
        let time = (3_000_000 + i * 100_000).to_le_bytes();
        let floats = |f: &[f32]| f.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        add(
            b'D',
            &[
                &[0, 0],
                &time[..],
                &floats(&[0.5_f32.cos(), 0.0, 0.0, 0.5_f32.sin()]),
            ]
            .concat(),
        );
        let place = floats(&[i as f32 * 0.2, 0.0, -12.0, 2.0, 0.0, 0.0]);
        add(b'D', &[&[1, 0], &time[..], &place, &[1, 1]].concat());
    }
    bytes
}

#[test]
fn a_px4_log_gives_attitude_and_local_position() {
    let log = open(&ulog()).unwrap();
    assert_eq!(log.kind(), LogKind::ULog);
    assert_eq!(log.missing(), Missing::default());
    let pose = log.pose_at(s(5.05)).unwrap().pose;
    assert!((pose.position.north() - 10.1).abs() < 0.01, "{pose:?}");
    assert!((pose.ned_from_frd.roll_pitch_yaw().2 - 1.0).abs() < 1e-3);
    assert!((pose.height_above_ground.metres - 12.0).abs() < 0.01);
}

#[test]
fn a_cut_px4_log_is_used_and_says_so() {
    let whole = ulog();
    let log = open(&whole[..whole.len() / 2 + 3]).unwrap();
    assert!(
        log.notes().iter().any(|n| n.contains("cut")),
        "{:?}",
        log.notes()
    );
    assert!(log.pose_at(s(2.0)).is_ok());
}

fn srt(line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = String::new();
    for i in 0..20 {
        let (next, words) = (i + 1, line(i));
        writeln!(
            text,
            "{next}\n00:00:{i:02},500 --> 00:00:{next:02},500\n{words}\n"
        )
        .unwrap();
    }
    text.into_bytes()
}

#[rstest]
#[case::named(|i| format!("[latitude: {:.6}] [longitude: 2.0] [rel_alt: 25.5 abs_alt: 90.0]", 41.0 + i as f64 * 1e-5), false)]
#[case::gimbal(|i| format!("[latitude: {:.6}] [longitude: 2.0] [rel_alt: 25.5 abs_alt: 90.0] [gb_yaw: 30.0 gb_pitch: -80.0 gb_roll: 0.0]", 41.0 + i as f64 * 1e-5), true)]
#[case::barometer(|i| format!("HOME(2.0,41.0) 2017.07.03 10:15:20\nGPS(2.0,{:.6},19) BAROMETER:25.5", 41.0 + i as f64 * 1e-5), false)]
#[case::fpv(|i| format!("F/2.8, SS 206, ISO 150, GPS (2.0, {:.6}, 15), D 224.64m, H 25.50m, H.S 15.80m/s", 41.0 + i as f64 * 1e-5), false)]
fn subtitles_of_every_generation_are_read(
    #[case] line: fn(usize) -> String,
    #[case] has_attitude: bool,
) {
    let log = open(&srt(line)).unwrap();
    assert_eq!(log.kind(), LogKind::Srt);
    assert!(log.notes().is_empty(), "{:?}", log.notes());
    let missing = log.missing();
    assert_eq!(
        (missing.attitude, missing.position, missing.height),
        (!has_attitude, false, false)
    );
    let pose = log.pose_at(s(10.5)).unwrap().pose;
    assert!((pose.position.north() - 11.1).abs() < 0.1, "{pose:?}");
    assert!((pose.height_above_ground.metres - 25.5).abs() < 1e-3);
    if has_attitude {
        let (_, pitch, yaw) = pose.ned_from_frd.roll_pitch_yaw();
        assert!((pitch.to_degrees() - 10.0).abs() < 0.01 && (yaw.to_degrees() - 30.0).abs() < 0.01);
    }
}

#[test]
fn an_altitude_over_nobody_knows_what_is_no_height() {
    let log = open(&srt(|_| {
        "[focal_len : 240] [latitude: 41.4] [longitude: 2.2] [altitude: 117.0]".into()
    }))
    .unwrap();
    assert!(log.missing().height && log.missing().attitude);
    assert_eq!(log.focal_35mm_mm(), Some(24.0));
    assert!(log.notes().iter().any(|n| n.contains("altitude: 117")));
}

#[test]
fn cut_subtitles_are_used_and_say_so() {
    let mut bytes = srt(|_| "GPS(2.0,41.0,19) BAROMETER:25.5".into());
    bytes.truncate(bytes.len() - 20);
    let log = open(&bytes).unwrap();
    assert!(
        log.notes()
            .iter()
            .any(|n| n.contains("cut within subtitle 20")),
        "{:?}",
        log.notes()
    );
    assert!(log.pose_at(s(5.0)).is_ok());
}

#[rstest]
#[case::empty(b"".to_vec(), "is empty")]
#[case::text(b"hello, this is no log at all\n".to_vec(), "not a telemetry log")]
#[case::picture([b"\x89PNG\r\n\x1a\n".to_vec(), vec![0xFD; 4000]].concat(), "not a telemetry log")]
#[case::film_subtitles(srt(|_| "I'll be back.".into()), "neither a position nor a height")]
#[case::only_formats(dataflash(&[], &[]), "neither a position nor a height")]
#[case::only_a_head(b"ULog\x01\x12\x35\x01".to_vec(), "PX4 log")]
fn what_is_no_log_is_refused_with_file_reason_and_remedy(
    #[case] bytes: Vec<u8>,
    #[case] why: &str,
) {
    let message = open(&bytes).unwrap_err().to_string();
    for part in [why, "--telemetry", "tmp"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn a_missing_log_is_named() {
    let message = TelemetryLog::open(Path::new("/nowhere/x.tlog"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("/nowhere/x.tlog") && message.contains("--telemetry"));
}

fn flight(name: &str) -> Option<TelemetryLog> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/logs")
        .join(name);
    if !file.is_file() {
        println!("note: {} is not here: nothing was checked", file.display());
        return None;
    }
    Some(TelemetryLog::open(&file).unwrap())
}

fn length_s(log: &TelemetryLog) -> f64 {
    log.span().1.secs_since(log.span().0)
}

/// Heights at every half second that has a pose.
fn heights(log: &TelemetryLog) -> Vec<f64> {
    let (from, to) = log.span();
    let steps = (length_s(log) * 2.0) as i64;
    (0..=steps)
        .map(|i| s(from.as_secs_f64() + i as f64 / 2.0).min(to))
        .filter_map(|t| log.pose_at(t).ok())
        .map(|p| p.pose.height_above_ground.metres)
        .collect()
}

#[rstest]
#[case("copter_guided_60m.tlog", LogKind::Tlog, Missing::default(), 90.0..140.0, 55.0..65.0)]
#[case("copter_guided_auto_land.BIN", LogKind::DataFlash, Missing::default(), 300.0..400.0, 5.0..20.0)]
#[case("copter_land_no_gps.BIN", LogKind::DataFlash, Missing { position: true, ..Missing::default() }, 100.0..200.0, 0.5..20.0)]
// On a table: the estimator says itself that its position is not valid.
#[case("px4_small.ulg", LogKind::ULog, Missing { position: true, ..Missing::default() }, 1.0..200.0, 0.0..20.0)]
#[case("dji_mavic_air2.srt", LogKind::Srt, Missing { attitude: true, height: true, ..Missing::default() }, 0.1..10.0, 0.0..1.0)]
#[case("dji_air2s.srt", LogKind::Srt, Missing { attitude: true, height: true, ..Missing::default() }, 0.1..10.0, 0.0..1.0)]
#[case("dji_broken_incomplete.srt", LogKind::Srt, Missing { attitude: true, ..Missing::default() }, 15.0..20.0, 7.0..21.0)]
fn real_logs_are_read(
    #[case] name: &str,
    #[case] kind: LogKind,
    #[case] missing: Missing,
    #[case] length: std::ops::Range<f64>,
    #[case] highest: std::ops::Range<f64>,
) {
    let Some(log) = flight(name) else {
        return;
    };
    let heights = heights(&log);
    let top = heights.iter().copied().fold(f64::MIN, f64::max);
    println!(
        "{name}: {:.1} s, {} poses at 2 Hz, highest {top:.1} m, start {:?}, {} stretches, notes {:?}",
        length_s(&log),
        heights.len(),
        log.unix_start_s(),
        log.stretches.len(),
        log.notes()
    );
    assert_eq!((log.kind(), log.missing()), (kind, missing));
    assert!(length.contains(&length_s(&log)) && highest.contains(&top));
    assert!(
        heights.len() as f64 > length_s(&log) * 1.6,
        "{} poses",
        heights.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn broken_logs_do_not_panic(
        which in 0..4_usize,
        cut in 0.0..1.0_f64,
        flips in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..40),
    ) {
        let mut bytes = match which {
            0 => tlog(MavlinkVersion::V2, None),
            1 => copter(true),
            2 => ulog(),
            _ => srt(|_| "GPS(2.0,41.0,19) BAROMETER:25.5".into()),
        };
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        for (place, value) in flips {
            let at = (bytes.len() as f64 * place) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(log) = open(&bytes) {
            let (from, to) = log.span();
            prop_assert!(from <= to);
            if let Ok(p) = log.pose_at(s(3.3)) {
                prop_assert!(p.pose.position.is_finite() && p.pose.height_above_ground.metres.is_finite());
            }
        }
    }
}
