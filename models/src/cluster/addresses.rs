//! Addresses that the input does not give: made up by rule, so that whatever hashes them gives the same in every design.

use super::Cluster;
use crate::ids::{NodeId, PodId};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::random::entity;

/// The cluster CIDR, by which Nodes tell Pods from others: a block of 256 addresses a Node, and more blocks for Nodes that need them.
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

/// The `n`-th address after `first`.
pub(super) fn after(first: Ipv4Addr, n: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(first.to_bits().wrapping_add(n as u32)))
}

/// The `n`-th address of a range, from its start again past its end.
fn nth(range: Ipv4Net, n: u64) -> IpAddr {
    let mask = u64::from(range.hostmask().to_bits());
    IpAddr::V4(Ipv4Addr::from_bits(range.network().to_bits() | (n & mask) as u32))
}

/// The addresses of one Node's Pods.
#[derive(Clone, Debug)]
pub(super) struct PodAddresses {
    blocks: Vec<Block>,
}

/// 254 addresses of the cluster CIDR: all of a `/24` but the first and the last.
#[derive(Clone, Debug)]
struct Block {
    number: u32,
    /// Where the search for a free one begins: an address rests as long as possible before it is another Pod's.
    next: u8,
    used: [u64; 4],
}

impl Block {
    const SIZE: u8 = 254;

    const fn new(number: u32) -> Self {
        Self { number, next: 0, used: [0; 4] }
    }

    fn take(&mut self) -> Option<IpAddr> {
        let place = (0..Self::SIZE).map(|i| (u16::from(self.next) + u16::from(i)) % u16::from(Self::SIZE));
        let free = place.into_iter().find(|i| self.used[usize::from(*i) / 64] >> (i % 64) & 1 == 0)?;
        self.used[usize::from(free) / 64] |= 1 << (free % 64);
        self.next = ((free + 1) % u16::from(Self::SIZE)) as u8;
        Some(nth(PODS, u64::from(self.number) << 8 | u64::from(free + 1)))
    }

    fn give_back(&mut self, ip: IpAddr) {
        let IpAddr::V4(ip) = ip else { return };
        let offset = ip.to_bits() & PODS.hostmask().to_bits();
        if let Some(place) = (offset & 0xff).checked_sub(1).filter(|_| offset >> 8 == self.number) {
            self.used[place as usize / 64] &= !(1 << (place % 64));
        }
    }
}

impl PodAddresses {
    /// Those of the Node with this number.
    pub(super) fn of_node(number: usize) -> Self {
        Self { blocks: vec![Block::new(number as u32)] }
    }
}

impl Cluster {
    /// An address for a Pod on `node` that no other Pod has.
    pub(super) fn pod_address(&mut self, node: NodeId) -> IpAddr {
        let blocks = &mut self.nodes[node].addresses.blocks;
        if let Some(ip) = blocks.iter_mut().find_map(Block::take) {
            return ip;
        }
        let mut block = Block::new(self.pod_blocks);
        self.pod_blocks += 1;
        let ip = block.take().unwrap_or(IpAddr::V4(PODS.network()));
        self.nodes[node].addresses.blocks.push(block);
        ip
    }

    /// A Pod's address is nobody's any more.
    pub(super) fn give_back_address(&mut self, pod: PodId) {
        let (node, ip) = (self.pods[pod].node, self.pods[pod].ip);
        self.nodes[node].addresses.blocks.iter_mut().for_each(|b| b.give_back(ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_pods_of_a_node_share_an_address() {
        let mut block = Block::new(3);
        let all: BTreeSet<IpAddr> = std::iter::from_fn(|| block.take()).collect();
        assert_eq!(all.len(), 254);
        let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 128, 3, last));
        assert_eq!((all.first(), all.last()), (Some(&ip(1)), Some(&ip(254))));
        block.give_back(ip(7));
        block.give_back(IpAddr::V4(Ipv4Addr::new(10, 128, 4, 9)));
        assert_eq!((block.take(), block.take()), (Some(ip(7)), None), "only the one that was given back");
    }

    #[test]
    fn an_address_rests_before_it_is_another_pods() {
        let mut block = Block::new(0);
        let first = block.take().expect("free");
        block.give_back(first);
        let next: Vec<IpAddr> = (0..253).filter_map(|_| block.take()).collect();
        assert!(!next.contains(&first));
        assert_eq!(block.take(), Some(first));
    }
}
