//! A client that balances chooses the Pod of each request: itself, or by its sidecar. What it knows of Pods comes late, with
//! EndpointSlices, answers and probes.

use crate::api::{EndpointSet, Pod};
use crate::balance::{Answer, HashOn, Report, World};
use crate::cluster::decisions::Decisions;
use crate::cluster::{Cluster, Connection, Ctx, Event, LoadProbe, Outcome, Phase, Request, Source, Stage, decision};
use crate::dns::Answer as DnsAnswer;
use crate::ids::{NodeId, PodId, ServiceId, SourceId};
use crate::maglev::mix64;
use crate::network::{Leg, Transit};
use crate::spec::Via;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use svcsim_engine::random::entity;
use svcsim_engine::{IdVec, Key, SimDuration, SimTime};

/// A probe, and the answer to it, are small packets.
const PROBE_BYTES: u64 = 100;

/// Loads as they were last written where all instances of a source read them.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Board {
    pub(in crate::cluster) every: SimDuration,
    written: SimTime,
    present: BTreeMap<PodId, u32>,
}

impl Board {
    pub(in crate::cluster) const fn new(every: SimDuration) -> Self {
        Self { every, written: SimTime::ZERO, present: BTreeMap::new() }
    }
}

/// What is true of Pods.
struct Seen<'a> {
    pods: &'a IdVec<PodId, Pod>,
    board: Option<&'a Board>,
    now: SimTime,
}

impl World for Seen<'_> {
    fn present(&self, pod: PodId) -> u32 {
        self.pods[pod].present()
    }

    fn reported(&self, pod: PodId) -> u32 {
        self.board.and_then(|b| b.present.get(&pod)).copied().unwrap_or(0)
    }

    fn reported_at(&self) -> SimTime {
        self.board.map_or(self.now, |b| b.written)
    }

    fn work(&self, pod: PodId) -> SimDuration {
        self.pods[pod].delay(self.now)
    }
}

impl Cluster {
    /// Chooses the Pod of a request whose client balances, and finds a connection to it. Returns when it leaves; none if DNS does
    /// not answer, who is asked again.
    pub(super) fn balance(&mut self, key: Key, request: &mut Request, ctx: &mut Ctx<'_>) -> Option<SimTime> {
        let now = ctx.now();
        let at = now + self.ask_names(key, request, ctx)?;
        request.sent = at;
        let Some(pod) = self.pick_host(request, now) else {
            let via = self.sources[request.source].via;
            request.result = if via == Via::PodIP { Outcome::NameError } else { Outcome::NoTarget };
            request.connection = Connection::NONE;
            request.stage = Stage::ToClient;
            return Some(at);
        };
        if let Some(lane) = self.lane_of(request.source, request.client, pod) {
            self.probe_loads(request.source, request.client, pod, ctx);
            return self.over_lane(key, request, lane, ctx).map(|leaves| leaves.max(at));
        }
        request.fresh = true;
        request.stage = Stage::ToPod;
        request.connection = self.connection_to(request, pod, now);
        request.fresh = !request.connection.reused;
        if request.fresh {
            request.phase = Phase::handshake(self.sources[request.source].handshake);
        }
        self.probe_loads(request.source, request.client, pod, ctx);
        Some(at)
    }

    /// Looks the Service's Pods up where clients do that; who has an answer uses it until the next is there. Returns the time that
    /// it took.
    fn ask_names(&mut self, key: Key, request: &Request, ctx: &mut Ctx<'_>) -> Option<SimDuration> {
        let now = ctx.now();
        let source = &mut self.sources[request.source];
        let client = &mut source.clients[request.client as usize];
        let Some(resolver) = &source.resolver else { return Some(SimDuration::ZERO) };
        let known = client.resolved.as_ref().is_some_and(|a| a.endpoints().is_some());
        if resolver.asks(client.resolved.as_ref(), now) && self.dns_out > 0 {
            if known {
                return Some(SimDuration::ZERO);
            }
            self.store(key, *request);
            self.lose(key, Outcome::DnsFailure, ctx);
            return None;
        }
        let live = Some(&self.known_to_dns[source.service]);
        let found = resolver.resolve(&mut client.resolved, live, source.port, |_| None, now, &mut source.streams.dns);
        Some(if known { SimDuration::ZERO } else { found.took })
    }

    /// The Pod that the client's instance chooses, by what it knows now.
    fn pick_host(&mut self, request: &Request, now: SimTime) -> Option<PodId> {
        let source = &self.sources[request.source];
        let client = &source.clients[request.client as usize];
        let set = match client.node {
            Some(node) if source.via == Via::Endpoints => Rc::clone(self.heard(node, source.service)),
            _ => Rc::clone(client.resolved.as_ref().and_then(DnsAnswer::endpoints)?),
        };
        self.recorder.decided(request, set.staleness(now));
        let (pods, replicas) = (&self.pods, &self.replicas);
        let Source { clients, balancing, board, port, .. } = &mut self.sources[request.source];
        let balancing = balancing.as_ref();
        let client = &mut clients[request.client as usize];
        let balance = client.balance.as_mut()?;
        let outliers = client.guard.as_mut().and_then(|g| g.outliers.as_mut());
        let turn = outliers.map_or(0, |o| {
            o.sweep(now);
            o.turns()
        });
        let outliers = client.guard.as_ref().and_then(|g| g.outliers.as_ref());
        let weight = |pod: PodId| match balancing {
            Some(b) if !b.weights.is_empty() => b.weight(replicas[pods[pod].replica].place as usize),
            _ => 1,
        };
        let ready = set.ports.get(usize::from(*port)).map_or(0, |p| p.ready().len());
        let left = ready.saturating_sub(outliers.map_or(0, |o| o.ejected()));
        let avoids = |pod| outliers.is_some_and(|o| o.is_ejected(pod) && !o.spec().panics(left, ready));
        balance.learn((&set, usize::from(*port), turn), avoids, weight, now);
        let hash = hash_of(client.address, request.key, balancing.map(|b| b.hash_on).unwrap_or_default());
        let seen = Seen { pods, board: board.as_ref(), now };
        let wanted = self.decisions.as_ref().is_some_and(Decisions::wants_more);
        let before = wanted.then(|| balance.candidates(hash, request.demand, &seen, now));
        let chosen = balance.pick(hash, request.demand, &seen, now);
        if let (Some((candidates, age)), Some(decisions)) = (before, &mut self.decisions) {
            decisions.made.push(decision(now, (request.source, request.client), candidates, age, chosen));
        }
        chosen
    }

    /// The newest endpoints of a Service that a Node has heard of, whether kube-proxy has written rules for them or not.
    fn heard(&self, node: NodeId, service: ServiceId) -> &Rc<EndpointSet> {
        let n = &self.nodes[node];
        let told = n.news.iter().chain(&n.writing).filter(|(s, _)| *s == service).map(|(_, set)| set);
        told.chain([n.proxy.known(service)]).max_by_key(|set| set.version).unwrap_or(&self.published[service])
    }

    /// The most recently idle connection of the client to `pod` that still stands, or a new one.
    fn connection_to(&mut self, request: &Request, pod: PodId, now: SimTime) -> Connection {
        let (id, client) = (request.source, request.client);
        loop {
            let idle = &mut self.sources[id].clients[client as usize].idle;
            let Some(place) = idle.iter().rposition(|(_, c)| c.pod == pod) else { break };
            let (since, connection) = idle.remove(place);
            let stands = self.serves_connections(pod) && self.pods[pod].listens_since <= since;
            if stands && self.joins(id, client, connection.slot, now) {
                return Connection { reused: true, ..connection };
            }
            self.hang_up(id, client, &connection, now);
        }
        let slot = self.keep_track(id, client, None, now);
        Connection { slot, ..self.new_connection(id, client, pod) }
    }

    /// The instance counts a request that it sends, and probes whom it wants to know more of.
    fn probe_loads(&mut self, id: SourceId, client: u32, pod: PodId, ctx: &mut Ctx<'_>) {
        let c = &mut self.sources[id].clients[client as usize];
        let Some(balance) = &mut c.balance else { return };
        let (wanted, at) = (balance.sent(pod, ctx.now()), c.vertex);
        for pod in wanted {
            let probe = self.load_probes.insert(LoadProbe { source: id, client, pod, at, report: None });
            self.load_probe_moves(probe, ctx);
        }
    }

    /// A probe, or the answer to it, goes as far as links let it.
    pub(in crate::cluster) fn load_probe_moves(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(&probe) = self.load_probes.get(key) else { return };
        let to = match probe.report {
            Some(_) => self.sources[probe.source].clients[probe.client as usize].vertex,
            None => self.pod_vertex(probe.pod),
        };
        if probe.at == to {
            return if probe.report.is_some() { self.load_probe_ends(key, now) } else { self.load_probe_answers(key, ctx) };
        }
        let leg = Leg { at: probe.at, to, flow: probe.pod.0 };
        let cut = self.faults > 0 && self.severed(leg.at, leg.to, false);
        let moved = match self.network.advance(now, now, leg, PROBE_BYTES, &mut self.sources[probe.source].streams.probes) {
            Transit::Arrived { at, .. } if !cut => Some((to, at)),
            Transit::Continues { vertex, at, .. } if !cut => Some((vertex, at)),
            _ => None,
        };
        match (moved, self.load_probes.get_mut(key)) {
            (Some((vertex, at)), Some(probe)) => {
                probe.at = vertex;
                ctx.schedule_at(at, Event::LoadProbeMoves { probe: key });
            }
            _ => {
                self.load_probes.remove(key);
            }
        }
    }

    /// A probe is at its Pod; one that does not answer at once never does.
    fn load_probe_answers(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let Some(probe) = self.load_probes.get_mut(key) else { return };
        let pod = &self.pods[probe.pod];
        if !pod.accepts() || pod.hangs() {
            self.load_probes.remove(key);
            return;
        }
        let report = Report { in_flight: pod.present(), latency: pod.latency_estimate(), service: SimDuration::ZERO };
        probe.report = Some((report, ctx.now()));
        self.load_probe_moves(key, ctx);
    }

    fn load_probe_ends(&mut self, key: Key, now: SimTime) {
        let Some(LoadProbe { source, client, pod, report: Some((report, taken)), .. }) = self.load_probes.remove(key) else { return };
        if let Some(balance) = &mut self.sources[source].clients[client as usize].balance {
            balance.probed(pod, report, taken, now);
        }
    }

    /// A try of a client that balances is over.
    pub(super) fn instance_hears(&mut self, r: &Request, outcome: Outcome, now: SimTime) {
        let Some(balance) = &mut self.sources[r.source].clients[r.client as usize].balance else { return };
        if r.stage == Stage::AtClient || r.connection.pod == Connection::NONE.pod {
            return;
        }
        let good = outcome == Outcome::Completed;
        let report = good.then(|| Report { in_flight: r.seen.into(), latency: r.waited + r.demand, service: r.demand });
        balance.answered(r.connection.pod, &Answer { latency: now.since(r.sent), good, report, now });
    }

    /// Loads are written where all instances of a source read them.
    pub(in crate::cluster) fn write_loads(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let workloads = &self.table.services[self.sources[id].service].backends;
        let present = workloads.iter().flat_map(|w| &self.workloads[*w].pods).map(|p| (*p, self.pods[*p].present())).collect();
        let Some(board) = &mut self.sources[id].board else { return };
        (board.present, board.written) = (present, ctx.now());
        ctx.schedule_in(board.every, Event::LoadsReported { source: id });
    }
}

/// What a policy that hashes goes by. FNV-1a of the bytes, mixed: neighbours are far apart.
fn hash_of(client: IpAddr, key: u32, on: HashOn) -> u64 {
    mix64(match on {
        HashOn::Client => entity(&client.to_string()),
        HashOn::Key => entity(&key.to_string()),
    })
}
