//! AWS Network Load Balancer with target type `ip`: straight to Pods, as aws-load-balancer-controller makes it.
//!
//! | parameter | source |
//! |---|---|
//! | client address lost | Elastic Load Balancing user guide, *Client IP preservation*: off by default for TCP `ip` targets |
//! | health checks: TCP on the Pod's port, 10 s, timeout 10 s, 3 of a kind, under either policy | aws-load-balancer-controller, `pkg/service/model_build_target_group.go` |
//!
//! The rest, its sources and what is omitted: `awsNlbInstance`. Also omitted here: the limit of 55 000 connections a target
//! and minute. Pods become ready only when their target is healthy if they have the controller's readiness gate; that is
//! for whoever models the Pods.

use super::parameters::{ClientAddress, Parameters, Targets, every};

pub(super) fn parameters() -> Parameters {
    Parameters {
        targets: Targets::Pods,
        client_address: ClientAddress::Lost,
        local_health_check: Some(every(10, 10, 3, 3)),
        ..super::aws_nlb_instance::parameters()
    }
}
