//! The incident museum: every experiment runs as it is shipped, and has a page that says what happened, and where.

use crate::desk::{Desk, shipped};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Threads that issue 4 asks for, as the pages cite them.
const THREADS: [&str; 19] = [
    "kubernetes/kubernetes/issues/43576",
    "kubernetes-sigs/aws-load-balancer-controller/issues/1719",
    "kubernetes-sigs/aws-load-balancer-controller/issues/1834",
    "kubernetes/kubernetes/issues/38456",
    "kubernetes/kubernetes/issues/85643",
    "Azure/AKS/pull/4905",
    "kubernetes/kubernetes/issues/122437",
    "kubernetes/kubernetes/issues/110714",
    "kubernetes/kubernetes/issues/139628",
    "kubernetes/kubernetes/issues/126378",
    "kubernetes/kubernetes/issues/139513",
    "kubernetes/kubernetes/issues/96018",
    "kubernetes/kubernetes/issues/43958",
    "envoyproxy/envoy/issues/11004",
    "envoyproxy/envoy/issues/35935",
    "envoyproxy/envoy/issues/28444",
    "envoyproxy/envoy/issues/11050",
    "metallb/metallb/issues/359",
    "metallb/metallb/issues/728",
];

fn files(extension: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(shipped("incidents")).expect("the museum");
    let mut files: Vec<_> = folder.map(|f| f.expect("a file").path()).filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

fn name(path: &std::path::Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn text(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_incident_is_a_valid_experiment_with_expectations() {
    let experiments = files("yaml");
    assert!(experiments.len() >= 12);
    for path in experiments {
        Desk::empty().succeeds(&["check", &path.to_string_lossy()]);
        let text = text(&path);
        let says = |what: &str| text.contains(&format!("\n{what}"));
        assert!(says("expect:") && says("  name: ") && says("  assumptions:"), "{}", path.display());
        assert!(text.contains(&format!("\n  name: {}\n", name(&path))), "{} is named otherwise", path.display());
    }
}

#[test]
fn every_incident_has_a_page_and_every_thread_is_cited() {
    let pages: Vec<_> = files("md").into_iter().filter(|p| name(p) != "README").collect();
    let all: String = pages.iter().map(|p| text(p)).collect();
    let index = text(&shipped("incidents/README.md"));
    for path in files("yaml") {
        let yaml = name(&path) + ".yaml";
        assert!(all.contains(&format!("experiments/incidents/{yaml}")), "no page says how to run {yaml}");
        assert!(index.contains(&format!("({yaml})")), "README.md does not list {yaml}");
    }
    for path in &pages {
        let page = text(path);
        for part in ["## What happened", "## What svcsim shows", "## The cure", "## Not reproduced"] {
            assert!(page.contains(part), "{}: no {part}", path.display());
        }
        assert!(page.contains("https://github.com/"), "{} cites no thread", path.display());
        assert!(index.contains(&format!("({}.md)", name(path))), "README.md does not list {}", path.display());
    }
    let missing: BTreeSet<_> = THREADS.into_iter().filter(|t| !all.contains(t)).collect();
    assert!(missing.is_empty(), "not cited: {missing:?}");
}
