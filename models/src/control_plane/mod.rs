//! What controllers and kube-proxy decide between a Pod's change and the rules that realise it.
//!
//! Pure functions and one small state machine; who calls them, and when, is the cluster's business.
//! "EPS" is the repository kubernetes/endpointslice.
//!
//! | module | what it decides |
//! |---|---|
//! | [`conditions`] | what a slice says of a Pod, and how a proxy reads it |
//! | [`slices`] | which Pods are in slices, and how endpoints are packed into them |
//! | [`hints`] | for whom an endpoint is meant: `trafficDistribution` and the annotations |
//! | [`topology`] | hints in proportion to the zones' CPU: `topology-mode: Auto` |
//! | [`proxy_sync`] | when kube-proxy writes its rules |
//! | [`rate_limit`] | how fast slices are written |
//! | [`health_check`] | what `healthCheckNodePort` answers |

pub mod conditions;
pub mod health_check;
pub mod hints;
pub mod probes;
pub mod proxy_sync;
pub mod rate_limit;
pub mod slices;
pub mod topology;

#[cfg(test)]
mod tests {
    use crate::api::{Conditions, Endpoint, Hints};
    use crate::ids::{NodeId, PodId, ZoneId};
    use std::net::{IpAddr, Ipv4Addr};

    /// The endpoint of Pod `i`, on Node `i`.
    pub fn endpoint(i: u32, zone: Option<u32>, ready: bool) -> Endpoint {
        Endpoint {
            pod: PodId(i),
            ip: IpAddr::V4(Ipv4Addr::from(i)),
            port: 80,
            node: Some(NodeId(i)),
            zone: zone.map(ZoneId),
            conditions: Conditions { ready, serving: ready, terminating: false },
            hints: Hints::default(),
        }
    }
}
