//! Nodes fail, and the control plane notices: leases, `unreachable`, eviction (`pkg/controller/nodelifecycle`).

use crate::api::Process;
use crate::cluster::{Cluster, Ctx, Event, Outcome};
use crate::ids::{NodeId, PodId, VertexId, ZoneId};
use crate::spec::{Controller, NodeLifecycleSpec};
use std::rc::Rc;
use svcsim_engine::{Id, Key, SimDuration, SimTime};

/// What is wrong with a Node.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cluster) struct Condition {
    /// Crashes that are not repaired.
    crashes: u32,
    /// Cuts that are not repaired, its zone's not counted.
    cuts: u32,
    /// Partitions of its zone that are not repaired.
    partitions: u32,
    /// Failures of its lease, which number them.
    failures: u32,
    /// Reasons why its lease is not renewed.
    silent: u32,
    /// Whether its Pods have been marked not ready.
    unreachable: bool,
}

impl Condition {
    /// Whether it runs.
    pub(in crate::cluster) const fn runs(self) -> bool {
        self.crashes == 0
    }

    /// Whether the control plane takes it for lost.
    pub(in crate::cluster) const fn is_lost(self) -> bool {
        self.unreachable
    }

    /// Which failure of its lease was the last.
    pub(in crate::cluster) const fn failure(self) -> u32 {
        self.failures
    }

    /// What was to follow from a failure of its lease does not.
    pub(in crate::cluster) const fn forgive(&mut self) {
        self.failures += self.unreachable as u32;
    }

    /// Whether API server and kubelet can talk to each other.
    pub(in crate::cluster) const fn is_reached(self) -> bool {
        self.silent == 0
    }
}

impl Cluster {
    /// The Node loses power: its Pods' processes are gone without a word.
    pub(in crate::cluster) fn crash_node(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.faults += 1;
        self.nodes[node].condition.crashes += 1;
        if self.nodes[node].condition.crashes == 1 {
            for pod in self.pods_on(node) {
                self.pods[pod].life += 1;
                self.pods[pod].process = Process::Exited;
                self.swallow_all(pod, ctx);
                self.pods_changed(self.pods[pod].workload);
            }
        }
        self.lease_stops(node, ctx);
        self.balancers_notice(node, ctx);
    }

    /// The Node boots: its proxy writes its rules anew and its kubelet starts its Pods.
    pub(in crate::cluster) fn boot_node(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.faults -= 1;
        self.nodes[node].condition.crashes -= 1;
        // A proxy that starts writes everything.
        self.nodes[node].full_sync = SimTime::ZERO;
        self.lease_goes_on(node, ctx);
        if !self.nodes[node].condition.runs() {
            return;
        }
        for pod in self.pods_on(node) {
            if self.pods[pod].terminating {
                self.remove_pod(pod, ctx);
            } else {
                self.pods[pod].containers_ready = false;
                self.report_readiness(pod, ctx);
                let life = self.pods[pod].life;
                self.container_starts(pod, life, ctx);
            }
        }
        self.catch_up(node, ctx);
        self.balancers_return(node, ctx);
    }

    /// The Node is cut off the network, and runs on.
    pub(in crate::cluster) fn cut_node(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.faults += 1;
        self.nodes[node].condition.cuts += 1;
        self.lease_stops(node, ctx);
        self.balancers_notice(node, ctx);
    }

    /// The Node is connected again.
    pub(in crate::cluster) fn rejoin_node(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.faults -= 1;
        self.nodes[node].condition.cuts -= 1;
        self.is_back(node, ctx);
    }

    /// The Node is connected as far as this fault goes: its lease is renewed, it lists what it missed, and balancers use it.
    pub(in crate::cluster) fn is_back(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        self.lease_goes_on(node, ctx);
        self.catch_up(node, ctx);
        self.balancers_return(node, ctx);
    }

    /// A zone is cut off from all that is outside it, or connected again.
    pub(in crate::cluster) fn partition(&mut self, zone: ZoneId, begins: bool) {
        self.faults = if begins { self.faults + 1 } else { self.faults - 1 };
        for node in self.nodes.iter_mut().filter(|n| n.zone == Some(zone)) {
            let count = &mut node.condition.partitions;
            *count = if begins { *count + 1 } else { *count - 1 };
        }
    }

    /// Whether a message that sets out from `from` to `to`, or is under way between switches there, is lost to a fault. Only asked
    /// while there is one.
    pub(in crate::cluster) fn severed(&self, from: VertexId, to: VertexId, under_way: bool) -> bool {
        let node = |v: VertexId| self.node_at(v).map(|n| &self.nodes[n]);
        let (a, b) = (node(from), node(to));
        let dark = |n: &crate::cluster::Node| !n.condition.runs() || (n.condition.cuts > 0 && from != to);
        // Whether it crosses a zone's border was asked where it set out.
        let partitioned = |n: &crate::cluster::Node| n.condition.partitions > 0 && !under_way;
        let same_zone = || a.and_then(|n| n.zone) == b.and_then(|n| n.zone);
        [a, b].into_iter().flatten().any(|n| dark(n) || (partitioned(n) && !same_zone()))
    }

    /// The Node at a vertex of the network.
    fn node_at(&self, vertex: VertexId) -> Option<NodeId> {
        self.node_at.get(vertex.index()).copied().flatten()
    }

    /// The Node's lease is not renewed any more: the control plane finds out at its first look after the grace period.
    pub(in crate::cluster) fn lease_stops(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let condition = &mut self.nodes[node].condition;
        condition.silent += 1;
        if condition.silent > 1 {
            return;
        }
        condition.failures += 1;
        let failure = condition.failures;
        let at = unreachable_at(&self.node_lifecycle, self.nodes[node].lease_phase, ctx.now());
        ctx.schedule_at(at, Event::NodeUnreachable { node, failure });
    }

    /// The Node's kubelet is heard again, and reports how its Pods are.
    pub(in crate::cluster) fn lease_goes_on(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let condition = &mut self.nodes[node].condition;
        condition.silent -= 1;
        if !condition.is_reached() {
            return;
        }
        if std::mem::take(&mut condition.unreachable) {
            ctx.schedule_in(SimDuration::ZERO, Event::TaintsReviewed);
            self.try_pending(ctx);
        }
        for pod in self.pods_on(node) {
            if !self.pods[pod].terminating {
                self.report_readiness(pod, ctx);
            } else if self.pods[pod].process == Process::Running {
                // It was told to delete the Pod while nobody could reach it.
                self.terminate_container(pod, ctx);
            } else if !self.pods[pod].works() {
                self.remove_pod(pod, ctx);
            }
        }
    }

    /// The control plane takes the Node for lost: its Pods are not ready from now on (`MarkPodsNotReady`).
    pub(in crate::cluster) fn node_unreachable(&mut self, node: NodeId, failure: u32, ctx: &mut Ctx<'_>) {
        let condition = &mut self.nodes[node].condition;
        if condition.is_reached() || condition.failures != failure {
            return;
        }
        condition.unreachable = true;
        for pod in self.pods_on(node) {
            if std::mem::take(&mut self.pods[pod].ready) {
                self.tell(pod, "unready", ctx);
            }
            self.pod_changed(pod, ctx);
        }
        self.queue_for_taint(node, ctx);
    }

    /// The Pods of a lost Node are deleted (`tainteviction`). Their objects stay until its kubelet confirms; controllers
    /// create others meanwhile.
    pub(in crate::cluster) fn node_evicts(&mut self, node: NodeId, failure: u32, ctx: &mut Ctx<'_>) {
        let condition = &self.nodes[node].condition;
        if condition.is_reached() || condition.failures != failure {
            return;
        }
        for pod in self.pods_on(node) {
            if !self.pods[pod].terminating && self.workloads[self.pods[pod].workload].controller != Controller::DaemonSet {
                self.mark_deleted(pod, ctx);
            }
        }
    }

    /// Whether the Node is one that new Pods may be placed on.
    pub(in crate::cluster) fn is_schedulable(&self, node: NodeId) -> bool {
        !self.nodes[node].condition.unreachable && self.nodes[node].cordons == 0
    }

    /// What a Node's proxy missed reaches it now, and its rules are written.
    pub(in crate::cluster) fn catch_up(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        if !self.nodes[node].condition.is_reached() || self.control_plane_waits(true, Event::NodeCatchesUp { node }) {
            return;
        }
        for service in self.table.services.ids() {
            if self.nodes[node].proxy.view(service).version != self.published[service].version {
                let news = (service, Rc::clone(&self.published[service]));
                self.nodes[node].news.push(news);
            }
        }
        self.trigger_sync(node, ctx);
    }

    /// Pods on a Node whose objects exist.
    pub(in crate::cluster) fn pods_on(&self, node: NodeId) -> Vec<PodId> {
        let pods = self.workloads.iter().flat_map(|w| &w.pods).copied();
        pods.filter(|p| self.pods[*p].node == node).collect()
    }

    /// Nobody hears of the requests in a Pod any more.
    fn swallow_all(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        self.pods[id].clear(ctx.now());
        let keys: Vec<Key> = self.requests.iter().filter(|(_, r)| r.is_inside(id)).map(|(k, _)| k).collect();
        keys.into_iter().for_each(|key| self.lose(key, Outcome::Blackhole, ctx));
    }
}

/// When the controller finds out that a lease, renewed at `phase` in each period, was last renewed before `failed`.
fn unreachable_at(spec: &NodeLifecycleSpec, phase: SimDuration, failed: SimTime) -> SimTime {
    let (failed, renewal) = (failed.as_nanos(), spec.lease_renewal.as_nanos().max(1));
    let renewed = failed.saturating_sub((failed + renewal - phase.as_nanos() % renewal) % renewal);
    let stale = renewed.saturating_add(spec.grace_period.as_nanos());
    let monitor = spec.monitor_period.as_nanos().max(1);
    SimTime::from_nanos(stale.max(failed).div_ceil(monitor).saturating_mul(monitor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_node_is_noticed_at_the_first_look_after_its_lease_is_stale() {
        let at = |phase: u64, failed: u64| {
            let at =
                unreachable_at(&NodeLifecycleSpec::default(), SimDuration::from_secs(phase), SimTime::from_nanos(failed * 1_000_000_000));
            at.as_nanos() / 1_000_000_000
        };
        // Renewed at 3, 13, 23, ...: a failure at 29 leaves the lease of 23, stale at 73, seen at 75.
        assert_eq!(at(3, 29), 75);
        assert_eq!(at(3, 33), 85);
        assert_eq!(at(3, 32), 75);
        assert_eq!(at(0, 30), 80);
        assert_eq!(at(7, 2), 50);
    }
}
