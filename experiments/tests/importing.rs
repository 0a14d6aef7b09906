//! Manifests become an experiment that runs unedited, and no field of theirs is dropped without a word.

use crate::desk::{Desk, SMALL, Said, shipped};
use serde_json::Value;
use std::collections::BTreeSet;

/// The import of a shipped manifest into `imported.yaml`.
fn import(desk: &Desk, manifest: &str) -> Said {
    let manifest = shipped(&format!("manifests/{manifest}.yaml"));
    let said = desk.svcsim(&["import", manifest.to_str().expect("a path"), "--out", "imported.yaml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said
}

/// Arguments that make a run short, but not unlike a longer one.
const SHORT: [&str; 5] = ["--quiet", "--set", "run.duration=6s", "--set", "design.replications=2"];

#[test]
fn the_shipped_manifests_become_experiments_that_run_unedited() {
    for manifest in ["online-boutique", "bookinfo", "cluster-dump"] {
        let desk = Desk::empty();
        import(&desk, manifest);
        let checked = desk.succeeds(&["check", "imported.yaml"]);
        assert!(checked.contains("design points, 10 replications"), "{checked}");
        desk.succeeds(&[&["run", "imported.yaml", "--out", "out"], &SHORT[..]].concat());
        let summary = desk.text("out/summary.csv");
        let completed = summary.lines().find(|l| l.contains(",all,throughput,")).expect("a throughput");
        assert!(!completed.contains("requests/s,0,"), "{manifest}: nothing was served: {completed}");
        // What runs is resolved: the results directory needs no manifest any more.
        assert!(!desk.text("out/experiment.yaml").lines().any(|l| l.trim_start().starts_with("manifests:")));
    }
}

#[test]
fn what_was_assumed_is_marked_and_what_is_not_modelled_reaches_the_report() {
    let desk = Desk::empty();
    let said = import(&desk, "online-boutique");
    let text = desk.text("imported.yaml");
    for assumed in ["serviceTime", "rate:", "clients: 100", "podCrash", "delay:"] {
        let i = text.lines().position(|l| l.contains(assumed)).expect(assumed);
        let near: Vec<&str> = text.lines().skip(i.saturating_sub(4)).take(5).collect();
        assert!(near.iter().any(|l| l.contains("ASSUMED")), "{assumed} is not marked: {near:?}");
    }
    desk.succeeds(&[&["run", "imported.yaml", "--out", "out"], &SHORT[..]].concat());
    let report = desk.text("out/report.md").replace('\\', "");
    let listed = said.err.lines().filter(|l| l.starts_with("  ")).map(|l| l.trim().split(": ").next().unwrap_or_default());
    for object in listed {
        assert!(report.contains(object), "{object} is not in the report");
    }
}

#[test]
fn standard_input_gives_an_experiment_that_stands_by_itself() {
    for manifest in ["online-boutique", "cluster-dump"] {
        let text = std::fs::read_to_string(shipped(&format!("manifests/{manifest}.yaml"))).expect("a manifest");
        let desk = Desk::empty();
        let said = desk.piped(&["import", "-"], &text);
        assert_eq!(said.code, Some(0), "{}", said.err);
        desk.write("stdin.yaml", &said.out);
        desk.succeeds(&[&["run", "stdin.yaml", "--out", "a"], &SHORT[..]].concat());
        // The same numbers as from the file.
        import(&desk, manifest);
        desk.succeeds(&[&["run", "imported.yaml", "--out", "b"], &SHORT[..]].concat());
        assert_eq!(desk.text("a/runs.csv"), desk.text("b/runs.csv"), "{manifest}");
    }
    let said = Desk::empty().piped(&["import", "-"], "");
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("the file is empty"), "{}", said.err);
}

#[test]
fn import_does_not_overwrite() {
    let desk = Desk::empty();
    desk.write("imported.yaml", "mine");
    let manifest = shipped("manifests/bookinfo.yaml");
    let said = desk.svcsim(&["import", manifest.to_str().expect("a path"), "--out", "imported.yaml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("imported.yaml is there already"), "{}", said.err);
    assert_eq!(desk.text("imported.yaml"), "mine");
}

#[test]
fn manifests_without_anything_to_call_are_refused() {
    let desk = Desk::empty();
    desk.write("config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n");
    let said = desk.svcsim(&["import", "config.yaml", "--out", "imported.yaml"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("nothing to send requests to"), "{}", said.err);
    assert!(!desk.path("imported.yaml").exists());
}

/// Types and policies are factors of one field each, although a NodePort Service must not say what a LoadBalancer must; and
/// the numbers that the API server would have given out are the same when what was resolved runs again.
#[test]
fn one_field_turns_a_service_into_another() {
    let factor = "    - path: pods.web.concurrency\n      levels: [1, 2]\n";
    let types = "    - name: entry
      levels:
        ClusterIP: {services.shop.spec.type: ClusterIP, traffic.users.from: cluster, traffic.users.via: ClusterIP}
        NodePort: {services.shop.spec.type: NodePort}
        NodePort, Local: {services.shop.spec.type: NodePort, services.shop.spec.externalTrafficPolicy: Local}
        LoadBalancer: {services.shop.spec.type: LoadBalancer, traffic.users.via: LoadBalancer}
        sticky: {services.shop.spec.sessionAffinity: ClientIP}
        near: {services.shop.spec.trafficDistribution: PreferSameZone}
";
    let balanced = "type: LoadBalancer\n        externalTrafficPolicy: Local\n        healthCheckNodePort: 30081\n        allocateLoadBalancerNodePorts: true";
    for service_type in ["type: NodePort", balanced] {
        let desk = Desk::with(SMALL.replacen("type: NodePort", service_type, 1).replace(factor, types));
        desk.succeeds(&["run", "small.yaml", "--quiet", "--out", "a"]);
        desk.succeeds(&["run", "a/experiment.yaml", "--quiet", "--out", "b"]);
        assert_eq!(desk.text("a/runs.csv"), desk.text("b/runs.csv"));
    }
    // `--set` comes after the file's patches, not with them.
    let nodes = "  nodes: {zones: [zone-a], perZone: 2}\n";
    let patched = format!("  patches: {{services.shop.spec.externalTrafficPolicy: Local}}\n{nodes}");
    let desk = Desk::with(SMALL.replace(nodes, &patched).replace("{port: 80, nodePort: 30080}", "{port: 80}"));
    let sets = ["services.shop.spec.type=ClusterIP", "traffic.users.from=cluster", "traffic.users.via=ClusterIP"];
    desk.succeeds(&[&["run", "small.yaml", "--quiet"], &sets.map(|set| ["--set", set]).concat()[..]].concat());
}

/// A walk of its own over the manifests: each leaf is in the objects of the resolved experiment with its value, or it stands
/// below a field or an object that `import` lists.
#[test]
fn every_field_of_the_manifests_is_read_or_listed() {
    for (manifest, fewest) in [("online-boutique", 500), ("bookinfo", 100), ("cluster-dump", 1_000)] {
        let desk = Desk::empty();
        let said = import(&desk, manifest);
        desk.succeeds(&[&["run", "imported.yaml", "--out", "out"], &SHORT[..]].concat());
        let resolved: Value = serde_saphyr::from_str(&desk.text("out/experiment.yaml")).expect("YAML");
        let mut read = BTreeSet::new();
        for object in objects(vec![resolved["kubernetes"]["objects"].clone()]) {
            leaves(&object, &title(&object), "", &mut |title, path, value| {
                read.insert((title.to_owned(), path.to_owned(), value.to_string()));
            });
        }
        let listed = Listed::of(&said.err);
        let text = std::fs::read_to_string(shipped(&format!("manifests/{manifest}.yaml"))).expect("a manifest");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let (mut seen, mut dropped) = (0, Vec::new());
        for object in objects(documents) {
            leaves(&object, &title(&object), "", &mut |title, path, value| {
                seen += 1;
                if !read.contains(&(title.to_owned(), path.to_owned(), value.to_string())) && !listed.covers(title, path) {
                    dropped.push(format!("{title}: {path}: {value}"));
                }
            });
        }
        assert!(seen >= fewest, "{manifest}: only {seen} fields were looked at");
        assert!(dropped.is_empty(), "{manifest}: dropped without a word:\n{}", dropped.join("\n"));
    }
}

/// What `import` says is left out.
struct Listed {
    /// Whole objects, such as `Service/db`.
    objects: BTreeSet<String>,
    /// Kind and path of fields, with `[*]` for any index.
    fields: Vec<(String, String)>,
}

impl Listed {
    fn of(list: &str) -> Self {
        let mut listed = Self { objects: BTreeSet::new(), fields: Vec::new() };
        let mut whole = true;
        for line in list.lines() {
            let Some(entry) = line.strip_prefix("  ") else {
                whole = line.starts_with("Objects");
                continue;
            };
            let mut parts = entry.split(": ");
            let (object, field) = (parts.next().expect("an object"), parts.next().expect("a field or a reason"));
            let object = object.split(" and ").next().expect("an object");
            if whole {
                listed.objects.insert(object.to_owned());
            } else {
                listed.fields.push((kind(object).to_owned(), any_index(field)));
            }
        }
        listed
    }

    fn covers(&self, title: &str, path: &str) -> bool {
        let path = any_index(path);
        let below = |field: &str| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.objects.contains(title) || self.fields.iter().any(|(k, field)| k == kind(title) && below(field))
    }
}

fn kind(title: &str) -> &str {
    title.split('/').next().unwrap_or_default()
}

fn any_index(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |any, part| match part.split_once(']') {
        Some((index, rest)) if index.parse::<usize>().is_ok() => format!("{any}[*]{rest}"),
        _ => format!("{any}[{part}"),
    })
}

/// The objects of documents, those of lists by themselves.
fn objects(documents: Vec<Value>) -> Vec<Value> {
    let expand = |document: Value| match document {
        Value::Array(items) => objects(items),
        Value::Null => Vec::new(),
        Value::Object(mut map) if map.get("kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("List")) => {
            objects(map.remove("items").and_then(|i| i.as_array().cloned()).unwrap_or_default())
        }
        object => vec![object],
    };
    documents.into_iter().flat_map(expand).collect()
}

fn title(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().expect("a kind"), object["metadata"]["name"].as_str().expect("a name"))
}

fn leaves(value: &Value, title: &str, path: &str, see: &mut impl FnMut(&str, &str, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, below) in map {
                let step = if key.contains(['.', '[']) { format!("[\"{key}\"]") } else { format!(".{key}") };
                leaves(below, title, format!("{path}{step}").trim_start_matches('.'), see);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(i, below)| leaves(below, title, &format!("{path}[{i}]"), see));
        }
        leaf => see(title, path, leaf),
    }
}
