//! A request is sent.

use crate::api::{PortEndpoints, Process};
use crate::cluster::request::{Back, BalancedTo, NOBODY};
use crate::cluster::{Client, Cluster, Connection, Ctx, Event, Outcome, Phase, Request, Source, Stage, User};
use crate::dataplane::{Address, Approach, Entry, Packet, is_stale};
use crate::ids::{NodeId, PodId, SourceId, VertexId};
use crate::load_balancer::FlowKey;
use crate::pool::NO_SLOT;
use crate::spec::{AtSigterm, Protocol, Via};
use crate::workload::{Arrivals, Calls, Paced, Recorded};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::random::Stream;
use svcsim_engine::{Id, Key, SimDuration, SimTime};

impl Cluster {
    /// A source sends, or a user comes who will.
    pub(in crate::cluster) fn arrive(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let recorded = self.sources[id].arrivals.as_mut().map_or_else(Recorded::default, Arrivals::recorded);
        self.schedule_arrival(id, ctx);
        let source = &mut self.sources[id];
        let client = source.draw_client();
        match source.arrivals.as_mut().and_then(Arrivals::paced) {
            Some(paced) => {
                let left = paced.calls(&mut source.streams.users);
                let user = source.add_user(client, left);
                self.user_sends(id, user, ctx);
            }
            None => self.send_new(id, client, NOBODY, recorded, ctx),
        }
    }

    /// Draws a request and sends it off, over an idle connection if the client has one.
    fn send_new(&mut self, id: SourceId, client: u32, user: u32, recorded: Recorded, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let source = &mut self.sources[id];
        // Everything about the request itself is drawn here, whether a record says it or not, so that it is the same in every design.
        let service = source.service_time.as_ref().or(source.workload.map(|w| &self.workloads[w].service_time));
        let demand = service.map_or(SimDuration::ZERO, |dist| dist.sample_duration(&mut source.streams.demand));
        let mut size = |dist: &svcsim_engine::random::Dist| dist.sample(&mut source.streams.sizes).min(f64::from(u32::MAX)) as u32;
        let (request_bytes, response_bytes) = (size(&source.request_size), size(&source.response_size));
        let sizes = (recorded.request_bytes.unwrap_or(request_bytes), recorded.response_bytes.unwrap_or(response_bytes));
        let demand = recorded.service_time.unwrap_or(demand);
        if source.clients[client as usize].node.is_some_and(|node| !self.nodes[node].condition.runs()) {
            // Who is down sends nothing.
            return self.user_goes_on(id, user, ctx);
        }
        let key = source.keys.as_ref().map_or(0, |shares| drawn(shares, &mut source.streams.keys));
        let priority = source.priority;
        let mut request = Request { caller: user, key, priority, ..Request::new(now, (id, client), demand, sizes) };
        if source.workload.is_some_and(|w| !self.workloads[w].calls.is_empty()) {
            request.lot = source.streams.lots.next_u64();
        }
        self.launch(request, ctx);
    }

    /// A user sends.
    pub(in crate::cluster) fn user_sends(&mut self, id: SourceId, user: u32, ctx: &mut Ctx<'_>) {
        let User { client, left } = &mut self.sources[id].users[user as usize];
        if let Calls::Left(n) = left {
            *n = n.saturating_sub(1);
        }
        let client = *client;
        self.send_new(id, client, user, Recorded::default(), ctx);
    }

    /// A user's request is over, however it ended: the user thinks, and sends again, or goes.
    pub(super) fn user_goes_on(&mut self, id: SourceId, user: u32, ctx: &mut Ctx<'_>) {
        let source = &mut self.sources[id];
        let (Some(paced), Some(of)) = (source.arrivals.as_mut().and_then(Arrivals::paced), source.users.get(user as usize)) else { return };
        if of.left == Calls::Left(0) {
            return source.free_users.push(user);
        }
        let at = ctx.now() + paced.think(&mut source.streams.users);
        if at < self.sending_until {
            ctx.schedule_at(at, Event::UserSends { source: id, user });
        }
    }

    /// A request begins: from now on its client waits, as long as it does.
    pub(super) fn launch(&mut self, request: Request, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let key = self.requests.insert(request);
        let source = &mut self.sources[request.source];
        if let Some(retrier) = &mut source.retrier {
            retrier.sent(request.client, now);
        }
        if let Some(timeout) = source.first_timeout {
            source.deadlines.trim(|&k| self.requests.get(k).is_some_and(|r| !r.ended));
            let due = now + timeout;
            if source.deadlines.push(due, key) {
                ctx.schedule_at(due, Event::DeadlinesPass { source: request.source });
            }
        }
        if let Some(after) = source.hedging {
            ctx.schedule_at(now + after, Event::Hedges { request: key });
        }
        self.recorder.arrived(request.source, now);
        self.begin_try(key, request, ctx);
    }

    /// A request is sent, for the first time or once more, if the client's circuit breaker lets it.
    pub(super) fn begin_try(&mut self, key: Key, request: Request, ctx: &mut Ctx<'_>) {
        if self.client_admits(key, &request, ctx) {
            self.send(key, Request { stage: Stage::ToClient, ..request }, ctx);
        }
    }

    /// A request that may be sent is.
    pub(super) fn send(&mut self, key: Key, mut request: Request, ctx: &mut Ctx<'_>) {
        if let Some((at, vertex)) = self.connect(key, &mut request, ctx) {
            self.travel(key, request, at, vertex, ctx);
        }
    }

    /// Finds a request's connection, an idle one if the client has one. Returns when it leaves, and from where; none if DNS does
    /// not answer, who is asked again.
    pub(super) fn connect(&mut self, key: Key, request: &mut Request, ctx: &mut Ctx<'_>) -> Option<(SimTime, VertexId)> {
        let now = ctx.now();
        let id = request.source;
        let balances = self.sources[id].clients[request.client as usize].balance.is_some();
        let lane = if balances { None } else { self.any_lane(id, request.client) };
        let reused = if balances || lane.is_some() { None } else { self.reuse(id, request.client, now) };
        request.phase = Phase::EXCHANGE;
        let at = match (reused, lane) {
            (None, Some(lane)) => self.over_lane(key, request, lane, ctx)?,
            (None, None) if balances => self.balance(key, request, ctx)?,
            (Some((connection, fresh)), _) => {
                request.connection = connection;
                request.fresh = fresh;
                request.stage = self.first_stage(id);
                now
            }
            (None, None) if self.dns_out > 0 && self.asks_dns(request, now) => {
                self.store(key, *request);
                self.lose(key, Outcome::DnsFailure, ctx);
                return None;
            }
            (None, None) => {
                let at = self.dial(request, now);
                request.phase = Phase::handshake(self.sources[id].handshake);
                request.connection.slot = self.keep_track(id, request.client, None, now);
                at
            }
        };
        Some((at, self.leaves_client(key, request, at, ctx)))
    }

    /// A request has its connection, and leaves its client. Returns from where.
    pub(super) fn leaves_client(&mut self, key: Key, request: &mut Request, at: SimTime, ctx: &mut Ctx<'_>) -> VertexId {
        self.watch_pool(request.source, request.client, ctx);
        request.tries = 0;
        request.joined = at;
        if self.probe.is_some() {
            self.probe_sent(key, request, at);
        }
        self.sources[request.source].clients[request.client as usize].vertex
    }

    pub(super) fn first_stage(&self, source: SourceId) -> Stage {
        match (self.sources[source].balancer.is_some(), self.sources[source].via) {
            (true, _) => Stage::ToLoadBalancer,
            (false, via) if via.is_to_pod() => Stage::ToPod,
            (false, _) => Stage::ToEntry,
        }
    }

    /// The most recently idle connection that still stands, and whether its next packet is the first of a new flow to its
    /// Node. TCP: the server has not closed it. UDP knows no such thing: the same ports are used again, and the flow goes
    /// where its conntrack entry says until that has expired or was cleaned up.
    fn reuse(&mut self, id: SourceId, client: u32, now: SimTime) -> Option<(Connection, bool)> {
        self.sources[id].max_idle?;
        while let Some((since, connection)) = self.sources[id].clients[client as usize].take_idle(now) {
            let source = &self.sources[id];
            if source.protocol != Protocol::Udp {
                if self.balancer_of(id).is_some_and(|b| b.lb.parameters().proxies.is_some()) {
                    // The client's connection ends at the balancer, which chooses for each request.
                    let Connection { flow, slot, .. } = connection;
                    if self.joins(id, client, slot, now) {
                        self.hang_up(id, client, &Connection { slot: NO_SLOT, ..connection }, now);
                        return Some((Connection { flow, slot, ..Connection::NONE }, true));
                    }
                    self.hang_up(id, client, &connection, now);
                    continue;
                }
                let pod = &self.pods[connection.pod];
                let stands = self.serves_connections(connection.pod) && pod.listens_since <= since;
                if stands && self.joins(id, client, connection.slot, now) {
                    return Some((Connection { reused: true, ..connection }, false));
                }
                self.hang_up(id, client, &connection, now);
                continue;
            }
            let timeout = if connection.reused { self.conntrack_spec.udp_stream_timeout } else { self.conntrack_spec.udp_timeout };
            if connection.tracked && (now.since(since) > timeout || self.is_cleaned_up(source, client, &connection)) {
                self.hang_up(id, client, &connection, now);
                return Some((Connection { tracked: false, opened: false, reused: false, ..connection }, true));
            }
            return Some((Connection { reused: true, ..connection }, false));
        }
        None
    }

    /// Whether the Pod serves another request of a connection that it has, for all that the client knows: of a Node that lost
    /// power nobody hears.
    pub(super) fn serves_connections(&self, id: PodId) -> bool {
        let pod = &self.pods[id];
        let drains = self.workloads[pod.workload].at_sigterm == AtSigterm::DrainConnections;
        pod.accepts() || (drains && pod.process == Process::Stopping) || !self.nodes[pod.node].condition.runs()
    }

    /// Whether the Node's kube-proxy has removed the flow's entry: it does so in the sync that shows it that the Pod is no
    /// serving endpoint any more.
    fn is_cleaned_up(&self, source: &Source, client: u32, connection: &Connection) -> bool {
        let Approach::Server(server, _) = source.clients[client as usize].approach else { return false };
        let service = &self.table.services[source.service];
        let Some(port) = service.ports.get(usize::from(source.port)) else { return false };
        let packet = self.packet(source, client, connection.entry, connection.flow);
        let endpoints = self.nodes[connection.entry].proxy.endpoints(server);
        let pod = &self.pods[connection.pod];
        let addresses: Vec<IpAddr> =
            service.cluster_ip.iter().chain(&service.external_ips).chain(&service.load_balancer_ips).copied().collect();
        let answers_at = self.target_port(source.service, usize::from(source.port), pod.workload);
        let entry = Entry { protocol: source.protocol, dst: Some(packet.dst), dport: packet.dport, replies_from: (pod.ip, answers_at) };
        let serving = endpoints.map(|e| e.endpoints.iter().filter(|e| e.conditions.serving).map(|e| (e.ip, e.port)));
        let covered = serving.clone().is_some_and(|s| self.conntrack_spec.udp_cleanup.covers(s.count()));
        covered && is_stale(&entry, &addresses, port.port, port.node_port, serving)
    }

    /// Whether a new connection has to look a name up.
    pub(super) fn asks_dns(&self, r: &Request, now: SimTime) -> bool {
        let source = &self.sources[r.source];
        source.resolver.as_ref().is_some_and(|resolver| resolver.asks(source.clients[r.client as usize].resolved.as_ref(), now))
    }

    /// A new connection: a name is looked up where one is dialled; a new source port; the Node whose proxy will choose, where
    /// the client knows it. Returns when it leaves.
    pub(super) fn dial(&mut self, request: &mut Request, now: SimTime) -> SimTime {
        let id = request.source;
        let nodes = self.nodes.len();
        let source = &mut self.sources[id];
        let client = &mut source.clients[request.client as usize];
        let mut at = now;
        let mut pod = PodId(u32::MAX);
        if let Some(resolver) = &source.resolver {
            let live = (source.via == Via::PodIP).then(|| &self.known_to_dns[source.service]);
            let narrow = |port: &PortEndpoints| Client::narrow(client.guard.as_deref_mut(), port, now);
            let found = resolver.resolve(&mut client.resolved, live, source.port, narrow, now, &mut source.streams.dns);
            at += found.took;
            let answer = client.resolved.as_ref().and_then(|a| a.endpoints());
            match (found.place, answer.and_then(|set| set.ports.get(usize::from(source.port)))) {
                (Some(place), Some(port)) => {
                    pod = port.endpoints[place as usize].pod;
                    let staleness = answer.map_or(SimDuration::ZERO, |set| set.staleness(now));
                    self.recorder.decided(request, staleness);
                }
                (Some(_), None) => {}
                (None, _) => request.result = Outcome::NameError,
            }
        }
        let flow = source.streams.flow.next_u32();
        let entry = match (source.via, client.node) {
            (Via::NodePort, own) | (Via::ExternalIP, own @ None) => {
                let dialled = NodeId::from_index(source.streams.flow.below(nodes as u32) as usize);
                // What is translated in connect() never gets to the Node dialled.
                own.filter(|n| self.nodes[*n].proxy.plane().translates_at_socket()).unwrap_or(dialled)
            }
            (_, Some(node)) => node,
            // The load balancer will say.
            (_, None) => NodeId(0),
        };
        request.connection = Connection { flow, entry, pod, ..Connection::NONE };
        request.stage = if request.result == Outcome::Completed { self.first_stage(id) } else { Stage::ToClient };
        at
    }

    /// The first packet of a client's connection as it arrives at the Node `entry`.
    pub(in crate::cluster) fn packet(&self, source: &Source, client: u32, entry: NodeId, flow: u32) -> Packet {
        let service = &self.table.services[source.service];
        let port = service.ports.get(usize::from(source.port));
        let number = port.map_or(0, |p| p.port);
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let (dst, dport) = match source.address {
            Address::ClusterIP => (service.cluster_ip.unwrap_or(nowhere), number),
            Address::NodePort => {
                let node = &self.nodes[entry].proxy.addresses().addresses;
                (node.first().copied().unwrap_or(nowhere), port.and_then(|p| p.node_port).unwrap_or(number))
            }
            Address::LoadBalancer(i) => (service.load_balancer_ips.get(usize::from(i)).copied().unwrap_or(nowhere), number),
            Address::ExternalIP(i) => (service.external_ips.get(usize::from(i)).copied().unwrap_or(nowhere), number),
        };
        let sport = source_port(flow);
        let own = source.clients[client as usize].address;
        let balancer = source.balancer.map(|b| &self.load_balancers[b]);
        let src = balancer.and_then(|b| b.lb.source_address(flow_key(own, flow))).unwrap_or(own);
        Packet { protocol: source.protocol, src, sport, dst, dport }
    }
}

/// A place by its share.
fn drawn(shares: &[f64], stream: &mut Stream) -> u32 {
    let u = stream.uniform();
    shares.partition_point(|s| *s <= u).min(shares.len() - 1) as u32
}

/// What a load balancer may know of a client's connection.
pub(in crate::cluster) fn flow_key(client: IpAddr, flow: u32) -> FlowKey {
    FlowKey { client, client_port: source_port(flow), hash: flow }
}

/// An ephemeral port of a client (Linux `ip_local_port_range`).
fn source_port(flow: u32) -> u16 {
    32_768 + (flow % 28_232) as u16
}

impl Source {
    /// A user comes, who has a client for herself or shares it.
    fn add_user(&mut self, client: u32, left: Calls) -> u32 {
        let user = User { client, left };
        if let Some(place) = self.free_users.pop() {
            self.users[place as usize] = user;
            return place;
        }
        self.users.push(user);
        self.users.len() as u32 - 1
    }

    /// Which of its clients sends next.
    fn draw_client(&mut self) -> u32 {
        let n = self.clients.len() as u32;
        match &self.shares {
            None => self.streams.clients.below(n),
            Some(shares) => drawn(shares, &mut self.streams.clients),
        }
    }
}

impl Connection {
    /// None yet.
    pub(crate) const NONE: Self = Self {
        flow: 0,
        entry: NodeId(0),
        pod: PodId(u32::MAX),
        snat: false,
        opened: false,
        tracked: false,
        reused: false,
        accepted_by: 0,
        balanced_to: BalancedTo::Nothing,
        back: Back::Direct,
        slot: NO_SLOT,
    };
}

impl Cluster {
    /// Sources send their first requests.
    pub(in crate::cluster) fn open_sources(&mut self, ctx: &mut Ctx<'_>) {
        for id in self.sources.ids() {
            if self.sources[id].board.is_some() {
                self.write_loads(id, ctx);
            }
            self.open_connections(id, ctx);
            self.schedule_arrival(id, ctx);
            let source = &mut self.sources[id];
            let users = source.arrivals.as_mut().and_then(Arrivals::paced).map_or(0, Paced::users);
            for user in 0..users {
                let source = &mut self.sources[id];
                let user = source.add_user(user % source.clients.len() as u32, Calls::Endless);
                self.user_goes_on(id, user, ctx);
            }
        }
    }

    /// A source sends its next request, if it sends any by itself.
    fn schedule_arrival(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let source = &mut self.sources[id];
        let gap = source.arrivals.as_mut().and_then(|arrivals| arrivals.gap(&mut source.streams.arrivals));
        let next = gap.map(|gap| ctx.now() + gap);
        if let Some(next) = next.filter(|next| *next < self.sending_until) {
            ctx.schedule_at(next, Event::RequestArrives { source: id });
        }
    }
}
