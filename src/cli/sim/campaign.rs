//! Many flights over all cores. The result does not depend on how many there are.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender};

use super::super::progress::Progress;
use super::super::{Failure, output};
use super::Plan;
use crate::pipeline::flight::{Watcher, fly};
use crate::record::{CampaignSummary, FlightLine, FlightWriter};
use crate::time::{Clock as _, MonoTime, SystemClock};
use crate::view::report::flights;

/// Stops a flight when somebody asks for the end.
struct Stop<'a>(&'a AtomicBool);

impl Watcher for Stop<'_> {
    fn is_over(&mut self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a thread hands over: a flight's number and line, and the computing time that it took.
type Flown = Result<(u64, FlightLine, Duration), Failure>;

/// Flies all flights of the plan and writes what came of them.
pub(super) fn fly_all(plan: &Plan, out: &Path, json: bool) -> Result<(), Failure> {
    let clock = SystemClock::start();
    let stop = interrupted()?;
    let mut writer = FlightWriter::create(&out.join("flights.jsonl")).map_err(Failure::working)?;
    let next = AtomicU64::new(0);
    let threads = plan.threads.min(plan.flights as usize).max(1);
    let (sender, receiver) = crossbeam_channel::bounded(threads);
    let flown = std::thread::scope(|scope| {
        for i in 0..threads {
            let sender: Sender<Flown> = sender.clone();
            let (next, stop) = (&next, &*stop);
            std::thread::Builder::new()
                .name(format!("flight-{i}"))
                .spawn_scoped(scope, move || work(plan, next, stop, &sender))
                .map_err(Failure::working)?;
        }
        drop(sender);
        let collected = collect(&receiver, plan.flights, &mut writer);
        if collected.is_err() {
            stop.store(true, Ordering::Relaxed);
            // The threads end with their flight; nobody waits for their lines.
            receiver.iter().for_each(drop);
        }
        collected
    })?;
    let elapsed = clock.now().since(MonoTime::ZERO);
    let is_stopped = stop.load(Ordering::Relaxed);
    let summary = CampaignSummary {
        stopped: is_stopped,
        real_time_factor_per_core: factor(&flown),
        elapsed_s: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
        threads: threads as u64,
        ..CampaignSummary::of(plan.provenance.clone(), &flown.lines)
    };
    finish(&summary, &flown.lines, out, json)
}

/// Control-C asks for the end; a second one does not ask.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_shutdown(
        signal_hook::consts::SIGINT,
        1,
        Arc::clone(&stop),
    )
    .and_then(|_| signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop)))
    .map_err(Failure::working)?;
    Ok(stop)
}

/// One thread: flies the next flight until there is none.
fn work(plan: &Plan, next: &AtomicU64, stop: &AtomicBool, sender: &Sender<Flown>) {
    let mut network = match plan.network() {
        Ok(network) => network,
        Err(e) => {
            // Nobody listens any more only if another thread failed first.
            let _ = sender.send(Err(e));
            return;
        }
    };
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.flights {
            return;
        }
        let began = cpu_time();
        let spec = plan.flight(plan.first_seed.wrapping_add(number));
        let eyes = plan.eyes(&spec, network.as_mut());
        let flown = match fly(&spec, eyes, &mut Stop(stop)) {
            Ok(Some(record)) => Ok((number, record.line, cpu_time().saturating_sub(began))),
            Ok(None) => return,
            Err(e) => Err(Failure::input(e)),
        };
        if sender.send(flown).is_err() {
            return;
        }
    }
}

/// Computing time of this thread.
fn cpu_time() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    now.map_or(Duration::ZERO, Duration::from)
}

/// What was flown, in the order of the seeds.
#[derive(Default)]
struct All {
    lines: Vec<FlightLine>,
    computing: Duration,
}

/// Writes each flight as soon as those before it are written.
fn collect(
    receiver: &Receiver<Flown>,
    flights: u64,
    writer: &mut FlightWriter,
) -> Result<All, Failure> {
    let mut progress = Progress::new("flights", Some(flights));
    let (mut all, mut waiting) = (All::default(), BTreeMap::new());
    let mut due = 0;
    for flown in receiver {
        let (number, line, took) = flown?;
        all.computing += took;
        waiting.insert(number, line);
        while let Some(line) = waiting.remove(&due) {
            writer.write(&line).map_err(Failure::working)?;
            all.lines.push(line);
            due += 1;
        }
        progress.step();
    }
    // After an early end there are gaps.
    for line in waiting.into_values() {
        writer.write(&line).map_err(Failure::working)?;
        all.lines.push(line);
    }
    progress.finish();
    Ok(all)
}

fn factor(flown: &All) -> f64 {
    let flight_s: f64 = flown.lines.iter().map(|l| l.time_s).sum();
    (flight_s / flown.computing.as_secs_f64().max(1e-9) * 10.0).round() / 10.0
}

/// Writes summary and report, and says how it went.
fn finish(
    summary: &CampaignSummary,
    lines: &[FlightLine],
    out: &Path,
    json: bool,
) -> Result<(), Failure> {
    summary
        .write(&out.join("summary.json"))
        .map_err(Failure::working)?;
    let file = out.join("report.html");
    let date = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string();
    let made = std::fs::File::create(&file)
        .and_then(|f| flights::campaign(summary, lines, &date, BufWriter::new(f)));
    output::written(made, &file)?;
    if json {
        let text = serde_json::to_string(summary).map_err(Failure::working)?;
        output::print_line(&text)?;
    }
    let s = &summary.success;
    log::info!(
        "{} flights: {} of {} landed as they should ({:.1} %, 95 % interval {:.1} to {:.1}), {:.0} times real time a core -> {}",
        summary.flights,
        s.count,
        s.of,
        100.0 * s.share,
        100.0 * s.low,
        100.0 * s.high,
        summary.real_time_factor_per_core,
        file.display()
    );
    if lines.is_empty() {
        return Err(Failure::Working(anyhow!(
            "stopped before the first flight was over"
        )));
    }
    Ok(())
}
