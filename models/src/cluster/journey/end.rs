//! A request ends, once, with one outcome.

use super::again::is_syn;
use crate::cluster::{Back, Cluster, Connection, Ctx, Event, Outcome, Request, Stage};
use crate::dataplane::Approach;
use crate::ids::SourceId;
use crate::record::{Place, Way};
use crate::spec::Protocol;
use svcsim_engine::{Key, SimTime};

impl Cluster {
    /// The answer, good or bad, is at the client.
    pub(in crate::cluster) fn answered(&mut self, key: Key, request: &Request, ctx: &mut Ctx<'_>) {
        if request.result == Outcome::Completed && self.next_round(key, request, ctx) {
            return;
        }
        self.requests.remove(key);
        if request.ended {
            return;
        }
        if self.sources[request.source].lanes().is_some() {
            self.record_end(key, request, request.result, ctx);
            self.leaves_lane(request, Some(request.result), ctx.now());
            return self.goes_on(request.source, request.client, ctx);
        }
        let keeps = self.rests(request, ctx.now());
        let source = &mut self.sources[request.source];
        let idle = &mut source.clients[request.client as usize].idle;
        // A Pod that drains its connections closes each with an answer.
        let closes =
            source.protocol == Protocol::Tcp && request.result == Outcome::Completed && !self.pods[request.connection.pod].accepts();
        let kept = request.result == Outcome::Completed && keeps && !closes && source.max_idle.is_some_and(|max| idle.len() < max as usize);
        if kept {
            idle.push((ctx.now(), request.connection));
        }
        self.record_end(key, request, request.result, ctx);
        if !kept {
            self.hang_up(request.source, request.client, &request.connection, ctx.now());
        }
        self.goes_on(request.source, request.client, ctx);
    }

    /// A connection is closed: whoever counts it counts it no longer.
    pub(in crate::cluster) fn hang_up(&mut self, id: SourceId, client: u32, connection: &Connection, now: SimTime) {
        if connection.accepted_by != 0 {
            self.vacate(connection);
        }
        let source = &self.sources[id];
        let node = &mut self.nodes[connection.entry];
        if connection.tracked {
            // The Pod may see another address than the client's by a load balancer's doing: then no port of the Node's is held.
            let snat_to = (connection.back == Back::ThroughEntry).then_some(connection.pod);
            node.conntrack.close(source.protocol, !connection.reused, snat_to, now);
        }
        if let (Some(target), Some(balancer)) = (connection.target(), source.balancer) {
            let balancer = &mut self.load_balancers[balancer];
            balancer.lb.closed(target);
            balancer.release();
        }
        if let Some(pooling) = &mut self.sources[id].pooling {
            pooling.pools[client as usize].close(connection.slot);
        }
        let source = &self.sources[id];
        if connection.opened
            && let Approach::Server(server, _) = source.clients[client as usize].approach
        {
            node.proxy.closed(server, connection.pod, now);
        }
    }

    /// A message has vanished. Nobody is told: the client finds out by its timeout, or never.
    pub(in crate::cluster) fn lose(&mut self, key: Key, cause: Outcome, ctx: &mut Ctx<'_>) {
        let Some(&request) = self.requests.get(key) else { return };
        if request.ended {
            self.requests.remove(key);
            return;
        }
        let again = self.looks_again(&request, cause, ctx.now());
        let from_client = is_syn(&request);
        let stage = if from_client { self.first_stage(request.source) } else { request.stage };
        let lost = Request { result: cause, lost: true, stage, ..request };
        if let Some(at) = again {
            self.store(key, lost);
            ctx.schedule_at(at, Event::SentAgain { request: key });
        } else if self.sources[request.source].first_timeout.is_none() {
            // Without a timeout the client would wait for ever: the loss is recorded when it happens.
            self.requests.remove(key);
            self.record_end(key, &lost, cause, ctx);
            self.unanswered(&lost, ctx.now());
            self.goes_on(lost.source, lost.client, ctx);
        } else {
            self.store(key, lost);
        }
    }

    /// The client's side of a request is over now, whatever still happens to it in the cluster.
    pub(in crate::cluster) fn give_up(&mut self, key: Key, outcome: Outcome, ctx: &mut Ctx<'_>) {
        let Some(request) = self.requests.get_mut(key).filter(|r| !r.ended) else { return };
        request.ended = true;
        let request = *request;
        let proxied = outcome == Outcome::Reset && self.proxying(&request).is_some();
        let outcome = if proxied { Outcome::LbBadGateway } else { outcome };
        if request.lost {
            self.requests.remove(key);
        }
        if outcome == Outcome::LbTimeout {
            self.balancer_gives_up(&request, ctx.now());
        }
        self.record_end(key, &request, outcome, ctx);
        match outcome {
            Outcome::Reset | Outcome::LbBadGateway | Outcome::LbTimeout if !self.leaves_lane(&request, Some(outcome), ctx.now()) => {
                self.hang_up(request.source, request.client, &request.connection, ctx.now())
            }
            Outcome::Reset | Outcome::LbBadGateway | Outcome::LbTimeout => {}
            _ => self.unanswered(&request, ctx.now()),
        }
        self.goes_on(request.source, request.client, ctx);
    }

    /// A client waits for an answer no longer, and has heard of no reason. It closes its connection; but UDP has none: the
    /// client's next request has the same ports, and follows the same entry until kube-proxy removes it.
    pub(super) fn unanswered(&mut self, request: &Request, now: SimTime) {
        if self.leaves_lane(request, None, now) {
            return;
        }
        let source = &mut self.sources[request.source];
        let idle = &mut source.clients[request.client as usize].idle;
        let keeps = source.protocol == Protocol::Udp && source.max_idle.is_some_and(|max| idle.len() < max as usize);
        if keeps && request.connection.tracked {
            idle.push((request.start, request.connection));
        } else {
            self.hang_up(request.source, request.client, &request.connection, now);
        }
    }

    /// Who has no answer by its deadline gives up. The cluster may work on for nothing.
    pub(in crate::cluster) fn expire(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        while let Some(key) = self.sources[id].deadlines.pop_due(ctx.now()) {
            let Some(request) = self.requests.get(key).filter(|r| !r.ended) else { continue };
            let outcome = request.why_silent();
            self.give_up(key, outcome, ctx);
        }
        let requests = &self.requests;
        let deadlines = &mut self.sources[id].deadlines;
        deadlines.trim(|&k| requests.get(k).is_some_and(|r| !r.ended));
        if let Some(due) = deadlines.rearm() {
            ctx.schedule_at(due, Event::DeadlinesPass { source: id });
        }
    }

    /// A try is over; so is the request, unless the client tries again.
    fn record_end(&mut self, key: Key, request: &Request, outcome: Outcome, ctx: &mut Ctx<'_>) {
        if self.other_copy_goes_on(key, request, outcome, ctx) {
            return;
        }
        self.client_hears(request, outcome, ctx.now());
        if outcome != Outcome::Completed && self.tries_again(key, request, outcome, ctx) {
            return;
        }
        if self.follows(key) {
            self.probe_ended(request, outcome, ctx.now());
        }
        if outcome != Outcome::Completed {
            let place = self.lost_at(request, outcome);
            self.recorder.lost(request, outcome, place);
        }
        let way = (outcome == Outcome::Completed).then(|| self.way(request));
        let pod = request.connection.pod;
        let replica = (pod != Connection::NONE.pod).then(|| self.pods[pod].replica);
        self.recorder.ended(request, outcome, replica, way, ctx.now());
        self.tell_caller(key, request, outcome, ctx);
    }

    /// Where a request was lost.
    fn lost_at(&self, request: &Request, outcome: Outcome) -> Place {
        let pod = request.connection.pod;
        let at_pod = || if pod == Connection::NONE.pod { Place::Network } else { Place::Replica(self.pods[pod].replica) };
        match outcome {
            Outcome::Refused | Outcome::Reset | Outcome::Blackhole | Outcome::BacklogFull => at_pod(),
            Outcome::QueueFull | Outcome::Shed | Outcome::DependencyFailed | Outcome::InternalError | Outcome::LbBadGateway => at_pod(),
            Outcome::Rejected | Outcome::PolicyDrop | Outcome::ConntrackFull | Outcome::SnatExhausted | Outcome::NoRoute => {
                Place::Node(request.connection.entry)
            }
            Outcome::NoTarget if self.sources[request.source].balancer.is_none() => Place::Client,
            Outcome::LbUnavailable | Outcome::LbTimeout | Outcome::NoTarget => Place::LoadBalancer,
            Outcome::NameError | Outcome::DnsFailure => Place::Dns,
            Outcome::LinkDrop => Place::Network,
            Outcome::TimedOut | Outcome::CircuitOpen => match request.stage {
                Stage::AtClient | Stage::AtPool => Place::Client,
                Stage::InPod => at_pod(),
                _ if outcome == Outcome::CircuitOpen => Place::LoadBalancer,
                Stage::AtLoadBalancer => Place::LoadBalancer,
                _ => Place::Network,
            },
            Outcome::ReplyLost | Outcome::Completed => Place::Client,
        }
    }

    fn way(&self, request: &Request) -> Way {
        let source = &self.sources[request.source];
        let entry = request.connection.entry;
        let served_on = self.pods[request.connection.pod].node;
        let own = source.clients[request.client as usize].node;
        // A Pod enters the cluster's network at its own Node whatever it dials.
        let translated = request.connection.opened;
        let entered_at = own.unwrap_or(if translated { entry } else { served_on });
        Way {
            extra_hop: translated && own != Some(entry) && entry != served_on,
            cross_zone: self.nodes[entered_at].spec.zone != self.nodes[served_on].spec.zone,
        }
    }
}
