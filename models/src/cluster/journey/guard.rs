//! Circuit breakers and ejected hosts, of clients and of load balancers that proxy.

use crate::api::PortEndpoints;
use crate::circuit_breaker::Admission;
use crate::cluster::request::BalancedTo;
use crate::cluster::{Balancer, Client, Cluster, Connection, Ctx, Guard, Outcome, Request, Stage};
use crate::ids::{BalancerId, SourceId};
use std::collections::BTreeSet;
use svcsim_engine::{Key, SimTime};

impl Cluster {
    /// Whether the client may send the request now; if not, it waits at the client, or ends.
    pub(super) fn client_admits(&mut self, key: Key, request: &Request, ctx: &mut Ctx<'_>) -> bool {
        let (requests, client) = (&self.requests, &mut self.sources[request.source].clients[request.client as usize]);
        let Some(breaker) = client.guard.as_mut().and_then(|g| g.breaker.as_mut()) else { return true };
        let admission = breaker.admit(key, |k| requests.get(k).is_some_and(|r| !r.ended));
        if admission == Admission::Goes {
            return true;
        }
        self.store(
            key,
            Request { stage: Stage::AtClient, connection: Connection::NONE, lost: true, result: Outcome::TimedOut, ..*request },
        );
        if admission == Admission::Open {
            self.give_up(key, Outcome::CircuitOpen, ctx);
        }
        false
    }

    /// A try of a client's is over.
    pub(super) fn client_hears(&mut self, r: &Request, outcome: Outcome, now: SimTime) {
        self.instance_hears(r, outcome, now);
        let source = &mut self.sources[r.source];
        let client = &mut source.clients[r.client as usize];
        let Some(guard) = &mut client.guard else { return };
        if let Some(breaker) = &mut guard.breaker {
            if r.stage != Stage::AtClient {
                breaker.ended();
            }
            if r.attempt > 0 {
                breaker.retry_ends();
            }
        }
        let answer = client.resolved.as_ref().and_then(|a| a.endpoints());
        let known = client.balance.as_ref().and_then(|b| b.endpoints()).or(answer);
        let known = known.and_then(|set| set.ports.get(usize::from(source.port)));
        if let (Some(outliers), Some(port)) = (&mut guard.outliers, known) {
            let (pod, hosts) = (r.connection.pod, port.ready().len());
            if port.ready().iter().any(|i| port.endpoints[*i as usize].pod == pod) {
                outliers.sweep(now);
                outliers.ended(pod, outcome == Outcome::Completed, hosts, now);
            }
        }
    }

    /// A client waits for a try no longer, since another was answered: that says nothing of its Pod.
    pub(super) fn client_cancels(&mut self, r: &Request, now: SimTime) {
        self.instance_hears(r, Outcome::CircuitOpen, now);
        let client = &mut self.sources[r.source].clients[r.client as usize];
        if let Some(breaker) = client.guard.as_mut().and_then(|g| g.breaker.as_mut()).filter(|_| r.stage != Stage::AtClient) {
            breaker.ended();
        }
    }

    /// Whether a request may leave the proxying load balancer that it has reached; if not, it waits there, or is answered 503.
    pub(super) fn balancer_admits(&mut self, key: Key, r: &mut Request, ctx: &mut Ctx<'_>) -> Admission {
        let requests = &self.requests;
        let balancer = self.sources[r.source].balancer;
        let breaker = balancer.and_then(|b| self.load_balancers[b].breaker.as_mut());
        let admission = breaker.map_or(Admission::Goes, |b| b.admit(key, |k| requests.get(k).is_some_and(|r| !r.ended)));
        match admission {
            Admission::Goes => {}
            Admission::Waits => {
                if let Some(proxies) = self.proxying(r) {
                    self.answer_due(key, r.source, proxies, ctx);
                }
                *r = Request { stage: Stage::AtLoadBalancer, lost: true, result: Outcome::TimedOut, ..*r };
            }
            Admission::Open => (r.stage, r.result) = (Stage::ToClient, Outcome::CircuitOpen),
        }
        admission
    }

    /// An answer is back at a proxying load balancer, whose own connection is free again.
    pub(super) fn balancer_hears(&mut self, r: &mut Request, ctx: &mut Ctx<'_>) {
        let (Some(target), Some(balancer)) = (r.connection.target(), self.sources[r.source].balancer) else { return };
        r.connection.balanced_to = BalancedTo::Nothing;
        let b = &mut self.load_balancers[balancer];
        b.lb.closed(target);
        b.lb.answered(target, r.result == Outcome::Completed, ctx.now());
        b.release();
        self.balancer_goes_on(balancer, ctx);
    }

    /// Something of a client's is over: who waits for a connection, of it or of the load balancer, gets what is free.
    pub(super) fn goes_on(&mut self, id: SourceId, client: u32, ctx: &mut Ctx<'_>) {
        while let Some(key) = self.next_of_client(id, client) {
            if let Some(&(mut request)) = self.requests.get(key) {
                (request.lost, request.result, request.stage) = (false, Outcome::Completed, Stage::ToClient);
                if let Some((at, vertex)) = self.connect(key, &mut request, ctx) {
                    self.rest(key, request, at, vertex, ctx);
                }
            }
        }
        while let Some((lane, key)) = self.next_of_pool(id, client) {
            if let Some(&(mut request)) = self.requests.get(key) {
                (request.lost, request.result, request.stage) = (false, Outcome::Completed, Stage::ToClient);
                if let Some(at) = self.over_lane(key, &mut request, lane, ctx) {
                    let vertex = self.leaves_client(key, &mut request, at, ctx);
                    self.rest(key, request, at, vertex, ctx);
                }
            }
        }
        self.watch_pool(id, client, ctx);
        if let Some(balancer) = self.sources[id].balancer {
            self.balancer_goes_on(balancer, ctx);
        }
    }

    fn next_of_client(&mut self, id: SourceId, client: u32) -> Option<Key> {
        let requests = &self.requests;
        let breaker = self.sources[id].clients[client as usize].guard.as_mut()?.breaker.as_mut()?;
        breaker.next(|k| requests.get(k).is_some_and(|r| !r.ended))
    }

    fn balancer_goes_on(&mut self, balancer: BalancerId, ctx: &mut Ctx<'_>) {
        while let Some(key) = self.next_of_balancer(balancer) {
            if let Some(&(mut request)) = self.requests.get(key) {
                (request.lost, request.result, request.stage) = (false, Outcome::Completed, Stage::ToLoadBalancer);
                let followed = self.follows(key);
                let at = ctx.now() + self.choose_target(&mut request, followed, ctx.now());
                self.gateway_waits(key, &mut request, ctx);
                self.rest(key, request, at, self.network.edge(), ctx);
            }
        }
    }

    fn next_of_balancer(&mut self, balancer: BalancerId) -> Option<Key> {
        let requests = &self.requests;
        let breaker = self.load_balancers[balancer].breaker.as_mut()?;
        breaker.next(|k| requests.get(k).is_some_and(|r| !r.ended))
    }
}

impl Balancer {
    /// One of the connections to its targets is free, or was not needed.
    pub(super) const fn release(&mut self) {
        if let Some(breaker) = &mut self.breaker {
            breaker.ended();
        }
    }
}

impl Client {
    /// Among which endpoints of an answer it chooses: not those that it has ejected, unless hardly any would be left. None:
    /// among all.
    pub(super) fn narrow(guard: Option<&mut Guard>, port: &PortEndpoints, now: SimTime) -> Option<Vec<u32>> {
        let outliers = guard?.outliers.as_mut()?;
        outliers.sweep(now);
        if outliers.ejected() == 0 {
            return None;
        }
        let pod = |i: &u32| port.endpoints[*i as usize].pod;
        let hosts: BTreeSet<_> = port.ready().iter().map(pod).collect();
        outliers.keep(|h| hosts.contains(&h));
        let left: Vec<u32> = port.ready().iter().filter(|i| !outliers.is_ejected(pod(i))).copied().collect();
        (!outliers.spec().panics(left.len(), port.ready().len())).then_some(left)
    }

    /// Takes the most recently idle connection, of those whose Pod it has not ejected if there is one.
    pub(super) fn take_idle(&mut self, now: SimTime) -> Option<(SimTime, Connection)> {
        let Some(outliers) = self.guard.as_mut().and_then(|g| g.outliers.as_mut()) else { return self.idle.pop() };
        outliers.sweep(now);
        let place = self.idle.iter().rposition(|(_, c)| !outliers.is_ejected(c.pod))?;
        Some(self.idle.remove(place))
    }
}
