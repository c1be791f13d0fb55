//! Which part of the jobs is this process's: said by a flag, by a Slurm array, or by an indexed Kubernetes job.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};

/// One of several equal parts of a list of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    index: usize,
    /// How many there are.
    count: usize,
}

impl Shard {
    /// Everything in one part.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    fn new(index: usize, count: usize) -> Result<Self> {
        ensure!(
            index < count,
            "there is no shard {} of {count}: the last is {count}/{count}",
            index + 1
        );
        Ok(Self { index, count })
    }

    /// Whether the job at this place of the list, from 0, belongs to the part. Jobs are dealt out in turn, so that a slow
    /// network's seeds do not all meet in one part.
    #[must_use]
    pub const fn holds(self, job: usize) -> bool {
        job % self.count == self.index
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    /// Reads `i/n`, `i` from 1.
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (i, n): (usize, usize) =
            numbers.with_context(|| format!("`{text}` is no shard: write i/n, as in 2/4"))?;
        let index = i
            .checked_sub(1)
            .with_context(|| format!("`{text}`: shards count from 1, the first is 1/{n}"))?;
        Self::new(index, n)
    }
}

/// The part that flags and environment name: `shard` if it is given; else the index of a Slurm array task or of an indexed
/// Kubernetes job; else everything. `count` (`--shards`) says how many parts there are; then the index counts from 0 as it stands,
/// and one task of a Slurm array can be started again alone. `variable` looks up an environment variable.
///
/// # Errors
/// When a variable is no number, when the index is known but not the count, or the other way round.
pub fn chosen(
    shard: Option<Shard>,
    count: Option<usize>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Shard> {
    let number = |name: &str| -> Result<Option<usize>> {
        variable(name)
            .map(|v| {
                v.trim()
                    .parse()
                    .with_context(|| format!("{name}=`{v}` is no number from 0"))
            })
            .transpose()
    };
    if let Some(shard) = shard {
        return Ok(shard);
    }
    let slurm = number("SLURM_ARRAY_TASK_ID")?;
    let kubernetes = number("JOB_COMPLETION_INDEX")?;
    match (slurm.or(kubernetes), count) {
        (Some(index), Some(count)) => Shard::new(index, count),
        (None, Some(_)) => bail!(
            "--shards without an index: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; give --shard i/n instead"
        ),
        (None, None) => Ok(Shard::WHOLE),
        (Some(_), None) if slurm.is_none() => bail!(
            "JOB_COMPLETION_INDEX is set, but not how many there are: give --shards, the job's `completions`"
        ),
        (Some(task), None) => {
            let told = |name: &str| {
                number(name)?.with_context(|| {
                    format!("SLURM_ARRAY_TASK_ID is set, but {name} is not: give --shard i/n")
                })
            };
            array(
                task,
                told("SLURM_ARRAY_TASK_COUNT")?,
                (told("SLURM_ARRAY_TASK_MIN")?, told("SLURM_ARRAY_TASK_MAX")?),
            )
        }
    }
}

/// The part of a task of an evenly spaced array.
fn array(task: usize, count: usize, (least, most): (usize, usize)) -> Result<Shard> {
    let step = (most.saturating_sub(least))
        .checked_div(count.saturating_sub(1))
        .unwrap_or(1);
    let is_even = step > 0 && least + step * count.saturating_sub(1) == most;
    ensure!(
        is_even && task >= least && (task - least).is_multiple_of(step),
        "the {count} tasks of this Slurm array from {least} to {most} are not evenly spaced: give --shards, the number of tasks of the whole array from 0"
    );
    Shard::new((task - least) / step, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], count: Option<usize>) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        let shard = chosen(None, count, variable);
        shard.map(|s| s.to_string()).map_err(|e| format!("{e:#}"))
    }

    fn slurm(id: &str, count: &str, least: &str, most: &str) -> Result<String, String> {
        let names = ["ID", "COUNT", "MIN", "MAX"].map(|n| format!("SLURM_ARRAY_TASK_{n}"));
        let values = [id, count, least, most];
        let pairs: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        with(&pairs, None)
    }

    #[test]
    fn every_job_belongs_to_exactly_one_shard() {
        for count in 1..6 {
            let shards: Vec<Shard> = (0..count).map(|i| Shard::new(i, count).unwrap()).collect();
            for job in 0..20 {
                assert_eq!(shards.iter().filter(|s| s.holds(job)).count(), 1);
            }
        }
    }

    #[test]
    fn flags_are_read_or_refused() {
        assert_eq!(
            "2/4".parse::<Shard>().unwrap(),
            Shard { index: 1, count: 4 }
        );
        for (text, why) in [
            ("0/4", "count from 1"),
            ("5/4", "no shard 5 of 4"),
            ("2", "i/n"),
            ("a/2", "i/n"),
            ("1/0", "no shard 1 of 0"),
        ] {
            let said = text.parse::<Shard>().unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn slurm_arrays_may_begin_anywhere_and_step() {
        assert_eq!(slurm("0", "4", "0", "3").unwrap(), "1/4");
        assert_eq!(slurm("4", "4", "1", "4").unwrap(), "4/4");
        assert_eq!(slurm("10", "3", "0", "10").unwrap(), "3/3");
        assert_eq!(slurm("7", "1", "7", "7").unwrap(), "1/1");
        assert!(slurm("3", "3", "1", "7").unwrap_err().contains("--shards"));
        assert!(
            slurm("x", "3", "1", "3")
                .unwrap_err()
                .contains("SLURM_ARRAY_TASK_ID=`x`")
        );
        let missing = with(&[("SLURM_ARRAY_TASK_ID", "1")], None).unwrap_err();
        assert!(
            missing.contains("SLURM_ARRAY_TASK_COUNT is not"),
            "{missing}"
        );
    }

    #[test]
    fn one_task_of_an_array_can_be_started_again_alone() {
        let variables = [
            ("SLURM_ARRAY_TASK_ID", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "1"),
            ("SLURM_ARRAY_TASK_MIN", "2"),
            ("SLURM_ARRAY_TASK_MAX", "2"),
        ];
        assert_eq!(with(&variables, Some(4)).unwrap(), "3/4");
    }

    #[test]
    fn kubernetes_needs_the_count() {
        let index = [("JOB_COMPLETION_INDEX", "2")];
        assert_eq!(with(&index, Some(3)).unwrap(), "3/3");
        assert!(with(&index, None).unwrap_err().contains("`completions`"));
        assert!(
            with(&index, Some(2))
                .unwrap_err()
                .contains("no shard 3 of 2")
        );
        assert!(with(&[], Some(2)).unwrap_err().contains("--shard i/n"));
        assert_eq!(with(&[], None).unwrap(), "1/1");
    }
}
