//! Nodes are cordoned and drained, as far as PodDisruptionBudgets let Pods go.

use crate::api::Process;
use crate::cluster::{Cluster, Ctx, Event, Workload};
use crate::controllers::disruption;
use crate::ids::{NodeId, PodId};
use crate::spec::Controller;
use svcsim_engine::SimDuration;

/// `kubectl drain` asks again after so long where a budget refused (`k8s.io/kubectl/pkg/drain`, `evictPods`).
const ASK_AGAIN: SimDuration = SimDuration::from_secs(5);

impl Cluster {
    /// No new Pods come to the Node, and those that are there are evicted.
    pub(in crate::cluster) fn drain_node(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.nodes[node].cordons += 1;
        self.drain_goes_on(node, ctx);
    }

    /// Pods may be placed on the Node again; a drain that is not over ends.
    pub(in crate::cluster) fn uncordon(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.nodes[node].cordons -= 1;
        self.try_pending(ctx);
    }

    /// Evicts from the Node whom it may, and comes back for the others. A DaemonSet's Pods stay.
    pub(in crate::cluster) fn drain_goes_on(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        if self.nodes[node].cordons == 0 || self.control_plane_waits(true, Event::DrainGoesOn { node }) {
            return;
        }
        let stays = |c: &Self, p: &PodId| c.workloads[c.pods[*p].workload].controller == Controller::DaemonSet || c.pods[*p].terminating;
        let pods: Vec<PodId> = self.pods_on(node).into_iter().filter(|p| !stays(self, p)).collect();
        let mut refused = 0;
        for pod in pods {
            if self.may_be_evicted(pod) {
                self.tell(pod, "evict", ctx);
                self.delete_pod(pod, ctx);
            } else {
                refused += 1;
            }
        }
        if refused > 0 && ctx.now() < self.sending_until {
            ctx.schedule_in(ASK_AGAIN, Event::DrainGoesOn { node });
        }
    }

    /// Whether the API server grants the eviction of a Pod: its PodDisruptionBudget allows, or it does not run yet.
    pub(in crate::cluster) fn may_be_evicted(&self, pod: PodId) -> bool {
        let p = &self.pods[pod];
        let Some(budget) = &self.workloads[p.workload].budget else { return true };
        let pending = p.process == Process::Starting && p.life == 0;
        let sharing = self.workloads.iter().filter(|w| w.budget.as_ref().is_some_and(|b| b.name == budget.name));
        let count = |(expected, healthy): (i32, i32), w: &Workload| {
            let active = w.pods.iter().filter(|p| self.pods[**p].is_active()).count() as i32;
            (expected + w.desired as i32, healthy + active)
        };
        let (expected, healthy) = sharing.fold((0, 0), count);
        pending || disruption::may_evict(budget, expected, healthy, p.ready)
    }
}
