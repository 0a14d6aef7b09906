//! How many Pods workload controllers want.

use super::dataplane::read;
use serde::Deserialize;
use serde_json::{Value, json};
use svcsim_models::controllers::autoscaler::{Metric, NoMetrics, PodMetric, PodState, Wish, by_pods, by_share, by_value, scale_up_limit};
use svcsim_models::controllers::deployment::{
    IntOrPercent, Malformed, Replicas, Strategy, fenceposts, max_unavailable, new_replica_set_size, step_new, step_old,
};

/// More Pods than any cluster has.
const MOST: i64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Int(i64),
    Text(String),
}

#[derive(Clone, Copy, Deserialize)]
enum Kind {
    RollingUpdate,
    Recreate,
}

impl From<Kind> for Strategy {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::RollingUpdate => Self::RollingUpdate,
            Kind::Recreate => Self::Recreate,
        }
    }
}

fn int_or_percent(number: Option<Number>) -> Option<IntOrPercent> {
    number.map(|n| match n {
        Number::Int(n) => IntOrPercent::Int(n),
        Number::Text(text) => IntOrPercent::Text(text),
    })
}

fn bounded(numbers: &[i64]) -> Result<(), String> {
    match numbers.iter().find(|n| !(-MOST..=MOST).contains(*n)) {
        None => Ok(()),
        Some(n) => Err(format!("{n} Pods are more than any cluster has")),
    }
}

fn or_error(found: Result<Value, Malformed>) -> Value {
    found.unwrap_or_else(|_| json!({ "error": true }))
}

/// `rolling_fenceposts`
pub fn rolling_fenceposts(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        max_surge: Option<Number>,
        max_unavailable: Option<Number>,
        desired: i64,
    }
    let Input { max_surge, max_unavailable, desired } = read(input)?;
    bounded(&[desired])?;
    let found = fenceposts(int_or_percent(max_surge).as_ref(), int_or_percent(max_unavailable).as_ref(), desired);
    Ok(or_error(found.map(|f| json!({ "surge": f.surge, "unavailable": f.unavailable }))))
}

/// `rolling_max_unavailable`
pub fn rolling_max_unavailable(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        strategy: Kind,
        max_surge: Option<Number>,
        max_unavailable: Option<Number>,
        desired: i64,
    }
    let Input { strategy, max_surge, max_unavailable: unavailable, desired } = read(input)?;
    bounded(&[desired])?;
    let found = max_unavailable(strategy.into(), int_or_percent(max_surge).as_ref(), int_or_percent(unavailable).as_ref(), desired);
    Ok(json!({ "max_unavailable": found }))
}

/// `rolling_new_replicas`
pub fn rolling_new_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Step {
        SizeHelper,
        Controller,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        step: Step,
        strategy: Kind,
        desired: i64,
        max_surge: Option<Number>,
        old_total: i64,
        new_replicas: i64,
    }
    let case: Input = read(input)?;
    bounded(&[case.desired, case.old_total, case.new_replicas])?;
    let surge = int_or_percent(case.max_surge);
    let size = match case.step {
        Step::SizeHelper => new_replica_set_size,
        Step::Controller => step_new,
    };
    let found = size(case.strategy.into(), surge.as_ref(), case.desired, case.old_total, case.new_replicas);
    Ok(or_error(found.map(|n| json!({ "new_replicas": n }))))
}

/// `rolling_old_replicas`
pub fn rolling_old_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        desired: i64,
        max_surge: Option<Number>,
        max_unavailable: Option<Number>,
        old_replicas: i64,
        old_available: i64,
        new_replicas: i64,
        new_available: i64,
    }
    let case: Input = read(input)?;
    bounded(&[case.desired, case.old_replicas, case.old_available, case.new_replicas, case.new_available])?;
    let old = Replicas { total: case.old_replicas, available: case.old_available };
    let new = Replicas { total: case.new_replicas, available: case.new_available };
    let (surge, unavailable) = (int_or_percent(case.max_surge), int_or_percent(case.max_unavailable));
    Ok(json!({ "old_replicas": step_old(surge.as_ref(), unavailable.as_ref(), case.desired, old, new) }))
}

/// `hpa_desired_replicas`
pub fn hpa_desired_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Ready,
        Unready,
        Starting,
        Missing,
        Failed,
        Deleting,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pod {
        usage: Option<i64>,
        request: Option<i64>,
        state: State,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        metric: String,
        current_replicas: i64,
        target: i64,
        tolerance: f64,
        #[serde(default)]
        pods: Vec<Pod>,
        metric_value: Option<i64>,
        ready_pods: Option<i64>,
    }
    let case: Input = read(input)?;
    bounded(&[case.current_replicas])?;
    if case.target <= 0 {
        return Err(format!("a target of {}; expected more than nothing", case.target));
    }
    let (current, target, tolerance) = (case.current_replicas, case.target, case.tolerance);
    let pods: Vec<PodMetric> = case
        .pods
        .iter()
        .map(|p| PodMetric {
            usage: p.usage,
            request: p.request,
            state: match p.state {
                State::Ready => PodState::Ready,
                State::Unready => PodState::Unready,
                State::Starting => PodState::Starting,
                State::Missing => PodState::Missing,
                State::Failed => PodState::Failed,
                State::Deleting => PodState::Deleting,
            },
        })
        .collect();
    let by_pods = |metric| by_pods(metric, current, target, tolerance, &pods);
    let value = || case.metric_value.ok_or_else(|| "metric_value is missing".to_owned());
    let wish: Result<Wish, NoMetrics> = match case.metric.as_str() {
        "cpu_utilization_percent" => by_pods(Metric::Utilization { cpu: true }),
        "memory_utilization_percent" => by_pods(Metric::Utilization { cpu: false }),
        "cpu_average" => by_pods(Metric::Average { cpu: true }),
        "memory_average" | "pods_average" => by_pods(Metric::Average { cpu: false }),
        "object_value" | "external_value" => {
            let ready = case.ready_pods.ok_or_else(|| "ready_pods is missing".to_owned())?;
            Ok(by_value(current, target, tolerance, value()?, ready))
        }
        "object_average" | "external_average" => Ok(by_share(current, target, tolerance, value()?)),
        other => return Err(format!("there is no metric `{other}`")),
    };
    Ok(match wish {
        Ok(wish) => json!({ "desired": wish.desired, "observed": wish.observed }),
        Err(NoMetrics::NoPods | NoMetrics::NoRequests) => json!({ "error": true }),
    })
}

/// `hpa_scale_limits`
pub fn hpa_scale_limits(_: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        current: i64,
        added_in_last_15s: i64,
    }
    let Input { current, added_in_last_15s } = read(input)?;
    Ok(json!({ "scale_up_limit": scale_up_limit(current, added_in_last_15s) }))
}
