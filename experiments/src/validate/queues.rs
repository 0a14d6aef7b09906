//! Pods as queues in steady state: one, or several among which a cluster IP splits at random.

use super::world::{World, law};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::stats::Histogram;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;

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
    let world = World {
        nodes: pods,
        pods,
        behaviour,
        rate,
        source: Value::Null,
        to_node: Value::from("0s"),
        warm_up: runs.warm_up,
        duration: runs.duration,
    };
    Ok(runs.plan(world.spec()?, measure))
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
