//! The scheduler finds Nodes for Pods: filters, then scores.
//!
//! To add a rule: a function, and one line in [`FILTERS`] or [`SCORES`]. What does not change in a run (labels, taints, required
//! node affinity) has been asked when the cluster was built: `eligible`.

use crate::api::{Pod, Process};
use crate::cluster::{Cluster, Ctx};
use crate::controllers::scheduling::{PodTerm, SchedulingSpec, SpreadConstraint, avoided};
use crate::ids::{NodeId, WorkloadId};
use crate::spec::WorkloadSpec;
use std::collections::{BTreeMap, BTreeSet};
use svcsim_engine::Id;

/// What a workload's Pods ask of Nodes, with the workloads resolved that it speaks of.
pub(in crate::cluster) struct Asks {
    spec: SchedulingSpec,
    /// Workloads whose Pods each term speaks of.
    near: Vec<Vec<WorkloadId>>,
    apart: Vec<Vec<WorkloadId>>,
    pod_preferences: Vec<Vec<WorkloadId>>,
    spread: Vec<Vec<WorkloadId>>,
    /// Nodes with the labels that it asks for, tainted or cordoned ones too: their domains count for spreading
    /// (`nodeAffinityPolicy: Honor`, `nodeTaintsPolicy: Ignore`).
    candidates: Vec<NodeId>,
}

impl Asks {
    /// Of a workload among `all`, whose places are their ids.
    pub(in crate::cluster) fn new(spec: &SchedulingSpec, all: &[WorkloadSpec], candidates: Vec<NodeId>) -> Self {
        let meant = |term: &PodTerm| {
            let carries = |w: &WorkloadSpec| term.labels.iter().all(|(k, v)| w.labels.get(k) == Some(v));
            all.iter().enumerate().filter(|(_, w)| carries(w)).map(|(i, _)| WorkloadId::from_index(i)).collect::<Vec<_>>()
        };
        Self {
            near: spec.near.iter().map(meant).collect(),
            apart: spec.apart.iter().map(meant).collect(),
            pod_preferences: spec.pod_preferences.iter().map(|(_, term)| meant(term)).collect(),
            spread: spec.spread.iter().map(|s| meant(&s.term)).collect(),
            spec: spec.clone(),
            candidates,
        }
    }
}

/// Whether a Pod may be placed on a Node.
type Filter = fn(&Census<'_>, NodeId) -> bool;
/// How much a Node is to be avoided; the first score that differs decides.
type Score = fn(&Census<'_>, NodeId) -> i64;

const FILTERS: [Filter; 5] = [|c, n| c.is_open(n), |c, n| c.has_room(n), |c, n| c.is_near(n), |c, n| c.is_apart(n), |c, n| c.is_even(n)];
const SCORES: [Score; 5] = [|c, n| c.disliked(n), |c, n| c.uneven(n), |c, n| c.in_zone(n), |c, n| c.in_node(n), |c, n| c.crowded(n)];

impl Cluster {
    /// The Node for a new Pod; none if it fits nowhere now. Preferences come first, then soft spreading, by default over zones and
    /// then Nodes, then the Node with the fewest Pods, then the first.
    pub(in crate::cluster) fn place(&self, workload: WorkloadId) -> Option<NodeId> {
        let census = Census::of(self, workload);
        let fits = |node: &&NodeId| FILTERS.iter().all(|filter| filter(&census, **node));
        let cost = |node: &&NodeId| (SCORES.map(|score| score(&census, **node)), **node);
        self.workloads[workload].eligible.iter().filter(fits).min_by_key(cost).copied()
    }

    /// Whatever kept Pods from being placed may have gone: those that wait are tried again.
    pub(in crate::cluster) fn try_pending(&mut self, ctx: &mut Ctx<'_>) {
        for workload in std::mem::take(&mut self.pending) {
            self.reconcile(workload, ctx);
        }
    }

    /// A Pod of the workload fits on no Node: it waits.
    pub(in crate::cluster) fn wait_for_node(&mut self, workload: WorkloadId, ctx: &Ctx<'_>) {
        if self.pending.insert(workload) {
            let what = format!("no Node has a place for another Pod of {}", self.workloads[workload].name);
            self.recorder.event(ctx.now(), "scheduler", true, what);
        }
    }

    /// The value of a Node's label; its name and its zone are known without.
    fn domain(&self, node: NodeId, key: &str) -> Option<&str> {
        let spec = &self.nodes[node].spec;
        let known = match key {
            "kubernetes.io/hostname" => Some(&spec.name),
            "topology.kubernetes.io/zone" => Some(&spec.zone).filter(|zone| !zone.is_empty()),
            _ => None,
        };
        spec.labels.get(key).or(known).map(String::as_str)
    }

    /// Pods of a workload that take a place.
    fn placed(&self, workload: WorkloadId) -> impl Iterator<Item = &Pod> {
        let pods = self.workloads[workload].pods.iter().map(|p| &self.pods[*p]);
        pods.filter(|p| !p.terminating && matches!(p.process, Process::Starting | Process::Running))
    }
}

/// How many Pods are where, when one more is to be placed.
struct Census<'a> {
    cluster: &'a Cluster,
    asks: &'a Asks,
    workload: WorkloadId,
    /// Pods by Node: all, and those of the workload.
    all: Vec<u32>,
    here: Vec<u32>,
    zones: BTreeMap<&'a str, u32>,
    /// Taken of each Node, by Pods that terminate too: thousandths of a core, bytes, Pods.
    taken: Vec<(u64, u64, u32)>,
    /// Pods that each term speaks of, by domain.
    near: Vec<Domains<'a>>,
    apart: Vec<Domains<'a>>,
    /// Pods that want none of the workload's near them, with the domain's key.
    against: Vec<(&'a str, Domains<'a>)>,
    pod_preferences: Vec<Domains<'a>>,
    spread: Vec<Domains<'a>>,
}

type Domains<'a> = BTreeMap<&'a str, u32>;

impl<'a> Census<'a> {
    fn of(cluster: &'a Cluster, workload: WorkloadId) -> Self {
        let asks = &cluster.workloads[workload].asks;
        let mut census = Self {
            cluster,
            asks,
            workload,
            all: vec![0; cluster.nodes.len()],
            here: vec![0; cluster.nodes.len()],
            zones: BTreeMap::new(),
            taken: vec![(0, 0, 0); cluster.nodes.len()],
            near: Vec::new(),
            apart: Vec::new(),
            against: Vec::new(),
            pod_preferences: Vec::new(),
            spread: Vec::new(),
        };
        for (id, w) in cluster.workloads.enumerate() {
            for pod in w.pods.iter().map(|p| &cluster.pods[*p]).filter(|p| p.exists()) {
                let (cpu, memory, pods) = &mut census.taken[pod.node.index()];
                *cpu = cpu.saturating_add(w.cpu_request.unwrap_or(0));
                *memory = memory.saturating_add(w.asks.spec.memory_request.unwrap_or(0));
                *pods += 1;
            }
            for pod in cluster.placed(id) {
                let node = pod.node.index();
                census.all[node] += 1;
                if id == workload {
                    census.here[node] += 1;
                    *census.zones.entry(&cluster.nodes[pod.node].spec.zone).or_default() += 1;
                }
            }
        }
        let by_domain = |(term, meant): (&'a PodTerm, &'a Vec<WorkloadId>)| count_by_domain(cluster, &term.topology_key, meant, true);
        census.near = asks.spec.near.iter().zip(&asks.near).map(by_domain).collect();
        census.apart = asks.spec.apart.iter().zip(&asks.apart).map(by_domain).collect();
        census.pod_preferences = asks.spec.pod_preferences.iter().map(|(_, term)| term).zip(&asks.pod_preferences).map(by_domain).collect();
        let alive = |(s, meant): (&'a SpreadConstraint, &'a Vec<WorkloadId>)| count_by_domain(cluster, &s.term.topology_key, meant, false);
        census.spread = asks.spec.spread.iter().zip(&asks.spread).map(alive).collect();
        for (id, w) in cluster.workloads.enumerate().filter(|(id, w)| *id != workload && !w.asks.apart.is_empty()) {
            let terms = w.asks.spec.apart.iter().zip(&w.asks.apart).filter(|(_, meant)| meant.contains(&workload));
            census
                .against
                .extend(terms.map(|(term, _)| (term.topology_key.as_str(), count_by_domain(cluster, &term.topology_key, &[id], true))));
        }
        census
    }

    fn in_domain(&self, node: NodeId, key: &str, counts: &Domains<'_>) -> Option<u32> {
        self.cluster.domain(node, key).map(|domain| counts.get(domain).copied().unwrap_or(0))
    }

    fn is_open(&self, node: NodeId) -> bool {
        self.cluster.is_schedulable(node)
    }

    /// Plugin `NodeResourcesFit`: what Pods request, and their number, where the Node says what it has.
    fn has_room(&self, node: NodeId) -> bool {
        let spec = &self.cluster.nodes[node].spec;
        let (cpu, memory, pods) = self.taken[node.index()];
        // What a Pod does not request is not looked at.
        let fits = |asked: Option<u64>, taken: u64, most: Option<u64>| {
            asked.filter(|a| *a > 0).zip(most).is_none_or(|(asked, most)| taken.saturating_add(asked) <= most)
        };
        fits(self.cluster.workloads[self.workload].cpu_request, cpu, spec.cpu_millis)
            && fits(self.asks.spec.memory_request, memory, spec.memory)
            && spec.most_pods.is_none_or(|most| pods < most)
    }

    /// Plugin `InterPodAffinity`, required affinity: a domain that has a Pod that is meant; the first of a group that means itself
    /// goes anywhere.
    fn is_near(&self, node: NodeId) -> bool {
        self.asks.spec.near.iter().zip(&self.asks.near).zip(&self.near).all(|((term, meant), counts)| {
            let first = counts.values().sum::<u32>() == 0 && meant.contains(&self.workload);
            self.in_domain(node, &term.topology_key, counts).is_some_and(|there| there > 0 || first)
        })
    }

    /// The same, required anti-affinity: of this Pod towards others, and of others towards it.
    fn is_apart(&self, node: NodeId) -> bool {
        let own = self.asks.spec.apart.iter().map(|term| term.topology_key.as_str()).zip(&self.apart);
        let against = self.against.iter().map(|(key, counts)| (*key, counts));
        own.chain(against).all(|(key, counts)| self.in_domain(node, key, counts).is_none_or(|there| there == 0))
    }

    /// Plugin `PodTopologySpread`, constraints that must hold.
    fn is_even(&self, node: NodeId) -> bool {
        let constraints = self.asks.spec.spread.iter().zip(&self.asks.spread).zip(&self.spread);
        constraints.filter(|((s, _), _)| s.hard).all(|((s, meant), counts)| {
            let key = &s.term.topology_key;
            let Some(here) = self.in_domain(node, key, counts) else { return false };
            let domains: BTreeSet<&str> = self.asks.candidates.iter().filter_map(|n| self.cluster.domain(*n, key)).collect();
            let all: Vec<u32> = domains.into_iter().map(|domain| counts.get(domain).copied().unwrap_or(0)).collect();
            s.allows(here, &all, meant.contains(&self.workload))
        })
    }

    /// Preferences that the Node does not meet, and taints that are to be avoided.
    fn disliked(&self, node: NodeId) -> i64 {
        let spec = &self.cluster.nodes[node].spec;
        let labels = self.asks.spec.node_preferences.iter().filter(|(_, term)| term.iter().all(|r| r.holds(&spec.labels)));
        let pods = self.asks.spec.pod_preferences.iter().zip(&self.pod_preferences);
        let pods = pods.filter(|((_, term), counts)| self.in_domain(node, &term.topology_key, counts).is_some_and(|there| there > 0));
        let weight: i64 = labels.map(|(weight, _)| i64::from(*weight)).chain(pods.map(|((weight, _), _)| i64::from(*weight))).sum();
        100 * avoided(&spec.taints, &self.asks.spec.tolerations) as i64 - weight
    }

    /// Constraints that need not hold: Pods that count in the Node's domains.
    fn uneven(&self, node: NodeId) -> i64 {
        let soft = self.asks.spec.spread.iter().zip(&self.spread).filter(|(s, _)| !s.hard);
        soft.map(|(s, counts)| self.in_domain(node, &s.term.topology_key, counts).map_or(1 << 40, i64::from)).sum()
    }

    /// Pods of the workload in the Node's zone, unless constraints of its own say how it is spread.
    fn in_zone(&self, node: NodeId) -> i64 {
        let zone = self.cluster.nodes[node].spec.zone.as_str();
        if self.asks.spec.spread.is_empty() { self.zones.get(zone).copied().unwrap_or(0).into() } else { 0 }
    }

    fn in_node(&self, node: NodeId) -> i64 {
        self.here[node.index()].into()
    }

    /// Pods on the Node.
    fn crowded(&self, node: NodeId) -> i64 {
        self.all[node.index()].into()
    }
}

/// Pods of workloads by domain; those that terminate are neighbours until they are gone, but are not spread any more.
fn count_by_domain<'a>(cluster: &'a Cluster, key: &str, meant: &[WorkloadId], terminating: bool) -> Domains<'a> {
    let mut counts = BTreeMap::new();
    let pods = meant.iter().flat_map(|w| &cluster.workloads[*w].pods).map(|p| &cluster.pods[*p]);
    for pod in pods.filter(|p| p.exists() && (terminating || !p.terminating)) {
        if let Some(domain) = cluster.domain(pod.node, key) {
            *counts.entry(domain).or_default() += 1;
        }
    }
    counts
}
