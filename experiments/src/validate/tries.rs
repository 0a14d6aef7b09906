//! Requests that are sent again, to Pods that are never busy: after a time-out, or while the first copy is still under way. How long a
//! try takes is its Pod's doing, so that each takes its own time.

use super::queues::quantiles;
use super::world::{World, law, mean_ms, milliseconds};
use super::{Effort, LongRuns, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;
use svcsim_models::spec::ClusterSpec;

/// Requests a second: any number, since nobody queues.
const RATE: f64 = 1_000.0;

/// A second copy after a while; the first answer counts.
pub(super) fn hedging(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["latency", "hedge_delay_ms"])?;
    let after = milliseconds(vector.number("hedge_delay_ms")?);
    let runs = vector.long_runs(RATE, effort)?;
    let hedged = spec(vector, json!({"hedging": {"after": after}}), &runs)?;
    let alone = spec(vector, Value::Null, &runs)?;
    let measure = |results: &[RunResult]| {
        let [hedged, alone] = results else { return BTreeMap::new() };
        let series = &hedged.series[0];
        let mut values: BTreeMap<_, _> = quantiles(&series.latency).collect();
        values.insert("extra_requests_fraction", series.hedges as f64 / series.arrivals as f64);
        values.extend(series.latency.mean_ns().map(|ns| ("latency_mean_ms", ns / 1e6)));
        let without = quantiles(&alone.series[0].latency).find(|(name, _)| *name == "latency_p99_ms");
        values.extend(without.map(|(_, p99)| ("latency_p99_without_hedging_ms", p99)));
        values
    };
    Ok(Plan { specs: vec![hedged, alone], replications: runs.replications, share: runs.share, measure: Box::new(measure) })
}

/// Tries that are given up after a while, though their Pods work on.
pub(super) fn retry(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["latency", "timeout_ms", "max_retries"])?;
    let retries = json!({
        "attempts": vector.count("max_retries")?,
        "perTryTimeout": milliseconds(vector.number("timeout_ms")?),
        "backoff": {"base": "0s", "max": "0s"},
    });
    let mean = vector.params.get("latency").and_then(Value::as_object).and_then(mean_ms).ok_or("a latency without a mean")?;
    let runs = vector.long_runs(RATE, effort)?;
    let spec = spec(vector, json!({"retries": retries}), &runs)?;
    Ok(runs.plan(spec, move |run| {
        let (series, sent) = (&run.series[0], run.series[0].arrivals as f64);
        let worked: f64 = run.pods.iter().map(|p| p.busy.as_millis_f64()).sum();
        let mut values = BTreeMap::from([
            ("failed_fraction", series.outcomes[Outcome::TimedOut as usize] as f64 / sent),
            ("attempts_mean", 1.0 + series.retries as f64 / sent),
            ("load_amplification", worked / sent / mean),
        ]);
        values.extend(series.latency.mean_ns().map(|ns| ("latency_mean_of_successes_ms", ns / 1e6)));
        values
    }))
}

/// One Pod that is never busy, of whose surroundings alone it depends how long a try takes.
fn spec(vector: &Vector, source: Value, runs: &LongRuns) -> Result<ClusterSpec, String> {
    let behaviour = json!({"serviceTime": "1ns", "interference": law(vector, "latency")?, "concurrency": 1_000_000, "startup": "0s"});
    World::steady(runs, 1, behaviour, RATE, source).spec()
}
