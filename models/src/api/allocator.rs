//! [`Allocator`]: which node ports and cluster IPs the API server gives out.
//!
//! The lower part of a range, the static band, is left to people who pick numbers by hand: automatic choice starts at random in
//! the upper part and goes there only when that is full (KEP-3668 for node ports, KEP-3070 for cluster IPs; both choose by
//! `pkg/registry/core/service/allocator/bitmap.go`).
//!
//! The random start belongs to the Service's name and to nothing else: not to the seed, the replication or the design, so that a
//! Service keeps its numbers from one run to the next, and one Service more leaves those of the others as they are (unless it
//! takes the very number that another would have got).

use ipnet::{IpNet, Ipv4Net};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use svcsim_engine::random::{Stream, Streams, entity};

/// Node ports, unless the API server was told otherwise (`--service-node-port-range`).
pub const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// Cluster IPs: the Service CIDR that kubeadm sets up (`kubeadm/v1beta4` `DefaultServicesSubnet`), 10.96.0.0/12.
#[must_use]
pub fn service_cidr() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12)
}

/// Size of the static band of a range of `size` node ports (`portallocator/allocator.go`, `calculateRangeOffset`).
#[must_use]
pub fn node_port_band(size: u64) -> u64 {
    band(size, 32, 128)
}

/// Size of the static band of the cluster IPs of a CIDR (`ipallocator/ipallocator.go`, `calculateRangeOffset`).
///
/// It goes by all addresses of the CIDR, those that are never given out included. Upstream counts none in an IPv4 CIDR of 31 or
/// more host bits and in an IPv6 CIDR of 127 or more, and no more than an i64 holds (`k8s.io/utils/net`, `RangeSize`).
#[must_use]
pub fn cluster_ip_band(cidr: IpNet) -> u64 {
    let host_bits = u32::from(cidr.max_prefix_len() - cidr.prefix_len());
    let none = match cidr {
        IpNet::V4(_) => host_bits >= 31,
        IpNet::V6(_) => host_bits >= 127,
    };
    match host_bits {
        _ if none => 0,
        63.. => band(i64::MAX as u64, 16, 256),
        _ => band(1 << host_bits, 16, 256),
    }
}

/// Up to 16 numbers have no static band; else it is `size / step`, from 16 to `most`.
fn band(size: u64, step: u64, most: u64) -> u64 {
    if size <= 16 { 0 } else { (size / step).clamp(16, most) }
}

/// What a random start is for: numbers of different kinds do not depend on each other, nor on what is drawn in a run
/// (`cluster::Purpose`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `spec.clusterIP`.
    ClusterIp = 101,
    /// `spec.ports[].nodePort`, port after port.
    NodePort = 102,
    /// `spec.healthCheckNodePort`.
    HealthCheckNodePort = 103,
}

/// The random starts for a Service.
#[must_use]
pub fn starts(purpose: Purpose, service: &str) -> Stream {
    Streams::new(0, 0).stream(purpose as u64, entity(service))
}

/// Why a number that was asked for is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not one of the range.
    OutOfRange,
    /// It was granted before.
    Taken,
}

/// A range of numbers and which of them are taken. A cluster IP is the number that its four bytes make.
#[derive(Clone, Debug)]
pub struct Allocator {
    first: u32,
    size: u32,
    band: u32,
    taken: BTreeSet<u32>,
}

impl Allocator {
    /// Of node ports.
    #[must_use]
    pub fn node_ports(range: RangeInclusive<u16>) -> Self {
        let first = u32::from(*range.start());
        let size = (u32::from(*range.end()) + 1).saturating_sub(first);
        Self { first, size, band: node_port_band(u64::from(size)) as u32, taken: BTreeSet::new() }
    }

    /// Of the addresses of a CIDR but for the first and the last, the network's and the broadcast address.
    #[must_use]
    pub fn cluster_ips(cidr: Ipv4Net) -> Self {
        let (first, last) = (u32::from(cidr.network()), u32::from(cidr.broadcast()));
        let size = (last - first).saturating_sub(1);
        let band = (cluster_ip_band(IpNet::V4(cidr)) as u32).min(size);
        Self { first: first.saturating_add(1), size, band, taken: BTreeSet::new() }
    }

    /// Grants the number that was asked for.
    ///
    /// # Errors
    /// It is out of range or taken.
    pub fn reserve(&mut self, number: u32) -> Result<(), Refused> {
        match number.checked_sub(self.first) {
            Some(n) if n < self.size => self.taken.insert(n).then_some(()).ok_or(Refused::Taken),
            _ => Err(Refused::OutOfRange),
        }
    }

    /// Grants a free number, from a random start in the dynamic band upwards and round; only if that is full, so in the static
    /// band. None if every number is taken.
    pub fn allocate(&mut self, starts: &mut Stream) -> Option<u32> {
        if self.taken.len() as u64 >= u64::from(self.size) {
            return None;
        }
        let mut search = |from: u32, to: u32| {
            let length = to - from;
            let start = if length == 0 { 0 } else { starts.below(length) };
            let mut ring = (from + start..to).chain(from..from + start);
            ring.find(|n| self.taken.insert(*n))
        };
        let found = search(self.band, self.size).or_else(|| search(0, self.band))?;
        Some(self.first + found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_node_ports() {
        for (size, expected) in [(0, 0), (16, 0), (17, 16), (512, 16), (1_024, 32), (2_048, 64), (2_768, 86), (8_192, 128), (65_536, 128)] {
            assert_eq!(node_port_band(size), expected, "{size}");
        }
    }

    #[test]
    fn bands_of_cluster_ips() {
        for (cidr, expected) in [
            ("192.168.1.1/32", 0),
            ("192.168.1.0/30", 0),
            ("192.168.1.0/28", 0),
            ("192.168.1.0/27", 16),
            ("10.0.0.77/24", 16),
            ("192.168.4.0/22", 64),
            ("192.168.0.0/16", 256),
            ("192.0.0.0/8", 256),
            ("0.0.0.0/2", 256),
            ("0.0.0.0/1", 0),
            ("0.0.0.0/0", 0),
            ("fd00::1/128", 0),
            ("fd00::1/124", 0),
            ("fd00::1/118", 64),
            ("fd00::1/64", 256),
            ("fd00::1/12", 256),
            ("::/0", 0),
        ] {
            assert_eq!(cluster_ip_band(cidr.parse().expect("a CIDR")), expected, "{cidr}");
        }
    }

    #[test]
    fn the_dynamic_band_is_filled_first() {
        let mut ports = Allocator::node_ports(30_000..=30_099);
        assert_eq!(ports.reserve(30_016), Ok(()));
        assert_eq!(ports.reserve(30_016), Err(Refused::Taken));
        assert_eq!((ports.reserve(29_999), ports.reserve(30_100)), (Err(Refused::OutOfRange), Err(Refused::OutOfRange)));
        let mut starts = starts(Purpose::NodePort, "web");
        let granted: Vec<u32> = std::iter::from_fn(|| ports.allocate(&mut starts)).collect();
        assert_eq!(granted.len(), 99);
        assert!(granted[..83].iter().all(|n| (30_017..30_100).contains(n)), "{granted:?}");
        assert!(granted[83..].iter().all(|n| (30_000..30_016).contains(n)), "{granted:?}");
    }

    #[test]
    fn a_scan_goes_up_and_round() {
        let first = Allocator::node_ports(NODE_PORTS).allocate(&mut starts(Purpose::NodePort, "web")).expect("a port");
        assert!(first >= 30_086);
        let mut ports = Allocator::node_ports(NODE_PORTS);
        ports.reserve(first).expect("free");
        let next = if first == 32_767 { 30_086 } else { first + 1 };
        assert_eq!(ports.allocate(&mut starts(Purpose::NodePort, "web")), Some(next));
    }

    #[test]
    fn network_and_broadcast_addresses_are_never_given_out() {
        let granted = |cidr: &str| {
            let mut ips = Allocator::cluster_ips(cidr.parse().expect("a CIDR"));
            let mut starts = starts(Purpose::ClusterIp, "web");
            let mut granted: Vec<Ipv4Addr> = std::iter::from_fn(|| ips.allocate(&mut starts)).map(Ipv4Addr::from).collect();
            granted.sort_unstable();
            granted
        };
        assert_eq!(granted("10.0.0.5/30"), [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 6)]);
        assert_eq!((granted("10.0.0.5/31").len(), granted("10.0.0.5/32").len()), (0, 0));
        assert_eq!((granted("10.0.0.0/27").len(), granted("255.255.255.255/28").len()), (30, 14));
        let dynamic = Allocator::cluster_ips(service_cidr()).allocate(&mut starts(Purpose::ClusterIp, "web"));
        assert!(dynamic.is_some_and(|ip| Ipv4Addr::from(ip) > Ipv4Addr::new(10, 96, 1, 0)));
    }

    /// Whoever changes these changes what every experiment is given.
    #[test]
    fn value_stability() {
        let port = Allocator::node_ports(NODE_PORTS).allocate(&mut starts(Purpose::NodePort, "web"));
        let ip = Allocator::cluster_ips(service_cidr()).allocate(&mut starts(Purpose::ClusterIp, "web"));
        assert_eq!((port, ip.map(Ipv4Addr::from)), (Some(32_109), Some(Ipv4Addr::new(10, 99, 152, 71))));
    }
}
