//! Connection tracking on one Node: how many flows it holds, and which entries kube-proxy removes.
//!
//! A flow's entry is made by its first packet and kept until it has been over for a while; later packets follow it whatever
//! the rules say by then. New flows are dropped when the table is full (`nf_conntrack_core.c`), and SNATed ones when no
//! source port is left for their destination.
//!
//! Omitted: time-outs of established TCP flows (24 h), helpers, packets in state INVALID.

use super::expiry::ExpiryCount;
use crate::ids::PodId;
use crate::spec::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// Limits and time-outs of every Node's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConntrackSpec {
    /// Entries for each core of the Node (kube-proxy's `conntrack.maxPerCore`).
    pub max_per_core: u32,
    /// Entries at least (kube-proxy's `conntrack.min`).
    pub min: u32,
    /// How long an entry outlives a TCP connection (`nf_conntrack_tcp_timeout_time_wait`).
    pub tcp_time_wait: SimDuration,
    /// How long after its last packet the entry of a single exchange over UDP goes (`nf_conntrack_udp_timeout`).
    pub udp_timeout: SimDuration,
    /// And of one with more (`nf_conntrack_udp_timeout_stream`).
    pub udp_stream_timeout: SimDuration,
    /// Source ports for SNAT to one destination address, port and protocol: 1024 to 65535 (`nf_nat_core.c`).
    pub snat_ports: u32,
    /// Which stale UDP entries kube-proxy removes.
    #[serde(skip_serializing_if = "UdpCleanup::is_default")]
    pub udp_cleanup: UdpCleanup,
}

/// Which Services' stale UDP entries kube-proxy removes after a sync (`pkg/proxy/conntrack/cleanup.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UdpCleanup {
    /// All Services': up to 1.31, and since kubernetes#139629.
    #[default]
    Always,
    /// Those of Services that have a serving endpoint: the reconciler of 1.32 (kubernetes#127318), until kubernetes#139629.
    WithEndpoints,
}

impl UdpCleanup {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether entries of a Service with `serving` serving endpoints are looked at.
    #[must_use]
    pub const fn covers(self, serving: usize) -> bool {
        matches!(self, Self::Always) || serving > 0
    }
}

impl Default for ConntrackSpec {
    fn default() -> Self {
        Self {
            max_per_core: 32_768,
            min: 131_072,
            tcp_time_wait: SimDuration::from_secs(120),
            udp_timeout: SimDuration::from_secs(30),
            udp_stream_timeout: SimDuration::from_secs(120),
            snat_ports: 64_512,
            udp_cleanup: UdpCleanup::default(),
        }
    }
}

/// Why a Node cannot take a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The table holds as many entries as it may.
    Table,
    /// Every source port towards the destination is taken.
    SnatPorts,
}

/// One Node's table, by numbers.
#[derive(Clone, Debug)]
pub struct Conntrack {
    max: u32,
    snat_ports: u32,
    open: u32,
    tcp: ExpiryCount,
    udp: ExpiryCount,
    udp_streams: ExpiryCount,
    snat: BTreeMap<PodId, SnatPorts>,
    time_wait: SimDuration,
}

#[derive(Clone, Debug)]
struct SnatPorts {
    open: u32,
    closed: ExpiryCount,
}

impl Conntrack {
    /// An empty table on a Node with so many cores.
    #[must_use]
    pub fn new(spec: &ConntrackSpec, cores: u32) -> Self {
        Self {
            max: spec.max_per_core.saturating_mul(cores).max(spec.min),
            snat_ports: spec.snat_ports,
            open: 0,
            tcp: ExpiryCount::new(spec.tcp_time_wait),
            udp: ExpiryCount::new(spec.udp_timeout),
            udp_streams: ExpiryCount::new(spec.udp_stream_timeout),
            snat: BTreeMap::new(),
            time_wait: spec.tcp_time_wait,
        }
    }

    /// Entries now.
    pub fn entries(&mut self, now: SimTime) -> u32 {
        self.open + self.tcp.count(now) + self.udp.count(now) + self.udp_streams.count(now)
    }

    /// Entries at most.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }

    /// A new flow, SNATed towards a Pod or not.
    ///
    /// # Errors
    /// It is dropped, for this reason.
    pub fn open(&mut self, snat_to: Option<PodId>, now: SimTime) -> Result<(), Full> {
        if self.entries(now) >= self.max {
            return Err(Full::Table);
        }
        if let Some(pod) = snat_to {
            let ports = self.snat.entry(pod).or_insert_with(|| SnatPorts { open: 0, closed: ExpiryCount::new(self.time_wait) });
            if ports.open + ports.closed.count(now) >= self.snat_ports {
                return Err(Full::SnatPorts);
            }
            ports.open += 1;
        }
        self.open += 1;
        Ok(())
    }

    /// A flow is over; its entry stays for a while. `single` tells of UDP that it was one exchange.
    pub fn close(&mut self, protocol: Protocol, single: bool, snat_to: Option<PodId>, now: SimTime) {
        self.open = self.open.saturating_sub(1);
        match (protocol, single) {
            (Protocol::Udp, true) => self.udp.add(now),
            (Protocol::Udp, false) => self.udp_streams.add(now),
            _ => self.tcp.add(now),
        }
        if let Some(ports) = snat_to.and_then(|pod| self.snat.get_mut(&pod)) {
            ports.open = ports.open.saturating_sub(1);
            ports.closed.add(now);
        }
    }
}

/// An entry as kube-proxy sees it when it cleans up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of the flow.
    pub protocol: Protocol,
    /// Destination that the first packet had; none: some address of the Node.
    pub dst: Option<IpAddr>,
    /// Its port.
    pub dport: u16,
    /// Where replies come from: address, and port unless unknown.
    pub replies_from: (IpAddr, Option<u16>),
}

/// Whether kube-proxy deletes `entry` in the cleanup that follows a sync in which a UDP Service or endpoint changed: it is
/// UDP, for one of a Service's `addresses` and its `port`, or for its `node_port` at any address, and what answers it is no
/// *serving* endpoint, address and port alike. Policies play no part; TCP and SCTP are left alone. `serving` is none
/// if kube-proxy knows no endpoints object for the port (`pkg/proxy/conntrack/cleanup.go`).
#[must_use]
pub fn is_stale(
    entry: &Entry,
    addresses: &[IpAddr],
    port: u16,
    node_port: Option<u16>,
    serving: Option<impl Iterator<Item = (IpAddr, u16)>>,
) -> bool {
    let by_address = entry.dport == port && entry.dst.is_some_and(|dst| addresses.contains(&dst));
    let by_node_port = node_port == Some(entry.dport);
    if entry.protocol != Protocol::Udp || !(by_address || by_node_port) {
        return false;
    }
    let (ip, port) = entry.replies_from;
    serving.is_some_and(|mut endpoints| !endpoints.any(|e| Some(e) == port.map(|p| (ip, p))))
}
