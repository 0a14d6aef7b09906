//! Conformance vectors: what real Kubernetes components do, as plain data, against the functions that runs go through.
//!
//! A group of cases is one function below and one line in [`GROUPS`]. It is given the file's fixtures and a case's input, and
//! answers what the model says in the shape of `expect`. Nothing depends on a case's id or values.

mod control_plane;
mod controllers;
mod dataplane;
mod service;

use crate::input::error::{InputError, Span};
use serde_json::{Map, Value};
use std::path::Path;

/// The schema of the files that are understood.
const SCHEMA: &str = "endpoint-selection-vectors/1";

/// What the model says of one case, in the shape of the vectors' `expect`; or why it can say nothing.
type Says = fn(fixtures: &Value, input: &Value) -> Result<Value, String>;

/// Every group of cases.
const GROUPS: &[(&str, Says)] = &[
    ("service_validation", service::service_validation),
    ("nodeport_band", service::nodeport_band),
    ("clusterip_band", service::clusterip_band),
    ("endpoint_conditions", control_plane::endpoint_conditions),
    ("slice_condition_defaults", control_plane::slice_condition_defaults),
    ("slice_missing_node", control_plane::slice_missing_node),
    ("slice_packing", control_plane::slice_packing),
    ("traffic_distribution_hints", control_plane::traffic_distribution_hints),
    ("hints_annotation", control_plane::hints_annotation),
    ("topology_node_ratios", control_plane::topology_node_ratios),
    ("topology_auto", control_plane::topology_auto),
    ("topology_rebalance", control_plane::topology_rebalance),
    ("rolling_fenceposts", controllers::rolling_fenceposts),
    ("rolling_max_unavailable", controllers::rolling_max_unavailable),
    ("rolling_new_replicas", controllers::rolling_new_replicas),
    ("rolling_old_replicas", controllers::rolling_old_replicas),
    ("hpa_desired_replicas", controllers::hpa_desired_replicas),
    ("hpa_scale_limits", controllers::hpa_scale_limits),
    ("proxy_sync_schedule", control_plane::proxy_sync_schedule),
    ("health_check_node_port", control_plane::health_check_node_port),
    ("categorize_endpoints", dataplane::categorize_endpoints),
    ("packet_flow", dataplane::packet_flow),
    ("conntrack_cleanup", dataplane::conntrack_cleanup),
    ("iptables_probability_string", dataplane::iptables_probability_string),
    ("iptables_probability_chain", dataplane::iptables_probability_chain),
    ("iptables_chain_pick", dataplane::iptables_chain_pick),
    ("iptables_rule_count", dataplane::iptables_rule_count),
    ("nft_numgen_pick", dataplane::nft_numgen_pick),
];

/// What became of the cases of one group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) passed: usize,
    pub(crate) failures: Vec<Failed>,
    /// Cases that nothing was said about, and why.
    pub(crate) skipped: Option<(usize, String)>,
}

/// A case that went wrong.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) expected: Value,
    /// What the model says, or why it says nothing.
    pub(crate) found: Result<Value, String>,
}

/// Runs all cases of the vectors in `text`, which came from `file`.
///
/// # Errors
/// The file is not of the documented shape.
pub(crate) fn conform(file: &Path, text: &str) -> Result<Vec<Group>, InputError> {
    let wrong =
        |field: &str, problem: String, fix: &str, at: Option<Span>| InputError::new(field, problem, fix).in_file(file, text.into(), at);
    let vectors: Value = serde_json::from_str(text).map_err(|e| {
        let at = Span { line: e.line(), column: e.column().max(1), length: 1 };
        wrong("", format!("not JSON: {e}"), "give a file of conformance vectors", Some(at))
    })?;
    match vectors.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            let problem = format!("`{other}`; expected `{SCHEMA}`");
            return Err(wrong("schema", problem, "give a file of conformance vectors of that schema", None));
        }
        None => return Err(wrong("schema", format!("missing; expected `{SCHEMA}`"), "give a file of conformance vectors", None)),
    }
    let Some(groups) = vectors.get("groups").and_then(Value::as_object) else {
        let problem = "missing, or no object; expected lists of cases by group";
        return Err(wrong("groups", problem.to_owned(), "give `groups: {packet_flow: [...]}`", None));
    };
    let fixtures = vectors.get("fixtures").unwrap_or(&Value::Null);
    let run = |(name, cases): (&String, &Value)| match cases.as_array() {
        Some(cases) => Ok(group(name, cases, fixtures)),
        None => Err(wrong(&format!("groups.{name}"), "no list; expected a list of cases".to_owned(), "write `[...]`", None)),
    };
    groups.iter().map(run).collect()
}

fn group(name: &str, cases: &[Value], fixtures: &Value) -> Group {
    let mut group = Group { name: name.to_owned(), ..Group::default() };
    let Some((_, says)) = GROUPS.iter().find(|(n, _)| *n == name) else {
        group.skipped = Some((cases.len(), "no such group is known to this version".to_owned()));
        return group;
    };
    for (i, case) in cases.iter().enumerate() {
        let id = case.get("id").and_then(Value::as_str).map_or_else(|| format!("{name}[{i}]"), str::to_owned);
        let part = |key: &str| case.get(key).cloned().unwrap_or_default();
        let (input, expected) = (part("input"), part("expect"));
        let found = match (input.is_object(), expected.is_object()) {
            (true, true) => says(fixtures, &input),
            _ => Err("malformed: a case has the objects `input` and `expect`".to_owned()),
        };
        match &found {
            Ok(found) if agrees(name, &expected, found) => group.passed += 1,
            _ => group.failures.push(Failed { id, input, expected, found }),
        }
    }
    group
}

/// Lists that are sets.
const SETS: &[&str] = &["cluster", "local", "all", "candidates"];

/// Whether what was found is what is stated: what `expect` does not mention is not asked.
fn agrees(group: &str, expected: &Value, found: &Value) -> bool {
    let (Some(expected), Some(found)) = (expected.as_object(), found.as_object()) else { return false };
    expected.iter().all(|(key, value)| {
        let not_stated = group == "packet_flow" && key == "snat" && value.is_null();
        not_stated || found.get(key).is_some_and(|f| if SETS.contains(&key.as_str()) { same_set(value, f) } else { same(value, f) })
    })
}

fn same_set(expected: &Value, found: &Value) -> bool {
    let sorted = |v: &Value| {
        let mut items: Vec<String> = v.as_array()?.iter().map(ToString::to_string).collect();
        items.sort();
        Some(items)
    };
    match (sorted(expected), sorted(found)) {
        (Some(e), Some(f)) => e == f,
        (None, None) => same(expected, found),
        _ => false,
    }
}

/// Equal; numbers to within the rounding of a few operations.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(e), Value::Number(f)) => match (e.as_f64(), f.as_f64()) {
            (Some(e), Some(f)) => (e - f).abs() <= 1e-12 * e.abs().max(f.abs()),
            _ => e == f,
        },
        (Value::Array(e), Value::Array(f)) => e.len() == f.len() && e.iter().zip(f).all(|(e, f)| same(e, f)),
        (Value::Object(e), Value::Object(f)) => same_object(e, f),
        _ => expected == found,
    }
}

/// Equal key by key; where counts are kept by name, none is as good as 0.
fn same_object(expected: &Map<String, Value>, found: &Map<String, Value>) -> bool {
    let zero = Value::from(0);
    let keys = expected.keys().chain(found.keys());
    let of = |map: &Map<String, Value>, key: &String| map.get(key).cloned();
    keys.into_iter().all(|key| match (of(expected, key), of(found, key)) {
        (Some(e), Some(f)) => same(&e, &f),
        (one, other) => one.or(other).is_some_and(|value| same(&zero, &value)),
    })
}
