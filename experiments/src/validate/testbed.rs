//! Measurements of real kernels: what a run of a testbed found, against runs of the same cluster, load and script.
//!
//! One line is one run, so what was measured has the spread of one run: it may lie four such spreads from the mean of ours. The
//! testbed's own delays (`constants.json` beside the file) are added to ours before latencies are compared.
//!
//! Of the script: `kill` is a deletion without grace, `term` one where the application stops accepting (`drain:<ms>`: after so
//! long), `netgone` one that nobody hears of, `blackhole` a Node cut off, `stop` a process that hangs; `drop` and `sync` say when
//! Nodes know of it.

use super::Effort;
use super::judge::{Finding, judge_latency, judge_run};
use super::world::seconds;
use crate::input::experiment::Loaded;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Streams, entity};
use svcsim_engine::stats::fairness::chi_square;
use svcsim_models::cluster::{Outcome, run};
use svcsim_models::dataplane::{DataPlaneSpec, SyncSpec, iptables, nftables};
use svcsim_models::record::RunResult;
use svcsim_models::spec::ClusterSpec;

/// Replications, all of the measured length.
const REPLICATIONS: u64 = 100;
/// How late the kernel sends a SYN again, and how far that is from what one may expect, µs each time: the grain of its timers.
const LATE: (f64, f64) = (20_000.0, 10_000.0);
/// What takes less is mostly the testbed's own, of which only the middle is known, µs.
const OWN: f64 = 1_000.0;
/// Longer than any run: what comes so late never comes.
const NEVER: f64 = 1e6;
/// Fewest points of a server on HAProxy's ring with which its `random` is even, as weights: with fewer, shares are uneven by the
/// hashes of the servers' names.
const EVEN_WEIGHT: u32 = 100;

/// One line of a file of measurements.
#[derive(Deserialize)]
pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) exp: String,
    params: Value,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    status: BTreeMap<String, u64>,
    #[serde(default)]
    served_by_pod: BTreeMap<String, u64>,
    #[serde(default)]
    latency_us: Map<String, Value>,
}

/// `params`, as far as runs can express them: any other key is another testbed than the one that is run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    path: String,
    #[serde(default)]
    proxy: String,
    pods: Vec<PodParams>,
    load: Load,
    #[serde(default)]
    events: Vec<Op>,
    lb: Option<Balancer>,
    #[serde(default)]
    svc: Svc,
    backlog: Option<u32>,
    gone: Option<String>,
    reps: Option<u32>,
    #[serde(default, rename = "chi2")]
    _chi2: bool,
}

/// The Service.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Svc {
    /// `externalTrafficPolicy`.
    etp: Option<String>,
    /// Session affinity by client, for so many seconds.
    affinity: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodParams {
    node: u32,
    slots: u32,
    queue: Option<u32>,
    term: Option<String>,
    backlog: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    rate: f64,
    duration: f64,
    #[serde(default, rename = "seed")]
    _seed: u64,
    demand: String,
    #[serde(default = "one")]
    src: u32,
    timeout: Option<f64>,
    mode: Option<String>,
}

fn one() -> u32 {
    1
}

/// One operation of the script.
#[derive(Deserialize)]
struct Op {
    at: f64,
    op: String,
    pod: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balancer {
    balance: String,
    backend: String,
    weight: Option<u32>,
    hash_type: Option<String>,
    check: Option<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    inter: f64,
    fall: u32,
    rise: u32,
}

/// The testbed's own delays on one path, µs.
#[derive(Clone, Copy, Deserialize)]
struct Delays {
    way_in: Spread,
    way_out: f64,
    overshoot: Option<Spread>,
    turnaround: Option<Spread>,
}

#[derive(Clone, Copy, Deserialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

/// The testbed's own delays, by path.
#[derive(Default, Deserialize)]
pub(super) struct Constants {
    paths: BTreeMap<String, Value>,
}

impl Constants {
    fn of(&self, p: &Params) -> Option<Delays> {
        let kept = p.load.mode.as_deref().is_some_and(|mode| mode != "conn");
        let local = p.svc.etp.as_deref() == Some("Local");
        let name = match p.path.as_str() {
            "lb" if p.lb.as_ref().is_none_or(|lb| lb.backend == "pods") => "lb-pods".to_owned(),
            "lb" => format!("lb-nodeports-{}", if local { "local" } else { "cluster" }),
            path if kept => format!("{path}-keepalive"),
            path => path.to_owned(),
        };
        Delays::deserialize(self.paths.get(&name)?).ok()
    }
}

/// Runs what was measured, and compares.
pub(super) fn findings(measured: &Measurement, constants: &Constants, effort: &Effort) -> Result<Vec<Finding>, String> {
    let params = Params::deserialize(&measured.params).map_err(|e| format!("not expressed by runs: {e}"))?;
    let delays = constants.of(&params);
    let story = Story::of(&params)?;
    let spec = cluster(&params, &story, delays)?;
    let replication = |r: u64| -> Result<BTreeMap<&'static str, f64>, String> {
        let streams = Streams::new(effort.seed ^ entity(&measured.id), r);
        let result = run(&spec, &streams, &|| true).map_err(|e| e.to_string())?.ok_or("interrupted")?;
        Ok(measure(&result, params.pods.len()))
    };
    let samples: Vec<_> = (0..REPLICATIONS).into_par_iter().map(replication).collect::<Result<_, _>>()?;
    let lost: u64 = measured.status.iter().filter(|(status, _)| *status != "ok").map(|(_, n)| n).sum();
    let mut findings = vec![judge_run("requests", measured.requests as f64, &samples, (0.0, 0.0))];
    findings.push(judge_run("lost", lost as f64, &samples, (0.0, 0.0)));
    if matches!(story, Story::Steady) && !measured.served_by_pod.is_empty() {
        let served: Vec<f64> = measured.served_by_pod.values().map(|n| *n as f64).collect();
        findings.push(judge_run("chi2_of_pod_counts_cube_root", unevenness(&served, params.pods.len()), &samples, (0.0, 0.0)));
    }
    for (status, name) in [("refused", "refused"), ("eof", "reset"), ("http503", "queue_full")] {
        // Behind a balancer that terminates connections a refusal reaches the client as an end; and results do not tell who was told.
        if params.path != "lb" && !(matches!(story, Story::Empty { .. }) && status == "refused") {
            findings.push(judge_run(name, measured.status.get(status).copied().unwrap_or(0) as f64, &samples, (0.0, 0.0)));
        }
    }
    if let Some(delays) = delays {
        // What requests with work are given as part of it.
        let given = if params.load.demand == "zero" { 0.0 } else { delays.turnaround.map_or(0.0, |t| t.median) };
        let floor = delays.way_in.median + delays.way_out - given;
        let spread = (delays.way_in.max - delays.way_in.min) / 12f64.sqrt();
        for (key, name) in [("mean", "latency_mean_us"), ("p50", "latency_p50_us"), ("p90", "latency_p90_us"), ("p99", "latency_p99_us")] {
            let Some(value) = measured.latency_us.get(key).and_then(Value::as_f64) else { continue };
            let ours = samples.iter().filter_map(|s| s.get(name)).sum::<f64>() / samples.len() as f64;
            if matches!(key, "p90" | "p99") && ours < OWN {
                continue;
            }
            let again = if key == "mean" { 0.0 } else { (ours / 1e6).floor() };
            let added = (floor + LATE.0 * again, libm::hypot(spread, LATE.1 * again));
            findings.push(judge_latency(name, value, &samples, added));
        }
    }
    Ok(findings)
}

/// What a run found, in the testbed's words.
fn measure(result: &RunResult, pods: usize) -> BTreeMap<&'static str, f64> {
    let series = &result.series[0];
    let count = |outcomes: &[Outcome]| outcomes.iter().map(|o| series.outcomes[*o as usize]).sum::<u64>() as f64;
    let us = |d: Option<SimDuration>| d.map_or(f64::NAN, |d| d.as_nanos() as f64 / 1e3);
    let served: Vec<f64> = series.requests_by_replica.iter().map(|n| *n as f64).filter(|n| *n > 0.0).collect();
    BTreeMap::from([
        ("chi2_of_pod_counts_cube_root", unevenness(&served, pods)),
        ("queue_full", count(&[Outcome::QueueFull])),
        ("requests", series.arrivals as f64),
        ("lost", (series.ended() - series.completed()) as f64),
        ("refused", count(&[Outcome::Refused, Outcome::Rejected])),
        ("reset", count(&[Outcome::Reset])),
        ("latency_mean_us", series.latency.mean_ns().map_or(f64::NAN, |ns| ns / 1e3)),
        ("latency_p50_us", us(series.latency.quantile(0.5))),
        ("latency_p90_us", us(series.latency.quantile(0.9))),
        ("latency_p99_us", us(series.latency.quantile(0.99))),
    ])
}

/// How uneven so many Pods were served: squares of what they are off the mean, over the mean; of the sum the cube root, which is
/// nearly normal (Wilson and Hilferty 1931).
fn unevenness(served: &[f64], pods: usize) -> f64 {
    let idle = std::iter::repeat_n(0.0, pods.saturating_sub(served.len()));
    libm::cbrt(chi_square(&served.iter().copied().chain(idle).collect::<Vec<_>>()).unwrap_or(f64::NAN))
}

/// What a script makes happen, as one of the events of experiments.
enum Story {
    /// Nothing.
    Steady,
    /// Pods are removed, at these times; Nodes know after `delay` s.
    Removals { pods: Vec<(u32, f64)>, delay: f64, killed: bool, replaced: bool, silent: bool },
    /// A Pod cannot be reached from `at` until `healed`; it is unlisted at `dropped`.
    Hole { pod: u32, at: f64, healed: Option<f64>, dropped: Option<f64> },
    /// A Pod hangs.
    Freeze { pod: u32, at: f64, until: f64 },
    /// All Pods are unlisted.
    Empty { at: f64 },
}

impl Story {
    fn of(p: &Params) -> Result<Self, String> {
        const KNOWN: [&str; 10] = ["start", "add", "drop", "sync", "term", "kill", "netgone", "blackhole", "heal", "stop"];
        if let Some(op) = p.events.iter().find(|e| !KNOWN.contains(&e.op.as_str()) && e.op != "cont") {
            return Err(format!("the operation `{}` is not known", op.op));
        }
        let ops = |name: &str| p.events.iter().filter(|e| e.op == name).collect::<Vec<_>>();
        let time_of = |name: &str, pod: Option<u32>| p.events.iter().find(|e| e.op == name && e.pod == pod).map(|e| e.at);
        // When Nodes know that the Pod is unlisted.
        let known = |pod: u32| {
            let dropped = time_of("drop", Some(pod))?;
            p.events.iter().filter(|e| e.op == "sync" && e.at >= dropped).map(|e| e.at).reduce(f64::min)
        };
        let only = |name: &str| -> Result<Option<(u32, f64)>, String> {
            match ops(name)[..] {
                [] => Ok(None),
                [op] => Ok(Some((op.pod.ok_or("an operation on no Pod")?, op.at))),
                _ => Err(format!("several of `{name}` are not expressed by runs")),
            }
        };
        if let Some((pod, at)) = only("blackhole")? {
            return Ok(Self::Hole { pod, at, healed: time_of("heal", Some(pod)), dropped: known(pod) });
        }
        if let Some((pod, at)) = only("stop")? {
            return Ok(Self::Freeze { pod, at, until: time_of("cont", Some(pod)).unwrap_or(NEVER) });
        }
        if p.events.is_empty() {
            return Ok(Self::Steady);
        }
        let ended: Vec<&Op> = ["term", "kill", "netgone"].iter().flat_map(|name| ops(name)).collect();
        if ended.is_empty() {
            let at = p.events.iter().find(|e| e.op == "sync").map(|e| e.at);
            let all = (0..p.pods.len() as u32).all(|pod| known(pod) == at);
            return at.filter(|_| all).map(|at| Self::Empty { at }).ok_or_else(|| "the script is not expressed by runs".to_owned());
        }
        let mut pods = Vec::new();
        let mut delays = Vec::new();
        for op in &ended {
            let pod = op.pod.ok_or("an operation on no Pod")?;
            pods.push((pod, op.at));
            delays.push(known(pod).map_or(NEVER, |known| known - op.at));
        }
        let delay = delays[0];
        if delays.iter().any(|d| (d - delay).abs() > 1e-9) || ended.iter().any(|op| op.op != ended[0].op) {
            return Err("removals that differ from each other are not expressed by runs".to_owned());
        }
        let replaced = !ops("start").is_empty();
        Ok(Self::Removals { pods, delay, killed: ended[0].op != "term", replaced, silent: ended[0].op == "netgone" })
    }

    /// How long the namespace of a Pod is there after its process: it refuses connections.
    fn teardown(&self) -> f64 {
        if matches!(self, Self::Removals { silent: false, .. }) { NEVER } else { 0.0 }
    }
}

/// The first address of the testbed's clients outside (benchmark space, RFC 2544). Its external client owns 198.18.160.0/19, and begins
/// where the forty addresses of `E5-source-consistent` do that HAProxy's hash spreads as measured: no other of the space does.
const CLIENTS: &str = "198.18.160.10";

/// The cluster of the testbed, its load and its script, as an experiment.
fn cluster(p: &Params, story: &Story, delays: Option<Delays>) -> Result<ClusterSpec, String> {
    let unlike = |what: &str| Err(format!("{what} are not expressed by runs"));
    let first = p.pods.first().ok_or("no Pods")?;
    if p.pods.iter().any(|pod| (pod.slots, pod.queue, pod.backlog, &pod.term) != (first.slots, first.queue, first.backlog, &first.term)) {
        return unlike("Pods that differ");
    }
    // All of them choose evenly at random; how they remember clients differs.
    if !["", "nft", "iptables-legacy", "iptables-nft"].contains(&p.proxy.as_str()) {
        return unlike(&format!("rules of `{}`", p.proxy));
    }
    if p.gone.is_some() {
        return unlike("unreachable routes");
    }
    if p.reps.is_some() {
        return unlike("repeated runs");
    }
    let (via, from) = match p.path.as_str() {
        "clusterip" => ("ClusterIP", json!({"workload": "client"})),
        "lb" => ("LoadBalancer", json!({"site": "outside"})),
        other => return unlike(&format!("requests by the path `{other}`")),
    };
    let policy = p.svc.etp.as_deref().unwrap_or("Cluster");
    let by_balancer = via == "LoadBalancer";
    // Each source address is a Pod's.
    let senders = p.load.src.clamp(1, 10_000) as usize;
    let overhead = delays.map_or(0.0, |d| d.overshoot.map_or(0.0, |o| o.median) + d.turnaround.map_or(0.0, |t| t.median));
    // A Pod that cannot be reached has a Node of its own, so that nobody else is cut off with it.
    let apart = matches!(story, Story::Hole { .. });
    let node_of = |i: usize, pod: &PodParams| format!("lab-{}", if apart { i as u32 + 1 } else { pod.node.saturating_sub(1) });
    let nodes = if apart { p.pods.len() as u32 + 1 } else { p.pods.iter().map(|pod| pod.node).max().unwrap_or(1) };
    let (events, to_node, replaced) = events(story, by_balancer);
    let startup = if replaced { "0s".to_owned() } else { seconds(NEVER) };
    let mut behaviour = json!({
        "serviceTime": service_time(&p.load.demand, overhead)?, "concurrency": first.slots, "startup": startup, "atSigterm": "stopAccepting",
        "sandboxTeardown": seconds(story.teardown()),
    });
    if let Some(backlog) = first.backlog.or(p.backlog) {
        behaviour["backlog"] = backlog.into();
    }
    if let Some(queue) = first.queue {
        behaviour["queueLimit"] = queue.into();
    }
    // Without a probe a Pod is Ready before it listens, and those that never do would be endpoints.
    let deployment = |name: &str, replicas: usize| {
        let container = if replaced {
            json!({"name": name})
        } else {
            json!({"name": name, "readinessProbe": {"periodSeconds": 1, "failureThreshold": 1_000}})
        };
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}},
        })
    };
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": if by_balancer { "LoadBalancer" } else { "ClusterIP" }, "selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    if by_balancer {
        service["spec"]["externalTrafficPolicy"] = policy.into();
    }
    if let Some(seconds) = p.svc.affinity {
        service["spec"]["sessionAffinity"] = "ClientIP".into();
        service["spec"]["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": seconds}});
    }
    let mut experiment = json!({
        "apiVersion": "svcsim/v1alpha1", "kind": "Experiment", "metadata": {"name": "testbed"},
        "kubernetes": {"objects": [deployment("web", p.pods.len()), deployment("client", senders), service],
                       "nodes": {"zones": ["lab"], "perZone": nodes}},
        "network": {"shape": {"oneSwitch": {"node": {"delay": "0s"}}}, "sites": {"outside": {"link": {"delay": "0s"}}}},
        "pods": {"web": behaviour, "client": {"serviceTime": "0s", "concurrency": 1}},
        "propagation": {"publish": "0s", "toNode": seconds(to_node)},
        "traffic": {"load": {
            "from": from, "to": "web", "via": via, "arrivals": {"poisson": {"rate": format!("{}/s", p.load.rate)}},
            "clients": p.load.src, "timeout": seconds(p.load.timeout.unwrap_or(10_000.0) / 1e3),
        }},
        "events": events,
        "run": {"duration": seconds(p.load.duration), "window": seconds(p.load.duration)},
    });
    if by_balancer {
        experiment["loadBalancer"] = balancer(p.lb.as_ref())?;
        experiment["traffic"]["load"]["firstAddress"] = CLIENTS.into();
    }
    if let Some(connections) = connections(p.load.mode.as_deref())? {
        experiment["traffic"]["load"]["connections"] = connections;
    }
    let errors = |e: Vec<crate::input::error::InputError>| e.iter().map(|e| format!("{}: {}", e.field, e.problem)).collect::<String>();
    let loaded = Loaded::parse(Path::new("testbed.yaml"), &experiment.to_string(), &[]).map_err(errors)?;
    let mut spec = loaded.spec(&[]).map_err(|e| errors(vec![e]))?;
    spec.data_plane = match p.proxy.as_str() {
        "nft" => DataPlaneSpec::Nftables(nftables::Spec { lookup: SimDuration::ZERO, sync: SyncSpec::INSTANT }),
        _ => DataPlaneSpec::Iptables(iptables::Spec { per_rule: SimDuration::ZERO, sync: SyncSpec::INSTANT }),
    };
    let drains = first.term.as_deref().and_then(|t| t.strip_prefix("drain:")).and_then(|ms| ms.parse::<f64>().ok());
    let killed = matches!(story, Story::Removals { killed: true, .. } | Story::Empty { .. });
    for workload in &mut spec.workloads {
        if workload.name == "web" {
            workload.placed_on = p.pods.iter().enumerate().map(|(i, pod)| node_of(i, pod)).collect();
            workload.pre_stop = SimDuration::from_nanos_f64(drains.unwrap_or(0.0) * 1e6);
            workload.termination_grace = SimDuration::from_secs(if killed { 0 } else { 30 });
        } else {
            workload.placed_on = vec!["lab-0".to_owned(); senders];
        }
    }
    svcsim_models::cluster::check(&spec).map_err(|e| e.to_string())?;
    Ok(spec)
}

/// How the load uses connections; none: one for each request.
fn connections(mode: Option<&str>) -> Result<Option<Value>, String> {
    let Some(mode) = mode.filter(|mode| *mode != "conn") else { return Ok(None) };
    match mode.split_once(':').map(|(kind, count)| (kind, count.parse::<u32>())) {
        Some(("fixed", Ok(count))) => Ok(Some(json!({"fixed": {"connections": count, "spread": "random"}}))),
        Some(("pool", Ok(count))) => Ok(Some(json!({"keepAlive": {"maxIdle": count}}))),
        _ => Err(format!("connections by the mode `{mode}` are not expressed by runs")),
    }
}

/// The events of an experiment; how long Nodes take to hear of changes; whether Pods that go are replaced.
fn events(story: &Story, by_balancer: bool) -> (Value, f64, bool) {
    let pod = |place: u32| json!({"workload": "web", "place": place});
    let mut events = Map::new();
    let mut add = |at: f64, lasts: Option<f64>, action: Value| {
        let mut event = json!({"at": seconds(at), "do": action});
        if let Some(lasts) = lasts {
            event["for"] = seconds(lasts).into();
        }
        events.insert(format!("e{}", events.len()), event);
    };
    let (to_node, replaced) = match story {
        Story::Steady => (0.0, false),
        Story::Removals { pods, delay, replaced, .. } => {
            for (place, at) in pods {
                // Nobody tells a balancer of the testbed but its own checks.
                let action = if by_balancer { json!({"podCrash": pod(*place)}) } else { json!({"podDelete": pod(*place)}) };
                add(*at, None, action);
            }
            (*delay, *replaced)
        }
        Story::Hole { pod: place, at, healed, dropped } => {
            add(*at, healed.map(|healed| healed - at), json!({"nodeCut": {"node": format!("lab-{}", place + 1)}}));
            if let Some(dropped) = dropped {
                add(*dropped, None, json!({"podDelete": pod(*place)}));
            }
            (0.0, false)
        }
        Story::Freeze { pod: place, at, until } => {
            add(*at, Some(until - at), json!({"podPause": pod(*place)}));
            (0.0, false)
        }
        Story::Empty { at } => {
            add(*at, None, json!({"scale": {"workload": "web", "replicas": 0}}));
            (0.0, false)
        }
    };
    (Value::Object(events), to_node, replaced)
}

/// A balancer that spreads connections over Pods or Nodes and finds out by its checks alone.
fn balancer(lb: Option<&Balancer>) -> Result<Value, String> {
    let lb = lb.ok_or("no `lb`")?;
    let even = lb.weight.is_some_and(|weight| weight >= EVEN_WEIGHT);
    let algorithm = match lb.balance.as_str() {
        "source" => match lb.hash_type.as_deref() {
            None | Some("map-based") => Some(json!({"haproxySource": {"consistent": false}})),
            Some("consistent") => Some(json!({"haproxySource": {"consistent": true}})),
            Some(_) => None,
        },
        _ if lb.hash_type.is_some() => None,
        "roundrobin" => Some(json!("roundRobin")),
        "leastconn" => Some(json!("leastConnections")),
        // Drawn with replacement, as HAProxy does (`chash_get_next_server`, `get_server_rnd`).
        "random(1)" if even => Some(json!({"leastRequest": {"choices": 1}})),
        "random(2)" if even => Some(json!({"leastRequest": {"choices": 2}})),
        "random(1)" => Some(json!({"haproxyRandom": {"draws": 1}})),
        "random(2)" => Some(json!({"haproxyRandom": {"draws": 2}})),
        _ => None,
    };
    let unlike = || format!("a balancer with `{}` over {} is not expressed by runs yet", lb.balance, lb.backend);
    let algorithm = algorithm.ok_or_else(unlike)?;
    let preset = match lb.backend.as_str() {
        "pods" => "ipTargets",
        "nodeports" => "instanceTargets",
        _ => return Err(unlike()),
    };
    let mut parameters = json!({"algorithm": algorithm, "registrationDelay": "0s", "deregistrationDelay": seconds(NEVER)});
    if let Some(check) = &lb.check {
        let inter = seconds(check.inter / 1e3);
        parameters["healthCheck"] = json!({"interval": inter, "timeout": inter, "fromEnd": true, "healthyThreshold": check.rise,
            "unhealthyThreshold": check.fall});
    }
    Ok(json!({ preset: parameters }))
}

/// The law of the work that requests ask for, with what the testbed adds to it.
fn service_time(demand: &str, overhead_us: f64) -> Result<Value, String> {
    let us = |us: f64| seconds(us / 1e6);
    let mut parts = demand.split(':');
    let law = parts.next().unwrap_or_default();
    let numbers: Vec<f64> =
        parts.map(|n| n.parse().map_err(|_| format!("the demand `{demand}` is not known"))).collect::<Result<_, _>>()?;
    let drawn = match (law, &numbers[..]) {
        // Without work nothing sleeps, and nothing sleeps too long.
        ("zero", []) => return Ok(us(0.001).into()),
        ("det", [value]) => return Ok(us(value + overhead_us).into()),
        ("exp", [mean]) => json!({"exponential": {"mean": us(*mean)}}),
        ("logn", [mean, cv]) => json!({"lognormal": {"mean": us(*mean), "cv": cv}}),
        _ => return Err(format!("the demand `{demand}` is not known")),
    };
    Ok(json!({"shifted": {"by": us(overhead_us), "dist": drawn}}))
}
