//! A layer-4 load balancer with Nodes as targets, as many clouds have one.
//!
//! It hashes each new connection to a healthy Node's node port, where the Node's own proxy chooses again. Modelled after
//! the AWS NLB with target type `instance`, but without its zones and its slow registration. The delay is an assumption.

use super::parameters::{Algorithm, Arrival, ClientAddress, LocalTargets, Parameters, Targets, constant, every};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    // aws-load-balancer-controller: `instance` targets under policy Local, HTTP on healthCheckNodePort.
    let check = every(10, 6, 2, 2);
    Parameters {
        targets: Targets::Nodes,
        local_targets: LocalTargets::AllNodes,
        arrival: Arrival::NodePort,
        algorithm: Algorithm::FlowHash,
        connection_tracking: true,
        cross_zone: true,
        registration_delay: constant(SimDuration::ZERO),
        deregistration_delay: constant(SimDuration::ZERO),
        failure_detection: constant(SimDuration::ZERO),
        cut_unhealthy: false,
        fail_open: true,
        client_address: ClientAddress::Kept,
        direct_return: false,
        delay: constant(SimDuration::from_micros(50)),
        health_check: Some(check),
        local_health_check: Some(check),
        subset: None,
        local_subset: None,
        proxies: None,
        draining: None,
    }
}
