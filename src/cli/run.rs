//! `alight run`: the onboard service.

pub(super) mod parts;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;

use super::{Failure, hung_up, interrupted, model, output};
use crate::autopilot::commands::Notice;
use crate::autopilot::link::Keyring;
use crate::autopilot::supervisor::Authority;
use crate::config::{CameraSource, Settings};
use crate::inference::manifest::sha256_hex;
use crate::pipeline::live::{self, Ended, LiveReport, Options};
use crate::record::{Provenance, begin_run};

/// Runs in the foreground: listens to the autopilot, looks for places to land, and does what `mode` allows.
///
/// SIGINT or SIGTERM hands the vehicle back and ends it. SIGHUP reads the settings again: with the motors off, else it is
/// refused; settings that cannot fly leave the old ones in place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  alight run --config alight.toml
  alight run --config sitl.toml --engage-when-ready --out out/sitl
      with camera.source = \"world\": lands a simulated vehicle by itself

With --out: decisions.jsonl (a line a frame), events.jsonl and, while the vehicle is ours, a file `engaged`, by which a
restart in the air with the same --out knows it: that one holds and hands back, and starts nothing. Without --out the
record goes to record.folder, a folder a run, and `engaged` to $RUNTIME_DIRECTORY (as a service: /run/alight). A landing is started
and stopped by MAV_CMD_USER_1 (param1 = 1, 0), by the switch of supervisor.engage.switch_channel, or, over a world camera,
by --engage-when-ready. Exit code 3: a stage broke or hung, the vehicle was handed back, and the watchdog ended it.")]
pub(super) struct Args {
    /// Configuration (TOML); systemd/alight.toml holds every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Start a landing, once, as soon as one may be started and the vehicle hovers 5 m up or higher; only with
    /// camera.source = "world".
    #[arg(long)]
    engage_when_ready: bool,
    /// Folder to write decisions.jsonl and events.jsonl into; made if need be.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// End, as by SIGTERM, after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<f64>,
}

/// Runs it, and again with new settings when it is told to read them.
///
/// # Errors
/// See [`Failure`].
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let stop = interrupted()?;
    let reload = hung_up(&stop)?;
    let mut settings = load(args)?;
    // The settings that flew before, and what the ground is to hear.
    let (mut before, mut remark) = (None, None);
    let mut is_again = false;
    loop {
        let options = Options {
            reload: Some(Arc::clone(&reload)),
            remark: remark.take(),
            ..options(args, &settings)?
        };
        match fly(args, &settings, options, (&stop, is_again)) {
            Ok(report) if report.ended == Ended::Reload && report.left_behind.is_empty() => {
                is_again = true;
                match load(args) {
                    Ok(new) => {
                        remark = Some(Notice::new(format_args!("alight: settings reloaded")));
                        before = Some(std::mem::replace(&mut settings, new));
                    }
                    Err(e) => {
                        remark = Some(refused(&e));
                        before = Some(settings.clone());
                    }
                }
            }
            Ok(report) => return verdict(report),
            Err(e) => match before.take() {
                Some(old) if settings != old => {
                    remark = Some(refused(&e));
                    settings = old;
                }
                _ => return Err(e),
            },
        }
    }
}

/// New settings that cannot fly: those of before go on.
fn refused(why: &Failure) -> Notice {
    log::error!("{why}; the settings of before go on");
    Notice::new(format_args!(
        "alight: new settings refused, the old ones go on: see the log"
    ))
}

/// Reads the settings and checks what cannot fly.
fn load(args: &Args) -> Result<Settings, Failure> {
    longest(args)?;
    let mut settings = model::settings(Some(&args.config))?;
    check(args, &settings)?;
    let files = model::files(None, &settings)?;
    if !settings.sets_landable_threshold {
        settings.values.landing.hazard.landable_threshold =
            f64::from(files.manifest.output.landable_threshold);
    }
    Ok(settings)
}

fn options(args: &Args, settings: &Settings) -> Result<Options, Failure> {
    let values = &settings.values;
    Ok(Options {
        engages_when_ready: args.engage_when_ready,
        longest: longest(args)?,
        mark: mark(args),
        record_limit: values.record.quota_bytes(),
        real_time: values.system.realtime,
        hot_c: Some(values.system.hot_c),
        ..Options::default()
    })
}

/// Flies with these settings until it ends, or until they are to be read again.
fn fly(
    args: &Args,
    settings: &Settings,
    mut options: Options,
    (stop, is_again): (&AtomicBool, bool),
) -> Result<LiveReport, Failure> {
    options.keyring = settings.values.link.keyring().map_err(Failure::input)?;
    let mut parts = parts::of(settings)?;
    parts.companion.signing = options.keyring.as_ref().map(Keyring::signing);
    options.out = out(args, settings, is_again)?;
    if let Some(folder) = &options.out {
        // A full disk is no reason not to fly.
        if let Err(e) = provenance(settings)?.write(folder) {
            log::error!("{e}");
        }
    }
    log::info!("{}: mode {:?}", parts.link, settings.values.mode);
    let report = live::run(parts, options, stop).map_err(|e| match e {
        live::LiveError::RealTime(_) => Failure::input(e),
        other => Failure::working(other),
    })?;
    say(&report);
    Ok(report)
}

/// What flies, for the record.
fn provenance(settings: &Settings) -> Result<Provenance, Failure> {
    let values = &settings.values;
    let manifest = model::files(None, settings)?.manifest;
    let address = values.link.address.as_ref();
    Ok(Provenance {
        alight: String::from(env!("CARGO_PKG_VERSION")),
        input: address.map_or_else(String::new, ToString::to_string),
        model: manifest.name,
        model_sha256: manifest.sha256,
        config_sha256: sha256_hex(toml::to_string(values).unwrap_or_default().as_bytes()),
    })
}

/// Where this run's record goes. With --out, what is recorded before new settings are read is kept as it is.
fn out(args: &Args, settings: &Settings, is_again: bool) -> Result<Option<PathBuf>, Failure> {
    let record = &settings.values.record;
    match (&args.out, &record.folder) {
        (Some(out), _) if is_again => begin_run(out, u64::MAX).map(Some).map_err(Failure::working),
        (Some(out), _) => output::folder(out).map(Some),
        (None, Some(archive)) => {
            let file = args.config.display();
            match begin_run(archive, record.quota_bytes()) {
                Ok(run) => Ok(Some(run)),
                Err(e) if e.is_full() => {
                    log::error!("{file}: record.folder: {e}; this flight is not recorded");
                    Ok(None)
                }
                Err(e) => Err(Failure::Input(anyhow!(
                    "{file}: record.folder: {e}; or leave record.folder out to keep nothing"
                ))),
            }
        }
        (None, None) => Ok(None),
    }
}

/// The file that says, after a restart in the air, that the vehicle was ours: where the service manager keeps what lives
/// until the next boot, or beside the record.
fn mark(args: &Args) -> Option<PathBuf> {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").filter(|d| !d.is_empty());
    args.out
        .clone()
        .or_else(|| runtime.map(PathBuf::from))
        .map(|folder| folder.join("engaged"))
}

fn say(report: &LiveReport) {
    let c = &report.counts;
    let dropped = c.frames_dropped + c.maps_dropped + c.frames_unanswered + c.decisions_lost;
    log::info!(
        "{} at the end; {} frames, {dropped} of them dropped, {} decisions; from capture to decision {:.0} ms (p50), {:.0} ms \
         (p95), {:.0} ms (worst); to the commands {:.0} ms (p95)",
        report.phase().text(),
        c.frames,
        c.decisions,
        c.capture_to_decision.p50_ms,
        c.capture_to_decision.p95_ms,
        c.capture_to_decision.max_ms,
        c.capture_to_command.p95_ms,
    );
    if c.notes_lost > 0 {
        log::warn!("the disk was slow: {} notes are not recorded", c.notes_lost);
    }
}

/// What the end means to whoever started it.
fn verdict(report: LiveReport) -> Result<(), Failure> {
    match report.ended {
        Ended::Broken { stage, why } => Err(Failure::Watchdog(anyhow!(
            "stopped by the watchdog: the {stage} stage {why}; the vehicle was handed back as far as the link allowed"
        ))),
        Ended::Hung => Err(Failure::Watchdog(anyhow!(
            "stopped by the watchdog: the control thread hangs; nothing was handed back, the autopilot's own failsafe acts"
        ))),
        Ended::Reload => Err(Failure::Working(anyhow!(
            "the settings were not read again: these threads do not end: {}",
            report.left_behind.join(", ")
        ))),
        Ended::AsWished => report
            .unwritten
            .map_or(Ok(()), |e| Err(Failure::working(e))),
    }
}

fn longest(args: &Args) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = args.seconds else {
        return Ok(None);
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero())
        .map(Some)
        .ok_or_else(|| {
            Failure::Input(anyhow!(
                "--for {seconds}: must be above 0 seconds; leave it out to run until SIGTERM"
            ))
        })
}

/// What cannot fly, before any work is done.
fn check(args: &Args, settings: &Settings) -> Result<(), Failure> {
    let file = args.config.display();
    let refuse = |message: String| Err(Failure::Input(anyhow!(message)));
    let values = &settings.values;
    match values.camera.source {
        Some(CameraSource::World) => {}
        Some(_) if args.engage_when_ready => {
            return refuse(format!(
                "--engage-when-ready: {file} sets another camera than camera.source = \"world\": only a simulated vehicle lands \
                 by itself"
            ));
        }
        Some(_) if values.camera.calibration.is_none() && values.camera.hfov_deg.is_none() => {
            return refuse(format!(
                "{file}: camera.calibration is not set: without a lens no pixel has a place on the ground; set the calibration \
                 file, or camera.hfov_deg to advise only"
            ));
        }
        Some(_) => {}
        None => {
            return refuse(format!(
                "{file}: camera.source is not set: \"v4l\" for a camera of the board, \"pipe\" for a command's pictures, \
                 \"world\" to fly in simulation"
            ));
        }
    }
    if values.link.address.is_none() {
        return refuse(format!(
            "{file}: link is not set: write where the autopilot is, link = \"tcp:127.0.0.1:5762\" or \
             \"udpin:127.0.0.1:14540\""
        ));
    }
    if args.engage_when_ready && values.mode != Authority::Command {
        return refuse(format!(
            "--engage-when-ready: {file} sets mode = \"{}\", which starts no landing: set mode = \"command\"",
            format!("{:?}", values.mode).to_lowercase()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;

    fn after(ended: Ended) -> LiveReport {
        LiveReport {
            ended,
            status: None,
            counts: live::CountsReport::default(),
            unwritten: None,
            left_behind: Vec::new(),
        }
    }

    #[test]
    fn whoever_is_stopped_by_the_watchdog_ends_with_3_and_names_the_stage() {
        verdict(after(Ended::AsWished)).unwrap();
        let broken = Ended::Broken {
            stage: "inference",
            why: "hangs for 15 s".to_owned(),
        };
        for (ended, part) in [(broken, "inference stage hangs"), (Ended::Hung, "control")] {
            let failure = verdict(after(ended)).unwrap_err();
            assert!(failure.to_string().contains(part), "{failure}");
            assert_eq!(
                format!("{:?}", failure.exit_code()),
                format!("{:?}", ExitCode::from(3))
            );
        }
    }

    #[test]
    fn a_record_that_could_not_be_written_ends_with_1() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let report = LiveReport {
            unwritten: Some(crate::record::RecordError::Write {
                path: "out/events.jsonl".into(),
                source,
            }),
            ..after(Ended::AsWished)
        };
        let failure = verdict(report).unwrap_err();
        assert!(failure.to_string().contains("out/events.jsonl"));
        assert!(matches!(failure, Failure::Working(_)));
    }
}
