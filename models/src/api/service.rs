//! [`Service`]: the facts of a Service that proxies and load balancers decide by.

use super::endpoint_set::Policies;
use crate::ids::WorkloadId;
use crate::spec::{ServiceSpec, TrafficPolicy};
use std::ops::Deref;

/// A Service after build.
#[derive(Clone, Debug)]
pub struct Service {
    /// All that its object says.
    pub spec: ServiceSpec,
    /// Workloads whose Pods the selector matches.
    pub backends: Vec<WorkloadId>,
    policies: Policies,
}

impl Service {
    /// The Service of `spec` in front of `backends`.
    #[must_use]
    pub fn new(spec: ServiceSpec, backends: Vec<WorkloadId>) -> Self {
        let externally_accessible =
            spec.ports.iter().any(|p| p.node_port.is_some()) || !spec.load_balancer_ips.is_empty() || !spec.external_ips.is_empty();
        let policies = Policies { internal: spec.internal_traffic_policy, external: spec.external_traffic_policy, externally_accessible };
        Self { spec, backends, policies }
    }

    /// What decides which lists of endpoints exist.
    #[must_use]
    pub fn policies(&self) -> Policies {
        self.policies
    }

    /// Whether a Node takes its health from its own endpoints: it has a `healthCheckNodePort`.
    #[must_use]
    pub fn checks_local_health(&self) -> bool {
        self.spec.external_traffic_policy == TrafficPolicy::Local
    }
}

impl Deref for Service {
    type Target = ServiceSpec;
    fn deref(&self) -> &ServiceSpec {
        &self.spec
    }
}
