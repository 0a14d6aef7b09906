//! Statistics of single requests: who waited, who was there at a moment, where a client's next request went.

use super::world::{World, law, mean_ms, seconds};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_models::record::{RequestRecord, RunResult};

/// Names of what is said of the k-th request of an empty Pod.
const OF_REQUEST: [(usize, &str, &str); 7] = [
    (1, "wait_mean_of_request_1_ms", "p_wait_of_request_1"),
    (2, "wait_mean_of_request_2_ms", "p_wait_of_request_2"),
    (3, "wait_mean_of_request_3_ms", "p_wait_of_request_3"),
    (5, "wait_mean_of_request_5_ms", "p_wait_of_request_5"),
    (10, "wait_mean_of_request_10_ms", "p_wait_of_request_10"),
    (20, "wait_mean_of_request_20_ms", "p_wait_of_request_20"),
    (50, "wait_mean_of_request_50_ms", "p_wait_of_request_50"),
];
/// Names of what is said of a moment of the period, as a part of it.
const AT: [(f64, &str, &str); 4] = [
    (0.0, "mean_in_service_at_0_period", "variance_in_service_at_0_period"),
    (0.25, "mean_in_service_at_0.25_period", "variance_in_service_at_0.25_period"),
    (0.5, "mean_in_service_at_0.5_period", "variance_in_service_at_0.5_period"),
    (0.75, "mean_in_service_at_0.75_period", "variance_in_service_at_0.75_period"),
];
/// Straight pieces that stand for a period of a sine: its rate is then right to 0.002 %.
const PIECES: u32 = 400;

/// The first requests of a Pod that had none.
pub(super) fn transient(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "servers_per_pod", "arrival_rate_rps", "service", "k"])?;
    let rate = vector.number("arrival_rate_rps")?;
    let most = OF_REQUEST[OF_REQUEST.len() - 1].0 as f64;
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s"});
    // Long enough for as many requests, but once in a hundred million.
    let duration = (most + 6.0 * most.sqrt()) / rate;
    let (replications, share) = vector.short_replications(effort);
    let spec = watched(vector.count("pods")?, behaviour, rate, Value::Null, duration)?;
    let measure = |results: &[RunResult]| {
        let requests = results.first().map(by_start).unwrap_or_default();
        let of = |k: usize| requests.get(k - 1).map(|r| r.waited);
        let values = OF_REQUEST.iter().filter_map(|(k, mean, p)| Some((of(*k)?, *mean, *p)));
        values.flat_map(|(w, mean, p)| [(mean, w.as_millis_f64()), (p, f64::from(w > SimDuration::ZERO))]).collect()
    };
    Ok(Plan { specs: vec![spec], replications, share, measure: Box::new(measure) })
}

/// Requests in service at moments of a period, when their rate goes up and down.
pub(super) fn sine(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["average_rate_rps", "relative_amplitude", "period_ms", "service"])?;
    let (rate, swing) = (vector.number("average_rate_rps")?, vector.number("relative_amplitude")?);
    let period = vector.number("period_ms")? / 1e3;
    let mean = vector.params.get("service").and_then(Value::as_object).and_then(mean_ms).ok_or("a service without a mean")?;
    let discarded = vector.suggested("discard_first_periods").unwrap_or(5.0).max((20.0 * mean / 1e3 / period).ceil());
    let periods = vector.suggested("periods_per_replication").unwrap_or(40.0).max(discarded + 1.0);
    let points: Vec<Value> = (0..=PIECES)
        .map(|i| {
            let part = f64::from(i) / f64::from(PIECES);
            let rate = rate * (1.0 + swing * libm::sin(std::f64::consts::TAU * part));
            json!({"at": seconds(part * period), "rate": format!("{rate:.9}/s")})
        })
        .collect();
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": 1_000_000, "startup": "0s"});
    let source = json!({"arrivals": {"curve": {"points": points, "repeat": true}}});
    let spec = watched(1, behaviour, rate, source, periods * period)?;
    let (replications, share) = vector.short_replications(effort);
    let measure = move |results: &[RunResult]| {
        let requests = results.first().map(by_start).unwrap_or_default();
        let mut values = BTreeMap::new();
        for (part, mean, variance) in AT {
            let moments = (discarded as u64..periods as u64).map(|p| (p as f64 + part) * period);
            let counts: Vec<f64> = moments.map(|t| under_way(&requests, t)).collect();
            let n = counts.len() as f64;
            let average = counts.iter().sum::<f64>() / n;
            values.insert(mean, average);
            values.insert(variance, counts.iter().map(|c| (c - average) * (c - average)).sum::<f64>() / (n - 1.0));
        }
        values
    };
    Ok(Plan { specs: vec![spec], replications, share, measure: Box::new(measure) })
}

/// Clients that are bound to a Pod until they have been silent for a while.
pub(super) fn affinity_timeout(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "client_rate_per_s", "affinity_timeout_s"])?;
    let (rate, timeout) = (vector.number("client_rate_per_s")?, vector.number("affinity_timeout_s")?);
    let requests = vector.suggested("requests_per_replication").unwrap_or(200_000.0);
    let each = (requests * effort.scale / f64::from(CLIENTS)).ceil().max(100.0);
    let behaviour = json!({"serviceTime": "1ns", "concurrency": 1_000_000, "startup": "0s"});
    let mut spec = watched(vector.count("pods")?, behaviour, rate * f64::from(CLIENTS), json!({"clients": CLIENTS}), each / rate)?;
    for service in &mut spec.services {
        service.session_affinity = Some(SimDuration::from_nanos_f64(timeout * 1e9));
    }
    let measure = |results: &[RunResult]| {
        let mut last = BTreeMap::new();
        let (mut same, mut pairs) = (0.0, 0.0);
        for r in results.first().map(by_start).unwrap_or_default() {
            if let Some(before) = last.insert(r.client, r.replica) {
                pairs += 1.0;
                same += f64::from(before == r.replica);
            }
        }
        BTreeMap::from([("p_consecutive_requests_same_pod", same / pairs)])
    };
    Ok(Plan {
        specs: vec![spec],
        replications: vector.replications(),
        share: each * f64::from(CLIENTS) / requests,
        measure: Box::new(measure),
    })
}

/// Fewer than an affinity list of iptables has room for.
const CLIENTS: u32 = 50;

/// A cluster of which every request is kept.
fn watched(pods: u32, behaviour: Value, rate: f64, source: Value, duration: f64) -> Result<svcsim_models::spec::ClusterSpec, String> {
    let mut spec = World { nodes: 1, pods, behaviour, rate, source, to_node: seconds(0.0).into(), warm_up: 0.0, duration }.spec()?;
    spec.sample = 1;
    Ok(spec)
}

/// All requests in the order in which they were sent.
fn by_start(run: &RunResult) -> Vec<RequestRecord> {
    let mut requests = run.requests.clone();
    requests.sort_by_key(|r| r.start);
    requests
}

/// Requests that had been sent and not answered at `time`, s.
fn under_way(requests: &[RequestRecord], time: f64) -> f64 {
    requests.iter().filter(|r| r.start.as_secs_f64() <= time && time < r.end.as_secs_f64()).count() as f64
}
