//! AWS Application Load Balancer with target type `instance`, as aws-load-balancer-controller makes it for an Ingress.
//!
//! | parameter | source |
//! |---|---|
//! | proxies HTTP; 502, 503, 504; connects within 10 s, answers within 60 s | Elastic Load Balancing user guide, *Troubleshoot your Application Load Balancers*; `idle_timeout.timeout_seconds` |
//! | round robin; `leastConnections` for least outstanding requests | user guide, *Target group attributes*, `load_balancing.algorithm.type` |
//! | all zones' targets | user guide, *Target group attributes*: cross-zone load balancing is always on for the load balancer |
//! | fails open | user guide, *Health checks for Application Load Balancer target groups* |
//! | `draining` 300 s | user guide, *Target group attributes*, `deregistration_delay.timeout_seconds` |
//! | health checks: HTTP, 15 s, timeout 5 s, 2 of a kind | aws-load-balancer-controller, Ingress annotations; the API's own defaults are 30 s, 5 s, 5 good, 2 bad |
//! | (de)registration takes 10 s | "ELB API propagation time" in aws-load-balancer-controller issue 1719 |
//! | client address lost | user guide: targets see the balancer's, and the client's in `X-Forwarded-For` |
//!
//! The delay of a proxy is an assumption. Kubernetes puts it in front of an Ingress rather than a Service of type LoadBalancer.
//! Under policy Cluster a check of a Node says whether the Node lives, not what a Pod behind it answers. Omitted: several nodes
//! of the balancer with a turn each, slow start, anomaly mitigation, stickiness, rules, limits of rate.

use super::parameters::{Algorithm, ClientAddress, Parameters, Proxies, constant, every};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    let check = every(15, 5, 2, 2);
    Parameters {
        algorithm: Algorithm::RoundRobin,
        registration_delay: constant(SimDuration::from_secs(10)),
        deregistration_delay: constant(SimDuration::from_secs(10)),
        client_address: ClientAddress::Lost,
        delay: constant(SimDuration::from_micros(500)),
        health_check: Some(check),
        local_health_check: Some(check),
        draining: Some(SimDuration::from_secs(300)),
        proxies: Some(Proxies::default()),
        ..super::instance_targets::parameters()
    }
}
