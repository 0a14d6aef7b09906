//! What controllers make of replicas and metrics.

use super::dataplane::read;
use serde::Deserialize;
use serde_json::{Value, json};
use svcsim_models::controllers::autoscaler::{
    Measure, MetricError, Pod, PodState, Proposal, Tolerance, by_average, by_share, by_utilization, by_value,
};
use svcsim_models::controllers::deployment::{
    IntOrString, ReplicaSet, Strategy, fenceposts, max_unavailable, new_replica_set_size, step_new_replica_set, step_old_replica_sets,
};
use svcsim_models::controllers::scaling_rules::{Changes, DEFAULT_DOWN, DEFAULT_UP, SelectPolicy, scale_down_limit, scale_up_limit};

/// What a component that refuses its input is expected to say.
fn or_error<T, E>(found: Result<T, E>, say: impl FnOnce(T) -> Value) -> Value {
    found.map_or_else(|_| json!({"error": true}), say)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FencepostsInput {
    max_surge: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
    desired: i32,
}

/// How far a rolling update may stray.
pub fn rolling_fenceposts(_: &Value, input: &Value) -> Result<Value, String> {
    let input: FencepostsInput = read(input)?;
    let posts = fenceposts(input.max_surge.as_ref(), input.max_unavailable.as_ref(), input.desired);
    Ok(or_error(posts, |posts| json!({"surge": posts.surge, "unavailable": posts.unavailable})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxUnavailableInput {
    strategy: Strategy,
    max_surge: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
    desired: i32,
}

/// How many available Pods a Deployment may do without.
pub fn rolling_max_unavailable(_: &Value, input: &Value) -> Result<Value, String> {
    let input: MaxUnavailableInput = read(input)?;
    let found = max_unavailable(input.strategy, input.max_surge.as_ref(), input.max_unavailable.as_ref(), input.desired);
    Ok(json!({"max_unavailable": found}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReplicasInput {
    step: Step,
    strategy: Strategy,
    max_surge: Option<IntOrString>,
    desired: i32,
    old_total: i32,
    new_replicas: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    SizeHelper,
    Controller,
}

/// The new ReplicaSet's replicas.
pub fn rolling_new_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    let input: NewReplicasInput = read(input)?;
    let size = match input.step {
        Step::SizeHelper => new_replica_set_size,
        Step::Controller => step_new_replica_set,
    };
    let found = size(input.strategy, input.max_surge.as_ref(), input.desired, input.old_total, input.new_replicas);
    Ok(or_error(found, |replicas| json!({"new_replicas": replicas})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldReplicasInput {
    desired: i32,
    max_surge: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
    old_replicas: i32,
    old_available: i32,
    new_replicas: i32,
    new_available: i32,
}

/// The old ReplicaSets' replicas after one step.
pub fn rolling_old_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    let input: OldReplicasInput = read(input)?;
    let unavailable = max_unavailable(Strategy::RollingUpdate, input.max_surge.as_ref(), input.max_unavailable.as_ref(), input.desired);
    let mut old = [ReplicaSet { replicas: input.old_replicas, available: input.old_available }];
    let new = ReplicaSet { replicas: input.new_replicas, available: input.new_available };
    step_old_replica_sets(&mut old, new, input.desired, unavailable);
    Ok(json!({"old_replicas": old[0].replicas}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DesiredReplicasInput {
    metric: Metric,
    current_replicas: i32,
    target: i64,
    tolerance: f64,
    #[serde(default)]
    pods: Vec<PodInput>,
    metric_value: Option<i64>,
    ready_pods: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Metric {
    CpuUtilizationPercent,
    MemoryUtilizationPercent,
    CpuAverage,
    MemoryAverage,
    PodsAverage,
    ObjectValue,
    ExternalValue,
    ObjectAverage,
    ExternalAverage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodInput {
    usage: Option<i64>,
    request: Option<i64>,
    state: StateInput,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateInput {
    Ready,
    Unready,
    Starting,
    Missing,
    Failed,
    Deleting,
}

impl From<PodInput> for Pod {
    fn from(pod: PodInput) -> Self {
        let state = match pod.state {
            StateInput::Ready | StateInput::Missing => PodState::Ready,
            StateInput::Unready | StateInput::Starting => PodState::Unready,
            StateInput::Failed | StateInput::Deleting => PodState::Gone,
        };
        Self { state, usage: pod.usage.filter(|_| pod.state != StateInput::Missing), request: pod.request }
    }
}

/// How many replicas a metric asks for.
pub fn hpa_desired_replicas(_: &Value, input: &Value) -> Result<Value, String> {
    let input: DesiredReplicasInput = read(input)?;
    let (current, target, tolerance) = (input.current_replicas, input.target, Tolerance::both(input.tolerance));
    let pods: Vec<Pod> = input.pods.into_iter().map(Pod::from).collect();
    let utilization = |measure| {
        let percent = i32::try_from(target).map_err(|_| "the target is no percentage")?;
        Ok::<_, String>(by_utilization(measure, current, percent, tolerance, &pods))
    };
    let value = || input.metric_value.ok_or("the metric has no value");
    let found: Result<Proposal, MetricError> = match input.metric {
        Metric::CpuUtilizationPercent => utilization(Measure::Cpu)?,
        Metric::MemoryUtilizationPercent => utilization(Measure::Other)?,
        Metric::CpuAverage => by_average(Measure::Cpu, current, target, tolerance, &pods),
        Metric::MemoryAverage | Metric::PodsAverage => by_average(Measure::Other, current, target, tolerance, &pods),
        Metric::ObjectValue | Metric::ExternalValue => {
            // With no replicas nobody asks how many Pods are ready.
            let ready = input.ready_pods.or((current == 0).then_some(0)).ok_or("the ready Pods are not given")?;
            Ok(by_value(current, target, tolerance, value()?, ready))
        }
        Metric::ObjectAverage | Metric::ExternalAverage => Ok(by_share(current, target, tolerance, value()?)),
    };
    Ok(or_error(found, |proposal| json!({"desired": proposal.replicas, "observed": proposal.observed})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleLimitsInput {
    current: i32,
    added_in_last_15s: Option<i32>,
    removed_in_last_15s: Option<i32>,
}

/// The limits that the default policies set, each where the changes in its direction are given.
pub fn hpa_scale_limits(_: &Value, input: &Value) -> Result<Value, String> {
    let input: ScaleLimitsInput = read(input)?;
    let changes =
        Changes { current: input.current, added: input.added_in_last_15s.unwrap_or(0), removed: input.removed_in_last_15s.unwrap_or(0) };
    let mut limits = json!({});
    if input.added_in_last_15s.is_some() {
        limits["scale_up_limit"] = scale_up_limit(changes, SelectPolicy::Max, &DEFAULT_UP).into();
    }
    if input.removed_in_last_15s.is_some() {
        limits["scale_down_limit"] = scale_down_limit(changes, SelectPolicy::Max, &DEFAULT_DOWN).into();
    }
    Ok(limits)
}
