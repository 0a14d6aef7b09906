//! Addresses that the input does not give: made up by rule, so that whatever hashes them gives the same in every design.

use super::Cluster;
use crate::ids::NodeId;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::random::entity;

/// The cluster CIDR, by which Nodes tell Pods from others: 256 addresses a Node.
const PODS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 128, 0, 0), 9);
/// Nodes whose objects give no address.
const NODES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12);
/// Clients outside (RFC 6598's shared space, so that they are nobody's).
const CLIENTS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
/// Load balancers whose Service's status gives no address (RFC 2544's benchmark space).
const LOAD_BALANCERS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

pub(super) fn pod_cidr() -> IpNet {
    PODS.into()
}

pub(super) fn node(index: usize) -> IpAddr {
    nth(NODES, index as u64 + 1)
}

pub(super) fn load_balancer(index: usize) -> IpAddr {
    nth(LOAD_BALANCERS, index as u64 + 1)
}

/// The address of the `n`-th client outside of a source.
pub(super) fn client(source: &str, n: u64) -> IpAddr {
    nth(CLIENTS, entity(source).wrapping_add(n))
}

/// The `n`-th address of a range, from its start again past its end.
fn nth(range: Ipv4Net, n: u64) -> IpAddr {
    let mask = u64::from(range.hostmask().to_bits());
    IpAddr::V4(Ipv4Addr::from_bits(range.network().to_bits() | (n & mask) as u32))
}

impl Cluster {
    /// The next address of a Pod on `node`; after 254 Pods they are used again.
    pub(super) fn pod_address(&mut self, node: NodeId) -> IpAddr {
        let pods = &mut self.nodes[node].pods;
        *pods += 1;
        nth(PODS, u64::from(node.0) << 8 | u64::from((*pods - 1) % 254 + 1))
    }
}
