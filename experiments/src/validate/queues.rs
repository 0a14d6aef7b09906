//! Pods as queues in steady state: one, or several among which a cluster IP splits at random.

use super::world::{World, law};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::random::DistSpec;
use svcsim_engine::stats::Histogram;
use svcsim_engine::{SimDuration, SimTime};
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;
use svcsim_models::spec::{Action, EventSpec, Probes, any_pod_of};

const PARAMETERS: &[&str] = &["pods", "servers_per_pod", "capacity_total", "discipline", "policy", "arrival_rate_rps", "service"];

/// Requests beyond a quantile for it to be judged.
const BEYOND_A_QUANTILE: f64 = 100.0;
/// Quantiles of latency by name.
const QUANTILES: [(&str, f64); 8] = [
    ("sojourn_p50_ms", 0.5),
    ("sojourn_p90_ms", 0.9),
    ("sojourn_p99_ms", 0.99),
    ("sojourn_p999_ms", 0.999),
    ("latency_p50_ms", 0.5),
    ("latency_p90_ms", 0.9),
    ("latency_p99_ms", 0.99),
    ("latency_p99.9_ms", 0.999),
];

/// Poisson requests to Pods with servers and a line.
pub(super) fn plan(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(PARAMETERS)?;
    let text = |key: &str| vector.params.get(key).map(|v| v.as_str().unwrap_or_default());
    if let Some(policy) = text("policy").filter(|p| *p != "random") {
        return Err(format!("the policy `{policy}` is not known in this family"));
    }
    let (pods, servers) = (vector.count("pods")?, vector.count("servers_per_pod")?);
    let mut behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": servers, "startup": "0s"});
    match text("discipline") {
        None => {}
        Some("processor sharing") => behaviour["discipline"] = "processorSharing".into(),
        Some(other) => return Err(format!("the discipline `{other}` is not known")),
    }
    if vector.params.contains_key("capacity_total") {
        let room = vector.count("capacity_total")?.checked_sub(servers).ok_or("less room than servers")?;
        behaviour["queueLimit"] = room.into();
    }
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let world = World { nodes: pods, ..World::steady(&runs, pods, behaviour, rate, Value::Null) };
    Ok(runs.plan(world.spec()?, measure))
}

/// A Pod that fails requests, which join its line anew until they succeed.
pub(super) fn feedback(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["arrival_rate_rps", "failure_probability", "service", "pods", "servers_per_pod"])?;
    // Each try takes its own time: it is its Pod's doing.
    let behaviour = json!({
        "serviceTime": "1ns", "interference": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s",
        "errorProbability": vector.number("failure_probability")?,
    });
    let retries = json!({"attempts": u8::MAX, "backoff": {"base": "0s", "max": "0s"}, "on": ["5xx"]});
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let world = World::steady(&runs, vector.count("pods")?, behaviour, rate, json!({"retries": retries}));
    Ok(runs.plan(world.spec()?, |run| {
        let series = &run.series[0];
        let mut values = measure(run);
        values.insert("attempts_mean", 1.0 + series.retries as f64 / series.arrivals as f64);
        values
    }))
}

/// A Pod that stands still now and then, whether it has requests or not, and goes on with what it had begun.
pub(super) fn breakdowns(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "servers_per_pod", "arrival_rate_rps", "service", "up_mean_ms", "down_mean_ms", "note"])?;
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s"});
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let mut spec = World::steady(&runs, vector.count("pods")?, behaviour, rate, Value::Null).spec()?;
    for workload in &mut spec.workloads {
        // Whoever comes meanwhile waits in the accept queue.
        workload.pod.backlog = 1_000_000;
        workload.probes = Probes::default();
    }
    let exponential = |key: &str| Ok::<_, String>(DistSpec::Exponential { mean: SimDuration::from_nanos_f64(vector.number(key)? * 1e6) });
    let pause = EventSpec {
        at: None,
        uptime: Some(exponential("up_mean_ms")?),
        lasts: Some(exponential("down_mean_ms")?),
        ..EventSpec::at(SimDuration::ZERO, Action::PodPause(any_pod_of("web")))
    };
    spec.events.insert("breakdown".to_owned(), pause);
    let end = runs.duration;
    Ok(runs.plan(spec, move |run| {
        let down = |from: f64, to: f64| (to.min(end) - from).max(0.0);
        let spans = svcsim_models::record::spans(&run.marks, SimTime::from_nanos((end * 1e9) as u64));
        let standing: f64 = spans.iter().map(|s| down(s.began.as_secs_f64(), s.ended.as_secs_f64())).sum();
        let mut values = measure(run);
        values.insert("availability", 1.0 - standing / end);
        values
    }))
}

/// A Pod that sleeps as soon as it is empty; whoever wakes it waits, and so do all who come meanwhile.
pub(super) fn cold_starts(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "servers_per_pod", "arrival_rate_rps", "service", "cold_start"])?;
    let behaviour = json!({
        "serviceTime": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s",
        "scaleToZero": {"after": "0s", "coldStart": law(vector, "cold_start")?}, "backlog": 1_000_000,
    });
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let world = World::steady(&runs, vector.count("pods")?, behaviour, rate, Value::Null);
    let warm_up = runs.warm_up;
    Ok(runs.plan(world.spec()?, move |run| {
        let starts = run.incidents.iter().filter(|i| i.event == "cold start" && i.time.as_secs_f64() >= warm_up).count();
        let mut values = measure(run);
        values.insert("cold_start_fraction", starts as f64 / run.series[0].arrivals as f64);
        values
    }))
}

pub(super) fn measure(run: &RunResult) -> BTreeMap<&'static str, f64> {
    let series = &run.series[0];
    let (sent, measured) = (series.arrivals as f64, run.measured.as_secs_f64());
    let busy = run.pods.iter().map(|p| p.busy.as_secs_f64()).sum::<f64>() / measured;
    let servers: u32 = run.pods.iter().map(|p| p.concurrency).sum();
    let counts = &series.requests_by_replica;
    let even = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let chi2 = counts.iter().map(|c| (*c as f64 - even) * (*c as f64 - even) / even).sum();
    let mut values = BTreeMap::from([
        ("refused_fraction", series.outcomes[Outcome::QueueFull as usize] as f64 / sent),
        ("throughput_rps", series.completed() as f64 / measured),
        ("busy_servers_time_average", busy),
        ("server_utilisation", busy / f64::from(servers)),
        ("p_wait", series.waited as f64 / series.completed() as f64),
        ("chi2_of_pod_counts", chi2),
    ]);
    values.extend(series.latency.mean_ns().map(|ns| ("sojourn_mean_ms", ns / 1e6)));
    values.extend(series.wait.mean().map(|ns| ("wait_mean_ms", ns / 1e6)));
    values.extend(quantiles(&series.latency));
    values
}

/// Quantiles of latency, where enough requests lie beyond them, by all names that they go by.
pub(super) fn quantiles(latency: &Histogram) -> impl Iterator<Item = (&'static str, f64)> {
    // Of fewer requests beyond it, a sample's quantile is biased by a good part of its standard error.
    let enough = |q: f64| latency.count() as f64 * (1.0 - q) >= BEYOND_A_QUANTILE;
    let judged = QUANTILES.iter().filter(move |(_, q)| enough(*q));
    judged.filter_map(|(name, q)| Some((*name, latency.quantile(*q)?.as_millis_f64())))
}
