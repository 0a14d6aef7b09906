//! `svcsim conform`: vectors of what Kubernetes does, against the functions that runs go through.

use super::Failure;
use crate::cli::Format;
use crate::conform::{Group, conform as run_vectors};
use crate::input::files::Files;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Runs the vectors of `files` and says what passed.
pub(crate) fn conform(files: &[PathBuf], format: Format) -> Result<(), Failure> {
    let mut read = Files::default();
    let mut groups: Vec<Group> = Vec::new();
    for file in files {
        let text = read.read(file, "")?;
        groups.extend(run_vectors(file, &text)?);
    }
    let passed: usize = groups.iter().map(|g| g.passed).sum();
    let failed: usize = groups.iter().map(|g| g.failures.len()).sum();
    let skipped: usize = groups.iter().filter_map(|g| g.skipped.as_ref()).map(|(n, _)| n).sum();
    match format {
        Format::Json => println!("{}", to_json(&groups, passed, failed, skipped)),
        Format::Text => print!("{}", to_text(&groups, passed, failed, skipped)),
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Reported) }
}

fn to_text(groups: &[Group], passed: usize, failed: usize, skipped: usize) -> String {
    let mut text = String::new();
    for failure in groups.iter().flat_map(|g| &g.failures) {
        text += &format!("FAILED {}\n    input    {}\n    expected {}\n", failure.id, failure.input, failure.expected);
        text += &match &failure.found {
            Ok(found) => format!("    found    {found}\n"),
            Err(reason) => format!("    found    nothing: {reason}\n"),
        };
    }
    let width = groups.iter().map(|g| g.name.len()).max().unwrap_or(0);
    for group in groups {
        text += &match &group.skipped {
            Some((n, reason)) => format!("{:width$}  {n:4} skipped: {reason}\n", group.name),
            None => format!("{:width$}  {:4} passed, {} failed\n", group.name, group.passed, group.failures.len()),
        };
    }
    text += &format!("{passed} passed, {failed} failed");
    text += &if skipped > 0 { format!(", {skipped} skipped\n") } else { "\n".to_owned() };
    text
}

fn to_json(groups: &[Group], passed: usize, failed: usize, skipped: usize) -> Value {
    let failure = |f: &crate::conform::Failed| {
        let (found, reason) = match &f.found {
            Ok(found) => (found.clone(), Value::Null),
            Err(reason) => (Value::Null, Value::from(reason.as_str())),
        };
        json!({ "id": f.id, "input": f.input, "expected": f.expected, "found": found, "reason": reason })
    };
    let group = |g: &Group| {
        let skipped = g.skipped.as_ref().map(|(n, reason)| json!({ "cases": n, "reason": reason }));
        json!({ "group": g.name, "passed": g.passed, "failed": g.failures.iter().map(failure).collect::<Vec<_>>(), "skipped": skipped })
    };
    json!({ "passed": passed, "failed": failed, "skipped": skipped, "groups": groups.iter().map(group).collect::<Vec<_>>() })
}
