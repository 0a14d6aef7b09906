//! Connections that requests share or wait for, that grow old, that stand before the first request.

use crate::cluster::{Cluster, Connection, Ctx, Event, Outcome, Phase, Pooling, Request, Source, Stage};
use crate::ids::{NodeId, PodId, SourceId};
use crate::load_balancer::Target;
use crate::pool::{LaneId, Lanes, NO_SLOT, Pool, Seat};
use crate::spec::Spread;
use svcsim_engine::{Key, SimDuration, SimTime};

/// No Pod: others choose it.
const ANY: PodId = Connection::NONE.pod;

impl Cluster {
    fn pool(&mut self, id: SourceId, client: u32) -> Option<&mut Pool> {
        self.sources[id].pooling.as_mut()?.pools.get_mut(client as usize)
    }

    /// The lane of a request, to `pod` or whatever Pod others choose, where its client's requests have lanes.
    pub(super) fn lane_of(&mut self, id: SourceId, client: u32, pod: PodId) -> Option<LaneId> {
        let Pooling { limits, spread, pools, .. } = self.sources[id].pooling.as_mut()?;
        let lanes = limits.lanes?;
        let random = spread.below(lanes.count);
        Some(match lanes.spread {
            Spread::Random => (pod, random),
            Spread::RoundRobin => pools[client as usize].turn(pod, lanes.count),
        })
    }

    /// The lane of a request whose client does not choose Pods.
    pub(super) fn any_lane(&mut self, id: SourceId, client: u32) -> Option<LaneId> {
        self.lane_of(id, client, ANY)
    }

    /// Sends a request over its lane's connection, or over a new one. Returns when it leaves; none if it waits.
    pub(super) fn over_lane(&mut self, key: Key, request: &mut Request, lane: LaneId, ctx: &mut Ctx<'_>) -> Option<SimTime> {
        let now = ctx.now();
        let (id, client) = (request.source, request.client);
        self.leave_dead(id, client, lane, now);
        let Pooling { limits, pools, .. } = self.sources[id].pooling.as_mut()?;
        match pools[client as usize].seat(lane, key, limits, now) {
            Seat::On(connection) => {
                (request.connection, request.fresh) = (Connection { reused: true, ..connection }, self.proxying(request).is_some());
                request.stage = self.first_stage(id);
                Some(now)
            }
            Seat::InLine => {
                let connection = Connection { pod: lane.0, ..Connection::NONE };
                self.store(key, Request { stage: Stage::AtPool, connection, lost: true, result: Outcome::TimedOut, ..*request });
                None
            }
            Seat::First => self.open_lane(key, request, lane, ctx),
        }
    }

    /// A request opens its lane's connection.
    fn open_lane(&mut self, key: Key, request: &mut Request, lane: LaneId, ctx: &mut Ctx<'_>) -> Option<SimTime> {
        let now = ctx.now();
        let at = if lane.0 != ANY {
            request.connection = self.new_connection(request.source, request.client, lane.0);
            (request.fresh, request.stage) = (true, Stage::ToPod);
            now
        } else if self.dns_out > 0 && self.asks_dns(request, now) {
            self.store(key, *request);
            self.lose(key, Outcome::DnsFailure, ctx);
            return None;
        } else {
            self.dial(request, now)
        };
        request.phase = Phase::handshake(self.sources[request.source].handshake);
        request.connection.slot = self.keep_track(request.source, request.client, Some(lane), now);
        Some(at)
    }

    /// A connection of a client's own to a Pod that it has chosen.
    pub(super) fn new_connection(&mut self, id: SourceId, client: u32, pod: PodId) -> Connection {
        let source = &mut self.sources[id];
        let entry = source.clients[client as usize].node.unwrap_or(NodeId(0));
        Connection { flow: source.streams.flow.next_u32(), entry, pod, ..Connection::NONE }
    }

    /// A client's pool keeps an eye on a new connection, where there is a reason to.
    pub(super) fn keep_track(&mut self, id: SourceId, client: u32, lane: Option<LaneId>, now: SimTime) -> u16 {
        let source = &mut self.sources[id];
        let Some(pooling) = &mut source.pooling else { return NO_SLOT };
        let retires = pooling.max_age.as_ref().map_or(SimTime::MAX, |age| now + age.sample_duration(&mut pooling.ages));
        pooling.pools[client as usize].open(lane, retires, &pooling.limits)
    }

    /// A request goes over a kept connection, unless that is to end.
    pub(super) fn joins(&mut self, id: SourceId, client: u32, slot: u16, now: SimTime) -> bool {
        let Some(Pooling { limits, pools, .. }) = &mut self.sources[id].pooling else { return true };
        let pool = &mut pools[client as usize];
        let keeps = pool.keeps(slot, now);
        if keeps {
            pool.joins(slot, limits, now);
        }
        keeps
    }

    /// A connection that its Pod has closed, or that is too old, is left to the requests that it has.
    fn leave_dead(&mut self, id: SourceId, client: u32, lane: LaneId, now: SimTime) {
        let Some((since, connection)) = self.pool(id, client).and_then(|p| p.standing(lane)) else { return };
        let ends_at_balancer = self.balancer_of(id).is_some_and(|b| b.lb.parameters().proxies.is_some());
        let alive = ends_at_balancer || self.serves_connections(connection.pod) && self.pods[connection.pod].listens_since <= since;
        let Some(pool) = self.pool(id, client) else { return };
        if !(alive && pool.keeps(connection.slot, now))
            && let Some(over) = pool.retire(connection.slot)
        {
            self.hang_up(id, client, &over, now);
        }
    }

    /// A request that has a lane is over at its client, who `heard` an answer or not; true if it has one.
    pub(super) fn leaves_lane(&mut self, r: &Request, heard: Option<Outcome>, now: SimTime) -> bool {
        let Some(lanes) = self.sources[r.source].lanes() else { return false };
        let (id, slot) = (r.source, r.connection.slot);
        if slot == NO_SLOT {
            self.hang_up(id, r.client, &r.connection, now);
            return true;
        }
        let proxied = self.proxying(r).is_some();
        let draining = !proxied && r.connection.pod != ANY && !self.pods[r.connection.pod].accepts();
        let stays = match heard {
            Some(outcome) => outcome.is_answer() && !draining,
            // A stream is cancelled, and the connection stands; HTTP/1.1 has no way to do that.
            None => lanes.max_streams > 1 && self.pool(id, r.client).is_some_and(|p| p.is_standing(slot)),
        };
        let mut connection = r.connection;
        if proxied {
            // Its own connections are the balancer's.
            self.hang_up(id, r.client, &Connection { slot: NO_SLOT, ..connection }, now);
            connection = Connection { flow: connection.flow, slot, ..Connection::NONE };
        }
        let Some(pool) = self.pool(id, r.client) else { return true };
        if stays && heard.is_some() {
            pool.stands(slot, connection, now);
        }
        if let Some(over) = pool.leaves(slot, connection, stays) {
            self.hang_up(id, r.client, &over, now);
        }
        true
    }

    /// A load balancer resets the connections of a target.
    pub(in crate::cluster) fn cut_pool(&mut self, (id, client): (SourceId, u32), target: Target, now: SimTime) {
        let Some(pool) = self.pool(id, client) else { return };
        for over in pool.retire_those(|c| c.target() == Some(target)) {
            self.hang_up(id, client, &over, now);
        }
    }

    /// The next request of a client's that waits for a connection with room.
    pub(super) fn next_of_pool(&mut self, id: SourceId, client: u32) -> Option<(LaneId, Key)> {
        let (requests, pooling) = (&self.requests, self.sources[id].pooling.as_mut()?);
        let lanes = pooling.limits.lanes?;
        loop {
            let (lane, key) = pooling.pools[client as usize].next(lanes.max_streams)?;
            if requests.get(key).is_some_and(|r| !r.ended) {
                return Some((lane, key));
            }
        }
    }

    /// A kept connection was answered over, and is idle from now on, unless it is to end.
    pub(super) fn rests(&mut self, r: &Request, now: SimTime) -> bool {
        let Some(pool) = self.pool(r.source, r.client) else { return true };
        let slot = r.connection.slot;
        pool.stands(slot, r.connection, now);
        pool.keeps(slot, now) && pool.leaves(slot, r.connection, true).is_none()
    }

    /// Somebody looks at a client's connections when the next of them is due to end.
    pub(super) fn watch_pool(&mut self, id: SourceId, client: u32, ctx: &mut Ctx<'_>) {
        let Some(Pooling { limits, pools, .. }) = &mut self.sources[id].pooling else { return };
        if let Some(at) = pools[client as usize].wake(limits) {
            ctx.schedule_at(at.max(ctx.now()), Event::ConnectionsDue { source: id, client });
        }
    }

    /// A client closes what was idle for too long or is too old.
    pub(in crate::cluster) fn connections_due(&mut self, id: SourceId, client: u32, ctx: &mut Ctx<'_>) {
        let source = &mut self.sources[id];
        let Some(Pooling { limits, pools, .. }) = &mut source.pooling else { return };
        let over = pools[client as usize].sweep(limits, ctx.now());
        source.clients[client as usize].idle.retain(|(_, c)| !over.iter().any(|o| o.slot == c.slot));
        for connection in over {
            self.hang_up(id, client, &connection, ctx.now());
        }
        self.goes_on(id, client, ctx);
    }

    /// Connections that stand before the first request.
    pub(super) fn open_connections(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let Some(lanes) = self.sources[id].lanes().filter(|lanes| lanes.opened) else { return };
        for client in 0..self.sources[id].clients.len() as u32 {
            if self.sources[id].clients[client as usize].balance.is_some() {
                // To which Pods is not known before there are requests.
                continue;
            }
            for place in 0..lanes.count {
                self.establish(id, client, (ANY, place), ctx.now());
            }
            self.watch_pool(id, client, ctx);
        }
    }

    /// Opens one, if somebody takes it: whoever chooses is asked as by a request.
    fn establish(&mut self, id: SourceId, client: u32, lane: LaneId, now: SimTime) {
        let mut r = Request::new(now, (id, client), SimDuration::ZERO, (0, 0));
        self.dial(&mut r, now);
        let slot = self.keep_track(id, client, Some(lane), now);
        r.connection.slot = slot;
        let proxied = self.proxying(&r).is_some();
        let stands = loop {
            let goes_on = match r.stage {
                Stage::ToLoadBalancer if proxied => break true,
                Stage::ToLoadBalancer => {
                    self.choose_target(&mut r, false, now);
                    true
                }
                Stage::ToEntry => self.choose_pod(&mut r, now).is_ok(),
                Stage::ToPod => break self.pods[r.connection.pod].accepts() && self.accepts_connection(&mut r.connection),
                _ => false,
            };
            if !goes_on {
                break false;
            }
        };
        if !stands {
            return self.hang_up(id, client, &r.connection, now);
        }
        if let Some(pool) = self.pool(id, client) {
            pool.opened(slot, r.connection, now);
        }
    }
}

impl Source {
    /// The lanes of its clients' requests, if they have such.
    pub(super) fn lanes(&self) -> Option<Lanes> {
        self.pooling.as_ref()?.limits.lanes
    }
}
