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

pub use scheduler::{Scheduler, wrr_cycle};

use super::{Address, Candidates, Choice, DataPlane, Question, Refusal, RuleSet, Scope, Sender, SyncSpec, VirtualServer};
use crate::ids::PodId;
use crate::spec::{Protocol, TrafficPolicy};
use destination::Destination;
use scheduler::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// `ipvs: {scheduler: rr, order: sorted, lookup: 5us, sync: {…}, tcpInactive: 120s, udpTimeout: 300s}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "IpvsDataPlane")]
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
            order: Order::Sorted,
            lookup: SimDuration::from_micros(5),
            sync: SyncSpec {
                min_sync_period: SimDuration::ZERO,
                base: SimDuration::from_millis(20),
                per_service_port: SimDuration::from_micros(20),
                per_endpoint: SimDuration::from_micros(5),
                per_changed_endpoint: SimDuration::from_micros(50),
                full_sync_period: SimDuration::ZERO,
                full_per_endpoint: SimDuration::ZERO,
            },
            tcp_inactive: SimDuration::from_secs(120),
            udp_timeout: SimDuration::from_secs(300),
        }
    }
}

/// In which order several new endpoints are added; the last one added stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Sorted by address and port as text, the same on all Nodes (`sets.String.List`; releases up to about 1.26), so that
    /// Nodes that start together herd.
    #[default]
    Sorted,
    /// Each Node's own: that of a Go map (`sets.UnsortedList`; kube-proxy 1.30 for one).
    Arbitrary,
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
            Order::Sorted => places.sort_by_cached_key(|&place| SocketAddr::new(choice.endpoint(place).ip, choice.endpoint(place).port).to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Conditions, Endpoint, Hints};
    use crate::dataplane::Packet;
    use crate::ids::{NodeId, ServiceId};
    use svcsim_engine::random::Streams;

    const SERVER: VirtualServer = VirtualServer { service: ServiceId(0), port: 0, address: Address::ClusterIP };

    fn endpoints(pods: &[u32]) -> Vec<Endpoint> {
        let conditions = Conditions { ready: true, serving: true, terminating: false };
        let endpoint = |&n: &u32| Endpoint {
            pod: crate::ids::PodId(n),
            ip: [10, 128, 0, n as u8].into(),
            port: 80,
            node: Some(NodeId(0)),
            zone: None,
            conditions,
            hints: Hints::default(),
        };
        pods.iter().map(endpoint).collect()
    }

    /// One Node in front of Pods that come and go.
    struct Bench {
        plane: Ipvs,
        stream: Stream,
        protocol: Protocol,
        version: u64,
        pods: Vec<u32>,
    }

    impl Bench {
        fn new(scheduler: Scheduler, protocol: Protocol) -> Self {
            let plane = Ipvs::new(&Spec { scheduler, order: Order::Sorted, ..Spec::default() });
            Self { plane, stream: Streams::new(1, 0).stream(7, 0), protocol, version: 0, pods: Vec::new() }
        }

        fn set(&mut self, pods: &[u32]) {
            self.pods = pods.to_vec();
            self.version += 1;
        }

        /// A connection from a client whose address ends in `client`; the Pod it goes to.
        fn open(&mut self, client: u8, at: u64) -> Option<u32> {
            let endpoints = endpoints(&self.pods);
            let candidates: Vec<u32> = (0..endpoints.len() as u32).collect();
            let now = SimTime::from_nanos(at * 1_000_000_000);
            let (src, dst) = ([192, 0, 2, client].into(), [10, 96, 0, 10].into());
            let packet = Packet { protocol: self.protocol, src, sport: 40_000, dst, dport: 80 };
            let (version, scope, sender) = (self.version, Scope::Cluster, Sender::Pod);
            let choice = Choice { server: SERVER, sender, packet, endpoints: &endpoints, candidates: &candidates, scope, version, now };
            let place = self.plane.choose(&choice, &mut self.stream)?;
            let pod = choice.endpoint(place).pod;
            self.plane.opened(SERVER, pod, now);
            Some(pod.0)
        }

        fn close(&mut self, pod: u32, at: u64) {
            self.plane.closed(SERVER, PodId(pod), SimTime::from_nanos(at * 1_000_000_000));
        }

        /// The list from its head, with weights.
        fn list(&self) -> Vec<(u32, u32)> {
            self.plane.servers[&SERVER].list.iter().map(|d| (d.pod.0, d.weight())).collect()
        }
    }

    /// Text sorts 10.128.0.10:80 before 10.128.0.1:80; the last one added stands first.
    #[test]
    fn the_last_one_added_stands_first() {
        let mut bench = Bench::new(Scheduler::Rr, Protocol::Tcp);
        bench.set(&[1, 9, 10]);
        assert_eq!(bench.open(1, 0), Some(9));
        assert_eq!(bench.list(), [(9, 1), (1, 1), (10, 1)]);
        bench.set(&[1, 9, 10, 2]);
        assert_eq!((0..4).map(|_| bench.open(1, 0).unwrap()).collect::<Vec<_>>(), [1, 10, 2, 9], "a newcomer waits for the round's end");
    }

    #[test]
    fn each_node_may_have_its_own_order() {
        let first = |node: u64| {
            let mut bench = Bench { stream: Streams::new(1, 0).stream(7, node), ..Bench::new(Scheduler::Rr, Protocol::Tcp) };
            bench.plane = Ipvs::new(&Spec { order: Order::Arbitrary, ..Spec::default() });
            bench.set(&[1, 2, 3, 4]);
            bench.open(1, 0).unwrap()
        };
        let mut firsts = [0u32; 4];
        (0..1_000).for_each(|node| firsts[first(node) as usize - 1] += 1);
        assert!(firsts.iter().all(|n| n.abs_diff(250) < 60), "{firsts:?}");
    }

    #[test]
    fn a_pod_that_leaves_drains_until_the_minute_after_its_last_connection_is_forgotten() {
        let mut bench = Bench::new(Scheduler::Rr, Protocol::Tcp);
        bench.set(&[1, 2, 3]);
        assert_eq!((0..2).map(|_| bench.open(1, 0).unwrap()).collect::<Vec<_>>(), [3, 2]);
        bench.set(&[2]);
        assert_eq!((bench.open(1, 1), bench.list()), (Some(2), vec![(3, 0), (2, 1)]), "1 had no connection and is gone at once");
        bench.close(3, 10);
        assert_eq!((bench.open(1, 119), bench.list()), (Some(2), vec![(3, 0), (2, 1)]), "inactive for two minutes");
        bench.open(1, 179);
        assert_eq!(bench.list(), [(3, 0), (2, 1)], "over by 132 s, but looked after only at 180 s");
        bench.open(1, 181);
        assert_eq!(bench.list(), [(2, 1)]);
    }

    #[test]
    fn one_that_comes_back_is_added_again_with_its_connections() {
        let mut bench = Bench::new(Scheduler::Lc, Protocol::Tcp);
        bench.set(&[1, 2]);
        assert_eq!((bench.open(1, 0), bench.open(1, 0), bench.open(1, 0)), (Some(2), Some(1), Some(2)));
        bench.set(&[2]);
        bench.open(1, 1);
        assert_eq!(bench.list(), [(2, 1), (1, 0)]);
        bench.set(&[1, 2]);
        assert_eq!((bench.open(1, 2), bench.list()), (Some(1), vec![(1, 1), (2, 1)]), "2 has three connections, 1 still has one");
        assert_eq!((bench.open(1, 2), bench.open(1, 2)), (Some(1), Some(1)));
    }

    #[test]
    fn udp_and_sctp_do_not_drain() {
        for protocol in [Protocol::Udp, Protocol::Sctp] {
            let mut bench = Bench::new(Scheduler::Rr, protocol);
            bench.set(&[1, 2]);
            bench.open(1, 0);
            bench.set(&[1]);
            bench.open(1, 0);
            bench.close(2, 1);
            assert_eq!(bench.list(), [(1, 1)], "{protocol}");
        }
    }

    /// Nobody sees the end of a UDP flow: it counts as active for five minutes.
    #[test]
    fn a_udp_flow_stays_active_for_a_while() {
        let mut bench = Bench::new(Scheduler::Sed, Protocol::Udp);
        bench.set(&[1, 2]);
        assert_eq!(bench.open(1, 0), Some(2));
        bench.close(2, 0);
        assert_eq!(bench.open(1, 299), Some(1));
        bench.close(1, 299);
        assert_eq!(bench.open(1, 320), Some(2));
    }

    #[test]
    fn the_source_hash_fails_while_its_pod_drains() {
        let mut bench = Bench::new(Scheduler::Sh, Protocol::Tcp);
        bench.set(&[1, 2, 3]);
        let pods: Vec<u32> = (0..=255).map(|client| bench.open(client, 0).unwrap()).collect();
        assert!((1..=3).all(|pod| pods.iter().filter(|p| **p == pod).count() > 50));
        bench.set(&[1, 3]);
        let draining: Vec<Option<u32>> = (0..=255).map(|client| bench.open(client, 1)).collect();
        assert!(pods.iter().zip(&draining).all(|(before, now)| *now == Some(*before).filter(|pod| *pod != 2)));
        (0..256).for_each(|_| bench.close(2, 1));
        assert!((0..=255).all(|client| bench.open(client, 200).is_some()), "dealt out anew without it");
    }

    #[test]
    fn no_endpoints_at_all_is_a_failure_and_not_a_panic() {
        for word in ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"] {
            let scheduler: Scheduler = serde_json::from_str(&format!("\"{word}\"")).expect("a scheduler");
            let mut bench = Bench::new(scheduler, Protocol::Tcp);
            bench.set(&[]);
            assert_eq!(bench.open(1, 0), None, "{word}");
            bench.set(&[1, 2]);
            assert!(bench.open(1, 0).is_some(), "{word}");
            bench.set(&[]);
            assert_eq!(bench.open(1, 0), None, "{word}");
            bench.set(&[2, 1]);
            assert!(bench.open(1, 0).is_some(), "{word}");
        }
        assert!(serde_json::from_str::<Scheduler>("\"fo\"").is_err());
    }

    /// The table of [`Ipvs::candidates`], row by row.
    #[test]
    fn candidates_by_policy_sender_and_detector() {
        use crate::api::{Categories, Service};
        use crate::spec::ServiceSpec;
        use {Address::ClusterIP, Sender as S, TrafficPolicy as P};
        let plane = Ipvs::new(&Spec::default());
        let found = |address, policy, local: &[u32], sender, detects_pods| {
            let spec = ServiceSpec { internal_traffic_policy: policy, external_traffic_policy: policy, ..ServiceSpec::default() };
            let service = Service::new(spec, Vec::new());
            let categories = Categories { cluster: Some(&[1, 2]), local: Some(local), has_any: true };
            let q = Question { service: &service, address, sender, categories, unhinted: &[], detects_pods, masquerade_all: false };
            let found = plane.candidates(&q);
            (found.list.to_vec(), found.snat)
        };
        for sender in [S::Pod, S::Node, S::Outside] {
            let masqueraded = sender != S::Pod;
            assert_eq!(found(ClusterIP, P::Cluster, &[2], sender, true), (vec![1, 2], masqueraded));
            assert_eq!(found(ClusterIP, P::Local, &[2], sender, true), (vec![2], masqueraded));
            assert_eq!(found(ClusterIP, P::Local, &[], sender, true), (vec![1, 2], masqueraded));
            assert_eq!(found(ClusterIP, P::Cluster, &[], sender, false).1, sender == S::Node);
            assert_eq!(found(Address::NodePort, P::Cluster, &[2], sender, true), (vec![1, 2], true));
            assert_eq!(found(Address::NodePort, P::Local, &[2], sender, true), (vec![2], false));
            assert_eq!(found(Address::NodePort, P::Local, &[], sender, true), (vec![1, 2], false));
        }
    }
}
