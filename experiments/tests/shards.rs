//! A sweep in shards, and what joins them.

use crate::desk::{Desk, SMALL};

/// The small experiment in `of` shards, called `prefix-0`, `prefix-1`, ...
fn shards(desk: &Desk, prefix: &str, of: u32, more: &[&str]) -> Vec<String> {
    let names: Vec<String> = (0..of).map(|i| format!("{prefix}-{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        desk.succeeds(&[&["run", "small.yaml", "--quiet", "--shard", &format!("{i}/{of}"), "--out", name], more].concat());
    }
    names
}

fn merge(desk: &Desk, names: &[&str]) -> crate::desk::Said {
    desk.svcsim(&[&["merge"], names, &["--out", "merged"]].concat())
}

#[test]
fn any_number_of_shards_makes_the_bytes_of_one_machine() {
    let desk = Desk::with(SMALL);
    desk.succeeds(&["run", "small.yaml", "--out", "whole", "--threads", "1"]);
    // More shards than units: some are empty.
    for of in [1, 3, 50] {
        let names = shards(&desk, "s", of, &[]);
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.reverse();
        let said = merge(&desk, &names);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert_eq!(desk.results("merged"), desk.results("whole"), "of {of}");
        desk.succeeds(&["verify", "merged"]);
        ["merged"].iter().chain(&names).for_each(|dir| std::fs::remove_dir_all(desk.path(dir)).expect("a folder"));
    }
}

#[test]
fn a_warm_up_that_runs_find_out_is_the_same_in_every_shard() {
    let desk = Desk::with(SMALL);
    let mser = ["--set", "run.warmUp=mser5"];
    desk.succeeds(&[&["run", "small.yaml", "--out", "whole"], &mser[..]].concat());
    let names = shards(&desk, "s", 2, &mser);
    assert_eq!(merge(&desk, &[&names[0], &names[1]]).code, Some(0));
    assert_eq!(desk.results("merged"), desk.results("whole"));
}

#[test]
fn a_shard_that_is_there_is_kept_and_another_is_not_overwritten() {
    let desk = Desk::with(SMALL);
    let names = shards(&desk, "s", 2, &[]);
    let before = desk.files();
    desk.succeeds(&["run", "small.yaml", "--quiet", "--shard", "0/2", "--out", &names[0]]);
    assert_eq!(desk.files(), before, "not even its cost");
    let other = desk.svcsim(&["run", "small.yaml", "--shard", "0/2", "--seed", "99", "--out", &names[0]]);
    assert_eq!((other.code, desk.files()), (Some(2), before), "{}", other.err);
}

/// A scheduler that takes a task for lost starts it again while it still runs.
#[test]
fn twins_that_race_leave_one_complete_shard() {
    let desk = Desk::with(SMALL);
    let many = ["--set", "design.replications=20"];
    desk.succeeds(&[&["run", "small.yaml", "--out", "whole"], &many[..]].concat());
    for _ in 0..3 {
        let shard = [&["run", "small.yaml", "--quiet", "--resume", "--shard", "0/1", "--out", "s"], &many[..]].concat();
        let codes: Vec<Option<i32>> = std::thread::scope(|scope| {
            let twins: Vec<_> = (0..4).map(|_| scope.spawn(|| desk.svcsim(&shard).code)).collect();
            twins.into_iter().map(|twin| twin.join().expect("a twin")).collect()
        });
        assert!(codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 3))), "{codes:?}");
        assert_eq!(merge(&desk, &["s"]).code, Some(0), "complete, whoever was last");
        assert_eq!(desk.results("merged"), desk.results("whole"));
        ["merged", "s"].iter().for_each(|dir| std::fs::remove_dir_all(desk.path(dir)).expect("a folder"));
    }
}

#[test]
fn what_is_no_complete_sweep_is_refused_and_named() {
    let desk = Desk::with(SMALL);
    let of_three = shards(&desk, "s", 3, &[]);
    shards(&desk, "t", 2, &[]);
    shards(&desk, "u", 3, &["--seed", "99"]);
    desk.succeeds(&["run", "small.yaml", "--out", "whole"]);
    let unit = desk.files().into_keys().find(|name| name.starts_with("s-2/units/") && name.ends_with(".unit")).expect("a unit");
    let refused = |names: &[&str], expected: &str| {
        let said = merge(&desk, names);
        assert_eq!(said.code, Some(2), "{names:?}: {}", said.out);
        assert!(said.err.contains(expected), "{names:?}: {}", said.err);
        assert!(!desk.path("merged").exists());
    };
    refused(&["s-0", "s-2"], "1 of 3 shards are missing: 1");
    refused(&["s-0", "s-1", "s-2", "s-1"], "s-1: shard 1/3, and so is s-1");
    refused(&["s-0", "s-1", "t-1"], "t-1: one of 2 shards, where s-0 is one of 3");
    refused(&["s-0", "s-1", "u-2"], "u-2: another experiment, seed, input or version than s-0");
    refused(&["whole"], "whole: whole results, not a shard");
    refused(&["nothing"], "nothing: no complete shard");
    std::fs::remove_file(desk.path(&unit)).expect("a file");
    let names: Vec<&str> = of_three.iter().map(String::as_str).collect();
    refused(&names, "s-2: altered since it was written: units/");
}

/// A shard alone cannot tell whether results are as expected; what joins them can.
#[test]
fn a_claim_that_fails_is_told_when_shards_are_merged() {
    let desk = Desk::with(format!("{SMALL}\nexpect:\n  - {{claim: Nobody waits, metric: time_wait, equals: 0ms}}\n"));
    shards(&desk, "s", 2, &[]);
    let said = merge(&desk, &["s-0", "s-1"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.starts_with("error: 1 of 1 expectations failed\n") && desk.path("merged/report.html").exists(), "{}", said.err);
}

#[test]
fn how_many_runs_there_are_must_be_known_before() {
    let desk = Desk::with(SMALL);
    let precise =
        ["--set", "design.replications=10", "--set", "design.precision={metrics: [latency_mean], relativeHalfWidth: 5%, most: 40}"];
    let said = desk.svcsim(&[&["run", "small.yaml", "--shard", "0/2", "--out", "s"], &precise[..]].concat());
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    assert!(said.err.contains("of which a shard has a part") && !desk.path("s").exists(), "{}", said.err);
}

#[test]
fn submit_writes_what_a_batch_system_needs() {
    for (system, file, expected) in
        [("slurm", "sweep.sbatch", "--shard \"$SLURM_ARRAY_TASK_ID/7\""), ("kubernetes", "indexed-job.yaml", "completions: 7")]
    {
        let desk = Desk::with(SMALL);
        let said = desk.succeeds(&["submit", "small.yaml", "--on", system, "--shards", "7", "--out", "batch"]);
        assert!(said.contains("in 7 shards") && desk.text(&format!("batch/{file}")).contains(expected), "{said}");
        assert!(
            desk.files()
                .keys()
                .filter(|name| name.starts_with("batch/") && !name.ends_with('/'))
                .all(|name| !desk.text(name).contains('@'))
        );
        desk.succeeds(&["check", "batch/experiment.yaml"]);
        assert_eq!(desk.svcsim(&["submit", "small.yaml", "--on", system, "--shards", "7", "--out", "batch"]).code, Some(2), "not twice");
    }
}
