//! Hedging: a request that has no answer after a while is sent once more, perhaps to another Pod; the first answer counts, and the
//! other copy is cancelled, though its Pod works on.
//!
//! Source: Dean and Barroso 2013, *The Tail at Scale* (hedged requests); gRFC A6 (`hedgingPolicy`: `hedgingDelay`, here with
//! `maxAttempts: 2`). Copies may come to the same Pod: nothing tells the balancer of the first one but its own counts.

use crate::cluster::{Cluster, Connection, Ctx, Event, Outcome, Request, Stage};
use svcsim_engine::{Key, SimDuration};

impl Cluster {
    /// A request has had no answer for so long that it is sent once more.
    pub(in crate::cluster) fn hedge(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let Some(&first) = self.requests.get(key).filter(|r| !r.ended) else { return };
        let copy = Request {
            sent: ctx.now(),
            waited: SimDuration::ZERO,
            called: SimDuration::ZERO,
            connection: Connection::NONE,
            hops: 0,
            stage: Stage::ToClient,
            result: Outcome::Completed,
            fresh: true,
            lost: false,
            tries: 0,
            ..first
        };
        let hedged = self.requests.insert(copy);
        self.siblings.insert(key, hedged);
        self.siblings.insert(hedged, key);
        self.recorder.hedged(&first);
        let source = &self.sources[first.source];
        let timeout = if first.attempt == 0 { source.first_timeout } else { source.timeout };
        if let Some(due) = timeout.map(|timeout| (first.start + timeout).max(ctx.now())) {
            ctx.schedule_at(due, Event::TryExpires { request: hedged });
        }
        self.begin_try(hedged, copy, ctx);
    }

    /// One of two copies is over. Whether the other is still waited for; if this one was answered, the other is cancelled.
    pub(super) fn other_copy_goes_on(&mut self, key: Key, request: &Request, outcome: Outcome, ctx: &mut Ctx<'_>) -> bool {
        let Some(other) = self.siblings.remove(&key) else { return false };
        self.siblings.remove(&other);
        let Some(&copy) = self.requests.get(other).filter(|r| !r.ended) else { return false };
        if outcome != Outcome::Completed {
            self.client_hears(request, outcome, ctx.now());
            return true;
        }
        if let Some(r) = self.requests.get_mut(other) {
            r.ended = true;
        }
        if copy.lost {
            self.requests.remove(other);
        }
        self.client_cancels(&copy, ctx.now());
        self.unanswered(&copy, ctx.now());
        false
    }

    /// Copies that are under way beside another of the same request.
    pub(in crate::cluster) fn second_copies(&self) -> impl Iterator<Item = &Request> {
        let alive = |key: &Key| self.requests.get(*key).filter(|r| !r.ended);
        self.siblings.iter().filter(|(key, other)| key < other).filter_map(move |(key, other)| alive(key).and(alive(other)))
    }
}
