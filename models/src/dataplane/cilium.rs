//! Cilium in place of kube-proxy: eBPF programs at sockets for clients in the cluster, at network devices for others.
//!
//! *East-west*, a Pod or the Node itself dials: the program in `connect()` puts a backend's address in place of the
//! Service's (`bpf/bpf_sock.c`), chosen at random whatever the algorithm, so the connection is like one to the Pod: no
//! SNAT, no conntrack entry, replies straight back. All addresses of a Service lead to its whole cluster list, policy
//! external Local or not, and source ranges do not count (kubeproxy-free guide); internal Local holds.
//!
//! *North-south*, others dial a node port or an outer address: the entry Node picks slot `prandom mod n`
//! (`bpf/lib/lb.h`), or looks a hash of the flow up in a Maglev table that is the same on all Nodes
//! (`pkg/maglev/maglev.go`). The hash leaves the destination's address out (`bpf/lib/hash.h`), so it does not matter at
//! which Node a flow enters. A Pod on the entry Node sees the client's address; one elsewhere that of the entry Node, or,
//! with direct server return, the client's (`bpf/lib/nodeport.h`). Cluster IPs are dropped from outside
//! (`DROP_IS_CLUSTER_IP`).
//!
//! Terminating backends get new flows only when no active one is left in their list, as in kube-proxy
//! (`pkg/loadbalancer/reconciler/bpf_reconciler.go`, KEP-1669). Without any backend the answer is ICMP, or an error of
//! `connect()` (`--service-no-backend-response=reject`). Session affinity is by Service address and port; the key of a
//! client in the cluster, its network namespace, is its address here.
//!
//! Assumptions: a little-endian machine; hints are all or nothing as in kube-proxy, if heeded at all.
//!
//! Omitted: XDP, health checks of backends, weights, `lbExternalClusterIP`, annotations by Service, DSR's encapsulation and
//! its larger packets, node ports of other Nodes translated at the socket (the packet visits the Node dialled).

use super::{Address, Candidates, Choice, DataPlane, Forward, Packet, Question, Refusal, RuleSet, Scope, Sender, SyncSpec, VirtualServer};
use crate::maglev::{Backend, CILIUM_SEED, SIZES, Table, TableSize};
use crate::spec::{Protocol, TrafficPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `cilium: {algorithm: random, tableSize: 16381, mode: snat, serviceTopology: false, …}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CiliumDataPlane")]
pub struct Spec {
    /// `loadBalancer.algorithm`, for clients outside.
    pub algorithm: Algorithm,
    /// `maglev.tableSize`: one of [`SIZES`].
    #[serde(deserialize_with = "allowed_size")]
    pub table_size: u32,
    /// `loadBalancer.mode`.
    pub mode: Mode,
    /// `loadBalancer.serviceTopology`: whether hints are heeded.
    pub service_topology: bool,
    /// Time that a first packet from outside takes more than a later one: one hash lookup. An assumption.
    pub lookup: SimDuration,
    /// Time that the translation in `connect()` takes. An assumption.
    pub socket_lookup: SimDuration,
    /// How long changes take: each is written as it comes, in proportion to what changed. The figures are an assumption.
    pub sync: SyncSpec,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Random,
            table_size: TableSize::CILIUM.get(),
            mode: Mode::Snat,
            service_topology: false,
            lookup: SimDuration::from_micros(2),
            socket_lookup: SimDuration::from_micros(1),
            sync: SyncSpec {
                min_sync_period: SimDuration::ZERO,
                base: SimDuration::from_millis(1),
                per_service_port: SimDuration::ZERO,
                per_endpoint: SimDuration::ZERO,
                per_changed_endpoint: SimDuration::from_micros(20),
                full_sync_period: SimDuration::ZERO,
                full_per_endpoint: SimDuration::ZERO,
            },
        }
    }
}

fn allowed_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let size = u32::deserialize(deserializer)?;
    let allowed = || format!("{size} is no size of a Maglev table: give one of {SIZES:?}");
    SIZES.contains(&size).then_some(size).ok_or_else(|| serde::de::Error::custom(allowed()))
}

/// How a backend is chosen for a client outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CiliumAlgorithm")]
pub enum Algorithm {
    /// Uniformly, each flow and Node by itself.
    #[default]
    Random,
    /// By consistent hashing of the flow, the same on all Nodes.
    Maglev,
}

/// How packets from outside reach a Pod on another Node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Under the entry Node's address: replies come back through it.
    #[default]
    Snat,
    /// Under the client's: the Pod's Node answers directly (direct server return).
    Dsr,
    /// TCP as `dsr`, the rest as `snat`.
    Hybrid,
}

/// One Node's Cilium.
#[derive(Clone, Debug)]
pub struct Cilium {
    spec: Spec,
    size: TableSize,
    /// One for each Service port and list of endpoints: its addresses share their backends.
    tables: BTreeMap<(VirtualServer, Scope), Lookup>,
}

/// A Maglev table for one version of the endpoints.
#[derive(Clone, Debug)]
struct Lookup {
    version: u64,
    table: Table,
    /// Places among the candidates, in the table's order.
    places: Vec<usize>,
}

impl Cilium {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { spec: spec.clone(), size: TableSize::new(spec.table_size).unwrap_or(TableSize::CILIUM), tables: BTreeMap::new() }
    }

    fn uses_maglev(&self, choice: &Choice<'_>) -> bool {
        self.spec.algorithm == Algorithm::Maglev && choice.sender == Sender::Outside
    }
}

impl Lookup {
    /// Backends take turns in the order of their names.
    fn build(choice: &Choice<'_>, size: TableSize) -> Self {
        let name = |place: usize| SocketAddr::new(choice.endpoint(place).ip, choice.endpoint(place).port).to_string();
        let mut named: Vec<(String, usize)> = (0..choice.candidates.len()).map(|place| (name(place), place)).collect();
        named.sort_unstable();
        let backends: Vec<Backend> = named.iter().map(|(name, _)| Backend::cilium(name, CILIUM_SEED)).collect();
        Self { version: choice.version, table: Table::build(&backends, size), places: named.into_iter().map(|(_, place)| place).collect() }
    }

    fn find(&self, packet: &Packet) -> Option<usize> {
        self.places.get(self.table.lookup(flow_hash(packet).into())?).copied()
    }
}

impl DataPlane for Cilium {
    fn serves_loopback(&self) -> bool {
        true
    }

    fn refuses(&self, address: Address, sender: Sender) -> Option<Refusal> {
        (address == Address::ClusterIP && sender == Sender::Outside).then_some(Refusal::Drop)
    }

    fn guards_inside(&self) -> bool {
        false
    }

    /// | destination | policy | sender | list |
    /// |---|---|---|---|
    /// | cluster IP | internal Cluster / Local | inside | cluster / local |
    /// | external | any | inside | cluster |
    /// | external | external Cluster / Local | outside | cluster / local |
    fn candidates<'a>(&self, q: &Question<'a>) -> Candidates<'a> {
        let inside = q.sender != Sender::Outside;
        let cluster = if self.spec.service_topology { q.cluster() } else { q.unhinted };
        let snat = !inside && q.policy() == TrafficPolicy::Cluster;
        let (list, scope) = match (q.policy(), q.address) {
            (TrafficPolicy::Cluster, _) => (cluster, Scope::Cluster),
            (TrafficPolicy::Local, address) if inside && address != Address::ClusterIP => (cluster, Scope::ShortCircuit),
            (TrafficPolicy::Local, _) => (q.local(), Scope::Local),
        };
        Candidates { list, scope, snat }
    }

    fn nothing(&self, _: bool) -> Refusal {
        Refusal::Reject
    }

    fn choose(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<usize> {
        if !self.uses_maglev(choice) {
            return slot(choice.candidates.len() as u32, stream.next_u32());
        }
        let key = (VirtualServer { address: Address::ClusterIP, ..choice.server }, choice.scope);
        let lookup = self.tables.entry(key).or_insert_with(|| Lookup::build(choice, self.size));
        if lookup.version != choice.version {
            *lookup = Lookup::build(choice, self.size);
        }
        lookup.find(&choice.packet)
    }

    fn explain(&self, choice: &Choice<'_>, mut stream: Stream) -> String {
        let n = choice.candidates.len() as u32;
        if self.uses_maglev(choice) {
            let (hash, size) = (flow_hash(&choice.packet), self.size.get());
            let found = Lookup::build(choice, self.size).find(&choice.packet).map(|place| choice.endpoint(place));
            let found = found.map_or_else(|| "nobody's".to_owned(), |e| format!("{}'s", SocketAddr::new(e.ip, e.port)));
            return format!("Maglev: the flow's hash is {hash}, place {} of {size}, which is {found}", hash % size);
        }
        let (at, draw) = (if choice.sender == Sender::Outside { "at the device" } else { "in connect()" }, stream.next_u32());
        format!("random, {at}: drew {draw}, which mod {n} is {}", draw.checked_rem(n).unwrap_or_default())
    }

    fn finish(&self, packet: &Packet, local: bool, inside: bool, forward: &mut Forward) {
        if inside {
            // The client's own socket has the Pod's address, a Pod's that reaches itself included.
            (forward.snat, forward.direct, forward.lookup) = (false, true, self.spec.socket_lookup);
            return;
        }
        let returns_directly = match self.spec.mode {
            Mode::Snat => false,
            Mode::Dsr => true,
            Mode::Hybrid => packet.protocol == Protocol::Tcp,
        };
        forward.direct = !local && returns_directly;
        forward.snat &= !local && !returns_directly;
    }

    fn affinity_scope(&self, server: VirtualServer) -> VirtualServer {
        server
    }

    fn translates_at_socket(&self) -> bool {
        true
    }

    fn lookup(&self, _: &RuleSet, _: Address, _: u32, _: usize) -> SimDuration {
        self.spec.lookup
    }

    fn sync(&self) -> &SyncSpec {
        &self.spec.sync
    }
}

/// `(prandom % count) + 1` of `bpf/lib/lb.h`, from 0.
fn slot(count: u32, draw: u32) -> Option<usize> {
    draw.checked_rem(count).map(|slot| slot as usize)
}

/// `HASH_INIT4_SEED` and `HASH_INIT6_SEED`: the second and third four bytes of Cilium's default seed `JLfvgnHc2kaSUFaI`
/// (`pkg/maglev/maglev.go`, `SeedJhash0` and `SeedJhash1`).
const JHASH_SEEDS: [u32; 2] = [0x71dc_da46, 0x9250_5688];
/// `JHASH_INITVAL` (`bpf/lib/jhash.h`) plus the length that `jhash_3words` adds.
const JHASH_3_WORDS: u32 = 0xdead_beef_u32.wrapping_add(3 << 2);

/// The hash of a flow without its destination's address (`hash_from_tuple_v4` and `_v6`, `bpf/lib/hash.h`), of fields in the
/// order of bytes on the wire.
fn flow_hash(packet: &Packet) -> u32 {
    let ports = u32::from(packet.dport.swap_bytes()) << 16 | u32::from(packet.sport.swap_bytes());
    let protocol = match packet.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    match packet.src {
        IpAddr::V4(ip) => {
            let start = JHASH_3_WORDS.wrapping_add(JHASH_SEEDS[0]);
            let words = [u32::from_le_bytes(ip.octets()), ports, protocol];
            jhash_final(words.map(|word| word.wrapping_add(start)))
        }
        IpAddr::V6(ip) => {
            let mut words = [0u32; 4];
            words.iter_mut().zip(ip.octets().chunks_exact(4)).for_each(|(w, b)| *w = b.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b)));
            let [a, b, c] = jhash_mix([words[0], words[1], words[2]]);
            let [a, b, c] = jhash_mix([a.wrapping_add(words[3]), b.wrapping_add(ports), c.wrapping_add(protocol)]);
            jhash_final([a.wrapping_add(JHASH_SEEDS[1]), b, c])
        }
    }
}

/// `__jhash_mix` (Jenkins 2006, lookup3).
fn jhash_mix([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    let one = |x: &mut u32, y: u32, z: &mut u32, by: u32| {
        *x = x.wrapping_sub(*z) ^ z.rotate_left(by);
        *z = z.wrapping_add(y);
    };
    one(&mut a, b, &mut c, 4);
    one(&mut b, c, &mut a, 6);
    one(&mut c, a, &mut b, 8);
    one(&mut a, b, &mut c, 16);
    one(&mut b, c, &mut a, 19);
    one(&mut c, a, &mut b, 4);
    [a, b, c]
}

/// `__jhash_final`: what ends in `c`.
fn jhash_final([mut a, mut b, mut c]: [u32; 3]) -> u32 {
    let one = |x: &mut u32, y: u32, by: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    one(&mut c, b, 14);
    one(&mut a, c, 11);
    one(&mut b, a, 25);
    one(&mut c, b, 16);
    one(&mut a, c, 4);
    one(&mut b, a, 14);
    one(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Conditions, Endpoint, Hints};
    use crate::ids::{NodeId, PodId, ServiceId};
    use svcsim_engine::SimTime;

    fn packet(protocol: Protocol, src: IpAddr, sport: u16) -> Packet {
        Packet { protocol, src, sport, dst: [172, 16, 0, 1].into(), dport: 30_080 }
    }

    /// The kernel's `jhash` is Jenkins' `hashword` but for its start; his own vectors (`lookup3.c` driver5): the empty key with
    /// seeds 0 and 0xdeadbeef.
    #[test]
    fn final_and_mix_are_lookup3() {
        assert_eq!(jhash_final([0xdead_beef; 3]), {
            // By hand from the definition, one line at a time.
            let (mut a, mut b, mut c) = (0xdead_beefu32, 0xdead_beefu32, 0xdead_beefu32);
            c = (c ^ b).wrapping_sub(b.rotate_left(14));
            a = (a ^ c).wrapping_sub(c.rotate_left(11));
            b = (b ^ a).wrapping_sub(a.rotate_left(25));
            c = (c ^ b).wrapping_sub(b.rotate_left(16));
            a = (a ^ c).wrapping_sub(c.rotate_left(4));
            b = (b ^ a).wrapping_sub(a.rotate_left(14));
            (c ^ b).wrapping_sub(b.rotate_left(24))
        });
        // "Four score and seven years ago" with seed 0 is 0x17770551: two blocks mixed, the rest finished.
        let text = b"Four score and seven years ago";
        let word = |i: usize| text.iter().skip(i * 4).take(4).rev().fold(0u32, |w, b| w << 8 | u32::from(*b));
        let start = 0xdead_beef + text.len() as u32;
        let add = |state: [u32; 3], from: usize| [0, 1, 2].map(|i| state[i].wrapping_add(word(from + i)));
        let state = jhash_mix(add([start; 3], 0));
        assert_eq!(jhash_final(add(jhash_mix(add(state, 3)), 6)), 0x1777_0551);
    }

    #[test]
    fn the_hash_of_a_flow_leaves_out_the_node_dialled_but_nothing_else() {
        let one = packet(Protocol::Tcp, [192, 0, 2, 1].into(), 40_000);
        assert_eq!(flow_hash(&one), flow_hash(&Packet { dst: [172, 16, 0, 2].into(), ..one }));
        let others = [
            Packet { src: [192, 0, 2, 2].into(), ..one },
            Packet { sport: 40_001, ..one },
            Packet { dport: 80, ..one },
            Packet { protocol: Protocol::Udp, ..one },
            Packet { src: "fd00::1".parse().expect("an address"), ..one },
            Packet { src: "fd00::1:0:0:0".parse().expect("an address"), ..one },
        ];
        let mut hashes: Vec<u32> = others.iter().chain([&one]).map(flow_hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 7);
    }

    fn endpoints(n: u8, without: Option<u8>) -> Vec<Endpoint> {
        let conditions = Conditions { ready: true, serving: true, terminating: false };
        let endpoint = |i: u8| Endpoint {
            pod: PodId(u32::from(i)),
            ip: [10, 128, 0, i].into(),
            port: 80,
            node: Some(NodeId(0)),
            zone: None,
            conditions,
            hints: Hints::default(),
        };
        (0..n).filter(|i| Some(*i) != without).map(endpoint).collect()
    }

    /// 20 backends at the default size: a removal must move its own twentieth, and less than 2 % of the others.
    #[test]
    fn maglev_moves_few_flows_when_a_backend_goes() {
        let mut stream = svcsim_engine::random::Streams::new(1, 0).stream(7, 0);
        let mut plane = Cilium::new(&Spec { algorithm: Algorithm::Maglev, ..Spec::default() });
        let mut pods = |endpoints: &[Endpoint], version| -> Vec<u32> {
            let candidates: Vec<u32> = (0..endpoints.len() as u32).collect();
            let server = VirtualServer { service: ServiceId(0), port: 0, address: Address::NodePort };
            let flow = |i: u16| {
                let packet = packet(Protocol::Tcp, [192, 0, (i >> 8) as u8, i as u8].into(), 40_000 ^ i);
                let (sender, scope, now, candidates) = (Sender::Outside, Scope::Cluster, SimTime::ZERO, candidates.as_slice());
                let choice = Choice { server, sender, packet, endpoints, candidates, scope, version, now };
                choice.endpoint(plane.choose(&choice, &mut stream).expect("there are backends")).pod.0
            };
            (0..10_000).map(flow).collect()
        };
        let before = pods(&endpoints(20, None), 1);
        let after = pods(&endpoints(20, Some(7)), 2);
        let of_the_gone = before.iter().filter(|p| **p == 7).count();
        let moved = before.iter().zip(&after).filter(|(b, a)| **b != 7 && a != b).count();
        assert!(of_the_gone.abs_diff(500) < 100 && moved < 200, "{of_the_gone} had to move, {moved} others did");
        assert!(!after.contains(&7));
    }

    #[test]
    fn sizes_of_tables_are_checked() {
        let spec = |size: u32| serde_json::from_str::<Spec>(&format!("{{\"tableSize\": {size}}}"));
        assert_eq!(spec(251).expect("allowed").table_size, 251);
        assert!(spec(257).expect_err("a prime, but none of Cilium's").to_string().contains("16381"));
    }

    #[test]
    fn the_mode_decides_for_pods_elsewhere_only() {
        let given = Forward { pod: PodId(0), snat: true, direct: false, lookup: SimDuration::ZERO };
        let finished = |mode, protocol, local, inside| {
            let mut forward = given;
            let packet = packet(protocol, [192, 0, 2, 1].into(), 40_000);
            Cilium::new(&Spec { mode, ..Spec::default() }).finish(&packet, local, inside, &mut forward);
            (forward.snat, forward.direct)
        };
        use {Mode as M, Protocol as P};
        for (mode, protocol, away) in [
            (M::Snat, P::Tcp, (true, false)),
            (M::Dsr, P::Udp, (false, true)),
            (M::Hybrid, P::Tcp, (false, true)),
            (M::Hybrid, P::Udp, (true, false)),
            (M::Hybrid, P::Sctp, (true, false)),
        ] {
            assert_eq!(finished(mode, protocol, false, false), away, "{mode:?} {protocol}");
            assert_eq!(finished(mode, protocol, true, false), (false, false), "{mode:?} {protocol}, here");
            assert_eq!(finished(mode, protocol, false, true), (false, true), "{mode:?} {protocol}, from inside");
        }
    }

    #[test]
    fn candidates_by_sender_policy_and_topology() {
        use crate::api::{Categories, Service};
        use crate::spec::ServiceSpec;
        let spec = ServiceSpec {
            external_traffic_policy: TrafficPolicy::Local,
            external_ips: vec![[203, 0, 113, 1].into()],
            ..ServiceSpec::default()
        };
        let cluster_too = ServiceSpec { external_traffic_policy: TrafficPolicy::Cluster, ..spec.clone() };
        let all = |plane: &Cilium, spec: &ServiceSpec, address, sender| {
            let service = Service::new(spec.clone(), Vec::new());
            let categories = Categories { cluster: Some(&[1]), local: Some(&[2]), has_any: true };
            let (detects_pods, masquerade_all) = (true, true);
            let q = Question { service: &service, address, sender, categories, unhinted: &[1, 3], detects_pods, masquerade_all };
            let found = plane.candidates(&q);
            (found.list.to_vec(), found.snat)
        };
        let (plain, heeds) = (Cilium::new(&Spec::default()), Cilium::new(&Spec { service_topology: true, ..Spec::default() }));
        let outer = Address::ExternalIP(0);
        for sender in [Sender::Pod, Sender::Node] {
            for address in [Address::ClusterIP, Address::NodePort, Address::LoadBalancer(0), outer] {
                assert_eq!(all(&plain, &spec, address, sender), (vec![1, 3], false), "{address:?} from {sender:?}");
                assert_eq!(all(&heeds, &spec, address, sender), (vec![1], false), "{address:?} from {sender:?}");
            }
        }
        assert_eq!(all(&plain, &spec, outer, Sender::Outside), (vec![2], false));
        assert_eq!(all(&plain, &cluster_too, outer, Sender::Outside), (vec![1, 3], true));
        let internal = ServiceSpec { internal_traffic_policy: TrafficPolicy::Local, ..spec };
        assert_eq!(all(&plain, &internal, Address::ClusterIP, Sender::Pod), (vec![2], false));
    }
}
