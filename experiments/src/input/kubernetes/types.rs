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
        /// Who created it.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        owner_references: Vec<OwnerReference>,
        /// Present while it is being deleted.
        #[serde(skip_serializing_if = "Option::is_none")]
        deletion_timestamp: Option<String>,
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
    }

    /// `spec` of a Node.
    NodeSpec {
        /// Cordoned: no new Pods.
        #[serde(skip_serializing_if = "Option::is_none")]
        unschedulable: Option<bool>,
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
        /// Its containers.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        containers: Vec<Container>,
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
        /// Environment: often names the Services that it calls.
        #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        env: Vec<EnvVar>,
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

    /// When a container is ready.
    Probe {
        /// Wait before the first probe; absent: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        initial_delay_seconds: Option<i64>,
        /// From one probe to the next; absent: 10.
        #[serde(skip_serializing_if = "Option::is_none")]
        period_seconds: Option<i64>,
        /// Successes in a row until it is ready; absent: 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        success_threshold: Option<i64>,
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
        /// What a Pod consists of.
        template: PodTemplate,
    }

    /// `spec` of a DaemonSet.
    DaemonSetSpec {
        /// Which Pods are its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<LabelSelector>,
        /// What a Pod consists of.
        template: PodTemplate,
    }

    /// v1 Service.
    Service {
        /// `v1`.
        api_version: String,
        /// `Service`.
        kind: String,
        /// Name.
        #[serde(default, deserialize_with = "nullable")]
        metadata: Metadata,
        /// All the rest.
        spec: ServiceSpec,
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
        /// `None` for a headless Service; which address it is otherwise does not matter.
        #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
        cluster_ip: Option<String>,
        /// Cluster (if absent) or Local.
        #[serde(skip_serializing_if = "Option::is_none")]
        external_traffic_policy: Option<String>,
        /// Cluster (if absent) or Local.
        #[serde(skip_serializing_if = "Option::is_none")]
        internal_traffic_policy: Option<String>,
        /// Modelled as None.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_affinity: Option<String>,
        /// Modelled as false.
        #[serde(skip_serializing_if = "Option::is_none")]
        publish_not_ready_addresses: Option<bool>,
        /// Modelled as none.
        #[serde(rename = "externalIPs", default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
        external_ips: Vec<String>,
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

impl PodStatus {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

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
