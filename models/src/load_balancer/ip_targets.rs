//! A layer-4 load balancer with Pods as targets, past every proxy: one stage of balancing.
//!
//! Pods see its own address, as with AWS `ip` targets under TCP. The rest, and its sources, as `instanceTargets`.

use super::parameters::{ClientAddress, Parameters, Targets};

pub(super) fn parameters() -> Parameters {
    Parameters { targets: Targets::Pods, client_address: ClientAddress::Lost, ..super::instance_targets::parameters() }
}
