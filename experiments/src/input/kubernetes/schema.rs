//! Which field names there are: those that svcsim reads, asked of the types themselves, and those that only Kubernetes knows.
//!
//! A field that nobody reads is either real and not modelled, which is listed, or a typing error, which is refused: a
//! misspelt policy would silently change results. The names are those of Kubernetes 1.35.

use super::types;
use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};

/// A struct of the API.
struct Struct {
    /// Names that svcsim reads.
    modelled: fn() -> &'static [&'static str],
    /// Further names that Kubernetes knows, in one string.
    known: &'static str,
    /// Structs in its fields.
    inner: &'static [(&'static str, &'static Struct)],
}

/// What an unread field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Kubernetes knows it.
    Known,
    /// It is probably this one, misspelt.
    Typo(&'static str),
    /// Nothing that Kubernetes had when this was written.
    Unknown,
}

/// Judges a field of an object of a kind; `parent` is the path to it, by keys alone.
pub(super) fn judge(kind: &str, parent: &[&str], name: &str) -> Unread {
    let Some(at) = find(kind, parent) else { return Unread::Known };
    if at.known.split_whitespace().any(|known| known == name) {
        return Unread::Known;
    }
    nearest(name, (at.modelled)().iter().copied()).map_or(Unread::Unknown, Unread::Typo)
}

/// Names that svcsim reads at a path of a kind.
pub(super) fn modelled(kind: &str, parent: &[&str]) -> &'static [&'static str] {
    find(kind, parent).map_or(&[], |s| (s.modelled)())
}

/// The name among `names` that was probably meant.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(100).collect::<String>();
    let name = plain(name);
    let allowed = match name.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=12 => 2,
        _ => 3,
    };
    let distances = names.into_iter().map(|n| (strsim::damerau_levenshtein(&name, &plain(n)), n));
    distances.filter(|(d, _)| *d <= allowed).min_by_key(|(d, _)| *d).map(|(_, n)| n)
}

fn find(kind: &str, parent: &[&str]) -> Option<&'static Struct> {
    let mut at = match kind {
        "Node" => &NODE,
        "Pod" => &POD,
        "Service" => &SERVICE,
        "Deployment" => &DEPLOYMENT,
        "ReplicaSet" => &REPLICA_SET,
        "StatefulSet" => &STATEFUL_SET,
        "DaemonSet" => &DAEMON_SET,
        "HorizontalPodAutoscaler" => &AUTOSCALER,
        "PodDisruptionBudget" => &BUDGET,
        _ => return None,
    };
    for key in parent {
        at = at.inner.iter().find(|(name, _)| name == key)?.1;
    }
    Some(at)
}

static METADATA: Struct = Struct {
    modelled: names_of::<types::Metadata>,
    known: "generateName selfLink uid resourceVersion generation creationTimestamp deletionGracePeriodSeconds \
            finalizers managedFields clusterName",
    inner: &[("ownerReferences", &OWNER_REFERENCE)],
};
static OWNER_REFERENCE: Struct =
    Struct { modelled: names_of::<types::OwnerReference>, known: "apiVersion uid blockOwnerDeletion", inner: &[] };
static NODE: Struct = Struct {
    modelled: names_of::<types::Node>,
    known: "",
    inner: &[("metadata", &METADATA), ("spec", &NODE_SPEC), ("status", &NODE_STATUS)],
};
/// What is in `allocatable` has any name: it is not looked into.
static NODE_STATUS: Struct = Struct {
    modelled: names_of::<types::NodeStatus>,
    known: "capacity phase conditions daemonEndpoints nodeInfo images volumesInUse volumesAttached config runtimeHandlers \
            features declaredFeatures",
    inner: &[("addresses", &NODE_ADDRESS)],
};
static NODE_ADDRESS: Struct = Struct { modelled: names_of::<types::NodeAddress>, known: "", inner: &[] };
static NODE_SPEC: Struct = Struct {
    modelled: names_of::<types::NodeSpec>,
    known: "podCIDR podCIDRs providerID configSource externalID",
    inner: &[("taints", &TAINT)],
};
static POD: Struct =
    Struct { modelled: names_of::<types::Pod>, known: "", inner: &[("metadata", &METADATA), ("spec", &POD_SPEC), ("status", &POD_STATUS)] };
static POD_STATUS: Struct = Struct {
    modelled: names_of::<types::PodStatus>,
    known: "observedGeneration message reason nominatedNodeName hostIP hostIPs podIP podIPs startTime initContainerStatuses \
            containerStatuses qosClass ephemeralContainerStatuses resize resourceClaimStatuses extendedResourceClaimStatus \
            allocatedResources resources",
    inner: &[("conditions", &CONDITION)],
};
static CONDITION: Struct = Struct {
    modelled: names_of::<types::Condition>,
    known: "observedGeneration lastProbeTime lastTransitionTime reason message",
    inner: &[],
};
static POD_TEMPLATE: Struct =
    Struct { modelled: names_of::<types::PodTemplate>, known: "", inner: &[("metadata", &METADATA), ("spec", &POD_SPEC)] };
static POD_SPEC: Struct = Struct {
    modelled: names_of::<types::PodSpec>,
    known: "volumes initContainers ephemeralContainers restartPolicy activeDeadlineSeconds dnsPolicy serviceAccountName \
            serviceAccount automountServiceAccountToken hostNetwork hostPID hostIPC shareProcessNamespace securityContext \
            imagePullSecrets hostname subdomain schedulerName hostAliases priorityClassName priority \
            dnsConfig runtimeClassName enableServiceLinks preemptionPolicy overhead \
            setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources hostnameOverride workloadRef",
    inner: &[
        ("containers", &CONTAINER),
        ("readinessGates", &READINESS_GATE),
        ("tolerations", &TOLERATION),
        ("affinity", &AFFINITY),
        ("topologySpreadConstraints", &TOPOLOGY_SPREAD),
    ],
};
static TOLERATION: Struct = Struct { modelled: names_of::<types::Toleration>, known: "tolerationSeconds", inner: &[] };
static AFFINITY: Struct = Struct {
    modelled: names_of::<types::Affinity>,
    known: "",
    inner: &[("nodeAffinity", &NODE_AFFINITY), ("podAffinity", &POD_AFFINITY), ("podAntiAffinity", &POD_AFFINITY)],
};
static NODE_AFFINITY: Struct = Struct {
    modelled: names_of::<types::NodeAffinity>,
    known: "",
    inner: &[
        ("requiredDuringSchedulingIgnoredDuringExecution", &NODE_SELECTOR),
        ("preferredDuringSchedulingIgnoredDuringExecution", &PREFERRED_NODES),
    ],
};
static NODE_SELECTOR: Struct = Struct { modelled: names_of::<types::NodeSelector>, known: "", inner: &[("nodeSelectorTerms", &NODE_TERM)] };
static NODE_TERM: Struct =
    Struct { modelled: names_of::<types::NodeTerm>, known: "matchFields", inner: &[("matchExpressions", &EXPRESSION)] };
static EXPRESSION: Struct = Struct { modelled: names_of::<types::Expression>, known: "", inner: &[] };
static PREFERRED_NODES: Struct = Struct { modelled: names_of::<types::PreferredNodes>, known: "", inner: &[("preference", &NODE_TERM)] };
static POD_AFFINITY: Struct = Struct {
    modelled: names_of::<types::PodAffinity>,
    known: "",
    inner: &[
        ("requiredDuringSchedulingIgnoredDuringExecution", &POD_TERM),
        ("preferredDuringSchedulingIgnoredDuringExecution", &PREFERRED_PODS),
    ],
};
static POD_TERM: Struct = Struct {
    modelled: names_of::<types::PodTermSpec>,
    known: "namespaces namespaceSelector matchLabelKeys mismatchLabelKeys",
    inner: &[("labelSelector", &SELECTOR)],
};
static PREFERRED_PODS: Struct = Struct { modelled: names_of::<types::PreferredPods>, known: "", inner: &[("podAffinityTerm", &POD_TERM)] };
static TOPOLOGY_SPREAD: Struct = Struct {
    modelled: names_of::<types::TopologySpread>,
    known: "nodeAffinityPolicy nodeTaintsPolicy matchLabelKeys",
    inner: &[("labelSelector", &SELECTOR)],
};
static TAINT: Struct = Struct { modelled: names_of::<types::Taint>, known: "timeAdded", inner: &[] };
static READINESS_GATE: Struct = Struct { modelled: names_of::<types::ReadinessGate>, known: "", inner: &[] };
static CONTAINER: Struct = Struct {
    modelled: names_of::<types::Container>,
    known: "image command args workingDir envFrom resizePolicy restartPolicy restartPolicyRules volumeMounts \
            volumeDevices terminationMessagePath terminationMessagePolicy imagePullPolicy \
            securityContext stdin stdinOnce tty",
    inner: &[
        ("ports", &CONTAINER_PORT),
        ("lifecycle", &LIFECYCLE),
        ("readinessProbe", &PROBE),
        ("livenessProbe", &PROBE),
        ("startupProbe", &PROBE),
        ("env", &ENV_VAR),
        ("resources", &RESOURCES),
    ],
};
/// What is in `requests` has any name: it is not looked into.
static RESOURCES: Struct = Struct { modelled: names_of::<types::Resources>, known: "limits claims", inner: &[] };
static CONTAINER_PORT: Struct = Struct { modelled: names_of::<types::ContainerPort>, known: "hostPort hostIP", inner: &[] };
static LIFECYCLE: Struct =
    Struct { modelled: names_of::<types::Lifecycle>, known: "postStart stopSignal", inner: &[("preStop", &HANDLER)] };
static HANDLER: Struct = Struct { modelled: names_of::<types::Handler>, known: "exec httpGet tcpSocket", inner: &[("sleep", &SLEEP)] };
static SLEEP: Struct = Struct { modelled: names_of::<types::Sleep>, known: "", inner: &[] };
static PROBE: Struct =
    Struct { modelled: names_of::<types::Probe>, known: "exec httpGet tcpSocket grpc terminationGracePeriodSeconds", inner: &[] };
static ENV_VAR: Struct = Struct { modelled: names_of::<types::EnvVar>, known: "valueFrom", inner: &[] };
static SELECTOR: Struct = Struct { modelled: names_of::<types::LabelSelector>, known: "matchExpressions", inner: &[] };
static DEPLOYMENT: Struct =
    Struct { modelled: names_of::<types::Deployment>, known: "status", inner: &[("metadata", &METADATA), ("spec", &DEPLOYMENT_SPEC)] };
static DEPLOYMENT_SPEC: Struct = Struct {
    modelled: names_of::<types::ReplicatedSpec>,
    known: "revisionHistoryLimit paused",
    inner: &[("selector", &SELECTOR), ("strategy", &STRATEGY), ("template", &POD_TEMPLATE)],
};
static REPLICA_SET: Struct =
    Struct { modelled: names_of::<types::ReplicaSet>, known: "status", inner: &[("metadata", &METADATA), ("spec", &REPLICA_SET_SPEC)] };
static REPLICA_SET_SPEC: Struct =
    Struct { modelled: names_of::<types::ReplicatedSpec>, known: "", inner: &[("selector", &SELECTOR), ("template", &POD_TEMPLATE)] };
static STATEFUL_SET: Struct =
    Struct { modelled: names_of::<types::StatefulSet>, known: "status", inner: &[("metadata", &METADATA), ("spec", &STATEFUL_SET_SPEC)] };
static STATEFUL_SET_SPEC: Struct = Struct {
    modelled: names_of::<types::ReplicatedSpec>,
    known: "volumeClaimTemplates serviceName revisionHistoryLimit persistentVolumeClaimRetentionPolicy ordinals",
    inner: &[("selector", &SELECTOR), ("updateStrategy", &STRATEGY), ("template", &POD_TEMPLATE)],
};
static DAEMON_SET: Struct =
    Struct { modelled: names_of::<types::DaemonSet>, known: "status", inner: &[("metadata", &METADATA), ("spec", &DAEMON_SET_SPEC)] };
static DAEMON_SET_SPEC: Struct = Struct {
    modelled: names_of::<types::DaemonSetSpec>,
    known: "revisionHistoryLimit templateGeneration",
    inner: &[("selector", &SELECTOR), ("updateStrategy", &STRATEGY), ("template", &POD_TEMPLATE)],
};
static STRATEGY: Struct = Struct { modelled: names_of::<types::Strategy>, known: "", inner: &[("rollingUpdate", &ROLLING_UPDATE)] };
static ROLLING_UPDATE: Struct = Struct { modelled: names_of::<types::RollingUpdate>, known: "", inner: &[] };
static AUTOSCALER: Struct = Struct {
    modelled: names_of::<types::HorizontalPodAutoscaler>,
    known: "status",
    inner: &[("metadata", &METADATA), ("spec", &AUTOSCALER_SPEC)],
};
static AUTOSCALER_SPEC: Struct = Struct {
    modelled: names_of::<types::HorizontalPodAutoscalerSpec>,
    known: "",
    inner: &[("scaleTargetRef", &SCALE_TARGET_REF), ("metrics", &METRIC), ("behavior", &BEHAVIOR)],
};
static SCALE_TARGET_REF: Struct = Struct { modelled: names_of::<types::ScaleTargetRef>, known: "", inner: &[] };
static METRIC: Struct = Struct {
    modelled: names_of::<types::MetricSpec>,
    known: "object pods external",
    inner: &[("resource", &RESOURCE_METRIC), ("containerResource", &RESOURCE_METRIC)],
};
static RESOURCE_METRIC: Struct = Struct { modelled: names_of::<types::ResourceMetric>, known: "", inner: &[("target", &METRIC_TARGET)] };
static METRIC_TARGET: Struct = Struct { modelled: names_of::<types::MetricTarget>, known: "value", inner: &[] };
static BEHAVIOR: Struct =
    Struct { modelled: names_of::<types::BehaviorSpec>, known: "", inner: &[("scaleUp", &SCALING_RULES), ("scaleDown", &SCALING_RULES)] };
static SCALING_RULES: Struct = Struct { modelled: names_of::<types::ScalingRulesSpec>, known: "", inner: &[("policies", &SCALING_POLICY)] };
static SCALING_POLICY: Struct = Struct { modelled: names_of::<types::ScalingPolicySpec>, known: "", inner: &[] };
static BUDGET: Struct =
    Struct { modelled: names_of::<types::PodDisruptionBudget>, known: "status", inner: &[("metadata", &METADATA), ("spec", &BUDGET_SPEC)] };
static BUDGET_SPEC: Struct = Struct { modelled: names_of::<types::PodDisruptionBudgetSpec>, known: "", inner: &[("selector", &SELECTOR)] };
static SERVICE: Struct = Struct {
    modelled: names_of::<types::Service>,
    known: "",
    inner: &[("metadata", &METADATA), ("spec", &SERVICE_SPEC), ("status", &SERVICE_STATUS)],
};
static SERVICE_SPEC: Struct = Struct {
    modelled: names_of::<types::ServiceSpec>,
    known: "topologyKeys ipFamily",
    inner: &[("ports", &SERVICE_PORT), ("sessionAffinityConfig", &SESSION_AFFINITY_CONFIG)],
};
static SESSION_AFFINITY_CONFIG: Struct =
    Struct { modelled: names_of::<types::SessionAffinityConfig>, known: "", inner: &[("clientIP", &CLIENT_IP_CONFIG)] };
static CLIENT_IP_CONFIG: Struct = Struct { modelled: names_of::<types::ClientIpConfig>, known: "", inner: &[] };
static SERVICE_STATUS: Struct =
    Struct { modelled: names_of::<types::ServiceStatus>, known: "conditions", inner: &[("loadBalancer", &LOAD_BALANCER_STATUS)] };
static LOAD_BALANCER_STATUS: Struct =
    Struct { modelled: names_of::<types::LoadBalancerStatus>, known: "", inner: &[("ingress", &LOAD_BALANCER_INGRESS)] };
static LOAD_BALANCER_INGRESS: Struct = Struct { modelled: names_of::<types::LoadBalancerIngress>, known: "ports", inner: &[] };
static SERVICE_PORT: Struct = Struct { modelled: names_of::<types::ServicePort>, known: "appProtocol", inner: &[] };

/// The field names of a type that derives `Deserialize`.
fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], _: V) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("only the names were wanted"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("not a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Names(&mut names));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_types() {
        assert!(modelled("Service", &["spec"]).contains(&"externalIPs"));
        assert_eq!(modelled("Service", &["spec", "ports"]), ["name", "protocol", "port", "targetPort", "nodePort"]);
        assert!(modelled("Deployment", &["spec", "template", "spec", "containers", "lifecycle", "preStop", "sleep"]).contains(&"seconds"));
    }

    #[test]
    fn typing_errors_and_real_fields() {
        assert_eq!(judge("Service", &["spec"], "externalTrafficPolcy"), Unread::Typo("externalTrafficPolicy"));
        assert_eq!(judge("Service", &["spec"], "external_traffic_policy"), Unread::Typo("externalTrafficPolicy"));
        assert_eq!(judge("Service", &["spec"], "topologyKeys"), Unread::Known);
        assert_eq!(judge("Service", &["spec"], "replicas"), Unread::Unknown);
        assert_eq!(judge("Deployment", &["spec"], "replica"), Unread::Typo("replicas"));
        assert_eq!(judge("Deployment", &["spec", "template", "spec", "containers"], "envFrom"), Unread::Known);
        assert_eq!(judge("Deployment", &["spec", "template", "spec", "volumes"], "anything"), Unread::Known);
    }

    /// A real name that looks like a modelled one must be in the list of known names: no known name is judged a typing error.
    #[test]
    fn no_real_name_is_called_a_typing_error() {
        fn walk(kind: &str, path: &mut Vec<&'static str>, at: &'static Struct) {
            assert!(!(at.modelled)().is_empty(), "{kind} {path:?}");
            for name in at.known.split_whitespace() {
                assert!(!(at.modelled)().contains(&name), "{kind} {path:?} {name} is read");
                assert_eq!(judge(kind, path, name), Unread::Known);
            }
            for (name, inner) in at.inner {
                path.push(name);
                walk(kind, path, inner);
                path.pop();
            }
        }
        for kind in [
            "Node",
            "Pod",
            "Service",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
            "DaemonSet",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
        ] {
            walk(kind, &mut Vec::new(), find(kind, &[]).expect("a kind"));
        }
    }
}
