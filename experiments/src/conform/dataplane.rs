//! What data planes do with endpoints and packets.

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use svcsim_engine::random::Streams;
use svcsim_engine::{Id, IdVec};
use svcsim_models::api::{Conditions, Endpoint, EndpointSet, Hints, Policies, PortEndpoints, Service, Vantage};
use svcsim_models::dataplane::{
    Approach, DataPlaneSpec, EndpointTable, Entry, NodeAddresses, NodePortAddresses, Packet, Proxy, ProxySpec, Refusal, ServiceTable,
    iptables, is_stale, nftables,
};
use svcsim_models::ids::{NodeId, PodId, ServiceId, ZoneId};
use svcsim_models::spec::{Protocol, ServicePortSpec, ServiceSpec, ServiceType, TargetPort, TrafficPolicy};

/// The Node that a case looks from.
const HERE: NodeId = NodeId(0);

/// Names in the order they are met.
#[derive(Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn id<I: Id>(&mut self, name: &str) -> I {
        let known = self.0.iter().position(|n| n == name);
        I::from_index(known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        }))
    }

    /// What `id` is called.
    pub(super) fn name(&self, id: impl Id) -> String {
        self.0.get(id.index()).cloned().unwrap_or_default()
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(input: &'a Value) -> Result<T, String> {
    T::deserialize(input).map_err(|e| format!("the input is not of the shape of its group: {e}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Categorize {
    node: NodeLabels,
    node_hints_enabled: bool,
    service: CategorizeService,
    endpoints: Vec<CategorizeEndpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeLabels {
    name: Option<String>,
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategorizeService {
    internal_policy: Policy,
    external_policy: Policy,
    externally_accessible: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategorizeEndpoint {
    addr: SocketAddr,
    local: bool,
    ready: bool,
    serving: bool,
    terminating: bool,
    #[serde(default)]
    zone_hints: Vec<String>,
    #[serde(default)]
    node_hints: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum Policy {
    Cluster,
    Local,
}

impl From<Policy> for TrafficPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Cluster => Self::Cluster,
            Policy::Local => Self::Local,
        }
    }
}

/// `categorize_endpoints`
pub fn categorize_endpoints(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Categorize = read(input)?;
    let (mut zones, mut nodes) = (Names::default(), Names::default());
    // Whatever the Node is called, it is the first; another is somewhere else.
    let here: NodeId = nodes.id(case.node.name.as_deref().unwrap_or(""));
    let elsewhere: NodeId = nodes.id("\0elsewhere");
    let endpoints = case.endpoints.iter().zip(0..).map(|(e, i)| Endpoint {
        pod: PodId(i),
        ip: e.addr.ip(),
        port: e.addr.port(),
        node: Some(if e.local { here } else { elsewhere }),
        zone: None,
        conditions: Conditions { ready: e.ready, serving: e.serving, terminating: e.terminating },
        hints: Hints {
            zones: e.zone_hints.iter().map(|z| zones.id::<ZoneId>(z)).collect(),
            nodes: e.node_hints.iter().map(|n| nodes.id::<NodeId>(n)).collect(),
        },
    });
    let port = PortEndpoints::new(endpoints.collect());
    let zone = case.node.zone.filter(|z| !z.is_empty()).map(|z| zones.id::<ZoneId>(&z));
    let named = case.node.name.is_some_and(|n| !n.is_empty());
    let from = Vantage { node: here, zone, node_hints: case.node_hints_enabled && named };
    let policies = Policies {
        internal: case.service.internal_policy.into(),
        external: case.service.external_policy.into(),
        externally_accessible: case.service.externally_accessible,
    };
    let found = port.categorize(from, policies);
    let names = |list: &[u32]| -> Vec<String> { addresses(&port, list) };
    let mut all: Vec<u32> = found.cluster.into_iter().chain(found.local).flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    Ok(json!({ "cluster": found.cluster.map(names), "local": found.local.map(names), "all": names(&all), "has_any": found.has_any }))
}

fn addresses(port: &PortEndpoints, list: &[u32]) -> Vec<String> {
    list.iter().map(|i| &port.endpoints[*i as usize]).map(|e| SocketAddr::new(e.ip, e.port).to_string()).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    fixture: String,
    modes: Vec<String>,
    protocol: Proto,
    src: IpAddr,
    dst: IpAddr,
    dport: u16,
}

#[derive(Clone, Copy, Deserialize)]
enum Proto {
    #[serde(rename = "TCP")]
    Tcp,
    #[serde(rename = "UDP")]
    Udp,
    #[serde(rename = "SCTP")]
    Sctp,
}

impl From<Proto> for Protocol {
    fn from(protocol: Proto) -> Self {
        match protocol {
            Proto::Tcp => Self::Tcp,
            Proto::Udp => Self::Udp,
            Proto::Sctp => Self::Sctp,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    #[serde(default, rename = "note")]
    _note: String,
    node: WorldNode,
    proxy: WorldProxy,
    services: Vec<WorldService>,
    endpoints: BTreeMap<String, Vec<WorldEndpoint>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldNode {
    name: String,
    primary_ip: IpAddr,
    ips: Vec<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldProxy {
    masquerade_all: bool,
    pod_cidr: Option<IpNet>,
    nodeport_addresses: Value,
    iptables_localhost_nodeports: bool,
    service_cidr: Option<IpNet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldService {
    name: String,
    r#type: Kind,
    cluster_ip: IpAddr,
    external_ips: Vec<IpAddr>,
    lb_ips: Vec<IpAddr>,
    lb_source_ranges: Vec<String>,
    external_traffic_policy: Option<Policy>,
    internal_traffic_policy: Option<Policy>,
    health_check_node_port: Option<u16>,
    ports: Vec<WorldPort>,
}

#[derive(Clone, Copy, Deserialize)]
enum Kind {
    ClusterIP,
    NodePort,
    LoadBalancer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldPort {
    name: String,
    protocol: Proto,
    port: u16,
    target_port: u16,
    node_port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldEndpoint {
    ip: IpAddr,
    node: Option<String>,
    ready: bool,
    serving: bool,
    terminating: bool,
}

/// `packet_flow`
pub fn packet_flow(fixtures: &Value, input: &Value) -> Result<Value, String> {
    let case: Flow = read(input)?;
    let fixture = fixtures.get("packet_flow").and_then(|f| f.get(&case.fixture));
    let world: World = read(fixture.ok_or_else(|| format!("there is no fixture `{}`", case.fixture))?)?;
    let (table, sets) = services(&world)?;
    let node_port_addresses = node_port_addresses(&world.proxy.nodeport_addresses)?;
    let mut addresses = vec![world.node.primary_ip];
    addresses.extend(world.node.ips.iter().filter(|ip| **ip != world.node.primary_ip));
    let packet = Packet { protocol: case.protocol.into(), src: case.src, sport: 40_000, dst: case.dst, dport: case.dport };
    let mut verdicts = Vec::new();
    for mode in &case.modes {
        let plane = DataPlaneSpec::by_name(mode).ok_or_else(|| format!("there is no data plane `{mode}`"))?;
        let node = NodeAddresses {
            addresses: addresses.clone(),
            pod_cidr: world.proxy.pod_cidr,
            node_port_addresses: node_port_addresses.clone(),
            localhost_node_ports: world.proxy.iptables_localhost_nodeports,
        };
        let spec = ProxySpec { masquerade_all: world.proxy.masquerade_all, ..ProxySpec::default() };
        let from = Vantage { node: HERE, zone: None, node_hints: true };
        let mut proxy = Proxy::new(from, node, &spec, &plane, Streams::new(0, 0).stream(0, 0));
        proxy.share(&sets);
        verdicts.push(verdict(&proxy, &table, &packet));
    }
    let first = verdicts.first().cloned().ok_or("no modes to look at")?;
    if verdicts.iter().all(|v| *v == first) {
        return Ok(first);
    }
    Ok(json!({ "modes differ": case.modes.iter().cloned().zip(verdicts).collect::<BTreeMap<_, _>>() }))
}

/// What the first packet of a flow meets.
fn verdict(proxy: &Proxy, table: &ServiceTable, packet: &Packet) -> Value {
    let refused = |refusal| match refusal {
        Refusal::Reject => json!({ "verdict": "reject" }),
        Refusal::Drop => json!({ "verdict": "drop" }),
    };
    match proxy.approach(table, packet) {
        Approach::NoMatch => json!({ "verdict": "no_match" }),
        Approach::Refused(refusal) => refused(refusal),
        Approach::Server(server, sender) => match (proxy.candidates(table, server, sender), proxy.endpoints(server)) {
            (Ok(found), Some(port)) => {
                // An endpoint that dials itself is masqueraded whatever the table says; here that is sure if it is alone.
                let hairpin = found.list.iter().all(|i| port.endpoints[*i as usize].ip == packet.src);
                json!({ "verdict": "forward", "candidates": addresses(port, found.list), "snat": found.snat || hairpin })
            }
            (Err(refusal), _) => refused(refusal),
            (Ok(_), None) => refused(Refusal::Reject),
        },
    }
}

fn services(world: &World) -> Result<(ServiceTable, Rc<EndpointTable>), String> {
    let mut nodes = Names::default();
    nodes.id::<NodeId>(&world.node.name);
    let mut services: IdVec<ServiceId, Service> = IdVec::new();
    let mut sets = EndpointTable::new();
    for s in &world.services {
        let range = |r: &String| r.trim().parse::<IpNet>().map_err(|_| format!("`{r}` is no range of addresses"));
        let ports: Vec<ServicePortSpec> = s
            .ports
            .iter()
            .map(|p| ServicePortSpec {
                name: p.name.clone(),
                protocol: p.protocol.into(),
                port: p.port,
                target_port: TargetPort::Number(p.target_port),
                node_port: p.node_port,
            })
            .collect();
        let known = world.endpoints.get(&s.name).map_or(&[][..], Vec::as_slice);
        let of_port = |p: &WorldPort, nodes: &mut Names| {
            let endpoint = |(e, i): (&WorldEndpoint, u32)| Endpoint {
                pod: PodId(i),
                ip: e.ip,
                port: p.target_port,
                node: e.node.as_ref().map(|n| nodes.id(n)),
                zone: None,
                conditions: Conditions { ready: e.ready, serving: e.serving, terminating: e.terminating },
                hints: Hints::default(),
            };
            PortEndpoints::new(known.iter().zip(0..).map(endpoint).collect())
        };
        let port_sets = s.ports.iter().map(|p| of_port(p, &mut nodes)).collect();
        sets.push(Rc::new(EndpointSet { version: 1, ports: port_sets, ..EndpointSet::default() }));
        let spec = ServiceSpec {
            name: s.name.clone(),
            service_type: match s.r#type {
                Kind::ClusterIP => ServiceType::ClusterIP,
                Kind::NodePort => ServiceType::NodePort,
                Kind::LoadBalancer => ServiceType::LoadBalancer,
            },
            ports,
            cluster_ip: Some(s.cluster_ip),
            external_ips: s.external_ips.clone(),
            load_balancer_ips: s.lb_ips.clone(),
            load_balancer_source_ranges: s.lb_source_ranges.iter().map(range).collect::<Result<_, _>>()?,
            health_check_node_port: s.health_check_node_port,
            external_traffic_policy: s.external_traffic_policy.map_or(TrafficPolicy::Cluster, Into::into),
            internal_traffic_policy: s.internal_traffic_policy.map_or(TrafficPolicy::Cluster, Into::into),
            ..ServiceSpec::default()
        };
        services.push(Service::new(spec, Vec::new()));
    }
    Ok((ServiceTable::new(services, world.proxy.service_cidr), Rc::new(sets)))
}

fn node_port_addresses(value: &Value) -> Result<NodePortAddresses, String> {
    match value {
        Value::String(s) if s == "default" => Ok(NodePortAddresses::Default),
        Value::String(s) if s == "primary" => Ok(NodePortAddresses::Primary),
        Value::Array(_) => read(value).map(NodePortAddresses::Ranges),
        other => Err(format!("nodeport_addresses is {other}; expected \"default\", \"primary\" or a list of ranges")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackedFlow {
    fixture: String,
    protocol: Proto,
    orig_dst: Option<IpAddr>,
    orig_dport: u16,
    reply_src: IpAddr,
    reply_sport: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackedWorld {
    #[serde(default, rename = "note")]
    _note: String,
    #[serde(rename = "ip_family")]
    _ip_family: String,
    service_ips: Vec<IpAddr>,
    ports: Vec<TrackedPort>,
    endpoints: Option<Vec<TrackedEndpoint>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackedPort {
    protocol: Proto,
    port: u16,
    node_port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackedEndpoint {
    ip: IpAddr,
    port: u16,
    serving: bool,
}

/// `conntrack_cleanup`
pub fn conntrack_cleanup(fixtures: &Value, input: &Value) -> Result<Value, String> {
    let case: TrackedFlow = read(input)?;
    let fixture = fixtures.get("conntrack_cleanup").and_then(|f| f.get(&case.fixture));
    let world: TrackedWorld = read(fixture.ok_or_else(|| format!("there is no fixture `{}`", case.fixture))?)?;
    let entry = Entry {
        protocol: case.protocol.into(),
        dst: case.orig_dst,
        dport: case.orig_dport,
        replies_from: (case.reply_src, case.reply_sport),
    };
    let udp = world.ports.iter().filter(|p| Protocol::from(p.protocol) == Protocol::Udp);
    let deleted = udp.into_iter().any(|p| {
        let serving = world.endpoints.as_ref().map(|list| list.iter().filter(|e| e.serving).map(|e| (e.ip, e.port)));
        is_stale(&entry, &world.service_ips, p.port, p.node_port, serving)
    });
    Ok(json!({ "deleted": deleted }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    n: u32,
}

/// Most endpoints of a chain that a case may ask for.
const MOST: u32 = 1_000_000;

fn length(n: u32) -> Result<u32, String> {
    if (1..=MOST).contains(&n) { Ok(n) } else { Err(format!("n is {n}; expected 1 to {MOST}")) }
}

/// `iptables_probability_string`
pub fn iptables_probability_string(_: &Value, input: &Value) -> Result<Value, String> {
    let n = length(read::<Length>(input)?.n)?;
    Ok(json!({ "text": iptables::probability_text(n) }))
}

/// `iptables_probability_chain`
pub fn iptables_probability_chain(_: &Value, input: &Value) -> Result<Value, String> {
    let n = length(read::<Length>(input)?.n)?;
    // The last rule is unconditional.
    let left = || (0..n).map(|i| Some(n - i).filter(|left| *left > 1));
    let texts: Vec<_> = left().map(|left| left.map(iptables::probability_text)).collect();
    let thresholds: Vec<_> = left().map(|left| left.map(iptables::threshold)).collect();
    Ok(json!({ "rule_probability_text": texts, "kernel_threshold_u31": thresholds, "endpoint_probability": iptables::chances(n) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainPick {
    n: u32,
    random_u32: Vec<u32>,
}

/// `iptables_chain_pick`
pub fn iptables_chain_pick(_: &Value, input: &Value) -> Result<Value, String> {
    let case: ChainPick = read(input)?;
    let mut draws = case.random_u32.iter();
    let (mut used, mut missing) = (0usize, false);
    let index = iptables::pick(length(case.n)?, || {
        used += 1;
        draws.next().copied().unwrap_or_else(|| {
            missing = true;
            0
        })
    });
    if missing {
        return Err(format!("{} draws do not suffice for this chain", case.random_u32.len()));
    }
    Ok(json!({ "index": index, "draws_used": used }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numgen {
    n: u32,
    random_u32: u32,
}

/// `nft_numgen_pick`
pub fn nft_numgen_pick(_: &Value, input: &Value) -> Result<Value, String> {
    let case: Numgen = read(input)?;
    Ok(json!({ "index": nftables::numgen(length(case.n)?, case.random_u32) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleCount {
    service_type: Kind,
    services: u32,
    endpoints_per_service: u32,
}

/// `iptables_rule_count`: Services of one port; a LoadBalancer has one address, one external IP, one source range and a node port.
pub fn iptables_rule_count(_: &Value, input: &Value) -> Result<Value, String> {
    let case: RuleCount = read(input)?;
    if u64::from(case.services) * u64::from(case.endpoints_per_service.max(1)) > 10_000_000 {
        return Err("more than ten million endpoints".to_owned());
    }
    let some = |ip: u32| IpAddr::V4(ip.into());
    let mut spec = ServiceSpec { ports: vec![ServicePortSpec::tcp("", 80)], ..ServiceSpec::default() };
    if !matches!(case.service_type, Kind::ClusterIP) {
        spec.ports[0].node_port = Some(30_000);
    }
    if matches!(case.service_type, Kind::LoadBalancer) {
        spec.load_balancer_ips = vec![some(1)];
        spec.external_ips = vec![some(2)];
        spec.load_balancer_source_ranges = vec!["10.0.0.0/8".parse().map_err(|_| "a range")?];
    }
    let endpoint = |i: u32| Endpoint {
        pod: PodId(i),
        ip: some(i),
        port: 80,
        node: None,
        zone: None,
        conditions: Conditions { ready: true, serving: true, terminating: false },
        hints: Hints::default(),
    };
    let port = PortEndpoints::new((0..case.endpoints_per_service).map(endpoint).collect());
    let (service, set) = (Service::new(spec, Vec::new()), EndpointSet { version: 1, ports: vec![port], ..EndpointSet::default() });
    let count = iptables::rule_count((0..case.services).map(|_| (&service, &set)));
    Ok(json!({ "filter_rules": count.filter, "nat_rules": count.nat }))
}
