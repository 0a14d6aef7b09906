//! The modelled subset of Kubernetes' types: the fields that change a simulation, under their Kubernetes names.
//!
//! Numbers are as wide as JSON's and words are strings, so that what is out of range or misspelt is found by a check that
//! can say what was expected, and not by a parser. A null is an absent field, as it is to the API server.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Labels, selectors.
type Labels = BTreeMap<String, String>;

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// One struct in one shape: optional fields are `Option`s, maps or vectors, all absent by default.
macro_rules! subset {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }
    )*};
}

/// A number of Pods, or a percentage.
pub type Amount = svcsim_models::spec::IntOrString;

subset! {
    /// `metadata` of any object.
    Metadata {
        /// Name; unique among objects of its kind and namespace.
        #[serde(default, deserialize_with = "nullable")]
        name: String,
        /// Namespace; absent: that of whoever applies the manifest.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Labels.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
        labels: Labels,
        /// Annotations that Services are known to have.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Annotations::is_empty")]
        annotations: Annotations,
        /// Who created it.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        owner_references: Vec<OwnerReference>,
        /// Present while it is being deleted.
        #[serde(skip_serializing_if = "Option::is_none")]
        deletion_timestamp: Option<String>,
    }

    /// Annotations of a Service that change where its traffic goes.
    Annotations {
        /// `Auto`: endpoints are shared out among zones in proportion to their CPU.
        #[serde(rename = "service.kubernetes.io/topology-mode", skip_serializing_if = "Option::is_none")]
        topology_mode: Option<String>,
        /// The same, under its older name.
        #[serde(rename = "service.kubernetes.io/topology-aware-hints", skip_serializing_if = "Option::is_none")]
        topology_aware_hints: Option<String>,
        /// Where `spec.loadBalancerSourceRanges` stood once: CIDRs with commas between them.
        #[serde(rename = "service.beta.kubernetes.io/load-balancer-source-ranges", skip_serializing_if = "Option::is_none")]
        load_balancer_source_ranges: Option<String>,
    }

    /// Who created an object.
    OwnerReference {
        /// The owner's kind.
        kind: String,
        /// The owner's name.
        name: String,
        /// Whether it is the owner that controls the object.
        #[serde(skip_serializing_if = "Option::is_none")]
        controller: Option<bool>,
    }

    /// v1 Node.
    Node {
        /// `v1`.
        api_version: String,
        /// `Node`.
        kind: String,
        /// Name, and the labels that say zone and region.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Whether it takes new Pods.
        #[serde(default, deserialize_with = "nullable")]
        spec: NodeSpec,
        /// Addresses and size, in a dump.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "NodeStatus::is_empty")]
        status: NodeStatus,
    }

    /// `status` of a Node.
    NodeStatus {
        /// Where it is reached.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<NodeAddress>,
        /// What Pods may use of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        allocatable: Option<Allocatable>,
    }

    /// One of a Node's addresses.
    NodeAddress {
        /// InternalIP, ExternalIP, Hostname, ...
        r#type: String,
        /// The address, or the name.
        address: String,
    }

    /// `status.allocatable` of a Node, `resources.requests` of a container.
    Allocatable {
        /// Cores.
        #[serde(skip_serializing_if = "Option::is_none")]
        cpu: Option<Quantity>,
        /// Bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        memory: Option<Quantity>,
        /// Pods, of a Node.
        #[serde(skip_serializing_if = "Option::is_none")]
        pods: Option<Quantity>,
    }

    /// `spec` of a Node.
    NodeSpec {
        /// Cordoned: no new Pods.
        #[serde(skip_serializing_if = "Option::is_none")]
        unschedulable: Option<bool>,
        /// What keeps Pods away that do not tolerate it.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        taints: Vec<Taint>,
    }

    /// A taint of a Node.
    Taint {
        /// Its key.
        key: String,
        /// Its value.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
        value: String,
        /// NoSchedule, PreferNoSchedule or NoExecute.
        effect: String,
    }

    /// v1 Pod.
    Pod {
        /// `v1`.
        api_version: String,
        /// `Pod`.
        kind: String,
        /// Name, labels, owner.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Containers and Node.
        spec: PodSpec,
        /// Phase and conditions, in a dump.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "PodStatus::is_empty")]
        status: PodStatus,
    }

    /// `status` of a Pod.
    PodStatus {
        /// Pending, Running, Succeeded, Failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<String>,
        /// Of which only `Ready` is used.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        conditions: Vec<Condition>,
    }

    /// One of a Pod's conditions.
    Condition {
        /// Such as `Ready`.
        r#type: String,
        /// `True`, `False` or `Unknown`.
        status: String,
    }

    /// `template` of a workload.
    PodTemplate {
        /// Labels of the Pods.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// What they consist of.
        #[serde(default, deserialize_with = "nullable")]
        spec: PodSpec,
    }

    /// `spec` of a Pod.
    PodSpec {
        /// Labels that its Node must carry.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
        node_selector: Labels,
        /// The Node it runs on.
        #[serde(skip_serializing_if = "Option::is_none")]
        node_name: Option<String>,
        /// Seconds from the request to stop until it is killed; absent: 30.
        #[serde(skip_serializing_if = "Option::is_none")]
        termination_grace_period_seconds: Option<i64>,
        /// Taints that it may be placed in spite of.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        tolerations: Vec<Toleration>,
        /// Which Nodes, and which neighbours, it wants.
        #[serde(skip_serializing_if = "Option::is_none")]
        affinity: Option<Affinity>,
        /// How evenly its like are spread.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        topology_spread_constraints: Vec<TopologySpread>,
        /// Conditions that its readiness waits for.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        readiness_gates: Vec<ReadinessGate>,
        /// Its containers.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        containers: Vec<Container>,
    }

    /// Taints that a Pod may be placed in spite of.
    Toleration {
        /// The key; absent: all.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
        key: String,
        /// Equal (if absent) or Exists.
        #[serde(skip_serializing_if = "Option::is_none")]
        operator: Option<String>,
        /// The value, with Equal.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
        value: String,
        /// The effect; absent: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        effect: Option<String>,
    }

    /// `affinity` of a Pod.
    Affinity {
        /// Which Nodes it wants.
        #[serde(skip_serializing_if = "Option::is_none")]
        node_affinity: Option<NodeAffinity>,
        /// Which Pods it wants near it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pod_affinity: Option<PodAffinity>,
        /// Which not.
        #[serde(skip_serializing_if = "Option::is_none")]
        pod_anti_affinity: Option<PodAffinity>,
    }

    /// Which Nodes a Pod wants.
    NodeAffinity {
        /// Must hold.
        #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", skip_serializing_if = "Option::is_none")]
        required: Option<NodeSelector>,
        /// Should hold.
        #[serde(
            rename = "preferredDuringSchedulingIgnoredDuringExecution",
            default,
            deserialize_with = "nullable",
            skip_serializing_if = "Vec::is_empty"
        )]
        preferred: Vec<PreferredNodes>,
    }

    /// Terms of which one must hold.
    NodeSelector {
        /// The terms.
        #[serde(default, deserialize_with = "nullable")]
        node_selector_terms: Vec<NodeTerm>,
    }

    /// Requirements that must all hold.
    NodeTerm {
        /// Of labels.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        match_expressions: Vec<Expression>,
    }

    /// What must hold of a label.
    Expression {
        /// The label.
        key: String,
        /// In, NotIn, Exists, DoesNotExist, Gt or Lt.
        operator: String,
        /// What it is compared with.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        values: Vec<String>,
    }

    /// A term that should hold.
    PreferredNodes {
        /// 1 to 100.
        weight: i64,
        /// The term.
        preference: NodeTerm,
    }

    /// Which Pods a Pod wants near it, or not.
    PodAffinity {
        /// Must hold.
        #[serde(
            rename = "requiredDuringSchedulingIgnoredDuringExecution",
            default,
            deserialize_with = "nullable",
            skip_serializing_if = "Vec::is_empty"
        )]
        required: Vec<PodTermSpec>,
        /// Should hold.
        #[serde(
            rename = "preferredDuringSchedulingIgnoredDuringExecution",
            default,
            deserialize_with = "nullable",
            skip_serializing_if = "Vec::is_empty"
        )]
        preferred: Vec<PreferredPods>,
    }

    /// Pods of certain labels in the same domain.
    PodTermSpec {
        /// Their labels.
        #[serde(skip_serializing_if = "Option::is_none")]
        label_selector: Option<LabelSelector>,
        /// The Node label whose values are the domains.
        topology_key: String,
    }

    /// A term that should hold.
    PreferredPods {
        /// 1 to 100.
        weight: i64,
        /// The term.
        pod_affinity_term: PodTermSpec,
    }

    /// How evenly Pods are spread over domains.
    TopologySpread {
        /// How many more a domain may have than another.
        max_skew: i64,
        /// The Node label whose values are the domains.
        topology_key: String,
        /// DoNotSchedule or ScheduleAnyway.
        when_unsatisfiable: String,
        /// Which Pods count.
        #[serde(skip_serializing_if = "Option::is_none")]
        label_selector: Option<LabelSelector>,
        /// With fewer domains the fewest count as none.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_domains: Option<i64>,
    }

    /// A condition that a Pod's readiness waits for.
    ReadinessGate {
        /// Its name.
        condition_type: String,
    }

    /// One of a Pod's containers.
    Container {
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        name: String,
        /// Ports that have names.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        ports: Vec<ContainerPort>,
        /// Hooks.
        #[serde(skip_serializing_if = "Option::is_none")]
        lifecycle: Option<Lifecycle>,
        /// When it is ready for traffic.
        #[serde(skip_serializing_if = "Option::is_none")]
        readiness_probe: Option<Probe>,
        /// When it is killed and started again.
        #[serde(skip_serializing_if = "Option::is_none")]
        liveness_probe: Option<Probe>,
        /// When it has started, and the other probes begin.
        #[serde(skip_serializing_if = "Option::is_none")]
        startup_probe: Option<Probe>,
        /// What it asks of its Node.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Resources::is_empty")]
        resources: Resources,
        /// Environment: often names the Services that it calls.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        env: Vec<EnvVar>,
    }

    /// `resources` of a container.
    Resources {
        /// What is kept for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        requests: Option<Allocatable>,
    }

    /// One of a container's ports.
    ContainerPort {
        /// Name, for a Service's `targetPort`.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Number.
        container_port: i64,
        /// TCP, UDP or SCTP; absent: TCP.
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<String>,
    }

    /// Hooks of a container.
    Lifecycle {
        /// What happens before it is asked to stop.
        #[serde(skip_serializing_if = "Option::is_none")]
        pre_stop: Option<Handler>,
    }

    /// A hook; one that runs a program is not modelled.
    Handler {
        /// It only waits.
        #[serde(skip_serializing_if = "Option::is_none")]
        sleep: Option<Sleep>,
    }

    /// A wait.
    Sleep {
        /// For so long.
        seconds: i64,
    }

    /// How a container is asked how it is.
    Probe {
        /// Wait before the first probe; absent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        initial_delay_seconds: Option<i64>,
        /// From one probe to the next; absent: 10.
        #[serde(skip_serializing_if = "Option::is_none")]
        period_seconds: Option<i64>,
        /// An attempt without an answer fails after this; absent: 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<i64>,
        /// Successes in a row until it has succeeded; absent: 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        success_threshold: Option<i64>,
        /// Failures in a row until it has failed; absent: 3.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure_threshold: Option<i64>,
    }

    /// An environment variable.
    EnvVar {
        /// Name.
        name: String,
        /// Value, if given as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    }

    /// Which Pods belong to a workload.
    LabelSelector {
        /// Labels they carry.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
        match_labels: Labels,
    }

    /// apps/v1 Deployment.
    Deployment {
        /// `apps/v1`.
        api_version: String,
        /// `Deployment`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Replicas and template.
        spec: ReplicatedSpec,
    }

    /// apps/v1 ReplicaSet.
    ReplicaSet {
        /// `apps/v1`.
        api_version: String,
        /// `ReplicaSet`.
        kind: String,
        /// Name, owner.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Replicas and template.
        spec: ReplicatedSpec,
    }

    /// apps/v1 StatefulSet.
    StatefulSet {
        /// `apps/v1`.
        api_version: String,
        /// `StatefulSet`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Replicas and template.
        spec: ReplicatedSpec,
    }

    /// apps/v1 DaemonSet.
    DaemonSet {
        /// `apps/v1`.
        api_version: String,
        /// `DaemonSet`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// Template.
        spec: DaemonSetSpec,
    }

    /// `spec` of a Deployment, ReplicaSet or StatefulSet.
    ReplicatedSpec {
        /// How many Pods; absent: 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        replicas: Option<i64>,
        /// Which Pods are its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<LabelSelector>,
        /// How new Pods replace old ones, of a Deployment.
        #[serde(skip_serializing_if = "Option::is_none")]
        strategy: Option<Strategy>,
        /// The same, of a StatefulSet.
        #[serde(skip_serializing_if = "Option::is_none")]
        update_strategy: Option<Strategy>,
        /// OrderedReady (if absent) or Parallel, of a StatefulSet.
        #[serde(skip_serializing_if = "Option::is_none")]
        pod_management_policy: Option<String>,
        /// After how long without progress a rollout has failed, of a Deployment; absent: 600.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress_deadline_seconds: Option<i64>,
        /// How long a Pod must be ready to count as available; absent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_ready_seconds: Option<i64>,
        /// What a Pod consists of.
        template: PodTemplate,
    }

    /// How new Pods replace old ones.
    Strategy {
        /// RollingUpdate or Recreate; absent: RollingUpdate.
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<String>,
        /// How far a rolling update may stray.
        #[serde(skip_serializing_if = "Option::is_none")]
        rolling_update: Option<RollingUpdate>,
    }

    /// How far a rolling update may stray from the number of Pods.
    RollingUpdate {
        /// Pods above it, or a percentage; absent: 25%.
        #[serde(skip_serializing_if = "Option::is_none")]
        max_surge: Option<Amount>,
        /// Available Pods below it, or a percentage; absent: 25%.
        #[serde(skip_serializing_if = "Option::is_none")]
        max_unavailable: Option<Amount>,
        /// Places before it keep their version, of a StatefulSet; absent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        partition: Option<i64>,
    }

    /// `spec` of a DaemonSet.
    DaemonSetSpec {
        /// Which Pods are its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<LabelSelector>,
        /// How new Pods replace old ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        update_strategy: Option<Strategy>,
        /// How long a Pod must be ready to count as available; absent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_ready_seconds: Option<i64>,
        /// What a Pod consists of.
        template: PodTemplate,
    }

    /// autoscaling/v2 HorizontalPodAutoscaler.
    HorizontalPodAutoscaler {
        /// `autoscaling/v2`.
        api_version: String,
        /// `HorizontalPodAutoscaler`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// What it scales, and by what.
        spec: HorizontalPodAutoscalerSpec,
    }

    /// `spec` of a HorizontalPodAutoscaler.
    HorizontalPodAutoscalerSpec {
        /// What it scales.
        scale_target_ref: ScaleTargetRef,
        /// Fewest replicas; absent: 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_replicas: Option<i64>,
        /// Most replicas.
        max_replicas: i64,
        /// What decides; none: 80 % of the CPU.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        metrics: Vec<MetricSpec>,
        /// How fast it follows.
        #[serde(skip_serializing_if = "Option::is_none")]
        behavior: Option<BehaviorSpec>,
    }

    /// An object that can be scaled.
    ScaleTargetRef {
        /// Its API.
        #[serde(skip_serializing_if = "Option::is_none")]
        api_version: Option<String>,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    }

    /// One of an autoscaler's metrics.
    MetricSpec {
        /// Resource and ContainerResource are modelled.
        r#type: String,
        /// Of all containers together.
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceMetric>,
        /// Of one of them; the CPU of a Pod is modelled as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        container_resource: Option<ResourceMetric>,
    }

    /// A resource, and how much of it is wanted.
    ResourceMetric {
        /// `cpu`.
        name: String,
        /// The container.
        #[serde(skip_serializing_if = "Option::is_none")]
        container: Option<String>,
        /// How much is wanted.
        target: MetricTarget,
    }

    /// How much of a metric is wanted.
    MetricTarget {
        /// Utilization or AverageValue.
        r#type: String,
        /// Percent of what is requested.
        #[serde(skip_serializing_if = "Option::is_none")]
        average_utilization: Option<i64>,
        /// Cores a Pod.
        #[serde(skip_serializing_if = "Option::is_none")]
        average_value: Option<Quantity>,
    }

    /// How fast an autoscaler follows.
    BehaviorSpec {
        /// On the way up.
        #[serde(skip_serializing_if = "Option::is_none")]
        scale_up: Option<ScalingRulesSpec>,
        /// On the way down.
        #[serde(skip_serializing_if = "Option::is_none")]
        scale_down: Option<ScalingRulesSpec>,
    }

    /// How fast it follows one way.
    ScalingRulesSpec {
        /// How far back what was asked for counts; absent: 0 upwards, 300 downwards.
        #[serde(skip_serializing_if = "Option::is_none")]
        stabilization_window_seconds: Option<i64>,
        /// Max (if absent), Min or Disabled.
        #[serde(skip_serializing_if = "Option::is_none")]
        select_policy: Option<String>,
        /// Limits; none: the defaults.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        policies: Vec<ScalingPolicySpec>,
        /// How far the metric may be from its target; absent: 0.1.
        #[serde(skip_serializing_if = "Option::is_none")]
        tolerance: Option<Quantity>,
    }

    /// A limit on what an autoscaler changes in a period.
    ScalingPolicySpec {
        /// Pods or Percent.
        r#type: String,
        /// How many.
        value: i64,
        /// In so long.
        period_seconds: i64,
    }

    /// policy/v1 PodDisruptionBudget.
    PodDisruptionBudget {
        /// `policy/v1`.
        api_version: String,
        /// `PodDisruptionBudget`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// What it guarantees of which Pods.
        #[serde(default, deserialize_with = "nullable")]
        spec: PodDisruptionBudgetSpec,
    }

    /// `spec` of a PodDisruptionBudget.
    PodDisruptionBudgetSpec {
        /// Which Pods; absent: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<LabelSelector>,
        /// So many are healthy, or such a part.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_available: Option<Amount>,
        /// No more are missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        max_unavailable: Option<Amount>,
        /// IfHealthyBudget (if absent) or AlwaysAllow.
        #[serde(skip_serializing_if = "Option::is_none")]
        unhealthy_pod_eviction_policy: Option<String>,
    }

    /// v1 Service.
    Service {
        /// `v1`.
        api_version: String,
        /// `Service`.
        kind: String,
        /// Name, annotations.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// All the rest.
        spec: ServiceSpec,
        /// The load balancer's address, in a dump.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "ServiceStatus::is_empty")]
        status: ServiceStatus,
    }

    /// `spec` of a Service.
    ServiceSpec {
        /// ClusterIP (if absent), NodePort, LoadBalancer or ExternalName.
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<String>,
        /// Labels of the Pods behind it.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
        selector: Labels,
        /// Its ports.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        ports: Vec<ServicePort>,
        /// Its address; `None` for a headless Service; absent: chosen by Kubernetes.
        #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
        cluster_ip: Option<String>,
        /// The same, with one of the other IP family; only the first is modelled.
        #[serde(rename = "clusterIPs", default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        cluster_ips: Vec<String>,
        /// IPv4, IPv6; only the first is modelled.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        ip_families: Vec<String>,
        /// SingleStack, which is modelled, PreferDualStack or RequireDualStack.
        #[serde(skip_serializing_if = "Option::is_none")]
        ip_family_policy: Option<String>,
        /// Further addresses, which someone leads to the Nodes.
        #[serde(rename = "externalIPs", default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        external_ips: Vec<String>,
        /// What an ExternalName stands for.
        #[serde(skip_serializing_if = "Option::is_none")]
        external_name: Option<String>,
        /// Cluster (if absent) or Local; only where the Service is reachable from outside.
        #[serde(skip_serializing_if = "Option::is_none")]
        external_traffic_policy: Option<String>,
        /// Cluster (if absent) or Local.
        #[serde(skip_serializing_if = "Option::is_none")]
        internal_traffic_policy: Option<String>,
        /// PreferSameZone (once PreferClose) or PreferSameNode.
        #[serde(skip_serializing_if = "Option::is_none")]
        traffic_distribution: Option<String>,
        /// None (if absent) or ClientIP.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_affinity: Option<String>,
        /// How long ClientIP lasts.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_affinity_config: Option<SessionAffinityConfig>,
        /// Whether Pods count as ready that are not.
        #[serde(skip_serializing_if = "Option::is_none")]
        publish_not_ready_addresses: Option<bool>,
        /// The address that a load balancer should have: deprecated, and up to its implementation.
        #[serde(rename = "loadBalancerIP", skip_serializing_if = "Option::is_none")]
        load_balancer_ip: Option<String>,
        /// Who may use the load balancer, as CIDRs; none: everyone.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        load_balancer_source_ranges: Vec<String>,
        /// Whose load balancer it is; all are modelled alike.
        #[serde(skip_serializing_if = "Option::is_none")]
        load_balancer_class: Option<String>,
        /// Whether a LoadBalancer is given node ports; absent: it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        allocate_load_balancer_node_ports: Option<bool>,
        /// Where Nodes say whether they have Pods of it, for a LoadBalancer with policy Local; absent: chosen by Kubernetes.
        #[serde(skip_serializing_if = "Option::is_none")]
        health_check_node_port: Option<i64>,
    }

    /// How session affinity works.
    SessionAffinityConfig {
        /// By the client's address.
        #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
        client_ip: Option<ClientIpConfig>,
    }

    /// Session affinity by the client's address.
    ClientIpConfig {
        /// Seconds without traffic after which it ends; absent: 10800.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<i64>,
    }

    /// `status` of a Service.
    ServiceStatus {
        /// What the load balancer is.
        #[serde(skip_serializing_if = "Option::is_none")]
        load_balancer: Option<LoadBalancerStatus>,
    }

    /// What a Service's load balancer is.
    LoadBalancerStatus {
        /// Its addresses.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        ingress: Vec<LoadBalancerIngress>,
    }

    /// One of a load balancer's addresses.
    LoadBalancerIngress {
        /// The address, if it is known by address.
        #[serde(skip_serializing_if = "Option::is_none")]
        ip: Option<String>,
        /// The name, if it is known by name.
        #[serde(skip_serializing_if = "Option::is_none")]
        hostname: Option<String>,
        /// VIP (if absent) or Proxy.
        #[serde(skip_serializing_if = "Option::is_none")]
        ip_mode: Option<String>,
    }

    /// One of a Service's ports.
    ServicePort {
        /// Name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// TCP (if absent), UDP or SCTP.
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<String>,
        /// Number.
        port: i64,
        /// Number or name of the Pods' port; absent: `port`.
        #[serde(skip_serializing_if = "Option::is_none")]
        target_port: Option<IntOrString>,
        /// The port on every Node; absent or 0: chosen by Kubernetes.
        #[serde(skip_serializing_if = "Option::is_none")]
        node_port: Option<i64>,
    }
}

/// Structs that are left out when nothing is in them.
macro_rules! may_be_empty {
    ($($name:ident)*) => {$(
        impl $name {
            fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    )*};
}

may_be_empty! { Annotations NodeStatus PodStatus Resources ServiceStatus }

/// A number, or a name that stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i64),
    /// A name.
    String(String),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::String(s) => f.write_str(s),
        }
    }
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port's number or name")
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(n))
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(i64::try_from(n).unwrap_or(i64::MAX)))
            }

            fn visit_str<E: Error>(self, s: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(s.to_owned()))
            }
        }
        d.deserialize_any(Either)
    }
}

/// A Kubernetes quantity: a number, or a text such as `3920m`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub serde_json::Value);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(d)? {
            value @ (serde_json::Value::Number(_) | serde_json::Value::String(_)) => Ok(Self(value)),
            _ => Err(D::Error::custom("expected a quantity, such as 4 or 3920m")),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            serde_json::Value::String(s) => f.write_str(s),
            other => write!(f, "{other}"),
        }
    }
}
