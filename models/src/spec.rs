//! [`ClusterSpec`]: what an experiment says of the world, as plain data.
//!
//! Types that stand in an experiment file as they are carry serde derives: camelCase keys, unknown keys
//! refused, units in every quantity. Kubernetes objects are read elsewhere and arrive here as plain facts.

use crate::network::NetworkSpec;
use crate::units::Bytes;
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
    /// What stands in front of Services of type LoadBalancer.
    pub load_balancer: crate::load_balancer::LoadBalancerSpec,
    /// How long the control plane takes to tell Nodes.
    pub propagation: PropagationSpec,
    /// Who calls which Service, by name.
    pub traffic: BTreeMap<String, TrafficSpec>,
    /// What goes wrong at random, by workload name.
    pub churn: BTreeMap<String, ChurnSpec>,
    /// How long a run lasts and what of it is measured.
    pub run: RunSpec,
}

/// A Kubernetes Node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// `metadata.name`.
    pub name: String,
    /// Label `topology.kubernetes.io/zone`; empty if unset.
    pub zone: String,
    /// Label `topology.kubernetes.io/region`; empty if unset.
    pub region: String,
    /// All labels, for node selectors.
    pub labels: BTreeMap<String, String>,
    /// Whether new Pods may be placed here (`spec.unschedulable` is false).
    pub schedulable: bool,
}

/// A Deployment, StatefulSet, DaemonSet or bare Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// `metadata.name`.
    pub name: String,
    /// Where it stands in the input, e.g. `deployments.frontend`; errors name it.
    pub field: String,
    /// Labels of its Pods, which Services select by.
    pub labels: BTreeMap<String, String>,
    /// How many Pods it keeps; a DaemonSet's is the number of matching Nodes.
    pub replicas: u32,
    /// One Pod on each matching Node instead of `replicas`.
    pub daemon: bool,
    /// Labels that a Node must carry (`spec.nodeSelector`).
    pub node_selector: BTreeMap<String, String>,
    /// Nodes that its first Pods are known to run on (from a dump), by replica; empty where unknown.
    pub placed_on: Vec<String>,
    /// `terminationGracePeriodSeconds`; Kubernetes' default is 30 s.
    pub termination_grace: SimDuration,
    /// `lifecycle.preStop.sleep`; zero if none.
    pub pre_stop: SimDuration,
    /// What its Pods do.
    pub pod: PodBehaviour,
}

/// What a Pod does with requests. Kubernetes manifests do not say, so the experiment must.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodBehaviour {
    /// Demand of one request: the time one server is busy with it.
    pub service_time: DistSpec<SimDuration>,
    /// Requests served at once (servers, in queueing terms).
    pub concurrency: u32,
    /// Requests that may wait in the Pod's line; one more is refused with 503. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// From the Pod's creation until it is Ready: pull, start, probes.
    #[serde(default = "defaults::startup")]
    pub startup: DistSpec<SimDuration>,
    /// How FIFO line or sharing: the queueing discipline.
    #[serde(default)]
    pub discipline: Discipline,
}

/// How a Pod's servers meet its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Discipline {
    /// `concurrency` servers and one line, first come first served.
    #[default]
    Fifo,
    /// All requests at once; each gets an equal share of `concurrency` servers, at most one each.
    ProcessorSharing,
}

/// A Kubernetes Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// `metadata.name`.
    pub name: String,
    /// Where it stands in the input, e.g. `services.frontend`; errors name it.
    pub field: String,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.selector`; empty selects nothing.
    pub selector: BTreeMap<String, String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePortSpec>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.internalTrafficPolicy`.
    pub internal_traffic_policy: TrafficPolicy,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePortSpec {
    /// `name`; empty if unset.
    pub name: String,
    /// `port`.
    pub port: u16,
    /// `nodePort`, where the file gives one.
    pub node_port: Option<u16>,
}

/// `spec.type` of a Service that svcsim models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// One stable address inside the cluster.
    ClusterIP,
    /// That, and the same port on every Node.
    NodePort,
    /// That, and one public address in front.
    LoadBalancer,
}

impl fmt::Display for ServiceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `externalTrafficPolicy` and `internalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any endpoint of the cluster.
    #[default]
    Cluster,
    /// Only endpoints on the Node that decides.
    Local,
}

/// How long the control plane takes to tell Nodes of a change in endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PropagationSpec {
    /// From the change of a Pod until the EndpointSlice is written.
    pub publish: DistSpec<SimDuration>,
    /// From there until one Node's rules have changed, drawn for each Node and change by itself.
    pub to_node: DistSpec<SimDuration>,
}

impl Default for PropagationSpec {
    fn default() -> Self {
        Self { publish: defaults::publish(), to_node: defaults::to_node() }
    }
}

/// One source of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficSpec {
    /// Where the clients are.
    pub from: Origin,
    /// The Service they call, by name.
    pub to: String,
    /// Which of the Service's addresses they dial.
    pub via: Via,
    /// Which port, by name or number; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Arrivals: when requests are sent.
    pub arrivals: crate::workload::ArrivalsSpec,
    /// Independent clients among whom the requests are spread evenly at random; each has its own connections.
    #[serde(default = "defaults::clients")]
    pub clients: u32,
    /// A connection for each request, or a pool kept alive.
    #[serde(default)]
    pub connections: ConnectionsSpec,
    /// Size of a request on the wire.
    #[serde(default = "defaults::request_size")]
    pub request_size: DistSpec<Bytes>,
    /// Size of a response on the wire.
    #[serde(default = "defaults::response_size")]
    pub response_size: DistSpec<Bytes>,
    /// A client gives up this long after the intended start; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SimDuration>,
}

/// Where clients are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// Outside the cluster, at the network's client site of this name.
    Site(String),
    /// In the Pods of the workload of this name.
    Workload(String),
    /// In Pods spread evenly over all Nodes.
    Cluster,
}

/// Which address of a Service clients dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// The cluster IP: only from inside the cluster.
    ClusterIP,
    /// A Node's address and the node port; each new connection picks a Node evenly at random.
    NodePort,
    /// The load balancer's public address.
    LoadBalancer,
}

/// How a client uses connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionsSpec {
    /// A new connection for each request.
    #[default]
    PerRequest,
    /// HTTP/1.1 keep-alive: the most recently idle connection is used again.
    KeepAlive(KeepAliveSpec),
}

/// A client's pool of connections to one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepAliveSpec {
    /// Idle connections a client keeps; more are closed.
    pub max_idle: u32,
}

/// What happens to the Pods of a workload at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChurnSpec {
    /// Time from one crash among its Pods to the next. A crashed Pod is gone at once, its requests are reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_every: Option<DistSpec<SimDuration>>,
    /// Time from one graceful termination (eviction, node drain, rollout step) among its Pods to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate_every: Option<DistSpec<SimDuration>>,
    /// From a crash until the control plane notices it.
    #[serde(default = "defaults::detection")]
    pub crash_detection: DistSpec<SimDuration>,
}

impl Default for ChurnSpec {
    /// Nothing happens.
    fn default() -> Self {
        Self { crash_every: None, terminate_every: None, crash_detection: defaults::detection() }
    }
}

/// How long a run lasts and what of it is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunSpec {
    /// Requests sent until here are simulated; all that were sent are then followed to their end.
    pub duration: SimDuration,
    /// Requests sent before this are simulated but not measured, so that the empty start does not count.
    #[serde(default)]
    pub warm_up: SimDuration,
    /// Width of a window of the timeline.
    #[serde(default = "defaults::window")]
    pub window: SimDuration,
}

/// Defaults an experiment file may leave out. Each is an assumption, stated in the documentation.
mod defaults {
    use super::{Bytes, DistSpec, SimDuration};

    pub(super) fn startup() -> DistSpec<SimDuration> {
        DistSpec::Constant(SimDuration::from_secs(5))
    }
    pub(super) fn publish() -> DistSpec<SimDuration> {
        DistSpec::Constant(SimDuration::from_millis(50))
    }
    pub(super) fn to_node() -> DistSpec<SimDuration> {
        DistSpec::Uniform { min: SimDuration::from_millis(10), max: SimDuration::from_millis(1_000) }
    }
    pub(super) fn detection() -> DistSpec<SimDuration> {
        DistSpec::Uniform { min: SimDuration::ZERO, max: SimDuration::from_secs(1) }
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
    pub(super) fn window() -> SimDuration {
        SimDuration::from_secs(1)
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
