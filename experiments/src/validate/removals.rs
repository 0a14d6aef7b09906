//! Pods that are removed while requests come: those that Nodes still send there are lost.

use super::world::{World, law, mean_ms, milliseconds, seconds};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;
use svcsim_models::spec::{Action, ClusterSpec, EventSpec, ScaleTarget, any_pod_of};

/// Longer than any run: a Pod that needs it to start is never ready.
const NEVER: &str = "10000000s";
/// Mean delays after which next to no exponential delay is still running: e^-14 of them, one in a million.
const TAIL: f64 = 14.0;
/// Less than the first time-out of a lost SYN: whoever meets nobody is lost, as in the models. RFC 6298, 2.1.
const PATIENCE: SimDuration = SimDuration::from_millis(900);

/// Pods that are never busy.
fn idle(startup: &str) -> Value {
    json!({"serviceTime": "1ns", "concurrency": 1_000_000, "startup": startup})
}

/// One of `n` Pods is removed; each Node learns of it after its own delay, and until then sends it its share.
pub(super) fn stale(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["arrival_rate_rps", "endpoints", "nodes", "propagation_delay", "grace_ms"])?;
    let delay = vector.params.get("propagation_delay").and_then(Value::as_object).ok_or("no parameter `propagation_delay`")?;
    let longest = delay.get("high_ms").and_then(Value::as_f64).or_else(|| Some(TAIL * mean_ms(delay)?)).ok_or("a delay without a mean")?;
    let at = 1.0;
    // A Pod that is deleted is replaced; one that is scaled away is not.
    let fewer = Action::Scale(ScaleTarget::to("web", vector.count("endpoints")? - 1));
    let world = World {
        source: Value::Null,
        nodes: vector.count("nodes")?,
        pods: vector.count("endpoints")?,
        behaviour: idle("0s"),
        rate: vector.number("arrival_rate_rps")?,
        to_node: law(vector, "propagation_delay")?,
        warm_up: 0.0,
        duration: at + longest / 1e3,
    };
    let spec = removing(world.spec()?, EventSpec::at(time(at), fewer), vector.number("grace_ms")?);
    let (replications, share) = vector.short_replications(effort);
    let measure = |results: &[RunResult]| BTreeMap::from([("failed_requests_mean", results.iter().map(failed).sum())]);
    Ok(Plan { specs: vec![spec], replications, share, measure: Box::new(measure) })
}

/// All Pods are replaced, one at a time; all Nodes learn of each step after the same delay.
pub(super) fn rolling(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["arrival_rate_rps", "pods", "propagation_delay_ms", "grace_ms", "step_ms"])?;
    let (pods, rate, step) = (vector.count("pods")?, vector.number("arrival_rate_rps")?, vector.number("step_ms")? / 1e3);
    let world = World {
        source: Value::Null,
        nodes: pods,
        pods,
        behaviour: idle("0s"),
        rate,
        to_node: milliseconds(vector.number("propagation_delay_ms")?).into(),
        warm_up: 0.0,
        duration: f64::from(pods + 1) * step,
    };
    let steps = EventSpec { times: Some(pods), ..EventSpec::every(DistSpec::Constant(time(step)), deletion()) };
    let spec = removing(world.spec()?, steps, vector.number("grace_ms")?);
    let (replications, share) = vector.short_replications(effort);
    let sent = rate * f64::from(pods) * step;
    let measure = move |results: &[RunResult]| {
        let failed: f64 = results.iter().map(failed).sum();
        BTreeMap::from([("failed_requests_total_mean", failed), ("failed_fraction_during_rollout", failed / sent)])
    };
    Ok(Plan { specs: vec![spec], replications, share, measure: Box::new(measure) })
}

/// A Pod in steady state is taken out at once everywhere, and has its grace period to finish what it holds. Three runs of
/// the same requests: with the grace period, with none (what it held is cut) and without end (how long it needed).
pub(super) fn drain(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "servers_per_pod", "arrival_rate_rps", "service", "grace_ms"])?;
    let (servers, rate) = (vector.count("servers_per_pod")?, vector.number("arrival_rate_rps")?);
    let service = vector.params.get("service").and_then(Value::as_object).and_then(mean_ms).ok_or("a service without a mean")?;
    let load = rate * service / 1e3 / f64::from(servers);
    if load >= 1.0 || vector.count("pods")? != 1 {
        return Err("only one Pod that keeps up with its requests has a steady state to leave".to_owned());
    }
    let at = 20.0 / ((1.0 - load) * (1.0 - load)) * service / 1e3;
    let world = World {
        source: Value::Null,
        nodes: 1,
        pods: 1,
        behaviour: json!({"serviceTime": law(vector, "service")?, "concurrency": servers, "startup": NEVER}),
        rate,
        to_node: seconds(0.0).into(),
        warm_up: 0.0,
        duration: at + 0.001,
    };
    let with_grace = |ms: f64| -> Result<ClusterSpec, String> {
        let mut spec = removing(world.spec()?, EventSpec::at(time(at), deletion()), 0.0);
        for workload in &mut spec.workloads {
            workload.termination_grace = time(ms / 1e3);
        }
        Ok(spec)
    };
    let specs = vec![with_grace(vector.number("grace_ms")?)?, with_grace(0.0)?, with_grace(3.6e9)?];
    let (replications, share) = vector.short_replications(effort);
    Ok(Plan { specs, replications, share, measure: Box::new(drained) })
}

fn drained(results: &[RunResult]) -> BTreeMap<&'static str, f64> {
    let [graceful, abrupt, patient] = results else { return BTreeMap::new() };
    let cut = |run: &RunResult| run.series[0].outcomes_ever[Outcome::Reset as usize] as f64;
    let when = |event: &str| patient.incidents.iter().find(|i| i.event == event).map(|i| i.time);
    let mut values = BTreeMap::from([
        ("requests_held_at_removal_mean", cut(abrupt)),
        ("p_nothing_to_drain", f64::from(cut(abrupt) == 0.0)),
        ("p_not_drained_within_grace", f64::from(cut(graceful) > 0.0)),
        ("requests_cut_mean", cut(graceful)),
    ]);
    let needed = when("gone").zip(when("terminate")).map(|(gone, stopped)| (gone - stopped).as_millis_f64());
    values.extend(needed.map(|ms| ("drain_time_mean_ms", ms)));
    values
}

fn time(s: f64) -> SimDuration {
    SimDuration::from_nanos_f64(s * 1e9)
}

/// A Pod of the Service, at random, is deleted.
fn deletion() -> Action {
    Action::PodDelete(any_pod_of("web"))
}

/// The same cluster, in which `event` deletes Pods, which serve on for `grace_ms`.
fn removing(mut spec: ClusterSpec, event: EventSpec, grace_ms: f64) -> ClusterSpec {
    for workload in &mut spec.workloads {
        workload.pre_stop = time(grace_ms / 1e3);
    }
    for source in spec.traffic.values_mut() {
        source.timeout = source.timeout.or(Some(PATIENCE));
    }
    spec.events.insert("removal".to_owned(), event);
    spec
}

/// Requests that were sent and not answered.
fn failed(run: &RunResult) -> f64 {
    let series = &run.series[0];
    (series.arrivals_ever - series.outcomes_ever[Outcome::Completed as usize]) as f64
}
