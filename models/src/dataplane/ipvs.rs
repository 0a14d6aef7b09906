//! kube-proxy in IPVS mode: the kernel's load balancer, with one virtual server for each address and port of a Service.
//!
//! Each Node has its own virtual servers, each with its own scheduler state and its own count of connections, so "least
//! connections" means those made through this Node (KEP-5495). All real servers have weight 1 (`pkg/proxy/ipvs/proxier.go`
//! `syncEndpoint`). The kernel puts a new one at the head of the list (`__ip_vs_update_dest` in `ip_vs_ctl.c`), and
//! rotations start at the head. kube-proxy adds those that are new in the order of a Go map, so each Node has its own order;
//! older releases sorted them, so all Nodes began with the same Pod ([`Order`]).
//!
//! One that leaves gets weight 0, so no new connections, and is deleted when its connections are over, which is looked
//! after every minute; without connections, and under UDP and SCTP, it is deleted at once (`graceful_termination.go`). One
//! that comes back in between is deleted and added again, and the kernel remembers its connections.
//!
//! What differs from iptables mode besides: policy Local without a local endpoint falls back to the cluster list; with
//! one, Pods and the Node itself get the local list too (no short circuit); nothing is dropped, since a virtual server
//! without destinations is answered with ICMP port unreachable (`ip_vs_core.c`), as is a wrong port of a Service's address,
//! which is bound to the device `kube-ipvs0` (`KUBE-IPVS-FILTER`). Session affinity is by virtual server (persistence
//! templates, `ip_vs_core.c`).
//!
//! Assumptions: a Go map's order is uniform; syncs change the list when the next connection comes; the minute's check falls
//! on whole minutes of the simulation; all node addresses of a node port are one virtual server.
//!
//! Omitted: the SYN and FIN states' own times, `ip_vs_proto_sctp.c`'s times (as TCP), connection thresholds, persistence
//! netmasks.

mod destination;
mod scheduler;

pub use scheduler::Scheduler;

use super::{Address, Candidates, Choice, DataPlane, Question, Refusal, RuleSet, Scope, Sender, SyncSpec, VirtualServer};
use crate::ids::PodId;
use crate::spec::{Protocol, TrafficPolicy};
use destination::Destination;
use scheduler::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// `ipvs: {scheduler: rr, order: arbitrary, lookup: 5us, sync: {…}, tcpInactive: 120s, udpTimeout: 300s}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spec {
    /// Who gets the next connection.
    pub scheduler: Scheduler,
    /// In which order kube-proxy adds several new endpoints.
    pub order: Order,
    /// Time that a first packet takes more than a later one. None is published but "close to nftables, slightly slower": an
    /// assumption.
    pub lookup: SimDuration,
    /// How long changes take: every sync walks all Services and endpoints and compares them with what netlink lists. The
    /// figures are an assumption; none are published. The minimum period is 0.
    pub sync: SyncSpec,
    /// How long a closed TCP connection counts as inactive (`IP_VS_TCP_S_TIME_WAIT` in `ip_vs_proto_tcp.c`).
    pub tcp_inactive: SimDuration,
    /// How long a UDP flow counts as active after its last packet (`IP_VS_UDP_S_NORMAL` in `ip_vs_proto_udp.c`).
    pub udp_timeout: SimDuration,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            scheduler: Scheduler::Rr,
            order: Order::Arbitrary,
            lookup: SimDuration::from_micros(5),
            sync: SyncSpec {
                min_sync_period: SimDuration::ZERO,
                base: SimDuration::from_millis(20),
                per_service_port: SimDuration::from_micros(20),
                per_endpoint: SimDuration::from_micros(5),
                per_changed_endpoint: SimDuration::from_micros(50),
            },
            tcp_inactive: SimDuration::from_secs(120),
            udp_timeout: SimDuration::from_secs(300),
        }
    }
}

/// In which order several new endpoints are added; the last one added stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Each Node's own: that of a Go map (`sets.UnsortedList`; kube-proxy 1.30 for one).
    #[default]
    Arbitrary,
    /// Sorted by address and port as text, the same on all Nodes (`sets.String.List`; releases up to about 1.26).
    Sorted,
}

/// One Node's IPVS.
#[derive(Clone, Debug)]
pub struct Ipvs {
    spec: Spec,
    servers: BTreeMap<VirtualServer, Server>,
}

impl Ipvs {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { spec: spec.clone(), servers: BTreeMap::new() }
    }

    fn schedule(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<&Destination> {
        let server = self.servers.entry(choice.server).or_insert_with(|| Server::new(self.spec.scheduler, choice.packet.protocol));
        server.check(choice.now);
        server.sync(&self.spec, choice, stream);
        let at = server.state.choose(&mut server.list, &choice.packet, choice.now)?;
        server.list.get(at)
    }
}

impl DataPlane for Ipvs {
    fn wrong_port(&self) -> Option<Refusal> {
        Some(Refusal::Reject)
    }

    /// | destination | policy | local endpoints | list | SNAT |
    /// |---|---|---|---|---|
    /// | cluster IP | internal Cluster | | cluster | all but Pods; without a detector, this Node's |
    /// | cluster IP | internal Local | some / none | local / cluster, if it exists | the same |
    /// | external | external Cluster | | cluster | yes |
    /// | external | external Local | some / none | local / cluster | no: a client outside discards the reply |
    fn candidates<'a>(&self, q: &Question<'a>) -> Candidates<'a> {
        let local = q.policy() == TrafficPolicy::Local && !q.local().is_empty();
        let (list, scope) = if local { (q.local(), Scope::Local) } else { (q.cluster(), Scope::Cluster) };
        let snat = match q.address {
            // Without a detector, by a source that is a Service's address: what the kernel picks for this Node's own packets.
            Address::ClusterIP => q.masquerades_cluster_ip() || (!q.detects_pods && q.sender == Sender::Node),
            _ => q.policy() == TrafficPolicy::Cluster,
        };
        Candidates { list, scope, snat }
    }

    fn nothing(&self, _: bool) -> Refusal {
        Refusal::Reject
    }

    fn choose(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<usize> {
        self.schedule(choice, stream).map(|d| d.place)
    }

    fn explain(&self, choice: &Choice<'_>, mut stream: Stream) -> String {
        let mut twin = self.clone();
        let chosen = twin.schedule(choice, &mut stream).map(|d| format!("{}:{}", d.ip, d.port));
        let rule = self.spec.scheduler.rule();
        let Some(server) = twin.servers.get_mut(&choice.server) else { return rule.to_owned() };
        let loads = server.list.iter_mut().take(8).map(|d| {
            let (weight, load) = (d.weight(), d.load(choice.now));
            format!("{}:{} (weight {weight}, active {}, inactive {})", d.ip, d.port, load.active, load.inactive)
        });
        let loads = loads.collect::<Vec<_>>().join(", ");
        let more = if server.list.len() > 8 { ", …" } else { "" };
        let chosen = chosen.map_or_else(|| "no destination: refused".to_owned(), |to| format!("to {to}"));
        format!("{rule}; this Node's list: {loads}{more}; {chosen}")
    }

    fn opened(&mut self, server: VirtualServer, pod: PodId, now: SimTime) {
        if let Some(server) = self.servers.get_mut(&server) {
            server.check(now);
            server.list.iter_mut().filter(|d| d.pod == pod).for_each(Destination::opened);
        }
    }

    fn closed(&mut self, server: VirtualServer, pod: PodId, now: SimTime) {
        if let Some(server) = self.servers.get_mut(&server) {
            server.check(now);
            server.list.iter_mut().filter(|d| d.pod == pod).for_each(|d| d.closed(now));
        }
    }

    fn affinity_scope(&self, server: VirtualServer) -> VirtualServer {
        server
    }

    fn lookup(&self, _: &RuleSet, _: Address, _: u32, _: usize) -> SimDuration {
        self.spec.lookup
    }

    fn sync(&self) -> &SyncSpec {
        &self.spec.sync
    }
}

/// How often destinations that drain are looked at (`rsCheckDeleteInterval`).
const CHECK: SimDuration = SimDuration::from_secs(60);

/// One virtual server.
#[derive(Clone, Debug)]
struct Server {
    protocol: Protocol,
    /// From the head of the kernel's list.
    list: Vec<Destination>,
    state: State,
    /// The candidates that the list follows.
    follows: Option<(u64, Scope)>,
    /// Checks so far.
    checks: u64,
}

impl Server {
    fn new(scheduler: Scheduler, protocol: Protocol) -> Self {
        Self { protocol, list: Vec::new(), state: scheduler.state(), follows: None, checks: 0 }
    }

    /// The list follows the candidates: those that are new come first, those that are gone drain.
    fn sync(&mut self, spec: &Spec, choice: &Choice<'_>, stream: &mut Stream) {
        if self.follows.replace((choice.version, choice.scope)) == Some((choice.version, choice.scope)) {
            return;
        }
        let mut wanted: BTreeMap<PodId, usize> = (0..choice.candidates.len()).map(|place| (choice.endpoint(place).pod, place)).collect();
        let mut back: BTreeMap<PodId, Destination> = BTreeMap::new();
        let mut gone: Vec<PodId> = Vec::new();
        for at in (0..self.list.len()).rev() {
            let d = &mut self.list[at];
            match wanted.get(&d.pod) {
                Some(_) if d.draining => {
                    let d = self.delete(at);
                    back.insert(d.pod, d);
                }
                Some(place) => {
                    d.place = *place;
                    let pod = d.pod;
                    wanted.remove(&pod);
                }
                None => gone.push(d.pod),
            }
        }
        self.add(spec, choice, wanted, back, stream);
        gone.sort_unstable();
        for at in (0..self.list.len()).rev() {
            if gone.binary_search(&self.list[at].pod).is_ok() {
                self.retire(at, choice.now);
            }
        }
    }

    /// What is left of `wanted` is added, each before all others.
    fn add(
        &mut self,
        spec: &Spec,
        choice: &Choice<'_>,
        wanted: BTreeMap<PodId, usize>,
        mut back: BTreeMap<PodId, Destination>,
        stream: &mut Stream,
    ) {
        let udp = self.protocol == Protocol::Udp;
        let life = if udp { spec.udp_timeout } else { spec.tcp_inactive };
        let mut places: Vec<usize> = wanted.into_values().collect();
        places.sort_unstable();
        match spec.order {
            Order::Arbitrary => shuffle(&mut places, stream),
            Order::Sorted => places.sort_by_cached_key(|&place| format!("{}:{}", choice.endpoint(place).ip, choice.endpoint(place).port)),
        }
        let added = places.len();
        let new = places.into_iter().rev().map(|place| {
            let e = choice.endpoint(place);
            let mut d = back.remove(&e.pod).unwrap_or_else(|| Destination::new(e.pod, (e.ip, e.port), life, udp));
            (d.draining, d.place) = (false, place);
            d
        });
        self.list.splice(0..0, new);
        self.state.grown(added, &self.list);
    }

    /// No new connections to the destination at `at`.
    fn retire(&mut self, at: usize, now: SimTime) {
        if self.protocol != Protocol::Tcp || self.list[at].is_idle(now) {
            self.delete(at);
        } else if !self.list[at].draining {
            self.list[at].draining = true;
            self.state.grown(0, &self.list);
        }
    }

    fn delete(&mut self, at: usize) -> Destination {
        let gone = self.list.remove(at);
        self.state.deleted(at, &self.list);
        gone
    }

    /// Deletes what drained by the last whole minute. Everything that happens here comes through this first, so nothing has
    /// changed since that minute.
    fn check(&mut self, now: SimTime) {
        let checks = now.as_nanos() / CHECK.as_nanos();
        if checks == self.checks {
            return;
        }
        self.checks = checks;
        let at_check = SimTime::from_nanos(checks * CHECK.as_nanos());
        for at in (0..self.list.len()).rev() {
            if self.list[at].draining && self.list[at].is_idle(at_check) {
                self.delete(at);
            }
        }
    }
}

/// A uniform order (Fisher and Yates).
fn shuffle(places: &mut [usize], stream: &mut Stream) {
    for i in (1..places.len()).rev() {
        places.swap(i, stream.below(i as u32 + 1) as usize);
    }
}
