//! MetalLB in layer 2 mode: one Node answers for the address, and all traffic enters there.
//!
//! | parameter | source |
//! |---|---|
//! | leader: first in the order of SHA-256 of `node#address` | `speaker/layer2_controller.go`; with a cluster's own names and address the same Node leads |
//! | Nodes with a Pod that serves only, under policy Local | `nodesWithEndpoint` there; terminating Pods that still serve count (`internal/k8s/epslices`) |
//! | failover 1 s to 3 s | MetalLB, *Layer 2 mode*: "within a few seconds"; the numbers are an assumption |
//! | a dead Node is noticed after 5 s | assumption from memberlist's `DefaultLANConfig`: a probe a second, suspected for 4 s |
//! | no health checks, nothing in between, destination and client address kept, replies direct | *Layer 2 mode*: the Node itself holds the address |
//!
//! No connection is remembered: after a failover packets reach the new leader, whose proxy does not know the connection.
//! Omitted: clients that ignore gratuitous ARP, split brains, leases, and that nobody answers while no Pod anywhere serves.

use super::parameters::{Algorithm, Arrival, LocalTargets, Parameters, between, constant};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    Parameters {
        local_targets: LocalTargets::NodesWithPods,
        arrival: Arrival::Vip,
        algorithm: Algorithm::Leader { failover: between(1, 3) },
        connection_tracking: false,
        failure_detection: constant(SimDuration::from_secs(5)),
        fail_open: false,
        direct_return: true,
        delay: constant(SimDuration::ZERO),
        health_check: None,
        local_health_check: None,
        ..super::instance_targets::parameters()
    }
}
