//! What the experiment makes happen: incidents at random.

use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::{PodId, WorkloadId};

impl Cluster {
    /// Random incidents begin.
    pub(in crate::cluster) fn open_churn(&mut self, ctx: &mut Ctx<'_>) {
        for workload in self.workloads.ids() {
            self.schedule_crash(workload, ctx);
            self.schedule_termination(workload, ctx);
        }
    }

    fn schedule_crash(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if let Some(churn) = &mut self.workloads[workload].crash {
            ctx.schedule_in(churn.every.sample_duration(&mut churn.stream), Event::Crash { workload });
        }
    }

    fn schedule_termination(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if let Some(churn) = &mut self.workloads[workload].terminate {
            ctx.schedule_in(churn.every.sample_duration(&mut churn.stream), Event::Terminate { workload });
        }
    }

    /// One of the workload's Pods crashes.
    pub(in crate::cluster) fn crash(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if ctx.now() >= self.sending_until {
            return;
        }
        self.schedule_crash(workload, ctx);
        let w = &mut self.workloads[workload];
        let Some(churn) = &mut w.crash else { return };
        // Both are drawn whether a Pod is there to crash or not, so that designs stay in step.
        let (which, detection) = (churn.stream.uniform(), w.detection.sample_duration(&mut churn.stream));
        if let Some(victim) = self.nth_ready(workload, which) {
            self.container_exits(victim, detection, ctx);
        }
    }

    /// One of the workload's Pods is deleted through the API, as in an eviction, a drain or a rollout.
    pub(in crate::cluster) fn terminate(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if ctx.now() >= self.sending_until {
            return;
        }
        self.schedule_termination(workload, ctx);
        let draw = self.workloads[workload].terminate.as_mut().map(|c| c.stream.uniform());
        if let Some(victim) = draw.and_then(|u| self.nth_ready(workload, u)) {
            self.delete_pod(victim, ctx);
        }
    }

    /// The ready Pod of the workload at fraction `u` of the list, in order of place.
    fn nth_ready(&self, workload: WorkloadId, u: f64) -> Option<PodId> {
        let pods = self.workloads[workload].replicas.iter().map(|r| self.replicas[*r].pod);
        let ready: Vec<PodId> = pods.filter(|p| self.pods[*p].is_active() && self.pods[*p].accepts()).collect();
        ready.get((u * ready.len() as f64) as usize).copied()
    }
}
