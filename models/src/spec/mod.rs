//! [`ClusterSpec`]: what an experiment says of the world, as plain data.
//!
//! Types that stand in an experiment file as they are carry serde derives: camelCase keys, unknown keys
//! refused, units in every quantity. Kubernetes objects are read elsewhere and arrive here as plain facts.

mod autoscaler;
mod calls;
mod events;
mod kubernetes;
mod pod;
mod traffic;

pub use crate::control_plane::probes::{ProbeSpec, Probes};
pub use crate::controllers::deployment::IntOrString;
pub use crate::controllers::disruption::{Budget, DisruptionBudgetSpec};
pub use crate::controllers::scheduling::{
    Operator, PodTerm, Requirement, SchedulingSpec, SpreadConstraint, Taint, TaintEffect, Toleration,
};
pub use autoscaler::{AutoscalerSpec, AutoscalingSpec, CpuTarget, ScalingBehavior, ScalingRules};
pub use calls::{CallSpec, StepSpec};
pub use events::{
    Action, BalancerTarget, EventSpec, Everything, LinkTarget, NodeTarget, PodTarget, RolloutTarget, ScaleTarget, SelectorTarget,
    SlowTarget, ZoneTarget, any_pod_of,
};
pub use kubernetes::{
    ContainerPortSpec, Controller, IpMode, NodeSpec, Protocol, RolloutSpec, ServicePortSpec, ServiceSpec, ServiceType, TargetPort,
    TrafficDistribution, TrafficPolicy, WorkloadSpec,
};
pub use pod::{AtSigterm, Discipline, PodBehaviour, WarmUp};
pub use traffic::{
    ConnectionsSpec, FixedSpec, HandshakeSpec, HedgingSpec, KeepAliveSpec, KeysSpec, MultiplexedSpec, Origin, Popularity, SlowStartSpec,
    Spread, TcpSpec, Tls, TrafficSpec, Via,
};

use crate::network::NetworkSpec;
use crate::units::{Bytes, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// Everything a run needs to know, and nothing of files or threads.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// Kubernetes Nodes, in the order of the input.
    pub nodes: Vec<NodeSpec>,
    /// What creates Pods, in the order of the input.
    pub workloads: Vec<WorkloadSpec>,
    /// Services, in the order of the input.
    pub services: Vec<ServiceSpec>,
    /// The network that joins client sites and Nodes.
    pub network: NetworkSpec,
    /// How Nodes realise Services.
    pub data_plane: crate::dataplane::DataPlaneSpec,
    /// What all data planes have in common.
    pub proxy: crate::dataplane::ProxySpec,
    /// Limits and time-outs of connection tracking.
    pub conntrack: crate::dataplane::ConntrackSpec,
    /// What stands in front of Services of type LoadBalancer.
    pub load_balancer: crate::load_balancer::LoadBalancerSpec,
    /// How long the control plane takes to tell Nodes.
    pub propagation: PropagationSpec,
    /// How the EndpointSlice controller writes.
    pub endpoint_slices: EndpointSlicesSpec,
    /// Who calls which Service, by name.
    pub traffic: BTreeMap<String, TrafficSpec>,
    /// When the control plane takes a Node for lost.
    pub node_lifecycle: NodeLifecycleSpec,
    /// What all autoscalers have in common.
    pub autoscaling: AutoscalingSpec,
    /// What happens to the cluster, by name.
    pub events: BTreeMap<String, EventSpec>,
    /// How long a run lasts and what of it is measured.
    pub run: RunSpec,
    /// About one request in so many is kept with all that is known of it, by who sent it and when; 0: none, 1: all.
    pub sample: u32,
}

/// How long the control plane takes to tell Nodes of a change in endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PropagationSpec {
    /// From the change of a Pod until the EndpointSlice is written.
    pub publish: DistSpec<SimDuration>,
    /// From there until one Node's proxy has heard of it, drawn for each Node and change by itself; its sync follows.
    pub to_node: DistSpec<SimDuration>,
    /// From there until cluster DNS has heard of it, whose answers name the Pods of headless Services.
    #[serde(default = "defaults::to_node")]
    pub to_dns: DistSpec<SimDuration>,
}

impl Default for PropagationSpec {
    fn default() -> Self {
        Self { publish: defaults::publish(), to_node: defaults::to_node(), to_dns: defaults::to_node() }
    }
}

/// `endpointSlices: {maxPerSlice: 100, batchPeriod: 0s, qps: 20/s, burst: 30}`: kube-controller-manager's flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EndpointSlicesSpec {
    /// `--max-endpoints-per-slice`.
    pub max_per_slice: u32,
    /// `--endpointslice-updates-batch-period`: how long changes of Pods are collected before slices are written.
    pub batch_period: SimDuration,
    /// `--kube-api-qps`: slices written per second when many are.
    pub qps: Rate,
    /// `--kube-api-burst`: slices written without waiting after a quiet time.
    pub burst: u32,
}

impl Default for EndpointSlicesSpec {
    /// As kube-controller-manager has them (`pkg/controller/endpointslice/config/v1alpha1/defaults.go`,
    /// `staging/src/k8s.io/controller-manager/config/v1alpha1/defaults.go`).
    fn default() -> Self {
        Self { max_per_slice: 100, batch_period: SimDuration::ZERO, qps: Rate(20.0), burst: 30 }
    }
}

/// When the control plane takes a Node for lost, and what it does with its Pods.
///
/// Source: `pkg/controller/nodelifecycle`, kube-controller-manager's and kubelet's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeLifecycleSpec {
    /// How often a kubelet renews its Node's lease.
    pub lease_renewal: SimDuration,
    /// How often the controller looks (`--node-monitor-period`).
    pub monitor_period: SimDuration,
    /// A Node whose lease is older is unreachable, and its Pods not ready (`--node-monitor-grace-period`; 40 s before 1.32).
    pub grace_period: SimDuration,
    /// Pods of an unreachable Node are deleted so long after it was tainted (`tolerationSeconds` that admission gives every Pod).
    pub toleration: SimDuration,
    /// Nodes of a zone that are tainted per second (`--node-eviction-rate`).
    pub eviction_rate: Rate,
    /// The same in a large zone of which a great part is lost (`--secondary-node-eviction-rate`); in a small one it is none.
    pub secondary_eviction_rate: Rate,
    /// The part of a zone's Nodes, and more than two, that is a great part (`--unhealthy-zone-threshold`).
    pub unhealthy_zone_threshold: f64,
    /// A zone of more Nodes is large (`--large-cluster-size-threshold`).
    pub large_zone: u32,
}

impl Default for NodeLifecycleSpec {
    fn default() -> Self {
        let secs = SimDuration::from_secs;
        Self {
            lease_renewal: secs(10),
            monitor_period: secs(5),
            grace_period: secs(50),
            toleration: secs(300),
            eviction_rate: Rate(0.1),
            secondary_eviction_rate: Rate(0.01),
            unhealthy_zone_threshold: 0.55,
            large_zone: 50,
        }
    }
}

/// How long a run lasts and what of it is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSpec {
    /// Requests sent until here are simulated; all that were sent are then followed to their end.
    pub duration: SimDuration,
    /// Requests sent before this are simulated but not measured, so that the empty start does not count.
    pub warm_up: SimDuration,
    /// Width of a window of the timeline.
    pub window: SimDuration,
}

/// Defaults an experiment file may leave out. Each is an assumption, stated in the documentation.
mod defaults {
    use super::{Bytes, DistSpec, SimDuration};

    pub(super) fn startup() -> DistSpec<SimDuration> {
        DistSpec::Constant(SimDuration::from_secs(5))
    }
    pub(super) fn image_pull() -> DistSpec<SimDuration> {
        DistSpec::Constant(SimDuration::ZERO)
    }
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
    pub(super) fn is_zero(time: &SimDuration) -> bool {
        *time == SimDuration::ZERO
    }

    pub(super) fn is_nothing(pull: &DistSpec<SimDuration>) -> bool {
        *pull == image_pull()
    }
    /// `net.core.somaxconn` (Linux since 5.4, `include/linux/socket.h`, `SOMAXCONN`), which is Go's backlog too.
    pub(super) const fn backlog() -> u32 {
        4_096
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
    pub(super) const fn is_somaxconn(backlog: &u32) -> bool {
        *backlog == 4_096
    }

    pub(super) fn publish() -> DistSpec<SimDuration> {
        DistSpec::Constant(SimDuration::from_millis(50))
    }
    pub(super) fn to_node() -> DistSpec<SimDuration> {
        DistSpec::Uniform { min: SimDuration::from_millis(5), max: SimDuration::from_millis(50) }
    }
    pub(super) fn request_size() -> DistSpec<Bytes> {
        DistSpec::Constant(Bytes(1_000))
    }
    pub(super) fn response_size() -> DistSpec<Bytes> {
        DistSpec::Constant(Bytes(10_000))
    }
    pub(super) fn clients() -> u32 {
        10
    }
}

/// What is wrong with a spec: which field, what was found and expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Dotted path in the experiment file or of a Kubernetes object, e.g. `services.web.spec.ports[0].nodePort`.
    pub field: String,
    /// What was found and what was expected, in one sentence.
    pub problem: String,
    /// The likely fix, in one sentence.
    pub fix: String,
}

impl SpecError {
    /// An error at `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), fix: fix.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.field, self.problem, self.fix)
    }
}

impl std::error::Error for SpecError {}
