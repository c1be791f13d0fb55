//! The network, the camera, and who is at the other end of the link.

use std::time::Duration;

use image::RgbImage;

use super::super::{model, run::parts};
use crate::autopilot::examine::{Examiner, Finding, Grade, judge};
use crate::autopilot::link::{self, Keyring, Received};
use crate::camera::{Frame, SourceEvent};
use crate::config::{CameraConfig, CameraSource, Settings};
use crate::inference::{SegmentationMap, Segmenter as _};
use crate::pipeline::live::Camera;
use crate::time::{Clock as _, SystemClock};

/// Pictures that are waited for.
const FRAMES: u32 = 5;
/// Events without a picture that are waited for.
const EMPTY: u32 = 50;
/// A network that takes longer than this on this board decides too seldom.
const SLOW_S: f64 = 1.0;
/// One wait for bytes.
const PATIENCE: Duration = Duration::from_millis(50);

/// Loads the network and runs it once or twice.
pub(super) fn network(settings: &Settings) -> Vec<Finding> {
    let fail = |text: String| vec![Finding::new(Grade::Fail, "network", text)];
    let mut segmenter = match model::load(None, settings) {
        Ok(segmenter) => segmenter,
        Err(e) => return fail(e.to_string()),
    };
    let clock = SystemClock::start();
    let camera = &settings.values.camera;
    let frame = Frame {
        seq: 0,
        source: "doctor".into(),
        captured_at: clock.now(),
        image: RgbImage::from_pixel(camera.width_px, camera.height_px, image::Rgb([90; 3])).into(),
        tag: None,
    };
    let mut map = SegmentationMap::default();
    let mut took_s = f64::INFINITY;
    for _ in 0..3 {
        let begun = clock.now();
        if let Err(e) = segmenter.segment(&frame, &mut map) {
            return fail(e.to_string());
        }
        took_s = took_s.min(clock.now().secs_since(begun));
    }
    let grade = if took_s < SLOW_S {
        Grade::Ok
    } else {
        Grade::Warn
    };
    vec![Finding::new(
        grade,
        "network",
        format!(
            "loads, and takes {:.0} ms a picture on this board",
            1e3 * took_s
        ),
    )]
}

/// How pixels become directions.
pub(super) fn lens(camera: &CameraConfig, commands: bool) -> Vec<Finding> {
    let worst = if commands { Grade::Fail } else { Grade::Warn };
    let (grade, text) = match (parts::lens(camera), camera.source) {
        (Err(e), _) => (Grade::Fail, e.to_string()),
        (Ok(_), Some(CameraSource::World)) => (Grade::Ok, "of the world camera".to_owned()),
        (Ok(_), _) if camera.calibration.is_some() => (Grade::Ok, "calibrated".to_owned()),
        (Ok(_), _) if camera.hfov_deg.is_some() => (
            worst,
            "camera.hfov_deg is a guess at the lens: calibrate it (camera.calibration); alight only advises without".to_owned(),
        ),
        (Ok(_), _) => (
            worst,
            "camera.calibration is not set: without a lens no pixel has a place on the ground".to_owned(),
        ),
    };
    vec![Finding::new(grade, "lens", text)]
}

/// Opens the camera and waits for pictures.
pub(super) fn camera(camera: &CameraConfig) -> Vec<Finding> {
    let found = |grade, text: String| vec![Finding::new(grade, "camera", text)];
    if camera.source.is_none() {
        let text = "camera.source is not set: \"v4l\" for a camera of the board, \"pipe\" for a command's pictures";
        return found(Grade::Fail, text.to_owned());
    }
    let clock = SystemClock::start();
    let opened = parts::lens(camera).and_then(|lens| parts::camera(camera, lens, &clock));
    let mut source = match opened {
        Ok(Camera::World(_)) => {
            return found(Grade::Ok, "a drawn world: for simulation".to_owned());
        }
        Ok(Camera::Source(source, ..)) => source,
        Err(e) => return found(Grade::Fail, e.to_string()),
    };
    let (mut frames, mut empty, mut trouble) = (0, 0, String::new());
    let mut first = None;
    while frames < FRAMES && empty < EMPTY {
        match source.next_event() {
            SourceEvent::Frame(frame) => {
                frames += 1;
                first.get_or_insert((frame.captured_at, frame.seq));
                if frames == FRAMES {
                    return found(Grade::Ok, delivers(first, &frame));
                }
            }
            SourceEvent::Skipped { reason, .. } => (empty, trouble) = (empty + 1, reason),
            SourceEvent::End { .. } => break,
        }
    }
    found(
        Grade::Fail,
        format!("{frames} pictures, then none: {trouble}"),
    )
}

fn delivers(first: Option<(crate::time::MonoTime, u64)>, last: &Frame) -> String {
    let (width, height) = last.image.dimensions();
    let mean = last.image.iter().map(|v| f64::from(*v)).sum::<f64>()
        / last.image.as_raw().len().max(1) as f64;
    let rate = first.map_or(0.0, |(at, seq)| {
        (last.seq - seq) as f64 / last.captured_at.secs_since(at).max(1e-3)
    });
    format!("{width} x {height}, {rate:.1} pictures a second, mean level {mean:.0} of 255")
}

/// Opens the link, listens, and asks whoever is there.
pub(super) fn autopilot(settings: &Settings, listen_s: f64, commands: bool) -> Vec<Finding> {
    let link_config = &settings.values.link;
    let fail = |subject, text: String| vec![Finding::new(Grade::Fail, subject, text)];
    let Some(address) = link_config.address.clone() else {
        return fail(
            "link",
            "link is not set: write where the autopilot is, link = \"serial:/dev/ttyAMA0:921600\""
                .to_owned(),
        );
    };
    let keyring = match link_config.keyring() {
        Ok(keyring) => keyring,
        Err(e) => return fail("link", e.to_string()),
    };
    let signing = keyring.as_ref().map(Keyring::signing);
    let (mut reader, mut writer) = link::open(address.clone(), PATIENCE);
    if let Err(e) = reader.open() {
        return fail("link", e.to_string());
    }
    let clock = SystemClock::start();
    let mut examiner = Examiner::new(link_config.system_id, signing.as_ref());
    let (mut bytes, mut out) = (vec![0; 4096], Vec::new());
    while clock.now().as_secs_f64() < listen_s && !examiner.is_done(clock.now()) {
        if let Received::Bytes(len) = reader.read(&mut bytes, clock.now()) {
            examiner.receive(bytes.get(..len).unwrap_or_default(), clock.now());
        }
        examiner.ask(clock.now(), &mut out);
        writer.write(&out);
        out.clear();
    }
    let learnt = examiner.learnt();
    let counts = learnt.counts;
    let text = format!(
        "{address} is open; {} frames in {:.1} s, {} bytes of noise, {} wrong checksums",
        counts.frames,
        clock.now().as_secs_f64(),
        counts.garbage_bytes,
        counts.crc_errors
    );
    let grade = if counts.crc_errors * 20 > counts.frames {
        Grade::Warn
    } else {
        Grade::Ok
    };
    let mut found = vec![Finding::new(grade, "link", text)];
    found.extend(judge(&learnt, commands));
    found
}
