//! External policy Local: a load balancer gives Nodes with Pods equal parts, however many Pods they have.

use super::queues::measure;
use super::world::{law, read, seconds};
use super::{Effort, Plan, Vector};
use serde_json::{Value, json};

/// Requests of clients outside, each over its own connection, to Pods that are spread unevenly.
pub(super) fn external(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods_per_node", "arrival_rate_rps", "service"])?;
    let list = vector.params.get("pods_per_node").and_then(Value::as_array).ok_or("no list `pods_per_node`")?;
    let pods: Vec<u64> = list.iter().map(|n| n.as_u64().filter(|n| *n <= 1_000)).collect::<Option<_>>().ok_or("no numbers of Pods")?;
    let rate = vector.number("arrival_rate_rps")?;
    let runs = vector.long_runs(rate, effort)?;
    let labels = json!({"app": "web"});
    let deployment = |(node, replicas): (usize, &u64)| {
        let own = json!({"app": "web", "node": node.to_string()});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name(node)},
            "spec": {"replicas": replicas, "selector": {"matchLabels": own},
                     "template": {"metadata": {"labels": own}, "spec": {"containers": [{"name": "web"}]}}},
        })
    };
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": labels, "ports": [{"port": 80}]},
    });
    let objects: Vec<Value> = pods.iter().enumerate().filter(|(_, n)| **n > 0).map(deployment).chain([service]).collect();
    let mut spec = read(&json!({
        "apiVersion": "svcsim/v1alpha1", "kind": "Experiment", "metadata": {"name": "vector"},
        "kubernetes": {"objects": objects, "nodes": {"zones": ["zone"], "perZone": pods.len()}},
        "network": {"shape": {"oneSwitch": {"node": {"delay": "0s"}}}, "sites": {"internet": {"link": {"delay": "0s"}}}},
        "pods": {"default": {"serviceTime": law(vector, "service")?, "concurrency": 1, "startup": "0s"}},
        "conntrack": {"min": 1_000_000_000},
        "traffic": {"clients": {
            "from": {"site": "internet"}, "to": "web", "via": "LoadBalancer",
            "arrivals": {"poisson": {"rate": format!("{rate}/s")}}, "clients": 1_000,
        }},
        "run": {"duration": seconds(runs.duration), "warmUp": seconds(runs.warm_up), "window": seconds(runs.duration)},
    }))?;
    for (node, placed) in spec.nodes.iter().enumerate() {
        spec.workloads
            .iter_mut()
            .filter(|w| w.name == name(node))
            .for_each(|w| w.placed_on = vec![placed.name.clone(); w.replicas as usize]);
    }
    Ok(runs.plan(spec, |run| {
        let mut values = measure(run);
        let busy = run.pods.iter().map(|p| p.busy.as_secs_f64() / run.measured.as_secs_f64());
        values.insert("hottest_pod_utilisation", busy.fold(0.0, f64::max));
        values
    }))
}

fn name(node: usize) -> String {
    format!("web-{node}")
}
