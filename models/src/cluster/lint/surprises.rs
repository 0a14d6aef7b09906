//! Combinations that are legal and do what Kubernetes does, which is not what most people expect.

use super::{Lint, list_of};
use crate::api::Service;
use crate::balance::{HashOn, SignalSpec};
use crate::cluster::{Cluster, Source};
use crate::dataplane::{Address, Approach, DataPlaneSpec, Sender, ipvs::Scheduler};
use crate::ids::{NodeId, SourceId};
use crate::spec::{ClusterSpec, ConnectionsSpec, Protocol, TrafficDistribution, TrafficPolicy, Via};
use std::collections::BTreeSet;
use svcsim_engine::Id;
use svcsim_engine::random::Streams;

/// What is surprising about a spec that builds.
pub(super) fn surprises(spec: &ClusterSpec) -> Vec<Lint> {
    let Ok(cluster) = Cluster::build(spec, &Streams::new(0, 0)) else { return Vec::new() };
    let mut lints = Vec::new();
    for (i, name) in spec.traffic.keys().enumerate() {
        let call = Call { spec, cluster: &cluster, name, source: &cluster.sources[SourceId::from_index(i)] };
        let found = [
            call.no_data_plane(),
            call.nobody_local(),
            call.one_backend(),
            call.zone_without_pods(),
            call.few_addresses(),
            call.answers_astray(),
            call.fewer_connections_than_pods(),
            call.conntrack_fills(),
        ];
        lints.extend(found.into_iter().flatten().chain(call.settings_unheeded()));
    }
    lints
}

/// One source and the Service it calls.
struct Call<'a> {
    spec: &'a ClusterSpec,
    cluster: &'a Cluster,
    name: &'a str,
    source: &'a Source,
}

impl Call<'_> {
    fn service(&self) -> &Service {
        &self.cluster.table.services[self.source.service]
    }

    fn at_service(&self, field: &str, problem: String) -> Option<Lint> {
        Some(Lint::new(format!("{}.spec.{field}", self.service().field), problem))
    }

    fn at_traffic(&self, field: &str, problem: String) -> Option<Lint> {
        Some(Lint::new(format!("traffic.{}.{field}", self.name), problem))
    }

    /// Nodes that run a ready Pod of the Service at the start.
    fn nodes_with_pods(&self) -> BTreeSet<NodeId> {
        let ports = &self.cluster.published[self.source.service].ports;
        ports.iter().flat_map(|p| p.ready().iter().filter_map(|i| p.endpoints[*i as usize].node)).collect()
    }

    fn pods(&self) -> usize {
        self.cluster.published[self.source.service].ready()
    }

    fn clients_on(&self) -> BTreeSet<NodeId> {
        self.source.clients.iter().filter_map(|c| c.node).collect()
    }

    fn no_data_plane(&self) -> Option<Lint> {
        let virtual_address = !self.source.via.is_to_pod() && matches!(self.spec.data_plane, DataPlaneSpec::Unproxied(_));
        let problem = "with data plane `none` no Node knows this address: every connection times out; dial a headless Service via PodIP";
        if virtual_address { self.at_traffic("via", problem.to_owned()) } else { None }
    }

    /// What a policy is told and does not listen to.
    fn settings_unheeded(&self) -> Vec<Lint> {
        let Some(balancing) = &self.source.balancing else { return Vec::new() };
        let knows = balancing.policy.knows();
        let given = [
            (balancing.signal != SignalSpec::default() && !knows.loads, "signal", "looks at no loads"),
            (balancing.hash_on != HashOn::default() && !knows.hash, "hashOn", "hashes nothing"),
            (!balancing.weights.is_empty() && !knows.weights, "weights", "does not heed weights"),
        ];
        let mut lints: Vec<Lint> = given
            .iter()
            .filter(|(unheeded, _, _)| *unheeded)
            .filter_map(|(_, part, why)| self.at_traffic(&format!("balancing.{part}"), format!("the policy {why}: this changes nothing")))
            .map(|lint| Lint { of_no_effect: true, ..lint })
            .collect();
        if knows.hash && balancing.hash_on == HashOn::Key && self.source.keys.is_none() {
            let problem = "requests have no keys, so that all hash alike: one Pod gets all of a client's requests; give `keys:`";
            lints.extend(self.at_traffic("balancing.hashOn", problem.to_owned()));
        }
        lints
    }

    /// `internalTrafficPolicy: Local` drops what comes from Nodes without a Pod of the Service.
    fn nobody_local(&self) -> Option<Lint> {
        let with_pods = self.nodes_with_pods();
        let bare: Vec<String> =
            self.clients_on().iter().filter(|n| !with_pods.contains(n)).map(|n| self.cluster.nodes[*n].spec.name.clone()).collect();
        let local = self.service().internal_traffic_policy == TrafficPolicy::Local && self.source.address == Address::ClusterIP;
        if !local || self.source.via.is_to_pod() || bare.is_empty() || with_pods.is_empty() {
            return None;
        }
        let problem = format!(
            "internalTrafficPolicy Local uses Pods of the caller's own Node only, and {} run none: calls from there are dropped, or \
             refused, though other Nodes have Pods",
            list_of(&bare)
        );
        self.at_service("internalTrafficPolicy", problem)
    }

    /// IPVS schedulers made for caches send all of a virtual address to one backend.
    fn one_backend(&self) -> Option<Lint> {
        let DataPlaneSpec::Ipvs(ipvs) = &self.spec.data_plane else { return None };
        let (word, until) = match ipvs.scheduler {
            Scheduler::Dh => ("dh", ""),
            Scheduler::Lblc => ("lblc", " until it is overloaded"),
            Scheduler::Lblcr => ("lblcr", " until it is overloaded"),
            _ => return None,
        };
        if self.pods() < 2 || self.source.via.is_to_pod() {
            return None;
        }
        let problem = format!(
            "IPVS {word} hashes the destination address, and a Service has one: each Node sends everything to one of {} Pods{until}; it is \
             made for caches behind many addresses",
            self.pods()
        );
        Some(Lint::new("dataPlane.ipvs.scheduler".to_owned(), problem))
    }

    /// Hints of a zone without Pods send its callers anywhere, and a zone with few Pods gets all of its callers.
    fn zone_without_pods(&self) -> Option<Lint> {
        let service = self.service();
        let preferred = match service.traffic_distribution {
            _ if service.topology_mode_auto => return None,
            Some(TrafficDistribution::PreferSameZone) => "PreferSameZone",
            Some(TrafficDistribution::PreferSameNode) => "PreferSameNode",
            None => return None,
        };
        let zones = |nodes: &BTreeSet<NodeId>| nodes.iter().filter_map(|n| self.cluster.nodes[*n].zone).collect::<BTreeSet<_>>();
        let (with_pods, callers) = (self.nodes_with_pods(), self.clients_on());
        if let Some(node) = with_pods.iter().find(|n| self.cluster.nodes[**n].zone.is_none()) {
            let name = &self.cluster.nodes[*node].spec.name;
            let problem =
                format!("{name} has no zone label: its Pods get no hint, and one ready endpoint without turns {preferred} off for all");
            return self.at_service("trafficDistribution", problem);
        }
        let bare: Vec<String> = zones(&callers).difference(&zones(&with_pods)).map(|z| self.cluster.zones[*z].clone()).collect();
        if bare.is_empty() || with_pods.is_empty() {
            return None;
        }
        let problem = format!("{preferred}: no Pod runs in {}, so callers there use Pods of every zone", list_of(&bare));
        self.at_service("trafficDistribution", problem)
    }

    /// Session affinity knows addresses, not people.
    fn few_addresses(&self) -> Option<Lint> {
        self.service().session_affinity?;
        let addresses: BTreeSet<_> = self.source.clients.iter().map(|c| c.address).collect();
        if addresses.len() >= self.source.clients.len() || self.pods() < 2 {
            return None;
        }
        let problem = format!(
            "sessionAffinity ClientIP sees {} address(es) for {} clients: at most that many of {} Pods are used by each Node",
            addresses.len(),
            self.source.clients.len(),
            self.pods()
        );
        self.at_service("sessionAffinity", problem)
    }

    /// A short circuit on another Node than the caller's is answered past it.
    fn answers_astray(&self) -> Option<Lint> {
        let inside = |a: &Approach| matches!(a, Approach::Server(_, Sender::Pod));
        let short = self.service().external_traffic_policy == TrafficPolicy::Local && self.source.via == Via::NodePort;
        if !short || !self.source.clients.iter().all(|c| inside(&c.approach)) {
            return None;
        }
        let problem =
            "Pods that dial another Node's node port under externalTrafficPolicy Local are forwarded to any Pod without SNAT, so its \
                       answer comes from an address they never dialled and is lost; dial the cluster IP"
                .to_owned();
        self.at_traffic("via", problem)
    }

    /// Every connection leaves an entry behind for two minutes.
    fn conntrack_fills(&self) -> Option<Lint> {
        let t = &self.spec.traffic[self.name];
        let short = t.connections == ConnectionsSpec::PerRequest && self.source.protocol != Protocol::Udp && !self.source.via.is_to_pod();
        let inside = self.clients_on();
        let entered_at = if inside.is_empty() || self.source.via == Via::NodePort { self.cluster.nodes.len() } else { inside.len() };
        let each = t.arrivals.rate() / entered_at as f64;
        let stays = self.spec.conntrack.tcp_time_wait;
        let entries = each * stays.as_secs_f64().min(self.spec.run.duration.as_secs_f64());
        let max = self.cluster.nodes.iter().map(|n| n.conntrack.max()).min().unwrap_or(u32::MAX);
        if !short || entries <= f64::from(max) {
            return None;
        }
        let problem = format!(
            "a connection for each request is {each:.0} new ones a second at each of {entered_at} Node(s), and an entry stays {stays} after its \
             connection: the conntrack table of {max} entries fills up and new connections are dropped; keep connections alive, or raise \
             conntrack.min"
        );
        self.at_traffic("connections", problem)
    }

    /// Kept-alive connections are balanced once.
    fn fewer_connections_than_pods(&self) -> Option<Lint> {
        let each = match &self.spec.traffic[self.name].connections {
            ConnectionsSpec::PerRequest => return None,
            ConnectionsSpec::KeepAlive(_) => 1,
            ConnectionsSpec::Fixed(fixed) => fixed.connections,
            ConnectionsSpec::Multiplexed(multiplexed) => multiplexed.connections,
        };
        let clients = self.source.clients.len();
        let by_request = self.source.balancing.is_some();
        if by_request || self.pods() < 2 || clients * each as usize >= 4 * self.pods() {
            return None;
        }
        let problem = format!(
            "{clients} client(s) keep connections to {} Pods: a Pod is chosen once for each connection, so expect some Pods to be idle and \
             others hot, however many requests there are",
            self.pods()
        );
        self.at_traffic("connections", problem)
    }
}
