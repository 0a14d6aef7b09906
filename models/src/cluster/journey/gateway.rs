//! A load balancer that proxies HTTP: clients' connections end at it, and what befalls its own is told as 502, 503 or 504.

use crate::cluster::request::BalancedTo;
use crate::cluster::{Cluster, Ctx, Event, Outcome, Request};
use crate::ids::SourceId;
use crate::load_balancer::Proxies;
use svcsim_engine::{Key, SimTime};

impl Cluster {
    /// How the load balancer in front proxies, if there is one that does.
    pub(in crate::cluster) fn proxying(&self, r: &Request) -> Option<Proxies> {
        self.balancer_of(r.source)?.lb.parameters().proxies
    }

    /// A target that refuses or resets the balancer's connection is a bad gateway to the client.
    pub(super) fn told_by_proxy(&self, r: &mut Request) {
        if matches!(r.result, Outcome::Refused | Outcome::Reset | Outcome::Rejected) && self.proxying(r).is_some() {
            r.result = Outcome::LbBadGateway;
        }
    }

    /// A proxying balancer has sent a request on, over a connection of its own, and waits for the answer.
    pub(super) fn gateway_waits(&mut self, key: Key, r: &mut Request, ctx: &mut Ctx<'_>) {
        let Some(proxies) = self.proxying(r).filter(|_| r.connection.balanced_to != BalancedTo::Nothing) else { return };
        r.joined = ctx.now();
        self.answer_due(key, r.source, proxies, ctx);
    }

    /// The balancer answers 504 if there is no answer in time.
    pub(super) fn answer_due(&mut self, key: Key, id: SourceId, proxies: Proxies, ctx: &mut Ctx<'_>) {
        let source = &mut self.sources[id];
        source.gateway.trim(|&k| self.requests.get(k).is_some_and(|r| !r.ended));
        let due = ctx.now() + proxies.response_timeout;
        if source.gateway.push(due, key) {
            ctx.schedule_at(due, Event::GatewayTimesOut { source: id });
        }
    }

    /// The balancer has waited long enough for a target.
    pub(super) fn balancer_gives_up(&mut self, r: &Request, now: SimTime) {
        if let (Some(target), Some(balancer)) = (r.connection.target(), self.balancer_of_mut(r.source)) {
            balancer.lb.answered(target, false, now);
        }
    }

    /// Requests without an answer by now are answered 504. The Pods may work on for nothing.
    pub(in crate::cluster) fn gateway_times_out(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        while let Some(key) = self.sources[id].gateway.pop_due(ctx.now()) {
            self.give_up(key, Outcome::LbTimeout, ctx);
        }
        if let Some(due) = self.sources[id].gateway.rearm() {
            ctx.schedule_at(due, Event::GatewayTimesOut { source: id });
        }
    }
}
