//! The cluster of the vectors: Pods of one Service `web`, called at its cluster IP from Pods on all Nodes, with nothing
//! between them that takes time. It is read as an experiment file is.

use super::{LongRuns, Vector};
use crate::input::experiment::Loaded;
use serde_json::{Map, Value, json};
use std::path::Path;
use svcsim_engine::SimDuration;
use svcsim_engine::stats::distributions::normal_quantile;
use svcsim_models::dataplane::{DataPlaneSpec, SyncSpec, iptables};
use svcsim_models::spec::ClusterSpec;

/// What differs between the vectors' clusters.
pub(super) struct World {
    pub(super) nodes: u32,
    pub(super) pods: u32,
    /// As in `pods:` of an experiment.
    pub(super) behaviour: Value,
    /// Requests per second.
    pub(super) rate: f64,
    /// What of the source is otherwise, as in `traffic:` of an experiment; none for Poisson requests to the cluster IP.
    pub(super) source: Value,
    /// From the change of an EndpointSlice until a Node knows, as an experiment writes it.
    pub(super) to_node: Value,
    /// Measured from here, s.
    pub(super) warm_up: f64,
    /// Sending ends here, s.
    pub(super) duration: f64,
}

impl World {
    /// Pods of this behaviour on one Node, which knows of them at once, for as long as `runs` say.
    pub(super) fn steady(runs: &LongRuns, pods: u32, behaviour: Value, rate: f64, source: Value) -> Self {
        Self { nodes: 1, pods, behaviour, rate, source, to_node: seconds(0.0).into(), warm_up: runs.warm_up, duration: runs.duration }
    }

    /// The spec of it.
    ///
    /// # Errors
    /// A parameter that no experiment can have.
    pub(super) fn spec(&self) -> Result<ClusterSpec, String> {
        let labels = json!({"app": "web"});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": self.pods, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web"}]}}},
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        });
        let mut experiment = json!({
            "apiVersion": "svcsim/v1alpha1", "kind": "Experiment", "metadata": {"name": "vector"},
            "kubernetes": {"objects": [deployment, service], "nodes": {"zones": ["zone"], "perZone": self.nodes}},
            "network": {"shape": {"oneSwitch": {"node": {"delay": "0s"}}}},
            "pods": {"web": self.behaviour},
            // Room for every connection that is remembered: conntrack's limit is no part of the theory.
            "conntrack": {"min": 1_000_000_000},
            "propagation": {"publish": "0s", "toNode": self.to_node},
            "traffic": {"clients": {
                "from": "cluster", "to": "web", "via": "ClusterIP",
                "arrivals": {"poisson": {"rate": format!("{}/s", self.rate)}}, "clients": self.nodes.max(10),
            }},
            "run": {"duration": seconds(self.duration), "warmUp": seconds(self.warm_up), "window": seconds(self.duration)},
        });
        for (key, value) in self.source.as_object().into_iter().flatten() {
            experiment["traffic"]["clients"][key] = value.clone();
        }
        read(&experiment)
    }
}

/// The spec of an experiment, with Nodes whose rules are found and written in no time.
///
/// # Errors
/// What no experiment can have.
pub(super) fn read(experiment: &Value) -> Result<ClusterSpec, String> {
    let errors = |e: Vec<crate::input::error::InputError>| e.iter().map(|e| format!("{}: {}", e.field, e.problem)).collect::<String>();
    let loaded = Loaded::parse(Path::new("vector.yaml"), &experiment.to_string(), &[]).map_err(errors)?;
    let mut spec = loaded.spec(&[]).map_err(|e| errors(vec![e]))?;
    spec.data_plane = DataPlaneSpec::Iptables(iptables::Spec { per_rule: SimDuration::ZERO, sync: SyncSpec::INSTANT });
    svcsim_models::cluster::check(&spec).map_err(|e| e.to_string())?;
    Ok(spec)
}

/// As experiments write times; to the nanosecond.
pub(super) fn seconds(s: f64) -> String {
    format!("{s:.9}s")
}

pub(super) fn milliseconds(ms: f64) -> String {
    seconds(ms / 1e3)
}

/// The distribution that a vector describes in ms, as an experiment writes it.
pub(super) fn law(vector: &Vector, key: &str) -> Result<Value, String> {
    let law = vector.params.get(key).and_then(Value::as_object).ok_or_else(|| format!("no parameter `{key}`, or no distribution"))?;
    let number = |name: &str| law.get(name).and_then(Value::as_f64).ok_or_else(|| format!("`{key}` has no number `{name}`"));
    let time = |name: &str| number(name).map(milliseconds);
    Ok(match law.get("law").and_then(Value::as_str).unwrap_or_default() {
        "exponential" => json!({"exponential": {"mean": time("mean_ms")?}}),
        "deterministic" => json!(time("value_ms")?),
        "uniform" => json!({"uniform": {"min": time("low_ms")?, "max": time("high_ms")?}}),
        "lognormal" => json!({"lognormal": {"mean": time("mean_ms")?, "cv": number("cv")?}}),
        "Pareto" => json!({"pareto": {"min": time("minimum_ms")?, "shape": number("alpha")?}}),
        "Erlang" => json!({"erlang": {"mean": time("mean_ms")?, "stages": number("shape")? as u32}}),
        "two-point" => {
            json!({"bimodal": {"low": time("short_ms")?, "high": time("long_ms")?, "highProbability": 1.0 - number("p_short")?}})
        }
        "hyperexponential-2, balanced means" => json!({"hyperexponential": {"mean": time("mean_ms")?, "cv": number("scv")?.sqrt()}}),
        other => return Err(format!("`{key}`: the law `{other}` is not known")),
    })
}

/// The mean of the distribution that a vector describes, ms.
pub(super) fn mean_ms(law: &Map<String, Value>) -> Option<f64> {
    let number = |name: &str| law.get(name).and_then(Value::as_f64);
    number("mean_ms").or_else(|| number("value_ms")).or_else(|| Some((number("low_ms")? + number("high_ms")?) / 2.0))
}

/// A quantile of the lognormal distribution that a vector describes, ms.
pub(super) fn lognormal_quantile(vector: &Vector, key: &str, q: f64) -> Result<f64, String> {
    let law = vector.params.get(key).and_then(Value::as_object).ok_or_else(|| format!("no parameter `{key}`, or no distribution"))?;
    let number = |name: &str| law.get(name).and_then(Value::as_f64).ok_or_else(|| format!("`{key}` has no number `{name}`"));
    if law.get("law").and_then(Value::as_str) != Some("lognormal") {
        return Err(format!("`{key}` is not lognormal"));
    }
    let (mean, cv) = (number("mean_ms")?, number("cv")?);
    let sigma = libm::log1p(cv * cv).sqrt();
    Ok(mean * libm::exp(sigma * normal_quantile(q) - sigma * sigma / 2.0))
}
