//! [`RunResult`]: what one run found, before any statistics over runs.

use super::{RequestRecord, Stretch};
use crate::cluster::Outcome;
use crate::ids::{LinkId, NodeId, ReplicaId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use svcsim_engine::stats::{Histogram, Tally};
use svcsim_engine::{SimDuration, SimTime};

/// All that one run reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// One for each source, in the order of their names.
    pub series: Vec<SeriesResult>,
    /// One for each replica of the workloads behind Services that get traffic.
    pub pods: Vec<PodResult>,
    /// One for each directed link.
    pub links: Vec<LinkResult>,
    /// What happened to Pods, in order.
    pub incidents: Vec<Incident>,
    /// What the experiment made happen, in order.
    pub marks: Vec<EventMark>,
    /// Network-programming latencies: one value for each change and Node.
    pub programming: Histogram,
    /// Times from the first change that some Node did not know until all knew the newest.
    pub convergence: Histogram,
    /// EndpointSlices written (creations, updates and deletions), each of which is sent to every Node. One of 100 endpoints is
    /// about 10 to 20 kB (KEP-0752).
    pub slice_writes: u64,
    /// A sample of the requests, in the order in which they ended: those of the warm-up too, and none of those that did not end.
    pub requests: Vec<RequestRecord>,
    /// The measured part of the run.
    pub measured: SimDuration,
    /// Events handled.
    pub events: u64,
}

/// Where a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// At the client: it did not know the sender of the answer, or did not send the request.
    Client,
    /// In the cluster's DNS.
    Dns,
    /// In the load balancer.
    LoadBalancer,
    /// At this Node, by its rules or its tables.
    Node(NodeId),
    /// At the Pod that filled this place, or at the address that it had.
    Replica(ReplicaId),
    /// On the way.
    Network,
}

/// What one source's requests met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesResult {
    /// The source's name.
    pub name: String,
    /// Whether its requests are calls of one Service by another.
    pub inner: bool,
    /// Requests ever sent.
    pub arrivals_ever: u64,
    /// Requests sent in the measured part.
    pub arrivals: u64,
    /// Ends of all requests, by outcome.
    pub outcomes_ever: Vec<u64>,
    /// Ends of measured requests, by outcome.
    pub outcomes: Vec<u64>,
    /// Measured requests that were lost, by cause and place: they add up to the measured errors.
    pub lost: BTreeMap<(Outcome, Place), u64>,
    /// Tries of measured requests after the first.
    pub retries: u64,
    /// Measured requests that were sent a second time while the first was waited for.
    pub hedges: u64,
    /// Tries more that a budget did not allow.
    pub retries_refused: u64,
    /// Requests that had not ended when the run was over.
    pub in_flight: u64,
    /// From intended start to response, of measured requests that completed; so are all below.
    pub latency: Histogram,
    /// Time in the Pod beyond the demand, ns.
    pub wait: Tally,
    /// Requests that spent longer in the Pod than their demand.
    pub waited: u64,
    /// Demand, ns.
    pub service: Tally,
    /// Time in which the Pod waited for Services that it called, ns.
    pub called: Tally,
    /// Time that requests from outside that completed spent on its requests, and not on what these called, ns.
    pub critical_ns: u128,
    /// The rest: links, load balancer, ns.
    pub network: Tally,
    /// Links crossed, there and back.
    pub hops: Tally,
    /// Requests forwarded from the Node they entered at to another.
    pub extra_hop: u64,
    /// Requests served in another zone than they entered at.
    pub cross_zone: u64,
    /// By how much the view of each decision was superseded.
    pub staleness: Histogram,
    /// Requests whose client address was rewritten.
    pub snat: u64,
    /// Replicas of the Service called: places in `requests_by_replica`.
    pub backends: Vec<usize>,
    /// Measured requests that each replica took in.
    pub requests_by_replica: Vec<u64>,
    /// Measured requests that each replica took in over a new connection.
    pub connections_by_replica: Vec<u64>,
    /// The run in windows, warm-up included.
    pub timeline: Vec<Window>,
    /// Measured requests by when they were sent, in the stretches that events cut the run into.
    pub stretches: Vec<Stretch>,
}

impl SeriesResult {
    /// Nothing yet.
    #[must_use]
    pub fn new(name: &str, replicas: usize, digits: u8) -> Self {
        Self {
            name: name.to_owned(),
            inner: false,
            arrivals_ever: 0,
            arrivals: 0,
            outcomes_ever: vec![0; Outcome::ALL.len()],
            outcomes: vec![0; Outcome::ALL.len()],
            lost: BTreeMap::new(),
            retries: 0,
            hedges: 0,
            retries_refused: 0,
            in_flight: 0,
            latency: Histogram::new(digits),
            wait: Tally::default(),
            waited: 0,
            service: Tally::default(),
            called: Tally::default(),
            critical_ns: 0,
            network: Tally::default(),
            hops: Tally::default(),
            extra_hop: 0,
            cross_zone: 0,
            snat: 0,
            staleness: Histogram::new(digits),
            backends: Vec::new(),
            requests_by_replica: vec![0; replicas],
            connections_by_replica: vec![0; replicas],
            timeline: Vec::new(),
            stretches: Vec::new(),
        }
    }

    /// Adds what another source's requests met; timelines stay apart.
    pub fn merge(&mut self, other: &Self) {
        let add = |to: &mut Vec<u64>, from: &[u64]| to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
        self.arrivals_ever += other.arrivals_ever;
        self.arrivals += other.arrivals;
        other.lost.iter().for_each(|(key, n)| *self.lost.entry(*key).or_default() += n);
        self.retries += other.retries;
        self.hedges += other.hedges;
        self.retries_refused += other.retries_refused;
        self.in_flight += other.in_flight;
        self.extra_hop += other.extra_hop;
        self.cross_zone += other.cross_zone;
        self.snat += other.snat;
        self.waited += other.waited;
        add(&mut self.outcomes_ever, &other.outcomes_ever);
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.requests_by_replica, &other.requests_by_replica);
        add(&mut self.connections_by_replica, &other.connections_by_replica);
        self.latency.merge(&other.latency);
        self.staleness.merge(&other.staleness);
        self.stretches.iter_mut().zip(&other.stretches).for_each(|(to, from)| to.merge(from));
        self.wait.merge(&other.wait);
        self.service.merge(&other.service);
        self.called.merge(&other.called);
        self.critical_ns += other.critical_ns;
        self.network.merge(&other.network);
        self.hops.merge(&other.hops);
        self.backends.extend(&other.backends);
        self.backends.sort_unstable();
        self.backends.dedup();
    }

    /// Measured requests that completed.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.outcomes[Outcome::Completed as usize]
    }

    /// Measured requests that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

/// One window of a series' timeline. Arrivals count where they are sent, ends where they end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// When it starts.
    pub start: SimTime,
    /// How long it is; the last may be shorter.
    pub width: SimDuration,
    /// Requests sent.
    pub arrivals: u64,
    /// Responses received.
    pub completed: u64,
    /// Requests lost.
    pub errors: u64,
    /// Requests that ended, by outcome.
    pub outcomes: [u32; Outcome::ALL.len()],
    /// Median latency of the responses.
    pub latency_p50: Option<SimDuration>,
    /// Their 99th percentile.
    pub latency_p99: Option<SimDuration>,
    /// Times that clients tried requests again.
    pub retries: u64,
    /// Requests that the replica took in that took in the most.
    pub hottest_pod_requests: u32,
    /// Ready Pods of the Service, at their fewest.
    pub ready_endpoints: u32,
    /// Requests that these can serve at once.
    pub capacity: u32,
    /// Pods that serve (condition `serving` of EndpointSlices: ready, whether being deleted or not), at the window's end.
    pub serving_endpoints: u32,
    /// Pods that are being deleted (condition `terminating`), at the window's end.
    pub terminating_endpoints: u32,
    /// Nodes whose view of the Service is not the newest, at their most.
    pub stale_nodes: u32,
}

/// What the endpoints of a Service were like in a window; see [`Window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Ready ones, at their fewest.
    pub ready: u32,
    /// Requests that these can serve at once.
    pub capacity: u32,
    /// Serving ones.
    pub serving: u32,
    /// Terminating ones.
    pub terminating: u32,
    /// Nodes with another view than the newest, at their most.
    pub stale_nodes: u32,
}

/// One replica: the Pods that filled one place of a workload, one after another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PodResult {
    /// `<workload>-<place>`.
    pub name: String,
    /// Its place in `requests_by_replica`.
    pub replica: usize,
    /// The Node of the last of its Pods.
    pub node: String,
    /// That Node's zone.
    pub zone: String,
    /// Servers of one Pod.
    pub concurrency: u32,
    /// Integral of busy servers over the measured part.
    pub busy: SimDuration,
    /// Pods that filled the place.
    pub pods: u32,
}

/// What crossed a directed link in the measured part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkResult {
    /// Which.
    pub link: LinkId,
    /// Messages sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages dropped at its full queue.
    pub dropped: u64,
    /// Share of the time that it was sending; 0 without bandwidth limit.
    pub utilisation: f64,
}

/// Something that happened to a Pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Incident {
    /// When.
    pub time: SimTime,
    /// `crash`, `terminate`, `ready`, `gone`.
    pub event: Cow<'static, str>,
    /// The replica's name.
    pub pod: String,
    /// Where it ran.
    pub node: NodeId,
}

/// An event of the experiment begins or ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventMark {
    /// When.
    pub time: SimTime,
    /// Its name in the experiment.
    pub name: String,
    /// Whether it begins; otherwise it is over, or repaired.
    pub began: bool,
    /// What happens and to what, in a few words.
    pub what: String,
}
