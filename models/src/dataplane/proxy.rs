//! [`Proxy`]: the data plane of one Node.

use super::address::{Destination, NodeAddresses, NodePortAddresses, Packet, Sender, ServiceTable, VirtualServer};
use super::affinity::Affinity;
use super::views::Views;
use super::{AnyDataPlane, Candidates, Choice, DataPlane, DataPlaneSpec, EndpointTable, Question, RuleSet};
use crate::api::{EndpointSet, PortEndpoints, Service, Vantage};
use crate::ids::{NodeId, PodId, ServiceId};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// What of kube-proxy's configuration all data planes share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProxySpec {
    /// `masqueradeAll`: traffic to cluster IPs is SNATed, that of Pods too.
    pub masquerade_all: bool,
    /// `detectLocalMode: ClusterCIDR`; false: no detector, so that Pods count as outside.
    pub detect_local: bool,
    /// `localhostNodePorts`, in iptables mode.
    pub localhost_node_ports: bool,
    /// `nodePortAddresses`: absent as the data plane does by default, else ranges; `[primary]` is the primary address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node_port_addresses: Vec<String>,
    /// Whether hints to Nodes are understood (Kubernetes 1.35 and later).
    pub node_hints: bool,
    /// `net.ipv4.icmp_ratelimit` of Nodes: between two rejections that one address is told of, after a burst; 0s: no such limit.
    pub icmp_ratelimit: SimDuration,
}

impl Default for ProxySpec {
    fn default() -> Self {
        let node_port_addresses = Vec::new();
        let icmp_ratelimit = SimDuration::from_secs(1);
        Self {
            masquerade_all: false,
            detect_local: true,
            localhost_node_ports: true,
            node_port_addresses,
            node_hints: true,
            icmp_ratelimit,
        }
    }
}

impl ProxySpec {
    /// `nodePortAddresses`, read.
    ///
    /// # Errors
    /// What is no range.
    pub fn node_ports(&self) -> Result<NodePortAddresses, String> {
        match self.node_port_addresses.as_slice() {
            [] => Ok(NodePortAddresses::Default),
            [one] if one == "primary" => Ok(NodePortAddresses::Primary),
            ranges => {
                let read = |r: &String| r.trim().parse::<IpNet>().map_err(|_| format!("`{r}` is no range of addresses"));
                ranges.iter().map(read).collect::<Result<_, _>>().map(NodePortAddresses::Ranges)
            }
        }
    }
}

/// How a packet meets a Node's rules, before any endpoint is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// It is for a Service.
    Server(VirtualServer, Sender),
    /// It is turned away.
    Refused(Refusal),
    /// No rule: it goes on as ordinary traffic.
    NoMatch,
}

/// How a packet is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// ICMP port unreachable: the client sees "connection refused" at once.
    Reject,
    /// Silence: the client waits until it gives up.
    Drop,
}

/// What a Node does with the first packet of a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Translated.
    Forward(Forward),
    /// Turned away.
    Refuse(Refusal),
}

/// Where a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The chosen Pod.
    pub pod: PodId,
    /// Whether the client's address is lost: replies come back through this Node.
    pub snat: bool,
    /// Whether the Pod's Node answers the client directly, under the address dialled (direct server return).
    pub direct: bool,
    /// The time that finding it took.
    pub lookup: SimDuration,
}

/// The data plane of one Node: its own state and draws, and its own, possibly stale, view of every Service.
#[derive(Clone, Debug)]
pub struct Proxy {
    addresses: NodeAddresses,
    rules: Rules,
    plane: AnyDataPlane,
    stream: Stream,
    views: Views,
    affinity: Affinity,
    /// Syncs so far: with each, the order of Services changes.
    syncs: u32,
}

impl Proxy {
    /// The proxy of a Node, which has seen no Service yet.
    #[must_use]
    pub fn new(vantage: Vantage, addresses: NodeAddresses, spec: &ProxySpec, plane: &DataPlaneSpec, stream: Stream) -> Self {
        let vantage = Vantage { node_hints: vantage.node_hints && spec.node_hints, ..vantage };
        let rules = Rules { vantage, detects_pods: addresses.pod_cidr.is_some(), masquerade_all: spec.masquerade_all };
        Self { addresses, rules, plane: plane.build(), stream, views: Views::default(), affinity: Affinity::default(), syncs: 0 }
    }

    /// What all Nodes have in common is now `table`. The Node keeps to itself only what it knows otherwise; at first it knows
    /// nothing else.
    pub fn share(&mut self, table: &Rc<EndpointTable>) {
        self.views.share(table);
    }

    /// Services of which the Node's view is its own: what its views take memory for.
    #[must_use]
    pub fn own_views(&self) -> usize {
        self.views.own()
    }

    /// The Node's addresses.
    #[must_use]
    pub fn addresses(&self) -> &NodeAddresses {
        &self.addresses
    }

    /// From where it looks at endpoints.
    #[must_use]
    pub fn vantage(&self) -> Vantage {
        self.rules.vantage
    }

    /// How it decides.
    #[must_use]
    pub fn plane(&self) -> &dyn DataPlane {
        self.plane.get()
    }

    /// Whose `packet` is, and who sent it.
    #[must_use]
    pub fn approach(&self, table: &ServiceTable, packet: &Packet) -> Approach {
        let plane = self.plane.get();
        if !plane.has_services() {
            return Approach::NoMatch;
        }
        let node_port = self.addresses.has_node_port(packet.dst, plane.node_ports_at_primary_only(), plane.serves_loopback());
        let server = match table.find(packet, node_port) {
            Destination::Server(server) => server,
            Destination::WrongPort(_) => return plane.wrong_port().map_or(Approach::NoMatch, Approach::Refused),
            Destination::Unallocated => return plane.unallocated().map_or(Approach::NoMatch, Approach::Refused),
            Destination::Other => return Approach::NoMatch,
        };
        let sender = self.addresses.sender(packet.src);
        if let Some(refusal) = plane.refuses(server.address, sender) {
            return Approach::Refused(refusal);
        }
        let ranges = &table.services[server.service].load_balancer_source_ranges;
        let guarded = matches!(server.address, super::Address::LoadBalancer(_)) && (sender == Sender::Outside || plane.guards_inside());
        if guarded && !self.addresses.admits(ranges, packet.src, packet.dst) {
            // Nothing anywhere is rejected before the firewall chain is looked at.
            let policies = table.services[server.service].policies();
            let any = self.endpoints(server).is_some_and(|e| e.categorize(self.rules.vantage, policies).has_any);
            return Approach::Refused(if any { Refusal::Drop } else { plane.nothing(false) });
        }
        Approach::Server(server, sender)
    }

    /// The endpoints of a virtual server as this Node sees them; none if it never heard of them.
    #[must_use]
    pub fn endpoints(&self, server: VirtualServer) -> Option<&PortEndpoints> {
        self.views.of(server.service).ports.get(usize::from(server.port))
    }

    /// The endpoints that may be chosen for a packet from `sender` to `server`.
    ///
    /// # Errors
    /// It is turned away.
    pub fn candidates<'a>(&'a self, table: &'a ServiceTable, server: VirtualServer, sender: Sender) -> Result<Candidates<'a>, Refusal> {
        self.rules.candidates(self.plane.get(), self.views.of(server.service), &table.services[server.service], server, sender)
    }

    /// Decides on the first packet of a new flow to `server`. Later packets of the flow follow its conntrack entry and never
    /// come here.
    pub fn decide(
        &mut self,
        table: &ServiceTable,
        rule_set: &RuleSet,
        (server, sender): (VirtualServer, Sender),
        packet: &Packet,
        now: SimTime,
    ) -> Verdict {
        let service = &table.services[server.service];
        let view = self.views.of(server.service);
        let candidates = match self.rules.candidates(self.plane.get(), view, service, server, sender) {
            Ok(candidates) => candidates,
            Err(refusal) => return Verdict::Refuse(refusal),
        };
        let endpoints = &view.ports[usize::from(server.port)].endpoints;
        let Candidates { list, scope, snat } = candidates;
        let choice = Choice { server, sender, packet: *packet, endpoints, candidates: list, scope, version: view.version, now };
        let plane = self.plane.get_mut();
        let bound = service.session_affinity.and_then(|timeout| {
            let pod = self.affinity.of(plane.affinity_scope(server), packet.src, timeout, now)?;
            list.iter().position(|&i| endpoints[i as usize].pod == pod)
        });
        let Some(place) = bound.or_else(|| plane.choose(&choice, &mut self.stream)) else {
            return Verdict::Refuse(Refusal::Reject);
        };
        let chosen = choice.endpoint(place);
        if service.session_affinity.is_some() {
            self.affinity.refresh(plane.affinity_scope(server), packet.src, chosen.pod, plane.affinity_list(), now);
        }
        plane.opened(server, chosen.pod, now);
        let position = shuffled(self.rules.vantage.node, server, self.syncs);
        let lookup = plane.lookup(rule_set, server.address, position, place);
        // A Pod that reaches itself through its Service would answer itself past the translation.
        let hairpin = chosen.ip == packet.src;
        let mut forward = Forward { pod: chosen.pod, snat: snat || hairpin, direct: false, lookup };
        let local = chosen.node == Some(self.rules.vantage.node);
        plane.finish(packet, local, sender != Sender::Outside, &mut forward);
        Verdict::Forward(forward)
    }

    /// In words, how the data plane chooses among `candidates`, and by what draw.
    #[must_use]
    pub fn explain(&self, server: VirtualServer, candidates: Candidates<'_>, packet: &Packet, now: SimTime) -> String {
        let view = self.views.of(server.service);
        let endpoints = &view.ports[usize::from(server.port)].endpoints;
        let Candidates { list, scope, .. } = candidates;
        let sender = self.addresses.sender(packet.src);
        let choice = Choice { server, sender, packet: *packet, endpoints, candidates: list, scope, version: view.version, now };
        self.plane.get().explain(&choice, self.stream.clone())
    }

    /// The Pod that session affinity binds the sender of `packet` to, whether or not it is still a candidate.
    #[must_use]
    pub fn bound(&self, service: &Service, server: VirtualServer, packet: &Packet, now: SimTime) -> Option<PodId> {
        self.affinity.of(self.plane.get().affinity_scope(server), packet.src, service.session_affinity?, now)
    }

    /// A connection through `server` to `pod` is over.
    pub fn closed(&mut self, server: VirtualServer, pod: PodId, now: SimTime) {
        self.plane.get_mut().closed(server, pod, now);
    }

    /// The endpoints of `service` as this Node sees them now.
    #[must_use]
    pub fn view(&self, service: ServiceId) -> &EndpointSet {
        self.views.of(service)
    }

    /// The same, to keep.
    #[must_use]
    pub fn known(&self, service: ServiceId) -> &Rc<EndpointSet> {
        self.views.of(service)
    }

    /// The rules are written anew with `sets`; one older than the view (it was delayed longer) changes nothing. Returns
    /// whether the view changed.
    pub fn learn(&mut self, service: ServiceId, set: &Rc<EndpointSet>) -> bool {
        self.views.learn(service, set)
    }

    /// A sync has written the rules: Services stand in a new order.
    pub fn synced(&mut self) {
        self.syncs += 1;
    }
}

/// What the candidates at a Node depend on besides its view.
#[derive(Clone, Debug)]
struct Rules {
    vantage: Vantage,
    detects_pods: bool,
    masquerade_all: bool,
}

impl Rules {
    #[inline]
    fn candidates<'a>(
        &self,
        plane: &dyn DataPlane,
        view: &'a EndpointSet,
        service: &'a Service,
        server: VirtualServer,
        sender: Sender,
    ) -> Result<Candidates<'a>, Refusal> {
        let Some(port) = view.ports.get(usize::from(server.port)) else { return Err(plane.nothing(false)) };
        let categories = port.categorize(self.vantage, service.policies());
        let candidates = plane.candidates(&Question {
            service,
            address: server.address,
            sender,
            categories,
            unhinted: port.unhinted(),
            detects_pods: self.detects_pods,
            masquerade_all: self.masquerade_all,
        });
        if candidates.list.is_empty() { Err(plane.nothing(categories.has_any)) } else { Ok(candidates) }
    }
}

/// Where a Service stands in an order that is arbitrary and new with each sync, as the iteration over a Go map is: 32 bits,
/// uniform (SplitMix64, Steele, Lea and Flood 2014).
fn shuffled(node: NodeId, server: VirtualServer, syncs: u32) -> u32 {
    let mut z = (u64::from(node.0) << 32 | u64::from(syncs)).wrapping_add(u64::from(server.service.0) << 16 ^ u64::from(server.port));
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as u32
}
