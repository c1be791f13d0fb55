//! Many runs from one file: every combination of networks, seeds, splits or whatever else `train` takes is a job in a folder of
//! its own, that trains, exports and scores. Jobs know nothing of each other, so that any number of machines can share
//! them: [`shard`] says which are whose, [`job`] runs one, [`driver`] all of a shard.
//!
//! The file (TOML):
//!
//! ```toml
//! out = "runs/table"                # each job gets a folder in it
//! [train]                           # arguments of `train`, the same for all jobs; `true` is a bare flag
//! cache = "cache/train"
//! epochs = 30
//! [eval]                            # arguments of `eval`; without this table jobs train only
//! data = "../shared/data/semantic_drone"
//! [axes]                            # what differs: every combination of one value of each axis is a job
//! seed = [1, 2, 3]                  # a list: values of that argument of `train`
//! [axes.split.scene]                # a table: named sets of arguments
//! fold = "models/fold.json"
//! [axes.split.random]
//! fold = "models/random.json"
//! eval = { list = "train.txt", fold = "models/random.json" }    # and, within a set, of `export` and `eval`
//! ```
//!
//! Paths are relative to where the program is started. In arguments, `{job}` is the job's folder.

pub mod driver;
pub mod job;
pub mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cli::Cli;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    out: PathBuf,
    #[serde(default)]
    train: Table,
    #[serde(default)]
    export: Table,
    eval: Option<Table>,
    #[serde(default)]
    axes: Table,
}

/// A call of this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The command.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// One run: what is called, in order, for one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Name: the value on each axis, the axes in alphabetical order.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The calls.
    pub steps: Vec<Step>,
}

/// Arguments of the three commands, by command.
#[derive(Debug, Clone, Default)]
struct Arguments {
    train: Table,
    export: Table,
    eval: Table,
}

/// One value on an axis.
struct Choice {
    name: String,
    arguments: Arguments,
}

/// Reads a matrix and expands it to its jobs, sorted by name; every call has been parsed as a command line.
///
/// # Errors
/// When the file is no matrix, two jobs would share a folder, or a call would be refused; the message names job and argument.
pub fn read(path: &Path) -> Result<Vec<Job>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the matrix {}", path.display()))?;
    expand(&text).with_context(|| format!("in {}", path.display()))
}

fn expand(text: &str) -> Result<Vec<Job>> {
    let matrix: Matrix = toml::from_str(text)?;
    let mut drafts = vec![(
        Vec::new(),
        Arguments {
            train: matrix.train.clone(),
            export: matrix.export.clone(),
            eval: matrix.eval.clone().unwrap_or_default(),
        },
    )];
    for (axis, values) in &matrix.axes {
        let choices = choices(axis, values)?;
        drafts = drafts
            .iter()
            .flat_map(|draft| choices.iter().map(move |choice| join(draft, choice)))
            .collect();
    }
    let mut jobs = drafts
        .into_iter()
        .map(|(names, arguments)| {
            let name = if names.is_empty() {
                "run".to_owned()
            } else {
                names.join("-")
            };
            let job = assemble(&matrix, &name, arguments);
            job.and_then(|j| check(&j).map(|()| j))
                .with_context(|| format!("job `{name}`"))
        })
        .collect::<Result<Vec<Job>>>()?;
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    let names: BTreeSet<&str> = jobs.iter().map(|j| j.name.as_str()).collect();
    ensure!(
        names.len() == jobs.len(),
        "two jobs would have one name: give the values of the axes names of their own ([axes.AXIS.NAME])"
    );
    Ok(jobs)
}

/// A job's names and arguments with one more choice; what the choice says counts.
fn join((names, before): &(Vec<String>, Arguments), choice: &Choice) -> (Vec<String>, Arguments) {
    let mut names = names.clone();
    names.push(choice.name.clone());
    let mut all = before.clone();
    all.train.extend(choice.arguments.train.clone());
    all.export.extend(choice.arguments.export.clone());
    all.eval.extend(choice.arguments.eval.clone());
    (names, all)
}

fn choices(axis: &str, values: &Value) -> Result<Vec<Choice>> {
    let choices: Vec<Choice> = match values {
        Value::Array(values) => values
            .iter()
            .map(|v| {
                let arguments = Arguments {
                    train: Table::from_iter([(axis.to_owned(), v.clone())]),
                    ..Arguments::default()
                };
                Ok(Choice {
                    name: short_name(axis, v)?,
                    arguments,
                })
            })
            .collect::<Result<_>>()?,
        Value::Table(sets) => sets
            .iter()
            .map(|(name, set)| {
                Ok(Choice {
                    name: name.clone(),
                    arguments: of_set(axis, name, set)?,
                })
            })
            .collect::<Result<_>>()?,
        _ => bail!("axes.{axis}: write a list of values, or a table of named sets of arguments"),
    };
    ensure!(
        !choices.is_empty(),
        "axes.{axis} has no value, so that there would be no job"
    );
    for choice in &choices {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            choice.name.chars().all(is_plain)
                && choice.name.starts_with(|c: char| c.is_ascii_alphanumeric()),
            "axes.{axis}: `{}` cannot name a folder: give it a name of letters, digits, `.`, `_` and `-`",
            choice.name
        );
    }
    Ok(choices)
}

/// The name of a value in a list: words and files name themselves, numbers need the axis.
fn short_name(axis: &str, value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(s) => {
            let stem = Path::new(s).file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => format!("{axis}{value}"),
        _ => bail!("axes.{axis}: `{value}` is no value of an argument"),
    })
}

fn of_set(axis: &str, name: &str, set: &Value) -> Result<Arguments> {
    let mut train = set
        .as_table()
        .with_context(|| format!("axes.{axis}.{name} must be a table of arguments"))?
        .clone();
    let mut part = |command: &str| -> Result<Table> {
        match train.remove(command) {
            None => Ok(Table::new()),
            Some(Value::Table(t)) => Ok(t),
            Some(_) => bail!("axes.{axis}.{name}.{command} must be a table of arguments"),
        }
    };
    let (export, eval) = (part("export")?, part("eval")?);
    Ok(Arguments {
        train,
        export,
        eval,
    })
}

/// Puts the calls of a job together. What ties them to each other and to the folder is set here and nowhere else.
fn assemble(matrix: &Matrix, name: &str, mut arguments: Arguments) -> Result<Job> {
    let folder = matrix.out.join(name);
    let inside = |file: &str| Value::String(folder.join(file).display().to_string());
    let tie = |command: &str, table: &mut Table, tied: Vec<(&str, Value)>| -> Result<()> {
        for (key, value) in tied {
            ensure!(
                table.insert(key.to_owned(), value).is_none(),
                "{command}.{key} is set by the matrix itself: leave it out"
            );
        }
        Ok(())
    };
    let is_scored = matrix.eval.is_some() || !arguments.eval.is_empty();
    for key in ["cache", "fold", "height", "width"] {
        if let Some(value) = arguments.train.get(key)
            && !arguments.export.contains_key(key)
        {
            arguments.export.insert(key.to_owned(), value.clone());
        }
    }
    let run = Value::String(folder.display().to_string());
    tie("train", &mut arguments.train, vec![("run", run)])?;
    let files = vec![
        ("parameters", inside("best.safetensors")),
        ("out", inside("model")),
    ];
    tie("export", &mut arguments.export, files)?;
    let files = vec![
        ("model", inside("model/landing.toml")),
        ("json", inside("scores.json")),
    ];
    tie("eval", &mut arguments.eval, files)?;
    let mut calls = vec![("train", &arguments.train)];
    if is_scored || !matrix.export.is_empty() {
        calls.push(("export", &arguments.export));
    }
    if is_scored {
        calls.push(("eval", &arguments.eval));
    }
    let steps = calls
        .into_iter()
        .map(|(command, table)| step(command, table, &folder));
    Ok(Job {
        name: name.to_owned(),
        steps: steps.collect::<Result<_>>()?,
        folder,
    })
}

fn step(command: &str, table: &Table, folder: &Path) -> Result<Step> {
    let mut arguments = vec![command.to_owned()];
    let flags: BTreeMap<String, &Value> = table
        .iter()
        .map(|(k, v)| (k.replace('_', "-"), v))
        .collect();
    ensure!(
        flags.len() == table.len(),
        "[{command}] names an argument twice, with `-` and with `_`"
    );
    for (flag, value) in flags {
        let text = match value {
            Value::Boolean(false) => continue,
            Value::Boolean(true) => None,
            Value::String(s) => Some(s.replace("{job}", &folder.display().to_string())),
            Value::Integer(_) | Value::Float(_) => Some(value.to_string()),
            _ => bail!("[{command}] {flag}: `{value}` is no value of an argument"),
        };
        // `--flag=value`, so that a negative number is not taken for a flag.
        arguments.push(text.map_or_else(|| format!("--{flag}"), |t| format!("--{flag}={t}")));
    }
    Ok(Step {
        name: command.to_owned(),
        arguments,
    })
}

/// Parses each call as the command line that it will be, so that a wrong word is found before hours of work.
fn check(job: &Job) -> Result<()> {
    for step in &job.steps {
        let words =
            std::iter::once("alight-trainer").chain(step.arguments.iter().map(String::as_str));
        if let Err(e) = Cli::try_parse_from(words) {
            let text = e.to_string();
            bail!(
                "`{}`: {}",
                step.name,
                text.trim_start_matches("error: ").trim()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
