//! [`Endpoint`]: one Pod's address in an EndpointSlice, as `discovery.k8s.io/v1` has it.

use crate::ids::{NodeId, PodId, ZoneId};
use std::net::IpAddr;

/// One Pod behind one port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The Pod behind the address.
    pub pod: PodId,
    /// `addresses[0]`; kube-proxy uses only the first.
    pub ip: IpAddr,
    /// The Pod's number for the port.
    pub port: u16,
    /// `nodeName`; one without is local to no Node.
    pub node: Option<NodeId>,
    /// `zone`.
    pub zone: Option<ZoneId>,
    /// `conditions`.
    pub conditions: Conditions,
    /// `hints`.
    pub hints: Hints,
}

/// `conditions` of an endpoint: three facts that do not follow from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// May take new connections: serving and not terminating, or `publishNotReadyAddresses`.
    pub ready: bool,
    /// The Pod's Ready condition, terminating or not.
    pub serving: bool,
    /// Deletion has been requested.
    pub terminating: bool,
}

/// `hints` of an endpoint: for whom it is meant (KEP-2433, KEP-3015).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `forZones`.
    pub zones: Vec<ZoneId>,
    /// `forNodes`.
    pub nodes: Vec<NodeId>,
}
