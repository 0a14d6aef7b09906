//! Pods as queues in steady state: one, or several among which a cluster IP splits at random.

use super::world::{World, law};
use super::{Effort, FEWEST_REPLICATIONS, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;

const PARAMETERS: &[&str] = &["pods", "servers_per_pod", "capacity_total", "discipline", "policy", "arrival_rate_rps", "service"];

/// Requests beyond a quantile for it to be judged.
const BEYOND_A_QUANTILE: f64 = 100.0;

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
    let suggested = vector.suggested("requests_per_replication").ok_or("no suggestion of how many requests to run")?;
    let discarded = vector.suggested("discard_first").unwrap_or(0.0).min(suggested);
    let (warm_up, measured) = (discarded / rate, (suggested - discarded) * effort.scale / rate);
    let world = World {
        nodes: pods,
        pods,
        behaviour,
        rate,
        source: Value::Null,
        to_node: Value::from("0s"),
        warm_up,
        duration: warm_up + measured,
    };
    let replications = vector.suggested("replications").unwrap_or(0.0).max(FEWEST_REPLICATIONS as f64);
    let asked = vector.suggested("replications").unwrap_or(replications).max(1.0);
    Ok(Plan {
        specs: vec![world.spec()?],
        replications: replications as u64,
        share: effort.scale * replications / asked,
        measure: Box::new(|results| results.first().map(measure).unwrap_or_default()),
    })
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
    let quantiles = [("sojourn_p50_ms", 0.5), ("sojourn_p90_ms", 0.9), ("sojourn_p99_ms", 0.99), ("sojourn_p999_ms", 0.999)];
    // Of fewer requests beyond it, a sample's quantile is biased by a good part of its standard error.
    let enough = |q: f64| series.completed() as f64 * (1.0 - q) >= BEYOND_A_QUANTILE;
    let judged = quantiles.iter().filter(|(_, q)| enough(*q));
    values.extend(judged.filter_map(|(name, q)| Some((*name, series.latency.quantile(*q)?.as_millis_f64()))));
    values
}
