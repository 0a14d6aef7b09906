//! Google Cloud proxy load balancer over network endpoint groups: straight to Pods ("container-native").
//!
//! | parameter | source |
//! |---|---|
//! | health checks: 15 s, timeout 15 s, 1 good, 2 bad | ingress-gce, `pkg/healthchecks`: `DefaultNEGHealthCheckInterval`, `DefaultNEGTimeout`, `DefaultNEGUnhealthyThreshold` |
//! | round robin | Google Cloud, *Backend services overview*, locality policy `ROUND_ROBIN`, the default |
//! | client address lost, replies through it | it is a proxy |
//! | none healthy: refuses | Google Cloud, *Health checks overview*: proxies answer 503 |
//! | `draining` 0 s | Compute Engine API, `connectionDraining.drainingTimeoutSec`: off unless set, for instance by a BackendConfig |
//! | registration and deregistration 5 s to 15 s | assumption, as `googlePassthrough` |
//!
//! The delay of a proxy is an assumption. Kubernetes puts it in front of an Ingress or Gateway rather than a Service of type
//! LoadBalancer. Omitted: that it balances requests and not connections, its regional spreading of load, capacity limits and
//! retries. New Pods become ready only when the group has them (readiness gate); that is for whoever models the Pods.

use super::parameters::{Algorithm, ClientAddress, Parameters, Targets, between, constant, every};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    let check = every(15, 15, 1, 2);
    Parameters {
        targets: Targets::Pods,
        algorithm: Algorithm::RoundRobin,
        registration_delay: between(5, 15),
        deregistration_delay: between(5, 15),
        fail_open: false,
        client_address: ClientAddress::Lost,
        delay: constant(SimDuration::from_micros(500)),
        health_check: Some(check),
        local_health_check: Some(check),
        draining: Some(SimDuration::ZERO),
        ..super::instance_targets::parameters()
    }
}
