//! An endpoint's conditions, as they are written and as they are read.

use crate::api::Conditions;

/// What the EndpointSlice controller writes for a Pod (EPS `utils.go` `podToEndpoint`, KEP-1672).
#[must_use]
pub fn of_pod(pod_ready: bool, deletion_requested: bool, publish_not_ready_addresses: bool) -> Conditions {
    Conditions {
        ready: publish_not_ready_addresses || (pod_ready && !deletion_requested),
        serving: pod_ready,
        terminating: deletion_requested,
    }
}

/// How a proxy reads conditions of which some are absent (`pkg/proxy/endpointslicecache.go`).
#[must_use]
pub fn as_read(ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>) -> Conditions {
    Conditions { ready: ready.unwrap_or(true), serving: serving.unwrap_or(true), terminating: terminating.unwrap_or(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminating_pod_is_ready_only_if_addresses_are_published_regardless() {
        assert_eq!(of_pod(true, true, false), Conditions { ready: false, serving: true, terminating: true });
        assert_eq!(of_pod(true, true, true), Conditions { ready: true, serving: true, terminating: true });
        assert_eq!(of_pod(false, false, true), Conditions { ready: true, serving: false, terminating: false });
    }

    #[test]
    fn absent_conditions_are_those_of_a_working_endpoint() {
        assert_eq!(as_read(None, None, None), Conditions { ready: true, serving: true, terminating: false });
        assert_eq!(as_read(Some(false), None, Some(true)), Conditions { ready: false, serving: true, terminating: true });
    }
}
