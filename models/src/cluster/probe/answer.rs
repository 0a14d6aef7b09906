//! What leaves the client and the Pod, as each of them sees it.

use super::{socket, with_port};
use crate::balance::Host;
use crate::cluster::request::Back;
use crate::cluster::{Cluster, Outcome, Request, Source};
use crate::dataplane::Packet;
use crate::explain::What;
use crate::ids::PodId;
use crate::spec::Protocol;
use std::net::IpAddr;
use svcsim_engine::SimTime;

/// A Pod that was not chosen yet.
const NONE: PodId = PodId(u32::MAX);

/// Hosts that are shown.
const SHOWN: usize = 12;

impl Cluster {
    /// The packet as the client sends it: a load balancer, not yet a Node, may be what it dials; or a Pod itself.
    pub(super) fn dialled_packet(&self, source: &Source, r: &Request) -> Packet {
        let mut packet = self.packet(source, r.client, r.connection.entry, r.connection.flow);
        let service = &self.table.services[source.service];
        let port = usize::from(source.port);
        if source.balancer.is_some()
            && let (Some(ip), Some(port)) = (service.load_balancer_ips.first(), service.ports.get(port))
        {
            (packet.dst, packet.dport) = (*ip, port.port);
        }
        if source.via.is_to_pod() && r.connection.pod != NONE {
            let pod = &self.pods[r.connection.pod];
            let dport = self.target_port(source.service, port, pod.workload).unwrap_or(packet.dport);
            (packet.dst, packet.dport) = (pod.ip, dport);
        }
        packet
    }

    /// How a client that balances chose.
    pub(super) fn balance_note(&self, source: &Source, r: &Request) -> Option<String> {
        let balance = source.clients[r.client as usize].balance.as_ref()?;
        let policy = source.balancing.as_ref().map_or("", |b| b.policy.name());
        let host = |h: &Host| format!("{} {}", self.pod_name(h.id), h.active);
        let mut hosts: Vec<String> = balance.hosts().take(SHOWN).map(host).collect();
        let known = balance.hosts().count();
        hosts.extend((known > SHOWN).then(|| "…".to_owned()));
        Some(format!(
            "The client chooses the Pod itself, by {policy}, among {} that it knows, with these requests of its own under way, this one \
             included: {}.",
            known,
            hosts.join(", ")
        ))
    }

    /// Why a connection that was there before decides nothing anew, or why it does.
    pub(super) fn reuse_note(&self, source: &Source, r: &Request) -> Option<String> {
        let udp = source.protocol == Protocol::Udp;
        match (r.fresh, udp) {
            (true, true) if !source.via.is_to_pod() && r.connection.pod != NONE => Some(format!(
                "The same UDP ports went to {} before, but the conntrack entry that said so has expired or was cleaned up: to the Node this is \
                 a new flow.",
                self.pod_name(r.connection.pod)
            )),
            (false, true) => Some(format!(
                "UDP knows no connections, but the Node does: the same ports follow the conntrack entry of the packets before, to {}, for as \
                 long as they keep coming.",
                self.pod_name(r.connection.pod)
            )),
            (false, false) => Some(format!(
                "The connection was opened before and its Pod chosen then: no rule is looked at and no Pod is chosen again, however busy {} is \
                 by now. Keep-alive balances connections, not requests.",
                self.pod_name(r.connection.pod)
            )),
            (true, _) => None,
        }
    }

    /// The sender's address as the Pod sees it.
    pub(super) fn sender_seen(&self, r: &Request) -> String {
        match (r.connection.snat, r.connection.opened) {
            (true, true) => self.node_address(r.connection.entry),
            (true, false) => "the load balancer's".to_owned(),
            (false, _) => self.sources[r.source].clients[r.client as usize].address.to_string(),
        }
    }

    /// The Pod answers, or turns the request away.
    pub(in crate::cluster) fn probe_answers(&mut self, r: &Request, result: Outcome, now: SimTime) {
        let source = &self.sources[r.source];
        let c = &r.connection;
        let dialled = self.dialled_packet(source, r);
        let pod = &self.pods[c.pod];
        let from = socket(pod.ip, self.target_port(source.service, usize::from(source.port), pod.workload).unwrap_or(0));
        let port = if c.snat { "*".to_owned() } else { dialled.sport.to_string() };
        let to = self.sender_seen(r);
        let to = if to.parse::<IpAddr>().is_ok() { with_port(&to, &port) } else { format!("{to} address") };
        let original = socket(dialled.dst, dialled.dport);
        let own = source.clients[r.client as usize].node;
        let way = match c.back {
            Back::ThroughEntry => format!("to {}, whose address the Pod takes for the sender's", self.node_name(c.entry)),
            Back::ThroughLoadBalancer => "through the load balancer".to_owned(),
            Back::Astray => "past the Node that translated the request: nobody can translate the answer back".to_owned(),
            Back::Direct if !c.opened => "straight to the client: no address was translated on the way here".to_owned(),
            Back::Direct if own == Some(c.entry) && !c.tracked => {
                "straight to the client: the address was translated in its connect() call".to_owned()
            }
            Back::Direct if own == Some(c.entry) => {
                format!("straight to the client, whose own Node holds the conntrack entry and puts {original} back as the source")
            }
            Back::Direct => format!("straight to the client: this Node puts {original} back as the source when the answer leaves"),
        };
        let packet = format!("{} {from} -> {to}", dialled.protocol);
        let place = self.pod_name(c.pod);
        let result = match result {
            Outcome::Completed if r.phase.is_handshake() => "handshake",
            Outcome::Completed if self.more_follows(r) => "flight",
            _ => result.name(),
        };
        self.note(now, now, place, What::Answers { packet, result: result.to_owned(), way }, Vec::new());
    }
}
