//! AWS Network Load Balancer with target type `instance`, as aws-load-balancer-controller makes it.
//!
//! | parameter | source |
//! |---|---|
//! | flow hash, connections tracked | Elastic Load Balancing user guide, *What is a Network Load Balancer*, flow hash algorithm |
//! | `crossZone` off | user guide, *Target group attributes*: off by default |
//! | fails open; unhealthy targets' connections reset | user guide, *Health checks for Network Load Balancer target groups* |
//! | health checks: TCP, 10 s, timeout 10 s, 3 of a kind; policy Local: HTTP, 10 s, timeout 6 s, 2 of a kind | aws-load-balancer-controller, `pkg/service/model_build_target_group.go` |
//! | (de)registration takes 180 s to 300 s | AWS Support, quoted in aws-load-balancer-controller issue 1834; uniform is an assumption. Users measured 70 s to 120 s (aws/containers-roadmap issues 469 and 470) |
//! | `draining` none | user guide, *Deregistration delay*: after its 300 s a connection that is not idle goes on; set 300s for `connection_termination.enabled` |
//! | client address kept | user guide, *Client IP preservation*, instance targets |
//!
//! The delay is an assumption. Omitted: passive health checks, each balancer node's own checks and their consensus, idle
//! timeouts (350 s), DNS caching by clients, minimum healthy shares other than one target, sticky sessions.

use super::parameters::{Parameters, between, every};

pub(super) fn parameters() -> Parameters {
    Parameters {
        cross_zone: false,
        registration_delay: between(180, 300),
        deregistration_delay: between(180, 300),
        cut_unhealthy: true,
        health_check: Some(every(10, 10, 3, 3)),
        local_health_check: Some(every(10, 6, 2, 2)),
        ..super::instance_targets::parameters()
    }
}
