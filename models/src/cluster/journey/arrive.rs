//! A request is sent.

use crate::cluster::{Cluster, Connection, Ctx, Event, Outcome, Request, Source, Stage};
use crate::ids::{NodeId, PodId, SourceId};
use crate::spec::Via;
use svcsim_engine::{Id, SimDuration, SimTime};

impl Cluster {
    /// Draws the request and sends it off, over an idle connection if the client has one.
    pub(in crate::cluster) fn arrive(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let source = &mut self.sources[id];
        let next = now + source.arrivals.gap(&mut source.streams.arrivals);
        if next < self.sending_until {
            ctx.schedule_at(next, Event::RequestArrives { source: id });
        }
        // Everything about the request itself is drawn here, so that it is the same in every design.
        let client = source.streams.clients.below(source.clients.len() as u32);
        let demand =
            source.workload.map_or(SimDuration::ZERO, |w| self.workloads[w].service_time.sample_duration(&mut source.streams.demand));
        let mut size = |dist: &svcsim_engine::random::Dist| dist.sample(&mut source.streams.sizes).min(f64::from(u32::MAX)) as u32;
        let (request_bytes, response_bytes) = (size(&source.request_size), size(&source.response_size));
        let reused = reuse(source, client, |pod| self.pods[pod].phase.accepts());
        let fresh = reused.is_none();
        let connection = reused.unwrap_or_else(|| dial(source, client, self.nodes.len()));
        let request = Request {
            start: now,
            joined: now,
            demand,
            waited: SimDuration::ZERO,
            request_bytes,
            response_bytes,
            source: id,
            client,
            connection,
            hops: 0,
            stage: if source.goes_through_load_balancer() { Stage::ToLoadBalancer } else { Stage::ToEntry },
            result: Outcome::Completed,
            fresh,
            ended: false,
            lost: false,
        };
        let vertex = source.clients[client as usize].vertex;
        let key = self.requests.insert(request);
        if let Some(timeout) = source.timeout {
            source.deadlines.trim(|&k| self.requests.get(k).is_some_and(|r| !r.ended));
            let due = now + timeout;
            if source.deadlines.push(due, key) {
                ctx.schedule_at(due, Event::DeadlinesPass { source: id });
            }
        }
        self.recorder.arrived(id, now);
        self.travel(key, request, now, vertex, ctx);
    }
}

impl Source {
    /// A Pod that dials a load balancer's address never leaves its own Node's proxy, which translates the
    /// address in place (`ipMode: VIP`, KEP-1860).
    pub(in crate::cluster) fn goes_through_load_balancer(&self) -> bool {
        self.via == Via::LoadBalancer && !self.in_cluster
    }
}

/// The most recently idle connection whose server has not closed it.
fn reuse(source: &mut Source, client: u32, open: impl Fn(PodId) -> bool) -> Option<Connection> {
    source.max_idle?;
    let idle = &mut source.clients[client as usize].idle;
    while let Some(connection) = idle.pop() {
        if open(connection.pod) {
            return Some(connection);
        }
    }
    None
}

/// A new connection: a new source port, and the Node whose proxy will choose where the client knows it.
fn dial(source: &mut Source, client: u32, nodes: usize) -> Connection {
    let flow = source.streams.flow.next_u32();
    let own = source.clients[client as usize].node;
    let entry = match (source.via, own) {
        (Via::ClusterIP | Via::LoadBalancer, Some(node)) => node,
        (Via::NodePort, _) => NodeId::from_index(source.streams.flow.below(nodes as u32) as usize),
        // The load balancer will say; a client outside has no way to a cluster IP (checked in build).
        (Via::ClusterIP | Via::LoadBalancer, None) => NodeId(0),
    };
    Connection { flow, entry, pod: PodId(u32::MAX), snat: false }
}

impl Cluster {
    /// Sources send their first requests.
    pub(in crate::cluster) fn open_sources(&mut self, ctx: &mut Ctx<'_>) {
        for id in self.sources.ids() {
            let source = &mut self.sources[id];
            let first = SimTime::ZERO + source.arrivals.gap(&mut source.streams.arrivals);
            if first < self.sending_until {
                ctx.schedule_at(first, Event::RequestArrives { source: id });
            }
        }
    }
}
