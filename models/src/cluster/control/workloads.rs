//! Workloads' controllers keep as many Pods as were asked for, of the version that was asked for.
//!
//! A rolling update is the Deployment controller's arithmetic ([`deployment`]) step by step: the new ReplicaSet grows into the
//! surge, old ones shrink as far as enough Pods are available. StatefulSets go from the last place to the first, DaemonSets Node
//! by Node, and neither fills a place before its Pod is gone.

use crate::cluster::{Cluster, Ctx, Event, Replica, Workload};
use crate::controllers::deployment::{self, ReplicaSet, Strategy};
use crate::ids::{NodeId, PodId, ReplicaId, WorkloadId};
use crate::spec::Controller;
use std::cmp::Reverse;
use svcsim_engine::SimTime;

/// Pods of one version of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Version {
    /// Counted from 1.
    pub(in crate::cluster) revision: u32,
    /// How many Pods it is to have.
    pub(in crate::cluster) replicas: u32,
}

impl Cluster {
    /// A Pod object has changed: EndpointSlices will follow, and so does its controller.
    pub(in crate::cluster) fn pod_changed(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let workload = self.pods[pod].workload;
        self.publish(workload, ctx);
        self.reconcile(workload, ctx);
    }

    /// A new version of the workload is rolled out; `fails` says that it never listens.
    pub(in crate::cluster) fn roll_out(&mut self, workload: WorkloadId, fails: bool, ctx: &mut Ctx<'_>) {
        let w = &mut self.workloads[workload];
        let revision = w.versions.iter().map(|v| v.revision).max().unwrap_or(0) + 1;
        w.versions.push(Version { revision, replicas: 0 });
        if fails {
            w.failing.push(revision);
        }
        w.progressed = ctx.now();
        if w.controller == Controller::Deployment {
            ctx.schedule_in(w.rollout.progress_deadline, Event::ProgressDeadline { workload, revision });
        }
        self.reconcile(workload, ctx);
    }

    /// The workload is to have so many Pods.
    pub(in crate::cluster) fn scale(&mut self, workload: WorkloadId, replicas: u32, ctx: &mut Ctx<'_>) {
        self.workloads[workload].desired = replicas;
        self.reconcile(workload, ctx);
    }

    /// A rollout that has made no progress for so long has failed, which changes nothing
    /// (`deployment/util/deployment_util.go`, `DeploymentTimedOut`).
    pub(in crate::cluster) fn progress_deadline(&mut self, workload: WorkloadId, revision: u32, ctx: &mut Ctx<'_>) {
        let w = &self.workloads[workload];
        let is_done = w.versions.len() == 1 && self.available(workload, revision, ctx.now()) >= w.desired;
        if is_done || w.versions.last().is_none_or(|v| v.revision != revision) {
            return;
        }
        let due = w.progressed + w.rollout.progress_deadline;
        if due > ctx.now() {
            return ctx.schedule_at(due, Event::ProgressDeadline { workload, revision });
        }
        let what = format!("the rollout of {} has made no progress for {}", w.name, w.rollout.progress_deadline);
        self.recorder.event(ctx.now(), &format!("rollout of {}", w.name), true, what);
    }

    /// Whether the Pod is of a version that never listens.
    pub(in crate::cluster) fn fails_to_start(&self, pod: PodId) -> bool {
        let p = &self.pods[pod];
        self.workloads[p.workload].failing.contains(&p.revision)
    }

    /// One sync after the other of the workload's controller, until there is nothing to do for now.
    pub(in crate::cluster) fn reconcile(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        if self.control_plane_waits(true, Event::Reconcile { workload }) || self.workloads[workload].reconciling {
            return;
        }
        self.workloads[workload].reconciling = true;
        while self.step(workload, ctx) {
            self.workloads[workload].progressed = ctx.now();
            self.fill(workload, ctx);
        }
        self.fill(workload, ctx);
        self.workloads[workload].reconciling = false;
    }

    /// One step of a rollout or of scaling: whether anything was changed.
    fn step(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) -> bool {
        match self.workloads[workload].controller {
            Controller::Deployment => self.step_deployment(workload, ctx),
            Controller::StatefulSet | Controller::DaemonSet => self.step_in_place(workload, ctx),
        }
    }

    fn step_deployment(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) -> bool {
        let (old, new) = self.workloads[workload].versions.split_at(self.workloads[workload].versions.len() - 1);
        let (mut old, mut new) = (old.to_vec(), new[0]);
        let w = &self.workloads[workload];
        let desired = w.desired as i32;
        let set =
            |v: &Version| ReplicaSet { replicas: v.replicas as i32, available: self.available(workload, v.revision, ctx.now()) as i32 };
        let strategy = w.rollout.strategy;
        let (surge, unavailable) = (Some(&w.rollout.max_surge), Some(&w.rollout.max_unavailable));
        let mut sets: Vec<ReplicaSet> = old.iter().map(set).collect();
        // Recreate waits until the old Pods are gone, not only told to go.
        let old_total = match strategy {
            Strategy::RollingUpdate => sets.iter().map(|s| s.replicas).sum(),
            Strategy::Recreate => w.pods.iter().filter(|p| self.pods[**p].revision != new.revision).count() as i32,
        };
        let wanted = deployment::step_new_replica_set(strategy, surge, desired, old_total, new.replicas as i32);
        let wanted = wanted.map_or(new.replicas, |n| n.max(0) as u32);
        if wanted != new.replicas {
            new.replicas = wanted;
            self.workloads[workload].versions.last_mut().into_iter().for_each(|v| *v = new);
            return true;
        }
        let most = deployment::max_unavailable(strategy, surge, unavailable, desired);
        let scaled = match strategy {
            Strategy::RollingUpdate => deployment::step_old_replica_sets(&mut sets, set(&new), desired, most),
            Strategy::Recreate => {
                let any = sets.iter().any(|s| s.replicas > 0);
                sets.iter_mut().for_each(|s| s.replicas = 0);
                any
            }
        };
        for (version, set) in old.iter_mut().zip(&sets) {
            version.replicas = set.replicas.max(0) as u32;
        }
        let gone =
            |v: &Version| v.replicas == 0 && !w.pods.iter().any(|p| self.pods[*p].revision == v.revision && !self.pods[*p].terminating);
        old.retain(|v| !gone(v));
        self.workloads[workload].versions = old.into_iter().chain([new]).collect();
        scaled
    }

    /// A StatefulSet's or DaemonSet's Pods of old versions go, as many at once as may be unavailable, the last place first.
    fn step_in_place(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) -> bool {
        let w = &self.workloads[workload];
        let Some(newest) = w.versions.last().map(|v| v.revision) else { return false };
        let most = match w.controller {
            Controller::DaemonSet => {
                deployment::max_unavailable(Strategy::RollingUpdate, None, Some(&w.rollout.max_unavailable), w.desired as i32)
            }
            _ => 1,
        };
        let missing = (0..w.desired as usize).filter(|i| w.replicas.get(*i).is_none_or(|r| !self.pods[self.replicas[*r].pod].is_active()));
        // Places before the partition keep the version that they have.
        let partition = if w.controller == Controller::StatefulSet { w.rollout.partition.min(w.desired) } else { 0 };
        let places = w.replicas.iter().take(w.desired as usize).skip(partition as usize).rev();
        let old = places.map(|r| self.replicas[*r].pod).find(|p| self.pods[*p].revision != newest && self.pods[*p].is_active());
        let may = (missing.count() as i32) < most.max(1);
        let kept = w.versions.len().checked_sub(2).map(|before| w.versions[before].revision).filter(|_| partition > 0);
        // Those that have yet to go are not replaced by their like.
        let active = |revision| self.active(workload, revision).count() as u32;
        let kept = kept.map(|revision| Version { revision, replicas: active(revision).clamp(partition, w.desired) });
        let rest = Version { revision: newest, replicas: w.desired - kept.map_or(0, |v| v.replicas) };
        let versions: Vec<Version> = kept.into_iter().chain([rest]).collect();
        match old.filter(|_| may) {
            Some(pod) => {
                self.delete_pod(pod, ctx);
                true
            }
            None => {
                // New Pods are of its last version, but for those before the partition.
                let changed = self.workloads[workload].versions != versions;
                self.workloads[workload].versions = versions;
                changed
            }
        }
    }

    /// Each version has as many Pods as it is to have.
    fn fill(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        for version in self.workloads[workload].versions.clone() {
            let mut active: Vec<PodId> = self.active(workload, version.revision).collect();
            // A StatefulSet's Pods go one after the other, as they came (`stateful_set_control.go`).
            let w = &self.workloads[workload];
            let in_order = w.controller == Controller::StatefulSet && !w.rollout.parallel;
            while active.len() > version.replicas as usize && !(in_order && self.any_terminating(workload)) {
                let Some(victim) = self.first_to_go(workload, &active) else { break };
                active.retain(|p| *p != victim);
                self.delete_pod(victim, ctx);
            }
            for _ in active.len()..version.replicas as usize {
                let Some(vacancy) = self.vacancy(workload) else { break };
                let Some(node) = self.node_for(workload, vacancy) else {
                    self.wait_for_node(workload, ctx);
                    break;
                };
                let replica = vacancy.unwrap_or_else(|| self.add_place(workload));
                self.fill_place(replica, node, version.revision, ctx);
            }
        }
    }

    fn any_terminating(&self, workload: WorkloadId) -> bool {
        self.workloads[workload].pods.iter().any(|p| self.pods[*p].terminating && self.pods[*p].exists())
    }

    /// The Node for a Pod at a place; a DaemonSet's places are the Nodes themselves, cordoned or not.
    fn node_for(&self, workload: WorkloadId, place: Option<ReplicaId>) -> Option<NodeId> {
        let w = &self.workloads[workload];
        match (w.controller, place) {
            (Controller::DaemonSet, Some(place)) => w.replicas.iter().position(|r| *r == place).and_then(|i| w.eligible.get(i).copied()),
            _ => self.place(workload),
        }
    }

    /// Pods of a version that nobody deletes.
    fn active(&self, workload: WorkloadId, revision: u32) -> impl Iterator<Item = PodId> {
        let pods = self.workloads[workload].pods.iter().copied();
        pods.filter(move |p| self.pods[*p].revision == revision && !self.pods[*p].terminating && self.pods[*p].exists())
    }

    /// Those of them that have been ready for `minReadySeconds`.
    fn available(&self, workload: WorkloadId, revision: u32, now: SimTime) -> u32 {
        let least = self.workloads[workload].rollout.min_ready;
        self.active(workload, revision).filter(|p| self.pods[*p].ready && now.since(self.pods[*p].ready_since) >= least).count() as u32
    }

    /// The Pod that goes first: one that is not ready before one that is, then the younger (`controller_utils.go`
    /// `ActivePodsWithRanks`, without deletion costs); a StatefulSet's last.
    fn first_to_go(&self, workload: WorkloadId, active: &[PodId]) -> Option<PodId> {
        let ordered = self.workloads[workload].controller != Controller::Deployment;
        let rank = |p: &PodId| {
            let pod = &self.pods[*p];
            let place = if ordered { Reverse(pod.replica) } else { Reverse(ReplicaId(0)) };
            (place, !ordered && pod.ready, Reverse(pod.ready_since), Reverse(*p))
        };
        active.iter().min_by_key(|p| rank(p)).copied()
    }

    /// The first place without a Pod, or none where it takes one more place; or there can be no Pod more now.
    fn vacancy(&self, workload: WorkloadId) -> Option<Option<ReplicaId>> {
        let w = &self.workloads[workload];
        let ordered = w.controller == Controller::StatefulSet && !w.rollout.parallel;
        for replica in &w.replicas {
            let pod = &self.pods[self.replicas[*replica].pod];
            let free = !pod.exists() || (pod.terminating && w.controller == Controller::Deployment);
            if free {
                return Some(Some(*replica));
            }
            // The places before it have to be ready first (`podManagementPolicy: OrderedReady`).
            if ordered && !pod.is_active() {
                return None;
            }
        }
        if w.controller == Controller::DaemonSet || w.replicas.len() >= self.most_places {
            return None;
        }
        Some(None)
    }

    /// One more place in the workload, without a Pod yet.
    pub(in crate::cluster) fn add_place(&mut self, workload: WorkloadId) -> ReplicaId {
        let w = &self.workloads[workload];
        let name = format!("{}-{}", w.name, w.replicas.len());
        let place = self.workloads[workload].replicas.len() as u32;
        let replica = self.replicas.push(Replica { name, workload, pod: PodId(u32::MAX), place, pods: 0 });
        self.workloads[workload].replicas.push(replica);
        self.recorder.grow(self.replicas.len());
        replica
    }

    /// A new Pod fills the place.
    fn fill_place(&mut self, replica: ReplicaId, node: NodeId, revision: u32, ctx: &mut Ctx<'_>) {
        let pod = self.create_pod(replica, node);
        self.pods[pod].revision = revision;
        self.replicas[replica].pod = pod;
        self.replicas[replica].pods += 1;
        self.tell(pod, "create", ctx);
        self.start_pod(pod, ctx);
    }
}

impl Workload {
    /// The version that it starts with.
    pub(in crate::cluster) fn first_version(replicas: u32) -> Vec<Version> {
        vec![Version { revision: 1, replicas }]
    }
}
