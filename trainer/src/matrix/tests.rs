use super::*;

const COMMON: &str = r#"
out = "runs/t"
[train]
cache = "c"
epochs = 2
height = 128
full_precision = true
colour = 0.5
[export]
"#;

fn jobs(more: &str) -> Result<Vec<Job>, String> {
    expand(&format!("{COMMON}{more}")).map_err(|e| format!("{e:#}"))
}

const AXES: &str = r#"
[eval]
data = "d"
list = "val.txt"
[axes]
seed = [1, 2]
[axes.split.scene]
fold = "f.json"
[axes.split.random]
fold = "r.json"
eval = { list = "train.txt", fold = "r.json" }
[axes.start.lite0]
pretrained = "{job}/../e0.safetensors"
"#;

#[test]
fn every_combination_is_a_job() {
    let jobs = jobs(AXES).unwrap();
    let names: Vec<&str> = jobs.iter().map(|j| j.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "seed1-random-lite0",
            "seed1-scene-lite0",
            "seed2-random-lite0",
            "seed2-scene-lite0"
        ]
    );
    let train = &jobs[0].steps[0].arguments;
    let expected = [
        "train",
        "--cache=c",
        "--colour=0.5",
        "--epochs=2",
        "--fold=r.json",
        "--full-precision",
        "--height=128",
        "--pretrained=runs/t/seed1-random-lite0/../e0.safetensors",
        "--run=runs/t/seed1-random-lite0",
        "--seed=1",
    ];
    assert_eq!(train, &expected);
    let export = &jobs[0].steps[1].arguments;
    assert!(
        export.contains(&"--fold=r.json".to_owned()) && export.contains(&"--height=128".to_owned())
    );
    let lists = |i: usize| jobs[i].steps[2].arguments.join(" ");
    assert!(lists(0).contains("--list=train.txt") && lists(0).contains("--fold=r.json"));
    assert!(lists(1).contains("--list=val.txt") && !lists(1).contains("--fold"));
}

#[test]
fn without_a_table_eval_jobs_are_not_scored() {
    let one = "[axes.start.a]\nfold = 'f'\npretrained = 'p'";
    let text = COMMON.replace("[export]", "") + one;
    let jobs = expand(&text).unwrap();
    let steps: Vec<&str> = jobs[0].steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(steps, ["train"]);
}

#[test]
fn what_would_fail_later_is_refused_at_once() {
    for (more, why) in [
        ("[axes]\nseed = 3", "axes.seed: write a list"),
        ("[axes]\nseed = []", "axes.seed has no value"),
        (
            "[axes.seed.\"a/b\"]\nseed = 1",
            "`a/b` cannot name a folder",
        ),
        (
            "[axes.start.a]\npretrained = 'p'\nfold = 'f'\nsede = 1",
            "--sede",
        ),
        (
            "[axes.start.a]\npretrained = 'p'\nfold = 'f'\nepochs = -3",
            "'-3'",
        ),
        (
            "[axes.start.a]\npretrained = 'p'\nfold = 'f'\nrun = 'mine'",
            "train.run is set by the matrix",
        ),
        (
            "[axes.start.a]\npretrained = 'p'\nfold = 'f'\nbatch = [1]",
            "batch: `[1]` is no value",
        ),
        (
            "[axes]\nfold = ['a/f.json', 'b/f.json']\n[axes.start.a]\npretrained = 'p'",
            "one name",
        ),
        ("[axes.start.a]\npretrained = 'p'", "job `a`: `train`:"),
        ("[axis]", "unknown field `axis`"),
    ] {
        let said = jobs(more).unwrap_err();
        assert!(said.contains(why), "{more}: {said}");
    }
}

#[test]
fn the_example_beside_the_job_files_is_a_matrix() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/example.toml");
    assert_eq!(read(&path).unwrap().len(), 4);
}
