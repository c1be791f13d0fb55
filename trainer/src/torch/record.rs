//! What `run.json` says of a run with libtorch.

use std::path::Path;

use anyhow::Result;
use tch::Device;

use super::setup::Run;
use crate::cli::TrainArgs;
use crate::graph::Graph;
use crate::run_record::{Input, Recorder, RunFacts, libtorch, processor};

/// Begins the record of a run that is set up.
pub(super) fn begin(args: &TrainArgs, run: &Run) -> Result<Recorder> {
    let graph = &run.network.graph;
    let facts = RunFacts {
        trainer: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: libtorch(),
        network: graph.name.clone(),
        parameters: trained(graph)?,
        gmac: graph.macs()? as f64 / 1e9,
        arguments: serde_json::to_value(args)?,
        seed: args.seed,
        device: match run.device {
            Device::Cpu => processor(),
            other => format!("{other:?}"),
        },
        data: inputs(args, run)?,
    };
    Recorder::begin(&args.run, facts, run.progress.epoch)
}

/// How many values training changes.
fn trained(graph: &Graph) -> Result<usize> {
    let all = graph.parameters()?;
    let trained = all.iter().filter(|p| p.kind.is_trained());
    Ok(trained.map(|p| p.shape.iter().product::<usize>()).sum())
}

fn inputs(args: &TrainArgs, run: &Run) -> Result<Vec<Input>> {
    let cache = |argument: &str, path: &Path, sha256: String| Input {
        argument: argument.to_owned(),
        path: path.to_owned(),
        sha256,
    };
    let mut all = vec![
        cache("cache", &args.cache, run.set.real.sha256()),
        Input::file("fold", &args.fold)?,
    ];
    if let (Some(path), Some(drawn)) = (&args.drawn, &run.set.drawn) {
        all.push(cache("drawn", path, drawn.sha256()));
    }
    for (argument, path) in [
        ("pretrained", &args.pretrained),
        ("start-from", &args.start_from),
        ("teacher", &args.teacher),
    ] {
        if let Some(path) = path {
            all.push(Input::file(argument, path)?);
        }
    }
    Ok(all)
}
