//! Requests that call several Pods at once and wait for all of them.

use super::queues::quantiles;
use super::world::{World, law, lognormal_quantile};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::balance::BalancingSpec;
use svcsim_models::record::RunResult;
use svcsim_models::spec::{CallSpec, ClusterSpec, StepSpec};

/// The Service that is called first, and calls the others.
const FRONT: &str = "front";
/// Its cluster IP: the last of the range, since addresses are given out from the first on.
const FRONT_IP: Ipv4Addr = Ipv4Addr::new(10, 111, 255, 254);
/// Requests a second where nobody queues, so that any number will do.
const SOME: f64 = 100.0;

/// Each request goes to as many Pods at once, one to each.
pub(super) fn fork_join(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods", "servers_per_pod", "fan_out", "arrival_rate_rps", "service"])?;
    let pods = vector.count("pods")?;
    if vector.count("fan_out")? != pods {
        return Err("only as many calls as Pods find each its own".to_owned());
    }
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s"});
    // One caller that takes turns gives each Pod one call of every request.
    let call = CallSpec { copies: pods, balancing: Some(in_turn()), ..CallSpec::to("web") };
    let measure = |run: &RunResult| {
        let mean = |series: usize| run.series.get(series).and_then(|s| s.latency.mean_ns()).map(|ns| ns / 1e6);
        let values = [("sojourn_mean_ms", mean(0)), ("branch_sojourn_mean_ms", mean(1))];
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    };
    plan(vector, effort, (pods, vector.number("arrival_rate_rps")?), behaviour, call, measure)
}

/// Each request calls so many leaves, which are never busy.
pub(super) fn fan_out(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["fan_out", "latency"])?;
    let behaviour = json!({"serviceTime": law(vector, "latency")?, "concurrency": 1_000_000, "startup": "0s"});
    let slow = lognormal_quantile(vector, "latency", 0.99)?;
    let call = CallSpec { copies: vector.count("fan_out")?, ..CallSpec::to("web") };
    let measure = move |run: &RunResult| {
        let mut values: BTreeMap<_, _> = quantiles(&run.series[0].latency).collect();
        let beyond = run.series[0].latency.ccdf().take_while(|(t, _)| t.as_millis_f64() <= slow).last().map_or(1.0, |(_, part)| part);
        values.insert("p_response_slower_than_leaf_p99", beyond);
        let leaf = run.series.get(1).and_then(|s| s.latency.quantile(0.99));
        values.extend(leaf.map(|t| ("leaf_p99_ms", t.as_millis_f64())));
        values
    };
    plan(vector, effort, (1, SOME), behaviour, call, measure)
}

fn in_turn() -> BalancingSpec {
    BalancingSpec { policy: svcsim_models::balance::PolicySpec::by_name("roundRobin").unwrap_or_default(), ..BalancingSpec::default() }
}

/// Runs of a cluster in which `call` is made for every request.
fn plan(
    vector: &Vector,
    effort: &Effort,
    (pods, rate): (u32, f64),
    behaviour: Value,
    call: CallSpec,
    measure: impl Fn(&RunResult) -> BTreeMap<&'static str, f64> + Sync + 'static,
) -> Result<Plan, String> {
    let runs = vector.long_runs(rate, effort)?;
    let spec = World::steady(&runs, pods, behaviour, rate, Value::Null).spec()?;
    Ok(runs.plan(behind(spec, call), measure))
}

/// The same cluster with a Service before `web`, of one Pod that is never busy and makes `call`.
fn behind(mut spec: ClusterSpec, call: CallSpec) -> ClusterSpec {
    let labels = BTreeMap::from([("app".to_owned(), FRONT.to_owned())]);
    let mut workload = spec.workloads[0].clone();
    workload.name = FRONT.to_owned();
    workload.field = format!("deployments.{FRONT}");
    workload.labels.clone_from(&labels);
    workload.replicas = 1;
    workload.pod.service_time = DistSpec::Constant(SimDuration::from_nanos(1));
    workload.pod.concurrency = 1_000_000;
    workload.pod.calls = vec![StepSpec(vec![call])];
    let mut service = spec.services[0].clone();
    service.name = FRONT.to_owned();
    service.field = format!("services.{FRONT}");
    service.cluster_ip = Some(FRONT_IP.into());
    service.selector = labels;
    spec.workloads.push(workload);
    spec.services.push(service);
    for source in spec.traffic.values_mut() {
        source.to = FRONT.to_owned();
    }
    spec
}
