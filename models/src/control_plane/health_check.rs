//! `healthCheckNodePort`: by which a load balancer learns which Nodes have endpoints of their own.

use crate::api::Endpoint;
use crate::ids::NodeId;
use std::collections::BTreeSet;

/// What a Node's proxy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Ready endpoints on the Node by unique address: `localEndpoints`, and `X-Load-Balancing-Endpoint-Weight`.
    pub local_ready: usize,
    /// The HTTP status: 200 or 503.
    pub status: u16,
}

/// The answer of the Node `here` (`pkg/proxy/healthcheck/service_health.go`).
///
/// Whether an endpoint is serving or terminating does not matter: a Node with terminating endpoints only still delivers to
/// them, but tells the load balancer to stop.
#[must_use]
pub fn answer<'a>(here: NodeId, endpoints: impl IntoIterator<Item = &'a Endpoint>, proxy_healthy: bool) -> Answer {
    let local = endpoints.into_iter().filter(|e| e.node == Some(here) && e.conditions.ready);
    let local_ready = local.map(|e| e.ip).collect::<BTreeSet<_>>().len();
    Answer { local_ready, status: if local_ready > 0 && proxy_healthy { 200 } else { 503 } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::tests::endpoint;

    #[test]
    fn unique_addresses_of_ready_local_endpoints_count() {
        let here = endpoint(1, None, true);
        let other_port = Endpoint { port: 81, ..here.clone() };
        let list = [here.clone(), other_port, endpoint(2, None, true), Endpoint { node: None, ..here }];
        assert_eq!(answer(NodeId(1), &list, true), Answer { local_ready: 1, status: 200 });
        assert_eq!(answer(NodeId(1), &list, false), Answer { local_ready: 1, status: 503 });
        assert_eq!(answer(NodeId(3), &list, true), Answer { local_ready: 0, status: 503 });
        assert_eq!(answer(NodeId(1), &[endpoint(1, None, false)], true), Answer { local_ready: 0, status: 503 });
    }
}
