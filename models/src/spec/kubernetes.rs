//! Kubernetes objects as plain facts: defaulted, numbers allocated, validated as the API server does.

use super::{AutoscalerSpec, PodBehaviour};
use crate::control_plane::probes::Probes;
use crate::controllers::deployment::{IntOrString, Strategy};
use crate::controllers::disruption::DisruptionBudgetSpec;
use crate::controllers::scheduling::{SchedulingSpec, Taint};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::SimDuration;

/// A Kubernetes Node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSpec {
    /// `metadata.name`.
    pub name: String,
    /// Label `topology.kubernetes.io/zone`; empty if unset.
    pub zone: String,
    /// Label `topology.kubernetes.io/region`; empty if unset.
    pub region: String,
    /// All labels, for node selectors.
    pub labels: BTreeMap<String, String>,
    /// Whether new Pods may not be placed here (`spec.unschedulable`).
    pub unschedulable: bool,
    /// `status.addresses` of type InternalIP then ExternalIP; the first is the primary one. Empty: made up.
    pub addresses: Vec<IpAddr>,
    /// `status.allocatable.cpu`, in thousandths of a core; topology-aware hints are made in its proportion.
    pub cpu_millis: Option<u64>,
    /// `status.allocatable.memory`, bytes.
    pub memory: Option<u64>,
    /// `status.allocatable.pods`.
    pub most_pods: Option<u32>,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// Label `node-role.kubernetes.io/control-plane` (or `master`): not counted for topology-aware hints.
    pub control_plane: bool,
    /// Label `node.kubernetes.io/exclude-from-external-load-balancers`: no load balancer's target.
    pub excluded_from_load_balancers: bool,
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
    /// What keeps its Pods.
    pub controller: Controller,
    /// How a new version replaces the old one.
    pub rollout: RolloutSpec,
    /// Its PodDisruptionBudget.
    pub budget: Option<DisruptionBudgetSpec>,
    /// Its HorizontalPodAutoscaler.
    pub autoscaler: Option<AutoscalerSpec>,
    /// What each of its Pods requests of the CPU (`resources.requests.cpu` of all its containers), in thousandths of a core.
    pub cpu_request: Option<u64>,
    /// What its Pods ask of Nodes beyond labels.
    pub scheduling: SchedulingSpec,
    /// Labels that a Node must carry (`spec.nodeSelector`).
    pub node_selector: BTreeMap<String, String>,
    /// Nodes that its first Pods are known to run on (from a dump), by replica; empty where unknown.
    pub placed_on: Vec<String>,
    /// `containers[].ports[]`: names that a Service's `targetPort` may use.
    pub ports: Vec<ContainerPortSpec>,
    /// `terminationGracePeriodSeconds`; Kubernetes' default is 30 s.
    pub termination_grace: SimDuration,
    /// `lifecycle.preStop.sleep`; zero if none.
    pub pre_stop: SimDuration,
    /// Its containers' probes.
    pub probes: Probes,
    /// Whether `readinessGates` make its Pods wait until they are healthy targets of their load balancers.
    pub readiness_gate: bool,
    /// What its Pods do.
    pub pod: PodBehaviour,
}

impl WorkloadSpec {
    /// A Deployment of one Pod that does this, on any Node, with everything else left out; its name is to be said.
    #[must_use]
    pub fn new(pod: PodBehaviour) -> Self {
        Self {
            name: String::new(),
            field: String::new(),
            labels: BTreeMap::new(),
            replicas: 1,
            controller: Controller::default(),
            rollout: RolloutSpec::default(),
            budget: None,
            autoscaler: None,
            cpu_request: None,
            scheduling: SchedulingSpec::default(),
            probes: Probes::default(),
            readiness_gate: false,
            node_selector: BTreeMap::new(),
            placed_on: Vec::new(),
            ports: Vec::new(),
            termination_grace: SimDuration::from_secs(30),
            pre_stop: SimDuration::ZERO,
            pod,
        }
    }

    /// Whether it has one Pod on each matching Node instead of `replicas`.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.controller == Controller::DaemonSet
    }
}

/// What keeps a workload's Pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Controller {
    /// A Deployment with its ReplicaSets; also stands for a ReplicaSet or Pods of their own.
    #[default]
    Deployment,
    /// A StatefulSet: one Pod after the other, each with a place of its own.
    StatefulSet,
    /// A DaemonSet: a Pod on each matching Node.
    DaemonSet,
}

/// How a new version of a workload replaces the old one (`spec.strategy`, `spec.updateStrategy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutSpec {
    /// `type`.
    pub strategy: Strategy,
    /// `rollingUpdate.maxSurge`.
    pub max_surge: IntOrString,
    /// `rollingUpdate.maxUnavailable`.
    pub max_unavailable: IntOrString,
    /// `minReadySeconds`: how long a Pod must be ready to count as available.
    pub min_ready: SimDuration,
    /// `progressDeadlineSeconds`, of a Deployment: a rollout without progress for so long has failed, which is said and changes nothing.
    pub progress_deadline: SimDuration,
    /// `rollingUpdate.partition`, of a StatefulSet: places before it keep the version they have.
    pub partition: u32,
    /// `podManagementPolicy: Parallel`, of a StatefulSet: its Pods are created and deleted without waiting for each other.
    pub parallel: bool,
}

impl Default for RolloutSpec {
    /// `pkg/apis/apps/v1/defaults.go`: a rolling update, 25 % either way, 10 minutes without progress.
    fn default() -> Self {
        let quarter = IntOrString::Text("25%".to_owned());
        Self {
            strategy: Strategy::RollingUpdate,
            max_surge: quarter.clone(),
            max_unavailable: quarter,
            min_ready: SimDuration::ZERO,
            progress_deadline: SimDuration::from_secs(600),
            partition: 0,
            parallel: false,
        }
    }
}

/// One of `containers[].ports[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPortSpec {
    /// `name`; empty if unset.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `containerPort`.
    pub number: u16,
}

/// A Kubernetes Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// Where it stands in the input, e.g. `services.frontend`; errors name it.
    pub field: String,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.selector`; empty selects nothing.
    pub selector: BTreeMap<String, String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePortSpec>,
    /// `spec.clusterIP`; none for a headless Service (`None`) and for an ExternalName.
    pub cluster_ip: Option<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of `status.loadBalancer.ingress`; one is made up for a LoadBalancer whose status has none.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress[].ipMode` (KEP-1860).
    pub ip_mode: IpMode,
    /// `spec.loadBalancerSourceRanges`; empty admits everyone.
    pub load_balancer_source_ranges: Vec<IpNet>,
    /// `spec.healthCheckNodePort`, of a LoadBalancer with external policy Local.
    pub health_check_node_port: Option<u16>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.internalTrafficPolicy`.
    pub internal_traffic_policy: TrafficPolicy,
    /// `spec.sessionAffinity: ClientIP` with its `timeoutSeconds`; none for `None`.
    pub session_affinity: Option<SimDuration>,
    /// `spec.trafficDistribution`.
    pub traffic_distribution: Option<TrafficDistribution>,
    /// Annotation `service.kubernetes.io/topology-mode: Auto`, which goes before `trafficDistribution`.
    pub topology_mode_auto: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready_addresses: bool,
    /// `spec.externalName`, of an ExternalName.
    pub external_name: String,
}

impl Default for ServiceSpec {
    /// A ClusterIP Service without name, selector and ports, at the address 10.96.0.10.
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: "default".to_owned(),
            field: String::new(),
            service_type: ServiceType::ClusterIP,
            selector: BTreeMap::new(),
            ports: Vec::new(),
            cluster_ip: Some(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10))),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            ip_mode: IpMode::Vip,
            load_balancer_source_ranges: Vec::new(),
            health_check_node_port: None,
            external_traffic_policy: TrafficPolicy::Cluster,
            internal_traffic_policy: TrafficPolicy::Cluster,
            session_affinity: None,
            traffic_distribution: None,
            topology_mode_auto: false,
            publish_not_ready_addresses: false,
            external_name: String::new(),
        }
    }
}

impl ServiceSpec {
    /// Whether DNS answers with the Pods' own addresses: `clusterIP: None`.
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.service_type == ServiceType::ClusterIP && self.cluster_ip.is_none()
    }
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortSpec {
    /// `name`; empty if unset.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `targetPort`.
    pub target_port: TargetPort,
    /// `nodePort`; none if the Service has none.
    pub node_port: Option<u16>,
}

impl ServicePortSpec {
    /// The TCP port `port`, served by the Pods under the same number.
    #[must_use]
    pub fn tcp(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), protocol: Protocol::Tcp, port, target_port: TargetPort::Number(port), node_port: None }
    }
}

/// `targetPort`: resolved Pod by Pod where it is a name (EndpointSlice `utils.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// The same for every Pod.
    Number(u16),
    /// A container port's name; Pods without one are no endpoints of this port.
    Name(String),
}

/// A layer-4 protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Connections, which end with a handshake.
    #[default]
    Tcp,
    /// Datagrams; what belongs together is told by addresses and time alone.
    Udp,
    /// Associations.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// One stable address inside the cluster.
    #[default]
    ClusterIP,
    /// That, and the same port on every Node.
    NodePort,
    /// That, and one public address in front.
    LoadBalancer,
    /// An alias in DNS: no address, no proxying.
    ExternalName,
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

/// `trafficDistribution` (KEP-4444, KEP-3015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficDistribution {
    /// `PreferSameZone`, and its old name `PreferClose`: each endpoint is hinted to its own zone.
    PreferSameZone,
    /// `PreferSameNode`: and to its own Node.
    PreferSameNode,
}

/// What a load balancer's address means inside the cluster (KEP-1860).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpMode {
    /// Packets arrive with it as their destination, so every Node translates it, and a Pod that dials it never
    /// leaves its own Node's proxy.
    #[default]
    Vip,
    /// The load balancer terminates connections: no Node knows the address, and a Pod that dials it goes there.
    Proxy,
}
