//! What controllers and kube-proxies decide before rules are written.

use super::dataplane::{Names, read};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::{SimDuration, SimTime};
use svcsim_models::api::{Conditions, Endpoint, Hints};
use svcsim_models::control_plane::proxy_sync::SyncRunner;
use svcsim_models::control_plane::slices::{ExistingSlice, Packing};
use svcsim_models::control_plane::topology::NodeCpu;
use svcsim_models::control_plane::{conditions, health_check, hints, slices, topology};
use svcsim_models::ids::{NodeId, PodId, ZoneId};
use svcsim_models::spec::TrafficDistribution;

/// Most endpoints, slices or runs that a case may ask for.
const MOST: usize = 1_000_000;

fn bounded(what: &str, n: impl IntoIterator<Item = usize>) -> Result<(), String> {
    let n = n.into_iter().fold(0, usize::saturating_add);
    if n <= MOST { Ok(()) } else { Err(format!("{n} {what}; expected at most {MOST}")) }
}

/// An endpoint that only its place in a list tells from others.
fn endpoint(i: usize, conditions: Conditions) -> Endpoint {
    Endpoint {
        pod: PodId(i as u32),
        ip: IpAddr::V4(Ipv4Addr::from(i as u32)),
        port: 80,
        node: None,
        zone: None,
        conditions,
        hints: Hints::default(),
    }
}

fn ready(ready: bool) -> Conditions {
    Conditions { ready, serving: ready, terminating: false }
}

fn written(c: Conditions) -> Value {
    json!({ "ready": c.ready, "serving": c.serving, "terminating": c.terminating })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodState {
    pod_ready: bool,
    deletion_requested: bool,
    publish_not_ready_addresses: bool,
}

/// `endpoint_conditions`
pub fn endpoint_conditions(_: &Value, input: &Value) -> Result<Value, String> {
    let case: PodState = read(input)?;
    Ok(written(conditions::of_pod(case.pod_ready, case.deletion_requested, case.publish_not_ready_addresses)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

/// `slice_condition_defaults`
pub fn slice_condition_defaults(_: &Value, input: &Value) -> Result<Value, String> {
    let case: WrittenConditions = read(input)?;
    Ok(written(conditions::as_read(case.ready, case.serving, case.terminating)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MissingNode {
    pod_nodes: Vec<Option<String>>,
    nodes_present: BTreeSet<String>,
    publish_not_ready_addresses: bool,
    existing_slice_has_both: bool,
}

/// `slice_missing_node`
pub fn slice_missing_node(_: &Value, input: &Value) -> Result<Value, String> {
    let case: MissingNode = read(input)?;
    let exists = |node: &Option<String>| node.as_ref().is_some_and(|n| case.nodes_present.contains(n));
    let kept = case.pod_nodes.iter().filter(|n| slices::admits(exists(n), case.publish_not_ready_addresses)).count();
    let removed = case.pod_nodes.len() - kept;
    let packing = if case.existing_slice_has_both {
        slices::pack(&[ExistingSlice { kept, removed, ..ExistingSlice::default() }], 0, slices::DEFAULT_MAX)
    } else {
        slices::pack(&[], kept, slices::DEFAULT_MAX)
    };
    let Packing { lengths, creates, updates, deletes, .. } = packing;
    let endpoints: usize = lengths.iter().sum();
    Ok(json!({ "endpoints": endpoints, "retry": removed > 0, "creates": creates, "updates": updates, "deletes": deletes }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlicePacking {
    max_endpoints_per_slice: usize,
    existing: Vec<OldSlice>,
    new_endpoints: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldSlice {
    kept: usize,
    removed: usize,
    endpoint_changed: bool,
    port_set_changed: bool,
}

/// `slice_packing`
pub fn slice_packing(_: &Value, input: &Value) -> Result<Value, String> {
    let case: SlicePacking = read(input)?;
    if case.max_endpoints_per_slice == 0 {
        return Err("max_endpoints_per_slice is 0; expected at least 1".to_owned());
    }
    bounded("endpoints", case.existing.iter().map(|s| s.kept).chain([case.new_endpoints]))?;
    let existing: Vec<ExistingSlice> = case
        .existing
        .iter()
        .map(|s| ExistingSlice {
            kept: s.kept,
            removed: s.removed,
            endpoint_changed: s.endpoint_changed,
            port_set_changed: s.port_set_changed,
        })
        .collect();
    let mut found = slices::pack(&existing, case.new_endpoints, case.max_endpoints_per_slice);
    found.lengths.sort_unstable();
    let Packing { lengths, creates, updates, deletes, .. } = found;
    Ok(json!({ "slice_lengths_sorted": lengths, "creates": creates, "updates": updates, "deletes": deletes }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Distribution {
    traffic_distribution: Option<String>,
    endpoints: Vec<PlacedEndpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacedEndpoint {
    zone: Option<String>,
    node: Option<String>,
    ready: bool,
    zone_hints: Vec<String>,
    node_hints: Vec<String>,
}

/// `traffic_distribution_hints`
pub fn traffic_distribution_hints(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Distribution = read(input)?;
    let (mut zones, mut nodes) = (Names::default(), Names::default());
    let place = |(i, e): (usize, &PlacedEndpoint)| Endpoint {
        node: e.node.as_ref().map(|n| nodes.id(n)),
        zone: e.zone.as_ref().map(|z| zones.id(z)),
        hints: Hints {
            zones: e.zone_hints.iter().map(|z| zones.id(z)).collect(),
            nodes: e.node_hints.iter().map(|n| nodes.id(n)).collect(),
        },
        ..endpoint(i, ready(e.ready))
    };
    let mut endpoints: Vec<Endpoint> = case.endpoints.iter().enumerate().map(place).collect();
    let distribution = match case.traffic_distribution.as_deref() {
        Some("PreferClose" | "PreferSameZone") => Some(TrafficDistribution::PreferSameZone),
        Some("PreferSameNode") => Some(TrafficDistribution::PreferSameNode),
        _ => None,
    };
    hints::prefer(distribution, &mut endpoints);
    let hints = |e: &Endpoint| {
        let zones: Vec<_> = e.hints.zones.iter().map(|z| zones.name(*z)).collect();
        let nodes: Vec<_> = e.hints.nodes.iter().map(|n| nodes.name(*n)).collect();
        json!({ "zone_hints": zones, "node_hints": nodes })
    };
    Ok(json!({ "hints": endpoints.iter().map(hints).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    #[serde(rename = "service.kubernetes.io/topology-mode")]
    topology_mode: Option<String>,
    #[serde(rename = "service.kubernetes.io/topology-aware-hints")]
    topology_aware_hints: Option<String>,
}

/// `hints_annotation`
pub fn hints_annotation(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Annotations = read(input)?;
    Ok(json!({ "enabled": hints::hints_enabled(case.topology_mode.as_deref(), case.topology_aware_hints.as_deref()) }))
}

/// Zones in the order of their names, so that the first of equals does not depend on the order of a case.
fn in_order<'a>(names: impl IntoIterator<Item = &'a String>) -> Names {
    let mut zones = Names::default();
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        let _: ZoneId = zones.id(name);
    }
    zones
}

fn by_name<T>(counts: impl IntoIterator<Item = (ZoneId, T)>, zones: &Names) -> BTreeMap<String, T> {
    counts.into_iter().map(|(zone, n)| (zones.name(zone), n)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    zone: Option<String>,
    cpu_millis: Option<u64>,
    ready: bool,
    control_plane: bool,
}

/// `topology_node_ratios`
pub fn topology_node_ratios(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Nodes = read(input)?;
    let mut zones = Names::default();
    let nodes = case.nodes.iter().map(|n| NodeCpu {
        zone: n.zone.as_ref().filter(|z| !z.is_empty()).map(|z| zones.id(z)),
        cpu_millis: n.cpu_millis,
        ready: n.ready,
        control_plane: n.control_plane,
    });
    let ratios = topology::cpu_ratios(nodes);
    Ok(json!({ "cpu_ratio_by_zone": ratios.map(|r| by_name(r, &zones)) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auto {
    cpu_ratio_by_zone: Option<BTreeMap<String, f64>>,
    ready_endpoints_by_zone: BTreeMap<String, usize>,
}

/// `topology_auto`: endpoints under an empty name have no zone.
pub fn topology_auto(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Auto = read(input)?;
    bounded("endpoints", case.ready_endpoints_by_zone.values().copied())?;
    let mut zones = in_order(case.cpu_ratio_by_zone.iter().flat_map(BTreeMap::keys).chain(case.ready_endpoints_by_zone.keys()));
    let mut ratios = BTreeMap::new();
    for (zone, ratio) in case.cpu_ratio_by_zone.iter().flatten() {
        if zone.is_empty() || !(0.0..=1.0).contains(ratio) {
            return Err(format!("zone `{zone}` has the ratio {ratio}; expected a name, and 0 to 1"));
        }
        ratios.insert(zones.id(zone), *ratio);
    }
    let mut endpoints = Vec::new();
    for (name, count) in &case.ready_endpoints_by_zone {
        let zone = (!name.is_empty()).then(|| zones.id(name));
        endpoints.extend((0..*count).map(|i| Endpoint { zone, ..endpoint(i, ready(true)) }));
    }
    let ratios = case.cpu_ratio_by_zone.is_some().then_some(&ratios);
    match topology::add_hints(ratios, &mut endpoints) {
        Err(disabled) => Ok(json!({ "enabled": false, "reason": disabled.reason() })),
        Ok(cross_zone) => {
            let mut hinted: BTreeMap<ZoneId, usize> = BTreeMap::new();
            for zone in endpoints.iter().flat_map(|e| &e.hints.zones) {
                *hinted.entry(*zone).or_default() += 1;
            }
            Ok(json!({ "enabled": true, "hints_per_zone": by_name(hinted, &zones), "cross_zone_hints": cross_zone }))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebalance {
    desired_by_zone: BTreeMap<String, f64>,
    allocated_by_zone: BTreeMap<String, i64>,
}

/// `topology_rebalance`
pub fn topology_rebalance(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Rebalance = read(input)?;
    let sizes = case.desired_by_zone.values().map(|n| n.abs() as usize);
    bounded("endpoints", sizes.chain(case.allocated_by_zone.values().map(|n| n.unsigned_abs() as usize)))?;
    let mut zones = in_order(case.desired_by_zone.keys().chain(case.allocated_by_zone.keys()));
    let desired = case.desired_by_zone.iter().map(|(zone, n)| (zones.id(zone), *n)).collect();
    let allocated = case.allocated_by_zone.iter().map(|(zone, n)| (zones.id(zone), *n)).collect();
    let [give, receive] = topology::giving_and_receiving(&desired, &allocated);
    Ok(json!({ "give": by_name(give, &zones), "receive": by_name(receive, &zones) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncSchedule {
    min_interval_ms: u64,
    max_interval_ms: u64,
    retry_interval_ms: u64,
    run_ms: u64,
    trigger_ms: Vec<u64>,
    failing_runs: BTreeSet<usize>,
    until_ms: u64,
}

/// `proxy_sync_schedule`
pub fn proxy_sync_schedule(_: &Value, input: &Value) -> Result<Value, String> {
    let case: SyncSchedule = read(input)?;
    if case.max_interval_ms < case.min_interval_ms {
        return Err(format!("max_interval_ms is {}; expected at least min_interval_ms, {}", case.max_interval_ms, case.min_interval_ms));
    }
    let at = |ms| SimTime::ZERO + SimDuration::from_millis(ms);
    let [min, max, retry, run] =
        [case.min_interval_ms, case.max_interval_ms, case.retry_interval_ms, case.run_ms].map(SimDuration::from_millis);
    let mut triggers: Vec<SimTime> = case.trigger_ms.iter().map(|ms| at(*ms)).collect();
    triggers.sort_unstable_by(|a, b| b.cmp(a));
    let mut runner = SyncRunner::new(min, Some(max), retry);
    let mut starts: Vec<u64> = Vec::new();
    let mut now = SimTime::ZERO;
    loop {
        now = [triggers.last().copied(), runner.due()].into_iter().flatten().min().map_or(SimTime::MAX, |t| t.max(now));
        if now > at(case.until_ms) || now == SimTime::MAX {
            return Ok(json!({ "run_start_ms": starts }));
        }
        trigger_until(&mut runner, &mut triggers, now);
        if runner.start(now) {
            bounded("runs", [starts.len()])?;
            let ok = !case.failing_runs.contains(&starts.len());
            starts.push(now.as_nanos() / 1_000_000);
            now += run;
            trigger_until(&mut runner, &mut triggers, now);
            let _ = runner.finish(now, ok);
        }
    }
}

/// Takes triggers from the end of the list; those at `time` come before what else happens then.
fn trigger_until(runner: &mut SyncRunner, triggers: &mut Vec<SimTime>, time: SimTime) {
    while let Some(next) = triggers.pop_if(|t| *t <= time) {
        let _ = runner.trigger(next);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthCheck {
    endpoints: Vec<CheckedEndpoint>,
    proxy_healthy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckedEndpoint {
    ip: IpAddr,
    local: bool,
    ready: bool,
    serving: bool,
    terminating: bool,
}

/// `health_check_node_port`
pub fn health_check_node_port(_: &Value, input: &Value) -> Result<Value, String> {
    let case: HealthCheck = read(input)?;
    let here = NodeId(0);
    let place = |(i, e): (usize, &CheckedEndpoint)| Endpoint {
        ip: e.ip,
        node: e.local.then_some(here),
        ..endpoint(i, Conditions { ready: e.ready, serving: e.serving, terminating: e.terminating })
    };
    let endpoints: Vec<Endpoint> = case.endpoints.iter().enumerate().map(place).collect();
    let found = health_check::answer(here, &endpoints, case.proxy_healthy);
    Ok(json!({ "local_ready": found.local_ready, "status": found.status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_schedules_end() {
        let case = |min: u64, max: u64, triggers: Value| {
            let input = json!({ "min_interval_ms": min, "max_interval_ms": max, "retry_interval_ms": 0, "run_ms": 0,
                "trigger_ms": triggers, "failing_runs": [1], "until_ms": 50 });
            proxy_sync_schedule(&Value::Null, &input).map(|found| found["run_start_ms"].clone())
        };
        assert_eq!(case(10, 20, json!([])), Ok(json!([20, 40, 50])), "the failed run is repeated");
        assert_eq!(case(10, 100, json!([7, 3, 3, 60])), Ok(json!([3, 13, 23])));
        assert_eq!(case(0, u64::MAX, json!([0, u64::MAX])), Ok(json!([0])));
        assert!(case(0, 0, json!([])).is_err_and(|e| e.contains("runs")));
        assert!(case(2, 1, json!([])).is_err());
    }

    #[test]
    fn odd_zones_are_answered_or_refused() {
        let auto = |ratios: Value, ready: Value| {
            let found = topology_auto(&Value::Null, &json!({ "cpu_ratio_by_zone": ratios, "ready_endpoints_by_zone": ready }))?;
            Ok::<_, String>(found.get("reason").or(found.get("hints_per_zone")).cloned().unwrap_or_default())
        };
        let half = || json!({ "a": 0.5, "b": 0.5 });
        assert_eq!(auto(half(), json!({})), Ok(json!("fewer_endpoints_than_zones")));
        assert_eq!(auto(half(), json!({ "a": 2, "": 2 })), Ok(json!("no_zone_specified")));
        assert_eq!(auto(half(), json!({ "c": 1, "a": 3 })), Ok(json!({ "a": 2, "b": 1, "c": 1 })));
        assert_eq!(auto(json!({ "a": 1.0 }), json!({ "a": 3 })), Ok(json!("nodes_ready_in_one_zone_only")));
        assert!(auto(json!({ "a": 5.0, "b": -4.0 }), json!({ "a": 3 })).is_err());
        assert!(auto(half(), json!({ "a": u64::MAX, "b": u64::MAX })).is_err());
        let rebalance = |n: f64| {
            let input = json!({ "desired_by_zone": { "a": -n, "b": n }, "allocated_by_zone": {} });
            topology_rebalance(&Value::Null, &input)
        };
        assert_eq!(rebalance(3.0), Ok(json!({ "give": { "a": 3 }, "receive": { "b": 3 } })));
        assert!(rebalance(1e300).is_err());
    }

    #[test]
    fn pods_without_any_node_leave_a_placeholder() {
        let case = |existing: bool| {
            let input = json!({ "pod_nodes": ["x", null], "nodes_present": [], "publish_not_ready_addresses": false,
                "existing_slice_has_both": existing });
            slice_missing_node(&Value::Null, &input)
        };
        assert_eq!(case(true), Ok(json!({ "endpoints": 0, "retry": true, "creates": 0, "updates": 1, "deletes": 0 })));
        assert_eq!(case(false), Ok(json!({ "endpoints": 0, "retry": true, "creates": 1, "updates": 0, "deletes": 0 })));
    }
}
