use std::sync::Arc;

use mavlink::dialects::ardupilotmega::{
    ATTITUDE_DATA, HEARTBEAT_DATA, MavAutopilot, STATUSTEXT_DATA, SYS_STATUS_DATA,
};
use mavlink::{MAVLinkV1MessageRaw, SigningData};
use proptest::prelude::*;
use rstest::rstest;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::autopilot::signing::{SigningKey, time_of_unix};

const NOW: MonoTime = MonoTime::ZERO;

fn at(system: u8, component: u8, sequence: u8) -> MavHeader {
    header(system, component, sequence)
}

fn heartbeat() -> MavMessage {
    MavMessage::HEARTBEAT(HEARTBEAT_DATA {
        custom_mode: 5,
        autopilot: MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA,
        ..HEARTBEAT_DATA::DEFAULT
    })
}

fn attitude(roll: f32) -> MavMessage {
    MavMessage::ATTITUDE(ATTITUDE_DATA {
        time_boot_ms: 0xfdfe_fdfe,
        roll,
        ..ATTITUDE_DATA::DEFAULT
    })
}

fn v2(header: MavHeader, message: &MavMessage) -> Vec<u8> {
    let mut raw = MAVLinkV2MessageRaw::new();
    raw.serialize_message(header, message);
    raw.raw_bytes().to_vec()
}

fn v1(header: MavHeader, message: &MavMessage) -> Vec<u8> {
    let mut raw = MAVLinkV1MessageRaw::new();
    raw.serialize_message(header, message);
    raw.raw_bytes().to_vec()
}

/// Everything that is read from these bytes, in pieces of `piece`.
fn read_in(parser: &mut Parser, bytes: &[u8], piece: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    for mut rest in bytes.chunks(piece) {
        while !rest.is_empty() {
            rest = parser.fill(rest);
            while let Some(frame) = parser.next_frame(NOW) {
                frames.push(frame);
            }
        }
    }
    frames
}

fn read(bytes: &[u8]) -> (Vec<Frame>, Parser) {
    let mut parser = Parser::new(None);
    let frames = read_in(&mut parser, bytes, 64);
    (frames, parser)
}

#[rstest]
#[case::at_once(10_000)]
#[case::byte_by_byte(1)]
#[case::in_sevens(7)]
fn frames_of_both_versions_are_read_in_any_pieces(#[case] piece: usize) {
    let bytes = [
        v2(at(1, 1, 0), &heartbeat()),
        v1(at(1, 1, 1), &attitude(0.5)),
        v2(at(1, 1, 2), &attitude(0.25)),
    ]
    .concat();
    let mut parser = Parser::new(None);
    let frames = read_in(&mut parser, &bytes, piece);
    assert_eq!(
        frames,
        [
            (at(1, 1, 0), heartbeat()),
            (at(1, 1, 1), attitude(0.5)),
            (at(1, 1, 2), attitude(0.25)),
        ]
        .map(|(header, message)| Frame { header, message })
    );
    let counts = parser.counts();
    assert_eq!((counts.frames, counts.bytes), (3, bytes.len() as u64));
    assert_eq!((counts.garbage_bytes, counts.lost), (0, 0));
}

#[test]
fn noise_before_and_between_is_skipped_and_counted() {
    let noise = [0x00, 0x55, 0xfd, 0xfe, 0xfd, 0xff, 0x07];
    let bytes = [
        noise.to_vec(),
        v2(at(1, 1, 0), &heartbeat()),
        noise.to_vec(),
        v2(at(1, 1, 1), &attitude(1.0)),
    ]
    .concat();
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 2);
    assert_eq!(parser.counts().garbage_bytes, 14);
}

#[test]
fn noise_that_looks_like_a_long_frame_delays_nothing() {
    // After noise, a version 1 marker that announces 255 bytes, which never come.
    let bytes = [
        vec![0x11, 0xfe, 0xff, 1, 1, 1, 30],
        v2(at(1, 1, 0), &heartbeat()),
    ]
    .concat();
    let (frames, _) = read(&bytes);
    assert_eq!(frames.len(), 1);
}

#[test]
fn a_wrong_checksum_is_counted_once_and_the_next_frame_is_read() {
    let mut bytes = v2(at(1, 1, 0), &attitude(1.0));
    *bytes.last_mut().unwrap() ^= 0x40;
    bytes.extend(v2(at(1, 1, 1), &heartbeat()));
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 1);
    assert_eq!(parser.counts().crc_errors, 1);
}

#[test]
fn bytes_lost_in_the_middle_of_a_frame_cost_that_frame_only() {
    let mut bytes = v2(at(1, 1, 0), &attitude(1.0));
    bytes.drain(12..20);
    bytes.extend(v2(at(1, 1, 1), &heartbeat()));
    bytes.extend(v2(at(1, 1, 2), &attitude(2.0)));
    let (frames, _) = read(&bytes);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].message, heartbeat());
}

#[test]
fn an_unknown_message_is_passed_over_whole() {
    // A message id beyond the dialect, whose payload carries a whole frame that is not ours to read.
    let inner = v2(at(9, 9, 0), &heartbeat());
    let mut bytes = v2(at(1, 1, 2), &heartbeat());
    bytes.extend([0xfd, inner.len() as u8, 0, 0, 3, 1, 1, 0xff, 0xff, 0x7f]);
    bytes.extend(&inner);
    bytes.extend([0, 0]);
    bytes.extend(v2(at(1, 1, 4), &heartbeat()));
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|f| f.header.system_id == 1));
    assert_eq!((parser.counts().unknown, parser.counts().lost), (1, 0));
}

/// A frame whose message is not in the dialect, with so many bytes.
fn unknown(sequence: u8, len: u8) -> Vec<u8> {
    let mut bytes = vec![0xfd, len, 0, 0, sequence, 1, 1, 0xff, 0xff, 0x7f];
    bytes.resize(bytes.len() + usize::from(len) + 2, 0x11);
    bytes
}

#[rstest]
#[case::at_once(10_000)]
#[case::byte_by_byte(1)]
fn unknown_messages_in_a_row_are_all_passed_over(#[case] piece: usize) {
    let bytes = [
        unknown(0, 40),
        unknown(1, 0),
        unknown(2, 255),
        v2(at(1, 1, 3), &heartbeat()),
    ]
    .concat();
    let mut parser = Parser::new(None);
    assert_eq!(read_in(&mut parser, &bytes, piece).len(), 1);
    let counts = parser.counts();
    assert_eq!(
        (counts.unknown, counts.garbage_bytes, counts.lost),
        (3, 0, 0)
    );
}

#[rstest]
#[case::at_the_start_at_once(10_000, 0)]
#[case::at_the_start_byte_by_byte(1, 0)]
#[case::after_a_frame_at_once(10_000, 1)]
#[case::after_a_frame_byte_by_byte(1, 1)]
fn noise_that_looks_like_an_unknown_message_costs_no_more_than_its_length(
    #[case] piece: usize,
    #[case] before: usize,
) {
    let tail: Vec<u8> = (0..40u8)
        .flat_map(|i| v2(at(1, 1, i), &attitude(1.0)))
        .collect();
    let frame = tail.len() / 40;
    // It ends within a frame, before bytes of the payload that look like a beginning, too.
    let len = (200..=255)
        .rev()
        .find(|len| tail[*len + CHECKSUM..].starts_with(&[0xfe, 0xfd]))
        .unwrap();
    let noise = &unknown(0, len as u8)[..10];
    let first = v2(at(1, 1, 255), &heartbeat()).repeat(before);
    let mut parser = Parser::new(None);
    let frames = read_in(&mut parser, &[&first, noise, &tail].concat(), piece);
    let lost = 40 - (frames.len() - before);
    // At the start nothing is trusted, and nothing lost.
    let most = if before == 0 { 0 } else { len / frame + 1 };
    assert!(lost <= most, "{lost} lost, {most} at most");
}

#[test]
fn an_enum_value_that_does_not_exist_is_counted() {
    let mut bytes = v2(at(1, 1, 0), &heartbeat());
    // HEARTBEAT.type is the fifth byte of the payload.
    bytes[10 + 4] = 250;
    let end = bytes.len() - 2;
    let crc = calculate_crc(&bytes[1..end], MavMessage::extra_crc(0)).to_le_bytes();
    bytes[end..].copy_from_slice(&crc);
    bytes.extend(v2(at(1, 1, 1), &heartbeat()));
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 1);
    assert_eq!(parser.counts().malformed, 1);
}

#[test]
fn an_unknown_feature_is_refused() {
    let mut bytes = v2(at(1, 1, 0), &heartbeat());
    bytes[2] = 0x04;
    bytes.extend(v2(at(1, 1, 1), &heartbeat()));
    let (frames, parser) = read(&bytes);
    assert_eq!((frames.len(), parser.counts().incompatible), (1, 1));
}

#[test]
fn gaps_in_the_sequence_are_counted_for_each_sender() {
    let bytes = [
        v2(at(1, 1, 254), &heartbeat()),
        v2(at(1, 191, 7), &heartbeat()),
        v2(at(1, 1, 1), &heartbeat()),
        v2(at(1, 191, 8), &heartbeat()),
        v2(at(1, 1, 1), &heartbeat()),
    ]
    .concat();
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 5);
    let of = |component| {
        let s = parser
            .senders()
            .iter()
            .find(|s| s.component_id == component);
        s.map(|s| (s.received, s.lost)).unwrap()
    };
    assert_eq!((of(1), of(191)), ((3, 2), (2, 0)));
    assert_eq!(parser.counts().lost, 2);
}

#[test]
fn more_senders_than_there_is_room_for_are_read_all_the_same() {
    let bytes: Vec<u8> = (0..=255)
        .flat_map(|system| v2(at(system, 1, 0), &heartbeat()))
        .collect();
    let (frames, parser) = read(&bytes);
    assert_eq!((frames.len(), parser.senders().len()), (256, SENDERS));
}

fn signing(started: u64) -> SigningConfig {
    SigningConfig {
        key: SigningKey::from_pass_phrase("a long secret"),
        link_id: 2,
        started,
        accepts_unsigned: false,
        newest: Arc::default(),
    }
}

fn signed(writer: &mut Writer, message: &MavMessage, now: MonoTime) -> Vec<u8> {
    let mut out = Vec::new();
    writer.write(message, now);
    writer.drain(&mut out);
    out
}

#[test]
fn without_a_key_signed_frames_are_dropped() {
    let mut writer = Writer::new(1, Some(signing(1000)));
    let mut bytes = signed(&mut writer, &heartbeat(), NOW);
    bytes.extend(v2(at(1, 1, 1), &heartbeat()));
    let (frames, parser) = read(&bytes);
    assert_eq!(frames.len(), 1);
    assert_eq!(parser.counts().unverifiable, 1);
}

#[test]
fn with_a_key_only_new_signed_frames_are_read() {
    let mut writer = Writer::new(1, Some(signing(1000)));
    let first = signed(&mut writer, &heartbeat(), NOW);
    let second = signed(&mut writer, &attitude(1.0), NOW);
    let mut forged = signed(&mut writer, &heartbeat(), NOW);
    *forged.last_mut().unwrap() ^= 1;
    let unsigned = v2(at(1, 1, 9), &heartbeat());
    let mut parser = Parser::new(Some(signing(1000)));
    let bytes = [first.clone(), second, forged, unsigned, first].concat();
    assert_eq!(read_in(&mut parser, &bytes, 50).len(), 2);
    assert_eq!(parser.counts().refused, 3);
}

#[test]
fn unsigned_frames_are_read_where_that_is_allowed_and_forged_ones_never() {
    let config = SigningConfig {
        accepts_unsigned: true,
        ..signing(1000)
    };
    let mut writer = Writer::new(1, Some(signing(1000)));
    let mut forged = signed(&mut writer, &heartbeat(), NOW);
    *forged.last_mut().unwrap() ^= 1;
    let bytes = [forged, v2(at(1, 1, 9), &heartbeat())].concat();
    let mut parser = Parser::new(Some(config));
    assert_eq!(read_in(&mut parser, &bytes, 50).len(), 1);
    assert_eq!(parser.counts().refused, 1);
}

#[test]
fn the_newest_time_signed_or_heard_is_told() {
    use std::sync::atomic::Ordering;
    let config = signing(1000);
    let newest = Arc::clone(&config.newest);
    let mut parser = Parser::new(Some(config.clone()));
    let mut writer = Writer::new(191, Some(config));
    signed(&mut writer, &heartbeat(), NOW);
    assert_eq!(newest.load(Ordering::Relaxed), 1000);
    let mut ahead = Writer::new(1, Some(signing(5000)));
    read_in(&mut parser, &signed(&mut ahead, &heartbeat(), NOW), 50);
    assert_eq!(newest.load(Ordering::Relaxed), 5000);
    signed(&mut writer, &heartbeat(), MonoTime::from_secs_f64(1.0));
    assert_eq!(newest.load(Ordering::Relaxed), 101_000);
}

#[test]
fn a_stranger_with_an_old_time_is_refused_and_time_follows_the_other_side() {
    let mut old = Writer::new(1, Some(signing(1000)));
    let mut parser = Parser::new(Some(signing(1000 + 61 * 100_000)));
    let bytes = signed(&mut old, &heartbeat(), NOW);
    assert!(read_in(&mut parser, &bytes, 50).is_empty());
    // The other side is ahead: what it says is read, and what we say is newer.
    let mut ahead = Writer::new(1, Some(signing(90_000_000)));
    let bytes = signed(&mut ahead, &heartbeat(), NOW);
    assert_eq!(read_in(&mut parser, &bytes, 50).len(), 1);
    let mut ours = Writer::new(191, Some(signing(1000)));
    ours.not_before(parser.newest_signature());
    let mut theirs = Parser::new(Some(signing(90_000_000)));
    let bytes = signed(&mut ours, &heartbeat(), NOW);
    assert_eq!(read_in(&mut theirs, &bytes, 50).len(), 1);
}

#[test]
fn our_signatures_are_those_of_the_mavlink_crate() {
    let key: [u8; 32] = Sha256::digest(b"a long secret").into();
    let theirs = SigningData::from_config(mavlink::SigningConfig::new(key, 2, true, false));
    let mut message = MAVLinkV2MessageRaw::new();
    message.serialize_message_for_signing(at(1, 1, 0), &heartbeat());
    theirs.sign_message(&mut message);
    // That crate reads the machine's clock, so ours must not be a minute ahead of it.
    let mut parser = Parser::new(Some(signing(time_of_unix(1_700_000_000))));
    assert_eq!(read_in(&mut parser, message.raw_bytes(), 50).len(), 1);

    let mut writer = Writer::new(191, Some(signing(time_of_unix(4_000_000_000))));
    let bytes = signed(&mut writer, &heartbeat(), NOW);
    assert!(theirs.verify_signature(&raw(&bytes)));
}

#[test]
fn the_writer_counts_up_and_drops_what_nobody_fetches() {
    let mut writer = Writer::new(191, None);
    writer.set_system_id(3);
    let text = MavMessage::STATUSTEXT(STATUSTEXT_DATA {
        text: "a".repeat(50).as_str().into(),
        ..STATUSTEXT_DATA::DEFAULT
    });
    for _ in 0..1000 {
        writer.write(&text, NOW);
    }
    let mut out = Vec::new();
    writer.drain(&mut out);
    assert!(out.len() <= OUT_CAPACITY);
    let (sent, dropped) = writer.counts();
    assert!(sent > 100 && dropped > 100 && sent + dropped == 1000);
    let (frames, parser) = read(&out);
    assert_eq!(frames.len() as u64, sent);
    assert_eq!(parser.counts().lost, 0);
    assert!(
        frames
            .iter()
            .all(|f| (f.header.system_id, f.header.component_id) == (3, 191))
    );
}

/// A whole frame, a chopped one, a frame with a byte changed, or noise with many markers.
fn piece() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let frame = (any::<u8>(), any::<f32>(), any::<bool>()).prop_map(|(seq, roll, is_v1)| {
        let message = if roll.is_nan() {
            heartbeat()
        } else {
            attitude(roll)
        };
        if is_v1 {
            v1(at(1, 1, seq), &message)
        } else {
            v2(at(1, 1, seq), &message)
        }
    });
    let noise = proptest::collection::vec(
        prop_oneof![Just(0xfd), Just(0xfe), Just(0u8), any::<u8>()],
        0..400,
    );
    prop_oneof![
        frame.clone().prop_map(|f| (f, true)),
        (frame.clone(), any::<prop::sample::Index>()).prop_map(|(f, cut)| {
            let cut = cut.index(f.len());
            (f[..cut].to_vec(), false)
        }),
        (frame, any::<prop::sample::Index>(), 1u8..).prop_map(|(mut f, place, change)| {
            let place = place.index(f.len());
            f[place] ^= change;
            (f, false)
        }),
        noise.prop_map(|n| (n, false)),
    ]
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_survived_and_read_the_same(
        pieces in proptest::collection::vec(piece(), 0..20),
        piece in 1usize..600,
    ) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|p| p.0.clone()).collect();
        let mut parser = Parser::new(None);
        let frames = read_in(&mut parser, &bytes, piece);
        let counts = *parser.counts();
        prop_assert_eq!(counts.bytes, bytes.len() as u64);
        prop_assert_eq!(counts.frames, frames.len() as u64);
        prop_assert!(counts.garbage_bytes <= counts.bytes);
    }

    #[test]
    fn a_stream_is_found_again_after_any_noise(
        noise in proptest::collection::vec(prop_oneof![Just(0xfdu8), Just(0xfe), any::<u8>()], 0..1000),
        piece in 1usize..600,
    ) {
        let tail: Vec<u8> = (0..40u8).flat_map(|i| v2(at(1, 1, i), &attitude(1.0))).collect();
        let mut parser = Parser::new(None);
        read_in(&mut parser, &noise, piece);
        let frames = read_in(&mut parser, &tail, piece);
        // One piece of noise in 65536 has a right checksum by chance: a frame of 280 bytes, and those that it cuts.
        let lost = 40 - frames.len();
        prop_assert!(lost * (tail.len() / 40) <= 300, "{} lost", lost);
        prop_assert_eq!(frames.last().map(|f| f.header.sequence), Some(39));
    }

    #[test]
    fn whole_frames_are_never_lost_to_what_is_between_them(
        noise in proptest::collection::vec(0u8..0xfd, 0..100),
        count in 1u8..20,
        piece in 1usize..100,
    ) {
        let bytes: Vec<u8> = (0..count)
            .flat_map(|i| [noise.clone(), v2(at(1, 1, i), &heartbeat())].concat())
            .collect();
        let mut parser = Parser::new(None);
        prop_assert_eq!(read_in(&mut parser, &bytes, piece).len(), usize::from(count));
        let between = noise.len() as u64 * u64::from(count);
        prop_assert_eq!(parser.counts().garbage_bytes, between);
    }
}

#[test]
fn a_message_of_many_fields_survives() {
    let message = MavMessage::SYS_STATUS(SYS_STATUS_DATA {
        voltage_battery: 12_345,
        ..SYS_STATUS_DATA::DEFAULT
    });
    assert_eq!(read(&v2(at(1, 1, 0), &message)).0[0].message, message);
}
