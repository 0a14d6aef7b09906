//! Lost Nodes are tainted, in each zone one after the other, and then their Pods are deleted.
//!
//! Source: `pkg/controller/nodelifecycle/node_lifecycle_controller.go`, `handleDisruption`, `setLimiterInZone`,
//! `ComputeZoneState`, `ReducedQPSFunc`; `scheduler/rate_limited_queue.go`, `SwapLimiter`.

use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::{NodeId, ZoneId};
use crate::spec::NodeLifecycleSpec;
use std::collections::{BTreeMap, VecDeque};
use svcsim_engine::{SimDuration, SimTime};

/// What the control plane does about lost Nodes.
#[derive(Clone, Debug, Default)]
pub(in crate::cluster) struct Evictions {
    /// By zone; Nodes without one are one more.
    zones: BTreeMap<Option<ZoneId>, Queue>,
    /// Whether every Node there is is lost, which says more of the control plane than of the Nodes: nobody is evicted.
    stopped: bool,
}

/// The lost Nodes of a zone.
#[derive(Clone, Debug)]
struct Queue {
    /// Those not tainted yet, as they were noticed.
    waiting: VecDeque<NodeId>,
    /// Nodes that are tainted per second.
    rate: f64,
    /// When the next may be.
    next: SimTime,
}

impl Queue {
    /// Taints so many per second from now on; who is waiting for the old rate waits for all of the new.
    fn swap_rate(&mut self, rate: f64, now: SimTime) {
        let free = self.rate > 0.0 && self.next <= now;
        self.rate = rate;
        if !free {
            self.next = now + self.pause();
        }
    }

    /// From one Node to the next.
    fn pause(&self) -> SimDuration {
        if self.rate > 0.0 { SimDuration::from_nanos_f64(1e9 / self.rate) } else { SimDuration::MAX }
    }
}

/// How many Nodes of a zone, so many of which are lost, are tainted per second.
fn rate_of(spec: &NodeLifecycleSpec, lost: usize, all: usize) -> f64 {
    let partly = lost < all && lost > 2 && lost as f64 / all as f64 >= spec.unhealthy_zone_threshold;
    match partly {
        true if all > spec.large_zone as usize => spec.secondary_eviction_rate.0,
        true => 0.0,
        false => spec.eviction_rate.0,
    }
}

impl Cluster {
    /// A Node has been found lost: it will be tainted, when its zone's rate allows.
    pub(super) fn queue_for_taint(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let fresh = || Queue { waiting: VecDeque::new(), rate: self.node_lifecycle.eviction_rate.0, next: SimTime::ZERO };
        let queue = self.evictions.zones.entry(self.nodes[node].zone).or_insert_with(fresh);
        queue.waiting.push_back(node);
        // In the same look others may be found lost too.
        ctx.schedule_in(SimDuration::ZERO, Event::TaintsReviewed);
    }

    /// The controller looks at the health of zones, and taints whom it may.
    pub(in crate::cluster) fn review_taints(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let mut counts: BTreeMap<Option<ZoneId>, (usize, usize)> = BTreeMap::new();
        for node in self.nodes.iter() {
            let (lost, all) = counts.entry(node.zone).or_default();
            *lost += usize::from(node.condition.is_lost());
            *all += 1;
        }
        let all_lost = counts.values().all(|(lost, all)| lost == all);
        match (self.evictions.stopped, all_lost) {
            (false, true) => self.stop_evictions(),
            (true, false) => {
                self.evictions.stopped = false;
                let lost: Vec<NodeId> = self.nodes.ids().filter(|n| self.nodes[*n].condition.is_lost()).collect();
                lost.into_iter().for_each(|node| self.queue_for_taint(node, ctx));
            }
            _ => {}
        }
        let mut tainted = Vec::new();
        for (zone, queue) in &mut self.evictions.zones {
            let (lost, all) = counts.get(zone).copied().unwrap_or_default();
            let rate = if all_lost { 0.0 } else { rate_of(&self.node_lifecycle, lost, all) };
            if rate != queue.rate {
                queue.swap_rate(rate, now);
            }
            queue.waiting.retain(|node| self.nodes[*node].condition.is_lost());
            while queue.rate > 0.0
                && queue.next <= now
                && let Some(node) = queue.waiting.pop_front()
            {
                queue.next = now + queue.pause();
                tainted.push(node);
            }
            if queue.rate > 0.0 && !queue.waiting.is_empty() {
                ctx.schedule_at(queue.next, Event::TaintsReviewed);
            }
        }
        for node in tainted {
            let failure = self.nodes[node].condition.failure();
            ctx.schedule_in(self.node_lifecycle.toleration, Event::NodeEvicts { node, failure });
        }
    }

    /// Taints are taken away, and none is put on.
    fn stop_evictions(&mut self) {
        self.evictions.stopped = true;
        self.evictions.zones.values_mut().for_each(|queue| queue.waiting.clear());
        self.nodes.iter_mut().for_each(|node| node.condition.forgive());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_partly_lost_is_evicted_slowly_or_not_at_all() {
        let rate = |lost, all| rate_of(&NodeLifecycleSpec::default(), lost, all);
        assert_eq!((rate(1, 1), rate(2, 3), rate(54, 100), rate(100, 100)), (0.1, 0.1, 0.1, 0.1));
        assert_eq!((rate(3, 5), rate(28, 50), rate(55, 100)), (0.0, 0.0, 0.01));
    }

    #[test]
    fn a_new_rate_is_waited_for_by_whom_waited_for_the_old() {
        let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
        let mut queue = Queue { waiting: VecDeque::new(), rate: 0.1, next: at(0) };
        queue.swap_rate(0.01, at(5));
        assert_eq!(queue.next, at(0), "nobody waited");
        queue.next = at(50);
        queue.swap_rate(0.1, at(20));
        assert_eq!(queue.next, at(30));
        queue.swap_rate(0.0, at(40));
        queue.swap_rate(0.1, at(60));
        assert_eq!(queue.next, at(70));
    }
}
