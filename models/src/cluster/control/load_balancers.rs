//! Load balancers learn of targets and check their health.

use crate::api::{EndpointSet, PortEndpoints};
use crate::cluster::{Cluster, Ctx, Event, Node, Outcome, Request, Stage};
use crate::control_plane::health_check;
use crate::ids::{NodeId, PodId, ServiceId};
use crate::load_balancer::{LoadBalancer, Probe, Target, Targets};
use std::collections::BTreeSet;
use svcsim_engine::{Key, SimDuration, SimTime};

impl Cluster {
    /// Health checks begin, each target in its own rhythm.
    pub(in crate::cluster) fn open_health_checks(&mut self, ctx: &mut Ctx<'_>) {
        for service in self.table.services.ids() {
            let targets: Vec<Target> = self.load_balancers[service].iter().flat_map(|b| b.targets.iter().copied()).collect();
            for target in targets {
                self.begin_checks(service, target, |lb, now| lb.first_check(target, now), ctx);
            }
        }
    }

    /// Schedules the first check of a target, unless its answer is known for good: under policy Cluster every live Node is a
    /// good target, and in most experiments no Node fails.
    fn begin_checks(
        &mut self,
        service: ServiceId,
        target: Target,
        first: impl FnOnce(&mut LoadBalancer, SimTime) -> Option<SimDuration>,
        ctx: &mut Ctx<'_>,
    ) {
        let known = matches!(target, Target::Node(_)) && !self.table.services[service].checks_local_health() && !self.nodes_may_fail();
        let Some(balancer) = &mut self.load_balancers[service] else { return };
        let due = first(&mut balancer.lb, ctx.now());
        if let Some(due) = due.filter(|_| !known) {
            ctx.schedule_in(due, Event::HealthCheck { service, target });
        }
    }

    /// A target answers: a Node by `healthCheckNodePort`, 200 where its proxy knows a ready local endpoint, else 503
    /// (`pkg/proxy/healthcheck/service_health.go`); a Pod by accepting a connection.
    pub(in crate::cluster) fn check_health(&mut self, service: ServiceId, target: Target, ctx: &mut Ctx<'_>) {
        let local = self.table.services[service].checks_local_health();
        let node = match target {
            Target::Node(node) => node,
            Target::Pod(pod) => self.pods[pod].node,
        };
        let silent = self.faults > 0 && self.severed(self.network.edge(), self.nodes[node].vertex, false);
        let silent = silent || matches!(target, Target::Pod(pod) if self.check_hangs(service, pod));
        let probe = match target {
            Target::Node(node) if !silent && (!local || self.nodes[node].has_ready(service, node)) => Probe::Passed,
            Target::Node(_) if !silent => Probe::Failed,
            Target::Pod(pod) if !silent && self.pods[pod].accepts() => Probe::Passed,
            Target::Pod(pod) if !silent && self.pods[pod].exists() => Probe::Failed,
            // Nobody has the address: the answer is that none comes, and that takes a while.
            _ => {
                let timeout = self.load_balancers[service].as_ref().and_then(|b| b.lb.health_check()).map(|c| c.timeout);
                return ctx.schedule_in(timeout.unwrap_or(SimDuration::ZERO), Event::CheckTimesOut { service, target });
            }
        };
        self.checked(service, target, probe, ctx);
    }

    /// Whether a check of a Pod waits for a process that hangs. One that only connects does not, while the kernel accepts; a proxy
    /// asks by HTTP.
    fn check_hangs(&self, service: ServiceId, pod: PodId) -> bool {
        let pod = &self.pods[pod];
        let asks = self.load_balancers[service].as_ref().is_some_and(|b| b.lb.parameters().proxies.is_some());
        pod.hangs() && (asks || !pod.queues_connects(self.workloads[pod.workload].backlog))
    }

    /// A target's check is over; the next is due an interval after it was sent.
    pub(in crate::cluster) fn checked(&mut self, service: ServiceId, target: Target, probe: Probe, ctx: &mut Ctx<'_>) {
        let Some(balancer) = &mut self.load_balancers[service] else { return };
        let was = balancer.lb.is_healthy(target);
        let Some(checked) = balancer.lb.checked(target, probe, ctx.now()) else { return };
        let changed = was != balancer.lb.is_healthy(target);
        if ctx.now() < self.sending_until {
            ctx.schedule_in(checked.next, Event::HealthCheck { service, target });
        }
        if checked.cut {
            self.cut_target(service, target, ctx);
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
        for service in self.table.services.ids() {
            let Some(balancer) = self.load_balancers[service].as_mut().filter(|b| b.targets.contains(&target)) else { continue };
            let Some(order) = balancer.lb.failed(target, ctx.now()) else { continue };
            ctx.schedule_at(order.no_new_after, Event::TargetDeregistered { service, target });
            if let Some(at) = order.cut_at {
                ctx.schedule_at(at, Event::TargetCut { service, target });
            }
        }
    }

    /// A load balancer fails, or one failure of it is over.
    pub(in crate::cluster) fn balancer_fails(&mut self, service: ServiceId, begins: bool) {
        self.faults = if begins { self.faults + 1 } else { self.faults - 1 };
        if let Some(b) = &mut self.load_balancers[service] {
            b.failures = if begins { b.failures + 1 } else { b.failures - 1 };
        }
    }

    /// Whether the message is on its way to a load balancer that has failed. Only asked while there is a fault.
    pub(in crate::cluster) fn meets_failed_balancer(&self, r: &Request) -> bool {
        let towards = matches!(r.stage, Stage::ToLoadBalancer | Stage::BackToLoadBalancer);
        towards && self.load_balancers[self.sources[r.source].service].as_ref().is_some_and(|b| b.failures > 0)
    }

    /// A Node is back: balancers that had found out use it again.
    pub(in crate::cluster) fn balancers_return(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let target = Target::Node(node);
        for service in self.table.services.ids() {
            let Some(balancer) = self.load_balancers[service].as_mut() else { continue };
            if balancer.targets.contains(&target) && balancer.lb.health_check().is_none() {
                let done = balancer.lb.register(target, self.nodes[node].zone, ctx.now());
                ctx.schedule_at(done, Event::TargetRegistered { service, target });
            }
        }
    }

    /// The EndpointSlices of `service` were written: a balancer whose targets follow Pods registers and deregisters them.
    pub(in crate::cluster) fn follow_pods(&mut self, service: ServiceId, ctx: &mut Ctx<'_>) {
        let wanted = self.wanted_targets(service, &self.published[service]);
        let Some(balancer) = &mut self.load_balancers[service] else { return };
        let gone: Vec<Target> = balancer.targets.difference(&wanted).copied().collect();
        let come: Vec<Target> = wanted.difference(&balancer.targets).copied().collect();
        balancer.targets = wanted;
        let now = ctx.now();
        for target in gone {
            let order = balancer.lb.deregister(target, now);
            ctx.schedule_at(order.no_new_after, Event::TargetDeregistered { service, target });
            if let Some(at) = order.cut_at {
                ctx.schedule_at(at, Event::TargetCut { service, target });
            }
        }
        for target in come {
            let zone = match target {
                Target::Node(node) => self.nodes[node].zone,
                Target::Pod(pod) => self.nodes[self.pods[pod].node].zone,
            };
            let done = balancer.lb.register(target, zone, now);
            ctx.schedule_at(done, Event::TargetRegistered { service, target });
        }
    }

    /// What a Service's balancer should have as targets when its endpoints are `set`.
    pub(in crate::cluster) fn wanted_targets(&self, service: ServiceId, set: &EndpointSet) -> BTreeSet<Target> {
        let Some(balancer) = &self.load_balancers[service] else { return BTreeSet::new() };
        let parameters = balancer.lb.parameters();
        let ready = set.ports.first().into_iter().flat_map(|p| p.ready().iter().map(|i| &p.endpoints[*i as usize]));
        let usable = |n: &NodeId| !self.nodes[*n].spec.excluded_from_load_balancers;
        match parameters.targets {
            Targets::Pods => {
                // A Pod that only waits for its readiness gate is a target already, or it would wait for ever.
                let gated = |p: &PodId| {
                    let (pod, w) = (&self.pods[*p], &self.workloads[self.pods[*p].workload]);
                    w.readiness_gate && pod.containers_ready && !pod.terminating
                };
                let listed = set.ports.first().into_iter().flat_map(|p| p.endpoints.iter().map(|e| e.pod));
                ready.map(|e| e.pod).chain(listed.filter(gated)).map(Target::Pod).collect()
            }
            Targets::Nodes if parameters.follows_pods(self.table.services[service].checks_local_health()) => {
                // What serves counts, terminating or not (MetalLB, `internal/k8s/epslices` EndpointCanServe; ingress-gce's
                // LocalL4EndpointsCalculator does not even ask that).
                let serving = set.ports.iter().flat_map(|p| &p.endpoints).filter(|e| e.conditions.ready || e.conditions.serving);
                serving.filter_map(|e| e.node).filter(usable).map(Target::Node).collect()
            }
            Targets::Nodes => self.nodes.ids().filter(usable).map(Target::Node).collect(),
        }
    }

    /// A target's registration is done.
    pub(in crate::cluster) fn target_registered(&mut self, service: ServiceId, target: Target, ctx: &mut Ctx<'_>) {
        self.begin_checks(service, target, |lb, now| lb.registered(target, now), ctx);
    }

    /// A target gets no new connections from now on.
    pub(in crate::cluster) fn target_deregistered(&mut self, service: ServiceId, target: Target, ctx: &Ctx<'_>) {
        if let Some(balancer) = &mut self.load_balancers[service] {
            balancer.lb.deregistered(target, ctx.now());
        }
    }

    /// A target's draining is over: its connections are reset, unless it is a target again.
    pub(in crate::cluster) fn draining_ends(&mut self, service: ServiceId, target: Target, ctx: &mut Ctx<'_>) {
        if self.load_balancers[service].as_ref().is_some_and(|b| !b.targets.contains(&target)) {
            self.cut_target(service, target, ctx);
        }
    }

    /// The connections of a target through the balancer of `service` are reset.
    fn cut_target(&mut self, service: ServiceId, target: Target, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        for id in self.sources.ids() {
            if !self.sources[id].balanced || self.sources[id].service != service {
                continue;
            }
            for client in 0..self.sources[id].clients.len() {
                let idle = std::mem::take(&mut self.sources[id].clients[client].idle);
                let (cut, kept): (Vec<_>, Vec<_>) = idle.into_iter().partition(|(_, c)| c.target() == Some(target));
                self.sources[id].clients[client].idle = kept;
                cut.iter().for_each(|(_, connection)| self.hang_up(id, client as u32, connection, now));
            }
        }
        let sources = &self.sources;
        let through = |r: &Request| sources[r.source].balanced && sources[r.source].service == service;
        let hit = |r: &Request| !r.ended && r.connection.target() == Some(target) && through(r);
        let keys: Vec<Key> = self.requests.iter().filter(|(_, r)| hit(r)).map(|(k, _)| k).collect();
        for key in keys {
            self.give_up(key, Outcome::Reset, ctx);
        }
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
