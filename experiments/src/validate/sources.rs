//! Queues behind sources and policies of all kinds: each family says by its parameters how requests arrive and how Pods are chosen.

use super::queues::measure;
use super::world::{World, law, mean_ms, milliseconds};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_models::record::RunResult;

const PARAMETERS: &[&str] = &[
    "pods",
    "servers_per_pod",
    "discipline",
    "arrival_rate_rps",
    "service",
    "interarrival",
    "rho",
    "levels_rps",
    "mean_stay_ms",
    "users",
    "think",
    "group_size",
    "group_rate_per_s",
    "policy",
    "policy_name",
    "proxies",
    "speeds",
    "weights",
    "d",
    "sampling",
];

/// Any source, any policy, any number of Pods and instances.
pub(super) fn plan(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(PARAMETERS)?;
    let list = |key: &str| vector.params.get(key).and_then(Value::as_array).cloned();
    let speeds = list("speeds").unwrap_or_default();
    let pods = if vector.params.contains_key("pods") { vector.count("pods")? } else { speeds.len() as u32 };
    let servers = if vector.params.contains_key("servers_per_pod") { vector.count("servers_per_pod")? } else { 1 };
    let mut behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": servers, "startup": "0s"});
    if !speeds.is_empty() {
        behaviour["speeds"] = speeds.clone().into();
    }
    match vector.params.get("discipline").and_then(Value::as_str) {
        None => {}
        Some("processor sharing") => behaviour["discipline"] = "processorSharing".into(),
        Some(other) => return Err(format!("the discipline `{other}` is not known")),
    }
    let (arrivals, rate) = arrivals(vector)?;
    let mut source = json!({"arrivals": arrivals});
    if let Some(policy) = policy(vector)? {
        let instances = if vector.params.contains_key("proxies") { vector.count("proxies")? } else { 1 };
        let weights = list("weights").or_else(|| weights_of(&speeds));
        source["via"] = "Endpoints".into();
        source["clients"] = instances.into();
        source["balancing"] = json!({"policy": policy});
        if let Some(weights) = weights {
            source["balancing"]["weights"] = weights.into();
        }
    }
    let runs = vector.long_runs(rate, effort)?;
    let spec = World::steady(&runs, pods, behaviour, rate, source).spec()?;
    let unequal = !speeds.is_empty();
    Ok(runs.plan(spec, move |run| all(run, unequal)))
}

/// How requests arrive, and how many a second.
fn arrivals(vector: &Vector) -> Result<(Value, f64), String> {
    let of = |key: &str| vector.params.get(key);
    let numbers = |key: &str| -> Result<Vec<f64>, String> {
        let list = of(key).and_then(Value::as_array).ok_or_else(|| format!("no list `{key}`"))?;
        list.iter().map(|n| n.as_f64().ok_or_else(|| format!("`{key}`: {n} is no number"))).collect()
    };
    if of("interarrival").is_some() {
        let mean = of("interarrival").and_then(Value::as_object).and_then(mean_ms).ok_or("`interarrival` has no mean")?;
        return Ok((json!({"renewal": {"gap": law(vector, "interarrival")?}}), 1e3 / mean));
    }
    if of("levels_rps").is_some() {
        let (levels, stays) = (numbers("levels_rps")?, numbers("mean_stay_ms")?);
        let states: Vec<Value> =
            levels.iter().zip(&stays).map(|(l, s)| json!({"rate": format!("{l}/s"), "stay": milliseconds(*s)})).collect();
        let rate = levels.iter().zip(&stays).map(|(l, s)| l * s).sum::<f64>() / stays.iter().sum::<f64>();
        return Ok((json!({"mmpp": {"states": states}}), rate));
    }
    if of("users").is_some() {
        let users = vector.count("users")?;
        let cycle: f64 = ["think", "service"].iter().filter_map(|k| of(k).and_then(Value::as_object).and_then(mean_ms)).sum();
        return Ok((json!({"closedLoop": {"users": users, "think": law(vector, "think")?}}), f64::from(users) * 1e3 / cycle));
    }
    if of("group_size").is_some() {
        let (size, rate) = (vector.count("group_size")?, vector.number("group_rate_per_s")?);
        let gap = json!({"exponential": {"mean": milliseconds(1e3 / rate)}});
        return Ok((json!({"batch": {"gap": gap, "size": {"constant": size}}}), rate * f64::from(size)));
    }
    let rate = vector.number("arrival_rate_rps")?;
    Ok((json!({"poisson": {"rate": format!("{rate}/s")}}), rate))
}

/// How Pods are chosen; none by the cluster IP, at random.
fn policy(vector: &Vector) -> Result<Option<Value>, String> {
    let text = |key: &str| vector.params.get(key).and_then(Value::as_str);
    if vector.params.contains_key("d") {
        let replacement = matches!(text("sampling"), Some("with replacement" | "with-replacement"));
        return Ok(Some(json!({"leastRequest": {"choices": vector.count("d")?, "replacement": replacement}})));
    }
    if vector.params.contains_key("weights") {
        return Ok(Some(json!("random")));
    }
    Ok(match text("policy").or(text("policy_name")) {
        None if vector.params.contains_key("proxies") => Some(json!("leastRequest")),
        None | Some("random") => None,
        Some("round robin" | "round robin per proxy") => Some(json!("roundRobin")),
        Some("join shortest queue") => Some(json!("leastRequest")),
        Some("join shortest queue, first on ties") => Some(json!({"leastRequest": {"ties": "first"}})),
        Some("power of two, distinct") => Some(json!({"leastRequest": {"choices": 2}})),
        Some("power of two, with replacement") => Some(json!({"leastRequest": {"choices": 2, "replacement": true}})),
        Some("join idle queue") => Some(json!("joinIdleQueue")),
        Some("shortest expected delay") => Some(json!({"leastRequest": {"add": 1}})),
        Some("weighted least connections") => Some(json!("leastRequest")),
        Some(other) => return Err(format!("the policy `{other}` is not known")),
    })
}

/// Weights in proportion to speeds, as whole numbers.
fn weights_of(speeds: &[Value]) -> Option<Vec<Value>> {
    let thousandths = |s: &Value| s.as_f64().map(|s| Value::from((s * 1e3).round() as u64));
    (!speeds.is_empty()).then(|| speeds.iter().filter_map(thousandths).collect())
}

/// What queues are measured by, and each Pod's part.
fn all(run: &RunResult, unequal: bool) -> BTreeMap<&'static str, f64> {
    let mut values = measure(run);
    if unequal {
        // A slow Pod takes longer than the demand, which is no wait.
        values.retain(|name, _| !name.contains("wait"));
    }
    let counts = &run.series[0].requests_by_replica;
    let all: u64 = counts.iter().sum();
    values.extend(counts.first().map(|first| ("share_of_pod_0", *first as f64 / all as f64)));
    values.insert("arrival_rate_rps", run.series[0].arrivals as f64 / run.measured.as_secs_f64());
    let names = ["utilisation_of_pod_0", "utilisation_of_pod_1", "utilisation_of_pod_2"];
    let busy = run.pods.iter().map(|p| p.busy.as_secs_f64() / f64::from(p.concurrency) / run.measured.as_secs_f64());
    values.extend(names.into_iter().zip(busy));
    values
}
