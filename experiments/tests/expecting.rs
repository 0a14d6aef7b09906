//! An experiment that says what it expects: the program's word, its exit code, its report.

use crate::desk::{Desk, SMALL};

fn expecting(claims: &str) -> Desk {
    Desk::with(format!("{SMALL}\nexpect:\n{claims}"))
}

#[test]
fn claims_that_hold_are_told_and_reported() {
    let desk = expecting(
        "  - {claim: One at a time is slower, metric: latency_mean, where: {concurrency: 1}, of: {concurrency: 2}, above: 0ms}\n  \
         - {claim: Nothing is rejected, metric: errors_rejected, equals: 0}\n",
    );
    let out = desk.succeeds(&["run", "small.yaml", "--out", "out", "--set", "design.replications=20"]);
    assert!(out.contains("expectation met: One at a time is slower [expected latency_mean: difference above 0 ms; found"), "{out}");
    let report = desk.text("out/report.md");
    assert!(report.contains("## Expectations") && report.contains("| Nothing is rejected | met |"), "{report}");
    desk.succeeds(&["verify", "out"]);
}

#[test]
fn a_claim_that_fails_is_an_exit_code_of_1_with_results() {
    let desk = expecting(
        "  - {claim: Nobody waits, metric: time_wait, equals: 0ms}\n  - {claim: All is well, metric: errors_rejected, equals: 0}\n",
    );
    let run = |options: &[&str]| {
        let said = desk.svcsim(&[&["run", "small.yaml", "--out", "out"], options].concat());
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.starts_with("error: 1 of 2 expectations failed\n"), "{}", said.err);
        said
    };
    assert!(run(&[]).out.contains("\nexpectation failed: Nobody waits"));
    assert!(run(&["--format", "json"]).out.contains("\"met\":false"));
    let quiet = run(&["--quiet"]);
    assert!(quiet.out.is_empty() && quiet.err.contains("\nexpectation failed: Nobody waits") && !quiet.err.contains("All is well"));
    assert!(desk.text("out/report.html").contains("FAILED"));
}

#[test]
fn a_claim_about_nothing_is_bad_input_at_its_line() {
    let desk = expecting("  - {claim: x, metric: latency_p98, below: 5ms}\n");
    let said = desk.svcsim(&["run", "small.yaml", "--out", "out"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.err);
    assert!(!desk.path("out").exists());
}
