//! Pods start, stop and die, as the kubelet of their Node has it.
//!
//! Deletion starts two things at once that nothing orders (Kubernetes docs, Pod lifecycle; KEP-1669): the
//! endpoint is marked terminating and Nodes learn of it one by one; and the kubelet runs `preStop`, then
//! sends SIGTERM, then, when the grace period is over, SIGKILL.

use crate::api::pod::{Errors, Interference, Servers, Stop};
use crate::api::{Pod, Process};
use crate::cluster::{Cluster, Ctx, Event, Purpose};
use crate::cpu_quota::CpuQuota;
use crate::ids::{NodeId, PodId, ReplicaId};
use crate::limiter::Limiter;
use crate::load_balancer::{Target, Targets};
use crate::scale_to_zero::Sleep;
use crate::spec::AtSigterm;
use svcsim_engine::random::{Dist, entity};
use svcsim_engine::{SimDuration, SimTime};

/// The kubelet looks at its containers once a second (`pkg/kubelet/kubelet.go` `genericPlegRelistPeriod`).
const RELIST_NS: f64 = 1e9;
/// A `preStop` that uses up the grace period is given so much longer, once (Kubernetes docs, Pod termination).
const EXTENSION: SimDuration = SimDuration::from_secs(2);

impl Cluster {
    /// A Pod for `replica` on `node`, of which nothing runs yet.
    pub(in crate::cluster) fn create_pod(&mut self, replica: ReplicaId, node: NodeId) -> PodId {
        let workload = self.replicas[replica].workload;
        let w = &self.workloads[workload];
        let servers = Servers::new(w.discipline, w.concurrency, w.queue_limit);
        let ip = self.pod_address(node);
        let pod = self.pods.push(Pod::new((replica, workload), node, ip, servers));
        let w = &self.workloads[workload];
        self.pods[pod].cpu_quota = w.cpu_quota.map(|spec| Box::new(CpuQuota::new(spec)));
        self.pods[pod].limiter = w.adaptive_limit.map(|spec| Box::new(Limiter::new(spec)));
        // The n-th Pod of a workload has the n-th stream, whichever it replaces.
        let stream = |purpose: Purpose| self.streams.stream(purpose as u64, entity(&format!("{}-{}", w.name, w.pods.len())));
        let interference = |time: &Dist| Box::new(Interference::new(time.clone(), stream(Purpose::Interference)));
        self.pods[pod].interference = w.interference.as_ref().map(interference);
        self.pods[pod].errors = (w.error_probability > 0.0).then(|| Box::new(Errors::new(w.error_probability, stream(Purpose::Errors))));
        let sleep =
            |(after, cold_start): &(SimDuration, Dist)| Box::new(Sleep::new(*after, cold_start.clone(), stream(Purpose::ColdStarts)));
        self.pods[pod].sleep = w.sleeps.as_ref().map(sleep);
        let place = self.replicas[replica].place as usize;
        if let Some(speed) = place.checked_rem(w.speeds.len()).and_then(|i| w.speeds.get(i)) {
            self.pods[pod].speed = *speed;
        }
        if w.probed {
            self.pods[pod].keep_latencies();
        }
        self.add_caller(pod);
        self.workloads[workload].pods.push(pod);
        pod
    }

    /// A Pod for `replica` on `node` that has been running for long.
    pub(in crate::cluster) fn create_running_pod(&mut self, replica: ReplicaId, node: NodeId) -> PodId {
        let pod = self.create_pod(replica, node);
        let p = &mut self.pods[pod];
        (p.process, p.ready, p.containers_ready) = (Process::Running, true, true);
        self.nodes[node].images.insert((p.workload, p.revision));
        pod
    }

    /// The kubelet of its Node starts a Pod that was placed there: first its image is pulled, one image after the other.
    pub(in crate::cluster) fn start_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        p.reset_meters(ctx.now());
        p.created = ctx.now();
        let (w, node, life) = (&mut self.workloads[p.workload], &mut self.nodes[p.node], p.life);
        // Drawn whether it is needed or not, so that designs stay in step.
        let pull = w.image_pull.sample_duration(&mut w.startup_stream);
        if node.images.insert((p.workload, p.revision)) && pull > SimDuration::ZERO {
            node.pulling_until = node.pulling_until.max(ctx.now()) + pull;
            ctx.schedule_at(node.pulling_until, Event::ContainerStarts { pod, life });
        } else {
            self.container_starts(pod, life, ctx);
        }
    }

    /// The container starts: when it listens, is ready, or is killed because it does not get there, is known from now on.
    pub(in crate::cluster) fn container_starts(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life != life || !self.nodes[p.node].condition.runs() || !p.exists() {
            return;
        }
        if p.process == Process::Exited {
            self.tell(pod, "restart", ctx);
        }
        let p = &mut self.pods[pod];
        p.life += 1;
        (p.process, p.started) = (Process::Starting, ctx.now());
        let (w, life) = (&mut self.workloads[p.workload], p.life);
        let listens = ctx.now() + w.startup.sample_duration(&mut w.startup_stream);
        let start = w.probes.start(ctx.now(), listens);
        let fails = self.fails_to_start(pod);
        if let Some(at) = start.killed.filter(|_| !fails) {
            ctx.schedule_at(at, Event::ContainerKilled { pod, life });
        }
        if fails {
            return self.never_listens(pod, ctx);
        }
        if start.killed.is_none_or(|at| listens < at) {
            ctx.schedule_at(listens, Event::PodListens { pod, life });
        }
        if start.killed.is_none() {
            ctx.schedule_at(start.ready, Event::ProbeSucceeds { pod, life });
        }
    }

    /// The container of a bad release runs and never listens: probes that would notice do.
    fn never_listens(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &self.pods[pod];
        let (probes, life) = (self.workloads[p.workload].probes, p.life);
        let start = probes.start(p.started, SimTime::MAX);
        if let Some(at) = start.killed {
            ctx.schedule_at(at, Event::ContainerKilled { pod, life });
        }
        if probes.readiness.is_none() && probes.startup.is_none() {
            ctx.schedule_at(p.started, Event::ProbeSucceeds { pod, life });
        }
    }

    /// The process listens; it is cold.
    pub(in crate::cluster) fn pod_listens(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life == life {
            (p.process, p.listens_since, p.cold_since) = (Process::Running, ctx.now(), Some(ctx.now()));
            if let Some(sleep) = &mut p.sleep {
                sleep.rests(ctx.now());
            }
            self.pods_changed(self.pods[pod].workload);
        }
    }

    /// Its readiness probe has succeeded, or it has none and runs.
    pub(in crate::cluster) fn probe_succeeds(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life == life && p.exists() {
            p.containers_ready = true;
            self.report_readiness(pod, ctx);
        }
    }

    /// Its readiness probe has failed.
    pub(in crate::cluster) fn probe_fails(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life == life && p.exists() {
            p.containers_ready = false;
            self.report_readiness(pod, ctx);
        }
    }

    /// The Pod's condition `Ready` becomes what its containers and readiness gates say; whoever watches Pods hears of it.
    pub(in crate::cluster) fn report_readiness(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if !self.nodes[self.pods[pod].node].condition.is_reached() {
            // Its kubelet reports when it is heard again.
            return;
        }
        let ready = self.pods[pod].containers_ready && self.gates_pass(pod);
        let was = std::mem::replace(&mut self.pods[pod].ready, ready);
        if was != ready {
            self.pods[pod].ready_since = ctx.now();
            if ready {
                let workload = self.pods[pod].workload;
                self.workloads[workload].progressed = ctx.now();
            }
            self.tell(pod, if ready { "ready" } else { "unready" }, ctx);
        }
        self.pod_changed(pod, ctx);
        let (workload, least) = (self.pods[pod].workload, self.workloads[self.pods[pod].workload].rollout.min_ready);
        if ready && !was && least > SimDuration::ZERO {
            ctx.schedule_in(least, Event::Reconcile { workload });
        }
    }

    /// Whether every balancer that the Pod is to be a target of finds it healthy, where the Pod has readiness gates
    /// (aws-load-balancer-controller, `target-health.elbv2.k8s.aws`; ingress-gce, NEG readiness).
    fn gates_pass(&self, pod: PodId) -> bool {
        let w = &self.workloads[self.pods[pod].workload];
        let healthy = |b: &crate::cluster::Balancer| b.lb.parameters().targets != Targets::Pods || b.lb.is_healthy(Target::Pod(pod));
        !w.readiness_gate || w.services.iter().flat_map(|s| &self.endpoints[*s].balancers).map(|b| &self.load_balancers[*b]).all(healthy)
    }

    /// The Pod's process dies without warning: connections are refused, requests in it are reset.
    pub(in crate::cluster) fn container_exits(&mut self, pod: PodId, reason: &'static str, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        p.life += 1;
        p.process = Process::Exited;
        p.pace.restart();
        let life = p.life;
        self.tell(pod, reason, ctx);
        self.reset_all(pod, ctx);
        self.pods_changed(self.pods[pod].workload);
        let node = &mut self.nodes[self.pods[pod].node];
        let detection = SimDuration::from_nanos_f64(RELIST_NS * node.kubelet.uniform());
        ctx.schedule_in(detection, Event::CrashDetected { pod, life });
    }

    /// The kubelet notices that the container is gone: the Pod is not ready any more, and the container is started again, the
    /// later the more often it died.
    pub(in crate::cluster) fn crash_detected(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life != life || p.process != Process::Exited {
            return;
        }
        if p.terminating {
            return self.remove_pod(pod, ctx);
        }
        p.containers_ready = false;
        let wait = p.backoff.died(ctx.now());
        self.report_readiness(pod, ctx);
        ctx.schedule_in(wait, Event::ContainerStarts { pod, life });
    }

    /// A startup or liveness probe has failed: the container is killed. One that hangs does so until its grace period ends.
    pub(in crate::cluster) fn container_killed(&mut self, pod: PodId, life: u32, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        if p.life != life {
            return;
        }
        if p.pace.is_paused() && p.process == Process::Running {
            p.process = Process::Stopping;
            let grace = self.workloads[p.workload].termination_grace;
            ctx.schedule_in(grace, Event::ContainerKilled { pod, life });
        } else {
            self.container_exits(pod, "killed", ctx);
        }
    }

    /// The process hangs: it serves nothing and answers no probe, but its kernel still accepts connections for it.
    pub(in crate::cluster) fn freeze(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        let now = ctx.now();
        p.life += 1;
        p.pace.freeze(Stop::Pause, now);
        p.servers.pause(now);
        let (probes, life) = (&self.workloads[p.workload].probes, p.life);
        if let Some(readiness) = &probes.readiness {
            ctx.schedule_at(readiness.fails(p.started, now, readiness.timeout), Event::ProbeFails { pod, life });
        }
        if let Some(liveness) = &probes.liveness {
            ctx.schedule_at(liveness.fails(p.started, now, liveness.timeout), Event::ContainerKilled { pod, life });
        }
        self.tell(pod, "pause", ctx);
        self.meter_cpu(pod, ctx);
    }

    /// It goes on where it stopped.
    pub(in crate::cluster) fn thaw(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        let now = ctx.now();
        if !p.pace.is_paused() {
            return;
        }
        p.life += 1;
        if p.pace.thaw(Stop::Pause, now) {
            self.goes_on_working(pod, ctx);
        }
        let p = &self.pods[pod];
        let (readiness, life) = (self.workloads[p.workload].probes.readiness, p.life);
        match readiness {
            Some(readiness) if !p.containers_ready && p.accepts() => {
                ctx.schedule_at(readiness.succeeds(p.started, now), Event::ProbeSucceeds { pod, life });
            }
            _ => {}
        }
        self.tell(pod, "resume", ctx);
        self.told_to_stop_meanwhile(pod, ctx);
    }

    /// A container that hung when its liveness probe failed gets the SIGTERM now: it exits when it is done, or is killed.
    fn told_to_stop_meanwhile(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &self.pods[pod];
        if p.process == Process::Stopping && !p.terminating {
            let grace = self.workloads[p.workload].termination_grace;
            ctx.schedule_in(grace, Event::ContainerKilled { pod, life: p.life });
            self.exit_if_done(pod, ctx);
        }
    }

    /// The Pod is deleted through the API, with its grace period: it gets `deletionTimestamp`, and whoever watches starts.
    pub(in crate::cluster) fn delete_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.mark_deleted(pod, ctx);
        if self.nodes[self.pods[pod].node].condition.is_reached() {
            self.terminate_container(pod, ctx);
        }
    }

    /// The Pod object gets its `deletionTimestamp`: controllers count it no more.
    pub(in crate::cluster) fn mark_deleted(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        self.pods[pod].terminating = true;
        self.tell(pod, "terminate", ctx);
        self.pod_changed(pod, ctx);
    }

    /// The Node's kubelet runs `preStop`, inside the grace period. A container that does not run is gone at once.
    pub(in crate::cluster) fn terminate_container(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if !self.pods[pod].works() {
            return self.remove_pod(pod, ctx);
        }
        let w = &self.workloads[self.pods[pod].workload];
        let grace = w.termination_grace + if w.pre_stop > w.termination_grace { EXTENSION } else { SimDuration::ZERO };
        ctx.schedule_in(w.pre_stop.min(w.termination_grace), Event::PodStops { pod });
        ctx.schedule_in(grace, Event::PodKilled { pod });
    }

    /// SIGTERM: what the application does is its own affair.
    pub(in crate::cluster) fn pod_stops(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        let w = &self.workloads[p.workload];
        if p.process != Process::Running || w.at_sigterm == AtSigterm::Ignore || p.pace.is_paused() {
            return;
        }
        p.process = Process::Stopping;
        if let Some(readiness) = &w.probes.readiness {
            let at = readiness.fails(p.started, ctx.now(), SimDuration::ZERO);
            ctx.schedule_at(at, Event::ProbeFails { pod, life: p.life });
        }
        self.tell(pod, "sigterm", ctx);
        self.accept_next(pod, ctx);
        self.exit_if_done(pod, ctx);
    }

    /// A process that was told to stop exits when it has nothing left to do.
    pub(in crate::cluster) fn exit_if_done(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &self.pods[pod];
        let drains = self.workloads[p.workload].at_sigterm == AtSigterm::DrainConnections;
        if p.process != Process::Stopping || p.present() > 0 || drains || p.hangs() {
            return;
        }
        if p.terminating {
            self.tear_down(pod, ctx);
        } else {
            self.container_exits(pod, "killed", ctx);
        }
    }

    /// SIGKILL: whoever is still in the Pod is reset.
    pub(in crate::cluster) fn pod_killed(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[pod].works() && self.pods[pod].terminating {
            self.reset_all(pod, ctx);
            self.tear_down(pod, ctx);
        }
    }

    /// The last process of a terminating Pod is gone: its sandbox goes, and with it the Pod.
    fn tear_down(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let p = &mut self.pods[pod];
        let takes = self.workloads[p.workload].sandbox_teardown;
        if takes == SimDuration::ZERO {
            return self.remove_pod(pod, ctx);
        }
        p.life += 1;
        (p.process, p.containers_ready) = (Process::Exited, false);
        ctx.schedule_in(takes, Event::CrashDetected { pod, life: p.life });
        self.pods_changed(self.pods[pod].workload);
        self.report_readiness(pod, ctx);
    }

    /// The Pod object is deleted and its address belongs to nobody.
    pub(in crate::cluster) fn remove_pod(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        if !self.nodes[self.pods[pod].node].condition.is_reached() {
            // The process is gone; the object stays until its kubelet can say so.
            self.pods[pod].process = Process::Exited;
            self.pods[pod].life += 1;
            return;
        }
        let workload = self.pods[pod].workload;
        self.pods[pod].process = Process::Gone;
        self.give_back_address(pod);
        self.pods[pod].life += 1;
        self.workloads[workload].pods.retain(|p| *p != pod);
        self.tell(pod, "gone", ctx);
        self.pod_changed(pod, ctx);
        self.try_pending(ctx);
    }

    pub(in crate::cluster) fn tell(&mut self, pod: PodId, event: &'static str, ctx: &Ctx<'_>) {
        let p = &self.pods[pod];
        self.recorder.incident(ctx.now(), event, self.replicas[p.replica].name.clone(), p.node);
    }
}
