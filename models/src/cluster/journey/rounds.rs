//! Round trips around the exchange of request and answer: the handshakes of TCP and TLS before it, and the flights of an answer that
//! TCP's window does not let out at once.
//!
//! Each is a message that travels as any other, to whoever accepts the connection: the Pod, or a load balancer that proxies. A flight
//! sets out as a whole when all of the one before is acknowledged, so that a window larger than what the way holds waits longer than
//! packets would. Nothing closes a window but idleness: no loss does, and no receiver.

use crate::cluster::{Cluster, Ctx, Outcome, Phase, Request};
use crate::pool::flight;
use svcsim_engine::Key;

use super::again::is_forward;
use super::travel::SMALL;

impl Cluster {
    /// A message that ends no exchange is back at the client, who says what comes next. False if there is no more to say.
    pub(super) fn next_round(&mut self, key: Key, request: &Request, ctx: &mut Ctx<'_>) -> bool {
        let proxied = self.proxying(request).is_some();
        if !request.phase.is_handshake() {
            let Some(n) = request.phase.flight() else { return false };
            let (_, last) = flight(self.window(request), n, request.response_bytes);
            if last {
                self.window_grows(request, n);
                return false;
            }
        }
        if request.ended {
            self.requests.remove(key);
            return true;
        }
        let fresh = request.fresh && proxied;
        let stage = self.first_stage(request.source);
        let next = Request { phase: request.phase.next(), fresh, stage, tries: 0, joined: ctx.now(), ..*request };
        let stands = request.phase.is_handshake() && !next.phase.is_handshake();
        if stands && let Some(pooling) = &mut self.sources[request.source].pooling {
            pooling.pools[request.client as usize].stands(request.connection.slot, request.connection, ctx.now());
        }
        let vertex = self.sources[request.source].clients[request.client as usize].vertex;
        self.travel(key, next, ctx.now(), vertex, ctx);
        if stands {
            self.goes_on(request.source, request.client, ctx);
        }
        true
    }

    /// The Pod's end of a connection says what its turn is; a new connection is accepted.
    pub(super) fn replies(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let Some(request) = self.requests.get(key) else { return };
        let pod = &self.pods[request.connection.pod];
        if request.fresh {
            self.recorder.accepted(request, pod.replica);
        }
        let vertex = self.nodes[pod.node].vertex;
        self.send_back(key, Outcome::Completed, vertex, ctx);
    }

    /// Whether more of an answer follows when what is under way is acknowledged.
    pub(in crate::cluster) fn more_follows(&self, r: &Request) -> bool {
        r.phase.flight().is_some_and(|n| !flight(self.window(r), n, r.response_bytes).1)
    }

    /// How an answer sets out: whole, or in flights.
    pub(super) fn answer_phase(&self, r: &Request) -> Phase {
        if self.sources[r.source].tcp.slow_start.is_some() { Phase::FIRST_FLIGHT } else { Phase::EXCHANGE }
    }

    /// The size of the message that is under way.
    #[inline]
    pub(super) fn message_bytes(&self, r: &Request) -> u64 {
        match (is_forward(r.stage), r.result) {
            (true, _) if r.phase == Phase::EXCHANGE => u64::from(r.request_bytes),
            (false, Outcome::Completed) if r.phase == Phase::EXCHANGE => u64::from(r.response_bytes),
            (false, Outcome::Completed) if !r.phase.is_handshake() => {
                flight(self.window(r), r.phase.flight().unwrap_or(0), r.response_bytes).0
            }
            _ => SMALL,
        }
    }

    /// The window that the first flight of an answer has, in segments.
    fn window(&self, r: &Request) -> u32 {
        let source = &self.sources[r.source];
        let kept = source.pooling.as_ref().and_then(|p| p.pools[r.client as usize].window(r.connection.slot));
        kept.unwrap_or_else(|| source.tcp.slow_start.map_or(u32::MAX, |s| s.initial_window))
    }

    fn window_grows(&mut self, r: &Request, flights: u8) {
        if let Some(pooling) = &mut self.sources[r.source].pooling {
            pooling.pools[r.client as usize].grows(r.connection.slot, flights);
        }
    }
}
