//! One experiment and one seed give the same bytes, however they are run; `verify` finds out when they do not.

use crate::desk::{Desk, SMALL, shipped};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;

fn run(desk: &Desk, out: &str, more: &[&str]) {
    desk.succeeds(&[&["run", "small.yaml", "--quiet", "--out", out], more].concat());
}

#[test]
fn the_number_of_threads_leaves_no_trace() {
    let desk = Desk::with(SMALL.replace("replications: 2", "replications: 3"));
    run(&desk, "one", &["--threads", "1"]);
    for threads in ["2", "7"] {
        run(&desk, threads, &["--threads", threads]);
        assert_eq!(desk.results("one").keys().collect::<Vec<_>>(), desk.results(threads).keys().collect::<Vec<_>>());
        for (name, bytes) in desk.results("one") {
            assert!(desk.results(threads)[&name] == bytes, "{name} differs with {threads} threads");
        }
    }
}

/// A sample of the requests agrees with the tables, is the same for any number of threads, and `verify` makes it again.
#[test]
fn sampled_requests_are_those_of_the_run() {
    let desk = Desk::with(SMALL.replace("window: 200ms}", "window: 200ms, sample: 1}").replace("warmUp: 200ms", "warmUp: 0s"));
    run(&desk, "all", &["--threads", "1"]);
    run(&desk, "again", &["--threads", "2"]);
    assert_eq!(desk.text("all/requests.jsonl"), desk.text("again/requests.jsonl"));
    desk.succeeds(&["verify", "all"]);
    let rows: Vec<Value> = desk.text("all/requests.jsonl").lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    let latencies: Vec<f64> = rows
        .iter()
        .filter(|r| r["point"] == 1 && r["replication"] == 0 && r["outcome"] == "completed")
        .filter_map(|r| r["latency_ms"].as_f64())
        .collect();
    let runs = desk.text("all/runs.csv");
    let of_run = runs.lines().find(|l| l.starts_with("1,0,") && l.contains(",all,latency_mean,")).expect("its mean");
    let expected: f64 = of_run.rsplit(',').next().and_then(|v| v.parse().ok()).expect("a number");
    let mean = latencies.iter().sum::<f64>() / latencies.len() as f64;
    assert!((mean - expected).abs() < 1e-9 * expected, "{mean} {expected}");
    let answered = rows.iter().find(|r| r["outcome"] == "completed").expect("some are answered");
    let parts = ["wait_ms", "service_ms", "called_ms", "network_ms"].map(|part| answered[part].as_f64().expect("known"));
    assert!((parts.iter().sum::<f64>() - answered["latency_ms"].as_f64().expect("known")).abs() < 1e-6, "{answered}");
    assert!(answered["pod"].as_str().is_some_and(|pod| pod.starts_with("web-")), "{answered}");

    desk.write("small.yaml", SMALL.replace("window: 200ms}", "window: 200ms, sample: 10}").replace("warmUp: 200ms", "warmUp: 0s"));
    run(&desk, "some", &[]);
    let some = desk.text("some/requests.jsonl");
    let expected = rows.len() as f64 / 10.0;
    assert!((some.lines().count() as f64 - expected).abs() < 4.0 * (0.9 * expected).sqrt(), "{} of {}", some.lines().count(), rows.len());
    // Both points meet the same requests, and keep the same of them.
    let of_point = |point: u32| -> BTreeSet<String> {
        let kept = some.lines().map(|l| serde_json::from_str::<Value>(l).expect("an object a line")).filter(|r| r["point"] == point);
        kept.map(|r| format!("{} {} {}", r["replication"], r["client"], r["start_s"])).collect()
    };
    assert!(!of_point(0).is_empty() && of_point(0) == of_point(1), "{:?} {:?}", of_point(0), of_point(1));
    assert!(some.lines().all(|line| desk.text("all/requests.jsonl").contains(line)), "a part of all");
    desk.write("small.yaml", SMALL);
    run(&desk, "none", &[]);
    assert!(!desk.path("none/requests.jsonl").exists());
}

#[test]
fn the_seed_decides_and_nothing_else_does() {
    let desk = Desk::with(SMALL);
    run(&desk, "first", &[]);
    run(&desk, "again", &[]);
    run(&desk, "other", &["--seed", "2"]);
    assert!(desk.results("first") == desk.results("again"));
    assert_ne!(desk.text("first/runs.csv"), desk.text("other/runs.csv"));
    // The option says what the file could say.
    let desk = Desk::with(SMALL.replace("seed: 1", "seed: 2"));
    run(&desk, "in-file", &[]);
    desk.write("small.yaml", SMALL);
    run(&desk, "by-option", &["--seed", "2"]);
    assert_eq!(desk.text("in-file/runs.csv"), desk.text("by-option/runs.csv"));
}

#[test]
fn where_the_experiment_lies_leaves_no_trace() {
    let here = Desk::with(SMALL);
    run(&here, "out", &[]);
    let there = Desk::empty();
    there.write("deep/down/small.yaml", SMALL);
    there.succeeds(&["run", "deep/down/small.yaml", "--quiet", "--out", "out"]);
    assert!(here.results("out") == there.results("out"));
}

#[test]
fn the_provenance_lists_every_file_that_was_read() {
    let desk = Desk::empty();
    fs::copy(shipped("manifests/online-boutique.yaml"), desk.path("small.yaml")).expect("the manifests are there");
    desk.write("a/manifests/x.yaml", desk.text("small.yaml"));
    // Two files of one name.
    desk.succeeds(&["import", "a/manifests/x.yaml", "--out", "a/x.yaml"]);
    desk.succeeds(&["run", "a/x.yaml", "--quiet", "--out", "out", "--set", "run.duration=6s", "--set", "design.replications=2"]);
    let provenance: serde_json::Value = serde_json::from_str(&desk.text("out/provenance.json")).expect("JSON");
    for (name, file) in [("x.yaml", "a/x.yaml"), ("manifests/x.yaml", "a/manifests/x.yaml")] {
        assert_eq!(provenance["inputs"][name], sha256(desk.text(file).as_bytes()), "{provenance}");
    }
}

#[test]
fn verify_reproduces_a_result_and_finds_what_was_altered() {
    let desk = Desk::with(SMALL);
    run(&desk, "out", &[]);
    let fails = |reason: &str, file: &str| {
        let said = desk.svcsim(&["verify", "out"]);
        assert_eq!(said.code, Some(1), "{reason} {file}: {}{}", said.out, said.err);
        assert!(said.err.contains(reason) && said.err.contains(file), "{reason} {file}: {}", said.err);
    };
    let before = desk.files();
    assert!(desk.succeeds(&["verify", "out", "--threads", "3"]).contains("reproduced byte for byte"));
    assert!(desk.files() == before, "verify changes nothing");

    for file in ["runs.csv", "plots/latency_ccdf.svg", "experiment.yaml"] {
        let path = desk.path("out").join(file);
        let bytes = fs::read(&path).expect("a file");
        let mut altered = bytes.clone();
        let last = altered.len() - 2;
        altered[last] = if altered[last] == b'7' { b'8' } else { b'7' };
        fs::write(&path, altered).expect("a file");
        fails("altered", file);
        fs::remove_file(&path).expect("a file");
        fails("altered", file);
        fs::write(&path, bytes).expect("a file");
    }
    desk.write("out/stray.csv", "x");
    fails("altered", "stray.csv");
    fs::remove_file(desk.path("out/stray.csv")).expect("a file");
    desk.succeeds(&["verify", "out"]);
}

#[test]
fn verify_finds_numbers_that_the_experiment_does_not_give() {
    let desk = Desk::with(SMALL);
    run(&desk, "out", &[]);
    // Whoever forges a table and its digest as well is found out by running again.
    let forged = desk.text("out/runs.csv").replacen(",requests,requests,", ",requests,requests,1", 1);
    let provenance = desk.text("out/provenance.json");
    let honest = sha256(desk.text("out/runs.csv").as_bytes());
    assert!(provenance.contains(&honest));
    desk.write("out/provenance.json", provenance.replace(&honest, &sha256(forged.as_bytes())));
    desk.write("out/runs.csv", forged);
    let said = desk.svcsim(&["verify", "out"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains("not reproduced") && said.err.contains("runs.csv"), "{}", said.err);
}

#[test]
fn verify_says_when_a_directory_holds_no_results() {
    let desk = Desk::with(SMALL);
    fs::create_dir(desk.path("empty")).expect("a folder");
    desk.write("odd/provenance.json", "{}");
    for (dir, reason) in [("empty", "expected a results directory"), ("nowhere", "expected a results directory"), ("odd", "altered")] {
        let said = desk.svcsim(&["verify", dir]);
        assert_eq!(said.code, Some(1), "{dir}");
        assert!(said.err.contains(dir) && said.err.contains(reason), "{}", said.err);
    }
}

/// Optimised or not, with or without overflow checks: one result. The digest was the same in the dev and the release profile
/// when it was put here; the release build is also held to the committed results by `svcsim verify`. Whoever changes what is
/// simulated changes it.
#[test]
fn every_build_profile_gives_the_same_numbers() {
    let desk = Desk::empty();
    let experiment = shipped("online-boutique.yaml");
    let experiment = experiment.to_str().expect("a path");
    desk.succeeds(&["run", experiment, "--quiet", "--out", "out", "--set", "run.duration=8s", "--set", "design.replications=2"]);
    assert_eq!(sha256(desk.text("out/runs.csv").as_bytes()), "25ccd16942871b22fabad0135cbb02b361b78a52f0c3199b3fea2ca273449cc6");
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
