//! Pods start, stop and die; their workload replaces them.
//!
//! Deletion starts two things at once that nothing orders (Kubernetes docs, Pod lifecycle; KEP-1669): the
//! endpoint is marked terminating and Nodes learn of it one by one; and the kubelet runs `preStop`, then
//! sends SIGTERM, then, when the grace period is over, SIGKILL.

use crate::api::pod::Servers;
use crate::api::{Pod, PodPhase};
use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::{NodeId, PodId, ReplicaId, WorkloadId};
use std::collections::BTreeMap;
use svcsim_engine::Id;

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

    /// One of the workload's Pods dies without warning: connections are refused, requests in it are reset.
    pub(in crate::cluster) fn crash(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if ctx.now() >= self.sending_until {
            return;
        }
        self.schedule_crash(workload, ctx);
        let w = &mut self.workloads[workload];
        let Some(churn) = &mut w.crash else { return };
        // Both are drawn whether a Pod is there to crash or not, so that designs stay in step.
        let (which, detection) = (churn.stream.uniform(), w.detection.sample_duration(&mut churn.stream));
        let Some(victim) = self.nth_ready(workload, which) else { return };
        self.pods[victim].phase = PodPhase::Crashed;
        self.tell(victim, "crash", ctx);
        self.reset_all(victim, ctx);
        self.pods_changed(workload);
        ctx.schedule_in(detection, Event::CrashDetected { pod: victim });
    }

    /// The kubelet notices the crash: the Pod is taken out and replaced.
    pub(in crate::cluster) fn crash_detected(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.replace(pod, ctx);
        self.remove_pod(pod, ctx);
    }

    /// One of the workload's Pods is deleted through the API, as in an eviction, a drain or a rollout.
    pub(in crate::cluster) fn terminate(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if ctx.now() >= self.sending_until {
            return;
        }
        self.schedule_termination(workload, ctx);
        let draw = self.workloads[workload].terminate.as_mut().map(|c| c.stream.uniform());
        let Some(victim) = draw.and_then(|u| self.nth_ready(workload, u)) else { return };
        self.pods[victim].phase = PodPhase::Draining;
        self.tell(victim, "terminate", ctx);
        self.publish(workload, ctx);
        let w = &self.workloads[workload];
        // preStop runs inside the grace period.
        ctx.schedule_in(w.pre_stop.min(w.termination_grace), Event::PodStops { pod: victim });
        ctx.schedule_in(w.termination_grace, Event::PodKilled { pod: victim });
        self.replace(victim, ctx);
    }

    /// SIGTERM: the application closes its listener and finishes what it has.
    pub(in crate::cluster) fn pod_stops(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[pod].phase != PodPhase::Draining {
            return;
        }
        self.pods[pod].phase = PodPhase::Stopped;
        self.publish(self.pods[pod].workload, ctx);
        if self.pods[pod].servers.present() == 0 {
            self.remove_pod(pod, ctx);
        }
    }

    /// SIGKILL: whoever is still in the Pod is reset.
    pub(in crate::cluster) fn pod_killed(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if matches!(self.pods[pod].phase, PodPhase::Draining | PodPhase::Stopped) {
            self.reset_all(pod, ctx);
            self.remove_pod(pod, ctx);
        }
    }

    /// The Pod object is deleted and its address belongs to nobody.
    pub(in crate::cluster) fn remove_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let workload = self.pods[pod].workload;
        self.pods[pod].phase = PodPhase::Gone;
        self.workloads[workload].pods.retain(|p| *p != pod);
        self.tell(pod, "gone", ctx);
        self.publish(workload, ctx);
    }

    /// The workload's controller creates another Pod for the place of `pod`.
    fn replace(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let (replica, workload) = (self.pods[pod].replica, self.pods[pod].workload);
        let node = self.place(workload);
        let new = self.create_pod(replica, node, PodPhase::Starting);
        self.pods[new].servers.reset(ctx.now());
        self.replicas[replica].pod = new;
        self.replicas[replica].pods += 1;
        let w = &mut self.workloads[workload];
        ctx.schedule_in(w.startup.sample_duration(&mut w.startup_stream), Event::PodReady { pod: new });
    }

    /// The Pod passes its readiness probe.
    pub(in crate::cluster) fn pod_ready(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.pods[pod].phase = PodPhase::Ready;
        self.tell(pod, "ready", ctx);
        self.publish(self.pods[pod].workload, ctx);
    }

    /// A Pod for `replica` on `node`.
    pub(in crate::cluster) fn create_pod(&mut self, replica: ReplicaId, node: NodeId, phase: PodPhase) -> PodId {
        let workload = self.replicas[replica].workload;
        let w = &self.workloads[workload];
        let servers = Servers::new(w.discipline, w.concurrency, w.queue_limit);
        let ip = self.pod_address(node);
        let pod = self.pods.push(Pod { replica, workload, node, ip, phase, servers });
        self.workloads[workload].pods.push(pod);
        pod
    }

    /// The Node for a new Pod: as the default scheduler's spreading scores, the zone, then the Node, with the
    /// fewest Pods of the workload, then the Node with the fewest Pods at all, then the first.
    pub(in crate::cluster) fn place(&self, workload: WorkloadId) -> NodeId {
        let mut here = vec![0u32; self.nodes.len()];
        let mut all = vec![0u32; self.nodes.len()];
        let live = self.workloads.iter().flat_map(|w| &w.pods).map(|p| &self.pods[*p]);
        for pod in live.filter(|p| matches!(p.phase, PodPhase::Starting | PodPhase::Ready)) {
            all[pod.node.index()] += 1;
            here[pod.node.index()] += u32::from(pod.workload == workload);
        }
        let mut in_zone: BTreeMap<&str, u32> = BTreeMap::new();
        for (id, node) in self.nodes.enumerate() {
            *in_zone.entry(&node.spec.zone).or_default() += here[id.index()];
        }
        let zone = |n: NodeId| in_zone.get(self.nodes[n].spec.zone.as_str());
        let best = self.workloads[workload].eligible.iter().min_by_key(|n| (zone(**n), here[n.index()], all[n.index()], **n));
        best.copied().unwrap_or(NodeId(0))
    }

    /// The ready Pod of the workload at fraction `u` of the list, in order of place.
    fn nth_ready(&self, workload: WorkloadId, u: f64) -> Option<PodId> {
        let pods = self.workloads[workload].replicas.iter().map(|r| self.replicas[*r].pod);
        let ready: Vec<PodId> = pods.filter(|p| self.pods[*p].phase == PodPhase::Ready).collect();
        ready.get((u * ready.len() as f64) as usize).copied()
    }

    fn tell(&mut self, pod: PodId, event: &'static str, ctx: &Ctx<'_>) {
        let p = &self.pods[pod];
        self.recorder.incident(ctx.now(), event, self.replicas[p.replica].name.clone(), p.node);
    }
}
