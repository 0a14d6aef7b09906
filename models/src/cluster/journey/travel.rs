//! A message moves: over links, and through those who choose its way.

use crate::cluster::{Cluster, Ctx, Event, Outcome, Stage};
use crate::dataplane::{Destination, Sender, Verdict};
use crate::ids::VertexId;
use crate::network::{Leg, Transit};
use crate::spec::Via;
use svcsim_engine::{Key, SimTime};

impl Cluster {
    /// A message is where it was expected: at the end of its leg, or before a link that queues.
    pub(in crate::cluster) fn message_reaches(&mut self, key: Key, vertex: VertexId, ctx: &mut Ctx<'_>) {
        // Its client may have given up and been told; what is still in the cluster then is let go.
        if self.requests.get(key).is_some() {
            self.travel(key, ctx.now(), vertex, ctx);
        }
    }

    /// Moves the message of `key`, which is at `vertex` at time `at`, as far as nothing has to be decided in
    /// between. Links without queues and Nodes that only follow a conntrack entry are passed in one go.
    pub(in crate::cluster) fn travel(&mut self, key: Key, mut at: SimTime, mut vertex: VertexId, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        while let Some(request) = self.requests.get(key) {
            let (stage, fresh, source, result) = (request.stage, request.fresh, request.source, request.result);
            let inbound = matches!(stage, Stage::ToLoadBalancer | Stage::ToEntry | Stage::ToPod);
            let bytes = match (inbound, result) {
                (true, _) => request.request_bytes,
                (false, Outcome::Completed) => request.response_bytes,
                // A reset, an ICMP error or a bare 503 is a small packet.
                (false, _) => 100,
            };
            let leg = Leg { at: vertex, to: self.heading(key), flow: request.connection.flow };
            let stream = &mut self.sources[source].streams.network;
            match self.network.advance(now, at, leg, u64::from(bytes), stream) {
                Transit::Continues { vertex, at, hops } => {
                    self.count_hops(key, hops);
                    ctx.schedule_at(at, Event::MessageReaches { request: key, vertex });
                    return;
                }
                Transit::Dropped { .. } => return self.lose(key, Outcome::LinkDrop, ctx),
                Transit::Arrived { at: arrival, hops } => {
                    self.count_hops(key, hops);
                    at = arrival;
                    vertex = leg.to;
                }
            }
            let decides = match stage {
                Stage::ToLoadBalancer | Stage::ToEntry => fresh,
                Stage::ToPod | Stage::ToClient => true,
                Stage::InPod | Stage::BackToEntry | Stage::BackToLoadBalancer => false,
            };
            if !decides {
                if stage == Stage::ToLoadBalancer {
                    at += self.load_balancer_delay(key);
                }
                self.next_stage(key);
            } else if at > now {
                ctx.schedule_at(at, Event::MessageReaches { request: key, vertex });
                return;
            } else {
                match stage {
                    Stage::ToLoadBalancer => at += self.choose_node(key),
                    Stage::ToEntry => {
                        if let Some(cause) = self.choose_pod(key) {
                            return self.lose(key, cause, ctx);
                        }
                    }
                    Stage::ToPod => return self.admit(key, ctx),
                    _ => return self.answered(key, ctx),
                }
            }
        }
    }

    fn count_hops(&mut self, key: Key, hops: u32) {
        if let Some(r) = self.requests.get_mut(key) {
            r.hops = r.hops.saturating_add(hops as u16);
        }
    }

    /// The vertex at the end of the message's leg.
    fn heading(&self, key: Key) -> VertexId {
        let Some(r) = self.requests.get(key) else { return self.network.edge() };
        match r.stage {
            Stage::ToLoadBalancer | Stage::BackToLoadBalancer => self.network.edge(),
            Stage::ToEntry | Stage::BackToEntry => self.nodes[r.connection.entry].vertex,
            Stage::ToPod | Stage::InPod => self.nodes[self.pods[r.connection.pod].node].vertex,
            Stage::ToClient => self.sources[r.source].clients[r.client as usize].vertex,
        }
    }

    /// What follows when nothing has to be decided.
    fn next_stage(&mut self, key: Key) {
        let Some(r) = self.requests.get_mut(key) else { return };
        r.stage = match r.stage {
            Stage::ToLoadBalancer => Stage::ToEntry,
            Stage::ToEntry => Stage::ToPod,
            Stage::BackToEntry if self.sources[r.source].goes_through_load_balancer() => Stage::BackToLoadBalancer,
            _ => Stage::ToClient,
        };
    }

    fn load_balancer_delay(&mut self, key: Key) -> svcsim_engine::SimDuration {
        let Some(r) = self.requests.get(key) else { return svcsim_engine::SimDuration::ZERO };
        let service = self.sources[r.source].service;
        self.load_balancers[service].as_mut().map_or(svcsim_engine::SimDuration::ZERO, |lb| lb.delay())
    }

    /// The load balancer sends a new connection to a Node; returns how long the message stays in it.
    fn choose_node(&mut self, key: Key) -> svcsim_engine::SimDuration {
        let delay = self.load_balancer_delay(key);
        if let Some(r) = self.requests.get_mut(key) {
            if let Some(lb) = self.load_balancers[self.sources[r.source].service].as_mut() {
                r.connection.entry = lb.choose();
            }
            r.stage = Stage::ToEntry;
        }
        delay
    }

    /// The entry Node's proxy chooses a Pod for a new connection and keeps the choice for its later packets.
    /// Returns the cause if the packet vanishes.
    fn choose_pod(&mut self, key: Key) -> Option<Outcome> {
        let r = self.requests.get_mut(key)?;
        let source = &self.sources[r.source];
        let destination = if source.via == Via::ClusterIP { Destination::ClusterIP } else { Destination::External };
        let sender = if source.in_cluster { Sender::Pod } else { Sender::Outside };
        let proxy = &mut self.nodes[r.connection.entry].proxy;
        match proxy.decide(source.service, &self.services[source.service], destination, sender) {
            Verdict::Forward { pod, snat } => {
                r.connection.pod = pod;
                r.connection.snat = snat;
                r.stage = Stage::ToPod;
                None
            }
            Verdict::Reject => {
                r.result = Outcome::Rejected;
                r.stage = if source.goes_through_load_balancer() { Stage::BackToLoadBalancer } else { Stage::ToClient };
                None
            }
            Verdict::Drop => Some(Outcome::PolicyDrop),
        }
    }

    /// Sends the answer of a request back from `vertex`: the way it came, since whoever translated the
    /// addresses has to translate them back. Without SNAT the Pod is on the entry Node or answers directly.
    pub(in crate::cluster) fn send_back(&mut self, key: Key, result: Outcome, vertex: VertexId, ctx: &mut Ctx<'_>) {
        let Some(r) = self.requests.get_mut(key) else { return };
        r.result = result;
        r.stage = match (r.connection.snat, self.sources[r.source].goes_through_load_balancer()) {
            (true, _) => Stage::BackToEntry,
            (false, true) => Stage::BackToLoadBalancer,
            (false, false) => Stage::ToClient,
        };
        self.travel(key, ctx.now(), vertex, ctx);
    }
}
