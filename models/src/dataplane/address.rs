//! Packets, and what their addresses mean to a Node: which Service they are for, and who sent them.

use crate::api::Service;
use crate::ids::ServiceId;
use crate::spec::{IpMode, Protocol};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_engine::IdVec;

/// The addresses of a flow's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Of the flow.
    pub protocol: Protocol,
    /// Source address.
    pub src: IpAddr,
    /// Source port.
    pub sport: u16,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub dport: u16,
}

/// Which of a Service's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// The cluster IP.
    ClusterIP,
    /// A Node's address and the node port.
    NodePort,
    /// One of the load balancer's addresses, by its place.
    LoadBalancer(u8),
    /// One of `externalIPs`, by its place.
    ExternalIP(u8),
}

/// One address and port of a Service: what IPVS calls a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualServer {
    /// The Service.
    pub service: ServiceId,
    /// Place of the port in `spec.ports`.
    pub port: u16,
    /// Which of its addresses.
    pub address: Address,
}

/// Every Service of the cluster, and whose each address is. All Nodes know it.
#[derive(Clone, Debug, Default)]
pub struct ServiceTable {
    /// The Services.
    pub services: IdVec<ServiceId, Service>,
    /// Addresses that belong to Services.
    pub service_cidr: Option<IpNet>,
    servers: BTreeMap<(IpAddr, Protocol, u16), VirtualServer>,
    node_ports: BTreeMap<(Protocol, u16), VirtualServer>,
    cluster_ips: BTreeMap<IpAddr, ServiceId>,
}

/// What a destination is to a Node that programs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A port of a Service.
    Server(VirtualServer),
    /// A live cluster IP, but not one of its ports.
    WrongPort(ServiceId),
    /// An address of the Service CIDR that no Service has.
    Unallocated,
    /// Nothing of a Service.
    Other,
}

impl ServiceTable {
    /// The table of `services`. A load balancer's addresses count in mode VIP only (KEP-1860).
    #[must_use]
    pub fn new(services: IdVec<ServiceId, Service>, service_cidr: Option<IpNet>) -> Self {
        let mut table = Self { service_cidr, ..Self::default() };
        for (id, service) in services.enumerate() {
            let vip = service.ip_mode == IpMode::Vip;
            let balanced = (0..).zip(service.load_balancer_ips.iter().filter(|_| vip)).map(|(i, ip)| (*ip, Address::LoadBalancer(i)));
            let external = (0..).zip(&service.external_ips).map(|(i, ip)| (*ip, Address::ExternalIP(i)));
            let cluster = service.cluster_ip.map(|ip| (ip, Address::ClusterIP));
            let addresses: Vec<(IpAddr, Address)> = cluster.into_iter().chain(external).chain(balanced).collect();
            if let Some(ip) = service.cluster_ip {
                table.cluster_ips.insert(ip, id);
            }
            for (port, p) in (0..).zip(&service.ports) {
                for (ip, address) in &addresses {
                    table.servers.entry((*ip, p.protocol, p.port)).or_insert(VirtualServer { service: id, port, address: *address });
                }
                if let Some(number) = p.node_port {
                    let server = VirtualServer { service: id, port, address: Address::NodePort };
                    table.node_ports.entry((p.protocol, number)).or_insert(server);
                }
            }
        }
        table.services = services;
        table
    }

    /// Whose `dst` is, where `has_node_port` says whether it is an address under which a Node serves node ports.
    #[must_use]
    pub fn find(&self, packet: &Packet, has_node_port: bool) -> Destination {
        if let Some(server) = self.servers.get(&(packet.dst, packet.protocol, packet.dport)) {
            return Destination::Server(*server);
        }
        if has_node_port && let Some(server) = self.node_ports.get(&(packet.protocol, packet.dport)) {
            return Destination::Server(*server);
        }
        match self.cluster_ips.get(&packet.dst) {
            Some(service) => Destination::WrongPort(*service),
            None if self.service_cidr.is_some_and(|cidr| cidr.contains(&packet.dst)) => Destination::Unallocated,
            None => Destination::Other,
        }
    }
}

/// Who sent a packet, as one Node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A Pod, as the local traffic detector tells it.
    Pod,
    /// This Node itself: one of its addresses, or loopback.
    Node,
    /// Any other: outside the cluster, and other Nodes.
    Outside,
}

/// How a Node tells its own addresses, and those of Pods, from others.
#[derive(Clone, Debug)]
pub struct NodeAddresses {
    /// The Node's addresses; the first is the primary one.
    pub addresses: Vec<IpAddr>,
    /// The local traffic detector's range (mode ClusterCIDR); none: it cannot tell Pods apart.
    pub pod_cidr: Option<IpNet>,
    /// Where node ports are served; none: as the data plane does by default.
    pub node_port_addresses: NodePortAddresses,
    /// kube-proxy's `localhostNodePorts`, in iptables mode.
    pub localhost_node_ports: bool,
}

/// kube-proxy's `nodePortAddresses`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// What the data plane does by itself: all of the Node's addresses, or the primary one in nftables mode.
    #[default]
    Default,
    /// The primary address.
    Primary,
    /// Addresses in these ranges.
    Ranges(Vec<IpNet>),
}

impl NodeAddresses {
    /// Who sent a packet from `src`.
    #[must_use]
    pub fn sender(&self, src: IpAddr) -> Sender {
        match self.pod_cidr.is_some_and(|cidr| cidr.contains(&src)) {
            true => Sender::Pod,
            false if src.is_loopback() || self.addresses.contains(&src) => Sender::Node,
            false => Sender::Outside,
        }
    }

    /// Whether node ports are served at `dst`, where `primary_only` is the data plane's default and `loopback` says whether
    /// it can serve them on loopback at all.
    #[must_use]
    pub fn has_node_port(&self, dst: IpAddr, primary_only: bool, loopback: bool) -> bool {
        let primary = || self.addresses.first() == Some(&dst);
        if dst.is_loopback() {
            // IPv4 only: there is no route_localnet for IPv6.
            let listed = match &self.node_port_addresses {
                NodePortAddresses::Default => !primary_only,
                NodePortAddresses::Primary => false,
                NodePortAddresses::Ranges(ranges) => ranges.iter().any(|r| r.contains(&dst)),
            };
            return dst.is_ipv4() && loopback && self.localhost_node_ports && listed;
        }
        match &self.node_port_addresses {
            NodePortAddresses::Default if primary_only => primary(),
            NodePortAddresses::Default => self.addresses.contains(&dst),
            NodePortAddresses::Primary => primary(),
            NodePortAddresses::Ranges(ranges) => self.addresses.contains(&dst) && ranges.iter().any(|r| r.contains(&dst)),
        }
    }

    /// Whether `loadBalancerSourceRanges` let a packet from `src` to a load balancer's address `dst` in: no ranges, or a
    /// range of everything, admit all; a Node inside the ranges also admits the address itself as a source, which its own
    /// packets to it carry (iptables and nftables `proxier_test.go` TestLoadBalancer).
    #[must_use]
    pub fn admits(&self, ranges: &[IpNet], src: IpAddr, dst: IpAddr) -> bool {
        let inside = |ip: &IpAddr| ranges.iter().any(|r| r.contains(ip));
        ranges.is_empty() || ranges.iter().any(|r| r.prefix_len() == 0) || inside(&src) || (src == dst && self.addresses.iter().any(inside))
    }
}
