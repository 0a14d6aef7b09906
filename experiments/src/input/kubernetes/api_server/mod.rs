//! What the API server does to a Service between `kubectl apply` and storage, on the manifest's own types: it fills in defaults
//! ([`defaults`]), gives out numbers ([`allocation`]), checks ([`validation`]), and, when an object changes, drops what its new
//! type has no use for ([`update`]).
//!
//! Paths are those of the API but for one thing: what concerns the first of `clusterIPs` is said of `clusterIP`, which is the
//! field that people write.

pub(crate) mod addresses;
pub(super) mod allocation;
pub(super) mod defaults;
mod names;
pub(super) mod update;
pub(crate) mod validation;

use super::types::Service;

/// What is wrong with a field of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Path in the object, such as `spec.ports[0].nodePort`.
    pub(crate) path: String,
    /// What was found and what was expected, in one sentence.
    pub(crate) problem: String,
    /// The likely fix, in one sentence.
    pub(crate) fix: String,
}

impl Violation {
    fn new(path: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), fix: fix.into() }
    }
}

/// `spec.clusterIP` of a headless Service.
pub(super) const NONE: &str = "None";
/// `timeoutSeconds` of session affinity, if absent (`core/v1` `DefaultClientIPServiceAffinitySeconds`): three hours.
pub(super) const AFFINITY_SECONDS: i64 = 10_800;

/// What the API server asks of a Service over and over (`pkg/api/service/util.go`, `registry/core/service/storage`).
impl Service {
    /// `spec.type`; ClusterIP if absent.
    pub(super) fn type_name(&self) -> &str {
        self.spec.r#type.as_deref().filter(|t| !t.is_empty()).unwrap_or("ClusterIP")
    }

    /// Whether DNS answers with the Pods' own addresses.
    pub(super) fn is_headless(&self) -> bool {
        self.spec.cluster_ip.as_deref() == Some(NONE) || self.spec.cluster_ips.first().is_some_and(|ip| ip == NONE)
    }

    /// `NodePort`, `LoadBalancer`, and `ClusterIP` with external IPs.
    pub(super) fn externally_accessible(&self) -> bool {
        match self.type_name() {
            "NodePort" | "LoadBalancer" => true,
            "ClusterIP" => !self.spec.external_ips.is_empty(),
            _ => false,
        }
    }

    /// Whether Nodes say at a port of their own if they have Pods of it.
    pub(super) fn needs_health_check(&self) -> bool {
        self.type_name() == "LoadBalancer" && self.spec.external_traffic_policy.as_deref() == Some("Local")
    }

    /// Whether its ports may be node ports.
    pub(super) fn may_have_node_ports(&self) -> bool {
        matches!(self.type_name(), "NodePort" | "LoadBalancer")
    }
}
