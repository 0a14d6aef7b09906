//! Sources of requests: whom they dial, from where, under which addresses.

use super::{connections, dist, list};
use crate::balance::{Balance, BalancingSpec, Instance, Probing};
use crate::circuit_breaker::Breaker;
use crate::cluster::journey::Board;
use crate::cluster::run::stream;
use crate::cluster::{Client, Cluster, Guard, Purpose, Source, SourceStreams, addresses};
use crate::dataplane::{Address, Approach};
use crate::dns::{DnsSpec, Resolver};
use crate::ids::{NodeId, PodId, ServiceId, SourceId, VertexId, ZoneId};
use crate::load_balancer::{Arrival, Targets};
use crate::outlier_detection::{OutlierDetectionSpec, Outliers};
use crate::pool::Pool;
use crate::retry::Retrier;
use crate::spec::{
    ClusterSpec, ConnectionsSpec, IpMode, Origin, Popularity, Protocol, ServiceSpec, ServiceType, SpecError, TcpSpec, TrafficSpec, Via,
};
use crate::workload::Arrivals;
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::queueing::DelayLine;
use svcsim_engine::random::Streams;
use svcsim_engine::{Id, SimDuration, SimTime};

/// Most clients of a source: bounds what a slip of the keyboard can ask for.
const MOST: u32 = 1_000_000;

/// How many instances run in each zone.
type Peers = [(Option<ZoneId>, u32)];

#[derive(Clone, Copy)]
enum Place {
    Site(VertexId),
    Node(NodeId),
    Pod(PodId),
}

impl Cluster {
    /// A source that sends by itself.
    pub(super) fn add_traffic(&mut self, spec: &ClusterSpec, name: &str, t: &TrafficSpec, streams: &Streams) -> Result<(), SpecError> {
        let root = format!("traffic.{name}");
        if t.clients == 0 || t.clients > MOST {
            let problem = format!("{} clients; expected 1 to {MOST}", t.clients);
            return Err(SpecError::new(format!("{root}.clients"), problem, "give the number of independent clients"));
        }
        let arrivals = t.arrivals.build(&format!("{root}.arrivals"))?;
        self.add_source(spec, (name, &root), t, Some(arrivals), streams).map(drop)
    }

    /// A source, described by `t`, whose errors are named below `root`.
    pub(super) fn add_source(
        &mut self,
        spec: &ClusterSpec,
        (name, root): (&str, &str),
        t: &TrafficSpec,
        arrivals: Option<Arrivals>,
        streams: &Streams,
    ) -> Result<SourceId, SpecError> {
        let field = |part: &str| format!("{root}.{part}");
        let (service, via, cnames) = self.dialled(&field, t)?;
        let s = &spec.services[service.index()];
        let port = port_of(&field("port"), t, s)?;
        let in_cluster = !matches!(t.from, Origin::Site(_));
        check_via(&field("via"), via, s, port, in_cluster)?;
        if t.behind_addresses.is_some_and(|n| n == 0 || in_cluster) {
            let problem = "expected at least one address, of clients outside the cluster";
            return Err(SpecError::new(field("behindAddresses"), problem, "leave it out: each client has an address of its own"));
        }
        if t.first_address.is_some() && in_cluster {
            let problem = "clients in the cluster have the addresses of their Pods and Nodes";
            return Err(SpecError::new(field("firstAddress"), problem, "leave it out, or give `from: {site: ...}`"));
        }
        if t.timeout == Some(SimDuration::ZERO) {
            let fix = "give a timeout such as 10s, or leave it out if clients wait for ever";
            return Err(SpecError::new(field("timeout"), "a timeout of 0s: every request would fail", fix));
        }
        check_retries(&field, t)?;
        check_guard(&field, t, via)?;
        let udp = s.ports.get(port).is_some_and(|p| p.protocol == Protocol::Udp);
        connections::check(&field, t, udp)?;
        let balanced = via == Via::LoadBalancer && (!in_cluster || s.ip_mode == IpMode::Proxy);
        let parameters = &spec.load_balancer.parameters;
        let needs_node_port = balanced && parameters.targets == Targets::Nodes && parameters.arrival == Arrival::NodePort;
        if needs_node_port && s.ports.get(port).is_none_or(|p| p.node_port.is_none()) {
            let problem =
                format!("the load balancer `{}` reaches Nodes through node ports, and this port has none", spec.load_balancer.name());
            let fix = "leave allocateLoadBalancerNodePorts true, or choose a load balancer that needs no node ports, such as ipTargets";
            return Err(SpecError::new(format!("{}.spec.allocateLoadBalancerNodePorts", s.field), problem, fix));
        }
        let balancing = balancing(&field("balancing"), t, via)?;
        if let Some(subset) = balancing.as_ref().and_then(|b| b.subset) {
            let hosts = self.table.services[service].backends.iter().map(|w| self.workloads[*w].pods.len()).sum();
            subset.check(&field("balancing.subset"), hosts)?;
        }
        self.keep_latencies(service, balancing.as_ref());
        let stream = |purpose| stream(streams, purpose, name);
        let named = matches!(via, Via::PodIP) || cnames > 0;
        let dns = t.dns.clone().or_else(|| named.then(DnsSpec::default));
        let mut source = Source {
            service,
            port: port as u16,
            protocol: s.ports.get(port).map(|p| p.protocol).unwrap_or_default(),
            via,
            balancer: if balanced { self.endpoints[service].balancers.get(port).copied() } else { None },
            address: match via {
                Via::ClusterIP | Via::PodIP | Via::Endpoints | Via::ExternalName => Address::ClusterIP,
                Via::NodePort => Address::NodePort,
                Via::ExternalIP => Address::ExternalIP(0),
                // What stands in front may hand packets on to node ports; otherwise Nodes know its address themselves.
                Via::LoadBalancer if balanced && spec.load_balancer.parameters.arrival == Arrival::NodePort => Address::NodePort,
                Via::LoadBalancer => Address::LoadBalancer(0),
            },
            keys: keys(&field("keys"), t)?,
            shares: shares(&field("popularity"), t)?,
            resolver: dns.map(|dns| Resolver::build(&dns, cnames, &field("dns"))).transpose()?,
            balancing: balancing.clone(),
            board: balancing.as_ref().and_then(|b| b.signal.period()).map(Board::new),
            service_time: t.service_time.as_ref().map(|s| dist(&field("serviceTime"), s)).transpose()?,
            workload: self.table.services[service].backends.first().copied(),
            clients: Vec::new(),
            name: name.to_owned(),
            arrivals,
            users: Vec::new(),
            free_users: Vec::new(),
            optional: false,
            circuit_breaker: t.circuit_breaker.or_else(|| connections::breaker(t)),
            outlier_detection: t.outlier_detection,
            request_size: dist(&field("requestSize"), &t.request_size)?,
            response_size: dist(&field("responseSize"), &t.response_size)?,
            timeout: t.timeout,
            first_timeout: t.retries.as_ref().and_then(|r| r.per_try_timeout).into_iter().chain(t.timeout).min(),
            tcp: t.tcp,
            retrier: t.retries.as_ref().map(|r| Retrier::new(r.clone(), t.clients as usize, stream(Purpose::Retries))),
            priority: t.priority,
            hedging: t.hedging.map(|h| h.after),
            gateway: DelayLine::new(),
            max_idle: match t.connections {
                ConnectionsSpec::KeepAlive(ref k) => Some(k.max_idle),
                _ => None,
            },
            pooling: connections::pooling(&field, t, (stream(Purpose::Lanes), stream(Purpose::ConnectionAges)))?,
            handshake: connections::handshake(t).rounds(),
            deadlines: DelayLine::new(),
            streams: SourceStreams {
                arrivals: stream(Purpose::Arrivals),
                clients: stream(Purpose::Clients),
                demand: stream(Purpose::Demand),
                sizes: stream(Purpose::Sizes),
                network: stream(Purpose::Network),
                flow: stream(Purpose::Flow),
                dns: stream(Purpose::Dns),
                probes: stream(Purpose::LoadProbes),
                lots: stream(Purpose::Calls),
                users: stream(Purpose::Users),
                keys: stream(Purpose::Keys),
            },
        };
        let places = if t.clients == 0 { Vec::new() } else { self.client_places(&field("from"), &t.from)? };
        let node_at = |place: &Place| match *place {
            Place::Site(_) => None,
            Place::Node(node) => Some(node),
            Place::Pod(pod) => Some(self.pods[pod].node),
        };
        let peers = self.peers((0..t.clients as usize).map(|i| node_at(&places[i % places.len()])));
        let mut sweeps = stream(Purpose::OutlierSweeps);
        for i in 0..t.clients as usize {
            let (vertex, node, address) = match places[i % places.len()] {
                Place::Site(vertex) => {
                    let n = t.behind_addresses.map_or(i as u64, |n| i as u64 % u64::from(n));
                    (vertex, None, t.first_address.map_or_else(|| addresses::client(name, n), |first| addresses::after(first, n)))
                }
                Place::Node(node) => (self.nodes[node].vertex, Some(node), self.pod_address(node)),
                Place::Pod(pod) => (self.pod_vertex(pod), Some(self.pods[pod].node), self.pods[pod].ip),
            };
            let guard = guard(&source, sweeps.uniform());
            let balance = self.balance_of(&source, node, (i as u32, t.clients), &peers);
            let approach = Approach::NoMatch;
            source.clients.push(Client { vertex, node, address, approach, resolved: None, idle: Vec::new(), guard, balance });
        }
        for i in 0..source.clients.len() {
            source.clients[i].approach = self.approach_of(&source, i as u32);
        }
        Ok(self.sources.push(source))
    }

    /// `pod` is a client of the source, too; which one.
    pub(in crate::cluster) fn add_client(&mut self, id: SourceId, pod: PodId) -> u32 {
        let source = &self.sources[id];
        let index = source.clients.len() as u32;
        let phase = stream(&self.streams, Purpose::OutlierSweeps, &format!("{}/{index}", source.name)).uniform();
        let p = &self.pods[pod];
        let (vertex, node, address) = (self.pod_vertex(pod), Some(p.node), p.ip);
        let peers = self.peers(source.clients.iter().map(|c| c.node).chain([node]));
        let (guard, balance) = (guard(source, phase), self.balance_of(source, node, (index, index + 1), &peers));
        let client = Client { vertex, node, address, approach: Approach::NoMatch, resolved: None, idle: Vec::new(), guard, balance };
        let source = &mut self.sources[id];
        source.clients.push(client);
        if let Some(pooling) = &mut source.pooling {
            pooling.pools.push(Pool::default());
        }
        if let Some(retrier) = &mut source.retrier {
            retrier.grow();
        }
        let approach = self.approach_of(&self.sources[id], index);
        self.sources[id].clients[index as usize].approach = approach;
        index
    }

    /// How a client's packets meet Nodes' rules.
    fn approach_of(&self, source: &Source, client: u32) -> Approach {
        let at = source.clients[client as usize].node.unwrap_or(NodeId(0));
        let packet = self.packet(source, client, at, 0);
        self.nodes[at].proxy.approach(&self.table, &packet)
    }

    /// How many of those on these Nodes run in each zone.
    fn peers(&self, nodes: impl Iterator<Item = Option<NodeId>>) -> Rc<Peers> {
        let mut peers: BTreeMap<Option<ZoneId>, u32> = BTreeMap::new();
        nodes.for_each(|node| *peers.entry(node.and_then(|n| self.nodes[n].zone)).or_default() += 1);
        peers.into_iter().collect()
    }

    /// A client's own balancing, where it does any; what it was made of has been checked.
    fn balance_of(&self, source: &Source, node: Option<NodeId>, (index, of): (u32, u32), peers: &Rc<Peers>) -> Option<Box<Balance>> {
        let spec = source.balancing.as_ref()?;
        let zone = node.and_then(|n| self.nodes[n].zone);
        let instance = Instance { index, of, zone, peers: Rc::clone(peers) };
        let chance = stream(&self.streams, Purpose::Balancing, &format!("{}/{index}", source.name));
        Balance::build(spec, instance, chance, "balancing").ok().map(Box::new)
    }

    /// The Service whose address clients dial in the end, which of its addresses, and the aliases on the way.
    fn dialled(&self, field: &impl Fn(&str) -> String, t: &TrafficSpec) -> Result<(ServiceId, Via, u32), SpecError> {
        let mut id = self.called_service(&field("to"), &t.to)?;
        let service = &self.table.services[id];
        if (t.via == Via::ExternalName) != (service.service_type == ServiceType::ExternalName) {
            let (found, kind) = (&service.name, service.service_type);
            let problem = format!("Service `{found}` is of type {kind} and cannot be dialled via {:?}", t.via);
            let fix = if kind == ServiceType::ExternalName { "dial it via ExternalName" } else { "dial one of its addresses" };
            return Err(SpecError::new(field("via"), problem, fix));
        }
        let mut cnames = 0;
        while self.table.services[id].service_type == ServiceType::ExternalName {
            let alias = &self.table.services[id];
            let target = self.table.services.enumerate().find(|(_, s)| is_name_of(&alias.external_name, s)).map(|(id, _)| id);
            cnames += 1;
            id = target.filter(|_| cnames <= 8).ok_or_else(|| {
                let problem = format!("`{}` is no name of a Service of this cluster, where the simulation ends", alias.external_name);
                let fix = "let externalName be <service>.<namespace>.svc.cluster.local of another Service";
                SpecError::new(format!("{}.spec.externalName", alias.field), problem, fix)
            })?;
        }
        let via = match cnames {
            0 => t.via,
            _ if self.table.services[id].is_headless() => Via::PodIP,
            _ => Via::ClusterIP,
        };
        Ok((id, via, cnames))
    }

    /// Pods of a Service keep what clients ask them by probes.
    fn keep_latencies(&mut self, service: ServiceId, balancing: Option<&BalancingSpec>) {
        if balancing.is_some_and(|b| b.policy.knows().probing == Probing::Reports) {
            for &w in &self.table.services[service].backends {
                self.workloads[w].probed = true;
                self.workloads[w].pods.iter().for_each(|p| self.pods[*p].keep_latencies());
            }
        }
    }

    /// Where the clients of an origin can be.
    fn client_places(&self, field: &str, from: &Origin) -> Result<Vec<Place>, SpecError> {
        match from {
            Origin::Cluster => Ok(self.nodes.ids().map(Place::Node).collect()),
            Origin::Site(name) => {
                let site = self.network.site_id(name).ok_or_else(|| {
                    let problem = format!("there is no client site `{name}`");
                    SpecError::new(field, problem, "name one of those under `network.sites`, or add it there")
                })?;
                Ok(vec![Place::Site(self.network.site_vertex(site))])
            }
            Origin::Workload(name) => {
                let workload = self.workload(name).ok_or_else(|| self.no_workload(field, name))?;
                if workload.pods.is_empty() {
                    let problem = format!("the workload `{name}` has no Pods that could send requests");
                    return Err(SpecError::new(field, problem, "give it replicas, or send from elsewhere"));
                }
                Ok(workload.pods.iter().map(|p| Place::Pod(*p)).collect())
            }
        }
    }
}

/// What makes no sense of how clients send again.
fn check_retries(field: &dyn Fn(&str) -> String, t: &TrafficSpec) -> Result<(), SpecError> {
    if t.tcp.connect_timeout == Some(SimDuration::ZERO) {
        let fix = "give a time-out such as 5s, or leave it out: Linux gives up after 131s";
        return Err(SpecError::new(field("tcp.connectTimeout"), "a time-out of 0s: no connection would ever stand", fix));
    }
    if t.tcp.syn_retries > TcpSpec::MOST_SYN_RETRIES {
        let problem = format!("{} retransmissions; Linux takes at most {}", t.tcp.syn_retries, TcpSpec::MOST_SYN_RETRIES);
        return Err(SpecError::new(field("tcp.synRetries"), problem, "leave it out: it is 6"));
    }
    if t.hedging.is_some_and(|h| h.after == SimDuration::ZERO) {
        let fix = "give a time that few requests take, such as their 95th percentile";
        return Err(SpecError::new(field("hedging.after"), "a time of 0s: every request would be sent twice at once", fix));
    }
    let Some(retries) = &t.retries else { return Ok(()) };
    if retries.per_try_timeout == Some(SimDuration::ZERO) {
        return Err(SpecError::new(field("retries.perTryTimeout"), "a time-out of 0s: every try would fail", "give one such as 1s"));
    }
    if let Some(budget) = retries.budget
        && !(budget.ratio > 0.0 && budget.ratio <= 1_000.0 && (1..=60_000_000_000).contains(&budget.ttl.as_nanos()))
    {
        let problem = format!("a ratio of {} over {}; expected more than 0 to 1000, over at most 60s", budget.ratio, budget.ttl);
        return Err(SpecError::new(field("retries.budget"), problem, "give a ratio such as 0.2 and a ttl such as 10s"));
    }
    Ok(())
}

/// What makes no sense of how clients protect themselves.
fn check_guard(field: &dyn Fn(&str) -> String, t: &TrafficSpec, via: Via) -> Result<(), SpecError> {
    t.circuit_breaker.map_or(Ok(()), |breaker| breaker.check(&field("circuitBreaker")))?;
    let Some(outliers) = t.outlier_detection else { return Ok(()) };
    if !via.is_to_pod() {
        let problem = format!("a client that dials {:?} does not choose the Pod: it has nobody to avoid", t.via);
        let fix =
            "dial a headless Service via PodIP, or let a load balancer that proxies do it: loadBalancer.<preset>.proxies.outlierDetection";
        return Err(SpecError::new(field("outlierDetection"), problem, fix));
    }
    outliers.check(&field("outlierDetection"))
}

/// How clients choose Pods, where they do.
fn balancing(field: &str, t: &TrafficSpec, via: Via) -> Result<Option<BalancingSpec>, SpecError> {
    match (&t.balancing, via) {
        (Some(_), _) if !via.is_to_pod() => {
            let problem = format!("a client that dials {via:?} does not choose the Pod: there is nothing to balance");
            Err(SpecError::new(field, problem, "dial the Service via Endpoints, or a headless one via PodIP"))
        }
        (Some(spec), _) => spec.check(field).map(|()| Some(spec.clone())),
        (None, Via::Endpoints) => Ok(Some(BalancingSpec::default())),
        (None, _) => Ok(None),
    }
}

/// One client's protection; `phase` says when in its interval it sweeps, since clients do not start at one time.
fn guard(source: &Source, phase: f64) -> Option<Box<Guard>> {
    let (breaker, outliers) = (source.circuit_breaker, source.outlier_detection);
    if breaker.is_none() && outliers.is_none() {
        return None;
    }
    let first = |o: OutlierDetectionSpec| SimTime::ZERO + SimDuration::from_nanos_f64(o.interval.as_nanos() as f64 * phase);
    Some(Box::new(Guard { breaker: breaker.map(Breaker::new), outliers: outliers.map(|o| Outliers::new(o, first(o))) }))
}

/// Whether `name` is a Service's full name in DNS.
fn is_name_of(name: &str, s: &ServiceSpec) -> bool {
    let full = format!("{}.{}.svc.cluster.local", s.name, s.namespace);
    name.trim_end_matches('.').eq_ignore_ascii_case(&full)
}

/// Cumulative shares of requests by client; none if all send alike.
fn shares(field: &str, t: &TrafficSpec) -> Result<Option<Vec<f64>>, SpecError> {
    let Popularity::Zipf { exponent } = t.popularity else { return Ok(None) };
    if !(0.0..=10.0).contains(&exponent) {
        let problem = format!("an exponent of {exponent}; expected 0 (even) to 10");
        return Err(SpecError::new(format!("{field}.zipf.exponent"), problem, "give an exponent such as 1"));
    }
    Ok(Some(zipf(t.clients, exponent)))
}

/// Cumulative shares of the requests' keys.
fn keys(field: &str, t: &TrafficSpec) -> Result<Option<Vec<f64>>, SpecError> {
    let Some(keys) = t.keys else { return Ok(None) };
    if keys.count == 0 || keys.count > MOST {
        let problem = format!("{} keys; expected 1 to {MOST}", keys.count);
        return Err(SpecError::new(format!("{field}.count"), problem, "give the number of different keys"));
    }
    if !(0.0..=10.0).contains(&keys.zipf) {
        let problem = format!("an exponent of {}; expected 0 (even) to 10", keys.zipf);
        return Err(SpecError::new(format!("{field}.zipf"), problem, "give an exponent such as 1"));
    }
    Ok(Some(zipf(keys.count, keys.zipf)))
}

/// Cumulative shares of `n` things, the k-th in proportion to `k^-exponent`.
fn zipf(n: u32, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut shares: Vec<f64> = (1..=n)
        .map(|k| {
            sum += libm::pow(f64::from(k), -exponent);
            sum
        })
        .collect();
    shares.iter_mut().for_each(|s| *s /= sum);
    shares
}

/// The place of the port that is dialled.
fn port_of(field: &str, t: &TrafficSpec, s: &ServiceSpec) -> Result<usize, SpecError> {
    let Some(port) = &t.port else { return Ok(0) };
    if let Some(place) = s.ports.iter().position(|p| p.name == *port || p.port.to_string() == *port) {
        return Ok(place);
    }
    let names = list(s.ports.iter().map(|p| p.name.as_str()).filter(|n| !n.is_empty()));
    let problem = format!("Service `{}` has no port `{port}`", s.name);
    let numbers = s.ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
    Err(SpecError::new(field, problem, format!("name one of {names}, by number {numbers}, or leave it out")))
}

fn check_via(field: &str, via: Via, s: &ServiceSpec, port: usize, in_cluster: bool) -> Result<(), SpecError> {
    let none = |what: &str, fix: &str| {
        let problem = format!("Service `{}` is of type {} and has no {what}", s.name, s.service_type);
        Err(SpecError::new(field, problem, fix))
    };
    let retype = || format!("set services.{}.spec.type to {via:?}, or dial another address", s.name);
    match via {
        Via::ClusterIP if !in_cluster => {
            let problem = "a cluster IP cannot be reached from outside the cluster";
            Err(SpecError::new(field, problem, "dial NodePort or LoadBalancer, or send from a workload or from `cluster`"))
        }
        Via::ClusterIP if s.cluster_ip.is_none() => none("ClusterIP address: it is headless", "dial it via PodIP"),
        Via::PodIP | Via::Endpoints if !in_cluster => {
            let problem = "Pods' addresses cannot be reached from outside the cluster";
            Err(SpecError::new(field, problem, "send from a workload or from `cluster`"))
        }
        Via::PodIP if !s.is_headless() => none("Pods' addresses in DNS", "set clusterIP to None, or dial another address"),
        Via::ExternalIP if s.external_ips.is_empty() => none("externalIPs", "give it spec.externalIPs, or dial another address"),
        Via::LoadBalancer if s.service_type != ServiceType::LoadBalancer => none("LoadBalancer address", &retype()),
        Via::NodePort if matches!(s.service_type, ServiceType::ClusterIP | ServiceType::ExternalName) => {
            none("NodePort address", &retype())
        }
        Via::NodePort if s.ports.get(port).is_none_or(|p| p.node_port.is_none()) => {
            none("node port for this port", "set allocateLoadBalancerNodePorts to true, or give the port a nodePort")
        }
        _ => Ok(()),
    }
}
