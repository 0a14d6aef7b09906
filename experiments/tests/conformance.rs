//! `svcsim conform` on the shipped vectors, on wrong expectations, and on files that are none.

use crate::desk::{Desk, Said, shipped};
use serde_json::{Value, json};

const SHIPPED: &str = "conformance/endpoint_selection.json";

/// Runs `vectors` from an empty desk.
fn conform(vectors: &Value, arguments: &[&str]) -> Said {
    let desk = Desk::empty();
    desk.write("vectors.json", vectors.to_string());
    desk.svcsim(&[&["conform", "vectors.json"], arguments].concat())
}

fn file(groups: Value) -> Value {
    json!({"schema": "endpoint-selection-vectors/1", "groups": groups})
}

/// A case of `hpa_scale_limits` whose limit is 7.
fn case(limit: u32) -> Value {
    json!({"id": "hpa_scale_limits/x", "input": {"current": 3, "added_in_last_15s": 0}, "expect": {"scale_up_limit": limit}})
}

#[test]
fn the_model_conforms_to_the_shipped_vectors() {
    let vectors: Value = serde_json::from_slice(&std::fs::read(shipped(SHIPPED)).expect("a file")).expect("JSON");
    let groups = vectors["groups"].as_object().expect("a map");
    let cases: usize = groups.values().map(|cases| cases.as_array().expect("a list").len()).sum();
    let said = conform(&vectors, &[]);
    assert_eq!(said.out.lines().last(), Some(format!("{cases} passed, 0 failed").as_str()), "{}", said.out);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

#[test]
fn a_wrong_expectation_fails_with_all_that_is_needed_to_see_why() {
    let said = conform(&file(json!({"hpa_scale_limits": [case(7), case(8)]})), &[]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    for part in [
        "hpa_scale_limits     1 passed, 1 failed\n",
        "FAILED hpa_scale_limits/x\n",
        "input    {\"current\":3,\"added_in_last_15s\":0}\n",
        "expected {\"scale_up_limit\":8}\n",
        "found    {\"scale_up_limit\":7",
    ] {
        assert!(said.out.contains(part), "does not say {part}\n{}", said.out);
    }
    assert!(said.out.ends_with("\n1 passed, 1 failed\n"), "{}", said.out);
}

#[test]
fn a_malformed_case_fails_and_the_others_run() {
    let mut odd = case(7);
    odd["input"]["curent"] = json!(3);
    let said = conform(&file(json!({"hpa_scale_limits": [odd, {"input": 5}, case(7)]})), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("unknown field `curent`"), "{}", said.out);
    assert!(said.out.contains("FAILED hpa_scale_limits[1]\n"), "{}", said.out);
    assert!(said.out.ends_with("\n1 passed, 2 failed\n"), "{}", said.out);
}

#[test]
fn an_unknown_group_is_skipped_and_says_so() {
    let said = conform(&file(json!({"hpa_scale_limits": [case(7)], "dns": [{}, {}]})), &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("2 skipped: no such group is known to this version\n"), "{}", said.out);
    assert!(said.out.ends_with("\n1 passed, 0 failed, 2 skipped\n"), "{}", said.out);
}

#[test]
fn json_says_the_same() {
    let said = conform(&file(json!({"hpa_scale_limits": [case(7), case(8)], "dns": [{}]})), &["--format", "json"]);
    assert_eq!(said.code, Some(1));
    let all: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&all["passed"], &all["failed"], &all["skipped"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(all["groups"][0]["failed"][0]["expected"], json!({"scale_up_limit": 8}));
    assert_eq!(all["groups"][1]["skipped"]["reason"], json!("no such group is known to this version"));
}

#[test]
fn what_are_no_vectors_is_refused_before_any_case_runs() {
    for (text, expected) in [
        ("{", &["not JSON", "vectors.json:1:1"][..]),
        ("schema: x\n", &["not JSON"]),
        ("[]", &["schema: missing"]),
        ("{}", &["schema: missing", "endpoint-selection-vectors/1"]),
        (r#"{"schema": "theory/1", "groups": {}}"#, &["schema: `theory/1`", "vectors.json"]),
        (r#"{"schema": "endpoint-selection-vectors/1"}"#, &["groups: missing"]),
        (r#"{"schema": "endpoint-selection-vectors/1", "groups": {"a": {}}}"#, &["groups.a: no list"]),
    ] {
        let desk = Desk::empty();
        desk.write("vectors.json", text);
        desk.write("good.json", file(json!({"hpa_scale_limits": [case(7)]})).to_string());
        let said = desk.svcsim(&["conform", "good.json", "vectors.json"]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{text}");
        for part in [&["help: "], expected].concat() {
            assert!(said.err.contains(part), "{text}: does not say {part}\n{}", said.err);
        }
    }
    assert_eq!(Desk::empty().svcsim(&["conform", "nowhere.json"]).code, Some(2));
    assert_eq!(Desk::empty().svcsim(&["conform"]).code, Some(2));
}
