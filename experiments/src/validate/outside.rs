//! Clients outside the cluster: their link, and how a load balancer spreads them under external policy Local.

use super::queues::measure;
use super::world::{law, milliseconds, read, seconds};
use super::{Effort, LongRuns, Plan, Vector};
use serde_json::{Value, json};
use svcsim_models::spec::ClusterSpec;

/// Bits per second of a link of which only the time that messages take is known.
const BANDWIDTH: f64 = 1e9;

/// A load balancer gives Nodes with Pods equal parts of the connections, however many Pods they have.
pub(super) fn external_local(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods_per_node", "arrival_rate_rps", "service"])?;
    let list = vector.params.get("pods_per_node").and_then(Value::as_array).ok_or("no list `pods_per_node`")?;
    let pods: Vec<u64> = list.iter().map(|n| n.as_u64().filter(|n| *n <= 1_000)).collect::<Option<_>>().ok_or("no numbers of Pods")?;
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let service = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": 1, "startup": "0s"});
    let source = json!({"via": "LoadBalancer"});
    let spec = cluster(&pods, service, &json!({"delay": "0s"}), behaviour, (rate, source), &runs)?;
    Ok(runs.plan(spec, |run| {
        let mut values = measure(run);
        let busy = run.pods.iter().map(|p| p.busy.as_secs_f64() / run.measured.as_secs_f64());
        values.insert("hottest_pod_utilisation", busy.fold(0.0, f64::max));
        values
    }))
}

/// A link on which requests queue, then Pods in which they do.
pub(super) fn tandem(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&[
        "delay_out_ms",
        "link_mean_ms",
        "link_utilisation",
        "pods",
        "servers_per_pod",
        "policy",
        "arrival_rate_rps",
        "service",
        "delay_back_ms",
    ])?;
    let (rate, out, mean) = (vector.number("arrival_rate_rps")?, vector.number("delay_out_ms")?, vector.number("link_mean_ms")?);
    let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
    if !same(out, vector.number("delay_back_ms")?) || !same(rate * mean / 1e3, vector.number("link_utilisation")?) {
        return Err("a link whose directions differ, or whose use is not rate times time".to_owned());
    }
    let runs = vector.long_runs(rate, effort)?;
    let behaviour = json!({"serviceTime": law(vector, "service")?, "concurrency": vector.count("servers_per_pod")?, "startup": "0s"});
    let link = json!({"delay": milliseconds(out), "bandwidth": "1Gbit/s"});
    let size = format!("{}B", (BANDWIDTH / 8.0 * mean / 1e3) as u64);
    let source = json!({
        "via": "NodePort", "handshake": {"tcp": false},
        "requestSize": {"exponential": {"mean": size}}, "responseSize": "0B",
    });
    let spec = cluster(&[vector.count("pods")?.into()], json!({"type": "NodePort"}), &link, behaviour, (rate, source), &runs)?;
    Ok(runs.plan(spec, move |run| {
        let mut values = measure(run);
        let series = &run.series[0];
        values.extend(series.wait.mean().zip(series.service.mean()).map(|(w, s)| ("pod_sojourn_mean_ms", (w + s) / 1e6)));
        values.extend(series.network.mean().map(|ns| ("link_sojourn_mean_ms", ns / 1e6 - 2.0 * out)));
        values.extend(series.latency.min().map(|d| ("sojourn_smallest_ms", d.as_millis_f64())));
        values
    }))
}

/// Nodes with these numbers of Pods of one Service, called by clients behind a link.
fn cluster(
    pods: &[u64],
    mut service: Value,
    link: &Value,
    behaviour: Value,
    (rate, source): (f64, Value),
    runs: &LongRuns,
) -> Result<ClusterSpec, String> {
    let deployment = |(node, replicas): (usize, &u64)| {
        let labels = json!({"app": "web", "node": node.to_string()});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name(node)},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web"}]}}},
        })
    };
    service["selector"] = json!({"app": "web"});
    service["ports"] = json!([{"port": 80}]);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service});
    let objects: Vec<Value> = pods.iter().enumerate().filter(|(_, n)| **n > 0).map(deployment).chain([service]).collect();
    let mut clients = json!({
        "from": {"site": "internet"}, "to": "web",
        "arrivals": {"poisson": {"rate": format!("{rate}/s")}}, "clients": 1_000,
    });
    for (key, value) in source.as_object().into_iter().flatten() {
        clients[key] = value.clone();
    }
    let mut spec = read(&json!({
        "apiVersion": "svcsim/v1alpha1", "kind": "Experiment", "metadata": {"name": "vector"},
        "kubernetes": {"objects": objects, "nodes": {"zones": ["zone"], "perZone": pods.len()}},
        "network": {"shape": {"oneSwitch": {"node": {"delay": "0s"}}}, "sites": {"internet": {"link": link}}},
        "pods": {"default": behaviour},
        // It takes no time, and its checks are over: else SYNs that Nodes without Pods dropped at the start come again for two minutes.
        "loadBalancer": {"instanceTargets": {"delay": "0s", "localTargets": "nodesWithPods"}},
        "conntrack": {"min": 1_000_000_000},
        "traffic": {"clients": clients},
        "run": {"duration": seconds(runs.duration), "warmUp": seconds(runs.warm_up), "window": seconds(runs.duration)},
    }))?;
    for (node, placed) in spec.nodes.iter().enumerate() {
        let here = spec.workloads.iter_mut().filter(|w| w.name == name(node));
        here.for_each(|w| w.placed_on = vec![placed.name.clone(); w.replicas as usize]);
    }
    Ok(spec)
}

fn name(node: usize) -> String {
    format!("web-{node}")
}
