//! Pods start, stop and die, as the kubelet of their Node has it.
//!
//! Deletion starts two things at once that nothing orders (Kubernetes docs, Pod lifecycle; KEP-1669): the
//! endpoint is marked terminating and Nodes learn of it one by one; and the kubelet runs `preStop`, then
//! sends SIGTERM, then, when the grace period is over, SIGKILL.

use crate::api::pod::Servers;
use crate::api::{Pod, Process};
use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::{NodeId, PodId, ReplicaId};
use svcsim_engine::SimDuration;

impl Cluster {
    /// The Pod's process dies without warning: connections are refused, requests in it are reset. The control plane
    /// notices `detection` later.
    pub(in crate::cluster) fn container_exits(&mut self, pod: PodId, detection: SimDuration, ctx: &mut Ctx<'_>) {
        self.pods[pod].process = Process::Exited;
        self.tell(pod, "crash", ctx);
        self.reset_all(pod, ctx);
        self.pods_changed(self.pods[pod].workload);
        ctx.schedule_in(detection, Event::CrashDetected { pod });
    }

    /// The kubelet notices the crash: the Pod is taken out and replaced.
    pub(in crate::cluster) fn crash_detected(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.replace(pod, ctx);
        self.remove_pod(pod, ctx);
    }

    /// The Pod is deleted through the API, with its grace period: it gets `deletionTimestamp`, and whoever watches starts.
    pub(in crate::cluster) fn delete_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let workload = self.pods[pod].workload;
        self.pods[pod].terminating = true;
        self.tell(pod, "terminate", ctx);
        self.publish(workload, ctx);
        let w = &self.workloads[workload];
        // preStop runs inside the grace period.
        ctx.schedule_in(w.pre_stop.min(w.termination_grace), Event::PodStops { pod });
        ctx.schedule_in(w.termination_grace, Event::PodKilled { pod });
        self.replace(pod, ctx);
    }

    /// SIGTERM: the application closes its listener and finishes what it has.
    pub(in crate::cluster) fn pod_stops(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[pod].process != Process::Running {
            return;
        }
        self.pods[pod].process = Process::Stopping;
        self.pods[pod].ready = false;
        self.publish(self.pods[pod].workload, ctx);
        if self.pods[pod].servers.present() == 0 {
            self.remove_pod(pod, ctx);
        }
    }

    /// SIGKILL: whoever is still in the Pod is reset.
    pub(in crate::cluster) fn pod_killed(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[pod].works() {
            self.reset_all(pod, ctx);
            self.remove_pod(pod, ctx);
        }
    }

    /// The Pod object is deleted and its address belongs to nobody.
    pub(in crate::cluster) fn remove_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let workload = self.pods[pod].workload;
        self.pods[pod].process = Process::Gone;
        self.workloads[workload].pods.retain(|p| *p != pod);
        self.tell(pod, "gone", ctx);
        self.publish(workload, ctx);
    }

    /// The kubelet of its Node starts a Pod that was placed there.
    pub(in crate::cluster) fn start_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.pods[pod].servers.reset(ctx.now());
        let w = &mut self.workloads[self.pods[pod].workload];
        ctx.schedule_in(w.startup.sample_duration(&mut w.startup_stream), Event::PodReady { pod });
    }

    /// The Pod passes its readiness probe.
    pub(in crate::cluster) fn pod_ready(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.pods[pod].process = Process::Running;
        self.pods[pod].ready = true;
        self.tell(pod, "ready", ctx);
        self.publish(self.pods[pod].workload, ctx);
    }

    /// A Pod for `replica` on `node`, of which nothing runs yet.
    pub(in crate::cluster) fn create_pod(&mut self, replica: ReplicaId, node: NodeId) -> PodId {
        let workload = self.replicas[replica].workload;
        let w = &self.workloads[workload];
        let servers = Servers::new(w.discipline, w.concurrency, w.queue_limit);
        let ip = self.pod_address(node);
        let pod =
            self.pods.push(Pod { replica, workload, node, ip, process: Process::Starting, ready: false, terminating: false, servers });
        self.workloads[workload].pods.push(pod);
        pod
    }

    /// A Pod for `replica` on `node` that has been running for long.
    pub(in crate::cluster) fn create_running_pod(&mut self, replica: ReplicaId, node: NodeId) -> PodId {
        let pod = self.create_pod(replica, node);
        (self.pods[pod].process, self.pods[pod].ready) = (Process::Running, true);
        pod
    }

    fn tell(&mut self, pod: PodId, event: &'static str, ctx: &Ctx<'_>) {
        let p = &self.pods[pod];
        self.recorder.incident(ctx.now(), event, self.replicas[p.replica].name.clone(), p.node);
    }
}
