//! An experiment that says only how it differs from another.

use crate::desk::Desk;

const VARIANT: &str = "\
apiVersion: svcsim/v1alpha1
kind: Experiment
base: small.yaml
metadata: {name: slow}
pods:
  web: {serviceTime: {exponential: null, erlang: {mean: 9ms, stages: 2}}, startup: null}
run: {duration: 900ms}
";

/// A desk with the small experiment and `variant.yaml`.
fn desk(variant: &str) -> Desk {
    let desk = Desk::with(crate::desk::SMALL);
    desk.write("variant.yaml", variant);
    desk
}

/// What `check` says of a variant that is wrong.
#[track_caller]
fn refused(variant: &str) -> String {
    let said = desk(variant).svcsim(&["check", "variant.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{}", said.err);
    said.err
}

#[test]
fn a_variant_is_the_same_as_both_written_out() {
    let desk = desk(VARIANT);
    let whole = crate::desk::SMALL
        .replace("name: small", "name: slow")
        .replace("{exponential: {mean: 5ms}}", "{erlang: {mean: 9ms, stages: 2}}")
        .replace("    startup: 300ms\n", "")
        .replace("duration: 1200ms", "duration: 900ms");
    desk.write("whole.yaml", whole);
    desk.succeeds(&["run", "variant.yaml", "--out", "a"]);
    desk.succeeds(&["run", "whole.yaml", "--out", "b"]);
    for file in ["experiment.yaml", "runs.csv", "summary.csv"] {
        assert_eq!(desk.text(&format!("a/{file}")), desk.text(&format!("b/{file}")), "{file}");
    }
    let inputs = desk.text("a/provenance.json");
    assert!(inputs.contains("\"small.yaml\"") && inputs.contains("\"variant.yaml\""), "both are named with their digests: {inputs}");
    desk.succeeds(&["verify", "a"]);
    desk.succeeds(&["run", "variant.yaml", "--set", "run.duration=1s", "--out", "c"]);
}

#[test]
fn a_variant_may_build_on_a_variant() {
    let desk = desk(VARIANT);
    desk.write("third.yaml", "apiVersion: svcsim/v1alpha1\nkind: Experiment\nbase: variant.yaml\nmetadata: {name: third}\n");
    desk.succeeds(&["run", "third.yaml", "--out", "a"]);
    let resolved = desk.text("a/experiment.yaml");
    assert!(resolved.contains("name: third") && resolved.contains("erlang") && !resolved.contains("\nbase:"), "{resolved}");
}

#[test]
fn eight_may_build_on_each_other_and_no_more() {
    let desk = Desk::with(crate::desk::SMALL);
    for depth in 1..=9 {
        let base = if depth == 1 { "small.yaml".to_owned() } else { format!("v{}.yaml", depth - 1) };
        desk.write(&format!("v{depth}.yaml"), format!("apiVersion: svcsim/v1alpha1\nkind: Experiment\nbase: {base}\n"));
    }
    desk.succeeds(&["check", "v8.yaml"]);
    let said = desk.svcsim(&["check", "v9.yaml"]);
    assert!(said.code == Some(2) && said.err.contains("more than 8 experiments"), "{}", said.err);
}

#[test]
fn an_error_is_shown_in_the_file_in_which_it_stands() {
    let err = refused(&VARIANT.replace("duration: 900ms", "durration: 900ms"));
    assert!(err.contains("variant.yaml:7") && err.contains("did you mean `duration`"), "{err}");
    let err = refused(&VARIANT.replace("exponential: null, ", ""));
    assert!(err.contains("found two: `exponential` and `erlang`") && err.contains("variant.yaml:6"), "{err}");
    // What the variant leaves as it is stands in the other file.
    let desk = Desk::with(crate::desk::SMALL.replace("queueLimit: 50", "queueLimit: many"));
    desk.write("variant.yaml", VARIANT);
    let err = desk.svcsim(&["check", "variant.yaml"]).err;
    assert!(err.contains("small.yaml:") && err.contains("the text `many`"), "{err}");
    let desk = Desk::with(crate::desk::SMALL.replace("replicas: 3", "replicas: -3"));
    desk.write("variant.yaml", VARIANT);
    let err = desk.svcsim(&["check", "variant.yaml"]).err;
    assert!(err.contains("small.yaml:") && err.contains("replicas"), "{err}");
}

#[test]
fn a_base_that_cannot_be_is_named() {
    for (base, problem) in [
        ("missing.yaml", "there is no such file"),
        ("../small.yaml", "not beside this file"),
        ("variant.yaml", "circle"),
        ("[a, b]", "no file's name"),
        ("..", "not beside this file"),
    ] {
        let err = refused(&VARIANT.replace("small.yaml", base));
        assert!(err.contains(problem) && err.contains("variant.yaml:3"), "{base}: {err}");
    }
}
