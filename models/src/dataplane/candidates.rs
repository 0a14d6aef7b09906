//! Which endpoints a Node may use for a new flow, and whether the source is rewritten: the decision table
//! that kube-proxy's iptables and nftables modes share (`pkg/proxy/topology.go`; `iptables/proxier_test.go`
//! TestInternalExternalMasquerade, TestExternalTrafficPolicyLocal, TestExternalTrafficPolicyCluster).

use crate::api::{Endpoint, EndpointSet, Service};
use crate::ids::NodeId;
use crate::spec::TrafficPolicy;

/// Which of a Service's addresses a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The cluster IP.
    ClusterIP,
    /// A node port or a load balancer's address.
    External,
}

/// Who sent a packet, as the Node's local traffic detector sees it (mode ClusterCIDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// An address of the Pod network.
    Pod,
    /// Any other address.
    Outside,
}

/// The endpoints that may be chosen, and whether the source address is rewritten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidates<'a> {
    /// Possibly empty.
    pub list: &'a [Endpoint],
    /// Whether the Node puts its own address in place of the sender's.
    pub snat: bool,
}

/// The candidates of `service` at `node` for a flow from `sender` to `destination`.
///
/// | destination | policy | sender | list | SNAT |
/// |---|---|---|---|---|
/// | cluster IP | internal Cluster | Pod / outside | cluster | no / yes |
/// | cluster IP | internal Local | Pod / outside | local | no / yes |
/// | external | external Cluster | anyone | cluster | yes, even if the Pod is on this Node |
/// | external | external Local | outside | local | no |
/// | external | external Local | Pod | cluster (short circuit) | no |
#[must_use]
pub fn candidates<'a>(service: &Service, set: &'a EndpointSet, node: NodeId, destination: Destination, sender: Sender) -> Candidates<'a> {
    use {Destination as D, Sender as S, TrafficPolicy as P};
    match (destination, service.internal_traffic_policy, service.external_traffic_policy, sender) {
        (D::ClusterIP, P::Cluster, _, _) => Candidates { list: set.cluster(), snat: sender == S::Outside },
        (D::ClusterIP, P::Local, _, _) => Candidates { list: set.local(node), snat: sender == S::Outside },
        (D::External, _, P::Cluster, _) => Candidates { list: set.cluster(), snat: true },
        (D::External, _, P::Local, S::Outside) => Candidates { list: set.local(node), snat: false },
        (D::External, _, P::Local, S::Pod) => Candidates { list: set.cluster(), snat: false },
    }
}
