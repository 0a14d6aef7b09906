//! What is printed, where, and in which form.

use crate::desk::{Desk, SMALL, shipped};
use serde_json::Value;

#[test]
fn check_prints_the_plan_and_simulates_nothing() {
    let desk = Desk::with(SMALL);
    desk.write("other.yaml", SMALL.replace("levels: [1, 2]", "levels: [1, 2, 3]").replace("replications: 2", "replications: 5"));
    let out = desk.succeeds(&["check", "small.yaml", "other.yaml"]);
    assert!(out.contains("small.yaml: 2 design points, 2 replications each: 4 runs"), "{out}");
    assert!(out.contains("other.yaml: 3 design points, 5 replications each: 15 runs"), "{out}");
    assert!(out.contains("  3: 480 requests a run"), "{out}");
    assert!(out.contains("in all: 1920 requests, about 0.0 million events, 1 s of one core and 93 MB"), "{out}");
    assert_eq!(desk.files().len(), 2);
}

#[test]
fn run_prints_a_table_of_findings_and_where_the_report_is() {
    let desk = Desk::with(SMALL);
    let said = desk.svcsim(&["run", "small.yaml"]);
    assert_eq!(said.code, Some(0));
    assert_eq!(said.err, "", "no progress bar where nobody watches");
    for part in ["p50 ms", "p99 ms", "lost", "Jain", "\n1 ", "\n2 ", "\n* ", "Report: results/small/report.html"] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    assert!(!said.out.contains('\u{1b}'), "no colours where nobody watches");
    assert!(desk.path("results/small/report.html").is_file());
}

#[test]
fn run_prints_the_summary_as_json() {
    let desk = Desk::with(SMALL);
    let out: Value = serde_json::from_str(&desk.succeeds(&["run", "small.yaml", "--out", "out", "--format", "json"])).expect("JSON");
    assert_eq!(out["results"], "out");
    let rows = out["summary"].as_array().expect("rows");
    let table = desk.text("out/summary.csv");
    assert_eq!(rows.len(), table.lines().count() - 1, "as many rows as the table has");
    let p99 = rows.iter().find(|r| r["point"] == 1 && r["metric"] == "latency_p99").expect("a row");
    assert_eq!((&p99["label"], &p99["series"], &p99["unit"], &p99["replications"]), (&"2".into(), &"all".into(), &"ms".into(), &2.into()));
    let (low, mean, high) = (p99["ci_low"].as_f64(), p99["mean"].as_f64(), p99["ci_high"].as_f64());
    assert!(low < mean && mean < high, "{p99}");
    let mean = mean.expect("a number");
    assert!(table.lines().any(|l| l.starts_with("1,2,all,latency_p99,ms,") && l.contains(&format!(",{mean},"))), "{mean}\n{table}");
}

#[test]
fn quiet_prints_nothing_but_errors() {
    let desk = Desk::with(SMALL);
    let said = desk.svcsim(&["run", "small.yaml", "--quiet"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "", ""));
    let said = desk.svcsim(&["run", "small.yaml", "--quiet", "--set", "run.duration=5"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("error: "));
}

#[test]
fn report_rebuilds_what_was_lost_from_the_tables() {
    let desk = Desk::with(SMALL);
    desk.succeeds(&["run", "small.yaml", "--out", "out"]);
    let before = desk.files();
    std::fs::remove_file(desk.path("out/report.md")).expect("a report");
    std::fs::remove_file(desk.path("out/plots/latency_ccdf.svg")).expect("a figure");
    assert!(desk.succeeds(&["report", "out"]).contains("out/report.html"));
    assert!(desk.files() == before, "the same bytes");
    desk.succeeds(&["report", "--openmetrics", "out"]);
    assert!(desk.text("out/openmetrics.txt").contains("envoy_http_downstream_rq_total{experiment=\"small\",case=\"1\",replication=\"0\""));
    desk.succeeds(&["verify", "out"]);
    assert_eq!(desk.svcsim(&["report", "nowhere"]).code, Some(1));
}

#[test]
fn the_tables_have_a_column_for_each_factor_and_none_twice() {
    let desk = Desk::with(SMALL.replace(
        "path: pods.web.concurrency\n      levels: [1, 2]",
        "path: pods.web.serviceTime.exponential.mean\n      levels: [1ms, 2ms]",
    ));
    desk.succeeds(&["run", "small.yaml", "--out", "out", "--quiet"]);
    let tables = desk.results("out").into_iter().filter(|(name, _)| name.ends_with(".csv"));
    for (name, bytes) in tables {
        let text = String::from_utf8(bytes).expect("UTF-8");
        let header: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
        let factor = header.iter().filter(|c| **c == "exponential.mean").count();
        assert_eq!(factor, usize::from(name != "vertices.csv"), "{name}: {header:?}");
        assert!(header.iter().enumerate().all(|(i, c)| !header[..i].contains(c)), "{name}: {header:?}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let desk = Desk::empty();
    assert!(desk.succeeds(&["--version"]).starts_with("svcsim "));
    for verb in ["run", "check", "import", "report", "verify"] {
        assert!(desk.succeeds(&["--help"]).contains(verb));
        assert!(desk.succeeds(&[verb, "--help"]).contains("Usage: svcsim"));
    }
    let said = desk.svcsim(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("Usage"));
}

#[test]
fn files_can_be_levels() {
    let factor = "    - path: pods.web.concurrency\n      levels: [1, 2]\n";
    let levels = "    - name: wires
      levels:
        switch: {network.shape: {oneSwitch: {node: {delay: 50us}}}}
        abilene: {network.shape: {file: {path: Abilene.graphml, node: {delay: 50us}}}}
        measured: {network.sites.internet.link.delay: {empirical: {file: delays.txt}}}
";
    let desk = Desk::with(SMALL.replace(factor, levels));
    std::fs::copy(shipped("topologies/Abilene.graphml"), desk.path("Abilene.graphml")).expect("a topology");
    desk.write("delays.txt", "1ms\n2ms\n");
    desk.succeeds(&["run", "small.yaml", "--out", "out"]);
    // What was resolved runs without the files.
    desk.write("alone/experiment.yaml", desk.text("out/experiment.yaml"));
    desk.succeeds(&["run", "alone/experiment.yaml", "--out", "again", "--quiet"]);
    assert_eq!(desk.text("out/runs.csv"), desk.text("again/runs.csv"));
}

/// `svcsim ... | head` is no failure that anybody has to be told of.
#[cfg(unix)]
#[test]
fn a_reader_that_has_had_enough_ends_the_program_quietly() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_svcsim"))
        .args([std::ffi::OsStr::new("check"), shipped("policies.yaml").as_os_str()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Nobody reads.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("a child");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}
