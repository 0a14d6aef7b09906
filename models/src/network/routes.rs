//! [`Routes`]: which link comes next, between any two switches; found by petgraph, kept in flat vectors.
//!
//! Nodes and sites hang on one link each, so only switches need tables: with 5,000 Nodes under 200 switches,
//! 40,000 entries instead of 27 million. Equal-cost next hops (ECMP) are chosen by flow and switch, as RFC 2992's
//! hash-threshold does; like there, a change of the set moves flows.

use crate::ids::LinkId;
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef, Reversed};
use std::collections::BTreeMap;
use std::ops::Add;

/// What a route costs: fewest direct paths first, then the least mean delay, then fewest hops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// Links of a full mesh that it crosses. A detour would cross two, so each pair uses the link between them.
    pub(super) direct: u32,
    /// Sum of mean one-way delays, in nanoseconds.
    pub(super) delay_ns: u64,
    /// Links. At least one more each step, so that a route never turns in a circle of links without delay.
    pub(super) hops: u32,
}

impl Add for Cost {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { direct: self.direct + o.direct, delay_ns: self.delay_ns.saturating_add(o.delay_ns), hops: self.hops + o.hops }
    }
}

/// Next links between switches, which are numbered from 0.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    switches: usize,
    /// At `to * switches + at`: the only next link, or, with [`MANY`] set, the place of a set in `sets`.
    choices: Vec<u32>,
    /// Start and length in `members` of each set of equally short ways.
    sets: Vec<(u32, u32)>,
    members: Vec<LinkId>,
}

const MANY: u32 = 1 << 31;
/// On the diagonal and between what is not connected; never asked for.
const NOWHERE: u32 = MANY - 1;

impl Routes {
    /// Shortest paths over `graph`, whose edges carry what they cost and which link they are.
    pub(super) fn build(graph: &DiGraph<(), (Cost, LinkId)>) -> Self {
        let switches = graph.node_count();
        let mut routes = Self { switches, choices: vec![NOWHERE; switches * switches], sets: Vec::new(), members: Vec::new() };
        let mut known: BTreeMap<Vec<LinkId>, u32> = BTreeMap::new();
        let mut nearest = Vec::new();
        for to in graph.node_indices() {
            // A hash map, so it is only ever asked, never walked.
            let costs = dijkstra(Reversed(graph), to, None, |e| e.weight().0);
            for at in graph.node_indices().filter(|at| *at != to) {
                let Some(cost) = costs.get(&at) else { continue };
                nearest.clear();
                nearest.extend(nearest_links(graph, at, *cost, |next| costs.get(&next).copied()));
                nearest.sort_unstable();
                routes.choices[to.index() * switches + at.index()] = match nearest[..] {
                    [only] => only.0,
                    _ => match known.get(&nearest) {
                        Some(choice) => *choice,
                        None => {
                            let choice = MANY | routes.sets.len() as u32;
                            routes.sets.push((routes.members.len() as u32, nearest.len() as u32));
                            routes.members.extend_from_slice(&nearest);
                            known.insert(nearest.clone(), choice);
                            choice
                        }
                    },
                };
            }
        }
        routes
    }

    /// The link that `flow` takes at switch `at` to reach switch `to`, which is another.
    #[inline]
    pub(super) fn next(&self, at: u32, to: u32, flow: u32) -> LinkId {
        let choice = self.choices[to as usize * self.switches + at as usize];
        if choice & MANY == 0 {
            return LinkId(choice);
        }
        let (start, len) = self.sets[(choice ^ MANY) as usize];
        // The upper bits of the product are uniform in 0..len.
        let i = (u64::from(mix(flow, at)) * u64::from(len)) >> 32;
        self.members[start as usize + i as usize]
    }
}

/// The links out of `at` on some path that costs `cost`.
fn nearest_links(
    graph: &DiGraph<(), (Cost, LinkId)>,
    at: NodeIndex,
    cost: Cost,
    from_there: impl Fn(NodeIndex) -> Option<Cost>,
) -> impl Iterator<Item = LinkId> {
    graph.edges(at).filter_map(move |e| {
        let (step, link) = *e.weight();
        from_there(e.target()).filter(|rest| step + *rest == cost).map(|_| link)
    })
}

/// A hash of both (Murmur3's finalizer, by Austin Appleby). The switch is part of it, or all switches would split
/// their flows alike and the second would find only one half (polarisation).
#[inline]
fn mix(flow: u32, at: u32) -> u32 {
    let mut h = flow ^ at.wrapping_add(1).wrapping_mul(0x9e37_79b9);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use petgraph::algo::floyd_warshall;
    use proptest::prelude::*;

    /// Graphs of up to 12 switches with links both ways, some parallel, many of equal or no delay.
    fn graphs() -> impl Strategy<Value = DiGraph<(), (Cost, LinkId)>> {
        (2usize..12).prop_flat_map(|n| prop::collection::vec((0..n, 0..n, 0u64..4), 1..40).prop_map(move |edges| graph(n, &edges)))
    }

    fn graph(n: usize, edges: &[(usize, usize, u64)]) -> DiGraph<(), (Cost, LinkId)> {
        let mut g = DiGraph::new();
        for _ in 0..n {
            g.add_node(());
        }
        for &(a, b, delay_ns) in edges.iter().filter(|(a, b, _)| a != b) {
            for (from, to) in [(a, b), (b, a)] {
                let link = LinkId(g.edge_count() as u32);
                g.add_edge(NodeIndex::new(from), NodeIndex::new(to), (Cost { direct: 0, delay_ns, hops: 1 }, link));
            }
        }
        g
    }

    proptest! {
        #[test]
        fn every_route_costs_what_petgraph_says(g in graphs(), flow in any::<u32>()) {
            let routes = Routes::build(&g);
            let oracle = floyd_warshall(&g, |e| e.weight().0.delay_ns * 1_000 + 1).unwrap();
            for (a, b) in g.node_indices().flat_map(|a| g.node_indices().map(move |b| (a, b))) {
                let expected = oracle[&(a, b)];
                if expected == u64::MAX {
                    continue;
                }
                let (mut at, mut cost) = (a, 0);
                while at != b {
                    let link = routes.next(at.index() as u32, b.index() as u32, flow);
                    let edge = g.edges(at).find(|e| e.weight().1 == link).unwrap();
                    cost += edge.weight().0.delay_ns * 1_000 + 1;
                    at = edge.target();
                }
                prop_assert_eq!(cost, expected);
            }
        }
    }

    #[test]
    fn flows_spread_evenly_and_keep_their_way() {
        // 0 to 5 over four switches, and one way more that is longer.
        let ways: Vec<_> = (1..5).flat_map(|mid| [(0, mid, 5), (mid, 5, 5)]).chain([(0, 5, 11)]).collect();
        let routes = Routes::build(&graph(6, &ways));
        let mut flows = BTreeMap::new();
        for flow in 0..40_000 {
            *flows.entry(routes.next(0, 5, flow)).or_insert(0) += 1;
            assert_eq!(routes.next(0, 5, flow), routes.next(0, 5, flow));
        }
        assert_eq!(flows.keys().map(|l| l.0).collect::<Vec<_>>(), [0, 4, 8, 12]);
        // Binomial: a standard deviation is 87.
        assert!(flows.values().all(|n| (9_600..10_400).contains(n)), "{flows:?}");
    }

    #[test]
    fn a_second_switch_splits_what_the_first_one_sent() {
        // 0 splits to 1 and 2; 1 splits again to 3 and 4; all meet in 5.
        let routes = Routes::build(&graph(6, &[(0, 1, 1), (0, 2, 1), (1, 3, 1), (1, 4, 1), (2, 3, 1), (2, 4, 1), (3, 5, 1), (4, 5, 1)]));
        let through_1: Vec<u32> = (0..10_000).filter(|f| routes.next(0, 5, *f) == LinkId(0)).collect();
        let then_3 = through_1.iter().filter(|f| routes.next(1, 5, **f) == LinkId(4)).count();
        assert!((2_300..2_700).contains(&then_3), "{then_3} of {}", through_1.len());
    }
}
