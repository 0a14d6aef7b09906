//! The JSON Schema, the reference page, the completions and the manual page that the program prints.

use crate::desk::{Desk, SMALL, shipped};
use jsonschema::Validator;
use serde_json::Value;
use std::path::PathBuf;

fn printed(arguments: &[&str]) -> String {
    let said = Desk::empty().svcsim(arguments);
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
}

/// Where and why the schema refuses a text; nothing if it does not.
fn refusals(schema: &Validator, text: &str) -> Vec<String> {
    let tree: Value = serde_saphyr::from_str(text).expect("YAML");
    schema.iter_errors(&tree).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// All experiments in the folders of this crate.
fn experiments() -> Vec<PathBuf> {
    let folders = ["", "starters", "explain", "incidents"].map(|folder| shipped(folder).join("*.yaml"));
    let files = folders.iter().flat_map(|folder| glob::glob(&folder.to_string_lossy()).expect("a glob"));
    files.map(|file| file.expect("a file")).collect()
}

#[test]
fn every_shipped_experiment_fits_the_schema() {
    let schema = validator();
    let files = experiments();
    assert!(files.len() > 30, "only {} experiments were found", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        let refused = refusals(&schema, &text);
        assert!(refused.is_empty(), "{}: {refused:#?}", file.display());
    }
}

#[test]
fn only_what_builds_on_another_experiment_may_leave_out_what_that_has() {
    let schema = validator();
    let variant = "apiVersion: svcsim/v1alpha1\nkind: Experiment\nbase: small.yaml\n";
    assert!(refusals(&schema, variant).is_empty());
    assert!(!refusals(&schema, &variant.replace("base: small.yaml\n", "")).is_empty());
}

#[test]
fn what_the_program_refuses_by_its_form_the_schema_refuses_too() {
    let schema = validator();
    assert!(refusals(&schema, SMALL).is_empty());
    for (good, bad) in [
        ("svcsim/v1alpha1", "svcsim/v2"),
        ("kind: Experiment", "kind: Experimant"),
        ("metadata:", "metedata:"),
        ("1200ms", "5 parsecs"),
        ("run:", "surprise: 1\nrun:"),
        ("{delay: 50us}", "{delay: {normal: {mean: 1ms}}}"),
        ("design:", "dataPlane: ebtables\ndesign:"),
        ("design:", "loadBalancer: {awsNlbIp: {crossZone: perhaps}}\ndesign:"),
        ("podDelete", "podDelte"),
    ] {
        let text = SMALL.replacen(good, bad, 1);
        assert_ne!(text, SMALL, "small.yaml has no `{good}`");
        assert!(!refusals(&schema, &text).is_empty(), "`{bad}` is not refused by the schema");
        let said = Desk::with(&text).svcsim(&["check", "small.yaml"]);
        assert_eq!(said.code, Some(2), "`{bad}` is not refused by check: {said:?}");
    }
}

#[test]
fn no_two_types_share_a_name() {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).expect("JSON");
    let names = schema["$defs"].as_object().expect("definitions").keys();
    // A name that is taken gets a number at its end.
    let numbered: Vec<_> = names.filter(|name| name.ends_with(|c: char| c.is_ascii_digit()) && *name != "Gradient2").collect();
    assert!(numbered.is_empty(), "give each its own #[schemars(rename)]: {numbered:?}");
}

#[test]
fn the_schema_and_the_reference_in_docs_are_those_of_the_types() {
    for (file, arguments) in [("../docs/experiment.schema.json", &["schema"][..]), ("../docs/reference.md", &["schema", "--reference"])] {
        let committed = std::fs::read_to_string(shipped(file)).unwrap_or_default();
        let fresh = printed(arguments);
        let command = arguments.join(" ");
        assert!(committed == fresh, "{file} is stale: run `svcsim {command} > {}`", file.trim_start_matches("../"));
    }
}

#[test]
fn every_key_of_the_reference_says_what_it_means() {
    let page = printed(&["schema", "--reference"]);
    let mute: Vec<_> = page.lines().filter(|line| line.starts_with("| `") && line.ends_with("|  |")).collect();
    assert!(mute.is_empty(), "without meaning: {mute:#?}");
}

#[test]
fn shells_and_man_learn_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("explain") && script.contains("decisions"), "{shell}");
    }
    let page = printed(&["man"]);
    assert!(page.starts_with(".ie") || page.contains(".TH svcsim"), "{page}");
    assert!(page.contains("explain"));
}
