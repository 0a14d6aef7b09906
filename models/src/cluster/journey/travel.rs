//! A message moves: over links, and through those who choose its way.

use super::arrive::flow_key;
use crate::circuit_breaker::Admission;
use crate::cluster::request::{Back, BalancedTo};
use crate::cluster::{Cluster, Connection, Ctx, Event, Outcome, Phase, Request, Stage};
use crate::dataplane::{Approach, Forward, Full, Refusal, Verdict};
use crate::ids::VertexId;
use crate::load_balancer::{ClientAddress, Target};
use crate::network::{Leg, Transit};
use crate::pool::NO_SLOT;
use crate::spec::Protocol;
use svcsim_engine::{Key, SimDuration, SimTime};

/// A reset, an ICMP error, a bare 503, a packet of a handshake or an acknowledgement is a small packet.
pub(super) const SMALL: u64 = 100;

impl Cluster {
    /// A message is where it was expected: at the end of its leg, or before a link that queues.
    pub(in crate::cluster) fn message_reaches(&mut self, key: Key, vertex: VertexId, ctx: &mut Ctx<'_>) {
        if let Some(&request) = self.requests.get(key) {
            self.go_on(key, request, ctx.now(), (vertex, true), ctx);
        }
    }

    /// The message of `request` sets out from `vertex` at time `at`.
    pub(in crate::cluster) fn travel(&mut self, key: Key, request: Request, at: SimTime, vertex: VertexId, ctx: &mut Ctx<'_>) {
        self.go_on(key, request, at, (vertex, false), ctx);
    }

    /// Moves the message of `request`, which is at `vertex` at time `at`, perhaps under way, as far as nothing has to be decided in
    /// between: links without queues and Nodes that only follow a conntrack entry are passed in one go.
    /// `request` is worked on as a copy and stored under `key` where the message comes to rest.
    fn go_on(&mut self, key: Key, mut request: Request, mut at: SimTime, place: (VertexId, bool), ctx: &mut Ctx<'_>) {
        let (mut vertex, mut under_way) = place;
        let now = ctx.now();
        let followed = self.follows(key);
        let r = &mut request;
        loop {
            let leg = Leg { at: vertex, to: self.heading(r), flow: r.connection.flow };
            if self.faults > 0 && (self.severed(leg.at, leg.to, under_way) || self.meets_failed_balancer(r)) {
                self.store(key, request);
                return self.lose(key, Outcome::Blackhole, ctx);
            }
            let bytes = self.message_bytes(r);
            let stream = &mut self.sources[r.source].streams.network;
            let (arrival, vertex_then, hops) = match self.network.advance(now, at, leg, bytes, stream) {
                Transit::Arrived { at, hops } => (at, leg.to, hops),
                Transit::Continues { vertex: next, at: then, hops } => {
                    r.hops = r.hops.saturating_add(hops.min(255) as u8);
                    if followed {
                        self.probe_crossing(r, leg, next, at, then);
                    }
                    return self.rest(key, request, then, next, ctx);
                }
                Transit::Dropped { .. } => {
                    self.store(key, request);
                    return self.lose(key, Outcome::LinkDrop, ctx);
                }
            };
            if followed {
                self.probe_crossing(r, leg, leg.to, at, arrival);
            }
            (at, vertex, under_way) = (arrival, vertex_then, false);
            r.hops = r.hops.saturating_add(hops.min(255) as u8);
            if r.stage == Stage::BackToLoadBalancer && !r.ended && r.connection.target().is_some() && self.proxying(r).is_some() {
                if at > now {
                    return self.rest(key, request, at, vertex, ctx);
                }
                self.balancer_hears(r, ctx);
                if r.result == Outcome::Completed {
                    r.phase = self.answer_phase(r);
                }
            }
            if !r.decides() {
                let came = at;
                let rehashed = r.stage == Stage::ToLoadBalancer && self.rehashed(r, at);
                // So is a SYN that is sent again: another Node takes it for the first.
                if rehashed && (r.fresh || self.sources[r.source].protocol == Protocol::Udp) {
                    self.begin_again(r, at);
                    continue;
                }
                if matches!(r.stage, Stage::ToLoadBalancer | Stage::BackToLoadBalancer) {
                    at += self.load_balancer_delay(r);
                    self.told_by_proxy(r);
                }
                if followed {
                    self.probe_passing(r, came, at);
                }
                if rehashed {
                    r.result = Outcome::Reset;
                    r.stage = Stage::ToClient;
                } else {
                    self.pass(r);
                }
                continue;
            }
            if at > now {
                return self.rest(key, request, at, vertex, ctx);
            }
            match r.stage {
                // The connection ends here, where there is nothing to choose before the request itself.
                Stage::ToLoadBalancer if r.phase != Phase::EXCHANGE && self.proxying(r).is_some() => {
                    at += self.load_balancer_delay(r);
                    (r.stage, r.result) = (Stage::ToClient, Outcome::Completed);
                }
                Stage::ToLoadBalancer => match self.balancer_admits(key, r, ctx) {
                    Admission::Goes => {
                        at += self.choose_target(r, followed, now);
                        self.gateway_waits(key, r, ctx);
                    }
                    Admission::Waits => return self.store(key, request),
                    Admission::Open => at += self.load_balancer_delay(r),
                },
                Stage::ToEntry => {
                    let before = followed.then(|| self.probe_before_decision(r, now));
                    let found = self.choose_pod(r, now);
                    if let Some(before) = before {
                        self.probe_decision(r, before, now, now + found.unwrap_or(SimDuration::ZERO), found.err());
                    }
                    match found {
                        Ok(lookup) => at += lookup,
                        Err(cause) => {
                            self.store(key, request);
                            return self.lose(key, cause, ctx);
                        }
                    }
                }
                Stage::ToPod => {
                    self.store(key, request);
                    return self.admit(key, ctx);
                }
                _ => return self.answered(key, &request, ctx),
            }
        }
    }

    /// The message is next looked at when it is at `vertex`.
    #[inline]
    pub(super) fn rest(&mut self, key: Key, request: Request, at: SimTime, vertex: VertexId, ctx: &mut Ctx<'_>) {
        self.store(key, request);
        ctx.schedule_at(at, Event::MessageReaches { request: key, vertex });
    }

    #[inline]
    pub(super) fn store(&mut self, key: Key, request: Request) {
        if let Some(slot) = self.requests.get_mut(key) {
            *slot = request;
        }
    }

    /// The vertex at the end of the message's leg.
    #[inline]
    fn heading(&self, r: &Request) -> VertexId {
        match r.stage {
            Stage::ToLoadBalancer | Stage::BackToLoadBalancer | Stage::AtLoadBalancer => self.network.edge(),
            Stage::ToEntry | Stage::BackToEntry => self.nodes[r.connection.entry].vertex,
            Stage::ToPod | Stage::InPod => self.pod_vertex(r.connection.pod),
            Stage::ToClient | Stage::AtClient | Stage::AtPool => self.sources[r.source].clients[r.client as usize].vertex,
        }
    }

    /// What follows where nothing has to be decided.
    fn pass(&self, r: &mut Request) {
        r.stage = match r.stage {
            Stage::ToLoadBalancer if r.connection.balanced_to == BalancedTo::Pod => Stage::ToPod,
            Stage::ToLoadBalancer => Stage::ToEntry,
            Stage::ToEntry => Stage::ToPod,
            Stage::BackToEntry if self.returns_through_load_balancer(r) => Stage::BackToLoadBalancer,
            _ => Stage::ToClient,
        };
    }

    /// Whether answers pass the load balancer: there is one in front, without direct server return.
    fn returns_through_load_balancer(&self, r: &Request) -> bool {
        let balancer = self.balancer_of(r.source);
        balancer.is_some_and(|b| !b.lb.parameters().direct_return)
    }

    fn load_balancer_delay(&mut self, r: &Request) -> SimDuration {
        let balancer = self.balancer_of_mut(r.source);
        balancer.map_or(SimDuration::ZERO, |b| b.lb.delay())
    }

    /// The load balancer sends a new connection to a Node or a Pod; returns how long the message stays in it.
    pub(super) fn choose_target(&mut self, r: &mut Request, followed: bool, now: SimTime) -> SimDuration {
        let delay = self.load_balancer_delay(r);
        let source = &self.sources[r.source];
        let key = flow_key(source.clients[r.client as usize].address, r.connection.flow);
        let before = followed.then(|| self.probe_targets(r.source));
        let Some(balancer) = source.balancer.map(|b| &mut self.load_balancers[b]) else { return delay };
        let local = self.table.services[balancer.service].checks_local_health();
        if let Some(staleness) = balancer.staleness(&self.published[balancer.service], local, now) {
            self.recorder.decided(r, staleness);
        }
        let chosen = balancer.lb.choose(key, now);
        let parameters = balancer.lb.parameters();
        let c = &mut r.connection;
        match chosen {
            Some(Target::Node(node)) => {
                (c.entry, c.balanced_to) = (node, BalancedTo::Entry);
                r.stage = Stage::ToEntry;
            }
            Some(Target::Pod(pod)) => {
                (c.pod, c.balanced_to) = (pod, BalancedTo::Pod);
                c.snat = parameters.client_address == ClientAddress::Lost;
                c.back = if parameters.direct_return { Back::Direct } else { Back::ThroughLoadBalancer };
                r.stage = Stage::ToPod;
            }
            None => {
                r.result = if parameters.proxies.is_some() { Outcome::LbUnavailable } else { Outcome::NoTarget };
                r.stage = Stage::ToClient;
                balancer.release();
            }
        }
        if let Some(target) = chosen {
            balancer.lb.opened(target);
        }
        if let Some(targets) = before {
            self.probe_balancing(r, now, now + delay, targets, chosen);
        }
        delay
    }

    /// Whether a balancer without memory of connections sends this one's packets somewhere else by now: there nobody knows
    /// it, and one of TCP is reset.
    fn rehashed(&self, r: &Request, now: SimTime) -> bool {
        let source = &self.sources[r.source];
        let (Some(balancer), Some(target)) = (self.balancer_of(r.source), r.connection.target()) else { return false };
        let key = flow_key(source.clients[r.client as usize].address, r.connection.flow);
        balancer.lb.route(key, target, now) != target
    }

    /// The packet of a flow over UDP comes to another Node than before: to that Node it is the first. The entry at the old one
    /// is left to expire.
    fn begin_again(&mut self, r: &mut Request, now: SimTime) {
        let Connection { flow, slot, .. } = r.connection;
        self.hang_up(r.source, r.client, &Connection { slot: NO_SLOT, ..r.connection }, now);
        r.connection = Connection { flow, slot, ..Connection::NONE };
        r.fresh = true;
    }

    /// The entry Node's proxy chooses a Pod for a new connection; the choice holds for all its later packets. Returns the time
    /// that it took, or why the packet vanishes.
    pub(super) fn choose_pod(&mut self, r: &mut Request, now: SimTime) -> Result<SimDuration, Outcome> {
        let source = &self.sources[r.source];
        let (entry, client) = (r.connection.entry, &source.clients[r.client as usize]);
        let verdict = match client.approach {
            Approach::NoMatch => return Err(Outcome::NoRoute),
            Approach::Refused(refusal) => Verdict::Refuse(refusal),
            Approach::Server(server, sender) => {
                let packet = self.packet(source, r.client, entry, r.connection.flow);
                let proxy = &mut self.nodes[entry].proxy;
                self.recorder.decided(r, proxy.view(server.service).staleness(now));
                proxy.decide(&self.table, &self.rules, (server, sender), &packet, now)
            }
        };
        match verdict {
            Verdict::Forward(forward) => self.translate(r, forward, now),
            Verdict::Refuse(Refusal::Drop) => Err(Outcome::PolicyDrop),
            Verdict::Refuse(Refusal::Reject) if !self.tells_of_rejection(r, now) => Err(Outcome::Rejected),
            Verdict::Refuse(Refusal::Reject) => {
                r.result = Outcome::Rejected;
                r.stage = if self.returns_through_load_balancer(r) { Stage::BackToLoadBalancer } else { Stage::ToClient };
                Ok(SimDuration::ZERO)
            }
        }
    }

    /// Whether the entry Node's kernel may tell the client that it rejects its packet. What fails in connect() needs no message.
    fn tells_of_rejection(&mut self, r: &Request, now: SimTime) -> bool {
        let (source, entry) = (&self.sources[r.source], r.connection.entry);
        let at_socket = source.clients[r.client as usize].node == Some(entry) && self.nodes[entry].proxy.plane().translates_at_socket();
        let told = self.packet(source, r.client, entry, r.connection.flow).src;
        at_socket || self.nodes[entry].icmp.allows(told, now)
    }

    /// The entry Node remembers the translation, if it can, and passes the packet on.
    fn translate(&mut self, r: &mut Request, forward: Forward, now: SimTime) -> Result<SimDuration, Outcome> {
        let source = &self.sources[r.source];
        let own = source.clients[r.client as usize].node;
        let entry = r.connection.entry;
        let served_on = self.pods[forward.pod].node;
        let through_balancer = self.returns_through_load_balancer(r);
        let lost_before = self.balancer_of(r.source).is_some_and(|b| b.lb.parameters().client_address == ClientAddress::Lost);
        let node = &mut self.nodes[entry];
        let Forward { pod, snat, direct, lookup } = forward;
        r.connection.pod = pod;
        r.connection.snat = snat || lost_before;
        r.connection.opened = true;
        r.connection.tracked = !(own == Some(entry) && node.proxy.plane().translates_at_socket());
        if r.connection.tracked {
            node.conntrack.open(snat.then_some(pod), now).map_err(|full| {
                r.connection.tracked = false;
                match full {
                    Full::Table => Outcome::ConntrackFull,
                    Full::SnatPorts => Outcome::SnatExhausted,
                }
            })?;
        }
        r.connection.back = match (snat, direct, through_balancer) {
            (true, ..) => Back::ThroughEntry,
            (_, true, _) => Back::Direct,
            // Only the Node that translated can translate back: it must be on the replies' way.
            _ if own != Some(entry) && served_on != entry => Back::Astray,
            (.., true) => Back::ThroughLoadBalancer,
            (.., false) => Back::Direct,
        };
        r.stage = Stage::ToPod;
        Ok(lookup)
    }

    /// Sends the answer of a request back from `vertex`, where its Pod is: the way it came as far as addresses were rewritten,
    /// since whoever translated them has to translate them back.
    pub(in crate::cluster) fn send_back(&mut self, key: Key, result: Outcome, vertex: VertexId, ctx: &mut Ctx<'_>) {
        let Some(&(mut request)) = self.requests.get(key) else { return };
        if result == Outcome::Completed && request.phase == Phase::EXCHANGE && self.proxying(&request).is_none() {
            request.phase = self.answer_phase(&request);
        }
        if self.follows(key) {
            self.probe_answers(&request, result, ctx.now());
        }
        request.result = result;
        request.stage = match request.connection.back {
            Back::ThroughEntry => Stage::BackToEntry,
            Back::ThroughLoadBalancer => Stage::BackToLoadBalancer,
            Back::Direct => Stage::ToClient,
            Back::Astray => return self.lose(key, Outcome::ReplyLost, ctx),
        };
        self.travel(key, request, ctx.now(), vertex, ctx);
    }
}

impl Request {
    /// Whether somebody has to choose, serve or record at the end of this leg.
    #[inline]
    const fn decides(&self) -> bool {
        match self.stage {
            Stage::ToLoadBalancer => self.fresh && matches!(self.connection.balanced_to, BalancedTo::Nothing),
            // A SYN sent again follows the entry that an earlier one left.
            Stage::ToEntry => self.fresh && !self.connection.opened,
            Stage::ToPod | Stage::ToClient => true,
            Stage::InPod | Stage::BackToEntry | Stage::BackToLoadBalancer | Stage::AtClient | Stage::AtPool | Stage::AtLoadBalancer => {
                false
            }
        }
    }
}
