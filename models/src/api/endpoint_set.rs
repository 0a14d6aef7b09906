//! [`EndpointSet`]: the endpoints of one Service at one moment, merged from its EndpointSlices and sorted into the
//! lists that proxies use (`pkg/proxy/endpointslicecache.go`, `pkg/proxy/topology.go` CategorizeEndpoints).

use super::endpoint::Endpoint;
use crate::ids::{NodeId, ZoneId};
use crate::spec::TrafficPolicy;
use std::cell::Cell;
use svcsim_engine::{SimDuration, SimTime};

/// An immutable version of a Service's endpoints; Nodes that have seen the same version share it.
#[derive(Clone, Debug, Default)]
pub struct EndpointSet {
    /// Counts the changes of the Service's Pods; a Node never goes back to a lower one.
    pub version: u64,
    /// By port, in the order of the Service's ports.
    pub ports: Vec<PortEndpoints>,
    /// The oldest change of a Pod that it was written for: `endpoints.kubernetes.io/last-change-trigger-time` (EPS
    /// `trigger_time_tracker.go`); none for what was there at the start.
    pub trigger: Option<SimTime>,
    /// When the next change of a Pod made it old; none while there is no newer truth.
    pub superseded: Cell<Option<SimTime>>,
}

/// The endpoints of one port of a Service. Lists hold indices of [`Self::endpoints`].
#[derive(Clone, Debug, Default)]
pub struct PortEndpoints {
    /// All of them, sorted by address and port, so that no order depends on slices.
    pub endpoints: Vec<Endpoint>,
    ready: Vec<u32>,
    /// Serving and terminating: used where a scope has no ready one (KEP-1669).
    draining: Vec<u32>,
    ready_on: Grouped<NodeId>,
    draining_on: Grouped<NodeId>,
    /// By the zone that ready endpoints are hinted to; none unless every ready one has such a hint.
    zone_hints: Option<Grouped<ZoneId>>,
    /// By the Node that ready endpoints are hinted to; none unless every ready one has such a hint.
    node_hints: Option<Grouped<NodeId>>,
}

/// From where a proxy looks at endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Vantage {
    /// Its Node: endpoints there are local.
    pub node: NodeId,
    /// The Node's zone, if labelled.
    pub zone: Option<ZoneId>,
    /// Whether hints to Nodes are understood (from Kubernetes 1.35 on) and the Node's name is known.
    pub node_hints: bool,
}

/// What of a Service decides which lists exist.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// `internalTrafficPolicy`.
    pub internal: TrafficPolicy,
    /// `externalTrafficPolicy`.
    pub external: TrafficPolicy,
    /// Whether it has a node port, a programmed load-balancer address or an external IP
    /// (`pkg/proxy/serviceport.go` ExternallyAccessible).
    pub externally_accessible: bool,
}

/// The endpoints that one Node's proxy may use; a list that does not exist is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Categories<'a> {
    /// For policy Cluster, and for short circuits.
    pub cluster: Option<&'a [u32]>,
    /// For policy Local.
    pub local: Option<&'a [u32]>,
    /// Whether anything is usable somewhere: if not, connections are rejected rather than dropped.
    pub has_any: bool,
}

impl EndpointSet {
    /// For how long it has been old; zero for the newest.
    #[must_use]
    pub fn staleness(&self, now: SimTime) -> SimDuration {
        self.superseded.get().map_or(SimDuration::ZERO, |since| now.since(since))
    }

    /// Ready endpoints of its port with the most.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ports.iter().map(|p| p.ready.len()).max().unwrap_or(0)
    }
}

impl PortEndpoints {
    /// Sorts `endpoints` into lists. Of several with one address and port the first counts.
    #[must_use]
    pub fn new(mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort_by_key(|e| (e.ip, e.port));
        endpoints.dedup_by_key(|e| (e.ip, e.port));
        let which = |keep: fn(&Endpoint) -> bool| -> Vec<u32> { (0..).zip(&endpoints).filter(|(_, e)| keep(e)).map(|(i, _)| i).collect() };
        let ready = which(|e| e.conditions.ready);
        let draining = which(|e| e.conditions.serving && e.conditions.terminating);
        let on = |list: &[u32]| Grouped::new(list.iter().filter_map(|&i| Some((endpoints[i as usize].node?, i))));
        let (ready_on, draining_on) = (on(&ready), on(&draining));
        let hinted = || ready.iter().map(|&i| (&endpoints[i as usize].hints, i));
        let zone_hints = hinted()
            .all(|(h, _)| !h.zones.is_empty())
            .then(|| Grouped::new(hinted().flat_map(|(h, i)| h.zones.iter().map(move |z| (*z, i)))));
        let node_hints = hinted()
            .all(|(h, _)| !h.nodes.is_empty())
            .then(|| Grouped::new(hinted().flat_map(|(h, i)| h.nodes.iter().map(move |n| (*n, i)))));
        Self { endpoints, ready, draining, ready_on, draining_on, zone_hints, node_hints }
    }

    /// Which endpoints the proxy at `from` may use for a Service with these `policies`.
    #[must_use]
    pub fn categorize(&self, from: Vantage, policies: Policies) -> Categories<'_> {
        use TrafficPolicy::{Cluster, Local};
        let uses_cluster = policies.internal == Cluster || policies.externally_accessible;
        let uses_local = policies.internal == Local || (policies.external == Local && policies.externally_accessible);
        let cluster = uses_cluster.then(|| self.cluster(from));
        let has_any = if uses_local { !self.ready.is_empty() || !self.draining.is_empty() } else { !self.cluster(from).is_empty() };
        Categories { cluster, local: uses_local.then(|| self.local(from.node)), has_any }
    }

    /// The cluster list: ready endpoints, only those hinted to this Node or zone where hints hold; if there is none
    /// anywhere, draining ones, whatever their hints.
    #[inline]
    fn cluster(&self, from: Vantage) -> &[u32] {
        match self.hinted(from) {
            Some((_, list)) => list,
            None => self.unhinted(),
        }
    }

    /// What the cluster list is where hints are not heeded: ready endpoints, or draining ones if there is none.
    #[must_use]
    pub fn unhinted(&self) -> &[u32] {
        if self.ready.is_empty() { &self.draining } else { &self.ready }
    }

    /// The hints that hold at `from`, and the endpoints they leave. Hints are all or nothing: one ready endpoint without,
    /// or none for this Node or zone, and they do not count.
    #[must_use]
    pub fn hinted(&self, from: Vantage) -> Option<(HintLevel, &[u32])> {
        let some = |list: &'_ [u32]| !list.is_empty();
        let node = self.node_hints.as_ref().filter(|_| from.node_hints).map(|h| h.of(from.node)).filter(|l| some(l));
        let zone = || self.zone_hints.as_ref().zip(from.zone).map(|(h, z)| h.of(z)).filter(|l| some(l));
        node.map(|l| (HintLevel::Node, l)).or_else(|| zone().map(|l| (HintLevel::Zone, l)))
    }

    /// The local list of `node`: its ready endpoints, or, if it has none, its draining ones, though others may be ready
    /// elsewhere. Hints never apply.
    fn local(&self, node: NodeId) -> &[u32] {
        match self.ready_on.of(node) {
            [] => self.draining_on.of(node),
            ready => ready,
        }
    }

    /// Ready endpoints on `node`: what `healthCheckNodePort` counts.
    #[must_use]
    pub fn ready_on(&self, node: NodeId) -> &[u32] {
        self.ready_on.of(node)
    }

    /// All ready endpoints.
    #[must_use]
    pub fn ready(&self) -> &[u32] {
        &self.ready
    }
}

/// How far hints narrow the cluster list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintLevel {
    /// To endpoints hinted to the Node.
    Node,
    /// To endpoints hinted to its zone.
    Zone,
}

/// Indices by key.
#[derive(Clone, Debug)]
struct Grouped<K> {
    /// Each key with where its items start, in order.
    keys: Vec<(K, u32)>,
    items: Vec<u32>,
}

impl<K> Default for Grouped<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), items: Vec::new() }
    }
}

impl<K: Copy + Ord> Grouped<K> {
    fn new(pairs: impl Iterator<Item = (K, u32)>) -> Self {
        let mut pairs: Vec<(K, u32)> = pairs.collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut keys: Vec<(K, u32)> = Vec::new();
        for (i, (key, _)) in (0..).zip(&pairs) {
            if keys.last().is_none_or(|(last, _)| last != key) {
                keys.push((*key, i));
            }
        }
        Self { keys, items: pairs.into_iter().map(|(_, i)| i).collect() }
    }

    fn of(&self, key: K) -> &[u32] {
        let Ok(at) = self.keys.binary_search_by_key(&key, |(k, _)| *k) else { return &[] };
        let end = self.keys.get(at + 1).map_or(self.items.len(), |(_, start)| *start as usize);
        &self.items[self.keys[at].1 as usize..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::endpoint::{Conditions, Hints};
    use crate::ids::PodId;
    use std::net::{IpAddr, Ipv4Addr};

    fn endpoint(n: u32, node: u32, ready: bool, terminating: bool) -> Endpoint {
        Endpoint {
            pod: PodId(n),
            ip: IpAddr::V4(Ipv4Addr::from(n)),
            port: 80,
            node: Some(NodeId(node)),
            zone: None,
            conditions: Conditions { ready, serving: true, terminating },
            hints: Hints::default(),
        }
    }

    fn at(node: u32) -> Vantage {
        Vantage { node: NodeId(node), zone: None, node_hints: true }
    }

    fn pods(set: &PortEndpoints, list: &[u32]) -> Vec<u32> {
        list.iter().map(|i| set.endpoints[*i as usize].pod.0).collect()
    }

    #[test]
    fn draining_endpoints_serve_only_where_no_ready_one_is_left_in_scope() {
        let set = PortEndpoints::new(vec![endpoint(3, 1, true, false), endpoint(1, 0, false, true), endpoint(2, 1, false, true)]);
        assert_eq!(pods(&set, set.cluster(at(0))), [3], "a ready endpoint anywhere keeps draining ones out of the cluster list");
        assert_eq!(pods(&set, set.local(NodeId(0))), [1], "the local list falls back by itself");
        assert_eq!(pods(&set, set.local(NodeId(1))), [3]);
        assert_eq!((set.ready_on(NodeId(0)).len(), set.ready_on(NodeId(1)).len(), set.local(NodeId(2)).len()), (0, 1, 0));
        let all_draining = PortEndpoints::new(vec![endpoint(1, 0, false, true), endpoint(2, 1, false, true)]);
        assert_eq!(pods(&all_draining, all_draining.cluster(at(2))), [1, 2]);
    }

    #[test]
    fn serving_but_neither_ready_nor_terminating_is_never_used() {
        let set = PortEndpoints::new(vec![endpoint(1, 0, false, false)]);
        assert!(set.cluster(at(0)).is_empty() && set.local(NodeId(0)).is_empty());
    }

    #[test]
    fn one_ready_endpoint_without_a_hint_turns_hints_off_for_everyone() {
        let hinted = |n, zone| Endpoint { hints: Hints { zones: vec![ZoneId(zone)], nodes: Vec::new() }, ..endpoint(n, n, true, false) };
        let from = Vantage { node: NodeId(9), zone: Some(ZoneId(0)), node_hints: true };
        let all = PortEndpoints::new(vec![hinted(1, 0), hinted(2, 1), endpoint(4, 4, false, false)]);
        assert_eq!(pods(&all, all.cluster(from)), [1], "an endpoint that is not ready needs no hint");
        let elsewhere = Vantage { zone: Some(ZoneId(7)), ..from };
        assert_eq!(pods(&all, all.cluster(elsewhere)), [1, 2], "a zone without endpoints uses all");
        let gap = PortEndpoints::new(vec![hinted(1, 0), hinted(2, 1), endpoint(3, 3, true, false)]);
        assert_eq!(pods(&gap, gap.cluster(from)), [1, 2, 3]);
    }
}
