//! Videos made here or by the commands in `tests/data/README.md`, whole, cut and damaged.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::tempdir;

use super::ffmpeg::Programs;
use super::*;
use crate::camera::picture::tests::{drawn, jpeg};
use crate::camera::{Frame, SourceEvent, open};

const BFRAMES: &[u8] = include_bytes!("../../../tests/data/bframes.mp4");
const BASELINE: &[u8] = include_bytes!("../../../tests/data/baseline.mp4");

/// What a source said.
#[derive(Debug, Default)]
struct Story {
    frames: Vec<Frame>,
    skipped: Vec<(u64, String)>,
    warning: Option<String>,
}

fn read_all(source: &mut dyn FrameSource) -> Story {
    let mut story = Story::default();
    let mut expected = 0;
    loop {
        let seq = match source.next_event() {
            SourceEvent::Frame(frame) => {
                story.frames.push(frame);
                story.frames.last().unwrap().seq
            }
            SourceEvent::Skipped { seq, reason, .. } => {
                story.skipped.push((seq, reason));
                seq
            }
            SourceEvent::End { warning } => {
                story.warning = warning;
                return story;
            }
        };
        assert!(seq >= expected, "frame {seq} came after {expected}");
        expected = seq + 1;
    }
}

fn open_bytes(bytes: &[u8], name: &str) -> Result<Story, OpenError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    open(&path, 1.0).map(|mut source| read_all(source.as_mut()))
}

/// The grey in the lower half of a test video's frame tells its number.
fn number_in(frame: &Frame) -> u64 {
    (f64::from(frame.image.get_pixel(80, 72).0[1]) / 10.0).round() as u64
}

fn position(bytes: &[u8], name: &[u8]) -> usize {
    bytes.windows(name.len()).position(|w| w == name).unwrap()
}

#[test]
fn frames_come_in_display_order_at_the_containers_times() {
    for bytes in [BFRAMES, BASELINE] {
        let story = open_bytes(bytes, "video.mp4").unwrap();
        assert!(story.skipped.is_empty(), "{:?}", story.skipped);
        assert_eq!((story.frames.len(), story.warning), (24, None));
        for (seq, frame) in (0..).zip(&story.frames) {
            assert_eq!((frame.seq, number_in(frame)), (seq, seq));
            assert!((frame.captured_at.as_secs_f64() - seq as f64 / 10.0).abs() < 1e-6);
            assert_eq!(&*frame.source, "video.mp4");
            assert_eq!(frame.image.dimensions(), (160, 96));
        }
    }
}

#[test]
fn colours_are_right_in_both_matrices() {
    for bytes in [BFRAMES, BASELINE] {
        let story = open_bytes(bytes, "video.mp4").unwrap();
        for (x, colour) in [(25, [255, 0, 0]), (80, [0, 255, 0]), (135, [0, 0, 255])] {
            let got = story.frames[5].image.get_pixel(x, 24).0;
            let off = got.iter().zip(colour).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(8), "{got:?} is not {colour:?}");
        }
    }
}

#[test]
fn a_rotation_mark_turns_the_frames() {
    let mut bytes = BASELINE.to_vec();
    let matrix = position(&bytes, b"tkhd") + 4 + 40;
    for (index, value) in [(0, 0i32), (1, 0x10000), (3, -0x10000), (4, 0)] {
        bytes[matrix + index * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    let story = open_bytes(&bytes, "video.mp4").unwrap();
    let image = &story.frames[0].image;
    assert_eq!(image.dimensions(), (96, 160));
    // Clockwise: the left end of the upper edge, red, becomes the upper end of the right edge.
    assert!(image.get_pixel(72, 25).0[0] > 240);
}

#[test]
fn a_broken_frame_is_skipped_with_what_builds_on_it() {
    let mut bytes = BFRAMES.to_vec();
    let (_, track) = index_of(&bytes);
    // The second sample is the first P frame, shown as frame 4; the next key frame is 12.
    let sample = track[1];
    assert_eq!(sample.rank, 4);
    bytes[sample.offset as usize..][..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let story = open_bytes(&bytes, "video.mp4").unwrap();
    let skipped: Vec<u64> = story.skipped.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(skipped, (1..12).collect::<Vec<_>>());
    let kept: Vec<u64> = story.frames.iter().map(|f| f.seq).collect();
    assert_eq!(kept, [0].into_iter().chain(12..24).collect::<Vec<_>>());
    for frame in &story.frames {
        assert_eq!(number_in(frame), frame.seq);
    }
    assert!(
        story
            .skipped
            .iter()
            .any(|(_, why)| why.contains("builds on"))
    );
    assert_eq!(story.warning, None);
}

fn index_of(bytes: &[u8]) -> (u8, Vec<boxes::Sample>) {
    let track = boxes::read_index(&mut std::io::Cursor::new(bytes)).unwrap();
    (track.quarter_turns, track.samples)
}

#[test]
fn a_video_cut_in_the_middle_ends_there_with_a_warning() {
    let (_, samples) = index_of(BFRAMES);
    let cut = samples[15].offset as usize + 3;
    let story = open_bytes(&BFRAMES[..cut], "video.mp4").unwrap();
    assert!(story.warning.unwrap().contains("is cut"));
    assert_eq!(story.frames.len(), 15);
    for frame in &story.frames {
        assert_eq!(number_in(frame), frame.seq);
    }
}

#[test]
fn a_video_cut_before_its_index_says_so() {
    let cut = BASELINE.len() * 3 / 4;
    let index = position(BASELINE, b"moov");
    for length in [cut.min(index), index + 100] {
        let error = open_bytes(&BASELINE[..length], "video.mp4").unwrap_err();
        assert!(matches!(error, OpenError::NoIndex { .. }), "{error}");
        assert!(error.to_string().contains("no index"));
    }
}

#[test]
fn an_mp4_cut_anywhere_never_panics() {
    for bytes in [BFRAMES, BASELINE] {
        for length in (0..bytes.len()).step_by(37) {
            let track = boxes::read_index(&mut std::io::Cursor::new(&bytes[..length]));
            if track.is_ok() {
                let folder = tempdir().unwrap();
                let path = folder.path().join("cut.mp4");
                fs::write(&path, &bytes[..length]).unwrap();
                if let Ok(mut video) = mp4::Mp4Video::open(&path, 1.0) {
                    read_all(&mut video);
                }
            }
        }
    }
}

/// A RIFF chunk.
fn chunk(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn list(kind: [u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(*b"LIST", &[kind.to_vec(), parts.concat()].concat())
}

/// An AVI file with an audio stream before the video one, 5 frames a second.
fn avi(frames: &[Vec<u8>], codec: [u8; 4]) -> Vec<u8> {
    let stream = |kind: &[u8; 4], scale: u32, rate: u32, length: u32| {
        let mut head = [0; 56];
        head[..4].copy_from_slice(kind);
        head[20..24].copy_from_slice(&scale.to_le_bytes());
        head[24..28].copy_from_slice(&rate.to_le_bytes());
        head[32..36].copy_from_slice(&length.to_le_bytes());
        let mut format = [0; 40];
        format[16..20].copy_from_slice(&codec);
        list(
            *b"strl",
            &[chunk(*b"strh", &head), chunk(*b"strf", &format)],
        )
    };
    let header = list(
        *b"hdrl",
        &[
            chunk(*b"avih", &[0; 56]),
            stream(b"auds", 1, 8000, 8000),
            stream(b"vids", 200, 1000, frames.len() as u32),
        ],
    );
    let mut movi = Vec::new();
    for frame in frames {
        movi.push(chunk(*b"00wb", &[1, 2, 3]));
        movi.push(list(*b"rec ", &[chunk(*b"01dc", frame)]));
    }
    let parts = [
        header,
        chunk(*b"JUNK", &[0; 11]),
        list(*b"movi", &movi),
        chunk(*b"idx1", &[]),
    ];
    chunk(*b"RIFF", &[b"AVI ".to_vec(), parts.concat()].concat())
}

fn grey_jpeg(level: u8) -> Vec<u8> {
    jpeg(&image::RgbImage::from_pixel(16, 8, image::Rgb([level; 3])))
}

/// Takes the Huffman tables out, as cameras do.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let mut at = 2;
    loop {
        let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        match jpeg[at + 1] {
            0xDA => break,
            0xC4 => {}
            _ => out.extend(&jpeg[at..at + length]),
        }
        at += length;
    }
    out.extend(&jpeg[at..]);
    out
}

#[test]
fn motion_jpeg_frames_come_at_the_rate_of_their_stream() {
    let frames: Vec<_> = (0..5).map(|n| grey_jpeg(n * 50)).collect();
    let story = open_bytes(&avi(&frames, *b"MJPG"), "video.bin").unwrap();
    assert_eq!((story.frames.len(), story.warning), (5, None));
    for (n, frame) in (0..).zip(&story.frames) {
        assert_eq!(frame.seq, n);
        assert!((frame.captured_at.as_secs_f64() - n as f64 * 0.2).abs() < 1e-9);
        assert!(u64::from(frame.image.get_pixel(8, 4).0[0]).abs_diff(n * 50) < 3);
    }
}

#[test]
fn frames_without_huffman_tables_get_the_standard_ones() {
    let whole = jpeg(&drawn(64, 48));
    let bare = without_tables(&whole);
    assert!(whole.len() > bare.len() + 300);
    let story = open_bytes(&avi(&[bare, whole], *b"mjpg"), "video.avi").unwrap();
    assert!(story.skipped.is_empty(), "{:?}", story.skipped);
    assert_eq!(story.frames[0].image, story.frames[1].image);
}

#[test]
fn dropped_and_broken_motion_jpeg_frames_are_skipped() {
    let good = grey_jpeg(100);
    let frames = [good.clone(), Vec::new(), good[..60].to_vec(), good];
    let story = open_bytes(&avi(&frames, *b"MJPG"), "video.avi").unwrap();
    let skipped: Vec<u64> = story.skipped.iter().map(|(seq, _)| *seq).collect();
    assert_eq!((story.frames.len(), skipped), (2, vec![1, 2]));
    assert!(story.skipped[0].1.contains("dropped"));
    assert_eq!(story.frames[1].seq, 3);
}

#[test]
fn an_avi_cut_anywhere_keeps_its_whole_frames_and_never_panics() {
    let frames: Vec<_> = (0..3).map(|n| grey_jpeg(n * 50)).collect();
    let whole = avi(&frames, *b"MJPG");
    let folder = tempdir().unwrap();
    let path = folder.path().join("cut.avi");
    let mut most = 0;
    for length in (0..whole.len() - 1).step_by(5) {
        fs::write(&path, &whole[..length]).unwrap();
        let Ok(mut video) = AviVideo::open(&path, 1.0) else {
            assert_eq!(most, 0);
            continue;
        };
        let story = read_all(&mut video);
        assert!(story.warning.unwrap().contains("cut"), "{length}");
        assert!(story.frames.len() >= most && story.skipped.is_empty());
        most = story.frames.len();
    }
    assert_eq!(most, 3);
}

#[test]
fn an_avi_that_was_never_closed_is_read_with_a_warning() {
    let mut bytes = avi(&[grey_jpeg(1), grey_jpeg(2)], *b"MJPG");
    bytes[4..8].fill(0);
    let story = open_bytes(&bytes, "video.avi").unwrap();
    assert_eq!(story.frames.len(), 2);
    assert!(story.warning.unwrap().contains("not closed"));
}

#[test]
fn a_video_without_a_decodable_frame_is_refused() {
    let error = open_bytes(&avi(&[vec![1, 2, 3]], *b"MJPG"), "video.avi").unwrap_err();
    assert!(
        matches!(error, OpenError::NothingReadable { tried: 1, .. }),
        "{error}"
    );
    let mut bytes = BASELINE.to_vec();
    let (_, samples) = index_of(&bytes);
    for sample in samples {
        bytes[sample.offset as usize..][..sample.size as usize].fill(0xFF);
    }
    let error = open_bytes(&bytes, "video.mp4").unwrap_err();
    assert!(
        matches!(error, OpenError::NothingReadable { tried: 24, .. }),
        "{error}"
    );
}

#[test]
fn without_ffmpeg_the_message_says_what_works_and_how_to_get_it() {
    let nowhere = Programs {
        ffprobe: "alight-test-no-such-ffprobe",
        ffmpeg: "alight-test-no-such-ffmpeg",
    };
    let error = FfmpegVideo::open("a.mkv".as_ref(), 1.0, "Matroska or WebM video", &nowhere);
    let said = error.unwrap_err().to_string();
    for part in ["a.mkv", "Matroska", "apt install ffmpeg", "H.264 in MP4"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn with_ffmpeg_other_videos_are_read() {
    let folder = tempdir().unwrap();
    let (mp4, mkv): (PathBuf, PathBuf) = (folder.path().join("a.mp4"), folder.path().join("a.mkv"));
    fs::write(&mp4, BFRAMES).unwrap();
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i"])
        .arg(&mp4)
        .args(["-c", "copy"])
        .arg(&mkv)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: ffmpeg is not installed");
        return;
    }
    let story = read_all(open(&mkv, 1.0).unwrap().as_mut());
    assert_eq!((story.frames.len(), story.warning), (24, None));
    for frame in &story.frames {
        assert_eq!(number_in(frame), frame.seq);
        assert!((frame.captured_at.as_secs_f64() - frame.seq as f64 / 10.0).abs() < 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_mp4_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = BFRAMES.to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = tempdir().unwrap();
        let path = folder.path().join("damaged.mp4");
        fs::write(&path, &bytes).unwrap();
        if let Ok(mut video) = mp4::Mp4Video::open(&path, 1.0) {
            let story = read_all(&mut video);
            prop_assert!(story.frames.len() + story.skipped.len() <= 1000);
        }
    }

    #[test]
    fn a_damaged_avi_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = avi(&[grey_jpeg(1), grey_jpeg(2)], *b"MJPG");
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = tempdir().unwrap();
        let path = folder.path().join("damaged.avi");
        fs::write(&path, &bytes).unwrap();
        if let Ok(mut video) = AviVideo::open(&path, 1.0) {
            read_all(&mut video);
        }
    }
}
