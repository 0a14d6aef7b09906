//! AWS Application Load Balancer with target type `ip`: straight to Pods, as aws-load-balancer-controller makes it for an
//! Ingress.
//!
//! Parameters, sources and what is omitted: `awsAlbInstance`. A Pod is checked by HTTP itself. Pods become ready only when their
//! target is healthy if they have the controller's readiness gate.

use super::parameters::{Parameters, Targets};

pub(super) fn parameters() -> Parameters {
    Parameters { targets: Targets::Pods, ..super::aws_alb_instance::parameters() }
}
