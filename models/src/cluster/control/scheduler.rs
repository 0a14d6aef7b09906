//! The scheduler finds Nodes for Pods.

use crate::api::Process;
use crate::cluster::Cluster;
use crate::ids::{NodeId, WorkloadId};
use std::collections::BTreeMap;
use svcsim_engine::Id;

impl Cluster {
    /// The Node for a new Pod: as the default scheduler's spreading scores, the zone, then the Node, with the
    /// fewest Pods of the workload, then the Node with the fewest Pods at all, then the first.
    pub(in crate::cluster) fn place(&self, workload: WorkloadId) -> NodeId {
        let mut here = vec![0u32; self.nodes.len()];
        let mut all = vec![0u32; self.nodes.len()];
        let live = self.workloads.iter().flat_map(|w| &w.pods).map(|p| &self.pods[*p]);
        for pod in live.filter(|p| !p.terminating && matches!(p.process, Process::Starting | Process::Running)) {
            all[pod.node.index()] += 1;
            here[pod.node.index()] += u32::from(pod.workload == workload);
        }
        let mut in_zone: BTreeMap<&str, u32> = BTreeMap::new();
        for (id, node) in self.nodes.enumerate() {
            *in_zone.entry(&node.spec.zone).or_default() += here[id.index()];
        }
        let zone = |n: NodeId| in_zone.get(self.nodes[n].spec.zone.as_str());
        let best = self.workloads[workload]
            .eligible
            .iter()
            .filter(|n| self.is_schedulable(**n))
            .min_by_key(|n| (zone(**n), here[n.index()], all[n.index()], **n));
        best.copied().unwrap_or(NodeId(0))
    }
}
