//! What is legal but odd runs, and is said before the run and again in its report.

use crate::desk::{Desk, SMALL};

/// The warning stands in the output of `check`, in the report and in its data.
#[track_caller]
fn warned(from: &str, to: &str, expected: &str) {
    assert!(SMALL.contains(from), "the small experiment has no {from}");
    let desk = Desk::with(SMALL.replacen(from, to, 1));
    let checked = desk.succeeds(&["check", "small.yaml"]);
    let warning = checked.lines().find(|l| l.starts_with("warning: ") && l.contains(expected));
    assert!(warning.is_some(), "{to}: check does not warn of {expected}\n{checked}");
    desk.succeeds(&["run", "small.yaml", "--out", "out"]);
    let about: serde_json::Value = serde_json::from_str(&desk.text("out/about.json")).expect("JSON");
    let warnings = find(&about, "warnings").and_then(|w| w.as_array()).expect("a list of warnings");
    assert!(warnings.iter().any(|w| w.as_str().is_some_and(|w| w.contains(expected))), "{to}: {warnings:?}");
    // Markdown escapes what it would read as markup.
    let report = desk.text("out/report.md").replace('\\', "");
    assert!(report.contains(expected), "{to}: the report does not warn of {expected}");
}

fn find<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    value.get(key).or_else(|| value.as_object()?.values().find_map(|below| find(below, key)))
}

#[test]
fn a_selector_that_matches_nothing_is_warned_of() {
    warned("selector: {app: web}\n", "selector: {app: wbe}\n", "every request to");
}

#[test]
fn zero_pods_are_warned_of() {
    warned("replicas: 3", "replicas: 0", "zero Pods");
}

#[test]
fn more_load_than_the_pods_can_serve_is_warned_of() {
    warned("400/s", "4000/s", "offered load is 667 % of what 3 Pods can serve");
}

#[test]
fn nodes_that_drop_what_they_get_are_warned_of() {
    let nodes = "  nodes: {zones: [zone-a], perZone: 2}\n";
    let patches = "  patches: {deployments.web.spec.replicas: 1, services.shop.spec.externalTrafficPolicy: Local}\n";
    warned(nodes, &format!("{nodes}{patches}"), "connections to the others vanish");
}

#[test]
fn an_experiment_with_nothing_odd_is_not_warned_of() {
    let checked = Desk::with(SMALL.replace("400/s", "100/s")).succeeds(&["check", "small.yaml"]);
    assert!(!checked.contains("warning"), "{checked}");
}
