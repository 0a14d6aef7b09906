//! [`Service`]: the facts of a Service that proxies and load balancers decide by.

use crate::ids::WorkloadId;
use crate::spec::{ServiceType, TrafficPolicy};

/// A Service after build.
#[derive(Clone, Debug)]
pub struct Service {
    /// `metadata.name`.
    pub name: String,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// Acts on traffic to the node port and the load balancer's address only.
    pub external_traffic_policy: TrafficPolicy,
    /// Acts on traffic to the cluster IP only.
    pub internal_traffic_policy: TrafficPolicy,
    /// Workloads whose Pods the selector matches.
    pub backends: Vec<WorkloadId>,
}
