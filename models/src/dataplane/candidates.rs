//! Which endpoints a Node may use for a new flow, and whether the source is rewritten: the decision table that
//! kube-proxy's iptables and nftables modes share (`pkg/proxy/topology.go`; `iptables/proxier_test.go` and
//! `nftables/proxier_test.go` TestInternalExternalMasquerade, TestExternalTrafficPolicyLocal,
//! TestExternalTrafficPolicyCluster).

use super::address::{Address, Sender};
use crate::api::{Categories, Service};
use crate::spec::TrafficPolicy;

/// The facts that candidates follow from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The Service dialled.
    pub service: &'a Service,
    /// Which of its addresses.
    pub address: Address,
    /// Who dials.
    pub sender: Sender,
    /// The endpoints that this Node may use.
    pub categories: Categories<'a>,
    /// The cluster list as it would be without hints, for data planes that do not heed them.
    pub unhinted: &'a [u32],
    /// Whether the Node can tell Pods apart.
    pub detects_pods: bool,
    /// kube-proxy's `masqueradeAll`.
    pub masquerade_all: bool,
}

/// The endpoints that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidates<'a> {
    /// Indices of the port's endpoints; possibly empty.
    pub list: &'a [u32],
    /// Which list it is.
    pub scope: Scope,
    /// Whether the Node puts its own address in place of the sender's.
    pub snat: bool,
}

/// Which list of endpoints was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those of the whole cluster, hints heeded.
    Cluster,
    /// Those on the Node that decides.
    Local,
    /// Those of the whole cluster although the policy is Local, since the sender is inside.
    ShortCircuit,
}

impl<'a> Question<'a> {
    /// The policy that governs the address.
    #[must_use]
    pub fn policy(&self) -> TrafficPolicy {
        match self.address {
            Address::ClusterIP => self.service.internal_traffic_policy,
            _ => self.service.external_traffic_policy,
        }
    }

    /// The cluster list.
    #[must_use]
    pub fn cluster(&self) -> &'a [u32] {
        self.categories.cluster.unwrap_or_default()
    }

    /// The local list.
    #[must_use]
    pub fn local(&self) -> &'a [u32] {
        self.categories.local.unwrap_or_default()
    }

    /// Whether traffic to a cluster IP gets the Node's address as its source: all that comes from no Pod, where Pods can be
    /// told, since replies to anyone else would not come back this way; and all with `masqueradeAll`.
    #[must_use]
    pub fn masquerades_cluster_ip(&self) -> bool {
        self.masquerade_all || (self.detects_pods && self.sender != Sender::Pod)
    }
}

/// The candidates of kube-proxy.
///
/// | destination | policy | sender | list | SNAT |
/// |---|---|---|---|---|
/// | cluster IP | internal Cluster | Pod / other | cluster | no / yes |
/// | cluster IP | internal Local | Pod / other | local | no / yes |
/// | external | external Cluster | anyone | cluster | yes, even if the Pod is on this Node |
/// | external | external Local | outside | local | no |
/// | external | external Local | Pod | cluster (short circuit) | no |
/// | external | external Local | this Node | cluster (short circuit) | yes |
///
/// Without a detector of Pods, traffic to cluster IPs is never rewritten (unless `masqueradeAll`), and Pods count as
/// outside.
#[must_use]
pub fn kube_proxy<'a>(q: &Question<'a>) -> Candidates<'a> {
    use {Scope as L, TrafficPolicy as P};
    let of = |list, scope, snat| Candidates { list, scope, snat };
    match (q.address, q.policy(), q.sender) {
        (Address::ClusterIP, P::Cluster, _) => of(q.cluster(), L::Cluster, q.masquerades_cluster_ip()),
        (Address::ClusterIP, P::Local, _) => of(q.local(), L::Local, q.masquerades_cluster_ip()),
        (_, P::Cluster, _) => of(q.cluster(), L::Cluster, true),
        (_, P::Local, Sender::Outside) => of(q.local(), L::Local, false),
        (_, P::Local, Sender::Pod) => of(q.cluster(), L::ShortCircuit, false),
        (_, P::Local, Sender::Node) => of(q.cluster(), L::ShortCircuit, true),
    }
}
