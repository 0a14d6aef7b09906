//! Google Cloud external passthrough Network Load Balancer, as GKE (ingress-gce) makes it with Node subsets.
//!
//! | parameter | source |
//! |---|---|
//! | consistent hash in a table of 65 537 places, then connection tracking | Google Cloud, *Traffic distribution for external passthrough Network Load Balancers*; Eisenbud et al., NSDI 2016 (the size is that of the paper, an assumption) |
//! | destination kept, replies bypass it, client address kept | Google Cloud, *External passthrough Network Load Balancer overview*, direct server return |
//! | all unhealthy: all used; connections outlive their backend's health | *Traffic distribution …*: last resort; connection persistence on unhealthy backends, default for TCP |
//! | health checks: 8 s, timeout 1 s, 1 good, 3 bad; policy Local: 3 s, timeout 1 s, 1 good, 2 bad | ingress-gce, `pkg/healthchecksl4/healthchecksl4.go` |
//! | `subset` 250, policy Local 3000 | ingress-gce, `maxSubsetSizeNetLBCluster` and `…Local` in `pkg/neg/syncers/subsets.go`; set 25 and 250 for an internal one |
//! | Nodes with Pods only, under policy Local | ingress-gce, `LocalL4EndpointsCalculator` |
//! | `draining` 30 s | ingress-gce, `DefaultConnectionDrainingTimeoutSeconds` in `pkg/backends/backends.go` |
//! | registration and deregistration 5 s to 15 s | assumption: from the EndpointSlice through the NEG controller and the API to the data path |
//!
//! The delay is an assumption. Omitted: weighted balancing by Pods on a Node, session affinity modes, zonal affinity,
//! failover groups, several probers a target.

use super::parameters::{Algorithm, Arrival, LocalTargets, Parameters, between, every};
use crate::maglev::TableSize;
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    Parameters {
        local_targets: LocalTargets::NodesWithPods,
        arrival: Arrival::Vip,
        algorithm: Algorithm::Maglev { table_size: TableSize::PAPER.get() },
        registration_delay: between(5, 15),
        deregistration_delay: between(5, 15),
        direct_return: true,
        health_check: Some(every(8, 1, 1, 3)),
        local_health_check: Some(every(3, 1, 1, 2)),
        subset: Some(250),
        local_subset: Some(3_000),
        draining: Some(SimDuration::from_secs(30)),
        ..super::instance_targets::parameters()
    }
}
