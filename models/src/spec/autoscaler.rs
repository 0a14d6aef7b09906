//! Horizontal Pod autoscalers, as plain facts.

use crate::controllers::scaling_rules::{DEFAULT_DOWN, DEFAULT_PERIOD_SECONDS, DEFAULT_UP, ScalingPolicy, SelectPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;

/// A HorizontalPodAutoscaler (autoscaling/v2) that scales by its Pods' CPU.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscalerSpec {
    /// Where it stands in the input, e.g. `horizontalpodautoscalers.web`; errors name it.
    pub field: String,
    /// `minReplicas`.
    pub min_replicas: u32,
    /// `maxReplicas`.
    pub max_replicas: u32,
    /// `metrics[].resource` of the resource `cpu`; the one that asks for most decides.
    pub targets: Vec<CpuTarget>,
    /// `behavior`; absent, the older limits hold: at most twice the replicas, or 4, at once
    /// (`horizontal.go` `calculateScaleUpLimit`).
    pub behavior: Option<ScalingBehavior>,
}

/// What an autoscaler wants its Pods' CPU to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuTarget {
    /// `averageUtilization`: percent of what they request.
    Utilization(i32),
    /// `averageValue`, in thousandths of a core.
    AverageMillis(i64),
}

/// `behavior`: how fast an autoscaler may follow.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingBehavior {
    /// `scaleUp`.
    pub up: ScalingRules,
    /// `scaleDown`.
    pub down: ScalingRules,
}

/// Limits on changes in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// `stabilizationWindowSeconds`; absent: none upwards, that of the controller downwards.
    pub stabilization: Option<SimDuration>,
    /// `selectPolicy`.
    pub select: SelectPolicy,
    /// `policies`, each with its `periodSeconds`.
    pub policies: Vec<(ScalingPolicy, SimDuration)>,
    /// `tolerance` (KEP-4951); absent: that of the controller.
    pub tolerance: Option<f64>,
}

impl ScalingRules {
    /// What holds upwards where `behavior` says nothing of it.
    #[must_use]
    pub fn default_up() -> Self {
        Self::by_default(&DEFAULT_UP)
    }

    /// What holds downwards where `behavior` says nothing of it.
    #[must_use]
    pub fn default_down() -> Self {
        Self::by_default(&DEFAULT_DOWN)
    }

    fn by_default(policies: &[ScalingPolicy]) -> Self {
        let period = SimDuration::from_secs(DEFAULT_PERIOD_SECONDS);
        Self { stabilization: None, select: SelectPolicy::Max, policies: policies.iter().map(|p| (*p, period)).collect(), tolerance: None }
    }
}

/// `autoscaling:`: what all autoscalers of a cluster have in common.
///
/// Source: kube-controller-manager's flags `--horizontal-pod-autoscaler-*` (`pkg/controller/podautoscaler/config/v1alpha1`); the
/// manifests that metrics-server is released with (`--metric-resolution=15s`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AutoscalingSpec {
    /// How often each autoscaler looks.
    pub sync_period: SimDuration,
    /// How often metrics-server asks kubelets for the CPU of Pods; a metric is the mean between two such looks.
    pub metric_resolution: SimDuration,
    /// A ratio of metric to target that is so near to 1 changes nothing.
    pub tolerance: f64,
    /// No fewer replicas than any recommendation of so long asked for.
    pub downscale_stabilization: SimDuration,
    /// So long after its start the CPU of a Pod counts only if it was ready all through.
    pub cpu_initialization: SimDuration,
    /// A Pod that has become unready within so long of its start has never been ready.
    pub initial_readiness_delay: SimDuration,
}

impl Default for AutoscalingSpec {
    fn default() -> Self {
        let secs = SimDuration::from_secs;
        Self {
            sync_period: secs(15),
            metric_resolution: secs(15),
            tolerance: 0.1,
            downscale_stabilization: secs(300),
            cpu_initialization: secs(300),
            initial_readiness_delay: secs(30),
        }
    }
}
