//! Changes of Pods become EndpointSlices, and these reach every Node in its own time. Until the last has
//! them, Nodes disagree; that gap is where requests are lost.

use crate::api::{Endpoint, EndpointSet, Hints, PortEndpoints};
use crate::cluster::{Cluster, Ctx, Event, Update};
use crate::control_plane::{conditions, hints, topology};
use crate::dataplane::{Change, RuleSet};
use crate::ids::{NodeId, PodId, ServiceId, WorkloadId};
use crate::record::EndpointCounts;
use crate::spec::{ContainerPortSpec, TargetPort, Via};
use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::{Id, SimDuration, SimTime};

impl Cluster {
    /// A Pod of `workload` has changed: the EndpointSlices of its Services will be written, once for all that
    /// changes until then, so that no Node hears of one change several times and by the luckiest of its delays.
    pub(in crate::cluster) fn publish(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        self.pods_changed(workload);
        for &service in &self.workloads[workload].services {
            let state = &mut self.endpoints[service];
            state.trigger.get_or_insert(ctx.now());
            state.unknown_since.get_or_insert(ctx.now());
            // What is being written is old before it is public.
            for set in [Some(&self.published[service]), state.writing.as_ref().map(|(_, set)| set)].into_iter().flatten() {
                set.superseded.set(set.superseded.get().or(Some(ctx.now())));
            }
            if std::mem::replace(&mut state.publishing, true) {
                continue;
            }
            let delay = self.propagation.batch_period + self.propagation.publish.sample_duration(&mut self.propagation.stream);
            ctx.schedule_in(delay, Event::EndpointsPublished { service });
        }
    }

    /// A Service's selector matches Pods of other workloads from now on.
    pub(in crate::cluster) fn switch_backends(&mut self, service: ServiceId, backends: Vec<WorkloadId>, ctx: &mut Ctx<'_>) {
        let before = std::mem::replace(&mut self.table.services[service].backends, backends.clone());
        for workload in before.into_iter().chain(backends.iter().copied()) {
            self.workloads[workload].services.retain(|s| *s != service);
        }
        backends.iter().for_each(|w| self.workloads[*w].services.push(service));
        self.publish(backends[0], ctx);
    }

    /// Counts ready Pods again and marks every Node's view of the workload's Services as stale.
    pub(in crate::cluster) fn pods_changed(&mut self, workload: WorkloadId) {
        for i in 0..self.workloads[workload].services.len() {
            let service = self.workloads[workload].services[i];
            let ready = self.table.services[service].backends.iter().map(|w| self.ready_pods(*w)).sum();
            let nodes = self.nodes.len() as u32;
            let state = &mut self.endpoints[service];
            state.version += 1;
            state.fresh_nodes = 0;
            state.stale_most = nodes;
            state.ready = ready;
            state.ready_fewest = state.ready_fewest.min(ready);
        }
    }

    fn ready_pods(&self, workload: WorkloadId) -> u32 {
        let pods = self.workloads[workload].replicas.iter().map(|r| &self.pods[self.replicas[*r].pod]);
        pods.filter(|p| p.is_active() && p.accepts()).count() as u32
    }

    /// The slices that no longer say what is true now are written, as fast as the controller may. No two of its workers look
    /// at one Service (client-go `util/workqueue`), so that changes meanwhile wait for the end.
    pub(in crate::cluster) fn endpoints_published(&mut self, service: ServiceId, ctx: &mut Ctx<'_>) {
        if let Some((until, _)) = self.endpoints[service].writing {
            return ctx.schedule_at(until, Event::EndpointsPublished { service });
        }
        let set = Rc::new(self.endpoint_set(service));
        let state = &mut self.endpoints[service];
        (state.publishing, state.trigger) = (false, None);
        let writes = state.slices.reconcile(&set, self.propagation.max_per_slice);
        self.recorder.slices_written(writes as u64);
        let until = self.propagation.writes.write(writes, ctx.now());
        state.writing = Some((until, set));
        if until > ctx.now() { ctx.schedule_at(until, Event::SlicesWritten { service }) } else { self.slices_written(service, ctx) }
    }

    /// The last slice is written: every Node will learn of the change after its own delay.
    pub(in crate::cluster) fn slices_written(&mut self, service: ServiceId, ctx: &mut Ctx<'_>) {
        let Some((_, set)) = self.endpoints[service].writing.take() else { return };
        let rules = |set: &EndpointSet| RuleSet::of(std::iter::once((&self.table.services[service], set)));
        self.rules.replace(rules(&self.published[service]), rules(&set));
        self.published[service] = Rc::clone(&set);
        self.follow_pods(service, ctx);
        self.tell_dns(service, ctx);
        // A watch delivers in order: no change overtakes an earlier one that is still on its way to the same Node.
        let mut earliest = vec![ctx.now(); self.nodes.len()];
        for &(at, node) in self.updates.iter().filter(|u| u.service == service).flat_map(|u| &u.wave) {
            earliest[node.index()] = earliest[node.index()].max(at);
        }
        let p = &mut self.propagation;
        let arrival = |n: NodeId| ((ctx.now() + p.to_node.sample_duration(&mut p.stream)).max(earliest[n.index()]), n);
        let mut wave: Vec<_> = self.nodes.ids().map(arrival).collect();
        wave.sort_unstable_by_key(|w| Reverse(*w));
        let Some(&(first, _)) = wave.last() else { return };
        let update = Update { service, set, wave };
        // A slot whose wave has passed is free.
        let slot = self.updates.iter().position(|u| u.wave.is_empty()).unwrap_or(self.updates.len());
        if slot == self.updates.len() {
            self.updates.push(update);
        } else {
            self.updates[slot] = update;
        }
        ctx.schedule_at(first, Event::EndpointsReachNodes { update: slot as u32 });
    }

    /// DNS will hear of what was written, if anybody asks it; no change overtakes an earlier one.
    fn tell_dns(&mut self, service: ServiceId, ctx: &mut Ctx<'_>) {
        if !self.sources.iter().any(|s| s.service == service && s.via == Via::PodIP) {
            return;
        }
        let p = &mut self.propagation;
        let state = &mut self.endpoints[service];
        state.at_dns = state.at_dns.max(ctx.now() + p.to_dns.sample_duration(&mut p.dns_stream));
        state.to_dns.push_back(Rc::clone(&self.published[service]));
        ctx.schedule_at(state.at_dns, Event::DnsHears { service });
    }

    /// From now on DNS answers by the next of what is on its way.
    pub(in crate::cluster) fn dns_hears(&mut self, service: ServiceId) {
        if let Some(set) = self.endpoints[service].to_dns.pop_front() {
            self.known_to_dns[service] = set;
        }
    }

    /// The endpoints of `service` as they truly are.
    pub(in crate::cluster) fn endpoint_set(&self, service: ServiceId) -> EndpointSet {
        let ports = (0..self.table.services[service].ports.len()).map(|port| self.port_endpoints(service, port)).collect();
        let state = &self.endpoints[service];
        EndpointSet { version: state.version, ports, trigger: state.trigger, superseded: Cell::default() }
    }

    /// The endpoints of one port: Pods that listen under its target port.
    fn port_endpoints(&self, id: ServiceId, port: usize) -> PortEndpoints {
        let service = &self.table.services[id];
        let hinted = service.topology_mode_auto || service.traffic_distribution.is_some();
        // What is not ready keeps the hints that it had.
        let before = self.published.iter().nth(id.index()).and_then(|set| set.ports.get(port)).filter(|_| hinted);
        let known: BTreeMap<PodId, &Hints> = before.iter().flat_map(|p| p.endpoints.iter().map(|e| (e.pod, &e.hints))).collect();
        let mut endpoints = Vec::new();
        for &workload in &service.backends {
            let Some(number) = self.target_port(id, port, workload) else { continue };
            let pods = self.workloads[workload].pods.iter().map(|&pod| (pod, &self.pods[pod])).filter(|(_, p)| p.exists());
            endpoints.extend(pods.map(|(pod, p)| Endpoint {
                pod,
                ip: p.ip,
                port: number,
                node: Some(p.node),
                zone: self.nodes[p.node].zone,
                conditions: conditions::of_pod(p.ready, p.terminating, service.publish_not_ready_addresses),
                hints: known.get(&pod).map_or_else(Hints::default, |h| (*h).clone()),
            }));
        }
        // The annotation goes before the field; a feature that is off leaves no hints, which is no error.
        match service.topology_mode_auto {
            true => drop(topology::add_hints(self.cpu_ratios.as_ref(), &mut endpoints)),
            false => hints::prefer(service.traffic_distribution, &mut endpoints),
        }
        PortEndpoints::new(endpoints)
    }

    /// The number under which Pods of `workload` listen for a port of a Service; none if they have no port of that name.
    pub(in crate::cluster) fn target_port(&self, service: ServiceId, port: usize, workload: WorkloadId) -> Option<u16> {
        let port = &self.table.services[service].ports.get(port)?;
        match &port.target_port {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => {
                let named = |p: &&ContainerPortSpec| p.name == *name && p.protocol == port.protocol;
                self.workloads[workload].ports.iter().find(named).map(|p| p.number)
            }
        }
    }

    /// The change reaches the Nodes whose time has come; the next ones follow.
    pub(in crate::cluster) fn endpoints_reach_nodes(&mut self, index: u32, ctx: &mut Ctx<'_>) {
        while let Some(&(at, node)) = self.updates[index as usize].wave.last() {
            if at > ctx.now() {
                ctx.schedule_at(at, Event::EndpointsReachNodes { update: index });
                return;
            }
            let update = &mut self.updates[index as usize];
            update.wave.pop();
            let news = (update.service, Rc::clone(&update.set));
            // A Node that nobody reaches lists everything when it is back.
            if self.nodes[node].condition.is_reached() {
                self.nodes[node].news.push(news);
                self.trigger_sync(node, ctx);
            }
        }
    }

    /// A Node's proxy has something to write.
    pub(in crate::cluster) fn trigger_sync(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        if let Some(at) = self.nodes[node].sync.trigger(ctx.now()) {
            self.sync_due(node, at, ctx);
        }
    }

    /// A Node's proxy is to write its rules at `at`, which may be now.
    fn sync_due(&mut self, node: NodeId, at: SimTime, ctx: &mut Ctx<'_>) {
        if at > ctx.now() { ctx.schedule_at(at, Event::SyncStarts { node }) } else { self.start_sync(node, ctx) }
    }

    /// A Node's proxy writes its rules with what it has heard of until now.
    pub(in crate::cluster) fn start_sync(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let n = &mut self.nodes[node];
        if !n.sync.start(ctx.now()) {
            return;
        }
        n.writing = std::mem::take(&mut n.news);
        let ready = |(_, set): &(ServiceId, Rc<EndpointSet>)| set.ports.iter().map(|p| p.ready().len() as u32).sum::<u32>();
        let sync = n.proxy.plane().sync();
        let full = sync.full_sync_period > SimDuration::ZERO && ctx.now() >= n.full_sync;
        let change = Change { endpoints: n.writing.iter().map(ready).sum(), full };
        let takes = sync.duration(&self.rules, change);
        if full {
            n.full_sync = ctx.now() + sync.full_sync_period;
        }
        if takes == SimDuration::ZERO { self.finish_sync(node, ctx) } else { ctx.schedule_in(takes, Event::SyncEnds { node }) }
    }

    /// The rules are written: from now on the Node decides by them.
    pub(in crate::cluster) fn finish_sync(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        let nodes = self.nodes.len();
        let n = &mut self.nodes[node];
        n.proxy.synced();
        let mut known_to_all = Vec::new();
        for (service, set) in std::mem::take(&mut n.writing) {
            if !n.proxy.learn(service, &set) {
                continue;
            }
            if let Some(trigger) = set.trigger {
                self.recorder.programmed(ctx.now().since(trigger));
            }
            let state = &mut self.endpoints[service];
            if set.version == state.version {
                state.fresh_nodes += 1;
                if state.fresh_nodes as usize == nodes {
                    known_to_all.push(service);
                }
            }
        }
        known_to_all.into_iter().for_each(|service| self.converged(service, ctx.now()));
        let n = &mut self.nodes[node];
        if let Some(at) = n.sync.finish(ctx.now(), true) {
            self.sync_due(node, at, ctx);
        }
    }

    /// The last Node knows the newest endpoints of `service`: they are common to all, and no Node keeps a view of its own.
    fn converged(&mut self, service: ServiceId, now: SimTime) {
        if let Some(since) = self.endpoints[service].unknown_since.take() {
            self.recorder.converged(now.since(since));
        }
        let mut common = (*self.common).clone();
        common[service] = Rc::clone(&self.published[service]);
        self.common = Rc::new(common);
        for node in self.nodes.iter_mut() {
            node.proxy.share(&self.common);
        }
    }

    /// The endpoints of `service` since the last call: ready ones at their fewest, stale Nodes at their most, the others as they are.
    pub(in crate::cluster) fn window_state(&mut self, service: ServiceId) -> EndpointCounts {
        let nodes = self.nodes.len() as u32;
        let workloads = self.table.services[service].backends.iter().map(|w| &self.workloads[*w]);
        let servers = workloads.clone().map(|w| w.concurrency).max().unwrap_or(0);
        let pods = || workloads.clone().flat_map(|w| &w.pods).map(|p| &self.pods[*p]).filter(|p| p.exists());
        let serving = pods().filter(|p| p.ready).count() as u32;
        let terminating = pods().filter(|p| p.terminating).count() as u32;
        let state = &mut self.endpoints[service];
        let (ready, stale_nodes) = (state.ready_fewest, state.stale_most);
        state.ready_fewest = state.ready;
        state.stale_most = nodes - state.fresh_nodes;
        EndpointCounts { ready, capacity: ready * servers, serving, terminating, stale_nodes }
    }
}
