//! Pods that fail and are repaired, of which the others hear late.

use super::world::{World, milliseconds};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;
use svcsim_models::spec::{Action, EventSpec, NodeTarget};

/// Cycles of up and down that the suggested requests are spread over.
const CYCLES: f64 = 10_000.0;
/// Requests for each that is suggested: suggested are looks at the state of the Pods, each of which tells more than one request.
const REQUESTS: f64 = 10.0;
/// A loss of which fewer are expected in all replications together is not judged: there may be none.
const FEWEST: f64 = 10.0;

/// Each Pod on a Node of its own, which is cut off for a while again and again; the control plane finds out after the delay,
/// and at once when it is back.
pub(super) fn plan(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "up_mean_s", "down_mean_s", "detection_delay_s"])?;
    let (pods, up, down) = (vector.count("pods")?, vector.number("up_mean_s")?, vector.number("down_mean_s")?);
    if up <= 0.0 || down <= 0.0 {
        return Err("times of no length".to_owned());
    }
    let requests = vector.suggested("requests_per_replication").unwrap_or(100_000.0).max(1.0);
    let share = effort.scale.min(1.0);
    let duration = CYCLES * (up + down) * share;
    let world = World {
        source: Value::Null,
        // One more for the clients.
        nodes: pods + 1,
        pods,
        behaviour: json!({"serviceTime": "1ns", "concurrency": 1_000_000, "startup": "0s"}),
        rate: REQUESTS * requests * share / duration,
        to_node: milliseconds(0.0).into(),
        warm_up: 0.0,
        duration,
    };
    let mut spec = world.spec()?;
    let time = |s: f64| SimDuration::from_nanos_f64(s * 1e9);
    spec.node_lifecycle.lease_renewal = SimDuration::from_millis(1);
    spec.node_lifecycle.monitor_period = SimDuration::from_millis(1);
    spec.node_lifecycle.grace_period = time(vector.number("detection_delay_s")?);
    spec.node_lifecycle.toleration = SimDuration::from_secs(10_000_000_000);
    let node = |i: u32| spec.nodes[i as usize].name.clone();
    let names: Vec<String> = (0..pods).map(node).collect();
    let clients = node(pods);
    for workload in &mut spec.workloads {
        workload.placed_on.clone_from(&names);
    }
    for name in &names {
        let exponential = |mean: f64| DistSpec::Exponential { mean: time(mean) };
        let cut = Action::NodeCut(NodeTarget { node: Some(name.clone()) });
        let event =
            EventSpec { uptime: Some(exponential(up)), lasts: Some(exponential(down)), every: None, ..EventSpec::at(time(0.0), cut) };
        spec.events.insert(format!("cut-{name}"), EventSpec { at: None, ..event });
    }
    for source in spec.traffic.values_mut() {
        source.tcp.retransmit = false;
    }
    clients_on(&mut spec, &clients);
    let replications = vector.suggested("replications").unwrap_or(20.0).clamp(2.0, 1_000.0) as u64;
    let all = REQUESTS * requests * share * replications as f64;
    let expected = |name: &str| vector.expected.get(name).and_then(|e| e.get("value")?.as_f64()).unwrap_or(1.0) * all;
    let rare: Vec<&str> = ["failed_fraction", "refused_fraction"].into_iter().filter(|name| expected(name) < FEWEST).collect();
    let measure = move |results: &[RunResult]| {
        let mut found = results.first().map(|run| measured(run, &names, duration)).unwrap_or_default();
        found.retain(|name, _| !rare.contains(name));
        found
    };
    Ok(Plan { specs: vec![spec], replications, share, measure: Box::new(measure) })
}

/// Requests come from a Node that never fails.
fn clients_on(spec: &mut svcsim_models::spec::ClusterSpec, node: &str) {
    let mut callers = spec.workloads[0].clone();
    callers.name = "client".to_owned();
    callers.field = "deployments.client".to_owned();
    callers.labels = BTreeMap::from([("app".to_owned(), "client".to_owned())]);
    (callers.replicas, callers.placed_on) = (1, vec![node.to_owned()]);
    spec.workloads.push(callers);
    for source in spec.traffic.values_mut() {
        source.from = svcsim_models::spec::Origin::Workload("client".to_owned());
    }
}

fn measured(run: &RunResult, nodes: &[String], duration: f64) -> BTreeMap<&'static str, f64> {
    let series = &run.series[0];
    let share = |outcome: Outcome| series.outcomes_ever[outcome as usize] as f64 / series.arrivals_ever.max(1) as f64;
    // Time that so many Pods were up, and listed, from one change to the next.
    let n = nodes.len();
    let ends = run.marks.iter().map(|m| (m.time.as_secs_f64(), if m.began { -1.0 } else { 1.0 }));
    let (up, all_up) = over_time(ends, n, duration);
    let listed = run.incidents.iter().filter(|i| i.pod.starts_with("web")).filter_map(|i| match i.event.as_ref() {
        "ready" => Some((i.time.as_secs_f64(), 1.0)),
        "unready" => Some((i.time.as_secs_f64(), -1.0)),
        _ => None,
    });
    let (listed, _) = over_time(listed, n, duration);
    BTreeMap::from([
        ("pod_availability", up / n as f64),
        ("p_all_up", all_up),
        ("listed_pods_mean", listed),
        ("failed_fraction", share(Outcome::Blackhole)),
        ("refused_fraction", share(Outcome::Rejected)),
    ])
}

/// The mean over time of a number that begins at `n` and changes, and the part of the time that it is `n`.
fn over_time(changes: impl Iterator<Item = (f64, f64)>, n: usize, duration: f64) -> (f64, f64) {
    let (mut level, mut last, mut area, mut full) = (n as f64, 0.0, 0.0, 0.0);
    for (time, change) in changes.filter(|(time, _)| *time < duration).chain([(duration, 0.0)]) {
        area += level * (time - last);
        full += if level == n as f64 { time - last } else { 0.0 };
        (level, last) = (level + change, time);
    }
    (area / duration, full / duration)
}
