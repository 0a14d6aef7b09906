//! Load balancers learn of targets and check their health.

use crate::api::{EndpointSet, PortEndpoints};
use crate::cluster::{Balancer, Cluster, Ctx, Event, Node, Outcome, Request, Stage};
use crate::control_plane::health_check;
use crate::ids::{BalancerId, NodeId, PodId, ServiceId, SourceId};
use crate::load_balancer::{LoadBalancer, Probe, Target, Targets};
use std::collections::BTreeSet;
use svcsim_engine::{Key, SimDuration, SimTime};

impl Cluster {
    /// Health checks begin, each target in its own rhythm.
    pub(in crate::cluster) fn open_health_checks(&mut self, ctx: &mut Ctx<'_>) {
        for balancer in self.load_balancers.ids() {
            for target in self.load_balancers[balancer].targets.clone() {
                self.begin_checks(balancer, target, |lb, now| lb.first_check(target, now), ctx);
            }
        }
    }

    /// Schedules the first check of a target, unless its answer is known for good: under policy Cluster every live Node is a
    /// good target, and in most experiments no Node fails.
    fn begin_checks(
        &mut self,
        balancer: BalancerId,
        target: Target,
        first: impl FnOnce(&mut LoadBalancer, SimTime) -> Option<SimDuration>,
        ctx: &mut Ctx<'_>,
    ) {
        let b = &self.load_balancers[balancer];
        let known = matches!(target, Target::Node(_)) && !self.table.services[b.service].checks_local_health() && !self.nodes_may_fail();
        let due = first(&mut self.load_balancers[balancer].lb, ctx.now());
        if let Some(due) = due.filter(|_| !known) {
            ctx.schedule_in(due, Event::HealthCheck { balancer, target });
        }
    }

    /// A target answers: a Node by `healthCheckNodePort`, 200 where its proxy knows a ready local endpoint, else 503
    /// (`pkg/proxy/healthcheck/service_health.go`); a Pod by accepting a connection.
    pub(in crate::cluster) fn check_health(&mut self, balancer: BalancerId, target: Target, ctx: &mut Ctx<'_>) {
        let service = self.load_balancers[balancer].service;
        let local = self.table.services[service].checks_local_health();
        let node = match target {
            Target::Node(node) => node,
            Target::Pod(pod) => self.pods[pod].node,
        };
        let silent = self.faults > 0 && self.severed(self.network.edge(), self.nodes[node].vertex, false);
        let silent = silent || matches!(target, Target::Pod(pod) if self.check_hangs(balancer, pod));
        let probe = match target {
            Target::Node(node) if !silent && (!local || self.nodes[node].has_ready(service, node)) => Probe::Passed,
            Target::Node(_) if !silent => Probe::Failed,
            Target::Pod(pod) if !silent && self.pods[pod].accepts() => Probe::Passed,
            Target::Pod(pod) if !silent && self.pods[pod].exists() => Probe::Failed,
            // Nobody has the address: the answer is that none comes, and that takes a while.
            _ => {
                let timeout = self.load_balancers[balancer].lb.health_check().map(|c| c.timeout);
                return ctx.schedule_in(timeout.unwrap_or(SimDuration::ZERO), Event::CheckTimesOut { balancer, target });
            }
        };
        self.checked(balancer, target, probe, ctx);
    }

    /// Whether a check of a Pod waits for a process that hangs. One that only connects does not, while the kernel accepts; a proxy
    /// asks by HTTP.
    fn check_hangs(&self, balancer: BalancerId, pod: PodId) -> bool {
        let pod = &self.pods[pod];
        let asks = self.load_balancers[balancer].lb.parameters().proxies.is_some();
        pod.hangs() && (asks || !pod.queues_connects(self.workloads[pod.workload].backlog))
    }

    /// A target's check is over; the next is due an interval after it was sent.
    pub(in crate::cluster) fn checked(&mut self, balancer: BalancerId, target: Target, probe: Probe, ctx: &mut Ctx<'_>) {
        let lb = &mut self.load_balancers[balancer].lb;
        let was = lb.is_healthy(target);
        let Some(checked) = lb.checked(target, probe, ctx.now()) else { return };
        let changed = was != lb.is_healthy(target);
        if ctx.now() < self.sending_until {
            ctx.schedule_in(checked.next, Event::HealthCheck { balancer, target });
        }
        if checked.cut {
            self.cut_target(balancer, target, ctx);
        }
        if let Target::Pod(pod) = target
            && changed
            && self.workloads[self.pods[pod].workload].readiness_gate
        {
            self.report_readiness(pod, ctx);
        }
    }

    /// Whether some event of the experiment makes Nodes fail.
    fn nodes_may_fail(&self) -> bool {
        self.planned.iter().any(crate::cluster::Planned::hits_nodes)
    }

    /// A Node is lost: balancers that make no health checks find out by their own means (ARP, BGP hold timers).
    pub(in crate::cluster) fn balancers_notice(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let target = Target::Node(node);
        for balancer in self.load_balancers.ids() {
            let b = &mut self.load_balancers[balancer];
            let Some(order) = b.targets.contains(&target).then(|| b.lb.failed(target, ctx.now())).flatten() else { continue };
            b.ordered(target, ctx.now());
            ctx.schedule_at(order.no_new_after, Event::TargetDeregistered { balancer, target });
            if let Some(at) = order.cut_at {
                ctx.schedule_at(at, Event::TargetCut { balancer, target });
            }
        }
    }

    /// A load balancer fails, or one failure of it is over.
    pub(in crate::cluster) fn balancer_fails(&mut self, service: ServiceId, begins: bool) {
        self.faults = if begins { self.faults + 1 } else { self.faults - 1 };
        for balancer in &self.endpoints[service].balancers {
            let failures = &mut self.load_balancers[*balancer].failures;
            *failures = if begins { *failures + 1 } else { *failures - 1 };
        }
    }

    /// Whether the message is on its way to a load balancer that has failed. Only asked while there is a fault.
    pub(in crate::cluster) fn meets_failed_balancer(&self, r: &Request) -> bool {
        let towards = matches!(r.stage, Stage::ToLoadBalancer | Stage::BackToLoadBalancer);
        towards && self.balancer_of(r.source).is_some_and(|b| b.failures > 0)
    }

    /// A Node is back: balancers that had found out use it again.
    pub(in crate::cluster) fn balancers_return(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let target = Target::Node(node);
        for balancer in self.load_balancers.ids() {
            let b = &mut self.load_balancers[balancer];
            if b.targets.contains(&target) && b.lb.health_check().is_none() {
                b.ordered(target, ctx.now());
                let done = b.lb.register(target, self.nodes[node].zone, ctx.now());
                ctx.schedule_at(done, Event::TargetRegistered { balancer, target });
            }
        }
    }

    /// The EndpointSlices of `service` were written: balancers whose targets follow Pods register and deregister them.
    pub(in crate::cluster) fn follow_pods(&mut self, service: ServiceId, ctx: &mut Ctx<'_>) {
        for balancer in self.endpoints[service].balancers.clone() {
            self.follow(balancer, ctx);
        }
    }

    fn follow(&mut self, balancer: BalancerId, ctx: &mut Ctx<'_>) {
        let published = &self.published[self.load_balancers[balancer].service];
        let since = published.trigger.unwrap_or(ctx.now());
        let wanted = self.wanted_targets(balancer, published);
        let b = &mut self.load_balancers[balancer];
        let gone: Vec<Target> = b.targets.difference(&wanted).copied().collect();
        let come: Vec<Target> = wanted.difference(&b.targets).copied().collect();
        b.targets = wanted;
        gone.iter().chain(&come).for_each(|target| b.ordered(*target, since));
        let now = ctx.now();
        for target in gone {
            let order = b.lb.deregister(target, now);
            ctx.schedule_at(order.no_new_after, Event::TargetDeregistered { balancer, target });
            if let Some(at) = order.cut_at {
                ctx.schedule_at(at, Event::TargetCut { balancer, target });
            }
        }
        for target in come {
            let zone = match target {
                Target::Node(node) => self.nodes[node].zone,
                Target::Pod(pod) => self.nodes[self.pods[pod].node].zone,
            };
            let done = b.lb.register(target, zone, now);
            ctx.schedule_at(done, Event::TargetRegistered { balancer, target });
        }
    }

    /// What a balancer should have as targets when its Service's endpoints are `set`.
    pub(in crate::cluster) fn wanted_targets(&self, balancer: BalancerId, set: &EndpointSet) -> BTreeSet<Target> {
        let Balancer { service, port, lb, .. } = &self.load_balancers[balancer];
        let parameters = lb.parameters();
        let port = || set.ports.get(usize::from(*port)).into_iter();
        let ready = port().flat_map(|p| p.ready().iter().map(|i| &p.endpoints[*i as usize]));
        let usable = |n: &NodeId| !self.nodes[*n].spec.excluded_from_load_balancers;
        match parameters.targets {
            Targets::Pods => {
                // A Pod that only waits for its readiness gate is a target already, or it would wait for ever.
                let gated = |p: &PodId| {
                    let (pod, w) = (&self.pods[*p], &self.workloads[self.pods[*p].workload]);
                    w.readiness_gate && pod.containers_ready && !pod.terminating
                };
                let listed = port().flat_map(|p| p.endpoints.iter().map(|e| e.pod));
                ready.map(|e| e.pod).chain(listed.filter(gated)).map(Target::Pod).collect()
            }
            Targets::Nodes if parameters.follows_pods(self.table.services[*service].checks_local_health()) => {
                // What serves counts, terminating or not (MetalLB, `internal/k8s/epslices` EndpointCanServe; ingress-gce's
                // LocalL4EndpointsCalculator does not even ask that).
                let serving = set.ports.iter().flat_map(|p| &p.endpoints).filter(|e| e.conditions.ready || e.conditions.serving);
                serving.filter_map(|e| e.node).filter(usable).map(Target::Node).collect()
            }
            Targets::Nodes => self.nodes.ids().filter(usable).map(Target::Node).collect(),
        }
    }

    /// A target's registration is done.
    pub(in crate::cluster) fn target_registered(&mut self, balancer: BalancerId, target: Target, ctx: &mut Ctx<'_>) {
        self.load_balancers[balancer].done(target);
        self.begin_checks(balancer, target, |lb, now| lb.registered(target, now), ctx);
    }

    /// A target gets no new connections from now on.
    pub(in crate::cluster) fn target_deregistered(&mut self, balancer: BalancerId, target: Target, ctx: &Ctx<'_>) {
        let b = &mut self.load_balancers[balancer];
        b.done(target);
        b.lb.deregistered(target, ctx.now());
    }

    /// A target's draining is over: its connections are reset, unless it is a target again.
    pub(in crate::cluster) fn draining_ends(&mut self, balancer: BalancerId, target: Target, ctx: &mut Ctx<'_>) {
        if !self.load_balancers[balancer].targets.contains(&target) {
            self.cut_target(balancer, target, ctx);
        }
    }

    /// The connections of a target through the balancer are reset.
    fn cut_target(&mut self, balancer: BalancerId, target: Target, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        for id in self.sources.ids() {
            if self.sources[id].balancer != Some(balancer) {
                continue;
            }
            for client in 0..self.sources[id].clients.len() {
                let idle = std::mem::take(&mut self.sources[id].clients[client].idle);
                let (cut, kept): (Vec<_>, Vec<_>) = idle.into_iter().partition(|(_, c)| c.target() == Some(target));
                self.sources[id].clients[client].idle = kept;
                cut.iter().for_each(|(_, connection)| self.hang_up(id, client as u32, connection, now));
                self.cut_pool((id, client as u32), target, now);
            }
        }
        let sources = &self.sources;
        let through = |r: &Request| sources[r.source].balancer == Some(balancer);
        let hit = |r: &Request| !r.ended && r.connection.target() == Some(target) && through(r);
        let keys: Vec<Key> = self.requests.iter().filter(|(_, r)| hit(r)).map(|(k, _)| k).collect();
        for key in keys {
            self.give_up(key, Outcome::Reset, ctx);
        }
    }
}

impl Cluster {
    /// The load balancer that a source dials, if there is one in front.
    #[inline]
    pub(in crate::cluster) fn balancer_of(&self, source: SourceId) -> Option<&Balancer> {
        self.sources[source].balancer.map(|b| &self.load_balancers[b])
    }

    /// The same, to be changed.
    #[inline]
    pub(in crate::cluster) fn balancer_of_mut(&mut self, source: SourceId) -> Option<&mut Balancer> {
        self.sources[source].balancer.map(|b| &mut self.load_balancers[b])
    }
}

impl Balancer {
    /// A target is to be registered or deregistered, by a change of `since`.
    fn ordered(&mut self, target: Target, since: SimTime) {
        self.orders.push((target, since));
    }

    /// It is.
    fn done(&mut self, target: Target) {
        if let Some(order) = self.orders.iter().position(|(t, _)| *t == target) {
            self.orders.remove(order);
        }
    }

    /// For how long its targets have not been those that it is to have; none if they do not follow Pods.
    pub(in crate::cluster) fn staleness(&self, published: &EndpointSet, local: bool, now: SimTime) -> Option<SimDuration> {
        let follows = self.lb.parameters().targets == Targets::Pods || self.lb.parameters().follows_pods(local);
        let behind = self.orders.iter().map(|(_, since)| now.since(*since)).max().unwrap_or_default();
        follows.then(|| published.staleness(now).max(behind))
    }
}

impl Node {
    /// Whether `healthCheckNodePort` answers 200 on it, which is `id`.
    pub(in crate::cluster) fn has_ready(&self, service: ServiceId, id: NodeId) -> bool {
        let local = |p: &PortEndpoints| p.ready_on(id).iter().map(|i| p.endpoints[*i as usize].clone()).collect::<Vec<_>>();
        let endpoints: Vec<_> = self.proxy.view(service).ports.iter().flat_map(local).collect();
        health_check::answer(id, &endpoints, true).status == 200
    }
}
