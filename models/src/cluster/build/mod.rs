//! [`ClusterSpec`] to [`Cluster`]: every check of a spec is here or below it. After build, nothing can be
//! wrong with the input any more.

mod calls;
mod connections;
mod source;

use super::addresses::PodAddresses;
use super::control::{Asks, Autoscaler, Condition, Evictions};
use super::run::stream;
use super::{Balancer, Cluster, EndpointState, Node, Propagation, Purpose, Replica, Workload, addresses};
use crate::api::{EndpointSet, Service, Vantage, allocator};
use crate::circuit_breaker::Breaker;
use crate::control_plane::proxy_sync::SyncRunner;
use crate::control_plane::rate_limit::RateLimit;
use crate::control_plane::slices::ServiceSlices;
use crate::control_plane::topology::{self, NodeCpu};
use crate::controllers::scheduling::tolerated;
use crate::dataplane::{Conntrack, IcmpLimit, NodeAddresses, Proxy, RuleSet, ServiceTable};
use crate::ids::{NodeId, ServiceId, WorkloadId, ZoneId};
use crate::load_balancer::{self, Facts, LoadBalancer, NodeFact, Target};
use crate::network::Network;
use crate::record::Recorder;
use crate::spec::{ClusterSpec, EndpointSlicesSpec, NodeSpec, ServiceSpec, ServiceType, SpecError, WorkloadSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use svcsim_engine::random::{Dist, DistSpec, Quantity, Streams};
use svcsim_engine::{Id, IdVec, SimDuration, SimTime, Slab};

/// Most Pods, and most clients, of one kind: bounds what a slip of the keyboard can ask for.
const MOST: u32 = 1_000_000;
/// Cores of a Node whose object gives none.
const DEFAULT_CORES: u32 = 4;
/// kube-proxy repeats a failed sync after its `syncPeriod`; syncs do not fail here.
const SYNC_RETRY: SimDuration = SimDuration::from_secs(30);

impl Cluster {
    /// Builds the cluster with its Pods running and every Node up to date.
    ///
    /// # Errors
    /// The first thing that is wrong with the spec.
    pub fn build(spec: &ClusterSpec, streams: &Streams) -> Result<Self, SpecError> {
        check_run(spec)?;
        check_unique("nodes", spec.nodes.iter().map(|n| &n.name))?;
        let network = Network::build(&spec.network, &spec.nodes)?;
        let mut cluster = Self {
            streams: *streams,
            nodes: IdVec::new(),
            zones: IdVec::new(),
            table: ServiceTable::default(),
            rules: RuleSet::default(),
            endpoints: IdVec::new(),
            published: IdVec::new(),
            known_to_dns: IdVec::new(),
            common: Rc::default(),
            cpu_ratios: None,
            load_balancers: IdVec::new(),
            workloads: IdVec::new(),
            replicas: IdVec::new(),
            pods: IdVec::new(),
            sources: IdVec::new(),
            requests: Slab::new(),
            callings: Vec::new(),
            free_callings: Vec::new(),
            vacated: Vec::new(),
            paths: BTreeMap::new(),
            siblings: BTreeMap::new(),
            load_probes: Slab::new(),
            updates: Vec::new(),
            network,
            propagation: Propagation {
                publish: dist("propagation.publish", &spec.propagation.publish)?,
                to_node: dist("propagation.toNode", &spec.propagation.to_node)?,
                to_dns: dist("propagation.toDns", &spec.propagation.to_dns)?,
                dns_stream: stream(streams, Purpose::DnsView, ""),
                batch_period: spec.endpoint_slices.batch_period,
                max_per_slice: max_per_slice(&spec.endpoint_slices)?,
                writes: rate_limit(&spec.endpoint_slices)?,
                stream: stream(streams, Purpose::Propagation, ""),
            },
            planned: IdVec::new(),
            faults: 0,
            node_at: Vec::new(),
            node_lifecycle: spec.node_lifecycle.clone(),
            evictions: Evictions::default(),
            pending: BTreeSet::new(),
            scrape_phase: stream(streams, Purpose::Autoscaler, "").uniform(),
            autoscaling: spec.autoscaling.clone(),
            meters: BTreeMap::new(),
            most_places: MOST as usize,
            pod_blocks: spec.nodes.len() as u32,
            dns_out: 0,
            control_plane_out: 0,
            put_by: Vec::new(),
            conntrack_spec: spec.conntrack.clone(),
            recorder: Recorder::new(&[], 0, SimTime::ZERO, 0),
            decisions: None,
            probe: None,
            data_plane: spec.data_plane.name(),
            load_balancer: spec.load_balancer.name(),
            sending_until: SimTime::ZERO + spec.run.duration,
        };
        let eligible: Vec<_> = spec.workloads.iter().map(|w| eligible_nodes(spec, w)).collect::<Result<_, _>>()?;
        cluster.add_nodes(spec, streams)?;
        for (workload, eligible) in spec.workloads.iter().zip(eligible) {
            cluster.add_workload(spec, workload, eligible, streams)?;
        }
        cluster.add_services(spec)?;
        cluster.inform_nodes();
        for service in cluster.table.services.ids() {
            cluster.add_load_balancers(spec, service, streams)?;
        }
        for (name, traffic) in &spec.traffic {
            cluster.add_traffic(spec, name, traffic, streams)?;
        }
        let mut names: Vec<String> = spec.traffic.keys().cloned().collect();
        names.extend(cluster.add_calls(spec, streams)?);
        for (name, event) in &spec.events {
            cluster.add_event(name, event, spec, streams)?;
        }
        if spec.traffic.is_empty() {
            let fix = "add a source under `traffic:` that says from where, to which Service and how often";
            return Err(SpecError::new("traffic", "no traffic: nothing would be simulated", fix));
        }
        let names: Vec<(&str, bool)> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i >= spec.traffic.len())).collect();
        cluster.recorder = Recorder::new(&names, cluster.replicas.len(), SimTime::ZERO + spec.run.warm_up, spec.sample);
        Ok(cluster)
    }

    fn add_nodes(&mut self, spec: &ClusterSpec, streams: &Streams) -> Result<(), SpecError> {
        let node_port_addresses = spec.proxy.node_ports().map_err(|problem| {
            SpecError::new("proxy.nodePortAddresses", problem, "give ranges such as 192.168.0.0/16, or [primary], or leave it out")
        })?;
        for (i, node) in spec.nodes.iter().enumerate() {
            let id = NodeId::from_index(i);
            let zone = self.zone_id(&node.zone);
            let addresses = NodeAddresses {
                addresses: if node.addresses.is_empty() { vec![addresses::node(i)] } else { node.addresses.clone() },
                pod_cidr: spec.proxy.detect_local.then(addresses::pod_cidr),
                node_port_addresses: node_port_addresses.clone(),
                localhost_node_ports: spec.proxy.localhost_node_ports,
            };
            let vantage = Vantage { node: id, zone, node_hints: true };
            let proxy = Proxy::new(vantage, addresses, &spec.proxy, &spec.data_plane, stream(streams, Purpose::Proxy, &node.name));
            let cores = node.cpu_millis.map_or(DEFAULT_CORES, |m| m.div_ceil(1_000) as u32);
            let sync = SyncRunner::new(proxy.plane().sync().min_sync_period, None, SYNC_RETRY);
            let period = proxy.plane().sync().full_sync_period.as_nanos() as f64;
            let phase = stream(streams, Purpose::FullSync, &node.name).uniform();
            let full_sync = SimTime::ZERO + SimDuration::from_nanos_f64(period * phase);
            let vertex = self.network.node_vertex(id);
            if self.node_at.len() <= vertex.index() {
                self.node_at.resize(vertex.index() + 1, None);
            }
            self.node_at[vertex.index()] = Some(id);
            let mut kubelet = stream(streams, Purpose::Kubelet, &node.name);
            let lease_phase = SimDuration::from_nanos_f64(spec.node_lifecycle.lease_renewal.as_nanos() as f64 * kubelet.uniform());
            self.nodes.push(Node {
                spec: node.clone(),
                vertex,
                zone,
                proxy,
                conntrack: Conntrack::new(&spec.conntrack, cores),
                icmp: IcmpLimit::new(spec.proxy.icmp_ratelimit),
                sync,
                full_sync,
                news: Vec::new(),
                writing: Vec::new(),
                addresses: PodAddresses::of_node(i),
                condition: Condition::default(),
                cordons: 0,
                lease_phase,
                kubelet,
                images: BTreeSet::new(),
                pulling_until: SimTime::ZERO,
            });
        }
        let cpu = |n: &Node| NodeCpu { zone: n.zone, cpu_millis: n.spec.cpu_millis, ready: true, control_plane: n.spec.control_plane };
        self.cpu_ratios = topology::cpu_ratios(self.nodes.iter().map(cpu));
        Ok(())
    }

    fn zone_id(&mut self, name: &str) -> Option<ZoneId> {
        if name.is_empty() {
            return None;
        }
        let known = self.zones.enumerate().find(|(_, z)| *z == name).map(|(id, _)| id);
        Some(known.unwrap_or_else(|| self.zones.push(name.to_owned())))
    }

    fn add_workload(&mut self, spec: &ClusterSpec, w: &WorkloadSpec, eligible: Vec<NodeId>, streams: &Streams) -> Result<(), SpecError> {
        let field = |name: &str| format!("pods.{}.{name}", w.name);
        if w.pod.concurrency == 0 || w.pod.concurrency > MOST {
            let problem = format!("a concurrency of {}; expected 1 to {MOST}", w.pod.concurrency);
            return Err(SpecError::new(field("concurrency"), problem, "give the number of requests a Pod serves at once"));
        }
        if let Some(factor) = w.pod.warm_up.map(|w| w.factor).filter(|f| !(1.0..=1e6).contains(f)) {
            let problem = format!("a factor of {factor}; expected 1 to 1000000");
            return Err(SpecError::new(
                field("warmUp.factor"),
                problem,
                "say how many times its demand a cold Pod's request takes, such as 3",
            ));
        }
        if w.pod.max_connections == Some(0) {
            let problem = "0: nobody could ever connect".to_owned();
            return Err(SpecError::new(field("maxConnections"), problem, "give at least 1, or leave it out"));
        }
        if !(0.0..=1.0).contains(&w.pod.error_probability) {
            let problem = format!("a probability of {}; expected 0 to 1", w.pod.error_probability);
            return Err(SpecError::new(field("errorProbability"), problem, "leave it out for Pods that never fail"));
        }
        w.pod.cpu_quota.map_or(Ok(()), |q| q.check(&field("cpuQuota")))?;
        w.pod.adaptive_limit.map_or(Ok(()), |l| l.check(&field("adaptiveLimit")))?;
        let places = if w.is_daemon() { eligible.len() as u32 } else { w.replicas };
        if places > MOST {
            let problem = format!("{places} Pods; expected at most {MOST}");
            return Err(SpecError::new(format!("{}.spec.replicas", w.field), problem, "give fewer replicas"));
        }
        let id = self.workloads.push(Workload {
            name: w.name.clone(),
            discipline: w.pod.discipline,
            concurrency: w.pod.concurrency,
            queue_limit: w.pod.queue_limit,
            shed_after: w.pod.shed_after,
            adaptive_limit: w.pod.adaptive_limit,
            backlog: w.pod.backlog,
            max_connections: w.pod.max_connections,
            cpu_quota: w.pod.cpu_quota,
            sleeps: match &w.pod.scale_to_zero {
                Some(s) => Some((s.after, dist(&field("scaleToZero.coldStart"), &s.cold_start)?)),
                None => None,
            },
            sandbox_teardown: w.pod.sandbox_teardown,
            service_time: dist(&field("serviceTime"), &w.pod.service_time)?,
            image_pull: dist(&field("imagePull"), &w.pod.image_pull)?,
            startup: dist(&field("startup"), &w.pod.startup)?,
            warm_up: w.pod.warm_up,
            speeds: speeds(&field("speeds"), &w.pod.speeds)?,
            interference: w.pod.interference.as_ref().map(|i| dist(&field("interference"), i)).transpose()?,
            error_probability: w.pod.error_probability,
            calls: Vec::new(),
            asynchronous: w.pod.asynchronous,
            at_sigterm: w.pod.at_sigterm,
            probes: w.probes,
            readiness_gate: w.readiness_gate,
            probed: false,
            startup_stream: stream(streams, Purpose::Startup, &w.name),
            ports: w.ports.clone(),
            pre_stop: w.pre_stop,
            termination_grace: w.termination_grace,
            eligible,
            asks: Asks::new(&w.scheduling, &spec.workloads, nodes_with(spec, |n| has_labels(n, w))),
            replicas: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
            controller: w.controller,
            desired: places,
            rollout: w.rollout.clone(),
            budget: w.budget.clone(),
            autoscaler: autoscaler(spec, w, streams)?,
            cpu_request: w.cpu_request,
            versions: Workload::first_version(places),
            progressed: SimTime::ZERO,
            failing: Vec::new(),
            reconciling: false,
        });
        for place in 0..places as usize {
            let node = match (w.is_daemon(), w.placed_on.get(place)) {
                (true, _) => self.workloads[id].eligible[place],
                (false, Some(name)) => self.node_named(spec, w, name)?,
                (false, None) => self.place(id).ok_or_else(|| no_place(w, place))?,
            };
            let name = format!("{}-{place}", w.name);
            let replica = self.replicas.push(Replica { name, workload: id, pod: crate::ids::PodId(0), place: place as u32, pods: 1 });
            self.replicas[replica].pod = self.create_running_pod(replica, node);
            self.workloads[id].replicas.push(replica);
        }
        Ok(())
    }

    fn node_named(&self, spec: &ClusterSpec, w: &WorkloadSpec, name: &str) -> Result<NodeId, SpecError> {
        let found = spec.nodes.iter().position(|n| n.name == name).map(NodeId::from_index);
        found.ok_or_else(|| {
            let problem = format!("a Pod of {} runs on Node `{name}`, which is not among the Nodes", w.name);
            SpecError::new(w.field.clone(), problem, "add the Node, or leave the Pods out so that they are placed anew")
        })
    }

    fn add_services(&mut self, spec: &ClusterSpec) -> Result<(), SpecError> {
        let mut services: IdVec<ServiceId, Service> = IdVec::new();
        for (i, s) in spec.services.iter().enumerate() {
            if services.iter().any(|other| other.name == s.name) {
                return Err(SpecError::new(s.field.clone(), "two Services have this name", "rename one of them"));
            }
            let matches = |w: &WorkloadSpec| !s.selector.is_empty() && s.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v));
            let backends: Vec<WorkloadId> =
                spec.workloads.iter().enumerate().filter(|(_, w)| matches(w)).map(|(i, _)| WorkloadId::from_index(i)).collect();
            let mut s: ServiceSpec = s.clone();
            if s.service_type == ServiceType::LoadBalancer && s.load_balancer_ips.is_empty() {
                s.load_balancer_ips.push(addresses::load_balancer(i));
            }
            let id = services.push(Service::new(s, backends.clone()));
            for &w in &backends {
                self.workloads[w].services.push(id);
            }
            self.endpoints.push(EndpointState::default());
        }
        self.table = ServiceTable::new(services, Some(allocator::service_cidr().into()));
        Ok(())
    }

    /// Every Node knows what is true at the start.
    fn inform_nodes(&mut self) {
        let mut sets: IdVec<ServiceId, Rc<EndpointSet>> = IdVec::new();
        for service in self.table.services.ids() {
            let set = self.endpoint_set(service);
            let ready = set.ready() as u32;
            let mut slices = ServiceSlices::default();
            slices.reconcile(&set, self.propagation.max_per_slice);
            self.endpoints[service] =
                EndpointState { slices, fresh_nodes: self.nodes.len() as u32, ready, ready_fewest: ready, ..EndpointState::default() };
            sets.push(Rc::new(set));
        }
        self.rules = RuleSet::of(self.table.services.iter().zip(sets.iter().map(Rc::as_ref)));
        let common = Rc::new(sets.clone());
        for node in self.nodes.iter_mut() {
            node.proxy.share(&common);
        }
        self.known_to_dns = sets.clone();
        (self.published, self.common) = (sets, common);
    }

    /// A load balancer for each port: AWS and Google Cloud have a group of targets each, others think of the address alone.
    fn add_load_balancers(&mut self, spec: &ClusterSpec, id: ServiceId, streams: &Streams) -> Result<(), SpecError> {
        let service = &self.table.services[id];
        if service.service_type != ServiceType::LoadBalancer {
            return Ok(());
        }
        let address = service.load_balancer_ips.first().copied().unwrap_or_else(|| addresses::load_balancer(id.index()));
        let local_policy = service.checks_local_health();
        let nodes = self.nodes.enumerate().map(|(id, n)| NodeFact { id, name: n.spec.name.clone() }).collect();
        let facts = Facts { address, local_policy, nodes };
        for port in 0..service.ports.len() as u16 {
            let service = &self.table.services[id];
            let name = if port == 0 { service.name.clone() } else { format!("{}:{}", service.name, service.ports[usize::from(port)].port) };
            let lb = LoadBalancer::build(&spec.load_balancer, &facts, load_balancer::stream(streams, &name))?;
            let breaker = lb.parameters().proxies.and_then(|p| p.circuit_breaker).map(Breaker::new);
            let (targets, orders) = (BTreeSet::new(), Vec::new());
            let balancer = Balancer { service: id, port, lb, targets, orders, failures: 0, breaker };
            let balancer = self.load_balancers.push(balancer);
            self.endpoints[id].balancers.push(balancer);
            let targets = self.wanted_targets(balancer, &self.published[id]);
            let state = |t: &Target| match *t {
                Target::Node(n) => (*t, self.nodes[n].zone, !local_policy || self.nodes[n].has_ready(id, n)),
                Target::Pod(p) => (*t, self.nodes[self.pods[p].node].zone, true),
            };
            let known: Vec<_> = targets.iter().map(state).collect();
            self.load_balancers[balancer].lb.start(known.into_iter());
            self.load_balancers[balancer].targets = targets;
        }
        Ok(())
    }

    pub(super) fn called_service(&self, field: &str, name: &str) -> Result<ServiceId, SpecError> {
        let found = self.table.services.enumerate().find(|(_, s)| s.name == name).map(|(id, _)| id);
        found.ok_or_else(|| {
            let names = list(self.table.services.iter().map(|s| s.name.as_str()));
            SpecError::new(field, format!("there is no Service `{name}`"), format!("name one of {names}"))
        })
    }

    /// The workload called `name`, which `field` names.
    pub(super) fn workload_id(&self, field: &str, name: &str) -> Result<WorkloadId, SpecError> {
        let found = self.workloads.enumerate().find(|(_, w)| w.name == name).map(|(id, _)| id);
        found.ok_or_else(|| self.no_workload(field, name))
    }

    fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.name == name)
    }

    fn no_workload(&self, field: &str, name: &str) -> SpecError {
        let names = list(self.workloads.iter().map(|w| w.name.as_str()));
        SpecError::new(field, format!("there is no workload `{name}`"), format!("name one of {names}"))
    }
}

/// The workload's autoscaler, checked by the API server's rules (`pkg/apis/autoscaling/validation`).
fn autoscaler(spec: &ClusterSpec, w: &WorkloadSpec, streams: &Streams) -> Result<Option<Autoscaler>, SpecError> {
    let Some(a) = &w.autoscaler else { return Ok(None) };
    let error = |field: &str, problem: String, fix: &str| Err(SpecError::new(format!("{}.spec.{field}", a.field), problem, fix));
    let common = &spec.autoscaling;
    for (field, period) in [("syncPeriod", common.sync_period), ("metricResolution", common.metric_resolution)] {
        if period < SimDuration::from_millis(100) {
            let problem = format!("a period of {period}; expected 100ms or more");
            return Err(SpecError::new(format!("autoscaling.{field}"), problem, "leave it out for 15s"));
        }
    }
    if !(0.0..=1e3).contains(&common.tolerance) {
        let problem = format!("a tolerance of {}; expected 0 or more", common.tolerance);
        return Err(SpecError::new("autoscaling.tolerance", problem, "leave it out for 0.1"));
    }
    if w.is_daemon() {
        return error("scaleTargetRef", format!("{} is a DaemonSet, which has no number of replicas", w.name), "scale a Deployment");
    }
    if a.max_replicas < a.min_replicas || a.max_replicas == 0 || a.max_replicas > MOST {
        let problem =
            format!("{} replicas at most, where minReplicas is {}; expected 1 to {MOST}, and no fewer", a.max_replicas, a.min_replicas);
        return error("maxReplicas", problem, "give at least minReplicas");
    }
    Ok(Some(Autoscaler::new(a, common, stream(streams, Purpose::Autoscaler, &w.name))))
}

/// Speeds that make sense.
fn speeds(field: &str, speeds: &[f64]) -> Result<Vec<f64>, SpecError> {
    match speeds.iter().position(|s| !(1e-6..=1e6).contains(s)) {
        None => Ok(speeds.to_vec()),
        Some(i) => {
            let problem = format!("a speed of {}; expected 0.000001 to 1000000", speeds[i]);
            Err(SpecError::new(format!("{field}[{i}]"), problem, "give 1 for a Pod of ordinary speed, 0.5 for one half as fast"))
        }
    }
}

/// `--max-endpoints-per-slice`, which kube-controller-manager takes from 1 to 1000.
fn max_per_slice(spec: &EndpointSlicesSpec) -> Result<usize, SpecError> {
    if (1..=1_000).contains(&spec.max_per_slice) {
        return Ok(spec.max_per_slice as usize);
    }
    let problem = format!("{} endpoints in a slice; expected 1 to 1000", spec.max_per_slice);
    Err(SpecError::new("endpointSlices.maxPerSlice", problem, "leave it out for 100"))
}

fn rate_limit(spec: &EndpointSlicesSpec) -> Result<RateLimit, SpecError> {
    if spec.qps.0 < 0.001 {
        let problem = format!("{} writes; expected 0.001/s or more", spec.qps);
        return Err(SpecError::new("endpointSlices.qps", problem, "leave it out for 20/s"));
    }
    if spec.burst == 0 {
        return Err(SpecError::new("endpointSlices.burst", "a burst of 0; expected 1 or more", "leave it out for 30"));
    }
    Ok(RateLimit::new(spec.qps.0, spec.burst))
}

/// Builds a distribution, naming `field` if it makes no sense.
pub(super) fn dist<Q: Quantity>(field: &str, spec: &DistSpec<Q>) -> Result<Dist, SpecError> {
    spec.build().map_err(|problem| SpecError::new(field, problem, format!("give {} or a distribution with sound parameters", Q::NAME)))
}

pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(12);
    names.truncate(12);
    match (names.is_empty(), more) {
        (true, _) => "(there is none)".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn check_run(spec: &ClusterSpec) -> Result<(), SpecError> {
    let run = &spec.run;
    if run.duration == SimDuration::ZERO {
        return Err(SpecError::new("run.duration", "a duration of 0s; expected more than nothing", "give a duration such as 60s"));
    }
    if run.warm_up >= run.duration {
        let problem = format!("a warm-up of {} leaves nothing of a run of {}", run.warm_up, run.duration);
        return Err(SpecError::new("run.warmUp", problem, "give a warm-up shorter than the duration"));
    }
    let windows = run.duration.as_nanos() / run.window.as_nanos().max(1);
    if run.window == SimDuration::ZERO || windows > 100_000 {
        let problem = format!("windows of {} in a run of {}; expected at most 100000 windows", run.window, run.duration);
        return Err(SpecError::new("run.window", problem, "give a wider window, such as 1s"));
    }
    Ok(())
}

fn check_unique<'a>(field: &str, names: impl Iterator<Item = &'a String>) -> Result<(), SpecError> {
    let mut seen = BTreeMap::new();
    for name in names {
        if seen.insert(name, ()).is_some() {
            return Err(SpecError::new(format!("{field}.{name}"), format!("`{name}` is there twice"), "rename one of them"));
        }
    }
    Ok(())
}

/// Nodes that the workload's Pods may be placed on.
/// Whether a Node carries the labels that a workload's Pods ask for.
fn has_labels(n: &NodeSpec, w: &WorkloadSpec) -> bool {
    let terms = &w.scheduling.node_terms;
    w.node_selector.iter().all(|(k, v)| n.labels.get(k) == Some(v))
        && (terms.is_empty() || terms.iter().any(|term| term.iter().all(|r| r.holds(&n.labels))))
}

fn nodes_with(spec: &ClusterSpec, fits: impl Fn(&NodeSpec) -> bool) -> Vec<NodeId> {
    spec.nodes.iter().enumerate().filter(|(_, n)| fits(n)).map(|(i, _)| NodeId::from_index(i)).collect()
}

/// The Pod at a place of a workload fits on no Node when the run begins.
fn no_place(w: &WorkloadSpec, place: usize) -> SpecError {
    let problem = format!(
        "{place} of {} Pods of {} fit on the Nodes that take them; for another there is no room, or affinity or spreading forbids it",
        w.replicas, w.name
    );
    SpecError::new(format!("{}.spec.replicas", w.field), problem, "give fewer replicas, more Nodes, smaller requests or weaker constraints")
}

fn eligible_nodes(spec: &ClusterSpec, w: &WorkloadSpec) -> Result<Vec<NodeId>, SpecError> {
    // A DaemonSet's Pods tolerate a cordon (DaemonSet controller: node.kubernetes.io/unschedulable).
    let eligible =
        nodes_with(spec, |n| (!n.unschedulable || w.is_daemon()) && has_labels(n, w) && tolerated(&n.taints, &w.scheduling.tolerations));
    let wanted = if w.is_daemon() { 0 } else { (w.replicas as usize).saturating_sub(w.placed_on.len()) };
    if eligible.is_empty() && wanted > 0 {
        let field = format!("{}.spec.template.spec.nodeSelector", w.field);
        let problem = format!(
            "no schedulable Node carries the labels that the Pods of {} ask for, without taints that they do not tolerate: they cannot be \
             placed",
            w.name
        );
        return Err(SpecError::new(field, problem, "label a Node, or change the selector, the affinity or the tolerations"));
    }
    Ok(eligible)
}
