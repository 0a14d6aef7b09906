//! `svcsim explain`: the shipped stories show what they are shipped for, in every format.

use crate::desk::{Desk, SMALL, Said, shipped};
use serde_json::Value;

/// `svcsim explain` of a shipped story.
fn explain(name: &str, arguments: &[&str]) -> Said {
    let path = shipped(&format!("explain/{name}.yaml"));
    let said = Desk::empty().svcsim(&[&["explain", path.to_str().expect("a path")], arguments].concat());
    assert_eq!(said.code, Some(0), "{name} {arguments:?}: {}", said.err);
    said
}

/// The text, with these sentences in it, wherever its lines break.
#[track_caller]
fn tells(name: &str, arguments: &[&str], sentences: &[&str]) -> String {
    let text = explain(name, arguments).out;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in sentences {
        assert!(flat.contains(sentence), "{name} does not say: {sentence}\n{text}");
    }
    assert!(text.lines().all(|l| l.chars().count() <= 110), "long lines: {text}");
    text
}

fn json(name: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&explain(name, &[arguments, &["--format", "json"]].concat()).out).expect("JSON")
}

/// The steps of a kind.
fn steps<'a>(story: &'a Value, kind: &str) -> Vec<&'a Value> {
    story["steps"].as_array().expect("steps").iter().filter(|s| s["step"] == kind).collect()
}

fn decision(story: &Value) -> &Value {
    steps(story, "decides").first().expect("a decision")
}

#[test]
fn every_shipped_story_is_an_experiment_without_a_warning() {
    let names = ["extra-hop", "lost-client-address", "local-drop", "sticky-keep-alive", "short-circuit", "vanishing-hints"];
    let paths = names.map(|n| shipped(&format!("explain/{n}.yaml")).to_str().expect("a path").to_owned());
    let shipped = std::fs::read_dir(shipped("explain")).expect("a folder").count();
    assert_eq!(shipped, names.len(), "a story without a test");
    let arguments: Vec<&str> = std::iter::once("check").chain(paths.iter().map(String::as_str)).collect();
    let said = Desk::empty().svcsim(&arguments);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
}

#[test]
fn the_extra_hop_is_told() {
    let text = tells(
        "extra-hop",
        &[],
        &[
            "That is the extra hop of externalTrafficPolicy Cluster.",
            "NodePort: one port number that every Node of the cluster answers",
            "The answer crosses 3 links: worker-2 → zone-b → zone-a → worker-1.",
            "with an extra hop on its way, and the Pod never saw the client's address.",
        ],
    );
    assert_eq!(text.matches("* NodePort:").count(), 1, "a word is explained once");
    insta::assert_snapshot!("extra_hop", text);
    let story = json("extra-hop", &[]);
    assert_eq!((&decision(&story)["extraHop"], &decision(&story)["snat"]), (&true.into(), &true.into()));
    let hops: u64 = steps(&story, "crosses").iter().map(|s| s["path"].as_array().expect("a path").len() as u64 - 1).sum();
    assert_eq!((hops, &story["times"]["hops"]), (12, &12.into()));
}

#[test]
fn the_lost_client_address_is_told() {
    tells("lost-client-address", &["--point", "0"], &["The source is rewritten (SNAT): the Pod sees 172.16.0.1 and not the client's"]);
    let (lost, kept) = (json("lost-client-address", &["--point", "0"]), json("lost-client-address", &["--point", "1"]));
    let client = lost["steps"][0]["packet"].as_str().expect("a packet").split([' ', ':']).nth(1).expect("an address");
    assert_eq!((&decision(&lost)["snat"], &decision(&kept)["snat"]), (&true.into(), &false.into()));
    assert_eq!(decision(&lost)["extraHop"], false, "even where the Pod is on the entry Node");
    assert_eq!((&steps(&lost, "serves")[0]["sees"], &steps(&kept, "serves")[0]["sees"]), (&"172.16.0.1".into(), &client.into()));
    assert_eq!((&lost["levels"]["externalTrafficPolicy"], &kept["levels"]["externalTrafficPolicy"]), (&"Cluster".into(), &"Local".into()));
}

#[test]
fn the_silent_drop_is_told() {
    tells(
        "local-drop",
        &[],
        &[
            "The policy is Local and Node worker-1 (zone-a) runs no usable Pod of the Service, though other Nodes do.",
            "The packet is dropped, not refused: the client hears nothing and waits for its whole timeout.",
            "left out: on another Node, and the policy is Local",
            "The request failed after 1000.000 ms",
        ],
    );
    let story = json("local-drop", &[]);
    assert_eq!((&story["outcome"], &decision(&story)["chosen"]), (&"policy_drop".into(), &Value::Null));
    assert_eq!(story["times"]["totalNs"], 1_000_000_000);
    assert!(steps(&story, "serves").is_empty());
}

#[test]
fn the_sticky_connection_is_told() {
    let first = json("sticky-keep-alive", &[]);
    let chosen = decision(&first)["chosen"].clone();
    for request in ["1", "5", "20"] {
        tells("sticky-keep-alive", &["--request", request], &["no Pod is chosen again", "Keep-alive balances connections, not requests."]);
        let story = json("sticky-keep-alive", &["--request", request]);
        assert!(steps(&story, "decides").is_empty(), "{story}");
        assert_eq!(steps(&story, "sends")[0]["reused"], true);
        assert_eq!(steps(&story, "serves")[0]["place"], chosen);
    }
}

#[test]
fn the_short_circuit_is_told() {
    let text = tells(
        "short-circuit",
        &[],
        &[
            "the packet never reaches the load balancer, its health checks or its firewall.",
            "since the sender is inside the cluster (policy Local is for the outside)",
        ],
    );
    insta::assert_snapshot!("short_circuit", text);
    let (inside, outside) = (json("short-circuit", &[]), json("short-circuit", &["--source", "outside"]));
    assert!(steps(&inside, "balances").is_empty(), "{inside}");
    assert_eq!(steps(&outside, "balances").len(), 1);
    assert_eq!(decision(&inside)["place"], "Node worker-1 (zone-a)");
    assert_eq!((&inside["times"]["loadBalancerNs"], &decision(&inside)["snat"]), (&0.into(), &false.into()));
}

#[test]
fn the_vanishing_hints_are_told() {
    let bare = "the hints vanish: Pod web-2 has none, since its Node carries no zone label.";
    tells("vanishing-hints", &["--source", "bare-endpoint"], &[bare, "* hint: a mark on an endpoint"]);
    tells("vanishing-hints", &["--source", "empty-zone"], &["no ready endpoint is meant for this Node's zone"]);
    let story = json("vanishing-hints", &["--source", "bare-endpoint"]);
    let usable = decision(&story)["candidates"].as_array().expect("candidates").iter().filter(|c| c["leftOut"].is_null()).count();
    assert_eq!(usable, 3, "all of them");
}

/// What the format asks of each event: ui.perfetto.dev and chrome://tracing refuse or misread traces without it.
#[test]
fn the_trace_is_in_the_trace_event_format() {
    for (name, arguments) in [("extra-hop", &[][..]), ("local-drop", &[]), ("sticky-keep-alive", &["--request", "5"])] {
        let trace: Value = serde_json::from_str(&explain(name, &[arguments, &["--format", "perfetto"]].concat()).out).expect("JSON");
        assert_eq!(trace["displayTimeUnit"], "ns");
        let events = trace["traceEvents"].as_array().expect("a list of events");
        let story = json(name, arguments);
        let mut named = std::collections::BTreeSet::new();
        let mut slices: Vec<(u64, f64, f64)> = Vec::new();
        for event in events {
            assert!(event["name"].is_string() && event["pid"].is_u64() && event["args"].is_object(), "{event}");
            match event["ph"].as_str().expect("a phase") {
                "M" if event["name"] == "thread_name" => drop(named.insert(event["tid"].as_u64())),
                "M" => {}
                "X" => {
                    let (ts, dur) = (event["ts"].as_f64().expect("a time"), event["dur"].as_f64().expect("a duration"));
                    assert!(ts >= 0.0 && dur >= 0.0, "{event}");
                    slices.push((event["tid"].as_u64().expect("a track"), ts, ts + dur));
                }
                "i" => assert_eq!((event["s"].as_str(), event["ts"].is_f64()), (Some("t"), true), "{event}"),
                other => panic!("a phase {other}"),
            }
        }
        let used = events.iter().filter(|e| e["ph"] != "M").map(|e| e["tid"].as_u64());
        assert!(used.clone().all(|tid| named.contains(&tid)), "a track without a name");
        // The request's own slice, and one event a step.
        assert_eq!(used.count(), 1 + story["steps"].as_array().expect("steps").len());
        let clash = |a: &(u64, f64, f64), b: &(u64, f64, f64)| a.0 == b.0 && a.1 < b.1 && b.1 < a.2 - 1e-6 && a.2 < b.2 - 1e-6;
        assert!(!slices.iter().any(|a| slices.iter().any(|b| clash(a, b))), "slices of a track overlap: {slices:?}");
    }
}

#[test]
fn what_does_not_exist_is_said_so() {
    let desk = Desk::with(SMALL);
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let said = desk.svcsim(&[&["explain", "small.yaml"], arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{arguments:?}: {}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{arguments:?} does not say {part}\n{}", said.err);
        }
    };
    refused(&["--source", "nobody"], 2, &["error: --source: there is no source `nobody`", "help: name one of users"]);
    refused(&["--point", "2"], 2, &["error: --point: no design point 2: the design has 2", "help: give 0 to 1"]);
    refused(&["--replication", "2"], 2, &["error: --replication: no replication 2: the design has 2", "help: give 0 to 1"]);
    refused(&["--request", "100000"], 1, &["there is no request 100000 of `users`: it sends ", "lengthen run.duration"]);
    refused(&["--set", "run.duration=5"], 2, &["run.duration"]);
    refused(&["--out", "small.yaml"], 2, &["small.yaml is there already"]);
}

#[test]
fn the_same_request_is_told_in_the_same_words_and_another_in_others() {
    let desk = Desk::with(SMALL);
    let told = |arguments: &[&str]| desk.succeeds(&[&["explain", "small.yaml"], arguments].concat());
    let plain = told(&[]);
    assert_eq!(plain, told(&["--source", "users", "--request", "0", "--point", "0", "--replication", "0", "--seed", "1"]));
    for other in [["--request", "1"], ["--point", "1"], ["--replication", "1"], ["--seed", "2"]] {
        assert_ne!(plain, told(&other), "{other:?}");
    }
    assert_eq!(told(&["--out", "story.txt"]), "");
    assert_eq!(desk.text("story.txt"), plain);
    let keys =
        |text: &str| serde_json::from_str::<Value>(text).expect("JSON").as_object().expect("a map").keys().cloned().collect::<Vec<_>>();
    let first = ["experiment", "point", "label", "levels", "replication", "seed"];
    let then = ["source", "request", "outcome", "startNs", "endNs", "times", "steps"];
    assert_eq!(keys(&told(&["--format", "json"])), [&first[..], &then].concat());
}

#[test]
fn long_lists_are_cut() {
    let many = SMALL.replace("replicas: 3", "replicas: 60").replace("perZone: 2", "perZone: 20");
    let desk = Desk::with(many);
    let text = desk.succeeds(&["explain", "small.yaml"]);
    assert!(text.contains("60 of 60 may be chosen"), "{text}");
    let more = text.lines().find(|l| l.contains("… and 4")).expect("not all are listed");
    assert!(more.contains("… and 48 more") || more.contains("… and 47 more"), "{more}");
    assert_eq!(text.lines().filter(|l| l.trim_start().starts_with('>')).count(), 1, "the chosen one is listed: {text}");
}
