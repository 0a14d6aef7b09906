//! [`ClusterSpec`] to [`Cluster`]: every check of a spec is here or below it. After build, nothing can be
//! wrong with the input any more.

use super::run::stream;
use super::{Churn, Client, Cluster, EndpointState, Node, Propagation, Purpose, Replica, Source, SourceStreams, Workload};
use crate::api::{EndpointSet, PodPhase, Service};
use crate::dataplane::Proxy;
use crate::ids::{NodeId, ServiceId, WorkloadId};
use crate::load_balancer;
use crate::network::Network;
use crate::record::Recorder;
use crate::spec::{
    ClusterSpec, ConnectionsSpec, Origin, ServiceSpec, ServiceType, SpecError, TrafficPolicy, TrafficSpec, Via, WorkloadSpec,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::queueing::DelayLine;
use svcsim_engine::random::{Dist, DistSpec, Quantity, Streams};
use svcsim_engine::{Id, IdVec, SimDuration, SimTime, Slab};

/// Most Pods, and most clients, of one kind: bounds what a slip of the keyboard can ask for.
const MOST: u32 = 1_000_000;

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
            nodes: IdVec::new(),
            services: IdVec::new(),
            endpoints: IdVec::new(),
            load_balancers: IdVec::new(),
            workloads: IdVec::new(),
            replicas: IdVec::new(),
            pods: IdVec::new(),
            sources: IdVec::new(),
            requests: Slab::new(),
            updates: Vec::new(),
            network,
            propagation: Propagation {
                publish: dist("propagation.publish", &spec.propagation.publish)?,
                to_node: dist("propagation.toNode", &spec.propagation.to_node)?,
                stream: stream(streams, Purpose::Propagation, ""),
            },
            recorder: Recorder::new(&[], 0, SimTime::ZERO),
            sending_until: SimTime::ZERO + spec.run.duration,
        };
        let eligible: Vec<_> = spec.workloads.iter().map(|w| eligible_nodes(spec, w)).collect::<Result<_, _>>()?;
        cluster.add_nodes(spec, streams);
        for (workload, eligible) in spec.workloads.iter().zip(eligible) {
            cluster.add_workload(spec, workload, eligible, streams)?;
        }
        for service in &spec.services {
            cluster.add_service(spec, service)?;
        }
        cluster.inform_nodes();
        for service in cluster.services.ids() {
            cluster.add_load_balancer(spec, service, streams)?;
        }
        for (name, traffic) in &spec.traffic {
            cluster.add_source(spec, name, traffic, streams)?;
        }
        if spec.traffic.is_empty() {
            let fix = "add a source under `traffic:` that says from where, to which Service and how often";
            return Err(SpecError::new("traffic", "no traffic: nothing would be simulated", fix));
        }
        if let Some(name) = spec.churn.keys().find(|name| cluster.workload(name).is_none()) {
            return Err(cluster.no_workload(&format!("churn.{name}"), name));
        }
        let names: Vec<&str> = spec.traffic.keys().map(String::as_str).collect();
        cluster.recorder = Recorder::new(&names, cluster.replicas.len(), SimTime::ZERO + spec.run.warm_up);
        Ok(cluster)
    }

    fn add_nodes(&mut self, spec: &ClusterSpec, streams: &Streams) {
        for (i, node) in spec.nodes.iter().enumerate() {
            let id = NodeId::from_index(i);
            let proxy = Proxy::new(id, spec.data_plane, stream(streams, Purpose::Proxy, &node.name));
            self.nodes.push(Node { spec: node.clone(), vertex: self.network.node_vertex(id), proxy });
        }
    }

    fn add_workload(&mut self, spec: &ClusterSpec, w: &WorkloadSpec, eligible: Vec<NodeId>, streams: &Streams) -> Result<(), SpecError> {
        let field = |name: &str| format!("pods.{}.{name}", w.name);
        if w.pod.concurrency == 0 || w.pod.concurrency > MOST {
            let problem = format!("a concurrency of {}; expected 1 to {MOST}", w.pod.concurrency);
            return Err(SpecError::new(field("concurrency"), problem, "give the number of requests a Pod serves at once"));
        }
        let places = if w.daemon { eligible.len() as u32 } else { w.replicas };
        if places > MOST {
            let problem = format!("{places} Pods; expected at most {MOST}");
            return Err(SpecError::new(format!("{}.spec.replicas", w.field), problem, "give fewer replicas"));
        }
        let default_churn = crate::spec::ChurnSpec::default();
        let churn = spec.churn.get(&w.name).unwrap_or(&default_churn);
        let incidents = |name: &str, every: &Option<DistSpec<SimDuration>>, purpose| -> Result<Option<Churn>, SpecError> {
            let Some(every) = every else { return Ok(None) };
            let field = format!("churn.{}.{name}", w.name);
            let every = dist(&field, every)?;
            if every.mean() < 1e6 {
                let problem = format!("incidents every {:.0} ns on average; expected 1ms or more", every.mean());
                return Err(SpecError::new(field, problem, "give the time from one incident to the next, such as 30s"));
            }
            Ok(Some(Churn { every, stream: stream(streams, purpose, &w.name) }))
        };
        let id = self.workloads.push(Workload {
            name: w.name.clone(),
            discipline: w.pod.discipline,
            concurrency: w.pod.concurrency,
            queue_limit: w.pod.queue_limit,
            service_time: dist(&field("serviceTime"), &w.pod.service_time)?,
            startup: dist(&field("startup"), &w.pod.startup)?,
            startup_stream: stream(streams, Purpose::Startup, &w.name),
            pre_stop: w.pre_stop,
            termination_grace: w.termination_grace,
            eligible,
            replicas: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
            crash: incidents("crashEvery", &churn.crash_every, Purpose::Crash)?,
            terminate: incidents("terminateEvery", &churn.terminate_every, Purpose::Terminate)?,
            detection: dist(&format!("churn.{}.crashDetection", w.name), &churn.crash_detection)?,
        });
        for place in 0..places as usize {
            let node = match (w.daemon, w.placed_on.get(place)) {
                (true, _) => self.workloads[id].eligible[place],
                (false, Some(name)) => self.node_named(spec, w, name)?,
                (false, None) => self.place(id),
            };
            let name = format!("{}-{place}", w.name);
            let replica = self.replicas.push(Replica { name, workload: id, pod: crate::ids::PodId(0), pods: 1 });
            self.replicas[replica].pod = self.create_pod(replica, node, PodPhase::Ready);
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

    fn add_service(&mut self, spec: &ClusterSpec, s: &ServiceSpec) -> Result<(), SpecError> {
        if self.services.iter().any(|other| other.name == s.name) {
            return Err(SpecError::new(s.field.clone(), "two Services have this name", "rename one of them"));
        }
        let matches = |w: &WorkloadSpec| !s.selector.is_empty() && s.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v));
        let backends: Vec<WorkloadId> =
            spec.workloads.iter().enumerate().filter(|(_, w)| matches(w)).map(|(i, _)| WorkloadId::from_index(i)).collect();
        let id = self.services.push(Service {
            name: s.name.clone(),
            service_type: s.service_type,
            external_traffic_policy: s.external_traffic_policy,
            internal_traffic_policy: s.internal_traffic_policy,
            backends: backends.clone(),
        });
        for &w in &backends {
            self.workloads[w].services.push(id);
        }
        self.endpoints.push(EndpointState::default());
        Ok(())
    }

    /// Every Node knows what is true at the start.
    fn inform_nodes(&mut self) {
        let mut sets: IdVec<ServiceId, Rc<EndpointSet>> = IdVec::new();
        for service in self.services.ids() {
            let set = self.endpoint_set(service);
            let ready = set.ready().len() as u32;
            self.endpoints[service] =
                EndpointState { fresh_nodes: self.nodes.len() as u32, ready, ready_fewest: ready, ..EndpointState::default() };
            sets.push(Rc::new(set));
        }
        for node in self.nodes.iter_mut() {
            node.proxy.see(sets.clone());
        }
    }

    fn add_load_balancer(&mut self, spec: &ClusterSpec, id: ServiceId, streams: &Streams) -> Result<(), SpecError> {
        let service = &self.services[id];
        let lb = if service.service_type == ServiceType::LoadBalancer {
            let local = service.external_traffic_policy == TrafficPolicy::Local;
            let health = self.nodes.enumerate().map(|(n, node)| !local || node.proxy.view(id).ready_on(n) > 0).collect();
            Some(spec.load_balancer.build(health, load_balancer::stream(streams, &service.name))?)
        } else {
            None
        };
        self.load_balancers.push(lb);
        Ok(())
    }

    fn add_source(&mut self, spec: &ClusterSpec, name: &str, t: &TrafficSpec, streams: &Streams) -> Result<(), SpecError> {
        let field = |part: &str| format!("traffic.{name}.{part}");
        let service = self.called_service(&field("to"), &t.to)?;
        let s = &spec.services[service.index()];
        check_port(&field("port"), t, s)?;
        let in_cluster = !matches!(t.from, Origin::Site(_));
        check_via(&field("via"), t, s, in_cluster)?;
        if t.clients == 0 || t.clients > MOST {
            let problem = format!("{} clients; expected 1 to {MOST}", t.clients);
            return Err(SpecError::new(field("clients"), problem, "give the number of independent clients"));
        }
        if t.timeout == Some(SimDuration::ZERO) {
            let fix = "give a timeout such as 10s, or leave it out if clients wait for ever";
            return Err(SpecError::new(field("timeout"), "a timeout of 0s: every request would fail", fix));
        }
        let places = self.client_places(&field("from"), &t.from)?;
        let clients = (0..t.clients as usize)
            .map(|i| match places[i % places.len()] {
                Place::Site(vertex) => Client { vertex, node: None, idle: Vec::new() },
                Place::Node(node) => Client { vertex: self.nodes[node].vertex, node: Some(node), idle: Vec::new() },
            })
            .collect();
        let stream = |purpose| stream(streams, purpose, name);
        let source = Source {
            service,
            via: t.via,
            workload: self.services[service].backends.first().copied(),
            in_cluster,
            clients,
            arrivals: t.arrivals.build(&field("arrivals"))?,
            request_size: dist(&field("requestSize"), &t.request_size)?,
            response_size: dist(&field("responseSize"), &t.response_size)?,
            timeout: t.timeout,
            max_idle: match t.connections {
                ConnectionsSpec::PerRequest => None,
                ConnectionsSpec::KeepAlive(k) => Some(k.max_idle),
            },
            deadlines: DelayLine::new(),
            streams: SourceStreams {
                arrivals: stream(Purpose::Arrivals),
                clients: stream(Purpose::Clients),
                demand: stream(Purpose::Demand),
                sizes: stream(Purpose::Sizes),
                network: stream(Purpose::Network),
                flow: stream(Purpose::Flow),
            },
        };
        self.sources.push(source);
        Ok(())
    }

    fn called_service(&self, field: &str, name: &str) -> Result<ServiceId, SpecError> {
        let found = self.services.enumerate().find(|(_, s)| s.name == name).map(|(id, _)| id);
        found.ok_or_else(|| {
            let names = list(self.services.iter().map(|s| s.name.as_str()));
            SpecError::new(field, format!("there is no Service `{name}`"), format!("name one of {names}"))
        })
    }

    fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.name == name)
    }

    fn no_workload(&self, field: &str, name: &str) -> SpecError {
        let names = list(self.workloads.iter().map(|w| w.name.as_str()));
        SpecError::new(field, format!("there is no workload `{name}`"), format!("name one of {names}"))
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
                let places: Vec<Place> = workload.pods.iter().map(|p| Place::Node(self.pods[*p].node)).collect();
                if places.is_empty() {
                    let problem = format!("the workload `{name}` has no Pods that could send requests");
                    return Err(SpecError::new(field, problem, "give it replicas, or send from elsewhere"));
                }
                Ok(places)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Site(crate::ids::VertexId),
    Node(NodeId),
}

/// Builds a distribution, naming `field` if it makes no sense.
fn dist<Q: Quantity>(field: &str, spec: &DistSpec<Q>) -> Result<Dist, SpecError> {
    spec.build().map_err(|problem| SpecError::new(field, problem, format!("give {} or a distribution with sound parameters", Q::NAME)))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
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
fn eligible_nodes(spec: &ClusterSpec, w: &WorkloadSpec) -> Result<Vec<NodeId>, SpecError> {
    // A DaemonSet's Pods tolerate a cordon (DaemonSet controller: node.kubernetes.io/unschedulable).
    let fits =
        |n: &crate::spec::NodeSpec| (!n.unschedulable || w.daemon) && w.node_selector.iter().all(|(k, v)| n.labels.get(k) == Some(v));
    let eligible: Vec<NodeId> = spec.nodes.iter().enumerate().filter(|(_, n)| fits(n)).map(|(i, _)| NodeId::from_index(i)).collect();
    let wanted = if w.daemon { 0 } else { (w.replicas as usize).saturating_sub(w.placed_on.len()) };
    if eligible.is_empty() && wanted > 0 {
        let field = format!("{}.spec.template.spec.nodeSelector", w.field);
        let problem = format!("no schedulable Node carries the labels that the Pods of {} ask for: they cannot be placed", w.name);
        return Err(SpecError::new(field, problem, "label a Node, or change the selector"));
    }
    Ok(eligible)
}

fn check_port(field: &str, t: &TrafficSpec, s: &ServiceSpec) -> Result<(), SpecError> {
    let Some(port) = &t.port else { return Ok(()) };
    if s.ports.iter().any(|p| p.name == *port || p.port.to_string() == *port) {
        return Ok(());
    }
    let names = list(s.ports.iter().map(|p| p.name.as_str()).filter(|n| !n.is_empty()));
    let problem = format!("Service `{}` has no port `{port}`", s.name);
    let numbers = s.ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
    Err(SpecError::new(field, problem, format!("name one of {names}, by number {numbers}, or leave it out")))
}

fn check_via(field: &str, t: &TrafficSpec, s: &ServiceSpec, in_cluster: bool) -> Result<(), SpecError> {
    match (t.via, s.service_type) {
        (Via::ClusterIP, _) if !in_cluster => {
            let problem = "a cluster IP cannot be reached from outside the cluster";
            Err(SpecError::new(field, problem, "dial NodePort or LoadBalancer, or send from a workload or from `cluster`"))
        }
        (Via::NodePort, ServiceType::ClusterIP | ServiceType::ExternalName)
        | (Via::LoadBalancer, ServiceType::ClusterIP | ServiceType::NodePort | ServiceType::ExternalName) => {
            let problem = format!("Service `{}` is of type {} and has no {:?} address", s.name, s.service_type, t.via);
            let fix = format!("set services.{}.spec.type to {:?}, or dial another address", s.name, t.via);
            Err(SpecError::new(field, problem, fix))
        }
        _ => Ok(()),
    }
}
