//! [`EndpointSet`]: the endpoints of one Service at one moment, merged from its EndpointSlices as
//! kube-proxy does (`pkg/proxy/endpointslicecache.go`).

use crate::ids::{NodeId, PodId};

/// A Pod as an EndpointSlice shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The Pod behind the address.
    pub pod: PodId,
    /// `nodeName`.
    pub node: NodeId,
    /// Condition `ready`: serving and not terminating.
    pub ready: bool,
    /// Condition `serving`: the Pod's Ready condition, terminating or not.
    pub serving: bool,
    /// Condition `terminating`: deletion has been requested.
    pub terminating: bool,
}

/// An immutable version of a Service's endpoints; Nodes that have seen the same version share it.
#[derive(Clone, Debug, Default)]
pub struct EndpointSet {
    /// Counts the changes of the Service's Pods; a Node never goes back to a lower one.
    pub version: u64,
    /// Ready endpoints, by Node, then Pod.
    ready: Vec<Endpoint>,
    /// Endpoints that are serving and terminating, by Node, then Pod.
    draining: Vec<Endpoint>,
}

impl EndpointSet {
    /// Sorts `endpoints` into the lists a proxy uses. One that is serving but neither ready nor terminating
    /// is never used (`pkg/proxy/topology.go`).
    #[must_use]
    pub fn new(version: u64, endpoints: &[Endpoint]) -> Self {
        let sorted = |keep: fn(&Endpoint) -> bool| {
            let mut list: Vec<Endpoint> = endpoints.iter().copied().filter(keep).collect();
            list.sort_unstable_by_key(|e| (e.node, e.pod));
            list
        };
        Self { version, ready: sorted(|e| e.ready), draining: sorted(|e| !e.ready && e.serving && e.terminating) }
    }

    /// The cluster list: ready endpoints, or, if there is none anywhere, draining ones
    /// (`CategorizeEndpoints`, KEP-1669).
    #[inline]
    #[must_use]
    pub fn cluster(&self) -> &[Endpoint] {
        if self.ready.is_empty() { &self.draining } else { &self.ready }
    }

    /// The local list of `node`: its ready endpoints, or, if it has none, its draining ones, though others
    /// may be ready elsewhere.
    #[must_use]
    pub fn local(&self, node: NodeId) -> &[Endpoint] {
        let ready = on_node(&self.ready, node);
        if ready.is_empty() { on_node(&self.draining, node) } else { ready }
    }

    /// Ready endpoints on `node`: what `healthCheckNodePort` counts.
    #[must_use]
    pub fn ready_on(&self, node: NodeId) -> usize {
        on_node(&self.ready, node).len()
    }

    /// All ready endpoints, by Node.
    #[must_use]
    pub fn ready(&self) -> &[Endpoint] {
        &self.ready
    }
}

fn on_node(list: &[Endpoint], node: NodeId) -> &[Endpoint] {
    let start = list.partition_point(|e| e.node < node);
    let len = list[start..].partition_point(|e| e.node == node);
    &list[start..start + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(pod: u32, node: u32, ready: bool, terminating: bool) -> Endpoint {
        Endpoint { pod: PodId(pod), node: NodeId(node), ready, serving: true, terminating }
    }

    fn pods(list: &[Endpoint]) -> Vec<u32> {
        list.iter().map(|e| e.pod.0).collect()
    }

    #[test]
    fn draining_endpoints_serve_only_where_no_ready_one_is_left_in_scope() {
        let set = EndpointSet::new(1, &[endpoint(3, 1, true, false), endpoint(1, 0, false, true), endpoint(2, 1, false, true)]);
        assert_eq!(pods(set.cluster()), [3], "a ready endpoint anywhere keeps draining ones out of the cluster list");
        assert_eq!(pods(set.local(NodeId(0))), [1], "the local list falls back by itself");
        assert_eq!(pods(set.local(NodeId(1))), [3]);
        assert_eq!((set.ready_on(NodeId(0)), set.ready_on(NodeId(1)), set.local(NodeId(2)).len()), (0, 1, 0));
        let all_draining = EndpointSet::new(2, &[endpoint(1, 0, false, true), endpoint(2, 1, false, true)]);
        assert_eq!(pods(all_draining.cluster()), [1, 2]);
    }

    #[test]
    fn serving_but_neither_ready_nor_terminating_is_never_used() {
        let set = EndpointSet::new(1, &[endpoint(1, 0, false, false)]);
        assert!(set.cluster().is_empty() && set.local(NodeId(0)).is_empty());
    }
}
