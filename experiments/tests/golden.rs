//! The numbers and the sentences of one experiment, as they were when someone last looked at them.

use crate::desk::{Desk, SMALL};

#[test]
fn the_small_experiment_gives_these_numbers() {
    let desk = Desk::with(SMALL);
    desk.succeeds(&["run", "small.yaml", "--out", "out"]);
    insta::assert_snapshot!("summary_csv", desk.text("out/summary.csv"));
}

#[test]
fn the_small_experiment_gives_these_findings() {
    let desk = Desk::with(SMALL);
    desk.succeeds(&["run", "small.yaml", "--out", "out"]);
    let report = desk.text("out/report.md");
    let (_, findings) = report.split_once("## Answer").expect("an answer");
    insta::assert_snapshot!("findings", findings.split_once("\n## ").expect("a next section").0.trim());
}
